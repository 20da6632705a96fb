"""Read a configuration of any vendor.

The reader of a vendor is the function `read` of `readers/VENDOR/reader.py`: it takes the path and the content of the
file, returns a [`Configuration`][nlbgen.readers.tree.Configuration], and raises UnreadableError for a file that the
vendor's program would refuse because of its syntax.
"""

from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, cast

from ..core import files
from ..core.errors import FileError, UsageError
from ..core.wording import one_of
from .detect import vendor_of
from .tree import Configuration, Vendor

READERS: Final[tuple[Vendor, ...]] = ("haproxy", "nginx", "f5")
"""The vendors whose configurations can be read."""

_LARGEST: Final = 256 * 1024 * 1024


class _Read(Protocol):
    def __call__(self, path: Path, content: bytes) -> Configuration: ...


def read(path: Path, vendor: Vendor | None = None) -> Configuration:
    """Return what is in the file, and in those that it includes.

    Without a `vendor`, the content decides. Raises FileError, UnreadableError, and UsageError if there is no reader.
    """
    content = _content(path)
    found = vendor or vendor_of(content)
    if found is None:
        raise UsageError(
            f"{path}: the content looks like no configuration of {one_of(READERS)}",
            f"if it is one, add --vendor {READERS[0]}",
        )
    if found not in READERS:
        raise UsageError(f"{path}: it is a configuration of {found}", f"nlbgen reads those of {one_of(READERS)}")
    return read_content(path, content, found)


def read_content(path: Path, content: bytes, vendor: Vendor) -> Configuration:
    """Return what is in the content of a file with this path, and in files that it includes. Raises UnreadableError."""
    reader = cast("_Read", import_module(f"{__package__}.{vendor}.reader").read)
    return reader(path, content)


def _content(path: Path) -> bytes:
    try:
        content = files.content(path, _LARGEST)
    except OSError as error:
        hint = files.hint_for(error, "check the path and the permissions")
        raise FileError(f"{path}: cannot be read: {error.strerror}", hint) from None
    if len(content) > _LARGEST:
        raise FileError(f"{path}: has more than {_LARGEST // 1024**2} MB", "give the configuration itself")
    return content
