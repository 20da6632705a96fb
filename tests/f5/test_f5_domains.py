"""Route domains: an address without `%` is one of the partition's default domain, however the device writes it."""

import pytest

from nlbgen.core.errors import DeviceError, SpecError

HERE = {"f5": {"partition": "Inside"}}


@pytest.fixture(params=[False, True], ids=["left-out", "spelled"])
def inside(device, request):
    """A device with a partition in route domain 2, which it writes behind addresses or not."""
    device.spells_domains = request.param
    device.add("auth partition", "Inside", defaultRouteDomain=2)
    return device


FARMS = {
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
def test_the_second_push_sends_no_write(make, pushed, inside, farm) -> None:
    spec = make(**HERE, **FARMS[farm])
    assert pushed(spec).outcome == "applied"
    inside.log.clear()
    assert pushed(spec).outcome == "unchanged"
    assert inside.writes() == []


def test_an_address_of_another_domain_is_another_machine(make, pushed, inside) -> None:
    inside.add("ltm node", "/Common/elsewhere", address="10.20.0.11")
    assert pushed(make(**HERE)).outcome == "applied"
    assert inside.objects["ltm node", "/Common/elsewhere"]["address"] == "10.20.0.11"


@pytest.mark.parametrize("address", ["10.20.0.11%2", "10.20.0.12%2"])
def test_an_address_of_the_same_domain_is_refused_before_anything_is_done(make, pushed, inside, address) -> None:
    inside.add("ltm node", "/Common/here", address=address)
    with pytest.raises(DeviceError, match=rf"the address {address[:10]} belongs to the node /Common/here"):
        pushed(make(**HERE))
    assert inside.writes() == []


def test_an_object_that_was_moved_to_another_domain_is_found(make, pushed, inside) -> None:
    pushed(make(**HERE))
    inside.objects["ltm virtual", "/Inside/orchestrator-test_main"]["destination"] = "/Inside/10.20.0.10%3:443"
    inside.spells_domains = False
    report = pushed(make(**HERE), dry_run=True)
    (change,) = [change for change in report.plan.changes if "destination" in change.path]
    assert "%3" in report.plan.text() and change.path.endswith("_main: destination")


def test_domain_0_is_spelled_where_it_is_not_the_partitions_own(make, pushed, inside) -> None:
    """`%0` is no way to write nothing there."""
    pushed(make(**HERE))
    inside.objects["ltm node", "/Inside/orch-1"]["address"] = "10.20.0.11%0"
    report = pushed(make(**HERE), dry_run=True)
    assert "ltm node /Inside/orch-1: address" in report.plan.text()


def test_a_user_who_may_not_see_partitions_pushes_to_domain_0(bigip, make, pushed, device) -> None:
    device.add("ltm node", "/Common/other", address="10.1.1.1")
    device.add("auth partition", "UiPath")
    device.faults = [bigip.Fault("forbidden", matches=lambda _, path: path == "/mgmt/tm/auth/partition", times=99)]
    assert pushed(make(f5={"partition": "UiPath"})).outcome == "applied"


def test_soap_tells_the_domains_as_well(make, pushed, device, soap_module, kept_descriptions) -> None:
    pytest.importorskip("bigsuds")
    device.__init__(version="11.6.0", portal=soap_module.Portal())
    device.add("auth partition", "Inside", defaultRouteDomain=2)
    device.add("ltm node", "/Common/elsewhere", address="10.20.0.11")
    spec = make(f5={"partition": "Inside", "api": "soap"})
    assert pushed(spec).outcome == "applied"
    assert pushed(spec).outcome == "unchanged"
    assert any(name == "get_default_route_domain" for _, name in device.portal.calls)


def test_as3_keeps_the_default_domain_of_its_tenant(make, pushed, running, as3_module) -> None:
    as3 = as3_module.As3()
    running.reset(extensions=[as3.answer])
    spec = make(f5={"api": "as3"})
    pushed(spec)
    as3.declared["orchestrator_test"]["defaultRouteDomain"] = 2
    pushed(make(f5={"api": "as3"}, balancer={"slow_start": "9s"}))
    assert as3.declared["orchestrator_test"]["defaultRouteDomain"] == 2


@pytest.mark.parametrize("address", ["10.20.0.11%2", "2001:db8::1%2"])
def test_a_spec_has_no_route_domain(make, address) -> None:
    with pytest.raises(SpecError, match=r"nodes\[0\].address: .*%2"):
        make(nodes=[{"name": "a", "address": address}, {"name": "b", "address": "10.0.0.2"}])
