"""One farm's rollout, and what it knows of each vendor."""

from pathlib import PurePosixPath
from typing import NamedTuple

from ...generators.base import Generator, generator
from ...spec.load import Spec


class Rollout(NamedTuple):
    """One farm on its way to its hosts."""

    spec: Spec
    vendor: str
    balancers: tuple[str, ...]
    """The balancers' addresses or names; empty where the vendor is a device."""
    home: str
    """The spec's folder as seen from the tree's root, with slashes."""

    @property
    def generator(self) -> Generator:
        """The vendor."""
        return generator(self.vendor)

    @property
    def hosted(self) -> bool:
        """Whether the balancer runs on hosts; otherwise it is a device."""
        return self.generator.hosting is not None

    @property
    def drains_by_files(self) -> bool:
        """Whether the hosts' configuration file is replaced where a node is drained."""
        return self.generator.hosting is not None and self.generator.hosting.drains_by == "files"

    @property
    def drains_at_runtime(self) -> bool:
        """Whether a command to the running program drains a node."""
        return self.generator.hosting is not None and self.generator.hosting.drains_by == "runtime"

    def home_from(self, root: str) -> str:
        """The spec's folder as seen from where `root` is the path to the tree's root."""
        return self.home if PurePosixPath(self.home).is_absolute() else f"{root}/{self.home}"
