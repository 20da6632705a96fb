"""`nlbgen drift`: the report, the metrics and the exit codes."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
import yaml

from nlbgen.commands.drift import command
from nlbgen.core.errors import DeviceError
from nlbgen.drift import haproxy, here, sockets
from nlbgen.drift.farm import Options as Places
from nlbgen.drift.farm import drift, subjects_of
from nlbgen.drift.here import Here
from nlbgen.drift.machine import machine
from nlbgen.drift.remote import Remote
from nlbgen.drift.report import MOST_SHOWN, Difference, Machine, Report, Subject, UnreachedError
from nlbgen.drift.textfile import metrics
from nlbgen.generators.base import Site, generator, render
from nlbgen.generators.digest import digest_of, found_in, unchanged
from nlbgen.generators.haproxy.generator import structure
from nlbgen.operate.shell import Output
from nlbgen.spec.load import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from nlbgen.spec.load import Spec
    from tests.conftest import RunCommand, RunOnTerminal

    FarmData = Callable[..., dict[str, Any]]

EXAMPLES = Path(__file__).parents[2] / "examples"
REPORT = Report(
    "f",
    (
        Subject("haproxy"),
        Subject("nginx", (Difference("x", "1", "2"), Difference("y", "3", "4"))),
        Subject("f5", unreached="it is gone", hint="look for it"),
    ),
    (Machine("", 3, "10.0.0.1", holds_address=False),),
)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example farm with the files of its nodes."""
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    return tmp_path


# The report


@pytest.mark.parametrize(
    "subjects, code",
    [
        ((Subject("a"),), 0),
        ((Subject("a", (Difference("x", "1", "2"),)),), 1),
        ((Subject("a", unreached="r"), Subject("b", (Difference("x", "1", "2"),))), 6),
    ],
)
def test_exit_code_follows_the_worst_subject(subjects: tuple[Subject, ...], code: int) -> None:
    assert Report("f", subjects).exit_code == code


def test_text_has_a_line_for_each_difference_and_each_reason() -> None:
    assert REPORT.text().splitlines() == [
        "haproxy: no difference",
        "nginx: x: expected 1, found 2",
        "nginx: y: expected 3, found 4",
        "f5: not compared: it is gone",
        "    look for it",
    ]
    assert REPORT.summary() == "2 subjects compared: 2 differences; 1 subject not compared"
    assert Report("f", (Subject("a"),)).summary() == "1 subject compared: no difference"
    assert Report("f", (Subject("a", unreached="x"),)).summary() == "no subject could be compared"


def test_text_escapes_what_a_device_answers() -> None:
    assert "\x1b" not in Report("f", (Subject("a", (Difference("\x1b[2J", "1", "2"),)),)).text()


def test_text_shows_no_more_than_a_page_of_one_subject() -> None:
    many = tuple(Difference(str(n), "1", "2") for n in range(MOST_SHOWN + 2))
    assert Report("f", (Subject("a", many),)).text().splitlines()[-1] == "a: 2 more differences"


def test_metrics_have_a_sample_for_each_fact() -> None:
    assert metrics(REPORT, 1000.5).decode().splitlines() == [
        "# HELP nlbgen_drift_differences Differences between what runs and the spec.",
        "# TYPE nlbgen_drift_differences gauge",
        'nlbgen_drift_differences{subject="haproxy"} 0',
        'nlbgen_drift_differences{subject="nginx"} 2',
        "# HELP nlbgen_drift_reached Whether the subject could be compared.",
        "# TYPE nlbgen_drift_reached gauge",
        'nlbgen_drift_reached{subject="haproxy"} 1',
        'nlbgen_drift_reached{subject="nginx"} 1',
        'nlbgen_drift_reached{subject="f5"} 0',
        "# HELP nlbgen_drift_time_seconds When the comparison ended.",
        "# TYPE nlbgen_drift_time_seconds gauge",
        "nlbgen_drift_time_seconds 1000.5",
        "# HELP nlbgen_old_workers Workers that a reload replaced and that still have connections.",
        "# TYPE nlbgen_old_workers gauge",
        "nlbgen_old_workers 3",
        "# HELP nlbgen_vip_held Whether the machine holds the shared address.",
        "# TYPE nlbgen_vip_held gauge",
        'nlbgen_vip_held{address="10.0.0.1"} 0',
    ]


def test_metrics_leave_out_what_is_unknown() -> None:
    text = metrics(Report("f", (Subject("f5", unreached="r"),)), 1).decode()
    assert "nlbgen_drift_differences" not in text
    assert "nlbgen_old_workers" not in text


