"""What the makers of objects need to know of a farm: folders, names, and what this TMOS version supports."""

from functools import cached_property
from typing import Final, NamedTuple

from ...spec.model import Farm
from ...spec.units import Version
from ..design import Design, Member
from ..features import verifies_nodes
from ..redis import role_front_of
from .vocabulary import GATES, Object, Value


class Names(NamedTuple):
    """The folders of the objects, and the certificates' names on the device; `none` where there is no file."""

    folder: str
    node_folder: str
    nodes_by_address: bool
    certificate: str
    key: str
    chain: str
    ca: str

    @classmethod
    def of(cls, farm: Farm) -> "Names":
        """The names for a push or a merge; the contents of the certificate files are not needed."""
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


DEVICE_CAS: Final = "/Common/ca-bundle.crt"
"""The public CAs that every device has."""


def ca_name(farm: Farm, name: str) -> str:
    """The name of the CA for the nodes' certificates; `none` if they are not checked.

    Without `f5.node_ca` and `verify_nodes` in the spec, it is the device's own bundle: the bundle of the machine that
    runs nlbgen would differ from machine to machine.
    """
    if not verifies_nodes(farm):
        return "none"
    if farm.f5.node_ca is not None:
        return farm.f5.node_ca
    return name if "verify_nodes" in farm.frontend.tls.written else DEVICE_CAS


def mark(farm: Farm) -> str:
    """The description of every object of this farm; objects without it are never changed."""
    return f"nlbgen:{farm.farm}"


class View:
    """The farm, its design, the device's version, and the names, shared by the makers of objects."""

    def __init__(self, farm: Farm, version: Version, names: Names, *, policies: bool) -> None:
        self.farm = farm
        self.design = Design(farm)
        self.version = version
        self.names = names
        self.policies = policies
        """Whether traffic policies may be used; an iRule chooses SignalR's pool otherwise."""
        self.mark = mark(farm)
        self.redis = role_front_of(farm, "f5")
        """The front of Redis; None where the farm has none on this device."""

    def has(self, gate: str) -> bool:
        """Whether this TMOS version has the feature of that gate."""
        return self.version >= GATES[gate]

    def path(self, name: str) -> str:
        """The path of the object of that name, which is unique over all kinds: AS3 has one namespace."""
        return f"{self.names.folder}/{self.farm.farm}_{name}"

    def node_path(self, member: Member) -> str:
        """The path of a member's node."""
        # A device has one node for each address, for all ports.
        member = self._first_of_host[member.host]
        name = member.host.strip("[]") if self.names.nodes_by_address else member.name
        return f"{self.names.node_folder}/{name}"

    @cached_property
    def _first_of_host(self) -> dict[str, Member]:
        return {member.host: member for member in reversed(self.design.members)}

    @cached_property
    def largest_share(self) -> int:
        """The largest weight, divided by the greatest common divisor of all weights."""
        return max(member.weight for member in self.design.members) // self.design.weight_unit

    @cached_property
    def has_backups(self) -> bool:
        """Whether a member is a backup."""
        return any(member.state == "backup" for member in self.design.members)

    def object(self, kind: str, name: str, **properties: Value) -> Object:
        """An object with the farm's mark; underscores in the names of properties become hyphens."""
        given = {key.rstrip("_").replace("_", "-"): value for key, value in properties.items()}
        return Object(kind, self.path(name), {"description": self.mark, **given})

    @property
    def own_signalr_pool(self) -> bool:
        """Whether SignalR's paths have a pool of their own, as the spec asks."""
        asked = "signalr" in self.farm.balancer.written or self.farm.affinity == "signalr"
        return asked and not self.design.passthrough

    @property
    def serves_all_failed(self) -> bool:
        """Whether requests go to the nodes while the monitors of all of them fail."""
        return self.farm.balancer.health.serves_all_failed

    @property
    def own_ciphers(self) -> bool:
        """Whether the farm has its own cipher rule and group, which TLS 1.3 needs. SOAP has no call for them."""
        wanted = self.farm.balancer_tls and self.farm.f5.cipher_group is None
        return wanted and self.has("tls-1.3") and self.farm.f5.api != "soap"

    @property
    def monitor(self) -> str:
        """The type of the monitor: `http` or `https`."""
        return "https" if self.farm.node_tls else "http"

    @property
    def persistence(self) -> str:
        """How a client stays on its node: `none`, `cookie` or `source`."""
        hashed = self.design.web.algorithm == "source" and self.design.web.affinity == "none"
        return "source" if hashed else self.design.web.affinity

    @property
    def signalr_is_sticky(self) -> bool:
        """Whether a cookie keeps clients on a node on SignalR's paths only."""
        return self.design.signalr.affinity == "cookie" and self.persistence != "cookie"

    @property
    def policy_needs_profile(self) -> bool:
        """Whether the cookie of the policy needs a cookie profile at the virtual server, as before 17.1.

        The policy's rule for all other paths disables the profile there.
        """
        sticky = self.own_signalr_pool and self.policies and self.signalr_is_sticky and self.persistence == "none"
        return sticky and not self.has("policy-cookie")
