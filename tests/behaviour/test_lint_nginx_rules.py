"""What the rules of nlbgen lint report about nginx.conf happens in the real NGINX, with the cases of tests/lint.

Each test runs the bad configuration of a rule and the good one in front of the same two nodes. Only ports, paths and
the lengths of timeouts differ from the cases.
"""

import contextlib
import http.client
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from nlbgen.net.loopback import free_port
from nlbgen.net.waiting import wait_until
from nlbgen.prove.lab.certificates import make_certificates
from tests.behaviour.test_lint_rules import WEBSOCKET, Answer, Node, Server, _connects, closed
from tests.lint.nginx_cases import BAD, changed

pytestmark = [pytest.mark.nginx, pytest.mark.slow, pytest.mark.xdist_group("lint_nginx_rules")]

KINDS = ("bad", "good")
NAME = "orchestrator.corp.example"


class Balancer:
    """A running NGINX."""

    def __init__(self, port: int, log: Path) -> None:
        self.port, self.log = port, log

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
    def running(self, rule: str, kind: str, changes: Mapping[str, str] | None = None) -> Iterator[Balancer]:
        """Run one case; `changes` are texts of the file with what to write instead."""
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
        for before, after in {**own, **(changes or {})}.items():
            text = text.replace(before, after)
        path = self.folder / "nginx.conf"
        path.write_text(f"daemon off; master_process off;\n{text}", encoding="utf-8")
        command = ["nginx", "-e", "stderr", "-c", str(path)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert wait_until(lambda: _connects(port), 10), "NGINX does not listen"
            yield Balancer(port, self.folder / "access.log")
        finally:
            process.kill()
            process.wait()
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
