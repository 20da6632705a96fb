"""The scorecard: what was played, what came out, what it is held to, and what was not proved."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from ..lab.mapping import Mapped
from ..scenarios.base import Figure, Scenario
from .limits import Limits
from .thresholds import BARS, Bar

FORMAT: Final = 1
"""The version of the JSON shape; it grows with changes that a reader would stumble over."""

Verdict = Literal["held", "missed", "shown"]
State = Literal["passed", "missed", "broken", "not played"]


class Scored(NamedTuple):
    """A figure beside its bar; `figure` is None where the scenario ended without it."""

    name: str
    bar: Bar
    limit: float | None
    figure: Figure | None

    @property
    def verdict(self) -> Verdict:
        """Whether the bar is held; a figure that did not come out misses it."""
        if self.limit is None or (self.figure is not None and not self.figure.held):
            return "shown"
        if self.figure is None:
            return "missed"
        value = self.figure.value
        return "held" if (value <= self.limit if self.bar.sense == "at most" else value >= self.limit) else "missed"

    def data(self) -> dict[str, Any]:
        """It as data for JSON."""
        figure = self.figure
        return {
            "name": self.name,
            "title": self.bar.title,
            "unit": self.bar.unit or None,
            "value": figure.value if figure else None,
            "of": figure.of if figure else None,
            "window_seconds": figure.window if figure else None,
            "note": (figure.note if figure else "it did not come out") or None,
            "sense": self.bar.sense,
            "limit": self.limit,
            "verdict": self.verdict,
        }


def score(scenario: str, figures: Sequence[Figure], limits: Limits) -> list[Scored]:
    """Put the figures of one scenario beside the bars, in the order of the table."""
    found = {figure.name: figure for figure in figures}
    bars = BARS[scenario]
    unknown = found.keys() - bars.keys()
    assert not unknown, f"{scenario}: {unknown} are not in BARS"  # noqa: S101 - a fault of the scenario
    return [Scored(name, bar, limits[f"{scenario}.{name}"], found.get(name)) for name, bar in bars.items()]


@dataclass
class Played:
    """How one scenario went."""

    scenario: Scenario
    state: State
    reason: str = ""
    """Why it was not played, or how it broke."""
    figures: list[Scored] = field(default_factory=list)
    seconds: float = 0.0
    diary: list[tuple[float, str]] = field(default_factory=list)
    """What happened: seconds since the scenario began, and words."""

    @property
    def missed(self) -> list[Scored]:
        """The figures whose bars were missed."""
        return [figure for figure in self.figures if figure.verdict == "missed"]

    def data(self) -> dict[str, Any]:
        """It as data for JSON."""
        return {
            "name": self.scenario.name,
            "title": self.scenario.title,
            "why": self.scenario.why,
            "state": self.state,
            "reason": self.reason or None,
            "seconds": round(self.seconds, 1),
            "figures": [figure.data() for figure in self.figures],
            "events": [{"at": round(at, 2), "what": what} for at, what in self.diary],
        }


@dataclass
class Scorecard:
    """One run of `nlbgen prove`."""

    farm: str
    spec: str
    digest: str
    vendor: str
    program: str
    """What ran, with its version: `HAProxy 2.6.12`."""
    nodes: int
    nlbgen: str
    mapped: Sequence[Mapped] = ()
    played: list[Played] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a reader must know to judge the figures."""
    unproved: Sequence[str] = ()
    """What this run says nothing about."""

    @property
    def passed(self) -> bool:
        """Whether every bar was held."""
        return not any(one.state in {"missed", "broken"} for one in self.played)

    def missed(self) -> Iterator[str]:
        """The bars that were missed, and the scenarios that broke: `kill.failed_gets`."""
        for one in self.played:
            if one.state == "broken":
                yield one.scenario.name
            yield from (f"{one.scenario.name}.{figure.name}" for figure in one.missed if one.state == "missed")

    def counts(self) -> Mapping[State, int]:
        """How many scenarios went how."""
        states: tuple[State, ...] = ("passed", "missed", "broken", "not played")
        return {state: sum(one.state == state for one in self.played) for state in states}

    def data(self) -> dict[str, Any]:
        """It as data for JSON: the shape that docs/commands/prove.md promises."""
        return {
            "format": FORMAT,
            "nlbgen": self.nlbgen,
            "farm": self.farm,
            "spec": self.spec,
            "digest": self.digest,
            "vendor": self.vendor,
            "program": self.program,
            "nodes": self.nodes,
            "passed": self.passed,
            "missed": list(self.missed()),
            "mapping": [row._asdict() for row in self.mapped],
            "notes": list(self.notes),
            "not_proved": list(self.unproved),
            "scenarios": [one.data() for one in self.played],
        }
