"""The base class of all vendors, and the rendering of a farm.

A vendor declares its supported features as data and translates a [`Design`][nlbgen.generators.design.Design] into the
views of its templates. This module refuses unsupported features and renders the templates.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path as FilePath
from pathlib import PurePosixPath
from typing import Any, ClassVar, Final, NamedTuple

from ..core import templating
from ..core.artifacts import Artifact, made_by
from ..core.errors import Problem, UnsupportedError
from ..core.wording import one_of
from ..spec.checks import ACCEPTABLE
from ..spec.load import Spec
from ..spec.model import BalancerProgram, Farm
from ..spec.schema import Path, nearest
from ..spec.units import Version
from . import digest
from .design import Design
from .features import FEATURES, Feature, No, Since, Support
from .hosting import Api, Foreground, Hosting, RoleVariable, Steps, Syntax


class UnquotableError(ValueError):
    """A vendor's configuration language cannot quote this text; the message names the part."""


class Site(NamedTuple):
    """Where the balancer keeps its own files and ports on its machine.

    Without a `directory` it uses the paths of the Linux distributions' packages. With one, it writes only below that
    directory and runs as the user who starts it: a configuration can be tried out anywhere.
    """

    directory: str = ""
    http_port: int = 80


class Limitation(NamedTuple):
    """A feature that the vendor lacks; `fallback` is what happens instead.

    `accepted` tells whether the spec accepts it. Otherwise only a default of the spec requests the feature.
    """

    title: str
    reason: str
    fallback: str
    accepted: bool


class Draft(NamedTuple):
    """One file before rendering: its path below the vendor's folder, its template, and the template's view."""

    path: PurePosixPath
    template: str
    view: Mapping[str, Any]
    normal: digest.Normal | None = None
    """Of a configuration that contains its own digest: what the digest leaves out."""

    def render(self, header: Sequence[str]) -> bytes:
        """Return the content of the file; raises RenderFault."""
        content = templating.render(self.template, {**self.view, "header": header})
        return content if self.normal is None else digest.with_digest(content, self.normal)


class Job:
    """The rendering of one farm for one vendor."""

    def __init__(
        self, spec: Spec, site: Site, version: Version, limitations: tuple[Limitation, ...], lost: frozenset[str]
    ) -> None:
        self.spec: Final = spec
        self.design: Final = Design(spec.farm)
        self.site: Final = site
        self.version: Final = version
        self.limitations: Final = limitations
        self.lost: Final = lost
        """The ids of the features that this version of the vendor lacks."""
        self.problems: list[Problem] = []

    @property
    def farm(self) -> Farm:
        """The farm itself."""
        return self.spec.farm

    def has(self, feature: str) -> bool:
        """Whether this version of the vendor has the feature."""
        return feature not in self.lost


