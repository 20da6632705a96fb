"""Where a server of an nginx.conf sends a request: the location, and what answers there.

A condition or an expression that only NGINX can evaluate counts as possible: both ways are followed. What is left
without a `proxy_pass` surely never reaches a node. Source: NGINX's documentation of `location`, `return`, `rewrite`,
`try_files` and `error_page`, and `ngx_http_core_find_location`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ...readers.nginx.model import Proxied
from ...readers.nginx.scopes import Scope
from ...readers.tree import Statement
from .patterns import compiled
from .requests import Request

_MOST_REDIRECTS: Final = 10
"""NGINX ends a request after as many internal redirects."""
_STATIC: Final = ("404", "403", "405")
"""The answers of a location with files that are not on this machine; 405 is that for a POST."""
_REWRITE_WORDS: Final = 2
_GROUP: Final = re.compile(r"\$([1-9])")
_REDIRECTING: Final = frozenset(("redirect", "permanent"))
_ABSOLUTE: Final = ("http://", "https://", "$scheme")


class Arrival(NamedTuple):
    """The blocks with a `proxy_pass` that may get a request, and the block that answers it if there is none."""

    blocks: tuple[Proxied, ...]
    end: Scope
    why: str
    """What answers at the end: the name of a directive, or `files`."""


@dataclass
class Paths:
    """The ways of one server's requests."""

    server: Scope
    proxied: tuple[Proxied, ...]
    """Its blocks with a `proxy_pass`."""
    host: str
    secure: bool
    _blocks: dict[Scope, Proxied] = field(default_factory=dict)
    _end: tuple[Scope, str] | None = None

    def arrival(self, request: Request) -> Arrival:
        """Follow a request."""
        self._blocks, self._end = {}, None
        self._request(request.path, 0)
        end, why = self._end or (self.server, "files")
        return Arrival(tuple(self._blocks.values()), end, why)

    def _ends(self, scope: Scope, why: str) -> None:
        self._end = scope, why

    def _request(self, path: str, depth: int) -> None:
        """Follow a URI from the server on."""
        if depth > _MOST_REDIRECTS:
            return
        after = path if depth else self._rewritten(self.server, path, depth)
        if after is None:
            return
        for location in self._locations(self.server, after):
            self._location(location, after, depth)

    def _locations(self, scope: Scope, path: str) -> list[Scope]:
        """The locations that may get a path: one, or more where an expression is not known; else the block itself."""
        found = list(self._selected(scope, path))
        return found or [scope]

    def _selected(self, scope: Scope, path: str) -> Iterator[Scope]:
        """The location that NGINX selects in a block, after those with an unknown expression before it."""
        inner = [one for one in scope.inner if one.kind == "location" and not one.path.startswith("@")]
        if exact := next((one for one in inner if one.words[:1] == ("=",) and one.path == path), None):
            yield exact
            return
        prefixes = [one for one in inner if _is_prefix(one) and path.startswith(one.path)]
        longest = max(prefixes, key=lambda one: len(one.path), default=None)
        nested = [*self._selected(longest, path)] if longest is not None else []
        if nested and not _is_prefix(nested[-1]) and _is_sure(nested[-1], path):
            yield from nested  # an exact location or an expression inside comes before expressions outside
            return
        sure = nested[-1] if nested and _is_prefix(nested[-1]) else longest
        yield from (one for one in nested if one is not sure)
        if longest is None or longest.words[:1] != ("^~",):
            for one in (one for one in inner if _matches(one, path) is not False):
                yield from (deeper := [*self._selected(one, path)])
                if deeper and _is_sure(deeper[-1], path):
                    return
                yield one
                if _is_sure(one, path):
                    return
        if sure is not None:
            yield sure

    def _location(self, scope: Scope, path: str, depth: int) -> None:
        """Follow a request inside the location that was selected."""
        after = path if scope is self.server else self._rewritten(scope, path, depth)
        if after is not None:
            self._content(scope, depth)

    def _rewritten(self, scope: Scope, path: str, depth: int) -> str | None:
        """The path after the directives of the rewrite module; None if they answer or send it elsewhere."""
        for statement in scope.statement.inside if scope.statement else ():
            if statement.name == "return":
                self._status(scope, statement, depth)
                return None
            if statement.name == "if" and not self._branch(scope, statement, depth):
                return None
            if statement.name == "rewrite" and not self._rewrite(scope, statement, path, depth):
                return None
            if statement.name == "break" or _breaks(statement, path):
                return path
        return path

    def _branch(self, scope: Scope, statement: Statement, depth: int) -> bool:
        """Follow an `if`; False if it surely answers."""
        inner = next(one for one in scope.inner if one.statement is statement)
        self._blocks |= {one.scope: one for one in self.proxied if one.scope is inner}
        answers = [*inner.own("return"), *(one for one in inner.own("rewrite") if _redirects(one))]
        holds = _holds(statement, self.host, secure=self.secure)
        if holds and answers:
            self._status(inner, answers[0], depth)
        return not (holds and answers)

    def _rewrite(self, scope: Scope, statement: Statement, path: str, depth: int) -> bool:
        """Follow a `rewrite`; False if it surely applies, and the request does not go on in this block."""
        words = statement.arguments
        if len(words) < _REWRITE_WORDS:
            return True
        pattern = compiled(words[0], ignore_case=False)
        found = pattern.search(path) if pattern else None
        if pattern is not None and found is None:
            return True
        if _redirects(statement):
            self._ends(scope, "rewrite")
        elif words[-1] == "break":
            return True
        elif found is not None and "$" not in (new := _GROUP.sub(lambda group: found[int(group[1])] or "", words[1])):
            self._request(new.partition("?")[0], depth + 1)
        else:
            self._blocks |= {one.scope: one for one in self.proxied}  # only NGINX knows the new path
        return pattern is None

    def _status(self, scope: Scope, statement: Statement, depth: int) -> None:
        """Follow an answer of `return` or of a `rewrite` with a redirect."""
        code = statement.arguments[0] if statement.arguments else ""
        if statement.name != "return" or not self._error(scope, (code,), depth):
            self._ends(scope, statement.name)

    def _error(self, scope: Scope, codes: tuple[str, ...], depth: int) -> bool:
        """Follow the `error_page` for one of these statuses; False without one."""
        pages = [one for one in scope.effective("error_page") if not set(codes).isdisjoint(one.arguments[:-1])]
        for page in pages:
            self._internal(page.arguments[-1], depth)
        return bool(pages)

    def _internal(self, target: str, depth: int) -> None:
        """Follow an internal redirect, to a named location or to a URI."""
        if target.startswith("@"):
            named = next((one for one in self.server.walk() if one.kind == "location" and one.path == target), None)
            if named is not None and depth <= _MOST_REDIRECTS:
                self._location(named, "", depth + 1)
        elif target.startswith("/"):
            self._request(target.partition("?")[0], depth + 1)
        elif target.startswith("$"):
            self._blocks |= {one.scope: one for one in self.proxied}

    def _content(self, scope: Scope, depth: int) -> None:
        """Follow a request to what answers in a block: `try_files`, `proxy_pass`, or files."""
        if tried := [one for one in scope.effective("try_files") if len(one.arguments) > 1]:
            last = tried[0].arguments[-1]
            self._ends(scope, "try_files")
            if last.startswith("="):
                self._error(scope, (last[1:],), depth)
            self._internal(last, depth)
            return
        inside = [scope, *(one for one in scope.inner if one.kind == "limit_except")]
        own = {one.scope: one for one in self.proxied if one.scope in inside}
        if own and _needs_password(scope):
            self._ends(scope, "auth_basic")
            return
        self._blocks |= own
        if not own and not self._error(scope, _STATIC, depth):
            self._ends(scope, next((name for name in _ANSWERS if scope.own(name)), "files"))


