"""One HTTP/1.1 request on one connection: no redirects, no retries, no decoding."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from .. import __version__
from .connect import Peer, failure_reason
from .http1 import Response, parse_response, request_head

USER_AGENT: Final = f"nlbgen-probe/{__version__}"
_CHUNK: Final = 64 * 1024


class ResponseError(Exception):
    """No usable response was received; the text describes what was received instead."""


class TimedResponse(NamedTuple):
    """A response, and when it was requested and received (seconds since the epoch, this machine's clock)."""

    response: Response
    sent: float
    received: float

    @property
    def status(self) -> int:
        """The status code."""
        return self.response.status

    @property
    def body(self) -> bytes:
        """The body; empty if there is none."""
        return self.response.body

    def header(self, name: str) -> str:
        """Return the first header of that name, or an empty string."""
        return self.response.header(name.lower().encode())

    def cookies(self) -> dict[str, str]:
        """Return the cookies of Set-Cookie by name: value and attributes, unparsed."""
        lines = [line.partition("=") for line in self.response.headers(b"set-cookie")]
        return {name.strip(): rest for name, _equals, rest in lines}


def probe_request(method: str, path: str, host: str, headers: Mapping[str, str]) -> bytes:
    """Return a request without a body, under the probe's own user agent."""
    return request_head(method, path, {"Host": host, "User-Agent": USER_AGENT, "Accept": "*/*", **headers})


async def exchange(peer: Peer, request: bytes, seconds: float, *, upgrade: bool = False) -> TimedResponse:
    """Send a request and read its response; with `upgrade`, 101 ends it and what follows stays unread in the peer.

    Raises:
        ResponseError: No complete response within `seconds`.
    """
    sent = time.time()
    try:
        async with asyncio.timeout(seconds):
            peer.writer.write(request)
            response = await (_read_upgrade(peer.reader) if upgrade else _read(peer.reader, bytearray()))
    except TimeoutError:
        raise ResponseError(f"no response within {seconds:g} s") from None
    except OSError as error:
        raise ResponseError(failure_reason(error)) from None
    return TimedResponse(response, sent, time.time())


async def _read_upgrade(reader: asyncio.StreamReader) -> Response:
    """Read the head alone first: after 101, the next bytes belong to the new protocol."""
    try:
        head = bytearray(await reader.readuntil(b"\r\n\r\n"))
        return parse_response(head, head_only=False, ended=False, upgrade=True) or await _read(reader, head)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        raise ResponseError("not an HTTP response") from None


async def _read(reader: asyncio.StreamReader, buffer: bytearray) -> Response:
    """Read the response that begins in `buffer`."""
    ended = False
    while True:
        try:
            response = parse_response(buffer, head_only=False, ended=ended)
        except ValueError:
            raise ResponseError("not an HTTP response") from None
        if response is not None:
            return response
        if ended:
            state = "before the response was complete" if buffer else "without a response"
            raise ResponseError(f"the connection was closed {state}")
        part = await reader.read(_CHUNK)
        ended = not part
        buffer += part
