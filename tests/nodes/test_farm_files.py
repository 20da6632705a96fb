"""What `check`, `plan` and `audit` know from the nodes' files: merged strings, problems, the spec, the keys."""

# ruff: noqa: ISC004  # the samples are lines of config files

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen.core.errors import NodeError, SpecError
from nlbgen.nodes import file_checks, spec_checks
from nlbgen.nodes.audit import Audit, audit
from nlbgen.nodes.config import webconfig
from nlbgen.nodes.config.effective import Config
from nlbgen.nodes.planning import FarmPlan, plan_farm
from nlbgen.nodes.prepare import rendering
from nlbgen.nodes.reading import load_configs
from nlbgen.spec.load import Spec, load
from nlbgen.spec.rules.files import FILE_RULES

if TYPE_CHECKING:
    from tests.conftest import RunCommand

DECRYPTION, VALIDATION = "AB" * 32, "CD" * 64
KEY = "c2VjcmV0LW9uZS1zZWNyZXQtb25lLXNlY3JldC1vbjE="
SESSION = (
    '<sessionState mode="SQLServer" sqlConnectionString="Server=SQL01;Database=UiPath;Trusted_Connection=yes"'
    ' allowCustomSqlDatabase="true"/>'
)
STRING = "redis-1:6379,connectTimeout=15000"
MACHINE = f'<machineKey decryptionKey="{DECRYPTION}" validationKey="{VALIDATION}"/>'
CLASSIC, CORE = "web.config", "UiPath.Orchestrator.dll.config"


def node(
    *,
    redis: str = STRING,
    use: str = "true",
    session: str = SESSION,
    machine: str = MACHINE,
    default: str = "Server=SQL01;Database=UiPath;Integrated Security=SSPI",
    more: str = "",
    storage: str = r"RootPath=\\srv\share",
    quartz: str = "true",
    provider: str = "",
    sections: str = "",
) -> str:
    """A node's file in which everything is right, except for what is given."""
    return (
        f'<configuration>{sections}<connectionStrings><add name="Default"{provider} connectionString="{default}"/>'
        '</connectionStrings>\n<appSettings><add key="Storage.Type" value="FileSystem"/>'
        '<add key="LoadBalancer.Enabled" value="true"/><add key="NuGet.EnableRedisNodeCoordination" value="true"/>'
        f'<add key="Storage.Location" value="{storage}"/><add key="LoadBalancer.UseRedis" value="{use}"/>'
        f'<add key="LoadBalancer.Redis.ConnectionString" value="{redis}"/>'
        f'<add key="quartz.jobStore.clustered" value="{quartz}"/>{more}</appSettings>\n'
        f'<secureAppSettings><add key="EncryptionKey" value="{KEY}"/></secureAppSettings>\n'
        f"<system.web>{session}{machine}</system.web></configuration>"
    )


def read(text: str, name: str = CLASSIC) -> Config:
    return Config(webconfig.parse(Path(name), text.encode()))


def ids(text: str, name: str = CLASSIC, *, several: bool = True) -> list[str]:
    return [one.id for one in file_checks.findings(read(text, name), several=several)]


Farm = Callable[..., Spec]


@pytest.fixture
def farm(tmp_path: Path, farm_data: Callable[..., dict[str, Any]]) -> Farm:
    """Write a farm.yaml of two nodes with these files, and load it; a file None does not exist."""

    def make(
        one: str | None = None,
        two: str | None = None,
        name: str = CLASSIC,
        stores: Mapping[str, object] | None = None,
        **changes: object,
    ) -> Spec:
        nodes = []
        for index, text in ((1, one if one is not None else node()), (2, two if two is not None else node())):
            (tmp_path / f"orch-{index}").mkdir(exist_ok=True)
            (tmp_path / f"orch-{index}" / name).write_text(text, encoding="utf-8")
            nodes.append({"name": f"orch-{index}", "address": f"10.20.0.{index}", "config": f"orch-{index}/{name}"})
        named = {"database": {"server": "SQL01", "name": "UiPath"}, "redis": {"host": "redis-1"}}
        data = farm_data(nodes=nodes, stores={**named, **(stores or {})}, **changes)
        if redis := data["stores"]["redis"]:
            data["stores"]["redis"] = {key: value for key, value in redis.items() if value is not None}
        path = tmp_path / "farm.yaml"
        path.write_text(json.dumps(data), encoding="utf-8")
        return load(path)

    return make


