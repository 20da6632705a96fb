"""What decides about nodes of the running farm without a balancer: hosts, the gate, the event log, the texts."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nlbgen.core.errors import CapacityError, DeviceError, DifferenceError, FileError, UnsupportedError, UsageError
from nlbgen.operate import gate, report
from nlbgen.operate.abilities import ABILITIES, as_markdown, refuse
from nlbgen.operate.changing import Limits, Operator
from nlbgen.operate.contract import Balancer, NodeStatus, Sessions, Wanted
from nlbgen.operate.events import EventLog
from nlbgen.operate.haproxy import Haproxy
from nlbgen.operate.hosts import Reach, connected, shells, vendor_of
from nlbgen.operate.nginx import Nginx, Paths
from nlbgen.operate.pace import Pace
from nlbgen.operate.shell import LocalShell, Output, SshShell
from nlbgen.spec.load import Spec, loads

FARM = """
farm: site
frontend: {{host: orchestrator.corp.example, address: {address}{vip}}}
nodes: [{nodes}]
balancer: {{{balancer}}}
{vendors}
"""
VIP = ", vip: {address: 10.20.0.10/24, interface: eth0, balancers: [10.20.0.5, 10.20.0.6], secret: {env: VRRP}}"


def spec(
    *states: str,
    address: str = "10.20.0.10",
    balancer: str = "",
    vendors: str = 'haproxy: {version: "2.6"}',
    vip: str = "",
) -> Spec:
    nodes = ", ".join(
        f"{{name: orch-{at}, address: 10.20.1.{at}, state: {state}}}" for at, state in enumerate(states, start=1)
    )
    return loads(FARM.format(address=address, nodes=nodes, balancer=balancer, vendors=vendors, vip=vip))


THREE = spec("up", "up", "up")


class Recorded(Balancer):
    """A balancer that keeps its nodes in memory, and fails on request."""

    vendor = "haproxy"

    def __init__(self, name: str = "lb-1", *nodes: NodeStatus, error: BaseException | None = None) -> None:
        self.name = name
        self.nodes = {one.name: one for one in nodes or [node(f"orch-{at}") for at in (1, 2, 3)]}
        self.error = error
        self.ignores = False

    def read(self) -> tuple[NodeStatus, ...]:
        return tuple(self.nodes.values())

    def change(self, node: str, state: Wanted) -> None:
        if self.error is not None:
            raise self.error
        if not self.ignores:
            old = self.nodes[node]
            self.nodes[node] = NodeStatus(node, state, old.health, old.check, old.sessions)


def node(name: str, state: Wanted = "up", health: str = "passing", sessions: Sessions | None = None) -> NodeStatus:
    return NodeStatus(name, state, health, sessions=sessions or Sessions(0))  # type: ignore[arg-type]


def quick() -> Pace:
    return Pace(now=iter(range(10_000)).__next__, sleep=lambda _seconds: None)


def operator(folder: Path, *balancers: Balancer, farm: Spec = THREE) -> Operator:
    return Operator(farm, balancers, EventLog(folder / "log" / "events.jsonl", "site", "CHG-1"), pace=quick())


def logged(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "log" / "events.jsonl").read_text(encoding="utf-8").splitlines()]


# The gate.


@pytest.mark.parametrize(
    "states, balancer, leaving, left",
    [
        (("up", "up", "up"), "", "orch-1", None),
        (("up", "up"), "", "orch-1", None),
        (("up",), "", "orch-1", 0),
        (("up", "drain", "up"), "", "orch-1", 1),
        (("up", "drain", "up"), "minimum: 1", "orch-1", None),
        (("up", "up", "up"), "minimum: 3", "orch-1", 2),
        (("up", "down", "down"), "", "orch-2", None),
    ],
)
def test_gate_refuses_what_leaves_too_few_nodes(
    states: Sequence[Wanted], balancer: str, leaving: str, left: int | None
) -> None:
    farm = spec(*["up"] * len(states), balancer=balancer).farm
    seen = {"lb-1": [node(f"orch-{at}", state) for at, state in enumerate(states, start=1)]}
    if left is None:
        gate.check(farm, seen, leaving)
        return
    with pytest.raises(CapacityError, match=f"without {leaving}, {left} node"):
        gate.check(farm, seen, leaving)


def test_gate_looks_at_every_balancer_and_names_what_to_bring_back() -> None:
    failing = node("orch-2", health="failing")
    seen = {"lb-1": [node("orch-1"), node("orch-2"), node("orch-3")], "lb-2": [node("orch-1"), failing, node("orch-3")]}
    with pytest.raises(CapacityError, match="lb-2: without orch-1") as refused:
        gate.check(THREE.farm, seen, "orch-1")
    assert refused.value.hint is not None
    assert refused.value.hint.startswith("first return orch-2 (up, checks failing) to rotation; or")


def test_minimum_above_the_number_of_nodes_is_an_error() -> None:
    with pytest.raises(Exception, match=r"3 nodes cannot stay in rotation: the farm has 2"):
        spec("up", "up", balancer="minimum: 3")


# Changes.


def test_unknown_node_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no node is named orch-9") as refused:
        operator(tmp_path, Recorded()).up("orch-9", Limits())
    assert refused.value.hint == "the nodes are orch-1, orch-2 and orch-3"


def test_unknown_number_of_sessions_takes_the_whole_wait(tmp_path: Path) -> None:
    balancer = Recorded("lb-1", *(node(f"orch-{at}", sessions=Sessions()) for at in (1, 2, 3)))
    with pytest.raises(DifferenceError, match="orch-1: the number of its sessions is unknown after 5 s"):
        operator(tmp_path, balancer).drain("orch-1", Limits(wait=5))
    operator(tmp_path, balancer).down("orch-1", Limits(wait=5))
    assert balancer.nodes["orch-1"].state == "down"


def test_node_whose_checks_fail_is_reported_after_the_wait(tmp_path: Path) -> None:
    balancer = Recorded("lb-1", NodeStatus("orch-1", "down", "failing", "L7STS/503"), node("orch-2"), node("orch-3"))
    with pytest.raises(
        DifferenceError, match=r"orch-1: does not serve requests after 3 s: lb-1: up, checks failing \(L7STS/503\)"
    ):
        operator(tmp_path, balancer).up("orch-1", Limits(wait=3))


def test_change_that_is_not_read_back_is_an_error_with_the_state_of_both(tmp_path: Path) -> None:
    first, second = Recorded("lb-1"), Recorded("lb-2")
    second.ignores = True
    with pytest.raises(DeviceError, match="lb-2: orch-1 is up after the change to drain") as failed:
        operator(tmp_path, first, second).drain("orch-1", Limits())
    assert "orch-1 now: lb-1: drain; lb-2: up" in failed.value.message
    assert [one["event"] for one in logged(tmp_path)] == ["begin", "failed"]


def test_balancer_that_cannot_be_read_after_a_failure_has_an_unknown_state(tmp_path: Path) -> None:
    class Gone(Recorded):
        def read(self) -> tuple[NodeStatus, ...]:
            if self.error is not None:
                raise DeviceError("lb-2: cannot be reached")
            return super().read()

        def change(self, node: str, state: Wanted) -> None:
            self.error = DeviceError("lb-2: cannot be reached")
            super().change(node, state)

    with pytest.raises(DeviceError, match=r"lb-1: down; lb-2: unknown \(cannot be read\)"):
        operator(tmp_path, Recorded("lb-1"), Gone("lb-2")).down("orch-1", Limits())


class Dying(Recorded):
    """A balancer that answers so many times, and then cannot be reached."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self.left = answers

    def read(self) -> tuple[NodeStatus, ...]:
        self.left -= 1
        if self.left < 0:
            raise DeviceError("lb-1: cannot be reached", "check it")
        return super().read()


