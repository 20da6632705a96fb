"""Failures of a Redis under Sentinel behind the balancer's front: real servers, real Sentinels, simulated nodes.

The nodes connect to the front as StackExchange.Redis does, and publish numbered messages in turn.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Final

from ...core.errors import NlbgenError
from ...generators.redis import front_of
from ...net.connect import connected
from ...net.resp import encode, read_reply
from ...spec.model import Farm
from ..clients.backplane import LIMITS, LOST, Access, BackplaneNode, Stream
from ..lab.redis import PROGRAM, RedisLab, RedisProcess
from .base import Metric, Metrics, Scenario, TestBench, lacks, metric

BEFORE_SECONDS: Final = 2.0
AFTER_SECONDS: Final = 3.0
"""How long the messages flow again before a scenario ends."""
CHANGE_SECONDS: Final = 30.0
"""How long a failover may take."""
DOWN_AFTER_SECONDS: Final = 5.0
"""The default of `stores.redis.sentinel.down_after`."""
PROBES: Final = 40
"""New connections that look for a stale master."""
NO_FRONT: Final = "the balancer has no frontend for Redis with Sentinel"


class RedisBench:
    """Redis, the nodes and their stream of messages."""

    def __init__(self, bench: TestBench, redis: RedisLab, access: Access, stream: Stream) -> None:
        self._bench = bench
        self.redis: Final = redis
        self.access: Final = access
        self.stream: Final = stream

    async def master(self) -> RedisProcess:
        """Return the present master; NlbgenError without one."""
        found = await self.redis.master()
        if found is None:
            raise NlbgenError("the Sentinels announce no master", "the farm's Redis did not start")
        return found

    async def replaced(self, old: RedisProcess) -> RedisProcess:
        """Wait until another server is the master and answers through the front; return it."""
        deadline = perf_counter() + CHANGE_SECONDS
        while True:
            found = await self.redis.master()
            if found is not None and found is not old and await self.reached() == found.port:
                return found
            if perf_counter() > deadline:
                raise NlbgenError(f"no failover within {CHANGE_SECONDS:g} s", self.redis.sentinels[-1].output(500))
            await asyncio.sleep(0.2)

    async def reached(self) -> int | None:
        """Return the port of the server that a new connection through the front reaches; None if it is closed."""
        try:
            async with connected(self.access.host, self.access.port, LIMITS, tls=self.access.tls) as peer:
                async with asyncio.timeout(LIMITS.answer):
                    peer.writer.write(self.access.login() + encode("INFO", "server"))
                    await read_reply(peer.reader)
                    reply = await read_reply(peer.reader)
        except LOST:
            return None
        lines = reply.decode().split() if isinstance(reply, bytes) else []
        return next((int(line.removeprefix("tcp_port:")) for line in lines if line.startswith("tcp_port:")), None)

    async def stale(self, master: RedisProcess, probes: int = PROBES) -> int:
        """Return the number of new connections that reach another server than the master."""
        found = 0
        for _ in range(probes):
            found += await self.reached() not in {master.port, None}
            await asyncio.sleep(0.1)
        return found

    async def flowing(self, seconds: float = AFTER_SECONDS) -> None:
        """Wait until all nodes are connected and get messages, and then for some messages.

        A new master can refuse messages for some time: until it has a replica (`min-replicas-to-write`).
        """
        since = perf_counter()
        while not self.stream.flows(since):
            if perf_counter() > since + CHANGE_SECONDS:
                raise NlbgenError("the nodes do not get messages through the Redis frontend")
            await asyncio.sleep(0.1)
        await asyncio.sleep(seconds)

    def log(self, text: str) -> None:
        """Add an event to the timeline."""
        self._bench.log(text)


@asynccontextmanager
async def redis_bench(bench: TestBench, *, relayed: bool = False) -> AsyncIterator[RedisBench]:
    """Start Redis and Sentinel, and two nodes that exchange messages through the front."""
    async with RedisLab(bench.lab, relayed=relayed) as redis:
        access = redis.access(bench.lab.redis_port)
        names = [node.name for node in bench.farm.nodes[:2]]
        async with BackplaneNode(names[0], access) as one, BackplaneNode(names[-1], access) as other:
            stream = Stream((one, other))
            made = RedisBench(bench, redis, access, stream)
            async with stream:
                await made.flowing(BEFORE_SECONDS)
                yield made


def down_after(bench: TestBench) -> float:
    """Return the seconds after which a master that does not answer counts as down."""
    front = front_of(bench.farm)
    return front.down_after.seconds if front else 0.0


def silence(bench: TestBench, seconds: float) -> Metric:
    """Return the metric; its limit is for the default of `down_after`, or less."""
    waits = down_after(bench)
    note = f"down_after {waits:g} s"
    return metric("silence", round(seconds, 2), note=note, enforced=waits <= DOWN_AFTER_SECONDS)


def losses(bench: TestBench, held: Stream, since: float, again: float, *own: Metric) -> Iterator[Metric]:
    """Yield what happened to the messages since the failure, and from `again` on, when the old master returned.

    `own` are the scenario's own metrics, which stand between these.
    """
    lost = held.lost(since)
    before = [one for one in lost if one.at < again]
    yield silence(bench, held.silence(since))
    yield metric("lost", len(before), of=len(held.messages))
    yield metric("accepted_lost", sum(one.accepted for one in before))
    yield from own
    yield metric("lost_on_return", len(lost) - len(before))


class RedisScenario(Scenario):
    """A scenario for farms whose balancer leads to the master of Redis."""

    seconds = 180.0
    changes_farm = "it needs the Redis frontend that nlbgen renders"

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip farms without a front, vendors that cannot render it, and machines without Redis."""
        if front_of(farm) is None or lacks("redis-front", farm, vendor) is not None:
            return NO_FRONT
        return "" if shutil.which(PROGRAM) else f"{PROGRAM} is not installed here"


