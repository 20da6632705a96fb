"""Connections that live: idle WebSockets, long polls, event streams, SignalR sessions and their nodes' deaths."""

import asyncio
from time import perf_counter
from typing import ClassVar, Final
from uuid import uuid4

from ...spec.model import Farm
from ...spec.orchestrator import LONG_POLL_SECONDS
from ..clients.robots import Robot, robots, until_connected
from ..clients.sessions import TRANSPORTS, SessionPlan, session
from ..clients.simple import StreamReport, read_events
from ..lab.lab import live_path
from ..lab.processes import NodeProcess
from ..lab.time_scale import paced, rearranged, restarted
from .base import Figure, Figures, Scenario, Stage, figure

IDLE_SECONDS: Final = 4.0
"""What `signalr.idle_timeout` is divided down to."""
EARLY: Final = 0.9
LATE: Final = 1.3
"""A silent WebSocket ends between these shares of its time-out, or too early or too late."""
SOCKETS: Final = 3
POLL_DIVISOR: Final = 20.0
POLLS: Final = 4
EVENTS: Final = 20
EVENT_EVERY_MS: Final = 100
EVENT_LATE_SECONDS: Final = 0.5
TRIES: Final = 4
"""Sessions for each transport."""
ROBOTS: Final = 3
"""Robots for each transport."""
STEP_SECONDS: Final = 5.0
"""How long a robot waits for an answer."""
BACK_SECONDS: Final = 10.0
END_SECONDS: Final = 5.0
"""How long the robots of a dead node may take to notice: its system answers with resets."""
Way = tuple[str, bool]
"""A transport, and whether the client skips the negotiation."""
EVERY_WAY: Final = tuple((transport, False) for transport in TRANSPORTS)


NO_HTTP: Final = "the balancer passes TLS through and sees no HTTP"
"""Why a farm is not asked about requests."""


class IdleWebSocket(Scenario):
    """Nothing is sent on a WebSocket for as long as the spec allows, then for longer."""

    name = "idle-websocket"
    title = "WebSockets that are silent past every other time-out"
    why = "a robot without work would lose its connection, and one that vanished would keep its place for ever"
    seconds = 60

    async def play(self, stage: Stage) -> Figures:
        """Hold silent WebSockets on a SignalR path and on another one until the balancer ends them."""
        idle = stage.farm.balancer.signalr.idle_timeout / 1000
        async with paced(stage, idle / IDLE_SECONDS, "silent WebSockets") as note:
            wanted = min(idle, IDLE_SECONDS)
            paths = ("/ws", live_path(stage.farm, "ws"))
            async with stage.sockets(SOCKETS, path=paths[0]) as some, stage.sockets(SOCKETS, path=paths[1]) as others:
                stage.say(f"{2 * SOCKETS} WebSockets are silent for {wanted * LATE:.1f} s")
                await asyncio.sleep(wanted * LATE)
                reports = [*some.reports, *others.reports]
        lives = [report.lived for report in reports if report.lived is not None]
        unopened = sum(report.opened is None for report in reports)
        early = sum(life < wanted * EARLY for life in lives)
        yield figure("cut", unopened + early, of=len(reports), note=note)
        yield figure("kept", sum(report.alive for report in reports), of=len(reports), note=note)
        yield figure("shortest", min(lives, default=wanted * LATE), note=f"of {wanted:g} s; {note}")


class LongPoll(Scenario):
    """SignalR's long poll is held by the node without a byte."""

    name = "long-poll"
    title = f"a long poll of {LONG_POLL_SECONDS} s"
    why = "robots behind a proxy without WebSockets would be told of an error every minute, and polls be asked twice"
    seconds = 180

    async def play(self, stage: Stage) -> Figures:
        """Hold polls as long as SignalR 2 does, and see that each was answered, and asked of one node once."""
        divisor = 1.0 if stage.real_time else POLL_DIVISOR
        held = LONG_POLL_SECONDS / divisor
        mark = uuid4().hex
        async with paced(stage, divisor, "long polls") as note:
            stage.say(f"{POLLS} polls are held for {held:g} s")
            answers = await asyncio.gather(*(self._poll(stage, mark, number, held) for number in range(POLLS)))
            prefix = live_path(stage.farm, f"hold-{mark}")
            arrived = [await stage.call(len, node.control.requests(prefix)) for node in stage.nodes]
        yield figure("failed", sum(not ok for ok, _ in answers), of=POLLS, note=note)
        yield figure("repeated", max(0, sum(arrived) - POLLS), of=POLLS, note=note)
        yield figure("longest", max(seconds for _, seconds in answers), note=f"of {held:g} s; {note}")

    @staticmethod
    async def _poll(stage: Stage, mark: str, number: int, held: float) -> tuple[bool, float]:
        """Poll once, by GET and POST in turn; whether it was answered 200, and after how long."""
        path = live_path(stage.farm, f"hold-{mark}-{number}?delay={held * 1000:.0f}")
        began = perf_counter()
        try:
            method = ("GET", "POST")[number % 2]
            answer = await stage.fetch(path, method=method, headers={"Content-Length": "0"}, timeout=held + 20)
        except (OSError, TimeoutError, RuntimeError):
            return False, perf_counter() - began
        return answer.status == 200, perf_counter() - began


