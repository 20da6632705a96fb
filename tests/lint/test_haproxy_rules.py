"""Each rule about haproxy.cfg finds its bad configuration, and not its good one; the real HAProxy accepts both."""

import os
import subprocess
from pathlib import Path

import pytest

from nlbgen.lint.findings import Report, examine
from nlbgen.lint.registry import rules
from nlbgen.prove.lab.certificates import make_certificates
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.readers.load import read
from nlbgen.spec.load import load

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(__file__).parent / "haproxy"
RULES = {rule.id: rule for rule in rules("haproxy")}
PEERS = ROOT / "benchmarks" / "peers" / "configurations"


def examined(path: Path) -> Report:
    return examine(str(path), read(path))


def ids(path: Path) -> set[str]:
    return {finding.rule.id for finding in examined(path).findings}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_finds_the_bad_configuration_and_not_the_good_one(rule: str) -> None:
    assert rule in ids(CASES / f"{rule}.bad.cfg")
    assert rule not in ids(CASES / f"{rule}.good.cfg")


def test_every_case_belongs_to_a_rule() -> None:
    assert {path.name.partition(".")[0] for path in CASES.glob("*.cfg")} == set(RULES)


def test_every_scenario_exists() -> None:
    assert {rule.scenario for rule in RULES.values()} - {None} <= set(scenarios())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificate"), ["orchestrator.corp.example"]).bundle


@pytest.mark.haproxy
@pytest.mark.parametrize("kind", ["bad", "good"])
@pytest.mark.parametrize("rule", RULES)
def test_haproxy_accepts_the_configurations(rule: str, kind: str, certificate: Path) -> None:
    """What a rule finds is more than HAProxy reports; the one exception is the newline at the end."""
    done = subprocess.run(
        ["haproxy", "-c", "-f", str(CASES / f"{rule}.{kind}.cfg")],
        env={**os.environ, "CERT": str(certificate)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    refused = rule == "haproxy-last-newline" and kind == "bad"
    assert (done.returncode != 0) is refused, done.stderr
    assert ("Missing LF" in done.stderr) is refused


CHOSEN = {
    ("all-failed-refuse", "haproxy-all-checks-fail"): "balancer.health.all_failed: refuse",
    ("health-path", "haproxy-slow-detection"): "balancer.health.timeout: 1h",
    ("limits-least", "haproxy-reload-cuts"): "balancer.timeouts.reload: 1s",
}
"""What a golden farm requests itself, with the key that does."""
ACCEPTED = {"haproxy-nodes-unverified": "unverified-nodes", "haproxy-signalr-core-affinity": "core-affinity"}
"""The id in `accept` for a finding."""


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "golden").glob("*/haproxy/haproxy.cfg")), ids=str)
def test_findings_about_rendered_configurations_are_those_that_the_spec_accepts(path: Path) -> None:
    folder = path.parents[1]
    accepted = load(folder / "farm.yaml").farm.accept
    found = {rule for rule in ids(path) if ACCEPTED.get(rule) not in accepted}
    assert [rule for rule in found if (folder.name, rule) not in CHOSEN] == []


def test_the_example_has_no_findings_and_is_understood() -> None:
    report = examined(ROOT / "outputs" / "example" / "haproxy" / "haproxy.cfg")
    assert (report.findings, report.unread) == ((), ())


FAILURES = {
    "a node is killed": "haproxy-redispatch",
    "an app pool answers 503": "haproxy-tcp-check",
    "a node hangs": "haproxy-tcp-check",
    "a node is drained": "haproxy-tcp-check",
    "an idle WebSocket is closed": "haproxy-tunnel-timeout",
    "a long poll gets 504": "haproxy-long-poll",
    "Upgrade: h2c arrives": "haproxy-h2c-upgrade",
    "a forged address arrives": "haproxy-forged-address",
}
"""What docs/performance.md shows for configurations of others, and the rule about it."""


@pytest.mark.parametrize("name", ["haproxy-manual.cfg", "haproxy-easyhaproxy.cfg"])
def test_each_failure_of_the_comparison_has_a_finding(name: str) -> None:
    failures = dict(FAILURES)
    if name == "haproxy-easyhaproxy.cfg":
        del failures["a long poll gets 504"]  # its timeout server is 10 minutes
    assert [failure for failure, rule in failures.items() if rule not in ids(PEERS / name)] == []
