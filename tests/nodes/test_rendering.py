"""The files of `nlbgen render nodes`: golden files, PowerShell syntax, quoting, secrets, the runbook."""

# ruff: noqa: RUF001  # typographic quotes are what the tests are about

import json
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from nlbgen import __version__
from nlbgen.core.markdown import code
from nlbgen.nodes import plain_http, powershell, reading
from nlbgen.nodes.planning import plan_farm
from nlbgen.nodes.prepare import redis_scripts, rendering, scripts
from nlbgen.nodes.runbook.redis import sentinel
from nlbgen.nodes.values import DesiredSetting, Value
from nlbgen.spec.load import load
from nlbgen.spec.references import SecretError
from tests.nodes.powershell_rules import broken, nodes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunCommand

HERE = Path(__file__).parents[1]
EXAMPLES = HERE.parent / "examples"
GOLDEN = HERE / "golden" / "nodes"
NASTY_SITE = "O'Brien’s “Site” #1; (x86) {} [ünïcode] ^!~ 'x'"
"""A name that IIS accepts, and that PowerShell and Markdown must quote."""
NASTY = "O'Brien’s “Site” $(calc) `n; #> @{} %x% & | \\"
REDIS, SQL = "red'is$(calc)`\"’x", "sql'’$x\"; y"


def literals(script: bytes) -> set[str]:
    """The values of the strings in single quotes."""
    found = set()
    for node in nodes_of(script):
        if node.type == "verbatim_string_characters":
            text = node.text.decode()[1:-1]
            found.add(re.sub("(['‘’‚‛])['‘’‚‛]", r"\1", text))
    return found


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLES / "inputs", tmp_path / "inputs")
    shutil.copy(EXAMPLES / "farm.yaml", tmp_path / "farm.yaml")
    return tmp_path


@pytest.fixture
def other_farm(farm: Path) -> Path:
    """SQL Server for everything, an SQL login, and names with quotes and other special characters."""
    for path in (farm / "inputs").rglob("web.config"):
        text = path.read_bytes().replace(b"LoadBalancer.Redis.ConnectionString", b"LoadBalancer.Redis.Server")
        path.write_bytes(text.replace(b"LoadBalancer.Enabled", b"LoadBalancer.UseSqlServer"))
    data = {
        "frontend": {"host": "orchestrator.corp.example"},
        "orchestrator": {
            "version": "2017.1",
            "site": NASTY_SITE,
            "directory": "D:\\O'Brien’s (x86)\\$x`\\Orchestrator",
        },
        "nodes": [
            {"name": "orch-1", "address": "10.20.0.11", "config": "inputs/orch-1/web.config"},
            {"name": "orch--2", "address": "10.20.0.12", "config": "inputs/orch-2/web.config"},
        ],
        "stores": {
            "database": {
                "server": "SQL'01\\PROD",
                "name": "Ui]Pa'th",
                "auth": {"user": "o'brien", "password": {"env": "NLBGEN_TEST_SQL"}},
            },
            "signalr": "sqlserver",
        },
        "balancer": {"health": {"path": "/api/status"}},
        "farm": "farm--x",
    }
    (farm / "farm.yaml").write_text(json.dumps(data), encoding="utf-8")
    return farm


@pytest.fixture
def core_farm(farm: Path) -> Path:
    """The example's settings in the file of 2020.10 and later."""
    for path in list((farm / "inputs").rglob("web.config")):
        raw = re.sub(rb"(?s)<system.webServer>.*?</system.webServer>", b"", path.read_bytes())
        path.with_name("UiPath.Orchestrator.dll.config").write_bytes(raw)
        path.unlink()
    text = (farm / "farm.yaml").read_text(encoding="utf-8").replace("web.config,", "UiPath.Orchestrator.dll.config,")
    text = text.replace("/web.config", "/UiPath.Orchestrator.dll.config").replace('"2019.4"', '"2023.4"')
    text = text.replace("affinity: none", "affinity: signalr").replace("port: 6379", "port: 10000")
    (farm / "farm.yaml").write_text(text, encoding="utf-8")
    return farm


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLBGEN_REDIS_PASSWORD", REDIS)
    monkeypatch.setenv("NLBGEN_TEST_SQL", SQL)


