"""Every call of a push fails once: afterwards the device has the old or the new state, the message says which, and the
next push completes.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from nlbgen.core.errors import DeviceError, NlbgenError, SpecError
from nlbgen.spec.load import Spec

if TYPE_CHECKING:
    from tests.f5.bigip import BigIp, Headers, Json, JsonValue, Key
    from tests.f5.conftest import Console, Make, Pushed, Reached, SpecValue

# The listener closes while connections are open: the garbage collector closes these.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
KINDS = {
    "gone": [("gone", False)],
    "reset-before": [("reset", False)],
    "reset-after": [("reset", True)],
    "timeout": [("hang", False), ("hang", True)],
    "garbage": [("garbage", True)],
    "unavailable": [("busy", False), ("restarting", False), ("not-registered", False), ("public-uri", False)],
    "undecided": [("mcpd", False), ("async", False)],
    "token": [("expired", False)],
    "refused": [("forbidden", False), ("bad-request", False)],
    "outlasted": [("outlasted", False), ("outlasted", True), ("outlasted-500", True), ("outlasted-404", True)],
}
"""Faults of a request. Where a fault has several forms, the call's number selects one."""
FOR_GOOD = 1000


def parts(count: int) -> list[Any]:
    """The numbers of the parts of a long test, of which `make test` runs the first."""
    return [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, count))]


def outcome(pushed: "Pushed", spec: Spec) -> NlbgenError | None:
    try:
        pushed(spec, pauses=(0.0, 0.0))
    except NlbgenError as error:
        return error
    return None


@dataclass
class Api:
    """One API of the device: the spec, the device that offers the API, and the number of calls of a complete push."""

    make: "Make"
    running: "Reached"
    offers: Callable[[], dict[str, Any]] = dict
    calls: int = 0
    new: Any = None
    """The objects of a device before any push."""

    @property
    def device(self) -> "BigIp":
        return self.running.device

    def restart(self) -> None:
        """Make the device new, with this API."""
        self.running.reset(**self.offers())


@pytest.fixture
def rest(make: "Make", running: "Reached") -> Api:
    return Api(make, running)


@pytest.fixture
def as3(make: "Make", running: "Reached", as3_module: ModuleType) -> Api:
    def made(**changes: "SpecValue") -> Spec:
        return make(f5={"api": "as3", **changes.pop("f5", {})}, **changes)

    return Api(made, running, lambda: {"extensions": [as3_module.As3().answer]})


@pytest.fixture
def soap(make: "Make", running: "Reached", soap_module: ModuleType, kept_descriptions: None) -> Api:
    pytest.importorskip("bigsuds")

    def made(**changes: "SpecValue") -> Spec:
        # Plain HTTP: SOAP asks for each property by itself, and a farm with TLS takes twice as many calls.
        return make(f5={"api": "soap", **changes.pop("f5", {})}, frontend={"tls": {"mode": "none"}}, **changes)

    return Api(made, running, lambda: {"version": "11.6.0", "portal": soap_module.Portal()})


@pytest.fixture
def soap_tls(make: "Make", running: "Reached", soap_module: ModuleType, kept_descriptions: None) -> Api:
    """SOAP with certificate files: with TLS to clients only."""
    pytest.importorskip("bigsuds")

    def made(**changes: "SpecValue") -> Spec:
        tls = {"mode": "terminate"}
        accept = ["tls-terminate-redirect"]
        return make(f5={"api": "soap", **changes.pop("f5", {})}, frontend={"tls": tls}, accept=accept, **changes)

    return Api(made, running, lambda: {"version": "11.6.0", "portal": soap_module.Portal()})


@pytest.fixture
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    """The API that the test names. The device is new after the test."""
    found: Api = request.getfixturevalue(request.param)
    yield found
    found.restart()


def counted(api: Api, pushed: "Pushed") -> dict[Any, Any]:
    """Push to a new device without a fault; return its objects and set `calls`."""
    api.restart()
    api.new = dict(api.device.objects)
    assert outcome(pushed, api.make()) is None
    api.calls = len(api.device.log)
    planned: dict[Any, Any] = api.device.own()
    return planned


