"""The output of nlbgen: quiet, verbose, in colours; and the imports of a command before its work."""

import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.cli import COMMANDS
from nlbgen.core import activity
from nlbgen.generators.base import known_ids

if TYPE_CHECKING:
    from typing import Any

    from tests.conftest import RunCommand

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX terminals")
ESCAPE = "\x1b["
NO_COLOUR_OPTIONS = {"NO_COLOR": "", "FORCE_COLOR": "", "CLICOLOR_FORCE": "", "TERM": "xterm"}
LIMIT_SECONDS = 60


@pytest.fixture
def farm(tmp_path: Path, farm_data: "Callable[..., dict[str, Any]]") -> Callable[..., None]:
    """Writes farm.yaml; without changes it has one warning."""

    def write(**changes: object) -> None:
        data = farm_data(**({"stores": {"signalr": "sqlserver"}} | changes))
        (tmp_path / "farm.yaml").write_text(json.dumps(data), encoding="utf-8")

    return write


# --quiet and --verbose


def test_quiet_prints_only_errors(cli: "RunCommand", farm: "Callable[..., None]", tmp_path: Path) -> None:
    farm()
    args = ("render", "haproxy", "--no-validate")
    assert "warning: " in cli(*args).err
    for option in ("-q", "--quiet"):
        ran = cli(option, *args)
        assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert (tmp_path / "outputs/haproxy/haproxy.cfg").exists()
    farm(nodes=[])
    assert cli("-q", *args) == cli(*args)
    assert cli("-q", *args).code == 3


def test_quiet_prints_data(cli: "RunCommand", farm: "Callable[..., None]") -> None:
    farm()
    loud, quiet = cli("check"), cli("-q", "check")
    assert (quiet.code, quiet.out, quiet.err) == (loud.code, loud.out, "")
    assert loud.err == "farm.yaml: 1 warning\n"


def test_quiet_does_not_affect_the_next_run(cli: "RunCommand", farm: "Callable[..., None]") -> None:
    farm()
    assert cli("-q", "check").err == ""
    assert cli("check").err
    assert "No such" in cli("-q", "chekc").err


def test_verbose_lists_read_and_written_files(cli: "RunCommand", farm: "Callable[..., None]", tmp_path: Path) -> None:
    farm()
    args = ("render", "haproxy", "--no-validate")
    first = cli("-v", *args).err
    assert re.findall(r"^file (.*)", first, re.MULTILINE) == [
        "read: farm.yaml",
        *(f"written: outputs/haproxy/{name}" for name in ("INSTALL.md", "certificate-hook", "haproxy.cfg")),
        "written: outputs/haproxy/haproxy.service.d/nlbgen.conf",
        *(f"written: outputs/haproxy/{name}" for name in ("nlbgen-haproxy", "nlbgen-haproxy.service")),
    ]
    again = cli("--verbose", *args).err
    assert "file read: outputs/haproxy/haproxy.cfg\n" in again
    assert "file written" not in again
    plain = cli(*args)
    assert [line for line in again.splitlines() if not line.startswith("file ")] == plain.err.splitlines()
    assert cli("-v", "render", "haproxy", "--stdout", "--no-validate").out.startswith("# HAProxy")


@pytest.mark.haproxy
def test_verbose_lists_the_programs_that_run(cli: "RunCommand", farm: "Callable[..., None]") -> None:
    farm()
    said = cli("-v", "render", "haproxy", env={"PATH": f"{os.environ['PATH']}:/usr/sbin"}).err
    assert re.search(r"^program run: \S*haproxy -c -f \S+", said, re.MULTILINE) or "the spec says" in said


