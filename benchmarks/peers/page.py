"""The measurements as the tables and charts of docs/performance.md."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from measure import machine, middle

from nlbgen.generators.validate import installed

from .charts import Bar, Group, chart
from .figures import DIRECT, SHOWN, Figures, Size, ratio
from .lab import CONTENDERS, HOST, MANUALS, Contender
from .measurements import FORGED, INCIDENTS, Waited
from .thresholds import BUSY, HANDSHAKES_BAR, MOST_LAG, THROUGHPUT_BARS, missed

ABOUT = """\
{machine}. {programs}.
The clients use TLS. Each balancer has two simulated nodes. Each test ran {repeats} times. The folder
[benchmarks/peers/configurations](../benchmarks/peers/configurations) contains the configurations; each file names its
source. nlbgen's configuration is rendered for a farm of two nodes with default settings.

The first table shows how many of {total} requests failed. The clients sent 200 requests a second; three quarters of
them were GETs. The range is in brackets. A `slow` request took more than one second. The three configurations of a
vendor ran at the same time, each with its own nodes and clients. If the clients were the limit, requests would start
late. No request started more than {lag:.0f} ms late (limit: {late:.0f} ms).

![Failed requests by event and configuration: the values of the table below](performance-failures.svg)
"""
WAITING = """
The next table shows three things: when a WebSocket without traffic is closed, within {watched:g} s; what a client gets
for a long poll that the node answers after {held:g} s; and which forged headers of a client reach the node.

![When silent WebSockets are closed: the values of the table below](performance-waiting.svg)
"""
SPEED = """
The next table shows the maximum throughput: the program wrk sends as many requests as possible over 16 connections,
without TLS, in {rounds} rounds. The nodes respond immediately (one NGINX worker). Each balancer has only one thread or
worker, so that the balancer is the limit. `Busy` is the share of one processor that the balancer used (required:
{busy:.0%}). Without a balancer, wrk reaches {direct:.0f} requests/s. `Added p50` and `Added p99` are the latency that
the balancer adds, at 200 requests a second.

![Requests a second by configuration: the values of the table below](performance-throughput.svg)
"""
SHAKES = """
The last table shows how many new TLS connections four clients can open, without session resumption. All use TLS 1.2,
which is the default of NGINX before 1.23.4. The clients use the same processors as the balancer. Therefore, the most
meaningful value is the balancer's processor time.
"""
LOGS = """
The configuration of HAProxy's manual writes no log, and the one of nginxconfig.io disables the log of NGINX. All other
configurations write one log line for each request. Each row with `without` shows nlbgen's configuration without one
feature: the log, the buffer that allows a second try of a GET on another node, or the headers with the client's
address."""


def lines(figures: Figures, size: Size) -> list[str]:
    """Return the published text."""
    values = {
        "machine": machine(),
        "programs": _programs(),
        "total": figures.total("kill"),
        "lag": figures.lag() * 1000,
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
        *_missed(missed(figures)),
    ]


def _missed(faults: Sequence[str]) -> list[str]:
    return ["", "Failed thresholds of this run:", "", *(f"- {fault}" for fault in faults)] if faults else []


def _failures(figures: Figures) -> list[str]:
    titles = [one.title for one in INCIDENTS if one.key != "posts"]
    posts = f"duplicated POSTs, of {figures.total('posts')} POSTs, when {INCIDENTS[-1].title}"
    rows = _head(*titles, posts)
    for one in SHOWN:
        cells = []
        for incident in INCIDENTS[:-1]:
            outcomes = figures.outcomes[incident.key][one.key]
            slow = int(middle([item.slow for item in outcomes]))
            cells.append(_counts([item.failed for item in outcomes]) + (f", {slow} slow" if slow else ""))
        doubled = max(item.doubled for rounds in figures.outcomes.values() for item in rounds[one.key])
        rows.append(f"| {_named(one)} | {' | '.join(cells)} | {doubled} |")
    return rows


def _waiting(figures: Figures, size: Size) -> list[str]:
    titles = ("WebSocket closed after", "Long poll", "Requests at the nodes", "`Upgrade: h2c` arrives")
    rows = _head(*titles, "Forged address arrives", "Host at the node")
    for one in SHOWN:
        waited, passed = figures.waited[one.key], figures.passed[one.key]
        rows.append(
            f"| {_named(one)} | {_closed(waited, size)} | {_polled(waited)} | {waited.arrived} times for "
            f"{len(waited.polls)} | {'yes' if passed['Upgrade'] else 'no'} "
            f"| {'yes' if FORGED in passed['X-Forwarded-For'] else 'no'} "
            f"| {'the requested name' if passed['Host'].startswith(HOST) else passed['Host']} |"
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
    rows = _head(
        *("Requests/s", "Ratio to the manual's example with a log", "Threshold"),
        *("Processor time", "Busy", "Added p50", "Added p99"),
    )
    for one in CONTENDERS:
        speeds = figures.presses[one.key]
        cells = [
            _spread([item.rate for item in speeds]),
            f"{ratio(figures.presses, one.key, THROUGHPUT_BARS[one.vendor][0]):.2f}",
            f"{THROUGHPUT_BARS[one.vendor][1]:g}" if one.ours else "",
            f"{_spread([item.cost for item in speeds], 1)} µs",
            f"{figures.busy(one):.0%}",
            "" if one.speed_only else _added(figures.p50, one.key),
            "" if one.speed_only else _added(figures.p99, one.key),
        ]
        rows.append(f"| {_named(one)} | {' | '.join(cells)} |")
    return rows


def _handshakes(figures: Figures) -> list[str]:
    rows = _head("Handshakes/s", "Ratio to the manual's example", "Threshold", "Processor time")
    for one in SHOWN:
        speeds = figures.shakes[one.key]
        cells = [
            _spread([item.rate for item in speeds]),
            f"{ratio(figures.shakes, one.key, MANUALS[one.vendor]):.2f}",
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
    """The difference to the same repetition without a balancer, in milliseconds."""
    return _spread([(one - other) * 1000 for one, other in zip(times[key], times[DIRECT], strict=True)], 2) + " ms"


def _programs() -> str:
    from nlbgen.generators.base import generator

    found = [installed(generator(name)) for name in ("haproxy", "nginx")]
    return ", ".join(f"{name} {one.version}" for name, one in zip(("HAProxy", "NGINX"), found, strict=True) if one)


def charts(figures: Figures, size: Size) -> dict[str, str]:
    """Return the charts of the page, by file name."""
    failures = [
        Group(
            incident.title,
            [
                Bar(one.title, middle(failed), _counts(failed), one.ours)
                for one in SHOWN
                for failed in [[item.failed for item in figures.outcomes[incident.key][one.key]]]
            ],
        )
        for incident in INCIDENTS[:-1]
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
    total = figures.total("kill")
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
