"""The rendered scripts in a real PowerShell, where one is found: the language itself, files, and Redis.

IIS and Windows are not there: what needs them is read by its syntax tree (`powershell_rules.py`).
"""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from nlbgen.nodes.fingerprints import Fingerprints
from nlbgen.nodes.prepare import redis_scripts, rendering
from nlbgen.nodes.prepare.redis_scripts import Login
from nlbgen.spec.load import load
from nlbgen.spec.strings.endpoints import Endpoint
from tests.conftest import find_binary

PWSH = shutil.which("pwsh") or "pwsh"
pytestmark = pytest.mark.skipif(shutil.which("pwsh") is None, reason="pwsh is not installed")

EXAMPLES = Path(__file__).parents[2] / "examples"
PASSWORD = 'it\'s a "pass" $(x) `n é'
BODY = "# The certificate has the farm's name"
"""Where the functions of prepare-node.ps1 end; what follows needs Windows."""
PARSE = """
param([string] $Folder)
foreach ($file in Get-ChildItem -LiteralPath $Folder -Recurse -Filter *.ps1) {
    $tokens = $null
    $found = $null
    [void] [System.Management.Automation.Language.Parser]::ParseFile($file.FullName, [ref] $tokens, [ref] $found)
    foreach ($one in $found) { "$($file.FullName):$($one.Extent.StartLineNumber): $($one.Message)" }
}
"""
EDIT = """
$scratch = "$ConfigPath.nlbgen.tmp"
$file = Read-Config $ConfigPath
$changes = Set-FarmSetting $file
Write-Scratch $file $scratch
[IO.File]::Replace($scratch, $ConfigPath, "$ConfigPath.bak")
Remove-Scratch $scratch
$again = Set-FarmSetting (Read-Config $ConfigPath)
"changes: $changes, then $again"
"""