@pytest.mark.parametrize(
    ("state", "answers", "outcome"),
    [
        ("drain", 2, "stays drained"),
        ("drain", 3, "stays drained"),
        ("down", 3, "stays drained"),
        ("down", 7, "stays down"),
        ("up", 1, "is up, but it is not known whether its checks pass"),
    ],
)
def test_balancer_that_fails_after_the_change_is_reported_with_the_state_of_the_node(
    tmp_path: Path, state: Wanted, answers: int, outcome: str
) -> None:
    change = operator(tmp_path, Dying(answers))
    action = {"drain": change.drain, "down": change.down, "up": change.up}[state]
    with pytest.raises(DeviceError) as failed:
        action("orch-1", Limits(wait=5))
    assert failed.value.message == f"lb-1: cannot be reached; orch-1 {outcome}"
    assert failed.value.hint == "check it"


def test_balancer_without_the_node_is_named_as_such(tmp_path: Path) -> None:
    other = Recorded("lb-2", node("orch-2"), node("orch-3"))
    with pytest.raises(DeviceError, match=r"orch-1 now: lb-1: up; lb-2: missing"):
        operator(tmp_path, Recorded("lb-1", error=DeviceError("lb-1: refuses")), other).up("orch-1", Limits())


def test_drain_without_a_wait_does_not_report_one(tmp_path: Path) -> None:
    said: list[str] = []
    log = EventLog(tmp_path / "events.jsonl", "site")
    Operator(THREE, (Recorded(),), log, said.append, quick()).drain("orch-1", Limits())
    assert said == ["lb-1: orch-1 is drain"]


