"""The rules of the spec, one by one, and what differs between Orchestrator versions."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.core.errors import SpecError
from nlbgen.generators.base import known_ids
from nlbgen.spec.checks import RULES
from nlbgen.spec.load import loads
from nlbgen.spec.orchestrator import (
    HEALTH_PATHS,
    IDENTITY_HEALTH_PATH,
    health_path,
    health_paths,
    is_core,
    normalized,
    takes_details_key,
)
from nlbgen.spec.rules import redis as redis_rules
from nlbgen.spec.units import Version

if TYPE_CHECKING:
    from typing import Any

GOLDEN_ERRORS = Path(__file__).parents[1] / "golden_errors"
NODES = [{"name": "a", "address": "10.0.0.1"}, {"name": "b", "address": "10.0.0.2"}]
REDIS = {"host": "redis.corp.example", "port": 6379}
ADD_ON = {"redis": {"host": "redis.corp.example", "port": 10000}}
CORE = {"orchestrator": {"version": "2023.10"}, "balancer": {"affinity": "signalr"}}


REPLICAS = ("redis-replicas", "stores.redis.endpoints")


def redis(*endpoints: str, **more: object) -> dict[str, object]:
    """A classic farm with these endpoints of Redis."""
    return {"stores": {"redis": {"host": None, "port": None, "endpoints": list(endpoints), **more}}}


def options(**given: object) -> dict[str, object]:
    return {"stores": {"redis": {"options": given}}}


def sql_options(**given: object) -> dict[str, object]:
    return {
        "stores": {
            "database": {"server": "S", "options": {key.replace("_", " "): value for key, value in given.items()}}
        }
    }


ACCEPTABLE_ERRORS = {"core-affinity", "database-local", "node-is-farm", "redis-loopback"}
Found = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def found(farm_data: "Callable[..., dict[str, Any]]") -> "Found":
    """The ids of all errors and warnings of a farm, with the paths of their keys."""

    def ids(**changes: object) -> list[tuple[str, str]]:
        try:
            problems = loads(json.dumps(farm_data(**changes))).warnings
        except SpecError as error:
            problems = error.problems
        severities = {rule.id: rule.severity for rule in RULES}
        assert all(problem.severity == severities[problem.id] for problem in problems), problems
        assert all(problem.hint for problem in problems)
        return [(problem.id, problem.path) for problem in problems]

    return ids


TWO_BALANCERS: dict[str, object] = {"stores": {"redis": {"port": 10000}}}
"""One Redis behind two balancers is a warning."""
VIP = {"address": "10.20.0.10/24", "interface": "eth0", "balancers": ["lb-1", "lb-2"], "secret": {"env": "V"}}
NO_PASSWORD = ("redis-password", "stores.redis.password")
BROKEN = [
    ({**TWO_BALANCERS, "frontend": {"vip": VIP, "address": "10.20.0.9"}}, [("vip-address", "frontend.address")]),
    ({**TWO_BALANCERS, "frontend": {"vip": VIP, "address": "::"}}, [("vip-address", "frontend.address")]),
    (
        {**TWO_BALANCERS, "frontend": {"vip": VIP}, "nodes": [{**NODES[0], "address": "10.20.0.10"}, NODES[1]]},
        [("vip-address", "nodes[0].address")],
    ),
    (
        {**TWO_BALANCERS, "frontend": {"vip": {**VIP, "address": "10.1.0.0/24"}}},
        [("vip-address", "frontend.vip.address")],
    ),
    (
        {**TWO_BALANCERS, "frontend": {"vip": {**VIP, "address": "10.1.0.255/24"}}},
        [("vip-address", "frontend.vip.address")],
    ),
    (
        {**TWO_BALANCERS, "frontend": {"vip": {**VIP, "balancers": ["a", "a"]}}},
        [("vip-balancers", "frontend.vip.balancers[1]")],
    ),
    (
        {**TWO_BALANCERS, "frontend": {"vip": {**VIP, "balancers": ["10.20.0.10", "a"]}}},
        [("vip-balancers", "frontend.vip.balancers[0]")],
    ),
    (
        {**TWO_BALANCERS, "frontend": {"vip": {**VIP, "balancers": ["a", "10.20.0.11"]}}},
        [("vip-balancers", "frontend.vip.balancers[1]")],
    ),
    ({"frontend": {"port": 8404}}, [("metrics-port", "balancer.metrics_port")]),
    ({"frontend": {"port": 8404, "address": "127.0.0.1"}}, [("metrics-port", "balancer.metrics_port")]),
    ({"balancer": {"metrics_port": 80}}, [("metrics-port", "balancer.metrics_port")]),
    ({"stores": {"session": "inproc"}}, [("session-inproc", "stores.session")]),
    ({"stores": {"signalr": "inproc"}}, [("signalr-inproc", "stores.signalr")]),
    (
        {"stores": {"database": {"server": "S", "auth": {}}}},
        [("sql-login", "stores.database.auth.password"), ("sql-login", "stores.database.auth.user")],
    ),
    (
        {"stores": {"database": {"server": "S", "auth": {"password": {"env": "X"}}}}},
        [("sql-login", "stores.database.auth.user")],
    ),
    ({"stores": {"redis": None}}, [("redis-endpoint", "stores.redis.host"), ("redis-endpoint", "stores.redis.port")]),
    ({"stores": {"redis": {"host": None}}}, [("redis-endpoint", "stores.redis.host")]),
    ({"stores": {"redis": {"install_on": "orch-2"}}}, [NO_PASSWORD, ("redis-on-node", "stores.redis.install_on")]),
    ({"stores": {"redis": {"host": "10.20.0.11"}}}, [NO_PASSWORD, ("redis-on-node", "stores.redis.host")]),
    ({"stores": {"redis": {"host": "ORCH-1"}}}, [NO_PASSWORD, ("redis-on-node", "stores.redis.host")]),
    ({"stores": {"redis": {"install_on": "other"}}}, [("redis-install-on", "stores.redis.install_on")]),
    ({"stores": {"signalr": "sqlserver"}}, [("signalr-sql-lag", "stores.signalr")]),
    (
        {
            "orchestrator": {"version": "2020.10"},
            "balancer": {"affinity": "signalr"},
            "stores": {"signalr": "sqlserver"},
        },
        [("signalr-sql-store", "stores.signalr")],
    ),
    (
        {"stores": {"signalr": "sqlserver", "signalr_keys": "connection-string"}},
        [("signalr-sql-store", "stores.signalr")],
    ),
    (
        {"orchestrator": {"version": "2020.10"}, "nodes": NODES[:1], "stores": {"signalr": "sqlserver"}},
        [("one-node", "nodes"), ("signalr-sql-store", "stores.signalr")],
    ),
    ({"nodes": NODES[:1]}, [("one-node", "nodes")]),
    ({"frontend": {"tls": {"mode": "terminate"}}}, [("tls-terminate-redirect", "frontend.tls.mode")]),
    (
        {"frontend": {"http2": True, "windows_sign_in": True}},
        [("windows-sign-in-http2", "frontend.http2")],
    ),
    ({"balancer": {"signalr": {"idle_timeout": "110s"}}}, [("short-idle", "balancer.signalr.idle_timeout")]),
    (
        {"orchestrator": {"version": "2020.10"}, "stores": ADD_ON, "balancer": {"affinity": "none"}},
        [("core-affinity", "balancer.affinity")],
    ),
    ({"orchestrator": {"version": "20.10"}, "stores": ADD_ON}, [("affinity-auto", "balancer.affinity")]),
    (
        {"orchestrator": {"version": "21.4"}, "stores": ADD_ON, "frontend": {"tls": {"mode": "passthrough"}}},
        [("affinity-auto", "balancer.affinity")],
    ),
    ({"orchestrator": {"version": None}}, [("version-unknown", "orchestrator.version")]),
    ({"balancer": {"minimum": 3}}, [("minimum-nodes", "balancer.minimum")]),
    ({"orchestrator": {"version": "2017.9"}}, [("health-path", "balancer.health.path")]),
    ({"balancer": {"health": {"path": "/a", "paths": ["/a", "/b"]}}}, [("health-paths", "balancer.health.paths")]),
    ({"balancer": {"health": {"paths": ["/a", "/A"]}}}, [("health-paths", "balancer.health.paths[1]")]),
    (
        {"balancer": {"health": {"details_key": {"env": "KEY"}}}},
        [("details-key-unused", "balancer.health.details_key")],
    ),
    (
        {"balancer": {"health": {"paths": ["/a"], "details_key": {"env": "KEY"}}}},
        [("details-key-unused", "balancer.health.details_key")],
    ),
    ({"nodes": [NODES[0], {**NODES[1], "name": "A"}]}, [("node-names", "nodes[1].name")]),
    (
        {"nodes": [{**NODES[0], "config": "in/web.config"}, {**NODES[1], "config": r".\in\web.config"}]},
        [("node-configs", "nodes[1].config")],
    ),
    (
        {
            "nodes": [
                {"name": "c", "address": "10.0.0.3"},
                {**NODES[0], "config": "web.config"},
                {**NODES[1], "config": "web.config"},
            ]
        },
        [("node-configs", "nodes[2].config")],
    ),
    ({"nodes": [NODES[0], {**NODES[1], "address": "10.0.0.1"}]}, [("node-endpoints", "nodes[1].address")]),
    ({"nodes": [NODES[0], {**NODES[1], "address": "10.0.0.1", "port": 443}]}, [("node-endpoints", "nodes[1].address")]),
    ({"nodes": [{**node, "primary": True} for node in NODES]}, [("one-primary", "nodes[1].primary")]),
    ({"nodes": [{**node, "state": "down"} for node in NODES]}, [("no-node-up", "nodes")]),
    ({"nodes": [{**node, "state": "drain"} for node in NODES]}, [("no-node-up", "nodes")]),
    ({"frontend": {"address": "10.20.0.12"}}, [("node-is-balancer", "nodes[1].address")]),
    ({"nodes": [NODES[0], {**NODES[1], "address": "::1"}]}, [("node-is-balancer", "nodes[1].address")]),
    ({"nodes": [NODES[0], {**NODES[1], "address": "Localhost"}]}, [("node-is-balancer", "nodes[1].address")]),
    *(
        (
            {"frontend": {"tls": {"mode": "passthrough"}}, "balancer": {"affinity": affinity}},
            [("passthrough-affinity", "balancer.affinity")],
        )
        for affinity in ("cookie", "signalr")
    ),
    *(
        (
            {"frontend": {"tls": {"mode": "passthrough"}, **frontend}, "balancer": balancer},
            [("passthrough-http", path)],
        )
        for frontend, balancer, path in [
            ({"aliases": ["a.b"]}, {}, "frontend.aliases"),
            ({}, {"max_body": "1MB"}, "balancer.max_body"),
            ({}, {"signalr": {"paths": ["/a"]}}, "balancer.signalr.paths"),
            ({}, {"limits": {"requests_per_node": 100}}, "balancer.limits.requests_per_node"),
        ]
    ),
    (
        {"frontend": {"tls": {"mode": "none"}, "redirect_http": True}},
        [("tls-none", "frontend.tls.mode"), ("redirect-port", "frontend.redirect_http")],
    ),
    ({"frontend": {"port": 80}}, [("redirect-port", "frontend.port")]),
    ({"frontend": {"tls": {"verify_nodes": False}}}, [("unverified-nodes", "frontend.tls.verify_nodes")]),
    ({"balancer": {"limits": {"connections": 9489}}}, [("open-files", "balancer.limits.open_files")]),
    ({"orchestrator": {"robots": 6401}}, [("robots-connections", "orchestrator.robots")]),
    (
        {"orchestrator": {"robots": 22_586}, "balancer": {"limits": {"connections": 30_000, "open_files": 70_000}}},
        [("robots-ports", "orchestrator.robots")],
    ),
    (
        {"orchestrator": {"robots": 26_215}, "balancer": {"limits": {"connections": 33_000, "open_files": 70_000}}},
        [("robots-ports", "orchestrator.robots"), ("robots-tracked", "orchestrator.robots")],
    ),
    ({"frontend": {"tls": {"mode": "none"}}}, [("tls-none", "frontend.tls.mode")]),
    *(
        ({**CORE, "orchestrator": {"version": version}, "stores": ADD_ON}, [("version-exists", "orchestrator.version")])
        for version in ("20194", "2020", "2020.13", "99999.1")
    ),
    ({"orchestrator": {"version": "2019.13"}}, [("version-exists", "orchestrator.version")]),
    ({**CORE, "orchestrator": {"version": "2027.4"}, "stores": ADD_ON}, [("version-newer", "orchestrator.version")]),
    (
        {
            "frontend": {"aliases": ["old.corp.example"]},
            "nodes": [NODES[0], {**NODES[1], "address": "old.corp.example"}],
        },
        [("node-is-farm", "nodes[1].address")],
    ),
    *(
        ({"stores": {"redis": {"host": host}}}, [("redis-loopback", "stores.redis.host")])
        for host in ("localhost", "127.0.0.1", "::1")
    ),
    (redis("redis.corp.example:10001", "127.0.0.2:6379"), [REPLICAS, ("redis-loopback", "stores.redis.endpoints[1]")]),
    (redis("10.20.0.11", password={"env": "P"}), [("redis-on-node", "stores.redis.endpoints")]),
    (
        redis("10.20.0.11", "10.20.0.12"),
        [("redis-password", "stores.redis.password"), ("redis-password", "stores.redis.password"), REPLICAS],
    ),
    (
        {"stores": {"redis": {"endpoints": ["a:1"]}}},
        [("redis-endpoint", "stores.redis.host"), ("redis-endpoint", "stores.redis.port")],
    ),
    (CORE, [("redis-add-on", "stores.redis")]),
    ({**CORE, **redis("haa-1:10000", "redis-2")}, [("redis-add-on", "stores.redis"), REPLICAS]),
    ({"stores": {"redis": {"user": "app"}}}, [("redis-options", "stores.redis.user")]),
    *(
        (
            {**CORE, "stores": {"redis": {"port": 10000, "options": {"AbortConnect": value}}}},
            [("redis-abort-connect", "stores.redis.options.AbortConnect")],
        )
        for value in (False, "no", "0")
    ),
    *(
        (options(**{key: value}), [("redis-options", f"stores.redis.options.{key}")])
        for key, value in [
            ("user", "app"),
            ("sslProtocols", "tls12"),
            ("syncTimeout", "ten"),
            ("poolsize", 5),
            ("password", "x"),
            ("SSL", True),
            ("name", "a,b"),
        ]
    ),
    (
        {**CORE, "stores": {"redis": {"port": 10000, "options": {"sentinelUser": "x"}}}},
        [("redis-options", "stores.redis.options.sentinelUser")],
    ),
    (
        {"orchestrator": {"version": None}, **options(zz=1)},
        [("version-unknown", "orchestrator.version"), ("redis-options", "stores.redis.options.zz")],
    ),
    *(
        ({"stores": {"database": {"server": server}}}, [("database-local", "stores.database.server")])
        for server in (
            ".",
            r".\SQLEXPRESS",
            "(local)",
            "localhost",
            "127.0.0.1,1433",
            r"(localdb)\x",
            "lpc:x",
            r"np:\\.\pipe",
        )
    ),
    *(
        (sql_options(**{key: value}), [("database-options", f"stores.database.options.{key.replace('_', ' ')}")])
        for key, value in [
            ("Port", 1433),
            ("UserId", "x"),
            ("Encrypt", "disable"),
            ("Trust_Server_Certificate", True),
            ("Server", "x"),
            ("pwd", "x"),
        ]
    ),
    (
        {"orchestrator": {"version": None}, **sql_options(zz=1)},
        [("version-unknown", "orchestrator.version"), ("database-options", "stores.database.options.zz")],
    ),
]
KEPT = [
    {},
    {"nodes": NODES[:1], "stores": {"session": "inproc", "signalr": "inproc"}, "accept": ["one-node"]},
    {
        "orchestrator": {"version": "2020.10"},
        "stores": {"session": "inproc", **ADD_ON},
        "balancer": {"affinity": "signalr"},
    },
    {"orchestrator": {"version": "2020.10"}, "nodes": NODES[:1], "stores": ADD_ON, "accept": ["one-node"]},
    {"nodes": NODES[:1], "stores": {"redis": {"host": "localhost"}}, "accept": ["one-node"]},
    {"nodes": NODES[:1], "stores": {"database": {"server": "."}}, "accept": ["one-node"]},
    {"stores": {"signalr": "sqlserver", "redis": {"host": "localhost"}}, "accept": ["signalr-sql-lag"]},
    redis("haa-1:10000", "haa-2:10000", "haa-3:10000", options={"connectTimeout": 15000, "abortConnect": False}),
    {**redis("10.20.0.11", "10.20.0.12", password={"env": "P"}), "accept": ["redis-replicas"]},
    {**CORE, **redis("haa-1:10000", "haa-2:10000", "haa-3:10000")},
    {
        **CORE,
        **redis("redis-1:6379", user="app", options={"serviceName": "m", "abortConnect": True}, tls=True),
        "accept": ["redis-add-on", "redis-sentinel-string"],
    },
    sql_options(MultiSubnetFailover=True, Failover_Partner="SQL02"),
    {**CORE, "stores": {**ADD_ON, "database": {"server": "S", "options": {"Command Timeout": 5}}}},
    {"orchestrator": {"version": None}, "stores": {"redis": {"user": "x"}}, "accept": ["version-unknown"]},
    {"orchestrator": {"version": None}, **options(keepAlive=60), "accept": ["version-unknown"]},
    {
        **CORE,
        "orchestrator": {"version": "2026.10"},
        "stores": {"redis": {"port": 10000, "options": {"sentinelUser": "x"}}},
    },
    {"orchestrator": {"version": "2020.4"}},
    {"orchestrator": {"version": "2017.9"}, "balancer": {"health": {"path": "/alive"}}},
    {"stores": {"database": {"server": "S", "auth": "windows"}}},
    {"stores": {"database": {"server": "S", "auth": {"user": "u", "password": {"env": "X"}}}}},
    {"stores": {"signalr": "sqlserver", "redis": None}, "accept": ["signalr-sql-lag"]},
    {"balancer": {"signalr": {"idle_timeout": "110001ms"}}},
    {"balancer": {"limits": {"connections": 9488}}},
    {"orchestrator": {"robots": 6400}},
    {"orchestrator": {"robots": 22_585}, "balancer": {"limits": {"connections": 30_000, "open_files": 70_000}}},
    {
        "orchestrator": {"robots": 26_214},
        "balancer": {"limits": {"connections": 33_000, "open_files": 70_000}},
        "accept": ["robots-ports"],
    },
    {"nodes": [NODES[0], {**NODES[1], "address": "10.0.0.1", "port": 8443}]},
    {"nodes": [NODES[0], {**NODES[1], "state": "down"}]},
    {"nodes": [{**NODES[0], "state": "backup"}, {**NODES[1], "state": "down"}]},
    {"frontend": {"address": "10.20.0.12", "port": 444}},
    {"frontend": {"address": "127.0.0.1"}, "nodes": [{**NODES[0], "address": "127.0.0.1", "port": 444}, NODES[1]]},
    {"frontend": {"tls": {"mode": "passthrough"}}, "balancer": {"affinity": "source"}},
    {"frontend": {"port": 80, "redirect_http": False}},
    {"frontend": {"tls": {"mode": "none"}}, "accept": ["tls-none"]},
    {**TWO_BALANCERS, "frontend": {"vip": VIP}},
    {**TWO_BALANCERS, "frontend": {"vip": {**VIP, "address": "10.1.0.0/31"}}},
    {**TWO_BALANCERS, "frontend": {"vip": VIP, "address": "10.20.0.10"}},
    {**TWO_BALANCERS, "frontend": {"vip": VIP, "address": "0.0.0.0"}},
    {**TWO_BALANCERS, "frontend": {"vip": {**VIP, "address": "fd00::10/64"}, "address": "::"}},
    {"frontend": {"port": 8404, "address": "10.20.0.10"}},
    {"frontend": {"redirect_http": False}, "balancer": {"metrics_port": 80}},
    {"frontend": {"tls": {"mode": "terminate"}}, "accept": ["tls-terminate-redirect"]},
]


@pytest.mark.parametrize("changes, expected", BROKEN)
def test_broken_rule_is_reported(changes: dict[str, object], expected: list[tuple[str, str]], found: Found) -> None:
    assert found(**changes) == expected


@pytest.mark.parametrize("changes", KEPT)
def test_farm_that_keeps_the_rules_has_no_problem(changes: dict[str, object], found: Found) -> None:
    assert found(**changes) == []


def test_missing_ca_is_a_warning(farm_data: "Callable[..., dict[str, Any]]") -> None:
    data = farm_data()
    del data["frontend"]["tls"]
    (warning,) = loads(json.dumps(data)).warnings
    assert (warning.id, warning.path) == ("node-ca", "frontend.tls.verify_nodes")
    data["zen"] = {"product": "relianoid", "version": "7"}
    assert loads(json.dumps(data)).warnings == ()  # no engine of the family verifies certificates
    data["haproxy"] = {"version": "3.0"}
    assert [warning.id for warning in loads(json.dumps(data)).warnings] == ["node-ca"]


@pytest.mark.parametrize(
    ("robots", "limits", "hint"),
    [
        (10_000, {}, "write `connections: 12500` and `open_files: 26024` under balancer.limits"),
        (6_401, {}, "write `connections: 8002` under balancer.limits"),
    ],
)
def test_hint_about_robots_has_the_numbers_that_suffice(
    robots: int, limits: dict[str, int], hint: str, farm_data: "Callable[..., dict[str, Any]]"
) -> None:
    orchestrator = {**farm_data()["orchestrator"], "robots": robots}
    with pytest.raises(SpecError) as failed:
        loads(json.dumps(farm_data(orchestrator=orchestrator, balancer={"limits": limits})))
    (problem,) = failed.value.problems
    assert problem.hint == hint
    suffices = {name: int(number) for name, number in re.findall(r"`(\w+): (\d+)`", hint)}
    loads(json.dumps(farm_data(orchestrator=orchestrator, balancer={"limits": suffices})))


@pytest.mark.parametrize(
    ("robots", "share"), [(51_609, "1024 65535"), (51_610, "use 2 balancers"), (120_000, "use 3 b")]
)
def test_hint_about_ports_counts_the_addresses(
    robots: int, share: str, farm_data: "Callable[..., dict[str, Any]]"
) -> None:
    orchestrator = {**farm_data()["orchestrator"], "robots": robots}
    limits = {"connections": 200_000, "open_files": 500_000}
    found = loads(json.dumps(farm_data(orchestrator=orchestrator, balancer={"limits": limits}))).warnings
    assert share in next(one.hint for one in found if one.id == "robots-ports")


def test_every_rule_has_a_case_and_a_golden_error() -> None:
    """A new rule needs a line in BROKEN (or in test_redis_rules.py) and a folder in golden_errors."""
    tried = {problem_id for _, expected in BROKEN for problem_id, _ in expected} | {"node-ca"}
    tried |= {rule.id for rule in redis_rules.RULES}
    assert tried == {rule.id for rule in RULES}
    shown = "".join(path.read_text(encoding="utf-8") for path in GOLDEN_ERRORS.glob("rule-*/expected.txt"))
    assert [rule.id for rule in RULES if f"[{rule.id}]" not in shown] == []


def test_ids_are_unique_and_warnings_can_be_accepted() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    acceptable = {rule.id for rule in RULES if rule.severity == "warning"} | ACCEPTABLE_ERRORS
    assert {rule.id for rule in RULES} & known_ids() == acceptable


@pytest.mark.parametrize("changes, expected", BROKEN)
@pytest.mark.no_cover  # other tests reach the same lines
def test_warnings_can_be_accepted_and_errors_cannot(
    changes: dict[str, object], expected: list[tuple[str, str]], found: Found
) -> None:
    ids = sorted({problem_id for problem_id, _ in expected})
    kept = {rule.id for rule in RULES if rule.severity == "error"} - ACCEPTABLE_ERRORS
    left = [(problem_id, path) for problem_id, path in expected if problem_id in kept]
    assert found(**changes, accept=ids) == left


@pytest.mark.parametrize(
    "version, path",
    [
        ("2017.1", None),
        ("2018.1", "/api/Status"),
        ("18.2.4", "/api/Status"),
        ("2018.3", "/api/Status/Get"),
        ("2018.4", "/api/Status/Get"),
        ("19.10.19", "/api/Status/Get"),
        ("2019.4", "/api/Status/Get"),
        ("2020.4", "/api/Status/Get"),
        ("2020.10", "/api/status"),
        ("2021.4", "/api/status"),
        ("2021.10", "/api/health"),
        ("2023.4", "/api/health"),
        ("25.10", "/api/health"),
    ],
)
def test_health_paths(version: str, path: str | None) -> None:
    assert health_path(Version(version)) == path


@pytest.mark.parametrize(
    "version, paths",
    [
        ("2017.9", ()),
        ("2019.4", ("/api/Status/Get",)),
        ("2020.4", ("/api/Status/Get",)),
        ("2020.10", ("/api/status", IDENTITY_HEALTH_PATH)),
        ("2025.10", ("/api/health", IDENTITY_HEALTH_PATH)),
    ],
)
def test_health_paths_of_a_version_include_identity_from_2020_10_on(version: str, paths: tuple[str, ...]) -> None:
    assert health_paths(Version(version)) == paths


@pytest.mark.parametrize("path", ["/api/health", "/API/Health/", "/api/health?a=1", "/api/health/startup"])
def test_details_key_is_for_the_health_endpoint(path: str) -> None:
    assert takes_details_key(path)
    assert not takes_details_key("/api/healthy") and not takes_details_key("/api/status")


@pytest.mark.parametrize(
    "path",
    [
        "/api/health?detailsKey=hunter2hunter2",
        "/api/health?x=1&DETAILSKEY=hunter2hunter2",
        "/api/health?details%4bey=hunter2hunter2",
        "/api/health?details%4Bey%3Dhunter2hunter2",
        "/a path that is invalid?detailsKey=hunter2hunter2",
    ],
)
@pytest.mark.parametrize("place", ["path", "paths"])
def test_details_key_in_a_path_is_refused_with_its_location_and_not_shown(path: str, place: str) -> None:
    health = f"path: '{path}'" if place == "path" else f"paths: [/api/status, '{path}']"
    text = (
        "farm: f\nfrontend: {host: o.corp.example, address: 10.0.0.9}\nnodes: [{name: a, address: 10.0.0.1}]\n"
        f"balancer:\n  health: {{{health}}}\n"
    )
    with pytest.raises(SpecError) as refused:
        loads(text)
    problem = next(each for each in refused.value.problems if "DetailsKey" in each.message)
    assert (problem.location.line, problem.path.startswith(f"balancer.health.{place}")) == (5, True)
    assert "details_key: {env: NAME}" in problem.message
    assert not any("hunter2" in f"{each}" for each in refused.value.problems)


def test_versions_of_the_health_paths_are_in_order() -> None:
    versions = [version for version, _ in HEALTH_PATHS]
    assert versions == sorted(versions, key=lambda version: version, reverse=True)
    assert health_path(None) == "/api/status"


@pytest.mark.parametrize(
    "version, core",
    [("2018.4", False), ("2020.4", False), ("20.4.1", False), ("2020.10", True), ("20.10", True), ("2023.4", True)],
)
def test_orchestrator_versions_on_asp_net_core(version: str, core: bool) -> None:
    assert is_core(Version(version)) is core
    assert is_core(None) is False


@pytest.mark.parametrize(
    "text, whole", [("19.10", "2019.10"), ("2019.10", "2019.10"), ("14.1", "14.1"), ("99", "2099"), ("100", "100")]
)
def test_normalized_adds_the_century(text: str, whole: str) -> None:
    assert normalized(Version(text)) == Version(whole)


def test_invalid_node_causes_no_finding_about_another_node(
    found: Found, farm_data: "Callable[..., dict[str, Any]]"
) -> None:
    data = farm_data(nodes=[{"name": "a b", "address": "10.0.0.9"}, *NODES, NODES[0]])
    with pytest.raises(SpecError) as error:
        loads(json.dumps(data))
    assert [problem.path for problem in error.value.problems] == ["nodes[0].name"]


def test_rules_run_beside_invalid_values(farm_data: "Callable[..., dict[str, Any]]") -> None:
    data = farm_data(balancer={"max_body": 1}, stores={"session": "inproc"})
    with pytest.raises(SpecError) as error:
        loads(json.dumps(data))
    assert {problem.path for problem in error.value.problems} == {"balancer.max_body", "stores.session"}
