"""Unpacking a bundle: checked as a whole first, written beside its place, then renamed into it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..core.artifacts import PLAIN_MODE, SECRET_MODE
from ..core.errors import FileError, UsageError
from ..core.files import write_atomically
from . import manifest, sealing
from .checking import Bundle
from .manifest import MANIFEST
from .sealing import Opener


class Unpacked(NamedTuple):
    """What was written."""

    files: tuple[str, ...]
    """Names below the folder, with slashes."""
    secret: frozenset[str]
    """Which of these hold secrets in the clear."""
    sealed: frozenset[str]
    """Which of these are still encrypted."""
    kept: Path | None
    """Where the folder is now that stood there before."""


class _Output(NamedTuple):
    path: str
    content: bytes
    secret: bool


def extract(bundle: Bundle, folder: Path, opener: Opener | None = None, *, force: bool = False) -> Unpacked:
    """Write a checked bundle's files below `folder`, all of them or none, encrypted ones opened where `opener` can.

    A folder that holds something is refused, or with `force` put aside under another name. Raises UsageError,
    FileError, or NlbgenError where something cannot be decrypted.
    """
    outputs = list(_outputs(bundle, opener))
    place = _place(folder, force=force)
    scratch = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        scratch.parent.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(mode=0o755)
    except OSError as error:
        raise FileError(
            f"{scratch}: cannot be made: {error.strerror}", "check the rights of its folder; remove it if a run left it"
        ) from None
    try:
        for output in outputs:
            write_atomically(scratch / output.path, output.content, mode=SECRET_MODE if output.secret else PLAIN_MODE)
        kept = _moved_in(scratch, place, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    paths = tuple(output.path for output in outputs)
    sealed = frozenset(entry.path for entry in bundle.manifest.files if entry.secret) & frozenset(paths)
    encrypted = bundle.manifest.secrets == "encrypted"
    clear = frozenset(output.path for output in outputs if output.secret) - (sealed if encrypted else frozenset())
    return Unpacked(paths, clear, sealed if encrypted else frozenset(), kept)


def _outputs(bundle: Bundle, opener: Opener | None) -> Iterator[_Output]:
    yield _Output(MANIFEST, manifest.written(bundle.manifest), secret=False)
    for entry in bundle.manifest.files:
        content = bundle.contents[entry.path]
        if entry.secret and bundle.manifest.secrets == "encrypted" and opener is not None:
            yield _Output(entry.path.removesuffix(sealing.ENDING), opener.open(content, entry.path), secret=True)
        else:
            yield _Output(entry.path, content, secret=entry.secret)


def _place(folder: Path, *, force: bool) -> Path:
    """The folder's full path; raises UsageError where nothing may be written there."""
    if folder.is_symlink():
        raise UsageError(f"{folder} is a link", "name the folder itself, or one that does not exist yet")
    try:
        place = folder.resolve()
        if place == Path.cwd() or place in Path.cwd().parents:
            raise UsageError(f"{folder} is the folder you are in", "name one that does not exist yet")
        occupied = place.exists() and (not place.is_dir() or any(place.iterdir()))
    except (OSError, ValueError, RuntimeError) as error:
        raise FileError(f"{folder}: cannot be looked at: {error}", "name another folder") from None
    if occupied and not place.is_dir():
        raise UsageError(f"{folder} is a file", "name a folder, best one that does not exist yet")
    if occupied and not force:
        raise UsageError(f"{folder} is not empty", "name another folder, or put this one aside with --force")
    return place


def _moved_in(scratch: Path, place: Path, folder: Path) -> Path | None:
    """Rename the finished folder into its place; what stood there comes back if that fails."""
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
        way_out = "close what has files of it open, check its rights, or name another folder"
        raise FileError(f"{folder}: cannot be put in place: {error.strerror}", way_out) from None
    return kept


def _put_aside(place: Path) -> Path | None:
    """Remove an empty folder; give any other one the next free name that ends with `.old`."""
    if not any(place.iterdir()):
        place.rmdir()
        return None
    kept = place.with_name(f"{place.name}.old")
    number = 1
    while kept.exists() or kept.is_symlink():
        number += 1
        kept = place.with_name(f"{place.name}.old{number}")
    return place.rename(kept)
