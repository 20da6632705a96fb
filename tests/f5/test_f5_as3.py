"""`nlbgen push f5` with `api: as3` against the simulator."""

import json

import pytest

from nlbgen.errors import DeviceError, DifferenceError, UsageError


@pytest.fixture(name="as3")
def _as3(device, as3_module):
    one = as3_module.As3()
    device.extensions.append(one.answer)
    return one


@pytest.fixture
def spec(make):
    def made(**changes):
        f5 = {"api": "as3", **changes.pop("f5", {})}
        return make(f5=f5, **changes)

    return made


FARMS = {
    "plain": {},
    "terminate": {"frontend": {"tls": {"mode": "terminate"}}, "accept": ["tls-terminate-redirect"]},
    "passthrough": {"frontend": {"tls": {"mode": "passthrough"}}},
    "http": {"frontend": {"tls": {"mode": "none"}}},
    "modern": {"frontend": {"tls": {"profile": "modern"}}},
    "cookie": {"balancer": {"affinity": "cookie"}},
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
}


@pytest.mark.parametrize("farm", FARMS)
def test_the_second_push_declares_nothing(spec, pushed, device, as3, farm) -> None:
    assert pushed(spec(**FARMS[farm])).outcome == "applied"
    assert not device.tokens
    device.log.clear()
    assert pushed(spec(**FARMS[farm])).outcome == "unchanged"
    assert device.writes() == []


def test_drift_by_hand_is_found_although_as3_does_not_know(spec, pushed, device, as3, talk) -> None:
    pushed(spec())
    before = device.own()
    device.objects["ltm pool", "/orchestrator_test/nlbgen/orchestrator-test_web"]["slowRampTime"] = 99
    device.add("ltm pool", "/orchestrator_test/nlbgen/by-hand")
    assert pushed(spec(), dry_run=True).outcome == "planned"
    text = talk.plans[-1].text()
    assert "orchestrator-test_web: slow-ramp-time: 99 -> 0" in text
    assert "- ltm pool /orchestrator_test/nlbgen/by-hand" in text
    assert pushed(spec()).outcome == "applied"
    assert device.own() == before


def test_a_partition_that_as3_did_not_make_is_never_taken(spec, pushed, device, as3) -> None:
    device.add("auth partition", "UiPath")
    with pytest.raises(DeviceError, match=r"the partition UiPath is there and AS3 did not make it"):
        pushed(spec(f5={"partition": "UiPath"}), adopt=True)
    assert device.writes() == []


def test_the_tenant_of_another_needs_adopt(spec, pushed, device, as3) -> None:
    pushed(spec(f5={"partition": "UiPath"}))
    other = spec(farm="other", f5={"partition": "UiPath"})
    with pytest.raises(DeviceError, match=r"was not declared by this farm"):
        pushed(other)
    assert pushed(other, adopt=True).outcome == "applied"


@pytest.mark.parametrize("version, message", [("", "AS3 is not installed"), ("3.44.0", "AS3 3.44.0 is too old")])
def test_as3_itself_is_checked(spec, pushed, device, as3, version, message) -> None:
    as3.version = version
    with pytest.raises(DeviceError, match=message):
        pushed(spec())
    assert device.writes() == []


def test_a_busy_as3_is_asked_again(spec, pushed, as3) -> None:
    as3.busy, as3.polls = 2, 3
    assert pushed(spec()).outcome == "applied"


def test_a_refusal_names_what_the_device_says(spec, pushed, device, as3) -> None:
    device.add("ltm node", "/Common/web", address="10.99.0.1")
    pushed(spec())
    before, files = device.own(), device.files()
    nodes = [{"name": "a", "address": "10.20.0.11"}, {"name": "b", "address": "10.20.0.12"}]
    device.add("ltm virtual", "/Common/taken", destination="/orchestrator_test/10.20.0.77:443", ipProtocol="tcp")
    before = device.own()
    with pytest.raises(DeviceError, match=r"nothing was changed: declaration failed: 01070333:3"):
        pushed(spec(nodes=nodes, frontend={"address": "10.20.0.77"}))
    assert (device.own(), device.files()) == (before, files)


def test_an_address_of_another_node_is_found_before(spec, pushed, device, as3) -> None:
    device.add("ltm node", "/Common/web", address="10.20.0.12")
    with pytest.raises(DeviceError, match=r"the address 10.20.0.12 belongs to the node /Common/web"):
        pushed(spec())
    assert device.writes() == []


def test_what_is_not_as_planned_is_told(spec, pushed, device, as3) -> None:
    def meddle(one) -> None:
        one.objects["ltm pool", "/orchestrator_test/nlbgen/orchestrator-test_web"]["slowRampTime"] = 77

    as3.meddle = meddle
    with pytest.raises(DeviceError, match=r"(?s)not as planned:.*slow-ramp-time: 77"):
        pushed(spec())


def declare(method: str, path: str) -> bool:
    return method == "POST" and "/declare" in path


@pytest.mark.parametrize("action, after", [("reset", True), ("async", False), ("garbage", True), ("reset", False)])
def test_a_lost_answer_is_found_out_by_reading(bigip, spec, pushed, device, as3, action, after) -> None:
    device.faults = [bigip.Fault(action, matches=declare, after=after)]
    if after:
        assert pushed(spec()).outcome == "applied"
    else:
        with pytest.raises(DeviceError, match=r"whether the declaration was applied is not known"):
            pushed(spec())
        assert device.own() == {}
        assert pushed(spec()).outcome == "applied"


def test_restore_declares_what_was(spec, pushed, device, as3) -> None:
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
    with pytest.raises(UsageError, match=r"is a snapshot of second"):
        pushed(spec(), restore=first.snapshot)


def test_others_and_validate(spec, pushed, device, as3, tmp_path) -> None:
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
    with pytest.raises(UsageError, match=r"is not a snapshot"):
        pushed(spec(), restore=tmp_path / "x.json")
