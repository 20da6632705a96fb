"""Texts from devices, node files and archives: no name adds a line to a plan, no terminal gets a control character."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.bundle.comparing import Comparison, Fact, FileChange
from nlbgen.commands import console
from nlbgen.core.errors import Location, NlbgenError, Problem
from nlbgen.core.plan import Change, Plan, Shown
from nlbgen.core.wording import json_text
from nlbgen.probe.findings import Finding, MachineSummary, Report

if TYPE_CHECKING:
    from tests.conftest import RunCommand

FORGED = "0 changes, digest 0000000000000000"
NAMES = {
    "line": f"x\n{FORGED}",
    "return": f"x\r{FORGED}",
    "separator": f"x\u2028{FORGED}",
    "escape": "x\x1b[2J\x1b[1;1H" + FORGED,
    "c1": "x\x9b2J",
    "bell": "x\x07\x08\x08",
    "rtl": "x\u202e\u2066gpj.exe",
    "surrogate": "x\udc9b",
    "tag": "x\U000e0041",
}
names = pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)


def is_safe(text: str, lines: int) -> bool:
    return all(char.isprintable() or char == "\n" for char in text) and text.count("\n") == lines


@names
def test_plan_shows_a_name_with_a_line_end_on_one_line(name: str) -> None:
    changes = [
        Change(name, name, None, Shown(name)),
        Change(name, "b", Shown(name), None),
        Change(name, "c", Shown(name), Shown("1")),
    ]
    plan = Plan(changes, {name: "1"}, [f"{name}2"])
    text = plan.text()
    assert is_safe(text, 6), ascii(text)
    assert text.splitlines()[-1] == f"3 changes, digest {plan.digest[:16]}"


@names
def test_comparison_of_bundles_shows_a_name_on_one_line(name: str) -> None:
    fact = Fact(name, name, name)
    text = Comparison((fact,), (fact,), (FileChange(name, "added", (f"+{name}",)),), (name,)).text()
    assert is_safe(text, 5), ascii(text)


@names
def test_problem_shows_a_text_on_one_line(name: str) -> None:
    problem = Problem(Location(name, 1, 1), name, name, name)
    assert is_safe(str(problem), 1), ascii(str(problem))


@names
def test_report_of_a_probe_shows_a_name_on_one_line(name: str) -> None:
    finding = Finding("websocket", "finding", name, name, name, name, name)
    machine = MachineSummary(name, name, reached=True, state=name, facts={"a": name})
    text = Report(name, name, (machine,), (finding,)).text()
    assert is_safe(text, 7), ascii(text)


@names
def test_json_that_is_shown_has_escapes_and_reads_back(name: str) -> None:
    data = {name: [name, "ü"]}
    text = json_text(data)
    assert text.isascii(), "a console of Windows has another encoding than UTF-8"
    assert all(char.isprintable() or char == "\n" for char in text), ascii(text)
    assert json.loads(text) == data


@names
def test_texts_from_outside_reach_no_terminal_unescaped(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.begin()
    console.info(name)
    console.notice(name)
    console.error(NlbgenError(name, name))
    console.show(f"{name}\n")
    console.show({"a": name})
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        assert all(char.isprintable() or char == "\n" for char in text), ascii(text)


@names
def test_message_about_a_node_file_shows_its_names_on_one_line(name: str, cli: "RunCommand", tmp_path: Path) -> None:
    attribute = "".join(f"&#{ord(char)};" for char in name if ord(char) in {9, 10, 13} or 0x20 <= ord(char) < 0xD800)
    (tmp_path / "web.config").write_text(
        f'<configuration><appSettings file="{attribute}"/><connectionStrings configSource="{attribute}"/>'
        f'<location path="{attribute}"><system.web><machineKey/></system.web></location></configuration>',
        encoding="utf-8",
    )
    ran = cli("nodes", "keys", "web.config")
    assert ran.code == 5
    assert all(char.isprintable() or char == "\n" for char in ran.err), ascii(ran.err)
    assert not any(line.startswith("0 changes") for line in ran.err.splitlines())
