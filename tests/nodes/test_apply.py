"""Changes of the files in place: all or none, each written atomically, with backups, owner and mode."""

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from nlbgen.core.errors import NodeError
from nlbgen.nodes import apply as applying
from nlbgen.nodes import replacing
from nlbgen.nodes.apply import apply
from nlbgen.nodes.planning import FarmPlan, plan_farm
from nlbgen.spec.load import load

if TYPE_CHECKING:
    from tests.conftest import RunCommand

EXAMPLES = Path(__file__).parents[2] / "examples"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NODES = ("orch-1", "orch-2")


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the example farm into a folder of the test."""
    monkeypatch.setenv("NLBGEN_REDIS_PASSWORD", "secret-of-redis")
    copy_farm(tmp_path)
    return tmp_path


def copy_farm(folder: Path) -> None:
    shutil.copytree(EXAMPLES / "inputs", folder / "inputs")
    shutil.copy(EXAMPLES / "farm.yaml", folder / "farm.yaml")


def planned(farm: Path) -> FarmPlan:
    return plan_farm(load(farm / "farm.yaml"))


def paths(farm: Path) -> list[Path]:
    return [farm / "inputs" / node / "web.config" for node in NODES]


def everything(farm: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted((farm / "inputs").rglob("*")) if path.is_file()}


def test_apply_writes_the_plan_and_keeps_backups(farm: Path) -> None:
    old = [path.read_bytes() for path in paths(farm)]
    plan = planned(farm)
    written = apply(plan, NOW)
    assert [one.path for one in written] == paths(farm)
    assert [one.backup.read_bytes() for one in written] == old
    assert [one.backup.name for one in written] == ["web.config.20260102-030405.bak"] * 2
    assert [path.read_bytes() for path in paths(farm)] == [content for node in plan.nodes for _, content in node.files]
    assert apply(planned(farm), NOW) == []
    assert len(everything(farm)) == 4


def test_apply_backup_name_taken_takes_the_next_name(farm: Path) -> None:
    taken = farm / "inputs" / "orch-1" / "web.config.20260102-030405.bak"
    taken.write_bytes(b"older")
    written = apply(planned(farm), NOW)
    assert taken.read_bytes() == b"older"
    assert written[0].backup.name == "web.config.20260102-030405-2.bak"


def test_apply_without_hard_links_keeps_backups(farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> NoReturn:
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(os, "link", refuse)
    old = [path.read_bytes() for path in paths(farm)]
    assert [one.backup.read_bytes() for one in apply(planned(farm), NOW)] == old


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_apply_any_umask_keeps_the_mode(farm: Path, mode: int) -> None:
    path = paths(farm)[0]
    path.chmod(mode)
    before = os.umask(0o077)
    try:
        written = apply(planned(farm), NOW)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert stat.S_IMODE(written[0].backup.stat().st_mode) == mode


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_apply_foreign_owner_keeps_the_owner(farm: Path) -> None:
    path = paths(farm)[0]
    os.chown(path, 1234, 5678)
    written = apply(planned(farm), NOW)
    for one in (path, written[0].backup):
        assert (one.stat().st_uid, one.stat().st_gid) == (1234, 5678)


def test_apply_symlink_replaces_its_target(farm: Path) -> None:
    path = paths(farm)[0]
    real = farm / "real.config"
    path.rename(real)
    path.symlink_to(real)
    written = apply(planned(farm), NOW)
    assert path.is_symlink()
    assert b"SQLServer" in real.read_bytes()
    assert written[0].backup.parent == farm


@pytest.mark.parametrize("which", [0, 1])
def test_apply_file_changed_since_the_plan_changes_nothing(farm: Path, which: int) -> None:
    plan = planned(farm)
    paths(farm)[which].write_bytes(paths(farm)[which].read_bytes() + b"\n")
    before = everything(farm)
    with pytest.raises(NodeError, match="was changed since the plan"):
        apply(plan, NOW)
    assert everything(farm) == before


def test_apply_missing_file_changes_nothing(farm: Path) -> None:
    plan = planned(farm)
    paths(farm)[1].unlink()
    before = everything(farm)
    with pytest.raises(NodeError):
        apply(plan, NOW)
    assert everything(farm) == before


def test_apply_removes_temporary_files_of_a_killed_run(farm: Path) -> None:
    left = farm / "inputs" / "orch-1" / ".web.config.nlbgen-4711.tmp"
    left.write_bytes(b"keys")
    apply(planned(farm), NOW)
    assert not left.exists()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_apply_command_world_readable_file_prints_chmod(cli: "RunCommand", farm: Path, mode: int) -> None:
    for path in paths(farm):
        path.chmod(mode)
    ran = cli("nodes", "apply", "--yes", cwd=farm)
    assert ran.code == 0
    assert ran.err.count("every user of this machine can read the file and its backup (mode 0644)") == (
        2 if mode == 0o644 else 0
    )
    assert ran.err.count("chmod o-rwx") == (2 if mode == 0o644 else 0)


def test_apply_target_is_a_folder_is_an_error(farm: Path) -> None:
    plan = planned(farm)
    paths(farm)[1].unlink()
    paths(farm)[1].mkdir()
    before = everything(farm)
    with pytest.raises(NodeError, match="is not a regular file"):
        apply(plan, NOW)
    assert everything(farm) == before


def test_apply_unreadable_file_without_changes_changes_nothing(farm: Path) -> None:
    apply(planned(farm), NOW)
    second = paths(farm)[1]
    second.write_bytes(second.read_bytes().replace(b'mode="SQLServer"', b'mode="InProc"'))
    plan = planned(farm)
    paths(farm)[0].unlink()
    before = everything(farm)
    with pytest.raises(NodeError, match="cannot be read again"):
        apply(plan, NOW)
    assert everything(farm) == before


def test_apply_no_free_backup_name_changes_nothing(farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "_BACKUPS_A_SECOND", 3)
    for name in ("web.config.20260102-030405.bak", "web.config.20260102-030405-2.bak"):
        (farm / "inputs" / "orch-2" / name).write_bytes(b"older")
    before = everything(farm)
    with pytest.raises(NodeError, match="contains 2 backups of the same second"):
        apply(planned(farm), NOW)
    assert everything(farm) == before


def test_apply_without_hard_links_keeps_older_backups(farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> NoReturn:
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(os, "link", refuse)
    taken = farm / "inputs" / "orch-1" / "web.config.20260102-030405.bak"
    taken.write_bytes(b"older")
    assert apply(planned(farm), NOW)[0].backup.name == "web.config.20260102-030405-2.bak"
    assert taken.read_bytes() == b"older"


@pytest.mark.skipif(sys.platform != "linux", reason="extended attributes of Linux")
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no os.setxattr")
def test_apply_keeps_the_extended_attributes(farm: Path) -> None:
    path = paths(farm)[0]
    try:
        os.setxattr(path, "user.owner", b"infrastructure")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    written = apply(planned(farm), NOW)
    assert os.getxattr(path, "user.owner") == b"infrastructure"
    assert os.getxattr(written[0].backup, "user.owner") == b"infrastructure"


def test_apply_copies_the_extended_attributes_that_can_be_set(farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[tuple[str, bytes]] = []

    def copy(_descriptor: int, name: str, value: bytes) -> None:
        if name == "security.x":
            raise PermissionError(errno.EPERM, "only the system")
        copied.append((name, value))

    monkeypatch.setattr(os, "listxattr", lambda _path: ["security.x", "user.x"])
    monkeypatch.setattr(os, "getxattr", lambda _path, name: name.encode())
    monkeypatch.setattr(os, "setxattr", copy)
    assert len(apply(planned(farm), NOW)) == 2
    assert copied == [("user.x", b"user.x")] * 4


# Each step fails once.

STEPS = ("open", "fsync", "replace", "link", "fchmod")


class Faults:
    """Let the n-th call of a function of `os` fail, and count the calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
        self.calls = 0
        original = getattr(os, name)

        def faulty(*args: object, **kwargs: object) -> object:
            self.calls += 1
            if self.calls == number:
                raise OSError(errno.EIO, "injected")
            return original(*args, **kwargs)

        monkeypatch.setattr(os, name, faulty)


