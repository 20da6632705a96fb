"""The tools of the tests: npm packages, and what may be skipped where programs are required."""

import shutil
import subprocess
from pathlib import Path

import pytest

from .behaviour import conftest as behaviour
from .conftest import MAY_BE_SKIPPED
from .tools import npm


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of npm, which succeed without an installation."""
    ran: list[list[str]] = []

    def run(command: list[str], cwd: Path, **_options: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        (cwd / "node_modules").mkdir()
        (cwd / "node_modules" / ".package-lock.json").touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", run)
    return ran


def test_npm_packages_are_installed_once(tmp_path: Path, installs: list[list[str]]) -> None:
    assert npm.packages(tmp_path) == npm.packages(tmp_path) == tmp_path / "node_modules"
    assert [command[:2] for command in installs] == [["/usr/bin/npm", "ci"]]


def test_npm_missing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(npm.NpmError, match="not installed"):
        npm.packages(tmp_path)


def test_npm_failure_is_an_error_with_its_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", "no network")
    )
    with pytest.raises(npm.NpmError, match="no network"):
        npm.packages(tmp_path)


@pytest.mark.parametrize("listing", [None, "{}", '{"haproxy-3.0": {"program": "haproxy"}}'])
def test_required_versions_that_are_missing_fail(
    listing: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if listing is not None:
        (tmp_path / "programs.json").write_text(listing, encoding="utf-8")
    monkeypatch.setattr(behaviour, "PROGRAMS", tmp_path / "programs.json")
    monkeypatch.setenv("NLBGEN_REQUIRE_PROGRAMS", "1")
    with pytest.raises(pytest.fail.Exception, match=r"no builds of .*nginx in \.programs"):
        behaviour.other_programs()
    monkeypatch.delenv("NLBGEN_REQUIRE_PROGRAMS")
    assert len(behaviour.other_programs()) == (listing or "").count("program")


def test_only_skips_about_other_machines_are_allowed_where_programs_are_required() -> None:
    assert MAY_BE_SKIPPED.search("got empty parameter set for (recorded)")
    assert MAY_BE_SKIPPED.search("this is not Windows")
    assert not MAY_BE_SKIPPED.search("got empty parameter set for (build)")
    assert not MAY_BE_SKIPPED.search("nginx is not installed")
