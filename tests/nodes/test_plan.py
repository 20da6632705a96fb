"""What changes: keys, session, SignalR in every family, Quartz; what is refused rather than guessed; what is shown."""

# ruff: noqa: E501  # the samples are lines of config files

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlbgen.core.errors import DifferenceError, NlbgenError, NodeError, SpecError, UsageError
from nlbgen.core.plan import Change, Plan, Shown
from nlbgen.nodes.planning import FarmPlan, plan_farm
from nlbgen.spec.load import Spec, load
from nlbgen.spec.references import MissingSecretError, SecretError

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
    """Writes a farm.yaml with two nodes' configs beside it, and loads it."""

    def make(one: str | None = None, two: str | None = None, name: str = "web.config", **changes: Any) -> Spec:
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
        stores = {"database": {"server": "SQL01\\PROD", "name": "UiPath"}, **changes.pop("stores", {})}
        path = tmp_path / "farm.yaml"
        path.write_text(json.dumps(farm_data(stores=stores, **changes)), encoding="utf-8")
        return load(path)

    return make


def changes(plan: FarmPlan, node: str = "orch-2") -> dict[str, str]:
    return {change.path: str(change.new) for change in plan.plan.changes if change.target.startswith(f"{node} ")}


def new_text(plan: FarmPlan, node: str = "orch-2") -> str:
    return next(content.decode() for one in plan.nodes if one.node.name == node for _document, content in one.files)


# Keys.


def test_all_keys_are_cloned_and_none_is_shown(farm):
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


def test_the_algorithms_are_cloned_too_and_what_the_primary_lacks_goes(farm):
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


def test_a_node_without_machine_key_gets_one_on_a_line_of_its_own(farm):
    text = new_text(plan_farm(farm(two=config(first=False, machine='<compilation debug="false"/>'))))
    assert (
        f'\n    <machineKey decryptionKey="{DECRYPTION}" validationKey="{VALIDATION}" decryption="AES" validation="SHA1" />\n'
        in text
    )


def test_the_encryption_key_is_set_where_the_node_keeps_it(farm):
    one = config(secure="", settings=f'{SERVER_PORT}<add key="EncryptionKey" value="{ENCRYPTION}"/>')
    plan = plan_farm(farm(one=one))
    assert "secureAppSettings/EncryptionKey" in changes(plan)
    assert any("check that both nodes run the same version" in note for note in plan.notes)


def test_two_different_encryption_keys_in_one_file_are_refused(farm):
    one = config(settings=f'{SERVER_PORT}<add key="EncryptionKey" value="{OTHER_ENCRYPTION}"/>')
    with pytest.raises(NodeError, match="they differ"):
        plan_farm(farm(one=one))


def test_without_an_encryption_key_there_is_nothing_to_clone(farm):
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
def test_autogenerate_on_the_primary_stops_with_the_way_to_fixed_keys(farm, machine):
    with pytest.raises(NodeError, match=r"\[autogenerate-keys\]") as error:
        plan_farm(farm(one=config(machine=machine)))
    assert "Generate Keys" in str(error.value.hint)


def test_autogenerate_on_another_node_is_what_cloning_is_for(farm):
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
def test_an_encrypted_section_stops_with_the_exact_command(farm, name, version, command, section):
    spec = farm(
        two=config(secure=section), name=name, orchestrator={"version": version}, balancer={"affinity": "signalr"}
    )
    with pytest.raises(NodeError, match=r"\[encrypted-section\]") as error:
        plan_farm(spec)
    assert command in str(error.value.hint)


def test_an_encrypted_machine_key_names_its_own_section(farm):
    machine = '<machineKey configProtectionProvider="RsaProtectedConfigurationProvider"><EncryptedData/></machineKey>'
    with pytest.raises(NodeError) as error:
        plan_farm(farm(one=config(machine=machine)))
    assert '-pd "system.web/machineKey"' in str(error.value.hint)


def test_all_nodes_problems_come_in_one_run(farm):
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


def test_keys_come_from_another_file_where_the_spec_says_so(farm, tmp_path):
    (tmp_path / "keys.config").write_text(config(first=False), encoding="utf-8")
    plan = plan_farm(farm(keys={"from": "keys.config"}))
    assert OTHER_ENCRYPTION in new_text(plan, "orch-1")
    assert "secureAppSettings/EncryptionKey" not in changes(plan)


# Sessions.