def audited(spec: Spec) -> Audit:
    return audit({one.name: config for one, config in load_configs(spec).items()}, spec)


def found(result: Audit) -> list[tuple[str, str]]:
    return [(one.node, one.id) for one in result.problems]


def written(plan: FarmPlan, attribute: str, node_name: str = "orch-1") -> str | None:
    """The new value of a setting in a node's file; None if the plan leaves the file or the setting as it is."""
    for one in plan.nodes:
        for _document, content in one.files if one.node.name == node_name else ():
            match = re.search(rf'{attribute}" value="([^"]*)"|{attribute}="([^"]*)"', content.decode())
            return None if match is None else match[1] or match[2]
    return None


REDIS = "LoadBalancer.Redis.ConnectionString"
CORE_FARM: dict[str, object] = {"orchestrator": {"version": "2023.10"}, "balancer": {"affinity": "signalr"}}


# The plan merges.


def test_plan_of_right_files_is_empty(farm: Farm) -> None:
    assert len(plan_farm(farm()).plan) == 0


@pytest.mark.parametrize(
    ("before", "redis", "after"),
    [
        (
            "10.9.0.1:6379,10.9.0.2:6379, 10.9.0.3:6379,connectTimeout=15000",
            {"host": None, "port": None, "endpoints": ["10.9.0.1:6379", "10.9.0.2", "10.9.0.3:6379"]},
            None,
        ),
        ("redis-1:6379,ssl=True,abortConnect=False,writeBuffer=4096", {}, None),
        ("redis-1:6379,ssl=True", {"tls": True}, None),
        ("redis-1:6379,ssl=True", {"tls": False}, "redis-1:6379,ssl=False"),
        ("redis-1", {"tls": True}, "redis-1:6379,ssl=True"),
        ("localhost:6379", {"tls": True, "port": 6380}, "redis-1:6380,ssl=True"),
        ("redis-2:6379, Name = x ", {"options": {"syncTimeout": 7000}}, "redis-1:6379, Name = x ,syncTimeout=7000"),
        ("redis-1:6379,SyncTimeout=7", {"options": {"syncTimeout": 7}}, None),
        ("redis-1:6379,password=kept", {}, None),
    ],
)
def test_plan_redis_string_keeps_what_the_spec_does_not_name(
    farm: Farm, before: str, redis: dict[str, object], after: str | None
) -> None:
    plan = plan_farm(farm(node(redis=before), stores={"redis": {"host": "redis-1", "port": 6379, **redis}}))
    assert written(plan, REDIS) == after
    assert "kept" not in plan.plan.text()


@pytest.mark.parametrize(
    ("before", "database", "after"),
    [
        (
            "Data Source=SQL01; Initial Catalog=UiPath;Integrated Security=SSPI;MultiSubnetFailover=True;Encrypt=yes;"
            "TrustServerCertificate=true",
            {},
            None,
        ),
        ("Server=SQL01;Database=UiPath;Failover Partner=SQL02;User ID=sa;Password=kept", {}, None),
        (
            "Server=SQL01;Database=UiPath;User ID=sa;Password=kept",
            {"auth": "windows"},
            "Server=SQL01;Database=UiPath;Trusted_Connection=true",
        ),
        (
            "Server=OLD;Database=UiPath;Trusted_Connection=yes",
            {"options": {"MultiSubnetFailover": True}},
            "Server=SQL01;Database=UiPath;Trusted_Connection=yes;MultiSubnetFailover=True",
        ),
        ("", {}, "Server=SQL01;Database=UiPath;Trusted_Connection=true;"),
    ],
)
def test_plan_session_string_keeps_what_the_spec_does_not_name(
    farm: Farm, before: str, database: dict[str, object], after: str | None
) -> None:
    session = (
        f'<sessionState mode="SQLServer" sqlConnectionString="{before}" allowCustomSqlDatabase="true"/>'
        if before
        else '<sessionState mode="InProc"/>'
    )
    spec = farm(node(session=session), stores={"database": {"server": "SQL01", "name": "UiPath", **database}})
    plan = plan_farm(spec)
    assert written(plan, "sqlConnectionString") == after
    assert "kept" not in plan.plan.text()


