"""The nodes of two configurations, matched by address and port: added, removed, other weight or state."""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Final, NamedTuple

from ..core.errors import Location
from ..takeover.values import Values
from .values import ABSENT, Difference

_STEP: Final = re.compile(r"nodes\[([0-9]+)\]\.([a-z_]+)")
_STATES: Final = {
    "up": "it gets requests",
    "drain": "it gets no new sessions",
    "down": "it gets no requests",
    "backup": "it gets requests only if no other node can serve",
}
_DEFAULT_WEIGHT: Final = 100


class _Node(NamedTuple):
    name: str
    host: str
    port: str
    state: str
    weight: int
    locations: tuple[Location, ...]


def differences(today: Values, then: Values) -> Iterator[Difference]:
    """Yield what differs, in the order of today's nodes, then the new ones."""
    before, after = _nodes(today), _nodes(then)
    pairs = _pairs(before, after)
    for old in before:
        if old in pairs:
            yield from _both(old, pairs[old], pairs)
        else:
            meaning = "it gets no requests from the new configuration"
            yield Difference(f"node {_place(old)}", _shown(old), ABSENT, meaning, old.locations)
    for new in after:
        if new not in pairs.values():
            yield Difference(f"node {_place(new)}", ABSENT, _shown(new), f"new: {_STATES[new.state]}")


def _pairs(before: list[_Node], after: list[_Node]) -> dict[_Node, _Node]:
    """The nodes that both have: of the same address and port, or of an address that each has once."""
    pairs = {}
    for old in before:
        same = [one for one in after if one.host == old.host]
        if len(same) > 1 or sum(1 for one in before if one.host == old.host) > 1:
            same = [one for one in same if one.port == old.port]
        if same:
            pairs[old] = same[0]
    return pairs


def _both(old: _Node, new: _Node, pairs: Mapping[_Node, _Node]) -> Iterator[Difference]:
    name = f"node {_place(old)}"
    if old.port != new.port:
        yield Difference(f"{name} port", old.port, new.port, "the port to which requests go", old.locations)
    if old.state != new.state:
        yield Difference(f"{name} state", old.state, new.state, _STATES[new.state], old.locations)
    if old.name != new.name:
        meaning = "its name in statistics, logs and commands"
        yield Difference(f"{name} name", old.name, new.name, meaning, old.locations)
    sums = sum(one.weight for one in pairs), sum(one.weight for one in pairs.values())
    if all(sums) and Fraction(old.weight, sums[0]) != Fraction(new.weight, sums[1]):
        shares = f"{old.weight} of {sums[0]}", f"{new.weight} of {sums[1]}"
        meaning = "its share of new requests among the nodes that both configurations have"
        yield Difference(f"{name} weight", *shares, meaning, old.locations)


def _place(node: _Node) -> str:
    return f"{f'[{node.host}]' if ':' in node.host else node.host}:{node.port}"


def _shown(node: _Node) -> str:
    return node.name if node.state == "up" else f"{node.name} ({node.state})"


def _nodes(values: Values) -> list[_Node]:
    """The nodes in the order of the file."""
    found: dict[int, dict[str, str]] = {}
    locations: dict[int, tuple[Location, ...]] = {}
    for path, value in values.in_order():
        if step := _STEP.fullmatch(path):
            number = int(step[1])
            found.setdefault(number, {})[step[2]] = str(value.plain)
            locations.setdefault(number, tuple(one.location for one in value.statements))
    mode = values.get("frontend.tls.mode")
    port = "443" if mode in {"bridge", "passthrough"} else "80"
    return [
        _Node(
            node["name"],
            node["address"].lower(),
            node.get("port", port),
            node.get("state", "up"),
            int(node.get("weight", _DEFAULT_WEIGHT)),
            locations[number],
        )
        for number, node in sorted(found.items())
    ]
