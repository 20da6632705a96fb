"""The names of a farm's objects and properties in iControl SOAP, and the form of their values.

Sources: the WSDLs of TMOS 11.1 (nodes, monitors, pools, virtual servers, sessions) and of 16 and 17 (profiles), and
F5's own .NET library (rules, persistence, certificates, partitions, synchronization). A profile's value has a flag that
is true if the value comes from the parent. SOAP has no interface for websocket profiles and for the SNI of a monitor,
and cannot set the hash of source persistence.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from ....generators.f5.vocabulary import Value

NODE, MONITOR, POOL, VIRTUAL = "LocalLB.NodeAddressV2", "LocalLB.Monitor", "LocalLB.Pool", "LocalLB.VirtualServer"
CLIENT_SSL, SERVER_SSL = "LocalLB.ProfileClientSSL", "LocalLB.ProfileServerSSL"
HTTP, TCP, PERSISTENCE = "LocalLB.ProfileHttp", "LocalLB.ProfileTCP", "LocalLB.ProfilePersistence"
RULE = "LocalLB.Rule"


class Property(NamedTuple):
    """One property: the methods `get_…` and `set_…`, and the conversion of its value in both directions."""

    method: str
    said: Callable[[Any], Value]
    sent: Callable[[Any], Any]
    asked: str = ""
    """The name of the reading method, if it differs from that of the writing method."""

    @property
    def getter(self) -> str:
        """The method that reads it."""
        return f"get_{self.asked or self.method}"

    @property
    def setter(self) -> str:
        """The method that writes it."""
        return f"set_{self.method}"


class Interface(NamedTuple):
    """The interface for one kind of object, how it removes one, and the properties with methods of their own."""

    name: str
    removal: str
    properties: Mapping[str, Property]


def word(words: Mapping[str, str], said: object) -> str:
    """Return tmsh's word for SOAP's word. An unknown word stays unchanged, so that it differs from the farm's."""
    return next((own for own, name in words.items() if name == str(said)), str(said))


def _text(value: object) -> str:
    return str(value or "none")


def _plain(method: str, asked: str = "") -> Property:
    return Property(method, _text, lambda value: "" if value == "none" else value, asked)


def _number(method: str) -> Property:
    return Property(method, int, int)


def _one_of(method: str, words: Mapping[str, str]) -> Property:
    return Property(method, lambda said: word(words, said), lambda value: words[value])


def flagged(value: object) -> dict[str, Any]:
    """Return a profile's value with the flag. For `none`, the value comes from the parent, which also has none."""
    return {"value": "" if value == "none" else value, "default_flag": value == "none"}


def _flagged(method: str) -> Property:
    return Property(method, lambda said: _text(said["value"]), flagged)


def _flagged_number(method: str) -> Property:
    return Property(
        method, lambda said: str(int(said["value"])), lambda value: {"value": int(value), "default_flag": False}
    )


def _flagged_one_of(method: str, words: Mapping[str, str], asked: str = "") -> Property:
    return Property(
        method,
        lambda said: word(words, said["value"]),
        lambda value: {"value": words[value], "default_flag": False},
        asked,
    )


def _flagged_words(method: str, words: Mapping[str, str]) -> Property:
    return Property(
        method,
        lambda said: tuple(sorted(word(words, one) for one in said["values"] or ())),
        lambda value: {"values": [words[one] for one in value], "default_flag": False},
    )


_MODES: Final = {
    "round-robin": "LB_METHOD_ROUND_ROBIN",
    "ratio-member": "LB_METHOD_RATIO_MEMBER",
    "least-connections-member": "LB_METHOD_LEAST_CONNECTION_MEMBER",
    "ratio-least-connections-member": "LB_METHOD_RATIO_LEAST_CONNECTION_MEMBER",
}
_ACTIONS: Final = {one: f"SERVICE_DOWN_ACTION_{one.upper()}" for one in ("none", "reset", "drop", "reselect")}
_ON_OR_OFF: Final = {"enabled": "PROFILE_MODE_ENABLED", "disabled": "PROFILE_MODE_DISABLED"}
_PEER_CERT: Final = {"require": "SERVERSSL_CERTIFICATE_MODE_REQUIRE", "ignore": "SERVERSSL_CERTIFICATE_MODE_IGNORE"}
_COOKIE_METHODS: Final = {
    one: f"COOKIE_PERSISTENCE_METHOD_{one.upper()}" for one in ("insert", "rewrite", "passive", "hash")
}
_SSL_OPTIONS: Final = {
    "dont-insert-empty-fragments": "SSL_OPTION_DONT_INSERT_EMPTY_FRAGMENTS",
    "no-sslv3": "SSL_OPTION_NO_SSL_V3",
    "no-tlsv1": "SSL_OPTION_NO_TLS_V1",
    "no-tlsv1.1": "SSL_OPTION_NO_TLSv1_1",
    "no-tlsv1.2": "SSL_OPTION_NO_TLSv1_2",
    "no-tlsv1.3": "SSL_OPTION_NO_TLSv1_3",
}
CONTEXTS: Final = {
    "all": "PROFILE_CONTEXT_TYPE_ALL",
    "clientside": "PROFILE_CONTEXT_TYPE_CLIENT",
    "serverside": "PROFILE_CONTEXT_TYPE_SERVER",
}
PERSISTENCE_MODES: Final = {
    "ltm persistence cookie": "PERSISTENCE_MODE_COOKIE",
    "ltm persistence source-addr": "PERSISTENCE_MODE_SOURCE_ADDRESS_AFFINITY",
}
TEMPLATES: Final = {
    "ltm monitor http": "TTYPE_HTTP",
    "ltm monitor https": "TTYPE_HTTPS",
    "ltm monitor tcp": "TTYPE_TCP",
}
STRINGS: Final = {"recv": "STYPE_RECEIVE", "send": "STYPE_SEND"}
NUMBERS: Final = {"interval": "ITYPE_INTERVAL", "time-until-up": "ITYPE_TIME_UNTIL_UP", "timeout": "ITYPE_TIMEOUT"}

