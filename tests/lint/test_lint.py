"""Findings, ignored findings, baselines and formats, with one rule that finds each `maxconn`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from nlbgen.commands.lint import _VENDORS
from nlbgen.core.errors import FileError
from nlbgen.lint import findings, registry
from nlbgen.lint.findings import Report, examine
from nlbgen.lint.formats import data, sarif, text
from nlbgen.lint.masking import without_secrets
from nlbgen.lint.rule import Finding, Found, Rule
from nlbgen.lint.suppress import baseline, read_baseline
from nlbgen.lint.versions import missing_fixes
from nlbgen.readers.haproxy.reader import read_text
from nlbgen.readers.load import READERS
from nlbgen.readers.tree import Configuration

if TYPE_CHECKING:
    from tests.conftest import RunCommand

SCHEMA = json.loads((Path(__file__).parent / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))


def each_maxconn(configuration: Configuration) -> Iterator[Found]:
    for statement in configuration.walk():
        if statement.name == "maxconn":
            yield Found(statement.words[1].location, f"the limit is {statement.arguments[0]}")


RULE = Rule(
    id="test-maxconn",
    vendors=("haproxy",),
    severity="warning",
    title="no limit is written",
    why="a limit limits",
    instead="write no limit",
    source="https://docs.haproxy.org/",
    check=each_maxconn,
    scenario="steady",
)
FILE = "global\n\tmaxconn 10  # limit\ndefaults\n    stats auth admin:pa55 # maxconn\n    maxconn 20\n"


@pytest.fixture(autouse=True)
def one_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "rules", lambda _vendor: (RULE,))


def examined(content: str, name: str = "a b.cfg", known: frozenset[str] = frozenset()) -> Report:
    return examine(name, read_text(content, name), baseline=known, baseline_name="old.json")


def lines_of(report: Report) -> list[int]:
    return [finding.location.line for finding in report.findings]


# Formats


def test_text_has_the_line_of_the_file_and_a_caret_below_the_word() -> None:
    assert text.text([examined(FILE)]).splitlines()[:6] == [
        "a b.cfg:2:10: warning: the limit is 10 [test-maxconn]",
        " 2 |     maxconn 10  # limit",
        "   |             ^^",
        "    why: a limit limits",
        "    instead: write no limit",
        "    to test nlbgen's own configuration for this: nlbgen prove haproxy --scenario steady",
    ]


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.id) for rule in registry.all_rules()])
def test_proof_names_the_vendor_and_is_empty_for_devices(rule: Rule) -> None:
    vendor = rule.vendors[0]
    tested = vendor in {"haproxy", "nginx"} and rule.scenario is not None
    assert rule.proof == (f"nlbgen prove {vendor} --scenario {rule.scenario}" if tested else "")


def test_text_escapes_control_characters_of_the_file() -> None:
    assert "\x1b" not in text.text([examined("global\n  maxconn 1\x1b[31m0 #\x1b[2J\n")])


def test_summary_counts_findings_ignored_ones_and_parts_not_understood() -> None:
    report = examined("defaults\n maxconn 1 # nlbgen: ignore[test-maxconn] small\n maxconn 2\n frobnicate\n")
    assert text.summary([report]) == "a b.cfg: 1 warning, 1 finding ignored, 1 part not understood"
    assert text.summary([examined("global\n"), examined("global\n")]) == "2 files: no findings"


def test_json_has_all_fields_of_a_finding() -> None:
    (file,) = json.loads(data.as_json([examined(FILE + " frobnicate 3\n")]))
    assert (file["file"], file["vendor"], len(file["findings"])) == ("a b.cfg", "haproxy", 2)
    assert file["findings"][0] == {
        "id": "test-maxconn",
        "severity": "warning",
        "file": "a b.cfg",
        "line": 2,
        "column": 10,
        "message": "the limit is 10",
        "why": "a limit limits",
        "instead": "write no limit",
        "scenario": "steady",
        "source": "https://docs.haproxy.org/",
    }
    assert file["not_understood"][0]["line"] == 6


def test_github_annotations_are_one_line_each() -> None:
    first, *_others, last = data.as_github([examined(FILE + " frobnicate 3\n")]).splitlines()
    assert first == (
        "::warning file=a b.cfg,line=2,col=10,title=test-maxconn::the limit is 10%0Awhy: a limit limits"
        "%0Ainstead: write no limit"
    )
    assert last.startswith("::notice file=a b.cfg,line=6,col=2,title=not understood::HAProxy 2.0 to 3.4")


@pytest.mark.parametrize("name", ["a b.cfg", "/etc/haproxy/haproxy.cfg", "x/ö.cfg"])
def test_sarif_is_valid_by_the_official_schema(name: str) -> None:
    ignored = " maxconn 7 # nlbgen: ignore[test-maxconn] reason\n"
    log = json.loads(sarif.as_sarif([examined(FILE + ignored + " frobnicate 3\n", name)]))
    jsonschema.validate(log, SCHEMA, cls=jsonschema.Draft4Validator)
    run = log["runs"][0]
    assert [result.get("suppressions", [{}])[0].get("kind") for result in run["results"]] == [None] * 2 + ["inSource"]
    assert run["invocations"][0]["toolExecutionNotifications"]
    assert all(run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "test-maxconn" for result in run["results"])


def test_sarif_schema_rejects_a_wrong_log() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"version": "2.1.0", "runs": [{}]}, SCHEMA, cls=jsonschema.Draft4Validator)


@pytest.mark.parametrize(
    "line, shown",
    [
        ("stats auth admin:pa55 x", "stats auth admin:*** x"),
        ("user a insecure-password pa55", "user a insecure-password ***"),
        ("http-check send hdr Authorization 'Basic abc'", "http-check send hdr Authorization ***"),
        ("setenv TOKEN abc", "setenv TOKEN ***"),
        ("proxy_pass http://u:pa55@node;", "proxy_pass http://u:***@node;"),
        ('http-request set-header X "Bearer abcdefgh"', 'http-request set-header X "Bearer ***"'),
        ("timeout server 50s", "timeout server 50s"),
    ],
)
def test_source_lines_have_no_secrets(line: str, shown: str) -> None:
    assert without_secrets(line) == shown


# Ignored findings


@pytest.mark.parametrize(
    "content, reported",
    [
        (" maxconn 1 # nlbgen: ignore[test-maxconn] reason\n", []),
        (" # nlbgen: ignore[other, test-maxconn] reason\n # text\n maxconn 1\n", ["ignore-no-effect"]),
        (" # nlbgen: ignore[test-maxconn]\n maxconn 1\n", ["ignore-no-effect", "test-maxconn"]),
        (" # nlbgen: ignore[test-maxconn] reason\n\n maxconn 1\n", ["ignore-no-effect", "test-maxconn"]),
        (" maxconn 1 # ignore[test-maxconn] reason\n", ["test-maxconn"]),
    ],
    ids=["same line", "line before", "no reason", "empty line between", "no mark"],
)
def test_a_comment_ignores_findings_of_its_line_or_the_next_one(content: str, reported: list[str]) -> None:
    assert [finding.rule.id for finding in examined("global\n" + content).findings] == reported


def test_a_baseline_knows_findings_whose_lines_have_moved(tmp_path: Path) -> None:
    before = examined(FILE)
    path = tmp_path / "old.json"
    path.write_bytes(baseline(zip(before.findings, before.fingerprints, strict=True)))
    assert "pa55" not in path.read_text(encoding="utf-8")
    assert lines_of(examined("# new\n" + FILE + " maxconn 20\n", known=read_baseline(path))) == [7]


@pytest.mark.parametrize("content", ["", "[]", '{"version": 2, "findings": []}', '{"version": 1, "findings": [1]}'])
def test_an_invalid_baseline_file_is_an_error(content: str, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FileError, match="not a baseline file"):
        read_baseline(path)


def test_findings_of_other_programs_can_be_ignored_too() -> None:
    configuration = read_text("global\n daemon # nlbgen: ignore[test-maxconn] reason\n", "x")
    daemon = configuration.statements[0].inside[0]
    report = examine("x", configuration, [Finding(RULE, daemon.location, "found elsewhere")])
    assert (report.findings, len(report.ignored)) == ((), 1)


@pytest.mark.parametrize("severity, reached", [("error", False), ("warning", True), ("note", True)])
def test_a_report_reaches_severities_up_to_that_of_its_findings(severity: str, reached: bool) -> None:
    assert examined(FILE).reaches(severity) is reached  # type: ignore[arg-type]


# The command


def test_the_exit_code_depends_on_the_severity(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text(FILE, encoding="utf-8")
    assert [cli("lint", "--fail-on", level, "a.cfg").code for level in ("error", "warning", "note")] == [0, 1, 1]


def test_a_baseline_is_written_and_read(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text(FILE, encoding="utf-8")
    assert "wrote old.json with 2 findings" in cli("lint", "--write-baseline", "old.json", "a.cfg").err
    ran = cli("lint", "--baseline", "old.json", "a.cfg")
    assert (ran.code, ran.out, ran.err) == (0, "", "a.cfg: no findings, 2 findings ignored\n")


@pytest.mark.parametrize("style, begin", [("json", "["), ("github", "::warning"), ("sarif", "{"), ("text", "a.cfg:2")])
def test_formats_go_to_standard_output(style: str, begin: str, cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text(FILE, encoding="utf-8")
    assert cli("lint", "--format", style, "a.cfg").out.startswith(begin)


def test_colours_mark_the_severities(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text(FILE, encoding="utf-8")
    assert "\x1b[33ma.cfg:2:10: warning" in cli("lint", "a.cfg", env={"FORCE_COLOR": "1"}).out


@pytest.mark.parametrize(
    "content, error",
    [
        ("Hello\n", "a.cfg: the content does not look like a configuration"),
        ('global\n log "x\n', 'a.cfg:2:6: the quote " has no end'),
        (None, "a.cfg: cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(
    content: str | None, error: str, cli: "RunCommand", tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "a.cfg").write_text(content, encoding="utf-8")
    ran = cli("lint", "a.cfg")
    assert ran.code in {1, 2}
    assert error in ran.err


def test_the_vendor_can_be_named(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text("# nothing\n", encoding="utf-8")
    assert cli("lint", "--vendor", "haproxy", "a.cfg").code == 0
    assert cli("lint", "--baseline", "none.json", "a.cfg").code == 1


def test_the_option_knows_all_readers() -> None:
    assert list(READERS) == _VENDORS


# The registry


def test_rules_have_all_texts_and_ids_of_one_form() -> None:
    rules = list(registry.all_rules())
    for rule in rules:
        assert rule.id == rule.id.lower()
        assert all(text and not text.endswith(".") for text in (rule.title, rule.why, rule.instead))
        assert rule.source.startswith(("https://", "docs/"))
    assert len({rule.id for rule in rules}) == len(rules)


# Known security fixes


@pytest.mark.parametrize(
    "version, missing",
    [
        ("2.6.8", ["CVE-2023-25725", "CVE-2023-40225"]),
        ("2.6.12", ["CVE-2023-40225"]),
        ("2.6.12-1+deb12u4", ["CVE-2023-40225"]),
        ("2.3.21", ["CVE-2023-25725", "CVE-2023-40225"]),
        ("2.6.15", []),
        ("3.2.1", []),
        ("2.8.1", ["CVE-2023-40225"]),
    ],
)
def test_versions_lack_the_fixes_after_them(version: str, missing: list[str]) -> None:
    found = missing_fixes(read_text("global\n", "a.cfg"), version)
    assert [name for one in found for name in [one.message.split()[5]]] == missing


@pytest.mark.parametrize("version", ["2.6", "new", "2.6.x", "2.6.9999999"])
def test_an_invalid_version_is_a_usage_error(version: str, cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text("global\n", encoding="utf-8")
    ran = cli("lint", "--program-version", version, "a.cfg")
    assert (ran.code, "is not a version" in ran.err) == (2, True)


def test_missing_fixes_are_findings(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text("global\n", encoding="utf-8")
    ran = cli("lint", "--program-version", "2.6.12", "a.cfg")
    assert "a.cfg:1:1: warning: 2.6.12 lacks the fix of CVE-2023-40225 (2023-08-10)" in ran.out


def test_files_together_are_one_configuration(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text("global\n maxconn 10\n", encoding="utf-8")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "b.cfg").write_text("defaults\n maxconn 20\n", encoding="utf-8")
    done = cli("lint", "--together", "--format", "json", "a.cfg", "d")
    (report,) = json.loads(done.out)
    assert report["file"] == "a.cfg d"
    assert [(one["file"], one["line"]) for one in report["findings"]] == [("a.cfg", 2), ("d/b.cfg", 2)]
    assert "a.cfg d: 2 warnings" in done.err


def test_a_folder_needs_together(cli: "RunCommand", tmp_path: Path) -> None:
    done = cli("lint", tmp_path)
    assert (done.code, "is a folder" in done.err, "--together" in done.err) == (2, True, True)
