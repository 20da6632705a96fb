"""The nodes in the report: the plan for their config files (fingerprints, never values), and the runbook."""

from pathlib import PurePath
from typing import NamedTuple

from ...core.artifacts import Artifact
from ...core.errors import NlbgenError, Problem
from ...core.plan import DIGEST_SHOWN, Change
from ...generators.design import Design
from ...nodes import planning, spec_checks
from ...nodes.prepare import rendering
from ...spec.load import Spec

RUNBOOK = "RUNBOOK.md"


class NodeRow(NamedTuple):
    """One node of the farm."""

    name: str
    endpoint: str
    state: str
    weight: int
    role: str
    config: str


class ChangeRow(NamedTuple):
    """One change of a node's file, without secrets."""

    target: str
    path: str
    kind: str
    old: str
    new: str
    where: str


class Planned(NamedTuple):
    """The plan for the nodes' files; `absent` is the reason if there is none."""

    digest: str
    targets: tuple[str, ...]
    changes: tuple[ChangeRow, ...]
    notes: tuple[str, ...]
    absent: str = ""

    @property
    def tables(self) -> list[tuple[str, list[ChangeRow]]]:
        """Each target with its changes."""
        return [(name, [change for change in self.changes if change.target == name]) for name in self.targets]

    @property
    def short(self) -> str:
        """The shortened digest, which `--expect` accepts."""
        return self.digest[:DIGEST_SHOWN]


class Prepared(NamedTuple):
    """The nodes' files; `absent` is the reason if there are none."""

    runbook: str
    files: tuple[Artifact, ...]
    notes: tuple[str, ...]
    absent: str = ""


NOT_PLANNED = Planned("", (), (), (), "it needs the farm's secrets; run `nlbgen nodes plan` on a machine that has them")


def rows(spec: Spec) -> list[NodeRow]:
    """Return the nodes in the order of the spec."""
    farm = spec.farm
    return [
        NodeRow(
            node.name,
            member.endpoint,
            node.state,
            node.weight,
            "primary" if node is farm.primary else "",
            node.config or "",
        )
        for node, member in zip(farm.nodes, Design(farm).members, strict=True)
    ]


def plan(spec: Spec) -> Planned:
    """Return the plan for the nodes' files; it needs these files and their secrets."""
    if absent := rendering.absent(spec):
        return Planned("", (), (), (), absent)
    try:
        planned = planning.plan_farm(spec, for_review=True)
    except NlbgenError as error:
        return Planned("", (), (), (), _why(error))
    without = [f"{name}: skipped, because the spec has no config for this node" for name in planned.without_config]
    found = planned.plan
    missing = [_why(planned.missing)] if planned.missing else []
    digest = "" if found.incomplete else found.digest
    return Planned(digest, found.targets, tuple(map(_row, found.changes)), (*missing, *planned.notes, *without))


def _row(change: Change) -> ChangeRow:
    old = "" if change.old is None else str(change.old)
    new = "" if change.new is None else str(change.new)
    return ChangeRow(change.target, change.path, change.kind, old, new, PurePath(str(change.where)).name)


def prepare(spec: Spec, *, planned: bool = True) -> Prepared:
    """Return the files of `nlbgen render nodes`; those that need secrets only with `planned`."""
    if absent := rendering.absent(spec):
        return Prepared("", (), (), absent)
    try:
        made = rendering.render(spec, with_configs=planned)
    except NlbgenError as error:
        return Prepared("", (), (), _why(error))
    runbook = next((file.content.decode("utf-8") for file in made.files if file.path.name == RUNBOOK), "")
    return Prepared(runbook, made.files, made.notes)


def problems(spec: Spec) -> list[Problem]:
    """Return the problems of the nodes' files that exist here."""
    if all(node.config is None for node in spec.farm.nodes) and spec.farm.keys.source == "primary":
        return []
    return spec_checks.problems(spec)


def _why(error: NlbgenError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message