_DESCRIPTION: Final = {"description": _plain("description")}
_PROFILE: Final = {**_DESCRIPTION, "defaults-from": _plain("default_profile")}

INTERFACES: Final[Mapping[str, Interface]] = {
    "ltm profile server-ssl": Interface(
        SERVER_SSL,
        "delete_profile",
        {
            **_PROFILE,
            "authenticate-name": _flagged("authenticate_name"),
            "ca-file": _flagged("ca_file_v2"),
            "options": _flagged_words("ssl_option", _SSL_OPTIONS),
            "peer-cert-mode": _flagged_one_of("peer_certificate_mode", _PEER_CERT, "peer_certification_mode"),
            "server-name": _flagged("server_name"),
        },
    ),
    "ltm monitor http": Interface(MONITOR, "delete_template", _DESCRIPTION),
    "ltm monitor https": Interface(MONITOR, "delete_template", _DESCRIPTION),
    "ltm monitor tcp": Interface(MONITOR, "delete_template", _DESCRIPTION),
    "ltm node": Interface(NODE, "delete_node_address", _DESCRIPTION),
    "ltm pool": Interface(
        POOL,
        "delete_pool",
        {
            **_DESCRIPTION,
            "load-balancing-mode": _one_of("lb_method", _MODES),
            "min-active-members": _number("minimum_active_member"),
            "service-down-action": _one_of("action_on_service_down", _ACTIONS),
            "slow-ramp-time": _number("slow_ramp_time"),
        },
    ),
    "ltm profile client-ssl": Interface(
        CLIENT_SSL,
        "delete_profile",
        {
            **_PROFILE,
            "ciphers": Property(
                "cipher_list",
                lambda said: ":".join(map(str, said["values"] or ())) or "none",
                lambda value: {"values": [value], "default_flag": False},
            ),
            "options": _flagged_words("ssl_option", _SSL_OPTIONS),
        },
    ),
    "ltm profile http": Interface(
        HTTP,
        "delete_profile",
        {
            **_PROFILE,
            "header-insert": _flagged("header_insert"),
            "insert-xforwarded-for": _flagged_one_of("insert_xforwarded_for_header_mode", _ON_OR_OFF),
        },
    ),
    "ltm profile tcp": Interface(TCP, "delete_profile", {**_PROFILE, "idle-timeout": _flagged_number("idle_timeout")}),
    "ltm persistence cookie": Interface(
        PERSISTENCE,
        "delete_profile",
        {
            **_PROFILE,
            "cookie-name": _flagged("cookie_name"),
            "method": _flagged_one_of("cookie_persistence_method", _COOKIE_METHODS),
        },
    ),
    "ltm persistence source-addr": Interface(PERSISTENCE, "delete_profile", _PROFILE),
    "ltm rule": Interface(RULE, "delete_rule", {}),
    "ltm virtual": Interface(VIRTUAL, "delete_virtual_server", {**_DESCRIPTION, "pool": _plain("default_pool_name")}),
}
"""Every kind of object that a push by SOAP can create."""

_MORE: Final[Mapping[str, frozenset[str]]] = {
    "ltm monitor http": frozenset({*STRINGS, *NUMBERS}),
    "ltm monitor https": frozenset({*STRINGS, *NUMBERS}),
    "ltm monitor tcp": frozenset({*STRINGS, *NUMBERS}),
    "ltm node": frozenset({"address"}),
    "ltm pool": frozenset({"members", "monitor"}),
    "ltm profile client-ssl": frozenset({"cert-key-chain"}),
    "ltm rule": frozenset({"definition"}),
    "ltm virtual": frozenset({"destination", "persist", "profiles", "rules", "source-address-translation"}),
}
"""Properties that need more than one method."""

OWNED: Final[Mapping[str, frozenset[str]]] = {
    kind: frozenset(interface.properties) | _MORE.get(kind, frozenset()) for kind, interface in INTERFACES.items()
}
"""The properties of each kind that SOAP can read and write."""
