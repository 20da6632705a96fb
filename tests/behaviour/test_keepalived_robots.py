"""Robots when the balancer fails: the address moves by keepalived, and they connect to the other balancer."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .test_keepalived import PATIENCE, SHARED, Pair, StartPair, pair

__all__ = ["pair"]  # the fixture
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ROBOTS = 200
BACK_SECONDS = 30.0
"""What `nlbgen prove --robots` requires."""

NODE = """
import sys
from nlbgen.prove.nodes import options
options.require_loopback = lambda host: host  # this network namespace has no other machine
from nlbgen.prove.nodes import node
node.main(["--name", sys.argv[1], "--host", sys.argv[2], "--port", "80"])
"""

FLEET = """
import asyncio, json, sys
from nlbgen.net.client import Target
from nlbgen.net.loops import run
from nlbgen.prove.clients import fleet
from nlbgen.prove.clients.fleet_robot import FleetPlan

async def watch():
    fleet.address_of = lambda plan, number: ("10.20.0.100", 0)
    target = Target("10.20.0.10", 80, "orchestrator.corp.example", "orchestrator.corp.example", None)
    plan = FleetPlan(target=target, generation="classic", path="/signalr", heartbeat=5.0)
    async with fleet.fleet(plan, int(sys.argv[1]), 60.0) as found:
        while True:
            away = max(robot.absence for robot in found.robots)
            ends = sum(bool(robot.ends) for robot in found.robots)
            print(json.dumps({"absent": found.absent, "ends": ends, "away": away}), flush=True)
            await asyncio.sleep(0.2)

run(watch())
"""


def isolate(farm: Pair) -> None:
    """Cut the host of the first balancer off."""
    farm.lan.ip("link", "set", "lb-1", "down")


@pytest.mark.alone
def test_robots_reconnect_through_the_other_balancer_when_the_first_one_is_isolated(
    pair: StartPair, tmp_path: Path
) -> None:
    """`nlbgen prove --scenario robots-failover` kills the balancer instead."""
    nodes = [(NODE, "orch-1", "10.20.0.11"), (NODE, "orch-2", "10.20.0.12")]
    farm = pair("haproxy", nodes=nodes, address=SHARED)
    output = tmp_path / "fleet.txt"
    farm.lan.start(sys.executable, "-c", FLEET, str(ROBOTS), output=output)
    until(output, lambda seen: seen["absent"] == 0, farm)
    isolate(farm)
    seen = until(output, lambda seen: seen["ends"] == ROBOTS and seen["absent"] == 0, farm)
    assert farm.holder() == "lb-2"
    assert seen["away"] <= BACK_SECONDS


def until(output: Path, condition: Callable[[dict[str, float]], bool], farm: Pair) -> dict[str, float]:
    """Return what the fleet reports as soon as the condition holds."""
    deadline = time.monotonic() + 2 * PATIENCE + BACK_SECONDS
    while time.monotonic() < deadline:
        lines = output.read_text(encoding="utf-8").splitlines() if output.exists() else []
        last = lines[-1] if lines and lines[-1].endswith("}") else "{}"
        seen = json.loads(last) if last.startswith("{") else {}
        if seen and condition(seen):
            return dict(seen)
        time.sleep(0.1)
    raise AssertionError(f"{output.read_text(encoding='utf-8')[-2000:]}\n{farm.logs()}")
