"""Changing files in place: all or none, whole at any moment, backups kept, rights kept, surprises refused."""

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nlbgen.core.errors import NodeError
from nlbgen.nodes import apply as applying
from nlbgen.nodes.apply import apply
from nlbgen.nodes.planning import plan_farm
from nlbgen.spec.load import load

EXAMPLES = Path(__file__).parents[2] / "examples"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NODES = ("orch-1", "orch-2")


@pytest.fixture
def farm(tmp_path, monkeypatch):
    """The example farm in a folder of its own."""
    monkeypatch.setenv("NLBGEN_REDIS_PASSWORD", "secret-of-redis")
    copy_farm(tmp_path)
    return tmp_path


def copy_farm(folder):
    shutil.copytree(EXAMPLES / "inputs", folder / "inputs")
    shutil.copy(EXAMPLES / "farm.yaml", folder / "farm.yaml")


def planned(farm):
    return plan_farm(load(farm / "farm.yaml"))


def paths(farm):
    return [farm / "inputs" / node / "web.config" for node in NODES]


def contents(farm):
    return {path.name: path.read_bytes() for path in sorted((farm / "inputs").rglob("*")) if path.is_file()}


def everything(farm):
    return {str(path): path.read_bytes() for path in sorted((farm / "inputs").rglob("*")) if path.is_file()}


def test_writes_what_was_planned_and_keeps_the_old_files(farm):
    old = [path.read_bytes() for path in paths(farm)]
    plan = planned(farm)
    written = apply(plan, NOW)
    assert [one.path for one in written] == paths(farm)
    assert [one.backup.read_bytes() for one in written] == old
    assert [one.backup.name for one in written] == ["web.config.20260102-030405.bak"] * 2
    assert [path.read_bytes() for path in paths(farm)] == [content for node in plan.nodes for _, content in node.files]
    assert apply(planned(farm), NOW) == []
    assert len(everything(farm)) == 4


def test_a_backup_is_never_overwritten(farm):
    taken = farm / "inputs" / "orch-1" / "web.config.20260102-030405.bak"
    taken.write_bytes(b"older")
    written = apply(planned(farm), NOW)
    assert taken.read_bytes() == b"older"
    assert written[0].backup.name == "web.config.20260102-030405-2.bak"


def test_without_hard_links_backups_are_kept_as_well(farm, monkeypatch):
    def refuse(*_args):
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(os, "link", refuse)
    old = [path.read_bytes() for path in paths(farm)]
    assert [one.backup.read_bytes() for one in apply(planned(farm), NOW)] == old


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_mode_stays_whatever_the_umask_is(farm, mode):
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
def test_owner_stays(farm):
    path = paths(farm)[0]
    os.chown(path, 1234, 5678)
    written = apply(planned(farm), NOW)
    for one in (path, written[0].backup):
        assert (one.stat().st_uid, one.stat().st_gid) == (1234, 5678)


def test_a_link_stays_a_link(farm):
    path = paths(farm)[0]
    real = farm / "real.config"
    path.rename(real)
    path.symlink_to(real)
    written = apply(planned(farm), NOW)
    assert path.is_symlink()
    assert b"SQLServer" in real.read_bytes()
    assert written[0].backup.parent == farm


@pytest.mark.parametrize("which", [0, 1])
def test_a_file_changed_since_the_plan_is_refused(farm, which):
    plan = planned(farm)
    paths(farm)[which].write_bytes(paths(farm)[which].read_bytes() + b"\n")
    before = everything(farm)
    with pytest.raises(NodeError, match="was changed since the plan"):
        apply(plan, NOW)
    assert everything(farm) == before


def test_a_file_that_vanished_is_refused(farm):
    plan = planned(farm)
    paths(farm)[1].unlink()
    before = everything(farm)
    with pytest.raises(NodeError):
        apply(plan, NOW)
    assert everything(farm) == before


def test_what_a_killed_run_left_is_swept_away(farm):
    left = farm / "inputs" / "orch-1" / ".web.config.nlbgen-4711.tmp"
    left.write_bytes(b"keys")
    apply(planned(farm), NOW)
    assert not left.exists()


# Every step fails once.


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_who_else_may_read_the_keys_is_said(cli, farm, mode):
    for path in paths(farm):
        path.chmod(mode)
    ran = cli("nodes", "apply", "--yes", cwd=farm)
    assert ran.code == 0
    assert ran.err.count("every user of this machine can read it and its backup (mode 0644)") == (
        2 if mode == 0o644 else 0
    )
    assert ran.err.count("chmod o-rwx") == (2 if mode == 0o644 else 0)


STEPS = ("open", "fsync", "replace", "link", "fchmod")


class Faults:
    """Lets the n-th call of an operating system's function fail, and counts the calls."""

    def __init__(self, monkeypatch, name, number):
        self.calls = 0
        original = getattr(os, name)

        def faulty(*args, **kwargs):
            self.calls += 1
            if self.calls == number:
                raise OSError(errno.EIO, "injected")
            return original(*args, **kwargs)

        monkeypatch.setattr(os, name, faulty)


@pytest.mark.parametrize("name", STEPS)
def test_when_any_step_fails_all_files_are_as_before(farm, monkeypatch, name):
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
                for path, content in before.items():
                    Path(path).write_bytes(content)
        assert everything(farm) == before, (name, number)
    raise AssertionError("the faults never end")


def test_an_interrupt_puts_everything_back(farm, monkeypatch):
    before = everything(farm)
    original = applying._replace
    calls = []

    def interrupted(new, target):
        calls.append(target)
        original(new, target)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(applying, "_replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        apply(planned(farm), NOW)
    assert everything(farm) == before


def test_when_putting_back_fails_too_the_message_says_where_the_old_bytes_are(farm, monkeypatch):
    original = applying._replace
    calls = []

    def broken(new, target):
        calls.append(target)
        if len(calls) > 1:
            raise OSError(errno.EIO, "injected")
        original(new, target)

    monkeypatch.setattr(applying, "_replace", broken)
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


def can_trace():
    strace = shutil.which("strace")
    if strace is None or sys.platform != "linux":
        return False
    done = subprocess.run([strace, "-f", "-o", os.devnull, "true"], capture_output=True, check=False)
    return done.returncode == 0


def traced(folder, *options):
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
def test_killed_at_any_system_call_no_file_is_torn(tmp_path):
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
        # A second run ends what the killed one began, and leaves nothing of it behind.
        apply_again(folder)
        assert {path.read_bytes() for path in paths(folder)} == new
        assert not list((folder / "inputs").rglob(".*"))
        shutil.rmtree(folder)
    assert killed > 10


def apply_again(folder):
    os.environ["NLBGEN_REDIS_PASSWORD"] = "secret-of-redis"
    try:
        apply(planned(folder), NOW)
    finally:
        del os.environ["NLBGEN_REDIS_PASSWORD"]


# The command.


def test_apply_expects_the_plan_that_was_read(cli, farm):
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
