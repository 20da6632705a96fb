"""The algorithm, the affinity, SignalR's paths, the timeouts and the limits."""

import re
from itertools import pairwise
from typing import Final

from ...generators.design import COOKIE
from ...generators.haproxy.generator import SILENT_PLACES
from ...readers.haproxy.conditions import acls, condition, read_comparison
from ...readers.haproxy.model import Proxy
from ...readers.tree import Statement
from ...spec.capacity import open_files
from ...spec.units import Size
from ..shared import take_page
from .nodes import common
from .source import UPGRADE, Source, names_in

_ALGORITHMS: Final = {
    "leastconn": "least-connections",
    "roundrobin": "round-robin",
    "static-rr": "round-robin",
    "source": "source",
}


def take(source: Source) -> None:
    """Take how requests are distributed and limited."""
    _algorithm(source)
    _affinity(source)
    _signalr(source)
    _timeouts(source)
    _limits(source)
    _uploads(source)
    if found := common(source, source.members, "slowstart"):
        source.duration("balancer.slow_start", found[0], *found[1])
    for pool in source.roles.pools[1:]:
        if found := common(source, pool.servers, "slowstart"):
            for statement in found[1]:
                source.account.implied(statement, "the same for every pool")


def _algorithm(source: Source) -> None:
    found = source.roles.web.last("balance")
    words = found.arguments if found else ()
    if found is None:
        source.values.take("balancer.algorithm", "round-robin")  # HAProxy's default
    elif words[:1] and words[0] in _ALGORITHMS:
        source.values.take("balancer.algorithm", _ALGORITHMS[words[0]], found)
    else:
        source.account.given_up(found, "balancer.algorithm can only be round-robin, least-connections or source")
    for pool in source.roles.pools[1:]:
        for statement in pool.all("balance"):
            same = found is not None and statement.arguments == words
            if same:
                source.account.implied(statement, "the algorithm is the same for every pool")
            elif not source.account.has(statement):
                source.account.given_up(statement, "the algorithm is the same for every pool")


def _affinity(source: Source) -> None:
    web, live = source.roles.web, source.roles.live
    here, there = _affinity_of(source, web), _affinity_of(source, live) if live else ""
    kind = "signalr" if there == "cookie" and here != "cookie" else here if here != "none" or not there else there
    source.values.take("balancer.affinity", kind, *_affine(web), *_affine(live))
    for pool in source.roles.pools if source.made_by_nlbgen is None else ():
        for statement in pool.all("cookie") if kind in {"cookie", "signalr"} else ():
            _cookie(source, statement)
    for pool in source.roles.pools:
        for statement in _affine(pool):
            if not source.account.has(statement):
                source.account.implied(statement, "the affinity is the same in every pool")


def _cookie(source: Source, statement: Statement) -> None:
    """Account for the name and the attributes of a cookie that is not nlbgen's."""
    name, *words = (*statement.arguments, "")
    if name != COOKIE:
        source.account.given_up(
            statement, f"the balancer's cookie is {COOKIE}: clients lose their affinity once, at the change"
        )
    for word in words:
        if word in _COOKIE_OPTIONS:
            source.account.given_up(statement, f"{word}: the cookie lasts as long as the browser's session")


_COOKIE_OPTIONS: Final = frozenset(("maxidle", "maxlife", "domain", "dynamic", "preserve", "postonly", "attr"))


def _affinity_of(source: Source, pool: Proxy) -> str:
    cookie = pool.last("cookie")
    with_values = cookie and ("dynamic" in cookie.arguments or any(one.has("cookie") for one in pool.servers))
    if cookie and not with_values:
        source.account.given_up(cookie, "no server line has a cookie value: HAProxy sets no cookie")
    if cookie and with_values:
        if "insert" not in cookie.arguments:
            source.account.given_up(cookie, "the balancer inserts its own cookie, NLBID")
        return "cookie"
    balance = pool.last("balance")
    sticky = pool.last("stick", "on") or pool.last("stick", "match")
    by_source = (balance and balance.arguments[:1] == ("source",)) or (sticky and "src" in sticky.arguments)
    return "source" if by_source else "none"


def _affine(pool: Proxy | None) -> tuple[Statement, ...]:
    if pool is None:
        return ()
    found = [*pool.all("cookie"), *pool.all("stick")]
    return tuple(dict.fromkeys(found))


def _signalr(source: Source) -> None:
    """Take the paths by which the frontend selects the pool for SignalR."""
    main, live = source.roles.main, source.roles.live
    if live is None:
        return
    paths: list[str] = []
    statements: list[Statement] = []
    for target in source.model.targets(main):
        if target.backend is not live:
            continue
        source.account.taken(target.statement, "balancer.signalr.paths")
        where = condition(target.statement, acls(main))
        names = {term.name for terms in (where.alternatives if where else ()) for term in terms}
        for statement in main.all("acl"):
            if len(statement.words) > 2 and statement.arguments[0] in names:
                found = _prefixes(source, statement)
                paths += found
                statements += [statement] * bool(found)
        for test in where.tests if where else ():
            if test.fetch.startswith("path"):
                paths += [value for value in test.values if value not in paths and value.startswith("/")]
    if paths:
        source.values.take("balancer.signalr.paths", paths, *dict.fromkeys(statements))


