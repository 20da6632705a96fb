"""The WebSocket echo and the event stream of a simulated node, and the register of open streams."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import WSMsgType, web

from .event_log import EventLog
from .options import NodeOptions

MAX_EVENTS = 100_000
MAX_MESSAGE = 4 * 1024 * 1024


class Streams:
    """The tasks that serve an open WebSocket, event stream or poll: all end when the app pool stops."""

    def __init__(self, event_log: EventLog) -> None:
        self._event_log = event_log
        self._tasks: set[asyncio.Task[object]] = set()

    @contextmanager
    def open(self, kind: str) -> Iterator[None]:
        """Count and register the running task until its stream ends."""
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        self._event_log.open[kind] += 1
        try:
            yield
        finally:
            self._event_log.open[kind] -= 1
            if task is not None:
                self._tasks.discard(task)

    def end_all(self) -> None:
        """Cancel every registered task: aiohttp then closes the connection, as IIS does when w3wp ends."""
        for task in tuple(self._tasks):
            task.cancel()


class EchoSocket:
    """`.../ws`: sends back each message as `node|message`; `?silent=1` reads and never answers."""

    def __init__(self, options: NodeOptions, streams: Streams) -> None:
        self._options = options
        self._streams = streams

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one WebSocket until either side closes it."""
        socket = web.WebSocketResponse(
            heartbeat=self._options.ws_ping or None, compress=False, max_msg_size=MAX_MESSAGE, timeout=1.0
        )
        if not socket.can_prepare(request):
            return web.Response(status=400, text="a WebSocket is expected here")
        socket.headers["X-Node"] = self._options.name
        await socket.prepare(request)
        silent = request.rel_url.query.get("silent") == "1"
        prefix = f"{self._options.name}|"
        with self._streams.open("websocket"):
            async for message in socket:
                if silent:
                    continue
                if message.type is WSMsgType.TEXT:
                    await socket.send_str(prefix + message.data)
                elif message.type is WSMsgType.BINARY:
                    await socket.send_bytes(message.data)
        return socket


class EventStream:
    """`.../sse?every=100&count=20`: server-sent events, one every `every` milliseconds, to detect buffering."""

    def __init__(self, options: NodeOptions, streams: Streams) -> None:
        self._options = options
        self._streams = streams

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Send the events and end the answer."""
        query = request.rel_url.query
        every = min(max(float(query.get("every", "100")), 1.0), 600_000.0) / 1000
        count = min(int(query.get("count", "20")), MAX_EVENTS)
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-cache",
                "X-Node": self._options.name,
            }
        )
        with self._streams.open("sse"):
            await response.prepare(request)
            for number in range(count):
                if number:
                    await asyncio.sleep(every)
                await response.write(f"data: {self._options.name} {number} {time.time():.6f}\n\n".encode())
            await response.write_eof()
        return response
