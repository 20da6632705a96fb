"""Problems of one node's file that need no spec: what no farm can have, and what no site starts with."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from ..core.errors import Location
from ..spec.load import Spec
from ..spec.strings import redis, servers, sql, sql_clients
from ..spec.strings.endpoints import Endpoint
from ..spec.strings.kinds import Refusal
from . import keys, storage, store_files, store_strings, stores
from .config.effective import APP, CONNECTIONS, MACHINE_KEY, SECURE, SESSION_STATE, Config
from .config.settings import ConfigSection, Setting

SECTIONS: Final = (MACHINE_KEY, SECURE, APP, CONNECTIONS, SESSION_STATE)
_PLAN: Final = "`nlbgen nodes plan` shows the change, `nlbgen nodes apply` makes it"


class FileFinding(NamedTuple):
    """A problem of a file: its id, the message, what to do, and the location."""

    id: str
    message: str
    hint: str
    location: Location


def findings(
    config: Config, spec: Spec | None = None, *, several: bool = True, sections: Sequence[str] = SECTIONS
) -> Iterator[FileFinding]:
    """The problems of a file; with `several`, also those that only two or more nodes have.

    `sections` are those that must not be encrypted.
    """
    yield from _encrypted(config, sections)
    yield from _builders(config)
    yield from _strings(config, spec)
    if several:
        for check in _OF_A_FARM:
            yield from check(config)
        yield from _redis(config, spec)


def _encrypted(config: Config, sections: Sequence[str]) -> Iterator[FileFinding]:
    for name in sections:
        section = config.section(name)
        if section is not None and section.protected:
            error = config.encrypted(section)
            yield FileFinding(error.rule, error.description, error.hint or "", error.location)


def _builders(config: Config) -> Iterator[FileFinding]:
    for name in SECTIONS:
        section = config.section(name)
        written = None if section is None else section.element.get("configBuilders")
        if section is not None and written:
            yield FileFinding(
                "config-builders",
                f"configBuilders={written} fills in <{section.element.name}> when the site starts: the node may "
                "use other values than those in the file",
                "on every node, compare the values that the config builder reads, for example environment variables",
                _place(section),
            )


def _place(section: ConfigSection) -> Location:
    return section.document.location(section.element.start)


def _strings(config: Config, spec: Spec | None) -> Iterator[FileFinding]:
    """The strings with which the node's library does not start."""
    for entry in config.connections.entries():
        if _is_sql(entry):
            found = sql.refusal(entry.value, store_files.sql_clients_of(config, entry))
            yield from _refused(f"connectionStrings/{entry.key}", found, entry.location)
    clients = store_strings.redis_clients_of(spec, config)
    for name, entry in _redis_strings(config):
        yield from _refused(name, redis.refusal(entry.value, clients), entry.location)
        lost = redis.read(entry.value, clients[0]).lost
        if lost:
            message = f"{name}: {clients[0].name} ignores {lost[0]} without an error"
            hint = (
                "write HOST:PORT, not a URL; before Orchestrator 2020.10, the library also cannot read IPv6 addresses"
            )
            yield FileFinding(store_strings.STRING_ID, message, hint, entry.location)
    session = _session(config)
    text = None if session is None else session.element.get("sqlConnectionString")
    if session is not None and text is not None and _mode(session) == "sqlserver":
        place = session.document.location(session.element.attributes["sqlConnectionString"].name_start)
        yield from _refused("sessionState sqlConnectionString", sql.refusal(text, (sql_clients.FRAMEWORK,)), place)


def _is_sql(entry: Setting) -> bool:
    """Whether the string is SqlClient's: `providerName` names it or nothing."""
    provider = (entry.element.get("providerName") or "").lower()
    return provider in {"", *sql_clients.PROVIDERS}


def _refused(name: str, refusal: Refusal | None, location: Location) -> Iterator[FileFinding]:
    if refusal is not None:
        yield FileFinding(store_strings.STRING_ID, f"{name}: {refusal.message}", refusal.hint, location)


def _redis_strings(config: Config) -> Iterator[tuple[str, Setting]]:
    """The strings of Redis that the node uses."""
    for switch, name in (
        ("LoadBalancer.UseRedis", stores.REDIS_STRING),
        (stores.SCALE_OUT, stores.SCALE_OUT_STRING),
    ):
        entry = config.app.get(name)
        if entry is not None and (config.app.value(switch) or "").lower() == "true":
            yield name, entry


def _keys(config: Config) -> Iterator[FileFinding]:
    section = config.section(MACHINE_KEY)
    if section is not None and section.protected:
        return
    if section is None or any(keys.is_generated(section.element.get(name)) for name in keys.MACHINE_KEYS):
        place = config.main.location(config.main.root.start) if section is None else _place(section)
        message = (
            "ASP.NET generates a different machineKey on each machine: no other node can decrypt the data of this node"
        )
        yield FileFinding(keys.AUTOGENERATE_ID, message, keys.AUTOGENERATE_HINT, place)
        return
    for name in keys.MACHINE_KEYS:
        reason = keys.refused_machine_key(section, name)
        if reason:
            place = section.document.location(section.element.attributes[name].name_start)
            yield FileFinding(keys.MACHINE_KEY_ID, reason, keys.AUTOGENERATE_HINT, place)


def _session(config: Config) -> ConfigSection | None:
    section = config.section(SESSION_STATE) if config.kind == "classic" else None
    return None if section is None or section.protected else section


def _mode(section: ConfigSection) -> str:
    return (section.element.get("mode") or "").lower()


