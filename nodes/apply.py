"""Changing the nodes' files in place: all of them or none, each whole at any moment, each with a backup.

Everything that can fail is done first: the new bytes and the backups are on the disk before the first file is
replaced. Replacing is a rename inside the folder, so whoever reads sees the old file or the new one. A failure after
that puts the old bytes back.
"""

import contextlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ..core import activity
from ..core.errors import NodeError
from .config.webconfig import Document
from .planning import FarmPlan

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_BACKUPS_A_SECOND: Final = 1000


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One file that was changed, and where its old bytes are kept."""

    path: Path
    backup: Path
    mode: int = 0
    """The permission bits that both have kept; 0 where the system has access rules instead."""

    @property
    def open_to_others(self) -> bool:
        """Whether everybody on this machine may read the keys and passwords in it."""
        return bool(self.mode & stat.S_IROTH)


@dataclass(slots=True)
class _Staged:
    """One file on its way: the new bytes beside it, and its backup."""

    document: Document
    target: Path
    new: Path
    backup: Path
    mode: int = 0
    done: bool = False


def apply(farm_plan: FarmPlan, now: datetime) -> list[WrittenFile]:
    """Carry the plan out; `now` dates the backups. Raises NodeError, and then every file is as it was."""
    files = [(document, content) for node in farm_plan.nodes for document, content in node.files]
    looked_at = [document for node in farm_plan.nodes for document in node.config.documents]
    staged: list[_Staged] = []
    try:
        with _translated("nothing was changed"):
            for document, content in files:
                _stage(document, content, now, staged)
        for document in looked_at:
            _check_unchanged(document)
        _commit(staged)
    except BaseException:
        _undo(staged)
        raise
    finally:
        for one in staged:
            _discard(one.new)
    return [WrittenFile(one.document.path, _as_named(one), one.mode) for one in staged]


def _as_named(one: _Staged) -> Path:
    """The backup's path as the user would write it, where the file is no link to another folder."""
    named = one.document.path.with_name(one.backup.name)
    return named if named.parent.resolve() == one.backup.parent else one.backup


def _stage(document: Document, content: bytes, now: datetime, staged: list[_Staged]) -> None:
    target = document.path.resolve()
    _sweep(target)
    state = target.stat()
    if not stat.S_ISREG(state.st_mode):
        raise NodeError(f"{target}: is not a file", "name the node's config file")
    new = target.with_name(f".{target.name}.nlbgen-{os.getpid()}.tmp")
    mode = 0 if sys.platform == "win32" else stat.S_IMODE(state.st_mode)
    one = _Staged(document, target, new, target, mode)
    staged.append(one)
    _create(new, content, target, state)
    one.backup = _back_up(document.raw, target, state, now)


def _sweep(target: Path) -> None:
    """Remove what a killed run left: it may hold keys."""
    for left in target.parent.glob(f".{target.name}.nlbgen-*.tmp"):
        left.unlink(missing_ok=True)


def _create(path: Path, content: bytes, like: Path, state: os.stat_result) -> None:
    """A new file with these bytes, and the owner and the rights of another one, on the disk."""
    descriptor = os.open(path, _FLAGS, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor, not a path
        file.write(content)
        file.flush()
        _dress(descriptor, like, state)
        os.fsync(descriptor)


def _dress(descriptor: int, like: Path, state: os.stat_result) -> None:
    """Owner, group, access rules and mode, where the system has them; the owner first, for that resets the mode."""
    if sys.platform == "win32":
        return  # ReplaceFileW keeps them
    made = os.fstat(descriptor)
    if (made.st_uid, made.st_gid) != (state.st_uid, state.st_gid):
        os.fchown(descriptor, state.st_uid, state.st_gid)
    if sys.platform == "linux":
        for name in os.listxattr(like):
            with contextlib.suppress(OSError):  # some belong to the system alone
                os.setxattr(descriptor, name, os.getxattr(like, name))
    os.fchmod(descriptor, stat.S_IMODE(state.st_mode))


def _back_up(raw: bytes, target: Path, state: os.stat_result, now: datetime) -> Path:
    """The old bytes under a name of their own, which is never that of an older backup."""
    temporary = target.with_name(f".{target.name}.nlbgen-{os.getpid()}b.tmp")
    try:
        _create(temporary, raw, target, state)
        for name in _backup_names(target, now):
            try:
                _name_exclusively(temporary, name)
            except FileExistsError:
                continue
            return name
    finally:
        _discard(temporary)
    raise NodeError(f"{target.parent}: is full of backups of this second", "move them away and try again")


def _backup_names(target: Path, now: datetime) -> Iterator[Path]:
    dated = f"{target.name}.{now:%Y%m%d-%H%M%S}"
    yield target.with_name(f"{dated}.bak")
    for number in range(2, _BACKUPS_A_SECOND):
        yield target.with_name(f"{dated}-{number}.bak")


def _name_exclusively(temporary: Path, name: Path) -> None:
    """Give a finished file a name that no file has; raises FileExistsError."""
    try:
        name.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if name.exists():
            raise FileExistsError(name) from None
        temporary.rename(name)


def _check_unchanged(document: Document) -> None:
    try:
        current = document.path.read_bytes()
    except OSError as error:
        raise NodeError(f"{document.path}: cannot be read again: {error.strerror}", "nothing was changed") from None
    if current != document.raw:
        raise NodeError(
            f"{document.path}: was changed since the plan was made", "nothing was changed; run `nlbgen nodes plan`"
        )


def _commit(staged: Sequence[_Staged]) -> None:
    with _translated("all files are as they were"):
        for one in staged:
            _check_unchanged(one.document)
            # Marked before, not after: an interrupt between the two would leave a new file behind.
            one.done = True
            _replace(one.new, one.target)
            activity.note(f"file written: {one.target}")
        for folder in dict.fromkeys(one.target.parent for one in staged):
            _sync_folder(folder)


def _replace(new: Path, target: Path) -> None:
    if sys.platform == "win32":
        import ctypes

        # ReplaceFileW keeps the access rules and attributes of the file that is replaced; a rename would not.
        if not ctypes.windll.kernel32.ReplaceFileW(str(target), str(new), None, 0, None, None):
            raise ctypes.WinError()
    else:
        new.replace(target)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return  # has no such thing
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _undo(staged: Sequence[_Staged]) -> None:
    """Put the old bytes back where new ones are; backups of a run that changed nothing go."""
    failed = []
    for one in staged:
        if one.done and not _restored(one):
            failed.append(one)
        elif one.backup != one.target:
            _discard(one.backup)
    if failed:
        listed = ", ".join(f"{one.target} from {one.backup}" for one in failed)
        raise NodeError(
            f"a node's file could not be written, and then not everything could be put back: {listed}",
            "copy each backup over its file by hand",
        )


def _restored(one: _Staged) -> bool:
    try:
        if one.target.read_bytes() == one.document.raw:
            return True
        _discard(one.new)
        _create(one.new, one.document.raw, one.backup, one.backup.stat())
        _replace(one.new, one.target)
    except OSError:
        return False
    return True


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _translated(state: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise NodeError(
            f"{where}cannot be written: {error.strerror or error}; {state}",
            "check the rights on the folder and its free space; who changes a file must be able to keep its owner",
        ) from None
