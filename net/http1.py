"""HTTP/1.1 syntax: request heads, and the parser for responses. No input or output here.

Sources: RFC 9112 (message syntax), RFC 9110 (status codes without a body).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_HEAD: Final = 64 * 1024
"""The longest head of a response, in bytes."""
_DIGITS: Final = re.compile(rb"[0-9A-Fa-f]{1,16}")
MAX_RESPONSE: Final = 4 * 1024 * 1024
"""The longest response, in bytes."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response. `head` is the raw status line and headers; `keep`: the connection can be reused."""

    status: int
    head: bytes
    body: bytes
    keep: bool

    def header(self, name: bytes) -> str:
        """Return the first header of that (lower-case) name, or an empty string."""
        return next(iter(self.headers(name)), "")

    def headers(self, name: bytes) -> list[str]:
        """Return every header of that (lower-case) name."""
        pairs = (line.partition(b":") for line in self.head.split(b"\r\n"))
        return [value.strip().decode("latin-1") for key, _, value in pairs if key.lower() == name]


def request_head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    r"""Return the head of a request.

    >>> request_head("GET", "/", {"Host": "a"})
    b'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


def parse_response(buffer: bytearray, *, head_only: bool, ended: bool, upgrade: bool = False) -> Response | None:
    """Return the response in `buffer`, or None while it is incomplete.

    Interim (1xx) responses are skipped and removed from the buffer. `head_only`: the request was HEAD. `ended`: the
    server closed the connection, which ends a body without a length. `upgrade`: 101 is the final response.

    Raises:
        ValueError: The data is not an HTTP/1 response, or is too long.
    """
    while (head := _head(buffer)) is not None:
        status, start = _number(head[9:12]), len(head) + 4
        if status == 101 and upgrade:
            return Response(status, head, b"", keep=True)
        if not 100 <= status < 200:
            return _final(buffer, Response(status, head, b"", keep=True), head_only=head_only, ended=ended)
        del buffer[:start]
    return None


def _head(buffer: bytearray) -> bytes | None:
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > MAX_HEAD:
            raise ValueError("head too long")
        return None
    if not buffer.startswith(b"HTTP/1."):
        raise ValueError("not HTTP/1")
    return bytes(buffer[:end])


def _number(digits: bytes, base: int = 10) -> int:
    """The number; `int` alone would also accept signs, spaces and underscores."""
    if not _DIGITS.fullmatch(digits):
        raise ValueError("not a number")
    return int(digits, base)


def _final(buffer: bytearray, begun: Response, *, head_only: bool, ended: bool) -> Response | None:
    head, status, start = begun.head, begun.status, len(begun.head) + 4
    lower = head.lower()
    keep = b"\r\nconnection: close" not in lower and head.startswith(b"HTTP/1.1")
    if head_only or status in {204, 304}:
        return Response(status, head, b"", keep)
    body, delimited = _body(buffer, start, lower, ended=ended)
    return None if body is None else Response(status, head, body, keep and delimited)


def _body(buffer: bytearray, start: int, lower: bytes, *, ended: bool) -> tuple[bytes | None, bool]:
    """Return the body if it is complete, and whether the head delimits it (and not the end of the connection)."""
    if len(buffer) > MAX_RESPONSE:
        raise ValueError("response too long")
    at = lower.find(b"\r\ncontent-length:")
    if at >= 0:
        line_end = lower.find(b"\r\n", at + 2)
        size = _number(lower[at + 17 : line_end if line_end >= 0 else None].strip())
        return (bytes(buffer[start : start + size]), True) if len(buffer) >= start + size else (None, True)
    if b"\r\ntransfer-encoding: chunked" in lower:
        return _chunks(buffer, start), True
    return (bytes(buffer[start:]), False) if ended else (None, False)


def _chunks(buffer: bytearray, at: int) -> bytes | None:
    parts: list[bytes] = []
    while True:
        line_end = buffer.find(b"\r\n", at)
        if line_end < 0:
            return None
        size = _number(bytes(buffer[at:line_end]).partition(b";")[0].strip(), 16)
        at = line_end + 2
        if len(buffer) < at + size + 2:
            return None
        if size == 0:
            return b"".join(parts) if buffer.find(b"\r\n", at) >= 0 else None
        parts.append(bytes(buffer[at : at + size]))
        at += size + 2
