"""Redis in its own protocol: PING, AUTH with the configured password, and whether it is the master."""

import asyncio
from typing import Final

from ..net.reach import Peer, ReachError
from ..net.resp import RespError, encode, read_reply
from ..spec.references import SecretValue
from .device import Device

_MASTER: Final = "master"


class _OddError(Exception):
    """An answer that Redis should not give, or none; the text is safe to show."""


async def check(device: Device, password: SecretValue | None) -> None:
    """Ask Redis, and report. Where its certificate was refused no password is sent."""
    try:
        async with device.connection() as peer, asyncio.timeout(device.limits.answer):
            await _converse(device, peer, password)
    except ReachError as error:
        device.failed(error)
    except TimeoutError:
        device.say("redis-answer", "PING", "PONG", f"no answer within {device.limits.answer:g} s")
    except _OddError as error:
        device.say("redis-answer", "PING", "PONG", str(error))
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        device.say("redis-answer", "PING", "PONG", "the connection was closed")


async def _converse(device: Device, peer: Peer, password: SecretValue | None) -> None:
    refusal = await _refusal(peer, "PING")
    if refusal == "NOAUTH":
        if password is None:
            device.say("redis-password", "AUTH", "no password, as in the spec", "Redis wants one")
            return
        if not device.trusted:
            return
        refused = await _refusal(peer, "AUTH", password.reveal())
        if refused:
            device.say("redis-password", "AUTH", "OK", refused)
            return
        refusal = await _refusal(peer, "PING")
    elif not refusal and password is not None:
        device.say("redis-open", "PING without a password", "NOAUTH", "PONG")
    if refusal:
        device.say("redis-answer", "PING", "PONG", refusal)
        return
    device.facts["redis"] = "Redis answers"
    await _role(device, peer)


async def _role(device: Device, peer: Peer) -> None:
    """Whether it takes writes; a user without the right to ask is not told."""
    peer.writer.write(encode("INFO", "replication"))
    try:
        answer = await read_reply(peer.reader)
    except (RespError, ValueError):
        return
    lines = answer.decode("utf-8", "replace").split() if isinstance(answer, bytes) else []
    role = next((line.removeprefix("role:") for line in lines if line.startswith("role:")), "")
    if role and role != _MASTER:
        device.say("redis-replica", "INFO replication", "the master", "a replica" if role == "slave" else "no master")
    elif role:
        device.facts["role"] = role


async def _refusal(peer: Peer, *words: str) -> str:
    """The code of the error that a command is answered with; empty if it succeeded.

    The code alone: where AUTH is unknown, Redis repeats the password in its error.
    """
    peer.writer.write(encode(*words))
    try:
        answer = await read_reply(peer.reader)
    except RespError as error:
        code = str(error).partition(" ")[0]
        return code if code.isalpha() and code.isupper() and len(code) <= 20 else "an error"
    except ValueError:
        raise _OddError("what came is not Redis's protocol") from None
    if answer not in {b"OK", b"PONG"}:
        raise _OddError("what came is not Redis's answer")
    return ""
