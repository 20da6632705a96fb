"""Facts that only the balancer's own machine has: the workers that a reload replaced, and the shared address."""

import ipaddress
import socket
from collections.abc import Collection
from pathlib import Path

from ..spec.model import Farm
from . import haproxy, nginx
from .report import Machine

_PORT = 9
"""Any port: connecting a datagram socket sends nothing."""


def machine(farm: Farm, subjects: Collection[str], master: Path) -> Machine:
    """Return the facts of this machine; without a hosted program among the subjects it has none."""
    if not {"haproxy", "nginx"} & set(subjects):
        return Machine()
    counts = [haproxy.old_workers(master)] if "haproxy" in subjects else []
    counts += [nginx.old_workers()] if "nginx" in subjects else []
    known = [count for count in counts if count is not None]
    vip = farm.frontend.vip
    address = "" if vip is None else str(ipaddress.ip_interface(vip.address).ip)
    return Machine(sum(known) if known else None, address, holds(address) if address else None)


def holds(address: str) -> bool:
    """Whether an address belongs to this machine: the system then reaches it from the address itself.

    This also works if the machine may use addresses that it does not have (ip_nonlocal_bind).
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, _PORT))
            own = probe.getsockname()[0]
    except OSError:  # no route: the address is not here
        return False
    return ipaddress.ip_address(own) == ipaddress.ip_address(address)
