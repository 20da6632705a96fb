"""nlbgen's configurations beside those of the vendors' manuals and of other generators, in one run on one machine.

    .venv/bin/python benchmarks/peers.py            # 11 minutes, on a machine with nothing else to do; published
    .venv/bin/python benchmarks/peers.py --quick    # 3 minutes: once each, short; shown, nothing published, no bars

Real HAProxy and NGINX, the stand-in nodes and the load of `nlbgen prove`, and wrk. Failures are counted while all
contenders run at once, each with its own nodes and 200 requests a second; speeds are measured in turn.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from measure import PAGE, machine, middle, publish
from peers_charts import Bar, Group, chart
from peers_lab import CONTENDERS, HOST, MANUALS, Contender, PeerLaboratory, laboratories, quick_nodes
from peers_measure import (
    FORGED,
    HAPPENINGS,
    Labs,
    Outcome,
    Speed,
    Waited,
    handshakes,
    happen,
    latency,
    passed_on,
    press,
    wait,
)

from nlbgen.generators.validate import installed

THROUGHPUT_BARS = {"haproxy": ("haproxy-manual", 0.9), "nginx": ("nginx-manual", 3.0)}
"""The vendor's documented sample, and so many times its requests a second."""
HANDSHAKES_BAR = 0.95
"""The same for TLS handshakes, where the ranges do not overlap anyway."""
MOST_LAG = 0.25
"""Seconds: clients that are later than this are the limit themselves, and their failures are not the balancer's."""
BUSY = 0.8
"""A balancer that used less of its processor was not the limit of its throughput."""
DIRECT = "direct"
SHOWN = [one for one in CONTENDERS if not one.speed_only]
TITLES = {one.key: one.title for one in CONTENDERS} | {DIRECT: "no balancer"}
MOST_FAILURES = {"kill": 3, "pool": 20, "hang": 3, "drain": 0}
"""How many of 2800 requests may fail with nlbgen's configuration, in the worst repetition; no GET where it is not a
hang, and no POST may ever be executed twice."""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    repeats: int = 3
    watched: float = 130.0
    """Seconds for which silent WebSockets are watched."""
    held: float = 110.0
    """Seconds for which nodes hold a poll: as long as SignalR 2 does."""
    rounds: int = 5
    press_seconds: int = 2
    shake_seconds: float = 1.0
    latency_seconds: float = 3.0


FULL = Size()
QUICK = Size(repeats=1, watched=14.0, held=11.0, rounds=3, press_seconds=1, latency_seconds=1.5)


@dataclass
class Figures:
    """Everything that was measured, by contender."""

    outcomes: dict[str, dict[str, list[Outcome]]] = field(default_factory=dict)
    """Happening, contender, repetitions."""
    waited: dict[str, Waited] = field(default_factory=dict)
    passed: dict[str, dict[str, str]] = field(default_factory=dict)
    shakes: dict[str, list[Speed]] = field(default_factory=dict)
    presses: dict[str, list[Speed]] = field(default_factory=dict)
    p50: dict[str, list[float]] = field(default_factory=dict)
    """Seconds, at 200 requests a second."""
    p99: dict[str, list[float]] = field(default_factory=dict)


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


# Bars


def missed(figures: Figures) -> list[str]:
    """The bars that nlbgen's configurations miss, in words."""
    found = []
    if _lag(figures) > MOST_LAG:
        found.append(f"the clients were {_lag(figures):.2f} s late: measure on a machine with nothing else to do")
    idle = min(CONTENDERS, key=lambda one: _busy(figures, one))
    if _busy(figures, idle) < BUSY:
        share = f"{_busy(figures, idle):.0%} of its processor"
        found.append(f"{idle.title} used {share}: something else was the limit, or another program ran")
    for one in CONTENDERS:
        if one.ours:
            found += [f"{one.title}: {text}" for text in (*_unreliable(one, figures), *_slow(one, figures))]
    return found


def _unreliable(one: Contender, figures: Figures) -> list[str]:
    found = []
    for key, rounds in figures.outcomes.items():
        outcomes = rounds[one.key]
        worst, gets = max(item.failed for item in outcomes), max(item.failed_gets for item in outcomes)
        if worst > MOST_FAILURES.get(key, worst) or (gets and key in {"kill", "pool"}):
            found.append(f"{key}: {worst} failed, {gets} of them GETs")
        if any(item.doubled for item in outcomes):
            found.append(f"{key}: POSTs executed twice")
    waited, passed = figures.waited[one.key], figures.passed[one.key]
    if any(life is not None for life in waited.sockets):
        found.append("silent WebSockets were closed")
    if any(status != 200 for status, _ in waited.polls) or waited.arrived != len(waited.polls):
        found.append("a long poll was not answered, or asked twice")
    if passed["Upgrade"] or FORGED in passed["X-Forwarded-For"]:
        found.append("h2c or a forged address reached the node")
    return found


