"""The hub of both SignalR generations: the methods of the simulated node."""

from typing import Any

from .bus import PUSH, Bus

Json = Any
"""An argument or a result of a hub method: JSON of any shape."""


class UnknownMethodError(KeyError):
    """The hub has no such method."""


class Hub:
    """Methods, any case: Echo(x) -> x; Where() -> node and connection; Broadcast(x) pushes x to every client."""

    def __init__(self, node: str, bus: Bus) -> None:
        self._node = node
        self._bus = bus

    async def invoke(self, connection_id: str, method: str, arguments: list[Json]) -> Json:
        """Run a method and return its result."""
        match method.lower():
            case "echo":
                return arguments[0] if arguments else None
            case "where":
                return {"node": self._node, "connection": connection_id}
            case "broadcast":
                await self._bus.publish(PUSH, None, arguments[:1])
                return None
        raise UnknownMethodError(method)
