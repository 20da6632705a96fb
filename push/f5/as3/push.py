"""`nlbgen push f5` with `api: as3`: one declaration of a tenant of its own, and a look at what AS3 made of it.

What differs is found by reading the device's objects, not AS3's own record: its dry run never asks the device, and its
record does not know what was changed by hand. AS3 removes from its tenant whatever the declaration does not hold, so a
partition that AS3 did not make is never taken. Sources: AS3's documentation and `update.js`, `declarationHandler.js`.
"""

import contextlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ....core.errors import DeviceError
from ....generators.f5.as3 import OLDEST, declaration, names, tenant
from ....generators.f5.objects import objects
from ....generators.f5.view import mark
from ....generators.f5.vocabulary import KINDS, Object, Value
from ....spec.load import Spec
from ....spec.units import Version
from .. import certificates as f5_certificates
from .. import files as f5_files
from .. import plan as f5_plan
from .. import snapshot as f5_snapshot
from ..plan import State, Work
from ..rest.icontrol import Answer, Device, LostError, RefusedError, UnreachableError, one_line
from ..rest.push import RestFiles, save, synchronise
from ..session import Console, Options, Report, counts, on_version, overtaken, ready, review, told_apart, unit
from . import record as f5_as3_record

if TYPE_CHECKING:
    from ..certificates import CertificateFile

_SERVICE: Final = "/mgmt/shared/appsvcs"
POLLS: Final = 60
"""How often a task is looked at; AS3 gives up by itself before that."""

_UNOWNED: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset({"defaults-from"}),
    "ltm node": frozenset({"description"}),
    "ltm policy": frozenset({"controls", "requires", "status"}),
    "ltm profile client-ssl": frozenset({"options"}),
}
"""What AS3 decides by itself: parents of profiles, and what it derives."""


