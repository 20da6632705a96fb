"""The extent of the measurements, and their results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from measure import middle

from .lab import CONTENDERS, Contender
from .measurements import Outcome, Speed, Waited

DIRECT = "direct"
SHOWN = [one for one in CONTENDERS if not one.speed_only]
TITLES = {one.key: one.title for one in CONTENDERS} | {DIRECT: "no balancer"}


@dataclass(frozen=True)
class Size:
    """The extent of a run."""

    repeats: int = 3
    watched: float = 130.0
    """Seconds for which silent WebSockets are watched."""
    held: float = 110.0
    """Seconds for which nodes hold a poll, as SignalR 2 does."""
    rounds: int = 5
    press_seconds: int = 2
    shake_seconds: float = 1.0
    latency_seconds: float = 3.0


FULL = Size()
QUICK = Size(repeats=1, watched=14.0, held=11.0, rounds=3, press_seconds=1, latency_seconds=1.5)


@dataclass
class Figures:
    """All results, by contender."""

    outcomes: dict[str, dict[str, list[Outcome]]] = field(default_factory=dict)
    """Results by incident and contender, one for each repetition."""
    waited: dict[str, Waited] = field(default_factory=dict)
    passed: dict[str, dict[str, str]] = field(default_factory=dict)
    shakes: dict[str, list[Speed]] = field(default_factory=dict)
    presses: dict[str, list[Speed]] = field(default_factory=dict)
    p50: dict[str, list[float]] = field(default_factory=dict)
    """Seconds, at 200 requests a second."""
    p99: dict[str, list[float]] = field(default_factory=dict)

    def lag(self) -> float:
        """The latest start of a request, in seconds after its time."""
        rounds = (outcomes for incident in self.outcomes.values() for outcomes in incident.values())
        return max(outcome.lag for outcomes in rounds for outcome in outcomes)

    def total(self, incident: str) -> int:
        """The number of requests to each contender during an incident."""
        return next(iter(self.outcomes[incident].values()))[0].total

    def busy(self, one: Contender) -> float:
        """The share of one processor that a balancer used under maximum load."""
        return middle([speed.busy for speed in self.presses[one.key]])


def ratio(speeds: Mapping[str, Sequence[Speed]], one: str, other: str) -> float:
    """The rate of one contender divided by the rate of the other."""
    return middle([speed.rate for speed in speeds[one]]) / middle([speed.rate for speed in speeds[other]])
