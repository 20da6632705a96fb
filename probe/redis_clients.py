"""The clients of a Redis: which node does not listen for SignalR's messages.

StackExchange.Redis names its connections after the computer (`CLIENT SETNAME`), both the one that publishes and the
one that listens. So a node can also be named behind the front, where all connections come from the balancer's address.
A node that is deaf after a reconnect still publishes, or listens to fewer channels than the others.

Source: `ServerEndPoint.Handshake` of StackExchange.Redis 1.2 and 2.8; the fields of CLIENT LIST in Redis 7.0.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

_LONGEST_NAME: Final = 80
_NO_NODE: Final = ("sentinel-", "redis-cli")
"""How the names of clients begin that are no nodes."""
_LINKS: Final = frozenset("MS")
"""The flags of connections between servers."""


class Client(NamedTuple):
    """One connection to Redis."""

    computer: str
    """The computer that StackExchange.Redis named; empty without a name."""
    host: str
    channels: int
    """How many channels it listens to."""


def clients(listed: str) -> Iterator[Client]:
    """The connections of CLIENT LIST that can be a node's.

    >>> list(clients("id=3 addr=10.0.0.5:4242 name=ORCH-1(SE.Redis-v2.8.16) flags=P sub=2 cmd=subscribe"))
    [Client(computer='ORCH-1', host='10.0.0.5', channels=2)]
    """
    for line in listed.splitlines():
        fields = dict(word.split("=", 1) for word in line.split(" ") if "=" in word)
        name = fields.get("name", "").partition("(")[0]
        own = fields.get("cmd", "").startswith("client")
        if own or name.startswith(_NO_NODE) or _LINKS & set(fields.get("flags", "")):
            continue
        host = fields.get("addr", "").rpartition(":")[0].strip("[]")
        channels = fields.get("sub", "")
        known = name if name.isprintable() and len(name) <= _LONGEST_NAME else ""
        if host.isprintable() and channels.isdecimal():
            yield Client(known, host, int(channels))


def missing(listed: str, nodes: int, addresses: Mapping[str, str]) -> str:
    """Describe the nodes that do not listen, or why they are not known.

    `addresses` has the names of the nodes by their addresses; `nodes` is their number.
    """
    found = list(clients(listed))
    if any(client.computer for client in found):
        channels = _most({}, [(one.computer, one.channels) for one in found])
        return _described(channels, nodes - len(channels))
    if any(client.host in addresses for client in found):
        channels = dict.fromkeys(addresses.values(), 0)
        return _described(_most(channels, [(addresses.get(one.host, ""), one.channels) for one in found]), 0)
    return (
        "the connections have no names and do not come from the nodes' addresses, so nlbgen cannot assign them to "
        "nodes: compare the ports in CLIENT LIST with the balancer's sessions (HAProxy: `show sess`)"
    )


def _most(channels: dict[str, int], found: list[tuple[str, int]]) -> dict[str, int]:
    """The most channels to which one connection of each node listens."""
    for name, count in found:
        if name:
            channels[name] = max(channels.get(name, 0), count)
    return channels


def _described(channels: Mapping[str, int], absent: int) -> str:
    most = max(channels.values(), default=0)
    deaf = sorted(name for name, count in channels.items() if count < most)
    words = [f"not {', '.join(deaf)}"] if deaf else []
    words += [f"{absent} without a connection"] if absent > 0 else []
    return "; ".join(words)
