"""What a scenario is, and the figures it makes.

    class Kill(Scenario):
        name = "kill"
        title = "a node dies"
        why = "a crashed machine must cost nobody more than a retry"
        seconds = 40

        async def play(self, stage: Stage) -> Figures:
            victim = stage.serving[0]
            result = await stage.load(events=[(4.0, f"kill {victim.name}", victim.kill), ...])
            yield figure("failed_gets", result.failed_by_method.get("GET", 0), of=result.total)

    SCENARIOS = (Kill(),)          # at the end of each module that registry.MODULES names

The figures' titles, units and limits stand in bars.py under the scenario's name: a scenario yields exactly those (a
figure that is missing is a bar that was missed). It leaves the stage as it likes: the nodes are brought back after it.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import ClassVar, Final, NamedTuple

from ...spec.model import Farm, Node
from ..lab.bench import Stage

__all__ = [
    "HASHED",
    "ONE_NODE",
    "PASSED_THROUGH",
    "Figure",
    "Figures",
    "Scenario",
    "Stage",
    "figure",
    "is_hashed",
    "serving",
    "takes_over",
]


class Figure(NamedTuple):
    """One measured value: `3 of 2800, within 0.38 s`."""

    name: str
    """As in bars.BARS under the scenario's name."""
    value: float
    of: int | None = None
    """How many were counted in all."""
    window: float | None = None
    """Seconds between the first and the last of what was counted."""
    note: str = ""
    """What a reader must know besides: which node, which time-out was scaled."""
    held: bool = True
    """False: shown, and held to no bar on this farm; `note` says why."""


Figures = AsyncGenerator[Figure, None]


def figure(
    name: str,
    value: float,
    *,
    of: int | None = None,
    window: float | None = None,
    note: str = "",
    held: bool = True,
) -> Figure:
    """Make a figure; see Figure. An empty last part of a note (`of 110 s; `) leaves nothing behind."""
    return Figure(name, value, of, window, note.rstrip("; "), held)


class Scenario(ABC):
    """One thing that happens in life, played on a stage and measured."""

    name: ClassVar[str]
    """As on the command line (`--scenario kill`) and in bars.BARS; lower case, words joined by hyphens."""
    title: ClassVar[str]
    """What happens, in a few words."""
    why: ClassVar[str]
    """One sentence: what it costs a farm that fails this."""
    seconds: ClassVar[float]
    """The bound: a play that takes longer is cancelled, and counts as failed."""

    def unasked(self, farm: Farm, vendor: str) -> str:
        """Why this farm, as the user wrote it, is not asked; empty where it is (the default)."""
        del farm, vendor
        return ""

    @abstractmethod
    def play(self, stage: Stage) -> Figures:
        """Play it once and yield the figures (an async generator); may raise any NlbgenError of the laboratory."""


ONE_NODE: Final = "the farm has no second node that could take over"
PASSED_THROUGH: Final = "the balancer passes TLS through: it sees no request that it could repeat"
HASHED: Final = "the client's address chooses the node, not the weight"


def takes_over(farm: Farm) -> bool:
    """Whether another node serves when the first of those that serve is gone."""
    return sum(node.state in {"up", "backup"} for node in farm.nodes) > 1 and bool(serving(farm))


def is_hashed(farm: Farm) -> bool:
    """Whether the client's address chooses the node."""
    return "source" in {farm.balancer.algorithm, farm.balancer.affinity}


def serving(farm: Farm) -> list[Node]:
    """The nodes that get new requests while all is well."""
    return [node for node in farm.nodes if node.state == "up"]
