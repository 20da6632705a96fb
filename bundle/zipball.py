"""`.zip`, written and read in one form only: stored, without extra fields, without comments.

Nothing is compressed, for the reason that `tarball` gives. Sources: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.4.
"""

import stat
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from . import names
from .members import MAX_FILES, MODES, REPACKED, BundleError, Member, bounded, named

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_LOCAL_MARK: Final = b"PK\3\4"
_CENTRAL_MARK: Final = b"PK\1\2"
_END_MARK: Final = b"PK\5\6"
_VERSION: Final = 20
_MADE_BY: Final = 3 << 8 | _VERSION
"""Unix, wherever it is made: only then the upper half of the attributes is the mode."""
_UTF8: Final = 1 << 11
_STORED: Final = 0
_MIDNIGHT: Final = 0
_FIRST_DAY: Final = 1 << 5 | 1
"""1980-01-01, the first day that zip can write."""


class _Entry(NamedTuple):
    """What the central directory says of a file that is as nlbgen writes it, and where its local header stands."""

    path: str
    mode: int
    crc: int
    size: int
    offset: int


def encode(members: Iterable[Member]) -> bytes:
    """The archive of these files, in this order; the names have passed `names.objection`."""
    parts: list[bytes] = []
    central: list[bytes] = []
    offset = 0
    for member in members:
        entry = _Entry(member.path, member.mode, zlib.crc32(member.content), len(member.content), offset)
        parts += [_local(entry), member.content]
        central.append(_listed(entry))
        offset += len(parts[-2]) + len(parts[-1])
    directory = b"".join(central)
    end = _END.pack(_END_MARK, 0, 0, len(central), len(central), len(directory), offset, 0)
    return b"".join([*parts, directory, end])


def decode(data: bytes) -> list[Member]:
    """The files of an archive; raises BundleError for anything that `encode` does not write."""
    if not data.startswith((_LOCAL_MARK, _END_MARK)):
        raise BundleError("this is not a zip file", "name the file that `nlbgen bundle export` wrote")
    count, start = _end(data)
    entries = list(_entries(data, start, count))
    return list(_members(data, entries, start))


def _local(entry: _Entry) -> bytes:
    name = entry.path.encode("utf-8")
    return (
        _LOCAL.pack(
            *(_LOCAL_MARK, _VERSION, _UTF8, _STORED, _MIDNIGHT, _FIRST_DAY),
            *(entry.crc, entry.size, entry.size, len(name), 0),
        )
        + name
    )


def _listed(entry: _Entry) -> bytes:
    name = entry.path.encode("utf-8")
    return (
        _CENTRAL.pack(
            *(_CENTRAL_MARK, _MADE_BY, _VERSION, _UTF8, _STORED, _MIDNIGHT, _FIRST_DAY),
            *(entry.crc, entry.size, entry.size, len(name), 0, 0, 0, 0),
            *((stat.S_IFREG | entry.mode) << 16, entry.offset),
        )
        + name
    )


def _end(data: bytes) -> tuple[int, int]:
    """How many files the archive lists, and where the list begins."""
    place = len(data) - _END.size
    if place < 0 or data[place : place + 4] != _END_MARK:
        raise BundleError("the zip file breaks off, has a comment, or something follows it", REPACKED)
    _mark, disk, first_disk, here, count, size, start, comment = _END.unpack_from(data, place)
    if disk or first_disk or here != count or comment:
        raise BundleError("the end of the zip file speaks of further parts or of a comment", REPACKED)
    if start + size != place:
        raise BundleError("the list of the zip file does not stand where its end says", REPACKED)
    if count > MAX_FILES:
        raise BundleError(f"the archive holds more than {MAX_FILES} files", REPACKED)
    return count, start


def _entries(data: bytes, start: int, count: int) -> Iterator[_Entry]:
    place = start
    for _number in range(count):
        entry = _entry(data, place)
        place += _CENTRAL.size + len(entry.path.encode("utf-8"))
        yield entry
    if place != len(data) - _END.size:
        raise BundleError("the list of the zip file holds more than its files", REPACKED)


def _entry(data: bytes, place: int) -> _Entry:
    if len(data) - place < _CENTRAL.size or data[place : place + 4] != _CENTRAL_MARK:
        raise BundleError(f"the list of the zip file is damaged at byte {place}", REPACKED)
    fields = _CENTRAL.unpack_from(data, place)
    crc, _packed, size, length = fields[7:11]
    attributes, offset = fields[15:]
    raw = data[place + _CENTRAL.size : place + _CENTRAL.size + length]
    try:
        path = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BundleError(f"the name in the list of the zip file at byte {place} is not UTF-8", REPACKED) from None
    _refuse_kind(path, attributes >> 16)
    if objection := names.objection(path):
        raise BundleError(f"{named(path)} cannot be a file's name: {objection}", REPACKED)
    if fields[4] != _STORED:
        raise BundleError(f"{named(path)} is compressed or encrypted, and bundles are stored", REPACKED)
    bounded(path, size)
    entry = _Entry(path, attributes >> 16 & 0o7777, crc, size, offset)
    if _listed(entry) != data[place : place + _CENTRAL.size + length]:
        raise BundleError(f"{named(path)} has a time or another mark that nlbgen does not write", REPACKED)
    return entry


def _refuse_kind(path: str, mode: int) -> None:
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFLNK:
        raise BundleError(f"{named(path)} is a symbolic link, and a bundle holds files", REPACKED)
    if kind != stat.S_IFREG:
        raise BundleError(f"{named(path)} is no plain file, and a bundle holds files", REPACKED)
    if stat.S_IMODE(mode) not in MODES:
        raise BundleError(f"{named(path)} has the mode {stat.S_IMODE(mode):04o}, which no file here has", REPACKED)


def _members(data: bytes, entries: Sequence[_Entry], end: int) -> Iterator[Member]:
    """The files, one behind the other without a gap: what no entry names would be hidden from every reader."""
    place = 0
    for entry in entries:
        local = _local(entry)
        if entry.offset != place or data[place : place + len(local)] != local:
            message = f"{named(entry.path)} is listed otherwise than it stands in the zip file"
            raise BundleError(message, REPACKED)
        start = place + len(local)
        place = start + entry.size
        content = data[start:place]
        if place > end or zlib.crc32(content) != entry.crc:
            raise BundleError(f"{named(entry.path)} is damaged: its content does not have its checksum", REPACKED)
        yield Member(entry.path, content, entry.mode)
    if place != end:
        raise BundleError(f"something stands in the zip file at byte {place} that is no file of it", REPACKED)
