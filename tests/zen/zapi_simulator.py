"""A device of the Zen family on the loopback address, over TLS: stateful, strict, and answering as recorded.

Status codes, texts and shapes are those of the recorded sessions with Relianoid 7.9 and Zevenet 5.13; unknown
parameters are refused in the recorded words. What no session shows (deletions, the list of farms, refusals, all of
v3.1) answers as the appliances' published code does: Relianoid 7 for v4.0, Zevenet 5 for v3.1. `Fault`s make any
request fail in the way that is asked for.
"""

import copy
import http.server
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

JsonValue: TypeAlias = Any
"""A JSON value of a request: the calls check its type."""
Answering: TypeAlias = Callable[[str, str, JsonValue], tuple[int, dict[str, Any]]]

KEY = "k3y-of-the-simulator"
VIPS = {"192.0.2.1", "192.0.2.10", "10.20.0.10", "10.20.0.11"}
ERRORS = {
    "error414": "Request URI is too long.",
    "error500": "An internal server error occurred. Please try again later.",
    "error501": "This method may not be used.",
    "error503": "The service is not available. Please try again later.",
}
VERBS = {"standardHTTP", "extendedHTTP", "standardWebDAV", "MSextWebDAV", "MSRPCext", "optionsHTTP"}
HIGH = (
    "kEECDH+ECDSA+AES128:kEECDH+ECDSA+AES256:kEECDH+AES128:kEECDH+AES256:kEDH+AES128:kEDH+AES256:DES-CBC3-SHA:+SHA:"
    "!aNULL:!eNULL:!LOW:!kECDH:!DSS:!MD5:!EXP:!PSK:!SRP:!CAMELLIA:!SEED"
)
SERVICE_PARAMETERS = {
    "redirecttype", "leastresp", "vhost", "sessionid", "rewritelocation", "routingpolicy", "ttl", "httpsb",
    "pinnedconnection", "urlp", "redirect", "persistence",
}  # fmt: skip
FARM_PARAMETERS = {
    "listener", "ciphers", "cipherc", "disable_sslv2", "disable_sslv3", "disable_tlsv1", "disable_tlsv1_1",
    "disable_tlsv1_2", "httpverb", "rewritelocation", "contimeout", "restimeout", "reqtimeout", "resurrectime", "vip",
    "vport", "newfarmname", *ERRORS,
}  # fmt: skip
L4_PARAMETERS = {"protocol", "nattype", "algorithm", "persistence", "ttl", "vip", "vport", "newfarmname"}
OLD_L4_ALGORITHMS = {"leastconn", "weight", "prio"}
L4_ALGORITHMS = {"weight", "roundrobin", "leastconn", "hash_srcip", "hash_srcip_srcport", "prio"}


@dataclass(frozen=True)
class Product:
    name: str
    version: str
    paths: tuple[str, ...]
    headers: tuple[str, ...]
    documentation: str
    doubles: bool
    """Whether a backend can be added twice."""
    pending: bool
    """Whether answers and farms say `needed restart`."""
    priorities: bool = True
    ng: bool = False
    old: bool = False
    certificate: str = "noid_ssl_cert.pem"
    missing: int = 404
    """The status of the answer about a backend that does not exist."""


RELIANOID = Product(
    "relianoid",
    "RCE 7",
    ("/api/v4.0/api.cgi", "/zapi/v4.0/zapi.cgi"),
    ("API_KEY", "ZAPI_KEY"),
    "https://www.relianoid.com/apidoc/v4.0/",
    doubles=True,
    pending=True,
)
ZEVENET = Product(
    "zevenet",
    "ZCE 5",
    ("/zapi/v4.0/zapi.cgi", "/zapi/v3.1/zapi.cgi"),
    ("ZAPI_KEY",),
    "https://www.zevenet.com/zapidoc_ce_v4.0/",
    doubles=False,
    pending=False,
    ng=True,
    certificate="zencert.pem",
)
OLD_ZEVENET = Product(
    "zevenet",
    "ZCE 5",
    ("/zapi/v3.1/zapi.cgi",),
    ("ZAPI_KEY",),
    "https://www.zevenet.com/zapidoc_ce_v3.1/",
    doubles=False,
    pending=True,
    old=True,
)
SKUDONET = Product(
    "skudonet",
    "SKD 7",
    ("/zapi/v4.0/zapi.cgi", "/zapi/v3.1/zapi.cgi"),
    ("ZAPI_KEY",),
    "https://www.skudonet.com/",
    doubles=False,
    pending=True,
    priorities=False,
    certificate="skdcert.pem",
    missing=400,
)


