"""The front of a Redis under Sentinel, for every vendor: an address of the balancer that forwards to the master.

A server gets connections if two conditions hold: most Sentinels announce no other server as the master, and it answers
that it is the master. While fewer Sentinels answer than a failover needs, the role decides, because the master cannot
change then.
When a server loses one of the conditions, its connections are closed: a client of Redis does not notice a master that
hangs, and keeps publishing to a master that was replaced. A Redis client reconnects, and the front leads it to the new
master.

Measured with HAProxy 2.6 and Redis 7.0: with a check of the role alone, half of the new connections reached an old
master that had returned. With the votes in the frontend only, connections stayed at a master that was cut off from the
Sentinels.
"""

import ipaddress
from collections.abc import Iterator
from functools import cached_property
from typing import Final, NamedTuple

from ..core.errors import Problem
from ..spec.load import Spec
from ..spec.model import Farm, Redis, RedisHost, Sentinel
from ..spec.units import Duration

VARIABLE: Final = "NLBGEN_REDIS_PASSWORD"
"""The environment variable of the balancer's service that contains the password of Redis and Sentinel."""
CHECK: Final = Duration.of("1s")
"""The interval between two checks of a server, and the time limit of one check."""
CHECK_FAST: Final = Duration.of("100ms")
CHECK_DOWN: Final = Duration.of("500ms")
VOTE: Final = Duration.of("500ms")
"""The interval between two questions to each Sentinel."""
FALL: Final = 2
IDLE: Final = Duration.of("1h")
"""The idle timeout of a connection. The clients of Redis send a command at least each minute by default."""

HEALTH_USER: Final = "nlbgen-health"
"""The user of health checks that cannot keep a password: it has none, and may only ask for the role."""
ROLE_VENDORS: Final = frozenset({"f5", "zen"})
"""The vendors whose health checks only ask for the role."""
ROLE_QUESTION: Final = rf"AUTH {HEALTH_USER} x\r\nROLE\r\nQUIT\r\n"
"""What such a check sends, with `\\r` and `\\n` as two characters each; the server then closes the connection."""
ROLE_ANSWER: Final = "master"
"""What only a master answers: a replica's answer begins with `slave`, and contains addresses and numbers."""


class RedisServer(NamedTuple):
    """One server of Redis, or one Sentinel."""

    name: str
    address: str
    """As Sentinel writes it."""
    port: int

    @property
    def endpoint(self) -> str:
        """`address:port`, IPv6 in brackets."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class RedisFront:
    """The servers behind the front, the Sentinels that decide, and where the front listens."""

    def __init__(self, farm: Farm, redis: Redis, sentinel: Sentinel) -> None:
        self.prefix: Final = f"{farm.farm}_redis"
        """How the names of the front's objects begin."""
        self.port: Final = redis.front_port
        self.user: Final = redis.user
        self.tls: Final = redis.tls
        self.ca: Final = sentinel.ca
        self.master_name: Final = sentinel.name
        self.sentinel_login: Final = not sentinel.on_windows
        """Whether Sentinel asks for the password. Sentinel 3.0 does not know AUTH."""
        self.votes: Final = max(sentinel.quorum, sentinel.majority)
        """The number of Sentinels without which no failover begins, and that must announce a master."""
        self.down_after: Final = sentinel.down_after
        self._sentinel: Final = sentinel

    @cached_property
    def servers(self) -> tuple[RedisServer, ...]:
        """The servers of Redis."""
        return tuple(RedisServer(host.name, _address(host), host.port) for host in self._sentinel.servers)

    @cached_property
    def sentinels(self) -> tuple[RedisServer, ...]:
        """All Sentinels."""
        return tuple(RedisServer(host.name, _address(host), host.sentinel_port) for host in self._sentinel.nodes)


def front_of(farm: Farm) -> RedisFront | None:
    """Return the front that a balancer of this farm renders; None without one."""
    redis = farm.stores.redis
    if redis is None or redis.sentinel is None or not farm.redis_front:
        return None
    return RedisFront(farm, redis, redis.sentinel)


def role_front_of(farm: Farm, vendor: str) -> RedisFront | None:
    """Return the front of a vendor whose health check only asks each server for its role; None without one.

    HAProxy's front is better: if the spec names HAProxy, no other vendor renders one, nor if the spec accepts that
    the nodes connect to another balancer (`VENDOR-redis-front`).
    """
    elsewhere = "haproxy" in farm.written or f"{vendor}-redis-front" in farm.accepted
    return front_of(farm) if vendor in ROLE_VENDORS and not elsewhere else None


def role_refusals(spec: Spec, vendor: str, product: str) -> Iterator[Problem]:
    """Refuse such a front unless the spec accepts that the Sentinels have no vote (`VENDOR-redis-votes`)."""
    front = role_front_of(spec.farm, vendor)
    if front is None:
        return
    if not front.sentinel_login:
        yield _without_users(spec, vendor, product)
        return
    problem_id = f"{vendor}-redis-votes"
    if problem_id in spec.farm.accepted:
        return
    message = (
        f"the health check of {product} only asks each Redis server for its role, and does not ask the Sentinels: "
        f"{WITHOUT_VOTES}"
    )
    hint = (
        "use HAProxy for the Redis frontend (write its section into the spec, and its address as "
        f"`stores.redis.front_host`); or accept this (`accept: [{problem_id}]`); or, if another balancer forwards "
        f"the connections to the master, write `accept: [{vendor}-redis-front]`: this balancer then has no "
        "Redis frontend"
    )
    yield spec.problem(("stores", "redis", "sentinel"), message, hint, id=problem_id)


def _without_users(spec: Spec, vendor: str, product: str) -> Problem:
    """The problem of a check without a password, with a Redis that has no users."""
    message = (
        f"the health check of {product} logs in as a user without a password, because it cannot store a password, "
        "but Redis for Windows has no users"
    )
    hint = (
        "use HAProxy for the Redis frontend (write its section into the spec, and its address as "
        "`stores.redis.front_host`); or install Redis 6.0 or later on Linux hosts, and write its version; or, if "
        f"another balancer forwards the connections to the master, write `accept: [{vendor}-redis-front]`: this "
        "balancer then has no Redis frontend"
    )
    return spec.problem(("stores", "redis", "sentinel", "version"), message, hint, id=f"{vendor}-redis-users")


WITHOUT_VOTES: Final = (
    "an old master that recovers gets connections until the Sentinels demote it (measured with such a check: 19 "
    "of 40 new connections). If a master is cut off from the Sentinels, nodes that are connected to it stay "
    "connected"
)
"""The effect of a front whose check asks only for the role."""


def _address(host: RedisHost) -> str:
    return str(ipaddress.ip_address(host.address))
