"""The live view on a terminal: nodes and their states, requests per second, open WebSockets, the last events."""

from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Final

from .clients.load import Load
from .lab.bench import TestBench
from .scenarios.base import Scenario

if TYPE_CHECKING:
    from rich.console import RenderableType

RECENT: Final = 6
"""The number of events shown."""
WINDOW_SECONDS: Final = 1.0
"""The time over which rates are measured."""


class Meter:
    """Responses per second by node, from the counters of the running load."""

    def __init__(self) -> None:
        self._load: Load | None = None
        self._at = 0.0
        self._seen: Counter[str] = Counter()
        self.rates: dict[str, float] = {}
        self.failures = 0
        """Failed requests of the running load."""

    def look(self, load: Load | None) -> None:
        """Read the counters, at most once for each window."""
        now = monotonic()
        if load is not self._load:
            self._load, self._at, self._seen, self.rates, self.failures = load, now, Counter(), {}, 0
        if load is None:
            return
        self.failures = load.failed
        if now - self._at >= WINDOW_SECONDS:
            answers = Counter(load.answers)
            self.rates = {name: (count - self._seen[name]) / (now - self._at) for name, count in answers.items()}
            self._at, self._seen = now, answers


class View:
    """The content of the terminal; `rich` renders it several times per second."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._number = 0
        self._bench: TestBench | None = None
        self._scenario: Scenario | None = None
        self._meter = Meter()

    def watch(self, bench: TestBench, scenario: Scenario | None) -> None:
        """Show another scenario; the run calls this before each one."""
        self._bench, self._scenario = bench, scenario
        self._number += scenario is not None

    def __rich__(self) -> "RenderableType":
        """Return the current state."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        if self._bench is None:
            return Text("the lab is starting")
        bench = self._bench.inner or self._bench
        self._meter.look(bench.current)
        table = Table(box=None, pad_edge=False)
        for title in ("node", "state", "in the spec", "requests/s"):
            table.add_column(title, justify="right" if title == "requests/s" else "left")
        specified = {node.name: f"{node.state}, weight {node.weight}" for node in bench.farm.nodes}
        for node in bench.nodes:
            colour = "green" if node.condition == "up" else "red"
            rate = self._meter.rates.get(node.name)
            table.add_row(
                Text(node.name),
                Text(node.condition, style=colour),
                Text(specified[node.name], style="dim"),
                Text(f"{rate:.0f}" if rate is not None else ""),
            )
        name = self._scenario.name if self._scenario else "done"
        head = f"{bench.lab.generator.title}  {self._number} of {self._total}: {name}"
        sockets = sum(holder.alive for holder in bench.sockets_held)
        metrics = f"{sum(self._meter.rates.values()):.0f} requests/s, {self._meter.failures} failed, "
        metrics += f"{sockets} WebSockets open"
        events = (f"{at:7.1f} s  {what}" for at, what in bench.timeline.entries[-RECENT:])
        return Group(Text(head, style="bold"), table, Text(metrics), Text("\n".join(events), style="dim"))
