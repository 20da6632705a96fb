"""`nlbgen prove --robots N`: thousands of robots, and what a failure does to them."""

import asyncio
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from ...spec.capacity import connections_for, open_files
from ...spec.model import Farm
from ..clients.fleet import Fleet, fleet
from ..clients.fleet_robot import FleetPlan, Robot
from ..lab.ceiling import Usage, balancer_processes, ceiling, file_limit, most_connections, usage
from ..lab.lab import live_path
from .base import ONE_NODE, Metric, Metrics, Scenario, TestBench, metric, serving, without_checks

FEW: Final = 200
"""The number of robots without `--robots`."""
CONNECTED_EACH_SECOND: Final = 20
"""How many robots connect each second at the beginning, at least."""
SOON: Final = 30.0
LATE: Final = 120.0
"""The goals: 99 % of the robots are back within SOON seconds, and all within LATE."""
DOWN_SECONDS: Final = 4.0
"""How long a stopped node or balancer is away. keepalived moves the address within this time."""
HANG_SECONDS: Final = 40.0
"""How long a node hangs: longer than the clients' own timeouts."""
RECOVER_SECONDS: Final = 6.0
"""How long a restarted node runs before the next one stops."""
RELOADS: Final = 3
QUIET_SECONDS: Final = 5.0
SPREAD_SECONDS: Final = 300.0
"""When the spread is measured: after QUIET_SECONDS, and with --real-time after SPREAD_SECONDS."""


@dataclass
class Moment:
    """What an event did."""

    victim: str = ""
    """The node that failed; empty if there is no single one."""
    all_hit: bool = False
    """Whether every robot may lose its connection."""
    by_absence: bool = False
    """Whether the delay of a robot is its longest absence, because there are several events."""
    unnoticed: str = ""
    """Why only the robots notice the event, after their own timeout, so that they cannot be back within SOON."""


class FleetScenario(Scenario):
    """Robots on all nodes, one event, and the time until they are back."""

    needs_robots = True
    seconds = 1800.0

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip farms without a second node that serves."""
        del vendor
        return "" if len(serving(farm)) > 1 else ONE_NODE

    def sticky(self, farm: Farm) -> str:
        """Return why the limit of the share does not apply to a farm; empty (the default) if it does."""
        del farm
        return ""

    @abstractmethod
    async def event(self, bench: TestBench, robots: Fleet) -> Moment:
        """Cause the event, and return when it is over."""

    async def run(self, bench: TestBench) -> Metrics:
        """Connect all robots, cause the event, and wait until all are back."""
        wanted = bench.robots or FEW
        limit = ceiling(balancer_processes(bench.vendor))
        count = min(wanted, limit.robots)
        note = "" if count == wanted else f"only {count} of {wanted} robots fit on this machine: {limit.reason}"
        async with bench.another(_sized(bench.farm, count), note) as big:
            empty = usage(big.lab.balancer.pid)
            big.log(f"{count} robots connect")
            async with fleet(_plan(big), count, count / CONNECTED_EACH_SECOND + SOON) as robots:
                yield metric("unconnected", robots.absent, of=count, note=note)
                full, homes = usage(big.lab.balancer.pid), [robot.node for robot in robots.robots]
                start = perf_counter()
                moment = await self.event(big, robots)
                await robots.all_connected(LATE)
                await asyncio.sleep(SPREAD_SECONDS if bench.real_time else QUIET_SECONDS)
                after = usage(big.lab.balancer.pid)
                share = _share(bench.farm, robots, self.sticky(bench.farm))
                for one in (*_returned(robots, homes, start, moment), share):
                    yield one
        for one in _cost(count, empty, full, after):
            yield one


def _sized(farm: Farm, count: int) -> Farm:
    """Return the farm with limits for so many robots, as `orchestrator.robots` asks for, within this machine's."""
    limits = farm.balancer.limits
    needed = min(max(connections_for(count), limits.connections), most_connections(file_limit()))
    limits = limits.replace(connections=needed, open_files=open_files(needed))
    return farm.replace(balancer=farm.balancer.replace(limits=limits))


def _plan(bench: TestBench) -> FleetPlan:
    core = bench.farm.orchestrator.is_core
    path = live_path(bench.farm, *(["core"] if core else []))
    return FleetPlan(target=bench.target(), generation="core" if core else "classic", path=path)


def _returned(robots: Fleet, homes: list[str], start: float, moment: Moment) -> Iterator[Metric]:
    """Yield what happened to the robots; `homes` are their nodes before the event."""
    hit = [robot for robot in robots.robots if robot.ends]
    delays = [_delay(robot, start, moment) for robot in hit]
    soon = sum(delay <= SOON for delay in delays)
    of, count = len(hit), len(robots.robots)
    yield metric("hit", of, of=count)
    share = round(100 * soon / of, 1) if of else 100.0
    yield metric("within_30", share, of=of, note=moment.unnoticed, enforced=not moment.unnoticed)
    yield metric("lost", sum(delay > LATE for delay in delays), of=of)
    yield metric("back_within", round(max((one for one in delays if one < float("inf")), default=0.0), 1), of=of)
    pairs = zip(robots.robots, homes, strict=True)
    innocent = 0 if moment.all_hit else sum(bool(robot.ends) and home != moment.victim for robot, home in pairs)
    yield metric("innocent", innocent, of=count)
    yield metric("unresponsive", robots.unresponsive, of=count)


def _delay(robot: Robot, start: float, moment: Moment) -> float:
    """Return the seconds after which a robot was back; infinity if it is not."""
    if not robot.connected:
        return float("inf")
    return robot.absence if moment.by_absence else robot.back - start


def _share(farm: Farm, robots: Fleet, reason: str = "") -> Metric:
    """Return the largest number of robots of a node, in percent of its share by weight."""
    weights = {node.name: node.weight for node in serving(farm)}
    held, total = robots.held(), sum(weights.values())
    of = held.total()
    shares = {name: 100 * held[name] * total / (of * weight) if of else 0.0 for name, weight in weights.items()}
    note = ", ".join(f"{name}: {held[name]}" for name in weights)
    value = round(max(shares.values()), 1)
    return metric("share", value, of=of, note=f"{note}; {reason}", enforced=not reason)


def _cost(count: int, empty: Usage, full: Usage, after: Usage) -> Iterator[Metric]:
    yield metric("memory", round((full.memory_mb - empty.memory_mb) * 1024 / count, 1), of=count)
    yield metric("cpu", round(after.cpu_seconds - full.cpu_seconds, 1))


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
