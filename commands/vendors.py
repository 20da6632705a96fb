"""`nlbgen vendors`: the features that each vendor supports."""

from typing import TYPE_CHECKING

import click

from . import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..generators.features import Support
    from .tables import Block, Style


@click.command()
@click.argument("names", nargs=-1, metavar="[VENDOR]...", type=console.VendorName())
@click.option(
    "--format", "style", type=click.Choice(["text", "json", "markdown"]), default="text", help="The output format."
)
def command(names: tuple[str, ...], style: str) -> None:
    """Show the features that each vendor supports, from which version on, and the fallbacks with their ids.

    VENDOR is haproxy, nginx, zen or f5; without it, all are shown.
    """
    from ..generators import matrix

    if style == "json":
        console.show(matrix.as_data(names))
    elif style == "markdown":
        console.show(matrix.as_markdown(names))
    else:
        console.show(matrix.as_text(names), lambda: _view(names))


def _colour(support: "Support") -> "Style":
    from ..generators.features import No, Since

    if isinstance(support, Since):
        return "cyan"
    if isinstance(support, No):
        return "yellow" if support.fallback else "red"
    return "green"


def _view(names: tuple[str, ...]) -> "Iterator[Block]":
    """Yield the matrix, then the notes."""
    from ..generators import matrix
    from ..generators.features import FEATURES
    from .tables import Cell, Line, Table

    vendors = matrix.columns(names)
    answers = {feature: [matrix.cell(vendor, feature) for vendor in vendors] for feature in FEATURES}
    yield Table(
        [Cell("feature"), *(Cell(vendor.title, note=f"{vendor.oldest} to {vendor.newest}") for vendor in vendors)],
        [
            [
                Cell(feature.title),
                *(
                    Cell(one.answer, _colour(vendor.support[feature.id]))
                    for vendor, one in zip(vendors, found, strict=True)
                ),
            ]
            for feature, found in answers.items()
        ],
    )
    for feature, found in answers.items():
        for vendor, one in zip(vendors, found, strict=True):
            if one.note:
                yield Line(f"{vendor.title}, {feature.title}: {one.note}")
            if one.note and one.accept:
                yield Line(f"    accept: [{one.accept}]", "dim")
