"""Each rule about haproxy.cfg finds its bad configuration, and not its good one; the real HAProxy accepts both."""

import contextlib
import os
import subprocess
import time
from pathlib import Path

import pytest

from nlbgen.lint.findings import Report, examine
from nlbgen.lint.registry import rules
from nlbgen.prove.lab.certificates import make_certificates
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.readers.errors import UnreadableError
from nlbgen.readers.haproxy.reader import read_text
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


# Roles, and files of any shape


def found(text: str) -> list[tuple[int, str]]:
    report = examine("f", read_text(text, "f"))
    return [(finding.location.line, finding.rule.id.removeprefix("haproxy-")) for finding in report.findings]


POOLS = """defaults
  mode http
  timeout client 20s
  timeout server 20s
frontend f
  bind :80
  use_backend images if { path_beg /img }
  default_backend web
backend images
  server one 10.0.0.1:80 check
backend web
  server one 10.0.0.2:80 check
"""


def test_websockets_do_not_go_to_a_backend_of_other_paths() -> None:
    assert [line for line, rule in found(POOLS) if rule == "tunnel-timeout"] == [11]


def test_backend_that_is_chosen_at_run_time_is_any_one() -> None:
    text = POOLS.replace("default_backend web", "use_backend %[req.hdr(host),map(/etc/farms)]")
    assert [line for line, rule in found(text) if rule == "tunnel-timeout"] == [11]


def test_tcp_frontend_of_another_service_has_no_findings() -> None:
    text = "listen sql\n bind :1433\n timeout client 50s\n timeout server 50s\n server a 10.0.0.1:1433\n"
    assert found(text) == []
    assert "tunnel-timeout" in [rule for _line, rule in found(text.replace(":1433", ":443"))]


def test_statistics_are_no_web_frontend() -> None:
    text = POOLS.replace("frontend f\n  bind :80\n", "frontend f\n  bind 127.0.0.1:80\n  stats uri /\n")
    assert [rule for _line, rule in found(text) if rule == "tunnel-timeout"] == []


@pytest.mark.parametrize(
    "before, after, rule",
    [
        ("timeout server 20s", "timeout server 20s\n  timeout tunnel 0", "tunnel-timeout"),
        ("timeout server 20s", "timeout server 20s\n  timeout tunnel 60s", "tunnel-timeout"),
        ("bind :80", "bind :80\n  http-request replace-header Host .* node", "host-changed"),
        ("bind :80", "bind :80\n  option forwardfor if-none", "forged-address"),
        ("bind :80", "bind :80\n  log 127.0.0.1 local0\n  log-format %HU", "tokens-in-log"),
        ("bind :80", "bind :80\n  log 127.0.0.1 local0\n  log-format %[req.hdr(Authorization)]", "secrets-in-log"),
        ("bind :80", "bind :80\n  stats uri /x\n  stats admin if TRUE", "open-admin"),
        ("bind :80", "bind :80 ssl crt x force-tlsv10", "tls-version"),
        ("bind :80", "bind :80 ssl crt x ciphers HIGH:!aNULL", "tls-ciphers"),
        ("bind :80", "bind :80 ssl crt x ciphers ECDHE-RSA-AES128-SHA256:AES256-SHA", "tls-ciphers"),
        ("server one 10.0.0.2:80 check", "http-send-name-header Host\n  server one 10.0.0.2:80 check", "host-changed"),
        ("server one 10.0.0.2:80 check", "balance rdp-cookie\n  server one 10.0.0.2:80", "hash-absent"),
        ("server one 10.0.0.2:80 check", "server one 10.0.0.2:80 check cookie one", "cookie-without-values"),
        ("server one 10.0.0.2:80 check", "server a 10.0.0.2:80 track nothing/a\n  server b 10.0.0.3:80", "no-check"),
        ("server one 10.0.0.2:80 check", "option httpchk\n  server a 10.0.0.2:80\n  server b 10.0.0.3:80", "no-check"),
    ],
)
def test_other_forms_of_the_same_mistake_are_found(before: str, after: str, rule: str) -> None:
    assert rule in [name for _line, name in found(POOLS.replace(before, after))]


