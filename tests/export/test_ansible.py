"""The export for Ansible: the files of the tree, checked with Ansible's own tools."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from nlbgen.core.errors import SpecError, UsageError
from nlbgen.export.ansible import rollout as ansible
from nlbgen.export.ansible import specs as ansible_specs
from nlbgen.export.ansible.roles import roles
from nlbgen.generators.base import hosted_generators
from nlbgen.nodes import service_settings
from nlbgen.spec.load import Spec, load, loads
from nlbgen.spec.references import resolve

if TYPE_CHECKING:
    from tests.conftest import RunCommand

VIP = {
    "address": "10.20.0.10/24",
    "interface": "eth0",
    "balancers": ["10.20.0.8", "10.20.0.9"],
    "secret": {"env": "NLBGEN_VRRP"},
}
SECTIONS: dict[str, dict[str, Any]] = {
    "haproxy": {"haproxy": {"version": "2.6"}},
    "nginx": {"nginx": {"version": "1.22"}, "accept": ["nginx-active-health", "nginx-queue"]},
    "f5": {"f5": {"host": "bigip.corp.example", "password": {"env": "NLBGEN_F5"}}, "accept": ["f5-queue"]},
    "zen": {
        "zen": {"api": "https://zen.corp.example:444", "key": {"file": "zen.key"}, "ca": "ca/zen.pem"},
        "balancer": {"algorithm": "round-robin"},
        "accept": ["zen-max-body", "zen-queue", "zen-verify-nodes"],
    },
}

HOSTED = [vendor.name for vendor in hosted_generators()]
MakeSpec = Callable[..., Spec]
MakeData = Callable[..., dict[str, Any]]


@pytest.fixture
def farm(make_spec: MakeSpec) -> MakeSpec:
    """The spec of a farm behind one vendor: `farm("nginx", ...)`."""
    return lambda vendor, **changes: make_spec(
        **{"frontend": {"host": "orchestrator.corp.example", "address": "10.20.0.10"}, **SECTIONS[vendor], **changes}
    )


def tree(*specs: Spec, homes: Sequence[str] = ()) -> dict[str, bytes]:
    return {str(file.path): file.content for file in ansible.files(specs, homes=homes)}


def inventory(files: dict[str, bytes]) -> dict[str, Any]:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!unsafe", lambda _loader, node: node.value)
    return yaml.load(files["inventory.yml"], Loader)["all"]["children"]  # type: ignore[no-any-return]


def written(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


HOSTS = [
    {"name": "redis-1", "address": "10.20.0.31"},
    {"name": "redis-2", "address": "10.20.0.32", "port": 6380},
    {"name": "witness", "address": "10.20.0.33", "redis": False},
]


@pytest.mark.parametrize(
    ("vendor", "front", "installed"),
    [
        ("haproxy", True, True),
        ("haproxy", False, True),
        ("nginx", False, True),
        ("nginx", True, False),
        ("f5", True, False),
        ("zen", True, False),
    ],
)
def test_hosts_of_redis_are_installed_where_the_balancer_has_their_files(
    farm_data: MakeData, vendor: str, front: bool, installed: bool
) -> None:
    user = {"user": "app"} if front else {}
    store = {"password": {"env": "R"}, "sentinel": {"nodes": HOSTS}, "front": front, **user}
    ids = ["redis-front-single", "redis-add-on", "redis-sentinel-string", f"{vendor}-redis-front"]
    section = SECTIONS[vendor]
    changes = {
        **section,
        "frontend": {"address": "10.20.0.10"},
        "orchestrator": {"version": "2022.10"},
        "balancer": {"affinity": "signalr"},
        "accept": [*section.get("accept", []), *ids, "nginx-affinity-signalr", "nginx-active-health"],
    }
    data = {**farm_data(**changes), "stores": {"signalr": "redis", "redis": store}}
    files = tree(loads(json.dumps(data)))
    assert ("redis.yml" in files, "roles/redis/tasks/main.yml" in files) == (installed, installed)
    if not installed:
        return
    groups = inventory(files)["farm_orchestrator_test"]["children"]
    hosts = groups["redis_of_orchestrator_test"]
    assert [(host["redis_has_server"], host["redis_port"]) for host in hosts["hosts"].values()] == [
        (True, 6379),
        (True, 6380),
        (False, 6379),
    ]
    assert hosts["vars"]["redis_login"] == (["--user", "app"] if front else [])
    assert ("redis_password" in groups["balancers_of_orchestrator_test"]["vars"]) is front
    options = yaml.safe_load(files["roles/redis/meta/argument_specs.yml"])["argument_specs"]["main"]["options"]
    assert {*hosts["vars"], *hosts["hosts"]["orchestrator-test.redis.redis-1"]} <= {"ansible_host", *options}


def test_redis_for_windows_is_left_to_its_manual_and_the_balancer_gets_its_password(farm_data: MakeData) -> None:
    store = {"password": {"env": "R"}, "sentinel": {"nodes": HOSTS, "version": "3.0.504"}}
    accept = ["redis-front-single", "redis-sentinel-open"]
    changes = {**SECTIONS["haproxy"], "frontend": {"address": "10.20.0.10"}, "accept": accept}
    files = tree(loads(json.dumps({**farm_data(**changes), "stores": {"signalr": "redis", "redis": store}})))
    assert "redis.yml" not in files
    groups = inventory(files)["farm_orchestrator_test"]["children"]
    assert "redis_of_orchestrator_test" not in groups
    assert "redis_password" in groups["balancers_of_orchestrator_test"]["vars"]
    assert b"tasks_from: balancer.yml" in files["balancers.yml"]
    assert "roles/redis/tasks/balancer.yml" in files
    assert b"`redis/INSTALL.md` of `nlbgen render haproxy`" in files["README.md"]


@pytest.mark.parametrize("vendor", ["f5", "zen"])
def test_hosts_of_redis_are_installed_with_the_front_of_a_device(farm_data: MakeData, vendor: str) -> None:
    store = {"password": {"env": "R"}, "sentinel": {"nodes": HOSTS}, "user": "app"}
    section = SECTIONS[vendor]
    changes = {
        **section,
        "frontend": {"address": "10.20.0.10"},
        "orchestrator": {"version": "2022.10"},
        "balancer": {"affinity": "source"},
        "accept": [*section.get("accept", []), f"{vendor}-redis-votes", "redis-add-on", "zen-least-connections"],
    }
    files = tree(loads(json.dumps({**farm_data(**changes), "stores": {"signalr": "redis", "redis": store}})))
    assert {"redis.yml", "redis-change.yml", "roles/redis/tasks/change.yml"} <= files.keys()
    own = {
        name.removeprefix("files/orchestrator-test/") for name in files if name.startswith("files/orchestrator-test/")
    }
    assert {name for name in own if name.startswith(vendor)} == {
        *(f"{vendor}/redis/{host}/{name}.conf" for host in ("redis-1", "redis-2") for name in ("redis", "sentinel")),
        f"{vendor}/redis/witness/sentinel.conf",
    }
    hosts = inventory(files)["farm_orchestrator_test"]["children"]["redis_of_orchestrator_test"]
    assert "user nlbgen-health on nopass +role" in hosts["vars"]["redis_user_lines"]


# What is in the tree


@pytest.mark.parametrize("vendor", SECTIONS)
def test_same_farm_gives_the_same_bytes_and_no_file_contains_a_secret(
    vendor: str, farm: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = farm(vendor)
    first = tree(spec)
    for name in ("NLBGEN_VRRP", "NLBGEN_F5"):
        monkeypatch.setenv(name, "a-s3cret")
    assert tree(spec) == first
    assert not any(b"a-s3cret" in content for content in first.values())
    assert list(first) == sorted(first, key=PurePosixPath)
    assert {file.mode for file in ansible.files(spec)} == {0o644}


@pytest.mark.parametrize("vendor", SECTIONS)
def test_every_file_of_the_tree_is_used(vendor: str, farm: MakeSpec) -> None:
    """What a playbook or a role names is there, and nothing else is."""
    files = tree(farm(vendor, frontend={"vip": VIP}) if vendor in HOSTED else farm(vendor))
    farms = {name for name in files if name.startswith("files/")}
    told = inventory(files)
    text = json.dumps(told)
    named = {
        name.removeprefix("{{ playbook_dir }}/") for name in re.findall(r'"(\{\{ playbook_dir \}\}/files/[^"]*)"', text)
    }
    assert all(any(file == name or file.startswith((f"{name}/", f"{name}.")) for file in farms) for name in named)
    assert all(any(file == name or file.startswith((f"{name}/", f"{name}.")) for name in named) for file in farms)
    assert {name for name in files if name.startswith("roles/")} == set(roles(redis=False))


@pytest.mark.parametrize(("version", "count"), [("2019.10", 0), ("2020.4", 9), ("2023.10", 9)])
def test_files_of_the_services_are_fetched_from_2020_4_on(farm: MakeSpec, version: str, count: int) -> None:
    spec = farm("haproxy", orchestrator={"version": version})
    found = service_settings.files_of(spec.farm.orchestrator)
    assert len(found) == count
    assert ("Identity/appsettings.Production.json" in found) == bool(count)
    text = tree(spec)["inventory.yml"].decode()
    assert ("node_service_files:" in text) == bool(count)


def test_balancers_are_configured_with_the_rendered_files(farm: MakeSpec) -> None:
    from nlbgen.generators.base import generator, render

    spec = farm("haproxy", frontend={"vip": VIP})
    files = tree(spec)
    for rendered in render(generator("haproxy"), spec):
        if rendered.path.name != "INSTALL.md":
            assert files[f"files/orchestrator-test/haproxy/{rendered.path}"] == rendered.content


def test_the_node_with_the_keys_comes_first(farm: MakeSpec) -> None:
    nodes = [{"name": "orch-1", "address": "10.20.0.11"}, {"name": "orch-2", "address": "10.20.0.12", "primary": True}]
    groups = inventory(tree(farm("haproxy", nodes=nodes)))["farm_orchestrator_test"]["children"]
    hosts = groups["nodes_of_orchestrator_test"]["hosts"]
    assert list(hosts) == ["orchestrator-test.node.orch-2", "orchestrator-test.node.orch-1"]
    assert [host["node_keys_from"] for host in hosts.values()] == ["", "orchestrator-test.node.orch-2"]


@pytest.mark.parametrize(
    "states, drained",
    [
        (("up", "up"), (True, True)),
        (("up", "down"), (False, False)),
        (("up", "backup"), (True, True)),
        (("up",), (False,)),
    ],
)
def test_node_is_drained_where_another_one_serves(
    states: tuple[str, ...], drained: tuple[bool, ...], farm: MakeSpec
) -> None:
    nodes = [{"name": f"orch-{n}", "address": f"10.20.0.2{n}", "state": state} for n, state in enumerate(states)]
    spec = farm("nginx", nodes=nodes, accept=[*SECTIONS["nginx"]["accept"], "one-node"])
    files = tree(spec)
    hosts = inventory(files)["farm_orchestrator_test"]["children"]["nodes_of_orchestrator_test"]["hosts"]
    assert tuple(host["node_drained_by"] == "nginx" for host in hosts.values()) == drained
    for node, leaves in zip(nodes, drained, strict=True):
        assert (f"files/orchestrator-test/variants/{node['name']}/down/nginx.conf" in files) == leaves


def test_nginx_sends_no_request_to_a_drained_node(farm: MakeSpec) -> None:
    files = tree(farm("nginx"))
    text = files["files/orchestrator-test/variants/orch-2/down/nginx.conf"].decode()
    lines = [line for line in text.splitlines() if "# orch-2" in line]
    assert lines and all(" down;" in line for line in lines)
    assert not any(" down;" in line for line in text.splitlines() if "# orch-1" in line)


# The variables of the balancers


def balancer_variables(files: dict[str, bytes]) -> dict[str, Any]:
    (group,) = (
        group
        for name, group in inventory(files)["farm_orchestrator_test"]["children"].items()
        if name.startswith("balancers_of_")
    )
    return dict(group["vars"])


@pytest.mark.parametrize("mode, plain", [("terminate", True), ("bridge", False)])
def test_node_of_a_farm_with_tls_at_the_balancer_accepts_http_before_its_status_is_checked(
    farm: MakeSpec, mode: str, plain: bool
) -> None:
    from nlbgen.nodes import plain_http

    files = tree(farm("haproxy", frontend={"vip": VIP, "tls": {"mode": mode}}))
    nodes = inventory(files)["farm_orchestrator_test"]["children"]["nodes_of_orchestrator_test"]
    assert nodes["vars"]["node_plain_http"] is plain
    assert [host.get("node_http_port") for host in nodes["hosts"].values()] == [80 if plain else None] * 2
    main = yaml.safe_load(files["roles/node/tasks/main.yml"])
    tasks = {task["name"]: task for task in main[2]["block"]}
    look = tasks["Read the state of the site and its application pool"]
    script = look["ansible.windows.win_powershell"]["script"]
    assert all(line in script for line in plain_http.is_accepted())
    assert "http = $accepted -or -not $PlainHttp" in script
    change = yaml.safe_load(files["roles/node/tasks/change.yml"])
    names = [task["name"] for task in next(task for task in change if "block" in task)["block"]]
    accept = names.index("Let IIS accept plain HTTP from the balancer")
    assert names.index("Copy the changed files to the node, with a dated backup of each") < accept
    order = list(tasks)
    check = order.index("Check the health of the node and enable it on the balancer")
    assert order.index("Change the node while it is drained") < check


@pytest.mark.parametrize("vendor", HOSTED)
def test_variables_of_the_balancers_are_variables_of_the_role(vendor: str, farm: MakeSpec) -> None:
    files = tree(farm(vendor))
    names = {name for name in balancer_variables(files) if name.startswith(f"{vendor}_")}
    assert names
    assert names <= yaml.safe_load(files[f"roles/{vendor}/defaults/main.yml"]).keys()


TLS = {"certificate": "/etc/ssl/site.pem", "key": "/etc/ssl/private.pem", "verify_nodes": "/etc/ssl/ca.pem"}


@pytest.mark.parametrize(
    "version, tls, link",
    [
        ("2.9", TLS, "/etc/ssl/site.pem.key"),
        ("2.9", {**TLS, "key": TLS["certificate"]}, ""),
        ("2.9", {**TLS, "mode": "passthrough"}, ""),
        ("3.0", TLS, ""),
    ],
    ids=["before-3.0", "key-in-the-certificate", "no-certificate", "3.0"],
)
def test_haproxy_before_3_0_finds_the_key_by_a_link_beside_the_certificate(
    version: str, tls: dict[str, Any], link: str, farm: MakeSpec
) -> None:
    accept = ["tls-terminate-redirect", "passthrough-http"]
    spec = farm(
        "haproxy",
        haproxy={"version": version},
        frontend={"tls": tls, "address": "10.20.0.10"},
        balancer={"metrics_port": 8405},
        accept=accept,
    )
    files = tree(spec)
    variables = balancer_variables(files)
    assert variables["haproxy_key_link"] == link
    assert (b"haproxy_key_link: !unsafe" in files["inventory.yml"]) == bool(link)  # a path may hold {{
    assert variables["haproxy_metrics_url"] == "http://127.0.0.1:8405/metrics"
    assert variables["haproxy_farm"] == "orchestrator-test"


# The upgrade


@pytest.mark.parametrize("vendor", ["haproxy", "nginx", "f5", "zen"])
def test_upgrade_uses_the_rendered_states_and_the_snapshot(vendor: str, farm: MakeSpec) -> None:
    spec = farm(vendor, orchestrator={"version": "2022.10", "robots": 5000}, balancer={"affinity": "source"})
    files = tree(spec)
    groups = inventory(files)["farm_orchestrator_test"]["children"]
    nodes = groups["nodes_of_orchestrator_test"]
    assert nodes["vars"]["upgrade_files"] == [
        "UiPath.Orchestrator.dll.config",
        *nodes["vars"]["node_service_files"],
    ]
    first = spec.farm.primary.name
    for node in spec.farm.nodes:
        host = nodes["hosts"][f"orchestrator-test.node.{node.name}"]
        path = host["upgrade_spec"].removeprefix("{{ playbook_dir }}/")
        data = json.loads(files[path].split(b"\n", 1)[1])
        assert data["keys"] == {
            "from": f"../../../work/orchestrator-test/snapshot/{first}/UiPath.Orchestrator.dll.config"
        }
        assert [one.get("config", "") != "" for one in data["nodes"]] == [one is node for one in spec.farm.nodes]
    back = files["roles/upgrade/tasks/node.yml"].decode()
    assert (
        back.count('loop: "{{ node_config_files + node_service_files }}"') == 1
    )  # fetched, then copied where they exist
    assert back.count("node_fetched.results | selectattr('stat.exists') | map(attribute='item')") == 1
    playbook = yaml.safe_load(files["upgrade.yml"])
    names = [play["name"] for play in playbook]
    close = next(at for at, name in enumerate(names) if name.startswith("Close the farms"))
    stop, upgrade = names.index("Stop all nodes"), names.index("Upgrade the nodes, one after the other")
    release = next(at for at, name in enumerate(names) if name.startswith("Release the farms"))
    assert 0 < close < stop < upgrade < release
    if vendor in {"haproxy", "nginx"}:
        assert groups["balancers_of_orchestrator_test"]["vars"]["upgrade_release_seconds"] == 250
        main = {"haproxy": "haproxy.cfg", "nginx": "nginx.conf"}[vendor]
        assert b"<h1>Maintenance</h1>" in files[f"files/orchestrator-test/upgrade/closed/{main}"]
        assert b"robots" in files[f"files/orchestrator-test/upgrade/releasing/{main}"]
    else:
        closed = json.loads(files["files/orchestrator-test/device/closed.yaml"].split(b"\n", 1)[1])
        assert closed["balancer"]["maintenance"] == {"state": "closed"}


def test_arguments_of_the_upgrade_have_the_variables_of_the_inventory(farm: MakeSpec) -> None:
    files = tree(farm("haproxy"))
    specs = yaml.safe_load(files["roles/upgrade/meta/argument_specs.yml"])["argument_specs"]
    defaults = yaml.safe_load(files["roles/upgrade/defaults/main.yml"])
    assert {name: set(one["options"]) for name, one in specs.items()} == {
        name: set(defaults) for name in ("snapshot", "stop", "start", "node")
    }
    assert {name for name in files if name.startswith("roles/upgrade/tasks/")} == {
        f"roles/upgrade/tasks/{name}.yml" for name in specs
    }


# The variants of the spec


@pytest.mark.parametrize("vendor", ["f5", "zen"])
def test_variants_have_the_values_of_the_spec(vendor: str, farm: MakeSpec, tmp_path: Path) -> None:
    """They differ only in the paths of secrets and files, which name the same files."""
    spec = farm(vendor)
    home = tmp_path / "specs"
    root = written(tree(spec, homes=["../../specs"]), tmp_path / "outputs" / "ansible")
    (home / "ca").mkdir(parents=True)
    (home / "ca" / "zen.pem").write_text("CA", encoding="ascii")
    folder = root / "files" / "orchestrator-test" / "device"
    plain = load(folder / "farm.yaml").farm
    assert (plain.nodes, plain.balancer, plain.stores) == (spec.farm.nodes, spec.farm.balancer, spec.farm.stores)
    assert sorted(path.name for path in folder.iterdir()) == ["closed.yaml", "farm.yaml"]
    secret = ansible_specs.secrets_of(plain)[vendor]
    work = root / "work" / "orchestrator-test" / "device" / "secrets"
    work.mkdir(parents=True)
    (work / vendor).write_text("s3cret", encoding="ascii")
    assert resolve(secret, folder).reveal() == "s3cret"
    if vendor == "zen":
        assert (folder / str(plain.zen.ca)).read_text(encoding="ascii") == "CA"


@pytest.mark.parametrize(
    "path",
    ["/etc/ca.pem", r"C:\keys\web.config", r"\\share\keys\web.config", "inputs/web.config", r"inputs\web.config"],
)
def test_rebased_path_refers_to_the_same_file(path: str) -> None:
    absolute = path.startswith(("/", "C:", "\\\\"))
    assert ansible_specs.rebased(path, "../../x") == (path if absolute else f"../../x/{path}")


def test_what_yaml_shares_does_not_change_in_two_places(farm_data: MakeData, tmp_path: Path) -> None:
    data = farm_data(haproxy={"version": "2.6"}, frontend={"address": "10.20.0.10"})
    data["stores"]["database"] = {"server": "SQL01", "auth": {"user": "u", "password": {"env": "ONE"}}}
    data["stores"]["redis"]["password"] = {"env": "ONE"}
    root = written(tree(loads(json.dumps(data))), tmp_path)
    found = load(root / "files" / "orchestrator-test" / "nodes" / "orch-1.yaml").farm
    assert [secret.file for secret in ansible_specs.secrets_of(found).values()] == [
        f"../../../work/orchestrator-test/node/secrets/{name}" for name in ("sql", "redis")
    ]


# Where it refuses


def test_the_vendor_is_the_one_that_the_spec_names(farm: MakeSpec, make_spec: MakeSpec) -> None:
    assert ansible.vendor_of(farm("nginx")) == "nginx"
    with pytest.raises(UsageError, match="names haproxy and nginx, but a rollout is for one vendor"):
        ansible.vendor_of(farm("nginx", haproxy={}))
    with pytest.raises(UsageError, match="names no vendor"):
        ansible.vendor_of(make_spec())
    assert ansible.vendor_of(make_spec(), "haproxy") == "haproxy"
    with pytest.raises(SpecError, match=r"farm.yaml:\d+:\d+: f5: does not name the device \(host\)"):
        ansible.vendor_of(make_spec(f5={"partition": "Common"}))


def test_the_balancers_must_be_somewhere(farm: MakeSpec, make_spec: MakeSpec) -> None:
    anywhere = make_spec(haproxy={"version": "2.6"})
    with pytest.raises(UsageError, match="listens on every address"):
        ansible.files(anywhere)
    assert ansible.balancer_hosts(anywhere, "haproxy", ["lb-1.corp.example", "lb-1.corp.example"]) == (
        "lb-1.corp.example",
    )
    assert ansible.balancer_hosts(farm("haproxy"), "haproxy", []) == ("10.20.0.10",)
    shared = farm("haproxy", frontend={"vip": VIP})
    assert ansible.balancer_hosts(shared, "haproxy", []) == ("10.20.0.8", "10.20.0.9")
    for spec, vendor, asked, said in (
        (shared, "haproxy", "lb-1", "names the balancers itself"),
        (farm("f5"), "f5", "lb-1", "is a device"),
        (anywhere, "haproxy", "{{ lookup('pipe', 'id') }}", "is not an IPv4 or IPv6 address or a host name"),
    ):
        with pytest.raises(UsageError, match=said):
            ansible.balancer_hosts(spec, vendor, [asked])


def test_farms_of_one_name_are_refused(farm: MakeSpec) -> None:
    with pytest.raises(UsageError, match="would get the same name in Ansible"):
        ansible.files([farm("haproxy"), farm("haproxy", farm="orchestrator_test")])


@pytest.mark.parametrize("vip", [None, VIP])
@pytest.mark.parametrize("vendor", HOSTED)
def test_farms_that_would_overwrite_each_other_are_refused(
    vendor: str, vip: dict[str, Any] | None, farm: MakeSpec
) -> None:
    first, second = (farm(vendor, farm=f"farm-{n}", **({"frontend": {"vip": vip}} if vip else {})) for n in (1, 2))
    key, host = ("frontend.vip.balancers", "10.20.0.8") if vip else ("frontend.address", "10.20.0.10")
    with pytest.raises(SpecError) as caught:
        ansible.files([first, second])
    said = str(caught.value.problems[0])
    assert re.match(
        rf"farm.yaml:\d+:\d+: {key}: {host} is a balancer of the farm farm-1 as well \(farm.yaml:\d+:\d+\)", said
    )
    assert "use different balancers for each farm" in said
    moved = farm(vendor, farm="farm-2", frontend={"address": "10.20.0.20"})
    assert ansible.files([first, moved])


def test_farms_behind_different_vendors_may_share_a_host_without_a_shared_address(farm: MakeSpec) -> None:
    assert ansible.files([farm("haproxy", farm="one"), farm("nginx", farm="two")])
    with pytest.raises(SpecError, match=r"would write keepalived\.conf"):
        ansible.files([farm(vendor, farm=vendor, frontend={"vip": VIP}) for vendor in HOSTED])


# The command


def test_command_writes_only_changed_files_and_lists_unused_ones(
    cli: "RunCommand", farm_data: MakeData, tmp_path: Path
) -> None:
    data = farm_data(haproxy={"version": "2.6"}, frontend={"address": "10.20.0.10"})
    file = tmp_path / "farm.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    ran = cli("export", "ansible")
    assert ran.code == 0 and ran.out == "" and "files written below outputs/ansible" in ran.err, ran.err
    ran = cli("export", "ansible")
    assert ran.code == 0 and "0 of " in ran.err and "unchanged outputs/ansible/inventory.yml" in ran.err
    data["nodes"][1]["name"] = "orch-9"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    ran = cli("export", "ansible")
    assert "files/orchestrator-test/nodes/orch-2.yaml: an earlier export wrote this file" in ran.err
    assert cli("export", "ansible", "--vendor", "f5").code == 3
    assert cli("export", "ansible", "--balancer", "a", "-s", "farm.yaml", "-s", "other.yaml").code == 3


# What Ansible says


def tool(name: str) -> str:
    """A program of ansible, beside this Python."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        if os.environ.get("NLBGEN_REQUIRE_PROGRAMS") == "1":
            pytest.fail(f"{name} is not installed, and NLBGEN_REQUIRE_PROGRAMS=1 asks for it")
        pytest.skip(f"{name} is not installed")
    return found


