"""The config files that a spec names, and those of them that are missing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..spec import walk
from ..spec.load import Spec, dotted
from ..spec.schema import Path as SpecPath
from .config import effective as configs

KEYS_FROM: Final[SpecPath] = ("keys", "from")


def named(spec: Spec) -> Iterator[tuple[SpecPath, Path]]:
    """Every config file that a spec names: the path of its key, and its path on this machine."""
    folder = Path(spec.name).parent
    for path, text in walk.files(spec.farm):
        if path[0] == "nodes" or path == KEYS_FROM:
            yield path, configs.local(folder, text)


def absences(spec: Spec) -> dict[SpecPath, str]:
    """The keys of a spec that name a missing file, each with a message without its location.

    For `check` a missing file is not an error: the nodes' files contain keys and are not copied to every machine.
    """
    return {path: f"{dotted(path)}: {file} does not exist" for path, file in named(spec) if not configs.is_there(file)}