@pytest.mark.parametrize(
    "before, after, rule",
    [
        ("bind :80", "bind :80\n  http-request del-header (x-forwarded-for -m reg", "forged-address"),
        ("bind :80", "bind :80\n  http-request del-header x-forwarded- -m beg", "forged-address"),
        ("bind :80", "bind :80 ssl crt x ssl-min-ver TLSv1.3", "tls-ciphers"),
        ("bind :80", "bind :80 ssl crt x ciphers ECDHE-RSA-AES128-GCM-SHA256", "tls-ciphers"),
        ("bind :80", "bind :80 ssl crt x\n  http-request add-header X-Forwarded-Proto https", "forwarded-proto"),
        ("bind :80", "bind :80\n  log 127.0.0.1 local0\n  log-format %HP", "tokens-in-log"),
        (
            "server one 10.0.0.2:80 check",
            "option tcp-check\n  tcp-check expect string 200\n  server a x:1 check",
            "tcp-check",
        ),
        ("server one 10.0.0.2:80 check", "cookie X insert dynamic\n  server a x:1 check", "cookie-without-values"),
        ("server one 10.0.0.2:80 check", "server a x:1 check init-state down", "reload-state"),
        ("server one 10.0.0.2:80 check", "server a x:1 agent-check agent-port 1", "tcp-check"),
    ],
)
def test_other_right_forms_are_not_found(before: str, after: str, rule: str) -> None:
    lines = POOLS.replace(before, after).replace("images if", "images if FALSE").split("backend images")
    text = f"{lines[0]}backend images\n  # none\nbackend web{lines[1].partition('backend web')[2]}"
    assert rule not in [name for _line, name in found(text)]


def test_no_rule_fails_on_lines_that_are_cut() -> None:
    """Each word of some cases ends its line once."""
    for path in (CASES / f"haproxy-{name}.bad.cfg" for name in ("errors-mark-down", "sign-in-http2")):
        lines = path.read_text(encoding="utf-8").split("\n")
        for number, line in enumerate(lines):
            words = line.split()
            for length in range(1, len(words)):
                cut = [*lines[:number], " ".join(words[:length]), *lines[number + 1 :]]
                with contextlib.suppress(UnreadableError):
                    examine("f", read_text("\n".join(cut), "f"))


@pytest.mark.alone
def test_three_hundred_backends_are_checked_in_ten_seconds() -> None:
    """Before the roles of backends were cached, this took two minutes."""
    hosts = "".join(f" acl a{n} hdr(host) -i h{n}\n use_backend b{n} if a{n}\n" for n in range(300))
    backends = "".join(f"backend b{n}\n server one 10.0.0.1:80 check\n server two 10.0.0.2:80\n" for n in range(300))
    configuration = read_text(f"defaults\n mode http\nfrontend f\n bind :80\n{hosts}{backends}", "f")
    begin = time.process_time()
    examine("f", configuration)
    assert time.process_time() - begin < 10


def test_a_cookie_of_the_application_has_no_attributes_of_haproxy() -> None:
    text = POOLS.replace("backend web\n", "backend web\n  cookie app prefix nocache\n")
    assert "cookie-attributes" in [rule for _line, rule in found(text.replace("prefix", "insert"))]
    assert "cookie-attributes" not in [rule for _line, rule in found(text)]


def test_a_scheme_that_reqadd_sets_is_told() -> None:
    text = "frontend f\n mode http\n bind :443 ssl crt /a.pem\n default_backend b\nbackend b\n mode http\n{}"
    text += " server a 10.0.0.1:80\n"
    assert "forwarded-proto" in [rule for _line, rule in found(text.format(""))]
    assert "forwarded-proto" not in [rule for _line, rule in found(text.format(" reqadd X-Forwarded-Proto:\\ https\n"))]
