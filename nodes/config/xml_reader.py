"""Whether a text is well-formed XML, and its tree: by lxml, or by the standard library's expat where lxml is missing.

Both readers accept the same texts and return equal trees: no entities but XML's own five, no DTD, nothing is loaded
from elsewhere, and the same limits. Python in a web page has no lxml.
"""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Protocol


class Malformed(Exception):  # noqa: N818  # the caller makes an error of it, with the file's name and a hint
    """A text that is not well-formed XML: line and column from 1, and a cause without any of its content."""

    def __init__(self, line: int, column: int, cause: str) -> None:
        super().__init__(cause)
        self.line = line
        self.column = column
        self.cause = cause


class XmlElement(Protocol):
    """An element of a tree, of lxml or of the standard library; names have their namespace in braces."""

    @property
    def tag(self) -> str:
        """The name."""

    @property
    def attrib(self) -> Mapping[str, str]:
        """The attributes."""

    def get(self, name: str, /) -> str | None:
        """The value of an attribute, or None."""

    def __len__(self) -> int:
        """The number of children."""

    def __getitem__(self, index: int, /) -> "XmlElement":
        """One child."""

    def __iter__(self) -> "Iterator[XmlElement]":
        """All children."""


NOT_WELL_FORMED = "the file is not well-formed XML"


def tree(text: str) -> XmlElement:
    """The root element of the text; raises Malformed."""
    if find_spec("lxml") is None:
        from .xml_expat import tree as parsed
    else:
        from .xml_lxml import tree as parsed
    return parsed(text)
