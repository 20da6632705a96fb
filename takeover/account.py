"""The account of a configuration: what becomes of each of its statements."""

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

from ..core.errors import Location
from ..readers.tree import Configuration, Statement

Fate = Literal["taken", "implied", "given up", "not understood"]
FATES: Final[dict[Fate, str]] = {
    "taken": "the value is in farm.yaml",
    "implied": "nlbgen does this for every farm",
    "given up": "farm.yaml has no key for it, or nlbgen always uses another setting",
    "not understood": "nlbgen does not know this statement: read it before you use the new configuration",
}
"""Every fate and its meaning."""
_ORDER: Final[tuple[Fate, ...]] = ("implied", "taken", "given up", "not understood")
"""If a statement has several fates, the last one in this order counts."""
_WORST: Final[Fate] = "not understood"


class Line(NamedTuple):
    """One statement of the source with its fate."""

    location: Location
    text: str
    """The statement in one line, as the vendor's program reads its words."""
    fate: Fate
    details: tuple[str, ...]
    """The keys of the spec, what nlbgen does, or the reasons."""

    @property
    def detail(self) -> str:
        """The details in one line."""
        return "; ".join(self.details)


class _Note(NamedTuple):
    fate: Fate
    detail: str


class Account:
    """The notes about the statements of one configuration. A statement without a note is not understood."""

    def __init__(self, configuration: Configuration, *, by_location: bool = False) -> None:
        """`by_location` sorts the statements: those of a declaration of AS3 are not in the order of the file."""
        statements = tuple(configuration.walk())
        self._statements = tuple(sorted(statements, key=lambda one: one.location)) if by_location else statements
        self._notes: dict[Location, list[_Note]] = {}

    def open(self) -> Iterator[Statement]:
        """The statements that have no note yet, in the order of the file."""
        return (one for one in self._statements if one.location not in self._notes)

    def has(self, statement: Statement) -> bool:
        """Whether a statement has a note."""
        return statement.location in self._notes

    def taken(self, statement: Statement, key: str) -> None:
        """Its value is at this key of the spec."""
        self._note(statement, "taken", key)

    def implied(self, statement: Statement, what: str) -> None:
        """What nlbgen writes for every such farm does the same."""
        self._note(statement, "implied", what)

    def given_up(self, statement: Statement, why: str) -> None:
        """The statement has no place in the new configuration, for this reason."""
        self._note(statement, "given up", why)

    def given_up_all(self, statements: Iterable[Statement], why: str) -> None:
        """None of these statements has a place in the new configuration, for this reason."""
        for statement in statements:
            self.given_up(statement, why)

    def not_understood(self, statement: Statement, what: str) -> None:
        """A part of the statement is not understood."""
        self._note(statement, "not understood", what)

    def dropped(self, statement: Statement, key: str, why: str) -> None:
        """A value that was taken cannot stay in the spec."""
        notes = self._notes.get(statement.location, [])
        self._notes[statement.location] = [note for note in notes if note != _Note("taken", key)]
        self.given_up(statement, why)

    def lines(self) -> tuple[Line, ...]:
        """Every statement with its one fate, in the order of the file."""
        return tuple(map(self._line, self._statements))

    def _note(self, statement: Statement, fate: Fate, detail: str) -> None:
        notes = self._notes.setdefault(statement.location, [])
        if _Note(fate, detail) not in notes:
            notes.append(_Note(fate, detail))

    def _line(self, statement: Statement) -> Line:
        notes = self._notes.get(statement.location, [])
        fate = max((note.fate for note in notes), key=_ORDER.index, default=_WORST)
        return Line(statement.location, shown(statement), fate, tuple(_details(notes, fate)))


_DIRECTIVE: Final = re.compile(r"[a-z_-]+")
_NO_SECRETS: Final = frozenset(("server_tokens", "gzip_proxied"))
"""Directives of NGINX with such a word that hold no secret."""
_SECRET: Final = re.compile(
    r"auth(?!enticate(?:-name|-depth)?\b)|passw|passphrase|secret|token|credential|ciphertext|"
    r"\bprotected\b|(?:api-?|details-?|cookie-|private-?)key",
    re.IGNORECASE,
)


def shown(statement: Statement) -> str:
    """The statement in one line. What follows a word such as `auth` or `password` may be a secret, and is masked."""
    words: list[str] = []
    for word in statement.words:
        if statement.name in _NO_SECRETS:
            words.append(word.text)
            continue
        text = word.text if word.text and not any(char.isspace() for char in word.text) else f'"{word.text}"'
        first = word is statement.words[0]
        if first and text == "auth":  # an object of F5
            words.append(text)
            continue
        if found := _SECRET.search(text):
            if first and _DIRECTIVE.fullmatch(text) and len(statement.words) > 1:
                return f"{text} ***"
            last = word is statement.words[-1]
            return " ".join([*words, f"{text[: found.end()]}***" if last or found.end() < len(text) else f"{text} ***"])
        words.append(text)
    return " ".join(words)


def _details(notes: Iterable[_Note], fate: Fate) -> Iterator[str]:
    """The details; those of another fate than the statement's name theirs."""
    for note in sorted(notes, key=lambda note: note.fate != fate):
        yield note.detail if note.fate == fate else f"{note.fate}: {note.detail}"


def counts(lines: Iterable[Line]) -> dict[Fate, int]:
    """The number of statements of each fate, zero included."""
    found = dict.fromkeys(FATES, 0)
    for line in lines:
        found[line.fate] += 1
    return found
