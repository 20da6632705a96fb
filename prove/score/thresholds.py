"""The metrics of every scenario and their limits.

This table is the only place for limits. A user's file (`--threshold FILE`) overrides them:

    kill.failed_gets: 0
    steady.added_ms: 5
    hang.slow: null        # no limit: measured and shown
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Sense = Literal["at most", "at least", "measured"]


class Threshold(NamedTuple):
    """One metric: what it counts, and its limit.

    `limit` is None if the metric is only measured. `vendors` has other limits for vendors that cannot pass this one;
    the documentation of the vendor gives the reason.
    """

    title: str
    """The metric in words: `GETs that failed`."""
    unit: str
    """Empty for plain counts; `s`, `ms`, `%`, `requests/s` ..."""
    sense: Sense
    limit: float | None = None
    vendors: Mapping[str, float | None] = {}

    def limit_of(self, vendor: str) -> float | None:
        """Return the limit for a vendor's program."""
        return self.vendors.get(vendor, self.limit)


def at_most(limit: float | None, title: str, unit: str = "", **vendors: float | None) -> Threshold:
    """Return a threshold with an upper limit; `nginx=2` is another limit for that vendor, None is no limit."""
    return Threshold(title, unit, "at most", limit, vendors)


def at_least(limit: float | None, title: str, unit: str = "", **vendors: float | None) -> Threshold:
    """Return a threshold with a lower limit."""
    return Threshold(title, unit, "at least", limit, vendors)


def measured(title: str, unit: str = "") -> Threshold:
    """Return a threshold without a limit: the metric is only shown."""
    return Threshold(title, unit, "measured")


_LOAD: Final[Mapping[str, Threshold]] = {
    "doubled_posts": at_most(0, "POSTs that were executed more than once"),
    "lost_posts": at_most(0, "POSTs that were answered but not executed"),
    "slow": at_most(5, "requests answered after more than 1 s"),
}
"""The metrics of every scenario under load."""

_SIGNALR: Final[Mapping[str, Threshold]] = {
    "failed_with_affinity": at_most(0, "sessions that failed on a farm with affinity"),
    "failed_without_affinity": at_most(0, "sessions that failed on a farm without affinity"),
    "unconnected": at_most(0, "robots that could not connect"),
    "hit": at_least(1, "robots whose node crashed"),
    "innocent": at_most(0, "robots that lost their connection to a healthy node"),
    "lost": at_most(0, "robots that did not reconnect"),
    "back_within": at_most(5, "time until the last robot reconnected", "s"),
    "displaced": at_most(0, "robots that lost their session when the node recovered"),
}
"""The metrics of SignalR sessions, both generations."""

_REDIS_LOSS: Final[Mapping[str, Threshold]] = {
    "silence": at_most(10, "longest time without a message", "s"),
    "lost": measured("messages that a node missed during the failover"),
    "accepted_lost": measured("of these, messages that Redis reported as published"),
    "stale": at_most(0, "new connections to the old master after its return"),
    "lost_on_return": at_most(0, "messages that a node missed after the return of the old master"),
}
"""The metrics of a failover of Redis."""

_ROBOTS: Final[Mapping[str, Threshold]] = {
    "unconnected": at_most(0, "robots that could not connect"),
    "hit": measured("robots that lost their connection"),
    "within_30": at_least(99, "of these, reconnected within 30 s", "%"),
    "lost": at_most(0, "robots that did not reconnect within 120 s"),
    "back_within": measured("time until the last robot reconnected", "s"),
    "innocent": at_most(0, "robots of other nodes that lost their connection"),
    "unresponsive": at_most(0, "robots that missed four heartbeats"),
    "failed_logins": measured("attempts to connect that failed"),
    "share": at_most(200, "most robots on one node, compared with its share by weight", "%"),
    "login": measured("processor time of a login: robots, balancer and nodes", "ms"),
    "memory": measured("memory of the balancer for each robot", "KB"),
    "memory_robots": measured("memory of the robots' process for each robot", "KB"),
    "memory_nodes": measured("memory of the nodes for each robot", "KB"),
    "cpu": measured("processor time of the balancer, from the event to the end of the scenario", "s"),
}
"""The metrics of the scenarios of `--robots`."""

