"""One scorecard for two configurations: that of a user, and beside it what nlbgen renders, with the same thresholds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from ...core import templating
from ...core.wording import json_text
from .formats import (
    MARKS,
    WORDS,
    escaped,
    junit_of,
    lists,
    mapped_text,
    nodes_of,
    outcome,
    result_view,
    scenario_view,
    summary,
    threshold_text,
    value_text,
    view,
)
from .scorecard import ScenarioResult, Scorecard, Scored

NLBGEN: Final = "nlbgen"
"""The name of the second column."""
WIDTH: Final = 26
"""The width of a value in the text, at least."""


class Beside(NamedTuple):
    """The scorecards of the user's configuration and of nlbgen's, with the same scenarios in the same order."""

    own: Scorecard
    rendered: Scorecard

    @property
    def cards(self) -> dict[str, Scorecard]:
        """Both by the names of their columns."""
        return {self.own.farm: self.own, NLBGEN: self.rendered}

    @property
    def pairs(self) -> Iterator[tuple[ScenarioResult, ScenarioResult]]:
        """The two results of each scenario."""
        return zip(self.own.results, self.rendered.results, strict=True)


def _scored(pair: tuple[ScenarioResult, ScenarioResult]) -> list[tuple[Scored | None, ...]]:
    """The two values of each metric; None where the scenario did not run."""
    found = [{one.name: one for one in result.metrics} for result in pair]
    return [tuple(of.get(name) for of in found) for name in found[0] | found[1]]


def _limiting(cells: tuple[Scored | None, ...]) -> Scored:
    """The value whose threshold is shown: one that has a limit, if there is one."""
    known = [one for one in cells if one is not None]
    return next((one for one in known if one.verdict != "shown"), known[0])


def text(both: Beside) -> str:
    """Return the scorecard as plain text."""
    return "".join(f"{line.rstrip()}\n" for line in _lines(both))


def _lines(both: Beside) -> Iterator[str]:
    yield f"{both.own.farm} beside {NLBGEN} on {both.own.program}"
    yield from (f"  {label}: {nodes_of(card)}" for label, card in both.cards.items())
    labels = tuple(both.cards)
    width = max(WIDTH, *(len(label) + 2 for label in labels))
    for pair in both.pairs:
        yield ""
        yield from _scenario(pair, labels, width)
    yield from lists(mapped_text(both.own), _notes(both), _unproved(both))
    yield ""
    yield from (f"{label}: {summary(card)}" for label, card in both.cards.items())


def _labelled(notes: Mapping[str, Iterable[str]]) -> list[str]:
    """The notes of both columns: with the name of their column, except those that both have."""
    common = set.intersection(*(set(of) for of in notes.values()))
    texts = (note if note in common else f"{label}: {note}" for label, of in notes.items() for note in of)
    return list(dict.fromkeys(texts))


def _notes(both: Beside) -> list[str]:
    return _labelled({label: card.notes for label, card in both.cards.items()})


def _unproved(both: Beside) -> list[str]:
    return list(dict.fromkeys((*both.own.unproved, *both.rendered.unproved)))


def _scenario(pair: tuple[ScenarioResult, ScenarioResult], labels: tuple[str, ...], width: int) -> Iterator[str]:
    yield f"{pair[0].scenario.name}: {pair[0].scenario.title}"
    yield "  " + "".join(f"{f'  {label}':<{width}}" for label in labels)
    states = [f"{WORDS[one.state]} in {one.seconds:.0f} s" if one.seconds else WORDS[one.state] for one in pair]
    yield "  " + "".join(f"{f'  {state}':<{width}}" for state in states)
    yield from (f"    ({label}: {one.reason})" for label, one in zip(labels, pair, strict=True) if one.reason)
    for cells in _scored(pair):
        shown = "".join(f"{_cell(one):<{width}}" for one in cells)
        limiting = _limiting(cells)
        yield f"  {shown}{threshold_text(limiting):<18} {limiting.threshold.title}"
        notes = [[one.note] if one and one.metric and one.note else [] for one in cells]
        yield from (f"    ({note})" for note in _labelled(dict(zip(labels, notes, strict=True))))


def _cell(scored: Scored | None) -> str:
    return "  -" if scored is None else f"{MARKS.get(scored.verdict, '  ')}{value_text(scored)} "


def as_json(both: Beside) -> str:
    """Return the scorecard of the user's configuration, with that of nlbgen's under `beside`."""
    return json_text({**both.own.data(), "beside": both.rendered.data()}) + "\n"


def junit(both: Beside) -> str:
    """Return JUnit XML: the suites of the user's configuration, then those of nlbgen's, whose names begin with it."""
    vendor = both.own.vendor
    return junit_of(vendor, {vendor: both.own, f"{NLBGEN}.{vendor}": both.rendered})


def html(both: Beside) -> str:
    """Return one HTML page without external resources."""
    return templating.render("prove/scorecard.html.j2", _view(both)).decode("utf-8")


def _view(both: Beside) -> Mapping[str, object]:
    return {
        **view(both.own),
        "outcomes": [
            {"state": outcome(card), "text": escaped(f"{label}: {summary(card)}")} for label, card in both.cards.items()
        ],
        "legend": "",
        "scenarios": [_scenario_view(pair, tuple(both.cards)) for pair in both.pairs],
        "notes": [escaped(note) for note in _notes(both)],
        "unproved": [escaped(item) for item in _unproved(both)],
    }


def _scenario_view(pair: tuple[ScenarioResult, ScenarioResult], labels: tuple[str, ...]) -> Mapping[str, object]:
    results = [result_view(one, label) for one, label in zip(pair, labels, strict=True)]
    rows = [
        {
            "title": escaped(_limiting(cells).threshold.title),
            "threshold": escaped(threshold_text(_limiting(cells))),
            "cells": [_cell_view(one) for one in cells],
        }
        for cells in _scored(pair)
    ]
    return {**scenario_view(pair[0]), "results": results, "rows": rows, "metrics": []}


def _cell_view(scored: Scored | None) -> Mapping[str, str]:
    if scored is None:
        return {"value": "-", "verdict": "shown", "note": ""}
    note = escaped(scored.note if scored.metric else "")
    return {"value": escaped(value_text(scored)), "verdict": scored.verdict, "note": note}


STYLES: Final[dict[str, Callable[[Beside], str]]] = {"text": text, "json": as_json, "junit": junit, "html": html}
