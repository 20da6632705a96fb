"""Completion, driven by the shells themselves: a line is typed, the tab key pressed, and the line read back."""

import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from nlbgen.cli import COMMANDS
from nlbgen.generators.base import VENDORS
from tests.nodes.powershell_rules import broken

if TYPE_CHECKING:
    from tests.conftest import RunCommand

SCRIPTS = Path(sys.executable).parent
LIMIT_SECONDS = 60
SHELLS = ("bash", "zsh", "fish", "powershell")
NAMES = (*VENDORS, "nodes", "upgrade", "monitoring", "all")


# What nlbgen answers to a shell


@pytest.mark.parametrize("name", SHELLS)
def test_completion_script(name: str, cli: "RunCommand") -> None:
    ran = cli("completion", name)
    assert (ran.code, ran.err) == (0, "")
    assert re.search(f"_NLBGEN_COMPLETE ?= ?'?{name}_complete", ran.out)
    if name != "powershell" and (program := shutil.which(name)):
        subprocess.run([program, "-n"], input=ran.out, text=True, check=True)


@pytest.fixture
def asked(shell: "RunCommand") -> Callable[[str, str], set[str]]:
    """What nlbgen completes the last word of a line to, in the words of a shell's own script."""

    def ask(name: str, line: str) -> set[str]:
        words = line.split(" ")
        env = {"_NLBGEN_COMPLETE": f"{name}_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        if name in {"fish", "powershell"}:  # they hand the word itself over
            env["COMP_CWORD"] = words[-1]
        if name == "powershell":
            env["COMP_WORDS"] = "\n".join(words[:-1])
        ran = shell(env=env)
        assert (ran.code, ran.err) == (0, "")
        if name == "powershell":  # kind, word, help
            return {line.split("\t")[1] for line in ran.out.splitlines() if line.startswith("plain\t")}
        if name == "zsh":  # three lines for each: kind, word, description
            return set(ran.out.splitlines()[1::3])
        return {re.split(r"[\t,]", line.partition(",")[2])[0] for line in ran.out.splitlines() if "," in line}

    return ask


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize(
    "line, expected",
    [
        ("nlbgen ", set(COMMANDS)),
        ("nlbgen re", {"render", "report"}),
        ("nlbgen init --tls ", {"bridge", "terminate", "passthrough", "none"}),
        ("nlbgen --q", {"--quiet"}),
        ("nlbgen -q ch", {"check"}),
        ("nlbgen render --no", {"--no-validate"}),
        ("nlbgen check --format ", {"text", "json", "github"}),
        ("nlbgen completion z", {"zsh"}),
        ("nlbgen vendors n", {"nginx"}),
        ("nlbgen nodes a", {"apply", "audit"}),
        ("nlbgen push f5 --dr", {"--dry-run"}),
        ("nlbgen render ", set(NAMES)),
        ("nlbgen render ha", {"haproxy"}),
        ("nlbgen render haproxy ng", {"nginx"}),
        ("nlbgen render haproxy h", set()),
        ("nlbgen render --diff no", {"nodes"}),
        ("nlbgen drift n", {"nginx", "nodes"}),
        ("nlbgen drift nginx n", {"nodes"}),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_completion_offers_matching_words(
    name: str, line: str, expected: set[str], asked: "Callable[[str, str], set[str]]"
) -> None:
    assert asked(name, line) == expected


def test_completion_for_powershell_has_kind_word_and_help_in_one_line(cli: "RunCommand") -> None:
    env = {"_NLBGEN_COMPLETE": "powershell_complete", "COMP_WORDS": "nlbgen", "COMP_CWORD": "ch"}
    assert cli(env=env).out == "plain\tcheck\tList all errors and warnings of a spec.\n"
    # A name of a file: PowerShell completes it itself.
    for line, word in (("nlbgen\ncheck\n-s", "my farm"), ("nlbgen\nrender\n-o", "")):
        assert cli(env={**env, "COMP_WORDS": line, "COMP_CWORD": word}).out.partition("\t")[0] in {"file", "dir", ""}


def test_completion_script_for_powershell_breaks_no_rule(cli: "RunCommand") -> None:
    """Read by its syntax tree: no PowerShell runs here."""
    script = cli("completion", "powershell").out
    assert broken(script.encode()) == []
    assert "-CommandName 'nlbgen', 'nlbgen.exe'" in script
    assert "& 'nlbgen'" in script
    assert script.isascii()
    assert not re.search(r"\?\?|\? .* : |&&|\|\|", script), "the syntax of PowerShell 7 only"
    # It removes what it sets in the session of the user.
    assert len(re.findall(r"\$env:\w+ = ''", script)) == 3


# What the shells make of it

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX terminals and shells")


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed")


def environment(folder: Path) -> dict[str, str]:
    """No settings but ours: neither the user's nor any completions of this machine."""
    path = os.pathsep.join([str(SCRIPTS), os.environ.get("PATH", "")])
    return {
        "PATH": path,
        "HOME": str(folder),
        "TERM": "vt100",
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "200",
        "LINES": "50",
        "PS1": "$ ",
    }


START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(nlbgen completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -U compinit && compinit -D -u; eval "$(nlbgen completion zsh)"'),
}
TO_THE_BEGINNING = "\x01"
READY = "ready for nlbgen"


class Typed:
    """An interactive shell on a terminal of its own, with nlbgen's completion loaded as its page says."""

    def __init__(self, name: str, folder: Path) -> None:
        import pty

        command, load = START[name]
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(folder),
            start_new_session=True,
        )
        os.close(slave)
        self._type(f"{load}; shown() {{ printf '<%s>' \"$@\"; echo '<end>'; }}; printf '%s %s\\n' 'ready for' nlbgen\n")
        self._shown(re.escape(READY))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def _type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def _shown(self, pattern: str) -> str:
        """What the terminal shows, once it matches."""
        until = time.monotonic() + LIMIT_SECONDS
        text = ""
        while not (found := re.search(pattern, text)):
            ready, _, _ = select.select([self._master], [], [], max(0, until - time.monotonic()))
            assert ready, f"it shows only {text!r}"
            text += os.read(self._master, 4096).decode()
        return found[0]

    def completed(self, line: str) -> list[str]:
        """The words of a line after its last one was completed: the shell itself prints them instead of running it."""
        self._type(f"{line}\t{TO_THE_BEGINNING}shown \r")
        return re.findall(r"<([^<>]+)>", self._shown(r"<nlbgen>(?:<[^<>]+>)*<end>"))[:-1]


COMPLETED = {
    "nlbgen rend": ["nlbgen", "render"],
    "nlbgen render ha": ["nlbgen", "render", "haproxy"],
    "nlbgen render haproxy --no-v": ["nlbgen", "render", "haproxy", "--no-validate"],
    "nlbgen nodes pl": ["nlbgen", "nodes", "plan"],
    "nlbgen check -s mine": ["nlbgen", "check", "-s", "mine.yaml"],
    "nlbgen check --format gi": ["nlbgen", "check", "--format", "github"],
}


@posix
@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in START])
def test_tab_key_completes_in_the_shell(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").touch()
    with Typed(name, tmp_path) as shell:
        assert {line: shell.completed(line) for line in COMPLETED} == COMPLETED


@posix
@needs("fish")
def test_fish_completes(tmp_path: Path) -> None:
    """Return the completions of fish, without a terminal."""
    (tmp_path / "mine.yaml").touch()
    for line, words in COMPLETED.items():
        script = f"nlbgen completion fish | source; complete -C '{line}'"
        done = subprocess.run(
            ["fish", "--no-config", "-c", script],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=True,
        )
        assert (done.stdout.partition("\t")[0].strip(), done.stderr) == (words[-1], ""), line
