"""Robots that hold WebSockets and event streams while nodes are restarted one after the other, or hang."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Final

from ...generators.base import generator
from ...spec.model import Farm
from ..clients.hub_client import SessionPlan
from ..clients.robots import Robot, robots, until_connected
from ..lab.lab import live_path
from ..lab.processes import NodeProcess
from .base import HASHED, ONE_NODE, Metrics, Scenario, TestBench, is_hashed, lacks, metric, serving

MANY: Final = 24
"""Robots with WebSockets."""
NEW: Final = 40
"""Further robots, which connect after the first node has recovered: enough that chance explains no missing share."""
EACH: Final = 6
"""Robots for each transport."""
DOWN_SECONDS: Final = 4.0
"""How long a restarted node is down."""
UP_SECONDS: Final = 5.0
"""How long a node runs again before new robots connect."""
BACK_SECONDS: Final = 20.0
HANDSHAKE_SECONDS: Final = 15.0
"""SignalR Core's own timeout for negotiation and handshake."""
SILENT_SECONDS: Final = 3.0
"""After this silence a robot gives up; SignalR's clients do after 30 s."""


def plans(bench: TestBench, transport: str, count: int, *, skip: bool) -> list[SessionPlan]:
    """Return the plans of robots of SignalR Core; with `skip` they need no negotiation and no affinity."""
    one = SessionPlan(
        url=bench.lab.url,
        ca=bench.lab.certificates.ca,
        path=live_path(bench.farm, "core"),
        generation="core",
        transport=transport,
        skip_negotiation=skip,
        timeout=HANDSHAKE_SECONDS,
    )
    return [one] * count


def refusals(team: Sequence[Robot]) -> list[str]:
    """Return the refused connections: answers 502, 503 and 504 of the balancer."""
    return [text for robot in team for text in robot.refusals if "http 50" in text]


def _unchecked(bench: TestBench) -> str:
    """Return why the balancer cannot find a node that hangs, under passthrough; empty if it can."""
    farm = bench.farm
    if farm.frontend.tls.mode != "passthrough" or lacks("passthrough-health", farm, bench.vendor) is None:
        return ""
    return f"{generator(bench.vendor).title} has no health checks under passthrough"


class _TwoServe(Scenario):
    """A scenario with two nodes that get new requests in normal operation."""

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip farms without a second node that serves."""
        del vendor
        return "" if len(serving(farm)) > 1 else ONE_NODE


class RollingRestart(_TwoServe):
    """An update of the farm, node by node, with robots that hold nothing but WebSockets."""

    name = "rolling-restart"
    title = "two nodes restart one after the other, with WebSockets only"
    why = "a balancer that remembers the failures of the first node has no node left when the second one restarts"
    seconds = 120.0

    async def run(self, bench: TestBench) -> Metrics:
        """Kill and start the first node, connect further robots, kill the second node."""
        first, second = bench.serving[:2]
        async with robots(plans(bench, "webSockets", MANY, skip=True)) as team:
            absent = sum(not robot.connected for robot in team)
            await self._restart(bench, first)
            await asyncio.sleep(UP_SECONDS)
            before = await _held(bench, first)
            async with robots(plans(bench, "webSockets", NEW, skip=True)) as more:
                got = await _held(bench, first) - before
                every = [*team, *more]
                bench.log(f"{second.name} is killed")
                await bench.call(second.kill)
                await _noticed(every, second)
                await until_connected(every, BACK_SECONDS)
                refused, lost = refusals(every), sum(not robot.connected for robot in every)
                slowest = max((back for robot in every for back in _absences(robot)), default=0.0)
        weights = {node.name: node.weight for node in serving(bench.farm)}
        fair = weights[first.name] / sum(weights.values())
        reason = HASHED if is_hashed(bench.farm) else _unchecked(bench)
        yield metric("unconnected", absent, of=len(team))
        yield metric("share", round(100 * got / NEW / fair, 1), of=NEW, note=reason or first.name, enforced=not reason)
        yield metric("refused", len(refused), note=refused[0] if refused else "")
        yield metric("lost", lost, of=len(every))
        yield metric("back_within", round(slowest, 2))

    @staticmethod
    async def _restart(bench: TestBench, node: NodeProcess) -> None:
        bench.log(f"{node.name} is killed")
        await bench.call(node.kill)
        await asyncio.sleep(DOWN_SECONDS)
        bench.log(f"{node.name} starts again")
        await bench.call(node.start)


class HungRobots(_TwoServe):
    """A node hangs, and its robots give up after their own timeout."""

    name = "hang-robots"
    title = "a node with open WebSockets and event streams hangs"
    why = "if the balancer sends robots back to the node that hangs, they stay disconnected for minutes"
    seconds = 120.0

    async def run(self, bench: TestBench) -> Metrics:
        """Freeze the node that holds most robots, and wait until all are connected to other nodes."""
        sticky = bench.farm.affinity != "none"
        team_plans = plans(bench, "webSockets", EACH, skip=True)
        if sticky:
            team_plans += [
                *plans(bench, "webSockets", EACH, skip=False),
                *plans(bench, "serverSentEvents", EACH, skip=False),
            ]
        team_plans = [replace(plan, silence=SILENT_SECONDS) for plan in team_plans]
        async with robots(team_plans) as team:
            absent = sum(not robot.connected for robot in team)
            held = {node.name: await _held(bench, node) for node in bench.serving}
            victim = max(bench.serving, key=lambda node: held[node.name])
            bench.log(f"{victim.name} hangs; it has {held[victim.name]} of {len(team)} robots")
            await bench.call(victim.freeze)
            start = perf_counter()
            await _noticed(team, victim, until=start + SILENT_SECONDS + HANDSHAKE_SECONDS)
            await until_connected(team, BACK_SECONDS)
            lost = sum(not robot.connected for robot in team)
            slowest = max((_back(robot) - start for robot in team if robot.ends), default=0.0)
        note, reason = f"robots give up after {SILENT_SECONDS:g} s", _unchecked(bench)
        yield metric("unconnected", absent, of=len(team))
        yield metric("hit", sum(bool(robot.ends) for robot in team), of=len(team))
        yield metric("lost", lost, of=len(team), note=reason, enforced=not reason)
        yield metric("back_within", round(slowest, 2), note=f"{note}; {reason}", enforced=not reason)


def _back(robot: Robot) -> float:
    """Return when a robot got its present connection; now, if it has none."""
    return robot.returns[-1] if robot.connected else perf_counter()


def _absences(robot: Robot) -> list[float]:
    """Return how long the robot was without a connection each time."""
    return [back - end for end, back in zip(robot.ends, robot.returns, strict=False)]


async def _held(bench: TestBench, node: NodeProcess) -> int:
    """Return the number of a node's robots."""
    return sum((await bench.call(node.control.summary))["open"].values())


async def _noticed(team: Sequence[Robot], victim: NodeProcess, until: float | None = None) -> None:
    """Wait until every robot of a node has lost its connection."""
    deadline = until or perf_counter() + BACK_SECONDS
    before = [(robot, len(robot.ends)) for robot in team if robot.node == victim.name]
    while perf_counter() < deadline and any(len(robot.ends) == ends for robot, ends in before):
        await asyncio.sleep(0.05)


SCENARIOS: Final = (RollingRestart(), HungRobots())
