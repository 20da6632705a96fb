"""Hold the settings of the nodes against the spec, and their keys against the file that `keys.from` names."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ..core.errors import Location, NodeError, SpecError
from ..spec.load import Spec
from ..spec.references import SecretError
from ..spec.strings import redis, sql, sql_clients
from . import keys, public_url, reading, service_plan, store_files, store_strings, stores
from .config.effective import MACHINE_KEY, SESSION_STATE, Config
from .config.webconfig import ConfigError
from .file_checks import FileFinding
from .fingerprints import Fingerprints
from .service_settings import service
from .values import DesiredSetting, Value

_PLAN: Final = "`nlbgen nodes plan` shows the change, `nlbgen nodes apply` makes it"
_PASSWORDS: Final = frozenset({"Password", "password"})


def findings(
    spec: Spec, configs: Mapping[str, Config], fingerprints: Fingerprints, notes: list[str]
) -> Iterator[tuple[str, FileFinding]]:
    """What differs from the spec, with the node's name; `notes` gets what could not be compared."""
    source = _keys_source(spec, configs, notes)
    for name, config in configs.items():
        yield from ((name, one) for one in database(spec, config))
        yield from ((name, one) for one in public_url.findings(spec, config))
        if source is not None:
            yield from ((name, one) for one in (*_keys(source, config), *_services(source.source, config)))
        yield from ((name, one) for one in _settings(spec, configs, config, fingerprints, notes))


def database(spec: Spec, config: Config) -> Iterator[FileFinding]:
    """The finding that the node's own string names another database than the spec."""
    found = store_files.other_database(spec, config)
    if found is not None:
        hint = "correct `stores.database` in the spec, or the node's connection string"
        yield FileFinding("database-differs", found[1], hint, found[0])


def _keys_source(spec: Spec, configs: Mapping[str, Config], notes: list[str]) -> keys.Keys | None:
    """The keys of the file that `keys.from` names; None where they come from a node, which the table compares."""
    if spec.farm.keys.source == "primary":
        return None
    if any(config.collected is not None for config in configs.values()):
        notes.append("the keys were not compared with those of `keys.from`: the keys of collected nodes are pseudonyms")
        return None
    try:
        return keys.keys_to_clone(reading.keys_source(spec, {}))
    except NodeError as error:
        notes.append(f"the keys were not compared with those of `keys.from`: {error.message}")
        return None


def _keys(source: keys.Keys, config: Config) -> Iterator[FileFinding]:
    for setting in keys.desired_settings(source, config):
        current, location = _current(config, setting)
        wanted = None if setting.value is None else setting.value.reveal()
        if current is not _ENCRYPTED and not _same_key(setting, current, wanted):
            message = f"{setting.path} differs from {source.source.path}, from which the spec takes the keys"
            yield FileFinding("keys-differ", message, _PLAN, location)


def _services(source: Config, config: Config) -> Iterator[FileFinding]:
    """The settings of the node's services that are not those of the file or folder that `keys.from` names."""
    for one in config.services:
        origin = service(source, one.name)
        if one.is_encrypted or (origin is not None and origin.is_encrypted):
            continue  # the checks of the file report the node's own; with the other one `plan` stops
        for wanted, current in service_plan.differing(one, source):
            location = one.own.location(0) if current is None else current.location
            message = f"{one.name}/{wanted.name} differs from {source.path}, from which the spec takes the keys"
            yield FileFinding("keys-differ", message, _PLAN, location)


def _same_key(setting: DesiredSetting, current: str | None, wanted: str | None) -> bool:
    return current == wanted or (setting.section == MACHINE_KEY and keys.same_machine_key(current, wanted))


_ENCRYPTED: Final = "\0"
"""In place of a value that is encrypted."""


