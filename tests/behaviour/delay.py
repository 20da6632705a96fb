"""A TCP proxy that delays every byte, as a network between client and balancer does."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from nlbgen.generators.relocation import LOOPBACK
from nlbgen.net.loops import LoopThread, settle

BUFFER = 1 << 22


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    parts: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, part = await parts.get()
            await asyncio.sleep(due - loop.time())
            if not part:
                writer.close()
                return
            writer.write(part)
            await writer.drain()

    delivering = asyncio.create_task(deliver())
    while part := await reader.read(65536):
        parts.put_nowait((loop.time() + seconds, part))
    parts.put_nowait((loop.time() + seconds, b""))
    await delivering


@contextmanager
def delayed(port: int, round_trip: float) -> Iterator[int]:
    """Yield a loopback port that forwards to `port`, with a round-trip time of that many seconds."""

    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(LOOPBACK, port, limit=BUFFER)
        writers.extend((writer, back))
        await asyncio.gather(
            _pass(reader, back, round_trip / 2), _pass(there, writer, round_trip / 2), return_exceptions=True
        )

    async def start() -> asyncio.Server:
        return await asyncio.start_server(connected, LOOPBACK, 0, limit=BUFFER)

    async def stop() -> None:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await settle()

    with LoopThread() as loop:
        server = loop.call(start())
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            loop.call(stop())
