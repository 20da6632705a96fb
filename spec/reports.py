"""The problems of specs as text, as JSON, and as annotations of a GitHub workflow."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..core.annotations import annotation
from ..core.errors import Problem
from ..core.wording import json_text, plural


class Result(NamedTuple):
    """The result of `nlbgen check` for one spec; the digest is empty for an invalid spec."""

    spec: str
    digest: str
    problems: tuple[Problem, ...]
    exit_code: int


def text(results: Sequence[Result]) -> str:
    """One problem after another, for people."""
    return "".join(f"{problem}\n" for result in results for problem in result.problems)


def as_json(results: Sequence[Result]) -> str:
    """A list of specs, each with its problems, for programs."""
    data = [
        {
            "spec": result.spec,
            "digest": result.digest or None,
            "ok": result.exit_code == 0,
            "problems": [_as_data(problem) for problem in result.problems],
        }
        for result in results
    ]
    return json_text(data) + "\n"


def _as_data(problem: Problem) -> dict[str, object]:
    return {
        "severity": problem.severity,
        "id": problem.id or None,
        "file": problem.location.file,
        "line": problem.location.line,
        "column": problem.location.column,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint or None,
    }


def github(results: Sequence[Result]) -> str:
    """Workflow commands, which GitHub shows at the line of the file."""
    return "".join(f"{_annotation(problem)}\n" for result in results for problem in result.problems)


def _annotation(problem: Problem) -> str:
    message = ": ".join(filter(None, (problem.path, problem.message)))
    whole = "\n".join(filter(None, (message, problem.hint)))
    return annotation(problem.severity, problem.location, problem.id or "spec", whole)


def summary(results: Sequence[Result]) -> str:
    """The numbers of errors and warnings, on one line."""
    problems = [problem for result in results for problem in result.problems]
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    files = results[0].spec if len(results) == 1 else plural(len(results), "spec")
    if not problems:
        return f"{files}: no problems"
    parts = [plural(errors, "error")] * bool(errors)
    parts += [plural(warnings, "warning")] * bool(warnings)
    return f"{files}: {', '.join(parts)}"


STYLES: dict[str, Callable[[Sequence[Result]], str]] = {"text": text, "json": as_json, "github": github}
