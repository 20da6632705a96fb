"""The load generator: its counts, with nodes that fail in known ways."""

import asyncio
import json
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nlbgen.net.client import Connection
from nlbgen.net.loopback import free_port
from nlbgen.net.loops import loop_factory, run
from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.load import HANDSHAKES_AT_ONCE, Client, Load, LoadPlan, main, run_load
from nlbgen.prove.clients.load_result import LoadResult, Record
from nlbgen.prove.lab.certificates import make_certificates
from nlbgen.prove.lab.processes import NodeProcess
from nlbgen.prove.nodes.node import Node
from nlbgen.prove.nodes.options import NodeOptions

PATIENCE = 60.0
"""Seconds for each request, where none may fail: this machine may do much else."""


@pytest.fixture(scope="module")
def shared_node() -> Iterator[NodeProcess]:
    with NodeProcess() as node:
        yield node


@pytest.fixture
def node(shared_node: NodeProcess) -> NodeProcess:
    shared_node.reset()
    shared_node.control.clear()
    return shared_node


def executed_but_failed(result: LoadResult, posts: list[str]) -> list[str]:
    """The ids of POSTs that a node executed although the client got an error."""
    return [record.id for record in result.failures if record.id in posts]


def test_schedule_is_exact_and_repeatable() -> None:
    plan = LoadPlan(url="http://127.0.0.1:1", rate=200, seconds=14)
    records = plan.schedule()
    assert len(records) == 2800
    assert sum(record.method == "POST" for record in records) == 700
    assert len({record.id for record in records}) == 701, "each POST has an id of its own"
    assert records == plan.schedule()
    assert records[-1].scheduled == pytest.approx(2799 / 200)
    assert records != LoadPlan(url="http://127.0.0.1:1", rate=200, seconds=14, seed=2).schedule()


@pytest.mark.parametrize("bad", [{"rate": 0}, {"seconds": 1e6}, {"clients": 0}, {"post_share": 2}, {"rate": 1e9}])
def test_plan_beyond_its_limits_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        LoadPlan(url="http://127.0.0.1:1", **bad)


def test_load_on_a_healthy_node_counts_every_request_once(node: NodeProcess) -> None:
    result = run_load(LoadPlan(url=node.url, rate=300, seconds=2, timeout=PATIENCE))
    assert result.outcomes == {"ok": 600}
    assert result.nodes == {"orch-1": 600}
    assert result.failure_window is None
    assert node.control.summary()["total"] == 600
    posts = node.posts()
    assert not result.duplicates(posts)
    assert not result.lost(posts)
    assert 0 < result.p50 <= result.p99
    assert result.elapsed >= 2 - 1 / 300


def test_load_over_a_kill_and_restart_reports_the_window_of_failures(node: NodeProcess) -> None:
    result = run_load(LoadPlan(url=node.url, rate=200, seconds=3), events=[(1.0, node.kill), (1.5, node.restart)])
    assert set(result.outcomes) <= {"ok", "refused", "reset", "closed"}
    assert result.failed > 0
    assert result.failure_window is not None
    first, last = result.failure_window
    killed, restarted = result.event_times
    assert first <= killed + 0.1
    assert last <= restarted + 0.1
    assert run_load(LoadPlan(url=node.url, rate=100, seconds=0.2, timeout=PATIENCE)).outcomes == {"ok": 20}


def test_load_on_a_stopped_app_pool_counts_503(node: NodeProcess) -> None:
    node.set(pool_stopped=True)
    result = run_load(LoadPlan(url=node.url, rate=100, seconds=1, timeout=PATIENCE))
    assert result.outcomes == {"http 503": 100}
    assert result.failed == 100
    assert result.failed_by_method.keys() == {"GET", "POST"}


def test_latency_counts_from_the_schedule_over_a_hang(node: NodeProcess) -> None:
    result = run_load(
        LoadPlan(url=node.url, rate=100, seconds=2, timeout=0.5),
        events=[(0.5, node.freeze), (1.5, node.thaw)],
    )
    # Requests that are sent more than 0.5 s before the node resumes time out; the node answers the others late.
    assert result.outcomes["timeout"] > 0
    assert all(record.latency >= 0.49 for record in result.failures)
    assert max(record.latency for record in result.records if record.ok) > 0.05
    # The node executes what it received while it hung, although the client got an error.
    assert wait_until(lambda: bool(executed_but_failed(result, node.posts())))
    assert not result.lost(node.posts())


