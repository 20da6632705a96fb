"""The simulated nodes and the load generator without a balancer: they must not limit a measurement of a balancer."""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from measure import machine, middle, publish

from nlbgen.net.loops import run
from nlbgen.prove.clients.load import LoadPlan, run_load
from nlbgen.prove.clients.pressure import Pressure, press
from nlbgen.prove.lab.certificates import make_certificates
from nlbgen.prove.lab.processes import NodeProcess
from nlbgen.prove.nodes.options import NodeOptions

RATE = 2000
"""The most requests per second of a measurement."""
SECONDS = 5.0
REPEATS = 3
P99_LIMIT_MS = 100.0
HEADROOM = 1.5
"""Under maximum load, nodes and clients must reach this multiple of RATE."""


def main() -> bool:
    """Measure and publish; return whether the thresholds are passed."""
    rows, passed = [], True
    with tempfile.TemporaryDirectory() as folder:
        made = make_certificates(Path(folder), ["127.0.0.1"])
        for words, tls in (
            ("HTTP", NodeOptions()),
            ("HTTPS", NodeOptions(tls_cert=made.certificate, tls_key=made.key)),
        ):
            with ExitStack() as stack:
                nodes = [stack.enter_context(NodeProcess(tls, name=f"orch-{number}")) for number in (1, 2)]
                row, good = _measured(words, [node.url for node in nodes], made.ca)
            rows.append(row)
            passed &= good
    about = (
        f"{machine()}, {REPEATS} runs. One load generator sends requests to two simulated nodes, without a balancer: "
        f"first {RATE} requests/s to one node, for {SECONDS:g} s; then as many requests as possible to both nodes, "
        "over 16 connections. The thresholds are for failed requests, for the 99th percentile and for the maximum."
    )
    publish(
        "load",
        [
            about,
            "",
            (
                "| | Failed requests | Median | 99th percentile | Longest delay before a request starts "
                "| Maximum requests/s | Thresholds |"
            ),
            "|---|---|---|---|---|---|---|",
            *rows,
        ],
    )
    return passed


def _measured(words: str, urls: list[str], ca: Path) -> tuple[str, bool]:
    results = [run_load(LoadPlan(url=urls[0], ca=ca, rate=RATE, seconds=SECONDS, warm_up=True)) for _ in range(REPEATS)]
    rates = [run(press(Pressure(urls=urls, ca=ca))) for _ in range(REPEATS)]
    failed = sum(result.failed for result in results)
    p99 = [result.p99 * 1000 for result in results]
    row = (
        f"| {words} | {failed} of {sum(result.total for result in results)} "
        f"| {_shown([result.p50 * 1000 for result in results])} | {_shown(p99)} "
        f"| {_shown([result.worst_lag * 1000 for result in results])} "
        f"| {middle(rates):.0f} ({min(rates):.0f}-{max(rates):.0f}) "
        f"| 0, {P99_LIMIT_MS:.0f} ms, {HEADROOM * RATE:.0f} |"
    )
    return row, not failed and middle(p99) <= P99_LIMIT_MS and middle(rates) >= HEADROOM * RATE


def _shown(times: list[float]) -> str:
    return f"{middle(times):.1f} ms ({min(times):.1f}-{max(times):.1f})"


if __name__ == "__main__":
    sys.exit(not main())
