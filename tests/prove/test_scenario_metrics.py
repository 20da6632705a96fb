"""The metrics of scenarios whose loads have a known result: no traffic, no program, no clock."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from nlbgen.core.errors import NlbgenError
from nlbgen.generators.base import generator
from nlbgen.generators.tls import HSTS_SECONDS
from nlbgen.prove.clients.load import LoadPlan
from nlbgen.prove.clients.load_result import LoadResult
from nlbgen.prove.clients.raw import RawAnswer
from nlbgen.prove.clients.simple import Fetched
from nlbgen.prove.lab import time_scale
from nlbgen.prove.lab.bench import TestBench
from nlbgen.prove.scenarios import correct, failover, steady, upgrade
from nlbgen.prove.scenarios.base import HASHED, NO_HTTP, ONE_NODE
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.spec.load import Spec

from .fake_bench import CONFIGURATION, FakeBench, loaded, measured, page, values

MakeSpec = Callable[..., Spec]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correct, "WORK_MS", 0)


# Outages


@pytest.mark.parametrize(
    ("name", "done"),
    [
        ("kill", ["kill", "restart"]),
        ("pool-stopped", ["set {'pool_stopped': True}", "reset"]),
        ("hang", ["freeze", "thaw"]),
        ("drain", ["set {'drain': True}", "kill"]),
    ],
)
def test_outage_hits_the_first_node_and_counts_failures(
    make_bench: Callable[..., FakeBench], name: str, done: list[str]
) -> None:
    bench = make_bench()

    def answer(plan: LoadPlan) -> LoadResult:
        result = loaded(plan, ["orch-2"])
        result.records[40].outcome = "http 503"
        result.records[43].outcome = "timeout"
        result.records[50].latency = 2.0
        return result

    bench.answer = answer
    bench.nodes_[0].executed = ["id-47", "id-47", "other"]
    bench.nodes_[1].executed = [f"id-{number}" for number in range(3, 140, 4) if number != 7]
    found = values(measured(scenarios()[name], bench))
    assert bench.nodes_[0].done == done
    assert bench.nodes_[1].done == []
    assert found["doubled_posts"] == found["lost_posts"] == found["slow"] == 1
    if name in {"hang", "drain"}:
        assert found["failed"] == 2
    else:
        assert (found["failed_gets"], found["failed_posts"]) == (1, 1)


@pytest.mark.parametrize("name", ["kill", "pool-stopped", "hang", "drain"])
def test_quick_outage_has_a_shorter_load_and_the_same_failure(make_bench: Callable[..., FakeBench], name: str) -> None:
    loads = []
    for quick in (False, True):
        bench = make_bench()
        bench.quick = quick
        found = scenarios()[name]
        assert isinstance(found, failover.Outage)
        events = [when for when, _, _ in found.events(bench.serving[0], failover.times_of(bench))]
        measured(found, bench)
        loads.append((bench.plans[0].seconds, events[1] - events[0], bench.plans[0].seconds - events[1]))
    (usual, usual_failure, _), (quick_load, quick_failure, after) = loads
    assert quick_load < usual
    assert quick_failure == usual_failure
    assert after >= 2, "the recovered node serves under load"


def test_quick_drain_counts_requests_after_the_checks_must_have_failed(make_bench: Callable[..., FakeBench]) -> None:
    bench = make_bench()
    bench.quick = True
    bench.answer = lambda plan: loaded(plan, ["orch-1"])
    found = measured(scenarios()["drain"], bench)["still_asked"]
    # Known at 1 + 2 checks of 1 s + 1.9 s + 0.3 s; stopped at 6 s; ten requests per second.
    assert (found.value, found.of) == (7, 7)


def test_drain_counts_requests_after_the_checks_must_have_failed(make_bench: Callable[..., FakeBench]) -> None:
    bench = make_bench()
    bench.answer = lambda plan: loaded(plan, ["orch-1"])
    asked = measured(scenarios()["drain"], bench)["still_asked"]
    # Two checks of 1 s and a timeout of 1.9 s: from 8.2 s to 9 s.
    assert (asked.value, asked.of, asked.enforced) == (7, 7, True)


def test_drain_with_slow_checks_or_without_checks_is_not_enforced(make_bench: Callable[..., FakeBench]) -> None:
    slow = make_bench(balancer={"health": {"interval": "5s", "timeout": "3s"}})
    asked = measured(scenarios()["drain"], slow)["still_asked"]
    assert (asked.of, asked.enforced) == (0, False)
    assert asked.note == "health checks every 5s do not detect this within 5 s"
    asked = measured(scenarios()["drain"], make_bench("nginx"))["still_asked"]
    assert (asked.note, asked.enforced) == ("NGINX has no active health checks", False)


# The slow start


@pytest.mark.parametrize(
    ("specified", "real_time", "time"), [("10s", False, 10), ("30s", False, 10), ("30s", True, 30), ("2m", True, 45)]
)
def test_slow_start_measures_the_share_during_and_after_it(
    make_bench: Callable[..., FakeBench], specified: str, real_time: bool, time: int
) -> None:
    bench = make_bench(balancer={"slow_start": specified})
    bench.real_time = real_time
    ready = failover.RESTART + 1

    def answer(plan: LoadPlan) -> LoadResult:
        result = loaded(plan, ["orch-2"])
        for number, record in enumerate(result.records):
            share = 4 if record.scheduled < ready + time else 2
            if record.scheduled >= ready and number % share == 0:
                record.node = "orch-1"
        return result

    bench.answer = answer
    found = measured(scenarios()["slow-start"], bench)
    assert found["early_share"].value == pytest.approx(50, abs=8)
    assert found["full_share"].value == pytest.approx(100, abs=8)
    assert found["failed"].value == 0
    shortened = f"{time}s" != specified
    assert bool(found["early_share"].note) is (len(bench.changed) == 1) is shortened


def test_slow_start_of_a_node_that_gets_no_requests_fails(make_bench: Callable[..., FakeBench]) -> None:
    bench = make_bench(balancer={"slow_start": "10s"})
    bench.answer = lambda plan: loaded(plan, ["orch-2"])
    found = measured(scenarios()["slow-start"], bench)
    assert values(found) == {"early_share": 0.0, "full_share": 0.0}
    assert found["full_share"].note == "it received no more requests"


# Broken URLs, all nodes down, slow health


@pytest.mark.parametrize(("name", "statuses"), [("broken-url", (500,)), ("unavailable-url", (503, 502, 504))])
def test_broken_url_counts_changed_responses_and_lost_nodes(
    make_bench: Callable[..., FakeBench], name: str, statuses: tuple[int, ...]
) -> None:
    bench = make_bench()

    def answer(plan: LoadPlan) -> LoadResult:
        if plan.get_path.startswith("/odata/Broken"):
            result = loaded(plan, ["orch-1"], status=int(plan.get_path.rpartition("=")[2]))
            result.records[0].status = 429
            return result
        return loaded(plan, ["orch-1"])

    bench.answer = answer
    found = measured(scenarios()[name], bench)
    assert (found["changed"].value, found["changed"].of) == (len(statuses), 20 * len(statuses))
    assert (found["nodes_lost"].value, found["nodes_lost"].note, found["nodes_lost"].enforced) == (1, "orch-2", True)
    assert found["failed"].value == 0
    assert [int(plan.get_path[-3:]) for plan in bench.plans if "Broken" in plan.get_path] == list(statuses)


def test_broken_url_does_not_count_lost_nodes_where_addresses_select_them(make_bench: Callable[..., FakeBench]) -> None:
    bench = make_bench(balancer={"algorithm": "source"})
    bench.answer = lambda plan: loaded(plan, ["orch-1"], status=500)
    lost = measured(scenarios()["broken-url"], bench)["nodes_lost"]
    assert (lost.note, lost.enforced) == (HASHED, False)


@pytest.mark.parametrize("mode", ["bridge", "passthrough"])
def test_all_down_counts_responses_that_are_no_clear_refusal(make_bench: Callable[..., FakeBench], mode: str) -> None:
    changes: dict[str, Any] = {"frontend": {"tls": {"mode": mode}}} if mode == "passthrough" else {}
    bench = make_bench(**changes)

    def answer(plan: LoadPlan) -> LoadResult:
        if plan.rate != 20.0:
            return loaded(plan, ["orch-1"])
        result = loaded(plan, [""], status=503, outcome="http 503", latency=0.5)
        result.records[0].status, result.records[0].outcome = 0, "reset"
        return result

    bench.answer = answer
    found = measured(scenarios()["all-down"], bench)
    assert (found["refusal"].value, found["failed_after"].value) == (0.5, 0)
    assert (found["unclear"].value, found["unclear"].enforced) == (1, mode == "bridge")
    assert ("reset" if mode == "bridge" else "passthrough") in found["unclear"].note
    assert all(node.done == ["kill", "start"] for node in bench.nodes_)
    assert bench.settles == 1


@pytest.mark.parametrize("choice", ["serve", "refuse"])
def test_slow_health_counts_failures_and_cut_sockets(make_bench: Callable[..., FakeBench], choice: str) -> None:
    bench = make_bench(balancer={"health": {"all_failed": choice}})
    found = measured(scenarios()["health-slow"], bench)
    assert (found["failed"].value, found["cut"].value, found["refused"].value) == (0, 1, 0)
    assert found["refused"].enforced is (choice == "serve")
    assert bench.nodes_[1].done == [
        "set {'health_delay': 1.5}",
        "set {'health_delay': 0.0}",
        "set {'drain': True}",
        "reset",
    ]


# Services


def core_bench(make_bench: Callable[..., FakeBench], **health: object) -> FakeBench:
    return make_bench(orchestrator={"version": "2022.10"}, balancer={"affinity": "signalr", "health": health})


def test_identity_counts_requests_to_a_node_that_must_be_out(make_bench: Callable[..., FakeBench]) -> None:
    bench = core_bench(make_bench)

    def answer(plan: LoadPlan) -> LoadResult:
        result = loaded(plan, ["orch-1", "orch-2"])
        for record in result.records:
            if record.scheduled > 3.5:
                record.node = "orch-2"
        return result

    bench.answer = answer
    found = measured(scenarios()["identity"], bench)
    assert [(one.name, one.value, one.note) for one in found.values()] == [
        (name, 0, "last request 1.9 s after the failure") for name in ("asked_503", "asked_refused", "asked_hung")
    ]
    switches = ("identity_stopped", "identity_refuses", "identity_hangs")
    assert bench.nodes_[0].done == [word for name in switches for word in (f"set {{'{name}': True}}", "reset")]


def test_identity_with_a_single_path_names_the_missing_one(make_bench: Callable[..., FakeBench]) -> None:
    found = measured(scenarios()["identity"], core_bench(make_bench, path="/api/health"))
    assert found["asked_503"].value > 0
    assert found["asked_503"].note == (
        "the spec checks only /api/health: add /identity/.well-known/openid-configuration"
    )


def test_identity_on_a_node_without_requests_has_no_note(make_bench: Callable[..., FakeBench]) -> None:
    bench = core_bench(make_bench)
    bench.answer = lambda plan: loaded(plan, ["orch-2"])
    assert {(one.value, one.note) for one in measured(scenarios()["identity"], bench).values()} == {(0, "")}


@pytest.mark.parametrize(
    ("changes", "vendor", "reason"),
    [
        ({}, "haproxy", "only from Orchestrator 2020.10 on"),
        ({"orchestrator": {"version": "2022.10"}}, "nginx", "NGINX has no active health checks"),
        (
            {"orchestrator": {"version": "2022.10"}, "frontend": {"tls": {"mode": "passthrough"}}},
            "nginx",
            "NGINX has no active health checks",
        ),
        (
            {"orchestrator": {"version": "2022.10"}, "nodes": [{"name": "a", "address": "10.0.0.1"}]},
            "haproxy",
            "no other",
        ),
        ({"orchestrator": {"version": "2022.10"}}, "haproxy", ""),
    ],
)
def test_identity_is_skipped_with_a_reason(
    make_spec: MakeSpec, changes: dict[str, Any], vendor: str, reason: str
) -> None:
    found = scenarios()["identity"].skip_reason(make_spec(**changes).farm, vendor)
    assert reason in found
    assert bool(found) is bool(reason)


# Upgrade


def test_upgrade_changes_the_maintenance_and_counts(
    make_bench: Callable[..., FakeBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = core_bench(make_bench)
    team = [SimpleNamespace(connected=True, returns=[10.0 + number / 2], ends=[9.0]) for number in range(4)]

    @asynccontextmanager
    async def few(_plans: object) -> AsyncIterator[list[SimpleNamespace]]:
        yield team

    async def back(_team: object, _seconds: float) -> None:
        team[0].connected = False

    monkeypatch.setattr(upgrade, "robots", few)
    monkeypatch.setattr(upgrade, "plans", lambda *_arguments, **_options: [])
    monkeypatch.setattr(upgrade, "until_connected", back)
    monkeypatch.setattr(upgrade, "QUIET_SECONDS", 0)
    for node in bench.nodes_:
        node.control = SimpleNamespace(requests=lambda: [{"target": "/odata/Jobs?x=1"}])
    found = measured(scenarios()["upgrade"], bench)
    states = [farm.balancer.maintenance.state for farm in bench.changed]
    assert states == ["closed", "releasing", "serving"]
    assert bench.changed[1].balancer.maintenance.robots_per_second == upgrade.RATE
    assert [node.done for node in bench.nodes_] == [["kill", "start"]] * 2
    assert (found["arrived"].value, found["arrived"].note) == (2, "/odata/Jobs")
    assert found["unclear"].value == found["unclear"].of
    assert found["unclear"].note == "ok"
    assert (found["peak"].value, found["lost"].value, found["cut"].value, found["last_back"].value) == (2, 1, 0, 1.5)
    assert found["peak"].enforced


def test_upgrade_is_skipped_with_passthrough(make_spec: MakeSpec) -> None:
    scenario = scenarios()["upgrade"]
    assert scenario.skip_reason(make_spec(frontend={"tls": {"mode": "passthrough"}}).farm, "haproxy") == NO_HTTP
    assert scenario.skip_reason(make_spec().farm, "nginx") == ""


# Normal operation


@pytest.fixture
def presses(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The URLs of each measurement of the throughput: 900/s through the balancer, 1000/s directly."""
    asked: list[list[str]] = []

    async def press(plan: Any) -> float:  # noqa: ANN401  # any plan
        asked.append(list(plan.urls))
        return 900.0 if plan.urls == ["https://farm.example"] else 1000.0

    monkeypatch.setattr(steady, "press", press)
    return asked


