"""One command to a Unix socket of a program on this machine."""

import socket
from pathlib import Path
from typing import Final

from ..core import activity
from .report import UnreachedError

SECONDS: Final = 5.0
LONGEST: Final = 16 * 1024 * 1024
"""Bytes of an answer: the states of thousands of nodes."""


def ask(path: Path, command: str, title: str) -> str:
    """Return the answer of the program; raises UnreachedError with `title` as its name."""
    family: int | None = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise UnreachedError(f"{title} has a Unix socket, and this system has none", "use --ssh")
    activity.note(f"{title}, {path}: {command}")
    try:
        with socket.socket(family) as client:
            client.settimeout(SECONDS)
            client.connect(str(path))
            client.sendall(command.encode() + b"\n")
            # HAProxy's master process waits for further commands until the end of the input.
            client.shutdown(socket.SHUT_WR)
            return _answer(client).decode("utf-8", "replace")
    except OSError as error:
        reason = error.strerror or "no answer"
        raise UnreachedError(
            f"{title} does not answer at {path}: {reason}",
            "run nlbgen drift on the balancer, as root or in the group of the socket; or use --ssh",
        ) from None


def _answer(client: socket.socket) -> bytes:
    answer = b""
    while len(answer) < LONGEST and (part := client.recv(65536)):
        answer += part
    return answer
