"""The calls of a transaction by iControl SOAP, in the order of the push's commands."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from ....generators.f5.generator import member_node
from ....generators.f5.vocabulary import Object, Value, mapping, monitors_of
from ..order import Command
from ..plan import State
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
    flagged,
)

_STATES: Final = {True: "STATE_ENABLED", False: "STATE_DISABLED"}


def queue(portal: Portal, commands: Iterable[Command], state: State) -> None:
    """Queue every command in the open transaction."""
    writer = _Writer(portal, state)
    for (removes, kind, path), group in groupby(commands, key=lambda one: (one.verb == "remove", one.kind, one.path)):
        if removes:
            writer.remove(kind, path, list(group))
        else:
            writer.bring(list(group))


class _Writer:
    def __init__(self, portal: Portal, state: State) -> None:
        self.portal, self.state = portal, state

    def remove(self, kind: str, path: str, commands: Sequence[Command]) -> None:
        """Remove an object, or some members of a pool with one call."""
        members = [_endpoint(one.member) for one in commands if one.member]
        if members:
            self.portal.call(POOL, "remove_member_v2", [path], [members])
        if any(not one.member for one in commands):
            interface = INTERFACES[kind]
            self.portal.call(interface.name, interface.removal, [path])

    def bring(self, commands: Sequence[Command]) -> None:
        """Create or change one object, with its members."""
        first = commands[0]
        one = first.wanted
        assert one is not None  # noqa: S101  # only a removal has none
        is_new = first.verb == "create" and not first.member
        changed = set(first.keys)
        if is_new:
            self._create(one)
        interface = INTERFACES[one.kind]
        for key in sorted(changed & interface.properties.keys()):
            each = interface.properties[key]
            self.portal.call(interface.name, each.setter, [one.path], [each.sent(one.properties[key])])
        if one.kind == "ltm pool":
            self._pool(one, changed, [each for each in commands if each.member])
        else:
            self._attributes(one, changed, is_new=is_new)

    # Objects and properties that need calls of their own.

    def _create(self, one: Object) -> None:
        own = one.properties
        call = self.portal.call
        match one.kind:
            case "ltm node":
                call(NODE, "create", [one.path], [own["address"]], [0])
            case "ltm monitor http" | "ltm monitor https" | "ltm monitor tcp":
                self._create_monitor(one)
            case "ltm pool":
                mode = INTERFACES[one.kind].properties["load-balancing-mode"].sent(own["load-balancing-mode"])
                members = [_endpoint(name) for name in sorted(_names(own["members"]))]
                call(POOL, "create_v2", [one.path], [mode], [members])
            case "ltm profile client-ssl":
                site = _site(one)
                call(CLIENT_SSL, "create_v2", [one.path], [flagged(site["key"])], [flagged(site["cert"])])
            case "ltm persistence cookie" | "ltm persistence source-addr":
                call(PERSISTENCE, "create", [one.path], [PERSISTENCE_MODES[one.kind]])
            case "ltm rule":
                call(RULE, "create", [{"rule_name": one.path, "rule_definition": own["definition"]}])
            case "ltm virtual":
                self._virtual(one)
            case _:
                call(INTERFACES[one.kind].name, "create", [one.path])

    def _attributes(self, one: Object, changed: set[str], *, is_new: bool) -> None:
        """Set the properties that need their own calls."""
        if one.kind in TEMPLATES:
            self._monitor(one, changed)
        elif one.kind == "ltm profile client-ssl" and "cert-key-chain" in changed:
            site = _site(one)
            if not is_new:
                files = [flagged(site["key"])], [flagged(site["cert"])]
                self.portal.call(CLIENT_SSL, "set_key_certificate_file", [one.path], *files)
            self.portal.call(CLIENT_SSL, "set_chain_file_v2", [one.path], [flagged(site.get("chain", "none"))])
        elif one.kind == "ltm rule" and not is_new:
            text = {"rule_name": one.path, "rule_definition": one.properties["definition"]}
            self.portal.call(RULE, "modify_rule", [text])
        elif one.kind == "ltm virtual":
            self._attach(one, changed, is_new=is_new)

    def _create_monitor(self, one: Object) -> None:
        any_port = {"address_type": "ATYPE_STAR_ADDRESS_STAR_PORT", "ipport": {"address": "0.0.0.0", "port": 0}}  # noqa: S104  # every member
        common = {
            "parent_template": f"/Common/{one.kind.rpartition(' ')[2]}",
            "interval": one.properties["interval"],
            "timeout": one.properties["timeout"],
            "dest_ipport": any_port,
            "is_read_only": False,
            "is_directly_usable": True,
        }
        template = {"template_name": one.path, "template_type": TEMPLATES[one.kind]}
        self.portal.call(MONITOR, "create_template", [template], [common])

    def _monitor(self, one: Object, changed: set[str]) -> None:
        # The interval must always be less than the timeout: a larger timeout is set first, a smaller one last.
        before = self.state.found.get((one.kind, one.path), {}).get("timeout", one.properties["timeout"])
        grows = int(str(one.properties["timeout"])) > int(str(before))
        for method, words in (("string", STRINGS), ("integer", NUMBERS)):
            for key in sorted(changed & words.keys(), reverse=grows):
                value = {"type": words[key], "value": one.properties[key]}
                self.portal.call(MONITOR, f"set_template_{method}_property", [one.path], [value])

    def _pool(self, one: Object, changed: set[str], commands: Sequence[Command]) -> None:
        """Add members, and set the monitor and the members' properties."""
        added = [_endpoint(command.member) for command in commands if command.verb == "create"]
        if added:
            self.portal.call(POOL, "add_member_v2", [one.path], [added])
        if "monitor" in changed:
            monitors = monitors_of(str(one.properties["monitor"]))
            kind = "MONITOR_RULE_TYPE_SINGLE" if len(monitors) == 1 else "MONITOR_RULE_TYPE_AND_LIST"
            rule = {"type": kind, "quorum": 0, "monitor_templates": monitors}
            self.portal.call(POOL, "set_monitor_association", [{"pool_name": one.path, "monitor_rule": rule}])
        if commands or "members" in changed:
            self._member_settings(one.path, mapping(one.properties["members"]))

    def _member_settings(self, pool: str, members: Mapping[str, Value]) -> None:
        settings = [(name, mapping(each)) for name, each in sorted(members.items())]
        if not settings:
            return
        names = [[_endpoint(name) for name, _ in settings]]
        columns: dict[str, list[Any]] = {
            "set_member_priority": [each["priority-group"] for _, each in settings],
            "set_member_ratio": [each["ratio"] for _, each in settings],
            "set_member_session_enabled_state": [_STATES[each["session"] == "user-enabled"] for _, each in settings],
            "set_member_monitor_state": [_STATES[each["state"] == "user-up"] for _, each in settings],
        }
        for method, column in columns.items():
            self.portal.call(POOL, method, [pool], names, [column])

    def _virtual(self, one: Object) -> None:
        """Create a virtual server, or change the address, pool and profiles of an existing one."""
        own = one.properties
        destination = _endpoint(str(own["destination"]).rpartition("/")[2])
        definition = {"name": one.path, **destination, "protocol": "PROTOCOL_TCP"}
        pool = own.get("pool", "none")
        resource = {"type": "RESOURCE_TYPE_POOL", "default_pool_name": "" if pool == "none" else pool}
        profiles = [
            {"profile_context": CONTEXTS[str(mapping(side)["context"])], "profile_name": path}
            for path, side in sorted(mapping(own["profiles"]).items())
        ]
        mask = _wildmask(destination["address"])
        self.portal.call(VIRTUAL, "create", [definition], [mask], [resource], [profiles])

    def _attach(self, one: Object, changed: set[str], *, is_new: bool) -> None:
        """Attach rules and persistence to a virtual server. Old ones are removed before the profiles that they need."""
        if not is_new:
            if "rules" in changed:
                self.portal.call(VIRTUAL, "remove_all_rules", [one.path])
            if "persist" in changed:
                self.portal.call(VIRTUAL, "remove_all_persistence_profiles", [one.path])
            if changed & {"destination", "profiles"}:
                self._virtual(one)
        if "source-address-translation" in changed:
            self.portal.call(VIRTUAL, "set_snat_automap", [one.path])
        rules, persist = one.properties.get("rules", ()), mapping(one.properties.get("persist", {}))
        assert isinstance(rules, tuple)  # noqa: S101  # the view made it
        if "rules" in changed and rules:
            numbered = [{"rule_name": rule, "priority": number} for number, rule in enumerate(rules)]
            self.portal.call(VIRTUAL, "add_rule", [one.path], [numbered])
        if "persist" in changed and persist:
            named = [{"profile_name": path, "default_profile": True} for path in sorted(persist)]
            self.portal.call(VIRTUAL, "add_persistence_profile", [one.path], [named])


def _names(members: "Value | None") -> set[str]:
    return set(members) if isinstance(members, Mapping) else set()


def _endpoint(name: str) -> dict[str, Any]:
    node = member_node(name)
    return {"address": node, "port": int(name[len(node) + 1 :])}


def _site(one: Object) -> Mapping[str, Any]:
    """Return the certificate of a client-ssl profile, with its key and chain."""
    return mapping(next(iter(mapping(one.properties["cert-key-chain"]).values())))


def _wildmask(text: str) -> str:
    """Return the mask of one address, or of all addresses."""
    address = ipaddress.ip_address(text)
    if address.is_unspecified:
        return str(address)
    return str(ipaddress.ip_network(f"{address}/{address.max_prefixlen}").netmask)
