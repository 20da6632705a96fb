"""The runbook: whose keys, whose commands, which paths; and the guards of the scripts that it runs."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from nlbgen.core.errors import NodeError
from nlbgen.nodes.prepare import rendering, scripts
from nlbgen.nodes.runbook import blocks
from nlbgen.nodes.values import DesiredSetting, plain
from nlbgen.spec.load import load
from tests.nodes.powershell_rules import broken

EXAMPLES = Path(__file__).parents[2] / "examples"

Change = Callable[[dict[str, Any]], None]
Render = Callable[..., dict[str, bytes]]


@pytest.fixture
def render(tmp_path: Path) -> Render:
    """Render the example's nodes, with a change of its spec."""

    def files(change: Change = lambda _data: None) -> dict[str, bytes]:
        shutil.copytree(EXAMPLES / "inputs", tmp_path / "inputs", dirs_exist_ok=True)
        data = YAML(typ="safe", pure=True).load((EXAMPLES / "farm.yaml").read_text(encoding="utf-8"))
        change(data)
        (tmp_path / "farm.yaml").write_text(json.dumps(data), encoding="utf-8")
        return {str(file.path): file.content for file in rendering.render(load(tmp_path / "farm.yaml")).files}

    return files


def step(files: dict[str, bytes], title: str) -> str:
    """One step of the runbook."""
    match = re.search(rf"^## \d+\. {title}.*?(?=^## )", files["RUNBOOK.md"].decode(), re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[0]


def test_runbook_keys_of_a_file_go_to_every_node(render: Render, tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        (tmp_path / "backup").mkdir()
        shutil.copy(tmp_path / "inputs" / "orch-1" / "web.config", tmp_path / "backup")
        data["keys"] = {"from": "backup/web.config"}

    files = render(change)
    assert step(files, "Copy the scripts").count("Copy-Item -LiteralPath 'backup/web.config'") == 2
    prepare = step(files, "Prepare the nodes")
    lines = [line for line in prepare.splitlines() if line.startswith(".\\")]
    assert len(lines) == 4
    assert all(r" -KeysFrom 'C:\nlbgen\keys.config'" in line for line in lines)
    assert "10.20.0.11\\C$" not in prepare
    assert "gets the keys of `backup/web.config`" in step(files, "Keep the keys")
    assert r"`C:\nlbgen\keys.config` contains the keys" in files["RUNBOOK.md"].decode()
    for node in ("orch-1", "orch-2"):
        assert "Set-Key $File 'secureAppSettings' 'EncryptionKey'" in files[f"{node}/prepare-node.ps1"].decode()


def test_runbook_has_one_block_for_each_node(render: Render) -> None:
    prepare = step(render(), "Prepare the nodes")
    for block in re.findall(r"```powershell\n(.*?)```", prepare, re.DOTALL):
        assert not (r".\orch-1" in block and r".\orch-2" in block)
    assert "On orch-1:" in prepare
    assert "-SiteId $id" in prepare


def test_runbook_every_change_has_the_commands_of_its_rollback(render: Render) -> None:
    text = render()["RUNBOOK.md"].decode()
    rollbacks = re.findall(r"\*\*Rollback:\*\* (.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    for rollback in rollbacks[:-2]:  # those of the balancer and of DNS depend on programs that are not known here
        assert "```" in rollback or rollback.startswith("none is needed"), rollback


def test_runbook_ipv6_node_has_a_unc_path_without_colons(render: Render) -> None:
    def change(data: dict[str, Any]) -> None:
        data["nodes"][0]["address"] = "fd00::11"

    files = render(change)
    assert r"-KeysFrom '\\fd00--11.ipv6-literal.net\C$\Program Files" in files["RUNBOOK.md"].decode()


@pytest.mark.parametrize(
    "address, host",
    [
        ("10.0.0.1", "10.0.0.1"),
        ("orch-1.corp.example", "orch-1.corp.example"),
        ("fd00::11", "fd00--11.ipv6-literal.net"),
        ("::1", "0--1.ipv6-literal.net"),
        ("fd00::", "fd00--0.ipv6-literal.net"),
    ],
)
def test_share_names_the_host_as_windows_writes_it(address: str, host: str) -> None:
    assert blocks.share(address, r"D:\Orchestrator") == rf"\\{host}\D$\Orchestrator"


def test_runbook_2020_4_has_a_step_for_identity_server(render: Render) -> None:
    def change(data: dict[str, Any]) -> None:
        data["orchestrator"]["version"] = "2020.4"

    assert "EncryptionSettings.EncryptionKey" in step(
        render(change), "Give the nodes the same settings of Identity Server"
    )
    assert "Identity Server" not in render()["RUNBOOK.md"].decode()


def test_runbook_redis_without_a_password_is_named(render: Render) -> None:
    def change(data: dict[str, Any]) -> None:
        del data["stores"]["redis"]["password"]

    files = render(change)
    assert "The spec sets no password" in step(files, "Install Redis")
    assert b"The spec sets no password" in files["redis.ps1"]
    assert b"requirepass" not in files["redis.ps1"]


def test_runbook_package_share_of_the_first_node_is_no_local_disk(render: Render, tmp_path: Path) -> None:
    def change(_data: dict[str, Any]) -> None:
        path = tmp_path / "inputs" / "orch-2" / "web.config"
        text = path.read_text(encoding="utf-8-sig")
        path.write_text(text.replace(r"\\files.corp.example\orchestrator", r"C:\NuGet"), encoding="utf-8")

    files = render(change)
    assert "Packages are on a local disk" not in files["RUNBOOK.md"].decode()
    line = r"Set-Setting $File 'appSettings' 'Storage.Location' 'RootPath=\\files.corp.example\orchestrator' $false"
    assert line in files["orch-2/prepare-node.ps1"].decode()
    assert line not in files["orch-1/prepare-node.ps1"].decode()


def test_scripts_know_whose_they_are(render: Render) -> None:
    files = render()
    first, second = (files[f"{node}/prepare-node.ps1"].decode() for node in ("orch-1", "orch-2"))
    key = re.search(r'EncryptionKey" value="([^"]+)"', (EXAMPLES / "inputs/orch-1/web.config").read_text("utf-8-sig"))
    assert key is not None
    fingerprint = "sha256:" + hashlib.sha256(key[1].encode()).hexdigest()[:12]
    assert f"$FarmKey = '{fingerprint}'" in first
    assert f"Fingerprint = '{fingerprint}' }}" in second
    assert "@{ Name = 'orch-2'; Address = '10.20.0.12' }" in first
    # Only the first node has its own keys: another file is another machine's.
    assert first.count("if (-not $farmKeyHere) {") == 1
    assert "if (-not $farmKeyHere) {" not in second


def test_statement_value_that_no_script_holds_names_the_setting() -> None:
    with pytest.raises(NodeError, match=r"appSettings/x: cannot be written into a script: .*U\+2028"):
        scripts._statement(DesiredSetting("appSettings", "x", plain("a\u2028b")))


def test_verify_sql_with_a_name_outside_ascii_has_a_byte_order_mark(render: Render) -> None:
    def change(data: dict[str, Any]) -> None:
        data["stores"]["database"]["name"] = "Büro'1"

    content = render(change)["verify.sql"]
    assert content.startswith(b"\xef\xbb\xbf")
    assert "WHERE name = N''Büro''''1_Job_DeleteExpiredSessions''" in content.decode("utf-8-sig")


@pytest.mark.parametrize("name", ["node-change.yml.j2", "node-main.yml.j2"])
def test_ansible_scripts_have_literal_paths(name: str) -> None:
    text = (Path(__file__).parents[2] / "templates" / "ansible" / name).read_text(encoding="utf-8")
    found = re.findall(r"^( +)script: \|\n((?:\1 .*\n)+)", text, re.MULTILINE)
    assert found
    for _indent, script in found:
        rules = {finding.rule for finding in broken(script.encode())}
        assert "literal-path" not in rules
        assert "known" not in rules
