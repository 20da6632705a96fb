"""Each rule about NGINX finds its bad configuration, and nothing in the good one; the real NGINX accepts both.

A bad configuration is the good one with one change.
"""

import subprocess
import time
from pathlib import Path

import pytest

from nlbgen.lint.findings import Report, examine
from nlbgen.lint.registry import rules
from nlbgen.lint.versions import missing_fixes
from nlbgen.prove.lab.certificates import make_certificates
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.readers.load import read
from nlbgen.spec.load import load
from tests.lint.nginx_cases import ALSO, BAD, GOOD, changed

ROOT = Path(__file__).resolve().parents[2]
RULES = {rule.id: rule for rule in rules("nginx")}
PEERS = ROOT / "benchmarks" / "peers" / "configurations"


def examined(text: str, path: Path) -> Report:
    path.write_text(text, encoding="utf-8")
    return examine(str(path), read(path, "nginx"))


def shown(report: Report) -> list[tuple[str, str]]:
    return [(finding.rule.id, report.source_line(finding)) for finding in report.findings]


def ids(report: Report) -> set[str]:
    return {finding.rule.id for finding in report.findings}


def test_every_rule_has_a_bad_configuration() -> None:
    assert set(BAD) == set(RULES)


def test_good_configuration_has_no_findings(tmp_path: Path) -> None:
    report = examined(GOOD, tmp_path / "nginx.conf")
    assert shown(report) == []
    assert report.unread == ()


@pytest.mark.parametrize("rule", RULES)
def test_rule_finds_the_line_of_its_bad_configuration(rule: str, tmp_path: Path) -> None:
    changes, text = BAD[rule]
    report = examined(changed(changes), tmp_path / "nginx.conf")
    assert ids(report) - ALSO.get(rule, set()) == {rule}
    assert text in next(line for name, line in shown(report) if name == rule)


HEAD = "proxy_set_header Upgrade $upgrade; proxy_set_header Connection upgrade; proxy_read_timeout 1h;"
TWO = "server 10.0.0.1; server 10.0.0.2;"
NOT_FOUND = {
    "a program chooses the member": (
        "upstream u { server 0.0.0.1; balancer_by_lua_block { b() } } server { location / { proxy_pass http://u; } }",
        {"nginx-stopped-pool", "nginx-all-down", "nginx-signalr-core-affinity", "nginx-passive-checks"},
    ),
    "members in a file that is not read": (
        "upstream u { include u.conf; } server { location / { proxy_pass http://u; } }",
        {"nginx-stopped-pool", "nginx-all-down", "nginx-signalr-core-affinity"},
    ),
    "the node is in a variable": (
        (
            f"map $cookie_x $node {{ default a; b b; }} upstream a {{ {TWO} }} upstream b {{ {TWO} }}"
            " server { location / { proxy_pass http://$node; } }"
        ),
        {"nginx-signalr-core-affinity", "nginx-websocket-no-proxy"},
    ),
    "files of one type and single paths": (
        "server { location ~* \\.(css|js)$ { proxy_pass http://a; } location = /icon { proxy_pass http://a; } }",
        {"nginx-no-upgrade", "nginx-long-poll", "nginx-event-stream"},
    ),
    "pages beside a location of SignalR": (
        f"server {{ location / {{ proxy_pass http://a; }} location /signalr {{ proxy_pass http://a; {HEAD} }} }}",
        {"nginx-no-upgrade", "nginx-long-poll", "nginx-websocket-timeout"},
    ),
    "a proxy in an inner location": (
        "server { location / { proxy_pass http://a; } location /ws { location /ws/a { proxy_pass http://a; } } }",
        {"nginx-websocket-no-proxy"},
    ),
    "a site without a proxy": ("server { listen 80; location /ws { gzip off; } }", set(RULES)),
    "a trusted proxy in front": (
        (
            "server { set_real_ip_from 10.0.0.0/8; location / { proxy_pass http://a;"
            " proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } }"
        ),
        {"nginx-forged-address"},
    ),
    "a cookie that the file sets": (
        (
            f"upstream u {{ hash $cookie_n; {TWO} }} server {{ add_header Set-Cookie n=$upstream_addr;"
            " location / { proxy_pass http://u; } }"
        ),
        {"nginx-hash-absent"},
    ),
    "one node": (
        "upstream u { server 10.0.0.1; } server { location / { proxy_pass http://u; } }",
        {"nginx-stopped-pool", "nginx-zone", "nginx-all-down", "nginx-signalr-core-affinity", "nginx-passive-checks"},
    ),
    "TLS 1.3 only": (
        "server { listen 443 ssl; ssl_protocols TLSv1.3; location / { proxy_pass http://u; } }",
        {"nginx-tls-ciphers", "nginx-tls-version"},
    ),
    "no log": ("access_log off; server { location / { proxy_pass http://u; } }", {"nginx-tokens-in-log"}),
    "the two upstreams choose alike": (
        (
            f"upstream u {{ hash $arg_id; {TWO} }} upstream w {{ hash $arg_id; {TWO} }}"
            " server { error_page 418 = @w; location / { if ($http_upgrade) { return 418; } proxy_pass http://u; }"
            f" location @w {{ proxy_pass http://w; {HEAD} }} }}"
        ),
        {"nginx-websocket-pool-affinity", "nginx-signalr-core-affinity", "nginx-no-upgrade", "nginx-websocket-timeout"},
    ),
}
"""Configurations about which these rules say nothing."""


