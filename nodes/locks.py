"""Locks of the nodes' files: two runs of nlbgen never change the same file at the same time.

A lock is the operating system's, on a small file beside the locked one. The system releases it when the process ends,
also after a kill: a lock file that was left behind locks nothing, and the next run uses and removes it.
"""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from ..core.errors import NodeError
from .replacing import discard

_FLAGS: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_BEYOND: Final = 1 << 20
"""The locked byte. Windows forbids others to read a locked byte, and they must read the owner's name before it."""
_LONGEST_OWNER: Final = 200


@contextlib.contextmanager
def locked(changed: Iterable[Path], read: Iterable[Path]) -> Iterator[None]:
    """Lock files for the block: those to change, and those that the plan only read.

    All paths are resolved. Raises NodeError if another run has locked one of them, and OSError if one to change cannot
    be locked. A file that was only read needs no lock if the user must not write to its folder.
    """
    wanted = dict.fromkeys(read, False) | dict.fromkeys(changed, True)
    with contextlib.ExitStack() as stack:
        for path in sorted(wanted):
            try:
                stack.enter_context(_locked(path))
            except OSError:
                if wanted[path]:
                    raise
        yield


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    path = lock_file(target)
    descriptor = _taken(path, target)
    try:
        yield
    finally:
        _release(descriptor, path)


def lock_file(target: Path) -> Path:
    """The path of a file's lock file."""
    return target.with_name(f".{target.name}.nlbgen-lock")


def _taken(path: Path, target: Path) -> int:
    """Return the descriptor of the locked file; it is the one that `path` names, not one that a run has removed."""
    while True:
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            _lock(descriptor, path, target)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    _sign(descriptor)
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, path: Path, target: Path) -> None:
    """Lock the file without waiting; raises NodeError if another run has locked it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _BEYOND, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # Windows reports a locked byte as a missing permission
        raise NodeError(
            f"{target}: another run of nlbgen is changing this file ({_owner(descriptor)}); nothing was changed",
            "wait until it ends, then run the command again; if that process no longer exists, for example because its "
            f"machine lost the connection to a share, delete {path}",
        ) from None


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
