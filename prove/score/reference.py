"""The table of scenarios and thresholds for the documentation."""

from ...generators.base import hosted_generators
from ..scenarios.registry import scenarios
from .formats import number
from .thresholds import THRESHOLDS, Threshold


def as_markdown() -> str:
    """Return one table: scenario, metric, threshold."""
    lines = ["| Scenario | Metric | Name for `--threshold` | Threshold |", "|---|---|---|---|"]
    for scenario in scenarios().values():
        for position, (name, threshold) in enumerate(THRESHOLDS[scenario.name].items()):
            first = f"`{scenario.name}`: {scenario.title}" if position == 0 else ""
            lines.append(f"| {first} | {threshold.title} | `{scenario.name}.{name}` | {_limits(threshold)} |")
    return "\n".join(lines) + "\n"


def _limits(threshold: Threshold) -> str:
    vendors = [vendor.name for vendor in hosted_generators()]
    limits = {vendor: _limit(threshold, threshold.limit_of(vendor)) for vendor in vendors}
    if len(set(limits.values())) == 1:
        return limits[vendors[0]]
    return ", ".join(f"{vendor}: {limit}" for vendor, limit in limits.items())


def _limit(threshold: Threshold, limit: float | None) -> str:
    if limit is None:
        return "only shown"
    unit = threshold.unit if threshold.unit in {"", "%"} else f" {threshold.unit}"
    return f"{threshold.sense} {number(limit)}{unit}"
