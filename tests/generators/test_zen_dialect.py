"""The checker of farm files: it agrees with the engines' recorded verdicts, and refuses what no engine refuses."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbgen.generators.zen.check.constraints import check_farm_file
from nlbgen.generators.zen.check.formats import Dialect
from nlbgen.generators.zen.check.reader import Block, Reader

HERE = Path(__file__).parents[1]
DIALECTS: Final[tuple[Dialect, ...]] = get_args(Dialect)
WRITTEN: Final[tuple[Dialect, ...]] = ("zen3", "pound", "zproxy-ng")
"""The dialects that nlbgen writes."""
Vector = dict[str, Any]
"""An example of `vectors.json`, or of the recorded ones."""
PEM = b"-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"
FILES = {
    "/etc/farm/orchhttp_Err503.html": b"The service is not available.",
    "/etc/farm/farm.pem": PEM,
    "/etc/farm/c.pem": PEM[:28],
    "/etc/farm/dh2048.pem": b"-----BEGIN DH PARAMETERS-----\n",
}
RECORDED = Path(os.environ.get("NLBGEN_RECORDED", HERE.parents[1] / "shared" / "recorded")) / "zen-vectors.json"
OWN = json.loads((HERE / "zen" / "vectors.json").read_text(encoding="utf-8"))


def accepted_by_engine(text: str, dialect: Dialect, files: Mapping[str, bytes]) -> bool:
    """Whether the engine itself would start with a farm file."""
    return not Reader(text, dialect, files).complaints


def recorded() -> list[Vector]:
    found: list[Vector] = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else []
    return found


@pytest.mark.skipif(not RECORDED.exists(), reason="the engines' recorded verdicts are not at hand")
def test_reader_on_every_recorded_configuration_agrees_with_the_engine() -> None:
    wrong = []
    vectors = recorded()
    for vector in vectors:
        for engine, verdict in vector["verdict"].items():
            accepted = accepted_by_engine(vector["config"], engine.partition(" ")[0], FILES)
            if accepted != verdict["accepted"]:
                wrong.append((vector["name"], engine, verdict))
    assert not wrong
    assert len(vectors) >= 66


@pytest.mark.parametrize("vector", OWN["engine"], ids=lambda vector: vector["name"])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.no_cover  # other tests reach the same lines
def test_reader_on_a_changed_file_agrees_with_the_engine(vector: Vector, dialect: Dialect) -> None:
    text = OWN["base"].replace(*vector["replace"])
    assert text != OWN["base"]
    assert accepted_by_engine(text, dialect, FILES) == (dialect in vector["accepted"])


def test_reader_accepts_the_base_file_in_every_dialect() -> None:
    assert all(accepted_by_engine(OWN["base"], dialect, FILES) for dialect in DIALECTS)


def whole(dialect: Dialect) -> str:
    """The smallest complete farm file of a dialect."""
    return (HERE / "zen" / f"whole-{dialect}.cfg").read_text(encoding="utf-8")


ERRORS = {f"/farm/Err{status}.html": b"no" for status in (414, 500, 501, 503)}


@pytest.mark.parametrize("dialect", WRITTEN)
def test_checker_on_a_complete_file_has_no_complaint(dialect: Dialect) -> None:
    assert check_farm_file(whole(dialect), dialect, ERRORS) == []


@pytest.mark.parametrize("vector", OWN["beyond"], ids=lambda vector: vector["name"])
def test_checker_refuses_what_the_engine_accepts(vector: Vector) -> None:
    dialect: Dialect = vector["dialect"]
    text = whole(dialect).replace(*vector["replace"])
    assert text != whole(dialect)
    complaints = check_farm_file(text, dialect, ERRORS)
    assert accepted_by_engine(text, dialect, ERRORS)
    assert any(vector["says"] in complaint.message for complaint in complaints), complaints


ADDRESS = "\tAddress 192.0.2.10\n"


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("\n", "\r\n", "the line ends are CRLF"),
        ("\n\nEnd\n", "\n\nEnd", "the last line has no line end"),
        ('"/farm/Err414.html"', '"/farm/\x01.html"', "the line contains a control character"),
        (ADDRESS, "\tAddress 192.0.2.300\n", "192.0.2.300 is not an IP address"),
        (ADDRESS, f"\t!!\n{ADDRESS}", "this is not a directive"),
        (
            "\t\t#End\n\tEnd\n",
            "\t\tSession\n\t\t\tType IP\n\t\t\tTTL 120\n\t\tEnd\n\t\t#End\n\tEnd\n",
            "Session must precede the backends",
        ),
    ],
    ids=["CRLF", "no line end", "control character", "address", "no directive", "late session"],
)
def test_checker_on_a_changed_line_refuses_the_file(old: str, new: str, says: str) -> None:
    text = whole("pound").replace(old, new)
    assert text != whole("pound")
    complaints = check_farm_file(text, "pound", ERRORS)
    assert any(says in complaint.message for complaint in complaints), complaints


def test_checker_on_a_first_marker_after_a_service_refuses_the_file() -> None:
    moved = "\t#ZWACL-INI\n"
    text = whole("pound").replace(moved, "").replace("\t#ZWACL-END\n", f"{moved}\t#ZWACL-END\n")
    assert [complaint.message for complaint in check_farm_file(text, "pound", ERRORS)] == [
        "the marker #ZWACL-INI must precede the first service"
    ]


def test_checker_on_a_pattern_that_only_python_knows_refuses_the_file() -> None:
    text = whole("pound").replace('"Host: orchestrator', '"Host: (?:a|b)')
    (complaint,) = check_farm_file(text, "pound", ERRORS)
    assert complaint.message == "HeadRequire: POSIX regular expressions do not have (?"
    assert text.splitlines()[complaint.line - 1].strip().startswith("HeadRequire")


SECURE_FILES = {**ERRORS, "/farm/farm.pem": PEM}


def secure(dialect: Dialect) -> str:
    """The smallest complete farm file whose listener serves HTTPS."""
    disabled = "\tDisableSSLv3\n"
    if dialect != "zen3":
        disabled = "".join(f"\tDisable {protocol}\n" for protocol in ("SSLv3", "TLSv1", "TLSv1_1"))
    text = whole(dialect).replace("ListenHTTP\n", "ListenHTTPS\n")
    text = re.sub(r"\t#Disable ?SSLv3\n", disabled, text)
    text = text.replace("\tRewriteLocation 1\n", '\tRewriteLocation 1\n\tAddHeader "X-Forwarded-Proto: https"\n')
    return re.sub(r"\t#(Cert|Ciphers|SSLHonorCipherOrder) ", r"\t\1 ", text)


@pytest.mark.parametrize(
    "line, plain", [("Disable TLSv1_3", set()), ("disable tlsv1_3", set()), ("ForwardSNI 1", {"zproxy-ng"})]
)
@pytest.mark.parametrize("dialect", WRITTEN)
def test_reader_on_a_directive_for_tls_needs_a_newer_engine_and_mostly_an_https_listener(
    dialect: Dialect, line: str, plain: set[str]
) -> None:
    text = secure(dialect).replace("\tSSLHonorCipherOrder 1\n", f"\tSSLHonorCipherOrder 1\n\t{line}\n")
    assert accepted_by_engine(text, dialect, SECURE_FILES) is (dialect != "zen3")
    text = whole(dialect).replace("\tRewriteLocation 1\n", f"\tRewriteLocation 1\n\t{line}\n")
    assert accepted_by_engine(text, dialect, ERRORS) is (dialect in plain)


def test_checker_on_a_certificate_without_its_key_refuses_the_file() -> None:
    files = {**SECURE_FILES, "/farm/farm.pem": FILES["/etc/farm/c.pem"]}
    complaints = check_farm_file(secure("zproxy-ng"), "zproxy-ng", files)
    assert [complaint.message for complaint in complaints] == ["/farm/farm.pem contains no private key"]


@pytest.mark.parametrize("dialect", WRITTEN)
@pytest.mark.parametrize(
    "line, changed, complaint",
    [
        (r"\tSSLHonorCipherOrder 1\n", "\tSSLHonorCipherOrder 0\n", "lets the client choose the cipher"),
        (r"\tDisable ?SSLv3\n", "", "SSLv3 is not disabled"),
        (r"\tAddHeader .*\n", "", "the listener does not add the header"),
        (r"\tCiphers .*\n", "", "Ciphers is missing"),
    ],
)
def test_checker_on_a_weak_https_listener_refuses_the_file(
    dialect: Dialect, line: str, changed: str, complaint: str
) -> None:
    text = secure(dialect)
    assert check_farm_file(text, dialect, SECURE_FILES) == []
    weak = re.sub(line, changed, text)
    assert weak != text
    assert accepted_by_engine(weak, dialect, SECURE_FILES)
    (found,) = check_farm_file(weak, dialect, SECURE_FILES)
    assert complaint in found.message


# Changes of valid files: those that nlbgen rendered, and the smallest complete ones.

GOLDEN = HERE / "zen" / "golden"


class ValidFile(NamedTuple):
    """A valid farm file with its dialect, and the files that it names."""

    dialect: Dialect
    text: str
    files: dict[str, bytes]


def valid_files() -> Iterator[ValidFile]:
    for dialect in WRITTEN:
        yield ValidFile(dialect, whole(dialect), ERRORS)
    for path in sorted(GOLDEN.glob("*/zen/*_p*.cfg")):
        text = path.read_text(encoding="utf-8")
        named = re.findall(r'^\t?(?:Err\d+|Cert|DHParams)[ \t]+"([^"]+)"', text, re.MULTILINE)
        dialect = "zen3" if path.name.endswith("_pound.cfg") else "pound" if "\nUser" in text else "zproxy-ng"
        yield ValidFile(dialect, text, dict.fromkeys(named, PEM))


VALID = [*valid_files()]


def meaning(block: Block) -> tuple[object, ...]:
    """What a file means to the engine: the order of blocks counts, that of other directives and comments does not."""
    statements = sorted((statement.name, statement.values) for statement in block.statements)
    return block.opened.name, block.opened.values, statements, [meaning(inner) for inner in block.blocks]


def verdict_on(mutated: str, original: str, dialect: Dialect, files: dict[str, bytes]) -> str:
    """`refused`; `harmless` where the changed file means the same to the engine; else `accepted`."""
    if check_farm_file(mutated, dialect, files):
        return "refused"
    same = meaning(Reader(mutated, dialect, files).root) == meaning(Reader(original, dialect, files).root)
    return "harmless" if same else "accepted"


def test_valid_files_cover_every_written_dialect() -> None:
    assert {dialect for dialect, _text, _files in VALID} == set(WRITTEN)
    assert len(VALID) > 15
    for dialect, text, files in VALID:
        assert check_farm_file(text, dialect, files) == [], text


def test_checker_on_a_deleted_line_refuses_the_file() -> None:
    """Exceptions: zproxy without `RoutingPolicy` uses round robin; `Disable TLSv1_2` is the modern profile."""
    for dialect, text, files in VALID:
        lines = text.splitlines(keepends=True)
        for number, line in enumerate(lines):
            if line.strip() and not line.startswith("# "):
                mutated = "".join(lines[:number] + lines[number + 1 :])
                if line.strip().startswith(("RoutingPolicy", "Disable TLSv1_2")):
                    continue
                assert verdict_on(mutated, text, dialect, files) == "refused", line


@pytest.mark.no_cover  # other tests reach the same lines
def test_checker_on_a_duplicated_line_refuses_the_file() -> None:
    for dialect, text, files in VALID:
        lines = text.splitlines(keepends=True)
        for number, line in enumerate(lines):
            if line.strip() and not line.startswith("# "):
                mutated = "".join(lines[: number + 1] + lines[number:])
                assert verdict_on(mutated, text, dialect, files) == "refused", line


@pytest.mark.no_cover  # other tests reach the same lines
def test_checker_on_swapped_neighbours_refuses_the_file_or_the_meaning_stays() -> None:
    for dialect, text, files in VALID:
        lines = text.splitlines(keepends=True)
        for number in range(len(lines) - 1):
            mutated = "".join([*lines[:number], lines[number + 1], lines[number], *lines[number + 2 :]])
            assert verdict_on(mutated, text, dialect, files) in {"refused", "harmless"}, lines[number]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_checker_on_any_two_swapped_lines_refuses_the_file_or_the_meaning_stays(data: st.DataObject) -> None:
    dialect, text, files = data.draw(st.sampled_from(VALID))
    lines = text.splitlines(keepends=True)
    one, other = data.draw(st.lists(st.integers(0, len(lines) - 1), min_size=2, max_size=2, unique=True))
    lines[one], lines[other] = lines[other], lines[one]
    assert verdict_on("".join(lines), text, dialect, files) in {"refused", "harmless"}


NUMBER = re.compile(r"(?<![\w.\"/-])\d+(?![\w.\"-])|(?<=[ .])\d{1,3}(?=\.\d)")


@pytest.mark.parametrize("value", ["-1", "99999999999", "1e3", "x", ""])
@pytest.mark.no_cover  # other tests reach the same lines
def test_checker_on_an_invalid_number_refuses_the_file(value: str) -> None:
    for dialect, text, files in VALID:
        for match in NUMBER.finditer(text):
            line = text[text.rfind("\n", 0, match.start()) + 1 : text.find("\n", match.start())]
            if line.lstrip().startswith(("#", "AddHeader", "BackendCookie")):
                continue
            mutated = text[: match.start()] + value + text[match.end() :]
            assert verdict_on(mutated, text, dialect, files) == "refused", (line, value)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_checker_on_any_changed_character_does_not_crash(data: st.DataObject) -> None:
    dialect, text, files = data.draw(st.sampled_from(VALID))
    at = data.draw(st.integers(0, len(text) - 1))
    mutated = text[:at] + data.draw(st.characters(codec="utf-8")) + text[at + 1 :]
    assert verdict_on(mutated, text, dialect, files) in {"refused", "harmless", "accepted"}
