"""The rollout of one farm, and the vendors' facts that it needs."""

from pathlib import PurePosixPath
from typing import NamedTuple

from ...generators.base import Generator, generator
from ...generators.redis import role_front_of
from ...spec.load import Spec
from ...spec.model import Sentinel


class Rollout(NamedTuple):
    """The rollout of one farm."""

    spec: Spec
    vendor: str
    balancers: tuple[str, ...]
    """The balancers' addresses or names; empty if the vendor is a device."""
    home: str
    """The path from the tree's root to the spec's folder, with slashes."""

    @property
    def generator(self) -> Generator:
        """The vendor."""
        return generator(self.vendor)

    @property
    def hosted(self) -> bool:
        """Whether the balancer runs on hosts; otherwise it is a device."""
        return self.generator.hosting is not None

    @property
    def sentinel(self) -> Sentinel | None:
        """The hosts of Redis whose files are rendered for this balancer; None without them."""
        redis = self.spec.farm.stores.backplane
        if redis is None or not (self.hosted or self.asks_role):
            return None
        return redis.sentinel if self.asks_role or self.vendor == "haproxy" or not redis.front else None

    @property
    def installs_redis(self) -> bool:
        """Whether the playbooks install the hosts of Redis: the role is for Linux."""
        return self.sentinel is not None and not self.sentinel.on_windows

    @property
    def asks_role(self) -> bool:
        """Whether the balancer's health checks log in to Redis as the user who may only ask for the role."""
        return role_front_of(self.spec.farm, self.vendor) is not None

    @property
    def drains_by_files(self) -> bool:
        """Whether a node is drained by a new configuration file on the hosts."""
        return self.generator.hosting is not None and self.generator.hosting.drains_by == "files"

    @property
    def drains_at_runtime(self) -> bool:
        """Whether a node is drained by a command to the running program."""
        return self.generator.hosting is not None and self.generator.hosting.drains_by == "runtime"

    def home_from(self, root: str) -> str:
        """Return the path to the spec's folder from the place from which `root` leads to the tree's root."""
        return self.home if PurePosixPath(self.home).is_absolute() else f"{root}/{self.home}"
