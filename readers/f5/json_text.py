"""JSON with the location of each key and value."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ...core.errors import Location
from ..errors import UnreadableError
from ..text import Source

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_SCALAR: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null')
DEEPEST: Final = 64


@dataclass(frozen=True, slots=True)
class Member:
    """A key of an object with its value."""

    name: str
    location: Location
    value: "Value"


@dataclass(frozen=True, slots=True)
class Value:
    """A value: a mapping has `members`, a list has `items`; otherwise `scalar` has a text, number, boolean or None."""

    location: Location
    scalar: str | int | float | bool | None = None
    members: tuple[Member, ...] | None = None
    items: "tuple[Value, ...] | None" = None

    def get(self, name: str) -> "Value | None":
        """The value of a key; None if there is none, or if this is no mapping."""
        return next((one.value for one in self.members or () if one.name == name), None)

    def text(self, name: str) -> str:
        """The text of a key; empty for other values."""
        found = self.get(name)
        return found.scalar if found and isinstance(found.scalar, str) else ""


def parse(source: Source) -> Value:
    """Read the one value of a text; raises UnreadableError with the location of a fault."""
    reader = _Reader(source)
    value = reader.value(0)
    reader.skip()
    if reader.at < len(source.text):
        raise reader.unexpected("the end of the file")
    return value


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source, self.text, self.at = source, source.text, 0

    def skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def unexpected(self, expected: str) -> UnreadableError:
        return UnreadableError.at(self.source.at(self.at), f"invalid JSON: {expected} is expected here")

    def value(self, depth: int) -> Value:
        self.skip()
        if depth > DEEPEST:
            raise UnreadableError.at(self.source.at(self.at), f"more than {DEEPEST} objects and arrays are nested here")
        location, mark = self.source.at(self.at), self.text[self.at : self.at + 1]
        if mark == "{":
            members: list[Member] = []
            self._each("}", lambda: members.append(self._member(depth)))
            return Value(location, members=tuple(members))
        if mark == "[":
            items: list[Value] = []
            self._each("]", lambda: items.append(self.value(depth + 1)))
            return Value(location, items=tuple(items))
        return Value(location, self._scalar())

    def _each(self, end: str, one: Callable[[], None]) -> None:
        """Read what stands between two marks, separated by commas."""
        self.at += 1
        self.skip()
        if self.text[self.at : self.at + 1] == end:
            self.at += 1
            return
        while True:
            one()
            self.skip()
            mark = self.text[self.at : self.at + 1]
            if mark not in {",", end} or not mark:
                raise self.unexpected(f"a comma or {end}")
            self.at += 1
            if mark == end:
                return

    def _member(self, depth: int) -> Member:
        self.skip()
        location = self.source.at(self.at)
        name = self._scalar() if self.text[self.at : self.at + 1] == '"' else None
        if not isinstance(name, str):
            raise self.unexpected("a key in double quotes")
        self.skip()
        if self.text[self.at : self.at + 1] != ":":
            raise self.unexpected("a colon")
        self.at += 1
        return Member(name, location, self.value(depth + 1))

    def _scalar(self) -> str | int | float | bool | None:
        found = _SCALAR.match(self.text, self.at)
        if found is None:
            raise self.unexpected("a value")
        try:
            value: str | int | float | bool | None = json.loads(found[0])
        except ValueError:
            raise self.unexpected("a valid value") from None
        self.at = found.end()
        return value
