"""The checks of a spec that read the nodes' config files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlbgen.nodes import audit, spec_checks, spec_files
from nlbgen.nodes.prepare import rendering
from nlbgen.spec.load import Spec, load
from tests.nodes.test_webconfig import CORE, STUB

MakeSpec = Callable[..., Spec]


@pytest.fixture
def spec(tmp_path: Path, farm_data: Callable[..., dict[str, Any]]) -> MakeSpec:
    """Return a function that loads a spec whose two nodes have these configs."""

    def make(*configs: str, **changes: object) -> Spec:
        nodes = [{"name": f"orch-{index}", "address": f"10.20.0.{index}"} for index in (1, 2)]
        for node, config in zip(nodes, configs, strict=False):
            node["config"] = config
        path = tmp_path / "farm.yaml"
        path.write_text(json.dumps(farm_data(nodes=nodes, **changes)), encoding="utf-8")
        return load(path)

    return make


def test_named_lists_configs_and_the_source_of_keys_only(spec: MakeSpec, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("", encoding="utf-8")
    device = {"host": "f5.corp.example", "user": "admin", "password": {"env": "NLBGEN_F5"}, "ca": "ca.pem"}
    found = dict(spec_files.named(spec("a.config", "b.config", keys={"from": "k.config"}, f5=device)))
    assert found == {
        ("nodes", 0, "config"): tmp_path / "a.config",
        ("nodes", 1, "config"): tmp_path / "b.config",
        ("keys", "from"): tmp_path / "k.config",
    }


def test_missing_notes_no_file_exists_is_one_note(spec: MakeSpec) -> None:
    (note,) = spec_checks.missing_notes(spec("a.config", "b.config"))
    assert note.endswith("none of the 2 config files exists, so they were not checked")


def test_problems_unreadable_file_is_placed_at_its_key(spec: MakeSpec, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    farm = spec("empty", "b.config")
    (problem,) = spec_checks.problems(farm)
    assert problem.location == farm.document.location(("nodes", 0, "config"))
    assert (problem.id, "contains neither" in problem.message) == (audit.NODE_CONFIG, True)


def test_absent_reports_the_first_reason(spec: MakeSpec, tmp_path: Path) -> None:
    assert rendering.absent(spec()) == "the spec has no `config` for orch-1"
    assert rendering.absent(spec("a.config", "b.config")) == f"{tmp_path / 'a.config'} does not exist"
    for name in ("a.config", "b.config"):
        (tmp_path / name).write_text("<configuration/>", encoding="utf-8")
    assert not rendering.absent(spec("a.config", "b.config"))


def test_problems_web_config_of_iis_is_a_warning_at_its_key_that_can_be_accepted(
    spec: MakeSpec, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "web.config").write_text(STUB, encoding="utf-8")
        (tmp_path / folder / "UiPath.Orchestrator.dll.config").write_text(CORE, encoding="utf-8")
    version = {"version": "2021.10"}
    farm = spec("a/web.config", "b/UiPath.Orchestrator.dll.config", orchestrator=version)
    found = [one for one in spec_checks.problems(farm) if one.id == "iis-web-config"]
    assert [(one.location, one.path, one.severity) for one in found] == [
        (farm.document.location(("nodes", 0, "config")), "nodes[0].config", "warning")
    ]
    assert "web.config is the file of IIS" in found[0].message
    assert "write the path of UiPath.Orchestrator.dll.config" in found[0].hint
    accepted = spec("a/web.config", orchestrator=version, accept=["iis-web-config"])
    assert "iis-web-config" not in {one.id for one in spec_checks.problems(accepted)}
