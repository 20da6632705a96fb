"""The live view on a terminal: nodes and their states, requests per second, open WebSockets, what happens now."""

from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Final

from .clients.load import Load
from .lab.bench import Stage
from .scenarios.base import Scenario

if TYPE_CHECKING:
    from rich.console import RenderableType

RECENT: Final = 6
"""How many events are shown."""
WINDOW_SECONDS: Final = 1.0
"""Rates are taken over this time."""


class Meter:
    """Answers a second by node, from the counters of whatever load runs."""

    def __init__(self) -> None:
        self._load: Load | None = None
        self._at = 0.0
        self._seen: Counter[str] = Counter()
        self._failed = 0
        self.rates: dict[str, float] = {}
        self.failures = 0
        """Failed requests of the load that runs."""

    def look(self, load: Load | None) -> None:
        """Take a new reading, at most one for each window."""
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
    """What the terminal shows; `rich` asks it again and again."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._number = 0
        self._stage: Stage | None = None
        self._scenario: Scenario | None = None
        self._meter = Meter()

    def watch(self, stage: Stage, scenario: Scenario | None) -> None:
        """Told by the run before each scenario."""
        self._stage, self._scenario = stage, scenario
        self._number += scenario is not None

    def __rich__(self) -> "RenderableType":
        """The picture of this moment."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        if self._stage is None:
            return Text("the laboratory starts")
        stage = self._stage.inner or self._stage
        self._meter.look(stage.current)
        table = Table(box=None, pad_edge=False)
        for title in ("node", "state", "in the spec", "requests/s"):
            table.add_column(title, justify="right" if title == "requests/s" else "left")
        specified = {node.name: f"{node.state}, weight {node.weight}" for node in stage.farm.nodes}
        for node in stage.nodes:
            colour = "green" if node.condition == "up" else "red"
            rate = self._meter.rates.get(node.name)
            table.add_row(
                Text(node.name),
                Text(node.condition, style=colour),
                Text(specified[node.name], style="dim"),
                Text(f"{rate:.0f}" if rate is not None else ""),
            )
        name = self._scenario.name if self._scenario else "done"
        head = f"{stage.lab.generator.title}  {self._number} of {self._total}: {name}"
        sockets = sum(holder.alive for holder in stage.sockets_held)
        figures = f"{sum(self._meter.rates.values()):.0f} requests/s, {self._meter.failures} failed, "
        figures += f"{sockets} WebSockets open"
        events = (f"{at:7.1f} s  {what}" for at, what in stage.diary.entries[-RECENT:])
        return Group(Text(head, style="bold"), table, Text(figures), Text("\n".join(events), style="dim"))
