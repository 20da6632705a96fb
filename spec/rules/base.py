"""What a rule is."""

import ipaddress
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ...core.errors import Severity
from ..model import Farm
from ..schema import Path


class Finding(NamedTuple):
    """What a rule found: the path of the key to blame, what is wrong with it, and the way out."""

    path: Path
    message: str
    hint: str = ""


class Rule(NamedTuple):
    """One rule: its id, whether it stops, what it says in one line, and the check."""

    id: str
    severity: Severity
    summary: str
    check: Callable[[Farm], Iterator[Finding]]


def several(farm: Farm) -> bool:
    """Whether there is anything to share between nodes."""
    return len(farm.nodes) > 1


def loopback(address: str) -> bool:
    """Whether an address is the machine that asks, seen from itself."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
