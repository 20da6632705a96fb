"""Certificate files on the device: created before a transaction, removed when no object uses them.

Each API creates and removes files in its own way (see [`Store`][nlbgen.push.f5.files.Store]); this module decides when.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from ...core.errors import DeviceError
from ...generators.f5.generator import references
from ...generators.f5.vocabulary import Object, Value
from ...spec.model import Farm
from ..errors import RefusedError
from .certificates import CertificateFile, is_own
from .plan import State

_PROFILES: Final = frozenset({"ltm profile client-ssl", "ltm profile server-ssl"})
_FILES: Final = frozenset({"cert", "key", "chain", "ca-file"})
_CERTIFIED: Final = ("cert-key-chain", "ca-file")
"""The properties of profiles that name files."""


class Store(Protocol):
    """The certificate files of a device, by one of its APIs."""

    def has(self, kind: str, path: str) -> bool:
        """Whether the file exists."""

    def listed(self, folder: str) -> Iterable[str]:
        """The paths of all files in a folder."""

    def try_upload(self, files: Iterable[CertificateFile]) -> None:
        """Raise RefusedError if the user may not create files; nothing is created."""

    def bring(self, file: CertificateFile) -> bool:
        """Create a file; return False if it existed already."""

    def remove(self, path: str) -> None:
        """Remove a file; raises RefusedError if an object uses it."""

    def discard(self, file: CertificateFile) -> None:
        """Remove a file that was perhaps created, and its upload."""


def named(state: State) -> set[str]:
    """Return the files that the farm's profiles use; therefore, these files exist."""
    return {path for (kind, _), values in state.found.items() if kind in _PROFILES for _, path in _files_of(values)}


def _files_of(values: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    """Yield the kind and path of each file that the properties refer to."""
    for key, path in references(values):
        if key in _FILES and path != "none":
            yield f"sys file ssl-{'key' if key == 'key' else 'cert'}", path


def bring(
    device: str,
    files: Iterable[CertificateFile],
    there: set[str],
    made: list[CertificateFile],
    say: Callable[[str], None],
    store: Store,
) -> None:
    """Create the missing files. `made` contains each file that was perhaps created, also after a failure."""
    for file in files:
        if file.path in there:
            continue
        say(f"{device}: {file.kind} {file.path}")
        made.append(file)
        if not store.bring(file):
            # The name contains a hash of the content, so the existing file has the same content.
            made.remove(file)


def take_back(made: Iterable[CertificateFile], store: Store) -> None:
    """Remove the files of a failed push. An unreachable device is not another error."""
    for file in made:
        with contextlib.suppress(DeviceError):
            store.discard(file)


class Removal(NamedTuple):
    """What became of unused files."""

    removed: bool
    """Whether a file was removed."""
    left: bool
    """Whether the device refused to remove a file."""


def remove_unnamed(
    farm: Farm, candidates: Iterable[str], kept: set[str], store: Store, say: Callable[[str], None]
) -> Removal:
    """Remove files of earlier pushes of this farm, among the candidates, that are not in `kept`."""
    removed = left = False
    for path in sorted(path for path in {*candidates} - kept if is_own(farm, path)):
        try:
            store.remove(path)
        except RefusedError as error:
            # If another object uses the file, the device refuses to remove it.
            if error.status != 404:
                say(f"{error.message}: {path} stays; the next push tries again")
                left = True
        else:
            removed = True
    return Removal(removed, left)


class Certified(NamedTuple):
    """The objects to restore, with certificate files that the device has."""

    objects: tuple[Object, ...]
    kept: tuple[Object, ...]
    """Objects that keep their current certificate, because the earlier one is no longer on the device."""
    lost: tuple[tuple[Object, str], ...]
    """Objects that cannot be restored, each with its missing file."""


def certified(wanted: Sequence[Object], state: State, store: Store) -> Certified:
    """Return the objects to restore with their earlier files, or with the current files if the earlier ones are
    missing.
    """
    there = named(state)
    made: list[Object] = []
    kept: list[Object] = []
    lost: list[tuple[Object, str]] = []
    for one in wanted:
        today = state.found.get((one.kind, one.path), {})
        properties = dict(one.properties)
        for key in _CERTIFIED:
            missing = _missing({key: properties[key]}, there, store) if key in properties else ""
            if missing and today.get(key, "none") in ("none", {}):
                lost.append((one, missing))
            elif missing:
                properties[key] = today[key]
        changed = Object(one.kind, one.path, properties)
        if properties != one.properties:
            kept.append(changed)
        made.append(changed)
    return Certified(tuple(made), tuple(kept), tuple(lost))


def lost(device: str, found: Certified) -> Iterator[DeviceError]:
    """Yield an error for each object that cannot be restored."""
    for one, path in found.lost:
        yield DeviceError(
            f"{device}: {one.kind} {one.path} used {path}, which is no longer on the device",
            "a snapshot contains no certificates: push the earlier spec instead, which uploads them",
        )


def tell(device: str, found: Certified, say: Callable[[str], None], told: set[str]) -> None:
    """Print which profiles keep their certificate; `told` prevents a second line for the same profile."""
    for one in found.kept:
        line = f"{device}: {one.kind} {one.path} keeps its current certificate: the earlier one was removed"
        if line not in told:
            told.add(line)
            say(line)


def _missing(values: Mapping[str, Value], there: set[str], store: Store) -> str:
    """Return the first file of these properties that is missing on the device; empty if there is none."""
    return next((path for kind, path in _files_of(values) if path not in there and not store.has(kind, path)), "")
