"""AS3 declarations, as the objects that AS3 makes of them on a BIG-IP.

The objects have the syntax tree of tmsh, so that the model and the rules are the same for both. Each word has the
location of the JSON key or value that it comes from. Values that a declaration leaves out are AS3's own defaults, not
the device's. Source: AS3's JSON schema (3.45 to 3.56).

Clone pools get copies of the traffic and are no part of the model. Classes and properties that this module does not
know are listed.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import Final, NamedTuple

from ...core.errors import Location
from ..errors import UnreadableError
from ..text import Source
from ..tree import Configuration, Statement, Unread, Word
from . import json_text
from .json_text import Member, Value

_ANY_CLASS: Final = frozenset({"class", "label", "remark", "$schema", "metadata"})
_NO_TRAFFIC: Final = frozenset(
    (
        *("Certificate", "CA_Bundle", "Certificate_Validator_OCSP", "Cipher_Rule", "Cipher_Group", "Data_Group"),
        *("Service_Address", "Log_Destination", "Log_Publisher", "Firewall_Port_List", "Firewall_Address_List"),
        *("SNAT_Pool", "Analytics_Profile", "Traffic_Log_Profile", "HTTP_Compress", "HTTP_Acceleration_Profile"),
    )
)
"""Classes about which there is no rule."""


class Read(NamedTuple):
    """The objects of a declaration, and what was not understood."""

    statements: tuple[Statement, ...]
    unread: tuple[Unread, ...]


def is_declaration(text: str) -> bool:
    """Whether a text is JSON."""
    return text.lstrip().startswith(("{", "["))


def is_from_declaration(configuration: Configuration) -> bool:
    """Whether a configuration was read from a declaration."""
    return any(is_declaration("\n".join(lines)) for lines in configuration.lines.values())


def parse(source: Source) -> Read:
    """Read a declaration, also inside a request of the class AS3; raises UnreadableError."""
    value = json_text.parse(source)
    inner = value.get("declaration") if value.text("class") == "AS3" else value
    if inner is None or inner.text("class") != "ADC":
        hint = 'give a declaration with `"class": "ADC"`, bigip.conf or a UCS archive'
        raise UnreadableError.at(value.location, "the JSON is no declaration of AS3", hint)
    reader = _Declaration()
    reader.read(inner)
    return Read(tuple(reader.statements), (*source.unread, *reader.unread))


class _Named(NamedTuple):
    """An object of an application: its folder (`/TENANT/APPLICATION`), name, location and properties."""

    folder: str
    name: str
    location: Location
    value: Value

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}"

    def pointer(self, value: Value | None) -> Word | None:
        """The path to which a pointer leads: a name or path, `{"use": ...}` or `{"bigip": ...}`."""
        if value is None:
            return None
        for key in ("use", "bigip"):
            if text := value.text(key):
                return Word(text if text.startswith("/") else f"{self.folder}/{text}", value.location)
        if not isinstance(value.scalar, str):
            return None
        return Word(value.scalar if value.scalar.startswith("/") else f"{self.folder}/{value.scalar}", value.location)


class _Declaration:
    """One pass over a declaration."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.unread: list[Unread] = []

    def read(self, declaration: Value) -> None:
        for tenant in declaration.members or ():
            if tenant.value.text("class") != "Tenant":
                continue
            for application in tenant.value.members or ():
                if application.value.text("class") != "Application":
                    continue
                folder = f"/{tenant.name}/{application.name}"
                for one in application.value.members or ():
                    if one.value.members is not None:
                        self._object(_Named(folder, one.name, one.location, one.value))

    def _object(self, one: _Named) -> None:
        kind = one.value.text("class")
        if kind in _NO_TRAFFIC:
            return
        if kind not in _CLASSES:
            what = f"the class {kind} of `{one.name}`" if kind else f"`{one.name}` has no class"
            self.unread.append(Unread(one.location, f"AS3: {what}: no rule knows it"))
            return
        makes, known = _CLASSES[kind]
        for member in one.value.members or ():
            if member.name not in known and member.name not in _ANY_CLASS:
                self.unread.append(Unread(member.location, f"AS3: no rule knows {member.name} of {kind}"))
        self.statements += makes(one)


# Statements


def _object(one: _Named, kind: str, *inside: Statement | None) -> Statement:
    words = (*(Word(word, one.location) for word in kind.split()), Word(one.path, one.location))
    return Statement(words, tuple(statement for statement in inside if statement is not None))


