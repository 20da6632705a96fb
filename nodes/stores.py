"""The settings of the stores that nodes share: sessions, SignalR's messages, the scheduler, the packages.

Sources: the guide, steps 4 to 8, for `server-port` (the six `LoadBalancer.*` settings), the sessionState and Quartz;
UiPath's support article on Redis (2018.4, 2019.4) and its documentation of 2020.10 to 2024.10 for
`connection-string`; UiPath's Azure template of 2019.10 for the SignalR scale-out settings.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from ..core.errors import Location, NodeError, SpecError
from ..spec.load import Spec
from ..spec.model import Farm, Redis, SqlLogin
from ..spec.orchestrator import normalized
from . import connection
from .config.effective import APP, SESSION_STATE, Config
from .config.settings import Setting
from .values import DesiredSetting, SecretPart, Value, plain, referred

Family = Literal["server-port", "connection-string"]

SERVER_PORT: Final = (
    "LoadBalancer.UseSqlServer",
    "LoadBalancer.UseRedis",
    "LoadBalancer.DisableBackgroundJobs",
    "LoadBalancer.Redis.Server",
    "LoadBalancer.Redis.Port",
    "LoadBalancer.Redis.Password",
)
REDIS_STRING: Final = "LoadBalancer.Redis.ConnectionString"
SCALE_OUT: Final = "LoadBalancer.SignalR.UseRedisScaleout"
SCALE_OUT_STRING: Final = "LoadBalancer.SignalR.RedisScaleout.ConnectionString"
ENABLED: Final = "LoadBalancer.Enabled"
QUARTZ: Final = "quartz.jobStore.clustered"
NUGET_COORDINATION: Final = "NuGet.EnableRedisNodeCoordination"
NUGET_COORDINATED: Final = ((2018, 4), (2019, 4))
"""The versions that coordinate packages through Redis."""

_SIGNS: Final[dict[Family, frozenset[str]]] = {
    "server-port": frozenset(name.lower() for name in (SERVER_PORT[0], *SERVER_PORT[2:])),
    "connection-string": frozenset(name.lower() for name in (REDIS_STRING, SCALE_OUT, SCALE_OUT_STRING, ENABLED)),
}
"""The settings that only one family has (`LoadBalancer.UseRedis` is in both)."""

STORAGE: Final = (
    "Storage.Type",
    "Storage.Location",
    "NuGet.Packages.Path",
    "NuGet.Activities.Path",
    "NuGet.Repository.Type",
    "packagesPath",
)
_LOCAL_PATH: Final = re.compile(r"(?:RootPath=)?\s*(?:[A-Za-z]:[\\/]|~|\.|[^\\/;=]+\Z)")


_SHARED_PATH: Final = re.compile(r"(?:RootPath=)?\s*\\\\[^;=]+\Z")
"""A UNC path: no other form is cloned, because cloud storage has secrets in its location."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of a farm as values for the nodes' settings."""

    farm: Farm
    session: Value | None
    """The sessions' connection string; None if sessions stay in memory."""
    redis_host: str
    redis_port: str
    redis_password: SecretPart | None
    redis_string: Value | None

    @property
    def secrets(self) -> tuple[SecretPart, ...]:
        """The secrets of the spec that the nodes' settings need."""
        values = [self.session.parts if self.session is not None else (), (self.redis_password,)]
        return tuple(part for parts in values for part in parts if isinstance(part, SecretPart))


def stores_of(spec: Spec, *, classic: bool = True) -> Stores:
    """The stores of a spec; raises SpecError if a key that the nodes need is missing.

    Only `classic` nodes have sessions to store.
    """
    farm = spec.farm
    session = _session_string(spec) if classic and farm.stores.session == "sqlserver" else None
    redis = farm.stores.redis if farm.stores.signalr == "redis" else None
    if redis is None or redis.host is None:
        return Stores(farm, session, "", "", None, None)
    password = redis_password(spec)
    try:
        host = connection.redis_host(redis.host)
    except connection.UnsupportedValueError as error:
        problem = spec.problem(("stores", "redis", "host"), str(error), "write a host name or an IPv4 address")
        raise SpecError([problem]) from None
    return Stores(farm, session, host, str(redis.port), password, _redis_string(redis, password))


def redis_password(spec: Spec) -> SecretPart | None:
    """The password of Redis; None if SignalR does not use Redis, or Redis has no password."""
    redis = spec.farm.stores.redis
    if spec.farm.stores.signalr != "redis" or redis is None or redis.password is None:
        return None
    path = ("stores", "redis", "password")
    return referred(spec, path, redis.password, "RedisPassword", "redis" if redis.sentinel is None else "sentinel")


