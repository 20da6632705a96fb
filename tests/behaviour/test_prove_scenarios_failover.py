"""Scenarios of failures and reloads: the example farm holds every bar, naive configurations miss them."""

import pytest

pytestmark = pytest.mark.slow


def without(text, *words):
    """The configuration without the lines in which one of the words stands."""
    return "".join(line for line in text.splitlines(keepends=True) if not any(word in line for word in words))


def no_retries(text):
    """A request belongs to the first node that it was given to."""
    return without(text, "retry-on", "disable-l7-retry", "redispatch").replace("retries 3", "retries 0")


def no_health_check(text):
    """The port answers, so the node is well: what HAProxy's manual shows first."""
    return no_retries(without(text, "option httpchk", "http-check", "observe layer7"))


def in_turn(text):
    """Round robin: what does not answer gets as much as what does."""
    return without(text, "least_conn;").replace("balance leastconn", "balance roundrobin")


FAULTS = [
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
    ("haproxy", "hang", "failed", lambda text: in_turn(text).replace("timeout check 1s", "timeout check 30s")),
    ("nginx", "hang", "failed", in_turn),
    ("haproxy", "drain", "failed", lambda text: in_turn(no_health_check(text))),
    ("haproxy", "drain", "still_asked", lambda text: without(text, "option httpchk", "http-check")),
    ("haproxy", "broken-url", "failed", lambda text: text.replace("on-error fastinter", "on-error mark-down")),
    ("nginx", "broken-url", "changed", lambda text: text.replace("http_502 http_503", "http_500 http_502 http_503")),
    ("haproxy", "all-down", "back", lambda text: text.replace("rise 2 ", "rise 23 ").replace("fastinter 100ms", "")),
    ("haproxy", "reload-outage", "failed_gets", lambda text: in_turn(without(text, "server-state"))),
    ("haproxy", "reload-websockets", "cut", lambda text: text.replace("hard-stop-after 12h", "hard-stop-after 1s")),
    ("nginx", "reload-websockets", "cut", lambda text: text.replace("shutdown_timeout 12h", "shutdown_timeout 1s")),
]


@pytest.mark.parametrize(
    ("program", "name", "figure", "fault"), [pytest.param(*each, id="-".join(each[:3])) for each in FAULTS]
)
def test_a_fault_misses_its_bar(theatre, program, name, figure, fault):
    seen = theatre(program).play(name, fault, until=figure)
    assert seen[figure].verdict == "missed", seen


def test_a_node_that_gets_its_full_share_at_once_misses_the_bar(theatre):
    own = theatre("haproxy", {"balancer": {"slow_start": "6s"}})
    seen = own.play("slow-start", lambda text: without(text, "slowstart"), until="early_share")
    assert seen["early_share"].verdict == "missed", seen


def test_a_restart_instead_of_a_reload_misses_its_bar(theatre, vendor, monkeypatch):
    balancer = theatre(vendor).stage.lab.balancer

    def restart():
        balancer.kill()
        balancer.start()

    monkeypatch.setattr(balancer, "reload", restart)
    seen = theatre(vendor).play("reload", until="failed_new")
    assert [seen[name].verdict for name in ("failed", "failed_new")] == ["missed", "missed"], seen


# The other failures are held to bars that are as strict in test_failover.py, which reads the same log of requests.
@pytest.mark.alone
@pytest.mark.parametrize("name", ["steady", "kill", "reload-outage"])
def test_the_example_farm_holds_the_bars(theatre, vendor, name):
    missed = [each for each in theatre(vendor).play(name).values() if each.verdict == "missed"]
    assert missed == []


@pytest.mark.alone
def test_a_slow_start_of_haproxy_holds_the_bars(theatre):
    missed = [each for each in theatre("haproxy").play("slow-start").values() if each.verdict == "missed"]
    assert missed == []
