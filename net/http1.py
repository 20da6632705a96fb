"""One HTTP/1.1 request on one connection, as it stands: nothing is followed, repeated or decoded."""

import asyncio
import time
from typing import Final, NamedTuple

from .. import __version__
from .reach import Peer, reason
from .wire import Answer, parse

USER_AGENT: Final = f"nlbgen-probe/{__version__}"
_CHUNK: Final = 64 * 1024


class AnswerError(Exception):
    """No usable answer came; the text says what came instead."""


class Reply(NamedTuple):
    """An answer, and when it came (seconds since the epoch, by this machine's clock)."""

    answer: Answer
    sent: float
    received: float

    @property
    def status(self) -> int:
        """The status code."""
        return self.answer.status

    def header(self, name: str) -> str:
        """The first header of that name; empty if there is none."""
        return self.answer.header(name.lower().encode())

    def cookies(self) -> dict[str, str]:
        """What Set-Cookie says, by the cookie's name: its value and attributes as they stand."""
        lines = [line.partition("=") for line in self.answer.headers(b"set-cookie")]
        return {name.strip(): rest for name, _equals, rest in lines}


def head(method: str, path: str, host: str, headers: dict[str, str]) -> bytes:
    """A request without a body."""
    lines = {"Host": host, "User-Agent": USER_AGENT, "Accept": "*/*", **headers}
    text = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return text.encode("latin-1") + b"\r\n"


async def exchange(peer: Peer, request: bytes, seconds: float) -> Reply:
    """Send a request and read its answer to the end. Raises AnswerError."""
    sent = time.time()
    try:
        async with asyncio.timeout(seconds):
            peer.writer.write(request)
            answer = await _whole(peer.reader, bytearray())
    except TimeoutError:
        raise AnswerError(f"no answer within {seconds:g} s") from None
    except OSError as error:
        raise AnswerError(reason(error)) from None
    return Reply(answer, sent, time.time())


async def upgrade(peer: Peer, request: bytes, seconds: float) -> Reply:
    """Send a request to upgrade the connection; 101 leaves it open for what comes next. Raises AnswerError."""
    sent = time.time()
    try:
        async with asyncio.timeout(seconds):
            peer.writer.write(request)
            first = await peer.reader.readuntil(b"\r\n\r\n")
            if first.startswith(b"HTTP/1.1 101"):
                answer = Answer(101, first[:-4], b"", keep=True)
            else:
                answer = await _whole(peer.reader, bytearray(first))
    except TimeoutError:
        raise AnswerError(f"no answer within {seconds:g} s") from None
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise AnswerError("what came is no HTTP answer") from None
    except OSError as error:
        raise AnswerError(reason(error)) from None
    return Reply(answer, sent, time.time())


async def _whole(reader: asyncio.StreamReader, buffer: bytearray) -> Answer:
    """The answer that begins in `buffer`, read to its end."""
    ended = False
    while True:
        try:
            answer = parse(buffer, head_only=False, ended=ended)
        except ValueError:
            raise AnswerError("what came is no HTTP answer") from None
        if answer is not None:
            return answer
        if ended:
            raise AnswerError(
                "the connection was closed before the answer was complete"
                if buffer
                else "the connection was closed without an answer"
            )
        part = await reader.read(_CHUNK)
        ended = not part
        buffer += part
