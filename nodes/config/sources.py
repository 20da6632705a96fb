"""Where the files of a node come from: a folder of this machine, or one JSON file of `nlbgen nodes collect`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from ...core.errors import NodeError
from ...core.files import content
from . import webconfig
from .webconfig import MAX_BYTES, Document


class Source(Protocol):
    """The files of one node."""

    def find(self, folder: Path, name: str) -> Path:
        """A file of the folder by its name in any case, as on Windows."""

    def has(self, path: Path) -> bool:
        """Whether this is a file."""

    def escapes(self, path: Path, folder: Path) -> bool:
        """Whether a file is outside the folder, for example by a link."""

    def raw(self, path: Path) -> bytes:
        """The bytes of a file; raises NodeError."""

    def document(self, path: Path) -> Document:
        """A file of XML; raises NodeError."""


class Disk:
    """The files of this machine."""

    def find(self, folder: Path, name: str) -> Path:
        """A file of the folder by its name in any case."""
        return file_in(folder, name)

    def has(self, path: Path) -> bool:
        """Whether this is a file."""
        return path.is_file()

    def escapes(self, path: Path, folder: Path) -> bool:
        """Whether the file, or the target of a link, is outside the folder."""
        return folder.resolve() not in path.resolve().parents

    def raw(self, path: Path) -> bytes:
        """The bytes of a file; raises NodeError."""
        try:
            raw = content(path, MAX_BYTES)
        except OSError as error:
            raise NodeError(f"{path}: cannot be read: {error.strerror}", "check its permissions") from None
        if len(raw) > MAX_BYTES:
            raise NodeError(f"{path}: is larger than {MAX_BYTES} bytes", "copy the service's own file from the node")
        return raw

    def document(self, path: Path) -> Document:
        """A file of XML; raises NodeError."""
        return webconfig.read(path)


class Collected:
    """The files in a JSON file of `nlbgen nodes collect`, by their paths below Orchestrator's folder."""

    def __init__(self, file: Path, texts: Mapping[str, str]) -> None:
        self._files: Final = {
            (file / name.replace("\\", "/")).as_posix().lower(): (file / name.replace("\\", "/"), text)
            for name, text in texts.items()
        }

    def find(self, folder: Path, name: str) -> Path:
        """A file by its name in any case."""
        found = self._files.get((folder / name).as_posix().lower())
        return folder / name if found is None else found[0]

    def has(self, path: Path) -> bool:
        """Whether the JSON has this file."""
        return path.as_posix().lower() in self._files

    def escapes(self, _path: Path, _folder: Path) -> bool:
        """No: the script collects only files below the folder."""
        return False

    def raw(self, path: Path) -> bytes:
        """The bytes of a file, as UTF-8."""
        return self._files[path.as_posix().lower()][1].encode("utf-8", "surrogatepass")

    def document(self, path: Path) -> Document:
        """A file of XML; raises NodeError."""
        return webconfig.parse(path, self.raw(path))


DISK: Final = Disk()


def file_in(folder: Path, name: str) -> Path:
    """A file of the folder by its name in any case, as on Windows."""
    exact = folder / name
    if exact.exists() or not folder.is_dir():
        return exact
    return next((one for one in sorted(folder.iterdir()) if one.name.lower() == name.lower()), exact)
