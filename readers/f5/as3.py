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
from .as3_unmapped import completed, scalars, text_of, whole
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
        raise UnreadableError.at(value.location, "the JSON is not a declaration of AS3", hint)
    reader = _Declaration()
    if inner is not value:
        reader.statements.append(whole("AS3", "request", value.location, scalars(value)))
    reader.read(inner)
    return Read(tuple(reader.statements), (*source.unread, *reader.unread))


class _Named(NamedTuple):
    """An object of an application: its folder (`/TENANT/APPLICATION`), name, location and properties."""

    folder: str
    name: str
    location: Location
    value: Value
    application: Mapping[str, Value]
    """All objects of the application by their names, for those that another one names."""

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
        self.statements.append(whole("ADC", "declaration", declaration.location, scalars(declaration)))
        for tenant in declaration.members or ():
            if tenant.value.members is None:
                continue
            kind = tenant.value.text("class")
            own = scalars(tenant.value) if kind == "Tenant" else tenant.value.members
            self.statements.append(whole(kind, f"/{tenant.name}", tenant.location, own))
            for application in tenant.value.members if kind == "Tenant" else ():
                if application.value.members is not None:
                    self._application(f"/{tenant.name}/{application.name}", application)

    def _application(self, folder: str, application: Member) -> None:
        members = application.value.members or ()
        kind = application.value.text("class")
        own = scalars(application.value) if kind == "Application" else members
        self.statements.append(whole(kind, folder, application.location, own))
        named = {one.name: one.value for one in members}
        for one in members if kind == "Application" else ():
            if one.value.members is not None:
                self._object(_Named(folder, one.name, one.location, one.value, named))

    def _object(self, one: _Named) -> None:
        kind = one.value.text("class")
        if kind not in _CLASSES:
            self.statements.append(whole(kind, one.path, one.location, one.value.members or ()))
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
        made = makes(one) or [whole(kind, one.path, one.location, ())]
        self.statements += [completed(made[0], one.value), *made[1:]]


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
        return _pair(name, Word(text_of(member.value), member.value.location), member.location)
    return _pair(name, Word(otherwise, one.location)) if otherwise else None


def _member(value: Value, key: str) -> Member | None:
    return next((one for one in value.members or () if one.name == key), None)


def _is(one: _Named, key: str, *, otherwise: bool) -> bool:
    found = one.value.get(key)
    return found.scalar is True if found is not None and isinstance(found.scalar, bool) else otherwise


# Pools and monitors


def _pool(one: _Named) -> list[Statement]:
    members = one.value.get("members")
    monitors = one.value.get("monitors")
    words = [_monitor_word(one, item) for item in (monitors.items if monitors else None) or ()]
    found = [word for word in words if word is not None]
    least = one.value.get("minimumMonitors")
    listed = _monitors(found, every=least is not None and least.scalar == "all") if found else None
    return [
        _object(
            one,
            "ltm pool",
            _block("members", members.location if members else one.location, _members(members)),
            listed,
            _value(one, "serviceDownAction", "service-down-action", "none"),
            _value(one, "loadBalancingMode", "load-balancing-mode", "round-robin"),
            _value(one, "minimumMembersActive", "min-active-members", "1"),
            _value(one, "slowRampTime", "slow-ramp-time", "10"),
            _value(one, "remark", "description"),
        )
    ]


def _monitors(found: list[Word], *, every: bool) -> Statement:
    """The monitors of a pool. With several of them, one that is up is enough, unless all are required."""
    where = found[0].location
    if every or len(found) == 1:
        return Statement((Word("monitor", where), *_joined(found)))
    head = tuple(Word(word, where) for word in ("monitor", "min", "1", "of"))
    return Statement(head, (Statement(tuple(found)),))


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
        hosts = [(text_of(item), item.location) for item in (addresses.items if addresses else None) or ()]
        if name := member.get("hostname"):
            hosts.append((text_of(name), name.location))
        for host, location in hosts:
            yield _member_of(host, location, text_of(port) if port else "0", member)


_OF_MEMBERS: Final = {"ratio": "ratio", "priorityGroup": "priority-group", "connectionLimit": "connection-limit"}


def _member_of(host: str, location: Location, port: str, member: Value) -> Statement:
    mark = "." if ":" in host else ":"
    inside: list[Statement] = []
    written = member.get("adminState") or member.get("enable")
    state = written.scalar if written else ""
    place = written.location if written else location
    if state in {"disable", "offline", False}:
        inside.append(Statement((Word("session", place), Word("user-disabled", place))))
    if state == "offline":
        inside.append(Statement((Word("state", place), Word("user-down", place))))
    if member.get("hostname") is not None:
        inside.append(
            Statement((Word("fqdn", location),), (Statement((Word("name", location), Word(host, location))),))
        )
    for key, word in _OF_MEMBERS.items():
        if found := member.get(key):
            inside.append(Statement((Word(word, found.location), Word(text_of(found), found.location))))
    return Statement((Word(f"{host}{mark}{port}", location),), tuple(inside))


