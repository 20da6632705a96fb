"""iControl SOAP on the simulated BIG-IP: the recorded WSDLs, sessions, and transactions that answer at the end."""

import copy
import re
import xml.etree.ElementTree as ET
from base64 import b64encode
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded" / "wsdl"
Json = dict[str, Any]

OWN = """<?xml version="1.0"?>
<definitions name="{name}" targetNamespace="urn:iControl" xmlns:tns="urn:iControl" xmlns="http://schemas.xmlsoap.org/wsdl/"
 xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xsd="http://www.w3.org/2001/XMLSchema">
 <types><xsd:schema targetNamespace="urn:iControl"></xsd:schema></types>
 <message name="{name}.{method}Request">{parts}</message>
 <message name="{name}.{method}Response">{result}</message>
 <portType name="{name}PortType"><operation name="{method}">
  <input message="tns:{name}.{method}Request"/><output message="tns:{name}.{method}Response"/></operation></portType>
 <binding name="{name}Binding" type="tns:{name}PortType"><soap:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>
  <operation name="{method}"><soap:operation soapAction="urn:iControl:{path}"/>
   <input><soap:body use="encoded" namespace="urn:iControl:{path}" encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"/></input>
   <output><soap:body use="encoded" namespace="urn:iControl:{path}" encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"/></output>
  </operation></binding>
 <service name="{name}"><port name="{name}Port" binding="tns:{name}Binding"><soap:address location="https://url_to_service"/></port></service>
</definitions>"""
SMALL = {
    "System.Failover": ("get_failover_state", "", '<part name="return" type="xsd:string"/>'),
    "System.ConfigSync": (
        "save_configuration",
        '<part name="filename" type="xsd:string"/><part name="save_flag" type="xsd:string"/>',
        "",
    ),
}
MODES = {
    "LB_METHOD_ROUND_ROBIN": "round-robin",
    "LB_METHOD_RATIO_MEMBER": "ratio-member",
    "LB_METHOD_LEAST_CONNECTION_MEMBER": "least-connections-member",
    "LB_METHOD_RATIO_LEAST_CONNECTION_MEMBER": "ratio-least-connections-member",
}
CONTEXTS = {
    "PROFILE_CONTEXT_TYPE_ALL": "all",
    "PROFILE_CONTEXT_TYPE_CLIENT": "clientside",
    "PROFILE_CONTEXT_TYPE_SERVER": "serverside",
}
STRINGS = {"STYPE_SEND": "send", "STYPE_RECEIVE": "recv"}
NUMBERS = {"ITYPE_INTERVAL": "interval", "ITYPE_TIMEOUT": "timeout", "ITYPE_TIME_UNTIL_UP": "timeUntilUp"}
KINDS = {"NodeAddressV2": "ltm node", "Pool": "ltm pool", "VirtualServer": "ltm virtual"}


def wsdl(name: str) -> str | None:
    if name in SMALL:
        method, parts, result = SMALL[name]
        return OWN.format(name=name, method=method, parts=parts, result=result, path=name.replace(".", "/"))
    path = RECORDED / f"{name}.wsdl"
    return path.read_text(encoding="utf-8") if path.exists() else None


def value_of(element: ET.Element) -> Any:
    children = list(element)
    if children and all(child.tag in {"item", "items"} for child in children):
        return [value_of(child) for child in children]
    if children:
        return {child.tag: value_of(child) for child in children}
    return element.text or ""


def listed(value: Any) -> list[Any]:
    """A sequence; an empty one cannot be told from an empty text."""
    return value if isinstance(value, list) else []


def xml_of(value: Any, name: str) -> str:
    if isinstance(value, list):
        inner = "".join(xml_of(each, "item") for each in value)
        return f'<{name} s:type="A:Array" A:arrayType="s:anyType[{len(value)}]">{inner}</{name}>'
    if isinstance(value, dict):
        return f"<{name}>{''.join(xml_of(each, key) for key, each in value.items())}</{name}>"
    return f"<{name}>{escape(str(value))}</{name}>"


class Fault(Exception):  # noqa: N818  # an answer, not a fault of ours
    pass


