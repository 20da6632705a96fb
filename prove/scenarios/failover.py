"""Failures and recoveries of nodes under load: 200 requests/s, three quarters GET.

Without `--quick` these are 2800 requests, and the event is at 4 s.

Only requests that must not be retried may fail: the balancer answers a POST that a node may have executed with an
error, and the client decides.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import ClassVar, Final, NamedTuple

from ...generators.base import generator
from ...spec.model import Farm
from ...spec.units import Duration
from ..clients.load_result import LoadResult, Record
from ..lab.bench import TimedEvent
from ..lab.processes import NodeProcess
from .base import (
    HASHED,
    ONE_NODE,
    PASSED_THROUGH,
    Failover,
    Metric,
    Metrics,
    Scenario,
    TestBench,
    is_hashed,
    lacks,
    metric,
    serving,
    without_checks,
)


class Times(NamedTuple):
    """Begin and end of the failure, and the end of the load, seconds since the load began."""

    event: float
    end: float
    load: float


USUAL: Final = Times(4.0, 10.0, 14.0)
QUICK: Final = Times(1.0, 7.0, 9.0)
"""The times of `--quick`: less load before and after the failure. The failure itself is as long, and as many requests
meet it, so the thresholds are the same."""


def times_of(bench: TestBench) -> Times:
    """Return the times of this run."""
    return QUICK if bench.quick else USUAL


def load_metrics(bench: TestBench, result: LoadResult) -> Iterator[Metric]:
    """Yield the metrics of every scenario under load: duplicated POSTs, lost POSTs, slow responses."""
    posts = bench.posts()
    yield metric("doubled_posts", len(result.duplicates(*posts)), of=result.posts)
    yield metric("lost_posts", len(result.lost(*posts)), of=result.posts)
    yield metric("slow", result.slow(), of=result.total)


def failed(name: str, records: Sequence[Record], bench: TestBench, *, method: str = "") -> Metric:
    """Return the number of failed requests of a method, with their window and outcomes."""
    selected = [record for record in records if not method or record.method == method]
    bad = [record for record in selected if not record.ok]
    times = [record.scheduled for record in bad]
    kinds = sorted({record.outcome for record in bad})
    through = bench.farm.frontend.tls.mode == "passthrough"
    return metric(
        name,
        len(bad),
        of=len(selected),
        window=round(max(times) - min(times), 3) if times else None,
        note=PASSED_THROUGH if through else ", ".join(kinds),
        enforced=not through,
    )


class Outage(Failover):
    """One node stops serving under load and recovers."""

    seconds = 60.0
    one_metric = False
    """Whether one metric counts all failures, instead of one for each method."""

    @abstractmethod
    def events(self, victim: NodeProcess, times: Times) -> list[TimedEvent]:
        """Return the events that hit the node, and their times."""

    async def run(self, bench: TestBench) -> Metrics:
        """Run the load with the events and count the failures."""
        victim, times = bench.serving[0], times_of(bench)
        result = await bench.load(self.events(victim, times), seconds=times.load)
        if self.one_metric:
            yield failed("failed", result.records, bench)
        else:
            yield failed("failed_gets", result.records, bench, method="GET")
            yield failed("failed_posts", result.records, bench, method="POST")
        for one in (*load_metrics(bench, result), *self.more_metrics(bench, victim, result)):
            yield one

    def more_metrics(self, bench: TestBench, victim: NodeProcess, result: LoadResult) -> Iterator[Metric]:
        """Yield the metrics of this outage only."""
        del bench, victim, result
        yield from ()


class Kill(Outage):
    """A crash."""

    name = "kill"
    title = "a node crashes and recovers"
    why = "robots must not notice that a node crashes"

    def events(self, victim: NodeProcess, times: Times) -> list[TimedEvent]:
        """Send SIGKILL, and start the node six seconds later."""
        return [
            (times.event, f"{victim.name} is killed", victim.kill),
            (times.end, f"{victim.name} starts again", victim.restart),
        ]


class PoolStopped(Outage):
    """IIS stops an application pool that fails too often."""

    name = "pool-stopped"
    title = "a node's application pool stops (503)"
    why = "the node accepts connections and answers 503 quickly: a balancer without HTTP checks sends it most requests"

    def events(self, victim: NodeProcess, times: Times) -> list[TimedEvent]:
        """Answer every request with 503 for six seconds."""
        return [
            (times.event, f"{victim.name}: application pool stopped", lambda: victim.set(pool_stopped=True)),
            (times.end, f"{victim.name}: application pool started", victim.reset),
        ]


class Hang(Outage):
    """A virtual machine that hangs."""

    name = "hang"
    title = "a node hangs"
    why = "the node accepts connections and never answers: only a health check with a timeout detects this"
    one_metric = True

    def events(self, victim: NodeProcess, times: Times) -> list[TimedEvent]:
        """Send SIGSTOP, and SIGCONT six seconds later."""
        return [
            (times.event, f"{victim.name} hangs", victim.freeze),
            (times.end, f"{victim.name} resumes", victim.thaw),
        ]


class Drain(Outage):
    """Planned maintenance."""

    name = "drain"
    title = "a node is drained, then stopped"
    why = "planned maintenance of a node must not make a request fail"
    one_metric = True

    def events(self, victim: NodeProcess, times: Times) -> list[TimedEvent]:
        """The health endpoint answers 503; five seconds later the node stops."""
        return [
            (times.event, f"{victim.name}: its health endpoint answers 503", lambda: victim.set(drain=True)),
            (times.event + DRAINED, f"{victim.name} is stopped", victim.kill),
        ]

    def more_metrics(self, bench: TestBench, victim: NodeProcess, result: LoadResult) -> Iterator[Metric]:
        """Count the requests to the drained node after its health checks must have failed."""
        health = bench.farm.balancer.health
        event = times_of(bench).event
        known = event + (health.interval * health.fall + health.timeout) / 1000 + NOTICE
        window = [record for record in result.records if known < record.scheduled < event + DRAINED]
        reason = without_checks(bench)
        if not window:
            reason = reason or f"health checks every {health.interval} do not detect this within {DRAINED:g} s"
        got = sum(record.node == victim.name for record in window)
        yield metric("still_asked", got, of=len(window), note=reason, enforced=not reason)


DRAINED: Final = 5.0
"""How long a drained node keeps running, seconds."""
NOTICE: Final = 0.3
"""Extra time for a health check and for requests in flight, seconds."""
SLOW_START: Final = Duration.of("10s")
"""Longer slow starts are shortened to this time; the ramp is the same."""
LONGEST: Final = Duration.of("45s")
"""The longest slow start with `--real-time`."""
RESTART: Final = 4.0
FULL: Final = 4.0
"""How long the share is measured after the slow start, seconds."""


class SlowStart(Scenario):
    """A node recovers with cold caches."""

    name = "slow-start"
    title = "a node recovers with a slow start"
    why = "a node with cold caches that gets its full share at once is slow for all clients, or fails again"
    seconds = 90.0
    changes_farm = "it measures balancer.slow_start of the spec, in a second lab with a shorter one"

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip farms without slow start, and vendors that do not support it."""
        if not farm.balancer.slow_start:
            return "the spec has no balancer.slow_start"
        if (without := lacks("slow-start", farm, vendor)) is not None:
            return f"{generator(vendor).title} has no slow start: {without.fallback}"
        if len(serving(farm)) < 2:
            return ONE_NODE
        return HASHED if is_hashed(farm) else ""

    async def run(self, bench: TestBench) -> Metrics:
        """Kill a node, restart it, and measure its share over time."""
        specified = bench.farm.balancer.slow_start
        time = min(specified, LONGEST if bench.real_time else SLOW_START)
        if time == specified:
            for one in await _slow_start(bench, time.seconds, ""):
                yield one
            return
        note = f"balancer.slow_start of {specified} rendered as {time}"
        farm = bench.farm.replace(balancer=bench.farm.balancer.replace(slow_start=time))
        async with bench.another(farm, note) as shorter:
            for one in await _slow_start(shorter, time.seconds, note):
                yield one


