"""The status of the nodes as text and as data."""

from collections.abc import Mapping, Sequence
from typing import Final

from ..spec.model import Farm
from .contract import NodeStatus

Rows = list[list[str]]
HEAD: Final = ("balancer", "node", "spec", "state", "checks", "sessions", "since")
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_OUT: Final = "drain or down"
_MISSING: Final = "missing"
"""The balancer runs a configuration without the node."""


def rows(farm: Farm, seen: Mapping[str, Sequence[NodeStatus]]) -> Rows:
    """Return one row for each node at each balancer, in the columns of HEAD."""
    return [
        [balancer, node.name, node.state, *_cells(node.name, nodes)]
        for balancer, nodes in seen.items()
        for node in farm.nodes
    ]


def _cells(name: str, nodes: Sequence[NodeStatus]) -> list[str]:
    """Return the columns after the state of the spec."""
    for node in nodes:
        if node.name == name:
            return [_state(node), _checks(node), node.sessions.text, _since(node.since)]
    return [_MISSING, "-", "-", "-"]


def text(farm: Farm, seen: Mapping[str, Sequence[NodeStatus]], unread: Sequence[str] = ()) -> str:
    """Return the status for people, in aligned columns; `unread` are the balancers that cannot be read."""
    table = [list(HEAD), *rows(farm, seen)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join([*lines, *closing(farm, seen, unread)]) + "\n"


def closing(farm: Farm, seen: Mapping[str, Sequence[NodeStatus]], unread: Sequence[str] = ()) -> list[str]:
    """Return the lines below the table: notes about balancers, and how many nodes serve at every balancer."""
    notes = {name: dict.fromkeys(one.note for one in nodes if one.note) for name, nodes in seen.items()}
    lines = [f"{name}: {note}" for name, those in notes.items() for note in those]
    return [*lines, _summary(farm, seen, unread)]


def _summary(farm: Farm, seen: Mapping[str, Sequence[NodeStatus]], unread: Sequence[str]) -> str:
    """Return how many nodes serve at every balancer that was read, and how many are needed."""
    serving = [
        node.name
        for node in farm.nodes
        if all(any(one.name == node.name and one.serves for one in nodes) for nodes in seen.values())
    ]
    at = f" at {', '.join(seen)} ({', '.join(unread)} cannot be read)" if unread else ""
    return f"{len(serving)} of {len(farm.nodes)} nodes serve{at}; balancer.minimum is {farm.least_nodes}"


def data(
    farm: Farm, seen: Mapping[str, Sequence[NodeStatus]], unread: Mapping[str, str] | None = None
) -> dict[str, object]:
    """Return the status for programs; `unread` has the reason for each balancer that cannot be read."""
    wanted = {node.name: node.state for node in farm.nodes}
    return {
        "farm": farm.farm,
        "minimum": farm.least_nodes,
        "balancers": [
            {"name": name, "nodes": [{**node.data(), "spec": wanted[node.name]} for node in nodes]}
            for name, nodes in seen.items()
        ],
        "unread": [{"name": name, "reason": reason} for name, reason in (unread or {}).items()],
    }


def differs(farm: Farm, seen: Mapping[str, Sequence[NodeStatus]]) -> bool:
    """Whether a node may have another state than in the spec, its checks fail, or a balancer does not have it."""
    wanted = {node.name: "up" if node.state == "backup" else node.state for node in farm.nodes}
    return any(
        {node.name for node in nodes} != wanted.keys()
        or any(not _as_wanted(node, wanted[node.name]) or node.health == "failing" or node.note for node in nodes)
        for nodes in seen.values()
    )


def _as_wanted(node: NodeStatus, wanted: str) -> bool:
    return node.state == wanted or (node.state == "out" and wanted != "up")


def _state(node: NodeStatus) -> str:
    return _OUT if node.state == "out" else node.state


def _checks(node: NodeStatus) -> str:
    return f"{node.health}: {node.check}" if node.health == "failing" and node.check else node.health


def _since(seconds: int | None) -> str:
    """Return a time in its two largest units, as in `3h 12m`."""
    if seconds is None:
        return "-"
    parts: list[str] = []
    for size, unit in _UNITS:
        number, seconds = divmod(seconds, size)
        if number or (unit == "s" and not parts):
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2])
