"""The diagram in plain ASCII, for terminals, tickets and mails: at most WIDTH characters wide."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from .picture import DOUBTS, SECURITY, SECURITY_MEANING, STATES, Box, Hop, Picture

WIDTH: Final = 100
_INDENT: Final = " " * 2
_STEM: Final = " " * 6
"""The indentation of the line that connects the boxes."""
_INNER: Final = 84
"""The maximum width of the text in a box."""


def draw(picture: Picture) -> str:
    """Return the diagram from top to bottom, the notes and the legend."""
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    yield from _folded(f"{picture.farm}: {picture.url}", WIDTH)
    yield ""
    yield from _box([("Robots and browsers", None)])
    yield from _arrow(picture.client_hop)
    machines = [_row(box) for box in picture.balancers]
    yield from _box([*_rows(picture.frontend), *(("", None) for _ in machines[:1]), *machines])
    yield from _arrow(picture.node_hop)
    title = "1 node" if picture.node_count == 1 else f"{picture.node_count} nodes"
    yield from _box([(title, None), *(_node_row(box, picture.nodes) for box in picture.nodes)])
    for number, store in enumerate(picture.stores, 1):
        trunk = "|" if number < len(picture.stores) else " "
        yield f"{_STEM}|"
        yield f"{_STEM}+--  {plain(store.hop.words)}"
        yield from (f"{_STEM}{trunk}   {line}" for line in _box(_rows(store.box)))
    yield ""
    for mark in picture.marks:
        yield from _folded(f"[{mark.number}] {DOUBTS[mark.doubt]}: {mark.text}", WIDTH, hanging="    ")
    yield from _legend(picture)


_Row = tuple[str, int | None]
"""A line in a box, and the number of its note."""


def _rows(box: Box) -> list[_Row]:
    return [(box.title, box.mark.number if box.mark else None), *((f"  {line}", None) for line in box.lines)]


def _row(box: Box) -> _Row:
    return f"{box.title}: {', '.join(box.lines)}", None


def _node_row(box: Box, nodes: Sequence[Box]) -> _Row:
    """Return a node as one line; all nodes have the same column widths."""
    name = max(len(plain(node.title)) for node in nodes)
    state = max(len(node.state) for node in nodes)
    first = max(len(plain(node.lines[0])) for node in nodes)
    rest = ", ".join(box.lines[1:])
    text = f"  {box.state:<{state}}  {plain(box.title):<{name}}  {plain(box.lines[0]):<{first}}  {rest}"
    return text, box.mark.number if box.mark else None


def _box(rows: Sequence[_Row]) -> Iterator[str]:
    """Yield the lines with a frame; the number of a note is at the end of its line."""
    folded = [
        (line, mark if number == 0 else None)
        for text, mark in rows
        for number, line in enumerate(_folded(text, _INNER, hanging=_hanging(text)) or [""])
    ]
    width = max(len(line) + (len(_mark(mark)) + 2 if mark else 0) for line, mark in folded)
    border = f"{_INDENT}+{'-' * (width + 2)}+"
    yield border
    for line, mark in folded:
        shown = f"{line:<{width}}" if mark is None else f"{line:<{width - len(_mark(mark))}}{_mark(mark)}"
        yield f"{_INDENT}| {shown} |"
    yield border


def _mark(number: int | None) -> str:
    return f"[{number}]"


def _hanging(text: str) -> str:
    return " " * (len(text) - len(text.lstrip()) + 2)


def _arrow(hop: Hop) -> Iterator[str]:
    yield f"{_STEM}|"
    yield f"{_STEM}|  {plain(hop.words)}"
    yield f"{_STEM}v"


def _legend(picture: Picture) -> Iterator[str]:
    yield ""
    for security in dict.fromkeys(hop.security for hop in picture.hops):
        yield from _folded(f"{SECURITY[security]}: {SECURITY_MEANING[security]}", WIDTH, hanging="  ")
    for state in dict.fromkeys(box.state for box in picture.nodes):
        yield from _folded(f"{state}: {STATES[state]}", WIDTH, hanging="  ")


def _folded(text: str, width: int, *, hanging: str = "") -> list[str]:
    """Wrap the text in ASCII to lines of at most `width` characters; leading spaces stay."""
    return textwrap.wrap(
        plain(text), width, subsequent_indent=hanging, drop_whitespace=True, break_on_hyphens=False, tabsize=1
    )


def plain(text: str) -> str:
    r"""Return the text in printable ASCII; other characters become escapes such as `\xfc` and `\u2026`."""
    escaped = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in escaped)
