"""The settings of one JSON file as ASP.NET Core's configuration names them, and the edits that change them.

A name is a path with colons, in any case: `A:B` is the member `B` of the object `A`, or a member with the name `A:B`;
the elements of an array have their index as a name. Source: JsonConfigurationFileParser of .NET.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .json_lexer import JsonMember, JsonProblemError, JsonValue, comma_after, parse
from .webconfig import Edit

STEP: Final = "  "
"""The indentation of a member where the file shows none."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting: its name as the file writes it, the position of that name, and its value."""

    name: str
    start: int
    value: JsonValue

    @property
    def text(self) -> str | None:
        """The text that the configuration reads; None for null and an empty object, empty for an empty array."""
        return "" if self.value.kind == "array" else self.value.text


def fold(name: str) -> str:
    """A name as .NET compares it: upper case, character by character (OrdinalIgnoreCase)."""
    if name.isascii():
        return name.upper()
    return "".join(upper if len(upper := char.upper()) == 1 else char for char in name)


def leaves(root: JsonValue) -> dict[str, Leaf]:
    """The settings of a file by their folded names; raises JsonProblemError if two have the same name."""
    found: dict[str, Leaf] = {}
    for leaf in _below(root, "", top=True):
        folded = fold(leaf.name)
        # The library compares scalars only: it sets an empty object or array without a comparison.
        if folded in found and leaf.value.kind not in {"object", "array"}:
            raise JsonProblemError(
                leaf.start,
                f"the setting {leaf.name} is a duplicate: upper and lower case do not matter in names, and A:B "
                "means B inside A",
                "remove one of the two",
            )
        found[folded] = leaf
    return found


def _below(value: JsonValue, path: str, *, top: bool = False) -> Iterator[Leaf]:
    for member in value.members:
        name = member.name if top else f"{path}:{member.name}"
        if member.value.members:
            yield from _below(member.value, name)
        else:
            yield Leaf(name, member.start, member.value)


def changed(text: str, values: Mapping[str, str], removed: Collection[str] = ()) -> str:
    """The text in which these settings have these values, and those of `removed` are not there; the rest is as before.

    Raises JsonProblemError for a file in which an empty object is the duplicate of another setting, or if the removal
    would give other elements of an array another index. Raises RuntimeError if the configuration would not read the
    values from the result.
    """
    before = _unique(parse(text))
    for name, value in values.items():
        root = parse(text)
        leaf = leaves(root).get(fold(name))
        if leaf is None:
            edits = _added(text, root, name, value)
        elif leaf.text == value:
            continue
        else:
            edits = [Edit(leaf.value.start, leaf.value.end, quoted(value))]
        text = applied(text, edits)
    gone = frozenset(map(fold, removed))
    while edits := _removal(text, parse(text), gone):
        text = applied(text, edits)
    read = {folded: leaf.text for folded, leaf in leaves(parse(text)).items()}
    wanted = {folded: leaf.text for folded, leaf in before.items()} | {fold(one): new for one, new in values.items()}
    # A member in an object that was empty takes the place of that object.
    kept = (folded for folded, new in wanted.items() if new is not None and folded not in gone)
    if gone & read.keys() or any(read.get(folded) != wanted[folded] for folded in kept):
        raise RuntimeError("the edited text does not match the plan")
    return text


def applied(text: str, edits: list[Edit]) -> str:
    """The text with these edits, which do not overlap."""
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def quoted(text: str) -> str:
    """A text as JSON. Characters beyond ASCII stay: the file can hold all of them."""
    return json.dumps(text, ensure_ascii=False)


def _unique(root: JsonValue) -> dict[str, Leaf]:
    """The settings of a file without any duplicate: an edit of one can change what is read of the other."""
    found = leaves(root)
    for leaf in _below(root, "", top=True):
        last = found[fold(leaf.name)]
        if last.start > leaf.start:
            cause = f"the setting {last.name} is a duplicate, and nlbgen does not edit such a file"
            raise JsonProblemError(last.start, cause, "remove one of the two")
    return found


