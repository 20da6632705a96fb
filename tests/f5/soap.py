"""iControl SOAP on the simulated BIG-IP: sessions with folders, and transactions that answer at the end.

It serves small descriptions of its own (wsdl.py), or the recorded ones. What it changes goes through the REST model
underneath, which is as strict as a device.
"""

import copy
import sys
import xml.etree.ElementTree as ET
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from xml.sax.saxutils import escape

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded" / "wsdl"
if TYPE_CHECKING:
    from tests.f5.bigip import BigIp, Headers, Key

Json: TypeAlias = dict[str, Any]
JsonValue: TypeAlias = Any
"""A value of a request or of an answer."""

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
KINDS = {
    "NodeAddressV2": ("ltm node",),
    "Pool": ("ltm pool",),
    "VirtualServer": ("ltm virtual",),
    "Rule": ("ltm rule",),
    "Monitor": ("ltm monitor http", "ltm monitor https", "ltm monitor tcp"),
    "ProfileHttp": ("ltm profile http",),
    "ProfileTCP": ("ltm profile tcp",),
    "ProfileClientSSL": ("ltm profile client-ssl",),
    "ProfileServerSSL": ("ltm profile server-ssl",),
    "ProfilePersistence": ("ltm persistence cookie", "ltm persistence source-addr"),
}
TEMPLATES = {
    "ltm monitor http": "TTYPE_HTTP",
    "ltm monitor https": "TTYPE_HTTPS",
    "ltm monitor tcp": "TTYPE_TCP",
}
PERSISTENCE = {
    "ltm persistence cookie": "PERSISTENCE_MODE_COOKIE",
    "ltm persistence source-addr": "PERSISTENCE_MODE_SOURCE_ADDRESS_AFFINITY",
}
OPTIONS = {
    "dont-insert-empty-fragments": "SSL_OPTION_DONT_INSERT_EMPTY_FRAGMENTS",
    "no-sslv3": "SSL_OPTION_NO_SSL_V3",
    "no-tlsv1": "SSL_OPTION_NO_TLS_V1",
    "no-tlsv1.1": "SSL_OPTION_NO_TLSv1_1",
    "no-tlsv1.2": "SSL_OPTION_NO_TLSv1_2",
    "no-tlsv1.3": "SSL_OPTION_NO_TLSv1_3",
}


class Setting(NamedTuple):
    """A property of a profile: its name in REST, and its value in SOAP (of the sequence `value` or `values`)."""

    rest: str
    shown: Callable[[Any], Any] = lambda value: "" if value in (None, "none") else value
    taken: Callable[[Any], Any] = lambda value: value or "none"
    key: str = "value"


def prefixed(rest: str, start: str) -> Setting:
    """A setting whose word in SOAP is that of REST in capitals, after this start."""
    return Setting(
        rest,
        shown=lambda value: f"{start}{value.upper()}",
        taken=lambda value: value.removeprefix(start).lower(),
    )


SETTINGS = {
    "authenticate_name": Setting("authenticateName"),
    "ca_file_v2": Setting("caFile"),
    "cipher_list": Setting("ciphers", lambda value: value.split(":"), ":".join, "values"),
    "cookie_name": Setting("cookieName"),
    "cookie_persistence_method": prefixed("method", "COOKIE_PERSISTENCE_METHOD_"),
    "header_insert": Setting("headerInsert"),
    "idle_timeout": Setting("idleTimeout", int, str),
    "insert_xforwarded_for_header_mode": prefixed("insertXforwardedFor", "PROFILE_MODE_"),
    "peer_certification_mode": prefixed("peerCertMode", "SERVERSSL_CERTIFICATE_MODE_"),
    "server_name": Setting("serverName"),
    "ssl_option": Setting(
        "tmOptions",
        lambda value: [OPTIONS[one] for one in value],
        lambda value: [own for own, name in OPTIONS.items() if name in value],
        "values",
    ),
}
SETTINGS["peer_certificate_mode"] = SETTINGS["peer_certification_mode"]
FILES = {"certificate_file_v2": "cert", "chain_file_v2": "chain", "key_file_v2": "key"}


