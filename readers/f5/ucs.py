"""The configuration files in a UCS archive: a tar file, usually compressed, which is read in memory only."""

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Final, cast

from ...core.errors import FileError

_FILES: Final = re.compile(r"(?:\./)?(?:var/tmp/)?config/(?:partitions/[^/]+/)?bigip(?:_base|_script)?\.conf")
"""The configuration of the system (`_base`), of /Common, and of each partition."""
LARGEST: Final = 64 * 1024**2
"""The most bytes of one configuration file."""
LARGEST_ARCHIVE: Final = 1024**3
"""The most bytes of the archive when it is not compressed: a UCS has certificates, images and databases too."""
_GZIP: Final = b"\x1f\x8b"
_ENCRYPTED: Final = (b"Salted__", b"\x85", b"\x8c")
"""OpenSSL's mark, and the first byte of an OpenPGP message."""


class _TooLargeError(Exception):
    """The archive is larger than the limit; the argument says which limit."""


class _Bounded:
    """A stream that ends with an error after LARGEST_ARCHIVE bytes."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        self.stream = stream
        self.left = LARGEST_ARCHIVE

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        found = self.stream.read(size)
        self.left -= len(found)
        if self.left < 0:
            raise _TooLargeError(f"it has more than {LARGEST_ARCHIVE // 1024**2} MB")
        return found


def is_archive(content: bytes) -> bool:
    """Whether the content can be a UCS archive, encrypted or not."""
    return content.startswith((_GZIP, *_ENCRYPTED)) or content[257:262] == b"ustar"


def members(name: str, content: bytes) -> dict[str, bytes]:
    """Return the configuration files by their paths in the archive, sorted; raises FileError.

    Links and devices in the archive are not followed.
    """
    if content.startswith(_ENCRYPTED):
        raise FileError(f"{name}: the archive is encrypted", "save it without a passphrase: tmsh save sys ucs NAME")
    try:
        found = dict(sorted(_read(content)))
    except _TooLargeError as error:
        raise FileError(f"{name}: {error}", "give the file config/bigip.conf of the archive") from None
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise FileError(f"{name}: not an intact archive: {error}", "save the UCS archive again") from None
    if not found:
        raise FileError(f"{name}: no config/bigip.conf in the archive", "give a UCS archive of a BIG-IP")
    return found


def _read(content: bytes) -> Iterator[tuple[str, bytes]]:
    stream: IO[bytes] | gzip.GzipFile = BytesIO(content)
    if content.startswith(_GZIP):
        stream = gzip.GzipFile(fileobj=BytesIO(content))
    with tarfile.open(fileobj=cast("IO[bytes]", _Bounded(stream)), mode="r|") as archive:
        for member in archive:
            if not member.isreg() or not _FILES.fullmatch(member.name):
                continue
            if member.size > LARGEST:
                raise _TooLargeError(f"{member.name} has more than {LARGEST // 1024**2} MB")
            # It is a regular file, so that this is not None.
            file = cast("IO[bytes]", archive.extractfile(member))
            yield member.name.removeprefix("./"), file.read()
