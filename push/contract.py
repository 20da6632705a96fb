"""The one flow of a push, and what a backend contributes to it.

read the state and plan → show the plan → refuse what must not be done → ask → read again → save a snapshot → apply →
read back → finish → report. [`push`][nlbgen.push.contract.push] is that flow; a
[`Backend`][nlbgen.push.contract.Backend] is one API of one device and knows nothing of the order. Every request is a
backend's: the flow itself sends none.
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

OutcomeLost = DeviceError | None
"""The error of an apply whose answer was lost: the change may be there or not. None where it is certainly there."""
Counts = dict[str, dict[str, int]]
"""For each kind of object: how many are created, changed, removed, unchanged."""


class Options(NamedTuple):
    """The options of the command line; a backend ignores those that it does not have."""

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
    """Where a push reports progress and asks its question."""

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
    """What a backend plans. Backends add the state that they read, and the steps that they will take."""

    @property
    def plan(self) -> Plan:
        """The changes."""

    @property
    def notes(self) -> Sequence[str]:
        """Facts beside the changes that a reader needs."""

    @property
    def refusals(self) -> Sequence[DeviceError]:
        """Why this plan must not be applied."""


P = TypeVar("P", bound=Planned)


class Backend(ABC, Generic[P]):
    """One API of one device, connected, for one spec and the options of one push."""

    name: str
    """The device, as messages name it."""
    options: Options
    console: Console
    pauses: Sequence[float] = ()
    """Seconds before each further read-back where the answer to the apply was lost and the device may still work."""

    @property
    @abstractmethod
    def requests(self) -> int:
        """How many requests were sent."""

    @abstractmethod
    def plan(self) -> P:
        """Read the device and plan. The flow calls it again to read back."""

    @abstractmethod
    def apply(self, planned: P) -> OutcomeLost:
        """Apply the plan; return the error where its outcome is unknown.

        Raises NlbgenError where the device has none of the changes, or where `take_back` has to remove some of them.
        """

    @abstractmethod
    def not_as_planned(self, planned: P, again: P, lost: OutcomeLost, snapshot: Path | None) -> DeviceError:
        """Return the error for a device that differs from the spec after the apply."""

    @abstractmethod
    def counts(self, planned: P) -> Counts:
        """Count the objects by kind and by what happens to them."""

    # What a backend may add.

    def check(self, planned: P) -> None:
        """Raise DeviceError where a plan that may be shown must not be applied."""

    def validate(self, planned: P) -> None:
        """Have the device check the plan without a change; raises DeviceError where it does not accept it."""
        raise NotImplementedError

    def is_outdated(self, planned: P) -> bool:
        """Read again what the plan depends on: whether it changed while the question was open."""
        return self.plan().plan.digest != planned.plan.digest

    def save(self, planned: P) -> Path | None:
        """Save what the plan changes to a snapshot; None for a backend without snapshots."""
        del planned
        return None

    def take_back(self, planned: P, error: BaseException, snapshot: Path | None) -> NlbgenError | None:
        """Remove what an apply that raised `error` has left behind; return the error that explains it better."""
        del planned, error, snapshot
        return None

    def interrupted(self) -> str:
        """The line for a push that was interrupted after the change was sent; empty before that."""
        return ""

    def is_applied(self, again: P) -> bool:
        """Whether what was read back is as planned."""
        return not again.plan.changes

    def read_back_failed(self, error: DeviceError, lost: OutcomeLost) -> DeviceError:
        """Return the error for an apply that could not be read back."""
        del lost
        return error

    def finish(self, planned: P, again: P) -> None:
        """Do what follows a change that was applied and read back."""

    def complete(self, planned: P) -> None:
        """Do what an earlier push left undone, on a device that has nothing to change."""


def push(backend: Backend[P]) -> Report:
    """Bring the device to the spec.

    Raises DeviceError where the device refuses or cannot be reached, DifferenceError where the plan is not the expected
    one or the device changed after it was made.
    """
    return _Push(backend).run()


class _Push(Generic[P]):
    def __init__(self, backend: Backend[P]) -> None:
        self.backend: Final = backend
        self.options: Final = backend.options
        self.console: Final = backend.console

    def run(self) -> Report:
        backend, options = self.backend, self.options
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
        """Show the plan; raise DeviceError where it must not be applied, DifferenceError where it is another one."""
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
        """Once the change was sent, nothing is taken back: the next push reads what became of it."""
        try:
            yield
        except NlbgenError:
            raise
        except BaseException:
            if line := self.backend.interrupted():
                self.console.insist(line)
            raise

    def _applied(self, planned: P, snapshot: Path | None) -> OutcomeLost:
        """Apply; what fails or is interrupted before the change was sent is taken back."""
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
        """Plan again: nothing may be left to do. A device whose answer was lost may still be at work."""
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
    """Return the error of a push that finds another state than the one that was reviewed."""
    return DifferenceError(
        f"{name}: the device was changed after the plan was made",
        "this push changed nothing: review the new plan, then apply it",
    )


def _together(refusals: Sequence[DeviceError]) -> DeviceError:
    """All refusals as one error."""
    if len(refusals) == 1:
        return refusals[0]
    hints = dict.fromkeys(error.hint for error in refusals if error.hint)
    return DeviceError("\n".join(error.message for error in refusals), "; ".join(hints))
