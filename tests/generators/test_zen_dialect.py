"""The dialect checker against the engines' recorded verdicts, and what it refuses beyond them."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbgen.generators.zen.check.reader import Block, Reader
from nlbgen.generators.zen.check.rules import accepted_by_engine, check

HERE = Path(__file__).parents[1]
DIALECTS = {"zen3": "zen3", "pound": "pound", "zproxy": "zproxy", "zproxy-ng": "zproxy-ng"}
PEM = b"-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"
FILES = {
    "/etc/farm/orchhttp_Err503.html": b"The service is not available.",
    "/etc/farm/farm.pem": PEM,
    "/etc/farm/c.pem": PEM[:28],
    "/etc/farm/dh2048.pem": b"-----BEGIN DH PARAMETERS-----\n",
}
RECORDED = Path(os.environ.get("NLBGEN_RECORDED", HERE.parents[1] / "shared" / "recorded")) / "zen-vectors.json"
OWN = json.loads((HERE / "zen" / "vectors.json").read_text(encoding="utf-8"))
SHORT = {name: name for name in DIALECTS}


def recorded() -> list[dict[str, object]]:
    return json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else []


@pytest.mark.skipif(not RECORDED.exists(), reason="the engines' recorded verdicts are not at hand")
def test_agrees_with_the_engines_on_every_recorded_configuration() -> None:
    wrong = []
    vectors = recorded()
    for vector in vectors:
        for engine, verdict in vector["verdict"].items():
            said = accepted_by_engine(vector["config"], engine.partition(" ")[0], FILES)
            if said != verdict["accepted"]:
                wrong.append((vector["name"], engine, verdict))
    assert not wrong
    assert len(vectors) >= 66


@pytest.mark.parametrize("vector", OWN["engine"], ids=lambda vector: vector["name"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_says_what_the_engine_says(vector: dict[str, object], dialect: str) -> None:
    text = OWN["base"].replace(*vector["replace"])
    assert text != OWN["base"]
    assert accepted_by_engine(text, dialect, FILES) == (dialect in vector["accepted"])


def test_the_base_is_accepted_by_every_engine() -> None:
    assert all(accepted_by_engine(OWN["base"], dialect, FILES) for dialect in DIALECTS)


def whole(dialect: str) -> str:
    return (HERE / "zen" / f"whole-{dialect}.cfg").read_text(encoding="utf-8")


ERRORS = {f"/farm/Err{status}.html": b"no" for status in (414, 500, 501, 503)}


@pytest.mark.parametrize("dialect", ["zen3", "pound", "zproxy-ng"])
def test_a_whole_file_has_nothing_wrong(dialect: str) -> None:
    assert check(whole(dialect), dialect, ERRORS) == []


@pytest.mark.parametrize("vector", OWN["beyond"], ids=lambda vector: vector["name"])
def test_refuses_what_the_engine_lets_through(vector: dict[str, object]) -> None:
    dialect = vector["dialect"]
    text = whole(dialect).replace(*vector["replace"])
    assert text != whole(dialect)
    complaints = check(text, dialect, ERRORS)
    assert accepted_by_engine(text, dialect, ERRORS)
    assert any(vector["says"] in complaint.message for complaint in complaints), complaints


# Mutations of good files: what nlbgen wrote for real farms, and the smallest whole files.

GOLDEN = HERE / "zen" / "golden"
FOLDERS = {"zen3": "zenloadbalancer", "pound": "relianoid", "zproxy-ng": "zevenet"}


def good_files() -> Iterator[tuple[str, str, dict[str, bytes]]]:
    """Each good file with its dialect, and the files that it names."""
    for dialect in FOLDERS:
        yield dialect, whole(dialect), ERRORS
    for path in sorted(GOLDEN.glob("*/zen/*_p*.cfg")):
        text = path.read_text(encoding="utf-8")
        named = re.findall(r'^\t?(?:Err\d+|Cert|DHParams)[ \t]+"([^"]+)"', text, re.MULTILINE)
        dialect = "zen3" if path.name.endswith("_pound.cfg") else "pound" if "\nUser" in text else "zproxy-ng"
        yield dialect, text, dict.fromkeys(named, PEM)


GOOD = [*good_files()]


def meaning(block: Block) -> Any:
    """What a file says: the order of blocks counts, that of other directives does not, and comments say nothing."""
    entries = sorted((entry.name, entry.values) for entry in block.entries)
    return block.opened.name, block.opened.values, entries, [meaning(inner) for inner in block.blocks]


def judge(mutated: str, original: str, dialect: str, files: dict[str, bytes]) -> str:
    """A mutation is refused, or it says the same to the engine; what the appliance edits by is looked at apart."""
    if check(mutated, dialect, files):
        return "refused"
    same = meaning(Reader(mutated, dialect, files).root) == meaning(Reader(original, dialect, files).root)
    return "harmless" if same else "accepted"


def test_there_are_good_files() -> None:
    assert {dialect for dialect, _text, _files in GOOD} == set(FOLDERS)
    assert len(GOOD) > 15
    for dialect, text, files in GOOD:
        assert check(text, dialect, files) == [], text


def test_no_line_can_be_lost() -> None:
    """But for what an engine has as a default that is no worse: it is named here."""
    for dialect, text, files in GOOD:
        lines = text.splitlines(keepends=True)
        for number, line in enumerate(lines):
            if line.strip() and not line.startswith("# "):
                mutated = "".join(lines[:number] + lines[number + 1 :])
                if line.strip().startswith("RoutingPolicy"):
                    continue  # round robin is zproxy's own choice
                assert judge(mutated, text, dialect, files) == "refused", line


def test_no_line_can_stand_twice() -> None:
    for dialect, text, files in GOOD:
        lines = text.splitlines(keepends=True)
        for number, line in enumerate(lines):
            if line.strip() and not line.startswith("# "):
                mutated = "".join(lines[: number + 1] + lines[number:])
                assert judge(mutated, text, dialect, files) == "refused", line


def test_lines_that_change_places_are_refused_or_say_the_same() -> None:
    for dialect, text, files in GOOD:
        lines = text.splitlines(keepends=True)
        for number in range(len(lines) - 1):
            mutated = "".join([*lines[:number], lines[number + 1], lines[number], *lines[number + 2 :]])
            assert judge(mutated, text, dialect, files) in {"refused", "harmless"}, lines[number]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_two_lines_change_places(data: st.DataObject) -> None:
    dialect, text, files = data.draw(st.sampled_from(GOOD))
    lines = text.splitlines(keepends=True)
    one, other = data.draw(st.lists(st.integers(0, len(lines) - 1), min_size=2, max_size=2, unique=True))
    lines[one], lines[other] = lines[other], lines[one]
    assert judge("".join(lines), text, dialect, files) in {"refused", "harmless"}


NUMBER = re.compile(r"(?<![\w.\"/-])\d+(?![\w.\"-])|(?<=[ .])\d{1,3}(?=\.\d)")


@pytest.mark.parametrize("value", ["-1", "99999999999", "1e3", "x", ""])
def test_no_number_is_out_of_range(value: str) -> None:
    for dialect, text, files in GOOD:
        for match in NUMBER.finditer(text):
            line = text[text.rfind("\n", 0, match.start()) + 1 : text.find("\n", match.start())]
            if line.lstrip().startswith(("#", "AddHeader", "BackendCookie")):
                continue
            mutated = text[: match.start()] + value + text[match.end() :]
            assert judge(mutated, text, dialect, files) == "refused", (line, value)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_mutated_character_is_refused_or_understood(data: st.DataObject) -> None:
    """The checker never fails itself, and what it accepts its reader has a meaning for."""
    dialect, text, files = data.draw(st.sampled_from(GOOD))
    at = data.draw(st.integers(0, len(text) - 1))
    mutated = text[:at] + data.draw(st.characters(codec="utf-8")) + text[at + 1 :]
    assert judge(mutated, text, dialect, files) in {"refused", "harmless", "accepted"}
