"""A real Prometheus with the rendered configuration watches a farm in the lab: failures fire alerts, nothing else does.

The failures are those of the scenarios of `prove`; each lasts until its alerts fire. Only addresses differ from
production: the exporters run on other ports, and the farm's name is not in DNS.
"""

import contextlib
import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from nlbgen.export.monitoring.rendering import render_monitoring
from nlbgen.net.loopback import free_ports
from nlbgen.net.waiting import wait_until
from nlbgen.prove.lab.bench import TestBench
from nlbgen.prove.lab.processes import BalancerProcess
from nlbgen.prove.scenarios.failover import USUAL, Outage
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.spec.load import Spec, loads

from .conftest import BASE, Changes, FarmLab, StartFarm, for_build, merged, tool

pytestmark = pytest.mark.prometheus

FIRES_WITHIN = 60.0
QUIET_SECONDS = 600.0
START_SECONDS = 30.0
CERTIFICATES = {"FarmCertificateEnds", "FarmCertificateEndsSoon"}
"""They fire all the time: the certificates of the lab are valid for a day."""
VERSIONS: Mapping[str, Changes] = {
    "haproxy": {"haproxy": {"version": "2.6"}},
    "nginx": {"nginx": {"version": "1.22"}, "balancer": {"slow_start": "0s"}},
}


class Prometheus:
    """Prometheus, blackbox_exporter, and for NGINX its exporter, beside a lab."""

    def __init__(self, lab: FarmLab, folder: Path) -> None:
        self._lab = lab
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self._port = 0

    def __enter__(self) -> Self:
        for file in render_monitoring(self._lab.spec):
            path = self._folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
        self._port, blackbox, exporter = self._stack.enter_context(free_ports(3))
        self._relocate(blackbox, exporter)
        trusting = {"SSL_CERT_FILE": str(self._lab.certificates.ca)}
        self._start("prometheus-blackbox-exporter", "--config.file=blackbox.yml", _listen(blackbox), **trusting)
        if self._lab.generator.name == "nginx":
            statistics = f"http://127.0.0.1:{self._lab.metrics_port}/status"
            self._start("prometheus-nginx-exporter", f"--nginx.scrape-uri={statistics}", _listen(exporter))
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

    def _relocate(self, blackbox: int, exporter: int) -> None:
        """Use the lab's ports, and leave out the jobs of exporters that do not run here."""
        path = self._folder / "prometheus.yml"
        farm = self._lab.spec.farm
        text = path.read_text(encoding="utf-8")
        for old, new in (
            ("127.0.0.1:9115", f"127.0.0.1:{blackbox}"),
            ("127.0.0.1:9113", f"127.0.0.1:{exporter}"),
            ("127.0.0.1:9101", f"127.0.0.1:{self._lab.metrics_port}"),
            (f"//{farm.frontend.host}:", "//127.0.0.1:"),
        ):
            text = text.replace(old, new)
        content = yaml.safe_load(text)
        left_out = {f"{farm.farm}-hosts", f"{farm.farm}-redis"}
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

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        found = {one["labels"]["alertname"] for one in self._get("alerts")["alerts"] if one["state"] == "firing"}
        assert found >= CERTIFICATES or not found, "the lab's certificates end soon"
        return found - CERTIFICATES

    def fired(self, wanted: set[str]) -> float:
        """Wait until exactly these alerts fire, and return after how many seconds."""
        begun = time.monotonic()
        assert wait_until(lambda: self.firing() == wanted, FIRES_WITHIN), self.firing()
        return time.monotonic() - begun


def _listen(port: int) -> str:
    return f"--web.listen-address=127.0.0.1:{port}"


@pytest.fixture
def watched(farm: StartFarm, tmp_path: Path) -> Iterator[Callable[..., tuple[FarmLab, Prometheus]]]:
    """Start a farm and its monitoring."""
    with contextlib.ExitStack() as stack:

        def start(vendor: str, changes: Changes | None = None) -> tuple[FarmLab, Prometheus]:
            lab = farm(vendor, {**VERSIONS[vendor], **(changes or {})})
            return lab, stack.enter_context(Prometheus(lab, tmp_path))

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
SHORT = ("kill", "pool-stopped", "all-down")
"""Those of `make test`, with HAProxy."""


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
def test_every_haproxy_has_the_metrics_that_are_named(farm: StartFarm, build: Mapping[str, Any]) -> None:
    if build["program"] == "nginx":
        pytest.skip("stub_status is the same in every NGINX")
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
