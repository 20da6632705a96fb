"""Redis: PING, AUTH with the configured password, its role, its listeners; what a Sentinel announces."""

import asyncio
import ipaddress
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from ..net.connect import ConnectError, Peer
from ..net.resp import Reply, RespError, encode, read_reply
from ..spec.references import SecretValue
from . import redis_clients
from .machine import Machine

if TYPE_CHECKING:
    from .findings import Level

_MASTER: Final = "master"
_OTHER_CHANNELS: Final = frozenset({b"__sentinel__:hello", b"__Booksleeve_MasterChanged"})
"""The channels of Sentinel and of StackExchange.Redis itself."""
_CHANNELS: Final = 1000
_VERSION: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+")


class _ProtocolError(Exception):
    """The response is not Redis's; the text is safe to print."""


class Listeners(NamedTuple):
    """The nodes that must listen for SignalR's messages."""

    nodes: int
    on_demand: bool
    """Whether a node listens only when it has a client, as ASP.NET Core SignalR does."""
    addresses: Mapping[str, str] = MappingProxyType({})
    """The names of the nodes by their addresses."""


async def check(
    machine: Machine,
    password: SecretValue | None,
    user: str | None = None,
    *,
    replicas: bool = False,
    listeners: Listeners | None = None,
) -> dict[str, str]:
    """Check Redis with the login of the spec. The password is sent only if the certificate was verified.

    With `replicas` the server is one of several, and need not be the master. With `listeners` a master is asked how
    many nodes listen for messages. Returns the fields of INFO replication and `redis_version`; empty if they are not
    known.
    """
    found: dict[str, str] = {}

    async def use(peer: Peer) -> None:
        if await _logged_in(machine, peer, password, user):
            machine.facts["redis"] = "Redis answers"
            found.update(await _version(machine, peer))
            found.update(await _role(machine, peer, replicas=replicas))
            if listeners is not None and found.get("role") == _MASTER:
                await _listening(machine, peer, listeners)

    await _talk(machine, use)
    return found


