"""`nlbgen push f5`: what the farm should be against what the device is, one transaction, and a look at the result.

Nothing without the farm's mark is touched. Either everything that the plan shows is applied, or nothing: partition and
certificate files apart, which no transaction takes; those are made before it, under names of their own, and a file
that nothing names harms nobody.
"""

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from ..errors import DeviceError, DifferenceError, UsageError
from ..generators.f5_objects import KINDS, Names, Object, mark, objects
from ..plan import Plan
from ..spec.load import Spec
from ..spec.types import Version
from . import f5_certificates, f5_files, f5_plan, f5_snapshot, f5_transaction
from .f5_certificates import CertificateFile
from .f5_plan import State, Work
from .f5_session import Options, Report, Talk, counts, login, on_version, ready, together, unit
from .icontrol import PAUSES, Device, LostError, RefusedError, path_of

VALIDATE_ONLY: Final = Version("12.0")
"""The first TMOS whose transactions know `validateOnly`."""


def push(spec: Spec, options: Options, talk: Talk, pauses: tuple[float, ...] = PAUSES) -> Report:
    """Bring the farm onto its device by the API that the spec names; see [`Options`][nlbgen.push.f5_session.Options].

    Raises DeviceError where the device refuses or cannot be reached, DifferenceError where the plan is not the
    expected one.
    """
    api = spec.farm.f5.api
    if api == "soap":
        from . import f5_soap

        return f5_soap.push(spec, options, talk)
    with Device(login(spec), talk.say, pauses) as device:
        if api == "as3":
            from . import f5_as3

            return f5_as3.push(spec, options, talk, device, pauses)
        return _Push(spec, options, talk, device, pauses).run()


