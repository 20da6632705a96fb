"""The farm's names: in `server_name`, in redirects, by SNI, and in the requests to the nodes."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from ...readers.nginx.scopes import Scope
from ...readers.tree import Statement
from ..values import problem_of
from .roles import redirects_in
from .source import Source

_REDIRECT: Final = re.compile(r"https://(?P<host>[^/:$]+)(?::[0-9]+)?(?:/|\$|\Z)")
_CATCH_ALL: Final = frozenset({"_", "", "localhost", "$hostname"})
Named = tuple[str, Statement]


def take(source: Source) -> None:
    """Take the first name as the host, and the others as aliases."""
    names = _names(source)
    _redirected(source, names)
    if not names:
        return
    host, *aliases = names
    source.values.take("frontend.host", host, *names[host])
    _to_nodes(source, host)
    statements = [one for name in aliases for one in names[name]]
    if source.values.get("frontend.tls.mode") == "passthrough":
        for statement in statements:
            source.account.implied(statement, "with passthrough, requests for every name reach the nodes")
    elif aliases:
        source.values.take("frontend.aliases", [*aliases], *statements)


def _names(source: Source) -> dict[str, list[Statement]]:
    """The farm's names with their statements; those of the farm's own server first."""
    names: dict[str, list[Statement]] = {}
    served = [*_served(source, source.roles.main.scope), *_by_sni(source)]
    for twin in source.roles.twins:
        served += _served(source, twin)
    for name, statement in served:
        names.setdefault(name, []).append(statement)
    for name, statement in _redirects(source):
        if not names or name in names:
            names.setdefault(name, []).append(statement)
    return names or _sent(source)


def _served(source: Source, scope: Scope) -> Iterator[Named]:
    for statement in scope.own("server_name"):
        for name in statement.arguments:
            if name.lower() in _CATCH_ALL:
                source.account.implied(statement, f'"{name}" is not a name of the farm')
            elif problem := problem_of("frontend.host", name):
                why = "a pattern: frontend.aliases has complete names" if re.search(r"[*~^]", name) else problem
                source.account.given_up(statement, f"{name}: {why}")
            else:
                yield name, statement


def _by_sni(source: Source) -> Iterator[Named]:
    """The names that a `map` of $ssl_preread_server_name sends to the farm's pool."""
    if not source.roles.main.stream:
        return
    pools = {one.name for one in source.roles.pools}
    for scope in source.found.variables.blocks.values():
        if scope.words[:1] != ("$ssl_preread_server_name",) or scope.statement is None:
            continue
        for line in scope.statement.inside:
            leads = bool(line.arguments) and line.arguments[0] in pools
            if leads and line.name != "default" and not problem_of("frontend.host", line.name):
                yield line.name, line


def _redirects(source: Source) -> Iterator[Named]:
    for scope in (source.roles.main.scope, *source.roles.redirects):
        for statement in redirects_in(scope):
            for word in statement.arguments:
                found = _REDIRECT.match(word)
                if found and not problem_of("frontend.host", found["host"]):
                    yield found["host"], statement


def _sent(source: Source) -> dict[str, list[Statement]]:
    """The name that the nodes get, if no server has a name."""
    host = source.block.header("Host")
    for name, statement in ((host.arguments[1], host),) if host else ():
        if not problem_of("frontend.host", name):
            return {name: [statement]}
    return {}


def _to_nodes(source: Source, host: str) -> None:
    """The name that the nodes get: it is that of the farm, in requests and as SNI."""
    header = source.block.header("Host")
    if header is not None and header.arguments[1] == host and not source.account.has(header):
        source.account.implied(header, "the nodes get the client's Host, which is the farm's name")
    for statement in source.block.effective("proxy_ssl_name"):
        if statement.arguments[:1] not in {(host,), ("$host",), ("$ssl_server_name",)}:
            source.account.given_up(statement, f"the nodes get {host} as SNI")


def _redirected(source: Source, names: Iterable[str]) -> None:
    """The names of the servers that redirect."""
    for scope in (*source.roles.redirects, *source.roles.refusing, *source.roles.statistics):
        for statement in scope.own("server_name"):
            for name in statement.arguments:
                if name.lower() in _CATCH_ALL or name in names:
                    source.account.implied(statement, "these servers answer for every name")
                elif scope in source.roles.redirects:
                    source.account.given_up(statement, f"{name}: the redirect is for every name of the farm")
                else:
                    source.account.given_up(statement, f"{name}: not part of the farm")
