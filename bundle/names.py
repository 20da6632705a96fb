"""The names that files of a bundle may have: the same file on Linux, Windows and macOS, always below the folder.

Systems read some names in different ways (`..`, `C:`, `NUL`, a backslash, `A` beside `a`, an accent as one character or
as two): an archive with such a name could write outside its folder or lose a file.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

LONGEST: Final = 240
"""Bytes of a full name in UTF-8: Windows takes 260 characters by default, with the folder that it stands in."""
_TAR_NAME: Final = 100
_TAR_PREFIX: Final = 155
"""Bytes of the two fields that POSIX tar (ustar) has for a name; the slash between them is not written."""

_FORBIDDEN: Final = frozenset('<>:"|?*\\')
"""Characters that Windows does not allow in a name; the colon is that of `C:` and of alternate data streams."""
_RESERVED: Final = frozenset({"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}) | frozenset(
    f"{device}{number}" for device in ("com", "lpt") for number in "0123456789¹²³"
)
"""Device names on Windows, with any text after the first dot (Microsoft, "Naming Files, Paths, and Namespaces")."""


def objection(path: str) -> str:
    """Return why no file of a bundle may have this name; empty where the name is valid."""
    if not path:
        return "it is empty"
    if bad := next((char for char in path if not char.isprintable()), None):
        return f"it contains U+{ord(bad):04X}, which is not printable"
    if len(path.encode("utf-8")) > LONGEST:
        return f"it is longer than {LONGEST} bytes"
    if path.startswith("/"):
        return "it is an absolute path"
    if unicodedata.normalize("NFC", path) != path:
        return "its characters are not in Unicode's composed form (NFC): two different names could look the same"
    if bad_part := next(filter(None, map(_part_objection, path.split("/"))), ""):
        return bad_part
    return (
        "" if _fits_tar(path.encode("utf-8")) else "it is too long for a tar header: only a slash divides a long name"
    )


def _fits_tar(path: bytes) -> bool:
    """Whether a slash divides the name into the two fields that tar has for it."""
    if len(path) <= _TAR_NAME:
        return True
    return 0 < path.find(b"/", len(path) - _TAR_NAME - 1) <= _TAR_PREFIX


def _part_objection(part: str) -> str:
    if part in {"", ".", ".."}:
        return "it contains .., which leaves the folder" if part == ".." else "it has a part that is empty or a dot"
    if found := _FORBIDDEN.intersection(part):
        return f"it contains {min(found)}, which has a special meaning on Windows"
    if part.endswith((".", " ")) or part.startswith(" "):
        return "a part of it ends with a dot, or begins or ends with a space: Windows removes these"
    if part.split(".", maxsplit=1)[0].rstrip(" ").lower() in _RESERVED:
        return f"{part} is the name of a device on Windows"
    return ""


def collisions(paths: Iterable[str]) -> Iterator[str]:
    """Yield a message for each pair of these names that some system takes for the same file."""
    seen: dict[str, tuple[str, bool]] = {}
    for path in paths:
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            name, is_file = "/".join(parts[:count]), count == len(parts)
            key = _folded(name)
            if key not in seen:
                seen[key] = (name, is_file)
                continue
            other, other_is_file = seen[key]
            if other != name:
                yield f"{other} and {name} are the same name on systems that ignore case or Unicode form"
            elif is_file and other_is_file:
                yield f"{name} appears twice"
            elif is_file or other_is_file:
                yield f"{name} is both a file and a folder"


def _folded(name: str) -> str:
    """Return the name as a case-insensitive system compares it (Unicode, D145)."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
