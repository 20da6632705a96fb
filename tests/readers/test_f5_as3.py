"""AS3 declarations: read into the model of a BIG-IP, judged by its rules, with the locations of the JSON."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlbgen.lint.findings import Report, examine
from nlbgen.lint.formats.text import text
from nlbgen.readers.errors import UnreadableError
from nlbgen.readers.f5.model import Model, model
from nlbgen.readers.f5.reader import read
from nlbgen.readers.load import read as read_file

ROOT = Path(__file__).parents[2]
GOOD: dict[str, Any] = {
    "web": {
        "class": "Service_HTTPS",
        "virtualAddresses": ["192.0.2.10"],
        "pool": "nodes",
        "snat": "auto",
        "serverTLS": "clients",
        "clientTLS": "servers",
        "profileTCP": {"use": "tcp"},
        "profileHTTP": {"use": "http"},
        "profileWebSocket": {"bigip": "/Common/websocket"},
        "iRules": ["headers"],
        "persistenceMethods": [{"use": "sticky"}],
    },
    "nodes": {
        "class": "Pool",
        "members": [{"servicePort": 443, "serverAddresses": ["10.0.0.1", "10.0.0.2"]}],
        "monitors": [{"use": "health"}],
        "serviceDownAction": "reset",
    },
    "health": {"class": "Monitor", "monitorType": "https", "interval": 5, "timeout": 16, "receive": "^HTTP/1.1 200"},
    "clients": {"class": "TLS_Server", "ssl3Enabled": False, "tls1_0Enabled": False, "tls1_1Enabled": False},
    "servers": {"class": "TLS_Client", "validateCertificate": True},
    "tcp": {"class": "TCP_Profile", "idleTimeout": 3600},
    "http": {"class": "HTTP_Profile", "xForwardedFor": False},
    "sticky": {"class": "Persist", "persistenceMethod": "cookie", "cookieName": "NODE"},
    "headers": {
        "class": "iRule",
        "iRule": "when HTTP_REQUEST { HTTP::header replace X-Forwarded-For [IP::client_addr] }",
    },
}
Change = Callable[[dict[str, Any]], object]
BREAKS: dict[str, Change] = {
    "f5-idle-timeout": lambda app: app["tcp"].update(idleTimeout=60),
    "f5-websocket-profile": lambda app: app["web"].pop("profileWebSocket"),
    "f5-oneconnect-sign-in": lambda app: app["web"].update(profileMultiplex={"bigip": "/Common/oneconnect"}),
    "f5-snat": lambda app: app["web"].update(snat="none"),
    "f5-forwarded-for": lambda app: app["web"].pop("iRules"),
    "f5-forged-address": lambda app: (app["web"].pop("iRules"), app["http"].update(xForwardedFor=True)),
    "f5-forwarded-proto": lambda app: app["web"].pop("clientTLS"),
    "f5-cookie-address": lambda app: app["web"].pop("persistenceMethods"),
    "f5-signalr-core-affinity": lambda app: app["web"].update(persistenceMethods=[]),
    "f5-tls-version": lambda app: app["clients"].pop("tls1_1Enabled"),
    "f5-nodes-unverified": lambda app: app["servers"].pop("validateCertificate"),
    "f5-no-monitor": lambda app: app["nodes"].pop("monitors"),
    "f5-tcp-monitor": lambda app: app["nodes"].update(monitors=["tcp"]),
    "f5-monitor-status": lambda app: app["health"].pop("receive"),
    "f5-monitor-timeout": lambda app: app["health"].update(timeout=10),
    "f5-service-down-action": lambda app: app["nodes"].pop("serviceDownAction"),
}
"""The rules that a declaration can break, each with a change that does. AS3 has no keys for the cookie's attributes."""


def declaration(app: dict[str, Any]) -> str:
    inner = {"class": "Application", "template": "generic", **app}
    return json.dumps({"class": "ADC", "schemaVersion": "3.45.0", "t": {"class": "Tenant", "a": inner}}, indent=1)


def changed(change: Change) -> dict[str, Any]:
    app = copy.deepcopy(GOOD)
    change(app)
    return app


def examined(content: str) -> Report:
    return examine("as3.json", read(Path("as3.json"), content.encode()))


def model_of(app: dict[str, Any]) -> Model:
    return model(read(Path("as3.json"), declaration(app).encode()))


def ids(report: Report) -> list[str]:
    return sorted({finding.rule.id for finding in report.findings})


def test_a_declaration_without_faults_has_no_findings() -> None:
    report = examined(declaration(GOOD))
    assert (ids(report), report.unread) == ([], ())


@pytest.mark.parametrize("rule", BREAKS)
def test_each_rule_judges_a_declaration(rule: str) -> None:
    assert ids(examined(declaration(changed(BREAKS[rule])))) == [rule]


