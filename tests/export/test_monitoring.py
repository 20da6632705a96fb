"""The files of `nlbgen render monitoring`; promtool, blackbox_exporter and Grafana's own types read them."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from nlbgen.core.errors import UnsupportedError
from nlbgen.export.monitoring import dashboard, rendering, targets, timing
from nlbgen.export.monitoring.alerts_programs import UNSEEN
from nlbgen.spec.load import Spec, loads
from nlbgen.spec.units import Duration

if TYPE_CHECKING:
    from tests.conftest import RunCommand

MakeSpec = Callable[..., Spec]
FarmData = Callable[..., dict[str, Any]]

SENTINEL: Mapping[str, Any] = {
    "password": {"env": "REDIS"},
    "sentinel": {"nodes": [{"name": f"redis-{n}", "address": f"10.20.1.1{n}"} for n in (1, 2, 3)]},
}
VIP = {
    "address": "10.20.0.5/24",
    "interface": "eth0",
    "balancers": ["10.20.0.3", "10.20.0.4"],
    "secret": {"env": "VRRP"},
}
OTHERS: Mapping[str, Any] = {
    "frontend": {"address": "10.20.0.10"},
    "nginx": {"version": "1.22"},
    "f5": {"host": "10.20.0.20"},
    "zen": {"product": "relianoid", "version": "7", "api": "https://10.20.0.30:444"},
    "accept": [
        *(f"zen-{name}" for name in ("least-connections", "max-body", "queue", "verify-nodes")),
        "f5-queue",
        "nginx-active-health",
        "nginx-queue",
    ],
}


def rendered(spec: Spec) -> dict[str, bytes]:
    return {str(file.path): file.content for file in rendering.render_monitoring(spec)}


def written(spec: Spec, folder: Path) -> Path:
    for name, content in rendered(spec).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def promtool(folder: Path, *args: str) -> str:
    done = subprocess.run(["promtool", *args], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def hosted(farm_data: FarmData) -> Spec:
    """A farm with HAProxy, with every alert of HAProxy, the machines and Redis."""
    data = farm_data(
        frontend={"address": "10.20.0.5", "vip": VIP},
        haproxy={"version": "2.6"},
        balancer={"timeouts": {"reload": "5m"}},
    )
    data["stores"]["redis"] = SENTINEL
    return loads(json.dumps(data))


@pytest.fixture
def others(make_spec: MakeSpec) -> Spec:
    """A farm with the other vendors."""
    return make_spec(**OTHERS)


def rules_of(files: Mapping[str, bytes]) -> Iterator[dict[str, Any]]:
    for name, content in files.items():
        if name.startswith("rules/"):
            for group in yaml.safe_load(content)["groups"]:
                yield from group["rules"]


def jobs_of(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in yaml.safe_load(files["prometheus.yml"])["scrape_configs"]}


# Times


@pytest.mark.parametrize(
    "health, scrape, confirm, probe",
    [
        ({}, "5s", "5s", "5s"),
        ({"interval": "5s", "timeout": "3s", "fall": 3}, "15s", "21s", "30s"),
        ({"interval": "100ms", "timeout": "100ms", "fall": 1}, "5s", "1s", "1s"),
    ],
)
def test_timing_follows_interval_and_fall(
    make_spec: MakeSpec, health: dict[str, Any], scrape: str, confirm: str, probe: str
) -> None:
    found = timing.timing(make_spec(balancer={"health": health}).farm)
    assert (str(found.scrape), str(found.confirm), str(found.probe)) == (scrape, confirm, probe)


def test_timing_of_queue_and_workers_follows_the_timeouts(make_spec: MakeSpec) -> None:
    found = timing.timing(make_spec(balancer={"timeouts": {"queue": "8s", "reload": "10m"}}).farm)
    assert (str(found.queue), str(found.workers)) == ("5s", "15m")
    assert str(timing.timing(make_spec(balancer={"timeouts": {"queue": "3m"}}).farm).queue) == "90s"


def test_alert_of_a_node_is_fired_within_a_minute_with_the_default_checks(make_spec: MakeSpec) -> None:
    found = timing.timing(make_spec().farm)
    # Worst case: the failure just after a scrape, and the end of `for` just after an evaluation.
    assert found.confirm + found.probe + 4 * found.scrape < Duration.of("60s")


# What is scraped


def test_farm_without_vendor_section_monitors_the_programs_that_support_it(make_spec: MakeSpec) -> None:
    spec = make_spec(frontend={"address": "10.20.0.10"})
    assert [vendor.name for vendor in rendering.vendors_of(spec)] == ["haproxy", "nginx"] or [
        vendor.name for vendor in rendering.vendors_of(spec)
    ] == ["haproxy"]
    assert "orchestrator-test-haproxy" in jobs_of(rendered(spec))


def test_named_vendor_that_lacks_a_feature_is_an_error(make_spec: MakeSpec) -> None:
    with pytest.raises(UnsupportedError):
        rendering.render_monitoring(make_spec(nginx={"version": "1.22"}, balancer={"slow_start": "30s"}))


@pytest.mark.parametrize(
    "frontend, hosts",
    [
        ({"address": "10.20.0.10"}, ["10.20.0.10:9101"]),
        ({"address": "2001:db8::1"}, ["[2001:db8::1]:9101"]),
        ({"address": "*"}, ["orchestrator.corp.example:9101"]),
        ({"address": "0.0.0.0"}, ["orchestrator.corp.example:9101"]),
        ({"address": "10.20.0.5", "vip": VIP}, ["10.20.0.3:9101", "10.20.0.4:9101"]),
    ],
)
def test_balancers_are_scraped_at_their_own_addresses(
    make_spec: MakeSpec, frontend: dict[str, Any], hosts: list[str]
) -> None:
    found = jobs_of(rendered(make_spec(frontend=frontend, haproxy={"version": "2.6"})))
    assert found["orchestrator-test-haproxy"]["static_configs"][0]["targets"] == hosts


def test_each_node_is_probed_for_each_service(make_spec: MakeSpec) -> None:
    nodes = [
        {"name": "orch-1", "address": "2001:db8::11"},
        {"name": "orch-2", "address": "10.20.0.12", "state": "drain"},
    ]
    spec = make_spec(haproxy={"version": "2.6"}, nodes=nodes, balancer={"health": {"paths": ["/a?x=1", "/b"]}})
    groups = jobs_of(rendered(spec))["orchestrator-test-nodes"]["static_configs"]
    assert [group["targets"] for group in groups] == [
        ["https://[2001:db8::11]:443/a?x=1"],
        ["https://[2001:db8::11]:443/b"],
        ["https://10.20.0.12:443/a?x=1"],
        ["https://10.20.0.12:443/b"],
    ]
    assert groups[2]["labels"] == {"farm": "orchestrator-test", "node": "orch-2", "state": "drain", "path": "/a?x=1"}


@pytest.mark.parametrize(
    "mode, front, node",
    [
        ("none", {"fail_if_ssl": True}, {"fail_if_ssl": True}),
        ("terminate", {"fail_if_not_ssl": True}, {"fail_if_ssl": True}),
        ("bridge", {"fail_if_not_ssl": True}, {"fail_if_not_ssl": True}),
    ],
)
def test_probes_use_tls_where_the_balancer_does(
    make_spec: MakeSpec, mode: str, front: dict[str, bool], node: dict[str, bool]
) -> None:
    spec = make_spec(haproxy={"version": "2.6"}, frontend={"tls": {"mode": mode}})
    found = yaml.safe_load(rendered(spec)["blackbox.yml"])["modules"]
    assert front.items() <= found["orchestrator-test-front"]["http"].items()
    assert node.items() <= found["orchestrator-test-nodes"]["http"].items()
    certificates = {rule["alert"] for rule in rules_of(rendered(spec)) if "Certificate" in rule["alert"]}
    assert certificates == (set() if mode == "none" else {"FarmCertificateEndsSoon", "FarmCertificateEnds"})


def test_nodes_are_verified_only_if_the_balancer_verifies_them(make_spec: MakeSpec) -> None:
    unchecked = make_spec(haproxy={"version": "2.6"}, frontend={"tls": {"verify_nodes": False}})
    tls = yaml.safe_load(rendered(unchecked)["blackbox.yml"])["modules"]["orchestrator-test-nodes"]["http"]
    assert tls["tls_config"] == {"server_name": "orchestrator.corp.example", "insecure_skip_verify": True}
    assert "This farm needs no CA" in rendered(unchecked)["INSTALL.md"].decode()
    checked = make_spec(haproxy={"version": "2.6"})
    tls = yaml.safe_load(rendered(checked)["blackbox.yml"])["modules"]["orchestrator-test-nodes"]["http"]
    assert tls["tls_config"]["ca_file"] == "/etc/ssl/orchestrator/ca.pem"


@pytest.mark.parametrize("version, path", [("13.1", "pullconsumer/nlbgen_metrics"), ("13.0", "/snmp")])
def test_bigip_without_telemetry_streaming_is_read_by_snmp(make_spec: MakeSpec, version: str, path: str) -> None:
    spec = make_spec(frontend={"address": "10.20.0.10"}, f5={"host": "10.20.0.20", "version": version, "ca": "ca.pem"})
    files = rendered(spec)
    job = jobs_of(files)["orchestrator-test-f5"]
    assert job["metrics_path"].endswith(path)
    assert (("f5/telemetry.json" in files), ("f5/generator.yml" in files)) == (path != "/snmp", path == "/snmp")
    assert "nlbgen-metrics.socket" not in files["INSTALL.md"].decode()
    assert jobs_of(files)["orchestrator-test-hosts"]["static_configs"][0]["targets"] == ["localhost:9100"]
    assert "OldWorkersAlive" not in {rule["alert"] for rule in rules_of(files)}


def test_telemetry_declaration_has_the_consumer_that_is_scraped(others: Spec) -> None:
    files = rendered(others)
    declared = json.loads(files["f5/telemetry.json"])
    consumer = jobs_of(files)["orchestrator-test-f5"]["metrics_path"].rpartition("/")[2]
    assert declared[consumer]["class"] == "Telemetry_Pull_Consumer"
    assert declared[declared[consumer]["systemPoller"]]["class"] == "Telemetry_System_Poller"


def test_device_without_an_address_is_not_scraped(make_spec: MakeSpec) -> None:
    spec = make_spec(haproxy={"version": "2.6"}, f5={"version": "16.1"}, frontend={"address": "10.20.0.10"})
    assert [vendor.name for vendor in rendering.vendors_of(spec)] == ["haproxy"]


@pytest.mark.parametrize(
    "redis, urls",
    [
        ({"host": "redis.corp.example", "port": 6379}, {"redis": ["redis://redis.corp.example:6379"]}),
        ({"host": "2001:db8::9", "port": 6380, "tls": True}, {"redis": ["rediss://[2001:db8::9]:6380"]}),
        (
            SENTINEL,
            {
                "redis": [f"redis://10.20.1.1{n}:6379" for n in (1, 2, 3)],
                "sentinel": [f"redis://10.20.1.1{n}:26379" for n in (1, 2, 3)],
            },
        ),
    ],
)
def test_redis_is_scraped_at_each_server(
    farm_data: FarmData, redis: dict[str, Any], urls: dict[str, list[str]]
) -> None:
    data = farm_data(haproxy={"version": "2.6"})
    data["stores"]["redis"] = redis
    job = jobs_of(rendered(loads(json.dumps(data))))["orchestrator-test-redis"]
    assert {group["labels"]["kind"]: group["targets"] for group in job["static_configs"]} == urls


def test_farm_without_redis_has_no_alert_for_it(make_spec: MakeSpec) -> None:
    spec = make_spec(haproxy={"version": "2.6"}, stores={"signalr": "sqlserver", "redis": None})
    assert not any("Redis" in rule["alert"] for rule in rules_of(rendered(spec)))
    assert "orchestrator-test-redis" not in jobs_of(rendered(spec))


def test_user_of_the_device_is_quoted(make_spec: MakeSpec) -> None:
    user = 'ad"min: {x} \\'
    spec = make_spec(f5={"host": "10.20.0.20", "user": user}, frontend={"address": "10.20.0.10"})
    assert jobs_of(rendered(spec))["orchestrator-test-f5"]["basic_auth"]["username"] == user


def test_passthrough_has_no_alert_about_http(make_spec: MakeSpec) -> None:
    spec = make_spec(haproxy={"version": "2.6"}, frontend={"tls": {"mode": "passthrough"}})
    found = {rule["alert"]: rule["expr"] for rule in rules_of(rendered(spec))}
    assert not {"HaproxyQueue", "HaproxyServerErrors"} & set(found)
    assert 'proxy="orchestrator-test_web"' in found["HaproxyWebSocketsFell"]
    assert "Queue" not in rendered(spec)["dashboard.json"].decode()


def test_file_names_what_an_exporter_does_not_show(hosted: Spec, others: Spec) -> None:
    assert b"# NGINX has no metric for this: nodes:" in rendered(others)["rules/orchestrator-test-nginx.yml"]
    texts = "".join(rendered(spec)["INSTALL.md"].decode() for spec in (hosted, others))
    assert [fact for facts in UNSEEN.values() for fact in facts if fact not in texts] == []


def test_units_forward_the_metrics_and_start_drift(make_spec: MakeSpec) -> None:
    spec = make_spec(haproxy={"version": "2.6"}, balancer={"metrics_port": 9999})
    files = {name: content.decode() for name, content in rendered(spec).items()}
    assert "127.0.0.1:9999" in files["haproxy/nlbgen-metrics.service"]
    assert f"ListenStream={targets.HAPROXY_PORT}\n" in files["haproxy/nlbgen-metrics.socket"]
    command = re.search(r"ExecStart=\S+ (.*)", files["drift/nlbgen-drift.service"])
    assert command
    assert command[1].startswith(
        "--quiet drift haproxy --spec /etc/nlbgen/farm.yaml --textfile /var/lib/prometheus/node-exporter/"
    )
    assert "OnUnitActiveSec=1m" in files["drift/nlbgen-drift.timer"]


# The command


def test_command_writes_compares_and_prints_the_files(cli: "RunCommand", tmp_path: Path, farm_data: FarmData) -> None:
    (tmp_path / "farm.yaml").write_text(json.dumps(farm_data(haproxy={"version": "2.6"})), encoding="utf-8")
    ran = cli("render", "monitoring")
    assert (ran.code, ran.out) == (0, "")
    assert "wrote outputs/monitoring/prometheus.yml" in ran.err.replace("\\", "/")
    assert cli("render", "monitoring", "--diff").code == 0
    assert cli("render", "all", "--no-validate", "-o", "other").code == 0
    assert not (tmp_path / "other" / "monitoring").exists()
    (tmp_path / "outputs" / "monitoring" / "blackbox.yml").unlink()
    assert cli("render", "monitoring", "--diff").code == 1


# The dashboard


def test_dashboard_has_only_keys_that_grafana_knows(hosted: Spec, others: Spec) -> None:
    for spec in (hosted, others):
        data = json.loads(rendered(spec)["dashboard.json"])
        assert lost(data, read_back(data)) == []
    data["panels"][1]["titel"] = "x"
    assert lost(data, read_back(data)) == ["/panels/1/titel"]


def read_back(data: object) -> object:
    """The dashboard after Grafana's own types have read and written it."""
    read: object = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(data)))  # type: ignore[arg-type]
    return read


