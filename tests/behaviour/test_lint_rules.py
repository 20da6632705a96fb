"""What the rules of `nlbgen lint` report happens in the real HAProxy, with the cases of tests/lint/haproxy.

Each test runs the bad configuration and the good one of a rule in front of the same two nodes. Only ports, paths and
the lengths of timeouts differ from the files.
"""

import contextlib
import csv
import http.client
import json
import os
import signal
import socket
import socketserver
import ssl
import subprocess
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from nlbgen.net.loopback import free_port
from nlbgen.net.waiting import wait_until
from nlbgen.prove.lab.certificates import make_certificates

pytestmark = [pytest.mark.haproxy, pytest.mark.slow, pytest.mark.xdist_group("lint_rules")]

CASES = Path(__file__).parents[1] / "lint" / "haproxy"
KINDS = ("bad", "good")
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
WEBSOCKET = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY}
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
"""The example of RFC 6455, section 1.3."""


@dataclass
class Node:
    """A node: what it received, and how it answers."""

    name: str
    port: int = 0
    received: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    health: list[int] = field(default_factory=list)
    """The statuses of the next checks; then `usual`."""
    usual: int = 200
    pages: int = 200
    delay: float = 0
    closes: bool = False
    """Whether it closes each connection without an answer."""
    connections: int = 0
    """Open connections to it."""
    versions: list[str] = field(default_factory=list)
    """The versions of HTTP in the requests that it received."""
    sockets: list[socket.socket] = field(default_factory=list)

    def reset(self) -> None:
        self.received.clear()
        self.health.clear()
        self.versions.clear()
        self.usual, self.pages, self.delay, self.closes = 200, 200, 0, False
        for one in self.sockets:
            one.close()
        self.sockets.clear()


class Server(socketserver.ThreadingTCPServer):
    """Serves one node."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, node: Node) -> None:
        self.node = node
        super().__init__(("127.0.0.1", node.port), Handler)
        node.port = self.server_address[1]


class Handler(BaseHTTPRequestHandler):
    """Answers with its name and the request's headers; `/die` closes the connection after the request was executed."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        node = self.server.node
        if self.path == "/api/status":
            self._answer(node.health.pop(0) if node.health else node.usual)
            return
        node.received.append((self.command, self.path, dict(self.headers)))
        node.versions.append(self.request_version)
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.wfile.write(SWITCHED)
            node.sockets.append(self.connection)
            with contextlib.suppress(OSError):
                self.connection.recv(1)
            self.close_connection = True
        elif self.path == "/die" or node.closes:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif self.path == "/signalr/events":
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: 1\n\n"
            )
            threading.Event().wait(1.5)
            self.close_connection = True
        elif self.path == "/poll":
            threading.Event().wait(1.5)
            self._answer(200)
        else:
            threading.Event().wait(node.delay)
            self._answer(500 if self.path == "/broken" else node.pages)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def setup(self) -> None:
        super().setup()
        self.server.node.connections += 1

    def finish(self) -> None:
        self.server.node.connections -= 1
        super().finish()

    def _answer(self, status: int) -> None:
        body = json.dumps({"node": self.server.node.name, "headers": dict(self.headers)}).encode()
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if self.path == "/cookies":
                self.send_header("Set-Cookie", "x" * 20_000)
            self.end_headers()
            self.wfile.write(body)

    def log_request(self, *_args: object) -> None:
        """Print nothing."""


