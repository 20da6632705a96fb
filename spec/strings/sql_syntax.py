"""The syntax of SqlClient's connection strings: pairs with their positions, and values in quotes.

Source: `DbConnectionOptions.GetKeyValuePair` in .NET's reference source and in dotnet/SqlClient, state by state.
"""

import re
from typing import Final, NamedTuple

from .kinds import SPACE, UnsupportedValueError

_BLANKS: Final = re.compile(f"[{SPACE}]*")
_BETWEEN: Final = re.compile(f"[;{SPACE}]*")
_CONTROL: Final = re.compile(f"(?![{SPACE}])[\x00-\x1f\x7f-\x9f]")
_UNQUOTED_END: Final = re.compile(f";|(?![{SPACE}])[\x00-\x1f\x7f-\x9f]")
_BARE: Final = re.compile(f"[^\"'=;{SPACE}\x00-\x1f\x7f-\x9f]+")


class SyntaxProblemError(ValueError):
    """The text is not a list of pairs; `position` is the character at which the pair begins."""

    def __init__(self, position: int) -> None:
        super().__init__("not a connection string of key=value pairs")
        self.position = position


class Pair(NamedTuple):
    """One pair: the key in lower case as SqlClient compares it, and the value; None where nothing follows the `=`."""

    key: str
    value: str | None
    start: int
    """Where the key begins."""
    value_start: int
    value_end: int
    """Where the value ends, its quotes included."""


def pairs(text: str) -> list[Pair]:
    """The pairs of a connection string, in order; raises SyntaxProblemError."""
    found = []
    position = _skip(_BETWEEN, text, 0)
    while position < len(text):
        pair = _pair(text, position)
        found.append(pair)
        end = _skip(_BLANKS, text, pair.value_end)
        if end < len(text) and text[end] != ";":
            raise SyntaxProblemError(position if text[end] != "\0" else end)
        position = _skip(_BETWEEN, text, end)
    return found


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return position if match is None else match.end()


def _pair(text: str, start: int) -> Pair:
    end = _key_end(text, start)
    key = text[start:end].replace("==", "=").rstrip(SPACE).lower()
    if not key or _CONTROL.search(text, start, end):
        raise SyntaxProblemError(start)
    value_start = _skip(_BLANKS, text, end + 1)
    if value_start == len(text) or text[value_start] == ";":
        return Pair(key, None, start, value_start, value_start)
    if text[value_start] in "\"'":
        value, value_end = _quoted(text, value_start, start)
        return Pair(key, value, start, value_start, value_end)
    match = _UNQUOTED_END.search(text, value_start)
    value = text[value_start : len(text) if match is None else match.start()].rstrip(SPACE)
    if not value or value[-1] in "\"'":
        raise SyntaxProblemError(start)
    return Pair(key, value, start, value_start, value_start + len(value))


def _key_end(text: str, start: int) -> int:
    """The position of the single `=` that ends a key; a doubled one is part of it."""
    position = start
    while (position := text.find("=", position)) >= 0:
        if text[position + 1 : position + 2] != "=":
            return position
        position += 2
    raise SyntaxProblemError(start)


def _quoted(text: str, opening: int, start: int) -> tuple[str, int]:
    """A value in quotes, and the position after it; a doubled quote is one of the value."""
    quote = text[opening]
    parts = []
    position = opening + 1
    while (end := text.find(quote, position)) >= 0:
        parts.append(text[position:end])
        if text[end + 1 : end + 2] != quote:
            value = quote.join(parts)
            if "\0" in value:
                break
            return value, end + 1
        position = end + 2
    raise SyntaxProblemError(start)


def quoted(text: str) -> str:
    """A value as it can stand in a connection string; raises UnsupportedValueError.

    Source: `DbConnectionStringBuilder.AppendKeyValuePair`.
    """
    if "\0" in text:
        raise UnsupportedValueError("SqlClient's connection strings cannot hold U+0000")
    if not text:
        return '""'
    if _BARE.fullmatch(text):
        return text
    if '"' in text and "'" not in text:
        return f"'{text}'"
    return '"' + text.replace('"', '""') + '"'
