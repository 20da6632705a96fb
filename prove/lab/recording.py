"""Stand-in nodes that write down every byte: what a balancer makes of a request before a parser makes sense of it.

An HTTP server shows what *it* understood. IIS may understand the same bytes otherwise, and that is what request
smuggling lives on. So here no server reads: the bytes are kept, and readings.py asks whether they can be read in more
than one way.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from .bench import Stage
from .processes import NodeProcess
from .raw import READ_SIZE, Lost

MAX_STREAM: Final = 1 << 20
MAX_STREAMS: Final = 2000
LISTEN_SECONDS: Final = 0.3
"""How long an ear waits for more before it answers."""
QUIET_SECONDS: Final = 30.0
BLANK: Final = (b"\r\n\r\n", b"\n\n", b"\n\r\n")
"""What may end a head, rightly or not."""


class Ear:
    """One node's port, heard."""

    def __init__(self, name: str, mark: bytes) -> None:
        self.streams: list[bytes] = []
        """Of every connection on which the mark was heard, all bytes."""
        self._name = name
        self._mark = mark

    async def listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: health checks and the like at once, and whatever bears the mark after a while."""
        data = bytearray()
        try:
            with suppress(TimeoutError, *Lost):
                async with asyncio.timeout(QUIET_SECONDS):
                    await self._until_head(reader, data)
                    if self._mark in data:
                        await self._rest(reader, data)
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Node: {self._name}\r\n".encode())
                writer.write(b"Connection: close\r\n\r\n")
                await writer.drain()
            writer.close()
            with suppress(TimeoutError, *Lost):
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()
        finally:
            if self._mark in data and len(self.streams) < MAX_STREAMS:
                self.streams.append(bytes(data))
            writer.transport.abort()

    @staticmethod
    async def _until_head(reader: asyncio.StreamReader, data: bytearray) -> None:
        while not any(end in data for end in BLANK) and len(data) < MAX_STREAM:
            if not (part := await reader.read(READ_SIZE)):
                return
            data += part

    @staticmethod
    async def _rest(reader: asyncio.StreamReader, data: bytearray) -> None:
        with suppress(TimeoutError):
            while len(data) < MAX_STREAM:
                async with asyncio.timeout(LISTEN_SECONDS):
                    if not (part := await reader.read(READ_SIZE)):
                        return
                data += part


@asynccontextmanager
async def ears(stage: Stage, mark: bytes) -> AsyncIterator[list[Ear]]:
    """Put an ear in the place of every node; the nodes are back afterwards."""
    listening: list[Ear] = []
    servers: list[asyncio.Server] = []
    try:
        for node in stage.nodes:
            await stage.call(node.kill)
            ear = Ear(node.name, mark)
            servers.append(await asyncio.start_server(ear.listen, node.options.host, node.port, ssl=_tls(node)))
            listening.append(ear)
        await stage.settled()
        yield listening
    finally:
        for server in servers:
            server.close()
        await asyncio.gather(*(server.wait_closed() for server in servers))
        await stage.bring_back()


def _tls(node: NodeProcess) -> ssl.SSLContext | None:
    if node.options.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(node.options.tls_cert, node.options.tls_key)
    return context


def heard(listening: list[Ear], mark: bytes) -> list[bytes]:
    """The streams that bear a mark, of all ears."""
    return [stream for ear in listening for stream in ear.streams if mark in stream]
