"""`nlbgen probe` as a user runs it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nlbgen.net.loopback import free_port
from nlbgen.probe.findings import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "commands" / "probe.md"


@pytest.fixture
def arguments(farm, tmp_path):
    """The arguments that probe the stand-in farm."""

    def make(*more: str) -> list[str]:
        path = tmp_path / "farm.yaml"
        path.write_text(json.dumps(farm.data()), "utf-8")
        places = [f"--balancer=127.0.0.1:{farm.balancer.port}", f"--http-port={farm.plain.port}"]
        times = ["--timeout=40s", "--expires-within=3d"]
        return ["probe", "-s", str(path), *places, *times, f"--ca-file={farm.certificates.ca}", *more]

    return make


def test_a_farm_as_in_its_spec(cli, arguments):
    ran = cli(*arguments())
    assert ran.code == 0
    assert re.search(
        r"^orch-2 +127\.0\.0\.1:\d+ +up +TLS 1\.3, certificate until .*SignalR connects$", ran.out, re.MULTILINE
    )
    assert "orchestrator-test: as in the spec: no findings, 2 notes, 1 not checked" in ran.err


def test_a_finding_is_a_difference(cli, arguments, farm):
    farm.nodes[1].state.pool_stopped = True
    ran = cli(*arguments())
    assert ran.code == 1
    said = f"finding: orch-2: {KINDS['health'].means} [health]\n    object    GET /api/Status/Get\n"
    assert f"{said}    expected  200 within 30s\n    found     503\n    to do     " in ran.out
    assert "differs from the spec: 1 finding" in ran.err


def test_findings_can_be_ignored(cli, arguments, farm):
    farm.nodes[1].state.pool_stopped = True
    ran = cli(*arguments("--ignore", "health"))
    assert ran.code == 0
    assert re.search(r"^note: orch-2: .* \[health\]$", ran.out, re.MULTILINE)


def test_the_shape_of_the_json(cli, arguments, farm):
    farm.nodes[1].state.pool_stopped = True
    ran = cli(*arguments("--format", "json", "--through", "nodes"))
    assert ran.code == 1
    data = json.loads(ran.out)
    assert list(data) == ["farm", "through", "ok", "summary", "devices", "findings"]
    assert (data["farm"], data["through"], data["ok"]) == ("orchestrator-test", "nodes", False)
    assert data["summary"] == {"findings": 1, "unchecked": 0, "notes": 0}
    device = data["devices"][1]
    assert list(device) == ["device", "address", "state", "reached", "facts"]
    assert (device["device"], device["state"], device["reached"]) == ("orch-2", "up", True)
    assert data["findings"] == [
        {
            "id": "health",
            "level": "finding",
            "device": "orch-2",
            "object": "GET /api/Status/Get",
            "expected": "200 within 30s",
            "found": "503",
            "advice": KINDS["health"].advice,
        }
    ]


def test_nothing_is_reached(cli, farm, tmp_path):
    data = farm.data()
    data["nodes"] = [{**node, "port": free_port()} for node in data["nodes"]]
    (tmp_path / "farm.yaml").write_text(json.dumps(data), "utf-8")
    ran = cli("probe", "--balancer", f"127.0.0.1:{free_port()}", "--timeout", "4s")
    assert ran.code == 6
    assert ran.out.count("[unreachable]") == 3
    assert "nothing of the farm was reached from here" in ran.err


def test_a_wrong_spec_is_not_asked_about(cli, tmp_path):
    (tmp_path / "farm.yaml").write_text("farm: x\nnodes: []\n", "utf-8")
    ran = cli("probe")
    assert ran.code == 3
    assert "nothing was asked" in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    "option, said",
    [
        ("--timeout=5", "--timeout:"),
        ("--timeout=500ms", "500ms is less than 1s"),
        ("--expires-within=soon", "--expires-within:"),
        ("--ignore=helth", "did you mean health?"),
        ("--ignore=zzzzzzzz", "docs/commands/probe.md"),
        ("--balancer=https://lb", "--balancer:"),
        ("--balancer=lb:70000", "--balancer:"),
        ("--hub=signalr", "--hub:"),
        ("--hub=/a b", "--hub:"),
        ("--ca-file=/not/here", "does not exist"),
        ("--http-port=0", "--http-port"),
        ("--through=all", "--through"),
    ],
)
def test_wrong_options(cli, option, said):
    ran = cli("probe", option)
    assert ran.code == 2
    assert said in ran.err


def test_a_ca_file_without_a_certificate(cli, arguments, tmp_path):
    (tmp_path / "ca.pem").write_text("nothing", "utf-8")
    ran = cli(*arguments(f"--nodes-ca={tmp_path / 'ca.pem'}"))
    assert ran.code == 1
    assert "holds no certificate" in ran.err
    assert ran.out == ""


def test_ipv6_addresses_are_written_in_brackets(cli, tmp_path):
    assert "--balancer:" in cli("probe", "--balancer", "::1:443").err


def test_proxies_of_the_environment_are_not_asked(cli, arguments):
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"), "http://127.0.0.1:1")
    assert cli(*arguments(), env=proxies).code == 0


def test_it_runs_without_aiohttp(arguments):
    """In an emergency nothing has to be installed first."""
    blocked = "import sys; sys.modules.update(aiohttp=None, uvloop=None, requests=None)"
    code = f"{blocked}; sys.argv[0] = 'nlbgen'; from nlbgen.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments()], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_id_is_documented(update_golden):
    rows = [f"| `{name}` | {kind.level} | {kind.means} | {kind.advice} |" for name, kind in KINDS.items()]
    table = "\n".join(["| Id | Level as a rule | Means | To do |", "|---|---|---|---|", *rows])
    before, begin, rest = PAGE.read_text("utf-8").partition("<!-- ids -->\n")
    _old, end, after = rest.partition("<!-- /ids -->")
    whole = f"{before}{begin}{table}\n{end}{after}"
    if update_golden:
        PAGE.write_text(whole, "utf-8")
    assert PAGE.read_text("utf-8") == whole


def test_every_id_has_a_test():
    text = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in KINDS if f'"{name}"' not in text] == []
