"""Read a foreign configuration for the lab."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ...core.errors import FileError, UsageError
from ...core.files import read_bytes
from ...core.wording import one_of
from .haproxy import HaproxyFile
from .maps import Maps
from .nginx import NginxFile
from .plan import Foreign

_READERS: Final[Mapping[str, Callable[[Path, bytes, str | None, Maps], Foreign]]] = {
    "haproxy": HaproxyFile,
    "nginx": NginxFile,
}


def foreign(vendor: str, file: Path, host: str | None = None, maps: Maps | None = None) -> Foreign:
    """Return the configuration, ready to be mapped; `host` is the name that the lab's clients request.

    `maps` are the folders of the live machine that are elsewhere on this one.

    Raises FileError, UnreadableError, and UnmappableError with all parts that cannot run.
    """
    reader = _READERS.get(vendor)
    if reader is None:
        raise UsageError(f"--config does not run a configuration of {vendor}", f"use it with {one_of(list(_READERS))}")
    content = read_bytes(file)
    if content is None:
        raise FileError(f"{file}: there is no such file", "check the path")
    return reader(file, content, host, maps or Maps())
