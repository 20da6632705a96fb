"""Objects as an AS3 declaration, in the classes of AS3 3.45 and later.

Sources: AS3's JSON schema (3.45 to 3.56) and its `properties.json`. The declaration overrides AS3's defaults where they
are weaker than the device's (SSL 3.0, TLS 1.0 and 1.1 for clients, cookie persistence for every HTTP service).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ...spec.model import Farm
from ...spec.units import Version
from .view import Names, ca_name, mark
from .vocabulary import GATES, Object, mapping, monitors_of

OLDEST: Final = Version("3.45")
"""The first version whose services accept a WebSocket profile."""
SCHEMA_VERSION: Final = "3.45.0"
APPLICATION: Final = "nlbgen"

Maker = Callable[[Object, "_Context"], dict[str, Any]]


class _Context:
    def __init__(self, objects: tuple[Object, ...], version: Version) -> None:
        self.all = {one.path: one for one in objects}
        self.version = version

    def pointer(self, path: str) -> dict[str, str]:
        """A reference to an object: by name if it is in the declaration, else as an object of the device."""
        return {"use": self.all[path].name} if path in self.all else {"bigip": path}

    def first(self, one: Object, kind: str) -> str | None:
        """The path of a virtual server's profile of that kind; None where it has none."""
        profiles = mapping(one.properties["profiles"])
        return next((path for path in profiles if path in self.all and self.all[path].kind == kind), None)


RESERVED: Final = frozenset(
    {
        *("class", "$schema", "updateMode", "schemaVersion", "id", "label", "remark", "constants", "controls"),
        *("scratch", "target", "Common"),
    }
)
"""The keys beside the tenants in a declaration, which cannot name a tenant."""


def tenant(farm: Farm) -> str:
    """The tenant's partition: AS3 removes what it does not know there, so it is never an existing one."""
    if farm.f5.partition != "Common":
        return farm.f5.partition
    name = farm.farm.replace("-", "_")
    return f"{name}_farm" if name in RESERVED else name


def names(farm: Farm) -> Names:
    """The folders and names for AS3; the certificates are in /Common, because AS3 owns the tenant's partition."""
    base = Names.of(farm)
    shared = {
        field: getattr(base, field).replace(f"/{farm.f5.partition}/", "/Common/")
        for field in ("certificate", "key", "chain")
    }
    folder = tenant(farm)
    return base._replace(
        folder=f"/{folder}/{APPLICATION}",
        node_folder=f"/{folder}",
        nodes_by_address=True,
        **(shared if farm.f5.certificate is None else {}),
        ca=ca_name(farm, f"/Common/{farm.farm}_ca.crt"),
    )


def declaration(farm: Farm, objects: tuple[Object, ...], version: Version) -> dict[str, Any]:
    """The declaration with this farm's tenant only (`selective` does not change the others)."""
    context = _Context(objects, version)
    application: dict[str, Any] = {"class": "Application", "template": "generic"}
    for one in objects:
        if one.kind in _MAKERS:
            application[one.name] = _made(one, context)
        application |= _certificates(one)
    return {
        "class": "ADC",
        "schemaVersion": SCHEMA_VERSION,
        "id": f"nlbgen-{farm.farm}",
        "label": mark(farm),
        "updateMode": "selective",
        tenant(farm): {"class": "Tenant", "label": mark(farm), APPLICATION: application},
    }


def _made(one: Object, context: _Context) -> dict[str, Any]:
    made = _MAKERS[one.kind](one, context)
    if "description" in one.properties:
        made["remark"] = one.properties["description"]
    return made


def _certificates(one: Object) -> dict[str, Any]:
    if one.kind == "ltm profile server-ssl" and one.properties["ca-file"] != "none":
        return {"nodes_ca": {"class": "CA_Bundle", "bundle": {"bigip": one.properties["ca-file"]}}}
    chain = one.properties.get("cert-key-chain")
    if not isinstance(chain, Mapping):
        return {}
    site = mapping(chain["site"])
    made: dict[str, Any] = {"class": "Certificate", "certificate": {"bigip": site["cert"]}}
    made["privateKey"] = {"bigip": site["key"]}
    if "chain" in site:
        made["chainCA"] = {"bigip": site["chain"]}
    return {"site": made}


def _monitor(one: Object, context: _Context) -> dict[str, Any]:
    own = one.properties
    made = {
        "class": "Monitor",
        "monitorType": one.kind.rpartition(" ")[2],
        "interval": own["interval"],
        "receive": own["recv"],
        "send": own["send"],
        "timeUntilUp": own["time-until-up"],
        "timeout": own["timeout"],
    }
    if "ssl-profile" in own:
        made["clientTLS"] = context.pointer(str(own["ssl-profile"]))
    return made


