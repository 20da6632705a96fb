"""The vendors and spec files of a command line, and the files rendered from them."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from ..core.artifacts import Artifact
from ..core.errors import FileError, Problem, SpecError, UnsupportedError, UsageError
from ..core.files import is_folder
from ..core.wording import one_of
from ..spec.load import Spec
from ..spec.schema import nearest
from .base import VENDORS, generator, render

ALL = "all"


class Output(NamedTuple):
    """One vendor's files for one farm."""

    vendor: str
    artifacts: tuple[Artifact, ...]
    """Paths include the vendor's folder."""


def chosen(names: Sequence[str], others: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the vendors that a command line names in the order of the documentation, then `others`.

    Raises UsageError.
    """
    known = (*VENDORS, *others)
    for name in names:
        if name not in {*known, ALL}:
            near = nearest(name, [*known, ALL])
            raise UsageError(
                f"{name} is not a vendor" + (f" (did you mean {near}?)" if near else ""),
                f"write {one_of([*known, ALL])}",
            )
    return tuple(name for name in known if ALL in names or name in names)


def spec_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the spec files that the command line names: files as given, folders by their `*.yaml` and `*.yml`."""
    files: list[Path] = []
    for path in paths:
        if not is_folder(path):
            files.append(path)
            continue
        try:
            found = sorted(child for child in path.iterdir() if child.suffix in {".yaml", ".yml"})
        except OSError as error:
            raise FileError(f"{path}: cannot be read: {error.strerror}", "check the folder's permissions") from None
        if not found:
            raise UsageError(f"{path} has no *.yaml or *.yml file", "give a spec, or a folder of specs")
        files += found
    return tuple(dict.fromkeys(files))


class Refusal(NamedTuple):
    """A vendor that lacks what the farm requires, and that neither the command line nor the spec names."""

    vendor: str
    problems: tuple[Problem, ...]


def render_all(spec: Spec, vendors: Sequence[str], named: Collection[str]) -> tuple[list[Output], list[Refusal]]:
    """Return the files of every vendor, and the vendors that are skipped.

    A vendor that lacks a feature is skipped if it is neither `named` nor in the spec. Raises UnsupportedError with
    the problems of all other vendors.
    """
    outputs: list[Output] = []
    refusals: list[Refusal] = []
    problems: list[Problem] = []
    for vendor in vendors:
        try:
            rendered = render(generator(vendor), spec)
            outputs.append(Output(vendor, tuple(artifact.below(vendor) for artifact in rendered)))
        except UnsupportedError as error:
            if vendor in named or vendor in spec.farm.written:
                problems += error.problems
            else:
                refusals.append(Refusal(vendor, tuple(error.problems)))
    if problems:
        raise UnsupportedError(problems)
    return outputs, refusals


def verdicts(spec: Spec, vendors: Sequence[str]) -> dict[str, str]:
    """Return the verdict of each vendor's real program; raises ValidationError where one refuses."""
    from .validate import validate

    return {vendor: validate(generator(vendor), spec).text for vendor in vendors}


class Fleet:
    """The output folder of each farm; several farms have one folder each, named after the farm."""

    def __init__(self, folder: Path, *, single: bool) -> None:
        """With `single`, the vendors' folders are directly in `folder`."""
        self.output = folder
        self.single = single
        self._seen: dict[str, str] = {}

    def folder(self, spec: Spec) -> Path:
        """The folder of this farm; raises SpecError if another spec has the same farm name."""
        if self.single:
            return self.output
        name = spec.farm.farm
        if name.lower() in self._seen:
            message = f"{self._seen[name.lower()]} already has the farm name {name}: both would write the same files"
            raise SpecError([spec.problem(("farm",), message, "give each farm its own name", id="farm-names")])
        self._seen[name.lower()] = spec.name
        return self.output / name