class _Loss(RedisScenario):
    """The master fails, and returns after another server has replaced it."""

    async def run(self, bench: TestBench) -> Metrics:
        """Let the master fail, wait for the failover, let it return."""
        async with redis_bench(bench) as redis:
            old = await redis.master()
            redis.log(f"the master {old.name} {self.title.removeprefix('the Redis master ')}")
            since = perf_counter()
            await bench.call(self._fail, old)
            new = await redis.replaced(old)
            redis.log(f"{new.name} is the master")
            await redis.flowing()
            again = perf_counter()
            redis.log(f"{old.name} returns")
            await bench.call(self._return, old)
            stale = await redis.stale(new)
            await redis.flowing()
            held = redis.stream
        for one in losses(bench, held, since, again, metric("stale", stale, of=PROBES)):
            yield one

    @staticmethod
    def _fail(master: RedisProcess) -> None:
        raise NotImplementedError

    @staticmethod
    def _return(master: RedisProcess) -> None:
        raise NotImplementedError


class RedisKill(_Loss):
    """The process of the master ends."""

    name = "redis-kill"
    title = "the Redis master crashes and restarts"
    why = "without messages between the nodes, a robot gets jobs late or never"

    @staticmethod
    def _fail(master: RedisProcess) -> None:
        master.kill()

    @staticmethod
    def _return(master: RedisProcess) -> None:
        master.start()


class RedisHang(_Loss):
    """The master does not answer, but its machine still accepts connections."""

    name = "redis-hang"
    title = "the Redis master hangs and resumes"
    why = "clients of Redis do not notice a master that hangs, and send their messages to it"

    @staticmethod
    def _fail(master: RedisProcess) -> None:
        master.freeze()

    @staticmethod
    def _return(master: RedisProcess) -> None:
        master.thaw()


class RedisSentinels(RedisScenario):
    """The Sentinels end one after the other, while Redis runs."""

    name = "redis-sentinels"
    title = "the Sentinels crash one after the other"
    why = (
        "a Redis frontend that needs the Sentinels' votes must not close the nodes' connections when the Sentinels fail"
    )

    async def run(self, bench: TestBench) -> Metrics:
        """Kill each Sentinel, and watch the messages."""
        async with redis_bench(bench) as redis:
            since = perf_counter()
            for sentinel in redis.redis.sentinels:
                redis.log(f"the Sentinel of {sentinel.name} is killed")
                await bench.call(sentinel.kill)
                await asyncio.sleep(AFTER_SECONDS)
            held = redis.stream
        yield metric("silence", round(held.silence(since), 2))
        yield metric("lost", len(held.lost(since)), of=len(held.messages))


class RedisGone(RedisScenario):
    """All servers end and start again; a node starts in between."""

    name = "redis-gone"
    title = "all Redis servers crash, a node starts, Redis restarts"
    why = "nodes must exchange messages again without a restart, also a node that started while Redis was down"

    async def run(self, bench: TestBench) -> Metrics:
        """Kill all servers for longer than a failover takes, start a node, start the servers."""
        async with redis_bench(bench) as redis:
            servers = redis.redis.servers
            redis.log("all Redis servers are killed")
            for server in servers:
                await bench.call(server.kill)
            await asyncio.sleep(down_after(bench) + AFTER_SECONDS)
            async with BackplaneNode("late", redis.access) as late:
                redis.log("a node starts; Redis starts again")
                for server in servers:
                    await bench.call(server.start)
                since = perf_counter()
                await redis.flowing()
                await asyncio.wait_for(late.listening.wait(), CHANGE_SECONDS)
                await asyncio.sleep(AFTER_SECONDS)
                heard = len(late.received)
                held = redis.stream
        yield metric("silence", round(held.silence(since), 2))
        yield metric("late_deaf", int(not heard))


SCENARIOS: Final = (RedisKill(), RedisHang(), RedisSentinels(), RedisGone())
