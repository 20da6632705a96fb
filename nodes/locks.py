"""Locks of the nodes' files: two runs of nlbgen never change the same file at the same time."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..core import locks
from ..core.errors import NodeError


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
                stack.enter_context(locks.locked(path))
            except locks.LockedError as error:
                raise _changed_by_another_run(path, error) from None
            except OSError:
                if wanted[path]:
                    raise
        yield


def _changed_by_another_run(path: Path, error: locks.LockedError) -> NodeError:
    return NodeError(
        f"{path}: another run of nlbgen is changing this file ({error}); nothing was changed",
        "wait until that run ends, then run the command again. If no such run exists any more, for example "
        f"because its machine lost the connection to a share, delete {locks.lock_file(path)}",
    )
