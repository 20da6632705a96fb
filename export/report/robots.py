"""The robots of each node in the report: in normal operation, and around the failure of a node.

Robots stay connected to their node. So after a failure they are on the nodes that are left, and a node that recovers
has none until other connections end: `nlbgen prove --robots` measures this (robots-kill, robots-spread).
"""

from collections.abc import Mapping
from typing import NamedTuple

from ...spec.model import Farm


class RobotRow(NamedTuple):
    """The robots of one node."""

    name: str
    usual: int
    """While all nodes run."""
    failed: int
    """While the node with most robots is down."""
    recovered: int
    """After this node has recovered."""


class Robots(NamedTuple):
    """The robots of all nodes; no rows without `orchestrator.robots` or without a second node."""

    total: int = 0
    victim: str = ""
    """The node that fails: the one with most robots."""
    rows: tuple[RobotRow, ...] = ()


def robots(farm: Farm) -> Robots:
    """Return the robots of each node that serves, by the weights."""
    weights = {node.name: node.weight for node in farm.nodes if node.state == "up"}
    total = farm.orchestrator.robots
    if total is None or len(weights) < 2:
        return Robots()
    usual = shares(total, weights)
    victim = max(usual, key=lambda name: usual[name])
    failed = shares(total, {name: weight for name, weight in weights.items() if name != victim})
    rows = (RobotRow(name, usual[name], failed.get(name, 0), failed.get(name, 0)) for name in weights)
    return Robots(total, victim, tuple(rows))


def shares(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Return the total divided by weight, as whole numbers whose sum is the total.

    >>> shares(100, {"a": 1, "b": 1, "c": 1})
    {'a': 34, 'b': 33, 'c': 33}
    """
    whole, found, given, passed = sum(weights.values()), {}, 0, 0
    for name, weight in weights.items():
        passed += weight
        found[name] = -(-total * passed // whole) - given
        given += found[name]
    return found