def lost(before: object, after: object, path: str = "") -> list[str]:
    """The paths of the values that Grafana's types do not keep."""
    if isinstance(before, dict):
        kept = after if isinstance(after, dict) else {}
        return [
            one
            for key, value in before.items()
            for one in (lost(value, kept[key], f"{path}/{key}") if key in kept else [f"{path}/{key}"])
        ]
    if isinstance(before, list):
        pairs = zip(before, after if isinstance(after, list) else [], strict=True)
        return [one for n, (old, new) in enumerate(pairs) for one in lost(old, new, f"{path}/{n}")]
    return [] if before == after else [path]


def test_dashboard_panels_do_not_overlap_and_have_own_numbers(hosted: Spec) -> None:
    panels = json.loads(rendered(hosted)["dashboard.json"])["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _y in cells) < dashboard.COLUMNS


def test_dashboard_of_an_old_bigip_reads_snmp(make_spec: MakeSpec) -> None:
    spec = make_spec(frontend={"address": "10.20.0.10"}, f5={"host": "10.20.0.20", "version": "12.1"})
    text = rendered(spec)["dashboard.json"].decode()
    assert "ltmPoolMbrStatusAvailState" in text
    assert "f5_activeMemberCnt" not in text


# What the real programs say


@pytest.mark.prometheus
def test_promtool_accepts_configuration_rules_and_expressions(
    hosted: Spec, others: Spec, make_spec: MakeSpec, tmp_path: Path
) -> None:
    old = make_spec(frontend={"address": "10.20.0.10"}, f5={"host": "10.20.0.20", "version": "12.1"})
    names = []
    for name, spec in (("hosted", hosted), ("others", others), ("old", old)):
        folder = written(spec, tmp_path / name)
        promtool(folder, "check", "config", "--syntax-only", "prometheus.yml")
        queries = [one["expr"] for panel in panels(folder) for one in panel.get("targets", ())]
        recorded = [
            {"record": f"panel:{n}", "expr": expr.replace("${farm}", "x").replace("$farm", "x")}
            for n, expr in enumerate(queries)
        ]
        (folder / "rules" / "panels.yml").write_text(
            yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}), encoding="utf-8"
        )
        names += [str(path) for path in sorted((folder / "rules").iterdir())]
    assert "FAILED" not in promtool(tmp_path, "check", "rules", *names)


