"""`nlbgen push f5` by REST against the simulator: plans, transactions, marks, drift, certificates, restore."""

import copy
import json
import re
import shutil
import stat
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization

from nlbgen.core.errors import DeviceError, DifferenceError, FileError, UnsupportedError, UsageError
from nlbgen.generators.f5.objects import objects
from nlbgen.push.http import PAUSES
from nlbgen.spec.units import Version

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

    from tests.f5.bigip import BigIp, Json
    from tests.f5.conftest import Console, Make, Pushed, Reached, Renewals


def test_push_to_an_empty_device_creates_the_farm_and_a_second_one_changes_nothing(
    make: "Make", pushed: "Pushed", device: "BigIp", console: "Console", tmp_path: Path
) -> None:
    report = pushed(make())
    assert report.outcome == "applied"
    assert report.counts["ltm node"] == {"created": 2, "changed": 0, "removed": 0, "unchanged": 0}
    made = {key for key in device.own() if key[0].startswith("ltm")}
    assert made == {(one.kind, one.path) for one in objects(make().farm, Version("16.1"))}
    assert device.saved == device.objects
    assert not device.tokens
    assert not device.transactions
    device.log.clear()
    again = pushed(make())
    assert again.outcome == "unchanged"
    assert device.writes() == []
    assert len(again.plan) == 0


FARMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "services": {"balancer": {"health": {"paths": ["/api/health", "/identity/health", "/webhooks/api/status"]}}},
    "terminate": {"frontend": {"tls": {"mode": "terminate"}}, "accept": ["tls-terminate-redirect"]},
    "passthrough": {"frontend": {"tls": {"mode": "passthrough", "verify_nodes": False}}},
    "passthrough-checked": {"frontend": {"tls": {"mode": "passthrough"}}},
    "http": {"frontend": {"tls": {"mode": "none"}}},
    "unverified": {"frontend": {"tls": {"verify_nodes": False}}},
    "modern": {"frontend": {"tls": {"profile": "modern"}}},
    "cookie": {"balancer": {"affinity": "cookie"}},
    "cookie-plain": {"frontend": {"tls": {"mode": "none"}}, "balancer": {"affinity": "cookie"}},
    "source": {"balancer": {"algorithm": "source"}},
    "signalr": {"balancer": {"affinity": "signalr", "signalr": {"paths": ["/signalr", "/x"]}}},
    "signalr-pool": {"balancer": {"signalr": {"idle_timeout": "2h"}}},
    "states": {
        "nodes": [
            {"name": "a", "address": "10.0.0.1", "weight": 200},
            {"name": "b", "address": "2001:db8::2", "state": "drain"},
            {"name": "c", "address": "10.0.0.3", "state": "down"},
            {"name": "d", "address": "node-d.corp.example", "state": "backup"},
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
}
SINCE = {"modern": Version("14.0"), "passthrough-checked": Version("13.1")}
"""The first version that supports a farm."""


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("version", ["11.6.0", "12.1.2", "13.0.0", "13.1.1", "16.1.2", "17.1.0"])
@pytest.mark.parametrize("farm", FARMS)
@pytest.mark.no_cover  # other tests reach the same lines
def test_push_of_an_unchanged_farm_sends_no_write(
    bigip: ModuleType, make: "Make", pushed: "Pushed", running: "Reached", farm: str, version: str
) -> None:
    running.device.renew(version=version)
    spec = make(**FARMS[farm])
    if Version(version) < SINCE.get(farm, Version("11.6")):
        with pytest.raises(UnsupportedError):
            pushed(spec)
        assert not running.device.writes() and not running.device.tokens
        return
    assert pushed(spec).outcome == "applied"
    running.device.log.clear()
    assert pushed(spec).outcome == "unchanged"
    assert running.device.writes() == []


@pytest.mark.parametrize("version", ["11.6.0", "16.1.2"])
def test_push_to_a_policy_without_its_last_rule_completes_the_policy(
    make: "Make", pushed: "Pushed", running: "Reached", version: str
) -> None:
    running.device.renew(version=version)
    spec = make(**FARMS["signalr"])
    pushed(spec)
    policy = running.device.objects["ltm policy", "/Common/orchestrator-test_signalr_paths"]
    whole = copy.deepcopy(policy["rules"])
    for drift in (whole[:1], [whole[0], {**whole[1], "conditions": whole[0]["conditions"]}]):
        policy["rules"] = copy.deepcopy(drift)
        assert pushed(spec).outcome == "applied"
        policy = running.device.objects["ltm policy", "/Common/orchestrator-test_signalr_paths"]
        assert policy["rules"] == whole


def test_push_to_a_device_that_does_not_expand_policies_reads_each_rule(
    make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    device.deep_policies = False
    spec = make(**FARMS["signalr"])
    pushed(spec)
    assert pushed(spec).outcome == "unchanged"


def pairs() -> "list[ParameterSet]":
    """Each third pair of farms; `make test` runs each seventh of these."""
    all_pairs = [(old, new) for old in FARMS for new in FARMS if old != new and "partition" not in {old, new}]
    return [
        pytest.param(old, new, marks=[pytest.mark.long] if number % 7 else [])
        for number, (old, new) in enumerate(all_pairs[::3])
    ]


@pytest.mark.no_cover  # test_push_of_an_unchanged_farm_sends_no_write and the tests below reach its lines
@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("old, new", pairs())
def test_push_of_one_farm_over_another_leaves_only_the_new_objects(
    make: "Make", pushed: "Pushed", device: "BigIp", old: str, new: str
) -> None:
    pushed(make(**FARMS[old]))
    spec = make(**FARMS[new])
    assert pushed(spec, force=True, prune=True).outcome in {"applied", "unchanged"}
    wanted = {(one.kind, one.path) for one in objects(spec.farm, Version("16.1"))}
    assert set(device.own()) == wanted
    assert pushed(spec, prune=True).outcome == "unchanged"


def test_dry_run_sends_only_reads(make: "Make", pushed: "Pushed", device: "BigIp", console: "Console") -> None:
    report = pushed(make(), dry_run=True)
    assert report.outcome == "planned"
    assert device.writes() == []
    assert not device.tokens
    text = console.plans[0].text()
    assert "+ ltm virtual /Common/orchestrator-test_main: new" in text


def test_push_with_expect_of_another_plan_is_refused(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    digest = pushed(make(), dry_run=True).plan.digest
    with pytest.raises(DifferenceError, match=r"the plan now has the digest"):
        pushed(make(balancer={"affinity": "cookie"}), expect=digest)
    assert device.writes() == []
    assert pushed(make(), expect=digest[:16]).outcome == "applied"


@pytest.mark.parametrize("exists", [False, True], ids=["new-farm", "existing-farm"])
def test_plan_digest_covers_values_that_the_plan_does_not_show(
    make: "Make", pushed: "Pushed", device: "BigIp", exists: bool
) -> None:
    """A plan counts the properties of a new object, and shows only the beginning of a long value."""
    if exists:
        pushed(make())
    plans = [pushed(make(frontend={"aliases": [alias]}), dry_run=True).plan for alias in ("one.example", "two.example")]
    assert plans[0].changes
    shown = [[(change.path, str(change.new)) for change in plan.changes] for plan in plans]
    assert shown[0] == shown[1]
    assert plans[0].digest != plans[1].digest


def test_plan_digest_changes_only_with_the_objects_of_the_farm(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    pushed(make())
    spec = make(balancer={"slow_start": "60s"})
    digest = pushed(spec, dry_run=True).plan.digest
    device.objects["ltm pool", "/Common/orchestrator-test_web"]["allowNat"] = "no"  # not ours: no other plan
    assert pushed(spec, dry_run=True).plan.digest == digest
    device.objects["ltm pool", "/Common/orchestrator-test_web"]["minActiveMembers"] = 1
    assert pushed(spec, dry_run=True).plan.digest != digest


def test_push_without_confirmation_changes_nothing(
    make: "Make", pushed: "Pushed", device: "BigIp", console: "Console"
) -> None:
    console.agrees = lambda: False
    assert pushed(make()).outcome == "declined"
    assert device.writes() == []


@pytest.mark.parametrize(
    "kind, path, change, shown",
    [
        ("ltm pool", "web", {"slowRampTime": 99}, "ltm pool /Common/orchestrator-test_web: slow-ramp-time: 99 -> 0"),
        ("ltm monitor https", "health_https", {"recv": "^HTTP"}, "recv: ^HTTP -> ^HTTP/1.[01] 200"),
        ("ltm virtual", "main", {"rules": []}, "rules: none -> /Common/orchestrator-test_request_rule"),
        (
            "ltm virtual",
            "main",
            {"persist": [{"name": "/Common/cookie", "tmDefault": "yes"}]},
            "persist /Common/cookie",
        ),
        ("ltm profile client-ssl", "clients", {"tmOptions": ["no-sslv3"]}, "options: no-sslv3 -> "),
        (
            "ltm rule",
            "request_rule",
            {"apiAnonymous": "# nlbgen:orchestrator-test\nwhen HTTP_REQUEST { }"},
            "definition",
        ),
        ("ltm profile tcp", "tcp", {"idleTimeout": "300"}, "idle-timeout: 300 -> 3600"),
    ],
)
@pytest.mark.no_cover  # other tests reach the same lines
def test_push_to_a_device_with_drift_names_and_corrects_it(
    make: "Make",
    pushed: "Pushed",
    device: "BigIp",
    console: "Console",
    kind: str,
    path: str,
    change: "Json",
    shown: str,
) -> None:
    pushed(make())
    before = device.own()
    device.objects[kind, f"/Common/orchestrator-test_{path}"].update(change)
    assert pushed(make(), dry_run=True).outcome == "planned"
    assert shown in console.plans[-1].text()
    assert pushed(make()).outcome == "applied"
    assert device.own() == before


def test_push_to_a_pool_with_drift_corrects_its_members(
    make: "Make", pushed: "Pushed", device: "BigIp", console: "Console"
) -> None:
    pushed(make())
    before = device.own()
    members = device.objects["ltm pool", "/Common/orchestrator-test_web"]["members"]
    members[0]["session"] = "user-disabled"
    members.append({"name": "/Common/orch-2:8443", "address": "10.20.0.12"})
    pushed(make())
    text = console.plans[-1].text()
    assert "members /Common/orch-1:443 session: user-disabled -> user-enabled" in text
    assert "- ltm pool /Common/orchestrator-test_web: members /Common/orch-2:8443" in text
    assert device.own() == before


def test_push_that_changes_one_member_leaves_the_other_members(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    pushed(make())
    device.log.clear()
    nodes = [{"name": f"orch-{n}", "address": f"10.20.0.1{n}", "state": "drain" if n == 2 else "up"} for n in (1, 2, 3)]
    pushed(make(nodes=nodes))
    sent = [(method, path) for method, path, transaction, _ in device.log if transaction]
    assert sent == [
        ("POST", "/mgmt/tm/ltm/node"),
        ("PATCH", "/mgmt/tm/ltm/pool/~Common~orchestrator-test_unchecked/members/~Common~orch-2:443"),
        ("POST", "/mgmt/tm/ltm/pool/~Common~orchestrator-test_unchecked/members"),
        ("PATCH", "/mgmt/tm/ltm/pool/~Common~orchestrator-test_web/members/~Common~orch-2:443"),
        ("POST", "/mgmt/tm/ltm/pool/~Common~orchestrator-test_web/members"),
    ]


def test_push_of_a_node_with_another_address_recreates_it(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    pushed(make(**FARMS["signalr"]))
    nodes = [{"name": "orch-1", "address": "10.20.0.11"}, {"name": "orch-2", "address": "10.20.0.99"}]
    spec = make(**{**FARMS["signalr"], "nodes": nodes})
    assert pushed(spec).outcome == "applied"
    assert device.objects["ltm node", "/Common/orch-2"]["address"] == "10.20.0.99"
    assert pushed(spec).outcome == "unchanged"


def test_push_of_a_renamed_node_with_the_same_address_replaces_the_node(
    make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    pushed(make())
    nodes = [{"name": "orch-1", "address": "10.20.0.11"}, {"name": "other", "address": "10.20.0.12"}]
    assert pushed(make(nodes=nodes)).outcome == "applied"
    assert ("ltm node", "/Common/orch-2") not in device.objects
    assert pushed(make(nodes=nodes)).outcome == "unchanged"


# Marks.


def test_push_over_objects_of_another_owner_needs_adopt(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    device.add("ltm pool", "/Common/orchestrator-test_web", description="by hand")
    with pytest.raises(
        DeviceError, match=r"ltm pool /Common/orchestrator-test_web exists, but it was not made"
    ) as caught:
        pushed(make())
    assert "--adopt" in str(caught.value.hint)
    assert device.writes() == []
    assert pushed(make(), adopt=True).outcome == "applied"
    assert pushed(make()).outcome == "unchanged"


def test_push_of_a_second_farm_with_the_same_nodes_is_refused(make: "Make", pushed: "Pushed") -> None:
    pushed(make())
    with pytest.raises(DeviceError, match=r"belongs to the farm orchestrator-test"):
        pushed(make(farm="other", frontend={"address": "10.20.0.20"}))


def test_push_with_the_address_of_another_node_is_refused(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    device.add("auth partition", "Other")
    device.add("ltm node", "/Other/web1", address="10.20.0.12")
    with pytest.raises(DeviceError, match=r"the address 10.20.0.12 belongs to the node /Other/web1"):
        pushed(make())


@pytest.mark.parametrize("partition", ["Common", "Other"])
def test_push_that_follows_the_hint_on_an_address_of_another_partition_is_applied(
    make: "Make", pushed: "Pushed", device: "BigIp", partition: str
) -> None:
    device.add("auth partition", "UiPath")
    device.add("auth partition", "Other")
    device.add("ltm node", f"/{partition}/web1", address="10.20.0.12")
    with pytest.raises(DeviceError, match=rf"belongs to the node /{partition}/web1") as caught:
        pushed(make(f5={"partition": "UiPath"}))
    hint = str(caught.value.hint)
    assert hint.endswith(
        f"or write `f5.partition: {partition}`, the partition of that node, use the name web1 for the node "
        "in the spec, and take it over with --adopt if it is not this farm's"
    )
    nodes = [{"name": "orch-1", "address": "10.20.0.11"}, {"name": "web1", "address": "10.20.0.12"}]
    shared = make(f5={"partition": partition}, nodes=nodes)
    assert pushed(shared, adopt=True).outcome == "applied"
    assert pushed(shared).outcome == "unchanged"


def test_push_after_the_node_of_another_partition_was_removed_is_applied(
    make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    device.add("auth partition", "UiPath")
    device.add("ltm node", "/Common/web1", address="10.20.0.12")
    with pytest.raises(DeviceError) as caught:
        pushed(make(f5={"partition": "UiPath"}))
    assert "remove that node if nothing needs it; or" in str(caught.value.hint)
    del device.objects["ltm node", "/Common/web1"]
    assert pushed(make(f5={"partition": "UiPath"})).outcome == "applied"


def test_push_that_follows_the_hint_on_an_address_of_the_same_partition_is_applied(
    make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    device.add("ltm node", "/Common/web1", address="10.20.0.12")
    with pytest.raises(DeviceError) as caught:
        pushed(make())
    assert "f5.partition" not in str(caught.value.hint) and "use the name web1 for the node" in str(caught.value.hint)
    nodes = [{"name": "orch-1", "address": "10.20.0.11"}, {"name": "web1", "address": "10.20.0.12"}]
    assert pushed(make(nodes=nodes), adopt=True).outcome == "applied"


def test_push_keeps_leftover_objects_until_prune(
    make: "Make", pushed: "Pushed", device: "BigIp", console: "Console"
) -> None:
    nodes = [{"name": f"orch-{n}", "address": f"10.20.0.1{n}"} for n in (1, 2, 3)]
    pushed(make(nodes=nodes))
    pushed(make())
    assert ("ltm node", "/Common/orch-3") in device.objects
    assert any("ltm node /Common/orch-3 is no longer part of the farm" in text for text in console.said)
    device.add("ltm node", "/Common/elsewhere", address="10.9.9.9")
    assert pushed(make(), prune=True).outcome == "applied"
    assert ("ltm node", "/Common/orch-3") not in device.objects
    assert ("ltm node", "/Common/elsewhere") in device.objects


def test_push_that_removes_more_than_half_of_a_pool_needs_force(
    make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    nodes = [{"name": f"orch-{n}", "address": f"10.20.0.1{n}"} for n in (1, 2, 3)]
    pushed(make(nodes=nodes))
    device.log.clear()
    drained = [{**node, "state": "drain" if node["name"] != "orch-1" else "up"} for node in nodes]
    with pytest.raises(DeviceError, match=r"more than half of the members of a pool: .*2 of 3 members"):
        pushed(make(nodes=drained))
    assert device.writes() == []
    assert pushed(make(nodes=drained), force=True).outcome == "applied"


# Units, groups, validation.


def test_push_to_a_standby_unit_is_refused(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    device.failover = "standby"
    with pytest.raises(DeviceError, match=r"this unit is standby"):
        pushed(make())
    assert device.writes() == []
    assert pushed(make(), dry_run=True).outcome == "planned"


def test_push_with_sync_synchronises_the_group(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    pushed(make())
    assert device.synced == []
    pushed(make(balancer={"slow_start": "9s"}), sync="pair")
    assert device.synced == ["pair"]
    with pytest.raises(DeviceError, match=r"Device group \(none\) not found"):
        pushed(make(balancer={"slow_start": "8s"}), sync="none")


def test_push_with_validate_changes_nothing(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    pushed(make())
    before = device.own()
    assert pushed(make(balancer={"slow_start": "9s"}), validate=True).outcome == "valid"
    assert device.own() == before
    assert not device.transactions
    with pytest.raises(DeviceError, match=r"cannot check the plan, because the certificate"):
        device.renew()
        pushed(make(), validate=True)


def test_push_with_validate_before_tmos_12_is_refused(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    device.renew(version="11.6.0")
    with pytest.raises(DeviceError, match=r"TMOS 11.6.0 cannot check"):
        pushed(make(), validate=True)


# Refused transactions.


def test_push_whose_transaction_is_refused_names_the_object(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    def meanwhile(method: str, path: str, _body: bytes) -> None:
        if (method, path) == ("POST", "/mgmt/tm/transaction"):
            device.add("ltm virtual", "/Common/taken", destination="/Common/10.20.0.10:443", ipProtocol="tcp")

    files = device.files()
    device.hook = meanwhile
    with pytest.raises(DeviceError) as caught:
        pushed(make())
    before = {key: value for key, value in device.own().items() if key[1] == "/Common/taken"}
    assert "remove that virtual server" in str(caught.value.hint)
    assert "refused to create ltm virtual /Common/orchestrator-test_main: 01070333:3" in str(caught.value)
    assert "nothing was changed" in str(caught.value)
    assert (device.own(), device.files()) == (before, files)
    assert not device.tokens and not device.transactions


def test_push_of_an_unsupported_feature_is_refused_before_any_write(
    make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    with pytest.raises(UnsupportedError, match=r"f5-queue"):
        pushed(make(balancer={"timeouts": {"queue": "30s"}}))
    assert device.writes() == []


# Certificates.


def test_push_of_a_renewed_certificate_keeps_the_one_before_and_removes_older_ones(
    make: "Make", pushed: "Pushed", device: "BigIp", renewals: "Renewals"
) -> None:
    pushed(make())
    first = device.files()
    assert len(first) == 3  # the chain is the nodes' CA here
    assert all(re.fullmatch(r"/Common/orchestrator-test_[0-9a-f]{16}\.(crt|key)", path) for path in first)
    assert not [name for name in device.uploads if name.endswith(".key")], "the uploaded copy of the key was removed"
    assert pushed(make(**renewals[0])).outcome == "applied"
    second = device.files()
    assert first < second and len(second) == 5
    assert pushed(make(**renewals[0], balancer={"slow_start": "9s"})).outcome == "applied"
    assert device.files() == second, "only a renewal removes files"
    assert pushed(make(**renewals[1])).outcome == "applied"
    third = device.files()
    assert len(third) == 5 and len(third & first) == 1 and second - first < third
    device.log.clear()
    assert pushed(make(**renewals[1])).outcome == "unchanged"
    assert device.writes() == []
    assert pushed(make(**renewals[1]), prune=True).outcome == "unchanged"
    assert len(device.files()) == 3 and device.files() < third
    assert device.saved == device.objects


def test_push_with_a_certificate_of_the_device_uploads_nothing(
    make: "Make", pushed: "Pushed", device: "BigIp", bigip: ModuleType
) -> None:
    certificate, key = bigip.pair("x")
    device.uploads |= {"x.crt": bigip.pem(certificate), "x.key": bigip.key_pem(key)}
    for kind, name in (("cert", "x.crt"), ("key", "x.key")):
        device.add(f"sys file ssl-{kind}", f"/Common/{name}", sourcePath=f"file:/var/config/rest/downloads/{name}")
    f5 = {"certificate": "/Common/x.crt", "key": "/Common/x.key"}
    assert pushed(make(f5=f5, frontend={"tls": {"verify_nodes": False}})).outcome == "applied"
    assert device.files() == {"/Common/x.crt", "/Common/x.key"}


@pytest.mark.parametrize("api", ["rest", "as3"])
@pytest.mark.parametrize("mode", ["bridge", "passthrough"])
def test_push_with_a_ca_of_the_device_uploads_no_ca(
    make: "Make", pushed: "Pushed", device: "BigIp", site: Path, as3_module: ModuleType, api: str, mode: str
) -> None:
    device.extensions.append(as3_module.As3().answer)
    device.uploads["nodes.crt"] = (site / "ca.pem").read_bytes()
    ca = "/Common/nodes.crt"
    device.add("sys file ssl-cert", ca, sourcePath="file:/var/config/rest/downloads/nodes.crt")
    f5 = {"api": api, "partition": "UiPath", "certificate": "/Common/x.crt", "key": "/Common/x.key", "node_ca": ca}
    certificate, key = (site / f"site.{suffix}" for suffix in ("pem", "key"))
    device.uploads |= {"x.crt": certificate.read_bytes(), "x.key": key.read_bytes()}
    for kind, name in (("cert", "x.crt"), ("key", "x.key")):
        device.add(f"sys file ssl-{kind}", f"/Common/{name}", sourcePath=f"file:/var/config/rest/downloads/{name}")
    before = device.files()
    spec = make(f5=f5, frontend={"tls": {"mode": mode}})
    assert pushed(spec).outcome == "applied"
    assert device.files() == before
    profiles = [own for (kind, path), own in device.own().items() if kind == "ltm profile server-ssl"]
    assert [(own["caFile"], own["peerCertMode"]) for own in profiles] == [(ca, "require")]
    assert pushed(spec).outcome == "unchanged"


@pytest.mark.parametrize(
    "tls, message",
    [
        ({"certificate": "/nowhere/x.pem"}, "is not on this machine"),
        ({"key": "SITE/renewed.key"}, "is not the key of"),
        ({"key": "SITE/site.pem"}, "has no private key"),
        ({"certificate": "SITE/site.key"}, "has no certificate"),
        ({"key": "SITE/encrypted.key"}, r"encrypted\.key: the private key is encrypted"),
        ({"key": "SITE/damaged.key"}, r"damaged\.key: the private key cannot be read"),
        ({"certificate": "SITE/damaged.pem"}, r"damaged\.pem: its first certificate cannot be read"),
    ],
)
def test_push_with_an_unusable_certificate_is_refused_with_a_fix(
    make: "Make", pushed: "Pushed", device: "BigIp", site: Path, tmp_path: Path, tls: dict[str, str], message: str
) -> None:
    folder = tmp_path / "site"
    shutil.copytree(site, folder)
    key = (site / "site.key").read_bytes()
    password = serialization.BestAvailableEncryption(b"password")
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, password
    encrypted = serialization.load_pem_private_key(key, None).private_bytes(*form)
    (folder / "encrypted.key").write_bytes(encrypted)
    for name, kind in (("damaged.key", b"PRIVATE KEY"), ("damaged.pem", b"CERTIFICATE")):
        (folder / name).write_bytes(b"-----BEGIN %b-----\nAAAA\n-----END %b-----\n" % (kind, kind))
    tls = {name: path.replace("SITE", str(folder)) for name, path in tls.items()}
    with pytest.raises(FileError, match=message) as refused:
        pushed(make(frontend={"tls": tls}))
    assert refused.value.hint
    assert device.writes() == [] and not device.tokens


def test_push_with_prune_removes_the_virtual_server_of_a_former_redirect(
    make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    pushed(make(frontend={"redirect_http": True}))
    before = {path for kind, path in device.objects if kind == "ltm virtual"}
    pushed(make(frontend={"redirect_http": False}), prune=True)
    after = {path for kind, path in device.objects if kind == "ltm virtual"}
    assert [path for path in sorted(before - after) if "redirect" in path]
    assert after == {path for path in before if "redirect" not in path}


# Snapshots.


def test_restore_of_a_snapshot_restores_the_former_objects(
    make: "Make", pushed: "Pushed", device: "BigIp", tmp_path: Path
) -> None:
    pushed(make(balancer={"affinity": "cookie"}))
    before = device.own()
    nodes = [{"name": "orch-1", "address": "10.20.0.11", "state": "drain"}, {"name": "orch-9", "address": "10.20.0.19"}]
    spec = make(nodes=nodes, balancer={"affinity": "signalr", "slow_start": "7s"})
    report = pushed(spec, force=True, prune=True)
    assert device.own() != before
    assert report.snapshot is not None and stat.S_IMODE(report.snapshot.stat().st_mode) == 0o600
    assert "BEGIN" not in report.snapshot.read_text() and device.password not in report.snapshot.read_text()
    assert pushed(spec, restore=report.snapshot, force=True).outcome == "applied"
    now = device.own()
    assert set(now) == set(before)
    assert pushed(make(balancer={"affinity": "cookie"})).outcome == "unchanged"
    assert pushed(spec, restore=report.snapshot).outcome == "unchanged"


def test_restore_after_a_renewal_restores_the_earlier_certificate(
    make: "Make", pushed: "Pushed", device: "BigIp", renewals: "Renewals"
) -> None:
    pushed(make())
    before = device.own()
    report = pushed(make(**renewals[0]))
    assert device.own() != before
    assert pushed(make(), restore=report.snapshot).outcome == "applied"
    assert device.own() == before
    assert pushed(make()).outcome == "unchanged"


def test_restore_of_a_profile_whose_certificate_is_gone_keeps_the_current_one(
    make: "Make", pushed: "Pushed", device: "BigIp", renewals: "Renewals"
) -> None:
    pushed(make())
    tls = {**renewals[0]["frontend"]["tls"], "profile": "modern"}
    report = pushed(make(frontend={"tls": tls}))
    pushed(make(**renewals[1]))
    files = device.files()
    assert pushed(make(), restore=report.snapshot).outcome in {"applied", "unchanged"}
    assert pushed(make(), restore=report.snapshot).outcome == "unchanged"
    assert device.files() == files
    assert (
        "no-tlsv1.2" not in device.effective("ltm profile client-ssl", "/Common/orchestrator-test_clients")["tmOptions"]
    )


def test_restore_of_a_snapshot_of_another_device_is_refused(make: "Make", pushed: "Pushed", tmp_path: Path) -> None:
    report = pushed(make())
    assert report.snapshot
    data = json.loads(report.snapshot.read_text())
    report.snapshot.write_text(json.dumps({**data, "device": "elsewhere"}))
    with pytest.raises(UsageError, match=r"is a snapshot of the farm orchestrator-test on elsewhere"):
        pushed(make(), restore=report.snapshot)
    report.snapshot.write_text("{}")
    with pytest.raises(FileError, match=r"is not a snapshot"):
        pushed(make(), restore=report.snapshot)


def test_pauses_between_attempts_sum_to_less_than_a_minute() -> None:
    assert sum(PAUSES) < 60


@pytest.mark.parametrize(
    "name, content",
    [
        ("orchestrator-test-as3-0123456789ab.json", '{"nlbgen": "f5-as3-snapshot", "device": "x"}'),
        ("orchestrator-test-0123456789ab.json", "{"),
        ("orchestrator-test-0123456789ab.json", '{"nlbgen": "f5-as3-snapshot"}'),
        ("orchestrator-test-2-0123456789ab.json", "no snapshot"),
        ("orchestrator-test-0123456789ab.json", None),
    ],
)
def test_push_with_other_files_among_the_snapshots_is_applied(
    make: "Make", pushed: "Pushed", tmp_path: Path, name: str, content: str | None
) -> None:
    pushed(make())
    path = tmp_path / "snapshots" / name
    path.mkdir() if content is None else path.write_text(content)
    assert pushed(make()).outcome == "unchanged"
    assert pushed(make(balancer={"slow_start": "9s"})).outcome == "applied"


def test_push_of_a_farm_with_a_longer_name_keeps_the_pending_snapshot_of_the_other(
    make: "Make", pushed: "Pushed", device: "BigIp", bigip: ModuleType, console: "Console"
) -> None:
    other = make(farm="orchestrator-test-b", frontend={"address": "10.20.0.20"}, nodes=OTHER_NODES)
    device.faults = [bigip.Fault("forbidden", matches=lambda _, path: path == "/mgmt/tm/sys/config")]
    with pytest.raises(DeviceError, match=r"is not saved"):
        pushed(other)
    pushed(make())
    console.said.clear()
    assert pushed(make()).outcome == "unchanged"
    assert not any("interrupted" in text for text in console.said)
    assert pushed(other).outcome == "unchanged"
    assert any("interrupted" in text for text in console.said)


OTHER_NODES = [{"name": f"other-{number}", "address": f"10.20.1.1{number}"} for number in (1, 2)]


def server_ssl(device: "BigIp") -> dict[str, str]:
    found = device.effective("ltm profile server-ssl", "/Common/orchestrator-test_nodes")
    return {name: found[name] for name in ("peerCertMode", "caFile", "authenticateName")}


PASSTHROUGH = {"frontend": {"tls": {"mode": "passthrough"}}}
UNVERIFIED = {"frontend": {"tls": {"verify_nodes": False}}}


def authority(device: "BigIp") -> set[str]:
    """The CA of the nodes; with passthrough the monitor verifies by it too."""
    return {server_ssl(device)["caFile"]}


def test_restore_of_the_node_verification_restores_mode_ca_and_name(
    make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    pushed(make())
    before = server_ssl(device)
    assert before["peerCertMode"] == "require" and before["caFile"] != "none"
    report = pushed(make(**PASSTHROUGH), force=True)
    pushed(make(**PASSTHROUGH), restore=report.snapshot)
    assert server_ssl(device) == before
    virtual = device.objects["ltm virtual", "/Common/orchestrator-test_main"]
    assert any(profile["name"].endswith("_nodes") for profile in virtual["profiles"])


def test_restore_of_the_node_verification_whose_ca_is_gone_is_refused(
    make: "Make", pushed: "Pushed", device: "BigIp", site: Path
) -> None:
    # A CA that is not in the site's own chain, and is removed when no object uses it.
    verified = make(frontend={"tls": {"verify_nodes": str(site / "renewed.pem")}})
    pushed(verified)
    report = pushed(make(**UNVERIFIED), prune=True)
    now = device.own()
    with pytest.raises(DeviceError, match=r"_nodes used /Common/orchestrator-test_[0-9a-f]{16}\.crt, which") as caught:
        pushed(make(**UNVERIFIED), restore=report.snapshot)
    assert "push the earlier spec" in str(caught.value.hint)
    assert device.own() == now
    assert pushed(verified).outcome == "applied"


def test_restore_of_a_farm_without_node_verification_disables_it(
    make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    pushed(make(**UNVERIFIED))
    before = server_ssl(device)
    report = pushed(make())
    pushed(make(), restore=report.snapshot)
    assert server_ssl(device) == before


def test_restore_of_a_profile_whose_key_is_gone_is_refused(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    pushed(make())
    report = pushed(make(**PASSTHROUGH), force=True, prune=True)
    assert device.files() == authority(device)
    with pytest.raises(
        DeviceError, match=r"orchestrator-test_clients used /Common/orchestrator-test_[0-9a-f]{16}\.(crt|key)"
    ):
        pushed(make(**PASSTHROUGH), restore=report.snapshot, dry_run=True)


def test_restore_plan_names_only_the_objects_of_the_snapshot(
    make: "Make", pushed: "Pushed", device: "BigIp", console: "Console"
) -> None:
    pushed(make())
    report = pushed(make(balancer={"slow_start": "9s"}))
    console.said.clear()
    assert pushed(make(), restore=report.snapshot).outcome == "applied"
    assert not any("not in the farm any more" in text for text in console.said)
    with pytest.raises(UsageError, match=r"--prune cannot be combined with --restore"):
        pushed(make(), restore=report.snapshot, prune=True)


# Files that stay behind.


@pytest.mark.parametrize("action, after", [("busy", False), ("reset", True), ("reset", False), ("forbidden", False)])
def test_push_that_fails_after_an_upload_leaves_no_copy_of_a_key(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp", action: str, after: bool
) -> None:
    device.faults = [
        bigip.Fault(
            action, matches=lambda method, path: method == "POST" and path.endswith("ssl-key"), times=9, after=after
        )
    ]
    with pytest.raises(DeviceError):
        pushed(make())
    assert not [name for name in device.uploads if name.endswith(".key")]


def test_push_that_cannot_remove_an_upload_at_once_retries_and_leaves_no_copy_of_a_key(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    device.faults = [
        bigip.Fault("busy", matches=lambda _, path: path.endswith("unix-rm"), times=3),
        bigip.Fault("forbidden", matches=lambda _, path: path == "/mgmt/tm/transaction"),
    ]
    with pytest.raises(DeviceError):
        pushed(make())
    assert not [name for name in device.uploads if name.endswith(".key")]


def test_push_that_cannot_remove_a_copy_of_a_key_reports_it(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp", console: "Console"
) -> None:
    device.faults = [bigip.Fault("forbidden", matches=lambda _, path: path.endswith("unix-rm"), times=99)]
    assert pushed(make()).outcome == "applied"
    (key,) = [name for name in device.uploads if name.endswith(".key")]
    assert any(f"/var/config/rest/downloads/{key} could not be removed" in text for text in console.insisted)


@pytest.mark.parametrize("fails", ["/mgmt/tm/transaction", "/mgmt/tm/sys/file/ssl-cert"])
def test_push_that_fails_after_it_created_a_partition_reports_the_partition(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp", fails: str
) -> None:
    spec = make(f5={"partition": "UiPath"})
    device.faults = [bigip.Fault("forbidden", matches=lambda method, path: method == "POST" and path == fails)]
    with pytest.raises(DeviceError, match=r"the new partition UiPath stays, and is empty"):
        pushed(spec)
    assert pushed(spec).outcome == "applied"


def test_push_after_a_failed_removal_of_a_certificate_removes_it(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp", renewals: "Renewals"
) -> None:
    pushed(make())
    pushed(make(**renewals[0]))
    spec = make(**renewals[1])
    device.faults = [bigip.Fault("busy", matches=lambda method, path: method == "DELETE" and "ssl-" in path, times=9)]
    with pytest.raises(DeviceError, match=r"the configuration is not saved yet"):
        pushed(spec)
    assert len(device.files()) == 7
    device.faults = []
    assert pushed(spec).outcome == "unchanged"
    assert len(device.files()) == 5 and device.saved == device.objects
    device.log.clear()
    assert pushed(spec).outcome == "unchanged"
    assert device.writes() == []


@pytest.mark.parametrize("option", ["dry_run", "validate"])
def test_push_that_must_change_nothing_does_not_complete_an_earlier_push(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp", renewals: "Renewals", option: str
) -> None:
    pushed(make())
    pushed(make(**renewals[0]))
    spec = make(**renewals[1])
    device.faults = [bigip.Fault("busy", matches=lambda method, path: method == "DELETE" and "ssl-" in path, times=9)]
    with pytest.raises(DeviceError, match=r"the configuration is not saved yet"):
        pushed(spec)
    device.faults = []
    device.log.clear()
    assert pushed(spec, **{option: True}).outcome == "unchanged"
    assert device.writes() == []


def test_push_whose_commit_was_answered_does_not_ask_for_its_outcome(
    make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    assert pushed(make()).outcome == "applied"
    methods = [method for method, path, _, _ in device.log if path.startswith("/mgmt/tm/transaction/")]
    assert methods == ["PATCH"]


def test_push_with_prune_of_a_farm_without_tls_removes_the_old_key(
    make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    pushed(make())
    pushed(make(**PASSTHROUGH), force=True)
    assert len(device.files()) == 3, "the profiles that are left over name them"
    device.uploads["x.crt"] = b"another's"
    device.add("sys file ssl-cert", "/Common/another.crt", sourcePath="file:/var/config/rest/downloads/x.crt")
    assert pushed(make(**PASSTHROUGH), prune=True).outcome == "applied"
    assert device.files() == {"/Common/another.crt"} | authority(device)
    assert device.saved == device.objects


def test_push_with_prune_removes_files_of_unknown_pushes(
    make: "Make", pushed: "Pushed", device: "BigIp", tmp_path: Path, renewals: "Renewals"
) -> None:
    """A pipeline loses its snapshots with its machine."""
    pushed(make())
    pushed(make(**renewals[0]))
    for path in (tmp_path / "snapshots").iterdir():
        path.unlink()
    assert len(device.files()) == 5
    assert pushed(make(**renewals[0]), prune=True).outcome == "unchanged"
    assert len(device.files()) == 3 and device.saved == device.objects


def test_push_whose_sync_fails_reports_the_configuration_as_saved(
    make: "Make", pushed: "Pushed", device: "BigIp", console: "Console"
) -> None:
    with pytest.raises(DeviceError, match=r"applied and saved, but the group none is not synchronized") as caught:
        pushed(make(), sync="none")
    assert "not saved" not in str(caught.value) and device.saved == device.objects
    console.said.clear()
    device.log.clear()
    assert pushed(make(), sync="pair").outcome == "unchanged"
    assert device.synced == ["pair"]
    assert device.writes() == [("POST", "/mgmt/tm/cm")]
    assert not any("interrupted" in text for text in console.said)


# Kinds that the farm has no more.


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("version", ["11.6.0", "16.1.2"])
def test_push_reports_leftovers_of_another_kind_and_prune_removes_them(
    make: "Make", pushed: "Pushed", device: "BigIp", console: "Console", version: str
) -> None:
    device.renew(version=version)
    pushed(make(balancer={"affinity": "cookie"}))
    pushed(make())
    gone = "ltm persistence cookie", "/Common/orchestrator-test_cookie"
    assert gone in device.own()
    console.said.clear()
    assert pushed(make()).outcome == "unchanged"
    assert any(f"{' '.join(gone)} is no longer part of the farm" in text for text in console.said)
    pushed(make(), prune=True)
    assert gone not in device.own()


def test_push_of_an_unchanged_farm_takes_few_round_trips(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    pushed(make())
    device.latency = 0.02
    device.spans.clear()
    pushed(make())
    assert device.rounds() <= 12


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("api", ["rest", "as3"])
def test_push_to_a_device_whose_monitors_send_no_sni_reports_it(
    make: "Make", pushed: "Pushed", device: "BigIp", console: "Console", as3_module: ModuleType, api: str
) -> None:
    device.extensions.append(as3_module.As3().answer)
    spec = make(f5={"api": api, "partition": "UiPath"})
    pushed(spec, dry_run=True)
    assert console.insisted == []
    device.bigd_tmm = "disable"
    pushed(spec, dry_run=True)
    (line,) = console.insisted
    assert "the setting bigd.tmm is `disable`: health checks send no SNI" in line
    console.insisted.clear()
    pushed(make(f5={"api": api, "partition": "UiPath"}, frontend={"tls": {"mode": "none"}}), dry_run=True)
    assert console.insisted == []


@pytest.mark.usefixtures("near")
def test_push_of_a_large_certificate_is_uploaded_in_parts(
    make: "Make", pushed: "Pushed", device: "BigIp", site: Path, tmp_path: Path
) -> None:
    """A device refuses parts over 1 MiB."""
    from nlbgen.push.f5.rest import icontrol

    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes((site / "ca.pem").read_bytes() * 3000)
    assert bundle.stat().st_size > 2 * icontrol.UPLOAD_PART
    assert pushed(make(frontend={"tls": {"verify_nodes": str(bundle)}})).outcome == "applied"
    (stored,) = [
        one["content"] for (kind, _), one in device.objects.items() if len(str(one.get("content"))) > 1_000_000
    ]
    assert stored.count("BEGIN CERTIFICATE") == 3000


@pytest.mark.usefixtures("near")
def test_push_without_a_ca_in_the_spec_uses_the_public_cas_of_the_device(
    make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    """The bundle of the machine that pushes would differ from machine to machine."""
    spec = make()
    tls = spec.farm.frontend.tls
    default = tls.replace(verify_nodes="/nowhere/ca-certificates.crt", written=tls.written - {"verify_nodes"})
    farm = spec.farm.replace(frontend=spec.farm.frontend.replace(tls=default))
    assert pushed(spec._replace(farm=farm)).outcome == "applied"
    profile = device.effective("ltm profile server-ssl", "/Common/orchestrator-test_nodes")
    assert (profile["caFile"], profile["peerCertMode"]) == ("/Common/ca-bundle.crt", "require")
    assert len(device.files()) == 3  # certificate, chain and key of the farm


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize(
    "api, partition", [("rest", "Common"), ("rest", "UiPath"), ("as3", "UiPath"), ("as3", "Common")]
)
def test_push_to_an_address_of_another_virtual_server_names_it(
    make: "Make", pushed: "Pushed", device: "BigIp", as3_module: ModuleType, api: str, partition: str
) -> None:
    device.extensions.append(as3_module.As3().answer)
    device.add("ltm virtual", "/Common/legacy", destination="/Common/10.20.0.10:443")
    named = "/Common/legacy" if partition == "Common" else "it belongs to /Common/legacy"
    with pytest.raises(DeviceError, match=named) as caught:
        pushed(make(f5={"partition": partition, "api": api}))
    assert "remove th" in str(caught.value.hint)
    assert not [path for kind, path in device.own() if "orchestrator" in path]


@pytest.mark.usefixtures("near")
def test_push_reports_values_that_a_big_ip_cannot_have(make: "Make", pushed: "Pushed", console: "Console") -> None:
    health = {"interval": "100ms", "timeout": "150ms", "fall": 2}
    pushed(make(balancer={"health": health, "slow_start": "20m"}), dry_run=True)
    told = [line for line in console.said if "a BIG-IP " in line]
    assert [line.partition(": a BIG-IP ")[0] for line in told] == [
        "balancer.health.interval is 100ms, but the device gets 1s",
        "balancer.health.timeout is 150ms",
        "balancer.slow_start is 20m, but the device gets 900s",
    ]
    console.said.clear()
    pushed(make(), dry_run=True)
    assert not [line for line in console.said if "BIG-IP" in line]


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("version, refused", [("12.1.2", True), ("13.1.0", False)])
def test_push_by_as3_to_tmos_before_13_1_is_refused(
    make: "Make", pushed: "Pushed", device: "BigIp", as3_module: ModuleType, version: str, refused: bool
) -> None:
    device.renew(version=version, extensions=[as3_module.As3().answer])
    spec = make(f5={"api": "as3", "partition": "UiPath"})
    if not refused:
        assert pushed(spec, dry_run=True).outcome == "planned"
        return
    with pytest.raises(UnsupportedError, match=r"AS3 needs TMOS 13\.1 or later"):
        pushed(spec)


@pytest.mark.usefixtures("near")
def test_push_of_a_user_who_may_not_upload_changes_nothing(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    device.faults = [bigip.Fault("forbidden", matches=lambda _, path: "/uploads/" in path, times=99)]
    with pytest.raises(DeviceError, match="the upload of") as caught:
        pushed(make(f5={"partition": "UiPath"}))
    assert "only an administrator may upload" in str(caught.value.hint)
    assert not device.own(), "not even the partition was created"


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("api", ["rest", "as3"])
def test_push_that_may_not_remove_an_old_key_stays_pending_until_it_is_removed(
    bigip: ModuleType,
    make: "Make",
    pushed: "Pushed",
    device: "BigIp",
    console: "Console",
    renewals: "Renewals",
    as3_module: ModuleType,
    api: str,
) -> None:
    device.extensions.append(as3_module.As3().answer)
    f5 = {"api": api, "partition": "UiPath"}
    pushed(make(f5=f5))
    (old,) = [path for path in device.files() if path.endswith(".key")]
    pushed(make(f5=f5, **renewals[0]))
    renewed = make(f5=f5, **renewals[1])

    def removal(method: str, path: str) -> bool:
        return method == "DELETE" and "/ssl-key/" in path

    device.faults = [bigip.Fault("forbidden", matches=removal, times=2)]
    assert pushed(renewed).outcome == "applied"
    assert any(f"{old} stays" in text for text in console.insisted)
    for _ in range(2):
        assert old in device.files()
        assert pushed(renewed).outcome == "unchanged"
    assert old not in device.files()
    assert device.saved == device.objects
    device.log.clear()
    assert pushed(renewed).outcome == "unchanged"
    assert device.writes() == []


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("api", ["rest", "as3"])
@pytest.mark.parametrize("version, asked", [("13.1.0", False), ("14.0.0", True)])
def test_push_reads_cipher_groups_only_from_a_version_that_has_them(
    make: "Make", pushed: "Pushed", device: "BigIp", as3_module: ModuleType, api: str, version: str, asked: bool
) -> None:
    device.renew(version=version, extensions=[as3_module.As3().answer])
    spec = make(f5={"api": api, "partition": "UiPath"})
    for _ in range(2):  # the second push reads every kind of object
        pushed(spec)
    assert any("/ltm/cipher/" in path for _, path, *_ in device.log) is asked
    assert any(kind == "ltm cipher group" for kind, _ in device.own()) is asked
