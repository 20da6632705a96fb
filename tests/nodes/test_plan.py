"""The plan: keys, sessions, SignalR in each family, Quartz; the errors; the text of the plan."""

# ruff: noqa: E501  # the samples are lines of config files

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen.core.errors import DifferenceError, NlbgenError, NodeError, SpecError, UsageError
from nlbgen.core.plan import Change, Plan, Shown
from nlbgen.nodes import planning, reading
from nlbgen.nodes.apply import apply
from nlbgen.nodes.config.effective import APP
from nlbgen.nodes.fingerprints import Fingerprints
from nlbgen.nodes.planning import FarmPlan, plan_farm
from nlbgen.nodes.values import DesiredSetting, plain
from nlbgen.spec.load import Spec, load
from nlbgen.spec.model import SqlLogin
from nlbgen.spec.references import MissingSecretError, SecretError

if TYPE_CHECKING:
    from tests.conftest import RunCommand

DECRYPTION, VALIDATION = "AB" * 32, "CD" * 64
OTHER_DECRYPTION, OTHER_VALIDATION = "01" * 32, "23" * 64
ENCRYPTION, OTHER_ENCRYPTION = (
    "c2VjcmV0LW9uZS1zZWNyZXQtb25lLXNlY3JldC1vbjE=",
    "b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC1vdGhlci0=",
)
API, OTHER_API = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
SERVER_PORT = (
    '<add key="LoadBalancer.UseSqlServer" value="false" />'
    '<add key="LoadBalancer.UseRedis" value="false" />'
    '<add key="LoadBalancer.Redis.Server" value="" />'
)
DEFAULT = r'<connectionStrings><add name="Default" connectionString="Data Source=SQL01\PROD;Initial Catalog=UiPath"/></connectionStrings>'
REDIS_STRING = '<add key="LoadBalancer.Redis.ConnectionString" value="localhost:6379,password=old-secret" />'


def config(
    *,
    first: bool = True,
    settings: str = SERVER_PORT,
    secure: str | None = None,
    web: str = "",
    machine: str | None = None,
    extra: str = "",
) -> str:
    decryption, validation = (DECRYPTION, VALIDATION) if first else (OTHER_DECRYPTION, OTHER_VALIDATION)
    encryption, api = (ENCRYPTION, API) if first else (OTHER_ENCRYPTION, OTHER_API)
    if machine is None:
        machine = f'<machineKey validation="SHA1" decryption="AES" decryptionKey="{decryption}" validationKey="{validation}"/>'
    if secure is None:
        secure = f'<secureAppSettings><add key="EncryptionKey" value="{encryption}"/></secureAppSettings>'
    return (
        f'<configuration>\n  <appSettings>\n    <add key="apiKey" value="{api}"/>\n    {settings}\n  </appSettings>\n'
        f"  {secure}\n  <system.web>\n    {machine}\n    {web}\n  </system.web>\n{extra}</configuration>\n"
    )


Farm = Callable[..., Spec]


@pytest.fixture
def farm(tmp_path: Path, farm_data: Callable[..., dict[str, Any]]) -> Farm:
    """Write a farm.yaml and the configs of two nodes, and load it."""

    def make(
        one: str | None = None,
        two: str | None = None,
        name: str = "web.config",
        stores: Mapping[str, object] | None = None,
        **changes: object,
    ) -> Spec:
        for node, text in (("orch-1", one or config()), ("orch-2", two or config(first=False))):
            (tmp_path / node).mkdir(exist_ok=True)
            (tmp_path / node / name).write_text(text, encoding="utf-8")
        changes.setdefault(
            "nodes",
            [
                {"name": "orch-1", "address": "10.20.0.11", "primary": True, "config": f"orch-1/{name}"},
                {"name": "orch-2", "address": "10.20.0.12", "config": f"orch-2/{name}"},
            ],
        )
        with_database = {"database": {"server": "SQL01\\PROD", "name": "UiPath"}, **(stores or {})}
        path = tmp_path / "farm.yaml"
        path.write_text(json.dumps(farm_data(stores=with_database, **changes)), encoding="utf-8")
        return load(path)

    return make


def changes(plan: FarmPlan, node: str = "orch-2") -> dict[str, str]:
    return {change.path: str(change.new) for change in plan.plan.changes if change.target.startswith(f"{node} ")}


def new_text(plan: FarmPlan, node: str = "orch-2") -> str:
    return next(content.decode() for one in plan.nodes if one.node.name == node for _document, content in one.files)


# Keys.