class EventStreams(Scenario):
    """Server-sent events, one at a time."""

    name = "event-stream"
    title = "server-sent events arrive when they happen"
    why = "a buffer on the way holds back what the node told its robots, until the next page fills it"
    seconds = 30

    async def play(self, stage: Stage) -> Figures:
        """Read a stream of small events from a SignalR path."""
        query = f"every={EVENT_EVERY_MS}&count={EVENTS}"
        url = f"{stage.lab.url}{live_path(stage.farm, 'sse')}?{query}"
        stage.say(f"a stream of {EVENTS} events, one each {EVENT_EVERY_MS} ms")
        report = await stage.call(lambda: read_events(url, count=EVENTS, seconds=15.0, ca=stage.lab.certificates.ca))
        lags = event_lags(report)
        yield figure("lost", EVENTS - len(lags), of=EVENTS)
        yield figure("late", sum(lag > EVENT_LATE_SECONDS for lag in lags), of=EVENTS)
        yield figure("worst_ms", max(lags, default=0.0) * 1000)


def event_lags(report: StreamReport) -> list[float]:
    """How much later than the quickest event each one arrived, seconds: the node writes its clock into each."""
    ways = [arrived - float(data.rpartition(" ")[2]) for arrived, data in report.arrivals]
    return [way - min(ways) for way in ways]


class SignalR(Scenario):
    """Sessions over every transport, with and without affinity, and the death of a node."""

    generation: ClassVar[str]
    """`classic` or `core`, as of SessionPlan."""
    seconds = 120

    def ways(self, affinity: str) -> tuple[Way, ...]:
        """What works with that affinity."""
        del affinity
        return EVERY_WAY

    def plans(self, stage: Stage, ways: tuple[Way, ...], each: int) -> list[SessionPlan]:
        """`each` sessions for every way."""
        url, ca = stage.lab.url, stage.lab.certificates.ca
        path = live_path(stage.farm, *(["core"] if self.generation == "core" else []))
        return [
            SessionPlan(
                url=url,
                ca=ca,
                path=path,
                generation=self.generation,
                transport=transport,
                skip_negotiation=skip,
                timeout=STEP_SECONDS,
            )
            for transport, skip in ways
            for _ in range(each)
        ]

    async def play(self, stage: Stage) -> Figures:
        """Sessions with the farm's affinity and with the opposite; a node's death under connected robots."""
        own, other = stage.farm.balancer.affinity, opposite(stage.farm)
        for each in await self._as_it_is(stage, own):
            yield each
        # A session that was left may stay open between balancer and node for a while, and would be counted.
        await restarted(stage)
        for each in await self._failover(stage, own):
            yield each
        await stage.bring_back()
        async with rearranged(stage, with_affinity(stage.farm, stage.vendor, other)):
            figures = await self._as_it_is(stage, other)
        for each in figures:
            yield each

    async def _as_it_is(self, stage: Stage, affinity: str) -> list[Figure]:
        """Sessions from the negotiation to the goodbye, while nothing happens to the farm."""
        if affinity != "none":
            return [await self.counted(stage, "failed_with_affinity", affinity, self.ways(affinity))]
        works = await self.counted(stage, "failed_without_affinity", affinity, self.ways(affinity))
        return [works, *await self.doubtful(stage)]

    async def doubtful(self, stage: Stage) -> list[Figure]:
        """What is only measured, because it is known not to work without affinity, which the farm has none of now."""
        del stage
        return []

    async def counted(self, stage: Stage, name: str, affinity: str, ways: tuple[Way, ...]) -> Figure:
        """How many sessions failed, and of what the first one did."""
        plans = self.plans(stage, ways, TRIES)
        stage.say(f"{len(plans)} SignalR sessions, affinity: {affinity}")
        reports = await asyncio.gather(*(session(plan) for plan in plans))
        pairs = zip(plans, reports, strict=True)
        bad = [f"{plan.transport}: {report.error}" for plan, report in pairs if not report.ok]
        shown = ", ".join(f"{transport}{' without negotiation' if skip else ''}" for transport, skip in ways)
        first = f"; the first one: {bad[0]}" if bad else ""
        return figure(name, len(bad), of=len(plans), note=f"affinity {affinity}; {shown}{first}")

    async def _failover(self, stage: Stage, affinity: str) -> list[Figure]:
        """Kill the node that holds most connections, and wait for its robots on the others."""
        async with robots(self.plans(stage, self.ways(affinity), ROBOTS)) as team:
            absent = sum(not robot.connected for robot in team)
            victim, held = await _busiest(stage, len(team) - absent)
            stage.say(f"kill {victim.name}, which holds {held} of {len(team)} connections")
            died = perf_counter()
            await stage.call(victim.kill)
            if len(stage.serving) == 1:
                await stage.call(victim.restart)
            await _noticed(team, held)
            await until_connected(team, BACK_SECONDS)
            hit = [robot for robot in team if robot.ends]
            away = [robot.returns[-1] - died for robot in hit if robot.returns]
            lost = sum(not robot.connected for robot in team)
        return [
            figure("unconnected", absent, of=len(team)),
            figure("hit", min(len(hit), held), of=len(team), note=f"{victim.name} held {held}"),
            figure("innocent", max(0, len(hit) - held), of=len(team)),
            figure("lost", lost, of=len(team)),
            figure("back_within", max(away, default=0.0)),
        ]