def _slow(one: Contender, figures: Figures) -> list[str]:
    found, manual = [], MANUALS[one.vendor]
    sample, bar = THROUGHPUT_BARS[one.vendor]
    ratio = _ratio(figures.presses, one.key, sample)
    if ratio < bar:
        found.append(f"throughput {ratio:.2f} times that of {TITLES[sample]}, {bar:g} wanted")
    ours, theirs = ([item.rate for item in figures.shakes[key]] for key in (one.key, manual))
    if max(ours) < min(theirs) and middle(ours) < HANDSHAKES_BAR * middle(theirs):
        found.append(f"TLS handshakes {middle(ours) / middle(theirs):.2f} times the manual's")
    return found


def _busy(figures: Figures, one: Contender) -> float:
    return middle([item.busy for item in figures.presses[one.key]])


def _ratio(speeds: Mapping[str, Sequence[Speed]], one: str, other: str) -> float:
    return middle([item.rate for item in speeds[one]]) / middle([item.rate for item in speeds[other]])


# Tables


ABOUT = """\
{machine}. {programs}. TLS to clients, two stand-in nodes each, {repeats} repetitions. The configurations are in
[benchmarks/peers](../benchmarks/peers), each with its source; nlbgen's is that of a farm of two nodes with no setting
changed.

Failed requests of {total}, 200 a second, three quarters GET; in brackets the range; `slow` are those that took over a
second besides. A vendor's three ran at the same time, each with its own nodes and clients. Had the clients been the
limit, requests would have begun late: none began more than {lag:.0f} ms after its time (allowed: {late:.0f} ms).

![Failed requests by event and configuration: the figures of the table below](performance-failures.svg)
"""
WAITING = """
Silent WebSockets, watched for {watched:g} s; long polls that the node answers after {held:g} s; and what a client that
lies can make the node believe.

![When silent WebSockets are closed: the figures of the table below](performance-waiting.svg)
"""
SPEED = """
As many requests as get through from 16 connections (wrk), without TLS, in {rounds} rounds, before nodes that answer at
once (one NGINX worker). Each balancer has one thread or worker, so that it is the limit: `busy` is the share of one
processor that it used (wanted: {busy:.0%}), and wrk and the nodes alone reach {direct:.0f} requests/s. The added
latency is at 200 requests a second.

![Requests a second by configuration: the figures of the table below](performance-throughput.svg)
"""
SHAKES = """
New TLS connections by four clients, none resumed; TLS 1.2, because NGINX before 1.23.4 offers no more unless it is told
to. The clients need the processors as well: here, too, the balancer's own time is what tells most.
"""
LOGS = """
HAProxy's manual writes no log, and nginxconfig.io switches NGINX's off; all others write a line for each request. The
rows `without` say what each of nlbgen's costs: the log, the buffer that lets a GET be asked again elsewhere, the
headers that tell the node who asks."""


def lines(figures: Figures, size: Size) -> list[str]:
    """The published text."""
    values = {
        "machine": machine(),
        "programs": _programs(),
        "total": _total(figures, "kill"),
        "lag": _lag(figures) * 1000,
        "late": MOST_LAG * 1000,
        "busy": BUSY,
        "direct": middle([item.rate for item in figures.presses[DIRECT]]),
        **asdict(size),
    }
    return [
        *ABOUT.format(**values).splitlines(),
        "",
        *_failures(figures),
        *WAITING.format(**values).splitlines(),
        "",
        *_waiting(figures, size),
        *SPEED.format(**values).splitlines(),
        "",
        *_speeds(figures),
        *LOGS.splitlines(),
        *SHAKES.splitlines(),
        "",
        *_handshakes(figures),
    ]


def _total(figures: Figures, key: str) -> int:
    return next(iter(figures.outcomes[key].values()))[0].total


def _lag(figures: Figures) -> float:
    return max(item.lag for rounds in figures.outcomes.values() for outcomes in rounds.values() for item in outcomes)


def _failures(figures: Figures) -> list[str]:
    titles = [one.title for one in HAPPENINGS if one.key != "posts"]
    posts = f"POSTs executed twice, of {_total(figures, 'posts')} when {HAPPENINGS[-1].title}"
    rows = _head(*titles, posts)
    for one in SHOWN:
        cells = []
        for happening in HAPPENINGS[:-1]:
            outcomes = figures.outcomes[happening.key][one.key]
            slow = int(middle([item.slow for item in outcomes]))
            cells.append(_counts([item.failed for item in outcomes]) + (f", {slow} slow" if slow else ""))
        doubled = max(item.doubled for rounds in figures.outcomes.values() for item in rounds[one.key])
        rows.append(f"| {_named(one)} | {' | '.join(cells)} | {doubled} |")
    return rows


