"""The front of a Redis under Sentinel: one address of the balancer that leads to the master, for every vendor.

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
from functools import cached_property
from typing import Final, NamedTuple

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


def _address(host: RedisHost) -> str:
    return str(ipaddress.ip_address(host.address))
