"""The strict request parser, scaled timeouts, the probes for request smuggling, raw responses."""

import pytest

from nlbgen.generators.base import Site, generator, render
from nlbgen.prove.clients.raw import RawAnswer
from nlbgen.prove.clients.simple import StreamReport
from nlbgen.prove.clients.smuggling import FORBIDDEN_FORM, probes
from nlbgen.prove.lab.request_parser import parse_strictly
from nlbgen.prove.lab.time_scale import FLOOR_SECONDS, scale_timeouts
from nlbgen.prove.scenarios.live import event_lags
from nlbgen.spec.load import loads

HOST = "orchestrator.corp.example"
SPEC = f"""
farm: probed
orchestrator: {{version: "2019.4"}}
frontend: {{host: {HOST}}}
nodes: [{{name: a, address: 10.0.0.1}}, {{name: b, address: 10.0.0.2}}]
stores: {{signalr: redis, redis: {{host: redis, port: 6379}}}}
accept: [nginx-active-health, nginx-queue]
"""


def main_file(vendor: str) -> str:
    chosen = generator(vendor)
    return next(file.content.decode() for file in render(chosen, loads(SPEC), Site("/tmp/lab")) if file.main)


# The strict parser


def request(*lines: str, body: str = "") -> bytes:
    return ("\r\n".join(["POST /x HTTP/1.1", f"Host: {HOST}", *lines, "", ""]) + body).encode("latin-1")


@pytest.mark.parametrize(
    ("stream", "count"),
    [
        (b"", 0),
        (request(), 1),
        (request("Content-Length: 5", body="hello"), 1),
        (request("Content-Length: 5", body="hel"), 1),
        (request("content-length:  5 ", body="hello"), 1),
        (request("Content-Length: 5", body="hello") + request(), 2),
        (request("Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n"), 1),
        (request("Transfer-Encoding: chunked", body="5;name=value\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"), 1),
        (request("Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n") + request(), 2),
        (request("Transfer-Encoding: chunked", body="5\r\nhel"), 1),
        (request("Transfer-Encoding: Chunked", body="5"), 1),
        (request("Content-Length: 4", body="GET "), 1),
    ],
)
def test_unambiguous_requests_are_counted(stream: bytes, count: int) -> None:
    assert parse_strictly(stream) == (count, "")


@pytest.mark.parametrize(
    ("stream", "ambiguity"),
    [
        (request("Content-Length: 5", "Transfer-Encoding: chunked"), "Content-Length and Transfer-Encoding"),
        (request("Content-Length: 5", "Content-Length: 5"), "twice"),
        (request("Content-Length: +5"), "Content-Length"),
        (request("Content-Length: 5, 5"), "Content-Length"),
        (request("Content-Length: "), "Content-Length"),
        (request("Transfer-Encoding: xchunked"), "Transfer-Encoding"),
        (request("Transfer-Encoding: chunked, identity"), "Transfer-Encoding"),
        (request("Transfer-Encoding : chunked"), "header line"),
        (request("X: y\nTransfer-Encoding: chunked"), "header line"),
        (request("X: y\x00"), "header line"),
        (request("X:\r\n folded"), "header line"),
        (request("Host: other.example"), "Host"),
        (request("Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0"), "HTTP/1.0"),
        (request("Transfer-Encoding: chunked", body="5\nhello\n0\n\n"), "chunk"),
        (request("Transfer-Encoding: chunked", body="0x5\r\nhello\r\n0\r\n\r\n"), "chunk"),
        (request("Transfer-Encoding: chunked", body="5;a\nb\r\nhello\r\n0\r\n\r\n"), "chunk"),
        (request("Transfer-Encoding: chunked", body="5\r\nhelloXX0\r\n\r\n"), "longer"),
        (b"GET http://other.example/x HTTP/1.1\r\nHost: h\r\n\r\n", "request line"),
        (b"GET /x y HTTP/1.1\r\nHost: h\r\n\r\n", "request line"),
        (b"GET /x HTTP/1.1\nHost: h\n\n", "without an end"),
        (request("Content-Length: 5", body="hello") + b"garbage\r\n\r\n", "request line"),
    ],
)
def test_ambiguous_request_is_reported(stream: bytes, ambiguity: str) -> None:
    assert ambiguity in parse_strictly(stream).ambiguity


