"""AS3 on the simulated BIG-IP: info, declare, tasks; a declaration becomes objects in a partition of its own."""

import copy
import json
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from tests.f5.bigip import BigIp, Key

Json: TypeAlias = dict[str, Any]
JsonValue: TypeAlias = Any
"""A value of a request or of an answer."""
SERVICE = {
    *("iRules", "persistenceMethods", "snat", "virtualAddresses", "virtualPort", "profileTCP", "profileHTTP"),
    *("profileWebSocket", "serverTLS", "clientTLS", "pool", "policyEndpoint", "redirect80"),
}
CLASSES = {
    "Monitor": {"monitorType", "interval", "receive", "send", "timeUntilUp", "timeout", "clientTLS"},
    "Pool": {
        *("loadBalancingMode", "members", "minimumMembersActive", "minimumMonitors", "monitors", "serviceDownAction"),
        "slowRampTime",
    },
    "TLS_Client": {"sendSNI", "ssl3Enabled", "tls1_0Enabled", "tls1_1Enabled", "validateCertificate", "serverName", "trustCA"},  # noqa: E501  # as recorded
    "TLS_Server": {
        "certificates", "insertEmptyFragmentsEnabled", "ssl3Enabled", "tls1_0Enabled", "tls1_1Enabled", "tls1_2Enabled",
        "tls1_3Enabled", "ciphers", "cipherGroup",
    },
    "Cipher_Rule": {"cipherSuites"},
    "Cipher_Group": {"allowCipherRules"},
    "CA_Bundle": {"bundle"},
    "Certificate": {"certificate", "privateKey", "chainCA"},
    "HTTP_Profile": {"insertHeader", "xForwardedFor"},
    "TCP_Profile": {"idleTimeout"},
    "WebSocket_Profile": {"masking", "compressMode"},
    "Persist": {"persistenceMethod", "cookieMethod", "cookieName", "secure", "hashAlgorithm"},
    "iRule": {"iRule", "expand"},
    "Endpoint_Policy": {"strategy", "rules"},
    "Service_HTTPS": SERVICE,
    "Service_HTTP": SERVICE,
    "Service_TCP": SERVICE,
}  # fmt: skip


class Invalid(Exception):  # noqa: N818  # an answer, not a fault
    """The declaration is refused before any change."""


