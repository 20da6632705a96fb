"""`nlbgen push f5` with `api: soap`: what bigsuds does wrong is put right, and the limits are told."""

import re
import sys
import xml.etree.ElementTree as ET

import pytest

from nlbgen.core.errors import DeviceError, NlbgenError, UnsupportedError, UsageError

pytest.importorskip("bigsuds")
# urllib leaves the socket of a handshake that fails to the garbage collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(name="portal", autouse=True)
def _portal(device, soap_module, kept_descriptions):
    device.__init__(version="11.6.0")
    device.portal = soap_module.Portal()
    return device.portal


@pytest.fixture
def spec(make):
    def made(**changes):
        return make(f5={"api": "soap", **changes.pop("f5", {})}, **changes)

    return made


FARMS = {
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
}


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("farm", FARMS)
def test_a_second_push_writes_nothing(spec, pushed, device, portal, farm) -> None:
    assert pushed(spec(**FARMS[farm])).outcome == "applied"
    assert device.saved == device.objects
    portal.calls.clear()
    assert pushed(spec(**FARMS[farm])).outcome == "unchanged"
    assert portal.writes() == []
    assert portal.submitted == 1


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("farm", ["plain", "cookie", "states", "ipv6", "partition"])
def test_what_soap_made_rest_finds_right(spec, make, pushed, farm) -> None:
    pushed(spec(**FARMS[farm]))
    report = pushed(make(**FARMS[farm]), dry_run=True)
    # SOAP's old way names no entry of the chain.
    assert all(": cert-key-chain" in change.path for change in report.plan.changes), report.plan.text()


def pairs() -> list[tuple[str, str]]:
    """Each farm once as the old one and once as the new one; REST, which is faster, tries many more pairs."""
    names = [name for name in FARMS if name != "partition"]
    return list(zip(names, [*names[1:], names[0]], strict=True))


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("old, new", pairs())
def test_from_one_farm_to_another(spec, pushed, device, portal, old, new) -> None:
    pushed(spec(**FARMS[old]))
    assert pushed(spec(**FARMS[new]), force=True, prune=True).outcome in {"applied", "unchanged"}
    changed = device.own()
    device.__init__(version="11.6.0")
    device.portal = portal
    pushed(spec(**FARMS[new]))
    assert set(changed) == set(device.own())


@pytest.mark.usefixtures("near")
def test_members_come_go_and_drain(spec, pushed, device) -> None:
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


