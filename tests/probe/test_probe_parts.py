"""The small parts of a probe: what odd servers may say, clocks, names, reports."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from email.utils import formatdate

import pytest

from nlbgen.net.http1 import Reply
from nlbgen.net.wire import Answer
from nlbgen.probe import hello
from nlbgen.probe.certificates import Certificate
from nlbgen.probe.findings import KINDS, Finding, Report, Seen
from nlbgen.probe.web import Clock


@pytest.fixture
def saying() -> Iterator[Callable[[bytes], int]]:
    """Starts a server that answers every request with these bytes and closes; gives its port."""
    with ExitStack() as stack:

        def start(answer: bytes) -> int:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = int(server.getsockname()[1])
            over = threading.Event()

            def serve() -> None:
                while not over.is_set():
                    connection, _address = server.accept()
                    with connection, suppress(OSError):
                        connection.settimeout(2)
                        if connection.recv(4096):
                            connection.sendall(answer)

            def end() -> None:
                over.set()
                socket.create_connection(("127.0.0.1", port), 5).close()
                thread.join(5)

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            stack.callback(end)
            return port

        yield start


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n"


@pytest.mark.parametrize(
    "answer, found",
    [
        (b"", "closed without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no HTTP answer"),
        (OK + b"\r\nHeal", "before the answer was complete"),
        (b"HTTP/1.1 abc\r\n\r\n", "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, "no HTTP answer"),
        (b"HTTP/1.1 301 Moved\r\nLocation: \x1b[2J\x07evil\r\nContent-Length: 0\r\n\r\n", r'301 to "\x1b[2J\x07evil"'),
    ],
    ids=["nothing", "ssh", "half", "no status", "chunk", "endless head", "escape"],
)
def test_what_a_node_may_say(stand_in, saying, answer, found):
    farm = stand_in()
    for machine in farm.machines:
        object.__setattr__(machine.options, "tls_cert", None)
    farm.start()
    nodes = farm.data()["nodes"]
    nodes[1]["port"] = saying(answer)
    farm.changes = {"nodes": nodes, "frontend": {"tls": {"mode": "terminate"}}}
    assert found in farm.only("health", "orch-2", through="nodes").found


@pytest.mark.parametrize(
    "first, found",
    [
        (b"\x81\x02{}", "then broke"),
        (b"\x81\x02{}\x81\x02{}", "{}"),
        (b"\x81\x05hello", "hello"),
        (b"\x88\x02\x03\xe8", "closed the WebSocket"),
        (b"\x81\x7f\x00\x00\x00\x00\x7f\x00\x00\x00", "no SignalR message"),
        (b"\x81\x7e\x00\x02[]", "[]"),
        (b"", "then broke"),
    ],
    ids=["keep-alive", "keep-alives", "text", "close", "huge", "list", "end"],
)
def test_a_websocket_that_begins_with_something_else(farm, monkeypatch, first, found):
    """The node upgrades and then sends these bytes instead of SignalR's first message."""
    import base64
    import hashlib

    from aiohttp import web

    node = farm.nodes[1]
    answer = node.handle

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if "upgrade" not in request.headers:
            return await answer(request)
        key = request.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        head = f"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        assert request.transport is not None
        request.transport.write(head.encode() + first)
        request.transport.close()
        raise ConnectionResetError

    node._runners[-1].server.request_handler = handle
    assert found in farm.only("signalr-connect", "orch-2").found


def reply(date: str, sent: float, received: float) -> Reply:
    return Reply(Answer(200, f"HTTP/1.1 200 OK\r\nDate: {date}".encode(), b"", keep=True), sent, received)


@pytest.mark.parametrize("ahead", [-3600, -2, 0, 2, 90])
def test_a_clock_lies_between_its_bounds(ahead):
    for part in (0.0, 0.3, 0.999):
        sent, answered, received = 1_800_000_000 + part, 1_800_000_000.2 + part, 1_800_000_000.4 + part
        clock = Clock.of(reply(formatdate(int(answered + ahead), usegmt=True), sent, received))
        assert clock is not None
        assert clock.least <= ahead <= clock.most


def test_clocks_that_may_be_the_same_are_not_apart():
    assert Clock(-0.5, 1.5).apart(Clock(1.0, 2.0)) == 0
    assert Clock(-0.5, 1.5).apart(Clock(4.0, 6.0)) == Clock(4.0, 6.0).apart(Clock(-0.5, 1.5)) == 2.5


@pytest.mark.parametrize("date", ["", "now", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_a_date_that_is_none(date):
    assert Clock.of(reply(date, 0, 1)) is None


@pytest.mark.parametrize(
    "names, name, carried",
    [
        (["a.example"], "a.example", True),
        (["*.corp.example"], "a.corp.example", True),
        (["*.corp.example"], "b.a.corp.example", False),
        (["*.corp.example"], "corp.example", False),
        (["*.example"], "a.example", False),
        (["*"], "host", False),
        (["a.example"], "b.example", False),
        ([], "a.example", False),
        (["127.0.0.1"], "127.0.0.1", True),
    ],
)
def test_the_names_of_a_certificate(names, name, carried):
    import datetime as dt

    now = dt.datetime.now(dt.UTC)
    assert Certificate(b"", tuple(names), "", now, now, "TLSv1.3", "", 0).carries(name) is carried
    by_itself = Certificate(b"", (), (names or [""])[0], now, now, "TLSv1.3", "", 0)
    assert by_itself.carries(name, by_common_name=True) is carried
    assert not by_itself.carries(name)


def test_a_client_hello_is_as_long_as_it_says():
    for newest in (hello.TLS_1_1, hello.TLS_1_2):
        record = hello.client_hello("orchestrator.corp.example", newest)
        assert int.from_bytes(record[3:5], "big") == len(record) - 5
        assert int.from_bytes(record[6:9], "big") == len(record) - 9
        assert int.from_bytes(record[9:11], "big") == newest


def test_levels_stand_in_their_order():
    findings = [
        Finding(name, KINDS[name].level, "orch-1", "x", "", "y", "z") for name in ("tls-new", "signalr-hub", "health")
    ]
    report = Report("farm", "both", [Seen("orch-1", "127.0.0.1:1", "up", True, {})], findings)
    text = report.text()
    assert text.index("finding:") < text.index("unchecked:") < text.index("note:")
    assert "reached" in text
    assert "expected" not in text
    assert report.summary() == "farm: differs from the spec: 1 finding, 1 note, 1 not checked"
