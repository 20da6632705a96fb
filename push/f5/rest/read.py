"""Read a device's objects by iControl REST: one request for each kind, in parallel; and the unit that answers."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ....core.errors import DeviceError
from ....generators.f5.vocabulary import KINDS, Object, Value
from ....spec.units import Version
from ...answers import MalformedError, listed, mapping, number, readable, text
from ..compare import seen
from ..domains import settled
from ..plan import Key, State
from ..unit import Unit
from .icontrol import RestSession, path_of, segment

_EXPANDED: Final = frozenset({"ltm pool", "ltm policy", "ltm virtual"})
_PATH: Final = re.compile(r"(/[^/]+){2,}")
_READ_EVERYWHERE: Final = frozenset({"ltm node"})
"""The address of a node is unique over all partitions of a device."""


def read(device: RestSession, partition: str, kinds: Iterable[str]) -> State:
    """Return the device's objects of these kinds in the partition, and all of its nodes."""
    wanted = {*kinds, "ltm node"}
    name = device.login.name
    asked = {str(kind): (path_of(kind), _query(kind, partition)) for kind in KINDS if kind in wanted}
    found: dict[Key, Mapping[str, Value]] = {}
    for kind, collection in device.get_all(asked).items():
        for item in items(name, kind, collection):
            path = full_path(name, kind, item)
            with readable(name, f"{kind} {path}"):
                found[kind, path] = seen(kind, _deepened(device, kind, path, item))
    nodes = {path: str(values["address"]) for (kind, path), values in found.items() if kind == "ltm node"}
    return State(*settled(found, nodes, partition, lambda _: _route_domains(device)))


def _route_domains(device: RestSession) -> dict[str, int]:
    """Return the default route domain of each partition; 0 if the user may not read it."""
    answer = device.look(path_of("auth partition"), "the partitions")
    found = items(device.login.name, "auth partition", answer.data) if answer.status == 200 else []
    with readable(device.login.name, "auth partition"):
        return {text(item.get("name"), "name"): _route_domain(item) for item in found}


def _route_domain(item: Mapping[str, Any]) -> int:
    return number(item.get("defaultRouteDomain", 0), "defaultRouteDomain")


def _query(kind: str, partition: str) -> str:
    query = [] if kind in _READ_EVERYWHERE else [f"$filter=partition+eq+{partition}"]
    return "&".join([*query, *["expandSubcollections=true"] * (kind in _EXPANDED)])


def items(device: str, what: str, collection: object) -> list[dict[str, Any]]:
    """Return the items of a collection; an empty collection has no such key.

    Raises DeviceError for another answer; `what` is its name in messages.
    """
    with readable(device, what):
        found = listed(mapping(collection, "the response").get("items", []), "items")
        return [mapping(item, f"items[{number}]") for number, item in enumerate(found)]


def full_path(device: str, what: str, item: Mapping[str, Any]) -> str:
    """Return an object's path: its partition, perhaps folders, and its name."""
    found = item.get("fullPath") or item.get("name")
    with readable(device, what):
        path = text(found, "fullPath")
        if not _PATH.fullmatch(path):
            raise MalformedError("fullPath", "the path of an object", path)
    return path


def _deepened(device: RestSession, kind: str, path: str, item: dict[str, Any]) -> dict[str, Any]:
    """Return a policy with the actions and conditions of its rules, which some versions do not expand."""
    if kind != "ltm policy" or item.get("rulesReference") is None:
        return item
    for rule in items(device.login.name, f"{kind} {path}: rules", item["rulesReference"]):
        for part in ("actions", "conditions"):
            reference = rule.get(f"{part}Reference")
            if isinstance(reference, dict) and reference.get("isSubcollection") and "items" not in reference:
                name = segment(text(rule.get("name"), "rulesReference.items.name"))
                rule[f"{part}Reference"] = device.get(f"{path_of(kind, path)}/rules/{name}/{part}", f"{kind} {path}")
    return item


def unit(device: RestSession) -> Unit:
    """Read the device's TMOS version, and whether it is the active unit."""
    found = device.get("/mgmt/tm/cm/device", "the device's own state")
    own = [
        item
        for item in items(device.login.name, "the device's own state", found)
        if str(item.get("selfDevice")).lower() == "true"
    ]
    number = re.match(r"\d+(?:\.\d+)+", str(own[0].get("version"))) if own else None
    if number is None:
        raise DeviceError(f"{device.login.name}: the device does not report its unit and version")
    return Unit(Version(".".join(number[0].split(".")[:4])), str(own[0].get("failoverState", "active")))


def warn_of_sni(device: RestSession, wanted: Iterable[Object], say: Callable[[str], None]) -> None:
    """Print a line if the farm's health checks send SNI, but the daemon that sends it is off.

    Source: F5's article K85210713; without `bigd.tmm`, a monitor ignores the server name of its profile. A user who may
    not read the setting gets no line.
    """
    if not any(one.kind == "ltm monitor https" and "ssl-profile" in one.properties for one in wanted):
        return
    answer = device.look(f"{path_of('sys db')}/bigd.tmm", "bigd.tmm")
    value = answer.data.get("value") if isinstance(answer.data, dict) else None
    if answer.status == 200 and value == "disable":
        say(
            f"{device.login.name}: the setting bigd.tmm is `disable`: health checks send no SNI, and nodes whose "
            "IIS binding requires SNI are marked down. Run `tmsh modify sys db bigd.tmm value enable` (F5's "
            "article K85210713)"
        )