class Answer:
    """A response: its status, its cookies, and the node that sent it."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.cookies = response.headers.get_all("Set-Cookie") or []
        text = response.read()
        self.data = json.loads(text) if text.startswith(b"{") else {}
        self.node: str = self.data.get("node", "")


@dataclass
class Balancer:
    """A running HAProxy with the configuration of one case."""

    port: int
    admin: Path
    log: socket.socket
    process: subprocess.Popen[bytes]
    other_port: int
    """That of a further listener, if the case has one."""

    def get(self, path: str = "/", headers: Mapping[str, str] | None = None, **given: str) -> Answer:
        """Send one request over a connection of its own; takes `method` and the client's `address`."""
        connection = self._connection(given.get("address", ""))
        with contextlib.closing(connection):
            connection.request(given.get("method", "GET"), path, headers=dict(headers or {}))
            return Answer(connection.getresponse())

    def _connection(self, address: str = "") -> http.client.HTTPSConnection:
        context = ssl._create_unverified_context()
        source = (address, 0) if address else None
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context, source_address=source)

    def websocket(self, headers: Mapping[str, str] | None = None) -> http.client.HTTPSConnection:
        """Open a WebSocket without traffic."""
        connection = self._connection()
        connection.request("GET", "/signalr/connect", headers={**WEBSOCKET, **(headers or {})})
        line = connection.sock.recv(16)
        assert b" 101 " in line, line
        connection.sock.settimeout(0.2)
        return connection

    def runtime(self, command: str) -> str:
        """The answer of the runtime socket."""
        with socket.socket(socket.AF_UNIX) as connection:
            assert wait_until(lambda: connection.connect_ex(str(self.admin)) == 0, 15), "HAProxy binds it last"
            connection.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def statistics(self, server: str = "orch-1", backend: str = "web") -> dict[str, str]:
        """The columns of `show stat` for a server."""
        rows = csv.DictReader(self.runtime("show stat").lstrip("# ").splitlines())
        return next(row for row in rows if (row["pxname"], row["svname"]) == (backend, server))

    def down(self, server: str = "orch-1") -> bool:
        return self.statistics(server)["status"].startswith("DOWN")


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[Node, Node]]:
    both = Node("orch-1"), Node("orch-2")
    with contextlib.ExitStack() as stack:
        for node in both:
            server = stack.enter_context(Server(node))
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            stack.callback(server.shutdown)
        yield both


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificate"), ["orchestrator.corp.example"]).bundle


