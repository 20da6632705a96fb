"""Read a configuration of any vendor.

The reader of a vendor is the function `read` of `readers/VENDOR/reader.py`: it takes the path and the content of the
file, returns a [`Configuration`][nlbgen.readers.tree.Configuration], and raises UnreadableError for a file that the
vendor's program would refuse because of its syntax.
"""

import os
from collections.abc import Iterable, Sequence
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


class _Together(Protocol):
    def __call__(self, files: Iterable[tuple[Path, bytes]]) -> Configuration: ...


def read(path: Path, vendor: Vendor | None = None) -> Configuration:
    """Return what is in the file, and in those that it includes.

    Without a `vendor`, the content decides. Raises FileError, UnreadableError, and UsageError if there is no reader.
    """
    content = _content(path)
    found = vendor or vendor_of(content)
    if found is None:
        raise UsageError(
            f"{path}: the content does not look like a configuration of {one_of(READERS)}",
            f"if it is such a configuration, add --vendor {READERS[0]}",
        )
    if found not in READERS:
        raise UsageError(
            f"{path}: it is a configuration of {found}", f"nlbgen reads configurations of {one_of(READERS)}"
        )
    return read_content(path, content, found)


def read_content(path: Path, content: bytes, vendor: Vendor) -> Configuration:
    """Return what is in the content of a file with this path, and in files that it includes. Raises UnreadableError."""
    reader = cast("_Read", import_module(f"{__package__}.{vendor}.reader").read)
    return reader(path, content)


def read_together(paths: Sequence[Path], vendor: Vendor | None = None) -> Configuration:
    """Return several files as one configuration of HAProxy, as `haproxy -f A -f B` reads them.

    A folder stands for its files `*.cfg` in the order of their names, without hidden files and subfolders. Raises
    FileError, UnreadableError, and UsageError for files of another vendor, and for a folder without such files.
    """
    contents = contents_together(paths)
    for path, content in contents:
        found = vendor or vendor_of(content) or "haproxy"
        if found != "haproxy":
            hint = (
                "give only the main file: nlbgen also reads the files that it includes"
                if found == "nginx"
                else "remove it"
            )
            raise UsageError(f"{path}: --together is for HAProxy, but this is a configuration of {found}", hint)
    together = cast("_Together", import_module(f"{__package__}.haproxy.reader").read_together)
    return together(contents)


def contents_together(paths: Sequence[Path]) -> list[tuple[Path, bytes]]:
    """Return the files that `haproxy -f A -f B` reads, with their contents; raises FileError and UsageError."""
    return [(path, _content(path)) for given in paths for path in _expanded(given)]


def _expanded(path: Path) -> list[Path]:
    """The file itself, or those of a folder that HAProxy reads, in its order (that of the names' bytes)."""
    if not files.is_folder(path):
        return [path]
    try:
        found = [one for one in path.iterdir() if one.suffix == ".cfg" and one.name[0] != "." and one.is_file()]
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}", "check the folder's permissions") from None
    if not found:
        raise UsageError(f"{path} has no *.cfg file", "give the files of the configuration, or their folder")
    return sorted(found, key=lambda one: os.fsencode(one.name))


def _content(path: Path) -> bytes:
    try:
        content = files.content(path, _LARGEST)
    except OSError as error:
        hint = files.hint_for(error, "check the path and the permissions")
        raise FileError(f"{path}: cannot be read: {error.strerror}", hint) from None
    if len(content) > _LARGEST:
        raise FileError(f"{path}: has more than {_LARGEST // 1024**2} MB", "give the configuration itself")
    return content
