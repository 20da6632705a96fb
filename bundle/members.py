"""The files of an archive, in every format, and the limits up to which nlbgen reads them."""

from dataclasses import dataclass, field
from typing import Final

from ..core.artifacts import PLAIN_MODE, SECRET_MODE
from ..core.errors import NlbgenError
from ..core.wording import shown

MODES: Final = (PLAIN_MODE, SECRET_MODE)
"""The permission bits that a file of a bundle can have; no file is executable."""

MAX_FILE: Final = 64 * 1024 * 1024
MAX_ARCHIVE: Final = 256 * 1024 * 1024
"""In bytes. nlbgen does not compress archives, so an archive never unpacks to more than its own size."""
MAX_FILES: Final = 20_000

REPACKED: Final = "the bundle was changed or damaged: copy it again from its source, or export it again"


class BundleError(NlbgenError):
    """An archive that `nlbgen bundle export` did not write, or that was changed since."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive. `repr` does not show the content, which may be a secret."""

    path: str
    content: bytes = field(repr=False)
    mode: int = PLAIN_MODE


def named(path: str) -> str:
    """Return a name of an archive for a message: printable, at most 100 characters."""
    plain = path.isprintable() and path == path.strip() and 0 < len(path) <= 100
    return path if plain else shown(path)


def bounded(path: str, size: int) -> None:
    """Raise BundleError for a file whose header gives a larger size than nlbgen writes."""
    if size > MAX_FILE:
        message = f"{named(path)} has {size} bytes by its header; the maximum is {MAX_FILE}"
        raise BundleError(message, REPACKED)
