"""A BIG-IP's configuration that is taken over: its model, the farm's objects, and what was found so far."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from ...generators.f5.vocabulary import GATES
from ...readers.f5.model import Member, Model, Profile
from ...readers.f5.objects import Item, properties
from ...readers.tree import Statement
from ...spec.units import Duration, Version
from ..account import Account
from ..values import Values
from .choice import Roles, farm_of
from .header import Header

if TYPE_CHECKING:
    from ...core.errors import Location


class Found(NamedTuple):
    """The value of a property, and the statement that has it; None for a built-in default."""

    text: str
    statement: Statement | None


class Source:
    """The model with the account and the values that come out of it."""

    def __init__(
        self,
        model: Model,
        account: Account,
        roles: Roles,
        header: Header,
        lines: Mapping[str, tuple[Statement, ...]],
    ) -> None:
        self.model: Final = model
        self.header: Final = header
        self.account: Final = account
        self.values: Final = Values(account)
        self.roles: Final = roles
        self.members: tuple[Member, ...] = ()
        """The members that are nodes of the spec, in its order."""
        self.of_farm: frozenset[Location] = frozenset()
        """The locations of the farm's objects."""
        self._lines = lines

    @cached_property
    def farm(self) -> str:
        """The farm whose mark the virtual server has; empty for objects that nlbgen did not make."""
        return farm_of(self.roles.main.item)

    @property
    def folder(self) -> str:
        """The folder of the farm's objects."""
        return self.roles.main.item.path.rpartition("/")[0]

    def at_least(self, gate: str) -> bool:
        """Whether this TMOS version has the feature of that gate of the generator."""
        return bool(self.header.version) and Version(self.header.version) >= GATES[gate]

    def lines(self, rule: str) -> tuple[Statement, ...]:
        """The lines of an iRule; none if the file does not have it."""
        return self._lines.get(rule, ())

    def property(self, item: Item, name: str) -> Statement | None:
        """The statement of an object's own property."""
        return next((one.statement for one in properties(item.statement) if one.name == name), None)

    def find(self, item: Item, name: str) -> Found | None:
        """The value of a property after `defaults-from`; None if it is not known."""
        for one in self.model.parents(item):
            if text := one.text(name):
                return Found(text, self.property(one, name))
        text = self.model.beyond(item, name) or ""
        return Found(text, None) if text else None

    def find_in(self, profile: Profile, name: str) -> Found | None:
        """The value of a property of a virtual server's profile."""
        if profile.item is not None:
            return self.find(profile.item, name)
        text = self.model.value(profile, name)
        return Found(text, profile.statement) if text else None

    def taken(self, item: Item, name: str, key: str) -> None:
        """Account for a property whose value is at a key."""
        if statement := self.property(item, name):
            self.account.taken(statement, key)

    def given_up(self, item: Item, name: str, why: str) -> None:
        """Account for a property that has no place, for this reason."""
        if statement := self.property(item, name):
            self.account.given_up(statement, why)

    def implied(self, item: Item, name: str, what: str) -> None:
        """Account for a property that nlbgen writes, too."""
        if statement := self.property(item, name):
            self.account.implied(statement, what)

    def seconds(self, path: str, text: str, *statements: Statement) -> None:
        """Take a time in whole seconds."""
        if number(text) is None:
            self.account.given_up_all(statements, f"{path}: {text} is not a whole number of seconds")
        else:
            self.values.take(path, str(Duration(int(text) * 1000)), *statements)


def number(text: str) -> int | None:
    """A whole number of up to nine digits; None for other words."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def all_of(statement: Statement | None) -> tuple[Statement, ...]:
    """The statement as the arguments of a note; none for None."""
    return (statement,) if statement is not None else ()
