"""The audit: which nodes differ in which settings, which problems no farm can have, and no secret in the output."""

# ruff: noqa: E501  # the samples are lines of config files

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen.nodes.audit import Audit, audit
from nlbgen.nodes.config import webconfig
from nlbgen.nodes.config.effective import Config
from nlbgen.nodes.observed import version_range

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunCommand

KEY = "CDCD" + "0F" * 18
EXAMPLES = Path(__file__).parents[2] / "examples"
FIT = """<configuration>
  <connectionStrings><add name="Default" connectionString="Server=SQL01;Database=UiPath;User ID=sa;Password=db-secret"/></connectionStrings>
  <appSettings>
    <add key="apiKey" value="0f8fad5b-d9cb-469f-a165-70867728950e"/>
    <add key="Storage.Type" value="FileSystem"/>
    <add key="Storage.Location" value="RootPath=\\\\srv\\share"/>
    <add key="LoadBalancer.UseRedis" value="true"/>
    <add key="LoadBalancer.Redis.ConnectionString" value="redis:6379,password=redis-secret"/>
    <add key="quartz.jobStore.clustered" value="true"/>
  </appSettings>
  <secureAppSettings><add key="EncryptionKey" value="c2VjcmV0LW9uZS1zZWNyZXQtb25lLXNlY3JldC1vbjE="/></secureAppSettings>
  <system.web>
    <sessionState mode="SQLServer" sqlConnectionString="Server=SQL01;Database=UiPath;user id=sa;password=db-secret" allowCustomSqlDatabase="true"/>
    <machineKey decryptionKey="ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB" validationKey="CDCD0F0F0F0F0F0F0F0F0F0F0F0F0F0F0F0F0F0F"/>
  </system.web>
</configuration>
"""


def config(text: str = FIT, name: str = "web.config") -> Config:
    return Config(webconfig.parse(Path(name), text.encode()))


def compared(**texts: str) -> Audit:
    return audit({name.replace("_", "-"): config(text, f"{name}/web.config") for name, text in texts.items()})


def differing(result: Audit) -> list[str]:
    return [row.title for row in result.rows if not row.same]


def test_audit_equal_nodes_has_no_drift() -> None:
    result = compared(orch_1=FIT, orch_2=FIT)
    assert not result.drift
    assert "DIFFERS" not in result.text()


def test_audit_output_contains_no_secret() -> None:
    result = compared(orch_1=FIT, orch_2=FIT.replace("db-secret", "db-other").replace("CDCD", "CDCE"))
    shown = result.text() + json.dumps(result.data()) + repr(result)
    for secret in ("db-secret", "db-other", "redis-secret", "c2VjcmV0", "ABABAB", "CDCD", "0f8fad5b"):
        assert secret not in shown
    assert differing(result) == ["machineKey validationKey", "sessionState sqlConnectionString", "connection Default"]


@pytest.mark.parametrize(
    ("old", "new", "title"),
    [
        ("c2VjcmV0", "d2VjcmV0", "EncryptionKey"),
        ("0f8fad5b", "1f8fad5b", "apiKey"),
        ("redis:6379", "redis:6380", "LoadBalancer.Redis.ConnectionString"),
        ("redis-secret", "redis-other", "LoadBalancer.Redis.ConnectionString"),
        (r"\\srv\share", r"\\srv\other", "Storage.Location"),
        ('mode="SQLServer"', 'mode="StateServer"', "sessionState mode"),
        (
            '"quartz.jobStore.clustered" value="true"',
            '"quartz.jobStore.clustered" value="false"',
            "quartz.jobStore.clustered",
        ),
        ("</appSettings>", '<add key="NuGet.Repository.Type" value="Legacy"/></appSettings>', "NuGet.Repository.Type"),
    ],
)
def test_audit_one_changed_setting_is_drift(old: str, new: str, title: str) -> None:
    assert FIT.count(old) >= 1
    result = compared(orch_1=FIT, orch_2=FIT.replace(old, new))
    assert differing(result) == [title]
    assert result.drift
    assert re.search(rf"{re.escape(title)} .*DIFFERS", result.text())


@pytest.mark.parametrize(
    "other",
    [
        "Data Source=SQL01;Initial Catalog=UiPath;UID=sa;Pwd=db-secret",
        "database=UiPath;  server = SQL01 ;password='db-secret';user id=sa;",
    ],
)
def test_audit_equivalent_connection_strings_has_no_drift(other: str) -> None:
    text = FIT.replace("Server=SQL01;Database=UiPath;User ID=sa;Password=db-secret", other)
    assert not compared(orch_1=FIT, orch_2=text).drift


