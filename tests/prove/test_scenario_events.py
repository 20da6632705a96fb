"""What scenarios do to nodes and balancers, and what they count: no traffic, no program, no clock."""

import asyncio
import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from nlbgen.prove.clients.simple import Fetched
from nlbgen.prove.lab.bench import TestBench
from nlbgen.prove.scenarios import fleet, limits, live, reload
from nlbgen.prove.scenarios.fleet import RobotsRedis
from nlbgen.prove.scenarios.fleet_base import FleetScenario, Moment
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.spec.load import Spec

from .fake_bench import FakeBench, MakeBench, loaded, measured, page, values

if TYPE_CHECKING:
    from nlbgen.prove.clients.fleet import Fleet
    from nlbgen.prove.lab.plain_redis import PlainRedis

SLEEP = asyncio.sleep


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(_seconds: float) -> None:
        await SLEEP(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)


# Reloads


def test_reload_happens_during_both_loads(make_bench: MakeBench) -> None:
    bench = make_bench()
    found = values(measured(scenarios()["reload"], bench))
    assert bench.balancer.reloads == 2 * reload.RELOADS
    assert [plan.keep_alive for plan in bench.plans] == [True, False]
    assert found == {"failed": 0, "doubled_posts": 0, "lost_posts": 35, "slow": 0, "failed_new": 0}


def test_reload_during_an_outage_hits_a_frozen_node(make_bench: MakeBench) -> None:
    bench = make_bench()
    found = values(measured(scenarios()["reload-outage"], bench))
    assert bench.nodes_[0].done == ["freeze"]
    assert bench.balancer.reloads == reload.RELOADS
    assert (found["failed_gets"], found["failed_posts"]) == (0, 0)


def socket(*, alive: bool = True, echoes: int = 4, node: str = "orch-1") -> SimpleNamespace:
    return SimpleNamespace(alive=alive, echoes=echoes, worst_echo=0.2, error="", close_code=1001, node=node)


