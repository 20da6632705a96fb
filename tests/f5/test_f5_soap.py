"""`nlbgen push f5` with `api: soap`: without the defects of bigsuds, and with messages about its limits."""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen.core.errors import DeviceError, NlbgenError, UnsupportedError, UsageError
from nlbgen.spec.load import Spec

if TYPE_CHECKING:
    from tests.f5.bigip import BigIp, Json
    from tests.f5.conftest import Console, Make, Pushed, Renewals, SpecValue
    from tests.f5.soap import Portal

pytest.importorskip("bigsuds")
# urllib leaves the socket of a handshake that fails to the garbage collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("f5_soap"),  # a process parses each WSDL once
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(name="portal", autouse=True)
def _portal(device: "BigIp", soap_module: ModuleType, kept_descriptions: None) -> "Portal":
    device.renew(version="11.6.0")
    portal: Portal = soap_module.Portal()
    device.portal = portal
    return portal


@pytest.fixture
def spec(make: "Make") -> "Make":
    def made(**changes: "SpecValue") -> Spec:
        return make(f5={"api": "soap", **changes.pop("f5", {})}, **changes)

    return made


FARMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "terminate": {"frontend": {"tls": {"mode": "terminate"}}, "accept": ["tls-terminate-redirect"]},
    "passthrough": {"frontend": {"tls": {"mode": "passthrough", "verify_nodes": False}}},
    "http": {"frontend": {"tls": {"mode": "none"}}},
    "unverified": {"frontend": {"tls": {"verify_nodes": False}}},
    "cookie": {"balancer": {"affinity": "cookie"}},
    "source": {"balancer": {"algorithm": "source"}, "accept": ["f5-soap-carp"]},
    "signalr": {
        "balancer": {"affinity": "signalr", "signalr": {"paths": ["/signalr", "/x"]}},
        "accept": ["f5-soap-policy"],
    },
    "states": {
        "nodes": [
            {"name": "a", "address": "10.0.0.1", "weight": 200},
            {"name": "b", "address": "2001:db8::2", "state": "drain"},
            {"name": "c", "address": "10.0.0.3", "state": "down"},
            {"name": "d", "address": "10.0.0.4", "state": "backup"},
        ]
    },
    "ipv6": {"frontend": {"address": "2001:db8::10", "port": 8443}},
    "wildcard": {"frontend": {"address": "*"}},
    "partition": {"f5": {"partition": "UiPath"}},
    "redis": {
        "stores": {
            "signalr": "redis",
            "redis": {
                "password": {"env": "R"},
                "sentinel": {
                    "nodes": [
                        {"name": "redis-1", "address": "10.0.9.1"},
                        {"name": "redis-2", "address": "2001:db8::92"},
                        {"name": "witness", "address": "10.20.0.11", "port": 6380},
                    ]
                },
            },
        },
        "accept": ["f5-redis-votes"],
    },
    "services": {"balancer": {"health": {"paths": ["/api/health", "/identity/health", "/webhooks/api/status"]}}},
}


@pytest.mark.no_cover  # other tests reach the same lines
@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("farm", FARMS)
def test_push_by_soap_of_an_unchanged_farm_sends_no_write(
    spec: "Make", pushed: "Pushed", device: "BigIp", portal: "Portal", farm: str
) -> None:
    assert pushed(spec(**FARMS[farm])).outcome == "applied"
    assert device.saved == device.objects
    portal.calls.clear()
    assert pushed(spec(**FARMS[farm])).outcome == "unchanged"
    assert portal.writes() == []
    assert portal.submitted == 1


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("farm", ["plain", "cookie", "states", "ipv6", "partition", "services"])
@pytest.mark.no_cover  # other tests reach the same lines
def test_push_by_rest_after_a_push_by_soap_finds_no_difference(
    spec: "Make", make: "Make", pushed: "Pushed", farm: str
) -> None:
    pushed(spec(**FARMS[farm]))
    report = pushed(make(**FARMS[farm]), dry_run=True)
    # SOAP's old way names no entry of the chain, and keeps the TLS versions of F5's own profile towards the nodes.
    known = (": cert-key-chain", "_nodes: options")
    assert all(any(part in change.path for part in known) for change in report.plan.changes), report.plan.text()


def pairs() -> list[tuple[str, str]]:
    """Each farm once as the old one and once as the new one; REST, which is faster, tries many more pairs."""
    names = [name for name in FARMS if name != "partition"]
    return list(zip(names, [*names[1:], names[0]], strict=True))


