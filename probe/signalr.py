"""SignalR of both generations: the negotiation, and the beginning of a connection by WebSocket.

SignalR 2 is asked for no hub at all (`connectionData=[]`): the hubs' names are not documented, and only a hub can ask
for a login (SignalR/SignalR, HubDispatcher.cs, AuthorizeRequest). The connection ends before its `start`, and no hub
method is called. ASP.NET Core negotiates by POST; the POST has no body and makes nothing but a connection id.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from ..core.wording import shown
from ..generators.design import COOKIE
from ..net import websocket
from ..net.http1 import AnswerError, Reply
from ..net.reach import Peer, ReachError
from .device import Device

_END: Final = "\x1e"
_HANDSHAKE: Final = '{"protocol":"json","version":1}' + _END
_LOGIN: Final = frozenset({401, 403})
_FOREIGN_TOKEN: Final = b"incorrect format"
_UNKNOWN_ID: Final = b"No Connection with that ID"


class Hubs(NamedTuple):
    """Where SignalR is asked for."""

    paths: Sequence[str]
    named: bool
    """Whether these are the hubs' own paths; the spec's are only how they begin."""
    core: bool
    sticky: bool
    """Whether a client comes back to the node that negotiated; no matter where there is only one."""


class Met(NamedTuple):
    """A hub that was found."""

    path: str
    token: str
    reply: Reply


class Outcome(NamedTuple):
    """What a machine says about SignalR."""

    hub: Met | None
    """The first hub that negotiates."""
    missing: str
    """What came instead of a hub at every path; empty if any path is a hub's."""


async def check(device: Device, hubs: Hubs) -> Outcome:
    """Negotiate at each path, and connect where that succeeds; what fails is reported.

    That no path is a hub's is not reported here, unless the user named them: other machines may know better.
    """
    first: Met | None = None
    absent: list[str] = []
    for path in hubs.paths:
        met = await _negotiate(device, hubs, path)
        if isinstance(met, str):
            absent.append(met)
        elif met is not None:
            first = first or met
            await _connect(device, hubs, met)
    return Outcome(first, absent[0] if len(absent) == len(hubs.paths) else "")


async def first_answer(device: Device, hubs: Hubs) -> Reply | None:
    """Any answer on a path of SignalR's, for what the balancer adds to it."""
    try:
        return await _ask_negotiate(device, hubs, hubs.paths[0])
    except AnswerError:
        return None


async def _ask_negotiate(device: Device, hubs: Hubs, path: str) -> Reply:
    if hubs.core:
        return await device.ask(f"{path}/negotiate?negotiateVersion=1", method="POST")
    return await device.ask(f"{path}/negotiate?{_query()}")


async def _negotiate(device: Device, hubs: Hubs, path: str) -> Met | str | None:
    """The hub at a path; what came if that is none; None if there is one and it fails, which is reported."""
    what = f"{'POST' if hubs.core else 'GET'} {path}/negotiate"
    try:
        reply = await _ask_negotiate(device, hubs, path)
    except AnswerError as error:
        device.say("signalr-negotiate", what, "200", str(error))
        return None
    if reply.status in _LOGIN:
        device.say("signalr-login", what, "200", str(reply.status))
        return None
    answer = _mapping(reply.answer.body) if reply.status == 200 else {}
    token = answer.get("connectionToken") or answer.get("connectionId") if hubs.core else answer.get("ConnectionToken")
    if not isinstance(token, str):
        found = str(reply.status) if reply.status != 200 else "200, and no SignalR answer"
        if reply.status in {200, 404} and not hubs.named:
            return found
        device.say("signalr-negotiate", what, "200 and a connection token", found)
        return None
    if not _offers_websockets(answer, core=hubs.core):
        device.say("websocket", what, "WebSockets are offered", "the server says that it has none")
        return None
    return Met(path, token, reply)


def _offers_websockets(answer: Mapping[str, Any], *, core: bool) -> bool:
    if not core:
        return answer.get("TryWebSockets") is not False
    offered = answer.get("availableTransports")
    if not isinstance(offered, list):
        return True
    return any(isinstance(one, dict) and one.get("transport") == "WebSockets" for one in offered)


async def _connect(device: Device, hubs: Hubs, met: Met) -> None:
    what = f"WebSocket {met.path}"
    try:
        async with device.connection() as peer:
            reply = await websocket.opened(
                peer, _connect_path(hubs, met), device.where.header, _cookies(met.reply), device.limits.answer
            )
            if reply.status == 101:
                await _begin(device, hubs, peer, what)
            else:
                _refused(device, reply, what, device.name)
    except (AnswerError, ReachError) as error:
        device.say("websocket", what, "101, an open WebSocket", str(error))


def _connect_path(hubs: Hubs, met: Met) -> str:
    if not hubs.core:
        return f"{met.path}/connect?{_query(met.token)}"
    # Without affinity the negotiated id is another node's as a rule; WebSockets may connect without one.
    return f"{met.path}?{urlencode({'id': met.token})}" if hubs.sticky else met.path


async def _begin(device: Device, hubs: Hubs, peer: Peer, what: str) -> None:
    """Wait for SignalR's first message; SignalR 2 may send a keep-alive before it."""
    try:
        if hubs.core:
            await websocket.send_text(peer, _HANDSHAKE)
        first = await websocket.read_text(peer, device.limits.answer)
        if not hubs.core and first.strip() == "{}":
            first = await websocket.read_text(peer, device.limits.answer)
    except (AnswerError, OSError) as error:
        device.say("signalr-connect", what, "SignalR's first message", str(error))
        return
    await websocket.close(peer)
    if first.startswith("{}" + _END) if hubs.core else "C" in _mapping(first.encode()):
        device.facts["signalr"] = "SignalR connects"
    else:
        device.say("signalr-connect", what, "SignalR's first message", shown(first))


def _refused(device: Device, reply: Reply, what: str, negotiated_by: str) -> None:
    body = reply.answer.body
    if reply.status == 400 and _FOREIGN_TOKEN in body:
        found = "400, the token cannot be read"
        device.say("signalr-token", what, f"takes a token of {negotiated_by}", found)
    elif reply.status == 404 and _UNKNOWN_ID in body:
        device.say("signalr-affinity", what, "101, an open WebSocket", "404, another node was asked")
    elif reply.status in _LOGIN:
        device.say("signalr-login", what, "101, an open WebSocket", str(reply.status))
    else:
        device.say("websocket", what, "101, an open WebSocket", str(reply.status))


async def takes_token(device: Device, met: Met, owner: str) -> None:
    """Connect with a token that another node made: SignalR 2 takes it if both have one machine key."""
    what = f"WebSocket {met.path}"
    path = f"{met.path}/connect?{_query(met.token)}"
    try:
        async with device.connection() as peer:
            reply = await websocket.opened(peer, path, device.where.header, {}, device.limits.answer)
            if reply.status == 101:
                await websocket.close(peer)
            elif reply.status == 400 and _FOREIGN_TOKEN in reply.answer.body:
                _refused(device, reply, what, owner)
    except (AnswerError, ReachError):
        return  # its own connection was checked already: what fails just now is not about keys


def _query(token: str = "") -> str:
    query = {"clientProtocol": "2.0", "connectionData": "[]"}
    return urlencode({"transport": "webSockets", **query, "connectionToken": token} if token else query)


def _cookies(reply: Reply) -> dict[str, str]:
    """The affinity cookie of an answer, as a client sends it back."""
    value = reply.cookies().get(COOKIE, "").partition(";")[0].strip()
    return {"Cookie": f"{COOKIE}={value}"} if value and value.isprintable() else {}


def _mapping(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
