"""Scenarios without traffic: the farms that they skip, and the metrics of a load's records."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Self, cast

import pytest

from nlbgen.generators.zen.calls import early, plan
from nlbgen.generators.zen.objects import objects
from nlbgen.generators.zen.products import edition
from nlbgen.prove.clients.load_result import LoadResult, Record
from nlbgen.prove.lab.bench import TestBench, Timeline, in_thread
from nlbgen.prove.scenarios.base import HASHED, ONE_NODE, PASSED_THROUGH
from nlbgen.prove.scenarios.failover import _share, failed
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.prove.scenarios.steady import _shares
from nlbgen.spec.load import Spec
from nlbgen.spec.model import Farm

if TYPE_CHECKING:
    from nlbgen.prove.lab.certificates import TestCertificates
    from nlbgen.prove.lab.lab import Lab

ONE = [{"name": "one", "address": "10.0.0.1"}]
WITH_BACKUP = [*ONE, {"name": "two", "address": "10.0.0.2", "state": "backup"}]
DRAINED = [*ONE, {"name": "two", "address": "10.0.0.2", "state": "drain"}]
OUTAGES = ("kill", "pool-stopped", "hang", "drain", "reload-outage")


class FakeLab:
    """The parts of a lab that metrics use."""

    def __init__(self, farm: Farm) -> None:
        self.live = farm
        self.url = "http://127.0.0.1:1"
        self.post_path = "/api/jobs"
        self.own_addresses = False
        self.certificates = cast("TestCertificates", type("Made", (), {"ca": None}))
        self.spec: Spec | None = None
        self.nodes: list[object] = []

    def bench(self) -> TestBench:
        return TestBench(cast("Lab", self))


@pytest.mark.parametrize("name", OUTAGES)
def test_outage_without_a_node_that_takes_over_is_skipped(make_spec: Callable[..., Spec], name: str) -> None:
    scenario = scenarios()[name]
    assert scenario.skip_reason(make_spec().farm, "haproxy") == ""
    assert scenario.skip_reason(make_spec(nodes=WITH_BACKUP).farm, "haproxy") == ""
    assert scenario.skip_reason(make_spec(nodes=ONE, accept=["one-node"]).farm, "haproxy") == ONE_NODE
    assert scenario.skip_reason(make_spec(nodes=DRAINED).farm, "haproxy") == ONE_NODE


def test_slow_start_without_support_is_skipped(make_spec: Callable[..., Spec]) -> None:
    scenario = scenarios()["slow-start"]
    slow = {"slow_start": "30s"}
    assert scenario.skip_reason(make_spec(balancer=slow).farm, "haproxy") == ""
    assert "no balancer.slow_start" in scenario.skip_reason(make_spec().farm, "haproxy")
    assert "slow start" in scenario.skip_reason(make_spec(balancer=slow, accept=["nginx-slow-start"]).farm, "nginx")
    assert scenario.skip_reason(make_spec(balancer={**slow, "algorithm": "source"}).farm, "haproxy") == HASHED
    assert scenario.skip_reason(make_spec(balancer=slow, nodes=WITH_BACKUP).farm, "haproxy") == ONE_NODE


@pytest.mark.parametrize("name", ["steady", "broken-url", "all-down", "reload", "reload-websockets"])
def test_other_scenarios_run_on_a_farm_of_one_node(make_spec: Callable[..., Spec], name: str) -> None:
    assert scenarios()[name].skip_reason(make_spec(nodes=ONE, accept=["one-node"]).farm, "nginx") == ""


def records(**counts: int) -> LoadResult:
    """The result of a load that these nodes answered, ten requests per second."""
    names = [name for name, count in counts.items() for _ in range(count)]
    made = [Record(number / 10, "GET", "", 0, outcome="ok", node=name) for number, name in enumerate(names)]
    return LoadResult(made, 10.0, len(names) / 10)


def test_share_of_a_node_is_compared_with_its_weight(make_spec: Callable[..., Spec]) -> None:
    nodes = [
        {"name": "one", "address": "10.0.0.1", "weight": 50},
        {"name": "two", "address": "10.0.0.2", "weight": 150},
    ]
    farm = make_spec(nodes=nodes).farm
    assert _shares(farm, records(one=25, two=75)) == (0.0, "one 25.0 % (expected 25.0 %), two 75.0 % (expected 75.0 %)")
    assert _shares(farm, records(one=50, two=50))[0] == 25.0
    assert _shares(farm, records(two=100))[0] == 25.0
    assert _shares(farm, records())[0] == 100.0


def test_share_of_a_drained_node_counts_as_deviation(make_spec: Callable[..., Spec]) -> None:
    farm = make_spec(nodes=DRAINED).farm
    assert _shares(farm, records(one=90, two=10))[0] == 10.0


def test_share_is_counted_in_its_window() -> None:
    result = records(one=50, two=50)
    assert _share(result, "two", 0.0, 5.0) == (0.0, 50)
    assert _share(result, "two", 5.0, 10.0) == (1.0, 50)
    assert _share(result, "two", 20.0, 30.0) == (0.0, 0)


def bad(at: float, method: str, outcome: str) -> Record:
    return Record(at, method, "", 0, outcome=outcome)


def test_failures_are_counted_with_window_and_outcomes(make_spec: Callable[..., Spec]) -> None:
    asked = [
        bad(1.0, "GET", "ok"),
        bad(2.0, "POST", "http 503"),
        bad(2.5, "POST", "closed"),
        bad(9.0, "GET", "timeout"),
    ]
    bench = FakeLab(make_spec().farm).bench()
    posts = failed("failed_posts", asked, bench, method="POST")
    assert (posts.value, posts.of, posts.window, posts.note, posts.enforced) == (2, 2, 0.5, "closed, http 503", True)
    whole = failed("failed", asked, bench)
    assert (whole.value, whole.of, whole.window) == (3, 4, 7.0)
    none = failed("failed_gets", asked[:1], bench, method="GET")
    assert (none.value, none.window, none.note) == (0, None, "")


def test_failures_with_tls_passthrough_are_not_enforced(make_spec: Callable[..., Spec]) -> None:
    farm = make_spec(frontend={"tls": {"mode": "passthrough"}}).farm
    one = failed("failed", [bad(1.0, "GET", "reset")], FakeLab(farm).bench())
    assert (one.enforced, one.note) == (False, PASSED_THROUGH)


@pytest.mark.parametrize(
    ("changes", "cookies", "addresses", "keep_alive"),
    [
        ({}, False, False, True),
        ({"balancer": {"affinity": "cookie"}}, True, False, True),
        ({"balancer": {"affinity": "source"}}, False, True, True),
        ({"balancer": {"algorithm": "source"}}, False, True, True),
        ({"frontend": {"tls": {"mode": "passthrough"}}}, False, False, False),
    ],
)
def test_load_plan_fits_the_farm(
    make_spec: Callable[..., Spec],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
    cookies: bool,
    addresses: bool,
    keep_alive: bool,
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    spec = make_spec(**changes)
    lab = FakeLab(spec.farm)
    lab.spec = spec
    plan_ = lab.bench().plan()
    assert (plan_.cookies, plan_.source_addresses, plan_.keep_alive) == (cookies, addresses, keep_alive)
    assert (plan_.rate, plan_.seconds, plan_.clients) == (200, 14, 50)


def test_timeline_calls_listeners_at_once() -> None:
    received: list[str] = []
    timeline = Timeline(listeners=[lambda _, what: received.append(what)])
    timeline.add("one")
    timeline.add("two")
    assert received == ["one", "two"] == [what for _, what in timeline.entries]
    assert timeline.entries[0][0] <= timeline.entries[1][0]


class Slow:
    """A context that takes 0.2 s to enter, and records its calls."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __enter__(self) -> Self:
        import time

        time.sleep(0.2)
        self.seen.append("entered")
        return self

    def __exit__(self, *_: object) -> None:
        self.seen.append("left")


