"""The algorithm, the affinity, SignalR's paths, the timeouts and the limits."""

import re
from typing import Final

from ...generators.design import COOKIE
from ...readers.nginx.model import Proxied
from ...readers.tree import Statement
from ...spec.capacity import FD_RESERVE
from ..shared import take_page
from .nodes import common
from .prefixes import of_location
from .roles import Pool
from .source import Source

_BY_ADDRESS: Final = frozenset({"$remote_addr", "$binary_remote_addr", "${remote_addr}", "${binary_remote_addr}"})
_LONG_POLL: Final = 110
"""Seconds: a shorter timeout closes SignalR's connections between two messages."""
_LONGEST_REQUEST: Final = 600
"""Seconds: in a location for pages and WebSockets, a longer timeout is for WebSockets."""
_CONNECT: Final = "2s"
"""The longest timeout of a connection that nlbgen writes for NGINX."""


def take(source: Source) -> None:
    """Take how requests are distributed and limited."""
    _affinity(source)
    _algorithm(source)
    _signalr(source)
    _timeouts(source)
    _limits(source)
    for name, key, feature in (
        ("slow_start", "slow_start", "slow-start"),
        ("max_conns", "limits.requests_per_node", ""),
    ):
        if found := common(source, name):
            take_value = source.duration if feature else source.number
            if take_value(f"balancer.{key}", found[0], *found[1]) and feature:
                source.lacking(feature)


def _affinity(source: Source) -> None:
    web, live = source.roles.web, source.roles.live
    here, there = _affinity_of(source, web), _affinity_of(source, live) if live else ""
    if there == "cookie" and here != "cookie":
        affinity = "signalr"
    else:
        affinity = "source" if "source" in {here, there} and here != "cookie" else here
    statements = [*_affine(web), *(_affine(live) if live else ())]
    source.values.take("balancer.affinity", affinity, *statements)
    for pool in source.roles.further:
        for statement in _affine(pool):
            source.account.implied(statement, "the affinity is the same in every pool")


def _affine(pool: Pool) -> tuple[Statement, ...]:
    return (*pool.own("ip_hash"), *pool.own("hash"), *pool.own("sticky"), *pool.own("session_sticky"))


def _affinity_of(source: Source, pool: Pool) -> str:
    if pool.own("sticky") or pool.own("session_sticky"):
        for statement in pool.own("sticky"):
            if statement.arguments[:1] != ("cookie",):
                source.account.given_up(statement, "the balancer inserts its own cookie, NLBID")
            else:
                _cookie(source, statement)
        return "cookie"
    if pool.own("ip_hash"):
        return "source"
    for statement in pool.own("hash"):
        key = "".join(statement.arguments[:1])
        if key in _BY_ADDRESS:
            return "source"
        if _reads_cookie(source, key):
            return "cookie"
        source.account.given_up(statement, f"{key}: affinity is by cookie or by the client's address")
    return "none"


def _cookie(source: Source, statement: Statement) -> None:
    """Account for the name and the attributes of a cookie that is not nlbgen's."""
    name, *words = (*statement.arguments[1:], "")
    if name == COOKIE:
        return
    source.account.given_up(
        statement, f"the balancer's cookie is {COOKIE}: clients lose their affinity once, at the change"
    )
    for word in words:
        if word.startswith(("expires=", "domain=")):
            source.account.given_up(
                statement, f"{word}: the cookie is for frontend.host, and lasts as long as the browser's session"
            )


def _reads_cookie(source: Source, key: str) -> bool:
    """Whether a key has a cookie's value, also by a `map`."""
    block = source.found.http.variables.block(key)
    words = [key, *(block.words[:-1] if block else ())]
    return any("$cookie_" in word or "${cookie_" in word for word in words)


def _algorithm(source: Source) -> None:
    pool = next((one for one in source.roles.pools if not _affine(one) and one.upstream), source.roles.web)
    hashed = [one for one in _affine(source.roles.web) if one.name in {"hash", "ip_hash"}]
    by_source = any(one.arguments[:1] and one.arguments[0] in _BY_ADDRESS for one in hashed)
    sticky = bool(source.roles.web.own("sticky"))
    if by_source and (source.values.get("balancer.affinity") == "signalr" or sticky):
        source.values.take("balancer.algorithm", "source", *hashed)
        return
    name, statement = _method(pool if not sticky else source.roles.web)
    source.values.take("balancer.algorithm", name, *([statement] if statement else []))
    for other in source.roles.pools:
        for directive in ("least_conn", "least_time", "random"):
            for one in other.own(directive):
                if one is not statement:
                    source.account.implied(one, "the algorithm is the same for every pool")
    if statement and statement.name == "least_time":
        source.account.given_up(
            statement, "nlbgen does not select nodes by response time: least-connections is the nearest algorithm"
        )
    if statement and statement.name == "random" and name == "round-robin":
        source.account.given_up(statement, "nlbgen does not select nodes at random: round-robin gives the same shares")


def _method(pool: Pool) -> tuple[str, Statement | None]:
    for name in ("least_conn", "least_time"):
        for statement in pool.own(name):
            return "least-connections", statement
    for statement in pool.own("random"):
        return "least-connections" if statement.arguments[:1] == ("two",) else "round-robin", statement
    return "round-robin", None


def _signalr(source: Source) -> None:
    """Take the paths of the locations for SignalR and WebSockets."""
    paths: list[str] = []
    statements: list[Statement] = []
    for one in source.roles.main.live:
        statement = one.scope.statement
        if statement is None or one.scope.kind != "location" or one.scope.path.startswith("@"):
            continue
        found = of_location(one.scope.words)
        if found:
            paths += [path for path in found if path not in paths]
            statements.append(statement)
        elif not source.account.has(statement):
            source.account.given_up(statement, "balancer.signalr.paths supports only prefixes")
    if paths:
        source.values.take("balancer.signalr.paths", paths, *statements)


