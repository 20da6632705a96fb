"""Simulated nodes of SignalR's Redis backplane: what StackExchange.Redis sends to Redis, and when it reconnects.

A node has one connection that publishes and one that subscribes. Like StackExchange.Redis, it checks its connections
once per second and opens a lost one again, sends PING on an idle connection after its keep-alive, and cancels a command
after 5 s. It does not notice a server that hangs: it closes no connection by itself. Source: StackExchange.Redis 2.8
(ConfigurationOptions, PhysicalBridge.OnHeartbeat).
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, pairwise
from time import perf_counter
from typing import Final, NamedTuple, Self

from ...net.connect import ConnectError, Limits, Peer, connected
from ...net.resp import RespError, encode, read_reply
from ..nodes.backplane import PUBLISH

HEARTBEAT_SECONDS: Final = 1.0
KEEP_ALIVE_SECONDS: Final = 60.0
COMMAND_SECONDS: Final = 5.0
LIMITS: Final = Limits(connect=5.0, answer=COMMAND_SECONDS)
CHANNEL: Final = "nlbgen-backplane"
PERIOD_SECONDS: Final = 0.1
"""The time between two messages of a stream."""
ARRIVAL_SECONDS: Final = 0.5
"""How long the last messages may take to arrive."""
LOST: Final = (OSError, TimeoutError, ConnectError, RespError, ValueError, asyncio.IncompleteReadError, RuntimeError)
"""How a connection to Redis ends; RuntimeError is uvloop's answer to a write on a closed connection."""


@dataclass(frozen=True)
class Access:
    """Where the nodes connect, and how they log in."""

    host: str
    port: int
    password: str
    user: str | None = None
    tls: ssl.SSLContext | None = None

    def login(self) -> bytes:
        """Return the command AUTH."""
        return encode("AUTH", *([self.user] if self.user else []), self.password)


class BackplaneNode:
    """One node. `received` has the time at which each message arrived."""

    def __init__(self, name: str, access: Access) -> None:
        self.name: Final = name
        self.received: Final[dict[str, float]] = {}
        self.listening: Final = asyncio.Event()
        """Set while the subscription is open."""
        self._access = access
        self._publisher: Peer | None = None
        self._pending: deque[asyncio.Future[bool]] = deque()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._keep(connection)) for connection in (self._subscribe, self._offer)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def connected(self) -> bool:
        """Whether both connections are open."""
        return self.listening.is_set() and self._publisher is not None

    async def publish(self, text: str) -> bool:
        """Publish a message; return whether Redis answered that it is published."""
        peer = self._publisher
        if peer is None:
            return False
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            peer.writer.write(encode("EVAL", PUBLISH, "2", f"{CHANNEL}:id", CHANNEL, text))
        except RuntimeError:
            return False
        self._pending.append(answered)
        done, _ = await asyncio.wait({answered}, timeout=COMMAND_SECONDS)
        return bool(done) and answered.result()

    async def _keep(self, use: Callable[[Peer], Awaitable[None]]) -> None:
        """Hold a connection; open it again at the next look after it was lost."""
        access = self._access
        while True:
            with suppress(*LOST):
                async with connected(access.host, access.port, LIMITS, tls=access.tls) as peer:
                    peer.writer.write(access.login())
                    async with asyncio.timeout(COMMAND_SECONDS):
                        await read_reply(peer.reader)
                    await use(peer)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _offer(self, peer: Peer) -> None:
        self._publisher = peer
        try:
            while True:
                try:
                    answer = isinstance(await read_reply(peer.reader), int)
                except RespError:  # READONLY: the server is a replica
                    answer = False
                self._pending.popleft().set_result(answer)
        finally:
            self._publisher = None
            while self._pending:
                self._pending.popleft().set_result(False)

    async def _subscribe(self, peer: Peer) -> None:
        peer.writer.write(encode("SUBSCRIBE", CHANNEL))
        try:
            while True:
                reply = asyncio.ensure_future(read_reply(peer.reader))
                while not (await asyncio.wait({reply}, timeout=KEEP_ALIVE_SECONDS))[0]:
                    peer.writer.write(encode("PING"))
                match reply.result():
                    case [b"subscribe", *_]:
                        self.listening.set()
                    case [b"message", _, bytes(payload)]:
                        self.received.setdefault(payload.decode().partition(" ")[2], perf_counter())
        finally:
            reply.cancel()
            self.listening.clear()


class Message(NamedTuple):
    """One numbered message: when it was published, and whether Redis answered that it is."""

    text: str
    at: float
    accepted: bool


class Stream:
    """Numbered messages that the nodes publish in turn, and what arrived at each of them."""

    def __init__(self, nodes: Sequence[BackplaneNode]) -> None:
        self.nodes: Final = tuple(nodes)
        self.messages: Final[list[Message]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._runs: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._runs = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runs is not None:
            self._runs.cancel()
            await asyncio.gather(self._runs, return_exceptions=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(ARRIVAL_SECONDS)

    async def _run(self) -> None:
        for number in count():
            node = self.nodes[number % len(self.nodes)]
            task = asyncio.create_task(self._publish(node, f"{node.name}-{number}"))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(PERIOD_SECONDS)

    async def _publish(self, node: BackplaneNode, text: str) -> None:
        at = perf_counter()
        accepted = await node.publish(text)
        self.messages.append(Message(text, at, accepted))

    def arrived(self, message: Message) -> float | None:
        """Return when a message had arrived at every node; None if one of them missed it."""
        times = [node.received.get(message.text) for node in self.nodes]
        known = [at for at in times if at is not None]
        return max(known) if len(known) == len(self.nodes) else None

    def flows(self, since: float) -> bool:
        """Whether all nodes are connected, and a message published from `since` on arrived at all of them."""
        recent = (one for one in reversed(self.messages) if one.at >= since)
        return all(node.connected for node in self.nodes) and any(self.arrived(one) is not None for one in recent)

    def lost(self, since: float = 0.0) -> list[Message]:
        """Return the messages published from `since` on that a node missed."""
        return [one for one in self.messages if one.at >= since and self.arrived(one) is None]

    def silence(self, since: float = 0.0) -> float:
        """Return the longest time from `since` on, in seconds, in which no message arrived at every node."""
        end = max((message.at for message in self.messages), default=since)
        times = sorted(at for one in self.messages if (at := self.arrived(one)) is not None and at >= since)
        return max((after - before for before, after in pairwise([since, *times, max(end, since)])), default=0.0)
