"""Nodes that fail: retries, marks, and what happens when all of them are marked down."""

from collections.abc import Iterator
from typing import Final

from ...core.wording import plural
from ...readers.nginx.model import Model, Proxied
from ...readers.nginx.roles import Roles
from ...readers.nginx.upstreams import Upstream
from ...readers.tree import Statement
from ..rule import Found, Rule
from .base import MEASURED, NGINX, PAGE, PROXY, UPSTREAM, by_model, by_roles, each_upstream, named, several, start

_DEFAULT: Final = ("error", "timeout")
_CHECKS: Final = ("health_check", "check", "check_http_send")
"""Active checks: of NGINX Plus, in the location; of nginx_upstream_check_module, in the upstream."""


def _retries(one: Proxied) -> tuple[str, ...]:
    """The conditions of proxy_next_upstream."""
    found = one.scope.effective("proxy_next_upstream")
    return found[0].arguments if found else _DEFAULT


def _written(found: Model) -> Iterator[Statement]:
    """Each proxy_next_upstream of a block with a `proxy_pass`, once."""
    seen = set()
    for one in found.proxied:
        for statement in one.scope.effective("proxy_next_upstream")[:1]:
            if statement.location not in seen and not _is_check(one):
                seen.add(statement.location)
                yield statement


def _is_check(one: Proxied) -> bool:
    """Whether it is a request of NGINX itself (auth_request), and not one of a client."""
    location = one.scope.enclosing("location")
    return location is not None and "internal" in location.own_by_name


def _retried_post(found: Model) -> Iterator[Found]:
    for statement in _written(found):
        for word in statement.words[1:]:
            if word.text == "non_idempotent":
                yield Found(word.location, "after an error, a POST is sent to a second node, and may be executed twice")


def _retried_error(found: Model) -> Iterator[Found]:
    for statement in _written(found):
        for word in statement.words[1:]:
            if word.text == "http_500":
                yield Found(word.location, "if a URL answers 500, NGINX marks one node after another down")


def _no_retry(_found: Model, roles: Roles) -> Iterator[Found]:
    seen = set()
    for one in roles.pages:
        if not any(several(upstream) for upstream in one.target.upstreams) or "http_503" in _retries(one):
            continue
        written = one.scope.effective("proxy_next_upstream")
        where = written[0].location if written else one.target.statement.location
        if where not in seen:
            seen.add(where)
            yield Found(where, "the client gets the 503 of one node, although other nodes could answer")


def _attracting(found: Model, upstream: Upstream) -> Iterator[Found]:
    method = upstream.method
    uses = [one for one in found.uses.get(upstream.name, ()) if not _is_check(one)]
    if method is None or method.name not in {"least_conn", "least_time"} or not several(upstream):
        return
    if uses and not any("http_503" in _retries(one) for one in uses) and not _websockets_only(uses):
        yield Found(
            method.location, f"a node of {named(upstream)} that answers 503 at once gets more requests than the others"
        )


def _websockets_only(uses: list[Proxied]) -> bool:
    """Whether a check of NGINX comes before each request (auth_request)."""
    return all(one.scope.effective("auth_request") for one in uses)


def _passive(_found: Model, roles: Roles) -> Iterator[Found]:
    seen = set()
    for one in roles.websockets:
        checked = one.scope.effective("auth_request") or one.scope.effective("health_check")
        for upstream in one.target.upstreams:
            if checked or not several(upstream) or any(upstream.own(name) for name in _CHECKS) or upstream.name in seen:
                continue
            seen.add(upstream.name)
            what = f"NGINX also sends WebSockets to a node of {named(upstream)} that hangs"
            yield Found(upstream.statement.location, what)


def _never_marked(_found: Model, roles: Roles) -> Iterator[Found]:
    seen = set()
    for one in (*roles.pages, *roles.websockets):
        for upstream in one.target.upstreams:
            unmarked = all(member.parameters.get("max_fails") == "0" for member in upstream.active)
            if several(upstream) and unmarked and upstream.name not in seen:
                seen.add(upstream.name)
                where = upstream.active[0].statement.location
                yield Found(where, f"no node of {named(upstream)} is ever marked down (`max_fails=0`)")


def _all_down(found: Model, upstream: Upstream) -> Iterator[Found]:
    """Every member can be marked down at the same time, and nothing is left."""
    markable = [one for one in upstream.active if one.parameters.get("max_fails") != "0"]
    last = [one for one in upstream.members if one.backup and one.parameters.get("max_fails") == "0"]
    uses = [one for one in found.uses.get(upstream.name, ()) if not _has_last_resort(one)]
    by_status = any(condition.startswith("http_5") for one in uses for condition in _retries(one))
    if several(upstream) and len(markable) == len(upstream.active) and not last and by_status:
        what = f"marks all {plural(len(markable), 'node')} of {named(upstream)} down: `no live upstreams`"
        yield Found(upstream.statement.location, f"one URL that all nodes answer with an error {what}")


def _has_last_resort(one: Proxied) -> bool:
    """Whether a 502 of NGINX goes to another location, or the request is one of NGINX itself."""
    pages = one.scope.effective("error_page")
    return _is_check(one) or any("502" in page.arguments and page.arguments[-1][:1] == "@" for page in pages)


