"""Scenarios of long-lived connections: they pass on the example farm, and fail with each fault."""

import pytest

from .conftest import Changes, Fault, StartBench, failed_in, lines_without

pytestmark = pytest.mark.slow

CORE: Changes = {"orchestrator": {"version": "2020.10"}, "balancer": {"affinity": "signalr"}}
DEFAULT: Changes = {"orchestrator": {"version": "2020.10"}, "balancer": {"affinity": "auto"}}
NAMES = ("idle-websocket", "long-poll", "event-stream", "signalr-2")


@pytest.mark.parametrize("name", NAMES)
def test_live_connections_on_the_example_farm_pass(shared_bench: StartBench, vendor: str, name: str) -> None:
    assert shared_bench(vendor).failed(name) == []


@pytest.mark.parametrize("changes", [CORE, DEFAULT], ids=["signalr", "auto"])
@pytest.mark.no_cover  # other tests reach the same lines
def test_signalr_core_with_affinity_passes(shared_bench: StartBench, vendor: str, changes: Changes) -> None:
    seen = shared_bench(vendor, changes).run("signalr-core")
    assert failed_in(seen) == []
    negotiated = seen["negotiated_without_affinity"].metric
    assert negotiated is not None
    assert negotiated.value > 0, "the simulated nodes share connection ids"


UNUSUAL: dict[str, Changes] = {
    "passthrough": {"frontend": {"tls": {"mode": "passthrough"}}},
    "paths": {"balancer": {"signalr": {"paths": ["/hubs"]}}},
    "core-paths": {**CORE, "balancer": {"affinity": "signalr", "signalr": {"paths": ["/notifications"]}}},
    "health": {"balancer": {"health": {"path": "/my/health", "expect": 204}}},
    "one-serves": {
        "nodes": [
            {"name": "orch-1", "address": "10.20.0.11"},
            {"name": "orch-2", "address": "10.20.0.12", "state": "down"},
        ]
    },
}


@pytest.mark.parametrize("changes", UNUSUAL.values(), ids=UNUSUAL)
def test_signalr_on_an_unusual_farm_passes(shared_bench: StartBench, vendor: str, changes: Changes) -> None:
    name = "signalr-core" if "orchestrator" in changes else "signalr-2"
    seen = shared_bench(vendor, changes).run(name)
    assert failed_in(seen) == []


FAULTS: list[tuple[str, str, str, Fault]] = [
    ("haproxy", "idle-websocket", "cut", lambda text: lines_without(text, "timeout tunnel")),
    ("nginx", "idle-websocket", "cut", lambda text: lines_without(text, "_timeout 1h;")),
    ("haproxy", "idle-websocket", "kept", lambda text: text.replace("timeout tunnel 1h", "timeout tunnel 3h")),
    ("haproxy", "long-poll", "failed", lambda text: text.replace("timeout server 130s", "timeout server 50s")),
    (
        "nginx",
        "long-poll",
        "repeated",
        lambda text: lines_without(text, "proxy_read_timeout 130s;", "proxy_next_upstream_timeout"),
    ),
    (
        "haproxy",
        "event-stream",
        "late",
        lambda text: text.replace("timeout server 130s", "http-response wait-for-body time 5s"),
    ),
    ("nginx", "event-stream", "late", lambda text: lines_without(text, "proxy_buffering off")),
    (
        "haproxy",
        "signalr-2",
        "failed_without_affinity",
        lambda text: text.replace(
            "del-header Upgrade if upgrade !websocket or upgrade !one_upgrade", "del-header Upgrade"
        ),
    ),
    (
        "nginx",
        "signalr-2",
        "failed_without_affinity",
        lambda text: text.replace('"~*^websocket$" websocket;', '"~*^websocket$" "";'),
    ),
]


@pytest.mark.parametrize(("program", "name", "metric", "fault"), FAULTS, ids=["-".join(each[:3]) for each in FAULTS])
@pytest.mark.no_cover  # other tests reach the same lines
def test_live_connections_with_a_fault_fail(
    shared_bench: StartBench, program: str, name: str, metric: str, fault: Fault
) -> None:
    seen = shared_bench(program).run(name, fault, until=metric)
    assert seen[metric].verdict == "failed", seen


AFFINITY_LOST = {"haproxy": ("cookie NLBID",), "nginx": ("add_header Set-Cookie",)}


def test_signalr_core_without_the_affinity_cookie_fails(shared_bench: StartBench, vendor: str) -> None:
    until = "failed_with_affinity"
    seen = shared_bench(vendor, CORE).run(
        "signalr-core", lambda text: lines_without(text, *AFFINITY_LOST[vendor]), until
    )
    assert seen[until].verdict == "failed", seen


@pytest.mark.no_cover  # other tests reach the same lines
def test_cookie_that_does_not_follow_a_failover_displaces_robots(shared_bench: StartBench) -> None:
    """The node recovers, and the old cookie sends the robots back to it, away from the node of their sessions."""
    seen = shared_bench("nginx", CORE).run(
        "signalr-core",
        lambda text: text.replace('"~^(?<nlb_same>[^ ]+) \\k<nlb_same>$" "";', '"~^[^ ]+ " "";'),
        "displaced",
    )
    assert seen["displaced"].verdict == "failed", seen


def test_signalr_without_a_running_node_counts_lost_robots(
    shared_bench: StartBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both nodes are killed: robots of both lose their connection, and no robot reconnects."""
    bench = shared_bench("haproxy").bench
    kills = [node.kill for node in bench.nodes]
    for node in bench.nodes:
        monkeypatch.setattr(node, "kill", lambda: [kill() for kill in kills])
    seen = shared_bench("haproxy").run("signalr-2", until="lost")
    assert [name for name in ("innocent", "lost") if seen[name].verdict != "failed"] == [], seen