class Portal:
    """Give it to the device's `portal`."""

    def __init__(self) -> None:
        self.sessions: dict[str, list[tuple[str, str, Json]] | None] = {}
        self.calls: list[tuple[str, str]] = []
        self.submitted = 0
        self.cut_submission = ""
        """`before` or `after`: answer the next submission with nothing that can be read."""

    def __call__(self, device: Any, method: str, target: str, headers: Any, body: bytes) -> tuple[int, Any]:
        wanted = "Basic " + b64encode(f"{device.user}:{device.password}".encode()).decode()
        if headers.get("Authorization") != wanted:
            return 401, "<html>401 Authorization Required</html>"
        if method == "GET":
            found = wsdl(target.partition("WSDL=")[2])
            return (200, found) if found else (500, "<html>no such WSDL</html>")
        call = next(iter(ET.fromstring(body).find("{http://schemas.xmlsoap.org/soap/envelope/}Body")))  # type: ignore[arg-type]
        namespace, _, name = call.tag[1:].partition("}")
        interface = namespace.removeprefix("urn:iControl:").replace("/", ".")
        arguments = {child.tag: value_of(child) for child in call}
        self.calls.append((interface, name))
        session = headers.get("X-iControl-Session") or f"user:{device.user}"
        cut = self.cut_submission if name == "submit_transaction" else ""
        if cut:
            self.cut_submission = ""
        if cut == "before":
            return 503, "<html>...Configuration Utility restarting...</html>"
        try:
            result = self.run(device, session, interface, name, arguments)
            if cut:
                return 200, "\x00not xml"
        except Fault as fault:
            return 500, self.envelope(
                f"<E:Fault><faultcode>E:Server</faultcode><faultstring>Exception caught in {interface}::{name}()\n"
                f"Exception: Common::OperationFailed\n\tprimary_error_code   : 16908342 (0x01020036)\n"
                f"\tsecondary_error_code : 0\n\terror_string         : {escape(str(fault))}</faultstring></E:Fault>"
            )
        inner = "" if result is None else xml_of(result, "return")
        return 200, self.envelope(f'<m:{name}Response xmlns:m="{namespace}">{inner}</m:{name}Response>')

    def envelope(self, body: str) -> str:
        return (
            '<?xml version="1.0" encoding="UTF-8"?><E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:A="http://schemas.xmlsoap.org/soap/encoding/" xmlns:s="http://www.w3.org/2001/XMLSchema-instance">'
            f"<E:Body>{body}</E:Body></E:Envelope>"
        )

    def run(self, device: Any, session: str, interface: str, name: str, arguments: Json) -> Any:
        if interface == "System.Session":
            return self.session(device, session, name)
        if interface == "System.SystemInfo":
            return f"BIG-IP_v{device.version}"
        if interface == "System.Failover":
            return f"FAILOVER_STATE_{device.failover.upper()}"
        if interface == "System.ConfigSync":
            device.saved = copy.deepcopy(device.objects)
            return None
        if name.startswith("get_"):
            return Reader(device).run(interface, name, arguments)
        queue = self.sessions.get(session)
        if queue is not None:
            queue.append((interface, name, arguments))
            return None
        raise Fault(f"{interface}.{name} outside of a transaction is not expected here")

    def session(self, device: Any, session: str, name: str) -> Any:
        if name == "get_session_identifier":
            return 4711 + len(self.sessions)
        if name == "start_transaction":
            if self.sessions.get(session) is not None:
                raise Fault("A transaction is open already")
            self.sessions[session] = []
            return 1
        queue = self.sessions.get(session)
        if queue is None:
            raise Fault("No transaction is open")
        self.sessions[session] = None
        if name == "submit_transaction":
            self.submit(device, queue)
        return None

    def submit(self, device: Any, queue: list[tuple[str, str, Json]]) -> None:
        module = __import__("sys").modules["f5_bigip"]
        trial = copy.deepcopy(device.objects)
        try:
            for interface, name, arguments in queue:
                Writer(device, trial).run(interface, name, arguments)
            module.check(trial, device)
        except module.Refusal as refusal:
            raise Fault(refusal.message) from None
        device.objects = trial
        self.submitted += 1


