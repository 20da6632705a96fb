"""Servers that record every byte: what a balancer sends to its nodes, before any parser interprets it.

An HTTP server shows how *it* parsed a request. IIS may parse the same bytes differently, and request smuggling relies
on that difference. These servers parse nothing: they keep the bytes, and request_parser.py decides whether the bytes
can be parsed in more than one way.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from ..clients.raw import READ_SIZE, Lost
from .bench import TestBench
from .processes import NodeProcess

MAX_STREAM: Final = 1 << 20
MAX_STREAMS: Final = 2000
LISTEN_SECONDS: Final = 0.3
"""How long a server waits for more bytes before it answers."""
QUIET_SECONDS: Final = 30.0
BLANK: Final = (b"\r\n\r\n", b"\n\n", b"\n\r\n")
"""The bytes that may end a request head, valid or not."""


class RecordingServer:
    """The server on one node's port."""

    def __init__(self, name: str, mark: bytes) -> None:
        self.streams: list[bytes] = []
        """All bytes of each connection that carried the mark."""
        self._name = name
        self._mark = mark

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection: health checks at once, requests with the mark after LISTEN_SECONDS without bytes."""
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
async def recording_servers(bench: TestBench, mark: bytes) -> AsyncIterator[list[RecordingServer]]:
    """Replace every node by a recording server, and restore the nodes at the end."""
    recorders: list[RecordingServer] = []
    servers: list[asyncio.Server] = []
    try:
        for node in bench.nodes:
            await bench.call(node.kill)
            recorder = RecordingServer(node.name, mark)
            servers.append(await asyncio.start_server(recorder.serve, node.options.host, node.port, ssl=_tls(node)))
            recorders.append(recorder)
        await bench.settled()
        yield recorders
    finally:
        for server in servers:
            server.close()
        await asyncio.gather(*(server.wait_closed() for server in servers))
        await bench.restore()


def _tls(node: NodeProcess) -> ssl.SSLContext | None:
    if node.options.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(node.options.tls_cert, node.options.tls_key)
    return context


def recorded(recorders: list[RecordingServer], mark: bytes) -> list[bytes]:
    """Return the streams of all servers that contain a mark."""
    return [stream for recorder in recorders for stream in recorder.streams if mark in stream]
