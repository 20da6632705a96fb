"""The scripts prove every server of Redis to which the nodes connect, and name the one that fails."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from nlbgen.nodes.prepare import redis_scripts, rendering
from nlbgen.nodes.prepare.redis_scripts import Login
from nlbgen.spec.load import load
from nlbgen.spec.strings.endpoints import Endpoint
from tests.nodes.powershell_rules import broken, nodes_of

EXAMPLES = Path(__file__).parents[2] / "examples"
STRING = "LoadBalancer.Redis.ConnectionString"
SCRIPTS = ("redis.ps1", "test-redis.ps1", "orch-1/prepare-node.ps1", "orch-2/prepare-node.ps1")
PASSWORD = {"env": "NLBGEN_REDIS_PASSWORD"}

Render = Callable[..., dict[str, str]]


@pytest.fixture
def render(tmp_path: Path) -> Render:
    """Render the example's nodes with this `stores.redis`; `own` is the connection string of the nodes' files."""

    def files(redis: dict[str, Any], own: str | None = None) -> dict[str, str]:
        shutil.copytree(EXAMPLES / "inputs", tmp_path / "inputs", dirs_exist_ok=True)
        if own is not None:
            for path in (tmp_path / "inputs").rglob("web.config"):
                raw = path.read_bytes().decode("utf-8-sig")
                raw, count = re.subn(rf'(key="{STRING}"\s+value=)"[^"]*"', rf'\1"{own}"', raw)
                assert count
                path.write_text(raw, encoding="utf-8", newline="")
        data = YAML(typ="safe", pure=True).load((EXAMPLES / "farm.yaml").read_text(encoding="utf-8"))
        data["stores"]["redis"] = redis
        (tmp_path / "farm.yaml").write_text(json.dumps(data), encoding="utf-8")
        rendered = rendering.render(load(tmp_path / "farm.yaml")).files
        found = {str(file.path): file.content for file in rendered}
        for name in set(SCRIPTS) & set(found):
            assert broken(found[name]) == [], name
            list(nodes_of(found[name]))
        return {name: content.decode("utf-8-sig") for name, content in found.items()}

    return files


def servers(script: str) -> list[str]:
    """The servers of Redis that a script proves, as it names them."""
    block = re.search(r"^\$RedisServers = @\((.*?)^\)", script, re.MULTILINE | re.DOTALL)
    assert block is not None
    return re.findall(r"@{ Name = '([^']*)'", block[1])


THREE = ["redis-1.corp.example:6379", "redis-2.corp.example:6379", "redis-3.corp.example:6380"]


@pytest.mark.no_cover  # other tests reach the same lines
def test_scripts_prove_every_server_of_the_spec(render: Render) -> None:
    files = render({"endpoints": THREE, "password": PASSWORD})
    for name in SCRIPTS:
        assert servers(files[name]) == THREE
        assert '{ "Redis on $($server.Name): $problem" }' in files[name]
    assert "servers of Redis cannot serve the farm: $($problems -join '; ')" in files["test-redis.ps1"]


@pytest.mark.no_cover  # other tests reach the same lines
def test_prepare_node_proves_redis_before_the_site_is_stopped(render: Render) -> None:
    script = render({"endpoints": THREE, "password": PASSWORD})["orch-2/prepare-node.ps1"]
    body = script[script.index("\n# Everything that can fail") :]
    proof = body.index("Get-ServerProblem (ConvertTo-RedisPassword (Get-Secret 'RedisPassword'))")
    assert body.index("$changes = Set-FarmSetting $file") < proof < body.index("Stop-Node $pool")
    assert "if (-not $prepared -and -not $SkipRedisCheck) {" in body
    assert "'; '). Nothing was changed." in body
    assert "[switch] $SkipRedisCheck" in script


def test_prepare_node_without_redis_has_no_proof(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "inputs", tmp_path / "inputs")
    for path in (tmp_path / "inputs").rglob("web.config"):
        raw = path.read_bytes().replace(b"LoadBalancer.Redis.ConnectionString", b"LoadBalancer.Redis.Server")
        path.write_bytes(raw.replace(b"LoadBalancer.Enabled", b"LoadBalancer.UseSqlServer"))
    data = YAML(typ="safe", pure=True).load((EXAMPLES / "farm.yaml").read_text(encoding="utf-8"))
    data["stores"] |= {"signalr": "sqlserver"}
    del data["stores"]["redis"]
    (tmp_path / "farm.yaml").write_text(json.dumps(data), encoding="utf-8")
    files = {str(file.path): file.content.decode() for file in rendering.render(load(tmp_path / "farm.yaml")).files}
    assert "Redis" not in files["orch-1/prepare-node.ps1"].replace("ConvertTo-RedisPassword", "").replace(
        "StackExchange.Redis", ""
    ).replace("LoadBalancer.Redis", "").replace("UseRedis", "")


def test_scripts_without_a_password_prove_ping(render: Render) -> None:
    files = render({"host": "redis-1.corp.example", "port": 6379}, own="redis-1.corp.example:6379")
    assert "Get-ServerProblem ''" in files["test-redis.ps1"]
    assert "Get-ServerProblem ''" in files["orch-2/prepare-node.ps1"]
    assert "answers PING." in files["test-redis.ps1"]


@pytest.mark.no_cover  # other tests reach the same lines
def test_scripts_use_tls_and_the_password_of_the_nodes_own_string(render: Render) -> None:
    """The spec does not name them, so the string of the node decides."""
    own = "redis-1.corp.example:6380,password=own,ssl=True,sslHost=cert.corp.example"
    files = render({"host": "redis-1.corp.example", "port": 6380}, own=own)
    for name in ("test-redis.ps1", "orch-2/prepare-node.ps1"):
        assert "TlsName = 'cert.corp.example' }" in files[name]
        assert "$server.HostName $server.Port '' $Password $server.TlsName" in files[name]
        assert "$env:NLBGEN_REDIS_PASSWORD" in files[name]


def test_scripts_with_tls_check_the_servers_own_name(render: Render) -> None:
    files = render({"endpoints": THREE[:2], "password": PASSWORD, "tls": True})
    assert "TlsName = 'redis-2.corp.example' }" in files["test-redis.ps1"]
    assert "AuthenticateAsClient($TlsName, " in files["test-redis.ps1"]


def test_functions_log_in_with_the_user_of_the_string() -> None:
    lines = redis_scripts.functions(Login((Endpoint("redis-1.corp.example", 10000),), None, user="orch"))
    text = "\n".join(lines)
    assert "$server.Port 'orch' $Password ''" in text
    assert "if ($User) { $login = @('AUTH', $User, $Password) }" in text
    assert broken(text.encode()) == []


@pytest.mark.parametrize(
    "tls, tls_name, expected", [(False, "", "''"), (True, "", "$parts[1]"), (True, "x.example", "'x.example'")]
)
def test_functions_for_sentinels_prove_the_master_that_they_name(tls: bool, tls_name: str, expected: str) -> None:
    hosts = Endpoint("s1.corp.example", 26379), Endpoint("s2.corp.example", 26379)
    lines = redis_scripts.functions(Login(hosts, None, tls=tls, tls_name=tls_name, service="orch-master"))
    text = "\n".join(lines)
    assert servers(text) == ["s1.corp.example:26379", "s2.corp.example:26379"]
    assert "@('SENTINEL', 'get-master-addr-by-name', 'orch-master')" in text
    assert f"Get-RedisProblem $parts[1] ([int] $parts[3]) $User $Password {expected} $false" in text
    assert broken(text.encode()) == []


@pytest.mark.no_cover  # other tests reach the same lines
def test_runbook_names_every_server_of_redis(render: Render) -> None:
    runbook = render({"endpoints": THREE})["RUNBOOK.md"]
    step = runbook[runbook.index(" Install Redis\n") : runbook.index("Install the Orchestrator")]
    assert "`redis-1.corp.example:6379`, `redis-2.corp.example:6379` and `redis-3.corp.example:6380`" in step
    assert "On `redis-3.corp.example`:\n\n```powershell\n.\\redis.ps1 -Port 6380 -WhatIf\n" in step
    assert "reports on every node that each server of Redis answers" in step
    assert "single point of failure" not in step
    assert "sets up no replication" in step
    assert "The spec sets no password" in step
    same = render({"endpoints": THREE[:2], "password": PASSWORD})["RUNBOOK.md"]
    assert ".\\redis.ps1 -WhatIf" in same


@pytest.mark.no_cover  # other tests reach the same lines
def test_redis_script_for_several_servers_names_those_that_do_not_answer_yet(render: Render) -> None:
    script = render({"endpoints": THREE, "password": PASSWORD})["redis.ps1"]
    assert "foreach ($problem in @(Get-ServerProblem $RedisPassword)) { Write-Warning $problem }" in script
    assert "single point of failure" not in script
    assert "on this machine (redis-1.corp.example, redis-2.corp.example, redis-3.corp.example)" in script
