"""What terminals show: the same facts as in a pipe, as tables in colours, however narrow the terminal is."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlbgen.commands import tables
from nlbgen.commands.tables import Block, Cell, Line, Table
from nlbgen.core.plan import Change, Plan, Shown
from nlbgen.core.wording import legible

if TYPE_CHECKING:
    from collections.abc import Callable

    from _pytest.mark.structures import ParameterSet

    from tests.conftest import Ran, RunCommand, RunOnTerminal, Screen

    InAPipe = Callable[[list[str]], Ran]
    OnATerminal = Callable[[list[str], int], Screen]

if os.name != "posix":
    pytest.skip("POSIX terminals", allow_module_level=True)

EXAMPLES = Path(__file__).parents[2] / "examples"
PLAIN = {"NO_COLOR": "", "FORCE_COLOR": "", "CLICOLOR_FORCE": ""}
SECRET = {"NLBGEN_REDIS_PASSWORD": "hunter2"}
COLUMNS = (60, 80, 140)
IDENTITY = re.compile(r"sha256:[0-9a-f]{12}|\[[a-z0-9]+(?:-[a-z0-9]+)+\]|\b[0-9a-f]{16,64}\b")
"""What people compare or copy: fingerprints, ids, digests."""
TABLES = {
    "vendors": ["vendors"],
    "keys": ["nodes", "keys"],
    "audit": ["nodes", "audit"],
    "verify": ["bundle", "verify", "a.zip"],
}
LINES = {
    "plan": ["nodes", "plan"],
    "diff": ["bundle", "diff", "a.zip", "b.zip"],
    "check": ["check", "-s", "wrong.yaml"],
}
ALL = TABLES | LINES


def named(commands: dict[str, list[str]]) -> "list[ParameterSet]":
    return [pytest.param(command, id=name) for name, command in commands.items()]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example farm, two bundles of it that differ, and a spec that is wrong."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLES / "inputs", folder / "inputs")
    spec = (EXAMPLES / "farm.yaml").read_text("utf-8")
    for name, text in (("a", spec), ("b", re.sub(r"slow_start: \S+", "slow_start: 91s", spec))):
        (folder / "farm.yaml").write_text(text, "utf-8")
        command = [sys.executable, "-m", "nlbgen", "bundle", "export", "--no-validate", "-o", f"{name}.zip"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (folder / "farm.yaml").write_text(spec, "utf-8")
    wrong = {"farm": "[red]a\x1b[31m", "orchestrator": {"version": "2019.4"}, "nodes": [{"name": "n" * 90}]}
    (folder / "wrong.yaml").write_text(json.dumps(wrong), "utf-8")
    return folder


@pytest.fixture
def farm(example: Path, tmp_path: Path) -> Path:
    """The test's own folder, with all that is in the example's."""
    shutil.copytree(example, tmp_path, dirs_exist_ok=True)
    return tmp_path


# These commands only read, so each runs once for all the tests that look at the same output.
_runs: "dict[str, Ran | Screen]" = {}


@pytest.fixture
def in_a_pipe(farm: Path, shell: "RunCommand") -> "InAPipe":
    """What a command writes into a pipe."""

    def run(command: list[str]) -> "Ran":
        key = f"pipe {command}"
        if key not in _runs:
            _runs[key] = shell("-q", *command, env=PLAIN | SECRET)
        return cast("Ran", _runs[key])

    return run


@pytest.fixture
def on_a_terminal(farm: Path, terminal: "RunOnTerminal") -> "OnATerminal":
    """What a command shows on a terminal of so many columns."""

    def run(command: list[str], columns: int) -> "Screen":
        key = f"{columns} {command}"
        if key not in _runs:
            _runs[key] = terminal("-q", *command, columns=columns, env=SECRET)
        return cast("Screen", _runs[key])

    return run


def uncoloured(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def without_excerpts(text: str) -> str:
    """The text without the lines of files, and without the carets below them."""
    return re.sub(r"(?m)^ +(?:\d+ )?\|.*\n", "", text)


# The same facts everywhere


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("command", named(ALL))
def test_tables_keep_every_word_and_fit_the_width(
    command: list[str], columns: int, in_a_pipe: "InAPipe", on_a_terminal: "OnATerminal"
) -> None:
    plain = in_a_pipe(command)
    shown = on_a_terminal(command, columns)
    assert shown.code == plain.code
    assert "\x1b[" in shown.sent
    assert set(IDENTITY.findall(plain.out)) <= set(IDENTITY.findall(shown.text))
    assert "…" not in shown.text
    if command in LINES.values():
        assert "".join(without_excerpts(shown.text).split()) == "".join(plain.out.split())
    if command == ["vendors"]:
        assert set(plain.out.split()) <= set(shown.text.split())
    for line in shown.text.splitlines():
        of_a_file = line[:1] in {"+", "-", " ", "@"} and command in LINES.values()
        assert len(line) <= columns or of_a_file or max(map(len, line.split())) > columns - 6, line


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("command", named(ALL))
def test_no_color_gives_the_same_picture_without_colours(
    command: list[str], columns: int, farm: Path, terminal: "RunOnTerminal", on_a_terminal: "OnATerminal"
) -> None:
    coloured = on_a_terminal(command, columns)
    bare = terminal("-q", *command, columns=columns, env=SECRET | {"NO_COLOR": "1"})
    assert "\x1b" not in bare.sent
    assert bare.sent == coloured.text
    assert bare.lines == coloured.lines


@pytest.mark.parametrize("command", named(ALL))
def test_dumb_terminal_gets_the_output_of_a_pipe(
    command: list[str], farm: Path, in_a_pipe: "InAPipe", terminal: "RunOnTerminal"
) -> None:
    plain = in_a_pipe(command)
    assert plain.err == ""
    assert terminal("-q", *command, env=SECRET | {"TERM": "dumb"}).sent == plain.out


@pytest.mark.parametrize("command", named(LINES))
def test_forced_colours_colour_the_lines_in_a_pipe(
    command: list[str], farm: Path, shell: "RunCommand", in_a_pipe: "InAPipe"
) -> None:
    plain = in_a_pipe(command)
    forced = shell("-q", *command, env=PLAIN | SECRET | {"FORCE_COLOR": "1"})
    assert "\x1b[" in forced.out
    assert uncoloured(forced.out) == plain.out


@pytest.mark.parametrize("command", named(TABLES))
def test_forced_colours_do_not_change_tables_in_a_pipe(
    command: list[str], farm: Path, shell: "RunCommand", in_a_pipe: "InAPipe"
) -> None:
    assert shell("-q", *command, env=PLAIN | SECRET | {"FORCE_COLOR": "1"}) == in_a_pipe(command)


@pytest.mark.parametrize("command", named(ALL))
def test_pipe_does_not_import_the_table_library(command: list[str], farm: Path) -> None:
    script = (
        "import sys\nfrom nlbgen.cli import main\n"
        "try:\n    main()\nfinally:\n    print('MODULES', *sys.modules, file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, *command],
        cwd=farm,
        env={**os.environ, **PLAIN, **SECRET},
        capture_output=True,
        check=False,
    )
    modules = set(ran.stderr.decode().rpartition("MODULES ")[2].split())
    assert "nlbgen.commands.console" in modules
    assert not modules & {"rich", "nlbgen.commands.tables"}


def test_json_on_a_terminal_is_plain(farm: Path, shell: "RunCommand", terminal: "RunOnTerminal") -> None:
    for command in (["vendors", "--format", "json"], ["vendors", "--format", "markdown"], ["schema"]):
        assert terminal(*command).sent == shell(*command, env=PLAIN).out


# What is shown where


def test_the_matrix_is_coloured_by_answer(terminal: "RunOnTerminal") -> None:
    shown = terminal("vendors", columns=140)
    assert "─" * 50 in shown.text
    for line in (line for line in shown.lines if line.startswith("Slow start ")):
        assert line.split()[2:] == ["yes", "fallback", "fallback", "yes"]
    assert shown.colours("fallback") == {"brown"}  # which is how terminals called yellow
    assert shown.colours("since") - {"default"} == {"cyan"}
    matrix = "\n".join(shown.lines).partition("\n\n")[0].splitlines()
    for word, colour in (("yes", "green"), ("no", "red")):
        places = [(y, found.start()) for y, line in enumerate(matrix) for found in re.finditer(rf"\b{word}\b", line)]
        assert places
        assert {shown.cells[y][x].fg for y, x in places} == {colour}


def test_the_matrix_folds_into_sixty_columns(terminal: "RunOnTerminal") -> None:
    shown = terminal("vendors", columns=60)
    head = next(number for number, line in enumerate(shown.lines) if line.startswith("feature"))
    assert shown.lines[head + 1] == "─" * 60
    first, folded = (shown.lines[head + number].split() for number in (2, 3))
    assert (first[0], first[-4:]) == ("TLS", ["yes", "yes", "since", "yes"])
    assert folded[-1] == "Zevenet"


def test_keys_have_a_column_for_each_node(farm: Path, terminal: "RunOnTerminal") -> None:
    shown = terminal("nodes", "keys")
    head = next(line for line in shown.lines if "orch-1" in line)
    assert head.split() == ["orch-1", "orch-2"]
    row = next(number for number, line in enumerate(shown.lines) if line.startswith("EncryptionKey"))
    assert [line.split() for line in shown.lines[row : row + 2]] == [
        ["EncryptionKey", "sha256:a09d1473b94a", "sha256:6f117bc464d9"],
        ["secureAppSettings", "base64,", "256", "bits,", "length", "base64,", "256", "bits,", "length"],
    ]
    assert shown.colours("sha256:a09d1473b94a") == {"brown"}
    same = farm / "inputs/orch-1/web.config"
    shutil.copyfile(same, farm / "copy.config")
    assert terminal("nodes", "keys", same, "copy.config").colours("sha256:a09d1473b94a") == {"green"}
    assert terminal("nodes", "keys", same).colours("sha256:a09d1473b94a") == {"default"}


def test_generated_keys_are_never_the_same(farm: Path, terminal: "RunOnTerminal") -> None:
    config = farm / "inputs/orch-1/web.config"
    text = re.sub(r'(decryptionKey|validationKey)="[0-9A-Fa-f]+"', r'\1="AutoGenerate"', config.read_text("utf-8"))
    for name in ("one.config", "two.config"):
        (farm / name).write_text(text, "utf-8")
    shown = terminal("nodes", "keys", "one.config", "two.config", columns=140)
    assert shown.colours("AutoGenerate") - {"default"} == {"brown"}
    assert "cannot be copied" in shown.text


def test_a_terminal_too_narrow_for_a_table_gets_records(farm: Path, terminal: "RunOnTerminal") -> None:
    shown = terminal("nodes", "audit", columns=60)
    row = shown.lines.index("EncryptionKey  DIFFERS")
    assert shown.lines[row + 1 : row + 3] == ("  orch-1: sha256:a09d1473b94a", "  orch-2: sha256:6f117bc464d9")
    assert shown.colours("EncryptionKey") == {"red"}
    assert "  orch-1: sha256:a09d1473b94a" in terminal("nodes", "keys", columns=60).lines


def test_audit_differences_are_red(farm: Path, terminal: "RunOnTerminal") -> None:
    shown = terminal("nodes", "audit", columns=140)
    assert shown.code == 1
    assert shown.colours("DIFFERS") == {"red"}
    assert {line.split()[0] for line in shown.lines if line.endswith("DIFFERS")} >= {"EncryptionKey", "machineKey"}
    assert shown.colours("[session-inproc]") == {"red"}
    assert "Max Pool" in shown.text, "a pipe cuts this value, a terminal folds it"


def test_many_nodes_are_listed_by_value(farm: Path, terminal: "RunOnTerminal") -> None:
    names = []
    for number, node in enumerate((1, 1, 1, 1, 2)):
        names.append(f"n{number}.config")
        shutil.copyfile(farm / f"inputs/orch-{node}/web.config", farm / names[-1])
    shown = terminal("nodes", "audit", *names, columns=140)
    rows = [line for line in shown.lines if line.startswith("EncryptionKey")]
    assert [line.split()[1] for line in rows] == ["sha256:a09d1473b94a", "sha256:6f117bc464d9"]
    assert rows[0].split()[2:] == ["n0.config,", "n1.config,", "n2.config,", "n3.config", "DIFFERS"]


def test_plan_lines_are_coloured_by_action(farm: Path, terminal: "RunOnTerminal") -> None:
    shown = terminal("nodes", "plan", env=SECRET, columns=140)
    assert shown.colours("+") == {"green"}
    assert shown.colours("~") == {"brown"}
    assert "hunter2" not in shown.sent
    change = Change("device", "pool \x1b[7m[bold]web", Shown("old"), None)
    plan = Plan([change, Change("device", "rule", None, Shown("new"))], {}, ["other"])
    assert [line.style for line in tables.changes(plan)] == ["bold", "red", "green", "green", "bold"]
    assert "".join(f"{line.text}\n" for line in tables.changes(plan)) == plan.text()


def test_plan_before_a_question_is_coloured(farm: Path, terminal: "RunOnTerminal") -> None:
    for options in ([], ["-q"]):
        shown = terminal(*options, "nodes", "apply", answer="n", env=SECRET)
        assert shown.code == 130
        assert "Change these files? [y/N]: n" in shown.text
        assert shown.colours("+") == {"green"}
    done = terminal("nodes", "apply", answer="y", env=SECRET)
    assert done.code == 0
    assert "changed inputs/orch-2/web.config" in done.text
    nothing = terminal("nodes", "plan", env=SECRET)
    assert nothing.colours("orch-1") == {"green"}
    assert "0 changes, digest" in nothing.text


def test_bundles(farm: Path, shell: "RunCommand", terminal: "RunOnTerminal") -> None:
    whole = terminal("bundle", "verify", "a.zip")
    assert whole.lines[0] == "a.zip: intact"
    assert whole.colours("a.zip:") == {"green"}
    assert "missing" in whole.text
    diff = terminal("bundle", "diff", "a.zip", "b.zip")
    assert {diff.cells[y][0].fg for y, line in enumerate(diff.lines) if line == "changed f5/as3.json"} == {"brown"}
    assert 'spec balancer.slow_start: "30s" -> "91s"' in diff.lines
    removed, added = (next(line for line in diff.lines if re.match(rf"\{sign} .*slowRamp", line)) for sign in "-+")
    assert {diff.cells[diff.lines.index(removed)][0].fg, diff.cells[diff.lines.index(added)][0].fg} == {"red", "green"}
    # Lines of files can be copied as they are.
    plain = shell("bundle", "diff", "a.zip", "b.zip", env=PLAIN).out.splitlines()
    assert {line for line in plain if line[:1] in {"+", "-", " "}} <= set(diff.text.splitlines())
    same = terminal("bundle", "diff", "a.zip", "a.zip")
    assert (same.code, same.sent) == (0, "")


def test_problems_are_indented_below_their_location(farm: Path, terminal: "RunOnTerminal") -> None:
    wrong = {"farm": "[red]a\x1b[31m", "orchestrator": {"version": "2019.4"}, "nodes": []}
    (farm / "wrong.yaml").write_text(json.dumps(wrong), "utf-8")
    shown = terminal("-q", "check", "-s", "wrong.yaml", columns=60)
    assert shown.code == 3
    starts = {line[:2] for line in shown.lines if line}
    assert starts == {"wr", "  ", " 1"}
    assert shown.lines[0].startswith("wrong.yaml:1:1: frontend: is missing")
    assert {shown.cells[y][x].fg for x, y in ((0, 0), (30, 0))} == {"red"}


# Foreign text


def test_text_of_nodes_is_not_interpreted_as_markup(farm: Path, terminal: "RunOnTerminal") -> None:
    config = farm / "inputs/orch-1/web.config"
    text = config.read_text("utf-8")
    foreign = "[bold red]RootPath[/] :boom: \u202eevil&#x9b;31m"
    text = re.sub(r'(key="Storage.Location" value=)"[^"]*"', lambda found: f'{found[1]}"{foreign}"', text)
    (farm / "foreign.config").write_text(text, "utf-8")
    for columns in COLUMNS:
        shown = terminal("nodes", "audit", config, "foreign.config", columns=columns)
        assert "[bold" in shown.text
        assert ":boom:" in shown.text
        assert not set("\u202e\x9b") & set(shown.text)
        assert re.search(r"\\u202e", re.sub(r"\s+", "", shown.text))


class Tty(io.StringIO):
    """A terminal without a descriptor."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Tty:
    for name in ("COLUMNS", *PLAIN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return Tty()


@pytest.mark.parametrize("columns", ["20", "60", "200"])
def test_control_characters_of_inputs_are_not_printed(columns: str, tty: Tty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")
    foreign = "".join(map(chr, [*range(32), *range(127, 160), 0x2028, 0x202E, 0x2066, 0xDC80]))
    blocks: list[Block] = [
        Line(foreign),
        Line(f"a{foreign}", hang=None),
        Table([Cell(foreign)], [[Cell(foreign, note=foreign)]]),
    ]
    shown = tables.drawn(
        [*blocks, Table([Cell("a"), Cell("b" * 99)], [[Cell(foreign), Cell(foreign)]])], tty, colours=False
    )
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert r"\x1b" in shown.replace("\n", "").replace(" ", "")


@pytest.mark.no_cover  # other tests reach the same lines
def test_table_uses_the_width_of_the_terminal(
    tty: Tty, monkeypatch: pytest.MonkeyPatch, farm: Path, terminal: "RunOnTerminal"
) -> None:
    wide = [Line("word " * 60)]
    assert max(map(len, tables.drawn(wide, tty, colours=True).splitlines())) in range(70, 81)
    for told, most in (("0", 80), ("-5", 80), ("many", 80), ("50", 50), ("3", 20)):
        monkeypatch.setenv("COLUMNS", told)
        assert max(map(len, tables.drawn(wide, tty, colours=True).splitlines())) in range(most - 8, most + 1)
    shown = terminal("-q", "vendors", columns=140, env={"COLUMNS": "60"})
    assert "─" * 60 in shown.lines
    assert shown.lines == terminal("-q", "vendors", columns=140, env={"COLUMNS": "60"}).lines


def test_a_terminal_without_unicode_gets_dashes(terminal: "RunOnTerminal") -> None:
    shown = terminal("vendors", env={"PYTHONIOENCODING": "ascii"})
    assert "-" * 80 in shown.lines
    assert "u2500" not in shown.text


# The layout

WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x9FFF), max_size=50)


@pytest.mark.parametrize("noted", [False, True])
@given(rows=st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=5), room=st.integers(20, 100))
def test_drawn_table_fits_and_keeps_every_word(noted: bool, rows: list[tuple[str, str, str]], room: int) -> None:
    from rich.cells import cell_len

    table = Table(
        [Cell("")] * 3,
        [[Cell(text, note=row[-index] if noted else "") for index, text in enumerate(row)] for row in rows],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(room))
        shown = tables.drawn([table], Tty(), colours=False)
    written = [legible(text) for row in table.rows for cell in row for text in (cell.text, cell.note)]
    assert sorted("".join("".join(written).split())) == sorted("".join(shown.split()))
    if room >= 3 * tables.LONGEST_WORD + 4:  # below, rows may become lines that the terminal itself wraps
        assert all(cell_len(line.rstrip()) <= room for line in shown.splitlines())
    short = {word for text in written for word in text.split() if cell_len(word) <= tables.LONGEST_WORD}
    assert short <= set(shown.split())
