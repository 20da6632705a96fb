"""Rules about the nodes and their Orchestrator."""

import posixpath
from collections import Counter
from collections.abc import Iterator
from pathlib import PureWindowsPath
from typing import Final

from .. import orchestrator as facts
from ..model import Farm
from .base import Finding, Rule, loopback, several


def _one_node(farm: Farm) -> Iterator[Finding]:
    if not several(farm):
        yield Finding(("nodes",), "a farm of one node is not highly available", "add the second node")


def _version_unknown(farm: Farm) -> Iterator[Finding]:
    if farm.orchestrator.version is None:
        assumed = f", and the health checks request {farm.health_path}" if farm.balancer.health.path == "auto" else ""
        yield Finding(
            ("orchestrator", "version"),
            f"the Orchestrator version is not set: a classic version (before 2020.10) is assumed{assumed}",
            'write `orchestrator: {version: "2019.4"}`, in quotes',
        )


def _version_exists(farm: Farm) -> Iterator[Finding]:
    version = farm.orchestrator.version
    if version is not None and not facts.exists(version):
        yield Finding(
            ("orchestrator", "version"),
            f"{version} is not a version of Orchestrator: a version is a year and a month",
            'write it as the product shows it, as in "2019.4" or "2023.10.3"',
        )


def _version_newer(farm: Farm) -> Iterator[Finding]:
    version = farm.orchestrator.version
    if version is not None and facts.exists(version) and facts.is_newer(version):
        yield Finding(
            ("orchestrator", "version"),
            f"{version} is newer than {facts.NEWEST}, the newest version that nlbgen knows",
            "compare the release notes with what `nlbgen nodes plan` and `nlbgen render` write",
        )


def _node_names(farm: Farm) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, node in enumerate(farm.nodes):
        # People do not distinguish names by case, and Windows does not either.
        name = node.name.lower()
        if name in first:
            yield Finding(
                ("nodes", index, "name"),
                f"{node.name} is also the name of nodes[{first[name]}]",
                "give each node its own name",
            )
        first.setdefault(name, index)


def _node_configs(farm: Farm) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for index, node in enumerate(farm.nodes):
        if node.config is None:
            continue
        path = _normal(node.config)
        if path in first:
            yield Finding(
                ("nodes", index, "config"),
                f"{node.config} is also the config of {first[path]}",
                "write the path of this node's own file",
            )
        first.setdefault(path, node.name)


def _normal(path: str) -> str:
    """Return the same text for two paths of one file; Windows ignores case, and a drive or share is one of Windows."""
    normal = posixpath.normpath(path.replace("\\", "/"))
    return normal.lower() if PureWindowsPath(path).drive else normal


def _node_endpoints(farm: Farm) -> Iterator[Finding]:
    first: dict[tuple[str, int], str] = {}
    for index, node in enumerate(farm.nodes):
        endpoint = (node.address, farm.port_of(node))
        if endpoint in first:
            yield Finding(
                ("nodes", index, "address"),
                f"{node.name} has the address and port of {first[endpoint]}",
                "write the address of this node: each node is a separate machine",
            )
        first.setdefault(endpoint, node.name)


def _primaries(farm: Farm) -> Iterator[Finding]:
    primaries = [index for index, node in enumerate(farm.nodes) if node.primary]
    for index in primaries[1:]:
        yield Finding(
            ("nodes", index, "primary"),
            f"{farm.nodes[primaries[0]].name} is already the primary node",
            "set `primary: true` only at the node that was installed first: its keys are copied to the others",
        )


def _no_node_up(farm: Farm) -> Iterator[Finding]:
    states = Counter(node.state for node in farm.nodes)
    if not states["up"] and not states["backup"]:
        yield Finding(
            ("nodes",), "no node is up: the farm does not serve clients", "set at least one node to `state: up`"
        )


def _node_is_farm(farm: Farm) -> Iterator[Finding]:
    names = {farm.frontend.host, *farm.frontend.aliases}
    for index, node in enumerate(farm.nodes):
        if node.address in names:
            yield Finding(
                ("nodes", index, "address"),
                f"{node.address} is a name of the farm: the balancer would send requests to itself (a request loop)",
                "write the address of the node itself",
            )


def _node_is_balancer(farm: Farm) -> Iterator[Finding]:
    listen = farm.frontend.address
    for index, node in enumerate(farm.nodes):
        if node.address == listen and farm.port_of(node) == farm.frontend.port:
            yield Finding(
                ("nodes", index, "address"),
                f"{node.name} has the balancer's own address and port: the balancer would "
                "send requests to itself (a request loop)",
                "give the node or the balancer another address",
            )
        elif loopback(node.address) and not loopback(listen):
            yield Finding(
                ("nodes", index, "address"),
                f"{node.address} is a loopback address: the balancer would connect to itself",
                "write the address at which the balancer can reach the node",
            )


RULES: Final = (
    Rule("one-node", "warning", "a farm of one node is not highly available", _one_node),
    Rule("version-unknown", "warning", "without the Orchestrator version the health path is a guess", _version_unknown),
    Rule("version-exists", "error", "the Orchestrator version is a year and a month", _version_exists),
    Rule("version-newer", "warning", "nlbgen does not know versions after the newest one", _version_newer),
    Rule("node-names", "error", "each node has its own name", _node_names),
    Rule("node-configs", "error", "each node has its own config file", _node_configs),
    Rule("node-endpoints", "error", "each node has its own address and port", _node_endpoints),
    Rule("one-primary", "error", "at most one node is the primary", _primaries),
    Rule("no-node-up", "error", "at least one node accepts requests", _no_node_up),
    Rule("node-is-farm", "error", "no node has a name of the farm as its address", _node_is_farm, acceptable=True),
    Rule("node-is-balancer", "error", "no node has the balancer's own address", _node_is_balancer),
)