def test_steady_compares_shares_latency_and_throughput(
    make_bench: Callable[..., FakeBench], presses: list[list[str]]
) -> None:
    bench = make_bench()
    bench.nodes_[0].executed = [f"id-{number}" for number in range(3, 80, 4)]

    def answer(plan: LoadPlan) -> LoadResult:
        return loaded(plan, ["orch-1", "orch-2"], latency=0.001 if plan.url == bench.nodes_[0].url else 0.003)

    bench.answer = answer
    found = measured(scenarios()["steady"], bench)
    assert {name: found[name].value for name in ("failed", "doubled_posts", "lost_posts", "share_off")} == {
        "failed": 0,
        "doubled_posts": 0,
        "lost_posts": 0,
        "share_off": 0,
    }
    assert found["share_off"].note == "orch-1 50.0 % (expected 50.0 %), orch-2 50.0 % (expected 50.0 %)"
    assert (found["added_p50"].value, found["p99"].value, found["throughput"].value) == (2.0, 3.0, 90.0)
    assert found["added_p50"].note == "3.00 ms (3.00 to 3.00) against 1.00 ms (1.00 to 1.00) directly to a node"
    assert found["throughput"].note.startswith("900/s (900 to 900) against 1000/s (1000 to 1000)")
    assert len(presses) == 6


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"balancer": {"algorithm": "source"}}, HASHED),
        ({"nodes": [{"name": "orch-1", "address": "10.0.0.1"}], "accept": ["one-node"]}, ONE_NODE),
    ],
)
@pytest.mark.usefixtures("presses")
def test_steady_shares_are_not_enforced_without_a_choice(
    make_bench: Callable[..., FakeBench], changes: dict[str, Any], reason: str
) -> None:
    share = measured(scenarios()["steady"], make_bench(**changes))["share_off"]
    assert (share.note, share.enforced) == (reason, False)


