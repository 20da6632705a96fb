"""The little of Redis that a SignalR backplane needs: EVAL to number and publish, SUBSCRIBE to receive."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from .loopback import require_loopback

MAX_BULK = 1024 * 1024
MAX_DEPTH = 4
RECONNECT_SECONDS = 0.2

# As SignalR's own Redis bus does it: number and publish in one atomic step, so that all nodes see one order.
PUBLISH = "local id = redis.call('INCR', KEYS[1]) redis.call('PUBLISH', KEYS[2], id .. ' ' .. ARGV[1]) return id"

Reply = int | bytes | None | list["Reply"]


class RespError(RuntimeError):
    """Redis answered with an error, or with something that is not RESP."""


def encode(*words: bytes | str) -> bytes:
    """Return a command as an array of bulk strings.

    >>> encode("PING")
    b'*1\\r\\n$4\\r\\nPING\\r\\n'
    """
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


async def read_reply(reader: asyncio.StreamReader, depth: int = 0) -> Reply:
    """Read one reply of any type."""
    line = await reader.readuntil(b"\r\n")
    kind, rest = line[:1], line[1:-2]
    match kind:
        case b"+":
            return rest
        case b":":
            return int(rest)
        case b"-":
            raise RespError(rest.decode("utf-8", "replace"))
        case b"$" if rest == b"-1":
            return None
        case b"$" if int(rest) <= MAX_BULK:
            return (await reader.readexactly(int(rest) + 2))[:-2]
        case b"*" if depth < MAX_DEPTH and int(rest) <= MAX_BULK:
            return [await read_reply(reader, depth + 1) for _ in range(max(int(rest), 0))]
    raise RespError(f"unexpected reply {line[:40]!r}")


class Backplane:
    """Publishes to a Redis channel and hands on what arrives there, reconnecting for as long as it lives."""

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
        """Leave Redis."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._drop()

    async def publish(self, text: str) -> int:
        """Publish a message and return its number, the same on every node."""
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
