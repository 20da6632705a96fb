"""Compare all subjects of a farm."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ..core.errors import ProblemsError
from ..generators.base import VENDORS, Site
from ..spec.load import Spec
from . import devices, haproxy, nginx, nodes
from .machine import machine
from .report import Difference, Report, Subject, UnreachedError

NODES: Final = "nodes"
SUBJECTS: Final = (*VENDORS, NODES)
"""What can be compared, in the order of the report."""
HOSTED: Final = ("haproxy", "nginx")


class Options(NamedTuple):
    """Where the programs of this machine are."""

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


def drift(spec: Spec, subjects: Sequence[str], options: Options) -> Report:
    """Compare the subjects with the spec. Nothing is changed; all failures are in the report."""
    checks: dict[str, Callable[[], list[Difference]]] = {
        "haproxy": lambda: haproxy.differences(spec, options.site, options.haproxy_socket, options.haproxy_file),
        "nginx": lambda: nginx.differences(spec, options.site, options.nginx_file),
        "f5": lambda: devices.differences("f5", spec),
        "zen": lambda: devices.differences("zen", spec),
        NODES: lambda: nodes.differences(spec),
    }
    compared = tuple(_compared(name, checks[name]) for name in subjects)
    return Report(spec.farm.farm, compared, machine(spec.farm, subjects, options.haproxy_master))


def _compared(name: str, check: Callable[[], list[Difference]]) -> Subject:
    try:
        return Subject(name, tuple(check()))
    except UnreachedError as error:
        return Subject(name, unreached=error.reason, hint=error.hint)
    except ProblemsError as error:
        first = error.problems[0]
        return Subject(name, unreached=f"{first.path}: {first.message}", hint=f"nlbgen render {name}")
