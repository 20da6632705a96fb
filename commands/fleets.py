"""Fleets: many farms in one run, of which one may fail and the others go on."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ..core.errors import NlbgenError
from . import console

PROGRESS_FROM = 20
"""From so many farms on, a bar shows how far the work is."""


class Failures:
    """Lets a fleet go on after a farm that fails, and remembers the worst exit code; a single farm just fails."""

    def __init__(self, *, single: bool) -> None:
        self._single = single
        self._worst = 0
        self.count = 0

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if self._single or not isinstance(error, NlbgenError):
            return False
        console.error(error, "this farm was skipped")
        self.count += 1
        self._worst = max(self._worst, error.exit_code)
        return True

    def finish(self) -> None:
        """Leave with the worst exit code, if any farm failed."""
        if self._worst:
            raise console.Exit(self._worst)


def progress(files: tuple[Path, ...]) -> Iterator[Path]:
    """The files, and on a terminal a bar that shows how far the work is, where there are many."""
    if len(files) < PROGRESS_FROM or console.is_quiet() or not sys.stderr.isatty():
        yield from files
        return
    with click.progressbar(files, label="farms", file=sys.stderr) as bar:
        yield from bar
