"""What every reader returns: statements of words with their locations, and what it did not understand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ..core.errors import Location

Vendor = Literal["haproxy", "nginx", "f5"]


class Word(NamedTuple):
    """One word as the program reads it, without its quotes; `quoted` if any part of it was in quotes."""

    text: str
    location: Location
    quoted: bool = False


class Comment(NamedTuple):
    """The text of a comment without its mark, stripped; `alone` if nothing else stands on its line."""

    text: str
    location: Location
    alone: bool


class Unread(NamedTuple):
    """A part of a file that the reader did not understand, with the reason."""

    location: Location
    reason: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A directive, a section or an object: its words (at least one), and the statements of its block.

    `block` is None if it has no block; a section of HAProxy has one. In a file of F5, a property is a statement too.
    """

    words: tuple[Word, ...]
    block: "tuple[Statement, ...] | None" = None

    @property
    def name(self) -> str:
        """The first word."""
        return self.words[0].text

    @property
    def arguments(self) -> tuple[str, ...]:
        """The other words."""
        return tuple(word.text for word in self.words[1:])

    @property
    def location(self) -> Location:
        """Where the first word stands."""
        return self.words[0].location

    @property
    def inside(self) -> "tuple[Statement, ...]":
        """The statements of the block; none if there is no block."""
        return self.block or ()

    def walk(self) -> "Iterator[Statement]":
        """This statement and all in its block, in the order of the file."""
        yield self
        for one in self.inside:
            yield from one.walk()


@dataclass(frozen=True, slots=True)
class Configuration:
    """A file and what it includes, as read; `lines` holds the lines of each file for messages with the source line."""

    vendor: Vendor
    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...] = ()
    unread: tuple[Unread, ...] = ()
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def walk(self) -> Iterator[Statement]:
        """All statements, each before those of its block."""
        for one in self.statements:
            yield from one.walk()


def joined(parts: Sequence[Configuration]) -> Configuration:
    """Several configurations of one vendor, at least one, as one."""
    return Configuration(
        parts[0].vendor,
        tuple(statement for part in parts for statement in part.statements),
        tuple(comment for part in parts for comment in part.comments),
        tuple(unread for part in parts for unread in part.unread),
        {file: lines for part in parts for file, lines in part.lines.items()},
    )
