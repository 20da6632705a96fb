"""`nlbgen prove` without a lab: thresholds, the user's limits, verdicts, and the four formats of a scorecard."""

import html.parser
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import junitparser
import pytest

from nlbgen.core.errors import SpecError, UsageError
from nlbgen.generators import validate
from nlbgen.prove.lab.mapping import Mapped
from nlbgen.prove.scenarios.base import Metrics, Scenario, TestBench, metric
from nlbgen.prove.scenarios.registry import chosen, scenarios
from nlbgen.prove.score import formats, limits
from nlbgen.prove.score.scorecard import ScenarioResult, Scorecard, Scored, score
from nlbgen.prove.score.thresholds import THRESHOLDS, Threshold, at_least, at_most, measured
from nlbgen.prove.static_checks import StaticChecks

if TYPE_CHECKING:
    from tests.conftest import RunCommand

EXAMPLE = Path(__file__).parents[2] / "examples" / "farm.yaml"
NASTY = 'a "quoted" <b>note</b> & ]]> \x07 \u2028 é'


class Made(Scenario):
    """A scenario that never runs."""

    name = "kill"
    title = "a <title> & more"
    why = "because"
    seconds = 1.0

    def run(self, bench: TestBench) -> Metrics:
        raise NotImplementedError


def card(*results: ScenarioResult) -> Scorecard:
    return Scorecard(
        farm="farm-1",
        spec="farm.yaml",
        digest="0" * 64,
        vendor="haproxy",
        program="HAProxy 2.6.12",
        nodes=2,
        nlbgen="0.1.0",
        mapped=[Mapped("node orch-1", "10.0.0.1:443", "127.0.0.1:20001")],
        results=list(results),
        notes=[NASTY],
        unproved=["the network"],
    )


def killed(**values: float | None) -> ScenarioResult:
    """The scenario `kill` with these metrics; None leaves one out."""
    wanted = {"failed_gets": 0, "failed_posts": 1, "doubled_posts": 0, "lost_posts": 0, "slow": 0, **values}
    metrics = [
        metric(name, value, of=2800, window=0.38, note=NASTY) for name, value in wanted.items() if value is not None
    ]
    result = ScenarioResult(Made(), "passed", metrics=score("kill", metrics, limits.defaults("haproxy")), seconds=14.2)
    result.events = [(4.0, f"orch-1 is killed {NASTY}")]
    if result.failed_metrics:
        result.state = "failed"
    return result


FULL = card(
    killed(),
    killed(failed_gets=7, slow=None),
    ScenarioResult(Made(), "broken", f"it did not end {NASTY}", score("kill", [], limits.defaults("haproxy")), 60.0),
    ScenarioResult(Made(), "skipped", NASTY),
)


# The table of thresholds


def test_thresholds_and_scenarios_have_the_same_names() -> None:
    assert set(THRESHOLDS) == {*scenarios(), StaticChecks.name}
    assert all(THRESHOLDS.values())


@pytest.mark.parametrize("name", THRESHOLDS)
def test_names_of_metrics_and_scenarios_are_lower_case(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    for metric_name, threshold in THRESHOLDS[name].items():
        assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", metric_name)
        assert threshold.title
        assert (threshold.limit is None) or threshold.sense != "measured"


@pytest.mark.parametrize("name", scenarios())
def test_scenario_has_title_reason_and_timeout(name: str) -> None:
    scenario = scenarios()[name]
    assert scenario.name == name
    assert scenario.title
    assert scenario.why
    assert 0 < scenario.seconds <= (1800 if scenario.needs_robots else 600), "bounded in time"


def test_chosen_scenarios_keep_the_order_of_the_registry() -> None:
    assert [one.name for one in chosen(("kill", "steady"))] == ["steady", "kill"]
    assert chosen(()) == [one for one in scenarios().values() if not one.needs_robots]
    with pytest.raises(UsageError, match=r"hnag is not a scenario.*did you mean hang"):
        chosen(("hnag",))


def test_limit_of_a_vendor_overrides_the_limit() -> None:
    threshold = at_most(0, "requests that failed", nginx=1)
    assert (threshold.limit_of("haproxy"), threshold.limit_of("nginx")) == (0, 1)
    assert limits.defaults("nginx")["drain.failed"] == 1
    assert limits.defaults("haproxy")["drain.failed"] == 0


# Verdicts


@pytest.mark.parametrize(
    ("threshold", "limit", "value", "verdict"),
    [
        (at_most(3, "x"), 3, 3, "passed"),
        (at_most(3, "x"), 3, 4, "failed"),
        (at_most(3, "x"), 3, None, "failed"),
        (at_least(20, "x"), 20, 20, "passed"),
        (at_least(20, "x"), 20, 19.9, "failed"),
        (measured("x"), None, 10**9, "shown"),
        (at_most(3, "x"), None, 4, "shown"),
        (measured("x"), None, None, "shown"),
    ],
)
def test_verdict_compares_the_value_with_the_limit(
    threshold: Threshold, limit: float | None, value: float | None, verdict: str
) -> None:
    assert Scored("x", threshold, limit, None if value is None else metric("x", value)).verdict == verdict


def test_metric_that_is_not_enforced_is_shown() -> None:
    assert Scored("x", at_most(0, "x"), 0, metric("x", 9, enforced=False, note="why")).verdict == "shown"


def test_missing_metric_fails() -> None:
    assert killed(slow=None).state == "failed"
    assert [one.name for one in killed(slow=None).failed_metrics] == ["slow"]


def test_metric_without_a_threshold_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="not in THRESHOLDS"):
        score("kill", [metric("unheard_of", 1)], limits.defaults("haproxy"))