def run(name: str, *args: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    program = tool(name)
    settings = {
        "PATH": f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}",
        "NO_COLOR": "1",
        "ANSIBLE_NOCOLOR": "1",
    }
    return subprocess.run(
        [program, *args],
        cwd=cwd,
        env={**os.environ, **settings, "ANSIBLE_HOME": str(cwd.parent / "home"), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


HOSTILE = "It's (a) {{ 1300 + 37 }} {# x #} # site"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of a fleet with every vendor, and with texts that mean something to YAML and to Ansible."""
    base: dict[str, Any] = {
        "orchestrator": {"version": "2019.4", "site": HOSTILE, "directory": r"C:\{{ 1300 + 37 }}\n"},
        "frontend": {
            "host": "orchestrator.corp.example",
            "address": "10.20.0.10",
            "tls": {"certificate": "/etc/ssl/{{ 7 * 191 }}/it's.pem", "verify_nodes": "/etc/ssl/ca.pem"},
        },
        "nodes": [{"name": "orch-1", "address": "10.20.0.11"}, {"name": "orch-2", "address": "2001:db8::12"}],
        "stores": {
            "database": {"server": "SQL01", "auth": {"user": "u", "password": {"file": "sql.secret"}}},
            "signalr": "redis",
            "redis": {"host": "redis-1", "port": 6379, "password": {"env": "NLBGEN_REDIS"}},
        },
    }
    specs = []
    for vendor, section in SECTIONS.items():
        data = {**base, "farm": f"{vendor}-farm", **section}
        if vendor in HOSTED:
            data["frontend"] = {**base["frontend"], "vip": VIP}
        if vendor == "nginx":
            data["frontend"]["vip"] = {**VIP, "balancers": ["10.20.0.18", "10.20.0.19"]}
        if vendor == "haproxy":
            hosts = [{"name": f"redis-{number}", "address": f"10.20.0.3{number}"} for number in (1, 2, 3)]
            sentinel = {"nodes": hosts, "ca": "/{{ 7 * 191 }}.pem"}
            store = {"password": {"env": "NLBGEN_REDIS"}, "tls": True, "sentinel": sentinel}
            data["stores"] = {**base["stores"], "redis": store}
        specs.append(loads(json.dumps(data), f"{vendor}.yaml"))
    return written(tree(*specs), tmp_path_factory.mktemp("fleet") / "ansible")


LINT = ("ansible-lint", "--offline", "--profile", "production", "--strict", "-q")


@pytest.mark.slow
@pytest.mark.no_cover  # other tests reach the same lines
def test_ansible_lint_finds_nothing(fleet: Path) -> None:
    ran = run(*LINT, cwd=fleet)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout + ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "vendors",
    [*(pytest.param((vendor,), marks=pytest.mark.long) for vendor in SECTIONS), tuple(SECTIONS)],
    ids="-".join,
)
@pytest.mark.no_cover  # other tests reach the same lines
def test_ansible_lint_finds_nothing_without_a_shared_address(
    vendors: tuple[str, ...], farm: MakeSpec, tmp_path: Path
) -> None:
    """What differs from farm to farm; the roles are those of the fleet."""
    folder = written(tree(*(farm(vendor, farm=f"{vendor}-farm") for vendor in vendors)), tmp_path / "ansible")
    ran = run(*LINT, "--exclude", "roles", cwd=folder)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout + ran.stderr


def test_copies_that_a_program_validates_follow_links(fleet: Path) -> None:
    """A configuration may be a link: the roles write its target, and keep the link."""
    copies = [
        (path.parent.parent.name, task)
        for path in sorted((fleet / "roles").rglob("tasks/*.yml"))
        for task in tasks_with(yaml.safe_load(path.read_text(encoding="utf-8")), "ansible.builtin.copy")
        if "validate" in task
    ]
    assert {role for role, _task in copies} == {"drain", "haproxy", "keepalived", "nginx"}
    assert all(task.get("follow") is True for _role, task in copies), copies


def test_node_of_a_device_is_changed_by_nlbgen_nodes_and_not_by_a_push(fleet: Path) -> None:
    tasks = fleet / "roles" / "device" / "tasks"
    (change,) = tasks_with(yaml.safe_load((tasks / "state.yml").read_text(encoding="utf-8")), "ansible.builtin.command")
    assert "'nodes', device_state, device_node" in change["argv"] and "'push'" not in change["argv"]
    for vendor in ("f5", "zen"):
        for name, used in (("others", "status"), ("out", "state"), ("back", "state")):
            path = fleet / "roles" / "drain" / "tasks" / f"{vendor}_{name}.yml"
            *_, last = tasks_with(yaml.safe_load(path.read_text(encoding="utf-8")), "ansible.builtin.include_role")
            assert last == {"name": "device", "tasks_from": f"{used}.yml"}


def tasks_with(tasks: list[dict[str, Any]], module: str) -> list[dict[str, Any]]:
    """The options of each use of a module, in blocks as well."""
    found = [task[module] for task in tasks if module in task]
    for task in tasks:
        for key in ("block", "rescue", "always"):
            found += tasks_with(task.get(key, []), module)
    return found


def test_ansible_reads_every_playbook(fleet: Path) -> None:
    ran = run("ansible-playbook", "--syntax-check", "site.yml", "balancers.yml", "nodes.yml", "upgrade.yml", cwd=fleet)
    assert ran.returncode == 0, ran.stderr
    assert "WARNING" not in ran.stderr, ran.stderr


def test_ansible_reads_the_inventory_and_runs_nothing_of_it(fleet: Path) -> None:
    (fleet.parent / "sql.secret").write_text("of the file\n", encoding="ascii")
    show = fleet / "show.yml"
    names = (
        "node_site",
        "node_directory",
        "haproxy_key_link",
        "nlbgen_secret_sql",
        "nlbgen_secret_redis",
        "node_health_urls",
    )
    tasks = [{"ansible.builtin.debug": {"msg": {name: f"{{{{ {name} | default('') }}}}" for name in names}}}]
    show.write_text(yaml.safe_dump([{"hosts": "nodes", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    ran = run(
        *("ansible-playbook", "show.yml", "--limit", "haproxy-farm.node.orch-2"),
        cwd=fleet,
        NLBGEN_REDIS="of the environment",
        ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default",
        ANSIBLE_CALLBACK_RESULT_FORMAT="json",
    )
    show.unlink()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = json.loads(re.search(r"=> (\{.*\n\})", ran.stdout, re.DOTALL)[1])["msg"]  # type: ignore[index]
    assert (said["node_site"], said["node_directory"]) == (HOSTILE, r"C:\{{ 1300 + 37 }}\n")
    assert said["nlbgen_secret_sql"] == "of the file"
    assert said["nlbgen_secret_redis"] == "of the environment"
    assert "1337" not in ran.stdout


def test_without_a_windows_host_it_stops_at_the_first_question(fleet: Path) -> None:
    """Tasks for the control host run there, whatever the node's connection is, and leave no files there."""
    (fleet.parent / "sql.secret").write_text("of the file\n", encoding="ascii")
    node = "nginx-farm.node.orch-1"
    ran = run("ansible-playbook", "nodes.yml", "--limit", node, cwd=fleet, NLBGEN_REDIS="of the environment")
    before, _task, after = ran.stdout.partition("TASK [node : Fetch the node's settings]")
    assert ran.returncode and f"ok: [{node} -> localhost]" in before and node in after, ran.stdout + ran.stderr
    assert not (fleet / "work" / "nginx-farm" / "node").exists()
    assert "of the environment" not in ran.stdout and "of the file" not in ran.stdout


def test_windows_modules_document_every_option_of_the_roles(fleet: Path) -> None:
    """There is no Windows here: at least every option that the roles give is one that the module documents."""
    used: dict[str, set[str]] = {}
    for path in (fleet / "roles").rglob("tasks/*.yml"):
        for name, options in windows_tasks(yaml.safe_load(path.read_text(encoding="utf-8"))):
            used.setdefault(name, set()).update(options)
    assert set(used) == {
        f"ansible.windows.win_{name}" for name in ("command", "copy", "powershell", "reboot", "stat", "uri")
    }
    ran = run("ansible-doc", "--json", *sorted(used), cwd=fleet)
    documented = json.loads(ran.stdout)
    for name, options in used.items():
        known = documented[name]["doc"]["options"]
        aliases = {alias for option in known.values() for alias in option.get("aliases", ())}
        assert options <= {*known, *aliases}, name


def windows_tasks(tasks: list[dict[str, Any]]) -> list[tuple[str, set[str]]]:
    """Each use of a module of ansible.windows, with the options that it gets."""
    found = []
    for task in tasks:
        for key, value in task.items():
            if key.startswith("ansible.windows."):
                found.append((key, set(value)))
            elif key in {"block", "rescue", "always"}:
                found += windows_tasks(value)
    return found


def test_powershell_of_the_roles_is_powershell(fleet: Path) -> None:
    import tree_sitter
    import tree_sitter_powershell

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    scripts = []
    for path in (fleet / "roles" / "node" / "tasks").glob("*.yml"):
        scripts += [
            script
            for script, _indent in re.findall(r"script: \|\n(( +).*\n(?:\2.*\n)*)", path.read_text(encoding="utf-8"))
        ]
    assert len(scripts) == 8
    for script in scripts:
        assert not parser.parse(script.encode()).root_node.has_error, script


def test_collections_are_pinned_to_what_was_tried(fleet: Path) -> None:
    from importlib.util import find_spec

    from packaging.specifiers import SpecifierSet

    if find_spec("ansible_collections") is None:
        tool("ansible-playbook-with-collections")
    import ansible_collections

    (wanted,) = yaml.safe_load((fleet / "requirements.yml").read_text(encoding="utf-8"))["collections"]
    place = Path(next(iter(ansible_collections.__path__)), *wanted["name"].split("."), "MANIFEST.json")
    version = json.loads(place.read_text(encoding="utf-8"))["collection_info"]["version"]
    assert version in SpecifierSet(wanted["version"])
