"""haproxy.cfg as sections of statements.

HAProxy reads line by line: a section begins with its name, at any indentation, and ends where the next one begins.
Lines that begin with a dot (`.if`, `.else`) are statements of the section in which they stand. The statements of a
branch that a constant excludes (`.if 0`) are not read, as in HAProxy; those of all other branches are.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ..errors import UnreadableError
from ..text import without_collection
from ..tree import Comment, Configuration, Statement, Unread, Word, joined
from .branches import Branches
from .keywords import SECTION_DIRECTIVES
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


def read_together(files: Iterable[tuple[Path, bytes]]) -> Configuration:
    """Return several files as one configuration, in this order, as `haproxy -f A -f B` reads them.

    A section ends with its file, and so does an `.if` block; HAProxy 2.2 to 3.4 refuse others. Variables that a file
    sets are known in the files after it. Raises UnreadableError.
    """
    variables = Variables()
    return joined([_read(content.decode("utf-8", "surrogateescape"), str(path), variables) for path, content in files])


def read_text(text: str, file: str) -> Configuration:
    """Return the sections of a text; `file` is the name for its locations."""
    return _read(text, file, Variables())


def _read(text: str, file: str, variables: Variables) -> Configuration:
    lines = tuple(text.replace("\r\n", "\n").split("\n"))
    with without_collection():
        return _Reader(file, variables).read(lines)


class _Reader:
    """The sections that are read so far; the last one is still open."""

    def __init__(self, file: str, variables: Variables) -> None:
        self._file = file
        self._sections: list[Statement] = []
        self._head: tuple[Word, ...] | None = None
        self._block: list[Statement] = []
        self._comments: list[Comment] = []
        self._unread: list[Unread] = []
        self._variables = variables
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
        elif self._head is None and name.startswith("\ufeff"):
            hint = "save it as UTF-8 without the mark"
            raise UnreadableError.at(
                words[0].location, "the file begins with a byte order mark: HAProxy refuses it", hint
            )
        elif self._head is None:
            raise UnreadableError.at(
                words[0].location, f"{name} stands before the first section", "write it below global, defaults, ..."
            )
        else:
            self._variables.note(words)
            self._add(Statement(words))
            self._check(words, self._head[0].text)

    def _check(self, words: tuple[Word, ...], section: str) -> None:
        """List what no rule can know."""
        name = words[0]
        if name.text not in SECTION_DIRECTIVES[section]:
            self._unread.append(Unread(name.location, f"HAProxy 2.0 to 3.4 have no directive {name.text} in {section}"))
        elif name.text == "use_backend" and len(words) > 1 and ("%[" in words[1].text or "$" in words[1].text):
            self._unread.append(Unread(words[1].location, "the backend is known only at run time: it can be any one"))

    def _add(self, statement: Statement) -> None:
        (self._sections if self._head is None else self._block).append(statement)

    def _close(self) -> None:
        if self._head is not None:
            self._sections.append(Statement(self._head, tuple(self._block)))
        self._head, self._block = None, []
