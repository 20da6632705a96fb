"""Conditional blocks: `.if`, `.elif`, `.else`, `.endif`."""

from typing import Final, NamedTuple

from ..errors import UnreadableError
from ..tree import Word

_NAMES: Final = frozenset({".if", ".elif", ".else", ".endif", ".diag", ".notice", ".warning", ".alert"})


class _Branch(NamedTuple):
    """One open block: where it began, whether its branch is excluded, and whether a branch before was taken."""

    begin: Word
    excluded: bool
    taken: bool
    last: bool


class Branches:
    """The open blocks at a line of the file."""

    def __init__(self) -> None:
        self._open: list[_Branch] = []

    @property
    def excluded(self) -> bool:
        """Whether a constant excludes the statement here; a condition that depends on the machine never does."""
        return any(branch.excluded for branch in self._open)

    def directive(self, words: tuple[Word, ...]) -> None:
        """Take over a line that begins with a dot; raises UnreadableError."""
        name = words[0].text
        if name not in _NAMES:
            raise UnreadableError.at(
                words[0].location, f"{name} is not a directive of HAProxy", "remove the line; a comment begins with #"
            )
        if name == ".if":
            value = _value(words[1:])
            self._open.append(_Branch(words[0], value is False, value is True, last=False))
        elif name in {".elif", ".else", ".endif"}:
            self._continue(words, name)

    def _continue(self, words: tuple[Word, ...], name: str) -> None:
        if not self._open or (self._open[-1].last and name != ".endif"):
            raise UnreadableError.at(
                words[0].location, f"{name} has no .if before it", "add the .if, or remove the line"
            )
        before = self._open.pop()
        if name == ".endif":
            return
        value = True if name == ".else" else _value(words[1:])
        excluded = before.taken or value is False
        self._open.append(_Branch(before.begin, excluded, before.taken or value is True, last=name == ".else"))

    def end(self) -> None:
        """The end of the file; raises UnreadableError if a block is open."""
        if self._open:
            begin = self._open[-1].begin
            raise UnreadableError.at(begin.location, ".if has no .endif", "add .endif")


def _value(condition: tuple[Word, ...]) -> bool | None:
    """The value of a constant condition; None if it depends on the machine or on HAProxy's version."""
    text = "".join(word.text for word in condition)
    if text.startswith("!"):
        value = _constant(text[1:])
        return None if value is None else not value
    return _constant(text)


def _constant(text: str) -> bool | None:
    if not text or text == "false":
        return False
    if text == "true":
        return True
    return bool(int(text)) if text.isdecimal() else None
