"""The farm's address in the nodes' settings: found, planned, written, and the SQL for the database."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.nodes import audit, public_url, spec_checks
from nlbgen.nodes.planning import FarmPlan, plan_farm
from nlbgen.nodes.prepare import rendering
from nlbgen.nodes.public_url import PublicUrl
from nlbgen.nodes.reading import load_configs
from nlbgen.spec.load import Spec, load

if TYPE_CHECKING:
    from tests.conftest import RunCommand

FARM, OLD = "https://orch.corp.example", "https://orch-1.corp.example"
CORE, IDENTITY = "UiPath.Orchestrator.dll.config", "Identity/appsettings.Production.json"


def main(url: str, more: str = "") -> str:
    """Orchestrator's own file, with the address in each setting that contains it."""
    settings = {
        "IdentityServer.Integration.Authority": f"{url}/identity",
        "ExternalAuth.System.OpenIdConnect.Authority": f"{url}/identity",
        "ExternalAuth.System.OpenIdConnect.RedirectUri": f"{url}/signinsystemopenidconnect",
        "ExternalAuth.System.OpenIdConnect.PostLogoutRedirectUri": f"{url}/",
        "ResourceCatalogService.ServiceURL": f"{url}/resourcecatalog",
    }
    added = "".join(f'<add key="{key}" value="{value}"/>\n' for key, value in settings.items())
    return (
        f'<configuration><appSettings>{added}{more}<add key="LoadBalancer.UseRedis" value="true"/>'
        '<add key="LoadBalancer.Redis.ConnectionString" value="haa-1:10000"/>'
        '<add key="quartz.jobStore.clustered" value="true"/></appSettings>'
        '<secureAppSettings><add key="EncryptionKey" value="c2VjcmV0"/></secureAppSettings>'
        f'<system.web><machineKey decryptionKey="{"AB" * 32}" validationKey="{"CD" * 64}"/></system.web>'
        "</configuration>"
    )


def identity(url: str, more: str = "") -> str:
    return (
        '{"ConnectionStrings": {"DefaultConnection": "Server=SQL02;Database=Ident\'ity]"},\r\n'
        f'  "AppSettings": {{"IdentityServerAddress": "{url}/identity", "OrchestratorUrl": "{url}" /* here */}}{more}}}'
    )


Farm = Callable[..., Spec]


@pytest.fixture
def farm(tmp_path: Path) -> Farm:
    """Write two nodes and their spec."""

    def write(first: str = OLD, second: str = OLD, front: str = "", version: str = "2023.10", **files: str) -> Spec:
        for name, url in (("orch-1", first), ("orch-2", second)):
            (tmp_path / name / "Identity").mkdir(parents=True, exist_ok=True)
            (tmp_path / name / CORE).write_text(files.get("core", main(url)), encoding="utf-8")
            (tmp_path / name / IDENTITY).write_bytes(files.get("identity", identity(url)).encode())
        (tmp_path / "farm.yaml").write_text(
            f"""version: 1
farm: f
orchestrator: {{version: "{version}"}}
frontend: {{host: orch.corp.example, {front or "tls: {mode: passthrough}"}}}
nodes:
  - {{name: orch-1, address: 10.0.0.11, primary: true, config: orch-1}}
  - {{name: orch-2, address: 10.0.0.12, config: orch-2}}
stores: {{signalr: redis, redis: {{host: haa-1, port: 10000}}}}
""",
            encoding="utf-8",
        )
        return load(tmp_path / "farm.yaml")

    return write


def problems(spec: Spec) -> list[audit.NodeProblem]:
    configs = {node.name: config for node, config in load_configs(spec).items()}
    return [one for one in audit.audit(configs, spec).problems if one.id == "public-url"]


def changes(plan: FarmPlan) -> list[str]:
    return [str(change) for change in plan.plan.changes]


def test_plan_writes_the_farm_s_address_on_every_node(farm: Farm) -> None:
    shown = changes(plan_farm(farm()))
    assert len(shown) == 14
    for change in (
        f"~ appSettings/IdentityServer.Integration.Authority: {OLD}/identity -> {FARM}/identity",
        f"~ appSettings/ExternalAuth.System.OpenIdConnect.PostLogoutRedirectUri: {OLD}/ -> {FARM}/",
        f"~ Identity/AppSettings:IdentityServerAddress: {OLD}/identity -> {FARM}/identity",
        f"~ Identity/AppSettings:OrchestratorUrl: {OLD} -> {FARM}",
    ):
        assert shown.count(change) == 2


