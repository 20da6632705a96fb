"""Scenarios of live connections: the example farm holds every bar, and each fault misses the bar that it should."""

import pytest

pytestmark = pytest.mark.slow

CORE = {"orchestrator": {"version": "2020.10"}, "balancer": {"affinity": "signalr"}}
NAMES = ("idle-websocket", "long-poll", "event-stream", "signalr-2")


def lines_without(text, *words):
    """The configuration without the lines in which one of the words stands."""
    return "".join(line for line in text.splitlines(keepends=True) if not any(word in line for word in words))


@pytest.mark.parametrize("name", NAMES)
def test_the_example_farm_holds_the_bars(theatre, vendor, name):
    missed = [each for each in theatre(vendor).play(name).values() if each.verdict == "missed"]
    assert missed == []


def test_a_farm_of_signalr_core_holds_the_bars(theatre, vendor):
    seen = theatre(vendor, CORE).play("signalr-core")
    assert [each for each in seen.values() if each.verdict == "missed"] == []
    assert seen["negotiated_without_affinity"].figure.value > 0, "the stand-in nodes share what they should not"


UNUSUAL = {
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
def test_an_unusual_farm_holds_the_bars_of_signalr(theatre, vendor, changes):
    name = "signalr-core" if "orchestrator" in changes else "signalr-2"
    seen = theatre(vendor, changes).play(name)
    assert [each for each in seen.values() if each.verdict == "missed"] == []


FAULTS = [
    ("haproxy", "idle-websocket", "cut", lambda text: lines_without(text, "timeout tunnel")),
    ("nginx", "idle-websocket", "cut", lambda text: lines_without(text, "_timeout 1h;")),
    ("haproxy", "idle-websocket", "kept", lambda text: text.replace("timeout tunnel 1h", "timeout tunnel 3h")),
    ("haproxy", "long-poll", "failed", lambda text: text.replace("timeout server 130s", "timeout server 50s")),
    (
        "nginx",
        "long-poll",
        "repeated",
        lambda text: lines_without(text, "proxy_read_timeout 1h;", "proxy_next_upstream_timeout"),
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
        lambda text: text.replace("del-header Upgrade unless one_upgrade websocket", "del-header Upgrade"),
    ),
    (
        "nginx",
        "signalr-2",
        "failed_without_affinity",
        lambda text: text.replace('"~*^websocket$" websocket;', '"~*^websocket$" "";'),
    ),
]


@pytest.mark.parametrize(("program", "name", "figure", "fault"), FAULTS, ids=["-".join(each[:3]) for each in FAULTS])
def test_a_fault_misses_its_bar(theatre, program, name, figure, fault):
    seen = theatre(program).play(name, fault, until=figure)
    assert seen[figure].verdict == "missed", seen


AFFINITY_LOST = {"haproxy": ("cookie NLBID",), "nginx": ("add_header Set-Cookie",)}


def test_sessions_of_core_fail_when_the_cookie_is_missing(theatre, vendor):
    until = "failed_with_affinity"
    seen = theatre(vendor, CORE).play("signalr-core", lambda text: lines_without(text, *AFFINITY_LOST[vendor]), until)
    assert seen[until].verdict == "missed", seen


def test_robots_without_a_living_node_are_counted(theatre, monkeypatch):
    """The other node dies with the first: its robots are innocent, and nobody comes back."""
    stage = theatre("haproxy").stage
    kills = [node.kill for node in stage.nodes]
    for node in stage.nodes:
        monkeypatch.setattr(node, "kill", lambda: [kill() for kill in kills])
    seen = theatre("haproxy").play("signalr-2", until="lost")
    assert [name for name in ("innocent", "lost") if seen[name].verdict != "missed"] == [], seen
