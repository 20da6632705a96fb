"""The parts of a bundle: each turns a checked spec into files. A new part is one line in `parts`."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from .. import __version__
from ..core.artifacts import Artifact
from ..core.errors import Problem, ProblemsError, UnsupportedError, UsageError
from ..generators.base import VENDORS, Generator, generator, named_vendors, render
from ..spec import document
from ..spec.load import Spec, check
from .manifest import SPEC, LeftOut, Reason, Validation, reason


@dataclass(frozen=True, slots=True)
class Request:
    """The spec that a bundle is made from, and the options."""

    spec: Spec
    raw: bytes = field(repr=False)
    """The bytes of the spec's file."""
    validate: bool = True
    with_secrets: bool = False
    vendor: str = ""
    """The balancer for the rollout, if the spec names several."""
    balancers: tuple[str, ...] = ()
    """The balancers' hosts for the rollout, if the spec does not name them."""
    verdicts: dict[str, Validation] = field(default_factory=dict)
    """The verdict on each vendor's configuration: vendor parts write it, the report reads it."""


@dataclass(frozen=True, slots=True)
class PartResult:
    """The result of a part: files, what is left out and why, and notes for the user."""

    artifacts: tuple[Artifact, ...] = ()
    """Their paths are those in the bundle."""
    validation: Validation | None = None
    """The verdict on the main file."""
    left_out: tuple[LeftOut, ...] = ()
    problems: tuple[Problem, ...] = ()
    """The problems of the spec for which a vendor refuses it, with locations."""
    notes: tuple[str, ...] = ()


class BundlePart(NamedTuple):
    """One part of a bundle: its name, and the function that makes it."""

    name: str
    make: Callable[[Request], PartResult]


def parts() -> tuple[BundlePart, ...]:
    """Return all parts, in the order in which they are made."""
    return (
        BundlePart("spec", _spec),
        *(BundlePart(name, _vendor(name)) for name in VENDORS),
        BundlePart("nodes", _nodes),
        BundlePart("topology", _topology),
        BundlePart("report", _report),
        BundlePart("ansible", _ansible),
    )


def own_check(said: str) -> Validation:
    """Return a verdict of nlbgen itself: the same on every machine."""
    return Validation(checked=True, program="nlbgen", version=__version__, said=said)


def _spec(request: Request) -> PartResult:
    return PartResult((Artifact(PurePosixPath(SPEC), request.raw, main=True),), own_check("checked by nlbgen check"))


def _vendor(name: str) -> Callable[[Request], PartResult]:
    def make(request: Request) -> PartResult:
        if name not in (*named_vendors(request.spec), request.vendor):
            why = Reason(id="", key=None, message="the spec does not name this vendor", hint=f"add a section {name}")
            return PartResult(left_out=(LeftOut(part=name, what="all files", reasons=(why,)),))
        vendor = generator(name)
        try:
            rendered = render(vendor, request.spec)
        except UnsupportedError as error:
            reasons = tuple(map(reason, error.problems))
            notes = (f"{name}: left out, {vendor.title} cannot do what the spec requests:", *map(str, error.problems))
            left_out = LeftOut(part=name, what="all files", reasons=reasons)
            return PartResult(left_out=(left_out,), problems=error.problems, notes=notes)
        verdict = _validation(vendor, request.spec) if request.validate else None
        if verdict is not None:
            request.verdicts[name] = verdict
        return PartResult(tuple(artifact.below(name) for artifact in rendered), verdict)

    return make


def _validation(vendor: Generator, spec: Spec) -> Validation:
    """Return the verdict of the vendor's program; raises ValidationError where one of the spec's version refuses."""
    from ..generators.validate import installed, validate

    verdict = validate(vendor, spec)
    if not vendor.program:
        return own_check(verdict.text)
    program = installed(vendor)
    version = None if program is None else str(program.version)
    return Validation(checked=verdict.checked, program=vendor.title, version=version, said=verdict.text)


def _nodes(request: Request) -> PartResult:
    from ..nodes.prepare import rendering

    if absent := rendering.absent(request.spec):
        why = Reason(
            id="",
            key="nodes",
            message="the spec names no config files, or they are not on this machine",
            hint="copy each node's config to the path in `config` of the node",
        )
        nothing = LeftOut(part="nodes", what="all files", reasons=(why,))
        return PartResult(left_out=(nothing,), notes=(f"the nodes' files are not in the bundle: {absent}",))
    # Without --with-secrets no secret is read: the bytes must not depend on whether it is available.
    prepared = rendering.render(request.spec, with_secrets=request.with_secrets, with_configs=request.with_secrets)
    artifacts = tuple(artifact.below("nodes") for artifact in prepared.files)
    left_out = () if request.with_secrets else tuple(_without_secrets(request.spec))
    return PartResult(artifacts, left_out=left_out, notes=tuple(f"nodes: {note}" for note in prepared.notes))


def _topology(request: Request) -> PartResult:
    from ..export.topology import picture as topology

    return PartResult(tuple(topology.files(request.spec)))


def _report(request: Request) -> PartResult:
    """Render the page as if the spec stood in the current folder, so that it names no path of this machine."""
    from ..export.report import page as report

    def said(vendor: str) -> str:
        return request.verdicts[vendor].said

    with contextlib.chdir(Path(request.spec.name).parent):
        spec = check(document.parse(SPEC, document.decode(SPEC, request.raw)))
        page = report.render(spec, verdict=said if request.validate else None, planned=request.with_secrets)
    return PartResult((Artifact(PurePosixPath(report.FILE), page),))


def _ansible(request: Request) -> PartResult:
    from ..export.ansible import rollout as ansible

    try:
        vendor = ansible.vendor_of(request.spec, request.vendor)
        made = ansible.files(request.spec, vendor=vendor, balancers=request.balancers)
    except (ProblemsError, UsageError) as error:
        if request.vendor or request.balancers:
            raise
        left_out = LeftOut(part="ansible", what="all files", reasons=_reasons(error, request.spec))
        said = map(str, error.problems) if isinstance(error, ProblemsError) else (error.message, f"    {error.hint}")
        return PartResult(left_out=(left_out,), notes=("ansible: left out:", *said))
    return PartResult(
        tuple(artifact.below("ansible") for artifact in made), left_out=tuple(_rollout_inputs(request.spec, vendor))
    )


def _rollout_inputs(spec: Spec, vendor: str) -> Iterator[LeftOut]:
    """Yield the files of the spec's folder that the rollout reads and no bundle holds: keys, certificates, secrets."""
    from ..export.ansible.specs import files_of

    for key, path in files_of(spec.farm, vendor):
        why = Reason(
            id="",
            key=key,
            message="the rollout reads it on the control host",
            hint=f"before the rollout, copy it with this name into the folder of the unpacked {SPEC}",
        )
        yield LeftOut(part="ansible", what=path, reasons=(why,))


def _reasons(error: ProblemsError | UsageError, spec: Spec) -> tuple[Reason, ...]:
    """Return why a part is left out, without the spec's name on this machine."""
    if isinstance(error, ProblemsError):
        return tuple(map(reason, error.problems))
    return (Reason(id="", key=None, message=error.message.removeprefix(f"{spec.name}: "), hint=error.hint),)


def _without_secrets(spec: Spec) -> Iterator[LeftOut]:
    if any(node.config is not None for node in spec.farm.nodes):
        why = Reason(id="", key=None, message="they hold secrets", hint="add them with --with-secrets")
        yield LeftOut(part="nodes", what="the prepared configs and their transforms", reasons=(why,))
