"""`nlbgen prove` as a user runs it: the real balancers, the example farm, and nothing left behind however it ends."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nlbgen.cli import main
from nlbgen.core.errors import NlbgenError
from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.simple import fetch
from nlbgen.prove.lab import lab as laboratory
from nlbgen.prove.run import Wishes, prove
from nlbgen.prove.scenarios.base import Scenario, figure
from nlbgen.prove.score import limits
from nlbgen.spec.load import load

pytestmark = [pytest.mark.slow, pytest.mark.haproxy, pytest.mark.nginx]

EXAMPLE = Path(__file__).parents[2] / "examples" / "farm.yaml"
SECONDS = 120


class Scratch:
    """A folder that takes the place of /tmp for one command: what is started has a path of it in its arguments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def processes(self) -> list[str]:
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        return [line for line in listed.splitlines() if f"{self.folder}/" in line and "nlbgen prove" not in line]

    def assert_empty(self) -> None:
        assert wait_until(lambda: not self.processes(), 5), self.processes()
        assert list(self.folder.iterdir()) == []


@pytest.fixture
def scratch() -> Iterator[Scratch]:
    # Short, because sockets of the balancers lie in it; open, because their workers may run as somebody else.
    folder = Path(tempfile.mkdtemp(prefix="np-", dir="/tmp"))
    folder.chmod(0o755)
    yield Scratch(folder)
    shutil.rmtree(folder)


@pytest.fixture
def run(scratch, tmp_path):
    """Start `nlbgen ARGS` in the test's folder."""
    shutil.copy(EXAMPLE, tmp_path / "farm.yaml")
    started = []

    def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
        command = shutil.which("nlbgen", path=Path(sys.executable).parent)
        assert command
        environment = {**os.environ, "TMPDIR": str(scratch.folder), "TERM": "xterm", "NO_COLOR": "1"}
        process = subprocess.Popen(
            [command, *arguments],
            **{
                "cwd": tmp_path,
                "env": environment,
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                **options,
            },
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


# Scenarios on the example farm


def test_the_example_farm_passes(run, scratch, vendor, tmp_path) -> None:
    scenarios = ("broken-url", "all-down", "reload-websockets")
    chosen = [word for name in scenarios for word in ("--scenario", name)]
    code, out, err = ended(run("prove", vendor, *chosen, "--format", "json", "--requests", "requests.jsonl"))
    assert code == 0, err
    data = json.loads(out)
    assert data["passed"]
    assert data["missed"] == []
    assert [one["name"] for one in data["scenarios"]] == list(scenarios)
    for played in data["scenarios"]:
        assert played["state"] == "passed"
        assert {one["verdict"] for one in played["figures"]} <= {"held", "shown"}
        assert played["events"]
    assert "all nodes are killed" in err
    scratch.assert_empty()
    records = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text(encoding="utf-8").splitlines()]
    asked = [one for one in records if one["scenario"] == "broken-url"]
    assert len(asked) == 60 + 10 + 300, "every request is in the log"
    assert sum(one["status"] == 500 for one in asked) == 60


def test_what_a_vendor_cannot_do_is_not_played(run, scratch) -> None:
    code, out, _ = ended(run("-q", "prove", "nginx", "--scenario", "slow-start"))
    assert code == 0
    assert "slow-start: not played: the open source build has no slow start" in out
    scratch.assert_empty()


# What goes wrong


def test_a_bar_that_is_missed_exits_with_1(run, scratch, tmp_path) -> None:
    (tmp_path / "bars.yaml").write_text("all-down.back: 0\n", encoding="utf-8")
    process = run("prove", "haproxy", "--scenario", "all-down", "--bar", "bars.yaml", "--format", "junit")
    code, out, err = ended(process)
    assert code == 1
    assert "nlbgen: missed: all-down.back\n" in err
    assert '<failure message="until all nodes serve again:' in out
    scratch.assert_empty()


def test_a_farm_whose_nodes_never_serve_exits_with_1(scratch, monkeypatch, tmp_path, capsys) -> None:
    """The stand-in nodes answer 200 where the spec expects 204: nothing can be played, and that is no pass."""
    monkeypatch.setattr(tempfile, "tempdir", str(scratch.folder))
    monkeypatch.setattr(laboratory, "farm_options", lambda farm: {"kind": "any"})
    spec = tmp_path / "farm.yaml"
    spec.write_text(EXAMPLE.read_text(encoding="utf-8").replace("expect: 200", "expect: 204"), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["nlbgen", "prove", "haproxy", "-s", str(spec), "--scenario", "broken-url"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "orch-1, orch-2: no request arrives there within 30 s" in said.err
    scratch.assert_empty()


class Faulty(Scenario):
    """A scenario that ends badly."""

    name = "broken-url"
    title = "it ends badly"
    why = "tests"
    seconds = 3.0

    def __init__(self, fault: BaseException | None) -> None:
        self._fault = fault

    async def play(self, stage):
        yield figure("failed", 0)
        await stage.load(rate=20.0, seconds=0.5)
        if self._fault is None:
            await stage.load(rate=20.0, seconds=60.0)
        raise self._fault


def played(scratch: Scratch, monkeypatch, *scenarios: Scenario):
    monkeypatch.setattr(tempfile, "tempdir", str(scratch.folder))
    wishes = Wishes(scenarios, limits.defaults("haproxy"))
    return prove(load(EXAMPLE), "haproxy", wishes, lambda *_: None)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(NlbgenError("it broke", "mend it"), "it broke: mend it"), (None, "it did not end within 3 s")],
)
def test_a_scenario_that_breaks_is_said_and_the_next_is_played(
    scratch, monkeypatch, fault: Exception | None, reason: str
) -> None:
    card = played(scratch, monkeypatch, Faulty(fault), Faulty(NlbgenError("again")))
    assert [one.state for one in card.played] == ["broken", "broken"]
    assert [one.reason for one in card.played] == [reason, "again"]
    assert not card.passed
    assert card.played[0].figures[0].figure == figure("failed", 0), "what came out before is kept"
    scratch.assert_empty()


