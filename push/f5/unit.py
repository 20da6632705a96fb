"""The unit of a BIG-IP that receives the push, and the farm for its version of TMOS."""

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ...core.errors import DeviceError, UnsupportedError
from ...generators.base import Site, generator, prepare
from ...spec.load import Spec
from ...spec.units import Version
from .plan import State, Work, thinned


class Unit(NamedTuple):
    """The unit of a device group that answers."""

    version: Version
    state: str


def ready(name: str, one: Unit, todo: Work, state: State, *, force: bool) -> None:
    """Raise DeviceError if the unit is not active, or if the plan removes most members of a pool."""
    if one.state != "active":
        raise DeviceError(
            f"{name}: this unit is {one.state}, but a push needs the active unit",
            "write the address of the active unit as f5.host, and use --sync GROUP to synchronize the others",
        )
    emptied = list(thinned(state, todo.updates))
    if emptied and not force:
        raise DeviceError(
            f"{name}: the plan disables more than half of the members of a pool: {', '.join(emptied)}",
            "disable fewer members in one push; if you want to disable all of them at once, use --force",
        )


def on_version(spec: Spec, version: Version, say: Callable[[str], None]) -> Spec:
    """Return the farm for the device's own TMOS; raises UnsupportedError for features that this version lacks."""
    f5 = spec.farm.f5
    if "version" in f5.written and f5.version.parts[:2] != version.parts[:2]:
        say(f"the spec has TMOS {f5.version}, but the device has {version}: the push uses the version of the device")
    farm = spec.farm.replace(f5=f5.replace(version=Version(".".join(map(str, version.parts[:2])))))
    changed = spec._replace(farm=farm)
    vendor = generator("f5")
    problems = list(vendor.refusals(changed, farm.f5.version))
    if problems:
        raise UnsupportedError(problems)
    prepare(vendor, changed, Site())
    return changed


@contextlib.contextmanager
def told_apart(group: str) -> Iterator[None]:
    """Add to an error of the synchronization that all earlier steps succeeded."""
    try:
        yield
    except DeviceError as error:
        raise DeviceError(
            f"{error.message}; everything was applied and saved, but the group {group} is not synchronized",
            "push again with --sync",
        ) from None
