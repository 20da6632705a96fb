"""Limits of connections: of one client address, and of clients that send nothing."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from nlbgen.net.waiting import wait_until

from .conftest import Changes, FarmLab, StartFarm

LIMIT = 20
PER_ADDRESS: Changes = {"balancer": {"limits": {"connections": 100, "connections_per_address": LIMIT}}}


@contextmanager
def silent(lab: FarmLab, count: int, address: str = "127.3.0.1") -> Iterator[list[socket.socket]]:
    """Connections from one address that send nothing."""
    with ExitStack() as stack:
        held = []
        for _ in range(count):
            client = stack.enter_context(socket.socket())
            client.bind((address, 0))
            client.connect(("127.0.0.1", lab.port))
            client.setblocking(False)
            held.append(client)
        yield held


def is_open(client: socket.socket) -> bool:
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@pytest.mark.haproxy
@pytest.mark.parametrize("mode", ["bridge", "passthrough", "none"])
def test_one_address_gets_no_more_than_its_connections(farm: StartFarm, mode: str) -> None:
    accept = ["plain-http", "core-affinity"]
    lab = farm("haproxy", {**PER_ADDRESS, "frontend": {"tls": {"mode": mode}}, "accept": accept})
    with silent(lab, 60) as held:
        assert wait_until(lambda: sum(map(is_open, held)) == LIMIT, 3), sum(map(is_open, held))
        assert [lab.get().status for _ in range(20)] == [200] * 20, "another address is served"


@pytest.mark.haproxy
def test_client_that_begins_no_handshake_is_disconnected_with_passthrough(farm: StartFarm) -> None:
    """`timeout client` is an hour there, for the WebSockets that the balancer cannot see."""
    lab = farm("haproxy", {"frontend": {"tls": {"mode": "passthrough"}}})
    with silent(lab, 3) as held:
        assert wait_until(lambda: not any(map(is_open, held)), 30)
