"""Thousands of robots in one process, without a thread or a process for each."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import perf_counter
from typing import Final

from ...net.loops import without_full_collections
from .fleet_robot import MISSED, FleetPlan, Robot
from .gate import Gate

WATCH_SECONDS: Final = 0.1
PER_NETWORK: Final = 250
"""How many robots have the same first three numbers of the address."""


def address_of(plan: FleetPlan, number: int) -> tuple[str, int]:
    """Return the own address of a robot, for up to 62,500 robots; Linux has all addresses of a local network."""
    return f"{plan.network}.{number // PER_NETWORK}.{number % PER_NETWORK + 1}", 0


class Fleet:
    """The robots, and what happened to them."""

    def __init__(self, plan: FleetPlan, count: int) -> None:
        self.plan = plan
        own = sys.platform == "linux"
        self.failures: Counter[str] = Counter()
        """The attempts to connect that failed, by reason."""
        self.robots = [
            Robot(plan, address_of(plan, number) if own else None, failures=self.failures) for number in range(count)
        ]

    @property
    def absent(self) -> int:
        """The number of robots without a connection."""
        return sum(not robot.connected for robot in self.robots)

    @property
    def unresponsive(self) -> int:
        """The number of robots that missed four heartbeats in a row at any time."""
        limit, now = MISSED * self.plan.heartbeat, perf_counter()
        return sum(max(robot.gap, now - robot.contact) > limit for robot in self.robots)

    def forget(self) -> int:
        """Forget the past of all robots; return the number of those that lost their connection in it."""
        ended = sum(bool(robot.ends) for robot in self.robots)
        for robot in self.robots:
            robot.ends, robot.absence, robot.gap = 0, 0.0, 0.0
        self.failures.clear()
        return ended

    def held(self) -> Counter[str]:
        """Return the number of connected robots of each node."""
        return Counter(robot.node for robot in self.robots if robot.connected)

    async def all_connected(self, seconds: float) -> bool:
        """Wait until every robot has a connection; False if that takes longer than `seconds`."""
        deadline = perf_counter() + seconds
        while self.absent:
            if perf_counter() > deadline:
                return False
            await asyncio.sleep(WATCH_SECONDS)
        return True


@asynccontextmanager
async def fleet(plan: FleetPlan, count: int, seconds: float) -> AsyncIterator[Fleet]:
    """Run a fleet until the end of the context; waits up to `seconds` until all robots are connected."""
    with without_full_collections():
        async with _living(Fleet(plan, count), seconds) as made:
            yield made


@asynccontextmanager
async def _living(made: Fleet, seconds: float) -> AsyncIterator[Fleet]:
    gate = Gate()
    tasks = [
        asyncio.create_task(robot.live(made.plan.heartbeat * number / len(made.robots), gate))
        for number, robot in enumerate(made.robots)
    ]
    await made.all_connected(seconds)
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
