"""The base class of SignalR clients, the plan of a session and its report."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import aiohttp

Json = Any
"""An argument or a result of a hub method: JSON of any shape."""
T = TypeVar("T")

GENERATIONS = ("classic", "core")
TRANSPORTS = ("webSockets", "serverSentEvents", "longPolling")
MAX_PUSHES = 10_000


class SessionError(RuntimeError):
    """A step of a session failed; the report names it."""


@dataclass(frozen=True, kw_only=True)
class SessionPlan:
    """The plan of one session. Times are in seconds."""

    url: str
    """The base URL of the farm; the hub's path is added."""
    generation: str = "classic"
    transport: str = "webSockets"
    path: str | None = None
    """Default: `/signalr` for classic, `/signalr/core` for core."""
    hub: str = "echohub"
    skip_negotiation: bool = False
    """Core with WebSockets only: connect at once, without a connection id."""
    echoes: int = 3
    hold: float = 0.0
    """How long to stay connected, idle, between the first echo and the others."""
    timeout: float = 10.0
    """The timeout of each step."""
    silence: float | None = None
    """How long a robot waits for a message before it ends the connection, as SignalR's clients do after 30 s; None: for
    ever. It calls a method three times in this period, so that a healthy server is not silent."""
    cookies: bool = True
    ca: Path | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        if self.generation not in GENERATIONS or self.transport not in TRANSPORTS:
            raise ValueError(f"{self.generation} {self.transport}: not a generation and transport of SignalR")
        if self.skip_negotiation and (self.generation, self.transport) != ("core", "webSockets"):
            raise ValueError("only core with webSockets can skip the negotiation")

    @property
    def endpoint(self) -> str:
        """The full URL of the hub."""
        path = self.path or ("/signalr" if self.generation == "classic" else "/signalr/core")
        return self.url.rstrip("/") + path


@dataclass
class SessionReport:
    """The result of a session. Times are seconds since the session began."""

    step: str = ""
    """The last step that began: negotiate, connect, start, send, hold, stop; `done` at the end."""
    error: str = ""
    nodes: list[str] = field(default_factory=list)
    """The node that answered each HTTP request, in order."""
    echoes: int = 0
    pushes: list[tuple[float, Json]] = field(default_factory=list)
    keep_alives: int = 0
    """Received keep-alive frames (classic `{}`, core pings)."""
    closed: float | None = None
    """When the connection ended unexpectedly."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every step succeeded."""
        return self.step == "done" and not self.error


class HubClient(ABC):
    """A connected client. Use `open`, `invoke`, `close`; pushes arrive in `report.pushes` and in `pushed`."""

    def __init__(self, plan: SessionPlan, http: aiohttp.ClientSession) -> None:
        self.plan = plan
        self.http = http
        self.report = SessionReport()
        self.pushed: asyncio.Queue[Json] = asyncio.Queue(MAX_PUSHES)
        self._start = perf_counter()
        self._heard = self._start
        self._ready = asyncio.Event()
        self._answers: dict[str, asyncio.Future[Json]] = {}
        self._count = 0
        self._reader: asyncio.Task[None] | None = None
        self._broken: str = ""
        self._closing = False

    @abstractmethod
    async def open(self) -> None:
        """Negotiate, connect, start."""

    @abstractmethod
    async def _call(self, number: str, method: str, arguments: list[Json]) -> None:
        """Send one hub call."""

    @abstractmethod
    async def _goodbye(self) -> None:
        """End the session as the protocol requires."""

    async def invoke(self, method: str, *arguments: Json) -> Json:
        """Call a hub method and return its result; SessionError without an answer."""
        number = str(self._count)
        self._count += 1
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._answers[number] = future
        try:
            await self._step("send", self._call(number, method, list(arguments)))
            if self._broken:
                raise SessionError(self._broken)
            return await self._step("send", _wait(future))
        finally:
            self._answers.pop(number, None)
            if not future.cancel() and not future.cancelled():
                future.exception()  # retrieved here, so that asyncio does not report it again

    async def close(self) -> None:
        """End the session; never hangs; the report holds errors of this step."""
        self._closing = True
        with suppress(SessionError):
            await self._step("stop", self._goodbye())
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        self.report.seconds = perf_counter() - self._start

    @property
    def deserted(self) -> bool:
        """Whether the server has been silent for longer than the plan allows."""
        limit = self.plan.silence
        return limit is not None and perf_counter() - self._heard > limit

    async def _step(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        self.report.step = name
        try:
            async with asyncio.timeout(self.plan.timeout):
                return await work
        except TimeoutError:
            reason = f"{name}: no answer within {self.plan.timeout:g} s"
        except (aiohttp.ClientError, OSError, SessionError, ValueError, KeyError) as fault:
            reason = f"{name}: {fault or type(fault).__name__}"
        self.report.error = self.report.error or reason  # the first failure is the cause of the others
        raise SessionError(reason)

    async def _open_socket(self, url: str) -> aiohttp.ClientWebSocketResponse:
        try:
            socket = await self.http.ws_connect(url, compress=0)
        except aiohttp.WSServerHandshakeError as fault:
            raise SessionError(f"http {fault.status} instead of the upgrade") from fault
        self._note_node(socket._response)  # noqa: SLF001 - aiohttp has no public access to the headers
        return socket

    async def _text(self, method: str, url: str, *, data: Mapping[str, str] | bytes | None = None) -> str:
        """Send a request and return the body; SessionError unless the status is 2xx."""
        async with self.http.request(method, url, data=data) as response:
            self._note_node(response)
            text = await response.text()
            if not 200 <= response.status < 300:
                raise SessionError(f"http {response.status} {text[:80]}")
            return text

    def _note_node(self, response: aiohttp.ClientResponse) -> None:
        self.report.nodes.append(response.headers.get("X-Node", ""))

    def _read(self, work: Coroutine[Any, Any, None]) -> None:
        """Start the task that reads until the connection ends."""
        self._reader = asyncio.create_task(self._reading(work))

    async def _reading(self, work: Coroutine[Any, Any, None]) -> None:
        reason = "the connection was closed"
        try:
            await work
        except (aiohttp.ClientError, OSError, SessionError, TimeoutError) as fault:
            reason = str(fault) or type(fault).__name__
        self._broken = reason
        if not self._closing:
            self.report.closed = perf_counter() - self._start
        for future in self._answers.values():
            if not future.done():
                future.set_exception(SessionError(reason))
        self._ready.set()

    async def _until_ready(self) -> None:
        await self._ready.wait()
        if self._broken:
            raise SessionError(self._broken)

    def _answered(self, number: str, result: Json, error: str | None) -> None:
        future = self._answers.get(number)
        if future is None or future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(SessionError(error))

    def _pushed(self, arguments: list[Json]) -> None:
        value = arguments[0] if arguments else None
        if len(self.report.pushes) < MAX_PUSHES:
            self.report.pushes.append((perf_counter() - self._start, value))
            self.pushed.put_nowait(value)


async def _wait(future: "asyncio.Future[Json]") -> Json:
    return await future