class As3:
    """The state of the extension; its `answer` belongs into the device's `extensions`."""

    def __init__(self, version: str = "3.50.0", polls: int = 1) -> None:
        self.version, self.polls = version, polls
        self.declared: Json = {}
        self.tasks: dict[str, Json] = {}
        self.left: dict[str, int] = {}
        self.busy = 0
        self.meddle: Any = None
        """Called with the device after a declaration was applied."""

    def answer(
        self, device: "BigIp", method: str, target: str, data: JsonValue, _headers: Json
    ) -> tuple[int, Any] | None:
        path, _, query = target.partition("?")
        if not path.startswith("/mgmt/shared/appsvcs/"):
            return None
        if not self.version:
            message = "Public URI path no registered. Please see /var/log/restjavad.0.log and /var/log/restnoded/restnoded.log for details."  # noqa: E501  # as recorded
            return 404, {"code": 404, "message": message}
        rest = path.removeprefix("/mgmt/shared/appsvcs/")
        if rest == "info":
            return 200, {
                "version": self.version,
                "release": "1",
                "schemaCurrent": self.version,
                "schemaMinimum": "3.0.0",
            }
        if rest.startswith("task/"):
            return self.task(rest.removeprefix("task/"))
        if rest.startswith("declare/") and method == "GET":
            return self.record(rest.removeprefix("declare/"), query)
        if rest == "declare" and method == "POST":
            return self.declare(device, data)
        return 404, {"code": 404, "message": f"unknown {target}"}

    def record(self, tenant: str, query: str) -> tuple[int, Any]:
        if tenant not in self.declared:
            return 404, {"code": 404, "message": f"specified tenant(s) '{tenant}' not found in declaration"}
        shown = copy.deepcopy(self.declared[tenant])
        if "showHash=true" in query:
            shown["optimisticLockKey"] = str(hash(json.dumps(self.declared[tenant], sort_keys=True)))
        return 200, {"class": "ADC", "schemaVersion": "3.45.0", tenant: shown}

    def task(self, number: str) -> tuple[int, Any]:
        self.left[number] -= 1
        if self.left[number] >= 0:
            return 200, {"id": number, "results": [{"code": 0, "message": "in progress"}]}
        return 200, {"id": number, **self.tasks[number]}

    def declare(self, device: "BigIp", data: Json) -> tuple[int, Any]:
        if self.busy:
            self.busy -= 1
            return 503, {
                "code": 503,
                "message": "Error: Configuration operation in progress on device undefined, please try again in 2 minutes",  # noqa: E501  # as recorded
            }
        try:
            (tenant,) = [key for key, value in data.items() if isinstance(value, dict)]
            if data["class"] != "ADC" or data["updateMode"] != "selective" or data[tenant]["class"] != "Tenant":
                raise Invalid("/: wrong class")
            lock = data[tenant].pop("optimisticLockKey", None)
            known = hash(json.dumps(self.declared.get(tenant), sort_keys=True))
            if lock is not None and lock != str(known):
                return 422, {
                    "code": 422,
                    "message": "declaration is invalid",
                    "errors": ["optimistic lock key does not match"],
                }
            result = self.apply(device, tenant, data[tenant])
        except (Invalid, KeyError, ValueError) as error:
            return 422, {"code": 422, "message": "declaration is invalid", "errors": [str(error)]}
        number = f"f1f1c942-72b5-42f4-9210-{len(self.tasks):012d}"
        self.tasks[number] = {"results": [{**result, "tenant": tenant, "host": "localhost"}], "declaration": {}}
        self.left[number] = self.polls
        accepted = {"message": "Declaration successfully submitted", "tenant": "", "runTime": 0, "code": 0, "host": ""}
        return 202, {
            "id": number,
            "results": [accepted],
            "selfLink": f"https://localhost/mgmt/shared/appsvcs/task/{number}",
        }

    def apply(self, device: "BigIp", tenant: str, body: Json) -> Json:
        module = __import__("sys").modules["f5_bigip"]
        objects = {
            key: value
            for key, value in copy.deepcopy(device.objects).items()
            if not key[1].startswith(f"/{tenant}/") and key != ("auth partition", tenant)
        }
        applications = {name: value for name, value in body.items() if isinstance(value, dict)}
        try:
            if applications:
                objects["auth partition", tenant] = {"name": tenant}
            for name, application in applications.items():
                Translator(device, objects, tenant, name, application).run()
            module.check(objects)
        except module.Refusal as refusal:
            return {"code": 422, "message": "declaration failed", "response": refusal.message}
        device.objects = objects
        device.saved = copy.deepcopy(objects)
        self.declared.pop(tenant, None)
        if applications:
            self.declared[tenant] = copy.deepcopy(body)
        if self.meddle:
            self.meddle(device)
        return {"code": 200, "message": "success", "lineCount": 25}


