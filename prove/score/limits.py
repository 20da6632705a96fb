"""The user's own limits: a YAML file that overrides limits of the table in thresholds.py."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ...core.errors import Problem, SpecError, UsageError
from ...spec import document
from ...spec.schema import nearest
from .thresholds import THRESHOLDS, Threshold

Limits = Mapping[str, float | None]
"""Limits by `scenario.metric`; None: no limit."""


def defaults(vendor: str) -> dict[str, float | None]:
    """Return the limits of the table for a vendor's program."""
    return {name: threshold.limit_of(vendor) for name, threshold in _all().items()}


def _all() -> dict[str, Threshold]:
    """Return every threshold by `scenario.metric`."""
    return {
        f"{scenario}.{name}": threshold for scenario, group in THRESHOLDS.items() for name, threshold in group.items()
    }


def read(path: Path) -> dict[str, float | None]:
    """Return the limits that a file of thresholds overrides.

    Raises UsageError if there is no such file, SpecError with every problem in it: unknown metrics, values that are
    not numbers from 0 on, and limits for metrics that have none.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file of thresholds", "docs/commands/prove.md describes its format")
    parsed = document.parse(str(path), document.read_text(path))
    problems = [*parsed.problems]
    if isinstance(parsed.data, dict):
        problems += _problems(parsed)
    else:
        problems.append(
            Problem(parsed.location(()), "", "the file must contain names and limits", "as in `kill.failed_gets: 0`")
        )
    if problems:
        raise SpecError(problems)
    return dict(parsed.data)


def _problems(parsed: document.Document) -> Iterator[Problem]:
    known = {
        f"{scenario}.{name}": threshold
        for scenario, thresholds in THRESHOLDS.items()
        for name, threshold in thresholds.items()
    }
    for key, value in parsed.data.items():
        if key not in known:
            near = nearest(key, list(known))
            meant = f" (did you mean {near}?)" if near else ""
            hint = "a name is scenario.metric; `nlbgen prove VENDOR --format json` lists all of them"
            yield Problem(parsed.location((key,), key=True), key, f"is not a metric{meant}", hint)
        elif value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            yield Problem(
                parsed.location((key,)), key, "is not a valid threshold", "write a number that is 0 or more, or null"
            )
        elif value is not None and known[key].sense == "measured":
            yield Problem(parsed.location((key,), key=True), key, "is only measured and has no threshold", "remove it")
