"""Timeouts that cut WebSockets and long polls."""

from collections.abc import Iterator
from typing import Final

from ...readers.haproxy.model import Model, Proxy, Timeout
from ..rule import Found, Rule
from .base import (
    HAPROXY,
    MANUAL,
    MEASURED,
    by_model,
    each_backend,
    http_frontends,
    named,
    seconds,
    web_frontends,
    websocket_backends,
)

LONG_POLL: Final = 110_000.0
"""SignalR answers a long poll after at most 110 s."""
_SHORT_IDLE: Final = 110_000.0
"""nlbgen refuses an idle timeout that is not longer in farm.yaml too (rule short-idle)."""


def _idle(configuration: Model, backend: Proxy) -> Iterator[Found]:
    """The time after which an idle WebSocket is closed: the tunnel timeout, else the shortest of the others."""
    tunnel = backend.timeout("tunnel")
    if tunnel and tunnel.milliseconds:
        if tunnel.milliseconds <= _SHORT_IDLE:
            yield Found(tunnel.word.location, f"an idle WebSocket is closed after {seconds(tunnel.milliseconds)}")
        return
    others = [backend.timeout("server"), *(one.timeout("client") for one in configuration.sources(backend))]
    limits = [one for one in others if one and one.milliseconds]
    if limits and (shortest := min(limits, key=lambda one: one.milliseconds)).milliseconds <= _SHORT_IDLE:
        when = seconds(shortest.milliseconds)
        what = "`timeout tunnel` is 0, so the other timeouts apply" if tunnel else "there is no `timeout tunnel`"
        place = tunnel.word.location if tunnel else backend.location
        yield Found(place, f"{what}: an idle WebSocket of {named(backend)} is closed after {when}")


def _long_poll(_configuration: Model, backend: Proxy) -> Iterator[Found]:
    limit = backend.timeout("server")
    if limit and 0 < limit.milliseconds <= LONG_POLL:
        yield Found(
            limit.word.location, f"a SignalR long poll (up to 110 s) gets 504 after {seconds(limit.milliseconds)}"
        )


def _slow_headers(_configuration: Model, frontend: Proxy) -> Iterator[Found]:
    if not (frontend.timeout("http-request") or _short(frontend.timeout("client"))):
        what = f"{named(frontend)} has no `timeout http-request`: a client may send its headers as slowly as it wants"
        yield Found(frontend.location, what)


def _short(limit: Timeout | None) -> bool:
    return limit is not None and 0 < limit.milliseconds <= 30_000


def _half_closed(configuration: Model) -> Iterator[Found]:
    for frontend in web_frontends(configuration):
        targets = [target.backend for target in configuration.targets(frontend) if target.backend.servers]
        tunnels = [one for backend in targets if (one := backend.timeout("tunnel"))]
        if tunnels and not frontend.timeout("client-fin"):
            longest = max(tunnels, key=lambda one: one.milliseconds)
            if longest.milliseconds > _SHORT_IDLE:
                what = f"`timeout tunnel` is long, and {named(frontend)} has no `timeout client-fin`"
                yield Found(longest.word.location, what)


RULES: Final = (
    Rule(
        id="haproxy-tunnel-timeout",
        vendors=HAPROXY,
        severity="warning",
        title="WebSockets have a long `timeout tunnel`",
        why="without `timeout tunnel`, HAProxy closes an idle WebSocket after `timeout client` or `timeout "
        "server`. Measured: after 50 s with the timeouts of the example in HAProxy's manual, and after 10 s "
        "with the default timeouts of EasyHAProxy. Each robot then reconnects",
        instead="write `timeout tunnel 1h` in the backend that gets the WebSockets",
        source=MEASURED,
        check=each_backend(websocket_backends, _idle),
        scenario="idle-websocket",
    ),
    Rule(
        id="haproxy-long-poll",
        vendors=HAPROXY,
        severity="warning",
        title="`timeout server` is longer than a long poll of SignalR",
        why="a client that cannot use WebSockets sends long polls, which SignalR answers after up to 110 s. With a "
        "shorter `timeout server`, HAProxy answers 504",
        instead="write `timeout server 130s` in the backend that gets SignalR's requests",
        source=MEASURED,
        check=each_backend(lambda found: (one for one in websocket_backends(found) if one.is_http), _long_poll),
        scenario="long-poll",
    ),
    Rule(
        id="haproxy-http-request-timeout",
        vendors=HAPROXY,
        severity="warning",
        title="the headers of a request have a time limit",
        why="`timeout client` restarts with each byte. A client that sends one byte from time to time keeps its "
        "connection, and a few hundred such clients use all connections of `maxconn`",
        instead="write `timeout http-request 10s`",
        source=f"{MANUAL}#timeout%20http-request",
        check=each_backend(http_frontends, _slow_headers),
        scenario="slowloris",
    ),
    Rule(
        id="haproxy-client-fin",
        vendors=HAPROXY,
        severity="note",
        title="`timeout client-fin` is set if `timeout tunnel` is long",
        why="if a robot loses its network, a half-closed connection remains. Without `timeout client-fin`, it "
        "stays open until `timeout tunnel` ends",
        instead="write `timeout client-fin 30s` and `timeout server-fin 30s`",
        source=f"{MANUAL}#timeout%20client-fin",
        check=by_model(_half_closed),
    ),
)