def _timeouts(source: Source) -> None:
    main, pages = source.roles.main, source.roles.main.pages
    idle = "balancer.signalr.idle_timeout"
    if stop := [one for one in source.found.http.main.own("worker_shutdown_timeout") if one.arguments]:
        source.duration("balancer.timeouts.reload", stop[-1].arguments[0], stop[-1])
    if pages is None:
        return
    _connect(source, pages)
    if main.stream:
        if found := source.length(main.scope, "proxy_timeout"):
            source.duration(idle, found[1], found[0])
        return
    _buffering(source, pages)
    sockets = _sockets(source)
    if sockets is not None and (found := source.length(sockets.scope, "proxy_read_timeout")):
        source.duration(idle, found[1], found[0])
    if found := source.length(pages.scope, "proxy_read_timeout"):
        statement, text, seconds = found
        both = sockets is None and _upgrades(pages)
        if both and seconds > _LONG_POLL:
            source.duration(idle, text, statement)
        if not both or seconds <= _LONGEST_REQUEST:
            source.duration("balancer.timeouts.request", text, statement)
        else:
            source.account.implied(statement, "pages have a timeout of their own: balancer.timeouts.request")


def _buffering(source: Source, pages: Proxied) -> None:
    """Responses are buffered, except on SignalR's paths."""
    for statement in pages.scope.effective("proxy_buffering"):
        if statement.arguments[:1] == ("off",) and source.made_by_nlbgen is None:
            source.account.given_up(statement, "responses are buffered, except on SignalR's paths")


def _sockets(source: Source) -> Proxied | None:
    """The block of its own that WebSockets get; in nlbgen's own file that is a named location."""
    live = source.roles.main.live
    named = [one for one in live if one.scope.path == "@websocket"]
    return next(iter([*named, *(one for one in live if _upgrades(one)), *live]), None)


def _upgrades(proxied: Proxied) -> bool:
    return proxied.scope.header("Upgrade") is not None


def _connect(source: Source, pages: Proxied) -> None:
    found = source.length(pages.scope, "proxy_connect_timeout")
    if found is None:
        return
    statement, text, _ = found
    source.duration("balancer.timeouts.connect", text, statement)
    if source.made_by_nlbgen and text == _CONNECT:
        source.account.implied(statement, "for NGINX, nlbgen writes at most 2s: the farm's own value may be longer")


def _limits(source: Source) -> None:
    main = source.found.http.main
    for statement in [one for one in main.own("worker_rlimit_nofile") if one.arguments][-1:]:
        source.number("balancer.limits.open_files", statement.arguments[0], statement)
    for events in main.inner:
        for statement in events.own("worker_connections") if events.kind == "events" else ():
            _connections(source, statement)
    if not source.roles.main.stream:
        for statement in source.block.effective("client_max_body_size")[-1:]:
            _uploads(source, statement)
        for statement in source.block.effective("limit_conn"):
            _per_address(source, statement)


def _connections(source: Source, statement: Statement) -> None:
    text = "".join(statement.arguments[:1])
    if source.made_by_nlbgen and text.isdecimal():
        source.values.take("balancer.limits.connections", (int(text) - FD_RESERVE) // 2, statement)
    else:
        why = "for each worker process, clients and nodes together: nlbgen computes it from balancer.limits.connections"
        source.account.given_up(statement, why)


def _uploads(source: Source, statement: Statement) -> None:
    text = "".join(statement.arguments[:1])
    if text == "0":
        source.account.given_up(statement, "uploads have a limit: balancer.max_body has its default")
    else:
        source.size("balancer.max_body", text, statement)


def _per_address(source: Source, statement: Statement) -> None:
    """Take a limit for each client address. Open source NGINX counts only connections with complete headers."""
    zone, *rest = (*statement.arguments, "", "")
    lines = [one for http in source.found.http.http for one in http.own("limit_conn_zone")]
    line = next((one for one in lines if any(word.startswith(f"zone={zone}:") for word in one.arguments)), None)
    if line is None or line.arguments[0] not in _BY_ADDRESS:
        source.account.given_up(statement, "the only limit of connections is for each client address")
    elif source.number("balancer.limits.connections_per_address", rest[0], statement):
        source.account.taken(line, "balancer.limits.connections_per_address")
        source.lacking("address-limit")


def take_maintenance(source: Source) -> None:
    """Take the state of nlbgen's own file: closed with a page, or with a limit of new robots."""
    if source.made_by_nlbgen is None:
        return
    values, main, web = source.values, source.roles.main.scope, source.roles.web
    if source.roles.main.stream and web.members and all(one.down for one in web.members):
        values.take("balancer.maintenance.state", "closed", web.statement)
    for inner in main.inner:
        for statement in inner.own("return"):
            if take_page(values, "".join(statement.arguments[1:2]), statement):
                header = inner.response_header("Retry-After")
                if header:
                    source.duration("balancer.maintenance.retry_after", f"{header.arguments[1]}s", header)
    for http in source.found.http.http:
        for statement in http.own("limit_req_zone"):
            rate = re.search(r"\brate=([0-9]+)r/s", " ".join(statement.arguments))
            if rate:
                values.take("balancer.maintenance.state", "releasing", statement)
                source.number("balancer.maintenance.robots_per_second", rate[1], statement)
