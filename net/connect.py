"""TCP and TLS connections with bounded time, never through a proxy."""

import asyncio
import ipaddress
import os
import socket
import ssl
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

HEAD_BYTES: Final = 64 * 1024
"""The limit of `StreamReader.readuntil`, in bytes: the longest head of a response."""


class Limits(NamedTuple):
    """Timeouts, in seconds."""

    connect: float
    """For resolving a name, for a TCP connection, and for a TLS handshake; each by itself."""
    answer: float
    """For one response, from the request on."""

    @classmethod
    def within(cls, seconds: float) -> "Limits":
        """Return the limits for a run of that many seconds: they leave time for more checks of a machine that hangs."""
        return cls(min(5.0, seconds / 4), min(10.0, seconds / 2))


class ConnectError(Exception):
    """A connection could not be opened; `kind` is the id of the probe's finding."""

    def __init__(self, kind: str, found: str) -> None:
        super().__init__(found)
        self.kind = kind
        self.found = found


class Peer(NamedTuple):
    """An open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session; None without TLS."""
        found: ssl.SSLObject | None = self.writer.get_extra_info("ssl_object")
        return found


async def resolve(host: str, seconds: float) -> tuple[str, ...]:
    """Resolve a host name to its addresses, in the system's order; an address resolves to itself.

    The system's resolver cannot be interrupted. It runs in a daemon thread, which the loop does not join at its end
    (it would join the threads of asyncio's own resolver).

    Raises:
        ConnectError: The name does not resolve within `seconds`.
    """
    with suppress(ValueError):
        return (str(ipaddress.ip_address(host)),)
    loop = asyncio.get_running_loop()
    future: asyncio.Future[tuple[str, ...] | OSError] = loop.create_future()

    def deliver(outcome: tuple[str, ...] | OSError) -> None:
        if not future.done():
            future.set_result(outcome)

    def look_up() -> None:
        outcome: tuple[str, ...] | OSError
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            outcome = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
        except (OSError, UnicodeError) as error:
            outcome = error if isinstance(error, OSError) else OSError(str(error))
        with suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(deliver, outcome)

    threading.Thread(target=look_up, name=f"look up {host}", daemon=True).start()
    try:
        outcome = await asyncio.wait_for(future, seconds)
    except TimeoutError:
        raise ConnectError("name-unknown", f"the name server did not answer within {seconds:g} s") from None
    if isinstance(outcome, OSError):
        raise ConnectError("name-unknown", f"{host} does not resolve: {outcome.strerror or outcome}")
    return outcome


async def dial(host: str, port: int, seconds: float) -> socket.socket:
    """Open a TCP connection to the first address of a host that accepts one. Raises ConnectError."""
    fault = ""
    for address in await resolve(host, seconds):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(connection, (address, port)), seconds)
        except (OSError, TimeoutError) as error:
            connection.close()
            fault = f"no response within {seconds:g} s" if isinstance(error, TimeoutError) else failure_reason(error)
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise ConnectError("unreachable", fault)


def failure_reason(error: OSError) -> str:
    """Return why a connection failed, by errno: asyncio replaces `strerror`. Windows has its own error numbers."""
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, ConnectionError):
        return "the connection was reset"
    text = error.strerror if sys.platform == "win32" else os.strerror(error.errno or 0)
    return (text or type(error).__name__).lower()


@asynccontextmanager
async def connected(
    host: str, port: int, limits: Limits, *, tls: ssl.SSLContext | None = None, name: str | None = None
) -> AsyncIterator[Peer]:
    """Open a connection, and abort it at the end; with `tls`, `name` is the server name (default: the host).

    Raises:
        ConnectError: There is no connection, or the TLS handshake fails.
        ssl.SSLCertVerificationError: The context rejects the certificate.
    """
    connection = await dial(host, port, limits.connect)
    server_name = (name or host) if tls else None
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(sock=connection, limit=HEAD_BYTES, ssl=tls, server_hostname=server_name),
            limits.connect,
        )
    except ssl.SSLCertVerificationError:
        raise
    except (OSError, TimeoutError) as error:
        raise ConnectError("tls-handshake", _tls_reason(error, limits.connect)) from None
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


def _tls_reason(error: OSError | TimeoutError, seconds: float) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, ConnectionError):
        return "the connection ended in the handshake"
    return f"no handshake within {seconds:g} s" if isinstance(error, TimeoutError) else failure_reason(error)