_ANSWERS: Final = ("root", "alias", "stub_status", "autoindex", "empty_gif")


def _needs_password(scope: Scope) -> bool:
    """Whether only clients with a password get an answer; those of the lab have none."""
    return scope.value("auth_basic") not in {None, "off"} and scope.value("satisfy") != "any"


def _matches(location: Scope, path: str) -> bool | None:
    """Whether an expression matches; False for other locations, None if only NGINX knows."""
    if location.words[:1] not in {("~",), ("~*",)}:
        return False
    pattern = compiled(location.path, ignore_case=location.words[0] == "~*")
    return None if pattern is None else bool(pattern.search(path))


def _is_sure(location: Scope, path: str) -> bool:
    """Whether a location that was found surely gets the path."""
    return location.words[:1] not in {("~",), ("~*",)} or bool(_matches(location, path))


def _is_prefix(location: Scope) -> bool:
    return len(location.words) == 1 or location.words[0] == "^~"


def _breaks(statement: Statement, path: str) -> bool:
    """Whether a `rewrite` surely applies, and is the last directive of the rewrite module for the request."""
    words = statement.arguments
    pattern = compiled(words[0], ignore_case=False) if statement.name == "rewrite" and words[-1] == "break" else None
    return pattern is not None and bool(pattern.search(path))


def _redirects(rewrite: Statement) -> bool:
    words = rewrite.arguments
    return len(words) > 1 and (words[-1] in _REDIRECTING or words[1].startswith(_ABSOLUTE))


def _holds(statement: Statement, host: str, *, secure: bool) -> bool | None:
    """Whether an `if` on the scheme or the host applies; None for all others."""
    words = " ".join(statement.arguments).strip("() ").split()
    known = {
        "$scheme": "https" if secure else "http",
        "$host": host,
        "$http_host": host,
        "$https": "on" if secure else "",
    }
    if len(words) == 1 and words[0] == "$https":
        return secure
    if len(words) != 3 or words[0] not in known:
        return None
    value, operator, other = known[words[0]], words[1], words[2].strip("\"'")
    if operator in {"=", "!="}:
        return (value == other) == (operator == "=") if "$" not in other else None
    pattern = compiled(other, ignore_case=operator.endswith("*"))
    return None if pattern is None else bool(pattern.search(value)) != operator.startswith("!")