@pytest.mark.parametrize("name", NOT_FOUND)
def test_rule_does_not_report_what_it_cannot_know_or_what_is_right(name: str, tmp_path: Path) -> None:
    text, not_found = NOT_FOUND[name]
    assert (
        ids(examined(f"worker_processes 4; events {{}} http {{ {text} }}", tmp_path / "nginx.conf")) & not_found
        == set()
    )


@pytest.mark.alone
@pytest.mark.no_cover
def test_thousand_servers_are_checked_in_three_seconds(tmp_path: Path) -> None:
    """The time of the rules grows with the size of the file, not with its square."""
    server = "upstream u{0} {{ {1} }} server {{ server_name a{0}.example; location / {{ proxy_pass http://u{0}; }} }}\n"
    text = "".join(server.format(number, TWO) for number in range(1000))
    before = time.process_time()
    assert examined(text, tmp_path / "nginx.conf").findings
    assert time.process_time() - before < 3


def test_file_of_a_site_is_checked_without_its_http_block(tmp_path: Path) -> None:
    location = "location / { try_files $uri @app; } location @app { proxy_pass http://u; }"
    text = f"upstream u {{ {TWO} }} server {{ {location} }}"
    report = examined(text, tmp_path / "site.conf")
    found = ids(report)
    assert {"nginx-long-poll", "nginx-no-upgrade", "nginx-host", "nginx-stopped-pool"} <= found
    assert not found & {"nginx-reload-no-end", "nginx-zone", "nginx-few-connections"}
    # What nginx.conf can set in its http block is not missing.
    assert not found & {"nginx-tokens-in-log", "nginx-body-size", "nginx-connect-timeout", "nginx-request-buffers"}
    assert [one.reason.partition(",")[0] for one in report.unread] == ["the file has no http block"]


@pytest.mark.parametrize(
    "version, missing",
    [
        ("1.18.0", ["CVE-2021-23017", "CVE-2026-42945", "CVE-2026-9256"]),
        ("1.22.1", ["CVE-2026-42945", "CVE-2026-9256"]),
        ("1.30.1", ["CVE-2026-9256"]),
        ("1.30.2", []),
        ("1.31.1", []),
    ],
)
def test_version_lacks_the_fixes_after_it(version: str, missing: list[str], tmp_path: Path) -> None:
    configuration = examined("events {}", tmp_path / "nginx.conf").configuration
    found = [one.message.partition("CVE")[2].partition(" ")[0] for one in missing_fixes(configuration, version)]
    assert [f"CVE{name}" for name in found] == missing


def test_every_scenario_exists() -> None:
    assert {rule.scenario for rule in RULES.values()} - {None} <= set(scenarios())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificate"), ["orchestrator.corp.example"]).bundle


@pytest.mark.nginx
def test_nginx_accepts_all_configurations(certificate: Path, tmp_path: Path) -> None:
    """What a rule finds is more than NGINX reports."""
    for name, (changes, _) in {"good": ((), ""), **BAD}.items():
        text = changed(changes).replace("@certificate@", str(certificate)).replace("@folder@", str(tmp_path))
        path = tmp_path / f"{name}.conf"
        path.write_text(text, encoding="utf-8")
        command = ["nginx", "-t", "-q", "-e", "stderr", "-c", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert (done.returncode, "[emerg]" in done.stderr) == (0, False), (name, done.stderr)


CHOSEN = {
    ("affinity-source", "nginx-hash-address"): "balancer.affinity: source",
    ("algorithm-source", "nginx-hash-address"): "balancer.algorithm: source",
    ("limits-least", "nginx-reload-cuts"): "balancer.timeouts.reload: 1s",
    ("limits-least", "nginx-body-size"): "balancer.limits.body: 1kB",
}
"""What a golden farm requests itself, with the key that does."""
ACCEPTED = {"nginx-nodes-unverified": "unverified-nodes", "nginx-signalr-core-affinity": "core-affinity"}
"""The id in `accept` for a finding."""


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests/golden").glob("*/nginx/nginx.conf")), ids=lambda path: path.parts[-3]
)
def test_findings_about_rendered_configurations_are_those_that_the_spec_accepts(path: Path) -> None:
    folder = path.parents[1]
    accepted = load(folder / "farm.yaml").farm.accept
    found = {rule for rule in ids(examine(str(path), read(path))) if ACCEPTED.get(rule) not in accepted}
    assert [rule for rule in found if (folder.name, rule) not in CHOSEN] == []


def test_example_has_no_findings_and_is_understood() -> None:
    path = ROOT / "outputs" / "example" / "nginx" / "nginx.conf"
    report = examine(str(path), read(path))
    assert (report.findings, report.unread) == ((), ())


FAILURES = {
    "an app pool answers 503": "nginx-stopped-pool",
    "a node hangs": "nginx-connect-timeout",
    "an idle WebSocket is closed": "nginx-websocket-timeout",
    "a long poll gets 502 or 504, and arrives twice": "nginx-long-poll",
    "Upgrade: h2c arrives": "nginx-h2c-upgrade",
    "a forged address arrives": "nginx-forged-address",
}
"""What docs/performance.md shows for configurations of others, and the rule about it."""


@pytest.mark.parametrize("name", ["nginx-manual.conf", "nginx-nginxconfig.conf"])
def test_each_failure_of_the_comparison_has_a_finding(name: str) -> None:
    found = ids(examine(name, read(PEERS / name)))
    assert [failure for failure, rule in FAILURES.items() if rule not in found] == []
    assert ("nginx-host" in found) == (name == "nginx-manual.conf")
