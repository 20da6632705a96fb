"""What is not part of the farm, or stands in the file a second time: other servers, locations, upstreams, programs."""

import re
from collections.abc import Iterable
from typing import Final

from ...core.wording import all_of
from ...readers.nginx.model import Target
from ...readers.nginx.roles import roles
from ...readers.nginx.scopes import Scope
from ...readers.nginx.variables import DEFINING
from ...readers.tree import Configuration, Statement
from ..account import shown
from .roles import redirects_in
from .source import Source, unread_of

_VARIABLE: Final = re.compile(r"\$\{?(\w+)")
_LOGS: Final = frozenset({"log_format", "access_log"})
_PLAIN: Final = frozenset({"limit_req_zone", "limit_conn_zone", "limit_rate", "proxy_set_header", "add_header"})
"""Directives that do not decide where a request goes."""


def account_for(source: Source) -> None:
    """Account for the blocks that no value comes from, and for what the reader did not read."""
    _unread(source)
    _farm(source)
    _servers(source)
    _twins(source)
    _locations(source, source.roles.main.scope)
    _variables(source)
    _redirects(source)


def _unread(source: Source) -> None:
    unread = unread_of(source.configuration)
    for statement in source.configuration.walk():
        reason = unread.get(statement.location)
        if reason is None:
            continue
        if statement.block is not None:
            source.notes.append(f"{statement.location}: {reason}")
        elif statement.name == "include" and statement.arguments[0].endswith("/mime.types"):
            source.account.implied(statement, "no files are served; the nodes send the types")
        elif source.made_by_nlbgen is None:
            hint = "; give the output of `nginx -T`" if statement.name == "include" else ""
            source.account.not_understood(statement, f"{reason}{hint}")


def _farm(source: Source) -> None:
    """The blocks of the farm itself."""
    account, roles = source.account, source.roles
    for statement, key in (
        (roles.main.scope.statement, "frontend"),
        *((one.statement, "nodes") for one in roles.pools),
    ):
        if statement is not None and not account.has(statement):
            account.taken(statement, key)
    for one in (roles.main.pages, *roles.main.live):
        if one is not None:
            _target(source, one.target)
    for scope in roles.main.scope.inner:
        if scope.kind == "if" and scope.statement and any(map(account.has, redirects_in(scope))):
            account.implied(scope.statement, "the redirect to https")


def _target(source: Source, target: Target) -> None:
    account, statement = source.account, target.statement
    if target.open:
        account.given_up(statement, "a variable selects the nodes: add --node NAME=ADDRESS for each node")
    if not account.has(statement):
        account.taken(statement, "nodes")
    if "/" in "".join(statement.arguments[:1]).partition("://")[2]:
        account.given_up(statement, "the nodes get the path of the request, not the one that stands here")


def _servers(source: Source) -> None:
    for scope in source.roles.others:
        kind = "stream server" if scope in source.found.http.stream_servers else "server"
        source.account.given_up_all(source.inside(scope), f"{kind} {_title(scope)}: not part of the farm")
    for upstream in source.roles.unused:
        name = "".join(upstream.arguments[:1])
        source.account.given_up_all(upstream.walk(), f"upstream {name}: not part of the farm")
    _rest(source, source.roles.statistics, "statistics on the loopback address")
    _rest(source, source.roles.refusing, "requests for other names are refused")


def _rest(source: Source, scopes: Iterable[Scope], what: str) -> None:
    """What is open in these blocks is implied."""
    for scope in scopes:
        for statement in source.inside(scope):
            if not source.account.has(statement):
                source.account.implied(statement, what)


def _title(scope: Scope) -> str:
    """The first name or address of a server."""
    for name in ("server_name", "listen"):
        for one in scope.own(name):
            if one.arguments:
                return one.arguments[0]
    return "without a name"


def _twins(source: Source) -> None:
    """Servers with the same nodes: the same lines are implied, others have no place."""
    main = source.roles.main.scope
    known = {_words(one) for one in source.inside(main)}
    for scope in source.roles.twins:
        for statement in source.inside(scope):
            if source.account.has(statement):
                continue
            if _words(statement) in known:
                source.account.implied(statement, f"the server at {main.location} has the same line")
            else:
                source.account.given_up(
                    statement, f"a farm has one `server` block: nlbgen uses the one at {main.location}"
                )


def _words(statement: Statement) -> tuple[str, ...]:
    return tuple(word.text for word in statement.words)


