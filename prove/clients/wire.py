"""A connection for thousands of robots in one process: HTTP, then a WebSocket, with little memory.

asyncio's TLS keeps a buffer of 256 KB for each connection. This class runs TLS itself in two memory buffers, which are
empty while a robot is idle.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, Self, cast

from ...net.client import Target, WireError
from ...net.http1 import Response, parse_response
from .frames import ClosedError, Frames, text_frame

READ_SIZE: Final = 16 * 1024


class Wire(asyncio.Protocol):
    """One connection. `ended` is done when it is closed by either side."""

    def __init__(self, target: Target, session: ssl.SSLSession | None = None) -> None:
        """`session` is the TLS session of an earlier connection to the same server, to resume it."""
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.ready: asyncio.Future[None] = loop.create_future()
        self._waiter: asyncio.Future[Response] | None = None
        self._buffer = bytearray()
        self._frames: Frames | None = None
        self._on_text: Callable[[str], None] | None = None
        self._transport: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        self._secured = target.tls is None
        if target.tls is not None:
            self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = target.tls.wrap_bio(self._in, self._out, server_hostname=target.server_name, session=session)

    @classmethod
    async def to(
        cls, target: Target, local: tuple[str, int] | None, seconds: float, session: ssl.SSLSession | None = None
    ) -> Self:
        """Open a connection within `seconds`. Raises WireError."""
        wire: Self | None = None
        try:
            async with asyncio.timeout(seconds):
                loop = asyncio.get_running_loop()
                _, wire = await loop.create_connection(
                    lambda: cls(target, session), target.address, target.port, local_addr=local
                )
                await wire.ready
        except (OSError, TimeoutError) as error:
            if wire is not None:
                wire.abort()
            raise WireError("timeout" if isinstance(error, TimeoutError) else "refused") from None
        return wire

    async def ask(self, request: bytes, seconds: float, *, upgrade: bool = False) -> Response:
        """Send a request and return its response. Raises WireError."""
        if self.ended.done():
            raise WireError("closed")
        self._waiter = asyncio.get_running_loop().create_future()
        if upgrade:
            self._frames = Frames()
        self._write(request)
        try:
            async with asyncio.timeout(seconds):
                return await self._waiter
        except TimeoutError:
            self.abort()
            raise WireError("timeout") from None

    def listen(self, on_text: Callable[[str], None]) -> None:
        """Deliver the text messages of the WebSocket from now on, those that are here already first."""
        self._on_text = on_text
        self._deliver()

    def send_text(self, text: str) -> None:
        """Send a text message, if the WebSocket is open."""
        if self._frames is not None and not self.ended.done():
            self._write(text_frame(text))

    @property
    def session(self) -> ssl.SSLSession | None:
        """The TLS session, to resume it on another connection; complete after the first response."""
        return None if self._tls is None else self._tls.session

    @property
    def reused(self) -> bool:
        """Whether the connection resumed a TLS session."""
        return self._tls is not None and bool(self._tls.session_reused)

    def abort(self) -> None:
        """Close the connection immediately."""
        if self._transport is not None:
            self._transport.abort()
        self._end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin TLS, where the target has it."""
        self._transport = cast("asyncio.Transport", transport)
        self._advance()

    def data_received(self, data: bytes) -> None:
        """Decrypt, then complete the response or deliver the messages."""
        if self._tls is not None:
            self._in.write(data)
            self._advance()
        else:
            self._received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits."""
        del exc
        self._end()

    def _advance(self) -> None:
        """Do as much of the handshake and of the decryption as the received bytes allow."""
        try:
            if self._tls is not None and not self._secured:
                self._tls.do_handshake()
                self._secured = True
            if not self.ready.done():
                self.ready.set_result(None)
            while self._tls is not None and (data := self._tls.read(READ_SIZE)):
                self._received(data)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.abort()
        self._flush()

    def _write(self, data: bytes) -> None:
        if self._tls is None:
            if self._transport is not None:
                self._transport.write(data)
            return
        self._tls.write(data)
        self._flush()

    def _flush(self) -> None:
        if self._tls is not None and self._transport is not None and (data := self._out.read()):
            self._transport.write(data)

    def _received(self, data: bytes) -> None:
        self._buffer += data
        if self._waiter is None:
            self._deliver()
            return
        try:
            response = parse_response(self._buffer, head_only=False, ended=False, upgrade=self._frames is not None)
        except ValueError:
            self.abort()
            return
        if response is not None:
            waiter, self._waiter = self._waiter, None
            if not waiter.done():
                waiter.set_result(response)
            del self._buffer[: len(response.head) + 4 if response.status == 101 else len(self._buffer)]

    def _deliver(self) -> None:
        if self._frames is None or self._on_text is None or not self._buffer:
            return
        frames, on_text = self._frames, self._on_text
        try:
            for text in frames.texts(self._buffer):
                on_text(text)
        except ClosedError:
            self.abort()
        if frames.answers and not self.ended.done():
            self._write(frames.answers)
        frames.answers = b""

    def _end(self) -> None:
        self._on_text = None
        if not self.ended.done():
            self.ended.set_result(None)
        if not self.ready.done():
            self.ready.set_exception(ConnectionResetError())
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(WireError("closed"))