def sql_password(spec: Spec) -> SecretPart | None:
    """The password of the SQL Server login; None with Windows authentication."""
    database = spec.farm.stores.database
    login = database.auth if database is not None else None
    if not isinstance(login, SqlLogin) or login.password is None:
        return None
    return referred(spec, ("stores", "database", "auth", "password"), login.password, "SqlPassword", "sql")


def _session_string(spec: Spec) -> Value | None:
    database = spec.farm.stores.database
    if database is None:
        problem = spec.problem(
            ("stores",),
            "sessions are stored in SQL Server, but no database is named",
            r"write `database: {server: SQL01\PROD, name: UiPath, auth: windows}` under `stores`",
        )
        raise SpecError([problem])
    start = f"Server={connection.sql_value(database.server)};Database={connection.sql_value(database.name)};"
    login = database.auth
    if not isinstance(login, SqlLogin):
        return Value((f"{start}Trusted_Connection=true;",), "pairs")
    password = sql_password(spec)
    if login.user is None or password is None:
        raise ValueError("a login without user or password passed the checks of the spec")
    return Value((f"{start}user id={connection.sql_value(login.user)};password=", password, ";"), "pairs")


def _redis_string(redis: Redis, password: SecretPart | None) -> Value:
    """The connection string of StackExchange.Redis; `ssl` as in UiPath's Azure template."""
    parts: tuple[str | SecretPart, ...] = (f"{redis.host}:{redis.port}",)
    if redis.user is not None:
        parts += (f",user={redis.user}",)
    if password is not None:
        parts += (",password=", password)
    return Value((*parts, ",ssl=True,abortConnect=False") if redis.tls else parts, "redis")


def families(config: Config) -> list[Family]:
    """The families whose settings a file has."""
    keys = set(config.app.names())
    return [family for family, signs in _SIGNS.items() if keys & signs]


def family(spec: Spec, config: Config, primary: Config) -> Family:
    """The family of settings for a node's file; raises NodeError if it is not clear."""
    asked = spec.farm.stores.signalr_keys
    if asked != "auto":
        return "server-port" if asked == "server-port" else "connection-string"
    for candidate in (config, primary):
        shown = families(candidate)
        if len(shown) == 1:
            return shown[0]
        if len(shown) > 1:
            raise _unclear(candidate, "the file has the SignalR settings of two families")
    if config.kind == "core":
        return "connection-string"
    raise _unclear(config, "the file does not show which SignalR settings this version uses")


def _unclear(config: Config, what: str) -> NodeError:
    place = config.main.root.start if config.app.home is None else config.app.home.element.start
    return config.main.error(
        place if config.app.home is None or config.app.home.document is config.main else config.main.root.start,
        f"{what}: {', '.join(SERVER_PORT[3:])} (`server-port`), or {REDIS_STRING} (`connection-string`)",
        "find the settings in the documentation of this version, and write `signalr_keys: server-port` or "
        "`signalr_keys: connection-string` under `stores`",
    )


def desired_settings(spec: Spec, stores: Stores, config: Config, primary: Config) -> Iterator[DesiredSetting]:
    """The settings that connect a node to the farm's stores."""
    if config.kind == "classic" and stores.session is not None:
        yield DesiredSetting(SESSION_STATE, "mode", plain("SQLServer"))
        yield DesiredSetting(SESSION_STATE, "sqlConnectionString", stores.session, "pairs")
        yield DesiredSetting(SESSION_STATE, "allowCustomSqlDatabase", plain("true"))
    if family(spec, config, primary) == "server-port":
        yield from _server_port(spec, stores, config)
    else:
        yield from _connection_string(spec, stores, config)
    yield DesiredSetting(APP, QUARTZ, plain("true"))
    for name, value in shared_storage(primary).items() if config is not primary else ():
        yield DesiredSetting(APP, name, plain(value))


def shared_storage(primary: Config) -> dict[str, str]:
    """The settings of a package share that the first node uses, by their names; empty if it uses none."""
    found = {name: entry.value for name in STORAGE if (entry := primary.app.get(name)) is not None}
    local = found.get("Storage.Type", "FileSystem").lower() == "filesystem"
    shares = {name for name, value in found.items() if local and _SHARED_PATH.match(value.strip().strip('"'))}
    kinds = {"Storage.Type", "NuGet.Repository.Type"} if shares else set()
    return {name: value for name, value in found.items() if name in shares | kinds}


