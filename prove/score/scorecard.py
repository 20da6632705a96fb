"""The scorecard: the scenarios that ran, their metrics against the thresholds, and what the run does not prove."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from ..lab.mapping import Mapped
from ..scenarios.base import Metric, Scenario
from .limits import Limits
from .thresholds import THRESHOLDS, Threshold

FORMAT: Final = 1
"""The version of the JSON shape; an incompatible change increases it."""

Verdict = Literal["passed", "failed", "inconclusive", "shown"]
State = Literal["passed", "failed", "inconclusive", "broken", "skipped"]

_JSON_VERDICTS: Final[Mapping[Verdict, str]] = {
    "passed": "held",
    "failed": "missed",
    "inconclusive": "inconclusive",
    "shown": "shown",
}
_JSON_STATES: Final[Mapping[State, str]] = {
    "passed": "passed",
    "failed": "missed",
    "inconclusive": "inconclusive",
    "broken": "broken",
    "skipped": "not played",
}
"""The values that format 1 of the JSON shape has for verdicts and states."""


class Scored(NamedTuple):
    """A metric and its threshold; `metric` is None where the scenario ended before it was measured."""

    name: str
    threshold: Threshold
    limit: float | None
    metric: Metric | None

    @property
    def verdict(self) -> Verdict:
        """The result of the comparison; a metric that was not measured fails."""
        if self.limit is None or (self.metric is not None and not self.metric.enforced):
            return "shown"
        if self.metric is None:
            return "failed"
        value = self.metric.value
        within = value <= self.limit if self.threshold.sense == "at most" else value >= self.limit
        if within:
            return "passed"
        return "inconclusive" if self.metric.doubt else "failed"

    @property
    def note(self) -> str:
        """What a reader needs to interpret the value."""
        if self.metric is None:
            return "not measured"
        doubt = self.metric.doubt if self.verdict == "inconclusive" else ""
        return "; ".join(filter(None, (self.metric.note, doubt)))

    def data(self) -> dict[str, object]:
        """Return the data for JSON."""
        metric = self.metric
        return {
            "name": self.name,
            "title": self.threshold.title,
            "unit": self.threshold.unit or None,
            "value": metric.value if metric and metric.measured else None,
            "of": metric.of if metric else None,
            "window_seconds": metric.window if metric else None,
            "note": self.note or None,
            "sense": self.threshold.sense,
            "limit": self.limit,
            "verdict": _JSON_VERDICTS[self.verdict],
        }


def score(scenario: str, metrics: Sequence[Metric], limits: Limits) -> list[Scored]:
    """Compare the metrics of one scenario with its thresholds, in the order of the table."""
    found = {metric.name: metric for metric in metrics}
    thresholds = THRESHOLDS[scenario]
    unknown = found.keys() - thresholds.keys()
    assert not unknown, f"{scenario}: {unknown} are not in THRESHOLDS"  # noqa: S101 - a bug in the scenario
    return [
        Scored(name, threshold, limits[f"{scenario}.{name}"], found.get(name)) for name, threshold in thresholds.items()
    ]


@dataclass
class ScenarioResult:
    """The result of one scenario."""

    scenario: Scenario
    state: State
    reason: str = ""
    """Why the scenario was skipped, or what broke it."""
    metrics: list[Scored] = field(default_factory=list)
    seconds: float = 0.0
    events: list[tuple[float, str]] = field(default_factory=list)
    """The timeline: seconds since the scenario began, and the event."""

    @property
    def doubtful_metrics(self) -> list[Scored]:
        """The metrics beyond their thresholds that say nothing about the balancer."""
        return [metric for metric in self.metrics if metric.verdict == "inconclusive"]

    @property
    def failed_metrics(self) -> list[Scored]:
        """The metrics beyond their thresholds."""
        return [metric for metric in self.metrics if metric.verdict == "failed"]

    def data(self) -> dict[str, object]:
        """Return the data for JSON."""
        return {
            "name": self.scenario.name,
            "title": self.scenario.title,
            "why": self.scenario.why,
            "state": _JSON_STATES[self.state],
            "reason": self.reason or None,
            "seconds": round(self.seconds, 1),
            "figures": [metric.data() for metric in self.metrics],
            "events": [{"at": round(at, 2), "what": what} for at, what in self.events],
        }


@dataclass
class Scorecard:
    """The results of one `nlbgen prove`."""

    farm: str
    spec: str
    digest: str
    vendor: str
    program: str
    """The program that ran, with its version: `HAProxy 2.6.12`."""
    nodes: int
    nlbgen: str
    mapped: Sequence[Mapped] = ()
    results: list[ScenarioResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a reader needs to interpret the metrics."""
    unproved: Sequence[str] = ()
    """What this run does not prove."""
    shows_mapping: bool = field(default=False, init=False)
    """Whether the text lists `mapped`: for a configuration that nlbgen did not write."""

    @property
    def passed(self) -> bool:
        """Whether no scenario failed, broke, or was inconclusive."""
        return not any(one.state in {"failed", "broken", "inconclusive"} for one in self.results)

    def inconclusive(self) -> Iterator[str]:
        """Yield the metrics whose failure says nothing about the balancer."""
        for one in self.results:
            yield from (f"{one.scenario.name}.{scored.name}" for scored in one.doubtful_metrics)

    def failed(self) -> Iterator[str]:
        """Yield the failed metrics (`kill.failed_gets`) and the names of broken scenarios."""
        for one in self.results:
            if one.state == "broken":
                yield one.scenario.name
            yield from (f"{one.scenario.name}.{scored.name}" for scored in one.failed_metrics if one.state == "failed")

    def counts(self) -> Mapping[State, int]:
        """Return the number of scenarios in each state."""
        states: tuple[State, ...] = ("passed", "failed", "inconclusive", "broken", "skipped")
        return {state: sum(one.state == state for one in self.results) for state in states}

    def data(self) -> dict[str, object]:
        """Return the data for JSON, in the shape that docs/commands/prove.md describes."""
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
            "missed": list(self.failed()),
            "mapping": [row._asdict() for row in self.mapped],
            "notes": list(self.notes),
            "not_proved": list(self.unproved),
            "scenarios": [one.data() for one in self.results],
        }
