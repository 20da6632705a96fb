"""The flow of a push, and what a backend contributes to it.

read the state and plan → show the plan → refuse invalid plans → ask for confirmation → read again → save a snapshot →
apply → read back → finish → report.

[`push`][nlbgen.push.contract.push] is that flow. A [`Backend`][nlbgen.push.contract.Backend] is one API of one device,
and does not know the order of the steps. Only backends send requests.
"""

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from ..core.errors import DeviceError, DifferenceError, NlbgenError
from ..core.plan import Plan
from ..core.wording import plural
from .errors import unchanged

OutcomeLost = DeviceError | None
"""The error of an apply without an answer: it is unknown whether the device has the change.

None if it has the change.
"""
Counts = dict[str, dict[str, int]]
"""For each kind of object: how many are created, changed, removed, unchanged."""


class Options(NamedTuple):
    """The options of the command line; a backend ignores options that it does not have."""

    dry_run: bool = False
    validate: bool = False
    expect: str | None = None
    adopt: bool = False
    prune: bool = False
    force: bool = False
    sync: str = ""
    restore: Path | None = None
    snapshots: Path = Path("outputs/snapshots")


class Console(Protocol):
    """Where a push prints its progress and asks for confirmation."""

    def say(self, text: str) -> None:
        """Print one line about the progress."""

    def insist(self, text: str) -> None:
        """Print one line that `--quiet` does not hide."""

    def show(self, plan: Plan) -> None:
        """Show the plan before anything is done."""

    def agree(self, question: str) -> bool:
        """Ask whether to apply the plan."""


class Report(NamedTuple):
    """The result of a push."""

    device: str
    outcome: str
    """`planned`, `valid`, `declined`, `unchanged`, or `applied`."""
    plan: Plan
    counts: Counts
    snapshot: Path | None
    requests: int

    def data(self) -> dict[str, object]:
        """The report for programs."""
        return {
            "device": self.device,
            "outcome": self.outcome,
            "plan": self.plan.data(),
            "counts": self.counts,
            "snapshot": None if self.snapshot is None else str(self.snapshot),
            "requests": self.requests,
        }

    def table(self) -> str:
        """The counts by kind, for people."""
        columns = ("created", "changed", "removed", "unchanged")
        width = max((len(kind) for kind in self.counts), default=4)
        lines = [f"{'':{width}}  " + "  ".join(f"{column:>9}" for column in columns)]
        for kind, counts in self.counts.items():
            lines.append(f"{kind:{width}}  " + "  ".join(f"{counts[column]:>9}" for column in columns))
        return "\n".join(lines) + "\n"


class Planned(Protocol):
    """The plan of a backend. Backends add the state that they read and the steps that they will run."""

    @property
    def plan(self) -> Plan:
        """The changes."""

    @property
    def notes(self) -> Sequence[str]:
        """Further facts for the user, in addition to the changes."""

    @property
    def refusals(self) -> Sequence[DeviceError]:
        """The reasons why this plan must not be applied."""


P = TypeVar("P", bound=Planned)


class Backend(ABC, Generic[P]):
    """One API of one device, connected, for one spec and the options of one push."""

    name: str
    """The name of the device in messages."""
    options: Options
    console: Console
    pauses: Sequence[float] = ()
    """Seconds before each further read-back if the answer to the apply was lost: the device may still be working."""

    @property
    @abstractmethod
    def requests(self) -> int:
        """How many requests were sent."""

    @abstractmethod
    def plan(self) -> P:
        """Read the device and plan. The flow calls it again to read back."""

    @abstractmethod
    def apply(self, planned: P) -> OutcomeLost:
        """Apply the plan; return the error if its outcome is unknown.

        Raises NlbgenError if the device has none of the changes, or if `take_back` must remove some of them.
        """

    @abstractmethod
    def not_as_planned(self, planned: P, again: P, lost: OutcomeLost, snapshot: Path | None) -> DeviceError:
        """Return the error for a device that differs from the spec after the apply."""

    @abstractmethod
    def counts(self, planned: P) -> Counts:
        """Count the objects by kind and by what happens to them."""

    # What a backend may add.

    def check(self, planned: P) -> None:
        """Raise DeviceError for a plan that can be shown but must not be applied."""

    def validate(self, planned: P) -> None:
        """Let the device check the plan without a change; raises DeviceError if the device does not accept it."""
        raise NotImplementedError

    def is_outdated(self, planned: P) -> bool:
        """Read the device again: whether it changed while nlbgen waited for the confirmation."""
        return self.plan().plan.digest != planned.plan.digest

    def save(self, planned: P) -> Path | None:
        """Save the current state of the objects that the plan changes; None for a backend without snapshots."""
        del planned
        return None

    def take_back(self, planned: P, error: BaseException, snapshot: Path | None) -> NlbgenError | None:
        """Undo the partial changes of an apply that raised `error`; return a more precise error, if there is one."""
        del planned, error, snapshot
        return None

    def interrupted(self) -> str:
        """The line for a push that was interrupted after the change was sent; empty before that."""
        return ""

    def is_applied(self, again: P) -> bool:
        """Whether the device matches the plan after the apply."""
        return not again.plan.changes

    def read_back_failed(self, error: DeviceError, lost: OutcomeLost) -> DeviceError:
        """Return the error for an apply that could not be read back."""
        del lost
        return error

    def finish(self, planned: P, again: P) -> None:
        """Run the steps after a change that was applied and read back."""

    def complete(self, planned: P) -> None:
        """Complete an earlier push that was interrupted, on a device without further changes."""