class As3:
    """A push of one tenant; like [`Push`][nlbgen.push.f5.push.Push], with AS3's own record and its tasks."""

    def __init__(
        self, spec: Spec, options: Options, console: Console, device: Device, pauses: tuple[float, ...]
    ) -> None:
        self.options, self.console, self.device, self.pauses = options, console, device, pauses
        self.name = device.login.name
        self.store = RestFiles(device, console.insist)
        self.unit = unit(device)
        self.farm = on_version(spec, self.unit.version, console.say).farm
        self.tenant = tenant(self.farm)
        self._check_version()
        found = names(self.farm)
        self.files: tuple[CertificateFile, ...] = ()
        self.snapshot: f5_snapshot.Snapshot | None = None
        if options.restore is None:
            found, self.files = f5_certificates.gather(self.farm, found, "/Common")
        else:
            self.snapshot = f5_snapshot.load(options.restore, self.name, self.farm.farm, self.tenant, "as3")
        made = objects(self.farm, self.unit.version, found)
        self.declared = declaration(self.farm, made, self.unit.version)
        self.body: Mapping[str, Any] = self.declared[self.tenant]
        self.wanted = tuple(_owned(one) for one in made)
        self._declaring = False
        self._told: set[str] = set()

    def _check_version(self) -> None:
        try:
            info = self.device.get(f"{_SERVICE}/info", "AS3's version")
        except (UnreachableError, RefusedError) as error:
            raise DeviceError(
                f"{error.message}: AS3 is not installed, or not ready", "install it, or take f5.api: rest"
            ) from None
        found = re.match(r"\d+(?:\.\d+)*", str(info.get("version"))) if isinstance(info, dict) else None
        if found is None or Version(found[0]) < OLDEST:
            shown = found[0] if found else "without a version"
            raise DeviceError(
                f"{self.name}: AS3 {shown} is too old, {OLDEST} is the first", "update AS3, or take f5.api: rest"
            )

    # Reading and planning.

    def _record(self) -> dict[str, Any] | None:
        """AS3's record of the tenant; None where it has none."""
        answer = self.device.look(f"{_SERVICE}/declare/{self.tenant}", "AS3's declaration", "showHash=true")
        if answer.status in {204, 404}:
            return None
        found = answer.data.get(self.tenant) if isinstance(answer.data, dict) else None
        if answer.status != 200 or not isinstance(found, dict):
            raise RefusedError(self.name, "AS3's declaration", answer.status, answer.message)
        return found

    def _refusals(self, record: dict[str, Any] | None) -> Iterator[DeviceError]:
        if record is not None:
            if record.get("label") != mark(self.farm) and not self.options.adopt:
                yield DeviceError(
                    f"{self.name}: the tenant {self.tenant} was not declared by this farm",
                    "take it over with --adopt (AS3 removes whatever else is in it), or name another f5.partition",
                )
            return
        answer = self.device.look(f"/mgmt/tm/auth/partition/{self.tenant}", "the partition")
        if answer.status == 200:
            yield DeviceError(
                f"{self.name}: the partition {self.tenant} is there and AS3 did not make it",
                "AS3 would remove what is in it: name another f5.partition, or take f5.api: rest",
            )

    def _state(self, record: dict[str, Any] | None) -> State:
        state = f5_plan.read(self.device, self.tenant, () if record is None else KINDS)
        prefix = f"/{self.tenant}/"
        found = {key: _flattened(key[0], values) for key, values in state.found.items() if key[1].startswith(prefix)}
        return State(found, state.addresses)

    def _work(self, state: State) -> Work:
        lost: tuple[DeviceError, ...] = ()
        if self.snapshot is not None:
            lost = self._bring_back(self.snapshot, state)
        wanted = {(one.kind, one.path) for one in self.wanted}
        gone = frozenset(key for key in state.found if key not in wanted)
        todo = f5_plan.work(
            self.name, self.wanted, state, mark(self.farm), adopt=True, prune=True, absent=gone, tenant=True
        )
        return todo._replace(refusals=(*todo.refusals, *lost))

    def _bring_back(self, snapshot: f5_snapshot.Snapshot, state: State) -> tuple[DeviceError, ...]:
        """Want what was then, with certificates that are there; why that cannot be."""
        then = tuple(_owned(one) for one in f5_snapshot.wanted(snapshot, state)[0])
        found = f5_files.certified(then, state, self.store)
        f5_files.tell(self.name, found, self.console.say, self._told)
        self.wanted = found.objects
        # Without a record there was no tenant, and an empty one is none.
        record = snapshot.record or {"class": "Tenant"}
        self.body = f5_as3_record.renewed(record, then, found.kept)
        return tuple(f5_files.lost(self.name, found))

    def run(self) -> Report:
        """Plan, and do what the options ask for."""
        record = self._record()
        state = self._state(record)
        todo = self._work(state)
        todo = todo._replace(refusals=(*self._refusals(record), *todo.refusals))
        review(self.name, todo, self.options, self.console)
        if not len(todo.plan):
            return self._nothing_to_do(todo, state)
        if self.options.dry_run:
            return self._report("planned", todo)
        return self._apply(todo, state, record)

    def _nothing_to_do(self, todo: Work, state: State) -> Report:
        """Also the end of a push that was cut off after its declaration was applied."""
        if not self.options.dry_run:
            left = f5_snapshot.pending(self.options.snapshots, self.name, self.farm.farm, as3=True)
            if left or self.options.prune:
                self._remove_files(set(), state, listed=True)
            self._settle(left)
            self._sync()
        return self._report("unchanged", todo)

    def _apply(self, todo: Work, state: State, record: dict[str, Any] | None) -> Report:
        ready(self.name, self.unit, todo, state, force=self.options.force)
        if not self.console.agree(f"Declare the tenant {self.tenant} on {self.name}?"):
            return self._report("declined", todo)
        if record is None:
            # AS3 locks a tenant that it has: a new one is only looked for once more.
            overtook = self._record() is not None
        else:
            overtook = self._work(self._state(record)).plan.digest != todo.plan.digest
        if overtook:
            raise overtaken(self.name)
        path = self._save(state, record, todo.plan.digest)
        lost = self._carried_out(state, record, path)
        after = self._verify(path, lost)
        self._finish(state, after)
        return self._report("applied", todo, path)

    def _carried_out(self, state: State, record: dict[str, Any] | None, path: Path) -> DeviceError | None:
        """Bring the files and declare; what was lost on the way is returned, what was refused is taken back."""
        made: list[CertificateFile] = []
        try:
            f5_files.bring(self.name, self.files, f5_files.named(state), made, self.console.say, self.store)
            return self._declare(self._body(record))
        except BaseException as error:
            if self._declaring and not isinstance(error, DeviceError):
                # AS3 works on by itself, and needs the files.
                self.console.insist(
                    f"{self.name}: whether the declaration was applied is not known: push again, it finds out"
                )
                raise
            f5_files.take_back(made, self.store)
            with contextlib.suppress(OSError):
                path.unlink()
            if isinstance(error, RefusedError) and "lock" in error.text.lower() and record is not None:
                # The record's hash is no longer that of the record which was read.
                raise overtaken(self.name) from None
            raise

    def _body(self, record: dict[str, Any] | None) -> dict[str, Any]:
        """The declaration, with what the tenant has and no spec says: the lock, and its default route domain."""
        known = record or {}
        kept = {key: known[key] for key in ("defaultRouteDomain", "optimisticLockKey") if key in known}
        return {**self.declared, self.tenant: {**self.body, **kept}}

    def _finish(self, before: State, after: State) -> None:
        try:
            # What a profile named that went with the declaration stays until --prune, so that a restore finds it.
            self._remove_files(f5_files.replaced(before, after), after, listed=self.options.prune)
        except DeviceError as error:
            raise DeviceError(
                f"{error.message}; the declaration was applied and read back", "push again: it completes"
            ) from None
        self._settle(f5_snapshot.pending(self.options.snapshots, self.name, self.farm.farm, as3=True))
        self._sync()

    def _remove_files(self, candidates: set[str], after: State, *, listed: bool) -> None:
        """Remove this farm's files that nothing names any more, and save that: AS3 has saved before."""
        if self.snapshot is not None:
            return
        if listed:
            candidates = candidates | {*self.store.listed("/Common")}
        kept = {file.path for file in self.files} | f5_files.named(after)
        if f5_files.remove_unnamed(self.farm, candidates, kept, self.store, self.console.say):
            save(self.device)

    def _settle(self, pending: Iterable[Path]) -> None:
        for path in pending:
            f5_snapshot.settle(path)

    def _save(self, state: State, record: dict[str, Any] | None, digest: str) -> Path:
        kept = None if record is None else {key: value for key, value in record.items() if key != "optimisticLockKey"}
        taken = f5_snapshot.Snapshot(self.name, self.farm.farm, self.tenant, "as3", state.found, kept)
        path = f5_snapshot.save(self.options.snapshots, taken, digest)
        self.console.say(f"{self.name}: what will change was saved to {path}")
        return path

    def _verify(self, path: Path, lost: DeviceError | None) -> State:
        """Read again until nothing is left to do; AS3 may still be at work where its answer was lost."""
        told = "whether the declaration was applied is not known" if lost else "the declaration was applied"
        work: Work | None = None
        for pause in (*(self.pauses if lost else ()), None):
            try:
                record = self._record()
                state = self._state(record)
                work = self._work(state)
            except DeviceError as error:
                raise DeviceError(
                    f"{error.message}; {told}, and reading it back failed", "push again: it finds out, and completes"
                ) from None
            if (record is not None) == bool(self.wanted) and not len(work.plan):
                return state
            if pause is not None:
                time.sleep(pause)
        if lost is not None:
            raise LostError(f"{lost.message}; {told}", "push again: it finds out")
        assert work is not None  # noqa: S101  # the loop runs at least once
        raise DeviceError(
            f"{self.name}: the declaration was applied, and the device is not as planned:\n{work.plan.text()}",
            f"what was changed by hand is in no record of AS3; `nlbgen push f5 --restore {path}` goes back",
        )

    # AS3's own answers.

    def _declare(self, body: Mapping[str, Any]) -> DeviceError | None:
        """Declare and wait; what was lost on the way is returned, a refusal is raised."""
        self.console.say(f"{self.name}: AS3 is at work on the tenant {self.tenant}")
        self._declaring = True
        try:
            answer = self.device.send("POST", f"{_SERVICE}/declare?async=true", body, "the declaration")
            if self._under_way(answer):
                answer = self._awaited(self._task(answer))
        except (LostError, UnreachableError) as error:
            return error
        self._check(answer)
        return None

    def _awaited(self, task: str) -> Answer:
        """The end of a task; raises LostError where AS3 does not tell it: the declaration may be applied or not."""
        for _ in range(POLLS):
            time.sleep(min(self.pauses, default=0.0))
            try:
                answer = self.device.look(task, "AS3's task")
            except RefusedError as error:  # of a new login
                raise LostError(error.message, error.hint) from None
            if answer.status != 200:
                raise LostError(f"{self.name}: AS3's task: {answer.message} (HTTP {answer.status})")
            if not self._under_way(answer):
                return answer
        raise LostError(f"{self.name}: AS3 is still at work")

    def _under_way(self, answer: Answer) -> bool:
        results = _results(answer)
        return answer.status == 202 or any(one.get("code") == 0 for one in results)

    def _task(self, answer: Answer) -> str:
        number = answer.data.get("id") if isinstance(answer.data, dict) else None
        if not isinstance(number, str) or not re.fullmatch(r"[0-9A-Za-z-]+", number):
            raise LostError(f"{self.name}: AS3 does not say which task it works on")
        return f"{_SERVICE}/task/{number}"

    def _check(self, answer: Answer) -> None:
        results = _results(answer)
        bad = [one for one in results if not 200 <= int(one.get("code", 500)) < 300]
        if results and not bad:
            return
        said = "; ".join(one_line(f"{one.get('message')}: {one.get('response', '')}") for one in bad) or answer.message
        status = int(bad[0].get("code", 500)) if bad else answer.status
        raise RefusedError(self.name, f"AS3 refused the tenant {self.tenant}, nothing was changed", status, said)

    def _sync(self) -> None:
        if self.options.sync:
            with told_apart(self.options.sync):
                synchronise(self.device, self.options.sync)
            self.console.say(f"{self.name}: the group {self.options.sync} is synchronised")

    def _report(self, outcome: str, todo: Work, path: Path | None = None) -> Report:
        return Report(self.name, outcome, todo.plan, counts(todo), path, self.device.requests_sent)


def _results(answer: Answer) -> list[dict[str, Any]]:
    found = answer.data.get("results", []) if isinstance(answer.data, dict) else []
    return [one for one in found if isinstance(one, dict)]


def _owned(one: Object) -> Object:
    """An object with what a declaration decides of it."""
    dropped = _UNOWNED[""] | _UNOWNED.get(one.kind, frozenset())
    properties = {key: value for key, value in one.properties.items() if key not in dropped}
    return Object(one.kind, one.path, _flattened(one.kind, properties))


def _flattened(kind: str, values: Mapping[str, Value]) -> Mapping[str, Value]:
    """The same, with AS3's name for a certificate in the chain (`set0`) instead of ours."""
    chain = values.get("cert-key-chain")
    if kind != "ltm profile client-ssl" or not isinstance(chain, Mapping):
        return values
    return {**values, "cert-key-chain": {f"set{number}": each for number, each in enumerate(chain.values())}}
