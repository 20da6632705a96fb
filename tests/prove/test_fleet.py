"""Robots of `--robots`: their connection, how they restore it, and how many a machine holds."""

import asyncio
import os
import socket
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from nlbgen.net.client import Target, WireError
from nlbgen.net.loopback import free_port
from nlbgen.net.loops import run
from nlbgen.prove.clients import fleet_robot
from nlbgen.prove.clients.fleet import Fleet, fleet
from nlbgen.prove.clients.fleet_robot import FleetPlan, Robot
from nlbgen.prove.clients.frames import ClosedError, Frames, text_frame
from nlbgen.prove.clients.gate import Gate
from nlbgen.prove.clients.wire import Wire
from nlbgen.prove.lab import usage as processes
from nlbgen.prove.lab.ceiling import DEFAULT_PORTS, ceiling, local_ports, lowest
from nlbgen.prove.lab.certificates import TestCertificates, make_certificates
from nlbgen.prove.lab.processes import NodeProcess
from nlbgen.prove.lab.usage import Usage, Watch, lab_seconds, machine_seconds, own_memory_mb, usage, watched
from nlbgen.prove.nodes.options import NodeOptions
from nlbgen.prove.scenarios import fleet_base as scenario
from nlbgen.prove.scenarios.base import metric
from nlbgen.prove.scenarios.fleet_base import Moment
from nlbgen.prove.scenarios.registry import chosen, scenarios
from nlbgen.prove.score import limits
from nlbgen.prove.score.scorecard import score
from nlbgen.spec.load import Spec

T = TypeVar("T")
PATHS = {"classic": "/signalr", "core": "/hub"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> TestCertificates:
    return make_certificates(tmp_path_factory.mktemp("ca"), ["orchestrator.test", "127.0.0.1"])


@pytest.fixture
def tls_node(certificates: TestCertificates) -> Iterator[NodeProcess]:
    options = NodeOptions(tls_cert=certificates.certificate, tls_key=certificates.key, keep_alive=0.5)
    with NodeProcess(options) as node:
        yield node


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients' waits, shortened."""
    monkeypatch.setattr(fleet_robot, "CORE_RETRIES", (0.0, 0.1))
    monkeypatch.setattr(fleet_robot, "CLASSIC_RETRY", 0.1)
    monkeypatch.setattr(fleet_robot, "CLASSIC_GIVES_UP", 0.4)
    monkeypatch.setattr(fleet_robot, "CLASSIC_SILENCE", 1.5)
    monkeypatch.setattr(fleet_robot, "CORE_SILENCE", 1.5)
    monkeypatch.setattr(fleet_robot, "STEP_SECONDS", 1.0)


def plan(node: NodeProcess, generation: str, ca: Path | None = None, heartbeat: float = 0.2) -> FleetPlan:
    target = Target.of(node.url, ca=str(ca) if ca else None)
    return FleetPlan(target=target, generation=generation, path=PATHS[generation], heartbeat=heartbeat, restart=0.1)


async def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("generation", PATHS)
def test_robot_connects_over_tls_and_its_heartbeats_are_answered(
    tls_node: NodeProcess, certificates: TestCertificates, generation: str
) -> None:
    async def scene() -> None:
        async with fleet(plan(tls_node, generation, certificates.ca), 5, 20.0) as robots:
            assert robots.absent == 0
            assert robots.held() == Counter({"orch-1": 5})
            first = [robot.contact for robot in robots.robots]
            await until(lambda: all(r.contact > t for r, t in zip(robots.robots, first, strict=True)))
            assert all(robot.ends == 0 for robot in robots.robots)

    run(scene())
    pages = [one["target"] for one in tls_node.control.requests("/odata/Jobs")]
    assert len(pages) == 5, "one page after each login"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("generation", PATHS)
def test_robot_restores_its_session_after_its_node_failed(generation: str) -> None:
    with NodeProcess(keep_alive=0.3, core_ping=0.3) as node:

        async def scene() -> None:
            async with fleet(plan(node, generation), 3, 20.0) as robots:
                tokens = {robot.token for robot in robots.robots}
                node.set(pool_stopped=True)  # ends the connections and answers 503, for longer than the client retries
                await until(lambda: robots.absent == 3)
                await asyncio.sleep(1.0)
                node.reset()
                await robots.all_connected(15.0)
                assert all(robot.ends == 1 and robot.absence >= 1.0 for robot in robots.robots)
                if generation == "classic":
                    assert not tokens & {robot.token for robot in robots.robots}, "it began anew after it gave up"

        run(scene())


@pytest.mark.usefixtures("quick")
def test_classic_robot_continues_its_session_with_the_same_token() -> None:
    with NodeProcess(keep_alive=0.3) as node:

        async def scene() -> None:
            async with fleet(plan(node, "classic"), 2, 20.0) as robots:
                tokens = [robot.token for robot in robots.robots]
                for robot in robots.robots:
                    assert robot.wire is not None
                    robot.wire.abort()
                await until(lambda: all(robot.ends for robot in robots.robots) and not robots.absent)
                assert [robot.token for robot in robots.robots] == tokens

        run(scene())
        assert node.control.requests("/signalr/reconnect")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("generation", PATHS)
def test_robot_of_a_hanging_node_gives_up_and_becomes_unresponsive(generation: str) -> None:
    with NodeProcess(keep_alive=0.3, core_ping=0.3) as node:

        async def scene() -> None:
            async with fleet(plan(node, generation, heartbeat=0.5), 2, 20.0) as robots:
                assert robots.unresponsive == 0
                node.freeze()
                await until(lambda: robots.absent == 2 and robots.unresponsive == 2)
                node.thaw()
                await robots.all_connected(15.0)
                assert robots.unresponsive == 2, "also after it is back"

        run(scene())


def test_fleet_without_a_server_has_no_connection() -> None:
    async def scene() -> int:
        target = Target.of(f"http://127.0.0.1:{free_port()}")
        lost = FleetPlan(target=target, generation="classic", path="/signalr", restart=0.05)
        async with fleet(lost, 3, 0.3) as robots:
            return robots.absent

    assert run(scene()) == 3


# One connection


def served(answer: bytes, work: Callable[[Target], Awaitable[T]], *, end: bool = False) -> T:
    """Run `work` against a server that sends the same bytes to each request."""

    async def scene() -> T:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if not end:
                await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            return await work(Target.of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))

    return run(scene())


