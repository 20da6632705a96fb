"""One robot of a fleet: the SignalR connection, and how Microsoft's .NET client restores it.

Sources for SignalR 2: SignalR/SignalR Client/Transports/WebSocketTransport.cs (DoReconnect: at once, then every 2 s),
Connection.cs (it gives up after the server's DisconnectTimeout, 30 s), HeartbeatMonitor.cs (lost after 20 s without a
message, the server's KeepAliveTimeout). For SignalR Core: dotnet/aspnetcore DefaultRetryPolicy.cs (after
0, 2, 10 and 30 s), HubConnection.cs (ServerTimeout, 30 s). UiPath documents the heartbeat: every 30 s, and after four
missed ones the robot is Unresponsive. What UiPath's robot does when the SignalR client has given up is not documented:
see FleetPlan.restart.
"""

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final
from urllib.parse import quote

from wsproto.utilities import generate_nonce

from ...net.client import Target, WireError
from ...net.http1 import Response, request_head
from .gate import Gate
from .wire import Wire

HEARTBEAT_SECONDS: Final = 30.0
MISSED: Final = 4
"""Missed heartbeats after which a robot is Unresponsive."""
CLASSIC_RETRY: Final = 2.0
CLASSIC_GIVES_UP: Final = 30.0
CLASSIC_SILENCE: Final = 20.0
CORE_RETRIES: Final = (0.0, 2.0, 10.0, 30.0)
CORE_SILENCE: Final = 30.0
STEP_SECONDS: Final = 15.0
"""The timeout of SignalR Core's handshake, and of the first message of SignalR 2."""
REQUEST_SECONDS: Final = 120.0
"""The timeout of a request: HttpConnection.cs of SignalR Core. SignalR 2 has none."""
END: Final = "\x1e"
HANDSHAKE: Final = '{"protocol":"json","version":1}' + END
CORE_HEARTBEAT: Final = '{"type":1,"invocationId":"1","target":"Echo","arguments":[1]}' + END
CLASSIC_HEARTBEAT: Final = '{"I":"1","H":"echohub","M":"Echo","A":[1]}'
HUBS: Final = quote('[{"Name":"echohub"}]', safe="[:]")


@dataclass(frozen=True, kw_only=True)
class FleetPlan:
    """What all robots of a fleet have in common. Times are in seconds."""

    target: Target
    generation: str
    """`classic` or `core`."""
    path: str
    """The path of SignalR (classic), or of the hub (core)."""
    page: str = "/odata/Jobs"
    """The page that a robot requests after each connection."""
    network: str = "127.3"
    """The first two numbers of the robots' own addresses."""
    heartbeat: float = HEARTBEAT_SECONDS
    restart: float = 5.0
    """How long a robot waits until it connects again, after SignalR's client has given up. Not documented by UiPath."""


