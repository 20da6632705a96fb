"""What a push to a BIG-IP does, whichever API it speaks: plan, ask, apply as one transaction, look at the result.

Nothing without the farm's mark is touched. Either everything that the plan shows is applied, or nothing: partition and
certificate files apart, which no transaction takes; those are made before it, under names of their own, and a file
that nothing names harms nobody.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from ..errors import DeviceError, NlbgenError, UsageError
from ..generators.f5_objects import objects
from ..generators.f5_view import Names, mark
from ..generators.f5_vocabulary import KINDS, Object
from ..plan import Plan
from ..spec.load import Spec
from . import f5_certificates, f5_files, f5_plan, f5_snapshot
from .f5_certificates import CertificateFile
from .f5_plan import State, Work
from .f5_session import (
    Options,
    Outcome,
    Report,
    Talk,
    TransactionError,
    Unit,
    counts,
    on_version,
    overtaken,
    ready,
    review,
)
from .icontrol import LostError


class Push(ABC):
    """A push; what depends on the API is left to [`Rest`][nlbgen.push.f5_rest.Rest] and
    [`Soap`][nlbgen.push.f5_soap.Soap]."""

    api: ClassVar[str]

    def __init__(self, spec: Spec, options: Options, talk: Talk, name: str, unit: Unit) -> None:
        self.options, self.talk, self.name, self.unit = options, talk, name, unit
        self.spec = on_version(spec, unit.version, talk.say)
        self.farm = self.spec.farm
        self.mark = mark(self.farm)
        self.partition = self.farm.f5.partition
        self.files: tuple[CertificateFile, ...] = ()
        self.snapshot: f5_snapshot.Snapshot | None = None
        self.wanted: tuple[Object, ...] = ()
        self._committing = False
        if options.restore is not None:
            self.snapshot = self._restored(options.restore)
        else:
            names, self.files = f5_certificates.gather(self.farm, Names.of(self.farm), f"/{self.partition}")
            self.wanted = self.objects(names)

    # What the API answers.

    @property
    @abstractmethod
    def requests(self) -> int:
        """How many requests were sent."""

    def objects(self, names: Names) -> tuple[Object, ...]:
        """The farm, as far as this API can say it; raises UnsupportedError for what it cannot."""
        return objects(self.farm, self.unit.version, names)

    @abstractmethod
    def partition_is_there(self) -> bool:
        """Whether the device has the farm's partition."""

    @abstractmethod
    def read(self, partition: str, kinds: Iterable[str]) -> State:
        """The device's objects of these kinds in a partition, and all of its nodes."""

    @abstractmethod
    def make_partition(self) -> None:
        """Make the farm's partition; that it is there by now is no error."""

    @abstractmethod
    def bring_file(self, file: CertificateFile) -> bool:
        """Make a certificate file of the device; false where it was there already."""

    @abstractmethod
    def remove_file(self, path: str) -> None:
        """Remove a certificate file; raises RefusedError where something else names it."""

    @abstractmethod
    def transact(self, todo: Work, state: State) -> Outcome:
        """Apply all of the plan, or nothing; raises DeviceError where nothing was applied."""

    @abstractmethod
    def save(self) -> None:
        """Save the device's configuration for its next start."""

    @abstractmethod
    def synchronise(self, group: str) -> None:
        """Bring the configuration to the other units of the group."""

    def commit_begins(self) -> None:
        """Told by `transact`: what interrupts the push from here on leaves open whether the plan was applied."""
        self._committing = True

    def validate(self, todo: Work, state: State, *, missing: bool) -> None:
        """Have the device check the plan, and change nothing; raises DeviceError where it does not accept it."""
        raise NotImplementedError

    # Reading and planning.

    def _restored(self, path: Path) -> f5_snapshot.Snapshot:
        snapshot = f5_snapshot.load(path)
        if (snapshot.device, snapshot.farm, snapshot.partition) != (self.name, self.farm.farm, self.partition):
            place = f"the farm {snapshot.farm} on {snapshot.device}, partition {snapshot.partition}"
            raise UsageError(f"{path}: is a snapshot of {place}", "restore it with the spec of that farm")
        if snapshot.api != self.api:
            raise UsageError(f"{path}: was made with f5.api: {snapshot.api}", "restore it with that in the spec")
        return snapshot

    def _kinds(self) -> Iterable[str]:
        if self.options.prune:
            return KINDS
        if self.snapshot is not None:
            return f5_snapshot.kinds(self.snapshot)
        return {one.kind for one in self.wanted}

    def _state(self) -> State:
        return self.read(self.partition, self._kinds())

    def _work(self, state: State) -> Work:
        absent: frozenset[f5_plan.Key] = frozenset()
        if self.snapshot is not None:
            self.wanted, absent = f5_snapshot.wanted(self.snapshot, state)
        adopt = self.options.adopt
        todo = f5_plan.work(
            self.name, self.wanted, state, self.mark, adopt=adopt, prune=self.options.prune, absent=absent
        )
        return _without_lost_certificates(todo, self.talk.say) if self.snapshot is not None else todo

    def run(self) -> Report:
        """Plan, and do what the options ask for."""
        missing = self.partition != "Common" and not self.partition_is_there()
        if missing:
            self.talk.say(f"{self.name}: the partition {self.partition} will be made")
            state = State({}, self.read(self.partition, ()).addresses)
        else:
            state = self._state()
        todo = self._work(state)
        review(self.name, todo, self.options, self.talk)
        if not len(todo.plan):
            return self._nothing_to_do(todo)
        if self.options.dry_run:
            return self._report("planned", todo)
        ready(self.name, self.unit, todo, state, force=self.options.force)
        if self.options.validate:
            self.validate(todo, state, missing=missing)
            return self._report("valid", todo)
        return self._apply(todo, state, missing=missing)

    def _nothing_to_do(self, todo: Work) -> Report:
        """Also the end of a push that was cut off after its commit: its configuration may not be saved yet."""
        if not self.options.dry_run and not self.options.validate:
            left = f5_snapshot.pending(self.options.snapshots, self.name, self.farm.farm)
            if left:
                self.talk.say(f"{self.name}: an earlier push was cut off after it had applied everything")
                self._save()
                for path in left:
                    f5_snapshot.settle(path)
            self._sync()
        return self._report("unchanged", todo)

    # Applying.

    def _apply(self, todo: Work, state: State, *, missing: bool) -> Report:
        number = len(todo.plan)
        if not self.talk.agree(f"Apply {number} change{'' if number == 1 else 's'} to {self.name}?"):
            return self._report("declined", todo)
        if (todo.updates or todo.removes) and self._work(self._state()).plan.digest != todo.plan.digest:
            # Whoever was asked may have taken long: what was reviewed must still be what is there.
            raise overtaken(self.name)
        taken = f5_snapshot.of(todo, state, self.name, self.farm.farm, self.partition, self.api)
        path = f5_snapshot.save(self.options.snapshots, taken, todo.plan.digest)
        self.talk.say(f"{self.name}: what will change was saved to {path}")
        with self._telling_of_an_interruption():
            outcome = self._transacted(todo, state, path, missing=missing)
            self._verify(todo, path, outcome)
            self._finish(state, path)
        return self._report("applied", todo, path)

    def _transacted(self, todo: Work, state: State, path: Path, *, missing: bool) -> Outcome:
        """Bring the files and apply the plan; what ends this before the commit takes the files back."""
        made: list[CertificateFile] = []
        try:
            if missing:
                self.make_partition()
            f5_files.bring(self.name, self.files, f5_files.named(state), made, self.talk.say, self.bring_file)
            return self.transact(todo, state)
        except BaseException as error:
            if not self._committing or isinstance(error, DeviceError):
                self._take_back(made, path)
            if isinstance(error, TransactionError):
                raise self._explained(error, todo) from None
            raise

    @contextlib.contextmanager
    def _telling_of_an_interruption(self) -> Iterator[None]:
        """Once a commit was sent, files and snapshot stay: the next push finds out what became of it, and saves."""
        try:
            yield
        except NlbgenError:
            raise
        except BaseException:
            if self._committing:
                self.talk.say(
                    f"{self.name}: the commit was sent, and whether it was applied and saved is not known: "
                    "push again, it finds out and completes"
                )
            raise

    def _take_back(self, made: list[CertificateFile], path: Path) -> None:
        f5_files.take_back(made, self.remove_file)
        with contextlib.suppress(OSError):
            path.unlink()

    def _explained(self, error: TransactionError, todo: Work) -> DeviceError:
        """The refusal, or that somebody else was faster."""
        with contextlib.suppress(DeviceError):
            again = self._work(self._state())
            if again.plan.base != todo.plan.base:
                return DeviceError(
                    f"{self.name}: somebody else changed the device while this push was under way: {error.message}",
                    "nothing was changed by this push: run it again to see what is left to do",
                )
        return error

    def _verify(self, todo: Work, path: Path, outcome: Outcome) -> None:
        """Read again: the second plan must be empty."""
        try:
            again = self._work(self._state())
        except DeviceError as error:
            told = "the transaction was applied" if outcome == "committed" else "whether it was applied is not known"
            raise DeviceError(
                f"{error.message}; {told}, and reading it back failed", "push again: it finds out, and completes"
            ) from None
        if not len(again.plan):
            return
        if outcome == "unknown" and again.plan.digest == todo.plan.digest:
            with contextlib.suppress(OSError):
                path.unlink()
            raise LostError(
                f"{self.name}: the answer to the commit was lost; the device was read again, and nothing was changed",
                "push again",
            )
        raise DeviceError(
            f"{self.name}: the transaction was applied, and the device is not as planned:\n{again.plan.text()}",
            f"somebody else may have changed it as well; `nlbgen push f5 --restore {path}` goes back",
        )

    def _finish(self, state: State, path: Path) -> None:
        try:
            if self.snapshot is None:
                f5_files.remove_old(self.farm, f5_files.named(state), self.files, self.remove_file)
            self._save()
            self._sync()
        except DeviceError as error:
            raise DeviceError(
                f"{error.message}; the transaction was applied and read back, and is not saved for a restart yet",
                "push again: it completes",
            ) from None
        f5_snapshot.settle(path)

    def _save(self) -> None:
        self.save()
        self.talk.say(f"{self.name}: the configuration is saved")

    def _sync(self) -> None:
        if self.options.sync:
            self.synchronise(self.options.sync)
            self.talk.say(f"{self.name}: the group {self.options.sync} is synchronised")

    def _report(self, outcome: str, todo: Work, path: Path | None = None) -> Report:
        return Report(self.name, outcome, todo.plan, counts(todo), path, self.requests)


def _without_lost_certificates(todo: Work, say: Callable[[str], None]) -> Work:
    """A restored profile keeps the certificate of today: the file of then was removed when it was replaced."""
    updates = []
    for update in todo.updates:
        kept = tuple(each for each in update.differs if each.key not in {"cert-key-chain", "ca-file"})
        if kept != update.differs:
            say(f"{update.wanted.kind} {update.wanted.path} keeps its certificate")
        if kept:
            updates.append(update._replace(differs=kept))
    if len(updates) == len(todo.updates) and all(a is b for a, b in zip(updates, todo.updates, strict=True)):
        return todo
    changes = [
        change
        for change in todo.plan.changes
        if ": cert-key-chain" not in change.path and not change.path.endswith(": ca-file")
    ]
    return todo._replace(updates=tuple(updates), plan=Plan(changes, todo.plan.base, todo.plan.targets))
