"""ASP.NET SignalR 2 (classic Orchestrators, up to 2020.4), the server's side of protocol 1.2 to 2.0.

Sources: SignalR/SignalR PersistentConnection.cs (negotiate, start, ping, tokens, errors), ForeverTransport.cs,
LongPollingTransport.cs, ServerSentEventsTransport.cs, WebSocketTransport.cs, PersistentResponse.cs, HubResponse.cs,
ProtocolResolver.cs. A connection belongs to no node: any node that can decrypt the token serves its requests, and the
bus carries the messages. So a classic farm with a backplane and one machine key needs no affinity.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from .bus import ABORT, Bus, Message, Subscription
from .hub import Hub, UnknownMethodError
from .options import NodeOptions
from .sockets import Streams

VERBS = frozenset({"negotiate", "connect", "start", "ping", "poll", "send", "reconnect", "abort"})
TRANSPORTS = frozenset({"webSockets", "serverSentEvents", "longPolling", "foreverFrame"})
OLDEST, NEWEST = (1, 2), (2, 0)
MAX_MESSAGE = 64 * 1024
"""DefaultConfigurationManager.cs: the default of MaxIncomingWebSocketMessageSize."""

TRANSPORT_CONNECT_TIMEOUT = 5.0
LONG_POLL_DELAY = 0.0


class Tokens:
    """Connection tokens, signed under the machine key as ASP.NET's IProtectedData does."""

    def __init__(self, machine_key: str) -> None:
        self._key = hashlib.sha256(b"SignalR.ConnectionToken\0" + machine_key.encode()).digest()

    def protect(self, connection_id: str) -> str:
        """Return a token: base64 with `+`, `/` and `=`, which URLs must quote, like real tokens."""
        payload = f"{connection_id}:".encode()
        return base64.b64encode(hmac.digest(self._key, payload, "sha256") + payload).decode()

    def unprotect(self, token: str) -> str | None:
        """Return the connection id; None for a token of another key."""
        try:
            raw = base64.b64decode(token, validate=True)
        except ValueError:
            return None
        mark, payload = raw[:32], raw[32:]
        if not hmac.compare_digest(mark, hmac.digest(self._key, payload, "sha256")):
            return None
        return payload.decode().partition(":")[0]


def protocol_version(requested: str | None) -> str:
    """Return the protocol version: the client's, within the server's limits."""
    try:
        major, _, minor = (requested or "").partition(".")
        version = (int(major), int(minor or 0))
    except ValueError:
        version = OLDEST
    return "{}.{}".format(*min(max(version, OLDEST), NEWEST))


@dataclass(frozen=True, slots=True)
class Call:
    """The common parts of the requests of a connection."""

    request: web.BaseRequest
    verb: str
    transport: str
    connection_id: str
    hubs: tuple[str, ...]
    cursor: int | None


