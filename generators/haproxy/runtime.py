"""The running HAProxy: its sockets, its answers and the names of its pools.

For the rendered program, `nlbgen nodes` and `nlbgen drift`. Source: HAProxy's management guide, "show servers state"
and "show proc".
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from ..design import Design

SOCKET: Final = "/run/haproxy/admin.sock"
"""The runtime socket of the current worker."""
MASTER: Final = "/run/haproxy-master.sock"
"""The socket of the master process, which forwards commands to every worker; Debian's unit opens it."""

STATES: Final = {"up": "ready", "drain": "drain", "down": "maint"}
"""The words of `set server ... state` for the states of the spec: for `nlbgen nodes`, and for the Ansible role."""

MAINTENANCE: Final = 0x01 | 0x02
"""`srv_admin_state`: maintenance by a command or the configuration, and by a tracked server. 0x04 only records that the
configuration began with maintenance: it stays when a command ends it (seen with 2.6 and 3.4)."""
UNRESOLVED: Final = 0x20 | 0x40
"""`srv_admin_state`: maintenance because a host name does not resolve."""
DRAIN: Final = 0x08 | 0x10
"""`srv_admin_state`: drained by a command, and by a tracked server."""


def servers(table: str) -> Iterator[dict[str, str]]:
    """Yield the rows of "show servers state" by their columns; `table` begins with the line of the columns."""
    header, *rows = table.splitlines() or [""]
    columns = header.removeprefix("# ").split()
    for row in rows:
        values = row.split()
        if columns and len(values) >= len(columns):
            yield dict(zip(columns, values, strict=False))


def old_workers(processes: str) -> list[str]:
    """Return the process ids of the workers that a reload replaced, from the answer to "show proc"."""
    found: list[str] = []
    old = False
    for line in processes.splitlines():
        if line.startswith("#"):
            old = line.startswith("# old workers")
        elif old and line.split()[1:2] == ["worker"]:
            found.append(line.split()[0])
    return found


class Pools(NamedTuple):
    """The pools with nodes of a farm, by their names in the configuration."""

    web: str
    live: str
    """The pool with the long-lived connections; under passthrough it is the web pool."""
    unchecked: str
    """The pool of the last resort; empty without one."""

    @classmethod
    def of(cls, design: Design) -> "Pools":
        """Return the pools of a farm."""
        serves = design.balancer.health.serves_all_failed
        return cls(design.web.name, design.live.name, design.unchecked.name if serves else "")

    @property
    def own(self) -> tuple[str, ...]:
        """The pools whose nodes have states of their own; the SignalR pool takes over those of the web pool."""
        return (self.web, self.unchecked) if self.unchecked else (self.web,)

    @property
    def every(self) -> tuple[str, ...]:
        """All pools, each once."""
        return tuple(dict.fromkeys(name for name in (self.web, self.live, self.unchecked) if name))

    @property
    def long_lived(self) -> tuple[str, ...]:
        """The pools whose sessions last until they are closed."""
        return (self.live, self.unchecked) if self.unchecked else (self.live,)
