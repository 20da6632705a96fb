"""Objects as a mergeable single configuration file (SCF): the writer, and a strict reader of what it writes.

Source: the layout of `tmsh save sys config file` and `tmsh list` (16.1): one block per object, one property
per line, flags as bare words, an empty block as `none`. Inside quotes only the quotation mark is escaped by a
backslash; the two characters backslash and r are kept.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from .vocabulary import KINDS, NAMED, Object, Value, monitor_rule, monitors_of

_BARE: Final = re.compile(r"[A-Za-z0-9_./:%^\[\]-]*[A-Za-z0-9_./:%-]")
_TOKEN: Final = re.compile(r'[ \t]*(?:"((?:[^"\\\n]|\\.)*)"|([{}])|([^\s{}"]+))')


class ScfError(ValueError):
    """The text is not the configuration of a farm; the message names the line."""


class TextLine(NamedTuple):
    """One line of an object, and its depth of indentation."""

    depth: int
    text: str


class ObjectText(NamedTuple):
    """One object for the template: its head, and its lines (those of an iRule unchanged)."""

    head: str
    lines: tuple[TextLine, ...]


class Shape(NamedTuple):
    """The properties that a block may have: numbers, words, lists of words, bare flags, and inner blocks."""

    numbers: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    blocks: Mapping[str, "Shape"] = {}
    omitted: frozenset[str] = frozenset()
    """Blocks that are not written if they are empty."""


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


_OMITTED: Final = _set("conditions")
"""The policy rule for all other paths has no conditions."""
_RULE: Final = "monitor"
"""The property of a pool that holds several paths, joined by `and`, without quotes."""
_FQDN: Final = Shape(words=_set("autopopulate name"))
_CONDITION: Final = Shape(lists=_set("values"), flags=_set("http-uri path request starts-with case-insensitive"))
_ACTION: Final = Shape(
    words=_set("pool name expiry"), flags=_set("forward select request persist cookie-insert disable")
)

SHAPES: Final[Mapping[str, Shape]] = {
    "ltm profile server-ssl": Shape(
        words=_set("description authenticate-name ca-file defaults-from peer-cert-mode server-name"),
        lists=_set("options"),
    ),
    "ltm monitor http": Shape(
        numbers=_set("interval time-until-up timeout"), words=_set("description defaults-from recv send")
    ),
    "ltm monitor https": Shape(
        numbers=_set("interval time-until-up timeout"), words=_set("description defaults-from recv send ssl-profile")
    ),
    "ltm monitor tcp": Shape(
        numbers=_set("interval time-until-up timeout"), words=_set("description defaults-from recv send")
    ),
    "ltm node": Shape(words=_set("description address"), blocks={"fqdn": _FQDN}),
    "ltm pool": Shape(
        numbers=_set("min-active-members slow-ramp-time"),
        words=_set("description load-balancing-mode monitor service-down-action"),
        blocks={
            "members": Shape(
                numbers=_set("priority-group ratio"), words=_set("address session state"), blocks={"fqdn": _FQDN}
            )
        },
    ),
    "ltm cipher rule": Shape(words=_set("description cipher")),
    "ltm cipher group": Shape(words=_set("description"), blocks={"allow": Shape()}),
    "ltm profile client-ssl": Shape(
        words=_set("description cipher-group ciphers defaults-from"),
        lists=_set("options"),
        blocks={"cert-key-chain": Shape(words=_set("cert chain key"))},
    ),
    "ltm profile http": Shape(words=_set("description defaults-from header-insert insert-xforwarded-for")),
    "ltm profile tcp": Shape(words=_set("description defaults-from idle-timeout")),
    "ltm profile websocket": Shape(words=_set("description defaults-from masking")),
    "ltm persistence cookie": Shape(words=_set("description cookie-name defaults-from method secure")),
    "ltm persistence source-addr": Shape(words=_set("description defaults-from hash-algorithm")),
    "ltm policy": Shape(
        words=_set("description status strategy"),
        lists=_set("controls requires"),
        blocks={
            "rules": Shape(
                numbers=_set("ordinal"),
                blocks={"actions": _ACTION, "conditions": _CONDITION},
                omitted=_OMITTED,
            )
        },
    ),
    "ltm virtual": Shape(
        words=_set("description destination ip-protocol mask pool source"),
        lists=_set("rules"),
        blocks={
            "persist": Shape(words=_set("default")),
            "policies": Shape(),
            "profiles": Shape(words=_set("context")),
            "source-address-translation": Shape(words=_set("type")),
        },
    ),
}
"""The properties of each kind of object; the reader accepts no others."""


def quoted(text: str) -> str:
    """Quote a text as one word of an SCF."""
    if text and _BARE.fullmatch(text):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def blocks(objects: tuple[Object, ...]) -> list[ObjectText]:
    """The objects as the template needs them."""
    return [_block(one) for one in objects]


def _block(one: Object) -> ObjectText:
    definition = one.properties.get("definition")
    if isinstance(definition, str):
        return ObjectText(f"{one.kind} {one.path}", tuple(TextLine(0, line) for line in definition.split("\n")))
    return ObjectText(f"{one.kind} {one.path}", tuple(_lines(one.properties, 1)))


def _lines(properties: Mapping[str, Value], depth: int) -> Iterator[TextLine]:
    for key, value in sorted(properties.items()):
        match value:
            case True:
                yield TextLine(depth, key)
            case str() if key == _RULE:
                yield TextLine(depth, f"{key} {' and '.join(map(quoted, monitors_of(value)))}")
            case str() | int():
                yield TextLine(depth, f"{key} {quoted(str(value))}")
            case tuple() if value:
                yield TextLine(depth, f"{key} {{ {' '.join(map(quoted, value))} }}")
            case Mapping() if not value and key in _OMITTED:
                pass
            case Mapping() if value:
                yield from _opened(key, _children(key, value, depth + 1), depth)
            case _:
                yield TextLine(depth, f"{key} none")


def _opened(head: str, lines: Iterator[TextLine], depth: int) -> Iterator[TextLine]:
    inner = list(lines)
    if inner:
        yield TextLine(depth, f"{head} {{")
        yield from inner
        yield TextLine(depth, "}")
    else:
        yield TextLine(depth, f"{head} {{ }}")


def _children(key: str, value: Mapping[str, Value], depth: int) -> Iterator[TextLine]:
    if key not in NAMED:
        yield from _lines(value, depth)
        return
    for name, inner in sorted(value.items()):
        properties = inner if isinstance(inner, Mapping) else {}
        yield from _opened(quoted(name), _lines(properties, depth + 1), depth)


# The reader.


def parse(text: str) -> tuple[Object, ...]:
    """Read the objects of an SCF, in its order; raises ScfError for anything that a farm does not have."""
    reader = _Reader(text.split("\n"))
    found = tuple(reader.objects())
    paths = [(one.kind, one.path) for one in found]
    if len(set(paths)) != len(paths):
        raise ScfError("an object is duplicated")
    return found


class _Reader:
    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.at = 0

    def fail(self, message: str) -> ScfError:
        return ScfError(f"line {self.at}: {message}")

    def next(self) -> str:
        if self.at >= len(self.lines):
            raise self.fail("the file ends inside a block")
        self.at += 1
        return self.lines[self.at - 1]

    def objects(self) -> Iterator[Object]:
        while self.at < len(self.lines):
            line = self.next()
            if not line or line.startswith("#"):
                continue
            words = self.words(line)
            if len(words) < 4 or words[-1] != "{" or "{" in words[:-1]:
                raise self.fail("an object begins with its kind, its path and {")
            kind, path = " ".join(words[:-2]), words[-2]
            if kind not in KINDS or not path.startswith("/"):
                raise self.fail(f"{kind} {path} is not an object of a farm")
            properties = {"definition": self.raw()} if kind == "ltm rule" else self.block(SHAPES[kind])
            yield Object(kind, path, properties)

    def raw(self) -> str:
        """The text of an iRule, up to its closing brace."""
        lines: list[str] = []
        depth = 0
        while (line := self.next()) != "}" or depth:
            depth += line.count("{") - line.count("}")
            if depth < 0:
                raise self.fail("a closing brace has no opening brace")
            lines.append(line)
        return "\n".join(lines)

    def words(self, line: str) -> list[str]:
        """The words of a line, including braces; a quoted brace is refused, because no text of a farm is one."""
        found: list[str] = []
        position = 0
        while line[position:].strip():
            match = _TOKEN.match(line, position)
            if match is None:
                raise self.fail(f"unexpected text: {line[position:].strip()}")
            text = match[1].replace('\\"', '"') if match[1] is not None else match[2] or match[3]
            if match[1] is not None and text in {"{", "}"}:
                raise self.fail("a brace in quotes")
            found.append(text)
            position = match.end()
        return found

    def block(self, shape: Shape) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while (words := self.words(self.next())) != ["}"]:
            if not words:
                raise self.fail("an empty line inside a block")
            if words[0] in found:
                raise self.fail(f"{words[0]} is duplicated")
            found[words[0]] = self.value(shape, words)
        return {**{key: {} for key in shape.omitted}, **found}

    def value(self, shape: Shape, words: list[str]) -> Value:
        key, rest = words[0], words[1:]
        if key in shape.blocks:
            return self.inner(key, shape.blocks[key], rest)
        if key in shape.lists and (rest == ["none"] or (rest[:1] == ["{"] and rest[-1] == "}")):
            return tuple(rest[1:-1])
        if key in shape.flags and not rest:
            return True
        if key in shape.words and len(rest) == 1:
            return rest[0]
        if key == _RULE and key in shape.words and rest[1::2] == ["and"] * (len(rest) // 2) and len(rest) % 2:
            return monitor_rule(rest[::2])
        if key in shape.numbers and len(rest) == 1 and rest[0].isdecimal():
            return int(rest[0])
        raise self.fail(f"{' '.join(words)} is not allowed here")

    def inner(self, key: str, shape: Shape, rest: list[str]) -> Value:
        if rest == ["none"] and key in NAMED:
            return {}
        if rest != ["{"]:
            raise self.fail(f"{key} must open a block")
        return self.named(shape) if key in NAMED else self.block(shape)

    def named(self, shape: Shape) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while (words := self.words(self.next())) != ["}"]:
            if len(words) < 2 or words[1] != "{" or words[2:] not in ([], ["}"]) or words[0] in found:
                raise self.fail("an entry must have a unique name and open a block")
            found[words[0]] = {} if words[2:] else self.block(shape)
        return found
