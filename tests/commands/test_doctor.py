"""`nlbgen doctor`: what is there, what is missing, and what to do."""

import importlib.util
import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen.commands import doctor
from nlbgen.core.errors import NlbgenError
from nlbgen.generators import validate

if TYPE_CHECKING:
    from tests.conftest import RunCommand


def test_doctor_without_a_spec_checks_programs_and_extras(cli: "RunCommand") -> None:
    ran = cli("doctor")
    assert "farm.yaml: does not exist, so the secrets" in ran.err
    assert ran.out.startswith(f"ok: Python {sys.version.split()[0]}: ")
    for part in ("HAProxy", "NGINX", "of the extra `prove`", "of the extra `secrets`"):
        assert part in ran.out
    assert ran.code == int("missing: " in ran.out)


def test_doctor_reports_secrets_and_devices_of_the_spec(
    cli: "RunCommand", tmp_path: Path, farm_data: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLBGEN_DOCTOR_SET", "hunter2")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        f5 = {"host": "127.0.0.1", "port": port, "password": {"env": "NLBGEN_DOCTOR_SET"}}
        zen = {"product": "relianoid", "api": "https://127.0.0.1:1", "key": {"env": "NLBGEN_DOCTOR_UNSET"}}
        (tmp_path / "farm.yaml").write_text(json.dumps(farm_data(f5=f5, zen=zen)), encoding="utf-8")
        ran = cli("doctor")
    assert ran.code == 1
    assert "hunter2" not in ran.out + ran.err
    assert "ok: the secret NLBGEN_DOCTOR_SET (f5.password)\n" in ran.out
    assert "missing: the secret NLBGEN_DOCTOR_UNSET (zen.key): " in ran.out
    assert f"ok: the device 127.0.0.1:{port} (f5.host)\n" in ran.out
    assert "missing: the device 127.0.0.1:1 (zen.api): cannot be reached: Connection refused\n    check" in ran.out


def test_missing_programs_and_extras_have_a_command_of_this_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(validate, "installed", lambda _vendor: None)
    texts = [str(check) for check in (*doctor._programs(), *doctor._extras())]
    assert any(text.startswith("missing: HAProxy: ") and "apt-get install haproxy" in text for text in texts)
    assert any(f"{sys.executable} -m pip install 'nlbgen[secrets]'" in text for text in texts)


def test_program_without_a_version_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_vendor: object) -> None:
        raise NlbgenError("/bin/haproxy does not print its version", "check the installation")

    monkeypatch.setattr(validate, "installed", fails)
    assert all(check.lacks and check.fix == "check the installation" for check in doctor._programs())
