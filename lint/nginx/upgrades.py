"""WebSockets: the headers of the upgrade, other upgrades, and locations that send nothing to a node."""

import re
from collections.abc import Iterator
from typing import Final

from ...readers.nginx.model import Model
from ...readers.nginx.roles import Roles, diverts
from ...readers.nginx.scopes import Scope
from ..rule import Found, Rule
from .base import CORE, MEASURED, NGINX, PROXY, by_model, by_roles, named, start, title, word_location

_HANDLERS: Final = (
    *("proxy_pass", "return", "rewrite", "try_files", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "alias"),
    *("root", "content_by_lua_block", "content_by_lua_file", "js_content", "perl", "deny", "include", "stub_status"),
)
"""Directives that answer requests, or that let a file answer them."""
_NAMES_WEBSOCKETS: Final = re.compile(r"signalr|websocket|(?<![a-z])wss?(?![a-z])", re.IGNORECASE)
_VALUE: Final = 2


def _without_upgrade(_found: Model, roles: Roles) -> Iterator[Found]:
    for one in roles.signalr:
        if diverts(one.scope, roles.upgrade):
            continue
        upgrade, connection = one.scope.header("Upgrade"), one.scope.header("Connection")
        if upgrade is None:
            what = f"{title(one.scope)} does not send the header `Upgrade` to the nodes"
            yield Found(one.target.statement.location, what)
        elif connection is None:
            yield Found(
                upgrade.location, f"{title(one.scope)} sends the header `Upgrade`, but not `Connection: upgrade`"
            )


def _old_protocol(_found: Model, roles: Roles) -> Iterator[Found]:
    seen = set()
    for one in roles.websockets:
        upgrade = one.scope.header("Upgrade")
        old = one.scope.value("proxy_http_version") not in {"1.1", "2"}
        if upgrade is not None and old and upgrade.location not in seen:
            seen.add(upgrade.location)
            yield Found(upgrade.location, "the header `Upgrade` is sent without `proxy_http_version 1.1`")


def _any_upgrade(found: Model, _roles: Roles) -> Iterator[Found]:
    seen = set()
    for one in found.proxied:
        upgrade = one.scope.header("Upgrade")
        if upgrade is None or upgrade.location in seen:
            continue
        seen.add(upgrade.location)
        value = upgrade.arguments[1]
        if "$http_upgrade" in value.replace("{", "").lower() or _passes(found, value):
            yield Found(
                upgrade.words[_VALUE].location, f"`{value}` passes every upgrade that a client requests to the nodes"
            )


def _passes(found: Model, value: str) -> bool:
    """Whether a `map` passes the client's header on."""
    block = found.variables.block(value)
    lines = [one for group in block.own_by_name.values() for one in group] if block else []
    return any("$http_upgrade" in word for one in lines for word in one.arguments)


def _closed_connection(found: Model, _roles: Roles) -> Iterator[Found]:
    """A map to `close`, or `upgrade` for all requests, costs a connection to a node for each request."""
    seen = set()
    for one in found.proxied:
        header = one.scope.header("Connection")
        upstreams = [upstream for upstream in one.target.upstreams if upstream.own("keepalive")]
        if header is None or header.location in seen or not upstreams:
            continue
        seen.add(header.location)
        values = found.variables.values(header.arguments[1]) or ()
        closing = [value for value in values if value.lower() == "close"]
        if closing or values == ("upgrade",):
            what = "`Connection: close`" if closing else "`Connection: upgrade`"
            yield Found(
                header.words[_VALUE].location,
                f"requests have {what}, so the `keepalive` of {named(upstreams[0])} is not used",
            )