def _locations(source: Source, scope: Scope) -> None:
    """The locations of the farm's server beside those for pages and live connections."""
    roles, pages = source.roles, source.block
    taken = {one.scope for one in (roles.main.pages, *roles.main.live) if one is not None}
    known = {_words(one) for one in source.inside(pages)} if pages is not roles.main.scope else set()
    for inner in (one for one in scope.inner if one.kind == "location"):
        if not taken.isdisjoint(inner.walk()):
            if inner.statement is not None and not source.account.has(inner.statement):
                source.account.implied(inner.statement, "the requests of all paths reach the nodes")
            _locations(source, inner)
        elif source.made_by_nlbgen is None:
            _location(source, inner, known)


def _location(source: Source, scope: Scope, known: set[tuple[str, ...]]) -> None:
    title = shown(scope.statement) if scope.statement else ""
    passes = any("proxy_pass" in inner.own_by_name for inner in scope.walk())
    nodes = [source.targets[inner] for inner in scope.walk() if inner in source.targets]
    mine = {pool.name for pool in source.roles.pools}
    names = {name for one in nodes for name in (*(up.name for up in one.upstreams), *one.names)}
    if any("stub_status" in inner.own_by_name for inner in scope.walk()):
        _rest(source, [scope], "statistics on the loopback address")
        return
    why = f"{title}: all requests reach the nodes, none is answered here"
    if passes:
        why = f"{title}: all paths except SignalR's have the same rules"
        why = f"{title}: its nodes are not part of the farm" if names and not names & mine else why
    if scope.path.startswith("@"):
        why = f"{title}: nlbgen decides itself what follows a failed request"
    for statement in source.inside(scope):
        if source.account.has(statement):
            continue
        if passes and statement is not scope.statement and _words(statement) in known:
            source.account.implied(statement, "the location for all paths has the same line")
        else:
            source.account.given_up(statement, why)


def _variables(source: Source) -> None:
    """The `map` blocks: those of the header Upgrade are implied, and those of names are taken."""
    if source.made_by_nlbgen is not None:
        return
    upgrade = roles(source.found.http).upgrade
    users = _users(source.configuration)
    for scope in (*source.found.http.variables.blocks.values(), *source.found.variables.blocks.values()):
        name = scope.path.removeprefix("$")
        for statement in source.inside(scope):
            if source.account.has(statement):
                continue
            if name in upgrade or "$http_connection" in scope.words[:1]:
                source.account.implied(statement, "WebSocket is the only upgrade that is allowed")
            elif scope.words[:1] == ("$ssl_preread_server_name",):
                source.account.given_up(statement, "a farm has one pool for every name")
            elif any(scope.path in one.arguments for one in _hashes(source)):
                source.account.taken(statement, "balancer.affinity")
            else:
                _variable(source, scope, statement, users.get(name, frozenset()))


def _variable(source: Source, scope: Scope, statement: Statement, users: frozenset[str]) -> None:
    """A line of a `map` by the directives that use its variable."""
    if users and users <= _LOGS:
        source.account.implied(
            statement, "logs have the status, the node and the times of each request, without tokens"
        )
    elif users - _PLAIN - _LOGS:
        source.account.not_understood(statement, f"{scope.kind} {' '.join(scope.words)}")
    else:
        why = f"used only by {all_of(sorted(users))}" if users else "nothing uses it"
        source.account.given_up(statement, why)


def _users(configuration: Configuration) -> dict[str, frozenset[str]]:
    """By the name of a variable: the names of the directives whose words have it."""
    found: dict[str, set[str]] = {}
    for statement in configuration.walk():
        words = statement.arguments[:-1] if statement.name in DEFINING else statement.arguments
        for word in words:
            for name in _VARIABLE.findall(word) if "$" in word else ():
                found.setdefault(name, set()).add(statement.name)
    return {name: frozenset(users) for name, users in found.items()}


def _hashes(source: Source) -> list[Statement]:
    return [line for pool in source.roles.pools for line in pool.own("hash")]


def _redirects(source: Source) -> None:
    for scope in source.roles.redirects:
        for statement in source.inside(scope):
            if source.account.has(statement):
                continue
            if statement.name in {"location", "if"} and redirects_in(Scope(statement, statement.inside, None)):
                source.account.implied(statement, "the redirect to https")
            elif statement.name in _LOCAL or source.made_by_nlbgen is not None:
                continue
            else:
                source.account.given_up(statement, "port 80 only redirects to https")


_LOCAL: Final = frozenset(
    {"server", "listen", "access_log", "error_log", "server_tokens", "http2", "keepalive_timeout"}
)
"""Directives of a redirecting server that the catalogue knows."""
