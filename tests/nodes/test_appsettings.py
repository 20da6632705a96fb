"""The services' JSON files are read as ASP.NET Core's own library reads them, and edits change only what they name.

appsettings.json beside this file holds what Microsoft.Extensions.Configuration.Json read; `about` says how.
"""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlbgen.nodes.config import json_settings
from nlbgen.nodes.config.appsettings import JsonDocument, merged
from nlbgen.nodes.config.json_lexer import JsonProblemError, parse
from nlbgen.nodes.config.json_settings import changed, fold, leaves
from nlbgen.nodes.config.webconfig import ConfigError

RECORDED = json.loads((Path(__file__).parent / "appsettings.json").read_text(encoding="utf-8"))["cases"]


def raw(file: str | dict[str, str]) -> bytes:
    """The bytes of a recorded file."""
    return base64.b64decode(file["base64"]) if isinstance(file, dict) else file.encode("utf-8")


def environment(variables: dict[str, str]) -> JsonDocument:
    """The variables of a process as the library reads them: over the files, with `__` for a colon."""
    text = json.dumps({name.replace("__", ":"): value for name, value in variables.items()})
    return JsonDocument(Path("environment"), text.encode())


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["name"])
def test_appsettings_are_read_as_the_library_reads_them(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(ConfigError, match=r"does not start with this file \[service-settings\]"):
            JsonDocument(Path("a.json"), raw(case["files"][0]))
        return
    files = [JsonDocument(Path("a.json"), raw(file)) for file in case["files"]]
    if "environment" in case:
        files.append(environment(case["environment"]))
    read = {folded: one.text for folded, one in merged(tuple(reversed(files))).items()}
    if case["reads"] == "accepted":
        return
    wanted = {fold(name): text for name, text in case["reads"].items()}
    sections = {name for name, text in wanted.items() if text is None and name not in read}
    assert all(any(one.startswith(f"{name}:") for one in read) for name in sections)
    assert read == {name: text for name, text in wanted.items() if name not in sections}


def document(text: str | bytes) -> JsonDocument:
    return JsonDocument(Path("a.json"), text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    ("text", "line", "column", "cause"),
    [
        ("{\r\n  'A': 1}", 2, 3, "this is not a name in quotes"),
        ('{"A" 1}', 1, 6, "after a name there is no colon"),
        ('{"A": 1 "B": 2}', 1, 9, "a comma is missing between two members"),
        ('{"A": [1 2]}', 1, 10, "a comma is missing between two elements"),
        ('{"A": [1,', 1, 10, "an object or an array is not closed"),
        ('{"A": 1,, "B": 2}', 1, 9, "there is a comma too many"),
        ('{"A":', 1, 6, "the file ends where a value must be"),
        ('{"A": "x', 1, 9, "a text is not closed"),
        ('{"A": "C:\\x"}', 1, 10, "a text has an invalid escape"),
        ('{"A": "x\n"}', 1, 9, "a text has a line end, a tab or another control character"),
        ('{"A": 01}', 1, 8, "a comma is missing between two members"),
        ("{ /* x }", 1, 3, "this is not a name in quotes"),
        ("{ // x\u2028\n}", 1, 7, "this is not a name in quotes"),
        (b"\xff\xfe{", 1, 1, "byte 3 is not utf-16-le text"),
        ('{"A": {"b": 1}, "a:B": 2}', 1, 17, "the setting a:B is a duplicate"),
        ('{"\u00e9": 1, "\u00c9": 2}', 1, 10, "the setting \u00c9 is a duplicate"),
    ],
)
def test_problem_has_its_location_and_cause(text: str | bytes, line: int, column: int, cause: str) -> None:
    with pytest.raises(ConfigError) as error:
        document(text)
    assert (error.value.location.line, error.value.location.column) == (line, column)
    assert error.value.description.startswith(cause)
    assert error.value.hint


@pytest.mark.parametrize("text", ['{"A": "p4ss\\q"}', '{"A": p4ss}', '{"A": "p4ss', '{"A": "p4ss" "p4ss"}'])
def test_problem_quotes_no_value(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        document(text)
    assert "p4ss" not in error.value.message


def test_letters_with_two_upper_case_letters_differ_from_these() -> None:
    assert set(document('{"stra\u00dfe": 1, "strasse": 2}').leaves) == {"STRA\u00dfE", "STRASSE"}


def test_empty_objects_are_no_duplicates() -> None:
    assert leaves(parse('{"A": "x", "a": {}}'))["A"].text is None
    assert leaves(parse('{"A": {"B": "1"}, "A": {"C": "2"}}')).keys() == {"A:B", "A:C"}
    with pytest.raises(JsonProblemError):
        leaves(parse('{"A": {}, "a": "x"}'))


@pytest.mark.parametrize(
    ("text", "name", "wanted"),
    [
        ('{"A": "1"}', "a", '{"A": "x"}'),
        ('{"A": "x"}', "A", '{"A": "x"}'),
        ('{"A:B": 1 /* c */}', "a:b", '{"A:B": "x" /* c */}'),
        ('{"A": [1, {"B": true}]}', "A:1:B", '{"A": [1, {"B": "x"}]}'),
        ('{"A": []}', "A", '{"A": "x"}'),
        ("{}", "A", '{ "A": "x" }'),
        ("{ }", "A", '{ "A": "x" }'),
        ("{ /* c */ }", "A:B:C", '{ "A": { "B": { "C": "x" } } /* c */ }'),
        ("{\n}", "A", '{\n  "A": "x"\n}'),
        ('{\r\n\t"A": 1 // c\r\n}\r\n', "B", '{\r\n\t"A": 1, // c\r\n\t"B": "x"\r\n}\r\n'),
        ('{\n "A": 1, // c\n}', "B", '{\n "A": 1, // c\n "B": "x",\n}'),
        ('{\r"A": {\r  "B": 1\r}\r}', "A:C", '{\r"A": {\r  "B": 1,\r  "C": "x"\r}\r}'),
        ('{"A": 1}', "B", '{"A": 1, "B": "x"}'),
        ('{"A": 1, }', "B", '{"A": 1, "B": "x", }'),
        ('{ "A": 1, "B": 2\n}', "C", '{ "A": 1, "B": 2,\n"C": "x"\n}'),
        ('{"A": "1"}', "A:B", '{"A": "1", "A:B": "x"}'),
        ('{"A:B": {"C": 1}}', "a:b:d", '{"A:B": {"C": 1, "d": "x"}}'),
        ('{"A": [{"B": 1}]}', "A:0:C", '{"A": [{"B": 1, "C": "x"}]}'),
        ('{"A": [1]}', "A:5:C", '{"A": [1], "A:5:C": "x"}'),
        ('{"AB": {"C": 1}}', "A:C", '{"AB": {"C": 1}, "A": { "C": "x" }}'),
    ],
)
def test_edit_changes_only_the_named_setting(text: str, name: str, wanted: str) -> None:
    assert changed(text, {name: "x"}) == wanted
    assert changed(wanted, {name: "x"}) == wanted


def test_edit_writes_any_text() -> None:
    value = 'C:\\x "y" \u00fc \U0001f600 \n\t\x01 // /* */'
    assert document(document('{"A": 1}').edited({"A": value, "B:C": value})).leaves["B:C"].text == value


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_edit_keeps_encoding_and_mark(codec: str) -> None:
    before = document('\ufeff{"A": "\u00fc", "B": 1}\r\n'.encode(codec))
    assert before.leaves["A"].text == "\u00fc"
    assert before.edited({"B": "\u00e4"}) == '\ufeff{"A": "\u00fc", "B": "\u00e4"}\r\n'.encode(codec)


def test_edit_keeps_bytes_that_are_no_utf_8() -> None:
    assert document(b'{"A": "\xfc", "B": 1}').edited({"B": "2"}) == b'{"A": "\xfc", "B": "2"}'


def test_edit_of_a_file_with_an_empty_duplicate_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a\.json:1:11: the setting a is a duplicate, and nlbgen does not edit"):
        document('{"A": {}, "a": {}}').edited({"B": "y"})


def test_edit_that_the_library_would_read_otherwise_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_settings, "quoted", lambda _text: '"other"')
    with pytest.raises(RuntimeError, match="does not match the plan"):
        changed('{"A": 1}', {"A": "x"})


# Properties: any file in any layout.

GAPS = st.sampled_from(["", " ", "\n", "\r\n  ", "\t", ' // c " }\n', "/* { \r\n */", "\r"])
NAMES = st.sampled_from(["A", "b", "A:B", "C", "\u00e4", "0", "D E", "A.B", ""])
SCALARS = st.one_of(
    st.sampled_from(["true", "false", "null", "0", "-1.5e3", '"\\u00fc\\/"']),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6).map(json_settings.quoted),
)


