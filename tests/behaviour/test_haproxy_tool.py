"""The rendered program `nlbgen-haproxy`, which does what HAProxy's replaced workers and a plain reload do not."""

import os
import re
import ssl
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nlbgen.generators.base import Site, generator, render
from nlbgen.net.connect import ConnectError
from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.simple import SocketHolder, SocketPlan, fetch
from nlbgen.prove.lab.certificates import make_certificates
from nlbgen.prove.lab.lab import Lab
from nlbgen.spec.load import Spec
from nlbgen.spec.model import Farm

from .conftest import LabPool, ScenarioRunner, example, for_build, other_programs, require

BUILDS = [
    pytest.param(one, id=one["wrapper"])
    for one in other_programs()
    if one["program"] == "haproxy" and not one["version"].startswith("2.2")
]


@pytest.fixture(params=BUILDS)
def haproxy(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each build of HAProxy."""
    build: dict[str, Any] = request.param
    return build


def farm_for(build: dict[str, Any]) -> Spec:
    """The example farm for one build of HAProxy."""
    return example({"haproxy": for_build(build), "balancer": {"slow_start": "0s"}})


@pytest.fixture
def lab(lab_pool: LabPool, haproxy: dict[str, Any]) -> Iterator[Lab]:
    """The example farm on one build of HAProxy, with nodes that earlier tests may have used."""
    yield lab_pool.take("haproxy", farm_for(haproxy), {"program": haproxy["path"]}).settled()
    lab_pool.release()


@pytest.fixture
def own_lab(haproxy: dict[str, Any]) -> Iterator[Lab]:
    """A new lab, for tests that change its certificate."""
    with Lab(farm_for(haproxy), "haproxy", program=haproxy["path"]) as lab:
        assert wait_until(lambda: answered(lab), 15), lab.balancer.output()
        yield lab


def answered(lab: Lab) -> bool:
    return fetch(f"{lab.url}/odata/Jobs", ca=lab.certificates.ca, timeout=15).status == 200


def hook(lab: Lab, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the rendered hook for renewed certificates, with paths of the lab."""
    spec = lab.spec
    # HAProxy before 3.0 reads the key from a link with this name, as INSTALL.md makes it.
    link = Path(f"{lab.certificates.certificate}.key")
    link.unlink()
    link.symlink_to(lab.certificates.key)
    files = render(generator("haproxy"), spec, Site(str(lab.folder)))
    script = lab.folder / "certificate-hook"
    script.write_bytes(next(file.content for file in files if str(file.path) == "certificate-hook"))
    return run_shell(lab, script, *arguments, **environment)


def tool(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program of this lab, with the lab's HAProxy."""
    return run_shell(lab, lab.folder / "nlbgen-haproxy", *arguments)


def run_shell(lab: Lab, script: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    folder = lab.folder / "bin"
    folder.mkdir(exist_ok=True)
    (lab.folder / "nlbgen-haproxy").chmod(0o755)
    for name, target in (("haproxy", lab.program), ("nlbgen-haproxy", lab.folder / "nlbgen-haproxy")):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(str(target))
    reload = lab.folder / "reload"  # as the systemd drop-in does it
    state = lab.folder / "server-state"
    reload.write_text(
        f"echo show servers state | socat - UNIX-CONNECT:{lab.folder}/admin.sock > {state}.new\n"
        f"mv {state}.new {state}\nkill -USR2 {lab.balancer.pid}\n",
        encoding="utf-8",
    )
    environment = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "NLBGEN_RELOAD": f"/bin/sh {reload}",
        **more,
    }
    command = ["/bin/sh", str(script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def sockets(lab: Lab, count: int = 6) -> SocketHolder:
    return SocketHolder(SocketPlan(url=f"{lab.url}/ws", count=count, echo_every=0.2, ca=lab.certificates.ca))


def test_sessions_of_every_worker_are_counted(lab: Lab) -> None:
    """`show stat` of the new worker shows 0 while the old one has WebSockets."""
    with sockets(lab) as held:
        assert wait_until(lambda: held.alive == 6, 15)
        lab.balancer.reload()
        on_first = sum(report.node == "orch-1" for report in held.reports)
        assert on_first
        assert wait_until(lambda: tool(lab, "sessions", "orch-1").stdout == f"{on_first}\n", 15)
    assert wait_until(lambda: tool(lab, "sessions", "orch-1").stdout == "0\n", 15)


def test_websockets_of_an_old_worker_leave_a_node_that_is_down(lab: Lab) -> None:
    with sockets(lab) as held:
        assert wait_until(lambda: held.alive == 6, 15)
        lab.balancer.reload()
        lab.nodes[0].freeze()
        try:
            on_first = [report for report in held.reports if report.node == "orch-1"]
            assert wait_until(lambda: not any(report.alive for report in on_first), 30)
            assert all(report.alive for report in held.reports if report.node == "orch-2")
        finally:
            lab.nodes[0].thaw()


@pytest.mark.no_cover  # other tests reach the same lines
def test_websockets_of_the_last_resort_leave_a_node_that_is_down(lab: Lab) -> None:
    """They began while the checks of all nodes failed, in the pool without checks.

    The nodes recover one after the other: if both did at once, it would be chance which one the program sees first.
    """
    for node in lab.nodes:
        node.set(drain=True)
    assert wait_until(lambda: {status(lab, node.name)[0] for node in lab.nodes} == {"DOWN"}, 15)
    with sockets(lab) as held:
        assert wait_until(lambda: held.alive == 6, 15)
        first, second = ([one for one in held.reports if one.node == node.name] for node in lab.nodes)
        assert first and second
        lab.nodes[0].reset()
        assert wait_until(lambda: not any(report.alive for report in second), 30), "another node serves"
        assert all(report.alive for report in first), "a node that recovers keeps them"
        lab.nodes[1].reset()
        assert wait_until(lambda: {status(lab, node.name)[0] for node in lab.nodes} == {"UP"}, 15)
        assert all(report.alive for report in first)
        lab.nodes[0].freeze()
        try:
            assert wait_until(lambda: not any(report.alive for report in first), 30)
        finally:
            lab.nodes[0].thaw()


def test_websockets_of_the_last_resort_stay_while_all_nodes_recover(lab_pool: LabPool, haproxy: dict[str, Any]) -> None:
    """HAProxy marks the nodes up one after the other, less than `interval` + `timeout` apart."""
    health = {"interval": "1s", "timeout": "8s"}
    spec = example({"haproxy": for_build(haproxy), "balancer": {"slow_start": "0s", "health": health}})
    lab = lab_pool.take("haproxy", spec, {"program": haproxy["path"]}).settled()
    try:
        for node in lab.nodes:
            node.set(drain=True)
        assert wait_until(lambda: {status(lab, node.name)[0] for node in lab.nodes} == {"DOWN"}, 15)
        with sockets(lab) as held:
            assert wait_until(lambda: held.alive == 6, 15)
            lab.nodes[0].reset()
            assert wait_until(lambda: status(lab, lab.nodes[0].name)[0] == "UP", 15)
            lab.nodes[1].reset()
            assert wait_until(lambda: {status(lab, node.name)[0] for node in lab.nodes} == {"UP"}, 15)
            assert held.alive == 6
    finally:
        lab_pool.release()


def test_renewed_certificate_is_used_without_a_reload(own_lab: Lab, tmp_path: Path) -> None:
    process = process_id(own_lab)
    renewed = make_certificates(tmp_path, [own_lab.host, "127.0.0.1"])
    ran = hook(own_lab, str(renewed.certificate), str(renewed.key))
    assert (ran.returncode, ran.stderr) == (0, ""), ran
    assert own_lab.certificates.key.stat().st_mode & 0o077 == 0
    # The nodes of the lab still have the former certificate, so the answer is 503: the handshake is what counts.
    assert fetch(f"{own_lab.url}/odata/Jobs", ca=renewed.ca, timeout=15).status in {200, 503}
    with pytest.raises((ssl.SSLError, ConnectError)):
        fetch(f"{own_lab.url}/odata/Jobs", ca=own_lab.certificates.ca, timeout=15)
    assert process_id(own_lab) == process


def test_certificate_of_another_name_is_not_installed(own_lab: Lab, tmp_path: Path) -> None:
    """certbot runs the hook for every certificate of the machine."""
    other = make_certificates(tmp_path, ["elsewhere.example"])
    (tmp_path / "fullchain.pem").write_bytes(other.certificate.read_bytes())
    (tmp_path / "privkey.pem").write_bytes(other.key.read_bytes())
    before = own_lab.certificates.certificate.read_bytes()
    ran = hook(own_lab, RENEWED_LINEAGE=str(tmp_path), RENEWED_DOMAINS="elsewhere.example")
    assert (ran.returncode, ran.stdout) == (0, ""), ran
    assert own_lab.certificates.certificate.read_bytes() == before
    ran = hook(own_lab, RENEWED_LINEAGE=str(tmp_path), RENEWED_DOMAINS=f"elsewhere.example {own_lab.host}")
    assert ran.returncode == 0, ran
    assert own_lab.certificates.certificate.read_bytes() == other.certificate.read_bytes()


def test_certificate_that_does_not_fit_its_key_is_refused(own_lab: Lab, tmp_path: Path) -> None:
    other = make_certificates(tmp_path, [own_lab.host, "127.0.0.1"])
    own_lab.certificates.certificate.write_bytes(other.certificate.read_bytes())
    ran = tool(own_lab, "renew")
    assert ran.returncode == 1
    assert "HAProxy" in ran.stderr
    assert answered(own_lab)


def process_id(lab: Lab) -> str:
    found = re.search(r"(?m)^Pid: (\d+)", lab.runtime("show info"))
    assert found
    return found[1]


def status(lab: Lab, node: str) -> tuple[str, str]:
    """The status and weight of a node in the web pool."""
    rows = [row.split(",") for row in lab.runtime("show stat").splitlines()]
    row = next(row for row in rows if row[0].endswith("_web") and row[1] == node)
    return row[17], row[18]


def reached(lab: Lab, wanted: tuple[str, str]) -> bool:
    return status(lab, "orch-1") == wanted


def changed(lab: Lab, state: str, weight: int = 100) -> Farm:
    """The farm with changes to its first node."""
    first, *others = lab.live.nodes
    return lab.live.replace(nodes=(first.replace(state=state, weight=weight), *others))


def rendered(lab: Lab, farm: Farm, path: Path) -> Path:
    """The configuration of a farm, with the addresses of the lab."""
    spec = lab.written._replace(farm=lab.relocated(farm))
    site = Site(str(lab.folder), http_port=lab.http_port)
    path.write_bytes(next(file.content for file in render(generator("haproxy"), spec, site) if file.main))
    return path


def test_states_and_weights_are_loaded_without_a_reload(lab: Lab, tmp_path: Path) -> None:
    first = process_id(lab)
    for state, weight, wanted in (
        ("down", 100, ("MAINT", "100")),
        ("up", 50, ("UP", "50")),
        ("drain", 100, ("UP", "0")),
        ("up", 100, ("UP", "100")),
    ):
        new = rendered(lab, changed(lab, state, weight), tmp_path / "new.cfg")
        ran = tool(lab, "load", str(new))
        assert ran.returncode == 0, ran
        assert "without a reload" in ran.stdout
        assert lab.configuration.read_bytes() == new.read_bytes()
        assert wait_until(partial(reached, lab, wanted), 15), (state, weight, status(lab, "orch-1"))
    assert process_id(lab) == first


def test_another_change_is_loaded_by_a_reload_and_keeps_the_states_of_the_file(lab: Lab, tmp_path: Path) -> None:
    first = process_id(lab)
    assert tool(lab, "load", str(rendered(lab, changed(lab, "down"), tmp_path / "new.cfg"))).returncode == 0
    farm = lab.live.replace(balancer=lab.live.balancer.replace(algorithm="round-robin"))
    ran = tool(lab, "load", str(rendered(lab, farm, tmp_path / "new.cfg")))
    assert (ran.returncode, "was reloaded" in ran.stdout) == (0, True), ran
    assert wait_until(lambda: process_id(lab) != first, 15)
    assert wait_until(lambda: status(lab, "orch-1")[0] == "UP", 15)


def test_load_without_a_reload_changes_nothing_if_a_reload_is_necessary(lab: Lab, tmp_path: Path) -> None:
    before, first = lab.configuration.read_bytes(), process_id(lab)
    farm = changed(lab, "down")
    farm = farm.replace(balancer=farm.balancer.replace(algorithm="round-robin"))
    ran = tool(lab, "load", "--no-reload", str(rendered(lab, farm, tmp_path / "new.cfg")))
    assert (ran.returncode, ran.stdout) == (3, ""), ran
    assert "needs a reload; nothing was changed" in ran.stderr
    assert lab.configuration.read_bytes() == before
    assert (status(lab, "orch-1")[0], process_id(lab)) == ("UP", first)
    new = rendered(lab, changed(lab, "down"), tmp_path / "new.cfg")
    assert tool(lab, "load", "--no-reload", str(new)).returncode == 0
    assert lab.configuration.read_bytes() == new.read_bytes()
    assert status(lab, "orch-1")[0] == "MAINT"


def test_load_writes_the_target_of_a_link(lab: Lab, tmp_path: Path) -> None:
    target = lab.folder / "kept.cfg"
    lab.configuration.rename(target)
    lab.configuration.symlink_to(target)
    new = rendered(lab, changed(lab, "down"), tmp_path / "new.cfg")
    assert tool(lab, "load", str(new)).returncode == 0
    assert lab.configuration.is_symlink()
    assert target.read_bytes() == new.read_bytes()


def test_configuration_that_haproxy_refuses_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    before = lab.configuration.read_bytes()
    new = rendered(lab, changed(lab, "down"), tmp_path / "new.cfg")
    new.write_bytes(new.read_bytes() + b"    no-such-directive\n")
    ran = tool(lab, "load", str(new))
    assert ran.returncode == 1
    assert "nothing was changed" in ran.stderr
    assert lab.configuration.read_bytes() == before
    assert status(lab, "orch-1")[0] == "UP"


def test_sessions_of_an_unknown_node_is_an_error(lab: Lab) -> None:
    ran = tool(lab, "sessions", "orch-9")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "no node orch-9" in ran.stderr


@pytest.mark.slow
def test_websockets_stay_on_a_node_that_hangs_without_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the configuration alone does: `prove` shows it."""
    require("haproxy")
    monkeypatch.setattr(Lab, "_accompany", lambda *_: None)
    with Lab(example(), "haproxy") as lab:
        seen = ScenarioRunner(lab).run("reload-states", until="kept")
    assert seen["kept"].verdict == "failed", seen