@pytest.mark.parametrize("name", STEPS)
def test_apply_any_step_fails_restores_all_files(farm: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = everything(farm)
    for number in range(1, 50):
        plan = planned(farm)
        with monkeypatch.context() as context:
            faults = Faults(context, name, number)
            try:
                apply(plan, NOW)
            except NodeError as error:
                assert "injected" in str(error)
            else:
                # No failure: the fault was never reached, or the step can do without.
                assert faults.calls < number or name == "link"
                if faults.calls < number:
                    return
                for path in (farm / "inputs").rglob("*"):
                    if path.is_file():
                        path.unlink()
                for written, content in before.items():
                    Path(written).write_bytes(content)
        assert everything(farm) == before, (name, number)
    raise AssertionError("the faults never end")


def test_apply_interrupted_restores_all_files(farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything(farm)
    original = replacing.replace
    calls = []

    def interrupted(new: Path, target: Path) -> None:
        calls.append(target)
        original(new, target)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(applying, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        apply(planned(farm), NOW)
    assert everything(farm) == before


def test_apply_rollback_fails_names_the_backups(farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = replacing.replace
    calls = []

    def broken(new: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) > 1:
            raise OSError(errno.EIO, "injected")
        original(new, target)

    monkeypatch.setattr(applying, "replace", broken)
    with pytest.raises(NodeError, match=r"the rollback failed for: .*web\.config from .*\.bak"):
        apply(planned(farm), NOW)


# Killed at every system call that writes.

RUN = """
import sys
from nlbgen import cli
sys.argv = ["nlbgen", "nodes", "apply", "-s", "farm.yaml", "--yes"]
cli.main()
"""
CALLS = "openat,write,fsync,rename,renameat,renameat2,link,linkat,unlink,fchmod,fchown"


def can_trace() -> bool:
    strace = shutil.which("strace")
    if strace is None or sys.platform != "linux":
        return False
    done = subprocess.run([strace, "-f", "-o", os.devnull, "true"], capture_output=True, check=False)
    return done.returncode == 0


def traced(folder: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["strace", "-f", "-o", str(folder / "trace"), *options, sys.executable, "-c", RUN],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "NLBGEN_REDIS_PASSWORD": "secret-of-redis", "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.mark.slow
@pytest.mark.skipif(not can_trace(), reason="strace cannot trace here")
@pytest.mark.no_cover  # other tests reach the same lines
def test_apply_killed_at_any_system_call_leaves_intact_files(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    copy_farm(whole)
    old = {path.read_bytes() for path in paths(whole)}
    assert traced(whole, "-e", f"trace={CALLS}").returncode == 0
    new = {path.read_bytes() for path in paths(whole)}
    calls = [line.split(maxsplit=1)[1] for line in (whole / "trace").read_text().splitlines() if "(" in line]
    names = [call.partition("(")[0] for call in calls]
    first = next(number for number, call in enumerate(calls) if "nlbgen-" in call)
    last = max(number for number, call in enumerate(calls) if "web.config" in call or call.startswith("fsync"))
    killed = 0
    for number in range(first, last + 1):
        name = names[number]
        if name == "openat" and "O_CREAT" not in calls[number]:
            continue  # only reads
        count = names[: number + 1].count(name)
        folder = tmp_path / f"{number}"
        copy_farm(folder)
        done = traced(folder, "-e", f"trace={CALLS}", "-e", f"inject={name}:signal=KILL:when={count}")
        killed += done.returncode != 0
        for path in paths(folder):
            assert path.read_bytes() in old | new, (number, calls[number])
        for backup in (folder / "inputs").rglob("*.bak"):
            assert backup.read_bytes() in old, (number, calls[number])
        # A second run completes the change and removes the temporary files.
        apply_again(folder)
        assert {path.read_bytes() for path in paths(folder)} == new
        assert not list((folder / "inputs").rglob(".*"))
        shutil.rmtree(folder)
    assert killed > 10


def apply_again(folder: Path) -> None:
    os.environ["NLBGEN_REDIS_PASSWORD"] = "secret-of-redis"
    try:
        apply(planned(folder), NOW)
    finally:
        del os.environ["NLBGEN_REDIS_PASSWORD"]


# The command.


def test_apply_command_expect_accepts_only_the_digest_of_the_plan(cli: "RunCommand", farm: Path) -> None:
    plan = json.loads(cli("nodes", "plan", "--format", "json", cwd=farm).out)
    wrong = cli("nodes", "apply", "--expect", "0" * 64, cwd=farm)
    assert (wrong.code, wrong.out) == (1, "")
    done = cli("nodes", "apply", "--expect", plan["digest"], "--format", "json", cwd=farm)
    assert done.code == 0
    assert json.loads(done.out)["digest"] == plan["digest"]
    assert len(json.loads(done.out)["written"]) == 2
    again = cli("nodes", "apply", cwd=farm)
    assert (again.code, again.out) == (0, "")
    assert "secret-of-redis" not in str(plan) + done.out + done.err + wrong.err
