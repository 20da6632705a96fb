"""The journal of a rolling change, its command, and the command line of `nlbgen roll`."""

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from nlbgen.commands.roll import command as roll_command
from nlbgen.core.errors import CapacityError, DeviceError, DifferenceError, FileError, UsageError
from nlbgen.operate import journal, rolling
from nlbgen.operate.changing import Operator
from nlbgen.operate.contract import Balancer, NodeStatus, Sessions, State, Wanted
from nlbgen.operate.events import EventLog
from nlbgen.operate.pace import Pace
from nlbgen.operate.rolling import Roll, Times
from nlbgen.spec.load import Spec, loads

FARM = """
farm: site
frontend: {host: orchestrator.corp.example, address: 10.20.0.10}
nodes:
  - {name: orch-1, address: 10.20.1.1}
  - {name: orch-2, address: 10.20.1.2, state: STATE}
  - {name: orch-3, address: 10.20.1.3}
balancer: {slow_start: 30s}
haproxy: {version: "2.6"}
"""
NAMES = ("orch-1", "orch-2", "orch-3")


def spec(state: str = "up") -> Spec:
    return loads(FARM.replace("STATE", state))


class Recorded(Balancer):
    """A balancer in memory; `shown` is what it shows of a state, as a device that hides the mode."""

    name, vendor = "lb-1", "haproxy"

    def __init__(self, shown: Mapping[Wanted, State] | None = None) -> None:
        self.states: dict[str, Wanted] = dict.fromkeys(NAMES, "up")
        self.shown = shown or {}
        self.error: DeviceError | None = None
        self.changes: list[tuple[str, str]] = []

    def read(self) -> tuple[NodeStatus, ...]:
        return tuple(
            NodeStatus(name, self.shown.get(state, state), "passing", sessions=Sessions(0))
            for name, state in self.states.items()
        )

    def change(self, node: str, state: Wanted) -> None:
        if self.error is not None:
            raise self.error
        self.states[node] = state
        self.changes.append((node, state))


class Lab:
    """A roll without time: what it ran, said and slept."""

    def __init__(self, folder: Path, *, state: str = "up", shown: Mapping[Wanted, State] | None = None) -> None:
        self.path = folder / "roll.json"
        self.balancer = Recorded(shown)
        self.ran: list[tuple[str, ...]] = []
        self.slept: list[float] = []
        self.status = 0
        pace = Pace(now=iter(range(10_000)).__next__, sleep=self.slept.append)
        log = EventLog(folder / "events.jsonl", "site")
        self.operator = Operator(spec(state), (self.balancer,), log, pace=pace)

    def command(self, words: Sequence[str], _seconds: float) -> int:
        self.ran.append(tuple(words))
        return self.status

    def roll(self, made: journal.Journal, *, healthy: bool = True) -> Roll:
        def checks(_farm: object, names: Sequence[str]) -> dict[str, bool]:
            return dict.fromkeys(names, healthy)

        return Roll(self.operator, made, Times(pause=5), run_command=self.command, checks=checks)

    def begin(self, *names: str) -> journal.Journal:
        return journal.started(self.path, "site", ["patch", "{node}@{address}"], names or NAMES)