def _pool(one: Object, context: _Context) -> dict[str, Any]:
    own = one.properties
    members = mapping(own["members"])
    monitors = [context.pointer(path) for path in monitors_of(str(own["monitor"]))] if "monitor" in own else []
    return {
        "class": "Pool",
        "loadBalancingMode": own["load-balancing-mode"],
        "members": [_member(path, member, context) for path, member in sorted(members.items())],
        "minimumMembersActive": own["min-active-members"],
        # Without `all`, one monitor that is up is enough.
        **({"minimumMonitors": "all"} if len(monitors) > 1 else {}),
        **({"monitors": monitors} if monitors else {}),
        "serviceDownAction": own["service-down-action"],
        "slowRampTime": own["slow-ramp-time"],
    }


_ADMIN_STATES: Final = {
    ("user-enabled", "user-up"): "enable",
    ("user-disabled", "user-up"): "disable",
    ("user-disabled", "user-down"): "offline",
}


def _member(path: str, member: Mapping[str, Any], context: _Context) -> dict[str, Any]:
    node, _, port = path.rpartition("." if path.count(":") > 1 else ":")
    made: dict[str, Any] = {
        "adminState": _ADMIN_STATES[member["session"], member["state"]],
        "priorityGroup": member["priority-group"],
        "ratio": member["ratio"],
        "servicePort": int(port),
    }
    if "address" in member:
        return {**made, "serverAddresses": [member["address"]], "shareNodes": False}
    looked_up = mapping(context.all[node].properties["fqdn"])
    return {
        **made,
        "addressDiscovery": "fqdn",
        "autoPopulate": False,
        "fqdnPrefix": "",
        "hostname": looked_up["name"],
        "shareNodes": False,
    }


def _server_ssl(one: Object, _context: _Context) -> dict[str, Any]:
    own = one.properties
    made: dict[str, Any] = {
        "class": "TLS_Client",
        "sendSNI": own["server-name"],
        "ssl3Enabled": False,
        "tls1_0Enabled": False,
        "tls1_1Enabled": False,
        "validateCertificate": own["peer-cert-mode"] == "require",
    }
    if own["ca-file"] != "none":
        made |= {"serverName": own["authenticate-name"], "trustCA": {"use": "nodes_ca"}}
    return made


def _client_ssl(one: Object, context: _Context) -> dict[str, Any]:
    own = one.properties
    options = own["options"]
    assert isinstance(options, tuple)  # noqa: S101  # made by profiles.py
    made: dict[str, Any] = {
        "class": "TLS_Server",
        "certificates": [{"certificate": "site"}],
        "insertEmptyFragmentsEnabled": "dont-insert-empty-fragments" not in options,
        "ssl3Enabled": "no-sslv3" not in options,
        "tls1_0Enabled": "no-tlsv1" not in options,
        "tls1_1Enabled": "no-tlsv1.1" not in options,
        "tls1_2Enabled": "no-tlsv1.2" not in options,
    }
    if context.version >= GATES["tls-1.3"]:
        made["tls1_3Enabled"] = "no-tlsv1.3" not in options
    if "cipher-group" in own:
        return {**made, "cipherGroup": context.pointer(str(own["cipher-group"]))}
    return {**made, "ciphers": own["ciphers"]}


def _cipher_rule(one: Object, _context: _Context) -> dict[str, Any]:
    return {"class": "Cipher_Rule", "cipherSuites": str(one.properties["cipher"]).split(":")}


def _cipher_group(one: Object, context: _Context) -> dict[str, Any]:
    return {
        "class": "Cipher_Group",
        "allowCipherRules": [context.pointer(path) for path in _keys(one.properties["allow"])],
    }


def _http(one: Object, _context: _Context) -> dict[str, Any]:
    # By default AS3 would insert the header a second time: the iRule sets it.
    return {"class": "HTTP_Profile", "xForwardedFor": one.properties["insert-xforwarded-for"] == "enabled"}


def _tcp(one: Object, _context: _Context) -> dict[str, Any]:
    return {"class": "TCP_Profile", "idleTimeout": int(str(one.properties["idle-timeout"]))}


def _websocket(one: Object, _context: _Context) -> dict[str, Any]:
    # The schema requires the mode with `preserve`; its default is invalid there.
    return {"class": "WebSocket_Profile", "compressMode": "preserved", "masking": one.properties["masking"]}


def _cookie(one: Object, _context: _Context) -> dict[str, Any]:
    own = one.properties
    made: dict[str, Any] = {"class": "Persist", "persistenceMethod": "cookie", "cookieMethod": own["method"]}
    secure = {"secure": own["secure"] == "enabled"} if "secure" in own else {}
    return {**made, "cookieName": own["cookie-name"], **secure}


def _source(one: Object, _context: _Context) -> dict[str, Any]:
    made = {"class": "Persist", "persistenceMethod": "source-address"}
    return {**made, "hashAlgorithm": one.properties["hash-algorithm"]}