def test_audit_booleans_ignore_case() -> None:
    assert not compared(orch_1=FIT, orch_2=FIT.replace('UseRedis" value="true"', 'UseRedis" value="True"')).drift


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('mode="SQLServer"', 'mode="InProc"', "session-inproc"),
        ('UseRedis" value="true"', 'UseRedis" value="false"', "signalr-inproc"),
        ('clustered" value="true"', 'clustered" value="false"', "quartz"),
        (r"\\srv\share", r"C:\Packages", "package-storage"),
        (KEY, "AutoGenerate,IsolateApps", "autogenerate-keys"),
        (
            "<secureAppSettings>",
            '<secureAppSettings configProtectionProvider="RsaProtectedConfigurationProvider">',
            "encrypted-section",
        ),
    ],
)
def test_audit_equal_but_unsafe_nodes_reports_the_problem(old: str, new: str, problem: str) -> None:
    assert FIT.count(old) == 1
    text = FIT.replace(old, new)
    result = compared(orch_1=text, orch_2=text)
    assert result.drift
    assert [one.id for one in result.problems] == [problem] * 2
    assert result.problems[0].location.startswith("orch_1/web.config:")
    assert f"[{problem}]" in result.text()


UNSAFE = {
    'mode="SQLServer"': 'mode="InProc"',
    'UseRedis" value="true"': 'UseRedis" value="false"',
    'clustered" value="true"': 'clustered" value="false"',
    r"RootPath=\\srv\share": r"D:\Packages",
    KEY: "AutoGenerate,IsolateApps",
}


def test_audit_report_matches_the_golden_files(update_golden: bool) -> None:
    """Every problem once, a value that is no secret, secrets that differ, and a section that is encrypted."""
    unsafe, encrypted = FIT, FIT.replace("<connectionStrings>", '<connectionStrings configProtectionProvider="x">')
    for old, new in UNSAFE.items():
        unsafe = unsafe.replace(old, new)
    changed = (
        FIT.replace("db-secret", "db-other").replace("redis-secret", "redis-other").replace("0f8fad5b", "1f8fad5b")
    )
    result = compared(orch_1=FIT, orch_2=unsafe, orch_3=changed, orch_4=encrypted)
    folder = Path(__file__).parents[1] / "golden" / "nodes"
    made = {"audit.txt": result.text(), "audit.json": json.dumps(result.data(), indent=2) + "\n"}
    for name, text in made.items():
        if update_golden:
            (folder / name).write_text(text, encoding="utf-8")
        assert (folder / name).read_text(encoding="utf-8") == text
    assert compared(orch_1=FIT, orch_2=FIT).summary() == "2 nodes: 15 settings agree"


def test_audit_single_node_accepts_sessions_in_memory() -> None:
    assert not compared(orch_1=FIT.replace('mode="SQLServer"', 'mode="InProc"')).drift


def test_audit_encrypted_section_equals_nothing() -> None:
    text = FIT.replace("<connectionStrings>", '<connectionStrings configProtectionProvider="x">')
    assert "connectionStrings" in differing(compared(orch_1=text, orch_2=text))


def test_audit_many_nodes_names_the_different_one() -> None:
    result = compared(**{f"orch_{number}": FIT for number in range(1, 30)}, orch_30=FIT.replace("0f8fad5b", "1f8fad5b"))
    text = result.text()
    assert "apiKey: DIFFERS" in text
    assert "orch-1, orch-2, orch-3, orch-4, orch-5, orch-6 and 23 more" in text
    assert re.search(r"sha256:[0-9a-f]{12}: orch-30\n", text)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (FIT, "UiPath.Orchestrator.dll.config", "2020.10 or later"),
        (FIT, "web.config", "2019.4 to 2020.4"),
        (FIT.replace("Storage.Type", "x"), "web.config", "2018.4 to 2019.3"),
        (
            FIT.replace("Storage.Type", "x").replace("Redis.ConnectionString", "Redis.Server"),
            "web.config",
            "before 2018.4",
        ),
        ("<configuration/>", "web.config", "before 2020.10"),
    ],
)
def test_version_range_follows_from_the_settings(text: str, name: str, said: str) -> None:
    assert version_range(config(text, name)) == said


