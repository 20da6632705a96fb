"""From a file to a checked spec: all problems in one run, each with its place."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath
from typing import NamedTuple

from ..errors import Place, Problem, SpecError
from . import document
from .checks import RULES
from .document import Document
from .model import Farm
from .schema import Path, read


class Spec(NamedTuple):
    """A checked farm, the document it came from, and the warnings that it does not accept."""

    farm: Farm
    document: Document
    warnings: tuple[Problem, ...]
    digest: str
    """SHA-256 of what the file says, in hex: comments, order and layout do not count."""

    @property
    def name(self) -> str:
        """The file's name as the user gave it."""
        return self.document.name

    def problem(self, path: Path, message: str, hint: str = "", *, id: str = "") -> Problem:  # noqa: A002
        """A problem at `path` of this spec."""
        return Problem(self.document.place(path), dotted(path), message, hint, id)


def load(path: FilePath) -> Spec:
    """The checked spec in a file; raises SpecError with every problem found."""
    return check(document.parse(str(path), document.read_text(path)))


def loads(text: str, name: str = "farm.yaml") -> Spec:
    """The checked spec in a text; raises SpecError with every problem found."""
    return check(document.parse(name, text))


def check(source: Document) -> Spec:
    """The checked spec in a document; raises SpecError with every problem found."""
    problems = list(source.problems)
    farm = _typed(source, problems)
    if farm is None:
        raise SpecError(problems)
    findings = tuple(_findings(source, farm))
    problems += [problem for problem in findings if problem.severity == "error"]
    if problems:
        raise SpecError([*problems, *(problem for problem in findings if problem.severity == "warning")])
    return Spec(farm, source, findings, _digest(source))


def _typed(source: Document, problems: list[Problem]) -> Farm | None:
    """The farm, or None with the problems added; a place whose notation is wrong already is not blamed twice."""
    blamed = {problem.place for problem in problems}

    def report(path: Path, message: str, hint: str) -> None:
        place = source.place(path, key="is not a key" in message)
        if place not in blamed:
            problems.append(Problem(place, dotted(path), _as_written(source, path, message), hint))

    if not isinstance(source.data, dict):
        what = "a list" if isinstance(source.data, list) else "a single value"
        hint = "`nlbgen init` writes a commented farm.yaml to start from"
        problems.append(Problem(Place(source.name, 1, 1), "", f"holds {what}, and a spec is a mapping", hint))
        return None
    return read(Farm, source.data, report)


def _as_written(source: Document, path: Path, message: str) -> str:
    """The message with what the file really says, where YAML turned a version into a number."""
    if message.startswith("a version is a text"):
        return f"{source.text(path)}: {message}"
    return message


def _findings(source: Document, farm: Farm) -> Iterator[Problem]:
    found = []
    for rule in RULES:
        if rule.severity == "warning" and rule.id in farm.accepted:
            continue
        for finding in rule.check(farm):
            place = source.place(finding.path)
            found.append(Problem(place, dotted(finding.path), finding.message, finding.hint, rule.id, rule.severity))
    return iter(sorted(found, key=lambda problem: (problem.place, problem.id)))


def dotted(path: Sequence[str | int]) -> str:
    """A path as users write it: `nodes[1].port`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _digest(source: Document) -> str:
    canonical = json.dumps(source.data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
