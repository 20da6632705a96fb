"""The objects and properties of a BIG-IP that hold no value of a spec: what nlbgen makes instead, or why it does not.

Source: the names of the properties in F5's tmsh reference (16.1).
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from ...readers.f5.as3_unmapped import MODULE
from ...readers.tree import Statement
from ..account import Account, Fate


class Known(NamedTuple):
    """The fate of an object or a property, and the reason."""

    fate: Fate
    detail: str


def _implied(detail: str, names: str) -> dict[str, Known]:
    return dict.fromkeys(names.split(), Known("implied", detail))


def _given_up(detail: str, names: str) -> dict[str, Known]:
    return dict.fromkeys(names.split(), Known("given up", detail))


_DEVICE: Final = "the device's own default is used"
_ELSEWHERE: Final = "another object has this value for the farm"
_ALL: Final = {
    **_given_up("the description of each object names its farm", "description"),
    **_implied("the device writes it itself", "app-service creation-time last-modified-time partition vs-index"),
    **_given_up("farm.yaml has no key for metadata", "metadata"),
}
"""Properties that many kinds of objects have."""
_PARENT: Final = _implied("nlbgen chooses the parent of its own profiles", "defaults-from")

_VIRTUAL: Final = {
    **_ALL,
    **_implied("the address and the port of a node are the target", "translate-address translate-port"),
    **_implied("nlbgen enables the virtual server", "enabled"),
    **_given_up("nlbgen enables the virtual server", "disabled"),
    **_implied("the objects that the virtual server uses", "persist policies pool profiles rules"),
    **_given_up("the virtual servers accept connections from all VLANs", "vlans vlans-disabled vlans-enabled"),
    **_given_up("copies of the traffic are not sent; these pools get no requests", "clone-pools"),
    **_given_up("nlbgen renders no fallback persistence", "fallback-persistence"),
    **_given_up("connections are not mirrored to the other device of the group", "mirror"),
    **_given_up(
        "rates are not limited",
        "bwc-policy rate-class rate-limit rate-limit-dst-mask rate-limit-mode rate-limit-src-mask",
    ),
    **_given_up(
        "no other module of the device takes part: AFM, ASM, APM, DNS",
        "fw-enforced-policy fw-staged-policy gtm-score ip-intelligence-policy per-flow-request-access-policy "
        "security-log-profiles service-policy traffic-matching-criteria",
    ),
    **_given_up(
        _DEVICE,
        "auth mobile-app-tunnel syn-cookie-status transparent-nexthop "
        "address-status auto-discovery auto-lasthop cmp-enabled eviction-protected flow-eviction-policy "
        "l2-forward last-hop-pool nat64 related-rules serverssl-use-sni service-down-immediate-action "
        "source-port throughput-capacity traffic-classes urldb-feed-policy",
    ),
}
_POOL: Final = {
    **_ALL,
    **_implied("the nodes", "members"),
    **_given_up("a pool without a threshold has no backup nodes", "min-active-members"),
    **_given_up(
        "a failover of the device does not depend on the pool",
        "gateway-failsafe-device min-up-members min-up-members-action min-up-members-checking",
    ),
    **_given_up(
        "a pool has no queue: requests wait in IIS",
        "queue-depth-limit queue-on-connection-limit queue-time-limit",
    ),
    **_given_up(
        _DEVICE,
        "allow-nat allow-snat autoscale-group-id ignore-persisted-weight inherit-profile ip-tos-to-client "
        "ip-tos-to-server link-qos-to-client link-qos-to-server profiles reselect-tries",
    ),
    **_given_up("a node that is marked down resets its connections", "service-down-action"),
}
_MEMBER: Final = {
    **_ALL,
    **_given_up("a node has the checks of its pool", "monitor"),
    **_implied("a node has the checks of its pool", "inherit-profile"),
    **_given_up("the mode of the pool does not use it", "dynamic-ratio ratio"),
    **_given_up("rates are not limited", "rate-limit"),
    **_given_up(_DEVICE, "logging profiles"),
    **_implied("the device discovers it", "ephemeral fqdn"),
    **_given_up(_ELSEWHERE, "address connection-limit priority-group session state"),
}
_MONITOR: Final = {
    **_ALL,
    **_PARENT,
    **_given_up("a check does not need to log in", "password username"),
    **_given_up(_ELSEWHERE, "destination interval recv send ssl-profile time-until-up timeout"),
    **_given_up("the checks have the ciphers of the device", "cert cipherlist compatibility key"),
    **_given_up("nodes that fail are checked at the same interval", "up-interval"),
    **_given_up("a check expects one status: balancer.health.expect", "recv-disable"),
    **_given_up(
        _DEVICE,
        "adaptive adaptive-divergence-type adaptive-divergence-value adaptive-limit "
        "adaptive-sampling-timespan ip-dscp manual-resume reverse transparent",
    ),
}
_TCP: Final = {
    **_ALL,
    **_PARENT,
    **_given_up(_ELSEWHERE, "idle-timeout"),
    **_given_up(
        "nlbgen uses the values of F5's profile f5-tcp-progressive",
        "abc ack-on-push auto-proxy-buffer-size auto-receive-window-size auto-send-buffer-size "
        "close-wait-timeout cmetrics-cache congestion-control deferred-accept delay-window-control "
        "delayed-acks dsack early-retransmit ecn fast-open fin-wait-2-timeout fin-wait-timeout "
        "hardware-syn-cookie init-cwnd init-rwnd initial-cwnd initial-rwnd ip-tos-to-client "
        "keep-alive-interval limited-transmit link-qos-to-client max-retrans max-segment-size md5-signature "
        "minimum-rto mptcp nagle pkt-loss-ignore-burst pkt-loss-ignore-rate proxy-buffer-high "
        "proxy-buffer-low proxy-mss proxy-options rate-pace receive-window-size reset-on-timeout rexmt-thresh "
        "selective-acks send-buffer-size slow-start syn-cookie-enable syn-max-retrans syn-rto-base "
        "tail-loss-probe tcp-options time-wait-recycle time-wait-timeout timestamps verified-accept "
        "zero-window-timeout",
    ),
}
_FASTL4: Final = {
    **_ALL,
    **_PARENT,
    **_given_up(_ELSEWHERE, "idle-timeout"),
    **_given_up(
        "nlbgen uses a full proxy with a tcp profile",
        "client-timeout explicit-flow-migration hardware-syn-cookie ip-tos-to-client ip-tos-to-server "
        "keep-alive-interval late-binding loose-close loose-initialization mss-override pva-acceleration "
        "reset-on-timeout software-syn-cookie syn-cookie-enable tcp-close-timeout tcp-handshake-timeout",
    ),
}
_HTTP: Final = {
    **_ALL,
    **_PARENT,
    **_implied(
        "X-Forwarded-For is set by an iRule, and forged ones are removed",
        "accept-xff insert-xforwarded-for xff-alternative-names",
    ),
    **_implied("no header is inserted, and none is removed", "header-erase"),
    **_given_up("the headers X-Forwarded-* are set, and no others", "header-insert"),
    **_given_up(
        "responses are passed as the nodes send them",
        "encrypt-cookie-secret encrypt-cookies fallback-host fallback-status-codes hsts insert-via "
        "redirect-rewrite request-chunking response-chunking response-headers-permitted server-agent-name "
        "via-host-name via-request via-response",
    ),
    **_given_up(
        _DEVICE,
        "basic-auth-realm enforcement explicit-proxy lws-separator lws-width max-header-count max-header-size "
        "max-requests oneconnect-transformations pipeline proxy-type sflow",
    ),
}
_TLS: Final = {
    **_ALL,
    **_PARENT,
    **_implied(
        "frontend.tls.profile sets the TLS versions and ciphers",
        "cipher-group ciphers options tm-options",
    ),
    **_given_up(
        "certificates of clients are not supported",
        "authenticate authenticate-depth ca-file client-cert-ca crl-file peer-cert-mode retain-certificate",
    ),
    **_given_up(_ELSEWHERE, "cert cert-key-chain chain key"),
    **_given_up(
        "use a key without a passphrase, or store the passphrase in the key's object on the device", "passphrase"
    ),
    **_implied("the farm's profile has its own certificate", "inherit-certkeychain"),
    **_given_up(
        _DEVICE,
        "alert-timeout allow-dynamic-record-sizing allow-non-ssl c3d-drop-unknown-ocsp-status cache-size "
        "cache-timeout cert-extension-includes data-0rtt expire-cert-response-control "
        "forward-proxy-bypass-default-action generic-alert handshake-timeout max-active-handshakes "
        "max-renegotiations-per-minute mod-ssl-methods mode ocsp-stapling proxy-ssl proxy-ssl-passthrough "
        "renegotiate-max-record-delay renegotiate-period renegotiate-size renegotiation secure-renegotiation "
        "session-mirroring session-ticket session-ticket-timeout ssl-forward-proxy ssl-forward-proxy-bypass "
        "ssl-sign-hash strict-resume unclean-shutdown untrusted-cert-response-control",
    ),
    **_implied("a farm has one certificate, which contains all its names", "server-name sni-default sni-require"),
}
_PERSISTENCE: Final = {
    **_ALL,
    **_PARENT,
    **_given_up(
        "the affinity is the same for all pools of this virtual server only",
        "match-across-pools match-across-services match-across-virtuals",
    ),
    **_given_up("the connections of a node that is at its limit are refused", "override-connection-limit"),
    **_given_up("sticky sessions are by cookie or source address; no table is mirrored", "map-proxies mask mirror"),
    **_implied("the balancer's cookie is for the whole host, and no script can read it", "always-send httponly secure"),
    **_given_up(
        "the value of the cookie is not encrypted",
        "cookie-encryption cookie-encryption-passphrase encrypt-cookie-pool-name",
    ),
    **_given_up(
        "sticky sessions are by cookie or source address",
        "cookie-name expiration hash-algorithm hash-length hash-offset method rule timeout",
    ),
}
_ADDRESS: Final = {
    **_ALL,
    **_implied("the device makes the virtual address of a virtual server", "address mask"),
    **_given_up(
        "the device's default: virtual addresses are in traffic-group-1 or that of their folder",
        "traffic-group",
    ),
    **_implied(
        "the device's default: virtual addresses are in traffic-group-1",
        "floating inherited-traffic-group unit",
    ),
    **_given_up(
        _DEVICE,
        "arp auto-delete connection-limit enabled icmp-echo route-advertisement server-scope spanning",
    ),
}
_POLICY: Final = {
    **_ALL,
    **_implied(
        "nlbgen writes a policy for SignalR's paths, if the spec names them",
        "controls last-modified legacy published-copy requires status strategy",
    ),
}
_WEBSOCKET: Final = {
    **_ALL,
    **_PARENT,
    **_implied("frames pass as the clients send them", "masking compress-mode"),
}
PROPERTIES: Final[Mapping[str, Mapping[str, Known]]] = {
    "ltm virtual": _VIRTUAL,
    "ltm virtual-address": _ADDRESS,
    "ltm pool": _POOL,
    "ltm node": _MEMBER,
    "member": _MEMBER,
    "ltm monitor": _MONITOR,
    "ltm profile tcp": _TCP,
    "ltm profile fastl4": _FASTL4,
    "ltm profile http": _HTTP,
    "ltm profile client-ssl": _TLS,
    "ltm profile server-ssl": _TLS,
    "ltm profile websocket": {
        **_ALL,
        **_PARENT,
        **_implied("frames pass as the clients send them", "masking compress-mode"),
    },
    "ltm persistence": _PERSISTENCE,
    "ltm policy": _POLICY,
    "ltm snatpool": _given_up("nlbgen uses SNAT automap", "description members partition"),
}
"""The properties of each kind. The key of a kind of several words can be its beginning; `member` is one of a pool."""
HEADS: Final[Mapping[str, Known]] = {
    "ltm virtual-address": Known("implied", "the device makes the virtual address of a virtual server"),
    "ltm node": Known("implied", "a node of the farm"),
    "ltm pool": Known("taken", "nodes"),
    "ltm rule": Known("implied", "an iRule of nlbgen takes its place: its lines have their own results"),
    "ltm policy": Known("implied", "nlbgen writes a policy for SignalR's paths, if the spec names them"),
    "ltm profile tcp": Known("taken", "balancer.signalr.idle_timeout"),
    "ltm profile fastl4": Known("taken", "balancer.signalr.idle_timeout"),
    "ltm profile udp": Known("given up", "a farm has no UDP"),
    "ltm profile http": Known("implied", "nlbgen makes an http profile, which iRules and cookies need"),
    "ltm profile websocket": Known("implied", "WebSockets pass unchanged"),
    "ltm profile client-ssl": Known("implied", "a profile from which the farm's inherits"),
    "ltm profile server-ssl": Known("implied", "nlbgen makes a profile for TLS to the nodes"),
    "ltm profile one-connect": Known(
        "given up", "each connection to a node belongs to one client: Windows sign-in requires it"
    ),
    "ltm profile ntlm": Known("taken", "frontend.windows_sign_in"),
    "ltm profile http2": Known(
        "given up", "with HTTP/2, WebSockets need more profiles: nlbgen uses HTTP/1.1 for clients"
    ),
    "ltm profile http-compression": Known("given up", "responses are passed as the nodes send them"),
    "ltm profile web-acceleration": Known("given up", "nothing is cached"),
    "ltm profile stream": Known("given up", "responses are passed as the nodes send them"),
    "ltm profile html": Known("given up", "responses are passed as the nodes send them"),
    "ltm profile rewrite": Known("given up", "responses are passed as the nodes send them"),
    "ltm profile request-log": Known("given up", "requests are not logged by the device"),
    "ltm profile analytics": Known("given up", "the device collects no statistics of requests"),
    "ltm profile statistics": Known("given up", "the device collects no statistics of requests"),
    "ltm persistence": Known("given up", "sticky sessions are by cookie or source address"),
    "ltm snatpool": Known("given up", "nlbgen uses SNAT automap"),
    "ltm cipher": Known("implied", "frontend.tls.profile decides the ciphers, if f5.cipher_group names no other group"),
    "ltm monitor": Known("implied", "a monitor from which the farm's inherits"),
}
"""The objects of the farm themselves, by the beginning of their kind."""
AS3_OBJECTS: Final = {
    **_implied("nlbgen writes a declaration of its own", "ADC AS3 Tenant Application"),
    **_implied("the profiles that name it have their own results", "Certificate CA_Bundle Cipher_Rule Cipher_Group"),
}
"""Classes of AS3 that are no objects of a BIG-IP, or that have no values of their own."""
AS3_PROPERTIES: Final = {
    **_implied("nlbgen writes a declaration of its own", "class schemaVersion $schema updateMode id template action"),
    **_implied("AS3 chooses how the objects are made", "expand strategy shareNodes autoPopulate fqdnPrefix persist"),
    **_implied("the kind of the object", "monitorType persistenceMethod"),
    **_implied("a name is resolved by the device", "addressDiscovery queryInterval"),
    **_implied("the state of a node comes from its checks", "adminState"),
    **_implied("port 80 redirects if frontend.redirect_http is true", "redirect80"),
    **_implied(
        "frontend.tls.profile sets the TLS versions and ciphers",
        "insertEmptyFragmentsEnabled ssl3Enabled tls1_0Enabled tls1_1Enabled tls1_2Enabled tls1_3Enabled",
    ),
    **_implied("WebSockets pass unchanged", "masking compressMode"),
    **_implied("a pool without checks needs none", "minimumMonitors"),
    **_implied("no persistence", "persistenceMethods"),
    "servicePort": Known("taken", "nodes"),
    "virtualPort": Known("taken", "frontend.port"),
    **_given_up("farm.yaml has no key for it", "label remark"),
    **_given_up("a farm has one address", "virtualAddresses"),
    **_given_up("a farm has one certificate", "certificate"),
    **_given_up(
        "a check does not need to log in, and a key must have no passphrase", "passphrase ciphertext protected"
    ),
    **_given_up("the virtual servers accept connections from all VLANs", "allowVlans rejectVlans"),
    **_given_up("connections are not mirrored to the other device of the group", "mirroring"),
    **_given_up(_DEVICE, "translateServerAddress translateServerPort translateClientPort layer4 addressStatus"),
    **_given_up("copies of the traffic are not sent; these pools get no requests", "clonePools"),
}
"""Properties of AS3 beside those that have a property of a BIG-IP."""
AS3_POLICY: Final = _implied(
    "the condition or the action has its own result",
    "name type event index operand caseSensitive path all host serverName select cookieInsert expiry disable "
    "conditions",
)
"""Keys of the conditions and actions of a policy of AS3."""
_MODULES: Final = frozenset(("sys", "net", "auth", "cm", "cli", "vcmp", "analytics", "wom", "ilx"))


def head_of(kind: str) -> Known | None:
    """The fate of an object of the farm."""
    return next((HEADS[one] for one in _beginnings(kind) if one in HEADS), None)


def property_of(kind: str, name: str) -> Known | None:
    """The fate of a property; an object that is given up is given up with all its properties."""
    table = next((PROPERTIES[one] for one in _beginnings(kind) if one in PROPERTIES), None)
    if table is not None:
        return table.get(name)
    known = head_of(kind)
    return known if known is not None and known.fate == "given up" else None


def _beginnings(kind: str) -> Iterator[str]:
    """The kind, and the beginnings of its words, the longest first."""
    words = kind.split()
    return (" ".join(words[:length]) for length in range(len(words), 0, -1))


def other(statement: Statement) -> Known:
    """The fate of an object that is not the farm's."""
    if statement.name == MODULE:
        kind = statement.words[1].text
        return AS3_OBJECTS.get(kind, Known("given up", f"class {kind}: not part of the farm"))
    if statement.name in _MODULES:
        return Known("given up", "a setting of the device, not part of the farm")
    return Known("given up", "not part of the farm")


def note(account: Account, statement: Statement, known: Known) -> None:
    """Give a statement its fate."""
    if known.fate == "implied":
        account.implied(statement, known.detail)
    elif known.fate == "taken":
        account.taken(statement, known.detail)
    else:
        account.given_up(statement, known.detail)
