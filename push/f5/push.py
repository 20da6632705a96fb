"""What a push to a BIG-IP does, whichever API it speaks: plan, ask, apply as one transaction, look at the result.

Nothing without the farm's mark is touched. Either everything that the plan shows is applied, or nothing: partition and
certificate files apart, which no transaction takes; those are made before it, under names of their own, and a file
that nothing names harms nobody.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from ...core.errors import DeviceError, NlbgenError
from ...generators.f5.objects import objects
from ...generators.f5.view import Names, mark
from ...generators.f5.vocabulary import GATES, KINDS, Object
from ...spec.load import Spec
from . import certificates as f5_certificates
from . import files as f5_files
from . import plan as f5_plan
from . import snapshot as f5_snapshot
from .certificates import CertificateFile
from .plan import State, Work
from .rest.icontrol import LostError
from .session import (
    Console,
    Options,
    Outcome,
    Report,
    TransactionError,
    Unit,
    counts,
    on_version,
    overtaken,
    ready,
    review,
    told_apart,
)


class Push(ABC):
    """A push; what depends on the API is left to [`Rest`][nlbgen.push.f5.rest.push.Rest] and
    [`Soap`][nlbgen.push.f5.soap.push.Soap]."""

    api: ClassVar[str]
    store: f5_files.Store

    def __init__(self, spec: Spec, options: Options, console: Console, name: str, unit: Unit) -> None:
        self.options, self.console, self.name, self.unit = options, console, name, unit
        self.spec = on_version(spec, unit.version, console.say)
        self.farm = self.spec.farm
        self.mark = mark(self.farm)
        self.partition = self.farm.f5.partition
        self.files: tuple[CertificateFile, ...] = ()
        self.snapshot: f5_snapshot.Snapshot | None = None
        self.wanted: tuple[Object, ...] = ()
        self._kinds: set[str] | None = None
        self._committing = False
        self._partition_is_new = False
        self._told: set[str] = set()
        if options.restore is not None:
            self.snapshot = f5_snapshot.load(options.restore, name, self.farm.farm, self.partition, self.api)
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

    def _state(self) -> State:
        """The objects of the farm's kinds, and where the farm is there already those of all others.

        What is left over may be of a kind that the farm has no more. Read again, it is the same kinds.
        """
        if self._kinds is not None:
            return self.read(self.partition, self._kinds)
        wanted, known = {one.kind for one in self.wanted}, self._known_kinds()
        if self.options.prune or self.snapshot is not None:
            self._kinds = known
            return self.read(self.partition, known)
        state = self.read(self.partition, wanted)
        if not any(f5_plan.marked(kind, values, self.mark) for (kind, _), values in state.found.items()):
            self._kinds = wanted
            return state
        self._kinds = known
        more = self.read(self.partition, known - wanted)
        return State({**state.found, **more.found}, more.addresses)

    def _known_kinds(self) -> set[str]:
        newest = self.unit.version >= GATES["websocket-profile"]
        return {kind for kind in KINDS if newest or kind != "ltm profile websocket"}

    def _work(self, state: State) -> Work:
        options = self.options
        if self.snapshot is None:
            return f5_plan.work(self.name, self.wanted, state, self.mark, adopt=options.adopt, prune=options.prune)
        back, absent = f5_snapshot.wanted(self.snapshot, state)
        found = f5_files.certified(back, state, self.store)
        self.wanted = found.objects
        f5_files.tell(self.name, found, self.console.say, self._told)
        todo = f5_plan.work(self.name, self.wanted, state, self.mark, adopt=options.adopt, prune=False, absent=absent)
        # A snapshot holds what a push has touched, and says nothing about the rest of the farm.
        refusals = (*todo.refusals, *f5_files.lost(self.name, found))
        return todo._replace(refusals=refusals, leftovers=())

    def run(self) -> Report:
        """Plan, and do what the options ask for."""
        missing = self.partition != "Common" and not self.partition_is_there()
        if missing:
            self.console.say(f"{self.name}: the partition {self.partition} will be made")
            self._kinds = self._known_kinds() if self.snapshot else {one.kind for one in self.wanted}
            state = State({}, self.read(self.partition, ()).addresses)
        else:
            state = self._state()
        todo = self._work(state)
        review(self.name, todo, self.options, self.console)
        if not len(todo.plan):
            return self._nothing_to_do(todo, state)
        if self.options.dry_run:
            return self._report("planned", todo)
        ready(self.name, self.unit, todo, state, force=self.options.force)
        if self.options.validate:
            self.validate(todo, state, missing=missing)
            return self._report("valid", todo)
        return self._apply(todo, state, missing=missing)

    def _nothing_to_do(self, todo: Work, state: State) -> Report:
        """Also the end of a push that was cut off after its commit: its configuration may not be saved yet."""
        if not self.options.dry_run and not self.options.validate:
            left = f5_snapshot.pending(self.options.snapshots, self.name, self.farm.farm, as3=False)
            if left:
                self.console.say(f"{self.name}: an earlier push was cut off: it is completed now")
            removed = (left or self.options.prune) and self._remove_files(set(), state, listed=True)
            if left or removed:
                self._save()
            self._settle(left)
            self._sync()
        return self._report("unchanged", todo)

    # Applying.

    def _apply(self, todo: Work, state: State, *, missing: bool) -> Report:
        number = len(todo.plan)
        if not self.console.agree(f"Apply {number} change{'' if number == 1 else 's'} to {self.name}?"):
            return self._report("declined", todo)
        if (todo.updates or todo.removes) and self._work(self._state()).plan.digest != todo.plan.digest:
            # Whoever was asked may have taken long: what was reviewed must still be what is there.
            raise overtaken(self.name)
        taken = f5_snapshot.of(todo, state, self.name, self.farm.farm, self.partition, self.api)
        path = f5_snapshot.save(self.options.snapshots, taken, todo.plan.digest)
        self.console.say(f"{self.name}: what will change was saved to {path}")
        with self._telling_of_an_interruption():
            outcome = self._transacted(todo, state, path, missing=missing)
            after = self._verify(todo, path, outcome)
            self._finish(state, after)
        return self._report("applied", todo, path)

    def _transacted(self, todo: Work, state: State, path: Path, *, missing: bool) -> Outcome:
        """Bring the files and apply the plan; what ends this before the commit takes the files back."""
        made: list[CertificateFile] = []
        try:
            if missing:
                self.make_partition()
                self._partition_is_new = True
            f5_files.bring(self.name, self.files, f5_files.named(state), made, self.console.say, self.store)
            return self.transact(todo, state)
        except BaseException as error:
            if self._committing and not isinstance(error, DeviceError):
                raise
            self._take_back(made, path)
            if isinstance(error, DeviceError):
                said = self._explained(error, todo) if isinstance(error, TransactionError) else error
                raise self._with_partition(said) from None
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
                self.console.insist(
                    f"{self.name}: the commit was sent, and whether it was applied and saved is not known: "
                    "push again, it finds out and completes"
                )
            raise

    def _take_back(self, made: list[CertificateFile], path: Path) -> None:
        f5_files.take_back(made, self.store)
        with contextlib.suppress(OSError):
            path.unlink()

    def _with_partition(self, error: DeviceError) -> DeviceError:
        """The error of a push that changed nothing, but for the partition that it made: no transaction takes one."""
        if not self._partition_is_new:
            return error
        return DeviceError(f"{error.message}; the new partition {self.partition} stays, and is empty", error.hint)

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

    def _verify(self, todo: Work, path: Path, outcome: Outcome) -> State:
        """Read again: the second plan must be empty."""
        try:
            state = self._state()
            again = self._work(state)
        except DeviceError as error:
            told = "the transaction was applied" if outcome == "committed" else "whether it was applied is not known"
            raise DeviceError(
                f"{error.message}; {told}, and reading it back failed", "push again: it finds out, and completes"
            ) from None
        if not len(again.plan):
            return state
        if outcome == "unknown" and again.plan.digest == todo.plan.digest:
            with contextlib.suppress(OSError):
                path.unlink()
            lost = "the answer to the commit was lost; the device was read again, and nothing was changed"
            raise self._with_partition(LostError(f"{self.name}: {lost}", "push again"))
        raise DeviceError(
            f"{self.name}: the transaction was applied, and the device is not as planned:\n{again.plan.text()}",
            f"somebody else may have changed it as well; `nlbgen push f5 --restore {path}` goes back",
        )

    def _finish(self, before: State, after: State) -> None:
        try:
            self._remove_files(f5_files.named(before), after, listed=self.options.prune)
            self._save()
        except DeviceError as error:
            raise DeviceError(
                f"{error.message}; the transaction was applied and read back, and is not saved for a restart yet",
                "push again: it completes",
            ) from None
        self._settle(f5_snapshot.pending(self.options.snapshots, self.name, self.farm.farm, as3=False))
        self._sync()

    def _remove_files(self, candidates: set[str], after: State, *, listed: bool) -> bool:
        """Remove this farm's files that nothing names any more, of all those that are `listed` if that is asked for."""
        if self.snapshot is not None:
            return False
        if listed:
            candidates = candidates | {*self.store.listed(f"/{self.partition}")}
        kept = {file.path for file in self.files} | f5_files.named(after)
        return f5_files.remove_unnamed(self.farm, candidates, kept, self.store, self.console.say)

    def _save(self) -> None:
        self.save()
        self.console.say(f"{self.name}: the configuration is saved")

    def _settle(self, pending: Iterable[Path]) -> None:
        for path in pending:
            f5_snapshot.settle(path)

    def _sync(self) -> None:
        if self.options.sync:
            with told_apart(self.options.sync):
                self.synchronise(self.options.sync)
            self.console.say(f"{self.name}: the group {self.options.sync} is synchronised")

    def _report(self, outcome: str, todo: Work, path: Path | None = None) -> Report:
        return Report(self.name, outcome, todo.plan, counts(todo), path, self.requests)
