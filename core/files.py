"""Files: read only regular ones, write atomically (to a temporary file in the same folder, which is then renamed)."""

import contextlib
import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from . import activity
from .errors import FileError

_STREAM: Final = re.compile(r"/dev/(?:stdin|stdout|stderr|fd/\d+)|/proc/(?:self|\d+)/fd/\d+")
"""The names of open files: a shell passes them for `<(command)`."""
_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)

_DISK: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOENT}
"""The errors of a write, which name no file; ENOENT if there is no usable temporary folder."""
_MAX_PATH: Final = 260
"""MAX_PATH of Windows, with the NUL at the end. For a longer path, Windows reports that it does not exist."""

# Reading


class NotRegularError(OSError):
    """A path names no regular file; `strerror` is the reason."""


def content(path: Path, limit: int = -1) -> bytes:
    """Return the bytes of a regular file; with a `limit`, at most one byte more, so that the caller can compare.

    `/dev/stdin`, `/dev/fd/N` and a shell's `<(command)` are read until their end. Anything else that is no regular file
    raises NotRegularError: a read of a named pipe or a device might never return. Raises OSError.
    """
    require_regular(path)
    with path.open("rb") as file:
        found = file.read(limit + 1 if limit >= 0 else -1)
    activity.note(f"file read: {path}")
    return found


def require_regular(path: Path) -> None:
    """Raise NotRegularError if the path names neither a regular file nor an open stream; raises OSError."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode) and not _STREAM.fullmatch(path.as_posix()):
        raise NotRegularError(errno.EINVAL, f"it is {_kind(mode)}, not a regular file", str(path))


def _kind(mode: int) -> str:
    return next((name for test, name in _KINDS if test(mode)), "a device")


def hint_for(error: OSError, otherwise: str) -> str:
    """Return the fix for an error of `content`; `otherwise` if the path names a regular file."""
    if isinstance(error, NotRegularError):
        return "give a regular file; to read from a pipe, give /dev/stdin"
    return otherwise


def read_bytes(path: Path) -> bytes | None:
    """Return the file's content, or None if it does not exist; raises FileError if it cannot be read."""
    try:
        return content(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}", hint_for(error, _hint(path))) from None


def relative(path: Path, folder: Path) -> str:
    """The path as seen from a folder, with slashes; an absolute path if it is on another drive of Windows."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # no relative path leads to another drive
        return path.resolve().as_posix()


def is_folder(path: Path) -> bool:
    """Whether the path is a folder; false if that cannot be read."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _hint(path: Path, error: OSError | None = None, option: str = "-o") -> str:
    if error is not None and error.errno in {errno.ENOENT, errno.ENAMETOOLONG}:
        length = len(str(_temporary(path.absolute())))
        if length >= _MAX_PATH:
            return (
                f"the path is too long: with the name of its temporary file, it has {length} characters, and Windows "
                f"allows {_MAX_PATH - 1} where long paths are not enabled; choose a shorter path with {option}"
            )
    if is_folder(path):
        return f"it is a folder: remove it, or choose another path with {option}"
    return f"check the permissions and the free space of the folder, or choose another path with {option}"


# Writing


def write_atomically(
    path: Path, content: bytes, *, mode: int = 0o644, durable: bool = False, option: str = "-o"
) -> None:
    """Write `content` to `path` with the permission bits `mode` (on POSIX); missing folders are created.

    A reader sees the old file or the new one, never a part. With `durable` the bytes are on the disk when this
    returns. `option` is the command's option for the path. Raises FileError, also for a named pipe or a device,
    because the new file would replace it.
    """
    temporary: Path | None = None
    try:
        _require_replaceable(path)
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
        hint = "choose the path of a file" if isinstance(error, NotRegularError) else _hint(path, error, option)
        raise FileError(f"{path}: cannot be written: {error.strerror}", hint) from None
    except BaseException:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise


def _require_replaceable(path: Path) -> None:
    if _STREAM.fullmatch(path.as_posix()):
        raise NotRegularError(errno.EINVAL, "it is an open stream, not a regular file", str(path))
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        require_regular(path)


def _create(path: Path, mode: int) -> tuple[int, Path]:
    """Create an empty file beside `path`, and missing folders; return its descriptor and its path."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    temporary = _temporary(path)
    for _attempt in range(2):
        try:
            return os.open(temporary, flags, mode), temporary
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:  # left by a killed process with the same process id
            temporary.unlink()
    return os.open(temporary, flags, mode), temporary


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def discard(path: Path) -> None:
    """Remove a file if that is possible."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


# Temporary folders


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a temporary folder, which is removed afterwards; translates errors like `scratch_errors`."""
    with scratch_errors(), tempfile.TemporaryDirectory(prefix="nlbgen-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def scratch_errors() -> Iterator[None]:
    """Turn the OSError of a file in the block, which works in a temporary folder, into a FileError."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno not in _DISK:
            raise
        raise FileError(
            f"{error.filename or tempfile.tempdir or 'the temporary folder'}: cannot be written: {error.strerror}",
            "free space on that disk, or set TMPDIR (Windows: TEMP) to a folder on another one",
        ) from None
