"""A farm's objects in the calls of iControl SOAP: how they are read, and what makes or changes them.

Source: the WSDLs of TMOS 11.1 (LocalLB.NodeAddressV2, Monitor, Pool, VirtualServer). Every call takes sequences, so
that one call does for all objects of a kind.
"""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ..generators.f5 import member_node
from ..generators.f5_objects import Object, Value, mapping
from .f5_compare import endpoint
from .f5_plan import Key, State, Work
from .soap import Portal

OWNED: Final[Mapping[str, frozenset[str]]] = {
    "ltm node": frozenset({"description", "address"}),
    "ltm monitor http": frozenset({"description", "interval", "recv", "send", "time-until-up", "timeout"}),
    "ltm monitor https": frozenset({"description", "interval", "recv", "send", "time-until-up", "timeout"}),
    "ltm pool": frozenset(
        {
            *("description", "load-balancing-mode", "members", "min-active-members", "monitor"),
            *("service-down-action", "slow-ramp-time"),
        }
    ),
    "ltm virtual": frozenset(
        {"description", "destination", "persist", "pool", "profiles", "rules", "source-address-translation"}
    ),
}
"""What SOAP brings, and which properties of it."""

NODE, MONITOR, POOL, VIRTUAL = "LocalLB.NodeAddressV2", "LocalLB.Monitor", "LocalLB.Pool", "LocalLB.VirtualServer"
_STRINGS: Final = {"recv": "STYPE_RECEIVE", "send": "STYPE_SEND"}
_NUMBERS: Final = {"interval": "ITYPE_INTERVAL", "time-until-up": "ITYPE_TIME_UNTIL_UP", "timeout": "ITYPE_TIMEOUT"}
_TYPES: Final = {"TTYPE_HTTP": "ltm monitor http", "TTYPE_HTTPS": "ltm monitor https"}
_MODES: Final = {
    "round-robin": "LB_METHOD_ROUND_ROBIN",
    "ratio-member": "LB_METHOD_RATIO_MEMBER",
    "least-connections-member": "LB_METHOD_LEAST_CONNECTION_MEMBER",
    "ratio-least-connections-member": "LB_METHOD_RATIO_LEAST_CONNECTION_MEMBER",
}
_ACTIONS: Final = {word: f"SERVICE_DOWN_ACTION_{word.upper()}" for word in ("none", "reset", "drop", "reselect")}
_CONTEXTS: Final = {
    "all": "PROFILE_CONTEXT_TYPE_ALL",
    "clientside": "PROFILE_CONTEXT_TYPE_CLIENT",
    "serverside": "PROFILE_CONTEXT_TYPE_SERVER",
}
_STATES: Final = {True: "STATE_ENABLED", False: "STATE_DISABLED"}
_DISABLED: Final = frozenset({"SESSION_STATUS_DISABLED", "SESSION_STATUS_FORCED_DISABLED"})


def _word(words: Mapping[str, str], said: object) -> str:
    return next((word for word, name in words.items() if name == str(said)), str(said))


# Reading.


def read(portal: Portal, partition: str) -> State:
    """The device's objects of the kinds that SOAP brings."""
    found: dict[Key, Mapping[str, Value]] = {}
    addresses: dict[str, str] = {}
    for key, values in (*_nodes(portal), *_monitors(portal), *_pools(portal), *_virtuals(portal)):
        if key[0] == "ltm node":
            addresses[str(values["address"])] = key[1]
        if key[1].startswith(f"/{partition}/"):
            found[key] = values
    return State(found, addresses)