def rendered(farm: Path, **options: bool) -> dict[str, bytes]:
    return {str(file.path): file.content for file in rendering.render(load(farm / "farm.yaml"), **options).files}


def changed(farm: Path, change: "Callable[[dict[str, Any]], None]") -> Path:
    """Change the data of a spec in JSON."""
    data = json.loads((farm / "farm.yaml").read_text(encoding="utf-8"))
    change(data)
    (farm / "farm.yaml").write_text(json.dumps(data), encoding="utf-8")
    return farm


@pytest.mark.parametrize("case", ["example", "other", "core"])
def test_render_matches_the_golden_files(
    case: str, request: pytest.FixtureRequest, secrets: None, update_golden: bool
) -> None:
    files = rendered(request.getfixturevalue("farm" if case == "example" else f"{case}_farm"))
    header = f"Made by nlbgen {__version__} ".encode()
    found = {name: content.replace(header, b"Made by nlbgen VERSION ") for name, content in files.items()}
    folder = GOLDEN / case
    if update_golden:
        shutil.rmtree(folder, ignore_errors=True)
        for name, content in found.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    stored = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert stored == found


def test_render_prepared_config_equals_the_plan(farm: Path, secrets: None) -> None:
    files = rendered(farm)
    for node in plan_farm(load(farm / "farm.yaml")).nodes:
        assert files[f"{node.node.name}/web.config"] == node.files[0][1]


def test_render_transform_of_a_section_in_its_own_file_sets_its_attributes(farm: Path, secrets: None) -> None:
    for path in (farm / "inputs").rglob("web.config"):
        text = path.read_text(encoding="utf-8-sig")
        (section,) = re.findall(r"<machineKey[^>]*/>", text)
        path.with_name("keys.config").write_text(section, encoding="utf-8")
        path.write_text(text.replace(section, '<machineKey configSource="keys.config"/>'), encoding="utf-8")
    files = rendered(farm)
    (tag,) = re.findall(r"<machineKey[^>]*>", files["orch-2/keys.nlb.config"].decode())
    assert tag.endswith('xdt:Transform="SetAttributes(decryptionKey,validationKey)" />')
    (key,) = re.findall(r' decryptionKey="(\w+)"', (farm / "inputs/orch-1/keys.config").read_text(encoding="utf-8"))
    assert f' decryptionKey="{key}"' in tag
    assert "machineKey" not in files["orch-2/Web.nlb.config"].decode()


# PowerShell.


@pytest.mark.parametrize("with_secrets", [False, True])
@pytest.mark.parametrize("case", ["farm", "other_farm", "core_farm"])
@pytest.mark.no_cover  # other tests reach the same lines
def test_render_scripts_break_no_rule(
    case: str, with_secrets: bool, request: pytest.FixtureRequest, secrets: None
) -> None:
    files = rendered(request.getfixturevalue(case), with_secrets=with_secrets)
    scripts = {name: content for name, content in files.items() if name.endswith(".ps1")}
    assert len(scripts) >= 3
    assert {name: broken(content) for name, content in scripts.items()} == {name: [] for name in scripts}


@pytest.mark.parametrize("case", ["farm", "other_farm", "core_farm"])
def test_runbook_blocks_break_no_rule(case: str, request: pytest.FixtureRequest, secrets: None) -> None:
    text = rendered(request.getfixturevalue(case))["RUNBOOK.md"].decode()
    blocks = re.findall(r"^```powershell\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        # A person watches each line of a block, and goes on after an error.
        assert [one for one in broken(block.encode()) if one.rule not in {"stop", "between", "unguarded"}] == []


def test_render_hostile_names_stay_inside_literals(other_farm: Path, secrets: None) -> None:
    files = rendered(other_farm)
    prepare = literals(files["orch--2/prepare-node.ps1"])
    assert {NASTY_SITE, "D:\\O'Brien’s (x86)\\$x`\\Orchestrator\\web.config"} <= prepare
    assert {"SQL'01\\PROD", "Ui]Pa'th", "o'brien"} <= literals(files["sessionstate.ps1"])
    assert "USE [Ui]]Pa'th];" in files["verify.sql"].decode()


def test_render_with_secrets_writes_exact_literals(farm: Path, secrets: None) -> None:
    files = rendered(farm, with_secrets=True)
    assert REDIS in literals(files["orch-2/prepare-node.ps1"])
    assert REDIS in literals(files["redis.ps1"])


def test_render_non_ascii_script_starts_with_a_byte_order_mark(other_farm: Path, secrets: None) -> None:
    for name, content in rendered(other_farm).items():
        if name.endswith(".ps1"):
            assert content.isascii() or content.startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "\0", "\x1b"])
