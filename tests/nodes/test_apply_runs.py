"""Changes of the files while something else happens: signals, another run of nlbgen, other programs.

Processes wait for each other at named pipes, so no test depends on the time.
"""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.core import locks as core_locks
from nlbgen.core.errors import NodeError
from nlbgen.nodes import apply as applying
from nlbgen.nodes import locks, replacing
from nlbgen.nodes.apply import apply
from nlbgen.nodes.planning import FarmPlan, plan_farm
from nlbgen.spec.load import load

if TYPE_CHECKING:
    from tests.conftest import RunCommand

EXAMPLES = Path(__file__).parents[2] / "examples"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX named pipes and signals")


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the example farm into a folder of the test; `other.yaml` is the same farm with another Redis."""
    monkeypatch.setenv("NLBGEN_REDIS_PASSWORD", "secret-of-redis")
    shutil.copytree(EXAMPLES / "inputs", tmp_path / "inputs")
    text = (EXAMPLES / "farm.yaml").read_text(encoding="utf-8")
    (tmp_path / "farm.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "other.yaml").write_text(text.replace("redis-1.corp", "redis-2.corp"), encoding="utf-8")
    return tmp_path


def planned(farm: Path, spec: str = "farm.yaml") -> FarmPlan:
    return plan_farm(load(farm / spec))


def paths(farm: Path) -> list[Path]:
    return [farm / "inputs" / node / "web.config" for node in ("orch-1", "orch-2")]


def everything(farm: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted((farm / "inputs").rglob("*")) if path.is_file()}


def new_files(plan: FarmPlan) -> list[bytes]:
    return [content for node in plan.nodes for _document, content in node.files]


# A process that stops between the two nodes.

PAUSED = """
import os, pathlib, sys
from nlbgen import cli
replace = os.replace
def paused(source, target):
    replace(source, target)
    if pathlib.Path(target).parent.name == "orch-1":
        os.replace = replace
        open("reached", "w").close()  # opens when the test reads
        open("continue").close()
os.replace = paused
sys.argv = ["nlbgen", "nodes", "apply", "--yes"]
cli.main()
"""


@contextmanager
def stopped_between_the_nodes(farm: Path) -> Iterator[subprocess.Popen[str]]:
    """Start `nodes apply`, and yield it when it has replaced the first file; `resume` lets it continue."""
    for name in ("reached", "continue"):
        os.mkfifo(farm / name)
    with subprocess.Popen(
        [sys.executable, "-c", PAUSED], cwd=farm, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            (farm / "reached").read_bytes()
            yield process
        finally:
            process.kill()


def resume(farm: Path) -> None:
    with (farm / "continue").open("wb"):  # opens when the process reads
        pass


@posix
@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_apply_signal_between_two_nodes_restores_all_files(farm: Path, number: str) -> None:
    before = everything(farm)
    with stopped_between_the_nodes(farm) as process:
        assert everything(farm) != before
        process.send_signal(signal.Signals[number])
        if process.poll() is None:
            resume(farm)
        out, err = process.communicate(timeout=60)
    assert everything(farm) == before
    assert (process.returncode, out, err.splitlines()[-1]) == (130, "", "interrupted")


@posix
def test_apply_second_run_is_refused_while_the_first_changes_the_files(cli: "RunCommand", farm: Path) -> None:
    wanted = new_files(planned(farm))
    with stopped_between_the_nodes(farm) as process:
        before = everything(farm)
        ran = cli("nodes", "apply", "-s", "other.yaml", "--yes", cwd=farm)
        assert everything(farm) == before
        resume(farm)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert [path.read_bytes() for path in paths(farm)] == wanted
    assert (ran.code, ran.out) == (5, "")
    assert f"another run of nlbgen is changing this file (process {process.pid} on " in ran.err
    assert "nothing was changed\n    wait until that run ends, then run the command again" in ran.err
    assert not list((farm / "inputs").rglob(".*"))


@posix
def test_apply_after_a_killed_run_takes_over_its_lock_and_files(cli: "RunCommand", farm: Path) -> None:
    with stopped_between_the_nodes(farm) as process:
        process.kill()
        process.communicate(timeout=60)
    assert list((farm / "inputs").rglob(".*nlbgen-lock"))
    ran = cli("nodes", "apply", "--yes", cwd=farm)
    assert ran.code == 0
    assert not list((farm / "inputs").rglob(".*"))


# A signal before every call of the system.

CALLS = ("open", "fsync", "replace", "link", "unlink", "fchmod", "listxattr", "rename", "stat", "truncate", "ftruncate")


class Interrupted:
    """Raise a signal before the n-th call of any function of `os` that the change of the files uses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, sent: signal.Signals) -> None:
        self.calls = 0

        def interrupted(original: Callable[..., object]) -> Callable[..., object]:
            def function(*args: object, **kwargs: object) -> object:
                self.calls += 1
                if self.calls == number:
                    signal.raise_signal(sent)
                return original(*args, **kwargs)

            return function

        for name in CALLS:
            if hasattr(os, name):
                monkeypatch.setattr(os, name, interrupted(getattr(os, name)))


