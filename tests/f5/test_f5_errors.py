"""Each transport to a BIG-IP distinguishes the same three failures: not sent, outcome unknown, refused."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from nlbgen.push.errors import ClosedPortError, NotSentError, OutcomeUnknownError, RefusedError, UntrustedError
from nlbgen.push.f5.login import login
from nlbgen.push.f5.rest.icontrol import RestSession
from nlbgen.push.http import retried

if TYPE_CHECKING:
    from tests.f5.conftest import Make, Reached

Call = Callable[[], object]


@pytest.fixture
def write(request: pytest.FixtureRequest, near: "Reached", make: "Make", soap_module: ModuleType) -> Iterator[Call]:
    """A request by one transport that changes something, and is sent once."""
    if request.param == "rest":
        with RestSession(login(make()), pauses=()) as device:
            yield lambda: device.send("POST", "/mgmt/tm/transaction", {}, "a transaction", once=True)
        return
    pytest.importorskip("bigsuds")
    from nlbgen.push.f5.soap.portal import Portal

    near.device.portal = soap_module.Portal()
    with Portal(login(make(f5={"api": "soap"}))) as portal:
        portal.start()
        yield portal.submit


both = pytest.mark.parametrize("write", ["rest", "soap"], indirect=True)


@both
def test_request_without_a_fault_succeeds(write: Call) -> None:
    write()


@both
def test_request_to_a_closed_port_is_not_sent(write: Call, near: "Reached") -> None:
    near.stop()
    with pytest.raises(NotSentError, match="cannot be reached: Connection refused") as caught:
        write()
    assert not isinstance(caught.value, ClosedPortError)  # it has answered: its API restarts
    near.listen()


@both
def test_request_to_an_api_that_restarts_is_not_sent(write: Call, near: "Reached", bigip: ModuleType) -> None:
    near.device.faults = [bigip.Fault("busy", matches=lambda method, _: method == "POST")]
    with pytest.raises(NotSentError, match="cannot respond"):
        write()


@both
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("action", ["reset", "hang"])
def test_request_whose_answer_is_lost_has_an_unknown_outcome(
    write: Call, near: "Reached", bigip: ModuleType, action: str, after: bool
) -> None:
    near.device.faults = [bigip.Fault(action, matches=lambda method, _: method == "POST", after=after)]
    with pytest.raises(OutcomeUnknownError):
        write()


@both
def test_request_whose_answer_is_unreadable_has_an_unknown_outcome(
    write: Call, near: "Reached", bigip: ModuleType
) -> None:
    near.device.faults = [bigip.Fault("garbage", matches=lambda method, _: method == "POST", after=True)]
    with pytest.raises(OutcomeUnknownError, match="the response cannot be read"):
        write()


def test_rest_request_that_the_device_does_not_accept_is_refused(near: "Reached", make: "Make") -> None:
    with RestSession(login(make()), pauses=()) as device, pytest.raises(RefusedError) as caught:
        device.send("PATCH", "/mgmt/tm/ltm/pool/~Common~absent", {"description": "x"}, "a pool", once=True)
    assert caught.value.status == 404
    assert "was not found" in caught.value.said


def test_soap_request_that_the_device_does_not_accept_is_refused(
    near: "Reached", make: "Make", soap_module: ModuleType
) -> None:
    pytest.importorskip("bigsuds")
    from nlbgen.push.f5.soap.portal import Portal

    near.device.portal = soap_module.Portal()
    with Portal(login(make(f5={"api": "soap"}))) as portal, pytest.raises(RefusedError) as caught:
        portal.submit()
    assert caught.value.said


# Which of them is repeated.


@pytest.mark.parametrize(
    "error, repeatable, attempts",
    [
        (NotSentError("x"), False, 3),
        (NotSentError("x"), True, 3),
        (UntrustedError("x"), True, 1),
        (ClosedPortError("x"), True, 1),
        (OutcomeUnknownError("x"), False, 1),
        (OutcomeUnknownError("x"), True, 3),
        (RefusedError("x", status=400, said=""), True, 1),
    ],
)
def test_retried_repeats_unsent_and_repeatable_requests(error: Exception, repeatable: bool, attempts: int) -> None:
    made, said = [], list[str]()

    def attempt() -> None:
        made.append(1)
        raise error

    with pytest.raises(type(error)):
        retried(attempt, (0.0, 0.0), repeatable=repeatable, say=said.append)
    assert len(made) == attempts
    assert said == ["x; attempt 2 of 3 in 0 s", "x; attempt 3 of 3 in 0 s"][: attempts - 1]
