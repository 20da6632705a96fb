"""The backend of the Zen family: read the device, plan, apply step by step; after a failure, undo in reverse order.

zapi has no transactions and no locks. Therefore, the plan is made again directly before it is applied. One restart at
the end activates the changes of a farm. After a failure before the last restart, all changes are rolled back.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from ...core.errors import DeviceError, NlbgenError, SpecError, UnsupportedError
from ...core.files import read_bytes
from ...core.plan import Plan
from ...generators.base import Site, generator, prepare
from ...generators.zen.notes import silence_limit
from ...generators.zen.objects import HttpFarm, Objects, objects, redis_name
from ...generators.zen.products import Edition, Generation, edition
from ...spec.load import Spec
from ...spec.references import resolve
from ..contract import Backend, Console, Counts, Options, OutcomeLost
from ..errors import RefusedError
from .draft import Certificate, Draft
from .plan import Planner
from .state import PENDING, State, check_product, read
from .steps import Restart, Step
from .zapi import Zapi

_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_DIGITS: Final = 12


class Planned(NamedTuple):
    """The plan of a push, and the state that it is based on."""

    plan: Plan
    work: Draft
    state: State

    @property
    def notes(self) -> tuple[str, ...]:
        """Further facts for the user, in addition to the changes."""
        return tuple(self.work.notes)

    @property
    def refusals(self) -> tuple[DeviceError, ...]:
        """None: the planner raises them."""
        return ()


class Zen(Backend[Planned]):
    """One farm on a device of the Zen family; `connect` creates it from a spec."""

    def __init__(
        self,
        zapi: Zapi,
        found: Edition,
        generation: Generation,
        made: Objects,
        certificate: Certificate,
        options: Options,
        console: Console,
    ) -> None:
        self.zapi: Final = zapi
        self.name = zapi.name
        self.edition: Final = found
        self.generation: Final = generation
        self.objects: Final = made
        self.certificate: Final = certificate
        self.options, self.console = options, console
        self._applying = False
        self._done: list[Step] = []
        self._current: Step | None = None
        """The step whose outcome is unknown."""
        self._refused: Step | None = None
        self._serves = False

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self.zapi.requests_sent

    def state(self) -> State:
        """Read the current state of the device."""
        main = self.objects.main.name
        names = [main, f"{main}-http", redis_name(main)]
        return read(self.zapi, self.objects, self.generation, names)

    def plan(self) -> Planned:
        """Read the device and plan; nothing is written."""
        # The read-back must not refuse changes that are already applied.
        return self._planned(self.options._replace(force=True) if self._applying else self.options)

    def _planned(self, options: Options) -> Planned:
        state = self.state()
        planner = Planner(self.zapi.name, self.objects, state, self.generation, self.certificate, options)
        work = planner.run()
        work.notes += self._limits()
        return Planned(work.plan(state), work, state)

    def counts(self, planned: Planned) -> Counts:
        """Count the changes by kind; unchanged objects are not counted."""
        kinds = [change.kind for change in planned.plan.changes]
        columns = {"created": "add", "changed": "change", "removed": "remove"}
        return {"changes": {column: kinds.count(kind) for column, kind in columns.items()} | {"unchanged": 0}}

    def _limits(self) -> Iterator[str]:
        """Yield the settings that only a file can set, not the API."""
        main = self.objects.main
        if not isinstance(main, HttpFarm):
            return
        if self.generation.dialect == "pound":
            line = f"WSTimeOut {main.times.websocket}"
            yield (
                "the API cannot set WSTimeOut: a WebSocket without traffic is closed after 600 seconds. For a "
                f"longer time, add the line `{line}` to {self.generation.config}/{main.name}_proxy.cfg; pushes "
                "keep this line"
            )
        if self.generation.dialect == "zproxy-ng" and (limit := silence_limit(main.times)) is not None:
            yield limit
        if main.hsts:
            yield "the API of the Community editions cannot set Strict-Transport-Security"

    def apply(self, planned: Planned) -> OutcomeLost:
        """Run the steps of the plan. After a failure, `take_back` undoes them."""
        self._applying = True
        work = planned.work
        for step in (*work.steps, *work.restarts):
            self._current = step
            self.console.say(step.what)
            try:
                step.run(self.zapi)
            except RefusedError:
                # The device changed nothing. But after a refused restart, the farm may be down.
                if isinstance(step, Restart):
                    raise
                self._current, self._refused = None, step
                if not self._overtaken():
                    raise
                self.console.say("another push has completed the same farm: it matches the spec")
                return None
            self._done.append(step)
        self._current = None
        self._last_steps(planned)
        return None

    def _last_steps(self, planned: Planned) -> None:
        """Run the steps after the new farm serves. A failure is reported, and the farm stays."""
        self._serves = True
        last = planned.work.last
        for number, step in enumerate(last):
            self.console.say(step.what)
            try:
                step.run(self.zapi)
            except DeviceError as error:
                left = "; ".join(other.what for other in last[number:])
                message = f"{error.message}\n    the new farm serves; not done: {left}{self._doubled(planned)}"
                raise DeviceError(message, "push again: the next push makes the remaining changes") from None

    def _overtaken(self) -> bool:
        """Whether another push has already made all changes; its farm must not be rolled back."""
        try:
            return not self._planned(self.options._replace(force=True, adopt=True)).plan.changes
        except DeviceError:
            return False

    def take_back(self, planned: Planned, error: BaseException, snapshot: Path | None) -> NlbgenError | None:
        """Undo the steps; return an error with the failure and the state of the device."""
        del snapshot
        if self._serves:
            return None
        outcome = self._taken_back(planned)
        if not isinstance(error, NlbgenError):
            self.console.say(outcome)
            return None
        step = self._current or self._refused
        assert step is not None  # noqa: S101  # a step failed
        return DeviceError(f"{error.message}\n    at: {step.what}\n    {outcome}", _hint(step, error))

    def read_back_failed(self, error: DeviceError, lost: OutcomeLost) -> DeviceError:
        """Return the error for a farm that could not be read back."""
        del lost
        message = f"{error.message}\n    all calls were made and the farm serves, but it could not be read back"
        return DeviceError(message, "check the farm with `nlbgen push zen --dry-run`")

    def not_as_planned(self, planned: Planned, again: Planned, lost: OutcomeLost, snapshot: Path | None) -> DeviceError:
        """Return the error for a device that still differs."""
        del planned, lost, snapshot
        lines = "\n".join(f"    {change}" for change in again.plan.changes)
        return DeviceError(
            f"{self.name}: the device accepted all calls, but still differs from the spec:\n{lines}",
            "check these in the device's web interface; the farm serves",
        )

    def finish(self, planned: Planned, again: Planned) -> None:
        """Raise DeviceError for backends that two simultaneous pushes have added twice."""
        if doubled := again.state.doubled() - planned.state.doubled():
            raise DeviceError(
                f"{self.name}: nodes are listed twice in their farms after this push: {', '.join(sorted(doubled))}",
                "the farm was changed by another push at the same time: push again with --prune",
            )

    def _taken_back(self, planned: Planned) -> str:
        """Undo in reverse order, read the device, and return the outcome as text."""
        steps = self._done if self._current is None else [*self._done, self._current]
        left = self._undo(steps)
        if left:
            return f"not rolled back: {'; '.join(left)}"
        try:
            state = self.state()
        except DeviceError:
            return "all changes were rolled back, but the device can no longer be read"
        if differences := state.differences(planned.state):
            return "\n        ".join(
                ["all changes were rolled back, but these still differ from before:", *differences]
            )
        if doubled := self._doubled(planned):
            return f"all changes were rolled back{doubled}"
        waiting = [name for name, farm in state.farms.items() if farm.status == PENDING]
        asks = (
            f"; its web pages still request a restart of {', '.join(waiting)}, which is not necessary"
            if waiting
            else ""
        )
        return f"all changes were rolled back: the device is in its previous state{asks}"

    def _doubled(self, planned: Planned) -> str:
        """Return the backends that two simultaneous pushes have added twice, as the end of a message: the API has no
        lock.
        """
        try:
            doubled = self.state().doubled() - planned.state.doubled()
        except DeviceError:
            return ""
        if not doubled:
            return ""
        return (
            f"; these nodes are now listed twice in their farms: {', '.join(sorted(doubled))}: push again with --prune"
        )

    def _undo(self, steps: list[Step]) -> list[str]:
        """Undo steps, the last one first; return the names of those that could not be undone."""
        left = []
        for step in reversed(steps):
            try:
                step.undo(self.zapi)
            except DeviceError:
                left.append(
                    f"{step.what} (it is not known whether it was done)" if step is self._current else step.what
                )
        for step in steps:
            # The restart of this push may have stopped a farm that ran before: restart it with its old files.
            if isinstance(step, Restart):
                try:
                    step.bring_back(self.zapi)
                except DeviceError:
                    left.append(f"the farm {step.farm} could not be restored with its old settings")
        return left


def _hint(step: Step, error: NlbgenError) -> str:
    """Return the hint for a failed step: that of the step, else that of the call, else a general one."""
    if not isinstance(error, RefusedError):
        return error.hint or "push again"
    # A repeated call would be refused again.
    general = "correct this in the spec or in the device's web interface, then push again"
    return step.hint(error) or error.hint or general


@contextmanager
def connect(spec: Spec, options: Options, console: Console) -> Iterator[Zen]:
    """Connect to the device that the spec names; the connection ends with the block.

    Raises UnsupportedError, SpecError, FileError or DeviceError before any request that would change it.
    """
    found = _edition(spec)
    generation = found.generation
    zen = spec.farm.zen
    if generation is None or zen.api is None or zen.key is None:
        raise ValueError("the spec was not checked")
    folder = Path(spec.name).parent
    certificate = _certificate(spec, folder)
    ca = None if zen.ca is None else folder / zen.ca
    if ca is not None:
        _present(spec, "ca", ca)
    zapi = Zapi(zen.api, generation.api, generation.header, resolve(zen.key, folder), ca)
    try:
        check_product(zapi, found)
        yield Zen(zapi, found, generation, objects(spec.farm, found), certificate, options, console)
    finally:
        zapi.close()


def _edition(spec: Spec) -> Edition:
    """Return the product, after all refusals of rendering and of the API."""
    vendor = generator("zen")
    prepare(vendor, spec, Site())
    found = edition(spec.farm)
    if found.generation is not None and not found.generation.api:
        message = f"{found} has no API"
        hint = "run `nlbgen render zen` and follow its INSTALL.md"
        raise UnsupportedError([spec.problem(("zen", "product"), message, hint)])
    if not found.layer4 and spec.farm.affinity in {"cookie", "signalr"}:
        message = "the API of the Community editions refuses affinity by cookie"
        hint = "write `affinity: source`, or copy the files of `nlbgen render zen`"
        raise UnsupportedError([spec.problem(("balancer", "affinity"), message, hint)])
    problems = [
        spec.problem(("zen", name), f"a push needs zen.{name}", hint)
        for name, hint in (
            ("api", "write the device's URL, for example https://zen.corp.example:444"),
            ("key", "write a reference to the API key, for example {env: NLBGEN_ZEN_KEY}"),
        )
        if getattr(spec.farm.zen, name) is None
    ]
    if problems:
        raise SpecError(problems)
    return found


def _present(spec: Spec, name: str, path: Path) -> bytes:
    content = read_bytes(path)
    if content is None:
        raise SpecError(
            [spec.problem(("zen", name), f"{path} does not exist", "the path is relative to the spec's folder")]
        )
    return content


def _certificate(spec: Spec, folder: Path) -> Certificate:
    """Return the certificate. Its name contains a hash of its chain, so a new one never replaces the one in use."""
    name = objects(spec.farm, edition(spec.farm)).main.name
    if spec.farm.zen.certificate is None or not spec.farm.balancer_tls:
        return Certificate(f"{name}.pem", None)
    pem = _present(spec, "certificate", folder / spec.farm.zen.certificate)
    chain = _CERTIFICATE.findall(pem)
    if not chain or b"PRIVATE KEY-----" not in pem or b"ENCRYPTED" in pem:
        message = "the PEM must contain a private key without a passphrase, the certificate, and its chain"
        hint = "put them one after another into one file with mode 0600"
        raise SpecError([spec.problem(("zen", "certificate"), message, hint)])
    return Certificate(f"{name}-{hashlib.sha256(b''.join(chain)).hexdigest()[:_DIGITS]}.pem", pem)
