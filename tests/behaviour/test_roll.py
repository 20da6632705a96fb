"""`nlbgen roll` on the real HAProxy and NGINX: under load, with failures, and killed at every step."""

import json
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nlbgen.core.errors import CapacityError, DifferenceError
from nlbgen.net.waiting import wait_until
from nlbgen.operate import journal
from nlbgen.operate.changing import Limits
from nlbgen.operate.rolling import Roll, Times

from .conftest import FarmLab, StartFarm
from .roll_driver import INTERRUPTED
from .test_operate import THREE, at, balancer_of, operator_of

DRIVER = Path(__file__).parent / "roll_driver.py"
TIMES = Times(limit=10, pause=0, health=20, back=20)
NAMES = ("orch-1", "orch-2", "orch-3")


class Load:
    """Clients that request pages without a pause, and keep what failed."""

    def __init__(self, lab: FarmLab) -> None:
        self.lab = lab
        self.done = 0
        self.failed: list[str] = []
        self.fewest = len(NAMES)
        self._ends = threading.Event()

    def requests(self) -> None:
        while not self._ends.wait(0.01):
            try:
                status = self.lab.get().status
            except Exception as error:
                self.failed.append(repr(error))
            else:
                self.done += 1
                if status != 200:
                    self.failed.append(str(status))

    def watch(self) -> None:
        """Keep the lowest number of nodes in rotation."""
        while not self._ends.wait(0.05):
            rows = [row.split(",") for row in self.lab.runtime("show stat").splitlines()]
            states = [row[17] for row in rows if row[0].endswith("_web") and row[1] in NAMES]
            if len(states) == len(NAMES):
                self.fewest = min(self.fewest, sum(state.startswith("UP") for state in states))

    @contextmanager
    def running(self, *work: str) -> "Iterator[Load]":
        threads = [threading.Thread(target=getattr(self, name)) for name in work]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._ends.set()
            for thread in threads:
                thread.join()


def settled(lab: FarmLab) -> FarmLab:
    assert wait_until(lambda: all(node.serves for node in balancer_of(lab).read()), 15), balancer_of(lab).read()
    return lab


def roll_of(lab: FarmLab, folder: Path) -> Roll:
    made = journal.started(folder / "roll.json", "farm", ["restart", "{node}"], NAMES)

    def command(words: Sequence[str], _seconds: float) -> int:
        lab.node(words[1]).restart()
        return 0

    return Roll(operator_of(lab, folder), made, TIMES, run_command=command)


@pytest.mark.no_cover  # other tests reach the same lines
def test_rolling_restart_under_load_fails_no_request(farm: StartFarm, vendor: str, tmp_path: Path) -> None:
    lab = settled(farm(vendor, THREE))
    before = {node.name: node.pid for node in lab.nodes}
    with Load(lab).running("requests", "requests", *["watch"] * (vendor == "haproxy")) as load:
        roll_of(lab, tmp_path).run()
    assert load.failed == []
    assert load.done > 50
    assert load.fewest >= 2
    assert all(node.pid != before[node.name] for node in lab.nodes), "each node was restarted"
    assert all(node.serves for node in balancer_of(lab).read())
    assert journal.read(tmp_path / "roll.json") is None


def test_node_that_stays_unhealthy_stops_the_roll_and_stays_down(farm: StartFarm, vendor: str, tmp_path: Path) -> None:
    lab = settled(farm(vendor, THREE))

    def command(words: Sequence[str], _seconds: float) -> int:
        lab.node(words[1]).set(pool_stopped=words[1] == "orch-2")
        return 0

    made = journal.started(tmp_path / "roll.json", "farm", ["patch", "{node}"], NAMES)
    times = Times(limit=5, pause=0, health=2, back=20)
    with pytest.raises(DifferenceError, match=r"orch-2: its health endpoint \(/api/Status/Get\) does not") as stop:
        Roll(operator_of(lab, tmp_path), made, times, run_command=command).run()
    assert stop.value.hint is not None
    assert "repair orch-2, then `nlbgen roll --resume" in stop.value.hint
    assert [at(lab, name).state for name in NAMES] == ["up", "down", "up"]
    lab.node("orch-2").set(pool_stopped=False)
    found = journal.resumed(tmp_path / "roll.json", "farm")
    assert [entry.step for entry in found.entries] == ["done", "ran", "waiting"]
    Roll(operator_of(lab, tmp_path), found, TIMES, run_command=lambda *_: 0).run()
    assert all(node.serves for node in balancer_of(lab).read())