def test_windows_authentication(farm):
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
def test_sql_authentication_is_quoted_as_sqlclient_reads_it(farm, monkeypatch, password, written):
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


def test_old_passwords_are_not_shown_either(farm, monkeypatch):
    old = '<sessionState mode="SQLServer" sqlConnectionString="Data Source=x;user id=sa;Pwd=\'old secret\'" timeout="20"/>'
    plan = plan_farm(farm(two=config(first=False, web=old)))
    line = next(line for line in plan.plan.text().splitlines() if "sqlConnectionString" in line and "->" in line)
    assert "old secret" not in line
    assert "Data Source=x;user id=sa;Pwd=<" in line
    assert 'timeout="20"' in new_text(plan)


def test_a_missing_secret_is_named(farm, monkeypatch):
    monkeypatch.delenv("NLBGEN_TEST_SQL", raising=False)
    database = {"server": "sql", "auth": {"user": "u", "password": {"env": "NLBGEN_TEST_SQL"}}}
    with pytest.raises(NlbgenError, match="NLBGEN_TEST_SQL"):
        plan_farm(farm(stores={"database": database}))


def test_sessions_in_sql_server_need_a_database(farm):
    with pytest.raises(SpecError, match="no database is named"):
        plan_farm(farm(stores={"database": None}))


# SignalR.


def test_the_six_settings_of_the_guide_with_redis(farm, monkeypatch):
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


def test_the_six_settings_of_the_guide_with_sql_server(farm):
    text = new_text(plan_farm(farm(stores={"signalr": "sqlserver", "redis": None})))
    for key, value in {
        "UseRedis": "false",
        "UseSqlServer": "true",
        "Redis.Server": "",
        "Redis.Port": "",
        "Redis.Password": "",
    }.items():
        assert f'<add key="LoadBalancer.{key}" value="{value}" />' in text


def test_the_connection_string_of_later_versions(farm, monkeypatch):
    monkeypatch.setenv("NLBGEN_TEST_REDIS", "r3dis=pass")
    redis = {"host": "redis-1", "port": 6379, "password": {"env": "NLBGEN_TEST_REDIS"}, "tls": True}
    two = config(
        first=False, settings=REDIS_STRING + '<add key="LoadBalancer.SignalR.UseRedisScaleout" value="false"/>'
    )
    plan = plan_farm(farm(one=config(settings=REDIS_STRING), two=two, stores={"redis": redis}))
    text = new_text(plan)
    string = "redis-1:6379,password=r3dis=pass,ssl=True,abortConnect=False"
    assert f'<add key="LoadBalancer.Redis.ConnectionString" value="{string}" />' in text
    assert f'<add key="LoadBalancer.SignalR.RedisScaleout.ConnectionString" value="{string}" />' in text
    assert '<add key="LoadBalancer.Enabled" value="true" />' in text
    assert '<add key="NuGet.EnableRedisNodeCoordination" value="true" />' in text
    assert "LoadBalancer.UseSqlServer" not in text
    assert "old-secret" not in plan.plan.text()
    assert "r3dis" not in plan.plan.text()


def test_core_has_no_session_state_and_keeps_enabled_as_it_is(farm):
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
    assert any("not documented" in note for note in plan.notes)


def test_what_no_file_shows_is_asked_for_and_both_families_are_named(farm):
    bare = '<add key="LoadBalancer.UseRedis" value="false"/>'
    spec = farm(one=config(settings=bare), two=config(first=False, settings=bare))
    with pytest.raises(NodeError) as error:
        plan_farm(spec)
    for named in ("LoadBalancer.Redis.Server", "LoadBalancer.Redis.ConnectionString", "signalr_keys: server-port"):
        assert named in f"{error.value.message} {error.value.hint}"


def test_the_spec_can_say_which_family_it_is(farm):
    bare = '<add key="LoadBalancer.UseRedis" value="false"/>'
    files = {"one": config(settings=bare), "two": config(first=False, settings=bare)}
    string = plan_farm(farm(**files, stores={"signalr_keys": "connection-string"}))
    assert "appSettings/LoadBalancer.Redis.ConnectionString" in changes(string)
    parts = plan_farm(farm(**files, stores={"signalr_keys": "server-port"}))
    assert "appSettings/LoadBalancer.Redis.Server" in changes(parts)


def test_two_families_in_one_file_are_refused(farm):
    with pytest.raises(NodeError, match="two families"):
        plan_farm(farm(two=config(first=False, settings=SERVER_PORT + REDIS_STRING)))


