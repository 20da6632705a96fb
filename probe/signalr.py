"""SignalR 2 and ASP.NET Core SignalR: the negotiation, and the start of a connection over WebSocket.

With SignalR 2 the probe requests no hub (`connectionData=[]`): the names of the hubs are not documented, and only a
hub can require a login (SignalR/SignalR, HubDispatcher.cs, AuthorizeRequest). The probe closes the connection before
`start` and calls no hub method. ASP.NET Core negotiates by POST; the POST has no body and creates only a connection
id.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlencode

from ..core.wording import shown
from ..generators.design import COOKIE
from ..net.connect import ConnectError
from ..net.request import ResponseError, TimedResponse
from ..net.websocket import WebSocket, open_websocket
from .machine import Machine

_END: Final = "\x1e"
_HANDSHAKE: Final = '{"protocol":"json","version":1}' + _END
_LOGIN: Final = frozenset({401, 403})
_FOREIGN_TOKEN: Final = b"incorrect format"
_UNKNOWN_ID: Final = b"No Connection with that ID"


class Hubs(NamedTuple):
    """The paths of SignalR hubs, and how to connect to them."""

    paths: Sequence[str]
    named: bool
    """Whether the user gave the paths of hubs; the spec has only their prefixes."""
    core: bool
    sticky: bool
    """Whether a client reaches the node that negotiated again; always true for a single node."""


class Hub(NamedTuple):
    """A hub that negotiated."""

    path: str
    token: str
    response: TimedResponse


class Outcome(NamedTuple):
    """The result of the checks on one machine."""

    hub: Hub | None
    """The first hub that negotiates."""
    missing: str
    """The response of the first path if no path is a hub; else empty."""


async def check(machine: Machine, hubs: Hubs) -> Outcome:
    """Negotiate on each path, connect to each hub, and report failures.

    A path that is no hub is reported here only if the user gave it: another machine may have the hub.
    """
    first: Hub | None = None
    absent: list[str] = []
    for path in hubs.paths:
        found = await _negotiate(machine, hubs, path)
        if isinstance(found, str):
            absent.append(found)
        elif found is not None:
            first = first or found
            await _connect(machine, hubs, found)
    return Outcome(first, absent[0] if len(absent) == len(hubs.paths) else "")


async def first_response(machine: Machine, hubs: Hubs) -> TimedResponse | None:
    """Return the response on the first SignalR path, for the headers that the balancer adds; None without one."""
    try:
        return await _request_negotiation(machine, hubs, hubs.paths[0])
    except ResponseError:
        return None


async def _request_negotiation(machine: Machine, hubs: Hubs, path: str) -> TimedResponse:
    if hubs.core:
        return await machine.request(f"{path}/negotiate?negotiateVersion=1", method="POST")
    return await machine.request(f"{path}/negotiate?{_query()}")


async def _negotiate(machine: Machine, hubs: Hubs, path: str) -> Hub | str | None:
    """Return the hub at a path; the response as a text if it is no hub; None if the hub fails, which is reported."""
    checked = f"{'POST' if hubs.core else 'GET'} {path}/negotiate"
    try:
        response = await _request_negotiation(machine, hubs, path)
    except ResponseError as error:
        machine.report("signalr-negotiate", checked, "200", str(error))
        return None
    if response.status in _LOGIN:
        machine.report("signalr-login", checked, "200", str(response.status))
        return None
    negotiation = _mapping(response.body) if response.status == 200 else {}
    token = (
        negotiation.get("connectionToken") or negotiation.get("connectionId")
        if hubs.core
        else negotiation.get("ConnectionToken")
    )
    if not isinstance(token, str) or not (token.isascii() and token.isprintable()):
        found = str(response.status) if response.status != 200 else "200, but not a SignalR response"
        if response.status in {200, 404} and not hubs.named:
            return found
        machine.report("signalr-negotiate", checked, "200 and a connection token", found)
        return None
    if not _offers_websockets(negotiation, core=hubs.core):
        machine.report("websocket", checked, "WebSockets are offered", "the server does not offer them")
        return None
    return Hub(path, token, response)


def _offers_websockets(negotiation: Mapping[str, object], *, core: bool) -> bool:
    if not core:
        return negotiation.get("TryWebSockets") is not False
    offered = negotiation.get("availableTransports")
    if not isinstance(offered, list):
        return True
    return any(isinstance(transport, dict) and transport.get("transport") == "WebSockets" for transport in offered)


async def _connect(machine: Machine, hubs: Hubs, hub: Hub) -> None:
    checked = f"WebSocket {hub.path}"
    try:
        async with machine.connection() as peer:
            path, host = _connect_path(hubs, hub), machine.endpoint.header
            response, socket = await open_websocket(peer, path, host, _cookies(hub.response), machine.limits.answer)
            if socket is not None:
                await _begin(machine, hubs, socket, checked)
            else:
                _refused(machine, response, checked, machine.name)
    except (ResponseError, ConnectError) as error:
        machine.report("websocket", checked, "101, an open WebSocket", str(error))


def _connect_path(hubs: Hubs, hub: Hub) -> str:
    if not hubs.core:
        return f"{hub.path}/connect?{_query(hub.token)}"
    # Without affinity the id usually belongs to another node. WebSockets may connect without an id.
    return f"{hub.path}?{urlencode({'id': hub.token})}" if hubs.sticky else hub.path


async def _begin(machine: Machine, hubs: Hubs, socket: WebSocket, checked: str) -> None:
    """Wait for SignalR's first message; SignalR 2 may send a keep-alive before it."""
    try:
        if hubs.core:
            await socket.send_text(_HANDSHAKE)
        first = await socket.receive_text(machine.limits.answer)
        if not hubs.core and first.strip() == "{}":
            first = await socket.receive_text(machine.limits.answer)
    except (ResponseError, OSError) as error:
        machine.report("signalr-connect", checked, "SignalR's first message", str(error))
        return
    await socket.close()
    if first.startswith("{}" + _END) if hubs.core else "C" in _mapping(first.encode()):
        machine.facts["signalr"] = "SignalR connects"
    else:
        machine.report("signalr-connect", checked, "SignalR's first message", shown(first))


