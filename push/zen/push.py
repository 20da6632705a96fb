"""`nlbgen push zen`: read the device, plan, apply step by step, read back; on failure undo in reverse.

zapi has no transaction and nothing to lock: the plan is made again right before it is applied, a farm's changes take
effect with one restart at their end, and whatever fails before the last restart is taken back.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from ...core.errors import DeviceError, DifferenceError, NlbgenError, SpecError, UnsupportedError
from ...core.files import read_bytes
from ...core.plan import Plan
from ...generators.base import Site, generator, prepare
from ...generators.zen.objects import HttpFarm, Objects, objects, silence_limit
from ...generators.zen.products import Edition, Generation, edition
from ...spec.load import Spec
from ...spec.references import resolve
from .plan import Planner
from .state import PENDING, State, check_product, read
from .steps import Restart, Step
from .work import Certificate, Wishes, Work
from .zapi import RefusedError, Zapi

Progress = Callable[[str], None]
_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_DIGITS: Final = 12


class Planned(NamedTuple):
    """What a push would do, and on which state it was planned."""

    plan: Plan
    work: Work
    state: State

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know besides the changes."""
        return tuple(self.work.notes)


class Target:
    """One spec and the device it goes to; `connect` makes one from a spec."""

    def __init__(
        self, zapi: Zapi, found: Edition, generation: Generation, made: Objects, certificate: Certificate
    ) -> None:
        self.zapi: Final = zapi
        self.edition: Final = found
        self.generation: Final = generation
        self.objects: Final = made
        self.certificate: Final = certificate

    def state(self) -> State:
        """What the device has now."""
        names = [self.objects.main.name, f"{self.objects.main.name}-http"]
        return read(self.zapi, self.objects, self.generation, names)

    def plan(self, wishes: Wishes) -> Planned:
        """What would change; nothing is written."""
        state = self.state()
        planner = Planner(self.zapi.name, self.objects, state, self.generation, self.certificate, wishes)
        work = planner.run()
        work.notes += self._limits()
        return Planned(work.plan(state), work, state)

    def _limits(self) -> Iterator[str]:
        """What the API cannot set, and the file could."""
        main = self.objects.main
        if not isinstance(main, HttpFarm):
            return
        if self.generation.dialect == "pound":
            line = f"WSTimeOut {main.times.websocket}"
            yield (
                "the API cannot set WSTimeOut: a WebSocket may be silent for 600 seconds; for more, add the line "
                f"`{line}` to {self.generation.config}/{main.name}_proxy.cfg: pushes keep it"
            )
        if self.generation.dialect == "zproxy-ng" and (limit := silence_limit(main.times)) is not None:
            yield limit
        if main.hsts:
            yield "the API of the Community editions cannot set Strict-Transport-Security"

    def apply(self, planned: Planned, wishes: Wishes, progress: Progress) -> None:
        """Do what was planned, on the state that it was planned on.

        Raises DifferenceError where the device changed since, and DeviceError where a step failed: then everything
        was taken back, or the message says what was not.
        """
        if self.plan(wishes).plan.digest != planned.plan.digest:
            raise DifferenceError(
                f"{self.zapi.name}: the device changed since the plan was made", "read the new plan, then push again"
            )
        work = planned.work
        done: list[Step] = []
        for step in (*work.steps, *work.restarts):
            try:
                progress(step.what)
                step.run(self.zapi)
            except BaseException as error:
                # What the device certainly refused was not done; of a restart that was refused the farm may be down.
                refused = isinstance(error, RefusedError) and error.certain and not isinstance(step, Restart)
                if refused and self._overtaken(wishes):
                    progress("somebody else has finished the same farm meanwhile: it serves as the spec says")
                    return
                outcome = self._take_back(planned, done, None if refused else step)
                if isinstance(error, NlbgenError):
                    said = f"{error.message}\n    at: {step.what}\n    {outcome}"
                    raise DeviceError(said, _way_out(step, error)) from None
                progress(outcome)
                raise
            done.append(step)
        self._finish(planned, progress)
        self._read_back(planned, wishes)

    def _finish(self, planned: Planned, progress: Progress) -> None:
        """The steps after the new farm serves: what fails here is told, and the farm stays."""
        work = planned.work
        for number, step in enumerate(work.last):
            progress(step.what)
            try:
                step.run(self.zapi)
            except DeviceError as error:
                left = "; ".join(other.what for other in work.last[number:])
                message = f"{error.message}\n    the new farm stands and serves; not done: {left}{self._twice(planned)}"
                raise DeviceError(message, "push again: what is left is planned again") from None

    def _overtaken(self, wishes: Wishes) -> bool:
        """Whether the device has everything already: another push was faster, and its farm must not be taken back."""
        try:
            return not self.plan(wishes._replace(force=True, adopt=True)).plan.changes
        except DeviceError:
            return False

    def _read_back(self, planned: Planned, wishes: Wishes) -> None:
        try:
            again = self.plan(wishes._replace(force=True))
        except DeviceError as error:
            message = f"{error.message}\n    every call was made and the farm serves, but it could not be read back"
            raise DeviceError(message, "look whether it is as it should be: `nlbgen push zen --dry-run`") from None
        if again.plan.changes:
            lines = "\n".join(f"    {change}" for change in again.plan.changes)
            raise DeviceError(
                f"{self.zapi.name}: the device took every call and still differs from the spec:\n{lines}",
                "look at these in the device's own pages; the farm serves",
            )
        if doubled := again.state.doubled() - planned.state.doubled():
            raise DeviceError(
                f"{self.zapi.name}: twice in their farms since this push: {', '.join(sorted(doubled))}",
                "somebody else changed the farm at the same time: push once more, with --prune",
            )

    def _take_back(self, planned: Planned, done: list[Step], doubtful: Step | None) -> str:
        """Undo in reverse, look at the device, and say what was found there; of `doubtful` the answer was lost."""
        left = self._undo(done if doubtful is None else [*done, doubtful], doubtful)
        if left:
            return f"not taken back: {'; '.join(left)}"
        try:
            state = self.state()
        except DeviceError:
            return "everything was taken back, but the device cannot be read any more"
        if differences := state.differences(planned.state):
            return "\n        ".join(["everything was taken back, and still these are not as before:", *differences])
        if twice := self._twice(planned):
            return f"everything was taken back{twice}"
        waiting = [name for name, farm in state.farms.items() if farm.status == PENDING]
        asks = f"; it asks for a restart of {', '.join(waiting)}, which would change nothing" if waiting else ""
        return f"everything was taken back: the device has what it had before{asks}"

    def _twice(self, planned: Planned) -> str:
        """What two pushes at once have doubled, as the end of a message: the API has no lock."""
        try:
            doubled = self.state().doubled() - planned.state.doubled()
        except DeviceError:
            return ""
        if not doubled:
            return ""
        return f"; twice in their farms now: {', '.join(sorted(doubled))}: push once more, with --prune"

    def _undo(self, steps: list[Step], doubtful: Step | None) -> list[str]:
        """Take steps back, the last one first; the names of those that could not be."""
        left = []
        for step in reversed(steps):
            try:
                step.undo(self.zapi)
            except DeviceError:
                left.append(f"{step.what} (if it was done at all)" if step is doubtful else step.what)
        for step in steps:
            # The farm that ran before may have stopped at this push's restart: it starts again with its old files.
            if isinstance(step, Restart):
                try:
                    step.bring_back(self.zapi)
                except DeviceError:
                    left.append(f"the farm {step.farm} could not be brought back with its old settings")
        return left


