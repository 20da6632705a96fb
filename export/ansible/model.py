"""One farm's rollout, and what it knows of each vendor."""

from pathlib import PurePosixPath
from typing import Final, NamedTuple

from ...spec.load import Spec
from ...spec.schema import Path as SpecPath

CONFIGURATIONS: Final = {"haproxy": "haproxy.cfg", "nginx": "nginx.conf"}
"""Vendors that run on hosts of their own, and the file there that belongs to one farm as a whole."""
HOSTED: Final = tuple(CONFIGURATIONS)
DEVICES: Final[dict[str, tuple[SpecPath, str, str]]] = {
    "f5": (("f5",), "host", "write the device's management address, as in `f5: {host: bigip.corp.example}`"),
    "zen": (("zen",), "api", 'write the URL of its API, as in `zen: {api: "https://zen.corp.example:444"}`'),
}
"""Vendors that are devices, which the control host pushes to: their section, the key with the address, a hint."""


class Rollout(NamedTuple):
    """One farm on its way to its hosts."""

    spec: Spec
    vendor: str
    balancers: tuple[str, ...]
    """The balancers' addresses or names; empty where the vendor is a device."""
    home: str
    """The spec's folder as seen from the tree's root, with slashes."""

    @property
    def hosted(self) -> bool:
        """Whether the balancer runs on hosts; otherwise it is a device."""
        return self.vendor in HOSTED

    def home_from(self, root: str) -> str:
        """The spec's folder as seen from where `root` is the path to the tree's root."""
        return self.home if PurePosixPath(self.home).is_absolute() else f"{root}/{self.home}"
