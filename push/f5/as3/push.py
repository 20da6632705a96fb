"""`nlbgen push f5` with `api: as3`: one declaration of a separate tenant, then a check of the result.

The push compares the device's objects, not AS3's record: AS3's dry run does not read the device, and its record does
not contain manual changes. AS3 removes everything from its tenant that is not in the declaration. Therefore, a push
never uses a partition that AS3 did not create. Sources: AS3's documentation and `update.js`, `declarationHandler.js`.
"""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ....core.errors import DeviceError, NlbgenError
from ....generators.f5.as3 import OLDEST, declaration, names, tenant
from ....generators.f5.objects import objects
from ....generators.f5.vocabulary import Object, Value, kinds_of
from ....spec.load import Spec
from ....spec.units import Version
from ... import contract
from ...contract import Console, Options, OutcomeLost
from ...errors import NotSentError, OutcomeUnknownError, RefusedError
from ...http import one_line
from .. import backend as f5_backend
from .. import certificates as f5_certificates
from .. import files as f5_files
from .. import plan as f5_plan
from .. import snapshot as f5_snapshot
from ..backend import F5Backend
from ..plan import State, Work
from ..rest.icontrol import Answer, RestSession, refusal
from ..rest.push import RestFiles, destinations, save, synchronise
from ..rest.read import read, unit, warn_of_sni
from . import record as f5_as3_record

_SERVICE: Final = "/mgmt/shared/appsvcs"
POLLS: Final = 60
"""The maximum number of polls of a task; AS3's own timeout is shorter."""

_UNOWNED: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset({"defaults-from"}),
    "ltm cipher rule": frozenset({"description"}),
    "ltm cipher group": frozenset({"description"}),
    "ltm node": frozenset({"description"}),
    "ltm policy": frozenset({"controls", "requires", "status"}),
    "ltm profile client-ssl": frozenset({"options"}),
    "ltm profile server-ssl": frozenset({"options"}),
}
"""The properties that AS3 sets itself: the parents of profiles, and derived values."""


@dataclass(frozen=True)
class Planned(f5_backend.Planned):
    """The changes of a declaration, and AS3's record of the tenant (None if there is no record)."""

    record: dict[str, Any] | None = None


