"""SignalR sessions from the client's side, both generations, each transport: what a robot or a browser does.

    report = run_session(SessionPlan(url=url, generation="classic", transport="longPolling"))
    assert report.ok, report.error

aiohttp repeats an idempotent request once when a kept-alive connection turns out to be closed, as browsers do.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp

from ...net.loops import run
from .simple import open_session

GENERATIONS = ("classic", "core")
TRANSPORTS = ("webSockets", "serverSentEvents", "longPolling")
MAX_PUSHES = 10_000


class SessionError(RuntimeError):
    """A step of a session failed; the report says which."""


@dataclass(frozen=True, kw_only=True)
class SessionPlan:
    """One session: where, how, and what to do in it. Times are in seconds."""

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
    """For each step."""
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
    """What happened. Times are seconds since the session began."""

    step: str = ""
    """The last step begun: negotiate, connect, start, send, hold, stop; `done` at the end."""
    error: str = ""
    nodes: list[str] = field(default_factory=list)
    """The node that answered each HTTP request, in order."""
    echoes: int = 0
    pushes: list[tuple[float, Any]] = field(default_factory=list)
    keep_alives: int = 0
    """Keep-alive frames (classic `{}`, core pings) that came through."""
    closed: float | None = None
    """When the connection ended without our asking."""
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
        self.pushed: asyncio.Queue[Any] = asyncio.Queue(MAX_PUSHES)
        self._start = perf_counter()
        self._ready = asyncio.Event()
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._count = 0
        self._reader: asyncio.Task[None] | None = None
        self._broken: str = ""
        self._closing = False

    @abstractmethod
    async def open(self) -> None:
        """Negotiate, connect, start."""

    @abstractmethod
    async def _call(self, number: str, method: str, arguments: list[Any]) -> None:
        """Send one hub call."""

    @abstractmethod
    async def _goodbye(self) -> None:
        """End the session in the way of the protocol."""

    async def invoke(self, method: str, *arguments: Any) -> Any:
        """Call a hub method and return its result; SessionError when the answer does not come."""
        number = str(self._count)
        self._count += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = future
        try:
            await self._step("send", self._call(number, method, list(arguments)))
            if self._broken:
                raise SessionError(self._broken)
            return await self._step("send", _wait(future))
        finally:
            self._answers.pop(number, None)
            if not future.cancel() and not future.cancelled():
                future.exception()  # seen here, so that asyncio does not report it once more

    async def close(self) -> None:
        """End the session; never hangs, and what fails here is part of the report."""
        self._closing = True
        with suppress(SessionError):
            await self._step("stop", self._goodbye())
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        self.report.seconds = perf_counter() - self._start

    async def _step(self, name: str, work: Coroutine[Any, Any, Any]) -> Any:
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
        self._met(socket._response)  # noqa: SLF001 - no public way to the answer's headers
        return socket

    async def _text(self, method: str, url: str, **arguments: Any) -> str:
        """Send a request and return the body; SessionError unless it is a 2xx."""
        async with self.http.request(method, url, **arguments) as response:
            self._met(response)
            text = await response.text()
            if not 200 <= response.status < 300:
                raise SessionError(f"http {response.status} {text[:80]}")
            return text

    def _met(self, response: aiohttp.ClientResponse) -> None:
        self.report.nodes.append(response.headers.get("X-Node", ""))

    def _read(self, work: Coroutine[Any, Any, None]) -> None:
        """Start the task that reads for as long as the connection lives."""
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

    def _answered(self, number: str, result: Any, error: str | None) -> None:
        future = self._answers.get(number)
        if future is None or future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(SessionError(error))

    def _pushed(self, arguments: list[Any]) -> None:
        value = arguments[0] if arguments else None
        if len(self.report.pushes) < MAX_PUSHES:
            self.report.pushes.append((perf_counter() - self._start, value))
            self.pushed.put_nowait(value)


async def _wait(future: "asyncio.Future[Any]") -> Any:
    return await future


def make_client(plan: SessionPlan, http: aiohttp.ClientSession) -> HubClient:
    """Return the client for the plan's generation."""
    if plan.generation == "classic":
        from .signalr2 import Signalr2Client

        return Signalr2Client(plan, http)
    from .signalrcore import SignalrCoreClient

    return SignalrCoreClient(plan, http)


def open_http(plan: SessionPlan) -> aiohttp.ClientSession:
    """Return the HTTP side of one session; the caller closes it."""
    # The whole-request limit must not cut a poll or stream that is meant to stay open.
    return open_session(plan.ca, verify=plan.verify, cookies=plan.cookies, timeout=24 * 3600.0)


async def session(plan: SessionPlan) -> SessionReport:
    """Run one session from negotiation to end and report; never raises for what the farm did."""
    async with open_http(plan) as http:
        client = make_client(plan, http)
        try:
            with suppress(SessionError):
                await client.open()
                for number in range(plan.echoes):
                    if number == 1 and plan.hold:
                        client.report.step = "hold"
                        await asyncio.sleep(plan.hold)
                    text = f"echo {number}"
                    if await client.invoke("Echo", text) == text:
                        client.report.echoes += 1
        finally:
            failed = client.report.step if client.report.error else ""
            await client.close()
        client.report.step = failed or ("done" if not client.report.error else client.report.step)
        return client.report


def run_session(plan: SessionPlan) -> SessionReport:
    """Run one session on a loop of its own (blocking)."""
    return run(session(plan))
