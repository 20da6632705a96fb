"""One command to a Unix socket of a program on this machine."""

import socket
from pathlib import Path
from typing import Final

from ..core import activity
from ..net.answers import TooLongError, received
from .report import UnreachedError

SECONDS: Final = 5.0
"""For the connection, and then for the complete answer."""
LONGEST: Final = 16 * 1024 * 1024
"""Bytes of an answer: the states of thousands of nodes."""


def ask(path: Path, command: str, title: str) -> str:
    """Return the answer of the program; raises UnreachedError with `title` as its name."""
    family: int | None = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise UnreachedError(f"{title} uses a Unix socket, but this system has no Unix sockets", "use --ssh")
    activity.note(f"{title}, {path}: {command}")
    try:
        with socket.socket(family) as client:
            client.settimeout(SECONDS)
            client.connect(str(path))
            client.sendall(command.encode() + b"\n")
            # HAProxy's master process waits for further commands until the end of the input.
            client.shutdown(socket.SHUT_WR)
            answer = received(client, SECONDS, LONGEST)
    except TimeoutError:
        raise _silent(path, title, f"no complete answer within {SECONDS:g} s") from None
    except TooLongError:
        raise UnreachedError(
            f"{title}: the answer at {path} to {command} is longer than {LONGEST:,} bytes",
            f"check that the socket is that of {title}",
        ) from None
    except OSError as error:
        # A path that is too long for a socket has no errno, only a text.
        raise _silent(path, title, error.strerror or str(error) or "no answer") from None
    if not answer:
        raise _silent(path, title, "it closed the connection without an answer")
    return answer.decode("utf-8", "replace")


def _silent(path: Path, title: str, reason: str) -> UnreachedError:
    return UnreachedError(
        f"{title} does not answer at {path}: {reason}",
        "run nlbgen drift on the balancer, as root or in the group of the socket; or use --ssh",
    )
