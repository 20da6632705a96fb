"""ASP.NET SignalR 2 (classic Orchestrators, up to 2020.4), the server's side of protocol 1.2 to 2.0.

Sources: SignalR/SignalR PersistentConnection.cs (negotiate, start, ping, tokens, errors), HubDispatcher.cs,
ForeverTransport.cs, LongPollingTransport.cs, ServerSentEventsTransport.cs, ForeverFrameTransport.cs,
WebSocketTransport.cs, PersistentResponse.cs, HubResponse.cs, ProtocolResolver.cs. A connection belongs to no node: any
node that can decrypt the token serves its requests, and the bus carries the messages. So a classic farm with a
backplane and one machine key needs no affinity.
"""

import asyncio
import json
import uuid
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from .aspnet import Parameters, ProtectedData, field, read_form
from .bus import ABORT, Bus, Message, Subscription
from .hub import Hub, UnknownMethodError
from .options import NodeOptions
from .signalr2_call import BadRequestError, Call, hub_names, protocol_version
from .sockets import Streams

VERBS = frozenset({"negotiate", "connect", "start", "ping", "poll", "send", "reconnect", "abort"})
TRANSPORTS = frozenset({"webSockets", "serverSentEvents", "longPolling", "foreverFrame"})
MAX_MESSAGE = 64 * 1024
"""DefaultConfigurationManager.cs: the default of MaxIncomingWebSocketMessageSize."""

TRANSPORT_CONNECT_TIMEOUT = 5.0
LONG_POLL_DELAY = 0.0
FRAME = """<!DOCTYPE html><html><head><title>SignalR Forever Frame Transport Stream</title>\r
<script>\r
    var $ = window.parent.jQuery,\r
        ff = $ ? $.signalR.transports.foreverFrame : null,\r
        c =  ff ? ff.getConnection('FRAME_ID') : null,\r
        r = ff ? ff.receive : function() {};\r
    ff ? ff.started(c) : '';</script></head><body>\r
"""
"""The beginning of a forever frame; FRAME_ID is its number."""


