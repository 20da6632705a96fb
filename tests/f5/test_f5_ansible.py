"""The exported playbooks against the simulated device: the real ansible-playbook runs nlbgen `push` and `nodes`."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import yaml

from nlbgen.export.ansible import rollout as ansible
from nlbgen.spec.load import Spec

if TYPE_CHECKING:
    from tests.f5.conftest import Pushed

pytestmark = pytest.mark.slow


class Device(Protocol):
    """The simulated device."""

    password: str
    objects: dict[tuple[str, str], dict[str, Any]]

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


def states(device: Device, node: str = "orch-2") -> set[str]:
    """The states of a node in all pools."""
    pools = [own for (kind, _path), own in device.own().items() if kind == "ltm pool"]
    members = [member for pool in pools for member in pool["members"] if node in member["name"]]
    assert len(members) == len(pools) > 0
    return {f"{member.get('session')} {member.get('state')}" for member in members}


@pytest.mark.no_cover  # other tests reach the same lines
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
    code, said, _counts = play(tree, "out-orch-2.yml")
    assert code == 0 and states(device) == {"user-disabled user-down"}, said
    code, said, _counts = play(tree, "back-orch-2.yml")
    assert code == 0 and states(device) == serving, said


def disable(device: Device, node: str) -> None:
    """Someone forces a node offline on the device."""
    for (kind, _path), own in device.objects.items():
        for member in own["members"] if kind == "ltm pool" else ():
            if f"/{node}:" in member["name"]:
                member.update(session="user-disabled", state="user-down")


@pytest.mark.long
def test_rollout_changes_only_its_node_and_keeps_the_minimum(tree: Path, device: Device) -> None:
    code, said, _counts = play(tree, "balancers.yml")
    assert code == 0, said
    disable(device, "orch-1")
    before, serving = len(device.writes()), states(device)

    code, said, _counts = play(tree, "out-orch-2.yml")
    assert code != 0 and "without orch-2, 0 nodes would serve, but balancer.minimum is 1" in " ".join(said.split()), (
        said
    )
    assert len(device.writes()) == before and states(device) == serving
    assert not list((tree / "work").rglob("f5")), "the secret is removed"

    code, said, _counts = play(tree, "out-orch-2.yml", "-e", "drain_force=true", "-e", "device_ticket=CHG-4711")
    assert code == 0 and states(device) == {"user-disabled user-down"}, said
    events = [json.loads(line) for line in (tree.parent.parent / "outputs" / "events.jsonl").read_text().splitlines()]
    assert [(one["event"], one["node"], one["state"], one["ticket"]) for one in events] == [
        (event, "orch-2", state, "CHG-4711") for state in ("drain", "down") for event in ("begin", "changed")
    ]
    code, said, counts = play(tree, "back-orch-2.yml")
    assert code == 0 and counts["changed"] == 1 and states(device) == serving, said
    assert states(device, "orch-1") == {"user-disabled user-down"}, "the other node stays as it is"
    code, said, counts = play(tree, "back-orch-2.yml")
    assert (code, counts["changed"]) == (0, 0), said


@pytest.mark.parametrize("out, last", [((), False), (("orch-1",), True), (("orch-1", "orch-2"), False)])
@pytest.mark.no_cover  # other tests reach the same lines
def test_rollout_detects_the_last_node_that_serves(
    out: tuple[str, ...], last: bool, tree: Path, device: Device, make: Callable[..., Spec], pushed: "Pushed"
) -> None:
    """By the device's own view: the control host needs no connection to the nodes."""
    pushed(make())
    for node in out:
        disable(device, node)
    code, said, _counts = play(tree, "others-orch-2.yml", "-v")
    assert code == 0 and f"drain_last: {str(last).lower()}" in said, said
    assert device.password not in said
