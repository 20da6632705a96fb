"""A closed-loop load generator for the maximum throughput: each client sends its next request at once.

A closed loop slows down with the server that it measures, so its latencies mean nothing; load.py measures latencies.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from ...net.client import Connection, Target, WireError

MAX_SECONDS = 60.0
MAX_CONNECTIONS = 256
PATH = "/odata/Jobs"


@dataclass(frozen=True, kw_only=True)
class Pressure:
    """The URLs of the requests; the connections are distributed evenly over them."""

    urls: Sequence[str]
    seconds: float = 2.0
    connections: int = 16
    ca: Path | None = None

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= MAX_SECONDS or not 0 < self.connections <= MAX_CONNECTIONS or not self.urls:
            raise ValueError(f"some URLs, up to {MAX_SECONDS:g} s and {MAX_CONNECTIONS} connections")


async def press(pressure: Pressure) -> float:
    """Return the successful responses per second."""
    targets = [Target.of(url, ca=str(pressure.ca) if pressure.ca else None) for url in pressure.urls]
    start = perf_counter()
    end = start + pressure.seconds
    counts = await asyncio.gather(
        *(_client(targets[number % len(targets)], end) for number in range(pressure.connections))
    )
    return sum(counts) / (perf_counter() - start)


async def _client(target: Target, end: float) -> int:
    """Run one client, which sends its next request after each response; return the number of 200 responses."""
    request = f"GET {PATH} HTTP/1.1\r\nHost: {target.host}\r\nUser-Agent: nlbgen-load\r\n\r\n".encode("latin-1")
    loop = asyncio.get_running_loop()
    good = 0
    while perf_counter() < end:
        with suppress(OSError, WireError, TimeoutError):
            async with asyncio.timeout_at(loop.time() + end - perf_counter()):
                connection = await Connection.to(target)
                try:
                    while connection.open:
                        good += (await connection.send(request)).status == 200
                finally:
                    connection.abort()
    return good
