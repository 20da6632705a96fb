"""`nlbgen nodes drain`, `down` and `up` on the real HAProxy and NGINX, with the sessions of every worker."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from nlbgen.core.errors import CapacityError, DeviceError, DifferenceError, UnsupportedError
from nlbgen.generators.base import Site, generator, render
from nlbgen.net.waiting import wait_until
from nlbgen.operate.changing import Limits, Operator
from nlbgen.operate.contract import Balancer, NodeStatus
from nlbgen.operate.events import EventLog
from nlbgen.operate.haproxy import Haproxy, Sockets
from nlbgen.operate.nginx import Nginx, Paths
from nlbgen.operate.pace import Pace
from nlbgen.operate.shell import LocalShell, SshShell
from nlbgen.prove.clients.simple import SocketHolder, SocketPlan

from .conftest import BASE, FarmLab, StartFarm, merged

NODES = [{"name": f"orch-{number}", "address": f"10.20.0.{10 + number}"} for number in (1, 2, 3)]
THREE = {"nodes": NODES}
FAST = Pace(every=0.2)


def balancer_of(lab: FarmLab) -> Balancer:
    shell = LocalShell(name="here")
    if lab.generator.name == "haproxy":
        return Haproxy(lab.spec.farm, shell, Sockets(f"{lab.folder}/admin.sock", f"{lab.folder}/master.sock"))
    reload = ("sh", "-c", f"kill -HUP $(cat {lab.folder}/nginx.pid)")
    paths = Paths(str(lab.configuration), str(lab.program), f"{lab.folder}/nginx.pid", reload)
    return Nginx(lab.spec, shell, paths, Site(str(lab.folder), http_port=lab.http_port))


def operator_of(lab: FarmLab, folder: Path, *balancers: Balancer) -> Operator:
    log = EventLog(folder / "events.jsonl", lab.spec.farm.farm, "CHG-1")
    return Operator(lab.spec, balancers or (balancer_of(lab),), log, pace=FAST)


def at(lab: FarmLab, node: str) -> NodeStatus:
    return balancer_of(lab).status(node)


def sockets(lab: FarmLab, count: int = 9) -> SocketHolder:
    return SocketHolder(SocketPlan(url=f"{lab.url}/ws", count=count, echo_every=0.2, ca=lab.certificates.ca))


@pytest.fixture
def three(farm: StartFarm, vendor: str) -> Iterator[FarmLab]:
    """Three nodes behind a real balancer, all of which serve."""
    lab = farm(vendor, THREE)
    assert wait_until(lambda: all(node.serves for node in balancer_of(lab).read()), 15), balancer_of(lab).read()
    yield lab


def events(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def test_drain_down_and_up_change_where_requests_go_and_are_logged(three: FarmLab, tmp_path: Path) -> None:
    operator = operator_of(three, tmp_path)
    operator.drain("orch-2", Limits(wait=20))
    assert at(three, "orch-2").state == "drain"
    assert set(three.hits(12)) == {"orch-1", "orch-3"}
    operator.down("orch-2", Limits())
    assert at(three, "orch-2").state == "down"
    assert set(three.hits(12)) == {"orch-1", "orch-3"}
    operator.up("orch-2", Limits(wait=15))
    assert at(three, "orch-2").serves
    assert wait_until(lambda: "orch-2" in three.hits(6), 15)
    changed = [(one["state"], one["ticket"]) for one in events(tmp_path) if one["event"] == "changed"]
    assert changed == [("drain", "CHG-1"), ("down", "CHG-1"), ("up", "CHG-1")]


def test_gate_counts_nodes_that_are_really_up(three: FarmLab, tmp_path: Path) -> None:
    operator = operator_of(three, tmp_path)
    three.node("orch-1").kill()
    try:
        assert wait_until(lambda: not at(three, "orch-1").serves, 15)
        with pytest.raises(
            CapacityError, match=r"without orch-2, 1 node would serve \(orch-3\), but balancer.minimum is 2"
        ) as refused:
            operator.drain("orch-2", Limits())
        assert "orch-1" in str(refused.value.hint)
        assert at(three, "orch-2").state == "up"
        operator.down("orch-1", Limits())  # it does not serve, so nothing is lost
        assert at(three, "orch-1").state == "down"
        operator.drain("orch-2", Limits(force=True))
        assert at(three, "orch-2").state == "drain"
    finally:
        three.node("orch-1").restart()


def test_state_survives_a_reload(three: FarmLab, tmp_path: Path) -> None:
    operator = operator_of(three, tmp_path)
    operator.drain("orch-3", Limits())
    three.balancer.reload()
    assert wait_until(lambda: at(three, "orch-1").serves, 15)
    assert at(three, "orch-3").state == "drain"
    assert "orch-3" not in three.hits(12)
    operator.up("orch-3", Limits(wait=15))


def test_sessions_of_every_worker_are_counted_and_end_with_down(farm: StartFarm, tmp_path: Path) -> None:
    lab = farm("haproxy", THREE)
    assert wait_until(lambda: all(node.serves for node in balancer_of(lab).read()), 15)
    operator = operator_of(lab, tmp_path)
    with sockets(lab) as held:
        assert wait_until(lambda: held.alive == 9, 15)
        lab.balancer.reload()
        on_second = sum(report.node == "orch-2" for report in held.reports)
        found = at(lab, "orch-2").sessions
        assert (found.total, found.live, found.old) == (on_second, on_second, on_second)
        assert on_second
        with pytest.raises(DifferenceError, match="open sessions after 1 s; it stays drained"):
            operator.drain("orch-2", Limits(wait=1))
        operator.down("orch-2", Limits())
        assert wait_until(lambda: at(lab, "orch-2").sessions.total == 0, 15)
        assert all(report.alive for report in held.reports if report.node != "orch-2")


def test_spread_drain_closes_the_sessions_gradually(farm: StartFarm, tmp_path: Path) -> None:
    lab = farm("haproxy", THREE)
    assert wait_until(lambda: all(node.serves for node in balancer_of(lab).read()), 15)
    with sockets(lab, 12) as held:
        assert wait_until(lambda: held.alive == 12, 15)
        seen: list[int] = []

        def sleep(seconds: float) -> None:
            seen.append(at(lab, "orch-1").sessions.total or 0)
            FAST.sleep(seconds)

        on_first = sum(report.node == "orch-1" for report in held.reports)
        log = EventLog(tmp_path / "events.jsonl", "farm")
        operator = Operator(lab.spec, (balancer_of(lab),), log, pace=Pace(sleep=sleep, every=0.3))
        operator.drain("orch-1", Limits(wait=10, spread=3))
        assert seen[0] > on_first // 2, "most of them stay at the begin"
        assert len(set(seen)) > 2, "they end in several portions"
        assert seen == sorted(seen, reverse=True)
        assert all(report.alive for report in held.reports if report.node != "orch-1")


def test_spread_drain_is_refused_where_the_vendor_cannot(farm: StartFarm, tmp_path: Path) -> None:
    lab = farm("nginx", THREE)
    with pytest.raises(UnsupportedError, match="NGINX cannot close single connections"):
        operator_of(lab, tmp_path).drain("orch-1", Limits(spread=3))
    assert at(lab, "orch-1").state == "up"


@pytest.mark.parametrize("state", ["drain", "down"])
def test_node_that_the_spec_drains_or_disables_is_up_after_up(
    farm: StartFarm, vendor: str, state: str, tmp_path: Path
) -> None:
    lab = farm(vendor, {"nodes": [*NODES[:2], {**NODES[2], "state": state}]})
    assert at(lab, "orch-3").state == state
    operator_of(lab, tmp_path).up("orch-3", Limits(wait=15))
    assert wait_until(lambda: "orch-3" in lab.hits(6), 15)


def test_second_balancer_that_fails_is_reported_with_the_state_of_both(three: FarmLab, tmp_path: Path) -> None:
    class Unreachable(Haproxy):
        def change(self, node: str, state: str) -> None:
            raise DeviceError("other: HAProxy does not answer", "start it")

        def read(self) -> tuple[NodeStatus, ...]:
            return balancer_of(three).read()

    other = Unreachable(three.spec.farm, LocalShell(name="other"))
    operator = operator_of(three, tmp_path, balancer_of(three), other)
    with pytest.raises(DeviceError, match="\n    orch-2 now: here: drain; other: drain") as failed:
        operator.drain("orch-2", Limits())
    assert failed.value.hint == "start it; then repeat the command: it changes only what differs"
    assert [one["event"] for one in events(tmp_path)] == ["begin", "failed"]


def test_configuration_that_differs_from_the_spec_is_not_touched(farm: StartFarm, tmp_path: Path) -> None:
    lab = farm("nginx", THREE)
    text = lab.configuration.read_text(encoding="utf-8")
    lab.configuration.write_text(text.replace("keepalive 64;", "keepalive 32;"), encoding="utf-8")
    with pytest.raises(DeviceError, match="is not what nlbgen renders"):
        operator_of(lab, tmp_path).drain("orch-1", Limits())
    assert "keepalive 32;" in lab.configuration.read_text(encoding="utf-8")


def test_change_of_nginx_that_was_interrupted_before_the_reload_is_loaded_by_the_next_one(
    farm: StartFarm, tmp_path: Path
) -> None:
    lab = farm("nginx", THREE)
    nodes = tuple(one.replace(state="drain") if one.name == "orch-2" else one for one in lab.spec.farm.nodes)
    changed = lab.spec._replace(farm=lab.spec.farm.replace(nodes=nodes))
    site = Site(str(lab.folder), http_port=lab.http_port)
    lab.configuration.write_bytes(next(f.content for f in render(generator("nginx"), changed, site) if f.main))
    marker = Path(f"{lab.configuration}.pending-nlbgen")
    marker.write_text("reload\n", encoding="utf-8")
    assert "NGINX may not have loaded the current nginx.conf" in at(lab, "orch-2").note
    assert "orch-2" in lab.hits(12), "the process does not have the file yet"
    operator_of(lab, tmp_path).drain("orch-2", Limits())
    assert "orch-2" not in lab.hits(12)
    assert not marker.exists()
    operator_of(lab, tmp_path).up("orch-2", Limits(wait=10))


@pytest.mark.parametrize("fails", [True, pytest.param(False, marks=pytest.mark.long)])
def test_nginx_that_does_not_reload_gets_its_old_configuration_back(
    farm: StartFarm, fails: bool, tmp_path: Path
) -> None:
    lab = farm("nginx", THREE)
    before = lab.configuration.read_bytes()
    balancer = balancer_of(lab)
    assert isinstance(balancer, Nginx)
    reload, why = (
        ("false", "the command that reloads NGINX fails") if fails else ("true", "NGINX does not answer with the new")
    )
    balancer._paths = balancer._paths._replace(reload=(reload,))  # type: ignore[misc]
    with pytest.raises(DeviceError, match=f"{why}.*the old one was restored") as refused:
        operator_of(lab, tmp_path, balancer).drain("orch-1", Limits())
    assert ("--reload-command" in str(refused.value.hint)) is fails
    assert lab.configuration.read_bytes() == before
    assert not list(lab.folder.glob("*nlbgen-*")), "no files are left"


def test_state_that_a_node_already_has_loads_nothing(farm: StartFarm, tmp_path: Path) -> None:
    lab = farm("nginx", THREE)
    operator = operator_of(lab, tmp_path)
    operator.drain("orch-2", Limits())
    found = lab.configuration.stat()
    operator.drain("orch-2", Limits())
    assert lab.configuration.stat().st_mtime_ns == found.st_mtime_ns
    assert at(lab, "orch-2").state == "drain"


def test_command_that_haproxy_refuses_is_reported_with_its_answer(farm: StartFarm, tmp_path: Path) -> None:
    lab = farm("haproxy", THREE)
    text = lab.configuration.read_text(encoding="utf-8")
    viewer = lab.folder / "viewer.sock"
    lab.configuration.write_text(
        re.sub(r"(?m)^( *)stats socket ", rf"\1stats socket {viewer} mode 600 level user\n\g<0>", text, count=1),
        encoding="utf-8",
    )
    lab.balancer.reload()
    assert wait_until(viewer.exists, 10)
    master = f"{lab.folder}/master.sock"
    balancer = Haproxy(lab.spec.farm, LocalShell(name="here"), Sockets(str(viewer), master))
    assert wait_until(lambda: all(node.serves for node in balancer.read()), 15)
    with pytest.raises(DeviceError, match="set server orchestrator-test_web/orch-1 state drain: Permission denied"):
        operator_of(lab, tmp_path, balancer).drain("orch-1", Limits())
    assert at(lab, "orch-1").state == "up"


def test_haproxy_that_hangs_is_an_error(farm: StartFarm) -> None:
    """The kernel accepts the connection, and socat ends without an error when no answer arrives."""
    lab = farm("haproxy", THREE)
    found = re.search(r"(?m)^Pid: (\d+)", lab.runtime("show info"))
    assert found
    sockets = Sockets(f"{lab.folder}/admin.sock", f"{lab.folder}/master.sock")
    os.kill(int(found[1]), signal.SIGSTOP)
    try:
        with pytest.raises(DeviceError, match=r"here: HAProxy gives no complete answer at .* within 5 s"):
            Haproxy(lab.spec.farm, LocalShell(name="here"), sockets, ()).read()
    finally:
        os.kill(int(found[1]), signal.SIGCONT)


def test_haproxy_without_a_master_socket_is_reported_with_the_option_of_its_service(farm: StartFarm) -> None:
    lab = farm("haproxy", THREE)
    absent = str(lab.folder / "absent.sock")
    shell = LocalShell(name="here")
    without_master = Haproxy(lab.spec.farm, shell, Sockets(f"{lab.folder}/admin.sock", absent), (0, 0))
    with pytest.raises(DeviceError, match="here: HAProxy's master process does not answer at ") as refused:
        without_master.read()
    assert f"-S {absent}" in str(refused.value.hint)
    with pytest.raises(DeviceError, match="here: HAProxy does not answer at ") as refused:
        Haproxy(lab.spec.farm, shell, Sockets(absent, absent), ()).read()
    assert "check that HAProxy runs" in str(refused.value.hint)


SSH = """#!/bin/sh
# As sshd does: the last argument is a line for the user's shell.
for line; do :; done
echo "$*" >> "$0.log"
exec sh -c "$line"
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`ssh` on the PATH: it runs the command here, by a shell, as a server does."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(SSH, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