def test_roll_runs_the_command_for_each_node_while_it_is_down(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.roll(lab.begin()).run()
    assert lab.ran == [("patch", f"orch-{at}@10.20.1.{at}") for at in (1, 2, 3)]
    assert lab.balancer.changes[:3] == [("orch-1", "drain"), ("orch-1", "down"), ("orch-1", "up")]
    assert lab.slept.count(35) == 2, "slow start and pause between the nodes, not after the last one"
    assert not lab.path.exists()
    lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert (events[0], events.count("command"), events[-1]) == ("roll", 3, "roll done")


@pytest.mark.parametrize("state, before", [("drain", "drain"), ("down", "down"), ("up", "up")])
def test_node_returns_to_its_state_before(tmp_path: Path, state: Wanted, before: Wanted) -> None:
    lab = Lab(tmp_path)
    lab.balancer.states["orch-2"] = state
    lab.roll(lab.begin("orch-2")).run()
    assert lab.balancer.states["orch-2"] == before


@pytest.mark.parametrize("state, before", [("drain", "drain"), ("down", "down"), ("up", "up")])
def test_node_whose_device_hides_its_state_returns_to_that_of_the_spec(
    tmp_path: Path, state: str, before: Wanted
) -> None:
    lab = Lab(tmp_path, state=state, shown={"drain": "out", "down": "out"})
    lab.balancer.states["orch-2"] = "drain"
    lab.roll(lab.begin("orch-2")).run()
    assert lab.balancer.states["orch-2"] == before


def test_node_that_begins_a_reboot_is_healthy_only_after_it_has_stopped(tmp_path: Path) -> None:
    """The endpoint answers three times before the reboot stops the site, then it is silent twice."""
    lab = Lab(tmp_path)
    answers = iter([True, True, True, False, False, True])
    steps: list[str] = []

    def checks(_farm: object, names: Sequence[str]) -> dict[str, bool]:
        steps.append(journal.resumed(lab.path, "site").entry("orch-1").step)
        return dict.fromkeys(names, next(answers))

    Roll(lab.operator, lab.begin("orch-1"), Times(pause=0, reboot=60), run_command=lab.command, checks=checks).run()
    assert steps == ["stopping"] * 4 + ["ran"] * 2
    assert lab.balancer.changes[-1] == ("orch-1", "up")


@pytest.mark.parametrize("command_done", [False, True])
def test_reboot_that_does_not_stop_the_node_stops_the_roll(tmp_path: Path, command_done: bool) -> None:
    lab = Lab(tmp_path)

    def roll(made: journal.Journal, times: Times) -> Roll:
        return Roll(
            lab.operator,
            made,
            times,
            run_command=lab.command,
            checks=lambda _farm, names: dict.fromkeys(names, True),
        )

    with pytest.raises(
        DifferenceError, match="orch-1: its health endpoint still answers 3 s after the command"
    ) as error:
        roll(lab.begin("orch-1"), Times(pause=0, reboot=3)).run()
    assert error.value.hint is not None
    assert error.value.hint.endswith(f"; then `nlbgen roll --resume --command-done --journal {lab.path}`")
    assert "repair" not in error.value.hint
    assert lab.balancer.changes[-1] == ("orch-1", "down")
    found = journal.resumed(lab.path, "site")
    assert found.entry("orch-1").step == "stopping"
    if command_done:
        roll(found, Times(pause=0)).run(command_done=True)
        assert lab.balancer.changes[-1] == ("orch-1", "up")
    else:
        with pytest.raises(DifferenceError, match="still answers 3 s after"):  # the limit is that of the journal
            roll(found, Times(pause=0)).run()
    assert len(lab.ran) == 1, "a reboot that was begun is not begun again"


def test_interrupted_command_is_repeated_or_skipped_as_the_user_says(tmp_path: Path) -> None:
    for command_done, expected in ((False, 2), (True, 1)):
        lab = Lab(tmp_path)

        def interrupted(words: Sequence[str], _seconds: float, lab: Lab = lab) -> int:
            lab.ran.append(tuple(words))
            raise KeyboardInterrupt

        roll = Roll(lab.operator, lab.begin("orch-1"), Times(), run_command=interrupted)
        with pytest.raises(KeyboardInterrupt):
            roll.run()
        assert lab.balancer.changes[-1] == ("orch-1", "down")
        found = journal.resumed(lab.path, "site")
        assert found.entry("orch-1").step == "running"
        lab.balancer.changes.clear()
        lab.roll(found).run(command_done=command_done)
        assert len(lab.ran) == expected
        assert lab.balancer.changes == [("orch-1", "down"), ("orch-1", "up")], "a drained node would get requests"


def test_node_that_is_not_healthy_stays_down(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    with pytest.raises(DifferenceError, match=r"its health endpoint \(.*\) does not answer 200 after 900 s") as stopped:
        lab.roll(lab.begin(), healthy=False).run()
    assert stopped.value.hint == f"repair orch-1, then `nlbgen roll --resume --journal {lab.path}`"
    assert lab.balancer.states == {"orch-1": "down", "orch-2": "up", "orch-3": "up"}


def test_error_of_a_balancer_keeps_its_exit_code_and_says_how_to_continue(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.balancer.error = DeviceError("lb-1: refuses", "read its log")
    with pytest.raises(DeviceError) as stopped:
        lab.roll(lab.begin()).run()
    assert str(stopped.value.hint).startswith("read its log; then `nlbgen roll --resume --journal ")


def test_change_that_has_not_begun_has_nothing_to_resume(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.balancer.states["orch-2"] = "down"
    with pytest.raises(CapacityError, match="nothing was changed") as stopped:
        lab.roll(lab.begin()).run()
    assert str(stopped.value.hint).endswith("or use --force; then run `nlbgen roll` again")
    assert not lab.path.exists()


def test_command_that_fails_names_its_exit_code(tmp_path: Path) -> None:
    for status, how in ((3, "failed with exit code 3"), (-9, "was ended by SIGKILL"), (-40, "was ended by signal 40")):
        lab = Lab(tmp_path)
        lab.path.unlink(missing_ok=True)
        lab.status = status
        with pytest.raises(DifferenceError, match=f"orch-1: the command {how}; the node stays down"):
            lab.roll(lab.begin()).run()


def test_node_of_an_interrupted_drain_returns_if_too_few_others_serve_now(tmp_path: Path) -> None:
    """The first run drained orch-1; before the second one, orch-2 and orch-3 have failed."""
    lab = Lab(tmp_path)
    lab.balancer.states |= {"orch-1": "drain", "orch-2": "down", "orch-3": "down"}
    made = lab.begin("orch-1").at("orch-1", "leaving", "up")
    with pytest.raises(CapacityError, match=r"without orch-1, 0 nodes would serve.*orch-1 was returned to rotation"):
        lab.roll(made).run()
    assert lab.ran == []
    assert lab.balancer.states["orch-1"] == "up"


def test_log_on_a_full_disk_keeps_the_error_of_the_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(tmp_path)
    lab.status = 3
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if b"roll stopped" in data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr("os.write", full)
    with pytest.raises(DifferenceError, match="the command failed with exit code 3") as stopped:
        lab.roll(lab.begin()).run()
    assert "the event log cannot be written: No space left on device" in stopped.value.message
    assert "--resume" in str(stopped.value.hint)


# The command.


def test_command_is_run_without_a_shell_and_prints_on_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = "import sys; print(sys.argv[1], sys.stdin.read() == ''); sys.exit(7)"
    assert rolling.run([sys.executable, "-c", code, f"$HOME; {tmp_path}"], 30) == 7
    out, err = capfd.readouterr()
    assert (out, err) == ("", f"$HOME; {tmp_path} True\n")


def test_command_that_hangs_or_is_missing_is_an_error() -> None:
    with pytest.raises(DifferenceError, match=r"has not ended after 0\.2 s, and was killed"):
        rolling.run([sys.executable, "-c", "import time; time.sleep(60)"], 0.2)
    with pytest.raises(DifferenceError, match="nlbgen-no-such-program: cannot be run"):
        rolling.run(["nlbgen-no-such-program"], 1)


def test_placeholders_are_replaced_in_each_word() -> None:
    node = spec().farm.nodes[0]
    assert rolling.filled(["a{node}b", "{address}", "{other}"], node) == ("aorch-1b", "10.20.1.1", "{other}")


# The journal.


def test_journal_is_private_and_read_back(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    made = lab.begin().at("orch-2", "running", "drain")
    assert journal.read(lab.path) == made
    if sys.platform != "win32":
        assert stat.S_IMODE(lab.path.stat().st_mode) == 0o600
    with pytest.raises(UsageError, match=r"unfinished: orch-1 \(waiting\), orch-2 \(running\), orch-3 \(waiting\)"):
        lab.begin()
    with pytest.raises(UsageError, match="is a change of the farm site, not of other"):
        journal.resumed(lab.path, "other")


def test_journal_of_a_complete_change_is_no_obstacle(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    made = lab.begin("orch-1").at("orch-1", "done")
    assert made.left == ()
    lab.begin()
    lab.roll(journal.resumed(lab.path, "site")).run()
    assert not lab.path.exists()
    with pytest.raises(UsageError, match="there is no unfinished rolling change"):
        journal.resumed(lab.path, "site")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"version": 2, "farm": "site", "command": [], "nodes": []}',
        '{"version": 1, "farm": "site", "command": [], "nodes": [{"node": "a", "step": "odd", "before": "up"}]}',
        '{"version": 1, "farm": "site", "command": [], "nodes": [{"node": "a", "step": "done", "before": "out"}]}',
    ],
)
def test_file_that_is_no_journal_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "roll.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FileError, match="is not the journal of a rolling change"):
        journal.read(path)


# The command line.


def invoked(folder: Path, *arguments: str) -> BaseException | None:
    path = folder / "farm.yaml"
    path.write_text(FARM.replace("STATE", "up"), encoding="utf-8")
    options = ["-s", str(path), "--journal", str(folder / "roll.json"), "--log", str(folder / "events.jsonl")]
    return CliRunner().invoke(roll_command, [*options, *arguments]).exception


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--yes"], "no command is given"),
        (["--yes", "--", "reboot"], "contains neither {node} nor {address}"),
        (["--resume", "--", "reboot", "{node}"], "--resume takes its command and nodes from the journal"),
        (["--command-done", "--", "reboot", "{node}"], "--command-done needs --resume"),
        (["--resume"], "there is no unfinished rolling change"),
        (["--node", "orch-9", "--", "reboot", "{node}"], "no node is named orch-9"),
        (["--", "reboot", "{node}"], "there is no terminal to prompt"),
        (["--local", "--ssh", "lb", "--", "reboot", "{node}"], "--local and --ssh cannot be combined"),
    ],
)
def test_invalid_use_of_the_command_line_is_reported(tmp_path: Path, arguments: list[str], message: str) -> None:
    error = invoked(tmp_path, *arguments)
    assert isinstance(error, UsageError)
    assert message in error.message
    assert not (tmp_path / "events.jsonl").exists()


def test_second_roll_with_the_same_journal_is_refused(tmp_path: Path) -> None:
    from nlbgen.core.locks import locked

    with locked((tmp_path / "roll.json").resolve()):
        error = invoked(tmp_path, "--", "reboot", "{node}")
    assert isinstance(error, UsageError)
    assert "another rolling change runs" in error.message


def test_unfinished_change_is_kept_unless_it_is_discarded(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.begin().at("orch-1", "leaving")
    error = invoked(tmp_path, "--", "reboot", "{node}")
    assert isinstance(error, UsageError)
    assert "a rolling change is unfinished" in error.message
    error = invoked(tmp_path, "--discard", "--", "reboot", "{node}")
    assert isinstance(error, UsageError)
    assert "no terminal" in error.message


def test_discarded_change_returns_the_nodes_that_it_removed(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.begin().at("orch-2", "running", "drain").at("orch-1", "leaving", "up").at("orch-3", "done")
    made, left = journal.discarded(lab.path, "site", ["x", "{node}"], ["orch-1", "orch-3"])
    assert [(one.node, one.step, one.before) for one in made.entries] == [
        ("orch-1", "leaving", "up"),
        ("orch-3", "waiting", "up"),
    ]
    assert left == ["orch-2"]
    lab.balancer.states["orch-1"] = "down"
    lab.roll(made).run()
    assert lab.balancer.states["orch-1"] == "up"
    assert journal.discarded(lab.path, "site", ["x"], ["orch-1"])[1] == []
    lab.path.write_text("no journal", encoding="utf-8")
    assert journal.discarded(lab.path, "site", ["x"], ["orch-1"])[1] == []


def test_discarded_change_names_the_nodes_that_stay_out_of_rotation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Lab(tmp_path).begin().at("orch-2", "running")
    path = tmp_path / "farm.yaml"
    path.write_text(FARM.replace("STATE", "up"), encoding="utf-8")
    options = ["-s", str(path), "--journal", str(tmp_path / "roll.json"), "--discard", "--node", "orch-1"]
    shown = CliRunner().invoke(roll_command, [*options, "--", "reboot", "{node}"])
    assert "the discarded change removed orch-2 from rotation" in shown.output + capsys.readouterr().err


@pytest.mark.parametrize("path", ["file/roll.json", "file/folder/roll.json"])
def test_journal_whose_folder_cannot_be_used_is_an_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    error = invoked(tmp_path, "--journal", str(tmp_path / path), "--", "reboot", "{node}")
    assert isinstance(error, FileError)
    assert "the journal cannot be written" in error.message
    assert error.hint == "choose another file with --journal FILE"


SOCAT = """#!/usr/bin/env python3
import json, os, sys
path = os.path.join(os.path.dirname(__file__), "states.json")
states = json.load(open(path)) if os.path.exists(path) else {}
line = sys.stdin.read().strip()
words = line.split()
if words[:2] == ["set", "server"]:
    states[words[2].partition("/")[2]] = words[4]
    json.dump(states, open(path, "w"))
elif line.startswith("show stat"):
    print("# pxname,svname,scur,status,check_status,last_chk,")
    for at in (1, 2, 3):
        state = states.get(f"orch-{at}", "ready")
        print(f"site_web,orch-{at},0,{'MAINT' if state == 'maint' else 'UP'},L7OK,,")
    print("\\n1\\n# be_id be_name srv_id srv_name srv_admin_state srv_uweight srv_time_since_last_change")
    for at in (1, 2, 3):
        flags = {"ready": 0, "drain": 8, "maint": 1}[states.get(f"orch-{at}", "ready")]
        print(f"1 site_web {at} orch-{at} {flags} 100 5")
else:
    print("#<PID> <type>")
print()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands for socat")
def test_command_line_rolls_stops_and_resumes(tmp_path: Path) -> None:
    """The simulated socat keeps the states; the nodes do not exist, so their health stops the change."""
    folder = tmp_path / "bin"
    folder.mkdir()
    # Neither the search for python3 nor its site-packages: the change runs it about a hundred times.
    script = SOCAT.replace("/usr/bin/env python3", f"{sys.executable} -IS")
    (folder / "socat").write_text(script, encoding="utf-8")
    (folder / "socat").chmod(0o755)
    (tmp_path / "farm.yaml").write_text(FARM.replace("STATE", "up"), encoding="utf-8")
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}

    def nlbgen(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nlbgen", "roll", "--local", "--yes", "--health-limit", "0", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    done = nlbgen("--limit", "1", "--", sys.executable, "-c", "print('{node}')")
    assert done.returncode == 1, done
    assert "orch-1\n" in done.stderr
    assert "repair orch-1, then `nlbgen roll --resume --journal outputs/roll.json`" in done.stderr
    assert json.loads((folder / "states.json").read_text(encoding="utf-8"))["orch-1"] == "maint"
    again = nlbgen("--resume")
    assert "continues; it stopped in the step health" in again.stderr
    assert again.returncode == 1
