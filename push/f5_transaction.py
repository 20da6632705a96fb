"""One transaction of iControl REST: queue, commit, and what came of it.

A queued command is checked at the commit alone, and the device's text about a failure does not name the command: the
object at fault is found in that text. Sources: the recorded answers of 11.5 and 12.1, f5-bigip-rest-go (200 and
COMPLETED count as success), f5-common-python (the id is sent as text).
"""

import contextlib
import re
import time
from collections.abc import Sequence
from typing import Final, Literal

from ..errors import DeviceError
from .f5_plan import Step
from .icontrol import Device, LostError, RefusedError, UnreachableError

_PATH: Final = "/mgmt/tm/transaction"
Outcome = Literal["committed", "valid", "unknown"]


class TransactionError(DeviceError):
    """The device refused the transaction as a whole: nothing of it was applied."""


def run(device: Device, steps: Sequence[Step], pauses: Sequence[float], *, validate: bool = False) -> Outcome:
    """Apply all steps, or none: `unknown` where the answer to the commit was lost.

    With `validate` the device checks them and applies nothing (TMOS 12.0 or later). Raises DeviceError where nothing
    was applied.
    """
    number = _start(device)
    committing = False
    try:
        for step in steps:
            device.send(step.method, step.path, step.body, step.about, transaction=number)
        committing = not validate
        return _commit(device, number, validate=validate)
    except RefusedError as error:
        _abandon(device, number)
        raise _explained(device, error, steps) from None
    except (LostError, UnreachableError):
        if committing:
            _settle(device, number, pauses)
            return "unknown"
        _abandon(device, number)
        raise
    except BaseException:
        _abandon(device, number)
        raise


def _start(device: Device) -> str:
    answer = device.send("POST", _PATH, {}, "a transaction", again=True)
    number = answer.data.get("transId") if isinstance(answer.data, dict) else None
    if number is None:
        raise DeviceError(f"{device.login.name}: a transaction was asked for, and the answer holds none")
    return str(number)


def _commit(device: Device, number: str, *, validate: bool) -> Outcome:
    body = {"state": "VALIDATING", **({"validateOnly": True} if validate else {})}
    answer = device.send("PATCH", f"{_PATH}/{number}", body, "the commit", once=True)
    if validate:
        _abandon(device, number)
        return "valid"
    state = answer.data.get("state") if isinstance(answer.data, dict) else None
    if state != "COMPLETED":
        raise LostError(f"{device.login.name}: the commit was answered with the state {state}")
    return "committed"


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


def _explained(device: Device, error: RefusedError, steps: Sequence[Step]) -> TransactionError:
    """The refusal with the object at fault, as far as the device's text tells it."""
    said = error.text.removeprefix("transaction failed:").strip()
    fault = _at_fault(said, steps)
    where = f"{fault.about}: {_verb(fault)}" if fault else f"one of {len(steps)} commands"
    return TransactionError(
        f"{device.login.name}: the device refused {where}: {said} (HTTP {error.status}); nothing was changed",
        error.hint or "put that right on the device or in the spec, then push again",
    )


def _verb(step: Step) -> str:
    return {"POST": "to be made", "PATCH": "to be changed", "DELETE": "to be removed"}[step.method]


def _at_fault(said: str, steps: Sequence[Step]) -> Step | None:
    """The step whose object the text names first; an address stands for the node that has it."""
    named: list[tuple[int, int, Step]] = []
    for step in steps:
        for name in _names(step):
            found = re.search(rf"(?<![\w.:-]){re.escape(name)}(?![\w.:-]*\w)", said)
            if found:
                named.append((found.start(), -len(name), step))
    return min(named, key=lambda each: each[:2])[2] if named else None


def _names(step: Step) -> list[str]:
    about = step.about.partition(": ")
    path = about[0].rpartition(" ")[2]
    address = (step.body or {}).get("address") if "ltm node" in step.about else None
    return [name for name in (about[2], path, address) if name]
