"""SignalR clients that reconnect, as robots and browsers do when their node fails.

A robot holds one idle connection, as most robots do most of the time. When the connection ends, the robot retries
until it has a new one, and records when it reconnected.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from .hub_client import HubClient, SessionError, SessionPlan
from .sessions import make_client, open_http

RETRY_SECONDS: Final = 0.25
WATCH_SECONDS: Final = 0.02
MAX_ROBOTS: Final = 200


@dataclass
class Robot:
    """One client and its connections. Times are those of `perf_counter`."""

    plan: SessionPlan
    connected: bool = False
    node: str = ""
    """The node of the last established connection."""
    client: HubClient | None = None
    """The client while it is connected."""
    ends: list[float] = field(default_factory=list)
    """When an established connection ended."""
    returns: list[float] = field(default_factory=list)
    """When the next connection was established, one for each end with a new connection."""
    refusals: list[str] = field(default_factory=list)
    """Why attempts to connect failed."""

    async def live(self) -> None:
        """Hold a connection until cancelled."""
        async with open_http(self.plan) as http:  # one for all connections: a client keeps its cookies
            while True:
                client = make_client(self.plan, http)
                try:
                    await self._hold(client)
                except SessionError as fault:
                    self.refusals.append(str(fault))
                finally:
                    self.connected, self.client = False, None
                    await client.close()
                await asyncio.sleep(RETRY_SECONDS)

    async def _hold(self, client: HubClient) -> None:
        await client.open()
        await client.invoke("Echo", "here")
        self.node = client.report.nodes[-1]
        self.client = client
        if self.ends:
            self.returns.append(perf_counter())
        self.connected = True
        beat = asyncio.create_task(self._beat(client))
        try:
            while client.report.closed is None and not client.deserted:
                await asyncio.sleep(WATCH_SECONDS)
        finally:
            beat.cancel()
        self.ends.append(perf_counter())

    async def _beat(self, client: HubClient) -> None:
        """Call a method three times while the server may be silent."""
        while self.plan.silence is not None:
            await asyncio.sleep(self.plan.silence / 3)
            with suppress(SessionError):
                await client.invoke("Echo", "beat")


@asynccontextmanager
async def robots(plans: Sequence[SessionPlan], seconds: float = 6.0) -> AsyncIterator[list[Robot]]:
    """Run one robot for each plan until the end of the context; waits `seconds` until all are connected."""
    if len(plans) > MAX_ROBOTS:
        raise ValueError(f"{len(plans)}: at most {MAX_ROBOTS} robots")
    team = [Robot(plan) for plan in plans]
    tasks = [asyncio.create_task(robot.live()) for robot in team]
    try:
        await until_connected(team, seconds)
        yield team
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


async def until_connected(team: Sequence[Robot], seconds: float) -> bool:
    """Wait until every robot has a connection; False if that takes longer than `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not all(robot.connected for robot in team):
                await asyncio.sleep(WATCH_SECONDS)
            return True
    return False
