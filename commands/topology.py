"""`nlbgen topology`: draw the farm as a diagram."""

from pathlib import Path

import click

from ..core.errors import UsageError
from . import console, fleets


@click.command()
@console.SPEC
@click.option(
    "--format",
    "style",
    type=click.Choice(["svg", "mermaid", "ascii"]),
    default="svg",
    show_default=True,
    help="svg for browsers, mermaid for Markdown pages, ascii for plain text.",
)
@click.option(
    "-o",
    "--output",
    type=console.FilePath(stream=True),
    metavar="FILE",
    help="The file [default: -, standard output]; for a fleet, the folder (required).",
)
def command(specs: tuple[Path, ...], style: str, output: Path | None) -> None:
    """Draw the farm: clients, balancer, nodes and stores, the encryption of each hop, and single points of failure.

    The diagrams of a fleet go to FILE/FARM/.
    """
    from ..core.files import is_folder
    from ..export.topology.picture import FORMATS, draw, format_named
    from ..generators import output as out
    from ..spec.load import load

    chosen = format_named(style)
    files = out.spec_files(specs or console.default_specs())
    single = len(files) == 1 and (not specs or files[0] in specs)
    output = output or console.STDOUT
    if output is console.STDOUT and not single:
        raise UsageError("the diagrams of several farms need a folder", "give a folder with -o DIR")
    fleet = out.Fleet(output, single=single)
    failures = fleets.Failures(single=len(files) == 1)
    for file in fleets.progress(files):
        with failures:
            spec = load(file)
            picture = draw(spec, chosen)
            place = fleet.folder(spec)
            named = place is console.STDOUT or (single and not is_folder(place))
            console.deliver(picture, place if named else place / FORMATS[chosen])
    failures.finish()
