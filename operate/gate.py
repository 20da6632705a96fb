"""The capacity gate: a change never leaves fewer nodes in rotation than the spec's minimum, on any balancer."""

from collections.abc import Mapping, Sequence

from ..core.errors import CapacityError
from ..core.wording import plural
from ..spec.model import Farm
from .contract import NodeStatus

Seen = Mapping[str, Sequence[NodeStatus]]
"""The nodes as each balancer has them, by the balancer's name."""


def check(farm: Farm, seen: Seen, leaving: str) -> None:
    """Raise CapacityError if too few nodes serve without `leaving`; a node that does not serve may always leave.

    A node counts if its state is up and its checks do not fail: nodes that are really up, not those of the spec.
    """
    serving = {balancer: nodes for balancer, nodes in seen.items() if serves(nodes, leaving)}
    require_others(farm, serving, leaving, "nothing was changed")


def serves(nodes: Sequence[NodeStatus], name: str) -> bool:
    """Whether one of these nodes has the name and serves."""
    return any(node.serves for node in nodes if node.name == name)


def require_others(farm: Farm, seen: Seen, leaving: str, outcome: str) -> None:
    """Raise CapacityError, with the outcome in its message, if too few other nodes than `leaving` serve."""
    for balancer, nodes in seen.items():
        left = [node.name for node in nodes if node.serves and node.name != leaving]
        if len(left) < farm.least_nodes:
            raise CapacityError(
                f"{balancer}: without {leaving}, {plural(len(left), 'node')} would serve"
                f"{_listed(left)}, but balancer.minimum is {farm.least_nodes}; {outcome}",
                f"{_others(nodes, leaving)}; or, if fewer nodes are enough, set balancer.minimum in the spec "
                "or use --force",
            )


def _listed(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


def _others(nodes: Sequence[NodeStatus], leaving: str) -> str:
    """Return what to do about the nodes that do not serve."""
    out = [
        f"{node.name} ({node.state}, checks {node.health})"
        for node in nodes
        if not node.serves and node.name != leaving
    ]
    return f"first return {', '.join(out)} to rotation" if out else "add a node"
