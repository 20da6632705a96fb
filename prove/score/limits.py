"""The user's own bars: a YAML file that changes limits of the table in bars.py, and nothing else."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ...core.errors import Problem, SpecError, UsageError
from ...spec import document
from ...spec.schema import nearest
from .thresholds import BARS

Limits = Mapping[str, float | None]
"""`scenario.figure` and the limit; None is none."""


def defaults(vendor: str) -> dict[str, float | None]:
    """The limits of the table for a vendor's program."""
    return {f"{scenario}.{name}": bar.limit_of(vendor) for scenario, bars in BARS.items() for name, bar in bars.items()}


def read(path: Path) -> dict[str, float | None]:
    """The limits that a bar file changes.

    Raises UsageError where there is no such file, SpecError with every problem in it: names that no figure has,
    values that are no number from 0 on, and limits for what has no sense of better or worse.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such bar file", "see docs/commands/prove.md for what one holds")
    parsed = document.parse(str(path), document.read_text(path))
    problems = [*parsed.problems]
    if isinstance(parsed.data, dict):
        problems += _problems(parsed)
    else:
        problems.append(
            Problem(parsed.location(()), "", "a bar file holds names and limits", "as in `kill.failed_gets: 0`")
        )
    if problems:
        raise SpecError(problems)
    return dict(parsed.data)


def _problems(parsed: document.Document) -> Iterator[Problem]:
    known = {f"{scenario}.{name}": bar for scenario, bars in BARS.items() for name, bar in bars.items()}
    for key, value in parsed.data.items():
        if key not in known:
            near = nearest(key, list(known))
            meant = f" (did you mean {near}?)" if near else ""
            hint = "a name is scenario.figure; `nlbgen prove VENDOR --format json` shows all of them"
            yield Problem(parsed.location((key,), key=True), key, f"is not a figure{meant}", hint)
        elif value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            yield Problem(parsed.location((key,)), key, "is not a limit", "write a number from 0 on, or null for none")
        elif value is not None and known[key].sense == "measured":
            yield Problem(parsed.location((key,), key=True), key, "is only measured", "leave it out")
