"""The nodes' stores: a real Redis; the port of SQL Server, and a simulated SQL Server Browser."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

import pytest

from nlbgen.net.loopback import free_port
from nlbgen.net.resp import encode
from nlbgen.probe import redis_clients, sqlserver
from nlbgen.probe.farm import Options, probe
from nlbgen.probe.findings import Report
from nlbgen.probe.machine import Machine
from nlbgen.probe.sqlserver import DataSource, port_in
from nlbgen.spec.load import loads
from nlbgen.spec.units import Duration

if TYPE_CHECKING:
    from tests.probe.conftest import ProbeOptions

PASSWORD = 'pä ss"wörd'


def redis_binary() -> str:
    path = shutil.which("redis-server", path=os.environ.get("PATH", "") + os.pathsep + "/usr/bin:/usr/sbin")
    assert path
    return path


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Return a function that starts a Redis with these lines in its configuration and returns its port."""
    with ExitStack() as stack:

        def start(*lines: str, tls: bool = False) -> int:
            port = free_port()
            plain = [f"port {port}"] if not tls else ["port 0", f"tls-port {port}", "tls-auth-clients no"]
            config = tmp_path / f"redis-{port}.conf"
            config.write_text("\n".join(["bind 127.0.0.1", "save ''", f"dir {tmp_path}", *plain, *lines, ""]), "utf-8")
            process = subprocess.Popen([redis_binary(), str(config)], stdout=subprocess.DEVNULL)
            stack.callback(process.wait, 10)
            stack.callback(process.terminate)
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                except OSError:
                    time.sleep(0.05)
                else:
                    return port
            raise AssertionError("redis-server does not listen")

        yield start


def required(password: str) -> str:
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    return f'requirepass "{quoted}"'


def ask(
    tmp_path: Path, stores: str, version: str = "2019.4", state: str = "down", **options: Unpack["ProbeOptions"]
) -> Report:
    """Probe the stores of a farm whose nodes are down, so that there are no other findings."""
    text = f"""
farm: orchestrator-test
orchestrator: {{version: "{version}"}}
frontend: {{host: orchestrator.corp.example, tls: {{verify_nodes: false}}}}
nodes: [{{name: orch-1, address: orch-1.invalid}}, {{name: orch-2, address: orch-2.invalid}}]
stores: {stores}
accept: [redis-loopback, database-local, redis-add-on, redis-replicas]
"""
    spec = loads(text, str(tmp_path / "farm.yaml"))
    nodes = tuple(node.replace(state=state) for node in spec.farm.nodes)
    spec = spec._replace(farm=spec.farm.replace(nodes=nodes))
    return probe(spec, Options(through="nodes", timeout=Duration.of("40s"))._replace(**options))


def ask_redis(
    tmp_path: Path,
    port: int,
    *,
    password: bool = True,
    more: str = "",
    version: str = "2019.4",
    **options: Unpack["ProbeOptions"],
) -> Report:
    secret = ", password: {env: NLBGEN_TEST_REDIS}" if password else ""
    stores = f"{{signalr: redis, redis: {{host: 127.0.0.1, port: {port}{secret}{more}}}}}"
    return ask(tmp_path, stores, version, **options)


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLBGEN_TEST_REDIS", PASSWORD)


def found_in(report: Report) -> list[tuple[str, str]]:
    return [(finding.id, finding.level) for finding in report.findings]


def shows_no_secret(report: Report) -> bool:
    return PASSWORD not in report.text() + repr(report.data())


@pytest.mark.redis
def test_redis_with_the_configured_password_has_no_finding(redis: Callable[..., int], tmp_path: Path) -> None:
    report = ask_redis(tmp_path, redis(required(PASSWORD)))
    assert found_in(report) == []
    device = report.devices[-1]
    assert (device.reached, device.facts["redis"], device.facts["role"]) == (True, "Redis answers", "master")
    assert shows_no_secret(report)


@pytest.mark.redis
def test_redis_without_a_password_has_no_finding(redis: Callable[..., int], tmp_path: Path) -> None:
    assert found_in(ask_redis(tmp_path, redis(), password=False)) == []


