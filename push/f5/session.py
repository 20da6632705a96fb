"""What every way of pushing to a BIG-IP shares: what was asked for, who is asked back, the device, the report."""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from ...core.errors import DeviceError, DifferenceError, SpecError, UnsupportedError
from ...core.plan import Plan
from ...generators.base import Site, generator, prepare
from ...generators.f5.vocabulary import KINDS
from ...spec.load import Spec
from ...spec.references import resolve
from ...spec.units import Version
from . import plan as f5_plan
from .plan import State, Work
from .rest.icontrol import Device, Login

Outcome = Literal["committed", "unknown"]
"""Of a transaction: applied, or its answer was lost."""


class TransactionError(DeviceError):
    """The device refused a transaction as a whole: nothing of it was applied."""


class Options(NamedTuple):
    """What the command line asks for."""

    dry_run: bool = False
    validate: bool = False
    expect: str = ""
    adopt: bool = False
    prune: bool = False
    force: bool = False
    sync: str = ""
    restore: Path | None = None
    snapshots: Path = Path("outputs/snapshots")


class Console(Protocol):
    """How a push speaks with whoever started it."""

    def say(self, text: str) -> None:
        """One line about what is under way."""

    def insist(self, text: str) -> None:
        """One line that may not be missed, however quiet the run is."""

    def show(self, plan: Plan) -> None:
        """The plan, before anything is done."""

    def agree(self, question: str) -> bool:
        """Whether the plan is to be applied."""


class Report(NamedTuple):
    """What came of a push."""

    device: str
    outcome: str
    """`planned`, `valid`, `declined`, `unchanged`, or `applied`."""
    plan: Plan
    counts: dict[str, dict[str, int]]
    """For each kind of object: how many were created, changed, removed, unchanged."""
    snapshot: Path | None
    requests: int

    def data(self) -> dict[str, Any]:
        """For programs."""
        return {
            "device": self.device,
            "outcome": self.outcome,
            "plan": self.plan.data(),
            "counts": self.counts,
            "snapshot": None if self.snapshot is None else str(self.snapshot),
            "requests": self.requests,
        }

    def table(self) -> str:
        """For people: the counts by kind."""
        columns = ("created", "changed", "removed", "unchanged")
        width = max((len(kind) for kind in self.counts), default=4)
        lines = [f"{'':{width}}  " + "  ".join(f"{column:>9}" for column in columns)]
        for kind, counts in self.counts.items():
            lines.append(f"{kind:{width}}  " + "  ".join(f"{counts[column]:>9}" for column in columns))
        return "\n".join(lines) + "\n"


def login(spec: Spec) -> Login:
    """Where the device is and who pushes; raises SpecError where the spec does not say."""
    f5 = spec.farm.f5
    missing = [name for name, value in (("host", f5.host), ("password", f5.password)) if value is None]
    if missing or f5.host is None or f5.password is None:
        hint = "a push needs f5.host and f5.password: {env: NAME}"
        raise SpecError([spec.problem(("f5", name), "is missing", hint) for name in missing])
    folder = Path(spec.name).parent
    ca = None if f5.ca is None else str(folder / f5.ca)
    if ca is not None and not Path(ca).is_file():
        raise SpecError([spec.problem(("f5", "ca"), f"{ca} is not there", "give the CA's certificate, PEM")])
    return Login(f5.host, f5.port, f5.user, resolve(f5.password, folder), f5.provider, ca, int(f5.timeout) / 1000)


class Unit(NamedTuple):
    """The unit of a device group that answers."""

    version: Version
    state: str


def review(name: str, todo: Work, options: Options, console: Console) -> None:
    """Show the plan; raise DeviceError for what it must not do, DifferenceError where it is not the expected one."""
    for kind, path in todo.leftovers:
        console.say(f"{name}: {kind} {path} is not in the farm any more; --prune removes it")
    console.show(todo.plan)
    if todo.refusals:
        raise together(todo.refusals)
    if options.expect:
        todo.plan.expect(options.expect)


@contextlib.contextmanager
def told_apart(group: str) -> Iterator[None]:
    """What fails here is the last step alone: everything else stands."""
    try:
        yield
    except DeviceError as error:
        raise DeviceError(
            f"{error.message}; everything was applied and saved, and the group {group} is not synchronised",
            "push again with the same --sync, or that of another group",
        ) from None


def overtaken(name: str) -> DifferenceError:
    """What a push says that finds another state than the one that was reviewed."""
    return DifferenceError(
        f"{name}: somebody else changed the device after the plan was made",
        "nothing was changed by this push: read the new plan, then apply it",
    )


def ready(name: str, one: Unit, todo: Work, state: State, *, force: bool) -> None:
    """Raise DeviceError where the unit or the plan must not be pushed to."""
    if one.state != "active":
        raise DeviceError(
            f"{name}: this unit is {one.state}, and a push goes to the active one",
            "name the active unit in f5.host, then synchronise with --sync GROUP",
        )
    thinned = list(f5_plan.thinned(state, todo.updates))
    if thinned and not force:
        raise DeviceError(
            f"{name}: more than half of a pool would take no more requests: {', '.join(thinned)}",
            "do it in smaller steps, or with --force",
        )


def unit(device: Device) -> Unit:
    """Which TMOS the device has, and whether it is the active unit."""
    found = device.get("/mgmt/tm/cm/device", "the device's own state")
    items = found.get("items", []) if isinstance(found, dict) else []
    own = [item for item in items if str(item.get("selfDevice")).lower() == "true"]
    number = re.match(r"\d+(?:\.\d+)+", str(own[0].get("version"))) if own else None
    if number is None:
        raise DeviceError(f"{device.login.name}: the device does not say which unit and version it is")
    return Unit(Version(".".join(number[0].split(".")[:4])), str(own[0].get("failoverState", "active")))


def on_version(spec: Spec, version: Version, say: Callable[[str], None]) -> Spec:
    """The farm for the device's own TMOS; raises UnsupportedError with what that cannot do."""
    f5 = spec.farm.f5
    if "version" in f5.written and f5.version.parts[:2] != version.parts[:2]:
        say(f"the spec says TMOS {f5.version}, the device is {version}: the device decides")
    farm = spec.farm.replace(f5=f5.replace(version=Version(".".join(map(str, version.parts[:2])))))
    changed = spec._replace(farm=farm)
    vendor = generator("f5")
    problems = list(vendor.refusals(changed, farm.f5.version))
    if problems:
        raise UnsupportedError(problems)
    prepare(vendor, changed, Site())
    return changed


def counts(todo: Work) -> dict[str, dict[str, int]]:
    """How many objects of each kind are created, changed, removed, or as they should be."""
    columns = {
        "created": [one.kind for one in todo.creates],
        "changed": [update.wanted.kind for update in todo.updates],
        "removed": [kind for kind, _ in todo.removes],
        "unchanged": [one.kind for one in todo.unchanged],
    }
    kinds = [kind for kind in KINDS if any(kind in found for found in columns.values())]
    return {kind: {column: found.count(kind) for column, found in columns.items()} for kind in kinds}


def together(refusals: tuple[DeviceError, ...]) -> DeviceError:
    """All refusals as one."""
    if len(refusals) == 1:
        return refusals[0]
    hints = dict.fromkeys(error.hint for error in refusals if error.hint)
    return DeviceError("\n".join(error.message for error in refusals), "; ".join(hints))
