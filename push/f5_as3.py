"""`nlbgen push f5` with `api: as3`: one declaration of a tenant of its own, and a look at what AS3 made of it.

What differs is found by reading the device's objects, not AS3's own record: its dry run never asks the device, and its
record does not know what was changed by hand. AS3 removes from its tenant whatever the declaration does not hold, so a
partition that AS3 did not make is never taken. Sources: AS3's documentation and `update.js`, `declarationHandler.js`.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import DeviceError, UsageError
from ..files import read_bytes, write_atomically
from ..generators.f5_as3 import OLDEST, declaration, names, tenant
from ..generators.f5_objects import objects
from ..generators.f5_view import mark
from ..generators.f5_vocabulary import KINDS, Object, Value
from ..spec.load import Spec
from ..spec.types import Version
from . import f5_certificates, f5_files, f5_plan
from .f5_certificates import CertificateFile
from .f5_plan import State, Work
from .f5_rest import RestFiles, synchronise
from .f5_session import Options, Report, Talk, counts, on_version, overtaken, ready, review, unit
from .icontrol import Answer, Device, LostError, RefusedError, UnreachableError, one_line

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
    """A push of one tenant; like [`Push`][nlbgen.push.f5_push.Push], with AS3's own record and its tasks."""

    def __init__(self, spec: Spec, options: Options, talk: Talk, device: Device, pauses: tuple[float, ...]) -> None:
        self.options, self.talk, self.device, self.pauses = options, talk, device, pauses
        self.name = device.login.name
        self.store = RestFiles(device, talk.say)
        self.unit = unit(device)
        self.farm = on_version(spec, self.unit.version, talk.say).farm
        self.tenant = tenant(self.farm)
        self._check_version()
        found, self.files = f5_certificates.gather(self.farm, names(self.farm), "/Common")
        self.objects = objects(self.farm, self.unit.version, found)
        self.declared = declaration(self.farm, self.objects, self.unit.version)
        self.wanted = tuple(_owned(one) for one in self.objects)
        self._declaring = False

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
        wanted = {(one.kind, one.path) for one in self.wanted}
        gone = frozenset(key for key in state.found if key not in wanted)
        return f5_plan.work(self.name, self.wanted, state, mark(self.farm), adopt=True, prune=True, absent=gone)

    def run(self) -> Report:
        """Plan, and do what the options ask for."""
        if self.options.restore is not None:
            return self._restore(self.options.restore)
        record = self._record()
        state = self._state(record)
        todo = self._work(state)
        todo = todo._replace(refusals=(*self._refusals(record), *todo.refusals))
        review(self.name, todo, self.options, self.talk)
        if not len(todo.plan) or self.options.dry_run:
            return self._report("planned" if len(todo.plan) else "unchanged", todo)
        return self._apply(todo, state, record)

    def _apply(self, todo: Work, state: State, record: dict[str, Any] | None) -> Report:
        ready(self.name, self.unit, todo, state, force=self.options.force)
        if not self.talk.agree(f"Declare the tenant {self.tenant} on {self.name}?"):
            return self._report("declined", todo)
        path = self._save(record, todo.plan.digest)
        if record is None:
            # AS3 locks a tenant that it has: a new one is only looked for once more.
            overtook = self._record() is not None
        else:
            overtook = self._work(self._state(record)).plan.digest != todo.plan.digest
        if overtook:
            raise overtaken(self.name)
        made: list[CertificateFile] = []
        shared = f5_files.named(state)
        try:
            f5_files.bring(self.name, self.files, shared, made, self.talk.say, self.store)
            lost = self._declare(self._body(record))
        except BaseException as error:
            if self._declaring and not isinstance(error, DeviceError):
                # AS3 works on by itself, and needs the files.
                self.talk.say(
                    f"{self.name}: whether the declaration was applied is not known: push again, it finds out"
                )
                raise
            f5_files.take_back(made, self.store)
            if isinstance(error, RefusedError) and "lock" in error.text.lower() and record is not None:
                # The record's hash is no longer that of the record which was read.
                raise overtaken(self.name) from None
            raise
        self._verify(path, lost)
        self._finish(shared)
        return self._report("applied", todo, path)

    def _body(self, record: dict[str, Any] | None) -> dict[str, Any]:
        """The declaration, with what the tenant has and no spec says: the lock, and its default route domain."""
        known = record or {}
        kept = {key: known[key] for key in ("defaultRouteDomain", "optimisticLockKey") if key in known}
        return {**self.declared, self.tenant: {**self.declared[self.tenant], **kept}}

    def _finish(self, shared: set[str]) -> None:
        try:
            kept = {file.path for file in self.files}
            f5_files.remove_unnamed(self.farm, shared, kept, self.store, self.talk.say)
            self._sync()
        except DeviceError as error:
            raise DeviceError(
                f"{error.message}; the declaration was applied and read back", "push again: it completes"
            ) from None

    def _save(self, record: dict[str, Any] | None, digest: str) -> Path:
        path = self.options.snapshots / f"{self.farm.farm}-as3-{digest[:12]}.json"
        kept = None if record is None else {key: value for key, value in record.items() if key != "optimisticLockKey"}
        data = {"nlbgen": "f5-as3-snapshot", "device": self.name, "tenant": self.tenant, "declaration": kept}
        write_atomically(path, (json.dumps(data, indent=2, sort_keys=True) + "\n").encode(), mode=0o600, durable=True)
        self.talk.say(f"{self.name}: what will change was saved to {path}")
        return path

    def _verify(self, path: Path, lost: DeviceError | None) -> None:
        """Read again until nothing is left to do; AS3 may still be at work where its answer was lost."""
        told = "whether the declaration was applied is not known" if lost else "the declaration was applied"
        work: Work | None = None
        for pause in (*(self.pauses if lost else ()), None):
            try:
                record = self._record()
                work = self._work(self._state(record))
            except DeviceError as error:
                raise DeviceError(
                    f"{error.message}; {told}, and reading it back failed", "push again: it finds out, and completes"
                ) from None
            if record is not None and not len(work.plan):
                return
            if pause is not None:
                time.sleep(pause)
        if lost is not None:
            raise LostError(f"{lost.message}; {told}", "push again: it finds out")
        assert work is not None  # noqa: S101  # the loop runs at least once
        raise DeviceError(
            f"{self.name}: the declaration was applied, and the device is not as planned:\n{work.plan.text()}",
            f"`nlbgen push f5 --restore {path}` goes back",
        )

    # AS3's own answers.

    def _declare(self, body: Mapping[str, Any]) -> DeviceError | None:
        """Declare and wait; what was lost on the way is returned, a refusal is raised."""
        self.talk.say(f"{self.name}: AS3 is at work on the tenant {self.tenant}")
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
            synchronise(self.device, self.options.sync)
            self.talk.say(f"{self.name}: the group {self.options.sync} is synchronised")

    def _report(self, outcome: str, todo: Work, path: Path | None = None) -> Report:
        return Report(self.name, outcome, todo.plan, counts(todo), path, self.device.requests_sent)

    # Going back.

    def _restore(self, path: Path) -> Report:
        data = _loaded(path)
        if (data.get("device"), data.get("tenant")) != (self.name, self.tenant):
            raise UsageError(f"{path}: is a snapshot of {data.get('tenant')} on {data.get('device')}")
        before = data["declaration"] or {"class": "Tenant"}
        todo = self._work(self._state(self._record()))
        if self.options.dry_run or not self.talk.agree(f"Declare the tenant {self.tenant} of {path} on {self.name}?"):
            return self._report("planned" if self.options.dry_run else "declined", todo)
        ready(self.name, self.unit, todo._replace(updates=()), State({}, {}), force=True)
        body = {**{key: value for key, value in self.declared.items() if key != self.tenant}, self.tenant: before}
        if (lost := self._declare(body)) is not None:
            raise LostError(f"{lost.message}; whether the declaration was applied is not known", "restore again")
        return self._report("applied", self._work(self._state(self._record())), path)


def _loaded(path: Path) -> dict[str, Any]:
    content = read_bytes(path)
    try:
        data = json.loads(content or b"")
    except ValueError:
        data = None
    if not isinstance(data, dict) or data.get("nlbgen") != "f5-as3-snapshot":
        raise UsageError(f"{path}: is not a snapshot of a push by AS3", "each push says where it wrote its own")
    return data


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
