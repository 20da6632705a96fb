"""A BIG-IP for tests: iControl REST over TLS on loopback, with state, and as strict as a device.

It answers as devices were recorded: defaults on GET, inherited from parents; references and subcollections; members
that show the monitor's view; transactions that check nothing before the commit; tokens; two families of errors and
HTML. What it does not know it refuses. Faults are switched on by request: see `Fault`.
"""

import copy
import datetime as dt
import ipaddress
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

    from tests.f5.soap import Portal

Json: TypeAlias = dict[str, Any]
JsonValue: TypeAlias = Any
"""A value of JSON, as a request brings it and as an answer has it: the model checks its type."""
Headers: TypeAlias = Mapping[str, str] | Message
Key = tuple[str, str]


class Refusal(Exception):  # noqa: N818  # an answer, not a fault
    """An answer whose status is not 200."""

    def __init__(self, status: int, message: str, code: int = 3) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


def icrd(status: int, message: str, code: int) -> Json:
    return {"code": status, "message": message, "errorStack": [], "apiError": code}


def framework(status: int, message: str) -> Json:
    return {
        "code": status,
        "message": message,
        "referer": "127.0.0.1",
        "restOperationId": 7,
        "kind": ":resterrorresponse",
    }


@dataclass(frozen=True)
class Kind:
    """One class of objects: its name in messages, its properties with their types and defaults."""

    label: str
    properties: dict[str, tuple[type, Any]]
    base: str = ""
    """The built-in object that others inherit from."""


def props(**given: JsonValue) -> dict[str, tuple[type, Any]]:
    return {name: value if isinstance(value, tuple) else (type(value), value) for name, value in given.items()}


MONITOR = props(
    description=(str, None),
    defaultsFrom=(str, None),
    destination="*:*",
    interval=5,
    timeout=16,
    timeUntilUp=0,
    upInterval=0,
    manualResume="disabled",
    recv=(str, None),
    recvDisable=(str, None),
    send="GET /\\r\\n",
    adaptive="disabled",
    reverse="disabled",
    transparent="disabled",
    username=(str, None),
)
SSL = props(
    description=(str, None),
    defaultsFrom=(str, None),
    alertTimeout="indefinite",
    cacheSize=262144,
    ciphers="DEFAULT",
    cipherGroup="none",
    mode="enabled",
    renegotiation="enabled",
    secureRenegotiation="require",
    serverName="none",
    sniDefault="false",
    sniRequire="false",
    strictResume="disabled",
    handshakeTimeout="10",
    tmOptions=(list, ["dont-insert-empty-fragments", "no-tlsv1.3"]),
)
KINDS: dict[str, Kind] = {
    "ltm node": Kind(
        "Node",
        props(
            address=(str, None),
            fqdn=(dict, None),
            description=(str, None),
            connectionLimit=0,
            dynamicRatio=1,
            logging="disabled",
            monitor="default",
            rateLimit="disabled",
            ratio=1,
            session="user-enabled",
            state="user-up",
        ),
    ),
    "ltm pool": Kind(
        "Pool",
        props(
            description=(str, None),
            allowNat="yes",
            allowSnat="yes",
            ignorePersistedWeight="disabled",
            ipTosToClient="pass-through",
            linkQosToClient="pass-through",
            loadBalancingMode="round-robin",
            members=(list, []),
            minActiveMembers=0,
            minUpMembers=0,
            minUpMembersAction="failover",
            monitor=(str, None),
            queueDepthLimit=0,
            queueOnConnectionLimit="disabled",
            reselectTries=0,
            serviceDownAction="none",
            slowRampTime=10,
        ),
    ),
    "ltm monitor http": Kind("monitor", MONITOR, "/Common/http"),
    "ltm monitor https": Kind(
        "monitor",
        MONITOR | props(cipherlist="DEFAULT", compatibility="enabled", sslProfile=(str, None)),
        "/Common/https",
    ),
    "ltm profile client-ssl": Kind(
        "ClientSSL Profile", SSL | props(certKeyChain=(list, []), allowNonSsl="disabled"), "/Common/clientssl"
    ),
    "ltm profile server-ssl": Kind(
        "ServerSSL Profile",
        SSL
        | props(
            authenticate="once",
            authenticateDepth=9,
            authenticateName="none",
            caFile="none",
            peerCertMode="ignore",
            cert="none",
            key="none",
        ),
        "/Common/serverssl",
    ),
    "ltm profile http": Kind(
        "HTTP Profile",
        props(
            description=(str, None),
            defaultsFrom=(str, None),
            acceptXff="disabled",
            headerErase="none",
            headerInsert="none",
            insertXforwardedFor="disabled",
            oneconnectTransformations="enabled",
            redirectRewrite="none",
            serverAgentName="BigIP",
            proxyType="reverse",
        ),
        "/Common/http",
    ),
    "ltm profile tcp": Kind(
        "TCP Profile",
        props(
            description=(str, None),
            defaultsFrom=(str, None),
            idleTimeout="300",
            keepAliveInterval=1800,
            nagle="auto",
            finWaitTimeout=5,
        ),
        "/Common/tcp",
    ),
    "ltm profile websocket": Kind(
        "WebSocket Profile",
        props(description=(str, None), defaultsFrom=(str, None), masking="selective"),
        "/Common/websocket",
    ),
    "ltm persistence cookie": Kind(
        "persistence profile",
        props(
            description=(str, None),
            defaultsFrom=(str, None),
            alwaysSend="disabled",
            cookieEncryption="disabled",
            cookieName="none",
            expiration="0",
            hashLength=0,
            httponly="enabled",
            method="insert",
            secure="enabled",
            timeout="180",
            mirror="disabled",
        ),
        "/Common/cookie",
    ),
    "ltm persistence source-addr": Kind(
        "persistence profile",
        props(
            description=(str, None),
            defaultsFrom=(str, None),
            hashAlgorithm="default",
            mapProxies="enabled",
            mask="none",
            timeout="180",
            mirror="disabled",
        ),
        "/Common/source_addr",
    ),
    "ltm rule": Kind("iRule", props(apiAnonymous=(str, None), ignoreVerification=(str, None))),
    "ltm policy": Kind(
        "policy",
        props(
            description=(str, None),
            controls=(list, []),
            requires=(list, []),
            rules=(list, []),
            strategy="/Common/first-match",
            legacy=(bool, None),
            status=(str, None),
        ),
    ),
    "ltm virtual": Kind(
        "Virtual Server",
        props(
            description=(str, None),
            addressStatus="yes",
            autoLasthop="default",
            cmpEnabled="yes",
            connectionLimit=0,
            destination=(str, None),
            enabled=(bool, None),
            gtmScore=0,
            ipProtocol="any",
            mask=(str, None),
            mirror="disabled",
            mobileAppTunnel="disabled",
            nat64="disabled",
            persist=(list, []),
            policies=(list, []),
            pool=(str, None),
            profiles=(list, []),
            rateLimit="disabled",
            rules=(list, []),
            serviceDownImmediateAction="none",
            source="0.0.0.0/0",
            sourceAddressTranslation=(dict, {"type": "none"}),
            sourcePort="preserve",
            synCookieStatus="not-activated",
            translateAddress="enabled",
            translatePort="enabled",
        ),
    ),
    "sys file ssl-cert": Kind("Certificate", props(sourcePath=(str, None), checksum=(str, None))),
    "sys file ssl-key": Kind("key", props(sourcePath=(str, None), checksum=(str, None))),
    "auth partition": Kind("partition", props(description=(str, None), defaultRouteDomain=0)),
}
MEMBER = props(
    address=(str, None),
    fqdn=(dict, None),
    connectionLimit=0,
    description=(str, None),
    dynamicRatio=1,
    inheritProfile="enabled",
    logging="disabled",
    monitor="default",
    priorityGroup=0,
    rateLimit="disabled",
    ratio=1,
    session="user-enabled",
    state="user-up",
    ephemeral="false",
)
ENUMS = {
    "session": {"user-enabled", "user-disabled"},
    "state": {"user-up", "user-down"},
    "loadBalancingMode": {"round-robin", "ratio-member", "least-connections-member", "ratio-least-connections-member"},
    "serviceDownAction": {"none", "reset", "drop", "reselect"},
    "peerCertMode": {"ignore", "require", "auto"},
    "insertXforwardedFor": {"enabled", "disabled"},
    "masking": {"selective", "preserve", "unmask", "remask"},
    "method": {"insert", "hash", "passive", "rewrite"},
    "hashAlgorithm": {"default", "carp"},
    "ipProtocol": {"tcp", "udp", "any"},
}
OPTIONS = {"dont-insert-empty-fragments", "no-sslv3", "no-tlsv1", "no-tlsv1.1", "no-tlsv1.2", "no-tlsv1.3"}
FLAGS = {
    "httpUri",
    "path",
    "request",
    "startsWith",
    "caseInsensitive",
    "forward",
    "select",
    "persist",
    "cookieInsert",
    "disable",
}
BUILT_IN: list[tuple[str, str, Json]] = [
    *((kind, spec.base, {}) for kind, spec in KINDS.items() if spec.base),
    ("ltm profile tcp", "/Common/f5-tcp-progressive", {"defaultsFrom": "/Common/tcp"}),
    (
        "ltm rule",
        "/Common/_sys_https_redirect",
        {"apiAnonymous": 'when HTTP_REQUEST {\n HTTP::redirect https://[getfield [HTTP::host] ":" 1][HTTP::uri]\n}'},
    ),
]


