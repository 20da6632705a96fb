"""One request of ASP.NET SignalR 2: its common parameters, and what the server refuses.

Sources: SignalR/SignalR ProtocolResolver.cs, HubDispatcher.cs, LongPollingTransport.cs (server).
"""

import json
from dataclasses import dataclass

from aiohttp import web

from .aspnet import Parameters, field

OLDEST, NEWEST = (1, 2), (2, 0)


class BadRequestError(ValueError):
    """The real server throws an exception here, and IIS answers 500."""


def protocol_version(requested: str | None) -> str:
    """Return the protocol version: the client's, within the server's limits."""
    try:
        major, _, minor = (requested or "").partition(".")
        version = (int(major), int(minor or 0))
    except ValueError:
        version = OLDEST
    return "{}.{}".format(*min(max(version, OLDEST), NEWEST))


@dataclass(frozen=True, slots=True)
class Call:
    """The common parts of the requests of a connection."""

    request: web.BaseRequest
    verb: str
    transport: str
    connection_id: str
    hubs: tuple[str, ...]
    query: Parameters
    form: Parameters

    @property
    def cursor(self) -> int | None:
        """The number of the last message that the client has; None for a new client."""
        return _cursor_number(self.received("messageId"))

    def received(self, name: str) -> str | None:
        """Return a parameter: from the query, and for long polls also from the body, as LongPollingTransport.cs."""
        found = self.query.get(name)
        return self.form.get(name) if found is None and self.transport == "longPolling" else found


def hub_names(connection_data: str | None) -> tuple[str, ...]:
    """Return the hubs of a client. Raises BadRequestError, as HubDispatcher.cs for unreadable or repeated names."""
    if not connection_data:
        return ()
    try:
        names = tuple(str(field(entry, "Name")) for entry in json.loads(connection_data))
    except (ValueError, AttributeError, TypeError):
        raise BadRequestError("The connection data cannot be parsed.") from None
    if len({name.lower() for name in names}) < len(names):
        raise BadRequestError("Duplicate hub names found.")
    return names


def _cursor_number(text: str | None) -> int | None:
    try:
        return int(text.removeprefix("d-"), 16) if text else None
    except ValueError:
        return None
