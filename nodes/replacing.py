"""Replace a file by another one with the same owner, mode and access rules; name a file without replacing another."""

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import Final

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


def create(path: Path, content: bytes, like: Path, state: os.stat_result) -> None:
    """Write a new file with these bytes and the owner and permissions of another one, and sync it to disk."""
    descriptor = os.open(path, _FLAGS, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor, not a path
        file.write(content)
        file.flush()
        _dress(descriptor, like, state)
        os.fsync(descriptor)


def _dress(descriptor: int, like: Path, state: os.stat_result) -> None:
    """Copy owner, group, access rules and mode, if the system has them; the owner first, because it resets the mode."""
    if sys.platform == "win32":
        return  # ReplaceFileW keeps them
    made = os.fstat(descriptor)
    if (made.st_uid, made.st_gid) != (state.st_uid, state.st_gid):
        os.fchown(descriptor, state.st_uid, state.st_gid)
    if sys.platform == "linux":
        for name in os.listxattr(like):
            with contextlib.suppress(OSError):  # some can be set only by the system
                os.setxattr(descriptor, name, os.getxattr(like, name))
    os.fchmod(descriptor, stat.S_IMODE(state.st_mode))


def name_exclusively(temporary: Path, name: Path) -> None:
    """Rename a finished file to a name that does not exist; raises FileExistsError."""
    try:
        name.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if name.exists():
            raise FileExistsError(name) from None
        temporary.rename(name)


def replace(new: Path, target: Path) -> None:
    """Replace `target` by `new` in one step: a reader sees the old file or the new one."""
    if sys.platform == "win32":
        import ctypes

        # ReplaceFileW keeps the access rules and attributes of the file that is replaced; a rename would not.
        if not ctypes.windll.kernel32.ReplaceFileW(str(target), str(new), None, 0, None, None):
            raise ctypes.WinError()
    else:
        new.replace(target)


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to disk."""
    if sys.platform == "win32":
        return  # folders cannot be synced there
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
