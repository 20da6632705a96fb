"""Long-lived connections: idle WebSockets, long polls, event streams, SignalR sessions and failures of their node."""

import asyncio
from time import perf_counter
from typing import ClassVar, Final
from uuid import uuid4

from ...spec.model import Farm
from ...spec.orchestrator import LONG_POLL_SECONDS
from ..clients.hub_client import TRANSPORTS, SessionError, SessionPlan
from ..clients.robots import Robot, robots, until_connected
from ..clients.sessions import session
from ..clients.simple import StreamReport, read_events
from ..lab.lab import live_path
from ..lab.processes import NodeProcess
from ..lab.time_scale import changed_farm, restarted, scaled_timeouts
from .base import Metric, Metrics, Scenario, TestBench, metric, not_measured

IDLE_SECONDS: Final = 4.0
"""The scaled `signalr.idle_timeout`."""
EARLY: Final = 0.9
LATE: Final = 1.3
"""An idle WebSocket must be closed between these multiples of its timeout."""
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
"""The timeout of a robot's request."""
BACK_SECONDS: Final = 10.0
END_SECONDS: Final = 5.0
"""How long the robots of a killed node may take to notice: its system answers with resets."""
RECOVERY_SECONDS: Final = 11.0
"""Longer than NGINX gives no requests to a node that failed."""
WITH_AFFINITY: Final = "failed_with_affinity"
WITHOUT_AFFINITY: Final = "failed_without_affinity"
NEGOTIATED: Final = "negotiated_without_affinity"
Variant = tuple[str, bool]
"""A transport, and whether the client skips the negotiation."""
ALL_VARIANTS: Final = tuple((transport, False) for transport in TRANSPORTS)


class IdleWebSocket(Scenario):
    """A WebSocket is idle, first shorter and then longer than its timeout."""

    name = "idle-websocket"
    title = "WebSockets are idle until their timeout"
    why = "with a short timeout, idle robots are disconnected; without a timeout, vanished robots occupy connections"
    seconds = 60

    async def run(self, bench: TestBench) -> Metrics:
        """Hold idle WebSockets on a SignalR path and on another path until the balancer closes them."""
        idle = bench.farm.balancer.signalr.idle_timeout / 1000
        async with scaled_timeouts(bench, idle / IDLE_SECONDS, "idle WebSockets") as note:
            wanted = min(idle, IDLE_SECONDS)
            paths = ("/ws", live_path(bench.farm, "ws"))
            async with bench.sockets(SOCKETS, path=paths[0]) as some, bench.sockets(SOCKETS, path=paths[1]) as others:
                bench.log(f"{2 * SOCKETS} WebSockets are idle for {wanted * LATE:.1f} s")
                await asyncio.sleep(wanted * LATE)
                reports = [*some.reports, *others.reports]
        lives = [report.lived for report in reports if report.lived is not None]
        unopened = sum(report.opened is None for report in reports)
        early = sum(life < wanted * EARLY for life in lives)
        yield metric("cut", unopened + early, of=len(reports), note=note)
        yield metric("kept", sum(report.alive for report in reports), of=len(reports), note=note)
        yield metric("shortest", min(lives, default=wanted * LATE), note=f"of {wanted:g} s; {note}")


class LongPoll(Scenario):
    """A node holds SignalR's long poll without sending a byte."""

    name = "long-poll"
    title = f"a long poll of {LONG_POLL_SECONDS} s"
    why = "with a shorter timeout, robots that cannot use WebSockets get an error for each poll"
    seconds = 180

    async def run(self, bench: TestBench) -> Metrics:
        """Hold polls as long as SignalR 2 does; count the unanswered and the retried ones."""
        divisor = 1.0 if bench.real_time else POLL_DIVISOR
        held = LONG_POLL_SECONDS / divisor
        mark = uuid4().hex
        async with scaled_timeouts(bench, divisor, "long polls") as note:
            bench.log(f"{POLLS} polls are held for {held:g} s")
            answers = await asyncio.gather(*(self._poll(bench, mark, number, held) for number in range(POLLS)))
            prefix = live_path(bench.farm, f"hold-{mark}")
            arrived = [await bench.call(len, node.control.requests(prefix)) for node in bench.nodes]
        yield metric("failed", sum(not ok for ok, _ in answers), of=POLLS, note=note)
        yield metric("repeated", max(0, sum(arrived) - POLLS), of=POLLS, note=note)
        yield metric("longest", max(seconds for _, seconds in answers), note=f"of {held:g} s; {note}")

    @staticmethod
    async def _poll(bench: TestBench, mark: str, number: int, held: float) -> tuple[bool, float]:
        """Poll once, alternately by GET and POST; return whether the status was 200, and the seconds."""
        path = live_path(bench.farm, f"hold-{mark}-{number}", f"poll?delay={held * 1000:.0f}")
        began = perf_counter()
        try:
            method = ("GET", "POST")[number % 2]
            answer = await bench.fetch(path, method=method, headers={"Content-Length": "0"}, timeout=held + 20)
        except (OSError, TimeoutError, RuntimeError):
            return False, perf_counter() - began
        return answer.status == 200, perf_counter() - began