def _prefixes(source: Source, statement: Statement) -> list[str]:
    test = read_comparison(statement.words[2:])
    if UPGRADE.match(test.fetch):
        source.account.implied(statement, "WebSockets on any path use the pool for SignalR")
        return []
    if test.fetch in {"path_beg", "path"} and test.method in {"", "beg", "str"}:
        return [value for value in test.values if value.startswith("/")]
    if test.fetch.startswith(("path", "url")):
        source.account.given_up(statement, "balancer.signalr.paths supports only prefixes")
    return []


def _timeouts(source: Source) -> None:
    web, live = source.roles.web, source.roles.live or source.roles.web
    source.timeout(web, "connect", "balancer.timeouts.connect")
    source.timeout(web, "queue", "balancer.timeouts.queue")
    tunnel = "balancer.signalr.idle_timeout"
    source.timeout(live, "tunnel", tunnel)
    if source.values.get("frontend.tls.mode") != "passthrough":
        source.timeout(web, "server", "balancer.timeouts.request")
    elif tunnel in source.values:
        _mark(source, web, "server", "under passthrough, balancer.signalr.idle_timeout is the only idle timeout")
    else:
        source.timeout(web, "server", tunnel)
    if (stop := source.model.last_global("hard-stop-after")) and stop.arguments:
        source.duration("balancer.timeouts.reload", stop.arguments[0], stop)


def _mark(source: Source, proxy: Proxy, name: str, why: str) -> None:
    if found := proxy.timeout(name):
        source.account.implied(source.at(found.word.location), why)


def _limits(source: Source) -> None:
    main = source.roles.main
    own, process = main.last("maxconn"), source.model.last_global("maxconn")
    limits = [(int(one.arguments[0]), one) for one in (own, process) if one and _is_number(one)]
    if limits:
        number, lowest = min(limits, key=lambda limit: limit[0])
        written = number - (SILENT_PLACES if source.made_by_nlbgen else 0)
        if source.values.take("balancer.limits.connections", written, lowest):
            _open_files(source, written)
        if lowest is process and own:
            source.account.given_up(own, f"the process accepts fewer connections: {number} (`maxconn` in `global`)")
    if process and not source.account.has(process):
        source.account.implied(process, "the sum of the limits of all frontends")
    if per_node := common(source, source.members, "maxconn"):
        source.number("balancer.limits.requests_per_node", per_node[0], *per_node[1])
    for statement in main.all("tcp-request", "connection", "reject"):
        limit = re.search(r"(?:sc0?_?conn_cur(?:\(0\))?|sc0_conn_cur|src_conn_cur) g([te]) ([0-9]+)", _text(statement))
        if limit:
            number = int(limit[2]) - (limit[1] == "e")
            source.values.take("balancer.limits.connections_per_address", number, statement)


def _is_number(statement: Statement) -> bool:
    return bool(statement.arguments) and statement.arguments[0].isascii() and statement.arguments[0].isdecimal()


def _open_files(source: Source, connections: int) -> None:
    limit = source.model.last_global("ulimit-n")
    needed = open_files(connections)
    if source.open_files is not None:
        source.values.take("balancer.limits.open_files", source.open_files)
    elif limit and limit.arguments[:1] and limit.arguments[0].isdecimal() and int(limit.arguments[0]) >= needed:
        source.values.take("balancer.limits.open_files", int(limit.arguments[0]), limit)
    elif needed > _DEFAULT_FILES:
        source.values.take("balancer.limits.open_files", needed)


_DEFAULT_FILES: Final = 20_000


def _text(statement: Statement) -> str:
    return " ".join(statement.arguments)


def _uploads(source: Source) -> None:
    for statement in source.roles.main.all("http-request", "deny"):
        limit = re.search(
            r"(?:content-length\)|req\.body_size|req_body_size) g([te]) ([0-9]{1,12})", _text(statement), re.IGNORECASE
        )
        if limit:
            source.values.take("balancer.max_body", str(Size(int(limit[2]) - (limit[1] == "e"))), statement)


def take_maintenance(source: Source) -> None:
    """Take the state of nlbgen's own file: closed with a page, or with a limit of new robots."""
    values = source.values
    for statement in source.roles.main.all("http-request", "return"):
        words = statement.arguments
        pairs = dict(pairwise(words))
        if pairs.get("status") == "503" and take_page(values, pairs.get("string", ""), statement):
            source.duration("balancer.maintenance.retry_after", f"{pairs.get('Retry-After', '')}s", statement)
        rate = re.search(r"sc1_gpc0_rate ge ([0-9]+)", _text(statement))
        if rate and source.made_by_nlbgen:
            values.take("balancer.maintenance.state", "releasing", statement)
            source.number("balancer.maintenance.robots_per_second", rate[1], statement)


def take_all_failed(source: Source) -> None:
    """Take whether requests go to the nodes while every check fails."""
    unchecked = [one for one in source.roles.spare if not any(server.has("check") for server in one.servers)]
    for target in source.model.targets(source.roles.main):
        if target.backend in unchecked:
            where = condition(target.statement, acls(source.roles.main))
            if where and any(test.fetch.startswith("nbsrv") for test in where.tests):
                names = names_in(target.statement)
                needed = [
                    one for one in source.roles.main.all("acl") if one.arguments[:1] and one.arguments[0] in names
                ]
                for statement in (target.statement, *needed):
                    source.account.taken(statement, "balancer.health.all_failed")
                return
    source.values.take("balancer.health.all_failed", "refuse")
