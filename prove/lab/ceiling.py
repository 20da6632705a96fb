"""How many robots this machine can hold in the lab: open files and ports.

Sources: `man setrlimit` (RLIMIT_NOFILE, for each process), ip-sysctl.rst (ip_local_port_range), the rule `open-files`.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple

from ...net.loops import raise_file_limit
from ...spec.capacity import FD_RESERVE

PORT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
DEFAULT_PORTS: Final = 28_232
MOST_FILES: Final = 1_048_576
"""What is asked for: the kernel's own maximum (fs.nr_open)."""
_UNEVEN: Final = 1.5
"""The most clients that one of several worker processes gets, compared with an even share.

Measured with two workers of NGINX and 1,000 to 2,000 robots: 47 and 53 %, which is 1.06.
"""


class Ceiling(NamedTuple):
    """The number of robots, and the limit that sets it."""

    robots: int
    reason: str


def ceiling(vendor: str) -> Ceiling:
    """Return how many robots the lab can hold through one balancer."""
    return lowest(files=file_limit(), ports=local_ports(), workers=balancer_processes(vendor))


def file_limit() -> int:
    """Raise this process's limit of open files, which its children inherit, as far as possible, and return it."""
    return raise_file_limit(MOST_FILES)


def most_connections(files: int) -> int:
    """Return the client connections for which one process of the balancer has enough open files."""
    return (files - FD_RESERVE) // 2


def lowest(*, files: int, ports: int, workers: int) -> Ceiling:
    """Return the lowest of the limits, for a balancer with so many processes that share the clients unevenly.

    >>> lowest(files=20_000, ports=28_232, workers=1).robots
    9488
    """
    each = f"a process can open {files} files here"
    busiest = min(1.0, _UNEVEN / workers)
    part = "" if workers == 1 else f", for up to {busiest:.0%} of the robots"
    return min(
        Ceiling(
            int(most_connections(files) / busiest),
            f"{each}, and one process of the balancer needs two for each robot{part}",
        ),
        Ceiling(files - FD_RESERVE, f"{each}, and the process of the robots, or one node, may need one for each robot"),
        Ceiling(ports, f"the balancer has {ports} ports for connections to one node, which may get all robots"),
    )


def local_ports() -> int:
    """Return the number of ports for connections to one address."""
    try:
        first, last = PORT_RANGE.read_text(encoding="ascii").split()
        return int(last) - int(first) + 1
    except (OSError, ValueError):
        return DEFAULT_PORTS


def balancer_processes(vendor: str) -> int:
    """Return the number of processes that serve clients: HAProxy has threads, NGINX one worker for each processor."""
    return (os.cpu_count() or 1) if vendor == "nginx" else 1