@dataclass
class Fault:
    """What goes wrong with the n-th request (counted from 1), or with those that `matches` names.

    `reset` and `hang` may happen before or after the request is processed (`after`); so may `garbage`, which answers
    with bytes that are not JSON. `gone` closes the connection, and refuses others until the listener starts again. A
    status is answered instead of processing, as recorded.
    """

    action: str
    number: int = 0
    matches: Callable[[str, str], bool] | None = None
    after: bool = False
    times: int = 1

    def hits(self, number: int, method: str, path: str) -> bool:
        if self.times == 0 or (self.number and number != self.number):
            return False
        if self.matches and not self.matches(method, path):
            return False
        self.times -= 1
        return True


CUTS = {"gone", "hang", "reset"}
STATUSES: dict[str, tuple[int, Any]] = {
    "busy": (503, icrd(503, "There is an active asynchronous task executing.", 32964609)),
    "restarting": (503, "<html>...Configuration Utility restarting...</html>"),
    "mcpd": (500, icrd(500, "The connection to mcpd has been lost, try again.", 32768001)),
    "not-registered": (
        404,
        framework(
            404,
            "URI path /mgmt/tm/ltm/pool not registered.  Please verify URI is supported and wait for /available suffix to be responsive.",  # noqa: E501  # as recorded
        ),
    ),
    "public-uri": (404, framework(404, "Public URI path not registered: /tm/ltm/pool")),
    "async": (500, "<html>... HTTP ERROR 500 AsyncContext timeout ... Powered by Jetty:// 9.4.49.v20220914</html>"),
    "expired": (401, framework(401, "X-F5-Auth-Token has expired.")),
    "forbidden": (
        403,
        framework(
            403,
            "Authorization failed: user=https://localhost/mgmt/shared/authz/users/guest resource=/mgmt/tm/ltm verb=POST",  # noqa: E501  # as recorded
        ),
    ),
    "bad-request": (400, icrd(400, "Found invalid JSON body in the request.", 1)),
}


@dataclass
class Transaction:
    number: int
    commands: list[tuple[str, str, Any]] = field(default_factory=list)
    state: str = "STARTED"


