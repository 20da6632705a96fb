"""The files of `nlbgen render upgrade`: configurations, specs, scripts and the runbook."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from nlbgen.core.errors import UnsupportedError
from nlbgen.export.upgrade import rendering
from nlbgen.generators.base import generator, render
from nlbgen.spec.load import Spec, loads

if TYPE_CHECKING:
    from tests.conftest import RunCommand

MakeSpec = Callable[..., Spec]
HERE = Path(__file__).parents[1]
GOLDEN = HERE / "golden_upgrade"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/farm.yaml"))
NASTY = "O'Clock $x {y} [z] \\ \" <b>ü</b>; #1"


def rendered(spec: Spec) -> dict[str, str]:
    return {str(file.path): file.content.decode("utf-8-sig") for file in rendering.render_upgrade(spec)}


@pytest.mark.parametrize("case", CASES)
def test_render_of_a_golden_upgrade_equals_its_files(case: str, update_golden: bool) -> None:
    spec = loads((GOLDEN / case / "farm.yaml").read_text(encoding="utf-8"))
    version = re.compile(r"Made by nlbgen \S+ ")
    files = {name: version.sub("Made by nlbgen VERSION ", text) for name, text in rendered(spec).items()}
    kept = {name: text for name, text in files.items() if name.endswith((".md", ".ps1", ".sh", ".yaml"))}
    if update_golden:
        for name, text in kept.items():
            path = GOLDEN / case / "upgrade" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
    stored = {
        path.relative_to(GOLDEN / case / "upgrade").as_posix(): path.read_bytes().decode()
        for path in (GOLDEN / case / "upgrade").rglob("*")
        if path.is_file()
    }
    assert stored == kept


def test_golden_cases_cover_programs_and_devices() -> None:
    assert len(CASES) == 2


def test_steps_have_a_check_and_a_rollback_each(make_spec: MakeSpec) -> None:
    text = rendered(make_spec(haproxy={"version": "2.6"}))["UPGRADE.md"]
    steps = text.split("\n## ")[1:-1]
    assert [step.splitlines()[0].partition(".")[0] for step in steps] == [str(n) for n in range(1, len(steps) + 1)]
    assert all("**It worked if** " in step and "**Rollback:** " in step for step in steps)
    order = ["Before", "snapshot", "Close", "Stop all", "Back up", "first node", "settings of orch-1", "Start orch-1"]
    order += ["other nodes", "settings of orch-2", "Start orch-2", "Compare all", "Release"]
    titles = [step.splitlines()[0] for step in steps]
    assert all(word in title for word, title in zip(order, titles, strict=True)), titles


def test_farm_of_one_node_has_no_steps_for_others(make_spec: MakeSpec) -> None:
    one = make_spec(haproxy={"version": "2.6"}, nodes=[{"name": "orch-1", "address": "10.0.0.1"}])
    assert "the other nodes" not in rendered(one)["UPGRADE.md"]


def test_configurations_are_those_of_the_generator(make_spec: MakeSpec) -> None:
    spec = make_spec(haproxy={"version": "2.6"}, nginx={"version": "1.22"})
    files = rendered(spec)
    for vendor, main in (("haproxy", "haproxy.cfg"), ("nginx", "nginx.conf")):
        for state in ("closed", "releasing"):
            changed = make_spec(
                haproxy={"version": "2.6"}, nginx={"version": "1.22"}, balancer={"maintenance": {"state": state}}
            )
            own = next(file.content.decode() for file in render(generator(vendor), changed) if file.main)
            digests = re.compile("digest [0-9a-f]+")
            assert digests.sub("", files[f"{vendor}/{state}/{main}"]) == digests.sub("", own)


def test_devices_get_specs_for_their_push(make_spec: MakeSpec) -> None:
    spec = make_spec(f5={"host": "10.0.0.9"}, frontend={"address": "10.20.0.10"}, balancer={"max_body": "1MB"})
    files = rendered(spec)
    data = yaml.safe_load(files[f"specs/{spec.farm.farm}-closed.yaml"])
    assert data["balancer"] == {"max_body": "1MB", "maintenance": {"state": "closed"}}
    assert loads(json.dumps(data)).farm.balancer.maintenance.state == "closed"
    assert not any("releasing" in name for name in files), "F5 has no gradual release"
    text = files["UPGRADE.md"]
    assert f"nlbgen push f5 -s {spec.farm.farm}-closed.yaml" in text
    assert "F5 BIG-IP cannot limit new connections" in text


def test_specs_compare_the_nodes_with_the_snapshot(make_spec: MakeSpec) -> None:
    spec = make_spec(haproxy={"version": "2.6"}, orchestrator={"version": "2022.10"}, balancer={"affinity": "signalr"})
    files = rendered(spec)
    full, first = (
        yaml.safe_load(files[f"specs/{spec.farm.farm}-{name}.yaml"]) for name in ("compare", "compare-first")
    )
    assert [node["config"] for node in full["nodes"]] == ["upgrade/after/orch-1", "upgrade/after/orch-2"]
    assert [node.get("config") for node in first["nodes"]] == ["upgrade/after/orch-1", None]
    assert full["keys"] == first["keys"] == {"from": "upgrade/before/orch-1/UiPath.Orchestrator.dll.config"}


def test_named_vendor_that_lacks_a_feature_is_an_error_and_others_are_left_out(make_spec: MakeSpec) -> None:
    with pytest.raises(UnsupportedError):
        rendering.render_upgrade(make_spec(nginx={"version": "1.22"}, balancer={"slow_start": "30s"}))
    found = {variant.vendor.name for variant in rendering.variants(make_spec(balancer={"slow_start": "30s"}))}
    assert found == {"haproxy", "f5"} or found == {"haproxy"}


def test_robots_of_the_spec_give_the_duration_of_the_release(make_spec: MakeSpec) -> None:
    spec = make_spec(haproxy={"version": "2.6"}, orchestrator={"version": "2019.4", "robots": 501})
    assert "lets 20 robots connect in each second: 26 s for 501 robots" in rendered(spec)["UPGRADE.md"]


def test_passthrough_has_no_page(make_spec: MakeSpec) -> None:
    spec = make_spec(haproxy={"version": "2.6"}, frontend={"tls": {"mode": "passthrough"}})
    files = rendered(spec)
    assert "the balancer closes connections" in files["UPGRADE.md"]
    assert "expect balancer 000" in files["smoke.sh"]


def test_script_for_nodes_breaks_no_rule(make_spec: MakeSpec) -> None:
    from ..nodes.powershell_rules import broken

    site = "O'Brien\u2019s x"
    spec = make_spec(haproxy={"version": "2.6"}, orchestrator={"version": "2022.10", "site": site})
    script = rendered(spec)["upgrade-node.ps1"]
    # `Stop` leaves the node stopped: that is its task.
    assert [one for one in broken(script.encode()) if one.rule != "stop"] == []
    assert "'O''Brien\u2019\u2019s x'" in script
    assert "'Identity\\appsettings.Production.json'" in script


@pytest.mark.parametrize("node", ["10.0.0.1", "2001:db8::1"])
def test_smoke_test_requests_each_endpoint_of_a_node(make_spec: MakeSpec, tmp_path: Path, node: str) -> None:
    nodes = [{"name": "orch-1", "address": node}, {"name": "orch-2", "address": "10.0.0.2"}]
    spec = make_spec(
        haproxy={"version": "2.6"}, nodes=nodes, balancer={"health": {"paths": ["/api/health?a=1&b=%20", "/i"]}}
    )
    (tmp_path / "smoke.sh").write_text(rendered(spec)["smoke.sh"], encoding="utf-8")
    (tmp_path / "curl").write_text('#!/bin/sh\necho "$@" >> "$0.log"\nprintf "${STATUS}"\n', encoding="utf-8")
    (tmp_path / "curl").chmod(0o755)

    def smoke(what: str, status: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "STATUS": status, **variables}
        return subprocess.run(
            ["/bin/sh", "smoke.sh", *([what] if what else [])],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    assert smoke("orch-1", "200").returncode == 0
    asked = (tmp_path / "curl.log").read_text(encoding="utf-8").splitlines()
    endpoint = "[2001:db8::1]:443" if ":" in node else "10.0.0.1:443"
    host = spec.farm.frontend.host
    assert [line.split()[-3:] for line in asked] == [
        ["--connect-to", f"::{endpoint}", f"https://{host}{path}"] for path in ("/api/health?a=1&b=%20", "/i")
    ]
    failed = smoke("nodes", "503")
    assert (failed.returncode, failed.stderr.count("FAILED")) == (1, 4)
    assert smoke("closed", "503", BALANCER="10.0.0.9:443", CA="/ca.pem").returncode == 0
    last = (tmp_path / "curl.log").read_text(encoding="utf-8").splitlines()[-1]
    assert "--cacert /ca.pem" in last and "--connect-to ::10.0.0.9:443" in last
    assert smoke("open", "200").returncode == 0
    assert (smoke("", "200").returncode, smoke("orch-9", "200").returncode) == (2, 2)


# The answer of the balancers


def texts(spec: Spec, vendor: str) -> str:
    return next(file.content.decode() for file in render(generator(vendor), spec) if file.main)


@pytest.mark.haproxy
@pytest.mark.parametrize("vendor", ["haproxy", "nginx", "f5"])
def test_closed_farm_answers_with_the_page_and_retry_after(make_spec: MakeSpec, vendor: str) -> None:
    maintenance = {"state": "closed", "message": NASTY, "retry_after": "90s"}
    spec = make_spec(frontend={"address": "10.20.0.10"}, balancer={"maintenance": maintenance})
    text = texts(spec, vendor)
    assert (
        "O&#39;Clock &#36;x &#123;y&#125; &#91;z&#93; &#92; &#34; &#60;b&#62;&#252;&#60;&#47;b&#62;&#59; &#35;1" in text
    )
    assert re.search(r"Retry-After\S* \"?90", text)
    assert "503" in text


@pytest.mark.parametrize("vendor", ["haproxy", "f5"])
def test_closed_farm_disables_all_nodes(make_spec: MakeSpec, vendor: str) -> None:
    spec = make_spec(frontend={"address": "10.20.0.10"}, balancer={"maintenance": {"state": "closed"}})
    lines = [line for line in texts(spec, vendor).splitlines() if re.match(r" +(server orch|state user)", line)]
    assert lines and all("disabled" in line or "user-down" in line for line in lines)


def test_closed_farm_of_zen_has_the_page_for_503(make_spec: MakeSpec) -> None:
    spec = make_spec(
        frontend={"address": "10.20.0.10"},
        balancer={"maintenance": {"state": "closed", "message": "Later."}},
        accept=["zen-verify-nodes", "zen-least-connections"],
    )
    files = {file.path.name: file.content.decode() for file in render(generator("zen"), spec)}
    page = next(text for name, text in files.items() if name.endswith("_Err503.html") and "http" not in name)
    assert "<p>Later.</p>" in page
    status = next(text for name, text in files.items() if name.endswith("_status.cfg") and "http" not in name)
    assert status.count("maintenance") == 2


@pytest.mark.parametrize(("vendor", "limit"), [("haproxy", "sc1_gpc0_rate ge 7 "), ("nginx", "rate=7r/s;")])
def test_release_limits_new_robots(make_spec: MakeSpec, vendor: str, limit: str) -> None:
    maintenance = {"state": "releasing", "robots_per_second": 7}
    assert limit in texts(make_spec(balancer={"maintenance": maintenance}), vendor)
    assert limit not in texts(make_spec(), vendor)


@pytest.mark.parametrize("vendor", ["zen", "f5"])
def test_release_is_refused_by_id_where_the_vendor_has_no_limit(make_spec: MakeSpec, vendor: str) -> None:
    with pytest.raises(UnsupportedError, match=f"{vendor}-gradual-release"):
        texts(make_spec(balancer={"maintenance": {"state": "releasing"}}), vendor)


def test_command_writes_the_files_and_all_leaves_them_out(
    make_spec: MakeSpec, cli: "RunCommand", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data: dict[str, Any] = {**make_spec(haproxy={"version": "2.6"}).document.data}
    (tmp_path / "farm.yaml").write_text(json.dumps(data), encoding="utf-8")
    ran = cli("render", "upgrade", "--no-validate")
    assert ran.code == 0, ran.err
    assert "wrote outputs/upgrade/UPGRADE.md" in ran.err.replace("\\", "/")
    assert cli("render", "upgrade", "--diff", "--no-validate").code == 0
    shown = cli("render", "upgrade", "--stdout", "--no-validate").out
    assert "upgrade of Orchestrator" in shown
    cli("render", "all", "-o", "other", "--no-validate")
    assert (tmp_path / "other" / "haproxy").is_dir()
    assert not (tmp_path / "other" / "upgrade").exists()
