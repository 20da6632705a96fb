"""Files that are whole or absent: written beside their place and renamed into it."""

import os
from pathlib import Path

from . import activity
from .errors import FileError


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644, durable: bool = False) -> None:
    """Put `content` at `path`, with these permission bits where the system has such; folders are made as needed.

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
        raise FileError(f"{path}: cannot be written: {error.strerror}", _way_out(path)) from None
    except BaseException:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise


def _create(path: Path, mode: int) -> tuple[int, Path]:
    """An empty file beside `path`, and its descriptor; the folders are made when they turn out to be missing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    for _attempt in range(2):
        try:
            return os.open(temporary, flags, mode), temporary
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:  # left by a process that was killed and had our number
            temporary.unlink()
    return os.open(temporary, flags, mode), temporary


def is_folder(path: Path) -> bool:
    """Whether a folder stands there; false also where that cannot be found out."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _way_out(path: Path) -> str:
    if is_folder(path):
        return "a folder stands there: remove it, or choose another place with -o"
    return "check the folder's rights and its free space, or choose another place with -o"


def read_bytes(path: Path) -> bytes | None:
    """The file's content, or None where there is none; raises FileError where it may not be read."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}", _way_out(path)) from None
    activity.note(f"file read: {path}")
    return content