def _sessions(config: Config) -> Iterator[FileFinding]:
    section = config.section(SESSION_STATE)
    if config.kind == "core" or (section is not None and section.protected):
        return
    place = config.main.location(config.main.root.start) if section is None else _place(section)
    mode = None if section is None else section.element.get("mode")
    if section is None or mode is None or mode.lower() in {"inproc", "off"}:
        message = f"sessions stay in this node's memory (sessionState mode {mode or 'not given'})"
        yield FileFinding("session-inproc", message, _PLAN, place)
    elif mode == "StateServer":
        yield from _state_server(section, place)
    elif mode == "SQLServer":
        yield from _session_database(section, place)


def _state_server(section: ConfigSection, place: Location) -> Iterator[FileFinding]:
    """ASP.NET's default for `stateConnectionString` is `tcpip=loopback:42424`."""
    text = section.element.get("stateConnectionString") or "tcpip=loopback:42424"
    host = text.partition("=")[2].rpartition(":")[0].strip("[] ")
    if host.lower() == "loopback" or Endpoint(host).is_loopback:
        message = (
            "sessionState mode StateServer uses the state service of this machine: the other nodes do not have the "
            "sessions"
        )
        yield FileFinding("session-stateserver", message, _PLAN, place)


def _session_database(section: ConfigSection, place: Location) -> Iterator[FileFinding]:
    """ASP.NET's default for `sqlConnectionString` is the SQL Server of this machine."""
    text = section.element.get("sqlConnectionString")
    if not text:
        message = "sessionState mode SQLServer has no sqlConnectionString: ASP.NET uses the SQL Server of this machine"
        yield FileFinding("session-database", message, _PLAN, place)
        return
    found = sql.read(text, sql_clients.FRAMEWORK)
    if found.refusal is not None:
        return
    server = found.text("Data Source")
    if servers.is_local(server):
        message = f"sessions are in the SQL Server of this machine ({server or 'no server is named'})"
        yield FileFinding("session-database", f"{message}: the other nodes do not have them", _PLAN, place)
    custom = (section.element.get("allowCustomSqlDatabase") or "").lower() == "true"
    if not custom and found.given.get("Initial Catalog"):
        message = "sqlConnectionString names a database, but allowCustomSqlDatabase is not true: ASP.NET does not start"
        yield FileFinding("session-database", message, _PLAN, place)


def _signalr(config: Config) -> Iterator[FileFinding]:
    if config.app.home is None or config.app.home.protected:
        return
    uses = [config.app.value(key) for key in ("LoadBalancer.UseRedis", "LoadBalancer.UseSqlServer", stores.SCALE_OUT)]
    if not any((use or "").lower() == "true" for use in uses):
        message = "SignalR's messages stay in this node's memory: robots on the other nodes are not reached"
        yield FileFinding("signalr-inproc", message, _PLAN, _place(config.app.home))


def _redis(config: Config, spec: Spec | None) -> Iterator[FileFinding]:
    client = store_strings.redis_clients_of(spec, config)[0]
    for name, entry in _redis_strings(config):
        found = redis.read(entry.value, client)
        if any(server.is_loopback for server in found.endpoints):
            message = (
                f"{name} is a Redis on the node itself: each node would connect to its own Redis, not to the same one"
            )
            yield FileFinding("redis-loopback", message, _PLAN, entry.location)
        if config.kind == "core" and found.given.get("abortConnect") is False:
            message = (
                f"{name} has abortConnect=False: a node that starts while Redis is down never gets SignalR's messages"
            )
            hint = (
                "write `options: {abortConnect: true}` under `stores.redis`; `nlbgen nodes plan` then shows the change"
            )
            yield FileFinding("redis-abort-connect", message, hint, entry.location)
    single = config.app.get(stores.SERVER_PORT[3])
    used = (config.app.value("LoadBalancer.UseRedis") or "").lower() == "true"
    if single is not None and used and Endpoint(single.value.strip()).is_loopback:
        message = (
            f"{single.key} is a Redis on the node itself: each node would connect to its own Redis, not to the same one"
        )
        yield FileFinding("redis-loopback", message, _PLAN, single.location)


def _quartz(config: Config) -> Iterator[FileFinding]:
    if config.app.home is None or config.app.home.protected:
        return
    entry = config.app.get(stores.QUARTZ)
    if entry is None and config.kind == "core":
        return  # whether these versions read it is not documented
    if entry is None or entry.value.lower() != "true":
        message = f"{stores.QUARTZ} is not true: each node starts every scheduled job"
        place = _place(config.app.home) if entry is None else entry.location
        yield FileFinding("quartz", message, "`nlbgen nodes apply` sets it", place)


def _storage(config: Config) -> Iterator[FileFinding]:
    for key, entry in storage.local(config):
        message = f"{key} is on the node's own disk: the other nodes cannot serve these packages"
        hint = r"move the packages to a share, and write its path (\\server\share) on every node"
        yield FileFinding("package-storage", message, hint, entry.location)


def _database(config: Config) -> Iterator[FileFinding]:
    entry, string = config.connections.get("Default"), store_files.default_string(config)
    if entry is None or string is None or string.refusal is not None:
        return
    server = string.text("Data Source")
    if server and servers.is_local(server):
        message = f"connectionStrings/Default is the SQL Server of this machine ({server}): each node would use its own"
        yield FileFinding("database-local", message, "write the server's name on every node", entry.location)


_OF_A_FARM: Final[Sequence[Callable[[Config], Iterator[FileFinding]]]] = (
    _keys,
    _sessions,
    _signalr,
    _quartz,
    _storage,
    _database,
)
