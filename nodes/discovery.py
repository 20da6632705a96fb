"""Read facts about a future farm from a node's config file, for `nlbgen init --from`."""

import re
from pathlib import Path
from typing import Final, NamedTuple

from ..spec.strings import redis as redis_strings
from ..spec.strings.endpoints import Endpoint
from ..spec.strings.sql import SqlString
from ..spec.strings.words import SECRETS
from . import service_checks, store_files, store_strings, stores
from .config import effective as configs
from .config.effective import SESSION_STATE, Config
from .service_settings import IDENTITY, service

Pairs = tuple[tuple[str, str], ...]

_REACH: Final = frozenset(
    {
        "ConnectRetryCount",
        "ConnectRetryInterval",
        "Connect Timeout",
        "Encrypt",
        "Failover Partner",
        "MultiSubnetFailover",
        "Network Library",
        "Packet Size",
        "TransparentNetworkIPResolution",
        "TrustServerCertificate",
    }
)
"""The keywords that say how to reach the server; the others belong to the main database (pools, cursors, names)."""
_NAMED_REDIS: Final = frozenset({"ssl", "user"})
_USER: Final = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
"""A user that a spec can name; the nodes keep any other that their strings name."""
_KEYWORD: Final = re.compile(r"[A-Za-z$][A-Za-z0-9 _]{0,59}")


class Facts(NamedTuple):
    """The facts found; empty where the file does not show one, and never a secret."""

    orchestrator: str = ""
    """A version with such settings; the file itself does not name its version."""
    server: str = ""
    database: str = ""
    user: str = ""
    """The SQL Server login; empty with Windows authentication."""
    database_options: Pairs = ()
    """The keywords of the main connection string that say how to reach the server."""
    session: str = ""
    """`custom` if a provider of the node's own keeps the sessions."""
    store: str = ""
    redis: tuple[str, ...] = ()
    """The servers as HOST or HOST:PORT."""
    redis_tls: bool = False
    redis_user: str = ""
    redis_options: Pairs = ()
    redis_password: bool = False
    notes: tuple[str, ...] = ()


class _RedisFacts(NamedTuple):
    servers: tuple[str, ...] = ()
    tls: bool = False
    user: str = ""
    options: Pairs = ()
    password: bool = False
    notes: tuple[str, ...] = ()


def facts(path: Path) -> Facts:
    """Read the config file at `path`; raises NodeError."""
    config = configs.load(path)
    string = store_files.default_string(config)
    sql = string if string is not None and string.refusal is None else SqlString((), {}, None)
    redis = _redis(config)
    return Facts(
        orchestrator=_version(config),
        server=sql.text("Data Source"),
        database=sql.text("Initial Catalog"),
        user="" if sql.given.get("Integrated Security") is True else sql.text("User ID"),
        database_options=_sql_options(sql) if config.kind == "classic" else (),
        session="custom" if _mode(config) == "Custom" else "",
        store=_store(config),
        redis=redis.servers,
        redis_tls=redis.tls,
        redis_user=redis.user,
        redis_options=redis.options,
        redis_password=redis.password,
        notes=(
            *config.notes,
            *store_files.notes(config, config),
            *redis.notes,
            *(f"{one.location}: {one.message}" for one in service_checks.findings(config, several=False)),
        ),
    )


def _version(config: Config) -> str:
    if config.kind == "core":
        return "2020.10"
    if service(config, IDENTITY) is not None:
        return "2020.4"  # the first version with Identity Server, and the last one with its settings in web.config
    if config.app.get("Storage.Type") is not None:
        return "2019.4"
    shown = stores.families(config)
    if len(shown) != 1:
        return ""
    return "2017.1" if shown[0] == "server-port" else "2018.4"


def _mode(config: Config) -> str:
    section = config.section(SESSION_STATE)
    return "" if section is None or section.protected else section.element.get("mode") or ""


def _sql_options(string: SqlString) -> Pairs:
    return tuple((name, str(value)) for name, value in string.given.items() if name in _REACH)


def _store(config: Config) -> str:
    for key, store in (("LoadBalancer.UseRedis", "redis"), ("LoadBalancer.UseSqlServer", "sqlserver")):
        if (config.app.value(key) or "").lower() == "true":
            return store
    return ""


def _redis(config: Config) -> _RedisFacts:
    """What the file says about Redis; nothing for a default that no setting uses and that names the node itself."""
    entry = config.app.get(stores.REDIS_STRING)
    used = _store(config) == "redis"
    if entry is None:
        host, port = (config.app.value(name) or "" for name in stores.SERVER_PORT[3:5])
        number = int(port) if port.isascii() and port.isdecimal() and 0 < int(port) < 65536 else 0
        server = Endpoint(host, number)
        if not host or (server.is_loopback and not used):
            return _RedisFacts()
        return _RedisFacts((str(server),), password=bool(config.app.value(stores.SERVER_PORT[5])))
    client = store_strings.redis_clients_of(None, config)[0]
    found = redis_strings.read(entry.value, client)
    if found.refusal is not None:
        return _RedisFacts(notes=(f"{entry.location}: {found.refusal.message}",))
    shown = [server for server in found.servers if server.is_plain]
    if not used and all(server.is_loopback for server in shown):
        return _RedisFacts()
    options = [
        (part.key, part.value)
        for part in redis_strings.parts(entry.value)
        if part.key.lower() not in SECRETS | _NAMED_REDIS and _KEYWORD.fullmatch(part.key) and part.value.isprintable()
    ]
    user = str(found.given.get("user", ""))
    return _RedisFacts(
        servers=tuple(map(str, shown)),
        tls=found.given.get("ssl") is True,
        user=user if _USER.fullmatch(user) else "",
        options=tuple(options),
        password=bool(found.given.get("password")),
    )
