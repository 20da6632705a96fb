"""The settings of a node that all nodes must share, as values that can be compared and shown."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from ..core.plan import Shown
from ..spec.load import Spec
from ..spec.strings import redis, sql, sql_clients
from ..spec.strings.kinds import Client
from ..spec.strings.sql_syntax import SyntaxProblemError, pairs
from . import keys, public_url, storage, store_files, store_strings, stores
from .config.effective import APP, CONNECTIONS, MACHINE_KEY, SECURE, SESSION_STATE, Config
from .config.lexer import Element
from .config.settings import ConfigSection
from .fingerprints import Fingerprints, Secrecy

ENCRYPTED: Final = "(encrypted)"
ABSENT: Final = "-"
Meaning = Callable[[str], object]
"""A function from a text to what it means, independent of its spelling."""


class ObservedValue(NamedTuple):
    """The value of one setting on one node; `identity` is compared (a hash for a secret), and None equals nothing."""

    shown: str
    identity: object
    location: str = ""


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
_PROVIDER: Final = frozenset(
    {
        "applicationname",
        "connectiontimeoutinmilliseconds",
        "databaseid",
        "host",
        "operationtimeoutinmilliseconds",
        "port",
        "retrytimeoutinmilliseconds",
        "ssl",
        "throwonerror",
        "type",
    }
)
"""The attributes of a provider of sessions that hold no secret, in lower case."""
_SETTINGS: Final[dict[str, Secrecy]] = {
    **dict.fromkeys((*keys.API_KEYS, *keys.OTHER_KEYS), "key"),
    "EncryptionKeyPerTenant.Enabled": "open",
    stores.ENABLED: "open",
    **dict.fromkeys(stores.SERVER_PORT[:-1], "open"),
    stores.SERVER_PORT[-1]: "password",
    stores.REDIS_STRING: "redis",
    stores.SCALE_OUT: "open",
    stores.SCALE_OUT_STRING: "redis",
    stores.NUGET_COORDINATION: "open",
    stores.QUARTZ: "open",
    **dict.fromkeys(storage.SETTINGS, "storage"),
    **dict.fromkeys(public_url.SETTINGS, "url"),
}


def values(config: Config, fingerprints: Fingerprints, spec: Spec | None) -> Iterator[tuple[str, ObservedValue]]:
    """Every setting that nodes must share; one that no node has is `ABSENT` on all of them."""
    yield "version (from the settings)", _open(version_range(config))
    yield "SignalR settings", _open(" and ".join(stores.families(config)) or ABSENT)
    yield from _attributes(config, MACHINE_KEY, _MACHINE, fingerprints)
    yield f"{keys.ENCRYPTION_KEY}", _encryption_key(config, fingerprints)
    yield from _attributes(config, SESSION_STATE, _SESSION, fingerprints)
    yield from _providers(config, fingerprints)
    client = store_strings.redis_clients_of(spec, config)[0]
    for name, secrecy in _SETTINGS.items():
        yield name, _setting(config, name, secrecy, fingerprints, client)
    yield from _connections(config, fingerprints)


def _open(text: str) -> ObservedValue:
    return ObservedValue(text, text)


def observe(value: str, secrecy: Secrecy, fingerprints: Fingerprints, place: str, meaning: Meaning) -> ObservedValue:
    """A value with its secrets masked, and what it means."""
    identity = meaning(value)
    if secrecy != "open":
        identity = hashlib.sha256(repr(identity).encode("utf-8")).hexdigest()
    return ObservedValue(str(_safe(value, secrecy, fingerprints)), identity, place)


def _safe(value: str, secrecy: Secrecy, fingerprints: Fingerprints) -> Shown:
    """The value with its secrets masked; the path of a share has no pairs and is shown unchanged."""
    if secrecy == "storage" and "=" not in value:
        return Shown(value)
    return fingerprints.shown(value, secrecy)


def plain(value: str) -> object:
    """The meaning of a plain value: true and false in any case."""
    return value.lower() if value.lower() in {"true", "false"} else value


def storage_meaning(value: str) -> object:
    """The meaning of the location of a storage: its pairs in any order."""
    try:
        return tuple(sorted((pair.key, pair.value) for pair in pairs(value)))
    except SyntaxProblemError:
        return value


def sql_meaning(client: Client) -> Meaning:
    """The meaning of connection strings to a SqlClient."""
    return lambda text: sql.meaning(text, client)


def redis_meaning(client: Client) -> Meaning:
    """The meaning of connection strings to a version of StackExchange.Redis."""
    return lambda text: redis.meaning(text, client)


def _attributes(
    config: Config, name: str, attributes: Mapping[str, Secrecy], fingerprints: Fingerprints
) -> Iterator[tuple[str, ObservedValue]]:
    section = config.section(name)
    short = name.rpartition("/")[2]
    meanings: dict[str, Meaning] = {
        **dict.fromkeys(keys.MACHINE_KEYS, str.upper),
        "sqlConnectionString": sql_meaning(sql_clients.FRAMEWORK),
    }
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
            text = value.upper() if secrecy == "key" and not keys.is_generated(value) else value
            observed = observe(text, secrecy, fingerprints, place, meanings.get(attribute, plain))
            generated = secrecy == "key" and keys.is_generated(value)
            yield title, ObservedValue(observed.shown, None, place) if generated else observed


def _providers(config: Config, fingerprints: Fingerprints) -> Iterator[tuple[str, ObservedValue]]:
    """The attributes of the providers that can keep the sessions."""
    section = config.section(SESSION_STATE)
    if section is None or section.protected:
        return
    for group in section.element.named("providers"):
        for provider in group.named("add"):
            yield from _provider(section, provider, fingerprints)


def _provider(
    section: ConfigSection, provider: Element, fingerprints: Fingerprints
) -> Iterator[tuple[str, ObservedValue]]:
    name = provider.get("name") or ABSENT
    for attribute, written in provider.attributes.items():
        if attribute == "name":
            continue
        folded = attribute.lower()
        secrecy: Secrecy = "redis" if folded == "connectionstring" else "open" if folded in _PROVIDER else "password"
        place = str(section.document.location(written.name_start))
        yield f"sessionState provider {name} {attribute}", observe(written.value, secrecy, fingerprints, place, plain)


def _encrypted(section: ConfigSection) -> ObservedValue:
    return ObservedValue(ENCRYPTED, None, str(section.document.location(section.element.start)))


def _encryption_key(config: Config, fingerprints: Fingerprints) -> ObservedValue:
    """The key; where its two sections have different ones, both: such a value equals no single key."""
    found = {entry.value: entry for _section, entry in keys.occurrences(config, keys.ENCRYPTION_KEY)}
    each = [observe(value, "key", fingerprints, str(entry.location), plain) for value, entry in found.items()]
    if len(each) > 1:
        shown, identity = " and ".join(one.shown for one in each), tuple(one.identity for one in each)
        return ObservedValue(shown, identity, each[-1].location)
    if each:
        return each[0]
    for name in (SECURE, APP):
        section = config.section(name)
        if section is not None and section.protected:
            return _encrypted(section)
    return _open(ABSENT)


def _setting(config: Config, name: str, secrecy: Secrecy, fingerprints: Fingerprints, client: Client) -> ObservedValue:
    if config.app.home is not None and config.app.home.protected:
        return _encrypted(config.app.home)
    entry = config.app.get(name)
    if entry is None:
        return _open(ABSENT)
    meanings: dict[Secrecy, Meaning] = {"redis": redis_meaning(client), "storage": storage_meaning}
    return observe(entry.value, secrecy, fingerprints, str(entry.location), meanings.get(secrecy, plain))


def _connections(config: Config, fingerprints: Fingerprints) -> Iterator[tuple[str, ObservedValue]]:
    home = config.connections.home
    if home is not None and home.protected:
        yield CONNECTIONS, _encrypted(home)
        return
    for entry in config.connections.entries():
        meaning = sql_meaning(store_files.sql_clients_of(config, entry)[-1])
        yield f"connection {entry.key}", observe(entry.value, "pairs", fingerprints, str(entry.location), meaning)


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
