"""Commands without what Windows lacks: POSIX's modules, and functions of `os`. No Windows runs here.

One process hides them before it imports nlbgen, imports all modules, and runs the commands that do not need a lock or
a balancer.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

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
