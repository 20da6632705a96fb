"""A small HTTP/1.1 client connection: fast, without any retry of its own.

aiohttp's client (as browsers do) silently repeats an idempotent request when a kept-alive connection turns out to be
closed. A load generator that counts failures must not, so it speaks HTTP itself.
"""

import asyncio
import ipaddress
import select
import ssl
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from .loopback import require_loopback

MAX_RESPONSE = 4 * 1024 * 1024
MAX_HEAD = 64 * 1024


class WireError(Exception):
    """The connection failed; `kind` is a short word for the statistics: reset, closed, bad-response."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go: the name in the URL is only a Host header and SNI, the address is always loopback."""

    address: str
    port: int
    host: str
    server_name: str
    tls: ssl.SSLContext | None

    @classmethod
    def of(
        cls,
        url: str,
        *,
        host: str | None = None,
        address: str = "127.0.0.1",
        ca: str | None = None,
        verify: bool = True,
    ) -> "Target":
        """Make a target of a base URL.

        `host` overrides the Host header and SNI. `ca`: a PEM file to trust instead of the system's.
        A name in the URL is never resolved: `address` is used; a literal address in the URL is used itself.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url}: not an http or https URL")
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        return cls(
            address=require_loopback(parts.hostname if is_literal(parts.hostname) else address),
            port=port,
            host=host or parts.netloc.rpartition("@")[2],
            server_name=host.partition(":")[0] if host else parts.hostname,
            tls=client_tls(ca, verify=verify) if secure else None,
        )


def is_literal(host: str) -> bool:
    """Tell whether a host is written as an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def client_tls(ca: str | None = None, *, verify: bool = True) -> ssl.SSLContext:
    """Return a client context that trusts `ca` (or the system), or that checks nothing."""
    return _client_tls(ca, Path(ca).stat().st_mtime_ns if ca else 0, verify)


@lru_cache(maxsize=16)
def _client_tls(ca: str | None, changed: int, verify: bool) -> ssl.SSLContext:
    """Kept, because reading the system's authorities takes 10 ms and more; `changed` tells a rewritten file."""
    del changed
    context = ssl.create_default_context(cafile=ca)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response. `head` is the raw status line and headers."""

    status: int
    head: bytes
    body: bytes
    keep: bool

    def header(self, name: bytes) -> str:
        """Return the first header of that (lower-case) name, or an empty string."""
        for line in self.head.split(b"\r\n"):
            key, _, value = line.partition(b":")
            if key.lower() == name:
                return value.strip().decode("latin-1")
        return ""

    def headers(self, name: bytes) -> list[str]:
        """Return every header of that (lower-case) name."""
        pairs = (line.partition(b":") for line in self.head.split(b"\r\n"))
        return [value.strip().decode("latin-1") for key, _, value in pairs if key.lower() == name]


class Connection(asyncio.Protocol):
    """One kept-alive connection that answers one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiter: asyncio.Future[Answer] | None = None
        self._head_only = False
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses of asyncio's
        self.open = True

    def data_received(self, data: bytes) -> None:
        """Collect, and answer the waiting request once the response is complete."""
        if self._waiter is None or self._waiter.done():
            self._abort_soon()
            return
        self._buffer += data
        try:
            answer = parse(self._buffer, head_only=self._head_only, ended=False)
        except ValueError:
            self._fail("bad-response")
            return
        if answer is not None:
            self._finish(answer)

    def eof_received(self) -> bool:
        """Let the transport close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Answer a waiting request with what came, or fail it."""
        self.open = False
        if self._waiter is None or self._waiter.done():
            return
        answer: Answer | None = None
        if exc is None:
            try:
                answer = parse(self._buffer, head_only=self._head_only, ended=True)
            except ValueError:
                answer = None
        if answer is not None:
            self._finish(answer)
        else:
            self._fail("closed" if exc is None else "reset")

    def _finish(self, answer: Answer) -> None:
        waiter, self._waiter = self._waiter, None
        self._buffer.clear()
        if not answer.keep:
            self._abort_soon()
        if waiter is not None:
            waiter.set_result(answer)

    def _fail(self, kind: str) -> None:
        waiter, self._waiter = self._waiter, None
        self._abort_soon()
        if waiter is not None and not waiter.done():
            waiter.set_exception(WireError(kind))

    def send(self, data: bytes, *, head_only: bool = False) -> asyncio.Future[Answer]:
        """Send one request and return the future of its answer; WireError when it fails."""
        if not self.open or self._transport is None:
            raise WireError("closed")
        self._waiter = asyncio.get_running_loop().create_future()
        self._head_only = head_only
        self._transport.write(data)
        return self._waiter

    @property
    def stale(self) -> bool:
        """Whether something arrived on this idle connection that the loop has not read yet: as a rule its end.

        A client whose loop is late would otherwise send into a connection that was closed in time, and blame the
        server.
        """
        if self._transport is None:
            return True
        own = self._transport.get_extra_info("socket")
        return own is None or own.fileno() < 0 or _readable(own.fileno())

    def _abort_soon(self) -> None:
        # Not from inside data_received: uvloop's TLS layer still holds the transport there, and complains.
        self.open = False
        asyncio.get_running_loop().call_soon(self.abort)

    def abort(self) -> None:
        """Drop the connection at once."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()


def _readable(descriptor: int) -> bool:
    """Whether there is something to read, without reading it."""
    if sys.platform == "win32":
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def parse(buffer: bytearray, *, head_only: bool, ended: bool) -> Answer | None:
    """Return the response in the buffer if it is complete, None if more must come; ValueError if it is no HTTP."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > MAX_HEAD:
            raise ValueError("head too long")
        return None
    head = bytes(buffer[:end])
    if not head.startswith(b"HTTP/1."):
        raise ValueError("not HTTP/1")
    status = int(head[9:12])
    start = end + 4
    if 100 <= status < 200:
        del buffer[:start]
        return parse(buffer, head_only=head_only, ended=ended)
    lower = head.lower()
    keep = b"\r\nconnection: close" not in lower and head.startswith(b"HTTP/1.1")
    if head_only or status in {204, 304}:
        return Answer(status, head, b"", keep)
    body, delimited = _body(buffer, start, lower, ended=ended)
    return None if body is None else Answer(status, head, body, keep and delimited)


def _body(buffer: bytearray, start: int, lower: bytes, *, ended: bool) -> tuple[bytes | None, bool]:
    """Return the body if complete, and whether its end is marked by other means than the end of the connection."""
    if len(buffer) > MAX_RESPONSE:
        raise ValueError("response too long")
    at = lower.find(b"\r\ncontent-length:")
    if at >= 0:
        line_end = lower.find(b"\r\n", at + 2)
        size = int(lower[at + 17 : line_end if line_end >= 0 else None])
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
        size = int(bytes(buffer[at:line_end]).partition(b";")[0], 16)
        at = line_end + 2
        if len(buffer) < at + size + 2:
            return None
        if size == 0:
            return b"".join(parts) if buffer.find(b"\r\n", at) >= 0 else None
        parts.append(bytes(buffer[at : at + size]))
        at += size + 2