@pytest.mark.redis
def test_each_of_several_servers_of_redis_is_checked_and_named(redis: Callable[..., int], tmp_path: Path) -> None:
    good, replica, bad = redis(required(PASSWORD)), redis(required(PASSWORD)), redis()
    with socket.create_connection(("127.0.0.1", replica), 5) as connection:
        connection.sendall(f'AUTH "{PASSWORD}"\r\nREPLICAOF 127.0.0.1 {good}\r\n'.encode())
        assert connection.recv(100)
    servers = ", ".join(f'"127.0.0.1:{port}"' for port in (good, replica, bad))
    password = "password: {env: NLBGEN_TEST_REDIS}"
    report = ask(tmp_path, f"{{signalr: redis, redis: {{endpoints: [{servers}], {password}}}}}")
    devices = {one.device for one in report.devices if "redis" in one.device}
    assert devices == {f"redis 127.0.0.1:{port}" for port in (good, replica, bad)}
    found = {(finding.id, finding.device) for finding in report.findings if finding.id != "redis-listeners"}
    assert found == {("redis-open", f"redis 127.0.0.1:{bad}")}
    assert shows_no_secret(report)


@pytest.mark.redis
def test_redis_with_the_configured_user_has_no_finding(redis: Callable[..., int], tmp_path: Path) -> None:
    """The default user is off: the password alone is refused."""
    quoted = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    port = redis("user default off", f'user orchestrator on ">{quoted}" ~* +@all')
    report = ask_redis(tmp_path, port, more=", user: orchestrator", version="2023.10")
    assert found_in(report) == []
    assert report.devices[-1].facts["role"] == "master"
    assert found_in(ask_redis(tmp_path, port)) == [("redis-password", "finding")]


@pytest.mark.redis
@pytest.mark.parametrize(
    ("version", "listeners", "found"),
    [
        ("2019.4", 0, []),
        ("2019.4", 1, [("redis-listeners", "finding")]),
        ("2019.4", 2, []),
        ("2023.10", 1, [("redis-listeners", "note")]),
    ],
)
def test_redis_with_fewer_listeners_than_nodes_is_reported(
    redis: Callable[..., int], tmp_path: Path, version: str, listeners: int, found: list[tuple[str, str]]
) -> None:
    port = redis(required(PASSWORD))
    with ExitStack() as stack:
        for number in range(listeners + 1):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            channels = ["signalr"] * (number < listeners) + ["__Booksleeve_MasterChanged"]
            client.sendall(encode("AUTH", PASSWORD) + encode("SUBSCRIBE", *channels))
            while b"MasterChanged" not in client.recv(1024):
                pass
        store = f"{{signalr: redis, redis: {{host: 127.0.0.1, port: {port}, password: {{env: NLBGEN_TEST_REDIS}}}}}}"
        report = ask(tmp_path, store, version, "up")
    assert [(one.id, one.level) for one in report.findings if one.device == "redis"] == found


@pytest.mark.redis
def test_node_that_does_not_listen_is_named_by_its_computer(redis: Callable[..., int], tmp_path: Path) -> None:
    """As StackExchange.Redis connects: one connection publishes and one listens, both with the computer's name."""
    port = redis(required(PASSWORD))
    with ExitStack() as stack:
        for name, channels in (
            ("ORCH-1", ["signalr", "__Booksleeve_MasterChanged"]),
            ("ORCH-2(v2.8)", ["__Booksleeve_MasterChanged"]),
        ):
            for subscribed in ([], channels):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                client.sendall(encode("AUTH", PASSWORD) + encode("CLIENT", "SETNAME", name))
                assert client.recv(100)
                if subscribed:
                    client.sendall(encode("SUBSCRIBE", *subscribed))
                    while b"__Booksleeve_MasterChanged" not in client.recv(1024):
                        pass
        store = f"{{signalr: redis, redis: {{host: 127.0.0.1, port: {port}, password: {{env: NLBGEN_TEST_REDIS}}}}}}"
        report = ask(tmp_path, store, "2019.4", "up")
    found = {one.id: one.found for one in report.findings if one.device == "redis"}
    assert found == {"redis-listeners": "1: not ORCH-2"}
    facts = report.devices[-1].facts
    assert facts["version"].startswith("version ")
    assert facts["failure"] == "if this server fails, the nodes exchange no messages until it runs again"