def push(backend: Backend[P]) -> Report:
    """Change the device to match the spec.

    Raises DeviceError if the device refuses or cannot be reached, DifferenceError if the plan is not the expected one,
    or if the device changed after the plan.
    """
    return _Push(backend).run()


class _Push(Generic[P]):
    def __init__(self, backend: Backend[P]) -> None:
        self.backend: Final = backend
        self.options: Final = backend.options
        self.console: Final = backend.console

    def run(self) -> Report:
        backend, options = self.backend, self.options
        with unchanged():
            planned = backend.plan()
        self._review(planned)
        if not planned.plan.changes:
            if not options.dry_run and not options.validate:
                backend.complete(planned)
            return self._report("unchanged", planned)
        if options.dry_run:
            return self._report("planned", planned)
        backend.check(planned)
        if options.validate:
            backend.validate(planned)
            return self._report("valid", planned)
        return self._apply(planned)

    def _review(self, planned: P) -> None:
        """Show the plan; raise DeviceError if it must not be applied, DifferenceError if it is not the expected one."""
        for note in planned.notes:
            self.console.say(note)
        self.console.show(planned.plan)
        if planned.refusals:
            raise _together(planned.refusals)
        if self.options.expect is not None:
            planned.plan.expect(self.options.expect)

    def _apply(self, planned: P) -> Report:
        backend = self.backend
        if not self.console.agree(f"Apply {plural(len(planned.plan), 'change')} to {backend.name}?"):
            return self._report("declined", planned)
        with unchanged():
            if backend.is_outdated(planned):
                raise overtaken(backend.name)
        snapshot = backend.save(planned)
        if snapshot is not None:
            self.console.say(f"{backend.name}: the state before the push was saved to {snapshot}")
        with self._told_of_an_interruption():
            lost = self._applied(planned, snapshot)
            again = self._read_back(planned, lost, snapshot)
            backend.finish(planned, again)
        return self._report("applied", planned, snapshot)

    @contextlib.contextmanager
    def _told_of_an_interruption(self) -> Iterator[None]:
        """Report an interruption.

        After the change was sent, nothing is rolled back: the next push reads its outcome.
        """
        try:
            yield
        except NlbgenError:
            raise
        except BaseException:
            if line := self.backend.interrupted():
                self.console.insist(line)
            raise

    def _applied(self, planned: P, snapshot: Path | None) -> OutcomeLost:
        """Apply the plan. If it fails or is interrupted before the change was sent, undo the partial changes."""
        try:
            return self.backend.apply(planned)
        except BaseException as error:
            if not isinstance(error, NlbgenError) and self.backend.interrupted():
                raise
            explained = self.backend.take_back(planned, error, snapshot)
            if explained is None:
                raise
            raise explained from None

    def _read_back(self, planned: P, lost: OutcomeLost, snapshot: Path | None) -> P:
        """Read the device and plan again: no changes may remain.

        If the answer was lost, the device may still be working.
        """
        for pause in (*(self.backend.pauses if lost else ()), None):
            try:
                again = self.backend.plan()
            except DeviceError as error:
                raise self.backend.read_back_failed(error, lost) from None
            if self.backend.is_applied(again):
                return again
            if pause is None:
                break
            time.sleep(pause)
        raise self.backend.not_as_planned(planned, again, lost, snapshot)

    def _report(self, outcome: str, planned: P, snapshot: Path | None = None) -> Report:
        backend = self.backend
        return Report(backend.name, outcome, planned.plan, backend.counts(planned), snapshot, backend.requests)


def overtaken(name: str) -> DifferenceError:
    """Return the error for a device that changed after the plan was shown."""
    return DifferenceError(
        f"{name}: the device was changed after the plan was made",
        "this push changed nothing: review the new plan, then apply it",
    )


def _together(refusals: Sequence[DeviceError]) -> DeviceError:
    """Combine all refusals into one error."""
    if len(refusals) == 1:
        return refusals[0]
    hints = dict.fromkeys(error.hint for error in refusals if error.hint)
    return DeviceError("\n".join(error.message for error in refusals), "; ".join(hints))
