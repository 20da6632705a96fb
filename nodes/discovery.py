"""Read facts about a future farm from a node's config file, for `nlbgen init --from`."""

from pathlib import Path
from typing import NamedTuple

from . import connection, stores
from .config import effective as configs
from .config.effective import Config


class Facts(NamedTuple):
    """The facts found; empty where the file does not show one, and never a secret."""

    orchestrator: str = ""
    """A version with such settings; the file itself does not name its version."""
    server: str = ""
    database: str = ""
    user: str = ""
    """The SQL Server login; empty with Windows authentication."""
    store: str = ""
    redis: str = ""
    redis_port: int = 0
    """0 if the file names none."""
    redis_password: bool = False
    notes: tuple[str, ...] = ()


def facts(path: Path) -> Facts:
    """Read the config file at `path`; raises NodeError."""
    config = configs.load(path)
    pairs = _database(config)
    redis, port, secret = _redis(config)
    return Facts(
        orchestrator=_version(config),
        server=pairs.get("server", ""),
        database=pairs.get("database", ""),
        user="" if pairs.get("integrated security") == "true" else pairs.get("user id", ""),
        store=_store(config),
        redis=redis,
        redis_port=port,
        redis_password=secret,
        notes=(*config.notes, *stores.notes(config, config)),
    )


def _version(config: Config) -> str:
    if config.kind == "core":
        return "2020.10"
    if config.app.get("Storage.Type") is not None:
        return "2019.4"
    shown = stores.families(config)
    if len(shown) != 1:
        return ""
    return "2017.1" if shown[0] == "server-port" else "2018.4"


def _database(config: Config) -> dict[str, str]:
    try:
        return dict(connection.canonical(config.connections.value("Default") or ""))
    except ValueError:
        return {}


def _store(config: Config) -> str:
    for key, store in (("LoadBalancer.UseRedis", "redis"), ("LoadBalancer.UseSqlServer", "sqlserver")):
        if (config.app.value(key) or "").lower() == "true":
            return store
    return ""


def _redis(config: Config) -> tuple[str, int, bool]:
    """Host, port, and whether there is a password; empty for defaults that name the node itself."""
    text = config.app.value(stores.REDIS_STRING)
    if text is not None:
        endpoint, *options = text.split(",")
        host, _colon, port = endpoint.strip().partition(":")
        secret = any(option.strip().lower().startswith("password=") for option in options)
    else:
        host, port = config.app.value(stores.SERVER_PORT[3]) or "", config.app.value(stores.SERVER_PORT[4]) or ""
        secret = bool(config.app.value(stores.SERVER_PORT[5]))
    if host.lower() in {"", "localhost", "127.0.0.1"}:
        return "", 0, False
    return host, int(port) if port.isdecimal() and 0 < int(port) < 65536 else 0, secret
