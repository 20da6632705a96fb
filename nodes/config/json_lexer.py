"""Find the values of a JSON file that ASP.NET Core's configuration reads, each with its position in the text.

Sources: JsonConfigurationFileParser of .NET, which skips comments and allows trailing commas; Utf8JsonReader of
System.Text.Json for the syntax and the limit of the depth; StreamReader for the encoding. Its answers about the files
of `tests/nodes/appsettings.json` were recorded.
"""

import codecs
import json
import re
from dataclasses import dataclass, field
from typing import Final, Literal

from .encoding import EncodedText

Kind = Literal["object", "array", "string", "number", "true", "false", "null"]

MAX_DEPTH: Final = 64
"""Objects and arrays inside each other, the root included."""

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GAP: Final = re.compile(r"(?>[ \t\r\n]++|//[^\r\n\u2028\u2029]*+|/\*.*?\*/)*+", re.DOTALL)
_INSIDE: Final = re.compile(r'(?>[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+')
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_WORDS: Final[tuple[Kind, ...]] = ("true", "false", "null")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class JsonProblemError(ValueError):
    """The library cannot read the text: the position, the cause without any of the text, and the fix."""

    def __init__(self, offset: int, cause: str, hint: str) -> None:
        super().__init__(cause)
        self.offset = offset
        self.cause = cause
        self.hint = hint


@dataclass(frozen=True, slots=True)
class JsonValue:
    """One value: its kind, its first and last position, its text if it is a scalar, and what it contains."""

    kind: Kind
    start: int
    end: int
    text: str | None = field(default=None, repr=False)
    """What the configuration reads; None for null, an object and an array."""
    members: tuple["JsonMember", ...] = ()
    comma: int = -1
    """The position after the trailing comma, or -1."""


@dataclass(frozen=True, slots=True)
class JsonMember:
    """A member of an object, or an element of an array, whose name is its index."""

    name: str
    start: int
    value: JsonValue


def decode(raw: bytes) -> EncodedText:
    """Decode a file by its byte order mark; UTF-8 without one, whose wrong bytes stay. Raises JsonProblemError."""
    mark, codec = next((one for one in _MARKS if raw.startswith(one[0])), (b"", "utf-8"))
    errors: Literal["strict", "surrogateescape"] = "surrogateescape" if codec == "utf-8" else "strict"
    try:
        return EncodedText(raw[len(mark) :].decode(codec, errors), codec, mark, errors)
    except UnicodeDecodeError as error:
        cause = f"byte {len(mark) + error.start + 1} is not {codec} text"
        raise JsonProblemError(0, cause, "save the file as UTF-8") from None


def parse(text: str) -> JsonValue:
    """The root of a text; raises JsonProblemError."""
    parser = _Parser(text)
    root = parser.value(1)
    parser.gap()
    if parser.at < len(text):
        raise parser.problem("there is text after the end of the object", "remove it")
    if root.kind != "object":
        raise JsonProblemError(root.start, f"the file contains no object, but a value ({root.kind})", "write { ... }")
    return root


def comma_after(text: str, position: int) -> int:
    """The position of the comma after a value that ends at `position`; -1 without one."""
    found = _GAP.match(text, position)
    at = position if found is None else found.end()
    return at if text.startswith(",", at) else -1


