"""Which part of the spec and which decision a line of a rendered file comes from, and what it protects against."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

from ..core import files
from ..core.errors import FileError, UsageError
from ..export.report import reasons
from . import pages
from .ids import Explanation

_PLACE: Final = re.compile(r"(.+?):(\d+)(?::\d+)?\Z")
_MADE: Final = re.compile(r"^(?:#|;;)\s*Made by nlbgen ", re.MULTILINE)
_SECTION: Final = re.compile(
    r"(?:global|defaults|frontend|backend|listen|resolvers|http|stream|server|upstream|location)\b"
)
_LARGEST: Final = 64 * 1024 * 1024

Kind = Literal["haproxy", "nginx", "f5", "zen"]
_READERS: Final[dict[Kind, Callable[[Sequence[str]], list[str]]]] = {
    "haproxy": reasons.commented,
    "nginx": reasons.commented,
    "f5": reasons.by_object,
    "zen": reasons.by_directive,
}


def is_line(what: str) -> bool:
    """Whether the text names a line of a file: `haproxy.cfg:87`, or with a column."""
    return _PLACE.match(what) is not None


def explained(what: str) -> Explanation:
    """The explanation of `FILE:LINE`; raises FileError, and UsageError for a file that nlbgen did not render."""
    found = _PLACE.match(what)
    if found is None:
        raise UsageError(f"{what} is not a line of a file", "write FILE:LINE")
    path, number = Path(found[1]), int(found[2])
    lines = _lines(path)
    if not 1 <= number <= len(lines):
        raise UsageError(f"{path} has {len(lines)} lines", f"write {path}:1 to {path}:{len(lines)}")
    kind = _kind(lines)
    at = _meant(lines, number - 1)
    line = lines[at].strip()
    reason = _READERS[kind](lines)[at]
    section = _section(lines, at)
    parts = [f"In: {section}"] if section else []
    parts += [f"Reason: {reason}"] if reason else []
    parts += _documented(kind, line)
    if len(parts) == (1 if section else 0):
        parts.append("The documentation has no text about this line.")
    return Explanation(f"{path}:{at + 1}: {line}", tuple(parts))


def _lines(path: Path) -> list[str]:
    content = files.read_bytes(path)
    if content is None:
        raise FileError(f"{path}: does not exist", "check the path")
    text = content[:_LARGEST].decode("utf-8", "replace")
    if not _MADE.search(text):
        raise UsageError(
            f"{path}: nlbgen did not render this file, or rendered it without comments",
            f"for another configuration, run nlbgen lint {path}",
        )
    return text.removesuffix("\n").split("\n")


def _kind(lines: Sequence[str]) -> Kind:
    """The vendor, by the first line of the header."""
    head = " ".join(lines[:4])
    names: dict[str, Kind] = {"HAProxy": "haproxy", "NGINX": "nginx", "F5": "f5", "BIG-IP": "f5"}
    return next((kind for name, kind in names.items() if name in head), "zen")


def _meant(lines: Sequence[str], at: int) -> int:
    """The line itself; for a comment, the first line below it that is none."""
    for number in range(at, len(lines)):
        text = lines[number].strip()
        if text and not text.startswith("#"):
            return number
    return at


def _section(lines: Sequence[str], at: int) -> str:
    """The head of the section that contains the line; empty for the head itself."""
    depth = len(lines[at]) - len(lines[at].lstrip())
    for text in reversed(lines[:at]):
        before = len(text) - len(text.lstrip())
        if text.strip() and before < depth and _SECTION.match(text.strip()):
            return text.strip().removesuffix("{").strip()
    return ""


# The pages of the vendors


def _documented(kind: Kind, line: str) -> list[str]:
    """What the vendor's page has about the directive: why, and from which keys of the spec."""
    row = _row(f"vendors/{kind}.md", line)
    if row is None:
        return []
    parts = [f"Why: {row.cells[1]}."]
    if row.head[2:3] == ("From the spec",):
        keys = row.cells[2] if len(row.cells) > 2 else ""
        parts.append(f"From the spec: {keys}" if keys else "From the spec: nothing, it is the same for each farm.")
    return parts


def _row(name: str, line: str) -> pages.Row | None:
    words = line.rstrip(";{ ").split()
    scored = [(_score(row.cells[0], words), row) for row in pages.rows(name) if row.head[:1] == ("Directive",)]
    best = max(scored, key=lambda pair: pair[0], default=((0, 0), None))
    return best[1] if best[0][0] else None


def _score(cell: str, words: Sequence[str]) -> tuple[int, int]:
    """How well the left cell of a table fits a line: the words of its longest directive, then other words in common."""
    names = [name.split() for name in re.findall(r"`([^`]+)`", cell)]
    fitting = [len(name) for name in names if name == list(words[: len(name)])]
    others = set(re.findall(r"[\w.-]+", cell))
    bare = {word.strip("'\"$;{}") for word in words[1:]}
    return max(fitting, default=0), len(others & bare)