def _waiting(figures: Figures, size: Size) -> list[str]:
    titles = ("WebSocket closed after", "Long poll", "Asked of the nodes", "`Upgrade: h2c` arrives")
    rows = _head(*titles, "Forged address arrives", "Host at the node")
    for one in SHOWN:
        waited, passed = figures.waited[one.key], figures.passed[one.key]
        rows.append(
            f"| {_named(one)} | {_closed(waited, size)} | {_polled(waited)} | {waited.arrived} times for "
            f"{len(waited.polls)} | {'yes' if passed['Upgrade'] else 'no'} "
            f"| {'yes' if FORGED in passed['X-Forwarded-For'] else 'no'} "
            f"| {'the name asked for' if passed['Host'].startswith(HOST) else passed['Host']} |"
        )
    return rows


def _closed(waited: Waited, size: Size) -> str:
    lives = [life for life in waited.sockets if life is not None]
    if not lives:
        return f"open after {size.watched:g} s"
    return f"{middle(lives):.1f} s ({min(lives):.1f}-{max(lives):.1f})"


def _polled(waited: Waited) -> str:
    statuses = sorted({status for status, _ in waited.polls})
    after = middle([seconds for _, seconds in waited.polls])
    return ", ".join("no answer" if status == 0 else str(status) for status in statuses) + f" after {after:.1f} s"


def _speeds(figures: Figures) -> list[str]:
    rows = _head("Requests/s", "Times the manual's", "Bar", "Processor time", "Busy", "Added p50", "Added p99")
    for one in CONTENDERS:
        speeds = figures.presses[one.key]
        cells = [
            _spread([item.rate for item in speeds]),
            f"{_ratio(figures.presses, one.key, MANUALS[one.vendor]):.2f}",
            f"{THROUGHPUT_BARS[one.vendor][1]:g}" if one.ours else "",
            f"{_spread([item.cost for item in speeds], 1)} µs",
            f"{_busy(figures, one):.0%}",
            "" if one.speed_only else _added(figures.p50, one.key),
            "" if one.speed_only else _added(figures.p99, one.key),
        ]
        rows.append(f"| {_named(one)} | {' | '.join(cells)} |")
    return rows


def _handshakes(figures: Figures) -> list[str]:
    rows = _head("Handshakes/s", "Times the manual's", "Bar", "Processor time")
    for one in SHOWN:
        speeds = figures.shakes[one.key]
        cells = [
            _spread([item.rate for item in speeds]),
            f"{_ratio(figures.shakes, one.key, MANUALS[one.vendor]):.2f}",
            f"{HANDSHAKES_BAR:g}, or ranges overlap" if one.ours else "",
            f"{_spread([item.cost for item in speeds])} µs",
        ]
        rows.append(f"| {_named(one)} | {' | '.join(cells)} |")
    return rows


def _head(*titles: str) -> list[str]:
    return [f"| | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]


def _named(one: Contender) -> str:
    return f"**{one.title}**" if one.ours else one.title


def _counts(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{middle(values):.0f}" + (f" ({low}-{high})" if low != high else "")


def _spread(values: Sequence[float], digits: int = 0) -> str:
    return f"{middle(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def _added(times: Mapping[str, Sequence[float]], key: str) -> str:
    """Against the same repetition without a balancer, milliseconds."""
    return _spread([(one - other) * 1000 for one, other in zip(times[key], times[DIRECT], strict=True)], 2) + " ms"


def _programs() -> str:
    from nlbgen.generators.base import generator

    found = [installed(generator(name)) for name in ("haproxy", "nginx")]
    return ", ".join(f"{name} {one.version}" for name, one in zip(("HAProxy", "NGINX"), found, strict=True) if one)


# Charts


def charts(figures: Figures, size: Size) -> dict[str, str]:
    """The pictures of the page, by file name."""
    failures = [
        Group(
            happening.title,
            [
                Bar(one.title, middle(failed), _counts(failed), one.ours)
                for one in SHOWN
                for failed in [[item.failed for item in figures.outcomes[happening.key][one.key]]]
            ],
        )
        for happening in HAPPENINGS[:-1]
    ]
    lives = {one.key: [life for life in figures.waited[one.key].sockets if life is not None] for one in SHOWN}
    waiting = [
        Bar(one.title, middle(lives[one.key] or [size.watched]), _closed(figures.waited[one.key], size), one.ours)
        for one in SHOWN
    ]
    rates = {one.key: [item.rate for item in figures.presses[one.key]] for one in CONTENDERS}
    throughput = [
        Group(
            {"haproxy": "HAProxy", "nginx": "NGINX"}[vendor],
            [
                Bar(one.title, middle(rates[one.key]), _spread(rates[one.key]), one.ours)
                for one in CONTENDERS
                if one.vendor == vendor and not one.without
            ],
        )
        for vendor in MANUALS
    ]
    total = _total(figures, "kill")
    return {
        "performance-failures.svg": chart(
            f"Failed requests of {total}", "Bars for each event and configuration; shorter is better.", failures
        ),
        "performance-waiting.svg": chart(
            f"A silent WebSocket is closed after so many seconds ({size.watched:g} s watched)",
            "One bar for each configuration; longer is better.",
            [Group("", waiting)],
        ),
        "performance-throughput.svg": chart(
            "Requests a second", "Bars for each configuration, by vendor; longer is better.", throughput
        ),
    }


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
