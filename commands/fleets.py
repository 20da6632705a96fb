"""Fleets: many farms in one run; after a farm that fails, the run continues with the next."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ..core.errors import NlbgenError
from . import console

PROGRESS_FROM = 20
"""From this number of farms on, a terminal shows a progress bar."""


class Failures:
    """Continues after a farm that fails, and keeps the highest exit code; the error of a single farm is raised."""

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
        """Exit with the highest exit code, if any farm failed."""
        if self._worst:
            raise console.Exit(self._worst)


def progress(files: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the files; for many files a terminal shows a progress bar."""
    if len(files) < PROGRESS_FROM or console.is_quiet() or not sys.stderr.isatty():
        yield from files
        return
    with click.progressbar(files, label="farms", file=sys.stderr) as bar:
        yield from bar
