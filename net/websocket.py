"""The client's side of a WebSocket (RFC 6455), as much of it as one question and one answer need."""

import asyncio
import base64
import hashlib
import secrets
from typing import Final

from .http1 import AnswerError, Reply, head, upgrade
from .reach import Peer

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT: Final = 1
_CLOSE: Final = 8
_LONGEST: Final = 64 * 1024
_NORMAL: Final = (1000).to_bytes(2, "big")


async def opened(peer: Peer, path: str, host: str, headers: dict[str, str], seconds: float) -> Reply:
    """Ask for a WebSocket: the answer, 101 if it is open now. Raises AnswerError."""
    key = base64.b64encode(secrets.token_bytes(16))
    wish = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    request = head("GET", path, host, {**headers, **wish, "Sec-WebSocket-Key": key.decode()})
    reply = await upgrade(peer, request, seconds)
    if reply.status == 101:
        # SHA-1 is what the protocol says; it proves that the other side speaks it, and keeps no secret.
        wanted = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
        if reply.header("sec-websocket-accept") != wanted:
            raise AnswerError("the upgrade was answered by something that speaks no WebSocket")
    return reply


async def send_text(peer: Peer, text: str) -> None:
    """Send one short message."""
    peer.writer.write(_frame(_TEXT, text.encode()))
    await peer.writer.drain()


async def read_text(peer: Peer, seconds: float) -> str:
    """The next text message. Raises AnswerError where none comes."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                kind, data = await _read_frame(peer.reader)
                if kind == _TEXT:
                    return data.decode("utf-8", "replace")
                if kind == _CLOSE:
                    raise AnswerError("the server closed the WebSocket at once")
    except TimeoutError:
        raise AnswerError(f"no message within {seconds:g} s") from None
    except (OSError, asyncio.IncompleteReadError):
        raise AnswerError("the WebSocket was open, and the connection then broke") from None


async def close(peer: Peer) -> None:
    """Say goodbye, so that the server need not wait for a connection that is gone."""
    try:
        peer.writer.write(_frame(_CLOSE, _NORMAL))
        await peer.writer.drain()
    except OSError:
        return


def _frame(kind: int, data: bytes) -> bytes:
    """A whole message, masked as clients must; up to 125 bytes."""
    mask = secrets.token_bytes(4)
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))
    return bytes([0x80 | kind, 0x80 | len(data)]) + mask + masked


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, length = await reader.readexactly(2)
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2), "big")
    elif length >= 127:
        length = int.from_bytes(await reader.readexactly(8), "big")
    if length > _LONGEST:
        raise AnswerError("the server's first message is no SignalR message")
    return first & 0x0F, await reader.readexactly(length)
