"""The form's edits of a farm.yaml: one value changes, and every other character stays."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nlbgen.core.errors import UsageError
from nlbgen.page import editing
from nlbgen.spec import document

TESTS = Path(__file__).parents[1]
EXAMPLE = (TESTS.parent / "examples" / "farm.yaml").read_text(encoding="utf-8")
FARMS = [EXAMPLE, *(path.read_text(encoding="utf-8") for path in sorted(TESTS.glob("golden/*/farm.yaml")))]


def changes(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that only one of the texts has."""
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (("frontend", "port"), 8443, "  port: 443", "  port: 8443"),
        (
            ("orchestrator", "version"),
            "2019.10",
            '  version: "2019.4"            # in quotes; picks key family, health endpoint, config file name',
            "  version: '2019.10'            # in quotes; picks key family, health endpoint, config file name",
        ),
        (("farm",), "yes", "farm: orchestrator-prod", "farm: 'yes'"),
        (("frontend", "tls", "hsts"), False, "", "    hsts: false"),
        (("balancer", "limits", "connections"), 800, "", "  limits: {connections: 800}"),
        (("bundle", "recipients"), ["a, b"], "", "bundle: {recipients: ['a, b']}"),
        (
            ("balancer", "signalr", "paths"),
            ["/signalr", "/x"],
            "",
            "  signalr: {paths: [/signalr, /x], idle_timeout: 1h}",
        ),
    ],
)
def test_set_changes_one_line(path: tuple[str | int, ...], value: object, old: str, new: str) -> None:
    removed, added = changes(EXAMPLE, editing.with_value(EXAMPLE, path, value))
    assert added == [new]
    assert not old or removed == [old]


def test_set_in_an_empty_mapping_or_value_writes_a_mapping() -> None:
    assert editing.with_value("farm:\nnodes: {}\n", ("farm",), "x") == "farm: x\nnodes: {}\n"
    assert editing.with_value("a: {}\n", ("a", "b", "c"), 1) == "a: {b: {c: 1}}\n"
    assert editing.with_value("a:\n", ("a", "b"), 1) == "a: {b: 1}\n"
    assert editing.with_value("a: |\n  text\nb: 1\n", ("a",), "x") == "a: x\nb: 1\n"
    assert editing.with_value("a: 1", ("b",), 2) == "a: 1\nb: 2\n"


def test_remove_takes_the_line_and_an_empty_mapping() -> None:
    assert changes(EXAMPLE, editing.without(EXAMPLE, ("frontend", "tls", "key"))) == (
        ["    key: /etc/ssl/orchestrator/privkey.pem"],
        [],
    )
    assert changes(EXAMPLE, editing.without(EXAMPLE, ("haproxy", "version")))[0] == ['haproxy: {version: "2.6"}']
    assert editing.without(EXAMPLE, ("no", "such")) == EXAMPLE
    assert editing.without("a: {b: 1, c: 2}\n", ("a", "b")) == "a: {c: 2}\n"
    assert editing.without("a: {b: 1, c: 2}\n", ("a", "c")) == "a: {b: 1}\n"
    assert editing.without("a:\n  - b: 1\n    c: 2\n", ("a", 0, "b")) == "a:\n  - c: 2\n"
    assert editing.without("a: [1]\n", ("a", 0)) == "a: []\n"
    assert editing.without("a:\n  - b: 1\n", ("a", 0)) == "a:\n  []\n"
    assert editing.without("a: 1\n", ("a",)) == "{}\n"


def test_items_are_added_and_moved_with_their_comments() -> None:
    added = editing.with_item(EXAMPLE, ("nodes",), {"name": "orch-3", "address": "10.20.0.13"})
    assert changes(EXAMPLE, added) == ([], ["  - {name: orch-3, address: 10.20.0.13}"])
    assert editing.with_item("a: [1]\n", ("a",), 2) == "a: [1, 2]\n"
    assert editing.with_item("a: 1\n", ("b",), 2) == "a: 1\nb: [2]\n"
    assert editing.with_item("a:\n  - b: 1\n    c: 2", ("a",), 3) == "a:\n  - b: 1\n    c: 2\n  - 3\n"
    assert editing.moved("a:\n  - 1 # one\n  - 2 # two", ("a",), 0, 1) == "a:\n  - 2 # two\n  - 1 # one"
    assert editing.moved("a:\n- 1\n- b: 2\n  c: 3\n- 4\n", ("a",), 1, 0) == "a:\n- b: 2\n  c: 3\n- 1\n- 4\n"
    assert editing.moved("a: [1, 2, 3]\n", ("a",), 2, 0) == "a: [3, 2, 1]\n"


@pytest.mark.parametrize(
    ("text", "path"),
    [("a: [", ("a",)), ("- 1\n", ("a",)), ("a: 1\n", ("a", "b")), ("a: [1]\n", ("a", 3)), ("a: [1]\n", ("a", "b"))],
)
def test_set_where_it_cannot_is_refused(text: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(UsageError) as error:
        editing.with_value(text, path, 1)
    assert error.value.hint == "change it in farm.yaml"


def test_change_of_what_an_alias_repeats_is_refused() -> None:
    with pytest.raises(UsageError, match="written in a way that the form cannot change"):
        editing.with_value("a: &x {p: 1}\nb: *x\n", ("b", "p"), 2)
    with pytest.raises(UsageError, match="form cannot change"):
        editing.without("a: &x {p: 1, q: 2}\nb: *x\n", ("b", "p"))
    with pytest.raises(UsageError, match="has no items"):
        editing.moved("a: [1]\n", ("a",), 0, 1)
    with pytest.raises(UsageError, match="form cannot change"):
        editing.with_value("? a\n: 1\n", ("b",), [{"c": "d"}, "\u2028\x07"])


def scalars(data: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from scalars(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from scalars(value, (*path, index))
    else:
        yield path


def comments(text: str) -> list[str]:
    """The lines that are only a comment."""
    return re.findall(r"^[ \t]*(#.*)", text, re.MULTILINE)


@pytest.mark.no_cover  # other tests reach the same lines
def test_every_value_of_every_golden_farm_can_be_set_and_removed() -> None:
    """`editing` compares the data itself; here the comments are counted too."""
    chance = random.Random(3)
    tried = 0
    for text in FARMS:
        paths = list(scalars(document.parse("farm.yaml", text).data))
        for path in chance.sample(paths, min(4, len(paths))):
            value = chance.choice(["new: value", "#x", 7, True, "a, b", ["p", {"q": None}], "{x}", "- y", ""])
            assert comments(editing.with_value(text, path, value)) == comments(text), path
            editing.without(text, path)
            tried += 1
    assert tried > 100
