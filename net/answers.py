"""The complete answer at a blocking socket, within limits of time and size."""

import socket
import time
from collections.abc import Callable
from typing import Final

_CHUNK: Final = 65536


class TooLongError(Exception):
    """An answer has more bytes than the limit."""


def received(client: socket.socket, seconds: float, longest: int, now: Callable[[], float] = time.monotonic) -> bytes:
    """Return what the peer sends until it closes the connection; `longest` is in bytes.

    The time is that of the complete answer. The timeout of a socket limits only each pause: a peer that sends one byte
    a second would never exceed it.

    Raises:
        TimeoutError: The answer is not complete after `seconds`.
        TooLongError: It is longer than `longest`.
        OSError: The connection is lost.
    """
    ends = now() + seconds
    answer = bytearray()
    while len(answer) <= longest:
        left = ends - now()
        if left <= 0:
            raise TimeoutError
        client.settimeout(left)
        if not (part := client.recv(_CHUNK)):
            return bytes(answer)
        answer += part
    raise TooLongError
