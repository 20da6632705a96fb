"""Python in a browser gives the same bytes as the command line: every golden farm, in one process of Node.js."""

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen import __version__
from nlbgen.generators.base import VENDORS
from nlbgen.page import bridge
from tests.page.conftest import site_or_skip

if TYPE_CHECKING:
    from tests.conftest import RunCommand

pytestmark = [pytest.mark.slow, pytest.mark.no_cover, pytest.mark.xdist_group("page")]

TESTS = Path(__file__).parents[1]
EXAMPLE = (TESTS.parent / "examples" / "farm.yaml").read_text(encoding="utf-8")
FARMS = {path.parent.name: path.read_text(encoding="utf-8") for path in sorted(TESTS.glob("golden/*/farm.yaml"))}
BROKEN = {
    path.parent.name: path.read_text(encoding="utf-8", errors="surrogateescape")
    for path in sorted(TESTS.glob("golden_errors/*/farm.yaml"))
}
WEB_CONFIG = b"""<configuration><appSettings>
<add key="SSRS" value="x"/></appSettings><connectionStrings>
<add name="Default" connectionString="Server=SQL01;Database=UiPath;Integrated Security=True"/></connectionStrings>
<system.web><machineKey decryptionKey="0A" validationKey="0B"/></system.web></configuration>"""
CFG = b"frontend f\n    bind :80\n    default_backend b\nbackend b\n    server a 10.0.0.1:80\n"
Answers = dict[str, Any]
"""JSON of the bridge by the name of the request."""


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def requests() -> dict[str, tuple[str, dict[str, object]]]:
    """Every request of the tests by its name."""
    made: dict[str, tuple[str, dict[str, object]]] = {}
    for name, text in {**BROKEN, **FARMS}.items():
        made[f"check {name}"] = ("check", {"text": text})
    for name, text in {**FARMS, "example": EXAMPLE}.items():
        for what in ("render", "topology", "nodes"):
            made[f"{what} {name}"] = (what, {"text": text})
    for path in sorted((TESTS.parent / "outputs" / "example").rglob("*")):
        if path.is_file() and path.parent.name in VENDORS and path.suffix != ".md":
            name = path.relative_to(TESTS.parent / "outputs" / "example").as_posix()
            made[f"highlight {name}"] = ("highlight", {"path": name, "text": path.read_text(encoding="utf-8")})
    made |= {
        "bundle example": ("bundle", {"text": EXAMPLE}),
        "report example": ("report", {"text": EXAMPLE}),
        "edit": ("edit", {"text": EXAMPLE, "how": "set", "path": ["frontend", "port"], "value": 8443}),
        "diff": ("diff", {"before": "a\nb", "after": "a\nc", "path": "x"}),
        "starter": ("starter", {"name": "inputs/orch-1/web.config", "content": encoded(WEB_CONFIG)}),
        "doctype": ("starter", {"name": "a.config", "content": encoded(b"<!DOCTYPE a><configuration/>")}),
        "entity": ("starter", {"name": "a.config", "content": encoded(b"<configuration a='&x;'/>")}),
        "lint": ("lint", {"name": "haproxy.cfg", "content": encoded(CFG)}),
        "schema": ("schema", {}),
    }
    return made


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What Python in Node.js answers."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    folder = tmp_path_factory.mktemp("pyodide")
    asked = requests()
    (folder / "requests.json").write_text(json.dumps([{"call": name, "with": given} for name, given in asked.values()]))
    command = [node, TESTS / "page" / "run.mjs", site_or_skip(), folder / "requests.json", folder / "answers.json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-800:]
    return dict(zip(asked, json.loads((folder / "answers.json").read_text()), strict=True))


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What the same functions answer here, in an empty folder."""
    here = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("native"))
    try:
        return {
            name: json.loads(bridge.call(json.dumps({"call": call, "with": given})))
            for name, (call, given) in requests().items()
        }
    finally:
        os.chdir(here)


def test_golden_farms_have_the_bytes_of_the_golden_files(answers: Answers) -> None:
    header = f"Made by nlbgen {__version__} "
    compared = 0
    for name in FARMS:
        for vendor in answers[f"render {name}"]["value"]["vendors"]:
            for file in vendor["files"]:
                stored = TESTS / "golden" / name / file["path"]
                if stored.exists():
                    made = file["text"].replace(header, "Made by nlbgen VERSION ")
                    assert made.encode() == stored.read_bytes(), stored
                    compared += 1
    assert compared > 200


OTHER_COLUMNS = {"check type-null", "check type-port", "entity"}
"""PyYAML without libyaml counts an empty value one column earlier; expat names the element instead of its value.
JavaScript's numbers have 53 bits.
"""


def shown(name: str, answer: object) -> object:
    """An answer to compare; for `OTHER_COLUMNS` without the columns."""
    if name not in OTHER_COLUMNS:
        return answer
    return re.sub(r'\\"column\\": \d+|"column": \d+|:1:\d+:|9{26}|1e\+26', "", json.dumps(answer))


def test_every_answer_equals_that_of_the_same_function_here(answers: Answers, native: Answers) -> None:
    assert len(answers) > 400
    different = [name for name in answers if shown(name, answers[name]) != shown(name, native[name])]
    assert different == []


def test_bundle_has_the_bytes_of_bundle_export(answers: Answers, cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "farm.yaml").write_text(EXAMPLE, encoding="utf-8")
    assert cli("bundle", "export", "--no-validate", "-o", "b.tar.gz", cwd=tmp_path).code == 0
    assert base64.b64decode(answers["bundle example"]["value"]["content"]) == (tmp_path / "b.tar.gz").read_bytes()


def test_check_prints_what_nlbgen_check_prints(native: Answers, cli: "RunCommand", tmp_path: Path) -> None:
    for name in sorted(BROKEN)[::5]:
        (tmp_path / "farm.yaml").write_bytes(BROKEN[name].encode("utf-8", "surrogateescape"))
        ran = cli("check", "--format", "json", cwd=tmp_path)
        assert ran.out == native[f"check {name}"]["value"]["check"], name


def test_node_file_with_a_doctype_or_an_entity_is_refused(answers: Answers) -> None:
    assert "DOCTYPE" in answers["doctype"]["error"]["message"]
    assert "&amp;" in answers["entity"]["error"]["message"]


def test_no_function_fails_for_a_missing_module_or_otherwise(answers: Answers) -> None:
    assert {name: answer["crash"] for name, answer in answers.items() if "crash" in answer} == {}