def _way_out(step: Step, error: NlbgenError) -> str:
    """What helps after a failed step: what the step knows, else the call's own hint, else what the device says."""
    if not isinstance(error, RefusedError):
        return error.hint or "push again"
    again = "push again"
    if error.certain:  # the same call would be refused for ever
        again = "mend in the spec, or in the device's own pages, what it says; then push again"
    return step.way_out(error) or error.hint or again


@contextmanager
def connect(spec: Spec) -> Iterator[Target]:
    """The device that the spec names, logged in to; the connection ends with the block.

    Raises UnsupportedError, SpecError, FileError or DeviceError before anything is asked that would change it.
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
        yield Target(zapi, found, generation, objects(spec.farm, found), certificate)
    finally:
        zapi.close()


def _edition(spec: Spec) -> Edition:
    """The product, after everything that rendering would refuse, and what the API cannot do."""
    vendor = generator("zen")
    prepare(vendor, spec, Site())
    found = edition(spec.farm)
    if found.generation is not None and not found.generation.api:
        message = f"{found} has no API"
        hint = "run `nlbgen render zen` and follow its INSTALL.md"
        raise UnsupportedError([spec.problem(("zen", "product"), message, hint)])
    if not found.layer4 and spec.farm.balancer.affinity in {"cookie", "signalr"}:
        message = "the API of the Community editions refuses affinity by cookie"
        hint = "write `affinity: source`, or copy the files of `nlbgen render zen`"
        raise UnsupportedError([spec.problem(("balancer", "affinity"), message, hint)])
    problems = [
        spec.problem(("zen", name), f"a push needs zen.{name}", hint)
        for name, hint in (
            ("api", "write the device's URL, as in https://zen.corp.example:444"),
            ("key", "write a reference to the API key, as in {env: NLBGEN_ZEN_KEY}"),
        )
        if getattr(spec.farm.zen, name) is None
    ]
    if problems:
        raise SpecError(problems)
    return found


def _present(spec: Spec, name: str, path: Path) -> bytes:
    content = read_bytes(path)
    if content is None:
        raise SpecError([spec.problem(("zen", name), f"{path} does not exist", "the path starts at the spec's folder")])
    return content


def _certificate(spec: Spec, folder: Path) -> Certificate:
    """The certificate under a name made of its whole chain: a new one never replaces the one in use."""
    name = objects(spec.farm, edition(spec.farm)).main.name
    if spec.farm.zen.certificate is None or not spec.farm.balancer_tls:
        return Certificate(f"{name}.pem", None)
    pem = _present(spec, "certificate", folder / spec.farm.zen.certificate)
    chain = _CERTIFICATE.findall(pem)
    if not chain or b"PRIVATE KEY-----" not in pem or b"ENCRYPTED" in pem:
        message = "the PEM must hold a private key without a passphrase, the certificate, and its chain"
        hint = "put them one after another into one file that you alone can read"
        raise SpecError([spec.problem(("zen", "certificate"), message, hint)])
    return Certificate(f"{name}-{hashlib.sha256(b''.join(chain)).hexdigest()[:_DIGITS]}.pem", pem)
