"""Redis under Sentinel behind the rendered front: real servers and Sentinels, simulated nodes of the backplane."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter
from typing import Any

import pytest
import yaml

from nlbgen.net.loops import run
from nlbgen.probe.farm import Options, probe
from nlbgen.probe.findings import Report
from nlbgen.prove.lab.lab import REDIS_LOGIN, Lab
from nlbgen.prove.lab.redis import RedisLab
from nlbgen.prove.scenarios.redis import redis_bench
from nlbgen.prove.score.scorecard import Scored
from nlbgen.spec.load import loads
from tests.tools import redis30

from .conftest import BASE, ScenarioRunner, for_build, lines_without, missing, other_programs, require

pytestmark = [pytest.mark.redis, pytest.mark.slow]

HOSTS: list[dict[str, Any]] = [{"name": f"redis-{number}", "address": f"10.20.0.2{number}"} for number in (1, 2, 3)]
TWO_SERVERS = [*HOSTS[:2], {**HOSTS[2], "redis": False}]
HALF_AS_MUCH_AGAIN = 1.5
"""What tests allow beyond a threshold on a busy machine."""
BUILDS = [
    pytest.param(one, id=one["wrapper"])
    for one in other_programs()
    if one["program"] == "haproxy" and not one["version"].startswith("2.2.")
]
"""The builds for which a configuration is rendered."""

StartLab = Callable[..., ScenarioRunner]


@pytest.fixture
def redis_lab() -> Iterator[StartLab]:
    """`redis_lab(hosts, {"down_after": "2s"}, {"tls": True}, program=...)`: a farm with Redis, which is not started."""
    require("haproxy")
    labs: list[Lab] = []

    def start(
        hosts: list[dict[str, Any]] = TWO_SERVERS,
        sentinel: Mapping[str, Any] | None = None,
        redis: Mapping[str, Any] | None = None,
        *,
        program: str | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> ScenarioRunner:
        store = {
            "password": {"env": "NLBGEN_REDIS"},
            "sentinel": {"nodes": hosts, **(sentinel or {})},
            **(redis or {}),
        }
        # The client before 2020.10 knows no user.
        version = {"orchestrator": {"version": "2023.10"}} if "user" in store else {}
        farm = {**BASE, **version, "stores": {"signalr": "redis", "redis": store}, **(changes or {})}
        spec = loads(yaml.safe_dump(farm))
        labs.append(lab := Lab(spec, "haproxy", program=program))
        lab.__enter__()
        return ScenarioRunner(lab)

    yield start
    for lab in labs:
        lab.close()


def values(metrics: Mapping[str, Scored]) -> dict[str, float]:
    return {name: scored.metric.value for name, scored in metrics.items() if scored.metric is not None}


@pytest.mark.alone
@pytest.mark.parametrize("name", ["redis-kill", pytest.param("redis-hang", marks=pytest.mark.long)])
def test_messages_flow_again_within_six_seconds_at_two_seconds_of_down_after(redis_lab: StartLab, name: str) -> None:
    seen = values(redis_lab(sentinel={"down_after": "2s"}).run(name))
    assert seen["silence"] <= 6 * HALF_AS_MUCH_AGAIN, seen
    assert (seen["stale"], seen["lost_on_return"], seen["accepted_lost"]) == (0, 0, 0), seen


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.parametrize("hosts", [TWO_SERVERS, HOSTS], ids=["two", "three"])
@pytest.mark.parametrize("name", ["redis-kill", "redis-hang"])
def test_messages_flow_again_within_ten_seconds(redis_lab: StartLab, name: str, hosts: list[dict[str, Any]]) -> None:
    seen = values(redis_lab(hosts).run(name))
    assert seen["silence"] <= 10 * HALF_AS_MUCH_AGAIN, seen
    assert (seen["stale"], seen["lost_on_return"], seen["accepted_lost"]) == (0, 0, 0), seen


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.parametrize("haproxy", BUILDS)
def test_front_follows_the_master_on_each_version_with_tls_and_a_user(
    redis_lab: StartLab, haproxy: dict[str, Any]
) -> None:
    runner = redis_lab(
        HOSTS,
        {"down_after": "2s"},
        {"tls": True, "user": "orchestrator"},
        program=haproxy["path"],
        changes={"haproxy": for_build(haproxy)},
    )
    seen = values(runner.run("redis-kill"))
    assert (seen["stale"], seen["lost_on_return"]) == (0, 0), seen


@pytest.mark.alone
@pytest.mark.long
def test_messages_flow_while_the_sentinels_end_one_after_the_other(redis_lab: StartLab) -> None:
    seen = values(redis_lab().run("redis-sentinels"))
    assert (seen["lost"], seen["silence"] < 3) == (0, True), seen


@pytest.mark.alone
@pytest.mark.long
def test_node_that_started_without_redis_gets_messages_when_redis_starts(redis_lab: StartLab) -> None:
    seen = values(redis_lab(sentinel={"down_after": "2s"}).run("redis-gone"))
    assert seen["late_deaf"] == 0
    assert seen["silence"] <= 10 * HALF_AS_MUCH_AGAIN, seen


@pytest.mark.alone
@pytest.mark.parametrize(
    "hosts", [pytest.param(TWO_SERVERS, id="two"), pytest.param(HOSTS, id="three", marks=pytest.mark.long)]
)
def test_old_master_that_is_cut_off_gets_no_connection_and_refuses_writes(
    redis_lab: StartLab, hosts: list[dict[str, Any]]
) -> None:
    seen = values(redis_lab(hosts, {"down_after": "2s"}).run("redis-split"))
    assert seen["silence"] <= 6 * HALF_AS_MUCH_AGAIN, seen
    assert (seen["stale"], seen["lost_on_return"]) == (0, 0), seen
    assert seen["writes"] == (hosts is TWO_SERVERS), seen


def test_front_without_the_votes_leads_to_an_old_master_that_returns(redis_lab: StartLab) -> None:
    """The scenario detects the fault that the votes prevent."""

    def fault(text: str) -> str:
        asks = ("tcp-check connect addr", 'tcp-check send-lf "GET ', "rstring", "nbsrv(orchestrator-test_redis) gt 1")
        return lines_without(text, *asks)

    runner = redis_lab(sentinel={"down_after": "2s"})
    assert runner.run("redis-hang", fault)["stale"].verdict == "failed"


@pytest.mark.long
def test_front_that_keeps_connections_is_silent_while_the_master_hangs(redis_lab: StartLab) -> None:
    def fault(text: str) -> str:
        head, front = text.split("\nbackend orchestrator-test_redis\n")
        return f"{head}\nbackend orchestrator-test_redis\n{lines_without(front, 'on-marked-down')}"

    async def silent(runner: ScenarioRunner) -> bool:
        async with redis_bench(runner.bench) as redis:
            old = await redis.master()
            old.freeze()
            await redis.replaced(old)
            await asyncio.sleep(3)
            seen = max(max(node.received.values()) for node in redis.stream.nodes)
            await asyncio.sleep(3)
            return max(max(node.received.values()) for node in redis.stream.nodes) == seen

    runner = redis_lab(sentinel={"down_after": "2s"})
    lab = runner.lab
    lab.configuration.write_text(fault(lab.configuration.read_text(encoding="utf-8")), encoding="utf-8")
    lab.balancer.reload()
    assert run(silent(runner))


@pytest.mark.no_cover  # other tests reach the same lines
def test_connections_of_an_old_worker_leave_a_master_that_hangs(redis_lab: StartLab) -> None:
    """After a reload the old worker runs no health checks; the service nlbgen-haproxy closes its connections."""
    runner = redis_lab(sentinel={"down_after": "2s"})

    async def resumed() -> bool:
        async with redis_bench(runner.bench) as redis:
            old = await redis.master()
            await asyncio.to_thread(runner.lab.balancer.reload)
            await redis.flowing(1.0)
            old.freeze()
            await redis.replaced(old)
            await redis.flowing()
            return not redis.stream.lost(redis.stream.messages[-1].at - 1.5)

    assert run(resumed())


def test_node_is_refused_at_a_start_until_one_server_is_left(redis_lab: StartLab) -> None:
    """Before its first check every server counts as up: a connection could reach a replica."""
    runner = redis_lab(HOSTS, {"down_after": "2s"})

    async def reached() -> set[int | None]:
        async with redis_bench(runner.bench) as redis:
            master = await redis.master()
            await asyncio.to_thread(runner.lab.balancer.stop)
            start = asyncio.create_task(asyncio.to_thread(runner.lab.balancer.start))
            found = set()
            for _ in range(100):
                found.add(await redis.reached())
                await asyncio.sleep(0.02)
            await start
            return found - {master.port}

    assert run(reached()) <= {None}


@pytest.mark.no_cover  # other tests reach the same lines
def test_connections_to_the_master_stay_while_the_sentinels_announce_no_master(redis_lab: StartLab) -> None:
    """As after SENTINEL REMOVE, or while Sentinels hang: without another master, nothing is closed."""
    runner = redis_lab(sentinel={"down_after": "30s"})

    async def lost() -> int:
        async with redis_bench(runner.bench) as redis:
            since = perf_counter()
            for sentinel in redis.redis.sentinels:
                sentinel.freeze()
            await asyncio.sleep(2)
            for sentinel in redis.redis.sentinels:
                sentinel.thaw()
            for sentinel in redis.redis.sentinels:
                await redis.redis.ask(sentinel.port, "SENTINEL", "REMOVE", "mymaster", sentinel=True)
            await redis.flowing()
        return len(redis.stream.lost(since))

    assert run(lost()) == 0


def on_hosts(report: Report) -> list[tuple[str, str]]:
    """The findings about the hosts of Redis: their names begin with `redis-`."""
    return sorted((one.device, one.id) for one in report.findings if " redis-" in one.device)


def test_probe_checks_each_host_of_redis(redis_lab: StartLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A front that works hides that no failover is possible."""
    monkeypatch.setenv("NLBGEN_REDIS", REDIS_LOGIN)
    runner = redis_lab(HOSTS, {"down_after": "2s"})

    async def probed() -> list[Report]:
        async def report() -> Report:
            return await asyncio.to_thread(probe, runner.lab.spec, Options(through="nodes"))

        async with RedisLab(runner.lab) as redis:
            assert await redis.master() is redis.servers[0]
            reports = [await report()]
            redis.sentinels[1].kill()
            reports.append(await report())
            await redis.ask(redis.servers[1].port, "REPLICAOF", "127.0.0.1", "1")
            reports.append(await report())
            for process in (*redis.servers[1:], *redis.sentinels[2:]):
                process.kill()
            await asyncio.sleep(3)
            return [*reports, await report()]

    healthy, one_sentinel_less, unlinked, alone = run(probed())
    assert on_hosts(healthy) == []
    facts = {one.device: {**one.facts, "version": ""} for one in healthy.devices}
    master = facts["redis redis-1"]
    assert (master["role"], master["replicas"]) == ("master", "2 of 2 replicas attached")
    assert master["failure"] in {
        f"if this server fails, redis-{a} or redis-{b} replaces it after 2s" for a, b in ("23", "32")
    }
    assert facts["redis redis-2"] == {"redis": "Redis answers", "version": "", "role": "slave"}
    assert facts["sentinel redis-3"]["quorum"] == "can begin a failover"
    # The failover needs two Sentinels, and with its host the master's own would be gone.
    unreachable = ("sentinel redis-2", "unreachable")
    assert on_hosts(one_sentinel_less) == [("redis redis-1", "redis-host"), unreachable]
    first = [("redis redis-1", "redis-host"), ("redis redis-1", "redis-writes")]
    assert on_hosts(unlinked) == [*first, ("redis redis-2", "redis-link"), unreachable]
    down = [(f"{kind} redis-{number}", "unreachable") for kind in ("redis", "sentinel") for number in (2, 3)]
    assert on_hosts(alone) == sorted([*down, ("redis redis-1", "redis-failover"), ("sentinel redis-1", "redis-quorum")])


