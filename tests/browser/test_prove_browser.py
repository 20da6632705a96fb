"""The scorecard in a real browser: no requests, no console messages, and readable for all users."""

from pathlib import Path

import pytest

from nlbgen.prove.lab.mapping import Mapped
from nlbgen.prove.scenarios.base import metric
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.prove.score import formats, limits
from nlbgen.prove.score.scorecard import ScenarioResult, Scorecard, State, score
from nlbgen.prove.score.thresholds import THRESHOLDS

from .conftest import Browser

pytestmark = [pytest.mark.chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scorecards") / "prove.html"
    path.write_text(formats.html(card()), encoding="utf-8")
    return path


def card() -> Scorecard:
    """Every scenario, in every state."""
    states: tuple[State, ...] = ("passed", "failed", "inconclusive", "broken", "skipped")
    results = []
    for number, (name, scenario) in enumerate(scenarios().items()):
        state = states[number % len(states)]
        value = 9999 if state in {"failed", "inconclusive"} else 0
        doubt = "inconclusive: this machine was busy" if state == "inconclusive" else ""
        metrics = [
            metric(one, value, of=2800, window=0.38, note="a note")._replace(doubt=doubt) for one in THRESHOLDS[name]
        ]
        scored = score(name, metrics, limits.defaults("haproxy"))
        timeline = [(4.0, "orch-1 is killed"), (10.0, "orch-1 starts again")]
        results.append(ScenarioResult(scenario, state, "a reason" if number % 5 > 2 else "", scored, 14.0, timeline))
    mapped = [Mapped("node orch-1", "10.20.0.11:443", "127.0.0.1:20001")]
    about = {
        "farm": "farm-1",
        "spec": "farm.yaml",
        "digest": "0" * 64,
        "vendor": "haproxy",
        "program": "HAProxy 2.6.12",
    }
    return Scorecard(**about, nodes=2, nlbgen="0.1.0", mapped=mapped, results=results, notes=["a note"], unproved=["x"])


@pytest.mark.parametrize("width", [1280, 390], ids=["wide", "narrow"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_scorecard_has_no_accessibility_violation(browser: Browser, page: Path, dark: bool, width: int) -> None:
    browser.open(page, dark=dark, width=width)
    for details in browser.find_all("summary"):
        details.click()
    assert browser.violations() == []


def test_scorecard_loads_nothing_and_logs_nothing(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert [address for address in browser.asked_for() if not address.startswith("file:")] == []
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [390, 320])
def test_scorecard_fits_a_phone(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth")
    # No box of a metric is cut off or scrolls.
    wide = "return [...document.querySelectorAll('.metrics *')].filter(e => e.scrollWidth > e.clientWidth + 3).length"
    assert browser.run(wide) == 0


def test_bar_ends_beyond_its_threshold_where_the_metric_failed(browser: Browser, page: Path) -> None:
    browser.open(page)
    ends = """
        return [...document.querySelectorAll('.metrics li')].filter(e => e.querySelector('.bar')).map(e => [
            e.className, e.querySelector('.fill').getBoundingClientRect().right,
            e.querySelector('.limit').getBoundingClientRect().left + 1, e.querySelector('.threshold').innerText])"""
    bars = browser.run(ends)
    assert {"passed", "failed", "inconclusive"} <= {verdict for verdict, *_ in bars}
    for verdict, end, limit, threshold in bars:
        beyond = end > limit + 1 if threshold.startswith("at most") else end < limit - 1
        assert beyond == (verdict != "passed"), (verdict, end, limit, threshold)


def test_verdicts_have_their_colours(browser: Browser, page: Path) -> None:
    browser.open(page)
    colour = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
    colours = [browser.run(colour, f".metrics .{verdict} .fill") for verdict in ("passed", "failed", "inconclusive")]
    assert len(set(colours)) == 3, colours


def test_scorecard_without_javascript_is_readable(browser: Browser, page: Path) -> None:
    browser.open(page, script=False)
    text = browser.find("body").text
    for word in (
        "not passed",
        "kill",
        "GETs that failed",
        "inconclusive: this machine was busy",
        "at most 0",
        "Not proved here",
    ):
        assert word in text, word
