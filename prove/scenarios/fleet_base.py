"""The base of the scenarios of `--robots`: connect all robots, cause an event, measure until they are back."""

import asyncio
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from math import sqrt
from time import perf_counter
from typing import Final

from ...spec.capacity import connections_for, open_files
from ...spec.model import Farm
from ..clients.fleet import Fleet, fleet
from ..clients.fleet_robot import FleetPlan, Robot
from ..lab.ceiling import ceiling, file_limit, most_connections
from ..lab.lab import live_path
from ..lab.usage import Watch, own_memory_mb, processors, usage, watched
from .base import ONE_NODE, Metric, Metrics, Scenario, TestBench, is_hashed, lacks, metric, serving

FEW: Final = 200
"""The number of robots without `--robots`."""
CONNECTED_EACH_SECOND: Final = 20
"""How many robots connect each second at the beginning, at least."""
SOON: Final = 30.0
LATE: Final = 120.0
"""The goals: 99 % of the robots are back within SOON seconds, and all within LATE."""
QUIET_SECONDS: Final = 5.0
SPREAD_SECONDS: Final = 300.0
"""When the spread is measured: after QUIET_SECONDS, and with --real-time after SPREAD_SECONDS."""
TWICE: Final = 2
"""The goal: no node has more than this many times its share."""
TIMED: Final = frozenset({"unconnected", "within_30", "lost", "innocent", "unresponsive", "unreached"})
"""The metrics that depend on the speed of this machine."""


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
    note: str = ""
    """What a reader needs to interpret the event: a scaled time limit."""


@dataclass(frozen=True)
class Memory:
    """The memory of the lab's processes, in MB."""

    robots: float
    nodes: float
    balancer: float

    @classmethod
    def of(cls, bench: TestBench) -> "Memory":
        """Read it."""
        nodes = sum(usage(node.pid).memory_mb for node in bench.nodes if node.running)
        return cls(own_memory_mb(), nodes, usage(bench.lab.balancer.pid).memory_mb)


@dataclass(frozen=True)
class Spent:
    """The processor time of a balancer, in seconds."""

    process: int
    seconds: float

    @classmethod
    def of(cls, bench: TestBench) -> "Spent":
        """Read it."""
        process = bench.lab.balancer.pid
        return cls(process, usage(process).cpu_seconds)

    def since(self, before: "Spent") -> float:
        """Return the time since `before`; of a new process all of its time."""
        return self.seconds - before.seconds if self.process == before.process else self.seconds


class FleetScenario(Scenario):
    """Robots on all nodes, one event, and the time until they are back."""

    needs_robots = True
    changes_farm = "it renders the limits of the spec for all robots"
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

    def surroundings(self) -> AbstractAsyncContextManager[Mapping[str, str]]:
        """Start what the nodes need besides the lab; yields their options. The default is nothing."""
        return nullcontext({})

    async def afterwards(self, bench: TestBench, robots: Fleet) -> Sequence[Metric]:
        """Return the scenario's own metrics, when all robots are back; the default is none."""
        del bench, robots
        return ()

    async def run(self, bench: TestBench) -> Metrics:
        """Start a lab with limits for all robots, and measure."""
        wanted = bench.robots or FEW
        limit = ceiling(bench.vendor)
        count = min(wanted, limit.robots)
        note = "" if count == wanted else f"only {count} of {wanted} robots fit on this machine: {limit.reason}"
        async with (
            self.surroundings() as options,
            bench.another(sized(bench.farm, count), note, **options) as big,
        ):
            async for one in self.measured(big, count, note):
                yield one

    async def measured(self, bench: TestBench, count: int, note: str = "", patience: float = LATE) -> Metrics:
        """Connect so many robots to a lab, cause the event, and wait up to `patience` seconds until all are back."""
        empty = Memory.of(bench)
        bench.log(f"{count} robots connect")
        async with AsyncExitStack() as stack:
            async with watched(lambda: _groups(bench)) as beginning:
                robots = await stack.enter_async_context(
                    fleet(fleet_plan(bench), count, count / CONNECTED_EACH_SECOND + SOON)
                )
            ended = robots.forget()
            lost = f"{ended} robots lost their connection while others connected" if ended else ""
            note = "; ".join(filter(None, (note, lost)))
            yield judged(metric("unconnected", robots.absent, of=count, note=note), beginning)
            login = _login(bench, beginning, count)
            full, spent = Memory.of(bench), Spent.of(bench)
            async with watched(lambda: _groups(bench)) as seen:
                found = await self._observed(bench, robots, patience)
            for one in found:
                yield judged(one, seen)
            yield metric("cpu", round(Spent.of(bench).since(spent), 1))
        yield metric("login", login)
        for one in _memory(count, empty, full):
            yield one

    async def _observed(self, bench: TestBench, robots: Fleet, patience: float) -> list[Metric]:
        """Cause the event, and return what it did."""
        homes, start = [robot.node for robot in robots.robots], perf_counter()
        moment = await self.event(bench, robots)
        await robots.all_connected(patience)
        await asyncio.sleep(SPREAD_SECONDS if bench.real_time else QUIET_SECONDS)
        share = spread(bench.farm, robots, self.sticky(bench.farm), real_time=bench.real_time)
        share = share._replace(doubt=_chance(share, bench.farm, bench.vendor))
        return [*returned(robots, homes, start, moment), share, *await self.afterwards(bench, robots)]


def _groups(bench: TestBench) -> Collection[int]:
    """Return the process groups of a lab."""
    balancer = bench.lab.balancer
    groups = {node.pid for node in bench.nodes if node.running}
    return groups | {balancer.pid} if balancer.running else groups


