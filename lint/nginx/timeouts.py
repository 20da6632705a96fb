"""Timeouts that cut WebSockets and long polls, or that make clients wait for a node that hangs."""

from collections.abc import Iterator
from typing import Final

from ...readers.nginx.model import Model, Proxied
from ...readers.nginx.roles import Roles
from ...readers.nginx.units import time
from ...readers.nginx.upstreams import Upstream
from ..rule import Found, Rule
from .base import (
    MAIN,
    MEASURED,
    NGINX,
    UPSTREAM,
    by_model,
    by_roles,
    each_upstream,
    named,
    place,
    seconds,
    start,
    title,
    word_location,
)

LONG_POLL: Final = 110.0
"""SignalR answers a long poll after at most 110 s."""
_DEFAULT: Final = 60.0
"""proxy_read_timeout and proxy_connect_timeout."""
_LONGEST_CONNECT: Final = 10.0
_SHORTEST_RELOAD: Final = 600.0
_IIS_IDLE: Final = 120.0
"""IIS closes a connection without requests after this time."""


def _read_timeout(proxied: Proxied) -> float:
    value = proxied.scope.value("proxy_read_timeout")
    found = time(value) if value else None
    return _DEFAULT if found is None else found


def _idle(_found: Model, roles: Roles) -> Iterator[Found]:
    for one in roles.websockets:
        limit = _read_timeout(one)
        if one.scope.header("Upgrade") is not None and limit <= LONG_POLL:
            where = place(one.scope, "proxy_read_timeout")
            yield Found(where, f"an idle WebSocket of {title(one.scope)} is closed after {seconds(limit)}")


def _long_poll(_found: Model, roles: Roles) -> Iterator[Found]:
    for one in roles.signalr:
        limit = _read_timeout(one)
        if limit <= LONG_POLL:
            where = place(one.scope, "proxy_read_timeout")
            yield Found(
                where, f"a SignalR long poll (up to 110 s) in {title(one.scope)} is stopped after {seconds(limit)}"
            )


def _slow_connect(_found: Model, roles: Roles) -> Iterator[Found]:
    seen = set()
    for one in roles.pages:
        value = one.scope.value("proxy_connect_timeout")
        limit = (time(value) if value else None) or _DEFAULT
        where = (
            place(one.scope, "proxy_connect_timeout") if value else start(one.scope.enclosing("server") or one.scope)
        )
        if limit > _LONGEST_CONNECT and where not in seen:
            seen.add(where)
            yield Found(where, f"a request waits {seconds(limit)} for a node that does not accept connections")


def _short_reload(found: Model) -> Iterator[Found]:
    for one in found.main.own("worker_shutdown_timeout"):
        limit = time("".join(one.arguments[:1]))
        if limit is not None and limit < _SHORTEST_RELOAD:
            yield Found(word_location(one), f"a reload closes all WebSockets after {seconds(limit)}")


def _endless_reload(found: Model, roles: Roles) -> Iterator[Found]:
    if (
        "events" in found.main.own_by_name
        and "worker_shutdown_timeout" not in found.main.own_by_name
        and roles.websockets
    ):
        where = found.main.own("events")[0].location
        what = "there is no `worker_shutdown_timeout`: after a reload, old workers run while a WebSocket is open"
        yield Found(where, what)


def _long_keepalive(_found: Model, upstream: Upstream) -> Iterator[Found]:
    for one in upstream.own("keepalive_timeout"):
        limit = time("".join(one.arguments[:1]))
        if upstream.own("keepalive") and limit is not None and limit >= _IIS_IDLE:
            yield Found(word_location(one), f"idle connections of {named(upstream)} are kept for {seconds(limit)}")


RULES: Final = (
    Rule(
        id="nginx-websocket-timeout",
        vendors=NGINX,
        severity="warning",
        title="WebSockets have a long `proxy_read_timeout`",
        why="NGINX closes a WebSocket if the node sends nothing for `proxy_read_timeout`. Measured: after 60 s, "
        "the default. Each robot then reconnects",
        instead="write `proxy_read_timeout 1h;` in the location that gets the WebSockets",
        source=MEASURED,
        check=by_roles(_idle),
        scenario="idle-websocket",
    ),
    Rule(
        id="nginx-long-poll",
        vendors=NGINX,
        severity="warning",
        title="`proxy_read_timeout` is longer than a long poll of SignalR",
        why="a client that cannot use WebSockets sends long polls, which SignalR answers after up to 110 s. With a "
        "shorter timeout, NGINX sends the poll to the next node, and then answers 502 or 504. Measured: 3 polls "
        "caused 4 requests to the nodes, and failed after 60 s",
        instead="write `proxy_read_timeout 130s;` in the location that gets SignalR's requests",
        source=MEASURED,
        check=by_roles(_long_poll),
        scenario="long-poll",
    ),
    Rule(
        id="nginx-connect-timeout",
        vendors=NGINX,
        severity="warning",
        title="NGINX waits at most 10 s for a connection to a node",
        why="a machine that hangs accepts no connection, or does not complete the TLS handshake. Each request to it "
        "waits for `proxy_connect_timeout` (default: 60 s) before NGINX tries the next node. Measured while a node "
        "hangs for 6 s: more than 100 of 2800 requests failed, and 400 took more than a second",
        instead="write `proxy_connect_timeout 2s;`",
        source=MEASURED,
        check=by_roles(_slow_connect),
        scenario="hang",
    ),
    Rule(
        id="nginx-reload-cuts",
        vendors=NGINX,
        severity="warning",
        title="WebSockets survive a reload",
        why="after `worker_shutdown_timeout`, the old workers close their connections. Measured with 5 s: each "
        "reload closed all 50 WebSockets",
        instead="write `worker_shutdown_timeout 1h;`",
        source=f"{MAIN}#worker_shutdown_timeout",
        check=by_model(_short_reload),
        scenario="reload-websockets",
    ),
    Rule(
        id="nginx-reload-no-end",
        vendors=NGINX,
        severity="note",
        title="old workers end after a reload",
        why="after a reload, an old worker runs until its last WebSocket is closed. Robots keep WebSockets open for "
        "days, so each reload leaves more old workers in memory",
        instead="write `worker_shutdown_timeout 1h;`",
        source=f"{MAIN}#worker_shutdown_timeout",
        check=by_roles(_endless_reload),
        scenario="reload-websockets",
    ),
    Rule(
        id="nginx-keepalive-timeout",
        vendors=NGINX,
        severity="warning",
        title="NGINX closes idle connections before IIS does",
        why="IIS closes a connection after 120 s without a request. If NGINX sends a POST at that moment, the "
        "client gets 502, because a POST is not retried",
        instead="write `keepalive_timeout 60s;` in the `upstream` block",
        source=f"{UPSTREAM}#keepalive_timeout",
        check=each_upstream(_long_keepalive),
    ),
)
