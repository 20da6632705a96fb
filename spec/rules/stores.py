"""Rules about the stores that the nodes share: sessions, SignalR's messages, the database."""

from collections.abc import Iterator
from typing import Final

from ..model import Farm, Node
from .base import Finding, Rule, several


def _session_inproc(farm: Farm) -> Iterator[Finding]:
    if several(farm) and farm.stores.session == "inproc" and not farm.orchestrator.is_core:
        yield Finding(
            ("stores", "session"),
            f"{len(farm.nodes)} nodes must share sessions, but `inproc` keeps them in the memory of one node",
            "write `session: sqlserver`, and create the tables with aspnet_regsql (docs/runbook.md, step 3)",
        )


def _signalr_inproc(farm: Farm) -> Iterator[Finding]:
    if several(farm) and farm.stores.signalr == "inproc":
        yield Finding(
            ("stores", "signalr"),
            f"{len(farm.nodes)} nodes must share SignalR messages: with `inproc` a node reaches only its own robots",
            "write `signalr: redis` (recommended) or `signalr: sqlserver`",
        )


def _sql_login(farm: Farm) -> Iterator[Finding]:
    database = farm.stores.database
    if database is None or isinstance(database.auth, str):
        return
    for key in ("user", "password"):
        if getattr(database.auth, key) is None:
            yield Finding(
                ("stores", "database", "auth", key),
                f"SQL Server authentication needs the {key}",
                "write `auth: {user: NAME, password: {env: NAME}}`, or `auth: windows`",
            )


def _redis_endpoint(farm: Farm) -> Iterator[Finding]:
    if farm.stores.signalr != "redis":
        return
    redis = farm.stores.redis
    if redis is not None and redis.sentinel is not None:
        return
    single = ("host", "port")
    if redis is not None and redis.endpoints:
        for key in single:
            if getattr(redis, f"single_{key}") is not None:
                yield Finding(
                    ("stores", "redis", key),
                    "`endpoints` excludes `host` and `port`: the servers of Redis are already in `endpoints`",
                    "remove `host` and `port`, and write every server under `endpoints`",
                )
        return
    for key in single:
        if redis is None or getattr(redis, f"single_{key}") is None:
            yield Finding(
                ("stores", "redis", key),
                f"the Redis store needs its {key}",
                "write `redis: {host: redis-1.corp.example, port: 6379}` under `stores`, or several `endpoints`",
            )


def _node_keys(farm: Farm) -> Iterator[tuple[Node, str]]:
    """Each node with Redis on it, and the key that names it."""
    redis = farm.stores.backplane
    if redis is None:
        return
    hosts = {server.host for server in redis.named}
    for node in farm.nodes:
        if redis.install_on == node.name:
            yield node, "install_on"
        elif hosts & {node.address, node.name.lower()}:
            yield node, "endpoints" if redis.endpoints else "host"


def _redis_on_node(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.redis
    for node, key in _node_keys(farm):
        if redis is not None and len(redis.named) < 2:
            yield Finding(
                ("stores", "redis", key),
                f"Redis on the node {node.name} is a single point of failure: if it fails, no node reaches all robots",
                "install Redis on a separate machine, or make it highly available",
            )


def _redis_password(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.redis
    for node, _key in _node_keys(farm):
        if redis is not None and redis.password is None:
            yield Finding(
                ("stores", "redis", "password"),
                f"Redis on {node.name} listens on all addresses, and without a password any machine can use it",
                "write `password: {env: NLBGEN_REDIS_PASSWORD}`, or let the firewall admit only the nodes",
            )


def _install_on(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.redis
    names = [node.name for node in farm.nodes]
    if redis is not None and redis.install_on is not None and redis.install_on not in names:
        yield Finding(
            ("stores", "redis", "install_on"),
            f"{redis.install_on} is not one of the nodes ({', '.join(names)})",
            "write the name of a node; if Redis runs on a separate machine, remove `install_on`",
        )


def _signalr_sql_store(farm: Farm) -> Iterator[Finding]:
    stores = farm.stores
    if _no_sql_store(farm) and (several(farm) or "signalr" in stores.written):
        named = stores.signalr_keys == "connection-string"
        settings = "`signalr_keys: connection-string`" if named else f"Orchestrator {farm.orchestrator.version}"
        yield Finding(
            ("stores", "signalr"),
            f"with {settings}, no setting is documented for SignalR in SQL Server",
            "write `signalr: redis`; from 2020.10 on, this Redis must be UiPath's High Availability Add-on "
            "(port 10000), because UiPath supports no other one",
        )


def _no_sql_store(farm: Farm) -> bool:
    """Whether the nodes' files have no setting for SignalR in SQL Server; only the oldest settings have one."""
    stores = farm.stores
    newer = stores.signalr_keys == "connection-string" or (stores.signalr_keys == "auto" and farm.orchestrator.is_core)
    return newer and stores.signalr == "sqlserver"


def _signalr_sql_lag(farm: Farm) -> Iterator[Finding]:
    if several(farm) and farm.stores.signalr == "sqlserver" and not _no_sql_store(farm):
        yield Finding(
            ("stores", "signalr"),
            "with SignalR in SQL Server, users who are logged in get changes of "
            "permissions, settings and organizational units only after about an hour",
            "write `signalr: redis`: with Redis they take effect immediately",
        )


RULES: Final = (
    Rule("session-inproc", "error", "two or more nodes need their SessionState in SQL Server", _session_inproc),
    Rule("signalr-inproc", "error", "two or more nodes need SignalR in Redis or SQL Server", _signalr_inproc),
    Rule("sql-login", "error", "SQL Server authentication needs user and password", _sql_login),
    Rule("redis-endpoint", "error", "the Redis store needs host and port, or endpoints", _redis_endpoint),
    Rule("redis-on-node", "warning", "Redis on a node is a single point of failure", _redis_on_node),
    Rule("redis-password", "warning", "Redis without a password is open to every machine", _redis_password),
    Rule("redis-install-on", "error", "`install_on` names one of the nodes", _install_on),
    Rule("signalr-sql-store", "error", "from 2020.10 on, SignalR cannot use SQL Server", _signalr_sql_store),
    Rule("signalr-sql-lag", "warning", "with SQL Server, changes reach users after about an hour", _signalr_sql_lag),
)
