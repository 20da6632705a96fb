"""What lies on the sheet of a picture: shapes with their texts, lines, signs, badges, each with its place in pixels."""

from typing import NamedTuple

from .picture import Doubt


class Text(NamedTuple):
    """A line of text at its baseline; `whole` is what it says where it was shortened."""

    x: float
    y: float
    style: str
    text: str
    whole: str = ""


class Badge(NamedTuple):
    """The number of a mark, in a circle."""

    x: float
    y: float
    doubt: Doubt
    number: int

    @property
    def baseline(self) -> float:
        """Where the number stands."""
        return self.y + 4


class Shape(NamedTuple):
    """A box or a frame, with everything in it."""

    x: float
    y: float
    width: float
    height: float
    style: str
    whole: str
    """What it says in full, for the pointer that rests on it."""
    texts: tuple[Text, ...]
    chip: "Chip | None" = None
    badge: Badge | None = None

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """The height at which arrows meet it."""
        return self.y + self.height / 2


class Chip(NamedTuple):
    """A node's state, in its upper right corner."""

    x: float
    y: float
    width: float
    state: str
    text: Text


class Line(NamedTuple):
    """A line of a hop: its path, and the arrow's head where it has one."""

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
        """The upper edge of a state's sign."""
        return self.y - 8

    @property
    def path(self) -> str:
        """A hop's line."""
        return f"M{self.x:g} {self.y:g}h20"

    @property
    def head(self) -> str:
        """Its arrow's head."""
        return f"M{self.x + 20:g} {self.y - 4.5:g}l8 4.5l-8 4.5z"


class Drawing(NamedTuple):
    """Everything on the sheet."""

    width: float
    height: float
    shapes: tuple[Shape, ...]
    lines: tuple[Line, ...]
    labels: tuple[Text, ...]
    signs: tuple[Sign, ...]
    notes: tuple[Text, ...]
    badges: tuple[Badge, ...]


def moved(shape: Shape, down: float) -> Shape:
    """The shape with everything in it, further down."""
    chip, badge = shape.chip, shape.badge
    return shape._replace(
        y=shape.y + down,
        texts=tuple(text._replace(y=text.y + down) for text in shape.texts),
        chip=chip and chip._replace(y=chip.y + down, text=chip.text._replace(y=chip.text.y + down)),
        badge=badge and badge._replace(y=badge.y + down),
    )
