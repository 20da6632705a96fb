"""`nlbgen push f5` with `api: as3` against the simulator."""

import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen.core.errors import DeviceError, DifferenceError, FileError, UsageError
from nlbgen.generators.f5.vocabulary import Object
from nlbgen.push.f5.as3 import record as as3_record
from nlbgen.spec.load import Spec

if TYPE_CHECKING:
    from tests.f5.as3 import As3
    from tests.f5.bigip import BigIp
    from tests.f5.conftest import Console, Make, Pushed, Renewals, SpecValue


@pytest.fixture(name="as3")
def _as3(device: "BigIp", as3_module: ModuleType) -> "As3":
    one: As3 = as3_module.As3()
    device.extensions.append(one.answer)
    return one


@pytest.fixture
def spec(make: "Make") -> "Make":
    def made(**changes: "SpecValue") -> Spec:
        f5 = {"api": "as3", **changes.pop("f5", {})}
        return make(f5=f5, **changes)

    return made


FARMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "terminate": {"frontend": {"tls": {"mode": "terminate"}}, "accept": ["tls-terminate-redirect"]},
    "passthrough": {"frontend": {"tls": {"mode": "passthrough"}}},
    "http": {"frontend": {"tls": {"mode": "none"}}},
    "modern": {"frontend": {"tls": {"profile": "modern"}}},
    "cookie": {"balancer": {"affinity": "cookie"}},
    "cookie-plain": {"frontend": {"tls": {"mode": "none"}}, "balancer": {"affinity": "cookie"}},
    "source": {"balancer": {"algorithm": "source"}},
    "signalr": {"balancer": {"affinity": "signalr", "signalr": {"paths": ["/signalr", "/x"]}}},
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
    "services": {"balancer": {"health": {"paths": ["/api/health", "/identity/health", "/webhooks/api/status"]}}},
}


@pytest.mark.parametrize("farm", FARMS)
@pytest.mark.no_cover  # other tests reach the same lines
def test_push_by_as3_of_an_unchanged_farm_declares_nothing(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3", farm: str
) -> None:
    assert pushed(spec(**FARMS[farm])).outcome == "applied"
    assert not device.tokens
    device.log.clear()
    assert pushed(spec(**FARMS[farm])).outcome == "unchanged"
    assert device.writes() == []


def test_push_by_as3_of_a_device_that_was_changed_by_hand_restores_the_farm(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3", console: "Console"
) -> None:
    pushed(spec())
    before = device.own()
    device.objects["ltm pool", "/orchestrator_test/nlbgen/orchestrator-test_web"]["slowRampTime"] = 99
    device.add("ltm pool", "/orchestrator_test/nlbgen/by-hand")
    assert pushed(spec(), dry_run=True).outcome == "planned"
    text = console.plans[-1].text()
    assert "orchestrator-test_web: slow-ramp-time: 99 -> 0" in text
    assert "- ltm pool /orchestrator_test/nlbgen/by-hand" in text
    assert pushed(spec()).outcome == "applied"
    assert device.own() == before


def test_push_by_as3_to_a_partition_that_as3_did_not_create_is_refused_also_with_adopt(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3"
) -> None:
    device.add("auth partition", "UiPath")
    with pytest.raises(DeviceError, match=r"the partition UiPath exists, but AS3 did not create it"):
        pushed(spec(f5={"partition": "UiPath"}), adopt=True)
    assert device.writes() == []


def test_push_by_as3_to_the_tenant_of_another_farm_needs_adopt(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3"
) -> None:
    pushed(spec(f5={"partition": "UiPath"}))
    other = spec(farm="other", f5={"partition": "UiPath"})
    with pytest.raises(DeviceError, match=r"exists, but nlbgen did not create it for this farm"):
        pushed(other)
    assert pushed(other, adopt=True).outcome == "applied"


@pytest.mark.parametrize("version, message", [("", "AS3 is not installed"), ("3.44.0", "AS3 3.44.0 is too old")])
def test_push_by_as3_without_a_supported_as3_is_refused(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3", version: str, message: str
) -> None:
    as3.version = version
    with pytest.raises(DeviceError, match=message):
        pushed(spec())
    assert device.writes() == []


def test_push_by_as3_while_as3_is_busy_retries(spec: "Make", pushed: "Pushed", as3: "As3") -> None:
    as3.busy, as3.polls = 2, 3
    assert pushed(spec()).outcome == "applied"


