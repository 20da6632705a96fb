"""`nlbgen nodes` on the simulated BIG-IP: states of members, connections, saving, synchronization, the standby unit."""

import copy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.core.errors import CapacityError, DeviceError, UnsupportedError
from nlbgen.operate import f5
from nlbgen.operate.changing import Limits, Operator
from nlbgen.operate.events import EventLog
from nlbgen.operate.pace import Pace
from nlbgen.spec.load import Spec

if TYPE_CHECKING:
    from tests.f5.bigip import BigIp
    from tests.f5.conftest import Make, Pushed

NODES = [{"name": f"orch-{number}", "address": f"10.20.0.{10 + number}"} for number in (1, 2, 3)]
SIGNALR = {"balancer": {"signalr": {"paths": ["/signalr"]}}}


@pytest.fixture
def spec(make: "Make", pushed: "Pushed") -> Spec:
    """A farm of three nodes with a SignalR pool, on the device."""
    made = make(nodes=NODES, **SIGNALR)
    pushed(made)
    return made


def operator(spec: Spec, device: f5.F5, folder: Path) -> Operator:
    pace = Pace(now=iter(range(1000)).__next__, sleep=lambda _seconds: None)
    return Operator(spec, (device,), EventLog(folder / "events.jsonl", spec.farm.farm), pace=pace)


def members(device: "BigIp", node: str) -> set[tuple[str, str]]:
    return {
        (member.get("session", "user-enabled"), member.get("state", "user-up"))
        for (kind, _), pool in device.objects.items()
        if kind == "ltm pool"
        for member in pool["members"]
        if f"/{node}:" in member["name"]
    }


def test_states_are_set_in_every_pool_read_back_and_saved(spec: Spec, device: "BigIp", tmp_path: Path) -> None:
    with f5.connected(spec, "pair") as bigip:
        todo = operator(spec, bigip, tmp_path)
        assert [(node.state, node.serves) for node in bigip.read()] == [("up", True)] * 3
        todo.drain("orch-2", Limits())
        assert members(device, "orch-2") == {("user-disabled", "user-up")}
        assert bigip.status("orch-2").state == "drain"
        assert device.saved == device.objects
        todo.down("orch-2", Limits())
        assert members(device, "orch-2") == {("user-disabled", "user-down")}
        todo.up("orch-2", Limits(wait=5))
        assert members(device, "orch-2") == {("user-enabled", "user-up")}
        assert members(device, "orch-1") == {("user-enabled", "user-up")}
    assert device.synced == ["pair"] * 3
    assert not device.tokens


def test_connections_of_all_pools_are_counted_and_drain_waits_for_them(
    spec: Spec, device: "BigIp", tmp_path: Path
) -> None:
    pools = [path for kind, path in device.objects if kind == "ltm pool"]
    web, signalr = (next(path for path in pools if path.endswith(end)) for end in ("_web", "_signalr"))
    member = next(one["name"] for one in device.objects["ltm pool", web]["members"] if "/orch-1:" in one["name"])
    device.connections = {f"{web} {member}": 3, f"{signalr} {member}": 4}
    with f5.connected(spec) as bigip:
        assert bigip.status("orch-1").sessions.data() == {"total": 7, "signalr": 4, "old_workers": None}
        assert bigip.status("orch-2").sessions.total == 0
        done = operator(spec, bigip, tmp_path)
        with pytest.raises(Exception, match="it has 7 open sessions after 3 s; it stays drained"):
            done.drain("orch-1", Limits(wait=3))
        device.connections = {}
        done.drain("orch-1", Limits(wait=3))
        device.readable_statistics = False
        assert bigip.status("orch-1").sessions.text == "unknown"


def test_second_node_is_refused_by_the_gate_and_nothing_is_written(spec: Spec, device: "BigIp", tmp_path: Path) -> None:
    with f5.connected(spec) as bigip:
        operator(spec, bigip, tmp_path).down("orch-3", Limits())
        before = copy.deepcopy(device.objects)
        with pytest.raises(CapacityError, match="without orch-1, 1 node would serve"):
            operator(spec, bigip, tmp_path).drain("orch-1", Limits())
        assert device.objects == before


def test_standby_unit_is_not_changed(spec: Spec, device: "BigIp", tmp_path: Path) -> None:
    device.failover = "standby"
    before = copy.deepcopy(device.objects)
    with f5.connected(spec) as bigip, pytest.raises(DeviceError, match="this unit is standby"):
        operator(spec, bigip, tmp_path).drain("orch-1", Limits())
    assert device.objects == before


def test_closing_single_sessions_is_refused(spec: Spec, tmp_path: Path) -> None:
    with f5.connected(spec) as bigip, pytest.raises(UnsupportedError, match="does not close single connections"):
        operator(spec, bigip, tmp_path).drain("orch-1", Limits(spread=60))


def test_node_that_the_device_does_not_have_is_reported(spec: Spec, make: "Make", tmp_path: Path) -> None:
    larger = make(nodes=[*NODES, {"name": "orch-4", "address": "10.20.0.14"}], **SIGNALR)
    with f5.connected(larger) as bigip, pytest.raises(DeviceError, match="has no node orch-4"):
        operator(larger, bigip, tmp_path).up("orch-4", Limits())