class SignalR2:
    """Answers `/signalr/<verb>`."""

    def __init__(self, options: NodeOptions, bus: Bus, streams: Streams) -> None:
        self._options = options
        self._bus = bus
        self._streams = streams
        self._hub = Hub(options.name, bus)
        self._tokens = Tokens(options.machine_key)
        self._prefix = options.signalr_path.lower().rstrip("/") + "/"

    def verb_of(self, path: str) -> str | None:
        """Return the verb of a lower-cased path; None for other paths."""
        verb = path.removeprefix(self._prefix) if path.startswith(self._prefix) else ""
        return verb if verb in VERBS else None

    async def handle(self, request: web.BaseRequest, verb: str) -> web.StreamResponse:
        """Answer one request."""
        query = request.rel_url.query
        if verb == "negotiate":
            return self._negotiate(request)
        if verb == "ping":
            return _json({"Response": "pong"})
        transport = query.get("transport", "")
        if transport not in TRANSPORTS:
            return _fail("Protocol error: Unknown transport.")
        token = query.get("connectionToken")
        if not token:
            return _fail("Protocol error: Missing connection token.")
        connection_id = self._tokens.unprotect(token)
        if not connection_id:
            return _fail("The ConnectionId is in the incorrect format.")
        form = await _form(request)
        cursor = form.get("messageId") or query.get("messageId")
        call = Call(
            request=request,
            verb=verb,
            transport=transport,
            connection_id=connection_id,
            hubs=_hub_names(query.get("connectionData")),
            cursor=_cursor_number(cursor),
        )
        return await self._connected(call, form)

    def _negotiate(self, request: web.BaseRequest) -> web.Response:
        options = self._options
        connection_id = str(uuid.uuid4())
        path = request.rel_url.raw_path
        return _json(
            {
                "Url": path[: -len("/negotiate")],
                "ConnectionToken": self._tokens.protect(connection_id),
                "ConnectionId": connection_id,
                "KeepAliveTimeout": options.keep_alive * 2 if options.keep_alive else None,
                "DisconnectTimeout": options.disconnect_timeout,
                "ConnectionTimeout": options.poll_seconds,
                "TryWebSockets": True,
                "ProtocolVersion": protocol_version(request.rel_url.query.get("clientProtocol")),
                "TransportConnectTimeout": TRANSPORT_CONNECT_TIMEOUT,
                "LongPollDelay": LONG_POLL_DELAY,
            }
        )

    async def _connected(self, call: Call, form: Mapping[str, str]) -> web.StreamResponse:
        match call.verb:
            case "start":
                return _json({"Response": "started"})
            case "abort":
                await self._bus.publish(ABORT, call.connection_id, [])
                return web.Response()
            case "send":
                data = form.get("data") or call.request.rel_url.query.get("data") or ""
                reply = await self._invoke(call, data)
                return _json(reply) if reply is not None else web.Response()
        match call.transport:
            case "webSockets":
                return await self._websocket(call)
            case "serverSentEvents":
                return await self._events(call)
            case "longPolling":
                return await self._poll(call)
        return _fail("Protocol error: Unknown transport.")

    async def _invoke(self, call: Call, data: str) -> dict[str, Any] | None:
        """Run a hub call {H, M, A, I} and return the answer {I, R}."""
        try:
            ask = json.loads(data)
            number, method = str(ask["I"]), str(ask["M"])
        except (ValueError, KeyError, TypeError):
            return None
        try:
            result = await self._hub.invoke(call.connection_id, method, list(ask.get("A") or []))
        except UnknownMethodError:
            return {"I": number, "E": f"'{method}' method could not be resolved."}
        return {"I": number} if result is None else {"I": number, "R": result}

    async def _websocket(self, call: Call) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False, max_msg_size=MAX_MESSAGE, timeout=1.0)
        if not socket.can_prepare(call.request):
            return _fail("Not a WebSocket request.")
        socket.headers["X-Node"] = self._options.name
        await socket.prepare(call.request)
        subscription = self._bus.subscribe(call.connection_id, call.cursor)
        with self._streams.open("websocket"):
            await socket.send_str(_persistent(subscription, [], call, init=call.verb == "connect"))
            pusher = asyncio.create_task(self._push_to_socket(socket, subscription, call))
            try:
                async for message in socket:
                    if message.type is WSMsgType.TEXT:
                        reply = await self._invoke(call, message.data)
                        if reply is not None:
                            await socket.send_str(_dump(reply))
            finally:
                pusher.cancel()
        return socket

    async def _push_to_socket(self, socket: web.WebSocketResponse, subscription: Subscription, call: Call) -> None:
        while not socket.closed:
            messages = await subscription.next(self._options.keep_alive or None)
            if subscription.aborted:
                await socket.close()
                return
            try:
                await socket.send_str(_persistent(subscription, messages, call) if messages else "{}")
            except ConnectionError:
                return

    async def _events(self, call: Call) -> web.StreamResponse:
        response = _stream(self._options.name, "text/event-stream; charset=UTF-8")
        subscription = self._bus.subscribe(call.connection_id, call.cursor)
        with self._streams.open("sse"):
            await response.prepare(call.request)
            first = _persistent(subscription, [], call, init=call.verb == "connect")
            await response.write(f"data: initialized\n\ndata: {first}\n\n".encode())
            while True:
                messages = await subscription.next(self._options.keep_alive or None)
                if subscription.aborted:
                    break
                text = _persistent(subscription, messages, call) if messages else "{}"
                await response.write(f"data: {text}\n\n".encode())
            await response.write_eof()
        return response

    async def _poll(self, call: Call) -> web.StreamResponse:
        """Hold a poll until a message arrives or `poll_seconds` are over; send a space every `keep_alive` seconds."""
        response = _stream(self._options.name, "application/json; charset=UTF-8")
        subscription = self._bus.subscribe(call.connection_id, call.cursor)
        init = call.verb == "connect"
        with self._streams.open("poll"):
            await response.prepare(call.request)
            messages = subscription.pending() if init else await self._hold(response, subscription)
            await response.write(_persistent(subscription, messages, call, init=init).encode())
            await response.write_eof()
        return response

    async def _hold(self, response: web.StreamResponse, subscription: Subscription) -> list[Message]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._options.poll_seconds
        while (left := deadline - loop.time()) > 0:
            every = self._options.keep_alive or left
            messages = await subscription.next(min(left, every))
            if messages or subscription.aborted:
                return messages
            if loop.time() < deadline:
                await response.write(b" ")
        return []


def _persistent(subscription: Subscription, messages: list[Message], call: Call, *, init: bool = False) -> str:
    """Return a PersistentResponse: cursor, init mark, the pushes as client hub invocations."""
    answer: dict[str, Any] = {"C": f"d-{subscription.cursor:X}"}
    if init:
        answer["S"] = 1
    answer["M"] = [{"H": hub, "M": "message", "A": message.arguments} for message in messages for hub in call.hubs]
    return _dump(answer)


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _json(value: object) -> web.Response:
    return web.Response(
        body=_dump(value).encode(),
        content_type="application/json",
        charset="UTF-8",
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache", "Pragma": "no-cache"},
    )


def _fail(text: str, status: int = 400) -> web.Response:
    return web.Response(status=status, text=text)


def _stream(node: str, content_type: str) -> web.StreamResponse:
    return web.StreamResponse(
        headers={
            "Content-Type": content_type,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-cache",
            "Pragma": "no-cache",
            "X-Node": node,
        }
    )


async def _form(request: web.BaseRequest) -> Mapping[str, str]:
    if request.method != "POST" or not request.body_exists:
        return {}
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def _hub_names(connection_data: str | None) -> tuple[str, ...]:
    try:
        return tuple(str(entry["name"]) for entry in json.loads(connection_data or "[]"))
    except (ValueError, KeyError, TypeError):
        return ()


def _cursor_number(text: str | None) -> int | None:
    try:
        return int(text.removeprefix("d-"), 16) if text else None
    except ValueError:
        return None
