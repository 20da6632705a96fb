"""Objects of a BIG-IP with their properties."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from ...core.errors import Location
from ..tree import Statement, Word

_KIND_WORDS: Final = {"profile": 3, "monitor": 3, "persistence": 3, "cipher": 3, "data-group": 3}
"""How many words of `ltm profile tcp NAME` are the kind; two words for all other objects."""
COMMON: Final = "/Common/"


@dataclass(frozen=True, slots=True)
class Item:
    """An object: its kind (`ltm profile tcp`), its full path, and its statement."""

    kind: str
    path: str
    statement: Statement

    @property
    def location(self) -> Location:
        """Where the object begins."""
        return self.statement.location

    def words(self, name: str) -> tuple[Word, ...]:
        """The words after a property's name; none if it is not written."""
        return words_of(self.statement, name)

    def text(self, name: str) -> str:
        """The value of a property; empty if it is not written."""
        return " ".join(word.text for word in self.words(name))

    def block(self, name: str) -> tuple[Statement, ...]:
        """The statements in the block of a property; none if there is none."""
        return block_of(self.statement, name)

    def entries(self, name: str) -> tuple[Statement, ...]:
        """The entries of a list with names (`members { a:80 b:80 { ratio 2 } }`); several can stand on one line."""
        return tuple(
            entry
            for one in self.block(name)
            for entry in ([one] if one.block is not None else [Statement((word,)) for word in one.words])
        )

    def listed(self, name: str) -> tuple[Word, ...]:
        """The words of a list (`rules { a b }`), on one line or on several."""
        return tuple(word for one in self.block(name) for word in one.words)


def words_of(statement: Statement, name: str) -> tuple[Word, ...]:
    """The words after a property's name. A block on one line can have several pairs of a name and a value."""
    return next((one.values for one in properties(statement) if one.name == name), ())


class Property(NamedTuple):
    """A property in a block: its name, the words after it, and the statement, which can have several pairs."""

    name: str
    values: tuple[Word, ...]
    statement: Statement


def properties(statement: Statement) -> Iterator[Property]:
    """The properties in the block of a statement."""
    for one in statement.inside:
        same_line = one.words[0].location.line == statement.words[-1].location.line
        yield from (_pairs(one) if same_line and one.block is None else []) or [Property(one.name, one.words[1:], one)]


def _pairs(one: Statement) -> list[Property]:
    """The properties in the words of one line: pairs, flags, and `monitor A and B`; none if the words are others."""
    position = 0
    found: list[Property] = []
    while position < len(one.words):
        name = one.words[position].text
        end = position + (1 if name in _FLAGS else _PAIR)
        while name == "monitor" and end < len(one.words) and one.words[end].text == "and":
            end += _PAIR
        found.append(Property(name, one.words[position + 1 : end], one))
        position = end
    return found if position == len(one.words) else []


def block_of(statement: Statement, name: str) -> tuple[Statement, ...]:
    """The statements in the block of a property."""
    return next((one.inside for one in statement.inside if one.name == name and one.block is not None), ())


_PAIR: Final = 2
_FLAGS: Final = frozenset(
    (
        *("disabled", "enabled", "vlans-disabled", "vlans-enabled"),
        *("dhcp-relay", "internal", "ip-forward", "l2-forward", "reject", "stateless"),
    )
)
"""Properties of a virtual server that have no value. Source: F5's tmsh reference (16.1)."""


def items(statements: Iterable[Statement]) -> Iterator[Item]:
    """Yield the objects that have a name."""
    for one in statements:
        size = _KIND_WORDS.get(one.words[1].text, 2) if len(one.words) > 1 else 1
        kind = " ".join(word.text for word in one.words[:size])
        if len(one.words) > size:
            yield Item(kind, full_path(one.words[size].text), one)


def full_path(name: str) -> str:
    """The path of an object; a name without a folder is in /Common."""
    return name if name.startswith("/") else COMMON + name