def test_sql_server_has_no_setting_in_the_later_family(farm):
    files = {"one": config(settings=REDIS_STRING), "two": config(first=False, settings=REDIS_STRING)}
    with pytest.raises(NodeError, match="no setting is documented"):
        plan_farm(farm(**files, stores={"signalr": "sqlserver", "redis": None}))


@pytest.mark.parametrize("password", ["xq1z,xq1z", " xq1z", "xq1z ", "xq1z\nxq1z"])
def test_redis_passwords_that_the_string_cannot_carry_are_refused_unshown(farm, monkeypatch, password):
    monkeypatch.setenv("NLBGEN_TEST_REDIS", password)
    redis = {"host": "redis-1", "port": 6379, "password": {"env": "NLBGEN_TEST_REDIS"}}
    with pytest.raises(SecretError) as error:
        plan_farm(farm(stores={"redis": redis}))
    said = str(error.value)
    assert re.search(r"farm\.yaml:\d+:\d+: stores\.redis\.password \(NLBGEN_TEST_REDIS\): cannot be used", said)
    assert said.count("stores.redis.password") == 1
    assert "xq1z" not in said


@pytest.mark.parametrize("secret", [{"env": "NLBGEN_TEST_NOT_SET"}, {"file": "nowhere/redis.txt"}])
def test_a_secret_that_is_not_there_is_missed_once_and_by_its_place(cli, farm, secret):
    spec = farm(stores={"redis": {"host": "redis-1", "port": 6379, "password": secret}})
    ran = cli("nodes", "plan", "-s", spec.name)
    assert ran.code == 1
    assert re.match(r".*farm\.yaml:\d+:\d+: stores\.redis\.password: ", ran.err)
    assert ran.err.count(next(iter(secret.values()))) == (2 if "env" in secret else 1)  # the hint names the variable


def test_all_secrets_that_are_missing_are_said_at_once(farm):
    login = {"user": "u", "password": {"env": "NLBGEN_TEST_NOT_SET"}}
    redis = {"host": "redis-1", "port": 6379, "password": {"file": "nowhere.txt"}}
    with pytest.raises(MissingSecretError) as error:
        plan_farm(farm(stores={"redis": redis, "database": {"server": "SQL01\\PROD", "auth": login}}))
    assert "stores.redis.password" in str(error.value)
    assert "stores.database.auth.password" in str(error.value)


def test_an_ipv6_redis_is_refused(farm):
    with pytest.raises(SpecError, match="IPv6"):
        plan_farm(farm(stores={"redis": {"host": "fd00::1", "port": 6379}}))


# The rest.


def test_a_second_plan_of_the_result_is_empty(farm, tmp_path):
    spec = farm()
    for one in plan_farm(spec).nodes:
        for document, content in one.files:
            document.path.write_bytes(content)
    assert len(plan_farm(spec).plan) == 0


def test_packages_on_the_nodes_own_disk_are_noticed(farm):
    one = config(settings=SERVER_PORT + '<add key="NuGet.Packages.Path" value="~/NuGetPackages"/>')
    two = config(first=False, settings=SERVER_PORT + r'<add key="Storage.Location" value="RootPath=\\srv\share"/>')
    notes = plan_farm(farm(one=one, two=two)).notes
    assert [note for note in notes if "own disk" in note and "NuGet.Packages.Path" in note]
    assert not [note for note in notes if "Storage.Location" in note]


def test_a_file_of_another_version_than_the_spec_says_is_refused(farm):
    with pytest.raises(NodeError, match=r"this file is of a version before 2020\.10"):
        plan_farm(farm(orchestrator={"version": "2021.10"}, balancer={"affinity": "signalr"}))


def test_one_file_for_two_nodes_is_refused(farm):
    nodes = [
        {"name": "orch-1", "address": "10.20.0.11", "config": "orch-1/web.config"},
        {"name": "orch-2", "address": "10.20.0.12", "config": "orch-1"},
    ]
    with pytest.raises(NodeError, match=r"farm\.yaml:\d+:\d+: nodes\[1\]\.config: .* is also the config of orch-1"):
        plan_farm(farm(nodes=nodes))


@pytest.mark.parametrize("change", [{"nodes": "typo"}, {"keys": {"from": "typo/web.config"}}])
def test_a_file_that_is_not_there_is_refused_with_its_place_and_only_noted_by_check(cli, farm, change):
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