@pytest.mark.parametrize(
    ("lines", "addresses", "told"),
    [
        (["addr=10.0.0.1:1 name= sub=2", "addr=10.0.0.2:1 name= sub=1"], True, "not orch-2"),
        (["addr=10.0.0.1:1 name= sub=2", "addr=10.0.0.9:1 name= sub=3"], True, "not orch-2"),
        (["addr=10.0.0.8:1 name= sub=2", "addr=10.0.0.8:2 name= sub=1"], True, "the connections have no names"),
        (["addr=10.0.0.8:1 name=A sub=2", "addr=10.0.0.8:2 name= sub=1"], True, "1 without a connection"),
        (["addr=10.0.0.8:1 name=A sub=2", "addr=10.0.0.8:1 name=B sub=1", "x"], True, "not B"),
        (["addr=[::1]:1 name=A sub=2 flags=S", "addr=[::1]:1 name=sentinel-1 sub=1"], True, "the connections have"),
        (
            ["addr=10.0.0.8:1 name=A sub=x", "addr=10.0.0.1:1 name= sub=1 cmd=client|list"],
            False,
            "the connections have",
        ),
    ],
)
def test_clients_of_redis_show_which_node_does_not_listen(lines: list[str], addresses: bool, told: str) -> None:
    nodes = {"10.0.0.1": "orch-1", "10.0.0.2": "orch-2"} if addresses else {}
    assert redis_clients.missing("\n".join(lines), 2, nodes).startswith(told)


@pytest.mark.redis
def test_redis_with_another_password_is_reported(redis: Callable[..., int], tmp_path: Path) -> None:
    report = ask_redis(tmp_path, redis(required("another")))
    assert found_in(report) == [("redis-password", "finding")]
    assert report.findings[0].found == "WRONGPASS"
    assert shows_no_secret(report)


@pytest.mark.redis
def test_redis_requiring_a_password_not_in_the_spec_is_reported(redis: Callable[..., int], tmp_path: Path) -> None:
    assert found_in(ask_redis(tmp_path, redis(required(PASSWORD)), password=False)) == [("redis-password", "finding")]


@pytest.mark.redis
def test_redis_requiring_no_password_is_reported(redis: Callable[..., int], tmp_path: Path) -> None:
    assert found_in(ask_redis(tmp_path, redis())) == [("redis-open", "finding")]


@pytest.mark.redis
def test_redis_error_does_not_leak_the_password(redis: Callable[..., int], tmp_path: Path) -> None:
    """If AUTH is renamed, Redis's error repeats its arguments."""
    report = ask_redis(tmp_path, redis(required(PASSWORD), 'rename-command AUTH "OTHER"'))
    assert found_in(report) == [("redis-password", "finding")]
    assert report.findings[0].found == "ERR"
    assert shows_no_secret(report)


@pytest.mark.redis
def test_redis_replica_is_reported(redis: Callable[..., int], tmp_path: Path) -> None:
    master = redis(required(PASSWORD))
    replica = redis(
        required(PASSWORD), f"replicaof 127.0.0.1 {master}", f'masterauth "{PASSWORD}"'.replace('s"w', 's\\"w')
    )
    report = ask_redis(tmp_path, replica)
    assert found_in(report) == [("redis-replica", "finding")]
    assert found_in(ask_redis(tmp_path, master)) == []


@pytest.mark.redis
def test_redis_over_tls_gets_the_password_only_after_verification(redis: Callable[..., int], tmp_path: Path) -> None:
    from nlbgen.prove.lab.certificates import make_certificates

    made = make_certificates(tmp_path / "tls", ["127.0.0.1"])
    other = make_certificates(tmp_path / "other", ["127.0.0.1"])
    files = f"tls-cert-file {made.certificate}", f"tls-key-file {made.key}", f"tls-ca-cert-file {made.ca}"
    port = redis(required(PASSWORD), *files, tls=True)
    soon = Duration.of("3d")
    report = ask_redis(tmp_path, port, more=", tls: true", ca=made.ca, expires_within=soon)
    assert found_in(report) == []
    assert report.devices[-1].facts["redis"] == "Redis answers"
    report = ask_redis(tmp_path, port, more=", tls: true", ca=other.ca, expires_within=soon)
    assert found_in(report) == [("certificate-chain", "finding")]
    assert "redis" not in report.devices[-1].facts  # the password was not sent over unverified TLS
    assert found_in(ask_redis(tmp_path, port, expires_within=soon)) == [("redis-answer", "finding")]