_SPREAD: Final[Mapping[str, Threshold]] = {**_ROBOTS, "share": _ROBOTS["share"]._replace(limit=150)}
"""The metrics of those that balance the robots again."""

THRESHOLDS: Final[Mapping[str, Mapping[str, Threshold]]] = {
    # steady.py
    "steady": {
        "failed": at_most(0, "requests that failed"),
        "doubled_posts": _LOAD["doubled_posts"],
        "lost_posts": _LOAD["lost_posts"],
        "share_off": at_most(5, "largest deviation of a node's share from its weight", "percentage points"),
        "added_p50": at_most(5, "latency added by the balancer, median", "ms"),
        "p99": at_most(None, "latency, 99th percentile", "ms"),
        "throughput": at_least(20, "throughput, compared with requests sent directly to the nodes", "%"),
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
    # Least connections chooses the hanging node until it is marked down, each time the other node has as many requests
    # in flight: 0 to 3 times on a quiet machine, more often on a busy one.
    "hang": {
        "failed": at_most(3, "requests that failed"),
        **_LOAD,
    },
    "drain": {
        "failed": at_most(0, "requests that failed", nginx=1),
        "still_asked": at_most(0, "requests sent to the drained node"),
        **_LOAD,
    },
    "slow-start": {
        "early_share": at_most(60, "share of the expected load, first third of the slow start", "%"),
        "full_share": at_least(80, "share of the expected load, after the slow start", "%"),
        "failed": at_most(6, "requests that failed"),
    },
    "broken-url": {
        "failed": at_most(0, "requests for other URLs that failed"),
        "changed": at_most(0, "responses of the broken URL that are not the node's 500"),
        "nodes_lost": at_most(0, "nodes that received no more requests"),
    },
    "unavailable-url": {
        "failed": at_most(0, "requests for other URLs that failed"),
        "changed": at_most(0, "responses of the URL that differ from the node's response"),
        "nodes_lost": at_most(0, "nodes that received no more requests"),
    },
    "health-slow": {
        "failed": at_most(0, "requests that failed while the health endpoint was slow"),
        "cut": at_most(0, "WebSockets that were closed while the health endpoint was slow"),
        "refused": at_most(0, "requests that failed while all health checks failed"),
    },
    "all-down": {
        "refusal": at_most(5, "longest wait for an error response while all nodes are down", "s"),
        "unclear": at_most(0, "responses that are neither 502, 503 nor 504"),
        "back": at_most(20, "time until all nodes serve again", "s"),
        "failed_after": at_most(0, "requests that failed after all nodes recovered"),
    },
    # services.py
    "identity": {
        "asked_503": at_most(0, "requests to a node more than 3 s after its Identity answered 503"),
        "asked_refused": at_most(0, "requests to a node more than 3 s after its Identity refused connections"),
        "asked_hung": at_most(0, "requests to a node whose Identity hangs, after the documented time"),
    },
    # reload.py
    # Before 1.27.4 (keepalive_min_timeout) NGINX closes idle connections at a reload, and a request may be in flight.
    "reload": {
        "failed": at_most(0, "requests that failed", nginx=3),
        "failed_new": at_most(0, "requests that failed, with a new connection for each request"),
        **_LOAD,
    },
    "reload-outage": {
        # NGINX has no active health checks: after each reload, some requests wait for the connect timeout of the node
        # that hangs before another node gets them (measured: 8 or 9 requests, and none failed).
        "failed_gets": at_most(0, "GETs that failed", nginx=3),
        "failed_posts": at_most(0, "POSTs that failed", nginx=3),
        **_LOAD,
        "slow": at_most(5, "requests answered after more than 1 s", nginx=15),
    },
    "reload-websockets": {
        "cut": at_most(0, "WebSockets that were closed"),
        "silent": at_most(0, "WebSockets that no longer carry messages"),
        "worst_echo": at_most(2, "longest wait for an echo", "s"),
    },
    "reload-states": {
        "kept": at_most(0, "WebSockets from before the reload that stay open more than 5 s on a node that hangs"),
        "failed_gets": at_most(0, "GETs that failed after an application pool stopped"),
        "still_asked": at_most(0, "requests to a node more than 3 s after it was set to down"),
    },
    # upgrade.py
    "upgrade": {
        "unconnected": at_most(0, "robots that could not connect before"),
        "arrived": at_most(0, "requests that reached a node between stop and release"),
        "unclear": at_most(0, "responses other than 503 while the nodes were stopped"),
        "failed_after": at_most(0, "requests that failed more than 2 s after the release"),
        # The limit is 4; a second that begins in the middle of the balancer's own second may have more.
        "peak": at_most(8, "robots that connected within one second after the release"),
        "lost": at_most(0, "robots that did not reconnect"),
        "cut": at_most(0, "robots that lost their connection when the limit was removed"),
        "last_back": measured("time between the first and the last robot that reconnected", "s"),
    },
    # live.py
    "idle-websocket": {
        "cut": at_most(0, "idle WebSockets closed before their timeout"),
        "kept": at_most(0, "idle WebSockets still open after their timeout"),
        "shortest": measured("time until the first idle WebSocket was closed", "s"),
    },
    "long-poll": {
        "failed": at_most(0, "long polls that were not answered"),
        "repeated": at_most(0, "long polls that were retried on a node"),
        "longest": measured("time until the last long poll was answered", "s"),
    },
    "event-stream": {
        "lost": at_most(0, "events that did not arrive"),
        "late": at_most(0, "events that arrived more than 0.5 s late"),
        "worst_ms": measured("largest delay of an event", "ms"),
    },
    "signalr-2": {**_SIGNALR},
    "signalr-core": {
        **_SIGNALR,
        "negotiated_without_affinity": measured("sessions that failed because they negotiated without affinity"),
    },
    # robots.py
    "rolling-restart": {
        "unconnected": at_most(0, "robots that could not connect"),
        "share": at_least(20, "share of new robots on the recovered node, compared with its weight", "%"),
        "refused": at_most(0, "connections that were refused while a node was healthy"),
        "lost": at_most(0, "robots that did not reconnect"),
        "back_within": at_most(5, "longest time that a robot had no connection", "s"),
    },
    "hang-robots": {
        "unconnected": at_most(0, "robots that could not connect"),
        "hit": at_least(1, "robots whose node hung"),
        "lost": at_most(0, "robots that did not reconnect"),
        "back_within": at_most(8, "time until the last robot reconnected", "s", nginx=15),
    },
    # correct.py
    "posts": {
        "doubled": at_most(0, "POSTs that were executed more than once"),
        "lost": at_most(0, "POSTs that were answered but not executed"),
        "in_hand": at_least(1, "POSTs in flight on the killed node"),
        "in_hand_hung": at_least(1, "POSTs in flight on the hanging node"),
    },
    "body": {
        "refused": at_most(0, "uploads of the allowed size that were refused"),
        "shortened": at_most(0, "uploads that arrived truncated"),
        "accepted_over": at_most(0, "larger uploads that were not refused with 413"),
        "arrived_over": at_most(0, "larger uploads that reached a node"),
        "upload": measured("duration of the upload", "s"),
    },
    "browsers": {
        "bad_redirects": at_most(0, "HTTP responses that do not redirect to HTTPS"),
        "changed_methods": at_most(0, "redirects to HTTPS that turn a POST, PUT or DELETE into a GET"),
        "wrong_hsts": at_most(0, "responses whose Strict-Transport-Security differs from the spec"),
        "weak_cookies": at_most(0, "affinity cookies that are missing, insecure or unexpected"),
        "changed_cookies": at_most(0, "cookies of the application that the balancer changed"),
        "changed_locations": at_most(0, "redirects of the application that the balancer changed"),
    },
    "windows-sign-in": {
        "refused": at_most(0, "requests of signed-in users that were answered with 401"),
        "mixed": at_most(0, "requests that were answered for another user"),
        "offers_http2": at_most(0, "HTTP/2 offered to clients (the sign-in fails over HTTP/2)"),
    },
    # hostile.py
    "forged-headers": {
        "arrived": at_most(0, "requests whose forged headers reached a node"),
        "untrue": at_most(0, "forwarded headers that are wrong or missing on the node"),
        "planted": at_most(0, "host names similar to the farm's name that were not refused"),
    },
    "h2c": {
        "switched": at_most(0, "connections that switched to another protocol"),
        "arrived": at_most(0, "requests for another protocol that reached a node"),
    },
    "smuggling": {
        "dubious": at_most(0, "ambiguous requests that reached a node"),
        "malformed": at_most(0, "malformed requests that reached a node", haproxy=1),
        "hidden": at_most(0, "requests that a node received and the balancer did not see"),
        "refused_clear": at_most(0, "valid requests that a node did not receive exactly once"),
        "refused": measured("requests that the balancer refused"),
    },
    "oversized-headers": {
        "unrefused": at_most(0, "oversized requests that were not refused"),
        "passed_on": at_most(0, "oversized requests that reached a node"),
        "honest_refused": at_most(0, "large but valid requests that did not reach a node"),
        "cookies_lost": at_most(0, "cookies of a large response that did not arrive"),
    },
    "slowloris": {
        "others_failed": at_most(0, "requests of other clients that failed"),
        "others_slow": at_most(5, "requests of other clients that took more than 1 s"),
        "held": at_most(0, "slow clients that were never disconnected"),
        "longest": measured("time until the last slow client was disconnected", "s"),
    },
    "logged-tokens": {
        "lines": at_least(1, "log lines of requests with tokens"),
        "shown": at_most(0, "log lines that show a token"),
    },
    # limits.py
    "silent-clients": {
        "others_failed": at_most(0, "requests of other clients that failed"),
        "longest": at_most(15, "longest wait of another client", "s"),
        "statistics_failed": at_most(0, "failed requests for the statistics page, which keepalived checks"),
    },
    # tls.py
    "tls-profile": {
        "deviations": at_most(0, "deviations from Mozilla's profile"),
    },
    "tls-names": {
        "untrusted": at_most(0, "names for which clients do not trust the certificate"),
        "unserved": at_most(0, "names of the farm that are not served"),
        "wrong_served": at_most(0, "requests for unknown names that were served"),
        "wrong_arrived": at_most(0, "requests for unknown names that reached a node"),
    },
    # fleet.py
    "robots-kill": _ROBOTS,
    "robots-hang": _ROBOTS,
    "robots-rolling": _ROBOTS,
    "robots-reload": _ROBOTS,
    "robots-balancer": _ROBOTS,
    "robots-spread": _SPREAD,
    "robots-drain": _SPREAD,
    "robots-redis": {
        **_ROBOTS,
        "unreached": at_most(0, "robots that a message to all does not reach after Redis recovered"),
    },
    # paired.py
    "robots-failover": {
        name: one for name, one in _ROBOTS.items() if name not in {"login", "memory_robots", "memory_nodes"}
    },
    # static_checks.py
    "paper": {
        "files": at_least(1, "rendered files"),
        "complaints": at_most(0, "errors that the strict parser found in these files"),
        "steps": at_least(1, "objects or calls that configure an empty device"),
        "early": at_most(0, "objects or calls that need an object that is created later"),
    },
    # redis.py
    "redis-kill": _REDIS_LOSS,
    "redis-hang": _REDIS_LOSS,
    "redis-sentinels": {
        "silence": at_most(1, "longest time without a message", "s"),
        "lost": at_most(0, "messages that a node missed"),
    },
    "redis-split": {
        **_REDIS_LOSS,
        "stale": at_most(0, "new connections to the old master"),
        "writes": at_most(0, "writes that the old master accepts 12 s after it was cut off"),
    },
    "redis-gone": {
        "silence": at_most(10, "longest time without a message after the start of Redis", "s"),
        "late_deaf": at_most(0, "nodes without messages, of those that started without Redis"),
    },
}
