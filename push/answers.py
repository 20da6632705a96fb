"""The answers of devices: read within limits of size and time, decoded, and turned into values of the expected type.

A device, or another server at its address, may send anything: bytes that never end, a small answer that decodes to
gigabytes, JSON that is nested a thousand times, a list instead of a text. Every such answer becomes an error of
`push.errors` or a `MalformedError`, which `readable` turns into a DeviceError with the location of the value.
"""

import contextlib
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, cast

from ..core.errors import DeviceError
from ..core.wording import legible, shown

if TYPE_CHECKING:
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPResponse

UrllibResponse: TypeAlias = Any
"""An `HTTPResponse` of urllib3, whose types override those of http.client."""
DEEPEST: Final = 40
"""The largest nesting of JSON. Declarations of AS3 have about ten levels."""
_CHUNK: Final = 65_536
_GZIP: Final = 16 + zlib.MAX_WBITS


class TooLargeError(Exception):
    """An answer has more bytes than the limit, after it was decoded."""


class TooLateError(Exception):
    """An answer was not complete within the time."""


class UndecodableError(Exception):
    """An answer has an encoding that was not requested, or is not encoded as it states."""


class MalformedError(ValueError):
    """A value of an answer does not have the expected type."""

    def __init__(self, path: str, wanted: str, found: object) -> None:
        super().__init__(f"{legible(path)} is {shown(found)}, not {wanted}")


# Time.


class _Watch:
    """Ends the connection after some time, also while bytes arrive; `fired` is whether it did."""

    def __init__(self, sock: socket.socket | None, seconds: float) -> None:
        self.fired = False
        self._sock = sock
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def _end(self) -> None:
        self.fired = True
        if self._sock is not None:
            with contextlib.suppress(OSError):
                # The method of the class: that of a TLS socket would remove the TLS layer under the reader.
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._timer.cancel()


def adapter(connections: int) -> "HTTPAdapter":
    """Return an adapter whose connections limit the time for the complete head of an answer.

    The timeout of a socket limits only each pause: a server that sends one byte a second would never exceed it.
    """
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Timed(HTTPConnection):
        reading: socket.socket | None = None

        def getresponse(self) -> UrllibResponse:
            self.reading = self.sock  # a connection that ends with the answer loses its socket
            with _Watch(self.sock, cast("float", self.timeout)) as watch:
                try:
                    response = super().getresponse()
                except Exception as error:
                    if watch.fired:
                        raise TimeoutError from error
                    raise
            if watch.fired:  # the lines that arrived look like a complete head
                response.close()
                raise TimeoutError
            return response

    class TimedTls(Timed, HTTPSConnection):
        pass

    class Plain(HTTPConnectionPool):
        ConnectionCls = Timed

    class Tls(HTTPSConnectionPool):
        ConnectionCls = TimedTls

    made = HTTPAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0)
    made.poolmanager.pool_classes_by_scheme = {"http": Plain, "https": Tls}
    return made


# Size.


def body(response: "HTTPResponse", seconds: float, largest: int) -> bytes:
    """Return the decoded body. Raises TooLargeError, TooLateError or UndecodableError."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in {"", "identity", "gzip", "x-gzip"}:
        raise UndecodableError(f"it has the encoding {shown(encoding)}, which was not requested")
    parts: list[bytes] = []
    with _Watch(getattr(response.connection, "reading", None), seconds) as watch:
        try:
            size = 0
            for part in _inflated(response, largest) if encoding.endswith("gzip") else _chunks(response):
                parts.append(part)
                size += len(part)
                if size > largest:
                    raise TooLargeError
                if watch.fired:
                    break
        except Exception:
            if not watch.fired:
                raise
    if watch.fired:
        raise TooLateError
    return b"".join(parts)


def _chunks(response: "HTTPResponse") -> Iterator[bytes]:
    """Yield the bytes as they arrive: a read of a fixed size would wait for all of them."""
    while part := response.read1(_CHUNK, decode_content=False):
        yield part


def _inflated(response: "HTTPResponse", largest: int) -> Iterator[bytes]:
    """Yield the decoded bytes; each part has at most one byte more than the limit."""
    decoder, left, empty = zlib.decompressobj(_GZIP), largest + 1, True
    try:
        for part in _chunks(response):
            empty = False
            made = decoder.decompress(part, left)
            left = max(1, left - len(made))
            yield made
    except zlib.error:
        raise UndecodableError("it is not encoded as gzip") from None
    if not empty and not decoder.eof:
        raise UndecodableError("its gzip encoding is truncated")


# JSON.


def parsed(content: str) -> object:
    """Return the value of a JSON text; raises ValueError for other texts and for JSON that is nested too deep.

    A half of a surrogate pair becomes U+FFFD: no file and no terminal can show it.
    """
    try:
        data = json.loads(content)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    level: list[object] = [data]
    for _ in range(DEEPEST):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _children(one)]
        if not level:
            break
    else:
        raise ValueError("is nested too deep")
    return _whole(data) if "\\ud" in content.lower() else data


def _children(one: dict[str, Any] | list[Any]) -> Iterator[object]:
    for inner in one.values() if isinstance(one, dict) else one:
        if isinstance(inner, dict | list):
            yield inner


def _whole(data: object) -> object:
    text = json.dumps(data, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
    return cast("object", json.loads(text.decode("utf-16-le", "replace")))


# Types.


@contextlib.contextmanager
def readable(device: str, what: str) -> Iterator[None]:
    """Turn a MalformedError into the error of a device; `what` is the name of the request in messages."""
    try:
        yield
    except MalformedError as error:
        raise DeviceError(
            f"{device}: {legible(what)}: the response cannot be read: {error}",
            "check that the address in the spec is that of the device: nlbgen does not know this form of response",
        ) from None


def mapping(value: object, path: str) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise MalformedError(path, "an object", value)
    return value


def listed(value: object, path: str) -> list[Any]:
    """Return a JSON array."""
    if not isinstance(value, list):
        raise MalformedError(path, "a list", value)
    return value


def text(value: object, path: str) -> str:
    """Return a JSON string that is not empty."""
    if not isinstance(value, str) or not value:
        raise MalformedError(path, "a text", value)
    return value


def word(value: object, path: str) -> str:
    """Return a string, or a number or a flag as its text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise MalformedError(path, "a text or a number", value)
    return str(value)


def number(value: object, path: str) -> int:
    """Return an integer, which a device may write as a text."""
    plain = value.strip() if isinstance(value, str) else value
    if isinstance(plain, int) and not isinstance(plain, bool):
        return plain
    if isinstance(plain, str) and plain.isascii() and plain.isdecimal() and len(plain) < _LONGEST_NUMBER:
        return int(plain)
    raise MalformedError(path, "a number", value)


_LONGEST_NUMBER: Final = 20