def _table(portal: Portal, interface: str, names: list[str], **calls: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """For each name what every call says of it."""
    columns = {key: portal.call(interface, method, names) for key, method in calls.items()} if names else {}
    for number, name in enumerate(names):
        yield name, {key: column[number] for key, column in columns.items()}


def _nodes(portal: Portal) -> Iterator[tuple[Key, dict[str, Value]]]:
    names = list(portal.call(NODE, "get_list"))
    for name, said in _table(portal, NODE, names, address="get_address", description="get_description"):
        yield ("ltm node", name), {"address": str(said["address"]), "description": str(said["description"] or "none")}


def _monitors(portal: Portal) -> Iterator[tuple[Key, dict[str, Value]]]:
    listed = {
        one["template_name"]: _TYPES.get(str(one["template_type"])) for one in portal.call(MONITOR, "get_template_list")
    }
    names = [name for name, kind in listed.items() if kind]
    columns: dict[str, Sequence[Any]] = {}
    for key, kind in (*_STRINGS.items(), *_NUMBERS.items()) if names else ():
        method = "get_template_string_property" if key in _STRINGS else "get_template_integer_property"
        columns[key] = portal.call(MONITOR, method, names, [kind] * len(names))
    for number, (name, said) in enumerate(_table(portal, MONITOR, names, description="get_description")):
        values: dict[str, Value] = {
            key: str(column[number]["value"]) for key, column in columns.items() if key in _STRINGS
        }
        values |= {key: int(column[number]["value"]) for key, column in columns.items() if key in _NUMBERS}
        yield (str(listed[name]), name), {**values, "description": str(said["description"] or "none")}


def _pools(portal: Portal) -> Iterator[tuple[Key, dict[str, Value]]]:
    names = list(portal.call(POOL, "get_list"))
    table = _table(
        portal,
        POOL,
        names,
        description="get_description",
        mode="get_lb_method",
        members="get_member_v2",
        least="get_minimum_active_member",
        monitor="get_monitor_association",
        action="get_action_on_service_down",
        ramp="get_slow_ramp_time",
    )
    for name, said in table:
        rule = said["monitor"]["monitor_rule"]
        yield (
            ("ltm pool", name),
            {
                "description": str(said["description"] or "none"),
                "load-balancing-mode": _word(_MODES, said["mode"]),
                "members": _members(portal, name, [dict(one) for one in said["members"] or ()]),
                "min-active-members": int(said["least"]),
                "monitor": " and ".join(sorted(map(str, rule["monitor_templates"] or ()))) or "none",
                "service-down-action": _word(_ACTIONS, said["action"]),
                "slow-ramp-time": int(said["ramp"]),
            },
        )


def _members(portal: Portal, pool: str, members: list[dict[str, Any]]) -> dict[str, Value]:
    if not members:
        return {}
    said = [
        portal.call(POOL, method, [pool], [members])[0]
        for method in (
            "get_member_priority",
            "get_member_ratio",
            "get_member_session_status",
            "get_member_monitor_status",
        )
    ]
    found: dict[str, Value] = {}
    for number, member in enumerate(members):
        priority, ratio, session, monitor = (column[number] for column in said)
        found[_member_name(member)] = {
            "priority-group": int(priority),
            "ratio": int(ratio),
            "session": "user-disabled" if str(session) in _DISABLED else "user-enabled",
            "state": "user-down" if str(monitor) == "MONITOR_STATUS_FORCED_DOWN" else "user-up",
        }
    return found


def _member_name(member: Mapping[str, Any]) -> str:
    address = str(member["address"])
    return f"{address}{'.' if ':' in address else ':'}{member['port']}"


def _virtuals(portal: Portal) -> Iterator[tuple[Key, dict[str, Value]]]:
    names = list(portal.call(VIRTUAL, "get_list"))
    table = _table(
        portal,
        VIRTUAL,
        names,
        description="get_description",
        destination="get_destination_v2",
        pool="get_default_pool_name",
        profiles="get_profile",
        rules="get_rule",
        persist="get_persistence_profile",
        snat="get_snat_type",
    )
    for name, said in table:
        rules = sorted(said["rules"] or (), key=lambda one: int(one["priority"]))
        yield (
            ("ltm virtual", name),
            {
                "description": str(said["description"] or "none"),
                "destination": endpoint(_member_name(said["destination"])),
                "persist": {str(one["profile_name"]): {"default": "yes"} for one in said["persist"] or ()},
                "pool": str(said["pool"] or "none"),
                "profiles": {
                    str(one["profile_name"]): {"context": _word(_CONTEXTS, one["profile_context"])}
                    for one in said["profiles"] or ()
                },
                "rules": tuple(str(one["rule_name"]) for one in rules),
                "source-address-translation": {"type": str(said["snat"]).removeprefix("SNAT_TYPE_").lower()},
            },
        )


# Writing.


def apply(portal: Portal, todo: Work, state: State) -> None:
    """Queue every call of the plan: what goes first, then everything in the order of references, then what is left."""
    changed = {(update.wanted.kind, update.wanted.path): update.wanted for update in todo.updates}
    rebuilt = {update.wanted.path for update in todo.updates if update.rebuild}
    going = rebuilt | {path for kind, path in todo.removes if kind == "ltm node"}
    doomed = [path for kind, path in todo.removes if kind == "ltm virtual"]
    if doomed:
        portal.call(VIRTUAL, "delete_virtual_server", doomed)
    _take_members_out(portal, todo, state, going)
    if going:
        portal.call(NODE, "delete_node_address", sorted(going))
    for one in (*todo.creates, *changed.values(), *todo.unchanged):
        new = one in todo.creates or one.path in rebuilt
        if new or one in changed.values() or (one.kind == "ltm pool" and going):
            _WRITERS[one.kind](portal, one, state, new, going)
    for kind, path in todo.removes:
        if kind in _REMOVERS:
            portal.call(*_REMOVERS[kind], [path])


def _node(portal: Portal, one: Object, _state: State, new: bool, _going: set[str]) -> None:
    if new:
        portal.call(NODE, "create", [one.path], [one.properties["address"]], [0])
    portal.call(NODE, "set_description", [one.path], [one.properties["description"]])


def _monitor(portal: Portal, one: Object, _state: State, new: bool, _going: set[str]) -> None:
    own, kind = one.properties, one.kind.rpartition(" ")[2]
    if new:
        any_port = {"address_type": "ATYPE_STAR_ADDRESS_STAR_PORT", "ipport": {"address": "0.0.0.0", "port": 0}}  # noqa: S104  # every member
        common = {
            "parent_template": f"/Common/{kind}",
            "interval": own["interval"],
            "timeout": own["timeout"],
            "dest_ipport": any_port,
            "is_read_only": False,
            "is_directly_usable": True,
        }
        template = {"template_name": one.path, "template_type": f"TTYPE_{kind.upper()}"}
        portal.call(MONITOR, "create_template", [template], [common])
    for key, name in _STRINGS.items():
        portal.call(MONITOR, "set_template_string_property", [one.path], [{"type": name, "value": own[key]}])
    for key, name in _NUMBERS.items():
        portal.call(MONITOR, "set_template_integer_property", [one.path], [{"type": name, "value": own[key]}])
    portal.call(MONITOR, "set_description", [one.path], [own["description"]])


def _pool(portal: Portal, one: Object, state: State, new: bool, going: set[str]) -> None:
    own = one.properties
    members = mapping(own["members"])
    mode = _MODES[str(own["load-balancing-mode"])]
    there = set() if new else _names(state.found[one.kind, one.path].get("members"))
    there = {name for name in there if member_node(name) not in going}
    missing = [_endpoint(name) for name in sorted(members) if name not in there]
    if new:
        portal.call(POOL, "create_v2", [one.path], [mode], [missing])
    else:
        portal.call(POOL, "set_lb_method", [one.path], [mode])
        if missing:
            portal.call(POOL, "add_member_v2", [one.path], [missing])
    rule = {"type": "MONITOR_RULE_TYPE_SINGLE", "quorum": 0, "monitor_templates": [own["monitor"]]}
    portal.call(POOL, "set_monitor_association", [{"pool_name": one.path, "monitor_rule": rule}])
    portal.call(POOL, "set_slow_ramp_time", [one.path], [own["slow-ramp-time"]])
    portal.call(POOL, "set_minimum_active_member", [one.path], [own["min-active-members"]])
    portal.call(POOL, "set_action_on_service_down", [one.path], [_ACTIONS[str(own["service-down-action"])]])
    portal.call(POOL, "set_description", [one.path], [own["description"]])
    _member_settings(portal, one.path, members)


def _member_settings(portal: Portal, pool: str, members: Mapping[str, Value]) -> None:
    settings = [(name, each) for name, each in sorted(members.items()) if isinstance(each, Mapping)]
    names = [[_endpoint(name) for name, _ in settings]]
    portal.call(POOL, "set_member_priority", [pool], names, [[each["priority-group"] for _, each in settings]])
    portal.call(POOL, "set_member_ratio", [pool], names, [[each["ratio"] for _, each in settings]])
    sessions = [_STATES[each["session"] == "user-enabled"] for _, each in settings]
    portal.call(POOL, "set_member_session_enabled_state", [pool], names, [sessions])
    states = [_STATES[each["state"] == "user-up"] for _, each in settings]
    portal.call(POOL, "set_member_monitor_state", [pool], names, [states])


def _take_members_out(portal: Portal, todo: Work, state: State, going: set[str]) -> None:
    wanted = {update.wanted.path: _names(update.wanted.properties.get("members")) for update in todo.updates}
    for (kind, path), values in sorted(state.found.items()):
        if kind != "ltm pool":
            continue
        there = _names(values.get("members"))
        gone = {name for name in there if member_node(name) in going or (path in wanted and name not in wanted[path])}
        if gone:
            portal.call(POOL, "remove_member_v2", [path], [[_endpoint(name) for name in sorted(gone)]])


def _names(members: "Value | None") -> set[str]:
    return set(members) if isinstance(members, Mapping) else set()


def _endpoint(name: str) -> dict[str, Any]:
    node = member_node(name)
    return {"address": node, "port": int(name[len(node) + 1 :])}


def _virtual(portal: Portal, one: Object, _state: State, new: bool, _going: set[str]) -> None:
    own = one.properties
    destination = _endpoint(str(own["destination"]))
    profiles, rules, persist = own["profiles"], own["rules"], own.get("persist", {})
    assert isinstance(profiles, Mapping) and isinstance(rules, tuple)  # noqa: S101, PT018  # a virtual server of a farm
    definition = {"name": one.path, **destination, "protocol": "PROTOCOL_TCP"}
    resource = {"type": "RESOURCE_TYPE_POOL", "default_pool_name": own.get("pool", "")}
    attached = [
        {"profile_context": _CONTEXTS[str(side["context"])], "profile_name": path}
        for path, side in sorted(profiles.items())
        if isinstance(side, Mapping)
    ]
    # It creates or updates.
    portal.call(VIRTUAL, "create", [definition], [_wildmask(str(destination["address"]))], [resource], [attached])
    portal.call(VIRTUAL, "set_snat_automap", [one.path])
    if not new:
        portal.call(VIRTUAL, "remove_all_rules", [one.path])
        portal.call(VIRTUAL, "remove_all_persistence_profiles", [one.path])
    if rules:
        numbered = [{"rule_name": rule, "priority": number} for number, rule in enumerate(rules)]
        portal.call(VIRTUAL, "add_rule", [one.path], [numbered])
    if isinstance(persist, Mapping) and persist:
        named = [{"profile_name": path, "default_profile": True} for path in sorted(persist)]
        portal.call(VIRTUAL, "add_persistence_profile", [one.path], [named])
    portal.call(VIRTUAL, "set_description", [one.path], [own["description"]])


def _wildmask(path: str) -> str:
    """The mask of one address, or that of all of them."""
    address = ipaddress.ip_address(path.rpartition("/")[2])
    if address.is_unspecified:
        return str(address)
    return str(ipaddress.ip_network(f"{address}/{address.max_prefixlen}").netmask)


_WRITERS: Final = {
    "ltm node": _node,
    "ltm monitor http": _monitor,
    "ltm monitor https": _monitor,
    "ltm pool": _pool,
    "ltm virtual": _virtual,
}
_REMOVERS: Final = {
    "ltm monitor http": (MONITOR, "delete_template"),
    "ltm monitor https": (MONITOR, "delete_template"),
    "ltm pool": (POOL, "delete_pool"),
}
