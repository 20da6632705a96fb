"""What the XML readers share: the tree that they return, and the error that they raise."""

from collections.abc import Iterator, Mapping
from typing import Protocol


class MalformedError(Exception):
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