def test_plan_password_of_the_spec_that_the_string_has_already_is_not_touched(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLBGEN_TEST_SQL", "it's")
    login = {"server": "SQL01", "name": "UiPath", "auth": {"user": "sa", "password": {"env": "NLBGEN_TEST_SQL"}}}
    quoted = "Server=SQL01;Database=UiPath;User ID=sa;Pwd='it''s'"
    spec = farm(
        node(session=SESSION.replace("Server=SQL01;Database=UiPath;Trusted_Connection=yes", quoted)),
        stores={"database": login},
    )
    assert written(plan_farm(spec), "sqlConnectionString") is None
    monkeypatch.setenv("NLBGEN_TEST_SQL", "other")
    assert written(plan_farm(spec), "sqlConnectionString") == quoted.replace("'it''s'", "other")


SENTINEL = {
    "password": {"env": "NLBGEN_TEST_REDIS"},
    "sentinel": {"nodes": [{"name": f"redis-{number}", "address": f"10.0.1.{number}"} for number in (1, 2, 3)]},
}


@pytest.mark.parametrize(
    ("front", "before", "after"),
    [
        (True, "s-1:26379,serviceName=mymaster", "orchestrator.corp.example:6379,password=secret"),
        (False, "", "10.0.1.1:26379,10.0.1.2:26379,10.0.1.3:26379,password=secret,serviceName=mymaster"),
        (
            False,
            "redis-1:6379,connectTimeout=15000",
            "10.0.1.1:26379,10.0.1.2:26379,10.0.1.3:26379,connectTimeout=15000,password=secret,serviceName=mymaster",
        ),
        (False, "10.0.1.3,10.0.1.2,10.0.1.1,password=secret,serviceName=mymaster", None),
    ],
)
def test_string_names_the_front_or_the_sentinels(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, front: bool, before: str, after: str | None
) -> None:
    monkeypatch.setenv("NLBGEN_TEST_REDIS", "secret")
    own = {**SENTINEL, "front": front, "host": None, "port": None}
    spec = farm(node(redis=before), node(), CORE, **{**CORE_FARM, "stores": {"redis": own}})
    assert written(plan_farm(spec), "LoadBalancer.Redis.ConnectionString") == after


def test_script_asks_for_a_password_that_only_the_node_s_string_has(farm: Farm) -> None:
    spec = farm(node(redis="redis-1:6379,password=kept,sentinelPassword=other"), node(), CORE, **CORE_FARM)
    spec = farm(node(redis="redis-1:6379,password=kept"), node(redis="redis-1:6379,password=kept"))
    files = {file.path.as_posix(): file.content.decode("utf-8-sig") for file in rendering.render(spec).files}
    script = files["orch-1/prepare-node.ps1"]
    assert "Get-Secret 'RedisPassword'" in script
    assert "kept" not in script


@pytest.mark.parametrize(
    ("one", "stores", "message"),
    [
        (node(redis="redis-1:6379,poolsize=5"), {}, 'StackExchange.Redis 1.2.6 does not accept "poolsize"'),
        (node(redis="redis-1;password=s3cret"), {}, "does not accept its entry 1"),
        (
            node(session=SESSION.replace("Trusted_Connection", "Port=1433;Trusted_Connection")),
            {},
            'System.Data.SqlClient (.NET Framework) does not accept "port"',
        ),
        (
            node(session=SESSION.replace("Trusted_Connection=yes", "pwd='s3cret")),
            {},
            "does not accept the text from character",
        ),
        (
            node(session=SESSION.replace("yes", "yes;Failover Partner=B")),
            {"database": {"server": "SQL01", "options": {"MultiSubnetFailover": True}}},
            '"Failover Partner"',
        ),
    ],
)
def test_plan_string_with_which_the_library_does_not_start_stops(
    farm: Farm, one: str, stores: dict[str, object], message: str
) -> None:
    with pytest.raises(NodeError, match=r"orch-1/web\.config:\d+:\d+: .*\[connection-string\]") as error:
        plan_farm(farm(one, stores=stores))
    assert message in str(error.value)
    assert "s3cret" not in str(error.value)
    assert error.value.hint


@pytest.mark.parametrize(
    ("name", "redis", "place"),
    [
        (CLASSIC, {"host": "fd00::1", "port": 6379}, "stores.redis.host"),
        (CLASSIC, {"endpoints": ["redis-1:6379", "[fd00::1]:6379"]}, r"stores.redis.endpoints\[1\]"),
    ],
)
def test_plan_ipv6_server_that_the_library_drops_is_an_error(
    farm: Farm, name: str, redis: dict[str, object], place: str
) -> None:
    stores = {"redis": {"host": None, "port": None, **redis}}
    with pytest.raises(SpecError, match=f"{place}: StackExchange.Redis 1.2.6 cannot read .*IPv6"):
        plan_farm(farm(name=name, stores=stores))


def test_plan_ipv6_server_is_written_from_2020_10_on(farm: Farm) -> None:
    stores = {"redis": {"host": None, "port": None, "endpoints": ["[fd00::1]:10000", "redis-2:10000"]}}
    plan = plan_farm(farm(name=CORE, stores=stores, **CORE_FARM))
    assert written(plan, REDIS) == "[fd00::1]:10000,redis-2:10000,connectTimeout=15000"


PORTS = '<add key="LoadBalancer.Redis.Server" value="x"/><add key="LoadBalancer.Redis.Password" value="{}"/>'


@pytest.mark.parametrize(
    ("redis", "what"),
    [
        ({"tls": True}, "TLS"),
        ({"options": {"syncTimeout": 7}}, "options"),
        ({"host": None, "port": None, "endpoints": ["a:1", "b:2"]}, "several servers"),
    ],
)
def test_plan_separate_settings_cannot_hold_everything(farm: Farm, redis: dict[str, object], what: str) -> None:
    stores = {"signalr_keys": "server-port", "redis": {"host": "r", "port": 6379, **redis}}
    with pytest.raises(NodeError, match=f"do not support {what}"):
        plan_farm(farm(node(more=PORTS.format("")), node(more=PORTS.format("")), stores=stores))


@pytest.mark.parametrize("password", ["kept", ""])
def test_plan_separate_password_that_the_spec_does_not_name_stays(farm: Farm, password: str) -> None:
    stores = {"signalr_keys": "server-port", "redis": {"host": "r", "port": 6379}}
    plan = plan_farm(farm(node(more=PORTS.format(password)), stores=stores))
    assert written(plan, "LoadBalancer.Redis.Server") == "r"
    assert written(plan, "LoadBalancer.Redis.Password") == (password or None)


# Sessions of a provider.

CUSTOM = (
    '<sessionState mode="Custom" customProvider="R"><providers><add name="R" type="T" host="{}" accessKey="s3cret"'
    ' connectionString="redis:6379,password=s3cret"/></providers></sessionState>'
)


def test_session_custom_is_kept_and_compared(farm: Farm) -> None:
    one, two = (node(session=CUSTOM.format(host)) for host in ("redis-1", "redis-2"))
    spec = farm(one, two, stores={"session": "custom"})
    assert len(plan_farm(spec).plan) == 0
    result = audited(spec)
    assert [row.title for row in result.rows if not row.same] == ["sessionState provider R host"]
    assert "s3cret" not in result.text() + json.dumps(result.data())


def test_session_custom_without_a_provider_stops(farm: Farm) -> None:
    spec = farm(node(session=CUSTOM.format("r")), stores={"session": "custom"})
    with pytest.raises(NodeError, match=r"mode of this node is SQLServer \[session-custom\]"):
        plan_farm(spec)
    (problem,) = [one for one in spec_checks.problems(spec) if one.id == "session-custom"]
    assert (problem.severity, problem.location.file.endswith("orch-2/web.config")) == ("error", True)
    with pytest.raises(NodeError, match=r"mode of this node is not given"):
        plan_farm(farm(node(session=""), stores={"session": "custom"}))


def test_session_of_a_provider_is_replaced_only_if_the_spec_says_so(farm: Farm) -> None:
    custom = node(session=CUSTOM.format("r").replace("<providers>", "<!-- --><providers>"))
    with pytest.raises(NodeError, match=r"write `session: custom`|session-custom"):
        plan_farm(farm(custom))
    plan = plan_farm(farm(custom, stores={"session": "sqlserver"}))
    assert written(plan, "mode") == "SQLServer"


# One file.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (node(), []),
        (node(session='<sessionState mode="InProc"/>'), ["session-inproc"]),
        (node(session=""), ["session-inproc"]),
        (node(session='<sessionState mode="StateServer"/>'), ["session-stateserver"]),
        (
            node(session='<sessionState mode="StateServer" stateConnectionString="tcpip=127.0.0.1:42424"/>'),
            ["session-stateserver"],
        ),
        (node(session='<sessionState mode="StateServer" stateConnectionString="tcpip=state-1:42424"/>'), []),
        (node(session=CUSTOM.format("r")), []),
        (node(session='<sessionState mode="SQLServer"/>'), ["session-database"]),
        (node(session=SESSION.replace("SQL01", "(local)")), ["session-database"]),
        (node(session=SESSION.replace(' allowCustomSqlDatabase="true"', "")), ["session-database"]),
        (node(session=SESSION.replace("Database=UiPath;", "").replace(' allowCustomSqlDatabase="true"', "")), []),
        (node(session=SESSION.replace("Trusted_Connection=yes", "Trusted_Connection=1")), ["connection-string"]),
        (node(redis="localhost:6379"), ["redis-loopback"]),
        (node(redis="localhost:6379", use="false"), ["signalr-inproc"]),
        (node(redis="redis-1,syncTimeout=ten"), ["connection-string"]),
        (node(redis="redis-1,[::1]:6379"), ["connection-string"]),
        (node(redis="redis-1,abortConnect=False"), []),
        (node(more='<add key="LoadBalancer.Redis.Server" value="127.0.0.1"/>'), ["redis-loopback"]),
        (node(more='<add key="LoadBalancer.Redis.Server" value="redis-1"/>'), []),
        (node(quartz="false"), ["quartz"]),
        (node(storage=r"C:\Packages"), ["package-storage"]),
        (node(default=r"Server=.\SQLEXPRESS;Database=UiPath"), ["database-local"]),
        (node(default="Database=UiPath"), []),
        (node(default="Server=a;Port=1433"), ["connection-string"]),
        (node(default="anything", provider=' providerName="System.Data.EntityClient"'), []),
        (node(machine=""), ["autogenerate-keys"]),
        (node(machine=MACHINE.replace(VALIDATION, "[your key here]")), ["machine-key"]),
        (node(machine=MACHINE.replace(VALIDATION, "CD" * 19)), ["machine-key"]),
        (node(machine=MACHINE.replace(DECRYPTION, "ABA" + "AB" * 30)), ["machine-key"]),
        (node(machine=MACHINE.replace(DECRYPTION, "AB" * 8)), ["machine-key"]),
        (
            node(machine=MACHINE.replace(DECRYPTION, "AB" * 8).replace("<machineKey", '<machineKey decryption="DES"')),
            [],
        ),
        (node().replace("<appSettings", '<appSettings configBuilders="Env"'), ["config-builders"]),
    ],
)
def test_file_has_the_problems_that_no_farm_can_have(text: str, expected: list[str]) -> None:
    assert ids(text) == expected
    assert {rule.id for rule in FILE_RULES} >= set(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (node(redis="redis-1:10000,abortConnect=False"), ["redis-abort-connect"]),
        (node(redis="redis-1:10000,user=app,[::1]:1"), ["redis-loopback"]),
        (node(default="Server=a;Encrypt=Strict", provider=' providerName="Microsoft.Data.SqlClient"'), []),
        (
            node(default="Server=a;Encrypt=Strict", provider=' providerName="System.Data.SqlClient"'),
            ["connection-string"],
        ),
        (node(default="Server=a;Encrypt=Strict"), []),
        (node(session='<sessionState mode="InProc"/>'), []),
        (node(quartz="false"), ["quartz"]),
    ],
)
def test_core_file_has_the_problems_of_its_libraries(text: str, expected: list[str]) -> None:
    assert ids(text, CORE) == expected