def test_plan_clones_all_keys_and_shows_none(farm: Farm) -> None:
    plan = plan_farm(farm())
    text = new_text(plan)
    for value in (DECRYPTION, VALIDATION, ENCRYPTION, API):
        assert value in text
        assert value not in plan.plan.text() + plan.plan.json() + repr(plan)
    for value in (OTHER_DECRYPTION, OTHER_VALIDATION, OTHER_ENCRYPTION, OTHER_API):
        assert value not in text + plan.plan.text() + plan.plan.json() + repr(plan)
    shown = changes(plan)
    assert shown["secureAppSettings/EncryptionKey"] == "sha256:" + hashlib.sha256(ENCRYPTION.encode()).hexdigest()[:12]
    assert "system.web/machineKey@decryptionKey" in shown


def test_plan_clones_algorithms_and_removes_other_attributes(farm: Farm) -> None:
    two = config(
        first=False,
        machine=f'<machineKey validation="HMACSHA256" decryption="3DES" compatibilityMode="Framework45" '
        f'decryptionKey="{OTHER_DECRYPTION}" validationKey="{OTHER_VALIDATION}"/>',
    )
    text = new_text(plan_farm(farm(two=two)))
    assert (
        f'<machineKey validation="SHA1" decryption="AES" decryptionKey="{DECRYPTION}" validationKey="{VALIDATION}"/>'
        in text
    )


def test_plan_without_machine_key_inserts_one_on_its_own_line(farm: Farm) -> None:
    text = new_text(plan_farm(farm(two=config(first=False, machine='<compilation debug="false"/>'))))
    assert (
        f'\n    <machineKey decryptionKey="{DECRYPTION}" validationKey="{VALIDATION}" decryption="AES" validation="SHA1" />\n'
        in text
    )


def test_plan_sets_the_encryption_key_in_the_section_of_the_node(farm: Farm) -> None:
    one = config(secure="", settings=f'{SERVER_PORT}<add key="EncryptionKey" value="{ENCRYPTION}"/>')
    plan = plan_farm(farm(one=one))
    assert "secureAppSettings/EncryptionKey" in changes(plan)
    assert any("check that both nodes run the same version" in note for note in plan.notes)


def test_plan_two_encryption_keys_in_one_file_is_an_error(farm: Farm) -> None:
    one = config(settings=f'{SERVER_PORT}<add key="EncryptionKey" value="{OTHER_ENCRYPTION}"/>')
    with pytest.raises(NodeError, match="they differ"):
        plan_farm(farm(one=one))


def test_plan_primary_without_encryption_key_is_an_error(farm: Farm) -> None:
    with pytest.raises(NodeError, match="no EncryptionKey"):
        plan_farm(farm(one=config(secure="")))


@pytest.mark.parametrize(
    "machine",
    [
        "",
        "<machineKey/>",
        '<machineKey decryptionKey="AutoGenerate,IsolateApps" validationKey="AutoGenerate"/>',
        f'<machineKey decryptionKey="{DECRYPTION},IsolateApps" validationKey="{VALIDATION}"/>',
    ],
)
def test_plan_primary_with_autogenerate_is_an_error_with_a_hint(farm: Farm, machine: str) -> None:
    with pytest.raises(NodeError, match=r"\[autogenerate-keys\]") as error:
        plan_farm(farm(one=config(machine=machine)))
    assert str(error.value.hint).startswith("`nlbgen nodes keys --generate` writes a fixed machineKey")


def test_plan_autogenerate_on_another_node_is_replaced(farm: Farm) -> None:
    machine = '<machineKey decryptionKey="AutoGenerate,IsolateApps" validationKey="AutoGenerate,IsolateApps"/>'
    plan = plan_farm(farm(two=config(first=False, machine=machine)))
    assert DECRYPTION in new_text(plan)
    assert "AutoGenerate,IsolateApps -> sha256:" in plan.plan.text()


@pytest.mark.parametrize(
    ("name", "version", "command"),
    [
        ("web.config", "2019.4", 'aspnet_regiis -pd "secureAppSettings" -site "UiPath Orchestrator" -app "/"'),
        (
            "UiPath.Orchestrator.dll.config",
            "2022.4",
            'UiPath.Orchestrator.Cli.exe protected-configuration -pd "secureAppSettings" -site "UiPath Orchestrator" -app "/"',
        ),
    ],
)
@pytest.mark.parametrize(
    "section",
    [
        '<secureAppSettings configProtectionProvider="RsaProtectedConfigurationProvider"><EncryptedData/></secureAppSettings>',
        "<secureAppSettings><EncryptedData><CipherData/></EncryptedData></secureAppSettings>",
    ],
)
def test_plan_encrypted_section_is_an_error_with_the_command(
    farm: Farm, name: str, version: str, command: str, section: str
) -> None:
    spec = farm(
        two=config(secure=section), name=name, orchestrator={"version": version}, balancer={"affinity": "signalr"}
    )
    with pytest.raises(NodeError, match=r"\[encrypted-section\]") as error:
        plan_farm(spec)
    assert command in str(error.value.hint)


