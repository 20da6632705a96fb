"""The command line of `nlbgen probe`."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.net.loopback import free_port
from nlbgen.probe.findings import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunCommand
    from tests.probe.conftest import SimulatedFarm

    Arguments = Callable[..., list[str]]


PAGE = Path(__file__).parents[2] / "docs" / "commands" / "probe.md"


@pytest.fixture
def arguments(farm: "SimulatedFarm", tmp_path: Path) -> "Arguments":
    """Return a function that makes the arguments to probe the simulated farm."""

    def make(*more: str) -> list[str]:
        path = tmp_path / "farm.yaml"
        path.write_text(json.dumps(farm.data()), "utf-8")
        places = [f"--balancer=127.0.0.1:{farm.balancer.port}", f"--http-port={farm.plain.port}"]
        times = ["--timeout=40s", "--expires-within=3d"]
        return ["probe", "-s", str(path), *places, *times, f"--ca-file={farm.certificates.ca}", *more]

    return make


def test_probe_farm_as_in_the_spec_exits_0(cli: "RunCommand", arguments: "Arguments") -> None:
    ran = cli(*arguments())
    assert ran.code == 0
    assert re.search(
        r"^orch-2 +127\.0\.0\.1:\d+ +up +TLS 1\.3, certificate until .*SignalR connects$", ran.out, re.MULTILINE
    )
    assert "orchestrator-test: as in the spec: no findings, 2 notes, 1 not checked" in ran.err


def test_probe_with_a_finding_exits_1(cli: "RunCommand", arguments: "Arguments", farm: "SimulatedFarm") -> None:
    farm.nodes[1].state.pool_stopped = True
    ran = cli(*arguments())
    assert ran.code == 1
    said = f"finding: orch-2: {KINDS['health'].means} [health]\n    object    GET /api/Status/Get\n"
    assert f"{said}    expected  200 within 30s\n    found     503\n    to do     " in ran.out
    assert "differs from the spec: 1 finding" in ran.err


def test_ignore_option_turns_a_finding_into_a_note(
    cli: "RunCommand", arguments: "Arguments", farm: "SimulatedFarm"
) -> None:
    farm.nodes[1].state.pool_stopped = True
    ran = cli(*arguments("--ignore", "health"))
    assert ran.code == 0
    assert re.search(r"^note: orch-2: .* \[health\]$", ran.out, re.MULTILINE)


def test_json_report_has_the_documented_keys(cli: "RunCommand", arguments: "Arguments", farm: "SimulatedFarm") -> None:
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


def test_probe_without_a_reachable_machine_exits_6(cli: "RunCommand", farm: "SimulatedFarm", tmp_path: Path) -> None:
    data = farm.data()
    data["nodes"] = [{**node, "port": free_port()} for node in data["nodes"]]
    (tmp_path / "farm.yaml").write_text(json.dumps(data), "utf-8")
    ran = cli("probe", "--balancer", f"127.0.0.1:{free_port()}", "--timeout", "4s")
    assert ran.code == 6
    assert ran.out.count("[unreachable]") == 3
    assert "no machine of the farm was reached from here" in ran.err


def test_probe_invalid_spec_exits_3_without_a_check(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "farm.yaml").write_text("farm: x\nnodes: []\n", "utf-8")
    ran = cli("probe")
    assert ran.code == 3
    assert "nothing was checked" in ran.err
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
def test_probe_invalid_option_exits_2(cli: "RunCommand", option: str, said: str) -> None:
    ran = cli("probe", option)
    assert ran.code == 2
    assert said in ran.err


def test_ca_file_without_a_certificate_exits_1(cli: "RunCommand", arguments: "Arguments", tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing", "utf-8")
    ran = cli(*arguments(f"--nodes-ca={tmp_path / 'ca.pem'}"))
    assert ran.code == 1
    assert "contains no certificate" in ran.err
    assert ran.out == ""


def test_balancer_option_rejects_ipv6_without_brackets(cli: "RunCommand", tmp_path: Path) -> None:
    assert "--balancer:" in cli("probe", "--balancer", "::1:443").err


def test_probe_ignores_proxies_of_the_environment(cli: "RunCommand", arguments: "Arguments") -> None:
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"), "http://127.0.0.1:1")
    assert cli(*arguments(), env=proxies).code == 0


def test_probe_runs_without_aiohttp(arguments: "Arguments") -> None:
    """The extra `prove` is not necessary for a probe."""
    blocked = "import sys; sys.modules.update(aiohttp=None, uvloop=None, requests=None)"
    code = f"{blocked}; sys.argv[0] = 'nlbgen'; from nlbgen.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments()], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_finding_id_is_documented(update_golden: bool) -> None:
    rows = [f"| `{name}` | {kind.level} | {kind.means} | {kind.advice} |" for name, kind in KINDS.items()]
    table = "\n".join(["| Id | Usual level | Meaning | To do |", "|---|---|---|---|", *rows])
    before, begin, rest = PAGE.read_text("utf-8").partition("<!-- ids -->\n")
    _old, end, after = rest.partition("<!-- /ids -->")
    page = f"{before}{begin}{table}\n{end}{after}"
    if update_golden:
        PAGE.write_text(page, "utf-8")
    assert PAGE.read_text("utf-8") == page


def test_every_finding_id_has_a_test() -> None:
    # The hosts of Redis are tested in tests/behaviour, where a lab starts them.
    here = Path(__file__).parent
    files = (*here.glob("test_*.py"), here.parent / "behaviour" / "test_redis.py")
    text = "".join(path.read_text("utf-8") for path in files)
    assert [name for name in KINDS if f'"{name}"' not in text] == []