@dataclass
class BigIp:
    """The device's state; `lock` is held while a request is processed."""

    version: str = "16.1.2"
    user: str = "admin"
    password: str = "correct horse"
    failover: str = "active"
    objects: dict[Key, Json] = field(default_factory=dict)
    saved: dict[Key, Json] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)
    groups: set[str] = field(default_factory=lambda: {"pair"})
    synced: list[str] = field(default_factory=list)
    transactions: dict[str, Transaction] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    log: list[tuple[str, str, str, int]] = field(default_factory=list)
    """Every request: method, path with query, transaction, status (0 where the connection was cut)."""
    latency: float = 0.0
    spans: list[tuple[float, float]] = field(default_factory=list)
    """When each request was worked on, from its arrival to its answer."""
    hook: Callable[[str, str, bytes], None] | None = None
    """Called with method, path and body before each request is processed, without the lock."""
    deep_policies: bool = True
    spells_domains: bool = False
    """Whether addresses are shown with their partition's default route domain; that of `source` always is."""
    portal: "Portal | None" = None
    """The SOAP service."""
    generation: int = 100
    tokens_made: int = 0
    extensions: list[Callable[["BigIp", str, str, Any, Json], tuple[int, Any] | None]] = field(default_factory=list)

    stop_listening: Callable[[], None] = lambda: None
    resume: Callable[[], None] = lambda: None
    """Set by the listener."""

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.objects[("auth partition", "Common")] = {"name": "Common"}
        for kind, path, own in BUILT_IN:
            if kind == "ltm profile websocket" and self.parts < (12, 1):
                continue
            self.objects[kind, path] = {**own, "name": path.rpartition("/")[2], "partition": "Common"}
        self.saved = copy.deepcopy(self.objects)

    def renew(self, **own: JsonValue) -> None:
        """Become a device as new, with this state; the listener and the tests keep their reference."""
        self.__init__(**own)  # type: ignore[misc]  # every field gets its value again

    @property
    def parts(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))

    # For tests.

    def rounds(self) -> int:
        """How many requests were one after another: the longest chain of spans that do not overlap."""
        count, last = 0, 0.0
        for began, ended in sorted(self.spans, key=lambda span: span[1]):
            if began >= last:
                count, last = count + 1, ended
        return count

    def own(self) -> dict[Key, Json]:
        """The objects that are not built in, without certificate files."""
        built_in = {(kind, path) for kind, path, _ in BUILT_IN} | {("auth partition", "Common")}
        return copy.deepcopy(
            {
                key: value
                for key, value in self.objects.items()
                if key not in built_in and not key[0].startswith("sys file")
            }
        )

    def files(self) -> set[str]:
        return {path for kind, path in self.objects if kind.startswith("sys file")}

    def writes(self) -> list[tuple[str, str]]:
        """The requests that change something, without logins and logouts."""
        return [
            (method, path)
            for method, path, _, _ in self.log
            if method != "GET" and "/shared/authn/" not in path and "/shared/authz/" not in path
        ]

    def add(self, kind: str, path: str, **own: JsonValue) -> None:
        """Add an object, as an administrator does."""
        self.apply(self.objects, "POST", f"/mgmt/tm/{kind.replace(' ', '/')}", {"name": path, **own})

    # Requests.

    def answer(self, method: str, target: str, headers: Headers, body: bytes) -> tuple[int, Any]:
        with self.lock:
            try:
                return self._answer(method, target, headers, body)
            except Refusal as no:
                return no.status, icrd(no.status, no.message, no.code)

    def exchange(self, method: str, target: str, headers: Headers, body: bytes) -> tuple[str, int, Any]:
        """Process one request; return the fault that cuts the connection (or ""), the status and the answer."""
        if self.hook:
            self.hook(method, target, body)
        transaction = headers.get("X-F5-REST-Coordination-Id") or ""
        with self.lock:
            self.log.append((method, target, transaction, 0))
            index = len(self.log) - 1
            fault = next((one for one in self.faults if one.hits(index + 1, method, target)), None)
        action = fault.action if fault else ""
        status, data = 200, "\x00{not json" if action == "garbage" else None
        if fault is None or fault.after:
            answered = self.answer(method, target, headers, body)
            status, data = (status, data) if action == "garbage" else answered
        if action in STATUSES:
            status, data = STATUSES[action]
        cut = action if action in CUTS else ""
        if not cut:
            self.log[index] = (method, target, transaction, status)
        return cut, status, data

    def _answer(self, method: str, target: str, headers: Headers, body: bytes) -> tuple[int, Any]:
        path = urlsplit(target).path.rstrip("/")
        if path == "/mgmt/shared/authn/login":
            return self._login(json.loads(body))
        if path == "/iControl/iControlPortal.cgi" and self.portal:
            answered: tuple[int, Any] = self.portal(self, method, target, headers, body)
            return answered
        denied = self._denied(headers)
        if denied:
            return denied
        if path.startswith("/mgmt/shared/file-transfer/uploads/"):
            return self._upload(path.rpartition("/")[2], headers, body)
        if path.startswith("/mgmt/shared/authz/tokens/"):
            return self._token(method, path.rpartition("/")[2])
        try:
            data = json.loads(body) if body else None
        except ValueError:
            return 400, icrd(400, "Found invalid JSON body in the request.", 1)
        for extension in self.extensions:
            if (found := extension(self, method, target, data, dict(headers))) is not None:
                return found
        return self._configuration(method, target, headers.get("X-F5-REST-Coordination-Id"), data)

    def _configuration(self, method: str, target: str, transaction: str | None, data: JsonValue) -> tuple[int, Any]:
        url = urlsplit(target)
        path = url.path.rstrip("/")
        if not path.startswith("/mgmt/tm/"):
            return 404, framework(404, f"Public URI path not registered: {path}") | {"unknown": True}
        if transaction is not None:
            return self._queue(transaction, method, path, data)
        if path.startswith("/mgmt/tm/transaction"):
            return self._transaction(method, path, data)
        if method == "GET":
            return self._get(path, unquote(url.query))
        return self._write(method, path, data)

    def _denied(self, headers: Headers) -> tuple[int, Json] | None:
        token = headers.get("X-F5-Auth-Token")
        if headers.get("Authorization"):
            return 401, framework(401, "Authentication failed.")
        if token is None:
            return 401, framework(401, "Authorization failed: no user authentication header or token detected.")
        if token not in self.tokens:
            return 401, framework(401, "X-F5-Auth-Token does not exist.")
        if self.tokens[token] < time.monotonic():
            del self.tokens[token]
            return 401, framework(401, "X-F5-Auth-Token has expired.")
        return None

    def _login(self, data: Json) -> tuple[int, Any]:
        if set(data) != {"username", "password", "loginProviderName"}:
            return 400, framework(400, "unknown property")
        if data["loginProviderName"] != "tmos":
            return 401, {"code": 401, "message": "loginProviderName is invalid."}
        if (data["username"], data["password"]) != (self.user, self.password):
            return 401, framework(401, "Authentication failed.")
        if len(self.tokens) >= 100:
            return 400, {"code": 400, "message": f"user {self.user} has reached maximum active login tokens"}
        self.tokens_made += 1
        token = f"TOKEN{self.tokens_made:021d}"
        self.tokens[token] = time.monotonic() + 1200
        return 200, {
            "username": self.user,
            "loginReference": {"link": "https://localhost/mgmt/cm/system/authn/providers/tmos/1/login"},
            "token": {
                "token": token,
                "name": token,
                "userName": self.user,
                "timeout": 1200,
                "kind": "shared:authz:tokens:authtokenitemstate",
            },
        }

    def _token(self, method: str, token: str) -> tuple[int, Any]:
        if method != "DELETE" or token not in self.tokens:
            return 404, framework(404, "token not found")
        del self.tokens[token]
        return 200, {"token": token}

    def _upload(self, name: str, headers: Headers, body: bytes) -> tuple[int, Any]:
        if (
            headers.get("Content-Range") != f"0-{len(body) - 1}/{len(body)}"
            or headers.get("Content-Type") != "application/octet-stream"
        ):
            return 400, framework(400, "Content-Range or type is wrong")
        self.uploads[name] = body
        return 200, {
            "remainingByteCount": 0,
            "totalByteCount": len(body),
            "localFilePath": f"/var/config/rest/downloads/{name}",
        }

    # Transactions.

    def _transaction(self, method: str, path: str, data: JsonValue) -> tuple[int, Any]:
        number = path.removeprefix("/mgmt/tm/transaction").strip("/")
        if method == "POST" and not number:
            made = Transaction(1526674837169915 + len(self.transactions))
            self.transactions[str(made.number)] = made
            return 200, self._shown_transaction(made)
        if method == "GET" and not number:
            return 200, {"items": [], "kind": "tm:transactioncollectionstate"}
        found = self.transactions.get(number)
        if found is None:
            return 404, icrd(404, f"Transaction {number} is not found.", 1)
        if method == "DELETE":
            del self.transactions[number]
            return 200, None
        if method == "GET":
            return 200, self._shown_transaction(found)
        return self._commit(found, data)

    def _shown_transaction(self, one: Transaction) -> Json:
        shown: Json = {"transId": one.number, "state": one.state, "timeoutSeconds": 120, "kind": "tm:transactionstate"}
        if self.parts >= (12,):
            shown |= {
                "asyncExecution": False,
                "validateOnly": False,
                "executionTimeout": 300,
                "executionTime": 0,
                "failureReason": "",
            }
        return shown | {"selfLink": f"https://localhost/mgmt/tm/transaction/{one.number}?ver={self.version}"}

    def _queue(self, number: str, method: str, path: str, data: JsonValue) -> tuple[int, Any]:
        found = self.transactions.get(number)
        if found is None:
            return 404, icrd(404, f"Transaction {number} is not found.", 1)
        found.commands.append((method, path, data))
        order = len(found.commands)
        return 200, {
            "method": method,
            "uri": f"https://localhost{path}",
            "body": data or {},
            "evalOrder": order,
            "commandId": order,
            "kind": "tm:transaction:commandsstate",
        }

    def _commit(self, one: Transaction, data: JsonValue) -> tuple[int, Any]:
        if not isinstance(data, dict) or data.get("state") != "VALIDATING" or set(data) - {"state", "validateOnly"}:
            return 400, icrd(400, "invalid transaction state", 1)
        if "validateOnly" in data and self.parts < (12,):
            return 400, icrd(400, "unknown property validateOnly", 26214401)
        if not one.commands:
            return 404, icrd(404, "there is no command to commit in the transaction.", 1)
        trial = copy.deepcopy(self.objects)
        try:
            for method, path, body in one.commands:
                if path == "/mgmt/tm/transaction" or path.startswith("/mgmt/tm/sys/config"):
                    raise Refusal(400, "this command cannot be part of a transaction")
                self.apply(trial, method, path, body)
            check(trial, self)
        except Refusal as no:
            del self.transactions[str(one.number)]
            return 400, icrd(400, f"transaction failed:{no.message}", 2)
        if data.get("validateOnly"):
            return 200, {**self._shown_transaction(one), "validateOnly": True, "state": "VALIDATING"}
        self.objects = trial
        del self.transactions[str(one.number)]
        one.state = "COMPLETED"
        return 200, self._shown_transaction(one)

    # Reading.

    def _get(self, path: str, query: str) -> tuple[int, Any]:
        if path == "/mgmt/tm/cm/device":
            item = {"name": "bigip-1", "version": self.version, "failoverState": self.failover, "selfDevice": "true"}
            other = {
                "name": "bigip-2",
                "version": self.version,
                "failoverState": "standby" if self.failover == "active" else "active",
                "selfDevice": "false",
            }
            return 200, {"kind": "tm:cm:device:devicecollectionstate", "items": [other, item]}
        if path == "/mgmt/tm/sys/version":
            return 200, {"kind": "tm:sys:version:versionstats"}
        options = dict(part.partition("=")[::2] for part in query.split("&") if part)
        if set(options) - {"$filter", "expandSubcollections"}:
            raise Refusal(400, f"unknown query {query}", 1)
        kind, name, rest = split_path(path)
        if kind is None:
            return 404, framework(404, f"Public URI path not registered: {path}") | {"unknown": True}
        expand = options.get("expandSubcollections") == "true"
        if not name:
            return 200, self._collection(kind, options.get("$filter", ""), expand=expand)
        if (kind, name) not in self.objects:
            raise Refusal(404, not_found(kind, name))
        if rest:
            return self._subcollection(kind, name, rest)
        return 200, self.shown(kind, name, expand=expand)

    def _subcollection(self, kind: str, name: str, rest: list[str]) -> tuple[int, Any]:
        shown = self.shown(kind, name, expand=True)
        if kind == "ltm policy" and len(rest) == 3:
            rule = next(item for item in shown["rulesReference"]["items"] if item["name"] == rest[1])
            return 200, {"kind": "tm:ltm:policy:rules:collectionstate", "items": self._parts(rule, rest[2])}
        found = shown[f"{rest[0]}Reference"]
        if len(rest) == 1:
            return 200, found
        path = rest[1].replace("~", "/")
        for item in found.get("items", []):
            if item["fullPath"] == path:
                return 200, item
        raise Refusal(404, f"Object not found - {path}", 1)

    def _parts(self, rule: Json, part: str) -> list[Json]:
        found = self._find_rule(rule)
        return [dict(item) for item in found.get(part, [])]

    def _find_rule(self, shown: Json) -> Json:
        return next(
            rule
            for one in self.objects.values()
            for rule in one.get("rules", [])
            if isinstance(rule, dict) and rule["name"] == shown["name"]
        )

    def _collection(self, kind: str, wanted: str, *, expand: bool) -> Json:
        match = re.fullmatch(r"partition[ +]eq[ +]([\w.-]+)", wanted)
        if wanted and not match:
            raise Refusal(400, f"invalid filter {wanted}", 1)
        partition = match[1] if match else None
        items = [
            self.shown(kind, path, expand=expand)
            for found, path in sorted(self.objects)
            if found == kind and (partition is None or path.startswith(f"/{partition}/"))
        ]
        shown: Json = {
            "kind": f"tm:{kind.replace(' ', ':')}:collectionstate",
            "selfLink": f"https://localhost/mgmt/tm/{kind.replace(' ', '/')}?ver={self.version}",
        }
        return shown | ({"items": items} if items else {})

    def effective(self, kind: str, path: str) -> Json:
        """An object's properties with those of its parents and the defaults of its class."""
        own = self.objects[kind, path]
        parent = own.get("defaultsFrom")
        spec = KINDS[kind]
        if parent is None and spec.base and path != spec.base:
            parent = spec.base
        base = (
            self.effective(kind, parent)
            if parent
            else {name: default for name, (_, default) in spec.properties.items()}
        )
        shown = {**base, **{name: value for name, value in own.items() if value is not None}}
        if parent:
            shown["defaultsFrom"] = parent
        return shown

    def shown(self, kind: str, path: str, *, expand: bool = False) -> Json:
        """An object as a GET answers it."""
        full = {name: value for name, value in self.effective(kind, path).items() if value is not None}
        if domain := domain_of(self.objects, path):
            full = self._spelled(full, domain)
        folder = path.rpartition("/")[0]
        link = f"https://localhost/mgmt/tm/{kind.replace(' ', '/')}/{path.replace('/', '~')}"
        shown: Json = {
            "kind": f"tm:{kind.replace(' ', ':')}:state",
            "name": path.rpartition("/")[2],
            "fullPath": path,
            "generation": self.generation,
            "selfLink": f"{link}?ver={self.version}",
        }
        if kind != "auth partition":
            shown["partition"] = folder.split("/")[1]
        if folder.count("/") > 1:
            shown["subPath"] = folder.split("/", 2)[2]
        for name, value in full.items():
            if name not in {"name", "partition", "subPath", "sourcePath"}:
                self._show(shown, kind, name, value, link, expand=expand)
        return shown

    def _spelled(self, full: Json, domain: int) -> Json:
        """Addresses as a device shows them in a partition whose default route domain is not 0."""
        made = dict(full)
        if "source" in made:
            made["source"] = made["source"].replace("/", f"%{domain}/")
        if not self.spells_domains:
            return made
        if "address" in made and "%" not in made["address"]:
            made["address"] += f"%{domain}"
        if "destination" in made:
            last = made["destination"].rpartition("/")[2]
            host, separator, port = made["destination"].rpartition("." if last.count(":") > 1 else ":")
            made["destination"] = f"{host}%{domain}{separator}{port}"
        if made.get("members"):
            made["members"] = [self._spelled(one, domain) for one in made["members"]]
        return made

    def _show(self, shown: Json, kind: str, name: str, value: JsonValue, link: str, *, expand: bool) -> None:
        if name in {"members", "profiles", "policies"} or (kind == "ltm policy" and name == "rules"):
            shown[f"{name}Reference"] = self._reference(kind, name, value, link, expand=expand)
        elif name == "legacy":
            shown["status"] = "legacy" if self.parts >= (12, 1) else shown.get("status", "published")
        elif value not in ("none", []):
            shown[name] = self._as_written(kind, name, value)

    def _as_written(self, kind: str, name: str, value: JsonValue) -> JsonValue:
        """A value as this version writes it."""
        if name == "monitor" and self.parts < (14,):
            return f"{value} "
        if name == "tmOptions" and self.parts >= (16,):
            return f"{{ {' '.join(sorted(value))} }}"
        if name == "persist":
            return [self._persist(entry) for entry in value]
        if kind == "ltm node" and name in {"session", "state"}:
            return {"user-enabled": "monitor-enabled", "user-up": "up"}.get(value, value)
        return value

    def _persist(self, entry: Json) -> Json:
        folder, _, name = entry["name"].rpartition("/")
        return {
            "name": name,
            "partition": folder[1:].split("/")[0],
            "tmDefault": entry.get("tmDefault", "no"),
            "nameReference": {"link": "https://localhost/x"},
        } | ({"subPath": folder.split("/", 2)[2]} if folder.count("/") > 1 else {})

    def _reference(self, kind: str, name: str, value: list[Json], link: str, *, expand: bool) -> Json:
        reference: Json = {"link": f"{link}/{name}?ver={self.version}", "isSubcollection": True}
        if expand and value:
            reference["items"] = [self._item(kind, name, entry) for entry in sorted(value, key=lambda one: one["name"])]
        return reference

    def _item(self, kind: str, name: str, entry: Json) -> Json:
        full = entry["name"]
        if kind == "ltm policy":
            return self._policy_rule(entry)
        folder, _, last = full.rpartition("/")
        shown: Json = {
            "kind": f"tm:ltm:{name}state",
            "name": last,
            "partition": folder.split("/")[1],
            "fullPath": full,
            "generation": self.generation,
        }
        if name == "members":
            shown |= {key: value for key, (_, value) in MEMBER.items() if value is not None}
            shown |= {key: value for key, value in entry.items() if key != "name"}
            if shown["session"] == "user-enabled":
                shown["session"] = "monitor-enabled"
            if shown["state"] == "user-up":
                shown["state"] = "up" if hash(full) % 2 else "checking"
            return shown
        return shown | {"context": "all"} | {key: value for key, value in entry.items() if key != "name"}

    def _policy_rule(self, entry: Json) -> Json:
        shown: Json = {
            "kind": "tm:ltm:policy:rules:rulesstate",
            "name": entry["name"],
            "fullPath": entry["name"],
            "ordinal": entry.get("ordinal", 0),
        }
        for part in ("actions", "conditions"):
            shown[f"{part}Reference"] = {"link": "https://localhost/x", "isSubcollection": True}
            if self.deep_policies and entry.get(part):
                shown[f"{part}Reference"]["items"] = [dict(item) for item in entry[part]]
        return shown

    # Writing.

    def _write(self, method: str, path: str, data: JsonValue) -> tuple[int, Any]:
        if path == "/mgmt/tm/sys/config":
            if data != {"command": "save"}:
                raise Refusal(400, "unknown command", 1)
            self.saved = copy.deepcopy(self.objects)
            return 200, {"kind": "tm:sys:config:savestate", "command": "save"}
        if path == "/mgmt/tm/cm":
            return self._sync(data)
        if path == "/mgmt/tm/util/unix-rm":
            self.uploads.pop(str(data["utilCmdArgs"]).rpartition("/")[2], None)
            return 200, {"kind": "tm:util:unix-rm:runstate", **data}
        trial = copy.deepcopy(self.objects)
        key = self.apply(trial, method, path, data)
        check(trial, self)
        self.objects = trial
        self.generation += 1
        return 200, self.shown(*key) if key and key in trial else None

    def _sync(self, data: Json) -> tuple[int, Any]:
        group = str(data.get("utilCmdArgs", "")).removeprefix("config-sync to-group ")
        if group not in self.groups:
            raise Refusal(
                400, f"01070734:3: Configuration error: Device group ({group}) not found in device group sync"
            )
        self.synced.append(group)
        return 200, {"kind": "tm:cm:runstate", **data}

    def apply(self, objects: dict[Key, Json], method: str, path: str, data: JsonValue) -> Key | None:
        """One write on a set of objects; raises Refusal."""
        kind, name, rest = split_path(path)
        if kind is None:
            raise Refusal(404, f"unknown path {path}", 1)
        if rest:
            self._apply_member(objects, method, kind, name, rest, data)
            return kind, name
        if method == "POST" and not name:
            return self._create(objects, kind, data)
        if method == "PATCH" and name:
            return self._change(objects, kind, name, data)
        if method == "DELETE" and name:
            if (kind, name) not in objects:
                raise Refusal(404, not_found(kind, name))
            refuse_in_use(objects, kind, name)
            del objects[kind, name]
            return None
        raise Refusal(400, f"{method} {path} is not possible", 1)

    def _create(self, objects: dict[Key, Json], kind: str, data: JsonValue) -> Key:
        if not isinstance(data, dict) or not isinstance(data.get("name"), str):
            raise Refusal(400, "one or more properties must be specified", 26214401)
        path = full_path(kind, data)
        folder = path.rpartition("/")[0]
        partition = folder.split("/")[1] if folder else ""
        if kind != "auth partition" and ("auth partition", partition) not in objects:
            raise Refusal(400, f"The requested folder (/{partition}) was not found.", 26214401)
        if (kind, path) in objects:
            raise Refusal(
                409, f"01020066:3: The requested {KINDS[kind].label} ({path}) already exists in partition {partition}."
            )
        own = {name: value for name, value in data.items() if name not in {"name", "partition", "subPath"}}
        self._typed(kind, own)
        if kind.startswith("sys file"):
            own = self._file(own)
        objects[kind, path] = {"name": path.rpartition("/")[2], **self._resolved(objects, kind, own)}
        check_one(objects, kind, path, self)
        return kind, path

    def _file(self, own: Json) -> Json:
        name = own.get("sourcePath", "").removeprefix("file:/var/config/rest/downloads/")
        if name not in self.uploads:
            raise Refusal(400, f"01070712:3: Failed! exit_code (1). file {name}")
        return {"content": self.uploads[name].decode()}

    def _change(self, objects: dict[Key, Json], kind: str, path: str, data: JsonValue) -> Key:
        if (kind, path) not in objects:
            raise Refusal(404, not_found(kind, path))
        if not data:
            raise Refusal(400, "one or more properties must be specified", 26214401)
        if set(data) & {"name", "partition", "subPath"}:
            raise Refusal(400, "the name cannot be changed", 26214401)
        if kind == "ltm node" and set(data) & {"address", "fqdn"}:
            raise Refusal(400, "the address of a node cannot be changed", 26214401)
        self._typed(kind, data)
        objects[kind, path] = {**objects[kind, path], **self._resolved(objects, kind, data)}
        check_one(objects, kind, path, self)
        return kind, path

    def _typed(self, kind: str, own: Json) -> None:
        spec = KINDS[kind].properties
        for name, value in own.items():
            if (
                name not in spec
                or (name == "sslProfile" and self.parts < (13, 1))
                or (name == "legacy" and self.parts < (12, 1))
            ):
                raise Refusal(400, f'unknown property "{name}" of {kind}', 26214401)
            typed(name, value, spec[name][0])
        for name in ("description", "send", "recv", "headerInsert"):
            if re.search(r"<\w+>", str(own.get(name, ""))):
                raise Refusal(400, "HTML Tag-like Content in the Request URL/Body", 26214401)

    def _resolved(self, objects: dict[Key, Json], kind: str, own: Json) -> Json:
        """Resolve lists as the device writes them, and create the nodes of new members."""
        made = dict(own)
        for name in ("members", "profiles", "policies", "persist"):
            if name in made:
                made[name] = [self._entry(name, entry) for entry in made[name]]
                names = [entry["name"] for entry in made[name]]
                if len(set(names)) != len(names):
                    raise Refusal(400, f"{name}: a name stands there twice", 26214401)
        for member in made.get("members", []):
            self._member_node(objects, member)
        return made

    def _entry(self, name: str, entry: JsonValue) -> Json:
        made = dict(entry) if isinstance(entry, dict) else {"name": entry}
        partition = made.pop("partition", "Common")
        if not made["name"].startswith("/"):
            made["name"] = f"/{partition}/{made['name']}"
        allowed = {"members": set(MEMBER), "profiles": {"context"}, "policies": set(), "persist": {"tmDefault"}}[name]
        for key, value in made.items():
            if key != "name" and key not in allowed:
                raise Refusal(400, f'unknown property "{key}" of {name}', 26214401)
            if name == "members" and key != "name":
                typed(key, value, MEMBER[key][0])
        return made

    def _member_node(self, objects: dict[Key, Json], member: Json) -> None:
        """Find the node of a member, or create it from the member's address."""
        node = node_of(member["name"])
        if ("ltm node", node) in objects:
            there = objects["ltm node", node].get("address")
            if member.get("address", there) != there:
                raise Refusal(
                    400, f"01070734:3: Configuration error: the member's address is not that of the node {node}"
                )
            if there:
                member["address"] = there
            return
        if "address" not in member:
            raise Refusal(404, not_found("ltm node", node))
        objects["ltm node", node] = {"name": node.rpartition("/")[2], "address": member["address"]}
        check_one(objects, "ltm node", node, self)

    def _apply_member(
        self, objects: dict[Key, Json], method: str, kind: str, pool: str, rest: list[str], data: JsonValue
    ) -> None:
        if kind != "ltm pool" or rest[0] != "members" or (kind, pool) not in objects:
            raise Refusal(404, f"01020036:3: The requested pool ({pool}) was not found.")
        members = objects[kind, pool].setdefault("members", [])
        if method == "POST" and len(rest) == 1:
            made = self._entry("members", data)
            if any(member["name"] == made["name"] for member in members):
                raise Refusal(
                    409,
                    f"01020066:3: The requested Pool Member ({pool} {spaced(made['name'])}) already exists in partition {pool.split('/')[1]}.",  # noqa: E501  # as recorded
                )
            self._member_node(objects, made)
            members.append(made)
            return
        name = rest[1].replace("~", "/")
        found = next((member for member in members if member["name"] == name), None)
        if found is None:
            raise Refusal(404, f"01020036:3: The requested Pool Member ({pool} {spaced(name)}) was not found.")
        if method == "DELETE":
            members.remove(found)
        elif method == "PATCH" and data:
            changed = self._entry("members", {"name": name, **data})
            if set(data) & {"name", "address", "fqdn"}:
                raise Refusal(400, "the address of a member cannot be changed", 26214401)
            found.update(changed)
        else:
            raise Refusal(400, "one or more properties must be specified", 26214401)


