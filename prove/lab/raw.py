"""Bytes to the balancer exactly as told, right or wrong, and what comes back: what no HTTP client would send."""

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
from .bench import Stage

READ_SIZE: Final = 65536
MAX_ANSWER: Final = 1 << 20
CONNECT_SECONDS: Final = 10.0
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] [0-9]{3} ")
Lost = (OSError, EOFError, ssl.SSLError)
"""What a connection that the other side gives up raises."""


@dataclass(frozen=True)
class Heard:
    """What a connection brought."""

    data: bytes
    closed: bool
    """Whether the other side ended the connection."""
    seconds: float

    @property
    def status(self) -> int:
        """The first answer's status; 0 where none came."""
        head = self.data[:12]
        return int(head[9:]) if head.startswith(b"HTTP/1.") and head[9:].isdigit() else 0

    @property
    def count(self) -> int:
        """How many answers came."""
        return len(_STATUS_LINE.findall(self.data))

    @property
    def body(self) -> bytes:
        """The body of the first complete answer; empty where none came."""
        with suppress(ValueError):
            if (answer := parse_response(bytearray(self.data), head_only=False, ended=True)) is not None:
                return answer.body
        return b""


def target(stage: Stage) -> Target:
    """The balancer's front."""
    return Target.of(stage.lab.url, ca=str(stage.lab.certificates.ca))


async def dial(to: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection; TLS where the farm has it, without ALPN and so HTTP/1.1. Raises OSError."""
    async with asyncio.timeout(CONNECT_SECONDS):
        return await asyncio.open_connection(
            to.address, to.port, ssl=to.tls, server_hostname=to.server_name if to.tls else None
        )


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Drop a connection at once."""
    writer.transport.abort()
    with suppress(*Lost):
        await writer.wait_closed()


async def converse(
    to: Target, data: bytes | AsyncIterable[bytes], seconds: float, *, once: bool = False, quiet: float | None = None
) -> Heard:
    """Send bytes on a connection of their own and listen until the other side ends it, `seconds` at most.

    `once` listens for one complete answer and no longer; `quiet` ends it when nothing more came for so long.
    It listens while it sends: a refusal that comes early is not lost in the end of the connection that follows it.
    An iterable is sent bit by bit, and no further once an answer has begun.
    """
    began = perf_counter()
    try:
        reader, writer = await dial(to)
    except (OSError, TimeoutError):
        return Heard(b"", True, perf_counter() - began)
    heard = bytearray()
    sending = asyncio.create_task(_send(writer, data, heard))
    try:
        async with asyncio.timeout(seconds):
            closed = await _listen(reader, heard, once, quiet)
    except TimeoutError:
        closed = False
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await hang_up(writer)
    return Heard(bytes(heard), closed, perf_counter() - began)


async def _send(writer: asyncio.StreamWriter, data: bytes | AsyncIterable[bytes], heard: bytearray) -> None:
    with suppress(*Lost):
        async for part in _parts(data):
            if heard or writer.transport.is_closing():
                return
            writer.write(part)
            await writer.drain()


async def _parts(data: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    async for part in data:
        yield part


async def _listen(reader: asyncio.StreamReader, heard: bytearray, once: bool, quiet: float | None) -> bool:
    """Whether the other side ended the connection, as against us who heard enough."""
    with suppress(*Lost):
        while len(heard) < MAX_ANSWER:
            async with asyncio.timeout(quiet if heard else None):
                part = await reader.read(READ_SIZE)
            if not part:
                break
            heard += part
            if once and _complete(heard):
                return False
    return True


def _complete(heard: bytearray) -> bool:
    try:
        return parse_response(bytearray(heard), head_only=False, ended=False) is not None
    except ValueError:
        return True  # no HTTP: more of it makes no answer


def head(method: str, path: str, host: str, lines: Iterable[str] = ()) -> bytes:
    """A request's head, each line ended as it should be."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode("latin-1")
