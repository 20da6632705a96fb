"""The settings of the services as values that can be compared and shown, and their keys for `nodes keys`."""

from collections.abc import Iterator, Mapping
from typing import Final

from ..spec.load import Spec
from ..spec.strings import sql_clients
from . import store_strings
from .config.appsettings import FOLDERS, Service
from .config.effective import Config
from .config.json_settings import fold
from .fingerprints import Fingerprints, Secrecy
from .keys import Key, describe
from .observed import (
    ABSENT,
    ENCRYPTED,
    Meaning,
    ObservedValue,
    observe,
    plain,
    redis_meaning,
    sql_meaning,
    storage_meaning,
)
from .reading import raise_all
from .service_plan import problems
from .service_settings import service, shared_settings

NOT_READ: Final = ObservedValue("(not read)", "(not read)")
"""The value of a node whose copy of the service's file does not exist or cannot be read: it is not compared."""

Compared = Mapping[str, Mapping[str, ObservedValue]]


def compared(configs: Mapping[str, Config], fingerprints: Fingerprints, spec: Spec | None) -> Compared:
    """The settings of the services by title, each with its value on every node."""
    found: dict[str, dict[str, ObservedValue]] = {}
    for name in FOLDERS:
        titles: dict[str, str] = {}
        for config in configs.values():
            one = service(config, name)
            for setting, _shared in () if one is None else shared_settings(one):
                titles.setdefault(fold(setting.name), setting.name)
        for written in titles.values():
            found[f"{name} {written}"] = {
                node: _value(config, name, written, fingerprints, spec) for node, config in configs.items()
            }
    return found


def notes(configs: Mapping[str, Config]) -> Iterator[str]:
    """Notes on nodes without the services' files, if other nodes have them."""
    compares = any(config.services for config in configs.values())
    for node, config in configs.items():
        if compares and not config.services and not config.service_problems:
            yield (
                f"{config.path}: the folder of {node}'s file contains no settings of {', '.join(FOLDERS)}, so "
                "they were not compared: copy the node's install folder, and write the path of the copy as "
                "`config`"
            )


def _value(config: Config, name: str, written: str, fingerprints: Fingerprints, spec: Spec | None) -> ObservedValue:
    one = service(config, name)
    if one is None:
        return ObservedValue(ABSENT, ABSENT) if config.services and not config.service_problems else NOT_READ
    if one.is_encrypted:
        return ObservedValue(ENCRYPTED, None, str(one.encrypted().location))
    setting = one.get(written)
    found = next((shared for other, shared in shared_settings(one) if other is setting), None)
    if setting is None or setting.text is None or found is None:
        return ObservedValue(ABSENT, ABSENT)
    meaning = _meaning(found.secrecy, config, spec)
    return observe(setting.text, found.secrecy, fingerprints, str(setting.location), meaning)


def _meaning(secrecy: Secrecy, config: Config, spec: Spec | None) -> Meaning:
    if secrecy == "pairs":
        return sql_meaning(sql_clients.candidates(core=True)[-1])
    if secrecy == "redis":
        return redis_meaning(store_strings.redis_clients_of(spec, config)[0])
    return storage_meaning if secrecy == "storage" else plain


def inventory(config: Config, fingerprints: Fingerprints) -> list[Key]:
    """The keys of a node's services; raises NodeError if a file cannot be read or is encrypted."""
    raise_all(list(problems(config)))
    return [key for one in config.services for key in _keys(one, fingerprints)]


def _keys(one: Service, fingerprints: Fingerprints) -> Iterator[Key]:
    for setting, shared in shared_settings(one):
        if shared.secrecy == "key" and setting.text:
            shown = fingerprints.shown(setting.text, "key")
            yield Key(setting.name, one.name, shown, len(setting.text), describe(setting.text), setting.location)
