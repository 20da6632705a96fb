"""YAML as data with locations of all keys and values.

YAML 1.1 reads some values as others (`12:30` as 750, `0443` as 291, `no` as false) and ignores the first of two equal
keys. Here a plain scalar is a string, a decimal number, `true`, `false` or `null`. A value that YAML 1.1 reads as
another one is a problem with its location, and so is a duplicate key. Size, depth and number of values are limited, so
that a hostile file ends in one message.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from ..core.errors import Location, Problem, SpecError
from ..core.files import content, hint_for, is_folder
from ..core.wording import shortened
from .excerpts import excerpts, lines_of
from .schema import Data

MAX_BYTES: Final = 8 * 1024 * 1024
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 200_000
MAX_TEXT: Final = 16 * 1024
MAX_PROBLEMS: Final = 1000

TOO_MANY: Final = f"only the first {MAX_PROBLEMS} problems are shown: correct them, then run the command again"

_Event = Any
_Mark = Any
"""Events of the YAML library and their positions; its C implementation has no types."""

# `yaml.CSafeLoader` is missing where PyYAML was built without libyaml.
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+")
_PLAIN_WORDS: Final[dict[str, bool | None]] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "false": False,
}
_SURPRISES: Final = (
    (re.compile(r"(?i:y|n|yes|no|on|off)"), "YAML 1.1 reads it as true or false"),
    (re.compile(r"True|TRUE|False|FALSE|Null|NULL"), "YAML 1.1 and 1.2 parsers read it differently"),
    (re.compile(r"[-+]?0[0-7_]+"), "YAML 1.1 reads it as an octal number"),
    (re.compile(r"[-+]?0[0-9_]+"), "it starts with a zero"),
    (
        re.compile(r"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+)"),
        "some YAML parsers read it as a number",
    ),
    (
        re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"),
        "YAML 1.1 reads it as a base-60 number",
    ),
    (re.compile(r"(?=[^_]*_)[-+]?[0-9][0-9_.]*"), "YAML 1.1 reads it as a number, without the underscores"),
    (
        re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"),
        "some YAML parsers read it as a number",
    ),
    (re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"), "YAML reads it as infinity or as not a number (NaN)"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?"), "YAML 1.1 reads it as a date"),
    (re.compile(r"[<=]{1,2}"), "it has a special meaning in YAML 1.1"),
)
_LONGEST_SURPRISE: Final = 256
_SHOWN: Final = 40
"""The maximum number of characters of a text in a message."""
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""The characters that YAML forbids (1.1, section 5.1)."""
_YAML_REASONS: Final = (
    (
        re.compile("did not find expected node content|expected the node content, but found .*"),
        "a value is missing or invalid here",
    ),
    (re.compile("found character .*that cannot start any token"), "this character cannot start a value"),
    (re.compile("found unexpected end of stream"), "the file ends too early"),
    (re.compile("did not find expected key|expected <block end>, but found .*"), "a key is expected here"),
    (re.compile("expected ',' or ('.'), but got .*"), r"did not find expected ',' or \1"),
    (re.compile("found incompatible YAML document.*"), "found incompatible YAML document"),
    (re.compile("expected escape sequence of .* hexadecimal numbers.*"), "did not find expected hexdecimal number"),
)
"""Messages of libyaml, and of PyYAML without it, in the same and in plain terms: their "node" is a value."""

_SECRET_KEYS: Final = frozenset({"password", "secret", "key"})
"""The values of these keys may be secrets, written into the spec by mistake."""
# Only a text that starts like this, or one of these words, can be a surprise: most scalars skip the table.
_SUSPECT: Final = re.compile(r"[-+.0-9<=]|(?i:y|n|yes|no|on|off|true|false|null)$")


class Tree:
    """The location of a value and of its parts; for a mapping also the locations of its keys.

    Lines and columns count from 0, as the YAML library counts them.
    """

    __slots__ = ("column", "keys", "line", "parts", "text")

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column
        self.text: str | None = None
        self.keys: dict[str, tuple[int, int]] = {}
        self.parts: dict[str | int, Tree] = {}


