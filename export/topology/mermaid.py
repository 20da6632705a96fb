"""The diagram as a Mermaid flowchart, which GitHub, GitLab and many wikis display."""

from collections.abc import Iterable, Iterator
from typing import Final

from ..markup import displayable
from .picture import DOUBTS, SECURITY, Box, Hop, Picture

_CLASSES: Final = (
    "classDef drain stroke:#9a6700,stroke-dasharray:5 3",
    "classDef down stroke:#6e7781,stroke-dasharray:2 3,color:#6e7781",
    "classDef backup stroke:#0969da,stroke-dasharray:8 3",
    "classDef single stroke:#cf222e,stroke-width:3px",
    "classDef unknown stroke:#9a6700,stroke-width:3px,stroke-dasharray:2 2",
)
"""The classes change only strokes; fill and text keep the colours of the page's theme."""
_ARROWS: Final = {"up": "-->", "drain": "-.->", "backup": "-.->"}
_PLAIN: Final = frozenset(" .,()/-_+")
"""Characters that stay unchanged in a quoted label, like letters and digits; others are encoded as `#NUMBER;`."""

_BACKSLASH: Final = "#92;"


def draw(picture: Picture) -> str:
    """Return the flowchart, from left to right."""
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    yield "flowchart LR"
    yield f"  accTitle: {_sentence(f'Topology of the farm {picture.farm}')}"
    yield f"  accDescr: {_sentence(picture.summary)}"
    names = _names(picture)
    yield from _boxes(picture, names)
    for client in picture.clients:
        yield f"  {names[client]} {_arrow('-->', picture.client_hop)} frontend"
    last = "frontend"
    if picture.balancers:
        last = "balancers"
        yield "  frontend --- balancers"
    for box in picture.nodes:
        if box.state in _ARROWS:
            yield f"  {last} {_arrow(_ARROWS[box.state], picture.node_hop)} {names[box]}"
    for store in picture.stores:
        yield f"  nodes {_arrow('-->', store.hop)} {names[store.box]}"
    yield from (f"  {line}" for line in _CLASSES)
    for box, name in names.items():
        if kind := (box.mark.doubt if box.mark else box.state if box.state != "up" else ""):
            yield f"  class {name} {kind}"


def _names(picture: Picture) -> dict[Box, str]:
    """Return an id for each box; none is a keyword of Mermaid."""
    nodes = {box: f"node{number}" for number, box in enumerate(picture.nodes, 1)}
    machines = {box: f"balancer{number}" for number, box in enumerate(picture.balancers, 1)}
    stores = {store.box: store.box.id for store in picture.stores}
    return {**{box: box.id for box in picture.clients}, picture.frontend: "frontend", **machines, **nodes, **stores}


def _boxes(picture: Picture, names: dict[Box, str]) -> Iterator[str]:
    for client in picture.clients:
        yield f'  {names[client]}(["{label(client.title)}"])'
    yield f'  frontend["{_content(picture.frontend)}"]'
    if picture.balancers:
        yield from _group("balancers", "Load balancers", picture.balancers, names)
    yield from _group("nodes", f"Nodes ({picture.node_count})", picture.nodes, names)
    for store in picture.stores:
        yield f'  {names[store.box]}[("{_content(store.box)}")]'


def _group(name: str, title: str, boxes: Iterable[Box], names: dict[Box, str]) -> Iterator[str]:
    yield f'  subgraph {name}["{label(title)}"]'
    for box in boxes:
        yield f'    {names[box]}["{_content(box)}"]'
    yield "  end"


def _content(box: Box) -> str:
    """Return a box's label: title and state, the lines, and the note."""
    lines = [f"{box.title}: {box.state}" if box.state else box.title, *box.lines]
    if box.mark:
        lines.append(f"({box.mark.number}) {DOUBTS[box.mark.doubt].lower()}")
    return "<br/>".join(map(label, lines))


def _arrow(arrow: str, hop: Hop) -> str:
    return f'{arrow}|"{label(hop.protocol)}<br/>{label(SECURITY[hop.security])}"|'


def label(text: str) -> str:
    """Quote a text for a label: characters with a meaning in Mermaid, Markdown or HTML become `#NUMBER;`.

    In a label of several lines, Mermaid reads even an encoded backslash before an `n` as a line break. A `<wbr>`
    between them prevents that.
    """
    numbered = "".join(char if _as_it_is(char) else f"#{ord(char)};" for char in displayable(text))
    return numbered.replace(_BACKSLASH + "n", f"{_BACKSLASH}<wbr>n")


def _as_it_is(char: str) -> bool:
    return char in _PLAIN or char.isalnum()


def _sentence(text: str) -> str:
    """Return a text for screen readers on one line; without escapes in this syntax, some characters are replaced."""
    return displayable(text).replace("%%", "% %").replace("\n", " ").replace(";", ",").replace("#", "no. ")
