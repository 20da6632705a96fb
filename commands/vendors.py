"""`nlbgen vendors`: which vendor can do what."""

from typing import TYPE_CHECKING

import click

from . import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .tables import Block, Style

_COLOURS: "dict[str, Style]" = {"yes": "green", "since": "cyan", "fallback": "yellow", "no": "red"}


@click.command(short_help="Show which vendor has which feature.")
@click.option(
    "--format", "style", type=click.Choice(["text", "json", "markdown"]), default="text", help="How it is shown."
)
def command(style: str) -> None:
    """Show which vendor has which feature, from which version on, and what can be accepted."""
    from ..generators import matrix

    if style == "json":
        console.show(matrix.as_data())
    elif style == "markdown":
        console.show(matrix.as_markdown())
    else:
        console.show(matrix.as_text(), _view)


def _view() -> "Iterator[Block]":
    """The matrix, then the notes."""
    from ..generators import matrix
    from ..generators.base import all_generators
    from ..generators.features import FEATURES
    from .tables import Cell, Line, Table

    vendors = all_generators()
    answers = {feature: [matrix.cell(vendor, feature) for vendor in vendors] for feature in FEATURES}
    yield Table(
        [Cell("feature"), *(Cell(vendor.title, note=f"{vendor.oldest} to {vendor.newest}") for vendor in vendors)],
        [
            [Cell(feature.title), *(Cell(one.answer, _COLOURS[one.answer.split()[0]]) for one in found)]
            for feature, found in answers.items()
        ],
    )
    for feature, found in answers.items():
        for vendor, one in zip(vendors, found, strict=True):
            if one.note:
                yield Line(f"{vendor.title}, {feature.title}: {one.note}")
            if one.note and one.accept:
                yield Line(f"    accept: [{one.accept}]", "dim")