class Generator(ABC):
    """One vendor."""

    name: ClassVar[str]
    """The name on the command line, and of the folders of templates and outputs."""
    title: ClassVar[str]
    oldest: ClassVar[Version]
    newest: ClassVar[Version]
    """The versions that its configurations were tested on, or checked against the manual."""
    support: ClassVar[Mapping[str, Support]]
    """For each feature of the catalogue whether this vendor has it."""
    program: ClassVar[str] = ""
    """The program that loads the main file; empty for a device, for which `check` is used instead."""

    version_pattern: ClassVar[str] = r"version ([0-9]+(?:\.[0-9]+){1,2})"
    """A regular expression whose group is the version in what the program says to `version_command`."""
    hosting: ClassVar[Hosting | None] = None
    """How the program runs on hosts; None for a device."""
    api: ClassVar[Api | None] = None
    """How the device is reached; None for a program on hosts."""
    syntaxes: ClassVar[tuple[Syntax, ...]] = ()
    """How the report shows the vendor's own files."""

    own_ids: ClassVar[frozenset[str]] = frozenset()
    """Further ids that `accept` may name, for limits outside the catalogue of features."""

    @abstractmethod
    def version(self, farm: Farm) -> Version:
        """The version for which the farm's configuration is rendered."""

    @abstractmethod
    def files(self, job: Job) -> list[Draft]:
        """The files of a farm; the first one is the file that the program loads.

        Adds a problem to `job.problems` for each text of the spec that cannot be quoted.
        """

    @abstractmethod
    def quoted(self, text: str) -> str:
        """The text as one word of the vendor's language; raises UnquotableError."""

    def version_command(self) -> list[str]:
        """The arguments with which the program prints its version."""
        raise NotImplementedError

    def check_command(self, file: FilePath, version: Version) -> list[str]:
        """The arguments with which the program of this version checks a configuration."""
        raise NotImplementedError

    def foreground(self, file: FilePath, version: Version) -> Foreground:
        """How the program of this version runs a configuration in the foreground."""
        raise NotImplementedError

    def openssl(self, farm: Farm) -> Version | None:
        """The version of OpenSSL in the vendor's section of the spec, or None where it has none."""
        section = getattr(farm, self.name, None)
        return section.openssl if isinstance(section, BalancerProgram) else None

    def steps(self, farm: Farm) -> Steps:
        """What a push of this farm creates on an empty device, for a vendor without a `program`."""
        raise NotImplementedError

    def check(self, spec: Spec, files: list[Artifact]) -> str:
        """Check the rendered files by nlbgen's own checker, for a vendor without a `program`.

        Raises ValidationError if the files are invalid.
        """
        raise NotImplementedError

    def refusals(self, spec: Spec, version: Version) -> Iterable[Problem]:  # noqa: ARG002  # most have none
        """The limits of this vendor that no feature of the catalogue names."""
        return ()

    def role_variables(self, farm: Farm) -> Iterable[RoleVariable]:
        """A hosted vendor's own variables of its Ansible role, without the prefix of the vendor's name."""
        raise NotImplementedError

    def missing_module(self, said: str) -> str | None:  # noqa: ARG002  # most programs have no modules
        """Return the part of the program that is not installed, where its complaint is only about that."""
        return None

    def quote(self, job: Job, path: Path, text: str) -> str:
        """The text at `path` of the spec as one word; text that cannot be quoted becomes a problem of the job."""
        try:
            return self.quoted(text)
        except UnquotableError as error:
            message = f"{self.title} cannot quote this text: {error}"
            job.problems.append(job.spec.problem(path, message, "change the text, or use another vendor"))
            return ""

    def problem_id(self, feature: str) -> str:
        """The id by which `accept` accepts that this vendor lacks the feature."""
        return f"{self.name}-{feature}"

    def called(self, version: Version) -> str:
        """The name and version of the product, for messages and headers."""
        return f"{self.title} {version}"

    def known(self, version: Version) -> tuple[Version, Version]:  # noqa: ARG002  # most are one product
        """The oldest and the newest known version of the product that `version` belongs to."""
        return self.oldest, self.newest

    def upgrade(self, feature: str, version: Version) -> str | None:  # noqa: ARG002  # most count one way
        """Name the newer versions that have a feature which this version lacks; None where none has it."""
        support = self.support[feature]
        return f"{self.title} {support.version} or later" if isinstance(support, Since) else None

    def lacks(self, feature: str, version: Version) -> No | None:
        """Return why this version lacks the feature; None where it has it."""
        support = self.support[feature]
        if isinstance(support, Since):
            return None if version >= support.version else support.before
        return support if isinstance(support, No) else None


def render(generator: Generator, spec: Spec, site: Site | None = None) -> list[Artifact]:
    """The vendor's files for a farm, in the order of their paths.

    Raises UnsupportedError with all requested features that are neither supported nor accepted with a fallback.
    """
    job = prepare(generator, spec, site or Site())
    files = generator.files(job)
    if job.problems:
        raise UnsupportedError(job.problems)
    header = header_lines(generator, job)
    rendered = [Artifact(file.path, file.render(header), main=file is files[0]) for file in files]
    return sorted(rendered, key=lambda file: file.path)


def prepare(generator: Generator, spec: Spec, site: Site) -> Job:
    """Return the job for one farm and vendor; raises UnsupportedError."""
    version = generator.version(spec.farm)
    problems = list(_refusals(generator, spec, version))
    if problems:
        raise UnsupportedError(problems)
    lost = {feature: why for feature in FEATURES if (why := generator.lacks(feature.id, version)) is not None}
    limitations = tuple(
        Limitation(feature.title, why.reason, why.fallback, generator.problem_id(feature.id) in spec.farm.accepted)
        for feature, why in lost.items()
        if why.fallback and (feature.asked(spec.farm) is not None or feature.wanted(spec.farm))
    )
    return Job(spec, site, version, limitations, frozenset(feature.id for feature in lost))