@pytest.mark.prometheus
def test_promtool_accepts_the_metrics() -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=metrics(REPORT, 1), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# The digest


def test_digest_ignores_comments_and_itself() -> None:
    text = "# a\nx 1;\n  # b\ny nlbgen-digest-0123456789abcdef;\n"
    assert digest_of(text, unchanged) == digest_of("x 1;\ny nlbgen-digest-ffffffffffffffff;\n", unchanged)
    assert digest_of(text, unchanged) != digest_of(text.replace("x 1", "x 2"), unchanged)
    assert (found_in(text), found_in("nlbgen-digest-12")) == ("nlbgen-digest-0123456789abcdef", "")


def test_digest_of_haproxy_does_not_depend_on_weights_and_states(make_spec: "Callable[..., Spec]") -> None:
    def rendered(**node: object) -> str:
        nodes = [{"name": "orch-1", "address": "10.20.0.11", **node}, {"name": "orch-2", "address": "10.20.0.12"}]
        files = render(generator("haproxy"), make_spec(nodes=nodes))
        return next(file.content.decode() for file in files if file.main)

    plain = rendered()
    assert digest_of(plain, structure) == found_in(plain)
    for node in ({"weight": 7}, {"state": "drain"}, {"state": "down"}):
        assert found_in(rendered(**node)) == found_in(plain)
    for node in ({"port": 8443}, {"state": "backup"}):
        assert found_in(rendered(**node)) != found_in(plain)


def test_digest_of_nginx_depends_on_the_nodes(make_spec: "Callable[..., Spec]") -> None:
    def rendered(weight: int) -> str:
        nodes = [{"name": "a", "address": "10.20.0.11", "weight": weight}, {"name": "b", "address": "10.20.0.12"}]
        files = render(generator("nginx"), make_spec(nodes=nodes, accept=["nginx-active-health", "nginx-queue"]))
        return next(file.content.decode() for file in files if file.main)

    assert found_in(rendered(1)) == digest_of(rendered(1), unchanged)
    assert found_in(rendered(1)) != found_in(rendered(2))


# Subjects


def test_subjects_are_those_of_the_spec(make_spec: "Callable[..., Spec]", example: Path) -> None:
    assert subjects_of(load(example / "farm.yaml")) == ("haproxy", "nginx", "zen", "f5", "nodes")
    assert subjects_of(make_spec()) == ("haproxy", "nginx")
    assert subjects_of(make_spec(nginx={"version": "1.22"})) == ("nginx",)


def test_vendor_that_does_not_support_the_farm_is_not_compared(make_spec: "Callable[..., Spec]") -> None:
    (subject,) = drift(make_spec(balancer={"slow_start": "30s"}), ["nginx"], Places()).subjects
    assert "slow_start" in subject.unreached
    assert subject.hint == "nlbgen render nginx"


def test_machine_has_facts_only_with_a_program(make_spec: "Callable[..., Spec]", tmp_path: Path) -> None:
    vip = {
        "address": "127.0.0.1/24",
        "interface": "lo",
        "balancers": ["10.0.0.3", "10.0.0.4"],
        "secret": {"env": "VRRP"},
    }
    shared = make_spec(frontend={"address": "127.0.0.1", "vip": vip}).farm
    assert machine(shared, ["f5", "nodes"], Here(), tmp_path) == Machine()
    assert machine(shared, ["haproxy"], Here(), tmp_path / "x") == Machine("", None, "127.0.0.1", holds_address=True)
    assert machine(make_spec().farm, ["haproxy"], Here(), tmp_path / "x") == Machine()
    # No process of NGINX is in this folder, but the workers of HAProxy are unknown: 0 would not be true.
    assert machine(make_spec().farm, ["haproxy", "nginx"], Here(tmp_path), tmp_path / "x").old_workers is None


def test_answer_of_haproxy_that_is_truncated_is_not_compared() -> None:
    """Otherwise, the nodes that are missing in it would be differences."""
    place = Remote(Host(socat=Output(0, "1\n# be_id be_name srv_id", "")))
    with pytest.raises(UnreachedError, match="HAProxy's answer at /s to show info is incomplete"):
        haproxy.differences(load(EXAMPLES / "farm.yaml"), Site(), place, Path("/s"), Path("/f"))


@pytest.mark.parametrize("answer", ["", "2\n# be_id be_name\n", "1\n# be_id be_name srv_name\n"])
def test_unknown_format_of_haproxy_is_reported(answer: str) -> None:
    with pytest.raises(UnreachedError, match="unknown format"):
        haproxy.servers(answer)


