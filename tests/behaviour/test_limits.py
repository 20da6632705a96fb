"""Limits of connections: of one client address, of clients that send nothing, and of all robots."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from nlbgen.core.errors import SpecError
from nlbgen.generators.base import generator, render
from nlbgen.net.waiting import wait_until
from nlbgen.prove.lab.lab import Lab
from nlbgen.spec.capacity import connections_for

from .conftest import Changes, FarmLab, StartFarm, make_spec, require

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


@pytest.mark.haproxy
@pytest.mark.parametrize("robots", [1_000, 7_590])
def test_haproxy_starts_with_the_limits_that_the_finding_about_robots_asks_for(robots: int) -> None:
    require("haproxy")
    with pytest.raises(SpecError) as refused:
        make_spec(
            {"orchestrator": {"robots": robots}, "balancer": {"limits": {"connections": 100, "open_files": 1300}}}
        )
    asked = re.findall(r"`(\w+): (\d+)`", refused.value.problems[0].hint or "")
    limits = {name: int(number) for name, number in asked}
    spec = make_spec({"orchestrator": {"robots": robots}, "balancer": {"limits": limits}})
    files = {file.path.name: file.content.decode() for file in render(generator("haproxy"), spec)}
    allowed = int(re.findall(r"LimitNOFILE=(\d+)", files["nlbgen.conf"])[0])
    with Lab(spec, "haproxy") as lab:
        assert wait_until(lambda: "Ulimit-n" in lab.runtime("show info"))
        info = dict(re.findall(r"(?m)^([\w-]+): (\d+)$", lab.runtime("show info")))
    assert int(info["Ulimit-n"]) <= allowed, "systemd allows as many open files as HAProxy asks for"
    assert int(info["Maxconn"]) >= connections_for(robots)
