"""Commands without what Windows lacks: POSIX's modules, and functions of `os`. No Windows runs here.

One process hides them before it imports nlbgen, imports all modules, and runs the commands that do not need a lock or
a balancer. Another one runs the commands that take a lock, with `msvcrt` and ReplaceFileW as their documentation
describes them, and with the rule that Windows neither removes nor renames an open file.
"""

import errno
import json
import ntpath
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, cast

import pytest

from nlbgen.core.annotations import annotation
from nlbgen.core.errors import FileError, Location
from nlbgen.core.files import relative, write_atomically
from nlbgen.lint.formats import sarif
from nlbgen.nodes.config.effective import local

if TYPE_CHECKING:
    from tests.conftest import RunCommand

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "farm.yaml"

HIDDEN = ("fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty", "uvloop")
"""The modules that Python for Windows lacks, and uvloop, which has no build for it."""
ABSENT = (
    *("chown", "fchmod", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getgroups", "getloadavg"),
    *("getpgid", "getpgrp", "getsid", "getuid", "killpg", "lchown", "mkfifo", "nice", "openpty", "pread", "pwrite"),
    *("sched_getaffinity", "setgid", "setpgid", "setsid", "setuid", "sysconf", "uname", "wait3", "wait4"),
)
"""The functions of `os` that Windows lacks."""
COMMANDS = (
    ("check",),
    ("check", "--format", "json"),
    ("render", "haproxy", "nginx", "f5", "zen", "nodes", "--no-validate"),
    ("render", "monitoring"),
    ("render", "upgrade"),
    ("render", "haproxy", "--diff", "--no-validate"),
    ("report", "-o", "report.html"),
    ("topology",),
    ("vendors",),
    ("schema",),
    ("explain", "signalr-sql-lag"),
    ("lint", "outputs/haproxy/haproxy.cfg"),
    ("export", "ansible", "--vendor", "haproxy", "-o", "rollout"),
    ("completion", "powershell"),
    ("prove", "--help"),
)
CHILD = """
import contextlib, importlib, io, json, os, pkgutil, sys
hidden, absent, commands = json.loads(sys.argv[1])
import asyncio, ctypes, multiprocessing, pathlib, platform, shutil, ssl, subprocess, tempfile
sys.modules.update(dict.fromkeys(hidden))
for name in absent:
    if hasattr(os, name):
        delattr(os, name)
import nlbgen
for module in pkgutil.walk_packages(nlbgen.__path__, "nlbgen."):
    if module.name.split(".")[1] not in {"tests", "benchmarks", "build", "__main__", "outputs"}:
        importlib.import_module(module.name)
from nlbgen.cli import main
found = []
for words in commands:
    sys.argv = ["nlbgen", *words]
    out, err, code = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as done:
            code = done.code or 0
    found.append([words, code, err.getvalue()])
print(json.dumps(found))
"""


def test_modules_and_commands_need_nothing_that_windows_lacks(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE.parent, tmp_path, dirs_exist_ok=True)
    (tmp_path / "farm.yaml").write_bytes(EXAMPLE.read_bytes().replace(b"\n", b"\r\n"))  # as an editor on Windows
    child = [sys.executable, "-c", CHILD, json.dumps([HIDDEN, ABSENT, COMMANDS])]
    done = subprocess.run(
        child,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    for words, code, errors in json.loads(done.stdout):
        assert code == 0, (words, code, errors)
    made = tmp_path / "outputs" / "haproxy" / "haproxy.cfg"
    assert b"\r" not in made.read_bytes(), "files for Linux have the line ends of Linux"
    assert made.read_bytes() == (ROOT / "outputs" / "example" / "haproxy" / "haproxy.cfg").read_bytes()


# Paths


def on_drives(path: str | os.PathLike[str], start: str | os.PathLike[str]) -> str:
    """`os.path.relpath` of Windows for a path on D: and a folder on C:."""
    return ntpath.relpath(f"D:{path}", f"C:{start}")


def test_init_from_another_drive_names_the_file_by_its_absolute_path(
    tmp_path: Path, cli: "RunCommand", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "relpath", on_drives)
    source = EXAMPLE.parent / "inputs" / "orch-1" / "web.config"
    given = ("--host", "o.example", "--node", "orch-1=10.0.0.1", "--redis", "redis-1.example")
    ran = cli("init", "--from", source, "--yes", *given, "-o", "farm.yaml")
    assert (ran.code, ran.err.count("Traceback")) == (0, 0), ran.err
    assert f"config: {source.resolve().as_posix()}" in (tmp_path / "farm.yaml").read_text(encoding="utf-8")


def test_path_on_another_drive_is_absolute_and_on_the_same_drive_relative(monkeypatch: pytest.MonkeyPatch) -> None:
    assert relative(Path("/farms/one"), Path("/farms/two/ansible")) == "../../one"
    monkeypatch.setattr(os.path, "relpath", on_drives)
    assert relative(Path("/farms/one"), Path("/farms/two/ansible")) == Path("/farms/one").resolve().as_posix()


@pytest.mark.parametrize(
    "first, second, same",
    [
        (r"C:\Orchestrator\web.config", r"c:/orchestrator/WEB.config", True),
        (r"\\orch-1\c$\Orchestrator\web.config", r"\\ORCH-1\C$\Orchestrator\.\web.config", True),
        (r"\\orch-1\c$\Orchestrator\web.config", r"\\orch-2\c$\Orchestrator\web.config", False),
        (r"inputs\orch-1\web.config", "inputs/orch-1/web.config", True),
        ("inputs/orch-1/web.config", "inputs/ORCH-1/web.config", False),  # two files on Linux
    ],
)
def test_two_nodes_with_the_same_file_are_an_error_also_for_paths_of_windows(
    first: str, second: str, same: bool, tmp_path: Path, cli: "RunCommand"
) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    for number, path in (("1", first), ("2", second)):
        text = text.replace(f"config: inputs/orch-{number}/web.config", f"config: '{path}'")
    (tmp_path / "farm.yaml").write_text(text, encoding="utf-8")
    ran = cli("check")
    assert (f"nodes[1].config: {second} is also the config of orch-1 [node-configs]" in ran.out) is same, ran.out


class Existing(PureWindowsPath):
    """A path of Windows whose file exists."""

    def exists(self) -> bool:
        return True


@pytest.mark.parametrize(
    "text, path",
    [
        (r"inputs\orch-1\web.config", r"C:\farms\inputs\orch-1\web.config"),
        ("inputs/orch-1/web.config", r"C:\farms\inputs\orch-1\web.config"),
        (r"D:\Orchestrator\web.config", r"D:\Orchestrator\web.config"),
        (r"\\orch-1\c$\web.config", r"\\orch-1\c$\web.config"),
        (r"\Orchestrator\web.config", r"C:\Orchestrator\web.config"),
    ],
)
def test_config_of_a_node_on_windows_is_relative_to_the_spec_or_absolute(text: str, path: str) -> None:
    assert str(local(cast("Path", Existing("C:\\farms")), text)) == path


def test_location_with_a_drive_is_escaped_in_an_annotation_and_a_uri_in_sarif(monkeypatch: pytest.MonkeyPatch) -> None:
    location = Location("C:\\my farms\\haproxy.cfg", 3, 9)
    assert str(location) == "C:\\my farms\\haproxy.cfg:3:9"
    assert annotation("error", location, "t", "m").startswith("::error file=C%3A\\my farms\\haproxy.cfg,line=3,col=9,")
    monkeypatch.setattr(sarif, "PurePath", PureWindowsPath)
    assert [sarif._uri(name) for name in (location.file, r"\\lb-1\etc\haproxy.cfg", r"my farms\haproxy.cfg")] == [
        "file:///C:/my%20farms/haproxy.cfg",
        "file://lb-1/etc/haproxy.cfg",
        "my%20farms/haproxy.cfg",
    ]


@pytest.mark.parametrize("name", ["CON", "nul", "Com1", "lpt9", "aux.one", "orch-1."])
def test_name_of_a_node_that_windows_does_not_allow_for_a_folder_is_an_error(
    name: str, tmp_path: Path, cli: "RunCommand"
) -> None:
    (tmp_path / "farm.yaml").write_text(EXAMPLE.read_text("utf-8").replace("name: orch-2", f"name: {name}"), "utf-8")
    ran = cli("check")
    assert ran.code == 3
    assert re.search(
        rf"nodes\[1\]\.name: .*{re.escape(name)}.*(is a device name on|ends with a dot, which) Windows", ran.out
    )


def test_file_whose_path_is_too_long_for_windows_is_an_error_with_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows reports a path with 260 or more characters as one that does not exist."""

    def missing(path: Path, *_more: int) -> int:
        raise FileNotFoundError(errno.ENOENT, "The system cannot find the path specified", str(path))

    monkeypatch.setattr(os, "open", missing)
    folder = tmp_path / ("f" * 200)
    with pytest.raises(FileError) as raised:
        write_atomically(folder / ("n" * 40), b"")
    assert re.search(r"too long: .* it has \d{3} characters, and Windows allows 259 ", raised.value.hint or "")
    with pytest.raises(FileError) as raised:
        write_atomically(Path("short"), b"")
    assert "too long" not in (raised.value.hint or "")


# Consoles


def test_json_is_the_same_in_the_encoding_of_a_console(tmp_path: Path) -> None:
    """cp1250 has no ñ, and PowerShell decodes what cp1252 would write with yet another encoding."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("name: orch-2", "name: ñ\U0001f600")
    (tmp_path / "farm.yaml").write_text(text, encoding="utf-8")
    outputs = []
    for encoding in ("utf-8", "cp1250"):
        words = [sys.executable, "-m", "nlbgen", "check", "--format", "json"]
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        outputs.append(subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, check=False).stdout)
    assert outputs[0] == outputs[1]
    assert "ñ\U0001f600" in json.loads(outputs[1])[0]["problems"][0]["message"]


# Locks

LOCKING = (
    ("nodes", "apply", "--yes"),
    ("bundle", "extract", "farm.tar.gz", "extracted"),
    (
        "roll",
        "--vendor",
        "haproxy",
        "--local",
        "--yes",
        "--journal",
        "roll.json",
        "--log",
        "events.jsonl",
        "--",
        "reboot",
        "{node}",
    ),
)
LOCKED = ("inputs/orch-1/web.config", "extracted", "roll.json")
"""What each of these commands locks."""
REFUSALS = (
    "inputs/orch-1/web.config: another run of nlbgen is changing this file (process ",
    "extracted: another run of nlbgen is writing this folder (process ",
    "roll.json: another rolling change runs: process ",
)
LOCKING_CHILD = """
import asyncio, contextlib, ctypes, errno, fcntl, io, json, os, shutil, ssl, subprocess, sys, tempfile, types
from pathlib import Path
import click, rich.console
import nlbgen.cli, nlbgen.commands.roll
windows, commands, locked, hidden = json.loads(sys.argv[1])
flock = fcntl.flock
locks_of_msvcrt = []

def locking(descriptor, mode, count):
    # "Locks the specified bytes. If the bytes cannot be locked, raises OSError": LK_NBLCK does not wait.
    assert (mode, count) == (2, 1)
    locks_of_msvcrt.append(os.lseek(descriptor, 0, os.SEEK_CUR))
    try:
        flock(descriptor, fcntl_flags)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None

def opened(path):
    # A file that this process has open cannot be removed or replaced: WinError 32, which is EACCES.
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(int(name)), found):
                return True
    return False

def guarded(original):
    def call(path, *more, **options):
        for one in (path, *more):
            if opened(one) and os.path.isfile(one):
                refused.append(str(one))
                raise PermissionError(errno.EACCES, "the file is used by another process", str(one))
        return original(path, *more, **options)
    return call

def replace_file(replaced, replacement, backup, flags, *reserved):
    assert (backup, flags, reserved) == (None, 0, (None, None))
    assert os.path.isfile(replaced), "ReplaceFileW needs the file that it replaces"
    os.replace(replacement, replaced)
    replacements.append(replaced)
    return 1

fcntl_flags, refused, replacements = fcntl.LOCK_EX | fcntl.LOCK_NB, [], []
if windows:
    sys.platform = "win32"
    sys.modules.update(dict.fromkeys(hidden))
    sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, locking=locking)
    ctypes.windll = types.SimpleNamespace(kernel32=types.SimpleNamespace(ReplaceFileW=replace_file))
    for name in ("unlink", "rename", "replace"):
        setattr(os, name, guarded(getattr(os, name)))
from nlbgen.cli import main
from nlbgen.core import locks

def run(words):
    sys.argv = ["nlbgen", *words]
    out, err, code = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as done:
            code = done.code or 0
    return code, err.getvalue()

found = []
for words, path in zip(commands, locked, strict=True):
    with locks.locked(Path(path).resolve()):
        first = run(words)
    found.append([first, run(words)])
print(json.dumps([found, len(locks_of_msvcrt), refused, replacements]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc has the open files")
@pytest.mark.parametrize("windows", [True, False], ids=["msvcrt", "fcntl"])
@pytest.mark.no_cover  # other tests reach the same lines
def test_commands_that_take_a_lock_run_and_are_refused(tmp_path: Path, cli: "RunCommand", windows: bool) -> None:
    shutil.copytree(EXAMPLE.parent, tmp_path, dirs_exist_ok=True)
    assert cli("bundle", "export", "--vendor", "haproxy", "--no-validate", "-o", "farm.tar.gz").code == 0
    given = json.dumps([windows, LOCKING, LOCKED, HIDDEN])
    environment = {**os.environ, "NO_COLOR": "1", "NLBGEN_REDIS_PASSWORD": "secret"}
    done = subprocess.run(
        [sys.executable, "-c", LOCKING_CHILD, given],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    found, locks_of_msvcrt, refused, replacements = json.loads(done.stdout)
    for (first, second), refusal in zip(found, REFUSALS, strict=True):
        assert first[0] != 0
        assert refusal in first[1]
        assert refusal not in second[1]
    assert [second[0] for _first, second in found] == [0, 0, 6], found[2][1][1]
    assert refused == [], "no open file was removed or replaced"
    assert (locks_of_msvcrt > 0) is windows
    assert len(replacements) == (2 if windows else 0)
    assert list(tmp_path.rglob("*nlbgen-lock")) == []
    assert (tmp_path / "extracted" / "manifest.json").exists()
