"""The simulated node from outside: HTTP, control port, WebSocket, event stream, process control."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from nlbgen.net.client import WireError
from nlbgen.net.loopback import NotLoopbackError, accepts, free_port, release_port, require_loopback
from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.simple import SocketHolder, SocketPlan, fetch, read_events
from nlbgen.prove.lab.certificates import TestCertificates, make_certificates
from nlbgen.prove.lab.processes import BalancerProcess, NodeProcess, ProcessError
from nlbgen.prove.nodes.control import ControlError
from nlbgen.prove.nodes.options import NodeOptions, parse_argv, to_argv


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> TestCertificates:
    return make_certificates(tmp_path_factory.mktemp("ca"), ["orchestrator.test", "127.0.0.1"])


@pytest.fixture(scope="module")
def shared_node() -> Iterator[NodeProcess]:
    with NodeProcess(NodeOptions(name="orch-1")) as node:
        yield node


@pytest.fixture
def node(shared_node: NodeProcess) -> NodeProcess:
    shared_node.reset()
    shared_node.control.clear()
    return shared_node


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "localhost", "example.com", "::", "", "127.0.0.1.evil"])
def test_address_outside_of_loopback_is_refused(host: str) -> None:
    with pytest.raises(NotLoopbackError):
        require_loopback(host)
    with pytest.raises(NotLoopbackError):
        NodeOptions(host=host)


def test_free_port_is_unique_across_processes() -> None:
    mine = {free_port() for _ in range(300)}
    assert len(mine) == 300
    program = "from nlbgen.net.loopback import free_port\nfor _ in range(300): print(free_port())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert not mine & {int(line) for line in done.stdout.split()}
    for port in mine:
        release_port(port)


def test_command_line_with_another_address_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nlbgen.prove.nodes.node", "--host", "0.0.0.0"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    assert "only a loopback address" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        NodeOptions(),
        NodeOptions(name="orch-9", port=20001, kind="core", keep_alive=0.0, hub_paths=("/a", "/b/c")),
        NodeOptions(kind="classic", post_log=Path("a b.log"), backplane="127.0.0.1:6379", ws_ping=2.5),
        NodeOptions(tls_cert=Path("c.pem"), tls_key=Path("k.pem"), machine_key="--x y"),
    ],
)
def test_options_to_argv_and_back_are_equal(options: NodeOptions) -> None:
    assert parse_argv(to_argv(options)) == options


@pytest.mark.parametrize("path", ["/api/status", "/api/Status/Get", "/API/STATUS", "/api/health"])
def test_health_ignores_case_and_is_503_in_drain(node: NodeProcess, path: str) -> None:
    assert fetch(node.url + path).status == 200
    node.set(drain=True)
    assert fetch(node.url + path).status == 503
    assert fetch(node.url + "/odata/Jobs").status == 200
    node.reset()
    assert fetch(node.url + path).status == 200


def test_health_of_a_degraded_node_is_200(node: NodeProcess) -> None:
    node.set(degraded=True)
    answer = fetch(node.url + "/api/health")
    assert (answer.status, answer.body) == (200, b"Degraded")


@pytest.mark.parametrize(("kind", "health"), [("classic", 404), ("core", 200)])
def test_kind_has_the_health_endpoints_of_its_version(kind: str, health: int) -> None:
    with NodeProcess(kind=kind) as one:
        assert fetch(one.url + "/api/health").status == health
        assert fetch(one.url + "/api/Status/Get").status == 200


IDENTITY = "/identity/.well-known/openid-configuration"


def test_identity_of_a_node_fails_while_orchestrator_answers(node: NodeProcess) -> None:
    assert fetch(node.url + IDENTITY).status == 200
    node.set(identity_stopped=True)
    assert fetch(node.url + IDENTITY).status == 503
    assert fetch(node.url + "/api/health").status == 200
    node.reset()
    node.set(identity_refuses=True)
    with pytest.raises(WireError):
        fetch(node.url + IDENTITY, timeout=5)
    assert fetch(node.url + "/api/health").status == 200
    node.reset()
    node.set(identity_hangs=True)
    with pytest.raises((OSError, TimeoutError)):
        fetch(node.url + IDENTITY, timeout=0.5)
    assert fetch(node.url + "/odata/Jobs").status == 200


def test_stopped_app_pool_answers_as_http_sys(node: NodeProcess) -> None:
    node.set(pool_stopped=True)
    for path in ("/", "/api/status", "/ws"):
        answer = fetch(node.url + path)
        assert answer.status == 503
        assert answer.header("connection").lower() == "close"
        assert answer.header("server") == "Microsoft-HTTPAPI/2.0"
        assert b"HTTP Error 503. The service is unavailable." in answer.body
    node.reset()
    assert fetch(node.url).status == 200


def test_mirror_returns_all_received_headers(node: NodeProcess) -> None:
    sent = [("Host", "orchestrator.test"), ("X-Forwarded-For", "6.6.6.6"), ("x-forwarded-for", "7.7.7.7")]
    answer = fetch(node.url + "/Some/Path?q=1", headers=sent)
    seen = answer.json()
    assert [value for name, value in seen["headers"] if name.lower() == "x-forwarded-for"] == ["6.6.6.6", "7.7.7.7"]
    assert (seen["node"], seen["path"], seen["scheme"]) == ("orch-1", "/Some/Path?q=1", "http")
    assert answer.header("x-node") == "orch-1"
    assert node.control.requests("/Some/")[0]["headers"] == [list(pair) for pair in sent]


def test_h2c_upgrade_is_recorded_and_refused(node: NodeProcess) -> None:
    headers = {
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": "h2c",
        "HTTP2-Settings": "AAMAAABkAAQAAP__",
    }
    assert fetch(node.url + "/x", headers=headers).status == 200
    assert node.control.summary()["upgrades"] == {"h2c": 1}
    assert node.control.upgrades()[0]["target"] == "/x"


def test_post_is_executed_before_the_response(node: NodeProcess) -> None:
    before = len(node.posts())
    for post_id in ("a", "b", "a"):
        assert fetch(f"{node.url}/api/jobs?id={post_id}", method="POST").json()["id"] == post_id
    fetch(node.url + "/api/jobs", method="POST", headers={"X-Prove-Id": "c"})
    fetch(node.url + "/api/jobs?id=not-a-post")
    assert node.posts()[before:] == ["a", "b", "a", "c"]
    assert node.control.summary()["duplicates"] == 1
    with pytest.raises(TimeoutError):
        fetch(f"{node.url}/api/jobs?id=late&delay=5000", method="POST", timeout=0.3)
    assert node.posts()[-1] == "late"


def test_large_upload_is_counted(node: NodeProcess) -> None:
    size = 20_000_000
    answer = fetch(f"{node.url}/api/packages?id=up", method="POST", body=b"x" * size)
    assert answer.json()["bytes"] == size


def test_status_redirect_cookie_and_delay_are_as_requested(node: NodeProcess) -> None:
    assert fetch(node.url + "/broken?status=500").status == 500
    redirect = fetch(node.url + "/redirect?to=/login")
    assert (redirect.status, redirect.header("location")) == (302, "/login")
    assert fetch(node.url + "/?cookie=ASP.NET_SessionId").header("set-cookie").startswith("ASP.NET_SessionId=1")
    assert fetch(node.url + "/?delay=200").seconds >= 0.2
    node.set(delay=0.2)
    assert fetch(node.url + "/").seconds >= 0.2
    node.set(delay=30.0)
    assert fetch(node.url + "/api/status").status == 200, "health checks have no delay"


def test_unknown_switch_is_refused(node: NodeProcess) -> None:
    with pytest.raises(ControlError):
        node.set(nonsense=True)
    with pytest.raises(ControlError):
        node.set(drain=1.5)


def test_tls_node_reports_the_server_name(certificates: TestCertificates) -> None:
    with NodeProcess(tls_cert=certificates.certificate, tls_key=certificates.key) as one:
        seen = fetch(f"https://orchestrator.test:{one.port}/", ca=certificates.ca).json()
        assert (seen["sni"], seen["scheme"]) == ("orchestrator.test", "https")
        with SocketHolder(SocketPlan(url=f"https://orchestrator.test:{one.port}/ws", ca=certificates.ca)) as held:
            assert held.alive == 1


def test_websockets_echo_and_are_counted(node: NodeProcess) -> None:
    with SocketHolder(SocketPlan(url=node.url + "/ws", count=20, echo_every=0.1)) as sockets:
        assert sockets.alive == 20
        assert wait_until(lambda: node.control.open("websocket") == 20)
        assert wait_until(lambda: all(report.echoes >= 2 for report in sockets.reports))
        assert {report.node for report in sockets.reports} == {"orch-1"}
    assert all(report.alive for report in sockets.reports), "closed by the client, not counted as lost"
    assert fetch(node.url + "/ws").status == 400


def test_websockets_end_when_the_app_pool_stops(node: NodeProcess) -> None:
    with SocketHolder(SocketPlan(url=node.url + "/ws", count=5)) as sockets:
        node.set(pool_stopped=True)
        assert sockets.wait_closed(3)
        assert {report.close_code for report in sockets.reports} == {1006}
    with SocketHolder(SocketPlan(url=node.url + "/ws")) as refused:
        assert refused.reports[0].error == "http 503"


def test_event_stream_sends_events_one_by_one(node: NodeProcess) -> None:
    report = read_events(f"{node.url}/sse?every=100&count=5")
    assert report.status == 200
    assert report.headers["Content-Type"] == "text/event-stream"
    assert len(report.arrivals) == 5
    times = [time for time, _ in report.arrivals]
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.05


def test_restarted_node_keeps_its_port_and_post_log() -> None:
    with NodeProcess() as one:
        fetch(f"{one.url}/api/jobs?id=1", method="POST")
        first = one.pid
        one.kill()
        assert not one.running
        assert not accepts(one.port)
        one.restart()
        assert one.pid != first
        fetch(f"{one.url}/api/jobs?id=2", method="POST")
        assert one.posts() == ["1", "2"]


def test_frozen_node_accepts_and_answers_after_thaw() -> None:
    with NodeProcess() as one:
        one.freeze()
        assert accepts(one.port)
        with pytest.raises(TimeoutError):
            fetch(one.url, timeout=0.3)
        one.thaw()
        assert fetch(one.url).status == 200
        one.freeze()  # a stopped child must not delay the end


def test_node_that_cannot_start_reports_the_reason() -> None:
    with (
        socket.create_server(("127.0.0.1", free_port())) as taken,
        pytest.raises(ProcessError, match="address already in use"),
        NodeProcess(port=taken.getsockname()[1]),
    ):
        pass


def test_children_of_a_killed_parent_are_killed() -> None:
    program = (
        "import os, signal, sys\n"
        "from nlbgen.prove.lab.processes import NodeProcess\n"
        "node = NodeProcess(); node.start(); node.freeze()\n"
        "sys.stdout.write(f'{node.port} {node.options.post_log.parent}'); sys.stdout.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL
    port, folder = done.stdout.split(maxsplit=1)
    assert wait_until(lambda: not accepts(int(port)))
    assert wait_until(lambda: not Path(folder).exists()), "its folder was left behind"


LISTENER = """
import signal, socket, sys, time
seen = []
signal.signal(signal.SIGUSR2, lambda *_: print("reloaded", flush=True))
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    time.sleep(0.1)
"""


def test_balancer_process_starts_reloads_and_stops() -> None:
    port = free_port()
    argv = [sys.executable, "-c", LISTENER, str(port)]
    with BalancerProcess(argv, [port], reload=signal.SIGUSR2) as balancer:
        balancer.reload()
        assert wait_until(lambda: "reloaded" in balancer.output())
        pid = balancer.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_balancer_process_that_ends_is_reported_with_its_output() -> None:
    argv = [sys.executable, "-c", "print('bad config')"]
    with pytest.raises(ProcessError, match="bad config"), BalancerProcess(argv, [free_port()]):
        pass
