"""The services beside Orchestrator: their settings are listed, compared, planned and changed with those of its file."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.core.errors import NodeError
from nlbgen.nodes import audit, discovery, service_checks, service_values, spec_checks
from nlbgen.nodes.config import effective
from nlbgen.nodes.config.effective import Config
from nlbgen.nodes.fingerprints import Fingerprints
from nlbgen.nodes.planning import FarmPlan, plan_farm
from nlbgen.nodes.prepare import rendering
from nlbgen.nodes.reading import load_configs
from nlbgen.spec.load import Spec, load
from tests.nodes.powershell_rules import broken

if TYPE_CHECKING:
    from tests.conftest import RunCommand

DECRYPTION, VALIDATION = "AB" * 32, "CD" * 64
KEY, OTHER = "c2VjcmV0LW9uZS1zZWNyZXQtb25lLXNlY3JldC1vbjE=", "b3RoZXItdHdvLW90aGVyLXR3by1vdGhlci10d28tb3Q="
KEY_2021, OTHER_2021 = "aWRlbnRpdHkta2V5LW9uZS1pZGVudGl0eS1rZXktMTE=", "aWRlbnRpdHkta2V5LXR3by1pZGVudGl0eS1rZXktMjI="
SECRET, OTHER_SECRET = "client-secret-one-0001", "client-secret-two-0002"  # made up
CORE = "UiPath.Orchestrator.dll.config"
IDENTITY = "Identity/appsettings.Production.json"


def main(key: str = KEY, key_2021: str = KEY_2021, secret: str = SECRET) -> str:
    """Orchestrator's own file."""
    return (
        '<configuration><connectionStrings><add name="Default" connectionString="Server=SQL01;Database=UiPath;'
        'Integrated Security=SSPI"/></connectionStrings>\n<appSettings><add key="LoadBalancer.UseRedis" value="true"/>'
        '<add key="LoadBalancer.Redis.ConnectionString" value="haa-1:10000,password=r3dis"/>'
        f'<add key="IdentityServer.EncryptionKey" value="{key_2021}"/>'
        f'<add key="IdentityServer.Integration.ClientSecret" value="{secret}"/>'
        '<add key="quartz.jobStore.clustered" value="true"/></appSettings>\n'
        f'<secureAppSettings><add key="EncryptionKey" value="{key}"/></secureAppSettings>\n'
        f'<system.web><machineKey decryptionKey="{DECRYPTION}" validationKey="{VALIDATION}"/></system.web>'
        "</configuration>"
    )


def identity(
    key: str = KEY, key_2021: str = KEY_2021, name: str = "0011AA", server: str = "SQL01", more: str = ""
) -> str:
    """Identity's own file, with a comment and line ends of Windows."""
    text = f"""{{
  // set by the installer
  "ConnectionStrings": {{ "DefaultConnection": "Server={server};Database=Identity;User ID=sa;Password=db-secret" }},
  "EncryptionSettings": {{ "EncryptionKey": "{key}" }},
  "AppSettings": {{
    "OrchestratorUrl": "https://orch.corp.example",
    "DatabaseProtectionSettings": {{ "EncryptionKey2021": "{key_2021}" }},
    "SigningCredentialSettings": {{
      "StoreLocation": {{ "Name": "{name}", "Location": "LocalMachine", "NameType": "Thumbprint" }},
      "Password": "pfx-secret",
    }}, /* the farm's */
  }}{more}
}}
"""
    return text.replace("\n", "\r\n")


WEBHOOKS = '{"ConnectionStrings": {"Default": "Server=SQL01;Database=UiPath;Integrated Security=SSPI"}}'
DEFAULTS = (
    '{"LoadBalancerSettings": {"RedisConnectionString": "haa-1:10000,password=r3dis"}, "Logging": {"Level": "x"}}'
)

Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Write the install folder of a node as copied."""

    def write(name: str, files: dict[str, str | bytes]) -> Path:
        for path, text in files.items():
            target = tmp_path / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / name

    return write


def node(**changes: str | bytes) -> dict[str, str | bytes]:
    """The files of one node."""
    files = {CORE: main(), IDENTITY: identity(), "Identity/appsettings.json": DEFAULTS}
    files["Webhooks/appsettings.Production.json"] = WEBHOOKS
    names = {"core": CORE, "identity": IDENTITY}
    return files | {names[name]: text for name, text in changes.items()}


FRESH = {
    "core": main(OTHER, OTHER_2021, OTHER_SECRET),
    "identity": identity(OTHER, OTHER_2021, "0022BB"),
}
"""A second node with keys of its own."""


def farm(tmp_path: Path, password: str = "", keys: str = "") -> Path:
    """A spec of two nodes whose configs are folders."""
    path = tmp_path / "farm.yaml"
    path.write_text(
        f"""version: 1
