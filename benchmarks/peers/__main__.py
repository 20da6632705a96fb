"""Run the comparison: `make peers`, or `make peers PEERS=--quick`.

The complete run takes 11 minutes on an idle machine and is published. `--quick` takes 3 minutes: one short repetition,
which is only printed.

It uses the real HAProxy and NGINX, the simulated nodes and the load generator of `nlbgen prove`, and wrk. For failures,
all contenders run in parallel, each with its own nodes and 200 requests per second; for speed, they take turns.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measure import PAGE, publish

from .figures import DIRECT, FULL, QUICK, SHOWN, TITLES, Figures, Size
from .lab import HOST, MANUALS, PeerLab, peer_labs, quick_nodes
from .measurements import INCIDENTS, Labs, Speed, handshakes, latency, passed_on, press, run_incident, wait
from .page import charts, lines
from .thresholds import missed


def measure(size: Size) -> Figures:
    """Measure everything."""
    figures = Figures()
    with peer_labs(tls=True) as labs:
        # The measurements that only wait have labs of their own; they use almost no processor time.
        with peer_labs(tls=True) as silent, ThreadPoolExecutor(1) as beside:
            waited = beside.submit(wait, silent, size.watched, size.held)
            for _ in range(size.repeats):
                _incidents(labs, figures)
            figures.waited = waited.result()
        figures.passed = {key: passed_on(lab) for key, lab in labs.items()}
        _say("TLS handshakes")
        for _ in range(size.rounds):
            _each(labs, figures.shakes, lambda lab: handshakes(lab, HOST, size.shake_seconds))
    with tempfile.TemporaryDirectory(prefix="nlb-nodes-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with quick_nodes(folder) as nodes, peer_labs(tls=False, nodes=nodes) as labs:
            straight = f"http://127.0.0.1:{nodes[0].port}"
            _say("latency at 200 requests/s")
            for _ in range(size.repeats):
                _latencies({**{one.key: labs[one.key].url for one in SHOWN}, DIRECT: straight}, figures, size)
            _say("throughput")
            for _ in range(size.rounds):
                _each(labs, figures.presses, lambda lab: _press(lab, size))
                figures.presses.setdefault(DIRECT, []).append(press(straight, size.press_seconds, HOST))
    return figures


def _incidents(labs: Labs, figures: Figures) -> None:
    """Run each incident once, for the contenders of one vendor at a time."""
    for incident in INCIDENTS:
        rounds = figures.outcomes.setdefault(incident.key, {key: [] for key in labs})
        for vendor in MANUALS:
            _say(f"{vendor}: {incident.title}")
            chosen = {one.key: labs[one.key] for one in SHOWN if one.vendor == vendor}
            for key, outcome in run_incident(chosen, incident).items():
                rounds[key].append(outcome)


def _each(labs: Labs, found: dict[str, list[Speed]], work: Callable[[PeerLab], Speed]) -> None:
    for key, lab in labs.items():
        found.setdefault(key, []).append(work(lab))


def _press(lab: PeerLab, size: Size) -> Speed:
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
    """Measure and publish; return whether the thresholds are passed. A quick run only prints."""
    figures = measure(size)
    text, pictures, faults = lines(figures, size), charts(figures, size), missed(figures)
    if size == QUICK:
        print("\n".join(text))
    else:
        publish("peers", text)
        for name, content in pictures.items():
            (PAGE.parent / name).write_text(content, encoding="utf-8", newline="\n")
    for fault in faults:
        print(f"failed: {fault}", file=sys.stderr)
    return not faults


if __name__ == "__main__":
    sys.exit(not main(QUICK if "--quick" in sys.argv[1:] else FULL))
