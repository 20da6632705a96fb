"""Change one value of a farm.yaml, and keep every other character: comments, order, quotes.

The page's form edits values by their paths. The new text is parsed again: if its data is not the intended data, the
change is refused, and the user edits the text.
"""

from typing import Final

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, SequenceNode

from ..core.errors import SpecError, UsageError
from ..spec import document
from ..spec.load import dotted
from ..spec.schema import Data, Path

_ELSEWHERE: Final = "change it in farm.yaml"
_WIDE: Final = 1 << 20


def with_value(text: str, path: Path, value: Data) -> str:
    """Return the text with this value at `path`; missing mappings on the way are added. Raises UsageError."""
    data = _data(text)
    intended = _replaced(data, path, value)
    root = _root(text)
    node, depth = _deepest(root, path)
    rest = path[depth:]
    changed = _added(text, node, rest, value) if rest else _over(text, node, value)
    return _verified(changed, intended, path)


def without(text: str, path: Path) -> str:
    """Return the text without the key or the item at `path`; a mapping that is then empty goes too.

    Raises UsageError.
    """
    data = _data(text)
    root = _root(text)
    if _deepest(root, path)[1] < len(path):
        return text
    parent, _ = _deepest(root, path[:-1])
    if len(path) > 1 and isinstance(parent, MappingNode) and len(parent.value) == 1:
        return without(text, path[:-1])
    intended = _removed(data, path)
    entries = _spans(text, parent)
    index = path[-1] if isinstance(path[-1], int) else _keys(parent).index(path[-1])
    if len(entries) == 1:
        changed = _over(text, parent, [] if isinstance(parent, SequenceNode) else {})
    elif _in_brackets(parent) or not _own_line(text, entries[index][0]):
        start, end = entries[index]
        changed = text[:start] + text[entries[1][0] :] if index == 0 else text[: entries[index - 1][1]] + text[end:]
    else:
        changed = text[: _line_start(text, entries[index][0])] + text[_line_end(text, entries[index][1]) :]
    return _verified(changed, intended, path)


def with_item(text: str, path: Path, value: Data) -> str:
    """Return the text with a new last item of the list at `path`; raises UsageError."""
    data = _data(text)
    known = _at(data, path)
    if not isinstance(known, list) or not known:
        return with_value(text, path, [value])
    intended = _replaced(data, path, [*known, value])
    node, _ = _deepest(_root(text), path)
    start, end = _spans(text, node)[-1]
    if _in_brackets(node):
        changed = f"{text[:end]}, {_written(value)}{text[end:]}"
    else:
        stop = _line_end(text, end)
        line = f"{text[_line_start(text, start) : start]}- {_written(value)}\n"
        changed = text[:stop] + ("" if text[:stop].endswith("\n") else "\n") + line + text[stop:]
    return _verified(changed, intended, path)


def moved(text: str, path: Path, index: int, to: int) -> str:
    """Return the text with the items `index` and `to` of the list at `path` exchanged; raises UsageError."""
    known = _at(_data(text), path)
    low, high = sorted((index, to))
    if not isinstance(known, list) or not 0 <= low < high < len(known):
        raise UsageError(f"{dotted(path)} has no items {index} and {to}", _ELSEWHERE)
    order = list(known)
    order[low], order[high] = order[high], order[low]
    node, _ = _deepest(_root(text), path)
    spans = _spans(text, node)
    if not _in_brackets(node):
        spans = [(start, _line_end(text, end)) for start, end in spans]
    (one, one_end), (two, two_end) = spans[low], spans[high]
    first, second = text[one:one_end], text[two:two_end]
    if not _in_brackets(node) and not second.endswith("\n"):
        first, second = first.removesuffix("\n"), second + "\n"
    changed = text[:one] + second + text[one_end:two] + first + text[two_end:]
    return _verified(changed, _replaced(_data(text), path, order), path)


# The data


def _data(text: str) -> Data:
    try:
        return document.parse("farm.yaml", text).data
    except SpecError as error:
        raise UsageError(f"the form cannot change this text: {error.problems[0]}", _ELSEWHERE) from None


def _at(data: Data, path: Path) -> Data:
    for step in path:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data


