"""The types of rules and findings."""

import ipaddress
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ...core.errors import Severity
from ..model import Farm
from ..schema import Path


class Finding(NamedTuple):
    """A finding of a rule: the path of the key that causes it, the message, and what to do."""

    path: Path
    message: str
    hint: str = ""


class Rule(NamedTuple):
    """One rule: its id, its severity, a summary, and the check."""

    id: str
    severity: Severity
    summary: str
    check: Callable[[Farm], Iterator[Finding]]
    acceptable: bool = False
    """Whether the error can be accepted by its id, as every warning can."""

    @property
    def can_be_accepted(self) -> bool:
        """Whether `accept` may name the rule."""
        return self.acceptable or self.severity == "warning"


def several(farm: Farm) -> bool:
    """Whether the farm has two or more nodes."""
    return len(farm.nodes) > 1


def loopback(address: str) -> bool:
    """Whether an address is a loopback address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address.lower().rstrip(".") == "localhost"
