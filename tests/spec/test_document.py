"""YAML as data with locations, without YAML 1.1's surprises."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nlbgen.core.errors import Location, SpecError
from nlbgen.spec import document
from nlbgen.spec.document import parse, read_text
from nlbgen.spec.load import loads

TEXT = """\
farm: test   # a comment
nodes:
  - {name: orch-1, address: 10.0.0.1}
  - name: orch-2
    address: >-
      10.0.0.2
"key with blanks": [a, [b, "c"]]
empty:
"""


def only_problem(text: str) -> tuple[int, int, str]:
    (problem,) = parse("f", text).problems
    return problem.location.line, problem.location.column, problem.message


@pytest.mark.parametrize(
    "text, value",
    [
        ("text", "text"),
        ("a b", "a b"),
        ("0", 0),
        ("-12", -12),
        ("+12", 12),
        ("2019.4", 2019.4),
        ("-0.50", -0.5),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'true'", "true"),
        ('"0443"', "0443"),
        ("'no'", "no"),
        ("|-\n  no", "no"),
        ("!!str 12", "12"),
        ("10.0.0.1", "10.0.0.1"),
        ("2019.10.19", "2019.10.19"),
        ("1.2.3", "1.2.3"),
        ("2001:db8::1", "2001:db8::1"),
        ("::1", "::1"),
        ("fe80::1", "fe80::1"),
        ("12:ab", "12:ab"),
        ("5s", "5s"),
        ("1h", "1h"),
        ("300MB", "300MB"),
        ("C:\\Users", "C:\\Users"),
        ("/etc", "/etc"),
        ("no thanks", "no thanks"),
        ("nope", "nope"),
        ("oneself", "oneself"),
        ("1e", "1e"),
        ("e1", "e1"),
        ("2024-01", "2024-01"),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    found = parse("f", f"key: {text}")
    assert found.data == {"key": value}
    assert type(found.data["key"]) is type(value)
    assert found.problems == ()


@pytest.mark.parametrize(
    "text",
    [
        *("y", "Y", "n", "N", "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF"),
        *("True", "TRUE", "False", "FALSE", "Null", "NULL"),
        *("0443", "007", "-01", "00", "089", "0_7"),
        *("0b101", "0o17", "0x1F", "-0xff"),
        *("12:30", "1:2:3", "12:30:45.5", "190:20:30"),
        *("1_000", "1_0.5", "1_", "1.0_0"),
        *("1e3", "1E3", "1.5e+3", "1.", ".5", "-.5", "1.5e3"),
        *(".inf", "-.inf", "+.Inf", ".INF", ".nan", ".NaN"),
        *("2024-01-01", "2024-1-1", "2024-01-01T10:00:00Z", "2024-01-01 10:00:00"),
        *("<<", "=", "<"),
    ],
)
def test_yaml_that_readers_interpret_differently_is_a_problem(text: str) -> None:
    line, column, message = only_problem(f"- a\n-  {text}")
    assert (line, column) == (2, 4)
    assert message.startswith(f"{text} is ambiguous: ")
    assert parse("f", f"- '{text}'").problems == ()


@given(st.from_regex(r"[-+.:_0-9eExXoObBTZ<=~ynYN]{1,12}", fullmatch=True))
def test_accepted_yaml_is_read_alike_by_other_readers(text: str) -> None:
    """A document without problems has the same meaning for PyYAML, which reads YAML 1.1."""
    source = f"key: {text}"
    try:
        found = parse("f", source)
    except SpecError:
        return
    if found.problems:
        return
    try:
        other = yaml.safe_load(source)
    except (yaml.YAMLError, ValueError):
        return
    assert found.data == other
    assert isinstance(found.data, dict)
    assert {key: type(value) for key, value in found.data.items()} == {key: type(value) for key, value in other.items()}


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.text("abc ü\"'\\:#{}[]&*!|>%@`", max_size=10)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.text("abc:#'\" ", max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(JSON)
def test_parse_reads_json(data: object) -> None:
    found = parse("f", json.dumps(data, ensure_ascii=False))
    assert found.data == data
    assert found.problems == ()


@given(JSON)
def test_parse_reads_what_pyyaml_writes(data: object) -> None:
    found = parse("f", yaml.safe_dump(data, allow_unicode=True))
    assert found.data == data
    assert found.problems == ()


@pytest.mark.parametrize(
    "path, key, place",
    [
        ((), False, (1, 1)),
        (("farm",), False, (1, 7)),
        (("farm",), True, (1, 1)),
        (("nodes",), True, (2, 1)),
        (("nodes",), False, (3, 3)),
        (("nodes", 0), False, (3, 5)),
        (("nodes", 0, "address"), False, (3, 29)),
        (("nodes", 0, "address"), True, (3, 20)),
        (("nodes", 1), False, (4, 5)),
        (("nodes", 1, "address"), False, (5, 14)),
        (("nodes", 0, "port"), False, (3, 5)),
        (("nodes", 7, "port"), False, (3, 3)),
        (("nodes", 0, "address", "deeper"), False, (3, 29)),
        (("key with blanks", 1, 1), False, (7, 28)),
        (("empty",), False, (8, 7)),
        (("absent", "too"), True, (1, 1)),
    ],
)
def test_values_have_locations(path: tuple[str | int, ...], key: bool, place: tuple[int, int]) -> None:
    assert parse("f", TEXT).location(path, key=key) == Location("f", *place)


def test_text_returns_the_value_as_it_is_written() -> None:
    found = parse("f", "a: [1.10, '2.20', {b: null}]")
    assert found.text(("a", 0)) == "1.10"
    assert found.text(("a", 1)) == "2.20"
    assert found.text(("a", 2, "b")) == "null"
    assert found.text(("a", 2)) is None
    assert found.text(("x", 2)) is None


def test_aliases_repeat_values() -> None:
    found = parse("f", "a: &x {b: [1, 2]}\nc: *x\nd: [*x, *x]")
    assert found.data == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}, "d": [{"b": [1, 2]}, {"b": [1, 2]}]}
    assert found.problems == ()
    assert found.location(("c", "b", 1)) == Location("f", 1, 15)


def test_an_anchor_may_be_given_again() -> None:
    assert parse("f", "[&x a, *x, &x b, *x]").data == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    "text, problem",
    [
        ("a: 1\nb: 2\na: 3", (3, 1, "the key 'a' appears twice, first on line 1")),
        ("{a: 1, 'a': 2}", (1, 8, "the key 'a' appears twice, first on line 1")),
        ("x: &x {a: 1}\ny: {<<: *x}", (2, 5, "merge keys (`<<`) are not supported")),
        ("a: !custom b", (1, 4, "the tag '!custom' is not supported")),
        ("a: !!int '1'", (1, 4, "the tag 'tag:yaml.org,2002:int' is not supported")),
    ],
)
def test_parse_refuses_unsupported_yaml(text: str, problem: tuple[int, int, str]) -> None:
    assert only_problem(text) == problem


def test_a_quoted_merge_key_is_a_key() -> None:
    assert parse("f", "'<<': 1").data == {"<<": 1}


def test_the_first_of_two_keys_counts() -> None:
    assert parse("f", "a: 1\na: 2").data == {"a": 1}


@pytest.mark.parametrize("key", ["password", "secret", "key"])
@pytest.mark.parametrize(
    "value", ["0_777", "!hunter2 a", "*hunter2", "{hunter2: 1, hunter2: 2}", "[!hunter2 x]", "{a: {b: *hunter2}}"]
)
def test_messages_hide_possible_secrets(key: str, value: str) -> None:
    value = value.replace("0_777", "7_777")
    try:
        problems = parse("f", f"f5: {{{key}: {value}}}").problems
    except SpecError as error:
        problems = error.problems
    assert problems
    for problem in problems:
        assert "hunter2" not in str(problem)
        assert "7_777" not in str(problem)
    shown = parse("f", "f5: {other: !hunter2 x}").problems
    assert "hunter2" in str(shown[0])


def test_syntax_problems_are_reported_with_the_fatal_one() -> None:
    with pytest.raises(SpecError) as error:
        parse("f", "a: no\nb: yes\n--- other")
    assert [problem.location.line for problem in error.value.problems] == [1, 2, 3]


@pytest.mark.parametrize("loader", ["C", "Python"])
def test_both_pyyaml_parsers_are_supported(loader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """libyaml is not everywhere; what is found, and where, does not depend on it."""
    chosen = yaml.SafeLoader if loader == "Python" else getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    monkeypatch.setattr(document, "_Loader", chosen)
    assert parse("f", TEXT).data["nodes"][1] == {"name": "orch-2", "address": "10.0.0.2"}
    assert parse("f", TEXT).location(("key with blanks", 1, 1)) == Location("f", 7, 28)
    assert only_problem("ü: [ü, no]") == (1, 8, "no is ambiguous: YAML 1.1 reads it as true or false")
    for text, place in {
        "ü: 1\nüü\x07": (2, 3),
        "ü: 1\nü: [": (3, 1),
        "a: 1\n b: 2": (2, 3),
        'a: "ü\\q"': (1, 6),
        "[" * 40: (1, document.MAX_DEPTH + 2),
    }.items():
        with pytest.raises(SpecError) as error:
            parse("f", text)
        (problem,) = error.value.problems
        found = (problem.location.line, problem.location.column)
        assert found[0] == place[0] or re.search("expected|missing", problem.message), (text, problem)
        if "may not stand" in problem.message or "nested" in problem.message:
            assert found == place


def test_read_text_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"is a folder, not a file|cannot be read: permission denied"):
        read_text(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX's")
def test_read_text_refuses_a_file_that_is_not_readable() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "farm.yaml"
        path.write_text(TEXT, encoding="utf-8")
        path.chmod(0)
        with without_rights(), pytest.raises(SpecError, match="cannot be read: permission denied") as refused:
            read_text(path)
    assert refused.value.problems[0].hint == "make it readable for the user who runs nlbgen"


@contextmanager
def without_rights() -> Iterator[None]:
    """As the user nobody if the tests run as root, because file permissions do not restrict root."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(mine)


def test_read_text_refuses_an_invalid_path(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        read_text(tmp_path / "a\0b")
    with pytest.raises(SpecError, match="cannot be read"):
        read_text(tmp_path / ("a" * 5000))


def test_digest_depends_only_on_the_content() -> None:
    same = [
        "farm: a\nfrontend: {host: a.b}\nnodes: [{name: a, address: b}]",
        "# other\nnodes:\n- address: 'b'\n  name: a\nfrontend:\n  host: a.b\nfarm: \"a\"\n",
        '{"nodes": [{"address": "b", "name": "a"}], "frontend": {"host": "a.b"}, "farm": "a"}',
    ]
    assert len({loads(text).digest for text in same}) == 1
    assert loads(same[0] + "\nversion: 1").digest != loads(same[0]).digest
    assert loads(same[0].replace("name: a", "name: c")).digest != loads(same[0]).digest
