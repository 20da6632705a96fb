"""Unpack a bundle: check it completely, write it to a folder next to the destination, rename that folder."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..core import interrupts, locks
from ..core.artifacts import PLAIN_MODE, SECRET_MODE
from ..core.errors import FileError, UsageError
from ..core.files import write_atomically
from . import manifest, sealing
from .checking import Bundle
from .manifest import MANIFEST
from .sealing import Opener


class Unpacked(NamedTuple):
    """The files that were written."""

    files: tuple[str, ...]
    """Names below the folder, with slashes."""
    secret: frozenset[str]
    """Those with unencrypted secrets."""
    sealed: frozenset[str]
    """Those that are still encrypted."""
    kept: Path | None
    """The new path of the folder that was there before."""


class _Output(NamedTuple):
    path: str
    content: bytes
    secret: bool


def extract(bundle: Bundle, folder: Path, opener: Opener | None = None, *, force: bool = False) -> Unpacked:
    """Write a checked bundle's files below `folder`, all of them or none; `opener` decrypts those with secrets.

    A folder that is not empty is refused, or with `force` renamed. Raises UsageError,
    FileError, or NlbgenError where something cannot be decrypted.
    """
    # All is decrypted before anything is written, and what is secret is written last.
    outputs = sorted(_outputs(bundle, opener), key=lambda output: output.secret)
    place = _place(folder, force=force)
    with _scratch(place) as scratch:
        for output in outputs:
            write_atomically(scratch / output.path, output.content, mode=SECRET_MODE if output.secret else PLAIN_MODE)
        kept = _moved_in(scratch, place, folder)
    paths = tuple(output.path for output in outputs)
    sealed = frozenset(entry.path for entry in bundle.manifest.files if entry.secret) & frozenset(paths)
    encrypted = bundle.manifest.secrets == "encrypted"
    clear = frozenset(output.path for output in outputs if output.secret) - (sealed if encrypted else frozenset())
    return Unpacked(paths, clear, sealed if encrypted else frozenset(), kept)


@contextlib.contextmanager
def _scratch(place: Path) -> Iterator[Path]:
    """Make the folder beside `place` that becomes it; afterwards it is gone, whatever happened.

    Only a run that was killed leaves its folder, with decrypted secrets: the next run for the same `place` removes it.
    """
    scratch = place.with_name(f".{place.name}.nlbgen-tmp")
    with contextlib.ExitStack() as stack:
        try:
            scratch.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locks.locked(place))
            _remove(scratch)
            scratch.mkdir(mode=0o755)
        except locks.LockedError as error:
            raise FileError(
                f"{place}: another run of nlbgen is writing this folder ({error})",
                f"wait until it ends; if that process no longer exists, delete {locks.lock_file(place)}",
            ) from None
        except OSError as error:
            raise FileError(
                f"{scratch}: cannot be made: {error.strerror}", "check the permissions of its folder"
            ) from None
        try:
            yield scratch
        finally:
            with interrupts.ignored():
                shutil.rmtree(scratch, ignore_errors=True)


def _remove(scratch: Path) -> None:
    """Remove what an earlier run left; a link is removed itself, never what it leads to."""
    if scratch.is_symlink() or scratch.is_file():
        scratch.unlink()
    elif scratch.exists():
        shutil.rmtree(scratch)


def _outputs(bundle: Bundle, opener: Opener | None) -> Iterator[_Output]:
    yield _Output(MANIFEST, manifest.written(bundle.manifest), secret=False)
    for entry in bundle.manifest.files:
        content = bundle.contents[entry.path]
        if entry.secret and bundle.manifest.secrets == "encrypted" and opener is not None:
            yield _Output(entry.path.removesuffix(sealing.ENDING), opener.open(content, entry.path), secret=True)
        else:
            yield _Output(entry.path, content, secret=entry.secret)


def _place(folder: Path, *, force: bool) -> Path:
    """Return the folder's full path; raises UsageError where nothing may be written there."""
    if folder.is_symlink():
        raise UsageError(f"{folder} is a link", "give the folder itself, or a folder that does not exist yet")
    try:
        place = folder.resolve()
        if place == Path.cwd() or place in Path.cwd().parents:
            raise UsageError(f"{folder} is the current folder", "choose a folder that does not exist yet")
        occupied = place.exists() and (not place.is_dir() or any(place.iterdir()))
    except (OSError, ValueError, RuntimeError) as error:
        raise FileError(f"{folder}: cannot be read: {error}", "choose another folder") from None
    if occupied and not place.is_dir():
        raise UsageError(f"{folder} is a file", "choose a folder that does not exist yet")
    if occupied and not force:
        raise UsageError(f"{folder} is not empty", "choose another folder, or rename this one with --force")
    return place


def _moved_in(scratch: Path, place: Path, folder: Path) -> Path | None:
    """Rename the finished folder to its destination; restore what stood there if that fails."""
    kept = None
    try:
        if place.exists():
            kept = _put_aside(place)
        try:
            scratch.rename(place)
        except OSError:
            if kept is not None:
                kept.rename(place)
            raise
    except OSError as error:
        hint = "close programs that have files of this folder open, check its permissions, or choose another folder"
        raise FileError(f"{folder}: cannot be renamed to its final name: {error.strerror}", hint) from None
    return kept


def _put_aside(place: Path) -> Path | None:
    """Remove an empty folder; rename any other one to the next free name that ends with `.old`."""
    if not any(place.iterdir()):
        place.rmdir()
        return None
    kept = place.with_name(f"{place.name}.old")
    number = 1
    while kept.exists() or kept.is_symlink():
        number += 1
        kept = place.with_name(f"{place.name}.old{number}")
    return place.rename(kept)
