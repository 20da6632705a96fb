"""Lines and tables on terminals, in colours and with the width of the terminal.

A command yields blocks, and [`drawn`][nlbgen.commands.tables.drawn] lays them out with rich. A text from a spec or a
device is never interpreted as markup, and its control characters are escaped. Pipes and files get plain text instead,
see [`show`][nlbgen.commands.console.show].
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TextIO

import click

from ..core.wording import legible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from ..core.errors import Location, Problem
    from ..core.excerpt import Excerpt
    from ..core.plan import Plan

Style = Literal["", "bold", "dim", "green", "yellow", "red", "cyan"]

LONGEST_WORD: Final = 20
"""Tables never break a word of up to this many columns: `sha256:` with 12 digits has 19."""
_GAP: Final = 2
_NARROWEST: Final = 20
_KINDS: Final[dict[str, Style]] = {"add": "green", "change": "yellow", "remove": "red"}


class Link(NamedTuple):
    """The file that the first `length` characters of a line name, for terminals with hyperlinks."""

    length: int
    uri: str


class Line(NamedTuple):
    """One line of the plain text. A long line wraps, and the next lines are indented by `hang` more columns.

    With None the terminal wraps it, so that users can copy the line of a file unchanged.
    """

    text: str
    style: Style = ""
    hang: int | None = 2
    link: Link | None = None


class Mark(NamedTuple):
    """A line of a file, with carets in a colour below the location of a problem; the plain text does not have it."""

    excerpt: "Excerpt"
    style: Style


class Cell(NamedTuple):
    """The text of a table cell, and a note below it."""

    text: str
    style: Style = ""
    note: str = ""


class Table(NamedTuple):
    """A header and rows of the same length; `figures` aligns all columns but the first to the right, for numbers."""

    head: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    figures: bool = False


Block = Line | Mark | Table


def problems(found: "Iterable[Problem]") -> Iterator[Block]:
    """Yield problems with their lines: errors red, warnings yellow, hints dim."""
    for problem in found:
        style: Style = "red" if problem.severity == "error" else "yellow"
        yield Line(problem.headline, style, link=_link(problem.location))
        if problem.excerpt is not None:
            yield Mark(problem.excerpt, style)
        if problem.hint:
            yield Line(f"    {problem.hint}", "dim", 0)


def _link(location: "Location") -> Link | None:
    """Return the link to the file of a location; None for a name that is no file, as for a spec in an archive."""
    try:
        file = Path(location.file).absolute()
        return Link(len(legible(str(location))), file.as_uri()) if file.is_file() else None
    except (OSError, ValueError):
        return None


def changes(plan: "Plan") -> Iterator[Line]:
    """Yield the lines of a plan: additions green, changes yellow, removals red."""
    *_, closing = plan.text().splitlines()
    for target in plan.targets:
        found = [change for change in plan.changes if change.target == target]
        yield Line(target, "bold") if found else Line(f"{target}: nothing to change", "green")
        for change in found:
            yield Line(f"  {change}", _KINDS[change.kind])
    yield Line(closing, "bold")


def painted(text: str, blocks: Iterable[Block]) -> str:
    """Return the text in colours if its blocks are lines; with a table, the text stays plain."""
    lines: list[Line] = []
    for block in blocks:
        if isinstance(block, Table):
            return text
        lines += [block] if isinstance(block, Line) else []
    return "".join(f"{_styled(line)}\n" for line in lines)


def _marked(mark: Mark, width: int) -> tuple[Line, Line]:
    line, carets = mark.excerpt.drawn(width)
    return Line(line, "", None), Line(carets, mark.style, None)


def _styled(line: Line) -> str:
    if not (line.text and line.style):
        return legible(line.text, "\t")
    colour = None if line.style in {"bold", "dim"} else line.style
    return click.style(
        legible(line.text, "\t"), colour, bold=line.style == "bold" or None, dim=line.style == "dim" or None
    )


# Layout


def drawn(blocks: Iterable[Block], stream: TextIO, *, colours: bool) -> str:
    """Return the blocks laid out for the terminal of this stream, with or without colours."""
    from rich.console import Console

    terminal = Console(
        file=stream,
        force_terminal=True,
        color_system="standard" if colours else None,
        legacy_windows=False,
        highlight=False,
    )
    terminal.width = max(terminal.width or 80, _NARROWEST)
    with terminal.capture() as captured:
        for block in blocks:
            if isinstance(block, Table):
                _draw_table(terminal, block)
                continue
            for line in (block,) if isinstance(block, Line) else _marked(block, terminal.width):
                _draw_line(terminal, line)
    return captured.get()


def _draw_line(terminal: "Console", line: Line) -> None:
    from rich.style import Style as TextStyle
    from rich.text import Text

    text = legible(line.text if line.hang is not None else line.text.expandtabs())
    body = Text(text.lstrip(" "), line.style)
    if line.link is not None:
        body.stylize(TextStyle(link=line.link.uri), 0, line.link.length)
    begin = len(text) - len(body)
    further = begin + (line.hang or 0)
    room = terminal.width - further
    if line.hang is None or body.__rich_measure__(terminal, terminal.options).minimum > room:
        # The terminal wraps it, so that users can copy a digest in one piece.
        terminal.print(Text(text, line.style), soft_wrap=True)
        return
    for number, part in enumerate(body.wrap(terminal, room) or [Text()]):
        part.rstrip()
        terminal.print(Text(" " * (further if number else begin)) + part, soft_wrap=True)


def _draw_table(terminal: "Console", table: Table) -> None:
    from rich.box import SIMPLE_HEAD, Box
    from rich.table import Table as Layout

    head, *rows = ([_field(cell) for cell in row] for row in (table.head, *table.rows))
    widths = _widths(terminal, [head, *rows])
    if not widths:
        for line in _records(table):
            _draw_line(terminal, line)
        return
    layout = Layout(
        box=Box(str(SIMPLE_HEAD).replace("─", "-"), ascii=True) if terminal.options.ascii_only else SIMPLE_HEAD,
        show_header=any(cell.text for cell in table.head),
        show_edge=False,
        pad_edge=False,
        padding=(0, _GAP - 1, 0, 0),
        leading=int(any(cell.note for cell in chain(*table.rows))),
    )
    for number, (title, width) in enumerate(zip(head, widths, strict=True)):
        to_the_right = table.figures and number
        layout.add_column(title, width=width, overflow="fold", justify="right" if to_the_right else "left")
    for row in rows:
        layout.add_row(*row)
    terminal.print(layout, "")


def _field(cell: Cell) -> "Text":
    from rich.text import Text

    field = Text(legible(cell.text).strip(), cell.style)
    return Text("\n").join([field, Text(legible(cell.note).strip(), "dim")]) if cell.note else field


def _widths(terminal: "Console", rows: "Sequence[Sequence[Text]]") -> list[int]:
    """Return the width of each column; the widest columns shrink until the table fits.

    rich shrinks columns below their `min_width`, which breaks fingerprints. Returns an empty list if words of up to
    `LONGEST_WORD` columns would be broken.
    """
    from rich.measure import measure_renderables

    measured = [measure_renderables(terminal, terminal.options, column) for column in zip(*rows, strict=True)]
    widths, least = [column.maximum for column in measured], [min(column.minimum, LONGEST_WORD) for column in measured]
    room = terminal.width - _GAP * (len(widths) - 1)
    while sum(widths) > room >= sum(least):
        widths[max(range(len(widths)), key=lambda number: (widths[number] > least[number], widths[number]))] -= 1
    return widths if sum(widths) <= room else []


def _records(table: Table) -> Iterator[Line]:
    """Yield the table for a narrow terminal: each row as a heading, and its cells as lines below it."""
    for first, *others in table.rows:
        untitled = [cell for head, cell in zip(table.head[1:], others, strict=True) if not head.text]
        marks = [cell for cell in untitled if cell.text or cell.note]
        style: Style = next((cell.style for cell in (*marks, first) if cell.style), "bold")
        fields = chain.from_iterable((cell.text, cell.note) for cell in (first, *marks))
        yield Line("  ".join(filter(None, fields)), style)
        for head, cell in zip(table.head[1:], others, strict=True):
            if head.text and cell.text:
                yield Line(f"  {head.text}: {cell.text}", cell.style)
                if cell.note:
                    yield Line(f"    {cell.note}", "dim", 0)
    yield Line("")