def _current(config: Config, setting: DesiredSetting) -> tuple[str | None, Location]:
    """The node's own value of a setting, None if it has none; and where it stands, or where it would."""
    section = config.section(setting.section)
    place = config.main.location(config.main.root.start)
    if section is None:
        return None, place
    place = section.document.location(section.element.start)
    if section.protected:
        return _ENCRYPTED, place
    if setting.section in {MACHINE_KEY, SESSION_STATE}:
        attribute = section.element.attributes.get(setting.key)
        if attribute is None:
            return None, place
        return attribute.value, section.document.location(attribute.name_start)
    entry = config.entries(setting.section).get(setting.key)
    return (None, place) if entry is None else (entry.value, entry.location)


def _settings(
    spec: Spec, configs: Mapping[str, Config], config: Config, fingerprints: Fingerprints, notes: list[str]
) -> Iterator[FileFinding]:
    primary = configs.get(spec.farm.primary.name, config)
    try:
        desired = _desired(spec, config, primary)
    except (ConfigError, SpecError) as error:
        yield from _reasons(error)
        return
    for setting in desired:
        if setting.key == stores.QUARTZ and config.kind == "core" and config.app.get(stores.QUARTZ) is None:
            continue  # whether these versions read it is not documented
        current, location = _current(config, setting)
        if current is _ENCRYPTED or setting.value is None:
            continue
        differs, shown = _compared(spec, config, setting, setting.value, current, notes, fingerprints)
        if differs:
            found = "missing" if current is None else str(fingerprints.shown(current, setting.secrecy))
            message = f"{setting.path} is {found}, but the spec requires {shown}"
            yield FileFinding("spec-differs", message, _PLAN, location)


def _desired(spec: Spec, config: Config, primary: Config) -> list[DesiredSetting]:
    shared = stores.stores_of(spec, classic=config.kind == "classic")
    return list(stores.desired_settings(spec, shared, config, primary))


def impossible(spec: Spec, config: Config, primary: Config) -> Iterator[FileFinding]:
    """The reasons why no plan can connect this node to the stores."""
    try:
        _desired(spec, config, primary)
    except (ConfigError, SpecError) as error:
        yield from _reasons(error)


def _reasons(error: ConfigError | SpecError) -> Iterator[FileFinding]:
    if isinstance(error, SpecError):
        for problem in error.problems:
            yield FileFinding("spec-differs", f"{problem.path}: {problem.message}", problem.hint, problem.location)
    elif error.rule not in {"encrypted-section", store_strings.STRING_ID}:  # the checks of the file report these
        yield FileFinding(error.rule or "node-config", error.description, error.hint or "", error.location)


def _compared(
    spec: Spec,
    config: Config,
    setting: DesiredSetting,
    value: Value,
    current: str | None,
    notes: list[str],
    fingerprints: Fingerprints,
) -> tuple[bool, str]:
    """Whether a setting differs from the spec, and how the spec's value is shown.

    Where a secret of the spec is not set, everything but the passwords is compared.
    """
    meaning = _meaning(spec, config, setting, frozenset())
    try:
        wanted = value.reveal()
        if config.collected is not None and any(not isinstance(part, str) for part in value.parts):
            raise SecretError(f"the passwords in {config.collected.path} are pseudonyms")
    except SecretError as error:
        notes.append(f"passwords were not compared: {error.message}")
        if setting.secrecy == "password":
            return False, ""
        meaning = _meaning(spec, config, setting, _PASSWORDS)
        wanted = "".join(part if isinstance(part, str) else "x" for part in value.parts)
        shown = wanted
    else:
        shown = str(fingerprints.shown(wanted, setting.secrecy))
    return meaning(current or "") != meaning(wanted), shown


def _meaning(spec: Spec, config: Config, setting: DesiredSetting, ignored: frozenset[str]) -> Callable[[str], object]:
    if setting.secrecy == "redis":
        client = store_strings.redis_clients_of(spec, config)[0]
        return lambda text: redis.meaning(text, client, ignored)
    if setting.secrecy == "pairs":
        return lambda text: sql.meaning(text, sql_clients.FRAMEWORK, ignored)
    return str.lower