def test_plan_notes_where_else_the_address_is(farm: Farm, tmp_path: Path) -> None:
    spec = farm(FARM, OLD)
    (note,) = [note for note in plan_farm(spec).notes if "public-url.sql" in note]
    assert note.startswith(f"{tmp_path}/orch-2/{CORE}: the address {OLD} becomes {FARM}: run public-url.sql")
    assert note.endswith("in the same maintenance window")
    (tmp_path / "orch-2" / IDENTITY).unlink()
    (note,) = [note for note in plan_farm(spec).notes if "public-url.sql" in note]
    assert note.endswith("change AppSettings:IdentityServerAddress and AppSettings:OrchestratorUrl in that file too")


def test_apply_writes_only_the_address(farm: Farm, tmp_path: Path, cli: "RunCommand") -> None:
    spec = farm()
    assert len(problems(spec)) == 14
    done = cli("nodes", "apply", "--yes")
    assert done.code == 0, done.err
    for name in ("orch-1", "orch-2"):
        assert (tmp_path / name / CORE).read_text(encoding="utf-8") == main(FARM)
        assert (tmp_path / name / IDENTITY).read_bytes() == identity(FARM).encode()
    assert not problems(spec)
    assert "0 changes" in cli("nodes", "plan").out


@pytest.mark.parametrize("url", [FARM, "https://ORCH.corp.example", "https://orch.corp.example:443"])
def test_findings_same_address_in_other_words_is_no_finding(farm: Farm, url: str) -> None:
    spec = farm(url, url)
    assert not problems(spec)
    assert not changes(plan_farm(spec))


def test_findings_name_setting_address_and_location(farm: Farm, tmp_path: Path) -> None:
    spec = farm(FARM, OLD)
    found = problems(spec)
    assert {one.node for one in found} == {"orch-2"}
    assert found[0].message == (
        f"appSettings/IdentityServer.Integration.Authority is {OLD}, but users reach the farm at {FARM}: the sign-in "
        "through the balancer fails"
    )
    assert found[-1].location == f"{tmp_path}/orch-2/{IDENTITY}:2:84"
    checked = [one for one in spec_checks.problems(spec) if one.id == "public-url"]
    assert {one.severity for one in checked} == {"warning"}
    assert len(checked) == 7


@pytest.mark.parametrize(
    ("front", "url", "wanted"),
    [
        ("tls: {mode: passthrough}, port: 8443", FARM, FARM),
        ("tls: {mode: passthrough}, port: 8443", f"{FARM}:8443", f"{FARM}:8443"),
        ("tls: {mode: passthrough}, port: 8443", OLD, f"{FARM}:8443"),
        ("tls: {mode: passthrough}", "http://orch.corp.example", FARM),
        ("tls: {mode: none}", f"{FARM}:8443", f"{FARM}:8443"),
        ("tls: {mode: none}", f"{OLD}:8443", f"{FARM}:8443"),
        ("tls: {mode: none}", OLD, FARM),
    ],
)
def test_address_has_scheme_and_port_of_the_frontend(farm: Farm, front: str, url: str, wanted: str) -> None:
    assert public_url.of(farm(front=front).farm).corrected(f"{url}/x") == f"{wanted}/x"


def test_address_of_an_ipv6_host_has_brackets() -> None:
    for any_scheme in (False, True):
        url = PublicUrl("https", "fd00::1", 443, any_scheme)
        assert url.corrected("https://[FD00::1]/x") == "https://[FD00::1]/x"
        assert url.corrected("https://orch-1/x") == "https://[fd00::1]/x"
    assert str(url) == "https://[fd00::1]"


@pytest.mark.parametrize("text", ["orch-1", "https://user:p4ss@orch-1/", "https://orch-1/?key=p4ss", "ftp://orch-1"])
def test_text_that_is_no_address_is_found_and_neither_changed_nor_shown(farm: Farm, text: str) -> None:
    spec = farm(core=main(FARM).replace(f"{FARM}/resourcecatalog", text), identity=identity(FARM))
    assert not changes(plan_farm(spec))
    configs = {node.name: config for node, config in load_configs(spec).items()}
    result = audit.audit(configs, spec)
    wanted = (
        f"appSettings/ResourceCatalogService.ServiceURL is not an address such as {FARM}: the sign-in through the "
        "balancer can fail"
    )
    assert [one.message for one in result.problems if one.id == "public-url"] == [wanted] * 2
    assert "p4ss" not in result.text()