def panels(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    return found


@pytest.mark.prometheus
@pytest.mark.parametrize("mode", ["bridge", "none"])
def test_blackbox_exporter_accepts_the_modules(make_spec: MakeSpec, tmp_path: Path, mode: str) -> None:
    folder = written(make_spec(haproxy={"version": "2.6"}, frontend={"tls": {"mode": mode}}), tmp_path)
    (folder / "ca.pem").write_bytes(b"")
    command = ["prometheus-blackbox-exporter", "--config.check", "--config.file", "blackbox.yml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


# promtool test rules: for each alert the series that make it fire, and those that do not.

FRONT = 'farm="orchestrator-test",job="orchestrator-test-front",instance="https://x/"'
NODE = 'farm="orchestrator-test",job="orchestrator-test-nodes",instance="https://{0}/",node="{0}",path="/",state="{1}"'
HAPROXY = 'farm="orchestrator-test",job="orchestrator-test-haproxy",instance="b:9101"'
NGINX = 'farm="orchestrator-test",job="orchestrator-test-nginx",instance="b:9113"'
F5 = 'farm="orchestrator-test",job="orchestrator-test-f5",instance="f5:443"'
ZEN = 'farm="orchestrator-test",job="orchestrator-test-zen",instance="zen"'
HOST = 'farm="orchestrator-test",job="orchestrator-test-hosts",instance="{0}:9100"'
REDIS = 'farm="orchestrator-test",job="orchestrator-test-redis",kind="redis",instance="{0}"'
ASKED = 'farm="orchestrator-test",job="orchestrator-test-redis",kind="sentinel",instance="{0}"'

Series = Mapping[str, str]


def status(server: str, state: str, pool: str = "orchestrator-test_web") -> Series:
    """HAProxy's one metric for each state of a server."""
    labels = f'{HAPROXY},proxy="{pool}",server="{server}"'
    return {
        f'haproxy_server_status{{{labels},state="{name}"}}': "1x400" if name == state else "0x400"
        for name in ("UP", "DOWN", "MAINT", "DRAIN", "NOLB")
    }


def nodes(first: str, second: str, state: str = "up") -> Series:
    return {
        f"probe_success{{{NODE.format('orch-1', 'up')}}}": first,
        f"probe_success{{{NODE.format('orch-2', state)}}}": second,
    }


def responses(failed: int, good: int) -> Series:
    name = f'haproxy_frontend_http_responses_total{{{HAPROXY},proxy="orchestrator-test"'
    return {f'{name},code="5xx"}}': f"0+{failed}x400", f'{name},code="2xx"}}': f"0+{good}x400"}


def robots(sessions: str, uptime: str = "1000+5x400") -> Series:
    return {
        f'haproxy_backend_current_sessions{{{HAPROXY},proxy="orchestrator-test_signalr"}}': sessions,
        f"haproxy_process_uptime_seconds{{{HAPROXY}}}": uptime,
    }


def roles(*masters: str) -> Series:
    """Redis servers with a series of its role each."""
    series: dict[str, str] = {}
    for number, values in enumerate(masters, 1):
        labels = REDIS.format(f"redis-{number}")
        series[f'redis_instance_info{{{labels},role="master"}}'] = values
        series[f"redis_up{{{labels}}}"] = series[f"up{{{labels}}}"] = "1x400"
    return series


def held(first: str, second: str) -> Series:
    return {
        f'nlbgen_vip_held{{{HOST.format(name)},address="10.20.0.5"}}': values
        for name, values in (("a", first), ("b", second))
    }


DRIFT = HOST.format("a") + ',subject="haproxy"'
POOL = "orchestrator-test_web"
MEMBERS = f'f5_activeMemberCnt{{{F5},pools="/Common/{POOL}"}}'
LIVE = 'pools="/Common/orchestrator-test_signalr"'
FELL = "40x100 5x300"
"""Five seconds each: 40 connections for 500 s, then 5."""

CASES: Mapping[str, tuple[Series, str, set[str]]] = {
    "front answers": ({f"probe_success{{{FRONT}}}": "1x400"}, "1m", set()),
    "front fails": ({f"probe_success{{{FRONT}}}": "0x400"}, "1m", {"FarmUnreachable"}),
    "front fails once": ({f"probe_success{{{FRONT}}}": "1x9 0 1x300"}, "50s", set()),
    "both nodes answer": (nodes("1x400", "1x400"), "1m", set()),
    "one node fails": (nodes("1x400", "0x400"), "1m", {"FarmNodeFails"}),
    "node that the spec removes fails": (nodes("1x400", "0x400", "down"), "1m", set()),
    "both nodes fail": (nodes("0x400", "0x400"), "1m", {"FarmNodeFails", "FarmAllNodesFail"}),
    "node fails again and again": (nodes("1x400", "1x10 0 1 0 1 0 1 1x300"), "2m", {"FarmNodeFlaps"}),
    "node that the spec removes fails again and again": (
        nodes("1x400", "1x10 0 1 0 1 0 1 1x300", "down"),
        "2m",
        set(),
    ),
    "certificate of a node that the spec removes": (
        {f"probe_ssl_earliest_cert_expiry{{{NODE.format('orch-2', 'down')}}}": "86400x400"},
        "1m",
        set(),
    ),
    "certificate for 40 days": ({f"probe_ssl_earliest_cert_expiry{{{FRONT}}}": f"{40 * 86400}x400"}, "1m", set()),
    "certificate for 29 days": (
        {f"probe_ssl_earliest_cert_expiry{{{FRONT}}}": f"{29 * 86400}x400"},
        "1m",
        {"FarmCertificateEndsSoon"},
    ),
    "certificate of a node for 6 days": (
        {f"probe_ssl_earliest_cert_expiry{{{NODE.format('orch-1', 'up')}}}": f"{6 * 86400}x400"},
        "1m",
        {"FarmCertificateEndsSoon", "FarmCertificateEnds"},
    ),
    "redis is up": (roles("1x400", "_x400"), "1m", set()),
    "redis is down": ({f"redis_up{{{REDIS.format('redis-1')}}}": "0x400"}, "5s", {"RedisDown"}),
    "redis hangs": ({f"up{{{REDIS.format('redis-1')}}}": "0x400"}, "5s", {"RedisDown"}),
    "every redis hangs": (
        {f"up{{{REDIS.format(name)}}}": "0x400" for name in ("redis-1", "redis-2")},
        "1m",
        {"RedisDown", "RedisMasters"},
    ),
    "redis fails over": (roles("1x60 stale _x300", "_x61 1x300"), "6m", {"RedisRoleChanged"}),
    "redis failed over long ago": (roles("1x60 stale _x300", "_x61 1x300"), "12m", set()),
    "two masters": (roles("1x400", "1x400"), "1m", {"RedisMasters"}),
    "no master": (roles("_x400", "_x400"), "1m", {"RedisMasters"}),
    "sentinel has a quorum": ({f"redis_sentinel_master_ckquorum_status{{{ASKED.format('s')}}}": "1x400"}, "1m", set()),
    "sentinel has no quorum": (
        {f"redis_sentinel_master_ckquorum_status{{{ASKED.format('s')}}}": "0x400"},
        "1m",
        {"SentinelQuorumLost"},
    ),
    "haproxy is up": ({f"up{{{HAPROXY}}}": "1x400", **status("a", "UP"), **status("b", "UP")}, "1m", set()),
    "haproxy is down": ({f"up{{{HAPROXY}}}": "0x400"}, "1m", {"HaproxyDown"}),
    "haproxy marks a node down": ({**status("a", "DOWN"), **status("b", "UP")}, "1m", {"HaproxyNodeDown"}),
    "haproxy has only a drained node": ({**status("a", "DOWN"), **status("b", "DRAIN")}, "1m", {"HaproxyNodeDown"}),
    "haproxy marks all nodes down": (
        {**status("a", "DOWN"), **status("b", "DOWN")},
        "1m",
        {"HaproxyNodeDown", "HaproxyAllNodesDown"},
    ),
    "farm is closed": ({**status("a", "MAINT"), **status("b", "MAINT")}, "1m", set()),
    "replica of redis is down": (status("r", "DOWN", "orchestrator-test_redis"), "1m", set()),
    "haproxy's checks flap": (
        {f'haproxy_server_check_up_down_total{{{HAPROXY},proxy="{POOL}",server="a"}}': "0x20 1 1 2 2 3 3 4x300"},
        "4m",
        {"HaproxyCheckFlaps"},
    ),
    "haproxy's node fails once": (
        {f'haproxy_server_check_up_down_total{{{HAPROXY},proxy="{POOL}",server="a"}}': "0x20 1x300"},
        "4m",
        set(),
    ),
    "requests wait": ({f'haproxy_backend_current_queue{{{HAPROXY},proxy="{POOL}"}}': "7x400"}, "1m", {"HaproxyQueue"}),
    "requests wait for a moment": (
        {f'haproxy_backend_current_queue{{{HAPROXY},proxy="{POOL}"}}': "0x10 7 7 0x300"},
        "1m",
        set(),
    ),
    "a tenth of the responses fails": (responses(10, 90), "5m", {"HaproxyServerErrors"}),
    "a hundredth of the responses fails": (responses(1, 99), "5m", set()),
    "few responses and one fails": (
        {
            f'haproxy_frontend_http_responses_total{{{HAPROXY},proxy="orchestrator-test",code="5xx"}}': "0x59 1x300",
            f'haproxy_frontend_http_responses_total{{{HAPROXY},proxy="orchestrator-test",code="2xx"}}': "0x59 1x300",
        },
        "305s",
        set(),
    ),
    "robots stay": (robots("40x400"), "12m", set()),
    "robots leave": (robots(FELL), "12m", {"HaproxyWebSocketsFell"}),
    "robots stay in the old worker": (robots(FELL, "0+5x400"), "9m55s", set()),
    "few robots leave": (robots("9x100 0x300"), "12m", set()),
    "nginx is up": ({f"up{{{NGINX}}}": "1x400", f"nginx_up{{{NGINX}}}": "1x400"}, "1m", set()),
    "nginx is down": ({f"up{{{NGINX}}}": "1x400", f"nginx_up{{{NGINX}}}": "0x400"}, "1m", {"NginxDown"}),
    "exporter of nginx is down": ({f"up{{{NGINX}}}": "0x400"}, "1m", {"NginxExporterDown"}),
    "clients of nginx leave": ({f"nginx_connections_active{{{NGINX}}}": FELL}, "12m", {"NginxConnectionsFell"}),
    "big-ip has both members": ({MEMBERS: "2x400"}, "1m", set()),
    "big-ip has one member": (
        {f'f5_activeMemberCnt{{{F5},pools="/Common/{POOL}"}}': "1x400"},
        "1m",
        {"BigipNodeDown"},
    ),
    "big-ip has no member": (
        {MEMBERS: "0x400"},
        "1m",
        {"BigipNodeDown", "BigipAllNodesDown"},
    ),
    "another pool has no member": ({f'f5_activeMemberCnt{{{F5},pools="/Common/other_web"}}': "0x400"}, "1m", set()),
    "clients of the big-ip leave": (
        {
            f"f5_serverside_curConns{{{F5},{LIVE}}}": FELL,
            f'f5_serverside_curConns{{{F5},{LIVE},members="/Common/m:443"}}': "90x400",
        },
        "12m",
        {"BigipConnectionsFell"},
    ),
    "big-ip is down": ({f"up{{{F5}}}": "0x400"}, "1m", {"BigipDown"}),
    "appliance is down": ({f"up{{{ZEN}}}": "0x400"}, "1m", {"ZenDown"}),
    "machine is down": ({f"up{{{HOST.format('a')}}}": "0x400"}, "1m", {"HostDown"}),
    "no drift": (
        {
            f"nlbgen_drift_differences{{{DRIFT}}}": "0x400",
            f"nlbgen_drift_reached{{{DRIFT}}}": "1x400",
            f"nlbgen_drift_time_seconds{{{HOST.format('a')}}}": "0+5x400",
        },
        "1m",
        set(),
    ),
    "drift": ({f"nlbgen_drift_differences{{{DRIFT}}}": "3x400"}, "3m", {"DriftFound"}),
    "drift during a change": ({f"nlbgen_drift_differences{{{DRIFT}}}": "0x10 3x12 0x200"}, "110s", set()),
    "subject is not reached": ({f"nlbgen_drift_reached{{{DRIFT}}}": "0x400"}, "3m", {"DriftUnknown"}),
    "timer stopped": ({f"nlbgen_drift_time_seconds{{{HOST.format('a')}}}": "0x400"}, "6m", {"DriftStale"}),
    "old workers after a reload": ({f"nlbgen_old_workers{{{HOST.format('a')}}}": "0x10 2x70 0x300"}, "9m", set()),
    "old workers do not end": ({f"nlbgen_old_workers{{{HOST.format('a')}}}": "2x1000"}, "11m", {"OldWorkersAlive"}),
    "address stays": (held("1x400", "0x400"), "3m", set()),
    "address moves": (held("1x20 0x300", "0x20 1x300"), "3m", {"VipMoved"}),
    "address is lost": (held("0x400", "0x400"), "3m", {"VipHolders"}),
    "address is held twice": (held("1x400", "1x400"), "3m", {"VipHolders"}),
}


@pytest.mark.prometheus
@pytest.mark.no_cover  # other tests reach the same lines
def test_promtool_fires_each_alert_for_its_cause_and_for_no_other(hosted: Spec, others: Spec, tmp_path: Path) -> None:
    folder = written(hosted, written(others, tmp_path))
    unit = {
        "rule_files": [f"rules/{path.name}" for path in sorted((folder / "rules").iterdir())],
        "evaluation_interval": "5s",
        "tests": [
            {
                "name": name,
                "interval": "5s",
                "input_series": [{"series": labels, "values": values} for labels, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                        "eval_time": at,
                        "exp_samples": [{"labels": f'{{alertname="{one}"}}', "value": 1} for one in sorted(fired)],
                    }
                ],
            }
            for name, (series, at, fired) in CASES.items()
        ],
    }
    (folder / "tests.yml").write_text(yaml.safe_dump(unit), encoding="utf-8")
    promtool(folder, "test", "rules", "tests.yml")


def test_each_alert_has_a_case(hosted: Spec, others: Spec) -> None:
    tried = {name for _series, _at, fired in CASES.values() for name in fired}
    assert {rule["alert"] for spec in (hosted, others) for rule in rules_of(rendered(spec))} == tried


@pytest.mark.prometheus
@pytest.mark.parametrize(
    "states, enabled, fired",
    [
        ((1, 1), (1, 1), set()),
        ((1, 3), (1, 1), {"BigipNodeDown"}),
        ((1, 3), (1, 2), set()),
        ((3, 3), (1, 1), {"BigipNodeDown", "BigipAllNodesDown"}),
    ],
)
def test_promtool_fires_the_alerts_of_snmp(
    make_spec: MakeSpec, tmp_path: Path, states: tuple[int, ...], enabled: tuple[int, ...], fired: set[str]
) -> None:
    spec = make_spec(frontend={"address": "10.20.0.10"}, f5={"host": "10.20.0.20", "version": "12.1"})
    folder = written(spec, tmp_path)
    series = []
    for number, (state, on) in enumerate(zip(states, enabled, strict=True)):
        labels = f'{F5},ltmPoolMbrStatusPoolName="/Common/{POOL}",ltmPoolMbrStatusNodeName="/Common/n{number}"'
        series.append({"series": f"ltmPoolMbrStatusAvailState{{{labels}}}", "values": f"{state}x400"})
        series.append({"series": f"ltmPoolMbrStatusEnabledState{{{labels}}}", "values": f"{on}x400"})
    expected = [{"labels": f'{{alertname="{one}"}}', "value": 1} for one in sorted(fired)]
    query = {"expr": 'group by (alertname) (ALERTS{alertstate="firing"})', "eval_time": "5m", "exp_samples": expected}
    test = {"interval": "5s", "input_series": series, "promql_expr_test": [query]}
    unit = {"rule_files": ["rules/orchestrator-test-f5.yml"], "evaluation_interval": "5s", "tests": [test]}
    (folder / "tests.yml").write_text(yaml.safe_dump(unit), encoding="utf-8")
    promtool(folder, "test", "rules", "tests.yml")


@pytest.mark.prometheus
def test_promtool_shows_names_and_numbers_in_the_texts(hosted: Spec, tmp_path: Path) -> None:
    folder = written(hosted, tmp_path)
    labels = {"severity": "warning", "farm": "orchestrator-test"}
    drift = {"job": "orchestrator-test-hosts", "instance": "a:9100", "subject": "haproxy"}
    expected = {
        "exp_labels": {**labels, **drift},
        "exp_annotations": {
            "summary": "haproxy: 3 differences from the spec",
            "description": "Run nlbgen drift. Then load the rendered files, or write the change into the spec.",
        },
    }
    test = {
        "interval": "5s",
        "input_series": [{"series": f"nlbgen_drift_differences{{{DRIFT}}}", "values": "3x400"}],
        "alert_rule_test": [{"eval_time": "10m", "alertname": "DriftFound", "exp_alerts": [expected]}],
    }
    unit = {
        "rule_files": ["rules/orchestrator-test-hosts.yml"],
        "evaluation_interval": "5s",
        "tests": [test],
    }
    (folder / "tests.yml").write_text(yaml.safe_dump(unit), encoding="utf-8")
    promtool(folder, "test", "rules", "tests.yml")


def test_alerts_have_the_labels_that_a_route_needs(hosted: Spec) -> None:
    for rule in rules_of(rendered(hosted)):
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["labels"]["farm"] == "orchestrator-test"
