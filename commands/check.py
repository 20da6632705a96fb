"""`nlbgen check`: errors and warnings of specs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.errors import NodeError, Problem, SpecError, UnsupportedError
from . import console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..generators.output import Fleet
    from ..spec.load import Spec
    from ..spec.reports import Result
    from .tables import Block


@click.command(short_help="List all errors and warnings of a spec.")
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
    from ..generators.base import audit
    from ..spec.load import load
    from ..spec.reports import Result

    try:
        spec = load(file)
        fleet.folder(spec)
    except SpecError as error:
        return Result(str(file), "", error.problems, SpecError.exit_code)
    unsupported = audit(spec)
    unprepared = _node_problems(spec)
    problems = (*spec.warnings, *unsupported, *unprepared)
    code = NodeError.exit_code if any(problem.severity == "error" for problem in unprepared) else 0
    if any(problem.severity == "error" for problem in unsupported):
        code = UnsupportedError.exit_code
    if strict and any(problem.severity == "warning" for problem in problems):
        code = SpecError.exit_code
    return Result(str(file), spec.digest, tuple(sorted(problems, key=lambda p: (p.location, p.id))), code)


def _node_problems(spec: "Spec") -> list[Problem]:
    """Return the problems of the secrets, and of the nodes' config files if the spec names any."""
    named = any(node.config is not None for node in spec.farm.nodes) or spec.farm.keys.source != "primary"
    database, redis = spec.farm.stores.database, spec.farm.stores.redis
    windows = database is None or database.auth == "windows"
    if not named and windows and (redis is None or redis.password is None):
        return []
    from ..nodes.spec_checks import missing_notes, problems, secret_problems

    secrets = secret_problems(spec)
    if not named:
        return secrets
    for note in missing_notes(spec):
        console.info(note)
    return [*secrets, *problems(spec)]
