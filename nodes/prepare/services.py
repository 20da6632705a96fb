"""The prepared files of the services beside Orchestrator, which `prepare-node.ps1` puts in place."""

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from ...core.artifacts import Artifact
from ..planning import FarmPlan, NodePlan


class ServiceChange(NamedTuple):
    """A file of a service that changes: its path below Orchestrator's folder, and its SHA-256 before and after."""

    path: str
    before: str
    after: str


def _changed(plan: NodePlan) -> Iterator[tuple[str, str, bytes]]:
    """Each changed file of a service: its path below Orchestrator's folder, its digest, and the new bytes."""
    folder = plan.config.path.parent
    for document, content in plan.service_files:
        yield document.path.relative_to(folder).as_posix(), document.digest, content


def changes(plan: NodePlan) -> list[ServiceChange]:
    """The changed files of one node's services."""
    return [
        ServiceChange(path, before, hashlib.sha256(content).hexdigest()) for path, before, content in _changed(plan)
    ]


def files(plan: NodePlan) -> Iterator[Artifact]:
    """The prepared files of one node's services."""
    for path, _before, content in _changed(plan):
        yield Artifact(PurePosixPath(plan.node.name) / path, content, secret=True)


def prepared(plans: FarmPlan) -> list[tuple[str, str]]:
    """The prepared files of all services: the node, and the path below its folder."""
    return [(plan.node.name, path) for plan in plans.nodes for path, _before, _content in _changed(plan)]
