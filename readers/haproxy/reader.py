"""haproxy.cfg as sections of statements.

HAProxy reads line by line: a section begins with its name, at any indentation, and ends where the next one begins.
Lines that begin with a dot (`.if`, `.else`) are statements of the section in which they stand. The statements of a
branch that a constant excludes (`.if 0`) are not read, as in HAProxy; those of all other branches are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ...core.errors import Location
from ..errors import UnreadableError
from ..tree import Comment, Configuration, Statement, Unread, Word
from .branches import Branches
from .lexer import read_line
from .variables import Variables

SECTIONS: Final = frozenset(
    (
        *("global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "resolvers", "mailers", "cache"),
        *("ring", "http-errors", "fcgi-app", "crt-store", "log-forward", "log-profile", "program", "acme", "traces"),
        "healthcheck",
    )
)


def read(path: Path, content: bytes) -> Configuration:
    """Return the sections of the file; raises UnreadableError with a location where HAProxy would refuse its syntax."""
    return read_text(content.decode("utf-8", "surrogateescape"), str(path))


def read_text(text: str, file: str) -> Configuration:
    """Return the sections of a text; `file` is the name for its locations."""
    lines = tuple(text.replace("\r\n", "\n").split("\n"))
    return _Reader(file).read(lines)


class _Reader:
    """The sections that are read so far; the last one is still open."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._sections: list[Statement] = []
        self._head: tuple[Word, ...] | None = None
        self._block: list[Statement] = []
        self._comments: list[Comment] = []
        self._unread: list[Unread] = []
        self._variables = Variables()
        self._branches = Branches()

    def read(self, lines: tuple[str, ...]) -> Configuration:
        for number, text in enumerate(lines, 1):
            words, comment = read_line(text, self._file, number, self._variables.known)
            if comment:
                self._comments.append(comment)
            if words:
                self._statement(tuple(words))
        self._branches.end()
        self._close()
        self._missing_newline(lines)
        return Configuration(
            "haproxy", tuple(self._sections), tuple(self._comments), tuple(self._unread), {self._file: lines}
        )

    def _statement(self, words: tuple[Word, ...]) -> None:
        name = words[0].text
        if name.startswith("."):
            self._branches.directive(words)
            self._add(Statement(words))
        elif self._branches.excluded:
            return
        elif name in SECTIONS:
            self._close()
            self._head = words
        elif self._head is None:
            raise UnreadableError.at(
                words[0].location, f"{name} stands before the first section", "write it below global, defaults, ..."
            )
        else:
            self._variables.note(words)
            self._add(Statement(words))

    def _add(self, statement: Statement) -> None:
        (self._sections if self._head is None else self._block).append(statement)

    def _close(self) -> None:
        if self._head is not None:
            self._sections.append(Statement(self._head, tuple(self._block)))
        self._head, self._block = None, []

    def _missing_newline(self, lines: tuple[str, ...]) -> None:
        """HAProxy 2.3 and later refuse a last line without its newline: the file may have been truncated."""
        if last := lines[-1]:
            place = Location(self._file, len(lines), len(last))
            self._unread.append(Unread(place, "the last line has no newline; HAProxy 2.3 and later refuse the file"))


def statements(configuration: Configuration) -> Iterator[Statement]:
    """All statements of all sections, in the order of the file."""
    for section in configuration.statements:
        yield from section.inside