class EventStreams(Scenario):
    """Server-sent events arrive one at a time."""

    name = "event-stream"
    title = "server-sent events arrive without delay"
    why = "if the balancer buffers the stream, robots get messages only when the buffer is full"
    seconds = 30

    async def run(self, bench: TestBench) -> Metrics:
        """Read a stream of small events from a SignalR path."""
        query = f"every={EVENT_EVERY_MS}&count={EVENTS}"
        url = f"{bench.lab.url}{live_path(bench.farm, 'sse')}?{query}"
        bench.log(f"a stream of {EVENTS} events, one each {EVENT_EVERY_MS} ms")
        report = await bench.call(lambda: read_events(url, count=EVENTS, seconds=15.0, ca=bench.lab.certificates.ca))
        lags = event_lags(report)
        yield metric("lost", EVENTS - len(lags), of=EVENTS)
        yield metric("late", sum(lag > EVENT_LATE_SECONDS for lag in lags), of=EVENTS)
        yield metric("worst_ms", max(lags, default=0.0) * 1000)


def event_lags(report: StreamReport) -> list[float]:
    """Return the delay of each event relative to the fastest, seconds; each event carries the node's clock."""
    delays = [arrived - float(data.rpartition(" ")[2]) for arrived, data in report.arrivals]
    return [delay - min(delays) for delay in delays]


class SignalR(Scenario):
    """Sessions over every transport, with and without affinity, and the failure of a node."""

    generation: ClassVar[str]
    """`classic` or `core`, as of SessionPlan."""
    unsupported_names: ClassVar[tuple[str, ...]] = ()
    """The metrics of `unsupported`."""
    seconds = 120

    def variants(self, affinity: str) -> tuple[Variant, ...]:
        """Return the variants that work with this affinity."""
        del affinity
        return ALL_VARIANTS

    def plans(self, bench: TestBench, variants: tuple[Variant, ...], each: int) -> list[SessionPlan]:
        """Return `each` sessions for every variant."""
        url, ca = bench.lab.url, bench.lab.certificates.ca
        path = live_path(bench.farm, *(["core"] if self.generation == "core" else []))
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
            for transport, skip in variants
            for _ in range(each)
        ]

    async def run(self, bench: TestBench) -> Metrics:
        """Run sessions with the farm's affinity and with the opposite; kill a node of connected robots.

        A configuration that nlbgen did not write has only its own affinity.
        """
        own, other = bench.farm.affinity, opposite(bench.farm)
        for each in await self._sessions(bench, own):
            yield each
        # Ended sessions may stay open between balancer and node for a while, and would be counted.
        await restarted(bench)
        for each in await self._failover(bench, own):
            yield each
        if not bench.lab.renders:
            name = WITHOUT_AFFINITY if other == "none" else WITH_AFFINITY
            yield not_measured(name, f"the configuration has affinity {own}")
            if other == "none":
                for absent in self.unsupported_names:
                    yield not_measured(absent, f"the configuration has affinity {own}")
            return
        await bench.restore()
        async with changed_farm(bench, with_affinity(bench.farm, bench.vendor, other)):
            metrics = await self._sessions(bench, other)
        for each in metrics:
            yield each

    async def _sessions(self, bench: TestBench, affinity: str) -> list[Metric]:
        """Count failed sessions, from the negotiation to the end, without any failure of the farm."""
        if affinity != "none":
            return [await self.counted(bench, WITH_AFFINITY, affinity, self.variants(affinity))]
        working = await self.counted(bench, WITHOUT_AFFINITY, affinity, self.variants(affinity))
        return [working, *await self.unsupported(bench)]

    async def unsupported(self, bench: TestBench) -> list[Metric]:
        """Count the sessions that cannot work without affinity; they are only measured."""
        del bench
        return []

    async def counted(self, bench: TestBench, name: str, affinity: str, variants: tuple[Variant, ...]) -> Metric:
        """Return how many sessions failed, with the error of the first."""
        plans = self.plans(bench, variants, TRIES)
        bench.log(f"{len(plans)} SignalR sessions, affinity: {affinity}")
        reports = await asyncio.gather(*(session(plan) for plan in plans))
        pairs = zip(plans, reports, strict=True)
        bad = [f"{plan.transport}: {report.error}" for plan, report in pairs if not report.ok]
        shown = ", ".join(f"{transport}{' without negotiation' if skip else ''}" for transport, skip in variants)
        first = f"; the first one: {bad[0]}" if bad else ""
        return metric(name, len(bad), of=len(plans), note=f"affinity {affinity}; {shown}{first}")

    async def _failover(self, bench: TestBench, affinity: str) -> list[Metric]:
        """Kill the node with most connections, and wait until its robots reconnect to other nodes."""
        async with robots(self.plans(bench, self.variants(affinity), ROBOTS)) as team:
            absent = sum(not robot.connected for robot in team)
            victim, held = await _busiest(bench, len(team) - absent)
            bench.log(f"kill {victim.name}, which has {held} of {len(team)} connections")
            died = perf_counter()
            await bench.call(victim.kill)
            if len(bench.serving) == 1:
                await bench.call(victim.restart)
            await _noticed(team, held)
            await until_connected(team, BACK_SECONDS)
            hit = [robot for robot in team if robot.ends]
            away = [robot.returns[-1] - died for robot in hit if robot.returns]
            lost = sum(not robot.connected for robot in team)
            displaced, note = await self._recovery(bench, victim, team, affinity)
        return [
            metric("unconnected", absent, of=len(team)),
            metric("hit", min(len(hit), held), of=len(team), note=f"{victim.name} held {held}"),
            metric("innocent", max(0, len(hit) - held), of=len(team)),
            metric("lost", lost, of=len(team)),
            metric("back_within", max(away, default=0.0)),
            metric("displaced", displaced, of=len(team), note=note),
        ]

    async def _recovery(
        self, bench: TestBench, victim: NodeProcess, team: list[Robot], affinity: str
    ) -> tuple[int, str]:
        """Start the killed node, and count the robots whose next call fails, because a cookie leads them back there."""
        if affinity not in {"cookie", "signalr"}:
            return 0, f"affinity {affinity}: no cookie selects a node"
        if not victim.running:
            await bench.call(victim.start)
        bench.log(f"{victim.name} runs again, each robot calls a method after {RECOVERY_SECONDS:g} s")
        await asyncio.sleep(RECOVERY_SECONDS)
        return sum(await asyncio.gather(*(_fails(robot) for robot in team))), ""


