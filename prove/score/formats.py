"""The scorecard as text, JSON, JUnit XML and one HTML page."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from ...core import templating
from ...core.wording import json_text
from .scorecard import ScenarioResult, Scorecard, Scored, State, Verdict

WORDS: Final[Mapping[State, str]] = {
    "passed": "passed",
    "failed": "FAILED",
    "inconclusive": "inconclusive",
    "broken": "BROKEN",
    "skipped": "skipped",
}
KINDS: Final[Mapping[Verdict, str]] = {"failed": "failure", "inconclusive": "skipped"}
"""The elements of JUnit."""
STYLE_SHEETS: Final = ("report/report.css.j2", "prove/scorecard.css.j2")
"""The scorecard looks like the report."""
MARKS: Final[Mapping[Verdict, str]] = {"failed": "! ", "inconclusive": "? "}


def text(card: Scorecard) -> str:
    """Return the scorecard as plain text."""
    return "".join(f"{line}\n" for line in _lines(card))


def _lines(card: Scorecard) -> Iterator[str]:
    yield f"{card.farm} on {card.program}, {nodes_of(card)}"
    for result in card.results:
        yield ""
        yield from _scenario(result)
    yield from lists(mapped_text(card), card.notes, card.unproved)
    yield ""
    yield summary(card)


def nodes_of(card: Scorecard) -> str:
    """Return the number of nodes as text: `2 nodes`."""
    return f"{card.nodes} node{'s' if card.nodes > 1 else ''}"


def mapped_text(card: Scorecard) -> list[str]:
    """Return the differences in the lab, for a configuration that nlbgen did not write."""
    return [f"{row.what}: {row.live} -> {row.here}" for row in card.mapped] if card.shows_mapping else []


def lists(mapped: Sequence[str], notes: Sequence[str], unproved: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the lists at the end."""
    for title, items in (("Mapped to this machine", mapped), ("Notes", notes), ("Not proved here", unproved)):
        if items:
            yield ""
            yield f"{title}:"
            yield from (f"  - {item}" for item in items)


def _scenario(result: ScenarioResult) -> Iterator[str]:
    scenario = result.scenario
    if result.state == "skipped":
        yield f"{scenario.name}: skipped: {result.reason}"
        return
    yield f"{scenario.name}: {WORDS[result.state]} in {result.seconds:.0f} s: {scenario.title}"
    if result.reason:
        yield f"  ! {result.reason}"
    for scored in result.metrics:
        mark = MARKS.get(scored.verdict, "  ")
        yield f"  {mark}{value_text(scored):<24} {threshold_text(scored):<18} {scored.threshold.title}"
        if scored.metric and scored.note:
            yield f"  {'':<46}({scored.note})"


def value_text(scored: Scored) -> str:
    """Return a value with its unit: `3 of 2800 in 0.38 s`."""
    metric = scored.metric
    if metric is None or not metric.measured:
        return "not measured"
    parts = [
        number(metric.value)
        + (f" {scored.threshold.unit}" if scored.threshold.unit not in {"", "%"} else scored.threshold.unit)
    ]
    if metric.of is not None and not scored.threshold.unit:
        parts.append(f"of {metric.of}")
    if metric.window is not None:
        parts.append(f"in {number(metric.window)} s")
    return " ".join(parts)


def threshold_text(scored: Scored) -> str:
    """Return the limit as text: `at most 3`."""
    return (
        "(no limit)"
        if scored.limit is None or scored.verdict == "shown"
        else f"{scored.threshold.sense} {number(scored.limit)}"
    )


def number(value: float) -> str:
    """Return a number without trailing zeros: 3, 0.38."""
    return f"{value:.3f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


def summary(card: Scorecard) -> str:
    """Return the outcome in one line."""
    counts = card.counts()
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    return f"{'passed' if card.passed else 'not passed'}: {', '.join(parts) or 'no scenario ran'}"


def as_json(card: Scorecard) -> str:
    """Return the scorecard as JSON; docs/commands/prove.md describes the shape."""
    return json_text(card.data()) + "\n"


def junit(card: Scorecard) -> str:
    """Return JUnit XML: one suite for each scenario, one test case for each metric; valid by the schema of Jenkins."""
    return junit_of(card.vendor, {card.vendor: card})


def junit_of(vendor: str, cards: Mapping[str, Scorecard]) -> str:
    """Return JUnit XML of scorecards by the beginning of the names of their suites."""
    from lxml import etree

    made = [(of, result, list(_cases(of, result))) for of, card in cards.items() for result in card.results]
    cases = [case for *_, own in made for case in own]
    root = etree.Element("testsuites", {"name": _xml(f"nlbgen prove {vendor}"), **_totals(cases)})
    for of, result, own in made:
        about = {
            "name": f"{of}.{result.scenario.name}",
            "time": f"{result.seconds:.3f}",
            "skipped": str(sum(case["kind"] == "skipped" for case in own)),
        }
        suite = etree.SubElement(root, "testsuite", {**about, **_totals(own)})
        for case in own:
            at = etree.SubElement(suite, "testcase", {key: case[key] for key in ("name", "classname", "time")})
            if case["kind"]:
                etree.SubElement(at, case["kind"], {"message": _xml(case["message"]), "type": case["kind"]})
            if case["out"]:
                etree.SubElement(at, "system-out").text = _xml(case["out"])
    return str(etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True), "utf-8")


