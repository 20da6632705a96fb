"""Robots when a balancer of a pair fails: keepalived moves the address, and they connect to the other balancer."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Final

from ...core.errors import NlbgenError
from ...spec.model import Farm
from ..clients.fleet import WATCH_SECONDS
from ..lab.bench import in_thread
from ..lab.ceiling import ceiling
from ..lab.lab import live_path
from ..lab.pair import ROBOTS, Pair, unsupported
from ..lab.processes import Child
from ..lab.usage import usage, watched
from .base import Metrics, Scenario, TestBench, metric
from .fleet_base import (
    CONNECTED_EACH_SECOND,
    FEW,
    LATE,
    QUIET_SECONDS,
    SOON,
    SPREAD_SECONDS,
    judged,
    sized,
    spread_of,
)
from .paired_robots import Request, State, last_state

MODULE: Final = "nlbgen.prove.scenarios.paired_robots"
LINE_CHARACTERS: Final = 20_000
"""More than two lines of the robots' process."""


class RobotsFailover(Scenario):
    """The balancer that has the shared address crashes."""

    name = "robots-failover"
    title = "the balancer with the shared address crashes, and keepalived moves the address to another one"
    why = "all robots reconnect at the same moment, to a balancer that has just taken over the address"
    seconds = 1800.0
    needs_robots = True
    changes_farm = "it runs keepalived with the files that nlbgen renders"

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip farms without a shared address, and machines that cannot make the network."""
        del vendor
        return unsupported(farm)

    async def run(self, bench: TestBench) -> Metrics:
        """Connect all robots through the first balancer, kill it, and wait until they are connected through another."""
        wanted = bench.robots or FEW
        limit = ceiling(bench.vendor)
        count = min(wanted, limit.robots)
        note = "" if count == wanted else f"only {count} of {wanted} robots fit on this machine: {limit.reason}"
        spec = bench.lab.written._replace(farm=sized(bench.farm, count))
        async with in_thread(Pair(spec, bench.vendor)) as pair:
            async for one in _measured(bench, pair, count, note):
                yield one


async def _measured(bench: TestBench, pair: Pair, count: int, note: str) -> Metrics:
    first = await bench.call(lambda: pair.holder)
    empty = usage(first.group).memory_mb
    bench.log(f"{first.name} has {pair.shared}; {count} robots connect")
    patience = count / CONNECTED_EACH_SECOND + SOON
    async with _robots(pair, bench, count, patience) as robots:
        state = await _until(robots, lambda state: state.begun, patience + SOON)
        yield metric("unconnected", state.absent, of=count, note=note)
        full = usage(first.group).memory_mb
        robots.signal(signal.SIGUSR1)
        await _until(robots, lambda state: state.signals == 1, SOON)
        groups = {robots.pid, *(node.pid for node in pair.nodes), *(one.group for one in pair.balancers)}
        async with watched(lambda: groups) as seen:
            bench.log(f"{first.name} is killed")
            await bench.call(first.kill)
            if not await bench.call(pair.moved_from, first):
                raise NlbgenError(f"no other balancer takes {pair.shared}: {pair.log()}")
            second = await bench.call(lambda: pair.holder)
            bench.log(f"{second.name} has {pair.shared}")
            await _until(robots, lambda state: state.absent == 0 and bool(state.figures[0]["value"]), LATE)
            await asyncio.sleep(SPREAD_SECONDS if bench.real_time else QUIET_SECONDS)
            state = last_state(robots.output(LINE_CHARACTERS))
        for one in state.metrics:
            yield judged(one._replace(note=f"{first.name} to {second.name}") if one.name == "hit" else one, seen)
        yield judged(spread_of(bench.farm, state.held, real_time=bench.real_time), seen)
        yield metric("cpu", round(usage(second.group).cpu_seconds, 1))
    yield metric("memory", round((full - empty) * 1024 / count, 1), of=count)


@asynccontextmanager
async def _robots(pair: Pair, bench: TestBench, count: int, patience: float) -> AsyncIterator[Child]:
    """Run the robots in their own network."""
    farm = bench.farm
    core, frontend = farm.orchestrator.is_core, farm.frontend
    request = Request(
        count=count,
        address=pair.shared,
        port=frontend.port,
        host=frontend.host,
        ca="" if frontend.tls.mode == "none" else str(pair.certificates.ca),
        generation="core" if core else "classic",
        path=live_path(farm, *(["core"] if core else [])),
        network=ROBOTS,
        seconds=patience,
    )
    robots = await bench.call(pair.start_robots, [MODULE, request.text()])
    try:
        yield robots
    finally:
        await bench.call(robots.kill)


async def _until(robots: Child, condition: Callable[[State], bool], seconds: float) -> State:
    """Wait for a state of the robots; return the last one when the time is over. Raises NlbgenError if they ended."""
    deadline = perf_counter() + seconds
    while True:
        state = last_state(robots.output(LINE_CHARACTERS))
        if condition(state) or perf_counter() > deadline:
            return state
        if not robots.running:
            raise NlbgenError(f"the process of the robots ended: {robots.output()}")
        await asyncio.sleep(WATCH_SECONDS)


SCENARIOS: Final = (RobotsFailover(),)
