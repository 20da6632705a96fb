"""Read a device's objects by iControl REST: one request for each kind, in parallel; and the unit that answers."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ....core.errors import DeviceError
from ....generators.f5.vocabulary import KINDS, Value
from ....spec.units import Version
from ..compare import seen
from ..domains import settled
from ..plan import Key, State
from ..unit import Unit
from .icontrol import RestSession, path_of

_EXPANDED: Final = frozenset({"ltm pool", "ltm policy", "ltm virtual"})
_READ_EVERYWHERE: Final = frozenset({"ltm node"})
"""The address of a node is unique over all partitions of a device."""


def read(device: RestSession, partition: str, kinds: Iterable[str]) -> State:
    """Return the device's objects of these kinds in the partition, and all of its nodes."""
    wanted = {*kinds, "ltm node"}
    asked = {str(kind): (path_of(kind), _query(kind, partition)) for kind in KINDS if kind in wanted}
    found: dict[Key, Mapping[str, Value]] = {}
    for kind, collection in device.get_all(asked).items():
        for item in items(collection):
            path = str(item.get("fullPath") or item.get("name"))
            found[kind, path] = seen(kind, _deepened(device, kind, item))
    nodes = {path: str(values["address"]) for (kind, path), values in found.items() if kind == "ltm node"}
    return State(*settled(found, nodes, partition, lambda _: _route_domains(device)))


def _route_domains(device: RestSession) -> dict[str, int]:
    """Return the default route domain of each partition; 0 if the user may not read it."""
    answer = device.look(path_of("auth partition"), "the partitions")
    found = items(answer.data) if answer.status == 200 else []
    return {str(item["name"]): int(item.get("defaultRouteDomain", 0)) for item in found}


def _query(kind: str, partition: str) -> str:
    query = [] if kind in _READ_EVERYWHERE else [f"$filter=partition+eq+{partition}"]
    return "&".join([*query, *["expandSubcollections=true"] * (kind in _EXPANDED)])


def items(collection: object) -> list[dict[str, Any]]:
    """Return the items of a collection; an empty collection has no such key."""
    items = collection.get("items", []) if isinstance(collection, dict) else []
    return [item for item in items if isinstance(item, dict)]


def _deepened(device: RestSession, kind: str, item: dict[str, Any]) -> dict[str, Any]:
    """Return a policy with the actions and conditions of its rules, which some versions do not expand."""
    if kind != "ltm policy":
        return item
    for rule in items(item.get("rulesReference")):
        for part in ("actions", "conditions"):
            reference = rule.get(f"{part}Reference")
            if isinstance(reference, dict) and reference.get("isSubcollection") and "items" not in reference:
                path = f"{path_of(kind, item['fullPath'])}/rules/{rule['name']}/{part}"
                rule[f"{part}Reference"] = device.get(path, f"{kind} {item['fullPath']}")
    return item


def unit(device: RestSession) -> Unit:
    """Read the device's TMOS version, and whether it is the active unit."""
    found = device.get("/mgmt/tm/cm/device", "the device's own state")
    own = [item for item in items(found) if str(item.get("selfDevice")).lower() == "true"]
    number = re.match(r"\d+(?:\.\d+)+", str(own[0].get("version"))) if own else None
    if number is None:
        raise DeviceError(f"{device.login.name}: the device does not report its unit and version")
    return Unit(Version(".".join(number[0].split(".")[:4])), str(own[0].get("failoverState", "active")))