class _Push:
    def __init__(self, spec: Spec, options: Options, talk: Talk, device: Device, pauses: tuple[float, ...]) -> None:
        self.options, self.talk, self.device, self.pauses = options, talk, device, pauses
        self.unit = unit(device)
        self.spec = on_version(spec, self.unit.version, talk.say)
        self.farm = self.spec.farm
        self.name = device.login.name
        self.mark = mark(self.farm)
        self.partition = self.farm.f5.partition
        self.files: tuple[CertificateFile, ...] = ()
        self.snapshot: f5_snapshot.Snapshot | None = None
        if options.restore is not None:
            self.snapshot = self._restored(options.restore)
            self.wanted: tuple[Object, ...] = ()
        else:
            names, self.files = f5_certificates.gather(self.farm, Names.of(self.farm), f"/{self.partition}")
            self.wanted = objects(self.farm, self.unit.version, names)

    def _restored(self, path: Path) -> f5_snapshot.Snapshot:
        snapshot = f5_snapshot.load(path)
        if (snapshot.device, snapshot.farm, snapshot.partition) != (self.name, self.farm.farm, self.partition):
            place = f"the farm {snapshot.farm} on {snapshot.device}, partition {snapshot.partition}"
            raise UsageError(f"{path}: is a snapshot of {place}", "restore it with the spec of that farm")
        return snapshot

    # Reading and planning.

    def _state(self) -> State:
        return f5_plan.read(self.device, self.partition, self._kinds())

    def _kinds(self) -> Iterable[str]:
        if self.options.prune:
            return KINDS
        if self.snapshot is not None:
            return f5_snapshot.kinds(self.snapshot)
        return {one.kind for one in self.wanted}

    def _work(self, state: State) -> Work:
        absent: frozenset[f5_plan.Key] = frozenset()
        if self.snapshot is not None:
            self.wanted, absent = f5_snapshot.wanted(self.snapshot, state)
        adopt = self.options.adopt
        todo = f5_plan.work(
            self.name, self.wanted, state, self.mark, adopt=adopt, prune=self.options.prune, absent=absent
        )
        return _without_lost_certificates(todo, self.talk.say) if self.snapshot is not None else todo

    def _partition_missing(self) -> bool:
        if self.partition == "Common":
            return False
        answer = self.device.look(f"/mgmt/tm/auth/partition/{self.partition}", "the partition")
        if answer.status not in {200, 404}:
            raise RefusedError(self.name, "the partition", answer.status, answer.message)
        return answer.status == 404

    def run(self) -> Report:
        missing = self._partition_missing()
        state = State({}, {}) if missing else self._state()
        if missing:
            self.talk.say(f"{self.name}: the partition {self.partition} will be made")
            state = State({}, f5_plan.read(self.device, "Common", ()).addresses)
        todo = self._work(state)
        for kind, path in todo.leftovers:
            self.talk.say(f"{self.name}: {kind} {path} is not in the farm any more; --prune removes it")
        self.talk.show(todo.plan)
        if todo.refusals:
            raise together(todo.refusals)
        if self.options.expect:
            todo.plan.expect(self.options.expect)
        if not len(todo.plan):
            return self._nothing_to_do(todo)
        if self.options.dry_run:
            return self._report("planned", todo)
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
        ready(self.name, self.unit, todo, state, force=self.options.force)
        commands = f5_plan.steps(todo, state)
        if self.options.validate:
            return self._validated(todo, commands, missing=missing)
        number = len(todo.plan)
        if not self.talk.agree(f"Apply {number} change{'' if number == 1 else 's'} to {self.name}?"):
            return self._report("declined", todo)
        if todo.updates or todo.removes:
            self._unchanged_since(todo)
        taken = f5_snapshot.of(todo, state, self.name, self.farm.farm, self.partition)
        path = f5_snapshot.save(self.options.snapshots, taken, todo.plan.digest)
        self.talk.say(f"{self.name}: what will change was saved to {path}")
        made: list[CertificateFile] = []
        try:
            self._prepare(made, missing=missing, state=state)
            self.talk.say(f"{self.name}: one transaction of {_commands(len(commands))}")
            outcome = f5_transaction.run(self.device, commands, self.pauses)
        except BaseException as error:
            self._take_back(made, path)
            if isinstance(error, f5_transaction.TransactionError):
                raise self._explained(error, todo) from None
            raise
        self._verify(todo, path, outcome)
        self._finish(state, path)
        return self._report("applied", todo, path)

    def _validated(self, todo: Work, commands: list[f5_plan.Step], *, missing: bool) -> Report:
        """The device's own check of the whole transaction; certificates that are not there yet cannot be part of it."""
        if self.unit.version < VALIDATE_ONLY:
            raise DeviceError(f"{self.name}: TMOS {self.unit.version} cannot check a transaction", "12.0 is the first")
        absent = f5_files.absent(self.device, self.files)
        if missing or absent:
            what = f"the partition {self.partition}" if missing else f"the certificate {absent[0].path}"
            raise DeviceError(
                f"{self.name}: the device cannot check the plan, because {what} is not there yet",
                "a push makes it first; its transaction is then checked as a whole before anything is applied",
            )
        f5_transaction.run(self.device, commands, self.pauses, validate=True)
        self.talk.say(f"{self.name}: the device accepts {_commands(len(commands))}; nothing was changed")
        return self._report("valid", todo)

    def _unchanged_since(self, todo: Work) -> None:
        """Whoever was asked may have taken long: what was reviewed must still be what is there."""
        again = self._work(self._state())
        if again.plan.digest != todo.plan.digest:
            raise DifferenceError(
                f"{self.name}: somebody else changed the device after the plan was made",
                "nothing was changed by this push: read the new plan, then apply it",
            )

    def _prepare(self, made: list[CertificateFile], *, missing: bool, state: State) -> None:
        if missing:
            body = {"name": self.partition, "description": self.mark}
            with f5_files.already_there():
                self.device.send("POST", path_of("auth partition"), body, f"partition {self.partition}", again=True)
        f5_files.bring(self.device, self.files, f5_files.named(state), made, self.talk.say)

    def _take_back(self, made: list[CertificateFile], path: Path) -> None:
        """Remove the certificate files of a push that failed; that the device may be gone is no further error."""
        f5_files.take_back(self.device, made)
        with contextlib.suppress(OSError):
            path.unlink()

    def _explained(self, error: f5_transaction.TransactionError, todo: Work) -> DeviceError:
        """The refusal, or that somebody else was faster."""
        with contextlib.suppress(DeviceError):
            again = self._work(self._state())
            if again.plan.base != todo.plan.base:
                return DeviceError(
                    f"{self.name}: somebody else changed the device while this push was under way: {error.message}",
                    "nothing was changed by this push: run it again to see what is left to do",
                )
        return error

    def _verify(self, todo: Work, path: Path, outcome: f5_transaction.Outcome) -> None:
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
                f5_files.remove_old(self.device, self.farm, f5_files.named(state), self.files)
            self._save()
            self._sync()
        except DeviceError as error:
            raise DeviceError(
                f"{error.message}; the transaction was applied and read back, and is not saved for a restart yet",
                "push again: it completes",
            ) from None
        f5_snapshot.settle(path)

    def _save(self) -> None:
        self.device.send("POST", "/mgmt/tm/sys/config", {"command": "save"}, "saving the configuration", again=True)
        self.talk.say(f"{self.name}: the configuration is saved")

    def _sync(self) -> None:
        if not self.options.sync:
            return
        command = {"command": "run", "utilCmdArgs": f"config-sync to-group {self.options.sync}"}
        self.device.send("POST", "/mgmt/tm/cm", command, f"synchronising {self.options.sync}", again=True)
        self.talk.say(f"{self.name}: the group {self.options.sync} is synchronised")

    def _report(self, outcome: str, todo: Work, path: Path | None = None) -> Report:
        return Report(self.name, outcome, todo.plan, counts(todo), path, self.device.requests_sent)


def _commands(number: int) -> str:
    return f"{number} command{'' if number == 1 else 's'}"


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
