"""The functions that the page calls: what they refuse, and that they show no secret."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nlbgen.page import bridge

TESTS = Path(__file__).parents[1]
EXAMPLE = (TESTS.parent / "examples" / "farm.yaml").read_text(encoding="utf-8")
SECRETS = sorted(path.parent for path in TESTS.glob("golden_errors/secret-*/farm.yaml"))
KEYS = "0A1B2C3D4E5F6071"
CONFIG = f"""<configuration><connectionStrings>
<add name="Default" connectionString="Server=SQL9;Database=UiPath;Integrated Security=True"/></connectionStrings>
<appSettings><add key="Scalability.SignalR.Transport" value="x"/></appSettings>
<system.web><machineKey decryptionKey="{KEYS * 3}" validationKey="{KEYS * 8}" validation="SHA1" decryption="AES"/>
<sessionState mode="InProc"/></system.web></configuration>""".encode()


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> Iterator[None]:
    here = Path.cwd()
    os.chdir(tmp_path)
    yield
    os.chdir(here)


def call(name: str, /, **given: object) -> Any:  # noqa: ANN401  # JSON of any shape
    return json.loads(bridge.call(json.dumps({"call": name, "with": given})))


def value(name: str, /, **given: object) -> Any:  # noqa: ANN401  # JSON of any shape
    answer = call(name, **given)
    assert "value" in answer, answer
    return answer["value"]


def sent(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


@pytest.mark.parametrize("folder", SECRETS, ids=lambda path: path.name)
def test_literal_secret_is_refused_and_never_shown(folder: Path) -> None:
    """A link holds only a valid text: a secret in place of a reference is never in one."""
    answer = value("check", text=(folder / "farm.yaml").read_text(encoding="utf-8"))
    assert answer["valid"] is False
    assert "hunter2" not in json.dumps([answer["problems"], answer["check"]])


def test_check_of_a_text_that_is_not_yaml_has_no_data() -> None:
    assert value("check", text="a: [")["data"] is None
    assert value("check", text=EXAMPLE)["valid"] is True


def test_edit_has_four_ways() -> None:
    text = "nodes:\n  - {name: a}\n  - {name: b}\n"
    added = value("edit", text=text, how="add", path=["nodes"], value={"name": "c"})["text"]
    assert added == text + "  - {name: c}\n"
    assert value("edit", text=added, how="move", path=["nodes"], index=2, to=1)["text"].index("{name: c}") < 30
    assert value("edit", text=added, how="remove", path=["nodes", 2])["text"] == text
    assert value("edit", text=text, how="set", path=["nodes", 0, "name"], value="x")["text"].count("{name: x}") == 1


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("check", {}),
        ("edit", {"text": "a: 1", "how": "set", "path": "a"}),
        ("edit", {"text": "a: 1", "how": "set", "path": [{}]}),
        ("edit", {"text": "a: [1]", "how": "move", "path": ["a"], "index": "0", "to": 1}),
        ("keep", {"name": "a", "content": "?"}),
        ("keep", {"name": "../a", "content": ""}),
        ("keep", {"name": "C:\\a", "content": ""}),
        ("keep", {"name": "/etc/a", "content": ""}),
        ("keep", {"name": "a", "content": sent(bytes(bridge.MAX_FILE + 1))}),
        ("diff", {"before": "\n" * 30_000, "after": "", "path": "x"}),
        ("lint", {"name": "x.cfg", "content": sent(b"hello")}),
        ("render", {"text": "farm: 1"}),
    ],
)
def test_what_is_refused_has_a_message(name: str, given: dict[str, object]) -> None:
    assert call(name, **given)["error"]["message"]
    assert list(Path().iterdir()) == []


def test_starter_reads_a_node_file_and_shows_no_key() -> None:
    made = value("starter", name="inputs/orch-1/web.config", content=sent(CONFIG))
    assert "SQL9" in made["text"]
    assert "inputs/orch-1/web.config" in made["text"]
    assert KEYS not in json.dumps(made)
    prepared = value("nodes", text=made["text"])
    assert prepared["missing"] == []
    assert KEYS not in json.dumps(prepared)


def test_nodes_names_the_missing_files_and_renders_when_they_are_there() -> None:
    first = value("nodes", text=EXAMPLE)
    assert first["missing"] == ["inputs/orch-1/web.config", "inputs/orch-2/web.config"]
    assert first["files"] == []
    for name in first["missing"]:
        content = (TESTS.parent / "examples" / name).read_bytes()
        assert value("keep", name=name, content=sent(content)) == {"path": name}
    made = value("nodes", text=EXAMPLE)
    assert "RUNBOOK.md" in {Path(file["path"]).name for file in made["files"]}
    assert "<h3>" in made["runbook"]


def test_vendor_that_refuses_the_farm_has_problems_and_no_files() -> None:
    text = EXAMPLE.replace("  - nginx-queue\n", "")
    vendors = {vendor["name"]: vendor for vendor in value("render", text=text)["vendors"]}
    assert vendors["nginx"]["files"] == []
    assert vendors["nginx"]["problems"][0]["id"] == "nginx-queue"
    assert vendors["haproxy"]["files"][0]["main"] is True
    assert vendors["f5"]["limitations"]


def test_lint_lists_the_findings_of_a_configuration_and_keeps_no_file() -> None:
    found = value("lint", name="haproxy.cfg", content=sent(b"backend b\n    server a 10.0.0.1:80\n"))
    assert found["unread"] == 0
    assert list(Path().iterdir()) == []


def test_other_functions_return_what_their_commands_write() -> None:
    assert value("topology", text=EXAMPLE)["svg"].startswith("<svg")
    assert value("topology", text=EXAMPLE)["marks"][0]["number"] == 1
    assert value("report", text=EXAMPLE)["text"].startswith("<!DOCTYPE html>")
    assert value("bundle", text=EXAMPLE, vendor="haproxy")["name"] == "orchestrator-prod.tar.gz"
    assert value("diff", before="a", after="b", path="x")["lines"][-2:] == ["-a", "+b"]
    assert value("about")["vendors"] == ["haproxy", "nginx", "zen", "f5"]
    assert value("schema")["schema"]["title"] == "nlbgen farm.yaml"
    assert value("highlight", path="haproxy/haproxy.cfg", text="global\n")["lines"][0][0].startswith("<span")