def disturbed(
    api: Api,
    pushed: "Pushed",
    bigip: ModuleType,
    tmp_path: Path,
    number: int,
    kind: str,
    planned: "dict[Key, Json]",
    *,
    times: int,
) -> None:
    """Make call `number` of a push fail `times` times; check the device, the message and the next push."""
    action, after = KINDS[kind][number % len(KINDS[kind])]
    spec = api.make(f5={"timeout": "100ms"} if action == "hang" else {})
    api.restart()
    for path in (tmp_path / "snapshots").glob("*"):
        path.unlink()
    device, where = api.device, f"call {number}, {action}"
    hit = itertools.count(number)
    device.faults = [bigip.Fault(action, next(hit), after=after) for _ in range(times)]
    error = outcome(pushed, spec)
    now = device.own()
    assert now in ({}, planned), where
    if error is None:
        assert now == planned, where
    else:
        told(error, now == planned, where)
        assert device.password not in f"{error}{error.hint}"
    left = [one for one in device.transactions.values() if one.commands]
    assert not left or times > 1 or action == "gone", f"{where}: a device that could be reached kept a transaction"
    device.faults = []
    device.resume()
    if device.objects == api.new and not any((tmp_path / "snapshots").glob("*")):
        return  # as new, like the device of the push that was counted
    assert outcome(pushed, api.make()) is None, where
    assert device.own() == planned, where
    assert device.saved == device.objects, f"{where}: the next push did not save"
    assert len(device.tokens) <= 1, "a token whose login answer was lost may stay"


def told(error: NlbgenError, applied: bool, where: str) -> None:
    """Check that the message states the outcome, or that the outcome is unknown."""
    text = str(error)
    assert isinstance(error, DeviceError), f"{where}: {error!r}"
    assert text.startswith("127.0.0.1:"), f"{where}: {text}"
    if applied:
        assert "was applied" in text, f"{where}: {text}"
    else:
        assert "transaction was applied" not in text, f"{where}: {text}"
        assert "declaration was applied" not in text.replace("whether the declaration was applied", ""), text


@pytest.mark.slow
@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("part", parts(5))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("api", ["rest", "as3"], indirect=True)
def test_push_with_a_fault_at_any_call_is_applied_or_changes_nothing(
    api: Api, pushed: "Pushed", bigip: ModuleType, tmp_path: Path, kind: str, part: int
) -> None:
    """Without a network, because there are thousands of calls. The next test compares both.

    A part holds each fifth call, and from kind to kind another one.
    """
    planned = counted(api, pushed)
    for number in range(1 + (part + list(KINDS).index(kind)) % 5, api.calls + 1, 5):
        # Many timeouts take long, and test no more than many resets.
        times = FOR_GOOD if (number + list(KINDS).index(kind)) % 2 and kind != "timeout" else 1
        disturbed(api, pushed, bigip, tmp_path, number, kind, planned, times=times)


