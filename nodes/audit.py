"""Compare the settings that all nodes must share, and find problems that no farm can have."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, NamedTuple

from ..core.plan import Shown
from ..core.wording import plural, shortened
from ..spec.load import Spec
from . import connection, keys, stores
from .config.effective import APP, CONNECTIONS, MACHINE_KEY, SECURE, SESSION_STATE, Config
from .config.settings import ConfigSection
from .fingerprints import Fingerprints, Secrecy

ENCRYPTED: Final = "(encrypted)"
ABSENT: Final = "-"
_COLUMNS: Final = 4
"""The most nodes with a column each; for more nodes the text lists values with their nodes."""
_NAMES: Final = 6
_WIDEST: Final = 45
_BEFORE: Final = 10
"""Characters before the first difference of long values that begin alike."""


class ObservedValue(NamedTuple):
    """The value of one setting on one node; `identity` is compared (a hash for a secret), and None equals nothing."""

    shown: str
    identity: object
    location: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One setting on all nodes."""

    title: str
    values: Mapping[str, ObservedValue]

    @property
    def same(self) -> bool:
        """Whether all nodes have the same value; an unreadable value equals nothing."""
        identities = [observed.identity for observed in self.values.values()]
        return None not in identities and all(one == identities[0] for one in identities)

    def groups(self) -> list[tuple[str, list[str]]]:
        """Each value with its nodes, the most common first."""
        found: dict[object, tuple[str, list[str]]] = {}
        for node, observed in self.values.items():
            key = (observed.identity, node if observed.identity is None else "")
            found.setdefault(key, (observed.shown, []))[1].append(node)
        return sorted(found.values(), key=lambda group: -len(group[1]))

    def short(self) -> dict[str, str]:
        """The values as one column shows them; of long values that begin alike, the part with the first difference."""
        texts = {observed.shown for observed in self.values.values()}
        long = [text for text in texts if len(text) > _WIDEST]
        alike = len(list(takewhile(lambda column: len(set(column)) == 1, zip(*long, strict=False)))) if long[1:] else 0
        begin = alike - _BEFORE if alike > _WIDEST - _BEFORE else 0
        cut = {text: f"...{text[begin:]}" if begin and text in long else text for text in texts}
        return {text: shortened(part, _WIDEST) for text, part in cut.items()}


