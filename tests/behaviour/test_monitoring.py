"""A real Prometheus with the rendered configuration watches a farm in the lab: failures fire alerts, nothing else does.

The failures are those of the scenarios of `prove`; each lasts until its alerts fire. Only addresses differ from
production: the exporters run on other ports, and the farm's name is not in DNS. Tests of alerts that take minutes or
hours also shorten the times of the rules (HURRIED).
"""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from nlbgen.core.files import write_atomically
from nlbgen.drift.textfile import metrics
from nlbgen.export.monitoring.rendering import render_monitoring
from nlbgen.generators.relocation import LOOPBACK
from nlbgen.net.loopback import free_ports
from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.simple import SocketHolder, SocketPlan
from nlbgen.prove.lab.bench import TestBench
from nlbgen.prove.lab.lab import REDIS_LOGIN
from nlbgen.prove.lab.processes import BalancerProcess
from nlbgen.prove.lab.redis import RedisLab
from nlbgen.prove.lab.relay import BEHIND
from nlbgen.prove.scenarios.failover import USUAL, Outage
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.spec.load import Spec, loads

from .conftest import BASE, Changes, FarmLab, StartFarm, for_build, merged, tool
from .test_drift import compared

pytestmark = pytest.mark.prometheus

FIRES_WITHIN = 60.0
QUIET_SECONDS = 600.0
START_SECONDS = 30.0
CERTIFICATES = {"FarmCertificateEnds", "FarmCertificateEndsSoon"}
"""They fire all the time: the certificates of the lab are valid for a day."""
HURRIED = (
    (r"\[10m", "[2m"),
    (r"_seconds(\{[^}]*\}) > 600", r"_seconds\1 > 120"),
    (r"offset 5m", "offset 1m"),
    (r"for: ([2-9]|\d\d)m", "for: 10s"),
)
"""Times of the rules, and what a test that is in a hurry replaces them by."""
VERSIONS: Mapping[str, Changes] = {
    "haproxy": {"haproxy": {"version": "2.6"}},
    "nginx": {"nginx": {"version": "1.22"}, "balancer": {"slow_start": "0s"}},
}


