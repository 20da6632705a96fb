"""The vendor-independent design of a configuration.

A generator writes it in its own syntax; it decides only what no other vendor has to decide.
"""

import hashlib
import ipaddress
from functools import cached_property
from math import gcd
from typing import Final, NamedTuple

from ..spec.model import Farm, Node
from ..spec.orchestrator import LONG_POLL_SECONDS
from ..spec.units import Duration

LONG_POLL: Final = Duration((LONG_POLL_SECONDS + 20) * 1000)
"""What an answer on a SignalR path may take: the long poll, and time for it to arrive."""
HEADER_TIME: Final = Duration.of("10s")
"""What a client may take for its request headers; slower ones are attacks or broken."""
KEEPALIVE_TO_NODE: Final = Duration.of("60s")
"""How long an idle connection to a node is kept; shorter than IIS's 120 s, or requests meet a closing socket."""
FAST_CHECK: Final = Duration.of("100ms")
"""Between the checks of a node that has just failed one: this bounds how many requests a dead node gets."""
ERRORS_TO_SUSPECT: Final = 3
"""Failed requests in a row after which a node is checked at once."""
COOKIE: Final = "NLBID"
FORGEABLE_HEADERS: Final = (
    "Forwarded",
    "Proxy",
    "X-Forwarded-For",
    "X-Forwarded-Prefix",
    "X-Forwarded-Scheme",
    "X-Original-For",
    "X-Original-Host",
    "X-Original-Proto",
    "X-Original-URL",
    "X-Real-IP",
    "X-Rewrite-URL",
)
"""Request headers that ASP.NET or IIS modules believe and a client must not set."""


class Member(NamedTuple):
    """One node as a pool sees it."""

    name: str
    host: str
    """Address or host name, IPv6 in brackets."""
    port: int
    weight: int
    state: str
    is_name: bool
    """Whether `host` is a name that must be looked up."""
    tag: str
    """The node's value in a cookie; it discloses nothing about the network."""

    @property
    def endpoint(self) -> str:
        """Host and port as balancers write them."""
        return f"{self.host}:{self.port}"


class Pool(NamedTuple):
    """The nodes for one kind of request."""

    name: str
    algorithm: str
    affinity: str
    """`none`, `cookie` or `source`."""


class Design:
    """A farm with every decision made that vendors share."""

    def __init__(self, farm: Farm) -> None:
        self.farm: Final = farm
        self.frontend: Final = farm.frontend
        self.balancer: Final = farm.balancer
        self.tls_mode: Final = farm.frontend.tls.mode

    @property
    def passthrough(self) -> bool:
        """Whether the balancer sees TLS records and no HTTP."""
        return self.tls_mode == "passthrough"

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The nodes in the spec's order."""
        return tuple(self._member(node) for node in self.farm.nodes)

    @cached_property
    def weight_unit(self) -> int:
        """The greatest number that divides every weight: smaller weights with the same shares."""
        return gcd(*(node.weight for node in self.farm.nodes))

    def _member(self, node: Node) -> Member:
        host, is_name = _host(node.address)
        tag = hashlib.sha256(node.name.encode()).hexdigest()[:8]
        # Backups of nothing serve like any other node; NGINX refuses a pool that holds nothing else.
        state = "up" if all(other.state == "backup" for other in self.farm.nodes) else node.state
        return Member(node.name, host, self.farm.port_of(node), node.weight, state, is_name, tag)

    @property
    def web(self) -> Pool:
        """Pages, API calls, package downloads and uploads."""
        affinity = self.balancer.affinity
        return Pool(f"{self.farm.farm}_web", self.balancer.algorithm, "none" if affinity == "signalr" else affinity)

    @property
    def signalr(self) -> Pool:
        """The live connections of robots and browsers."""
        affinity = self.balancer.affinity
        return Pool(
            f"{self.farm.farm}_signalr", self.balancer.algorithm, "cookie" if affinity == "signalr" else affinity
        )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names that the farm answers to, each once."""
        return tuple(dict.fromkeys((self.frontend.host, *self.frontend.aliases)))

    @property
    def listens(self) -> tuple[str, ...]:
        """The addresses to listen on, IPv6 in brackets; `*` stands for every IPv4 and `[::]` for every IPv6 one."""
        if self.frontend.address == "*":
            return ("*", "[::]")
        return (_host(self.frontend.address)[0],)

    @property
    def public_url(self) -> str:
        """Where port 80 sends to, without a slash at the end."""
        port = "" if self.frontend.port == 443 else f":{self.frontend.port}"
        return f"https://{self.frontend.host}{port}"

    @property
    def scheme(self) -> str:
        """What the client spoke."""
        return "https" if self.farm.balancer_tls else "http"

    @property
    def health_path(self) -> str:
        """The path that checks ask; the rules saw to it that there is one."""
        return self.farm.health_path or "/"

    @property
    def client_idle(self) -> Duration:
        """How long a client's connection may be silent while no WebSocket runs on it."""
        return Duration(max(self.balancer.timeouts.request, LONG_POLL))

    @property
    def longest_detection(self) -> Duration:
        """The time after which a node that hangs is marked down: one interval, and `fall` checks that time out.

        A check may spend the interval on the connection with TLS (HAProxy: at most `timeout connect`), and the
        check's timeout on the answer; a node that hangs uses up one of the two.
        """
        health = self.balancer.health
        one_check = max(health.timeout, min(health.interval, self.balancer.timeouts.connect))
        return Duration(health.interval + health.fall * one_check + (health.fall - 1) * self.fast_check)

    @property
    def fast_check(self) -> Duration:
        """Between the checks of a node in doubt."""
        return Duration(min(FAST_CHECK, self.balancer.health.interval))


def _host(address: str) -> tuple[str, bool]:
    """An address as a configuration writes it, and whether it is a name."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address, True
    return (f"[{ip}]" if ip.version == 6 else str(ip)), False