def _added(text: str, root: JsonValue, name: str, value: str) -> list[Edit]:
    """The edits that add a setting to the innermost object that exists."""
    home, rest = _home(root, name)
    parts = rest.split(":")
    # An object with a part of this name is not one that has members: then the name stays in one piece.
    if any(fold(member.name) == fold(parts[0]) for member in home.members):
        parts = [rest]
    written = quoted(value)
    for part in reversed(parts[1:]):
        written = f"{{ {quoted(part)}: {written} }}"
    return _member(text, home, f"{quoted(parts[0])}: {written}")


def _removal(text: str, root: JsonValue, gone: frozenset[str]) -> list[Edit]:
    """The edits that remove the last member all of whose settings are in `gone`; none if there is no such member."""
    found = list(_removable(root, "", gone, top=True))
    if not found:
        return []
    home, member = found[-1]
    index = home.members.index(member)
    after = index + 1 < len(home.members)
    if home.kind == "array" and after:
        cause = (
            "an element of this array is not in the first node's file. nlbgen does not remove it, because the "
            "elements after it would get other indexes"
        )
        raise JsonProblemError(member.start, cause, "copy the array from the first node's file by hand")
    comma = comma_after(text, member.value.end)
    start, end = _with_line(text, member.start, member.value.end if comma < 0 else comma + 1)
    edits = [Edit(start, end, "")]
    if comma < 0 and index > 0:
        before = comma_after(text, home.members[index - 1].value.end)
        edits.append(Edit(before, before + 1, ""))
    return edits


def _removable(
    value: JsonValue, path: str, gone: frozenset[str], *, top: bool = False
) -> Iterator[tuple[JsonValue, JsonMember]]:
    """The outermost members all of whose settings are in `gone`, each with its object or array."""
    for member in value.members:
        name = member.name if top else f"{path}:{member.name}"
        below = _below(member.value, name) if member.value.members else iter((Leaf(name, member.start, member.value),))
        if all(fold(leaf.name) in gone for leaf in below):
            yield value, member
        else:
            yield from _removable(member.value, name, gone)


def _with_line(text: str, start: int, end: int) -> tuple[int, int]:
    """What to cut out for this part of the text: its lines if nothing else is on them, else also the space before."""
    line = _line_start(text, start)
    rest = len(text[end:]) - len(text[end:].lstrip(" \t"))
    if line > 0 and not text[line:start].strip(" \t") and text[end + rest : end + rest + 1] in {"\r", "\n"}:
        width = 2 if text.startswith("\r\n", end + rest) else 1
        return line, end + rest + width
    before = text[:start]
    return len(before.rstrip(" \t")), end


def _home(value: JsonValue, name: str) -> tuple[JsonValue, str]:
    """The innermost object on the path of a name, and the rest of the name."""
    for member in value.members:
        begin = f"{member.name}:"
        if member.value.kind in {"object", "array"} and fold(name).startswith(fold(begin)):
            home, rest = _home(member.value, name[len(begin) :])
            if home.kind == "object":
                return home, rest
    return value, name


def _member(text: str, home: JsonValue, written: str) -> list[Edit]:
    """The edits that add a member at the end of an object, on a line of its own if the object is on several lines."""
    last = home.members[-1] if home.members else None
    close = home.end - 1
    line = _line_start(text, close)
    own_line = line > home.start and not text[line:close].strip(" \t")
    if own_line:
        indent = text[line:close] + STEP if last is None else _indent(text, last)
        new = Edit(line, line, f"{indent}{written}{',' if home.comma >= 0 else ''}{_line_end(text, line)}")
        return [new] if last is None or home.comma >= 0 else [Edit(last.value.end, last.value.end, ","), new]
    if last is None:
        end = "" if text[home.start + 1 : home.start + 2].isspace() else " "
        return [Edit(home.start + 1, home.start + 1, f" {written}{end}")]
    if home.comma >= 0:
        return [Edit(home.comma, home.comma, f" {written},")]
    return [Edit(last.value.end, last.value.end, f", {written}")]


def _line_start(text: str, position: int) -> int:
    return max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1


def _indent(text: str, member: JsonMember) -> str:
    """The white space before a member that is the first of its line; otherwise that of its line."""
    start = _line_start(text, member.start)
    line = text[start : member.start]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _line_end(text: str, line: int) -> str:
    """The line end before this line."""
    return "\r\n" if text[line - 2 : line] == "\r\n" else text[line - 1]