def _pair(name: str, word: Word | None, key: Location | None = None) -> Statement | None:
    return Statement((Word(name, key or word.location), word)) if word is not None else None


def _block(name: str, location: Location, inside: Iterator[Statement] | list[Statement]) -> Statement | None:
    found = tuple(inside)
    return Statement((Word(name, location),), found) if found else None


def _value(one: _Named, key: str, name: str, otherwise: str = "") -> Statement | None:
    """A property with the value of a key as text, or with AS3's default; none without both."""
    member = _member(one.value, key)
    if member is not None and member.value.scalar is not None:
        return _pair(name, Word(_text(member.value), member.value.location), member.location)
    return _pair(name, Word(otherwise, one.location)) if otherwise else None


def _member(value: Value, key: str) -> Member | None:
    return next((one for one in value.members or () if one.name == key), None)


def _text(value: Value) -> str:
    return str(value.scalar).lower() if isinstance(value.scalar, bool) else str(value.scalar)


def _is(one: _Named, key: str, *, otherwise: bool) -> bool:
    found = one.value.get(key)
    return found.scalar is True if found is not None and isinstance(found.scalar, bool) else otherwise


# Pools and monitors


def _pool(one: _Named) -> list[Statement]:
    members = one.value.get("members")
    monitors = one.value.get("monitors")
    words = [_monitor_word(one, item) for item in (monitors.items if monitors else None) or ()]
    found = [word for word in words if word is not None]
    listed = Statement((Word("monitor", found[0].location), *_joined(found))) if found else None
    return [
        _object(
            one,
            "ltm pool",
            _block("members", members.location if members else one.location, _members(members)),
            listed,
            _value(one, "serviceDownAction", "service-down-action", "none"),
            _value(one, "loadBalancingMode", "load-balancing-mode", "round-robin"),
        )
    ]


def _joined(words: list[Word]) -> Iterator[Word]:
    for number, word in enumerate(words):
        if number:
            yield Word("and", word.location)
        yield word


def _monitor_word(one: _Named, value: Value) -> Word | None:
    """A monitor: the name of a built-in one (`https`), or a pointer."""
    if isinstance(value.scalar, str) and not value.scalar.startswith("/"):
        names = {"tcp-half-open": "tcp_half_open", "icmp": "gateway_icmp"}
        return Word(f"/Common/{names.get(value.scalar, value.scalar)}", value.location)
    return one.pointer(value)


def _members(members: Value | None) -> Iterator[Statement]:
    for member in (members.items if members else None) or ():
        addresses = member.get("serverAddresses")
        port = member.get("servicePort")
        hosts = [(_text(item), item.location) for item in (addresses.items if addresses else None) or ()]
        if name := member.get("hostname"):
            hosts.append((_text(name), name.location))
        for host, location in hosts:
            yield _member_of(host, location, _text(port) if port else "0", member)


def _member_of(host: str, location: Location, port: str, member: Value) -> Statement:
    mark = "." if ":" in host else ":"
    inside: list[Statement] = []
    state = member.text("adminState")
    disabled = member.get("enable")
    if state in {"disable", "offline"} or (disabled is not None and disabled.scalar is False):
        inside.append(Statement((Word("session", location), Word("user-disabled", location))))
    for key, name in (("ratio", "ratio"), ("priorityGroup", "priority-group")):
        if found := member.get(key):
            inside.append(Statement((Word(name, found.location), Word(_text(found), found.location))))
    return Statement((Word(f"{host}{mark}{port}", location),), tuple(inside))


_ANY_STATUS: Final = frozenset({"HTTP/1.", "HTTP/2.", "none", ""})
"""What every answer contains: AS3's default of `receive`. As `recv`, it is left out."""


def _monitor(one: _Named) -> list[Statement]:
    kind = one.value.text("monitorType")
    received = _value(one, "receive", "recv")
    return [
        _object(
            one,
            f"ltm monitor {kind}",
            _value(one, "interval", "interval", "5"),
            _value(one, "timeout", "timeout", "16"),
            _value(one, "send", "send"),
            received if received and received.words[1].text not in _ANY_STATUS else None,
        )
    ]


# Profiles


