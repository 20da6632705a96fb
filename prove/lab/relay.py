"""A network between processes of the lab that can be cut: a TCP relay that stops forwarding.

A cut relay behaves like a network that loses all packets: connections stay open, and nothing arrives.
"""

import asyncio
from contextlib import suppress
from typing import Final

from ...generators.relocation import LOOPBACK

BEHIND: Final = "127.0.0.2"
"""The loopback address of a process behind a relay; its port is the relay's port."""
CHUNK: Final = 65536


class Relay:
    """Forwards connections to a port of `LOOPBACK` to the same port of `BEHIND`."""

    def __init__(self, port: int) -> None:
        self._port: Final = port
        self._open: Final = asyncio.Event()
        self._open.set()
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self._port)

    def close(self) -> None:
        """Stop listening, and close all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()

    def cut(self) -> None:
        """Stop forwarding."""
        self._open.clear()

    def heal(self) -> None:
        """Forward again, also what was sent while the network was cut."""
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            await self._open.wait()
            other_reader, other_writer = await asyncio.open_connection(BEHIND, self._port)
            try:
                pumps = [self._pump(reader, other_writer), self._pump(other_reader, writer)]
                await asyncio.gather(*pumps)
            finally:
                other_writer.close()
        writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one direction; ends the connection when its side ends."""
        while data := await reader.read(CHUNK):
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        await self._open.wait()
        writer.close()
