"""Nodes go and come back: 2800 requests, 200 a second, three quarters GET, while something happens at 4 s.

What is left of failures is requests that must not be repeated: a POST that may have been executed is answered by an
error, and the client decides.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Final

from ...spec.model import Farm
from ...spec.units import Duration
from ..clients.load_result import LoadResult, Record
from ..lab.bench import Happening
from ..lab.processes import NodeProcess
from .base import (
    HASHED,
    ONE_NODE,
    PASSED_THROUGH,
    Figure,
    Figures,
    Scenario,
    Stage,
    figure,
    is_hashed,
    serving,
    takes_over,
)

EVENT, END = 4.0, 10.0
"""When it happens and when it is over, seconds since the load began."""


def load_figures(stage: Stage, result: LoadResult) -> Iterator[Figure]:
    """What every scenario under load counts: POSTs executed twice, POSTs lost, slow answers."""
    posts = stage.posts()
    yield figure("doubled_posts", len(result.duplicates(*posts)), of=result.posts)
    yield figure("lost_posts", len(result.lost(*posts)), of=result.posts)
    yield figure("slow", result.slow(), of=result.total)


def failed(name: str, records: Sequence[Record], stage: Stage, *, method: str = "") -> Figure:
    """The failed ones among the requests of a method, with their window and what became of them."""
    asked = [record for record in records if not method or record.method == method]
    bad = [record for record in asked if not record.ok]
    times = [record.scheduled for record in bad]
    kinds = sorted({record.outcome for record in bad})
    through = stage.farm.frontend.tls.mode == "passthrough"
    return figure(
        name,
        len(bad),
        of=len(asked),
        window=round(max(times) - min(times), 3) if times else None,
        note=PASSED_THROUGH if through else ", ".join(kinds),
        held=not through,
    )


class Outage(Scenario):
    """One node stops serving while the load runs, and comes back."""

    seconds = 60.0
    whole = False
    """One figure for all failures instead of one for each method."""

    def unasked(self, farm: Farm, vendor: str) -> str:
        """A farm without a second node loses all requests, whatever the balancer does."""
        del vendor
        return "" if takes_over(farm) else ONE_NODE

    @abstractmethod
    def happenings(self, victim: NodeProcess) -> list[Happening]:
        """What happens to the node, and when."""

    async def play(self, stage: Stage) -> Figures:
        """Play it and count what failed."""
        victim = stage.serving[0]
        result = await stage.load(self.happenings(victim))
        if self.whole:
            yield failed("failed", result.records, stage)
        else:
            yield failed("failed_gets", result.records, stage, method="GET")
            yield failed("failed_posts", result.records, stage, method="POST")
        for one in (*load_figures(stage, result), *self.besides(stage, victim, result)):
            yield one

    def besides(self, stage: Stage, victim: NodeProcess, result: LoadResult) -> Iterator[Figure]:
        """What only this outage is asked for."""
        del stage, victim, result
        yield from ()


class Kill(Outage):
    """A crash."""

    name = "kill"
    title = "a node dies and comes back"
    why = "a machine that crashes must not be noticed by robots"

    def happenings(self, victim: NodeProcess) -> list[Happening]:
        """SIGKILL, and a start six seconds later."""
        return [
            (EVENT, f"{victim.name} is killed", victim.kill),
            (END, f"{victim.name} starts again", victim.restart),
        ]


class PoolStopped(Outage):
    """What IIS does when its application pool is stopped or has failed too often."""

    name = "pool-stopped"
    title = "a node's application pool stops (503)"
    why = "the connection still works and answers come fast, so a balancer that looks no further sends it more and more"

    def happenings(self, victim: NodeProcess) -> list[Happening]:
        """503 at once for everything, for six seconds."""
        return [
            (EVENT, f"{victim.name}: application pool stopped", lambda: victim.set(pool_stopped=True)),
            (END, f"{victim.name}: application pool started", victim.reset),
        ]


class Hang(Outage):
    """A frozen virtual machine, or a process in a debugger."""

    name = "hang"
    title = "a node hangs"
    why = "connections are accepted and nothing is answered: only a health check with a time-out finds out"
    whole = True

    def happenings(self, victim: NodeProcess) -> list[Happening]:
        """SIGSTOP, and SIGCONT six seconds later."""
        return [
            (EVENT, f"{victim.name} hangs", victim.freeze),
            (END, f"{victim.name} wakes up", victim.thaw),
        ]


class Drain(Outage):
    """Planned work."""

    name = "drain"
    title = "a node is drained, then stopped"
    why = "planned work on a node must cost nothing at all"
    whole = True

    def happenings(self, victim: NodeProcess) -> list[Happening]:
        """The health endpoint says 503; five seconds later the node is gone."""
        return [
            (EVENT, f"{victim.name}: its health endpoint says 503", lambda: victim.set(drain=True)),
            (EVENT + DRAINED, f"{victim.name} is stopped", victim.kill),
        ]

    def besides(self, stage: Stage, victim: NodeProcess, result: LoadResult) -> Iterator[Figure]:
        """Count what the drained node still got once its checks must have failed; later failures would be hidden."""
        health = stage.farm.balancer.health
        known = EVENT + (health.interval * health.fall + health.timeout) / 1000 + NOTICE
        window = [record for record in result.records if known < record.scheduled < EVENT + DRAINED]
        reason = "NGINX asks no health endpoint" if stage.vendor == "nginx" else ""
        if not window:
            reason = reason or f"a check every {health.interval} does not see it within {DRAINED:g} s"
        got = sum(record.node == victim.name for record in window)
        yield figure("still_asked", got, of=len(window), note=reason, held=not reason)


DRAINED: Final = 5.0
"""So long a drained node runs on, seconds."""
NOTICE: Final = 0.3
"""What a check and the requests already on their way may take besides."""
SLOW_START: Final = Duration.of("10s")
"""Longer slow starts are played as this one: the shape is the same, and nobody waits half a minute for it."""
LONGEST: Final = Duration.of("45s")
"""The same for whoever wants to see the real time."""
RESTART: Final = 4.0
FULL: Final = 4.0
"""For so many seconds after the slow start the share is measured again."""


class SlowStart(Scenario):
    """A node comes back with cold caches."""

    name = "slow-start"
    title = "a node comes back slowly"
    why = "a node with cold caches that gets its full share at once is slow for everybody, or falls over again"
    seconds = 90.0

    def unasked(self, farm: Farm, vendor: str) -> str:
        """Only where the spec asks for it and the program has it."""
        if not farm.balancer.slow_start:
            return "the spec has no balancer.slow_start"
        if vendor == "nginx":
            return "the open source build has no slow start: a node that came back gets its full share at once"
        if len(serving(farm)) < 2:
            return ONE_NODE
        return HASHED if is_hashed(farm) else ""

    async def play(self, stage: Stage) -> Figures:
        """Kill, start again, and look how the share grows."""
        asked = stage.farm.balancer.slow_start
        time = min(asked, LONGEST if stage.real_time else SLOW_START)
        if time == asked:
            for one in await _slow_start(stage, time.seconds, ""):
                yield one
            return
        note = f"balancer.slow_start of {asked} rendered as {time}"
        async with stage.another(
            lambda farm: farm.replace(balancer=farm.balancer.replace(slow_start=time)), note
        ) as cut:
            for one in await _slow_start(cut, time.seconds, note):
                yield one


async def _slow_start(stage: Stage, time: float, note: str) -> list[Figure]:
    victim = stage.serving[0]
    result = await stage.load(
        [(1.0, f"{victim.name} is killed", victim.kill), (RESTART, f"{victim.name} starts again", victim.restart)],
        seconds=RESTART + 3 + time + FULL,
        get_path="/odata/Jobs?delay=100",
        post_delay_ms=100,
        cookies=False,
    )
    weights = {node.name: node.weight for node in serving(stage.farm)}
    fair = weights[victim.name] / sum(weights.values())
    back = next((one.scheduled for one in result.records if one.scheduled > RESTART and one.node == victim.name), None)
    if back is None:
        return [figure("early_share", 0.0), figure("full_share", 0.0, note="it got nothing any more")]
    early, of_early = _share(result, victim.name, back, back + time / 3)
    full, of_full = _share(result, victim.name, back + time, back + time + FULL)
    return [
        figure("early_share", round(100 * early / fair, 1), of=of_early, note=note),
        figure("full_share", round(100 * full / fair, 1), of=of_full, note=note),
        failed("failed", result.records, stage),
    ]


def _share(result: LoadResult, name: str, start: float, end: float) -> tuple[float, int]:
    """A node's share of the answers in a window, and how many those are."""
    nodes = [one.node for one in result.records if start <= one.scheduled < end and one.ok]
    return (nodes.count(name) / len(nodes) if nodes else 0.0), len(nodes)