def _tls_server(one: _Named) -> list[Statement]:
    """Clients' TLS. AS3 enables every version but TLS 1.3 by default."""
    options = (("ssl3Enabled", "no-sslv3"), ("tls1_0Enabled", "no-tlsv1"), ("tls1_1Enabled", "no-tlsv1.1"))
    location = next((found.location for key, _ in options if (found := _member(one.value, key))), one.location)
    off = [Word(name, location) for key, name in options if not _is(one, key, otherwise=True)]
    # One word that a BIG-IP always writes: without it, an empty list would look like the profile's own defaults.
    words = (Word("dont-insert-empty-fragments", location), *off)
    listed = Statement((Word("options", location),), (Statement(words),))
    return [_object(one, "ltm profile client-ssl", listed, _value(one, "ciphers", "ciphers"))]


def _tls_client(one: _Named) -> list[Statement]:
    verified = _member(one.value, "validateCertificate")
    mode = "require" if _is(one, "validateCertificate", otherwise=False) else "ignore"
    location = verified.value.location if verified else one.location
    return [_object(one, "ltm profile server-ssl", _pair("peer-cert-mode", Word(mode, location)))]


def _http(one: _Named) -> list[Statement]:
    """An HTTP profile. AS3 sets X-Forwarded-For by default."""
    inserts = _is(one, "xForwardedFor", otherwise=True)
    place = one.value.get("xForwardedFor")
    word = Word("enabled" if inserts else "disabled", place.location if place else one.location)
    header = one.value.get("insertHeader")
    written = f"{header.text('name')}: {header.text('value')}" if header else ""
    return [
        _object(
            one,
            "ltm profile http",
            _pair("insert-xforwarded-for", word),
            _pair("header-insert", Word(written, header.location)) if header else None,
            _value(one, "whiteOutHeader", "header-erase"),
        )
    ]


def _idle(kind: str) -> "Callable[[_Named], list[Statement]]":
    return lambda one: [_object(one, kind, _value(one, "idleTimeout", "idle-timeout", "300"))]


def _plain(kind: str) -> "Callable[[_Named], list[Statement]]":
    return lambda one: [_object(one, kind)]


_PERSIST: Final[Mapping[str, str]] = {
    "cookie": "cookie",
    "source-address": "source-addr",
    "destination-address": "dest-addr",
    "tls-session-id": "ssl",
    "universal": "universal",
    "hash": "hash",
    "sip-info": "sip",
    "msrdp": "msrdp",
}
_BUILT_IN_PERSIST: Final = {"source-addr": "source_addr", "dest-addr": "dest_addr", "sip": "sip_info"}


def _persist(one: _Named) -> list[Statement]:
    method = one.value.text("persistenceMethod")
    kind = _PERSIST.get(method, method)
    return [
        _object(
            one,
            f"ltm persistence {kind}",
            _value(one, "cookieMethod", "method"),
            _value(one, "cookieName", "cookie-name"),
        )
    ]


def _rule(one: _Named) -> list[Statement]:
    """An iRule; none if its code is not in the declaration, so that it counts as unknown."""
    found = one.value.get("iRule")
    if found is None:
        return []
    code, location = found.scalar, found.location
    if encoded := found.text("base64"):
        try:
            code = base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            code = None
    if not isinstance(code, str):
        return []
    words = (*(Word(word, one.location) for word in ("ltm", "rule")), Word(one.path, one.location))
    return [Statement(words, (Statement((Word(code, location, quoted=True),)),))]


def _policy(one: _Named) -> list[Statement]:
    """A policy: the pools to which it forwards, and all words of its conditions."""
    rules = one.value.get("rules")
    made = []
    for rule in (rules.items if rules else None) or ():
        actions = [*_forwards(one, rule.get("actions"))]
        conditions = [Statement((word,)) for word in _words_in(rule.get("conditions"))]
        name = Word(rule.text("name") or "rule", rule.location)
        blocks = [_block("actions", rule.location, actions), _block("conditions", rule.location, conditions)]
        made.append(Statement((name,), tuple(block for block in blocks if block is not None)))
    return [_object(one, "ltm policy", _block("rules", one.location, made))]


def _forwards(one: _Named, actions: Value | None) -> Iterator[Statement]:
    for number, action in enumerate((actions.items if actions else None) or ()):
        select = action.get("select")
        if pool := one.pointer(select.get("pool") if select else None):
            inside = (Statement((Word("pool", pool.location), pool)),)
            yield Statement((Word(str(number), action.location),), inside)