# The database.


@pytest.mark.parametrize(
    "server",
    ["SQL01\\PROD", "sql01\\prod", "tcp:SQL01\\PROD", "SQL01.corp.example\\PROD"],
)
def test_the_same_database_needs_no_word(farm, server):
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
def test_another_database_than_the_nodes_own_is_said(farm, database, key):
    spec = farm(config(extra=DEFAULT), config(first=False), stores={"database": database})
    (line,) = [note for note in plan_farm(spec).notes if "[database-differs]" in note]
    assert re.match(r"\S*web\.config:\d+:\d+: connectionStrings/Default names the database UiPath on SQL01", line)
    assert str(spec.document.location(("stores", "database", key))) in line
    assert "sessions" in line


def test_windows_separators_in_the_spec_are_understood(farm):
    nodes = [
        {"name": "orch-1", "address": "10.20.0.11", "config": "orch-1\\web.config"},
        {"name": "orch-2", "address": "10.20.0.12", "config": "orch-2\\web.config"},
    ]
    assert len(plan_farm(farm(nodes=nodes)).plan) > 0


def test_attributes_in_another_case_are_refused(farm):
    with pytest.raises(NodeError, match="sqlconnectionstring is unknown"):
        plan_farm(farm(two=config(first=False, web='<sessionState mode="InProc" sqlconnectionstring=""/>')))


def test_a_config_source_is_edited_in_its_own_file(farm, tmp_path):
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


def test_a_later_clear_sends_new_settings_into_the_file_that_comes_last(farm, tmp_path):
    text = config(first=False).replace("<appSettings>", '<appSettings file="user.config">')
    spec = farm(two=text)
    later = f'<appSettings>\n  <clear/>\n  <add key="apiKey" value="{OTHER_API}"/>\n</appSettings>\n'
    (tmp_path / "orch-2" / "user.config").write_text(later, encoding="utf-8")
    files = {
        document.path.name: new.decode()
        for one in plan_farm(spec).nodes
        for document, new in one.files
        if one.node.name == "orch-2"
    }
    assert '\n  <add key="quartz.jobStore.clustered" value="true" />\n' in files["user.config"]
    assert "quartz" not in files["web.config"]


# The plan itself.


def test_plans_are_sorted_and_their_digest_names_state_and_changes():
    one, two = Change("b", "x", None, Shown("1")), Change("a", "y", Shown("1"), None)
    assert Plan([one, two], {"f": "0"}).digest == Plan([two, one], {"f": "0"}).digest
    assert [change.target for change in Plan([one, two], {}).changes] == ["a", "b"]
    assert Plan([one], {"f": "0"}).digest != Plan([one], {"f": "1"}).digest
    secret = Change("b", "x", None, Shown("same", secret=True, identity="1"))
    other = Change("b", "x", None, Shown("same", secret=True, identity="2"))
    assert Plan([secret], {}).digest != Plan([other], {}).digest


def test_expecting_another_plan_fails():
    plan = Plan([Change("a", "x", Shown(""), Shown(" b"))], {})
    plan.expect(plan.digest)
    plan.expect(plan.digest[:16].upper())
    with pytest.raises(DifferenceError):
        plan.expect("0" * 64)
    for wrong in ("", "abc", "z" * 64):
        with pytest.raises(UsageError):
            plan.expect(wrong)
    assert '~ x: "" -> " b"' in plan.text()


def test_the_plan_reads_as_before(farm, tmp_path, monkeypatch, update_golden):
    monkeypatch.chdir(tmp_path)
    farm()
    golden = Path(__file__).parents[1] / "golden" / "nodes" / "plan.txt"
    text = plan_farm(load(Path("farm.yaml"))).plan.text()
    if update_golden:
        golden.write_text(text, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == text


def test_core_files_need_no_database_even_where_the_spec_names_no_version(farm):
    files = {"one": config(settings=REDIS_STRING), "two": config(first=False, settings=REDIS_STRING)}
    spec = farm(
        **files, name="UiPath.Orchestrator.dll.config", stores={"database": None}, orchestrator={"version": None}
    )
    assert "sessionState" not in new_text(plan_farm(spec))


def test_the_oldest_settings_cannot_ask_for_tls(farm):
    with pytest.raises(NodeError, match="do not support TLS"):
        plan_farm(farm(stores={"redis": {"host": "redis-1", "port": 6379, "tls": True}}))