async def announced(machine: Machine, password: SecretValue | None, name: str) -> str | None:
    """Return the master that a Sentinel announces, as `address:port`, empty without one; None if it is not known.

    Reports a Sentinel that could not begin a failover now.
    """
    found: list[str] = []

    async def use(peer: Peer) -> None:
        if not await _logged_in(machine, peer, password, None):
            return
        reply = await _reply(peer, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
        words = [word.decode("ascii", "replace") for word in _texts(reply)]
        found.append(joined(*words) if len(words) == 2 and "".join(words).isprintable() else "")
        quorum = await _reply(peer, "SENTINEL", "CKQUORUM", name) if found[0] else b"OK"
        if isinstance(quorum, RespError):
            machine.report("redis-quorum", f"SENTINEL CKQUORUM {name}", "OK", _code(quorum))
        elif found[0]:
            machine.facts["quorum"] = "can begin a failover"

    await _talk(machine, use)
    return found[0] if found else None


def joined(address: str, port: str | int) -> str:
    """`address:port`, with the usual text of an IP address, IPv6 in brackets."""
    with suppress(ValueError):
        address = str(ipaddress.ip_address(address))
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


async def _talk(machine: Machine, use: Callable[[Peer], Awaitable[None]]) -> None:
    """Connect and use the connection; report how it fails."""
    try:
        async with machine.connection() as peer, asyncio.timeout(machine.limits.answer):
            await use(peer)
    except ConnectError as error:
        machine.failed(error)
    except TimeoutError:
        machine.report("redis-answer", "PING", "PONG", f"no response within {machine.limits.answer:g} s")
    except _ProtocolError as error:
        machine.report("redis-answer", "PING", "PONG", str(error))
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        machine.report("redis-answer", "PING", "PONG", "the connection was closed")


async def _logged_in(machine: Machine, peer: Peer, password: SecretValue | None, user: str | None) -> bool:
    """Check the login; return whether commands are accepted now."""
    refusal = await _error_code(peer, "PING")
    if refusal == "NOAUTH":
        if password is None:
            machine.report("redis-password", "AUTH", "no password, as in the spec", "Redis requires one")
            return False
        if not machine.trusted:
            return False
        refused = await _error_code(peer, "AUTH", *([user] if user else []), password.reveal())
        if refused:
            machine.report("redis-password", "AUTH", "OK", refused)
            return False
        refusal = await _error_code(peer, "PING")
    elif not refusal and password is not None:
        machine.report("redis-open", "PING without a password", "NOAUTH", "PONG")
    if refusal:
        machine.report("redis-answer", "PING", "PONG", refusal)
        return False
    return True


async def _version(machine: Machine, peer: Peer) -> dict[str, str]:
    """Return the version; a user without the permission for INFO gets no finding."""
    found = _fields(await _reply(peer, "INFO", "server")).get("redis_version", "")
    if not _VERSION.fullmatch(found):
        return {}
    machine.facts["version"] = f"version {found}"
    return {"redis_version": found}


def _fields(reply: Reply | RespError) -> dict[str, str]:
    """The fields of a section of INFO; none for an error."""
    lines = reply.decode("utf-8", "replace").splitlines() if isinstance(reply, bytes) else []
    return dict(line.split(":", 1) for line in lines if ":" in line)


async def _role(machine: Machine, peer: Peer, *, replicas: bool) -> dict[str, str]:
    """Check that it accepts writes; a user without the permission for INFO gets no finding."""
    fields = _fields(await _reply(peer, "INFO", "replication"))
    role = fields.get("role", "")
    if role and role != _MASTER and not replicas:
        machine.report(
            "redis-replica", "INFO replication", "the master", "a replica" if role == "slave" else "no master"
        )
    elif role:
        machine.facts["role"] = role
    return fields


async def _listening(machine: Machine, peer: Peer, listeners: Listeners) -> None:
    """Compare the subscribers of SignalR's channel with the nodes; a user without the permission gets no finding."""
    channels = await _reply(peer, "PUBSUB", "CHANNELS")
    names = [name for name in _texts(channels) if name not in _OTHER_CHANNELS][:_CHANNELS]
    counts = await _reply(peer, "PUBSUB", "NUMSUB", *names) if names else []
    most = max((count for count in counts if isinstance(count, int)), default=0) if isinstance(counts, list) else 0
    if not most:
        return
    machine.facts["listeners"] = f"{most} of {listeners.nodes} nodes listen"
    if most < listeners.nodes:
        level: Level = "note" if listeners.on_demand else "finding"
        what = "PUBSUB NUMSUB of the channel with the most listeners"
        told = "" if listeners.on_demand else await _missing(peer, listeners)
        found = f"{most}: {told}" if told else str(most)
        machine.report("redis-listeners", what, f"{listeners.nodes} nodes", found, level=level)


async def _missing(peer: Peer, listeners: Listeners) -> str:
    """Describe the nodes that do not listen; empty if the user has no permission for CLIENT LIST."""
    listed = await _reply(peer, "CLIENT", "LIST")
    text = listed.decode("utf-8", "replace") if isinstance(listed, bytes) else ""
    return redis_clients.missing(text, listeners.nodes, listeners.addresses) if text else ""


async def _reply(peer: Peer, *words: str | bytes) -> Reply | RespError:
    """Send a command; return its reply, or the error."""
    peer.writer.write(encode(*words))
    try:
        return await read_reply(peer.reader)
    except RespError as error:
        return error
    except ValueError:
        raise _ProtocolError("the response is not RESP") from None


def _texts(reply: Reply | RespError) -> list[bytes]:
    """The texts of an array."""
    return [word for word in reply if isinstance(word, bytes)] if isinstance(reply, list) else []


def _code(error: RespError) -> str:
    """The code of an error, and no other text of it: it can repeat a password."""
    code = str(error).partition(" ")[0]
    return code if code.isalpha() and code.isupper() and len(code) <= 20 else "an error"


async def _error_code(peer: Peer, *words: str) -> str:
    """Send a command and return the code of its error; empty if it succeeded.

    Only the code: a Redis that does not know AUTH repeats the password in its error message.
    """
    answer = await _reply(peer, *words)
    if isinstance(answer, RespError):
        return _code(answer)
    if answer not in {b"OK", b"PONG"}:
        raise _ProtocolError("the response is not a valid response of Redis")
    return ""