async def _slow_start(bench: TestBench, time: float, note: str) -> list[Metric]:
    victim = bench.serving[0]
    result = await bench.load(
        [(1.0, f"{victim.name} is killed", victim.kill), (RESTART, f"{victim.name} starts again", victim.restart)],
        seconds=RESTART + 3 + time + FULL,
        get_path="/odata/Jobs?delay=100",
        post_delay_ms=100,
        cookies=False,
    )
    weights = {node.name: node.weight for node in serving(bench.farm)}
    fair = weights[victim.name] / sum(weights.values())
    back = next((one.scheduled for one in result.records if one.scheduled > RESTART and one.node == victim.name), None)
    if back is None:
        return [metric("early_share", 0.0), metric("full_share", 0.0, note="it received no more requests")]
    early, of_early = _share(result, victim.name, back, back + time / 3)
    full, of_full = _share(result, victim.name, back + time, back + time + FULL)
    return [
        metric("early_share", round(100 * early / fair, 1), of=of_early, note=note),
        metric("full_share", round(100 * full / fair, 1), of=of_full, note=note),
        failed("failed", result.records, bench),
    ]


def _share(result: LoadResult, name: str, start: float, end: float) -> tuple[float, int]:
    """Return a node's share of the responses in a window, and the number of responses."""
    nodes = [one.node for one in result.records if start <= one.scheduled < end and one.ok]
    return (nodes.count(name) / len(nodes) if nodes else 0.0), len(nodes)