def _words_in(value: Value | None) -> Iterator[Word]:
    """The texts anywhere in a value."""
    if value is None:
        return
    if isinstance(value.scalar, str):
        yield Word(value.scalar, value.location)
    for item in value.items or ():
        yield from _words_in(item)
    for member in value.members or ():
        yield from _words_in(member.value)


# Services


_EVERY: Final = str(IPv4Address(0))
"""The destination of a service whose addresses the declaration does not name."""


class _Service(NamedTuple):
    """A class of services: the default port, whether it is HTTP, and its default persistence and TCP profile."""

    port: str
    is_http: bool
    persistence: str
    profile: str


_TCP: Final = "/Common/f5-tcp-progressive"
"""AS3's profile `normal`."""
_SERVICES: Final[Mapping[str, _Service]] = {
    "Service_HTTP": _Service("80", is_http=True, persistence="cookie", profile=_TCP),
    "Service_HTTPS": _Service("443", is_http=True, persistence="cookie", profile=_TCP),
    "Service_TCP": _Service("0", is_http=False, persistence="source-address", profile=_TCP),
    "Service_L4": _Service("0", is_http=False, persistence="source-address", profile="/Common/fastL4"),
}
_TCP_NAMES: Final = {
    "normal": _TCP,
    "wan": "/Common/f5-tcp-wan",
    "lan": "/Common/f5-tcp-lan",
    "mobile": "/Common/f5-tcp-mobile",
    "basic": "/Common/http",
}
_PROFILES: Final[Mapping[str, str]] = {
    "serverTLS": "/Common/clientssl",
    "clientTLS": "/Common/serverssl",
    "profileMultiplex": "/Common/oneconnect",
    "profileNTLM": "/Common/ntlm",
    "profileWebSocket": "/Common/websocket",
    "profileHTTP2": "/Common/http2",
}
"""Keys of services that name a profile, with the built-in one that `basic` means."""


def _service(one: _Named) -> list[Statement]:
    kind = _SERVICES[one.value.text("class")]
    return [
        _object(
            one,
            "ltm virtual",
            _pair("destination", _destination(one, kind)),
            _pair("pool", one.pointer(one.value.get("pool"))),
            _block("profiles", one.location, [*_profiles(one, kind)]),
            _block("persist", one.location, [*_persistence(one, kind)]),
            _block("rules", one.location, [Statement((word,)) for word in _pointers(one, "iRules")]),
            _block("policies", one.location, [Statement((word,)) for word in _pointers(one, "policyEndpoint")]),
            _snat(one),
            None if _is(one, "enable", otherwise=True) else Statement((Word("disabled", one.location),)),
        )
    ]


def _destination(one: _Named, kind: _Service) -> Word:
    addresses = one.value.get("virtualAddresses")
    first = next(iter((addresses.items if addresses else None) or ()), None)
    if first is not None and first.items:
        first = first.items[0]  # an address with the source addresses that may use it
    host = first.scalar if first is not None and isinstance(first.scalar, str) else _EVERY
    port = one.value.get("virtualPort")
    number = _text(port) if port is not None and isinstance(port.scalar, int) else kind.port
    host = host.partition("/")[0]
    return Word(f"{host}{'.' if ':' in host else ':'}{number}", first.location if first else one.location)


def _profiles(one: _Named, kind: _Service) -> Iterator[Statement]:
    key = "profileL4" if one.value.text("class") == "Service_L4" else "profileTCP"
    names = [*_profile_words(one, key)] or [Word(kind.profile, one.location)]
    if kind.is_http:
        names += [*_profile_words(one, "profileHTTP")] or [Word("/Common/http", one.location)]
    for other, built_in in _PROFILES.items():
        names += [
            word if not word.text.endswith("/basic") else Word(built_in, word.location)
            for word in _profile_words(one, other)
        ]
    yield from (Statement((word,), ()) for word in dict.fromkeys(names))


def _profile_words(one: _Named, key: str) -> Iterator[Word]:
    """The profiles of a key: a name, a pointer, a list of pointers, or one pointer for each side."""
    found = one.value.get(key)
    for value in (*((found.items or (found,)) if found else ()),):
        sides = [side for name in ("ingress", "egress") if (side := value.get(name))]
        for side in sides or [value]:
            if isinstance(side.scalar, str) and side.scalar in _TCP_NAMES and key in {"profileTCP", "profileHTTP"}:
                yield Word(_TCP_NAMES[side.scalar], side.location)
            elif isinstance(side.scalar, str) and key == "profileL4" and side.scalar == "basic":
                yield Word("/Common/fastL4", side.location)
            elif (word := one.pointer(side)) is not None:
                yield word


