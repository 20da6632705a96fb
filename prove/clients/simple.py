"""Small clients for tests and scenarios: one request, held WebSockets, an event stream reader.

They only use loopback: a name in a URL is sent as Host and SNI, and the connection goes to 127.0.0.1.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from ...net.client import Connection, Target, client_tls
from ...net.http1 import Response
from ...net.loopback import local_port, require_loopback
from ...net.loops import LoopThread, run, settle

Json = Any
"""JSON of any shape, and values that aiohttp does not type."""
MAX_SOCKETS = 5000
OPEN_AT_ONCE = 50
CLOSE_SECONDS = 0.5


class LoopbackResolver(AbstractResolver):
    """Resolves every name to one loopback address."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self._address = require_loopback(address)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the one address."""
        del family
        here = local_port(host, port)
        return [ResolveResult(hostname=host, host=self._address, port=here, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing to close."""


class LoopbackConnector(aiohttp.TCPConnector):
    """Connects to one loopback address, and closes every connection when it is closed.

    aiohttp does not wait for the TLS close of a connection that it has dropped, and a peer that hangs never sends one.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(ssl=tls, resolver=LoopbackResolver(), use_dns_cache=False, limit=0)
        self._transports: list[asyncio.Transport] = []

    async def _create_connection(self, *arguments: Json, **options: Json) -> Json:
        protocol = await super()._create_connection(*arguments, **options)
        if protocol.transport is not None:
            self._transports.append(protocol.transport)
        return protocol

    async def close(self, *, abort_ssl: bool = True) -> None:
        """Close every connection at once."""
        await super().close(abort_ssl=abort_ssl)
        for transport in self._transports:
            transport.abort()
        self._transports.clear()
        await settle()


def open_session(
    ca: Path | None = None, *, verify: bool = True, cookies: bool = False, timeout: float = 30.0
) -> aiohttp.ClientSession:
    """Return an aiohttp session that only connects to 127.0.0.1; the caller closes it."""
    tls: ssl.SSLContext = client_tls(str(ca) if ca else None, verify=verify)
    return aiohttp.ClientSession(
        connector=LoopbackConnector(tls),
        cookie_jar=aiohttp.CookieJar(unsafe=True) if cookies else aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout),
    )


@dataclass(frozen=True)
class Fetched:
    """A response: status, headers in their order, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    seconds: float

    def header(self, name: str) -> str:
        """Return the first header of that name, any case, or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def json(self) -> Json:
        """Return the decoded body."""
        return json.loads(self.body)


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    host: str | None = None,
    ca: Path | None = None,
    verify: bool = True,
    timeout: float = 10.0,
) -> Fetched:
    """Send one request exactly as given, on a new connection, and return the response. Follows no redirect.

    >>> fetch(f"{url}/x", headers={"X-Forwarded-For": "6.6.6.6"}).status  # doctest: +SKIP
    200
    """
    target = Target.of(url, host=host, ca=str(ca) if ca else None, verify=verify)
    rest = "/" + url.split("://", 1)[1].partition("/")[2]
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.insert(0, ("Host", target.host))
    if body and not any(name.lower() == "content-length" for name, _ in pairs):
        pairs.append(("Content-Length", str(len(body))))
    head = f"{method} {rest} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in pairs)
    start = perf_counter()
    answer = run(_exchange(target, head.encode("latin-1") + b"\r\n" + body, method == "HEAD", timeout))
    lines = [line.partition(":") for line in answer.head.decode("latin-1").split("\r\n")[1:]]
    return Fetched(
        answer.status,
        [(name, value.strip()) for name, _, value in lines],
        answer.body,
        perf_counter() - start,
    )


async def _exchange(target: Target, data: bytes, head_only: bool, timeout: float) -> Response:
    async with asyncio.timeout(timeout):
        connection = await Connection.to(target)
        try:
            return await connection.send(data, head_only=head_only)
        finally:
            connection.abort()


@dataclass
class SocketReport:
    """The history of one WebSocket. Times are seconds since the holder started; None: not yet."""

    number: int
    opened: float | None = None
    closed: float | None = None
    close_code: int | None = None
    """The WebSocket close code; 1006 if the connection ended without one."""
    error: str = ""
    node: str = ""
    echoes: int = 0
    worst_echo: float = 0.0
    """The longest wait for an echo, seconds."""

    @property
    def alive(self) -> bool:
        """Whether the socket is open."""
        return self.opened is not None and self.closed is None

    @property
    def lived(self) -> float | None:
        """Seconds from opening to the end; None while open or if it never opened."""
        return None if self.opened is None or self.closed is None else self.closed - self.opened


@dataclass(frozen=True, kw_only=True)
class SocketPlan:
    """The WebSockets to hold."""

    url: str
    """http(s) or ws(s), the path included: `f"{node.url}/ws"`."""
    count: int = 1
    echo_every: float | None = None
    """Seconds between messages; None: idle, no byte is sent."""
    ca: Path | None = None
    verify: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    open_timeout: float = 10.0

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_SOCKETS:
            raise ValueError(f"1 to {MAX_SOCKETS} sockets")