def test_plan_encrypted_machine_key_names_its_section(farm: Farm) -> None:
    machine = '<machineKey configProtectionProvider="RsaProtectedConfigurationProvider"><EncryptedData/></machineKey>'
    with pytest.raises(NodeError) as error:
        plan_farm(farm(one=config(machine=machine)))
    assert '-pd "system.web/machineKey"' in str(error.value.hint)


def test_plan_reports_the_problems_of_all_nodes(farm: Farm) -> None:
    section = "<secureAppSettings><EncryptedData/></secureAppSettings>"
    spec = farm(
        two=config(secure=section),
        keys={"from": "orch-1/web.config"},
        nodes=[
            {"name": "orch-1", "address": "10.20.0.11", "config": "missing/web.config"},
            {"name": "orch-2", "address": "10.20.0.12", "config": "gone/web.config"},
        ],
    )
    with pytest.raises(NodeError) as error:
        plan_farm(spec)
    assert "missing/web.config" in error.value.message
    assert "gone/web.config" in error.value.message


def test_plan_keys_from_a_file_clones_its_keys(farm: Farm, tmp_path: Path) -> None:
    (tmp_path / "keys.config").write_text(config(first=False), encoding="utf-8")
    plan = plan_farm(farm(keys={"from": "keys.config"}))
    assert OTHER_ENCRYPTION in new_text(plan, "orch-1")
    assert "secureAppSettings/EncryptionKey" not in changes(plan)


# Sessions.


def test_plan_windows_authentication_writes_a_trusted_connection(farm: Farm) -> None:
    plan = plan_farm(farm())
    assert (
        '\n    <sessionState mode="SQLServer" sqlConnectionString="Server=SQL01\\PROD;Database=UiPath;'
        'Trusted_Connection=true;" allowCustomSqlDatabase="true" />\n' in new_text(plan)
    )


@pytest.mark.parametrize(
    ("password", "written"),
    [
        ("simple", "password=simple;"),
        ("a;b", "password=&quot;a;b&quot;;"),
        ('a"b', "password='a&quot;b';"),
        ("a'b\"c", "password=&quot;a'b&quot;&quot;c&quot;;"),
        ("a b", "password=&quot;a b&quot;;"),
        ("a=b", "password=&quot;a=b&quot;;"),
        ("a&<>", "password=a&amp;&lt;>;"),
    ],
)
def test_plan_sql_authentication_quotes_values_for_sqlclient(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, password: str, written: str
) -> None:
    monkeypatch.setenv("NLBGEN_TEST_SQL", password)
    database = {
        "server": "tcp:sql,1433",
        "name": "Ui;Path",
        "auth": {"user": "ui path", "password": {"env": "NLBGEN_TEST_SQL"}},
    }
    plan = plan_farm(farm(stores={"database": database}))
    text = new_text(plan)
    assert f"Server=tcp:sql,1433;Database=&quot;Ui;Path&quot;;user id=&quot;ui path&quot;;{written}" in text
    assert password not in plan.plan.text() + plan.plan.json() + repr(plan) or len(password) < 4