class Reader:
    def __init__(self, device: Any) -> None:
        self.device = device

    def run(self, interface: str, name: str, arguments: Json) -> Any:
        short = interface.rpartition(".")[2]
        if short == "Monitor":
            return self.monitor(name, arguments)
        kind = KINDS[short]
        if name == "get_list":
            return [path for found, path in sorted(self.device.objects) if found == kind]
        names = listed(next(iter(arguments.values())))
        for path in names:
            if (kind, path) not in self.device.objects:
                raise Fault(f"01020036:3: The requested object ({path}) was not found.")
        found = [self.device.effective(kind, path) for path in names]
        if name.startswith("get_member_") and name != "get_member_v2":
            return [self.member(name, one, arguments["members"][number]) for number, one in enumerate(found)]
        return [getattr(self, f"{short.lower()}_{name[4:]}", self.plain)(one, name) for one in found]

    def plain(self, one: Json, name: str) -> Any:
        return {"get_description": one.get("description") or "", "get_address": one.get("address")}[name]

    def monitor(self, name: str, arguments: Json) -> Any:
        kinds = {"ltm monitor http": "TTYPE_HTTP", "ltm monitor https": "TTYPE_HTTPS"}
        if name == "get_template_list":
            return [
                {"template_name": path, "template_type": kinds[kind]}
                for kind, path in sorted(self.device.objects)
                if kind in kinds
            ]
        made = []
        for number, path in enumerate(listed(arguments["template_names"])):
            kind = next(kind for kind in kinds if (kind, path) in self.device.objects)
            one = self.device.effective(kind, path)
            if name == "get_description":
                made.append(one.get("description") or "")
                continue
            wanted = arguments["property_types"][number]
            value = one.get({**STRINGS, **NUMBERS}[wanted])
            made.append({"type": wanted, "value": "" if value is None else value})
        return made

    def members(self, one: Json) -> list[Json]:
        return sorted(one.get("members", []), key=lambda member: str(member["name"]))

    def pool_lb_method(self, one: Json, _: str) -> Any:
        return next(name for name, word in MODES.items() if word == one["loadBalancingMode"])

    def pool_member_v2(self, one: Json, _: str) -> Any:
        return [endpoint(member["name"]) for member in self.members(one)]

    def pool_minimum_active_member(self, one: Json, _: str) -> Any:
        return one["minActiveMembers"]

    def pool_slow_ramp_time(self, one: Json, _: str) -> Any:
        return one["slowRampTime"]

    def pool_action_on_service_down(self, one: Json, _: str) -> Any:
        return f"SERVICE_DOWN_ACTION_{one['serviceDownAction'].upper()}"

    def pool_monitor_association(self, one: Json, _: str) -> Any:
        monitors = [one["monitor"]] if one.get("monitor") else []
        kind = "MONITOR_RULE_TYPE_SINGLE" if monitors else "MONITOR_RULE_TYPE_NONE"
        return {"pool_name": "x", "monitor_rule": {"type": kind, "quorum": 0, "monitor_templates": monitors}}

    def member(self, name: str, one: Json, wanted: list[Json]) -> list[Any]:
        by_name = {str(member["name"]): member for member in one["members"]}
        found = [by_name[joined(each)] for each in wanted]
        if name == "get_member_priority":
            return [member.get("priorityGroup", 0) for member in found]
        if name == "get_member_ratio":
            return [member.get("ratio", 1) for member in found]
        if name == "get_member_session_status":
            off = {"user-disabled": "SESSION_STATUS_FORCED_DISABLED"}
            return [off.get(member.get("session"), "SESSION_STATUS_ENABLED") for member in found]
        down = {"user-down": "MONITOR_STATUS_FORCED_DOWN"}
        return [down.get(member.get("state"), "MONITOR_STATUS_UP") for member in found]

    def virtualserver_destination_v2(self, one: Json, _: str) -> Any:
        return endpoint(one["destination"])

    def virtualserver_default_pool_name(self, one: Json, _: str) -> Any:
        return one.get("pool") or ""

    def virtualserver_snat_type(self, one: Json, _: str) -> Any:
        return f"SNAT_TYPE_{one['sourceAddressTranslation']['type'].upper()}"

    def virtualserver_rule(self, one: Json, _: str) -> Any:
        return [{"rule_name": rule, "priority": number} for number, rule in enumerate(one["rules"])]

    def virtualserver_persistence_profile(self, one: Json, _: str) -> Any:
        return [{"profile_name": each["name"], "default_profile": 1} for each in one["persist"]]

    def virtualserver_profile(self, one: Json, _: str) -> Any:
        names = {word: name for name, word in CONTEXTS.items()}
        return [
            {
                "profile_type": "PROFILE_TYPE_TCP",
                "profile_context": names[each["context"]],
                "profile_name": each["name"],
            }
            for each in one["profiles"]
        ]


