"""`nlbgen prove --robots N`: events that disconnect thousands of robots."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from time import perf_counter, sleep
from typing import Final

from ...generators.features import No
from ...operate.abilities import ABILITIES
from ...operate.changing import Limits
from ...spec.model import Farm
from ..clients.fleet import WATCH_SECONDS, Fleet
from ..lab.bench import in_thread
from ..lab.plain_redis import PROGRAM, PlainRedis
from .base import Metric, TestBench, metric, serving, without_checks
from .fleet_base import LATE, FleetScenario, Moment
from .rolling import REAL, SCALED, Change, InterruptedChangeError

DOWN_SECONDS: Final = 4.0
"""How long a stopped node or balancer is away. keepalived moves the address within this time."""
HANG_SECONDS: Final = 40.0
"""How long a node hangs: longer than the clients' own timeouts."""
RECOVER_SECONDS: Final = 6.0
"""How long a restarted node runs before the next one stops."""
DRAIN_SECONDS: Final = 30.0
REAL_DRAINS: Final = 20
"""A drain lasts 30 s, and with --real-time 10 minutes, as in the documentation."""
RELOADS: Final = 3
GONE_SECONDS: Final = 10.0
"""How long Redis is away."""
PUSH_SECONDS: Final = 10.0
"""How long a message to all robots may take."""


class RobotsKill(FleetScenario):
    """A node crashes and returns."""

    name = "robots-kill"
    title = "a node with its share of all robots crashes and recovers"
    why = "its robots reconnect at the same moment, to the remaining nodes"

    async def event(self, bench: TestBench, robots: Fleet) -> Moment:
        """Kill the first node and start it again."""
        del robots
        victim = bench.serving[0]
        bench.log(f"{victim.name} is killed")
        await bench.call(victim.kill)
        await asyncio.sleep(DOWN_SECONDS)
        bench.log(f"{victim.name} starts again")
        await bench.call(victim.start)
        return Moment(victim.name)


class RobotsHang(FleetScenario):
    """A node hangs."""

    name = "robots-hang"
    title = f"a node with its share of all robots hangs for {HANG_SECONDS:g} s"
    why = "a node that hangs closes no connection; only the balancer or the robots notice it"

    async def event(self, bench: TestBench, robots: Fleet) -> Moment:
        """Freeze the first node, and thaw it."""
        del robots
        victim = bench.serving[0]
        bench.log(f"{victim.name} hangs")
        await bench.call(victim.freeze)
        await asyncio.sleep(HANG_SECONDS)
        bench.log(f"{victim.name} runs again")
        await bench.call(victim.thaw)
        return Moment(victim.name, unnoticed=without_checks(bench))


class RobotsRolling(FleetScenario):
    """An update of the farm, node by node, as `nlbgen roll` does it."""

    name = "robots-rolling"
    title = "a rolling restart (nlbgen roll): each node is drained, restarted and returned to rotation"
    why = "during an update no robot may be reported as Unresponsive"

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip farms whose own minimum forbids that a node leaves."""
        return super().skip_reason(farm, vendor) or _kept(farm)

    async def event(self, bench: TestBench, robots: Fleet) -> Moment:
        """Drain, set to down, restart, wait for the health, and return each node; the next one after a pause."""
        del robots
        times = REAL if bench.real_time else SCALED
        change = Change(bench)

        def restart(name: str) -> None:
            node = bench.lab.node(name)
            node.stop()
            sleep(DOWN_SECONDS)
            node.start()

        try:
            await bench.call(change.roll, restart, times)
        finally:
            change.stop()
        return Moment(all_hit=True, by_absence=True, note=f"a drained node is set to down after {times.limit:g} s")


class RobotsReload(FleetScenario):
    """Changes of the balancer's configuration."""

    name = "robots-reload"
    title = f"the balancer is reloaded {RELOADS} times"
    why = "a reload must not disconnect a robot"

    async def event(self, bench: TestBench, robots: Fleet) -> Moment:
        """Reload."""
        del robots
        for _ in range(RELOADS):
            bench.log("the balancer is reloaded")
            await bench.call(bench.lab.balancer.reload)
            await asyncio.sleep(2.0)
        return Moment()


class RobotsBalancer(FleetScenario):
    """The balancer fails and another one takes over."""

    name = "robots-balancer"
    title = f"the balancer crashes, and a new process takes over after {DOWN_SECONDS:g} s"
    why = "all robots reconnect at the same moment"

    async def event(self, bench: TestBench, robots: Fleet) -> Moment:
        """Kill the balancer and start a new process on its port; the lab has no second machine for keepalived."""
        del robots
        bench.log("the balancer is killed")
        await bench.call(bench.lab.balancer.kill)
        await asyncio.sleep(DOWN_SECONDS)
        bench.log("another balancer takes over")
        await bench.call(bench.lab.balancer.start)
        return Moment(all_hit=True)