def test_system_without_unix_sockets_cannot_ask_haproxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr("socket.AF_UNIX")
    with pytest.raises(UnreachedError, match="this system has no Unix sockets"):
        sockets.ask(tmp_path / "admin.sock", "show info", "HAProxy")


@contextmanager
def listener(path: Path, parts: "Iterable[bytes]") -> Iterator[None]:
    """A Unix socket at which a program accepts one connection, sends these parts, and closes it."""

    def serve() -> None:
        with server.accept()[0] as peer, suppress(OSError):
            peer.recv(100)
            for part in parts:
                peer.sendall(part)
                time.sleep(0.01)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([b"x"] * 300, "no complete answer within 0.05 s"),
        ([], "it closed the connection without an answer"),
        ([b"x" * 2000], "the answer at .* to show info is longer than 1,000 bytes"),
    ],
    ids=["drips", "is silent", "is long"],
)
def test_socket_without_a_complete_answer_is_not_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, parts: list[bytes], reason: str
) -> None:
    monkeypatch.setattr(sockets, "SECONDS", 0.05)
    monkeypatch.setattr(sockets, "LONGEST", 1000)
    path = tmp_path / "admin.sock"
    with listener(path, parts), pytest.raises(UnreachedError, match=reason):
        sockets.ask(path, "show info", "HAProxy")


def test_socket_whose_path_is_too_long_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreachedError, match=r"does not answer at .*: AF_UNIX path too long"):
        sockets.ask(tmp_path / ("x" * 200), "show info", "HAProxy")


def test_nginx_that_drips_its_answer_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "SECONDS", 0.05)

    def serve() -> None:
        with server.accept()[0] as peer, suppress(OSError):
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n")
            for _ in range(300):
                peer.sendall(b"x")
                time.sleep(0.01)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(UnreachedError, match=r"/digest: no response within 0\.05 s"):
            Here().digest_of_nginx(server.getsockname()[1])
        thread.join()


FIB = """Main:
  +-- 0.0.0.0/0 3 0 5
     +-- 10.20.0.0/24 2 0 2
           |-- 10.20.0.8
              /32 host LOCAL
           |-- 10.20.0.10
              /32 host LOCAL
        |-- 10.20.0.255
           /32 link BROADCAST
"""


@pytest.mark.parametrize(
    "address, held",
    [
        ("10.20.0.8", True),
        ("10.20.0.10", True),  # a second address in the same network, as keepalived adds it
        ("10.20.0.1", False),
        ("10.20.0.255", False),
        ("2001:db8::10", True),
        ("2001:db8::1", False),
    ],
)
def test_address_of_this_machine_is_found_in_the_tables_of_linux(address: str, held: bool, tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "fib_trie").write_text(FIB, encoding="ascii")
    line = "20010db8000000000000000000000010 02 40 00 80     eth0\n"
    (tmp_path / "net" / "if_inet6").write_text(line, encoding="ascii")
    assert Here(tmp_path).holds(address) is held


def test_address_is_found_without_the_tables_of_linux(tmp_path: Path) -> None:
    assert [Here(tmp_path).holds(address) for address in ("127.0.0.1", "198.51.100.7", "2001:db8::7")] == [
        True,
        False,
        False,
    ]


# Hosts by ssh


class Host:
    """A host whose commands have these outputs by the name of the program; without one, it cannot be run."""

    name = "lb-1"

    def __init__(self, **outputs: Output) -> None:
        self.outputs = outputs
        self.ran: list[list[str]] = []

    def run(self, command: "Sequence[str]", text: str = "") -> Output:
        self.ran.append([*command, *([text] if text else [])])
        if command[0] not in self.outputs:
            raise DeviceError(f"lb-1: {command[0]} cannot be run", f"install {command[0]} on lb-1")
        return self.outputs[command[0]]


def test_host_is_read_by_its_own_programs() -> None:
    host = Host(
        socat=Output(0, "answer", ""), cat=Output(0, "text", ""), curl=Output(0, "d" * 2000, ""),
        pgrep=Output(1, "0\n", ""), ip=Output(0, "", ""),
    )  # fmt: skip
    place = Remote(host)
    assert place.ask(Path("/run/a.sock"), "show info", "HAProxy") == "answer"
    assert place.read(Path("/etc/h.cfg")) == "text"
    assert len(place.digest_of_nginx(9101)) == 1024
    assert (place.old_workers_of_nginx(), place.holds("10.0.0.1")) == (0, False)
    assert host.ran[0] == ["socat", "-t", "5", "-", "UNIX-CONNECT:/run/a.sock", "show info\n"]
    assert Remote(Host(ip=Output(0, "2: eth0 inet 10.0.0.1/24", ""))).holds("10.0.0.1") is True


