"""Compare the configuration that runs today with the one that the spec makes."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ..core.errors import UsageError
from ..core.wording import one_of
from ..generators.base import VENDORS, generator, render
from ..readers.load import READERS, read, read_content
from ..readers.tree import Configuration, Unread, Vendor
from ..spec.load import Spec
from ..takeover.account import Account, Fate, Line
from ..takeover.draft import Draft
from ..takeover.importers import IMPORTERS, take
from . import haproxy, nginx, nodes, values
from .rules import RuleChange, rule_changes
from .values import Difference

OPEN: Final[tuple[Fate, ...]] = ("given up", "not understood")
"""The fates of statements that the new configuration does not replace."""


_IN_FORCE: Final[Mapping[Vendor, Callable[[Configuration], dict[str, str]]]] = {
    "haproxy": haproxy.in_force,
    "nginx": nginx.in_force,
}
"""What is in force for keys that an import leaves out, for programs."""


class Comparison(NamedTuple):
    """What changes. `not_compared` is the reason why only the rules are compared; empty if all parts are."""

    vendor: Vendor
    file: str
    rendered: str
    rules: tuple[RuleChange, ...]
    differences: tuple[Difference, ...] = ()
    lines: tuple[Line, ...] = ()
    """The statements of today's file that the new configuration does not replace."""
    notes: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()
    """The parts of today's file that the reader did not understand, so that nothing here knows them."""
    not_compared: str = ""


def compare(spec: Spec, vendor: str, file: Path) -> Comparison:
    """Compare a file with what the spec renders for its vendor; no file is written.

    Raises FileError and UnreadableError for the file, UnsupportedError for the spec, and UsageError for a vendor
    whose configurations nlbgen does not read, or for a file of another vendor.
    """
    readable = next((one for one in READERS if one == vendor), None)
    if readable is None:
        known = vendor in VENDORS
        reason = "nlbgen does not read its configurations" if known else "it is not a load balancer"
        raise UsageError(f"--against: {vendor}: {reason}", f"use it with {one_of(READERS)}")
    today = read(file)
    if today.vendor != readable:
        hint = f"run `nlbgen render {today.vendor} --against {file}`"
        raise UsageError(f"{file}: it is a configuration of {today.vendor}, not of {readable}", hint)
    made = next(one for one in render(generator(readable), spec) if one.main)
    then = read_content(Path(readable) / made.path.name, made.content, readable)
    found = Comparison(
        readable, str(file), f"{readable}/{made.path.name}", rule_changes(today, then), unread=today.unread
    )
    return _with_values(found, spec, today, then)


def _with_values(found: Comparison, spec: Spec, today: Configuration, then: Configuration) -> Comparison:
    if found.vendor not in IMPORTERS:
        return found._replace(not_compared=f"nlbgen does not take over configurations of {found.vendor}")
    try:
        before, after = take(today, found.file), take(then, found.rendered)
    except UsageError as error:
        return found._replace(not_compared=error.message)
    before.close(before.account, spec)
    return found._replace(
        differences=tuple(_differences(found.vendor, (before, after), (today, then))),
        lines=tuple(_open(before.account)),
        notes=before.notes,
    )


def _differences(
    vendor: Vendor, drafts: tuple[Draft, Draft], both: tuple[Configuration, Configuration]
) -> Iterator[Difference]:
    before, after = (draft.values for draft in drafts)
    yield from nodes.differences(before, after)
    in_force = _IN_FORCE.get(vendor)
    yield from values.differences(before, after, in_force(both[0]) if in_force else {})
    if vendor == "haproxy":
        yield from haproxy.differences(*both)


def _open(account: Account) -> Iterator[Line]:
    return (line for line in account.lines() if line.fate in OPEN)