def _no_zone(found: Model, upstream: Upstream) -> Iterator[Found]:
    workers = found.main.value("worker_processes")
    if several(upstream) and not upstream.own("zone") and (workers or "1") != "1":
        what = f"{named(upstream)} has no `zone`: each worker process counts the failures of the nodes separately"
        yield Found(upstream.statement.location, what)


def _unlimited(_found: Model, roles: Roles) -> Iterator[Found]:
    seen = set()
    for one in roles.pages:
        most = max((len(upstream.active) for upstream in one.target.upstreams), default=0)
        limited = one.scope.value("proxy_next_upstream_tries") or one.scope.value("proxy_next_upstream_timeout")
        if most > 2 and not limited and "off" not in _retries(one):
            where = start(one.scope.enclosing("server") or one.scope)
            if where not in seen:
                seen.add(where)
                yield Found(where, f"NGINX sends a failed request to up to {plural(most, 'node')}, one after another")


RULES: Final = (
    Rule(
        id="nginx-retried-post",
        vendors=NGINX,
        severity="error",
        title="a POST is never repeated after it was sent",
        why="the first node may have executed the POST before the error. Measured when a node stops with POSTs in "
        "flight: 30 of them were executed twice",
        instead="remove `non_idempotent`",
        source=f"{PROXY}#proxy_next_upstream",
        check=by_model(_retried_post),
        scenario="posts",
    ),
    Rule(
        id="nginx-broken-url",
        vendors=NGINX,
        severity="error",
        title="one broken URL does not mark the nodes down",
        why="a 500 is usually an error of one page, on all nodes. Measured: after 40 requests of one client for such "
        "a page, all other requests got 502",
        instead="remove `http_500`",
        source=f"{PROXY}#proxy_next_upstream",
        check=by_model(_retried_error),
        scenario="broken-url",
    ),
    Rule(
        id="nginx-stopped-pool",
        vendors=NGINX,
        severity="warning",
        title="clients do not get the 503 of a stopped app pool",
        why="if the app pool is stopped, IIS answers 503 immediately. NGINX treats this as a valid answer. "
        "Measured while one of two app pools is stopped for 6 s: 600 of 2800 requests failed",
        instead="write `proxy_next_upstream error timeout http_502 http_503 http_504;`",
        source=MEASURED,
        check=by_roles(_no_retry),
        scenario="pool-stopped",
    ),
    Rule(
        id="nginx-least-conn-broken-node",
        vendors=NGINX,
        severity="warning",
        title="`least_conn` does not prefer a broken node",
        why="a node that answers 503 immediately has the fewest requests in flight. Measured with `least_conn`: "
        "775 of 2800 requests failed, more than with round robin (600)",
        instead="write `proxy_next_upstream error timeout http_502 http_503 http_504;`",
        source=PAGE,
        check=each_upstream(_attracting),
        scenario="pool-stopped",
    ),
    Rule(
        id="nginx-passive-checks",
        vendors=NGINX,
        severity="note",
        title="a node is checked before it gets a WebSocket",
        why="open source NGINX has no active health checks. A node that hangs keeps its WebSockets. After "
        "`fail_timeout`, NGINX sends a client's request to a node that was marked down, as a test",
        instead="check a node before each WebSocket (auth_request), as `nlbgen render nginx` does; or use HAProxy or "
        "NGINX Plus",
        source=PAGE,
        check=by_roles(_passive),
        scenario="hang-robots",
    ),
    Rule(
        id="nginx-max-fails",
        vendors=NGINX,
        severity="warning",
        title="a node that fails is marked down",
        why="with `max_fails=0` on all nodes, NGINX keeps sending requests to a broken node",
        instead="write `max_fails=2 fail_timeout=10s` on the servers",
        source=f"{UPSTREAM}#max_fails",
        check=by_roles(_never_marked),
        scenario="hang",
    ),
    Rule(
        id="nginx-all-down",
        vendors=NGINX,
        severity="warning",
        title="requests are served while all nodes are marked down",
        why="NGINX answers 502 to all requests (`no live upstreams`) as long as all nodes are marked down, even if "
        "only one URL fails",
        instead="write each node a second time, with `backup max_fails=0`",
        source=f"{UPSTREAM}#max_fails",
        check=each_upstream(_all_down),
        scenario="unavailable-url",
    ),
    Rule(
        id="nginx-zone",
        vendors=NGINX,
        severity="warning",
        title="all workers share the states of the nodes",
        why="without a `zone`, each worker process counts the failures of a node separately, so requests reach the "
        "broken node in each worker; `least_conn` counts only the requests of its own worker",
        instead="write `zone NAME 64k;` in the `upstream` block",
        source=f"{UPSTREAM}#zone",
        check=each_upstream(_no_zone),
    ),
    Rule(
        id="nginx-retry-limit",
        vendors=NGINX,
        severity="note",
        title="a request tries a limited number of nodes",
        why="NGINX retries a failed request on every node. In an incident, this multiplies the load",
        instead="write `proxy_next_upstream_tries 2;`",
        source=f"{PROXY}#proxy_next_upstream_tries",
        check=by_roles(_unlimited),
        scenario="unavailable-url",
    ),
)
