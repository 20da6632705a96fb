"""From a file to a checked spec: all problems in one run, each with its location."""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path as FilePath
from typing import NamedTuple

from ..core.errors import Location, Problem, SpecError
from ..core.wording import shown
from . import document
from .checks import RULES
from .document import Document
from .model import Farm
from .schema import Invalid, Path, read


class Spec(NamedTuple):
    """A checked farm, the document it came from, and the warnings that it does not accept."""

    farm: Farm
    document: Document
    warnings: tuple[Problem, ...]
    digest: str
    """SHA-256 of the file's data, in hex: comments, order and layout do not count."""

    @property
    def name(self) -> str:
        """The file's name as the user gave it."""
        return self.document.name

    def problem(self, path: Path, message: str, hint: str = "", *, id: str = "") -> Problem:  # noqa: A002
        """A problem at `path` of this spec."""
        problem = Problem(self.document.location(path), dotted(path), message, hint, id)
        return self.document.with_excerpts([problem])[0]


def load(path: FilePath) -> Spec:
    """The checked spec in a file; raises SpecError with every problem found."""
    return check(document.parse(str(path), document.read_text(path)))


def loads(text: str, name: str = "farm.yaml", tolerated: Collection[str] = ()) -> Spec:
    """The checked spec in a text; raises SpecError with every problem found.

    An error of a rule in `tolerated` is a warning.
    """
    return check(document.parse(name, text), tolerated)


def check(source: Document, tolerated: Collection[str] = ()) -> Spec:
    """The checked spec in a document; raises SpecError with every problem found."""
    problems = list(source.problems)
    wrong: list[Path] = []
    farm = _typed(source, problems, wrong)
    findings = () if farm is None else tuple(_findings(source, farm, wrong))
    findings = tuple(one._replace(severity="warning") if one.id in tolerated else one for one in findings)
    if farm is None or problems or any(problem.severity == "error" for problem in findings):
        raise SpecError(source.with_excerpts([*problems, *findings]))
    return Spec(farm, source, source.with_excerpts(findings), digest(source))


def _typed(source: Document, problems: list[Problem], wrong: list[Path]) -> Farm | None:
    """The farm as far as it can be read; problems and the paths of invalid values are added to the lists.

    A location with a syntax problem gets no second one.
    """
    reported = {problem.location for problem in problems}

    def report(path: Path, invalid: Invalid) -> None:
        wrong.append(path)
        location = source.location(path, key=invalid.at_key)
        if location not in reported:
            written = f"{source.text(path)}: " if invalid.needs_source else ""
            problems.append(Problem(location, dotted(path), f"{written}{invalid.message}", invalid.hint))
        if len(problems) >= document.MAX_PROBLEMS:
            raise _TooManyError(Problem(location, "", document.TOO_MANY))

    if not isinstance(source.data, dict):
        what = "a list" if isinstance(source.data, list) else "a single value"
        hint = "`nlbgen init` writes a commented farm.yaml to start from"
        problems.append(Problem(Location(source.name, 1, 1), "", f"the file has {what}, but a spec is a mapping", hint))
        return None
    try:
        farm = read(Farm, source.data, report)
    except _TooManyError as error:
        problems.append(error.problem)
        return None
    return farm and farm.resolved()


class _TooManyError(Exception):
    """The spec has so many problems that reading stops."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _findings(source: Document, farm: Farm, wrong: Sequence[Path]) -> Iterator[Problem]:
    """What the rules find, except findings that may only follow from an invalid value that has its default.

    Where an invalid node is left out, the indices of the others have changed, so findings about nodes are left out.
    """
    moved = {"nodes"} if len(farm.nodes) != len(source.data["nodes"]) else set()
    found = []
    for rule in RULES:
        if rule.can_be_accepted and rule.id in farm.accepted:
            continue
        for finding in islice(rule.check(farm), document.MAX_PROBLEMS):
            if finding.path[0] in moved or any(_may_follow(finding.path, path) for path in wrong):
                continue
            location = source.location(finding.path)
            found.append(Problem(location, dotted(finding.path), finding.message, finding.hint, rule.id, rule.severity))
    return iter(sorted(found, key=lambda problem: (problem.location, problem.id)))


def _may_follow(finding: Path, wrong: Path) -> bool:
    """Whether one path is part of the other, or the invalid value is in the same mapping, at any depth."""
    shorter, longer = sorted((finding, wrong), key=len)
    return longer[: len(shorter)] == shorter or (len(finding) > 1 and wrong[: len(finding) - 1] == finding[:-1])


def dotted(path: Sequence[str | int]) -> str:
    """A path as users write it: `nodes[1].port`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        plain = 0 < len(step) <= 60 and step.isprintable()
        text += ("." if text else "") + (step if plain else shown(step))
    return text


def digest(source: Document) -> str:
    """SHA-256 of a document's data, in hex: comments, order and layout do not count."""
    canonical = json.dumps(source.data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
