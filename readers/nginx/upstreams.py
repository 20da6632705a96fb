"""An `upstream` block: its members, and whether there can be others."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from ...core.errors import Location
from ..tree import Statement

_PORT: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[^:]*))?")
_BALANCERS: Final = ("balancer_by_lua_block", "balancer_by_lua_file", "balancer_by_lua")
METHODS: Final = ("ip_hash", "hash", "least_conn", "least_time", "random", "sticky")
"""Directives that choose the member; without one, NGINX uses weighted round robin."""


@dataclass(frozen=True, slots=True)
class Member:
    """A `server` of an upstream. `port` is empty if it is not written (80); `host` of a UNIX socket is its path."""

    statement: Statement
    host: str
    port: str
    parameters: Mapping[str, str]

    @property
    def backup(self) -> bool:
        """Whether it is used only while no other member is available."""
        return "backup" in self.parameters

    @property
    def down(self) -> bool:
        """Whether it is marked as permanently unavailable."""
        return "down" in self.parameters

    @property
    def key(self) -> tuple[str, str]:
        """The host and the port that NGINX connects to."""
        return self.host.lower(), self.port or "80"


@dataclass(frozen=True, slots=True)
class Upstream:
    """An `upstream`: members in the order of the file.

    `open_reason` is empty, or it is why there can be members that the file does not have: a program chooses them, a
    file that is not read has them, or a name is resolved while NGINX runs.
    """

    statement: Statement
    name: str
    members: tuple[Member, ...]
    open_reason: str

    @classmethod
    def of(cls, statement: Statement, unread: Collection[Location]) -> "Upstream":
        """Read an `upstream`; `unread` are the locations of includes that were not read."""
        members = tuple(_member(one) for one in statement.inside if one.name == "server" and one.arguments)
        return cls(statement, "".join(statement.arguments[:1]), members, _open_reason(statement, members, unread))

    def own(self, name: str) -> tuple[Statement, ...]:
        """The directives of this name."""
        return tuple(one for one in self.statement.inside if one.name == name)

    @property
    def method(self) -> Statement | None:
        """The directive that chooses the member; None for round robin."""
        return next((one for one in self.statement.inside if one.name in METHODS), None)

    @property
    def active(self) -> tuple[Member, ...]:
        """The members that get requests while all are available."""
        return tuple(one for one in self.members if not one.backup and not one.down)


def _member(statement: Statement) -> Member:
    address, *rest = statement.arguments
    parameters = {name: value for name, _, value in (word.partition("=") for word in rest)}
    found = None if address.startswith("unix:") else _PORT.fullmatch(address)
    if found is None:
        return Member(statement, address, "", parameters)
    return Member(statement, found["host"], found["port"] or "", parameters)


def _open_reason(statement: Statement, members: Collection[Member], unread: Collection[Location]) -> str:
    if any(one.name in _BALANCERS for one in statement.inside):
        return "a program chooses the member"
    if any(one.name == "include" and one.location in unread for one in statement.inside):
        return "an included file was not read"
    if any(one.name == "state" for one in statement.inside):
        return "the members are in a state file"
    if any("resolve" in one.parameters or "service" in one.parameters for one in members):
        return "names are resolved while NGINX runs"
    return ""
