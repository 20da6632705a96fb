"""The elements and attributes of an XML text with their positions, so that an edit keeps every other character.

A serialiser would rewrite what it does not store: quotes, entities, white space inside tags, several elements on one
line. The lexer reads only text that a parser accepted as well-formed, so it handles no errors. It reads the children
of an element on the first access: most of a config file is never read.
"""

import re
from functools import cache, cached_property
from typing import Final

_HIDDEN: Final = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>", re.DOTALL)
_START_TAG: Final = re.compile(r"<([^\s/>]++)[^\"'>]*+(?:\"[^\"]*+\"[^\"'>]*+|'[^']*+'[^\"'>]*+)*+>")
_ATTRIBUTE: Final = re.compile(r"\s+([^\s=]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_REFERENCE: Final = re.compile(r"&(?:#x([0-9A-Fa-f]+)|#([0-9]+)|(lt|gt|amp|quot|apos));")
_NAMED: Final = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_SPACE: Final = re.compile(r"\r\n|[\r\n\t]")
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@cache
def _attribute_named(name: str) -> re.Pattern[str]:
    """A pattern for the attributes of a start tag up to the one of this name; its value is group 1 or 2."""
    others = r"(?:\s+[^\s=]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*?"
    return re.compile(rf"{others}\s+{re.escape(name)}\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


class Attribute:
    """One attribute: its position, the position of its raw value, and its decoded value."""

    __slots__ = ("end", "name", "name_start", "quote", "start", "value", "value_end", "value_start")

    def __init__(self, text: str, match: re.Match[str]) -> None:
        group = 2 if match.group(2) is not None else 3
        self.name = match.group(1)
        self.quote = '"' if group == 2 else "'"
        self.start, self.end = match.span()
        """From the white space before the name to the closing quote."""
        self.name_start = match.start(1)
        self.value_start, self.value_end = match.span(group)
        self.value = decoded(text[self.value_start : self.value_end])


class Element:
    """One element: its tags as spans of the text, its parent and its children."""

    __slots__ = ("__dict__", "close", "end", "head_end", "markup", "name", "parent", "start")

    def __init__(self, start_tag: re.Match[str], parent: "Element | None") -> None:
        self.markup = markup = start_tag.string
        """The text with spaces in place of comments and other hidden markup: every `<` in it begins a tag."""
        self.name = start_tag[1]
        self.start, self.head_end = start_tag.span()
        """The position of the start tag, and the position after it."""
        self.parent = parent
        self.close = -1
        """The start of the end tag; -1 for `<name/>`."""
        self.end = self.head_end
        """The position after the element."""
        if markup[self.end - 2] != "/":
            self.close = markup.rfind("</") if parent is None else _end_tag(markup, self.name, self.end)
            self.end = markup.index(">", self.close) + 1

    @cached_property
    def children(self) -> "list[Element]":
        """The child elements."""
        found: list[Element] = []
        position, markup, end = self.head_end, self.markup, self.close
        while position < end and (match := _START_TAG.search(markup, position, end)):
            child = Element(match, self)
            found.append(child)
            position = child.end
        return found

    @cached_property
    def attributes(self) -> dict[str, Attribute]:
        """The attributes by name, in the order of the text."""
        begin = self.start + 1 + len(self.name)
        found = _ATTRIBUTE.finditer(self.markup, begin, self.head_end)
        return {match.group(1): Attribute(self.markup, match) for match in found}

    def get(self, name: str) -> str | None:
        """The decoded value of an attribute, or None if the element does not have it."""
        match = _attribute_named(name).match(self.markup, self.start + 1 + len(self.name), self.head_end)
        return None if match is None else decoded(match[1] or match[2] or "")

    def named(self, name: str) -> "list[Element]":
        """The children with this name."""
        return [child for child in self.children if child.name == name]

    @property
    def size(self) -> int:
        """The number of children."""
        return len(self.children)

    @property
    def last(self) -> "Element | None":
        """The last child, or None."""
        return self.children[-1] if self.children else None

    @property
    def index(self) -> int:
        """The position among the children of the parent, from 0."""
        return 0 if self.parent is None else self.parent.children.index(self)


def scan(text: str) -> Element:
    """The root element of a well-formed text."""
    return Element(next(_START_TAG.finditer(_without_hidden(text))), None)


def _without_hidden(text: str) -> str:
    """The text with as many spaces in place of comments, CDATA sections and processing instructions."""
    return _HIDDEN.sub(lambda match: " " * len(match[0]), text)


def _end_tag(markup: str, name: str, position: int) -> int:
    """The start of the end tag of the element whose start tag ends at `position`."""
    tags = _tags_named(name).finditer(markup, position)
    depth = 1
    while depth:
        tag = next(tags)
        if markup[tag.start() + 1] == "/":
            depth -= 1
        elif markup[tag.end() - 2] != "/":
            depth += 1
    return tag.start()


@cache
def _tags_named(name: str) -> re.Pattern[str]:
    """A pattern for the start and end tags of elements of this name."""
    inside = r"(?:\s[^\"'>]*(?:\"[^\"]*\"[^\"'>]*|'[^']*'[^\"'>]*)*)?"
    return re.compile(rf"<(?:/{re.escape(name)}\s*|{re.escape(name)}{inside}/?)>")


def decoded(raw: str) -> str:
    """Decode the raw value of an attribute (XML 1.0, sections 2.11, 3.3.3 and 4.6)."""
    if not raw.isprintable():
        raw = _SPACE.sub(" ", raw)
    if "&" not in raw:
        return raw
    return _REFERENCE.sub(_referred, raw)


def _referred(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return chr(int(match[2])) if match[2] else _NAMED[match[3]]


def encoded(value: str, quote: str, codec: str = "utf-8") -> str:
    """Encode a text as the raw value of an attribute between these quotes, in a file with this encoding.

    A character that the encoding lacks becomes a character reference; raises ValueError for one that XML forbids.
    """
    if found := _NOT_XML.search(value):
        raise ValueError(f"it contains U+{ord(found[0]):04X}, which XML does not allow")
    text = value.replace("&", "&amp;").replace("<", "&lt;")
    text = text.replace("\t", "&#x9;").replace("\n", "&#xA;").replace("\r", "&#xD;")
    text = text.replace('"', "&quot;") if quote == '"' else text.replace("'", "&apos;")
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return "".join(char if _has(codec, char) else f"&#x{ord(char):X};" for char in text)
    return text


def _has(codec: str, char: str) -> bool:
    try:
        char.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
