"""Failures of one service of a node, while its other services answer: Identity, from Orchestrator 2020.10 on."""

from typing import Final

from ...generators.base import generator
from ...generators.design import Design
from ...spec.model import Farm
from ...spec.orchestrator import IDENTITY_HEALTH_PATH
from ..lab.bench import TestBench
from ..lab.processes import NodeProcess
from .base import Failover, Metric, Metrics, lacks, metric, serving
from .failover import NOTICE

BEGIN: Final = 1.5
"""When the service fails, seconds since the load began."""
AFTER: Final = 2.0
"""How long the load lasts after the node must have left the rotation, seconds."""
RECOVERY: Final = 4.0
"""The load between two failures, seconds: the node returns meanwhile."""
REFUSED_WITHIN: Final = 3.0
"""The time in which a node must leave the rotation if its service refuses requests or answers 503, seconds."""


class IdentityFails(Failover):
    """Identity of one node fails, and Orchestrator's own endpoint on that node answers."""

    name = "identity"
    title = "a node's Identity answers 503, refuses, then hangs, while Orchestrator answers"
    why = "users and robots cannot sign in on this node, and Orchestrator's own health endpoint does not show it"
    seconds = 120.0

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip farms without Identity, and balancers that do not check it."""
        if not farm.orchestrator.is_core:
            return "Identity is a service of its own only from Orchestrator 2020.10 on"
        feature = "passthrough-health" if farm.frontend.tls.mode == "passthrough" else "active-health"
        if lacks(feature, farm, vendor) is not None:
            return f"{generator(vendor).title} has no active health checks"
        if len(serving(farm)) < 2:
            return "no other node is up"
        return super().skip_reason(farm, vendor)

    async def run(self, bench: TestBench) -> Metrics:
        """Let Identity fail in three ways, each under load, and see when the node gets its last request."""
        victim = bench.serving[0]
        design = Design(bench.farm)
        health = bench.farm.balancer.health
        quick = max(REFUSED_WITHIN, (health.fall * health.interval + health.timeout) / 1000)
        hang = max(design.longest_detection / 1000 + NOTICE, quick)
        checked = any(path.lower().startswith("/identity") for path in design.health_paths)
        note = "" if checked else f"the spec checks only {', '.join(design.health_paths)}: add {IDENTITY_HEALTH_PATH}"
        for name, switch, text, limit in (
            ("asked_503", "identity_stopped", "answers 503", quick),
            ("asked_refused", "identity_refuses", "closes connections", quick),
            ("asked_hung", "identity_hangs", "hangs", hang),
        ):
            yield await _failure(bench, victim, name, switch, text, limit, note)


async def _failure(
    bench: TestBench, victim: NodeProcess, name: str, switch: str, text: str, limit: float, note: str
) -> Metric:
    """Return how many requests the node gets after it must have left the rotation."""
    event = (BEGIN, f"{victim.name}: Identity {text}", lambda: victim.set(**{switch: True}))
    result = await bench.load([event], seconds=BEGIN + limit + AFTER, cookies=False)
    late = [one for one in result.records if one.scheduled > BEGIN + limit]
    got = [one.scheduled - BEGIN for one in result.records if one.node == victim.name and one.scheduled > BEGIN]
    await bench.call(victim.reset)
    await bench.load(seconds=RECOVERY)
    seen = f"last request {max(got):.1f} s after the failure" if got else ""
    return metric(name, sum(one.node == victim.name for one in late), of=len(late), note=note or seen)


SCENARIOS = (IdentityFails(),)