@pytest.mark.parametrize(
    ("answer", "end", "kind"),
    [(b"", False, "timeout"), (b"", True, "closed"), (b"no HTTP\r\n\r\n", False, "closed")],
)
def test_wire_names_the_reason_without_a_response(answer: bytes, end: bool, kind: str) -> None:
    async def work(target: Target) -> str:
        wire = await Wire.to(target, None, 1.0)
        with pytest.raises(WireError) as failed:
            await wire.ask(b"GET / HTTP/1.1\r\n\r\n", 0.3)
        with pytest.raises(WireError, match="closed"):
            await wire.ask(b"GET / HTTP/1.1\r\n\r\n", 0.3)
        return failed.value.kind

    assert served(answer, work, end=end) == kind


UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize(
    ("frames", "texts"),
    [
        (b"\x81\x02{}", ["{}"]),
        (b"\x89\x01p\x81\x02ok", ["ok"]),
        (b"\x81\x01a\x88\x00", ["a"]),
        (b"\xff\xff\xff", []),
    ],
    ids=["text", "ping", "close", "no frame"],
)
def test_wire_delivers_the_messages_of_a_websocket(frames: bytes, texts: list[str]) -> None:
    async def work(target: Target) -> list[str]:
        seen: list[str] = []
        wire = await Wire.to(target, None, 1.0)
        response = await wire.ask(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", 1.0, upgrade=True)
        assert response.status == 101
        wire.listen(seen.append)
        await until(lambda: len(seen) >= len(texts))
        if frames.endswith((b"\x88\x00", b"\xff")):
            await asyncio.wait_for(wire.ended, 2.0)
            wire.send_text("after the end")
        wire.abort()
        return seen

    assert served(UPGRADED + frames, work) == texts


def test_wire_refuses_an_untrusted_certificate(tls_node: NodeProcess) -> None:
    async def work() -> None:
        await Wire.to(Target.of(tls_node.url), None, 2.0)

    with pytest.raises(WireError):
        run(work())


def test_wire_times_out_without_a_handshake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = Target.of(f"https://127.0.0.1:{silent.getsockname()[1]}", verify=False)
        assert isinstance(target.tls, ssl.SSLContext)

        async def work() -> None:
            await Wire.to(target, None, 0.2)

        with pytest.raises(WireError, match="timeout"):
            run(work())


def test_frames_arrive_in_parts_and_keep_their_order() -> None:
    frames, buffer, seen = Frames(), bytearray(), []
    for byte in b"\x81\x01a\x81\x7e\x00\x7e" + b"b" * 126 + b"\x89\x00\x81\x01c":
        buffer.append(byte)
        seen += list(frames.texts(buffer))
    assert seen == ["a", "b" * 126, "c"]
    assert frames.answers[:1] == b"\x8a", "a pong"


@pytest.mark.parametrize("text", ["", "a", "x" * 125])
def test_text_frame_is_what_a_server_reads(text: str) -> None:
    server = Connection(ConnectionType.SERVER)
    server.receive_data(text_frame(text))
    assert [event.data for event in server.events() if isinstance(event, TextMessage)] == [text]


def test_text_frame_is_short() -> None:
    with pytest.raises(ValueError, match="126 bytes"):
        text_frame("x" * 126)


def test_frame_that_is_no_text_closes() -> None:
    with pytest.raises(ClosedError):
        list(Frames().texts(bytearray(b"\x81\x01\xff")))


def test_gate_limits_logins_and_forgets_one_that_waits_long() -> None:
    async def scene() -> list[str]:
        gate, order = Gate(limit=1, seconds=0.1), []

        async def login(name: str, seconds: float) -> None:
            async with gate.slot():
                order.append(f"{name} begins")
                await asyncio.sleep(seconds)
            order.append(f"{name} ends")

        await asyncio.gather(login("short", 0.01), login("hangs", 0.4), login("other", 0.01), login("last", 0.01))
        return order

    assert run(scene()) == [
        "short begins",
        "short ends",
        "hangs begins",
        "other begins",
        "other ends",
        "last begins",
        "last ends",
        "hangs ends",
    ]


@pytest.mark.parametrize("generation", PATHS)
def test_robot_resumes_its_tls_session(tls_node: NodeProcess, certificates: TestCertificates, generation: str) -> None:
    async def scene() -> None:
        async with fleet(plan(tls_node, generation, certificates.ca), 3, 20.0) as robots:
            assert [(robot.wires, robot.resumed) for robot in robots.robots] == [(2, 1)] * 3

    run(scene())


# How many


@pytest.mark.parametrize(
    ("files", "ports", "workers", "robots", "reason"),
    [
        (20_000, 28_232, 1, 9_488, "20000 files here, and one process of the balancer needs two for each robot"),
        (20_000, 28_232, 2, 12_650, "two for each robot, for up to 75% of the robots"),
        (20_000, 28_232, 4, 18_976, "the process of the robots"),
        (1_048_576, 28_232, 1, 28_232, "28232 ports for connections"),
        (1_048_576, 64_512, 1, 64_512, "64512 ports"),
    ],
)
def test_ceiling_is_the_lowest_limit_of_the_machine(
    files: int, ports: int, workers: int, robots: int, reason: str
) -> None:
    found = lowest(files=files, ports=ports, workers=workers)
    assert found.robots == robots
    assert reason in found.reason


def test_ceiling_of_this_machine_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert 0 < ceiling("haproxy").robots <= ceiling("nginx").robots
    monkeypatch.setattr("nlbgen.prove.lab.ceiling.PORT_RANGE", tmp_path / "absent")
    assert local_ports() == DEFAULT_PORTS


def test_usage_counts_memory_and_time_of_a_process_group(monkeypatch: pytest.MonkeyPatch) -> None:
    with NodeProcess() as node:
        assert usage(node.pid).memory_mb > 1
        assert lab_seconds({node.pid}) >= lab_seconds(())
    assert usage(1 << 30) == Usage(0.0, 0.0)
    assert own_memory_mb() > 1
    monkeypatch.setattr(processes, "PROC", Path("/absent"))
    assert (usage(1), own_memory_mb(), machine_seconds()) == (Usage(0.0, 0.0), 0.0, 0.0)


def test_memory_is_resident_where_pss_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = ["S", "1", "7", *["0"] * 8, "200", "100", "40", "2", *["0"] * 6, "2560"]
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text(f"7 (a b) {' '.join(fields)}", encoding="utf-8")
    (tmp_path / "8").mkdir()  # a process that ended
    monkeypatch.setattr(processes, "PROC", tmp_path)
    assert usage(7) == Usage(2560 * os.sysconf("SC_PAGE_SIZE") / 1024**2, 342 / os.sysconf("SC_CLK_TCK"))


def test_processors_that_are_the_limit_are_a_reason_for_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "processors", lambda: 2)
    seen = Watch(set)
    seen.add(10.0, 12.0, 15.0)
    assert (seen.doubt(), seen.full_seconds) == ("", 0.0)
    seen.add(10.0, 9.0, 19.0)
    assert seen.doubt() == (
        "inconclusive: the processors of this machine were the limit for 10 of 20 s; other programs used 32% of them"
    )


