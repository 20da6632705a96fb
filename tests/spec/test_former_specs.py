"""Specs as earlier versions of nlbgen accepted them: each still renders, and `check` names each default that changed.

tests/former_specs holds farm.yaml files of the tree before a default changed. They are never edited.
"""

from pathlib import Path

import pytest

from nlbgen.generators.base import generator, render
from nlbgen.spec.load import loads

FORMER = sorted((Path(__file__).parents[1] / "former_specs").glob("*.yaml"))
AFFINITY_NOW = {"orchestrator-2020.10": "signalr", "orchestrator-2023.4": "signalr"}
"""The files whose affinity was `none` by default, and is another one now."""


@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
@pytest.mark.parametrize("path", FORMER, ids=lambda path: path.stem)
def test_former_spec_renders(path: Path, vendor: str) -> None:
    spec = loads(path.read_text(encoding="utf-8"), path.name)
    main = next(file for file in render(generator(vendor), spec) if file.main)
    assert ("NLBID" in main.content.decode()) == (spec.farm.affinity in {"cookie", "signalr"})


@pytest.mark.parametrize("path", FORMER, ids=lambda path: path.stem)
def test_former_spec_with_a_changed_default_is_reported(path: Path) -> None:
    spec = loads(path.read_text(encoding="utf-8"), path.name)
    found = [problem for problem in spec.warnings if problem.id == "affinity-auto"]
    now = AFFINITY_NOW.get(path.stem)
    assert [problem.path for problem in found] == ["balancer.affinity"] * bool(now)
    assert now is None or spec.farm.affinity == now
    assert all(f"`{now}`" in problem.message and problem.location.file == path.name for problem in found)


def test_former_default_of_affinity_is_kept_by_the_line_of_the_hint() -> None:
    text = next(path for path in FORMER if path.stem == "orchestrator-2020.10").read_text(encoding="utf-8")
    kept = loads(text + "balancer: {affinity: none}\n")
    assert (kept.farm.affinity, [problem.id for problem in kept.warnings]) == ("none", ["node-ca", "redis-add-on"])