def _replaced(data: Data, path: Path, value: Data) -> Data:
    """The data with this value at `path`."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        if not isinstance(data, list) or step >= len(data):
            raise UsageError(f"there is no item {step}", _ELSEWHERE)
        return [_replaced(one, rest, value) if index == step else one for index, one in enumerate(data)]
    if data is not None and not isinstance(data, dict):
        raise UsageError(f"{step} cannot be a key here, because the value is not a mapping", _ELSEWHERE)
    known = data or {}
    return {**known, step: _replaced(known.get(step), rest, value)}


def _removed(data: Data, path: Path) -> Data:
    parent = _at(data, path[:-1])
    if isinstance(parent, list):
        return _replaced(data, path[:-1], [one for index, one in enumerate(parent) if index != path[-1]])
    kept = {key: one for key, one in parent.items() if key != path[-1]} if isinstance(parent, dict) else {}
    return _replaced(data, path[:-1], kept)


def _verified(text: str, intended: Data, path: Path) -> str:
    """The changed text; raises UsageError if its data is not the intended data."""
    try:
        same = document.parse("farm.yaml", text).data == intended
    except SpecError:
        same = False
    if not same:
        raise UsageError(f"{dotted(path)} is written in a way that the form cannot change", _ELSEWHERE)
    return text


# Positions


def _root(text: str) -> Node:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, MappingNode):
        raise UsageError("the text is not a mapping of keys and values", _ELSEWHERE)
    return root


def _deepest(root: Node, path: Path) -> tuple[Node, int]:
    """The node of the longest written part of the path, and the length of that part."""
    node = root
    for depth, step in enumerate(path):
        if isinstance(node, MappingNode) and step in (keys := _keys(node)):
            node = node.value[keys.index(str(step))][1]
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
        else:
            return node, depth
    return node, len(path)


def _keys(node: Node) -> list[str]:
    return [key.value for key, _ in node.value]


def _spans(text: str, node: Node) -> list[tuple[int, int]]:
    """The positions of a mapping's entries or of a list's items; an item of a block list begins at its dash."""
    if isinstance(node, MappingNode):
        return [(key.start_mark.index, _end(value)) for key, value in node.value]
    if _in_brackets(node):
        return [(item.start_mark.index, _end(item)) for item in node.value]
    column = node.start_mark.column
    found = []
    for item in node.value:
        at = item.start_mark.index - 1
        while not (text[at] == "-" and at - _line_start(text, at) == column):
            at -= 1
        found.append((at, _end(item)))
    return found


def _end(node: Node) -> int:
    """The position after a value; the end of a block collection is that of its last value."""
    if isinstance(node, MappingNode) and not _in_brackets(node) and node.value:
        return _end(node.value[-1][1])
    if isinstance(node, SequenceNode) and not _in_brackets(node) and node.value:
        return _end(node.value[-1])
    return int(node.end_mark.index)


def _in_brackets(node: Node) -> bool:
    """Whether a collection is written as `[...]` or `{...}`."""
    return isinstance(node, CollectionNode) and bool(node.flow_style)


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, at: int) -> int:
    """The position after the line end; a block scalar ends with one already."""
    if at and text[at - 1] == "\n":
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _own_line(text: str, at: int) -> bool:
    return not text[_line_start(text, at) : at].strip()


# Writing


def _over(text: str, node: Node, value: Data) -> str:
    """The text with the value in place of a node."""
    start, end = node.start_mark.index, _end(node)
    gap = " " if start == end and text[start - 1 : start] == ":" else ""
    tail = "\n" if text[start:end].endswith("\n") else ""
    return f"{text[:start]}{gap}{_written(value)}{tail}{text[end:]}"


def _added(text: str, node: Node, rest: Path, value: Data) -> str:
    """The text with a new key in a mapping; further steps of the path are mappings inside its value."""
    for step in reversed(rest[1:]):
        value = {str(step): value}
    entry = f"{rest[0]}: {_written(value)}"
    if not isinstance(node, MappingNode) or not node.value:
        return _over(text, node, {str(rest[0]): value})
    start, end = _spans(text, node)[-1]
    if _in_brackets(node):
        return f"{text[:end]}, {entry}{text[end:]}"
    stop = _line_end(text, end)
    line = f"{' ' * (start - _line_start(text, start))}{entry}\n"
    return text[:stop] + ("" if text[:stop].endswith("\n") else "\n") + line + text[stop:]


def _written(value: Data) -> str:
    """The value on one line, as it can stand inside brackets."""
    listed = yaml.safe_dump([value], default_flow_style=True, width=_WIDE, allow_unicode=True, sort_keys=False)
    return listed.strip()[1:-1]
