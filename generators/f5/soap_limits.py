"""What a farm's objects need and iControl SOAP has no call for, with the id that `accept` may name.

SOAP got no new features after TMOS 13.x. Source: F5's WSDLs of TMOS 11 and 16.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from .vocabulary import Object


class SoapLimit(NamedTuple):
    """One missing feature of SOAP, and what to do about it."""

    lacks: str
    fix: str
    """What to do; empty where only another API helps."""
    acceptable: bool
    """Whether the farm can do without it."""
    concerns: Callable[[Object], bool]
    """Whether an object needs the feature."""


def _of_kind(kind: str) -> Callable[[Object], bool]:
    return lambda one: one.kind == kind


def _with_property(name: str) -> Callable[[Object], bool]:
    return lambda one: name in one.properties


SOAP_LIMITS: Final = {
    "f5-soap-websocket": SoapLimit(
        "a websocket profile",
        "accept it: only the http profile then handles WebSockets",
        acceptable=True,
        concerns=_of_kind("ltm profile websocket"),
    ),
    "f5-soap-monitor-sni": SoapLimit(
        "SNI in health checks",
        "accept it if the nodes' bindings do not require SNI",
        acceptable=True,
        concerns=_with_property("ssl-profile"),
    ),
    "f5-soap-policy": SoapLimit(
        "traffic policies, which SignalR's own pool needs",
        "accept it: an iRule then selects the pool",
        acceptable=True,
        concerns=_of_kind("ltm policy"),
    ),
    "f5-soap-carp": SoapLimit(
        "the hash of persistence by address",
        "accept it: the device then keeps a table of client addresses",
        acceptable=True,
        concerns=_of_kind("ltm persistence source-addr"),
    ),
    "f5-soap-cipher-group": SoapLimit(
        "cipher groups, which TLS 1.3 needs", "", acceptable=False, concerns=_with_property("cipher-group")
    ),
    "f5-soap-cookie": SoapLimit(
        "a call to create a cookie without the attribute Secure, which a farm without TLS needs",
        "terminate TLS at the balancer",
        acceptable=False,
        concerns=_with_property("secure"),
    ),
    "f5-soap-fqdn": SoapLimit(
        "nodes by name",
        "write the nodes' addresses",
        acceptable=False,
        concerns=lambda one: one.kind == "ltm node" and "fqdn" in one.properties,
    ),
}
"""Every limit by its id, in the order of messages."""

ACCEPTABLE_IDS: Final = frozenset(problem_id for problem_id, limit in SOAP_LIMITS.items() if limit.acceptable)
"""The ids that `accept` may name."""
