"""WebSockets, event streams, long polls and SignalR sessions through the balancer."""

import asyncio
import gc
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from nlbgen.prove.clients.sessions import SessionPlan, run_session
from nlbgen.prove.clients.simple import SocketHolder, SocketPlan, read_events

TRANSPORTS = ("webSockets", "serverSentEvents", "longPolling")
LIVE_PATHS = {"balancer": {"signalr": {"paths": ["/signalr", "/ws", "/sse"]}}}


def sockets(lab, count=10, echo_every=None):
    return SocketHolder(SocketPlan(url=f"{lab.url}/ws", count=count, echo_every=echo_every, ca=lab.certificates.ca))


@pytest.mark.parametrize("paths", [["/signalr"], ["/signalr", "/ws"]], ids=["any path", "a SignalR path"])
def test_a_websocket_carries_frames(farm, vendor, paths):
    lab = farm(vendor, {"balancer": {"signalr": {"paths": paths}}})
    with sockets(lab, count=6, echo_every=0.1) as held:
        time.sleep(1)
        assert held.alive == 6
        assert all(report.echoes >= 5 for report in held.reports), held.reports


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_classic_signalr_needs_no_affinity(farm, vendor, transport):
    lab = farm(vendor)
    for _ in range(4):
        report = run_session(SessionPlan(url=lab.url, transport=transport, ca=lab.certificates.ca))
        assert report.ok, report


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_core_signalr_with_affinity_on_its_paths(farm, vendor, transport):
    lab = farm(vendor, {"orchestrator": {"version": "2020.10"}, "balancer": {"affinity": "signalr"}})
    for _ in range(6):
        plan = SessionPlan(url=lab.url, generation="core", transport=transport, ca=lab.certificates.ca)
        report = run_session(plan)
        assert report.ok, report
        assert len(set(report.nodes)) == 1, report


def test_core_signalr_without_affinity_fails_as_the_warning_says(farm, vendor):
    lab = farm(vendor, {"orchestrator": {"version": "2020.10"}, "balancer": {"algorithm": "round-robin"}})
    plan = SessionPlan(url=lab.url, generation="core", transport="longPolling", ca=lab.certificates.ca)
    reports = [run_session(plan) for _ in range(8)]
    assert any("404" in report.error for report in reports), reports


def test_core_signalr_that_skips_the_negotiation_needs_no_affinity(farm, vendor):
    lab = farm(vendor, {"orchestrator": {"version": "2020.10"}})
    for _ in range(4):
        plan = SessionPlan(url=lab.url, generation="core", skip_negotiation=True, ca=lab.certificates.ca)
        assert run_session(plan).ok


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_microsofts_classic_client(farm, vendor, microsoft, backplane, transport):
    """It calls, and gets what another node broadcasts: without affinity the store does that."""
    lab = farm(vendor, {"frontend": {"host": "localhost"}}, backplane=backplane)
    seen = microsoft(lab.certificates.ca, generation="classic", url=lab.url, transport=transport, hub="echohub")
    assert seen["ok"], seen
    assert seen["transport"] == transport


@pytest.mark.parametrize(
    ("transport", "skip"),
    [("WebSockets", False), ("WebSockets", True), ("ServerSentEvents", False), ("LongPolling", False)],
)
def test_microsofts_core_client(farm, vendor, microsoft, transport, skip):
    # This client keeps no cookies under Node.js, as robots may not: affinity by address holds it.
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


# pysignalr negotiates and opens its WebSocket through its own libraries, whose warnings are not ours.
@pytest.mark.filterwarnings("ignore")
def test_pysignalr(farm, vendor):
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

    async def scenario():
        client = SignalRClient(f"{lab.url}/hub")
        opened, answered = asyncio.Event(), asyncio.Queue()

        async def on_open():
            opened.set()

        client.on_open(on_open)
        task = asyncio.create_task(client.run())
        try:
            await asyncio.wait_for(opened.wait(), 15)
            await client.send("Echo", ["hello"], on_invocation=answered.put)
            return (await asyncio.wait_for(answered.get(), 10)).result
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    assert asyncio.run(scenario()) == "hello"
    gc.collect()  # the transports it leaves open are reported here, where warnings are ignored


