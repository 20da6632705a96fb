"""The command line of `nlbgen nodes status`, `drain`, `down` and `up`, with a balancer in memory."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from nlbgen.commands import console, running
from nlbgen.commands.nodes import command as nodes
from nlbgen.core.errors import CapacityError, DeviceError, UsageError
from nlbgen.operate import hosts
from nlbgen.operate.contract import Balancer, NodeStatus, Sessions, Wanted
from nlbgen.operate.haproxy import Sockets
from nlbgen.operate.hosts import Reach
from nlbgen.operate.nginx import Paths
from nlbgen.spec.load import Spec

FARM = """
farm: site
frontend: {host: orchestrator.corp.example, address: 10.20.0.10}
nodes: [{name: orch-1, address: 10.20.1.1}, {name: orch-2, address: 10.20.1.2}, {name: orch-3, address: 10.20.1.3}]
haproxy: {version: "2.6"}
"""


class Memory(Balancer):
    """One balancer with three nodes."""

    name, vendor = "lb-1", "haproxy"

    def __init__(self) -> None:
        self.states: dict[str, Wanted] = {"orch-1": "up", "orch-2": "up", "orch-3": "up"}
        self.reached: list[Reach] = []

    def read(self) -> tuple[NodeStatus, ...]:
        return tuple(NodeStatus(name, state, "passing", "", Sessions(0), 7) for name, state in self.states.items())

    def change(self, node: str, state: Wanted) -> None:
        self.states[node] = state


@pytest.fixture
def balancer(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """The balancer to which every command connects."""
    made = Memory()

    @contextmanager
    def connected(_spec: Spec, reach: Reach) -> Iterator[tuple[Balancer, ...]]:
        made.reached.append(reach)
        yield (made,)

    monkeypatch.setattr(hosts, "connected", connected)
    return made


def run(folder: Path, *arguments: str) -> Result:
    (folder / "farm.yaml").write_text(FARM, encoding="utf-8")
    name, *others = arguments
    log = [] if name == "status" else ["--log", str(folder / "events.jsonl")]
    return CliRunner().invoke(nodes, [name, "-s", str(folder / "farm.yaml"), *log, *others])


def states(balancer: Memory) -> list[str]:
    return [one.state for one in balancer.read()]


def test_states_change_and_the_status_shows_it(balancer: Memory, tmp_path: Path) -> None:
    assert run(tmp_path, "status").exit_code == 0
    assert run(tmp_path, "drain", "orch-1", "--yes").exit_code == 0
    assert states(balancer) == ["drain", "up", "up"]
    assert run(tmp_path, "down", "orch-1", "--yes", "--wait", "1s").exit_code == 0
    assert states(balancer) == ["down", "up", "up"]
    shown = run(tmp_path, "status")
    assert isinstance(shown.exception, console.Exit)
    assert shown.stdout.splitlines()[1].split() == ["lb-1", "orch-1", "up", "down", "passing", "0", "7s"]
    data = json.loads(run(tmp_path, "status", "--format", "json").stdout)
    assert (data["minimum"], data["balancers"][0]["nodes"][0]["serves"]) == (2, False)
    assert isinstance(run(tmp_path, "drain", "orch-2", "--yes").exception, CapacityError)
    assert run(tmp_path, "up", "orch-1", "--yes", "--wait", "5").exit_code == 0
    assert states(balancer) == ["up", "up", "up"]


def test_change_asks_first(balancer: Memory, tmp_path: Path) -> None:
    refused = run(tmp_path, "up", "orch-1")
    assert isinstance(refused.exception, UsageError)
    assert balancer.states["orch-1"] == "up"
    assert not (tmp_path / "events.jsonl").exists()


def test_status_is_a_table_on_a_terminal(balancer: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    balancer.states["orch-2"] = "drain"
    monkeypatch.setattr(console, "drawable", lambda _stream: True)
    shown = run(tmp_path, "status").stdout
    assert "balancer" in shown
    assert "drain" in shown
    assert "2 of 3 nodes serve; balancer.minimum is 2" in shown


def test_status_of_a_pair_shows_the_balancer_that_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Memory):
        name = "lb-2"

        def read(self) -> tuple[NodeStatus, ...]:
            raise DeviceError("lb-2: cannot be reached by ssh", "check ssh lb-2")

    @contextmanager
    def connected(_spec: Spec, _reach: Reach) -> Iterator[tuple[Balancer, ...]]:
        yield balancers

    monkeypatch.setattr(hosts, "connected", connected)
    balancers: tuple[Balancer, ...] = (Gone(), Memory())
    shown = run(tmp_path, "status")
    assert isinstance(shown.exception, console.Exit)
    assert shown.exception.status == 6
    assert "3 of 3 nodes serve at lb-1 (lb-2 cannot be read)" in shown.stdout
    assert "nlbgen: lb-2: cannot be reached by ssh\n    check ssh lb-2\n" in shown.output
    data = json.loads(run(tmp_path, "status", "--format", "json").stdout)
    assert data["unread"] == [{"name": "lb-2", "reason": "lb-2: cannot be reached by ssh"}]
    balancers = (Gone(),)
    assert isinstance(run(tmp_path, "status").exception, DeviceError)


def test_change_continues_if_standard_error_is_closed(
    balancer: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_text: str) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(console, "info", closed)
    assert run(tmp_path, "drain", "orch-1", "--yes").exit_code == 0
    assert balancer.states["orch-1"] == "drain"
    assert "changed" in (tmp_path / "events.jsonl").read_text(encoding="utf-8")


@pytest.mark.usefixtures("balancer")
def test_watch_repeats_until_it_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    shown = run(tmp_path, "status", "--watch")
    assert shown.stdout.count("3 of 3 nodes serve") == 3
    assert slept == [2.0] * 3


def test_options_say_how_the_balancers_are_reached(balancer: Memory, tmp_path: Path) -> None:
    run(
        tmp_path, "status", "--ssh", "ops@lb-1", "--ssh", "lb-2", "--sudo", "--vendor", "nginx", "--socket", "/a",
        "--nginx-config", "/etc/n.conf", "--reload-command", "service 'my nginx' reload", "--sync", "pair",
    )  # fmt: skip
    paths = Paths(config="/etc/n.conf", reload=("service", "my nginx", "reload"))
    sockets = Sockets("/a", Sockets().master)
    assert balancer.reached == [Reach("nginx", ("ops@lb-1", "lb-2"), False, True, sockets, paths, "pair")]
    run(tmp_path, "status", "--local", "--nginx-config", "/x")
    assert balancer.reached[1].paths == Paths(config="/x")
    assert balancer.reached[1].local


@pytest.mark.usefixtures("balancer")
@pytest.mark.parametrize(
    "arguments, message",
    [
        (["drain", "orch-1", "--wait", "5", "--for", "10"], "--wait is shorter than --for"),
        (["status", "--reload-command", "a 'b"], "--reload-command: No closing quotation"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    error = run(tmp_path, *arguments).exception
    assert isinstance(error, UsageError)
    assert message in error.message


@pytest.mark.usefixtures("balancer")
def test_time_without_a_unit_is_in_seconds_and_an_unknown_unit_is_refused(tmp_path: Path) -> None:
    assert run(tmp_path, "up", "orch-1", "--yes", "--wait", "0").exit_code == 0
    refused = run(tmp_path, "up", "orch-1", "--yes", "--wait", "5 parsecs")
    assert refused.exit_code == 2
    assert "or write a number of seconds" in refused.output


def test_node_is_completed_from_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def completed(incomplete: str) -> list[str]:
        context = click.Context(running.drain, info_name="drain")
        argument = next(one for one in running.drain.params if one.name == "node")
        return [item.value for item in argument.shell_complete(context, incomplete)]

    monkeypatch.chdir(tmp_path)
    assert completed("") == []
    (tmp_path / "farm.yaml").write_text(FARM, encoding="utf-8")
    assert completed("orch-") == ["orch-1", "orch-2", "orch-3"]
    assert completed("orch-2") == ["orch-2"]
