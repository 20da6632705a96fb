"""nlbgen's verdict about real connection strings is that of the libraries themselves.

redis-strings.json and sql-strings.json hold what StackExchange.Redis and both SqlClients said; `about` says how.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlbgen.spec.strings import masking, redis, redis_clients, sql, sql_clients
from nlbgen.spec.strings.kinds import Client

HERE = Path(__file__).parent
REDIS = json.loads((HERE / "redis-strings.json").read_text(encoding="utf-8"))["strings"]
SQL = json.loads((HERE / "sql-strings.json").read_text(encoding="utf-8"))["strings"]
SECRETS = ("p4ss", "p4", "cDRzc3A0c3Nw", "your_password", '"p4', "1234", 'ss"')
REDIS_CLIENTS = {"1.2.6": redis_clients.V1, "2.8.16": redis_clients.V2, "3.4.35": redis_clients.V3}
SQL_CLIENTS = {
    "System.Data.SqlClient 4.9.1": sql_clients.CORE,
    "Microsoft.Data.SqlClient 6.1.8": sql_clients.MICROSOFT,
}
PROPERTIES = {
    "abortConnect": "AbortOnConnectFail",
    "configChannel": "ConfigurationChannel",
    "name": "ClientName",
    "tiebreaker": "TieBreaker",
    "version": "DefaultVersion",
}
ONLY_FRAMEWORK = {"authentication", "context connection"}
"""Keywords of the recorded strings that only the SqlClient inside .NET Framework takes (`about`)."""


def recorded(case: dict[str, Any], version: str) -> dict[str, Any]:
    """What a version of StackExchange.Redis said; one record can stand for several versions."""
    found: dict[str, Any] = next(case[key] for key in case if key == "all" or version in key.split(" and "))
    return found


@pytest.mark.parametrize("version", REDIS_CLIENTS)
@pytest.mark.parametrize("case", REDIS, ids=lambda case: case["note"])
def test_redis_verdict_is_the_library_s(case: dict[str, Any], version: str) -> None:
    said, found = recorded(case, version), redis.read(case["text"], REDIS_CLIENTS[version])
    assert (found.refusal is not None) == ("error" in said), said
    if "error" in said:
        return
    assert [str(one) for one in found.endpoints] == said["endpoints"]
    for name, value in found.given.items():
        shown = said.get(PROPERTIES.get(name, name[:1].upper() + name[1:]))
        if shown is not None and isinstance(value, bool | str):
            assert str(value) == shown


@pytest.mark.parametrize("library", SQL_CLIENTS)
@pytest.mark.parametrize("case", SQL, ids=lambda case: case["note"])
def test_sql_verdict_is_the_library_s(case: dict[str, Any], library: str) -> None:
    said, found = case[library], sql.read(case["text"], SQL_CLIENTS[library])
    assert (found.refusal is not None) == ("error" in said), said
    if "error" in said:
        return
    values = {name: str(value) for name, value in found.given.items()}
    values.pop("Context Connection", None)  # the builder takes `False` and does not show it
    assert values == {name: value for name, value in said.items() if name != "canonical"}


@pytest.mark.parametrize("case", SQL, ids=lambda case: case["note"])
def test_sql_verdict_of_net_framework_differs_by_its_own_keywords(case: dict[str, Any]) -> None:
    said, found = case["System.Data.SqlClient 4.9.1"], sql.read(case["text"], sql_clients.FRAMEWORK)
    refused = "error" in said
    if refused and any(f"'{word}'" in said["message"] for word in ONLY_FRAMEWORK):
        return
    assert (found.refusal is not None) == refused


MEANINGS: list[tuple[list[dict[str, Any]], dict[str, Client], Callable[[str, Client], object]]] = [
    (REDIS, REDIS_CLIENTS, redis.meaning),
    (SQL, SQL_CLIENTS, sql.meaning),
]


@pytest.mark.parametrize(("cases", "clients", "meaning"), MEANINGS, ids=["redis", "sql"])
def test_strings_of_one_meaning_are_equal_and_others_differ(
    cases: list[dict[str, Any]], clients: dict[str, Client], meaning: Callable[[str, Client], object]
) -> None:
    for version, client in clients.items():
        said = [recorded(case, version) for case in cases]
        kept = [(case["text"], one) for case, one in zip(cases, said, strict=True) if "error" not in one]
        for text, one in kept:
            for other, another in kept:
                held = [{key: value for key, value in each.items() if key != "toString"} for each in (one, another)]
                if held[0] == held[1] and text and other and one.get("toString") == another.get("toString"):
                    assert meaning(text, client) == meaning(other, client), (text, other)


@pytest.mark.parametrize("case", REDIS, ids=lambda case: case["note"])
def test_redis_string_is_shown_without_secrets(case: dict[str, Any]) -> None:
    shown = masking.redis(case["text"], lambda _secret: "***")
    assert not [secret for secret in SECRETS if secret in shown]
    for client in REDIS_CLIENTS.values():
        refusal = redis.read(case["text"], client).refusal
        said = "" if refusal is None else refusal.message + refusal.hint
        assert not [secret for secret in SECRETS if secret in said]


@pytest.mark.parametrize("case", SQL, ids=lambda case: case["note"])
def test_sql_string_is_shown_without_secrets(case: dict[str, Any]) -> None:
    try:
        shown = masking.sql(case["text"], lambda _secret: "***")
    except ValueError:
        shown = ""
    assert not [secret for secret in SECRETS if secret in shown]
    for client in sql_clients.CLIENTS:
        refusal = sql.read(case["text"], client).refusal
        said = "" if refusal is None else refusal.message + refusal.hint
        assert not [secret for secret in SECRETS if secret in said]
