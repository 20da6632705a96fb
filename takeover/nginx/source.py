"""An nginx.conf that is taken over: its model, the parts that belong to the farm, and what was found so far."""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Final

from ...core.errors import Location
from ...readers.nginx.model import Target
from ...readers.nginx.scopes import Scope
from ...readers.nginx.units import size, time
from ...readers.tree import Configuration, Statement
from ...spec.units import Duration, Size
from ..account import Account
from ..values import Values
from .roles import Found, Pool, Roles

if TYPE_CHECKING:
    from ...readers.nginx.upstreams import Member

_HEADER: Final = re.compile(r"NGINX ([0-9.]+) for the farm ([A-Za-z0-9_-]+)")
_LACKS: Final = re.compile(r"Not supported: (.+?) \(.*\)\. Instead: .*")


class Source:
    """The model with the account and the values that come out of it."""

    def __init__(
        self, configuration: Configuration, found: Found, account: Account, values: Values, roles: Roles
    ) -> None:
        self.configuration: Final = configuration
        self.found: Final = found
        self.account: Final = account
        self.values: Final = values
        self.roles: Final = roles
        self.members: tuple[Member, ...] = ()
        """The servers that are nodes of the spec, in its order."""
        self.accepted: list[str] = []
        """Ids of features of the spec that open source NGINX lacks."""
        self.notes: list[str] = []

    @cached_property
    def made_by_nlbgen(self) -> tuple[str, str] | None:
        """The version of NGINX and the farm in the header of a file by nlbgen; None for other files."""
        return header_of(self.configuration)

    @cached_property
    def lacks(self) -> tuple[str, ...]:
        """The titles of the features that NGINX lacks for the farm, as the header of nlbgen's own file lists them."""
        if self.made_by_nlbgen is None:
            return ()
        found = (_LACKS.fullmatch(one.text) for one in self.configuration.comments)
        return tuple(one[1] for one in found if one)

    @cached_property
    def comments(self) -> dict[tuple[str, int], str]:
        """The text of each comment that stands after a statement, by file and line."""
        return {
            (one.location.file, one.location.line): one.text for one in self.configuration.comments if not one.alone
        }

    @cached_property
    def targets(self) -> dict[Scope, Target]:
        """The target of each block with a `proxy_pass` in the farm's server."""
        found = self.found.http.of_server.get(self.roles.main.scope, ())
        return {one.scope: one.target for one in found}

    @property
    def block(self) -> Scope:
        """The block that serves pages; the server itself while the farm is closed."""
        return self.roles.main.pages.scope if self.roles.main.pages else self.roles.main.scope

    @cached_property
    def node_pool(self) -> Pool:
        """The pool whose lines have the weights of the nodes: where nlbgen hashes a cookie, they are others."""
        plain = [one for one in self.roles.pools if not any("$nlb_key" in line.arguments for line in one.own("hash"))]
        return (plain or [self.roles.web])[0] if self.made_by_nlbgen else self.roles.web

    def duration(self, path: str, text: str, *statements: Statement) -> bool:
        """Take a time of NGINX."""
        length = time(text)
        if length is None:
            self.account.given_up_all(statements, f"{path}: {text} is not a time")
            return False
        return self.values.take(path, str(Duration(round(length * 1000))), *statements)

    def length(self, scope: Scope, name: str) -> tuple[Statement, str, float] | None:
        """The statement of a timeout that is in force in a block, its text, and its seconds."""
        found = scope.effective(name)
        text = found[-1].arguments[0] if found and found[-1].arguments else ""
        length = time(text)
        return (found[-1], text, length) if length is not None else None

    def size(self, path: str, text: str, *statements: Statement) -> None:
        """Take a size of NGINX."""
        number = size(text)
        if number is None:
            self.account.given_up_all(statements, f"{path}: {text} is not a size")
        else:
            self.values.take(path, str(Size(number)), *statements)

    def number(self, path: str, text: str, *statements: Statement) -> bool:
        """Take a whole number."""
        if text.isascii() and text.isdecimal() and len(text) < _DIGITS:
            return self.values.take(path, int(text), *statements)
        self.account.given_up_all(statements, f"{path}: {text} is not a whole number")
        return False

    def lacking(self, feature: str) -> None:
        """Accept that open source NGINX lacks a feature that the spec now has."""
        identifier = f"nginx-{feature}"
        if identifier not in self.accepted:
            self.accepted.append(identifier)

    def inside(self, scope: Scope) -> Iterator[Statement]:
        """A block's statement, and all in it."""
        if scope.statement is not None:
            yield from scope.statement.walk()


_DIGITS: Final = 10


def header_of(configuration: Configuration) -> tuple[str, str] | None:
    """The version of NGINX and the farm in the header of a file by nlbgen; None for other files."""
    first = configuration.comments[:1]
    found = _HEADER.fullmatch(first[0].text) if first and first[0].location.line == 1 else None
    return (found[1], found[2]) if found else None


def unread_of(configuration: Configuration) -> dict[Location, str]:
    """Why parts of the configuration are not read, by the location of the statement."""
    return {one.location: one.reason for one in configuration.unread}
