"""One transaction of iControl REST: queue, commit, and what came of it.

A queued command is checked at the commit alone, and the device's text about a failure does not name the command: the
object at fault is found in that text. Sources: the recorded answers of 11.5 and 12.1, f5-bigip-rest-go (200 and
COMPLETED count as success), f5-common-python (the id is sent as text).
"""

import contextlib
import re
import time
from collections.abc import Callable, Sequence
from typing import Final

from ....core.errors import DeviceError
from ..plan import Step
from ..session import Outcome, TransactionError
from .icontrol import Device, LostError, RefusedError, UnreachableError

_PATH: Final = "/mgmt/tm/transaction"


def run(device: Device, steps: Sequence[Step], pauses: Sequence[float], committing_now: Callable[[], None]) -> Outcome:
    """Apply all steps, or none: `unknown` where the answer to the commit was lost.

    Raises DeviceError where nothing was applied. What else ends it after `committing_now` was called, as Ctrl-C does,
    leaves open whether everything was applied, or nothing.
    """
    number = _start(device)
    committing = False
    try:
        _queue(device, number, steps)
        committing = True
        committing_now()
        _commit(device, number)
    except RefusedError as error:
        _abandon(device, number)
        raise refused(device.login.name, error, steps) from None
    except (LostError, UnreachableError):
        if committing:
            _settle(device, number, pauses)
            return "unknown"
        _abandon(device, number)
        raise
    except BaseException as error:
        # An interrupted commit is not taken back: the device may be at work on it, or through with it.
        if not committing or isinstance(error, DeviceError):
            _abandon(device, number)
        raise
    return "committed"


def check(device: Device, steps: Sequence[Step]) -> None:
    """Have the device check the steps and apply nothing (TMOS 12.0 or later).

    Raises TransactionError for what it refuses.
    """
    number = _start(device)
    try:
        _queue(device, number, steps)
        body = {"state": "VALIDATING", "validateOnly": True}
        device.send("PATCH", f"{_PATH}/{number}", body, "the check", once=True)
    except RefusedError as error:
        raise refused(device.login.name, error, steps) from None
    finally:
        _abandon(device, number)


def _start(device: Device) -> str:
    answer = device.send("POST", _PATH, {}, "a transaction", again=True)
    number = answer.data.get("transId") if isinstance(answer.data, dict) else None
    if number is None:
        raise DeviceError(f"{device.login.name}: a transaction was asked for, and the answer holds none")
    return str(number)


def _queue(device: Device, number: str, steps: Sequence[Step]) -> None:
    for step in steps:
        device.send(step.method, step.path, step.body, step.about, transaction=number)


def _commit(device: Device, number: str) -> None:
    answer = device.send("PATCH", f"{_PATH}/{number}", {"state": "VALIDATING"}, "the commit", once=True)
    state = answer.data.get("state") if isinstance(answer.data, dict) else None
    if state != "COMPLETED":
        raise LostError(f"{device.login.name}: the commit was answered with the state {state}")


def _abandon(device: Device, number: str) -> None:
    """An open transaction would stay until its time-out, and hold the objects that it names."""
    with contextlib.suppress(DeviceError):
        device.send("DELETE", f"{_PATH}/{number}", None, "the end of the transaction", once=True)


def _settle(device: Device, number: str, pauses: Sequence[float]) -> None:
    """Wait until the transaction is over; one whose commit never arrived is ended, so that it cannot come later."""
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


def refused(device: str, error: RefusedError, steps: Sequence[Step]) -> TransactionError:
    """The refusal with the object at fault, as far as the device's text tells it."""
    said = error.text.removeprefix("transaction failed:").strip()
    fault = _at_fault(said, steps)
    where = f"{fault.about}: {_verb(fault)}" if fault else f"one of {len(steps)} commands"
    return TransactionError(
        f"{device}: the device refused {where}: {said} (HTTP {error.status}); nothing was changed",
        error.hint or "put that right on the device or in the spec, then push again",
    )


def _verb(step: Step) -> str:
    return {"POST": "to be made", "PATCH": "to be changed", "DELETE": "to be removed"}[step.method]


def _at_fault(said: str, steps: Sequence[Step]) -> Step | None:
    """The step that the text speaks of: that with most of its names in it, then the one named first."""
    named: list[tuple[int, int, int, Step]] = []
    for step in steps:
        found = [match for name in _names(step) if (match := re.search(_whole(name), said))]
        if found:
            first = min(found, key=lambda match: match.start())
            named.append((-len(found), first.start(), -len(first[0]), step))
    return min(named, key=lambda each: each[:3])[3] if named else None


def _whole(name: str) -> str:
    """A name, and not the beginning or end of another one; between a member's node and its port a text has a blank."""
    member = re.fullmatch(r"(.*)[:.](\d+)", name)
    own = rf"{re.escape(member[1])}[:. ]{member[2]}" if member else re.escape(name)
    return rf"(?<![\w.:-]){own}(?![\w.:-]*\w)"


def _names(step: Step) -> list[str]:
    """An object's path, a member's name, and the address that stands for the node which has it."""
    about = step.about.partition(": ")
    path = about[0].rpartition(" ")[2]
    address = (step.body or {}).get("address") if "ltm node" in step.about else None
    return [name for name in (about[2], path, address) if name]
