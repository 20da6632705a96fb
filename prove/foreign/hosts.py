"""The texts of hosts in foreign configurations."""

from ipaddress import ip_address
from typing import Final

_ANY: Final = frozenset({"", "*", "localhost"})


def is_this_machine(host: str) -> bool:
    """Whether a listener of this host is reached by 127.0.0.1."""
    return host in _ANY or is_unspecified(host) or host == "127.0.0.1"


def is_unspecified(host: str) -> bool:
    """Whether the host is the address that stands for all, of IPv4 or IPv6."""
    try:
        return ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False
