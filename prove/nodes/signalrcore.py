"""ASP.NET Core SignalR (Orchestrators from 2020.10 on), the server's side: three transports, JSON hub protocol.

Source: dotnet/aspnetcore HttpConnectionDispatcher.cs, LongPollingServerTransport.cs,
ServerSentEventsServerTransport.cs, HubConnectionHandler.cs, DefaultHubDispatcher.cs, HubProtocol.md, and
JsonHubProtocol.cs, which compares the names of fields exactly. The node answers as a server of version 8 without
stateful reconnect, which is off by default: the negotiation does not offer it, and acknowledgements and sequence
numbers are ignored. A negotiated connection belongs to the node that negotiated it: any other node answers 404 "No
Connection with that ID". Without affinity only a client that skips the negotiation (only WebSockets can) works through
a load balancer.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

from aiohttp import WSMsgType, web

from .aspnet import Parameters
from .bus import Bus
from .hub import Hub, UnknownMethodError
from .hub_connection import END, HubConnection, refused_handshake
from .options import NodeOptions
from .pages import json_answer
from .sockets import Streams

MAX_CONNECTIONS = 100_000
MAX_MESSAGE = 32 * 1024
"""HubOptions.MaximumReceiveMessageSize."""
UNUSED_SECONDS = 15.0
"""HttpConnectionManager removes an unused negotiated connection after its DisconnectTimeout."""

AVAILABLE = [
    {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]},
    {"transport": "ServerSentEvents", "transferFormats": ["Text"]},
    {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]},
]
UNKNOWN_CONNECTION = "No Connection with that ID"


class SignalRCore:
    """Answers `<hub path>` and `<hub path>/negotiate`."""

    def __init__(self, options: NodeOptions, bus: Bus, streams: Streams) -> None:
        self._options = options
        self._bus = bus
        self._streams = streams
        self._hub = Hub(options.name, bus)
        self._paths = frozenset(path.lower().rstrip("/") for path in options.hub_paths)
        self._connections: dict[str, HubConnection] = {}

    def owns(self, path: str) -> bool:
        """Return whether the lower-cased path is a hub or its negotiation."""
        return path.removesuffix("/negotiate") in self._paths

    async def handle(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Answer one request."""
        if path.endswith("/negotiate"):
            return self._negotiate(request)
        match request.method:
            case "POST":
                return await self._send(request)
            case "DELETE":
                return self._delete(request)
            case "GET":
                return await self._get(request)
        return web.Response(status=405)

    def _create(self, version: int) -> HubConnection:
        self._forget_unused()
        connection_id = secrets.token_urlsafe(16)
        token = secrets.token_urlsafe(16) if version else connection_id
        connection = HubConnection(connection_id, token, self._bus.subscribe(connection_id))
        self._connections[token] = connection
        return connection

    def _forget_unused(self) -> None:
        limit = monotonic() - UNUSED_SECONDS
        idle = [token for token, known in self._connections.items() if not known.transport and known.last_used < limit]
        for token in idle:
            del self._connections[token]
        while len(self._connections) >= MAX_CONNECTIONS:
            self._connections.pop(next(iter(self._connections))).close()

    def _negotiate(self, request: web.BaseRequest) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405)
        try:
            version = int(Parameters(request.rel_url.query.items()).get("negotiateVersion") or 0)
        except ValueError:
            return json_answer({"error": "The client requested a non-integer protocol version."})
        if version < 0:
            refused = f"The client requested version '{version}', but the server does not support this version."
            return json_answer({"error": refused})
        version = min(version, 1)
        connection = self._create(version)
        answer: dict[str, Any] = {"negotiateVersion": version, "connectionId": connection.connection_id}
        if version:
            answer["connectionToken"] = connection.token
        answer["availableTransports"] = AVAILABLE
        return json_answer(answer)

    def _find(self, request: web.BaseRequest) -> HubConnection | web.Response:
        token = Parameters(request.rel_url.query.items()).get("id")
        if not token:
            return web.Response(status=400, text="Connection ID required")
        return self._connections.get(token) or web.Response(status=404, text=UNKNOWN_CONNECTION)

    async def _get(self, request: web.BaseRequest) -> web.StreamResponse:
        if "text/event-stream" in request.headers.get("Accept", ""):
            transport, serve = "ServerSentEvents", self._events
        elif request.headers.get("Upgrade", "").lower() == "websocket":
            transport, serve = "WebSockets", self._websocket
        else:
            transport, serve = "LongPolling", self._poll
        if transport == "WebSockets" and Parameters(request.rel_url.query.items()).get("id") is None:
            found: HubConnection | web.Response = self._create(1)
        else:
            found = self._find(request)
        if isinstance(found, web.Response):
            return found
        if found.transport and (found.transport != transport or transport != "LongPolling"):
            status = 409 if found.transport == transport else 400
            return web.Response(status=status, text="Cannot change transports mid-connection")
        found.transport = transport
        found.last_used = monotonic()
        return await serve(request, found)

    async def _send(self, request: web.BaseRequest) -> web.Response:
        found = self._find(request)
        if isinstance(found, web.Response):
            return found
        if found.transport == "WebSockets":
            return web.Response(status=405, text="POST requests are not allowed for WebSocket connections.")
        await self._receive(found, await request.text())
        return web.Response(content_type="text/plain")

    def _delete(self, request: web.BaseRequest) -> web.Response:
        found = self._find(request)
        if isinstance(found, web.Response):
            return found
        if found.transport != "LongPolling":
            return web.Response(status=400, text="Cannot terminate this connection using the DELETE endpoint.")
        self._remove(found)
        return web.Response(status=202, content_type="text/plain")

    def _remove(self, connection: HubConnection) -> None:
        self._connections.pop(connection.token, None)
        connection.close()

    async def _receive(self, connection: HubConnection, text: str) -> None:
        *messages, connection.partial = (connection.partial + text).split(END)
        for message in messages:
            try:
                ask = json.loads(message)
            except ValueError:
                connection.close()
                return
            await self._message(connection, ask)

    async def _message(self, connection: HubConnection, ask: dict[str, Any]) -> None:
        if not connection.greeted:
            connection.greeted = True
            if refused := refused_handshake(ask):
                connection.put({"error": refused})
                connection.close()
            else:
                connection.put({})
        elif ask.get("type") == 1:
            await self._invoke(connection, ask)
        elif ask.get("type") == 4:
            connection.put({"type": 3, "invocationId": ask.get("invocationId"), "error": "Nothing streams here"})
        elif "type" not in ask:
            connection.put({"type": 7, "error": "Connection closed with an error."})
            connection.close()
        elif ask["type"] == 7:
            connection.close()

    async def _invoke(self, connection: HubConnection, ask: dict[str, Any]) -> None:
        number = ask.get("invocationId")
        answer: dict[str, Any] = {"type": 3, "invocationId": number}
        try:
            result = await self._hub.invoke(
                connection.connection_id, str(ask.get("target")), list(ask.get("arguments") or [])
            )
            answer["result"] = result
        except UnknownMethodError as fault:
            answer["error"] = f"Unknown hub method '{fault.args[0]}'"
        if number is not None:
            connection.put(answer)

    async def _pushes(self, connection: HubConnection) -> None:
        """Move the messages of the bus for this client into its outbox, until the transport ends."""
        while not connection.closed:
            for message in await connection.subscription.next(None):
                if connection.greeted:
                    connection.put({"type": 1, "target": "message", "arguments": message.arguments})
            connection.subscription.take_joined()  # SignalR Core has no groups token
            if connection.subscription.aborted:
                connection.close()

    async def _outgoing(self, connection: HubConnection) -> AsyncIterator[str]:
        """Yield outgoing messages, with a ping after `core_ping` idle seconds, until the connection ends."""
        while True:
            text = connection.take()
            if text:
                yield text
                continue
            if connection.closed:
                return
            try:
                async with asyncio.timeout(self._options.core_ping or None):
                    await connection.wake.wait()
            except TimeoutError:
                if connection.greeted:
                    connection.put({"type": 6})

    async def _websocket(self, request: web.BaseRequest, connection: HubConnection) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False, max_msg_size=MAX_MESSAGE, timeout=1.0)
        socket.headers["X-Node"] = self._options.name
        await socket.prepare(request)
        with self._streams.open("websocket"):
            tasks = [
                asyncio.create_task(self._pushes(connection)),
                asyncio.create_task(self._drain_to_socket(socket, connection)),
            ]
            try:
                async for message in socket:
                    if message.type is WSMsgType.TEXT:
                        await self._receive(connection, message.data)
            finally:
                self._remove(connection)
                for task in tasks:
                    task.cancel()
        return socket

    async def _drain_to_socket(self, socket: web.WebSocketResponse, connection: HubConnection) -> None:
        try:
            async for text in self._outgoing(connection):
                await socket.send_str(text)
            await socket.close()
        except ConnectionError:
            return

    async def _events(self, request: web.BaseRequest, connection: HubConnection) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-cache,no-store",
                "Pragma": "no-cache",
                "Content-Encoding": "identity",
                "X-Node": self._options.name,
            }
        )
        with self._streams.open("sse"):
            pushes = asyncio.create_task(self._pushes(connection))
            try:
                await response.prepare(request)
                await response.write(b":\r\n")
                async for text in self._outgoing(connection):
                    await response.write(f"data: {text}\r\n\r\n".encode())
                await response.write_eof()
            finally:
                pushes.cancel()
                self._remove(connection)
        return response

    async def _poll(self, request: web.BaseRequest, connection: HubConnection) -> web.StreamResponse:
        del request
        connection.polls += 1
        number = connection.polls
        connection.wake.set()  # ends an earlier poll that still waits
        if number == 1:
            return web.Response(content_type="text/plain")  # the first poll only confirms the connection
        with self._streams.open("poll"):
            pushes = asyncio.create_task(self._pushes(connection))
            try:
                return await self._poll_answer(connection, number)
            finally:
                pushes.cancel()

    async def _poll_answer(self, connection: HubConnection, number: int) -> web.Response:
        deadline = monotonic() + self._options.core_poll_seconds
        while not connection.outbox:
            if connection.closed or connection.polls != number:
                return web.Response(status=204)
            connection.wake.clear()
            try:
                async with asyncio.timeout(deadline - monotonic()):
                    await connection.wake.wait()
            except TimeoutError:
                return web.Response(content_type="text/plain")
        return web.Response(body=connection.take().encode(), content_type="application/octet-stream")
