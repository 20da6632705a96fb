"""Compare all subjects of a farm."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from ..core.errors import ProblemsError
from ..generators.base import VENDORS, Site
from ..spec.load import Spec
from . import devices, haproxy, nginx, nodes
from .here import Here
from .machine import machine
from .places import Place
from .report import Difference, Report, Subject, UnreachedError

NODES: Final = "nodes"
SUBJECTS: Final = (*VENDORS, NODES)
"""What can be compared, in the order of the report."""
HOSTED: Final = ("haproxy", "nginx")
HERE: Final[tuple[Place, ...]] = (Here(),)


class Options(NamedTuple):
    """Where the programs are on their machines."""

    haproxy_socket: Path = haproxy.SOCKET
    haproxy_master: Path = haproxy.MASTER
    haproxy_file: Path = haproxy.FILE
    nginx_file: Path = nginx.FILE
    site: Site = Site()
    """The paths for which the configuration was rendered."""


def subjects_of(spec: Spec) -> tuple[str, ...]:
    """Return the subjects if none is named: the vendors of the spec, or HAProxy and NGINX; the nodes with files."""
    farm = spec.farm
    vendors = tuple(name for name in VENDORS if name in farm.written) or HOSTED
    return (*vendors, *((NODES,) if any(node.config is not None for node in farm.nodes) else ()))


def drift(spec: Spec, subjects: Sequence[str], options: Options, places: Sequence[Place] = HERE) -> Report:
    """Compare the subjects with the spec: HAProxy and NGINX at each place. Nothing is changed.

    All failures are in the report.
    """
    compared = [
        _compared(name, place.name, partial(_HOSTED[name], spec, options, place))
        for place in places
        for name in subjects
        if name in _HOSTED
    ]
    compared += [_compared(name, "", partial(_check, name, spec)) for name in subjects if name not in _HOSTED]
    machines = tuple(machine(spec.farm, subjects, place, options.haproxy_master) for place in places)
    return Report(spec.farm.farm, tuple(compared), machines)


def _haproxy(spec: Spec, options: Options, place: Place) -> list[Difference]:
    return haproxy.differences(spec, options.site, place, options.haproxy_socket, options.haproxy_file)


def _nginx(spec: Spec, options: Options, place: Place) -> list[Difference]:
    return nginx.differences(spec, options.site, place, options.nginx_file)


_HOSTED: Final[Mapping[str, Callable[[Spec, Options, Place], list[Difference]]]] = {
    "haproxy": _haproxy,
    "nginx": _nginx,
}


def _check(name: str, spec: Spec) -> list[Difference]:
    return nodes.differences(spec) if name == NODES else devices.differences(name, spec)


def _compared(name: str, host: str, check: Callable[[], list[Difference]]) -> Subject:
    try:
        return Subject(name, tuple(check()), host=host)
    except UnreachedError as error:
        return Subject(name, unreached=error.reason, hint=error.hint, host=host)
    except ProblemsError as error:
        first = error.problems[0]
        return Subject(name, unreached=f"{first.path}: {first.message}", hint=f"nlbgen render {name}", host=host)
