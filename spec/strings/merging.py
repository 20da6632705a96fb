"""Edits of connection strings: the characters that no edit names stay as they are."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple


class Slot(NamedTuple):
    """The place of a secret: its keyword in lower case, and what the old string has there."""

    keyword: str
    value: str | None = None
    """The old secret; None if the string has none."""
    written: str = ""
    """The old secret as the string writes it, with its quotes."""


Piece = str | Slot


class Edit(NamedTuple):
    """Characters `start` to `end` become these pieces."""

    start: int
    end: int
    pieces: tuple[Piece, ...] = ()


def applied(text: str, edits: Iterable[Edit], more: Sequence[Sequence[Piece]], separator: str) -> list[Piece]:
    """The text with these edits, and `more` at its end, each behind a separator."""
    found: list[Piece] = []
    position = 0
    for edit in sorted(edits, key=lambda one: one.start):
        found += (text[position : edit.start], *edit.pieces)
        position = edit.end
    found.append(text[position:])
    plain = "".join(piece if isinstance(piece, str) else "x" for piece in found).rstrip()
    for pieces in more:
        found += [separator] if plain and not plain.endswith(separator) else []
        found += pieces
        plain = "x"
    return [piece for piece in found if piece != ""]


def without(spans: Sequence[tuple[int, int]], removed: Collection[int]) -> Iterator[Edit]:
    """The edits that remove parts by their numbers, each run with the separator before it, the first with that behind.

    `spans` are all parts, without the separators between them.
    """
    number = 0
    while number < len(spans):
        first = number
        while number in removed:
            number += 1
        if number > first:
            behind = spans[number][0] if number < len(spans) else spans[number - 1][1]
            yield Edit(spans[first - 1][1], spans[number - 1][1]) if first else Edit(spans[0][0], behind)
        number += 1
