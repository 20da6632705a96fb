"""Edits of a configuration's text at the locations of its words; every other byte stays."""

import re
from collections.abc import Mapping
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

    def __init__(self, text: str, word: re.Pattern[str], file: str = "") -> None:
        """`word` matches one word as it is written, with its quotes; `file` is for the rows of an included file."""
        self._file = f"{file}, " if file else ""
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
        self._add(_Edit(start, found.end(), new), Mapped(self._at(word.location, what), found[0], new or "removed"))

    def comment_out(self, words: tuple[Word, ...], what: str) -> None:
        """Make a comment of the rest of the line from the first of these words on."""
        start = self._offset(words[0].location)
        live = " ".join(word.text for word in words)
        self._add(_Edit(start, start, "# "), Mapped(self._at(words[0].location, what), live, "a comment"))

    def replace_line(self, words: tuple[Word, ...], new: str, what: str) -> None:
        """Replace the words of a line; a comment after them stays."""
        start, last = self._offset(words[0].location), self._offset(words[-1].location)
        live = " ".join(word.text for word in words)
        end = last + len(self.written(words[-1]))
        self._add(_Edit(start, end, new), Mapped(self._at(words[0].location, what), live, " ".join(new.split())))

    def written(self, word: Word) -> str:
        """Return a word with its quotes."""
        found = self._word.match(self._text, self._offset(word.location))
        return found[0] if found else word.text

    def replace_directive(self, words: tuple[Word, ...], new: str, what: str, here: str = "removed") -> None:
        """Replace a directive of NGINX with its semicolon; an empty text removes it. `here` is for its row."""
        start = self._offset(words[0].location)
        last = self._word.match(self._text, self._offset(words[-1].location))
        end = self._text.index(";", last.end() if last else start) + 1
        live = " ".join(word.text for word in words)
        self._add(_Edit(start, end, new), Mapped(self._at(words[0].location, what), live, here))

    def begin(self, new: str, what: str) -> None:
        """Insert a text at the begin of the file."""
        self._edits[-1] = _Edit(0, 0, new + (self._edits[-1].text if -1 in self._edits else ""))
        self.rows.append(Mapped(what, "NGINX's default", new.strip()))

    def end_line(self) -> None:
        """End the last line of the file, if it has no end: HAProxy from 2.3 on refuses the file as truncated."""
        end = len(self._text)
        if self._text and not self._text.endswith("\n"):
            self._edits[end] = _Edit(end, end, "\n")
            what = f"{self._file}line {len(self._starts)}: end of the last line"
            self.rows.append(Mapped(what, "none", "a line end"))

    def surround(self, before: str, after: str, what: str) -> None:
        """Put the file between two texts."""
        self.begin(before, what)
        end = len(self._text)
        self._edits[end] = _Edit(end, end, after)

    def begin_block(self, word: Word, new: str, what: str) -> None:
        """Insert a text after the brace that begins the block of this word, the last one before it."""
        at = self._text.index("{", self._offset(word.location)) + 1
        self._add(_Edit(at, at, new), Mapped(self._at(word.location, what), "NGINX's default", new.strip()))

    def _at(self, location: Location, what: str) -> str:
        return f"{self._file}line {location.line}: {what}"

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


class EditsOfFiles:
    """The edits of several files: each word is edited in its own one."""

    def __init__(self, texts: Mapping[str, str], word: re.Pattern[str]) -> None:
        """`texts` are by the names in the locations; only the rows of several files have these names."""
        self._of = {file: Edits(text, word, file if len(texts) > 1 else "") for file, text in texts.items()}

    @property
    def rows(self) -> list[Mapped]:
        """A row for each edit that a user sees."""
        return [row for edits in self._of.values() for row in edits.rows]

    def number(self, word: Word) -> int:
        """The number of a word's file, from 0."""
        return [*self._of].index(word.location.file)

    def replace(self, word: Word, new: str, what: str) -> None:
        """As `Edits.replace`."""
        self._of[word.location.file].replace(word, new, what)

    def comment_out(self, words: tuple[Word, ...], what: str) -> None:
        """As `Edits.comment_out`."""
        self._of[words[0].location.file].comment_out(words, what)

    def replace_line(self, words: tuple[Word, ...], new: str, what: str) -> None:
        """As `Edits.replace_line`."""
        self._of[words[0].location.file].replace_line(words, new, what)

    def written(self, word: Word) -> str:
        """As `Edits.written`."""
        return self._of[word.location.file].written(word)

    def end_lines(self) -> None:
        """End the last line of each file."""
        for edits in self._of.values():
            edits.end_line()

    def texts(self) -> list[str]:
        """Return the texts with all edits, in the order of the files."""
        return [edits.text() for edits in self._of.values()]
