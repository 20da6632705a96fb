"""Checks across the nodes of a farm: clocks, versions, keys."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..core.wording import shown
from ..net.request import TimedResponse
from . import signalr
from .machine import Machine
from .web import LOCAL, Clock

CLOCK_SECONDS: Final = 1.0
"""Quartz's clustered job store requires the clocks of all nodes within a second of each other."""
LOCAL_SECONDS: Final = 5.0
VERSION_HEADERS: Final = ("Server", "X-Powered-By", "X-AspNet-Version", "X-AspNetMvc-Version", "api-supported-versions")
"""Version headers of IIS, ASP.NET and its API versioning; none is Orchestrator's own version."""


class HealthyNode(NamedTuple):
    """A healthy node and its responses."""

    machine: Machine
    response: TimedResponse
    clock: Clock | None
    connection: signalr.Outcome


def clocks(nodes: Sequence[HealthyNode]) -> None:
    """Compare the nodes' clocks with the median clock."""
    by_time = sorted(
        ((clock, node.machine) for node in nodes if (clock := node.clock) is not None), key=lambda pair: pair[0].middle
    )
    if not by_time:
        return
    middle, reference = by_time[(len(by_time) - 1) // 2]
    for clock, machine in by_time:
        seconds = clock.difference(middle)
        if seconds > CLOCK_SECONDS:
            side = "ahead of" if clock.middle > middle.middle else "behind"
            expected = f"within {CLOCK_SECONDS:g} s of the other nodes"
            machine.report("clock-nodes", "clock", expected, f"{seconds:.0f} s or more {side} {reference.name}")


def local_clock(machine: Machine, clock: Clock | None) -> None:
    """Compare a machine's clock with the clock of this computer."""
    if clock is not None and clock.difference(LOCAL) > LOCAL_SECONDS:
        found = f"{abs(clock.middle):.0f} s {'ahead' if clock.middle > 0 else 'behind'}"
        machine.report("clock-here", "clock", "this computer's time", found)


def versions(nodes: Sequence[HealthyNode]) -> None:
    """Compare the version headers of the nodes with the most frequent value (of several: the first node's)."""
    if len(nodes) < 2:
        return
    for header in VERSION_HEADERS:
        values = [node.response.header(header) for node in nodes]
        usual, _count = Counter(values).most_common(1)[0]
        model = nodes[values.index(usual)].machine.name
        for node, found in zip(nodes, values, strict=True):
            if found != usual:
                node.machine.report("versions", header, f"{_value(usual)} as on {model}", _value(found))
    names = ", ".join(node.machine.name for node in nodes)
    nodes[0].machine.report("version-unknown", "Orchestrator's version", f"the same on {names}", "unknown")


def _value(text: str) -> str:
    return shown(text) if text else "no such header"


def hubs(machines: Sequence[tuple[Machine, signalr.Outcome]], paths: Sequence[str]) -> None:
    """Report a hub that only some machines have; one that no machine has is reported as not checked."""
    found = any(not outcome.missing for _, outcome in machines)
    paths_text = ", ".join(paths)
    for machine, outcome in machines:
        if outcome.missing and found:
            machine.report("signalr-negotiate", paths_text, "a hub, as on other machines of the farm", outcome.missing)
        elif outcome.missing:
            machine.report("signalr-hub", paths_text, "a hub", outcome.missing)


async def tokens(nodes: Sequence[HealthyNode]) -> None:
    """Send the SignalR 2 connection token of one node to all other nodes."""
    owners = [(node.machine, node.connection.hub) for node in nodes if node.connection.hub is not None]
    if owners:
        owner, hub = owners[0]
        await asyncio.gather(*(signalr.check_token(machine, hub, owner.name) for machine, _ in owners[1:]))
