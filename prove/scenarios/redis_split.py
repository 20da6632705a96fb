"""A split brain of Redis: the master loses its network to the Sentinels and the replicas, but not to the balancer.

The Sentinels make a replica the master, and the old master does not learn of it: it still reports the master's role.
"""

import asyncio
from time import perf_counter
from typing import Final

from ...generators.redis_hosts import SERVERS_FOR_MIN_REPLICAS
from ...generators.relocation import LOOPBACK
from ...net.resp import RespError
from ...spec.model import Farm
from ..lab.redis import RedisProcess
from ..lab.relay import BEHIND
from ..lab.time_scale import edited
from .base import Metrics, TestBench, metric
from .redis import PROBES, RedisBench, RedisScenario, losses, redis_bench

REFUSES_AFTER_SECONDS: Final = 12.0
"""When a master without replicas must refuse writes: `min-replicas-max-lag`, and Redis's own check each second."""


class RedisSplit(RedisScenario):
    """The master is cut off from everything but the balancer; another server becomes the master; the network heals."""

    name = "redis-split"
    title = "the Redis master is cut off from the Sentinels and the replicas, not from the balancer"
    why = "with two masters, nodes at different masters do not get each other's messages"

    async def run(self, bench: TestBench) -> Metrics:
        """Cut the master off, wait for the failover, look for the old master, heal the network."""
        farm = bench.lab.spec.farm
        async with edited(bench, lambda text: _direct(farm, text)), redis_bench(bench, relayed=True) as redis:
            old = await redis.master()
            redis.log(f"the master {old.name} is cut off from the Sentinels and the replicas")
            since = perf_counter()
            redis.redis.relays[old.name].cut()
            new = await redis.replaced(old)
            redis.log(f"{new.name} is the master")
            stale = await redis.stale(new)
            await asyncio.sleep(max(0.0, since + REFUSES_AFTER_SECONDS - perf_counter()))
            writes = await _accepts(redis, old)
            await redis.flowing()
            again = perf_counter()
            redis.log("the network heals")
            redis.redis.relays[old.name].heal()
            stale += await redis.stale(new)
            await redis.flowing()
            held = redis.stream
        servers = len(redis.redis.servers)
        for one in losses(
            bench,
            held,
            since,
            again,
            metric("stale", stale, of=2 * PROBES),
            metric("writes", writes, note=f"{servers} servers", enforced=servers >= SERVERS_FOR_MIN_REPLICAS),
        ):
            yield one


def _direct(farm: Farm, text: str) -> str:
    """The configuration of a balancer that reaches the servers behind their relays."""
    redis = farm.stores.redis
    for host in redis.sentinel.servers if redis is not None and redis.sentinel is not None else ():
        line = f"server {host.name} {{}}:{host.port} check"
        text = text.replace(line.format(LOOPBACK), line.format(BEHIND))
    return text


async def _accepts(redis: RedisBench, server: RedisProcess) -> int:
    """Whether a server that is cut off still accepts a write."""
    try:
        await redis.redis.ask(server.port, "SET", "nlbgen-split", "1", host=BEHIND)
    except RespError:  # NOREPLICAS
        return 0
    return 1


SCENARIOS: Final = (RedisSplit(),)
