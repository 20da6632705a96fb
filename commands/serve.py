"""`nlbgen serve`: the page that runs nlbgen in a browser, on this machine only."""

from pathlib import Path

import click

from . import console


@click.command()
@click.argument("folder", required=False, type=console.FilePath(file_okay=False), metavar="[DIR]")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8470, show_default=True, help="The port, or 0 for a free one."
)
@click.option("--open", "opened", is_flag=True, help="Open the page in the default browser.")
def command(folder: Path | None, port: int, opened: bool) -> None:
    """Serve the page that runs nlbgen in a browser, on loopback, until Ctrl+C.

    DIR is the folder that `make site` builds (site/app). Default: the copy of the page in the installed package.
    """
    from ..page import serving

    with serving.Server(serving.page_in(folder), port) as server:
        click.echo(server.url)
        console.info("only this machine can open it; Ctrl+C stops the server")
        if opened:
            click.launch(server.url)
        server.serve_forever()
