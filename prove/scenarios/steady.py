"""Normal operation: the distribution of the load, and the overhead of the balancer."""

from statistics import median
from typing import Final

from ...spec.model import Farm
from ..clients.load_result import LoadResult
from ..clients.pressure import Pressure, press
from ..lab.time_scale import restarted
from .base import HASHED, ONE_NODE, Metrics, Scenario, TestBench, is_hashed, metric, serving

HELD_MS: Final = 100
"""How long the nodes hold each request: least connections uses weights only while requests overlap."""
REPEATS: Final = 3
"""How often the two sides of a comparison alternate, so that other work on the machine affects both."""


class Steady(Scenario):
    """Normal operation."""

    name = "steady"
    title = "normal operation"
    why = "nodes of different size need different shares, and the balancer must not slow requests down"
    seconds = 90.0

    async def run(self, bench: TestBench) -> Metrics:
        """Measure the distribution, then latency and throughput compared with the nodes without a balancer."""
        await restarted(bench)  # after an earlier scenario a node may still be in its slow start
        bench.log(f"200 requests/s for 8 s, each takes {HELD_MS} ms")
        result = await bench.load(
            seconds=8.0, get_path=f"/odata/Jobs?delay={HELD_MS}", post_delay_ms=HELD_MS, cookies=False
        )
        posts = bench.posts()
        yield metric("failed", result.failed, of=result.total)
        yield metric("doubled_posts", len(result.duplicates(*posts)), of=result.posts)
        yield metric("lost_posts", len(result.lost(*posts)), of=result.posts)
        off, shares = _shares(bench.farm, result)
        reason = HASHED if is_hashed(bench.farm) else ONE_NODE if len(bench.serving) < 2 else ""
        yield metric("share_off", off, of=result.total, note=reason or shares, enforced=not reason)
        bench.log("200 requests/s, alternately through the balancer and directly to a node")
        through, direct = await _latencies(bench)
        added = median(one.p50 for one in through) - median(one.p50 for one in direct)
        beside = f"{_ms(through)} against {_ms(direct)} directly to a node"
        total = sum(one.total for one in through)
        yield metric("added_p50", round(max(added * 1000, 0.0), 2), of=total, note=beside)
        yield metric("p99", round(median(one.p99 for one in through) * 1000, 2), of=total)
        bench.log("maximum requests/s, alternately through the balancer and directly to the nodes")
        by_balancer, by_nodes = await _throughputs(bench)
        yield metric(
            "throughput",
            round(100 * median(by_balancer) / median(by_nodes), 1),
            note=f"{_per_second(by_balancer)} against {_per_second(by_nodes)}; clients and nodes share this machine",
        )


def _shares(farm: Farm, result: LoadResult) -> tuple[float, str]:
    """Return the largest deviation of a share from the weight, in percentage points, and all shares as text."""
    weights = {node.name: node.weight for node in serving(farm)}
    total, answered = sum(weights.values()), sum(result.nodes.values())
    if not total or not answered:
        return 100.0, "no node answered"
    names = sorted({*weights, *result.nodes})
    got = {name: 100 * result.nodes.get(name, 0) / answered for name in names}
    due = {name: 100 * weights.get(name, 0) / total for name in names}
    worst = max(abs(got[name] - due[name]) for name in names)
    return round(worst, 2), ", ".join(f"{name} {got[name]:.1f} % (expected {due[name]:.1f} %)" for name in names)


async def _latencies(bench: TestBench) -> tuple[list[LoadResult], list[LoadResult]]:
    """Run the same load through the balancer and directly to the first serving node."""
    through, direct = [], []
    node = (bench.serving or bench.nodes)[0]
    for _ in range(REPEATS):
        through.append(await bench.load(seconds=2.0))
        direct.append(await bench.load(seconds=2.0, url=node.url, cookies=False, source_addresses=False))
    return through, direct


async def _throughputs(bench: TestBench) -> tuple[list[float], list[float]]:
    ca = bench.lab.certificates.ca
    urls = [node.url for node in bench.serving or bench.nodes]
    through, direct = [], []
    for _ in range(REPEATS):
        through.append(await press(Pressure(urls=[bench.lab.url], ca=ca)))
        direct.append(await press(Pressure(urls=urls, ca=ca)))
    return through, direct


def _ms(results: list[LoadResult]) -> str:
    times = [one.p50 * 1000 for one in results]
    return f"{median(times):.2f} ms ({min(times):.2f} to {max(times):.2f})"


def _per_second(rates: list[float]) -> str:
    return f"{median(rates):.0f}/s ({min(rates):.0f} to {max(rates):.0f})"


SCENARIOS = (Steady(),)