class SignalR2(SignalR):
    """ASP.NET SignalR 2."""

    name = "signalr-2"
    title = "SignalR 2 sessions, and the failure of their node"
    why = "robots appear disconnected and get no jobs while their sessions fail"
    generation = "classic"

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip Orchestrators from 2020.10 on."""
        del vendor
        return f"Orchestrator {farm.orchestrator.version} speaks SignalR Core" if farm.orchestrator.is_core else ""


class SignalRCore(SignalR):
    """ASP.NET Core SignalR."""

    name = "signalr-core"
    title = "SignalR Core sessions, and the failure of their node"
    why = "only one node knows a connection id: on any other node the robot gets a 404"
    generation = "core"
    unsupported_names = (NEGOTIATED,)

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip Orchestrators before 2020.10."""
        del vendor
        version = farm.orchestrator.version
        return "" if farm.orchestrator.is_core else f"Orchestrator {version or 'before 2020.10'} speaks SignalR 2"

    def variants(self, affinity: str) -> tuple[Variant, ...]:
        """Return only clients that skip the negotiation if there is no affinity."""
        return (("webSockets", True),) if affinity == "none" else ALL_VARIANTS

    async def unsupported(self, bench: TestBench) -> list[Metric]:
        """Count clients that negotiate without affinity."""
        return [await self.counted(bench, NEGOTIATED, "none", ALL_VARIANTS)]


def opposite(farm: Farm) -> str:
    """Return `none` for a farm with affinity; otherwise `signalr`, or `source` with TLS passthrough."""
    if farm.affinity != "none":
        return "none"
    return "source" if farm.frontend.tls.mode == "passthrough" else "signalr"


def with_affinity(farm: Farm, vendor: str, affinity: str) -> Farm:
    """Return the farm with another affinity, and with its vendor's substitute accepted."""
    accept = (*farm.accept, f"{vendor}-affinity-{affinity}")
    return farm.replace(balancer=farm.balancer.replace(affinity=affinity), accept=accept)


async def _busiest(bench: TestBench, connections: int) -> tuple[NodeProcess, int]:
    """Return the node with the most open client connections, and their number.

    Waits for connections of ended sessions to close.
    """
    deadline = perf_counter() + END_SECONDS
    while True:
        held = [sum((await bench.call(node.control.summary))["open"].values()) for node in bench.serving]
        if sum(held) <= connections or perf_counter() > deadline:
            return max(zip(bench.serving, held, strict=True), key=lambda pair: pair[1])
        await asyncio.sleep(0.05)


async def _noticed(team: list[Robot], held: int) -> None:
    """Wait until `held` robots have lost their connection, END_SECONDS at most."""
    deadline = perf_counter() + END_SECONDS
    while sum(bool(robot.ends) for robot in team) < held and perf_counter() < deadline:
        await asyncio.sleep(0.02)


async def _fails(robot: Robot) -> bool:
    """Call a method through a robot's connection; return whether that fails."""
    if robot.client is None:
        return True
    try:
        await robot.client.invoke("Echo", "again")
    except SessionError:
        return True
    return False


SCENARIOS: Final = (IdleWebSocket(), LongPoll(), EventStreams(), SignalR2(), SignalRCore())
