"""Change the nodes' files in place: all or none, each atomically, each with a backup.

Everything that can fail comes first: the new bytes and the backups are on disk before the first file is replaced. A
file is replaced by a rename inside its folder, so that a reader sees the old file or the new one. After a later
failure or an interrupt the old bytes are restored. The files are locked: no other run of nlbgen changes them meanwhile.
"""

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ..core import activity, interrupts
from ..core.errors import NodeError
from ..core.files import content as content_of
from ..core.files import discard
from .config.appsettings import JsonDocument
from .config.webconfig import Document
from .locks import locked
from .planning import FarmPlan
from .replacing import create, name_exclusively, replace, sync_folder

ConfigFile = Document | JsonDocument
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

    document: ConfigFile
    content: bytes
    target: Path
    new: Path
    backup: Path
    mode: int = 0
    done: bool = False


def apply(farm_plan: FarmPlan, now: datetime) -> list[WrittenFile]:
    """Carry out the plan; `now` dates the backups.

    Raises MissingSecretError for a plan without its secrets. After a NodeError every file is unchanged, unless its
    message names files that could not be restored. The same is true after a KeyboardInterrupt: SIGINT, SIGTERM and
    SIGHUP take effect only between two files.
    """
    if farm_plan.missing is not None:
        raise farm_plan.missing
    files = [(document, content) for node in farm_plan.nodes for document, content in node.files]
    looked_at = [document for node in farm_plan.nodes for document in node.config.files]
    return change(files, looked_at, now)


def change(
    files: Sequence[tuple[ConfigFile, bytes]], looked_at: Sequence[ConfigFile], now: datetime
) -> list[WrittenFile]:
    """Give each of these files its new bytes; `looked_at` are all files that the plan depends on. See `apply`."""
    with interrupts.deferred() as check_interrupts, contextlib.ExitStack() as stack:
        with _translated("nothing was changed"):
            for document, _content in files:
                _require_own(document)
            changed, read = ((one.path.resolve() for one in part) for part in ([one for one, _ in files], looked_at))
            stack.enter_context(locked(changed, read))
        return _applied(files, looked_at, now, check_interrupts)


def _applied(
    files: Sequence[tuple[ConfigFile, bytes]],
    looked_at: Sequence[ConfigFile],
    now: datetime,
    check_interrupts: Callable[[], None],
) -> list[WrittenFile]:
    staged: list[_Staged] = []
    try:
        with _translated("nothing was changed"):
            for document, content in files:
                check_interrupts()
                _stage(document, content, now, staged)
        for document in looked_at:
            _check_unchanged(document)
        _commit(staged, check_interrupts)
    except BaseException:
        _undo(staged)
        raise
    finally:
        for one in staged:
            discard(one.new)
    return [WrittenFile(one.document.path, _as_named(one), one.mode) for one in staged]


def _as_named(one: _Staged) -> Path:
    """The backup's path as the user writes it, unless the file is a link to another folder."""
    named = one.document.path.with_name(one.backup.name)
    return named if named.parent.resolve() == one.backup.parent else one.backup


def _require_own(document: ConfigFile) -> None:
    """Raise NodeError for a file that cannot simply be replaced: a pipe, a device, or one of several hard links."""
    try:
        state = document.path.stat()
    except OSError as error:
        raise _unreadable(document, error) from None
    if not stat.S_ISREG(state.st_mode):
        raise NodeError(
            f"{document.path}: is not a regular file; nothing was changed", "give the path of the node's config file"
        )
    if state.st_nlink > 1:
        raise NodeError(
            f"{document.path}: is one of {state.st_nlink} hard links to the same file. nlbgen writes a new file, "
            "so the other links would keep the old content; nothing was changed",
            "replace the link by a copy of the file, or write the path of a copy as `config`",
        )


