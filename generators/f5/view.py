"""A farm as a BIG-IP sees it: where its objects go, what they are called, and what this TMOS can do."""

from typing import NamedTuple

from ...spec.model import Farm
from ...spec.units import Version
from ..design import Design, Member
from ..features import verifies_nodes
from .vocabulary import GATES, Object, Value


class Names(NamedTuple):
    """Where the objects go, and what the certificates are called on the device; `none` stands for no file."""

    folder: str
    node_folder: str
    nodes_by_address: bool
    certificate: str
    key: str
    chain: str
    ca: str

    @classmethod
    def of(cls, farm: Farm) -> "Names":
        """The names for a farm whose certificate files are not at hand."""
        folder, name = f"/{farm.f5.partition}", farm.farm
        own = farm.f5.certificate is None
        return cls(
            folder,
            folder,
            False,
            f"{folder}/{name}.crt" if own else str(farm.f5.certificate),
            f"{folder}/{name}.key" if own else str(farm.f5.key),
            f"{folder}/{name}_chain.crt" if own else "none",
            ca_name(farm, f"{folder}/{name}_ca.crt"),
        )


def ca_name(farm: Farm, name: str) -> str:
    """The name where the nodes' certificates are checked, else `none`."""
    return name if verifies_nodes(farm) else "none"


def mark(farm: Farm) -> str:
    """What the description of every object of this farm says; nothing without it is ever touched."""
    return f"nlbgen:{farm.farm}"


class View:
    """What the makers of objects share: the farm, its decisions, the device's version, and the names."""

    def __init__(self, farm: Farm, version: Version, names: Names, *, policies: bool) -> None:
        self.farm = farm
        self.design = Design(farm)
        self.version = version
        self.names = names
        self.policies = policies
        """Whether traffic policies may be used; an iRule chooses SignalR's pool otherwise."""
        self.mark = mark(farm)

    def has(self, gate: str) -> bool:
        """Whether this TMOS has what the gate of that name stands for."""
        return self.version >= GATES[gate]

    def path(self, name: str) -> str:
        """The path of the object of that name, which no other has, of whatever kind: AS3 has one space of names."""
        return f"{self.names.folder}/{self.farm.farm}_{name}"

    def node_path(self, member: Member) -> str:
        """The path of the node that a member stands on."""
        # A device has one node for an address, whatever its ports.
        member = next(other for other in self.design.members if other.host == member.host)
        name = member.host.strip("[]") if self.names.nodes_by_address else member.name
        return f"{self.names.node_folder}/{name}"

    def object(self, kind: str, name: str, **properties: Value) -> Object:
        """An object with the farm's mark; underscores in the properties' names stand for hyphens."""
        given = {key.rstrip("_").replace("_", "-"): value for key, value in properties.items()}
        return Object(kind, self.path(name), {"description": self.mark, **given})

    @property
    def own_signalr_pool(self) -> bool:
        """Whether SignalR's paths have a pool of their own: where the spec asks for it."""
        asked = "signalr" in self.farm.balancer.written or self.farm.balancer.affinity == "signalr"
        return asked and not self.design.passthrough

    @property
    def monitor(self) -> str:
        """Which of the device's monitors asks the nodes: `http` or `https`."""
        return "https" if self.farm.node_tls else "http"

    @property
    def persistence(self) -> str:
        """What holds a client on its node: `none`, `cookie` or `source`."""
        hashed = self.design.web.algorithm == "source" and self.design.web.affinity == "none"
        return "source" if hashed else self.design.web.affinity

    @property
    def signalr_is_sticky(self) -> bool:
        """Whether a cookie holds clients on SignalR's paths alone."""
        return self.design.signalr.affinity == "cookie" and self.persistence != "cookie"
