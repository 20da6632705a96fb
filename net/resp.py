"""RESP 2, the protocol of Redis: commands and replies.

Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

import asyncio

MAX_BULK = 1024 * 1024
"""The longest bulk string, in bytes, and the longest array."""
MAX_DEPTH = 4
"""The deepest nesting of arrays."""

Reply = int | bytes | None | list["Reply"]


class RespError(RuntimeError):
    """Redis replied with an error, or the data is not RESP."""


def encode(*words: bytes | str) -> bytes:
    """Return a command as an array of bulk strings.

    >>> encode("PING")
    b'*1\\r\\n$4\\r\\nPING\\r\\n'
    """
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


async def read_reply(reader: asyncio.StreamReader, depth: int = 0) -> Reply:
    """Read one reply of any type.

    Raises:
        RespError: An error reply, or a reply beyond MAX_BULK or MAX_DEPTH.
        ValueError: The data is not RESP.
    """
    line = await reader.readuntil(b"\r\n")
    kind, rest = line[:1], line[1:-2]
    match kind:
        case b"+":
            return rest
        case b":":
            return int(rest)
        case b"-":
            raise RespError(rest.decode("utf-8", "replace"))
        case b"$" if rest == b"-1":
            return None
        case b"$" if int(rest) <= MAX_BULK:
            return (await reader.readexactly(int(rest) + 2))[:-2]
        case b"*" if depth < MAX_DEPTH and int(rest) <= MAX_BULK:
            return [await read_reply(reader, depth + 1) for _ in range(max(int(rest), 0))]
    raise RespError(f"unexpected reply {line[:40]!r}")
