"""Which locations get WebSockets, long polls and pages.

NGINX has no keyword for it. A location is one of SignalR's if its path names SignalR, a hub or a WebSocket; in a server
without such a location, those for all paths get everything. A location may send its WebSockets elsewhere:
`if ($http_upgrade) { return 418; }` with `error_page 418 = @websocket`.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from .model import Model, Proxied
from .scopes import Scope

_SIGNALR: Final = re.compile(r"signalr|hubs?\b|websocket|socket\.io|(?<![a-z])wss?(?![a-z])", re.IGNORECASE)
_STATIC: Final = re.compile(r"\\\.")
"""An expression about the end of a file name, such as `\\.(css|js)$`."""
_VARIABLE: Final = re.compile(r"\$\{?(\w+)")
_UPGRADE: Final = "http_upgrade"


@dataclass(frozen=True, slots=True)
class Roles:
    """The blocks with a `proxy_pass`, by what they get; all in the order of the file.

    `websockets` get Upgrade requests, `signalr` the other requests of SignalR (long polls, events), `pages` all
    requests of clients but those that an `if` selects. `upgrade` are the variables made of the header Upgrade.
    """

    websockets: tuple[Proxied, ...]
    signalr: tuple[Proxied, ...]
    pages: tuple[Proxied, ...]
    upgrade: frozenset[str]


def roles(found: Model) -> Roles:
    """The roles of the blocks of a configuration."""
    upgrade = _upgrade_variables(found)
    websockets: list[Proxied] = []
    signalr: list[Proxied] = []
    pages: list[Proxied] = []
    for server in found.servers:
        inside = [one for one in found.of_server.get(server, ()) if not _internal(one.scope)]
        chosen = {one.scope.path: _choice(server, one.scope, upgrade) for one in inside if _is_named(one.scope)}
        usual = [one for one in inside if chosen.get(one.scope.path, "all") == "all" and _is_usual(one.scope)]
        live = [one for one in usual if _SIGNALR.search(_path(one.scope))] or [
            one for one in usual if _is_wide(one.scope)
        ]
        pages += usual
        signalr += live
        websockets += [one for one in live if not diverts(one.scope, upgrade)]
        websockets += [
            one for one in inside if chosen.get(one.scope.path) == "upgrade" or _if_upgrade(one.scope, upgrade)
        ]
    return Roles(tuple(websockets), tuple(signalr), tuple(pages), upgrade)


def _upgrade_variables(found: Model) -> frozenset[str]:
    """`$http_upgrade`, and the variables of maps that read it."""
    known = {_UPGRADE}
    for _ in range(len(found.variables.blocks)):
        before = len(known)
        for name, block in found.variables.blocks.items():
            if block.words and _reads(block.words[:-1], known):
                known.add(name)
        if len(known) == before:
            break
    return frozenset(known)


def _reads(words: Collection[str], variables: Collection[str]) -> bool:
    return any(name in variables for word in words for name in _VARIABLE.findall(word))


def diverts(scope: Scope, upgrade: Collection[str]) -> bool:
    """Whether the location answers or redirects WebSockets itself, before its `proxy_pass`."""
    location = scope.enclosing("location") or scope
    ends = ("return", "rewrite", "proxy_pass", "set")
    return any(
        inner.kind == "if" and _reads(inner.words, upgrade) and any(name in inner.own_by_name for name in ends)
        for inner in location.inner
    )


def _if_upgrade(scope: Scope, upgrade: Collection[str]) -> bool:
    return scope.kind == "if" and _reads(scope.words, upgrade)


def _internal(scope: Scope) -> bool:
    return any("internal" in one.own_by_name for one in scope.around() if one.kind == "location")


def _path(scope: Scope) -> str:
    location = scope.enclosing("location")
    return location.path if location else "/"


def _is_named(scope: Scope) -> bool:
    return scope.kind == "location" and scope.path.startswith("@")


def _is_usual(scope: Scope) -> bool:
    """Whether it gets requests of clients without a condition."""
    return scope.kind in {"location", "server"}


def _is_wide(scope: Scope) -> bool:
    """Whether it gets many paths: not one path, and not the files of one type."""
    return scope.words[:1] != ("=",) and not (scope.words[:1] in {("~",), ("~*",)} and _STATIC.search(scope.path))


def _choice(server: Scope, named: Scope, upgrade: Collection[str]) -> str:
    """Which requests get to a named location: `all`, those with an `upgrade`, or `some` that an `if` selects."""
    codes: set[str] = set()
    for scope in server.walk():
        for one in scope.own("error_page"):
            if one.arguments[-1:] == (named.path,):
                codes.update(one.arguments[:-1])
        if any(one.arguments[-1:] == (named.path,) for one in scope.own("try_files")):
            return "all"
    choosing = [inner for inner in server.walk() if inner.kind == "if" and codes & set(_returned(inner))]
    if any(_reads(inner.words, upgrade) for inner in choosing):
        return "upgrade"
    return "some" if choosing or codes else "all"


def _returned(scope: Scope) -> Iterator[str]:
    for one in scope.own("return"):
        yield from one.arguments[:1]
