"""How many robots this machine can hold in the lab: open files and ports.

Sources: `man setrlimit` (RLIMIT_NOFILE, for each process), ip-sysctl.rst (ip_local_port_range), the rule `open-files`.
"""

from pathlib import Path
from typing import Final, NamedTuple

from ...net.loops import raise_file_limit
from ...spec.capacity import FD_RESERVE

PORT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
DEFAULT_PORTS: Final = 28_232
MOST_FILES: Final = 1_048_576
"""What is asked for: the kernel's own maximum (fs.nr_open)."""


class Ceiling(NamedTuple):
    """The number of robots, and the limit that sets it."""

    robots: int
    reason: str


def ceiling() -> Ceiling:
    """Return how many robots the lab can hold through one balancer."""
    return lowest(files=file_limit(), ports=local_ports())


def file_limit() -> int:
    """Raise this process's limit of open files, which its children inherit, as far as possible, and return it."""
    return raise_file_limit(MOST_FILES)


def most_connections(files: int) -> int:
    """Return the client connections for which one process of the balancer has enough open files."""
    return (files - FD_RESERVE) // 2


def lowest(*, files: int, ports: int) -> Ceiling:
    """Return the lowest of the limits.

    NGINX has several worker processes. They share the clients unevenly (measured with two workers: 47 and 53 %), and
    one may get all, so the limit of one process is counted, as in the rendered `worker_connections`.

    >>> lowest(files=20_000, ports=28_232).robots
    9488
    """
    each = f"a process can open {files} files here"
    return min(
        Ceiling(most_connections(files), f"{each}, and one process of the balancer needs two for each robot"),
        Ceiling(ports, f"the balancer has {ports} ports for connections to one node, which may get all robots"),
    )


def local_ports() -> int:
    """Return the number of ports for connections to one address."""
    try:
        first, last = PORT_RANGE.read_text(encoding="ascii").split()
        return int(last) - int(first) + 1
    except (OSError, ValueError):
        return DEFAULT_PORTS
