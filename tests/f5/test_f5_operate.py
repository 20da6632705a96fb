"""`nlbgen nodes` on the simulated BIG-IP: states of members, connections, saving, synchronization, the standby unit."""

import contextlib
import copy
import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen import cli as command_line
from nlbgen.core.errors import CapacityError, DeviceError, UnsupportedError
from nlbgen.operate import f5
from nlbgen.operate.changing import Limits, Operator
from nlbgen.operate.events import EventLog
from nlbgen.operate.pace import Pace
from nlbgen.spec.load import Spec

if TYPE_CHECKING:
    from tests.conftest import RunCommand
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


# The command line


class Healthy(BaseHTTPRequestHandler):
    """A node that answers every health check."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def pushed_file(
    make: "Make", pushed: "Pushed", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Three nodes that are reached on loopback, a device with them, and their farm.yaml."""

    async def resolve(_host: str, _seconds: float) -> tuple[str, ...]:
        return ("127.0.0.1",)

    monkeypatch.setattr("nlbgen.net.connect.resolve", resolve)  # a spec with loopback addresses is refused
    with contextlib.ExitStack() as stack:
        nodes: list[dict[str, Any]] = []
        for number in (1, 2, 3):
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Healthy))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            nodes.append({"name": f"orch-{number}", "address": f"10.20.0.1{number}", "port": server.server_port})

        def write(**changes: object) -> None:
            made = make(nodes=nodes, frontend={"tls": {"mode": "terminate"}}, **changes)
            pushed(made)
            (tmp_path / "farm.yaml").write_text(json.dumps(made.document.data), encoding="utf-8")

        yield write


def test_command_line_changes_a_node_and_shows_the_status(
    cli: "RunCommand", pushed_file: Callable[..., None], device: "BigIp"
) -> None:
    pushed_file()
    before = cli("nodes", "status", "--vendor", "f5")
    assert (before.code, before.out.splitlines()[-1]) == (0, "3 of 3 nodes serve; balancer.minimum is 2")
    assert cli("nodes", "drain", "orch-2", "--vendor", "f5", "--yes", "--wait", "5").code == 0
    assert members(device, "orch-2") == {("user-disabled", "user-up")}
    refused = cli("nodes", "down", "orch-1", "--vendor", "f5", "--yes")
    assert (refused.code, "balancer.minimum is 2" in refused.err) == (1, True)
    assert cli("nodes", "status", "--vendor", "f5").code == 1
    assert cli("nodes", "up", "orch-2", "--vendor", "f5", "--yes").code == 0
    assert cli("nodes", "status", "--vendor", "f5").code == 0
    wrong = cli("nodes", "status", "--vendor", "f5", "--ssh", "lb-1")
    assert (wrong.code, "f5: nlbgen uses the API of the device" in wrong.err) == (2, True)


def test_rolling_change_disables_one_node_at_a_time_and_continues_after_a_failure(
    pushed_file: Callable[..., None],
    device: "BigIp",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def roll(*arguments: str) -> object:
        monkeypatch.setattr(sys, "argv", ["nlbgen", "roll", *options, *arguments])
        try:
            command_line.main()
        except SystemExit as done:
            return done.code
        return 0

    monkeypatch.chdir(tmp_path)
    pushed_file(balancer={"slow_start": "0s"})
    script = tmp_path / "patch.py"
    script.write_text("import pathlib, sys\npathlib.Path('ran').open('a').write(sys.argv[1] + '\\n')\n"
                      "sys.exit(sys.argv[1] == 'orch-2' and not pathlib.Path('repaired').exists())\n",
                      encoding="utf-8")  # fmt: skip
    options = ["--vendor", "f5", "--yes", "--pause", "0"]
    assert roll("--", sys.executable, str(script), "{node}") == 1
    assert "orch-2: the command failed with exit code 1; the node stays down" in capfd.readouterr().err
    found = [members(device, f"orch-{number}") for number in (1, 2, 3)]
    assert found == [{("user-enabled", "user-up")}, {("user-disabled", "user-down")}, {("user-enabled", "user-up")}]
    (tmp_path / "repaired").touch()
    assert roll("--resume") == 0
    assert "all nodes are done" in capfd.readouterr().err
    assert [members(device, f"orch-{number}") for number in (1, 2, 3)] == [{("user-enabled", "user-up")}] * 3
    assert (tmp_path / "ran").read_text(encoding="utf-8").split() == ["orch-1", "orch-2", "orch-2", "orch-3"]
