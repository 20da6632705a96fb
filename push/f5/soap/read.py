"""Read a device's objects by iControl SOAP: one call for one property of all objects of a kind."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ....generators.f5.vocabulary import KINDS, Value
from ..compare import endpoint
from ..domains import settled
from ..plan import Key, State
from .portal import Portal
from .vocabulary import (
    CLIENT_SSL,
    CONTEXTS,
    INTERFACES,
    MONITOR,
    NODE,
    NUMBERS,
    PERSISTENCE,
    PERSISTENCE_MODES,
    POOL,
    RULE,
    STRINGS,
    TEMPLATES,
    VIRTUAL,
    word,
)

_DISABLED: Final = frozenset({"SESSION_STATUS_DISABLED", "SESSION_STATUS_FORCED_DISABLED"})
Columns = Mapping[str, Sequence[Any]]
Rows = list[dict[str, Value]]


def read(portal: Portal, partition: str, kinds: Iterable[str]) -> State:
    """Return the device's objects of these kinds in the partition, and all of its nodes."""
    portal.look_everywhere()
    wanted = {*kinds, "ltm node"}
    found: dict[Key, Mapping[str, Value]] = {}
    nodes: dict[str, str] = {}
    for kind in KINDS:
        if kind not in wanted or kind not in INTERFACES:
            continue
        for name, values in _objects(portal, kind, "" if kind == "ltm node" else f"/{partition}/"):
            if kind == "ltm node":
                nodes[name] = str(values["address"])
            if name.startswith(f"/{partition}/"):
                found[kind, name] = values
    return State(*settled(found, nodes, partition, lambda names: _route_domains(portal, list(names))))


def destinations(portal: Portal) -> dict[str, str]:
    """Return the destination of each virtual server of the device, by its path."""
    portal.look_everywhere()
    names = _names(portal, "ltm virtual")
    found = portal.call(VIRTUAL, "get_destination_v2", names) if names else []
    return {name: _endpoint(one) for name, one in zip(names, found, strict=True)}


def _route_domains(portal: Portal, partitions: list[str]) -> dict[str, int]:
    """Return the default route domain of each of these partitions."""
    said = portal.call("Management.Partition", "get_default_route_domain", partitions)
    return dict(zip(partitions, map(int, said), strict=True))


def _objects(portal: Portal, kind: str, folder: str) -> Iterator[tuple[str, dict[str, Value]]]:
    names = [name for name in _names(portal, kind) if name.startswith(folder)]
    if not names:
        return
    interface = INTERFACES[kind]
    rows: Rows = [{} for _ in names]
    for key, each in interface.properties.items():
        for row, said in zip(rows, portal.call(interface.name, each.getter, names), strict=True):
            row[key] = each.said(said)
    if kind in _MORE:
        for row, more in zip(rows, _MORE[kind](portal, names), strict=True):
            row.update(more)
    yield from zip(names, rows, strict=True)


def _names(portal: Portal, kind: str) -> list[str]:
    """Return the names of all objects of a kind; two kinds may share an interface."""
    if kind in TEMPLATES:
        listed = portal.call(MONITOR, "get_template_list")
        return [str(one["template_name"]) for one in listed if str(one["template_type"]) == TEMPLATES[kind]]
    names = [str(name) for name in portal.call(INTERFACES[kind].name, "get_list")]
    if kind in PERSISTENCE_MODES and names:
        modes = portal.call(PERSISTENCE, "get_persistence_mode", names)
        paired = zip(names, modes, strict=True)
        return [name for name, mode in paired if str(mode["value"]) == PERSISTENCE_MODES[kind]]
    return names


def _node(portal: Portal, names: list[str]) -> Rows:
    return [{"address": str(address)} for address in portal.call(NODE, "get_address", names)]


def _monitor(portal: Portal, names: list[str]) -> Rows:
    rows: Rows = [{} for _ in names]
    for key, kind in STRINGS.items():
        said = portal.call(MONITOR, "get_template_string_property", names, [kind] * len(names))
        for row, one in zip(rows, said, strict=True):
            row[key] = str(one["value"] or "none")
    for key, kind in NUMBERS.items():
        said = portal.call(MONITOR, "get_template_integer_property", names, [kind] * len(names))
        for row, one in zip(rows, said, strict=True):
            row[key] = int(one["value"])
    return rows


