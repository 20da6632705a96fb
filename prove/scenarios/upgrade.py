"""The upgrade window: the farm is closed at the balancer, all nodes stop and start, and robots return gradually."""

import asyncio
from collections.abc import Sequence
from typing import Final, Literal

from ...generators.base import generator
from ...spec.model import Farm
from ..clients.load_result import Record
from ..clients.robots import robots, until_connected
from ..lab.bench import TimedEvent
from ..lab.processes import NodeProcess
from .base import HttpOnly, Metrics, TestBench, lacks, metric
from .failover import failed
from .robots import MANY, plans

CLOSE, STOP, FIRST, OTHERS, RELEASE = 2.0, 5.0, 7.0, 8.5, 12.0
"""The events in seconds since the load began."""
KNOWN: Final = 2.0
"""Seconds after the release in which connections to the closed farm may get one more 503."""
LOAD_SECONDS: Final = 16.0
RATE: Final = 4
"""New robots for each second, fewer than in the spec: MANY robots then take several seconds."""
BACK_SECONDS: Final = 30.0
QUIET_SECONDS: Final = 3.0


class Upgrade(HttpOnly):
    """The steps of `nlbgen render upgrade`, with the configurations that it renders."""

    name = "upgrade"
    title = "the farm is closed, all nodes stop and start, and the farm is released"
    why = "a request that reaches a node during an upgrade damages its database; all robots at once overload the nodes"
    seconds = 180.0
    changes_farm = "it runs the configurations of `nlbgen render upgrade`"

    async def run(self, bench: TestBench) -> Metrics:
        """Run the window under load with robots, then the gradual release, then the normal configuration."""
        farm = bench.farm
        arrived: list[str] = []
        async with robots(plans(bench, "webSockets", MANY, skip=True)) as team:
            absent = sum(not robot.connected for robot in team)
            result = await bench.load(_events(bench, arrived), seconds=LOAD_SECONDS)
            await until_connected(team, BACK_SECONDS)
            page = [one for one in result.records if STOP < one.scheduled < RELEASE]
            late = [one for one in result.records if one.scheduled > RELEASE + KNOWN]
            returned = sorted(robot.returns[-1] for robot in team if robot.returns)
            before = [len(robot.ends) for robot in team]
            await bench.call(bench.lab.change, farm)
            await asyncio.sleep(QUIET_SECONDS)
            cut = sum(len(robot.ends) > ends for robot, ends in zip(team, before, strict=True))
            lost = sum(not robot.connected for robot in team)
        yield metric("unconnected", absent, of=len(team))
        yield metric("arrived", len(arrived), note=", ".join(sorted(set(arrived))[:3]))
        yield metric("unclear", sum(one.status != 503 for one in page), of=len(page), note=_outcomes(page))
        yield failed("failed_after", late, bench)
        why = lacks("gradual-release", farm, bench.vendor)
        note = f"{RATE} robots for each second" if why is None else f"{generator(bench.vendor).title}: {why.reason}"
        yield metric("peak", _peak(returned), of=len(returned), note=note, enforced=why is None)
        yield metric("lost", lost, of=len(team))
        yield metric("cut", cut, of=len(team))
        yield metric("last_back", round(_span(returned), 1))


def with_maintenance(farm: Farm, state: str, rate: int | None = None) -> Farm:
    """Return the farm in a state of maintenance."""
    old = farm.balancer.maintenance
    new = old.replace(state=state, robots_per_second=rate or old.robots_per_second)
    return farm.replace(balancer=farm.balancer.replace(maintenance=new))


def _events(bench: TestBench, arrived: list[str]) -> list[TimedEvent]:
    farm, nodes = bench.farm, bench.nodes
    return [
        (CLOSE, "the farm is closed", lambda: bench.lab.change(with_maintenance(farm, "closed"))),
        (STOP, "all nodes are stopped", lambda: _each(nodes, "kill")),
        (FIRST, f"{nodes[0].name} starts", nodes[0].start),
        (OTHERS, "the other nodes start", lambda: _each(nodes[1:], "start")),
        (RELEASE, "the farm is released", lambda: _release(bench, arrived)),
    ]


def _each(nodes: Sequence[NodeProcess], work: Literal["kill", "start"]) -> None:
    for node in nodes:
        getattr(node, work)()


def _release(bench: TestBench, arrived: list[str]) -> None:
    """Note the requests that reached a node since its start, then release the farm."""
    for node in bench.nodes:
        arrived += [str(seen["target"]).partition("?")[0] for seen in node.control.requests()]
    bench.lab.change(with_maintenance(bench.farm, "releasing", RATE))


def _outcomes(records: Sequence[Record]) -> str:
    return ", ".join(sorted({one.outcome for one in records if one.status != 503})[:3])


def _peak(times: Sequence[float]) -> int:
    """Return the most robots that returned within one second."""
    return max((sum(start <= one < start + 1 for one in times) for start in times), default=0)


def _span(times: Sequence[float]) -> float:
    return times[-1] - times[0] if times else 0.0


SCENARIOS = (Upgrade(),)