def _totals(cases: list[dict[str, str]]) -> dict[str, str]:
    kinds = [case["kind"] for case in cases]
    return {"tests": str(len(cases)), "failures": str(kinds.count("failure")), "errors": str(kinds.count("error"))}


def _cases(of: str, result: ScenarioResult) -> Iterator[dict[str, str]]:
    name = result.scenario.name
    usual = {"classname": f"nlbgen.prove.{of}.{name}", "time": "0.000", "out": ""}
    if result.state == "skipped":
        yield {**usual, "name": name, "kind": "skipped", "message": result.reason}
        return
    events = "\n".join(f"{at:8.2f} s  {what}" for at, what in result.events)
    broken = "error" if result.state == "broken" else ""
    yield {
        **usual,
        "name": f"{name} ran",
        "kind": broken,
        "message": result.reason,
        "time": f"{result.seconds:.3f}",
        "out": events,
    }
    for scored in result.metrics:
        kind = "" if broken else KINDS.get(scored.verdict, "")
        message = f"{scored.threshold.title}: {value_text(scored)}, {threshold_text(scored)}"
        note = scored.note if scored.metric else ""
        yield {**usual, "name": scored.name, "kind": kind, "message": message, "out": f"{message}\n{note}".rstrip()}


def _xml(text: str) -> str:
    """Replace the characters that XML does not allow."""
    return "".join(char if char in "\t\n" or char.isprintable() else "?" for char in text)


def html(card: Scorecard) -> str:
    """Return one HTML page without external resources."""
    return templating.render("prove/scorecard.html.j2", view(card)).decode("utf-8")


def view(card: Scorecard) -> dict[str, object]:
    """Return the view of the page."""
    return {
        "style": [line for sheet in STYLE_SHEETS for line in templating.render(sheet, {}).decode("utf-8").splitlines()],
        "farm": escaped(card.farm),
        "program": escaped(f"{card.program}, {nodes_of(card)}"),
        "outcomes": [{"state": outcome(card), "text": escaped(summary(card))}],
        "legend": "The bar of a metric is its value, and the mark on it is the threshold.",
        "facts": [
            {"name": name, "value": escaped(value)}
            for name, value in (
                ("Spec", f"{card.spec}, digest {card.digest[:16]}"),
                ("Scenarios", str(len(card.results))),
                ("Made by", f"nlbgen {card.nlbgen}"),
            )
        ],
        "scenarios": [scenario_view(result) for result in card.results],
        "notes": [escaped(note) for note in card.notes],
        "unproved": [escaped(item) for item in card.unproved],
        "mapping": [{key: escaped(value) for key, value in row._asdict().items()} for row in card.mapped],
    }


def outcome(card: Scorecard) -> State:
    """Return the state of the whole run: inconclusive if nothing failed and something was in doubt."""
    if card.passed:
        return "passed"
    return "failed" if list(card.failed()) else "inconclusive"


def scenario_view(result: ScenarioResult) -> dict[str, object]:
    """Return the view of one scenario."""
    return {
        "name": escaped(result.scenario.name),
        "title": escaped(result.scenario.title),
        "why": escaped(result.scenario.why),
        "results": [result_view(result)],
        "rows": [],
        "metrics": [
            {
                "title": escaped(scored.threshold.title),
                "value": escaped(value_text(scored)),
                "threshold": escaped(threshold_text(scored)),
                "verdict": scored.verdict,
                "bar": _bar(scored),
                "note": escaped(scored.note if scored.metric else ""),
            }
            for scored in result.metrics
        ],
    }


def result_view(result: ScenarioResult, label: str = "") -> dict[str, object]:
    """Return the view of the outcome of one scenario; `label` is the name of its column."""
    return {
        "label": escaped(label),
        "state": result.state,
        "reason": escaped(result.reason),
        "seconds": f"{result.seconds:.0f} s" if result.seconds else "",
        "events": [{"at": f"{at:.2f} s", "what": escaped(what)} for at, what in result.events],
    }


def _bar(scored: Scored) -> Mapping[str, str] | None:
    """Return the lengths of a metric's bar and the place of its threshold, in percent; None without a threshold.

    The longer of the two takes four fifths of the row, so that a value and a threshold of 0 are at its left end.
    """
    if scored.limit is None or scored.metric is None or scored.verdict == "shown":
        return None
    full = max(scored.limit, scored.metric.value) / 0.8 or 1.0
    return {"value": f"{100 * scored.metric.value / full:.1f}", "limit": f"{100 * scored.limit / full:.1f}"}


def escaped(text: str) -> str:
    """Escape a text and put it on one line."""
    from html import escape

    return escape(_xml(" ".join(text.split())))


STYLES: Final[dict[str, Callable[[Scorecard], str]]] = {"text": text, "json": as_json, "junit": junit, "html": html}
