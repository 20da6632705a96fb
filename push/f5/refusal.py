"""A device's refusal of a transaction, with the object that caused it.

The device checks a queued command at the commit. Its error text does not contain the command, so the object is searched
in that text.
"""

import re
from collections.abc import Sequence

from ...core.errors import DeviceError
from ...generators.f5.vocabulary import mapping
from ..errors import OutcomeUnknownError, RefusedError
from .order import Command


class StillRunningError(OutcomeUnknownError):
    """The device may still apply the change: it did not confirm that the transaction has ended."""


class TransactionError(DeviceError):
    """The device refused the transaction: no change was applied."""


def refused(device: str, error: RefusedError, commands: Sequence[Command]) -> TransactionError:
    """Return the refusal, with the object that caused it if the device's text contains its name."""
    said = error.said.removeprefix("transaction failed:").strip()
    fault = _at_fault(said, commands)
    verbs = {"create": "to create", "change": "to change", "remove": "to remove"}
    where = f"{verbs[fault.verb]} {fault.about}" if fault else f"one of {len(commands)} commands"
    return TransactionError(
        f"{device}: the device refused {where}: {said} (HTTP {error.status}); nothing was changed",
        error.hint or _hint(said),
    )


def _hint(said: str) -> str:
    if said.startswith("01070333"):  # ... illegally shares destination address ... with Virtual Server /Common/x
        return "remove that virtual server if nothing needs it, or write another frontend.address or frontend.port"
    return "correct this on the device or in the spec, then push again"


def _at_fault(said: str, commands: Sequence[Command]) -> Command | None:
    """Return the command with the most names in the text; if several have the same number, the first in the text."""
    named: list[tuple[int, int, int, Command]] = []
    for command in commands:
        found = [match for name in _names(command) if (match := re.search(_whole(name), said))]
        if found:
            first = min(found, key=lambda match: match.start())
            named.append((-len(found), first.start(), -len(first[0]), command))
    return min(named, key=lambda each: each[:3])[3] if named else None


def _whole(name: str) -> str:
    """Whether the text contains the complete name. A blank separates a member's node and its port."""
    member = re.fullmatch(r"(.*)[:.](\d+)", name)
    own = rf"{re.escape(member[1])}[:. ]{member[2]}" if member else re.escape(name)
    return rf"(?<![\w.:-]){own}(?![\w.:-]*\w)"


def _names(command: Command) -> list[str]:
    """Return the names of a command's object: path, member, and address of its node."""
    address = ""
    if command.kind == "ltm node" and command.verb == "create" and command.wanted is not None:
        address = str(mapping(command.wanted.properties).get("address", ""))
    return [name for name in (command.member, command.path, address) if name]
