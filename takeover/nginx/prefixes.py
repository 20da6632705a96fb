"""The path prefixes that a `location` serves, as far as a spec can have them."""

import re
from typing import Final

from ..values import problem_of

_MOST: Final = 32
"""Prefixes of one expression."""
_MOST_GROUPS: Final = 8
_TAIL: Final = re.compile(r"(?:/\?|\(/\|\$\)|\(\?:/\|\$\)|\.\*|\(\.\*\)|\$)+\Z")
_PLAIN: Final = re.compile(r"(?:\\[^A-Za-z0-9]|[A-Za-z0-9_~/.,@%:=&-])*\Z")


def of_location(words: tuple[str, ...]) -> list[str]:
    """The prefixes of a `location` with these words; none if they are no prefixes."""
    regular = len(words) > 1 and words[0] not in {"=", "^~"}
    found = _expanded(words[-1]) if regular else [*words[-1:]]
    return found if all(not _problem(path) for path in found) else []


def _problem(path: str) -> str:
    return problem_of("balancer.signalr.paths", [path])


def _expanded(expression: str) -> list[str]:
    """The texts that an expression such as `^/(?:signalr|hubs)` begins with; none for other expressions."""
    if not expression.startswith("^") or expression.count("(") > _MOST_GROUPS:
        return []
    found = _alternatives(_TAIL.sub("", expression[1:]))
    return [re.sub(r"\\(.)", r"\1", one) for one in found or []]


def _alternatives(text: str) -> list[str] | None:
    """The texts of `a(b|c)d`; None if it is more than literal text and groups of alternatives."""
    parts = _split(text)
    if parts is None:
        return None
    if len(parts) > 1:
        each = [_alternatives(part) for part in parts]
        return None if any(one is None for one in each) else [text for one in each for text in one or []]
    opened = re.search(r"(?<!\\)\((?:\?:)?", text)
    if opened is None:
        return [text] if _PLAIN.match(text) else None
    end = _closing(text, opened.end())
    before, inner, after = (
        text[: opened.start()],
        _alternatives(text[opened.end() : end]),
        _alternatives(text[end + 1 :]),
    )
    if inner is None or after is None or not _PLAIN.match(before) or len(inner) * len(after) > _MOST:
        return None
    return [before + one + rest for one in inner for rest in after]


def _split(text: str) -> list[str] | None:
    """The alternatives of the outermost level; None if the parentheses do not match."""
    parts, depth, start, at = [], 0, 0, 0
    while at < len(text):
        char = text[at]
        at += 1 + (char == "\\")
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return None
        if char == "|" and not depth:
            parts.append(text[start : at - 1])
            start = at
    return None if depth else [*parts, text[start:]]


def _closing(text: str, at: int) -> int:
    """The position of the parenthesis that closes the group whose text begins at `at`."""
    depth = 1
    while depth:
        depth += (text[at] == "(") - (text[at] == ")")
        at += 1 + (text[at] == "\\")
    return at - 1
