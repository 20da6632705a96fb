"""The hooks of .pre-commit-hooks.yaml: each runs its command with the names of files, as pre-commit does."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from nlbgen.cli import COMMANDS

if TYPE_CHECKING:
    from tests.conftest import RunCommand

ROOT = Path(__file__).resolve().parents[1]
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}


@pytest.fixture
def farm(tmp_path: Path, farm_data: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    """Write a farm for HAProxy, with changes."""

    def write(**changes: object) -> None:
        data = farm_data(haproxy={"version": "2.6"}, **changes)
        (tmp_path / "farm.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")

    return write


def command(hook: str, *files: str) -> list[str]:
    program, *words = shlex.split(HOOKS[hook]["entry"])
    assert program == "nlbgen" and words[0] in COMMANDS
    assert all(re.search(HOOKS[hook]["files"], file) for file in files)
    return [*words, *files]


def test_hooks_select_their_files_in_any_folder() -> None:
    for hook, name in (("nlbgen-check", "farm.yml"), ("nlbgen-lint", "haproxy.cfg"), ("nlbgen-diff", "farm.yaml")):
        assert re.search(HOOKS[hook]["files"], f"site/{name}") and not re.search(HOOKS[hook]["files"], f"my{name}")


def test_hook_check_fails_for_an_invalid_spec(farm: Callable[..., None], cli: "RunCommand") -> None:
    farm()
    assert cli(*command("nlbgen-check", "farm.yaml")).code == 0
    farm(nodes=[])
    assert cli(*command("nlbgen-check", "farm.yaml")).code == 3


def test_hook_diff_fails_if_the_files_are_not_those_of_the_spec(farm: Callable[..., None], cli: "RunCommand") -> None:
    farm()
    assert cli("render", "all", "--no-validate").code == 0
    assert cli(*command("nlbgen-diff", "farm.yaml")).code == 0
    farm(balancer={"slow_start": "30s"})
    ran = cli(*command("nlbgen-diff", "farm.yaml"))
    assert (ran.code, "slowstart" in ran.out) == (1, True)


def test_hook_lint_fails_for_a_risky_configuration(tmp_path: Path, cli: "RunCommand") -> None:
    lines = ["defaults", "mode http", "timeout client 30s", "timeout server 30s", "retry-on all-retryable-errors"]
    lines += ["frontend web", "bind *:80", "default_backend web", "backend web", "server a 10.0.0.1:80"]
    (tmp_path / "haproxy.cfg").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ran = cli(*command("nlbgen-lint", "haproxy.cfg"))
    assert (ran.code, "haproxy.cfg:" in ran.out) == (1, True)
