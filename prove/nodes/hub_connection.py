"""One connection of SignalR Core on the server's side, and its handshake."""

import asyncio
import json
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from .bus import Subscription

END = "\x1e"
HUB_VERSIONS = (1, 2)
"""The versions of the JSON hub protocol; 2 has acknowledgements (JsonHubProtocol.cs of version 8)."""


@dataclass
class HubConnection:
    """One connection: outgoing messages wait in `outbox` until the current transport sends them."""

    connection_id: str
    token: str
    subscription: Subscription
    transport: str = ""
    greeted: bool = False
    closed: bool = False
    polls: int = 0
    last_used: float = field(default_factory=monotonic)
    partial: str = ""
    outbox: list[str] = field(default_factory=list)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, message: object) -> None:
        """Queue a message for the client."""
        self.outbox.append(json.dumps(message, separators=(",", ":")) + END)
        self.wake.set()

    def close(self) -> None:
        """End the connection once the outbox is empty."""
        self.closed = True
        self.wake.set()

    def take(self) -> str:
        """Return and remove all outgoing messages."""
        text = "".join(self.outbox)
        self.outbox.clear()
        self.wake.clear()
        return text


def refused_handshake(ask: dict[str, Any]) -> str:
    """Return why a handshake is refused (HubConnectionContext.cs); empty if it is accepted."""
    protocol, version = ask.get("protocol"), ask.get("version")
    if protocol != "json":
        return f"The protocol '{protocol}' is not supported."
    if version not in HUB_VERSIONS:
        return f"The server does not support version {version} of the '{protocol}' protocol."
    return ""
