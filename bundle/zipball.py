"""`.zip`, written and read in one form only: stored, without extra fields, without comments.

Nothing is compressed, for the reason in `tarball`. The standard library writes and reads the archive. This module sets
the fields that the library does not set, and refuses archives that it tolerates. Source: PKWARE's APPNOTE.TXT 6.3.10,
sections 4.3 and 4.4.
"""

import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from . import names
from .members import MAX_FILES, MODES, REPACKED, BundleError, Member, bounded, named

_LOCAL_MARK: Final = b"PK\3\4"
_END_MARK: Final = b"PK\5\6"
_ZIP64_MARK: Final = b"PK\6\7"
_ZIP64_LOCATOR: Final = 20
_END: Final = struct.Struct("<4s4H2IH")
_LOCAL_SIZE: Final = 30
_LISTED_SIZE: Final = 46
"""Bytes of a local header and of an entry of the central directory, without the name."""
_UNIX: Final = 3
"""The system of the archive's creator, the same on every machine: only with it, the upper half of the attributes is the
mode.
"""
_UTF8: Final = struct.pack("<H", 1 << 11)
"""The flags of every file: its name is UTF-8."""
_FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)
"""The first day that zip can write."""
_UNREADABLE: Final = (zipfile.BadZipFile, zipfile.LargeZipFile, struct.error, EOFError, ValueError, RuntimeError)
"""What `zipfile` raises for a damaged archive; the last two include UnicodeDecodeError and NotImplementedError."""


def encode(members: Iterable[Member]) -> bytes:
    """Return the archive of these files, in this order; the names have passed `names.objection`."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w") as whole:
        warnings.simplefilter("ignore", UserWarning)  # two files of one name: `archive` refuses them
        for member in members:
            whole.writestr(_info(member), member.content)
    return _flagged(out.getbuffer(), whole)


def decode(data: bytes) -> list[Member]:
    """Return the files of an archive; raises BundleError for a damaged archive, and for entries that are not plain
    files.

    `archive.unpacked` finds all other differences from `encode`, because it compares the bytes.
    """
    if not data.startswith((_LOCAL_MARK, _END_MARK)):
        raise BundleError("this is not a zip file", "give the file that `nlbgen bundle export` wrote")
    start = _start_of_list(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as whole:
            infos = whole.infolist()
            _refuse(infos, start)
            return list(_members(whole, infos))
    except _UNREADABLE as error:
        raise BundleError(f"the zip file is damaged: {_text(error)}", REPACKED) from None


def _info(member: Member) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(date_time=_FIRST_DAY)
    info.filename = member.path  # the constructor would change some names
    info.create_system = _UNIX
    info.external_attr = (stat.S_IFREG | member.mode) << 16
    return info


def _flagged(data: memoryview, whole: zipfile.ZipFile) -> bytes:
    """Return the archive with the flag for UTF-8 on every name: `zipfile` sets it only where a name is not ASCII."""
    place = whole.start_dir
    for info in whole.infolist():
        data[info.header_offset + 6 : info.header_offset + 8] = _UTF8
        data[place + 8 : place + 10] = _UTF8
        place += _LISTED_SIZE + len(info.filename.encode("utf-8"))
    return bytes(data)


def _start_of_list(data: bytes) -> int:
    """Return where the central directory begins; raises BundleError before `zipfile` reads one that is too long."""
    place = len(data) - _END.size
    if place < 0 or data[place : place + 4] != _END_MARK:
        raise BundleError("the zip file is truncated, has a comment, or is followed by other data", REPACKED)
    _mark, disk, first_disk, here, count, size, start, comment = _END.unpack_from(data, place)
    zip64 = data[: max(place - _ZIP64_LOCATOR, 0) + 4].endswith(_ZIP64_MARK)
    if disk or first_disk or here != count or comment or zip64:
        raise BundleError("the end record of the zip file refers to other parts or to a comment", REPACKED)
    if start + size != place:
        raise BundleError("the central directory of the zip file is not where its end record says", REPACKED)
    if count > MAX_FILES or size > MAX_FILES * (_LISTED_SIZE + names.LONGEST):
        raise BundleError(f"the archive contains more than {MAX_FILES} files", REPACKED)
    return int(start)


def _refuse(infos: Sequence[zipfile.ZipInfo], end: int) -> None:
    """Raise BundleError for anything but plain, stored files that follow each other without a gap up to `end`."""
    place = 0
    for info in infos:
        path = info.orig_filename
        _refuse_kind(path, info.external_attr >> 16)
        if objection := names.objection(path):
            raise BundleError(f"{named(path)} is not a valid file name: {objection}", REPACKED)
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise BundleError(f"{named(path)} is compressed or encrypted; the files of a bundle are not", REPACKED)
        bounded(path, info.file_size)
        if info.header_offset != place:
            break
        place += _LOCAL_SIZE + len(path.encode("utf-8")) + info.file_size
    if place != end:
        raise BundleError(f"the zip file contains data that belongs to no file, from byte {place} on", REPACKED)


def _refuse_kind(path: str, mode: int) -> None:
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFLNK:
        raise BundleError(f"{named(path)} is a symbolic link; a bundle contains only regular files", REPACKED)
    if kind != stat.S_IFREG:
        raise BundleError(f"{named(path)} is not a regular file; a bundle contains only regular files", REPACKED)
    if stat.S_IMODE(mode) not in MODES:
        raise BundleError(f"{named(path)} has the mode {stat.S_IMODE(mode):04o}, not 0644 or 0600", REPACKED)


def _members(whole: zipfile.ZipFile, infos: Sequence[zipfile.ZipInfo]) -> Iterator[Member]:
    """The files; `zipfile` compares each name with that of the local header, and each content with its checksum."""
    for info in infos:
        path = info.orig_filename
        try:
            content = whole.read(info)
        except _UNREADABLE as error:
            message = f"{named(path)} is damaged, or its entry in the central directory differs: {_text(error)}"
            raise BundleError(message, REPACKED) from None
        yield Member(path, content, stat.S_IMODE(info.external_attr >> 16))


def _text(error: Exception) -> str:
    """Return the error's message, printable for every content of the archive."""
    return ascii(str(error))[1:-1]
