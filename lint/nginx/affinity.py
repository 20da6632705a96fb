"""Affinity: methods that only look like it, and what SignalR Core needs."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from ...readers.nginx.model import Model, Proxied
from ...readers.nginx.roles import Roles
from ...readers.nginx.scopes import Scope
from ...readers.nginx.upstreams import Upstream
from ...readers.tree import Statement
from ..rule import Found, Rule
from .base import NGINX, UPSTREAM, by_model, by_roles, each_upstream, named, several, title

_SAME_FOR_ALL: Final = re.compile(
    r"(?:\$\{?(?:host|http_host|server_name|server_addr|server_port|scheme|hostname)\}?|[^$])*"
)
_COOKIE: Final = re.compile(r"\$\{?cookie_(\w+)")
_NAME: Final = re.compile(r"(\w+)=")
_AFFINITY: Final = ("ip_hash", "hash", "sticky")
_CLASSIC: Final = re.compile(r"/signalr/?(?:$|[^a-z])", re.IGNORECASE)


def _one_for_all(_found: Model, upstream: Upstream) -> Iterator[Found]:
    method = upstream.method
    hashed = method is not None and method.name == "hash" and method.arguments
    if method is not None and hashed and several(upstream) and _SAME_FOR_ALL.fullmatch(method.arguments[0]):
        yield Found(
            method.words[1].location, f"all requests with the same host name go to the same node of {named(upstream)}"
        )


def _absent(found: Model) -> Iterator[Found]:
    """A hash of a cookie that nothing in the file sets."""
    hashes = [(name, one.method) for name, one in found.upstreams.items() if name in found.uses and one.method]
    keys = [(method, method.arguments[0]) for _, method in hashes if method.name == "hash" and method.arguments]
    known = _written(found) if keys else frozenset()
    for method, key in keys:
        sources = [key, *(word for name in re.findall(r"\$\{?(\w+)", key) for word in _sources(found, name))]
        for name in dict.fromkeys(cookie for text in sources for cookie in _COOKIE.findall(text)):
            if name not in known:
                yield Found(method.words[1].location, f"nothing in this file sets the cookie `{name}`")


def _sources(found: Model, name: str) -> tuple[str, ...]:
    block = found.variables.blocks.get(name)
    return block.words[:-1] if block else ()


def _written(found: Model) -> frozenset[str]:
    """The names before `=` in the headers Set-Cookie and in the values of maps, and those of `sticky` and `userid`."""
    scopes = list(found.main.walk())
    headers = [one for scope in scopes for one in scope.own("add_header") if one.arguments[:1] and _sets_cookie(one)]
    values = [one for block in found.variables.blocks.values() for group in block.own_by_name.values() for one in group]
    names = {name for one in (*headers, *values) for word in one.arguments for name in _NAME.findall(word)}
    kinds = [one for scope in scopes for kind in ("userid_name", "sticky") for one in scope.own(kind)]
    return frozenset(names).union(word for one in kinds for word in one.arguments)


def _sets_cookie(header: Statement) -> bool:
    return header.arguments[0].lower() == "set-cookie"


def _by_address(found: Model, upstream: Upstream) -> Iterator[Found]:
    method = upstream.method
    if method is None or not several(upstream):
        return
    address = method.name == "ip_hash" or (
        method.name == "hash" and method.arguments[:1] in {("$remote_addr",), ("$binary_remote_addr",)}
    )
    uses = [one.scope for one in found.uses.get(upstream.name, ())]
    real = any(scope.effective("set_real_ip_from") for scope in uses)
    if address and not real:
        what = (
            "from one network (the first three numbers of the address)"
            if method.name == "ip_hash"
            else "from one address"
        )
        where = f"go to the same node of {named(upstream)}"
        yield Found(method.location, f"all clients {what}, for example behind a proxy, {where}")


@lru_cache(maxsize=256)
def _is_classic(server: Scope) -> bool:
    """Whether the server names the path of classic SignalR, which needs no affinity."""
    return any(_CLASSIC.search(scope.path) for scope in server.walk() if scope.kind == "location")


def _core(_found: Model, roles: Roles) -> Iterator[Found]:
    seen: set[str] = set()
    for one in roles.signalr:
        server = one.scope.enclosing("server")
        for upstream in one.target.upstreams:
            method = upstream.method
            sticky = method is not None and method.name in _AFFINITY
            chosen = len(one.target.upstreams) > 1
            if (
                server is None
                or _is_classic(server)
                or sticky
                or chosen
                or not several(upstream)
                or upstream.name in seen
            ):
                continue
            seen.add(upstream.name)
            what = f"{named(upstream)} has {len(upstream.active)} nodes and no affinity"
            yield Found(upstream.statement.location, what)


def _two_pools(_found: Model, roles: Roles) -> Iterator[Found]:
    """WebSockets go to another upstream than their negotiation, and affinity does not lead to the same node."""
    negotiation: dict[Scope, Proxied] = {}
    for one in (*roles.signalr, *roles.pages):
        if (server := one.scope.enclosing("server")) is not None:
            negotiation.setdefault(server, one)
    for socket in roles.websockets:
        server = socket.scope.enclosing("server")
        first = negotiation[server].target.upstreams if server in negotiation else ()
        mine = socket.target.upstreams
        if server is None or _is_classic(server) or len(first) != 1 or len(mine) != 1 or mine == first:
            continue
        if several(mine[0]) and (_signature(mine[0]) != _signature(first[0]) or not _signature(mine[0])):
            pools = f"go to {named(mine[0])}, but their negotiation goes to {named(first[0])}"
            yield Found(socket.target.statement.location, f"WebSockets of {title(socket.scope)} {pools}")


def _signature(upstream: Upstream) -> tuple[object, ...]:
    """What chooses the node; empty without affinity. Two upstreams with the same one choose the same node."""
    method = upstream.method
    if method is None or method.name not in _AFFINITY:
        return ()
    return (method.name, method.arguments, tuple(member.key for member in upstream.members))


RULES: Final = (
    Rule(
        id="nginx-hash-same-for-all",
        vendors=NGINX,
        severity="error",
        title="the hash differs between clients",
        why=(
            "all clients use the same host name, so a hash of this name sends all requests to one node. The other "
            "nodes get no requests"
        ),
        instead="write `least_conn;`, or a hash of something that differs between clients",
        source=f"{UPSTREAM}#hash",
        check=each_upstream(_one_for_all),
        scenario="steady",
    ),
    Rule(
        id="nginx-hash-absent",
        vendors=NGINX,
        severity="warning",
        title="affinity uses a cookie that requests have",
        why="for a request without the cookie, the key of the hash is empty, and NGINX uses round robin: there is no "
        "affinity",
        instead="write `sticky cookie NAME;` (NGINX 1.29.6 or later), or set the cookie with `add_header`",
        source=f"{UPSTREAM}#hash",
        check=by_model(_absent),
        scenario="signalr-core",
    ),
    Rule(
        id="nginx-hash-address",
        vendors=NGINX,
        severity="note",
        title="affinity by address distributes the clients",
        why="robots of one site often share a network or the address of a proxy. The hash then sends all of them "
        "to one node",
        instead="write `sticky cookie NAME;` (NGINX 1.29.6 or later); behind a proxy, write `set_real_ip_from` and "
        "`real_ip_header`",
        source=f"{UPSTREAM}#ip_hash",
        check=each_upstream(_by_address),
        scenario="steady",
    ),
    Rule(
        id="nginx-signalr-core-affinity",
        vendors=NGINX,
        severity="note",
        title="ASP.NET Core SignalR needs affinity",
        why="only the node that negotiated a connection of SignalR Core knows it. Another node answers 404, unless "
        "clients use WebSockets only and skip the negotiation. Classic SignalR (path /signalr) needs no affinity",
        instead="write `sticky cookie NAME;` (NGINX 1.29.6 or later), or `hash $remote_addr consistent;`",
        source="https://learn.microsoft.com/aspnet/core/signalr/scale",
        check=by_roles(_core),
        scenario="signalr-core",
    ),
    Rule(
        id="nginx-websocket-pool-affinity",
        vendors=NGINX,
        severity="warning",
        title="WebSockets and their negotiation have the same affinity",
        why="the negotiation and the WebSocket of SignalR Core must reach the same node. Two upstreams choose "
        "their nodes independently: about half of the WebSockets of two nodes get 404",
        instead="send both to one upstream, or give both the same hash and the same servers in the same order",
        source="https://learn.microsoft.com/aspnet/core/signalr/scale",
        check=by_roles(_two_pools),
        scenario="signalr-core",
    ),
)
