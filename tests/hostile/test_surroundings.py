"""Every command gives the same result in odd surroundings: another locale, a dumb or narrow terminal, `python -O`,
no home folder, and a user without rights."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from .conftest import CHECKOUT, COUNT, PASSWORDS

COMMANDS = {
    "check": ("check",),
    "render": ("render", "all", "--no-validate"),
    "plan": ("nodes", "plan"),
    "audit": ("nodes", "audit"),
    "keys": ("nodes", "keys"),
    "topology": ("topology", "--format", "ascii"),
    "report": ("report",),
    "bundle": ("bundle", "export", "--no-validate"),
    "ansible": ("export", "ansible", "--vendor", "haproxy", "--balancer", "10.20.0.2", "-o", "rollout"),
    "vendors": ("vendors",),
    "schema": ("schema",),
    "completion": ("completion", "bash"),
    "help": ("--help",),
    "unknown": ("chekc",),
    "push": ("push", "zen", "--help"),
}
ODD: Mapping[str, dict[str, str | None]] = {
    "ascii": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "dumb": {"TERM": "dumb"},
    "no-terminal-type": {"TERM": None},
    "narrow": {"COLUMNS": "20"},
    "homeless": {"HOME": None, "XDG_CONFIG_HOME": None, "XDG_CACHE_HOME": None},
    "home-missing": {"HOME": "/nonexistent"},
    "optimized": {"PYTHONOPTIMIZE": "1"},
    "no-path": {"PATH": ""},
}
posix = pytest.mark.skipif(not hasattr(os, "setuid"), reason="POSIX users")


def run(args: tuple[str, ...], folder: Path, changes: Mapping[str, str | None]) -> subprocess.CompletedProcess[bytes]:
    around = {**os.environ, **PASSWORDS, "COLUMNS": "100", "LC_ALL": "C.UTF-8"}
    env = {name: value for name, value in {**around, **changes}.items() if value is not None}
    return subprocess.run(
        [sys.executable, "-m", "nlbgen", *args], cwd=folder, env=env, capture_output=True, check=False, timeout=60
    )


def written(folder: Path) -> dict[str, str]:
    """The digest of each file below the folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def words(output: bytes) -> str:
    """The words of an output: where its lines are wrapped, and the escapes of a locale, do not matter."""
    text = output.decode("utf-8")
    text = re.sub(r"\\u([0-9a-f]{4})|\\x([0-9a-f]{2})", lambda found: chr(int(found[1] or found[2], 16)), text)
    return "".join(text.split()).replace("-", "")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_result_does_not_depend_on_the_surroundings(command: str, farm: Path, tmp_path: Path) -> None:
    """`make test` tries two surroundings with each command, `make hostile` all."""
    normal = run(COMMANDS[command], farm, {})
    assert normal.returncode in {0, 1, 2}, normal.stderr
    expected = written(farm)
    first = list(COMMANDS).index(command)
    for name, changes in (list(ODD.items()) * 2)[first % len(ODD) :][: len(ODD) if COUNT > 100 else 2]:
        odd = Path(shutil.copytree(CHECKOUT / "examples", tmp_path / name / "farm"))
        ran = run(COMMANDS[command], odd, changes)
        assert b"Traceback" not in ran.stderr, (name, ran.stderr)
        assert ran.returncode == normal.returncode, (name, ran.stderr)
        assert written(odd) == expected, name
        ran.stdout.decode("ascii" if name == "ascii" else "utf-8")
        if name != "narrow" or command not in {"help", "push", "unknown"}:
            assert words(ran.stdout) == words(normal.stdout), name


@pytest.mark.parametrize("command", ["render", "report", "bundle", "plan"])
def test_missing_temporary_folder_is_no_internal_error(command: str, farm: Path) -> None:
    ran = run(COMMANDS[command], farm, {"TMPDIR": "/nonexistent"})
    assert b"Traceback" not in ran.stderr
    assert ran.returncode in {0, 1}


UNPRIVILEGED = """
import contextlib, io, os, sys
from nlbgen import cli

folder, *arguments = sys.argv[1:]
sys.argv = ["nlbgen", *arguments]
# The first run, with rights, imports what the second one may not be able to read.
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())) as out:
    with contextlib.redirect_stderr(out):
        cli.main()
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
os.chdir(folder)
cli.main()
"""


def run_unprivileged(args: tuple[str, ...], warm: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a user that owns nothing: in `folder`, after a run with rights in `warm`."""
    return subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, str(folder), *args],
        cwd=warm,
        env={**os.environ, **PASSWORDS, "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@posix
@pytest.mark.parametrize("command", ["check", "render", "keys", "topology", "report", "bundle", "ansible"])
def test_user_without_rights_reads_but_writes_nothing(command: str, farm: Path) -> None:
    """The folder belongs to somebody else, and so does the home folder."""
    with tempfile.TemporaryDirectory() as name:
        theirs = Path(shutil.copytree(farm, Path(name) / "farm"))
        Path(name).chmod(0o755)
        for path in theirs.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        theirs.chmod(0o755)
        before = written(theirs)
        ran = run_unprivileged(COMMANDS[command], farm, theirs)
        assert "Traceback" not in ran.stderr, ran.stderr
        assert written(theirs) == before
    if command in {"check", "keys", "topology"}:
        assert ran.returncode == 0, ran.stderr
    else:
        assert ran.returncode == 1
        assert "Permission denied" in ran.stderr


@posix
def test_apply_by_a_user_without_rights_changes_no_file(farm: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        theirs = Path(shutil.copytree(farm, Path(name) / "farm"))
        Path(name).chmod(0o755)
        before = written(theirs)
        ran = run_unprivileged(("nodes", "apply", "--yes"), farm, theirs)
        assert written(theirs) == before
    assert ran.returncode in {1, 5}
    assert "Traceback" not in ran.stderr
    assert "Permission denied" in ran.stderr
