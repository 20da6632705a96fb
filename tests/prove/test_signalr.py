"""SignalR on the simulated nodes, with Microsoft's clients, pysignalr, and the lab's own client."""

import asyncio
import base64
import gc
import json
import logging
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import pytest

from nlbgen.net.loopback import free_port
from nlbgen.net.loops import LoopThread, run
from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.hub_client import (
    GENERATIONS,
    TRANSPORTS,
    HubClient,
    Json,
    SessionError,
    SessionPlan,
    SessionReport,
)
from nlbgen.prove.clients.sessions import make_client, open_http, session
from nlbgen.prove.clients.simple import fetch
from nlbgen.prove.lab.processes import BalancerProcess, NodeProcess
from nlbgen.prove.nodes.aspnet import ProtectedData
from nlbgen.prove.nodes.options import NodeOption, NodeOptions
from nlbgen.prove.nodes.signalr2_call import protocol_version

from ..tools.npm import NpmError, packages

if TYPE_CHECKING:
    import aiohttp

RunClient = Callable[..., dict[str, Any]]
JS = Path(__file__).parents[1] / "js"
EVERYTHING = [(generation, transport) for generation in GENERATIONS for transport in TRANSPORTS]


@contextmanager
def start_nodes(count: int, options: NodeOptions | None = None, **changes: NodeOption) -> Iterator[list[NodeProcess]]:
    """Nodes orch-1, orch-2 and so on, stopped at the end."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(NodeProcess(options, **{**changes, "name": f"orch-{number + 1}"}))
            for number in range(count)
        ]


def run_session(plan: SessionPlan) -> SessionReport:
    """Run one session (blocking)."""
    return run(session(plan))


def run_sessions(plan: SessionPlan, count: int) -> list[SessionReport]:
    """Run `count` sessions at once (blocking): what share of them works without affinity?"""

    async def together() -> list[SessionReport]:
        return await asyncio.gather(*(session(plan) for _ in range(count)))

    return run(together())


class HeldSession:
    """A session that stays open while blocking code does something else."""

    def __init__(self, plan: SessionPlan) -> None:
        self.plan = plan
        self._thread = LoopThread()
        self._http: aiohttp.ClientSession | None = None
        self._client: HubClient | None = None

    @property
    def client(self) -> HubClient:
        """The client inside."""
        if self._client is None:
            raise SessionError("the session is not open")
        return self._client

    @property
    def report(self) -> SessionReport:
        """The report so far."""
        return self.client.report

    def __enter__(self) -> Self:
        self._thread.__enter__()
        try:
            self._thread.call(self._open(), self.plan.timeout * 4)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._thread.call(self._close(), self.plan.timeout * 2 + 5)
        finally:
            self._thread.__exit__()

    async def _open(self) -> None:
        self._http = open_http(self.plan)
        self._client = make_client(self.plan, self._http)
        await self._client.open()

    async def _close(self) -> None:
        if self._client is not None:
            await self._client.close()
        if self._http is not None:
            await self._http.close()

    def invoke(self, method: str, *arguments: Json) -> Json:
        """Call a hub method: `invoke("Echo", 1) == 1`, `invoke("Where")["node"]`, `invoke("Broadcast", "x")`."""
        return self._thread.call(self.client.invoke(method, *arguments), self.plan.timeout * 2 + 1)

    def wait_push(self, seconds: float = 5.0) -> object:
        """Return the next push; TimeoutError if none came within `seconds`."""

        async def wait() -> object:
            async with asyncio.timeout(seconds):
                return await self.client.pushed.get()

        return self._thread.call(wait(), seconds + 5)


@pytest.fixture(scope="session")
def microsoft_clients() -> RunClient:
    """Install the pinned npm packages once; return a function that runs one session with them."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: Microsoft's JavaScript clients cannot run")
    try:
        packages(JS)
    except NpmError as error:
        pytest.skip(str(error))

    def session(**ask: object) -> dict[str, Any]:
        done = subprocess.run(
            [node, "session.js", json.dumps(ask)],
            cwd=JS,
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )
        assert done.stdout, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return session


@pytest.fixture(scope="module")
def shared_node() -> Iterator[NodeProcess]:
    with NodeProcess(keep_alive=0.5, core_ping=0.5, poll_seconds=2.0, core_poll_seconds=2.0) as node:
        yield node


