"""`nlbgen probe` on a terminal."""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Screen
    from tests.probe.conftest import SimulatedFarm


if os.name != "posix":
    pytest.skip("POSIX terminals", allow_module_level=True)


@pytest.mark.parametrize("columns", [60, 140])
def test_terminal_shows_a_table_of_machines_and_the_findings(
    columns: int, farm: "SimulatedFarm", tmp_path: Path, terminal: "Callable[..., Screen]"
) -> None:
    farm.nodes[1].state.pool_stopped = True
    (tmp_path / "farm.yaml").write_text(json.dumps(farm.data()), "utf-8")
    places = [f"--balancer=127.0.0.1:{farm.balancer.port}", f"--http-port={farm.plain.port}"]
    more = ["--timeout=40s", "--expires-within=3d", f"--ca-file={farm.certificates.ca}"]
    shown = terminal("-q", "probe", *places, *more, columns=columns)
    assert shown.code == 1
    rule = next(number for number, line in enumerate(shown.lines) if line and set(line) == {"─"})
    assert shown.lines[rule - 1].split() == ["machine", "address", "in", "the", "spec", "found"]
    devices = [line for line in shown.lines[rule + 1 :] if re.match(r"orch-\d +127\.0\.0\.1:\d+ +up ", line)]
    assert len(devices) == len(farm.nodes)
    assert [line for line in shown.text.splitlines() if len(line) > columns] == []
    finding = next(number for number, line in enumerate(shown.lines) if line.startswith("finding: orch-2: "))
    assert shown.cells[finding][0].fg == "red"
    assert "    expected  200 within 30s" in shown.lines[finding:]
    assert shown.colours("note:") == {"cyan"}
