"""The base class of scenarios, and the metrics that they yield.

    class Kill(Scenario):
        name = "kill"
        title = "a node crashes"
        why = "clients must not notice that a node crashes"
        seconds = 40

        async def run(self, bench: TestBench) -> Metrics:
            victim = bench.serving[0]
            result = await bench.load([(4.0, f"{victim.name} is killed", victim.kill), ...])
            yield metric("failed_gets", result.failed_by_method.get("GET", 0), of=result.total)

    SCENARIOS = (Kill(),)          # at the end of each module that registry.MODULES names

thresholds.py holds the titles, units and limits of the metrics under the scenario's name. A scenario yields exactly
those metrics; a missing one fails. A scenario need not clean up: the run restores the nodes after it.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from math import isnan, nan
from typing import ClassVar, Final, NamedTuple

from ...generators.base import generator
from ...generators.features import No
from ...spec.model import Farm, Node
from ..lab.bench import TestBench

__all__ = [
    "HASHED",
    "NO_HTTP",
    "ONE_NODE",
    "PASSED_THROUGH",
    "Failover",
    "HttpOnly",
    "Metric",
    "Metrics",
    "Scenario",
    "TestBench",
    "first_of",
    "is_hashed",
    "lacks",
    "metric",
    "not_measured",
    "serving",
    "takes_over",
    "without_checks",
]


class Metric(NamedTuple):
    """One measured value: `3 of 2800, within 0.38 s`."""

    name: str
    """The name in thresholds.THRESHOLDS under the scenario's name."""
    value: float
    of: int | None = None
    """The number of requests, sessions or connections that were counted."""
    window: float | None = None
    """Seconds between the first and the last counted failure."""
    note: str = ""
    """What a reader needs to interpret the value: the node, the scaled timeout."""
    enforced: bool = True
    """False: the metric is shown, but its limit does not apply to this farm; `note` gives the reason."""
    doubt: str = ""
    """Why a value beyond the limit would say nothing about the balancer."""

    @property
    def measured(self) -> bool:
        """Whether there is a value; `note` says why there is none."""
        return not isnan(self.value)


Metrics = AsyncGenerator[Metric, None]


def metric(
    name: str,
    value: float,
    *,
    of: int | None = None,
    window: float | None = None,
    note: str = "",
    enforced: bool = True,
) -> Metric:
    """Return a Metric; removes an empty last part of the note (`of 110 s; `)."""
    return Metric(name, value, of, window, note.rstrip("; "), enforced)


def not_measured(name: str, reason: str) -> Metric:
    """Return a metric that this configuration does not have; it neither passes nor fails."""
    return Metric(name, nan, note=reason, enforced=False)


class Scenario(ABC):
    """One failure or event that the test bench causes and measures."""

    name: ClassVar[str]
    """The name on the command line (`--scenario kill`) and in THRESHOLDS; lower case, words joined by hyphens."""
    title: ClassVar[str]
    """The event in a few words."""
    why: ClassVar[str]
    """One sentence: the impact on a farm that fails this scenario."""
    seconds: ClassVar[float]
    """The timeout: a scenario that runs longer is cancelled and counts as broken."""
    needs_robots: ClassVar[bool] = False
    """Whether it runs only with `--robots`, or by its name."""
    changes_farm: ClassVar[str] = ""
    """What it changes in the farm, as a sentence that begins with "it"; only a configuration that nlbgen renders allows
    that. Empty for a scenario that runs any configuration."""

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Return why this scenario does not apply to a farm as the user wrote it; empty (the default) if it does."""
        del farm, vendor
        return ""

    @abstractmethod
    def run(self, bench: TestBench) -> Metrics:
        """Run once and yield the metrics (an async generator). Raises NlbgenError if the lab fails."""


ONE_NODE: Final = "the farm has no second node that could take over"
PASSED_THROUGH: Final = "the balancer passes TLS through and cannot retry requests"
HASHED: Final = "the client's address selects the node, not the weight"
NO_HTTP: Final = "the balancer passes TLS through and sees no HTTP"


class HttpOnly(Scenario):
    """A scenario for balancers that see HTTP."""

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip farms with TLS passthrough."""
        del vendor
        return NO_HTTP if farm.frontend.tls.mode == "passthrough" else ""


def takes_over(farm: Farm) -> bool:
    """Whether another node serves when the first serving node fails."""
    return sum(node.state in {"up", "backup"} for node in farm.nodes) > 1 and bool(serving(farm))


class Failover(Scenario):
    """A scenario in which another node takes over from the one that fails."""

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip farms without a node that takes over: they lose all requests with any balancer."""
        del vendor
        return "" if takes_over(farm) else ONE_NODE


def lacks(feature: str, farm: Farm, vendor: str) -> No | None:
    """Return why the vendor's version lacks a feature; None where it has the feature."""
    chosen = generator(vendor)
    return chosen.lacks(feature, chosen.version(farm))


def without_checks(bench: TestBench) -> str:
    """Return that the balancer has no active health checks; empty if it has them."""
    if lacks("active-health", bench.farm, bench.vendor) is None:
        return ""
    return f"{generator(bench.vendor).title} has no active health checks"


def is_hashed(farm: Farm) -> bool:
    """Whether the client's address selects the node."""
    return "source" in {farm.balancer.algorithm, farm.affinity}


def serving(farm: Farm) -> list[Node]:
    """Return the nodes that get new requests in normal operation."""
    return [node for node in farm.nodes if node.state == "up"]


def first_of(texts: list[str]) -> str:
    """Return a note with the first text; empty without any."""
    return f"the first one: {texts[0]}" if texts else ""