# Scaled timeouts


def test_configuration_with_bytes_that_are_not_utf_8_is_edited(
    make_bench: Callable[..., FakeBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench()
    (path,) = bench.lab.configurations
    path.write_bytes(CONFIGURATION.encode() + b"# caf\xe9\n")
    monkeypatch.setattr(bench.balancer, "start", lambda: bench.balancer.ran.append(path.read_text("latin-1")))

    async def run() -> None:
        async with time_scale.scaled_timeouts(bench, 20, "a test"):
            pass

    asyncio.run(run())
    scaled, restored = bench.balancer.ran
    assert "timeout server 6000ms" in scaled
    assert scaled.endswith("# caf\xe9\n")
    assert restored == f"{CONFIGURATION}# caf\xe9\n"


def test_scaled_timeouts_are_written_and_restored(make_bench: Callable[..., FakeBench]) -> None:
    bench = make_bench()

    async def run() -> str:
        async with time_scale.scaled_timeouts(bench, 20, "a test") as note:
            return note

    assert asyncio.run(run()) == "every timeout divided by 20, 2 s at least"
    scaled, restored = bench.balancer.ran
    assert "timeout server 6000ms" in scaled
    assert "timeout connect 2000ms" in scaled
    assert "timeout check 1900ms" in scaled
    assert restored == CONFIGURATION
    assert bench.settles == 2


def test_timeouts_that_are_not_scaled_restart_nothing(make_bench: Callable[..., FakeBench]) -> None:
    bench = make_bench()

    async def run() -> str:
        async with time_scale.scaled_timeouts(bench, 1, "a test") as note:
            return note

    assert asyncio.run(run()) == ""
    assert bench.balancer.ran == []


def test_configuration_that_the_program_refuses_is_an_error(make_bench: Callable[..., FakeBench]) -> None:
    bench = make_bench()
    bench.balancer.broken = "nonsense"

    async def run() -> None:
        async with time_scale.edited(bench, lambda text: f"{text}nonsense\n", settle=False):
            raise AssertionError("the balancer did not start")

    with pytest.raises(NlbgenError, match="HAProxy does not start with the edited configuration: it exited"):
        asyncio.run(run())
    assert bench.lab.configuration.read_text(encoding="utf-8") == CONFIGURATION


def test_farm_without_a_changed_limit_is_restored(make_bench: Callable[..., FakeBench]) -> None:
    bench = make_bench()
    other = bench.farm.replace(farm="other")

    async def run() -> None:
        async with time_scale.changed_farm(bench, other):
            assert bench.changed == [other]

    asyncio.run(run())
    assert bench.changed == [other, bench.farm]
    assert len(bench.balancer.ran) == 2


def test_devices_have_no_timeouts_to_scale() -> None:
    with pytest.raises(ValueError, match="f5 is a device"):
        time_scale.scale_timeouts("f5", "", 2)


# POSTs


def test_posts_count_duplicates_losses_and_requests_in_flight(make_bench: Callable[..., FakeBench]) -> None:
    bench = make_bench()

    def answer(plan: LoadPlan) -> LoadResult:
        result = loaded(plan, ["orch-2"], method="POST")
        for number, record in enumerate(result.records):
            record.id = f"{plan.seconds:g}-{number}"
        result.records[0].outcome = "timeout"
        result.records[1].latency = 3.0
        return result

    bench.answer = answer
    bench.nodes_[0].executed = ["4-2", "4-3"]
    bench.nodes_[1].executed = ["4-2", *(f"4-{number}" for number in range(4, 40)), *(f"5.5-{n}" for n in range(55))]
    found = measured(scenarios()["posts"], bench)
    assert values(found) == {"doubled": 1, "lost": 1, "in_hand": 1, "in_hand_hung": 2}
    assert found["in_hand"].note == "orch-1 was killed"
    assert found["in_hand_hung"].note.startswith("orch-1 hung; every timeout divided by 40")
    assert bench.nodes_[0].done == ["kill", "restart", "freeze", "thaw"]


# Bodies


def answered(status: int, body: bytes = b"") -> RawAnswer:
    return RawAnswer(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body), False, 0.25)


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[RawAnswer]]:
    """The answers to the next requests; an upload is read to its end."""
    answers: list[RawAnswer] = []

    async def converse(_to: object, sent: bytes | AsyncIterator[bytes], _seconds: float, **_: object) -> RawAnswer:
        if not isinstance(sent, bytes):
            size = sum([len(part) async for part in sent])
            assert size > len(correct.PART)
        return answers.pop(0)

    monkeypatch.setattr(correct, "converse", converse)
    monkeypatch.setattr(TestBench, "target", lambda _self: None)
    yield answers
    assert answers == []


