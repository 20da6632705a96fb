"""What the three APIs of a BIG-IP share as backends of a push: the farm for the device, certificate files, snapshots.

A push changes only objects with the farm's mark. It applies all changes of the plan, or none. There are two exceptions,
because a transaction cannot contain them: the partition and certificate files. The push creates them first, under new
names. A file that no object uses has no effect.
"""

import contextlib
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from ...core.errors import DeviceError, NlbgenError
from ...core.plan import Plan
from ...core.wording import legible
from ...generators.f5.pools import clamps
from ...generators.f5.view import mark
from ...spec.load import Spec
from ..contract import Backend, Console, Counts, Options, OutcomeLost
from ..errors import RefusedError
from . import files as f5_files
from . import plan as f5_plan
from . import snapshot as f5_snapshot
from .compare import virtual_address
from .plan import State, Work
from .refusal import TransactionError
from .unit import Unit, on_version, ready, told_apart

if TYPE_CHECKING:
    from ...generators.f5.vocabulary import Object
    from .certificates import CertificateFile


@dataclass(frozen=True)
class Planned:
    """The changes of a push, and the state that the plan is based on."""

    device: str
    work: Work
    state: State

    @property
    def plan(self) -> Plan:
        """The changes."""
        return self.work.plan

    @property
    def notes(self) -> list[str]:
        """One line for each object that is no longer part of the farm and stays on the device."""
        return [
            f"{self.device}: {kind} {legible(path)} is no longer part of the farm; --prune removes it"
            for kind, path in self.work.leftovers
        ]

    @property
    def refusals(self) -> tuple[DeviceError, ...]:
        """The reasons why this plan must not be applied."""
        return self.work.refusals


P = TypeVar("P", bound=Planned)