@pytest.fixture
def node(shared_node: NodeProcess) -> NodeProcess:
    shared_node.reset()
    shared_node.control.clear()
    return shared_node


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["webSockets", "serverSentEvents", "longPolling"])
@pytest.mark.no_cover  # other tests reach the same lines
def test_microsofts_classic_client_works(node: NodeProcess, microsoft_clients: RunClient, transport: str) -> None:
    seen = microsoft_clients(generation="classic", url=node.url, transport=transport, hub="echohub", reconnect=True)
    assert seen["ok"], seen
    assert (seen["toGroup"], seen["afterReconnect"], seen["sameId"]) == ("to the group", "after the reconnect", True)
    assert (seen["transport"], seen["echo"], seen["push"]) == (transport, "hello ☃", "to all")
    assert seen["where"]["node"] == "orch-1"
    assert "could not be resolved" in seen["unknown"]


@pytest.mark.parametrize("path", ["/signalr/core", "/hub"])
@pytest.mark.slow
@pytest.mark.parametrize(
    ("transport", "skip"),
    [("WebSockets", False), ("WebSockets", True), ("ServerSentEvents", False), ("LongPolling", False)],
)
def test_microsofts_core_client_works(
    node: NodeProcess, microsoft_clients: RunClient, transport: str, skip: bool, path: str
) -> None:
    seen = microsoft_clients(generation="core", url=node.url, path=path, transport=transport, skipNegotiation=skip)
    assert seen["ok"], seen
    assert (seen["echo"], seen["push"], seen["where"]["node"]) == ("hello ☃", "to all", "orch-1")
    assert "NoSuchMethod" in seen["unknown"]


@pytest.mark.slow
def test_microsofts_core_client_with_stateful_reconnect_works_without_it(
    node: NodeProcess, microsoft_clients: RunClient
) -> None:
    """The server does not offer it, as version 8 by default, and the client does without."""
    seen = microsoft_clients(generation="core", url=node.url, path="/hub", transport="WebSockets", stateful=True)
    assert seen["ok"], seen
    assert any("useStatefulReconnect=true" in one["target"] for one in node.control.requests("/hub/negotiate"))


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("?NegotiateVersion=7", {"negotiateVersion": 1}),
        ("", {"negotiateVersion": 0}),
        ("?negotiateVersion=x", {"error": "The client requested a non-integer protocol version."}),
        (
            "?negotiateVersion=-1",
            {"error": "The client requested version '-1', but the server does not support this version."},
        ),
        ("?negotiateVersion=1&useStatefulReconnect=true", {"negotiateVersion": 1}),
    ],
)
def test_core_negotiation_answers_each_version_as_the_real_server(
    node: NodeProcess, query: str, answer: dict[str, Any]
) -> None:
    seen = fetch(f"{node.url}/hub/negotiate{query}", method="POST").json()
    assert {name: seen[name] for name in answer} == answer
    assert "useStatefulReconnect" not in seen


def test_core_handshake_refuses_an_unknown_version_and_ignores_acknowledgements(node: NodeProcess) -> None:
    def exchanged(*messages: dict[str, Any]) -> list[dict[str, Any]]:
        token = fetch(f"{node.url}/hub/negotiate?negotiateVersion=1", method="POST").json()["connectionToken"]
        url = f"{node.url}/hub?ID={token}"  # names in a query have no case
        fetch(url)
        body = "".join(json.dumps(message) + "\x1e" for message in messages)
        assert fetch(url, method="POST", body=body.encode()).status == 200
        return [json.loads(part) for part in fetch(url).body.decode().split("\x1e")[:-1]]

    call = {"type": 1, "target": "Echo", "arguments": ["x"]}
    refused = exchanged({"protocol": "json", "version": 3})
    assert refused == [{"error": "The server does not support version 3 of the 'json' protocol."}]
    acknowledged = [{"type": 9, "sequenceId": 1}, {"type": 8, "sequenceId": 1}]
    answers = exchanged({"protocol": "json", "version": 2}, *acknowledged, call, {**call, "invocationId": "7"})
    assert answers == [{}, {"type": 3, "invocationId": "7", "result": "x"}], "a call without an id has no answer"
    named_with_case = exchanged({"protocol": "json", "version": 1}, {"Type": 1, "target": "Echo"})
    assert named_with_case == [{}, {"type": 7, "error": "Connection closed with an error."}]


