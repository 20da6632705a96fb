"""The robots of `robots-failover`, in a process inside their network namespace.

It prints one line of JSON each second: `State`. SIGUSR1 makes it forget what happened before the event.
"""

import asyncio
import json
import signal
import sys
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any, Final, Self

from ...net.client import Target, client_tls
from ...net.loops import raise_file_limit, run
from ..clients.fleet import Fleet, fleet
from ..clients.fleet_robot import FleetPlan
from ..lab.ceiling import MOST_FILES
from .base import Metric
from .fleet_base import Moment, returned

EVERY_SECONDS: Final = 1.0
EVENT: Final = Moment(all_hit=True, by_absence=True)


@dataclass(frozen=True)
class Request:
    """Where the robots connect."""

    count: int
    address: str
    port: int
    host: str
    ca: str
    """Empty without TLS."""
    generation: str
    path: str
    network: str
    seconds: float
    """How long the first connections may take."""

    def text(self) -> str:
        """Return it as the argument of the process."""
        return json.dumps(asdict(self))

    @property
    def plan(self) -> FleetPlan:
        """The plan of the robots."""
        tls = client_tls(self.ca) if self.ca else None
        host = self.host if self.port == (443 if tls else 80) else f"{self.host}:{self.port}"
        target = Target(self.address, self.port, host, self.host, tls)
        return FleetPlan(target=target, generation=self.generation, path=self.path, network=self.network)


@dataclass(frozen=True)
class State:
    """What the robots do now, and what happened to them since the last signal."""

    begun: bool = False
    """Whether the first connections are made, or their time is over."""
    signals: int = 0
    absent: int = 0
    ended: int = 0
    """The robots that lost a connection before the last signal."""
    held: dict[str, int] = field(default_factory=dict)
    figures: list[dict[str, Any]] = field(default_factory=list)
    """The metrics of the robots."""

    @classmethod
    def of(cls, robots: Fleet, signals: int, ended: int) -> Self:
        """Return the state of a fleet."""
        homes = [""] * len(robots.robots)
        figures = [one._asdict() for one in returned(robots, homes, perf_counter(), EVENT)]
        return cls(True, signals, robots.absent, ended, dict(robots.held()), figures)

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of the robots."""
        return [Metric(**one) for one in self.figures]


def last_state(output: str) -> State:
    """Return the state in the last complete line."""
    for line in reversed(output.splitlines()):
        if line.startswith("{") and line.endswith("}"):
            return State(**json.loads(line))
    return State()


async def watch(request: Request) -> None:
    """Run the robots, and print their state until this process ends."""
    signals = ended = 0
    async with fleet(request.plan, request.count, request.seconds) as robots:

        def forget() -> None:
            nonlocal signals, ended
            signals, ended = signals + 1, robots.forget()

        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, forget)
        while True:
            sys.stdout.write(json.dumps(asdict(State.of(robots, signals, ended))) + "\n")
            sys.stdout.flush()
            await asyncio.sleep(EVERY_SECONDS)


def main() -> None:
    """Run the process; its argument is a `Request`."""
    raise_file_limit(MOST_FILES)
    run(watch(Request(**json.loads(sys.argv[1]))))


if __name__ == "__main__":
    main()