def test_host_that_refuses_is_reported_with_what_to_do() -> None:
    refused = Output(1, "", "permission denied")
    place = Remote(Host(socat=refused, cat=refused, curl=refused, ip=refused, pgrep=Output(2, "", "usage")))
    reads: tuple[tuple[Callable[[], str], str], ...] = (
        (lambda: place.ask(Path("/s"), "show info", "HAProxy"), "may write to the socket (--sudo)"),
        (lambda: place.read(Path("/f")), "the user may read it on lb-1 (--sudo)"),
        (lambda: place.digest_of_nginx(9101), "check that NGINX runs on lb-1"),
    )
    for read, hint in reads:
        with pytest.raises(UnreachedError, match="permission denied") as refusal:
            read()
        assert hint in refusal.value.hint
    assert (place.old_workers_of_nginx(), place.holds("10.0.0.1")) == (None, None)
    with pytest.raises(UnreachedError, match="HAProxy does not answer at /s: no answer within 5 s"):
        Remote(Host(socat=Output(0, "", ""))).ask(Path("/s"), "show info", "HAProxy")
    with pytest.raises(UnreachedError, match="cat cannot be run") as refusal:
        Remote(Host()).read(Path("/f"))
    assert refusal.value.hint == "install cat on lb-1"
    assert (Remote(Host()).old_workers_of_nginx(), Remote(Host()).holds("10.0.0.1")) == (None, None)


def test_hosts_have_their_names_in_text_data_and_metrics() -> None:
    machines = tuple(Machine(f"lb-{number}", number, "10.0.0.1", holds_address=number == 1) for number in (1, 2))
    subjects = (Subject("haproxy", host="lb-1"), Subject("haproxy", unreached="gone", hint="look", host="lb-2"))
    report = Report("f", subjects, machines)
    assert report.text().splitlines()[:2] == ["haproxy at lb-1: no difference", "haproxy at lb-2: not compared: gone"]
    data = report.data()
    assert (data["old_workers"], data["holds_address"]) == (None, None)
    assert data["hosts"] == [
        {"host": f"lb-{number}", "old_workers": number, "address": "10.0.0.1", "holds_address": number == 1}
        for number in (1, 2)
    ]
    samples = [line for line in metrics(report, 1).decode().splitlines() if not line.startswith("#")]
    assert samples == [
        'nlbgen_drift_differences{subject="haproxy",host="lb-1"} 0',
        'nlbgen_drift_reached{subject="haproxy",host="lb-1"} 1',
        'nlbgen_drift_reached{subject="haproxy",host="lb-2"} 0',
        "nlbgen_drift_time_seconds 1",
        'nlbgen_old_workers{host="lb-1"} 1',
        'nlbgen_old_workers{host="lb-2"} 2',
        'nlbgen_vip_held{address="10.0.0.1",host="lb-1"} 1',
        'nlbgen_vip_held{address="10.0.0.1",host="lb-2"} 0',
    ]


# The command


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("haproxy", "--sudo"), "--sudo needs --ssh"),
        (("f5", "nodes", "--ssh", "lb-1"), "--ssh is for haproxy or nginx, but neither of them is compared"),
        (("haproxy", "--ssh", "-oProxyCommand=x"), "is not a host for ssh"),
    ],
)
def test_options_of_ssh_that_do_not_fit_are_refused(
    cli: "RunCommand", example: Path, arguments: tuple[str, ...], message: str
) -> None:
    ran = cli("drift", *arguments)
    assert (ran.code, message in ran.err) == (2, True), ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands for ssh")