def test_stalled_server_gets_one_handshake_per_client() -> None:
    """The server accepts and sends nothing: each client tries one handshake at a time, and every request is counted."""
    open_now: set[asyncio.StreamWriter] = set()
    most = 0

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        open_now.add(writer)
        most = max(most, len(open_now))
        while await reader.read(1024):
            pass
        open_now.discard(writer)
        writer.close()

    async def scenario() -> LoadResult:
        server = await asyncio.start_server(accept, "127.0.0.1", free_port())
        async with server:
            port = server.sockets[0].getsockname()[1]
            plan = LoadPlan(url=f"https://127.0.0.1:{port}", verify=False, rate=100, seconds=1, clients=3, timeout=1.0)
            return await Load(plan).run()

    result = run(scenario())
    assert result.outcomes == {"timeout": 100}
    assert most == 3 * HANDSHAKES_AT_ONCE


def test_waiting_request_gets_the_first_free_connection(node: NodeProcess) -> None:
    """One client, 100 requests in 0.1 s, each of 100 ms: all succeed on a few connections."""
    node.set(delay=0.1)
    result = run_load(LoadPlan(url=node.url, rate=1000, seconds=0.1, clients=1, timeout=PATIENCE))
    assert result.outcomes == {"ok": 100}


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_connection_closed_while_the_loop_is_busy_is_replaced(tmp_path: Path, tls: bool) -> None:
    """The server closes an idle connection while the client's loop is busy: the client opens another one."""
    made = make_certificates(tmp_path, ["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    over, closed = threading.Event(), threading.Event()

    def serve(listener: socket.socket) -> None:
        raw, _ = listener.accept()
        with context.wrap_socket(raw, server_side=True) if tls else raw as client:
            client.recv(4096)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            over.wait(10)
        closed.set()

    async def scenario(port: int) -> None:
        plan = LoadPlan(url=f"http{'s' * tls}://127.0.0.1:{port}", ca=made.ca)
        load, client = Load(plan), Client(0, plan)
        connection = await Connection.to(load._target, client.local)
        await connection.send(b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.1)  # tickets of TLS 1.3 arrive
        client.give_back(connection)
        kept = client.take()
        assert kept is connection
        client.give_back(connection)
        over.set()
        closed.wait(10)  # blocks the loop
        assert connection.open, "the loop has not seen the end"
        assert client.take() is None
        await asyncio.sleep(0)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        serving = pool.submit(serve, listener)
        run(scenario(listener.getsockname()[1]))
        serving.result(10)


def test_request_on_a_closed_connection_is_not_retried() -> None:
    seen: list[bytes] = []

    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            seen.append(data)
            if len(seen) == 1:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            else:
                break
        writer.close()

    async def scenario() -> LoadResult:
        server = await asyncio.start_server(rude, "127.0.0.1", free_port())
        port = server.sockets[0].getsockname()[1]
        result = await Load(
            LoadPlan(url=f"http://127.0.0.1:{port}", rate=10, seconds=0.2, clients=1, post_share=0)
        ).run()
        server.close()
        return result

    result = run(scenario())
    assert result.outcomes == {"ok": 1, "closed": 1}
    assert len(seen) == 2


def test_two_runs_of_one_plan_have_no_common_duplicates(node: NodeProcess) -> None:
    plan = LoadPlan(url=node.url, rate=100, seconds=0.3, timeout=PATIENCE)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(run_load, plan)
        second = run_load(plan)
    posts = node.posts()
    for result in (first.result(), second):
        assert result.failed == 0
        assert not result.duplicates(posts)
        assert result.duplicates(posts, posts), "the same log twice holds each id twice"


def test_command_line_prints_json(node: NodeProcess, capsys: pytest.CaptureFixture[str]) -> None:
    main([node.url, "--rate", "50", "--seconds", "0.2", "--clients", "2"])
    assert json.loads(capsys.readouterr().out)["outcomes"] == {"ok": 10}


def test_load_without_uvloop_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop_factory() is None

    async def scenario() -> LoadResult:
        async with Node(NodeOptions(name="here")) as node:
            return await Load(
                LoadPlan(url=f"http://127.0.0.1:{node.port}", rate=100, seconds=0.5, timeout=PATIENCE)
            ).run()

    result = run(scenario())
    assert result.outcomes == {"ok": 50}
    assert result.nodes == {"here": 50}


def test_load_on_a_closed_port_counts_refused() -> None:
    assert run_load(LoadPlan(url=f"http://127.0.0.1:{free_port()}", rate=50, seconds=0.2)).outcomes == {"refused": 10}


def test_tls_certificate_is_checked_against_the_name(tmp_path: Path) -> None:
    made = make_certificates(tmp_path, ["orchestrator.test"])
    with NodeProcess(tls_cert=made.certificate, tls_key=made.key) as node:
        short: dict[str, Any] = {"rate": 50, "seconds": 0.4, "timeout": PATIENCE}
        named = f"https://orchestrator.test:{node.port}"
        assert run_load(LoadPlan(url=named, ca=made.ca, **short)).outcomes == {"ok": 20}
        assert run_load(LoadPlan(url=node.url, ca=made.ca, host="orchestrator.test", **short)).failed == 0
        assert run_load(LoadPlan(url=node.url, verify=False, **short)).failed == 0
        assert run_load(LoadPlan(url=node.url, ca=made.ca, **short)).outcomes == {"tls": 20}
        assert run_load(LoadPlan(url=named, **short)).outcomes == {"tls": 20}


def test_each_client_has_its_own_address_and_cookies(node: NodeProcess) -> None:
    plan = LoadPlan(
        url=node.url,
        rate=200,
        seconds=0.5,
        clients=7,
        timeout=PATIENCE,
        cookies=True,
        source_addresses=True,
        get_path="/?cookie=SERVERID",
        headers={"X-Test": "1"},
    )
    assert run_load(plan).failed == 0
    requests = node.control.requests("/?cookie")
    assert any(["Cookie", "SERVERID=1"] in request["headers"] for request in requests)
    assert all(["X-Test", "1"] in request["headers"] for request in requests)
    peers = {r["peer"] for r in requests}
    assert len(peers) == 7
    assert all(peer.startswith("127.1.") for peer in peers)
    assert len({peer.rpartition(".")[0] for peer in peers}) == len(set(peers)), "`ip_hash` sees a client as its network"


def test_load_that_is_cancelled_in_its_warm_up_closes_its_connections() -> None:
    async def cancelled() -> tuple[int, bool]:
        first = asyncio.Event()
        open_ones: set[asyncio.StreamWriter] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            open_ones.add(writer)
            first.set()
            await reader.read()
            open_ones.discard(writer)
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            load = asyncio.create_task(Load(LoadPlan(url=f"http://127.0.0.1:{port}", clients=300, warm_up=True)).run())
            await first.wait()
            load.cancel()
            await asyncio.wait([load])
            for _ in range(200):
                if open_ones:
                    await asyncio.sleep(0.05)
            left = len(open_ones)
            for writer in open_ones:
                writer.transport.abort()
            return left, asyncio.get_running_loop().get_exception_handler() is None

    assert run(cancelled()) == (0, True)


def test_exception_of_an_event_is_raised(node: NodeProcess) -> None:
    with pytest.raises(ZeroDivisionError):
        run_load(LoadPlan(url=node.url, rate=20, seconds=0.2), events=[(0.1, lambda: 1 / 0)])
    with pytest.raises(ValueError, match="outside of the run"):
        run_load(LoadPlan(url=node.url, rate=20, seconds=0.2), events=[(1, print)])


@pytest.mark.slow
def test_load_at_a_high_rate_loses_no_request_on_a_slow_machine(node: NodeProcess) -> None:
    """Whether the rate is kept is measured by benchmarks/load.py."""
    result = run_load(LoadPlan(url=node.url, rate=2000, seconds=3, timeout=PATIENCE))
    assert result.outcomes == {"ok": 6000}
    assert not result.lost(node.posts())


def test_metrics_of_a_known_run() -> None:
    records = [
        Record(scheduled=i / 10, method="POST", id=f"r-{i}", client=0, latency=i / 100, outcome="ok")
        for i in range(100)
    ]
    records[20].outcome = "timeout"
    records[30].outcome = "http 502"
    result = LoadResult(records, 10, 10)
    assert result.failed == 2
    assert result.failure_window == (2.0, 3.0)
    assert result.window_seconds == 1.0
    assert result.p50 == 0.5
    assert result.p99 == 0.99
    assert result.slow(0.9) == 9
    assert result.duplicates(["r-1", "r-2"], ["r-2", "foreign", "foreign"]) == ["r-2"]
    assert executed_but_failed(result, ["r-20"]) == ["r-20"]
    assert len(result.lost(["r-1"])) == 97
    assert '"failed": 2' in result.to_json(records=True)
