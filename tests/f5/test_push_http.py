"""The HTTP client of every push: an answer is complete within its limits, or its outcome is unknown."""

import contextlib
import gzip
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from nlbgen.push.answers import parsed
from nlbgen.push.errors import NotSentError, OutcomeUnknownError, UntrustedError
from nlbgen.push.http import Client, Endpoint, one_line

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a server that gives this answer to one request, then closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                answer(connection)

        thread = threading.Thread(target=run)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread.join(10)


def request(url: str, **limits: float) -> bytes:
    endpoint = Endpoint("device", None, limits.get("seconds", 5.0), "x.ca", "x.host", "x.timeout")
    client = Client(endpoint._replace(largest=int(limits.get("largest", 1_000))))
    try:
        return client.request("GET", url, "the test", {}).content
    finally:
        client.close()


def test_request_answer_within_the_limits_is_returned() -> None:
    with listening(lambda connection: connection.sendall(HEAD + b"x" * 100)) as url:
        assert request(url) == b"x" * 100


def test_request_answer_above_the_size_limit_has_an_unknown_outcome() -> None:
    with (
        listening(lambda connection: connection.sendall(HEAD + b"x" * 100)) as url,
        pytest.raises(OutcomeUnknownError, match="more than 99 bytes"),
    ):
        request(url, largest=99)


def test_request_answer_that_is_truncated_has_an_unknown_outcome() -> None:
    with (
        listening(lambda connection: connection.sendall(HEAD + b"x")) as url,
        pytest.raises(OutcomeUnknownError, match="the connection was lost"),
    ):
        request(url)


def test_request_answer_that_stops_midway_has_an_unknown_outcome() -> None:
    done = threading.Event()

    def stop(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"x")
        done.wait(10)

    with listening(stop) as url:
        with pytest.raises(OutcomeUnknownError, match=r"no response within 0\.2s") as caught:
            request(url, seconds=0.2)
        done.set()
    assert "x.timeout" in str(caught.value.hint)


@pytest.mark.parametrize(
    "head, part",
    [
        pytest.param(b"Content-Length: 100\r\n\r\n", b"x", id="content-length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", id="chunked"),
        pytest.param(b"Connection: close\r\n\r\n", b"x", id="until-closed"),
    ],
)
def test_request_answer_that_trickles_past_the_deadline_has_an_unknown_outcome(head: bytes, part: bytes) -> None:
    done = threading.Event()
    sent: list[bytes] = []

    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head)
        while not done.wait(0.1) and len(sent) < 99:
            try:
                connection.sendall(part)
            except OSError:
                return
            sent.append(part)

    with listening(trickle) as url:
        with pytest.raises(OutcomeUnknownError, match=r"no response within 0\.3s"):
            request(url, seconds=0.3)
        done.set()
    assert len(sent) < 99, "the client does not wait for the complete answer"


def test_requests_in_sequence_share_one_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            connection, _ = server.accept()
            with connection:
                for body in (HEAD + b"x" * 100, b"HTTP/1.1 204 No Content\r\n\r\n", HEAD + b"y" * 100):
                    connection.recv(65_536)
                    connection.sendall(body)

        thread = threading.Thread(target=run)
        thread.start()
        client = Client(Endpoint("device", None, 5.0, "x.ca", "x.host"))
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        replies = [client.request("GET", url, "the test", {}) for _ in range(3)]
        client.close()
        thread.join(10)
    assert [reply.content for reply in replies] == [b"x" * 100, b"", b"y" * 100]


def test_request_with_a_ca_file_that_is_missing_is_not_sent() -> None:
    client = Client(Endpoint("device", "/nowhere/ca.pem", 1.0, "x.ca", "x.host"))
    with pytest.raises(UntrustedError) as caught:
        client.request("GET", "https://127.0.0.1:9/", "the test", {})
    assert isinstance(caught.value, NotSentError)
    assert "x.ca" in str(caught.value.hint)
    client.close()


def test_one_line_shortens_and_prints_no_control_characters() -> None:
    assert one_line("a\x1b b\n\nc") == "a b c"
    assert one_line("x" * 500) == "x" * 400 + "..."


@pytest.mark.parametrize("slow", ["head", "chunk size"])
def test_request_answer_whose_lines_trickle_has_an_unknown_outcome(slow: str) -> None:
    """Each byte arrives within the timeout of the socket, and the line never ends."""
    done = threading.Event()
    sent: list[bytes] = []

    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        if slow == "chunk size":
            connection.sendall(b"Transfer-Encoding: chunked\r\n\r\n1;")
        while not done.wait(0.1) and len(sent) < 99:
            try:
                connection.sendall(b"x")
            except OSError:
                return
            sent.append(b"x")

    with listening(trickle) as url:
        with pytest.raises(OutcomeUnknownError, match=r"no response within 0\.3s"):
            request(url, seconds=0.3)
        done.set()
    assert len(sent) < 99


def encoded(content: bytes, encoding: str = "gzip") -> Callable[[socket.socket], None]:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(content)}\r\n\r\n".encode()

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client may close before it has read everything
            connection.sendall(head + content)

    return answer


def test_request_gzip_answer_is_decoded() -> None:
    with listening(encoded(gzip.compress(b"x" * 999))) as url:
        assert request(url) == b"x" * 999
    with listening(encoded(b"")) as url:
        assert request(url) == b""


def test_request_gzip_answer_above_the_size_limit_is_not_decoded_completely() -> None:
    """60 kB that decode to 60 MB."""
    bomb = gzip.compress(b"\0" * 60_000_000, 9)
    with listening(encoded(bomb)) as url:
        tracemalloc.start()
        with pytest.raises(OutcomeUnknownError, match="more than 1,000,000 bytes"):
            request(url, largest=1_000_000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize(
    "content, encoding, reason",
    [
        pytest.param(gzip.compress(gzip.compress(b"x")), "gzip, gzip", "was not requested", id="twice"),
        pytest.param(b"x", "br", "was not requested", id="other"),
        pytest.param(b"plain", "gzip", "is not encoded as gzip", id="not-gzip"),
        pytest.param(gzip.compress(b"x" * 999)[:-9], "gzip", "is truncated", id="truncated"),
    ],
)
def test_request_answer_that_cannot_be_decoded_has_an_unknown_outcome(
    content: bytes, encoding: str, reason: str
) -> None:
    with listening(encoded(content, encoding)) as url, pytest.raises(OutcomeUnknownError, match=reason):
        request(url)


def test_parsed_json_that_is_nested_too_deep_is_refused() -> None:
    assert parsed("[" * 39 + "]" * 39)
    for depth in (60, 900, 100_000):
        with pytest.raises(ValueError, match="too deep"):
            parsed('{"a": ' + "[" * depth + "]" * depth + "}")


def test_parsed_json_with_half_a_surrogate_pair_can_be_encoded() -> None:
    assert parsed(r'{"a": "x\ud800y", "b": "\\ud800", "c": "\ud83d\ude00"}') == {
        "a": "x\ufffdy",
        "b": "\\ud800",
        "c": "\U0001f600",
    }