class F5Backend(Backend[P]):
    """One API of a BIG-IP; see [`Transactional`][nlbgen.push.f5.transactional.Transactional] for REST and SOAP."""

    api: ClassVar[str]
    applied: ClassVar[str]
    """The text in messages for a change that is on the device."""
    unknown: ClassVar[str]
    """The text in messages for a change that may or may not be on the device."""
    lost_when_interrupted: ClassVar[str]
    files_folder: str
    store: f5_files.Store

    def __init__(self, spec: Spec, options: Options, console: Console, name: str, unit: Unit) -> None:
        self.options, self.console, self.name, self.unit = options, console, name, unit
        self.spec = on_version(spec, unit.version, console.say)
        self.farm = self.spec.farm
        for line in clamps(self.farm):
            console.say(line)
        self.mark = mark(self.farm)
        self.partition = self.farm.f5.partition
        self.wanted: tuple[Object, ...] = ()
        self.files: tuple[CertificateFile, ...] = ()
        self.snapshot: f5_snapshot.Snapshot | None = None
        self._made: list[CertificateFile] = []
        self._sent = False
        self._files_left = False
        self._told: set[str] = set()

    # What an API adds.

    @abstractmethod
    def transact(self, planned: P) -> OutcomeLost:
        """Apply all changes of the plan, or none; see `apply`."""

    @abstractmethod
    def save_configuration(self) -> None:
        """Save the device's configuration for its next start."""

    @abstractmethod
    def synchronise(self, group: str) -> None:
        """Synchronize the configuration to the other units of the group."""

    @abstractmethod
    def destinations(self) -> dict[str, str]:
        """The destination of each virtual server of the device, in all partitions, by its path."""

    def commit_begins(self) -> None:
        """Note that the change is being sent: after an interruption, its outcome is unknown."""
        self._sent = True

    # The flow's steps.

    def counts(self, planned: P) -> Counts:
        """Count the objects by kind."""
        return f5_plan.counts(planned.work)

    def check(self, planned: P) -> None:
        """Raise DeviceError for a standby unit, and for a plan that removes most members of a pool."""
        ready(self.name, self.unit, planned.work, planned.state, force=self.options.force)

    def apply(self, planned: P) -> OutcomeLost:
        """Create the missing certificate files, then apply the plan."""
        there = f5_files.named(planned.state)
        f5_files.bring(self.name, self.files, there, self._made, self.console.say, self.store)
        return self.transact(planned)

    def interrupted(self) -> str:
        """The message for a push that was interrupted after the change was sent; empty before that."""
        return f"{self.name}: {self.lost_when_interrupted}" if self._sent else ""

    def take_back(self, planned: P, error: BaseException, snapshot: Path | None) -> NlbgenError | None:
        """Remove the certificate files and the snapshot of a push that changed nothing."""
        del planned, error
        f5_files.take_back(self._made, self.store)
        forget(snapshot)
        return None

    def read_back_failed(self, error: DeviceError, lost: OutcomeLost) -> DeviceError:
        """Return the error for an apply that could not be read back."""
        return DeviceError(
            f"{error.message}; {self.applied_or_unknown(lost)}, and the device could not be read back",
            "push again: the next push reads the outcome and completes it",
        )

    def applied_or_unknown(self, lost: OutcomeLost) -> str:
        """What is known about the change, as a part of a message."""
        return self.applied if lost is None else self.unknown

    def with_holder(self, error: DeviceError) -> DeviceError:
        """Return a refusal of the farm's address with the virtual servers of other partitions that have it, and the
        fix.

        Any other error stays as it is. A failure of this look-up is not another error.
        """
        if "Invalid Virtual Address" not in error.message:
            return error
        hint = (
            "remove the virtual servers in the other partition, or write another frontend.address, or write the "
            "other partition as f5.partition: an address can have virtual servers in one partition only"
        )
        ours = {virtual_address(str(one.properties.get("destination"))) for one in self.wanted}
        holders: list[str] = []
        with contextlib.suppress(DeviceError):
            there = self.destinations()
            holders = [legible(path) for path, target in there.items() if virtual_address(target) in ours]
        message = error.message + (f": it belongs to {', '.join(sorted(holders))}" if holders else "")
        if isinstance(error, RefusedError):
            return RefusedError(message, hint, status=error.status, said=error.said)
        return TransactionError(message, hint)

    # Certificate files, snapshots, the group.

    def remove_old_files(self, after: State) -> bool:
        """Remove certificate files of this farm that no object uses; return whether a file was removed.

        The files that the last renewal replaced stay, so that a restore can use them: the snapshot of a push that is
        not completed yet names them. If there is no such push, no file is removed. `--prune` removes all unused files.
        """
        if self.snapshot is not None:
            return False
        used = f5_files.named(after)
        replaced = [files for files in self._files_before() if files - used]
        if not replaced and not self.options.prune:
            return False
        earlier = set() if self.options.prune else replaced[-1]
        kept = {file.path for file in self.files} | used | earlier
        there = self.store.listed(self.files_folder)
        removal = f5_files.remove_unnamed(self.farm, there, kept, self.store, self.console.insist)
        self._files_left = removal.left
        return removal.removed

    def _files_before(self) -> list[set[str]]:
        """The certificate files that were in use before each push that is not completed, the oldest push first."""
        snapshots = sorted(self.pending(), key=lambda path: path.stat().st_mtime_ns)
        return [f5_files.named(State(f5_snapshot.existing(path), {})) for path in snapshots]

    def pending(self) -> list[Path]:
        """The snapshots of pushes that were not completed."""
        as3 = self.api == "as3"
        return f5_snapshot.pending(self.options.snapshots, self.name, self.farm.farm, as3=as3)

    def settle(self, pending: Iterable[Path]) -> None:
        """Mark these pushes as completed, and synchronize the group if the user requested it.

        A push whose replaced files are still on the device stays pending: the next push tries again to remove them.
        """
        for path in () if self._files_left else pending:
            f5_snapshot.settle(path)
        if self.options.sync:
            with told_apart(self.options.sync):
                self.synchronise(self.options.sync)
            self.console.say(f"{self.name}: the group {self.options.sync} is synchronized")


def forget(snapshot: Path | None) -> None:
    """Remove the snapshot of a push that changed nothing."""
    if snapshot is not None:
        with contextlib.suppress(OSError):
            snapshot.unlink()
