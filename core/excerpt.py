"""A line of a source file with a mark below the location of a problem, as compilers print it."""

from typing import Final, NamedTuple

from .wording import legible

WIDTH: Final = 80
"""The default number of terminal columns."""
_CUT: Final = "..."
_TAB: Final = "    "
_AROUND: Final = 4
"""How many times the room of a line is looked at, on each side of the mark."""


class Excerpt(NamedTuple):
    """A line of a text file, and the characters of it that a problem is about.

    `number` counts from 1. `start` counts characters from 0; it may be the length of the line, for something that is
    missing at its end.
    """

    number: int
    text: str
    start: int
    length: int = 1

    def drawn(self, width: int = WIDTH) -> tuple[str, str]:
        """The line with its number in front, and the line of carets below it; both fit in `width` terminal columns.

        Control characters are escaped. A long line is cut, so that the mark and the text around it remain.
        """
        gutter = f" {self.number} | "
        room = max(width - len(gutter), 20)
        # Only the text around the mark: a declaration in JSON can be one line of a megabyte.
        low, high = max(0, self.start - _AROUND * room), self.start + _AROUND * room
        cells = [_cell(char) for char in self.text[low:high]]
        start = self.start - low
        end = min(start + max(self.length, 1), len(cells))
        first, last = _window([_columns(cell) for cell in cells], start, end, room)
        before, marked = cells[first:start], cells[start : min(end, last)]
        head = _CUT if first or low else ""
        line = head + "".join(cells[first:last]) + (_CUT if last < len(cells) or high < len(self.text) else "")
        indent = _columns(head) + sum(map(_columns, before))
        carets = "^" * max(sum(map(_columns, marked)), 1)
        return f"{gutter}{line}".rstrip(), f"{' ' * (len(gutter) - 2)}| {' ' * indent}{carets}"


def _cell(char: str) -> str:
    """The character as a terminal shows it; a tab has a fixed width, because its column differs behind the number."""
    return _TAB if char == "\t" else legible(char)


def _columns(text: str) -> int:
    """How many columns of a terminal the text has."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(char) in {"W", "F"} for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def _window(widths: list[int], start: int, end: int, room: int) -> tuple[int, int]:
    """Return the range of characters to show: all if they fit, else those around the mark."""
    if sum(widths) <= room:
        return 0, len(widths)
    room -= 2 * len(_CUT)
    first = last = min(start, len(widths))
    used = 0
    # First the mark, then the text before it up to half of the room, then what follows.
    while last < end and used + widths[last] <= room:
        used += widths[last]
        last += 1
    half = (room + used) // 2
    while first > 0 and used + widths[first - 1] <= half:
        first -= 1
        used += widths[first]
    while last < len(widths) and used + widths[last] <= room:
        used += widths[last]
        last += 1
    while first > 0 and used + widths[first - 1] <= room:
        first -= 1
        used += widths[first]
    return first, last
