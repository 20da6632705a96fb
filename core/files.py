"""Atomic writes: to a temporary file in the same folder, which is then renamed."""

import os
from pathlib import Path

from . import activity
from .errors import FileError


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644, durable: bool = False) -> None:
    """Write `content` to `path` with the permission bits `mode` (on POSIX); missing folders are created.

    A reader sees the old file or the new one, never a part. With `durable` the bytes are on the disk when this
    returns. Raises FileError.
    """
    temporary: Path | None = None
    try:
        descriptor, temporary = _create(path, mode)
        with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor, not a path
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
        activity.note(f"file written: {path}")
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise FileError(f"{path}: cannot be written: {error.strerror}", _hint(path)) from None
    except BaseException:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise


def _create(path: Path, mode: int) -> tuple[int, Path]:
    """Create an empty file beside `path`, and missing folders; return its descriptor and its path."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    for _attempt in range(2):
        try:
            return os.open(temporary, flags, mode), temporary
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:  # left by a killed process with the same process id
            temporary.unlink()
    return os.open(temporary, flags, mode), temporary


def is_folder(path: Path) -> bool:
    """Whether the path is a folder; false if that cannot be read."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _hint(path: Path) -> str:
    if is_folder(path):
        return "it is a folder: remove it, or choose another path with -o"
    return "check the permissions and the free space of the folder, or choose another path with -o"


def read_bytes(path: Path) -> bytes | None:
    """Return the file's content, or None if it does not exist; raises FileError if it cannot be read."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}", _hint(path)) from None
    activity.note(f"file read: {path}")
    return content