BROKEN: Final = "/odata/Broken?status=500"
BROKEN_TIMES: Final = 60
BROKEN_SECONDS: Final = 2.0


class BrokenUrl(Scenario):
    """One client asks again and again for a page that fails, at an hour when few others ask for anything."""

    name = "broken-url"
    title = "one broken URL is asked again and again"
    why = "a balancer that takes nodes out for errors of one page lets a single client switch off the farm"
    seconds = 60.0

    async def play(self, stage: Stage) -> Figures:
        """One client that hammers among few others, whose answers would hide it; then the usual load."""
        stage.say(f"one client asks {BROKEN_TIMES} times for a URL that answers 500")
        once = stage.plan(
            get_path=BROKEN,
            rate=BROKEN_TIMES / BROKEN_SECONDS,
            seconds=BROKEN_SECONDS,
            clients=1,
            post_share=0.0,
            warm_up=False,
        )
        few, broken = await stage.beside(stage.plan(rate=5.0, seconds=BROKEN_SECONDS, clients=5), once)
        stage.say("everybody else comes")
        after = await stage.load(rate=100.0, seconds=3.0)
        yield failed("failed", [*few.records, *after.records], stage)
        yield figure("changed", sum(one.status != 500 for one in broken.records), of=broken.total)
        lost = {node.name for node in stage.serving} - {one.node for one in after.records if one.scheduled > 1}
        hashed = is_hashed(stage.farm)
        yield figure(
            "nodes_lost",
            len(lost),
            of=len(stage.serving),
            note=HASHED if hashed else ", ".join(sorted(lost)),
            held=not hashed,
        )