# Names.


def split_path(path: str) -> tuple[str | None, str, list[str]]:
    """A URL's kind, the object's path, and what follows."""
    words = [unquote(part) for part in path.removeprefix("/mgmt/tm/").split("/")]
    for length in (3, 2):
        kind = " ".join(words[:length])
        if kind in KINDS:
            name = words[length].replace("~", "/") if len(words) > length else ""
            return kind, name, words[length + 1 :]
    return None, "", []


def full_path(kind: str, data: Json) -> str:
    name = str(data["name"])
    if kind == "auth partition" or name.startswith("/"):
        return name
    sub = f"{data['subPath']}/" if data.get("subPath") else ""
    return f"/{data.get('partition', 'Common')}/{sub}{name}"


def node_of(member: str) -> str:
    return member.rpartition("." if member.count(":") > 1 else ":")[0]


def spaced(member: str) -> str:
    """A member as messages name it."""
    node = node_of(member)
    return f"{node} {member[len(node) + 1 :]}"


def not_found(kind: str, path: str) -> str:
    return f"01020036:3: The requested {KINDS[kind].label} ({path}) was not found."


def typed(name: str, value: JsonValue, wanted: type) -> None:
    if wanted is int and isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise Refusal(400, f'invalid property value "{name}":"{value}"', 26214401)
    if name in ENUMS and value not in ENUMS[name]:
        raise Refusal(400, f'invalid property value "{name}":"{value}"', 26214401)
    if name == "tmOptions" and isinstance(value, list) and set(value) - OPTIONS:
        raise Refusal(400, f'invalid property value "{name}":"{value}"', 26214401)


