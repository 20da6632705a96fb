"""The client's side of ASP.NET SignalR 2, after jquery.signalR 2.4.3."""

import asyncio
import json
from time import perf_counter
from typing import Any
from urllib.parse import urlencode

import aiohttp

from .hub_client import HubClient, SessionError

CLIENT_PROTOCOL = "2.0"


class Signalr2Client(HubClient):
    """negotiate → connect → (init message) → start → send ... → abort."""

    _token = ""
    _cursor = ""
    _socket: aiohttp.ClientWebSocketResponse | None = None

    def _url(self, verb: str) -> str:
        query = {"transport": self.plan.transport, "clientProtocol": CLIENT_PROTOCOL}
        if self._token:
            query["connectionToken"] = self._token
        query["connectionData"] = json.dumps([{"name": self.plan.hub}], separators=(",", ":"))
        return f"{self.plan.endpoint}/{verb}?{urlencode(query)}"

    async def open(self) -> None:
        """Run the steps until the server answers `started`."""
        await self._step("negotiate", self._negotiate())
        await self._step("connect", self._connect())
        await self._step("connect", self._until_ready())
        await self._step("start", self._start_request())

    async def _negotiate(self) -> None:
        self._token = json.loads(await self._text("GET", self._url("negotiate")))["ConnectionToken"]

    async def _start_request(self) -> None:
        text = await self._text("GET", self._url("start"))
        if json.loads(text) != {"Response": "started"}:
            raise SessionError(text[:80])

    async def _connect(self) -> None:
        match self.plan.transport:
            case "webSockets":
                self._socket = await self._open_socket(self._url("connect"))
                self._read(self._read_socket(self._socket))
            case "serverSentEvents":
                self._read(self._read_events())
            case "longPolling":
                self._read(self._read_polls())

    async def _read_socket(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self._received(message.data)

    async def _read_events(self) -> None:
        headers = {"Accept": "text/event-stream"}
        async with self.http.get(self._url("connect"), headers=headers) as response:
            self._note_node(response)
            if response.status != 200:
                raise SessionError(f"http {response.status} {(await response.text())[:80]}")
            async for line in response.content:
                text = line.strip().decode()
                if text.startswith("data: ") and text != "data: initialized":
                    self._received(text.removeprefix("data: "))

    async def _read_polls(self) -> None:
        self._received(await self._text("POST", self._url("connect")))
        while True:
            body = await self._text("POST", self._url("poll"), data={"messageId": self._cursor})
            self.report.keep_alives += len(body) - len(body.lstrip(" "))
            self._received(body.strip())

    def _received(self, text: str) -> None:
        self._heard = perf_counter()
        if not text or text == "{}":
            self.report.keep_alives += 1
            return
        message: dict[str, Any] = json.loads(text)
        if "I" in message:
            self._answered(str(message["I"]), message.get("R"), message.get("E"))
            return
        self._cursor = message.get("C", self._cursor)
        for push in message.get("M", []):
            self._pushed(push.get("A", []))
        if "S" in message:
            self._ready.set()

    async def _call(self, number: str, method: str, arguments: list[Any]) -> None:
        data = json.dumps({"H": self.plan.hub, "M": method, "A": arguments, "I": number})
        if self._socket is not None:
            await self._socket.send_str(data)
            return
        self._received(await self._text("POST", self._url("send"), data={"data": data}))

    async def _goodbye(self) -> None:
        if self._token:
            await self._text("POST", self._url("abort"))
        if self._socket is not None:
            async with asyncio.timeout(1):
                await self._socket.close()
