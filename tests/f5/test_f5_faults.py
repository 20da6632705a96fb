"""Every call of a push fails in turn: the device is then as before or as planned, the message says which, and the
next push completes."""

import threading

import pytest

from nlbgen.errors import DeviceError, NlbgenError, SpecError

FAULTS = [
    ("reset", False),
    ("reset", True),
    ("hang", False),
    ("hang", True),
    ("garbage", True),
    ("busy", False),
    ("restarting", False),
    ("mcpd", False),
    ("not-registered", False),
    ("public-uri", False),
    ("async", False),
    ("expired", False),
    ("forbidden", False),
    ("bad-request", False),
]


@pytest.fixture
def calls(bigip, make, pushed, running, talk) -> int:
    """How many requests a push of everything takes."""
    pushed(make())
    number = len(running.device.log)
    running.device.__init__()
    return number


def outcome(pushed, spec) -> NlbgenError | None:
    try:
        pushed(spec, pauses=(0.0, 0.0))
    except NlbgenError as error:
        return error
    return None


@pytest.mark.slow
@pytest.mark.parametrize("action, after", FAULTS, ids=[f"{a}-{'after' if b else 'before'}" for a, b in FAULTS])
@pytest.mark.parametrize("times", [1, 1000], ids=["once", "for-good"])
def test_every_call_in_turn(bigip, make, pushed, running, tmp_path, calls, action, after, times, talk) -> None:
    spec = make(f5={"timeout": "400ms"}) if action == "hang" else make()
    device = running.device
    device.__init__()
    pushed(spec)
    planned = device.own()
    # A fault that stays ends the push where it begins: some of the calls tell as much as all of them.
    stride = 6 if times > 1 or action in {"hang", "mcpd", "public-uri", "garbage"} else 3
    for number in range(1, calls + 1, stride):
        device.__init__()
        for path in (tmp_path / "snapshots").glob("*"):
            path.unlink()
        hit = iter(range(number, 10_000))
        device.faults = [bigip.Fault(action, next(hit), after=after) for _ in range(times)]
        error = outcome(pushed, spec)
        now = device.own()
        assert now in ({}, planned), f"call {number}"
        if error is None:
            assert now == planned
        else:
            told(error, now == planned, number)
            assert device.password not in f"{error}{error.hint}"
        device.faults = []
        assert outcome(pushed, spec) is None
        assert device.own() == planned
        assert device.saved == device.objects, f"call {number}: the next push did not save"
        assert len(device.tokens) <= 1, "a token whose login answer was lost may stay"
        left = [one for one in device.transactions.values() if one.commands]
        assert not left or times > 1, "an open transaction was left to a device that could be reached"
        assert pushed(spec).outcome == "unchanged"


def told(error: NlbgenError, applied: bool, number: int) -> None:
    """The message says what is the case, or that it cannot know."""
    text = str(error)
    assert isinstance(error, DeviceError), f"call {number}: {error!r}"
    assert text.startswith("127.0.0.1:")
    if applied:
        assert "was applied" in text or "whether it was applied is not known" in text, f"call {number}: {text}"
    else:
        assert "the transaction was applied" not in text, f"call {number}: {text}"


@pytest.mark.parametrize("action", ["busy", "restarting", "not-registered", "public-uri", "mcpd", "async"])
def test_a_device_that_comes_back_in_time_is_no_failure(bigip, make, pushed, device, action) -> None:
    device.faults = [bigip.Fault(action, matches=lambda method, _: method == "GET", times=2)]
    assert pushed(make()).outcome == "applied"


def test_a_404_of_a_restarting_daemon_does_not_mean_absent(bigip, make, pushed, device) -> None:
    pushed(make())
    before = device.own()
    device.faults = [bigip.Fault("not-registered", matches=lambda _, path: "/ltm/pool" in path, times=99)]
    with pytest.raises(DeviceError, match=r"not able to answer"):
        pushed(make(balancer={"slow_start": "9s"}))
    assert device.own() == before


def test_a_token_that_ends_midway_is_renewed(bigip, make, pushed, device) -> None:
    device.faults = [bigip.Fault("expired", matches=lambda method, path: method == "POST" and "/ltm/" in path, times=1)]
    assert pushed(make()).outcome == "applied"
    assert device.tokens_made == 2


def commit(method: str, path: str) -> bool:
    return method == "PATCH" and "/tm/transaction/" in path


@pytest.mark.parametrize("action, after", [("reset", True), ("garbage", True), ("hang", True)])
def test_a_lost_answer_to_the_commit_is_found_out_by_reading(bigip, make, pushed, device, action, after) -> None:
    spec = make(f5={"timeout": "400ms"})
    device.faults = [bigip.Fault(action, matches=commit, after=after)]
    assert pushed(spec).outcome == "applied"
    assert sum(commit(method, path) for method, path, _, _ in device.log) == 1, "a commit is never sent twice"


