"""Nothing happens: how the load is spread, and what the balancer costs."""

from statistics import median
from typing import Final

from ...spec.model import Farm
from ..clients.load_result import LoadResult
from ..clients.pressure import Pressure, press
from ..lab.time_scale import restarted
from .base import HASHED, ONE_NODE, Figures, Scenario, Stage, figure, is_hashed, serving

HELD_MS: Final = 100
"""How long the nodes hold a request here: least connections looks at weights only while requests overlap."""
REPEATS: Final = 3
"""The comparisons take turns, so that what else the machine does hits both sides."""


class Steady(Scenario):
    """A quiet day."""

    name = "steady"
    title = "a quiet day"
    why = "nodes of different size need different shares, and the balancer itself must not be felt"
    seconds = 90.0

    async def play(self, stage: Stage) -> Figures:
        """Spread, then latency and throughput against the nodes without a balancer."""
        await restarted(stage)  # a node that an earlier scenario took out may still be in its slow start
        stage.say(f"200 requests/s for 8 s, each held for {HELD_MS} ms by its node")
        result = await stage.load(
            seconds=8.0, get_path=f"/odata/Jobs?delay={HELD_MS}", post_delay_ms=HELD_MS, cookies=False
        )
        posts = stage.posts()
        yield figure("failed", result.failed, of=result.total)
        yield figure("doubled_posts", len(result.duplicates(*posts)), of=result.posts)
        yield figure("lost_posts", len(result.lost(*posts)), of=result.posts)
        off, shares = _shares(stage.farm, result)
        reason = HASHED if is_hashed(stage.farm) else ONE_NODE if len(stage.serving) < 2 else ""
        yield figure("share_off", off, of=result.total, note=reason or shares, held=not reason)
        stage.say("200 requests/s, through the balancer and straight to a node, in turn")
        through, direct = await _latencies(stage)
        added = median(one.p50 for one in through) - median(one.p50 for one in direct)
        beside = f"{_ms(through)} against {_ms(direct)} straight to a node"
        asked = sum(one.total for one in through)
        yield figure("added_p50", round(max(added * 1000, 0.0), 2), of=asked, note=beside)
        yield figure("p99", round(median(one.p99 for one in through) * 1000, 2), of=asked)
        stage.say("as many requests/s as get through, by the balancer and straight to the nodes, in turn")
        by_balancer, by_nodes = await _throughputs(stage)
        yield figure(
            "throughput",
            round(100 * median(by_balancer) / median(by_nodes), 1),
            note=f"{_per_second(by_balancer)} against {_per_second(by_nodes)}; clients and nodes share this machine",
        )


def _shares(farm: Farm, result: LoadResult) -> tuple[float, str]:
    """How far a node's share is from its weight at most, in percentage points; and all shares as text."""
    weights = {node.name: node.weight for node in serving(farm)}
    whole, answered = sum(weights.values()), sum(result.nodes.values())
    if not whole or not answered:
        return 100.0, "nobody answered"
    names = sorted({*weights, *result.nodes})
    got = {name: 100 * result.nodes.get(name, 0) / answered for name in names}
    due = {name: 100 * weights.get(name, 0) / whole for name in names}
    worst = max(abs(got[name] - due[name]) for name in names)
    return round(worst, 2), ", ".join(f"{name} {got[name]:.1f} % of {due[name]:.1f} %" for name in names)


async def _latencies(stage: Stage) -> tuple[list[LoadResult], list[LoadResult]]:
    """The same load through the balancer and straight to the first node that serves."""
    through, direct = [], []
    node = (stage.serving or stage.nodes)[0]
    for _ in range(REPEATS):
        through.append(await stage.load(seconds=2.0))
        direct.append(await stage.load(seconds=2.0, url=node.url, cookies=False, source_addresses=False))
    return through, direct


async def _throughputs(stage: Stage) -> tuple[list[float], list[float]]:
    ca = stage.lab.certificates.ca
    urls = [node.url for node in stage.serving or stage.nodes]
    through, direct = [], []
    for _ in range(REPEATS):
        through.append(await press(Pressure(urls=[stage.lab.url], ca=ca)))
        direct.append(await press(Pressure(urls=urls, ca=ca)))
    return through, direct


def _ms(results: list[LoadResult]) -> str:
    times = [one.p50 * 1000 for one in results]
    return f"{median(times):.2f} ms ({min(times):.2f} to {max(times):.2f})"


def _per_second(rates: list[float]) -> str:
    return f"{median(rates):.0f}/s ({min(rates):.0f} to {max(rates):.0f})"


SCENARIOS = (Steady(),)
