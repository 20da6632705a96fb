"""The hub of both SignalR generations: the methods of the simulated node."""

from typing import Any

from .bus import PUSH, Bus


class UnknownMethodError(KeyError):
    """The hub has no such method."""


class Hub:
    """Methods, any case: Echo(x) -> x; Where() -> node and connection; Broadcast(x) pushes x to every client."""

    def __init__(self, node: str, bus: Bus) -> None:
        self._node = node
        self._bus = bus

    async def invoke(self, connection_id: str, method: str, arguments: list[Any]) -> Any:
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
