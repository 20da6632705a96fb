"""`nlbgen prove` as a user runs it: real balancers, the example farm, and no process left at the end."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nlbgen.cli import main
from nlbgen.core.errors import NlbgenError
from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.simple import fetch
from nlbgen.prove.lab import bench
from nlbgen.prove.lab import lab as lab_module
from nlbgen.prove.lab.bench import TestBench
from nlbgen.prove.run import RunOptions, prove
from nlbgen.prove.scenarios.base import Metrics, Scenario, metric
from nlbgen.prove.scenarios.registry import QUICK, scenarios
from nlbgen.prove.score import limits
from nlbgen.prove.score.scorecard import Scorecard
from nlbgen.spec.load import load

pytestmark = [pytest.mark.slow, pytest.mark.haproxy, pytest.mark.nginx]

EXAMPLE = Path(__file__).parents[2] / "examples" / "farm.yaml"
SECONDS = 120


class Scratch:
    """A folder that replaces /tmp for one command: its processes have a path in it in their arguments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def processes(self) -> list[str]:
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        return [line for line in listed.splitlines() if f"{self.folder}/" in line and "nlbgen prove" not in line]

    def assert_empty(self) -> None:
        assert wait_until(lambda: not self.processes(), 5), self.processes()
        assert list(self.folder.iterdir()) == []


StartCommand = Callable[..., "subprocess.Popen[str]"]
"""`run("prove", "haproxy")` starts `nlbgen prove haproxy`; options go to Popen."""


@pytest.fixture
def scratch() -> Iterator[Scratch]:
    # A short path for the balancers' sockets; readable, because their workers may run as another user.
    folder = Path(tempfile.mkdtemp(prefix="np-", dir="/tmp"))
    folder.chmod(0o755)
    yield Scratch(folder)
    shutil.rmtree(folder, ignore_errors=True)  # the guard of a killed command may still remove files