def test_audit_bare_files_report_only_what_is_certain() -> None:
    bare = "<configuration><connectionStrings/></configuration>"
    result = compared(orch_1=bare, orch_2=bare)
    assert [one.id for one in result.problems if one.node == "orch-1"] == ["autogenerate-keys", "session-inproc"]
    assert [row.title for row in result.rows] == ["version (from the settings)"]


def test_audit_encrypted_sections_are_reported_once_and_shown_as_encrypted() -> None:
    text = FIT
    for start in ("<appSettings", "<secureAppSettings", "<sessionState", "<machineKey"):
        text = text.replace(start, f'{start} configProtectionProvider="x"')
    result = compared(orch_1=text, orch_2=text)
    assert [one.id for one in result.problems] == ["encrypted-section"] * 8
    shown = {row.title: row.values["orch-1"].shown for row in result.rows}
    for title in ("EncryptionKey", "apiKey", "machineKey decryptionKey", "sessionState mode"):
        assert shown[title] == "(encrypted)"
        assert title in differing(result)


def test_audit_core_files_need_neither_session_state_nor_quartz() -> None:
    text = re.sub(r'(?s)<sessionState.*?/>|<add key="quartz[^>]*>', "", FIT)
    name = "UiPath.Orchestrator.dll.config"
    result = audit({node: config(text, f"{node}/{name}") for node in ("orch-1", "orch-2")})
    assert not result.problems


# The commands.


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLES / "inputs", tmp_path / "inputs")
    shutil.copy(EXAMPLES / "farm.yaml", tmp_path / "farm.yaml")
    return tmp_path


def secrets(farm: Path) -> set[tuple[str, str]]:
    text = "".join(path.read_text(encoding="utf-8-sig") for path in farm.rglob("web.config"))
    return set(re.findall(r'(?:Key|ApiKey)" value="([^"]+)"|(?:decryption|validation)Key="([^"]+)"', text))


def test_audit_command_example_drift_ends_after_apply(cli: "RunCommand", farm: Path) -> None:
    env = {"NLBGEN_REDIS_PASSWORD": "redis-secret"}
    found = cli("nodes", "audit", cwd=farm)
    assert found.code == 1
    assert "EncryptionKey" in found.out
    refused = cli("nodes", "apply", cwd=farm, env=env)
    assert refused.code == 2, "without a terminal and without --yes no one agreed"
    assert cli("nodes", "apply", "--yes", cwd=farm, env=env).code == 0
    assert cli("nodes", "audit", cwd=farm).code == 0
    plan = cli("nodes", "plan", cwd=farm, env=env)
    assert plan.code == 0
    assert plan.out.splitlines()[0] == "orch-1 (inputs/orch-1/web.config): nothing to change"


def test_audit_command_without_spec_accepts_files(cli: "RunCommand", farm: Path) -> None:
    one, two = "inputs/orch-1/web.config", "inputs/orch-2/web.config"
    (farm / "farm.yaml").unlink()
    assert cli("nodes", "audit", one, one, cwd=farm).code == 0
    data = json.loads(cli("nodes", "audit", "--format", "json", one, two, cwd=farm).out)
    assert data["drift"] is True
    assert data["nodes"] == [one, two]
    assert cli("nodes", "keys", one, cwd=farm).out.count("sha256:") == 5


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("command", ["keys", "plan", "audit"])
def test_nodes_commands_print_no_secret(cli: "RunCommand", farm: Path, command: str, style: str) -> None:
    ran = cli("nodes", command, "--format", style, cwd=farm, env={"NLBGEN_REDIS_PASSWORD": "redis-secret"})
    assert ran.out
    values = [value for pair in secrets(farm) for value in pair if value]
    assert len(values) == 10
    for value in [*values, "redis-secret"]:
        assert value not in ran.out + ran.err


