"""WebSockets, event streams, long polls and SignalR sessions through the balancer."""

import asyncio
import gc
import logging
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest

from nlbgen.prove.clients.hub_client import SessionPlan
from nlbgen.prove.clients.simple import SocketHolder, SocketPlan, fetch
from nlbgen.prove.lab.lab import Lab

from .conftest import Changes, RunClient, StartFarm, make_spec, require, run_session

TRANSPORTS = ("webSockets", "serverSentEvents", "longPolling")
LIVE_PATHS: Changes = {"balancer": {"signalr": {"paths": ["/signalr", "/ws", "/sse"]}}}


def sockets(lab: Lab, count: int = 10, echo_every: float | None = None) -> SocketHolder:
    return SocketHolder(SocketPlan(url=f"{lab.url}/ws", count=count, echo_every=echo_every, ca=lab.certificates.ca))


IDLE_SECONDS = 131.0
"""Longer than every timeout of the farm but that of idle WebSockets."""


class IdleConnections:
    """Idle connections that begin with the first test of this module, so that their time passes during the others.

    The nodes send no keep-alives.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._pool = self._stack.enter_context(ThreadPoolExecutor(2))
        self._begun: dict[str, tuple[float, Lab, SocketHolder, Future[tuple[int, float]]]] = {}

    def begin(self, vendor: str) -> None:
        if vendor in self._begun:
            return
        lab = self._stack.enter_context(Lab(make_spec(), vendor, keep_alive=0.0))
        held = self._stack.enter_context(sockets(lab, 5))
        self._begun[vendor] = (time.monotonic(), lab, held, self._pool.submit(_long_poll, lab))

    def finished(self, vendor: str) -> tuple[Lab, SocketHolder, tuple[int, float]]:
        """Wait until the time has passed; the lab, its WebSockets, and the poll's status and seconds."""
        begun, lab, held, poll = self._begun[vendor]
        time.sleep(max(0.0, begun + IDLE_SECONDS - time.monotonic()))
        return lab, held, poll.result(timeout=30)

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def idle() -> Iterator[IdleConnections]:
    connections = IdleConnections()
    yield connections
    connections.close()


@pytest.fixture(autouse=True)
def idle_has_begun(request: pytest.FixtureRequest, idle: IdleConnections) -> None:
    """Begin the idle connections of a vendor, if their test is among those that run."""
    if "vendor" not in request.fixturenames:
        return
    vendor = str(request.getfixturevalue("vendor"))
    wanted = f"test_idle_connections_stay_open_for_their_real_timeouts[{vendor}]"
    if any(item.name.startswith(wanted) for item in request.session.items):
        require(vendor)
        idle.begin(vendor)


@pytest.mark.parametrize("paths", [["/signalr"], ["/signalr", "/ws"]], ids=["any path", "a SignalR path"])
@pytest.mark.no_cover  # other tests reach the same lines
def test_websocket_carries_frames(farm: StartFarm, vendor: str, paths: list[str]) -> None:
    lab = farm(vendor, {"balancer": {"signalr": {"paths": paths}}})
    with sockets(lab, count=6, echo_every=0.1) as held:
        time.sleep(1)
        assert held.alive == 6
        assert all(report.echoes >= 5 for report in held.reports), held.reports


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_classic_signalr_without_affinity_works(farm: StartFarm, vendor: str, transport: str) -> None:
    lab = farm(vendor)
    for _ in range(4):
        report = run_session(SessionPlan(url=lab.url, transport=transport, ca=lab.certificates.ca))
        assert report.ok, report


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.no_cover  # other tests reach the same lines
def test_core_signalr_with_affinity_stays_on_one_node(farm: StartFarm, vendor: str, transport: str) -> None:
    lab = farm(vendor, {"orchestrator": {"version": "2020.10"}, "balancer": {"affinity": "signalr"}})
    for _ in range(6):
        plan = SessionPlan(url=lab.url, generation="core", transport=transport, ca=lab.certificates.ca)
        report = run_session(plan)
        assert report.ok, report
        assert len(set(report.nodes)) == 1, report


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_core_signalr_on_a_farm_without_the_key_affinity_stays_on_one_node(
    farm: StartFarm, vendor: str, transport: str
) -> None:
    """NGINX 1.22 renders its fallback without an acceptance."""
    lab = farm(vendor, {"orchestrator": {"version": "2020.10"}, "balancer": {"algorithm": "round-robin"}, "accept": []})
    for _ in range(6):
        plan = SessionPlan(url=lab.url, generation="core", transport=transport, ca=lab.certificates.ca)
        report = run_session(plan)
        assert report.ok, report
        assert len(set(report.nodes)) == 1, report


def test_core_signalr_without_affinity_fails(farm: StartFarm, vendor: str) -> None:
    changes = {"orchestrator": {"version": "2020.10"}, "balancer": {"algorithm": "round-robin", "affinity": "none"}}
    lab = farm(vendor, changes)
    plan = SessionPlan(url=lab.url, generation="core", transport="longPolling", ca=lab.certificates.ca)
    reports = [run_session(plan) for _ in range(8)]
    assert any("404" in report.error for report in reports), reports