def test_scorecard_passes_without_failed_or_broken_scenarios() -> None:
    assert card(killed()).passed
    assert card(killed(), ScenarioResult(Made(), "skipped", "one node")).passed
    assert not card(killed(failed_gets=1)).passed
    assert not card(ScenarioResult(Made(), "broken", "x")).passed
    assert list(FULL.failed()) == ["kill.failed_gets", "kill.slow", "kill"]


# The user's limits


def read(tmp_path: Path, text: str) -> dict[str, float | None]:
    path = tmp_path / "thresholds.yaml"
    path.write_text(text, encoding="utf-8")
    return limits.read(path)


def test_file_of_thresholds_overrides_limits(tmp_path: Path) -> None:
    assert read(tmp_path, "kill.failed_posts: 0\nsteady.added_p50: 2.5\nhang.slow: null\n") == {
        "kill.failed_posts": 0,
        "steady.added_p50": 2.5,
        "hang.slow": None,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "kil.failed_gets: 0\n",
            r"thresholds\.yaml:1:1: kil\.failed_gets: is not a metric \(did you mean kill\.failed_gets\?\)",
        ),
        ("# first\nkill.failed_gets: -1\n", r"thresholds\.yaml:2:19: kill\.failed_gets: is not a valid threshold"),
        ("kill.failed_gets: many\n", "is not a valid threshold"),
        ("kill.failed_gets: true\n", "is not a valid threshold"),
        ("kill: {failed_gets: 0}\n", "is not a metric"),
        ("kill.failed_gets: 0\nkill.failed_gets: 1\n", "appears twice"),
        ("- kill.failed_gets\n", "the file must contain names and limits"),
        ("paper.files: 1\nidle-websocket.shortest: 3\n", r"2:1: idle-websocket\.shortest: is only measured"),
        ("", "the file is empty"),
    ],
)
def test_error_in_a_file_of_thresholds_has_its_location(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(SpecError, match=expected):
        read(tmp_path, text)


def test_every_error_in_a_file_of_thresholds_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as raised:
        read(tmp_path, "a.b: 1\nc.d: 2\nkill.slow: x\n")
    assert len(raised.value.problems) == 3


def test_missing_file_of_thresholds_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.yaml: there is no such file of thresholds"):
        limits.read(tmp_path / "nowhere.yaml")


# Formats


def test_text_lists_every_metric_and_marks_failed_ones() -> None:
    expected = formats.text(FULL)
    assert "  ! 7 of 2800 in 0.38 s      at most 0          GETs that failed\n" in expected
    assert "  ! not measured" in expected
    assert "kill: skipped: a " in expected
    assert expected.endswith("not passed: 1 passed, 1 failed, 1 broken, 1 skipped\n")
    assert "Not proved here:\n  - the network\n" in expected


@pytest.mark.parametrize(("value", "text"), [(3, "3"), (3.0, "3"), (0.38, "0.38"), (1234.5, "1234.5"), (0.0004, "0")])
def test_number_has_no_trailing_zeros(value: float, text: str) -> None:
    assert formats.number(value) == text


def test_json_has_the_documented_shape() -> None:
    data = json.loads(formats.as_json(FULL))
    assert list(data) == [
        *("format", "nlbgen", "farm", "spec", "digest", "vendor", "program", "nodes", "passed", "missed"),
        *("mapping", "notes", "not_proved", "scenarios"),
    ]
    assert data["format"] == 1
    assert data["mapping"] == [{"what": "node orch-1", "live": "10.0.0.1:443", "here": "127.0.0.1:20001"}]
    first = data["scenarios"][0]
    assert list(first) == ["name", "title", "why", "state", "reason", "seconds", "figures", "events"]
    assert first["figures"][1] == {
        "name": "failed_posts",
        "title": "POSTs that failed",
        "unit": None,
        "value": 1,
        "of": 2800,
        "window_seconds": 0.38,
        "note": NASTY,
        "sense": "at most",
        "limit": 3,
        "verdict": "held",
    }
    assert [one["state"] for one in data["scenarios"]] == ["passed", "missed", "broken", "not played"]


def test_junit_counts_tests_failures_errors_and_skips(tmp_path: Path) -> None:
    path = tmp_path / "prove.xml"
    path.write_text(formats.junit(FULL), encoding="utf-8")
    read_back = junitparser.JUnitXml.fromfile(str(path))
    suites = list(read_back)
    assert [(suite.tests, suite.failures, suite.errors, suite.skipped) for suite in suites] == [
        (6, 0, 0, 0),
        (6, 2, 0, 0),
        (6, 0, 1, 0),
        (1, 0, 0, 1),
    ]
    assert (read_back.tests, read_back.failures, read_back.errors) == (19, 2, 1)
    failed = [case for case in suites[1] if not case.is_passed]
    assert [case.name for case in failed] == ["failed_gets", "slow"]
    assert failed[0].result[0].message == "GETs that failed: 7 of 2800 in 0.38 s, at most 0"


# The required and allowed attributes of Jenkins' junit-10.xsd (xunit-plugin).
REQUIRED = {
    "testsuites": set(),
    "testsuite": {"name", "tests", "failures", "errors"},
    "testcase": {"name"},
    "failure": set(),
    "error": set(),
    "skipped": set(),
    "system-out": set(),
}
ALLOWED = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "package"},
    "testcase": {"name", "time", "classname", "group"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
    "system-out": set(),
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase", "properties", "system-out", "system-err", "testsuite"},
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
}


