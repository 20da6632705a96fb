"""`nlbgen push f5` as a user runs it."""

import json
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunCommand
    from tests.f5.bigip import BigIp
    from tests.f5.conftest import Make, Reached, SpecValue


@pytest.fixture
def farm(make: "Make", tmp_path: Path) -> "Callable[..., None]":
    """Return a function that writes the spec of a farm to a file."""

    def made(**changes: "SpecValue") -> None:
        spec = make(**changes)
        (tmp_path / "farm.yaml").write_text(json.dumps(spec.document.data))

    return made


def test_cli_dry_run_then_expect_applies_the_plan_once(
    cli: "RunCommand", farm: "Callable[..., None]", device: "BigIp", tmp_path: Path
) -> None:
    farm()
    seen = cli("push", "f5", "--dry-run")
    assert seen.code == 1 and "+ ltm pool /Common/orchestrator-test_web: new" in seen.out
    data = json.loads(cli("push", "f5", "--dry-run", "--format", "json").out)
    assert data["outcome"] == "planned"
    done = cli("push", "f5", "--expect", data["plan"]["digest"][:16])
    assert done.code == 0, done.err
    assert "ltm virtual" in done.out and "created" in done.out
    assert "the configuration is saved" in done.err
    again = cli("push", "f5", "--yes")
    assert again.code == 0 and "nothing to change" in again.out
    assert device.password not in done.out + done.err + seen.err


def test_cli_push_without_terminal_and_yes_is_refused(
    cli: "RunCommand", farm: "Callable[..., None]", device: "BigIp"
) -> None:
    farm()
    ran = cli("push", "f5")
    assert ran.code == 2 and "no terminal to prompt" in ran.err
    assert device.writes() == []


def test_cli_push_with_format_json_prints_only_json(cli: "RunCommand", farm: "Callable[..., None]") -> None:
    farm()
    ran = cli("push", "f5", "--yes", "--format", "json")
    data = json.loads(ran.out)
    assert ran.code == 0 and data["outcome"] == "applied" and data["counts"]["ltm virtual"]["created"] == 2
    assert data["snapshot"].endswith(".json")


def test_cli_push_to_a_port_where_nothing_listens_ends_without_another_attempt(
    cli: "RunCommand", farm: "Callable[..., None]", running: "Reached", monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_pause(_seconds: float) -> None:
        raise AssertionError("a refused connection was tried again")

    monkeypatch.setattr("nlbgen.push.http.time.sleep", no_pause)
    farm(f5={"port": 1})
    ran = cli("push", "f5", "--dry-run")
    assert ran.code == 6 and "cannot be reached: Connection refused" in ran.err and "attempt" not in ran.err


@pytest.mark.parametrize("vendor", ["f5", "zen"])
def test_cli_push_of_a_spec_without_the_device_points_to_the_end_of_the_file(
    cli: "RunCommand", tmp_path: Path, vendor: str, farm_data: "Callable[..., dict[str, Any]]"
) -> None:
    text = json.dumps(farm_data())
    (tmp_path / "farm.yaml").write_text(f"{text}\n\n", "utf-8")
    ran = cli("push", vendor, "--dry-run")
    assert ran.code == 3
    assert ran.err.startswith(
        f"farm.yaml:1:{len(text) + 1}: {vendor}: the spec has no {vendor} section\n    add the dev"
    )


def test_cli_push_that_fails_has_the_exit_code_of_the_failure(
    cli: "RunCommand", farm: "Callable[..., None]", device: "BigIp", running: "Reached", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlbgen.push.http.time.sleep", lambda _seconds: None)
    farm(f5={"port": 1})
    ran = cli("push", "f5", "--dry-run")
    assert ran.code == 6 and "cannot be reached" in ran.err and "Traceback" not in ran.err
    farm(f5={"version": "16.1"}, balancer={"timeouts": {"queue": "30s"}})
    assert cli("push", "f5", "--dry-run").code == 4
    farm(f5={"password": None})
    assert cli("push", "f5", "--dry-run").code == 3


def test_cli_validate_changes_nothing_and_restore_restores_the_snapshot(
    cli: "RunCommand", farm: "Callable[..., None]", device: "BigIp"
) -> None:
    farm()
    assert cli("push", "f5", "--yes").code == 0
    before = device.own()
    farm(balancer={"slow_start": "9s"})
    valid = cli("push", "f5", "--validate")
    assert valid.code == 1 and "the device accepts 1 command;" in valid.err
    report = json.loads(cli("push", "f5", "--yes", "--format", "json").out)
    assert device.own() != before
    assert cli("push", "f5", "--yes", "--restore", report["snapshot"]).code == 0
    assert device.own() == before


@pytest.mark.parametrize("ignored", [False, True], ids=["in front", "in the background"])
def test_cli_sigterm_rolls_back_and_logs_out(
    cli: "RunCommand", farm: "Callable[..., None]", device: "BigIp", ignored: bool
) -> None:
    """A cancelled pipeline sends SIGTERM. A shell makes its background jobs ignore SIGINT."""
    farm()
    unexpected = []

    def ended(_method: str, path: str, _body: bytes) -> None:
        if path == "/mgmt/tm/transaction":
            device.hook = None
            main = threading.main_thread().ident
            assert main
            signal.pthread_kill(main, signal.SIGTERM)
            time.sleep(0.2)

    device.hook = ended
    terminated = signal.signal(signal.SIGTERM, lambda *_: unexpected.append("not handled"))
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    try:
        ran = cli("push", "f5", "--yes")
    finally:
        signal.signal(signal.SIGTERM, terminated)
        signal.signal(signal.SIGINT, interrupted)
    assert unexpected == []
    assert ran.code == 130 and "interrupted" in ran.err
    assert not device.tokens and device.own() == {} and device.files() == set()
