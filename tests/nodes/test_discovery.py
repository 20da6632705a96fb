"""The facts that `nlbgen init --from` reads from a node's config file."""

from pathlib import Path

import pytest

from nlbgen.nodes.discovery import Facts, facts

STRING = '<add key="LoadBalancer.Redis.ConnectionString" value="{}"/>'
PARTS = (
    '<add key="LoadBalancer.Redis.Server" value="{}"/><add key="LoadBalancer.Redis.Port" value="{}"/>'
    '<add key="LoadBalancer.Redis.Password" value="secret"/>'
)


def facts_of(folder: Path, settings: str = "", more: str = "", name: str = "web.config") -> Facts:
    path = folder / name
    text = f'<appSettings><add key="apiKey" value="1"/>{settings}</appSettings>{more}'
    path.write_text(f"<configuration>{text}</configuration>", encoding="utf-8")
    return facts(path)


@pytest.mark.parametrize(
    ("settings", "name", "version"),
    [
        ("", "UiPath.Orchestrator.dll.config", "2020.10"),
        ('<add key="Storage.Type" value="FileSystem"/>', "web.config", "2019.4"),
        (STRING.format("redis"), "web.config", "2018.4"),
        (PARTS.format("redis", "6379"), "web.config", "2017.1"),
        ("", "web.config", ""),
    ],
)
def test_facts_version_follows_from_the_settings(tmp_path: Path, settings: str, name: str, version: str) -> None:
    assert facts_of(tmp_path, settings, name=name).orchestrator == version


def test_facts_unusual_connection_string_names_no_database(tmp_path: Path) -> None:
    more = '<connectionStrings><add name="Default" connectionString="no pairs"/></connectionStrings>'
    assert facts_of(tmp_path, more=more)[1:4] == ("", "", "")


USED = '<add key="LoadBalancer.UseRedis" value="true"/>'


@pytest.mark.parametrize(
    ("settings", "redis", "password"),
    [
        (STRING.format("redis-1:6380,password=secret"), ("redis-1:6380",), True),
        (STRING.format("redis-1"), ("redis-1:6379",), False),
        (STRING.format("redis-1,ssl=true"), ("redis-1:6380",), False),
        (
            STRING.format("redis-1:1,redis-2:2, redis-3:3,password=secret"),
            ("redis-1:1", "redis-2:2", "redis-3:3"),
            True,
        ),
        (STRING.format("localhost:6379"), (), False),
        (STRING.format("localhost:6379") + USED, ("localhost:6379",), False),
        (STRING.format("redis://:secret@host/4"), (), False),
        (STRING.format("redis-1:6379,poolsize=5"), (), False),
        (PARTS.format("redis-1", "6379"), ("redis-1:6379",), True),
        (PARTS.format("redis-1", "99999"), ("redis-1",), True),
        (PARTS.format("localhost", "6379"), (), False),
        (PARTS.format("localhost", "6379") + USED, ("localhost:6379",), True),
        (PARTS.format("", ""), (), False),
        ("", (), False),
    ],
)
def test_facts_redis_has_all_servers_and_no_password(
    tmp_path: Path, settings: str, redis: tuple[str, ...], password: bool
) -> None:
    found = facts_of(tmp_path, settings)
    assert (found.redis, found.redis_password) == (redis, password)
    assert "secret" not in repr(found)


def test_facts_redis_options_and_tls_are_read(tmp_path: Path) -> None:
    text = "r:6380,password=secret,ssl=True,abortConnect=False,sslProtocols=tls12,connectTimeout=15000"
    path = tmp_path / "UiPath.Orchestrator.dll.config"
    path.write_text(
        f'<configuration><appSettings><add key="apiKey" value="1"/>{STRING.format(text)}</appSettings></configuration>'
    )
    found = facts(path)
    assert found.redis_tls
    assert dict(found.redis_options) == {"abortConnect": "False", "sslProtocols": "tls12", "connectTimeout": "15000"}


def test_facts_string_that_the_library_refuses_is_a_note(tmp_path: Path) -> None:
    (note,) = facts_of(tmp_path, STRING.format("r:1,password=secret,port=3")).notes
    assert 'StackExchange.Redis 1.2.6 does not accept "port"' in note


def test_facts_database_options_are_read_from_a_classic_file(tmp_path: Path) -> None:
    string = "Server=SQL01;Database=U;uid=sa;pwd=secret;MultiSubnetFailover=true;Connection Timeout=5"
    more = f'<connectionStrings><add name="Default" connectionString="{string}"/></connectionStrings>'
    found = facts_of(tmp_path, more=more)
    assert (found.server, found.database, found.user) == ("SQL01", "U", "sa")
    assert dict(found.database_options) == {"MultiSubnetFailover": "True", "Connect Timeout": "5"}
    assert facts_of(tmp_path, more=more, name="UiPath.Orchestrator.dll.config").database_options == ()


@pytest.mark.parametrize(("mode", "session"), [("Custom", "custom"), ("InProc", "")])
def test_facts_session_of_a_provider_is_custom(tmp_path: Path, mode: str, session: str) -> None:
    more = f'<system.web><sessionState mode="{mode}"/></system.web>'
    assert facts_of(tmp_path, more=more).session == session
    assert facts_of(tmp_path).session == ""


def test_facts_note_the_file_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "web.config"
    path.write_text(
        '<configuration><appSettings file="user.config"><add key="apiKey" value="1"/></appSettings></configuration>'
    )
    assert any("user.config, which does not exist" in note for note in facts(path).notes)


@pytest.mark.parametrize(("setting", "store"), [("UseRedis", "redis"), ("UseSqlServer", "sqlserver"), ("Other", "")])
@pytest.mark.parametrize("prefix", ["LoadBalancer", "loadbalancer"])
def test_facts_store_is_the_one_that_is_switched_on(tmp_path: Path, prefix: str, setting: str, store: str) -> None:
    assert facts_of(tmp_path, f'<add key="{prefix}.{setting}" value="True"/>').store == store