def _login(bench: TestBench, seen: Watch, count: int) -> float:
    """Log what this machine needs for the logins, and return the milliseconds of processor time of one."""
    each = seen.lab / count
    least = each * count / processors()
    bench.log(
        f"connected within {seen.seconds:.0f} s; a login took {1000 * each:.1f} ms of processor time: "
        f"{count} logins take at least {least:.0f} s on this machine"
    )
    return round(1000 * each, 1)


def judged(one: Metric, seen: Watch) -> Metric:
    """Return a metric with the doubt about its failure, if the processors were the limit."""
    return one._replace(doubt=seen.doubt()) if one.name in TIMED else one


def sized(farm: Farm, count: int) -> Farm:
    """Return the farm with limits for so many robots, as `orchestrator.robots` asks for, within this machine's."""
    limits = farm.balancer.limits
    needed = min(max(connections_for(count), limits.connections), most_connections(file_limit()))
    limits = limits.replace(connections=needed, open_files=open_files(needed))
    return farm.replace(balancer=farm.balancer.replace(limits=limits))


def fleet_plan(bench: TestBench) -> FleetPlan:
    """Return the robots' plan: SignalR of the farm's version."""
    core = bench.farm.orchestrator.is_core
    path = live_path(bench.farm, *(["core"] if core else []))
    return FleetPlan(target=bench.target(), generation="core" if core else "classic", path=path)


def returned(robots: Fleet, homes: list[str], start: float, moment: Moment) -> Iterator[Metric]:
    """Yield what happened to the robots; `homes` are their nodes before the event."""
    hit = [robot for robot in robots.robots if robot.ends]
    delays = [_delay(robot, start, moment) for robot in hit]
    soon = sum(delay <= SOON for delay in delays)
    of, count = len(hit), len(robots.robots)
    yield metric("hit", of, of=count, note=moment.note)
    share = round(100 * soon / of, 1) if of else 100.0
    yield metric("within_30", share, of=of, note=moment.unnoticed, enforced=not moment.unnoticed)
    yield metric("lost", sum(delay > LATE for delay in delays), of=of)
    yield metric("back_within", round(max((one for one in delays if one < float("inf")), default=0.0), 1), of=of)
    pairs = zip(robots.robots, homes, strict=True)
    innocent = 0 if moment.all_hit else sum(bool(robot.ends) and home != moment.victim for robot, home in pairs)
    yield metric("innocent", innocent, of=count)
    yield metric("unresponsive", robots.unresponsive, of=count)
    reasons = ", ".join(f"{times} {reason}" for reason, times in robots.failures.most_common())
    yield metric("failed_logins", robots.failures.total(), note=reasons)


def _delay(robot: Robot, start: float, moment: Moment) -> float:
    """Return the seconds after which a robot was back; infinity if it is not."""
    if not robot.connected:
        return float("inf")
    return robot.absence if moment.by_absence else robot.back - start


def spread(farm: Farm, robots: Fleet, reason: str = "", *, real_time: bool = False) -> Metric:
    """Return the largest number of robots of a node, in percent of its share by weight."""
    return spread_of(farm, robots.held(), reason, real_time=real_time)


def spread_of(farm: Farm, held: Mapping[str, int], reason: str = "", *, real_time: bool = False) -> Metric:
    """Return the same for these numbers of robots; the note says when they were counted."""
    weights = {node.name: node.weight for node in serving(farm)}
    of, total = sum(held.values()), sum(weights.values())
    shares = {name: 100 * held.get(name, 0) * total / (of * weight) if of else 0.0 for name, weight in weights.items()}
    counts = ", ".join(f"{name}: {held.get(name, 0)}" for name in weights)
    reason = reason or _heavy(weights)
    when = f"{SPREAD_SECONDS / 60:g} minutes" if real_time else f"{QUIET_SECONDS:g} s"
    note = f"{counts}; {when} after the last robot was back; {reason}"
    return metric("share", round(max(shares.values()), 1), of=of, note=note, enforced=not reason)


def _chance(share: Metric, farm: Farm, vendor: str) -> str:
    """Return why a share above the limit can be chance: where chance selects the node, and with few robots.

    The number of robots on a node then has a binomial distribution.
    """
    by_chance = is_hashed(farm) or (
        farm.affinity in {"cookie", "signalr"} and lacks("affinity-cookie", farm, vendor) is not None
    )
    if not by_chance or not share.of:
        return ""
    weights = [node.weight for node in serving(farm)]
    part = min(1.0, TWICE * min(weights) / sum(weights))
    spreads = 3 * sqrt(part * (1 - part) / share.of) / part * 100 * TWICE  # three standard deviations
    if share.value > 100 * TWICE + spreads:
        return ""
    return f"inconclusive: chance selects the node; with {share.of} robots it changes the share by up to {spreads:.0f}%"


def _heavy(weights: Mapping[str, int]) -> str:
    """Return which node has more than half of the weight: without it, the others have more than twice their share."""
    total = sum(weights.values())
    heavy = [name for name, weight in weights.items() if 2 * weight > total]
    return f"{heavy[0]} has {round(100 * weights[heavy[0]] / total)}% of the weight" if heavy else ""


def _memory(count: int, empty: Memory, full: Memory) -> Iterator[Metric]:
    """Yield the memory of each robot, in KB, in the three kinds of processes."""
    pairs = (("memory", "balancer"), ("memory_robots", "robots"), ("memory_nodes", "nodes"))
    for name, kind in pairs:
        yield metric(name, round((getattr(full, kind) - getattr(empty, kind)) * 1024 / count, 1), of=count)
