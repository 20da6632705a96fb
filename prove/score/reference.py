"""The scenarios and their bars for the documentation."""

from typing import Final

from ..scenarios.registry import scenarios
from .formats import number
from .thresholds import BARS, Bar

VENDORS: Final = ("haproxy", "nginx")
"""Those whose program runs here."""


def as_markdown() -> str:
    """One table: scenario, figure, bar."""
    lines = ["| Scenario | Figure | Name for `--bar` | Bar |", "|---|---|---|---|"]
    for scenario in scenarios().values():
        for position, (name, bar) in enumerate(BARS[scenario.name].items()):
            first = f"`{scenario.name}`: {scenario.title}" if position == 0 else ""
            lines.append(f"| {first} | {bar.title} | `{scenario.name}.{name}` | {_limits(bar)} |")
    return "\n".join(lines) + "\n"


def _limits(bar: Bar) -> str:
    limits = {vendor: _limit(bar, bar.limit_of(vendor)) for vendor in VENDORS}
    if len(set(limits.values())) == 1:
        return limits[VENDORS[0]]
    return ", ".join(f"{vendor}: {limit}" for vendor, limit in limits.items())


def _limit(bar: Bar, limit: float | None) -> str:
    if limit is None:
        return "shown alone"
    unit = bar.unit if bar.unit in {"", "%"} else f" {bar.unit}"
    return f"{bar.sense} {number(limit)}{unit}"
