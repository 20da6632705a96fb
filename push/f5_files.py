"""Certificate files on the device: brought before a transaction, removed when nothing names them any more.

How a file is made or removed is the API's affair; when, is said here.
"""

import contextlib
from collections.abc import Callable, Iterable
from typing import Final

from ..errors import DeviceError
from ..generators.f5 import references
from ..spec.model import Farm
from .f5_certificates import CertificateFile, is_own
from .f5_plan import State
from .icontrol import RefusedError

_PROFILES: Final = frozenset({"ltm profile client-ssl", "ltm profile server-ssl"})
_PROPERTIES: Final = frozenset({"cert", "key", "chain", "ca-file"})


def named(state: State) -> set[str]:
    """The files that the farm's profiles name: while they are named, they are there."""
    return {
        path
        for (kind, _), values in state.found.items()
        if kind in _PROFILES
        for key, path in references(values)
        if key in _PROPERTIES and path != "none"
    }


def bring(
    device: str,
    files: Iterable[CertificateFile],
    there: set[str],
    made: list[CertificateFile],
    say: Callable[[str], None],
    make: Callable[[CertificateFile], bool],
) -> None:
    """Make the files that are not there; what may have been made is in `made`, even where this fails midway."""
    for file in files:
        if file.path in there:
            continue
        say(f"{device}: {file.kind} {file.path}")
        made.append(file)
        if not make(file):
            # The name says what is in it: the one that is there holds the same.
            made.remove(file)


def take_back(made: Iterable[CertificateFile], remove: Callable[[str], None]) -> None:
    """Remove the files of a push that failed; that the device may be gone is no further error."""
    for file in made:
        with contextlib.suppress(DeviceError):
            remove(file.path)


def remove_old(farm: Farm, before: set[str], files: Iterable[CertificateFile], remove: Callable[[str], None]) -> None:
    """Remove the files of earlier pushes that the profiles named until now."""
    kept = {file.path for file in files}
    for path in sorted(before - kept) if kept else ():
        if is_own(farm, path):
            with contextlib.suppress(RefusedError):
                # One that something else names stays: the device does not let it go.
                remove(path)