@pytest.mark.no_cover  # other tests reach the same lines
@pytest.mark.usefixtures("near")
@pytest.mark.parametrize(
    "old, new",
    # Those whose objects differ most in `make test`.
    [
        pytest.param(old, new, marks=[] if old in {"http", "signalr", "states"} else [pytest.mark.long])
        for old, new in pairs()
    ],
)
def test_push_by_soap_of_one_farm_over_another_leaves_only_the_new_objects(
    spec: "Make", pushed: "Pushed", device: "BigIp", portal: "Portal", old: str, new: str
) -> None:
    pushed(spec(**FARMS[old]))
    assert pushed(spec(**FARMS[new]), force=True, prune=True).outcome in {"applied", "unchanged"}
    changed = device.own()
    device.renew(version="11.6.0")
    device.portal = portal
    pushed(spec(**FARMS[new]))
    assert set(changed) == set(device.own())


@pytest.mark.usefixtures("near")
@pytest.mark.no_cover  # other tests reach the same lines
def test_push_by_soap_adds_removes_and_drains_members(spec: "Make", pushed: "Pushed", device: "BigIp") -> None:
    pushed(spec())
    nodes = [
        {"name": "orch-1", "address": "10.20.0.11", "state": "drain"},
        {"name": "orch-2", "address": "10.20.0.99"},
        {"name": "orch-3", "address": "10.20.0.13"},
    ]
    assert pushed(spec(nodes=nodes)).outcome == "applied"
    assert device.objects["ltm node", "/Common/orch-2"]["address"] == "10.20.0.99"
    assert pushed(spec(nodes=nodes)).outcome == "unchanged"
    pushed(spec(), prune=True, force=True)
    assert ("ltm node", "/Common/orch-3") not in device.objects


DRIFT: list[tuple[str, str, dict[str, Any], str]] = [
    ("ltm pool", "web", {"slowRampTime": 99}, "slow-ramp-time: 99 -> 0"),
    ("ltm monitor https", "health_https", {"interval": 3}, "interval: 3 -> 2"),
    ("ltm profile client-ssl", "clients", {"tmOptions": ["no-sslv3"]}, "options: no-sslv3 -> "),
    ("ltm profile server-ssl", "nodes", {"peerCertMode": "ignore"}, "peer-cert-mode: ignore -> require"),
    ("ltm profile http", "http", {"insertXforwardedFor": "enabled"}, "insert-xforwarded-for: enabled -> disabled"),
    ("ltm profile tcp", "tcp", {"idleTimeout": "300"}, "idle-timeout: 300 -> 3600"),
    (
        "ltm rule",
        "request_rule",
        {"apiAnonymous": "# nlbgen:orchestrator-test\nwhen HTTP_REQUEST { }"},
        "definition",
    ),
    ("ltm virtual", "main", {"rules": []}, "rules: none -> /Common/orchestrator-test_request_rule"),
]
"""A change by hand in each kind of object, and how the plan names it."""


@pytest.mark.usefixtures("near")
@pytest.mark.no_cover  # other tests reach the same lines
def test_push_by_soap_to_a_device_with_drift_names_and_corrects_it(
    spec: "Make", pushed: "Pushed", device: "BigIp", console: "Console"
) -> None:
    pushed(spec())
    before = device.own()
    for kind, name, change, _ in DRIFT:
        device.objects[kind, f"/Common/orchestrator-test_{name}"].update(change)
    assert pushed(spec(), dry_run=True).outcome == "planned"
    plan = console.plans[-1]
    assert [shown for *_, shown in DRIFT if shown not in plan.text()] == []
    assert len(plan) == len(DRIFT)
    assert pushed(spec()).outcome == "applied"
    assert device.own() == before


def test_push_by_soap_sees_objects_of_other_partitions(spec: "Make", pushed: "Pushed", device: "BigIp") -> None:
    device.add("auth partition", "Other")
    device.add("ltm node", "/Other/web1", address="10.20.0.12")
    with pytest.raises(DeviceError, match=r"the address 10.20.0.12 belongs to the node /Other/web1"):
        pushed(spec())


