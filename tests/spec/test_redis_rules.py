"""The rules about a Redis under Sentinel, and the address through which the nodes reach its master."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from nlbgen.core.errors import SpecError
from nlbgen.spec.load import loads
from nlbgen.spec.model import Farm

HOSTS = [{"name": f"redis-{number}", "address": f"10.0.1.{number}"} for number in (1, 2, 3)]
VIP = {"address": "10.20.0.10/24", "interface": "eth0", "balancers": ["lb-1", "lb-2"], "secret": {"env": "V"}}
REDIS = "stores.redis"
SENTINEL = f"{REDIS}.sentinel"
OPEN = ("redis-sentinel-open", f"{SENTINEL}.version")
SQL_LAG = ("signalr-sql-lag", "stores.signalr")

FarmData = Callable[..., dict[str, Any]]


def stores(sentinel: dict[str, Any] | None = None, **redis: object) -> dict[str, Any]:
    store = {"password": {"env": "R"}, "sentinel": {"nodes": HOSTS, **(sentinel or {})}, **redis}
    return {"signalr": "redis", "redis": {key: value for key, value in store.items() if value is not None}}


def data_of(farm_data: FarmData, changes: dict[str, Any]) -> dict[str, Any]:
    """The data of a farm; other stores replace those of the farm without problems."""
    data = farm_data(**{"accept": ["redis-front-single"], **changes})
    return {**data, "stores": changes["stores"]} if "stores" in changes else data


@pytest.fixture
def found(farm_data: FarmData) -> Callable[..., list[tuple[str, str]]]:
    """The ids of all errors and warnings of a farm, with the paths of their keys."""

    def ids(**changes: object) -> list[tuple[str, str]]:
        try:
            problems = loads(json.dumps(data_of(farm_data, changes))).warnings
        except SpecError as error:
            problems = tuple(error.problems)
        return [(problem.id, problem.path) for problem in problems]

    return ids


@pytest.mark.parametrize(
    ("store", "problems"),
    [
        (stores(), []),
        (stores(host="redis-1.corp.example"), [("redis-one-shape", f"{REDIS}.host")]),
        (stores(port=6379), [("redis-one-shape", f"{REDIS}.port")]),
        (
            stores(install_on="a"),
            [("redis-install-on", f"{REDIS}.install_on"), ("redis-one-shape", f"{REDIS}.install_on")],
        ),
        (stores({"nodes": HOSTS[:2]}), [("redis-hosts", f"{SENTINEL}.nodes")]),
        (
            stores({"nodes": [HOSTS[0], *({**host, "redis": False} for host in HOSTS[1:])]}),
            [("redis-hosts", f"{SENTINEL}.nodes")],
        ),
        (
            stores({"nodes": [*HOSTS[:2], {"name": "redis-3", "address": "redis-3.corp.example"}]}),
            [("redis-host-names", f"{SENTINEL}.nodes[2].address")],
        ),
        (
            stores({"nodes": [*HOSTS[:2], {**HOSTS[2], "name": "redis-1"}]}),
            [("redis-host-names", f"{SENTINEL}.nodes[2].name")],
        ),
        (
            stores({"nodes": [*HOSTS[:2], {**HOSTS[2], "address": "10.0.1.1"}]}),
            [("redis-host-names", f"{SENTINEL}.nodes[2].address")],
        ),
        (stores({"quorum": 4}), [("redis-quorum", f"{SENTINEL}.quorum")]),
        (stores({"quorum": 3}), []),
        (stores(password=None), [("redis-sentinel-password", f"{REDIS}.password")]),
        (stores({"version": "5.0"}), [("redis-version", f"{SENTINEL}.version")]),
        (stores({"version": "6.0"}), []),
        (stores({"version": "3.2.100"}), [("redis-version", f"{SENTINEL}.version")]),
        (stores({"version": "3.0.504"}), [OPEN]),
        (stores({"version": "3.0.504"}, tls=True), [OPEN, ("redis-windows", f"{REDIS}.tls")]),
        ({"signalr": "sqlserver", "redis": stores({"version": "3.0.504"}, tls=True)["redis"]}, [SQL_LAG]),
        (stores(front=False), [("redis-front-sentinel", f"{REDIS}.front")]),
        (stores(options={"serviceName": "x"}), [("redis-service-name", f"{REDIS}.options.serviceName")]),
        (stores(front=True), []),
        (
            {"signalr": "redis", "redis": {"host": "redis", "port": 6379, "front": True}},
            [("redis-front-sentinel", f"{REDIS}.front")],
        ),
        (stores(front_port=8404), [("redis-front-port", f"{REDIS}.front_port")]),
        (stores(front_port=443), [("redis-front-port", f"{REDIS}.front_port")]),
        (stores(front_port=80), [("redis-front-port", f"{REDIS}.front_port")]),
    ],
)
def test_rules_of_a_redis_under_sentinel(
    found: Callable[..., list[tuple[str, str]]], store: dict[str, Any], problems: list[tuple[str, str]]
) -> None:
    assert sorted(found(stores=store)) == sorted(problems)


def test_front_may_have_port_80_without_the_redirect(found: Callable[..., list[tuple[str, str]]]) -> None:
    assert found(stores=stores(front_port=80), frontend={"redirect_http": False}) == []


def test_front_on_one_balancer_is_a_warning(found: Callable[..., list[tuple[str, str]]]) -> None:
    assert found(stores=stores(), accept=[]) == [("redis-front-single", SENTINEL)]
    assert found(stores=stores(), accept=[], frontend={"vip": VIP, "address": "10.20.0.10"}) == []


@pytest.mark.parametrize(
    ("version", "store", "warned"),
    [
        ("2022.10", stores(), True),
        ("2019.4", stores(), False),
        ("2022.10", {"signalr": "redis", "redis": {"host": "redis", "port": 6379}}, True),
        ("2022.10", {"signalr": "redis", "redis": {"host": "haa", "port": 10000}}, False),
        ("2019.4", {"signalr": "redis", "redis": {"host": "redis", "port": 6379}}, False),
    ],
)
def test_core_farm_without_the_add_on_is_a_warning(
    found: Callable[..., list[tuple[str, str]]], version: str, store: dict[str, Any], warned: bool
) -> None:
    problems = found(stores=store, orchestrator={"version": version}, balancer={"affinity": "signalr"})
    assert (("redis-add-on", REDIS) in problems) is warned


CORE = {"orchestrator": {"version": "2022.10"}, "balancer": {"affinity": "signalr"}}
ACCEPT = {"accept": ["redis-add-on"]}


def plain(*endpoints: str, **redis: object) -> dict[str, Any]:
    return {"signalr": "redis", "redis": {"endpoints": list(endpoints), **redis}}


@pytest.mark.parametrize(
    ("store", "problems"),
    [
        (stores(front=False), [("redis-sentinel-string", f"{REDIS}.front")]),
        (
            stores(front=False, options={"servicename": "x"}),
            [("redis-service-name", f"{REDIS}.options.servicename"), ("redis-sentinel-string", f"{REDIS}.front")],
        ),
        (
            stores({"version": "3.0.504"}, front=False),
            [("redis-front-sentinel", f"{REDIS}.front"), OPEN, ("redis-sentinel-string", f"{REDIS}.front")],
        ),
        (
            stores({"version": "3.0.504"}, user="orchestrator"),
            [("redis-windows", f"{REDIS}.user"), OPEN, ("redis-front-single", SENTINEL)],
        ),
        (
            stores(front=False, user="orchestrator"),
            [("redis-front-sentinel", f"{REDIS}.front"), ("redis-sentinel-string", f"{REDIS}.front")],
        ),
        (
            {**stores(front=False), "signalr_keys": "server-port"},
            [("redis-front-sentinel", f"{REDIS}.front"), ("redis-sentinel-string", f"{REDIS}.front")],
        ),
        (
            stores({"nodes": [*HOSTS[:2], {"name": "redis-3", "address": "127.0.0.1"}]}, front=False),
            [("redis-loopback", f"{SENTINEL}.nodes[2].address"), ("redis-sentinel-string", f"{REDIS}.front")],
        ),
        (
            plain("s-1:26379", "s-2:26379", options={"serviceName": "mymaster"}),
            [("redis-sentinel-string", f"{REDIS}.options.serviceName")],
        ),
        (plain("redis-1"), []),
        (plain("redis-1", "redis-2"), [("redis-replicas", f"{REDIS}.endpoints")]),
        (plain("haa-1:10000"), []),
        (plain("haa-1:10000", "haa-2:10000"), [("redis-add-on-nodes", f"{REDIS}.endpoints")]),
        (plain("haa-1:10000", "haa-2:10000", "haa-3:10000"), []),
        (plain(*(f"haa-{number}:12000" for number in range(4))), [("redis-add-on-nodes", f"{REDIS}.endpoints")]),
    ],
)
def test_rules_of_several_servers_on_a_core_farm(
    found: Callable[..., list[tuple[str, str]]], store: dict[str, Any], problems: list[tuple[str, str]]
) -> None:
    assert sorted(set(found(stores=store, **CORE, **ACCEPT)) - {("redis-add-on", REDIS)}) == sorted(problems)


@pytest.mark.parametrize(
    ("store", "problems"),
    [
        (plain("redis-1", "redis-2"), [("redis-replicas", f"{REDIS}.endpoints")]),
        (
            plain("s-1:26379", "s-2:26379", options={"serviceName": "mymaster"}),
            [("redis-service-name", f"{REDIS}.options.serviceName")],
        ),
        ({**plain("redis-1", "redis-2"), "signalr": "sqlserver"}, [("signalr-sql-lag", "stores.signalr")]),
        ({**stores(front=False), "signalr": "sqlserver"}, [("signalr-sql-lag", "stores.signalr")]),
    ],
)
def test_rules_of_several_servers_on_a_classic_farm(
    found: Callable[..., list[tuple[str, str]]], store: dict[str, Any], problems: list[tuple[str, str]]
) -> None:
    seen = [one for one in found(stores=store) if one[0] != "redis-front-sentinel" or store["signalr"] == "redis"]
    assert sorted(seen) == sorted(problems)


def test_nodes_without_the_front_ask_the_sentinels(farm_data: FarmData) -> None:
    redis = farm(farm_data, stores=stores({"name": "signalr"}, front=False), **CORE).stores.redis
    assert redis is not None
    assert [str(server) for server in redis.named] == [f"10.0.1.{number}:26379" for number in (1, 2, 3)]
    assert redis.settings == {"serviceName": "signalr"}


def farm(farm_data: FarmData, **changes: object) -> Farm:
    return loads(json.dumps(data_of(farm_data, changes))).farm


def test_nodes_connect_to_the_front(farm_data: FarmData) -> None:
    def reached(**changes: object) -> tuple[str | None, int | None]:
        redis = farm(farm_data, **changes).stores.redis
        assert redis is not None
        return redis.host, redis.port

    host = farm_data()["frontend"]["host"]
    assert reached(stores=stores()) == (host, 6379)
    assert reached(stores=stores(front_port=6380)) == (host, 6380)
    assert reached(stores=stores(front_host="redis.corp.example")) == ("redis.corp.example", 6379)
    assert reached(stores=stores(), frontend={"vip": VIP, "address": "10.20.0.10"}) == ("10.20.0.10", 6379)
    assert reached(stores={"redis": {"host": "redis-1", "port": 1}}) == ("redis-1", 1)


@pytest.mark.parametrize(
    ("count", "quorum", "expected"), [(3, None, (2, 2)), (4, None, (3, 3)), (5, None, (3, 3)), (5, 2, (2, 3))]
)
def test_quorum_is_more_than_half_by_default(
    farm_data: FarmData, count: int, quorum: int | None, expected: tuple[int, int]
) -> None:
    hosts = [{"name": f"redis-{number}", "address": f"10.0.1.{number}"} for number in range(1, count + 1)]
    sentinel = {"nodes": hosts, **({"quorum": quorum} if quorum else {})}
    redis = farm(farm_data, stores=stores(sentinel)).stores.redis
    assert redis is not None
    assert redis.sentinel is not None
    assert (redis.sentinel.quorum, redis.sentinel.majority) == expected


def test_front_needs_open_files(found: Callable[..., list[tuple[str, str]]]) -> None:
    limits = {"limits": {"connections": 8000, "open_files": 17_100}}
    assert found(balancer=limits) == []
    assert found(balancer=limits, stores=stores()) == [("open-files", "balancer.limits.open_files")]


@pytest.mark.parametrize(
    ("redis", "vip", "warned"),
    [
        ({"host": "redis-1.corp.example", "port": 6379}, True, True),
        ({"host": "redis-1.corp.example", "port": 6379}, False, False),
        ({"host": "redis-1.corp.example", "port": 10000}, True, False),
        ({"endpoints": ["redis-1.corp.example:6379"]}, True, True),
        ({"endpoints": ["redis-1.corp.example:6379", "redis-2.corp.example:6379"]}, True, False),
        ({"host": "10.20.0.11", "port": 6379, "password": {"env": "R"}}, True, False),
        ({"install_on": "orch-1", "password": {"env": "R"}}, True, False),
    ],
)
def test_one_redis_behind_two_balancers_is_a_warning(
    found: Callable[..., list[tuple[str, str]]], redis: dict[str, Any], vip: bool, warned: bool
) -> None:
    frontend = {"frontend": {"vip": VIP}} if vip else {}
    problems = found(stores={"signalr": "redis", "redis": redis}, **frontend)
    assert (("redis-single", f"{REDIS}.host") in problems) is warned, problems
    under_sentinel = found(stores=stores(), **frontend)
    assert "redis-single" not in {problem for problem, _path in under_sentinel}
