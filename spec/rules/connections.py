"""Rules about the connections to the stores: the servers that all nodes can reach, and the options of the strings."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from .. import orchestrator as facts
from ..model import Farm, Redis
from ..schema import Path
from ..strings.endpoints import Endpoint
from .base import Finding, Rule, several

if TYPE_CHECKING:
    from ..strings.kinds import Client

_REDIS: Final = ("stores", "redis")
_DATABASE: Final = ("stores", "database")


def _path_of(redis: Redis, index: int) -> Path:
    if redis.asked is not None:
        return (*_REDIS, "sentinel", "nodes", index, "address")
    return (*_REDIS, "endpoints", index) if redis.endpoints else (*_REDIS, "host")


def _redis_loopback(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.backplane
    if redis is None or not several(farm):
        return
    named: list[tuple[Path, Endpoint]] = [(_path_of(redis, index), one) for index, one in enumerate(redis.named)]
    if farm.redis_front and redis.balancer_host is not None:
        named.append(((*_REDIS, "front_host"), Endpoint(redis.balancer_host)))
    for path, server in named:
        if server.is_loopback:
            yield Finding(
                path,
                f"{server} is a loopback address: each node connects to its own machine, not to the same Redis",
                "write the name of the machine that runs Redis; if a proxy on each node "
                "forwards to one Redis, accept this error",
            )


def _database_local(farm: Farm) -> Iterator[Finding]:
    from ..strings import servers

    database = farm.stores.database
    if database is not None and several(farm) and servers.is_local(database.server):
        yield Finding(
            (*_DATABASE, "server"),
            f"{database.server} means the machine itself: each node would connect to its own SQL Server",
            r"write the name of the machine that runs SQL Server, as in SQL01\PROD",
        )


def _redis_abort_connect(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.backplane
    if redis is None or not farm.orchestrator.is_core:
        return
    for key, value in redis.settings.items():
        if key.lower() == "abortconnect" and value.lower() in {"false", "no", "off", "0"}:
            yield Finding(
                (*_REDIS, "options", key),
                "with this option, a node that starts while Redis is down never gets "
                "SignalR's messages, even after Redis is up again",
                "remove abortConnect: by default the node connects as soon as Redis is up",
            )


_NAMED_REDIS: Final = {
    "password": "remove it, and write `password` by reference under `stores.redis`",
    "user": "remove it, and write `user` under `stores.redis`",
    "ssl": "remove it, and write `tls` under `stores.redis`",
    "sentinelpassword": (
        "remove it: nlbgen keeps the password of the Sentinels that is in the node's own connection string"
    ),
}
_NAMED_SQL: Final = {
    "Data Source": "`server`",
    "Initial Catalog": "`name`",
    "User ID": "`auth`",
    "Password": "`auth`",
    "Integrated Security": "`auth`",
}


def _redis_options(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.redis
    if redis is None or (redis.options is None and redis.user is None):
        return
    from ..strings import redis as strings
    from ..strings import redis_clients

    version = farm.orchestrator.version
    core, newest = farm.orchestrator.is_core, facts.uses_newest_redis_client(version)
    clients = redis_clients.candidates(core=core, newest=newest) if version else redis_clients.CLIENTS
    if redis.user is not None and (refusal := strings.refusal(f"redis,user={redis.user}", clients)) is not None:
        yield Finding((*_REDIS, "user"), f"{refusal.message}{_era(farm)}", "remove `user`")
    for key, value in redis.settings.items():
        path = (*_REDIS, "options", key)
        if key.lower() in _NAMED_REDIS:
            yield Finding(
                path,
                f"{key} cannot be written under `options`",
                _NAMED_REDIS[key.lower()],
            )
        elif "," in value:
            yield Finding(
                path, "StackExchange.Redis ends a value at a comma, which cannot be quoted", "remove this option"
            )
        elif (refusal := strings.refusal(f"redis,{key}={value}", clients)) is not None:
            yield Finding(path, f"{refusal.message}{_era(farm)}", refusal.hint)


def _database_options(farm: Farm) -> Iterator[Finding]:
    database = farm.stores.database
    if database is None or database.options is None:
        return
    from ..strings import sql, sql_clients
    from ..strings.sql_syntax import quoted

    core, version = farm.orchestrator.is_core, farm.orchestrator.version
    clients = sql_clients.candidates(core=core) if version else sql_clients.CLIENTS
    for key, value in database.settings.items():
        path = (*_DATABASE, "options", key)
        named = _named(key, clients)
        if named:
            yield Finding(
                path,
                f"{key} cannot be written under `options`",
                f"remove it, and write {named} under `stores.database`",
            )
        elif (refusal := sql.refusal(f"{key}={quoted(value)};Database=x", clients)) is not None:
            yield Finding(path, f"{refusal.message}{_era(farm)}", refusal.hint)


def _named(key: str, clients: "tuple[Client, ...]") -> str:
    found = clients[0].find(key)
    names: Mapping[str, str] = _NAMED_SQL
    return "" if found is None else names.get(found.name, "")


def _era(farm: Farm) -> str:
    version = farm.orchestrator.version
    return f" (Orchestrator {version})" if version is not None else ""


RULES: Final = (
    Rule("redis-loopback", "error", "every node reaches the same Redis", _redis_loopback, acceptable=True),
    Rule("redis-abort-connect", "warning", "a node must connect when Redis is back", _redis_abort_connect),
    Rule("redis-options", "error", "the nodes' StackExchange.Redis accepts the options", _redis_options),
    Rule("database-local", "error", "every node reaches the same SQL Server", _database_local, acceptable=True),
    Rule("database-options", "error", "the nodes' SqlClient accepts the options", _database_options),
)
