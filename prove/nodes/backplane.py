"""SignalR's backplane over Redis: EVAL numbers and publishes a message, SUBSCRIBE receives it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from ...net.loopback import require_loopback
from ...net.resp import RespError, encode, read_reply

RECONNECT_SECONDS = 0.2

# SignalR's own Redis bus also numbers and publishes in one atomic step: all nodes see the same order.
PUBLISH = "local id = redis.call('INCR', KEYS[1]) redis.call('PUBLISH', KEYS[2], id .. ' ' .. ARGV[1]) return id"


class Backplane:
    """Publishes to a Redis channel and passes on its messages; reconnects until it is stopped."""

    def __init__(self, where: str, receive: Callable[[int, str], None], channel: str = "nlbgen") -> None:
        host, _, port = where.rpartition(":")
        self._host, self._port = require_loopback(host), int(port)
        self._receive = receive
        self._channel = channel
        self._task: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None
        self._lock = asyncio.Lock()
        self.ready = asyncio.Event()

    async def start(self) -> None:
        """Subscribe in the background."""
        self._task = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        """Unsubscribe and close the connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._drop()

    async def publish(self, text: str) -> int:
        """Publish a message and return its number, which is the same on every node."""
        async with self._lock:
            try:
                if self._writer is None:
                    self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
                assert self._reader is not None  # noqa: S101 - set together with the writer, for mypy
                self._writer.write(encode("EVAL", PUBLISH, "2", f"{self._channel}:id", self._channel, text))
                await self._writer.drain()
                reply = await read_reply(self._reader)
            except (OSError, asyncio.IncompleteReadError, RespError):
                self._drop()
                raise
        return reply if isinstance(reply, int) else 0

    def _drop(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _listen(self) -> None:
        while True:
            with suppress(OSError, asyncio.IncompleteReadError, RespError):
                await self._subscribe()
            self.ready.clear()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _subscribe(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(encode("SUBSCRIBE", self._channel))
            await writer.drain()
            while True:
                match await read_reply(reader):
                    case [b"subscribe", *_]:
                        self.ready.set()
                    case [b"message", _, bytes(payload)]:
                        number, _, text = payload.decode().partition(" ")
                        self._receive(int(number), text)
        finally:
            writer.close()