class _Parser:
    """Reads one text from the beginning to the end; `at` is the position."""

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self.at = 0

    def gap(self) -> None:
        """Skip white space and comments."""
        found = _GAP.match(self.text, self.at)
        self.at = self.at if found is None else found.end()

    def problem(self, cause: str, hint: str) -> JsonProblemError:
        """The error at the current position."""
        return JsonProblemError(self.at, cause, hint)

    def value(self, depth: int) -> JsonValue:
        """Read a value, with what is before it."""
        self.gap()
        start, char = self.at, self.text[self.at : self.at + 1]
        if char in {"{", "["} and depth > MAX_DEPTH:
            raise self.problem(f"more than {MAX_DEPTH} objects and arrays are nested here", "correct the file")
        if char == "{":
            return self._members(depth)
        if char == "[":
            return self._elements(depth)
        if char == '"':
            text = self._string()
            return JsonValue("string", start, self.at, text)
        for word in _WORDS:
            if self.text.startswith(word, start):
                self.at += len(word)
                return JsonValue(word, start, self.at, None if word == "null" else word.title())
        number = _NUMBER.match(self.text, start)
        if number is None:
            raise self.problem(*_no_value(char))
        self.at = number.end()
        return JsonValue("number", start, self.at, number[0])

    def _members(self, depth: int) -> JsonValue:
        start, comma, members = self.at, -1, list[JsonMember]()
        self.at += 1
        while not self._closes("}"):
            if members and comma < 0:
                raise self.problem("a comma is missing between two members", "write a comma after the member before")
            if not self.text.startswith('"', self.at):
                raise self.problem(*_no_name(self.text[self.at : self.at + 1]))
            place, name = self.at, self._string()
            self.gap()
            self._expect(":", "after a name there is no colon", "write NAME: VALUE")
            members.append(JsonMember(name, place, self.value(depth + 1)))
            comma = self._comma()
        return JsonValue("object", start, self.at, None, tuple(members), comma)

    def _elements(self, depth: int) -> JsonValue:
        start, comma, members = self.at, -1, list[JsonMember]()
        self.at += 1
        while not self._closes("]"):
            if members and comma < 0:
                raise self.problem("a comma is missing between two elements", "write a comma after the element before")
            value = self.value(depth + 1)
            members.append(JsonMember(str(len(members)), value.start, value))
            comma = self._comma()
        return JsonValue("array", start, self.at, None, tuple(members), comma)

    def _closes(self, bracket: str) -> bool:
        self.gap()
        if self.text.startswith(bracket, self.at):
            self.at += 1
            return True
        if self.at == len(self.text):
            raise self.problem("an object or an array is not closed", f"write the missing {bracket}")
        return False

    def _comma(self) -> int:
        """Read a comma: the position after it, or -1 if there is none."""
        self.gap()
        if not self.text.startswith(",", self.at):
            return -1
        self.at += 1
        return self.at

    def _expect(self, char: str, cause: str, hint: str) -> None:
        if not self.text.startswith(char, self.at):
            raise self.problem(cause, hint)
        self.at += 1

    def _string(self) -> str:
        """Read a text in quotes, and decode it."""
        found = _INSIDE.match(self.text, self.at + 1)
        raw = "" if found is None else found[0]
        start, end = self.at, self.at + 1 + len(raw)
        if not self.text.startswith('"', end):
            self.at = end
            raise self.problem(*_no_end(self.text[end : end + 1]))
        read = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        text: str = json.loads(f'"{read}"')
        if _SURROGATE.search(text):
            raise JsonProblemError(
                start,
                "a text contains only one half of a surrogate pair (\\u)",
                "write the other half, or the character",
            )
        self.at = end + 1
        return text


def _no_value(char: str) -> tuple[str, str]:
    if not char:
        return "the file ends where a value must be", "copy the file from the node again"
    return (
        "this is not a value",
        'write a text in quotes ("), a number, true, false or null; a comment begins with //, not with #',
    )


def _no_name(char: str) -> tuple[str, str]:
    if char == ",":
        return "there is a comma too many", "remove it"
    return "this is not a name in quotes", 'write the name in quotes ("); a comment begins with //, not with #'


def _no_end(char: str) -> tuple[str, str]:
    if not char:
        return "a text is not closed", 'write the missing "'
    if char == "\\":
        return "a text has an invalid escape", r"write \\ for each \ of a path"
    return "a text has a line end, a tab or another control character", r"write \r\n, \t or \u and four hex digits"
