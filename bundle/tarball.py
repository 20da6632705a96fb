"""`.tar.gz`, written and read in one form only: POSIX tar (ustar) in gzip with stored blocks.

Compressors of other versions and makes (zlib, zlib-ng) give other bytes for the same input, so nothing is compressed:
the form then leaves no choice open, and every bit of an archive can be checked. It also cannot be a bomb.
Sources: POSIX.1-2017, pax, "ustar Interchange Format"; RFC 1951 (deflate), 3.2.4; RFC 1952 (gzip).
"""

import struct
import zlib
from collections.abc import Iterable
from typing import Final

from . import names
from .members import MAX_FILES, REPACKED, BundleError, Member, bounded, named

_GZIP_HEADER: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
"""Deflate; no flags, so no name; no time; no extra flags; the system is 255, "unknown"."""
_GZIP_END: Final = struct.Struct("<II")
_STORED: Final = struct.Struct("<BHH")
"""The head of a stored block: its last bit says whether it is the last one; the length, and its complement."""
_BLOCK: Final = 65535

_RECORD: Final = 512
_END: Final = bytes(2 * _RECORD)
_MTIME: Final = 315_532_800
"""1980-01-01 in UTC, the first day that zip can write: extracted files have a date that no system refuses."""
_HEADER: Final = struct.Struct("100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12x")
_CHECKSUM: Final = slice(148, 156)
_KINDS: Final = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder of its own",
    b"6": "a pipe",
    b"x": "an extended header",
    b"g": "an extended header",
    b"L": "an extended header",
    b"K": "an extended header",
}


def encode(members: Iterable[Member]) -> bytes:
    """The archive of these files, in this order; the names have passed `names.objection`."""
    parts = []
    for member in members:
        parts += [_header(member), member.content, bytes(-len(member.content) % _RECORD)]
    return _stored(b"".join([*parts, _END]))


def decode(data: bytes) -> list[Member]:
    """The files of an archive; raises BundleError for anything that `encode` does not write."""
    tar = _unstored(data)
    members = []
    place = 0
    while tar[place : place + _RECORD] != _END[:_RECORD]:
        member = _member(tar, place)
        members.append(member)
        if len(members) > MAX_FILES:
            raise BundleError(f"the archive holds more than {MAX_FILES} files", REPACKED)
        place += _RECORD + len(member.content) + -len(member.content) % _RECORD
    if tar[place:] != _END:
        raise BundleError(f"the tar archive ends at byte {place}, and more or less than its end follows", REPACKED)
    return members


def _header(member: Member) -> bytes:
    fields = names.tar_fields(member.path.encode("utf-8"))
    if fields is None:
        raise ValueError("a name that tar cannot hold has passed the check of names")
    head = bytearray(
        _HEADER.pack(
            fields[1],
            b"%07o\0" % member.mode,
            *(b"%07o\0" % 0, b"%07o\0" % 0),
            b"%011o\0" % len(member.content),
            b"%011o\0" % _MTIME,
            b" " * 8,
            b"0",
            b"",
            *(b"ustar\0", b"00"),
            *(b"", b""),
            *(b"%07o\0" % 0, b"%07o\0" % 0),
            fields[0],
        )
    )
    head[_CHECKSUM] = b"%06o\0 " % sum(head)
    return bytes(head)


def _member(tar: bytes, place: int) -> Member:
    head = tar[place : place + _RECORD]
    if len(head) < _RECORD:
        raise BundleError(f"the tar archive breaks off at byte {place}", REPACKED)
    if head[_CHECKSUM] != b"%06o\0 " % (sum(head) - sum(head[_CHECKSUM]) + 8 * ord(" ")):
        raise BundleError(f"the tar header at byte {place} does not have its own checksum", REPACKED)
    name, mode, _uid, _gid, size_text, _mtime, _sum, kind, *_middle, prefix = _HEADER.unpack(head)
    path = _path(prefix, name, place)
    if kind != b"0":
        raise BundleError(f"{named(path)} is {_KINDS.get(kind, 'no plain file')}, and a bundle holds files", REPACKED)
    if objection := names.objection(path):
        raise BundleError(f"{named(path)} cannot be a file's name: {objection}", REPACKED)
    size = _octal(size_text, path)
    bounded(path, size)
    start = place + _RECORD
    member = Member(path, tar[start : start + size], _octal(mode, path))
    if len(member.content) < size:
        raise BundleError(f"{named(path)} breaks off: {size} bytes should be there", REPACKED)
    if _header(member) != head:
        raise BundleError(f"{named(path)} has an owner, a time or another mark that nlbgen does not write", REPACKED)
    if any(tar[start + size : start + size + -size % _RECORD]):
        raise BundleError(f"behind {named(path)} stands what is no part of it", REPACKED)
    return member


def _path(prefix: bytes, name: bytes, place: int) -> str:
    parts = [field.rstrip(b"\0") for field in (prefix, name)]
    try:
        return b"/".join(part for part in parts if part).decode("utf-8")
    except UnicodeDecodeError:
        raise BundleError(f"the name in the tar header at byte {place} is not UTF-8", REPACKED) from None


def _octal(field: bytes, path: str) -> int:
    text = field.rstrip(b"\0 ")
    if not text or set(text) - set(b"01234567"):
        raise BundleError(f"{named(path)} has a number in its tar header that is none", REPACKED)
    return int(text, 8)


# gzip with stored blocks


def _stored(data: bytes) -> bytes:
    parts = [_GZIP_HEADER]
    for start in range(0, max(len(data), 1), _BLOCK):
        block = data[start : start + _BLOCK]
        last = start + _BLOCK >= len(data)
        parts += [_STORED.pack(last, len(block), len(block) ^ 0xFFFF), block]
    return b"".join([*parts, _GZIP_END.pack(zlib.crc32(data), len(data) & 0xFFFFFFFF)])


def _unstored(data: bytes) -> bytes:
    if not data.startswith(_GZIP_HEADER[:3]):
        raise BundleError("this is not a gzip file", "name the file that `nlbgen bundle export` wrote")
    if not data.startswith(_GZIP_HEADER):
        raise BundleError("the gzip header holds a name, a time or a system, or is damaged", REPACKED)
    blocks, end = _blocks(data)
    tar = b"".join(blocks)
    if len(data) - end < _GZIP_END.size:
        raise BundleError("the gzip file breaks off before its checksum", REPACKED)
    if (zlib.crc32(tar), len(tar)) != _GZIP_END.unpack_from(data, end):
        raise BundleError("the content does not have the checksum of the gzip file", REPACKED)
    if len(data) - end > _GZIP_END.size:
        raise BundleError(f"something follows the gzip file at byte {end + _GZIP_END.size}", REPACKED)
    return tar


def _blocks(data: bytes) -> tuple[list[bytes], int]:
    """The contents of the stored blocks, and where the last one ends."""
    blocks = []
    place = len(_GZIP_HEADER)
    last: int = 0
    while not last:
        if len(data) - place < _STORED.size:
            raise BundleError(f"the gzip file breaks off at byte {place}", REPACKED)
        last, length, complement = _STORED.unpack_from(data, place)
        if last > 1:
            raise BundleError(f"byte {place} begins a compressed block, and bundles are stored", REPACKED)
        place += _STORED.size
        if length ^ complement != 0xFFFF or len(data) - place < length:
            raise BundleError(f"the stored block before byte {place} is damaged or breaks off", REPACKED)
        if not last and length != _BLOCK:
            raise BundleError(f"the stored block before byte {place} is shorter than nlbgen writes it", REPACKED)
        blocks.append(data[place : place + length])
        place += length
    return blocks, place