class Refused(Exception):  # noqa: N818  # not an error of the simulator
    def __init__(self, description: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.description, self.message, self.status = description, message, status


@dataclass
class Farm:
    name: str
    profile: str
    params: dict[str, Any]
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    backends: list[dict[str, Any]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    certificates: list[str] = field(default_factory=list)
    guardian: str = ""
    pending: bool = False
    running: Any = None
    """What the engine serves: the configuration of the last restart; None where it is down."""
    started: bool = False
    old_guardian: dict[str, Any] = field(default_factory=dict)

    def configuration(self) -> dict[str, Any]:
        services = {
            name: {**service, "backends": [strip(one) for one in service["backends"]]}
            for name, service in self.services.items()
        }
        return copy.deepcopy(
            {
                "params": self.params,
                "services": services,
                "backends": [strip(one) for one in self.backends],
                "headers": self.headers,
                "removed": self.removed,
                "certificates": self.certificates,
            }
        )


def strip(backend: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in backend.items() if key != "status"}


@dataclass
class Fault:
    """A fault of the request with this number, counted from 0."""

    number: int
    kind: str
    """`before` and `after`: the connection breaks before or after the work; `slow`: the answer to it is late; `page
    after`: it is a page; a status, or one of PAGES: nothing was done."""
    on: bool = False
    """Whether every later request has the fault too."""


PAGES = {
    "html": b"<html>busy</html>",
    "garbage": bytes(range(256)),
    "list": b"[]",
    "empty": b"",
    "error": b'{"description": "Fault", "error": "true", "message": "fault"}',
}
"""Answers with status 200 that are not a success."""


class Device:
    """The state and the answers."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.farms: dict[str, Farm] = {}
        self.guardians: dict[str, dict[str, Any]] = {}
        self.certificates: dict[str, bytes] = {product.certificate: b""}
        self.requests: list[tuple[str, str, Any]] = []
        self.connections: dict[str, int] = {}
        """The established connections to each backend, by its address and port."""
        self.refuse_restart: set[str] = set()
        self.nftlb = True
        """Whether L4xNAT farms can be made; in the recorded sessions of HTTP farms they could not."""
        self.answer: Answering = self.respond
        """What answers to a request; a test may put another function before it."""

    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _body in self.requests if method != "GET"]

    def respond(self, method: str, path: str, body: JsonValue) -> tuple[int, dict[str, Any]]:
        self.requests.append((method, path, body))
        for how, pattern, handler in ROUTES:
            match = re.fullmatch(pattern, path)
            if how == method and match and not (self.product.old and handler in NEWER):
                try:
                    status, answer = handler(self, body, *match.groups())
                except Refused as refused:
                    return refused.status, self.error(refused.description, refused.message)
                if self.product.old:
                    answer.pop("message", None)
                return status, answer
        return 404, self.error("Request not found", f"Request not found: {path}")

    def error(self, description: str, message: str) -> dict[str, Any]:
        return {
            "description": description,
            "error": "true",
            "message": message,
            "documentation": self.product.documentation,
        }

    def farm(self, name: str, description: str = "Farm") -> Farm:
        if name not in self.farms:
            message = "Farm not found." if description.startswith("Show") else f"The farm '{name}' does not exist."
            raise Refused(description, message, 404)
        return self.farms[name]

    def service(self, farm: Farm, name: str, description: str) -> dict[str, Any]:
        if name not in farm.services:
            raise Refused(description, f"Invalid service name '{name}'", 404)
        return farm.services[name]

    def changed(self, farm: Farm, answer: dict[str, Any], *, status: bool = False) -> dict[str, Any]:
        if farm.profile == "l4xnat":
            farm.running = farm.configuration()
            return {**answer, "status": "up"} if status else answer
        farm.pending = True
        if self.product.pending:
            return {**answer, "status": "needed restart"}
        return {**answer, "status": self.status(farm)} if status else answer

    def status(self, farm: Farm) -> str:
        if farm.running is None:
            return "down"
        backends = [one for service in farm.services.values() for one in service["backends"]] + farm.backends
        if farm.pending and self.product.pending:
            return "needed restart"
        if any(one["status"] == "maintenance" for one in backends):
            return "maintenance"
        redirects = any(service["redirect"] for service in farm.services.values())
        if farm.profile == "http" and (not farm.started or not (backends or redirects)):
            return "critical"
        return "up"

    def shown(self, farm: Farm, *, after: str | None = None) -> dict[str, Any]:
        if farm.profile == "l4xnat":
            newer = {} if self.product.old else {"farmguardian": farm.guardian, "sessions": []}
            old = old_shown(farm) if self.product.old else {}
            return {**farm.params, **newer, **old, "listener": "l4xnat", "status": self.status(farm)}
        ng: dict[str, Any] = {"replacerequestheader": [], "replaceresponseheader": []} if self.product.ng else {}
        tls = {"certlist": [{"file": name, "id": at + 1} for at, name in enumerate(farm.certificates)]}
        return {
            **farm.params,
            **ERRORS,
            **ng,
            **(tls if farm.params["listener"] == "https" else {"certlist": []}),
            "addheader": [{"header": header, "id": at} for at, header in enumerate(farm.headers)],
            "addresponseheader": [],
            "headremove": [{"pattern": pattern, "id": at} for at, pattern in enumerate(farm.removed)],
            "removeresponseheader": [],
            "ignore_100_continue": "false",
            "logs": "false",
            "status": after or self.status(farm),
        }


def only(
    device: Device, description: str, body: JsonValue, allowed: set[str], needed: AbstractSet[str] = frozenset()
) -> None:
    """Refuse parameters that the call does not have, in the recorded words."""
    if not isinstance(body, dict):
        raise Refused(description, "The body is not a JSON object")
    unknown = sorted(body.keys() - allowed)
    known = ", ".join(f"'{name}'" for name in sorted(allowed))
    if unknown:
        listed = " and ".join(filter(None, [", ".join(f"'{one}'" for one in unknown[:-1]), f"'{unknown[-1]}'"]))
        raise Refused(description, f"The parameters {listed} are not correct for this call. Please, try with: {known}")
    if missing := sorted(needed - body.keys()):
        raise Refused(description, f"There are required parameters missing: {', '.join(missing)}")


def check(description: str, body: dict[str, Any], rules: dict[str, Callable[[Any], bool]]) -> None:
    for name, rule in rules.items():
        if name in body and not rule(body[name]):
            raise Refused(description, f"The parameter '{name}' has not a valid value.")


def number(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: str(value).isdecimal() and low <= int(value) <= high


def one_of(*values: str) -> Callable[[Any], bool]:
    return lambda value: value in values


def name_rule(value: JsonValue) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[a-zA-Z0-9-]+", value) is not None


def in_use(device: Device, vip: JsonValue, port: JsonValue, besides: str = "") -> bool:
    return any(
        farm.name != besides and (str(farm.params["vip"]), str(farm.params["vport"])) == (str(vip), str(port))
        for farm in device.farms.values()
    )


def version(device: Device, _body: JsonValue) -> tuple[int, dict[str, Any]]:
    return 200, {"description": "Get version", "params": {"appliance_version": device.product.version}}


def list_farms(device: Device, _body: JsonValue) -> tuple[int, dict[str, Any]]:
    params = [
        {
            "farmname": farm.name,
            "profile": farm.profile,
            "status": device.status(farm),
            "vip": farm.params["vip"],
            "vport": str(farm.params["vport"]),
        }
        for farm in device.farms.values()
    ]
    return 200, {"description": "List farms", "params": params}


def create_farm(device: Device, body: JsonValue) -> tuple[int, dict[str, Any]]:
    what = "Creating a farm"
    needed = {"farmname", "profile", "vip", "vport"}
    only(device, what, body, needed | {"copy_from"}, needed)
    check(what, body, {"farmname": name_rule, "profile": one_of("http", "l4xnat"), "vport": number(1, 65535)})
    name = body["farmname"]
    if name in device.farms:
        raise Refused(what, f"The farm {name} already exists.")
    if body["vip"] not in VIPS:
        raise Refused(what, f"The virtual IP {body['vip']} must exist in the system.")
    if in_use(device, body["vip"], body["vport"]):
        raise Refused(what, f"The virtual IP {body['vip']} and the port {body['vport']} are already in use.")
    if body["profile"] == "l4xnat" and not device.nftlb:
        raise Refused(what, f"The {name} farm can't be created")
    params: dict[str, Any] = {"vip": body["vip"], "vport": int(body["vport"])}
    if body["profile"] == "l4xnat":
        params |= {"algorithm": "weight", "nattype": "nat", "persistence": "", "protocol": "tcp", "ttl": 120}
        params["vport"] = str(body["vport"])
    else:
        params |= {"listener": "http", "contimeout": 20, "reqtimeout": 30, "restimeout": 45, "resurrectime": 21}
        params |= {"httpverb": "MSRPCext", "rewritelocation": "enabled-path" if device.product.ng else "enabled"}
    farm = device.farms[name] = Farm(name, body["profile"], params)
    farm.running = farm.configuration()
    shown = {**{key: body[key] for key in needed}, "interface": "eth0", "vport": str(body["vport"])}
    return 201, {"description": what, "message": f"The farm {name} has been created successfully.", "params": shown}


def get_farm(device: Device, _body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    farm = device.farm(name, f"Show farm {name}")
    answer: dict[str, Any] = {"description": f"List farm {name}", "params": device.shown(farm)}
    if farm.profile == "l4xnat":
        answer["backends"] = farm.backends
    else:
        answer["services"] = [service_shown(device, farm, one, read=True) for one in farm.services]
    return 200, answer


def change_farm(device: Device, body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    farm = device.farm(name)
    if farm.profile == "l4xnat":
        return change_l4(device, farm, body)
    what = f"Modify HTTP farm {name}"
    only(device, what, body, FARM_PARAMETERS)
    bit = one_of("true", "false")
    rules: dict[str, Callable[[Any], bool]] = {
        "listener": one_of("http", "https"),
        "ciphers": one_of("all", "highsecurity", "customsecurity", "ssloffloading"),
        "httpverb": lambda value: value in VERBS,
        "rewritelocation": one_of("enabled", "disabled", "enabled-path", "enabled-backends"),
        "vport": number(1, 65535),
        "vip": lambda value: value in VIPS,
        **{key: number(1, 2_000_000) for key in ("contimeout", "restimeout", "reqtimeout", "resurrectime")},
        **{key: bit for key in FARM_PARAMETERS if key.startswith("disable_")},
    }
    check(what, body, rules)
    if "vip" in body or "vport" in body:
        move(device, farm, body, what)
    merged = {**farm.params, **body}
    if merged["resurrectime"] <= merged["contimeout"]:
        raise Refused(what, "The resurrectime must be greater than the contimeout.")
    if "ciphers" in body and merged["listener"] != "https":
        raise Refused(what, "To modify the ciphers the listener must be HTTPS.")
    set_listener(device, farm, body)
    farm.params |= body
    if "ciphers" in body and "cipherc" not in body:
        farm.params["cipherc"] = HIGH if body["ciphers"] == "highsecurity" else "ALL"
    params = device.shown(farm, after="needed restart" if device.product.pending and farm.pending else None)
    farm.pending = True
    answer = {"description": what, "message": f"Some parameters have been changed in farm {name}.", "params": params}
    return 200, ({**answer, "status": "needed restart"} if device.product.pending else answer)


def set_listener(device: Device, farm: Farm, body: dict[str, Any]) -> None:
    if body.get("listener") == "https" and farm.params["listener"] != "https":
        farm.certificates = [device.product.certificate]
        off = ("disable_sslv2", "disable_tlsv1", "disable_tlsv1_1", "disable_tlsv1_2")
        farm.params |= {"ciphers": "all", "cipherc": "ALL", "disable_sslv3": "true", **dict.fromkeys(off, "false")}
    elif body.get("listener") == "http" and farm.params["listener"] == "https":
        farm.certificates = []
        for key in [key for key in farm.params if key.startswith(("cipher", "disable_"))]:
            del farm.params[key]


def move(device: Device, farm: Farm, body: dict[str, Any], what: str) -> None:
    vip, port = body.get("vip", farm.params["vip"]), body.get("vport", farm.params["vport"])
    if in_use(device, vip, port, farm.name):
        raise Refused(what, f"The virtual IP {vip} and the port {port} are already in use.")


def change_l4(device: Device, farm: Farm, body: JsonValue) -> tuple[int, dict[str, Any]]:
    what = f"Modify L4xNAT farm '{farm.name}'"
    only(device, what, body, L4_PARAMETERS)
    rules = {
        "protocol": one_of("tcp", "udp", "all"),
        "nattype": one_of("nat", "dnat"),
        "algorithm": lambda value: value in (OLD_L4_ALGORITHMS if device.product.old else L4_ALGORITHMS),
        "persistence": one_of("", "ip") if device.product.old else one_of("", "ip", "srcip"),
        "ttl": number(1, 2_000_000),
        "vport": number(1, 65535),
        "vip": lambda value: value in VIPS,
    }
    check(what, body, rules)
    move(device, farm, body, what)
    farm.params |= {**body, **({"vport": str(body["vport"])} if "vport" in body else {})}
    message = f"Some parameters have been changed in farm {farm.name}."
    device.changed(farm, {})
    return 200, {"description": what, "message": message, "params": dict(body)}


def delete_farm(device: Device, _body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    what = f"Delete farm {name}"
    if name not in device.farms:
        raise Refused(what, f"The farm {name} doesn't exist, try another name.", 404)
    del device.farms[name]
    return 200, {"description": what, "success": "true", "message": f"The Farm {name} has been deleted."}


def action(device: Device, body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    what = "Farm actions"
    farm = device.farm(name, what)
    only(device, what, body, {"action"}, {"action"})
    check(what, body, {"action": one_of("start", "stop", "restart")})
    used = f"There is another farm using the ip '{farm.params['vip']}' and the port '{farm.params['vport']}'"
    if body["action"] == "start":
        if device.product.pending and farm.pending:
            raise Refused(what, "The farm has changes pending of applying, it has to be restarted.")
        if device.product.ng and farm.running is not None:
            farm.running, farm.params["stuck"] = None, True
            raise Refused(what, used)
    if farm.params.pop("stuck", False):
        raise Refused(what, used)
    if name in device.refuse_restart:
        farm.running = None
        raise Refused(what, f"The farm {name} could not be restarted")
    farm.started = farm.pending = False
    farm.running = None
    if body["action"] != "stop":
        farm.running, farm.started = farm.configuration(), True
    done = {"action": body["action"], "status": "up" if farm.running else "down"}
    return 200, {
        "description": f"Set a new action in {name}",
        "message": f"The action {body['action']} has been performed in farm {name}.",
        "params": done,
    }


def summary(device: Device, _body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    farm = device.farm(name)
    services = [{"id": one} for one in farm.services]
    return 200, {"description": f"List farm {name}", "params": device.shown(farm), "services": services}


def statistics(device: Device, _body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    """From the source of zapi v4.0: the backends of all services, each with its connections; no recorded session."""
    what = "Get farm stats"
    if name not in device.farms:
        raise Refused(what, f"The farmname {name} does not exist.")
    farm = device.farms[name]
    shown: list[dict[str, Any]] = []
    for service, backends in [(one, farm.services[one]["backends"]) for one in farm.services] or [("", farm.backends)]:
        for one in backends:
            count = device.connections.get(f"{one['ip']}:{one['port']}", 0)
            own = {"service": service} if service else {"alias": None}
            kept = {key: one[key] for key in ("id", "ip", "port", "status")}
            shown.append({**kept, **own, "established": count, "pending": 0})
    return 200, {"description": what, "backends": shown, "sessions": [], "total_sessions": 0}


def upload(device: Device, body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    if name in device.certificates:
        raise Refused("Upload PEM certificate", "Certificate file name already exists")
    device.certificates[name] = body
    return 200, {"description": "Upload PEM certificate", "message": "Certificate uploaded", "success": "true"}


def delete_certificate(device: Device, _body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    what = "Delete certificate"
    if name not in device.certificates:
        raise Refused(what, f"The certificate {name} does not exist", 404)
    if any(name in farm.certificates for farm in device.farms.values()):
        raise Refused(what, "File can't be deleted because it's in use by a farm.")
    del device.certificates[name]
    return 200, {"description": what, "success": "true", "message": f"The Certificate {name} has been deleted."}


def add_certificate(device: Device, body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    what = f"Add certificate to farm '{name}'"
    farm = device.farm(name, what)
    only(device, what, body, {"file"}, {"file"})
    if body["file"] not in device.certificates:
        raise Refused(what, "The certificate does not exist.", 404)
    if farm.params.get("listener") != "https":
        raise Refused(what, "This feature is only available for 'https' farms")
    if farm.certificates == [body["file"]]:
        raise Refused(what, "The certificate already exists in the farm.")
    farm.certificates = [body["file"]]
    text = f"The certificate {body['file']} has been added to the farm {name}, you need restart the farm to apply"
    return 200, device.changed(farm, {"description": what, "message": text, "success": "true"})


def add_header(device: Device, body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    what = "Add addheader directive."
    farm = device.farm(name, what)
    only(device, what, body, {"header"}, {"header"})
    if body["header"] in farm.headers:
        raise Refused(what, "The header is already added.")
    farm.headers.append(body["header"])
    message = "Added a new item to the addheader list"
    return 200, device.changed(farm, {"description": what, "message": message, "success": "true"})


def delete_header(device: Device, _body: JsonValue, name: str, at: str) -> tuple[int, dict[str, Any]]:
    farm = device.farm(name)
    if int(at) >= len(farm.headers):
        raise Refused("Delete addheader directive.", "The index has not been found.")
    del farm.headers[int(at)]
    return 200, device.changed(farm, {"description": "Delete addheader directive.", "success": "true"})


def remove_header(device: Device, body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    what = "Add headremove directive."
    farm = device.farm(name, what)
    only(device, what, body, {"pattern"}, {"pattern"})
    if body["pattern"] in farm.removed:
        raise Refused(what, "The pattern is already added.")
    farm.removed.append(body["pattern"])
    message = "Added a new item to the headremove list"
    return 200, device.changed(farm, {"description": what, "message": message, "success": "true"})


def keep_header(device: Device, _body: JsonValue, name: str, at: str) -> tuple[int, dict[str, Any]]:
    farm = device.farm(name)
    if int(at) >= len(farm.removed):
        raise Refused("Delete headremove directive.", "The index has not been found.")
    del farm.removed[int(at)]
    return 200, device.changed(farm, {"description": "Delete headremove directive.", "success": "true"})


def create_service(device: Device, body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    what = "New service"
    farm = device.farm(name, what)
    only(device, what, body, {"id", "copy_from"}, {"id"})
    check(what, body, {"id": name_rule})
    if body["id"] in farm.services:
        raise Refused(what, f"Service name {body['id']} already exists.")
    farm.services[body["id"]] = {
        "backends": [], "farmguardian": None, "httpsb": "false", "leastresp": "false", "persistence": "",
        "redirect": "", "redirecttype": "", "sessionid": "", "ttl": 120, "urlp": "", "vhost": "",
        **({"pinnedconnection": 0, "rewritelocation": "disabled", "routingpolicy": "ROUND_ROBIN"}
           if device.product.ng else {}),
    }  # fmt: skip
    message = f"A new service has been created in farm {name} with id {body['id']}."
    return 201, device.changed(farm, {"description": what, "message": message, "params": {"id": body["id"]}})


def service_shown(device: Device, farm: Farm, name: str, *, read: bool = False) -> dict[str, Any]:
    service = {**farm.services[name], "id": name}
    if read:
        extra = {"tag": 0} if device.product.ng else {}
        service["backends"] = [
            {
                **one,
                **({"tag": 512 + at} if extra else {}),
                **({} if device.product.ng else {"priority": one["priority"] or 1}),
            }
            for at, one in enumerate(service["backends"])
        ]
    if device.product.old:
        del service["farmguardian"]
        service |= old_shown(farm)
    return service


def change_service(device: Device, body: JsonValue, name: str, service: str) -> tuple[int, dict[str, Any]]:
    farm = device.farm(name)
    found = device.service(farm, service, "Modify service")
    only(device, "Modify service", body, SERVICE_PARAMETERS)
    rules = {
        "persistence": one_of("", "IP", "BASIC", "URL", "PARM", "COOKIE", "HEADER"),
        "httpsb": one_of("true", "false"),
        "redirecttype": one_of("default", "append"),
        "ttl": number(1, 2_000_000),
        "routingpolicy": one_of("ROUND_ROBIN", "LEAST_CONNECTIONS", "RESPONSE_TIME", "PENDING_CONNECTIONS"),
    }
    check("Modify service", body, rules)
    if found["backends"] and body.get("redirect"):
        raise Refused("Modify service", "A service with backends cannot redirect")
    found |= body if device.product.ng else {key: value for key, value in body.items() if key in found}
    what = f"Modify service {service} in farm {name}"
    message = f"The service {service} has been updated successfully."
    return 200, device.changed(
        farm, {"description": what, "message": message, "params": service_shown(device, farm, service)}
    )


def delete_service(device: Device, _body: JsonValue, name: str, service: str) -> tuple[int, dict[str, Any]]:
    farm = device.farm(name)
    device.service(farm, service, "Delete service")
    del farm.services[service]
    return 200, device.changed(farm, {"description": "Delete service", "success": "true"})


def add_backend(device: Device, body: JsonValue, name: str, service: str) -> tuple[int, dict[str, Any]]:
    what = "New service backend"
    farm = device.farm(name, what)
    found = device.service(farm, service, what)
    if found["redirect"]:
        message = "It is not possible to create a backend when the service has a redirect configured."
        raise Refused(what, message)
    extra = {"priority"} if device.product.priorities else set()
    extra |= {"connection_limit"} if device.product.ng else set()
    only(device, what, body, {"ip", "port", "weight", "timeout", *extra}, {"ip", "port"})
    rules = {
        "ip": lambda value: re.fullmatch(r"[0-9.]+", str(value)) is not None,
        "port": number(1, 65535),
        "weight": number(1, 9),
        "priority": number(1, 9 if device.product.ng else 2),
        "timeout": number(1, 2_000_000),
    }
    check(what, body, rules)
    twin = any((one["ip"], one["port"]) == (body["ip"], int(body["port"])) for one in found["backends"])
    if twin and not device.product.doubles:
        raise Refused(what, "There is a backend with the same IP and port in the service.")
    one: dict[str, Any] = {
        "id": len(found["backends"]),
        "ip": body["ip"],
        "port": int(body["port"]),
        "priority": body.get("priority"),
        "status": "up",
        "timeout": body.get("timeout"),
        "weight": body.get("weight"),
    }
    if device.product.ng:
        one["connection_limit"] = None
    elif one["priority"] == 2:
        one["weight"] = None
    found["backends"].append(one)
    shown = {key: value for key, value in one.items() if device.product.ng or key != "priority"}
    message = "Added backend to service successfully."
    return 201, device.changed(farm, {"description": what, "message": message, "params": shown}, status=True)


def backend(device: Device, backends: list[dict[str, Any]], at: str, what: str) -> dict[str, Any]:
    if int(at) >= len(backends):
        raise Refused(what, f"Could not find a backend with id {at}.", device.product.missing)
    return backends[int(at)]


def change_backend(device: Device, body: JsonValue, name: str, service: str, at: str) -> tuple[int, dict[str, Any]]:
    what = "Modify service backend"
    farm = device.farm(name, what)
    one = backend(device, device.service(farm, service, what)["backends"], at, what)
    extra = {"priority"} if device.product.priorities else set()
    only(device, what, body, {"ip", "port", "weight", "timeout", *extra})
    check(what, body, {"weight": number(1, 9), "priority": number(1, 2), "timeout": number(1, 2_000_000)})
    one |= body
    shown = {key: str(value) for key, value in body.items()} if device.product.ng else dict(body)
    answer = {"description": what, "message": "Backend modified.", "params": shown}
    return 200, device.changed(farm, answer, status=True)


def remove(backends: list[dict[str, Any]], at: str) -> None:
    del backends[int(at)]
    for place, one in enumerate(backends):
        one["id"] = place


def delete_backend(device: Device, _body: JsonValue, name: str, service: str, at: str) -> tuple[int, dict[str, Any]]:
    what = "Delete service backend"
    farm = device.farm(name, what)
    found = device.service(farm, service, what)
    backend(device, found["backends"], at, what)
    remove(found["backends"], at)
    answer = {"description": what, "message": "Backend removed", "success": "true"}
    return 200, device.changed(farm, answer, status=True)


def maintain(device: Device, farm: Farm, one: dict[str, Any], body: JsonValue, what: str) -> tuple[int, dict[str, Any]]:
    only(device, what, body, {"action", "mode"}, {"action"})
    check(what, body, {"action": one_of("up", "maintenance"), "mode": one_of("drain", "cut")})
    if farm.profile == "http" and device.product.pending and farm.pending:
        raise Refused(what, "The farm needs to be restarted before to apply this action.")
    one["status"] = "up" if body["action"] == "up" else "maintenance"
    quote = "" if device.product.ng else "'"
    message = f"The action {body['action']} has been performed in farm {quote}{farm.name}{quote}."
    params = {"action": body["action"], "farm": {"status": device.status(farm)}, "message": message}
    return 200, {"description": what, "params": params}


def maintain_service(device: Device, body: JsonValue, name: str, service: str, at: str) -> tuple[int, dict[str, Any]]:
    what = "Set service backend status"
    farm = device.farm(name, what)
    return maintain(
        device, farm, backend(device, device.service(farm, service, what)["backends"], at, what), body, what
    )


def maintain_l4(device: Device, body: JsonValue, name: str, at: str) -> tuple[int, dict[str, Any]]:
    what = "Set backend status"
    farm = device.farm(name, what)
    return maintain(device, farm, backend(device, farm.backends, at, what), body, what)


def add_l4_backend(device: Device, body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    what = "New farm backend"
    farm = device.farm(name, what)
    only(device, what, body, {"ip", "port", "weight", "priority", "max_conns"}, {"ip"})
    check(what, body, {"port": number(1, 65535), "weight": number(1, 9), "priority": number(1, 9)})
    if any((one["ip"], one["port"]) == (body["ip"], int(body["port"])) for one in farm.backends):
        raise Refused(what, "There is a backend with the same IP and port in the farm.")
    one = {
        "id": len(farm.backends),
        "ip": body["ip"],
        "max_conns": 0,
        "port": int(body["port"]),
        "priority": int(body.get("priority", 1)),
        "status": "up",
        "weight": int(body.get("weight", 1)),
    }
    farm.backends.append(one)
    answer = {"description": what, "message": "Backend added.", "params": dict(one)}
    return 201, device.changed(farm, answer, status=True)


def change_l4_backend(device: Device, body: JsonValue, name: str, at: str) -> tuple[int, dict[str, Any]]:
    what = "Modify backend"
    farm = device.farm(name, what)
    only(device, what, body, {"ip", "port", "weight", "priority", "max_conns"})
    check(what, body, {"port": number(1, 65535), "weight": number(1, 9), "priority": number(1, 9)})
    one = backend(device, farm.backends, at, what)
    one |= body
    return 200, device.changed(farm, {"description": what, "message": "Backend modified.", "params": dict(body)})


def delete_l4_backend(device: Device, _body: JsonValue, name: str, at: str) -> tuple[int, dict[str, Any]]:
    what = "Delete backend"
    farm = device.farm(name, what)
    backend(device, farm.backends, at, what)
    remove(farm.backends, at)
    return 200, device.changed(farm, {"description": what, "message": "Backend removed", "success": "true"})


GUARDIAN = {
    "backend_alias": "false", "command": "", "cut_conns": "false", "description": "", "farms": [], "interval": 10,
    "log": "false", "template": "false", "timeout": 10,
}  # fmt: skip
TEMPLATE = "Send HTTPS request to backend and expect a 200 OK response with a timeout of 5 secs."


def create_guardian(device: Device, body: JsonValue) -> tuple[int, dict[str, Any]]:
    only(device, "Create a farm guardian", body, {"name", "copy_from"}, {"name"})
    name = body["name"]
    what = f"Create a farm guardian '{name}'"
    if name in device.guardians:
        raise Refused(what, f"The farm guardian '{name}' already exists.")
    device.guardians[name] = {**copy.deepcopy(GUARDIAN), "name": name}
    if "copy_from" in body:
        command = "check_http -I HOST -p PORT -e 200 -S -t 5"
        device.guardians[name] |= {"command": command, "description": TEMPLATE, "interval": 15, "timeout": 15}
    message = f"The farm guardian '{name}' has been created successfully."
    return 200, {"description": what, "message": message, "params": copy.deepcopy(device.guardians[name])}


def guardian(device: Device, name: str, what: str) -> dict[str, Any]:
    if name not in device.guardians:
        raise Refused(what, f"The farm guardian '{name}' has not been found.", 404)
    return device.guardians[name]


def get_guardian(device: Device, _body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    what = f"Show the farm guardian {name}"
    return 200, {"description": what, "params": copy.deepcopy(guardian(device, name, what))}


def change_guardian(device: Device, body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    what = f"Modify farm guardian '{name}'"
    found = guardian(device, name, what)
    known = {"description", "command", "interval", "timeout", "cut_conns", "log", "backend_alias", "force"}
    only(device, what, body, known)
    running = [farm.name for farm in device.farms.values() if farm.running is not None and name in checks_of(farm)]
    if running and {"command", "backend_alias"} & body.keys() and "force" not in body:
        listed = ", ".join(running)
        message = f"Farm guardian '{name}' is running in: '{listed}'. To apply, send parameter 'force'"
        raise Refused(what, message)
    body.pop("force", None)
    rules = {"interval": number(1, 1_000_000), "timeout": number(1, 1_000_000), "cut_conns": one_of("true", "false")}
    check(what, body, rules)
    found |= body
    if "interval" in body and "timeout" not in body and found["timeout"] > found["interval"]:
        found["timeout"] = body["interval"]
    message = f"Success, some parameters have been changed in farm guardian '{name}'."
    return 200, {"description": what, "message": message, "params": copy.deepcopy(found)}


def delete_guardian(device: Device, _body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    what = f"Delete the farm guardian '{name}'"
    guardian(device, name, what)
    if farms := ", ".join(farm.name for farm in device.farms.values() if name in checks_of(farm)):
        message = f"It is not possible delete farm guardian '{name}' because it is running in: '{farms}'"
        raise Refused(what, message)
    del device.guardians[name]
    return 200, {"description": what, "success": "true", "message": f"{name} has been deleted successfully."}


def checks_of(farm: Farm) -> set[str]:
    return {farm.guardian, *(str(one["farmguardian"]) for one in farm.services.values())}


def attach(device: Device, body: JsonValue, name: str, service: str) -> tuple[int, dict[str, Any]]:
    what = "Add a farm guardian"
    farm = device.farm(name, what)
    found = device.service(farm, service, what)
    only(device, what, body, {"name"}, {"name"})
    guardian(device, body["name"], what)
    if found["farmguardian"]:
        raise Refused(what, f"The farm '{name}' has already linked a farm guardian")
    found["farmguardian"] = body["name"]
    place = f"the service '{service}' in the farm '{name}'"
    if device.product.ng:
        place = f"the 'service '{service}' in the farm '{name}''"
    text = f"the farm guardian '{body['name']}' to {place}"
    done = f"Success, The farm guardian '{body['name']}' was added to {place}"
    return 200, device.changed(farm, {"description": f"Add {text}", "message": done}, status=True)


def attach_l4(device: Device, body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    what = "Add a farm guardian"
    farm = device.farm(name, what)
    only(device, what, body, {"name"}, {"name"})
    guardian(device, body["name"], what)
    if farm.guardian:
        raise Refused(what, f"The farm '{name}' has already linked a farm guardian")
    farm.guardian = body["name"]
    text = f"the farm guardian '{body['name']}' to the farm '{name}'"
    done = f"Success, The farm guardian '{body['name']}' was added to the farm '{name}'"
    return 200, device.changed(farm, {"description": f"Add {text}", "message": done}, status=True)


def detach(device: Device, _body: JsonValue, name: str, service: str, one: str) -> tuple[int, dict[str, Any]]:
    farm = device.farm(name)
    found = device.service(farm, service, "Remove farm guardian")
    if found["farmguardian"] != one:
        raise Refused("Remove farm guardian", "The farm guardian is not linked")
    found["farmguardian"] = None
    return 200, device.changed(farm, {"description": "Remove the farm guardian", "success": "true"})


def detach_l4(device: Device, _body: JsonValue, name: str, one: str) -> tuple[int, dict[str, Any]]:
    farm = device.farm(name)
    if farm.guardian != one:
        raise Refused("Remove farm guardian", "The farm guardian is not linked")
    farm.guardian = ""
    return 200, device.changed(farm, {"description": "Remove the farm guardian", "success": "true"})


OLD_GUARDIAN = {"fgenabled": "false", "fglog": "false", "fgscript": "", "fgtimecheck": 5}


def old_shown(farm: Farm) -> dict[str, Any]:
    """The check of a farm in v3.1; where there is none, as the API fills it in."""
    return {**OLD_GUARDIAN, **farm.old_guardian}


def old_guardian(device: Device, body: JsonValue, name: str) -> tuple[int, dict[str, Any]]:
    what = "Modify farm guardian"
    if not device.product.old:
        raise Refused("Request not found", f"Request not found: /farms/{name}/fg", 404)
    farm = device.farm(name, what)
    only(device, what, body, {"service", *OLD_GUARDIAN})
    if farm.profile == "l4xnat" and "service" in body:
        raise Refused(what, "L4xNAT profile farms do not have services.")
    if farm.profile == "http" and body.get("service") not in farm.services:
        raise Refused(what, "Invalid service name, please insert a valid value.", 404)
    if body.get("fgscript") == "":
        raise Refused(what, "Invalid fgscript, can't be blank.")
    bit = one_of("true", "false")
    check(what, body, {"fgtimecheck": number(1, 1_000_000), "fgenabled": bit, "fglog": bit})
    farm.old_guardian |= {key: value for key, value in body.items() if key != "service"}
    return 200, {"description": what, "params": old_shown(farm)}


_F = r"/farms/([^/]+)"
_S = _F + r"/services/([^/]+)"
ROUTES: tuple[tuple[str, str, Callable[..., tuple[int, dict[str, Any]]]], ...] = (
    ("GET", "/system/version", version),
    ("GET", "/farms", list_farms),
    ("POST", "/farms", create_farm),
    ("GET", _F, get_farm),
    ("PUT", _F, change_farm),
    ("DELETE", _F, delete_farm),
    ("PUT", _F + "/actions", action),
    ("GET", _F + "/summary", summary),
    ("GET", r"/stats/farms/([^/]+)", statistics),
    ("POST", r"/certificates/([^/]+)", upload),
    ("DELETE", r"/certificates/([^/]+)", delete_certificate),
    ("POST", _F + "/certificates", add_certificate),
    ("POST", _F + "/addheader", add_header),
    ("DELETE", _F + r"/addheader/([0-9]+)", delete_header),
    ("POST", _F + "/headremove", remove_header),
    ("DELETE", _F + r"/headremove/([0-9]+)", keep_header),
    ("POST", _F + "/services", create_service),
    ("PUT", _S, change_service),
    ("DELETE", _S, delete_service),
    ("POST", _S + "/backends", add_backend),
    ("PUT", _S + r"/backends/([0-9]+)", change_backend),
    ("DELETE", _S + r"/backends/([0-9]+)", delete_backend),
    ("PUT", _S + r"/backends/([0-9]+)/maintenance", maintain_service),
    ("POST", _F + "/backends", add_l4_backend),
    ("PUT", _F + r"/backends/([0-9]+)", change_l4_backend),
    ("DELETE", _F + r"/backends/([0-9]+)", delete_l4_backend),
    ("PUT", _F + r"/backends/([0-9]+)/maintenance", maintain_l4),
    ("POST", "/monitoring/fg", create_guardian),
    ("GET", r"/monitoring/fg/([^/]+)", get_guardian),
    ("PUT", r"/monitoring/fg/([^/]+)", change_guardian),
    ("DELETE", r"/monitoring/fg/([^/]+)", delete_guardian),
    ("POST", _S + "/fg", attach),
    ("DELETE", _S + r"/fg/([^/]+)", detach),
    ("POST", _F + "/fg", attach_l4),
    ("DELETE", _F + r"/fg/([^/]+)", detach_l4),
    ("PUT", _F + "/fg", old_guardian),
)


NEWER = {
    create_guardian,
    get_guardian,
    change_guardian,
    delete_guardian,
    attach,
    detach,
    attach_l4,
    detach_l4,
    add_header,
}
NEWER |= {delete_header}
"""Calls that v3.1 does not have."""


class Server:
    """The device behind HTTPS on the loopback address."""

    product: str
    """The name of the product in the tests."""
    folder: "Path"
    """Where the certificates and the spec are."""

    def __init__(self, product: Product, context: ssl.SSLContext) -> None:
        self.device = Device(product)
        self.faults: list[Fault] = []
        self.patience = 5.0
        """Seconds: how late a `slow` answer is."""
        self.count = 0
        self.url = ""
        self.lock = threading.Lock()
        self._context = context

    def __enter__(self) -> "Server":  # noqa: PYI034
        server = self
        done = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer is sent in one piece
            disable_nagle_algorithm = True

            def handle_one(self) -> None:
                server.serve(self, done)

            do_GET = do_POST = do_PUT = do_DELETE = handle_one  # noqa: N815

            def log_message(self, *_arguments: object) -> None:
                """Print nothing."""

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_arguments: object) -> None:
                """Connections that break are the point of some tests."""

        self._done = done
        self._listener = Listener(("127.0.0.1", 0), Handler)
        self._listener.socket = self._context.wrap_socket(self._listener.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._listener.server_address[1]}"
        self._thread = threading.Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_arguments: object) -> None:
        self._done.set()
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    def fault(self) -> str:
        with self.lock:
            number, self.count = self.count, self.count + 1
        return next((one.kind for one in self.faults if number == one.number or (one.on and number > one.number)), "")

    def serve(self, request: http.server.BaseHTTPRequestHandler, done: threading.Event) -> None:
        raw = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        kind = self.fault()
        if kind == "before":
            return self.cut(request)
        if kind.isdecimal():
            return self.reply(request, int(kind), json.dumps(self.device.error("Fault", f"fault {kind}")).encode())
        if kind in PAGES:
            return self.reply(request, 200, PAGES[kind])
        status, answer = self.work(request, raw)
        if kind == "after":
            return self.cut(request)
        if kind == "slow":
            done.wait(self.patience)
        content = b"<html>busy</html>" if kind == "page after" else json.dumps(answer).encode()
        return self.reply(request, status, content)

    def cut(self, request: http.server.BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        request.connection.shutdown(socket.SHUT_RDWR)

    def reply(self, request: http.server.BaseHTTPRequestHandler, status: int, content: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
        request.wfile.flush()

    def work(self, request: http.server.BaseHTTPRequestHandler, raw: bytes) -> tuple[int, dict[str, Any]]:
        product = self.device.product
        base = next((base for base in product.paths if request.path.startswith(f"{base}/")), None)
        if base is None:
            return 404, {"message": "no API here"}
        if not any(request.headers.get(header) == KEY for header in product.headers):
            return 401, {"message": "Authorization required"}
        path = request.path.removeprefix(base)
        body: JsonValue = None
        if raw:
            kind = request.headers.get("Content-Type", "")
            pem = path.startswith("/certificates/")
            if kind not in ({"application/x-pem-file", "text/plain"} if pem else {"application/json"}):
                return 415, self.device.error("Content-Type", "Content-Type not supported: " + kind)
            body = raw if pem else json.loads(raw)
        with self.lock:
            return self.device.answer(request.command, path, body)


def context(certificate: str, key: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    return made