def with_sockets(bench: FakeBench, *reports: object, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.asynccontextmanager
    async def sockets(*_: object, **__: object) -> Any:  # noqa: ANN401  # a context with any holder
        yield SimpleNamespace(reports=list(reports))

    monkeypatch.setattr(bench, "sockets", sockets)


def test_reload_counts_websockets_that_close_or_stay_silent(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench()
    with_sockets(bench, socket(alive=False), socket(), monkeypatch=monkeypatch)
    found = measured(scenarios()["reload-websockets"], bench)
    assert values(found) == {"cut": 1, "silent": 1, "worst_echo": 0.2}
    assert found["cut"].note == "close code 1001"
    assert bench.balancer.reloads == reload.RELOADS


@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
def test_reload_counts_sockets_and_requests_that_stay_on_a_node(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, vendor: str
) -> None:
    bench = make_bench(vendor)
    restored: list[str] = []

    async def restore() -> None:
        restored.append("all")

    monkeypatch.setattr(bench, "restore", restore)
    monkeypatch.setattr(reload, "FREED_SECONDS", 0.01)
    with_sockets(bench, socket(), socket(alive=False), socket(node="orch-2"), monkeypatch=monkeypatch)
    bench.answer = lambda plan: loaded(plan, ["orch-1", "orch-2"])
    found = measured(scenarios()["reload-states"], bench)
    assert (found["kept"].value, found["kept"].of, found["kept"].enforced) == (1, 2, vendor == "haproxy")
    assert (found["still_asked"].value, found["still_asked"].of) == (29, 59)
    assert bench.nodes_[0].done == ["freeze", "thaw", "set {'pool_stopped': True}"]
    assert [[node.state for node in farm.nodes] for farm in bench.changed] == [["down", "up"], ["up", "up"]]
    assert len(restored) == 2


# Limits


def test_silent_clients_count_failures_of_others_and_of_the_statistics(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench()
    asked: list[str] = []

    async def silent(_to: object, _number: int) -> None:
        await asyncio.Event().wait()

    def fetch(url: str, **_: object) -> Fetched:
        asked.append(url)
        if len(asked) == 1:
            raise TimeoutError
        return page(200 if len(asked) == 2 else 503)

    async def run(_plan: object, _events: object = ()) -> object:
        for _ in range(4):
            await SLEEP(0)
        return loaded(bench.plan(seconds=1.0), ["orch-1"], latency=0.4)

    monkeypatch.setattr(limits, "_silent", silent)
    monkeypatch.setattr(limits, "fetch", fetch)
    monkeypatch.setattr(bench, "run", run)
    monkeypatch.setattr(TestBench, "target", lambda _self: None)
    found = measured(scenarios()["silent-clients"], bench)
    assert (found["others_failed"].value, found["longest"].value) == (0, 0.4)
    assert found["statistics_failed"].value == len(asked) - 1
    assert asked[0].startswith("http://127.0.0.1:8404/")
    assert bench.changed[0].balancer.limits.connections == limits.FEW_CONNECTIONS


# Live connections


def test_idle_websockets_that_close_early_or_stay_open_are_counted(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench()
    some = [
        SimpleNamespace(lived=1.0, opened=0.0, alive=False),
        SimpleNamespace(lived=None, opened=0.0, alive=True),
        SimpleNamespace(lived=None, opened=None, alive=False),
    ]
    with_sockets(bench, *some, monkeypatch=monkeypatch)
    found = measured(scenarios()["idle-websocket"], bench)
    assert values(found) == {"cut": 4, "kept": 2, "shortest": 1.0}
    assert found["cut"].note.startswith("every timeout divided by ")


@pytest.mark.parametrize("fault", [False, True])
def test_long_polls_without_an_answer_or_with_a_retry_are_counted(make_bench: MakeBench, fault: bool) -> None:
    bench = make_bench()
    bench.nodes_[1].control = SimpleNamespace(requests=lambda _path: ["poll"] * (live.POLLS + 1))

    def pages(_path: str) -> Fetched:
        if fault:
            raise TimeoutError
        return page()

    bench.pages = pages
    found = values(measured(scenarios()["long-poll"], bench))
    assert (found["failed"], found["repeated"]) == (live.POLLS if fault else 0, 1)


def test_events_that_are_late_or_lost_are_counted(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals = [(100.0, "orch-1 0 99.9"), (101.0, "orch-1 1 100.1")]
    monkeypatch.setattr(live, "read_events", lambda *_, **__: SimpleNamespace(arrivals=arrivals))
    found = values(measured(scenarios()["event-stream"], make_bench()))
    assert (found["lost"], found["late"]) == (live.EVENTS - 2, 1)
    assert found["worst_ms"] == pytest.approx(800)


# Robots


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("robots-kill", ["kill", "start"], []),
        ("robots-hang", ["freeze", "thaw"], []),
        ("robots-reload", [], []),
        ("robots-balancer", [], []),
        ("robots-spread", ["stop", "start"], ["set {'pool_stopped': True}", "reset"]),
    ],
)
def test_event_for_robots_hits_its_nodes(make_bench: MakeBench, name: str, first: list[str], second: list[str]) -> None:
    bench = make_bench()
    scenario = scenarios()[name]
    assert isinstance(scenario, FleetScenario)

    async def all_connected(_seconds: float) -> bool:
        return True

    robots = cast("Fleet", SimpleNamespace(all_connected=all_connected, held=lambda: {"orch-2": 3}))
    moment = asyncio.run(scenario.event(bench, robots))
    assert [node.done for node in bench.nodes_] == [first, second]
    assert moment.victim == ("orch-1" if name in {"robots-kill", "robots-hang"} else "")
    assert moment.all_hit is (name in {"robots-balancer", "robots-spread"})
    assert bench.balancer.reloads == (3 if name == "robots-reload" else 0)


def test_redis_under_robots_is_killed_started_and_used(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    bench, scenario = make_bench(), RobotsRedis()
    scenario._redis = cast(
        "PlainRedis", SimpleNamespace(kill=lambda: done.append("kill"), start=lambda: done.append("start"))
    )
    team = [SimpleNamespace(pushes=0), SimpleNamespace(pushes=3)]
    robots = cast("Fleet", SimpleNamespace(robots=team))

    def push(_message: str) -> None:
        team[0].pushes += 1

    monkeypatch.setattr(fleet, "PUSH_SECONDS", 0.05)
    monkeypatch.setattr(bench.nodes_[0], "control", SimpleNamespace(push=push), raising=False)
    assert asyncio.run(scenario.event(bench, robots)) == Moment()
    found = asyncio.run(scenario.afterwards(bench, robots))
    assert done == ["kill", "start"]
    assert [(one.name, one.value, one.of) for one in found] == [("unreached", 1, 2)]


def test_redis_under_robots_needs_redis(make_spec: Callable[..., Spec], monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = RobotsRedis()
    assert (
        scenario.skip_reason(make_spec(stores={"signalr": "sqlserver"}).farm, "haproxy")
        == "stores.signalr is not redis"
    )
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert scenario.skip_reason(make_spec().farm, "haproxy") == "redis-server is not installed here"
