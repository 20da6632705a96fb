"""The pair of balancers in network namespaces: what it needs, what its robots report, and its failures."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nlbgen.core.errors import NlbgenError
from nlbgen.operate.shell import Output
from nlbgen.prove.clients.fleet import Fleet, address_of
from nlbgen.prove.clients.fleet_robot import FleetPlan
from nlbgen.prove.lab import namespaces, pair
from nlbgen.prove.nodes import node
from nlbgen.prove.nodes.options import NodeOptions, parse_argv, to_argv
from nlbgen.prove.scenarios import paired
from nlbgen.prove.scenarios.paired_robots import Request, State, last_state
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.spec.load import Spec

MakeSpec = Callable[..., Spec]
VIP = {
    "address": "10.0.0.10/24",
    "interface": "eth0",
    "balancers": ["10.0.0.8", "10.0.0.9"],
    "secret": {"env": "NLBGEN_VRRP"},
}
REQUEST = Request(3, "10.0.0.10", 8443, "farm.example", "", "core", "/signalr/core", "198.18", 5.0)


def spec_of(make_spec: MakeSpec, **vip: object) -> Spec:
    frontend = {"host": "farm.example", "address": "10.0.0.10", "tls": {"mode": "none"}, "vip": {**VIP, **vip}}
    return make_spec(frontend=frontend, accept=["tls-none"])


def test_failover_of_robots_needs_a_shared_address_of_ipv4(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = scenarios()["robots-failover"]
    monkeypatch.setattr(pair, "unavailable", lambda *_: "")
    assert scenario.skip_reason(make_spec().farm, "haproxy") == "the spec has no frontend.vip"
    assert scenario.skip_reason(spec_of(make_spec).farm, "haproxy") == ""
    named = spec_of(make_spec, balancers=["lb-1.corp.example", "lb-2.corp.example"]).farm
    assert scenario.skip_reason(named, "haproxy").startswith("lb-1.corp.example is not an IPv4 address")
    with pytest.raises(ValueError, match="the spec has no frontend"):
        pair.Pair(make_spec(), "haproxy")


def test_machine_without_namespaces_is_a_reason_to_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    done = [Output(0, "", "")]
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    monkeypatch.setattr(namespaces, "execute", lambda *_: done[0])
    monkeypatch.setattr(namespaces, "program", lambda name: None if name == "keepalived" else f"/sbin/{name}")
    assert namespaces.unavailable() == ""
    assert namespaces.unavailable("keepalived") == "keepalived is not installed here"
    done[0] = Output(1, "", "unshare: Operation not permitted\n")
    assert namespaces.unavailable().endswith("cannot create network namespaces: unshare: Operation not permitted")
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    assert namespaces.unavailable() == "network namespaces need root"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert namespaces.unavailable() == "network namespaces need Linux"


def test_robots_of_the_pair_have_addresses_in_their_own_network() -> None:
    plan = REQUEST.plan
    assert (plan.target.address, plan.target.port, plan.target.host) == ("10.0.0.10", 8443, "farm.example:8443")
    assert address_of(plan, 251) == ("198.18.1.2", 0)
    usual = FleetPlan(target=plan.target, generation="core", path="/hub")
    assert address_of(usual, 0) == ("127.3.0.1", 0)


def test_state_of_the_robots_is_that_of_the_last_complete_line() -> None:
    robots = Fleet(REQUEST.plan, 3)
    for robot in robots.robots[:2]:
        robot.node, robot.connected, robot.ends, robot.absence = "orch-1", True, 1, 4.0
    state = State.of(robots, 1, 0)
    values = {one.name: one.value for one in state.metrics}
    assert (state.absent, state.held, values["hit"], values["back_within"]) == (1, {"orch-1": 2}, 2, 4.0)
    assert last_state("") == State()
    assert last_state('{"begun": true, "signals": 2}\n{"begun": fal').signals == 2


def test_node_of_the_pair_refuses_to_run_in_the_network_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "own_network", lambda: "net:[1]")
    options = NodeOptions(host="10.0.0.1", outside="net:[1]")
    assert parse_argv(to_argv(options)) == options
    with pytest.raises(ValueError, match="is the network of the machine"):
        asyncio.run(node.serve(options))
    with pytest.raises(ValueError, match="only a loopback address"):
        NodeOptions(host="10.0.0.1")


def test_robots_that_end_are_an_error_and_those_that_wait_are_not() -> None:
    child = SimpleNamespace(output=lambda _limit=0: '{"absent": 1}', running=True)
    robots = cast("Any", child)
    state = asyncio.run(paired._until(robots, lambda state: state.begun, 0.0))
    assert state.absent == 1
    child.running = False
    with pytest.raises(NlbgenError, match="the process of the robots ended"):
        asyncio.run(paired._until(robots, lambda state: state.begun, 60.0))


def test_command_that_fails_in_a_host_is_an_error_with_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = namespaces.Host("lan", tmp_path)
    monkeypatch.setattr(namespaces.Host, "pid", 7)
    monkeypatch.setattr(namespaces, "execute", lambda *_: Output(1, "", "no such device\n"))
    with pytest.raises(NlbgenError, match="lan: ip link: no such device"):
        host.run("ip", "link")


def test_address_that_no_balancer_takes_is_an_error(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    made = pair.Pair(spec_of(make_spec), "haproxy")
    monkeypatch.setattr(pair, "READY_SECONDS", 0.0)
    first = cast("pair.PairedBalancer", SimpleNamespace(name="a", holds_address=False, log=lambda: "fault"))
    second = cast("pair.PairedBalancer", SimpleNamespace(name="b", holds_address=False, log=lambda: "fault"))
    made.balancers = [first, second]
    assert not made.moved_from(first)
    with pytest.raises(NlbgenError, match=r"no balancer has 10\.0\.0\.10: a: fault"):
        _ = made.holder
    monkeypatch.setattr(second, "holds_address", True)
    assert made.moved_from(first)
    assert made.holder is second