@pytest.fixture
def run(scratch: Scratch, tmp_path: Path) -> Iterator[StartCommand]:
    """Start `nlbgen ARGS` in the test's folder."""
    shutil.copy(EXAMPLE, tmp_path / "farm.yaml")
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
        command = shutil.which("nlbgen", path=str(Path(sys.executable).parent))
        assert command
        environment = {**os.environ, "TMPDIR": str(scratch.folder), "TERM": "xterm", "NO_COLOR": "1"}
        process = subprocess.Popen(
            [command, *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
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


@pytest.mark.no_cover  # other tests reach the same lines
def test_prove_on_the_example_farm_passes(run: StartCommand, scratch: Scratch, vendor: str, tmp_path: Path) -> None:
    names = ("broken-url", "all-down", "reload-websockets")
    chosen = [word for name in names for word in ("--scenario", name)]
    code, out, err = ended(run("prove", vendor, *chosen, "--format", "json", "--requests", "requests.jsonl"))
    assert code == 0, err
    data = json.loads(out)
    assert data["passed"]
    assert data["missed"] == []
    assert [one["name"] for one in data["scenarios"]] == list(names)
    for result in data["scenarios"]:
        assert result["state"] == "passed"
        assert {one["verdict"] for one in result["figures"]} <= {"held", "shown"}
        assert result["events"]
    assert "all nodes are killed" in err
    scratch.assert_empty()
    records = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text(encoding="utf-8").splitlines()]
    requests = [one for one in records if one["scenario"] == "broken-url"]
    assert len(requests) == 60 + 10 + 300, "every request is in the log"
    assert sum(one["status"] == 500 for one in requests) == 60


@pytest.mark.alone
def test_quick_run_on_the_example_farm_passes_within_90_s(run: StartCommand, scratch: Scratch) -> None:
    began = time.monotonic()
    code, out, err = ended(run("prove", "haproxy", "--quick", "--format", "json"))
    assert code == 0, err
    assert time.monotonic() - began < 90
    data = json.loads(out)
    assert [one["name"] for one in data["scenarios"]] == list(QUICK)
    assert {one["state"] for one in data["scenarios"]} == {"passed"}
    assert "--quick" in data["not_proved"][-1]
    scratch.assert_empty()


def test_scenario_that_a_vendor_cannot_run_is_skipped(run: StartCommand, scratch: Scratch) -> None:
    code, out, _ = ended(run("-q", "prove", "nginx", "--scenario", "slow-start"))
    assert code == 0
    assert "slow-start: skipped: NGINX has no slow start" in out
    scratch.assert_empty()


# Failures


@pytest.mark.no_cover  # other tests reach the same lines
def test_failed_threshold_exits_with_1(run: StartCommand, scratch: Scratch, tmp_path: Path) -> None:
    (tmp_path / "thresholds.yaml").write_text("all-down.back: 0\n", encoding="utf-8")
    process = run("prove", "haproxy", "--scenario", "all-down", "--threshold", "thresholds.yaml", "--format", "junit")
    code, out, err = ended(process)
    assert code == 1
    assert "nlbgen: failed: all-down.back\n" in err
    assert '<failure message="time until all nodes serve again:' in out
    scratch.assert_empty()


def test_farm_whose_nodes_never_serve_exits_with_1(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The simulated nodes answer 200 where the spec expects 204: no scenario can run, and prove fails."""
    monkeypatch.setattr(bench, "SETTLE_SECONDS", 4.0)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch.folder))
    monkeypatch.setattr(lab_module, "farm_options", lambda farm: {"kind": "any"})
    spec = tmp_path / "farm.yaml"
    text = EXAMPLE.read_text(encoding="utf-8").replace("expect: 200", "expect: 204, all_failed: refuse")
    spec.write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["nlbgen", "prove", "haproxy", "-s", str(spec), "--scenario", "broken-url"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "orch-1, orch-2: no request arrives there within 4 s" in printed.err
    scratch.assert_empty()


class Faulty(Scenario):
    """A scenario that ends badly."""

    name = "broken-url"
    title = "it ends badly"
    why = "tests"
    seconds = 3.0

    def __init__(self, fault: BaseException | None) -> None:
        self._fault = fault

    async def run(self, bench: TestBench) -> Metrics:
        yield metric("failed", 0)
        await bench.load(rate=20.0, seconds=0.5)
        if self._fault is None:
            await bench.load(rate=20.0, seconds=60.0)
        else:
            raise self._fault


def prove_with(scratch: Scratch, monkeypatch: pytest.MonkeyPatch, *chosen: Scenario) -> Scorecard:
    monkeypatch.setattr(tempfile, "tempdir", str(scratch.folder))
    options = RunOptions(chosen, limits.defaults("haproxy"))
    return prove(load(EXAMPLE), "haproxy", options, lambda *_: None)


class Few(Scenario):
    """Ten requests."""

    name = "broken-url"
    title = "a few requests"
    why = "tests"
    seconds = 10.0

    def __init__(self, *, changed: int = 0) -> None:
        self._changed = changed

    async def run(self, bench: TestBench) -> Metrics:
        await bench.load(rate=20.0, seconds=0.5)
        yield metric("failed", 0)
        yield metric("changed", self._changed)
        yield metric("nodes_lost", 0)


def test_run_skips_logs_each_request_and_calls_keep_while_the_lab_runs(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(scratch.folder))
    log = tmp_path / "requests.jsonl"
    kept: list[int] = []
    watched: list[str] = []

    def keep(bench: TestBench, card: Scorecard) -> None:
        kept.append(fetch(f"{bench.lab.url}/odata/Jobs", ca=bench.lab.certificates.ca).status)
        assert [one.state for one in card.results] == ["skipped", "passed", "failed"]

    chosen = (scenarios()["slow-start"], Few(), Few(changed=1))
    options = RunOptions(chosen, limits.defaults("nginx"), requests=log, keep=keep)
    card = prove(load(EXAMPLE), "nginx", options, lambda _, scenario: watched.append(scenario.name if scenario else ""))
    assert list(card.failed()) == ["broken-url.changed"]
    assert "NGINX has no slow start" in card.results[0].reason
    assert card.mapped, "what differs from the live farm"
    assert kept == [200]
    assert watched == ["broken-url", "broken-url", ""]
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert len(records) == 20, "without the warm-up"
    assert {one["scenario"] for one in records} == {"broken-url"}
    assert {one["status"] for one in records} == {200}
    scratch.assert_empty()


class Destructive(Faulty):
    """A scenario after which the balancer is gone."""

    async def run(self, bench: TestBench) -> Metrics:
        await bench.call(bench.lab.balancer.kill)
        async for one in super().run(bench):
            yield one


def test_scenarios_after_a_farm_that_does_not_recover_are_broken(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "SETTLE_SECONDS", 2.0)
    card = prove_with(scratch, monkeypatch, Destructive(OSError("it broke")), Few(), Few())
    assert [(one.state, one.reason) for one in card.results] == [
        ("broken", "OSError: it broke"),
        ("broken", "the farm did not recover after broken-url"),
        ("broken", "the farm did not recover after broken-url"),
    ]
    scratch.assert_empty()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(NlbgenError("it broke", "repair it"), "it broke: repair it"), (None, "it did not end within 3 s")],
)
def test_broken_scenario_is_reported_and_the_next_one_runs(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch, fault: Exception | None, reason: str
) -> None:
    card = prove_with(scratch, monkeypatch, Faulty(fault), Faulty(NlbgenError("again")))
    assert [one.state for one in card.results] == ["broken", "broken"]
    assert [one.reason for one in card.results] == [reason, "again"]
    assert not card.passed
    assert card.results[0].metrics[0].metric == metric("failed", 0), "metrics before the error are kept"
    scratch.assert_empty()


def test_internal_error_stops_the_lab_and_is_raised(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        prove_with(scratch, monkeypatch, Faulty(ZeroDivisionError()))
    scratch.assert_empty()


# Interruptions


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", ["at the start", "in a scenario", "in another lab"])
@pytest.mark.no_cover  # other tests reach the same lines
def test_interrupted_command_leaves_no_process(run: StartCommand, scratch: Scratch, number: int, moment: str) -> None:
    scenario, sign = {
        "at the start": ("all-down", None),
        "in a scenario": ("all-down", "all nodes are killed"),
        "in another lab": ("slow-start", "is killed"),
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


def test_killed_command_leaves_no_process(run: StartCommand, scratch: Scratch) -> None:
    """After SIGKILL only the guard can stop the processes."""
    process = run("prove", "nginx", "--scenario", "all-down")
    read_until(process, "all nodes are killed")
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


# --keep, --diff, the live view


@pytest.mark.no_cover  # other tests reach the same lines
def test_keep_runs_the_lab_until_it_is_interrupted(run: StartCommand, scratch: Scratch) -> None:
    process = run("prove", "haproxy", "--scenario", "none", "--keep")
    text = read_until(process, "Ctrl-C stops the lab")
    url, ca = found(r"runs at (\S+), with the CA (\S+);", text).groups()
    assert fetch(f"{url}/odata/Jobs", ca=Path(ca)).status == 200
    statistics = found(r"statistics: (\S+)", text)[1]
    assert b"orch-1" in fetch(statistics).body
    command = found(r"curl (http://127\.0\.0\.1:\d+/state) -d '(.*pool_stopped.*)'", text)
    assert fetch(command[1], method="POST", body=command[2].encode()).status == 200
    assert wait_until(lambda: {node(url, ca) for _ in range(4)} == {"orch-2"}, 10)
    pid = int(found(r"orch-2, process (\d+):", text)[1])
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: fetch(f"{url}/odata/Jobs", ca=Path(ca)).status == 503, 10)
    assert "orch-2 restarted" in read_until(process, "restarted")
    process.send_signal(signal.SIGINT)
    code, out, err = ended(process)
    assert code == 0, err
    assert out.endswith("passed: no scenario ran\n")
    scratch.assert_empty()


def found(pattern: str, text: str) -> re.Match[str]:
    match = re.search(pattern, text)
    assert match, text
    return match


def node(url: str, ca: str) -> str:
    return fetch(f"{url}/odata/Jobs", ca=Path(ca)).header("X-Node")


@pytest.mark.no_cover  # other tests reach the same lines
def test_terminal_shows_a_live_view(run: StartCommand, scratch: Scratch) -> None:
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


def test_diff_shows_the_difference_and_runs_no_scenario(run: StartCommand, scratch: Scratch) -> None:
    code, out, err = ended(run("prove", "haproxy", "--diff"))
    assert code == 0, err
    assert out.startswith("--- rendered/haproxy/haproxy.cfg\n+++ lab/haproxy/haproxy.cfg\n")
    assert "-    server orch-1 10.20.0.11:443 weight 100 check" in out
    assert "+    server orch-1 127.0.0.1:" in out
    scratch.assert_empty()