@pytest.mark.redis
def test_redis_without_the_expected_tls_is_reported(redis: Callable[..., int], tmp_path: Path) -> None:
    report = ask_redis(tmp_path, redis(required(PASSWORD)), more=", tls: true", timeout=Duration.of("4s"))
    assert found_in(report) == [("tls-handshake", "finding")]


def test_stopped_redis_is_unreachable(tmp_path: Path) -> None:
    report = ask_redis(tmp_path, free_port())
    assert found_in(report) == [("unreachable", "finding")]
    assert "refused" in report.findings[0].found


def test_redis_without_the_secret_is_unchecked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NLBGEN_TEST_REDIS")
    with answering(b"") as port:
        report = ask_redis(tmp_path, port)
    assert found_in(report) == [("redis-unchecked", "unchecked")]
    assert report.devices[-1].reached
    assert "NLBGEN_TEST_REDIS is not set" in report.findings[0].found


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Run a server that sends these bytes on each connection, and nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        over = threading.Event()
        held = []

        def serve() -> None:
            while not over.is_set():
                connection, _address = server.accept()
                held.append(connection)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield port
        finally:
            over.set()
            socket.create_connection(("127.0.0.1", port), 5).close()
            thread.join(5)
            for connection in held:
                connection.close()


@pytest.mark.parametrize(
    "answer, found",
    [
        (b"", "no response within 2 s"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "an error"),
        (b":1\r\n", "not a valid response of Redis"),
        (b"$abc\r\n", "not RESP"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "LOADING"),
        (b"-\x1b[31m evil\r\n", "an error"),
    ],
    ids=["silent", "http", "number", "garbage", "loading", "escape"],
)
def test_server_that_is_not_redis_is_reported(tmp_path: Path, answer: bytes, found: str) -> None:
    with answering(answer) as port:
        report = ask_redis(tmp_path, port, timeout=Duration.of("4s"))
    assert found_in(report) == [("redis-answer", "finding")]
    assert found in report.findings[0].found
    assert "\x1b" not in report.text()


# SQL Server


def ask_sql(tmp_path: Path, server: str) -> Report:
    return ask(tmp_path, f"{{signalr: sqlserver, database: {{server: '{server}'}}}}")


@pytest.mark.parametrize("server", [".", "(local)", r".\SQLEXPRESS", "lpc:SQL01", r"np:\\SQL01\pipe\sql\query"])
def test_sql_server_without_a_known_port_is_unchecked(tmp_path: Path, server: str) -> None:
    assert found_in(ask_sql(tmp_path, server)) == [("sql-port-unknown", "unchecked")]


@pytest.mark.parametrize(
    "text, host, instance, port",
    [
        ("SQL01", "SQL01", "", 1433),
        ("SQL01,1500", "SQL01", "", 1500),
        (r"SQL01\PROD", "SQL01", "PROD", None),
        (r"SQL01\PROD, 1500", "SQL01", "PROD", 1500),
        (r"SQL01\MSSQLSERVER", "SQL01", "MSSQLSERVER", 1433),
        ("tcp:sql.corp.example,1433", "sql.corp.example", "", 1433),
        ("[2001:db8::5],1433", "2001:db8::5", "", 1433),
        ("2001:db8::5", "2001:db8::5", "", 1433),
    ],
)
def test_data_source_is_parsed(text: str, host: str, instance: str, port: int | None) -> None:
    assert DataSource.of(text)[:3] == (host, instance, port)


SVR_RESP = (
    b"ServerName;SQL01;InstanceName;PROD;IsClustered;No;Version;15.0.2000.5;tcp;50123;np;\\\\SQL01\\pipe\\x\\query;;"
)


def response(data: bytes) -> bytes:
    return b"\x05" + len(data).to_bytes(2, "little") + data


