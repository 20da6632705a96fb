"""The nodes and the Orchestrator on them."""

import posixpath
from collections import Counter
from collections.abc import Iterator
from typing import Final

from ..model import Farm
from .base import Finding, Rule, loopback, several


def _one_node(farm: Farm) -> Iterator[Finding]:
    if not several(farm):
        yield Finding(("nodes",), "a farm of one node is not highly available", "add the second node")


def _version_unknown(farm: Farm) -> Iterator[Finding]:
    if farm.orchestrator.version is None:
        assumed = f", and the health checks ask {farm.health_path}" if farm.balancer.health.path == "auto" else ""
        yield Finding(
            ("orchestrator", "version"),
            f"the Orchestrator version is not given: it is taken for a classic one (before 2020.10){assumed}",
            'write `orchestrator: {version: "2019.4"}`, in quotes',
        )


def _node_names(farm: Farm) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, node in enumerate(farm.nodes):
        # Windows machines and HAProxy's server names are told apart without case in people's heads at least.
        name = node.name.lower()
        if name in first:
            yield Finding(
                ("nodes", index, "name"),
                f"{node.name} is the name of nodes[{first[name]}] as well",
                "give each node a name of its own",
            )
        first.setdefault(name, index)


def _node_configs(farm: Farm) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for index, node in enumerate(farm.nodes):
        if node.config is None:
            continue
        path = posixpath.normpath(node.config.replace("\\", "/"))
        if path in first:
            yield Finding(
                ("nodes", index, "config"),
                f"{node.config} is the config of {first[path]} as well",
                "name a copy of this node's own file",
            )
        first.setdefault(path, node.name)


def _node_endpoints(farm: Farm) -> Iterator[Finding]:
    first: dict[tuple[str, int], str] = {}
    for index, node in enumerate(farm.nodes):
        endpoint = (node.address, farm.port_of(node))
        if endpoint in first:
            yield Finding(
                ("nodes", index, "address"),
                f"{node.name} has the address and port of {first[endpoint]}",
                "each node is a machine of its own; check the address",
            )
        first.setdefault(endpoint, node.name)


def _primaries(farm: Farm) -> Iterator[Finding]:
    primaries = [index for index, node in enumerate(farm.nodes) if node.primary]
    for index in primaries[1:]:
        yield Finding(
            ("nodes", index, "primary"),
            f"{farm.nodes[primaries[0]].name} is the primary node already",
            "the keys come from one node: the first that was installed",
        )


def _no_node_up(farm: Farm) -> Iterator[Finding]:
    states = Counter(node.state for node in farm.nodes)
    if not states["up"] and not states["backup"]:
        yield Finding(("nodes",), "no node is up: the farm would answer nobody", "leave at least one `state: up`")


def _node_is_balancer(farm: Farm) -> Iterator[Finding]:
    listen = farm.frontend.address
    for index, node in enumerate(farm.nodes):
        if node.address == listen and farm.port_of(node) == farm.frontend.port:
            yield Finding(
                ("nodes", index, "address"),
                f"{node.name} is the balancer's own address and port: requests would run in a circle",
                "give the balancer an address of its own",
            )
        elif loopback(node.address) and not loopback(listen):
            yield Finding(
                ("nodes", index, "address"),
                f"{node.address} is the balancer itself, seen from the balancer",
                "write the address by which the balancer reaches the node",
            )


RULES: Final = (
    Rule("one-node", "warning", "a farm of one node is not highly available", _one_node),
    Rule("version-unknown", "warning", "without the Orchestrator version the health path is a guess", _version_unknown),
    Rule("node-names", "error", "each node has a name of its own", _node_names),
    Rule("node-configs", "error", "each node has a config file of its own", _node_configs),
    Rule("node-endpoints", "error", "each node has an address and port of its own", _node_endpoints),
    Rule("one-primary", "error", "one node at the most is the primary", _primaries),
    Rule("no-node-up", "error", "at least one node takes requests", _no_node_up),
    Rule("node-is-balancer", "error", "no node stands at the balancer's own address", _node_is_balancer),
)
