"""What a foreign configuration needs in the lab: its clients' host, its nodes, and a farm for the scenarios."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

from ...core.errors import Location, Problem, ProblemsError
from ...spec.load import Spec, loads
from ...spec.model import Farm
from ..lab.certificates import TestCertificates
from ..lab.mapping import Mapped
from .requests import POST

Tls = Literal["none", "terminate", "bridge", "passthrough"]
Affinity = Literal["none", "cookie", "source"]
State = Literal["up", "backup", "drain", "down"]

HOST: Final = "balancer.example"
"""The name that clients request where the configuration requires none."""
ORCHESTRATOR: Final = "2019.4"
"""The version of Orchestrator without a spec: it uses SignalR 2."""
REDIS: Final = "192.0.2.2"
"""A Redis that no lab connects to, because every spec has a store."""
_ACCEPTED: Final = ("nginx-active-health", "nginx-queue", "nginx-slow-start")


class UnmappableError(ProblemsError):
    """Parts of a configuration cannot run in the lab; each problem has the location and the reason."""

    exit_code = 4


def unmappable(location: Location, what: str, reason: str, hint: str = "") -> Problem:
    """Return the problem of one part of a configuration."""
    return Problem(location, what, reason, hint or "remove the line from a copy of the file, and prove that copy")


class Key(NamedTuple):
    """What servers have in common that are one node: the host, the port if the host has several nodes, and TLS."""

    host: str
    port: str
    tls: bool

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


@dataclass(frozen=True)
class ForeignNode:
    """One node of the configuration: a simulated one has its place."""

    key: Key
    name: str
    state: State = "up"
    weight: int = 100


@dataclass(frozen=True)
class Plan:
    """How a configuration runs in the lab; for the nodes, the order is that of the file."""

    host: str
    tls: Tls
    nodes: tuple[ForeignNode, ...]
    listener: str
    """The address on which the lab's clients connect, as it is written."""
    redirects: bool = False
    """Whether another listener redirects to https."""
    affinity: Affinity = "none"
    source: bool = False
    """Whether the balancing algorithm is a hash of the client's address."""
    health_paths: tuple[str, ...] = ()
    health_status: int = 200
    names: tuple[str, ...] = ()
    """Other names that the certificate must have."""
    rest_seconds: float = 0.0
    """How long a full limit of requests needs until it is empty."""
    own_addresses: bool = False
    """Whether each client needs an address of its own, because the file counts requests by address."""
    post_path: str = POST.path
    """The path of the lab's POSTs."""
    notes: tuple[str, ...] = ()
    """Requests of the lab's clients that do not reach the nodes of most requests."""


class Places(NamedTuple):
    """What this machine has in place of the live addresses and files."""

    folder: Path
    certificates: TestCertificates
    frontend: int
    http: int
    nodes: Mapping[Key, int]
    """The ports of the simulated nodes."""
    spare: Sequence[int]
    """Free ports for all other listeners."""


class Foreign(Protocol):
    """A foreign configuration of one vendor, as far as the lab uses it."""

    files: tuple[Path, ...]
    """One, or several of HAProxy in their order."""
    contents: tuple[str, ...]
    """The texts as they are written."""
    plan: Plan
    spare_ports: int
    """How many free ports `mapped` needs."""

    def mapped(self, places: Places) -> tuple[list[str], list[Mapped]]:
        """Return the texts for the lab, and everything that differs from the live ones."""


def names_of(files: Sequence[Path]) -> str:
    """The files of a configuration, as messages and the scorecard name it."""
    return " ".join(map(str, files))


def farm_of(foreign: Foreign, given: Spec | None) -> Spec:
    """Return a spec for the lab's clients and scenarios: that of the user with the nodes of the plan, or a new one.

    Its addresses are from a range for documentation: the mapping shows the live ones.
    """
    plan = foreign.plan
    data = {
        "farm": "foreign",
        "orchestrator": {"version": ORCHESTRATOR},
        "frontend": {
            "host": plan.host,
            "address": "192.0.2.1",
            "redirect_http": plan.redirects,
            "tls": {"mode": plan.tls},
        },
        "nodes": [
            {"name": one.name, "address": f"192.0.2.{number}", "state": one.state, "weight": one.weight}
            for number, one in enumerate(plan.nodes, 11)
        ],
        "stores": {"signalr": "redis", "redis": {"host": REDIS, "port": 6379}},
        "balancer": {
            "algorithm": "source" if plan.source else "round-robin",
            "affinity": plan.affinity,
            "health": {"expect": plan.health_status},
        },
        "accept": list(_ACCEPTED),
    }
    made = loads(json.dumps(data), names_of(foreign.files))
    return made if given is None else given._replace(farm=_with_nodes(given.farm, made.farm))


def _with_nodes(farm: Farm, made: Farm) -> Farm:
    """Return the user's farm with the nodes, the TLS mode and the affinity of the configuration."""
    tls = farm.frontend.tls.replace(mode=made.frontend.tls.mode)
    frontend = farm.frontend.replace(tls=tls, redirect=made.frontend.redirect)
    balancer = farm.balancer.replace(algorithm=made.balancer.algorithm, affinity=made.balancer.affinity)
    return farm.replace(frontend=frontend, nodes=made.nodes, balancer=balancer)
