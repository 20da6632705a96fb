"""The settings of the stores that nodes share: sessions, SignalR's messages, the scheduler, the packages.

Sources: the guide, steps 4 to 8, for `server-port` (the six `LoadBalancer.*` settings), the sessionState and Quartz;
UiPath's support article on Redis (2018.4, 2019.4) and its documentation of 2020.10 to 2024.10 for
`connection-string`; UiPath's Azure template of 2019.10 for the SignalR scale-out settings.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from ..core.errors import NodeError, SpecError
from ..spec.load import Spec
from ..spec.model import Database, Redis, SqlLogin
from ..spec.orchestrator import normalized
from . import storage
from .config.effective import APP, SESSION_STATE, Config
from .store_strings import redis_clients_of, redis_value, require_known_addresses, session_value
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

CUSTOM_ID: Final = "session-custom"
"""The id of sessions that do not agree with `session: custom`."""

_SIGNS: Final[dict[Family, frozenset[str]]] = {
    "server-port": frozenset(name.lower() for name in (SERVER_PORT[0], *SERVER_PORT[2:])),
    "connection-string": frozenset(name.lower() for name in (REDIS_STRING, SCALE_OUT, SCALE_OUT_STRING, ENABLED)),
}
"""The settings that only one family has (`LoadBalancer.UseRedis` is in both)."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of a farm as the nodes' settings need them."""

    database: Database | None
    """The database of the sessions; None if they are not stored in SQL Server."""
    sql_password: SecretPart | None
    redis: Redis | None
    """The Redis that carries SignalR's messages, if one does."""
    redis_password: SecretPart | None

    @property
    def secrets(self) -> tuple[SecretPart, ...]:
        """The secrets of the spec that the nodes' settings need."""
        own = self.sql_password if self.database is not None else None
        return tuple(part for part in (own, self.redis_password) if part is not None)


def stores_of(spec: Spec, *, classic: bool = True) -> Stores:
    """The stores of a spec; raises SpecError if a key that the nodes need is missing.

    Only `classic` nodes have sessions to store.
    """
    farm = spec.farm
    database = _session_database(spec) if classic and farm.stores.session == "sqlserver" else None
    return Stores(database, sql_password(spec), farm.stores.backplane, redis_password(spec))


def redis_password(spec: Spec) -> SecretPart | None:
    """The password of Redis; None if SignalR does not use Redis, or Redis has no password."""
    redis = spec.farm.stores.backplane
    if redis is None or redis.password is None:
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


def _session_database(spec: Spec) -> Database:
    database = spec.farm.stores.database
    if database is None:
        problem = spec.problem(
            ("stores",),
            "sessions are stored in SQL Server, but no database is named",
            r"write `database: {server: SQL01\PROD, name: UiPath, auth: windows}` under `stores`",
        )
        raise SpecError([problem])
    return database


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
    """The settings that connect a node to the farm's stores; raises NodeError or SpecError."""
    if config.kind == "classic":
        yield from _sessions(spec, stores, config)
    if family(spec, config, primary) == "server-port":
        yield from _server_port(spec, stores, config)
    else:
        yield from _connection_string(spec, stores, config)
    yield DesiredSetting(APP, QUARTZ, plain("true"))
    for name, value in storage.shared(primary).items() if config is not primary else ():
        yield DesiredSetting(APP, name, plain(value))


def _sessions(spec: Spec, stores: Stores, config: Config) -> Iterator[DesiredSetting]:
    if spec.farm.stores.session == "custom":
        require_custom(config)
    if stores.database is None:
        return
    section = config.section(SESSION_STATE)
    config.require_open(SESSION_STATE)
    mode = None if section is None else section.element.get("mode")
    if mode == "Custom" and section is not None and "session" not in spec.farm.stores.written:
        raise section.document.error(
            section.element.start,
            "sessionState mode=Custom stores sessions with a provider, but the spec does not say whether to keep "
            "this provider",
            "to keep the provider, write `session: custom` under `stores`; to replace it, write `session: sqlserver`",
            CUSTOM_ID,
        )
    text, location = "", config.main.location(config.main.root.start)
    if section is not None:
        attribute = section.element.attributes.get("sqlConnectionString")
        text = "" if attribute is None else attribute.value
        start = section.element.start if attribute is None else attribute.name_start
        location = section.document.location(start)
    value = session_value(stores.database, stores.sql_password, text, location)
    yield DesiredSetting(SESSION_STATE, "mode", plain("SQLServer"))
    yield DesiredSetting(SESSION_STATE, "sqlConnectionString", value, "pairs")
    yield DesiredSetting(SESSION_STATE, "allowCustomSqlDatabase", plain("true"))