def test_each_host_is_compared_once_and_a_host_that_ssh_does_not_reach_is_named(
    cli: "RunCommand", example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = example / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho Permission denied >&2\nexit 255\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    ran = cli("drift", "haproxy", "nginx", "--ssh", "lb-1", "--ssh", "ops@lb-2", "--ssh", "lb-1", "--sudo")
    assert ran.code == 6
    assert [line for line in ran.out.splitlines() if not line.startswith(" ")] == [
        f"{vendor} at {host}: not compared: {host}: cannot be reached by ssh: Permission denied"
        for host in ("lb-1", "ops@lb-2")
        for vendor in ("haproxy", "nginx")
    ]
    assert "check `ssh lb-1 true`: it must work without a password prompt" in ran.out


@pytest.fixture
def other_server() -> Iterator[int]:
    """A web server on the port of the statistics that is not NGINX with this configuration."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_request(self, *_: object) -> None:
            pass

        def log_error(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_nginx_with_another_configuration_is_a_difference(cli: "RunCommand", other_server: int, tmp_path: Path) -> None:
    data = yaml.safe_load((EXAMPLES / "farm.yaml").read_text(encoding="utf-8"))
    data["balancer"]["metrics_port"] = other_server
    (tmp_path / "farm.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    main = next(file for file in render(generator("nginx"), load(tmp_path / "farm.yaml")) if file.main)
    (tmp_path / "nginx.conf").write_bytes(main.content)
    ran = cli("drift", "nginx", "--nginx-file", "nginx.conf")
    assert ran.code == 1
    assert ran.out.startswith("nginx: the running process: expected nlbgen-digest-")
    assert ran.out.endswith("found no digest (not a file of this nlbgen)\n")


def test_nodes_that_differ_are_drift_and_the_textfile_shows_it(cli: "RunCommand", example: Path) -> None:
    ran = cli("drift", "nodes", "--textfile", "n.prom")
    assert ran.code == 1
    assert "nodes: machineKey validationKey: expected the same on all nodes, found sha256:" in ran.out
    assert 'nlbgen_drift_reached{subject="nodes"} 1' in (example / "n.prom").read_text(encoding="utf-8")
    assert (example / "n.prom").stat().st_mode & 0o777 == 0o644


def test_textfile_that_cannot_be_written_names_its_option(cli: "RunCommand", example: Path) -> None:
    (example / "folder").write_text("", encoding="utf-8")
    ran = cli("drift", "nodes", "--textfile", "folder/n.prom")
    assert ran.code == 1
    assert "choose another path with --textfile FILE" in ran.err


def test_nodes_that_agree_are_no_drift(cli: "RunCommand", example: Path) -> None:
    shutil.copy(example / "inputs" / "orch-1" / "web.config", example / "inputs" / "orch-2" / "web.config")
    shown = json.loads(cli("drift", "nodes", "--format", "json").out)
    found = {one["what"] for one in shown["subjects"][0]["differences"]}
    assert "EncryptionKey" not in found
    assert "orch-1, session-inproc" in found


def test_nodes_without_readable_files_are_not_compared(cli: "RunCommand", example: Path) -> None:
    (example / "inputs" / "orch-2" / "web.config").write_text("<x", encoding="utf-8")
    ran = cli("drift", "nodes")
    assert ran.code == 6
    assert "nodes: not compared: the files of orch-2 cannot be read" in ran.out
    shutil.rmtree(example / "inputs")
    assert cli("drift", "nodes").code == 6


def test_programs_that_do_not_run_here_are_not_compared(cli: "RunCommand", example: Path) -> None:
    ran = cli(
        "drift", "haproxy", "nginx", "--haproxy-socket", "no.sock", "--haproxy-master", "no.sock", "--haproxy-file", "x"
    )
    assert ran.code == 6
    assert "haproxy: not compared: HAProxy does not answer at no.sock: No such file or directory" in ran.out
    assert ran.err == "no subject could be compared\n"


def test_unknown_subject_is_a_usage_error(cli: "RunCommand", example: Path) -> None:
    ran = cli("drift", "hapoxy")
    assert ran.code == 2
    assert "hapoxy is not a subject (did you mean haproxy?)" in ran.err


def test_colours_in_a_pipe_mark_the_subjects(cli: "RunCommand", example: Path) -> None:
    ran = cli("drift", "haproxy", "--haproxy-socket", "no.sock", env={"FORCE_COLOR": "1"})
    assert ran.code == 6
    assert "\x1b[31m" in ran.out


def test_completion_leaves_out_the_subjects_that_are_given() -> None:
    context = click.Context(command, info_name="drift")
    context.params["subjects"] = ("nginx",)
    parameter = next(one for one in command.params if one.name == "subjects")
    found = [item.value for item in parameter.shell_complete(context, "n")]
    assert found == ["nodes"]


def test_nodes_without_a_config_are_not_compared(cli: "RunCommand", tmp_path: Path, farm_data: "FarmData") -> None:
    (tmp_path / "farm.yaml").write_text(json.dumps(farm_data()), encoding="utf-8")
    ran = cli("drift", "nodes")
    assert (ran.code, ran.out.splitlines()[0]) == (6, "nodes: not compared: no node has a config that can be read")


def test_terminal_shows_a_table(terminal: "RunOnTerminal", example: Path) -> None:
    screen = terminal("drift", "nodes", "haproxy", columns=120)
    assert screen.code == 6
    assert any(line.strip().startswith("subject") for line in screen.lines)
    assert "haproxy: not compared" in screen.text