def endpoint(name: str) -> Json:
    node = name.rpartition("." if name.count(":") > 1 else ":")[0]
    return {"address": node, "port": int(name[len(node) + 1 :])}


def joined(each: Json) -> str:
    return f"{each['address']}{'.' if ':' in each['address'] else ':'}{each['port']}"


class Writer:
    """Queued calls on a trial copy, by the REST model underneath."""

    def __init__(self, device: Any, objects: Any) -> None:
        self.device, self.objects = device, objects

    def rest(self, method: str, kind: str, path: str, body: Any = None) -> None:
        url = f"/mgmt/tm/{kind.replace(' ', '/')}"
        if method == "POST":
            body = {"name": path, **body}
        else:
            url += f"/{path.replace('/', '~')}"
        self.device.apply(self.objects, method, url, body)

    def run(self, interface: str, name: str, arguments: Json) -> None:
        values = list(arguments.values())
        getattr(self, f"{interface.rpartition('.')[2].lower()}_{name}")(*values)

    # Nodes.

    def nodeaddressv2_create(self, names: Any, addresses: Any, _limits: Any) -> None:
        for name, address in zip(names, addresses, strict=True):
            self.rest("POST", "ltm node", name, {"address": address})

    def nodeaddressv2_set_description(self, names: Any, texts: Any) -> None:
        self.rest("PATCH", "ltm node", names[0], {"description": texts[0]})

    def nodeaddressv2_delete_node_address(self, names: Any) -> None:
        for name in names:
            self.rest("DELETE", "ltm node", name)

    # Monitors.

    def monitor_kind(self, path: str) -> str:
        return next(kind for kind in ("ltm monitor http", "ltm monitor https") if (kind, path) in self.objects)

    def monitor_create_template(self, templates: Any, attributes: Any) -> None:
        for template, own in zip(templates, attributes, strict=True):
            kind = f"ltm monitor {template['template_type'].removeprefix('TTYPE_').lower()}"
            body = {"interval": int(own["interval"]), "timeout": int(own["timeout"])}
            self.rest("POST", kind, template["template_name"], {**body, "defaultsFrom": own["parent_template"]})

    def monitor_set_template_string_property(self, names: Any, values: Any) -> None:
        self.rest("PATCH", self.monitor_kind(names[0]), names[0], {STRINGS[values[0]["type"]]: values[0]["value"]})

    def monitor_set_template_integer_property(self, names: Any, values: Any) -> None:
        self.rest("PATCH", self.monitor_kind(names[0]), names[0], {NUMBERS[values[0]["type"]]: int(values[0]["value"])})

    def monitor_set_description(self, names: Any, texts: Any) -> None:
        self.rest("PATCH", self.monitor_kind(names[0]), names[0], {"description": texts[0]})

    def monitor_delete_template(self, names: Any) -> None:
        self.rest("DELETE", self.monitor_kind(names[0]), names[0])

    # Pools.

    def pool_create_v2(self, names: Any, modes: Any, members: Any) -> None:
        body = {"loadBalancingMode": MODES[modes[0]], "members": [{"name": joined(one)} for one in listed(members[0])]}
        self.rest("POST", "ltm pool", names[0], body)

    def pool_delete_pool(self, names: Any) -> None:
        self.rest("DELETE", "ltm pool", names[0])

    def pool_add_member_v2(self, names: Any, members: Any) -> None:
        for one in members[0]:
            path = f"/mgmt/tm/ltm/pool/{names[0].replace('/', '~')}/members"
            self.device.apply(self.objects, "POST", path, {"name": joined(one)})

    def pool_remove_member_v2(self, names: Any, members: Any) -> None:
        for one in members[0]:
            path = f"/mgmt/tm/ltm/pool/{names[0].replace('/', '~')}/members/{joined(one).replace('/', '~')}"
            self.device.apply(self.objects, "DELETE", path, None)

    def pool_patch(self, names: Any, **own: Any) -> None:
        self.rest("PATCH", "ltm pool", names[0], own)

    def pool_set_lb_method(self, names: Any, modes: Any) -> None:
        self.pool_patch(names, loadBalancingMode=MODES[modes[0]])

    def pool_set_monitor_association(self, associations: Any) -> None:
        rule = associations[0]["monitor_rule"]
        self.pool_patch([associations[0]["pool_name"]], monitor=rule["monitor_templates"][0])

    def pool_set_slow_ramp_time(self, names: Any, values: Any) -> None:
        self.pool_patch(names, slowRampTime=int(values[0]))

    def pool_set_minimum_active_member(self, names: Any, values: Any) -> None:
        self.pool_patch(names, minActiveMembers=int(values[0]))

    def pool_set_action_on_service_down(self, names: Any, values: Any) -> None:
        self.pool_patch(names, serviceDownAction=values[0].removeprefix("SERVICE_DOWN_ACTION_").lower())

    def pool_set_description(self, names: Any, texts: Any) -> None:
        self.pool_patch(names, description=texts[0])

    def member_patch(self, names: Any, members: Any, key: str, values: Any) -> None:
        for one, value in zip(members[0], values, strict=True):
            path = f"/mgmt/tm/ltm/pool/{names[0].replace('/', '~')}/members/{joined(one).replace('/', '~')}"
            self.device.apply(self.objects, "PATCH", path, {key: value})

    def pool_set_member_priority(self, names: Any, members: Any, values: Any) -> None:
        self.member_patch(names, members, "priorityGroup", [int(value) for value in values[0]])

    def pool_set_member_ratio(self, names: Any, members: Any, values: Any) -> None:
        self.member_patch(names, members, "ratio", [int(value) for value in values[0]])

    def pool_set_member_session_enabled_state(self, names: Any, members: Any, values: Any) -> None:
        words = {"STATE_ENABLED": "user-enabled", "STATE_DISABLED": "user-disabled"}
        self.member_patch(names, members, "session", [words[value] for value in values[0]])

    def pool_set_member_monitor_state(self, names: Any, members: Any, values: Any) -> None:
        words = {"STATE_ENABLED": "user-up", "STATE_DISABLED": "user-down"}
        self.member_patch(names, members, "state", [words[value] for value in values[0]])

    # Virtual servers.

    def virtualserver_create(self, definitions: Any, masks: Any, resources: Any, profiles: Any) -> None:
        (one,), (mask,), (resource,) = definitions, masks, resources
        made = [{"name": each["profile_name"], "context": CONTEXTS[each["profile_context"]]} for each in profiles[0]]
        body = {"destination": joined(one), "ipProtocol": "tcp", "mask": mask, "profiles": made}
        if resource["default_pool_name"]:
            body["pool"] = resource["default_pool_name"]
        there = ("ltm virtual", one["name"]) in self.objects
        assert re.fullmatch("PROTOCOL_TCP", one["protocol"])
        self.rest("PATCH" if there else "POST", "ltm virtual", one["name"], body)

    def virtualserver_set_snat_automap(self, names: Any) -> None:
        self.rest("PATCH", "ltm virtual", names[0], {"sourceAddressTranslation": {"type": "automap"}})

    def virtualserver_set_description(self, names: Any, texts: Any) -> None:
        self.rest("PATCH", "ltm virtual", names[0], {"description": texts[0]})

    def virtualserver_add_rule(self, names: Any, rules: Any) -> None:
        self.rest("PATCH", "ltm virtual", names[0], {"rules": [each["rule_name"] for each in rules[0]]})

    def virtualserver_remove_all_rules(self, names: Any) -> None:
        self.rest("PATCH", "ltm virtual", names[0], {"rules": []})

    def virtualserver_remove_all_persistence_profiles(self, names: Any) -> None:
        self.rest("PATCH", "ltm virtual", names[0], {"persist": []})

    def virtualserver_add_persistence_profile(self, names: Any, profiles: Any) -> None:
        made = [{"name": each["profile_name"], "tmDefault": "yes"} for each in profiles[0]]
        self.rest("PATCH", "ltm virtual", names[0], {"persist": made})

    def virtualserver_delete_virtual_server(self, names: Any) -> None:
        for name in names:
            self.rest("DELETE", "ltm virtual", name)
