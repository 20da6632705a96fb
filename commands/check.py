"""`nlbgen check`: errors and warnings of specs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.errors import SpecError
from . import console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..generators.output import Fleet
    from ..spec.reports import Result
    from .tables import Block


@click.command()
@console.SPEC
@click.option(
    "--format", "style", type=click.Choice(["text", "json", "github"]), default="text", help="The output format."
)
@click.option("--strict", is_flag=True, help="Exit with 3 if there are warnings.")
def command(specs: tuple[Path, ...], style: str, strict: bool) -> None:
    """List all errors and warnings of a spec, each with its location and a fix."""
    from ..generators.output import Fleet, spec_files
    from ..spec import reports

    files = spec_files(specs or console.default_specs())
    fleet = Fleet(Path(), single=len(files) == 1)
    results = [_check_one(file, fleet, strict=strict) for file in files]
    if style == "text":
        console.show(reports.text(results), lambda: _view(results))
        console.info(reports.summary(results))
    else:
        console.show(reports.STYLES[style](results))
    worst = max(result.exit_code for result in results)
    if worst:
        raise console.Exit(worst)


def _view(results: "Sequence[Result]") -> "Iterator[Block]":
    from . import tables

    return tables.problems(problem for result in results for problem in result.problems)


def _check_one(file: Path, fleet: "Fleet", *, strict: bool) -> "Result":
    from ..export import findings
    from ..spec.load import load
    from ..spec.reports import Result

    try:
        spec = load(file)
        fleet.folder(spec)
    except SpecError as error:
        return Result(str(file), "", error.problems, SpecError.exit_code)
    for note in findings.notes(spec):
        console.info(note)
    return findings.check(spec, strict=strict)
