"""XML as spans of its text: where each element and attribute stands, so that an edit can leave the rest alone.

A serialiser would rewrite what it does not keep (quotes, entities, white space inside tags, several elements on a
line). This lexer only reads text that lxml has found well-formed, so it needs no error handling of its own. It looks
into an element when it is asked for its children, and not before: most of a config file is never looked at.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate
from typing import Final

_HIDDEN: Final = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>", re.DOTALL)
_START_TAG: Final = re.compile(r"<([^\s/>]+)[^\"'>]*(?:\"[^\"]*\"[^\"'>]*|'[^']*'[^\"'>]*)*>")
_LEAVES: Final = (
    re.compile(r'<add key="([^"&\s]*)"'),
    re.compile(r"<add\s+(?:key|name)\s*=\s*\"([^\"&\s]*)\""),
)
"""How nearly every setting begins, the usual way first."""
_FIRST: Final = re.compile(r"<\w+\s+(\w+)\s*=\s*\"([^\"&\s]*)\"")
_HIDING: Final = re.compile("<[!?]")
_ATTRIBUTE: Final = re.compile(r"\s+([^\s=]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_REFERENCE: Final = re.compile(r"&(?:#x([0-9A-Fa-f]+)|#([0-9]+)|(lt|gt|amp|quot|apos));")
_NAMED: Final = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_SPACE: Final = re.compile(r"\r\n|[\r\n\t]")
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Attribute:
    """One attribute: where it and its raw value stand, and what the value says."""

    __slots__ = ("end", "name", "name_start", "quote", "start", "value", "value_end", "value_start")

    def __init__(self, text: str, match: re.Match[str]) -> None:
        group = 2 if match.group(2) is not None else 3
        self.name = match.group(1)
        self.quote = '"' if group == 2 else "'"
        self.start, self.end = match.span()
        """From the white space before the name to the quote after the value."""
        self.name_start = match.start(1)
        self.value_start, self.value_end = match.span(group)
        self.value = decoded(text[self.value_start : self.value_end])


class Element:
    """One element: its tags as spans of the text, its parent and its children.

    Two are equal where they stand at the same place of the same text.
    """

    __slots__ = ("__dict__", "close", "end", "head_end", "markup", "name", "parent", "start")

    def __init__(self, markup: str, name: str, start: int, head_end: int, parent: "Element | None") -> None:
        self.markup = markup
        """The text with blanks where markup is hidden: every `<` in it begins a tag."""
        self.name = name
        self.start = start
        self.head_end = head_end
        """Behind the start tag."""
        self.parent = parent
        self.close = -1
        """Where the end tag begins; -1 for `<name/>`."""
        self.end = head_end
        """Behind the whole element."""
        if markup[head_end - 2] != "/":
            self.close = markup.rfind("</") if parent is None else _end_tag(markup, name, head_end)
            self.end = markup.index(">", self.close) + 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Element) and self.start == other.start and self.markup is other.markup

    def __hash__(self) -> int:
        return self.start

    @cached_property
    def children(self) -> "list[Element]":
        """The elements right below this one."""
        found = []
        position = self.head_end
        while (position := self.markup.find("<", position, self.close)) >= 0 and self.close >= 0:
            child = _element(self.markup, position, self)
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
        """What the attribute says, or None where there is none."""
        found = self.attributes.get(name)
        return None if found is None else found.value

    def quick(self, name: str) -> str | None:
        """What `get` gives; quicker where the attribute is the first and plainly written."""
        match = _FIRST.match(self.markup, self.start, self.head_end)
        return match[2] if match is not None and match[1] == name else self.get(name)

    def named(self, name: str) -> "list[Element]":
        """The children of that name."""
        return [child for child in self.children if child.name == name]

    @cached_property
    def leaves(self) -> list[str] | None:
        """The key (or name) of each child where all of them are `<add key="..." ... />`; else None."""
        first = self.markup.find("<", self.head_end, self.close)
        if self.close < 0 or first < 0:
            return []
        if not self.markup.startswith("<add", first):
            return None  # nobody writes hundreds of other children, and most elements end here
        tags = self.markup.count("<", self.head_end, self.close)
        for pattern in _LEAVES:
            found: list[str] = pattern.findall(self.markup, self.head_end, self.close)
            # Where every tag begins such a child, no tag is left that could end one: all are empty.
            if len(found) == tags:
                return found
        return None

    @cached_property
    def _leaf_starts(self) -> list[int]:
        """How many characters stand before each child, other tags' `<` not counted."""
        return list(accumulate(map(len, self.markup[self.head_end : self.close].split("<"))))

    def leaf(self, number: int) -> "Element":
        """The child that `leaves` gave at this index."""
        return _element(self.markup, self.head_end + self._leaf_starts[number] + number, self)

    @property
    def size(self) -> int:
        """How many children there are."""
        return len(self.children if self.leaves is None else self.leaves)

    @property
    def last(self) -> "Element | None":
        """The last child."""
        if self.leaves is None:
            return self.children[-1] if self.children else None
        return self.leaf(len(self.leaves) - 1) if self.leaves else None

    @property
    def index(self) -> int:
        """How many children of the parent stand before this one."""
        parent = self.parent
        if parent is None:
            return 0
        if parent.leaves is not None:
            return self.markup.count("<", parent.head_end, self.start)
        return parent.children.index(self)


def scan(text: str) -> Element:
    """The root element of a well-formed text."""
    markup = _without_hidden(text)
    return _element(markup, markup.index("<"), None)


def _without_hidden(text: str) -> str:
    """The text with as many blanks in place of comments, CDATA sections and instructions."""
    declaration = text.index("?>") + 2 if text.startswith("<?") else 0
    if _HIDING.search(text, declaration) is None:
        return " " * declaration + text[declaration:]
    return _HIDDEN.sub(lambda match: " " * len(match[0]), text)


def _element(markup: str, position: int, parent: Element | None) -> Element:
    match = _START_TAG.match(markup, position)
    if match is None:
        raise ValueError("a text was called well-formed, and a tag in it is not")
    return Element(markup, match[1], position, match.end(), parent)


def _end_tag(markup: str, name: str, position: int) -> int:
    """Where the end tag of an element begins whose start tag ends at `position`."""
    close = markup.find(f"</{name}", position)
    if markup[close + 2 + len(name)] in "> \t\r\n" and markup.find(f"<{name}", position, close) < 0:
        return close
    depth = 1
    for match in _tags(markup, name, position):
        if markup[match.start() + 1] == "/":
            depth -= 1
        elif markup[match.end() - 2] != "/":
            depth += 1
        if depth == 0:
            return match.start()
    raise ValueError("a text was called well-formed, and an element in it is not closed")


def _tags(markup: str, name: str, position: int) -> Iterator[re.Match[str]]:
    """The tags of elements of that name from a position on."""
    inside = r"(?:\s[^\"'>]*(?:\"[^\"]*\"[^\"'>]*|'[^']*'[^\"'>]*)*)?"
    return re.compile(rf"<(?:/{re.escape(name)}\s*|{re.escape(name)}{inside}/?)>").finditer(markup, position)


def decoded(raw: str) -> str:
    """What an attribute's raw value says (XML 1.0, sections 2.11, 3.3.3 and 4.6)."""
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
    """A text as a raw attribute value between such quotes in a file of that encoding; raises ValueError.

    What the encoding lacks is written as a character reference; what XML lacks altogether cannot be written.
    """
    if found := _NOT_XML.search(value):
        raise ValueError(f"it holds U+{ord(found[0]):04X}, which XML cannot hold")
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