# Integrity.


def refuse_in_use(objects: dict[Key, Json], kind: str, path: str) -> None:
    for (other, name), own in objects.items():
        if (
            kind == "ltm node"
            and other == "ltm pool"
            and any(node_of(m["name"]) == path for m in own.get("members", []))
        ):
            raise Refusal(400, f"01070110:3: Node address '{path}' is referenced by a member of pool '{name}'.")
        if kind == "ltm pool" and other == "ltm virtual" and own.get("pool") == path:
            raise Refusal(
                400,
                f"01070265:3: The Pool ({path}) cannot be deleted because it is in use by a Virtual Server ({name}).",
            )
        if (other, name) != (kind, path) and (kind, path) in set(named(objects, other, own)):
            raise Refusal(
                400, f"01070320:3: {KINDS[kind].label} {path} is still referenced by {KINDS[other].label} {name}."
            )


PROFILE_KINDS = tuple(kind for kind in KINDS if kind.startswith("ltm profile"))
PERSIST_KINDS = tuple(kind for kind in KINDS if kind.startswith("ltm persistence"))
MONITOR_KINDS = ("ltm monitor http", "ltm monitor https")


def find(objects: dict[Key, Json], kinds: tuple[str, ...], path: str) -> Key:
    for kind in kinds:
        if (kind, path) in objects:
            return kind, path
    raise Refusal(
        404,
        not_found(kinds[0], path)
        if len(kinds) == 1
        else f"01020036:3: The requested {KINDS[kinds[0]].label.split(' ')[-1].lower()} ({path}) was not found.",
    )


