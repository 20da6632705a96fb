"""Loopback addresses and free ports on them: the only network that this package ever touches."""

import ipaddress
import random
import socket
from contextlib import closing

from .waiting import wait_until

# Below the ephemeral range of Linux (32768), Windows and macOS (49152): a port from that range can be taken
# by an outgoing connection while its owner restarts.
FIRST_PORT, LAST_PORT = 20000, 32000
_TRIES = 200
_random = random.Random()  # noqa: S311 - spreads parallel test runs, no secret
_signs: dict[int, tuple[int, int]] = {}


class NotLoopbackError(ValueError):
    """An address that is not a loopback address was asked for."""


def require_loopback(host: str) -> str:
    """Return `host` when it is a literal loopback address; raise NotLoopbackError otherwise.

    Names are refused as well, `localhost` too: what a name resolves to is not known here.
    """
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise NotLoopbackError(f"{host}: only a loopback address is allowed here (127.0.0.1)")
    return host


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _can_bind(host: str, port: int) -> bool:
    with closing(socket.socket(_family(host), socket.SOCK_STREAM)) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _reserve(host: str, port: int) -> bool:
    """Take the UDP port of that number, which nobody needs, as a sign that the TCP port is given away.

    The sign holds between processes (parallel test runs), needs no file, and is gone when its owner dies.
    """
    sign = socket.socket(_family(host), socket.SOCK_DGRAM)
    try:
        sign.bind((host, port))
    except OSError:
        sign.close()
        return False
    _signs[port] = (int(sign.family), sign.detach())
    return True


def release_port(port: int) -> None:
    """Give a port of `free_port` back; others may be given it from now on."""
    family, handle = _signs.pop(port, (0, -1))
    if handle != -1:
        socket.socket(family, socket.SOCK_DGRAM, fileno=handle).close()


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port that nothing listens on now; no other call, in any process, is given it until released.

    >>> free_port() != free_port()
    True
    """
    require_loopback(host)
    for _ in range(_TRIES):
        port = _random.randrange(FIRST_PORT, LAST_PORT)
        if _reserve(host, port):
            if _can_bind(host, port):
                return port
            release_port(port)
    raise RuntimeError(f"no free port found on {host} in {_TRIES} tries")


def accepts(port: int, host: str = "127.0.0.1", timeout: float = 1.0) -> bool:
    """Tell whether something accepts TCP connections there."""
    try:
        with socket.create_connection((require_loopback(host), port), timeout=timeout):
            return True
    except OSError:
        return False


def wait_port(port: int, host: str = "127.0.0.1", seconds: float = 10.0) -> bool:
    """Wait until the port accepts, at most `seconds`; False when it never did."""
    return wait_until(lambda: accepts(port, host), seconds)
