"""The formats of archives, and the check that an archive has exactly the bytes that nlbgen writes."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ..core.errors import FileError, UsageError
from ..core.files import content, hint_for
from ..core.wording import one_of
from . import names, tarball, zipball
from .members import MAX_ARCHIVE, MAX_FILE, MAX_FILES, MODES, REPACKED, BundleError, Member, named


class Format(NamedTuple):
    """One kind of archive."""

    encode: Callable[[Iterable[Member]], bytes]
    decode: Callable[[bytes], list[Member]]


FORMATS: Final = {
    ".tar.gz": Format(tarball.encode, tarball.decode),
    ".tgz": Format(tarball.encode, tarball.decode),
    ".zip": Format(zipball.encode, zipball.decode),
}


def format_of(path: Path) -> Format:
    """Return the format of the archive by the ending of its name; raises UsageError."""
    for ending, found in FORMATS.items():
        if path.name.lower().endswith(ending):
            return found
    raise UsageError(f"{path} is not the name of a bundle", f"the name must end with {one_of(tuple(FORMATS))}")


def packed(members: Iterable[Member], chosen: Format) -> bytes:
    """Return the archive of these files, in the order of their names: the same files give the same bytes everywhere.

    Raises BundleError for a file that some system could not read back.
    """
    ordered = sorted(members, key=lambda member: member.path.encode("utf-8"))
    _refuse(ordered, "rename its source: a node, or a file that a node's config names")
    return chosen.encode(ordered)


def read(path: Path) -> bytes:
    """Return the archive's bytes, at most `MAX_ARCHIVE` of them; raises FileError or BundleError."""
    try:
        data = content(path, MAX_ARCHIVE)
    except OSError as error:
        hint = hint_for(error, "check its name and permissions")
        raise FileError(f"{path}: cannot be read: {error.strerror}", hint) from None
    except ValueError as error:
        raise FileError(f"{path}: cannot be read: {error}", "check its name") from None
    if len(data) > MAX_ARCHIVE:
        raise BundleError(f"the archive is larger than {MAX_ARCHIVE} bytes", "this is not a bundle")
    return data


def unpacked(data: bytes, chosen: Format) -> list[Member]:
    """Return the files of an archive; raises BundleError for every archive that `packed` does not write.

    The files are packed again and the bytes compared, so that no bit is left unchecked.
    """
    members = chosen.decode(data)
    _refuse(members, REPACKED)
    paths = [member.path.encode("utf-8") for member in members]
    if paths != sorted(paths):
        raise BundleError("the files are not sorted by name", REPACKED)
    if chosen.encode(members) != data:
        raise BundleError("the archive contains bytes that belong to no file", REPACKED)
    return members


def _refuse(members: Sequence[Member], hint: str) -> None:
    for member in members:
        if objection := names.objection(member.path):
            raise BundleError(f"{named(member.path)} is not a valid file name: {objection}", hint)
        if member.mode not in MODES:
            raise BundleError(f"{named(member.path)} has the mode {member.mode:04o}, not 0644 or 0600", hint)
        if len(member.content) > MAX_FILE:
            raise BundleError(f"{named(member.path)} is larger than {MAX_FILE} bytes", "split the farm")
    if collision := next(names.collisions(member.path for member in members), None):
        raise BundleError(collision, hint)
    if len(members) > MAX_FILES or sum(len(member.content) for member in members) > MAX_ARCHIVE * 3 // 4:
        raise BundleError(
            f"a bundle contains at most {MAX_FILES} files with {MAX_ARCHIVE * 3 // 4} bytes in total", "split the farm"
        )
