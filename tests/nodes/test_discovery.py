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


@pytest.mark.parametrize(
    ("settings", "redis"),
    [
        (STRING.format("redis-1:6380,password=secret"), ("redis-1", 6380, True)),
        (PARTS.format("redis-1", "6379"), ("redis-1", 6379, True)),
        (PARTS.format("redis-1", "99999"), ("redis-1", 0, True)),
        (PARTS.format("localhost", "6379"), ("", 0, False)),
        ("", ("", 0, False)),
    ],
)
def test_facts_redis_has_host_port_and_no_password(tmp_path: Path, settings: str, redis: tuple[str, int, bool]) -> None:
    found = facts_of(tmp_path, settings)
    assert (found.redis, found.redis_port, found.redis_password) == redis
    assert "secret" not in repr(found)


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