def test_command_that_fails_leaves_its_node_down_and_the_others_up(farm: StartFarm, tmp_path: Path) -> None:
    lab = settled(farm("haproxy", THREE))
    made = journal.started(tmp_path / "roll.json", "farm", ["false", "{node}"], NAMES)
    with pytest.raises(DifferenceError, match="orch-1: the command failed with exit code 1; the node stays down"):
        Roll(operator_of(lab, tmp_path), made, TIMES).run()
    assert [at(lab, name).state for name in NAMES] == ["down", "up", "up"]
    lab.node("orch-2").set(pool_stopped=True)
    try:
        assert wait_until(lambda: not at(lab, "orch-2").serves, 15)
        waiting = journal.Journal(tmp_path / "other.json", "farm", ("true", "{node}"), (journal.Entry("orch-3"),))
        with pytest.raises(CapacityError):
            Roll(operator_of(lab, tmp_path), waiting, TIMES).run()
        assert at(lab, "orch-3").state == "up"
    finally:
        lab.node("orch-2").set(pool_stopped=False)


def test_node_that_was_drained_before_returns_to_drain(farm: StartFarm, tmp_path: Path) -> None:
    lab = settled(farm("haproxy", THREE))
    operator_of(lab, tmp_path).drain("orch-3", Limits())
    made = journal.started(tmp_path / "roll.json", "farm", ["true", "{node}"], ["orch-3"])
    Roll(operator_of(lab, tmp_path), made, TIMES).run()
    assert at(lab, "orch-3").state == "drain"


def cut_rolls(lab: FarmLab, folder: Path, stride: int, number: signal.Signals) -> list[dict[str, Any]]:
    """Run rolling changes of two nodes that are cut at every `stride`th step and resumed; return the rounds."""
    plan = {
        "folder": str(folder),
        "vendor": lab.generator.name,
        "stride": stride,
        "signal": int(number),
        "lab": str(lab.folder),
        "program": str(lab.program),
        "http_port": lab.http_port,
    }
    (folder / "spec").write_bytes(pickle.dumps(lab.spec))
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(folder / "plan.json")],
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    rounds: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    expected = -number if number == signal.SIGKILL else INTERRUPTED
    assert [one["killed"] for one in rounds] == [expected] * (len(rounds) - 1) + [0], done.stderr
    assert [one["resumed"] for one in rounds] == [0] * len(rounds), done.stderr
    for one in rounds:
        assert list(dict.fromkeys(one["ran"])) == list(NAMES[:2]), "each node in order"
        assert len(one["ran"]) <= 3, "only the command that was interrupted is repeated"
    return rounds


@pytest.mark.slow
@pytest.mark.parametrize(
    "stride, number",
    [
        (5, signal.SIGKILL),
        pytest.param(1, signal.SIGKILL, marks=pytest.mark.long),
        pytest.param(1, signal.SIGINT, marks=pytest.mark.long),
    ],
)
@pytest.mark.no_cover  # other tests reach the same lines
def test_roll_that_is_cut_at_any_step_keeps_the_minimum_and_the_next_run_completes(
    farm: StartFarm, tmp_path: Path, stride: int, number: signal.Signals
) -> None:
    lab = settled(farm("haproxy", THREE))
    with Load(lab).running("requests", "watch") as load:
        rounds = cut_rolls(lab, tmp_path, stride, number)
    assert len(rounds) * stride > 20, "the steps of two nodes"
    assert load.failed == []
    assert load.fewest >= 2
    assert all(node.serves for node in balancer_of(lab).read())


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.nginx
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("stride", [4, 1])
def test_roll_on_nginx_that_is_killed_at_any_step_fails_no_request_and_the_next_run_completes(
    farm: StartFarm, tmp_path: Path, stride: int
) -> None:
    lab = settled(farm("nginx", THREE))
    before = lab.configuration.read_bytes()
    with Load(lab).running("requests") as load:
        rounds = cut_rolls(lab, tmp_path, stride, signal.SIGKILL)
    assert len(rounds) * stride > 16, "the steps of two nodes"
    assert load.failed == []
    assert lab.configuration.read_bytes() == before
    assert not list(lab.folder.glob("*nlbgen-*")), "no files are left"
    assert all(node.serves for node in balancer_of(lab).read())
