"""A rolling restart in the lab: the steps of `nlbgen roll`, its refusals, and its end with the scenario."""

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest

from nlbgen.core.errors import NlbgenError
from nlbgen.operate.changing import Limits, Operator
from nlbgen.operate.contract import Balancer, NodeStatus, Sessions, Wanted
from nlbgen.operate.haproxy import Haproxy
from nlbgen.operate.nginx import Nginx
from nlbgen.operate.rolling import Roll, Times
from nlbgen.prove.scenarios import fleet, rolling
from nlbgen.prove.scenarios.base import metric
from nlbgen.prove.scenarios.fleet_base import Spent, _chance
from nlbgen.prove.scenarios.registry import scenarios

from .fake_bench import FakeBench, MakeBench

if TYPE_CHECKING:
    from collections.abc import Callable

    from nlbgen.prove.clients.fleet import Fleet
    from nlbgen.spec.load import Spec

TEAM = cast("Fleet", None)


class States(Balancer):
    """A balancer that keeps the nodes' states."""

    name, vendor = "here", "haproxy"

    def __init__(self, names: list[str]) -> None:
        self.states: dict[str, Wanted] = dict.fromkeys(names, "up")
        self.changes: list[str] = []

    def read(self) -> tuple[NodeStatus, ...]:
        return tuple(NodeStatus(name, state, "passing", sessions=Sessions(0)) for name, state in self.states.items())

    def change(self, node: str, state: Wanted) -> None:
        self.states[node] = state
        self.changes.append(f"{node} {state}")


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> States:
    """The states of two nodes, without a wait."""
    made = States(["orch-1", "orch-2"])
    monkeypatch.setattr(rolling, "balancer_of", lambda _lab: made)
    monkeypatch.setattr(rolling, "Roll", partial(Roll, checks=lambda _farm, names: dict.fromkeys(names, True)))
    monkeypatch.setattr(rolling.Change, "_sleep", lambda _self, _seconds: None)
    monkeypatch.setattr(fleet, "SCALED", Times(limit=0, pause=0))
    monkeypatch.setattr(fleet, "sleep", lambda _seconds: None)
    return made


def test_rolling_restart_takes_each_node_out_of_rotation_first(make_bench: MakeBench, states: States) -> None:
    bench: FakeBench = make_bench()
    moment = asyncio.run(fleet.RobotsRolling().event(bench, TEAM))
    assert states.changes == [f"orch-{number} {state}" for number in (1, 2) for state in ("drain", "down", "up")]
    assert [node.done for node in bench.nodes_] == [["stop", "start"], ["stop", "start"]]
    assert (moment.all_hit, moment.by_absence) == (True, True)
    assert moment.note == "a drained node is set to down after 0 s"
    events = [json.loads(line) for line in (bench.lab.folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert events[-1]["event"] == "roll done"


def test_rolling_restart_in_real_time_has_the_limits_of_the_command(make_bench: MakeBench, states: States) -> None:
    del states
    bench = make_bench()
    bench.real_time = True
    moment = asyncio.run(fleet.RobotsRolling().event(bench, TEAM))
    assert moment.note == "a drained node is set to down after 300 s"


def test_rolling_restart_needs_a_node_that_may_leave(make_spec: "Callable[..., Spec]") -> None:
    scenario = scenarios()["robots-rolling"]
    assert scenario.skip_reason(make_spec().farm, "haproxy") == ""
    kept = make_spec(balancer={"minimum": 2}).farm
    assert scenario.skip_reason(kept, "haproxy") == "balancer.minimum is 2, so no node may leave the rotation"


def test_change_ends_at_its_next_wait_when_it_is_stopped(make_bench: MakeBench) -> None:
    change = rolling.Change(make_bench())
    change.operator.pace.sleep(0.0)
    change.stop()
    with pytest.raises(NlbgenError, match="interrupted"):
        change.operator.pace.sleep(60.0)


def test_balancer_of_the_lab_is_reached_at_its_own_paths(make_bench: MakeBench) -> None:
    first = make_bench()
    haproxy = rolling.balancer_of(first.lab)
    assert isinstance(haproxy, Haproxy)
    assert haproxy._sockets == (f"{first.lab.folder}/admin.sock", f"{first.lab.folder}/master.sock")
    nginx = rolling.balancer_of(make_bench("nginx").lab)
    assert isinstance(nginx, Nginx)
    assert nginx._paths.reload == ("kill", "-HUP", "1")
    assert nginx._paths.pid == f"{first.lab.folder}/nginx.pid"


def test_processor_time_of_a_new_balancer_is_all_of_its_time() -> None:
    assert Spent(7, 5.0).since(Spent(7, 3.0)) == 2.0
    assert Spent(8, 1.0).since(Spent(7, 3.0)) == 1.0


def test_drain_in_part_returns_each_node_and_ends_before_its_last_connection(
    make_bench: MakeBench, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Team:
        async def all_connected(self, _seconds: float) -> bool:
            return True

        def held(self) -> dict[str, int]:
            return {"orch-2": 7}

    done: list[float] = []

    def drain(_operator: Operator, node: str, limits: Limits) -> None:
        states.change(node, "drain")
        done.append(limits.spread or 0)
        raise rolling.InterruptedChangeError("stopped")

    monkeypatch.setattr(Operator, "drain", drain)
    monkeypatch.setattr(fleet, "DOWN_SECONDS", 0.0)
    monkeypatch.setattr(fleet, "RECOVER_SECONDS", 0.0)
    bench = make_bench()
    moment = asyncio.run(fleet.RobotsDrain().event(bench, cast("Fleet", Team())))
    assert states.changes == ["orch-2 drain", "orch-2 up"]
    assert bench.nodes_[0].done == ["stop", "start"]
    assert (done, moment.note) == ([30.0], "--for 30s")
    bench.real_time = True
    assert asyncio.run(fleet.RobotsDrain().event(bench, cast("Fleet", Team()))).note == "--for 600s"


def test_drain_in_part_needs_a_vendor_that_closes_single_connections(make_spec: "Callable[..., Spec]") -> None:
    scenario = scenarios()["robots-drain"]
    assert scenario.skip_reason(make_spec().farm, "haproxy") == ""
    assert scenario.skip_reason(make_spec().farm, "nginx") == "NGINX cannot close single connections"


@pytest.mark.parametrize(
    ("vendor", "value", "of", "doubtful"),
    [
        ("nginx", 207.0, 200, True),
        ("nginx", 231.0, 200, False),
        ("nginx", 207.0, 9_000, False),
        ("haproxy", 207.0, 200, False),
        ("nginx", 0.0, 0, False),
    ],
)
def test_share_that_chance_explains_is_doubtful(
    make_spec: "Callable[..., Spec]", vendor: str, value: float, of: int, doubtful: bool
) -> None:
    nodes = [{"name": f"n{number}", "address": f"10.0.0.{number}"} for number in (1, 2, 3)]
    farm = make_spec(
        nodes=nodes, balancer={"affinity": "cookie"}, nginx={"version": "1.22"}, accept=["nginx-affinity-cookie"]
    ).farm
    assert bool(_chance(metric("share", value, of=of), farm, vendor)) is doubtful
    assert _chance(metric("share", 207.0, of=200), make_spec(nodes=nodes).farm, "nginx") == ""