@pytest.mark.parametrize(("name", "style"), [("keys.txt", "text"), ("keys.json", "json")])
def test_keys_command_matches_the_golden_file(
    cli: "RunCommand", farm: Path, name: str, style: str, update_golden: bool
) -> None:
    golden = Path(__file__).parents[1] / "golden" / "nodes" / name
    text = cli("nodes", "keys", "--format", style, cwd=farm).out
    if update_golden:
        golden.write_text(text, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == text


def test_check_command_reports_config_problems_with_locations(cli: "RunCommand", farm: Path) -> None:
    path = farm / "inputs" / "orch-1" / "web.config"
    text = path.read_bytes()
    assert cli("check", cwd=farm).code == 0
    path.write_bytes(re.sub(rb'decryptionKey="[^"]*"', b'decryptionKey="AutoGenerate,IsolateApps"', text))
    other = farm / "inputs" / "orch-2" / "web.config"
    other.write_bytes(
        other.read_bytes().replace(b"<secureAppSettings>", b'<secureAppSettings configProtectionProvider="x">')
    )
    ran = cli("check", cwd=farm)
    assert ran.code == 5
    assert re.search(r"inputs/orch-1/web.config:\d+:\d+: .*\[autogenerate-keys\]", ran.out)
    assert re.search(r"inputs/orch-2/web.config:\d+:\d+: .*\[encrypted-section\]", ran.out)
    assert 'aspnet_regiis -pd "secureAppSettings"' in ran.out


def test_nodes_commands_invalid_file_exits_5_with_the_location(cli: "RunCommand", farm: Path) -> None:
    (farm / "inputs" / "orch-2" / "web.config").write_text(
        "<configuration><appSettings></configuration>", encoding="utf-8"
    )
    for command in ("keys", "plan", "apply", "audit"):
        ran = cli("nodes", command, cwd=farm)
        assert ran.code == 5
        assert "inputs/orch-2/web.config:1:" in ran.err


def test_nodes_commands_spec_without_configs_exits_5(
    cli: "RunCommand", farm: Path, farm_data: "Callable[..., dict[str, Any]]"
) -> None:
    (farm / "farm.yaml").write_text(json.dumps(farm_data()), encoding="utf-8")
    for command in ("keys", "plan", "audit"):
        ran = cli("nodes", command, cwd=farm)
        assert ran.code == 5
        assert "config" in ran.err


@pytest.mark.parametrize(("server", "differ"), [(r"SQL9\PROD", 2), (r"sql01.corp.example\prod", 0)])
def test_audit_command_other_database_than_the_spec_is_a_problem(
    cli: "RunCommand", farm: Path, server: str, differ: int
) -> None:
    text = (farm / "farm.yaml").read_text(encoding="utf-8")
    assert r"server: SQL01\PROD" in text
    (farm / "farm.yaml").write_text(text.replace(r"server: SQL01\PROD", f"server: {server}"), encoding="utf-8")
    ran = cli("nodes", "audit", "--format", "json", cwd=farm)
    found = [one for one in json.loads(ran.out)["problems"] if one["id"] == "database-differs"]
    assert len(found) == differ
    for one in found:
        assert re.search(r"farm\.yaml:\d+:\d+\) names UiPath on SQL9", one["message"])
        assert re.fullmatch(r"inputs/orch-\d/web\.config:11:5", one["place"])
    assert "database-differs" not in cli("nodes", "audit", "inputs/orch-1/web.config", cwd=farm).out


# init --from


def test_init_from_a_node_fills_in_the_spec(cli: "RunCommand", farm: Path) -> None:
    (farm / "farm.yaml").unlink()
    given = ("--host", "orch.corp.example", "--node", "a=10.0.0.1", "--node", "b=10.0.0.2", "--redis", "r.example")
    ran = cli("init", "--from", "inputs/orch-1/web.config", *given, cwd=farm)
    assert ran.code == 0, ran.err
    text = (farm / "farm.yaml").read_text(encoding="utf-8")
    for part in ('version: "2019.4"', r'database: {server: "SQL01\\PROD", name: UiPath, auth: windows}', "config: "):
        assert part in text
    assert cli("nodes", "keys", cwd=farm).code == 0


def test_init_from_a_node_with_secrets_writes_references(cli: "RunCommand", farm: Path) -> None:
    (farm / "farm.yaml").unlink()
    (farm / "node.config").write_text(FIT, encoding="utf-8")
    given = ("--host", "orch.corp.example", "--node", "a=10.0.0.1", "--node", "b=10.0.0.2")
    assert cli("init", "--from", "node.config", *given, cwd=farm).code == 0
    text = (farm / "farm.yaml").read_text(encoding="utf-8")
    assert "auth: {user: sa, password: {env: NLBGEN_SQL_PASSWORD}}" in text
    assert "redis: {host: redis, port: 6379, password: {env: NLBGEN_REDIS_PASSWORD}}" in text
    assert "secret" not in text.replace("docs/spec.md", "")


def test_init_from_an_invalid_file_exits_5(cli: "RunCommand", farm: Path) -> None:
    ran = cli("init", "--from", "farm.yaml", "-o", "new.yaml", "--host", "h.example", "--node", "a=10.0.0.1", cwd=farm)
    assert ran.code == 5
    assert not (farm / "new.yaml").exists()
