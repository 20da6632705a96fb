"""Redis: PING, AUTH with the configured password, and its role."""

import asyncio
from typing import Final

from ..net.connect import ConnectError, Peer
from ..net.resp import RespError, encode, read_reply
from ..spec.references import SecretValue
from .machine import Machine

_MASTER: Final = "master"


class _ProtocolError(Exception):
    """The response is not Redis's; the text is safe to print."""


async def check(
    machine: Machine, password: SecretValue | None, user: str | None = None, *, replicas: bool = False
) -> None:
    """Check Redis with the login of the spec. The password is sent only if the certificate was verified.

    With `replicas` the server is one of several, and need not be the master.
    """
    try:
        async with machine.connection() as peer, asyncio.timeout(machine.limits.answer):
            await _check_login(machine, peer, password, user, replicas=replicas)
    except ConnectError as error:
        machine.failed(error)
    except TimeoutError:
        machine.report("redis-answer", "PING", "PONG", f"no response within {machine.limits.answer:g} s")
    except _ProtocolError as error:
        machine.report("redis-answer", "PING", "PONG", str(error))
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        machine.report("redis-answer", "PING", "PONG", "the connection was closed")


async def _check_login(
    machine: Machine, peer: Peer, password: SecretValue | None, user: str | None, *, replicas: bool
) -> None:
    refusal = await _error_code(peer, "PING")
    if refusal == "NOAUTH":
        if password is None:
            machine.report("redis-password", "AUTH", "no password, as in the spec", "Redis requires one")
            return
        if not machine.trusted:
            return
        refused = await _error_code(peer, "AUTH", *([user] if user else []), password.reveal())
        if refused:
            machine.report("redis-password", "AUTH", "OK", refused)
            return
        refusal = await _error_code(peer, "PING")
    elif not refusal and password is not None:
        machine.report("redis-open", "PING without a password", "NOAUTH", "PONG")
    if refusal:
        machine.report("redis-answer", "PING", "PONG", refusal)
        return
    machine.facts["redis"] = "Redis answers"
    await _role(machine, peer, replicas=replicas)


async def _role(machine: Machine, peer: Peer, *, replicas: bool) -> None:
    """Check that it accepts writes; a user without the permission for INFO gets no finding."""
    peer.writer.write(encode("INFO", "replication"))
    try:
        answer = await read_reply(peer.reader)
    except (RespError, ValueError):
        return
    lines = answer.decode("utf-8", "replace").split() if isinstance(answer, bytes) else []
    role = next((line.removeprefix("role:") for line in lines if line.startswith("role:")), "")
    if role and role != _MASTER and not replicas:
        machine.report(
            "redis-replica", "INFO replication", "the master", "a replica" if role == "slave" else "no master"
        )
    elif role:
        machine.facts["role"] = role


async def _error_code(peer: Peer, *words: str) -> str:
    """Send a command and return the code of its error; empty if it succeeded.

    Only the code: a Redis that does not know AUTH repeats the password in its error message.
    """
    peer.writer.write(encode(*words))
    try:
        answer = await read_reply(peer.reader)
    except RespError as error:
        code = str(error).partition(" ")[0]
        return code if code.isalpha() and code.isupper() and len(code) <= 20 else "an error"
    except ValueError:
        raise _ProtocolError("the response is not RESP") from None
    if answer not in {b"OK", b"PONG"}:
        raise _ProtocolError("the response is not a valid response of Redis")
    return ""