@dataclass(frozen=True, slots=True)
class NodeProblem:
    """A problem that keeps a node out of any farm, even if all nodes share it."""

    node: str
    id: str
    message: str
    hint: str
    location: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of the comparison."""

    nodes: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[NodeProblem, ...]

    @property
    def drift(self) -> bool:
        """Whether anything differs or is a problem."""
        return bool(self.problems) or any(not row.same for row in self.rows)

    def text(self) -> str:
        """The report as text: a table with differences marked, then the problems, then the counts."""
        lines = self._table() if len(self.nodes) <= _COLUMNS else self._lists()
        for one in self.problems:
            lines += [f"{one.node}: {one.message} [{one.id}]", f"    {one.hint}", f"    at {one.location}"]
        return "\n".join([*lines, self.summary()]) + "\n"

    def summary(self) -> str:
        """The counts of nodes, of settings that differ or agree, and of problems."""
        differing = sum(not row.same for row in self.rows)
        agree = f"{differing} of {len(self.rows)} settings differ" if differing else f"{len(self.rows)} settings agree"
        problems = f", {plural(len(self.problems), 'problem')}" if self.problems else ""
        return f"{plural(len(self.nodes), 'node')}: {agree}{problems}"

    def _table(self) -> list[str]:
        head = ["setting", *self.nodes, ""]
        body = []
        for row in self.rows:
            short = row.short()
            cells = [short[row.values[node].shown] for node in self.nodes]
            body.append([row.title, *cells, "" if row.same else "DIFFERS"])
        widths = [max(len(line[column]) for line in (head, *body)) for column in range(len(head))]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in (head, *body)
        ]

    def _lists(self) -> list[str]:
        lines = []
        for row in self.rows:
            if row.same:
                continue
            lines.append(f"{row.title}: DIFFERS")
            short = row.short()
            for shown, nodes in row.groups():
                more = f" and {len(nodes) - _NAMES} more" if len(nodes) > _NAMES else ""
                lines.append(f"  {short[shown]}: {', '.join(nodes[:_NAMES])}{more}")
        return lines

    def data(self) -> dict[str, object]:
        """The report as JSON data."""
        return {
            "nodes": list(self.nodes),
            "drift": self.drift,
            "settings": [
                {
                    "setting": row.title,
                    "same": row.same,
                    "nodes": {
                        node: {"value": observed.shown, "place": observed.location or None}
                        for node, observed in row.values.items()
                    },
                }
                for row in self.rows
            ],
            "problems": [
                {"node": one.node, "id": one.id, "message": one.message, "hint": one.hint, "place": one.location}
                for one in self.problems
            ],
        }


def audit(configs: Mapping[str, Config], spec: Spec | None = None) -> Audit:
    """Compare configs, given by the names to show; with a spec, also compare its database with the nodes'."""
    pepper = next(filter(None, map(keys.pepper_of, configs.values())), "")
    fingerprints = Fingerprints(pepper)
    titles: dict[str, None] = {}
    read: dict[str, dict[str, ObservedValue]] = {}
    for name, config in configs.items():
        read[name] = dict(_values(config, fingerprints))
        titles.update(dict.fromkeys(read[name]))
    absent = ObservedValue(ABSENT, ABSENT)
    rows = [Row(title, {name: read[name].get(title, absent) for name in configs}) for title in titles]
    shown = [
        row
        for row in rows
        if any(observed is not absent and observed.shown != ABSENT for observed in row.values.values())
    ]
    problems = [one for name, config in configs.items() for one in _problems(name, config, several=len(configs) > 1)]
    if spec is not None:
        problems += [one for name, config in configs.items() for one in _other_database(name, config, spec)]
    return Audit(tuple(configs), tuple(shown), tuple(problems))


def _values(config: Config, fingerprints: Fingerprints) -> Iterator[tuple[str, ObservedValue]]:
    """Every setting that nodes must share; a setting that no node has is left out later."""
    yield "version (from the settings)", _open(version_range(config))
    yield "SignalR settings", _open(" and ".join(stores.families(config)) or ABSENT)
    yield from _attributes(config, MACHINE_KEY, _MACHINE, fingerprints)
    yield f"{keys.ENCRYPTION_KEY}", _encryption_key(config, fingerprints)
    yield from _attributes(config, SESSION_STATE, _SESSION, fingerprints)
    for name, secrecy in _SETTINGS.items():
        yield name, _setting(config, name, secrecy, fingerprints)
    yield from _connections(config, fingerprints)


_MACHINE: Final[dict[str, Secrecy]] = {
    "decryptionKey": "key",
    "validationKey": "key",
    "decryption": "open",
    "validation": "open",
    "compatibilityMode": "open",
}
_SESSION: Final[dict[str, Secrecy]] = {
    "mode": "open",
    "sqlConnectionString": "pairs",
    "allowCustomSqlDatabase": "open",
    "customProvider": "open",
    "cookieName": "open",
}
_SETTINGS: Final[dict[str, Secrecy]] = {
    **dict.fromkeys((*keys.API_KEYS, *keys.OTHER_KEYS), "key"),
    "IdentityServer.Integration.ClientSecret": "key",
    "Auth.Ropc.ClientSecret": "key",
    "ExternalAuth.System.OpenIdConnect.ClientSecret": "key",
    "EncryptionKeyPerTenant.Enabled": "open",
    stores.ENABLED: "open",
    **dict.fromkeys(stores.SERVER_PORT[:-1], "open"),
    stores.SERVER_PORT[-1]: "password",
    stores.REDIS_STRING: "redis",
    stores.SCALE_OUT: "open",
    stores.SCALE_OUT_STRING: "redis",
    stores.NUGET_COORDINATION: "open",
    stores.QUARTZ: "open",
    **dict.fromkeys(stores.STORAGE, "pairs"),
}


