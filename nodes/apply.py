"""Change the nodes' files in place: all or none, each atomically, each with a backup.

Everything that can fail comes first: the new bytes and the backups are on disk before the first file is replaced. A
file is replaced by a rename inside its folder, so that a reader sees the old file or the new one. After a later
failure the old bytes are restored.
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
    """One changed file and its backup."""

    path: Path
    backup: Path
    mode: int = 0
    """The permission bits of both; 0 on a system with access rules instead."""

    @property
    def open_to_others(self) -> bool:
        """Whether every user of this machine can read the keys and passwords in it."""
        return bool(self.mode & stat.S_IROTH)


@dataclass(slots=True)
class _Staged:
    """One file before its replacement: the file with the new bytes, and the backup."""

    document: Document
    target: Path
    new: Path
    backup: Path
    mode: int = 0
    done: bool = False


def apply(farm_plan: FarmPlan, now: datetime) -> list[WrittenFile]:
    """Carry out the plan; `now` dates the backups. After a NodeError every file is unchanged."""
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
    """The backup's path as the user writes it, unless the file is a link to another folder."""
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
    """Remove the temporary files of a killed run: they can contain keys."""
    for left in target.parent.glob(f".{target.name}.nlbgen-*.tmp"):
        left.unlink(missing_ok=True)


def _create(path: Path, content: bytes, like: Path, state: os.stat_result) -> None:
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


def _back_up(raw: bytes, target: Path, state: os.stat_result, now: datetime) -> Path:
    """Write the old bytes to a new file, which never replaces an older backup."""
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
    raise NodeError(f"{target.parent}: has too many backups of this second", "move them away and try again")


def _backup_names(target: Path, now: datetime) -> Iterator[Path]:
    dated = f"{target.name}.{now:%Y%m%d-%H%M%S}"
    yield target.with_name(f"{dated}.bak")
    for number in range(2, _BACKUPS_A_SECOND):
        yield target.with_name(f"{dated}-{number}.bak")


def _name_exclusively(temporary: Path, name: Path) -> None:
    """Rename a finished file to a name that does not exist; raises FileExistsError."""
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
    with _translated("all files are unchanged"):
        for one in staged:
            _check_unchanged(one.document)
            # Set before the replacement: otherwise an interrupt between the two would leave the new file.
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
        return  # folders cannot be synced there
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _undo(staged: Sequence[_Staged]) -> None:
    """Restore the old bytes of replaced files; remove the backups of files that were not replaced."""
    failed = []
    for one in staged:
        if one.done and not _restored(one):
            failed.append(one)
        elif one.backup != one.target:
            _discard(one.backup)
    if failed:
        listed = ", ".join(f"{one.target} from {one.backup}" for one in failed)
        raise NodeError(
            f"a node's file could not be written, and the rollback failed for: {listed}",
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
            "check the permissions and the free space of the folder; you need the right to keep the owner of the file",
        ) from None