def joined(draw: st.DrawFn, parts: list[str], start: str, end: str) -> str:
    comma = draw(st.sampled_from(["", ","])) if parts else ""
    pieces = [f"{draw(GAPS)}{part}{draw(GAPS)}" for part in parts]
    return f"{start}{draw(GAPS)}{','.join(pieces)}{comma}{draw(GAPS)}{end}"


@st.composite
def values(draw: st.DrawFn, depth: int = 3) -> str:
    """A value in any layout, with comments and trailing commas."""
    kind = draw(st.sampled_from(["scalar", "object", "array"])) if depth else "scalar"
    if kind == "scalar":
        return draw(SCALARS)
    if kind == "object":
        return draw(objects(depth))
    return joined(draw, draw(st.lists(values(depth - 1), max_size=3)), "[", "]")


@st.composite
def objects(draw: st.DrawFn, depth: int = 3) -> str:
    """An object in any layout."""
    names = draw(st.lists(NAMES, max_size=3))
    parts = [f"{json.dumps(name)}{draw(GAPS)}:{draw(GAPS)}{draw(values(depth - 1))}" for name in names]
    return joined(draw, parts, "{", "}")


@given(objects(), st.lists(NAMES, min_size=1, max_size=3).map(":".join), st.text(max_size=5).filter(str.isascii))
def test_edits_change_only_what_they_name(text: str, name: str, value: str) -> None:
    try:
        before, after = leaves(parse(text)), changed(text, {name: value})
    except JsonProblemError as error:
        assert "is a duplicate" in error.cause  # these files can have no other problem
        return
    read = leaves(parse(after))
    gone = {folded for folded in before.keys() - read.keys() if before[folded].text is None}
    assert len(gone) <= 1
    assert read[fold(name)].text == value
    assert {key: leaf.text for key, leaf in read.items() if key != fold(name)} == {
        key: leaf.text for key, leaf in before.items() if key not in {fold(name), *gone}
    }
    assert changed(after, {name: value}) == after
    if (leaf := before.get(fold(name))) is not None:
        assert after[: leaf.value.start] == text[: leaf.value.start]
        assert after[len(after) - len(text) + leaf.value.end :] == text[leaf.value.end :]
    else:
        rest = iter(after)
        assert all(char in rest for char in text)  # every old character is there, in order
