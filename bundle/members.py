"""What an archive holds, whatever its format, and how much of it nlbgen is ready to read."""

from dataclasses import dataclass, field
from typing import Final

from ..core.artifacts import PLAIN_MODE, SECRET_MODE
from ..core.errors import NlbgenError
from ..core.wording import shown

MODES: Final = (PLAIN_MODE, SECRET_MODE)
"""The permission bits that a file of a bundle can have: nothing in it is a program."""

MAX_FILE: Final = 64 * 1024 * 1024
MAX_ARCHIVE: Final = 256 * 1024 * 1024
"""In bytes. What nlbgen writes is stored, not compressed: an archive never unpacks to more than its own size."""
MAX_FILES: Final = 20_000

REPACKED: Final = "this is not as nlbgen wrote it: take the bundle from where it was exported, or export it again"


class BundleError(NlbgenError):
    """An archive is not what `nlbgen bundle export` wrote, or no longer."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive. The content is not shown: it may be a secret."""

    path: str
    content: bytes = field(repr=False)
    mode: int = PLAIN_MODE


def named(path: str) -> str:
    """A name out of an archive as an error may show it: printable, and not without end."""
    plain = path.isprintable() and path == path.strip() and 0 < len(path) <= 100
    return path if plain else shown(path)


def legible(text: str) -> str:
    """A text that a terminal shows as it is: what could move the cursor or turn the line is written as an escape."""
    return "".join(char if char.isprintable() or char == "\t" else ascii(char)[1:-1] for char in text)


def bounded(path: str, size: int) -> None:
    """Raise BundleError for a file that says to be larger than any that nlbgen writes."""
    if size > MAX_FILE:
        message = f"{named(path)} says to hold {size} bytes, and more than {MAX_FILE} are not read"
        raise BundleError(message, REPACKED)