def _open(text: str) -> ObservedValue:
    return ObservedValue(text, text)


def _observe(value: str, secrecy: Secrecy, fingerprints: Fingerprints, place: str) -> ObservedValue:
    identity = _identity(value, secrecy)
    if secrecy != "open":
        identity = hashlib.sha256(repr(identity).encode("utf-8")).hexdigest()
    return ObservedValue(str(_safe(value, secrecy, fingerprints)), identity, place)


def _safe(value: str, secrecy: Secrecy, fingerprints: Fingerprints) -> Shown:
    """The value with its secrets masked; the path of a share has no pairs and is shown unchanged."""
    if secrecy == "pairs" and "=" not in value:
        return Shown(value)
    return fingerprints.shown(value, secrecy)


def _identity(value: str, secrecy: Secrecy) -> object:
    if secrecy == "pairs":
        try:
            return connection.canonical(value)
        except ValueError:
            return value
    return value.lower() if value.lower() in {"true", "false"} else value


def _attributes(
    config: Config, name: str, attributes: Mapping[str, Secrecy], fingerprints: Fingerprints
) -> Iterator[tuple[str, ObservedValue]]:
    section = config.section(name)
    short = name.rpartition("/")[2]
    for attribute, secrecy in attributes.items():
        title = f"{short} {attribute}"
        if section is None:
            yield title, _open(ABSENT)
        elif section.protected:
            yield title, _encrypted(section)
        elif (value := section.element.get(attribute)) is None:
            yield title, _open(ABSENT)
        else:
            place = str(section.document.location(section.element.attributes[attribute].name_start))
            observed = _observe(value, secrecy, fingerprints, place)
            generated = secrecy == "key" and keys.is_generated(value)
            yield title, ObservedValue(observed.shown, None, place) if generated else observed


def _encrypted(section: ConfigSection) -> ObservedValue:
    return ObservedValue(ENCRYPTED, None, str(section.document.location(section.element.start)))


def _encryption_key(config: Config, fingerprints: Fingerprints) -> ObservedValue:
    for _section, entry in keys.occurrences(config, keys.ENCRYPTION_KEY):
        return _observe(entry.value, "key", fingerprints, str(entry.document.location(entry.element.start)))
    for name in (SECURE, APP):
        section = config.section(name)
        if section is not None and section.protected:
            return _encrypted(section)
    return _open(ABSENT)


def _setting(config: Config, name: str, secrecy: Secrecy, fingerprints: Fingerprints) -> ObservedValue:
    if config.app.home is not None and config.app.home.protected:
        return _encrypted(config.app.home)
    entry = config.app.get(name)
    if entry is None:
        return _open(ABSENT)
    return _observe(entry.value, secrecy, fingerprints, str(entry.document.location(entry.element.start)))


def _connections(config: Config, fingerprints: Fingerprints) -> Iterator[tuple[str, ObservedValue]]:
    home = config.connections.home
    if home is not None and home.protected:
        yield CONNECTIONS, _encrypted(home)
        return
    for entry in config.connections.entries():
        place = str(entry.document.location(entry.element.start))
        yield f"connection {entry.key}", _observe(entry.value, "pairs", fingerprints, place)


def version_range(config: Config) -> str:
    """The versions of Orchestrator that use the settings of a file."""
    if config.kind == "core":
        return "2020.10 or later"
    if config.app.get("Storage.Type") is not None:
        return "2019.4 to 2020.4"
    shown = stores.families(config)
    if shown == ["server-port"]:
        return "before 2018.4"
    return "2018.4 to 2019.3" if shown == ["connection-string"] else "before 2020.10"


