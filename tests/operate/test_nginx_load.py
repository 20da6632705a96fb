"""The script that installs and loads a configuration of NGINX, with a simulated NGINX: what stays after a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nlbgen.core.errors import DeviceError
from nlbgen.operate.nginx import Nginx, Paths
from nlbgen.operate.shell import LocalShell
from nlbgen.spec.load import loads

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="NGINX's host has a POSIX shell")

SPEC = loads("""
farm: site
frontend: {host: orchestrator.corp.example, address: 10.20.0.10}
nodes: [{name: orch-1, address: 10.20.1.1}, {name: orch-2, address: 10.20.1.2}]
nginx: {version: "1.26"}
accept: [nginx-active-health, nginx-affinity-cookie, nginx-affinity-signalr, nginx-queue, nginx-slow-start]
""")
OLD = "old\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an nginx.conf that only its owner may read."""
    (tmp_path / "nginx.conf").write_text(OLD, encoding="utf-8")
    (tmp_path / "nginx.conf").chmod(0o600)
    (tmp_path / "pid").write_text(f"{os.getpid()}\n", encoding="utf-8")
    return tmp_path


def load(folder: Path, *, program: str = "true", reload: str = "true") -> None:
    """Load the text `new`; a worker of the simulated NGINX is this test's shell."""
    paths = Paths(str(folder / "nginx.conf"), program, str(folder / "pid"), (reload,))
    digest = subprocess.run(["sha256sum", folder / "nginx.conf"], capture_output=True, text=True, check=True).stdout
    Nginx(SPEC, LocalShell(), paths)._load("new\n", digest.split()[0])


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("pending", [False, True])
def test_file_that_cannot_be_written_leaves_nothing_behind(folder: Path, pending: bool) -> None:
    """The marker of an earlier change stays, and no new marker reports a change that did not happen."""
    (folder / "nginx.conf.nlbgen-old").mkdir()
    (folder / "nginx.conf.nlbgen-old" / "nginx.conf").mkdir()
    if pending:
        (folder / "nginx.conf.pending-nlbgen").write_text("reload\n", encoding="utf-8")
    before = files(folder)
    with pytest.raises(DeviceError, match="a file cannot be written") as refused:
        load(folder)
    assert "free space" in str(refused.value.hint)
    assert files(folder) == before


def test_marker_of_a_change_that_did_not_happen_is_removed(folder: Path) -> None:
    (folder / "nginx.conf.pending-nlbgen").mkdir()
    with pytest.raises(DeviceError, match="a file cannot be written"):
        load(folder)
    assert files(folder).keys() == {"nginx.conf", "pid"}


def test_configuration_keeps_its_mode(folder: Path) -> None:
    with pytest.raises(DeviceError, match="the old one was restored"):
        load(folder, reload="false")
    assert (folder / "nginx.conf").stat().st_mode & 0o777 == 0o600
    assert files(folder).keys() == {"nginx.conf", "pid"}
    mode = folder / "mode"
    program = folder / "program"
    program.write_text(f"#!/bin/sh\nstat -c %a {folder}/nginx.conf.nlbgen-new > {mode}\nexit 1\n", encoding="utf-8")
    program.chmod(0o700)
    with pytest.raises(DeviceError, match="NGINX refuses the new configuration; nothing was changed"):
        load(folder, program=str(program))
    assert mode.read_text(encoding="utf-8") == "600\n", "the new file has the mode of the old one"
    assert files(folder)["nginx.conf"] == OLD


def test_second_change_at_the_same_time_is_refused(folder: Path) -> None:
    import fcntl

    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DeviceError, match="another process changed"):
            load(folder)
    finally:
        os.close(held)
    assert files(folder)["nginx.conf"] == OLD
