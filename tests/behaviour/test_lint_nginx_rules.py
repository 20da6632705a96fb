"""What the rules of nlbgen lint report about nginx.conf happens in the real NGINX, with the cases of tests/lint.

Each test runs the bad configuration of a rule and the good one in front of the same two nodes. Only ports, paths and
the lengths of timeouts differ from the cases.
"""

import contextlib
import http.client
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from nlbgen.net.loopback import free_port
from nlbgen.net.waiting import wait_until
from nlbgen.prove.lab.certificates import make_certificates
from tests.behaviour.test_lint_rules import (
    ANY,
    WEAK,
    WEBSOCKET,
    Answer,
    Node,
    Server,
    _connects,
    closed,
    handshake,
    impostor,
)
from tests.lint.nginx_cases import BAD, changed

pytestmark = [pytest.mark.nginx, pytest.mark.slow, pytest.mark.xdist_group("lint_nginx_rules")]

KINDS = ("bad", "good")
NAME = "orchestrator.corp.example"


class Balancer:
    """A running NGINX."""

    def __init__(self, port: int, log: Path, process: subprocess.Popen[bytes]) -> None:
        self.port, self.log, self.process = port, log, process

    def connection(self) -> http.client.HTTPSConnection:
        context = ssl._create_unverified_context()
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)

    def get(
        self, path: str = "/", headers: Mapping[str, str] | None = None, method: str = "GET", body: bytes | None = None
    ) -> Answer:
        """Send one request over a connection of its own."""
        with contextlib.closing(self.connection()) as connection:
            connection.request(method, path, body, {"Host": NAME, **(headers or {})})
            return Answer(connection.getresponse())

    def header(self, name: str) -> str | None:
        """The header of an answer to `/`."""
        with contextlib.closing(self.connection()) as connection:
            connection.request("GET", "/")
            return connection.getresponse().headers.get(name)

    def websocket(self) -> tuple[http.client.HTTPSConnection, str]:
        """Send the request for a WebSocket; returns the first line of the answer too."""
        connection = self.connection()
        connection.request("GET", "/signalr/connect", headers={"Host": NAME, **WEBSOCKET})
        return connection, connection.sock.recv(16).decode()


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
    return make_certificates(tmp_path_factory.mktemp("certificate"), [NAME]).bundle


