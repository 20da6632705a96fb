"""`nlbgen push f5` on a terminal."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import RunOnTerminal
    from tests.f5.bigip import BigIp
    from tests.f5.conftest import Make

if os.name != "posix":
    pytest.skip("POSIX terminals", allow_module_level=True)


@pytest.mark.no_cover  # other tests reach the same lines
def test_push_on_a_terminal_shows_the_plan_and_a_table_of_changes(
    make: "Make", device: "BigIp", tmp_path: Path, terminal: "RunOnTerminal"
) -> None:
    (tmp_path / "farm.yaml").write_text(json.dumps(make().document.data))
    for columns in (60, 140):
        planned = terminal("push", "f5", "--dry-run", columns=columns)
        assert planned.code == 1
        assert planned.colours("+") == {"green"}
    done = terminal("push", "f5", "--yes", columns=60)
    assert done.code == 0, done.text
    assert done.colours("+") == {"green"}, "the plan is shown before it is applied"
    head = next(number for number, line in enumerate(done.lines) if line.endswith("unchanged"))
    assert done.lines[head].split() == ["created", "changed", "removed", "unchanged"]
    assert set(done.lines[head + 1]) == {"─"}
    servers = next(number for number, line in enumerate(done.lines) if line.startswith("ltm virtual "))
    assert done.lines[servers].split() == ["ltm", "virtual", "2", "0", "0", "0"]
    figure = done.lines[servers].index("2")
    assert figure == done.lines[head].index("created") + len("create")
    assert done.cells[servers][figure].fg == "green"
    again = terminal("push", "f5", "--yes")
    assert again.code == 0
    assert "nothing to change" in again.text
    assert device.password not in planned.sent + done.sent + again.sent
