"""The diagram as SVG: this module computes the layout, templates/topology/topology.svg.j2 writes it.

The SVG has no scripts, fonts or external resources. It follows the reader's light or dark theme, and works inline in a
page and in `<img>`. From left to right: clients, balancer, nodes, stores; below them the legend and the notes on single
points of failure.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from ...core.wording import plural
from ..markup import render
from .picture import DOUBTS, SECURITY, SECURITY_MEANING, STATES, Box, Hop, Mark, Picture, Security
from .shapes import Badge, Chip, Drawing, Line, Shape, Sign, Text, moved
from .text import fitted, width, wrapped

MARGIN: Final = 24
TOP: Final = 92
"""The y coordinate of the boxes, below the title."""
CLIENT_WIDTH: Final = 100
BALANCER_WIDTH: Final = 224
NODE_WIDTH: Final = 212
STORE_WIDTH: Final = 216
HOP_WIDTH: Final = 124
"""The width between two columns, for the arrows and their labels."""
FRAME: Final = 12
"""The distance between a frame and its boxes."""
BETWEEN: Final = 12
PAD: Final = 12
TITLE_SIZE: Final = 14
LINE_SIZE: Final = 12
LINE: Final = 17
SMALL: Final = 11
BADGE: Final = 10
"""The radius of a note's badge."""
HEAD: Final = 8
"""The length of an arrowhead."""


def draw(picture: Picture) -> str:
    """Return the diagram as an SVG document with its own style sheet."""
    return _written(picture, alone=True)


def draw_for_page(picture: Picture) -> Markup:
    """Return the diagram as an element for a page that contains `style_sheet` and its own list of the notes."""
    return _written(picture, alone=False)


def style_sheet() -> Markup:
    """Return the style sheet of the diagram; its rules apply only to `.topology`."""
    return render("topology/topology.css.j2", {})


def _written(picture: Picture, *, alone: bool) -> Markup:
    drawing = _drawing(picture, picture.marks if alone else ())
    room = drawing.width - 2 * MARGIN
    # The page has its own title.
    top = 0 if alone else TOP - MARGIN
    view = {
        "title": f"Topology of the farm {picture.farm}",
        "summary": picture.summary,
        "farm": fitted(picture.farm, room, 20, bold=True),
        "url": wrapped(picture.url, room, 13, most=1)[0],
        "styles": [style_sheet()] if alone else [],
        "drawing": drawing,
        "top": top,
        "height": drawing.height - top,
    }
    return render("topology/topology.svg.j2", view)


def _drawing(picture: Picture, explained: Sequence[Mark]) -> Drawing:
    x = Columns.of(picture)
    columns = [
        _stack(picture.clients, x.clients, CLIENT_WIDTH),
        _balancer_column(picture, x.balancers),
        _framed(plural(picture.node_count, "node"), _stack(picture.nodes, x.nodes + FRAME, NODE_WIDTH)),
        _stack([store.box for store in picture.stores], x.stores, STORE_WIDTH, between=40),
    ]
    height = max(max(shape.bottom for shape in column) for column in columns)
    clients, balancers, nodes, stores = (_centred(column, height) for column in columns)
    # The arrows to the stores start at the nodes' frame, so the frame must be as high as they are.
    nodes[0] = _reaching(nodes[0], stores)
    lines, labels = _hops(picture, clients, balancers, nodes, stores)
    bottom = max(shape.bottom for shape in (*clients, *balancers, *nodes, *stores))
    signs, bottom = _legend(picture, x.width, bottom + 40)
    notes, badges, bottom = _notes(explained, x.width, bottom + 12)
    return Drawing(
        x.width,
        round(bottom + MARGIN / 2),
        (*clients, *balancers, *nodes, *stores),
        tuple(lines),
        tuple(labels),
        tuple(signs),
        tuple(notes),
        tuple(badges),
    )


class Columns(NamedTuple):
    """The x coordinates of the columns, and the width of the SVG."""

    clients: int
    balancers: int
    nodes: int
    stores: int
    width: int

    @classmethod
    def of(cls, picture: Picture) -> "Columns":
        """Return the columns of a diagram; several balancers have a frame around them."""
        balancers = MARGIN + CLIENT_WIDTH + HOP_WIDTH
        nodes = balancers + BALANCER_WIDTH + (2 * FRAME if picture.balancers else 0) + HOP_WIDTH
        stores = nodes + NODE_WIDTH + 2 * FRAME + HOP_WIDTH
        return cls(MARGIN, balancers, nodes, stores, stores + STORE_WIDTH + MARGIN)


