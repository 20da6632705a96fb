"""One line of haproxy.cfg as words, with HAProxy's rules for quotes, backslashes, comments and variables.

Section 2.2 of the configuration manual, "Quoting and escaping": single quotes keep everything; double quotes keep
spaces and `#`, and expand `$NAME`, `${NAME}`, `${NAME-default}` and `${NAME[*]}`; a backslash keeps the next character
where that is special. There is no continuation of lines.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from ...core.errors import Location
from ..errors import UnreadableError
from ..tree import Comment, Word

_PLAIN: Final = re.compile(r"[^ \t\r\f\v]+")
_SPECIAL: Final = re.compile(r"[\"'\\#\0]")
_STOP: Final = re.compile(r"[ \t\r\f\v\"'\\#$]")
_VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z_]\w*|\.[A-Z_]\w*)(\[\*\])?(?:-([^}]*))?\}|([A-Za-z_]\w*))")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{2}")
_BLANK: Final = " \t\r\f\v"
_ESCAPED: Final = {"t": "\t", "r": "\r", "n": "\n"}
_LITERAL: Final = " \\#\"'"


class Line(NamedTuple):
    """The words of one line, and its comment."""

    words: list[Word]
    comment: Comment | None


def read_line(text: str, file: str, number: int, variables: Mapping[str, str]) -> Line:
    """Split a line; a variable that is not in `variables` stays as it is written. Raises UnreadableError."""
    special = _SPECIAL.search(text)
    if special is None:
        return Line(_plain_words(text, file, number), None)
    if special[0] == "#":
        words = _plain_words(text[: special.start()], file, number)
        return Line(
            words, _comment(text, special.start(), Location(file, number, special.start() + 1), alone=not words)
        )
    return _Scanner(text, file, number, variables).line()


def _plain_words(text: str, file: str, number: int) -> list[Word]:
    """The words of a text without quotes and backslashes: nearly every line of a file is of this kind."""
    make = tuple.__new__  # a third of the time of the constructors
    return [
        make(Word, (one[0], make(Location, (file, number, one.start() + 1)), False)) for one in _PLAIN.finditer(text)
    ]


def _comment(text: str, at: int, location: Location, *, alone: bool) -> Comment:
    return Comment(text[at:].lstrip("#").strip(), location, alone)


class _Scanner:
    """The state within one line: the position, the word, and the quotes around it."""

    def __init__(self, text: str, file: str, number: int, variables: Mapping[str, str]) -> None:
        self._text = text
        self._file = file
        self._number = number
        self._variables = variables
        self._at = 0
        self._words: list[Word] = []
        self._parts: list[str] = []
        self._start: int | None = None
        self._quoted = False
        self._quote = ""
        self._opened = 0

    def line(self) -> Line:
        text = self._text
        steps: dict[str, Callable[[], None]] = {
            "\\": self._backslash,
            "$": self._dollar,
            "'": self._mark,
            '"': self._mark,
        }
        while self._at < len(text):
            char = text[self._at]
            if char == "#" and not self._quote:
                break
            if char in _BLANK and not self._quote:
                self._end_word()
                self._at += 1
                continue
            if self._start is None:
                self._start = self._at
            if self._quote == "'" and char != "'":
                self._copy(self._at + 1)
            elif step := steps.get(char):
                step()
            else:
                found = _STOP.search(text, self._at + 1)
                self._copy(found.start() if found else len(text))
        if self._quote:
            raise UnreadableError.at(
                self._place(self._opened), f"the quote {self._quote} has no end", "close it on the same line"
            )
        self._end_word()
        if self._at >= len(text):
            return Line(self._words, None)
        return Line(self._words, _comment(text, self._at, self._place(self._at), alone=not self._words))

    def _place(self, at: int) -> Location:
        return Location(self._file, self._number, at + 1)

    def _copy(self, end: int) -> None:
        self._parts.append(self._text[self._at : end])
        self._at = end

    def _mark(self) -> None:
        """A quote: it begins, it ends, or it is a character within the other kind of quotes."""
        char = self._text[self._at]
        if self._quote and char != self._quote:
            self._copy(self._at + 1)
            return
        self._quote = "" if self._quote else char
        self._opened = self._at
        self._quoted = True
        self._at += 1

    def _backslash(self) -> None:
        following = self._text[self._at + 1 : self._at + 2]
        if following == "x":
            digits = _HEX.match(self._text, self._at + 2)
            if not digits:
                raise UnreadableError.at(
                    self._place(self._at), r"\x needs two hexadecimal digits", r"write the backslash itself as \\"
                )
            self._parts.append(chr(int(digits[0], 16)))
            self._at += 4
        elif following in _ESCAPED and following:
            self._parts.append(_ESCAPED[following])
            self._at += 2
        elif following and (following in _LITERAL or (following == "$" and self._quote)):
            self._parts.append(following)
            self._at += 2
        else:
            self._copy(self._at + 1)

    def _dollar(self) -> None:
        """Expand a variable within double quotes; elsewhere the dollar is a character."""
        if self._quote != '"':
            self._copy(self._at + 1)
            return
        found = _VARIABLE.match(self._text, self._at)
        if not found:
            raise UnreadableError.at(
                self._place(self._at),
                "$ within double quotes needs the name of a variable",
                r"write \$, or single quotes",
            )
        value = self._variables.get(found[1] or found[4])
        if value is None:
            self._copy(found.end())
        elif found[2]:
            self._spread(value.split())
            self._at = found.end()
        else:
            self._parts.append(value)
            self._at = found.end()

    def _spread(self, values: list[str]) -> None:
        """`${NAME[*]}` is as many words as the variable has."""
        for number, value in enumerate(values):
            if number:
                start = self._start
                self._end_word()
                self._start, self._quoted = start, True
            self._parts.append(value)

    def _end_word(self) -> None:
        if self._start is not None:
            self._words.append(Word("".join(self._parts), self._place(self._start), self._quoted))
        self._parts, self._start, self._quoted = [], None, False
