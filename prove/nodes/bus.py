"""The message bus of a simulated node: pushes to SignalR clients, on this node or, with a backplane, on all of them."""

import asyncio
import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...net.resp import RespError
from .backplane import Backplane

KEPT = 5000
"""The number of messages kept for reconnecting clients; SignalR keeps 1000 for each signal."""

PUSH, ABORT, JOIN = "push", "abort", "join"


@dataclass(frozen=True, slots=True)
class Message:
    """A push to clients, or a command for a connection: end, or join a group.

    `to`: a connection id, a group, or None for all clients.
    """

    number: int
    kind: str
    to: str | None
    arguments: list[Any]


class Bus:
    """Numbers messages, keeps the last ones, and wakes the waiting subscribers."""

    def __init__(self, backplane: str | None = None) -> None:
        self._messages: deque[Message] = deque(maxlen=KEPT)
        self._news = asyncio.Event()
        self._backplane = Backplane(backplane, self._arrived) if backplane else None
        self.last = 0
        self.lost = 0
        """Messages that were not published because Redis was unreachable."""

    async def start(self, seconds: float = 2.0) -> None:
        """Join the backplane; wait at most `seconds` for Redis."""
        if self._backplane is not None:
            await self._backplane.start()
            try:
                await asyncio.wait_for(self._backplane.ready.wait(), seconds)
            except TimeoutError:
                return

    async def stop(self) -> None:
        """Leave the backplane."""
        if self._backplane is not None:
            await self._backplane.stop()

    async def publish(self, kind: str, to: str | None, arguments: list[Any]) -> None:
        """Send a message to every node."""
        text = json.dumps([kind, to, arguments])
        if self._backplane is None:
            self._arrived(self.last + 1, text)
            return
        try:
            await self._backplane.publish(text)
        except (OSError, asyncio.IncompleteReadError, RespError):
            self.lost += 1

    def _arrived(self, number: int, text: str) -> None:
        kind, to, arguments = json.loads(text)
        self.last = number
        self._messages.append(Message(number, kind, to, arguments))
        news, self._news = self._news, asyncio.Event()
        news.set()

    def subscribe(self, connection_id: str, cursor: int | None = None, groups: Iterable[str] = ()) -> "Subscription":
        """Follow the messages for one connection and its groups, from now on or from after `cursor`."""
        return Subscription(self, connection_id, self.last if cursor is None else min(cursor, self.last), groups)

    def since(self, cursor: int) -> list[Message]:
        """Return the kept messages after `cursor`, oldest first."""
        return [message for message in self._messages if message.number > cursor]

    async def wait(self, seconds: float | None) -> None:
        """Wait for the next message, at most `seconds`."""
        news = self._news
        try:
            async with asyncio.timeout(seconds):
                await news.wait()
        except TimeoutError:
            return


class Subscription:
    """One client's position in the stream of messages."""

    def __init__(self, bus: Bus, connection_id: str, cursor: int, groups: Iterable[str] = ()) -> None:
        self._bus = bus
        self.connection_id = connection_id
        self.cursor = cursor
        self.groups = set(groups)
        self.joined = False
        """Whether the connection has joined a group since the last `take_joined`."""
        self.aborted = False

    def take_joined(self) -> bool:
        """Return `joined` and clear it."""
        joined, self.joined = self.joined, False
        return joined

    def pending(self) -> list[Message]:
        """Return the pushes for this client since the last call; records an abort and the groups."""
        found = []
        for message in self._bus.since(self.cursor):
            self.cursor = message.number
            if message.to not in {None, self.connection_id, *self.groups}:
                continue
            if message.kind == ABORT:
                self.aborted = True
            elif message.kind == JOIN:
                self.groups.update(message.arguments)
                self.joined = True
            else:
                found.append(message)
        return found

    async def next(self, seconds: float | None) -> list[Message]:
        """Wait for pushes, at most `seconds` (None: for ever); an empty list on timeout, abort or a joined group."""
        loop = asyncio.get_running_loop()
        deadline = None if seconds is None else loop.time() + seconds
        while True:
            found = self.pending()
            if found or self.aborted or self.joined:
                return found
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                return []
            await self._bus.wait(left)
