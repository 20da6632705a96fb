"""How many robots log in at the same time."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

EACH_PROCESSOR: Final = 24
"""Logins at the same time for each processor of this machine: enough to keep it busy.

Real robots have a processor each, and nodes have several; here they share a few with the balancer. If thousands of
logins began at once, they would wait in the queue of a simulated node, and the balancer's health check behind them.
HAProxy allows the TLS handshake of a check `inter` (1 s by default): it would take the node out of rotation, and
disconnect all of its robots.
"""
SLOT_SECONDS: Final = 1.0
"""After this time, a login counts no more: it waits for a node that hangs, and must not block others."""


class Gate:
    """Limits the logins that are in progress. The time that a robot waits here is part of its absence."""

    def __init__(self, limit: int | None = None, seconds: float = SLOT_SECONDS) -> None:
        self._slots = asyncio.Semaphore(limit or EACH_PROCESSOR * (os.cpu_count() or 1))
        self._seconds = seconds

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot and keep it until the end of the context, or for SLOT_SECONDS."""
        await self._slots.acquire()
        held = True

        def release() -> None:
            nonlocal held
            if held:
                held = False
                self._slots.release()

        timer = asyncio.get_running_loop().call_later(self._seconds, release)
        try:
            yield
        finally:
            timer.cancel()
            release()