# pysignalr uses its own libraries, and their warnings are not those of nlbgen.
@pytest.mark.filterwarnings("ignore")
def test_pysignalr_works(node: NodeProcess) -> None:
    from pysignalr.client import SignalRClient

    logging.getLogger("pysignalr").setLevel(logging.CRITICAL)

    async def scenario() -> tuple[object, object]:
        client = SignalRClient(node.url + "/hub")
        opened = asyncio.Event()
        pushed: asyncio.Queue[Any] = asyncio.Queue()
        answered: asyncio.Queue[Any] = asyncio.Queue()

        async def on_open() -> None:
            opened.set()

        client.on_open(on_open)
        client.on("message", pushed.put)
        task = asyncio.create_task(client.run())
        try:
            await asyncio.wait_for(opened.wait(), 10)
            await client.send("Echo", ["hello"], on_invocation=answered.put)  # type: ignore[list-item]
            await client.send("Broadcast", ["to all"])  # type: ignore[list-item]
            answer = await asyncio.wait_for(answered.get(), 5)
            return answer.result, await asyncio.wait_for(pushed.get(), 5)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    result, push = asyncio.run(scenario())
    gc.collect()  # reports the transports that it leaves open here, where warnings are ignored
    assert result == "hello"
    assert push == ["to all"]


@pytest.mark.parametrize(("generation", "transport"), EVERYTHING)
def test_session_counts_echoes_and_keep_alives(node: NodeProcess, generation: str, transport: str) -> None:
    # The client reads the spaces of a classic poll when it ends, after the node's poll_seconds.
    hold = 2.3 if transport == "longPolling" else 1.3
    report = run_session(
        SessionPlan(url=node.url, generation=generation, transport=transport, hold=hold, cookies=False)
    )
    assert report.ok, report
    assert report.echoes == 3
    assert report.closed is None
    assert set(report.nodes) == {"orch-1"}
    # ASP.NET Core's long polling has no pings: the poll itself keeps the connection.
    if (generation, transport) != ("core", "longPolling"):
        assert report.keep_alives >= 1
    assert wait_until(lambda: node.control.summary()["open"] == {})


@pytest.mark.parametrize(("generation", "transport"), EVERYTHING)
def test_push_arrives_and_stream_is_counted(node: NodeProcess, generation: str, transport: str) -> None:
    kind = {"webSockets": "websocket", "serverSentEvents": "sse", "longPolling": "poll"}[transport]
    with HeldSession(SessionPlan(url=node.url, generation=generation, transport=transport)) as session:
        assert session.invoke("Where")["node"] == "orch-1"
        assert wait_until(lambda: node.control.open(kind) == 1)
        node.control.push("first")
        assert session.wait_push() == "first"
        session.invoke("Broadcast", "second")
        assert session.wait_push() == "second"
        with pytest.raises(SessionError, match=r"(?i)nosuch"):
            session.invoke("NoSuch")


def test_node_without_keep_alives_sends_none() -> None:
    with NodeProcess(keep_alive=0.0, core_ping=0.0) as quiet:
        assert fetch(quiet.url + "/signalr/negotiate").json()["KeepAliveTimeout"] is None
        for generation, transport in EVERYTHING[:2] + EVERYTHING[3:5]:
            report = run_session(SessionPlan(url=quiet.url, generation=generation, transport=transport, hold=0.5))
            assert report.ok
            assert report.keep_alives == 0


def test_classic_poll_is_held_for_poll_seconds(node: NodeProcess) -> None:
    token = quote(fetch(node.url + "/signalr/negotiate").json()["ConnectionToken"], safe="")
    rest = f"transport=longPolling&connectionToken={token}"
    first = fetch(f"{node.url}/signalr/connect?{rest}", method="POST")
    assert first.json() == {"C": "d-0", "S": 1, "M": []} or first.json()["S"] == 1
    held = fetch(f"{node.url}/signalr/poll?{rest}&messageId={first.json()['C']}")
    assert held.seconds > 1.9
    assert held.json()["M"] == []
    assert held.body.startswith(b"   "), "a space for each keep-alive"


@pytest.mark.parametrize(("generation", "transport"), EVERYTHING)
def test_session_ends_when_the_app_pool_stops(node: NodeProcess, generation: str, transport: str) -> None:
    with HeldSession(SessionPlan(url=node.url, generation=generation, transport=transport)) as session:
        session.invoke("Echo", 1)
        node.set(pool_stopped=True)
        assert wait_until(lambda: session.report.closed is not None)
        with pytest.raises(SessionError):
            session.invoke("Echo", 2)
    assert not session.report.ok


