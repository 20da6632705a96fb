"""Route domains: an address without `%` is one of the partition's default domain, however the device writes it."""

from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen.core.errors import DeviceError, SpecError

if TYPE_CHECKING:
    from tests.f5.bigip import BigIp
    from tests.f5.conftest import Make, Pushed, Reached

HERE: dict[str, Any] = {"f5": {"partition": "Inside"}}


@pytest.fixture(params=[False, True], ids=["left-out", "spelled"])
def inside(device: "BigIp", request: pytest.FixtureRequest) -> "BigIp":
    """A device with a partition in route domain 2; it writes `%2` behind addresses or not."""
    device.spells_domains = request.param
    device.add("auth partition", "Inside", defaultRouteDomain=2)
    return device


FARMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "ipv6": {"frontend": {"address": "2001:db8::10"}},
    "wildcard": {"frontend": {"address": "*"}},
    "states": {
        "nodes": [
            {"name": "any", "address": "10.0.0.1"},
            {"name": "10.9.9.9", "address": "2001:db8::2", "state": "drain"},
            {"name": "c", "address": "node-c.corp.example", "state": "backup"},
        ]
    },
}


@pytest.mark.parametrize("farm", FARMS)
@pytest.mark.no_cover  # other tests reach the same lines
def test_push_to_another_route_domain_of_an_unchanged_farm_sends_no_write(
    make: "Make", pushed: "Pushed", inside: "BigIp", farm: str
) -> None:
    spec = make(**HERE, **FARMS[farm])
    assert pushed(spec).outcome == "applied"
    inside.log.clear()
    assert pushed(spec).outcome == "unchanged"
    assert inside.writes() == []


def test_push_with_an_address_that_is_used_in_another_route_domain_is_applied(
    make: "Make", pushed: "Pushed", inside: "BigIp"
) -> None:
    inside.add("ltm node", "/Common/elsewhere", address="10.20.0.11")
    assert pushed(make(**HERE)).outcome == "applied"
    assert inside.objects["ltm node", "/Common/elsewhere"]["address"] == "10.20.0.11"


@pytest.mark.parametrize("address", ["10.20.0.11%2", "10.20.0.12%2"])
def test_push_with_an_address_that_is_used_in_the_same_route_domain_is_refused(
    make: "Make", pushed: "Pushed", inside: "BigIp", address: str
) -> None:
    inside.add("ltm node", "/Common/here", address=address)
    with pytest.raises(DeviceError, match=rf"the address {address[:10]} belongs to the node /Common/here"):
        pushed(make(**HERE))
    assert inside.writes() == []


def test_push_after_an_object_was_moved_to_another_route_domain_moves_it_back(
    make: "Make", pushed: "Pushed", inside: "BigIp"
) -> None:
    pushed(make(**HERE))
    inside.objects["ltm virtual", "/Inside/orchestrator-test_main"]["destination"] = "/Inside/10.20.0.10%3:443"
    inside.spells_domains = False
    report = pushed(make(**HERE), dry_run=True)
    (change,) = [change for change in report.plan.changes if "destination" in change.path]
    assert "%3" in report.plan.text() and change.path.endswith("_main: destination")


def test_push_of_an_address_that_the_device_has_in_route_domain_0_corrects_it(
    make: "Make", pushed: "Pushed", inside: "BigIp"
) -> None:
    """`%0` names route domain 0, also where the default of the partition is 2."""
    pushed(make(**HERE))
    inside.objects["ltm node", "/Inside/orch-1"]["address"] = "10.20.0.11%0"
    report = pushed(make(**HERE), dry_run=True)
    assert "ltm node /Inside/orch-1: address" in report.plan.text()


def test_push_by_a_user_without_access_to_partitions_uses_route_domain_0(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    device.add("ltm node", "/Common/other", address="10.1.1.1")
    device.add("auth partition", "UiPath")
    device.faults = [bigip.Fault("forbidden", matches=lambda _, path: path == "/mgmt/tm/auth/partition", times=99)]
    assert pushed(make(f5={"partition": "UiPath"})).outcome == "applied"


def test_push_by_soap_reads_the_default_route_domains(
    make: "Make", pushed: "Pushed", device: "BigIp", soap_module: ModuleType, kept_descriptions: None
) -> None:
    pytest.importorskip("bigsuds")
    device.renew(version="11.6.0", portal=soap_module.Portal())
    device.add("auth partition", "Inside", defaultRouteDomain=2)
    device.add("ltm node", "/Common/elsewhere", address="10.20.0.11")
    spec = make(f5={"partition": "Inside", "api": "soap"})
    assert pushed(spec).outcome == "applied"
    assert pushed(spec).outcome == "unchanged"
    assert device.portal and any(name == "get_default_route_domain" for _, name in device.portal.calls)


def test_push_by_as3_keeps_the_default_route_domain_of_the_tenant(
    make: "Make", pushed: "Pushed", running: "Reached", as3_module: ModuleType
) -> None:
    as3 = as3_module.As3()
    running.reset(extensions=[as3.answer])
    spec = make(f5={"api": "as3"})
    pushed(spec)
    as3.declared["orchestrator_test"]["defaultRouteDomain"] = 2
    pushed(make(f5={"api": "as3"}, balancer={"slow_start": "9s"}))
    assert as3.declared["orchestrator_test"]["defaultRouteDomain"] == 2


@pytest.mark.parametrize("address", ["10.20.0.11%2", "2001:db8::1%2"])
def test_spec_with_a_route_domain_in_an_address_is_refused(make: "Make", address: str) -> None:
    with pytest.raises(SpecError, match=r"nodes\[0\].address: .*%2"):
        make(nodes=[{"name": "a", "address": address}, {"name": "b", "address": "10.0.0.2"}])
