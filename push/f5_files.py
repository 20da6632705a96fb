"""Certificate files on the device: brought before a transaction, removed when nothing names them any more."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ..errors import DeviceError
from ..generators.f5 import references
from ..spec.model import Farm
from .f5_certificates import CertificateFile, is_own
from .f5_plan import State
from .icontrol import Device, RefusedError, path_of

DOWNLOADS: Final = "/var/config/rest/downloads"
_PROFILES: Final = frozenset({"ltm profile client-ssl", "ltm profile server-ssl"})
_PROPERTIES: Final = frozenset({"cert", "key", "chain", "ca-file"})


@contextlib.contextmanager
def already_there() -> Iterator[None]:
    """What is asked for twice is there once."""
    try:
        yield
    except RefusedError as error:
        if error.status != 409:
            raise


def named(state: State) -> set[str]:
    """The files that the farm's profiles name: while they are named, they are there."""
    return {
        path
        for (kind, _), values in state.found.items()
        if kind in _PROFILES
        for key, path in references(values)
        if key in _PROPERTIES and path != "none"
    }


def absent(device: Device, files: Iterable[CertificateFile]) -> list[CertificateFile]:
    """The files that are not on the device."""
    return [
        file for file in files if device.look(path_of(file.kind, file.path), f"{file.kind} {file.path}").status == 404
    ]


def bring(
    device: Device,
    files: Iterable[CertificateFile],
    there: set[str],
    made: list[CertificateFile],
    say: Callable[[str], None],
) -> None:
    """Upload what is not there and make it a file object; what was made is added to `made` as it comes."""
    wanted = [file for file in files if file.path not in there]
    for file in wanted:
        say(f"{device.login.name}: {file.kind} {file.path}")
        _upload(device, file, made)
    for file in wanted:
        if not file.kind.endswith("key"):
            continue
        # The upload's copy of a key must not stay in a folder that every administrator reads.
        command = {"command": "run", "utilCmdArgs": f"{DOWNLOADS}/{file.name}"}
        with contextlib.suppress(RefusedError):
            device.send("POST", "/mgmt/tm/util/unix-rm", command, f"the uploaded copy of {file.name}", again=True)


def _upload(device: Device, file: CertificateFile, made: list[CertificateFile]) -> None:
    device.upload(file.name, file.content)
    made.append(file)
    folder, _, name = file.path.rpartition("/")
    body = {"name": name, "partition": folder[1:], "sourcePath": f"file:{DOWNLOADS}/{name}"}
    try:
        device.send("POST", path_of(file.kind), body, f"{file.kind} {file.path}", again=True)
    except RefusedError as error:
        # The name says what is in it: one that is there holds the same.
        if error.status != 409:
            raise
        made.remove(file)


def take_back(device: Device, made: Iterable[CertificateFile]) -> None:
    """Remove the files of a push that failed; that the device may be gone is no further error."""
    for file in made:
        with contextlib.suppress(DeviceError):
            device.send("DELETE", path_of(file.kind, file.path), None, f"{file.kind} {file.path}", once=True)


def remove_old(device: Device, farm: Farm, before: set[str], files: Iterable[CertificateFile]) -> None:
    """Remove the files of earlier pushes that the profiles named until now."""
    kept = {file.path for file in files}
    if not kept:
        return
    for path in sorted(before - kept):
        if is_own(farm, path):
            kind = "sys file ssl-key" if path.endswith(".key") else "sys file ssl-cert"
            with contextlib.suppress(RefusedError):
                # One that something else names stays: the device does not let it go.
                device.send("DELETE", path_of(kind, path), None, f"{kind} {path}", again=True)
