"""Pools and their monitors."""

from collections.abc import Iterator
from typing import Final

from ...readers.f5.builtin import MONITORS
from ...readers.f5.model import Model, Pool
from ...readers.f5.objects import Item
from ..rule import Found, Rule
from .base import F5, TMSH, each_pool, number, place, short

_WITHOUT_ANSWER: Final = frozenset(("tcp", "tcp-half-open", "tcp-echo", "icmp", "gateway-icmp", "udp", "inband"))
_HTTP: Final = ("ltm monitor http", "ltm monitor https", "ltm monitor http2")


def _kinds(found: Model, pool: Pool) -> list[tuple[str, Item | None]]:
    """The kind of each monitor, and its object; an empty kind if it is not in the file and not built in."""
    listed = []
    for path in pool.monitors:
        item = found.named("ltm monitor", path)
        listed.append((item.kind if item else MONITORS.get(path, ""), item))
    return listed


def _no_monitor(_found: Model, pool: Pool) -> Iterator[Found]:
    if not pool.monitors and len(pool.members) > 1:
        yield Found(pool.item.location, f"pool `{short(pool.item.path)}` has no monitor")


def _tcp_monitor(found: Model, pool: Pool) -> Iterator[Found]:
    kinds = [kind for kind, _ in _kinds(found, pool)]
    if kinds and all(kind.removeprefix("ltm monitor ") in _WITHOUT_ANSWER for kind in kinds):
        where = place(pool.item, "monitor", pool.item.location)
        names = ", ".join(f"`{short(path)}`" for path in pool.monitors)
        what = f"a node whose app pool is stopped stays up in pool `{short(pool.item.path)}`"
        yield Found(where, f"monitor {names}: {what}")


def _no_status(found: Model, pool: Pool) -> Iterator[Found]:
    kinds = _kinds(found, pool)
    for (kind, item), path in zip(kinds, pool.monitors, strict=True):
        received = found.effective(item, "recv") if item else ""
        if kind in _HTTP and len(kinds) == 1 and received in {"", "none", None} and not _inherits_unknown(found, item):
            where = place(item, "recv", item.location if item else place(pool.item, "monitor", pool.item.location))
            yield Found(where, f"monitor `{short(path)}` accepts every answer, even 503")


def _inherits_unknown(found: Model, item: Item | None) -> bool:
    """Whether a parent of the monitor is not in the file and not built in."""
    return item is not None and found.effective(item, "interval") is None


def _one_failure(found: Model, pool: Pool) -> Iterator[Found]:
    for _, item in _kinds(found, pool):
        interval = number(found.effective(item, "interval")) if item else None
        timeout = number(found.effective(item, "timeout")) if item else None
        if item and interval and timeout and timeout <= 2 * interval:
            what = f"one lost answer marks a node down (interval {interval} s, timeout {timeout} s)"
            yield Found(place(item, "timeout", item.location), f"monitor `{short(item.path)}`: {what}")


def _kept(_found: Model, pool: Pool) -> Iterator[Found]:
    if pool.monitors and pool.item.text("service-down-action") in {"", "none"}:
        where = place(pool.item, "service-down-action", pool.item.location)
        yield Found(where, f"WebSockets stay on a node of pool `{short(pool.item.path)}` that is marked down")


RULES: Final = (
    Rule(
        id="f5-no-monitor",
        vendors=F5,
        severity="error",
        title="every pool has a monitor",
        why="without a monitor, the BIG-IP sends requests to a node that is down",
        instead="write a monitor of the type http or https, with `recv`",
        source=f"{TMSH}/ltm_pool.html",
        check=each_pool(_no_monitor),
        scenario="kill",
    ),
    Rule(
        id="f5-tcp-monitor",
        vendors=F5,
        severity="warning",
        title="the monitors read an HTTP status",
        why="if an app pool is stopped, Windows still accepts connections and answers 503. A monitor that only "
        "connects marks the node as up. Measured with such a check: 600 of 2800 requests failed",
        instead='write a monitor of the type http or https with `recv "^HTTP/1.[01] 200"`',
        source="docs/performance.md",
        check=each_pool(_tcp_monitor),
        scenario="pool-stopped",
    ),
    Rule(
        id="f5-monitor-status",
        vendors=F5,
        severity="warning",
        title="an HTTP monitor expects a status",
        why="without `recv`, the monitor accepts every response, even the 503 of a stopped app pool",
        instead='write `recv "^HTTP/1.[01] 200"`, and `send` with the path of a health endpoint and the Host',
        source=f"{TMSH}/ltm_monitor_http.html",
        check=each_pool(_no_status),
        scenario="pool-stopped",
    ),
    Rule(
        id="f5-monitor-timeout",
        vendors=F5,
        severity="warning",
        title="one missing response to a monitor does not mark a node down",
        why="a node that is marked down loses its WebSockets. With a timeout of up to two intervals, one slow "
        "response marks the node down. F5 recommends three intervals and a second",
        instead="write a `timeout` of three times the `interval` and one second more",
        source=f"{TMSH}/ltm_monitor_http.html",
        check=each_pool(_one_failure),
        scenario="health-slow",
    ),
    Rule(
        id="f5-service-down-action",
        vendors=F5,
        severity="warning",
        title="WebSockets of a node that is marked down are closed",
        why="with `none`, the default, open connections stay on the node. A robot on a node that hangs waits for "
        "its own timeout before it connects to another node",
        instead="write `service-down-action reset`",
        source=f"{TMSH}/ltm_pool.html",
        check=each_pool(_kept),
        scenario="hang-robots",
    ),
)
