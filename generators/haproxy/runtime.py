"""The running HAProxy: its sockets and the names of its pools, for the rendered program and for `nlbgen nodes`."""

from typing import Final, NamedTuple

from ..design import Design

SOCKET: Final = "/run/haproxy/admin.sock"
"""The runtime socket of the current worker."""
MASTER: Final = "/run/haproxy-master.sock"
"""The socket of the master process, which forwards commands to every worker; Debian's unit opens it."""

STATES: Final = {"up": "ready", "drain": "drain", "down": "maint"}
"""The words of `set server ... state` for the states of the spec: for `nlbgen nodes`, and for the Ansible role."""


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
