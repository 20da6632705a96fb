"""Facts that only the balancer's own machine has: the workers that a reload replaced, and the shared address."""

import ipaddress
from collections.abc import Collection
from pathlib import Path

from ..spec.model import Farm
from . import haproxy
from .places import Place
from .report import Machine


def machine(farm: Farm, subjects: Collection[str], place: Place, master: Path) -> Machine:
    """Return the facts of a machine; without a hosted program among the subjects it has none."""
    if not {"haproxy", "nginx"} & set(subjects):
        return Machine(place.name)
    counts = [haproxy.old_workers(place, master)] if "haproxy" in subjects else []
    counts += [place.old_workers_of_nginx()] if "nginx" in subjects else []
    known = [count for count in counts if count is not None]
    workers = sum(known) if len(known) == len(counts) else None
    vip = farm.frontend.vip
    address = "" if vip is None else str(ipaddress.ip_interface(vip.address).ip)
    return Machine(place.name, workers, address, place.holds(address) if address else None)