def test_literal_control_character_raises(text: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        powershell.literal(text)


def test_render_script_sets_every_change_of_the_plan(farm: Path, secrets: None) -> None:
    script = rendered(farm)["orch-2/prepare-node.ps1"].decode()
    for change in plan_farm(load(farm / "farm.yaml")).plan.changes:
        match = re.fullmatch(r"(.*)[/@]([^/@]+)", change.path)
        assert match is not None
        section, key = match.groups()
        assert re.search(rf"^    Set-\w+ \$File '{re.escape(section)}' '{re.escape(key)}' ", script, re.MULTILINE)


def test_render_scripts_contain_the_commands_of_the_guide(farm: Path, other_farm: Path, secrets: None) -> None:
    files = rendered(other_farm)
    text = files["sessionstate.ps1"].decode("utf-8-sig")
    words = "@('-S', (ConvertTo-SqlValue $Server), '-d', $Database, '-ssadd', '-sstype', 'c') + $login"
    assert words in text
    assert "@('-U', (ConvertTo-SqlValue $User), '-P', (ConvertTo-SqlValue $Password))" in text
    for table in ("[SignalR].[Messages_0]", "[SignalR].[Messages_0_Id]", "[SignalR].[Schema]"):
        assert f"N'{table}'" in files["verify.sql"].decode()
    shutil.copy(EXAMPLES / "farm.yaml", farm / "farm.yaml")
    shutil.copytree(EXAMPLES / "inputs", farm / "inputs", dirs_exist_ok=True)
    files = rendered(farm)
    redis = files["redis.ps1"].decode()
    assert "'/q', '/norestart', '/i'" in redis
    assert "ADD_FIREWALL_RULE=1" in redis
    assert "single point of failure" in redis
    assert "@('-E')" in files["sessionstate.ps1"].decode()


# Secrets.


def values_of(farm: Path) -> list[str]:
    text = "".join(path.read_text(encoding="utf-8-sig") for path in (farm / "inputs").rglob("web.config"))
    found = re.findall(r'(?:EncryptionKey|ApiKey)" value="([^"]+)"|(?:decryption|validation)Key="([^"]+)"', text)
    return [value for pair in found for value in pair if value]


@pytest.mark.parametrize("case", ["farm", "other_farm"])
def test_render_only_prepared_configs_contain_secrets(case: str, request: pytest.FixtureRequest, secrets: None) -> None:
    folder = request.getfixturevalue(case)
    values = [*values_of(folder), REDIS, SQL]
    assert len(values) == 12
    for file in rendering.render(load(folder / "farm.yaml")).files:
        text = file.content.decode("utf-8-sig")
        holds = any(value in text for value in values)
        assert not holds or file.secret, file.path
        assert file.secret == file.path.name.endswith(".config")


def test_render_with_secrets_marks_scripts_as_secret(farm: Path, secrets: None) -> None:
    for file in rendering.render(load(farm / "farm.yaml"), with_secrets=True).files:
        if file.path.name in {"prepare-node.ps1", "redis.ps1"}:
            assert file.secret


def test_render_missing_secret_writes_the_rest_and_names_the_variable(
    cli: "RunCommand", farm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NLBGEN_REDIS_PASSWORD", raising=False)
    ran = cli("render", "nodes", cwd=farm)
    assert ran.code == 0
    assert "NLBGEN_REDIS_PASSWORD is not set" in ran.err
    names = {path.name for path in (farm / "outputs" / "nodes").rglob("*") if path.is_file()}
    assert names == {"prepare-node.ps1", "redis.ps1", "test-redis.ps1", "sessionstate.ps1", "verify.sql", "RUNBOOK.md"}
    assert cli("render", "nodes", "--with-secrets", cwd=farm).code == 1


# The command.


def test_render_files_with_secrets_have_mode_0600(cli: "RunCommand", farm: Path, secrets: None) -> None:
    assert cli("render", "nodes", cwd=farm).code == 0
    for path in (farm / "outputs").rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path.suffix == ".config" else 0o644)
    loose = farm / "outputs" / "nodes" / "orch-1" / "web.config"
    loose.chmod(0o644)
    ran = cli("render", "nodes", cwd=farm)
    assert "wrote" not in ran.err
    assert stat.S_IMODE(loose.stat().st_mode) == 0o600


def test_render_diff_prints_no_secret(cli: "RunCommand", farm: Path, secrets: None) -> None:
    ran = cli("render", "nodes", "--diff", cwd=farm)
    assert ran.code == 1
    assert "(contains secrets: not shown)" in ran.out
    assert "+# orchestrator-prod" in ran.out
    for value in [*values_of(farm), REDIS]:
        assert value not in ran.out + ran.err
    cli("render", "nodes", cwd=farm)
    assert cli("render", "nodes", "--diff", cwd=farm).code == 0


def test_render_stdout_prints_the_runbook(cli: "RunCommand", farm: Path, secrets: None) -> None:
    ran = cli("render", "nodes", "--stdout", cwd=farm)
    assert "# orchestrator-prod: from one Orchestrator to 2 nodes" in ran.out
    assert not (farm / "outputs").exists()


def test_render_all_includes_the_nodes(cli: "RunCommand", farm: Path, secrets: None) -> None:
    assert cli("render", "all", "--no-validate", cwd=farm).code == 0
    assert {path.name for path in (farm / "outputs").iterdir()} >= {"haproxy", "nginx", "nodes"}


def test_render_all_without_configs_skips_the_nodes(cli: "RunCommand", farm: Path) -> None:
    shutil.rmtree(farm / "inputs")
    ran = cli("render", "all", "--no-validate", cwd=farm)
    assert ran.code == 0
    assert "nodes: skipped" in ran.err
    assert cli("render", "nodes", cwd=farm).code == 5


def test_render_node_without_config_gets_only_its_script(cli: "RunCommand", farm: Path, secrets: None) -> None:
    text = (farm / "farm.yaml").read_text(encoding="utf-8").replace(", config: inputs/orch-2/web.config", "")
    (farm / "farm.yaml").write_text(text, encoding="utf-8")
    ran = cli("render", "nodes", cwd=farm)
    assert ran.code == 0
    assert [path.name for path in (farm / "outputs" / "nodes" / "orch-2").iterdir()] == ["prepare-node.ps1"]


def test_render_without_configs_writes_no_config_and_reads_no_secret(farm: Path) -> None:
    names = {Path(name).name for name in rendered(farm, with_configs=False)}
    assert names == {"prepare-node.ps1", "redis.ps1", "test-redis.ps1", "sessionstate.ps1", "verify.sql", "RUNBOOK.md"}


def test_render_sessions_in_memory_has_only_the_tables_of_signalr(other_farm: Path, secrets: None) -> None:
    def change(data: dict[str, Any]) -> None:
        data["nodes"] = data["nodes"][:1]
        data["stores"]["session"] = "inproc"

    files = rendered(changed(other_farm, change))
    assert "sessionstate.ps1" not in files
    assert "[SignalR].[Schema]" in files["verify.sql"].decode()
    assert "ASPState" not in files["verify.sql"].decode()
    assert "Create the session tables" not in files["RUNBOOK.md"].decode()


def test_render_script_without_its_store_is_an_internal_error(farm: Path) -> None:
    spec = load(farm / "farm.yaml")
    bare = spec._replace(farm=spec.farm.replace(stores=spec.farm.stores.replace(database=None, redis=None)))
    with pytest.raises(ValueError, match="without a database"):
        scripts.session_tables(bare, with_secrets=False)
    login = redis_scripts.login(spec, (), reading.load_configs(spec)[spec.farm.primary])
    assert login is not None
    with pytest.raises(ValueError, match="without Redis"):
        redis_scripts.server(bare, login, with_secrets=False)


# The runbook.


def test_runbook_core_single_node_without_redis_has_no_steps_for_others(core_farm: Path) -> None:
    text = (core_farm / "farm.yaml").read_text(encoding="utf-8")
    data = YAML(typ="safe", pure=True).load(text)
    data["nodes"] = data["nodes"][:1]
    data["stores"].update(signalr="inproc", redis=None)
    (core_farm / "farm.yaml").write_text(json.dumps(data), encoding="utf-8")
    runbook = rendered(core_farm)["RUNBOOK.md"].decode()
    assert "High Availability Add-on" not in runbook
    assert "Prepare the other nodes" not in runbook
    assert "AsSecureString" not in runbook
    assert "test-redis.ps1" not in runbook


def test_runbook_directory_on_a_share_is_not_changed(other_farm: Path, secrets: None) -> None:
    def change(data: dict[str, Any]) -> None:
        data["orchestrator"]["directory"] = r"\\srv\Orchestrator"

    text = rendered(changed(other_farm, change))["RUNBOOK.md"].decode()
    assert r"-KeysFrom '\\srv\Orchestrator\web.config'" in text


def test_runbook_tls_at_the_balancer_disables_the_redirect_of_the_nodes(other_farm: Path, secrets: None) -> None:
    def change(data: dict[str, Any]) -> None:
        data["frontend"]["tls"] = {"mode": "terminate"}

    files = rendered(changed(other_farm, change))
    text = files["RUNBOOK.md"].decode()
    rule = section(text, "Let IIS accept HTTP from the balancer")
    assert "-Name enabled -Value $false" in rule.partition("**Rollback:**")[0]
    assert "-Name enabled -Value $true" in rule.partition("**Rollback:**")[2]
    assert text.index("Let IIS accept HTTP") < text.index("Prepare the nodes")
    assert "if ($served -and -not $SkipStatusCheck) { Assert-NoRedirect" in files["orch-1/prepare-node.ps1"].decode(
        "utf-8-sig"
    )


@pytest.mark.parametrize("text", ["a", "a`b", "``", "`a", "x|y", NASTY])
def test_code_any_text_is_one_span(text: str) -> None:
    span = code(text)
    match = re.match("`+", span)
    assert match is not None
    fence = match[0]
    assert span.endswith(fence)
    assert fence not in span[len(fence) : -len(fence)]


def test_runbook_steps_have_a_check_and_a_rollback(farm: Path, secrets: None) -> None:
    text = rendered(farm)["RUNBOOK.md"].decode()
    numbered = re.findall(r"^## \d+\. ", text, re.MULTILINE)
    assert len(numbered) >= 8
    assert text.count("**It worked if**") == text.count("**Rollback:**") == len(numbered)
    for name in ("orch-1", "orch-2", "orchestrator.corp.example", "SQL01\\PROD", "redis-1.corp.example", "10.20.0.10"):
        assert name in text


def section(text: str, title: str) -> str:
    """One step of a runbook."""
    match = re.search(rf"^## \d+\. {title}.*?(?=^## )", text, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[0]


@pytest.mark.parametrize("case", ["farm", "other_farm", "core_farm"])
def test_runbook_reads_secrets_as_secure_strings(case: str, request: pytest.FixtureRequest, secrets: None) -> None:
    text = rendered(request.getfixturevalue(case))["RUNBOOK.md"].decode()
    reads = re.findall(r"^(\$env:\w+) = (.*)$", text, re.MULTILINE)
    assert reads
    assert all("Read-Host" in read and "-AsSecureString" in read for _name, read in reads)


def test_runbook_new_classic_node_starts_after_its_preparation(farm: Path, secrets: None) -> None:
    files = rendered(farm)
    text = files["RUNBOOK.md"].decode()
    install = section(text, "Install the Orchestrator on the other nodes")
    for command in ("Stop-Website", "Stop-WebAppPool", "serverAutoStart -Value $false", "autoStart -Value $false"):
        assert command in install
    assert text.index("Stop-WebAppPool") < text.index(r".\orch-2\prepare-node.ps1")
    script = files["orch-2/prepare-node.ps1"].decode()
    saved, started = (
        script.index("$prepared = $true"),
        script.index("        Start-Node $pool\n        $started = $true"),
    )
    assert saved < started < script.index("serverAutoStart -Value $true") < script.rindex("if ($prepared -or")
    # A node is started before its file is replaced only if it served the farm with its old file.
    restore = script[script.index("function Restore-Node") : script.index("function Get-Answer")]
    assert restore.index("elseif (-not $Served)") < restore.index("return") < restore.index("Start-Node")


def test_runbook_core_version_has_its_own_steps(core_farm: Path, secrets: None) -> None:
    files = rendered(core_farm)
    assert not {"redis.ps1", "sessionstate.ps1", "verify.sql"} & set(files)
    text = files["RUNBOOK.md"].decode()
    for classic in (r".\redis.ps1", "Redis-x64", "aspnet_regiis", "aspnet_regsql", "sessionstate", "web.config"):
        assert classic not in text
    install = section(text, "Install the Orchestrator on the other nodes as secondary nodes")
    assert "SECONDARY_NODE=1 PARAMETERS_FILE=install.json" in install
    assert "EncryptionKey2021" in install
    assert "10000" in section(text, "Install the High Availability Add-on")
    assert "IdentityServer.Integration.Authority" in section(text, "Give the first node the farm's URL")
    assert "UiPath.Orchestrator.Cli.exe protected-configuration -pe" in text
    assert text.index(r".\orch-1\prepare-node.ps1") < text.index("SECONDARY_NODE") < text.index(r".\orch-2\prepare")


@pytest.mark.parametrize(
    "version, tool",
    [
        ("2020.10.8", "UiPath.Orchestrator.Setup.ProtectedConfiguration.Console.exe -p"),
        ("2023.4", "UiPath.Orchestrator.Cli.exe protected-configuration -p"),
    ],
)
def test_render_protection_tool_is_that_of_the_version(core_farm: Path, secrets: None, version: str, tool: str) -> None:
    text = (core_farm / "farm.yaml").read_text(encoding="utf-8").replace('"2023.4"', f'"{version}"')
    (core_farm / "farm.yaml").write_text(text, encoding="utf-8")
    files = rendered(core_farm)
    assert f"`{tool}e " in files["RUNBOOK.md"].decode()
    assert f"{tool}d `" in files["orch-2/prepare-node.ps1"].decode()


def test_render_symlinked_config_keeps_its_name(farm: Path, secrets: None) -> None:
    path = farm / "inputs" / "orch-2" / "web.config"
    path.rename(farm / "real.xml")
    path.symlink_to(farm / "real.xml")
    assert "orch-2/web.config" in rendered(farm)


def under_sentinel(farm: Path) -> Path:
    """The farm with its Redis under Sentinel."""
    data = YAML(typ="safe", pure=True).load((farm / "farm.yaml").read_text(encoding="utf-8"))
    hosts = [{"name": f"redis-{number}", "address": f"10.20.0.2{number}"} for number in (1, 2, 3)]
    data["stores"]["redis"] = {"password": {"env": "NLBGEN_REDIS_PASSWORD"}, "sentinel": {"nodes": hosts}}
    (farm / "farm.yaml").write_text(json.dumps(data), encoding="utf-8")
    return farm


@pytest.mark.parametrize("name", ["farm", "core_farm"])
def test_runbook_redis_under_sentinel_connects_the_nodes_to_the_balancer(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLBGEN_REDIS_PASSWORD", "r3dis-pass")
    farm = under_sentinel(request.getfixturevalue(name))
    files = rendered(farm, with_secrets=True)
    host = load(farm / "farm.yaml").farm.frontend.host
    assert "redis.ps1" not in files
    runbook = files["RUNBOOK.md"].decode()
    assert "Install Redis and Sentinel" in runbook
    assert "redis-1 (10.20.0.21), redis-2 (10.20.0.22), redis-3 (10.20.0.23)" in runbook
    assert r".\test-redis.ps1" in runbook
    assert f"HostName = '{host}'; Port = 6379 }}" in files["test-redis.ps1"].decode()
    assert "Add-on" not in runbook
    nodes_of(files["orch-1/prepare-node.ps1"])
    assert any(f"{host}:6379,password=r3dis-pass".encode() in content for content in files.values())


def test_runbook_core_farm_with_tls_at_the_balancer_accepts_http_before_the_nodes_are_prepared(
    core_farm: Path, secrets: None
) -> None:
    data = YAML(typ="safe", pure=True).load((core_farm / "farm.yaml").read_text(encoding="utf-8"))
    data["frontend"]["tls"]["mode"] = "terminate"
    servers = ["haa-1.corp.example:10000", "haa-2.corp.example:10000", "haa-3.corp.example:10000"]
    data["stores"]["redis"] = {"endpoints": servers, "password": {"env": "NLBGEN_REDIS_PASSWORD"}}
    (core_farm / "farm.yaml").write_text(json.dumps(data), encoding="utf-8")
    runbook = rendered(core_farm)["RUNBOOK.md"].decode()
    assert runbook.index("Let IIS accept HTTP from the balancer") < runbook.index(" Prepare orch-1\n")
    assert plain_http.DISABLE in runbook
    step = section(runbook, "Install the High Availability Add-on")
    assert all(f"`{server}`" in step for server in servers)
    assert "single point of failure" not in step


def with_sentinels(farm: Path) -> Path:
    """The farm with sentinels that the nodes ask themselves."""
    data = YAML(typ="safe", pure=True).load((farm / "farm.yaml").read_text(encoding="utf-8"))
    data["stores"]["redis"] = {
        "password": {"env": "NLBGEN_REDIS_PASSWORD"},
        "endpoints": ["s1.corp.example", "s2.corp.example"],
        "options": {"serviceName": "orch-master"},
    }
    (farm / "farm.yaml").write_text(json.dumps(data), encoding="utf-8")
    return farm


def test_render_sentinels_that_the_nodes_ask_are_proven_by_their_master(core_farm: Path, secrets: None) -> None:
    files = rendered(with_sentinels(core_farm))
    for name in ("test-redis.ps1", "orch-2/prepare-node.ps1"):
        text = files[name].decode("utf-8-sig")
        assert "Name = 's2.corp.example:26379'" in text
        assert "@('SENTINEL', 'get-master-addr-by-name', 'orch-master')" in text
        assert broken(files[name]) == []
    runbook = files["RUNBOOK.md"].decode()
    assert "`s1.corp.example:26379` and `s2.corp.example:26379`" in runbook
    assert "each sentinel names a master that answers" in runbook
    assert "Add-on" not in runbook


def test_login_of_a_version_that_asks_no_sentinel_has_servers(farm: Path) -> None:
    """StackExchange.Redis 1.2.6 ignores `serviceName`."""
    spec = load(farm / "farm.yaml")
    value = Value(("s1.corp.example:26379,serviceName=orch-master",))
    config = reading.load_configs(spec)[spec.farm.primary]
    login = redis_scripts.login(spec, [DesiredSetting("appSettings", "x", value, "redis")], config)
    assert login is not None
    assert login.service == ""


def test_runbook_step_without_sentinel_is_an_internal_error(farm: Path) -> None:
    with pytest.raises(ValueError, match="without Sentinel"):
        sentinel(load(farm / "farm.yaml").farm, {})


def test_render_password_that_sentinel_cannot_hold_is_refused(farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLBGEN_REDIS_PASSWORD", "a b")
    with pytest.raises(SecretError, match=r"sentinel.conf has no quoting, and cannot hold U\+0020"):
        rendered(under_sentinel(farm), with_secrets=True)