DRIFT = [
    ("ltm pool", "web", {"slowRampTime": 99}, "slow-ramp-time: 99 -> 0"),
    ("ltm monitor https", "health_https", {"interval": 2}, "interval: 2 -> 1"),
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
def test_drift_is_found_named_and_put_right(spec, pushed, device, console) -> None:
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


def test_objects_of_other_partitions_are_seen(spec, pushed, device) -> None:
    device.add("auth partition", "Other")
    device.add("ltm node", "/Other/web1", address="10.20.0.12")
    with pytest.raises(DeviceError, match=r"the address 10.20.0.12 belongs to the node /Other/web1"):
        pushed(spec())


def test_signalr_paths_are_chosen_by_a_rule(spec, pushed, device) -> None:
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
    assert rules == ["/Common/orchestrator-test_request_rule", "/Common/orchestrator-test_signalr_rule"]


# Certificates, snapshots, groups.


def test_certificates_are_imported_switched_and_removed(spec, pushed, device, site) -> None:
    pushed(spec())
    first = device.files()
    assert all(re.fullmatch(r"/Common/orchestrator-test_[0-9a-f]{16}\.(crt|key)", path) for path in first)
    tls = {"certificate": str(site / "renewed.pem"), "key": str(site / "renewed.key")}
    assert pushed(spec(frontend={"tls": tls})).outcome == "applied"
    assert len(device.files()) == len(first) and device.files() != first
    assert pushed(spec(frontend={"tls": tls})).outcome == "unchanged"


def test_a_snapshot_brings_back_what_was(spec, make, pushed, device) -> None:
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


def test_sync_standby_and_validate(spec, pushed, device) -> None:
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


def test_a_refused_transaction_names_the_object(spec, pushed, device) -> None:
    device.add("ltm virtual", "/Common/taken", destination="/Common/10.20.0.10:443", ipProtocol="tcp")
    before, files = device.own(), device.files()
    with pytest.raises(DeviceError, match=r"refused ltm virtual /Common/orchestrator-test_main: to be made: 01070333"):
        pushed(spec())
    assert (device.own(), device.files()) == (before, files)


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
def test_the_limits_have_ids(spec, pushed, device, portal, version, changes, problem) -> None:
    device.version = version
    with pytest.raises(UnsupportedError, match=problem):
        pushed(spec(**changes))
    assert portal.submitted == 0


def test_limits_that_can_be_accepted(spec, pushed, device, portal) -> None:
    device.__init__(version="16.1.2")
    device.portal = portal
    accepted = spec(accept=["f5-soap-websocket", "f5-soap-monitor-sni"])
    assert pushed(accepted).outcome == "applied"
    assert pushed(accepted).outcome == "unchanged"


# The descriptions.


@pytest.mark.parametrize("farm", ["plain", "states"])
def test_the_recorded_descriptions_do_as_well(spec, pushed, portal, soap_module, farm) -> None:
    if not soap_module.RECORDED.exists():
        pytest.skip("the recorded WSDLs are not at hand")
    portal.recorded = True
    assert pushed(spec(**FARMS[farm])).outcome == "applied"
    assert pushed(spec(**FARMS[farm])).outcome == "unchanged"


def test_our_signatures_are_the_recorded_ones(soap_module) -> None:
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


def test_the_certificate_is_checked(spec, pushed, device, site) -> None:
    with pytest.raises(DeviceError, match="certificate is not trusted"):
        pushed(spec(f5={"ca": str(site / "ca.pem")}))
    assert device.log == []


def test_the_session_is_our_own_and_keeps_port_and_check(spec, pushed, portal) -> None:
    pushed(spec())
    own = {name for name, session in portal.sessions.items() if session.recursive}
    assert len(own) == 1 and not own.pop().startswith("user:")
    assert all(session.queue is None for session in portal.sessions.values())


def test_every_call_is_one_request(spec, pushed, device, portal) -> None:
    report = pushed(spec(), dry_run=True)
    posts = [entry for entry in device.log if entry[0] == "POST"]
    assert len(posts) == len(portal.calls)
    assert all(status != 401 for *_, status in device.log)
    assert report.requests == len(device.log)


def test_a_wrong_password_is_told_without_it(spec, pushed, monkeypatch) -> None:
    monkeypatch.setenv("NLBGEN_F5_TEST", "hunter2-wrong")
    with pytest.raises(DeviceError, match="the login was refused") as caught:
        pushed(spec())
    assert "hunter2" not in f"{caught.value!r}{caught.value.__context__!r}"


@pytest.mark.parametrize("action", ["restarting", "reset", "hang", "garbage"])
def test_whatever_bigsuds_raises_is_a_device_error(bigip, spec, pushed, device, action) -> None:
    device.faults = [bigip.Fault(action, number, times=1) for number in range(3, 12)]
    with pytest.raises(DeviceError, match=r"^127.0.0.1:\d+: "):
        pushed(spec(f5={"timeout": "400ms"}))


def test_proxies_of_the_environment_are_not_used(spec, pushed, monkeypatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert pushed(spec()).outcome == "applied"


def test_without_bigsuds_the_install_line_is_told(spec, pushed, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "bigsuds", None)
    with pytest.raises(NlbgenError, match="bigsuds is not installed") as caught:
        pushed(spec())
    assert "pip install --no-deps bigsuds==1.0.6" in str(caught.value.hint)


# Back, and what is left.


@pytest.mark.usefixtures("near")
def test_what_is_left_over_of_another_kind_is_told(spec, pushed, device, console) -> None:
    pushed(spec(balancer={"affinity": "cookie"}))
    pushed(spec())
    console.said.clear()
    assert pushed(spec()).outcome == "unchanged"
    assert any(
        "persistence cookie /Common/orchestrator-test_cookie is not in the farm" in text for text in console.said
    )


@pytest.mark.usefixtures("near")
def test_checking_the_nodes_is_never_restored_without_its_ca(spec, pushed, device, site) -> None:
    pushed(spec(frontend={"tls": {"verify_nodes": str(site / "renewed.pem")}}))
    unverified = spec(frontend={"tls": {"verify_nodes": False}})
    report = pushed(unverified)
    now = device.own()
    with pytest.raises(DeviceError, match=r"which is not on the device any more"):
        pushed(unverified, restore=report.snapshot)
    assert device.own() == now


@pytest.mark.usefixtures("near")
def test_prune_removes_the_key_that_the_farm_has_no_more(spec, pushed, device) -> None:
    pushed(spec())
    assert pushed(spec(frontend={"tls": {"mode": "none"}}), force=True, prune=True).outcome == "applied"
    assert device.files() == set()