@pytest.mark.slow
def test_apply_signal_before_any_call_changes_all_files_or_none(farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unexpected: list[int] = []
    before, wanted = everything(farm), new_files(planned(farm))
    handler = signal.signal(signal.SIGTERM, lambda number, _frame: unexpected.append(number))
    try:
        outcomes = []
        for number in range(1, 500):
            plan = planned(farm)
            with monkeypatch.context() as context:
                interrupted = Interrupted(context, number, signal.SIGTERM)
                try:
                    apply(plan, NOW)
                except KeyboardInterrupt:
                    outcomes.append("restored")
                else:
                    outcomes.append("changed")
            if outcomes[-1] == "restored":
                assert everything(farm) == before, number
                continue
            assert [path.read_bytes() for path in paths(farm)] == wanted, number
            assert len(everything(farm)) == 4, number
            if interrupted.calls < number:
                break
            for path in (farm / "inputs").rglob("*.bak"):
                path.replace(path.with_name("web.config"))
        else:
            raise AssertionError("the calls never end")
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert outcomes.count("restored") > 10
    assert outcomes == sorted(outcomes, reverse=True)
    assert unexpected == []


# Another program changes a file.


def test_apply_rollback_keeps_what_another_program_wrote(farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = paths(farm)
    original = replacing.replace

    def overtaken(new: Path, target: Path) -> None:
        if target == second:
            first.write_bytes(b"<configuration/>")
            raise OSError(errno.EIO, "injected")
        original(new, target)

    monkeypatch.setattr(applying, "replace", overtaken)
    old = second.read_bytes()
    with pytest.raises(NodeError, match="another program has changed the file since") as error:
        apply(planned(farm), NOW)
    assert first.read_bytes() == b"<configuration/>"
    assert second.read_bytes() == old
    assert "web.config.20260102-030405.bak" in error.value.message
    assert "compare each file with its backup" in str(error.value.hint)
    assert (first.parent / "web.config.20260102-030405.bak").exists()


# Files that cannot be replaced.


def test_apply_hard_link_is_an_error(farm: Path) -> None:
    plan = planned(farm)
    other = farm / "live.config"
    os.link(paths(farm)[1], other)
    before = everything(farm)
    with pytest.raises(NodeError, match="is one of 2 hard links to the same file") as error:
        apply(plan, NOW)
    assert everything(farm) == before
    assert other.samefile(paths(farm)[1])
    assert error.value.hint == "replace the link by a copy of the file, or write the path of a copy as `config`"


@posix
def test_apply_pipe_in_place_of_the_file_is_an_error(farm: Path) -> None:
    plan = planned(farm)
    paths(farm)[0].unlink()
    os.mkfifo(paths(farm)[0])
    with pytest.raises(NodeError, match="is not a regular file"):
        apply(plan, NOW)


# The lock.


def lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.nlbgen-lock")


def test_lock_excludes_others_and_leaves_no_file(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with locks.locked([one], []):
        refused = pytest.raises(NodeError, match=rf"one: another run .* \(process {os.getpid()} on ")
        with refused, locks.locked([two, one], []):
            raise AssertionError("locked twice")
        with locks.locked([two], []):
            assert sorted(path.name for path in tmp_path.iterdir()) == [".one.nlbgen-lock", ".two.nlbgen-lock"]
    assert list(tmp_path.iterdir()) == []
    with locks.locked([one], []):
        pass


def test_lock_file_of_a_killed_run_locks_nothing(tmp_path: Path) -> None:
    lock_of(tmp_path / "one").write_text("process 4711 on a machine with a long name", encoding="utf-8")
    with locks.locked([tmp_path / "one"], []):
        assert lock_of(tmp_path / "one").read_text(encoding="utf-8").startswith(f"process {os.getpid()} on ")
    assert list(tmp_path.iterdir()) == []


def test_lock_file_of_an_unsigned_owner_is_an_unknown_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_locks, "_sign", lambda _descriptor: None)
    refused = pytest.raises(NodeError, match="an unknown process")
    with locks.locked([tmp_path / "one"], []), refused, locks.locked([tmp_path / "one"], []):
        raise AssertionError("locked twice")


def test_lock_file_removed_meanwhile_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run before removes its lock file after this one has opened it: that file no longer excludes anyone."""
    original, tries, path = core_locks._lock, [], lock_of(tmp_path / "one")

    def late(descriptor: int) -> None:
        tries.append(descriptor)
        if len(tries) < 3:
            path.unlink()
        if len(tries) == 2:
            path.write_bytes(b"")  # a third run
        original(descriptor)

    monkeypatch.setattr(core_locks, "_lock", late)
    with locks.locked([tmp_path / "one"], []):
        assert lock_of(tmp_path / "one").exists()
    assert len(tries) == 3


@pytest.mark.parametrize("changed", [True, False])
def test_lock_missing_folder_is_an_error_only_for_a_file_to_change(tmp_path: Path, changed: bool) -> None:
    path = tmp_path / "no" / "file"
    if changed:
        with pytest.raises(FileNotFoundError), locks.locked([path], [path]):
            raise AssertionError("locked")
    else:
        with locks.locked([], [path]):
            pass


class Msvcrt:
    """The locks of Windows: of bytes, mandatory, with a missing permission as the answer to a second owner."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self.locked: dict[tuple[int, int], int] = {}

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        state = os.fstat(descriptor)
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        assert (mode, count) == (self.LK_NBLCK, 1)
        assert place > core_locks._LONGEST_OWNER  # the name of the owner stays readable
        if self.locked.setdefault((state.st_dev, state.st_ino), descriptor) != descriptor:
            raise PermissionError(errno.EACCES, "Permission denied")


def test_lock_on_windows_names_the_owner_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", Msvcrt())
    refused = pytest.raises(NodeError, match=rf"one: another run .* \(process {os.getpid()} on ")
    with locks.locked([tmp_path / "one"], []), refused, locks.locked([tmp_path / "one"], []):
        raise AssertionError("locked twice")
    assert list(tmp_path.iterdir()) == []
