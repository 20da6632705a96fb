"""Each rule about F5 BIG-IP finds its bad configuration, and nothing in the good one.

A bad configuration is the good one with one change. No BIG-IP runs here; the strict reader of nlbgen's own files and
the reader of configurations agree about them (tests/readers/test_f5_reader.py).
"""

from pathlib import Path

import pytest

from nlbgen.lint.findings import Report, examine
from nlbgen.lint.registry import rules
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.readers.load import read
from nlbgen.spec.load import load

ROOT = Path(__file__).resolve().parents[2]
RULES = {rule.id: rule for rule in rules("f5")}

GOOD = r"""#TMSH-VERSION: 17.1.1

ltm monitor https /Common/health {
    defaults-from /Common/https
    interval 5
    recv "^HTTP/1.[01] 200"
    send "GET /api/Status/Get HTTP/1.1\r\nHost: a.example\r\nConnection: Close\r\n\r\n"
    timeout 16
}
ltm persistence cookie /Common/stick {
    cookie-name node
    defaults-from /Common/cookie
    httponly enabled
    secure enabled
}
ltm pool /Common/web {
    members {
        /Common/10.0.0.1:443 {
            address 10.0.0.1
        }
        /Common/10.0.0.2:https {
            address 10.0.0.2
        }
    }
    monitor /Common/health
    service-down-action reset
}
ltm profile client-ssl /Common/clients {
    defaults-from /Common/clientssl
    options { dont-insert-empty-fragments no-sslv3 no-tlsv1 no-tlsv1.1 }
}
ltm profile server-ssl /Common/nodes {
    defaults-from /Common/serverssl
    peer-cert-mode require
}
ltm profile http /Common/pages {
    defaults-from /Common/http
    insert-xforwarded-for disabled
}
ltm profile tcp /Common/long {
    defaults-from /Common/tcp
    idle-timeout 3600
}
ltm rule /Common/headers {
when HTTP_REQUEST {
    HTTP::header replace "X-Forwarded-For" [IP::client_addr]
}
}
ltm virtual /Common/farm {
    destination /Common/10.1.0.1:443
    ip-protocol tcp
    persist {
        /Common/stick {
            default yes
        }
    }
    pool /Common/web
    profiles {
        /Common/clients { context clientside }
        /Common/long { }
        /Common/nodes { context serverside }
        /Common/pages { }
        /Common/websocket { }
    }
    rules { /Common/headers }
    source-address-translation { type automap }
}
ltm virtual /Common/redirect {
    destination /Common/10.1.0.1:80
    profiles { /Common/http { } /Common/tcp { } }
    rules { /Common/_sys_https_redirect }
}
"""
NO_RULE = ("    rules { /Common/headers }\n", "")
BAD: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {
    "f5-idle-timeout": ((("idle-timeout 3600", "idle-timeout 60"),), "idle-timeout 60"),
    "f5-websocket-profile": ((("        /Common/websocket { }\n", ""),), "ltm virtual /Common/farm"),
    "f5-oneconnect-sign-in": (
        (("/Common/websocket { }", "/Common/websocket { }\n/Common/oneconnect { }"),),
        "oneconnect",
    ),
    "f5-snat": ((("    source-address-translation { type automap }\n", ""),), "ltm virtual /Common/farm"),
    "f5-forwarded-for": ((NO_RULE,), "insert-xforwarded-for disabled"),
    "f5-forged-address": (
        (NO_RULE, ("insert-xforwarded-for disabled", "insert-xforwarded-for enabled")),
        "insert-xforwarded-for enabled",
    ),
    "f5-forwarded-proto": ((("        /Common/nodes { context serverside }\n", ""),), "/Common/clients"),
    "f5-cookie-attributes": ((("secure enabled", "secure disabled"),), "secure disabled"),
    "f5-cookie-address": ((("    cookie-name node\n", ""),), "/Common/stick"),
    "f5-signalr-core-affinity": (
        (("persist {\n        /Common/stick {\n            default yes\n        }\n    }", "persist none"),),
        "ltm virtual /Common/farm",
    ),
    "f5-tls-version": ((("no-sslv3 no-tlsv1 no-tlsv1.1", "no-sslv3"),), "options"),
    "f5-nodes-unverified": ((("peer-cert-mode require", "peer-cert-mode ignore"),), "peer-cert-mode ignore"),
    "f5-no-monitor": ((("    monitor /Common/health\n", ""),), "ltm pool /Common/web"),
    "f5-tcp-monitor": ((("monitor /Common/health", "monitor /Common/tcp"),), "monitor /Common/tcp"),
    "f5-monitor-status": ((('    recv "^HTTP/1.[01] 200"\n', ""),), "ltm monitor https"),
    "f5-monitor-timeout": ((("timeout 16", "timeout 10"),), "timeout 10"),
    "f5-service-down-action": ((("    service-down-action reset\n", ""),), "ltm pool /Common/web"),
    "f5-version": ((("17.1.1", "16.1.2.1"),), "TMSH-VERSION"),
}
"""For each rule, the changes that break it, and a text of the line with the finding."""