BROKEN_TIMES: Final = 60
BROKEN_SECONDS: Final = 2.0


class BrokenUrl(Scenario):
    """One client requests a failing page repeatedly while there is little other load."""

    name = "broken-url"
    title = "one broken URL is requested repeatedly"
    why = "if errors of one page mark nodes down, a single client can take the whole farm down"
    seconds = 60.0
    statuses: ClassVar[tuple[int, ...]] = (500,)
    """What the broken pages answer, on every node."""

    async def run(self, bench: TestBench) -> Metrics:
        """Run one client with the broken URLs and a few others, then the usual load."""
        shown = ", ".join(str(status) for status in self.statuses)
        bench.log(f"one client requests a URL that answers {shown}, {BROKEN_TIMES} times")
        others: list[Record] = []
        changed = total = 0
        for status in self.statuses:
            once = bench.plan(
                get_path=f"/odata/Broken?status={status}",
                rate=BROKEN_TIMES / BROKEN_SECONDS,
                seconds=BROKEN_SECONDS,
                clients=1,
                post_share=0.0,
                warm_up=False,
            )
            few, broken = await bench.beside(bench.plan(rate=5.0, seconds=BROKEN_SECONDS, clients=5), once)
            others += few.records
            changed += sum(one.status != status for one in broken.records)
            total += broken.total
        bench.log("the usual load follows")
        after = await bench.load(rate=100.0, seconds=3.0)
        yield failed("failed", [*others, *after.records], bench)
        yield metric("changed", changed, of=total)
        lost = {node.name for node in bench.serving} - {one.node for one in after.records if one.scheduled > 1}
        hashed = is_hashed(bench.farm)
        yield metric(
            "nodes_lost",
            len(lost),
            of=len(bench.serving),
            note=HASHED if hashed else ", ".join(sorted(lost)),
            enforced=not hashed,
        )


class UnavailableUrl(BrokenUrl):
    """Answers by which a balancer usually recognizes a node that is down."""

    name = "unavailable-url"
    title = "one URL answers 502, 503 or 504 to all clients"
    why = "the balancer retries these requests on other nodes: if they mark nodes down, one client stops the farm"
    statuses = (503, 502, 504)