@pytest.mark.parametrize("limit", ["1MB", "2GB"])
def test_body_measures_the_limit_of_the_spec_or_a_smaller_one(
    make_bench: Callable[..., FakeBench], uploads: list[RawAnswer], limit: str
) -> None:
    bench = make_bench(balancer={"max_body": limit})
    size = min(bench.farm.balancer.max_body, correct.SMALLER_BODY)
    uploads += [answered(200, json.dumps({"bytes": int(size)}).encode()), answered(413)]
    found = measured(scenarios()["body"], bench)
    assert values(found) == {"refused": 0, "shortened": 0, "accepted_over": 0, "arrived_over": 0, "upload": 0.25}
    assert found["upload"].note == str(size)
    assert len(bench.changed) == (2 if limit == "2GB" else 0)


@pytest.mark.parametrize("body", [b"no JSON", b"{}", b"[]"])
def test_body_that_is_refused_or_accepted_wrongly_is_counted(
    make_bench: Callable[..., FakeBench], uploads: list[RawAnswer], body: bytes
) -> None:
    bench = make_bench(balancer={"max_body": "1MB"})
    bench.nodes_[1].control = SimpleNamespace(requests=lambda path: [path])
    uploads += [answered(413, body), RawAnswer(b"", True, 0.1)]
    found = measured(scenarios()["body"], bench)
    assert values(found) == {"refused": 1, "shortened": 1, "accepted_over": 1, "arrived_over": 1, "upload": 0.25}
    assert found["refused"].note.startswith("1MB: 413")
    assert found["accepted_over"].note == "no response"


