"""The planned changes as an XDT transform, for deployments that use transforms.

Source: Microsoft's "Web.config Transformation Syntax": locators find the element, transforms change it.
If a name or a key is not unique, the locator is an XPath with positions. Applied twice, the transform gives the same
file as applied once: `InsertIfMissing` does nothing where its locator finds an element.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from ..config.edits import InsertElement, Operation, RemoveAttribute, SetAttribute
from ..config.lexer import Element, encoded

NAMESPACE: Final = "http://schemas.microsoft.com/XML-Document-Transform"


class _TransformElement:
    """One element of the transform."""

    def __init__(self, name: str, attributes: Sequence[tuple[str, str]] = ()) -> None:
        self.name = name
        self.attributes = list(attributes)
        self.children: list[_TransformElement] = []

    def tags(self, depth: int = 0) -> Iterator[dict[str, object]]:
        """The tags of this element and all below it, each with its depth."""
        text = self.name + "".join(f' {name}="{encoded(value, chr(34))}"' for name, value in self.attributes)
        yield {"depth": depth, "text": text if self.children else f"{text} /"}
        for child in self.children:
            yield from child.tags(depth + 1)
        if self.children:
            yield {"depth": depth, "text": f"/{self.name}"}


def tags(operations: Sequence[Operation], root: Element) -> list[dict[str, object]]:
    """The tags of the transform that carries out the operations on one file."""
    top = _TransformElement(root.name)
    if (namespace := root.get("xmlns")) is not None:
        top.attributes.append(("xmlns", namespace))
    top.attributes.append(("xmlns:xdt", NAMESPACE))
    frames: dict[Element, _TransformElement] = {root: top}
    for operation in operations:
        if isinstance(operation, InsertElement):
            _frame(operation.parent, frames).children.append(
                _TransformElement(operation.name, [*_inserted(operation), ("xdt:Transform", "InsertIfMissing")])
            )
    for element in dict.fromkeys(one.element for one in operations if not isinstance(one, InsertElement)):
        _changed(element, operations, frames)
    return list(top.tags())


def _inserted(operation: InsertElement) -> list[tuple[str, str]]:
    """The attributes of a new element; without a locator the engine looks for one with the same name."""
    located = [("xdt:Locator", "Match(key)")] if operation.name == "add" else []
    return [*operation.attributes, *located]


def _changed(element: Element, operations: Sequence[Operation], frames: dict[Element, _TransformElement]) -> None:
    sets = [one for one in operations if isinstance(one, SetAttribute) and one.element == element]
    removes = [one for one in operations if isinstance(one, RemoveAttribute) and one.element == element]
    if element.parent is None:
        _changed_root(frames[element], element, sets, removes)
        return
    parent = _frame(element.parent, frames)
    if removes:
        names = ",".join(one.name for one in removes)
        parent.children.append(
            _TransformElement(element.name, [*_locator(element), ("xdt:Transform", f"RemoveAttributes({names})")])
        )
    if sets:
        names = ",".join(one.name for one in sets)
        values = [(one.name, one.value) for one in sets]
        locator = _locator(element)
        transform = ("xdt:Transform", f"SetAttributes({names})")
        parent.children.append(_TransformElement(element.name, [*locator, *values, transform]))


def _changed_root(
    frame: _TransformElement, root: Element, sets: Sequence[SetAttribute], removes: Sequence[RemoveAttribute]
) -> None:
    """The changes of the root, which is a section in the file that `configSource` names.

    An element has one transform. So a root that also loses attributes is replaced: a machineKey has no children.
    """
    values = {one.name: one.value for one in sets}
    transform = f"SetAttributes({','.join(values)})"
    if removes:
        kept = {name: attribute.value for name, attribute in root.attributes.items()}
        gone = {one.name for one in removes}
        values = {name: value for name, value in (kept | values).items() if name not in gone}
        transform = "Replace"
    frame.attributes += [*values.items(), ("xdt:Transform", transform)]


def _frame(element: Element, frames: dict[Element, _TransformElement]) -> _TransformElement:
    """The transform's element for an unchanged one; created on first use, with its parents."""
    if element not in frames and element.parent is not None:
        frames[element] = _TransformElement(element.name, _locator(element))
        _frame(element.parent, frames).children.append(frames[element])
    return frames[element]


def _locator(element: Element) -> list[tuple[str, str]]:
    """The attributes that locate the element; none if its name is unique."""
    siblings = element.parent.named(element.name) if element.parent is not None else [element]
    if len(siblings) == 1 and element.name != "add":
        return []
    key = element.get("key")
    if key is not None and sum(one.get("key") == key for one in siblings) == 1 and not {"'", '"'} & set(key):
        return [("key", key), ("xdt:Locator", "Match(key)")]
    return [("xdt:Locator", f"XPath({xpath(element)})")]


def xpath(element: Element) -> str:
    """The XPath of an element by names and positions, in any namespace."""
    steps: list[str] = []
    current: Element | None = element
    while current is not None:
        twins = current.parent.named(current.name) if current.parent is not None else [current]
        position = f"[{twins.index(current) + 1}]" if len(twins) > 1 else ""
        steps.append(f"*[local-name()='{current.name}']{position}")
        current = current.parent
    return "/" + "/".join(reversed(steps))
