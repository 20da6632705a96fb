"""Robots of `--robots` through the balancer: they pass on the example farm, and fail with a fault."""

import pytest

from nlbgen.prove.scenarios.registry import scenarios

from .conftest import VENDORS, Changes, StartBench, failed_in, missing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CORE: Changes = {"orchestrator": {"version": "2020.10"}, "balancer": {"affinity": "signalr"}}
SCENARIOS = (
    "robots-kill",
    "robots-hang",
    "robots-rolling",
    "robots-reload",
    "robots-balancer",
    "robots-spread",
    "robots-drain",
    "robots-redis",
)
USUAL = {
    ("haproxy", "robots-kill", "classic"),
    ("nginx", "robots-kill", "core"),
    ("haproxy", "robots-redis", "core"),
}
"""What `make test` runs with few robots; `make long` runs all."""
FARMS: dict[str, Changes] = {"classic": {}, "core": CORE}
FEW = [
    pytest.param(
        vendor,
        name,
        kind,
        marks=[
            *([] if (vendor, name, kind) in USUAL else [pytest.mark.long]),
            *([pytest.mark.redis] if name == "robots-redis" else []),
        ],
    )
    for vendor in VENDORS
    for name in SCENARIOS
    for kind in FARMS
]


@pytest.mark.alone
@pytest.mark.parametrize(("vendor", "name", "kind"), FEW)
def test_few_hundred_robots_come_back(shared_bench: StartBench, vendor: str, name: str, kind: str) -> None:
    runner = shared_bench(vendor, FARMS[kind])
    if name == "robots-drain" and vendor == "nginx":
        reason = scenarios()[name].skip_reason(runner.bench.farm, vendor)
        assert reason == "NGINX cannot close single connections"
        return
    assert failed_in(runner.run(name)) == []


@pytest.mark.alone
def test_rolling_restart_drains_each_node_with_its_robots_first(shared_bench: StartBench, vendor: str) -> None:
    runner = shared_bench(vendor, {"balancer": {"slow_start": "0s"}})
    runner.bench.robots = 60
    try:
        seen = runner.run("robots-rolling")
    finally:
        runner.bench.robots = None
    assert failed_in(seen) == []
    title = runner.lab.generator.title
    wanted = [
        step
        for node in ("orch-1", "orch-2")
        for step in (f"{title}: {node} is drain", f"{title}: {node} is down", f"{node}: running restart {node}")
    ]
    assert [text for _, text in runner.bench.timeline.entries if text in wanted] == wanted
    assert "after 5 s" in seen["hit"].note
    assert seen["hit"].metric is not None
    assert seen["hit"].metric.value == 60


VIP: Changes = {
    "address": "10.20.0.10/24",
    "interface": "eth0",
    "balancers": ["10.20.0.8", "10.20.0.9"],
    "secret": {"env": "NLBGEN_VRRP"},
}


@pytest.mark.alone
@pytest.mark.parametrize(
    ("program", "kind"), [("haproxy", "core"), pytest.param("nginx", "classic", marks=pytest.mark.long)]
)
def test_robots_come_back_through_the_balancer_that_takes_over_the_address(
    shared_bench: StartBench, program: str, kind: str
) -> None:
    farm: Changes = {**FARMS[kind], "frontend": {"vip": VIP}}
    runner = shared_bench(program, farm)
    if reason := scenarios()["robots-failover"].skip_reason(runner.bench.farm, program):
        missing(reason)
    runner.bench.robots = 60
    try:
        seen = runner.run("robots-failover")
    finally:
        runner.bench.robots = None
    assert failed_in(seen) == []
    assert seen["hit"].metric is not None
    assert seen["hit"].metric.value == 60
    assert sorted(seen["hit"].note.split(" to ")) == ["10.20.0.8", "10.20.0.9"], "either may be the first to start"


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", FARMS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_thousands_of_robots_come_back(shared_bench: StartBench, vendor: str, name: str, kind: str) -> None:
    runner = shared_bench(vendor, FARMS[kind])
    if scenarios()[name].skip_reason(runner.bench.farm, vendor):
        return
    runner.bench.robots = 9_400
    try:
        assert failed_in(runner.run(name)) == []
    finally:
        runner.bench.robots = None


def test_robots_of_a_farm_that_closes_websockets_at_a_reload_are_counted(shared_bench: StartBench, vendor: str) -> None:
    runner = shared_bench(vendor, {"balancer": {"timeouts": {"reload": "1s"}}})
    seen = runner.run("robots-reload", until="innocent")
    assert seen["innocent"].verdict in {
        "failed",
        "inconclusive",
    }  # inconclusive where other programs need the processors