def named(objects: dict[Key, Json], kind: str, own: Json) -> Iterator[Key]:
    """Every object that this one names. Raises Refusal for an absent one."""
    for name, kinds in (
        ("defaultsFrom", (kind,)),
        ("sslProfile", ("ltm profile server-ssl",)),
        ("caFile", ("sys file ssl-cert",)),
    ):
        if own.get(name) not in (None, "none"):
            yield find(objects, kinds, own[name])
    if kind == "ltm pool" and own.get("monitor"):
        for monitor in own["monitor"].split(" and "):
            yield find(objects, MONITOR_KINDS, monitor.strip())
    if kind == "ltm profile client-ssl":
        yield from chain_names(objects, own)
    if kind == "ltm virtual":
        yield from virtual_names(objects, own)
    if kind == "ltm policy":
        yield from policy_names(objects, own)


def chain_names(objects: dict[Key, Json], own: Json) -> Iterator[Key]:
    for entry in own.get("certKeyChain", []):
        for key, value in entry.items():
            if key == "name" or value in (None, "none"):
                continue
            kind = "sys file ssl-key" if key == "key" else "sys file ssl-cert"
            if (kind, value) not in objects:
                called = "key" if key == "key" else "certificate"
                raise Refusal(400, f"01070277:3: The requested {called} ({value}) was not found.")
            yield kind, value