_ANY_STATUS: Final = frozenset({"HTTP/1.", "HTTP/2.", "none", ""})
"""What every answer contains: AS3's default of `receive`. As `recv`, it is left out."""


_HEAD: Final = r"HEAD / HTTP/1.0\r\n\r\n"
"""AS3's default request."""


def _escaped(sent: Statement | None) -> Statement | None:
    """The request as tmsh writes it: line ends as `\\r` and `\\n`."""
    if sent is None:
        return None
    name, text = sent.words
    return Statement((name, text._replace(text=text.text.replace("\r", r"\r").replace("\n", r"\n"))))


def _monitor(one: _Named) -> list[Statement]:
    kind = one.value.text("monitorType")
    received = _value(one, "receive", "recv")
    return [
        _object(
            one,
            f"ltm monitor {kind}",
            _value(one, "interval", "interval", "5"),
            _value(one, "timeout", "timeout", "16"),
            _escaped(_value(one, "send", "send", _HEAD if kind in {"http", "https"} else "")),
            _value(one, "timeUntilUp", "time-until-up", "0"),
            _pair("ssl-profile", one.pointer(one.value.get("clientTLS"))),
            received if received and received.words[1].text not in _ANY_STATUS else None,
        )
    ]


# Profiles


def _tls_server(one: _Named) -> list[Statement]:
    """Clients' TLS. AS3 enables every version but TLS 1.3 by default."""
    options = (("ssl3Enabled", "no-sslv3"), ("tls1_0Enabled", "no-tlsv1"), ("tls1_1Enabled", "no-tlsv1.1"))
    location = next((found.location for key, _ in options if (found := _member(one.value, key))), one.location)
    off = [Word(name, location) for key, name in options if not _is(one, key, otherwise=True)]
    off += [Word("no-tlsv1.2", location)] if not _is(one, "tls1_2Enabled", otherwise=True) else []
    # One word that a BIG-IP always writes: without it, an empty list would look like the profile's own defaults.
    words = (Word("dont-insert-empty-fragments", location), *off)
    listed = Statement((Word("options", location),), (Statement(words),))
    group = _pair("cipher-group", one.pointer(one.value.get("cipherGroup")))
    return [
        _object(
            one,
            "ltm profile client-ssl",
            _chain(one),
            listed,
            _value(one, "ciphers", "ciphers"),
            group,
            _value(one, "remark", "description"),
        )
    ]


def _chain(one: _Named) -> Statement | None:
    """The first certificate with its key. Texts of certificates are objects that AS3 uploads."""
    entries = one.value.get("certificates")
    first = next(iter((entries.items if entries else None) or ()), None)
    name = first.get("certificate") if first else None
    if name is None or not isinstance(name.scalar, str):
        return None
    made = one.application.get(name.scalar)
    folder = one.folder
    pairs = []
    for key, word, ending in (("certificate", "cert", "crt"), ("privateKey", "key", "key"), ("chainCA", "chain", "")):
        found = made.get(key) if made else None
        path = found.text("bigip") if found else ""
        text = path or (f"{folder}/{name.scalar}.{ending}" if ending else "")
        if found is not None and text:
            pairs.append(Statement((Word(word, name.location), Word(text, name.location))))
    return _block("cert-key-chain", name.location, [Statement((Word("site", name.location),), tuple(pairs))])


def _authority(one: _Named) -> Word | None:
    """The CA of the nodes: an object of the device, or one of the declaration."""
    found = one.value.get("trustCA")
    if found is None:
        return None
    if path := found.text("bigip"):
        return Word(path, found.location)
    bundle = one.application.get(found.text("use")) if found.text("use") else None
    inner = bundle.get("bundle") if bundle else None
    return Word((inner.text("bigip") if inner else "") or f"{one.folder}/{found.text('use')}", found.location)