def test_core_signalr_without_negotiation_needs_no_affinity(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor, {"orchestrator": {"version": "2020.10"}, "balancer": {"affinity": "none"}})
    for _ in range(4):
        plan = SessionPlan(url=lab.url, generation="core", skip_negotiation=True, ca=lab.certificates.ca)
        assert run_session(plan).ok


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.no_cover  # other tests reach the same lines
def test_microsofts_classic_client_works(
    farm: StartFarm, vendor: str, microsoft: RunClient, backplane: str, transport: str
) -> None:
    """Over the store and without affinity: calls, broadcasts of the other node, groups, a reconnect."""
    lab = farm(vendor, {"frontend": {"host": "localhost"}}, backplane=backplane)
    ask = {"generation": "classic", "url": lab.url, "transport": transport, "hub": "echohub", "reconnect": True}
    seen = microsoft(lab.certificates.ca, **ask)
    assert seen["ok"], seen
    assert (seen["transport"], seen["afterReconnect"], seen["sameId"]) == (transport, "after the reconnect", True)


@pytest.mark.parametrize(
    ("transport", "skip"),
    [("WebSockets", False), ("WebSockets", True), ("ServerSentEvents", False), ("LongPolling", False)],
)
@pytest.mark.no_cover  # other tests reach the same lines
def test_microsofts_core_client_works(
    farm: StartFarm, vendor: str, microsoft: RunClient, transport: str, skip: bool
) -> None:
    # This client keeps no cookies under Node.js, like some robots: affinity by address keeps it on its node.
    lab = farm(
        vendor,
        {
            "frontend": {"host": "localhost"},
            "orchestrator": {"version": "2020.10"},
            "balancer": {"affinity": "source", "signalr": {"paths": ["/hub"]}},
        },
    )
    ask = {"generation": "core", "url": lab.url, "path": "/hub", "transport": transport, "skipNegotiation": skip}
    seen = microsoft(lab.certificates.ca, **ask)
    assert seen["ok"], seen


# pysignalr uses its own libraries, and their warnings are not those of nlbgen.
@pytest.mark.filterwarnings("ignore")
def test_pysignalr_works(farm: StartFarm, vendor: str) -> None:
    from pysignalr.client import SignalRClient

    logging.getLogger("pysignalr").setLevel(logging.CRITICAL)
    lab = farm(
        vendor,
        {
            "frontend": {"host": "localhost", "tls": {"mode": "none"}},
            "orchestrator": {"version": "2020.10"},
            "balancer": {"affinity": "source"},
        },
    )

    async def scenario() -> object:
        client = SignalRClient(f"{lab.url}/hub")
        opened = asyncio.Event()
        answered: asyncio.Queue[Any] = asyncio.Queue()

        async def on_open() -> None:
            opened.set()

        client.on_open(on_open)
        task = asyncio.create_task(client.run())
        try:
            await asyncio.wait_for(opened.wait(), 15)
            await client.send("Echo", ["hello"], on_invocation=answered.put)  # type: ignore[list-item]
            return (await asyncio.wait_for(answered.get(), 10)).result
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    assert asyncio.run(scenario()) == "hello"
    gc.collect()  # reports the transports that it leaves open here, where warnings are ignored


@pytest.mark.no_cover  # other tests reach the same lines
def test_broadcasts_without_a_store_do_not_reach_all_clients(farm: StartFarm, microsoft: RunClient) -> None:
    """The reason why `signalr: inproc` is an error for two nodes."""
    lab = farm("haproxy", {"frontend": {"host": "localhost"}, "balancer": {"algorithm": "round-robin"}})
    ask: dict[str, Any] = {"generation": "classic", "url": lab.url, "transport": "longPolling", "hub": "echohub"}
    # A session whose requests all reach one node works; of eight sessions, at least one does not.
    assert any(not microsoft(lab.certificates.ca, **ask)["ok"] for _ in range(8))


@pytest.mark.slow
def test_websockets_of_a_hanging_node_are_closed_within_five_seconds_on_haproxy(farm: StartFarm) -> None:
    lab = farm("haproxy", LIVE_PATHS)
    with sockets(lab, count=20) as held:
        victim = next(node for node in lab.nodes if node.control.open("websocket"))
        on_victim = victim.control.open("websocket")
        assert 0 < on_victim < 20, "both nodes should hold some"
        victim.freeze()
        assert held.wait_closed(5.0, on_victim), f"{held.alive} of {20 - on_victim} wanted are alive"
        time.sleep(1)
        assert held.alive == 20 - on_victim, "the healthy node's WebSockets must not be touched"


def _long_poll(lab: Lab) -> tuple[int, float]:
    """One classic long poll without a message, which SignalR holds for 110 s; its status and seconds."""
    ca = lab.certificates.ca
    token = quote(fetch(f"{lab.url}/signalr/negotiate", ca=ca).json()["ConnectionToken"], safe="")
    rest = f"transport=longPolling&connectionToken={token}"
    cursor = fetch(f"{lab.url}/signalr/connect?{rest}", method="POST", ca=ca).json()["C"]
    started = time.monotonic()
    answer = fetch(f"{lab.url}/signalr/poll?{rest}&messageId={quote(cursor, safe='')}", ca=ca, timeout=140)
    return answer.status, time.monotonic() - started


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.no_cover  # other tests reach the same lines
def test_idle_connections_stay_open_for_their_real_timeouts(vendor: str, idle: IdleConnections) -> None:
    """An idle WebSocket is open after 130 s, on any path; a long poll of 110 s is answered."""
    lab, sockets_held, poll = idle.finished(vendor)
    assert sockets_held.alive == 5, lab.balancer.output()
    status, seconds = poll
    assert status == 200
    assert 105 < seconds < 125