class AllDown(Scenario):
    """The database is away, the rack is dark."""

    name = "all-down"
    title = "all nodes are down, and come back"
    why = "clients must be told at once that nobody serves, and be served as soon as somebody can"
    seconds = 120.0

    async def play(self, stage: Stage) -> Figures:
        """Kill all, look at the answers, start all, look again."""
        stage.say("all nodes are killed")
        for node in stage.nodes:
            await stage.call(node.kill)
        refused = await stage.load(rate=20.0, seconds=3.0, post_share=0.0, clients=10, timeout=20.0, warm_up=False)
        yield figure("refusal", round(refused.percentile(1.0), 3), of=refused.total)
        through = stage.farm.frontend.tls.mode == "passthrough"
        unclear = [one.outcome for one in refused.records if one.status not in {502, 503, 504}]
        note = "passed-through connections are just closed" if through else ", ".join(sorted(set(unclear)))
        yield figure("unclear", len(unclear), of=refused.total, note=note, held=not through)
        stage.say("all nodes start again")
        for node in stage.nodes:
            await stage.call(node.start)
        start = perf_counter()
        await stage.settled()
        yield figure("back", round(perf_counter() - start, 2), of=len(stage.nodes))
        after = await stage.load(rate=100.0, seconds=3.0)
        yield failed("failed_after", after.records, stage)


SCENARIOS = (Kill(), PoolStopped(), Hang(), Drain(), SlowStart(), BrokenUrl(), AllDown())