class As3(F5Backend[Planned]):
    """The backend for AS3: it declares one tenant, and reads AS3's record and tasks."""

    api = "as3"
    applied = "the declaration was applied"
    unknown = "it is not known whether the declaration was applied"
    lost_when_interrupted = "it is not known whether the declaration was applied: push again to find out"
    files_folder = "/Common"

    def __init__(
        self, spec: Spec, options: Options, console: Console, device: RestSession, pauses: tuple[float, ...]
    ) -> None:
        super().__init__(spec, options, console, device.login.name, unit(device))
        self.device, self.pauses = device, pauses
        self.store = RestFiles(device, console.insist)
        self.tenant = tenant(self.farm)
        self._check_version()
        found = names(self.farm)
        if options.restore is None:
            found, self.files = f5_certificates.gather(self.farm, found, self.files_folder)
        else:
            self.snapshot = f5_snapshot.load(options.restore, self.name, self.farm.farm, self.tenant, "as3")
        made = objects(self.farm, self.unit.version, found)
        self.declared = declaration(self.farm, made, self.unit.version)
        self.body: Mapping[str, Any] = self.declared[self.tenant]
        self.wanted = tuple(_owned(one) for one in made)
        warn_of_sni(device, self.wanted, console.insist)

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self.device.requests_sent

    def _check_version(self) -> None:
        try:
            info = self.device.get(f"{_SERVICE}/info", "AS3's version")
        except (NotSentError, RefusedError) as error:
            raise DeviceError(
                f"{error.message}: AS3 is not installed or not ready", "install it, or write `f5.api: rest`"
            ) from None
        found = re.match(r"\d+(?:\.\d+)*", str(info.get("version"))) if isinstance(info, dict) else None
        if found is None or Version(found[0]) < OLDEST:
            shown = found[0] if found else "without a version"
            raise DeviceError(
                f"{self.name}: AS3 {shown} is too old; the oldest supported version is {OLDEST}",
                "update AS3, or write `f5.api: rest`",
            )

    # Reading and planning.

    def _record(self) -> dict[str, Any] | None:
        """Return AS3's record of the tenant; None if there is no record."""
        answer = self.device.look(f"{_SERVICE}/declare/{self.tenant}", "AS3's declaration", "showHash=true")
        if answer.status in {204, 404}:
            return None
        found = answer.data.get(self.tenant) if isinstance(answer.data, dict) else None
        if answer.status != 200 or not isinstance(found, dict):
            raise refusal(self.name, "AS3's declaration", answer)
        return found

    def _refusals(self, record: dict[str, Any] | None) -> Iterator[DeviceError]:
        if record is not None:
            if record.get("label") != self.mark and not self.options.adopt:
                yield DeviceError(
                    f"{self.name}: the tenant {self.tenant} exists, but nlbgen did not create it for this farm",
                    "replace its content with --adopt (AS3 then removes everything else in the tenant), or write "
                    "another f5.partition",
                )
            return
        answer = self.device.look(f"/mgmt/tm/auth/partition/{self.tenant}", "the partition")
        if answer.status == 200:
            yield DeviceError(
                f"{self.name}: the partition {self.tenant} exists, but AS3 did not create it",
                "AS3 would remove everything in it: write another f5.partition, or write `f5.api: rest`",
            )

    def _state(self, record: dict[str, Any] | None) -> State:
        state = read(self.device, self.tenant, () if record is None else kinds_of(self.unit.version))
        prefix = f"/{self.tenant}/"
        found = {key: _flattened(key[0], values) for key, values in state.found.items() if key[1].startswith(prefix)}
        return State(found, state.addresses)

    def _work(self, state: State) -> Work:
        lost: tuple[DeviceError, ...] = ()
        if self.snapshot is not None:
            lost = self._bring_back(self.snapshot, state)
        wanted = {(one.kind, one.path) for one in self.wanted}
        gone = frozenset(key for key in state.found if key not in wanted)
        todo = f5_plan.work(self.name, self.wanted, state, self.mark, adopt=True, prune=True, absent=gone, tenant=True)
        return todo._replace(refusals=(*todo.refusals, *lost))

    def _bring_back(self, snapshot: f5_snapshot.Snapshot, state: State) -> tuple[DeviceError, ...]:
        """Use the snapshot's objects, with certificates that exist, as the target; return the errors."""
        then = tuple(_owned(one) for one in f5_snapshot.wanted(snapshot, state)[0])
        found = f5_files.certified(then, state, self.store)
        f5_files.tell(self.name, found, self.console.say, self._told)
        self.wanted = found.objects
        # Without a record there was no tenant: an empty tenant means the same.
        record = snapshot.record or {"class": "Tenant"}
        self.body = f5_as3_record.renewed(record, then, found.kept)
        return tuple(f5_files.lost(self.name, found))

    # The flow's steps.

    def plan(self) -> Planned:
        """Read the device and plan."""
        record = self._record()
        state = self._state(record)
        work = self._work(state)
        return Planned(self.name, work._replace(refusals=(*self._refusals(record), *work.refusals)), state, record)

    def is_outdated(self, planned: Planned) -> bool:
        """Whether the tenant changed since the plan: a new one is looked up, an existing one is read and compared."""
        if planned.record is None:
            return self._record() is not None
        return self._work(self._state(planned.record)).plan.digest != planned.plan.digest

    def save(self, planned: Planned) -> Path:
        """Save the tenant's objects and AS3's record to a snapshot."""
        record = planned.record
        kept = None if record is None else {key: value for key, value in record.items() if key != "optimisticLockKey"}
        taken = f5_snapshot.Snapshot(self.name, self.farm.farm, self.tenant, "as3", planned.state.found, kept)
        return f5_snapshot.save(self.options.snapshots, taken, planned.plan.digest)

    def transact(self, planned: Planned) -> OutcomeLost:
        """Declare the tenant and wait for the result."""
        return self._declare(self._body(planned.record))

    def take_back(self, planned: Planned, error: BaseException, snapshot: Path | None) -> NlbgenError | None:
        """Remove the certificate files; return a clearer error if AS3's lock refused the declaration."""
        super().take_back(planned, error, snapshot)
        locked = isinstance(error, RefusedError) and "lock" in error.said.lower()
        # The lock refuses a declaration if the record changed after it was read.
        return contract.overtaken(self.name) if locked and planned.record is not None else None

    def is_applied(self, again: Planned) -> bool:
        """Whether no changes remain, and the tenant exists if and only if it should."""
        return (again.record is not None) == bool(self.wanted) and super().is_applied(again)

    def not_as_planned(self, planned: Planned, again: Planned, lost: OutcomeLost, snapshot: Path | None) -> DeviceError:
        """Return the error for a declaration without a response, or for a device that differs from the plan."""
        del planned
        if lost is not None:
            return OutcomeUnknownError(
                f"{lost.message}; {self.applied_or_unknown(lost)}", "push again: the next push reads the outcome"
            )
        return DeviceError(
            f"{self.name}: the declaration was applied, but the device differs from the plan:\n{again.plan.text()}",
            f"AS3 does not record manual changes; roll back with `nlbgen push f5 --restore {snapshot}`",
        )

    def finish(self, planned: Planned, again: Planned) -> None:
        """Remove unused certificate files."""
        del planned
        try:
            self.remove_old_files(again.state)
        except DeviceError as error:
            raise DeviceError(
                f"{error.message}; the declaration was applied and read back", "push again: the next push completes it"
            ) from None
        self.settle(self.pending())

    def complete(self, planned: Planned) -> None:
        """Remove the files of an earlier push that was interrupted after AS3 applied its declaration."""
        left = self.pending()
        self.remove_old_files(planned.state)
        self.settle(left)

    def remove_old_files(self, after: State) -> bool:
        """Remove files, and save the configuration, because AS3 saved before the removal."""
        removed = super().remove_old_files(after)
        if removed:
            self.save_configuration()
        return removed

    def destinations(self) -> dict[str, str]:
        """The destination of each virtual server of the device, by its path."""
        return destinations(self.device)

    def save_configuration(self) -> None:
        """Save the device's configuration for its next start."""
        save(self.device)

    def synchronise(self, group: str) -> None:
        """Synchronize the configuration to the other units of the group."""
        synchronise(self.device, group)

    def _body(self, record: dict[str, Any] | None) -> dict[str, Any]:
        """Return the declaration with two values of the record that no spec contains: the lock and the default route
        domain.
        """
        known = record or {}
        kept = {key: known[key] for key in ("defaultRouteDomain", "optimisticLockKey") if key in known}
        return {**self.declared, self.tenant: {**self.body, **kept}}

    # AS3's own answers.

    def _declare(self, body: Mapping[str, Any]) -> DeviceError | None:
        """Declare and wait. Return the error if the outcome is unknown; raise RefusedError for a refusal."""
        self.console.say(f"{self.name}: AS3 applies the tenant {self.tenant}")
        self.commit_begins()
        try:
            answer = self.device.send("POST", f"{_SERVICE}/declare?async=true", body, "the declaration")
            if self._under_way(answer):
                answer = self._awaited(self._task(answer))
        except (OutcomeUnknownError, NotSentError) as error:
            return error
        try:
            self._check(answer)
        except RefusedError as error:
            raise self.with_holder(error) from None
        return None

    def _awaited(self, task: str) -> Answer:
        """Wait until a task ends; raises OutcomeUnknownError if AS3 does not report its end."""
        for _ in range(POLLS):
            time.sleep(min(self.pauses, default=0.0))
            try:
                answer = self.device.look(task, "AS3's task")
            except RefusedError as error:  # the new login was refused
                raise OutcomeUnknownError(error.message, error.hint) from None
            if answer.status != 200:
                raise OutcomeUnknownError(f"{self.name}: AS3's task: {answer.message} (HTTP {answer.status})")
            if not self._under_way(answer):
                return answer
        raise OutcomeUnknownError(f"{self.name}: AS3 has not finished yet")

    def _under_way(self, answer: Answer) -> bool:
        results = _results(answer)
        return answer.status == 202 or any(one.get("code") == 0 for one in results)

    def _task(self, answer: Answer) -> str:
        number = answer.data.get("id") if isinstance(answer.data, dict) else None
        if not isinstance(number, str) or not re.fullmatch(r"[0-9A-Za-z-]+", number):
            raise OutcomeUnknownError(f"{self.name}: AS3 did not return the id of its task")
        return f"{_SERVICE}/task/{number}"

    def _check(self, answer: Answer) -> None:
        results = _results(answer)
        bad = [one for one in results if not 200 <= _code(one) < 300]
        if results and not bad:
            return
        said = "; ".join(one_line(f"{one.get('message')}: {one.get('response', '')}") for one in bad) or answer.message
        status = _code(bad[0]) if bad else answer.status
        raise RefusedError(
            f"{self.name}: AS3 refused the tenant {self.tenant}, nothing was changed: {said} (HTTP {status})",
            status=status,
            said=said,
        )


def _results(answer: Answer) -> list[dict[str, Any]]:
    found = answer.data.get("results", []) if isinstance(answer.data, dict) else []
    return [one for one in found if isinstance(one, dict)]


def _code(result: Mapping[str, Any]) -> int:
    """Return the status of a result; 500 if it has none."""
    found = result.get("code")
    return found if isinstance(found, int) else 500


def _owned(one: Object) -> Object:
    """Return the object with only the properties that a declaration determines."""
    dropped = _UNOWNED[""] | _UNOWNED.get(one.kind, frozenset())
    properties = {key: value for key, value in one.properties.items() if key not in dropped}
    return Object(one.kind, one.path, _flattened(one.kind, properties))


def _flattened(kind: str, values: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return the properties with AS3's names for the entries of a certificate chain (`set0`)."""
    chain = values.get("cert-key-chain")
    if kind != "ltm profile client-ssl" or not isinstance(chain, Mapping):
        return values
    return {**values, "cert-key-chain": {f"set{number}": each for number, each in enumerate(chain.values())}}