def test_push_by_as3_that_the_device_refuses_reports_its_message_and_changes_nothing(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3"
) -> None:
    device.add("ltm node", "/Common/web", address="10.99.0.1")
    pushed(spec())
    before, files = device.own(), device.files()
    nodes = [{"name": "a", "address": "10.20.0.11"}, {"name": "b", "address": "10.20.0.12"}]
    device.add("ltm virtual", "/Common/taken", destination="/orchestrator_test/10.20.0.77:443", ipProtocol="tcp")
    before = device.own()
    with pytest.raises(DeviceError, match=r"nothing was changed: declaration failed: 01070333:3"):
        pushed(spec(nodes=nodes, frontend={"address": "10.20.0.77"}))
    assert (device.own(), device.files()) == (before, files)


def test_push_by_as3_with_the_address_of_another_node_is_refused_before_a_declaration(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3"
) -> None:
    device.add("ltm node", "/Common/web", address="10.20.0.12")
    with pytest.raises(DeviceError, match=r"the address 10.20.0.12 belongs to the node /Common/web") as caught:
        pushed(spec())
    assert "or write `f5.api: rest`, write `f5.partition: Common`, the partition" in str(caught.value.hint)
    assert device.writes() == []


def test_push_by_as3_with_another_result_than_planned_fails_and_names_it(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3"
) -> None:
    def meddle(one: "BigIp") -> None:
        one.objects["ltm pool", "/orchestrator_test/nlbgen/orchestrator-test_web"]["slowRampTime"] = 77

    as3.meddle = meddle
    with pytest.raises(DeviceError, match=r"(?s)differs from the plan:.*slow-ramp-time: 77"):
        pushed(spec())


def declare(method: str, path: str) -> bool:
    return method == "POST" and "/declare" in path


@pytest.mark.parametrize("action, after", [("reset", True), ("async", False), ("garbage", True), ("reset", False)])
def test_push_by_as3_whose_answer_is_lost_reads_the_result_from_the_device(
    bigip: ModuleType, spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3", action: str, after: bool
) -> None:
    device.faults = [bigip.Fault(action, matches=declare, after=after)]
    if after:
        assert pushed(spec()).outcome == "applied"
    else:
        with pytest.raises(DeviceError, match=r"it is not known whether the declaration was applied"):
            pushed(spec())
        assert device.own() == {}
        assert pushed(spec()).outcome == "applied"


