"""The result of a load: one record for each request, and the metrics of all records."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

OK = "ok"
SLOW_SECONDS = 1.0


@dataclass(slots=True)
class Record:
    """One request. Times are seconds since the start of the run.

    `latency` counts from the *scheduled* moment, so that a delayed generator or connection does not hide the time
    that a user would have waited (coordinated omission). `outcome` is `ok` (200 to 399), `http 503`, or the kind of
    error: timeout, refused, reset, closed, tls, bad-response, connect.
    """

    scheduled: float
    method: str
    id: str
    client: int
    sent: float = 0.0
    latency: float = 0.0
    outcome: str = ""
    status: int = 0
    node: str = ""

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return self.outcome == OK


@dataclass
class LoadResult:
    """The records of one run, in the order of the schedule."""

    records: list[Record]
    rate: float
    seconds: float
    elapsed: float = 0.0
    event_times: list[float] = field(default_factory=list)
    """When each event's action had ended, seconds since the start."""

    @property
    def total(self) -> int:
        """The number of scheduled requests (each was sent or counts as failed)."""
        return len(self.records)

    @property
    def posts(self) -> int:
        """The number of POSTs."""
        return sum(1 for record in self.records if record.method == "POST")

    @property
    def failures(self) -> list[Record]:
        """The records of failed requests."""
        return [record for record in self.records if not record.ok]

    @property
    def failed(self) -> int:
        """The number of failed requests."""
        return sum(1 for record in self.records if not record.ok)

    @property
    def outcomes(self) -> dict[str, int]:
        """Counts by outcome: {"ok": 2798, "http 503": 2}."""
        return dict(Counter(record.outcome for record in self.records).most_common())

    @property
    def failed_by_method(self) -> dict[str, int]:
        """Failures by method: {"POST": 2}."""
        return dict(Counter(record.method for record in self.failures))

    @property
    def nodes(self) -> dict[str, int]:
        """Responses by node, from the header X-Node."""
        return dict(Counter(record.node for record in self.records if record.node))

    @property
    def failure_window(self) -> tuple[float, float] | None:
        """The scheduled times of the first and the last failure, or None."""
        times = [record.scheduled for record in self.failures]
        return (min(times), max(times)) if times else None

    @property
    def window_seconds(self) -> float:
        """The length of the failure window in seconds; 0 without failures."""
        window = self.failure_window
        return window[1] - window[0] if window else 0.0

    def percentile(self, share: float, *, answered: bool = False) -> float:
        """Return the latency in seconds within which `share` (0 to 1) of the requests ended, failures included.

        With `answered`, only requests that succeeded count.
        """
        times = sorted(record.latency for record in self.records if record.ok or not answered)
        return times[min(int(share * len(times)), len(times) - 1)] if times else 0.0

    @property
    def p50(self) -> float:
        """The median latency in seconds."""
        return self.percentile(0.5)

    @property
    def p99(self) -> float:
        """The 99th percentile of the latency in seconds."""
        return self.percentile(0.99)

    def slow(self, over: float = SLOW_SECONDS) -> int:
        """Return how many succeeded but took longer than `over` seconds."""
        return sum(1 for record in self.records if record.ok and record.latency > over)

    @property
    def worst_lag(self) -> float:
        """The largest delay of the generator itself, seconds; a large value distorts the latencies."""
        return max((record.sent - record.scheduled for record in self.records), default=0.0)

    def duplicates(self, *post_logs: Iterable[str]) -> list[str]:
        """Return the ids that were executed more than once, on one node or on several.

        >>> result.duplicates(node_1.posts(), node_2.posts())     # doctest: +SKIP
        """
        return [post for post, count in self._executed(post_logs).items() if count > 1]

    def lost(self, *post_logs: Iterable[str]) -> list[str]:
        """Return the ids of POSTs that were answered with success and that no node executed."""
        executed = self._executed(post_logs)
        return [r.id for r in self.records if r.ok and r.method == "POST" and r.id not in executed]

    def _executed(self, post_logs: Sequence[Iterable[str]]) -> Counter[str]:
        ours = {record.id for record in self.records if record.id}
        return Counter(post for log in post_logs for post in log if post in ours)

    def summary(self) -> dict[str, object]:
        """Return the metrics for JSON; times in milliseconds where the name says so."""
        return {
            "requests": self.total,
            "failed": self.failed,
            "outcomes": self.outcomes,
            "failed_by_method": self.failed_by_method,
            "failure_window": self.failure_window,
            "window_seconds": round(self.window_seconds, 3),
            "slow": self.slow(),
            "p50_ms": round(self.p50 * 1000, 2),
            "p99_ms": round(self.p99 * 1000, 2),
            "worst_lag_ms": round(self.worst_lag * 1000, 2),
            "nodes": self.nodes,
            "elapsed": round(self.elapsed, 3),
        }

    def to_json(self, *, records: bool = False) -> str:
        """Return the summary, and on request every record, as JSON."""
        answer = self.summary()
        if records:
            answer["records"] = [asdict(record) for record in self.records]
        return json.dumps(answer)
