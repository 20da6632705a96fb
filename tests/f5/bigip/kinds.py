"""The classes of objects: properties with types and defaults, and the built-in objects."""

from dataclasses import dataclass
from typing import Any

from .answers import Json, JsonValue


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
    "ltm cipher rule": Kind(
        "Cipher Rule",
        props(description=(str, None), cipher=(str, None), dhGroups="DEFAULT", signatureAlgorithms="DEFAULT"),
    ),
    "ltm cipher group": Kind("Cipher Group", props(description=(str, None), allow=(list, []), ordering="default")),
    "ltm monitor tcp": Kind("monitor", MONITOR | props(send=(str, None)), "/Common/tcp"),
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
    ("sys file ssl-cert", "/Common/ca-bundle.crt", {"content": ""}),
    ("ltm cipher rule", "/Common/f5-default", {"cipher": "DEFAULT"}),
    ("ltm cipher group", "/Common/f5-default", {"allow": [{"name": "/Common/f5-default"}]}),
    (
        "ltm rule",
        "/Common/_sys_https_redirect",
        {"apiAnonymous": 'when HTTP_REQUEST {\n HTTP::redirect https://[getfield [HTTP::host] ":" 1][HTTP::uri]\n}'},
    ),
]
