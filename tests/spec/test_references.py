"""Secrets are referred to, looked up when they are needed, and shown nowhere."""

import copy
import io
import json
import logging
import pickle
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.core.errors import FileError, NlbgenError, SpecError
from nlbgen.spec.load import loads
from nlbgen.spec.model import Secret
from nlbgen.spec.references import MissingSecretError, SecretValue, resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from nlbgen.spec.load import Spec

TEXT = "hunter2 ü \"'\\"


def test_secret_from_the_environment() -> None:
    assert resolve(Secret(env="X"), Path(), {"X": TEXT}).reveal() == TEXT


def test_secret_from_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NLBGEN_TEST_SECRET", TEXT)
    assert resolve(Secret(env="NLBGEN_TEST_SECRET"), tmp_path).reveal() == TEXT


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_secret_from_a_file(end: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(f"{TEXT}{end}".encode())
    assert resolve(Secret(file="secret"), tmp_path).reveal() == TEXT
    assert resolve(Secret(file=str(tmp_path / "secret")), Path("/elsewhere")).reveal() == TEXT


def test_secret_file_with_a_byte_order_mark_does_not_hold_the_mark(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xef\xbb\xbfhunter2\r\n")
    assert resolve(Secret(file="secret"), tmp_path).reveal() == "hunter2"


def test_secret_file_in_utf_16_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes("\ufeffhunter2".encode("utf-16-le"))
    with pytest.raises(MissingSecretError, match="is not UTF-8 text") as error:
        resolve(Secret(file="secret"), tmp_path)
    assert error.value.hint == "save the secret as UTF-8, not as UTF-16 or ANSI"


def test_secret_keeps_blanks(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(" a \n", encoding="utf-8")
    assert resolve(Secret(file="secret"), tmp_path).reveal() == " a "


@pytest.mark.parametrize(
    "environment, message",
    [({}, "the environment variable X is not set"), ({"X": ""}, "the environment variable X is empty")],
)
def test_empty_variable_is_an_error(environment: dict[str, str], message: str) -> None:
    with pytest.raises(MissingSecretError) as error:
        resolve(Secret(env="X"), Path(), environment)
    assert error.value.message == message
    assert error.value.hint


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"hunter2\nhunter2\n", b"hunter2\0", b"hunter2\xff", b"hunter2" * 1000, b"hunter2\n\n"],
)
def test_file_that_cannot_be_a_secret_is_an_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(MissingSecretError) as error:
        resolve(Secret(file="secret"), tmp_path)
    assert str(tmp_path / "secret") in error.value.message
    assert "hunter2" not in "".join(traceback.format_exception(error.value))


def test_unreadable_secret_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="the secret cannot be read"):
        resolve(Secret(file="absent"), tmp_path)
    with pytest.raises(FileError, match="the secret cannot be read"):
        resolve(Secret(file="."), tmp_path)


def test_secret_repr_hides_the_value(capsys: pytest.CaptureFixture[str]) -> None:
    secret = SecretValue("hunter2")
    stream = io.StringIO()
    logger = logging.getLogger("nlbgen.test")
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    try:
        logger.warning("%s %r", secret, secret)
        try:
            raise NlbgenError(f"about {secret}", hint=repr([secret]))
        except NlbgenError:
            logger.exception("it went wrong with %s", {"secret": secret})
    finally:
        logger.removeHandler(handler)
    print(secret, [secret], {"a": secret}, f"{secret}", f"{secret!r}", f"{secret!s:>20}")
    captured = capsys.readouterr()
    texts = [stream.getvalue(), captured.out, captured.err, str(secret), repr(secret), repr((secret,)), format(secret)]
    assert "hunter2" not in "".join(texts)
    assert "SecretValue(***)" in captured.out
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_secrets_have_the_same_repr() -> None:
    assert repr(SecretValue("a")) == repr(SecretValue("bb")) == str(SecretValue(""))
    assert copy.copy(SecretValue("a")).reveal() == "a"


def test_spec_contains_only_references(farm_data: "Callable[..., dict[str, Any]]") -> None:
    data = farm_data(f5={"password": {"env": "F5_PASSWORD"}}, zen={"key": {"file": "zen.secret"}})
    spec = loads(json.dumps(data))
    assert spec.farm.f5.password == Secret(env="F5_PASSWORD")
    assert spec.farm.zen.key == Secret(file="zen.secret")
    assert b"F5_PASSWORD" in pickle.dumps(spec.document.data)


LITERALS = ["hunter2", 7, 7.5, True, ["hunter2"], {}, {"hunter2": 1}, {"env": "A", "file": "hunter2"}, {"env": None}]
LITERALS += [
    {"env": "hunter2 "},
    {"env": "7hunter2"},
    {"env": 7},
    {"file": "hunter2\n"},
    {"file": ["hunter2"]},
    {"env": ["hunter2"]},
]
PLACES = [("f5", "password"), ("zen", "key"), ("stores", "redis", "password"), ("frontend", "vip", "secret")]


@pytest.mark.parametrize("place", PLACES, ids=".".join)
@pytest.mark.parametrize("literal", LITERALS, ids=repr)
def test_a_literal_secret_is_refused_and_not_shown(
    place: tuple[str, ...], literal: object, farm_data: "Callable[..., dict[str, Any]]"
) -> None:
    vip = {"address": "10.0.0.1/24", "interface": "eth0", "balancers": ["a", "b"], "secret": {"env": "A"}}
    data = farm_data(frontend={"vip": vip}, accept=["redis-single"])
    inner = data
    for step in place[:-1]:
        inner = inner.setdefault(step, {})
    inner[place[-1]] = literal
    with pytest.raises(SpecError) as error:
        loads(json.dumps(data))
    assert {problem.path.removesuffix(".env").removesuffix(".file") for problem in error.value.problems} == {
        ".".join(place)
    }
    told = "".join(traceback.format_exception(error.value)) + repr(error.value.problems)
    assert "hunter2" not in told
    assert "7" not in "".join(problem.message for problem in error.value.problems)


def test_spec_without_secrets_needs_none(make_spec: "Callable[..., Spec]") -> None:
    farm = make_spec(f5={"password": None}).farm
    assert farm.f5.password is None
    assert farm.zen.key is None
