"""A block of a configuration of NGINX, with what it inherits."""

from collections.abc import Iterable, Iterator
from typing import Final

from ...core.errors import Location
from ..tree import Statement

_CONTENT: Final = frozenset(
    ("proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass", "content_by_lua_block")
) | frozenset(("return", "rewrite", "set", "try_files", "alias", "internal", "listen", "server_name", "stub_status"))
"""Directives that an inner location does not inherit."""
_INSIDE_LOCATION: Final = frozenset(("if", "limit_except"))
"""Blocks that use the `proxy_pass` around them, unless they have one."""
_PAIR: Final = 2
"""The words of a header directive before its value."""


class Scope:
    """A block with its own directives and those of the blocks around it; the file itself is the outermost one."""

    __slots__ = ("inner", "kind", "own_by_name", "parent", "statement", "words")

    def __init__(self, statement: Statement | None, inside: Iterable[Statement], parent: "Scope | None") -> None:
        self.statement = statement
        self.kind = statement.name if statement else "main"
        self.words = statement.arguments if statement else ()
        self.parent = parent
        self.own_by_name: dict[str, list[Statement]] = {}
        self.inner: list[Scope] = []
        for one in inside:
            self.own_by_name.setdefault(one.name, []).append(one)
            if one.block is not None:
                self.inner.append(Scope(one, one.block, self))

    @property
    def location(self) -> Location | None:
        """Where the block begins; None for the file."""
        return self.statement.location if self.statement else None

    @property
    def path(self) -> str:
        """The last word of a `location`: a path, an expression or a name such as `@websocket`."""
        return self.words[-1] if self.words else ""

    def own(self, name: str) -> tuple[Statement, ...]:
        """The directives of this name directly in this block."""
        return tuple(self.own_by_name.get(name, ()))

    def effective(self, name: str) -> tuple[Statement, ...]:
        """The directives of this name that apply here.

        NGINX takes all of them from the innermost block that has any: a block with one `proxy_set_header` or
        `add_header` loses all those around it.
        """
        for scope in self.around():
            if name in scope.own_by_name:
                return scope.own(name)
            if name in _CONTENT and scope.kind not in _INSIDE_LOCATION:
                break
        return ()

    def value(self, name: str) -> str | None:
        """The first argument of the directive that applies here; None if there is no such directive."""
        found = self.effective(name)
        return found[0].arguments[0] if found and found[0].arguments else None

    def around(self) -> "Iterator[Scope]":
        """This block and those around it, from the inside."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def enclosing(self, kind: str) -> "Scope | None":
        """The innermost block of this kind that contains this one, or this one itself."""
        return next((scope for scope in self.around() if scope.kind == kind), None)

    def walk(self) -> "Iterator[Scope]":
        """This block and all in it, in the order of the file."""
        yield self
        for one in self.inner:
            yield from one.walk()

    def header(self, name: str) -> Statement | None:
        """The `proxy_set_header` for this request header that applies here; names are compared without case."""
        return self._pair("proxy_set_header", name)

    def response_header(self, name: str) -> Statement | None:
        """The `add_header` for this response header that applies here."""
        return self._pair("add_header", name)

    def _pair(self, directive: str, name: str) -> Statement | None:
        pairs = (one for one in self.effective(directive) if len(one.words) > _PAIR)
        return next((one for one in pairs if one.words[1].text.lower() == name.lower()), None)
