"""The thresholds of nlbgen's configurations, compared with the others."""

from measure import middle

from .figures import TITLES, Figures, ratio
from .lab import CONTENDERS, MANUALS, Contender
from .measurements import FORGED

THROUGHPUT_BARS = {"haproxy": ("haproxy-manual-log", 1.0), "nginx": ("nginx-manual", 3.0)}
"""The vendor's documented sample with a log, and the required multiple of its requests per second."""
HANDSHAKES_BAR = 0.95
"""The required multiple for TLS handshakes, if the ranges do not overlap."""
MOST_LAG = 0.25
"""Seconds. Clients that are later than this are the limit themselves; their failures are not the balancer's."""
BUSY = 0.8
"""A balancer that used a smaller share of its processor was not the limit of the throughput."""
MOST_FAILURES = {"kill": 3, "pool": 20, "hang": 3, "drain": 0}
"""The most of 2800 requests that may fail with nlbgen's configuration, in the worst repetition. A GET may fail only for
`hang`; a POST must never be duplicated."""


def missed(figures: Figures) -> list[str]:
    """Return the thresholds that nlbgen's configurations fail, as texts."""
    found = []
    if figures.lag() > MOST_LAG:
        found.append(f"the clients were {figures.lag():.2f} s late: measure on a machine with nothing else to do")
    idle = min(CONTENDERS, key=figures.busy)
    if figures.busy(idle) < BUSY:
        share = f"{figures.busy(idle):.0%} of its processor"
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
            found.append(f"{key}: duplicated POSTs")
    waited, passed = figures.waited[one.key], figures.passed[one.key]
    if any(life is not None for life in waited.sockets):
        found.append("silent WebSockets were closed")
    if any(status != 200 for status, _ in waited.polls) or waited.arrived != len(waited.polls):
        found.append("a long poll failed or was repeated")
    if passed["Upgrade"] or FORGED in passed["X-Forwarded-For"]:
        found.append("h2c or a forged address reached the node")
    return found


def _slow(one: Contender, figures: Figures) -> list[str]:
    found, manual = [], MANUALS[one.vendor]
    sample, bar = THROUGHPUT_BARS[one.vendor]
    times = ratio(figures.presses, one.key, sample)
    if times < bar:
        found.append(f"throughput {times:.2f} times that of {TITLES[sample]}, threshold {bar:g}")
    ours, theirs = ([item.rate for item in figures.shakes[key]] for key in (one.key, manual))
    if max(ours) < min(theirs) and middle(ours) < HANDSHAKES_BAR * middle(theirs):
        found.append(f"TLS handshakes {middle(ours) / middle(theirs):.2f} times the manual's")
    return found
