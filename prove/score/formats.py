"""The scorecard as text, JSON, JUnit XML and one HTML page."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ...core import templating
from .scorecard import Played, Scorecard, Scored

WORDS: Final = {"passed": "passed", "missed": "MISSED", "broken": "BROKEN", "not played": "not played"}


def text(card: Scorecard) -> str:
    """For people and terminals."""
    return "".join(f"{line}\n" for line in _lines(card))


def _lines(card: Scorecard) -> Iterator[str]:
    yield f"{card.farm} on {card.program}, {card.nodes} node{'s' if card.nodes > 1 else ''}"
    for played in card.played:
        yield ""
        yield from _scenario(played)
    for title, items in (("What to know", card.notes), ("Not proved here", card.unproved)):
        if items:
            yield ""
            yield f"{title}:"
            yield from (f"  - {item}" for item in items)
    yield ""
    yield summary(card)


def _scenario(played: Played) -> Iterator[str]:
    scenario = played.scenario
    if played.state == "not played":
        yield f"{scenario.name}: not played: {played.reason}"
        return
    yield f"{scenario.name}: {WORDS[played.state]} in {played.seconds:.0f} s: {scenario.title}"
    if played.reason:
        yield f"  ! {played.reason}"
    for scored in played.figures:
        mark = {"held": "  ", "missed": "! ", "shown": "  "}[scored.verdict]
        yield f"  {mark}{value_text(scored):<24} {bar_text(scored):<18} {scored.bar.title}"
        note = scored.figure.note if scored.figure else ""
        if note:
            yield f"  {'':<46}({note})"


def value_text(scored: Scored) -> str:
    """`3 of 2800 in 0.38 s`, with the unit."""
    figure = scored.figure
    if figure is None:
        return "did not come out"
    parts = [number(figure.value) + (f" {scored.bar.unit}" if scored.bar.unit not in {"", "%"} else scored.bar.unit)]
    if figure.of is not None and not scored.bar.unit:
        parts.append(f"of {figure.of}")
    if figure.window is not None:
        parts.append(f"in {number(figure.window)} s")
    return " ".join(parts)


def bar_text(scored: Scored) -> str:
    """`at most 3`, or that nothing is asked."""
    return (
        "(no bar)"
        if scored.limit is None or scored.verdict == "shown"
        else f"{scored.bar.sense} {number(scored.limit)}"
    )


def number(value: float) -> str:
    """A number without what it does not need: 3, 0.38."""
    return f"{value:.3f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


def summary(card: Scorecard) -> str:
    """One line that says how it went."""
    counts = card.counts()
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    return f"{'passed' if card.passed else 'not passed'}: {', '.join(parts) or 'nothing was played'}"


def as_json(card: Scorecard) -> str:
    """For programs; docs/commands/prove.md describes the shape."""
    return json.dumps(card.data(), indent=2, ensure_ascii=False) + "\n"


def junit(card: Scorecard) -> str:
    """For CI systems: each scenario a suite, each figure a test case. Valid by the schema that Jenkins checks with."""
    from lxml import etree

    made = [(played, list(_cases(card, played))) for played in card.played]
    cases = [case for _, own in made for case in own]
    root = etree.Element("testsuites", {"name": _xml(f"nlbgen prove {card.vendor}"), **_totals(cases)})
    for played, own in made:
        about = {
            "name": f"{card.vendor}.{played.scenario.name}",
            "time": f"{played.seconds:.3f}",
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


def _cases(card: Scorecard, played: Played) -> Iterator[dict[str, str]]:
    name = played.scenario.name
    usual = {"classname": f"nlbgen.prove.{card.vendor}.{name}", "time": "0.000", "out": ""}
    if played.state == "not played":
        yield {**usual, "name": name, "kind": "skipped", "message": played.reason}
        return
    events = "\n".join(f"{at:8.2f} s  {what}" for at, what in played.diary)
    broken = "error" if played.state == "broken" else ""
    yield {
        **usual,
        "name": f"{name} was played",
        "kind": broken,
        "message": played.reason,
        "time": f"{played.seconds:.3f}",
        "out": events,
    }
    for scored in played.figures:
        kind = "failure" if scored.verdict == "missed" and not broken else ""
        said = f"{scored.bar.title}: {value_text(scored)}, {bar_text(scored)}"
        note = scored.figure.note if scored.figure else ""
        yield {**usual, "name": scored.name, "kind": kind, "message": said, "out": f"{said}\n{note}".rstrip()}


def _xml(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(char if char in "\t\n" or char.isprintable() else "?" for char in text)


def html(card: Scorecard) -> str:
    """One page that needs nothing else."""
    return templating.render("prove/scorecard.html.j2", _view(card)).decode("utf-8")


def _view(card: Scorecard) -> Mapping[str, Any]:
    return {
        "title": _html(f"{card.farm} on {card.program}"),
        "summary": _html(summary(card)),
        "passed": "passed" if card.passed else "missed",
        "facts": [
            {"name": name, "value": _html(value)}
            for name, value in (
                ("Spec", f"{card.spec}, digest {card.digest[:16]}"),
                ("Nodes", str(card.nodes)),
                ("Made by", f"nlbgen {card.nlbgen}"),
            )
        ],
        "scenarios": [_scenario_view(played) for played in card.played],
        "notes": [_html(note) for note in card.notes],
        "unproved": [_html(item) for item in card.unproved],
        "mapping": [{key: _html(value) for key, value in row._asdict().items()} for row in card.mapped],
    }


def _scenario_view(played: Played) -> Mapping[str, Any]:
    return {
        "name": _html(played.scenario.name),
        "title": _html(played.scenario.title),
        "why": _html(played.scenario.why),
        "word": played.state,
        "kind": played.state.replace(" ", "-"),
        "reason": _html(played.reason),
        "seconds": f"{played.seconds:.0f} s" if played.seconds else "",
        "figures": [
            {
                "title": _html(scored.bar.title),
                "value": _html(value_text(scored)),
                "bar": _html(bar_text(scored)),
                "verdict": scored.verdict,
                "note": _html(scored.figure.note if scored.figure else ""),
            }
            for scored in played.figures
        ],
        "events": [{"at": f"{at:.2f} s", "what": _html(what)} for at, what in played.diary],
    }


def _html(text: str) -> str:
    """Text that HTML shows as it is, on one line."""
    from html import escape

    return escape(_xml(" ".join(text.split())))


STYLES: Final[dict[str, Callable[[Scorecard], str]]] = {"text": text, "json": as_json, "junit": junit, "html": html}