def require_custom(config: Config) -> None:
    """Raise NodeError unless a node keeps its sessions with a provider of its own, as `session: custom` says."""
    section = config.section(SESSION_STATE)
    config.require_open(SESSION_STATE)
    mode = "not given" if section is None else section.element.get("mode") or "not given"
    if mode != "Custom":
        raise config.main.error(
            config.main.root.start if section is None or section.document is not config.main else section.element.start,
            f"the spec says `session: custom`, but the sessionState mode of this node is {mode}",
            "write the sessionState with its provider into this file, as UiPath's article for your version shows "
            "it; or write `session: sqlserver` in the spec",
            CUSTOM_ID,
        )


def _server_port(spec: Spec, stores: Stores, config: Config) -> Iterator[DesiredSetting]:
    store, redis = spec.farm.stores.signalr, stores.redis
    if redis is not None:
        _require_single(redis, config)
        require_known_addresses(spec, redis, redis_clients_of(spec, config))
    values = {
        SERVER_PORT[0]: plain(str(store == "sqlserver").lower()),
        SERVER_PORT[1]: plain(str(store == "redis").lower()),
        SERVER_PORT[2]: plain("false"),
        SERVER_PORT[3]: plain(redis.host or "" if redis is not None else ""),
        SERVER_PORT[4]: plain(str(redis.port) if redis is not None else ""),
    }
    for name, value in values.items():
        yield DesiredSetting(APP, name, value)
    name = SERVER_PORT[5]
    if stores.redis_password is not None:
        yield DesiredSetting(APP, name, Value((stores.redis_password,), "password"), "password")
    elif not config.app.value(name):
        yield DesiredSetting(APP, name, plain(""), "password")


def _require_single(redis: Redis, config: Config) -> None:
    unsupported = {
        "TLS": (redis.tls, "remove `tls`"),
        "users": (redis.user, "remove `user`"),
        "several servers": (len(redis.named) > 1, "write only one server"),
        "options": (redis.settings, "remove `options`"),
    }
    for what, (has, leave) in unsupported.items():
        if has:
            hint = f"{leave} under `stores.redis`, or correct `signalr_keys`"
            raise _cannot(config, f"LoadBalancer.Redis.Server and its related settings do not support {what}", hint)


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
    if stores.redis is not None:
        yield _redis_setting(spec, stores, stores.redis, config, REDIS_STRING)
    if config.app.get(SCALE_OUT) is not None:
        yield DesiredSetting(APP, SCALE_OUT, plain(redis))
        if stores.redis is not None:
            yield _redis_setting(spec, stores, stores.redis, config, SCALE_OUT_STRING)
    version = spec.farm.orchestrator.version
    if store == "redis" and version is not None and normalized(version).parts[:2] in NUGET_COORDINATED:
        yield DesiredSetting(APP, NUGET_COORDINATION, plain("true"))


def _redis_setting(spec: Spec, stores: Stores, redis: Redis, config: Config, name: str) -> DesiredSetting:
    config.require_open(APP)
    entry = config.app.get(name)
    text = "" if entry is None else entry.value
    location = config.main.location(config.main.root.start) if entry is None else entry.location
    return DesiredSetting(APP, name, redis_value(spec, redis, stores.redis_password, config, text, location), "redis")


def _cannot(config: Config, why: str, hint: str) -> NodeError:
    return config.main.error(config.main.root.start, why, hint)
