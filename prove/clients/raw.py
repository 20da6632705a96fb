"""A raw socket client: sends bytes exactly as given, valid or not, and returns the bytes that come back."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from ...net.client import Target
from ...net.http1 import parse_response

READ_SIZE: Final = 65536
MAX_ANSWER: Final = 1 << 20
CONNECT_SECONDS: Final = 10.0
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] [0-9]{3} ")
Lost = (OSError, EOFError, ssl.SSLError)
"""The exceptions of a connection that the other side aborts."""


@dataclass(frozen=True)
class RawAnswer:
    """The bytes that came back on one connection."""

    data: bytes
    closed: bool
    """Whether the other side closed the connection."""
    seconds: float

    @property
    def status(self) -> int:
        """The status of the first response; 0 without a response."""
        head = self.data[:12]
        return int(head[9:]) if head.startswith(b"HTTP/1.") and head[9:].isdigit() else 0

    @property
    def count(self) -> int:
        """The number of responses."""
        return len(_STATUS_LINE.findall(self.data))

    @property
    def body(self) -> bytes:
        """The body of the first complete response; empty without one."""
        with suppress(ValueError):
            if (answer := parse_response(bytearray(self.data), head_only=False, ended=True)) is not None:
                return answer.body
        return b""


async def dial(to: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection, with TLS if the target has it, without ALPN and therefore HTTP/1.1. Raises OSError."""
    async with asyncio.timeout(CONNECT_SECONDS):
        return await asyncio.open_connection(
            to.address, to.port, ssl=to.tls, server_hostname=to.server_name if to.tls else None
        )


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Abort a connection."""
    writer.transport.abort()
    with suppress(*Lost):
        await writer.wait_closed()


async def converse(
    to: Target, data: bytes | AsyncIterable[bytes], seconds: float, *, once: bool = False, quiet: float | None = None
) -> RawAnswer:
    """Send bytes on a new connection and read until the other side closes it, for at most `seconds`.

    `once` stops after one complete response; `quiet` stops when no byte came for that many seconds after the first.
    Reads while it sends: an early refusal is not lost when the other side then resets the connection.
    An iterable is sent part by part, and stops as soon as a response has begun.
    """
    began = perf_counter()
    try:
        reader, writer = await dial(to)
    except (OSError, TimeoutError):
        return RawAnswer(b"", True, perf_counter() - began)
    received = bytearray()
    sending = asyncio.create_task(_send(writer, data, received))
    try:
        async with asyncio.timeout(seconds):
            closed = await _receive(reader, received, once, quiet)
    except TimeoutError:
        closed = False
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await hang_up(writer)
    return RawAnswer(bytes(received), closed, perf_counter() - began)


async def _send(writer: asyncio.StreamWriter, data: bytes | AsyncIterable[bytes], received: bytearray) -> None:
    with suppress(*Lost):
        async for part in _parts(data):
            if received or writer.transport.is_closing():
                return
            writer.write(part)
            await writer.drain()


async def _parts(data: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    async for part in data:
        yield part


async def _receive(reader: asyncio.StreamReader, received: bytearray, once: bool, quiet: float | None) -> bool:
    """Read into `received`; return whether the other side closed the connection."""
    with suppress(*Lost):
        while len(received) < MAX_ANSWER:
            async with asyncio.timeout(quiet if received else None):
                part = await reader.read(READ_SIZE)
            if not part:
                break
            received += part
            if once and _complete(received):
                return False
    return True


def _complete(received: bytearray) -> bool:
    try:
        return parse_response(bytearray(received), head_only=False, ended=False) is not None
    except ValueError:
        return True  # not HTTP: more bytes do not make it a response


def head(method: str, path: str, host: str, lines: Iterable[str] = ()) -> bytes:
    """Return the head of a request, each line with a valid end."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode("latin-1")