def _no_proxy(found: Model) -> Iterator[Found]:
    proxying = {one.scope.enclosing("server") for one in found.proxied}
    for location in found.locations:
        own_upgrade = [one for one in location.own("proxy_set_header") if one.arguments[:1] == ("Upgrade",)]
        named = _NAMES_WEBSOCKETS.search(location.path) and location.enclosing("server") in proxying
        if (own_upgrade or named) and not _answers(location):
            where = word_location(own_upgrade[0]) if own_upgrade else start(location)
            yield Found(where, f"{title(location)} has no `proxy_pass`: NGINX looks for a file, and answers 404")


def _answers(location: Scope) -> bool:
    return any(name in scope.own_by_name for scope in location.walk() for name in _HANDLERS)


def _buffered(_found: Model, roles: Roles) -> Iterator[Found]:
    for one in roles.signalr:
        if one.scope.value("proxy_buffering") != "off":
            yield Found(
                one.target.statement.location, f"server-sent events in {title(one.scope)} wait in a buffer of NGINX"
            )


RULES: Final = (
    Rule(
        id="nginx-no-upgrade",
        vendors=NGINX,
        severity="error",
        title="WebSockets reach the nodes",
        why="by default, NGINX removes the headers Upgrade and Connection from each request. The node then "
        "handles a WebSocket request like any other request. Measured with the example configuration of "
        "nginx.org's page about load balancing: the answer is 200 instead of 101",
        instead="write `proxy_http_version 1.1;`, and `proxy_set_header` for Upgrade and Connection with a map that "
        "allows only `websocket`",
        source="https://nginx.org/en/docs/http/websocket.html",
        check=by_roles(_without_upgrade),
        scenario="idle-websocket",
    ),
    Rule(
        id="nginx-http-version",
        vendors=NGINX,
        severity="warning",
        title="WebSockets use HTTP/1.1 to the nodes",
        why="before NGINX 1.29.7, the default is HTTP/1.0, which has no upgrade: WebSockets get 400 or 426",
        instead="write `proxy_http_version 1.1;`",
        source=f"{PROXY}#proxy_http_version",
        check=by_roles(_old_protocol),
        scenario="idle-websocket",
    ),
    Rule(
        id="nginx-h2c-upgrade",
        vendors=NGINX,
        severity="warning",
        title="WebSocket is the only upgrade that a client may request",
        why="with `Upgrade: h2c`, a client opens a tunnel to a node. NGINX applies no rule to the requests in the "
        "tunnel (request smuggling). Measured: the header arrives at the node",
        instead='write `map $http_upgrade $upgrade { default ""; "~*^websocket$" websocket; }` and `proxy_set_header '
        "Upgrade $upgrade;`",
        source=MEASURED,
        check=by_roles(_any_upgrade),
        scenario="h2c",
    ),
    Rule(
        id="nginx-keepalive-unused",
        vendors=NGINX,
        severity="warning",
        title="NGINX reuses its connections to the nodes",
        why="with `Connection: close` for all requests without an upgrade, as in the example of nginx.org's page "
        "about WebSockets, NGINX opens a new connection to a node for each request. Measured: throughput "
        "falls to a third",
        instead='in the map, write `""` instead of `close`',
        source=MEASURED,
        check=by_roles(_closed_connection),
    ),
    Rule(
        id="nginx-websocket-no-proxy",
        vendors=NGINX,
        severity="error",
        title="a location for WebSockets has a `proxy_pass`",
        why="a location does not inherit the `proxy_pass` of another one. Its requests get 404, and clients fall "
        "back to long polls, or do not connect",
        instead="write the `proxy_pass` in this location too",
        source=f"{CORE}#location",
        check=by_model(_no_proxy),
    ),
    Rule(
        id="nginx-event-stream",
        vendors=NGINX,
        severity="warning",
        title="server-sent events are not buffered",
        why="NGINX collects an answer until a buffer of 4 or 8 kB is full. Clients that use server-sent events get "
        "their events late or never",
        instead="write `proxy_buffering off;` in the location that gets SignalR's requests",
        source=f"{PROXY}#proxy_buffering",
        check=by_roles(_buffered),
        scenario="event-stream",
    ),
)