farm: f
orchestrator: {{version: "2023.10"}}
frontend: {{host: orch.corp.example, tls: {{mode: passthrough}}}}
nodes:
  - {{name: orch-1, address: 10.0.0.11, primary: true, config: orch-1}}
  - {{name: orch-2, address: 10.0.0.12, config: orch-2}}
stores:
  signalr: redis
  redis: {{host: haa-1, port: 10000, {password}}}
{keys}
""",
        encoding="utf-8",
    )
    return path


def load_names(spec: Spec) -> dict[str, Config]:
    return {one.name: config for one, config in load_configs(spec).items()}


def planned(tmp_path: Path) -> FarmPlan:
    return plan_farm(load(farm(tmp_path)))


def sha(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:12]


def audited(*folders: Path) -> audit.Audit:
    return audit.audit({one.name: effective.load(one) for one in folders})


def differing(result: audit.Audit) -> list[str]:
    return [row.title for row in result.rows if not row.same]


def test_plan_copies_keys_and_certificate_of_identity(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", node())
    second = folder("orch-2", node(**FRESH))
    plan = planned(tmp_path)
    assert [change for change in map(str, plan.plan.changes) if "Identity/" in change] == [
        f"~ Identity/AppSettings:DatabaseProtectionSettings:EncryptionKey2021: {sha(OTHER_2021)} -> {sha(KEY_2021)}",
        "~ Identity/AppSettings:SigningCredentialSettings:StoreLocation:Name: 0022BB -> 0011AA",
        f"~ Identity/EncryptionSettings:EncryptionKey: {sha(OTHER)} -> {sha(KEY)}",
    ]
    assert any("after this change Identity signs with the certificate 0011AA" in note for note in plan.notes)
    new = {document.path: content for document, content in plan.nodes[1].files}
    assert new[second / IDENTITY] == identity().encode()
    where = str(plan.plan.data())
    assert re.search(r"orch-2/Identity/appsettings.Production.json:4:27", where)
    assert not plan.nodes[0].files


def test_plan_changes_client_secrets_of_orchestrator(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", node())
    folder("orch-2", node(**FRESH))
    shown = planned(tmp_path).plan.text()
    assert f"~ appSettings/IdentityServer.Integration.ClientSecret: {sha(OTHER_SECRET)} -> {sha(SECRET)}" in shown
    for secret in (KEY, OTHER, KEY_2021, OTHER_2021, SECRET, OTHER_SECRET, "db-secret"):
        assert secret not in shown


def test_plan_takes_identity_keys_from_orchestrator_s_file(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", {CORE: main()})
    folder("orch-2", node(**FRESH))
    assert [change for change in map(str, planned(tmp_path).plan.changes) if "Identity/" in change] == [
        f"~ Identity/AppSettings:DatabaseProtectionSettings:EncryptionKey2021: {sha(OTHER_2021)} -> {sha(KEY_2021)}",
        f"~ Identity/EncryptionSettings:EncryptionKey: {sha(OTHER)} -> {sha(KEY)}",
    ]


def test_plan_does_not_invent_a_key_of_identity(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", {CORE: main()})
    folder("orch-2", {**node(identity='{"EncryptionSettings": {}}'), "Webhooks/appsettings.Production.json": "{}"})
    assert not planned(tmp_path).plan.changes


def test_plan_adds_a_missing_key_over_the_defaults(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", node())
    defaults = json.dumps({"EncryptionSettings": {"EncryptionKey": "default"}})
    files = node(identity=identity().replace(f'"EncryptionKey": "{KEY}"', ""))
    folder("orch-2", {**files, "Identity/appsettings.json": defaults})
    plan = planned(tmp_path)
    assert [change.kind for change in plan.plan.changes] == ["change"]
    ((_document, content),) = plan.nodes[1].files
    assert f'"EncryptionSettings": {{ "EncryptionKey": "{KEY}" '.encode() in content


def test_plan_adds_a_setting_that_the_node_lacks(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", node())
    folder("orch-2", {**node(identity="{\n}\n")})
    plan = planned(tmp_path)
    assert {change.kind for change in plan.plan.changes} == {"add"}
    ((document, content),) = plan.nodes[1].files
    assert b'  "EncryptionSettings": { "EncryptionKey": "' in content
    assert str(plan.plan.changes[0].where) == f"{document.path}:1:1"


@pytest.mark.parametrize("one", ["orch-1", "orch-2"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"A": 1, "a": 2}', r"Identity/appsettings.Production.json:1:10: the setting a is a duplicate.*start"),
        (
            identity(more=',\n"ConfigEncryptionSettings": {"X": "y"}'),
            r'ConfigProtector.exe" --de -f "C:\\Program Files \(x86\)\\UiPath\\Orchestrator\\Identity\\appsettings.Pro',
        ),
    ],
)
def test_plan_stops_at_a_file_that_it_cannot_read(
    folder: Folder, tmp_path: Path, one: str, text: str, words: str
) -> None:
    for name in ("orch-1", "orch-2"):
        folder(name, node(identity=text) if name == one else node())
    with pytest.raises(NodeError) as error:
        planned(tmp_path)
    assert re.search(words, f"{error.value.message} {error.value.hint}")
    assert "2 problems" not in str(error.value.hint)


def test_command_of_an_encrypted_file_has_the_folder_of_the_spec(folder: Folder, tmp_path: Path) -> None:
    for name in ("orch-1", "orch-2"):
        folder(name, node(identity=identity(more=',"ConfigEncryptionSettings": {}')))
    path = farm(tmp_path)
    text = path.read_text(encoding="utf-8").replace('version: "2023.10"', "version: \"2023.10\", directory: 'D:\\Ui'")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NodeError) as error:
        plan_farm(load(path))
    assert (
        r'"D:\Ui\Tools\ConfigProtector\UiPath.ConfigProtector.exe" --de -f "D:\Ui\Identity\app' in error.value.message
    )
    problems = [one for one in spec_checks.problems(load(path)) if one.id == "encrypted-section"]
    assert all("D:\\Ui" in one.hint for one in problems)


def test_null_section_of_the_tool_is_no_encryption(folder: Folder) -> None:
    config = effective.load(folder("orch-1", node(identity='{"ConfigEncryptionSettings": null}')))
    assert not config.services[0].is_encrypted


def test_apply_changes_all_files_and_a_second_run_nothing(folder: Folder, tmp_path: Path, cli: "RunCommand") -> None:
    folder("orch-1", node())
    second = folder("orch-2", node(**FRESH))
    farm(tmp_path)
    done = cli("nodes", "apply", "--yes")
    assert done.code == 0, done.err
    assert "changed orch-2/Identity/appsettings.Production.json; the old file is orch-2/Identity/appse" in done.out
    assert (second / IDENTITY).read_bytes() == identity().encode()
    (backup,) = second.glob("Identity/*.bak")
    assert backup.read_bytes() == FRESH["identity"].encode()
    assert "0 changes" in cli("nodes", "plan").out
    assert cli("nodes", "audit").code == 0


def test_audit_equal_folders_agree_and_shows_no_secret(folder: Folder) -> None:
    result = audited(folder("orch-1", node()), folder("orch-2", node()))
    assert not result.drift
    shown = result.text() + json.dumps(result.data())
    for title in (
        "Identity EncryptionSettings:EncryptionKey",
        "Identity ConnectionStrings:DefaultConnection",
        "Identity AppSettings:SigningCredentialSettings:StoreLocation:Name",
        "Identity LoadBalancerSettings:RedisConnectionString",
        "Webhooks ConnectionStrings:Default",
    ):
        assert title in shown
    assert "Logging" not in shown
    for secret in (KEY, KEY_2021, SECRET, "db-secret", "pfx-secret", "r3dis"):
        assert secret not in shown
    assert [note for note in result.notes if "0011AA in LocalMachine" in note]


def test_audit_names_each_difference_of_the_services(folder: Folder) -> None:
    other = identity(OTHER, OTHER_2021, "0022BB", "SQL02").replace("EncryptionSettings", "encryptionsettings")
    files = {**node(core=main(OTHER, OTHER_2021), identity=other), "Identity/appsettings.json": "{}"}
    del files["Webhooks/appsettings.Production.json"]
    assert differing(audited(folder("orch-1", node()), folder("orch-2", files))) == [
        "EncryptionKey",
        "IdentityServer.EncryptionKey",
        "Identity ConnectionStrings:DefaultConnection",
        "Identity EncryptionSettings:EncryptionKey",
        "Identity AppSettings:DatabaseProtectionSettings:EncryptionKey2021",
        "Identity AppSettings:SigningCredentialSettings:StoreLocation:Name",
        "Identity LoadBalancerSettings:RedisConnectionString",
        "Webhooks ConnectionStrings:Default",
    ]


def test_audit_flat_names_and_other_spellings_are_equal(folder: Folder) -> None:
    flat = identity().replace(
        '"EncryptionSettings": {', '"Storage:Location": "RootPath=x;A=b", "EncryptionSettings": {'
    )
    deep = identity().replace(
        f'"EncryptionSettings": {{ "EncryptionKey": "{KEY}" }}', f'"encryptionSettings:EncryptionKey": "{KEY}"'
    )
    deep = deep.replace("Server=SQL01;Database=Identity", "Database=Identity;Data Source=SQL01")
    deep = deep.replace('"AppSettings"', '"Storage": {"Location": "A=b;RootPath=x"}, "AppSettings"')
    assert not differing(audited(folder("orch-1", node(identity=flat)), folder("orch-2", node(identity=deep))))


def test_audit_does_not_compare_a_node_without_the_folders(folder: Folder) -> None:
    result = audited(folder("orch-1", node()), folder("orch-2", {CORE: main()}), folder("orch-3", node()))
    assert not result.drift
    (note,) = [note for note in result.notes if "not compared" in note]
    assert re.search("orch-2/UiPath.Orchestrator.dll.config: the folder of orch-2's file contains no settings", note)
    assert "(not read)" in result.text()


def test_audit_reports_what_no_service_starts_with(folder: Folder) -> None:
    broken = "{\r\n\t'A': 1}"
    result = audited(folder("orch-1", node()), folder("orch-2", node(identity=broken)))
    assert [(one.node, one.id) for one in result.problems] == [("orch-2", "service-settings")]
    assert result.problems[0].location.endswith("orch-2/Identity/appsettings.Production.json:2:2")
    assert not differing(result)


def test_audit_reports_encrypted_services(folder: Folder) -> None:
    text = identity(more=',\n"ConfigEncryptionSettings": {}')
    result = audited(folder("orch-1", node()), folder("orch-2", node(identity=text)))
    assert [(one.node, one.id) for one in result.problems] == [("orch-2", "encrypted-section")]
    assert "Identity EncryptionSettings:EncryptionKey" in differing(result)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (identity(key=OTHER), ["service-keys"]),
        (identity(key_2021=OTHER), ["service-keys"]),
        (identity(key=""), []),
        (identity(server="."), ["database-local"]),
        (identity(server="SQL01;Nonsense=1"), ["connection-string"]),
        (identity(more=',"ConnectionStrings:RedisCache": "haa-1:10000,nonsense=1"'), ["connection-string"]),
        (identity(more=',"Storage": {"Type": "FileSystem", "Location": null}'), []),
        ("{}", []),
    ],
)
def test_findings_of_a_service(folder: Folder, text: str, found: list[str]) -> None:
    config = effective.load(folder("orch-1", node(identity=text)))
    assert [one.id for one in service_checks.findings(config)] == found
    alone = [one for one in found if one != "database-local"]
    assert [one.id for one in service_checks.findings(config, several=False)] == alone


def test_server_may_be_missing_in_a_string_of_a_service(folder: Folder) -> None:
    text = '{"ConnectionStrings": {"A": "Database=x"}}'
    config = effective.load(folder("orch-1", {CORE: main(), "ResourceCatalog/appsettings.Production.json": text}))
    assert not list(service_checks.findings(config))


@pytest.mark.parametrize("text", ["{}", '{"AppSettings:SigningCredentialSettings:StoreLocation:Name": "0011AA"}'])
def test_certificate_note_names_what_the_file_shows(folder: Folder, text: str) -> None:
    note = service_checks.certificate_note(effective.load(folder("orch-1", node(identity=text))))
    assert note == "" if text == "{}" else note.startswith("Identity signs with the certificate 0011AA. Check")


def test_audit_compares_services_with_the_folder_of_keys_from(folder: Folder, tmp_path: Path) -> None:
    folder("keys", node())
    folder("orch-1", node())
    folder("orch-2", node(identity=identity(OTHER).replace('"Name"', '"Other"')))
    spec = load(farm(tmp_path, keys="keys: {from: keys}"))
    found = [one for one in audit.audit(load_names(spec), spec).problems if one.id == "keys-differ"]
    assert [(one.node, one.message.partition(" ")[0], one.location.rpartition("json:")[2]) for one in found] == [
        ("orch-2", "Identity/EncryptionSettings:EncryptionKey", "4:27"),
        ("orch-2", "Identity/AppSettings:SigningCredentialSettings:StoreLocation:Name", "1:1"),
    ]
    for name in ("keys", "orch-2"):
        folder(name, node(identity=identity(OTHER, more=',"ConfigEncryptionSettings": {}')))
        result = audit.audit(load_names(spec), spec)
        assert not [one for one in result.problems if one.id == "keys-differ"]


def test_check_reports_services_of_a_spec(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", node())
    folder("orch-2", node(identity='{"A:B": 1, "A": {"B": 2}}'))
    found = spec_checks.problems(load(farm(tmp_path)))
    assert [(one.id, one.severity, Path(one.location.file).name) for one in found] == [
        ("service-settings", "error", "appsettings.Production.json")
    ]


def test_keys_lists_those_of_the_services(folder: Folder, tmp_path: Path, cli: "RunCommand") -> None:
    first = folder("orch-1", node())
    listed = cli("nodes", "keys", str(first))
    assert listed.code == 0, listed.err
    assert re.search(rf"EncryptionSettings:EncryptionKey +Identity +{sha(KEY)} +44 +base64, 256 bits", listed.out)
    assert KEY not in listed.out
    config = effective.load(folder("orch-2", node(identity="{")))
    with pytest.raises(NodeError, match="is not closed: the service does not start"):
        service_values.inventory(config, Fingerprints())


def test_folder_of_one_node_twice_is_an_error(folder: Folder, tmp_path: Path) -> None:
    first = folder("orch-1", node())
    folder("orch-2", {CORE: main()})
    (tmp_path / "orch-2/Identity").symlink_to(first / "Identity")
    with pytest.raises(NodeError, match=r"appsettings\.Production\.json is also the config of orch-1"):
        planned(tmp_path)


def test_render_writes_the_files_of_the_services(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", node())
    folder("orch-2", node(**FRESH))
    made = rendering.render(load(farm(tmp_path)))
    files = {file.path.as_posix(): file for file in made.files}
    assert files[f"orch-2/{IDENTITY}"].content == identity().encode()
    assert files[f"orch-2/{IDENTITY}"].secret
    assert f"orch-1/{IDENTITY}" not in files
    assert any(note.startswith(f"orch-2/{IDENTITY}: prepare-node.ps1 installs this prepared") for note in made.notes)
    runbook = files["RUNBOOK.md"].content.decode()
    assert f"`nlbgen render nodes` wrote `orch-2/{IDENTITY}`" in runbook
    copy = r"robocopy.exe 'orch-2\Identity' '\\10.0.0.12\C$\nlbgen\orch-2\Identity' appsettings.Production.json"
    assert copy in runbook
    assert "-Recurse -Filter *.bak" in runbook
    folders = r"'\\10.0.0.11\C$\Program Files (x86)\UiPath\Orchestrator' 'orch-1'"
    assert f"robocopy.exe {folders} *.config appsettings*.json /S" in runbook


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.no_cover  # other tests reach the same lines
def test_script_puts_the_prepared_files_of_its_node_in_place(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", node())
    folder("orch-2", node(**FRESH))
    scripts = {
        file.path.parts[0]: file.content.decode()
        for file in rendering.render(load(farm(tmp_path))).files
        if file.path.name == "prepare-node.ps1"
    }
    name = r"Identity\appsettings.Production.json"
    before, after = digest(FRESH["identity"]), digest(identity())
    assert f"@{{ Path = '{name}'; Before = '{before}'; After = '{after}' }}" in scripts["orch-2"]
    for word in ("ServiceFile", "PreparedFrom", "SkipServices"):
        assert word not in scripts["orch-1"]
    assert broken(scripts["orch-2"].encode()) == []


def test_script_checks_the_services_before_the_stop_and_restores_them(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", node())
    folder("orch-2", node(**FRESH))
    files = {file.path.as_posix(): file.content.decode() for file in rendering.render(load(farm(tmp_path))).files}
    script = files["orch-2/prepare-node.ps1"]
    body = script[script.index("# Everything that can fail without the site") :]
    order = [
        "@(Get-ServiceChange ",
        "Write-ServiceScratch $services",
        "Stop-Node $pool",
        "Set-ServiceFile $services",
        "[IO.File]::Replace($scratch, $ConfigPath, $backup)",
        "Restart-ServicePool $services",
        "Start-Node $pool",
        "if (-not $prepared) { Restore-ServiceFile $services }",
        "[IO.File]::Replace($scratch, $ConfigPath, $tried)",
        "Restore-ServiceFile $services\n",
    ]
    positions = [body.index(order[0])]
    for one in order[1:]:
        positions.append(body.index(one, positions[-1]))
    replaced = script[script.index("function Set-ServiceFile") : script.index("function Restore-ServiceFile")]
    assert replaced.index("Test-SameBytes") < replaced.index("[IO.File]::Replace")
    check = script[script.index("function Get-ServiceChange") : script.index("function Write-ServiceScratch")]
    assert check.count("throw") == check.count("$again") - 1 == 4


@pytest.mark.parametrize("with_configs", [True, False])
def test_script_needs_no_secret_for_the_services(folder: Folder, tmp_path: Path, with_configs: bool) -> None:
    folder("orch-1", node())
    folder("orch-2", node(**FRESH))
    spec = load(farm(tmp_path, password="password: {env: NLBGEN_TEST_NOT_SET}"))
    made = rendering.render(spec, with_configs=with_configs)
    files = {file.path.as_posix(): file.content for file in made.files}
    assert digest(identity()).encode() in files["orch-2/prepare-node.ps1"]
    assert (f"orch-2/{IDENTITY}" in files) == with_configs


def test_script_of_a_node_with_encrypted_services_leaves_them_out_with_a_note(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", node())
    folder("orch-2", node(identity=identity(OTHER, more=',"ConfigEncryptionSettings": {}')))
    made = rendering.render(load(farm(tmp_path)), with_configs=False)
    (note,) = [note for note in made.notes if "no file of its services was prepared" in note]
    assert note.startswith("orch-2: ")


def test_plan_without_its_secrets_has_no_files_of_the_services(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", node())
    folder("orch-2", node(**FRESH))
    spec = load(farm(tmp_path, password="password: {env: NLBGEN_TEST_NOT_SET}"))
    plan = plan_farm(spec, for_review=True)
    assert any("Identity/" in change.path for change in plan.plan.changes)
    assert not plan.nodes[1].files


def test_init_reads_a_folder_and_notes_what_is_wrong(folder: Folder) -> None:
    found = discovery.facts(folder("orch-1", node(identity='{"A": 1, "A": 2}')))
    assert (found.orchestrator, found.server) == ("2020.10", "SQL01")
    assert [note for note in found.notes if "the setting A is a duplicate" in note]


def test_init_knows_2020_4_by_its_identity_server(folder: Folder) -> None:
    text = main().replace("<appSettings>", '<appSettings><add key="Storage.Type" value="FileSystem"/>')
    assert discovery.facts(folder("orch-1", {"web.config": text})).orchestrator == "2019.4"
    assert discovery.facts(folder("orch-1", {IDENTITY: identity()})).orchestrator == "2020.4"


def test_services_are_found_in_any_case_and_only_with_their_own_file(folder: Folder) -> None:
    files: dict[str, str | bytes] = {
        CORE: main(),
        "identity/AppSettings.production.json": identity(),
        "Webhooks/appsettings.json": WEBHOOKS,
    }
    config = effective.load(folder("orch-1", files))
    assert [one.name for one in config.services] == ["Identity"]


def test_files_that_cannot_be_read_are_errors(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    first = folder("orch-1", node())
    monkeypatch.setattr("nlbgen.nodes.config.sources.MAX_BYTES", 10)
    with pytest.raises(NodeError, match="is larger than 10 bytes"):
        effective.load(first)
    monkeypatch.setattr("nlbgen.nodes.config.sources.content", _denied)
    with pytest.raises(NodeError, match="cannot be read: Permission denied"):
        effective.load(first)


def _denied(path: Path, limit: int) -> bytes:
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.parametrize(
    ("named", "copied"), [(f"orch-1/{CORE}", "orch-1"), (CORE, "."), (f"a\\orch-1\\{CORE}", r"a\orch-1")]
)
def test_runbook_copies_the_folder_of_a_config_file_with_services(
    folder: Folder, tmp_path: Path, named: str, copied: str
) -> None:
    folder(copied.replace("\\", "/"), node())
    folder("orch-2", node(**FRESH))
    path = farm(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("config: orch-1", f"config: '{named}'"), encoding="utf-8")
    files = {file.path.name: file.content.decode() for file in rendering.render(load(path)).files}
    assert f" '{copied}' *.config appsettings*.json /S" in files["RUNBOOK.md"]
