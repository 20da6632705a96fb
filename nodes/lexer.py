"""XML as spans of its text: where each element and attribute stands, so that an edit can leave the rest alone.

A serialiser would rewrite what it does not keep (quotes, entities, white space inside tags, several elements on a
line). This lexer only reads text that lxml has found well-formed, so it needs no error handling of its own; what it
does not recognise as markup it never offers for editing.
"""

import re
from functools import cached_property
from typing import Final

_MARKUP: Final = re.compile(
    r"<(?:([^\s/>!?]+)[^\"'>]*(?:\"[^\"]*\"[^\"'>]*|'[^']*'[^\"'>]*)*>"
    r"|/[^>]*>|!--.*?-->|!\[CDATA\[.*?\]\]>|\?.*?\?>)",
    re.DOTALL,
)
_ATTRIBUTE: Final = re.compile(r"\s+([^\s=]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_FIRST: Final = re.compile(r"\s+(?:key|name)\s*=\s*\"([^\"&\s]*)\"")
"""The usual start of an `<add>`: most elements are never read any further."""
_REFERENCE: Final = re.compile(r"&(?:#x([0-9A-Fa-f]+)|#([0-9]+)|(lt|gt|amp|quot|apos));")
_NAMED: Final = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_SPACE: Final = re.compile(r"\r\n|[\r\n\t]")
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_HIDING: Final = ("<!--", "<![CDATA[", "<?")
"""What may hold text that looks like a tag."""


class Attribute:
    """One attribute: where it and its raw value stand, and what the value says."""

    __slots__ = ("end", "name", "quote", "start", "value", "value_end", "value_start")

    def __init__(self, text: str, match: re.Match[str]) -> None:
        group = 2 if match.group(2) is not None else 3
        self.name = match.group(1)
        self.quote = '"' if group == 2 else "'"
        self.start, self.end = match.span()
        """From the white space before the name to the quote after the value."""
        self.value_start, self.value_end = match.span(group)
        self.value = decoded(text[self.value_start : self.value_end])


class Element:
    """One element: its tags as spans of the text, its parent and its children."""

    __slots__ = ("__dict__", "children", "close", "end", "head_end", "name", "parent", "start", "text")

    def __init__(self, text: str, name: str, start: int, head_end: int, parent: "Element | None") -> None:
        self.text = text
        self.name = name
        self.start = start
        self.head_end = head_end
        """Behind the start tag."""
        self.close = -1
        """Where the end tag begins; -1 for `<name/>`."""
        self.end = head_end
        """Behind the whole element."""
        self.parent = parent
        self.children: list[Element] = []

    @cached_property
    def attributes(self) -> dict[str, Attribute]:
        """The attributes by name, in the order of the text."""
        begin = self.start + 1 + len(self.name)
        found = _ATTRIBUTE.finditer(self.text, begin, self.head_end)
        return {match.group(1): Attribute(self.text, match) for match in found}

    def get(self, name: str) -> str | None:
        """What the attribute says, or None where there is none."""
        found = self.attributes.get(name)
        return None if found is None else found.value

    def key(self, name: str) -> str | None:
        """What the attribute `name`, "key" or "name", says; quick where it is the first one."""
        begin = self.start + 1 + len(self.name)
        if "attributes" not in self.__dict__ and self.text.startswith(name, begin + 1):
            found = _FIRST.match(self.text, begin, self.head_end)
            if found is not None:
                return found[1]
        return self.get(name)

    def named(self, name: str) -> list["Element"]:
        """The children of that name."""
        return [child for child in self.children if child.name == name]


def scan(text: str, wanted: frozenset[str] | None = None) -> Element:
    """The root element of a well-formed text.

    With `wanted`, children of `<configuration>` with other names are found, but what they hold may be left out.
    """
    return _Scanner(text, wanted).run()


class _Scanner:
    def __init__(self, text: str, wanted: frozenset[str] | None) -> None:
        self._text = text
        self._wanted = wanted

    def run(self) -> Element:
        text = self._text
        root: Element | None = None
        current: Element | None = None
        position = 0
        while (match := _MARKUP.search(text, position)) is not None:
            start, position = match.span()
            name = match.group(1)
            if name is not None:
                element = Element(text, name, start, position, current)
                if current is None:
                    root = element
                else:
                    current.children.append(element)
                if text[position - 2] != "/":
                    skipped = self._skipped(element, root)
                    if skipped:
                        position = skipped
                    else:
                        current = element
            elif text[start + 1] == "/" and current is not None:
                current.close, current.end = start, position
                current = current.parent
        if root is None:
            raise ValueError("a text without an element was called well-formed")
        return root

    def _skipped(self, element: Element, root: Element | None) -> int:
        """Behind the element where its inside is of no interest and plain enough to jump over; else 0."""
        if self._wanted is None or root is None or element.parent is not root:
            return 0
        if element.name in self._wanted or root.name != "configuration":
            return 0
        text, name = self._text, element.name
        close = text.find(f"</{name}", element.head_end)
        inside = slice(element.head_end, close)
        if close < 0 or text[close + 2 + len(name)] not in "> \t\r\n":
            return 0
        if any(text.find(mark, inside.start, inside.stop) >= 0 for mark in (*_HIDING, f"<{name}")):
            return 0
        element.close, element.end = close, text.index(">", close) + 1
        return element.end


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