@dataclass
class Robot:
    """One robot. Times are those of `perf_counter`."""

    plan: FleetPlan
    local: tuple[str, int] | None
    """Its own address, so that addresses select nodes as in production and ports do not end."""
    node: str = ""
    connected: bool = False
    ends: int = 0
    """How often its connection ended."""
    back: float = 0.0
    """When it got its present connection."""
    absence: float = 0.0
    """Its longest time without a connection, in seconds, after the first one."""
    contact: float = field(default_factory=perf_counter)
    """When a node last answered a heartbeat or a connection."""
    gap: float = 0.0
    """The longest time between two contacts."""
    token: str = ""
    wire: Wire | None = None
    pushes: int = 0
    """The messages of the hub that it received."""
    failures: Counter[str] = field(default_factory=Counter)
    """The attempts to connect that failed, by reason; all robots of a fleet share it."""
    resumed: int = 0
    """How many of its connections resumed a TLS session, as Windows does."""
    wires: int = 0
    """The number of its TLS connections."""
    _pages: Wire | None = None
    """The connection for requests during a login. .NET keeps it for a minute or longer; a fleet would need a third more
    open files for that."""
    _gate: Gate = field(default_factory=Gate)
    _session: ssl.SSLSession | None = None
    _cookies: dict[str, str] = field(default_factory=dict)
    _heard: float = 0.0
    _away: float | None = None
    _greeted: asyncio.Event = field(default_factory=asyncio.Event)

    async def live(self, phase: float, gate: Gate) -> None:
        """Stay connected until cancelled; the first heartbeat comes after `phase` seconds.

        The gate limits how many robots connect at once.
        """
        beat = perf_counter() + phase
        self._gate = gate
        try:
            await self._start()
            while True:
                beat = await self._hold(beat)
                self.connected = False
                self.ends += 1
                self._away = perf_counter()
                if not await self._restored():
                    await asyncio.sleep(self.plan.restart)
                    await self._start()
        finally:
            self.connected = False
            if self.wire is not None:
                self.wire.abort()

    def meet(self) -> None:
        """Record a contact with a node."""
        now = perf_counter()
        self.gap, self.contact = max(self.gap, now - self.contact), now

    async def _start(self) -> None:
        """Begin a new session, until one succeeds."""
        while not await self._tried(self._new):
            await asyncio.sleep(self.plan.restart)

    async def _tried(self, work: Callable[[], Awaitable[None]]) -> bool:
        try:
            async with self._gate.slot():
                if self._away is None:
                    self.contact = perf_counter()  # its life begins now
                await work()
        except (WireError, ValueError, KeyError) as error:
            self.failures[error.kind if isinstance(error, WireError) else "bad response"] += 1
            if self.wire is not None:
                self.wire.abort()
            return False
        self.back = perf_counter()
        if self._away is not None:
            self.absence = max(self.absence, self.back - self._away)
        self.connected = True
        self.meet()
        return True

    async def _restored(self) -> bool:
        """Restore the session as the client does; False when it gives up."""
        if self.plan.generation == "core":
            for wait in CORE_RETRIES:
                await asyncio.sleep(wait)
                if await self._tried(self._new):
                    return True
            return False
        deadline = perf_counter() + CLASSIC_GIVES_UP
        while perf_counter() < deadline:
            if await self._tried(self._reconnect):
                return True
            await asyncio.sleep(CLASSIC_RETRY)
        return False

    async def _hold(self, beat: float) -> float:
        """Send heartbeats until the connection ends or the server is silent; return the time of the next one."""
        wire = self._open()
        silence = CORE_SILENCE if self.plan.generation == "core" else CLASSIC_SILENCE
        while not wire.ended.done():
            now = perf_counter()
            if now - self._heard >= silence:
                wire.abort()
                break
            if now >= beat:
                self._call()
                beat = max(beat + self.plan.heartbeat, now)
            await asyncio.wait([wire.ended], timeout=min(beat, self._heard + silence) - now)
        return beat

    def _call(self) -> None:
        self._open().send_text(CORE_HEARTBEAT if self.plan.generation == "core" else CLASSIC_HEARTBEAT)

    def _open(self) -> Wire:
        """Return the present connection. Raises WireError without one."""
        if self.wire is None:
            raise WireError("closed")
        return self.wire

    async def _new(self) -> None:
        """Negotiate, connect, start, and request one page, as after a login."""
        try:
            await self._login()
        finally:
            if self._pages is not None:
                self._pages.abort()
                self._pages = None

    async def _login(self) -> None:
        plan = self.plan
        if plan.generation == "core":
            answer = json.loads(await self._get("POST", f"{plan.path}/negotiate?negotiateVersion=1"))
            await self._socket(f"{plan.path}?id={answer['connectionToken']}")
            self._open().send_text(HANDSHAKE)
        else:
            answer = json.loads(
                await self._get("GET", f"{plan.path}/negotiate?clientProtocol=2.1&connectionData={HUBS}")
            )
            self.token = quote(answer["ConnectionToken"], safe="")
            await self._socket(self._url("connect"))
        await self._welcome()
        if plan.generation == "classic":
            await self._get("GET", self._url("start"))
        await self._get("GET", plan.page)

    async def _reconnect(self) -> None:
        await self._socket(self._url("reconnect"))

    def _url(self, verb: str) -> str:
        query = f"clientProtocol=2.1&transport=webSockets&connectionData={HUBS}&connectionToken={self.token}"
        return f"{self.plan.path}/{verb}?{query}"

    async def _welcome(self) -> None:
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await self._greeted.wait()
        except TimeoutError:
            raise WireError("timeout") from None

    async def _socket(self, path: str) -> None:
        """Open the WebSocket. Raises WireError unless the response is 101."""
        self.wire = wire = await self._connection()
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": generate_nonce().decode(),
        }
        response = await wire.ask(self._request("GET", path, upgrade), REQUEST_SECONDS, upgrade=True)
        if response.status != 101:
            raise WireError(f"http {response.status}")
        self._remember(response)
        self.node = response.header(b"x-node")
        self._heard = perf_counter()
        self._greeted = asyncio.Event()
        wire.listen(self._received)

    def _received(self, text: str) -> None:
        self._heard = perf_counter()
        self._greeted.set()
        if '"I":"1"' in text or '"invocationId":"1"' in text:
            self.meet()
        elif '"message"' in text:  # the name of the simulated hub's client method
            self.pushes += 1

    async def _get(self, method: str, path: str) -> bytes:
        """Send one request on the kept connection for pages. Raises WireError unless the status is 2xx."""
        if self._pages is None:
            self._pages = await self._connection()
        more = {"Content-Length": "0"} if method == "POST" else {}
        response = await self._pages.ask(self._request(method, path, more), REQUEST_SECONDS)
        if self._session is None:
            self._session = self._pages.session
        if not response.keep:
            self._pages.abort()
            self._pages = None
        self._remember(response)
        if not 200 <= response.status < 300:
            raise WireError(f"http {response.status}")
        return response.body

    async def _connection(self) -> Wire:
        """Open a connection; a TLS session that the server has forgotten is replaced after the next response."""
        wire = await Wire.to(self.plan.target, self.local, REQUEST_SECONDS, self._session)
        self.wires += 1
        self.resumed += wire.reused
        if not wire.reused:
            self._session = None
        return wire

    def _request(self, method: str, path: str, more: Mapping[str, str]) -> bytes:
        headers = {"Host": self.plan.target.host, **more}
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return request_head(method, path, headers)

    def _remember(self, response: Response) -> None:
        """Keep the cookies, as .NET's CookieContainer does."""
        for line in response.headers(b"set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name.strip()] = value
