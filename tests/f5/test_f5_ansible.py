"""The exported playbooks against the simulated device: the real ansible-playbook runs `nlbgen push`."""

import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from nlbgen.export.ansible import rollout as ansible
from nlbgen.spec.load import Spec

pytestmark = pytest.mark.slow


class Device(Protocol):
    """The simulated device."""

    password: str

    def own(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The farm's objects on the device, by kind and path."""

    def writes(self) -> Sequence[object]:
        """The requests that changed something."""


@pytest.fixture
def tree(make: Callable[..., Spec], tmp_path: Path) -> Path:
    """The exported tree of a farm behind the device, with a playbook for each task file of `drain` and each node."""
    for made in ansible.files(make(), homes=["../.."]):
        path = tmp_path / "outputs" / "ansible" / made.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.content)
    folder = tmp_path / "outputs" / "ansible"
    for name in ("others", "out", "back"):
        role = {"name": "drain", "tasks_from": f"f5_{name}.yml"}
        task = {"ansible.builtin.include_role": role}
        for node in ("orch-1", "orch-2"):
            play = {"hosts": f"orchestrator-test.node.{node}", "gather_facts": False, "tasks": [task]}
            (folder / f"{name}-{node}.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    return folder


def play(tree: Path, playbook: str, *options: str) -> tuple[int, str, dict[str, int]]:
    """Run a playbook; return the exit code, the output, and the counts of the recap: ok, changed, failed."""
    program = shutil.which("ansible-playbook", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        if os.environ.get("NLBGEN_REQUIRE_PROGRAMS") == "1":
            pytest.fail("ansible-playbook is not installed, and NLBGEN_REQUIRE_PROGRAMS=1 asks for it")
        pytest.skip("ansible-playbook is not installed")
    environment = {
        "PATH": f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_HOME": str(tree.parent / "home"),
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(
        [program, "-e", "drain_seconds=0", playbook, *options],
        cwd=tree,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    recap = done.stdout.partition("PLAY RECAP")[2]
    return done.returncode, done.stdout, {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap)}


def states(device: Device) -> set[str]:
    """The states of the second node in all pools."""
    pools = [own for (kind, _path), own in device.own().items() if kind == "ltm pool"]
    members = [member for pool in pools for member in pool["members"] if "orch-2" in member["name"]]
    assert len(members) == len(pools) > 0
    return {f"{member.get('session')} {member.get('state')}" for member in members}


def test_rollout_pushes_the_farm_and_drains_and_restores_a_node(tree: Path, device: Device) -> None:
    code, said, counts = play(tree, "balancers.yml", "--check")
    assert (code, counts["changed"], device.writes()) == (0, 1, []), said
    code, said, counts = play(tree, "balancers.yml")
    assert code == 0 and counts["changed"] == 2 and device.writes(), said
    assert device.password not in said
    assert not list((tree / "work").rglob("f5")), "the secret is removed"
    code, said, counts = play(tree, "balancers.yml")
    assert (code, counts["changed"]) == (0, 0), said

    serving = states(device)
    reviewed = ("-e", "device_expect=0000000000000000")
    code, said, _counts = play(tree, "balancers.yml", *reviewed)
    assert code == 0, said
    code, said, _counts = play(tree, "out-orch-2.yml", *reviewed)
    assert code == 0 and states(device) == {"user-disabled user-down"}, said
    code, said, _counts = play(tree, "back-orch-2.yml")
    assert code == 0 and states(device) == serving, said


@pytest.mark.long
def test_rollout_refuses_a_device_that_has_another_node_down(tree: Path, device: Device) -> None:
    code, said, _counts = play(tree, "balancers.yml")
    assert code == 0, said
    serving = states(device)
    code, said, _counts = play(tree, "out-orch-1.yml")
    assert code == 0 and states(device) == serving, said
    before = len(device.writes())

    code, said, _counts = play(tree, "out-orch-2.yml")
    assert code != 0 and "The device differs from this export in more than orch-2" in " ".join(said.split()), said
    assert len(device.writes()) == before and states(device) == serving
    assert device.password not in said
    assert not list((tree / "work").rglob("f5")), "the secret is removed"

    code, said, _counts = play(tree, "out-orch-1.yml")
    assert code == 0, "a node that is down already may be taken out again"
    code, said, _counts = play(tree, "back-orch-1.yml")
    assert code == 0, said
    code, said, _counts = play(tree, "out-orch-2.yml")
    assert code == 0 and states(device) == {"user-disabled user-down"}, said


@contextmanager
def node(status: int) -> Iterator[str]:
    """A node that answers with this status: the URL of its health endpoint."""

    class Node(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.headers["Host"] == "orchestrator.corp.example" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Node) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api/Status/Get"
        server.shutdown()


@pytest.mark.parametrize("own, other, last", [(200, 200, False), (200, 503, True), (503, 503, False)])
def test_rollout_detects_the_last_node_that_serves(own: int, other: int, last: bool, tree: Path) -> None:
    (tree / "host_vars").mkdir()
    with node(own) as first, node(other) as second:
        for name, url in (("orch-2", first), ("orch-1", second)):
            text = yaml.safe_dump({"drain_health_url": url})
            (tree / "host_vars" / f"orchestrator-test.node.{name}.yml").write_text(text, encoding="utf-8")
        code, said, _counts = play(tree, "others-orch-2.yml", "-v")
    assert code == 0 and f"drain_last: {str(last).lower()}" in said, said
