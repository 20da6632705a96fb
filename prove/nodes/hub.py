"""The hub of both SignalR generations: the methods of the simulated node."""

from typing import Any

from .bus import JOIN, PUSH, Bus

Json = Any
"""An argument or a result of a hub method: JSON of any shape."""


class UnknownMethodError(KeyError):
    """The hub has no such method."""


class Hub:
    """Methods, any case: Echo(x) -> x; Where() -> node and connection; Broadcast(x) pushes x to every client.

    Join(group) makes the caller a member; Tell(group, x) pushes x to the members.
    """

    def __init__(self, node: str, bus: Bus) -> None:
        self._node = node
        self._bus = bus

    async def invoke(self, connection_id: str, method: str, arguments: list[Json], *, group_prefix: str = "") -> Json:
        """Run a method and return its result; each hub has its own groups, which `group_prefix` separates."""
        match method.lower():
            case "echo":
                return arguments[0] if arguments else None
            case "where":
                return {"node": self._node, "connection": connection_id}
            case "broadcast":
                await self._bus.publish(PUSH, None, arguments[:1])
                return None
            case "join":
                await self._bus.publish(JOIN, connection_id, [f"{group_prefix}{group}" for group in arguments[:1]])
                return None
            case "tell" if len(arguments) == 2:
                await self._bus.publish(PUSH, f"{group_prefix}{arguments[0]}", arguments[1:])
                return None
        raise UnknownMethodError(method)