@pytest.mark.parametrize("when", [0.05, 0.4])
def test_cancelled_context_is_left(when: float) -> None:
    slow = Slow()

    async def hold() -> None:
        async with in_thread(slow):
            await asyncio.sleep(10)

    async def scenario() -> None:
        task = asyncio.create_task(hold())
        await asyncio.sleep(when)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert slow.seen == ["entered", "left"]


def test_context_that_cannot_be_entered_is_not_left() -> None:
    class Broken(Slow):
        def __enter__(self) -> Self:
            raise RuntimeError("no")

    broken = Broken()

    async def scenario() -> None:
        async with in_thread(broken):
            pass

    with pytest.raises(RuntimeError):
        asyncio.run(scenario())
    assert broken.seen == []


def test_zen_calls_in_the_wrong_order_are_found(make_spec: Callable[..., Spec]) -> None:
    farm = make_spec(balancer={"algorithm": "round-robin"}, accept=["zen-verify-nodes", "zen-max-body"]).farm
    found = edition(farm)
    assert found.generation
    calls = plan(objects(farm, found), found.generation)
    assert list(early(calls)) == []
    assert len(list(early(calls[::-1]))) > len(calls) / 2
    assert list(early(calls[1:]))


class HashedBench(TestBench):
    """A balancer that hashes the client's address: the first eight addresses all get the second node."""

    looks: list[int]

    async def _asked(self, count: int) -> LoadResult:
        self.looks.append(count)
        names = ("orch-2",) if count <= 8 else ("orch-1", "orch-2")
        return LoadResult([Record(0.0, "GET", "", 0, status=200, node=name) for name in names], 1.0, 1.0)


def test_more_clients_search_a_node_that_hashing_by_address_did_not_select(make_spec: Callable[..., Spec]) -> None:
    lab = FakeLab(make_spec().farm)
    lab.nodes = [SimpleNamespace(name=node.name) for node in lab.live.nodes]
    bench = HashedBench(cast("Lab", lab))
    bench.looks = []
    asyncio.run(asyncio.wait_for(bench.settled(), 30))
    assert bench.looks == [8, 16]
