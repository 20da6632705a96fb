"""The settings of the packages' storage: on the node's own disk, or on a share that all nodes reach.

Source: UiPath's Install-UiPathOrchestrator.ps1.
"""

import re
from collections.abc import Iterator
from typing import Final

from .config.effective import Config
from .config.settings import Setting

SETTINGS: Final = (
    "Storage.Type",
    "Storage.Location",
    "NuGet.Packages.Path",
    "NuGet.Activities.Path",
    "NuGet.Repository.Type",
    "packagesPath",
)
_LOCAL_PATH: Final = re.compile(r"(?:RootPath=)?\s*(?:[A-Za-z]:[\\/]|~|\.|[^\\/;=]+\Z)")
_SHARED_PATH: Final = re.compile(r"(?:RootPath=)?\s*\\\\[^;=]+\Z")
"""A UNC path: no other form is cloned, because cloud storage has secrets in its location."""


def local(config: Config) -> Iterator[tuple[str, Setting]]:
    """The settings that store packages on the node's own disk, where other nodes cannot read them, by their names."""
    local_type = (config.app.value("Storage.Type") or "FileSystem").lower() == "filesystem"
    for name in ("Storage.Location", "NuGet.Packages.Path", "NuGet.Activities.Path", "packagesPath"):
        entry = config.app.get(name)
        if entry is not None and local_type and _LOCAL_PATH.match(entry.value.strip().strip('"')):
            yield name, entry


def shared(primary: Config) -> dict[str, str]:
    """The settings of a package share that the first node uses, by their names; empty if it uses none."""
    found = {name: entry.value for name in SETTINGS if (entry := primary.app.get(name)) is not None}
    local = found.get("Storage.Type", "FileSystem").lower() == "filesystem"
    shares = {name for name, value in found.items() if local and _SHARED_PATH.match(value.strip().strip('"'))}
    kinds = {"Storage.Type", "NuGet.Repository.Type"} if shares else set()
    return {name: value for name, value in found.items() if name in shares | kinds}
