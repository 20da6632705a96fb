"""A push by iControl REST: one transaction, device-side validation, files by upload."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ....core.errors import DeviceError
from ....core.wording import plural
from ....spec.load import Spec
from ....spec.units import Version
from ...contract import Console, Options, OutcomeLost
from ...errors import RefusedError
from ..certificates import CertificateFile
from ..order import commands
from ..plan import State
from ..refusal import StillRunningError, TransactionError
from ..transactional import Planned, Transactional
from . import transaction as f5_transaction
from .icontrol import RestSession, path_of, refusal
from .read import full_path, items, read, unit, warn_of_sni

VALIDATE_ONLY: Final = Version("12.0")
"""The first TMOS version with `validateOnly` in transactions."""
DOWNLOADS: Final = "/var/config/rest/downloads"
FILE_KINDS: Final = ("sys file ssl-cert", "sys file ssl-key")


class Rest(Transactional):
    """iControl REST: every TMOS from 11.6 on."""

    api = "rest"

    def __init__(
        self, spec: Spec, options: Options, console: Console, device: RestSession, pauses: tuple[float, ...]
    ) -> None:
        self.device, self._commit_pauses = device, pauses
        self.store = RestFiles(device, console.insist)
        super().__init__(spec, options, console, device.login.name, unit(device))
        warn_of_sni(device, self.wanted, console.insist)

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self.device.requests_sent

    def has_partition(self) -> bool:
        """Whether the device has the farm's partition."""
        answer = self.device.look(f"/mgmt/tm/auth/partition/{self.partition}", "the partition")
        if answer.status not in {200, 404}:
            raise refusal(self.name, "the partition", answer)
        return answer.status == 200

    def read(self, partition: str, kinds: Iterable[str]) -> State:
        """The device's objects of these kinds in a partition, and all of its nodes."""
        return read(self.device, partition, kinds)

    def make_partition(self) -> None:
        """Create the farm's partition; an existing partition is not an error."""
        body = {"name": self.partition, "description": self.mark}
        with already_there():
            self.device.send("POST", path_of("auth partition"), body, f"partition {self.partition}", again=True)

    def transact(self, planned: Planned) -> OutcomeLost:
        """Apply all changes of the plan, or none."""
        todo = commands(planned.work, planned.state)
        self.console.say(f"{self.name}: one transaction of {plural(len(todo), 'command')}")
        try:
            lost = f5_transaction.run(self.device, todo, self._commit_pauses, self.commit_begins)
        except TransactionError as error:
            raise self.with_holder(error) from None
        if isinstance(lost, StillRunningError):
            self.pauses = self._commit_pauses
        return lost

    def destinations(self) -> dict[str, str]:
        """The destination of each virtual server of the device, by its path."""
        return destinations(self.device)

    def validate(self, planned: Planned) -> None:
        """Let the device check the transaction. This is not possible if the partition or a certificate is missing."""
        if self.unit.version < VALIDATE_ONLY:
            raise DeviceError(
                f"{self.name}: TMOS {self.unit.version} cannot check a transaction", "this needs TMOS 12.0 or later"
            )
        if absent := f"the partition {self.partition}" if planned.missing else self._absent_file():
            raise DeviceError(
                f"{self.name}: the device cannot check the plan, because {absent} does not exist yet",
                "run a push: it creates this first, then the device checks the transaction before it applies it",
            )
        todo = commands(planned.work, planned.state)
        f5_transaction.check(self.device, todo)
        self.console.say(f"{self.name}: the device accepts {plural(len(todo), 'command')}; nothing was changed")

    def _absent_file(self) -> str:
        for file in self.files:
            if not self.store.has(file.kind, file.path):
                return f"the certificate {file.path}"
        return ""

    def save_configuration(self) -> None:
        """Save the device's configuration for its next start."""
        save(self.device)

    def synchronise(self, group: str) -> None:
        """Synchronize the configuration to the other units of the group."""
        synchronise(self.device, group)


