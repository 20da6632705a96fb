"""`nlbgen render VENDOR --against FILE`: what changes in behaviour if the rendered configuration replaces FILE."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..core.errors import UsageError
from . import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..compare.comparison import Comparison
    from .tables import Block, Style

_HINT: Final = "use it for one load balancer and one spec, as in `nlbgen render haproxy --against haproxy.cfg`"


def show_against(names: tuple[str, ...], files: tuple[Path, ...], against: Path, style: str) -> None:
    """Print the comparison. Raises UsageError unless there are one vendor and one spec."""
    from ..compare.comparison import compare
    from ..compare.report import data, summary, text
    from ..spec.load import load

    console.on_refusal("nothing was compared")
    if len(names) != 1 or len(files) != 1:
        what = "vendor" if len(names) != 1 else "spec"
        raise UsageError(f"--against compares one {what}", _HINT)
    spec = load(files[0])
    console.show_warnings(spec)
    found = compare(spec, names[0], against)
    if style == "json":
        console.show(data(found))
    else:
        console.show(text(found), lambda: _view(found))
    console.info(summary(found))
    for note in found.notes:
        console.info(note)


def _view(found: "Comparison") -> "Iterator[Block]":
    from ..compare.report import pieces
    from .tables import Line

    styles: dict[str, Style] = {"new": "red", "stays": "yellow", "cured": "green", "value": "bold", "statement": "cyan"}
    for piece in pieces(found):
        yield Line(piece.text, styles.get(piece.kind, "dim"), 0)
