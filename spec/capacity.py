"""The open files that connections through a balancer need."""

from typing import Final

FD_RESERVE: Final = 1024
"""Open files in addition to the connections to clients and nodes: for connections that have sent no
request yet, for the redirect and the statistics, and the balancer's own files."""


def open_files(connections: int) -> int:
    """Return the open files that so many client connections need: two for each, and FD_RESERVE."""
    return 2 * connections + FD_RESERVE
