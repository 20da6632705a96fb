"""Reloads: under load, during an outage, with open WebSockets."""

import asyncio
from time import perf_counter
from typing import Final

from ..lab.bench import TimedEvent
from ..lab.processes import NodeProcess
from .base import Failover, Metric, Metrics, Scenario, TestBench, metric, without_checks
from .failover import failed, load_metrics

RELOADS: Final = 3
SOCKETS: Final = 50
KNOWN_SECONDS: Final = 5.0
"""After this time under load the balancer has marked a hanging node down."""
AFTER_RELOAD: Final = 2.0
"""A node fails at this time of the load, one second after the reload."""
FREED_SECONDS: Final = 5.0
"""The time in which a node that hangs loses its WebSockets."""
FAILED_SECONDS: Final = 10.0
MOVED_SECONDS: Final = 3.0
"""The time in which clients with open connections move to the new process."""


def _reloads(bench: TestBench, *seconds: float) -> list[TimedEvent]:
    return [(second, "the balancer is reloaded", bench.lab.balancer.reload) for second in seconds]


class Reload(Scenario):
    """Three reloads under load."""

    name = "reload"
    title = f"the balancer is reloaded {RELOADS} times under load"
    why = "configuration changes are the most frequent event and must not make a request fail"
    seconds = 60.0

    async def run(self, bench: TestBench) -> Metrics:
        """Reload under 2800 requests, first on open connections, then with a new connection for each request.

        Open connections stay with the old process; new connections go to the process that listens at that moment.
        """
        bench.log("connections are kept open")
        result = await bench.load(_reloads(bench, 4.0, 7.0, 10.0))
        yield failed("failed", result.records, bench)
        for one in load_metrics(bench, result):
            yield one
        bench.log("each request opens a new connection")
        result = await bench.load(_reloads(bench, 2.0, 4.0, 6.0), seconds=8.0, keep_alive=False)
        yield failed("failed_new", result.records, bench)


class ReloadOutage(Failover):
    """Reloads during an outage: the balancer must keep the states of the nodes."""

    name = "reload-outage"
    title = f"the balancer is reloaded {RELOADS} times while a node hangs"
    why = "a balancer that forgets the states of nodes sends requests to failed nodes after each reload"
    seconds = 60.0

    async def run(self, bench: TestBench) -> Metrics:
        """Freeze a node, wait until it is marked down, then load and reload.

        The first check of the new process detects a wrong answer at once, but a hanging node only after the check's
        timeout; until then the node would count as up. Each request opens a new connection, because open connections
        stay with the old process.
        """
        victim = bench.serving[0]
        bench.log(f"{victim.name} hangs")
        await bench.call(victim.freeze)
        await bench.load(seconds=KNOWN_SECONDS)
        result = await bench.load(_reloads(bench, 2.0, 4.0, 6.0), seconds=9.0, keep_alive=False)
        yield failed("failed_gets", result.records, bench, method="GET")
        yield failed("failed_posts", result.records, bench, method="POST")
        for one in load_metrics(bench, result):
            yield one


class ReloadWebSockets(Scenario):
    """Reloads with open WebSockets: robots stay connected for days."""

    name = "reload-websockets"
    title = f"the balancer is reloaded {RELOADS} times with {SOCKETS} open WebSockets"
    why = "a reload that closes WebSockets makes every robot reconnect at the same moment"
    seconds = 60.0

    async def run(self, bench: TestBench) -> Metrics:
        """Hold WebSockets that send messages during the reloads."""
        bench.log(f"{SOCKETS} WebSockets are opened")
        async with bench.sockets(SOCKETS, echo_every=0.5) as held:
            for _ in range(RELOADS):
                bench.log("the balancer is reloaded")
                await bench.call(bench.lab.balancer.reload)
                await asyncio.sleep(1.5)
            before = [report.echoes for report in held.reports]
            await asyncio.sleep(2.0)
            cut = [report for report in held.reports if not report.alive]
            pairs = zip(held.reports, before, strict=True)
            silent = sum(report.alive and report.echoes <= echoes for report, echoes in pairs)
            worst = max(report.worst_echo for report in held.reports)
        ends = sorted({report.error or f"close code {report.close_code}" for report in cut})
        yield metric("cut", len(cut), of=SOCKETS, note=", ".join(ends))
        yield metric("silent", silent, of=SOCKETS)
        yield metric("worst_echo", round(worst, 3), of=SOCKETS)


class ReloadStates(Failover):
    """A node fails, stops or leaves after a reload: clients from before the reload must leave it."""

    name = "reload-states"
    title = "after a reload, a node with older connections fails or is set to `down`"
    why = "an old worker runs no health checks, so its clients could stay on a failed node for hours"
    seconds = 60.0
    changes_farm = "it sets a node to `down` in the spec"

    async def run(self, bench: TestBench) -> Metrics:
        """Freeze a node under WebSockets, stop its application pool, and set it to `down`, each after a reload."""
        victim = bench.serving[0]
        yield await _freed(bench, victim)
        await bench.restore()
        stop = (AFTER_RELOAD, f"{victim.name}: application pool stopped", lambda: victim.set(pool_stopped=True))
        result = await bench.load([*_reloads(bench, 1.0), stop], seconds=FAILED_SECONDS)
        yield failed("failed_gets", result.records, bench, method="GET")
        await bench.restore()
        yield await _still_asked(bench, victim)


async def _freed(bench: TestBench, victim: NodeProcess) -> Metric:
    """Open WebSockets, reload, freeze a node, and return how many WebSockets it still holds after the time for that."""
    reason = without_checks(bench)
    bench.log(f"{SOCKETS} WebSockets are opened, then the balancer is reloaded")
    async with bench.sockets(SOCKETS, echo_every=0.5) as held:
        await bench.call(bench.lab.balancer.reload)
        await asyncio.sleep(AFTER_RELOAD - 1)
        bench.log(f"{victim.name} hangs")
        await bench.call(victim.freeze)
        start = perf_counter()
        on_victim = [report for report in held.reports if report.node == victim.name]
        while any(report.alive for report in on_victim) and perf_counter() < start + FREED_SECONDS:
            await asyncio.sleep(0.05)
        kept = sum(report.alive for report in on_victim)
        # Before the sockets close: a node that hangs does not answer the closing handshake.
        await bench.call(victim.thaw)
    return metric("kept", kept, of=len(on_victim), note=reason, enforced=not reason)


async def _still_asked(bench: TestBench, victim: NodeProcess) -> Metric:
    """Set a node to `down` by a reload under load, and count the requests that it gets from then on."""
    farm = bench.farm
    nodes = tuple(node.replace(state="down") if node.name == victim.name else node for node in farm.nodes)
    down = (1.0, f"{victim.name} is set to down by a reload", lambda: bench.lab.change(farm.replace(nodes=nodes)))
    try:
        result = await bench.load([down], seconds=FAILED_SECONDS)
    finally:
        await bench.call(bench.lab.change, farm)
    late = [record for record in result.records if record.scheduled > 1.0 + MOVED_SECONDS]
    return metric("still_asked", sum(record.node == victim.name for record in late), of=len(late))


SCENARIOS = (Reload(), ReloadOutage(), ReloadWebSockets(), ReloadStates())
