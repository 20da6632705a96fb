"""The rule for each consumer of a secret, and `check`, which applies it."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen.nodes import consumers, spec_checks
from nlbgen.spec.load import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunCommand

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("quoting", ["plain", "sql", "redis"])
@pytest.mark.parametrize(
    "text", ["a\0", "\ufeffa", "a\u2028b", "a\u2029", "a\tb", "a\x7f", "a\x85b", "\udcff", "\uffff"]
)
def test_refusal_character_that_no_file_holds_names_its_code(quoting: consumers.Quoting, text: str) -> None:
    code = next(char for char in text if char not in "ab")
    assert consumers.refusal(text, quoting) == f"an XML file or a script cannot hold U+{ord(code):04X}"


@pytest.mark.parametrize(
    "text, reason",
    [
        ("a,b", "the connection string of StackExchange.Redis ends the password at a comma, and has no quoting"),
        (" a", "the connection string of StackExchange.Redis drops white space at the ends"),
        ("a\u00a0", "the connection string of StackExchange.Redis drops white space at the ends"),
        ("é" * 257, "redis.conf takes 512 bytes, not 514"),
    ],
)
def test_refusal_password_of_redis_names_the_consumer(text: str, reason: str) -> None:
    assert consumers.refusal(text, "redis") == reason
    assert not consumers.refusal(text, "sql")


@pytest.mark.parametrize("text", ["é" * 256, "it's", '"', "a b", "a=b;c", "--%", "\\", "Grüße 😀", "'quoted'", "$(x)`"])
def test_refusal_other_password_is_empty(text: str) -> None:
    assert [consumers.refusal(text, quoting) for quoting in ("plain", "sql", "redis")] == ["", "", ""]


@pytest.fixture
def spec(tmp_path: Path, farm_data: "Callable[..., dict[str, Any]]") -> Path:
    """A spec without files of nodes, with a password of Redis in a file and one of SQL Server in the environment."""
    path = tmp_path / "farm.yaml"
    stores = {
        "signalr": "redis",
        "redis": {"host": "redis-1", "port": 6379, "password": {"file": "redis.txt"}},
        "database": {"server": "sql-1", "auth": {"user": "u", "password": {"env": "NLBGEN_TEST_SQL"}}},
    }
    path.write_text(json.dumps(farm_data(stores=stores)), encoding="utf-8")
    return path


def test_secret_problems_secret_that_is_not_set_is_no_problem(spec: Path) -> None:
    assert spec_checks.secret_problems(load(spec)) == []


def test_secret_problems_unusable_secrets_are_placed_at_their_keys(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (spec.parent / "redis.txt").write_bytes(b"xq1z,xq1z\n")
    monkeypatch.setenv("NLBGEN_TEST_SQL", "xq1z\u2028xq1z")
    farm = load(spec)
    problems = spec_checks.secret_problems(farm)
    assert [(problem.path, problem.id) for problem in problems] == [
        ("stores.database.auth.password", "secret-characters"),
        ("stores.redis.password", "secret-characters"),
    ]
    assert problems[0].location == farm.document.location(("stores", "database", "auth", "password"))
    assert "U+2028" in problems[0].message
    assert "StackExchange.Redis" in problems[1].message
    assert "xq1z" not in "".join(map(str, problems))


def test_check_refuses_an_unusable_secret(cli: "RunCommand", spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLBGEN_TEST_SQL", "xq1z\u2028xq1z")
    ran = cli("check", cwd=spec.parent)
    assert ran.code == 5
    assert "cannot be used: an XML file or a script cannot hold U+2028 [secret-characters]" in ran.out
    assert "xq1z" not in ran.out + ran.err
    monkeypatch.setenv("NLBGEN_TEST_SQL", "a b;\"'")
    assert cli("check", cwd=spec.parent).code == 0


@pytest.mark.parametrize("password", ["\u2028x", "\ufeffx", "x\x07"])
def test_render_nodes_unwritable_secret_is_refused_and_no_internal_error(
    cli: "RunCommand", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    shutil.copytree(EXAMPLES / "inputs", tmp_path / "inputs")
    shutil.copy(EXAMPLES / "farm.yaml", tmp_path / "farm.yaml")
    monkeypatch.setenv("NLBGEN_REDIS_PASSWORD", password)
    for options in ([], ["--with-secrets"]):
        ran = cli("render", "nodes", *options, cwd=tmp_path)
        assert ran.code == 1
        assert "stores.redis.password (NLBGEN_REDIS_PASSWORD): cannot be used: an XML file or a script" in ran.err


@pytest.mark.parametrize("text", ["aZ09._~+/=:@-", "x"])
def test_refusal_password_that_sentinel_can_hold_is_empty(text: str) -> None:
    assert consumers.refusal(text, "sentinel") == ""


@pytest.mark.parametrize("char", [" ", '"', "'", "#", "\\", "$", "%", "é"])
def test_refusal_character_that_sentinel_writes_without_quotes_names_its_code(char: str) -> None:
    reason = consumers.refusal(f"a{char}b", "sentinel")
    assert reason.startswith(f"sentinel.conf has no quoting, and cannot hold U+{ord(char):04X}")
    assert consumers.refusal(f"a{char}b", "redis") == ""