class Cases:
    """Starts HAProxy with the cases of a rule."""

    def __init__(self, nodes: tuple[Node, Node], certificate: Path, folder: Path) -> None:
        self.nodes = nodes
        self._certificate = certificate
        self._folder = folder
        self.state = folder / "state"

    @contextlib.contextmanager
    def running(self, rule: str, kind: str, changes: Mapping[str, str] | None = None) -> Iterator[Balancer]:
        """Run one case; `changes` are texts of the file with what to write instead."""
        for node in self.nodes:
            node.reset()
        text = (CASES / f"{rule}.{kind}.cfg").read_text(encoding="utf-8")
        port, other, admin = free_port(), free_port(), self._folder / "a.sock"
        log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        log.bind(("127.0.0.1", 0))
        log.settimeout(5)
        own = {
            "127.0.0.1:8443": f"127.0.0.1:{port}",
            "/tmp/nlbgen-lint.sock": str(admin),
            "/tmp/nlbgen-lint.state": str(self.state),
            "127.0.0.1:514 ": f"127.0.0.1:{log.getsockname()[1]} ",
            "127.0.0.1:8404": f"127.0.0.1:{other}",
            "bind :8404": f"bind :{other}",
            "ipv4@*:9999": f"ipv4@*:{other}",
            "inter 2s fastinter 500ms": "inter 200ms",
            **{f":{9001 + number}": f":{node.port}" for number, node in enumerate(self.nodes)},
        }
        for before, after in (*own.items(), *(changes or {}).items(), *own.items()):
            text = text.replace(before, after)
        path = self._folder / "haproxy.cfg"
        path.write_text(text, encoding="utf-8")
        process = subprocess.Popen(
            ["haproxy", "-db", "-f", str(path)],
            env={**os.environ, "CERT": str(self._certificate)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert wait_until(lambda: _connects(port), 10), "HAProxy does not listen"
            yield Balancer(port, admin, log, process, other)
        finally:
            process.kill()
            process.wait()
            log.close()
            for node in self.nodes:
                node.reset()


def _connects(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture
def cases(nodes: tuple[Node, Node], certificate: Path, tmp_path: Path) -> Cases:
    return Cases(nodes, certificate, tmp_path)


def header(cases: Cases, name: str) -> list[str]:
    """The values of a header in the requests that the nodes received."""
    return [
        value
        for node in cases.nodes
        for _method, _path, headers in node.received
        for key, value in headers.items()
        if key.lower() == name.lower()
    ]


# Headers and retries


@pytest.mark.parametrize("kind", KINDS)
def test_upgrade_to_h2c_arrives(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-h2c-upgrade", kind) as balancer:
        balancer.get("/", {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"})
        assert header(cases, "Upgrade") == (["h2c"] if kind == "bad" else [])


@pytest.mark.parametrize("kind", KINDS)
def test_forged_address_arrives(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-forged-address", kind) as balancer:
        balancer.get("/", {"X-Forwarded-For": "6.6.6.6"})
        assert any("6.6.6.6" in value for value in header(cases, "X-Forwarded-For")) is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_scheme_is_unknown(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-forwarded-proto", kind) as balancer:
        balancer.get()
        assert header(cases, "X-Forwarded-Proto") == ([] if kind == "bad" else ["https"])


@pytest.mark.parametrize("kind", KINDS)
def test_host_is_changed(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-host-changed", kind) as balancer:
        balancer.get("/", {"Host": "orchestrator.corp.example"})
        assert header(cases, "Host") == ["node.corp.example" if kind == "bad" else "orchestrator.corp.example"]


@pytest.mark.parametrize("kind", KINDS)
def test_post_is_repeated(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-retried-post", kind) as balancer:
        balancer.get("/die", method="POST")
        executed = [path for node in cases.nodes for method, path, _headers in node.received if method == "POST"]
        assert (len(executed) > 1) is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_large_headers_are_refused(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-small-buffers", kind) as balancer:
        assert balancer.get("/", {"Cookie": "x" * 20_000}).status == (400 if kind == "bad" else 200)


@pytest.mark.parametrize("kind", KINDS)
def test_dead_node_is_tried_again(kind: str, cases: Cases) -> None:
    dead = free_port()
    changes = {f":{cases.nodes[0].port}": f":{dead}", " check cookie": " cookie"}
    with cases.running("haproxy-redispatch", kind, changes) as balancer:
        assert balancer.get("/", {"Cookie": "NLB=orch-1"}).status == 200
        assert (int(balancer.statistics()["wretr"]) > 0) is (kind == "bad")


# Affinity


@pytest.mark.parametrize("kind", KINDS)
def test_cookie_of_one_value_leads_to_one_node(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-cookie-same-value", kind) as balancer:
        other = next(answer for _ in range(10) if (answer := balancer.get()).node == "orch-2")
        cookie = other.cookies[0].partition(";")[0]
        assert balancer.get("/", {"Cookie": cookie}).node == ("orch-1" if kind == "bad" else "orch-2")


@pytest.mark.parametrize("kind", KINDS)
def test_server_without_value_sets_no_cookie(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-cookie-without-values", kind) as balancer:
        other = next(answer for _ in range(10) if (answer := balancer.get()).node == "orch-2")
        assert any("NLB=orch-2" in text for text in other.cookies) is (kind == "good")


@pytest.mark.parametrize("kind", KINDS)
def test_word_check_is_the_value_of_the_cookie(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-cookie-check", kind) as balancer:
        assert (balancer.statistics()["status"] == "no check") is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_hash_of_the_host_selects_one_node(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-hash-same-for-all", kind) as balancer:
        found = {balancer.get("/", {"Host": "farm"}, address=f"127.0.0.{number}").node for number in range(2, 18)}
        assert len(found) == (1 if kind == "bad" else 2)


@pytest.mark.parametrize("rule", ["haproxy-hash-absent", "haproxy-signalr-core-affinity"])
@pytest.mark.parametrize("kind", KINDS)
def test_client_changes_its_node(rule: str, kind: str, cases: Cases) -> None:
    with cases.running(rule, kind) as balancer:
        cookies = [text.partition(";")[0] for text in balancer.get().cookies]
        found = {balancer.get("/", {"Cookie": "; ".join(cookies)}).node for _ in range(8)}
        assert len(found) == (2 if kind == "bad" else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_websocket_goes_to_another_node_than_its_negotiation(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-websocket-pool-affinity", kind) as balancer:
        sockets = [balancer.websocket({"Cookie": "NLB=orch-2"}) for _ in range(6)]
        names = {node.name for node in cases.nodes if node.received}
        assert names == ({"orch-1", "orch-2"} if kind == "bad" else {"orch-2"})
        for one in sockets:
            one.close()


@pytest.mark.parametrize("kind", KINDS)
def test_cookie_has_no_attributes(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-cookie-attributes", kind) as balancer:
        attributes = balancer.get().cookies[0].lower()
        assert ("secure" in attributes and "httponly" in attributes) is (kind == "good")


# Checks


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_app_pool_is_not_detected(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-tcp-check", kind) as balancer:
        cases.nodes[0].usual = cases.nodes[0].pages = 503
        if kind == "good":
            assert wait_until(balancer.down, 10), "the node is not marked down"
        else:
            assert wait_until(lambda: balancer.statistics()["check_status"] == "L4OK", 10), "no check ran"
            threading.Event().wait(1)
            assert int(balancer.statistics()["chkfail"]) == 0
        assert (503 in {balancer.get().status for _ in range(8)}) is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_server_without_check_has_no_state(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-no-check", kind) as balancer:
        assert (balancer.statistics()["status"] == "no check") is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_one_broken_url_marks_all_nodes_down(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-errors-mark-down", kind, {"inter 200ms": "inter 5s"}) as balancer:
        for _ in range(60):
            with contextlib.suppress(http.client.HTTPException):  # its node was just marked down
                balancer.get("/broken")
        nodes_down = [balancer.down(name) for name in ("orch-1", "orch-2")]
        assert nodes_down == [kind == "bad"] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_requests_are_refused_while_all_checks_fail(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-all-checks-fail", kind) as balancer:
        for node in cases.nodes:
            node.usual = 503
        assert wait_until(lambda: balancer.down("orch-1") and balancer.down("orch-2"), 10), (
            "the nodes are not marked down"
        )
        assert balancer.get().status == (503 if kind == "bad" else 200)


@pytest.mark.parametrize("kind", KINDS)
def test_one_failed_check_marks_a_node_down(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-one-failed-check", kind) as balancer:
        assert wait_until(lambda: balancer.statistics()["check_status"] == "L7OK", 10), "no check succeeded"
        cases.nodes[0].health[:] = [503]
        assert wait_until(lambda: int(balancer.statistics()["chkfail"]) > 0, 10), "no check failed"
        assert int(balancer.statistics()["chkdown"]) == (1 if kind == "bad" else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_leastconn_prefers_the_node_that_fails_at_once(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-leastconn-broken-node", kind) as balancer:
        cases.nodes[0].pages, cases.nodes[1].delay = 503, 0.1
        failed: list[bool] = []

        def client() -> None:
            failed.extend(balancer.get().status == 503 for _ in range(12))

        threads = [threading.Thread(target=client) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (sum(failed) / len(failed) > 0.6) is (kind == "bad")


# WebSockets and long polls


def closed(connection: http.client.HTTPSConnection, seconds: float) -> bool:
    """Whether the balancer closes an idle WebSocket within this time."""
    connection.sock.settimeout(seconds)
    try:
        while connection.sock.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_idle_websocket_is_closed(kind: str, cases: Cases) -> None:
    changes = {"timeout client 30s": "timeout client 500ms", "timeout server 130s": "timeout server 500ms"}
    with cases.running("haproxy-tunnel-timeout", kind, changes) as balancer:
        connection = balancer.websocket()
        assert closed(connection, 10 if kind == "bad" else 1.5) is (kind == "bad")
        connection.close()


@pytest.mark.parametrize("kind", KINDS)
def test_websocket_stays_on_a_node_that_is_down(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-websockets-kept", kind) as balancer:
        connection = balancer.websocket({"Cookie": "NLB=orch-1"})
        cases.nodes[0].usual = 503
        assert wait_until(balancer.down, 10), "the node is not marked down"
        assert closed(connection, 1.5 if kind == "bad" else 10) is (kind == "good")
        connection.close()


@pytest.mark.parametrize("kind", KINDS)
def test_long_poll_gets_504(kind: str, cases: Cases) -> None:
    changes = {"timeout server 50s": "timeout server 500ms", "path_beg -i /signalr": "path_beg -i /poll"}
    with cases.running("haproxy-long-poll", kind, changes) as balancer:
        assert balancer.get("/poll").status == (504 if kind == "bad" else 200)


@pytest.mark.parametrize("kind", KINDS)
def test_websockets_use_up_the_limit_of_a_server(kind: str, cases: Cases) -> None:
    changes = {"maxconn 32": "maxconn 1", "timeout connect 5s": "timeout connect 5s\n    timeout queue 300ms"}
    with cases.running("haproxy-websocket-maxconn", kind, changes) as balancer:
        sockets = [balancer.websocket({"Cookie": f"NLB=orch-{number}"}) for number in (1, 2)]
        assert balancer.get().status == (503 if kind == "bad" else 200)
        for one in sockets:
            one.close()


# Logs


@pytest.mark.parametrize("kind", KINDS)
def test_token_is_in_the_log(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-tokens-in-log", kind) as balancer:
        balancer.get("/signalr/connect?access_token=top-secret")
        line = next(text for _ in range(20) if "/signalr/connect" in (text := balancer.log.recv(4096).decode()))
        assert ("top-secret" in line) is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_credential_is_in_the_log(kind: str, cases: Cases) -> None:
    logged = {
        "    mode http\n    timeout": "    mode http\n    log 127.0.0.1:514 local0\n    option httplog\n    timeout"
    }
    with cases.running("haproxy-secrets-in-log", kind, logged) as balancer:
        balancer.get("/page", {"Authorization": "Bearer top-secret", "User-Agent": "robot"})
        line = next(text for _ in range(20) if "/page" in (text := balancer.log.recv(4096).decode()))
        assert ("top-secret" in line) is (kind == "bad")


# Time limits


@pytest.mark.parametrize("kind", KINDS)
def test_headers_may_arrive_as_slowly_as_a_client_wants(kind: str, cases: Cases) -> None:
    """A byte before each end of `timeout client` keeps the connection."""
    changes = {"timeout client 60s": "timeout client 1s", "timeout http-request 10s": "timeout http-request 500ms"}
    with cases.running("haproxy-http-request-timeout", kind, changes) as balancer:
        connection = balancer._connection()
        connection.connect()
        connection.sock.sendall(b"GET / HTTP/1.1\r\nHost: farm\r\nX: ")
        connection.sock.settimeout(0.2)
        received = b""
        for _ in range(8):
            with contextlib.suppress(OSError):
                connection.sock.sendall(b"x")
                received += connection.sock.recv(64)
        assert (b" 408 " in received) is (kind == "good")
        connection.close()


@pytest.mark.parametrize("kind", KINDS)
def test_failed_node_is_detected_late(kind: str, cases: Cases) -> None:
    """With a fifth of the times: three failed checks take at least 4 s, or at most 1.4 s."""
    changes = {"inter 10s fall": "inter 2s fall", "inter 5s fastinter 1s": "inter 1s fastinter 200ms"}
    with cases.running("haproxy-slow-detection", kind, changes) as balancer:
        assert wait_until(lambda: balancer.statistics()["check_status"] == "L7OK", 10), "no check succeeded"
        cases.nodes[0].usual = 503
        assert wait_until(balancer.down, 2 if kind == "bad" else 10) is (kind == "good")


# Reloads


@pytest.mark.parametrize("kind", KINDS)
def test_state_of_a_node_is_lost_at_a_reload(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-reload-state", kind) as balancer:
        cases.nodes[0].usual = 503
        assert wait_until(balancer.down, 10), "the node is not marked down"
        cases.state.write_text(balancer.runtime("show servers state"), encoding="utf-8")
    with cases.running("haproxy-reload-state", kind, {"inter 200ms": "inter 30s"}) as balancer:
        assert balancer.down() is (kind == "good")
        answer = balancer.get("/", {"Cookie": "NLB=orch-1"})
        assert answer.node == ("orch-1" if kind == "bad" else "orch-2")


@pytest.mark.parametrize("kind", KINDS)
def test_reload_closes_websockets(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-reload-cuts", kind, {"hard-stop-after 10s": "hard-stop-after 300ms"}) as balancer:
        connection = balancer.websocket()
        balancer.process.send_signal(signal.SIGUSR1)
        assert closed(connection, 10 if kind == "bad" else 1.5) is (kind == "bad")
        connection.close()


@pytest.mark.parametrize("kind", KINDS)
def test_old_worker_does_not_end(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-reload-no-end", kind, {"hard-stop-after 1h": "hard-stop-after 300ms"}) as balancer:
        connection = balancer.websocket()
        balancer.process.send_signal(signal.SIGUSR1)
        seconds = 1.5 if kind == "bad" else 10
        assert wait_until(lambda: balancer.process.poll() is not None, seconds) is (kind == "good")
        connection.close()


@pytest.mark.parametrize("kind", KINDS)
def test_check_of_haproxy_itself_waits_for_clients(kind: str, cases: Cases) -> None:
    changes = {"frontend farm\n": "frontend farm\n    maxconn 1\n"}
    with cases.running("haproxy-monitor-maxconn", kind, changes) as balancer:
        robot = balancer.websocket()
        context = ssl._create_unverified_context()
        check = (
            http.client.HTTPSConnection("127.0.0.1", balancer.port, timeout=1, context=context)
            if kind == "bad"
            else http.client.HTTPConnection("127.0.0.1", balancer.other_port, timeout=10)
        )
        if kind == "bad":
            with pytest.raises(TimeoutError):
                check.request("GET", "/alive")
        else:
            check.request("GET", "/alive")
            assert check.getresponse().status == 200
        check.close()
        robot.close()


# Access and TLS


@pytest.mark.parametrize("kind", KINDS)
def test_other_machines_control_haproxy(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-open-admin", kind) as balancer:
        address = ("127.0.0.2", balancer.other_port)
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(address, 5) as connection:
            connection.sendall(b"disable server web/orch-1\n")
            connection.recv(64)
        maintained = cases.nodes[0].name not in {balancer.get().node for _ in range(6)}
        assert maintained is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_other_machines_read_the_statistics(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-open-statistics", kind) as balancer:
        connection = http.client.HTTPConnection("127.0.0.2", balancer.other_port, timeout=5)
        status = 0
        with contextlib.suppress(ConnectionRefusedError), contextlib.closing(connection):
            connection.request("GET", "/")
            status = connection.getresponse().status
        assert status == (200 if kind == "bad" else 0)


def handshake(port: int, **given: object) -> tuple[str | None, str | None]:
    """The version and the protocol of HTTP that a client negotiates; None for both if the handshake fails.

    Takes `ciphers` and the `highest` version.
    """
    context = ssl._create_unverified_context()
    context.set_ciphers(str(given.get("ciphers", "ALL:@SECLEVEL=0")))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        if isinstance(highest := given.get("highest"), ssl.TLSVersion):
            context.maximum_version = highest
    with contextlib.suppress(ssl.SSLError, ConnectionResetError), contextlib.ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
        secure = stack.enter_context(context.wrap_socket(plain))
        return secure.version(), secure.selected_alpn_protocol()
    return None, None


WEAK = "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:@SECLEVEL=0"
"""Suites with CBC."""
ANY = {"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256": "ALL:@SECLEVEL=0"}
"""Suites for TLS 1.0 too; OpenSSL's own level would refuse what the configuration allows."""


@pytest.mark.parametrize("kind", KINDS)
def test_clients_use_an_old_version_of_tls(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-tls-version", kind, ANY) as balancer:
        version, _protocol = handshake(balancer.port, highest=ssl.TLSVersion.TLSv1_1)
        assert version == ("TLSv1.1" if kind == "bad" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_clients_use_weak_ciphers(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-tls-ciphers", kind) as balancer:
        version, _protocol = handshake(balancer.port, highest=ssl.TLSVersion.TLSv1_2, ciphers=WEAK)
        assert version == ("TLSv1.2" if kind == "bad" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_http2_is_offered_for_windows_sign_ins(kind: str, cases: Cases) -> None:
    with cases.running("haproxy-sign-in-http2", kind) as balancer:
        assert (handshake(balancer.port)[1] == "h2") is (kind == "bad")


@contextlib.contextmanager
def impostor(folder: Path) -> Iterator[int]:
    """A machine with the address of a node and a certificate of its own authority; yields its port."""
    node = Node("impostor")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(make_certificates(folder, ["orchestrator.corp.example"]).bundle)
    with Server(node) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield node.port
        server.shutdown()


@pytest.mark.parametrize("kind", KINDS)
def test_machine_without_the_certificate_gets_requests(
    kind: str, cases: Cases, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with impostor(tmp_path_factory.mktemp("impostor")) as port:
        changes = {f":{node.port}": f":{port}" for node in cases.nodes}
        with cases.running("haproxy-nodes-unverified", kind, changes) as balancer:
            assert (balancer.get().node == "impostor") is (kind == "bad")
