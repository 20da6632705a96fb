"""The lines of a spec that its problems are about, without what may be a secret.

A password may be in the spec by mistake, also below a misspelt key. So a line ends in `...` behind each key that is
not a key of the spec and behind each secret that is not a reference. A line whose context does not show what it
belongs to has no excerpt.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from ..core.errors import Location
from ..core.excerpt import Excerpt
from .model import Farm, Secret
from .schema import Model, section_of

_LONGEST: Final = 2000
"""The most characters of a line, and the most lines up to the section of a line, that are looked at."""
_LARGEST: Final = 1_000_000
_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""The line breaks of YAML 1.1 (section 5.4)."""
_KEY: Final = re.compile(r"""(?:^|[\s{,\[])["']?([^\s"'{}\[\],:&*#]+)["']?[ \t]*:(?=[\s"'{\[]|$)""")
_IN_A_STRING: Final = re.compile(r"(?i)(?:password|pwd|secret|token|key)\s*=")
_COMMENT: Final = re.compile(r"(?:^|\s)#")
_REFERENCE: Final = re.compile(r"""\s*(?:\{\s*(?:env:\s*["']?[A-Z_][A-Z0-9_]*["']?|file:\s*[^{}]+)\s*\}|/|$)""")
_PATHS: Final = frozenset({"key"})
"""Keys of files, below which a secret may be written by mistake."""
_TOKEN: Final = re.compile(
    r""""(?:[^"\\]|\\.)*"|'[^']*'|[\[{]|(?:(?!:(?:\s|$)|,(?:\s|$)|\s+(?:#|$))[^\]}])+""",
)


def lines_of(text: str) -> tuple[str, ...]:
    """The lines of a text as YAML counts them; none of a text that is too large for a spec, to save memory."""
    return tuple(_BREAK.split(text)) if len(text) <= _LARGEST else ()


def excerpts(lines: Sequence[str], locations: Sequence[Location]) -> Iterator[Excerpt | None]:
    """The excerpt of each location, or None where the line may show a secret or does not exist."""
    lines = [_without_comment(line) for line in lines]
    opened = next((number for number, line in enumerate(lines) if _opens_a_text(line)), len(lines))
    for location in locations:
        index = location.line - 1
        yield _excerpt(lines, location) if 0 <= index <= opened and index < len(lines) else None


def _excerpt(lines: Sequence[str], location: Location) -> Excerpt | None:
    index, start = location.line - 1, location.column - 1
    line = lines[index]
    if len(line) > _LONGEST or not _has_context(lines, index):
        return None
    cut = _unsafe(line)
    if cut is not None and cut < min(start, len(line)):
        return None
    text = line if cut is None else line[:cut] + "..."
    token = _TOKEN.match(text, start)
    return Excerpt(location.line, text, min(start, len(text)), len(token[0]) if token else 1)


def _without_comment(line: str) -> str:
    found = _COMMENT.search(line)
    return (line[: found.start()] if found else line).rstrip()


def _has_context(lines: Sequence[str], index: int) -> bool:
    """Whether the line and the lines that it belongs to have keys of the spec, and nothing that may be a secret."""
    line = lines[index]
    if not line:
        return True
    indent, item, found = _indent(line), line.lstrip().startswith("- "), _KEY.search(line) is not None
    for above in reversed(lines[max(index - _LONGEST, 0) : index]):
        level = _indent(above)
        if not above:
            continue
        if level < indent or (level == indent and item and not above.lstrip().startswith("- ")):
            if not _KEY.search(above) or _unsafe(above) is not None:
                return False
            indent, item, found = level, above.lstrip().startswith("- "), True
    return indent == 0 and found


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def _unsafe(line: str) -> int | None:
    """Return where the part of a line begins that may be a secret; None if there is none."""
    found = [match.start() for match in (_IN_A_STRING.search(line),) if match]
    known, secret = _keys()
    for key in _KEY.finditer(line):
        if key[1] not in known or (key[1] in secret and not _REFERENCE.match(line, key.end())):
            found.append(key.end() + (line[key.end() : key.end() + 1] == " "))
            break
    return min(found, default=None)


def _opens_a_text(line: str) -> bool:
    """Whether a quote opens behind an unsafe key and does not close on the line: the next lines are part of it."""
    cut = _unsafe(line) if len(line) <= _LONGEST else 0
    rest = "" if cut is None else line[cut:]
    return rest[:1] in {'"', "'"} and rest.count(rest[0]) % 2 == 1


@cache
def _keys() -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of all keys of the spec, and of those that may have a secret."""
    known, secret = set(_PATHS), set(_PATHS)
    models: list[type[Model]] = [Farm]
    seen: set[type[Model]] = set()
    while models:
        model = models.pop()
        seen.add(model)
        for declared in model.entries.values():
            known.add(declared.name)
            below, _ = section_of(declared.kind)
            if below is Secret:
                secret.add(declared.name)
            if below is not None and below not in seen:
                models.append(below)
    return frozenset(known), frozenset(secret)