def test_file_of_a_single_node_has_only_its_own_problems() -> None:
    text = node(redis="localhost,poolsize=5", session="", quartz="false", default="Server=.;Port=1")
    assert ids(text, several=False) == ["connection-string", "connection-string"]


def test_encrypted_sections_have_one_problem_each() -> None:
    text = node()
    for start in ("<appSettings", "<connectionStrings", "<sessionState", "<machineKey"):
        text = text.replace(start, f'{start} configProtectionProvider="x"')
    assert ids(text) == ["encrypted-section"] * 4


# check.


def problem_ids(spec: Spec) -> list[tuple[str, str]]:
    return [(one.id, one.severity) for one in spec_checks.problems(spec)]


def test_check_right_files_have_no_problem(farm: Farm) -> None:
    assert problem_ids(farm()) == []


def test_check_reports_what_the_plan_changes_as_warnings_that_can_be_accepted(farm: Farm) -> None:
    one = node(redis="localhost", session='<sessionState mode="StateServer"/>', quartz="false", storage="C:\\x")
    spec = farm(one, one)
    expected = {"session-stateserver", "redis-loopback", "quartz", "package-storage"}
    assert set(problem_ids(spec)) == {(name, "warning") for name in expected}
    accepted = farm(one, one, accept=["quartz", "package-storage", "session-stateserver"])
    assert {name for name, _ in problem_ids(accepted)} == {"redis-loopback"}


