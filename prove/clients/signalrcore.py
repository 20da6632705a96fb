"""The client's side of ASP.NET Core SignalR, JSON hub protocol, after HubProtocol.md and @microsoft/signalr."""

import asyncio
import json
from time import perf_counter
from typing import Any

import aiohttp

from .hub_client import HubClient, SessionError

END = "\x1e"


class SignalrCoreClient(HubClient):
    """negotiate → connect → handshake → invocations ... → close."""

    _query = ""
    _socket: aiohttp.ClientWebSocketResponse | None = None
    _greeted = False
    _partial = ""

    async def open(self) -> None:
        """Run the steps until the server answers the handshake."""
        if not self.plan.skip_negotiation:
            await self._step("negotiate", self._negotiate())
        await self._step("connect", self._connect())
        await self._step("start", self._send(json.dumps({"protocol": "json", "version": 1}) + END))
        await self._step("start", self._until_ready())

    async def _negotiate(self) -> None:
        url = f"{self.plan.endpoint}/negotiate?negotiateVersion=1"
        answer = json.loads(await self._text("POST", url))
        self._query = f"?id={answer.get('connectionToken') or answer['connectionId']}"

    async def _connect(self) -> None:
        url = self.plan.endpoint + self._query
        match self.plan.transport:
            case "webSockets":
                self._socket = await self._open_socket(url)
                self._read(self._read_socket(self._socket))
            case "serverSentEvents":
                opened = asyncio.Event()
                self._read(self._read_events(url, opened))
                await self._opened_or_ended(opened)
            case "longPolling":
                await self._text("GET", url)
                self._read(self._read_polls(url))

    async def _opened_or_ended(self, opened: asyncio.Event) -> None:
        """Wait until the stream is open or the reader has ended."""
        waiter = asyncio.create_task(opened.wait())
        assert self._reader is not None  # noqa: S101 - started by the only caller, for mypy
        await asyncio.wait({waiter, self._reader}, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        if self._broken:
            raise SessionError(self._broken)

    async def _read_socket(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self._received(message.data)

    async def _read_events(self, url: str, opened: asyncio.Event) -> None:
        async with self.http.get(url, headers={"Accept": "text/event-stream"}) as response:
            self._note_node(response)
            if response.status != 200:
                raise SessionError(f"http {response.status} {(await response.text())[:80]}")
            opened.set()
            async for line in response.content:
                if line.startswith(b"data: "):
                    self._received(line.decode().removeprefix("data: ").rstrip("\r\n"))

    async def _read_polls(self, url: str) -> None:
        while True:
            async with self.http.get(url) as response:
                self._note_node(response)
                text = await response.text()
                if response.status == 204:
                    return
                if response.status != 200:
                    raise SessionError(f"http {response.status} {text[:80]}")
            self._received(text)

    def _received(self, text: str) -> None:
        self._heard = perf_counter()
        *messages, self._partial = (self._partial + text).split(END)
        for raw in messages:
            self._message(json.loads(raw))

    def _message(self, message: dict[str, Any]) -> None:
        if not self._greeted:
            self._greeted = True
            if "error" in message:
                raise SessionError(message["error"])
            self._ready.set()
            return
        match message.get("type"):
            case 1:
                self._pushed(message.get("arguments", []))
            case 3:
                self._answered(str(message["invocationId"]), message.get("result"), message.get("error"))
            case 6:
                self.report.keep_alives += 1

    async def _send(self, text: str) -> None:
        if self._socket is not None:
            await self._socket.send_str(text)
        else:
            await self._text("POST", self.plan.endpoint + self._query, data=text.encode())

    async def _call(self, number: str, method: str, arguments: list[Any]) -> None:
        ask = {"type": 1, "invocationId": number, "target": method, "arguments": arguments}
        await self._send(json.dumps(ask) + END)

    async def _goodbye(self) -> None:
        if self._socket is not None:
            async with asyncio.timeout(1):
                await self._socket.close()
        elif self.plan.transport == "longPolling" and self._query and not self._broken:
            await self._text("DELETE", self.plan.endpoint + self._query)
