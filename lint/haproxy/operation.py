"""Reloads, limits, logs and access to HAProxy itself."""

import re
from collections.abc import Iterator
from typing import Final

from ...core.errors import Location
from ...readers.haproxy.model import Model, Proxy, milliseconds
from ...readers.tree import Statement
from ..rule import Found, Rule
from .base import (
    HAPROXY,
    MANUAL,
    PAGE,
    by_model,
    each_backend,
    http_frontends,
    named,
    web_backends,
    web_frontends,
    websocket_backends,
)

_SHORT_STOP: Final = 300_000.0
_SECRET_HEADERS: Final = re.compile(r"\b(?:authorization|cookie|x-uipath-\w+|x-api-key)\b", re.IGNORECASE)
_WITH_QUERY: Final = re.compile(r"%(?:\{[^}]*\})?(?:r|HU|HQ)\b|%\[[^\]]*\b(?:url|query|capture\.req\.uri)\b[^\]]*\]")
_LOOPBACK: Final = re.compile(r"(?:127\.|localhost|\[?::1\]?|unix@|abns@|/|ipv4@127\.|ipv6@::1)")
_FEW: Final = 256


def _no_state(_configuration: Model, backend: Proxy) -> Iterator[Found]:
    server = next((server for server in backend.servers if server.has("check")), None)
    loaded = backend.last("load-server-state-from-file")
    if server is None or server.has("init-state") or (loaded and loaded.arguments[:1] != ("none",)):
        return
    what = f"after a reload, {named(backend)} sends requests to a node that is down, until the node's first check"
    yield Found(backend.location, what)


def _no_newline(configuration: Model) -> Iterator[Found]:
    for file, lines in configuration.configuration.lines.items():
        if lines and lines[-1]:
            yield Found(Location(file, len(lines), len(lines[-1])), "the last line does not end with a newline")


def _short_stop(configuration: Model) -> Iterator[Found]:
    found = configuration.last_global("hard-stop-after")
    length = milliseconds(found.arguments[0]) if found and found.arguments else None
    if not any(websocket_backends(configuration)):
        return
    if found and length is not None and length < _SHORT_STOP:
        yield Found(found.words[1].location, f"each reload closes all WebSockets after {found.arguments[0]}")


def _no_stop(configuration: Model) -> Iterator[Found]:
    backends = websocket_backends(configuration)
    if backends and configuration.last_global("hard-stop-after") is None:
        place = next((one.location for one in configuration.configuration.statements if one.name == "global"), None)
        yield Found(
            place or backends[0].location, "after a reload, an old worker runs until its last WebSocket is closed"
        )


def _shared_limit(configuration: Model) -> Iterator[Found]:
    """A check of HAProxy itself (keepalived, a load balancer in front) that clients can crowd out."""
    for frontend in web_frontends(configuration):
        for statement in frontend.section.inside:
            if statement.name == "monitor-uri":
                what = f"`monitor-uri` of {named(frontend)} shares the connection limit with the clients"
                yield Found(statement.location, what)


def _websocket_slots(_configuration: Model, backend: Proxy) -> Iterator[Found]:
    for server in backend.servers:
        setting = server.settings.get("maxconn")
        if setting and setting.value and setting.text.isdecimal() and int(setting.text) <= _FEW:
            limit = setting.text
            what = f"{limit} WebSockets use all connections of server `{server.name}`: other requests wait in the queue"
            yield Found(setting.word.location, what)
            return


def _captured_secret(configuration: Model) -> Iterator[Found]:
    for frontend in configuration.frontends:
        for statement in (*frontend.all("capture"), *frontend.all("http-request", "capture"), *_formats(frontend)):
            for word in statement.words[1:]:
                if _SECRET_HEADERS.search(word.text):
                    yield Found(word.location, f"`{word.text[:60]}` writes a header with credentials to the log")
                    break


def _formats(frontend: Proxy) -> Iterator[Statement]:
    yield from frontend.all("log-format")
    yield from frontend.all("log-format-sd")


def _logged_query(_configuration: Model, frontend: Proxy) -> Iterator[Found]:
    if frontend.last("log") is None:
        return
    place = _query_in_log(frontend)
    if place:
        yield Found(place, f"the log of {named(frontend)} contains the query of each URL")


def _query_in_log(frontend: Proxy) -> Location | None:
    """Where the format is chosen that has the query; None if the format has no query."""
    own = [*_formats(frontend)]
    if own:
        text = " ".join(own[-1].arguments)
        return own[-1].location if _WITH_QUERY.search(text) else None
    for name in ("httplog", "httpslog"):
        if option := frontend.option(name):
            return option.location
    return None


def _open_admin(configuration: Model) -> Iterator[Found]:
    for statement in configuration.all_global("stats", "socket"):
        address = statement.arguments[1] if len(statement.arguments) > 1 else ""
        if not _LOOPBACK.match(address) and "admin" in statement.arguments:
            yield Found(
                statement.words[2].location, f"anyone who reaches {address} controls HAProxy without a password"
            )
    for proxy in configuration.proxies:
        for statement in proxy.all("stats", "admin"):
            if not [*proxy.all("stats", "auth")] and not [*proxy.all("stats", "http-request")]:
                yield Found(
                    statement.location,
                    f"anyone who opens the statistics page of {named(proxy)} can change the state of servers",
                )


