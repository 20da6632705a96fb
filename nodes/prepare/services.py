"""The prepared settings files of the services beside Orchestrator: no script replaces them."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from ...core.artifacts import Artifact
from ..config.appsettings import JsonDocument
from ..planning import FarmPlan, NodePlan


def _changed(plan: NodePlan) -> Iterator[tuple[str, bytes]]:
    """Each changed file of a service: its path below Orchestrator's folder, and the new bytes."""
    folder = plan.config.path.parent
    for document, content in plan.files:
        if isinstance(document, JsonDocument):
            yield document.path.relative_to(folder).as_posix(), content


def files(plan: NodePlan) -> Iterator[Artifact]:
    """The prepared files of one node's services."""
    for name, content in _changed(plan):
        yield Artifact(PurePosixPath(plan.node.name) / name, content, secret=True)


def by_hand(plans: FarmPlan) -> list[str]:
    """The prepared files that must be copied to their nodes by hand, as paths below the output folder."""
    return [f"{plan.node.name}/{name}" for plan in plans.nodes for name, _content in _changed(plan)]