def test_every_probe_is_ambiguous_unless_valid() -> None:
    """Each probe detects a balancer that forwards it unchanged."""
    every = list(probes(HOST, "mark"))
    unfound = [probe.name for probe in every if not probe.valid and not parse_strictly(probe.data).ambiguity]
    # By the standard this is one request, with a header that some servers mistake for another.
    assert unfound == ["TE.TE: underscore"]
    assert [parse_strictly(probe.data) for probe in every if probe.valid] == [(1, "")] * 3
    assert {probe.name for probe in every} >= FORBIDDEN_FORM


def test_every_probe_has_its_own_mark() -> None:
    every = list(probes(HOST, "mark"))
    assert len({probe.mark for probe in every}) == len({probe.name for probe in every}) == len(every)
    assert all(1 <= probe.data.count(probe.mark) <= 2 for probe in every)


# Timeouts


def times(text: str, name: str) -> set[str]:
    """The values that a configuration gives a directive."""
    words = [line.strip().rstrip(";").split() for line in text.splitlines()]
    return {line[-1] for line in words if line[: len(name.split())] == name.split() and len(line) > 1}


def test_scaled_haproxy_changes_only_timeouts() -> None:
    before = main_file("haproxy")
    after = scale_timeouts("haproxy", before, 10)
    assert times(after, "timeout tunnel") == {"360000ms"}
    assert times(after, "timeout server") == {"12000ms", "13000ms"}
    assert times(after, "timeout http-request") == {f"{FLOOR_SECONDS * 1000:g}ms"} | {"2000ms"}
    assert times(after, "timeout check") == times(before, "timeout check") == {"1900ms"}
    changed = [pair for pair in zip(before.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]]
    assert changed
    assert all(line.strip().startswith("timeout ") for line, _ in changed)


def test_scaled_nginx_writes_the_defaults() -> None:
    after = scale_timeouts("nginx", main_file("nginx"), 10)
    assert times(after, "proxy_read_timeout") == {"2s", "2000ms", "6000ms", "12000ms", "13000ms", "360000ms"}
    assert times(after, "client_body_timeout") == {"6000ms"}
    assert times(after, "client_header_timeout") == {"2000ms"}
    assert after.count("    client_header_timeout ") == 1, "a directive twice in one block is an error"
    assert "worker_shutdown_timeout 1h;" in after


def test_scaled_timeouts_are_never_longer() -> None:
    text = "    timeout connect 500ms\n    timeout client 3000\n    timeout queue 1h30m\n"
    assert (
        scale_timeouts("haproxy", text, 1000)
        == "    timeout connect 500ms\n    timeout client 2000ms\n    timeout queue 5400ms\n"
    )


# Responses


def test_responses_on_one_connection_are_counted() -> None:
    answer = RawAnswer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 404 Not Found\r\n\r\n", True, 0.1)
    assert (answer.status, answer.count, answer.body) == (200, 2, b"ok")
    assert (RawAnswer(b"", True, 0.1).status, RawAnswer(b"", True, 0.1).body) == (0, b"")


def test_delay_of_an_event_is_by_the_node_clock() -> None:
    report = StreamReport(200, {}, [(1.0, "n 0 100.0"), (1.2, "n 1 100.2"), (2.4, "n 2 100.4")])
    assert event_lags(report) == pytest.approx([0.0, 0.0, 1.0])
    bunched = StreamReport(200, {}, [(3.0, "n 0 100.0"), (3.0, "n 1 101.0")])
    assert event_lags(bunched) == pytest.approx([1.0, 0.0])
    assert event_lags(StreamReport(0, {})) == []