def test_verbose_names_the_file_of_a_secret_but_not_the_secret(
    cli: "RunCommand", farm: "Callable[..., None]", tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("hunter2", encoding="utf-8")
    farm(
        zen={"api": "https://127.0.0.1:1", "key": {"file": str(tmp_path / "password")}},
        frontend={"address": "10.0.0.1"},
        accept=sorted(known_ids()),
    )
    ran = cli("-v", "push", "zen", "--dry-run")
    assert f"file read: {tmp_path / 'password'}\n" in ran.err
    assert "request to the device: " in ran.err
    assert ran.code == 6
    assert "hunter2" not in ran.out + ran.err


def test_quiet_and_verbose_exclude_each_other(cli: "RunCommand") -> None:
    ran = cli("-q", "-v", "check")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("nlbgen: --quiet and --verbose cannot be combined\n")


def test_activity_without_verbose_has_no_listener() -> None:
    heard: list[str] = []
    activity.listen(heard.append)
    activity.note("one")
    activity.listen(None)
    activity.note("two")
    assert heard == ["one"]


# What a refused spec means


@pytest.mark.parametrize(
    "args, meaning",
    [
        (["render", "haproxy"], "nothing was written"),
        (["nodes", "keys"], "no keys were listed"),
        (["nodes", "plan"], "nothing was planned"),
        (["nodes", "apply"], "nothing was written"),
        (["nodes", "audit"], "nothing was compared"),
        (["push", "zen"], "the device was not changed"),
        (["push", "f5"], "the device was not changed"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_refusal_text_fits_the_command(
    args: list[str], meaning: str, cli: "RunCommand", farm: "Callable[..., None]"
) -> None:
    farm(nodes=[])
    ran = cli(*args)
    assert ran.code == 3
    assert re.fullmatch(rf"nlbgen: \d errors?(?: and \d warnings?)?; {meaning}", ran.err.splitlines()[-1])


# Colours


def on_a_terminal(folder: Path, *args: str, env: dict[str, str] | None = None) -> str:
    """What a command shows on a terminal."""
    import pty

    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "nlbgen", *args],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        env={**os.environ, **NO_COLOUR_OPTIONS, "COLUMNS": "200", **(env or {})},
    ) as process:
        os.close(slave)
        shown = b""
        while select.select([master], [], [], LIMIT_SECONDS)[0]:
            try:
                part = os.read(master, 4096)
            except OSError:  # Linux reports this when the other side has closed
                part = b""
            if not part:
                break
            shown += part
        process.wait(LIMIT_SECONDS)
    os.close(master)
    return without_links(shown.decode().replace("\r\n", "\n"))


def without_links(text: str) -> str:
    """The text without the hyperlinks (OSC 8), and with one colour where a link divides it."""
    return re.sub(r"\x1b\]8;[^\x1b]*\x1b\\", "", text).replace("\x1b[0m\x1b[31m", "").replace("\x1b[0m\x1b[33m", "")


@posix
def test_terminals_show_colours(tmp_path: Path, farm: "Callable[..., None]") -> None:
    farm()
    said = on_a_terminal(tmp_path, "render", "haproxy", "--no-validate")
    assert re.search(r"^\x1b\[33mfarm\.yaml:\d+:\d+: warning: .*\x1b\[0m$", said, re.MULTILINE)
    assert re.search(r"^ {4}\x1b\[2m.*\x1b\[0m$", said, re.MULTILINE)
    assert "\nwrote outputs/haproxy/haproxy.cfg" in said
    farm(nodes=[])
    for command in (["render", "haproxy"], ["check"]):
        said = on_a_terminal(tmp_path, *command)
        assert re.search(r"^\x1b\[31mfarm\.yaml:\d+:\d+: nodes: .*\x1b\[0m$", said, re.MULTILINE)
    assert "\n\x1b[31mError: No such command" in on_a_terminal(tmp_path, "chekc")
    assert ESCAPE not in on_a_terminal(tmp_path, "schema")


@posix
@pytest.mark.parametrize(
    "env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}], ids=" ".join
)
def test_terminal_without_wanted_colours_is_plain(
    env: dict[str, str], tmp_path: Path, farm: "Callable[..., None]"
) -> None:
    farm(nodes=[])
    said = on_a_terminal(tmp_path, "check", env=env)
    assert "nodes: " in said
    assert ESCAPE not in said


@pytest.mark.parametrize("forced_by", [{"FORCE_COLOR": "1"}, {"CLICOLOR_FORCE": "1"}], ids=" ".join)
def test_pipes_are_plain_unless_colours_are_forced(
    forced_by: dict[str, str], shell: "RunCommand", farm: "Callable[..., None]"
) -> None:
    farm(nodes=[])
    plain = shell("check", env=NO_COLOUR_OPTIONS)
    assert ESCAPE not in plain.out + plain.err
    forced = shell("check", env={**NO_COLOUR_OPTIONS, **forced_by})
    assert forced.out.startswith(f"{ESCAPE}31mfarm.yaml:")
    assert re.sub(r"\x1b\[\d+m", "", forced.out) == plain.out
    assert shell("check", env={**NO_COLOUR_OPTIONS, **dict.fromkeys(forced_by, "0")}) == plain
    assert json.loads(shell("check", "--format", "json", env={**NO_COLOUR_OPTIONS, **forced_by}).out)


# What a command costs


def imported(*args: str) -> set[str]:
    script = (
        "import sys\nfrom nlbgen.cli import main\n"
        "try:\n    main()\nfinally:\n    print('MODULES', *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script, *args], capture_output=True, text=True, check=False)
    return set(done.stderr.rpartition("MODULES ")[2].split())


SHARED = {"console", "fleets", "lenient"}
"""Modules of `commands/` that are no commands."""
PARTS = {"nodes": {"running"}, "roll": {"running"}}
"""Modules of the commands of a group, which the group imports."""


def own(modules: set[str]) -> set[str]:
    return {name.removeprefix("nlbgen.commands.") for name in modules if name.startswith("nlbgen.commands.")}


def test_help_imports_only_click_and_no_command() -> None:
    modules = imported("--help")
    assert own(modules) <= SHARED
    ours = {name for name in modules if name.partition(".")[0] == "nlbgen" and ".commands." not in name}
    assert ours == {
        "nlbgen",
        "nlbgen.cli",
        "nlbgen.commands",
        "nlbgen.core",
        "nlbgen.core.errors",
        "nlbgen.core.activity",
        "nlbgen.core.interrupts",
        "nlbgen.core.streams",
        "nlbgen.core.wording",
    }
    assert not modules & {"yaml", "jinja2", "lxml", "requests", "cryptography", "aiohttp", "logging", "json"}


@pytest.mark.parametrize("name", COMMANDS)
def test_command_imports_only_its_own_module(name: str) -> None:
    assert own(imported(name, "--help")) - SHARED == {name, *PARTS.get(name, ())}


def test_a_mistyped_command_is_suggested(cli: "RunCommand") -> None:
    ran = cli("rendr")
    assert ran.code == 2
    assert "Error: No such command 'rendr'." in ran.err