def _stage(document: ConfigFile, content: bytes, now: datetime, staged: list[_Staged]) -> None:
    target = document.path.resolve()
    _sweep(target)
    state = target.stat()
    new = target.with_name(f".{target.name}.nlbgen-{os.getpid()}.tmp")
    mode = 0 if sys.platform == "win32" else stat.S_IMODE(state.st_mode)
    one = _Staged(document, content, target, new, target, mode)
    staged.append(one)
    create(new, content, target, state)
    one.backup = _back_up(document.raw, target, state, now)


def _sweep(target: Path) -> None:
    """Remove the temporary files of a killed run: they can contain keys. A running one holds the lock."""
    for left in target.parent.glob(f".{target.name}.nlbgen-*.tmp"):
        left.unlink(missing_ok=True)


def _back_up(raw: bytes, target: Path, state: os.stat_result, now: datetime) -> Path:
    """Write the old bytes to a new file, which never replaces an older backup."""
    temporary = target.with_name(f".{target.name}.nlbgen-{os.getpid()}b.tmp")
    try:
        create(temporary, raw, target, state)
        for name in _backup_names(target, now):
            try:
                name_exclusively(temporary, name)
            except FileExistsError:
                continue
            return name
    finally:
        discard(temporary)
    raise NodeError(
        f"{target.parent}: contains {_BACKUPS_A_SECOND - 1} backups of the same second", "run the command again"
    )


def _backup_names(target: Path, now: datetime) -> Iterator[Path]:
    dated = f"{target.name}.{now:%Y%m%d-%H%M%S}"
    yield target.with_name(f"{dated}.bak")
    for number in range(2, _BACKUPS_A_SECOND):
        yield target.with_name(f"{dated}-{number}.bak")


def _check_unchanged(document: ConfigFile) -> None:
    try:
        current = content_of(document.path)
    except OSError as error:
        raise _unreadable(document, error) from None
    if current != document.raw:
        raise NodeError(
            f"{document.path}: was changed since the plan was made; nothing was changed",
            "review the new plan with `nlbgen nodes plan`, then apply it",
        )


def _unreadable(document: ConfigFile, error: OSError) -> NodeError:
    return NodeError(
        f"{document.path}: cannot be read again: {error.strerror}; nothing was changed",
        "copy the node's config file to this path, then run `nlbgen nodes plan`",
    )


def _commit(staged: Sequence[_Staged], check_interrupts: Callable[[], None]) -> None:
    with _translated("all files are unchanged"):
        for one in staged:
            _check_unchanged(one.document)
            check_interrupts()
            # Set before the replacement: otherwise an error between the two would leave the new file.
            one.done = True
            replace(one.new, one.target)
            activity.note(f"file written: {one.target}")
        for folder in dict.fromkeys(one.target.parent for one in staged):
            sync_folder(folder)


def _undo(staged: Sequence[_Staged]) -> None:
    """Restore the old bytes of replaced files; remove the backups of files that were not replaced."""
    failed = []
    for one in staged:
        if one.done and (reason := _restore(one)):
            failed.append(f"{one.target} from {one.backup} ({reason})")
        elif one.backup != one.target:
            discard(one.backup)
    if failed:
        raise NodeError(
            f"not every file was written, and the rollback failed for: {', '.join(failed)}",
            "compare each file with its backup; if they differ, copy the backup over the file by hand",
        )


def _restore(one: _Staged) -> str:
    """Restore the old bytes if the file has those of this run; return the reason if that is not possible, else ""."""
    try:
        current = content_of(one.target)
        if current == one.document.raw:
            return ""
        if current != one.content:
            return "another program has changed the file since"
        discard(one.new)
        create(one.new, one.document.raw, one.backup, one.backup.stat())
        replace(one.new, one.target)
    except OSError as error:
        return error.strerror or str(error)
    return ""


@contextlib.contextmanager
def _translated(state: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise NodeError(
            f"{where}cannot be written: {error.strerror or error}; {state}",
            "check the permissions and the free space of the folder; if the file belongs to another user, run nlbgen "
            "as an administrator, because the new file gets the same owner",
        ) from None
