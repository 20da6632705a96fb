"""Locks: two runs of nlbgen never change the same file or folder at the same time.

A lock is the operating system's, on a small file beside the locked one. The system releases it when the process ends,
also after a kill: a lock file that was left behind locks nothing, and the next run uses and removes it.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .files import discard

_FLAGS: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_BEYOND: Final = 1 << 20
"""The locked byte. Windows forbids others to read a locked byte, and they must read the owner's name before it."""
_LONGEST_OWNER: Final = 200


class LockedError(Exception):
    """Another process holds the lock; its text names that process."""


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of a resolved path for the block; the path itself need not exist.

    Raises LockedError without waiting if another process holds it, and OSError if its folder cannot be written.
    """
    path = lock_file(target)
    descriptor = _taken(path)
    try:
        yield
    finally:
        _release(descriptor, path)


def lock_file(target: Path) -> Path:
    """The path of a file's lock file."""
    return target.with_name(f".{target.name}.nlbgen-lock")


def _taken(path: Path) -> int:
    """Return the descriptor of the locked file; it is the one that `path` names, not one that a run has removed."""
    while True:
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            _lock(descriptor)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    _sign(descriptor)
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock the file without waiting; raises LockedError if another process has locked it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _BEYOND, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # Windows reports a locked byte as a missing permission
        raise LockedError(_owner(descriptor)) from None


def _sign(descriptor: int) -> None:
    """Write the name of this process into its lock file."""
    import socket

    os.lseek(descriptor, 0, os.SEEK_SET)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())


def _owner(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    text = os.read(descriptor, _LONGEST_OWNER).decode("utf-8", "replace")
    return "".join(char for char in text if char.isprintable()) or "an unknown process"


def _release(descriptor: int, path: Path) -> None:
    """Remove and unlock the lock file."""
    if sys.platform == "win32":
        os.close(descriptor)  # Windows removes no open file
        discard(path)
        return
    discard(path)
    os.close(descriptor)