class SocketHolder:
    """Holds WebSockets open and monitors them, in its own thread.

    with SocketHolder(SocketPlan(url=f"{url}/ws", count=50, echo_every=0.5)) as sockets:
        balancer.reload()
        time.sleep(3)
        assert sockets.alive == 50
    """

    def __init__(self, plan: SocketPlan) -> None:
        self.plan = plan
        self.reports = [SocketReport(number) for number in range(plan.count)]
        self._thread = LoopThread()
        self._session: aiohttp.ClientSession | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._start = 0.0

    def __enter__(self) -> Self:
        self._thread.__enter__()
        self._start = perf_counter()
        try:
            self._thread.call(self._open_all(), self.plan.open_timeout + 5)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._thread.call(self._close_all())
        finally:
            self._thread.__exit__()

    @property
    def alive(self) -> int:
        """The number of open sockets."""
        return sum(1 for report in self.reports if report.alive)

    @property
    def now(self) -> float:
        """Seconds since the start, as in the reports."""
        return perf_counter() - self._start

    def wait_closed(self, seconds: float, count: int | None = None) -> bool:
        """Wait until `count` (default: all) sockets have ended; False if that takes longer than `seconds`."""
        wanted = self.plan.count if count is None else count
        return self._thread.call(self._wait_closed(wanted, seconds), seconds + 5)

    async def _wait_closed(self, wanted: int, seconds: float) -> bool:
        deadline = perf_counter() + seconds
        while self.plan.count - self.alive < wanted:
            if perf_counter() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    async def _open_all(self) -> None:
        self._session = open_session(self.plan.ca, verify=self.plan.verify, timeout=self.plan.open_timeout)
        gate = asyncio.Semaphore(OPEN_AT_ONCE)
        opened = [asyncio.Event() for _ in self.reports]
        self._tasks = [
            asyncio.create_task(self._hold(report, event, gate))
            for report, event in zip(self.reports, opened, strict=True)
        ]
        async with asyncio.timeout(self.plan.open_timeout + 2):
            for event in opened:
                await event.wait()

    async def _hold(self, report: SocketReport, opened: asyncio.Event, gate: asyncio.Semaphore) -> None:
        assert self._session is not None  # noqa: S101 - set by the only caller, for mypy
        try:
            async with gate:
                socket_ = await self._session.ws_connect(
                    self.plan.url, headers=self.plan.headers, compress=0, max_msg_size=0
                )
            report.node = socket_._response.headers.get("X-Node", "")  # noqa: SLF001 - no public way
            report.opened = self.now
            opened.set()
            try:
                await self._watch(socket_, report)
            finally:
                report.closed = self.now
                with suppress(TimeoutError):  # a node that hangs does not answer the closing handshake
                    await asyncio.wait_for(socket_.close(), CLOSE_SECONDS)
        except aiohttp.WSServerHandshakeError as fault:
            report.error = f"http {fault.status}"
        except (aiohttp.ClientError, OSError, TimeoutError) as fault:
            report.error = type(fault).__name__
        finally:
            opened.set()

    async def _watch(self, socket_: aiohttp.ClientWebSocketResponse, report: SocketReport) -> None:
        pulse = asyncio.create_task(self._pulse(socket_, report)) if self.plan.echo_every else None
        try:
            async for message in socket_:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._echoed(message.data, report)
        finally:
            report.close_code = socket_.close_code
            if pulse is not None:
                pulse.cancel()

    def _echoed(self, text: str, report: SocketReport) -> None:
        node, _, sent = text.partition("|")
        report.node = node
        report.echoes += 1
        if sent:
            report.worst_echo = max(report.worst_echo, self.now - float(sent))

    async def _pulse(self, socket_: aiohttp.ClientWebSocketResponse, report: SocketReport) -> None:
        assert self.plan.echo_every is not None  # noqa: S101 - checked by the only caller, for mypy
        # Distributed over the period, so that hundreds of sockets do not send in the same millisecond.
        await asyncio.sleep(self.plan.echo_every * report.number / self.plan.count)
        while not socket_.closed:
            try:
                await socket_.send_str(f"{self.now:.6f}")
            except (aiohttp.ClientError, ConnectionError):
                return
            await asyncio.sleep(self.plan.echo_every)

    async def _close_all(self) -> None:
        # These sockets are closed by this client: the reports keep them as alive.
        alive = [report for report in self.reports if report.alive]
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for report in alive:
            report.closed = report.close_code = None
        if self._session is not None:
            await self._session.close()


@dataclass
class StreamReport:
    """The events of a stream: (seconds since the request was sent, data)."""

    status: int
    headers: dict[str, str]
    arrivals: list[tuple[float, str]] = field(default_factory=list)
    error: str = ""


def read_events(
    url: str, *, count: int = 20, seconds: float = 30.0, ca: Path | None = None, verify: bool = True
) -> StreamReport:
    """Read up to `count` server-sent events for at most `seconds`.

    >>> len(read_events(f"{url}/sse?every=100&count=10").arrivals)     # doctest: +SKIP
    10
    """
    return run(_read_events(url, count, seconds, ca, verify))


async def _read_events(url: str, count: int, seconds: float, ca: Path | None, verify: bool) -> StreamReport:
    start = perf_counter()
    report = StreamReport(0, {})
    async with open_session(ca, verify=verify, timeout=seconds) as session:
        try:
            async with session.get(url, headers={"Accept": "text/event-stream"}) as response:
                report.status, report.headers = response.status, dict(response.headers)
                async for line in response.content:
                    if line.startswith(b"data:"):
                        report.arrivals.append((perf_counter() - start, line[5:].strip().decode()))
                    if len(report.arrivals) >= count:
                        break
        except (aiohttp.ClientError, TimeoutError) as fault:
            report.error = type(fault).__name__
    return report