def test_check_reports_what_stops_the_plan_as_errors(farm: Farm) -> None:
    assert ("connection-string", "error") in problem_ids(farm(node(redis="redis-1,poolsize=5")))
    spec = farm(stores={"database": None})
    assert [(one.path, one.id) for one in spec_checks.problems(spec)] == [("", "spec-differs")]
    both = '<add key="LoadBalancer.Redis.Server" value="x"/><add key="LoadBalancer.Redis.Port" value="1"/>'
    assert ("node-config", "error") in problem_ids(farm(node(more=both), node(more=both)))


def test_check_file_of_another_version_is_an_error(farm: Farm) -> None:
    stores = {"redis": {"host": "redis-1", "port": 10000}}
    spec = farm(orchestrator={"version": "2021.10"}, balancer={"affinity": "signalr"}, stores=stores)
    assert problem_ids(spec)[:2] == [("node-version", "error")] * 2


def test_check_compares_the_nodes_in_one_warning(farm: Farm) -> None:
    (problem,) = spec_checks.problems(farm(node(), node(storage=r"RootPath=\\srv\other")))
    assert (problem.id, problem.severity) == ("nodes-differ", "warning")
    assert "the nodes have different values of Storage.Location" in problem.message
    many = node(
        machine=MACHINE.replace("AB", "01").replace("CD", "23"),
        use="false",
        quartz="0",
        storage=r"\\a\b",
        more='<add key="apiKey" value="1"/>',
        default="Server=SQL01;Database=UiPath;app=x",
    )
    (problem,) = [one for one in spec_checks.problems(farm(node(), many)) if one.id == "nodes-differ"]
    assert "and 1 more" in problem.message


