"""`nlbgen prove --robots N`: events that disconnect thousands of robots."""

import asyncio
from typing import Final

from ...spec.model import Farm
from ..clients.fleet import Fleet
from .base import TestBench, without_checks
from .fleet_base import LATE, FleetScenario, Moment

DOWN_SECONDS: Final = 4.0
"""How long a stopped node or balancer is away. keepalived moves the address within this time."""
HANG_SECONDS: Final = 40.0
"""How long a node hangs: longer than the clients' own timeouts."""
RECOVER_SECONDS: Final = 6.0
"""How long a restarted node runs before the next one stops."""
RELOADS: Final = 3


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
    """An update of the farm, node by node."""

    name = "robots-rolling"
    title = "all nodes restart, one after the other"
    why = "during an update no robot may be reported as Unresponsive"

    async def event(self, bench: TestBench, robots: Fleet) -> Moment:
        """Stop and start each node; the next one when all robots are back."""
        for node in bench.serving:
            bench.log(f"{node.name} is restarted")
            await bench.call(node.stop)
            await asyncio.sleep(DOWN_SECONDS)
            await bench.call(node.start)
            await asyncio.sleep(RECOVER_SECONDS)
            await robots.all_connected(LATE)
        return Moment(all_hit=True, by_absence=True)


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
    title = "a node recovers without robots, then the application pools of the others are recycled"
    why = "robots stay connected to their node, so a node that recovers has none for hours"

    def sticky(self, farm: Farm) -> str:
        """Clients with an affinity return to their node."""
        return "" if farm.affinity == "none" and farm.balancer.algorithm != "source" else "affinity keeps the robots"

    async def event(self, bench: TestBench, robots: Fleet) -> Moment:
        """Restart the first node, then close the connections of each other node, which runs on."""
        first, *others = bench.serving
        bench.log(f"{first.name} is restarted")
        await bench.call(first.stop)
        await asyncio.sleep(DOWN_SECONDS)
        await bench.call(first.start)
        await asyncio.sleep(RECOVER_SECONDS)
        for node in others:
            await robots.all_connected(LATE)
            bench.log(f"{node.name}: the application pool is recycled; the node has {robots.held()[node.name]} robots")
            await bench.call(node.set, pool_stopped=True)
            await bench.call(node.reset)
            await asyncio.sleep(RECOVER_SECONDS)
        return Moment(all_hit=True, by_absence=True)


class RobotsRedis(FleetScenario):
    """The SignalR store fails."""

    name = "robots-redis"
    title = "Redis fails and recovers"
    why = "while Redis is down, messages for robots on other nodes are lost"

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip always: these nodes have no store."""
        return super().skip_reason(farm, vendor) or "the robots' nodes use no Redis; see the scenarios redis-..."

    async def event(self, bench: TestBench, robots: Fleet) -> Moment:
        """Not run."""
        raise NotImplementedError


SCENARIOS: Final = (
    RobotsKill(),
    RobotsHang(),
    RobotsRolling(),
    RobotsReload(),
    RobotsBalancer(),
    RobotsSpread(),
    RobotsRedis(),
)
