"""What terminals show: lines and tables in colours, as wide as the terminal is.

A command says what it shows as blocks, and [`drawn`][nlbgen.commands.tables.drawn] has `rich` lay them out. What a spec
or a device says is text here and never markup, and nothing of it reaches the terminal as a control character. Pipes and
files do not get this: they get the plain text of the layer below, see [`show`][nlbgen.commands.console.show].
"""

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TextIO

import click

from . import console

if TYPE_CHECKING:
    from rich.box import Box
    from rich.console import Console
    from rich.text import Text

    from ..core.plan import Plan

Style = Literal["", "bold", "dim", "green", "yellow", "red", "cyan"]

WHOLE: Final = 20
"""Words of up to this many columns are never broken in a table: `sha256:` and a fingerprint's 12 digits are 19."""
_MARKS: Final = "./\\;,=:-_"
"""Longer ones are broken behind one of these."""
_GAP: Final = 2
_DEFAULT_WIDTH: Final = 80
_NARROWEST: Final = 20
_KINDS: Final[dict[str, Style]] = {"add": "green", "change": "yellow", "remove": "red"}


class Line(NamedTuple):
    """One line of the plain text; where it is too long it goes on below, `hang` columns further in than it begins.

    With None the terminal itself turns it: that is for lines of files, which must be copied as they are.
    """

    text: str
    style: Style = ""
    hang: int | None = 2


class Cell(NamedTuple):
    """What stands in a field of a table, and in small print what belongs to it."""

    text: str
    style: Style = ""
    note: str = ""


class Table(NamedTuple):
    """A head and rows of the same length; `figures` puts all columns but the first to the right."""

    head: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    figures: bool = False


Block = Line | Table


def changes(plan: "Plan") -> Iterator[Line]:
    """A plan line by line: what is added green, what is changed yellow, what is removed red."""
    *_, closing = plan.text().splitlines()
    for target in plan.targets:
        found = [change for change in plan.changes if change.target == target]
        yield Line(target, "bold") if found else Line(f"{target}: nothing to change", "green")
        for change in found:
            yield Line(f"  {change}", _KINDS[change.kind])
    yield Line(closing, "bold")


def painted(text: str, blocks: Iterable[Block]) -> str:
    """The plain text in colours, where it consists of lines; tables have none, for their columns are padded."""
    lines = list(blocks)
    if not all(isinstance(line, Line) for line in lines):
        return text
    return "".join(f"{_styled(line)}\n" for line in lines if isinstance(line, Line))


def _styled(line: Line) -> str:
    if not (line.text and line.style):
        return line.text
    manner: dict[str, Any] = {line.style: True} if line.style in {"bold", "dim"} else {"fg": line.style}
    return click.style(line.text, **manner)


# Laid out


def drawn(blocks: Iterable[Block], stream: TextIO) -> str:
    """The blocks as the terminal behind this stream shows them, with its colours if any are wanted."""
    from rich.console import Console

    terminal = Console(
        file=(page := io.StringIO()),
        width=_width(stream),
        force_terminal=True,
        color_system="standard" if console.coloured(stream) else None,
        legacy_windows=False,
        highlight=False,
    )
    for block in blocks:
        if isinstance(block, Line):
            _draw_line(terminal, block)
        else:
            _draw_table(terminal, block, _box(stream))
    return page.getvalue()


def _width(stream: TextIO) -> int:
    """How many columns the terminal has: COLUMNS says so, or the terminal itself."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return max(int(told), _NARROWEST)
    try:
        found = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # ValueError: the stream has no descriptor
        found = 0
    return max(found, _NARROWEST) if found else _DEFAULT_WIDTH


def _box(stream: TextIO) -> "Box":
    """A rule below the head and nothing else, in what the terminal's encoding has."""
    from rich.box import SIMPLE_HEAD, Box

    try:
        "─".encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return Box(str(SIMPLE_HEAD).replace("─", "-"), ascii=True)
    return SIMPLE_HEAD