def test_negotiation_has_every_field_of_signalr_2(node: NodeProcess) -> None:
    answer = fetch(node.url + "/SignalR/negotiate?clientProtocol=2.1").json()
    assert answer.pop("ConnectionToken")
    assert len(answer.pop("ConnectionId")) == 36
    assert answer == {
        "Url": "/SignalR",
        "KeepAliveTimeout": 1.0,
        "DisconnectTimeout": 30.0,
        "ConnectionTimeout": 2.0,
        "TryWebSockets": True,
        "ProtocolVersion": "2.0",
        "TransportConnectTimeout": 5.0,
        "LongPollDelay": 0.0,
    }
    assert fetch(node.url + "/signalr/ping").json() == {"Response": "pong"}


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [("1.5", "1.5"), ("2.1", "2.0"), ("1.0", "1.2"), (None, "1.2"), ("x", "1.2"), ("9", "2.0")],
)
def test_protocol_version_is_limited_to_the_supported_ones(asked: str | None, spoken: str) -> None:
    assert protocol_version(asked) == spoken


def test_token_is_valid_only_with_the_same_machine_key() -> None:
    token = ProtectedData("key", "token").protect("abc")
    assert ProtectedData("key", "token").unprotect(token) == "abc"
    assert ProtectedData("other", "token").unprotect(token) is None
    forged = base64.b64encode(base64.b64decode(token).replace(b"abc", b"abd")).decode()
    assert ProtectedData("key", "token").unprotect(forged) is None
    for broken in ("", "x", "äö", "====", "AAAA"):
        assert ProtectedData("key", "token").unprotect(broken) is None


def test_classic_connection_works_on_any_node_with_the_machine_key() -> None:
    with start_nodes(2) as (one, two), NodeProcess(machine_key="AutoGenerate,IsolateApps") as stranger:
        token = quote(fetch(one.url + "/signalr/negotiate").json()["ConnectionToken"], safe="")
        ask = f"/signalr/start?transport=longPolling&connectionToken={token}"
        assert fetch(two.url + ask).json() == {"Response": "started"}
        refused = fetch(stranger.url + ask)
        assert (refused.status, refused.body) == (400, b"The ConnectionId is in the incorrect format.")
        assert fetch(two.url + "/signalr/start?transport=longPolling").status == 400
        assert fetch(two.url + "/signalr/start?connectionToken=x").status == 400


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json", "application/x-www-form-urlencoded"])
def test_classic_form_is_read_whatever_its_label(node: NodeProcess, content_type: str | None) -> None:
    token = quote(fetch(node.url + "/signalr/negotiate").json()["ConnectionToken"], safe="")
    hubs = quote('[{"NAME":"h"}]')
    rest = f"TRANSPORT=serverSentEvents&ConnectionToken={token}&connectiondata={hubs}"
    headers = {"Content-Type": content_type} if content_type else {}
    body = b"DATA=" + quote('{"i":5,"h":"h","m":"ECHO","a":["x y"]}').encode()
    answer = fetch(f"{node.url}/signalr/send?{rest}", method="POST", headers=headers, body=body)
    assert answer.json() == {"I": "5", "R": "x y"}


@pytest.mark.parametrize(
    ("verb", "query", "body"),
    [
        ("send", "", b"data=%5B%5D"),
        ("send", "", b"data=x"),
        ("negotiate", "&connectionData=x", b""),
        ("negotiate", "&connectionData=%5B1%5D", b""),
        ("start", "&connectionData=" + quote('[{"name":"a"},{"Name":"A"}]'), b""),
        ("connect", "&transport=foreverFrame&frameId=x", b""),
    ],
)
def test_classic_request_that_the_real_server_cannot_read_is_an_error(
    node: NodeProcess, verb: str, query: str, body: bytes
) -> None:
    token = quote(fetch(node.url + "/signalr/negotiate").json()["ConnectionToken"], safe="")
    transport = "" if "transport" in query else "&transport=longPolling"
    url = f"{node.url}/signalr/{verb}?connectionToken={token}{transport}{query}"
    assert fetch(url, method="POST", body=body).status == 500


