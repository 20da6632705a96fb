"""What robots need of a balancer: connections, and open files."""

from typing import Final

FD_RESERVE: Final = 1024
"""Open files in addition to the connections to clients and nodes: for connections that have sent no
request yet, for the redirect and the statistics, and the balancer's own files."""

RESERVE: Final = 4
"""One further connection for each four robots: they and their users send other requests as well. There is no published
number for these."""


def connections_for(robots: int) -> int:
    """Return the client connections that the balancer must hold for so many robots."""
    return robots + -(-robots // RESERVE)


def open_files(connections: int) -> int:
    """Return the open files that so many client connections need: two for each, and FD_RESERVE."""
    return 2 * connections + FD_RESERVE
