"""Turn changes of elements and attributes into the smallest edits of the text.

An inserted element gets a line of its own with the indentation and the line end of its neighbours, so that a line diff
shows only this line. If the neighbours share a line with the end tag, the element joins that line.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .lexer import Attribute, Element, encoded
from .webconfig import Document, Edit


@dataclass(frozen=True, slots=True)
class SetAttribute:
    """Set the value of an attribute; a missing attribute is added."""

    document: Document
    element: Element
    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RemoveAttribute:
    """Remove an attribute."""

    document: Document
    element: Element
    name: str


@dataclass(frozen=True, slots=True)
class InsertElement:
    """Insert an empty element with these attributes as the last child of `parent`."""

    document: Document
    parent: Element
    name: str
    attributes: tuple[tuple[str, str], ...] = field(repr=False)


Operation = SetAttribute | RemoveAttribute | InsertElement


def text_edits(document: Document, operations: Iterable[Operation]) -> list[Edit]:
    """The edits that carry out the operations on this document; raises ValueError for a character that XML forbids."""
    added: dict[Element, list[SetAttribute]] = {}
    inserted: dict[Element, list[InsertElement]] = {}
    edits = []
    for operation in operations:
        if operation.document is not document:
            continue
        if isinstance(operation, InsertElement):
            inserted.setdefault(operation.parent, []).append(operation)
        elif isinstance(operation, RemoveAttribute):
            attribute = operation.element.attributes[operation.name]
            edits.append(Edit(attribute.start, attribute.end, ""))
        elif (present := operation.element.attributes.get(operation.name)) is None:
            added.setdefault(operation.element, []).append(operation)
        else:
            value = encoded(operation.value, present.quote, document.codec)
            edits.append(Edit(present.value_start, present.value_end, value))
    edits += [_attributes(document, element, new) for element, new in added.items()]
    for parent, elements in inserted.items():
        edits += _elements(document, parent, elements)
    return edits


def _attributes(document: Document, element: Element, new: Sequence[SetAttribute]) -> Edit:
    """The new attributes after the last one, each with the white space and the quotes of that one."""
    last = list(element.attributes.values())[-1:]
    quote = last[0].quote if last else '"'
    gap = _gap(document.text, last[0]) if last else " "
    position = last[0].end if last else element.start + 1 + len(element.name)
    text = "".join(f"{gap}{one.name}={quote}{encoded(one.value, quote, document.codec)}{quote}" for one in new)
    return Edit(position, position, text)


def _gap(text: str, attribute: Attribute) -> str:
    written = text[attribute.start : attribute.end]
    return written[: len(written) - len(written.lstrip())]


def _elements(document: Document, parent: Element, new: Sequence[InsertElement]) -> list[Edit]:
    """The new elements at the end of their parent; `<name/>` becomes a start tag and an end tag."""
    text = document.text
    line = _line_end(text, parent.start)
    if parent.close < 0:
        outer = _indent(text, parent.start)
        inner = outer + _unit(parent, text)
        body = "".join(f"{line}{inner}{_written(document, one)}" for one in new)
        return [Edit(_slash(text, parent), parent.head_end, f">{body}{line}{outer}</{parent.name}>")]
    close_line = _line_start(text, parent.close)
    if text[close_line : parent.close].strip(" \t"):
        return [_beside(document, parent, new)]
    sibling = parent.last
    inner = _indent(text, sibling.start) if sibling else _indent(text, parent.start) + _unit(parent, text)
    body = "".join(f"{inner}{_written(document, one)}{_line_end(text, parent.close)}" for one in new)
    return [Edit(close_line, close_line, body)]


def _beside(document: Document, parent: Element, new: Sequence[InsertElement]) -> Edit:
    """The new elements before an end tag that shares its line; in an empty parent they get their own lines."""
    text = document.text
    written = [_written(document, one) for one in new]
    if text[parent.head_end : parent.close].strip():
        return Edit(parent.close, parent.close, "".join(written))
    line, outer = _line_end(text, parent.start), _indent(text, parent.start)
    body = "".join(f"{line}{outer}{_unit(parent, text)}{one}" for one in written)
    return Edit(parent.head_end, parent.close, f"{body}{line}{outer}")


def _written(document: Document, element: InsertElement) -> str:
    attributes = "".join(f' {name}="{encoded(value, chr(34), document.codec)}"' for name, value in element.attributes)
    return f"<{element.name}{attributes} />"


def _slash(text: str, element: Element) -> int:
    """The position of the `/` of `<name />`, or of the white space before it."""
    head = text[element.start : element.head_end - 2]
    return element.start + len(head.rstrip())


def _line_start(text: str, position: int) -> int:
    return max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1


def _indent(text: str, position: int) -> str:
    """The white space at the beginning of the line."""
    start = _line_start(text, position)
    line = text[start:position]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _line_end(text: str, position: int) -> str:
    """The line end before this line; for the first line, the line end after it, or CR LF if there is none."""
    start = _line_start(text, position)
    if start == 0:
        found = re.search(r"\r\n|\r|\n", text)
        return found[0] if found else "\r\n"
    if text[start - 2 : start] == "\r\n":
        return "\r\n"
    return text[start - 1]


def _unit(parent: Element, text: str) -> str:
    """One step of indentation: the parent's against its own parent; two spaces if that is not clear."""
    if parent.parent is not None:
        own, outer = _indent(text, parent.start), _indent(text, parent.parent.start)
        if own.startswith(outer) and own != outer:
            return own[len(outer) :]
    return "  "
