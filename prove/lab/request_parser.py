"""Whether bytes are one HTTP/1.1 request, and for every server the same one.

Servers differ in how they read what the standard forbids. So this reader is as strict as RFC 9112 lets one be: what it
does not take word for word is dubious, because some server will take it otherwise than the balancer did.
"""

import re
from typing import Final, NamedTuple

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE: Final = re.compile(rb"%s /[^\x00-\x20\x7f]* HTTP/1\.[01]" % _TOKEN)
_FIELD: Final = re.compile(rb"(%s):([^\x00-\x08\x0a-\x1f\x7f]*)" % _TOKEN)
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")
_BLANK: Final = b"\r\n\r\n"
_INCOMPLETE: Final = -1


class Reading(NamedTuple):
    """What a stream of bytes is."""

    requests: int
    """How many requests follow each other."""
    doubt: str = ""
    """Why servers may read it differently; empty where they cannot."""


def read(stream: bytes) -> Reading:
    """Read a stream of requests; one that is not complete is counted, because the node waits for the rest."""
    count = 0
    while stream:
        count += 1
        end = stream.find(_BLANK)
        if end < 0:
            return Reading(count, "a head without an end")
        doubt, size = _head(stream[:end])
        if doubt:
            return Reading(count, doubt)
        stream = stream[end + len(_BLANK) :]
        if size is None:
            doubt, length = _chunks(stream)
            if doubt:
                return Reading(count, doubt)
        else:
            length = size
        stream = b"" if length == _INCOMPLETE else stream[length:]
    return Reading(count)


def _head(text: bytes) -> tuple[str, int | None]:
    """Why a head is dubious, and the size of its body; None for chunks."""
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
    """Why a chunked body is dubious, and its length with all its framing."""
    at = 0
    while at < len(stream):
        line = _CHUNK.match(stream, at)
        if line is None:
            # The start of a line may be all that has come so far.
            rest = stream[at:]
            whole = b"\n" in rest or len(rest) > 20
            return (f"the chunk {rest[:40]!r}", 0) if whole else ("", _INCOMPLETE)
        size = int(line[1], 16)
        at = line.end() + size
        if size == 0:
            return _trailer(stream, line.end())
        if len(stream) < at + 2:
            return "", _INCOMPLETE
        if stream[at : at + 2] != b"\r\n":
            return f"a chunk that is longer than it says: {stream[at : at + 20]!r}", 0
        at += 2
    return "", _INCOMPLETE


def _trailer(stream: bytes, at: int) -> tuple[str, int]:
    if stream[at : at + 2] == b"\r\n":
        return "", at + 2
    end = stream.find(_BLANK, at)
    return ("", _INCOMPLETE) if end < 0 else ("", end + len(_BLANK))
