"""Health checks of several services: a node whose Identity fails gets no requests, on the real HAProxy."""

import time

import pytest

from nlbgen.generators.design import Design
from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.simple import fetch
from nlbgen.spec.model import Farm

from .conftest import Changes, FarmLab, StartBench, StartFarm, failed_in

pytestmark = [pytest.mark.slow, pytest.mark.alone]

CORE: Changes = {"orchestrator": {"version": "2022.10"}}
SHARP = 0.5
"""Tolerance for the clock and a busy machine, seconds."""


def state_of(lab: FarmLab, node: str) -> str:
    """The state of a node in HAProxy's statistics, such as `UP`."""
    url = f"http://127.0.0.1:{lab.metrics_port}/;csv"
    rows = [line.split(",") for line in fetch(url).body.decode().splitlines()]
    return next(row[17] for row in rows if row[:2] == [Design(lab.live).web.name, node])


def seconds_until(lab: FarmLab, node: str, state: str, within: float) -> float:
    begun = time.monotonic()
    assert wait_until(lambda: state_of(lab, node).startswith(state), within), state_of(lab, node)
    return time.monotonic() - begun


@pytest.mark.parametrize("mode", ["bridge", "terminate", "passthrough"])
@pytest.mark.parametrize("switch", ["identity_stopped", "identity_refuses"])
def test_node_whose_identity_fails_is_down_within_3_seconds(farm: StartFarm, mode: str, switch: str) -> None:
    lab = farm("haproxy", {**CORE, "frontend": {"tls": {"mode": mode}}})
    lab.nodes[0].set(**{switch: True})
    assert seconds_until(lab, "orch-1", "DOWN", 3.0) < 3.0
    lab.nodes[0].reset()
    seconds_until(lab, "orch-1", "UP", 10.0)
    assert state_of(lab, "orch-2").startswith("UP")


def test_node_whose_identity_hangs_is_down_within_the_documented_time(farm: StartFarm) -> None:
    lab = farm("haproxy", CORE)
    limit = Design(lab.live).longest_detection / 1000
    assert limit == pytest.approx(4.9)
    lab.nodes[0].set(identity_hangs=True)
    assert seconds_until(lab, "orch-1", "DOWN", limit + SHARP) < limit + SHARP


def test_frozen_node_with_two_checked_services_is_down_as_fast_as_with_one(farm: StartFarm) -> None:
    lab = farm("haproxy", CORE)
    limit = Design(lab.live).longest_detection / 1000
    lab.nodes[0].freeze()
    assert seconds_until(lab, "orch-1", "DOWN", limit + SHARP) < limit + SHARP


def test_identity_that_hangs_behind_a_slow_orchestrator_is_down_within_the_longer_time(farm: StartFarm) -> None:
    lab = farm("haproxy", CORE)
    design = Design(lab.live)
    lab.nodes[0].set(health_delay=1.8, identity_hangs=True)
    limit = design.longest_service_detection / 1000
    assert limit == pytest.approx(8.7)
    assert seconds_until(lab, "orch-1", "DOWN", limit + SHARP) < limit + SHARP


def test_identity_scenario_passes_with_the_default_and_fails_with_a_single_path(shared_bench: StartBench) -> None:
    core: Changes = {"orchestrator": {"version": "2022.10"}, "balancer": {"affinity": "signalr"}}
    single = {**core, "balancer": {"affinity": "signalr", "health": {"path": "/api/health"}}}
    assert shared_bench("haproxy", core).failed("identity") == []
    failed = {each.name for each in failed_in(shared_bench("haproxy", single).run("identity", until="asked_503"))}
    assert "asked_503" in failed


@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
def test_upgrade_scenario_passes(shared_bench: StartBench, vendor: str) -> None:
    assert shared_bench(vendor).failed("upgrade") == []


def test_upgrade_without_a_closed_farm_and_without_a_limit_fails(shared_bench: StartBench) -> None:
    runner = shared_bench("haproxy")
    change = runner.bench.lab.change

    def unchanged(farm: Farm) -> None:
        """Every state is normal operation."""
        balancer = farm.balancer
        change(farm.replace(balancer=balancer.replace(maintenance=balancer.maintenance.replace(state="serving"))))

    runner.bench.lab.change = unchanged  # type: ignore[method-assign]
    try:
        failed = {each.name for each in failed_in(runner.run("upgrade"))}
    finally:
        runner.bench.lab.change = change  # type: ignore[method-assign]
    assert {"arrived", "unclear"} <= failed
