"""`nlbgen report`: one HTML page about a farm."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.errors import UsageError
from . import console, fleets

if TYPE_CHECKING:
    from ..spec.load import Spec


@click.command()
@console.SPEC
@click.option(
    "-o",
    "--output",
    type=console.FilePath(stream=True),
    metavar="FILE",
    help="The file, or - for standard output [default: outputs/report.html]; for a fleet, the folder [default: "
    "outputs].",
)
@click.option(
    "--validate", is_flag=True, help="Check the configurations with the installed programs, and show the results."
)
def command(specs: tuple[Path, ...], output: Path | None, validate: bool) -> None:
    """Write one HTML page: findings, topology, configurations, node plan, runbook, checksums.

    The page loads no other files and has no secrets. The pages of a fleet go to FILE/FARM/report.html.
    """
    from ..core.files import is_folder
    from ..export.report import page as report
    from ..generators import output as out
    from ..spec.load import load

    files = out.spec_files(specs or console.default_specs())
    single = len(files) == 1 and (not specs or files[0] in specs)
    if output is console.STDOUT and not single:
        raise UsageError("the reports of several farms need a folder", "give a folder with -o DIR")
    fleet = out.Fleet(output or Path("outputs"), single=single)
    failures = fleets.Failures(single=len(files) == 1)
    for file in fleets.progress(files):
        with failures:
            spec = load(file)
            page = report.render(spec, verdict=_Verdict(spec) if validate else None)
            place = fleet.folder(spec)
            named = place is console.STDOUT or (single and output is not None and not is_folder(place))
            console.deliver(page, place if named else place / report.FILE)
    failures.finish()


class _Verdict:
    """Gets the verdict of the installed program on one farm, one vendor at a time."""

    def __init__(self, spec: "Spec") -> None:
        self._spec = spec

    def __call__(self, vendor: str) -> str:
        from ..generators.output import verdicts

        return verdicts(self._spec, [vendor])[vendor]