def test_push_by_soap_of_signalr_paths_creates_an_irule(spec: "Make", pushed: "Pushed", device: "BigIp") -> None:
    pushed(spec(**FARMS["signalr"]))
    text = device.objects["ltm rule", "/Common/orchestrator-test_signalr_rule"]["apiAnonymous"]
    assert text.split("\n") == [
        "# nlbgen:orchestrator-test",
        "when HTTP_REQUEST {",
        "    switch -glob [string tolower [HTTP::path]] {",
        '        "/signalr*" -',
        '        "/x*" {',
        "            pool /Common/orchestrator-test_signalr",
        "            persist cookie insert NLBID",
        "        }",
        "        default {",
        "            pool /Common/orchestrator-test_web",
        "            persist none",
        "        }",
        "    }",
        "}",
    ]
    rules = device.objects["ltm virtual", "/Common/orchestrator-test_main"]["rules"]
    assert rules == [f"/Common/orchestrator-test_{name}_rule" for name in ("request", "signalr", "unchecked")]


# Certificates, snapshots, groups.


@pytest.mark.no_cover  # other tests reach the same lines
def test_push_by_soap_of_a_renewed_certificate_keeps_the_one_before_and_removes_older_ones(
    spec: "Make", pushed: "Pushed", device: "BigIp", renewals: "Renewals"
) -> None:
    pushed(spec())
    first = device.files()
    assert all(re.fullmatch(r"/Common/orchestrator-test_[0-9a-f]{16}\.(crt|key)", path) for path in first)
    assert pushed(spec(**renewals[0])).outcome == "applied"
    second = device.files()
    assert first < second
    report = pushed(spec(**renewals[1]))
    third = device.files()
    assert len(third) == len(second) and len(third & first) == 1 and second - first < third
    assert pushed(spec(**renewals[1])).outcome == "unchanged"
    assert pushed(spec(**renewals[1]), restore=report.snapshot).outcome == "applied"
    assert pushed(spec(**renewals[0])).outcome == "unchanged"