def _open_statistics(configuration: Model) -> Iterator[Found]:
    for proxy in configuration.proxies:
        used = proxy.last("stats", "uri") or proxy.last("stats", "enable")
        if (
            not used
            or used in proxy.inherited
            or [*proxy.all("stats", "auth")]
            or [*proxy.all("stats", "http-request")]
        ):
            continue
        fronts = [proxy] if proxy.is_frontend else [*configuration.sources(proxy)]
        binds = [bind for front in fronts for bind in front.binds]
        if any(not _LOOPBACK.match(bind.address.text) for bind in binds):
            yield Found(used.location, f"the statistics page of {named(proxy)} needs no password")


RULES: Final = (
    Rule(
        id="haproxy-last-newline",
        vendors=HAPROXY,
        severity="error",
        title="the last line ends with a newline",
        why="HAProxy 2.3 and later refuse the file, because it may have been truncated",
        instead="add a newline, and check whether the end of the file is complete",
        source=f"{MANUAL}#2.1",
        check=by_model(_no_newline),
    ),
    Rule(
        id="haproxy-reload-state",
        vendors=HAPROXY,
        severity="warning",
        title="the nodes' states survive a reload",
        why="a new worker treats every node as up until its first check. Measured with 4 reloads while a node was "
        "down: 121 of 2800 requests failed, 1399 with a stopped app pool, and none with the state file",
        instead="write `server-state-file` and `load-server-state-from-file global`, and save the states before "
        "each reload; or, with HAProxy 3.1 or later, write `default-server init-state down`",
        source=f"{PAGE}#reload-and-state",
        check=each_backend(web_backends, _no_state),
        scenario="reload-outage",
    ),
    Rule(
        id="haproxy-reload-cuts",
        vendors=HAPROXY,
        severity="warning",
        title="WebSockets survive a reload",
        why="after a reload, the old worker keeps its WebSockets until `hard-stop-after`. Measured with 5 s: all "
        "50 WebSockets were closed. All robots then reconnect at the same time",
        instead="write `hard-stop-after 1h`",
        source=f"{MANUAL}#hard-stop-after",
        check=by_model(_short_stop),
        scenario="reload-websockets",
    ),
    Rule(
        id="haproxy-reload-no-end",
        vendors=HAPROXY,
        severity="note",
        title="old workers end after a reload",
        why="WebSockets of robots stay open for days. Each reload leaves an old worker in memory, with its old "
        "configuration and without health checks",
        instead="write `hard-stop-after 1h`",
        source=f"{MANUAL}#hard-stop-after",
        check=by_model(_no_stop),
        scenario="reload-states",
    ),
    Rule(
        id="haproxy-monitor-maxconn",
        vendors=HAPROXY,
        severity="note",
        title="the health check of HAProxy itself has a separate `maxconn`",
        why="if clients use all connections of the frontend, the health check of HAProxy fails too. keepalived "
        "then moves the virtual IP address, although HAProxy works",
        instead="write `monitor-uri` in a separate frontend, and give each frontend a `maxconn`, so that their sum "
        "is less than the global `maxconn`",
        source=PAGE,
        check=by_model(_shared_limit),
        scenario="silent-clients",
    ),
    Rule(
        id="haproxy-websocket-maxconn",
        vendors=HAPROXY,
        severity="warning",
        title="WebSockets do not use all connections of a server (`maxconn`)",
        why="a WebSocket counts as a connection as long as it is open. With as many robots as `maxconn`, all other "
        "requests wait in the queue, and get 503",
        instead="send WebSockets to a separate backend without `maxconn` on the servers, or write a `maxconn` above "
        "the number of robots",
        source=f"{MANUAL}#5.2-maxconn",
        check=each_backend(websocket_backends, _websocket_slots),
    ),
    Rule(
        id="haproxy-secrets-in-log",
        vendors=HAPROXY,
        severity="error",
        title="logs contain no credentials",
        why="anyone who reads the log can act as the user: the header Authorization contains a token or the password",
        instead="remove the header from the log",
        source=f"{PAGE}#tokens-in-logs",
        check=by_model(_captured_secret),
        scenario="logged-tokens",
    ),
    Rule(
        id="haproxy-tokens-in-log",
        vendors=HAPROXY,
        severity="warning",
        title="the tokens in URLs are masked in the log",
        why="browsers send the access token of SignalR Core in the URL (`access_token=`), and all clients send their "
        "connection token (`id=`, `connectionToken=`). Anyone who reads the log can act as that user",
        instead="write a `log-format` with `%HP` (the path without the query), or mask the query as `nlbgen render "
        "haproxy` does",
        source=f"{PAGE}#tokens-in-logs",
        check=each_backend(http_frontends, _logged_query),
        scenario="logged-tokens",
    ),
    Rule(
        id="haproxy-open-admin",
        vendors=HAPROXY,
        severity="error",
        title="only administrators of the machine can control HAProxy",
        why="commands on a runtime socket of the level admin can disable nodes, replace certificates and read "
        "tables. The page of `stats admin` can change the states of nodes",
        instead="for the socket, use a path (`stats socket /run/haproxy/admin.sock mode 660 level admin`); for the "
        "page, require `stats auth`",
        source=f"{MANUAL}#stats%20socket",
        check=by_model(_open_admin),
    ),
    Rule(
        id="haproxy-open-statistics",
        vendors=HAPROXY,
        severity="warning",
        title="the statistics page is protected",
        why="the page shows the names, addresses and states of all nodes",
        instead="bind the page to 127.0.0.1, or write `stats auth USER:PASSWORD`",
        source=f"{MANUAL}#4.2-stats%20auth",
        check=by_model(_open_statistics),
    ),
)
