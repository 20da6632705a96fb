"""The bars: what each figure of each scenario is, and the limit that it is held to.

One table for all, because a reader asks "what is promised?" before "how is it measured?". A file of the user's own
(`--bar FILE`) changes limits and nothing else:

    kill.failed_gets: 0
    steady.added_ms: 5
    hang.slow: null        # measured and shown, held to nothing
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Sense = Literal["at most", "at least", "measured"]


class Bar(NamedTuple):
    """One figure: what it counts, and how far it may go.

    `limit` is None where a figure is only measured. `vendors` holds other limits where a vendor's program cannot do
    better; each of them has its reason in the vendor's page of the documentation.
    """

    title: str
    """What the figure says, for people: `GETs that failed`."""
    unit: str
    """Empty for plain counts; `s`, `ms`, `%`, `requests/s` ..."""
    sense: Sense
    limit: float | None = None
    vendors: Mapping[str, float | None] = {}

    def limit_of(self, vendor: str) -> float | None:
        """The limit that holds for a vendor's program."""
        return self.vendors.get(vendor, self.limit)


def at_most(limit: float | None, title: str, unit: str = "", **vendors: float | None) -> Bar:
    """A figure that may reach `limit` and no more; `nginx=2` is another limit for that vendor, None is none."""
    return Bar(title, unit, "at most", limit, vendors)


def at_least(limit: float | None, title: str, unit: str = "", **vendors: float | None) -> Bar:
    """A figure that must reach `limit`."""
    return Bar(title, unit, "at least", limit, vendors)


def measured(title: str, unit: str = "") -> Bar:
    """A figure that is shown and held to nothing."""
    return Bar(title, unit, "measured")


_LOAD: Final[Mapping[str, Bar]] = {
    "doubled_posts": at_most(0, "POSTs that were executed twice"),
    "lost_posts": at_most(0, "POSTs answered as done that no node executed"),
    "slow": at_most(5, "requests answered, but after more than a second"),
}
"""What every scenario under load counts besides its own."""

_SIGNALR: Final[Mapping[str, Bar]] = {
    "failed_with_affinity": at_most(0, "sessions that failed with affinity"),
    "failed_without_affinity": at_most(0, "sessions that failed without affinity"),
    "unconnected": at_most(0, "robots that could not connect"),
    "hit": at_least(1, "robots whose node died"),
    "innocent": at_most(0, "robots that lost their connection though their node lived"),
    "lost": at_most(0, "robots that did not come back"),
    "back_within": at_most(5, "the last one was back after", "s"),
}
"""What SignalR of both generations is held to."""

