"""One transaction of iControl REST: queue, commit, and its outcome.

Sources: the recorded answers of 11.5 and 12.1, f5-bigip-rest-go (200 and COMPLETED count as success), f5-common-python
(the id is sent as text). If a commit takes longer than restjavad waits for it, the answer is an error with the text of
Java's exception (`remoteSender:10.200.1.1, method:POST`), and the device continues the commit (f5-ansible's issues 1207
and 1507). Therefore, only two texts are refusals of a commit.
"""

import contextlib
import re
import time
from collections.abc import Callable, Sequence
from typing import Final

from ....core.errors import DeviceError
from ...errors import NotSentError, OutcomeUnknownError, RefusedError, UntrustedError
from ..order import Command
from ..refusal import StillRunningError, refused
from .icontrol import RestSession
from .steps import steps

_PATH: Final = "/mgmt/tm/transaction"
_REFUSALS: Final = ("transaction failed", "there is no command to commit")
"""The beginnings of the texts with which a device refuses a commit; after any other error, the outcome is unknown."""


def run(
    device: RestSession, commands: Sequence[Command], pauses: Sequence[float], commit_begins: Callable[[], None]
) -> DeviceError | None:
    """Apply all commands, or none; return the error if the outcome of the commit is unknown.

    The error is a StillRunningError if the device did not confirm the end of the transaction. Raises DeviceError if
    nothing was applied. After an interruption (Ctrl-C) later than the call of `commit_begins`, it
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
            return error if _settle(device, number, pauses) else StillRunningError(error.message, error.hint)
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
    if not isinstance(number, int | str) or not re.fullmatch(r"[0-9A-Za-z-]{1,40}", str(number)):
        raise DeviceError(f"{device.login.name}: the device did not return a transaction")
    return str(number)


def _queue(device: RestSession, number: str, commands: Sequence[Command]) -> None:
    for step in steps(commands):
        device.send(step.method, step.path, step.body, step.about, transaction=number)


def _commit(device: RestSession, number: str) -> None:
    try:
        answer = device.send("PATCH", f"{_PATH}/{number}", {"state": "VALIDATING"}, "the commit", once=True)
    except RefusedError as error:
        if error.said.startswith(_REFUSALS):
            raise
        raise OutcomeUnknownError(error.message, error.hint, status=error.status) from None
    state = answer.data.get("state") if isinstance(answer.data, dict) else None
    if state != "COMPLETED":
        raise OutcomeUnknownError(f"{device.login.name}: the response to the commit has the state {state}")


def _abandon(device: RestSession, number: str) -> bool:
    """Delete the transaction, because an open transaction locks its objects until its timeout; return whether the
    device confirmed this.
    """
    try:
        device.send("DELETE", f"{_PATH}/{number}", None, "the end of the transaction", once=True)
    except DeviceError:
        return False
    return True


def _settle(device: RestSession, number: str, pauses: Sequence[float]) -> bool:
    """Wait until the transaction ends; return whether the device confirmed the end.

    If its commit never arrived, delete the transaction, so that it cannot run later. A transaction that the device does
    not know may have been forgotten by a restart of the REST daemon, while its commit goes on.
    """
    for pause in (*pauses, 0.0):
        with contextlib.suppress(DeviceError):
            answer = device.look(f"{_PATH}/{number}", "the transaction")
            state = answer.data.get("state") if isinstance(answer.data, dict) else None
            if answer.status == 404:
                return False
            if state in {"COMPLETED", "FAILED"}:
                return True
            if state == "STARTED":
                return _abandon(device, number)
        time.sleep(pause)
    return False