def test_junit_is_valid_by_the_schema_of_jenkins() -> None:
    root = ET.fromstring(formats.junit(FULL))
    assert root.tag == "testsuites"
    for element in root.iter():
        assert REQUIRED[element.tag] <= element.attrib.keys() <= ALLOWED[element.tag], element.tag
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
        assert re.fullmatch(r"[0-9]{1,3}\.[0-9]*|[0-9]{0,3}", element.get("time", "0"))


class Page(html.parser.HTMLParser):
    """Open tags, and everything that a browser would fetch."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.fetched += [
            value for name, value in attrs if value and name in {"src", "href"} and not value.startswith("#")
        ]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    ("value", "limit", "expected"),
    [
        (0, 0, ("0.0", "0.0")),
        (7, 0, ("80.0", "0.0")),
        (1, 4, ("20.0", "80.0")),
        (8, 4, ("80.0", "40.0")),
    ],
)
def test_bar_shows_the_value_and_its_threshold_on_one_scale(
    value: float, limit: float, expected: tuple[str, str]
) -> None:
    bar = formats._bar(Scored("x", at_most(limit, "x"), limit, metric("x", value)))
    assert bar is not None
    assert (bar["value"], bar["limit"]) == expected


def test_metric_without_a_value_or_a_threshold_has_no_bar() -> None:
    assert formats._bar(Scored("x", at_most(3, "x"), 3, None)) is None
    assert formats._bar(Scored("x", measured("x"), None, metric("x", 1))) is None
    assert formats._bar(Scored("x", at_most(0, "x"), 0, metric("x", 9, enforced=False))) is None


def test_html_of_a_run_in_doubt_is_inconclusive_and_one_failure_makes_it_failed() -> None:
    doubted = killed()
    doubted.state = "inconclusive"
    for results, outcome in (
        ((killed(),), "passed"),
        ((killed(), doubted), "inconclusive"),
        ((doubted, killed(failed_gets=1)), "failed"),
    ):
        assert f'<p class="outcome {outcome}">' in formats.html(card(*results))


def test_html_fetches_nothing_and_escapes_everything() -> None:
    text = formats.html(FULL)
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    assert page.fetched == []
    assert not page.tags & {"script", "link", "img", "iframe", "b"}
    assert "&lt;b&gt;note&lt;/b&gt;" in text
    assert "url(" not in text
    assert formats.summary(FULL) in text


@pytest.mark.parametrize("style", formats.STYLES)
def test_format_of_an_empty_scorecard_is_not_empty(style: str) -> None:
    assert formats.STYLES[style](card())


@pytest.mark.parametrize("style", formats.STYLES)
def test_format_is_deterministic(style: str) -> None:
    assert formats.STYLES[style](FULL) == formats.STYLES[style](FULL)


# The command without a program


@pytest.mark.parametrize("vendor", ["f5", "zen"])
def test_prove_of_a_device_runs_static_checks(cli: "RunCommand", vendor: str) -> None:
    ran = cli("prove", vendor, "-s", EXAMPLE, "--format", "json")
    assert ran.code == 0, ran.err
    data = json.loads(ran.out)
    assert data["passed"]
    assert [one["name"] for one in data["scenarios"]] == ["paper"]
    assert any("no scenario ran" in item for item in data["not_proved"])


@pytest.mark.parametrize("option", [("--scenario", "kill"), ("--diff",), ("--keep",), ("--requests", "all.jsonl")])
def test_prove_of_a_device_refuses_options_of_scenarios(cli: "RunCommand", option: tuple[str, ...]) -> None:
    ran = cli("prove", "f5", "-s", EXAMPLE, *option)
    assert ran.code == 2
    assert f"{option[0]}: F5 BIG-IP runs only on its own device" in ran.err
    assert "use haproxy or nginx" in ran.err


def test_vendor_that_refuses_the_farm_exits_with_4(cli: "RunCommand", farm_file: Callable[..., None]) -> None:
    farm_file(balancer={"affinity": "cookie", "algorithm": "source", "slow_start": "30s"})
    assert cli("prove", "nginx").code == 4


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("prove", "hapoxy"), 2, "hapoxy is not a vendor (did you mean haproxy?)"),
        (("prove", "all"), 2, "takes one vendor"),
        (("prove", "haproxy", "--scenario", "kil"), 2, "did you mean kill"),
        (("prove", "haproxy", "--threshold", "none.yaml"), 2, "there is no such file of thresholds"),
        (("prove", "haproxy", "--diff", "--keep"), 2, "cannot be combined"),
        (("prove", "haproxy", "--quick", "--scenario", "kill"), 2, "--quick and --scenario cannot be combined"),
        (("prove", "haproxy", "--quick", "--robots", "9"), 2, "--quick and --robots cannot be combined"),
        (("prove", "haproxy", "--quick", "--real-time"), 2, "--quick and --real-time cannot be combined"),
        (("prove", "haproxy", "--quick", "--diff"), 2, "--quick and --diff cannot be combined"),
        (("prove", "f5", "--quick"), 2, "--quick: F5 BIG-IP runs only on its own device"),
        (("prove", "haproxy", "-s", "gone.yaml"), 3, "there is no such file"),
        (("prove",), 2, "Missing argument"),
    ],
)
def test_invalid_arguments_are_reported(
    cli: "RunCommand", farm_file: Callable[..., None], arguments: tuple[str, ...], code: int, expected: str
) -> None:
    farm_file()
    ran = cli(*arguments)
    assert (ran.code, expected in ran.err) == (code, True), ran.err


def test_farm_with_too_many_nodes_is_refused(cli: "RunCommand", farm_file: Callable[..., None]) -> None:
    farm_file(nodes=[{"name": f"n{number}", "address": f"10.0.0.{number}"} for number in range(1, 66)])
    ran = cli("prove", "haproxy", "--diff")
    assert ran.code == 1
    assert "the farm has 65 nodes" in ran.err


def test_missing_program_is_reported_with_the_command_that_installs_it(
    cli: "RunCommand", farm_file: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    farm_file()
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    validate.installed.cache_clear()
    try:
        ran = cli("prove", "haproxy")
    finally:
        validate.installed.cache_clear()
    assert ran.code == 1
    assert "haproxy is not installed" in ran.err
    assert "apt-get install haproxy" in ran.err


@pytest.fixture
def farm_file(tmp_path: Path, farm_data: Callable[..., dict[str, object]]) -> Callable[..., None]:
    """Writes farm.yaml into the test's folder."""

    def write(**changes: object) -> None:
        (tmp_path / "farm.yaml").write_text(json.dumps(farm_data(**changes)), encoding="utf-8")

    return write
