"""The nodes' own health: the endpoints that the balancer checks, requested from this computer."""

import asyncio
from collections.abc import Iterable, Mapping

from ..generators.design import Design
from ..net.connect import Limits
from ..net.loops import run
from ..probe.health import Health
from ..probe.machine import Endpoint, Machine
from ..spec.model import Farm, Node


def healthy(farm: Farm, names: Iterable[str] | None = None) -> Mapping[str, bool]:
    """Return for each node whether all of its health endpoints answer as the spec expects.

    Certificates are not verified, and no secret is sent: the balancer's own checks verify them.
    """
    nodes = [node for node in farm.nodes if names is None or node.name in set(names)]
    return run(_all(farm, nodes))


async def _all(farm: Farm, nodes: list[Node]) -> dict[str, bool]:
    answers = await asyncio.gather(*(_one(farm, node) for node in nodes))
    return {node.name: answer for node, answer in zip(nodes, answers, strict=True)}


async def _one(farm: Farm, node: Node) -> bool:
    host, seconds = farm.frontend.host, farm.balancer.health.timeout / 1000
    endpoint = Endpoint(node.address, farm.port_of(node), host, farm.node_tls, header=host)
    machine = Machine(node.name, endpoint, Limits(seconds, seconds))
    if endpoint.tls:
        machine.without_checks()
    return await Health(Design(farm)).answers(machine)
