"""The text of a configuration, with the location of each position."""

import gc
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ..core.errors import Location
from .tree import Unread

_MARK: Final = "\ufeff"


class Source:
    """A file's name, its text without a byte order mark, and its lines."""

    __slots__ = ("lines", "name", "starts", "text", "unread")

    def __init__(self, name: str, content: bytes, first: int = 1) -> None:
        """`first` is the number of the first line: a file may be a part of another file."""
        text = content.decode("utf-8", "replace")
        self.name = name
        self.unread: tuple[Unread, ...] = tuple(_unusual(name, content, text, first))
        self.text = text.removeprefix(_MARK)
        self.lines = tuple(line.removesuffix("\r") for line in self.text.split("\n"))
        self.starts = _starts(self.text, first)

    def at(self, position: int) -> Location:
        """Where the character at this position of the text stands."""
        line = bisect_right(self.starts, position) - 1
        return Location(self.name, line, position - self.starts[line] + 1)


def _starts(text: str, first: int) -> list[int]:
    """The position of the first character of each line, at the index of its number."""
    starts = [-1] * first
    starts.append(0)
    position = text.find("\n")
    while position >= 0:
        starts.append(position + 1)
        position = text.find("\n", position + 1)
    return starts


def _unusual(name: str, content: bytes, text: str, first: int) -> list[Unread]:
    """What was changed while the text was decoded."""
    found = []
    if text.startswith(_MARK):
        found.append(
            Unread(Location(name, first, 1), "the file begins with a byte order mark; save it as UTF-8 without")
        )
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + first
        column = error.start - content.rfind(b"\n", 0, error.start)
        found.append(Unread(Location(name, line, column), "bytes that are not UTF-8; they are read as U+FFFD"))
    return found


@contextmanager
def without_collection() -> Iterator[None]:
    """Pause the garbage collector: words have no cycles, and it would take most of the time to look for them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
