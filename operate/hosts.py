"""The load balancers of a farm: which they are, by the spec and the command line, and how they are reached."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from ..core.errors import UsageError
from ..core.wording import all_of, one_of
from ..generators.base import VENDORS, generator
from ..spec.load import Spec
from .contract import Balancer
from .haproxy import Haproxy, Sockets
from .shell import LocalShell, Shell, SshShell

if TYPE_CHECKING:
    from .nginx import Paths


class Reach(NamedTuple):
    """How the balancers are reached, from the command line."""

    vendor: str = ""
    hosts: tuple[str, ...] = ()
    """`[USER@]HOST` for ssh, instead of the hosts of the spec."""
    local: bool = False
    sudo: bool = False
    sockets: Sockets = Sockets()
    paths: "Paths | None" = None
    """Where NGINX is; None: the paths of Debian's package."""
    sync: str = ""
    """The device group of a BIG-IP that is synchronized after a change."""


HOST_OPTIONS: Final = "give each host with --ssh [USER@]HOST, or use --local on the balancer itself"


def vendor_of(spec: Spec, asked: str) -> str:
    """Return the vendor of the farm's balancers: the requested one, or the only one in the spec. Raises UsageError."""
    named = [name for name in VENDORS if name in spec.farm.written]
    if asked:
        return asked
    if len(named) == 1:
        return named[0]
    fact = f"the spec names {all_of(named)}" if named else "the spec names no vendor"
    raise UsageError(
        f"{spec.name}: {fact}, but this command needs to know which one runs",
        f"choose it: --vendor {one_of(named or VENDORS)}",
    )


@contextmanager
def connected(spec: Spec, reach: Reach) -> Iterator[tuple[Balancer, ...]]:
    """Yield the farm's balancers; connections to devices end with the block.

    Raises UsageError if the hosts are not known, and DeviceError or SpecError if a device cannot be used.
    """
    vendor = vendor_of(spec, reach.vendor)
    with ExitStack() as stack:
        if generator(vendor).hosting is None:
            _only_hosted(vendor, reach)
            yield (stack.enter_context(_device(spec, vendor, reach)),)
            return
        yield tuple(_hosted(spec, vendor, shell, reach) for shell in shells(spec, reach))


def shells(spec: Spec, reach: Reach) -> tuple[Shell, ...]:
    """Return the hosts of the balancers: this machine, those of the command line, or those of the spec."""
    if reach.local:
        if reach.hosts:
            raise UsageError("--local and --ssh cannot be combined", "use only one of them")
        return (LocalShell(sudo=reach.sudo),)
    hosts: Sequence[str] = reach.hosts
    frontend = spec.farm.frontend
    if not hosts and frontend.vip is not None:
        hosts = frontend.vip.balancers
    if not hosts and frontend.address != "*":
        hosts = (frontend.address,)
    if not hosts:
        raise UsageError(
            f"{spec.name}: the farm listens on every address (frontend.address), so the balancer's host is not known",
            HOST_OPTIONS,
        )
    return tuple(SshShell(host, sudo=reach.sudo) for host in dict.fromkeys(hosts))


def _only_hosted(vendor: str, reach: Reach) -> None:
    if reach.hosts or reach.local or reach.sudo:
        raise UsageError(
            f"{vendor}: nlbgen uses the API of the device: ssh, sockets and sudo have no meaning there",
            "omit --ssh, --local and --sudo",
        )


def _hosted(spec: Spec, vendor: str, shell: Shell, reach: Reach) -> Balancer:
    if vendor == "nginx":
        from .nginx import Nginx

        return Nginx(spec, shell, reach.paths)
    return Haproxy(spec.farm, shell, reach.sockets)


def _device(spec: Spec, vendor: str, reach: Reach) -> AbstractContextManager[Balancer]:
    if vendor == "f5":
        from . import f5

        return f5.connected(spec, reach.sync)
    from . import zen

    return zen.connected(spec)
