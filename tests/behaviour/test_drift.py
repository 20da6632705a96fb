"""`nlbgen drift` and the real HAProxy and NGINX: what they run, and what is in their files."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from nlbgen.drift import haproxy
from nlbgen.drift.farm import Options, drift
from nlbgen.drift.here import Here
from nlbgen.drift.places import Place
from nlbgen.drift.remote import Remote
from nlbgen.drift.report import Report
from nlbgen.generators.base import Site, render
from nlbgen.net.waiting import wait_until
from nlbgen.operate.shell import SshShell
from nlbgen.prove.clients.simple import SocketHolder, SocketPlan
from nlbgen.spec.load import Spec

from .conftest import FarmLab, StartFarm, for_build

NODES = [
    {"name": "orch-1", "address": "10.20.0.11"},
    {"name": "orch-2", "address": "10.20.0.12", "weight": 50, "state": "drain"},
    {"name": "orch-3", "address": "10.20.0.13", "state": "down"},
]


def compared(lab: FarmLab, spec: Spec | None = None, *places: Place) -> Report:
    """The comparison of a lab with its spec, or with another one; on this machine, or at other places."""
    name = lab.generator.name
    options = Options(
        lab.folder / "admin.sock",
        lab.folder / "master.sock",
        lab.folder / "haproxy.cfg",
        lab.folder / "nginx.conf",
        Site(str(lab.folder), http_port=lab.http_port),
    )
    return drift(spec or lab.spec, [name], options, places or (Here(),))


def found(report: Report) -> list[str]:
    """What differs."""
    (subject,) = report.subjects
    assert subject.reached, subject.unreached
    return [one.what for one in subject.differences]


@pytest.fixture
def lab(farm: StartFarm, build: dict[str, Any]) -> FarmLab:
    changes = {build["program"]: for_build(build), "nodes": NODES}
    return farm(build["program"], changes, program=build["path"])


@pytest.mark.every_build
def test_running_process_and_file_agree_with_the_spec(lab: FarmLab) -> None:
    report = compared(lab)
    assert (found(report), report.exit_code) == ([], 0)


@pytest.mark.every_build
@pytest.mark.no_cover  # other tests reach the same lines
def test_change_that_is_not_loaded_is_a_difference_of_the_process_only(lab: FarmLab) -> None:
    old = lab.configuration.read_text(encoding="utf-8")
    farm = lab.spec.farm
    spec = lab.spec._replace(farm=farm.replace(frontend=farm.frontend.replace(aliases=("o.example",))))
    site = Site(str(lab.folder), http_port=lab.http_port)
    new = next(file.content for file in render(lab.generator, spec, site) if file.main)
    lab.configuration.write_bytes(new)
    try:
        assert found(compared(lab, spec)) == ["the running process"]
        lab.balancer.reload()
        assert wait_until(lambda: found(compared(lab, spec)) == [], 10)
        # An old worker of NGINX accepts connections until it gets its signal.
        both = ["the running process", f"the file {lab.configuration}"]
        assert wait_until(lambda: found(compared(lab)) == both, 10)
    finally:
        lab.configuration.write_text(old, encoding="utf-8")


@pytest.mark.every_build
@pytest.mark.no_cover  # other tests reach the same lines
def test_edit_by_hand_is_a_difference_of_the_file_although_its_digest_was_kept(lab: FarmLab) -> None:
    text = lab.configuration.read_text(encoding="utf-8")
    timeout = "timeout queue 30s" if lab.generator.name == "haproxy" else "proxy_connect_timeout 2s"
    assert timeout in text
    lab.configuration.write_text(f"# a note\n{text.replace(timeout, f'{timeout[:-2]}1s')}", encoding="utf-8")
    try:
        assert found(compared(lab)) == [f"the file {lab.configuration}"]
        lab.configuration.write_text(f"# a note\n{text}", encoding="utf-8")
        assert found(compared(lab)) == []
    finally:
        lab.configuration.write_text(text, encoding="utf-8")


@pytest.fixture
def running(farm: StartFarm) -> FarmLab:
    return farm("haproxy", {"haproxy": {"version": "2.6"}, "nodes": NODES})


@pytest.mark.haproxy
@pytest.mark.parametrize(
    "command, what",
    [
        ("set server orchestrator-test_web/orch-1 weight 10", ["orchestrator-test_web/orch-1, weight"]),
        ("set server orchestrator-test_web/orch-2 weight 50", ["orchestrator-test_web/orch-2, weight"]),
        ("set server orchestrator-test_unchecked/orch-1 state drain", ["orchestrator-test_unchecked/orch-1, state"]),
        ("set server orchestrator-test_unchecked/orch-3 state ready", ["orchestrator-test_unchecked/orch-3, state"]),
        (
            "set server orchestrator-test_web/orch-1 state maint",
            ["orchestrator-test_web/orch-1, state", "orchestrator-test_signalr/orch-1, state"],
        ),
        (
            "set server orchestrator-test_unchecked/orch-1 addr 127.0.0.9",
            ["orchestrator-test_unchecked/orch-1, address"],
        ),
    ],
)
def test_change_in_the_running_haproxy_is_a_difference(running: FarmLab, command: str, what: list[str]) -> None:
    running.runtime(command)
    report = compared(running)
    assert (found(report), report.exit_code) == (what, 1)
    running.balancer.stop()
    running.balancer.start()


SSH = """#!/bin/sh
# As sshd does: the last argument is a line for the user's shell.
for line; do :; done
exec sh -c "$line"
"""


@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
def test_host_that_ssh_reaches_is_compared_as_this_machine(
    farm: StartFarm, vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(SSH, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    lab = farm(vendor, {vendor: {"version": {"haproxy": "2.6", "nginx": "1.22"}[vendor]}, "nodes": NODES})
    place = Remote(SshShell("ops@lb-1"))
    report = compared(lab, None, place)
    assert report.text() == f"{vendor} at ops@lb-1: no difference\n"
    (machine,) = report.machines
    assert machine.host == "ops@lb-1" and machine.old_workers is not None
    assert [place.holds(address) for address in ("127.0.0.1", "198.51.100.7", "::1")] == [True, False, True]
    text = lab.configuration.read_text(encoding="utf-8")
    lab.configuration.write_text(f"{text}\n# an edit\n".replace("30s", "31s").replace(" 2s", " 3s"), encoding="utf-8")
    try:
        assert found(compared(lab, None, place)) == [f"the file {lab.configuration}"]
    finally:
        lab.configuration.write_text(text, encoding="utf-8")
    if vendor == "haproxy":
        lab.runtime("set server orchestrator-test_web/orch-1 weight 10")
        assert found(compared(lab, None, place)) == ["orchestrator-test_web/orch-1, weight"]
    lab.balancer.stop()
    (subject,) = compared(lab, None, place).subjects
    lab.balancer.start()
    assert "does not answer" in subject.unreached and "ops@lb-1" in subject.hint


@pytest.mark.haproxy
def test_node_that_is_down_by_its_checks_is_no_difference(running: FarmLab) -> None:
    running.nodes[0].kill()
    assert wait_until(lambda: "DOWN" in running.runtime("show stat"), 10)
    assert found(compared(running)) == []


@pytest.mark.haproxy
def test_nodes_of_another_spec_are_differences(running: FarmLab) -> None:
    farm = running.spec.farm
    renamed = (farm.nodes[0].replace(name="orch-9"), *farm.nodes[1:])
    report = compared(running, running.spec._replace(farm=farm.replace(nodes=renamed)))
    pools = ("web", "signalr", "unchecked")
    assert {f"orchestrator-test_{pool}/{name}" for pool in pools for name in ("orch-1", "orch-9")} <= set(found(report))


@pytest.mark.haproxy
def test_passthrough_has_one_pool_of_nodes(farm: StartFarm) -> None:
    lab = farm("haproxy", {"haproxy": {"version": "2.6"}, "frontend": {"tls": {"mode": "passthrough"}}})
    assert found(compared(lab)) == []
    assert set(haproxy.wanted(lab.spec)) == {
        f"orchestrator-test_{pool}/orch-{number}" for pool in ("web", "unchecked") for number in (1, 2)
    }


@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
def test_workers_with_open_websockets_are_counted_after_a_reload(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor)

    def count() -> int | None:
        here = Here()
        return (
            here.old_workers_of_nginx() if vendor == "nginx" else haproxy.old_workers(here, lab.folder / "master.sock")
        )

    before = count() or 0
    with SocketHolder(SocketPlan(url=f"{lab.url}/ws", count=4, echo_every=0.2, ca=lab.certificates.ca)):
        lab.balancer.reload()
        assert wait_until(lambda: (count() or 0) > before, 10)
        time.sleep(0.1)
    assert wait_until(lambda: count() == before, 20)


def test_old_workers_are_unknown_where_they_cannot_be_read(tmp_path: Path) -> None:
    assert Here(tmp_path / "absent").old_workers_of_nginx() is None
    (tmp_path / "1").mkdir()
    assert Here(tmp_path).old_workers_of_nginx() == 0
    assert haproxy.old_workers(Here(), tmp_path / "absent.sock") is None


@pytest.mark.parametrize("address, here", [("127.0.0.1", True), ("198.51.100.7", False), ("2001:db8::7", False)])
def test_address_of_this_machine_is_known(address: str, here: bool) -> None:
    assert Here().holds(address) is here


@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
def test_program_that_does_not_run_is_not_compared(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor)
    lab.balancer.stop()
    (subject,) = compared(lab).subjects
    lab.balancer.start()
    lab.settled()
    assert "does not answer" in subject.unreached
    assert "run nlbgen drift" in subject.hint
    lab.configuration.rename(lab.folder / "moved")
    (subject,) = compared(lab).subjects
    (lab.folder / "moved").rename(lab.configuration)
    assert subject.unreached == f"{lab.configuration}: No such file or directory"