# Boxes


def _stack(boxes: Iterable[Box], x: float, width: float, *, between: float = BETWEEN) -> list[Shape]:
    """Return the boxes one below the other, from the top."""
    shapes: list[Shape] = []
    y: float = TOP
    for box in boxes:
        shapes.append(_boxed(box, x, y, width))
        y = shapes[-1].bottom + between
    return shapes


def _boxed(box: Box, x: float, y: float, wide: float) -> Shape:
    room = wide - 2 * PAD
    chip = _chip(box, x + wide - PAD - (BADGE if box.mark else 0), y) if box.state else None
    title_room = room - (chip.width + 8 if chip else 0) - (BADGE if box.mark else 0)
    titles = wrapped(box.title, title_room, TITLE_SIZE, most=2, bold=True)
    texts = [Text(x + PAD, y + 22 + LINE * number, "name", line) for number, line in enumerate(titles)]
    height = 22 + LINE * (len(titles) - 1)
    for line in box.lines:
        for part in wrapped(line, room, LINE_SIZE, most=2):
            height += LINE
            texts.append(Text(x + PAD, y + height + 1, "line", part))
    badge = Badge(x + wide - 4, y + 4, box.mark.doubt, box.mark.number) if box.mark else None
    style = " ".join(filter(None, ("box", box.kind, box.state, box.mark.doubt if box.mark else "")))
    whole = "\n".join((f"{box.title} ({box.state})" if box.state else box.title, *box.lines))
    return Shape(x, y, wide, height + PAD, style, whole, tuple(texts), chip, badge)


def _chip(box: Box, right: float, y: float) -> Chip:
    wide = round(width(box.state, SMALL, bold=True)) + 14
    return Chip(right - wide, y + 9, wide, box.state, Text(right - wide / 2, y + 21, "state", box.state))


def _framed(title: str, inside: Sequence[Shape]) -> list[Shape]:
    """Return a frame with a title, and its boxes moved down by the height of the title."""
    down = 20 + FRAME
    lowered = [moved(shape, down) for shape in inside]
    first, last = inside[0], lowered[-1]
    text = Text(first.x, first.y + 21, "frame-title", title)
    frame = Shape(
        first.x - FRAME,
        first.y,
        first.width + 2 * FRAME,
        last.bottom + FRAME - first.y,
        "frame",
        "",
        (text,),
    )
    return [frame, *lowered]


def _balancer_column(picture: Picture, x: float) -> list[Shape]:
    """Return the balancer, or a frame around the shared address and the machines that share it."""
    if not picture.balancers:
        return _stack([picture.frontend], x, BALANCER_WIDTH)
    boxes = [picture.frontend, *picture.balancers]
    return _framed("Load balancers", _stack(boxes, x + FRAME, BALANCER_WIDTH))


def _centred(column: Sequence[Shape], height: float) -> list[Shape]:
    """Return the column, centred vertically."""
    down = round((height - max(shape.bottom for shape in column)) / 2)
    return [moved(shape, down) for shape in column]


def _reaching(frame: Shape, stores: Sequence[Shape]) -> Shape:
    top = min(frame.y, *(store.middle - 2 * LINE for store in stores))
    bottom = max(frame.bottom, *(store.middle + 2 * LINE for store in stores))
    return frame._replace(y=top, height=bottom - top, texts=tuple(t._replace(y=top + 21) for t in frame.texts))


# Hops


def _hops(
    picture: Picture,
    clients: Sequence[Shape],
    balancers: Sequence[Shape],
    nodes: Sequence[Shape],
    stores: Sequence[Shape],
) -> tuple[list[Line], list[Text]]:
    frontend = balancers[1] if picture.balancers else balancers[0]
    sender, frame = balancers[0], nodes[0]
    lines = list(_merging(clients, frontend, picture.client_hop))
    labels = list(_label(picture.client_hop, clients[0].right + 14, frontend.x - HEAD, frontend.middle))
    lines += _spreading(sender, list(zip(picture.nodes, nodes[1:], strict=True)), frame, picture.node_hop)
    labels += _label(picture.node_hop, sender.right, frame.x - 10, sender.middle)
    for store, shape in zip(picture.stores, stores, strict=True):
        lines.append(_arrow([(frame.right, shape.middle), (shape.x, shape.middle)], store.hop.security))
        labels += _label(store.hop, frame.right, shape.x - HEAD, shape.middle)
    return lines, labels