def _pointers(one: _Named, key: str) -> Iterator[Word]:
    found = one.value.get(key)
    for value in (found.items or (found,)) if found else ():
        if (word := one.pointer(value)) is not None:
            yield word


def _persistence(one: _Named, kind: _Service) -> Iterator[Statement]:
    found = one.value.get("persistenceMethods")
    if found is None:
        yield Statement((_built_in_persistence(kind.persistence, one.location),), ())
    for value in (found.items if found else None) or ():
        if isinstance(value.scalar, str) and value.scalar in _PERSIST:
            yield Statement((_built_in_persistence(value.scalar, value.location),), ())
        elif word := one.pointer(value):
            yield Statement((word,), ())


def _built_in_persistence(method: str, location: Location) -> Word:
    name = _PERSIST[method]
    return Word(f"/Common/{_BUILT_IN_PERSIST.get(name, name)}", location)


def _snat(one: _Named) -> Statement | None:
    found = one.value.get("snat")
    kind = {"auto": "automap", "none": "none"}.get(one.value.text("snat") or "auto", "snat")
    if found is not None and found.members is not None:
        kind = "snat"
    location = found.location if found else one.location
    inside = (Statement((Word("type", location), Word(kind, location))),)
    return Statement((Word("source-address-translation", location),), inside)


_KNOWN_OF_SERVICES: Final = frozenset(
    (
        *("virtualAddresses", "virtualPort", "pool", "persistenceMethods", "snat", "iRules", "policyEndpoint"),
        *("enable", "redirect80", "clonePools", "profileTCP", "profileHTTP", "profileL4", *_PROFILES),
    )
)
_CLASSES: Final[Mapping[str, tuple[Callable[[_Named], list[Statement]], frozenset[str]]]] = {
    **dict.fromkeys(_SERVICES, (_service, _KNOWN_OF_SERVICES)),
    "Pool": (
        _pool,
        frozenset(
            (
                *("members", "monitors", "minimumMonitors", "serviceDownAction", "loadBalancingMode"),
                *("slowRampTime", "minimumMembersActive"),
            )
        ),
    ),
    "Monitor": (
        _monitor,
        frozenset(
            (
                *("monitorType", "interval", "timeout", "send", "receive", "timeUntilUp", "clientTLS", "targetPort"),
                *("targetAddress", "ciphers", "upInterval"),
            )
        ),
    ),
    "TLS_Server": (
        _tls_server,
        frozenset(
            (
                *("certificates", "ciphers", "cipherGroup", "ssl3Enabled", "tls1_0Enabled", "tls1_1Enabled"),
                *("tls1_2Enabled", "tls1_3Enabled", "insertEmptyFragmentsEnabled", "requireSNI"),
            )
        ),
    ),
    "TLS_Client": (
        _tls_client,
        frozenset(
            (
                *("validateCertificate", "trustCA", "sendSNI", "serverName", "ssl3Enabled", "tls1_0Enabled"),
                *("tls1_1Enabled", "tls1_2Enabled", "tls1_3Enabled", "ciphers", "cipherGroup", "clientCertificate"),
            )
        ),
    ),
    "HTTP_Profile": (_http, frozenset({"xForwardedFor", "insertHeader", "whiteOutHeader"})),
    "TCP_Profile": (_idle("ltm profile tcp"), frozenset({"idleTimeout"})),
    "L4_Profile": (_idle("ltm profile fastl4"), frozenset({"idleTimeout"})),
    "Multiplex_Profile": (_plain("ltm profile one-connect"), frozenset({"sourceMask", "maxConnections"})),
    "WebSocket_Profile": (_plain("ltm profile websocket"), frozenset({"masking", "compressMode"})),
    "NTLM_Profile": (_plain("ltm profile ntlm"), frozenset()),
    "HTTP2_Profile": (_plain("ltm profile http2"), frozenset()),
    "Persist": (_persist, frozenset({"persistenceMethod", "cookieMethod", "cookieName"})),
    "iRule": (_rule, frozenset({"iRule", "expand"})),
    "Endpoint_Policy": (_policy, frozenset({"rules", "strategy"})),
}
"""For each class what it makes, and the properties that the rules know or that change nothing for them."""
