"""Read a foreign configuration for the lab."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ...core.errors import UsageError
from ...core.files import is_folder
from ...core.wording import one_of
from ...readers.load import contents_together
from .haproxy import HaproxyFile
from .maps import Maps
from .nginx import NginxFile
from .plan import Foreign, names_of

_VENDORS: Final = ("haproxy", "nginx")


def foreign(vendor: str, files: Sequence[Path], host: str | None = None, maps: Maps | None = None) -> Foreign:
    """Return the configuration, ready to be mapped; `host` is the name that the lab's clients request.

    Several files, and those of a folder, are one configuration, as HAProxy reads them with several `-f`. `maps` are
    the folders of the live machine that are elsewhere on this one.

    Raises FileError, UnreadableError, UsageError, and UnmappableError with all parts that cannot run.
    """
    if vendor not in _VENDORS:
        raise UsageError(f"--config does not run a configuration of {vendor}", f"use it with {one_of(_VENDORS)}")
    if vendor == "haproxy":
        return HaproxyFile(contents_together([*dict.fromkeys(files)]), host, maps)
    if len(files) > 1 or is_folder(files[0]):
        raise UsageError(
            f"{names_of(files)}: --config takes one nginx.conf",
            "give the main file: nlbgen reads the files that it includes",
        )
    ((file, content),) = contents_together(files)
    return NginxFile(file, content, host, maps)