def _server_port(spec: Spec, stores: Stores, config: Config) -> Iterator[DesiredSetting]:
    store = spec.farm.stores.signalr
    redis = spec.farm.stores.redis
    if stores.redis_string is not None and redis is not None and (redis.tls or redis.user):
        what, key = ("TLS", "tls") if redis.tls else ("users", "user")
        hint = f"leave out `{key}` under `stores.redis`, or correct `signalr_keys`"
        raise _cannot(config, f"LoadBalancer.Redis.Server and its related settings do not support {what}", hint)
    values = (
        plain(str(store == "sqlserver").lower()),
        plain(str(store == "redis").lower()),
        plain("false"),
        plain(stores.redis_host),
        plain(stores.redis_port),
        Value((stores.redis_password,), "password") if stores.redis_password else plain(""),
    )
    for name, value in zip(SERVER_PORT, values, strict=True):
        yield DesiredSetting(APP, name, value, "password" if name.endswith("Password") else "open")


def _connection_string(spec: Spec, stores: Stores, config: Config) -> Iterator[DesiredSetting]:
    store, chosen = spec.farm.stores.signalr, spec.farm.stores
    if store == "sqlserver":
        hint = "write `signalr: redis` under `stores`, which UiPath recommends"
        raise _cannot(config, f"with {REDIS_STRING} no setting is documented for SignalR in SQL Server", hint)
    redis = str(store == "redis").lower()
    enabled = chosen.load_balancer_enabled
    if enabled is None and store == "redis" and config.kind == "classic":
        enabled = True
    if enabled is not None:
        yield DesiredSetting(APP, ENABLED, plain(str(enabled).lower()))
    yield DesiredSetting(APP, "LoadBalancer.UseRedis", plain(redis))
    if stores.redis_string is not None:
        yield DesiredSetting(APP, REDIS_STRING, stores.redis_string, "redis")
    if config.app.get(SCALE_OUT) is not None:
        yield DesiredSetting(APP, SCALE_OUT, plain(redis))
        if stores.redis_string is not None:
            yield DesiredSetting(APP, SCALE_OUT_STRING, stores.redis_string, "redis")
    version = spec.farm.orchestrator.version
    if store == "redis" and version is not None and normalized(version).parts[:2] in NUGET_COORDINATED:
        yield DesiredSetting(APP, NUGET_COORDINATION, plain("true"))


def _cannot(config: Config, why: str, hint: str) -> NodeError:
    return config.main.error(config.main.root.start, why, hint)


def other_database(spec: Spec, config: Config) -> tuple[Location, str] | None:
    """The location and the message if a node's own connection string names another database than the spec; else None.

    The guide, step 3: the session tables are in the main database.
    """
    database, entry = spec.farm.stores.database, config.connections.get("Default")
    if database is None or entry is None:
        return None
    try:
        pairs = dict(connection.canonical(entry.value))
    except ValueError:
        return None
    server, name = pairs.get("server", ""), pairs.get("database", "")
    same_server = not server or connection.same_server(server, database.server)
    if same_server and (not name or name.lower() == database.name.lower()):
        return None
    key = ("stores", "database", "name" if same_server else "server")
    sessions = config.kind == "classic" and spec.farm.stores.session == "sqlserver"
    message = (
        f"connectionStrings/Default names the database {name or '(default)'} on {server or '(local)'}, and the spec "
        f"({spec.document.location(key)}) names {database.name} on {database.server}"
        + (": sessions would go there, but their tables belong in the main database" if sessions else "")
    )
    return entry.document.location(entry.element.start), message


def local_storage(config: Config) -> Iterator[tuple[str, Setting]]:
    """The settings that store packages on the node's own disk, where other nodes cannot read them, by their names."""
    local_type = (config.app.value("Storage.Type") or "FileSystem").lower() == "filesystem"
    for name in ("Storage.Location", "NuGet.Packages.Path", "NuGet.Activities.Path", "packagesPath"):
        entry = config.app.get(name)
        if entry is not None and local_type and _LOCAL_PATH.match(entry.value.strip().strip('"')):
            yield name, entry


def notes(config: Config, primary: Config) -> Iterator[str]:
    """Notes on a node's stores that a plan cannot correct."""
    shared = shared_storage(primary)
    for name, entry in local_storage(config):
        if name in shared:
            continue
        place = entry.document.location(entry.element.start)
        yield f"{place}: {name} is on the node's own disk: the other nodes cannot serve these packages"
    if config.kind == "core" and config.app.get(QUARTZ) is None:
        yield (
            f"{config.path}: the plan adds {QUARTZ}: it is not documented whether versions from 2020.10 on read it; "
            "it does no harm"
        )