@pytest.mark.no_cover  # other tests reach the same lines
def test_restore_by_as3_declares_the_former_tenant(spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3") -> None:
    pushed(spec())
    before = device.own()
    report = pushed(spec(balancer={"affinity": "cookie"}))
    assert device.own() != before
    pushed(spec(), restore=report.snapshot)
    assert device.own() == before
    first = pushed(
        spec(
            farm="second",
            frontend={"address": "10.20.0.20"},
            nodes=[{"name": "a", "address": "10.1.0.1"}],
            accept=["one-node"],
        )
    )
    with pytest.raises(UsageError, match=r"is a snapshot of the farm second"):
        pushed(spec(), restore=first.snapshot)


def test_push_by_as3_of_another_plan_with_validate_or_to_a_standby_unit_is_refused(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3", tmp_path: Path
) -> None:
    digest = pushed(spec(), dry_run=True).plan.digest
    assert device.writes() == []
    with pytest.raises(DifferenceError):
        pushed(spec(balancer={"affinity": "cookie"}), expect=digest)
    with pytest.raises(UsageError, match=r"--validate needs"):
        pushed(spec(), validate=True)
    device.failover = "standby"
    with pytest.raises(DeviceError, match=r"this unit is standby"):
        pushed(spec())
    (tmp_path / "x.json").write_text(json.dumps({}))
    with pytest.raises(FileError, match=r"is not a snapshot"):
        pushed(spec(), restore=tmp_path / "x.json")


def test_push_by_as3_whose_record_is_missing_in_the_answer_is_refused(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tenant exists perhaps: AS3 would remove all else in it."""
    monkeypatch.setattr(as3, "record", lambda _tenant, _query: (200, {}))
    with pytest.raises(DeviceError, match=r"AS3's declaration"):
        pushed(spec())
    assert device.writes() == []


def record_of(*files: tuple[str, str, str]) -> dict[str, Any]:
    return {name: {"class": kind, as3_record._POINTERS[kind]: {"bigip": path}} for name, kind, path in files}


def test_record_of_as3_gets_the_current_files_of_a_renewed_profile() -> None:
    def profiles(ca: str, certificate: str, chain: str) -> list[Object]:
        entry = {"cert": certificate, "key": f"{certificate}.key", "chain": chain}
        return [
            Object("ltm profile server-ssl", "/t/nodes", {"ca-file": ca}),
            Object("ltm profile client-ssl", "/t/site", {"cert-key-chain": {"site": entry}}),
        ]

    record = record_of(("ca", "CA_Bundle", "/t/ca1"), ("site", "Certificate", "/t/1"), ("other", "Certificate", "/t/x"))
    kept = as3_record.renewed(record, profiles("/t/ca1", "/t/1", "none"), profiles("/t/ca2", "/t/2", "none"))
    assert kept["ca"] == {"class": "CA_Bundle", "bundle": {"bigip": "/t/ca2"}}
    site = {"class": "Certificate", "certificate": {"bigip": "/t/2"}, "privateKey": {"bigip": "/t/2.key"}}
    assert kept["site"] == site
    assert kept["other"] == record["other"]
    kept = as3_record.renewed(record, profiles("/t/ca1", "/t/1", "none"), profiles("/t/ca1", "/t/2", "/t/chain"))
    assert kept["site"] == {**site, "chainCA": {"bigip": "/t/chain"}}
    assert kept["ca"] == record["ca"]


# Going back.


WEB = "ltm pool", "/orchestrator_test/nlbgen/orchestrator-test_web"


@pytest.mark.no_cover  # other tests reach the same lines
def test_restore_by_as3_plans_from_the_record(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3", console: "Console"
) -> None:
    """The plan compares with the record, not with the current spec."""
    pushed(spec())
    before = device.own()
    changed = spec(balancer={"slow_start": "77s"})
    report = pushed(changed)
    device.log.clear()
    planned = pushed(changed, restore=report.snapshot, dry_run=True)
    assert planned.outcome == "planned" and device.writes() == []
    assert "orchestrator-test_web: slow-ramp-time: 77 -> 0" in console.plans[-1].text() and len(planned.plan) == 1
    with pytest.raises(DifferenceError):
        pushed(changed, restore=report.snapshot, expect="0123456789abcdef")
    assert device.writes() == []
    back = pushed(changed, restore=report.snapshot, expect=planned.plan.digest)
    assert back.snapshot is not None
    assert "optimisticLockKey" not in back.snapshot.read_text(encoding="utf-8"), "it is valid only for one state"
    assert back.outcome == "applied" and back.counts["ltm pool"]["changed"] == 1
    assert console.plans[-1].digest == planned.plan.digest
    assert device.own() == before
    device.log.clear()
    assert pushed(changed, restore=report.snapshot).outcome == "unchanged"
    assert device.writes() == []
    assert pushed(changed, restore=back.snapshot).outcome == "applied", "a restore saves what it changes as well"
    assert pushed(changed).outcome == "unchanged"


def test_restore_by_as3_needs_force_and_adopt_as_a_push_does(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3"
) -> None:
    nodes = [{"name": f"orch-{n}", "address": f"10.20.0.1{n}"} for n in (1, 2, 3)]
    drained = [{**node, "state": "drain" if node["name"] != "orch-1" else "up"} for node in nodes]
    pushed(spec(nodes=drained))
    report = pushed(spec(nodes=nodes))
    device.log.clear()
    with pytest.raises(DeviceError, match=r"more than half of the members of a pool: .*2 of 3 members"):
        pushed(spec(nodes=nodes), restore=report.snapshot)
    as3.declared["orchestrator_test"]["label"] = "another's"
    with pytest.raises(DeviceError, match=r"exists, but nlbgen did not create it for this farm"):
        pushed(spec(nodes=nodes), restore=report.snapshot, force=True)
    assert device.writes() == []
    assert pushed(spec(nodes=nodes), restore=report.snapshot, force=True, adopt=True).outcome == "applied"


def test_restore_by_as3_reads_the_result_back(spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3") -> None:
    pushed(spec())
    report = pushed(spec(balancer={"slow_start": "77s"}))
    as3.meddle = lambda one: one.objects[WEB].update(slowRampTime=5)
    with pytest.raises(DeviceError, match=r"(?s)differs from the plan:.*slow-ramp-time: 5 -> 0"):
        pushed(spec(), restore=report.snapshot)


def test_restore_by_as3_of_an_empty_device_removes_the_farm(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3"
) -> None:
    report = pushed(spec())
    assert pushed(spec(), restore=report.snapshot, force=True).outcome == "applied"
    assert device.own() == {} and as3.declared == {}
    assert pushed(spec(), restore=report.snapshot).outcome == "unchanged"
    assert pushed(spec()).outcome == "applied"


@pytest.fixture
def renewed(site: Path) -> dict[str, str]:
    return {"certificate": str(site / "renewed.pem"), "key": str(site / "renewed.key")}


def test_restore_by_as3_after_a_certificate_renewal_restores_the_earlier_certificate(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3", renewed: dict[str, str]
) -> None:
    pushed(spec())
    before = device.own()
    report = pushed(spec(frontend={"tls": renewed}))
    assert device.own() != before
    assert pushed(spec(), restore=report.snapshot).outcome == "applied"
    assert device.own() == before
    assert pushed(spec()).outcome == "unchanged"


def test_restore_by_as3_of_a_certificate_that_is_gone_keeps_the_current_one(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3", renewed: dict[str, str], console: "Console"
) -> None:
    pushed(spec())
    changed = spec(frontend={"tls": renewed}, balancer={"slow_start": "77s"})
    report = pushed(changed, prune=True)
    files = device.files()
    assert pushed(changed, restore=report.snapshot).outcome == "applied"
    assert device.effective(*WEB)["slowRampTime"] == 0
    assert device.files() == files
    assert any("orchestrator-test_clients keeps its current certificate" in text for text in console.said)
    assert pushed(changed, restore=report.snapshot).outcome == "unchanged"
    assert pushed(spec(frontend={"tls": renewed})).outcome == "unchanged"


def test_restore_by_as3_whose_ca_file_is_gone_is_refused(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3", site: Path
) -> None:
    # A CA that is not in the site's own chain as well.
    pushed(spec(frontend={"tls": {"verify_nodes": str(site / "renewed.pem")}}))
    unverified = spec(frontend={"tls": {"verify_nodes": False}})
    report = pushed(unverified, prune=True)
    device.log.clear()
    with pytest.raises(DeviceError, match=r"which is no longer on the device") as caught:
        pushed(unverified, restore=report.snapshot)
    assert "push the earlier spec" in str(caught.value.hint) and device.writes() == []


def test_push_by_as3_of_a_farm_without_tls_keeps_the_old_key_until_prune(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3"
) -> None:
    pushed(spec())
    before, files = device.own(), device.files()
    passthrough = spec(frontend={"tls": {"mode": "passthrough"}})
    report = pushed(passthrough, force=True)
    assert device.files() == files
    assert pushed(passthrough, restore=report.snapshot, force=True).outcome == "applied"
    assert device.own() == before
    pushed(passthrough, force=True, prune=True)
    # The monitor checks by the nodes' CA with passthrough, too.
    left = device.files()
    assert len(left) == 1 and left < files and next(iter(left)).endswith(".crt")
    assert device.saved == device.objects


# What is left to do.


def test_push_by_as3_after_a_failed_removal_of_a_certificate_removes_it(
    bigip: ModuleType, spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3", renewals: "Renewals"
) -> None:
    pushed(spec())
    pushed(spec(**renewals[0]))
    changed = spec(**renewals[1])
    device.faults = [bigip.Fault("busy", matches=lambda method, path: method == "DELETE" and "ssl-" in path, times=9)]
    with pytest.raises(DeviceError, match=r"was applied and read back"):
        pushed(changed)
    device.faults = []
    assert len(device.files()) == 7
    assert pushed(changed).outcome == "unchanged"
    assert len(device.files()) == 5 and device.saved == device.objects
    device.log.clear()
    assert pushed(changed).outcome == "unchanged"
    assert device.writes() == []


def test_push_by_as3_after_a_failed_sync_synchronises(
    spec: "Make", pushed: "Pushed", device: "BigIp", as3: "As3"
) -> None:
    with pytest.raises(DeviceError, match=r"the group none is not synchronized"):
        pushed(spec(), sync="none")
    assert pushed(spec(), sync="pair", dry_run=True).outcome == "unchanged" and device.synced == []
    assert pushed(spec(), sync="pair").outcome == "unchanged"
    assert device.synced == ["pair"]