def value_of(element: ET.Element) -> JsonValue:
    children = list(element)
    if children and all(child.tag in {"item", "items"} for child in children):
        return [value_of(child) for child in children]
    if children:
        return {child.tag: value_of(child) for child in children}
    return element.text or ""


def listed(value: JsonValue) -> list[Any]:
    """Return a sequence; XML has the same form for an empty sequence and an empty text."""
    return value if isinstance(value, list) else []


def xml_of(value: JsonValue, name: str) -> str:
    if isinstance(value, list):
        inner = "".join(xml_of(each, "item") for each in value)
        return f'<{name} s:type="A:Array" A:arrayType="s:anyType[{len(value)}]">{inner}</{name}>'
    if isinstance(value, dict):
        return f"<{name}>{''.join(xml_of(each, key) for key, each in value.items())}</{name}>"
    return f"<{name}>{escape(str(value))}</{name}>"


def file_of(kind: str, path: str) -> Json:
    """A certificate or key as F5's lists show it: the id has the folder, and no suffix."""
    named = {"id": path.rpartition(".")[0]}
    if kind == "sys file ssl-key":
        return {"key_info": {**named, "bit_length": 2048}, "file_name": path, "flags": 0}
    return {"certificate": {"cert_info": {**named, "email": ""}, "version": 3}, "is_bundled": 0, "file_name": path}


class Fault(Exception):  # noqa: N818  # an answer, not a fault of ours
    pass


@dataclass
class Session:
    """The folder of a session, and its queued calls (None outside of a transaction)."""

    folder: str = "/Common"
    recursive: bool = False
    queue: list[tuple[str, str, Json]] | None = None

    def sees(self, path: str) -> bool:
        above = path.rpartition("/")[0] or "/"
        return above == self.folder or (self.recursive and f"{above}/".startswith(f"{self.folder.rstrip('/')}/"))


