"""Checks whether a server accepts an old TLS version, with a ClientHello of its own.

This computer's TLS library cannot check that: since OpenSSL 3.0 it rejects TLS 1.0 and 1.1 itself, depending on the
distribution's settings, and its rejection looks like the server's.

Sources: RFC 2246 and 4346 (TLS 1.0, 1.1), RFC 5246 (TLS 1.2), RFC 6066 (SNI), RFC 8422 (curves and point formats).
"""

import asyncio
import secrets
from typing import Final

from ..net.connect import Limits, connected

TLS_1_1: Final = 0x0302
"""The server replies with TLS 1.1 or 1.0, or rejects the handshake."""
TLS_1_2: Final = 0x0303
NAMES: Final = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2"}

_HANDSHAKE: Final = 22
_SERVER_HELLO: Final = 2
_RENEGOTIATION: Final = 0x00FF
_CBC: Final = (0xC014, 0xC013, 0xC00A, 0xC009, 0x0035, 0x002F, 0x000A, 0x0039, 0x0033)
"""AES and 3DES with RSA, ECDHE and DHE: the ciphers of TLS 1.0 and 1.1."""
_GCM: Final = (0xC02F, 0xC030, 0xC02B, 0xC02C, 0xCCA8, 0xCCA9, 0x009C, 0x009D)
_CURVES: Final = (0x001D, 0x0017, 0x0018, 0x0019)
_SIGNATURES: Final = (0x0403, 0x0503, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201)


async def accepted(host: str, port: int, name: str, newest: int, limits: Limits) -> int | None:
    """Return the TLS version that a server selects from the versions up to `newest`.

    None: the server rejects the handshake, or does not respond. Raises ConnectError.
    """
    async with connected(host, port, limits) as peer:
        try:
            async with asyncio.timeout(limits.connect):
                peer.writer.write(client_hello(name, newest))
                record = await peer.reader.readexactly(5)
                if record[0] != _HANDSHAKE:
                    return None
                hello = await peer.reader.readexactly(6)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return None
    return int.from_bytes(hello[4:6], "big") if hello[0] == _SERVER_HELLO else None


def client_hello(name: str, newest: int) -> bytes:
    """Return a ClientHello for `name` that offers versions up to `newest`, in one record."""
    ciphers = _words((*(_GCM if newest >= TLS_1_2 else ()), *_CBC, _RENEGOTIATION))
    server_name = b"\x00" + _sized(name.encode("ascii"), 2)
    extensions = _extension(0, _sized(server_name, 2))
    extensions += _extension(10, _sized(_words(_CURVES), 2)) + _extension(11, _sized(b"\x00", 1))
    if newest >= TLS_1_2:
        extensions += _extension(13, _sized(_words(_SIGNATURES), 2))
    body = newest.to_bytes(2, "big") + secrets.token_bytes(32) + _sized(b"", 1)
    body += _sized(ciphers, 2) + _sized(b"\x00", 1) + _sized(extensions, 2)
    message = b"\x01" + _sized(body, 3)
    return bytes([_HANDSHAKE]) + (0x0301).to_bytes(2, "big") + _sized(message, 2)


def _sized(data: bytes, width: int) -> bytes:
    return len(data).to_bytes(width, "big") + data


def _words(numbers: tuple[int, ...]) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def _extension(number: int, data: bytes) -> bytes:
    return number.to_bytes(2, "big") + _sized(data, 2)
