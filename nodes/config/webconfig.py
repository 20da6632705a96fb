"""One config file: read it safely, change the intended places, and keep every other byte.

A parser decides whether the text is well-formed XML (no entities, no network, no DTDs, no huge trees). The lexer of
this package finds the positions, and edits change the text itself.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

from ...core.errors import Location, NodeError
from ...core.files import content, hint_for
from ...core.wording import legible
from . import lexer
from .encoding import EncodedText, EncodingError, decode
from .xml_reader import tree
from .xml_tree import MalformedError, XmlElement

MAX_BYTES: Final = 8 * 1024 * 1024
"""IIS itself reads at most 250 KB (MaxWebConfigFileSizeInKB) unless its registry says otherwise."""

MAX_TAGS: Final = 200_000
"""More elements than fit into the 250 KB of IIS, by far; a parsed element takes 200 times the bytes of its tag."""

_DOCTYPE: Final = re.compile(r"(?>\s+|<\?.*?\?>|<!--.*?-->)*+<!DOCTYPE", re.DOTALL)


class ConfigError(NodeError):
    """A problem at a position of a config file; its message is the location, the description and the rule's id."""

    def __init__(self, location: Location, description: str, hint: str = "", rule: str = "") -> None:
        message = f"{location}: {description}" + (f" [{rule}]" if rule else "")
        super().__init__(legible(message), legible(hint) or None)
        self.location = location
        self.description = description
        self.rule = rule
        """The id of the rule, as `check` and `audit` show it; empty for an unreadable file."""


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Characters `start` to `end` of a text become `text`."""

    start: int
    end: int
    text: str = field(repr=False)


class Located(Protocol):
    """A file whose positions have a line and a column."""

    def location(self, offset: int) -> Location:
        """The line and column of the character at `offset`."""


@dataclass(frozen=True, slots=True)
class TextPosition:
    """A position in a document; `str` counts its line and column on demand."""

    document: "Located" = field(repr=False)
    offset: int

    def __str__(self) -> str:
        return str(self.document.location(self.offset))


class Document:
    """One file of a node's configuration."""

    def __init__(self, path: Path, raw: bytes, encoded: EncodedText) -> None:
        self.path = path
        self.raw = raw
        self._encoded = encoded
        self.text: Final = encoded.text
        self.root: Final = lexer.scan(encoded.text)

    @property
    def codec(self) -> str:
        """The encoding, by Python's name."""
        return self._encoded.codec

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hex."""
        return hashlib.sha256(self.raw).hexdigest()

    def location(self, offset: int) -> Location:
        """The line and column of the character at `offset`."""
        return place(self.path, self.text, offset)

    def error(self, offset: int, description: str, hint: str = "", rule: str = "") -> ConfigError:
        """The error at the character `offset` of this file."""
        return ConfigError(self.location(offset), description, hint, rule)

    def edited(self, edits: Sequence[Edit]) -> tuple[XmlElement, bytes]:
        """The file with these edits: the parsed tree, and the new bytes; raises ValueError if they overlap."""
        pieces: list[str] = []
        position = 0
        for edit in sorted(edits):
            if edit.start < position:
                raise ValueError(f"{self.path}: two edits overlap at character {edit.start}")
            pieces += (self.text[position : edit.start], edit.text)
            position = edit.end
        text = "".join([*pieces, self.text[position:]])
        return _parsed(self.path, text), self._encoded.bytes_of(text)


def read(path: Path) -> Document:
    """Read the file at `path`; raises NodeError with the reason and a hint."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise NodeError(
                f"{path}: is {size} bytes; the limit for a config file is {MAX_BYTES}",
                "give the path of the node's web.config or UiPath.Orchestrator.dll.config",
            )
        raw = content(path, MAX_BYTES)
    except OSError as error:
        hint = hint_for(error, _reading_hint(path))
        raise NodeError(f"{path}: cannot be read: {error.strerror}", hint) from None
    return parse(path, raw)


def _reading_hint(path: Path) -> str:
    if path.exists():
        return "check its permissions"
    return "copy the node's config file to this path, or correct the path"


def parse(path: Path, raw: bytes) -> Document:
    """Parse the bytes of a file; raises NodeError."""
    if len(raw) > MAX_BYTES:
        raise NodeError(f"{path}: is larger than {MAX_BYTES} bytes", "give the path of the node's own config file")
    if not raw.strip():
        raise NodeError(f"{path}: is empty", "copy the node's config file again")
    try:
        encoded = decode(raw)
    except EncodingError as error:
        hint = "save the file as UTF-8"
        raise ConfigError(Location(str(path), 1, 1), str(error), hint) from None
    if (tags := encoded.text.count("<")) > MAX_TAGS:
        raise NodeError(
            f"{path}: has {tags} tags; the limit for a config file is {MAX_TAGS}",
            "give the path of the node's own config file",
        )
    if match := _DOCTYPE.match(encoded.text):
        where = place(path, encoded.text, match.end() - len("<!DOCTYPE"))
        raise ConfigError(where, "the file has a DOCTYPE: .NET refuses it in a config file", "remove it")
    _parsed(path, encoded.text)
    return Document(path, raw, encoded)


def _parsed(path: Path, text: str) -> XmlElement:
    """Parse the text; raises ConfigError, without any of its content, if it is not well-formed."""
    try:
        return tree(text)
    except MalformedError as error:
        place = Location(str(path), error.line, error.column)
        raise ConfigError(place, error.cause, _remedy(text, place)) from None


def _remedy(text: str, at: Location) -> str:
    """What to do: a file that is wrong only at its end was not copied completely."""
    if at.line > text.rstrip().count("\n"):
        return "the file ends too early: copy it again from the node, or correct its end; IIS cannot read it either"
    return "correct the file: IIS cannot read it either"


def place(path: Path, text: str, offset: int) -> Location:
    """The line and column of a character; lines end with CR LF, LF or CR, as in XML."""
    line = text.count("\n", 0, offset) + text.count("\r", 0, offset) - text.count("\r\n", 0, offset)
    start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
    return Location(str(path), line + 1, offset - start + 1)
