"""How nlbgen gets onto a machine: the steps of the Containerfile and of the GitHub action, run here by their shells."""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from nlbgen.generators.base import hosted_generators

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "farm.yaml"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.no_cover,
    pytest.mark.xdist_group("packaging"),
    pytest.mark.skipif(os.name != "posix", reason="POSIX shell"),
]


def sh(command: str, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub and podman do: the shell stops at the first error."""
    words = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", command]
    return subprocess.run(words, cwd=cwd, env=dict(env), capture_output=True, text=True, timeout=300, check=False)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that `COPY . /source` copies: all but those of .dockerignore."""
    ignored = [line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()]
    folder = tmp_path_factory.mktemp("container") / "source"

    def leave_out(where: str, names: list[str]) -> list[str]:
        anywhere = {"__pycache__", "node_modules"}
        patterns = ignored if Path(where) == ROOT else [one for one in ignored if one in anywhere]
        return [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]

    shutil.copytree(ROOT, folder, ignore=leave_out)
    return folder


# The container


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Containerfile: `("RUN", "apt-get update ...")`."""
    lines = (ROOT / "Containerfile").read_text("utf-8").splitlines()
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines if line and not line.startswith("#")]


def test_steps_of_the_container_install_a_nlbgen_that_renders_the_example(tree: Path, tmp_path: Path) -> None:
    folder, image, env = tmp_path, tmp_path / "opt", environment()

    def here(text: str) -> str:
        return text.replace("/opt/", f"{image}/").replace("/source", str(tree)).replace("/farm", str(tmp_path / "farm"))

    (tmp_path / "farm").mkdir()
    shutil.copy(EXAMPLE, tmp_path / "farm")
    words: dict[str, list[str]] = {}
    for name, text in instructions():
        match name:
            case "WORKDIR":
                folder = Path(here(text))
            case "COPY":
                assert text == ". /source", "what the fixture copies"
            case "RUN" if text.startswith("apt-get"):
                continue  # the next test
            case "RUN":
                done = sh(here(text), folder, env)
                assert done.returncode == 0, (text, done.stdout, done.stderr)
            case "ENTRYPOINT" | "CMD":
                words[name] = [here(word) for word in json.loads(text)]
            case _:
                assert (name, text) == ("FROM", "docker.io/library/python:3.13-slim-bookworm")
    entry = shlex.join(words["ENTRYPOINT"])
    assert sh(shlex.join([*words["ENTRYPOINT"], *words["CMD"]]), folder, env).stdout.startswith("Usage: nlbgen")
    done = sh(f"{entry} render haproxy --no-validate", folder, env)
    assert done.returncode == 0, done.stderr
    made = folder / "outputs" / "haproxy" / "haproxy.cfg"
    assert made.read_bytes() == (ROOT / "outputs" / "example" / "haproxy" / "haproxy.cfg").read_bytes()


def test_container_has_the_programs_that_check_files() -> None:
    (step,) = (text for name, text in instructions() if name == "RUN" and text.startswith("apt-get"))
    packages = next(part for part in step.split(" && ") if " install " in part)
    names = {word for word in packages.split()[2:] if not word.startswith("-")}
    assert {vendor.program for vendor in hosted_generators()} <= names
    assert "libnginx-mod-stream" in names, "TLS passthrough"


# The GitHub action


RunAction = Callable[..., list[tuple[str, subprocess.CompletedProcess[str]]]]


@pytest.fixture(scope="module")
def action(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> RunAction:
    """Runs the steps of action.yml with these inputs in a folder, as GitHub does: a failed step is the last one."""
    described = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    runner = tmp_path_factory.mktemp("runner")
    path = runner / "path"
    path.touch()
    defaults = {name: about["default"] for name, about in described["inputs"].items()}

    def run(workspace: Path, **given: str) -> list[tuple[str, subprocess.CompletedProcess[str]]]:
        inputs = {**defaults, **given}
        assert inputs.keys() == defaults.keys()
        done = []
        for step in described["runs"]["steps"]:
            assert step["shell"] == "bash"
            if step["name"].startswith("Install") and path.read_text("utf-8"):
                continue  # installed for the first test
            if not wanted(step.get("if", ""), inputs):
                continue
            own = {name: filled(text, inputs) for name, text in step.get("env", {}).items()}
            env = {**environment(), "RUNNER_TEMP": str(runner), "GITHUB_PATH": str(path), **own}
            env["GITHUB_ACTION_PATH"] = str(tree)
            env["PATH"] = os.pathsep.join([*path.read_text("utf-8").split(), *os.defpath.split(os.pathsep)])
            env["PATH"] = f"{env['PATH']}{os.pathsep}{os.environ['PATH']}"
            done.append((step["name"], sh(step["run"], workspace, env)))
            if done[-1][1].returncode:
                break
        return done

    return run


def wanted(condition: str, inputs: Mapping[str, str]) -> bool:
    """Whether a step runs: `inputs.diff == 'true'`, `inputs.lint != ''`."""
    if not condition:
        return True
    found = re.fullmatch(r"inputs\.(\w+) (==|!=) '(\w*)'", condition)
    assert found, condition
    return (inputs[found[1]] == found[3]) == (found[2] == "==")


def filled(text: str, inputs: Mapping[str, str]) -> str:
    found = re.fullmatch(r"\$\{\{ inputs\.(\w+) \}\}", text)
    assert found, text
    return inputs[found[1]]


def test_action_puts_no_input_into_a_script() -> None:
    """An input is text from outside: a script gets it as a variable of the environment, in quotes."""
    steps = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["runs"]["steps"]
    for step in steps:
        assert "${{" not in step["run"], step["name"]
        assert not re.search(r'(?<!")\$[A-Z_]+(?!/?[\w/.-]*")', step["run"]), step["name"]


@pytest.fixture
def workspace(tmp_path: Path, farm_data: Callable[..., dict[str, Any]]) -> Callable[..., Path]:
    """Writes a farm for HAProxy into the folder of a checkout, with a space in its name."""

    def write(**changes: object) -> Path:
        folder = tmp_path / "my farm"
        folder.mkdir(exist_ok=True)
        data = farm_data(haproxy={"version": "2.6"}, **changes)
        (folder / "my farm.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
        return folder

    return write


def test_action_checks_compares_and_lints(action: RunAction, workspace: Callable[..., Path]) -> None:
    folder = workspace()
    ran = action(folder, spec="my farm.yaml")
    assert [(name, done.returncode) for name, done in ran][-1] == ("Check the spec", 0), ran
    (_, compared) = action(folder, spec="my farm.yaml", diff="true")[-1]
    assert (compared.returncode, "+++" in compared.stdout) == (1, True), "no file is committed"
    lines = ["defaults", "mode http", "timeout client 30s", "timeout server 30s", "retry-on all-retryable-errors"]
    lines += ["frontend web", "bind *:80", "default_backend web", "backend web", "server a 10.0.0.1:80"]
    (folder / "old.cfg").write_text("\n".join(lines) + "\n", encoding="utf-8")
    name, linted = action(folder, spec="my farm.yaml", lint="old.cfg")[-1]
    assert (name, linted.returncode) == ("Lint a configuration", 1)
    assert re.search(r"^::(error|warning) file=old\.cfg,line=\d", linted.stdout, re.MULTILINE)


def test_action_fails_for_an_invalid_spec_and_with_strict_for_warnings(
    action: RunAction, workspace: Callable[..., Path]
) -> None:
    name, done = action(workspace(nodes=[]), spec="my farm.yaml", diff="true")[-1]
    assert (name, done.returncode) == ("Check the spec", 3)
    assert done.stdout.startswith("::error file=my farm.yaml,line="), "an annotation"
    codes = [
        action(workspace(stores={"signalr": "sqlserver"}), spec="my farm.yaml", strict=strict)[-1][1].returncode
        for strict in ("false", "true")
    ]
    assert codes == [0, 3]


# SchemaStore


def test_entry_for_schemastore_has_the_keys_of_its_catalogue() -> None:
    """The entry as the catalogue's own schema describes it: https://json.schemastore.org/schema-catalog.json."""
    entry = {
        "type": "object",
        "required": ["name", "url", "description"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string"},
            "description": {"type": "string"},
            "fileMatch": {"type": "array", "uniqueItems": True, "items": {"type": "string"}},
            "url": {"type": "string", "format": "uri", "pattern": "^https://"},
            "versions": {"type": "object"},
        },
    }
    data = json.loads((ROOT / "docs" / "schemastore" / "catalog.json").read_text("utf-8"))
    jsonschema.validate(data, entry)
    assert all(fnmatch.fnmatch(name, "farm.y*ml") for name in data["fileMatch"])
