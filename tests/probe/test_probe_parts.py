"""Parts of the probe: responses of faulty servers, clocks, names, reports."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from nlbgen.net.http1 import Response
from nlbgen.net.request import TimedResponse
from nlbgen.probe import hello
from nlbgen.probe.certificates import Certificate
from nlbgen.probe.findings import KINDS, Finding, MachineSummary, Report
from nlbgen.probe.web import Clock

if TYPE_CHECKING:
    from tests.probe.conftest import MakeFarm, SimulatedFarm


@pytest.fixture
def raw_server() -> Iterator[Callable[[bytes], int]]:
    """Return a function that starts a server, which sends these bytes on a request, and returns its port."""
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
        (b"", "closed without a response"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not an HTTP response"),
        (OK + b"\r\nHeal", "before the response was complete"),
        (b"HTTP/1.1 abc\r\n\r\n", "not an HTTP response"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not an HTTP response"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, "not an HTTP response"),
        (b"HTTP/1.1 301 Moved\r\nLocation: \x1b[2J\x07evil\r\nContent-Length: 0\r\n\r\n", r'301 to "\x1b[2J\x07evil"'),
    ],
    ids=["nothing", "ssh", "half", "no status", "chunk", "endless head", "escape"],
)
def test_health_check_reports_an_invalid_http_response(
    make_farm: "MakeFarm", raw_server: Callable[[bytes], int], answer: bytes, found: str
) -> None:
    farm = make_farm()
    for machine in farm.machines:
        object.__setattr__(machine.options, "tls_cert", None)
    farm.start()
    nodes = farm.data()["nodes"]
    nodes[1]["port"] = raw_server(answer)
    farm.changes = {"nodes": nodes, "frontend": {"tls": {"mode": "terminate"}}}
    assert found in farm.only("health", "orch-2", through="nodes").found


@pytest.mark.parametrize(
    "first, found",
    [
        (b"\x81\x02{}", "then the connection was lost"),
        (b"\x81\x02{}\x81\x02{}", "{}"),
        (b"\x81\x05hello", "hello"),
        (b"\x88\x02\x03\xe8", "closed the WebSocket"),
        (b"\x81\x7f\x00\x00\x00\x00\x00\x01\x86\xa0" + b"x" * 100_000, "longer than 65536 characters"),
        (b"\x81\x02[]", "[]"),
        (b"\x81\x7e\x00\xc8" + b"[" * 200, "[[["),
        (b"\x81\x7e\x00\x02[]", "violated the WebSocket protocol"),
        (b"", "then the connection was lost"),
    ],
    ids=["keep-alive", "keep-alives", "text", "close", "huge", "list", "long list", "length not minimal", "end"],
)
def test_websocket_without_the_signalr_start_is_reported(
    farm: "SimulatedFarm", monkeypatch: pytest.MonkeyPatch, first: bytes, found: str
) -> None:
    """The node accepts the upgrade and then sends these bytes instead of SignalR's first message."""
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

    server = node._runners[-1].server
    assert server is not None
    server.request_handler = handle
    assert found in farm.only("signalr-connect", "orch-2").found


def response(date: str, sent: float, received: float) -> TimedResponse:
    return TimedResponse(Response(200, f"HTTP/1.1 200 OK\r\nDate: {date}".encode(), b"", keep=True), sent, received)


@pytest.mark.parametrize("ahead", [-3600, -2, 0, 2, 90])
def test_clock_bounds_include_the_real_difference(ahead: int) -> None:
    for part in (0.0, 0.3, 0.999):
        sent, answered, received = 1_800_000_000 + part, 1_800_000_000.2 + part, 1_800_000_000.4 + part
        clock = Clock.of(response(formatdate(int(answered + ahead), usegmt=True), sent, received))
        assert clock is not None
        assert clock.least <= ahead <= clock.most


def test_clocks_with_overlapping_bounds_do_not_differ() -> None:
    assert Clock(-0.5, 1.5).difference(Clock(1.0, 2.0)) == 0
    assert Clock(-0.5, 1.5).difference(Clock(4.0, 6.0)) == Clock(4.0, 6.0).difference(Clock(-0.5, 1.5)) == 2.5


@pytest.mark.parametrize("date", ["", "now", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_clock_of_an_invalid_date_is_none(date: str) -> None:
    assert Clock.of(response(date, 0, 1)) is None


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
def test_certificate_carries_only_matching_names(names: list[str], name: str, carried: bool) -> None:
    import datetime as dt

    now = dt.datetime.now(dt.UTC)
    assert Certificate(b"", tuple(names), "", now, now, "TLSv1.3", "", 0).carries(name) is carried
    by_itself = Certificate(b"", (), (names or [""])[0], now, now, "TLSv1.3", "", 0)
    assert by_itself.carries(name, by_common_name=True) is carried
    assert not by_itself.carries(name)


def test_client_hello_lengths_are_consistent() -> None:
    for newest in (hello.TLS_1_1, hello.TLS_1_2):
        record = hello.client_hello("orchestrator.corp.example", newest)
        assert int.from_bytes(record[3:5], "big") == len(record) - 5
        assert int.from_bytes(record[6:9], "big") == len(record) - 9
        assert int.from_bytes(record[9:11], "big") == newest


def test_report_text_orders_findings_by_level() -> None:
    findings = [
        Finding(name, KINDS[name].level, "orch-1", "x", "", "y", "z") for name in ("tls-new", "signalr-hub", "health")
    ]
    report = Report("farm", "both", [MachineSummary("orch-1", "127.0.0.1:1", "up", True, {})], findings)
    text = report.text()
    assert text.index("finding:") < text.index("unchecked:") < text.index("note:")
    assert "reached" in text
    assert "expected" not in text
    assert report.summary() == "farm: differs from the spec: 1 finding, 1 note, 1 not checked"