class Prometheus:
    """Prometheus, blackbox_exporter, and for NGINX its exporter, beside a lab.

    `extra`: the jobs `hosts` (node_exporter reads the files of `folder/textfiles`) and `redis`. `hurried`: times of
    minutes in the rules are shorter, so that a test does not take hours.
    """

    def __init__(
        self,
        lab: FarmLab,
        folder: Path,
        extra: tuple[str, ...] = (),
        *,
        hurried: bool = False,
        moved: Mapping[str, str] | None = None,
    ) -> None:
        """`moved`: other addresses of targets, by those that nlbgen renders."""
        self._lab = lab
        self._moved = moved or {}
        self._folder = folder
        self._extra = extra
        self._hurried = hurried
        self._stack = contextlib.ExitStack()
        self._port = 0

    def __enter__(self) -> Self:
        for file in render_monitoring(self._lab.spec):
            path = self._folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
        self._port, blackbox, exporter, hosts, redis = self._stack.enter_context(free_ports(5))
        self._relocate(blackbox, exporter, hosts, redis)
        if self._hurried:
            self._hurry()
        trusting = {"SSL_CERT_FILE": str(self._lab.certificates.ca)}
        self._start("prometheus-blackbox-exporter", "--config.file=blackbox.yml", _listen(blackbox), **trusting)
        if self._lab.generator.name == "nginx":
            statistics = f"http://127.0.0.1:{self._lab.metrics_port}/status"
            self._start("prometheus-nginx-exporter", f"--nginx.scrape-uri={statistics}", _listen(exporter))
        if "hosts" in self._extra:
            self.textfiles.mkdir(exist_ok=True)
            only = ["--collector.disable-defaults", "--collector.textfile"]
            files = f"--collector.textfile.directory={self.textfiles}"
            self._start("prometheus-node-exporter", *only, files, _listen(hosts))
        if "redis" in self._extra:
            login = {"REDIS_PASSWORD": REDIS_LOGIN}
            self._start("prometheus-redis-exporter", f"-web.listen-address=127.0.0.1:{redis}", **login)
        self._start("prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", _listen(self._port))
        assert wait_until(self.healthy, START_SECONDS), self.targets()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, name: str, *args: str, **environment: str) -> None:
        output = self._stack.enter_context((self._folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            [tool(name), *args],
            cwd=self._folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
        self._stack.callback(process.wait, 30)
        self._stack.callback(process.terminate)

    @property
    def textfiles(self) -> Path:
        """The folder of the files that node_exporter adds to its metrics."""
        return self._folder / "textfiles"

    def _hurry(self) -> None:
        for path in (self._folder / "rules").iterdir():
            text = path.read_text(encoding="utf-8")
            for old, new in HURRIED:
                text = re.sub(old, new, text)
            path.write_text(text, encoding="utf-8")

    def _relocate(self, blackbox: int, exporter: int, hosts: int, redis: int) -> None:
        """Use the lab's ports, and leave out the jobs of exporters that do not run here."""
        path = self._folder / "prometheus.yml"
        farm = self._lab.spec.farm
        text = path.read_text(encoding="utf-8")
        for old, new in (
            ("127.0.0.1:9115", f"127.0.0.1:{blackbox}"),
            ("127.0.0.1:9113", f"127.0.0.1:{exporter}"),
            ("127.0.0.1:9100", f"127.0.0.1:{hosts}"),
            ("127.0.0.1:9121", f"127.0.0.1:{redis}"),
            ("127.0.0.1:9101", f"127.0.0.1:{self._lab.metrics_port}"),
            (f"//{farm.frontend.host}:", "//127.0.0.1:"),
            *self._moved.items(),
        ):
            text = text.replace(old, new)
        content = yaml.safe_load(text)
        left_out = {f"{farm.farm}-{name}" for name in ("hosts", "redis") if name not in self._extra}
        content["scrape_configs"] = [job for job in content["scrape_configs"] if job["job_name"] not in left_out]
        path.write_text(yaml.safe_dump(content), encoding="utf-8")

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/{path}", timeout=10) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
        return data

    def targets(self) -> dict[str, str]:
        """The last error of each target."""
        return {one["scrapeUrl"]: one["lastError"] or one["health"] for one in self._get("targets")["activeTargets"]}

    def names(self) -> set[str]:
        """The names of all metrics that were scraped."""
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self._port}/api/v1/label/__name__/values", timeout=10
        ) as answer:
            return set(json.load(answer)["data"])

    def healthy(self) -> bool:
        """Whether each target was scraped, and every probe succeeds."""
        try:
            if set(self.targets().values()) != {"up"}:
                return False
            found = self._get("query?query=min(probe_success)")["result"]
        except OSError:
            return False
        return bool(found) and found[0]["value"][1] == "1"

    def value(self, expression: str) -> float | None:
        """The first result of a query."""
        found = self._get(f"query?query={urllib.parse.quote(expression)}")["result"]
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        found = {one["labels"]["alertname"] for one in self._get("alerts")["alerts"] if one["state"] == "firing"}
        assert found >= CERTIFICATES or not found, "the lab's certificates end soon"
        return found - CERTIFICATES

    def fired(self, wanted: set[str], within: float = FIRES_WITHIN) -> float:
        """Wait until exactly these alerts fire, and return after how many seconds."""
        begun = time.monotonic()
        assert wait_until(lambda: self.firing() == wanted, within), self.firing()
        return time.monotonic() - begun


def _listen(port: int) -> str:
    return f"--web.listen-address=127.0.0.1:{port}"


@pytest.fixture
def watched(farm: StartFarm, tmp_path: Path) -> Iterator[Callable[..., tuple[FarmLab, Prometheus]]]:
    """Start a farm and its monitoring."""
    with contextlib.ExitStack() as stack:

        def start(
            vendor: str, changes: Changes | None = None, *extra: str, hurried: bool = False
        ) -> tuple[FarmLab, Prometheus]:
            lab = farm(vendor, {**VERSIONS[vendor], **(changes or {})})
            return lab, stack.enter_context(Prometheus(lab, tmp_path, extra, hurried=hurried))

        yield start