def test_watch_sees_the_work_of_this_process() -> None:
    async def scene() -> Watch:
        async with watched(set) as seen:
            deadline = time.process_time() + 0.05
            while time.process_time() < deadline:
                pass
        return seen

    seen = run(scene())
    assert seen.lab >= 0.04
    assert seen.seconds >= 0.05


@pytest.mark.parametrize(
    ("name", "value", "verdict"), [("lost", 3, "inconclusive"), ("lost", 0, "passed"), ("share", 900, "failed")]
)
def test_failure_on_a_busy_machine_is_inconclusive(name: str, value: float, verdict: str) -> None:
    seen = Watch(set)
    seen.add(10.0, 1000.0, 0.0)
    judged = scenario.judged(metric(name, value, note="a note"), seen)
    scored = {one.name: one for one in score("robots-kill", [judged], limits.defaults("haproxy"))}[name]
    assert scored.verdict == verdict
    assert ("inconclusive" in scored.note) == (verdict == "inconclusive")


# The scenarios


def test_scenarios_for_robots_run_only_when_they_are_asked_for() -> None:
    usual, robots = chosen(()), chosen((), robots=True)
    assert [*usual, *robots] == list(scenarios().values())
    assert {one.name.partition("-")[0] for one in robots} == {"robots"}
    assert [one.name for one in chosen(("robots-kill",), robots=True)] == ["robots-kill"]


