"""`nlbgen drift f5`: what a push would change."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import RunCommand
    from tests.f5.bigip import BigIp
    from tests.f5.conftest import Make, Reached


@pytest.fixture
def pushed(cli: "RunCommand", make: "Make", device: "BigIp", running: "Reached", tmp_path: Path) -> None:
    """A device that has the farm."""
    (tmp_path / "farm.yaml").write_text(json.dumps(make().document.data), encoding="utf-8")
    assert cli("push", "f5", "--yes").code == 0


def test_drift_of_a_device_that_has_the_farm_is_none(cli: "RunCommand", pushed: None, device: "BigIp") -> None:
    before = len(device.writes())
    ran = cli("drift", "f5")
    assert (ran.code, ran.out) == (0, "f5: no difference\n")
    assert len(device.writes()) == before
    assert "\x1b[32m" in cli("drift", "f5", env={"FORCE_COLOR": "1"}).out


def test_drift_of_a_device_lists_what_a_push_would_change(
    cli: "RunCommand", pushed: None, make: "Make", tmp_path: Path
) -> None:
    nodes = [
        {"name": "orch-1", "address": "10.20.0.11"},
        {"name": "orch-2", "address": "10.20.0.12", "state": "down"},
    ]
    changed = make(nodes=nodes)
    (tmp_path / "farm.yaml").write_text(json.dumps(changed.document.data), encoding="utf-8")
    ran = cli("drift", "f5", "--format", "json")
    assert ran.code == 1
    data = json.loads(ran.out)
    assert data["drift"] is True
    assert any("orch-2" in one["what"] or "10.20.0.12" in one["what"] for one in data["subjects"][0]["differences"])
    assert data["old_workers"] is None


def test_drift_of_a_device_with_the_objects_of_another_farm_names_it(
    cli: "RunCommand", pushed: None, make: "Make", device: "BigIp", tmp_path: Path
) -> None:
    for properties in device.objects.values():
        if str(properties.get("description", "")).startswith("nlbgen:"):
            properties["description"] = "nlbgen:another-farm"
    ran = cli("drift", "f5")
    assert ran.code == 1
    assert "found nlbgen:another-farm" in ran.out


def test_drift_of_a_device_that_does_not_answer_is_unknown(
    cli: "RunCommand", make: "Make", running: "Reached", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlbgen.push.http.time.sleep", lambda _seconds: None)
    (tmp_path / "farm.yaml").write_text(json.dumps(make(f5={"port": 1}).document.data), encoding="utf-8")
    ran = cli("drift", "f5")
    assert ran.code == 6
    assert ran.out.startswith("f5: not compared: ")


def test_drift_of_a_plan_that_a_push_would_refuse_is_a_difference(
    cli: "RunCommand", pushed: None, device: "BigIp"
) -> None:
    device.objects["ltm pool", "/Common/orchestrator-test_web"]["description"] = "mine"
    assert cli("push", "f5", "--dry-run").code == 6
    ran = cli("drift", "f5")
    assert ran.code == 1
    assert "orchestrator-test_web" in ran.out