@pytest.mark.usefixtures("ssh")
def test_ssh_quotes_each_word_for_the_remote_shell() -> None:
    odd = 'a\'b $(echo no) "c"; exit 3 *'
    assert SshShell("ops@lb-1").run(["printf", "%s", odd]).out == odd


def test_command_line_changes_through_ssh_and_shows_the_status(farm: StartFarm, ssh: Path, tmp_path: Path) -> None:
    lab = farm("haproxy", THREE)
    assert wait_until(lambda: all(node.serves for node in balancer_of(lab).read()), 15)
    spec = merged(BASE, {**THREE, "haproxy": {"version": "2.6"}})
    (tmp_path / "farm.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")

    def nlbgen(*arguments: str) -> subprocess.CompletedProcess[str]:
        sockets = ["--socket", f"{lab.folder}/admin.sock", "--master-socket", f"{lab.folder}/master.sock"]
        command = [sys.executable, "-m", "nlbgen", "nodes", *arguments, *sockets]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    asked = nlbgen("drain", "orch-1")
    assert (asked.returncode, "--yes" in asked.stderr) == (2, True), asked
    drained = nlbgen("drain", "orch-1", "--yes", "--wait", "10s", "--ticket", "CHG-7")
    assert drained.returncode == 0, drained
    status = nlbgen("status")
    assert status.returncode == 1, "the spec has another state"
    assert re.search(r"(?m)^10\.20\.0\.10 +orch-1 +up +drain +passing +0 +\d+s$", status.stdout), status.stdout
    assert status.stdout.endswith("2 of 3 nodes serve; balancer.minimum is 2\n")
    refused = nlbgen("down", "orch-2", "--yes")
    assert refused.returncode == 1
    assert "balancer.minimum is 2; nothing was changed" in refused.stderr
    assert nlbgen("up", "orch-1", "--yes", "--wait", "15").returncode == 0
    data = json.loads(nlbgen("status", "--format", "json").stdout)
    assert [node["state"] for node in data["balancers"][0]["nodes"]] == ["up", "up", "up"]
    assert "BatchMode=yes" in Path(f"{ssh}.log").read_text(encoding="utf-8")
    logged = [json.loads(line) for line in (tmp_path / "outputs/events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(one["event"], one["state"]) for one in logged] == [
        ("begin", "drain"),
        ("changed", "drain"),
        ("begin", "up"),
        ("changed", "up"),
    ]
    assert {one["user"] for one in logged} != {""}