def _pool(portal: Portal, names: list[str]) -> Rows:
    members = [[dict(one) for one in each or ()] for each in portal.call(POOL, "get_member_v2", names)]
    settings = [_members(portal, name, each) for name, each in zip(names, members, strict=True)]
    rules = [one["monitor_rule"] for one in portal.call(POOL, "get_monitor_association", names)]
    monitors = [" and ".join(sorted(map(str, rule["monitor_templates"] or ()))) or "none" for rule in rules]
    return [{"members": each, "monitor": monitor} for each, monitor in zip(settings, monitors, strict=True)]


def _members(portal: Portal, pool: str, members: list[dict[str, Any]]) -> dict[str, Value]:
    """Return the members of one pool. A member's address is that of its node, and is not read."""
    if not members:
        return {}
    asked = ("member_priority", "member_ratio", "member_session_status", "member_monitor_status")
    columns = [portal.call(POOL, f"get_{each}", [pool], [members])[0] for each in asked]
    return {
        _endpoint(member): {
            "priority-group": int(priority),
            "ratio": int(ratio),
            "session": "user-disabled" if str(session) in _DISABLED else "user-enabled",
            "state": "user-down" if str(monitor) == "MONITOR_STATUS_FORCED_DOWN" else "user-up",
        }
        for member, priority, ratio, session, monitor in zip(members, *columns, strict=True)
    }


def _endpoint(member: Mapping[str, Any]) -> str:
    address = str(member["address"])
    return f"{address}{'.' if ':' in address else ':'}{member['port']}"


def _client_ssl(portal: Portal, names: list[str]) -> Rows:
    files = {"cert": "certificate_file_v2", "chain": "chain_file_v2", "key": "key_file_v2"}
    columns = {key: portal.call(CLIENT_SSL, f"get_{method}", names) for key, method in files.items()}
    return [
        {"cert-key-chain": {"site": {key: str(column[number]["value"] or "none") for key, column in columns.items()}}}
        for number in range(len(names))
    ]


def _rule(portal: Portal, names: list[str]) -> Rows:
    said = portal.call(RULE, "query_rule", names)
    texts = {str(one["rule_name"]): str(one["rule_definition"] or "") for one in said}
    lines = [texts[name].replace("\r\n", "\n").strip("\n").split("\n") for name in names]
    return [{"definition": "\n".join(line.rstrip() for line in each)} for each in lines]


def _virtual(portal: Portal, names: list[str]) -> Rows:
    asked = ("destination_v2", "persistence_profile", "profile", "rule", "snat_type")
    said = {each: portal.call(VIRTUAL, f"get_{each}", names) for each in asked}
    return [_attached({key: column[number] for key, column in said.items()}) for number in range(len(names))]


def _attached(said: Mapping[str, Any]) -> dict[str, Value]:
    rules = sorted(said["rule"] or (), key=lambda one: int(one["priority"]))
    return {
        "destination": endpoint(_endpoint(said["destination_v2"])),
        "persist": {str(one["profile_name"]): {"default": "yes"} for one in said["persistence_profile"] or ()},
        "profiles": {
            str(one["profile_name"]): {"context": word(CONTEXTS, one["profile_context"])}
            for one in said["profile"] or ()
        },
        "rules": tuple(str(one["rule_name"]) for one in rules),
        "source-address-translation": {"type": str(said["snat_type"]).removeprefix("SNAT_TYPE_").lower()},
    }


_MORE: Final[Mapping[str, Callable[[Portal, list[str]], Rows]]] = {
    "ltm monitor http": _monitor,
    "ltm monitor https": _monitor,
    "ltm monitor tcp": _monitor,
    "ltm node": _node,
    "ltm pool": _pool,
    "ltm profile client-ssl": _client_ssl,
    "ltm rule": _rule,
    "ltm virtual": _virtual,
}
"""Readers for properties that need more than one method."""
