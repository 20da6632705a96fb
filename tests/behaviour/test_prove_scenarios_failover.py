"""Scenarios of failures and reloads: they pass on the example farm, and fail with naive configurations."""

import pytest

from nlbgen.prove.scenarios import failover
from nlbgen.prove.scenarios.registry import QUICK

from .conftest import VENDORS, Fault, StartBench, lines_without

pytestmark = pytest.mark.slow


def no_retries(text: str) -> str:
    """No request is retried on another node."""
    return lines_without(text, "retry-on", "disable-l7-retry", "redispatch").replace("retries 3", "retries 0")


def no_health_check(text: str) -> str:
    """Health checks only open a connection, as in the first example of HAProxy's manual."""
    return no_retries(lines_without(text, "option httpchk", "http-check", "observe layer7"))


def in_turn(text: str) -> str:
    """Round robin: a node that does not answer gets as many requests as the others."""
    return lines_without(text, "least_conn;").replace("balance leastconn", "balance roundrobin")


def slow_recovery(text: str) -> str:
    """A node is marked up only after many checks, and no last resort serves until then."""
    return lines_without(text, "if all_failed").replace("rise 2 ", "rise 23 ").replace("fastinter 100ms", "")


def idle_clients_stay(text: str) -> str:
    """After a reload the old worker serves its clients on, as with `close-spread-time infinite`."""
    text = lines_without(text, "idle-close-on-response")
    return text.replace("    hard-stop-after", "    close-spread-time infinite\n    hard-stop-after")


FAULTS: list[tuple[str, str, str, Fault]] = [
    ("haproxy", "steady", "share_off", lambda text: in_turn(text).replace("weight 100 check", "weight 10 check", 1)),
    ("nginx", "steady", "share_off", lambda text: in_turn(text).replace(" max_fails=2", " weight=9 max_fails=2", 1)),
    ("haproxy", "kill", "failed_gets", no_retries),
    (
        "nginx",
        "kill",
        "failed_gets",
        lambda text: text.replace("proxy_next_upstream error", "proxy_next_upstream off; #"),
    ),
    ("haproxy", "pool-stopped", "failed_gets", no_health_check),
    ("nginx", "pool-stopped", "failed_gets", lambda text: text.replace(" http_503", "")),
    ("haproxy", "hang", "failed", lambda text: in_turn(text).replace("timeout check 1900ms", "timeout check 30s")),
    ("nginx", "hang", "slow", lambda text: in_turn(text).replace(" max_fails=2", " max_fails=0")),
    (
        "nginx",
        "hang",
        "failed",
        lambda text: in_turn(text).replace("proxy_next_upstream error", "proxy_next_upstream off; #"),
    ),
    ("haproxy", "drain", "failed", lambda text: in_turn(no_health_check(text))),
    ("haproxy", "drain", "still_asked", lambda text: lines_without(text, "option httpchk", "http-check")),
    (
        "haproxy",
        "broken-url",
        "failed",
        lambda text: lines_without(text, "if all_failed").replace("on-error fastinter", "on-error mark-down"),
    ),
    (
        "nginx",
        "broken-url",
        "changed",
        lambda text: lines_without(text, " backup max_fails=0").replace(
            "http_502 http_503", "http_500 http_502 http_503"
        ),
    ),
    ("nginx", "unavailable-url", "failed", lambda text: lines_without(text, " backup max_fails=0")),
    (
        "haproxy",
        "unavailable-url",
        "failed",
        lambda text: lines_without(text, "if all_failed").replace("on-error fastinter", "on-error mark-down"),
    ),
    ("haproxy", "health-slow", "cut", lambda text: text.replace("timeout check 1900ms", "timeout check 1s")),
    ("haproxy", "health-slow", "refused", lambda text: lines_without(text, "if all_failed")),
    ("haproxy", "all-down", "back", slow_recovery),
    ("haproxy", "reload-outage", "failed_gets", lambda text: in_turn(lines_without(text, "server-state"))),
    ("haproxy", "reload-websockets", "cut", lambda text: text.replace("hard-stop-after 1h", "hard-stop-after 1s")),
    ("haproxy", "reload-states", "still_asked", idle_clients_stay),
    ("nginx", "reload-websockets", "cut", lambda text: text.replace("shutdown_timeout 1h", "shutdown_timeout 1s")),
]


@pytest.mark.parametrize(
    ("program", "name", "metric", "fault"), [pytest.param(*each, id="-".join(each[:3])) for each in FAULTS]
)
def test_a_failure_with_a_naive_configuration_fails(
    shared_bench: StartBench, program: str, name: str, metric: str, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "USUAL", failover.QUICK)
    seen = shared_bench(program).run(name, fault, until=metric)
    assert seen[metric].verdict == "failed", seen


def test_slow_start_without_a_ramp_fails(shared_bench: StartBench) -> None:
    own = shared_bench("haproxy", {"balancer": {"slow_start": "6s"}})
    seen = own.run("slow-start", lambda text: in_turn(lines_without(text, "slowstart")), until="early_share")
    assert seen["early_share"].verdict == "failed", seen


def test_reload_by_a_restart_fails(shared_bench: StartBench, vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    balancer = shared_bench(vendor).lab.balancer

    def restart() -> None:
        balancer.kill()
        balancer.start()

    monkeypatch.setattr(balancer, "reload", restart)
    seen = shared_bench(vendor).run("reload", until="failed_new")
    assert [seen[name].verdict for name in ("failed", "failed_new")] == ["failed", "failed"], seen


IN_THE_QUICK_RUN = {("haproxy", name) for name in QUICK}
OUTAGES = ("steady", "kill", "pool-stopped", "hang", "drain", "reload-outage")


@pytest.mark.parametrize(
    ("vendor", "name"),
    [
        pytest.param(
            vendor,
            name,
            marks=[
                pytest.mark.alone,
                # Each of them once in `make test`, the vendors in turn; the quick run of HAProxy has two of them.
                *([pytest.mark.long] if (place + turn) % 2 or (vendor, name) in IN_THE_QUICK_RUN else []),
            ],
        )
        for turn, vendor in enumerate(VENDORS)
        for place, name in enumerate(OUTAGES)
    ],
)
def test_a_failure_on_the_example_farm_passes(shared_bench: StartBench, vendor: str, name: str) -> None:
    assert shared_bench(vendor).failed(name) == []


@pytest.mark.alone
def test_slow_start_of_haproxy_passes(shared_bench: StartBench) -> None:
    assert shared_bench("haproxy").failed("slow-start") == []


@pytest.mark.alone
@pytest.mark.parametrize("vendor", ["haproxy", pytest.param("nginx", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", ["health-slow", "reload-states"])
def test_slow_health_and_states_over_a_reload_pass(shared_bench: StartBench, vendor: str, name: str) -> None:
    assert shared_bench(vendor).failed(name) == []
