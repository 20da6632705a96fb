"""The vocabulary of a farm's objects on a BIG-IP: kinds, properties, and what each TMOS version supports.

Sources: F5's tmsh reference; recorded answers of devices. The order of
[`KINDS`][nlbgen.generators.f5.vocabulary.KINDS] is the one in which AS3 and f5-bigip-rest-go create objects: no
object refers to a later one.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from ...spec.units import Version

Value: TypeAlias = "str | int | bool | tuple[str, ...] | Mapping[str, Value]"
"""A property in tmsh's terms: a word, a number, a flag (True is the bare word), several words, or a block."""

KINDS: Final = (
    "ltm profile server-ssl",
    "ltm monitor http",
    "ltm monitor https",
    "ltm monitor tcp",
    "ltm node",
    "ltm pool",
    "ltm cipher rule",
    "ltm cipher group",
    "ltm profile client-ssl",
    "ltm profile http",
    "ltm profile tcp",
    "ltm profile websocket",
    "ltm persistence cookie",
    "ltm persistence source-addr",
    "ltm rule",
    "ltm policy",
    "ltm virtual",
)
"""Every kind of object that a farm can have, in the order of creation."""

NAMED: Final = frozenset(
    {"members", "profiles", "persist", "policies", "cert-key-chain", "rules", "actions", "conditions", "allow"}
)
"""Blocks whose entries have names of their own; other blocks hold properties."""

GATES: Final[Mapping[str, Version]] = {
    "websocket-profile": Version("12.1"),
    "legacy-policy": Version("12.1"),
    "cookie-secure": Version("13.0"),
    "tcp-progressive": Version("13.0"),
    "monitor-ssl-profile": Version("13.1"),
    "tls-1.3": Version("14.0"),
    "policy-cookie": Version("17.1"),
}
"""The features that came with a TMOS version. From 11.4 to before 12.1 the http profile itself passes WebSockets."""


_KIND_GATES: Final[Mapping[str, str]] = {
    "ltm profile websocket": "websocket-profile",
    "ltm cipher rule": "tls-1.3",
    "ltm cipher group": "tls-1.3",
}


def kinds_of(version: Version) -> tuple[str, ...]:
    """Every kind of object that a farm can have on this TMOS version, in the order of creation."""
    return tuple(kind for kind in KINDS if kind not in _KIND_GATES or version >= GATES[_KIND_GATES[kind]])


def monitor_rule(monitors: Iterable[str]) -> str:
    """The property `monitor` of a pool with which a member is up only if all monitors are."""
    return " and ".join(sorted(monitors))


def monitors_of(rule: str) -> list[str]:
    """The monitors of a rule that `monitor_rule` made."""
    return rule.split(" and ")


def mapping(value: object) -> Mapping[str, Any]:
    """Narrow a value to a mapping; raises TypeError for any other, which is a bug."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is not a mapping")
    return value


class Object(NamedTuple):
    """One object of the device: its kind in tmsh's terms, its full path, and the properties that the farm sets."""

    kind: str
    path: str
    properties: Mapping[str, Value]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]