def _legible(text: str) -> str:
    """The text with escapes for what would move the cursor, change its colours or turn the direction."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _longest_word(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, text.split()), default=0)


def _draw_line(terminal: "Console", line: Line) -> None:
    from rich.text import Text

    text = _legible(line.text if line.hang is not None else line.text.expandtabs())
    body = text.lstrip(" ")
    begin = len(text) - len(body)
    further = begin + (line.hang or 0)
    room = terminal.width - further
    if line.hang is None or _longest_word(body) > room:
        # A digest that the terminal turns by itself can still be copied in one piece.
        terminal.print(Text(text, line.style), soft_wrap=True)
        return
    for number, part in enumerate(Text(body, line.style).wrap(terminal, room) or [Text()]):
        part.rstrip()
        terminal.print(Text(" " * (further if number else begin)) + part, soft_wrap=True)


def _draw_table(terminal: "Console", table: Table, box: "Box") -> None:
    from rich.table import Table as Drawn
    from rich.text import Text

    widths = _widths(table, terminal.width)
    if not widths:
        for line in _records(table):
            _draw_line(terminal, line)
        return
    noted = any(cell.note for row in table.rows for cell in row)
    picture = Drawn(box=box, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0), leading=int(noted))
    picture.show_header = any(cell.text for cell in table.head)
    for number, (cell, width) in enumerate(zip(table.head, widths, strict=True)):
        to_the_right = table.figures and number
        picture.add_column(_field(cell, width), width=width, justify="right" if to_the_right else "left")
    for row in table.rows:
        picture.add_row(*map(_field, row, widths))
    terminal.print(picture)
    terminal.print(Text())


def _field(cell: Cell, width: int) -> "Text":
    from rich.text import Text

    text = Text().append("\n".join(_folded(_legible(cell.text), width)), cell.style)
    for line in _folded(_legible(cell.note), width) if cell.note else ():
        text.append("\n").append(line, "dim")
    return text


def _folded(text: str, width: int) -> Iterator[str]:
    """The text in lines of this width, broken between words if possible, else behind a mark as paths have them."""
    from rich.cells import cell_len

    rest = text.strip()
    while cell_len(rest) > width:
        most = next(size for size in range(len(rest), 0, -1) if size == 1 or cell_len(rest[:size]) <= width)
        blank = rest.rfind(" ", 0, most + 1)
        mark = max(rest.rfind(char, 0, most) for char in _MARKS) + 1
        size = blank if blank > 0 else mark if mark > 0 else most
        yield rest[:size].rstrip()
        rest = rest[size:].lstrip()
    yield rest


def _widths(table: Table, room: int) -> list[int]:
    """How wide each column becomes: as its longest field if there is room, else the widest give way first.

    Empty where words would have to be broken that must stay whole.
    """
    from rich.cells import cell_len

    columns = [
        [_legible(text) for cell in column for text in (cell.text, cell.note)]
        for column in zip(table.head, *table.rows, strict=True)
    ]
    widths = [max(map(cell_len, texts)) for texts in columns]
    least = [min(max(map(_longest_word, texts)), WHOLE) for texts in columns]
    room -= _GAP * (len(columns) - 1)
    if sum(least) > room:
        return []
    while sum(widths) > room:
        able = [number for number, width in enumerate(widths) if width > least[number]]
        widths[max(able, key=widths.__getitem__)] -= 1
    return widths


def _records(table: Table) -> Iterator[Line]:
    """The table for a terminal that is too narrow for it: each row as a heading with what its columns say below."""
    for first, *others in table.rows:
        marks = [cell for head, cell in zip(table.head[1:], others, strict=True) if cell.text and not head.text]
        style: Style = next((cell.style for cell in (*marks, first) if cell.style), "bold")
        yield Line("  ".join(filter(None, (first.text, first.note, *(cell.text for cell in marks)))), style)
        for head, cell in zip(table.head[1:], others, strict=True):
            if head.text and cell.text:
                yield Line(f"  {head.text}: {cell.text}", cell.style)
                if cell.note:
                    yield Line(f"    {cell.note}", "dim", 0)
    yield Line("")