def test_classic_websocket_with_an_unreadable_call_is_closed(node: NodeProcess) -> None:
    token = quote(fetch(node.url + "/signalr/negotiate").json()["ConnectionToken"], safe="")
    url = f"{node.url}/signalr/connect?transport=webSockets&connectionToken={token}"

    async def closed() -> object:
        async with open_http(SessionPlan(url=node.url)) as http, http.ws_connect(url) as socket:
            await socket.receive()
            await socket.send_str("not a call")
            await socket.receive()
            return socket.close_code

    assert run(closed()) == 1011


def test_core_connection_works_only_on_the_node_that_negotiated_it() -> None:
    with start_nodes(2) as (one, two):
        answer = fetch(one.url + "/hub/negotiate?negotiateVersion=1", method="POST").json()
        assert [entry["transport"] for entry in answer["availableTransports"]] == [
            "WebSockets",
            "ServerSentEvents",
            "LongPolling",
        ]
        ask = f"/hub?id={answer['connectionToken']}"
        for method in ("GET", "POST", "DELETE"):
            elsewhere = fetch(two.url + ask, method=method)
            assert (elsewhere.status, elsewhere.body) == (404, b"No Connection with that ID")
        assert fetch(one.url + ask).status == 200
        assert fetch(one.url + "/hub").status == 400
        old = fetch(one.url + "/hub/negotiate", method="POST").json()
        assert old["negotiateVersion"] == 0
        assert "connectionToken" not in old
        plan = SessionPlan(url=two.url, generation="core", transport="webSockets", skip_negotiation=True)
        assert run_session(plan).ok


def test_kind_supports_only_its_signalr_generation() -> None:
    with NodeProcess(kind="classic") as classic, NodeProcess(kind="core") as core:
        assert run_session(SessionPlan(url=classic.url, generation="classic")).ok
        assert run_session(SessionPlan(url=core.url, generation="core")).ok
        assert not run_session(SessionPlan(url=classic.url, generation="core")).ok
        assert not run_session(SessionPlan(url=core.url, generation="classic")).ok


def test_report_names_the_failed_step(node: NodeProcess) -> None:
    node.set(pool_stopped=True)
    report = run_session(SessionPlan(url=node.url))
    assert (report.ok, report.step) == (False, "negotiate")
    assert "http 503" in report.error
    node.reset()
    assert all(report.ok for report in run_sessions(SessionPlan(url=node.url, transport="longPolling"), 20))
    refused = run_session(SessionPlan(url=f"http://127.0.0.1:{free_port()}", generation="core"))
    assert refused.step == "negotiate"


@pytest.mark.parametrize(
    "bad", [{"generation": "x"}, {"transport": "x"}, {"skip_negotiation": True, "transport": "longPolling"}]
)
def test_invalid_session_plan_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        SessionPlan(url="http://127.0.0.1", **({"generation": "core"} | bad))


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    argv = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with BalancerProcess([*argv, "--dir", str(tmp_path)], [port]):
        yield f"127.0.0.1:{port}"


@pytest.mark.redis
@pytest.mark.parametrize(("generation", "transport"), EVERYTHING)
@pytest.mark.no_cover  # other tests reach the same lines
def test_push_reaches_clients_of_the_other_node_over_the_backplane(redis: str, generation: str, transport: str) -> None:
    with (
        start_nodes(2, NodeOptions(backplane=redis)) as (one, two),
        HeldSession(SessionPlan(url=one.url, generation=generation, transport=transport)) as session,
    ):
        two.control.push("from the other node")
        assert session.wait_push() == "from the other node"


@pytest.mark.redis
def test_classic_client_that_moves_to_another_node_gets_every_message(redis: str) -> None:
    with start_nodes(2, NodeOptions(backplane=redis, poll_seconds=2.0)) as (one, two):
        data = quote('[{"name":"echohub"}]')
        token = quote(fetch(one.url + "/signalr/negotiate").json()["ConnectionToken"], safe="")
        rest = f"transport=longPolling&connectionToken={token}&connectionData={data}"
        cursor = fetch(f"{one.url}/signalr/connect?{rest}").json()["C"]
        one.control.push("while between two nodes")
        time.sleep(0.2)
        one.kill()
        moved = fetch(f"{two.url}/signalr/reconnect?{rest}&messageId={cursor}").json()
        assert moved["M"] == [{"H": "echohub", "M": "message", "A": ["while between two nodes"]}]
