"""The HTTP/1.1 client: responses however they arrive, and the only addresses that it connects to."""

import pytest

from nlbgen.net.client import Target, WireError
from nlbgen.net.http1 import parse_response


@pytest.mark.parametrize(
    ("raw", "status", "body", "keep"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b"", True),
        (b"HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 503, b"x", False),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;x\r\n!\r\n0\r\n\r\n",
            200,
            b"hi!",
            True,
        ),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    ],
)
def test_response_in_single_bytes_is_parsed(raw: bytes, status: int, body: bytes, keep: bool) -> None:
    buffer = bytearray()
    for number, byte in enumerate(raw):
        buffer.append(byte)
        answer = parse_response(buffer, head_only=False, ended=False)
        assert answer is None or number == len(raw) - 1
    assert answer is not None
    assert (answer.status, answer.body, answer.keep) == (status, body, keep)


def test_body_without_length_ends_with_the_connection() -> None:
    raw = bytearray(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert parse_response(raw, head_only=False, ended=False) is None
    answer = parse_response(raw, head_only=False, ended=True)
    assert answer is not None
    assert answer.body == b"abc"
    with pytest.raises(ValueError, match="not HTTP"):
        parse_response(bytearray(b"SSH-2.0-x\r\n\r\n"), head_only=False, ended=False)


def test_response_after_thousands_of_interim_ones_is_parsed() -> None:
    raw = bytearray(b"HTTP/1.1 100 Continue\r\n\r\n" * 5000 + b"HTTP/1.1 204 No Content\r\n\r\n")
    answer = parse_response(raw, head_only=False, ended=False)
    assert answer is not None
    assert answer.status == 204


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 +20 OK\r\n\r\n",
        b"HTTP/1.1 2_0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\nabc",
    ],
)
def test_number_in_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not a number"):
        parse_response(bytearray(raw), head_only=False, ended=False)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://10.0.0.1/", "http://", "https://[2001:db8::1]/"])
def test_target_outside_of_loopback_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        Target.of(url)


def test_name_of_a_target_is_not_resolved() -> None:
    target = Target.of("https://orchestrator.corp.example/", verify=False)
    assert (target.address, target.port, target.host) == ("127.0.0.1", 443, "orchestrator.corp.example")
    assert str(WireError("reset")) == "reset"
