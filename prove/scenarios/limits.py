"""A farm at its limit of connections."""

import asyncio
import sys
from contextlib import suppress
from typing import Final

from ...net.client import Target
from ...net.loopback import source_address
from ..clients.raw import Lost
from ..clients.simple import fetch
from .base import Metrics, Scenario, TestBench, metric

FEW_CONNECTIONS: Final = 100
SILENT_CLIENTS: Final = 400
SILENT_SECONDS: Final = 12.0
HEAD_START: Final = 2.0
"""How long the silent clients connect before the first request."""


class SilentClients(Scenario):
    """Clients that connect and send nothing, more than the farm's limit of connections."""

    name = "silent-clients"
    title = f"{SILENT_CLIENTS} connections that send nothing, on a farm for {FEW_CONNECTIONS} connections"
    why = "this attack needs no sign-in; requests of other clients and keepalived's check must not fail"
    seconds = 90
    changes_farm = f"it lowers balancer.limits.connections of the spec to {FEW_CONNECTIONS}"

    async def run(self, bench: TestBench) -> Metrics:
        """Hold silent connections from many addresses; send requests from others, and ask for the statistics."""
        limits = bench.farm.balancer.limits.replace(connections=FEW_CONNECTIONS)
        farm = bench.farm.replace(balancer=bench.farm.balancer.replace(limits=limits))
        async with bench.another(farm, f"the limit is {FEW_CONNECTIONS} connections") as small:
            silent = [asyncio.create_task(_silent(small.target(), number)) for number in range(SILENT_CLIENTS)]
            answers: list[int] = []
            asking = asyncio.create_task(_ask_statistics(small, answers))
            await asyncio.sleep(HEAD_START)
            try:
                result = await small.load(
                    rate=20.0, seconds=SILENT_SECONDS, clients=20, timeout=20.0, warm_up=False, keep_alive=False
                )
            finally:
                for task in (*silent, asking):
                    task.cancel()
                await asyncio.gather(*silent, return_exceptions=True)
                with suppress(asyncio.CancelledError):
                    await asking
        yield metric("others_failed", result.failed, of=result.total)
        yield metric("longest", round(result.percentile(1.0), 2), of=result.total)
        yield metric("statistics_failed", sum(status != 200 for status in answers), of=len(answers))


async def _silent(to: Target, number: int) -> None:
    """Hold a connection that sends nothing, and open it again when the balancer closes it."""
    local = source_address(number, network=2) if sys.platform == "linux" else None
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", to.port, local_addr=local)
            try:
                await reader.read()
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.1)


async def _ask_statistics(bench: TestBench, statuses: list[int]) -> None:
    """Ask for the statistics twice a second until cancelled, as keepalived does; add the statuses (0: no response)."""
    hosting = bench.lab.generator.hosting
    url = f"http://127.0.0.1:{bench.lab.metrics_port}{hosting.statistics if hosting else '/'}"
    while True:
        try:
            statuses.append((await bench.call(lambda: fetch(url, timeout=2.0))).status)
        except (*Lost, TimeoutError):
            statuses.append(0)
        await asyncio.sleep(0.5)


SCENARIOS: Final = (SilentClients(),)