def run(script: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script as its user does."""
    return subprocess.run(
        [PWSH, "-NoLogo", "-NoProfile", "-NonInteractive", "-File", str(script), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
        env={**os.environ, "NO_COLOR": "1", **(env or {})},
    )


Render = Callable[..., Path]


@pytest.fixture
def render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Render:
    """Render the example's nodes into a folder, with a change of its spec; `encode` changes the nodes' files before."""
    monkeypatch.setenv("NLBGEN_REDIS_PASSWORD", PASSWORD)

    def files(
        change: Callable[[dict[str, Any]], None] = lambda _data: None,
        encode: Callable[[bytes], bytes] = lambda raw: raw,
        *,
        with_secrets: bool = False,
    ) -> Path:
        shutil.copytree(EXAMPLES / "inputs", tmp_path / "inputs", dirs_exist_ok=True)
        for path in (tmp_path / "inputs").rglob("web.config"):
            path.write_bytes(encode(path.read_bytes()))
        data = YAML(typ="safe", pure=True).load((EXAMPLES / "farm.yaml").read_text(encoding="utf-8"))
        change(data)
        (tmp_path / "farm.yaml").write_text(json.dumps(data), encoding="utf-8")
        out = tmp_path / "out"
        for file in rendering.render(load(tmp_path / "farm.yaml"), with_secrets=with_secrets).files:
            place = out / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.content)
        return out

    return files


def servers(*ports: int, **more: object) -> Callable[[dict[str, Any]], None]:
    """A change of the spec: servers of Redis on this machine."""

    def change(data: dict[str, Any]) -> None:
        data["accept"] = [*data.get("accept", ()), "redis-loopback", "redis-endpoints"]
        data["stores"]["redis"] = {"endpoints": [f"127.0.0.1:{port}" for port in ports], **more}

    return change


SECRET = {"password": {"env": "NLBGEN_REDIS_PASSWORD"}}


@pytest.mark.parametrize(
    "redis",
    [
        SECRET,
        {},
        {**SECRET, "tls": True},
        {**SECRET, "tls": True, "options": {"sslHost": "it's"}},
    ],
    ids=["password", "no password", "tls", "name in the certificate"],
)
def test_every_rendered_script_is_accepted_by_the_real_parser(
    render: Render, tmp_path: Path, redis: dict[str, Any]
) -> None:
    out = render(servers(6379, 6380, **redis))
    blocks = re.findall(r"```powershell\n(.*?)```", (out / "RUNBOOK.md").read_text(encoding="utf-8"), re.DOTALL)
    for service in ("", "it's"):
        functions = redis_scripts.functions(Login((Endpoint("redis-1", 6379),), None, tls=True, service=service))
        (out / f"functions-{bool(service)}.ps1").write_text("\n".join(functions), encoding="utf-8-sig")
    for number, block in enumerate(blocks):
        (out / f"block-{number}.ps1").write_text(block, encoding="utf-8-sig")
    script = tmp_path / "parse.ps1"
    script.write_text(PARSE, encoding="utf-8-sig")
    done = run(script, str(out))
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert blocks


def functions_of(script: Path, body: str, place: Path) -> Path:
    """A script with the parameters and functions of another one, and a body of its own."""
    text = script.read_bytes().decode("utf-8-sig")
    head = re.sub(r"(?m)^#Requires.*$", "", text[: text.index(BODY)])
    place.write_text(head + body, encoding="utf-8-sig")
    return place


def with_umlaut(raw: bytes) -> str:
    """The text of a config file with a comment outside ASCII."""
    text = raw.decode("utf-8-sig")
    return re.sub(r"(<appSettings[^>]*>)", r"\1<!-- Büro -->", text, count=1)


def declared(name: str) -> Callable[[bytes], bytes]:
    """An encoder of the nodes' files, with the declaration that belongs to it."""
    encoding = {"utf-16": "utf-16-le", "utf-8-sig": "utf-8"}.get(name, name)
    mark = {"utf-16": b"\xff\xfe", "utf-8-sig": b"\xef\xbb\xbf"}.get(name, b"")
    written = {"utf-8-sig": "utf-8"}.get(name, name)

    def encode(raw: bytes) -> bytes:
        text = re.sub(r"^<\?xml.*?\?>", f'<?xml version="1.0" encoding="{written}"?>', with_umlaut(raw))
        return mark + text.encode(encoding)

    return encode


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize("folder", ["plain", "a[1]", "it's [x*] ü"])
def test_prepare_node_functions_write_what_nlbgen_writes(
    render: Render, tmp_path: Path, encoding: str, folder: str
) -> None:
    out = render(encode=declared(encoding), with_secrets=True)
    target = tmp_path / folder / "web.config"
    target.parent.mkdir()
    before = (tmp_path / "inputs" / "orch-2" / "web.config").read_bytes()
    target.write_bytes(before)
    script = functions_of(out / "orch-2" / "prepare-node.ps1", EDIT, tmp_path / "edit.ps1")
    done = run(script, "-ConfigPath", str(target))
    assert done.returncode == 0, done.stderr
    assert re.search(r"^changes: [1-9]\d*, then 0$", done.stdout, re.MULTILINE), done.stdout
    assert PASSWORD not in done.stdout + done.stderr
    written, prepared = target.read_bytes(), (out / "orch-2" / "web.config").read_bytes()
    assert ET.canonicalize(from_file=io.BytesIO(written)) == ET.canonicalize(from_file=io.BytesIO(prepared))
    assert written[:2] == before[:2]
    assert "Büro".encode({"utf-16": "utf-16-le", "utf-8-sig": "utf-8"}.get(encoding, encoding)) in written
    assert sorted(path.name for path in target.parent.iterdir()) == ["web.config", "web.config.bak"]
    assert target.with_name("web.config.bak").read_bytes() == before


def test_fingerprint_of_the_scripts_is_that_of_nlbgen(render: Render, tmp_path: Path) -> None:
    key = "0123456789ABCDEF"
    script = functions_of(
        render() / "orch-1" / "prepare-node.ps1", f"Get-Fingerprint '{key}'", tmp_path / "fingerprint.ps1"
    )
    assert run(script).stdout.strip() == Fingerprints().shown(key, "key").text


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Return a function that starts a Redis with a password, or without one, and returns its port."""
    running: list[subprocess.Popen[bytes]] = []

    def start(password: str) -> int:
        port = free_port()
        binary = find_binary("redis-server")
        assert binary
        lines = ["bind 127.0.0.1", f"port {port}", 'save ""', f"dir {tmp_path}"]
        if password:
            quoted = password.replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'requirepass "{quoted}"')
        config = tmp_path / f"redis-{port}.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        process = subprocess.Popen([binary, str(config)], stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if b"eady to accept connections" in line:
                return port
        raise AssertionError("redis-server does not start")

    yield start
    for process in running:
        process.terminate()
        process.communicate(timeout=10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.redis
def test_redis_script_proves_every_server(render: Render, redis_server: Callable[[str], int]) -> None:
    ports = redis_server(PASSWORD), redis_server(PASSWORD)
    done = run(render(servers(*ports, **SECRET)) / "test-redis.ps1")
    assert done.returncode == 0, done.stdout + done.stderr
    for port in ports:
        assert f"Redis on 127.0.0.1:{port} answers AUTH and PING." in done.stdout


@pytest.mark.redis
@pytest.mark.parametrize(
    ("second", "reason"),
    [("another", "it answers AUTH with: -WRONGPASS"), ("", "it answers PING without a password"), (None, "does not")],
    ids=["another password", "no password", "not started"],
)
def test_redis_script_names_the_server_that_fails(
    render: Render, redis_server: Callable[[str], int], second: str | None, reason: str
) -> None:
    good, bad = redis_server(PASSWORD), free_port() if second is None else redis_server(second)
    done = run(render(servers(good, bad, **SECRET)) / "test-redis.ps1")
    shown = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert f"Redis on 127.0.0.1:{good} answers AUTH and PING." in shown
    assert f"Redis on 127.0.0.1:{bad}: " in shown
    assert reason in shown
    assert PASSWORD not in shown


@pytest.mark.redis
def test_redis_script_without_a_password_proves_ping(render: Render, redis_server: Callable[[str], int]) -> None:
    port = redis_server("")
    done = run(render(servers(port)) / "test-redis.ps1", env={"NLBGEN_REDIS_PASSWORD": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Redis on 127.0.0.1:{port} answers PING." in done.stdout