def test_single_balancer_that_fails_keeps_its_own_hint(tmp_path: Path) -> None:
    balancer = Recorded(error=DeviceError("lb-1: refuses", "read its log"))
    with pytest.raises(DeviceError) as failed:
        operator(tmp_path, balancer).up("orch-1", Limits())
    assert failed.value.hint == "read its log"


def test_interruption_of_a_change_is_logged(tmp_path: Path) -> None:
    balancer = Recorded(error=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        operator(tmp_path, balancer).up("orch-1", Limits())
    assert [one["event"] for one in logged(tmp_path)] == ["begin", "interrupted"]


class Failing(Recorded):
    """A balancer at which another node fails, or is drained by somebody else, when one of ours has this state."""

    def __init__(self, at: Wanted) -> None:
        super().__init__()
        self.at = at

    def change(self, node: str, state: Wanted) -> None:
        super().change(node, state)
        if state == self.at:
            self.nodes["orch-2"] = NodeStatus("orch-2", "drain", "passing", sessions=Sessions(0))


@pytest.mark.parametrize("at", ["drain", "down"])
def test_node_returns_if_too_few_others_serve_after_the_change(tmp_path: Path, at: Wanted) -> None:
    """Two runs of nlbgen may pass the gate at the same time, or another node may fail during the wait."""
    balancer = Failing(at)
    change = operator(tmp_path, balancer)
    with pytest.raises(
        CapacityError, match=r"without orch-1, 1 node would serve .*orch-1 was returned to rotation"
    ) as refused:
        change.down("orch-1", Limits(wait=5))
    assert balancer.nodes["orch-1"].state == "up"
    assert str(refused.value.hint).startswith("repeat the command later; first return orch-2")
    assert logged(tmp_path)[-1]["state"] == "up"


def test_node_stays_out_with_force_although_too_few_others_serve(tmp_path: Path) -> None:
    balancer = Failing("drain")
    operator(tmp_path, balancer).drain("orch-1", Limits(force=True))
    assert balancer.nodes["orch-1"].state == "drain"


def test_balancer_that_cannot_be_read_names_how_to_change_the_others(tmp_path: Path) -> None:
    class Gone(Recorded):
        def read(self) -> tuple[NodeStatus, ...]:
            raise DeviceError("lb-2: cannot be reached", "check ssh")

    first = Recorded("lb-1")
    with pytest.raises(DeviceError, match="lb-2: cannot be reached") as refused:
        operator(tmp_path, first, Gone("lb-2")).drain("orch-1", Limits())
    assert refused.value.hint == "check ssh; to change only the other balancers, name each with --ssh HOST"
    assert first.nodes["orch-1"].state == "up"


def test_backend_without_closing_of_sessions_raises(tmp_path: Path) -> None:
    del tmp_path
    with pytest.raises(NotImplementedError):
        Recorded().closable("orch-1")
    with pytest.raises(NotImplementedError):
        Recorded().close([])


# The event log.


def test_event_log_that_cannot_be_written_stops_the_change(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file", encoding="utf-8")
    balancer = Recorded()
    with pytest.raises(FileError, match="the event log cannot be written"):
        operator(tmp_path, balancer).drain("orch-1", Limits())
    assert balancer.nodes["orch-1"].state == "up"


def test_event_log_that_fails_after_the_change_names_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    balancer = Recorded()
    monkeypatch.setattr("os.write", full_after(b'"changed"'))
    with pytest.raises(FileError, match="No space left on device; orch-1 is drain at lb-1"):
        operator(tmp_path, balancer).drain("orch-1", Limits())
    assert [one["event"] for one in logged(tmp_path)] == ["begin"], "no part of a line stays"


def test_event_log_that_fails_keeps_the_error_of_the_balancer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.write", full_after(b'"failed"'))
    balancer = Recorded(error=DeviceError("lb-1: refuses", "read its log"))
    with pytest.raises(DeviceError, match="lb-1: refuses") as failed:
        operator(tmp_path, balancer).drain("orch-1", Limits())
    assert "the event log cannot be written: No space left on device" in failed.value.message


def full_after(event: bytes) -> Callable[[int, bytes], int]:
    """Return an os.write of a disk that is full in the middle of the line with this event."""
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        return real(descriptor, data[:20] if event in data else data)

    return write


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of POSIX")
@pytest.mark.timeout(20)
def test_event_log_that_is_a_named_pipe_is_refused(tmp_path: Path) -> None:
    """Without a reader, it would never open."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="it is a named pipe, not a regular file"):
        EventLog(tmp_path / "pipe", "site").write("begin")


def test_event_has_who_when_and_why_on_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "kim")
    log = EventLog(tmp_path / "events.jsonl", "site", "CHG-1\nforged")
    log.write("changed", node="orch-1")
    log.write("changed", node="orch-2")
    first, second = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    event = json.loads(first)
    assert (event["user"], event["ticket"], event["farm"], event["node"]) == ("kim", "CHG-1\nforged", "site", "orch-1")
    assert event["time"].endswith("Z")
    assert json.loads(second)["node"] == "orch-2"
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "events.jsonl").stat().st_mode) & 0o007 == 0


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found"), ImportError("pwd")], ids=["linux", "windows"])
def test_event_of_a_user_without_a_name_is_still_written(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unnamed() -> str:
        raise error

    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr("getpass.getuser", unnamed)
    EventLog(tmp_path / "e.jsonl", "site").write("changed")
    assert json.loads((tmp_path / "e.jsonl").read_text(encoding="utf-8"))["user"] == "unknown"


# Hosts.


def test_hosts_are_those_of_the_spec_or_of_the_command_line() -> None:
    assert [shell.name for shell in shells(spec("up", "up", vip=VIP), Reach())] == ["10.20.0.5", "10.20.0.6"]
    assert [shell.name for shell in shells(THREE, Reach())] == ["10.20.0.10"]
    assert [shell.name for shell in shells(THREE, Reach(hosts=("ops@lb", "ops@lb")))] == ["ops@lb"]
    assert [shell.name for shell in shells(THREE, Reach(local=True))] == ["this machine"]
    with pytest.raises(UsageError, match="the balancer's host is not known"):
        shells(spec("up", "up", address='"*"'), Reach())
    with pytest.raises(UsageError, match="--local and --ssh cannot be combined"):
        shells(THREE, Reach(hosts=("lb",), local=True))


@pytest.mark.parametrize("host", ["", "-oProxyCommand=x", "a b", "a\nb"])
def test_host_that_is_an_option_or_no_word_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match="is not a host for ssh"):
        SshShell(host)


def test_vendor_is_the_only_one_of_the_spec_or_the_requested_one() -> None:
    both = spec("up", "up", vendors='haproxy: {version: "2.6"}\nnginx: {version: "1.22"}')
    assert vendor_of(THREE, "") == "haproxy"
    assert vendor_of(both, "nginx") == "nginx"
    with pytest.raises(UsageError, match="the spec names haproxy and nginx"):
        vendor_of(both, "")
    with pytest.raises(UsageError, match="the spec names no vendor"):
        vendor_of(spec("up", "up", vendors=""), "")


def test_balancers_are_made_for_the_vendor() -> None:
    with connected(THREE, Reach()) as found:
        assert [type(one) for one in found] == [Haproxy]
    with connected(THREE, Reach(vendor="nginx", local=True)) as found:
        assert [type(one) for one in found] == [Nginx]
    with (
        pytest.raises(UsageError, match="f5: nlbgen uses the API of the device"),
        connected(THREE, Reach(vendor="f5", local=True)),
    ):
        pass


# Commands on hosts.


def test_command_that_is_missing_is_named_with_its_host() -> None:
    with pytest.raises(DeviceError, match="lb-1: nlbgen-no-such-program is not installed"):
        LocalShell(name="lb-1").run(["nlbgen-no-such-program"])


@pytest.mark.skipif(sys.platform == "win32", reason="NGINX's host has cat; this test uses this machine's")
def test_nginx_whose_configuration_cannot_be_read_is_reported(tmp_path: Path) -> None:
    absent = str(tmp_path / "nginx.conf")
    balancer = Nginx(THREE, LocalShell(name="lb-1"), Paths(config=absent))
    with pytest.raises(DeviceError, match=f"lb-1: {absent} cannot be read: .*No such file or directory") as refused:
        balancer.read()
    assert refused.value.hint == "check the host and the path"


def test_sudo_does_not_prompt() -> None:
    ran: list[Sequence[str]] = []

    def run(command: Sequence[str], **_options: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("subprocess.run", run)
        LocalShell(sudo=True).run(["socat", "-"])
        SshShell("lb", sudo=True).run(["socat", "-"])
    assert ran[0] == ["sudo", "-n", "--", "socat", "-"]
    assert ran[1][-3:] == ["--", "lb", "sudo -n -- socat -"]


@pytest.mark.parametrize(
    "outcome, message",
    [
        (
            subprocess.CompletedProcess([], 255, "", "Permission denied (publickey).\n"),
            "lb: cannot be reached by ssh: Perm",
        ),
        (
            subprocess.CompletedProcess([], 127, "", "sh: socat: not found"),
            "lb: socat cannot be run: sh: socat: not found",
        ),
        (subprocess.TimeoutExpired([], 60), "lb: ssh has not ended after 60 s"),
        (PermissionError(13, "Permission denied"), "lb: ssh cannot be run: Permission denied"),
    ],
)
def test_command_that_fails_to_run_is_a_device_error(
    outcome: object, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, **_options: object) -> object:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr("subprocess.run", run)
    with pytest.raises(DeviceError, match=message.replace("(", r"\(")):
        SshShell("lb").run(["socat", "-"])


def test_reason_of_a_command_is_one_printable_line() -> None:
    assert Output(3, "", "a\nb\x1b[31m\n").reason == "a b\\x1b[31m"
    assert Output(3, "", "").reason == "exit code 3"


# Texts.


def test_status_shows_spec_and_running_state() -> None:
    farm = spec("up", "drain", "backup").farm
    seen = {
        "lb-1": [
            NodeStatus("orch-1", "up", "failing", "L4CON", Sessions(12, 9, 2), 90_061),
            NodeStatus("orch-2", "out", "unchecked", "", Sessions(), None),
            NodeStatus("orch-3", "up", "passing", "", Sessions(3, 0, 0), 0),
        ]
    }
    assert report.text(farm, seen).splitlines() == [
        "balancer  node    spec    state          checks          sessions                          since",
        "lb-1      orch-1  up      up             failing: L4CON  12 (9 SignalR, 2 in old workers)  1d 1h",
        "lb-1      orch-2  drain   drain or down  unchecked       unknown                           -",
        "lb-1      orch-3  backup  up             passing         3                                 0s",
        "1 of 3 nodes serve; balancer.minimum is 1",
    ]
    assert report.differs(farm, seen)
    seen["lb-1"][0] = node("orch-1")
    assert not report.differs(farm, seen), "a drained device node and a backup node are as in the spec"
    without = {"lb-1": seen["lb-1"][:2]}
    assert report.differs(farm, without), "a node is missing"
    assert report.text(farm, without).splitlines()[3].split() == ["lb-1", "orch-3", "backup", "missing", "-", "-", "-"]


def test_status_has_the_notes_and_the_balancers_that_cannot_be_read() -> None:
    farm = spec("up", "up").farm
    seen = {"lb-1": [NodeStatus(f"orch-{at}", "up", "passing", note="it was interrupted") for at in (1, 2)]}
    assert report.differs(farm, seen)
    assert report.text(farm, seen, ["lb-2", "lb-3"]).splitlines()[-2:] == [
        "lb-1: it was interrupted",
        "2 of 2 nodes serve at lb-1 (lb-2, lb-3 cannot be read); balancer.minimum is 1",
    ]
    assert report.data(farm, seen, {"lb-2": "it is gone"})["unread"] == [{"name": "lb-2", "reason": "it is gone"}]


def test_every_vendor_has_an_answer_for_every_ability() -> None:
    table = as_markdown()
    assert all(row.title in table and len(row.vendors) == 4 for row in ABILITIES.values())
    refuse(THREE, "haproxy", "spread")
    with pytest.raises(UnsupportedError, match="zapi cannot close single connections"):
        refuse(THREE, "zen", "spread")