def _irule(one: Object, _context: _Context) -> dict[str, Any]:
    # Without `expand: false` AS3 would expand backquoted expressions in the text.
    return {"class": "iRule", "expand": False, "iRule": one.properties["definition"]}


def _policy(one: Object, context: _Context) -> dict[str, Any]:
    rules = mapping(one.properties["rules"])
    made = {"class": "Endpoint_Policy", "strategy": "first-match"}
    ordered = sorted(rules.items(), key=lambda entry: entry[1]["ordinal"])
    return {**made, "rules": [_policy_rule(name, rule, context) for name, rule in ordered]}


def _policy_rule(name: str, rule: Mapping[str, Any], context: _Context) -> dict[str, Any]:
    return {
        "name": name,
        "conditions": [_policy_condition(condition) for _, condition in sorted(rule["conditions"].items())],
        "actions": [_policy_action(action, context) for _, action in sorted(rule["actions"].items())],
    }


def _policy_condition(condition: Mapping[str, Any]) -> dict[str, Any]:
    path = {"caseSensitive": False, "operand": "starts-with", "values": list(condition["values"])}
    return {"type": "httpUri", "event": "request", "path": path}


def _policy_action(action: Mapping[str, Any], context: _Context) -> dict[str, Any]:
    if "forward" in action:
        select = {"pool": context.pointer(action["pool"])}
        return {"type": "forward", "event": "request", "select": select}
    if "disable" in action:
        return {"type": "persist", "event": "request", "disable": {}}
    cookie = {"expiry": action["expiry"], "name": action["name"]}
    return {"type": "persist", "event": "request", "cookieInsert": cookie}


def _virtual(one: Object, context: _Context) -> dict[str, Any]:
    own = one.properties
    destination = str(own["destination"]).rpartition("/")[2]
    address, _, port = destination.rpartition("." if destination.count(":") > 1 else ":")
    made: dict[str, Any] = {
        "class": _service(one, context),
        "iRules": [context.pointer(rule) for rule in own["rules"]] if isinstance(own["rules"], tuple) else [],
        "persistenceMethods": [context.pointer(path) for path in _keys(own.get("persist", {}))],
        "snat": "auto",
        "virtualAddresses": [address],
        "virtualPort": int(port),
    }
    made |= dict(_attachments(one, context))
    if made["class"] == "Service_HTTPS":
        made["redirect80"] = False  # a separate service redirects
    return made


def _keys(value: object) -> list[str]:
    return sorted(value) if isinstance(value, Mapping) else []


def _service(one: Object, context: _Context) -> str:
    if context.first(one, "ltm profile client-ssl"):
        return "Service_HTTPS"
    web = context.first(one, "ltm profile http") or "/Common/http" in _keys(one.properties["profiles"])
    return "Service_HTTP" if web else "Service_TCP"


_PROFILES: Final = {
    "profileTCP": "ltm profile tcp",
    "profileHTTP": "ltm profile http",
    "profileWebSocket": "ltm profile websocket",
    "serverTLS": "ltm profile client-ssl",
    "clientTLS": "ltm profile server-ssl",
}
_BUILT_IN: Final = {"/Common/tcp": "profileTCP", "/Common/http": "profileHTTP"}


def _attachments(one: Object, context: _Context) -> Iterator[tuple[str, Any]]:
    for key, kind in _PROFILES.items():
        if path := context.first(one, kind):
            found = context.pointer(path)
            yield key, found["use"] if key in {"serverTLS", "clientTLS"} else found
    # Without a name AS3 would choose profiles itself.
    for path in _keys(one.properties["profiles"]):
        if path in _BUILT_IN:
            yield _BUILT_IN[path], {"bigip": path}
    if "pool" in one.properties:
        yield "pool", context.pointer(str(one.properties["pool"]))["use"]
    if policies := _keys(one.properties.get("policies")):
        yield "policyEndpoint", [context.pointer(path) for path in policies]


_MAKERS: Final[Mapping[str, Maker]] = {
    "ltm profile server-ssl": _server_ssl,
    "ltm monitor http": _monitor,
    "ltm monitor https": _monitor,
    "ltm monitor tcp": _monitor,
    "ltm pool": _pool,
    "ltm cipher rule": _cipher_rule,
    "ltm cipher group": _cipher_group,
    "ltm profile client-ssl": _client_ssl,
    "ltm profile http": _http,
    "ltm profile tcp": _tcp,
    "ltm profile websocket": _websocket,
    "ltm persistence cookie": _cookie,
    "ltm persistence source-addr": _source,
    "ltm rule": _irule,
    "ltm policy": _policy,
    "ltm virtual": _virtual,
}
"""The maker of each kind. Nodes are not declared: AS3 creates them with the members."""