def changed(changes: tuple[tuple[str, str], ...]) -> str:
    text = GOOD
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def examined(text: str, path: Path) -> Report:
    path.write_text(text, encoding="utf-8")
    return examine(str(path), read(path, "f5"))


def ids(report: Report) -> set[str]:
    return {finding.rule.id for finding in report.findings}


def test_every_rule_has_a_bad_configuration() -> None:
    assert set(BAD) == set(RULES)


def test_good_configuration_has_no_findings(tmp_path: Path) -> None:
    report = examined(GOOD, tmp_path / "bigip.conf")
    assert [(finding.rule.id, finding.message) for finding in report.findings] == []
    assert report.unread == ()


@pytest.mark.parametrize("rule", RULES)
def test_rule_finds_the_line_of_its_bad_configuration(rule: str, tmp_path: Path) -> None:
    changes, text = BAD[rule]
    report = examined(changed(changes), tmp_path / "bigip.conf")
    assert ids(report) == {rule}
    assert text in report.source_line(report.findings[0])


NOT_FOUND: dict[str, tuple[tuple[tuple[str, str], ...], set[str]]] = {
    "an iRule that is not in the file": (
        (("rules { /Common/headers }", "rules { /Common/other }"),),
        {"f5-forwarded-for", "f5-forged-address"},
    ),
    "a parent that is not in the file": (
        (("defaults-from /Common/clientssl\n", "defaults-from /Common/other\n"), ("options {", "ciphers x\n #")),
        {"f5-tls-version"},
    ),
    "a monitor that is not in the file": (
        (("monitor /Common/health", "monitor /Common/other"),),
        {"f5-tcp-monitor", "f5-monitor-status", "f5-no-monitor"},
    ),
    "a monitor whose parent is not in the file": (
        (
            ("defaults-from /Common/https\n    interval 5\n", "defaults-from /Common/other\n"),
            ('    recv "^HTTP/1.[01] 200"\n', ""),
        ),
        {"f5-monitor-status"},
    ),
    "two monitors of which one reads the answer": (
        (("monitor /Common/health", "monitor /Common/tcp and /Common/health"),),
        {"f5-tcp-monitor", "f5-monitor-status"},
    ),
    "a disabled virtual server": (
        (NO_RULE, ("    pool /Common/web\n    profiles", "    disabled\n    pool /Common/web\n    profiles")),
        set(RULES),
    ),
    "NTLM beside OneConnect": (
        (("/Common/websocket { }", "/Common/websocket { }\n/Common/oneconnect { }\n/Common/ntlm { }"),),
        {"f5-oneconnect-sign-in"},
    ),
    "classic SignalR by an iRule": (
        (
            ("persist {\n        /Common/stick {\n            default yes\n        }\n    }", "persist none"),
            ("HTTP::header replace", 'if { [HTTP::path] starts_with "/SignalR" } { set x 1 }\n HTTP::header replace'),
        ),
        {"f5-signalr-core-affinity"},
    ),
    "classic SignalR by a policy": (
        (
            ("persist {\n        /Common/stick {\n            default yes\n        }\n    }", "policies { paths { } }"),
            (
                "ltm virtual /Common/redirect",
                "ltm policy paths { rules { a { x { 0 { values { /signalr } } } } } }\nltm virtual /Common/redirect",
            ),
        ),
        {"f5-signalr-core-affinity"},
    ),
    "a list of ciphers without TLS 1.0 and 1.1": (
        (("options { dont-insert-empty-fragments no-sslv3 no-tlsv1 no-tlsv1.1 }", "ciphers DEFAULT:!TLSv1:!TLSv1_1"),),
        {"f5-tls-version"},
    ),
    "a header of the http profile": (
        (
            ("        /Common/nodes { context serverside }\n", ""),
            (
                "insert-xforwarded-for disabled",
                'insert-xforwarded-for disabled\n header-insert "X-Forwarded-Proto: https"',
            ),
        ),
        {"f5-forwarded-proto"},
    ),
}