def test_scenario_for_robots_is_skipped_without_a_second_node_or_redis(make_spec: Callable[..., Spec]) -> None:
    two, one = make_spec().farm, make_spec(nodes=[{"name": "a", "address": "10.0.0.1"}], accept=["one-node"]).farm
    assert scenarios()["robots-kill"].skip_reason(two, "haproxy") == ""
    assert "no second node" in scenarios()["robots-redis"].skip_reason(one, "haproxy")


def team(make_spec: Callable[..., Spec], *, connected: bool = True) -> tuple[Fleet, list[Robot]]:
    """Four robots that were back after 10, 20, 40 and 5 s, the last one on another node than before."""
    target = Target.of("http://127.0.0.1:1")
    made = Fleet(FleetPlan(target=target, generation="core", path="/hub"), 4)
    for robot, back in zip(made.robots, (10.0, 20.0, 40.0, 5.0), strict=True):
        robot.node, robot.connected, robot.ends, robot.back, robot.absence = "orch-1", connected, 1, back, back / 10
    return made, made.robots


@pytest.mark.parametrize(
    ("moment", "connected", "within", "lost", "back", "innocent"),
    [
        (Moment("orch-1"), True, 75.0, 0, 40.0, 0),
        (Moment("orch-2"), True, 75.0, 0, 40.0, 4),
        (Moment(all_hit=True, by_absence=True), True, 100.0, 0, 4.0, 0),
        (Moment(all_hit=True), False, 0.0, 4, 0.0, 0),
    ],
)
def test_metrics_of_robots_follow_the_event(
    make_spec: Callable[..., Spec],
    moment: Moment,
    connected: bool,
    within: float,
    lost: int,
    back: float,
    innocent: int,
) -> None:
    made, _ = team(make_spec, connected=connected)
    found = {one.name: one.value for one in scenario.returned(made, ["orch-1"] * 4, 0.0, moment)}
    assert (found["within_30"], found["lost"], found["back_within"], found["innocent"]) == (
        within,
        lost,
        back,
        innocent,
    )


def test_fleet_forgets_what_happened_before_the_event(make_spec: Callable[..., Spec]) -> None:
    made, robots = team(make_spec)
    robots[0].gap = 1000.0
    assert made.unresponsive == 1
    assert made.forget() == 4
    assert (made.unresponsive, made.forget()) == (0, 0)


def test_share_of_robots_is_compared_with_the_weights(make_spec: Callable[..., Spec]) -> None:
    nodes = [
        {"name": "orch-1", "address": "10.0.0.1", "weight": 1},
        {"name": "orch-2", "address": "10.0.0.2", "weight": 3},
    ]
    made, _ = team(make_spec)
    found = scenario.spread(make_spec(nodes=nodes).farm, made)
    assert (found.value, found.note) == (
        400.0,
        "orch-1: 4, orch-2: 0; 5 s after the last robot was back; orch-2 has 75% of the weight",
    )
    assert not found.enforced
    equal = scenario.spread(make_spec().farm, made, real_time=True)
    assert (equal.value, equal.enforced) == (200.0, True)
    assert equal.note == "orch-1: 4, orch-2: 0; 5 minutes after the last robot was back"
    none, _ = team(make_spec, connected=False)
    assert scenario.spread(make_spec(nodes=nodes).farm, none).value == 0.0


def test_farm_for_robots_has_limits_that_hold_them(
    make_spec: Callable[..., Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenario, "file_limit", lambda: 30_000)
    for robots, connections in ((100, 8_000), (10_000, 12_500), (14_000, 14_488)):
        limits = scenario.sized(make_spec().farm, robots).balancer.limits
        assert limits.connections == connections
        assert limits.open_files == 2 * connections + 1024 <= 30_000