def _merging(sources: Sequence[Shape], target: Shape, hop: Hop) -> Iterator[Line]:
    """Yield the lines from each source to a common line, and from there to the target."""
    trunk = sources[0].right + 14
    heights = [source.middle for source in sources]
    for y in heights:
        yield _plain([(sources[0].right, y), (trunk, y)], hop.security)
    yield _plain([(trunk, min(*heights, target.middle)), (trunk, max(*heights, target.middle))], hop.security)
    yield _arrow([(trunk, target.middle), (target.x, target.middle)], hop.security)


def _spreading(source: Shape, nodes: Sequence[tuple[Box, Shape]], frame: Shape, hop: Hop) -> Iterator[Line]:
    """Yield the lines from the source to a common line, and from there to each node that may get requests."""
    trunk = frame.x - 10
    reached = [(box, shape) for box, shape in nodes if box.state != "down"]
    heights = [shape.middle for _box, shape in reached]
    yield _plain([(source.right, source.middle), (trunk, source.middle)], hop.security)
    yield _plain([(trunk, min([*heights, source.middle])), (trunk, max([*heights, source.middle]))], hop.security)
    for box, shape in reached:
        seldom = "" if box.state == "up" else "seldom"
        yield _arrow([(trunk, shape.middle), (shape.x, shape.middle)], hop.security, seldom)


def _plain(points: Sequence[tuple[float, float]], security: Security) -> Line:
    return Line(_path(points), "", f"hop {security}")


def _arrow(points: Sequence[tuple[float, float]], security: Security, more: str = "") -> Line:
    """Return a line from left to right that ends with an arrowhead."""
    *before, (x, y) = points
    head = f"M{x - HEAD:g} {y - 4.5:g}L{x:g} {y:g}L{x - HEAD:g} {y + 4.5:g}Z"
    return Line(_path([*before, (x - HEAD + 1, y)]), head, " ".join(filter(None, ("hop", security, more))))


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _label(hop: Hop, left: float, right: float, y: float) -> Iterator[Text]:
    """Yield the hop's label above and below its line."""
    middle, room = (left + right) / 2, right - left - 8
    yield Text(middle, y - 8, f"hop-name {hop.security}", fitted(hop.protocol, room, SMALL + 1, bold=True))
    below = [SECURITY[hop.security], *([hop.note] if hop.note else [])]
    lines = [part for text in below for part in wrapped(text, room, SMALL, most=2)]
    for number, line in enumerate(lines):
        yield Text(middle, y + 16 + number * 14, f"hop-line {hop.security}", line)


# Legend and notes


def _legend(picture: Picture, wide: float, y: float) -> tuple[list[Sign], float]:
    """Return the legend (as many entries per row as fit), and the y coordinate of its end."""
    hops = [("line", str(found), f"{SECURITY[found]}: {SECURITY_MEANING[found]}") for found in _used(picture)]
    states = [("chip", state, f"{state}: {STATES[state]}") for state in STATES if _has(picture, state)]
    signs: list[Sign] = []
    x: float = MARGIN
    for kind, style, text in (*hops, *states):
        long = 36 + width(text, SMALL) + 20
        if x > MARGIN and x + long > wide - MARGIN:
            x, y = MARGIN, y + 20
        signs.append(Sign(kind, style, x, y, Text(x + 36, y + 4, "legend", text)))
        x += long
    return signs, y + 20


def _used(picture: Picture) -> tuple[Security, ...]:
    return tuple(dict.fromkeys(hop.security for hop in picture.hops))


def _has(picture: Picture, state: str) -> bool:
    return any(box.state == state for box in picture.nodes)


def _notes(marks: Sequence[Mark], wide: float, y: float) -> tuple[list[Text], list[Badge], float]:
    """Return the texts and badges of the notes, and the y coordinate of their end."""
    texts, badges = list[Text](), list[Badge]()
    for mark in marks:
        badges.append(Badge(MARGIN + BADGE, y + 8, mark.doubt, mark.number))
        words = f"{DOUBTS[mark.doubt]}: {mark.text}"
        for line in wrapped(words, wide - 2 * MARGIN - 32, LINE_SIZE, most=4):
            texts.append(Text(MARGIN + 32, y + 12, "note", line))
            y += LINE
        y += 10
    return texts, badges, y