@pytest.mark.no_cover  # other tests reach the same lines
def test_restore_by_soap_of_a_snapshot_restores_the_former_objects(
    spec: "Make", make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    pushed(spec())
    before = device.own()
    changed = spec(balancer={"affinity": "cookie", "slow_start": "7s"})
    report = pushed(changed)
    assert set(device.own()) != set(before)
    assert pushed(changed, restore=report.snapshot).outcome == "applied"
    assert set(device.own()) == set(before)
    assert pushed(spec()).outcome == "unchanged"
    with pytest.raises(UsageError, match=r"was made with f5.api: soap"):
        pushed(make(), restore=report.snapshot)


@pytest.mark.no_cover  # other tests reach the same lines
def test_push_by_soap_synchronises_refuses_a_standby_unit_and_refuses_validate(
    spec: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    pushed(spec(), sync="pair")
    assert device.synced == ["pair"]
    with pytest.raises(DeviceError, match=r"Device group \(none\) not found"):
        pushed(spec(balancer={"slow_start": "8s"}), sync="none")
    device.failover = "standby"
    with pytest.raises(DeviceError, match="this unit is standby"):
        pushed(spec(balancer={"slow_start": "9s"}))
    with pytest.raises(UsageError, match=r"--validate needs f5.api: rest") as caught:
        pushed(spec(), validate=True)
    assert "when it is submitted" in str(caught.value.hint)


def test_push_by_soap_whose_transaction_is_refused_names_the_object(
    spec: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    def meanwhile(_method: str, _path: str, body: bytes) -> None:
        if b"start_transaction" in body and ("ltm virtual", "/Common/taken") not in device.objects:
            device.add("ltm virtual", "/Common/taken", destination="/Common/10.20.0.10:443", ipProtocol="tcp")

    files = device.files()
    device.hook = meanwhile
    with pytest.raises(DeviceError, match=r"refused to create ltm virtual /Common/orchestrator-test_main: 01070333"):
        pushed(spec())
    assert {key[1] for key in device.own()} == {"/Common/taken"}
    assert device.files() == files


# Limits.


@pytest.mark.parametrize(
    "version, changes, problem",
    [
        ("16.1.2", {}, "f5-soap-websocket"),
        ("16.1.2", {}, "f5-soap-monitor-sni"),
        ("16.1.2", {"frontend": {"tls": {"profile": "modern"}}}, "f5-soap-cipher-group"),
        ("11.6.0", {"balancer": {"affinity": "signalr"}}, "f5-soap-policy"),
        ("11.6.0", {"balancer": {"affinity": "source"}}, "f5-soap-carp"),
        (
            "16.1.2",
            {"frontend": {"tls": {"mode": "none"}, "redirect_http": False}, "balancer": {"affinity": "cookie"}},
            "f5-soap-cookie",
        ),
        ("11.6.0", {"nodes": [{"name": "a", "address": "a.corp.example"}], "accept": ["one-node"]}, "f5-soap-fqdn"),
    ],
)
def test_push_by_soap_of_a_feature_without_an_interface_is_refused_with_its_id(
    spec: "Make", pushed: "Pushed", device: "BigIp", portal: "Portal", version: str, changes: "Json", problem: str
) -> None:
    device.version = version
    with pytest.raises(UnsupportedError, match=problem):
        pushed(spec(**changes))
    assert portal.submitted == 0


def test_push_by_soap_with_an_accepted_limit_is_applied(
    spec: "Make", pushed: "Pushed", device: "BigIp", portal: "Portal"
) -> None:
    device.renew(version="16.1.2")
    device.portal = portal
    accepted = spec(accept=["f5-soap-websocket", "f5-soap-monitor-sni"])
    assert pushed(accepted).outcome == "applied"
    assert pushed(accepted).outcome == "unchanged"


# The descriptions.


@pytest.mark.no_cover  # other tests reach the same lines
@pytest.mark.parametrize("farm", ["plain", "states"])
def test_push_by_soap_with_the_recorded_wsdl_is_applied(
    spec: "Make", pushed: "Pushed", portal: "Portal", soap_module: ModuleType, farm: str
) -> None:
    if not soap_module.RECORDED.exists():
        pytest.skip("the recorded WSDLs are not at hand")
    portal.recorded = True
    assert pushed(spec(**FARMS[farm])).outcome == "applied"
    assert pushed(spec(**FARMS[farm])).outcome == "unchanged"


def test_simulator_wsdl_has_the_recorded_signatures(soap_module: ModuleType) -> None:
    if not soap_module.RECORDED.exists():
        pytest.skip("the recorded WSDLs are not at hand")
    wsdl, seen = sys.modules["f5_wsdl"], 0
    for path in soap_module.RECORDED.glob("*.wsdl"):
        recorded = {
            str(message.get("name")): [
                (part.get("name"), str(part.get("type")).removeprefix("tns:")) for part in message
            ]
            for message in ET.parse(path).iter("{http://schemas.xmlsoap.org/wsdl/}message")
        }
        for method in wsdl.methods(path.stem):
            assert recorded[f"{path.stem}.{method.name}Request"] == list(method.arguments)
            answer = [("return", method.answer)] if method.answer else []
            assert recorded[f"{path.stem}.{method.name}Response"] == answer
            seen += 1
    assert seen > 50


# The traps of bigsuds.


def test_push_by_soap_to_a_device_with_an_untrusted_certificate_is_refused(
    spec: "Make", pushed: "Pushed", device: "BigIp", site: Path
) -> None:
    with pytest.raises(DeviceError, match="certificate is not trusted"):
        pushed(spec(f5={"ca": str(site / "ca.pem")}))
    assert device.log == []


def test_push_by_soap_uses_a_session_of_its_own_with_port_and_verification(
    spec: "Make", pushed: "Pushed", portal: "Portal"
) -> None:
    pushed(spec())
    own = {name for name, session in portal.sessions.items() if session.recursive}
    assert len(own) == 1 and not own.pop().startswith("user:")
    assert all(session.queue is None for session in portal.sessions.values())


def test_push_by_soap_sends_one_request_for_each_call(
    spec: "Make", pushed: "Pushed", device: "BigIp", portal: "Portal"
) -> None:
    report = pushed(spec(), dry_run=True)
    posts = [entry for entry in device.log if entry[0] == "POST"]
    assert len(posts) == len(portal.calls)
    assert all(status != 401 for *_, status in device.log)
    assert report.requests == len(device.log)


def test_push_by_soap_with_a_wrong_password_fails_without_printing_it(
    spec: "Make", pushed: "Pushed", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLBGEN_F5_TEST", "hunter2-wrong")
    with pytest.raises(DeviceError, match="the login was refused") as caught:
        pushed(spec())
    assert "hunter2" not in f"{caught.value!r}{caught.value.__context__!r}"


@pytest.mark.parametrize("action", ["restarting", "reset", "hang", "garbage"])
def test_push_by_soap_with_any_exception_of_bigsuds_raises_a_device_error(
    bigip: ModuleType, spec: "Make", pushed: "Pushed", device: "BigIp", action: str
) -> None:
    device.faults = [bigip.Fault(action, number, times=1) for number in range(3, 12)]
    with pytest.raises(DeviceError, match=r"^127.0.0.1:\d+: "):
        pushed(spec(f5={"timeout": "400ms"}))


def test_push_by_soap_ignores_proxies_of_the_environment(
    spec: "Make", pushed: "Pushed", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert pushed(spec()).outcome == "applied"


def test_push_by_soap_without_bigsuds_prints_the_install_command(
    spec: "Make", pushed: "Pushed", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bigsuds", None)
    with pytest.raises(NlbgenError, match="bigsuds is not installed") as caught:
        pushed(spec())
    assert "pip install --no-deps bigsuds==1.0.6" in str(caught.value.hint)


# Back, and what is left.


@pytest.mark.usefixtures("near")
def test_push_by_soap_reports_leftovers_of_another_kind(
    spec: "Make", pushed: "Pushed", device: "BigIp", console: "Console"
) -> None:
    pushed(spec(balancer={"affinity": "cookie"}))
    pushed(spec())
    console.said.clear()
    assert pushed(spec()).outcome == "unchanged"
    assert any(
        "persistence cookie /Common/orchestrator-test_cookie is no longer part of the farm" in text
        for text in console.said
    )


@pytest.mark.usefixtures("near")
@pytest.mark.no_cover  # other tests reach the same lines
def test_restore_by_soap_of_the_node_verification_whose_ca_is_gone_is_refused(
    spec: "Make", pushed: "Pushed", device: "BigIp", site: Path
) -> None:
    pushed(spec(frontend={"tls": {"verify_nodes": str(site / "renewed.pem")}}))
    unverified = spec(frontend={"tls": {"verify_nodes": False}})
    report = pushed(unverified, prune=True)
    now = device.own()
    with pytest.raises(DeviceError, match=r"which is no longer on the device"):
        pushed(unverified, restore=report.snapshot)
    assert device.own() == now


@pytest.mark.usefixtures("near")
def test_push_by_soap_with_prune_of_a_farm_without_tls_removes_the_old_key(
    spec: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    pushed(spec())
    assert pushed(spec(frontend={"tls": {"mode": "none"}}), force=True, prune=True).outcome == "applied"
    assert device.files() == set()


@pytest.mark.no_cover  # other tests reach the same lines
def test_push_by_soap_that_may_not_remove_an_old_key_stays_pending_until_it_is_removed(
    spec: "Make", pushed: "Pushed", device: "BigIp", renewals: "Renewals", monkeypatch: pytest.MonkeyPatch
) -> None:
    from nlbgen.push.errors import RefusedError
    from nlbgen.push.f5.soap.push import SoapFiles

    pushed(spec())
    (old,) = [path for path in device.files() if path.endswith(".key")]
    pushed(spec(**renewals[0]))
    renewed = spec(**renewals[1])

    def refused(_files: SoapFiles, path: str) -> None:
        raise RefusedError(f"{path}: refused", status=500, said="refused")

    with monkeypatch.context() as patch:
        patch.setattr(SoapFiles, "remove", refused)
        assert pushed(renewed).outcome == "applied"
        assert pushed(renewed).outcome == "unchanged"
    assert old in device.files()
    assert pushed(renewed).outcome == "unchanged"
    assert old not in device.files()
    assert device.saved == device.objects


@pytest.mark.usefixtures("near")
def test_push_by_soap_to_an_address_of_another_partition_names_its_virtual_server(
    spec: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    device.add("ltm virtual", "/Common/legacy", destination="/Common/10.20.0.10:443")
    with pytest.raises(DeviceError, match=r"it belongs to /Common/legacy") as caught:
        pushed(spec(f5={"partition": "UiPath"}))
    assert "remove the virtual servers in the other partition" in str(caught.value.hint)


@pytest.mark.usefixtures("near")
def test_push_by_soap_allows_only_tls_1_2_to_the_nodes(spec: "Make", pushed: "Pushed", device: "BigIp") -> None:
    pushed(spec())
    options = device.effective("ltm profile server-ssl", "/Common/orchestrator-test_nodes")["tmOptions"]
    assert {"no-sslv3", "no-tlsv1", "no-tlsv1.1"} <= set(options)


@pytest.mark.usefixtures("near")
def test_push_by_soap_lists_certificates_and_keys_once(
    spec: "Make", pushed: "Pushed", portal: "Portal", renewals: "Renewals"
) -> None:
    for number in range(2):
        portal.calls.clear()
        pushed(spec(**renewals[number]))
        lists = [
            name for interface, name in portal.calls if interface == "Management.KeyCertificate" and "list" in name
        ]
        assert sorted(lists) == ["get_certificate_list", "get_key_list"]
