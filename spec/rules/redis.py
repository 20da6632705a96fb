"""Rules about a Redis under Sentinel, and about the front through which the nodes reach its master."""

import ipaddress
from collections.abc import Iterator
from typing import Final

from ..model import LEAST_ADD_ON_NODES, REDIS_FOR_WINDOWS, Farm, Redis, Sentinel
from ..schema import Path
from ..units import Version
from .base import Finding, Rule

REDIS: Final[Path] = ("stores", "redis")
SENTINEL: Final[Path] = (*REDIS, "sentinel")
NODES: Final[Path] = (*SENTINEL, "nodes")
LEAST_SENTINELS: Final = 3
LEAST_SERVERS: Final = 2
OLDEST: Final = Version("6.0")
"""The first version with TLS and users."""
SERVICE_NAME: Final = "servicename"
HANGS: Final = (
    "the nodes' StackExchange.Redis does not notice a master that hangs (measured: with "
    "2.8.16, no message arrived while the master hung; with 3.4.35, none for 24 to 36 s)"
)


def _sentinel(farm: Farm) -> Sentinel | None:
    redis = farm.stores.backplane
    return None if redis is None else redis.sentinel


def _one_shape(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.redis
    if redis is None or redis.sentinel is None:
        return
    keys = {"host": "single_host", "port": "single_port", "endpoints": "endpoints", "install_on": "install_on"}
    for key, attribute in keys.items():
        if attribute in redis.written:
            yield Finding(
                (*REDIS, key),
                "`sentinel` excludes `host`, `port`, `endpoints` and `install_on`: the hosts of Redis "
                "are under `sentinel.nodes`",
                f"if Sentinels replace a failed master, remove `{key}`; otherwise remove `sentinel`",
            )


def _hosts(farm: Farm) -> Iterator[Finding]:
    sentinel = _sentinel(farm)
    if sentinel is None:
        return
    if len(sentinel.nodes) < LEAST_SENTINELS:
        yield Finding(
            NODES,
            f"{len(sentinel.nodes)} Sentinels cannot replace a failed master: more than "
            "half of all Sentinels must agree, even if the Sentinel on the master's host is "
            "down too",
            "write three hosts; one of them can run only Sentinel (`redis: false`)",
        )
    if len(sentinel.servers) < LEAST_SERVERS:
        yield Finding(
            NODES,
            f"the number of hosts with Redis is {len(sentinel.servers)}: no other host can replace a failed master",
            "write two or three hosts with Redis",
        )


def _host_names(farm: Farm) -> Iterator[Finding]:
    sentinel = _sentinel(farm)
    nodes = sentinel.nodes if sentinel is not None else ()
    for index, host in enumerate(nodes):
        path: Path = (*NODES, index)
        if not _is_address(host.address):
            yield Finding(
                (*path, "address"),
                f"{host.address} is a name, but Sentinel needs the address of each host: it "
                "announces the master by its address",
                "write the IPv4 or IPv6 address",
            )
        if host.name in {other.name for other in nodes[:index]}:
            yield Finding(
                (*path, "name"), f"{host.name} is already the name of another host", "give each host its own name"
            )
        if host.address in {other.address for other in nodes[:index]}:
            yield Finding(
                (*path, "address"),
                f"{host.address} is already the address of another host: one failure would stop both",
                "give each host its own address",
            )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _quorum(farm: Farm) -> Iterator[Finding]:
    sentinel = _sentinel(farm)
    if sentinel is not None and sentinel.quorum > len(sentinel.nodes):
        yield Finding(
            (*SENTINEL, "quorum"),
            f"`quorum` requires {sentinel.quorum} Sentinels to agree that the master is "
            f"down, but there are only {len(sentinel.nodes)}",
            f"write {sentinel.majority}, or remove `quorum`",
        )


def _password(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.backplane
    if redis is not None and redis.sentinel is not None and redis.password is None:
        yield Finding(
            (*REDIS, "password"),
            "is missing: without a password, Redis and Sentinel refuse connections from "
            "other hosts, and the Redis frontend cannot log in",
            "write `password: {env: NAME}` under `stores.redis`",
        )


def _version(farm: Farm) -> Iterator[Finding]:
    sentinel = _sentinel(farm)
    if sentinel is not None and sentinel.version < OLDEST and not sentinel.on_windows:
        yield Finding(
            (*SENTINEL, "version"),
            f"Redis {sentinel.version} is too old: it has no TLS and no users, and before "
            "5.0.1 Sentinel has no password. Any client that reaches such a Sentinel can "
            "make another server the master",
            f'install {OLDEST} or later, and write `version: "{OLDEST}"`; for Redis for '
            f'Windows, write `version: "{REDIS_FOR_WINDOWS}"`',
        )


def _windows(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.backplane
    if redis is None or redis.sentinel is None or not redis.sentinel.on_windows:
        return
    lacks = {"TLS": ("tls", redis.tls), "users": ("user", redis.user is not None)}
    for what, (key, requested) in lacks.items():
        if requested:
            yield Finding(
                (*REDIS, key),
                f"Redis for Windows ({REDIS_FOR_WINDOWS}) has no {what}",
                f"remove `{key}`; or install Redis {OLDEST} or later on Linux hosts, and "
                f'write `sentinel.version: "{OLDEST}"`',
            )


def _open_sentinel(farm: Farm) -> Iterator[Finding]:
    sentinel = _sentinel(farm)
    if sentinel is not None and sentinel.on_windows:
        yield Finding(
            (*SENTINEL, "version"),
            f"Sentinel of Redis for Windows ({REDIS_FOR_WINDOWS}) has no password: any "
            "client that reaches its port can make another server the master, stop "
            "Sentinel, or run a program on the host (SENTINEL SET notification-script)",
            "open the ports in the firewalls only for the hosts of Redis and the balancers "
            "(redis/INSTALL.md has the rules), and accept this warning; or install Redis "
            f"{OLDEST} or later on Linux hosts",
        )


def _front(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.redis
    if redis is None:
        return
    if redis.front and redis.sentinel is None:
        yield Finding(
            (*REDIS, "front"),
            "`front` requires Sentinels: without them, the balancer can forward connections "
            "to an old master that has recovered",
            "write `sentinel`, or remove `front`",
        )
    if redis.asked is not None and (reason := _cannot_ask(farm, redis)):
        yield Finding(
            (*REDIS, "front"),
            f"the nodes cannot ask the Sentinels for the master: {reason}",
            "remove `front`: the balancer then forwards the connections to the master",
        )


def _cannot_ask(farm: Farm, redis: Redis) -> str:
    """Why the nodes' library cannot find the master by the Sentinels; empty if it can.

    Source: the documentation of StackExchange.Redis 1.2 ("serviceName: not currently implemented"), and
    `ServerEndPoint.HandshakeAsync` of 2.8, which logs in to Sentinel with the user and the password of Redis.
    """
    if not farm.orchestrator.is_core:
        return "StackExchange.Redis 1.2.6 ignores `serviceName`"
    if farm.stores.signalr_keys == "server-port":
        return "`LoadBalancer.Redis.Server` can name only one server"
    if redis.user is not None:
        return "StackExchange.Redis 2.8.16 would log in to the Sentinels with `user`, but they have only a password"
    if redis.sentinel is not None and redis.sentinel.on_windows:
        return (
            f"StackExchange.Redis 2.8.16 would log in to the Sentinels, but Sentinel {REDIS_FOR_WINDOWS} has no login"
        )
    return ""


def _service_name(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.redis
    for key in _service_name_keys(redis):
        path: Path = (*REDIS, "options", key)
        if redis is not None and redis.sentinel is not None:
            what = "the Redis frontend is not a Sentinel" if redis.front else "nlbgen writes the `serviceName` itself"
            yield Finding(path, f"`serviceName` and `sentinel` exclude each other: {what}", "remove `serviceName`")
        elif not farm.orchestrator.is_core:
            yield Finding(
                path,
                "StackExchange.Redis 1.2.6 ignores `serviceName`, and uses the Sentinels as "
                "if they were servers of Redis",
                "remove `serviceName`, and write the hosts under `sentinel`: the balancer then forwards the "
                "connections to the master",
            )


def _service_name_keys(redis: Redis | None) -> list[str]:
    written = dict(redis.options.pairs) if redis is not None and redis.options is not None else {}
    return [key for key in written if key.lower() == SERVICE_NAME]


def _asks_sentinels(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.backplane
    if redis is None or not farm.orchestrator.is_core:
        return
    paths: list[Path] = [(*REDIS, "front")] if redis.asked is not None else []
    if redis.sentinel is None:
        paths = [(*REDIS, "options", key) for key in _service_name_keys(redis)]
    for path in paths:
        yield Finding(
            path,
            f"the nodes ask the Sentinels for the master, and {HANGS}",
            "write the hosts under `sentinel` without `front: false`: the balancer then forwards the connections to "
            "the master",
        )


def _plain_endpoints(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.backplane
    if redis is None or len(redis.endpoints) < 2 or redis.sentinel is not None:
        return
    if _service_name_keys(redis) or redis.add_on:
        return
    what = HANGS
    if not farm.orchestrator.is_core:
        what = (
            "StackExchange.Redis 1.2.6 of the nodes can listen at one server and publish to "
            "another, so that messages are lost (measured: 291 of 302 after a crash, 327 of "
            "602 while the master hung; the library reported most of them as sent)"
        )
    yield Finding(
        (*REDIS, "endpoints"),
        f"if these servers are a master with replicas, {what}",
        "write the hosts under `sentinel`: the balancer then forwards the connections to "
        "the master. If all servers serve the same database, as in Redis Enterprise, accept "
        "this warning",
    )


def _add_on_nodes(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.backplane
    if redis is None or not redis.add_on:
        return
    count = len(redis.endpoints)
    if count < 2:
        return
    if count < LEAST_ADD_ON_NODES or count % 2 == 0:
        yield Finding(
            (*REDIS, "endpoints"),
            f"the High Availability Add-on has {count} nodes: its database works only while "
            f"more than half of its nodes work, so {count} nodes survive no more failures "
            f"than {count - 1}",
            "install three nodes, or another odd number, as UiPath requires for production",
        )


def _front_port(farm: Farm) -> Iterator[Finding]:
    redis, frontend = farm.stores.redis, farm.frontend
    if redis is None or not farm.redis_front:
        return
    taken = {frontend.port: "the port for clients", farm.balancer.metrics_port: "the port of the statistics"}
    if frontend.redirect_http:
        taken.setdefault(80, "the port of the redirect to https")
    if redis.front_port in taken:
        yield Finding(
            (*REDIS, "front_port"),
            f"port {redis.front_port} is already used: it is {taken[redis.front_port]}",
            "write another port, for example 6379",
        )


def _front_single(farm: Farm) -> Iterator[Finding]:
    if farm.redis_front and farm.frontend.vip is None:
        yield Finding(
            SENTINEL,
            "only one balancer forwards the connections to the master: while this balancer "
            "is down, the nodes exchange no messages, although Redis works",
            "share an address between two balancers (`frontend.vip`)",
        )


def _single(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.backplane
    if redis is None or redis.sentinel is not None or redis.add_on or len(redis.named) != 1:
        return
    on_a_node = redis.install_on is not None or redis.host in {node.address for node in farm.nodes}
    if farm.frontend.vip is not None and not on_a_node:
        yield Finding(
            (*REDIS, "host"),
            "the farm has several balancers, but only one Redis: while this Redis is down, the "
            "nodes exchange no messages, and robots get jobs late or never",
            "write several servers under `sentinel`, or use UiPath's High Availability Add-on",
        )


def _add_on(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.backplane
    if redis is None or not farm.orchestrator.is_core:
        return
    if not redis.add_on:
        yield Finding(
            REDIS,
            f"for Orchestrator {farm.orchestrator.version}, UiPath supports only its High Availability Add-on "
            "(database port 10000)",
            "use the add-on and write its host and port; or accept this warning: another "
            "Redis works, but UiPath does not support it",
        )


RULES: Final = (
    Rule("redis-one-shape", "error", "Redis is one server, or several under Sentinel", _one_shape),
    Rule("redis-hosts", "error", "a failover needs three Sentinels and two servers", _hosts),
    Rule("redis-host-names", "error", "each host of Redis has its own name and address", _host_names),
    Rule("redis-quorum", "error", "the quorum is at most the number of Sentinels", _quorum),
    Rule("redis-sentinel-password", "error", "Redis under Sentinel needs a password", _password),
    Rule("redis-version", "error", "Redis under Sentinel is 6.0 or later, or Redis for Windows 3.0.504", _version),
    Rule("redis-windows", "error", "Redis for Windows has no TLS and no users", _windows),
    Rule("redis-sentinel-open", "warning", "Sentinel of Redis for Windows has no password", _open_sentinel),
    Rule(
        "redis-front-sentinel",
        "error",
        "the nodes reach the master through the Redis frontend, or ask Sentinel",
        _front,
    ),
    Rule("redis-service-name", "error", "`serviceName` is for nodes that can ask Sentinel", _service_name),
    Rule("redis-sentinel-string", "warning", "nodes that ask Sentinel do not notice a hang", _asks_sentinels),
    Rule("redis-replicas", "warning", "several servers without Sentinel lose messages", _plain_endpoints),
    Rule("redis-add-on-nodes", "warning", "the High Availability Add-on needs an odd number of nodes", _add_on_nodes),
    Rule("redis-front-port", "error", "the Redis frontend needs its own port", _front_port),
    Rule(
        "redis-front-single",
        "warning",
        "a Redis frontend on one balancer is a single point of failure",
        _front_single,
    ),
    Rule("redis-single", "warning", "one Redis behind two balancers is a single point of failure", _single),
    Rule("redis-add-on", "warning", "from 2020.10 on, UiPath supports only its High Availability Add-on", _add_on),
)