def test_without_a_store_broadcasts_get_lost(farm, microsoft):
    """Why `signalr: inproc` is an error for two nodes."""
    lab = farm("haproxy", {"frontend": {"host": "localhost"}, "balancer": {"algorithm": "round-robin"}})
    ask = {"generation": "classic", "url": lab.url, "transport": "longPolling", "hub": "echohub"}
    # A session whose requests all happen to meet one node works; of several, one does not.
    assert any(not microsoft(lab.certificates.ca, **ask)["ok"] for _ in range(8))


@pytest.mark.alone
def test_events_arrive_when_they_happen(farm, vendor):
    lab = farm(vendor, LIVE_PATHS)
    stream = read_events(f"{lab.url}/sse?every=200&count=8", count=8, seconds=10, ca=lab.certificates.ca)
    assert len(stream.gaps()) == 7
    assert max(stream.gaps()) < 1.0, "events came in bunches: something buffers"
    assert min(stream.gaps()) > 0.05, "events came in bunches: something buffers"


@pytest.mark.slow
def test_websockets_survive_three_reloads(farm, vendor):
    lab = farm(vendor, LIVE_PATHS)
    with sockets(lab, count=50, echo_every=0.5) as held:
        for _ in range(3):
            lab.balancer.reload()
            time.sleep(1.5)
            assert lab.get().status == 200
        time.sleep(2)
        assert held.alive == 50, [report for report in held.reports if not report.alive]
        last = [report.echoes for report in held.reports]
        time.sleep(1.5)
        assert all(now.echoes > before for now, before in zip(held.reports, last, strict=True))


@pytest.mark.slow
def test_websockets_of_a_hung_node_are_freed_within_five_seconds_on_haproxy(farm):
    lab = farm("haproxy", LIVE_PATHS)
    with sockets(lab, count=20) as held:
        victim = next(node for node in lab.nodes if node.control.open("websocket"))
        on_victim = victim.control.open("websocket")
        assert 0 < on_victim < 20, "both nodes should hold some"
        victim.freeze()
        assert held.wait_closed(5.0, on_victim), f"{held.alive} of {20 - on_victim} wanted are alive"
        time.sleep(1)
        assert held.alive == 20 - on_victim, "the healthy node's WebSockets must not be touched"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_silence_is_no_reason_to_cut(farm):
    """An idle WebSocket lives on after 130 s, on SignalR's paths and on others; a long poll of 110 s is answered."""
    # All at once, for each takes two minutes. Without keep-alives of the nodes, idle is idle.
    labs = [farm(vendor, keep_alive=0.0) for vendor in ("haproxy", "nginx")]
    with ThreadPoolExecutor(2) as pool, sockets(labs[0], 5) as first, sockets(labs[1], 5) as second:
        polls = [pool.submit(_long_poll, lab) for lab in labs]
        time.sleep(131)
        assert (first.alive, second.alive) == (5, 5)
        for poll in polls:
            status, seconds = poll.result(timeout=30)
            assert status == 200
            assert 105 < seconds < 125


def _long_poll(lab):
    """One classic long poll that nothing ends: SignalR holds it for 110 s."""
    from nlbgen.prove.clients.simple import fetch

    token = quote(lab.get("/signalr/negotiate").json()["ConnectionToken"], safe="")
    rest = f"transport=longPolling&connectionToken={token}"
    ca = lab.certificates.ca
    cursor = fetch(f"{lab.url}/signalr/connect?{rest}", method="POST", ca=ca).json()["C"]
    started = time.monotonic()
    answer = fetch(f"{lab.url}/signalr/poll?{rest}&messageId={quote(cursor, safe='')}", ca=ca, timeout=140)
    return answer.status, time.monotonic() - started