def test_body_is_skipped_with_passthrough(make_spec: MakeSpec) -> None:
    assert scenarios()["body"].skip_reason(make_spec().farm, "haproxy") == ""
    assert (
        scenarios()["body"].skip_reason(make_spec(frontend={"tls": {"mode": "passthrough"}}).farm, "nginx") == NO_HTTP
    )


# Redirects and cookies


def browser_answers(path: str) -> Fetched:
    """What a correct farm with affinity by cookie answers."""
    found = page(Strict_Transport_Security=f"max-age={HSTS_SECONDS}")
    found.headers.append(("Set-Cookie", "NLBID=x; path=/; HttpOnly; SameSite=Lax; Secure"))
    if "?cookie=" in path:
        found.headers.append(("set-cookie", f"{path.rpartition('=')[2]}=1; path=/; HttpOnly"))
    if path.startswith("/redirect"):
        found.headers.append(("Location", "http://login.example:8080/oauth?back=/"))
    return found


def redirected(url: str, method: str = "GET", headers: Mapping[str, str] | None = None, **_: object) -> Fetched:
    if (headers or {}).get("Host") == "evil.example":
        return page(421)
    return page(301 if method == "GET" else 308, Location=url.replace("http://farm.example:80", "https://farm.example"))


def test_browsers_of_a_correct_farm_have_no_faults(
    make_bench: Callable[..., FakeBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correct, "fetch", redirected)
    bench = make_bench(balancer={"affinity": "cookie"})
    bench.pages = browser_answers
    found = measured(scenarios()["browsers"], bench)
    assert set(values(found).values()) == {0}
    assert (found["bad_redirects"].of, found["changed_methods"].of) == (4, 3)


def test_browsers_of_a_faulty_farm_are_counted(
    make_bench: Callable[..., FakeBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(url: str, **options: Any) -> Fetched:  # noqa: ANN401  # options of any type
        if url.endswith("$top=1"):
            raise ConnectionResetError
        return page(301, Location="https://evil.example/") if options.get("headers") else page(301)

    monkeypatch.setattr(correct, "fetch", fetch)
    bench = make_bench(balancer={"affinity": "signalr"})
    bench.pages = lambda path: page(Set_Cookie="NLBID=orch-1; path=/") if "prove1" in path else page()
    found = measured(scenarios()["browsers"], bench)
    assert values(found) == {
        "bad_redirects": 4,
        "changed_methods": 3,
        "wrong_hsts": 5,
        "weak_cookies": 3,
        "changed_cookies": 2,
        "changed_locations": 1,
    }
    assert "instead of https://farm.example/" in found["bad_redirects"].note
    assert found["changed_methods"].note == "the first one: POST: 301"


def test_browsers_of_a_farm_without_redirect_and_affinity(
    make_bench: Callable[..., FakeBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(correct, "fetch")
    bench = make_bench(frontend={"redirect_http": False, "tls": {"hsts": False}}, balancer={"affinity": "none"})
    bench.pages = lambda _path: page(Set_Cookie="NLBID=x")
    found = measured(scenarios()["browsers"], bench)
    assert (found["bad_redirects"].of, found["changed_methods"].of) == (0, 3)
    assert found["wrong_hsts"].note == "expected: none"
    assert found["weak_cookies"].value == 5
    assert found["weak_cookies"].note == "the first one: NLBID=x, but the farm has no affinity there"


# Windows sign-in


def test_windows_sign_in_is_skipped_without_it(make_spec: MakeSpec) -> None:
    assert (
        scenarios()["windows-sign-in"].skip_reason(make_spec().farm, "haproxy") == "frontend.windows_sign_in is false"
    )
    chosen = make_spec(frontend={"windows_sign_in": True}).farm
    assert scenarios()["windows-sign-in"].skip_reason(chosen, "haproxy") == ""


@pytest.mark.parametrize("fault", ["", "connect", "closed", "mixed"])
def test_windows_sign_in_counts_refused_and_mixed_users(
    make_bench: Callable[..., FakeBench], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    class Peer:
        """A node behind the balancer that knows the user of its connection."""

        def __init__(self) -> None:
            self.user = ""
            self.waiting = b""

        def write(self, data: bytes) -> None:
            if b"NTLM user" in data:
                self.user = data.split(b"NTLM ")[1].split(b"\r\n")[0].decode()
            user = "user-9" if fault == "mixed" else self.user
            self.waiting = b"" if fault == "closed" else answered(200, user.encode()).data

        async def read(self, _most: int) -> bytes:
            part, self.waiting = self.waiting[:20], self.waiting[20:]
            return part

    async def dial(_to: object) -> tuple[Peer, Peer]:
        if fault == "connect":
            raise ConnectionRefusedError
        peer = Peer()
        return peer, peer

    async def nothing(_writer: object) -> None:
        pass

    async def offers(_bench: object) -> bool:
        return False

    monkeypatch.setattr(correct, "dial", dial)
    monkeypatch.setattr(correct, "hang_up", nothing)
    monkeypatch.setattr(correct, "_offers_http2", offers)
    monkeypatch.setattr(TestBench, "target", lambda _self: SimpleNamespace(host="farm.example"))
    found = measured(scenarios()["windows-sign-in"], make_bench())
    every = correct.USERS * correct.SIGNED_IN_REQUESTS
    assert values(found) == {
        "refused": every if fault in {"connect", "closed"} else 0,
        "mixed": every if fault == "mixed" else 0,
        "offers_http2": 0,
    }


@pytest.mark.parametrize(("chosen", "offers"), [("h2", True), ("http/1.1", False), (None, False)])
def test_windows_sign_in_reports_an_offer_of_http2(
    make_bench: Callable[..., FakeBench], monkeypatch: pytest.MonkeyPatch, chosen: str | None, offers: bool
) -> None:
    async def connect(*_to: object, **_tls: object) -> tuple[None, SimpleNamespace]:
        tls = SimpleNamespace(selected_alpn_protocol=lambda: chosen)
        return None, SimpleNamespace(get_extra_info=lambda _name: tls)

    async def nothing(_writer: object) -> None:
        pass

    monkeypatch.setattr(asyncio, "open_connection", connect)
    monkeypatch.setattr(correct, "hang_up", nothing)
    monkeypatch.setattr(
        "ssl.create_default_context", lambda **_: SimpleNamespace(set_alpn_protocols=lambda _names: None)
    )
    assert asyncio.run(correct._offers_http2(make_bench())) is offers


def test_timeouts_that_a_configuration_does_not_set_get_their_documented_defaults() -> None:
    text = "http {\n    proxy_read_timeout 10m;\n}\n"
    scaled = time_scale.scale_timeouts("nginx", text, 10)
    assert "proxy_read_timeout 60000ms;" in scaled
    hosting = generator("nginx").hosting
    assert hosting is not None
    assert all(f"\n    {name} " in scaled for name in hosting.timeouts.defaults)
