"""The dialect checker against the engines' recorded verdicts, and what it refuses beyond them."""

import json
import os
from pathlib import Path

import pytest

from nlbgen.generators.zen_rules import accepted_by_engine, check

HERE = Path(__file__).parent
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


@pytest.mark.parametrize("dialect", ["zen3", "pound", "zproxy-ng"])
def test_no_line_of_a_whole_file_can_be_lost(dialect: str) -> None:
    lines = whole(dialect).splitlines(keepends=True)
    optional = (
        "LogLevel",
        "ThreadModel",
        "WSTimeOut",
        "Ignore100",
        "xHTTP",
        "Rewrite",
        "AddHeader",
        "#ID",
        "#Type",
        "#TTL",
        "TimeOut",
        "Priority",
        "HTTPS",
        "Weight",
        "RoutingPolicy",
        "#DHParams",
        "##ECDH",
    )
    for number, line in enumerate(lines):
        word = line.strip()
        if not word or word.startswith(optional) or (word == "#End" and lines.count(line) > 1):
            continue
        assert check("".join(lines[:number] + lines[number + 1 :]), dialect, ERRORS), line