def test_accepted_root_urls_are_shown_and_not_changed(farm: Farm) -> None:
    more = '<add key="AcceptedRootUrls" value="http://localhost:6234;https://u:p4ss@x"/>'
    spec = farm(core=main(FARM, more), identity=identity(FARM))
    assert not changes(plan_farm(spec))
    configs = {node.name: config for node, config in load_configs(spec).items()}
    (note, _other) = [note for note in audit.audit(configs, spec).notes if "AcceptedRootUrls" in note]
    assert "AcceptedRootUrls is http://localhost:6234, (not an address): nlbgen does not change it" in note


def test_encrypted_settings_are_not_compared(farm: Farm) -> None:
    section = '<appSettings configProtectionProvider="Rsa"><EncryptedData/></appSettings>'
    core = re.sub("<appSettings>.*</appSettings>", section, main(OLD), flags=re.DOTALL)
    spec = farm(core=core, identity=identity(OLD, more=', "ConfigEncryptionSettings": {"X": "1"}'))
    assert not problems(spec)
    assert not [note for config in load_configs(spec).values() for note in public_url.notes(config)]


def test_plan_stops_at_an_encrypted_identity_of_the_first_node(farm: Farm) -> None:
    spec = farm(identity=identity(OLD, more=', "ConfigEncryptionSettings": {"X": "1"}'))
    with pytest.raises(Exception, match=r"the settings of Identity are encrypted"):
        plan_farm(spec)


def sql(spec: Spec) -> str:
    files = {file.path.as_posix(): file.content for file in rendering.render(spec).files}
    return files["public-url.sql"].decode()


def test_sql_shows_first_and_changes_in_a_transaction_on_request(farm: Farm) -> None:
    text = sql(farm(OLD, "https://o'rch-2"))
    assert "USE [Ident'ity]]];" in text
    assert "against SQL02" in text
    assert "DECLARE @apply bit = 0;" in text
    assert f"DECLARE @new nvarchar(400) = N'{FARM}';" in text
    assert re.findall(r"INSERT INTO @old VALUES \((.*)\);", text) == [f"N'{OLD}'", "N'https://o''rch-2'"]
    order = [text.index(part) for part in ("AS [rollback]", "IF @apply = 0", "BEGIN TRANSACTION", "UPDATE c SET")]
    assert order == sorted(order)
    for table in ("[identity].[ClientRedirectUris]", "[identity].[ClientPostLogoutRedirectUris]"):
        assert f"FROM {table}" in text
    assert text.count("UPDATE c SET") == text.count("RAISERROR (N'") == 2
    changing = text[text.index("BEGIN TRANSACTION") : text.index("COMMIT")]
    assert changing.count("UPDATE") == text.replace("N'UPDATE", "").count("UPDATE c")
    assert "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;\n    THROW;" in text


@pytest.mark.parametrize("string", ["Server=SQL02", "Server=SQL02;Nonsense=1"])
def test_sql_names_the_database_of_the_spec_if_the_file_names_none(farm: Farm, tmp_path: Path, string: str) -> None:
    farm(identity=f'{{"ConnectionStrings": {{"DefaultConnection": "{string}"}}}}')
    path = tmp_path / "farm.yaml"
    path.write_text(
        path.read_text().replace("stores: {", "stores: {database: {server: SQL01, name: UiPath}, "), encoding="utf-8"
    )
    text = sql(load(path))
    assert "against SQL01" in text
    assert "USE [UiPath];" in text


def test_sql_without_another_address_says_how_to_name_one(farm: Farm) -> None:
    text = sql(farm(FARM, FARM, identity='{"AppSettings": {}}'))
    assert "-- The nodes' files have no other address." in text
    assert not re.findall(r"^INSERT", text, re.MULTILINE)
    assert "USE" not in text.partition("SET NOCOUNT")[0]
    assert "in the database of Identity Server" in text


def test_scripts_write_the_address(farm: Farm) -> None:
    files = {file.path.as_posix(): file.content.decode() for file in rendering.render(farm()).files}
    for name in ("orch-1", "orch-2"):
        script = files[f"{name}/prepare-node.ps1"]
        wanted = f"'ResourceCatalogService.ServiceURL' '{FARM}/resourcecatalog' $false"
        assert f"Set-Setting $File 'appSettings' {wanted}" in script
        assert "Path = 'Identity\\appsettings.Production.json'; Before = '" in script
    assert "not in `public-url.sql`, first add it to the script" in files["RUNBOOK.md"]