def _problems(name: str, config: Config, *, several: bool) -> Iterator[NodeProblem]:
    for section in (MACHINE_KEY, SECURE, APP, CONNECTIONS):
        found = config.section(section)
        if found is not None and found.protected:
            error = config.encrypted(found)
            yield NodeProblem(name, error.rule, error.description, error.hint or "", str(error.location))
    if several:
        for check in _CHECKS:
            yield from check(name, config)


def _generated(name: str, config: Config) -> Iterator[NodeProblem]:
    section = config.section(MACHINE_KEY)
    if section is not None and section.protected:
        return
    values = [section.element.get(key) if section else None for key in keys.MACHINE_KEYS]
    if any(keys.is_generated(value) for value in values):
        place = config.main.location(config.main.root.start if section is None else section.element.start)
        message = "ASP.NET generates the machineKey on each machine: no other node can read what this one writes"
        yield NodeProblem(name, keys.AUTOGENERATE_ID, message, keys.AUTOGENERATE_HINT, str(place))


def _in_memory(name: str, config: Config) -> Iterator[NodeProblem]:
    if config.kind == "core":
        return
    section = config.section(SESSION_STATE)
    mode = None if section is None else section.element.get("mode")
    if section is not None and section.protected:
        return
    if mode is None or mode.lower() in {"inproc", "off"}:
        place = config.main.location(config.main.root.start if section is None else section.element.start)
        message = f"sessions stay in this node's memory (sessionState mode {mode or 'not given'})"
        yield NodeProblem(name, "session-inproc", message, "`nlbgen nodes plan` shows what is missing", str(place))


def _signalr(name: str, config: Config) -> Iterator[NodeProblem]:
    if config.app.home is None or config.app.home.protected:
        return
    uses = [config.app.value(key) for key in ("LoadBalancer.UseRedis", "LoadBalancer.UseSqlServer", stores.SCALE_OUT)]
    if not any((use or "").lower() == "true" for use in uses):
        place = str(config.app.home.document.location(config.app.home.element.start))
        message = "SignalR's messages stay in this node's memory: robots on the other nodes are not reached"
        yield NodeProblem(name, "signalr-inproc", message, "`nlbgen nodes plan` shows what is missing", place)


def _quartz(name: str, config: Config) -> Iterator[NodeProblem]:
    if config.app.home is None or config.app.home.protected:
        return
    entry = config.app.get(stores.QUARTZ)
    if entry is None and config.kind == "core":
        return  # whether these versions read it is not documented
    if entry is None or entry.value.lower() != "true":
        element = config.app.home.element if entry is None else entry.element
        document = config.app.home.document if entry is None else entry.document
        message = f"{stores.QUARTZ} is not true: each node starts every scheduled job"
        hint = "`nlbgen nodes apply` sets it"
        yield NodeProblem(name, "quartz", message, hint, str(document.location(element.start)))


def _other_database(name: str, config: Config, spec: Spec) -> Iterator[NodeProblem]:
    found = stores.other_database(spec, config)
    if found is not None:
        hint = "correct `stores.database` in the spec, or the node's connection string"
        yield NodeProblem(name, "database-differs", found[1], hint, str(found[0]))


def _storage(name: str, config: Config) -> Iterator[NodeProblem]:
    for key, entry in stores.local_storage(config):
        message = f"{key} is on the node's own disk: the other nodes cannot serve these packages"
        hint = r"move the packages to a share, and write its path (\\server\share) on every node"
        yield NodeProblem(name, "package-storage", message, hint, str(entry.document.location(entry.element.start)))


_CHECKS: Final[Sequence[Callable[[str, Config], Iterator[NodeProblem]]]] = (
    _generated,
    _in_memory,
    _signalr,
    _quartz,
    _storage,
)