def _refusals(generator: Generator, spec: Spec, version: Version) -> Iterator[Problem]:
    yield from _version_refusals(generator, spec, version)
    yield from generator.refusals(spec, version)
    for feature in FEATURES:
        path = feature.asked(spec.farm)
        why = generator.lacks(feature.id, version) if path is not None else None
        problem_id = generator.problem_id(feature.id)
        if path is None or why is None:
            continue
        if why.fallback and (problem_id in spec.farm.accepted or feature.by_default(spec.farm)):
            continue
        message = f"{generator.called(version)} lacks '{feature.title}': {why.reason}"
        yield spec.problem(path, message, _hint(generator, feature, version, why), id=problem_id)


def _hint(generator: Generator, feature: Feature, version: Version, why: No) -> str:
    options = []
    if why.fallback:
        options.append(f"accept the fallback: {why.fallback} (write `accept: [{generator.problem_id(feature.id)}]`)")
    if newer := generator.upgrade(feature.id, version):
        options.append(f"use {newer}")
    others = [other.title for other in all_generators() if other is not generator and _has(other, feature)]
    if others:
        options.append(f"use {one_of(others)}")
    return "; or ".join(options) or "remove it from the spec"


def _has(generator: Generator, feature: Feature) -> bool:
    return generator.lacks(feature.id, generator.newest) is None


def _version_refusals(generator: Generator, spec: Spec, version: Version) -> Iterator[Problem]:
    path: Path = (generator.name, "version")
    problem_id = generator.problem_id("version")
    oldest, newest = generator.known(version)
    known = f"{oldest} to {newest}"
    if version < oldest:
        message = f"{generator.called(version)} is too old: supported versions are {known}"
        yield spec.problem(
            path, message, f'upgrade to a supported version, and write "{oldest}" or later in the spec', id=problem_id
        )
    elif version.parts[:2] > newest.parts[:2] and problem_id not in spec.farm.accepted:
        message = f"{generator.called(version)} is not supported: supported versions are {known}"
        hint = f'write "{newest}"; or accept a configuration for {newest} (`accept: [{problem_id}]`)'
        yield spec.problem(path, message, hint, id=problem_id)


def header_lines(generator: Generator, job: Job) -> list[str]:
    """Return the first lines of every file: the farm, the command that made it, and not to edit it."""
    return [
        f"{generator.called(job.version)} for the farm {job.farm.farm}",
        *made_by(f"render {generator.name}", job.spec.digest),
    ]


def audit(spec: Spec) -> list[Problem]:
    """Return the features that the named vendors lack, and the accepted ids that do not exist."""
    problems: list[Problem] = []
    for name in VENDORS:
        if name in spec.farm.written:
            vendor = generator(name)
            problems += _refusals(vendor, spec, vendor.version(spec.farm))
    known = known_ids()
    for index, accepted in enumerate(spec.farm.accept):
        if accepted not in known:
            near = nearest(accepted, sorted(known))
            message = f"there is no id {accepted}" + (f" (did you mean {near}?)" if near else "")
            problem = spec.problem(
                ("accept", index),
                message,
                "messages show the ids in brackets; docs/rules.md lists them",
                id="accept-unknown",
            )
            problems.append(problem._replace(severity="warning"))
    return sorted(problems, key=lambda problem: (problem.location, problem.id))


def known_ids() -> set[str]:
    """Return every id that `accept` may name."""
    ids = set(ACCEPTABLE)
    for vendor in all_generators():
        ids |= {vendor.problem_id("version"), *vendor.own_ids}
        for feature in FEATURES:
            support = vendor.support[feature.id]
            before = support.before if isinstance(support, Since) else support
            if isinstance(before, No) and before.fallback:
                ids.add(vendor.problem_id(feature.id))
    return ids


VENDORS: Final = ("haproxy", "nginx", "zen", "f5")
"""All vendors, in the order of the documentation; each is a module of this package with a `GENERATOR`."""


@cache
def generator(name: str) -> Generator:
    """Return the vendor of that name; its module is imported on the first call."""
    from importlib import import_module

    found: Generator = import_module(f".{name}.generator", __package__).GENERATOR
    return found


def all_generators() -> list[Generator]:
    """All vendors."""
    return [generator(name) for name in VENDORS]


def named_vendors(spec: Spec) -> tuple[str, ...]:
    """The names of the vendors that the spec names; of all vendors if it names none."""
    return tuple(name for name in VENDORS if name in spec.farm.written) or VENDORS


def hosted_generators() -> list[Generator]:
    """The vendors whose program runs on hosts."""
    return [vendor for vendor in all_generators() if vendor.hosting is not None]
