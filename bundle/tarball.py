"""`.tar.gz`, written and read in one form only: POSIX tar (ustar) in gzip with stored blocks.

Compressors of other versions and makes (zlib, zlib-ng) give other bytes for the same input, so nothing is compressed:
the form then leaves no choice open, and every bit of an archive can be checked. It also cannot be a bomb. The standard
library writes and reads the headers of tar; the gzip frame with stored blocks is written here.
Sources: POSIX.1-2017, pax, "ustar Interchange Format"; RFC 1951 (deflate), 3.2.4; RFC 1952 (gzip).
"""

import struct
import tarfile
import zlib
from collections.abc import Iterable
from typing import Final

from . import names
from .members import MAX_FILES, REPACKED, BundleError, Member, bounded, named

_GZIP_HEADER: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
"""Deflate; no flags, so no name; no time; no extra flags; the system is 255, "unknown"."""
_GZIP_END: Final = struct.Struct("<II")
_STORED: Final = struct.Struct("<BHH")
"""The head of a stored block: a flag for the last block, the length, and its complement."""
_BLOCK: Final = 65535
_COMPRESSED: Final = 0b110
"""The bits of a block's first byte that are 0 in a stored block."""

_END: Final = bytes(2 * tarfile.BLOCKSIZE)
_MTIME: Final = 315_532_800
"""1980-01-01 in UTC, the first day that zip can write: extracted files have a date that no system refuses."""
_CHECKSUM: Final = slice(148, 156)
_DEVICE: Final = slice(329, 345)
_NO_DEVICE: Final = b"0000000\0" * 2
"""What the header's fields of a device hold: versions of Python write zeros or nothing there for a plain file."""
_KINDS: Final = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.DIRTYPE: "a folder",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.XHDTYPE: "an extended header",
    tarfile.XGLTYPE: "an extended header",
    tarfile.GNUTYPE_LONGNAME: "an extended header",
    tarfile.GNUTYPE_LONGLINK: "an extended header",
}


def encode(members: Iterable[Member]) -> bytes:
    """Return the archive of these files, in this order; the names have passed `names.objection`."""
    parts = []
    for member in members:
        parts += [_header(member), member.content, _padding(len(member.content))]
    return _stored(b"".join([*parts, _END]))


def decode(data: bytes) -> list[Member]:
    """Return the files of an archive; raises BundleError for anything that `encode` does not write."""
    tar = _unstored(data)
    members = []
    place = 0
    while tar[place : place + tarfile.BLOCKSIZE] != _END[: tarfile.BLOCKSIZE]:
        member = _member(tar, place)
        members.append(member)
        if len(members) > MAX_FILES:
            raise BundleError(f"the archive contains more than {MAX_FILES} files", REPACKED)
        place += tarfile.BLOCKSIZE + len(member.content) + len(_padding(len(member.content)))
    if tar[place:] != _END:
        raise BundleError(f"the tar archive ends at byte {place}, but no end-of-archive blocks follow", REPACKED)
    return members


def _padding(size: int) -> bytes:
    """The zeros that fill the last block of a file of so many bytes."""
    return bytes(-size % tarfile.BLOCKSIZE)


def _header(member: Member) -> bytes:
    info = tarfile.TarInfo(member.path)
    info.mode, info.size, info.mtime = member.mode, len(member.content), _MTIME
    head = bytearray(info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict"))
    head[_DEVICE] = _NO_DEVICE
    head[_CHECKSUM] = b" " * 8
    head[_CHECKSUM] = b"%06o\0 " % sum(head)
    return bytes(head)


def _member(tar: bytes, place: int) -> Member:
    head = tar[place : place + tarfile.BLOCKSIZE]
    info = _info(head, place)
    path = info.name
    if info.type != tarfile.REGTYPE:
        kind = _KINDS.get(info.type, "not a regular file")
        raise BundleError(f"{named(path)} is {kind}; a bundle contains only regular files", REPACKED)
    if objection := names.objection(path):
        raise BundleError(f"{named(path)} is not a valid file name: {objection}", REPACKED)
    bounded(path, info.size)
    start = place + tarfile.BLOCKSIZE
    end = start + info.size
    member = Member(path, tar[start:end], info.mode)
    if len(member.content) < info.size:
        raise BundleError(f"{named(path)} is truncated: it should have {info.size} bytes", REPACKED)
    if _header(member) != head:
        marks = "an owner, a time or another header field"
        raise BundleError(f"{named(path)} has {marks} that nlbgen does not write", REPACKED)
    if any(tar[end : end + len(_padding(info.size))]):
        raise BundleError(f"the padding after {named(path)} contains data", REPACKED)
    return member


def _info(head: bytes, place: int) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(head, "utf-8", "strict")
    except tarfile.TarError as error:
        message = f"the tar archive is truncated, damaged or contains an invalid number at byte {place}: {error}"
        raise BundleError(message, REPACKED) from None
    except UnicodeDecodeError:
        raise BundleError(f"the name in the tar header at byte {place} is not UTF-8", REPACKED) from None


# gzip with stored blocks


def _stored(data: bytes) -> bytes:
    parts = [_GZIP_HEADER]
    for start in range(0, max(len(data), 1), _BLOCK):
        block = data[start : start + _BLOCK]
        last = start + _BLOCK >= len(data)
        parts += [_STORED.pack(last, len(block), len(block) ^ 0xFFFF), block]
    return b"".join([*parts, _GZIP_END.pack(zlib.crc32(data), len(data) & 0xFFFFFFFF)])


def _unstored(data: bytes) -> bytes:
    """The content of a gzip file; raises BundleError for anything that `_stored` does not write."""
    if not data.startswith(_GZIP_HEADER[:3]):
        raise BundleError("this is not a gzip file", "give the file that `nlbgen bundle export` wrote")
    if not data.startswith(_GZIP_HEADER):
        raise BundleError(
            "the gzip header contains a file name, a time or an operating system, or is damaged", REPACKED
        )
    if any(first & _COMPRESSED for first in data[len(_GZIP_HEADER) : len(_GZIP_HEADER) + 1]):
        raise BundleError("the gzip file is compressed; a bundle is not", REPACKED)
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS + 16)
    try:
        content = reader.decompress(data, len(data))  # stored blocks hold less than the file
    except zlib.error as error:
        raise BundleError(f"the gzip file is damaged: {error}", REPACKED) from None
    if not reader.eof:
        raise BundleError("the gzip file is truncated or compressed", REPACKED)
    if reader.unused_data:
        place = len(data) - len(reader.unused_data)
        raise BundleError(f"there is data after the end of the gzip file, at byte {place}", REPACKED)
    if _stored(content) != data:
        raise BundleError(
            "the gzip file has blocks that are compressed or too short: nlbgen does not write such blocks", REPACKED
        )
    return content