def _tls_client(one: _Named) -> list[Statement]:
    verified = _member(one.value, "validateCertificate")
    mode = "require" if _is(one, "validateCertificate", otherwise=False) else "ignore"
    location = verified.value.location if verified else one.location
    return [
        _object(
            one,
            "ltm profile server-ssl",
            _pair("peer-cert-mode", Word(mode, location)),
            _pair("ca-file", _authority(one)),
            _value(one, "sendSNI", "server-name"),
            _value(one, "serverName", "authenticate-name"),
        )
    ]


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
            _value(one, "secure", "secure"),
            _value(one, "hashAlgorithm", "hash-algorithm"),
            _value(one, "duration", "timeout"),
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
        conditions = [*_conditions(rule.get("conditions"))]
        name = Word(rule.text("name") or "rule", rule.location)
        blocks = [_block("actions", rule.location, actions), _block("conditions", rule.location, conditions)]
        made.append(Statement((name,), tuple(block for block in blocks if block is not None)))
    return [_object(one, "ltm policy", _block("rules", one.location, made))]


_OPERANDS: Final = {
    "httpUri": ("http-uri",),
    "httpHost": ("http-host",),
    "sslExtension": ("ssl-extension", "server-name"),
}
"""What a condition compares, in the words of tmsh; `httpHeader` can be the host."""
_PARTS: Final = ("path", "all", "host", "serverName")
"""The keys of what is compared; others, such as `port`, are no host and no path."""


def _conditions(conditions: Value | None) -> Iterator[Statement]:
    """Each condition with what it compares, how, and the values."""
    for number, one in enumerate((conditions.items if conditions else None) or ()):
        kind = _OPERANDS.get(one.text("type"))
        if one.text("type") == "httpHeader" and one.text("name").lower() == "host":
            kind = ("http-host",)
        part = next((found for key in _PARTS if (found := one.get(key))), None)
        values = part.get("values") if part else None
        inside = [Statement((word,)) for word in _words_in(one)]
        if kind and part and values and values.items:
            operand = part.text("operand") or "equals"
            words = [*kind, *(["path"] if one.get("path") else []), operand, *(["not"] if "not" in operand else [])]
            listed = tuple(Word(text_of(item), item.location) for item in values.items)
            inside = [Statement((Word(word, one.location),)) for word in words]
            inside.append(Statement((Word("values", values.location),), (Statement(listed),)))
        yield Statement((Word(str(number), one.location),), tuple(inside))


def _forwards(one: _Named, actions: Value | None) -> Iterator[Statement]:
    for number, action in enumerate((actions.items if actions else None) or ()):
        select = action.get("select")
        if pool := one.pointer(select.get("pool") if select else None):
            inside = (Statement((Word("pool", pool.location), pool)),)
            yield Statement((Word(str(number), action.location),), inside)
        elif cookie := action.get("cookieInsert"):
            inside = (Statement((Word("cookie-insert", cookie.location),)),)
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
            _value(one, "remark", "description"),
            _value(one, "maxConnections", "connection-limit"),
            _block("profiles", one.location, [*_profiles(one, kind)]),
            _block("persist", one.location, [*_persistence(one, kind)]),
            _block("rules", one.location, [Statement((word,)) for word in _pointers(one, "iRules")]),
            _block("policies", one.location, [Statement((word,)) for word in _pointers(one, "policyEndpoint")]),
            _snat(one),
            None if _is(one, "enable", otherwise=True) else Statement((Word("disabled", one.location),)),
        ),
        *_redirect(one),
    ]


def _redirect(one: _Named) -> Iterator[Statement]:
    """The virtual server on port 80 that AS3 makes for a service with HTTPS, unless `redirect80` is false."""
    if one.value.text("class") != "Service_HTTPS" or not _is(one, "redirect80", otherwise=True):
        return
    written = _member(one.value, "redirect80")
    where = written.location if written else one.location
    target = _destination(one, _SERVICES["Service_HTTP"])
    host, mark, _ = target.text.rpartition("." if target.text.count(":") > 1 else ":")
    yield Statement(
        tuple(Word(word, where) for word in ("ltm", "virtual", f"{one.path}-Redirect-")),
        (
            Statement((Word("destination", where), Word(f"{host}{mark}80", where))),
            Statement((Word("profiles", where),), (Statement((Word("/Common/http", where),), ()),)),
            Statement((Word("rules", where),), (Statement((Word("/Common/_sys_https_redirect", where),)),)),
        ),
    )


def _destination(one: _Named, kind: _Service) -> Word:
    addresses = one.value.get("virtualAddresses")
    first = next(iter((addresses.items if addresses else None) or ()), None)
    if first is not None and first.items:
        first = first.items[0]  # an address with the source addresses that may use it
    host = first.scalar if first is not None and isinstance(first.scalar, str) else _EVERY
    port = one.value.get("virtualPort")
    number = text_of(port) if port is not None and isinstance(port.scalar, int) else kind.port
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