@contextlib.contextmanager
def load(lab: FarmLab) -> Iterator[None]:
    """Send a few requests per second through the balancer, whatever the answer."""
    command = [
        tool("curl"), "-sk", "-o", os.devnull, "--rate", "10/s", "--resolve", f"{lab.host}:{lab.port}:127.0.0.1",
        f"{lab.url}/odata/Jobs?n=[1-100000]",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def begin(lab: FarmLab, scenario: str, victim: int = 0) -> None:
    """Cause the failure of a scenario of `prove`."""
    found = scenarios()[scenario]
    if isinstance(found, Outage):
        found.events(TestBench(lab).serving[victim], USUAL)[0][2]()
        return
    if scenario == "identity":
        lab.nodes[victim].set(identity_stopped=True)
        return
    for node in lab.nodes:
        if scenario == "all-down":
            node.kill()
        else:
            assert scenario == "health-slow"
            node.set(drain=True)


def end(lab: FarmLab) -> None:
    for node in lab.nodes:
        if not node.running or node.condition == "hangs":
            node.restart()
        node.reset()


ONE = {"haproxy": {"HaproxyNodeDown", "FarmNodeFails"}, "nginx": {"FarmNodeFails"}}
ALL = {
    "haproxy": {
        *("HaproxyNodeDown", "HaproxyAllNodesDown", "HaproxyServerErrors"),
        *("FarmNodeFails", "FarmAllNodesFail", "FarmUnreachable"),
    },
    "nginx": {"FarmNodeFails", "FarmAllNodesFail", "FarmUnreachable"},
}
"""The alerts of all nodes that are down while clients send requests."""
EXPECTED: Mapping[str, Mapping[str, set[str]]] = {
    "kill": ONE,
    "pool-stopped": ONE,
    "hang": ONE,
    "drain": ONE,
    "all-down": ALL,
    # Only the health endpoints fail: requests are still served.
    "health-slow": {vendor: names - {"HaproxyServerErrors"} for vendor, names in ALL.items()},
}
"""The alerts of each failure of nodes."""
REPLACED = {"RedisDown", "RedisRoleChanged"}
EXPECTED_OF_REDIS: Mapping[str, tuple[set[str], ...]] = {
    "redis-kill": (REPLACED,),
    "redis-hang": (REPLACED,),
    # Two of three Sentinels, then all: no Sentinel is left that reports the lost quorum.
    "redis-sentinels": ({"RedisDown", "SentinelQuorumLost"}, {"RedisDown"}),
    "redis-gone": ({"RedisDown", "RedisMasters"},),
    "redis-split": ({"RedisRoleChanged", "RedisMasters"},),
}
"""The alerts of each failure of Redis, in their order."""
SAME_FAILURE: Mapping[str, str] = {
    "slow-start": "kill",
    "reload-outage": "hang",
    "reload-states": "hang",
    "signalr-2": "kill",
    "signalr-core": "kill",
    "hang-robots": "hang",
    "posts": "kill",
    "robots-kill": "kill",
    "robots-hang": "hang",
    "robots-redis": "redis-kill",
}
"""Scenarios that measure something else during a failure of another scenario."""
OWN_TEST: Mapping[str, str] = {
    "identity": "test_prometheus_fires_the_alerts_of_a_node_whose_identity_fails",
    "robots-balancer": "test_prometheus_fires_the_alerts_of_a_balancer_that_crashes",
    "robots-failover": "test_monitoring_vip.py",
}
"""Scenarios whose failure has a test of its own."""
_NOTHING = "nothing fails"
_CLIENTS = "one client is at fault, and the farm serves"
_PLANNED = "it is planned, and each node is away for less than the delay of the alerts"
WITHOUT_ALERT: Mapping[str, str] = {
    **dict.fromkeys(("steady", "reload", "reload-websockets", "robots-reload"), _NOTHING),
    **dict.fromkeys(("idle-websocket", "long-poll", "event-stream", "body", "browsers", "windows-sign-in"), _NOTHING),
    **dict.fromkeys(("tls-profile", "tls-names"), _NOTHING),
    **dict.fromkeys(("forged-headers", "h2c", "smuggling", "oversized-headers", "slowloris"), _CLIENTS),
    **dict.fromkeys(("logged-tokens", "silent-clients"), _CLIENTS),
    **dict.fromkeys(
        ("broken-url", "unavailable-url"), "one URL fails; HaproxyServerErrors fires if it is a large share"
    ),
    **dict.fromkeys(("rolling-restart", "robots-rolling", "robots-spread", "robots-drain"), _PLANNED),
    "upgrade": "it is planned: the alerts of all-down fire, and are silenced in Alertmanager",
}
"""Scenarios that raise no alert, and why."""
SHORT = ("kill", "pool-stopped", "all-down")
"""Those of `make test`, with HAProxy."""


def test_each_scenario_has_its_alerts_or_a_reason_why_there_are_none() -> None:
    tables = (EXPECTED, EXPECTED_OF_REDIS, SAME_FAILURE, OWN_TEST, WITHOUT_ALERT)
    assert sorted(name for table in tables for name in table) == sorted(scenarios())
    assert {*SAME_FAILURE.values()} <= {*EXPECTED, *EXPECTED_OF_REDIS}


@pytest.mark.alone
@pytest.mark.haproxy
def test_prometheus_fires_the_alerts_of_failures_within_a_minute(watched: Callable[..., Any]) -> None:
    lab, prometheus = watched("haproxy")
    assert prometheus.firing() == set()
    with load(lab):
        # Another node each time: a node that fails three times in ten minutes has an alert of its own.
        for victim, scenario in enumerate(SHORT):
            begin(lab, scenario, victim)
            assert prometheus.fired(EXPECTED[scenario]["haproxy"]) < FIRES_WITHIN
            end(lab)
            prometheus.fired(set())


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.haproxy
@pytest.mark.nginx
@pytest.mark.parametrize("scenario", EXPECTED)
def test_prometheus_fires_the_alerts_of_each_scenario(watched: Callable[..., Any], vendor: str, scenario: str) -> None:
    lab, prometheus = watched(vendor)
    with load(lab):
        begin(lab, scenario)
        assert prometheus.fired(EXPECTED[scenario][vendor]) < FIRES_WITHIN
        end(lab)
        prometheus.fired(set())


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.haproxy
@pytest.mark.parametrize("scenario", ["robots-kill", "robots-hang"])
def test_prometheus_fires_no_further_alert_while_robots_are_connected(
    watched: Callable[..., Any], scenario: str
) -> None:
    lab, prometheus = watched("haproxy")
    with SocketHolder(SocketPlan(url=f"{lab.url}/ws", count=60, echo_every=1, ca=lab.certificates.ca)) as held:
        assert wait_until(lambda: held.alive == 60, 15)
        begin(lab, SAME_FAILURE[scenario])
        assert prometheus.fired(ONE["haproxy"]) < FIRES_WITHIN
        end(lab)
        prometheus.fired(set())


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.haproxy
def test_prometheus_fires_the_alerts_of_a_node_whose_identity_fails(watched: Callable[..., Any]) -> None:
    lab, prometheus = watched("haproxy", {"orchestrator": {"version": "2022.10"}})
    begin(lab, "identity")
    prometheus.fired(ONE["haproxy"])
    end(lab)
    prometheus.fired(set())


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.haproxy
@pytest.mark.nginx
def test_prometheus_fires_the_alerts_of_a_balancer_that_crashes(watched: Callable[..., Any], vendor: str) -> None:
    lab, prometheus = watched(vendor)
    lab.balancer.kill()
    own = {"haproxy": "HaproxyDown", "nginx": "NginxDown"}
    prometheus.fired({own[vendor], "FarmUnreachable"})


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.haproxy
@pytest.mark.nginx
def test_prometheus_fires_no_alert_in_normal_operation(watched: Callable[..., Any], vendor: str) -> None:
    lab, prometheus = watched(vendor)
    with load(lab):
        ends = time.monotonic() + QUIET_SECONDS
        seen: set[str] = set()
        while time.monotonic() < ends:
            seen |= prometheus.firing()
            time.sleep(5)
    assert seen == set()


# Alerts of minutes and hours, with shorter times


@contextlib.contextmanager
def timer(lab: FarmLab, folder: Path) -> Iterator[None]:
    """Run the comparison of `nlbgen drift` again and again, as its timer does, and write its metrics."""
    ends = threading.Event()

    def repeat() -> None:
        while not ends.wait(1):
            write_atomically(folder / "nlbgen.prom", metrics(compared(lab), time.time()))

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.haproxy
def test_prometheus_fires_the_alerts_of_drift_and_of_old_workers(watched: Callable[..., Any]) -> None:
    lab, prometheus = watched("haproxy", None, "hosts", hurried=True)
    text = lab.configuration.read_text(encoding="utf-8")
    with timer(lab, prometheus.textfiles):
        assert wait_until(lambda: prometheus.value("nlbgen_drift_reached") == 1, FIRES_WITHIN)
        assert prometheus.firing() == set()
        lab.configuration.write_text(text.replace("timeout queue 30s", "timeout queue 31s"), encoding="utf-8")
        prometheus.fired({"DriftFound"})
        lab.configuration.write_text(text, encoding="utf-8")
        prometheus.fired(set())
        with SocketHolder(SocketPlan(url=f"{lab.url}/ws", count=4, echo_every=0.2, ca=lab.certificates.ca)) as held:
            assert wait_until(lambda: held.alive == 4, 15)
            lab.balancer.reload()
            prometheus.fired({"OldWorkersAlive"})
        prometheus.fired(set())


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.haproxy
def test_prometheus_fires_the_alert_of_requests_that_wait_for_a_node(watched: Callable[..., Any]) -> None:
    lab, prometheus = watched("haproxy")
    for node in lab.nodes:
        lab.runtime(f"set maxconn server {lab.spec.farm.farm}_web/{node.name} 1")  # a spec allows 100 or more
        node.set(delay=0.5)
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(load(lab))
        assert prometheus.fired({"HaproxyQueue"}) < FIRES_WITHIN
    end(lab)
    prometheus.fired(set())


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.haproxy
def test_prometheus_fires_the_alert_of_websockets_that_fell(watched: Callable[..., Any]) -> None:
    lab, prometheus = watched("haproxy", None, hurried=True)
    with SocketHolder(SocketPlan(url=f"{lab.url}/ws", count=12, echo_every=1, ca=lab.certificates.ca)) as held:
        assert wait_until(lambda: held.alive == 12, 15)
        up = "haproxy_process_uptime_seconds > 120"
        assert wait_until(lambda: prometheus.value(up) is not None, 180)
        assert prometheus.firing() == set()
    prometheus.fired({"HaproxyWebSocketsFell"}, 2 * FIRES_WITHIN)


REDIS_HOSTS = [
    {"name": "redis-1", "address": "10.20.0.21"},
    {"name": "redis-2", "address": "10.20.0.22"},
    {"name": "witness", "address": "10.20.0.23", "redis": False},
]


async def break_redis(redis: RedisLab, scenario: str) -> AsyncIterator[None]:
    """Cause the failure of a scenario of `prove`, step by step."""
    master = await redis.master()
    assert master
    if scenario == "redis-sentinels":
        one, *others = redis.sentinels
        for sentinel in others:
            await asyncio.to_thread(sentinel.kill)
        yield
        await asyncio.to_thread(one.kill)
    elif scenario == "redis-gone":
        for server in redis.servers:
            await asyncio.to_thread(server.kill)
    elif scenario == "redis-split":
        redis.relays[master.name].cut()
    else:
        await asyncio.to_thread(master.freeze if scenario == "redis-hang" else master.kill)
    yield


def mend_redis(redis: RedisLab) -> None:
    for relay in redis.relays.values():
        relay.heal()
    for process in (*redis.servers, *redis.sentinels):
        if process.running:
            process.thaw()
        else:
            process.start()


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.haproxy
@pytest.mark.redis
@pytest.mark.parametrize("scenario", EXPECTED_OF_REDIS)
def test_prometheus_fires_the_alerts_of_a_redis_that_fails(scenario: str, tmp_path: Path) -> None:
    store = {"password": {"env": "NLBGEN_REDIS"}, "sentinel": {"nodes": REDIS_HOSTS, "down_after": "2s"}}
    data = {**BASE, **VERSIONS["haproxy"], "stores": {"signalr": "redis", "redis": store}}
    split = scenario == "redis-split"

    async def failure(lab: FarmLab, prometheus: Prometheus) -> None:
        async with RedisLab(lab, relayed=split) as redis:
            # The rule knows a new master by what was scraped before.
            await asyncio.to_thread(wait_until, lambda: prometheus.value("min(redis_up offset 1m)") == 1, 150)
            assert prometheus.firing() == set()
            steps = break_redis(redis, scenario)
            for wanted in EXPECTED_OF_REDIS[scenario]:
                await anext(steps)
                await asyncio.to_thread(prometheus.fired, wanted)
            mend_redis(redis)
            await asyncio.to_thread(prometheus.fired, set(), 3 * FIRES_WITHIN)

    with FarmLab(loads(json.dumps(data)), "haproxy") as lab:
        sentinel = lab.spec.farm.stores.redis and lab.spec.farm.stores.redis.sentinel
        assert sentinel
        # Prometheus still reaches a master that its peers do not.
        moved = {f"{LOOPBACK}:{one.port}": f"{BEHIND}:{one.port}" for one in sentinel.servers} if split else {}
        with Prometheus(lab.settled(), tmp_path, ("redis",), hurried=True, moved=moved) as prometheus:
            asyncio.run(failure(lab, prometheus))


# The names of the metrics

METRIC = re.compile(r"\b(?:haproxy|nginx|redis|probe)_[a-z0-9_]+(?=[{\[ )]|$)")


def named(spec: Spec, prefix: str) -> set[str]:
    """The metrics of one exporter that the rules and the dashboard name."""
    files = {str(file.path): file.content.decode() for file in render_monitoring(spec)}
    expressions = [
        rule["expr"]
        for name, text in files.items()
        if name.startswith("rules/")
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
    ]
    panels = json.loads(files["dashboard.json"])["panels"]
    expressions += [query["expr"] for panel in panels for query in panel.get("targets", ())]
    found = {name for one in expressions for name in METRIC.findall(one) if name.startswith(prefix)}
    assert found, f"no metric of {prefix}"
    return found


def served(url: str) -> set[str]:
    """The names of the metrics that an exporter serves."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {re.split(r"[{ ]", line, maxsplit=1)[0] for line in lines if line and not line.startswith("#")}


@pytest.mark.every_build
@pytest.mark.haproxy
def test_every_haproxy_has_the_metrics_that_are_named(farm: StartFarm, build: Mapping[str, Any]) -> None:
    changes = {"haproxy": for_build(build)}
    lab = farm("haproxy", changes, program=build["path"])
    assert named(lab.spec, "haproxy_") - served(f"http://127.0.0.1:{lab.metrics_port}/metrics") == set()


@pytest.mark.nginx
@pytest.mark.haproxy
def test_exporters_have_the_metrics_that_are_named(watched: Callable[..., Any]) -> None:
    lab, prometheus = watched("nginx")
    stored = prometheus.names()
    assert named(lab.spec, "nginx_") - stored == set()
    assert named(lab.spec, "probe_") - stored == set()


@pytest.mark.redis
def test_redis_exporter_has_the_metrics_that_are_named(tmp_path: Path) -> None:
    sentinel = {"nodes": [{"name": f"redis-{n}", "address": f"10.20.1.1{n}"} for n in (1, 2, 3)]}
    data = merged(BASE, {"haproxy": {"version": "2.6"}})
    data["stores"] = {"signalr": "redis", "redis": {"password": {"env": "REDIS"}, "sentinel": sentinel}}
    with contextlib.ExitStack() as stack:
        redis, voter, exporter = stack.enter_context(free_ports(3))
        (tmp_path / "sentinel.conf").write_text(
            f"port {voter}\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 {redis} 1\n", encoding="utf-8"
        )
        commands = {
            redis: [tool("redis-server"), "--port", str(redis), "--bind", "127.0.0.1", "--save", ""],
            voter: [tool("redis-server"), str(tmp_path / "sentinel.conf"), "--sentinel"],
            exporter: [tool("prometheus-redis-exporter"), f"-web.listen-address=127.0.0.1:{exporter}"],
        }
        for port, command in commands.items():
            stack.enter_context(BalancerProcess(command, ports=[port]))
        urls = [f"http://127.0.0.1:{exporter}/scrape?target=redis://127.0.0.1:{port}" for port in (redis, voter)]
        assert wait_until(lambda: "redis_sentinel_master_ckquorum_status" in served(urls[1]), 15)
        assert named(loads(json.dumps(data)), "redis_") - served(urls[0]) - served(urls[1]) == set()