def policy_names(objects: dict[Key, Json], own: Json) -> Iterator[Key]:
    for rule in own.get("rules", []):
        for action in rule.get("actions", []):
            if "pool" in action:
                yield find(objects, ("ltm pool",), action["pool"])


def virtual_names(objects: dict[Key, Json], own: Json) -> Iterator[Key]:
    if own.get("pool") not in (None, "none"):
        yield find(objects, ("ltm pool",), own["pool"])
    for profile in own.get("profiles", []):
        yield find(objects, PROFILE_KINDS, profile["name"])
    for rule in own.get("rules", []):
        yield find(objects, ("ltm rule",), rule)
    for policy in own.get("policies", []):
        yield find(objects, ("ltm policy",), policy["name"])
    for persist in own.get("persist", []):
        yield find(objects, PERSIST_KINDS, persist["name"])


def check_one(objects: dict[Key, Json], kind: str, path: str, device: BigIp) -> None:
    """Check one object, as a device does at each command."""
    own = objects[kind, path]
    list(named(objects, kind, own))
    if kind == "ltm node":
        check_node(objects, path, own)
    if kind == "ltm virtual":
        check_virtual(objects, path, own, device)
    if kind == "ltm policy":
        check_policy(path, own)
    for entry in own.get("certKeyChain", []):
        check_pair(objects, path, entry)
    if kind.startswith("ltm monitor") and own.get("timeout", 16) <= own.get("interval", 5):
        raise Refusal(400, f"01070734:3: Configuration error: {path}: the timeout must be greater than the interval")


def domain_of(objects: dict[Key, Json], path: str) -> int:
    """The default route domain of an object's partition."""
    return (
        int(objects.get(("auth partition", path.split("/")[1]), {}).get("defaultRouteDomain", 0)) if "/" in path else 0
    )


def placed(objects: dict[Key, Json], path: str, address: str) -> tuple[str, int]:
    """An address and its route domain."""
    plain, _, domain = address.partition("%")
    return plain, int(domain) if domain else domain_of(objects, path)


def check_node(objects: dict[Key, Json], path: str, own: Json) -> None:
    if "address" not in own and "tmName" not in own.get("fqdn", {}):
        raise Refusal(400, f"01070734:3: Configuration error: {path}: a node needs an address", 26214401)
    if "address" not in own:
        return
    wanted = placed(objects, path, own["address"])
    ipaddress.ip_address(wanted[0])
    for (kind, other), there in objects.items():
        if kind == "ltm node" and other != path and placed(objects, other, there.get("address", "")) == wanted:
            raise Refusal(400, f"0107176c:3: Invalid Node, the IP address {own['address']} already exists.")


def check_pair(objects: dict[Key, Json], path: str, entry: Json) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    certificate = objects["sys file ssl-cert", entry["cert"]]["content"]
    key = objects["sys file ssl-key", entry["key"]]["content"]
    public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    if public != load_pem_private_key(key.encode(), None).public_key():
        raise Refusal(400, f"01070317:3: profile {path}'s key and certificate do not match")