def test_check_one_unreadable_file_is_an_error_and_the_others_are_checked(farm: Farm) -> None:
    spec = farm("<configuration>", node(quartz="false"))
    first, second = spec_checks.problems(spec)
    assert (first.id, first.severity, first.location.line) == ("node-config", "error", 1)
    assert (second.id, second.location.file.endswith("orch-2/web.config")) == ("quartz", True)


def test_check_keys_are_checked_only_in_their_source(farm: Farm, tmp_path: Path) -> None:
    broken = node(machine=MACHINE.replace(VALIDATION, "[your key here]"))
    assert ("machine-key", "error") in problem_ids(farm(broken))
    assert [one for one in problem_ids(farm(node(), broken)) if one[1] == "error"] == []
    (tmp_path / "keys.config").write_text(broken, encoding="utf-8")
    assert ("machine-key", "error") in problem_ids(farm(keys={"from": "keys.config"}))


def test_check_command_exits_5_with_an_error_and_0_with_warnings(cli: "RunCommand", farm: Farm, tmp_path: Path) -> None:
    farm(node(quartz="false"), node(quartz="false"))
    ran = cli("check", cwd=tmp_path)
    assert (ran.code, ran.out.count("warning: ")) == (0, 2), ran.out
    assert cli("check", "--strict", cwd=tmp_path).code == 3
    farm(node(redis="redis-1,poolsize=5"))
    assert cli("check", cwd=tmp_path).code == 5