def test_a_fault_of_nlbgen_itself_stops_everything_and_is_raised(scratch, monkeypatch) -> None:
    with pytest.raises(ZeroDivisionError):
        played(scratch, monkeypatch, Faulty(ZeroDivisionError()))
    scratch.assert_empty()


# However it ends


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", ["at the start", "in a scenario", "in another laboratory"])
def test_an_interruption_leaves_nothing(run, scratch, number: int, moment: str) -> None:
    scenario, sign = {
        "at the start": ("kill", None),
        "in a scenario": ("kill", "is killed"),
        "in another laboratory": ("slow-start", "is killed"),
    }[moment]
    process = run("prove", "haproxy", "--scenario", scenario)
    if sign is None:
        assert wait_until(scratch.processes, 20)
    else:
        read_until(process, sign)
        assert scratch.processes()
    process.send_signal(number)
    code, out, err = ended(process)
    assert (code, out) == (130, "")
    assert err.endswith("interrupted\n")
    scratch.assert_empty()


def test_a_killed_command_leaves_no_process(run, scratch) -> None:
    """Nobody can clean up after SIGKILL but the guard; the scratch folder is left to the system."""
    process = run("prove", "nginx", "--scenario", "kill")
    read_until(process, "is killed")
    assert scratch.processes()
    process.kill()
    assert wait_until(lambda: not scratch.processes(), 10), scratch.processes()


def read_until(process: subprocess.Popen[str], sign: str) -> str:
    """Read the log of a command until a line holds `sign`."""
    assert process.stderr
    seen = []
    for line in process.stderr:
        seen.append(line)
        if sign in line:
            return "".join(seen)
    raise AssertionError(f"no line with {sign}: {seen}")


# What can be looked at


def test_keep_leaves_the_farm_up_until_it_is_interrupted(run, scratch) -> None:
    process = run("prove", "haproxy", "--scenario", "none", "--keep")
    said = read_until(process, "Ctrl-C ends it")
    url, ca = re.search(r"answers at (\S+);.* authority is (\S+)", said).groups()
    assert fetch(f"{url}/odata/Jobs", ca=Path(ca)).status == 200
    statistics = re.search(r"statistics: (\S+)", said)[1]
    assert b"orch-1" in fetch(statistics).body
    command = re.search(r"curl (http://127\.0\.0\.1:\d+/state) -d '(.*pool_stopped.*)'", said)
    assert fetch(command[1], method="POST", body=command[2].encode()).status == 200
    assert wait_until(lambda: {node(url, ca) for _ in range(4)} == {"orch-2"}, 10)
    pid = int(re.search(r"orch-2, process (\d+):", said)[1])
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: fetch(f"{url}/odata/Jobs", ca=Path(ca)).status == 503, 10)
    assert "orch-2 starts again" in read_until(process, "starts again")
    process.send_signal(signal.SIGINT)
    code, out, err = ended(process)
    assert code == 0, err
    assert out.endswith("passed: nothing was played\n")
    scratch.assert_empty()


def node(url: str, ca: str) -> str:
    return fetch(f"{url}/odata/Jobs", ca=Path(ca)).header("X-Node")


def test_on_a_terminal_there_is_a_live_view(run, scratch) -> None:
    import pty

    controller, terminal = pty.openpty()
    try:
        process = run("prove", "haproxy", "--scenario", "reload-websockets", stderr=terminal)
        os.close(terminal)
        seen, end = b"", time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < end:
            try:
                seen += os.read(controller, 65536)
            except OSError:  # the other end was closed
                break
        assert process.wait(10) == 0
    finally:
        os.close(controller)
    text = seen.decode("utf-8", "replace")
    for word in ("HAProxy  1 of 1: reload-websockets", "orch-2", "up, weight 100", "50 WebSockets open"):
        assert word in text, word
    scratch.assert_empty()


def test_the_difference_is_shown_and_nothing_runs(run, scratch) -> None:
    code, out, err = ended(run("prove", "haproxy", "--diff"))
    assert code == 0, err
    assert out.startswith("--- live/haproxy/haproxy.cfg\n+++ here/haproxy/haproxy.cfg\n")
    assert "-    server orch-1 10.20.0.11:443 weight 100 check" in out
    assert "+    server orch-1 127.0.0.1:" in out
    scratch.assert_empty()
