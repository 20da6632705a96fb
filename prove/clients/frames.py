"""The WebSocket frames of a robot: short text messages at once, everything else by wsproto.

A fleet receives a keep-alive message of two bytes for each robot every 10 s. A complete, short text message needs no
state; wsproto keeps 5 KB for each connection. RFC 6455, section 5.2: byte 0 is FIN and the opcode, byte 1 the length.
"""

import os
from collections.abc import Iterator
from typing import Final

from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Ping, TextMessage
from wsproto.utilities import RemoteProtocolError

TEXT: Final = 0x81
"""FIN, and the opcode of a text message."""
MASKED: Final = 0x80
SHORT: Final = 126
"""From this length on, a frame has further bytes for its length."""


class ClosedError(Exception):
    """The server closed the WebSocket, or sent something else than frames."""


def text_frame(text: str) -> bytes:
    """Return a masked text frame. Raises ValueError for a text of more than 125 bytes."""
    data = text.encode()
    if len(data) >= SHORT:
        raise ValueError(f"{len(data)} bytes: too long for a short frame")
    mask = os.urandom(4)
    key = (mask * (len(data) // 4 + 1))[: len(data)]
    masked = int.from_bytes(data, "big") ^ int.from_bytes(key, "big")
    return bytes((TEXT, MASKED | len(data))) + mask + masked.to_bytes(len(data), "big")


class Frames:
    """The frames that a client receives."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._part = ""
        self.answers = b""
        """What the client must send: the pongs to the server's pings."""

    def texts(self, buffer: bytearray) -> Iterator[str]:
        """Yield the complete text messages in `buffer` and remove them. Raises ClosedError."""
        while self._connection is None and len(buffer) >= 2:
            if buffer[0] != TEXT or buffer[1] >= SHORT:
                self._connection = Connection(ConnectionType.CLIENT)
                break
            end = 2 + buffer[1]
            if len(buffer) < end:
                return
            try:
                text = buffer[2:end].decode()
            except UnicodeDecodeError:
                raise ClosedError from None
            del buffer[:end]
            yield text
        if self._connection is not None and buffer:
            data = bytes(buffer)
            buffer.clear()
            yield from self._others(self._connection, data)

    def _others(self, connection: Connection, data: bytes) -> Iterator[str]:
        """Yield the text messages of any frames."""
        connection.receive_data(data)
        try:
            for event in connection.events():
                if isinstance(event, TextMessage):
                    self._part += event.data
                    if event.message_finished:
                        text, self._part = self._part, ""
                        yield text
                elif isinstance(event, Ping):
                    self.answers += connection.send(event.response())
                elif isinstance(event, CloseConnection):
                    raise ClosedError
        except RemoteProtocolError:
            raise ClosedError from None
