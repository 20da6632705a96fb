"""`nlbgen vendors`: which vendor can do what."""

import click

from . import talk


@click.command()
@click.option(
    "--format", "style", type=click.Choice(["text", "json", "markdown"]), default="text", help="How it is shown."
)
def command(style: str) -> None:
    """Show which vendor has which feature, from which version on, and what can be accepted."""
    from ..generators import matrix

    if style == "json":
        talk.show(matrix.as_data())
    else:
        talk.show(matrix.as_markdown() if style == "markdown" else matrix.as_text())