# audit.


def test_audit_of_nodes_that_agree_with_the_spec_has_no_problem(farm: Farm) -> None:
    assert not audited(farm()).drift


@pytest.mark.parametrize(
    ("text", "stores", "expected"),
    [
        (node(redis="redis-2:6379"), {}, [("orch-1", "spec-differs"), ("orch-2", "spec-differs")]),
        (
            node(session=SESSION.replace("SQL01", "SQL02")),
            {},
            [("orch-1", "spec-differs"), ("orch-2", "spec-differs")],
        ),
        (
            node(default="Server=SQL02;Database=UiPath"),
            {},
            [("orch-1", "database-differs"), ("orch-2", "database-differs")],
        ),
        (node(redis="REDIS-1, connectTimeout = 15000"), {}, []),
    ],
)
def test_audit_both_nodes_alike_and_wrong_differ_from_the_spec(
    farm: Farm, text: str, stores: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    result = audited(farm(text, text, stores=stores))
    assert all(row.same for row in result.rows)
    assert found(result) == expected


def test_audit_both_nodes_alike_and_wrong_break_the_rules() -> None:
    text = node(redis="localhost", session=SESSION.replace("SQL01", "."))
    result = audit({"a": read(text), "b": read(text)})
    assert found(result) == [(name, one) for name in "ab" for one in ("session-database", "redis-loopback")]
    assert result.drift


def test_audit_setting_that_is_missing_or_empty_differs_from_the_spec(farm: Farm) -> None:
    empty = node(redis="").replace('<add key="LoadBalancer.Enabled" value="true"/>', "")
    messages = [one.message for one in audited(farm(empty, empty)).problems]
    assert any("LoadBalancer.Enabled is missing, but the spec requires true" in one for one in messages)
    assert any('ConnectionString is "", but the spec requires redis-1:6379' in one for one in messages)
    stores = {"signalr_keys": "server-port", "signalr": "sqlserver", "redis": None}
    single = node(more=PORTS.format("s3cret"))
    messages = [one.message for one in audited(farm(single, single, stores=stores)).problems]
    assert any('Redis.Server is x, but the spec requires ""' in one for one in messages)
    assert "s3cret" not in "".join(messages)


def test_audit_keys_are_those_of_the_file_that_the_spec_names(farm: Farm, tmp_path: Path) -> None:
    (tmp_path / "keys.config").write_text(node(), encoding="utf-8")
    other = node(machine=MACHINE.replace("AB", "01").replace("validationKey", 'validation="SHA1" validationKey'))
    result = audited(farm(other, other, keys={"from": "keys.config"}))
    assert found(result) == [
        ("orch-1", "keys-differ"),
        ("orch-1", "keys-differ"),
        ("orch-2", "keys-differ"),
        ("orch-2", "keys-differ"),
    ]
    assert DECRYPTION not in result.text()
    lower = node(machine=MACHINE.replace("AB", "ab"))
    assert not audited(farm(lower, node(), keys={"from": "keys.config"})).drift
    encrypted = node().replace("<secureAppSettings", '<secureAppSettings configProtectionProvider="x"')
    result = audited(farm(encrypted, encrypted, keys={"from": "keys.config"}))
    assert {one for _, one in found(result)} == {"encrypted-section"}


def test_audit_unreadable_source_of_the_keys_is_a_note(farm: Farm, tmp_path: Path) -> None:
    result = audited(farm(keys={"from": "keys.config"}))
    assert [note for note in result.notes if "keys were not compared" in note]
    assert not result.drift


def test_audit_password_of_the_spec_that_is_not_set_is_not_compared(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NLBGEN_TEST_REDIS", raising=False)
    redis = {"host": "redis-1", "port": 6379, "password": {"env": "NLBGEN_TEST_REDIS"}}
    text = node(redis=f"{STRING},password=s3cret")
    result = audited(farm(text, text, stores={"redis": redis}))
    assert (found(result), len([note for note in result.notes if "passwords were not compared" in note])) == ([], 1)
    single = node(more=PORTS.format("s3cret"))
    result = audited(farm(single, single, stores={"redis": redis, "signalr_keys": "server-port"}))
    assert not [one for one in result.problems if "Password" in one.message]
    monkeypatch.setenv("NLBGEN_TEST_REDIS", "other")
    result = audited(farm(text, text, stores={"redis": redis}))
    assert found(result) == [("orch-1", "spec-differs"), ("orch-2", "spec-differs")]
    assert "s3cret" not in result.text()


def test_audit_spec_that_cannot_be_planned_is_a_problem_with_its_location(farm: Farm) -> None:
    result = audited(farm(stores={"database": None}))
    assert found(result)[0] == ("orch-1", "spec-differs")
    assert "farm.yaml" in result.problems[0].location
    result = audited(farm(node(redis="redis-1,poolsize=5"), node()))
    assert [one.id for one in result.problems if one.node == "orch-1"] == ["connection-string"]
    stores = {"redis": {"host": "redis-1", "port": 6379}, "signalr": "sqlserver"}
    result = audited(farm(stores=stores))
    assert {one.id for one in result.problems} == {"node-config"}


def test_audit_section_that_is_missing_or_encrypted(farm: Farm) -> None:
    result = audited(farm(node(session=""), node(session="")))
    assert [one.message for one in result.problems if "sessionState@mode is missing" in one.message]
    text = node().replace("<appSettings", '<appSettings configProtectionProvider="x"')
    stores = {"signalr": "sqlserver", "signalr_keys": "server-port", "redis": None}
    assert {one for _, one in found(audited(farm(text, text, stores=stores)))} == {"encrypted-section"}


def test_audit_core_file_without_quartz_agrees_with_the_spec(farm: Farm) -> None:
    text = node().replace('<add key="quartz.jobStore.clustered" value="true"/>', "")
    assert not audited(farm(text, text, CORE, **CORE_FARM)).problems


def test_audit_command_unreadable_file_is_reported_and_the_others_are_compared(
    cli: "RunCommand", farm: Farm, tmp_path: Path
) -> None:
    farm("<configuration>", node(quartz="false"))
    for arguments in ((), ("orch-1/web.config", "orch-2/web.config", "orch-3")):
        ran = cli("nodes", "audit", *arguments, cwd=tmp_path)
        assert ran.code == 5
        assert re.search(r"orch-1.*the file was not compared: an element is not closed \[node-config\]", ran.out)
        assert "quartz.jobStore.clustered" in ran.out
        assert re.search(r"orch-1/web\.config:1:\d+", ran.out + ran.err)
    assert "orch-3" in ran.out


def test_audit_compares_storage_by_its_pairs(farm: Farm) -> None:
    one, two = node(storage="AccountName=a;AccountKey=s3cret=="), node(storage="accountname=a; AccountKey=s3cret==")
    result = audited(farm(one, two))
    assert all(row.same for row in result.rows)
    assert "s3cret" not in result.text()