class Translator:
    """One application's classes as objects, in the order in which they can be made."""

    ORDER = (
        "CA_Bundle", "Certificate", "TLS_Client", "Monitor", "Pool", "Cipher_Rule", "Cipher_Group", "TLS_Server",
        "HTTP_Profile", "TCP_Profile", "WebSocket_Profile", "Persist", "iRule", "Endpoint_Policy",
        "Service_HTTPS", "Service_HTTP", "Service_TCP",
    )  # fmt: skip

    def __init__(self, device: "BigIp", objects: "dict[Key, Json]", tenant: str, name: str, application: Json) -> None:
        self.device, self.objects, self.tenant, self.application = device, objects, tenant, application
        self.folder = f"/{tenant}/{name}"

    def run(self) -> None:
        parts = {name: value for name, value in self.application.items() if isinstance(value, dict)}
        for name, part in parts.items():
            unknown = set(part) - CLASSES.get(part["class"], set()) - {"class", "remark", "label"}
            if part["class"] not in CLASSES or unknown:
                raise Invalid(f"/{self.tenant}/{name}: should NOT have additional properties {unknown}")
        for name, part in sorted(parts.items(), key=lambda each: self.ORDER.index(each[1]["class"])):
            getattr(self, f"make_{part['class'].lower()}")(name, part)

    def post(self, kind: str, name: str, part: Json, **own: JsonValue) -> None:
        body = {"name": f"{self.folder}/{name}", **own}
        if "remark" in part:
            body["description"] = part["remark"]
        self.device.apply(self.objects, "POST", f"/mgmt/tm/{kind.replace(' ', '/')}", body)

    def path(self, pointer: JsonValue) -> str:
        if isinstance(pointer, str):
            pointer = {"use": pointer}
        if "bigip" in pointer:
            return str(pointer["bigip"])
        if pointer["use"] not in self.application:
            raise Invalid(f"{pointer['use']} does not exist")
        return f"{self.folder}/{pointer['use']}"

    def make_ca_bundle(self, name: str, part: Json) -> None:
        """The device's own file is used as it is."""

    make_certificate = make_ca_bundle

    def make_monitor(self, name: str, part: Json) -> None:
        own = {"interval": part["interval"], "recv": part["receive"], "send": part["send"], "timeout": part["timeout"]}
        own["timeUntilUp"] = part["timeUntilUp"]
        if "clientTLS" in part:
            own["sslProfile"] = self.path(part["clientTLS"])
        self.post(f"ltm monitor {part['monitorType']}", name, part, **own)

    def make_pool(self, name: str, part: Json) -> None:
        members = [self.member(member) for member in part["members"]]
        monitors = [self.path(each) for each in part.get("monitors", [])]
        # As AS3 does: without `all`, one monitor that is up is enough.
        rule = " and ".join(monitors)
        if len(monitors) > 1 and part.get("minimumMonitors") != "all":
            rule = f"min 1 of {{ {' '.join(monitors)} }}"
        monitor = {"monitor": rule} if monitors else {}
        self.post(
            "ltm pool", name, part, loadBalancingMode=part["loadBalancingMode"], members=members,
            minActiveMembers=part["minimumMembersActive"], **monitor,
            serviceDownAction=part["serviceDownAction"], slowRampTime=part["slowRampTime"],
        )  # fmt: skip

    def make_cipher_rule(self, name: str, part: Json) -> None:
        self.post("ltm cipher rule", name, part, cipher=":".join(part["cipherSuites"]))

    def make_cipher_group(self, name: str, part: Json) -> None:
        self.post("ltm cipher group", name, part, allow=[{"name": self.path(one)} for one in part["allowCipherRules"]])

    def member(self, part: Json) -> Json:
        states = {
            "enable": ("user-enabled", "user-up"),
            "disable": ("user-disabled", "user-up"),
            "offline": ("user-disabled", "user-down"),
        }
        session, state = states[part["adminState"]]
        host = part["hostname"] if part.get("addressDiscovery") == "fqdn" else part["serverAddresses"][0]
        separator = "." if ":" in host else ":"
        node = f"/{self.tenant}/{host}"
        made = {
            "name": f"{node}{separator}{part['servicePort']}",
            "priorityGroup": part["priorityGroup"],
            "ratio": part["ratio"],
        }
        if part.get("addressDiscovery") == "fqdn":
            self.objects.setdefault(
                ("ltm node", node), {"name": host, "fqdn": {"tmName": host, "autopopulate": "disabled"}}
            )
            made["fqdn"] = {"autopopulate": "disabled"}
        else:
            made["address"] = host
        return {**made, "session": session, "state": state}

    def make_tls_client(self, name: str, part: Json) -> None:
        ca = self.path(self.application[part["trustCA"]["use"]]["bundle"]) if "trustCA" in part else "none"
        self.post(
            "ltm profile server-ssl", name, part, serverName=part["sendSNI"], caFile=ca,
            authenticateName=part.get("serverName", "none"), peerCertMode="require" if part["validateCertificate"] else "ignore",  # noqa: E501  # as recorded
        )  # fmt: skip

    def make_tls_server(self, name: str, part: Json) -> None:
        site = self.application[part["certificates"][0]["certificate"]]
        chain = {"chain": site["chainCA"]["bigip"]} if "chainCA" in site else {}
        entry = {"name": "set0", "cert": site["certificate"]["bigip"], **chain, "key": site["privateKey"]["bigip"]}
        names = {
            "ssl3Enabled": "no-sslv3",
            "tls1_0Enabled": "no-tlsv1",
            "tls1_1Enabled": "no-tlsv1.1",
            "tls1_2Enabled": "no-tlsv1.2",
        }
        options = ["dont-insert-empty-fragments", *(option for key, option in names.items() if not part[key])]
        ciphers = (
            {"ciphers": part["ciphers"]}
            if "ciphers" in part
            else {"ciphers": "none", "cipherGroup": self.path(part["cipherGroup"])}
        )
        self.post("ltm profile client-ssl", name, part, certKeyChain=[entry], tmOptions=options, **ciphers)

    def make_http_profile(self, name: str, part: Json) -> None:
        header = part.get("insertHeader")
        self.post(
            "ltm profile http",
            name,
            part,
            headerInsert=f"{header['name']}: {header['value']}" if header else "none",
            insertXforwardedFor="enabled" if part.get("xForwardedFor", True) else "disabled",
        )

    def make_tcp_profile(self, name: str, part: Json) -> None:
        self.post("ltm profile tcp", name, part, idleTimeout=str(part["idleTimeout"]))

    def make_websocket_profile(self, name: str, part: Json) -> None:
        self.post("ltm profile websocket", name, part, masking=part["masking"])

    def make_persist(self, name: str, part: Json) -> None:
        if part["persistenceMethod"] == "cookie":
            secure = "enabled" if part.get("secure", True) else "disabled"
            self.post(
                "ltm persistence cookie", name, part,
                cookieName=part["cookieName"], method=part["cookieMethod"], secure=secure,
            )  # fmt: skip
        else:
            self.post("ltm persistence source-addr", name, part, hashAlgorithm=part["hashAlgorithm"])

    def make_irule(self, name: str, part: Json) -> None:
        self.post("ltm rule", name, {}, apiAnonymous=part["iRule"])

    def make_endpoint_policy(self, name: str, part: Json) -> None:
        rules = [
            {
                "name": rule["name"],
                "ordinal": at,
                "conditions": [
                    {
                        "name": str(number), "httpUri": True, "path": True, "request": True, "startsWith": True,
                        "caseInsensitive": not condition["path"]["caseSensitive"], "values": condition["path"]["values"],  # noqa: E501  # as recorded
                    }
                    for number, condition in enumerate(rule["conditions"])
                ],
                "actions": [self.action(number, action) for number, action in enumerate(rule["actions"])],
            }
            for at, rule in enumerate(part["rules"])
        ]  # fmt: skip
        self.post("ltm policy", name, part, rules=rules, strategy=f"/Common/{part['strategy']}", legacy=True)

    def action(self, number: int, part: Json) -> Json:
        made: Json = {"name": str(number), "request": True}
        if part["type"] == "forward":
            return {**made, "forward": True, "select": True, "pool": self.path(part["select"]["pool"])}
        if "disable" in part:
            return {**made, "persist": True, "disable": True}
        cookie = part["cookieInsert"]
        return {**made, "persist": True, "cookieInsert": True, "tmName": cookie["name"], "expiry": cookie["expiry"]}

    def make_service_tcp(self, name: str, part: Json) -> None:
        (address,) = part["virtualAddresses"]
        separator = "." if ":" in address else ":"
        profiles = [
            {"name": self.path(part[key]), "context": "all"}
            for key in ("profileTCP", "profileHTTP", "profileWebSocket")
            if key in part
        ]
        if "profileTCP" not in part:
            profiles.append({"name": "/Common/f5-tcp-progressive", "context": "all"})
        if "profileHTTP" not in part and part["class"] != "Service_TCP":
            profiles.append({"name": "/Common/http", "context": "all"})
        for key, side in (("serverTLS", "clientside"), ("clientTLS", "serverside")):
            if key in part:
                profiles.append({"name": self.path(part[key]), "context": side})
        own: Json = {"pool": self.path(part["pool"])} if "pool" in part else {}
        wild = address in {"0.0.0.0", "::"}
        self.post(
            "ltm virtual", name, part, destination=f"/{self.tenant}/{address}{separator}{part['virtualPort']}", ipProtocol="tcp",  # noqa: E501  # as recorded
            mask=("any" if ":" not in address else "any6") if wild else "255.255.255.255" if ":" not in address else "ffff:" * 7 + "ffff",  # noqa: E501  # as recorded
            source="::/0" if ":" in address else "0.0.0.0/0", sourceAddressTranslation={"type": "automap"}, profiles=profiles,  # noqa: E501  # as recorded
            persist=[{"name": self.path(each), "tmDefault": "yes"} for each in part["persistenceMethods"]],
            policies=[self.path(each) for each in part.get("policyEndpoint", [])], rules=[self.path(each) for each in part["iRules"]], **own,  # noqa: E501  # as recorded
        )  # fmt: skip

    make_service_http = make_service_https = make_service_tcp