def test_probe_reports_two_masters_and_sentinels_without_one(
    redis_lab: StartLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLBGEN_REDIS", REDIS_LOGIN)
    runner = redis_lab(HOSTS, {"down_after": "30s"})

    async def probed() -> Report:
        async with RedisLab(runner.lab) as redis:
            for sentinel in redis.sentinels[1:]:
                await redis.ask(sentinel.port, "SENTINEL", "REMOVE", "mymaster", sentinel=True)
            await redis.ask(redis.servers[1].port, "REPLICAOF", "NO", "ONE")
            return await asyncio.to_thread(probe, runner.lab.spec, Options(through="nodes"))

    found = on_hosts(run(probed()))
    masters = [device for device, kind in found if kind == "redis-masters"]
    assert masters == ["redis redis-2", "sentinel redis-2", "sentinel redis-3"]


def test_replica_that_needs_a_full_copy_is_attached_at_once(redis_lab: StartLab) -> None:
    """With three servers, a new master refuses writes until it has a replica."""
    runner = redis_lab()

    async def seconds() -> float:
        async with RedisLab(runner.lab) as redis:
            master = await redis.master()
            assert master is not None
            port = next(server.port for server in redis.servers if server is not master)
            await redis.ask(port, "REPLICAOF", "NO", "ONE")
            await redis.ask(port, "SET", "other", "history")
            since = perf_counter()
            await redis.ask(port, "REPLICAOF", "127.0.0.1", str(master.port))
            while True:
                reply = await redis.ask(port, "INFO", "replication")
                if isinstance(reply, bytes) and b"master_link_status:up" in reply:
                    return perf_counter() - since
                await asyncio.sleep(0.1)

    assert run(seconds()) < 3


@pytest.mark.parametrize("store", [{}, {"user": "orchestrator", "tls": True}], ids=["plain", "user-tls"])
@pytest.mark.no_cover  # other tests reach the same lines
def test_redis_and_sentinel_restart_with_the_files_that_a_failover_rewrote(
    redis_lab: StartLab, store: dict[str, Any]
) -> None:
    runner = redis_lab(HOSTS, {"down_after": "2s"}, store)

    async def restarted() -> tuple[str, str]:
        async with RedisLab(runner.lab) as redis:
            old = await redis.master()
            assert old is not None
            old.kill()
            for _ in range(150):
                new = await redis.master()
                if new is not None and new is not old:
                    break
                await asyncio.sleep(0.2)
            assert new is not None
            for process in (*redis.servers, *redis.sentinels):
                process.kill()
            for process in (*redis.servers, *redis.sentinels):
                process.start()
            await redis.settled()
            after = await redis.master()
            return new.name, after.name if after else ""

    new, after = run(restarted())
    assert new == after
    rewritten = (runner.lab.folder / "redis" / "redis-1" / "redis.conf").read_text(encoding="utf-8")
    assert "# Generated by CONFIG REWRITE" in rewritten


# Redis for Windows: its files, with the Redis 3.0.5 on which it is based.

WINDOWS = {"version": "3.0.504", "down_after": "2s"}


@pytest.fixture
def redis_30(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis 3.0.5 is the `redis-server` of this test."""
    if not redis30.PROGRAM.exists():
        missing("Redis 3.0.5 is not built: run tests/tools/redis30.py")
    monkeypatch.setenv("PATH", f"{redis30.PROGRAM.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NLBGEN_REDIS", REDIS_LOGIN)


@pytest.mark.alone
@pytest.mark.usefixtures("redis_30")
@pytest.mark.parametrize("name", ["redis-kill", pytest.param("redis-hang", marks=pytest.mark.long)])
def test_front_of_redis_for_windows_follows_the_master(redis_lab: StartLab, name: str) -> None:
    seen = values(redis_lab(HOSTS, WINDOWS).run(name))
    assert seen["silence"] <= 6 * HALF_AS_MUCH_AGAIN, seen
    assert (seen["stale"], seen["lost_on_return"], seen["accepted_lost"]) == (0, 0, 0), seen


@pytest.mark.usefixtures("redis_30")
def test_redis_for_windows_restarts_with_rewritten_files_and_probe_reports_a_sentinel_that_is_gone(
    redis_lab: StartLab,
) -> None:
    runner = redis_lab(HOSTS, WINDOWS)

    async def probed() -> tuple[str, str, str, Report, Report]:
        async with RedisLab(runner.lab) as redis:
            old = await redis.master()
            assert old is not None
            old.kill()
            new = old
            for _ in range(150):
                new = await redis.master() or old
                if new is not old:
                    break
                await asyncio.sleep(0.2)
            for process in (*redis.servers, *redis.sentinels):
                process.kill()
            for process in (*redis.servers, *redis.sentinels):
                process.start()
            await redis.settled()
            after = await redis.master()
            for _ in range(150):  # a Sentinel that has just started may make a replica connect again
                healthy = await asyncio.to_thread(probe, runner.lab.spec, Options(through="nodes"))
                if "redis-link" not in {kind for _, kind in on_hosts(healthy)}:
                    break
                await asyncio.sleep(0.2)
            redis.sentinels[1].kill()
            less = await asyncio.to_thread(probe, runner.lab.spec, Options(through="nodes"))
            return old.name, new.name, after.name if after else "", healthy, less

    old, new, after, healthy, less = run(probed())
    assert (new != old, new == after) == (True, True)
    # 3.0.5 is older than 3.0.504.
    older = [(f"redis redis-{number}", "redis-version") for number in (1, 2, 3)]
    assert on_hosts(healthy) == older
    unreachable = ("sentinel redis-2", "unreachable")
    risk = [] if new == "redis-2" else [(f"redis {new}", "redis-host")]
    assert on_hosts(less) == sorted([*older, *risk, unreachable])
    rewritten = (runner.lab.folder / "redis" / old / "redis.windows-service.conf").read_text(encoding="utf-8")
    assert "# Generated by CONFIG REWRITE" in rewritten
    learned = (runner.lab.folder / "redis" / old / "sentinel.windows-service.conf").read_text(encoding="utf-8")
    assert f"sentinel auth-pass mymaster {REDIS_LOGIN}" in learned