class SignalR2:
    """Answers `/signalr/<verb>`."""

    def __init__(self, options: NodeOptions, bus: Bus, streams: Streams) -> None:
        self._options = options
        self._bus = bus
        self._streams = streams
        self._hub = Hub(options.name, bus)
        self._tokens = ProtectedData(options.machine_key, "SignalR.ConnectionToken")
        self._groups = ProtectedData(options.machine_key, "SignalR.Groups.v1.1")
        self._prefix = options.signalr_path.lower().rstrip("/") + "/"

    def verb_of(self, path: str) -> str | None:
        """Return the verb of a lower-cased path; None for other paths."""
        verb = path.removeprefix(self._prefix) if path.startswith(self._prefix) else ""
        return verb if verb in VERBS else None

    async def handle(self, request: web.BaseRequest, verb: str) -> web.StreamResponse:
        """Answer one request."""
        query = Parameters(request.rel_url.query.items())
        try:
            hubs = hub_names(query.get("connectionData"))
            if verb == "negotiate":
                return self._negotiate(request, query)
            if verb == "ping":
                return _json({"Response": "pong"})
            return await self._with_token(request, verb, query, hubs)
        except BadRequestError as fault:
            return _fail(str(fault), 500)

    async def _with_token(
        self, request: web.BaseRequest, verb: str, query: Parameters, hubs: tuple[str, ...]
    ) -> web.StreamResponse:
        """Answer a request of a connection; PersistentConnection.cs has these errors in this order."""
        transport = query.get("transport") or ""
        if transport not in TRANSPORTS:
            return _fail("Protocol error: Unknown transport.")
        token = query.get("connectionToken")
        if not token:
            return _fail("Protocol error: Missing connection token.")
        connection_id = (self._tokens.unprotect(token) or "").partition(":")[0]
        if not connection_id:
            return _fail("The ConnectionId is in the incorrect format.")
        form = await read_form(request)
        call = Call(request, verb, transport, connection_id, hubs, query, form)
        return await self._connected(call)

    def _negotiate(self, request: web.BaseRequest, query: Parameters) -> web.Response:
        options = self._options
        connection_id = str(uuid.uuid4())
        path = request.rel_url.raw_path
        return _json(
            {
                "Url": path[: -len("/negotiate")],
                "ConnectionToken": self._tokens.protect(f"{connection_id}:"),
                "ConnectionId": connection_id,
                "KeepAliveTimeout": options.keep_alive * 2 if options.keep_alive else None,
                "DisconnectTimeout": options.disconnect_timeout,
                "ConnectionTimeout": options.poll_seconds,
                "TryWebSockets": True,
                "ProtocolVersion": protocol_version(query.get("clientProtocol")),
                "TransportConnectTimeout": TRANSPORT_CONNECT_TIMEOUT,
                "LongPollDelay": LONG_POLL_DELAY,
            }
        )

    async def _connected(self, call: Call) -> web.StreamResponse:
        match call.verb:
            case "start":
                return _json({"Response": "started"})
            case "abort":
                await self._bus.publish(ABORT, call.connection_id, [])
                return web.Response()
            case "send":
                return _json(await self._invoke(call, call.form.get("data") or call.received("data") or ""))
        match call.transport:
            case "webSockets":
                return await self._websocket(call)
            case "serverSentEvents":
                return await self._events(call)
            case "foreverFrame":
                return await self._frame(call)
        return await self._poll(call)

    async def _invoke(self, call: Call, data: str) -> dict[str, Any]:
        """Run a hub call {H, M, A, I} and return the answer {I, R}. Raises BadRequestError."""
        try:
            ask = json.loads(data)
            number, hub, method = (str(field(ask, name)) for name in ("I", "H", "M"))
            arguments = list(field(ask, "A") or [])
        except (ValueError, AttributeError, TypeError):
            raise BadRequestError("The hub request cannot be parsed.") from None
        try:
            result = await self._hub.invoke(call.connection_id, method, arguments, group_prefix=f"hg-{hub}.".lower())
        except UnknownMethodError:
            return {"I": number, "E": f"'{method}' method could not be resolved."}
        return {"I": number} if result is None else {"I": number, "R": result}

    def _subscribe(self, call: Call) -> Subscription:
        """Follow the messages for a client and for the groups of its groups token.

        A token of another key or of another connection has no groups, and is no error (VerifyGroups).
        """
        owner, _, groups = (self._groups.unprotect(call.received("groupsToken") or "") or "").partition(":")
        known = json.loads(groups) if owner == call.connection_id else []
        return self._bus.subscribe(call.connection_id, call.cursor, groups=known)

    def _response(self, subscription: Subscription, messages: list[Message], call: Call, *, init: bool = False) -> str:
        """Return a PersistentResponse: cursor, init mark, groups token, the pushes as client hub invocations."""
        answer: dict[str, Any] = {"C": f"d-{subscription.cursor:X}"}
        if init:
            answer["S"] = 1
        if subscription.take_joined():
            answer["G"] = self._groups.protect(f"{call.connection_id}:{json.dumps(sorted(subscription.groups))}")
        answer["M"] = [{"H": hub, "M": "message", "A": message.arguments} for message in messages for hub in call.hubs]
        return _dump(answer)

    def _next_response(self, subscription: Subscription, messages: list[Message], call: Call) -> str:
        """Return what a stream sends next: a response, or the keep-alive `{}` if there is nothing to say."""
        return self._response(subscription, messages, call) if messages or subscription.joined else "{}"

    async def _websocket(self, call: Call) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False, max_msg_size=MAX_MESSAGE, timeout=1.0)
        if not socket.can_prepare(call.request):
            return _fail("Not a WebSocket request.")
        socket.headers["X-Node"] = self._options.name
        await socket.prepare(call.request)
        subscription = self._subscribe(call)
        with self._streams.open("websocket"):
            await socket.send_str(self._response(subscription, [], call, init=call.verb == "connect"))
            pusher = asyncio.create_task(self._push_to_socket(socket, subscription, call))
            try:
                async for message in socket:
                    if message.type is WSMsgType.TEXT:
                        await socket.send_str(_dump(await self._invoke(call, message.data)))
            except BadRequestError:
                await socket.close(code=WSCloseCode.INTERNAL_ERROR)
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
                await socket.send_str(self._next_response(subscription, messages, call))
            except ConnectionError:
                return

    async def _events(self, call: Call) -> web.StreamResponse:
        response = _stream(self._options.name, "text/event-stream; charset=UTF-8")
        return await self._stream(call, response, "data: initialized\n\n", "data: {}\n\n")

    async def _frame(self, call: Call) -> web.StreamResponse:
        """Serve a hidden frame of scripts, for browsers without server-sent events."""
        number = call.query.get("frameId") or ""
        if not number.isdigit():
            raise BadRequestError("Invalid frame id.")
        response = _stream(self._options.name, "text/html; charset=UTF-8")
        return await self._stream(call, response, FRAME.replace("FRAME_ID", number), "<script>r(c, {});</script>\r\n")

    async def _stream(self, call: Call, response: web.StreamResponse, first: str, each: str) -> web.StreamResponse:
        """Write `first`, then a response in `each` for all that happens, until the client or `abort` ends it."""
        subscription = self._subscribe(call)
        with self._streams.open("sse"):
            await response.prepare(call.request)
            init = self._response(subscription, [], call, init=call.verb == "connect")
            await response.write((first + each.replace("{}", init)).encode())
            while True:
                messages = await subscription.next(self._options.keep_alive or None)
                if subscription.aborted:
                    break
                await response.write(each.replace("{}", self._next_response(subscription, messages, call)).encode())
            await response.write_eof()
        return response

    async def _poll(self, call: Call) -> web.StreamResponse:
        """Hold a poll until a message arrives or `poll_seconds` are over; send a space every `keep_alive` seconds."""
        response = _stream(self._options.name, "application/json; charset=UTF-8")
        subscription = self._subscribe(call)
        init = call.verb == "connect"
        with self._streams.open("poll"):
            await response.prepare(call.request)
            messages = subscription.pending() if init else await self._hold(response, subscription)
            await response.write(self._response(subscription, messages, call, init=init).encode())
            await response.write_eof()
        return response

    async def _hold(self, response: web.StreamResponse, subscription: Subscription) -> list[Message]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._options.poll_seconds
        while (left := deadline - loop.time()) > 0:
            every = self._options.keep_alive or left
            messages = await subscription.next(min(left, every))
            if messages or subscription.aborted or subscription.joined:
                return messages
            if loop.time() < deadline:
                await response.write(b" ")
        return []


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