class RobotsSpread(FleetScenario):
    """Balance the robots again after a failure."""

    name = "robots-spread"
    title = "a node recovers without robots, then the application pools of the other nodes are recycled"
    why = "robots stay connected to their node, so a node that recovers has none for hours"

    def sticky(self, farm: Farm) -> str:
        """Clients with an affinity return to their node."""
        return "" if farm.affinity == "none" and farm.balancer.algorithm != "source" else "affinity keeps the robots"

    async def recover(self, bench: TestBench) -> None:
        """Restart the first node; afterwards it has no robots."""
        first = bench.serving[0]
        bench.log(f"{first.name} is restarted")
        await bench.call(first.stop)
        await asyncio.sleep(DOWN_SECONDS)
        await bench.call(first.start)
        await asyncio.sleep(RECOVER_SECONDS)

    async def event(self, bench: TestBench, robots: Fleet) -> Moment:
        """Restart the first node, then close the connections of each other node, which runs on."""
        await self.recover(bench)
        for node in bench.serving[1:]:
            await robots.all_connected(LATE)
            bench.log(f"{node.name}: the application pool is recycled; the node has {robots.held()[node.name]} robots")
            await bench.call(node.set, pool_stopped=True)
            await bench.call(node.reset)
            await asyncio.sleep(RECOVER_SECONDS)
        return Moment(all_hit=True, by_absence=True)


class RobotsDrain(RobotsSpread):
    """Balance the robots again after a failure, without a request that fails."""

    name = "robots-drain"
    title = "a node recovers without robots, then `nodes drain --for` closes a part of each other node's connections"

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip vendors that cannot close single connections, and farms whose own minimum forbids that a node leaves."""
        ability = ABILITIES["spread"].vendors[vendor]
        lacking = ability.reason if isinstance(ability, No) else ""
        return super().skip_reason(farm, vendor) or lacking or _kept(farm)

    async def event(self, bench: TestBench, robots: Fleet) -> Moment:
        """Restart the first node; drain each other node until it has closed its surplus of connections."""
        await self.recover(bench)
        whole = DRAIN_SECONDS * (REAL_DRAINS if bench.real_time else 1)
        for node in bench.serving[1:]:
            await robots.all_connected(LATE)
            bench.log(f"{node.name}: drained for a part of {whole:g} s; the node has {robots.held()[node.name]} robots")
            await _drained_in_part(bench, node.name, whole, whole / len(bench.serving))
        return Moment(all_hit=True, by_absence=True, note=f"--for {whole:g}s")


async def _drained_in_part(bench: TestBench, node: str, whole: float, part: float) -> None:
    """Drain a node as if over the whole time, end that after a part of it, and return the node to rotation."""
    change = Change(bench)
    asyncio.get_running_loop().call_later(part, change.stop)
    with suppress(InterruptedChangeError):
        await bench.call(change.operator.drain, node, Limits(wait=whole, spread=whole))
    await bench.call(Change(bench).operator.up, node, Limits(wait=LATE))


def _kept(farm: Farm) -> str:
    """Return that no node may leave the rotation, if the farm's own minimum forbids it."""
    least = farm.least_nodes
    return f"balancer.minimum is {least}, so no node may leave the rotation" if len(serving(farm)) <= least else ""


class RobotsRedis(FleetScenario):
    """The SignalR store fails."""

    name = "robots-redis"
    title = f"Redis fails for {GONE_SECONDS:g} s and recovers"
    why = "no robot may lose its connection, and messages must reach all robots when Redis runs again"

    _redis: PlainRedis
    """The server of the present run; `surroundings` sets it."""

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip farms without Redis, and machines without it."""
        if farm.stores.signalr != "redis":
            return "stores.signalr is not redis"
        missing = "" if shutil.which(PROGRAM) else f"{PROGRAM} is not installed here"
        return super().skip_reason(farm, vendor) or missing

    @asynccontextmanager
    async def surroundings(self) -> AsyncIterator[Mapping[str, str]]:
        """Start one Redis server without Sentinel; the scenarios `redis-...` have Sentinel."""
        async with in_thread(PlainRedis()) as self._redis:
            yield {"backplane": self._redis.address}

    async def event(self, bench: TestBench, robots: Fleet) -> Moment:
        """Kill Redis and start it again."""
        del robots
        redis = self._redis
        bench.log("Redis is killed")
        await bench.call(redis.kill)
        await asyncio.sleep(GONE_SECONDS)
        bench.log("Redis starts again")
        await bench.call(redis.start)
        return Moment()

    async def afterwards(self, bench: TestBench, robots: Fleet) -> Sequence[Metric]:
        """Send a message to all robots on one node, and count the robots that it does not reach."""
        before = [robot.pushes for robot in robots.robots]
        bench.log(f"{bench.serving[0].name} sends a message to all robots")
        await bench.call(bench.serving[0].control.push, "to all robots")
        deadline, unreached = perf_counter() + PUSH_SECONDS, len(before)
        while unreached and perf_counter() < deadline:
            await asyncio.sleep(WATCH_SECONDS)
            pairs = zip(robots.robots, before, strict=True)
            unreached = sum(robot.pushes == count for robot, count in pairs)
        return [metric("unreached", unreached, of=len(before))]


SCENARIOS: Final = (
    RobotsKill(),
    RobotsHang(),
    RobotsRolling(),
    RobotsReload(),
    RobotsBalancer(),
    RobotsSpread(),
    RobotsDrain(),
    RobotsRedis(),
)