def check_policy(path: str, own: Json) -> None:
    for rule in own.get("rules", []):
        if set(rule) - {"name", "actions", "conditions", "ordinal"}:
            raise Refusal(400, f"unknown property of the rule {rule['name']}", 26214401)
        for part in (*rule.get("actions", []), *rule.get("conditions", [])):
            unknown = {key for key, value in part.items() if value is True} - FLAGS
            unknown |= {key for key, value in part.items() if value is not True} - {
                "name",
                "pool",
                "values",
                "tmName",
                "expiry",
            }
            if unknown:
                raise Refusal(400, f"unknown property {unknown} of the rule {rule['name']}", 26214401)


def check_virtual(objects: dict[Key, Json], path: str, own: Json, device: BigIp) -> None:
    destination = own.get("destination")
    if not destination:
        raise Refusal(400, f"01070734:3: Configuration error: {path} needs a destination", 26214401)
    last = destination.rpartition("/")[2]
    address, _, port = last.rpartition("." if last.count(":") > 1 else ":")
    if not port.isdecimal() or (address not in {"any", "any6"} and not ipaddress.ip_address(address)):
        raise Refusal(400, f'invalid property value "destination":"{destination}"', 26214401)
    for (kind, other), there in objects.items():
        if kind == "ltm virtual" and other != path and there.get("destination") == destination:
            raise Refusal(
                400,
                f"01070333:3: Virtual Server {path} illegally shares destination address, source address, service port, ip-protocol, and vlan with Virtual Server {other}.",  # noqa: E501  # as recorded
            )
    kinds = [find(objects, PROFILE_KINDS, profile["name"])[0] for profile in own.get("profiles", [])]
    check_profiles(objects, path, own, kinds, device)


def check_profiles(objects: dict[Key, Json], path: str, own: Json, kinds: list[str], device: BigIp) -> None:
    if len([kind for kind in kinds if kind == "ltm profile tcp"]) > 1 and not any(
        "context" in p and p["context"] != "all" for p in own["profiles"]
    ):
        raise Refusal(400, f"01070734:3: Configuration error: {path}: two tcp profiles")
    web = "ltm profile http" in kinds
    for rule in own.get("rules", []):
        text = objects["ltm rule", rule].get("apiAnonymous", "")
        if "HTTP_REQUEST" in text and not web:
            raise Refusal(
                400,
                f"01071912:3: HTTP_REQUEST event in rule ({rule}) requires an associated HTTP or FASTHTTP profile on the virtual-server ({path}).",  # noqa: E501  # as recorded
            )
    if not web:
        cookies = [one for one in own.get("persist", []) if ("ltm persistence cookie", one["name"]) in objects]
        if cookies or own.get("policies") or "ltm profile websocket" in kinds:
            raise Refusal(
                400, f"01070394:3: {path}: an HTTP profile is required by its persistence, policy or websocket profile"
            )
    for side, kind in (("clientside", "ltm profile client-ssl"), ("serverside", "ltm profile server-ssl")):
        for profile in own.get("profiles", []):
            if (kind, profile["name"]) in objects and profile.get("context") != side:
                raise Refusal(400, f"01070734:3: Configuration error: {profile['name']} has the wrong context")
    assert device


def check(objects: dict[Key, Json], device: BigIp) -> None:
    """Check all objects, as a device does after the last command."""
    for kind, path in list(objects):
        list(named(objects, kind, objects[kind, path]))
        if kind == "ltm virtual":
            check_virtual(objects, path, objects[kind, path], device)


# The server.


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    device: BigIp

    def log_message(self, *_args: object) -> None:
        pass

    def handle_one(self) -> None:
        device = self.device
        began = time.perf_counter()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        cut, status, data = device.exchange(self.command, self.path, self.headers, body)
        if cut:
            self.cut_off(cut)
            return
        if device.latency:
            time.sleep(device.latency)
        device.spans.append((began, time.perf_counter()))
        self.reply(status, data)

    def cut_off(self, action: str) -> None:
        """End the connection without an answer."""
        self.close_connection = True
        if action == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
        elif action == "hang":
            time.sleep(1.0)
        else:
            # Later connections are refused until the listener starts again.
            self.device.stop_listening()

    def reply(self, status: int, data: JsonValue) -> None:
        raw = b"" if data is None else data.encode() if isinstance(data, str) else json.dumps(data).encode()
        html = isinstance(data, str)
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if html else "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Set-Cookie", "BIGIPAuthCookie=0123456789ABCDEF; path=/; Secure; HttpOnly")
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_one  # the base class names them  # noqa: N815  # the base class names them


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing about a client that closes its connection."""


class Running:
    """A device that listens on loopback with this certificate; its CA is in a file."""

    def __init__(self, device: BigIp, certificate: Path, ca: Path) -> None:
        self.device, self.ca = device, ca
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.port = 0
        self.server: _Server | None = None

    def listen(self) -> None:
        """Listen, on the former port if there was one. Does nothing while it listens."""
        if self.server is not None:
            return
        handler = type("BoundHandler", (Handler,), {"device": self.device})
        server = self.server = _Server(("127.0.0.1", self.port), handler)
        server.socket = self.context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = server.server_address[1]
        self.device.stop_listening, self.device.resume = self.stop, self.listen
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True).start()

    def stop(self) -> None:
        """Refuse new connections; open ones stay."""
        if self.server is not None:
            server, self.server = self.server, None
            server.shutdown()
            server.server_close()

    def reset(self, **own: JsonValue) -> None:
        """Make the device new; it keeps its port."""
        self.device.renew(**own)
        self.device.stop_listening, self.device.resume = self.stop, self.listen
        self.listen()

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


Pair: TypeAlias = "tuple[Certificate, EllipticCurvePrivateKey]"


def pair(subject: str, issuer: "Pair | None" = None, *, ca: bool = False, names: tuple[str, ...] = ()) -> "Pair":
    """A certificate and its key; self-signed without an issuer (a pair as well)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer[0].subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        general: list[x509.GeneralName] = []
        for each in names:
            try:
                general.append(x509.IPAddress(ipaddress.ip_address(each)))
            except ValueError:
                general.append(x509.DNSName(each))
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem(certificate: "Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return bytes(certificate.public_bytes(Encoding.PEM))


def key_pem(key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives import serialization as s

    return bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))


def certificates(folder: Path) -> tuple[Path, Path]:
    """The server's certificate with its key, and the CA, as files."""
    ca = pair("device CA", ca=True)
    server = pair("bigip", ca, names=("127.0.0.1", "localhost"))
    (folder / "device.pem").write_bytes(pem(server[0]) + key_pem(server[1]))
    (folder / "device-ca.pem").write_bytes(pem(ca[0]))
    return folder / "device.pem", folder / "device-ca.pem"
