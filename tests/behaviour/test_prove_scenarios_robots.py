"""Scenarios of robots that hold connections: they pass on the example farm, and fail with each fault."""

import re

import pytest

from .conftest import Changes, Fault, StartBench, failed_in, lines_without

pytestmark = pytest.mark.slow

CORE: Changes = {"orchestrator": {"version": "2020.10"}, "balancer": {"affinity": "signalr"}}
PLAIN: Changes = {"frontend": {"tls": {"mode": "terminate"}}}


def failures_are_kept(text: str) -> str:
    """WebSockets share the rules of requests that end: a node's failures are forgotten when one of them ends."""
    text = lines_without(text, "auth_request", "backup max_fails=0")
    return text.replace("max_fails=1 fail_timeout=5s", "max_fails=2 fail_timeout=10s")


def one_long_timeout(text: str) -> str:
    """Every SignalR request may take an hour, and no check precedes a WebSocket."""
    return re.sub(r"proxy_read_timeout (130s|5s)", "proxy_read_timeout 1h", lines_without(text, "auth_request"))


@pytest.mark.parametrize("changes", [{}, CORE], ids=["none", "signalr"])
@pytest.mark.parametrize("name", ["rolling-restart", "hang-robots"])
def test_robots_reconnect(shared_bench: StartBench, vendor: str, name: str, changes: Changes) -> None:
    assert failed_in(shared_bench(vendor, changes).run(name)) == []


@pytest.mark.parametrize(
    ("program", "name", "metric", "changes", "fault"),
    [
        ("nginx", "rolling-restart", "share", {}, failures_are_kept),
        ("nginx", "rolling-restart", "refused", {}, failures_are_kept),
        ("nginx", "hang-robots", "back_within", PLAIN, one_long_timeout),
        (
            "haproxy",
            "hang-robots",
            "back_within",
            PLAIN,
            lambda text: re.sub(r"timeout check \w+", "timeout check 30s", text).replace("leastconn", "roundrobin"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.no_cover  # other tests reach the same lines
def test_robots_on_a_faulty_configuration_fail(
    shared_bench: StartBench, program: str, name: str, metric: str, changes: Changes, fault: Fault
) -> None:
    seen = shared_bench(program, changes).run(name, fault, until=metric)
    assert seen[metric].verdict == "failed", seen