BARS: Final[Mapping[str, Mapping[str, Bar]]] = {
    # steady.py
    "steady": {
        "failed": at_most(0, "requests that failed"),
        "doubled_posts": _LOAD["doubled_posts"],
        "lost_posts": _LOAD["lost_posts"],
        "share_off": at_most(5, "a node's share, furthest from its weight", "percentage points"),
        "added_p50": at_most(5, "time that the balancer adds, median", "ms"),
        "p99": at_most(None, "99 of 100 requests within", "ms"),
        "throughput": at_least(20, "requests/s through the balancer, of those straight to the nodes", "%"),
    },
    # failover.py
    "kill": {
        "failed_gets": at_most(0, "GETs that failed"),
        "failed_posts": at_most(3, "POSTs that failed"),
        **_LOAD,
    },
    "pool-stopped": {
        "failed_gets": at_most(0, "GETs that failed"),
        "failed_posts": at_most(20, "POSTs that failed"),
        **_LOAD,
    },
    # Until the node is out, the hanging one is chosen as often as the other has requests in hand: 0 to 3 times on a
    # quiet machine, more on a busy one.
    "hang": {
        "failed": at_most(10, "requests that failed"),
        **_LOAD,
    },
    "drain": {
        "failed": at_most(0, "requests that failed", nginx=1),
        "still_asked": at_most(0, "requests that the drained node still got"),
        **_LOAD,
    },
    "slow-start": {
        "early_share": at_most(60, "of its fair share in the first third of the time", "%"),
        "full_share": at_least(80, "of its fair share when the time is over", "%"),
        "failed": at_most(6, "requests that failed"),
    },
    "broken-url": {
        "failed": at_most(0, "requests for other URLs that failed"),
        "changed": at_most(0, "answers of the broken URL that are not its own 500"),
        "nodes_lost": at_most(0, "nodes that got nothing any more"),
    },
    "all-down": {
        "refusal": at_most(5, "longest wait for the answer that nobody serves", "s"),
        "unclear": at_most(0, "answers that are neither 502, 503 nor 504"),
        "back": at_most(20, "until all nodes serve again", "s"),
        "failed_after": at_most(0, "requests that failed afterwards"),
    },
    # reload.py
    # Before 1.27.4 (keepalive_min_timeout) NGINX closes idle connections at a reload, and a request may be on its way.
    "reload": {
        "failed": at_most(0, "requests that failed", nginx=3),
        "failed_new": at_most(0, "requests that failed, each on a connection of its own"),
        **_LOAD,
    },
    "reload-outage": {
        # NGINX asks no health endpoint: requests find out again that the node hangs, a few at a time.
        "failed_gets": at_most(0, "GETs that failed", nginx=30),
        "failed_posts": at_most(0, "POSTs that failed", nginx=15),
        **_LOAD,
    },
    "reload-websockets": {
        "cut": at_most(0, "WebSockets that were cut"),
        "silent": at_most(0, "WebSockets that carry nothing any more"),
        "worst_echo": at_most(2, "longest wait for an echo", "s"),
    },
    # live.py
    "idle-websocket": {
        "cut": at_most(0, "silent WebSockets cut before their time"),
        "kept": at_most(0, "silent WebSockets kept beyond their time"),
        "shortest": measured("the first silent WebSocket ended after", "s"),
    },
    "long-poll": {
        "failed": at_most(0, "long polls that were not answered"),
        "repeated": at_most(0, "long polls that were asked of a node once more"),
        "longest": measured("the last long poll was answered after", "s"),
    },
    "event-stream": {
        "lost": at_most(0, "events that never came"),
        "late": at_most(0, "events that came more than half a second late"),
        "worst_ms": measured("the latest event", "ms"),
    },
    "signalr-2": {**_SIGNALR},
    "signalr-core": {
        **_SIGNALR,
        "negotiated_without_affinity": measured("sessions that failed because they negotiate without affinity"),
    },
    # correct.py
    "posts": {
        "doubled": at_most(0, "POSTs that were executed twice"),
        "lost": at_most(0, "POSTs answered as done that no node executed"),
        "in_hand": at_least(1, "POSTs that the dying node had in hand"),
        "in_hand_hung": at_least(1, "POSTs that the hanging node had in hand"),
    },
    "body": {
        "refused": at_most(0, "bodies of the allowed size that were refused"),
        "shortened": at_most(0, "bodies that did not arrive whole"),
        "accepted_over": at_most(0, "bodies one byte larger that were not refused with 413"),
        "arrived_over": at_most(0, "bodies one byte larger that reached a node"),
        "upload": measured("the upload took", "s"),
    },
    "browsers": {
        "bad_redirects": at_most(0, "answers by http that do not lead to https"),
        "wrong_hsts": at_most(0, "answers whose Strict-Transport-Security is not the spec's"),
        "weak_cookies": at_most(0, "affinity cookies that are missing, weak or too many"),
        "changed_cookies": at_most(0, "cookies of the application that changed on the way"),
        "changed_locations": at_most(0, "redirects of the application that changed on the way"),
    },
    # hostile.py
    "forged-headers": {
        "arrived": at_most(0, "requests whose forged headers reached a node"),
        "untrue": at_most(0, "headers about the client that are wrong or missing at the node"),
    },
    "h2c": {
        "switched": at_most(0, "connections that became another protocol"),
        "arrived": at_most(0, "requests for another protocol that reached a node"),
    },
    "smuggling": {
        "dubious": at_most(0, "requests that a node could read otherwise than the balancer"),
        "malformed": at_most(0, "requests of a forbidden form that reached a node", haproxy=1),
        "hidden": at_most(0, "requests at the nodes that the balancer did not see"),
        "refused_clear": at_most(0, "requests without any doubt that did not arrive as one"),
        "refused": measured("requests that the balancer refused"),
    },
    "oversized-headers": {
        "unrefused": at_most(0, "huge heads that got no refusal"),
        "passed_on": at_most(0, "huge heads that reached a node"),
        "honest_refused": at_most(0, "large heads of honest clients that did not reach a node"),
    },
    "slowloris": {
        "others_failed": at_most(0, "requests of others that failed"),
        "others_slow": at_most(5, "requests of others that took more than a second"),
        "held": at_most(0, "slow clients that were never cut"),
        "longest": measured("the last slow client was cut after", "s"),
    },
    # tls.py
    "tls-profile": {
        "deviations": at_most(0, "deviations from Mozilla's profile"),
    },
    "tls-names": {
        "untrusted": at_most(0, "names under which clients do not trust the certificate"),
        "unserved": at_most(0, "names of the farm that are not served"),
        "wrong_served": at_most(0, "requests by wrong names that were served"),
        "wrong_arrived": at_most(0, "requests by wrong names that reached a node"),
    },
    # paper.py
    "paper": {
        "files": at_least(1, "files made"),
        "complaints": at_most(0, "complaints of nlbgen's own reading of these files"),
        "steps": at_least(1, "objects or calls that bring the farm onto an empty device"),
        "early": at_most(0, "of these that need what only a later one makes"),
    },
}
"""Scenario, figure, bar: in the order in which they are shown."""