def test_nlbgens_own_declaration_has_no_findings() -> None:
    configuration = read_file(ROOT / "outputs" / "example" / "f5" / "as3.json")
    report = examine("as3.json", configuration)
    assert (configuration.vendor, report.findings, report.unread) == ("f5", (), ())


def test_a_finding_has_the_line_and_column_of_the_value() -> None:
    content = declaration(changed(BREAKS["f5-idle-timeout"]))
    (finding,) = examined(content).findings
    line = content.split("\n")[finding.location.line - 1]
    assert line[finding.location.column - 1 :] == "60"
    assert f"as3.json:{finding.location.line}:{finding.location.column}: warning: " in text([examined(content)])


def test_a_request_of_the_class_as3_holds_the_declaration() -> None:
    inner = json.loads(declaration(changed(BREAKS["f5-no-monitor"])))
    assert ids(examined(json.dumps({"class": "AS3", "declaration": inner}))) == ["f5-no-monitor"]


def test_members_have_addresses_ports_states_ratios_and_groups() -> None:
    members = [
        {"servicePort": 443, "serverAddresses": ["10.0.0.1", "2001:db8::1"], "ratio": 3, "priorityGroup": 2},
        {"servicePort": 80, "serverAddresses": ["10.0.0.3"], "adminState": "offline"},
        {"servicePort": 80, "serverAddresses": ["10.0.0.4"], "enable": False},
        {"servicePort": 80, "addressDiscovery": "fqdn", "hostname": "node.example"},
    ]
    pool = model_of({"p": {"class": "Pool", "members": members}}).pools["/t/a/p"]
    assert [(one.address, one.endpoint.port, one.enabled, one.ratio, one.priority) for one in pool.members] == [
        ("10.0.0.1", 443, True, 3, 2),
        ("2001:db8::1", 443, True, 3, 2),
        ("10.0.0.3", 80, False, 1, 0),
        ("10.0.0.4", 80, False, 1, 0),
        ("", 80, True, 1, 0),
    ]


def test_clone_pools_are_not_the_pools_of_a_service() -> None:
    app = changed(lambda app: app["web"].update(clonePools={"ingress": {"use": "copy"}}))
    app["copy"] = {"class": "Pool", "members": [{"servicePort": 80, "serverAddresses": ["10.9.9.1", "10.9.9.2"]}]}
    virtual, *_ = model_of(app).virtuals
    assert virtual.pools == ("/t/a/nodes",)
    assert ids(examined(declaration(app))) == []


def test_a_policy_forwards_to_pools() -> None:
    app = changed(lambda app: app["web"].update(policyEndpoint="paths"))
    forward = {"type": "forward", "select": {"pool": {"use": "/t/a/hubs"}}}
    path = {"type": "httpUri", "path": {"values": ["/signalr"]}}
    app["paths"] = {
        "class": "Endpoint_Policy",
        "rules": [{"name": "live", "actions": [{"type": "drop"}, forward], "conditions": [path]}],
    }
    app["hubs"] = {"class": "Pool", "members": [{"servicePort": 80, "serverAddresses": ["10.0.0.1", "10.0.0.2"]}]}
    virtual, *_ = model_of(app).virtuals
    assert virtual.pools == ("/t/a/nodes", "/t/a/hubs")
    assert "f5-no-monitor" in ids(examined(declaration(app)))
    app["web"]["persistenceMethods"] = []
    assert "f5-signalr-core-affinity" not in ids(examined(declaration(app))), "the policy has classic SignalR's path"


@pytest.mark.parametrize(
    ("service", "port", "profiles", "persistence"),
    [
        ({"class": "Service_HTTP"}, 80, ["ltm profile tcp", "ltm profile http"], ("/Common/cookie",)),
        ({"class": "Service_HTTPS", "virtualPort": 8443}, 8443, None, ("/Common/cookie",)),
        ({"class": "Service_TCP", "virtualPort": 443}, 443, ["ltm profile tcp"], ("/Common/source_addr",)),
        ({"class": "Service_L4", "virtualPort": 80}, 80, ["ltm profile fastl4"], ("/Common/source_addr",)),
        ({"class": "Service_L4", "virtualPort": 80, "profileL4": "basic"}, 80, ["ltm profile fastl4"], None),
        (
            {"class": "Service_HTTP", "profileTCP": {"ingress": "wan", "egress": "lan"}},
            80,
            ["ltm profile tcp"] * 2,
            None,
        ),
        ({"class": "Service_HTTP", "persistenceMethods": ["tls-session-id"]}, 80, None, ("/Common/ssl",)),
        ({"class": "Service_HTTP", "profileMultiplex": "basic"}, 80, None, None),
    ],
)
def test_services_have_the_defaults_of_as3(
    service: dict[str, Any], port: int, profiles: list[str] | None, persistence: tuple[str, ...] | None
) -> None:
    virtual, *_ = model_of({"s": {"virtualAddresses": [["2001:db8::5", "0.0.0.0/0"]], **service}}).virtuals
    assert (virtual.destination.host, virtual.destination.port, virtual.snat) == ("2001:db8::5", port, "automap")
    if profiles is not None:
        assert [one.kind for one in virtual.profiles][: len(profiles)] == profiles
    if persistence is not None:
        assert virtual.persistence == persistence
    assert bool(virtual.of_kind("one-connect")) == ("profileMultiplex" in service)


