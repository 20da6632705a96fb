"""The vendor-independent design of a configuration.

A generator writes it in its own syntax; it decides only what no other vendor has to decide.
"""

import hashlib
import ipaddress
from functools import cached_property
from math import gcd
from typing import Final, NamedTuple

from ..spec.model import Farm, Node
from ..spec.orchestrator import LONG_POLL_SECONDS, takes_details_key
from ..spec.schema import Path
from ..spec.units import Duration

LONG_POLL: Final = Duration((LONG_POLL_SECONDS + 20) * 1000)
"""Response timeout on a SignalR path: the long poll, and 20 s for its delivery."""
HEADER_TIME: Final = Duration.of("10s")
"""Timeout for a client's request headers; protects against slow clients."""
KEEPALIVE_TO_NODE: Final = Duration.of("60s")
"""Keep-alive timeout to a node; shorter than IIS's 120 s, so that no request meets a closing connection."""
FAST_CHECK: Final = Duration.of("100ms")
"""Check interval after a failed check; it limits the number of requests to a node that is down."""
ERRORS_TO_SUSPECT: Final = 3
"""Consecutive failed requests that trigger an immediate check."""
LARGEST_HEAD: Final = 80 * 1024
"""Bytes of request headers that must pass: Windows sign-in sends Kerberos tickets of up to 48,000 bytes (Windows'
default of MaxTokenSize), which are 64,000 as text, and cookies come on top."""
COOKIE: Final = "NLBID"
ANY_PORT: Final = ":[0-9]{1,5}"
"""A regular expression: the port in a Host header. Behind the farm's name nothing else is accepted, not even the dot
that ends a full DNS name: the nodes would build links from it."""


class Member(NamedTuple):
    """One node as a member of a pool."""

    name: str
    host: str
    """Address or host name, IPv6 in brackets."""
    port: int
    weight: int
    state: str
    is_name: bool
    """Whether `host` is a name that must be resolved."""
    tag: str
    """The node's value in a cookie; it discloses nothing about the network."""

    @property
    def endpoint(self) -> str:
        """`host:port`, as configurations write it."""
        return f"{self.host}:{self.port}"


class Pool(NamedTuple):
    """The nodes for one kind of request."""

    name: str
    algorithm: str
    affinity: str
    """`none`, `cookie` or `source`."""


class Design:
    """A farm with the decisions that all vendors share."""

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
        """The greatest common divisor of the weights; dividing by it keeps the shares."""
        return gcd(*(node.weight for node in self.farm.nodes))

    def _member(self, node: Node) -> Member:
        host, is_name = _host(node.address)
        tag = hashlib.sha256(node.name.encode()).hexdigest()[:8]
        # If all nodes are backups, they serve as normal nodes: NGINX refuses a pool that has only backups.
        state = "up" if all(other.state == "backup" for other in self.farm.nodes) else node.state
        state = "down" if self.closed else state
        return Member(node.name, host, self.farm.port_of(node), node.weight, state, is_name, tag)

    @property
    def web(self) -> Pool:
        """Pages, API calls, package downloads and uploads."""
        affinity = self.farm.affinity
        return Pool(f"{self.farm.farm}_web", self.balancer.algorithm, "none" if affinity == "signalr" else affinity)

    @property
    def signalr(self) -> Pool:
        """The SignalR connections of robots and browsers."""
        affinity = self.farm.affinity
        return Pool(
            f"{self.farm.farm}_signalr", self.balancer.algorithm, "cookie" if affinity == "signalr" else affinity
        )

    @property
    def live(self) -> Pool:
        """The pool whose open connections are closed when their node is marked down; with passthrough, the only one."""
        return self.web if self.passthrough else self.signalr

    @property
    def unchecked(self) -> Pool:
        """The pool of the last resort: all nodes without health checks, for the time in which every check fails."""
        return self.live._replace(name=f"{self.farm.farm}_unchecked")

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names that the farm serves, without duplicates."""
        return tuple(dict.fromkeys((self.frontend.host, *self.frontend.aliases)))

    @property
    def listens(self) -> tuple[str, ...]:
        """The addresses to listen on, IPv6 in brackets; `*` stands for every IPv4 and `[::]` for every IPv6 one."""
        if self.frontend.address == "*":
            return ("*", "[::]")
        return (_host(self.frontend.address)[0],)

    @property
    def public_url(self) -> str:
        """The target of the redirect from port 80, without a trailing slash."""
        port = "" if self.frontend.port == 443 else f":{self.frontend.port}"
        return f"https://{self.frontend.host}{port}"

    @property
    def scheme(self) -> str:
        """The client's protocol."""
        return "https" if self.farm.balancer_tls else "http"

    @property
    def closed(self) -> bool:
        """Whether no request reaches a node, because Orchestrator is upgraded."""
        return self.balancer.maintenance.state == "closed"

    @property
    def robots_per_second(self) -> int:
        """The limit of new connections of robots after an upgrade; 0 without one."""
        maintenance = self.balancer.maintenance
        return maintenance.robots_per_second if maintenance.state == "releasing" else 0

    @property
    def maintenance_page(self) -> str:
        """The page while the farm is closed: HTML on one line, in ASCII, without characters that a syntax expands."""
        message = "".join(_entity(char) for char in self.balancer.maintenance.message)
        return (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Maintenance</title></head>'
            f"<body><h1>Maintenance</h1><p>{message}</p></body></html>"
        )

    @property
    def health_paths(self) -> tuple[str, ...]:
        """The paths of the health checks, all of which must answer; the rules ensure that there is one."""
        return self.farm.health_paths or ("/",)

    @property
    def health_path(self) -> str:
        """The first path of the health checks: Orchestrator's own by default."""
        return self.health_paths[0]

    def health_location(self, index: int) -> Path:
        """The location in the spec of a path of the health checks."""
        return ("balancer", "health", "paths", index) if self.balancer.health.paths else ("balancer", "health", "path")

    def sends_details_key(self, path: str) -> bool:
        """Whether the check of a path sends the value of HealthCheck.DetailsKey, where the vendor can."""
        return self.balancer.health.details_key is not None and takes_details_key(path)

    @property
    def longest_detection(self) -> Duration:
        """The time after which a node that hangs is marked down: one interval, and `fall` checks that time out.

        A check may spend the interval on the connection with TLS (HAProxy: at most `timeout connect`), and the
        check's timeout on the answer; a node that hangs uses up one of the two.
        """
        return self._detection(rounds=1)

    @property
    def longest_service_detection(self) -> Duration:
        """The same for a node of which only the service that is checked last hangs.

        It applies to a balancer that checks the services one after another, each with a timeout of its own, if all
        other services answer just before their timeout. If they answer at once, it is `longest_detection`.
        """
        return self._detection(rounds=len(self.health_paths))

    def _detection(self, rounds: int) -> Duration:
        health = self.balancer.health
        one_round = max(health.timeout, min(health.interval, self.balancer.timeouts.connect))
        return Duration(health.interval + health.fall * rounds * one_round + (health.fall - 1) * self.fast_check)

    @property
    def fast_check(self) -> Duration:
        """The check interval of a node after a failed check."""
        return Duration(min(FAST_CHECK, self.balancer.health.interval))


def _entity(char: str) -> str:
    return char if char.isascii() and (char.isalnum() or char in " .,:-_") else f"&#{ord(char)};"


def _host(address: str) -> tuple[str, bool]:
    """The address in the form of a configuration, and whether it is a name."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address, True
    return (f"[{ip}]" if ip.version == 6 else str(ip)), False
