"""A push in one transaction: what iControl REST and iControl SOAP share."""

import contextlib
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import DeviceError, NlbgenError
from ...generators.f5.objects import objects
from ...generators.f5.view import Names
from ...generators.f5.vocabulary import Object, kinds_of
from ...spec.load import Spec
from ..contract import Console, Options, OutcomeLost
from ..errors import OutcomeUnknownError
from . import backend as f5_backend
from . import certificates as f5_certificates
from . import files as f5_files
from . import plan as f5_plan
from . import snapshot as f5_snapshot
from .backend import F5Backend
from .plan import State, Work
from .refusal import StillRunningError, TransactionError
from .unit import Unit


@dataclass(frozen=True)
class Planned(f5_backend.Planned):
    """The work of a push in one transaction."""

    missing: bool = False
    """Whether the farm's partition must be created."""


class Transactional(F5Backend[Planned]):
    """A backend whose device applies all commands, or none."""

    applied = "the transaction was applied"
    unknown = "it is not known whether it was applied"
    lost_when_interrupted = (
        "the commit was sent, but it is not known whether it was applied and saved: push again to find out "
        "and to complete it"
    )

    def __init__(self, spec: Spec, options: Options, console: Console, name: str, unit: Unit) -> None:
        super().__init__(spec, options, console, name, unit)
        self.files_folder = f"/{self.partition}"
        self._kinds: set[str] | None = None
        self._partition_is_new = False
        if options.restore is not None:
            self.snapshot = f5_snapshot.load(options.restore, name, self.farm.farm, self.partition, self.api)
        else:
            names, self.files = f5_certificates.gather(self.farm, Names.of(self.farm), self.files_folder)
            self.wanted = self.objects(names)

    # What an API adds.

    def objects(self, names: Names) -> tuple[Object, ...]:
        """Return the farm's objects for this API; raises UnsupportedError for features that it lacks."""
        return objects(self.farm, self.unit.version, names)

    @abstractmethod
    def has_partition(self) -> bool:
        """Whether the device has the farm's partition."""

    @abstractmethod
    def read(self, partition: str, kinds: Iterable[str]) -> State:
        """Read the device's objects of these kinds in a partition, and all of its nodes."""

    @abstractmethod
    def make_partition(self) -> None:
        """Create the farm's partition; an existing partition is not an error."""

    # The flow's steps.

    def plan(self) -> Planned:
        """Read the device and plan."""
        if self._kinds is None and self.partition != "Common" and not self.has_partition():
            self.console.say(f"{self.name}: the partition {self.partition} will be created")
            self._kinds = self._known_kinds() if self.snapshot else {one.kind for one in self.wanted}
            state = State({}, self.read(self.partition, ()).addresses)
            return Planned(self.name, self._work(state), state, missing=True)
        state = self._state()
        return Planned(self.name, self._work(state), state)

    def is_outdated(self, planned: Planned) -> bool:
        """Whether the device changed since the plan.

        A plan that only creates objects is not read again: the device refuses to create existing objects.
        """
        return bool(planned.work.updates or planned.work.removes) and super().is_outdated(planned)

    def save(self, planned: Planned) -> Path:
        """Save the current state of the objects that the plan changes."""
        work, state = planned.work, planned.state
        taken = f5_snapshot.of(work, state, self.name, self.farm.farm, self.partition, self.api)
        return f5_snapshot.save(self.options.snapshots, taken, work.plan.digest)

    def apply(self, planned: Planned) -> OutcomeLost:
        """Create the missing partition and certificate files, then apply the plan."""
        if planned.missing:
            # A user who may not upload files is refused before the partition exists.
            self.store.try_upload(self.files)
            self.make_partition()
            self._partition_is_new = True
        return super().apply(planned)

    def take_back(self, planned: Planned, error: BaseException, snapshot: Path | None) -> NlbgenError | None:
        """Remove the certificate files; return an error with the reason of the refusal, and with the partition that
        stays.
        """
        super().take_back(planned, error, snapshot)
        if not isinstance(error, DeviceError):
            return None
        return self._with_partition(self._explained(error, planned) if isinstance(error, TransactionError) else error)

    def not_as_planned(self, planned: Planned, again: Planned, lost: OutcomeLost, snapshot: Path | None) -> DeviceError:
        """Return the error for a commit that did not arrive, or for a device that differs from the plan.

        The snapshot of a commit that may still run stays: with it, the next push saves a change that arrives later.
        """
        if isinstance(lost, StillRunningError):
            what = f"{lost.message}; the device was read again, and does not have the complete change yet"
            return self._with_partition(
                DeviceError(f"{what}: {self.unknown}", "wait some minutes, then push again: the next push completes it")
            )
        if lost is not None and again.plan.digest == planned.plan.digest:
            f5_backend.forget(snapshot)
            what = "the response to the commit was lost; the device was read again: nothing was changed"
            return self._with_partition(OutcomeUnknownError(f"{self.name}: {what}", "push again"))
        return DeviceError(
            f"{self.name}: the transaction was applied, but the device differs from the plan:\n{again.plan.text()}",
            f"maybe another change was made at the same time; roll back with `nlbgen push f5 --restore {snapshot}`",
        )

    def finish(self, planned: Planned, again: Planned) -> None:
        """Remove unused certificate files, and save the configuration."""
        del planned
        try:
            self.remove_old_files(again.state)
            self._save()
        except DeviceError as error:
            raise DeviceError(
                f"{error.message}; the transaction was applied and read back, but the configuration is not saved "
                "yet and would be lost at a restart",
                "push again: the next push completes it",
            ) from None
        self.settle(self.pending())

    def complete(self, planned: Planned) -> None:
        """Save the changes of a push that was interrupted after its commit."""
        left = self.pending()
        if left:
            self.console.say(f"{self.name}: an earlier push was interrupted: it is completed now")
        if self.remove_old_files(planned.state) or left:
            self._save()
        self.settle(left)

    # Reading and planning.

    def _state(self) -> State:
        """Read the objects of the farm's kinds. If the device has objects of the farm, also read all other kinds.

        An object that is no longer part of the farm may have another kind. Later reads have the same kinds.
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
        return set(kinds_of(self.unit.version))

    def _work(self, state: State) -> Work:
        options = self.options
        if self.snapshot is None:
            return f5_plan.work(self.name, self.wanted, state, self.mark, adopt=options.adopt, prune=options.prune)
        back, absent = f5_snapshot.wanted(self.snapshot, state)
        found = f5_files.certified(back, state, self.store)
        self.wanted = found.objects
        f5_files.tell(self.name, found, self.console.say, self._told)
        todo = f5_plan.work(self.name, self.wanted, state, self.mark, adopt=options.adopt, prune=False, absent=absent)
        # A snapshot contains only the objects that a push changed, not the rest of the farm.
        refusals = (*todo.refusals, *f5_files.lost(self.name, found))
        return todo._replace(refusals=refusals, leftovers=())

    # Failures.

    def _with_partition(self, error: DeviceError) -> DeviceError:
        """Add to the error of a failed push that the new partition stays: a transaction cannot remove it."""
        if not self._partition_is_new:
            return error
        return DeviceError(f"{error.message}; the new partition {self.partition} stays, and is empty", error.hint)

    def _explained(self, error: TransactionError, planned: Planned) -> DeviceError:
        """Return the refusal; if the device changed since the plan, return an error that reports this change."""
        with contextlib.suppress(DeviceError):
            if self.plan().plan.base != planned.plan.base:
                return DeviceError(
                    f"{self.name}: the device was changed during this push: {error.message}",
                    "this push changed nothing: run it again to see the remaining changes",
                )
        return error

    def _save(self) -> None:
        self.save_configuration()
        self.console.say(f"{self.name}: the configuration is saved")
