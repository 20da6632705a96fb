"""One transaction of iControl REST: queue, commit, and its outcome.

Sources: the recorded answers of 11.5 and 12.1, f5-bigip-rest-go (200 and COMPLETED count as success), f5-common-python
(the id is sent as text).
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

from ....core.errors import DeviceError
from ...errors import NotSentError, OutcomeUnknownError, RefusedError, UntrustedError
from ..order import Command
from ..refusal import refused
from .icontrol import RestSession
from .steps import steps

_PATH: Final = "/mgmt/tm/transaction"


def run(
    device: RestSession, commands: Sequence[Command], pauses: Sequence[float], commit_begins: Callable[[], None]
) -> DeviceError | None:
    """Apply all commands, or none; return the error if the answer to the commit was lost.

    Raises DeviceError if nothing was applied. After an interruption (Ctrl-C) later than the call of `commit_begins`, it
    is unknown whether all changes were applied or none.
    """
    number = _start(device)
    committing = False
    try:
        _queue(device, number, commands)
        committing = True
        commit_begins()
        _commit(device, number)
    except RefusedError as error:
        _abandon(device, number)
        raise refused(device.login.name, error, commands) from None
    except (OutcomeUnknownError, NotSentError) as error:
        # The commit may still arrive at the device: wait for the end of the transaction, or delete it.
        if committing and not isinstance(error, UntrustedError):
            _settle(device, number, pauses)
            return error
        _abandon(device, number)
        raise
    except BaseException as error:
        # An interrupted commit is not rolled back: the device may be processing it, or may have completed it.
        if not committing or isinstance(error, DeviceError):
            _abandon(device, number)
        raise
    return None


def check(device: RestSession, commands: Sequence[Command]) -> None:
    """Let the device check the commands without applying them (TMOS 12.0 or later).

    Raises TransactionError if the device refuses a command.
    """
    number = _start(device)
    try:
        _queue(device, number, commands)
        body = {"state": "VALIDATING", "validateOnly": True}
        device.send("PATCH", f"{_PATH}/{number}", body, "the check", once=True)
    except RefusedError as error:
        raise refused(device.login.name, error, commands) from None
    finally:
        _abandon(device, number)


def _start(device: RestSession) -> str:
    answer = device.send("POST", _PATH, {}, "a transaction", again=True)
    number = answer.data.get("transId") if isinstance(answer.data, dict) else None
    if number is None:
        raise DeviceError(f"{device.login.name}: the device did not return a transaction")
    return str(number)


def _queue(device: RestSession, number: str, commands: Sequence[Command]) -> None:
    for step in steps(commands):
        device.send(step.method, step.path, step.body, step.about, transaction=number)


def _commit(device: RestSession, number: str) -> None:
    answer = device.send("PATCH", f"{_PATH}/{number}", {"state": "VALIDATING"}, "the commit", once=True)
    state = answer.data.get("state") if isinstance(answer.data, dict) else None
    if state != "COMPLETED":
        raise OutcomeUnknownError(f"{device.login.name}: the response to the commit has the state {state}")


def _abandon(device: RestSession, number: str) -> None:
    """Delete the transaction: an open transaction locks its objects until its timeout."""
    with contextlib.suppress(DeviceError):
        device.send("DELETE", f"{_PATH}/{number}", None, "the end of the transaction", once=True)


def _settle(device: RestSession, number: str, pauses: Sequence[float]) -> None:
    """Wait until the transaction ends.

    If its commit never arrived, delete the transaction, so that it cannot run later.
    """
    for pause in (*pauses, 0.0):
        with contextlib.suppress(DeviceError):
            answer = device.look(f"{_PATH}/{number}", "the transaction")
            state = answer.data.get("state") if isinstance(answer.data, dict) else None
            if answer.status != 200 or state in {"COMPLETED", "FAILED"}:
                return
            if state == "STARTED":
                _abandon(device, number)
                return
        time.sleep(pause)