def test_a_service_that_is_disabled_or_has_a_snat_pool() -> None:
    app = {"s": {"class": "Service_HTTP", "enable": False, "snat": {"use": "addresses"}}}
    virtual, *_ = model_of(app).virtuals
    assert (virtual.enabled, virtual.snat, virtual.destination.host) == (False, "snat", "0.0.0.0")


@pytest.mark.parametrize(
    ("code", "known"),
    [
        ("set a b", True),
        ({"base64": "c2V0IGEgYg=="}, True),
        ({"base64": "%"}, False),
        ({"url": "https://x.example/r"}, False),
        (None, False),
    ],
)
def test_code_that_is_elsewhere_is_not_known(code: object, known: bool) -> None:
    assert dict(model_of({"r": {"class": "iRule", "iRule": code}}).rules) == ({"/t/a/r": "set a b"} if known else {})


def test_an_irule_without_code_is_not_known() -> None:
    assert model_of({"r": {"class": "iRule"}}).rules == {}


def test_several_monitors_of_a_pool() -> None:
    pool = {"class": "Pool", "monitors": ["icmp", {"use": "m"}, {"bigip": "/Common/https_443"}, {}]}
    assert model_of({"p": pool}).pools["/t/a/p"].monitors == ("/Common/gateway_icmp", "/t/a/m", "/Common/https_443")


def test_headers_that_an_http_profile_writes() -> None:
    app = changed(lambda app: app["web"].pop("clientTLS"))
    app["http"]["insertHeader"] = {"name": "X-Forwarded-Proto", "value": "https"}
    assert ids(examined(declaration(app))) == []


def test_what_no_rule_knows_is_listed() -> None:
    app = changed(lambda app: app["nodes"].update(reselectTries=3))
    app["x"] = {"class": "GSLB_Domain"}
    app["y"] = {"a": 1}
    app["z"] = {"class": "Certificate", "certificate": "x"}
    reasons = [one.reason for one in examined(declaration(app)).unread]
    assert reasons == [
        "AS3: no rule knows reselectTries of Pool",
        "AS3: the class GSLB_Domain of `x`: no rule knows it",
        "AS3: `y` has no class: no rule knows it",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"class": "Device"}', "x:1:1: the JSON is not a declaration of AS3"),
        ('{"class": "AS3"}', "x:1:1: the JSON is not a declaration of AS3"),
        ("[1, 2]", "x:1:1: the JSON is not a declaration of AS3"),
        ('{"a": }', "x:1:7: invalid JSON: a value is expected here"),
        ('{"a" 1}', "x:1:6: invalid JSON: a colon is expected here"),
        ("{a: 1}", "x:1:2: invalid JSON: a key in double quotes is expected here"),
        ('{"a": 1\n "b": 2}', "x:2:2: invalid JSON: a comma or } is expected here"),
        ('{"a": [1', "x:1:9: invalid JSON: a comma or ] is expected here"),
        ('{"a": "\\x"}', "x:1:7: invalid JSON: a valid value is expected here"),
        ('{} "x"', "x:1:4: invalid JSON: the end of the file is expected here"),
        ("[" * 100, "more than 64 objects and arrays are nested here"),
    ],
)
def test_faults_are_placed(content: str, message: str) -> None:
    with pytest.raises(UnreadableError, match=r"^") as raised:
        read(Path("x"), content.encode())
    assert message in str(raised.value)


def test_secrets_in_the_line_of_a_finding_are_masked() -> None:
    app = changed(BREAKS["f5-monitor-timeout"])
    app["health"]["passphrase"] = {"ciphertext": "c2VjcmV0", "protected": 'eyJ"x'}
    report = examined(json.dumps(json.loads(declaration(app))))
    (finding,) = report.findings
    line = report.source_line(finding)
    assert '"ciphertext": ***, "protected": ***}' in line
    assert "c2VjcmV0" not in line + text([report])
    assert "eyJ" not in line + text([report])