def destinations(device: RestSession) -> dict[str, str]:
    """The destination of each virtual server of a device, by its path."""
    name, what = device.login.name, "ltm virtual"
    there = items(name, what, device.get(path_of(what), what))
    return {full_path(name, what, one): str(one.get("destination")) for one in there}


def save(device: RestSession) -> None:
    """Let the device save its configuration for its next start."""
    device.send("POST", "/mgmt/tm/sys/config", {"command": "save"}, "saving the configuration", again=True)


def synchronise(device: RestSession, group: str) -> None:
    """Let the device synchronize its configuration to the other units of the group."""
    command = {"command": "run", "utilCmdArgs": f"config-sync to-group {group}"}
    device.send("POST", "/mgmt/tm/cm", command, f"synchronising {group}", again=True)


class RestFiles:
    """Certificate files by upload."""

    def __init__(self, device: RestSession, insist: Callable[[str], None]) -> None:
        self.device, self.insist = device, insist

    def has(self, kind: str, path: str) -> bool:
        """Whether the file exists."""
        answer = self.device.look(path_of(kind, path), f"{kind} {path}")
        if answer.status not in {200, 404}:
            raise refusal(self.device.login.name, f"{kind} {path}", answer)
        return answer.status == 200

    def listed(self, folder: str) -> Iterable[str]:
        """The paths of all files in a folder."""
        query = f"$filter=partition+eq+{folder[1:]}"
        found = self.device.get_all({kind: (path_of(kind), query) for kind in FILE_KINDS})
        name = self.device.login.name
        return [
            full_path(name, kind, item) for kind, collection in found.items() for item in items(name, kind, collection)
        ]

    def try_upload(self, files: Iterable[CertificateFile]) -> None:
        """Upload the first certificate, which only an administrator may do; the upload is not a file object yet."""
        for file in files:
            if not file.kind.endswith("key"):
                self.device.upload(file.name, file.content)
                return

    def bring(self, file: CertificateFile) -> bool:
        """Upload a file and create its file object; return False if the object existed already."""
        gone = False
        try:
            self.device.upload(file.name, file.content)
            new = self._made(file)
        finally:
            gone = self._upload_is_gone(file)
        if not gone:
            self.insist(self._left(file))
        return new

    def _made(self, file: CertificateFile) -> bool:
        folder, _, name = file.path.rpartition("/")
        body = {"name": name, "partition": folder[1:], "sourcePath": f"file:{DOWNLOADS}/{name}"}
        try:
            self.device.send("POST", path_of(file.kind), body, f"{file.kind} {file.path}", again=True)
        except RefusedError as error:
            if error.status != 409:
                raise
            return False
        return True

    def remove(self, path: str) -> None:
        """Remove a file; raises RefusedError if an object uses it."""
        kind = FILE_KINDS[path.endswith(".key")]
        self.device.send("DELETE", path_of(kind, path), None, f"{kind} {path}", again=True)

    def discard(self, file: CertificateFile) -> None:
        """Remove a file that was perhaps created, and its upload."""
        try:
            self.remove(file.path)
        finally:
            if not self._upload_is_gone(file):
                self.insist(self._left(file))

    def _upload_is_gone(self, file: CertificateFile) -> bool:
        """Remove the uploaded copy of a key, because every administrator can read the folder of uploads."""
        if not file.kind.endswith("key"):
            return True
        command = {"command": "run", "utilCmdArgs": f"{DOWNLOADS}/{file.name}"}
        try:
            self.device.send("POST", "/mgmt/tm/util/unix-rm", command, f"the upload of {file.name}", again=True)
        except DeviceError:
            return False
        return True

    def _left(self, file: CertificateFile) -> str:
        return (
            f"{self.device.login.name}: {DOWNLOADS}/{file.name} could not be removed from the device: delete it, "
            "because it contains the private key"
        )


@contextlib.contextmanager
def already_there() -> Iterator[None]:
    """Ignore a refusal because an earlier attempt has already created the object."""
    try:
        yield
    except RefusedError as error:
        if error.status != 409:
            raise
