"""`nlbgen prove --config FILE --beside`: the two runs, the spec of the second one, and the formats of the scorecard."""

import html.parser
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import junitparser
import pytest

from nlbgen.commands.beside import rendered_for
from nlbgen.core.errors import UsageError
from nlbgen.prove import beside as runs
from nlbgen.prove.run import RunOptions, Watch
from nlbgen.prove.scenarios.base import Metrics, Scenario, TestBench, metric, not_measured
from nlbgen.prove.score import beside, limits
from nlbgen.prove.score.beside import Beside
from nlbgen.prove.score.scorecard import ScenarioResult, Scorecard, score
from nlbgen.spec.load import Spec, load

if TYPE_CHECKING:
    from tests.conftest import RunCommand

EXAMPLE = Path(__file__).parents[2] / "examples" / "farm.yaml"
LIMITS = limits.defaults("haproxy")
CONFIGURATION = """\
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
frontend web
    bind 192.0.2.1:443 ssl crt /no/such/site.pem
    use_backend iis if { hdr(host) -i app.corp.example }
backend iis
    option httpchk GET /health
    server a 10.1.0.1:8080 check
    server b 10.1.0.2:8080 check
"""


class Made(Scenario):
    """A scenario that never runs."""

    title = "a <title> & more"
    why = "because"
    seconds = 1.0

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]  # the name of a scenario is that of its class

    def run(self, bench: TestBench) -> Metrics:
        raise NotImplementedError


KILL, BODY, STREAM = Made("kill"), Made("body"), Made("event-stream")


def kill(failed: float, note: str = "") -> ScenarioResult:
    values = {"failed_gets": failed, "failed_posts": 1, "doubled_posts": 0, "lost_posts": 0}
    metrics = [metric(name, value, of=2800, note=note) for name, value in values.items()]
    metrics.append(not_measured("slow", "the file is <as it is>"))
    result = ScenarioResult(KILL, "failed" if failed else "passed", metrics=score("kill", metrics, LIMITS), seconds=14)
    result.events = [(1.0, "orch-1 is killed")]
    return result


def card(farm: str, *results: ScenarioResult, notes: tuple[str, ...] = ()) -> Scorecard:
    made = Scorecard(farm, "farm.yaml", "0" * 64, "haproxy", "HAProxy 2.6.12", 2, "0.1.0", results=list(results))
    made.notes, made.unproved = list(notes), ["the network"]
    return made


SKIPPED = ScenarioResult(BODY, "skipped", "it needs a spec")
BOTH = Beside(
    card("haproxy.cfg", kill(7, "http 503"), SKIPPED, notes=("busy", "of this file")),
    card("farm-1", kill(0, "closed"), ScenarioResult(BODY, "skipped", "not compared"), notes=("busy",)),
)


def test_text_has_a_column_for_each_configuration_and_one_threshold() -> None:
    lines = beside.text(BOTH).splitlines()
    assert lines[:3] == ["haproxy.cfg beside nlbgen on HAProxy 2.6.12", "  haproxy.cfg: 2 nodes", "  nlbgen: 2 nodes"]
    assert "    FAILED in 14 s            passed in 14 s" in lines
    assert "  ! 7 of 2800                 0 of 2800               at most 0          GETs that failed" in lines
    at = lines.index("  ! 7 of 2800                 0 of 2800               at most 0          GETs that failed")
    assert lines[at + 1 : at + 3] == ["    (haproxy.cfg: http 503)", "    (nlbgen: closed)"]
    assert "    (the file is <as it is>)" in lines, "a note that both have stands once"
    assert "    not measured              not measured            (no limit)         requests answered after" in (
        "\n".join(lines)
    )
    assert "    (haproxy.cfg: it needs a spec)" in lines
    assert lines[lines.index("Notes:") :][:3] == ["Notes:", "  - busy", "  - haproxy.cfg: of this file"]
    assert lines[-2:] == ["haproxy.cfg: not passed: 1 failed, 1 skipped", "nlbgen: passed: 1 passed, 1 skipped"]


def test_text_of_a_scenario_that_ran_for_one_has_a_dash_for_the_other() -> None:
    both = Beside(card("haproxy.cfg", kill(0)), card("farm-1", ScenarioResult(KILL, "broken", "it did not end")))
    text = beside.text(both)
    assert "    0 of 2800                 -                       at most 0" in text
    assert "(nlbgen: it did not end)" in text
    assert "-</span>" in beside.html(both)


def test_long_name_of_a_file_widens_the_columns() -> None:
    both = Beside(card("a/very/long/path/of/haproxy.cfg", kill(0)), card("farm-1", kill(0)))
    heads = [line for line in beside.text(both).splitlines() if line.endswith(" nlbgen")]
    assert heads == ["    a/very/long/path/of/haproxy.cfg  nlbgen"]


def test_json_has_the_shape_of_one_scorecard_and_the_other_beside_it() -> None:
    data = json.loads(beside.as_json(BOTH))
    assert (data["format"], data["farm"], data["passed"], data["missed"]) == (
        1,
        "haproxy.cfg",
        False,
        ["kill.failed_gets"],
    )
    assert (data["beside"]["farm"], data["beside"]["passed"]) == ("farm-1", True)
    slow = data["scenarios"][0]["figures"][-1]
    assert (slow["value"], slow["verdict"], slow["note"]) == (None, "shown", "the file is <as it is>")


