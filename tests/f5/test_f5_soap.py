"""`nlbgen push f5` with `api: soap`: what bigsuds does wrong is put right, and the limits are told."""

import sys

import pytest

from nlbgen.errors import DeviceError, NlbgenError, UnsupportedError, UsageError

pytest.importorskip("bigsuds")
# urllib leaves the socket of a handshake that fails to the garbage collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def portal(device, soap_module):
    if not soap_module.RECORDED.exists():
        pytest.skip("the recorded WSDLs are not here")
    device.__init__(version="11.6.0")
    device.portal = soap_module.Portal()
    return device.portal


@pytest.fixture
def spec(make):
    def made(**changes):
        return make(f5={"api": "soap", **changes.pop("f5", {})}, **changes)

    return made


@pytest.fixture
def prepared(make, pushed, device):
    """The profiles and rules are there, as if bigip.conf had been loaded, and nothing else."""

    def run(**changes) -> None:
        pushed(make(**changes))
        kinds = ("ltm node", "ltm monitor http", "ltm monitor https", "ltm pool", "ltm virtual")
        device.objects = {
            key: value for key, value in device.objects.items() if key[0] not in kinds or "Common/http" in key[1]
        }
        device.log.clear()

    return run


FARMS = {
    "plain": {},
    "http": {"frontend": {"tls": {"mode": "none"}}},
    "cookie": {"balancer": {"affinity": "cookie"}},
    "wildcard": {"frontend": {"address": "*"}},
    "states": {
        "nodes": [
            {"name": "a", "address": "10.0.0.1", "weight": 200},
            {"name": "b", "address": "2001:db8::2", "state": "drain"},
            {"name": "c", "address": "10.0.0.3", "state": "down"},
            {"name": "d", "address": "10.0.0.4", "state": "backup"},
        ]
    },
}


@pytest.mark.parametrize("farm", FARMS)
def test_a_second_push_writes_nothing(spec, pushed, device, portal, prepared, farm) -> None:
    prepared(**FARMS[farm])
    report = pushed(spec(**FARMS[farm]))
    assert report.outcome == "applied"
    assert device.saved == device.objects
    portal.calls.clear()
    assert pushed(spec(**FARMS[farm])).outcome == "unchanged"
    names = {name for _, name in portal.calls}
    assert all(name.startswith("get_") for name in names)
    assert portal.submitted == 1


def test_what_soap_made_rest_finds_right(spec, make, pushed, device, portal, prepared) -> None:
    prepared()
    pushed(spec())
    assert pushed(make()).outcome == "unchanged"


def test_members_come_go_and_drain(spec, pushed, device, portal, prepared) -> None:
    prepared()
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


def test_a_profile_that_is_not_there_is_told(spec, pushed, device) -> None:
    before = device.own()
    with pytest.raises(DeviceError, match=r"orchestrator-test_\w+\) was not found.*nothing was changed") as caught:
        pushed(spec())
    assert "tmsh load sys config merge" in str(caught.value.hint)
    assert device.own() == before


@pytest.mark.parametrize(
    "version, changes, problem",
    [
        ("16.1.2", {}, "f5-soap-websocket"),
        ("16.1.2", {}, "f5-soap-monitor-sni"),
        ("11.6.0", {"balancer": {"affinity": "signalr"}}, "f5-soap-policy"),
        ("11.6.0", {"nodes": [{"name": "a", "address": "a.corp.example"}], "accept": ["one-node"]}, "f5-soap-fqdn"),
    ],
)
def test_the_limits_have_ids(spec, pushed, device, portal, version, changes, problem) -> None:
    device.version = version
    with pytest.raises(UnsupportedError, match=problem):
        pushed(spec(**changes))
    assert portal.submitted == 0


def test_limits_that_can_be_accepted(spec, pushed, device, portal, prepared, make) -> None:
    device.__init__(version="16.1.2")
    device.portal = portal
    prepared()
    assert pushed(spec(accept=["f5-soap-websocket", "f5-soap-monitor-sni"])).outcome == "applied"


@pytest.mark.parametrize("option", [{"validate": True}, {"sync": "pair"}])
def test_options_that_need_rest(spec, pushed, option) -> None:
    with pytest.raises(UsageError, match=r"needs f5.api: rest"):
        pushed(spec(), **option)


# The traps of bigsuds.


def test_the_certificate_is_checked(spec, pushed, device, site) -> None:
    with pytest.raises(DeviceError, match="certificate is not trusted"):
        pushed(spec(f5={"ca": str(site / "ca.pem")}))
    assert device.log == []


def test_the_session_is_our_own_and_keeps_port_and_check(spec, pushed, portal, prepared) -> None:
    prepared()
    pushed(spec())
    assert all(not session.startswith("user:") for session in portal.sessions)


def test_every_call_is_one_request(spec, pushed, device, portal, prepared) -> None:
    prepared()
    pushed(spec(), dry_run=True)
    posts = [entry for entry in device.log if entry[0] == "POST"]
    assert len(posts) == len(portal.calls)
    assert all(status != 401 for *_, status in device.log)


def test_a_wrong_password_is_told_without_it(spec, pushed, monkeypatch) -> None:
    monkeypatch.setenv("NLBGEN_F5_TEST", "hunter2-wrong")
    with pytest.raises(DeviceError, match="the login was refused") as caught:
        pushed(spec())
    assert "hunter2" not in f"{caught.value!r}{caught.value.__context__!r}"


@pytest.mark.parametrize("action", ["restarting", "reset", "hang", "garbage"])
def test_whatever_bigsuds_raises_is_a_device_error(bigip, spec, pushed, device, action) -> None:
    device.faults = [bigip.Fault(action, number, times=1) for number in range(3, 6)]
    with pytest.raises(DeviceError, match=r"^127.0.0.1:\d+: "):
        pushed(spec(f5={"timeout": "400ms"}))


def test_proxies_of_the_environment_are_not_used(spec, pushed, monkeypatch, prepared) -> None:
    prepared()
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert pushed(spec()).outcome == "applied"


@pytest.mark.parametrize("after", [True, False])
def test_a_lost_answer_to_the_submission_is_found_out(bigip, spec, pushed, device, portal, prepared, after) -> None:
    prepared()
    portal.cut_submission = "after" if after else "before"
    if after:
        assert pushed(spec()).outcome == "applied"
    else:
        with pytest.raises(DeviceError, match="the device is not as planned"):
            pushed(spec())
    assert (("ltm pool", "/Common/orchestrator-test_web") in device.objects) == after
    assert pushed(spec()).outcome == ("unchanged" if after else "applied")


def test_without_bigsuds_the_install_line_is_told(spec, pushed, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "bigsuds", None)
    with pytest.raises(NlbgenError, match="bigsuds is not installed") as caught:
        pushed(spec())
    assert "pip install --no-deps bigsuds==1.0.6" in str(caught.value.hint)
