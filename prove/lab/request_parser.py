"""A strict parser that decides whether bytes are HTTP/1.1 requests that every server parses in the same way.

Servers differ in how they parse what the standard forbids. So this parser is as strict as RFC 9112 allows: everything
else is ambiguous, because some server will parse it differently from the balancer.
"""

import re
from typing import Final, NamedTuple

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE: Final = re.compile(rb"%s /[^\x00-\x20\x7f]* HTTP/1\.[01]" % _TOKEN)
_FIELD: Final = re.compile(rb"(%s):([^\x00-\x08\x0a-\x1f\x7f]*)" % _TOKEN)
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")
_BLANK: Final = b"\r\n\r\n"
_INCOMPLETE: Final = -1


class Parsed(NamedTuple):
    """The result for a stream of bytes."""

    requests: int
    """The number of requests in the stream."""
    ambiguity: str = ""
    """Why servers may parse it differently; empty if they cannot."""


def parse_strictly(stream: bytes) -> Parsed:
    """Parse a stream of requests; an incomplete one counts, because the node waits for the rest."""
    count = 0
    while stream:
        count += 1
        end = stream.find(_BLANK)
        if end < 0:
            return Parsed(count, "a head without an end")
        ambiguity, size = _head(stream[:end])
        if ambiguity:
            return Parsed(count, ambiguity)
        stream = stream[end + len(_BLANK) :]
        if size is None:
            ambiguity, length = _chunks(stream)
            if ambiguity:
                return Parsed(count, ambiguity)
        else:
            length = size
        stream = b"" if length == _INCOMPLETE else stream[length:]
    return Parsed(count)


def _head(text: bytes) -> tuple[str, int | None]:
    """Return why a head is ambiguous, and the size of its body; None for chunks."""
    first, *lines = text.split(b"\r\n")
    if not _REQUEST_LINE.fullmatch(first):
        return f"the request line {first[:60]!r}", 0
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            return f"the header line {line[:60]!r}", 0
        fields.setdefault(found[1].lower(), []).append(found[2].strip(b" \t"))
    if b"transfer-encoding" in fields and first.endswith(b"1.0"):
        return "Transfer-Encoding in HTTP/1.0", 0
    return _framing(fields)


def _framing(fields: dict[bytes, list[bytes]]) -> tuple[str, int | None]:
    lengths, codings = fields.get(b"content-length", []), fields.get(b"transfer-encoding", [])
    if len(fields.get(b"host", [])) > 1:
        return "more than one Host", 0
    if lengths and codings:
        return "Content-Length and Transfer-Encoding", 0
    if len(lengths) > 1 or len(codings) > 1:
        return "a framing header twice", 0
    if lengths and not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        return f"Content-Length: {lengths[0][:40]!r}", 0
    if codings and codings[0].lower() != b"chunked":
        return f"Transfer-Encoding: {codings[0][:40]!r}", 0
    return "", None if codings else int(lengths[0]) if lengths else 0


def _chunks(stream: bytes) -> tuple[str, int]:
    """Return why a chunked body is ambiguous, and its length with framing."""
    at = 0
    while at < len(stream):
        line = _CHUNK.match(stream, at)
        if line is None:
            # The start of a line may be all that has come so far.
            rest = stream[at:]
            complete = b"\n" in rest or len(rest) > 20
            return (f"the chunk {rest[:40]!r}", 0) if complete else ("", _INCOMPLETE)
        size = int(line[1], 16)
        at = line.end() + size
        if size == 0:
            return _trailer(stream, line.end())
        if len(stream) < at + 2:
            return "", _INCOMPLETE
        if stream[at : at + 2] != b"\r\n":
            return f"a chunk longer than its size: {stream[at : at + 20]!r}", 0
        at += 2
    return "", _INCOMPLETE


def _trailer(stream: bytes, at: int) -> tuple[str, int]:
    if stream[at : at + 2] == b"\r\n":
        return "", at + 2
    end = stream.find(_BLANK, at)
    return ("", _INCOMPLETE) if end < 0 else ("", end + len(_BLANK))
