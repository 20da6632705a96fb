"""The scorecard in a real browser: it loads nothing, says nothing on the console, and is readable by everybody."""

import pytest

from nlbgen.prove.lab.mapping import Mapped
from nlbgen.prove.scenarios.base import metric
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.prove.score import formats, limits
from nlbgen.prove.score.scorecard import ScenarioResult, Scorecard, score
from nlbgen.prove.score.thresholds import THRESHOLDS

pytestmark = [pytest.mark.chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("scorecards") / "prove.html"
    path.write_text(formats.html(card()), encoding="utf-8")
    return path


def card() -> Scorecard:
    """Every scenario, in every state."""
    states = ("passed", "failed", "broken", "skipped")
    played = []
    for number, (name, scenario) in enumerate(scenarios().items()):
        state = states[number % len(states)]
        value = 9999 if state == "failed" else 0
        metrics = [metric(one, value, of=2800, window=0.38, note="a note") for one in THRESHOLDS[name]]
        scored = score(name, metrics, limits.defaults("haproxy"))
        timeline = [(4.0, "orch-1 is killed"), (10.0, "orch-1 starts again")]
        played.append(ScenarioResult(scenario, state, "a reason" if number % 4 > 1 else "", scored, 14.0, timeline))
    mapped = [Mapped("node orch-1", "10.20.0.11:443", "127.0.0.1:20001")]
    about = {
        "farm": "farm-1",
        "spec": "farm.yaml",
        "digest": "0" * 64,
        "vendor": "haproxy",
        "program": "HAProxy 2.6.12",
    }
    return Scorecard(**about, nodes=2, nlbgen="0.1.0", mapped=mapped, results=played, notes=["a note"], unproved=["x"])


@pytest.mark.parametrize("width", [1280, 360], ids=["wide", "narrow"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(browser, page, dark, width):
    browser.open(page, dark=dark, width=width)
    for details in browser.find_all("summary"):
        details.click()
    assert browser.violations() == []


def test_nothing_is_loaded_and_nothing_is_said(browser, page):
    browser.open(page)
    assert [address for address in browser.asked_for() if not address.startswith("file:")] == []
    assert browser.complaints() == []


def test_the_page_is_not_wider_than_the_screen(browser, page):
    browser.open(page, width=360)
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth")


def test_it_reads_without_scripts(browser, page):
    browser.open(page, script=False)
    text = browser.find("body").text
    for word in ("not passed", "kill", "GETs that failed", "at most 0", "Not proved here"):
        assert word in text, word