class AllDown(Scenario):
    """All nodes fail, for example with their database."""

    name = "all-down"
    title = "all nodes are down, and recover"
    why = "without a node, clients must get an error quickly; after a recovery, requests must work again quickly"
    seconds = 120.0

    async def run(self, bench: TestBench) -> Metrics:
        """Kill all nodes, check the responses, start all nodes, check again."""
        bench.log("all nodes are killed")
        for node in bench.nodes:
            await bench.call(node.kill)
        refused = await bench.load(rate=20.0, seconds=3.0, post_share=0.0, clients=10, timeout=20.0, warm_up=False)
        yield metric("refusal", round(refused.percentile(1.0), 3), of=refused.total)
        through = bench.farm.frontend.tls.mode == "passthrough"
        unclear = [one.outcome for one in refused.records if one.status not in {502, 503, 504}]
        note = (
            "with passthrough the balancer closes connections without a response"
            if through
            else ", ".join(sorted(set(unclear)))
        )
        yield metric("unclear", len(unclear), of=refused.total, note=note, enforced=not through)
        bench.log("all nodes start again")
        for node in bench.nodes:
            await bench.call(node.start)
        start = perf_counter()
        await bench.settled()
        yield metric("back", round(perf_counter() - start, 2), of=len(bench.nodes))
        after = await bench.load(rate=100.0, seconds=3.0)
        yield failed("failed_after", after.records, bench)


SLOW_HEALTH: Final = 1.5
"""How long a health check takes, seconds: a database that answers late, not one that is gone."""
SLOW_SECONDS: Final = 8.0
KNOWN_SECONDS: Final = 4.0
"""After this time a balancer with active health checks has marked all nodes down."""
ROBOTS: Final = 20


class HealthSlow(Scenario):
    """The health endpoint of all nodes is slow, then it fails, while everything else works: a database under load."""

    name = "health-slow"
    title = f"the health endpoint of all nodes takes {SLOW_HEALTH:g} s, then fails, while all other requests work"
    why = "a slow database delays the health endpoints of all nodes at once; it must not stop the farm"
    seconds = 90.0

    async def run(self, bench: TestBench) -> Metrics:
        """Load and WebSockets while health is slow; then load while it fails."""
        async with bench.sockets(ROBOTS, echo_every=0.5) as held:
            slow, fast = (partial(_set_all, bench, health_delay=delay) for delay in (SLOW_HEALTH, 0.0))
            begin = (2.0, f"the health endpoints take {SLOW_HEALTH:g} s", slow)
            end = (2.0 + SLOW_SECONDS, "the health endpoints are fast again", fast)
            result = await bench.load([begin, end], seconds=SLOW_SECONDS + 4.0)
            cut = sum(not report.alive for report in held.reports)
        yield failed("failed", result.records, bench)
        yield metric("cut", cut, of=ROBOTS)
        bench.log("the health endpoints of all nodes answer 503, all other requests work")
        await bench.call(_set_all, bench, drain=True)
        await bench.load(seconds=KNOWN_SECONDS)
        refused = failed("refused", (await bench.load(seconds=4.0)).records, bench)
        for node in bench.nodes:
            await bench.call(node.reset)
        # Requests are served already; the next scenario needs nodes that are marked up.
        await bench.load(seconds=KNOWN_SECONDS)
        wanted = bench.farm.balancer.health.serves_all_failed
        yield refused if wanted else refused._replace(note="the spec says `all_failed: refuse`", enforced=False)


def _set_all(bench: TestBench, **switches: bool | float) -> None:
    for node in bench.nodes:
        node.set(**switches)


SCENARIOS = (
    Kill(),
    PoolStopped(),
    Hang(),
    Drain(),
    SlowStart(),
    BrokenUrl(),
    UnavailableUrl(),
    HealthSlow(),
    AllDown(),
)