def _refused(machine: Machine, response: TimedResponse, checked: str, negotiated_by: str) -> None:
    body = response.body
    if response.status == 400 and _FOREIGN_TOKEN in body:
        found = "400, the token cannot be read"
        machine.report("signalr-token", checked, f"accepts a token of {negotiated_by}", found)
    elif response.status == 404 and _UNKNOWN_ID in body:
        machine.report("signalr-affinity", checked, "101, an open WebSocket", "404, from another node")
    elif response.status in _LOGIN:
        machine.report("signalr-login", checked, "101, an open WebSocket", str(response.status))
    else:
        machine.report("websocket", checked, "101, an open WebSocket", str(response.status))


async def check_token(machine: Machine, hub: Hub, owner: str) -> None:
    """Connect with a token of another node: SignalR 2 accepts it if both have the same machineKey."""
    checked = f"WebSocket {hub.path}"
    path = f"{hub.path}/connect?{_query(hub.token)}"
    try:
        async with machine.connection() as peer:
            response, socket = await open_websocket(peer, path, machine.endpoint.header, {}, machine.limits.answer)
            if socket is not None:
                await socket.close()
            elif response.status == 400 and _FOREIGN_TOKEN in response.body:
                _refused(machine, response, checked, owner)
    except (ResponseError, ConnectError):
        return  # the node's own connection was checked before; this failure has another cause than the key


def _query(token: str = "") -> str:
    query = {"clientProtocol": "2.0", "connectionData": "[]"}
    return urlencode({"transport": "webSockets", **query, "connectionToken": token} if token else query)


def _cookies(response: TimedResponse) -> dict[str, str]:
    """Return the Cookie header with the affinity cookie of a response."""
    value = response.cookies().get(COOKIE, "").partition(";")[0].strip()
    return {"Cookie": f"{COOKIE}={value}"} if value and value.isprintable() else {}


def _mapping(text: bytes) -> dict[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # a thousand nested lists are no answer of SignalR either
        return {}
    return found if isinstance(found, dict) else {}