class _RefusedError(Exception):
    """The file cannot be read any further."""

    def __init__(self, line: int, column: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.line, self.column, self.message, self.hint = line, column, message, hint


class _Composer:
    """Builds data and locations from the YAML library's events in one pass; the depth is limited."""

    def __init__(self, name: str, text: str, problems: list[Problem]) -> None:
        """Problems that do not end the reading are added to `problems`."""
        self._name = name
        self._problems = problems
        self._loader = _Loader(text)
        self._anchors: dict[str, tuple[Data, Tree, int]] = {}
        self._values = 0
        self._hidden = 0
        """How many values of `_SECRET_KEYS` enclose the current one: messages must not show their content."""
        self.quoted: _Event | None = None
        """The last text in quotes."""

    def compose(self) -> tuple[Data, Tree]:
        get = self._loader.get_event
        get()  # stream start
        if isinstance(event := get(), yaml.StreamEndEvent):
            raise _RefusedError(0, 0, "the file is empty", "`nlbgen init` writes a commented farm.yaml to start from")
        data, tree = self._value(get(), depth=0)
        get()  # document end
        if not isinstance(event := get(), yaml.StreamEndEvent):
            raise _RefusedError(
                event.start_mark.line,
                event.start_mark.column,
                "a second YAML document starts here",
                "one file describes one farm: put the other farm into a file of its own",
            )
        return data, tree

    def close(self) -> None:
        self._loader.dispose()

    def _value(self, event: _Event, depth: int) -> tuple[Data, Tree]:
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        self._count(1, mark)
        if depth > MAX_DEPTH:
            raise _RefusedError(
                mark.line,
                mark.column,
                f"more than {MAX_DEPTH} mappings and lists are nested here: check the indentation and the brackets",
            )
        before = self._values
        tree = Tree(mark.line, mark.column)
        if isinstance(event, yaml.ScalarEvent):
            data: Data = self._scalar(event, tree)
        elif isinstance(event, yaml.SequenceStartEvent):
            data = self._sequence(tree, depth)
        else:
            data = self._mapping(tree, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (data, tree, self._values - before + 1)
        return data, tree

    def _note_quotes(self, event: _Event) -> None:
        if event.style in {'"', "'"}:
            self.quoted = event

    def _count(self, values: int, mark: _Mark) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise _RefusedError(
                mark.line,
                mark.column,
                f"more than {MAX_VALUES} values",
                "split the file into one file for each farm; each alias (`*name`) counts as all values that it repeats",
            )

    def _alias(self, event: _Event) -> tuple[Data, Tree]:
        mark = event.start_mark
        if event.anchor not in self._anchors:
            alias = "the alias" if self._hidden else f"*{shortened(event.anchor, _SHOWN)}"
            raise _RefusedError(
                mark.line,
                mark.column,
                f"{alias} refers to an anchor that is not defined above it",
                "write a value that begins with `*` in quotes; for an alias, define its anchor (`&NAME`) above it",
            )
        data, tree, size = self._anchors[event.anchor]
        self._count(size, mark)
        return data, tree

    def _sequence(self, tree: Tree, depth: int) -> list[Data]:
        get = self._loader.get_event
        items: list[Data] = []
        while not isinstance(event := get(), yaml.SequenceEndEvent):
            data, part = self._value(event, depth + 1)
            tree.parts[len(items)] = part
            items.append(data)
        return items

    def _mapping(self, tree: Tree, depth: int) -> dict[str, Data]:
        get = self._loader.get_event
        mapping: dict[str, Data] = {}
        while not isinstance(event := get(), yaml.MappingEndEvent):
            mark = event.start_mark
            if not isinstance(event, yaml.ScalarEvent):
                raise _RefusedError(mark.line, mark.column, "a key must be a word", "remove the brackets around it")
            key = event.value
            self._note_quotes(event)
            self._hidden += key in _SECRET_KEYS
            data, part = self._value(get(), depth + 1)
            self._hidden -= key in _SECRET_KEYS
            if key == "<<" and event.implicit[0]:
                self._problem(mark, "merge keys (`<<`) are not supported", "write the keys out")
                continue
            if key in mapping:
                line = tree.keys[key][0] + 1
                named = "a key" if self._hidden else f"the key {shortened(key, _SHOWN)!r}"
                self._problem(mark, f"{named} appears twice, first on line {line}", "keep one of the two")
                continue
            mapping[key] = data
            tree.keys[key] = (mark.line, mark.column)
            tree.parts[key] = part
        return mapping

    def _scalar(self, event: _Event, tree: Tree) -> Data:
        text: str = event.value
        self._note_quotes(event)
        if len(text) > MAX_TEXT:
            mark = event.start_mark
            raise _RefusedError(mark.line, mark.column, f"a value of {len(text)} characters: the limit is {MAX_TEXT}")
        tree.text = text
        if not event.implicit[0]:
            if event.tag is not None and event.tag not in {"!", "tag:yaml.org,2002:str"}:
                tag = "a tag" if self._hidden else f"the tag {shortened(event.tag, _SHOWN)!r}"
                self._problem(event.start_mark, f"{tag} is not supported", "write the value without a tag")
            return text
        if text in _PLAIN_WORDS:
            return _PLAIN_WORDS[text]
        if len(text) > _LONGEST_SURPRISE or not _SUSPECT.match(text):
            return text
        if (number := _number(text)) is not None:
            return number
        for pattern, reading in _SURPRISES:
            if pattern.fullmatch(text):
                shown = "the value" if self._hidden else shortened(text, _SHOWN)
                hint = "write the intended value, in quotes if it is a text"
                if not self._hidden:
                    hint = f'write the intended value, or "{shown}" in quotes if it is a text'
                self._problem(event.start_mark, f"{shown} is ambiguous: {reading}", hint)
                break
        return text

    def _problem(self, mark: _Mark, message: str, hint: str) -> None:
        self._problems.append(Problem(Location(self._name, mark.line + 1, mark.column + 1), "", message, hint))
        if len(self._problems) >= MAX_PROBLEMS:
            raise _RefusedError(mark.line, mark.column, TOO_MANY)


class Document(NamedTuple):
    """The data of one YAML file, its locations, and its syntax problems."""

    name: str
    data: Data
    tree: Tree
    problems: tuple[Problem, ...]
    lines: tuple[str, ...]

    @property
    def end(self) -> Location:
        """The location behind the last text of the file, for a section that is missing."""
        last = next((number for number in range(len(self.lines), 0, -1) if self.lines[number - 1].strip()), 1)
        return Location(self.name, last, len("".join(self.lines[last - 1 : last]).rstrip()) + 1)

    def with_excerpts(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """The problems; those in this file with the excerpt of their line."""
        return _with_excerpts(self.lines, self.name, problems)

    def location(self, path: tuple[str | int, ...], *, key: bool = False) -> Location:
        """The location of the value (with `key`, of the key) at `path`; of its nearest parent if it is not written."""
        tree = self.tree
        at = (tree.line, tree.column)
        for depth, step in enumerate(path):
            if step not in tree.parts:
                break
            last = depth == len(path) - 1
            at_key = tree.keys.get(step) if isinstance(step, str) and key and last else None
            tree = tree.parts[step]
            at = at_key or (tree.line, tree.column)
        return Location(self.name, at[0] + 1, at[1] + 1)

    def text(self, path: tuple[str | int, ...]) -> str | None:
        """The characters of the scalar at `path` as they were written, before YAML gave them a type."""
        tree = self.tree
        for step in path:
            if step not in tree.parts:
                return None
            tree = tree.parts[step]
        return tree.text


def _with_excerpts(lines: Sequence[str], name: str, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    found = tuple(problems)
    shown = excerpts(lines, [problem.location for problem in found])
    return tuple(
        problem._replace(excerpt=excerpt) if problem.location.file == name else problem
        for problem, excerpt in zip(found, shown, strict=True)
    )


def _number(text: str) -> int | float | None:
    if len(text) > 32:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else None


def refusal(name: str, message: str, hint: str = "", *, line: int = 0, column: int = 0) -> SpecError:
    """The error for a file that is unreadable as a spec; line and column count from 0."""
    return SpecError([Problem(Location(name, line + 1, column + 1), "", message, hint)])


def read_text(path: Path) -> str:
    """The text of a spec file, at most `MAX_BYTES` of UTF-8; raises SpecError for anything else."""
    return decode(str(path), read_raw(path))


def read_raw(path: Path) -> bytes:
    """The bytes of a spec file for `decode`, at most one more than its limit; raises SpecError."""
    name = str(path)
    try:
        return content(path, MAX_BYTES)
    except FileNotFoundError:
        raise refusal(
            name,
            "there is no such file",
            "give the path of the spec with -s FILE; if you have no spec yet, run `nlbgen init`",
        ) from None
    except IsADirectoryError:
        raise refusal(name, "is a folder, not a file", "give the farm.yaml in it") from None
    except PermissionError:
        hint = "give the farm.yaml in it" if is_folder(path) else "make it readable for the user who runs nlbgen"
        raise refusal(name, "cannot be read: permission denied", hint) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        hint = hint_for(error, "") if isinstance(error, OSError) else ""
        raise refusal(name, f"cannot be read: {reason}", hint) from None


def decode(name: str, raw: bytes) -> str:
    """The text in the bytes of a spec; raises SpecError with the location of the first byte that is not UTF-8 text."""
    if len(raw) > MAX_BYTES:
        raise refusal(name, f"is larger than {MAX_BYTES // 1024 // 1024} MB", "a farm.yaml describes one farm")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise refusal(name, "is encoded as UTF-16", "save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n")
        column = error.start - (before.rfind(b"\n") + 1)
        if b"\0" in raw[:1024]:
            raise refusal(name, "is a binary file, not YAML text", "give the farm.yaml with -s FILE") from None
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        raise refusal(name, message, "save the file as UTF-8", line=line, column=column) from None
    if "\0" in text:
        raise refusal(name, "is a binary file, not YAML text", "give the farm.yaml with -s FILE")
    return text


def parse(name: str, text: str) -> Document:
    """The document in `text`; raises SpecError for invalid YAML and for text over the limits."""
    problems: list[Problem] = []
    lines = lines_of(text)
    try:
        with closing(_Composer(name, text, problems)) as composer:
            data, tree = composer.compose()
    except _RefusedError as error:
        raise _unreadable(name, lines, error, problems) from None
    except yaml.MarkedYAMLError as error:
        raise _unreadable(name, lines, _invalid_yaml(text, error, composer.quoted)) from None
    except yaml.reader.ReaderError:
        # The position in the error counts bytes or characters, as the library was built.
        found = _FORBIDDEN.search(text)
        at = found.start() if found else 0
        line, column = text.count("\n", 0, at), at - (text.rfind("\n", 0, at) + 1)
        message = f"the character U+{ord(text[at]):04X} is not allowed in YAML"
        raise _unreadable(name, lines, _RefusedError(line, column, message, "remove it")) from None
    return Document(name, data, tree, _with_excerpts(lines, name, problems), lines)


def _unreadable(name: str, lines: Sequence[str], error: _RefusedError, problems: Iterable[Problem] = ()) -> SpecError:
    """The error for a file that is unreadable from a location on; `problems` are those before it."""
    last = refusal(name, error.message, error.hint, line=error.line, column=error.column)
    return SpecError(_with_excerpts(lines, name, [*problems, *last.problems]))


def _invalid_yaml(text: str, error: yaml.MarkedYAMLError, quoted: _Event | None) -> _RefusedError:
    """The error where it is to be corrected; `quoted` is the last text in quotes that the library read."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    if mark and (opened := _unclosed_quote(text, error, quoted)) is not None:
        quote = text[opened.index]
        message = f"invalid YAML: the text that begins here has no closing {quote} on its line"
        hint = f"write the closing {quote}: without it, the text continues to line {line + 1}"
        return _RefusedError(opened.line, opened.column, message, hint)
    reason = error.problem or error.context or "cannot be read"
    reason = next((found.expand(plain) for one, plain in _YAML_REASONS if (found := one.fullmatch(reason))), reason)
    return _RefusedError(line, column, f"invalid YAML: {reason}", _yaml_hint(text, line))


def _unclosed_quote(text: str, error: yaml.MarkedYAMLError, quoted: _Event | None) -> _Mark | None:
    """The mark of a quote that was not closed on its line: it runs to the end of the file, or to the next quote."""
    begin, end = error.context_mark, error.problem_mark
    if begin is None or end is None:
        return None
    if text[begin.index : begin.index + 1] in {'"', "'"} and end.index >= len(text.rstrip()):
        return begin
    if quoted is not None and quoted.start_mark.line < quoted.end_mark.line == end.line:
        return quoted.start_mark
    return None


def _yaml_hint(text: str, line: int) -> str:
    lines = text.splitlines()
    if line < len(lines) and "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]:
        return "YAML is indented with spaces: replace the tab"
    if line < len(lines) and '"' in lines[line] and "\\" in lines[line]:
        return "in double quotes, \\ begins an escape: write the text in single quotes, or without quotes"
    return "check the indentation, quotes and brackets of this line and the line above"
