"""A simulated Orchestrator node: `python -m nlbgen.prove.nodes.node --name orch-1 --port 0`.

It behaves as an IIS node in everything that a load balancer can observe: health endpoints, a stopped application
pool, POSTs, uploads, WebSockets, SignalR. It only binds to loopback and prints one line of JSON when ready:
`{"name": "orch-1", "pid": 4711, "port": 20001, "control_port": 20002}`.
"""

import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Self
from weakref import WeakKeyDictionary

from aiohttp import web

from ...net.loopback import own_network
from ...net.loops import raise_file_limit, run, without_full_collections
from .bus import PUSH, Bus
from .control import ControlServer
from .event_log import EventLog
from .options import NodeOptions, parse_argv
from .pages import NodeState, Pages, stopped_pool_answer
from .sign_in import PATH as SIGN_IN
from .sign_in import WindowsSignIn
from .signalr2 import SignalR2
from .signalrcore import SignalRCore
from .sockets import EchoSocket, EventStream, Streams

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

BACKLOG = 4096
"""Linux's own maximum (net.core.somaxconn): all robots of a failed node connect to another one at once."""
LONGEST_FIELD = 128 * 1024
MOST_FILES = 1_048_576
"""The kernel's own maximum: one node may hold all robots of `--robots`."""


class Node:
    """One simulated node in the running loop: `async with Node(NodeOptions()) as node: node.port`."""

    def __init__(self, options: NodeOptions) -> None:
        self.options = options
        self.state = NodeState()
        self.event_log = EventLog(options.post_log)
        self.port = options.port
        self.control_port = options.control_port
        self._streams = Streams(self.event_log)
        self._pages = Pages(options, self.state, self.event_log)
        self._sign_in = WindowsSignIn()
        self._echo = EchoSocket(options, self._streams)
        self._events = EventStream(options, self._streams)
        self._bus = Bus(options.backplane)
        self._classic = SignalR2(options, self._bus, self._streams)
        self._core = SignalRCore(options, self._bus, self._streams)
        self._runners: list[web.ServerRunner] = []
        self._sni: WeakKeyDictionary[object, str | None] = WeakKeyDictionary()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Bind both ports and serve."""
        await self._bus.start()
        control = ControlServer(self.state, self.event_log, self._changed, self._push)
        self.control_port = await self._serve(control.handle, self.options.control_port, None)
        self.port = await self._serve(self.handle, self.options.port, self._tls())

    async def stop(self) -> None:
        """Stop serving and close open streams."""
        self._streams.end_all()
        for runner in reversed(self._runners):
            await runner.cleanup()
        self._runners.clear()
        await self._bus.stop()
        self.event_log.close()

    async def _serve(self, handler: Handler, port: int, tls: ssl.SSLContext | None) -> int:
        server = web.Server(
            handler,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=self.options.idle_timeout,
            max_field_size=LONGEST_FIELD,
        )
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, self.options.host, port, ssl_context=tls, backlog=BACKLOG)
        await site.start()
        return int(runner.addresses[0][1])

    def _tls(self) -> ssl.SSLContext | None:
        if self.options.tls_cert is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.options.tls_cert, self.options.tls_key)
        context.sni_callback = self._remember_sni
        return context

    def _remember_sni(self, connection: object, name: str | None, _: ssl.SSLContext) -> None:
        self._sni[connection] = name

    def _changed(self) -> None:
        if self.state.pool_stopped:
            self._streams.end_all()

    async def _push(self, message: str) -> None:
        await self._bus.publish(PUSH, None, [message])

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of the main port."""
        seen = self.event_log.arrived(request.method, request.raw_path, request.raw_headers, request.remote or "")
        if self.state.pool_stopped:
            response: web.StreamResponse = stopped_pool_answer()
            response.headers["Server"] = "Microsoft-HTTPAPI/2.0"
        else:
            response = await self._answer(request)
            if not response.prepared:
                response.headers["Server"] = "Microsoft-IIS/10.0"
                response.headers["X-Node"] = self.options.name
        seen.status = response.status
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.lower()
        failure = await self._pages.identity_failure(request, path)
        if failure is not None:
            return failure
        if self._pages.is_health(path):
            return await self._pages.health(path)
        if self.state.delay:
            await asyncio.sleep(self.state.delay)
        if self.options.core and self._core.owns(path):
            return await self._core.handle(request, path)
        verb = self._classic.verb_of(path) if self.options.classic else None
        if verb is not None:
            return await self._classic.handle(request, verb)
        if self._core.owns(path) or self._classic.verb_of(path):
            return web.Response(status=404, text="Not Found")  # SignalR of the other generation
        if path.endswith("/ws"):  # also below the paths that a farm balances as live connections
            return await self._echo.handle(request)
        if path.endswith("/sse"):
            return await self._events.handle(request)
        if path == SIGN_IN:
            return self._sign_in.handle(request)
        return await self._pages.general(request, path, self._sni_of(request))

    def _sni_of(self, request: web.BaseRequest) -> str | None:
        connection = request.get_extra_info("ssl_object")
        return self._sni.get(connection) if connection is not None else None


async def serve(options: NodeOptions) -> None:
    """Run a node until SIGTERM or SIGINT; print the ready line.

    Raises ValueError if it should run in a network namespace of the lab, and does not.
    """
    if options.outside and options.outside == own_network():
        raise ValueError(f"{options.host}: this is the network of the machine, not one of the lab")
    raise_file_limit(MOST_FILES)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    if sys.platform != "win32":
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
    with without_full_collections():
        await _serve(options, stop)


async def _serve(options: NodeOptions, stop: asyncio.Event) -> None:
    async with Node(options) as node:
        ready = {
            "name": options.name,
            "pid": os.getpid(),
            "port": node.port,
            "control_port": node.control_port,
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await stop.wait()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    run(serve(parse_argv(sys.argv[1:] if argv is None else argv)))


if __name__ == "__main__":
    main()