@pytest.mark.parametrize(
    "answer, port",
    [
        (response(SVR_RESP), 50123),
        (response(SVR_RESP.replace(b"tcp;50123;", b"")), None),
        (response(SVR_RESP.replace(b"50123", b"99999")), None),
        (response(SVR_RESP.replace(b"50123", b"x")), None),
        (response(SVR_RESP.replace(b"50123", b"0")), None),
        (response(SVR_RESP.replace(b"50123", b"1")), 1),
        (response(SVR_RESP.replace(b"50123", b"65535")), 65535),
        (response(SVR_RESP.replace(b"50123", b"65536")), None),
        (response(SVR_RESP)[:20], None),
        (b"", None),
        (b"\x06xx", None),
    ],
)
def test_port_in_returns_only_valid_ports(answer: bytes, port: int | None) -> None:
    assert port_in(answer) == port


class Browser:
    """A SQL Server Browser ([MC-SQLR]) with one instance."""

    def __init__(self, instance: bytes, port: int) -> None:
        self._response = response(SVR_RESP.replace(b"PROD", instance).replace(b"50123", str(port).encode()))
        self._request = b"\x04" + instance + b"\0"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            data, address = self._socket.recvfrom(1024)
            if not data:
                return
            if data == self._request:  # there is no response for another instance
                self._socket.sendto(self._response, address)


@pytest.fixture
def ask_instance(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], Machine]:
    """Return a function that checks SQL Server on loopback, which a spec cannot have, with the Browser at a port."""
    import asyncio

    from nlbgen.net.connect import Limits
    from nlbgen.probe.machine import Endpoint

    monkeypatch.setattr(sqlserver, "_LOCAL", frozenset())

    def ask_it(text: str, browser_port: int) -> Machine:
        source = DataSource.of(text)
        endpoint = Endpoint(source.host, source.port or browser_port, source.host, tls=False)
        device = Machine("sql", endpoint, Limits(1, 1))
        asyncio.run(sqlserver.check(device, source, browser_port))
        return device

    return ask_it


def test_named_instance_uses_the_port_of_the_browser(ask_instance: Callable[[str, int], Machine]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Browser(b"PROD", port := server.getsockname()[1]) as browser:
        device = ask_instance(r"127.0.0.1\PROD", browser.port)
    assert device.findings == []
    assert device.facts["sql"] == f"TCP {port} accepts"


def test_named_instance_with_a_closed_port_is_unreachable(ask_instance: Callable[[str, int], Machine]) -> None:
    with Browser(b"PROD", port := free_port()) as browser:
        device = ask_instance(r"127.0.0.1\PROD", browser.port)
    assert [(finding.id, finding.object) for finding in device.findings] == [
        ("unreachable", rf"127.0.0.1\PROD, TCP {port}")
    ]


def test_instance_unknown_to_the_browser_is_unchecked(ask_instance: Callable[[str, int], Machine]) -> None:
    with Browser(b"OTHER", 1433) as browser:
        device = ask_instance(r"127.0.0.1\PROD", browser.port)
    assert [finding.id for finding in device.findings] == ["sql-port-unknown"]
    assert device.facts == {"sql": "not checked"}


def test_named_instance_without_a_browser_is_unchecked(ask_instance: Callable[[str, int], Machine]) -> None:
    device = ask_instance(r"127.0.0.1\PROD", free_port())
    assert [finding.id for finding in device.findings] == ["sql-port-unknown"]


def test_given_port_needs_no_browser(ask_instance: Callable[[str, int], Machine]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        device = ask_instance(f"127.0.0.1,{server.getsockname()[1]}", free_port())
    assert device.findings == []


def test_sql_server_port_of_a_farm_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlserver, "_LOCAL", frozenset())
    port = free_port()
    report = ask_sql(tmp_path, f"127.0.0.1,{port}")
    assert found_in(report) == [("unreachable", "finding")]
    assert (report.findings[0].device, report.findings[0].object) == ("sql", f"127.0.0.1, TCP {port}")
    with socket.create_server(("127.0.0.1", port)):
        report = ask_sql(tmp_path, f"127.0.0.1,{port}")
    assert found_in(report) == []
    assert report.devices[-1].facts["sql"] == f"TCP {port} accepts"


def test_closed_given_port_is_unreachable(ask_instance: Callable[[str, int], Machine]) -> None:
    device = ask_instance(f"127.0.0.1,{free_port()}", free_port())
    assert [finding.id for finding in device.findings] == ["unreachable"]
