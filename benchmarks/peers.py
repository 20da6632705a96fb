"""nlbgen's configurations beside those of the vendors' manuals and of other generators, in one run on one machine.

    .venv/bin/python benchmarks/peers.py            # 11 minutes, on a machine with nothing else to do; published
    .venv/bin/python benchmarks/peers.py --quick    # 3 minutes: once each, short; shown, nothing published, no bars

Real HAProxy and NGINX, the stand-in nodes and the load of `nlbgen prove`, and wrk. Failures are counted while all
contenders run at once, each with its own nodes and 200 requests a second; speeds are measured in turn.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measure import PAGE, publish
from peers_bars import missed
from peers_figures import DIRECT, FULL, QUICK, SHOWN, TITLES, Figures, Size
from peers_lab import HOST, MANUALS, PeerLaboratory, laboratories, quick_nodes
from peers_measure import HAPPENINGS, Labs, Speed, handshakes, happen, latency, passed_on, press, wait
from peers_page import charts, lines


def measure(size: Size) -> Figures:
    """Measure everything."""
    figures = Figures()
    with laboratories(tls=True) as labs:
        # What only waits has laboratories of its own, and costs the others nothing.
        with laboratories(tls=True) as silent, ThreadPoolExecutor(1) as beside:
            waited = beside.submit(wait, silent, size.watched, size.held)
            for _ in range(size.repeats):
                _happenings(labs, figures)
            figures.waited = waited.result()
        figures.passed = {key: passed_on(lab) for key, lab in labs.items()}
        _say("TLS handshakes")
        for _ in range(size.rounds):
            _each(labs, figures.shakes, lambda lab: handshakes(lab, HOST, size.shake_seconds))
    with tempfile.TemporaryDirectory(prefix="nlb-nodes-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with quick_nodes(folder) as nodes, laboratories(tls=False, nodes=nodes) as labs:
            straight = f"http://127.0.0.1:{nodes[0].port}"
            _say("latency at 200 requests/s")
            for _ in range(size.repeats):
                _latencies({**{one.key: labs[one.key].url for one in SHOWN}, DIRECT: straight}, figures, size)
            _say("throughput")
            for _ in range(size.rounds):
                _each(labs, figures.presses, lambda lab: _press(lab, size))
                figures.presses.setdefault(DIRECT, []).append(press(straight, size.press_seconds, HOST))
    return figures


def _happenings(labs: Labs, figures: Figures) -> None:
    """Each happening once, to the contenders of one vendor at a time."""
    for happening in HAPPENINGS:
        rounds = figures.outcomes.setdefault(happening.key, {key: [] for key in labs})
        for vendor in MANUALS:
            _say(f"{vendor}: {happening.title}")
            chosen = {one.key: labs[one.key] for one in SHOWN if one.vendor == vendor}
            for key, outcome in happen(chosen, happening).items():
                rounds[key].append(outcome)


def _each(labs: Labs, found: dict[str, list[Speed]], work: Callable[[PeerLaboratory], Speed]) -> None:
    for key, lab in labs.items():
        found.setdefault(key, []).append(work(lab))


def _press(lab: PeerLaboratory, size: Size) -> Speed:
    address = lab.url.replace(lab.host, "127.0.0.1")
    return press(address, size.press_seconds, HOST, lab.balancer.pid)


def _latencies(urls: Mapping[str, str], figures: Figures, size: Size) -> None:
    for key, url in urls.items():
        result = latency(url, HOST, size.latency_seconds)
        if result.failed:
            raise SystemExit(f"{TITLES[key]}: {result.summary()}")
        figures.p50.setdefault(key, []).append(result.p50)
        figures.p99.setdefault(key, []).append(result.p99)


def _say(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)


def main(size: Size = FULL) -> bool:
    """Measure, publish, and say whether the bars are held; a quick run only shows."""
    figures = measure(size)
    text, pictures, faults = lines(figures, size), charts(figures, size), missed(figures)
    if size == QUICK:
        print("\n".join(text))
    else:
        publish("peers", text)
        for name, content in pictures.items():
            (PAGE.parent / name).write_text(content, encoding="utf-8", newline="\n")
    for fault in faults:
        print(f"missed: {fault}", file=sys.stderr)
    return not faults


if __name__ == "__main__":
    sys.exit(not main(QUICK if "--quick" in sys.argv[1:] else FULL))
