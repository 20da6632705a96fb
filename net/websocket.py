"""A WebSocket client (RFC 6455) for short text messages; frames and messages are wsproto's.

A ping is answered with a pong, fragments are joined, and a close is confirmed. Timeouts and the length of a message
are bounded.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NoReturn

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, generate_accept_token, generate_nonce

from .connect import Peer
from .request import ResponseError, TimedResponse, exchange, probe_request

MAX_MESSAGE: Final = 64 * 1024
"""The longest text message, in characters."""
_CHUNK: Final = 16 * 1024


class WebSocket:
    """An open WebSocket."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._connection = Connection(ConnectionType.CLIENT)
        self._events: deque[Event] = deque()

    async def send_text(self, text: str) -> None:
        """Send a text message. Raises OSError."""
        await self._send(TextMessage(data=text))

    async def receive_text(self, seconds: float) -> str:
        """Return the next text message; binary messages are skipped.

        Raises:
            ResponseError: No message within `seconds`, a message longer than MAX_MESSAGE, a violation of the
                protocol, or the server closed the WebSocket or the connection.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._next_text()
        except TimeoutError:
            raise ResponseError(f"no message within {seconds:g} s") from None
        except OSError:
            raise ResponseError("the WebSocket was opened, but then the connection was lost") from None

    async def close(self) -> None:
        """Send a close frame, so that the server does not wait for a connection that is gone."""
        try:
            await self._send(CloseConnection(code=CloseReason.NORMAL_CLOSURE))
        except (OSError, LocalProtocolError):  # the connection is closed already
            return

    async def _next_text(self) -> str:
        parts: list[str] = []
        length = 0
        while True:
            event = await self._next_event()
            if isinstance(event, Ping):
                await self._send(event.response())
            elif isinstance(event, CloseConnection):
                await self._end(event)
            elif isinstance(event, TextMessage):
                parts.append(event.data)
                length += len(event.data)
                if length > MAX_MESSAGE:
                    await self._send(CloseConnection(code=CloseReason.MESSAGE_TOO_BIG))
                    raise ResponseError(f"the server's message is longer than {MAX_MESSAGE} characters")
                if event.message_finished:
                    return "".join(parts)

    async def _end(self, event: CloseConnection) -> NoReturn:
        """Confirm the server's close, or report to the server that it violated the protocol."""
        closed = self._connection.state is ConnectionState.REMOTE_CLOSING
        with suppress(OSError):  # the server may be gone
            await self._send(event.response() if closed else CloseConnection(code=event.code))
        if closed:
            raise ResponseError(f"the server closed the WebSocket (code {event.code:d})")
        raise ResponseError("the server violated the WebSocket protocol")

    async def _next_event(self) -> Event:
        while not self._events:
            data = await self._peer.reader.read(_CHUNK)
            if not data:
                raise ConnectionResetError
            self._connection.receive_data(data)
            self._events.extend(self._connection.events())
        return self._events.popleft()

    async def _send(self, event: Event) -> None:
        self._peer.writer.write(self._connection.send(event))
        await self._peer.writer.drain()


async def open_websocket(
    peer: Peer, path: str, host: str, headers: Mapping[str, str], seconds: float
) -> tuple[TimedResponse, WebSocket | None]:
    """Request a WebSocket: the response, and the WebSocket if the response is 101.

    Raises:
        ResponseError: No response within `seconds`, or a 101 without the right Sec-WebSocket-Accept.
    """
    nonce = generate_nonce()
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": nonce.decode(),
    }
    response = await exchange(peer, probe_request("GET", path, host, {**headers, **upgrade}), seconds, upgrade=True)
    if response.status != 101:
        return response, None
    if response.header("sec-websocket-accept") != generate_accept_token(nonce).decode():
        raise ResponseError("the response to the upgrade is 101 without a valid Sec-WebSocket-Accept")
    return response, WebSocket(peer)
