"""The configuration is loaded again: under load, during an outage, under open WebSockets."""

import asyncio
from typing import Final

from ...spec.model import Farm
from ..lab.bench import Happening
from .base import ONE_NODE, Figures, Scenario, Stage, figure, takes_over
from .failover import failed, load_figures

RELOADS: Final = 3
SOCKETS: Final = 50
KNOWN_SECONDS: Final = 5.0
"""After this time under load a balancer knows that a node hangs."""


def _reloads(stage: Stage, *seconds: float) -> list[Happening]:
    return [(second, "the balancer is reloaded", stage.lab.balancer.reload) for second in seconds]


class Reload(Scenario):
    """A change of the configuration, three times."""

    name = "reload"
    title = f"the balancer is reloaded {RELOADS} times under load"
    why = "a change of the configuration is the most frequent event of all, and must cost nothing"
    seconds = 60.0

    async def play(self, stage: Stage) -> Figures:
        """Reload while 2800 requests run, then while each request has a connection of its own.

        Open connections stay with the old process; a new one is for whoever listens in that moment.
        """
        stage.say("connections are kept open")
        result = await stage.load(_reloads(stage, 4.0, 7.0, 10.0))
        yield failed("failed", result.records, stage)
        for one in load_figures(stage, result):
            yield one
        stage.say("each request has a connection of its own")
        result = await stage.load(_reloads(stage, 2.0, 4.0, 6.0), seconds=8.0, keep_alive=False)
        yield failed("failed_new", result.records, stage)


class ReloadOutage(Scenario):
    """A reload while a node is out: what the balancer had learned must not be lost."""

    name = "reload-outage"
    title = f"the balancer is reloaded {RELOADS} times while a node hangs"
    why = "a balancer that forgets who is down sends requests to the dead after each reload"
    seconds = 60.0

    def unasked(self, farm: Farm, vendor: str) -> str:
        """It needs a node to serve meanwhile."""
        del vendor
        return "" if takes_over(farm) else ONE_NODE

    async def play(self, stage: Stage) -> Figures:
        """Freeze a node, wait until that is known, then load and reload.

        A node that answers wrongly is found out by the first check of the new process; one that does not answer only
        by the time-out of that check, and until then it counts as up. Each request has a connection of its own: those
        that are open stay with the old process, which knows.
        """
        victim = stage.serving[0]
        stage.say(f"{victim.name} hangs")
        await stage.call(victim.freeze)
        await stage.load(seconds=KNOWN_SECONDS)
        result = await stage.load(_reloads(stage, 2.0, 4.0, 6.0), seconds=9.0, keep_alive=False)
        yield failed("failed_gets", result.records, stage, method="GET")
        yield failed("failed_posts", result.records, stage, method="POST")
        for one in load_figures(stage, result):
            yield one


class ReloadWebSockets(Scenario):
    """Robots are connected for days; the balancer is reloaded beneath them."""

    name = "reload-websockets"
    title = f"the balancer is reloaded {RELOADS} times under {SOCKETS} open WebSockets"
    why = "a reload that cuts WebSockets makes every robot connect again at the same moment"
    seconds = 60.0

    async def play(self, stage: Stage) -> Figures:
        """Hold talking WebSockets over the reloads."""
        stage.say(f"{SOCKETS} WebSockets are opened")
        async with stage.sockets(SOCKETS, echo_every=0.5) as held:
            for _ in range(RELOADS):
                stage.say("the balancer is reloaded")
                await stage.call(stage.lab.balancer.reload)
                await asyncio.sleep(1.5)
            before = [report.echoes for report in held.reports]
            await asyncio.sleep(2.0)
            cut = [report for report in held.reports if not report.alive]
            pairs = zip(held.reports, before, strict=True)
            silent = sum(report.alive and report.echoes <= echoes for report, echoes in pairs)
            worst = max(report.worst_echo for report in held.reports)
        ends = sorted({report.error or f"close code {report.close_code}" for report in cut})
        yield figure("cut", len(cut), of=SOCKETS, note=", ".join(ends))
        yield figure("silent", silent, of=SOCKETS)
        yield figure("worst_echo", round(worst, 3), of=SOCKETS)


SCENARIOS = (Reload(), ReloadOutage(), ReloadWebSockets())