class SignalR2(SignalR):
    """ASP.NET SignalR 2."""

    name = "signalr-2"
    title = "SignalR 2 sessions, and the death of their node"
    why = "robots show as disconnected and get no jobs while their sessions fail"
    generation = "classic"

    def unasked(self, farm: Farm, vendor: str) -> str:
        """Up to 2020.4."""
        del vendor
        return f"Orchestrator {farm.orchestrator.version} speaks SignalR Core" if farm.orchestrator.is_core else ""


class SignalRCore(SignalR):
    """ASP.NET Core SignalR."""

    name = "signalr-core"
    title = "SignalR Core sessions, and the death of their node"
    why = "a connection id is known to one node alone: at any other one the robot gets a 404"
    generation = "core"

    def unasked(self, farm: Farm, vendor: str) -> str:
        """From 2020.10 on."""
        del vendor
        version = farm.orchestrator.version
        return "" if farm.orchestrator.is_core else f"Orchestrator {version or 'before 2020.10'} speaks SignalR 2"

    def ways(self, affinity: str) -> tuple[Way, ...]:
        """Without affinity only clients that never negotiate."""
        return (("webSockets", True),) if affinity == "none" else EVERY_WAY

    async def doubtful(self, stage: Stage) -> list[Figure]:
        """Clients that negotiate without affinity."""
        return [await self.counted(stage, "negotiated_without_affinity", "none", EVERY_WAY)]


def opposite(farm: Farm) -> str:
    """No affinity where the farm has one; where it has none, the one for SignalR, or by address without HTTP."""
    if farm.balancer.affinity != "none":
        return "none"
    return "source" if farm.frontend.tls.mode == "passthrough" else "signalr"


def with_affinity(farm: Farm, vendor: str, affinity: str) -> Farm:
    """The farm with another affinity; what its vendor can only imitate is accepted for the play."""
    accept = (*farm.accept, f"{vendor}-affinity-{affinity}")
    return farm.replace(balancer=farm.balancer.replace(affinity=affinity), accept=accept)


async def _busiest(stage: Stage, connections: int) -> tuple[NodeProcess, int]:
    """The node with the most open connections of clients, and how many.

    Those of sessions that have just ended may still be closing: they are waited for.
    """
    deadline = perf_counter() + END_SECONDS
    while True:
        held = [sum((await stage.call(node.control.summary))["open"].values()) for node in stage.serving]
        if sum(held) <= connections or perf_counter() > deadline:
            return max(zip(stage.serving, held, strict=True), key=lambda pair: pair[1])
        await asyncio.sleep(0.05)


async def _noticed(team: list[Robot], held: int) -> None:
    """Wait until so many robots have lost their connection, END_SECONDS at most."""
    deadline = perf_counter() + END_SECONDS
    while sum(bool(robot.ends) for robot in team) < held and perf_counter() < deadline:
        await asyncio.sleep(0.02)


SCENARIOS: Final = (IdleWebSocket(), LongPoll(), EventStreams(), SignalR2(), SignalRCore())