def test_plan_masks_old_passwords(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    old = '<sessionState mode="SQLServer" sqlConnectionString="Data Source=x;user id=sa;Pwd=\'old secret\'" timeout="20"/>'
    plan = plan_farm(farm(two=config(first=False, web=old)))
    line = next(line for line in plan.plan.text().splitlines() if "sqlConnectionString" in line and "->" in line)
    assert "old secret" not in line
    assert "Data Source=x;user id=sa;Pwd=<" in line
    assert 'timeout="20"' in new_text(plan)


def test_plan_missing_secret_names_its_variable(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NLBGEN_TEST_SQL", raising=False)
    database = {"server": "sql", "auth": {"user": "u", "password": {"env": "NLBGEN_TEST_SQL"}}}
    with pytest.raises(NlbgenError, match="NLBGEN_TEST_SQL"):
        plan_farm(farm(stores={"database": database}))


def test_plan_sessions_in_sql_server_without_database_is_an_error(farm: Farm) -> None:
    with pytest.raises(SpecError, match="no database is named"):
        plan_farm(farm(stores={"database": None}))


# SignalR.


def test_plan_server_port_family_with_redis_sets_six_settings(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLBGEN_TEST_REDIS", "r3dis&pass")
    redis = {"host": "redis-1", "port": 6380, "password": {"env": "NLBGEN_TEST_REDIS"}}
    plan = plan_farm(farm(stores={"redis": redis}))
    text = new_text(plan)
    for key, value in {
        "UseRedis": "true",
        "UseSqlServer": "false",
        "DisableBackgroundJobs": "false",
        "Redis.Server": "redis-1",
        "Redis.Port": "6380",
        "Redis.Password": "r3dis&amp;pass",
    }.items():
        assert f'<add key="LoadBalancer.{key}" value="{value}" />' in text
    assert "r3dis" not in plan.plan.text() + plan.plan.json()


def test_plan_server_port_family_with_sql_server_sets_six_settings(farm: Farm) -> None:
    text = new_text(plan_farm(farm(stores={"signalr": "sqlserver", "redis": None})))
    for key, value in {
        "UseRedis": "false",
        "UseSqlServer": "true",
        "Redis.Server": "",
        "Redis.Port": "",
        "Redis.Password": "",
    }.items():
        assert f'<add key="LoadBalancer.{key}" value="{value}" />' in text


def test_plan_connection_string_family_sets_the_connection_strings(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLBGEN_TEST_REDIS", "r3dis=pass")
    redis = {"host": "redis-1", "port": 6379, "password": {"env": "NLBGEN_TEST_REDIS"}, "tls": True}
    two = config(
        first=False, settings=REDIS_STRING + '<add key="LoadBalancer.SignalR.UseRedisScaleout" value="false"/>'
    )
    plan = plan_farm(farm(one=config(settings=REDIS_STRING), two=two, stores={"redis": redis}))
    text = new_text(plan)
    string = "redis-1:6379,password=r3dis=pass,ssl=True"
    assert f'<add key="LoadBalancer.Redis.ConnectionString" value="{string}" />' in text
    assert f'<add key="LoadBalancer.SignalR.RedisScaleout.ConnectionString" value="{string}" />' in text
    assert '<add key="LoadBalancer.Enabled" value="true" />' in text
    assert '<add key="NuGet.EnableRedisNodeCoordination" value="true" />' in text
    assert "LoadBalancer.UseSqlServer" not in text
    assert "old-secret" not in plan.plan.text()
    assert "r3dis" not in plan.plan.text()


def test_plan_core_file_has_no_session_state_and_keeps_enabled(farm: Farm) -> None:
    settings = REDIS_STRING + '<add key="LoadBalancer.Enabled" value="false"/>'
    plan = plan_farm(
        farm(
            one=config(settings=settings),
            two=config(first=False, settings=settings),
            name="UiPath.Orchestrator.dll.config",
            orchestrator={"version": "2022.10"},
            balancer={"affinity": "signalr"},
        )
    )
    text = new_text(plan)
    assert "sessionState" not in text
    assert '<add key="LoadBalancer.Enabled" value="false"/>' in text
    assert '<add key="quartz.jobStore.clustered" value="true" />' in text
    assert any("No documentation says" in note for note in plan.notes)


def test_plan_unknown_family_is_an_error_that_names_both(farm: Farm) -> None:
    bare = '<add key="LoadBalancer.UseRedis" value="false"/>'
    spec = farm(one=config(settings=bare), two=config(first=False, settings=bare))
    with pytest.raises(NodeError) as error:
        plan_farm(spec)
    for named in ("LoadBalancer.Redis.Server", "LoadBalancer.Redis.ConnectionString", "signalr_keys: server-port"):
        assert named in f"{error.value.message} {error.value.hint}"


def test_plan_signalr_keys_selects_the_family(farm: Farm) -> None:
    bare = '<add key="LoadBalancer.UseRedis" value="false"/>'
    files = {"one": config(settings=bare), "two": config(first=False, settings=bare)}
    string = plan_farm(farm(**files, stores={"signalr_keys": "connection-string"}))
    assert "appSettings/LoadBalancer.Redis.ConnectionString" in changes(string)
    parts = plan_farm(farm(**files, stores={"signalr_keys": "server-port"}))
    assert "appSettings/LoadBalancer.Redis.Server" in changes(parts)


def test_plan_two_families_in_one_file_is_an_error(farm: Farm) -> None:
    with pytest.raises(NodeError, match="two families"):
        plan_farm(farm(two=config(first=False, settings=SERVER_PORT + REDIS_STRING)))


def test_plan_connection_string_family_with_sql_server_is_an_error(farm: Farm) -> None:
    files = {"one": config(settings=REDIS_STRING), "two": config(first=False, settings=REDIS_STRING)}
    with pytest.raises(NodeError, match="no setting is documented"):
        plan_farm(farm(**files, stores={"signalr": "sqlserver", "redis": None}))


@pytest.mark.parametrize("password", ["xq1z,xq1z", " xq1z", "xq1z ", "xq1z\nxq1z"])
def test_plan_unsupported_redis_password_is_an_error_without_its_value(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("NLBGEN_TEST_REDIS", password)
    redis = {"host": "redis-1", "port": 6379, "password": {"env": "NLBGEN_TEST_REDIS"}}
    with pytest.raises(SecretError) as error:
        plan_farm(farm(stores={"redis": redis}))
    said = str(error.value)
    assert re.search(r"farm\.yaml:\d+:\d+: stores\.redis\.password \(NLBGEN_TEST_REDIS\): cannot be used", said)
    assert said.count("stores.redis.password") == 1
    assert "xq1z" not in said


MISSING = [
    ({"env": "NLBGEN_TEST_NOT_SET"}, "<from NLBGEN_TEST_NOT_SET, not set>", "NLBGEN_TEST_NOT_SET is not set"),
    ({"env": "NLBGEN_TEST_EMPTY"}, "<from NLBGEN_TEST_EMPTY, empty>", "NLBGEN_TEST_EMPTY is empty"),
    ({"file": "no/redis.txt"}, "<from no/redis.txt, not readable>", "no/redis.txt is not readable"),
    ({"file": "empty.txt"}, "<from empty.txt, not readable>", "empty.txt is not readable"),
]


@pytest.mark.parametrize("settings", [SERVER_PORT, REDIS_STRING], ids=["server-port", "connection-string"])
@pytest.mark.parametrize("secret, placeholder, reason", MISSING)
def test_plan_command_missing_secret_shows_a_placeholder(
    cli: "RunCommand",
    farm: Farm,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    secret: dict[str, str],
    placeholder: str,
    reason: str,
    settings: str,
) -> None:
    monkeypatch.setenv("NLBGEN_TEST_EMPTY", "")
    (tmp_path / "empty.txt").write_bytes(b"")
    files = {"one": config(settings=settings), "two": config(first=False, settings=settings)}
    spec = farm(**files, stores={"redis": {"host": "redis-1", "port": 6379, "password": secret}})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.config")}
    ran = cli("nodes", "plan", "-s", spec.name)
    assert ran.code == 0
    assert ran.out.count(placeholder) == 2
    assert ran.out.endswith(f"changes, no digest: {reason}\n")
    assert re.match(r".*farm\.yaml:\d+:\d+: stores\.redis\.password: ", ran.err)
    assert "`nlbgen nodes apply` needs the secret" in ran.err
    data = json.loads(cli("nodes", "plan", "-s", spec.name, "--format", "json").out)
    assert (data["digest"], data["incomplete"]) == (None, reason)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.config")} == before


def test_plan_command_missing_sql_password_shows_a_placeholder(cli: "RunCommand", farm: Farm) -> None:
    login = {"user": "u", "password": {"env": "NLBGEN_TEST_NOT_SET"}}
    ran = cli("nodes", "plan", "-s", farm(stores={"database": {"server": "SQL01", "auth": login}}).name)
    assert "user id=u;password=<from NLBGEN_TEST_NOT_SET, not set>;" in ran.out


def test_plan_command_invalid_secret_is_an_error(
    cli: "RunCommand", farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLBGEN_TEST_REDIS", "a,b")
    login = {"user": "u", "password": {"env": "NLBGEN_TEST_NOT_SET"}}
    redis = {"host": "redis-1", "port": 6379, "password": {"env": "NLBGEN_TEST_REDIS"}}
    ran = cli("nodes", "plan", "-s", farm(stores={"redis": redis, "database": {"server": "SQL01", "auth": login}}).name)
    assert (ran.code, ran.out) == (1, "")
    assert "cannot be used" in ran.err


def test_plan_for_review_is_not_applied(farm: Farm) -> None:
    redis = {"host": "redis-1", "port": 6379, "password": {"env": "NLBGEN_TEST_NOT_SET"}}
    plan = plan_farm(farm(stores={"redis": redis}), for_review=True)
    assert [node.files for node in plan.nodes] == [(), ()]
    with pytest.raises(MissingSecretError, match="NLBGEN_TEST_NOT_SET is not set"):
        apply(plan, datetime(2026, 1, 2, tzinfo=UTC))


def test_apply_command_missing_secret_is_an_error(cli: "RunCommand", farm: Farm) -> None:
    redis = {"host": "redis-1", "port": 6379, "password": {"env": "NLBGEN_TEST_NOT_SET"}}
    ran = cli("nodes", "apply", "--yes", "-s", farm(stores={"redis": redis}).name)
    assert (ran.code, ran.out) == (1, "")
    assert re.match(r".*farm\.yaml:\d+:\d+: stores\.redis\.password: ", ran.err)


def test_plan_reports_all_missing_secrets(farm: Farm) -> None:
    login = {"user": "u", "password": {"env": "NLBGEN_TEST_NOT_SET"}}
    redis = {"host": "redis-1", "port": 6379, "password": {"file": "nowhere.txt"}}
    with pytest.raises(MissingSecretError) as error:
        plan_farm(farm(stores={"redis": redis, "database": {"server": "SQL01\\PROD", "auth": login}}))
    assert "stores.redis.password" in str(error.value)
    assert "stores.database.auth.password" in str(error.value)


def test_plan_redis_with_ipv6_address_is_an_error(farm: Farm) -> None:
    with pytest.raises(SpecError, match="IPv6"):
        plan_farm(farm(stores={"redis": {"host": "fd00::1", "port": 6379}}))


# The rest.


def test_plan_of_applied_files_is_empty(farm: Farm, tmp_path: Path) -> None:
    spec = farm()
    for one in plan_farm(spec).nodes:
        for document, content in one.files:
            document.path.write_bytes(content)
    assert len(plan_farm(spec).plan) == 0


def test_plan_packages_on_the_local_disk_adds_a_note(farm: Farm) -> None:
    one = config(settings=SERVER_PORT + '<add key="NuGet.Packages.Path" value="~/NuGetPackages"/>')
    two = config(first=False, settings=SERVER_PORT + r'<add key="Storage.Location" value="RootPath=\\srv\share"/>')
    notes = plan_farm(farm(one=one, two=two)).notes
    assert [note for note in notes if "own disk" in note and "NuGet.Packages.Path" in note]
    assert not [note for note in notes if "Storage.Location" in note]


def test_plan_clones_the_package_share_of_the_first_node(farm: Farm) -> None:
    shared = '<add key="Storage.Type" value="FileSystem"/><add key="Storage.Location" value="RootPath=\\\\srv\\nuget"/>'
    local = '<add key="Storage.Location" value="RootPath=C:\\NuGet"/>'
    plan = plan_farm(
        farm(one=config(settings=SERVER_PORT + shared), two=config(first=False, settings=SERVER_PORT + local))
    )
    assert changes(plan)["appSettings/Storage.Location"] == r"RootPath=\\srv\nuget"
    assert changes(plan)["appSettings/Storage.Type"] == "FileSystem"
    assert not [note for note in plan.notes if "own disk" in note]


@pytest.mark.parametrize(
    "first",
    [
        '<add key="Storage.Location" value="RootPath=C:\\NuGet"/>',
        '<add key="Storage.Type" value="Amazon"/><add key="Storage.Location" value="\\\\bucket;secretKey=x"/>',
        '<add key="Storage.Location" value="RootPath=\\\\srv\\nuget;secretKey=x"/>',
    ],
)
def test_plan_clones_no_other_package_storage(farm: Farm, first: str) -> None:
    local = '<add key="Storage.Location" value="RootPath=D:\\NuGet"/>'
    plan = plan_farm(
        farm(one=config(settings=SERVER_PORT + first), two=config(first=False, settings=SERVER_PORT + local))
    )
    assert not [path for path in changes(plan) if "Storage" in path]


def test_plan_file_of_another_version_is_an_error(farm: Farm) -> None:
    with pytest.raises(NodeError, match=r"this file is of a version before 2020\.10"):
        plan_farm(farm(orchestrator={"version": "2021.10"}, balancer={"affinity": "signalr"}))


def test_plan_one_file_for_two_nodes_is_an_error(farm: Farm) -> None:
    nodes = [
        {"name": "orch-1", "address": "10.20.0.11", "config": "orch-1/web.config"},
        {"name": "orch-2", "address": "10.20.0.12", "config": "orch-1"},
    ]
    with pytest.raises(NodeError, match=r"farm\.yaml:\d+:\d+: nodes\[1\]\.config: .* is also the config of orch-1"):
        plan_farm(farm(nodes=nodes))


@pytest.mark.parametrize("change", [{"nodes": "typo"}, {"keys": {"from": "typo/web.config"}}])
def test_missing_config_is_an_error_of_plan_and_a_note_of_check(
    cli: "RunCommand", farm: Farm, change: dict[str, Any]
) -> None:
    if "nodes" in change:
        names = {"orch-1": "orch-1/web.config", "orch-2": "orch-2/typo.config"}
        change = {
            "nodes": [
                {"name": name, "address": f"10.20.0.{number}", "config": path}
                for number, (name, path) in enumerate(names.items(), 11)
            ]
        }
    spec = farm(**change)
    placed = r"farm\.yaml:\d+:\d+: {}(nodes\[1\]\.config|keys\.from): \S*typo\S* does not exist"
    with pytest.raises(NodeError, match=placed.format("")):
        plan_farm(spec)
    ran = cli("check", "-s", spec.name)
    assert ran.code == 0
    assert re.search(placed.format("note: "), ran.err)


def test_plan_without_configs_of_nodes_names_the_nodes(farm: Farm, tmp_path: Path) -> None:
    (tmp_path / "keys.config").write_text(config(), encoding="utf-8")
    nodes = [{"name": f"orch-{number}", "address": f"10.20.0.{number}"} for number in (1, 2)]
    plan = plan_farm(farm(nodes=nodes, keys={"from": "keys.config"}))
    assert len(plan.plan) == 0
    assert plan.without_config == ("orch-1", "orch-2")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("appSettings", "otherSettings", "has no section <appSettings>, but apiKey must be in it"),
        ("system.web", "system.other", "has no section <system.web>, but <machineKey> must be in it"),
    ],
)
def test_plan_missing_parent_section_is_an_error(farm: Farm, old: str, new: str, message: str) -> None:
    with pytest.raises(NodeError, match=message):
        plan_farm(farm(two=re.sub(rf"(</?){old}>", rf"\1{new}>", config(first=False))))


def test_plan_value_that_xml_forbids_is_an_error_without_the_value(farm: Farm) -> None:
    node = plan_farm(farm()).nodes[0]
    setting = DesiredSetting("appSettings", "other", plain("hidden\x01"))
    with pytest.raises(NodeError, match=r"a value cannot be written: it contains U\+0001") as error:
        planning.plan_node(node.node, node.config, [setting], Fingerprints())
    assert "hidden" not in str(error.value)


def test_plan_edit_without_its_effect_is_an_internal_error(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "text_edits", lambda *_args: [])
    with pytest.raises(RuntimeError, match="the edited text does not match the plan"):
        plan_farm(farm())


def test_plan_node_setting_without_value_is_kept(farm: Farm) -> None:
    spec = farm()
    (node, file), *_ = reading.load_configs(spec).items()
    plan = planning.plan_node(node, file, [DesiredSetting(APP, "apiKey", None)], Fingerprints())
    assert (plan.changes, plan.files) == ((), ())


def test_plan_core_file_without_signalr_settings_gets_the_connection_string(farm: Farm) -> None:
    files = {"one": config(settings=""), "two": config(first=False, settings="")}
    stores = {"redis": {"host": "redis-1", "port": 6379}, "signalr": "redis"}
    plan = plan_farm(
        farm(**files, name="UiPath.Orchestrator.dll.config", stores=stores, orchestrator={"version": None})
    )
    assert "appSettings/LoadBalancer.Redis.ConnectionString" in changes(plan)


def test_plan_single_node_with_signalr_in_memory_disables_redis(farm: Farm) -> None:
    settings = REDIS_STRING + '<add key="LoadBalancer.SignalR.UseRedisScaleout" value="true"/>'
    nodes = [{"name": "orch-1", "address": "10.20.0.11", "config": "orch-1/web.config"}]
    plan = plan_farm(farm(config(settings=settings), nodes=nodes, stores={"signalr": "inproc", "redis": None}))
    shown = changes(plan, "orch-1")
    assert shown["appSettings/LoadBalancer.SignalR.UseRedisScaleout"] == "false"
    assert "appSettings/LoadBalancer.Redis.ConnectionString" not in shown


def test_session_login_without_password_is_an_internal_error(farm: Farm) -> None:
    spec = farm()
    database = spec.farm.stores.database
    assert database is not None
    login = database.replace(auth=SqlLogin(user="u"))
    spec = spec._replace(farm=spec.farm.replace(stores=spec.farm.stores.replace(database=login)))
    with pytest.raises(ValueError, match="a login without user or password"):
        plan_farm(spec)


# The database.


def test_plan_unusual_connection_string_of_the_node_adds_no_note(farm: Farm) -> None:
    unusual = DEFAULT.replace("Data Source=", "")
    spec = farm(config(extra=unusual), config(first=False, extra=unusual))
    assert not [note for note in plan_farm(spec).notes if "database-differs" in note]


@pytest.mark.parametrize(
    "server",
    ["SQL01\\PROD", "sql01\\prod", "tcp:SQL01\\PROD", "SQL01.corp.example\\PROD"],
)
def test_plan_same_database_adds_no_note(farm: Farm, server: str) -> None:
    files = config(extra=DEFAULT), config(first=False, extra=DEFAULT)
    spec = farm(*files, stores={"database": {"server": server, "name": "uipath"}})
    assert not [note for note in plan_farm(spec).notes if "database-differs" in note]


@pytest.mark.parametrize(
    ("database", "key"),
    [
        ({"server": "SQL9\\PROD"}, "server"),
        ({"server": "SQL01\\TEST"}, "server"),
        ({"server": "SQL01"}, "server"),
        ({"server": "SQL01\\PROD", "name": "Other"}, "name"),
    ],
)
def test_plan_other_database_adds_a_note(farm: Farm, database: dict[str, str], key: str) -> None:
    spec = farm(config(extra=DEFAULT), config(first=False), stores={"database": database})
    (line,) = [note for note in plan_farm(spec).notes if "[database-differs]" in note]
    assert re.match(r"\S*web\.config:\d+:\d+: connectionStrings/Default names the database UiPath on SQL01", line)
    assert str(spec.document.location(("stores", "database", key))) in line
    assert "sessions" in line


def test_plan_accepts_windows_separators(farm: Farm) -> None:
    nodes = [
        {"name": "orch-1", "address": "10.20.0.11", "config": "orch-1\\web.config"},
        {"name": "orch-2", "address": "10.20.0.12", "config": "orch-2\\web.config"},
    ]
    assert len(plan_farm(farm(nodes=nodes)).plan) > 0


def test_plan_attribute_in_another_case_is_an_error(farm: Farm) -> None:
    with pytest.raises(NodeError, match="sqlconnectionstring is unknown"):
        plan_farm(farm(two=config(first=False, web='<sessionState mode="InProc" sqlconnectionstring=""/>')))


def test_plan_config_source_edits_the_named_file(farm: Farm, tmp_path: Path) -> None:
    spec = farm(two=config(first=False, secure='<secureAppSettings configSource="secure.config"/>'))
    content = f"<secureAppSettings>\r\n\t<add key='EncryptionKey' value='{OTHER_ENCRYPTION}' />\r\n</secureAppSettings>"
    (tmp_path / "orch-2" / "secure.config").write_bytes(content.encode())
    files = {
        document.path.name: new
        for one in plan_farm(spec).nodes
        for document, new in one.files
        if one.node.name == "orch-2"
    }
    assert files["secure.config"].decode() == content.replace(OTHER_ENCRYPTION, ENCRYPTION)


@pytest.mark.parametrize(
    ("dropping", "name"),
    [
        ("<clear/>", "user.config"),
        ('<remove key="Quartz.jobStore.clustered"/>', "user.config"),
        ('<remove key="another"/>', "web.config"),
    ],
)
def test_plan_setting_is_inserted_into_the_file_in_which_it_takes_effect(
    dropping: str, name: str, farm: Farm, tmp_path: Path
) -> None:
    text = config(first=False).replace("<appSettings>", '<appSettings file="user.config">')
    spec = farm(two=text)
    later = f'<appSettings>\n  {dropping}\n  <add key="apiKey" value="{OTHER_API}"/>\n</appSettings>\n'
    (tmp_path / "orch-2" / "user.config").write_text(later, encoding="utf-8")
    files = {
        document.path.name: new.decode()
        for one in plan_farm(spec).nodes
        for document, new in one.files
        if one.node.name == "orch-2"
    }
    assert '<add key="quartz.jobStore.clustered" value="true" />\n' in files.pop(name)
    assert not [other for other, text in files.items() if 'key="quartz.jobStore.clustered" value' in text]


# The plan itself.


def test_plan_digest_covers_state_and_changes_in_any_order() -> None:
    one, two = Change("b", "x", None, Shown("1")), Change("a", "y", Shown("1"), None)
    assert Plan([one, two], {"f": "0"}).digest == Plan([two, one], {"f": "0"}).digest
    assert [change.target for change in Plan([one, two], {}).changes] == ["a", "b"]
    assert Plan([one], {"f": "0"}).digest != Plan([one], {"f": "1"}).digest
    secret = Change("b", "x", None, Shown("same", secret=True, identity="1"))
    other = Change("b", "x", None, Shown("same", secret=True, identity="2"))
    assert Plan([secret], {}).digest != Plan([other], {}).digest


def test_plan_expect_another_digest_raises() -> None:
    plan = Plan([Change("a", "x", Shown(""), Shown(" b"))], {})
    plan.expect(plan.digest)
    plan.expect(plan.digest[:16].upper())
    with pytest.raises(DifferenceError):
        plan.expect("0" * 64)
    for wrong in ("", "abc", "z" * 64):
        with pytest.raises(UsageError):
            plan.expect(wrong)
    assert '~ x: "" -> " b"' in plan.text()


def test_plan_text_matches_the_golden_file(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, update_golden: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    farm()
    golden = Path(__file__).parents[1] / "golden" / "nodes" / "plan.txt"
    text = plan_farm(load(Path("farm.yaml"))).plan.text()
    if update_golden:
        golden.write_text(text, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == text


def test_plan_core_files_without_version_need_no_database(farm: Farm) -> None:
    files = {"one": config(settings=REDIS_STRING), "two": config(first=False, settings=REDIS_STRING)}
    spec = farm(
        **files, name="UiPath.Orchestrator.dll.config", stores={"database": None}, orchestrator={"version": None}
    )
    assert "sessionState" not in new_text(plan_farm(spec))


def test_plan_server_port_family_with_a_user_is_an_error(farm: Farm) -> None:
    with pytest.raises(NodeError, match="do not support users"):
        plan_farm(
            farm(
                stores={"redis": {"host": "redis-1", "port": 6379, "user": "orchestrator"}},
                orchestrator={"version": None},
            )
        )


def test_plan_connection_string_names_the_user(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLBGEN_TEST_REDIS", "pass")
    redis = {"host": "redis-1", "port": 6379, "user": "orchestrator", "password": {"env": "NLBGEN_TEST_REDIS"}}
    files = {"one": config(settings=REDIS_STRING), "two": config(first=False, settings=REDIS_STRING)}
    spec = farm(
        **files,
        name="UiPath.Orchestrator.dll.config",
        stores={"redis": redis},
        orchestrator={"version": None},
    )
    assert 'value="redis-1:6379,password=pass,user=orchestrator"' in new_text(plan_farm(spec))


def test_plan_server_port_family_with_tls_is_an_error(farm: Farm) -> None:
    with pytest.raises(NodeError, match="do not support TLS"):
        plan_farm(farm(stores={"redis": {"host": "redis-1", "port": 6379, "tls": True}}))