class Cases:
    """Starts NGINX with the cases of a rule."""

    def __init__(self, nodes: tuple[Node, Node], certificate: Path, folder: Path) -> None:
        self.nodes, self.certificate, self.folder = nodes, certificate, folder

    @contextlib.contextmanager
    def running(
        self, rule: str, kind: str, changes: Mapping[str, str] | None = None, *, workers: bool = False
    ) -> Iterator[Balancer]:
        """Run one case; `changes` are texts of the file with what to write instead.

        With `workers`, NGINX has its master and two workers, as in operation; otherwise one process.
        """
        for node in self.nodes:
            node.reset()
        text, port = changed(BAD[rule][0] if kind == "bad" else ()), free_port()
        own = {
            "@folder@": str(self.folder),
            "@certificate@": str(self.certificate),
            "127.0.0.1:18443": f"127.0.0.1:{port}",
            "127.0.0.1:8081": f"127.0.0.1:{self.nodes[0].port}",
            "127.0.0.1:8082": f"127.0.0.1:{self.nodes[1].port}",
        }
        for before, after in (*own.items(), *(changes or {}).items(), *own.items()):
            text = text.replace(before, after)
        path = self.folder / "nginx.conf"
        path.write_text(f"daemon off; {'' if workers else 'master_process off;'}\n{text}", encoding="utf-8")
        command = ["nginx", "-e", "stderr", "-c", str(path)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert wait_until(lambda: _connects(port), 10), "NGINX does not listen"
            yield Balancer(port, self.folder / "access.log", process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
            for node in self.nodes:
                node.reset()

    def received(self, path: str) -> list[Mapping[str, str]]:
        """The headers of the requests for a path that the nodes received, by lower-case names."""
        requests = [one for node in self.nodes for one in node.received if one[1] == path]
        return [{key.lower(): value for key, value in headers.items()} for _method, _path, headers in requests]


@pytest.fixture
def cases(nodes: tuple[Node, Node], certificate: Path, tmp_path: Path) -> Cases:
    return Cases(nodes, certificate, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_upgrade_to_h2c_arrives(kind: str, cases: Cases) -> None:
    with cases.running("nginx-h2c-upgrade", kind) as balancer:
        balancer.get("/", {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"})
        assert cases.received("/")[0].get("upgrade") == ("h2c" if kind == "bad" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_forged_address_arrives(kind: str, cases: Cases) -> None:
    with cases.running("nginx-forged-address", kind) as balancer:
        balancer.get("/", {"X-Forwarded-For": "6.6.6.6"})
        assert ("6.6.6.6" in cases.received("/")[0]["x-forwarded-for"]) is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_scheme_is_unknown(kind: str, cases: Cases) -> None:
    with cases.running("nginx-forwarded-proto", kind) as balancer:
        balancer.get()
        assert cases.received("/")[0].get("x-forwarded-proto") == (None if kind == "bad" else "https")


@pytest.mark.parametrize("kind", KINDS)
def test_node_gets_the_name_of_the_upstream(kind: str, cases: Cases) -> None:
    with cases.running("nginx-host", kind) as balancer:
        balancer.get()
        assert cases.received("/")[0]["host"] == ("web" if kind == "bad" else NAME)


@pytest.mark.parametrize("kind", KINDS)
def test_location_loses_the_request_headers_of_its_server(kind: str, cases: Cases) -> None:
    with cases.running("nginx-headers-lost", kind) as balancer:
        balancer.get()
        assert ("x-forwarded-proto" in cases.received("/")[0]) is (kind == "good")


@pytest.mark.parametrize("kind", KINDS)
def test_location_loses_the_answer_headers_of_its_server(kind: str, cases: Cases) -> None:
    with cases.running("nginx-answer-headers-lost", kind) as balancer:
        assert (balancer.header("Strict-Transport-Security") is None) is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_connections_to_nodes_are_not_kept(kind: str, cases: Cases) -> None:
    with cases.running("nginx-keepalive-unused", kind) as balancer:
        balancer.get()
        assert cases.received("/")[0].get("connection") == ("close" if kind == "bad" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_post_is_repeated(kind: str, cases: Cases) -> None:
    with cases.running("nginx-retried-post", kind) as balancer:
        balancer.get("/die", method="POST")
        assert (len(cases.received("/die")) > 1) is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_broken_url_reaches_one_node_after_the_other(kind: str, cases: Cases) -> None:
    with cases.running("nginx-broken-url", kind) as balancer:
        balancer.get("/broken")
        assert len(cases.received("/broken")) == (2 if kind == "bad" else 1)


@pytest.mark.parametrize("rule", ["nginx-stopped-pool", "nginx-least-conn-broken-node"])
@pytest.mark.parametrize("kind", KINDS)
def test_stopped_app_pool_is_visible(rule: str, kind: str, cases: Cases) -> None:
    with cases.running(rule, kind) as balancer:
        cases.nodes[0].pages = 503
        assert (503 in {balancer.get().status for _ in range(8)}) is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_no_live_upstreams_after_one_url_that_answers_503(kind: str, cases: Cases) -> None:
    """NGINX answers 502 itself, while the nodes answer pages again."""
    with cases.running("nginx-all-down", kind) as balancer:
        for node in cases.nodes:
            node.pages = 503
        for _ in range(4):
            balancer.get()
        for node in cases.nodes:
            node.pages = 200
        assert balancer.get().status == (502 if kind == "bad" else 200)


@pytest.mark.parametrize("kind", KINDS)
def test_large_headers_are_refused(kind: str, cases: Cases) -> None:
    with cases.running("nginx-request-buffers", kind) as balancer:
        assert balancer.get("/", {"Cookie": "x" * 20_000}).status == (400 if kind == "bad" else 200)


@pytest.mark.parametrize("kind", KINDS)
def test_websocket_gets_the_answer_of_a_page(kind: str, cases: Cases) -> None:
    with cases.running("nginx-no-upgrade", kind) as balancer:
        connection, line = balancer.websocket()
        assert (" 200 " if kind == "bad" else " 101 ") in line
        connection.close()


@pytest.mark.parametrize("kind", KINDS)
def test_idle_websocket_is_closed(kind: str, cases: Cases) -> None:
    with cases.running(
        "nginx-websocket-timeout", kind, {"proxy_read_timeout 90s": "proxy_read_timeout 500ms"}
    ) as balancer:
        connection, line = balancer.websocket()
        assert " 101 " in line
        assert closed(connection, 10 if kind == "bad" else 1.5) is (kind == "bad")
        connection.close()


@pytest.mark.parametrize("kind", KINDS)
def test_long_poll_is_stopped_and_repeated(kind: str, cases: Cases) -> None:
    changes = {"proxy_read_timeout 90s": "proxy_read_timeout 500ms", "location /signalr": "location /poll"}
    with cases.running("nginx-long-poll", kind, {**changes, "error_page 502": "# error_page 502"}) as balancer:
        assert balancer.get("/poll").status == (504 if kind == "bad" else 200)
        assert len(cases.received("/poll")) == (2 if kind == "bad" else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_location_without_proxy_pass_answers_404(kind: str, cases: Cases) -> None:
    with cases.running("nginx-websocket-no-proxy", kind) as balancer:
        assert balancer.get("/ws").status == (404 if kind == "bad" else 200)


@pytest.mark.parametrize("rule", ["nginx-hash-same-for-all", "nginx-hash-address"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_node_gets_all_requests(rule: str, kind: str, cases: Cases) -> None:
    with cases.running(rule, kind) as balancer:
        assert len({balancer.get().node for _ in range(8)}) == (1 if kind == "bad" else 2)


def test_client_without_the_cookie_changes_its_node(cases: Cases) -> None:
    """NGINX uses round robin if the key of a hash is empty."""
    with cases.running("nginx-hash-absent", "bad") as balancer:
        assert len({balancer.get().node for _ in range(8)}) == 2
        assert len({balancer.get("/", {"Cookie": "node=a"}).node for _ in range(8)}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_token_is_in_the_log(kind: str, cases: Cases) -> None:
    with cases.running("nginx-tokens-in-log", kind) as balancer:
        balancer.get("/signalr/connect?access_token=top-secret")
        assert wait_until(lambda: "/signalr/connect" in balancer.log.read_text(encoding="utf-8"), 10)
        assert ("top-secret" in balancer.log.read_text(encoding="utf-8")) is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_credential_is_in_the_log(kind: str, cases: Cases) -> None:
    with cases.running("nginx-secrets-in-log", kind) as balancer:
        balancer.get("/page", {"Authorization": "Bearer top-secret"})
        assert wait_until(lambda: "/page" in balancer.log.read_text(encoding="utf-8"), 10)
        assert ("top-secret" in balancer.log.read_text(encoding="utf-8")) is (kind == "bad")


# Time limits and reloads


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A port on which no process accepts: the kernel drops further connections, as for a machine without power."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.parametrize("kind", KINDS)
def test_node_without_power_delays_requests(kind: str, cases: Cases) -> None:
    with silent() as port:
        changes = {f":{cases.nodes[0].port}": f":{port}", "proxy_connect_timeout 2s": "proxy_connect_timeout 300ms"}
        with cases.running("nginx-connect-timeout", kind, changes) as balancer:
            late = 0
            for _ in range(2):
                connection = balancer.connection()
                connection.timeout = 1.5
                with contextlib.closing(connection), contextlib.suppress(TimeoutError):
                    late += 1
                    connection.request("GET", "/", headers={"Host": NAME})
                    late -= connection.getresponse().status == 200
            assert (late > 0) is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_idle_connection_to_a_node_stays_open(kind: str, cases: Cases) -> None:
    """In a hundredth of the time: IIS would close it after 1.2 s."""
    changes = {"keepalive_timeout 2m": "keepalive_timeout 2s", "keepalive_timeout 60s": "keepalive_timeout 600ms"}
    with cases.running("nginx-keepalive-timeout", kind, changes) as balancer:
        balancer.get()
        (used,) = (node for node in cases.nodes if node.received)
        assert used.connections > 0
        seconds = 1.2 if kind == "bad" else 10
        assert wait_until(lambda: used.connections == 0, seconds) is (kind == "good")


@pytest.mark.parametrize("rule", ["nginx-reload-cuts", "nginx-reload-no-end"])
@pytest.mark.parametrize("kind", KINDS)
def test_reload_and_open_websockets(rule: str, kind: str, cases: Cases) -> None:
    """A short limit closes them at once; without a limit, the old worker keeps them for as long as they last."""
    limit = "30s" if rule == "nginx-reload-cuts" else "1h"
    changes = {f"worker_shutdown_timeout {limit};": "worker_shutdown_timeout 300ms;"}
    with cases.running(rule, kind, changes, workers=True) as balancer:
        connection, line = balancer.websocket()
        assert " 101 " in line
        balancer.process.send_signal(signal.SIGHUP)
        is_closed = (rule == "nginx-reload-cuts") is (kind == "bad")
        assert closed(connection, 10 if is_closed else 1.5) is is_closed
        connection.close()


# Requests and answers


@pytest.mark.parametrize("kind", KINDS)
def test_nodes_get_requests_of_http_1_0(kind: str, cases: Cases) -> None:
    with cases.running("nginx-http-version", kind) as balancer:
        connection, _line = balancer.websocket()
        connection.close()
        versions = {version for node in cases.nodes for version in node.versions}
        assert ("HTTP/1.0" in versions) is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_event_arrives_late(kind: str, cases: Cases) -> None:
    with cases.running("nginx-event-stream", kind) as balancer, contextlib.closing(balancer.connection()) as connection:
        connection.timeout = 1
        connection.connect()
        received = b""
        with contextlib.suppress(TimeoutError):
            connection.request("GET", "/signalr/events", headers={"Host": NAME})
            received = connection.getresponse().read(7)
        assert received == (b"" if kind == "bad" else b"data: 1")


@pytest.mark.parametrize("kind", KINDS)
def test_header_with_an_underscore_arrives(kind: str, cases: Cases) -> None:
    with cases.running("nginx-header-underscores", kind) as balancer:
        balancer.get("/", {"X_Forwarded_For": "6.6.6.6"})
        assert ("x_forwarded_for" in cases.received("/")[0]) is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_large_cookies_of_an_answer_are_refused(kind: str, cases: Cases) -> None:
    with cases.running("nginx-answer-buffers", kind) as balancer:
        assert balancer.get("/cookies").status == (502 if kind == "bad" else 200)


@pytest.mark.parametrize("kind", KINDS)
def test_package_is_too_large(kind: str, cases: Cases) -> None:
    with cases.running("nginx-body-size", kind) as balancer:
        assert balancer.get("/", method="POST", body=b"x" * 1_100_000).status == (413 if kind == "bad" else 200)


# Nodes


@pytest.mark.parametrize("kind", KINDS)
def test_websocket_reaches_a_node_whose_app_pool_is_stopped(kind: str, cases: Cases) -> None:
    with cases.running("nginx-passive-checks", kind) as balancer:
        for node in cases.nodes:
            node.pages = 503
        connection, line = balancer.websocket()
        connection.close()
        assert (" 101 " in line) is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_dead_node_is_tried_again_and_again(kind: str, cases: Cases) -> None:
    with cases.running("nginx-max-fails", kind, {"backup max_fails=0": "down"}) as balancer:
        cases.nodes[0].closes = True
        assert {balancer.get().status for _ in range(10)} == {200}
        tried = len(cases.nodes[0].received)
        assert tried == 2 if kind == "good" else tried > 2


@pytest.mark.parametrize("kind", KINDS)
def test_each_worker_has_its_own_states(kind: str, cases: Cases) -> None:
    """`reuseport` gives each worker its share of the connections."""
    changes = {" ssl;\n": " ssl reuseport;\n", "backup max_fails=0": "down"}
    with cases.running("nginx-zone", kind, changes, workers=True) as balancer:
        cases.nodes[0].closes = True
        assert {balancer.get().status for _ in range(40)} == {200}
        assert len(cases.nodes[0].received) == (4 if kind == "bad" else 2)


@pytest.mark.parametrize("kind", KINDS)
def test_request_tries_all_nodes(kind: str, cases: Cases) -> None:
    third = f"server 127.0.0.1:{free_port()}"
    with cases.running("nginx-retry-limit", kind, {"server 127.0.0.1:8083": third}) as balancer:
        for node in cases.nodes:
            node.pages = 503
        for _ in range(2):
            balancer.get()
        requests = sum(len(node.received) for node in cases.nodes)
        assert requests > 4 if kind == "bad" else requests <= 4


def hashed(pool: str) -> dict[str, str]:
    """Affinity by address in a pool; the other one selects by the number of connections."""
    return {f"zone {pool} 64k;\n        least_conn;": f"zone {pool} 64k;\n        hash $remote_addr;"}


@pytest.mark.parametrize("kind", KINDS)
def test_negotiation_and_connection_reach_different_nodes(kind: str, cases: Cases) -> None:
    changes = hashed("websocket") if kind == "good" else {}
    with cases.running("nginx-signalr-core-affinity", "bad", changes) as balancer:
        found = {balancer.get("/hubs/negotiate").node for _ in range(8)}
        assert len(found) == (2 if kind == "bad" else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_websocket_goes_to_another_node_than_its_negotiation(kind: str, cases: Cases) -> None:
    changes = hashed("web") | (hashed("websocket") if kind == "good" else {}) | {"backup max_fails=0": "down"}
    with cases.running("nginx-websocket-pool-affinity", "bad", changes) as balancer:
        assert len({balancer.get("/hubs/negotiate").node for _ in range(6)}) == 1
        sockets = []
        for _ in range(6):
            connection = balancer.connection()
            connection.request("GET", "/hubs/connect", headers={"Host": NAME, **WEBSOCKET})
            assert b" 101 " in connection.sock.recv(16)
            sockets.append(connection)
        reached = {node.name for node in cases.nodes if any("Upgrade" in headers for _, _, headers in node.received)}
        assert len(reached) == (2 if kind == "bad" else 1)
        for connection in sockets:
            connection.close()


# Limits


@pytest.mark.parametrize(
    ("rule", "written", "scaled"),
    [
        ("nginx-few-connections", "worker_connections 768;", "worker_connections 20;"),
        ("nginx-open-files", "worker_rlimit_nofile 2000;", "worker_rlimit_nofile 40;"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_robots_use_up_the_connections(rule: str, written: str, scaled: str, kind: str, cases: Cases) -> None:
    changes = {written: scaled, "worker_processes 2;": "worker_processes 1;"}
    with cases.running(rule, kind, changes, workers=True) as balancer, contextlib.ExitStack() as stack:
        served = 0
        with contextlib.suppress(OSError, http.client.HTTPException):
            for _ in range(24):
                connection = stack.enter_context(contextlib.closing(balancer.connection()))
                connection.timeout = 1
                connection.request("GET", "/signalr/connect", headers={"Host": NAME, **WEBSOCKET})
                if b" 101 " not in connection.sock.recv(16):
                    break
                served += 1
        assert (served < 24) is (kind == "bad")


# TLS


@pytest.mark.parametrize("kind", KINDS)
def test_clients_use_an_old_version_of_tls(kind: str, cases: Cases) -> None:
    with cases.running("nginx-tls-version", kind, ANY) as balancer:
        version, _protocol = handshake(balancer.port, highest=ssl.TLSVersion.TLSv1_1)
        assert version == ("TLSv1.1" if kind == "bad" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_clients_use_weak_ciphers(kind: str, cases: Cases) -> None:
    with cases.running("nginx-tls-ciphers", kind) as balancer:
        version, _protocol = handshake(balancer.port, highest=ssl.TLSVersion.TLSv1_2, ciphers=WEAK)
        assert version == ("TLSv1.2" if kind == "bad" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_http2_is_offered_for_windows_sign_ins(kind: str, cases: Cases) -> None:
    with cases.running("nginx-sign-in-http2", kind) as balancer:
        assert (handshake(balancer.port)[1] == "h2") is (kind == "bad")


@pytest.mark.parametrize("kind", KINDS)
def test_machine_without_the_certificate_gets_requests(
    kind: str, cases: Cases, tmp_path_factory: pytest.TempPathFactory
) -> None:
    verified = f"proxy_ssl_verify on; proxy_ssl_trusted_certificate {cases.certificate}; proxy_ssl_name {NAME};"
    with impostor(tmp_path_factory.mktemp("impostor")) as port:
        changes = {f":{node.port}": f":{port}" for node in cases.nodes}
        if kind == "good":
            changes["proxy_pass https://web;"] = f"proxy_pass https://web; {verified}"
        with cases.running("nginx-nodes-unverified", "bad", changes) as balancer:
            assert (balancer.get().node == "impostor") is (kind == "bad")
