"""What the nodes of one farm must have in common: clocks, versions, keys."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..core.wording import shown
from ..net.http1 import Reply
from . import signalr
from .device import Device
from .web import HERE, Clock

CLOCK_SECONDS: Final = 1.0
"""Quartz, job stores: the clocks of a cluster must be within a second of each other."""
HERE_SECONDS: Final = 5.0
VERSION_HEADERS: Final = ("Server", "X-Powered-By", "X-AspNet-Version", "X-AspNetMvc-Version", "api-supported-versions")
"""What IIS, ASP.NET and its versioning of APIs say of themselves; none of it is Orchestrator's own version."""


class Met(NamedTuple):
    """A node that is healthy, and what it told."""

    device: Device
    reply: Reply
    clock: Clock | None
    live: signalr.Outcome


def clocks(nodes: Sequence[Met]) -> None:
    """Compare the nodes' clocks with the middle one of them."""
    told = sorted(
        ((clock, node.device) for node in nodes if (clock := node.clock) is not None), key=lambda pair: pair[0].middle
    )
    if not told:
        return
    middle, reference = told[(len(told) - 1) // 2]
    for clock, device in told:
        apart = clock.apart(middle)
        if apart > CLOCK_SECONDS:
            side = "ahead of" if clock.middle > middle.middle else "behind"
            expected = f"within {CLOCK_SECONDS:g} s of the other nodes"
            device.say("clock-nodes", "clock", expected, f"{apart:.0f} s or more {side} {reference.name}")


def clock_here(device: Device, clock: Clock | None) -> None:
    """Compare a machine's clock with this one's."""
    if clock is not None and clock.apart(HERE) > HERE_SECONDS:
        found = f"{abs(clock.middle):.0f} s {'ahead' if clock.middle > 0 else 'behind'}"
        device.say("clock-here", "clock", "this machine's time", found)


def versions(nodes: Sequence[Met]) -> None:
    """Compare what the nodes' answers say of the software behind them: with the most, or else with the first."""
    if len(nodes) < 2:
        return
    for header in VERSION_HEADERS:
        told = [node.reply.header(header) for node in nodes]
        usual, _count = Counter(told).most_common(1)[0]
        model = nodes[told.index(usual)].device.name
        for node, found in zip(nodes, told, strict=True):
            if found != usual:
                node.device.say("versions", header, f"{_value(usual)}, as {model} says", _value(found))
    names = ", ".join(node.device.name for node in nodes)
    nodes[0].device.say("version-unknown", "Orchestrator's version", f"the same on {names}", "unknown")


def _value(text: str) -> str:
    return shown(text) if text else "no such header"


def hubs(machines: Sequence[tuple[Device, signalr.Outcome]], paths: Sequence[str]) -> None:
    """A hub that some machines do not know is missing there; one that nobody knows is elsewhere."""
    somewhere = any(not outcome.missing for _device, outcome in machines)
    for device, outcome in machines:
        if outcome.missing and somewhere:
            device.say("signalr-negotiate", ", ".join(paths), "a hub, as elsewhere in the farm", outcome.missing)
        elif outcome.missing:
            device.say("signalr-hub", ", ".join(paths), "a hub", outcome.missing)


async def tokens(nodes: Sequence[Met]) -> None:
    """Have every node read a SignalR 2 token of the first one that made one."""
    made = [(node.device, node.live.hub) for node in nodes if node.live.hub is not None]
    if made:
        owner, hub = made[0]
        await asyncio.gather(*(signalr.takes_token(device, hub, owner.name) for device, _hub in made[1:]))
