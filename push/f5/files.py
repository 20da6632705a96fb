"""Certificate files on the device: brought before a transaction, removed when nothing names them any more.

How a file is made or removed is the API's affair (see [`Store`][nlbgen.push.f5.files.Store]); when, is said here.
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
    """Where a device keeps certificate files, by one of its APIs."""

    def has(self, kind: str, path: str) -> bool:
        """Whether the file is there."""

    def listed(self, folder: str) -> Iterable[str]:
        """The paths of all files in a folder; none where the API cannot tell."""

    def bring(self, file: CertificateFile) -> bool:
        """Make a file; false where it was there already."""

    def remove(self, path: str) -> None:
        """Remove a file; raises RefusedError where something else names it."""

    def discard(self, file: CertificateFile) -> None:
        """Remove what may have been made of a file, and whatever was needed to make it."""


def named(state: State) -> set[str]:
    """The files that the farm's profiles name: while they are named, they are there."""
    return {path for (kind, _), values in state.found.items() if kind in _PROFILES for _, path in _files_of(values)}


def replaced(before: State, after: State) -> set[str]:
    """The files that were named by profiles which are there still: those of a profile that went are not replaced."""
    return named(before._replace(found={key: values for key, values in before.found.items() if key in after.found}))


def _files_of(values: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    """The kind and path of each file that properties name."""
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
    """Make the files that are not there; what may have been made is in `made`, even where this fails midway."""
    for file in files:
        if file.path in there:
            continue
        say(f"{device}: {file.kind} {file.path}")
        made.append(file)
        if not store.bring(file):
            # The name says what is in it: the one that is there holds the same.
            made.remove(file)


def take_back(made: Iterable[CertificateFile], store: Store) -> None:
    """Remove the files of a push that failed; that the device may be gone is no further error."""
    for file in made:
        with contextlib.suppress(DeviceError):
            store.discard(file)


def remove_unnamed(
    farm: Farm, candidates: Iterable[str], kept: set[str], store: Store, say: Callable[[str], None]
) -> bool:
    """Remove files of this farm's earlier pushes that are not kept; whether one was removed."""
    removed = False
    for path in sorted(path for path in {*candidates} - kept if is_own(farm, path)):
        try:
            store.remove(path)
        except RefusedError as error:
            # One that something else names stays: the device does not let it go.
            if error.status != 404:
                say(f"{error.message}: {path} stays")
        else:
            removed = True
    return removed


class Certified(NamedTuple):
    """Objects to bring back, with files that the device has."""

    objects: tuple[Object, ...]
    kept: tuple[Object, ...]
    """Those that keep a certificate of today, because that of then is gone."""
    lost: tuple[tuple[Object, str], ...]
    """Those that cannot come back, and the missing file."""


def certified(wanted: Sequence[Object], state: State, store: Store) -> Certified:
    """The objects with the files of then where those are there still, else with today's."""
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
    """Why these objects cannot be brought back."""
    for one, path in found.lost:
        yield DeviceError(
            f"{device}: {one.kind} {one.path} used {path}, which is no longer on the device",
            "a snapshot contains no certificates: push the earlier spec instead, which uploads them",
        )


def tell(device: str, found: Certified, say: Callable[[str], None], told: set[str]) -> None:
    """Say which profiles keep their certificate; what was told stays in `told`, and is not said again."""
    for one in found.kept:
        line = f"{device}: {one.kind} {one.path} keeps its current certificate: the earlier one was removed"
        if line not in told:
            told.add(line)
            say(line)


def _missing(values: Mapping[str, Value], there: set[str], store: Store) -> str:
    """The first file that these properties name and the device has not."""
    return next((path for kind, path in _files_of(values) if path not in there and not store.has(kind, path)), "")