@dataclass
class Portal:
    """The SOAP service; it belongs into the device's `portal`."""

    recorded: bool = False
    """Whether the recorded descriptions are served, where there are any."""
    sessions: dict[str, Session] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    submitted: int = 0
    numbered: int = 0
    """How many sessions have a number of their own."""

    def description(self, name: str) -> str | None:
        path = RECORDED / f"{name}.wsdl"
        if self.recorded and path.exists():
            return path.read_text(encoding="utf-8")
        small: str | None = sys.modules["f5_wsdl"].description(name)
        return small

    def writes(self) -> list[tuple[str, str]]:
        """The calls that change something on the device."""
        looking = ("get_", "query_", "set_active_folder", "set_recursive_query_state")
        return [call for call in self.calls if not call[1].startswith(looking)]

    def __call__(self, device: "BigIp", method: str, target: str, headers: "Headers", body: bytes) -> tuple[int, Any]:
        wanted = "Basic " + b64encode(f"{device.user}:{device.password}".encode()).decode()
        if headers.get("Authorization") != wanted:
            return 401, "<html>401 Authorization Required</html>"
        if method == "GET":
            found = self.description(target.partition("WSDL=")[2])
            return (200, found) if found else (500, "<html>no such WSDL</html>")
        call = next(iter(ET.fromstring(body).find("{http://schemas.xmlsoap.org/soap/envelope/}Body")))  # type: ignore[arg-type]
        namespace, _, name = call.tag[1:].partition("}")
        interface = namespace.removeprefix("urn:iControl:").replace("/", ".")
        arguments = {child.tag: value_of(child) for child in call}
        self.calls.append((interface, name))
        session = self.sessions.setdefault(headers.get("X-iControl-Session") or f"user:{device.user}", Session())
        try:
            result = self.run(device, session, interface, name, arguments)
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

    def run(self, device: "BigIp", session: Session, interface: str, name: str, arguments: Json) -> JsonValue:
        if interface == "System.Session":
            return self.session(device, session, name, arguments)
        if interface in {"System.SystemInfo", "System.Failover", "System.ConfigSync"}:
            return self.system(device, name, arguments)
        if interface.startswith("Management."):
            return self.manage(device, session, name, arguments)
        if name.startswith(("get_", "query_")):
            return Reader(device, session).run(interface, name, arguments)
        if session.queue is None:
            raise Fault(f"{interface}.{name} outside of a transaction is not expected here")
        session.queue.append((interface, name, arguments))
        return None

    def session(self, device: "BigIp", session: Session, name: str, arguments: Json) -> JsonValue:
        match name:
            case "get_session_identifier":
                self.numbered += 1
                return 4711 + self.numbered
            case "set_active_folder":
                folder = str(arguments["folder"])
                if folder != "/" and ("auth partition", folder[1:]) not in device.objects:
                    raise Fault(f"01020036:3: The requested folder ({folder}) was not found.")
                session.folder = folder
            case "set_recursive_query_state":
                session.recursive = arguments["state"] == "STATE_ENABLED"
            case "start_transaction":
                if session.queue is not None:
                    raise Fault("A transaction is open already")
                session.queue = []
                return 1
            case _:
                if session.queue is None:
                    raise Fault("No transaction is open")
                queue, session.queue = session.queue, None
                if name == "submit_transaction":
                    self.submit(device, session, queue)
        return None

    def system(self, device: "BigIp", name: str, arguments: Json) -> JsonValue:
        match name:
            case "get_version":
                return f"BIG-IP_v{device.version}"
            case "get_failover_state":
                return f"FAILOVER_STATE_{device.failover.upper()}"
            case "save_configuration":
                device.saved = copy.deepcopy(device.objects)
            case "synchronize_to_group":
                self.rest(device, "POST", "/mgmt/tm/cm", {"utilCmdArgs": f"config-sync to-group {arguments['group']}"})
        return None

    def manage(self, device: "BigIp", session: Session, name: str, arguments: Json) -> JsonValue:
        """Change partitions and certificate files: at once, also in a transaction."""
        if name == "get_partition_list":
            paths = sorted(path for kind, path in device.objects if kind == "auth partition")
            return [{"partition_name": path, "description": ""} for path in paths]
        if name == "get_default_route_domain":
            named = listed(arguments["partitions"])
            return [device.objects["auth partition", one].get("defaultRouteDomain", 0) for one in named]
        if name == "create_partition":
            for one in listed(arguments["partitions"]):
                body = {"name": one["partition_name"], "description": one["description"]}
                self.rest(device, "POST", "/mgmt/tm/auth/partition", body)
            return None
        if name in {"get_certificate_list", "get_key_list"}:
            return [file_of(*key) for key in sorted(device.objects) if self.lists(session, name, *key)]
        kind = "key" if name.startswith("key") else "cert"
        names = listed(arguments["key_ids" if kind == "key" else "cert_ids"])
        for number, one in enumerate(names):
            path = f"{session.folder}/{one}.{'key' if kind == 'key' else 'crt'}"
            if name.endswith("delete"):
                self.rest(device, "DELETE", f"/mgmt/tm/sys/file/ssl-{kind}/{path.replace('/', '~')}", None)
            else:
                last = path.rpartition("/")[2]
                content = listed(arguments["pem_data"])[number]
                device.objects[f"sys file ssl-{kind}", path] = {"name": last, "content": content}
        return None

    def lists(self, session: Session, name: str, kind: str, path: str) -> bool:
        wanted = "sys file ssl-key" if name == "get_key_list" else "sys file ssl-cert"
        return kind == wanted and session.sees(path)

    def rest(self, device: "BigIp", method: str, path: str, body: JsonValue) -> None:
        try:
            device._write(method, path, body)
        except sys.modules["f5_bigip"].Refusal as refusal:
            raise Fault(refusal.message) from None

    def submit(self, device: "BigIp", session: Session, queue: list[tuple[str, str, Json]]) -> None:
        module = sys.modules["f5_bigip"]
        trial = copy.deepcopy(device.objects)
        try:
            for interface, name, arguments in queue:
                Writer(device, session, trial).run(interface, name, arguments)
            module.check(trial)
        except module.Refusal as refusal:
            raise Fault(refusal.message) from None
        device.objects = trial
        self.submitted += 1


