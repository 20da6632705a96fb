"""Edits of a configuration's text at the locations of its words; every other byte stays."""

import re
from typing import NamedTuple

from ...core.errors import Location
from ...readers.tree import Word
from ..lab.mapping import Mapped


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


class Edits:
    """The edits of one file, and a row for each that a user sees."""

    def __init__(self, text: str, word: re.Pattern[str]) -> None:
        """`word` matches one word as it is written, with its quotes."""
        self._text = text
        self._word = word
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._edits: dict[int, _Edit] = {}
        self.rows: list[Mapped] = []

    def replace(self, word: Word, new: str, what: str) -> None:
        """Replace a word; an empty text removes it. A word that has an edit keeps it."""
        start = self._offset(word.location)
        found = self._word.match(self._text, start)
        if found is None:
            raise ValueError(f"{word.location}: no word is here")
        self._add(_Edit(start, found.end(), new), Mapped(_at(word.location, what), found[0], new or "removed"))

    def comment_out(self, words: tuple[Word, ...], what: str) -> None:
        """Make a comment of the rest of the line from the first of these words on."""
        start = self._offset(words[0].location)
        live = " ".join(word.text for word in words)
        self._add(_Edit(start, start, "# "), Mapped(_at(words[0].location, what), live, "a comment"))

    def _add(self, edit: _Edit, row: Mapped) -> None:
        if edit.start not in self._edits:
            self._edits[edit.start] = edit
            self.rows.append(row)

    def _offset(self, location: Location) -> int:
        return self._starts[location.line - 1] + location.column - 1

    def text(self) -> str:
        """Return the text with all edits."""
        parts, at = [], 0
        for edit in sorted(self._edits.values()):
            parts += [self._text[at : edit.start], edit.text]
            at = edit.end
        return "".join([*parts, self._text[at:]])


def _at(location: Location, what: str) -> str:
    return f"line {location.line}: {what}"
