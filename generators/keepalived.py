"""keepalived: two or more balancers share the farm's address by VRRP; one that works holds it.

HAProxy and NGINX get the same files where the spec has `frontend.vip`: one keepalived.conf for each balancer, beside
the balancer's own configuration. Sources: keepalived.conf(5) of 2.2.7, RFC 5798, and trials with
2.2.7 on hosts made of network namespaces (tests/behaviour/test_keepalived.py).
"""

import ipaddress
import shlex
from pathlib import PurePosixPath
from typing import Any, Final

from ..spec.model import Farm, Secret, Vip
from .base import Draft, Job

FIRST_PRIORITY: Final = 250
PRIORITY_STEP: Final = 10
"""High priorities shorten the failover: a balancer takes over after 3 adverts and (256 - priority) / 256 s."""
ADVERT_SECONDS: Final = 1
"""VRRP 2, the version with passwords, has a resolution of one second."""
CHECK_FALL: Final = 2
"""Consecutive failed checks, one per second, after which a balancer releases the address."""
FOLDER: Final = "/etc/keepalived"
SECRET: Final = "nlbgen-secret.conf"  # noqa: S105  # a file's name


def alive_path(farm: Farm) -> str:
    """Return the path that a balancer answers with 200 on its metrics port while it runs this farm's configuration.

    It has the farm's name: a balancer with another farm's configuration must not hold the address. Empty without
    `frontend.vip`.
    """
    return f"/alive/{farm.farm}" if farm.frontend.vip is not None else ""


def files(job: Job) -> list[Draft]:
    """Return the files that let the balancers share an address; none without `frontend.vip`."""
    vip = job.farm.frontend.vip
    if vip is None:
        return []
    alive = f"http://127.0.0.1:{job.design.balancer.metrics_port}{alive_path(job.farm)}"
    views = [_view(job, vip, number, alive) for number in range(len(vip.balancers))]
    folder = PurePosixPath("keepalived")
    balancers = [{"balancer": balancer, "folder": folder_of(balancer)} for balancer in vip.balancers]
    return [
        *(
            Draft(folder / folder_of(balancer) / "keepalived.conf", "keepalived/keepalived.conf.j2", view)
            for balancer, view in zip(vip.balancers, views, strict=True)
        ),
        Draft(folder / "90-nlbgen-vip.conf", "keepalived/sysctl.conf.j2", views[0]),
        Draft(folder / "INSTALL.md", "keepalived/INSTALL.md.j2", {**views[0], "balancers": balancers}),
    ]


def needs_nonlocal(farm: Farm) -> bool:
    """Whether a balancer listens only on the shared address, and must start while another balancer holds it."""
    vip, listen = farm.frontend.vip, farm.frontend.address
    return vip is not None and listen == str(ipaddress.ip_interface(vip.address).ip)


def folder_of(balancer: str) -> str:
    """The name of a balancer's folder; without colons, which Windows does not allow."""
    return balancer.replace(":", "-")


def _view(job: Job, vip: Vip, number: int, alive: str) -> dict[str, Any]:
    shared = ipaddress.ip_interface(vip.address)
    own = vip.balancers[number]
    unicast = all(_family(balancer) == shared.version for balancer in vip.balancers)
    return {
        "farm": job.farm.farm,
        "balancer": own,
        "alive": alive,
        "fall": CHECK_FALL,
        "version": 2 if shared.version == 4 else 3,
        "family": f"ipv{shared.version}",
        "preempt": vip.preempt,
        "interface": vip.interface,
        "router_id": vip.router_id,
        "priority": max(1, FIRST_PRIORITY - PRIORITY_STEP * number),
        "advert": ADVERT_SECONDS,
        "source": own if unicast else None,
        "peers": [other for other in vip.balancers if other != own] if unicast else [],
        "password": shared.version == 4,
        "secret_file": f"{job.site.directory or FOLDER}/{SECRET}",
        "secret_word": _secret_word(vip.secret),
        "address": str(shared),
        "shared": str(shared.ip),
        "listens_on_it": needs_nonlocal(job.farm),
        "firewall": "iptables" if shared.version == 4 else "ip6tables",
    }


def _secret_word(secret: Secret) -> str:
    """The secret as a word for a POSIX shell; the shell stops if an environment variable is not set."""
    if secret.env is not None:
        return f'"${{{secret.env}:?is not set}}"'
    return f'"$(cat {shlex.quote(str(secret.file))})"'


def _family(balancer: str) -> int | None:
    """4 or 6; None for a name."""
    try:
        return ipaddress.ip_address(balancer).version
    except ValueError:
        return None