@pytest.mark.parametrize("action", ["reset", "busy", "mcpd", "async"])
def test_a_commit_that_did_not_happen_is_told(bigip, make, pushed, device, action) -> None:
    device.faults = [bigip.Fault(action, matches=commit)]
    with pytest.raises(DeviceError, match=r"the device was read again, and nothing was changed"):
        pushed(make())
    assert device.own() == {}
    assert not device.transactions
    assert pushed(make()).outcome == "applied"


def test_a_push_that_could_not_save_completes_later(bigip, make, pushed, device, talk) -> None:
    device.faults = [bigip.Fault("forbidden", matches=lambda _, path: path == "/mgmt/tm/sys/config")]
    with pytest.raises(DeviceError, match=r"was applied and read back, and is not saved"):
        pushed(make())
    assert device.saved != device.objects
    device.log.clear()
    assert pushed(make()).outcome == "unchanged"
    assert device.saved == device.objects
    assert device.writes() == [("POST", "/mgmt/tm/sys/config")]
    assert "cut off" in talk.said[-2]
    device.log.clear()
    pushed(make())
    assert device.writes() == []


def test_what_is_applied_otherwise_than_planned_is_told(make, pushed, device) -> None:
    def meddle(method: str, path: str) -> None:
        if method == "GET" and "/ltm/pool" in path and ("ltm pool", "/Common/orchestrator-test_web") in device.objects:
            device.objects["ltm pool", "/Common/orchestrator-test_web"]["slowRampTime"] = 77

    device.hook = meddle
    with pytest.raises(DeviceError, match=r"(?s)the device is not as planned:.*slow-ramp-time: 77"):
        pushed(make())


# Two at once.


def test_two_pushes_at_once_one_wins_and_the_other_says_so(make, pushed, device) -> None:
    """Both have read the same state when the first one commits."""
    both = threading.Barrier(2, timeout=10)
    met = threading.local()

    def wait(method: str, path: str) -> None:
        if method == "POST" and path == "/mgmt/tm/transaction" and not getattr(met, "done", False):
            met.done = True
            both.wait()

    device.hook = wait
    results: list[object] = []

    def run(spec) -> None:
        try:
            results.append(pushed(spec).outcome)
        except NlbgenError as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(make(balancer={"slow_start": slow}),)) for slow in ("3s", "4s")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert "applied" in results
    (loser,) = [result for result in results if result != "applied"]
    assert isinstance(loser, DeviceError) and "somebody else changed the device" in str(loser)
    assert pushed(make(balancer={"slow_start": "4s"})).outcome in {"applied", "unchanged"}


def test_a_change_while_the_question_stands_stops_the_push(make, pushed, device, talk) -> None:
    pushed(make())

    def meanwhile() -> bool:
        device.objects["ltm pool", "/Common/orchestrator-test_web"]["minActiveMembers"] = 1
        return True

    talk.agrees = meanwhile
    with pytest.raises(NlbgenError, match=r"somebody else changed the device after the plan"):
        pushed(make(balancer={"slow_start": "9s"}))
    assert device.effective("ltm pool", "/Common/orchestrator-test_web")["slowRampTime"] == 0


# Reaching and signing in.


def test_a_port_where_nobody_listens(make, pushed) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(DeviceError, match=r"cannot be reached: Connection refused"):
        pushed(make(f5={"port": port}))


def test_a_certificate_that_is_not_trusted(make, pushed, device, site) -> None:
    with pytest.raises(DeviceError, match=r"certificate is not trusted") as caught:
        pushed(make(f5={"ca": str(site / "ca.pem")}))
    assert "f5.ca" in str(caught.value.hint)
    assert device.log == []


def test_a_wrong_password_is_not_shown(make, pushed, device, monkeypatch) -> None:
    monkeypatch.setenv("NLBGEN_F5_TEST", "hunter2-wrong")
    with pytest.raises(DeviceError, match=r"the login was refused: Authentication failed. \(HTTP 401\)") as caught:
        pushed(make())
    assert "hunter2" not in f"{caught.value!r}{caught.value.hint}{caught.value.__context__!r}"
    assert caught.value.__cause__ is None
    assert len(device.log) == 1


def test_a_wrong_provider_and_too_many_tokens(make, pushed, device) -> None:
    with pytest.raises(DeviceError, match=r"loginProviderName is invalid"):
        pushed(make(f5={"provider": "ldap"}))
    device.tokens = {str(number): 1e12 for number in range(100)}
    with pytest.raises(DeviceError, match=r"maximum active login tokens") as caught:
        pushed(make())
    assert "K44237337" in str(caught.value.hint)


def test_nothing_from_the_environment_is_used(make, pushed, device, monkeypatch, tmp_path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login evil password evil\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    assert pushed(make()).outcome == "applied"


def test_a_spec_without_device_or_password_says_so(make, pushed, monkeypatch) -> None:
    with pytest.raises(SpecError, match=r"f5.host: is missing"):
        pushed(make(f5={"host": None, "password": None}))
    monkeypatch.delenv("NLBGEN_F5_TEST")
    with pytest.raises(NlbgenError, match=r"NLBGEN_F5_TEST is not set"):
        pushed(make())
