"""The elements of the SVG: shapes with texts, lines, legend entries and badges, with positions in pixels."""

from typing import NamedTuple

from .picture import Doubt


class Text(NamedTuple):
    """A line of text at its baseline; `whole` is the full text if it was shortened."""

    x: float
    y: float
    style: str
    text: str
    whole: str = ""


class Badge(NamedTuple):
    """The number of a note, in a circle."""

    x: float
    y: float
    doubt: Doubt
    number: int

    @property
    def baseline(self) -> float:
        """The y coordinate of the number's baseline."""
        return self.y + 4


class Shape(NamedTuple):
    """A box or a frame with its content."""

    x: float
    y: float
    width: float
    height: float
    style: str
    whole: str
    """The full text, for the tooltip."""
    texts: tuple[Text, ...]
    chip: "Chip | None" = None
    badge: Badge | None = None

    @property
    def right(self) -> float:
        """The x coordinate of the right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y coordinate of the lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """The y coordinate at which arrows end."""
        return self.y + self.height / 2


class Chip(NamedTuple):
    """The label with a node's state, in its upper right corner."""

    x: float
    y: float
    width: float
    state: str
    text: Text


class Line(NamedTuple):
    """A line of a hop: its path, and the arrowhead, if any."""

    path: str
    head: str
    style: str


class Sign(NamedTuple):
    """One entry of the legend."""

    kind: str
    style: str
    x: float
    y: float
    text: Text

    @property
    def top(self) -> float:
        """The y coordinate of the upper edge, for a state."""
        return self.y - 8

    @property
    def path(self) -> str:
        """The line, for a hop."""
        return f"M{self.x:g} {self.y:g}h20"

    @property
    def head(self) -> str:
        """The arrowhead, for a hop."""
        return f"M{self.x + 20:g} {self.y - 4.5:g}l8 4.5l-8 4.5z"


class Drawing(NamedTuple):
    """All elements of the SVG."""

    width: float
    height: float
    shapes: tuple[Shape, ...]
    lines: tuple[Line, ...]
    labels: tuple[Text, ...]
    signs: tuple[Sign, ...]
    notes: tuple[Text, ...]
    badges: tuple[Badge, ...]


def moved(shape: Shape, down: float) -> Shape:
    """Return the shape and its content, moved down by `down` pixels."""
    chip, badge = shape.chip, shape.badge
    return shape._replace(
        y=shape.y + down,
        texts=tuple(text._replace(y=text.y + down) for text in shape.texts),
        chip=chip and chip._replace(y=chip.y + down, text=chip.text._replace(y=chip.text.y + down)),
        badge=badge and badge._replace(y=badge.y + down),
    )
