"""The WebSocket client against aiohttp's server, and against a server that sends raw frames."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import WSMsgType, web

from nlbgen.net.connect import Limits, Peer, connected
from nlbgen.net.loops import run
from nlbgen.net.request import ResponseError, TimedResponse
from nlbgen.net.websocket import MAX_MESSAGE, WebSocket, open_websocket

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LIMITS = Limits(connect=10, answer=10)

Handler = Callable[[web.WebSocketResponse], Awaitable[None]]
Client = Callable[[WebSocket], Awaitable[None]]


async def open_at(peer: Peer) -> tuple[TimedResponse, WebSocket | None]:
    return await open_websocket(peer, "/", "localhost", {}, LIMITS.answer)


def converse(handler: Handler, client: Client) -> None:
    """Run a client against aiohttp's server; `handler` and `client` both must end."""

    async def main() -> None:
        handled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def serve(request: web.BaseRequest) -> web.WebSocketResponse:
            socket = web.WebSocketResponse(autoping=False)
            await socket.prepare(request)
            try:
                await handler(socket)
                handled.set_result(None)
            except BaseException as error:  # the client's side shows it
                handled.set_exception(error)
            return socket

        runner = web.ServerRunner(web.Server(serve))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with connected("127.0.0.1", port, LIMITS) as peer:
            response, socket = await open_at(peer)
            assert response.status == 101
            assert socket is not None
            await client(socket)
            await asyncio.wait_for(handled, LIMITS.answer)
        await runner.cleanup()

    run(main())


@asynccontextmanager
async def raw_server(frames: bytes, accept: bytes | None = None, *, more: bool = False) -> AsyncIterator[Peer]:
    """A connection to a server that accepts the upgrade, sends `frames`, and closes (or, with `more`, waits)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line.partition(b":")[2].strip() for line in head.split(b"\r\n") if b"-key" in line.lower())
        token = accept or base64.b64encode(hashlib.sha1(key + GUID).digest())
        lines = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + token
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n" + lines + b"\r\n\r\n" + frames)
        await writer.drain()
        if more:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, connected("127.0.0.1", server.sockets[0].getsockname()[1], LIMITS) as peer:
        yield peer


def received(frames: bytes, *, more: bool = False, seconds: float = 10) -> str:
    """Return the text that the client receives from raw frames."""

    async def main() -> str:
        async with raw_server(frames, more=more) as peer:
            _response, socket = await open_at(peer)
            assert socket is not None
            return await socket.receive_text(seconds)

    return run(main())


def test_websocket_exchanges_text_messages() -> None:
    async def handler(socket: web.WebSocketResponse) -> None:
        await socket.send_str((await socket.receive_str()) + " back")

    async def client(socket: WebSocket) -> None:
        await socket.send_text("grüezi")
        assert await socket.receive_text(10) == "grüezi back"

    converse(handler, client)


def test_websocket_answers_a_ping_with_a_pong() -> None:
    async def handler(socket: web.WebSocketResponse) -> None:
        await socket.ping(b"payload")
        message = await socket.receive()
        assert (message.type, bytes(message.data)) == (WSMsgType.PONG, b"payload")
        await socket.send_str("after the ping")

    async def client(socket: WebSocket) -> None:
        assert await socket.receive_text(10) == "after the ping"

    converse(handler, client)


def test_websocket_joins_fragments_around_a_ping() -> None:
    assert received(b"\x01\x03one" + b"\x89\x00" + b"\x00\x01 " + b"\x80\x03two") == "one two"


def test_websocket_skips_binary_messages() -> None:
    async def handler(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x00")
        await socket.send_str("text")

    async def client(socket: WebSocket) -> None:
        assert await socket.receive_text(10) == "text"

    converse(handler, client)


def test_websocket_confirms_and_reports_a_close() -> None:
    async def handler(socket: web.WebSocketResponse) -> None:
        await socket.close(code=4001)  # waits for the client's close frame
        assert socket.close_code == 4001

    async def client(socket: WebSocket) -> None:
        with pytest.raises(ResponseError, match=r"closed the WebSocket \(code 4001\)"):
            await socket.receive_text(10)
        await socket.close()  # a second call has no effect

    converse(handler, client)


def test_websocket_close_sends_a_close_frame() -> None:
    async def handler(socket: web.WebSocketResponse) -> None:
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1000)

    async def client(socket: WebSocket) -> None:
        await socket.close()

    converse(handler, client)


def test_websocket_accepts_the_longest_message() -> None:
    async def handler(socket: web.WebSocketResponse) -> None:
        await socket.send_str("x" * MAX_MESSAGE)

    async def client(socket: WebSocket) -> None:
        assert len(await socket.receive_text(10)) == MAX_MESSAGE

    converse(handler, client)


def test_websocket_rejects_a_longer_message() -> None:
    async def handler(socket: web.WebSocketResponse) -> None:
        await socket.send_str("x" * (MAX_MESSAGE + 1))
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1009)

    async def client(socket: WebSocket) -> None:
        with pytest.raises(ResponseError, match="longer than 65536 characters"):
            await socket.receive_text(10)

    converse(handler, client)


def test_websocket_bounds_a_message_of_many_fragments() -> None:
    fragment = b"x" * 60_000
    frame = len(fragment).to_bytes(2, "big") + fragment
    with pytest.raises(ResponseError, match="longer than 65536 characters"):
        received(b"\x01\x7e" + frame + b"\x00\x7e" + frame, more=True)


@pytest.mark.parametrize(
    "frames",
    [b"\x81\x81\x00\x00\x00\x00x", b"\x80\x01x", b"\xc1\x01x", b"\x81\x01\xff", b"\x83\x00", b"\x09\x00"],
    ids=["masked", "continuation of nothing", "reserved bit", "not UTF-8", "unknown opcode", "fragmented ping"],
)
def test_websocket_reports_a_protocol_violation(frames: bytes) -> None:
    with pytest.raises(ResponseError, match="violated the WebSocket protocol"):
        received(frames, more=True)


def test_websocket_reports_a_closed_connection() -> None:
    with pytest.raises(ResponseError, match="then the connection was lost"):
        received(b"\x81\x05he")


def test_websocket_reports_a_timeout() -> None:
    with pytest.raises(ResponseError, match=r"no message within 0\.05 s"):
        received(b"", more=True, seconds=0.05)


def test_open_websocket_rejects_a_wrong_accept_token() -> None:
    async def main() -> None:
        async with raw_server(b"", accept=b"wrong") as peer:
            await open_at(peer)

    with pytest.raises(ResponseError, match="Sec-WebSocket-Accept"):
        run(main())


def test_open_websocket_returns_another_status_with_its_body() -> None:
    async def main() -> None:
        async def refuse(_request: web.BaseRequest) -> web.Response:
            return web.Response(status=403, text="no")

        runner = web.ServerRunner(web.Server(refuse))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with connected("127.0.0.1", runner.addresses[0][1], LIMITS) as peer:
            response, socket = await open_at(peer)
        await runner.cleanup()
        assert (response.status, response.body, socket) == (403, b"no", None)

    run(main())
