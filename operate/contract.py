"""The vocabulary of all balancers: what a node's state is, how it is read and changed.

A [`Balancer`][nlbgen.operate.contract.Balancer] is one load balancer of the farm. Only its backend knows the vendor.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ..core.errors import DeviceError

State = Literal["up", "drain", "down", "out"]
"""The state of a node at a balancer, in the spec's words.

`up`: it gets requests. `drain`: it gets no new clients, and open sessions continue. `down`: it gets no requests.
`out`: it is drained or down, and the device does not show which.
"""
Wanted = Literal["up", "drain", "down"]
"""A state that can be set."""
STATES: Final[tuple[Wanted, ...]] = ("up", "drain", "down")

Health = Literal["passing", "failing", "unchecked"]
"""The result of the health checks; `unchecked` if the balancer does not check the node now."""


@dataclass(frozen=True)
class Sessions:
    """The open sessions of one node; None where the balancer does not show a number."""

    total: int | None = None
    live: int | None = None
    """Of them: WebSockets and long polls, in the SignalR pool."""
    old: int | None = None
    """Of them: sessions of workers that a reload has replaced."""

    @property
    def text(self) -> str:
        """The numbers for people."""
        if self.total is None:
            return "unknown"
        parts = [f"{self.live} SignalR"] if self.live else []
        parts += [f"{self.old} in old workers"] if self.old else []
        return f"{self.total} ({', '.join(parts)})" if parts else str(self.total)

    def data(self) -> dict[str, int | None]:
        """The numbers for programs."""
        return {"total": self.total, "signalr": self.live, "old_workers": self.old}


@dataclass(frozen=True)
class NodeStatus:
    """One node at one balancer."""

    name: str
    state: State
    health: Health
    check: str = ""
    """The result of the last check in the balancer's own words."""
    sessions: Sessions = Sessions()
    since: int | None = None
    """Seconds since the last change of state or health; None where the balancer does not show it."""
    note: str = ""
    """Why the running balancer may have another state than this one."""

    @property
    def serves(self) -> bool:
        """Whether it gets requests: it is up, and its checks do not fail."""
        return self.state == "up" and self.health != "failing"

    def is_in(self, wanted: Wanted) -> bool:
        """Whether its state is the wanted one, as far as the balancer shows it."""
        return self.state == wanted or (self.state == "out" and wanted != "up")

    def data(self) -> dict[str, object]:
        """The status for programs."""
        return {
            "name": self.name,
            "state": self.state,
            "health": self.health,
            "check": self.check,
            "note": self.note,
            "sessions": self.sessions.data(),
            "since": self.since,
            "serves": self.serves,
        }


class Balancer(ABC):
    """One load balancer of the farm; all methods raise DeviceError if it cannot be reached or refuses."""

    name: str
    """Its name in messages."""
    vendor: str

    @abstractmethod
    def read(self) -> tuple[NodeStatus, ...]:
        """Return the nodes in the order of the spec."""

    @abstractmethod
    def change(self, node: str, state: Wanted) -> None:
        """Set the state of a node. A second call with the same state changes nothing."""

    def closable(self, node: str) -> Collection[str]:
        """Return the ids of a node's long-lived sessions, for `close`. Raises NotImplementedError where it cannot."""
        raise NotImplementedError

    def close(self, sessions: Sequence[str]) -> None:
        """Close these sessions; a session that has ended is skipped."""
        raise NotImplementedError

    def status(self, node: str) -> NodeStatus:
        """Return the status of one node."""
        return status_of(self, self.read(), node)


def status_of(balancer: Balancer, nodes: Sequence[NodeStatus], name: str) -> NodeStatus:
    """Return the status of the node with that name; raises DeviceError if the balancer does not have it."""
    for one in nodes:
        if one.name == name:
            return one
    raise DeviceError(
        f"{balancer.name}: has no node {name}",
        "install the configuration of the current spec first: the balancer runs another one",
    )