def test_junit_has_the_suites_of_both(tmp_path: Path) -> None:
    path = tmp_path / "prove.xml"
    path.write_text(beside.junit(BOTH), encoding="utf-8")
    read_back = junitparser.JUnitXml.fromfile(str(path))
    assert [(suite.name, suite.failures, suite.skipped) for suite in read_back] == [
        ("haproxy.kill", 1, 0),
        ("haproxy.body", 0, 1),
        ("nlbgen.haproxy.kill", 0, 0),
        ("nlbgen.haproxy.body", 0, 1),
    ]


class Page(html.parser.HTMLParser):
    """The open tags and the texts of table cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_has_a_column_for_each_configuration() -> None:
    page = Page()
    page.feed(beside.html(BOTH))
    page.close()
    assert page.open == []
    cells = [" ".join(cell.split()) for cell in page.cells]
    assert cells[:8] == [
        *("Metric", "Threshold", "haproxy.cfg", "nlbgen"),
        *("GETs that failed", "at most 0", "7 of 2800 failedhttp 503", "0 of 2800 passedclosed"),
    ]
    text = beside.html(BOTH)
    assert '<p class="outcome failed">haproxy.cfg: not passed' in text
    assert '<p class="outcome passed">nlbgen: passed' in text
    assert "&lt;as it is&gt;" in text
    assert "<as it is>" not in text


def test_second_run_has_the_scenarios_that_ran_and_the_same_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, list[str], bool, float | None]] = []

    def prove(spec: Spec, vendor: str, options: RunOptions, watch: Watch) -> Scorecard:
        del watch
        names = [one.name for one in options.scenarios]
        seen.append((vendor, names, options.foreign is None, options.limits["kill.slow"]))
        results = [SKIPPED if one is BODY else ScenarioResult(one, "passed") for one in options.scenarios]
        return card(spec.name, *results)

    totals: list[int] = []

    @contextmanager
    def watched(total: int) -> Iterator[Watch]:
        totals.append(total)
        yield lambda _bench, _scenario: None

    monkeypatch.setattr(runs, "prove", prove)
    spec = load(EXAMPLE)
    options = RunOptions([KILL, BODY, STREAM], {**LIMITS, "kill.slow": 3.0})
    given = replace(options, foreign=object())  # type: ignore[arg-type]  # only its presence counts
    both = runs.prove_beside(spec, spec, "haproxy", given, watched)
    assert seen == [
        ("haproxy", ["kill", "body", "event-stream"], False, 3.0),
        ("haproxy", ["kill", "event-stream"], True, 3.0),
    ]
    assert totals == [3, 2]
    assert [(one.scenario.name, one.state, one.reason) for one in both.rendered.results] == [
        ("kill", "passed", ""),
        ("body", "skipped", "not compared"),
        ("event-stream", "passed", ""),
    ]


def test_spec_of_the_second_run_is_that_of_the_user() -> None:
    spec = load(EXAMPLE)
    assert rendered_for([Path("haproxy.cfg")], "haproxy", "app.corp.example", spec) == (spec, "")


def test_spec_of_the_second_run_is_made_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text(CONFIGURATION, encoding="utf-8")
    spec, note = rendered_for([path], "haproxy", "app.corp.example", None)
    farm = spec.farm
    assert (farm.frontend.host, farm.frontend.tls.mode) == ("app.corp.example", "terminate")
    assert [(node.name, str(node.address)) for node in farm.nodes] == [("a", "10.1.0.1"), ("b", "10.1.0.2")]
    assert note.startswith(f"the spec is the one that `nlbgen init --from {path}` writes (12 statements: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CONFIGURATION.replace("server ", "# server "), "no frontend has servers"),
        ("", "no spec can be made of this file"),
    ],
)
def test_file_of_which_no_spec_can_be_made_needs_a_spec(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as caught:
        rendered_for([path], "haproxy", "app.corp.example", None)
    assert caught.value.hint == "write the spec with `nlbgen init`, and give it with -s FILE"


def test_several_files_need_a_spec() -> None:
    with pytest.raises(UsageError, match="reads one file, and --config has 2"):
        rendered_for([Path("a.cfg"), Path("b.cfg")], "haproxy", "app.corp.example", None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--beside",), "--beside is for --config only"),
        (("--config", "haproxy.cfg", "--beside", "--diff"), "--beside and --diff cannot be combined"),
        (("--config", "haproxy.cfg", "--beside", "--keep"), "--beside and --keep cannot be combined"),
        (("--config", "haproxy.cfg", "--beside", "--requests", "all.jsonl"), "--beside and --requests"),
    ],
)
def test_options_that_beside_cannot_have_are_refused(
    cli: "RunCommand", arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("haproxy.cfg").write_text(CONFIGURATION, encoding="utf-8")
    ran = cli("prove", "haproxy", *arguments)
    assert (ran.code, message in ran.err) == (2, True), ran.err