@pytest.mark.parametrize("name", NOT_FOUND)
def test_rule_does_not_report_what_it_cannot_know_or_what_is_right(name: str, tmp_path: Path) -> None:
    changes, not_found = NOT_FOUND[name]
    assert ids(examined(changed(changes), tmp_path / "bigip.conf")) & not_found == set()


def test_profiles_that_are_built_in_have_their_defaults(tmp_path: Path) -> None:
    """The virtual server of a first try: only built-in profiles, monitors and persistence."""
    text = """
ltm pool p { members { a:80 { address 10.0.0.1 } b:80 { address 10.0.0.2 } }
    monitor /Common/http
    service-down-action none
}
ltm virtual v {
    destination 10.1.0.1:443
    fallback-persistence none
    persist { cookie { default yes } }
    pool p
    profiles { clientssl { context clientside } http { } tcp { } serverssl { context serverside } }
    source-address-translation { type automap }
}
"""
    assert ids(examined(text, tmp_path / "bigip.conf")) == {
        *("f5-tls-version", "f5-nodes-unverified", "f5-monitor-status", "f5-service-down-action"),
        *("f5-forwarded-for", "f5-websocket-profile", "f5-cookie-address"),
    }


@pytest.mark.parametrize(
    "version, found",
    [
        ("12.1.6", True),
        ("13.1.4.1", True),
        ("13.1.5", False),
        ("16.0.1", True),
        ("16.1.2.2", False),
        ("17.0.0", False),
        ("21.0.0", False),
        ("16.1", False),
        ("1.2.3.4.5", False),
    ],
)
def test_version_has_the_fix_from_the_first_one_of_its_series(version: str, found: bool, tmp_path: Path) -> None:
    text = f"#TMSH-VERSION: {version}\nsys dns {{ }}\n#TMSH-VERSION: {version}\n"
    assert [one.rule.id for one in examined(text, tmp_path / "bigip.conf").findings] == ["f5-version"] * found


def test_every_scenario_exists() -> None:
    assert {rule.scenario for rule in RULES.values()} - {None} <= set(scenarios())


CHOSEN = {
    ("bridge", "f5-signalr-core-affinity"): "orchestrator.version: 2019.4, and no path of classic SignalR",
    ("redis", "f5-signalr-core-affinity"): "orchestrator.version: 2019.4, and no path of classic SignalR",
    ("legacy", "f5-websocket-profile"): "f5.version: 11.6, which has no such profile",
}
"""What follows from the keys of a golden farm."""
ACCEPTED = {"f5-nodes-unverified": "unverified-nodes", "f5-signalr-core-affinity": "core-affinity"}
"""The id in `accept` for a finding."""


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests/golden_f5").glob("*/bigip.conf")), ids=lambda path: path.parts[-2]
)
def test_findings_about_rendered_configurations_are_those_that_the_spec_accepts(path: Path) -> None:
    accepted = load(path.parent / "farm.yaml").farm.accept
    found = {rule for rule in ids(examine(str(path), read(path))) if ACCEPTED.get(rule) not in accepted}
    assert [rule for rule in found if (path.parent.name, rule) not in CHOSEN] == []


def test_example_has_no_findings_and_is_understood() -> None:
    path = ROOT / "outputs" / "example" / "f5" / "bigip.conf"
    report = examine(str(path), read(path))
    assert (report.findings, report.unread) == ((), ())


def test_a_server_profile_without_its_own_mode_has_the_built_in_one(tmp_path: Path) -> None:
    report = examined(GOOD.replace("    peer-cert-mode require\n", ""), tmp_path / "bigip.conf")
    assert ids(report) == {"f5-nodes-unverified"}
