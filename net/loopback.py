"""Loopback addresses and free ports on them: the only network that the lab uses."""

import ipaddress
import random
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from .waiting import wait_until

# Below the ephemeral ranges of Linux (from 32768), Windows and macOS (from 49152): an outgoing connection can take a
# port of those while its owner restarts.
FIRST_PORT, LAST_PORT = 20000, 32000
_TRIES = 200
_random = random.Random()  # noqa: S311 - spreads parallel test runs, no secret
_locks: dict[int, tuple[int, int]] = {}
_published: dict[tuple[str, int], int] = {}


class NotLoopbackError(ValueError):
    """The address is not a loopback address."""


def require_loopback(host: str) -> str:
    """Return `host` if it is a loopback address.

    Names are rejected as well, also `localhost`: this function does not resolve them.

    Raises:
        NotLoopbackError: `host` is anything else.
    """
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise NotLoopbackError(f"{host}: only a loopback address is allowed here (127.0.0.1)")
    return host


def own_network() -> str:
    """Return the network namespace of this process, as in `net:[4026531840]`. Linux only: network_namespaces(7)."""
    return str(Path("/proc/self/ns/net").readlink())


def source_address(number: int, *, network: int) -> tuple[str, int]:
    """Return the local address of client `number` below 127.`network`, for up to 62,500 clients; Linux has them all.

    Clients in a row are in different networks of 256 addresses: `ip_hash` of NGINX does not distinguish within one.
    Their last numbers differ as well: `balance source` of HAProxy uses the address modulo the number of servers.
    """
    return f"127.{network}.{number % 250 + 1}.{(number % 250 + number // 250) % 250 + 1}", 0


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
    """Bind the UDP port of the same number, which is otherwise unused, as a lock on the TCP port.

    The lock works between processes (parallel test runs), needs no file, and ends with its owner.
    """
    lock = socket.socket(_family(host), socket.SOCK_DGRAM)
    try:
        lock.bind((host, port))
    except OSError:
        lock.close()
        return False
    _locks[port] = (int(lock.family), lock.detach())
    return True


def release_port(port: int) -> None:
    """Release a port of `free_port`; later calls may return it."""
    family, handle = _locks.pop(port, (0, -1))
    if handle != -1:
        socket.socket(family, socket.SOCK_DGRAM, fileno=handle).close()


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port without a listener, and reserve it in all processes until it is released.

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


@contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Yield as many different ports of `free_port`, and release them at the end."""
    ports: list[int] = []
    try:
        while len(ports) < count:
            ports.append(free_port())
        yield ports
    finally:
        for port in ports:
            release_port(port)


@contextmanager
def published(name: str, ports: Mapping[int, int]) -> Iterator[None]:
    """Connect clients of this process that request a port of `name` to another port on this machine.

    So a URL has a standard port, and the Host header has none, although only root may listen on those.
    """
    keys = {(name.lower(), port): here for port, here in ports.items()}
    _published.update(keys)
    try:
        yield
    finally:
        for key in keys:
            _published.pop(key, None)


def local_port(name: str, port: int) -> int:
    """Return the port on this machine for a port of a name: the same one, unless another one is published."""
    return _published.get((name.lower(), port), port)


def accepts(port: int, host: str = "127.0.0.1", timeout: float = 1.0) -> bool:
    """Return whether the port accepts TCP connections."""
    try:
        with socket.create_connection((require_loopback(host), port), timeout=timeout):
            return True
    except OSError:
        return False


def wait_port(port: int, host: str = "127.0.0.1", seconds: float = 10.0) -> bool:
    """Wait up to `seconds` until the port accepts connections; return whether it does."""
    return wait_until(lambda: accepts(port, host), seconds)