@pytest.mark.no_cover
@pytest.mark.parametrize("kind", ["gone", "reset-before", "reset-after", "timeout", "garbage", "unavailable"])
@pytest.mark.parametrize("api", ["rest", "as3"], indirect=True)
def test_push_with_a_network_fault_ends_alike_over_tls_and_in_process(
    api: Api, pushed: "Pushed", bigip: ModuleType, wire_module: ModuleType, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The first call and the one that changes the device are compared, over TLS on loopback."""
    counted(api, pushed)
    writes = [number for number, (method, path, *_) in enumerate(api.device.log, 1) if decides(method, path)]
    spec = api.make(f5={"timeout": "150ms"} if kind == "timeout" else {})
    # If the listener closes, open connections continue: only the first call has no connection.
    numbers = [1] if kind == "gone" else [1, writes[0]]
    told = [ended(api, pushed, bigip, spec, kind, number) for number in numbers]
    found = wire_module.near(monkeypatch)
    near = Api(api.make, found, api.offers)
    assert [ended(near, pushed, bigip, spec, kind, number) for number in numbers] == told


def decides(method: str, path: str) -> bool:
    return commit(method, path) or (method == "POST" and "/appsvcs/declare" in path)


def ended(api: Api, pushed: "Pushed", bigip: ModuleType, spec: Spec, kind: str, number: int) -> tuple[str, Any]:
    """Push with this fault; return the message and the device's objects."""
    api.restart()
    action, after = KINDS[kind][0]
    api.device.faults = [bigip.Fault(action, number, after=after)]
    error = outcome(pushed, spec)
    said = f"{type(error).__name__}: {error}"
    return said, api.device.own()


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("part", parts(len(KINDS)))
@pytest.mark.parametrize("api", ["soap"], indirect=True)
def test_push_by_soap_with_a_fault_at_any_call_is_applied_or_changes_nothing(
    api: Api, pushed: "Pushed", bigip: ModuleType, tmp_path: Path, part: int
) -> None:
    """SOAP's calls are many and slow, and most of them ask for one property: each fails in one way. The ways to fail
    take turns from call to call, and so do once and for good."""
    planned = counted(api, pushed)
    kinds = list(KINDS)
    for number in range(1 + part, api.calls + 1, len(kinds)):
        turn = number // len(kinds)
        kind = kinds[(part + turn) % len(kinds)]
        times = FOR_GOOD if turn % 2 and kind != "timeout" else 1
        disturbed(api, pushed, bigip, tmp_path, number, kind, planned, times=times)


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("part", parts(20))
@pytest.mark.parametrize("kind", ["outlasted", "reset-after"])
@pytest.mark.parametrize("api", ["soap_tls"], indirect=True)
def test_push_by_soap_with_a_lost_answer_to_any_call_is_applied_or_changes_nothing(
    api: Api, pushed: "Pushed", bigip: ModuleType, tmp_path: Path, kind: str, part: int
) -> None:
    """Each call, also for certificates: the device executes it or not, and the answer is another error or lost."""
    planned = counted(api, pushed)
    for number in range(1 + part, api.calls + 1, 20):
        disturbed(api, pushed, bigip, tmp_path, number, kind, planned, times=1)


@pytest.mark.parametrize("action", ["busy", "restarting", "not-registered", "public-uri", "mcpd", "async"])
def test_push_to_a_device_that_recovers_in_time_is_applied(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp", action: str
) -> None:
    device.faults = [bigip.Fault(action, matches=lambda method, _: method == "GET", times=2)]
    assert pushed(make()).outcome == "applied"


def test_push_to_a_restarting_device_does_not_treat_404_as_absent(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    pushed(make())
    before = device.own()
    device.faults = [bigip.Fault("not-registered", matches=lambda _, path: "/ltm/pool" in path, times=99)]
    with pytest.raises(DeviceError, match=r"cannot respond"):
        pushed(make(balancer={"slow_start": "9s"}))
    assert device.own() == before


def test_push_whose_token_expires_renews_the_token(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    device.faults = [bigip.Fault("expired", matches=lambda method, path: method == "POST" and "/ltm/" in path, times=1)]
    assert pushed(make()).outcome == "applied"
    assert device.tokens_made == 2


def commit(method: str, path: str) -> bool:
    return method == "PATCH" and "/tm/transaction/" in path


@pytest.mark.parametrize("action, after", [("reset", True), ("garbage", True), ("hang", True)])
def test_push_whose_commit_answer_is_lost_reads_the_result_from_the_device(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp", action: str, after: bool
) -> None:
    spec = make(f5={"timeout": "400ms"})
    device.faults = [bigip.Fault(action, matches=commit, after=after)]
    assert pushed(spec).outcome == "applied"
    assert sum(commit(method, path) for method, path, _, _ in device.log) == 1, "a commit is never sent twice"


@pytest.mark.parametrize("action", ["reset", "busy", "mcpd", "async"])
def test_push_whose_commit_failed_reports_that_nothing_changed(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp", action: str
) -> None:
    device.faults = [bigip.Fault(action, matches=commit)]
    with pytest.raises(DeviceError, match=r"the device was read again: nothing was changed"):
        pushed(make())
    assert device.own() == {}
    assert not device.transactions
    assert pushed(make()).outcome == "applied"


@pytest.mark.parametrize("action", ["outlasted", "outlasted-500", "outlasted-404"])
def test_push_whose_commit_outlasts_the_rest_daemon_is_completed(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp", action: str
) -> None:
    """The answer to the commit is an error, and the device applies the change while the push waits."""
    device.faults = [bigip.Fault(action, matches=commit, late=3)]
    assert pushed(make(), pauses=(0.0,) * 9).outcome == "applied"
    assert device.saved == device.objects
    assert sum(commit(method, path) for method, path, _, _ in device.log) == 1


@pytest.mark.parametrize("shown", ["VALIDATING", "unknown"])
@pytest.mark.parametrize("action", ["outlasted", "outlasted-500", "outlasted-404"])
def test_push_whose_commit_outlasts_the_push_keeps_its_snapshot_and_the_next_push_saves(
    bigip: ModuleType,
    make: "Make",
    pushed: "Pushed",
    device: "BigIp",
    console: "Console",
    tmp_path: Path,
    action: str,
    shown: str,
) -> None:
    device.faults = [bigip.Fault(action, matches=commit, late=1000)]
    if shown == "unknown":
        # The REST daemon has restarted and has forgotten the transaction.
        device.faults.append(bigip.Fault("gone-transaction", matches=ending, times=FOR_GOOD))
    with pytest.raises(DeviceError, match=r"it is not known whether it was applied") as caught:
        pushed(make())
    assert "was changed" not in str(caught.value)
    assert "nothing was changed" not in str(caught.value)
    assert list((tmp_path / "snapshots").iterdir())
    device.faults = []
    device.deferred[0][0] = 0  # the device completes the commit
    device.log.clear()
    assert pushed(make()).outcome == "unchanged"
    assert device.saved == device.objects
    assert "interrupted" in console.said[-2]


def ending(method: str, path: str) -> bool:
    return method == "GET" and "/tm/transaction/" in path


@pytest.mark.parametrize("action", ["forbidden", "bad-request"])
def test_push_whose_commit_ends_with_an_error_that_is_no_refusal_reads_the_result_from_the_device(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp", action: str
) -> None:
    device.faults = [bigip.Fault(action, matches=commit, after=True)]
    assert pushed(make()).outcome == "applied"
    assert device.saved == device.objects


def test_push_after_a_failed_save_saves(
    bigip: ModuleType, make: "Make", pushed: "Pushed", device: "BigIp", console: "Console"
) -> None:
    device.faults = [bigip.Fault("forbidden", matches=lambda _, path: path == "/mgmt/tm/sys/config")]
    with pytest.raises(DeviceError, match=r"was applied and read back, but the configuration is not saved"):
        pushed(make())
    assert device.saved != device.objects
    device.log.clear()
    assert pushed(make()).outcome == "unchanged"
    assert device.saved == device.objects
    assert device.writes() == [("POST", "/mgmt/tm/sys/config")]
    assert "interrupted" in console.said[-2]
    device.log.clear()
    pushed(make())
    assert device.writes() == []


def test_push_with_another_result_than_planned_fails_and_names_it(
    make: "Make", pushed: "Pushed", device: "BigIp"
) -> None:
    def meddle(method: str, path: str, _body: bytes) -> None:
        if method == "GET" and "/ltm/pool" in path and ("ltm pool", "/Common/orchestrator-test_web") in device.objects:
            device.objects["ltm pool", "/Common/orchestrator-test_web"]["slowRampTime"] = 77

    device.hook = meddle
    with pytest.raises(DeviceError, match=r"(?s)the device differs from the plan:.*slow-ramp-time: 77"):
        pushed(make())


# Two at once.


Matches: TypeAlias = Callable[[str, str, bytes], bool]
WRITES: dict[str, Matches] = {
    "rest": lambda method, path, _: method == "POST" and path == "/mgmt/tm/transaction",
    "as3": lambda method, path, _: method == "POST" and "/declare" in path,
    "soap": lambda _, __, body: b"start_transaction" in body,
}
"""The first call of each API with which a push begins to change something."""


@pytest.mark.parametrize("name, api", [(name, name) for name in WRITES], indirect=["api"])
def test_pushes_at_the_same_time_one_is_applied_and_the_other_fails(api: Api, name: str, pushed: "Pushed") -> None:
    """Both pushes have read the same state when the first one commits."""
    api.restart()
    if name == "as3":
        # AS3 locks a tenant that it has; of a new one the second declaration is the one that stays.
        pushed(api.make())
    both = threading.Barrier(2, timeout=10)
    met = threading.local()

    def wait(method: str, path: str, body: bytes) -> None:
        if WRITES[name](method, path, body) and not getattr(met, "done", False):
            met.done = True
            both.wait()

    api.device.hook = wait
    results: list[object] = []

    def run(spec: Spec) -> None:
        try:
            results.append(pushed(spec).outcome)
        except NlbgenError as error:
            results.append(error)

    specs = [api.make(balancer={"slow_start": slow}) for slow in ("3s", "4s")]
    threads = [threading.Thread(target=run, args=(spec,)) for spec in specs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    api.device.hook = None
    assert "applied" in results, results
    (loser,) = [result for result in results if result != "applied"]
    assert "the device was changed" in str(loser)
    assert pushed(specs[1]).outcome in {"applied", "unchanged"}


def test_push_to_a_device_that_changes_before_the_confirmation_is_refused(
    make: "Make", pushed: "Pushed", device: "BigIp", console: "Console"
) -> None:
    pushed(make())

    def meanwhile() -> bool:
        device.objects["ltm pool", "/Common/orchestrator-test_web"]["minActiveMembers"] = 1
        return True

    console.agrees = meanwhile
    with pytest.raises(NlbgenError, match=r"the device was changed after the plan"):
        pushed(make(balancer={"slow_start": "9s"}))
    assert device.effective("ltm pool", "/Common/orchestrator-test_web")["slowRampTime"] == 0


# Reaching and signing in.


def test_push_to_a_closed_port_is_not_sent(make: "Make", pushed: "Pushed") -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(DeviceError, match=r"cannot be reached: Connection refused"):
        pushed(make(f5={"port": port}))


def test_push_to_a_device_with_an_untrusted_certificate_sends_nothing(
    make: "Make", pushed: "Pushed", device: "BigIp", site: Path
) -> None:
    with pytest.raises(DeviceError, match=r"certificate is not trusted") as caught:
        pushed(make(f5={"ca": str(site / "ca.pem")}))
    assert "f5.ca" in str(caught.value.hint)
    assert device.log == []


def test_push_to_a_device_that_drops_the_connection_does_not_blame_its_certificate(
    make: "Make", pushed: "Pushed"
) -> None:
    import socket
    import threading

    def drop(server: socket.socket) -> None:
        while True:
            try:
                server.accept()[0].close()
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drop, args=(server,), daemon=True).start()
        with pytest.raises(DeviceError, match=r"the connection was lost") as caught:
            pushed(make(f5={"port": server.getsockname()[1]}))
        server.shutdown(socket.SHUT_RDWR)
    assert "certificate" not in f"{caught.value} {caught.value.hint}"


def test_push_with_a_wrong_password_fails_without_printing_it(
    make: "Make", pushed: "Pushed", device: "BigIp", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLBGEN_F5_TEST", "hunter2-wrong")
    with pytest.raises(DeviceError, match=r"the login was refused: Authentication failed. \(HTTP 401\)") as caught:
        pushed(make())
    assert "hunter2" not in f"{caught.value!r}{caught.value.hint}{caught.value.__context__!r}"
    assert caught.value.__cause__ is None
    assert len(device.log) == 1


def test_push_whose_login_is_refused_reports_the_reason(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    with pytest.raises(DeviceError, match=r"loginProviderName is invalid"):
        pushed(make(f5={"provider": "ldap"}))
    device.tokens = {str(number): 1e12 for number in range(100)}
    with pytest.raises(DeviceError, match=r"maximum active login tokens") as caught:
        pushed(make())
    assert "K44237337" in str(caught.value.hint)


def test_push_ignores_proxy_netrc_and_ca_of_the_environment(
    make: "Make", pushed: "Pushed", device: "BigIp", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login evil password evil\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    assert pushed(make()).outcome == "applied"


def test_push_without_a_host_or_a_password_is_refused(
    make: "Make", pushed: "Pushed", monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SpecError, match=r"f5.host: is missing"):
        pushed(make(f5={"host": None, "password": None}))
    monkeypatch.delenv("NLBGEN_F5_TEST")
    with pytest.raises(NlbgenError, match=r"NLBGEN_F5_TEST is not set"):
        pushed(make())


# Interrupted.


COMMITS: dict[str, Matches] = {
    "rest": lambda method, path, _: commit(method, path),
    "as3": lambda method, path, _: method == "POST" and "/declare" in path,
    "soap": lambda _, __, body: b"submit_transaction" in body,
}
"""The call of each API that changes the device."""


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("name, api", [(name, name) for name in COMMITS], indirect=["api"])
def test_push_after_an_interrupted_commit_completes(
    api: Api, name: str, pushed: "Pushed", console: "Console", monkeypatch: pytest.MonkeyPatch, applied: bool
) -> None:
    """Ctrl-C during the commit: the snapshot stays, and so do files that may be in use."""
    planned = counted(api, pushed)
    api.restart()
    device, real = api.device, type(api.device).exchange

    def exchange(
        one: "BigIp", method: str, target: str, headers: "Headers", body: bytes
    ) -> tuple[str, int, "JsonValue"]:
        if not COMMITS[name](method, target, body):
            return real(one, method, target, headers, body)
        monkeypatch.setattr(type(device), "exchange", real)
        if applied:
            real(one, method, target, headers, body)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(device), "exchange", exchange)
    with pytest.raises(KeyboardInterrupt):
        pushed(api.make())
    assert device.own() == (planned if applied else {})
    assert any("whether" in text and "is not known" in text for text in console.insisted)
    assert not device.tokens
    assert pushed(api.make()).outcome == ("unchanged" if applied else "applied")
    assert device.own() == planned
    assert device.saved == device.objects


@pytest.mark.usefixtures("near")
def test_push_interrupted_before_the_commit_rolls_back(rest: Api, pushed: "Pushed", tmp_path: Path) -> None:
    device = rest.device

    def interrupted(method: str, path: str, _body: bytes) -> None:
        if path == "/mgmt/tm/transaction":
            device.hook = None
            raise KeyboardInterrupt

    device.hook = interrupted
    with pytest.raises(KeyboardInterrupt):
        pushed(rest.make())
    assert device.own() == {} and device.files() == set() and not device.tokens
    assert not list((tmp_path / "snapshots").glob("*"))
