"""A fast HTTP/1.1 client connection to loopback that never retries.

aiohttp's client and browsers repeat an idempotent request without notice when a kept-alive connection turns out to be
closed. A load generator that counts failures must not do that, so this module speaks HTTP itself.
"""

import asyncio
import ipaddress
import select
import ssl
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self, cast
from urllib.parse import urlsplit

from .http1 import Response, parse_response
from .loopback import local_port, require_loopback


class WireError(Exception):
    """The connection failed; `kind` is the name in the statistics: reset, closed, bad-response."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Target:
    """The destination of requests. The URL's name is only the Host header and SNI; the address is always loopback."""

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
        """Return the target of a base URL.

        `host` overrides the Host header and SNI. `ca` is a PEM file to trust instead of the system's CAs.
        A name in the URL is never resolved: the target is `address`. A literal address in the URL takes precedence.

        Raises:
            ValueError: The URL is not http or https, or the address is not loopback.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url}: not an http or https URL")
        secure = parts.scheme == "https"
        port = local_port(parts.hostname, parts.port or (443 if secure else 80))
        return cls(
            address=require_loopback(parts.hostname if is_literal(parts.hostname) else address),
            port=port,
            host=host or parts.netloc.rpartition("@")[2],
            server_name=host.partition(":")[0] if host else parts.hostname,
            tls=client_tls(ca, verify=verify) if secure else None,
        )


def is_literal(host: str) -> bool:
    """Return whether a host is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def client_tls(ca: str | None = None, *, verify: bool = True) -> ssl.SSLContext:
    """Return a client context that trusts `ca` (default: the system's CAs), or accepts any certificate."""
    return _client_tls(ca, Path(ca).stat().st_mtime_ns if ca else 0, verify)


@lru_cache(maxsize=16)
def _client_tls(ca: str | None, changed: int, verify: bool) -> ssl.SSLContext:
    """Cached: reading the system's CAs takes 10 ms or more. `changed` is part of the key, for a rewritten file."""
    del changed
    context = ssl.create_default_context(cafile=ca)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Connection(asyncio.Protocol):
    """One kept-alive connection with one request in flight at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiter: asyncio.Future[Response] | None = None
        self._head_only = False
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses of asyncio's
        self.open = True

    def data_received(self, data: bytes) -> None:
        """Buffer the data; complete the pending request when its response is complete."""
        if self._waiter is None or self._waiter.done():
            self._abort_soon()
            return
        self._buffer += data
        try:
            response = parse_response(self._buffer, head_only=self._head_only, ended=False)
        except ValueError:
            self._fail("bad-response")
            return
        if response is not None:
            self._finish(response)

    def eof_received(self) -> bool:
        """Let the transport close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Complete a waiting request with what arrived, or fail it."""
        self.open = False
        if self._waiter is None or self._waiter.done():
            return
        response: Response | None = None
        if exc is None:
            try:
                response = parse_response(self._buffer, head_only=self._head_only, ended=True)
            except ValueError:
                response = None
        if response is not None:
            self._finish(response)
        else:
            self._fail("closed" if exc is None else "reset")

    def _finish(self, response: Response) -> None:
        waiter, self._waiter = self._waiter, None
        self._buffer.clear()
        if not response.keep:
            self._abort_soon()
        if waiter is not None:
            waiter.set_result(response)

    def _fail(self, kind: str) -> None:
        waiter, self._waiter = self._waiter, None
        self._abort_soon()
        if waiter is not None and not waiter.done():
            waiter.set_exception(WireError(kind))

    @classmethod
    async def to(cls, target: Target, local: tuple[str, int] | None = None) -> Self:
        """Open a connection, from the address and port `local` where it is given. Raises OSError."""
        _, connection = await asyncio.get_running_loop().create_connection(
            cls,
            target.address,
            target.port,
            ssl=target.tls,
            server_hostname=target.server_name if target.tls else None,
            local_addr=local,
        )
        return connection

    def send(self, data: bytes, *, head_only: bool = False) -> asyncio.Future[Response]:
        """Send one request; return the future of its response, which raises WireError on failure."""
        if not self.open or self._transport is None:
            raise WireError("closed")
        self._waiter = asyncio.get_running_loop().create_future()
        self._head_only = head_only
        self._transport.write(data)
        return self._waiter

    @property
    def stale(self) -> bool:
        """Whether unread data is pending on this idle connection; usually the server's close.

        Without this check a client whose loop is late would send on a connection that the server has already closed,
        and would count that as the server's failure.
        """
        if self._transport is None:
            return True
        connection = self._transport.get_extra_info("socket")
        return connection is None or connection.fileno() < 0 or _readable(connection.fileno())

    def _abort_soon(self) -> None:
        # Not inside data_received: uvloop's TLS layer still uses the transport there, and reports an error.
        self.open = False
        asyncio.get_running_loop().call_soon(self.abort)

    def abort(self) -> None:
        """Close the connection immediately."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()


def _readable(descriptor: int) -> bool:
    """Return whether data is pending, without reading it."""
    if sys.platform == "win32":
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