class Reader:
    """Queries: they run at once and do not see queued calls."""

    def __init__(self, device: "BigIp", session: Session) -> None:
        self.device, self.session = device, session

    def run(self, interface: str, name: str, arguments: Json) -> JsonValue:
        short = interface.rpartition(".")[2]
        if name in {"get_list", "get_template_list"}:
            return self.names(KINDS[short], templates=name == "get_template_list")
        names = listed(next(iter(arguments.values())))
        keys = [self.key(KINDS[short], path) for path in names]
        found = [self.device.effective(*key) for key in keys]
        match name:
            case "query_rule":
                return [
                    {"rule_name": path, "rule_definition": one["apiAnonymous"]}
                    for path, one in zip(names, found, strict=True)
                ]
            case "get_persistence_mode":
                return [{"value": PERSISTENCE[kind], "default_flag": 0} for kind, _ in keys]
            case "get_template_string_property" | "get_template_integer_property":
                wanted = listed(arguments["property_types"])
                return [self.monitor(one, each) for one, each in zip(found, wanted, strict=True)]
        if name.startswith("get_member_") and name != "get_member_v2":
            return [self.member(name, one, arguments["members"][number]) for number, one in enumerate(found)]
        return [getattr(self, f"{short.lower()}_{name[4:]}", self.plain)(one, name[4:]) for one in found]

    def names(self, kinds: tuple[str, ...], *, templates: bool) -> JsonValue:
        found = [key for key in sorted(self.device.objects) if key[0] in kinds and self.session.sees(key[1])]
        if templates:
            return [{"template_name": path, "template_type": TEMPLATES[kind]} for kind, path in found]
        return [path for _, path in found]

    def key(self, kinds: tuple[str, ...], path: str) -> tuple[str, str]:
        for kind in kinds:
            if (kind, path) in self.device.objects:
                return kind, path
        raise Fault(f"01020036:3: The requested object ({path}) was not found.")

    def plain(self, one: Json, name: str) -> JsonValue:
        if name in SETTINGS:
            setting = SETTINGS[name]
            return {setting.key: setting.shown(one.get(setting.rest)), "default_flag": 0}
        if name in FILES:
            entry: Json = next(iter(one.get("certKeyChain", [])), {})
            value = entry.get(FILES[name], "none")
            return {"value": "" if value == "none" else value, "default_flag": 0}
        rest = {"description": "description", "address": "address", "default_profile": "defaultsFrom"}[name]
        return one.get(rest) or ""

    def monitor(self, one: Json, wanted: str) -> Json:
        value = one.get({**STRINGS, **NUMBERS}[wanted])
        return {"type": wanted, "value": "" if value is None else value}

    def members(self, one: Json) -> list[Json]:
        return sorted(one.get("members", []), key=lambda member: str(member["name"]))

    def pool_lb_method(self, one: Json, _: str) -> JsonValue:
        return next(name for name, word in MODES.items() if word == one["loadBalancingMode"])

    def pool_member_v2(self, one: Json, _: str) -> JsonValue:
        return [endpoint(member["name"]) for member in self.members(one)]

    def pool_minimum_active_member(self, one: Json, _: str) -> JsonValue:
        return one["minActiveMembers"]

    def pool_slow_ramp_time(self, one: Json, _: str) -> JsonValue:
        return one["slowRampTime"]

    def pool_action_on_service_down(self, one: Json, _: str) -> JsonValue:
        return f"SERVICE_DOWN_ACTION_{one['serviceDownAction'].upper()}"

    def pool_monitor_association(self, one: Json, _: str) -> JsonValue:
        monitors = str(one["monitor"]).split(" and ") if one.get("monitor") else []
        kind = f"MONITOR_RULE_TYPE_{('NONE', 'SINGLE')[len(monitors)] if len(monitors) < 2 else 'AND_LIST'}"
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

    def virtualserver_destination_v2(self, one: Json, _: str) -> JsonValue:
        return endpoint(one["destination"])

    def virtualserver_default_pool_name(self, one: Json, _: str) -> JsonValue:
        return one.get("pool") or ""

    def virtualserver_snat_type(self, one: Json, _: str) -> JsonValue:
        return f"SNAT_TYPE_{one['sourceAddressTranslation']['type'].upper()}"

    def virtualserver_rule(self, one: Json, _: str) -> JsonValue:
        return [{"rule_name": rule, "priority": number} for number, rule in enumerate(one["rules"])]

    def virtualserver_persistence_profile(self, one: Json, _: str) -> JsonValue:
        return [{"profile_name": each["name"], "default_profile": 1} for each in one["persist"]]

    def virtualserver_profile(self, one: Json, _: str) -> JsonValue:
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

    def __init__(self, device: "BigIp", session: Session, objects: "dict[Key, Json]") -> None:
        self.device, self.session, self.objects = device, session, objects

    def rest(self, method: str, kind: str, path: str, body: JsonValue = None) -> None:
        url = f"/mgmt/tm/{kind.replace(' ', '/')}"
        if method == "POST":
            body = {"name": path, **body}
        else:
            url += f"/{path.replace('/', '~')}"
        self.device.apply(self.objects, method, url, body)

    def run(self, interface: str, name: str, arguments: Json) -> None:
        short, values = interface.rpartition(".")[2], list(arguments.values())
        if own := getattr(self, f"{short.lower()}_{name}", None):
            own(*values)
            return
        kinds, path = KINDS[short], values[0][0]
        kind = next((one for one in kinds if (one, path) in self.objects), kinds[0])
        if name == "create":
            self.rest("POST", kind, path, {})
        elif name.startswith("delete_"):
            self.rest("DELETE", kind, path)
        else:
            self.rest("PATCH", kind, path, self.setting(kind, name.removeprefix("set_"), values[1][0]))

    def setting(self, kind: str, name: str, value: JsonValue) -> Json:
        if name == "description":
            return {"description": value}
        if name == "default_profile":
            return {"defaultsFrom": value}
        setting = SETTINGS[name]
        given = value[setting.key]
        if value["default_flag"] == "true":
            return {setting.rest: sys.modules["f5_bigip"].KINDS[kind].properties[setting.rest][1]}
        return {setting.rest: setting.taken(given)}

    # Profiles, persistence, rules.

    def profileclientssl_create_v2(self, names: JsonValue, keys: JsonValue, certs: JsonValue) -> None:
        self.rest("POST", "ltm profile client-ssl", names[0], {})
        self.profileclientssl_set_key_certificate_file(names, keys, certs)

    def profileclientssl_set_key_certificate_file(self, names: JsonValue, keys: JsonValue, certs: JsonValue) -> None:
        self.chain(names[0], key=keys[0]["value"], cert=certs[0]["value"])

    def profileclientssl_set_chain_file_v2(self, names: JsonValue, chains: JsonValue) -> None:
        self.chain(names[0], chain=chains[0]["value"] or "none")

    def chain(self, path: str, **files: str) -> None:
        (entry,) = self.objects["ltm profile client-ssl", path].get("certKeyChain") or [{"name": "set0"}]
        self.rest("PATCH", "ltm profile client-ssl", path, {"certKeyChain": [{**entry, **files}]})

    def profilepersistence_create(self, names: JsonValue, modes: JsonValue) -> None:
        kind = next(kind for kind, mode in PERSISTENCE.items() if mode == modes[0])
        self.rest("POST", kind, names[0], {})

    def rule_create(self, rules: JsonValue) -> None:
        self.rest("POST", "ltm rule", rules[0]["rule_name"], {"apiAnonymous": rules[0]["rule_definition"]})

    def rule_modify_rule(self, rules: JsonValue) -> None:
        self.rest("PATCH", "ltm rule", rules[0]["rule_name"], {"apiAnonymous": rules[0]["rule_definition"]})

    # Nodes.

    def nodeaddressv2_create(self, names: JsonValue, addresses: JsonValue, _limits: JsonValue) -> None:
        for name, address in zip(names, addresses, strict=True):
            self.rest("POST", "ltm node", name, {"address": address})

    def nodeaddressv2_delete_node_address(self, names: JsonValue) -> None:
        for name in names:
            self.rest("DELETE", "ltm node", name)

    # Monitors.

    def monitor_kind(self, path: str) -> str:
        return next(kind for kind in TEMPLATES if (kind, path) in self.objects)

    def monitor_create_template(self, templates: JsonValue, attributes: JsonValue) -> None:
        for template, own in zip(templates, attributes, strict=True):
            kind = f"ltm monitor {template['template_type'].removeprefix('TTYPE_').lower()}"
            body = {"interval": int(own["interval"]), "timeout": int(own["timeout"])}
            self.rest("POST", kind, template["template_name"], {**body, "defaultsFrom": own["parent_template"]})

    def monitor_set_template_string_property(self, names: JsonValue, values: JsonValue) -> None:
        self.rest("PATCH", self.monitor_kind(names[0]), names[0], {STRINGS[values[0]["type"]]: values[0]["value"]})

    def monitor_set_template_integer_property(self, names: JsonValue, values: JsonValue) -> None:
        self.rest("PATCH", self.monitor_kind(names[0]), names[0], {NUMBERS[values[0]["type"]]: int(values[0]["value"])})

    # Pools.

    def pool_create_v2(self, names: JsonValue, modes: JsonValue, members: JsonValue) -> None:
        named = [{"name": joined(one)} for one in listed(members[0])]
        body = {"loadBalancingMode": MODES[modes[0]], "members": named, "slowRampTime": 10}
        self.rest("POST", "ltm pool", names[0], body)

    def pool_add_member_v2(self, names: JsonValue, members: JsonValue) -> None:
        for one in members[0]:
            path = f"/mgmt/tm/ltm/pool/{names[0].replace('/', '~')}/members"
            self.device.apply(self.objects, "POST", path, {"name": joined(one)})

    def pool_remove_member_v2(self, names: JsonValue, members: JsonValue) -> None:
        for one in members[0]:
            path = f"/mgmt/tm/ltm/pool/{names[0].replace('/', '~')}/members/{joined(one).replace('/', '~')}"
            self.device.apply(self.objects, "DELETE", path, None)

    def pool_patch(self, names: JsonValue, **own: JsonValue) -> None:
        self.rest("PATCH", "ltm pool", names[0], own)

    def pool_set_lb_method(self, names: JsonValue, modes: JsonValue) -> None:
        self.pool_patch(names, loadBalancingMode=MODES[modes[0]])

    def pool_set_monitor_association(self, associations: JsonValue) -> None:
        rule = associations[0]["monitor_rule"]
        monitors = rule["monitor_templates"]
        assert rule["type"] == f"MONITOR_RULE_TYPE_{'SINGLE' if len(monitors) == 1 else 'AND_LIST'}"
        self.pool_patch([associations[0]["pool_name"]], monitor=" and ".join(monitors))

    def pool_set_slow_ramp_time(self, names: JsonValue, values: JsonValue) -> None:
        self.pool_patch(names, slowRampTime=int(values[0]))

    def pool_set_minimum_active_member(self, names: JsonValue, values: JsonValue) -> None:
        self.pool_patch(names, minActiveMembers=int(values[0]))

    def pool_set_action_on_service_down(self, names: JsonValue, values: JsonValue) -> None:
        self.pool_patch(names, serviceDownAction=values[0].removeprefix("SERVICE_DOWN_ACTION_").lower())

    def member_patch(self, names: JsonValue, members: JsonValue, key: str, values: JsonValue) -> None:
        for one, value in zip(members[0], values, strict=True):
            path = f"/mgmt/tm/ltm/pool/{names[0].replace('/', '~')}/members/{joined(one).replace('/', '~')}"
            self.device.apply(self.objects, "PATCH", path, {key: value})

    def pool_set_member_priority(self, names: JsonValue, members: JsonValue, values: JsonValue) -> None:
        self.member_patch(names, members, "priorityGroup", [int(value) for value in values[0]])

    def pool_set_member_ratio(self, names: JsonValue, members: JsonValue, values: JsonValue) -> None:
        self.member_patch(names, members, "ratio", [int(value) for value in values[0]])

    def pool_set_member_session_enabled_state(self, names: JsonValue, members: JsonValue, values: JsonValue) -> None:
        words = {"STATE_ENABLED": "user-enabled", "STATE_DISABLED": "user-disabled"}
        self.member_patch(names, members, "session", [words[value] for value in values[0]])

    def pool_set_member_monitor_state(self, names: JsonValue, members: JsonValue, values: JsonValue) -> None:
        words = {"STATE_ENABLED": "user-up", "STATE_DISABLED": "user-down"}
        self.member_patch(names, members, "state", [words[value] for value in values[0]])

    # Virtual servers.

    def virtualserver_create(
        self, definitions: JsonValue, masks: JsonValue, resources: JsonValue, profiles: JsonValue
    ) -> None:
        (one,), (mask,), (resource,) = definitions, masks, resources
        made = [{"name": each["profile_name"], "context": CONTEXTS[each["profile_context"]]} for each in profiles[0]]
        destination = joined(one)
        if "/" not in destination:
            destination = f"{self.session.folder}/{destination}"
        # A device takes sources of the destination's family.
        source = "::/0" if destination.count(":") > 1 else "0.0.0.0/0"
        body = {"destination": destination, "source": source, "ipProtocol": "tcp", "mask": mask, "profiles": made}
        body["pool"] = resource["default_pool_name"] or "none"
        there = ("ltm virtual", one["name"]) in self.objects
        assert one["protocol"] == "PROTOCOL_TCP"
        self.rest("PATCH" if there else "POST", "ltm virtual", one["name"], body)

    def virtualserver_set_default_pool_name(self, names: JsonValue, pools: JsonValue) -> None:
        self.rest("PATCH", "ltm virtual", names[0], {"pool": pools[0] or "none"})

    def virtualserver_set_snat_automap(self, names: JsonValue) -> None:
        self.rest("PATCH", "ltm virtual", names[0], {"sourceAddressTranslation": {"type": "automap"}})

    def virtualserver_add_rule(self, names: JsonValue, rules: JsonValue) -> None:
        self.rest("PATCH", "ltm virtual", names[0], {"rules": [each["rule_name"] for each in rules[0]]})

    def virtualserver_remove_all_rules(self, names: JsonValue) -> None:
        self.rest("PATCH", "ltm virtual", names[0], {"rules": []})

    def virtualserver_remove_all_persistence_profiles(self, names: JsonValue) -> None:
        self.rest("PATCH", "ltm virtual", names[0], {"persist": []})

    def virtualserver_add_persistence_profile(self, names: JsonValue, profiles: JsonValue) -> None:
        made = [{"name": each["profile_name"], "tmDefault": "yes"} for each in profiles[0]]
        self.rest("PATCH", "ltm virtual", names[0], {"persist": made})

    def virtualserver_delete_virtual_server(self, names: JsonValue) -> None:
        for name in names:
            self.rest("DELETE", "ltm virtual", name)
