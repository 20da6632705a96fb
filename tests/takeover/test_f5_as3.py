"""A declaration of AS3 becomes a spec: nlbgen's own one renders again, and a foreign one has a result for each key."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from nlbgen.generators.base import generator, render
from nlbgen.readers.f5 import reader
from nlbgen.spec.load import Spec, load, loads
from nlbgen.takeover.account import Line
from nlbgen.takeover.draft import Result
from nlbgen.takeover.f5 import importer
from tests.generators.test_properties import as_yaml

if TYPE_CHECKING:
    from nlbgen.takeover.values import Plain

ROOT = Path(__file__).parents[2]
OWN = [ROOT / "examples/farm.yaml", *sorted((ROOT / "tests/golden_f5").glob("*/farm.yaml"))]
OUTSIDE = ("stores", "accept", "orchestrator")
"""What a declaration does not have."""


def declared(spec: Spec) -> str:
    files = render(generator("f5"), spec)
    return next(one.content for one in files if str(one.path) == "as3.json").decode("utf-8")


def taken(text: str, **more: "Plain") -> Result:
    draft = importer.take(reader.read(Path("as3.json"), text.encode()), "as3.json")
    given: dict[str, Plain] = {"farm": "farm", "stores.signalr": "redis", "stores.redis.host": "r.example"}
    given |= {"stores.redis.port": 6379, **more}
    if "frontend.host" not in draft.values:
        given.setdefault("frontend.host", "orchestrator.corp.example")
    return draft.finish(given, "as3.json", "farm.yaml")


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.parent.name)
def test_nlbgens_own_declaration_renders_again(path: Path) -> None:
    spec = load(path)
    data = spec.document.data
    result = taken(
        declared(spec),
        **{"farm": spec.farm.farm, "frontend.host": spec.farm.frontend.host, "f5.version": str(spec.farm.f5.version)},
    )
    again = yaml.safe_load(result.content) | {key: data[key] for key in OUTSIDE if key in data}
    assert declared(loads(as_yaml(again))) == declared(spec)
    assert [line.text for line in result.lines if line.fate == "not understood"] == []


POLICY = {
    "class": "Endpoint_Policy",
    "rules": [
        {
            "name": "live",
            "conditions": [{"type": "httpUri", "path": {"operand": "starts-with", "values": ["/signalr", "/hubs"]}}],
            "actions": [{"type": "forward", "event": "request", "select": {"pool": {"use": "live"}}}],
        },
        {
            "name": "names",
            "conditions": [
                {"type": "httpHost", "host": {"operand": "equals", "values": ["o.corp.example"]}},
                {"type": "httpHost", "host": {"operand": "does-not-equal", "values": ["not.corp.example"]}},
                {"type": "httpHost", "port": {"operand": "equals", "values": [8443]}},
            ],
            "actions": [{"type": "forward", "event": "request", "select": {"pool": {"use": "web"}}}],
        },
    ],
}
APPLICATION: dict[str, Any] = {
    "class": "Application",
    "farm": {
        "class": "Service_HTTPS",
        "virtualAddresses": ["192.0.2.11", "192.0.2.12"],
        "virtualPort": 8443,
        "pool": "web",
        "serverTLS": "clients",
        "clientTLS": {"bigip": "/Common/serverssl"},
        "policyEndpoint": "choice",
        "persistenceMethods": [{"use": "sticky"}],
        "profileTCP": {"ingress": {"bigip": "/Common/f5-tcp-wan"}, "egress": {"use": "lan"}},
        "maxConnections": 5000,
        "allowVlans": [{"bigip": "/Common/outside"}],
        "strangeKey": {"inner": [{"deep": 1}]},
        "enable": True,
    },
    "lan": {"class": "TCP_Profile", "idleTimeout": 200},
    "sticky": {"class": "Persist", "persistenceMethod": "source-address", "duration": 600},
    "choice": POLICY,
    "web": {
        "class": "Pool",
        "loadBalancingMode": "ratio-member",
        "monitors": [{"use": "check"}],
        "members": [
            {"servicePort": 443, "serverAddresses": ["192.0.2.21"], "ratio": 2, "priorityGroup": 5},
            {"servicePort": 443, "serverAddresses": ["192.0.2.22"], "adminState": "offline", "priorityGroup": 5},
            {"servicePort": 443, "serverAddresses": ["192.0.2.23"], "adminState": "disable", "priorityGroup": 5},
            {"servicePort": 443, "addressDiscovery": "fqdn", "hostname": "n.corp.example", "autoPopulate": True},
        ],
    },
    "live": {"class": "Pool", "members": [{"servicePort": 443, "serverAddresses": ["192.0.2.21"]}]},
    "check": {
        "class": "Monitor",
        "monitorType": "https",
        "interval": 7,
        "timeout": 22,
        "send": "GET /api/status HTTP/1.1\r\nHost: o.corp.example\r\n\r\n",
        "receive": "HTTP/1.1 200",
        "passphrase": {"ciphertext": "aHVudGVyMg==", "protected": "c2VjcmV0"},
    },
    "clients": {"class": "TLS_Server", "certificates": [{"certificate": "site"}, {"certificate": "more"}]},
    "site": {
        "class": "Certificate",
        "certificate": {"bigip": "/Common/o.crt"},
        "privateKey": {"bigip": "/Common/o.key"},
    },
    "more": {"class": "Certificate", "certificate": "PEM", "privateKey": "hunter2"},
    "shield": {"class": "WAF_Policy", "url": "https://x.example"},
}


def text_of(**changes: dict[str, Any]) -> str:
    application = APPLICATION | changes
    tenant = {"class": "Tenant", "label": "corp", "orch": application}
    declaration = {"class": "ADC", "schemaVersion": "3.45.0", "corp": tenant, "controls": {"class": "Controls"}}
    return json.dumps({"class": "AS3", "action": "deploy", "declaration": declaration}, indent=1)


def line(result: Result, beginning: str) -> Line:
    return next(one for one in result.lines if one.text.startswith(beginning))


def test_the_values_of_a_foreign_declaration_are_taken() -> None:
    farm = taken(text_of()).spec.farm
    frontend, balancer = farm.frontend, farm.balancer
    assert (frontend.host, frontend.aliases, frontend.address, frontend.port) == (
        "o.corp.example",
        (),
        "192.0.2.11",
        8443,
    )
    assert (frontend.tls.mode, frontend.redirect_http) == ("bridge", True)
    assert [(one.address, str(one.state)) for one in farm.nodes] == [
        ("192.0.2.21", "up"),
        ("192.0.2.22", "down"),
        ("192.0.2.23", "drain"),
        ("n.corp.example", "backup"),
    ]
    assert [one.weight for one in farm.nodes] == [2, 1, 1, 1]
    assert (balancer.affinity, balancer.signalr.paths) == ("source", ("/signalr", "/hubs"))
    assert str(balancer.signalr.idle_timeout) == "200s"
    assert (balancer.health.path, str(balancer.health.interval), balancer.health.fall) == ("/api/status", "7s", 3)
    assert (balancer.limits.connections, str(balancer.slow_start)) == (5000, "10s")
    assert (farm.f5.certificate, farm.f5.key) == ("/Common/o.crt", "/Common/o.key")
    assert any(file.main for file in render(generator("f5"), taken(text_of()).spec))


@pytest.mark.parametrize(
    ("beginning", "fate"),
    [
        ("as3 ADC", "implied"),
        ("as3 Tenant", "implied"),
        ("as3 Controls", "given up"),
        ("as3 WAF_Policy", "given up"),
        ("virtualAddresses 192.0.2.12", "given up"),
        ("virtualPort", "taken"),
        ("servicePort", "taken"),
        ("allowVlans", "given up"),
        ("strangeKey", "not understood"),
        ("inner", "not understood"),
        ("deep", "not understood"),
        ("certificate more", "given up"),
        ("autoPopulate", "given up"),
        ("enable true", "implied"),
        ("values 8443", "not understood"),
        ("passphrase", "given up"),
        ("/corp/orch/choice", "implied"),
    ],
)
def test_each_key_of_a_declaration_has_a_result(beginning: str, fate: str) -> None:
    assert line(taken(text_of()), beginning).fate == fate


def test_each_key_of_the_farms_objects_is_listed_on_its_line() -> None:
    text = text_of()
    result = taken(text)
    lines = {one.location.line for one in result.lines}
    for number, row in enumerate(text.split("\n"), 1):
        key = row.strip().partition('"')[2].partition('"')[0]
        if key in {"virtualPort", "maxConnections", "strangeKey", "idleTimeout", "duration", "interval", "hostname"}:
            assert number in lines, row
    places = [one.location for one in result.lines]
    assert places == sorted(set(places))


def test_no_secret_of_a_declaration_is_listed() -> None:
    shown = " ".join(f"{one.text} {one.detail}" for one in taken(text_of()).lines)
    for secret in ("hunter2", "aHVudGVyMg", "c2VjcmV0"):
        assert secret not in shown


def test_a_service_that_is_disabled_or_does_not_redirect() -> None:
    service = APPLICATION["farm"] | {"enable": False, "redirect80": False}
    result = taken(text_of(farm=service))
    assert line(result, "enable false").fate == "given up"
    assert line(result, "redirect80 false").fate == "implied"
    assert result.spec.farm.frontend.redirect_http is False


def test_the_lines_of_an_irule_have_their_columns() -> None:
    rule = {"class": "iRule", "iRule": 'when HTTP_REQUEST {\n  log local0. "x"\n  HTTP::header insert X-Team a\n}'}
    text = text_of(rule=rule, farm=APPLICATION["farm"] | {"iRules": ["rule"]})
    found = line(taken(text), "HTTP::header insert")
    row = text.split("\n")[found.location.line - 1]
    assert row[found.location.column - 1 :].startswith("HTTP::header insert X-Team a")
