"""Connections to machines of the farm: looked up, opened and ended within bounds, and past any proxy."""

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
"""How long one line or one head of an answer may be."""


class Limits(NamedTuple):
    """How long to wait, in seconds."""

    connect: float
    """For a name, for a TCP connection, and for a TLS handshake: each."""
    answer: float
    """For one answer, from the request on."""

    @classmethod
    def within(cls, seconds: float) -> "Limits":
        """The limits for a run of so many seconds: a hanging machine leaves time for what it is asked besides."""
        return cls(min(5.0, seconds / 4), min(10.0, seconds / 2))


class ReachError(Exception):
    """A machine cannot be reached; `kind` is the id of the finding that this is."""

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
        """What TLS has agreed on; None without TLS."""
        found: ssl.SSLObject | None = self.writer.get_extra_info("ssl_object")
        return found


async def addresses(host: str, seconds: float) -> tuple[str, ...]:
    """The addresses behind a host name, in the system's order; an address stands for itself. Raises ReachError.

    The system's resolver cannot be interrupted. It runs in a thread that nobody waits for, unlike asyncio's own.
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
        with suppress(RuntimeError):  # the run is over, and its loop closed
            loop.call_soon_threadsafe(deliver, outcome)

    threading.Thread(target=look_up, name=f"look up {host}", daemon=True).start()
    try:
        outcome = await asyncio.wait_for(future, seconds)
    except TimeoutError:
        raise ReachError("name-unknown", f"the name server did not answer within {seconds:g} s") from None
    if isinstance(outcome, OSError):
        raise ReachError("name-unknown", f"{host} does not resolve: {outcome.strerror or outcome}")
    return outcome


async def dial(host: str, port: int, seconds: float) -> socket.socket:
    """A TCP connection to the first address of a host that accepts one. Raises ReachError."""
    fault = ""
    for address in await addresses(host, seconds):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(connection, (address, port)), seconds)
        except (OSError, TimeoutError) as error:
            connection.close()
            fault = f"no answer within {seconds:g} s" if isinstance(error, TimeoutError) else reason(error)
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise ReachError("unreachable", fault)


def reason(error: OSError) -> str:
    """Why a connection failed; asyncio puts words of its own into `strerror`, and Windows numbers its errors anew."""
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, ConnectionError):
        return "the connection was reset"
    own = error.strerror if sys.platform == "win32" else os.strerror(error.errno or 0)
    return (own or type(error).__name__).lower()


@asynccontextmanager
async def connected(
    host: str, port: int, limits: Limits, *, tls: ssl.SSLContext | None = None, name: str | None = None
) -> AsyncIterator[Peer]:
    """An open connection, dropped at the end; with `tls` under the name `name`.

    Raises ReachError, and ssl.SSLCertVerificationError where the context checks the certificate and refuses it.
    """
    raw = await dial(host, port, limits.connect)
    server_name = (name or host) if tls else None
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(sock=raw, limit=HEAD_BYTES, ssl=tls, server_hostname=server_name), limits.connect
        )
    except ssl.SSLCertVerificationError:
        raise
    except (OSError, TimeoutError) as error:
        raise ReachError("tls-handshake", _tls_reason(error, limits.connect)) from None
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


def _tls_reason(error: OSError | TimeoutError, seconds: float) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, ConnectionError):
        return "the connection ended in the handshake"
    return f"no handshake within {seconds:g} s" if isinstance(error, TimeoutError) else reason(error)
