"""Rules about the number of robots: what one balancer can hold.

The balancer opens a connection to a node for each connection of a client.
"""

from collections.abc import Iterator
from typing import Final

from ..capacity import connections_for, open_files
from ..model import Farm
from .base import Finding, Rule

LINUX_PORTS: Final = 28_232
"""Ports 32768 to 60999, the default of net.ipv4.ip_local_port_range (ip-sysctl.rst): for one source address and one
node."""
ALL_PORTS: Final = 64_512
"""Ports 1024 to 65535. F5 has as many for each SNAT address (F5: 64,000)."""
TRACKED: Final = 65_536
"""The smallest default of nf_conntrack_max with 1 GB of memory or more (nf_conntrack-sysctl.rst)."""


def _connections(farm: Farm) -> Iterator[Finding]:
    robots, limits = farm.orchestrator.robots, farm.balancer.limits
    needed = connections_for(robots or 0)
    if needed <= limits.connections:
        return
    files = open_files(needed)
    more = f" and `open_files: {files}`" if files > limits.open_files else ""
    yield Finding(
        ("orchestrator", "robots"),
        f"{robots} robots need {needed} connections (one for each robot, and a quarter more "
        f"for other requests), but the limit is {limits.connections}",
        f"write `connections: {needed}`{more} under balancer.limits",
    )


def _ports(farm: Farm) -> Iterator[Finding]:
    robots = farm.orchestrator.robots
    needed = connections_for(robots or 0)
    if needed <= LINUX_PORTS:
        return
    if needed <= ALL_PORTS:
        hint = "set `net.ipv4.ip_local_port_range = 1024 65535` on the balancer"
    else:
        addresses = -(-needed // ALL_PORTS)
        hint = (
            f"one address has at most {ALL_PORTS} ports for each node: use {addresses} balancers, each with a "
            f"part of the robots (on F5, {addresses} SNAT addresses)"
        )
    yield Finding(
        ("orchestrator", "robots"),
        f"if only one node is left, the balancer needs {needed} source ports for its "
        f"connections to this node, but Linux has {LINUX_PORTS} by default",
        f"{hint}, then accept this (`accept: [robots-ports]`)",
    )


def _tracked(farm: Farm) -> Iterator[Finding]:
    robots = farm.orchestrator.robots
    entries = 2 * connections_for(robots or 0)
    if entries > TRACKED:
        yield Finding(
            ("orchestrator", "robots"),
            f"if the balancer's firewall tracks connections, it needs {entries} entries for {robots} robots, but "
            f"its default limit can be {TRACKED}",
            f"set `net.netfilter.nf_conntrack_max = {2 * entries}` on the balancer, then accept this "
            "(`accept: [robots-tracked]`)",
        )


RULES: Final = (
    Rule("robots-connections", "error", "the limit of connections must be high enough for the robots", _connections),
    Rule("robots-ports", "warning", "the balancer needs a port for each connection to a node", _ports),
    Rule("robots-tracked", "warning", "a firewall that tracks connections has a limit", _tracked),
)
