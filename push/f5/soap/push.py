"""A push by iControl SOAP, for devices whose REST API is disabled.

SOAP got no new features after 13.x: it has no websocket profile, no SNI for monitors, no hash for persistence by
address, and no cipher groups. A transaction cannot contain the drafts of traffic policies. The spec can accept some of
these limits by their ids. An iRule then selects the pool for SignalR's paths.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ....core.errors import Problem, UnsupportedError
from ....generators.f5.objects import objects
from ....generators.f5.soap_limits import SOAP_LIMITS
from ....generators.f5.view import Names
from ....generators.f5.vocabulary import Object, Value, mapping
from ....spec.load import Spec
from ....spec.units import Version
from ...contract import Console, Options, OutcomeLost
from ...errors import NotSentError, OutcomeUnknownError, RefusedError
from ..certificates import CertificateFile
from ..order import commands
from ..plan import State
from ..refusal import StillRunningError, refused
from ..transactional import Planned, Transactional
from ..unit import Unit
from .portal import Portal, understood
from .read import destinations, read
from .vocabulary import OWNED
from .write import queue

_ACTIVE: Final = "FAILOVER_STATE_ACTIVE"
_PARTITION, _FILES = "Management.Partition", "Management.KeyCertificate"
_MODE: Final = "MANAGEMENT_MODE_DEFAULT"


class Soap(Transactional):
    """The backend for iControl SOAP, for devices whose REST API is disabled."""

    api = "soap"

    def __init__(self, spec: Spec, options: Options, console: Console, portal: Portal) -> None:
        self.portal = portal
        self.store = SoapFiles(portal)
        said = str(portal.call("System.SystemInfo", "get_version"))
        with understood(portal.login.name, "the version"):
            version = Version(".".join(said.rpartition("v")[2].split(".")[:4]))
        state = str(portal.call("System.Failover", "get_failover_state"))
        unit = Unit(version, "active" if state == _ACTIVE else "standby")
        super().__init__(spec, options, console, portal.login.name, unit)

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self.portal.requests_sent

    def objects(self, names: Names) -> tuple[Object, ...]:
        """Return the farm's objects with the properties that SOAP has; raises UnsupportedError for features that it
        lacks.
        """
        made = objects(self.farm, self.unit.version, names)
        refused = list(_lacking(self.spec, made))
        if refused:
            raise UnsupportedError(refused)
        made = objects(self.farm, self.unit.version, names, policies=False)
        used = {path for one in made if one.kind == "ltm virtual" for path in mapping(one.properties["profiles"])}
        return tuple(
            _owned(one)
            for one in made
            if one.kind in OWNED and (one.kind != "ltm profile server-ssl" or one.path in used)
        )

    def has_partition(self) -> bool:
        """Whether the device has the farm's partition."""
        listed = self.portal.call(_PARTITION, "get_partition_list")
        with understood(self.name, "the partitions"):
            return self.partition in {str(one["partition_name"]).rpartition("/")[2] for one in listed}

    def read(self, partition: str, kinds: Iterable[str]) -> State:
        """Return the device's objects of these kinds in a partition, and all of its nodes."""
        with understood(self.name, "the objects"):
            return read(self.portal, partition, kinds)

    def make_partition(self) -> None:
        """Create the farm's partition; an existing partition is not an error."""
        try:
            self.portal.call(
                _PARTITION, "create_partition", [{"partition_name": self.partition, "description": self.mark}]
            )
        except RefusedError:
            if not self.has_partition():
                raise

    def transact(self, planned: Planned) -> OutcomeLost:
        """Apply all changes of the plan, or none."""
        submitting = False
        todo = commands(planned.work, planned.state)
        try:
            self.portal.enter(f"/{self.partition}")
            self.portal.start()
            queue(self.portal, todo, planned.state)
            submitting = True
            self.commit_begins()
            self.portal.submit()
        except (OutcomeUnknownError, NotSentError) as error:
            # Discard the queue, so that a delayed submission has no effect.
            ended = self.portal.roll_back()
            if not submitting:
                raise
            if ended:
                return error
            self.pauses = self.portal.pauses
            return StillRunningError(error.message, error.hint)
        except RefusedError as error:
            raise self.with_holder(refused(self.name, error, todo)) from None
        return None

    def destinations(self) -> dict[str, str]:
        """The destination of each virtual server of the device, by its path."""
        with understood(self.name, "the virtual servers"):
            return destinations(self.portal)

    def save_configuration(self) -> None:
        """Save the device's configuration for its next start."""
        self.portal.call("System.ConfigSync", "save_configuration", "", "SAVE_HIGH_LEVEL_CONFIG")

    def synchronise(self, group: str) -> None:
        """Synchronize the configuration to the other units of the group."""
        self.portal.call("System.ConfigSync", "synchronize_to_group", group)


class SoapFiles:
    """Certificate files by import. They are listed once: a list has the details of every certificate in a folder."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self._known: dict[str, set[str]] = {}

    def has(self, kind: str, path: str) -> bool:
        """Whether the file exists."""
        del kind
        return path in self.listed(path.rpartition("/")[0])

    def listed(self, folder: str) -> Iterable[str]:
        """The paths of all files in a folder."""
        if folder not in self._known:
            self._known[folder] = self._read(folder)
        return sorted(self._known[folder])

    def _read(self, folder: str) -> set[str]:
        self.portal.enter(folder)
        certificates = self.portal.call(_FILES, "get_certificate_list", _MODE)
        keys = self.portal.call(_FILES, "get_key_list", _MODE)
        with understood(self.portal.login.name, "the certificate files"):
            found = [_path(folder, str(one["certificate"]["cert_info"]["id"]), ".crt") for one in certificates or ()]
            found += [_path(folder, str(one["key_info"]["id"]), ".key") for one in keys or ()]
        return {path for path in found if path.rpartition("/")[0] == folder}

    def try_upload(self, files: Iterable[CertificateFile]) -> None:
        """Do nothing: an import creates the file, and needs its folder."""
        del files

    def bring(self, file: CertificateFile) -> bool:
        """Import a certificate or a key; return False if it existed already."""
        if self.has(file.kind, file.path):
            return False
        self.portal.enter(file.path.rpartition("/")[0])
        kind = "key" if file.kind.endswith("key") else "certificate"
        self.portal.call(_FILES, f"{kind}_import_from_pem", _MODE, [_id(file.path)], [file.content.decode()], True)
        self._known[file.path.rpartition("/")[0]].add(file.path)
        return True

    def remove(self, path: str) -> None:
        """Remove a file; raises RefusedError if an object uses it."""
        folder = path.rpartition("/")[0]
        self.portal.enter(folder)
        # If the answer is lost, the file may be gone or not.
        self._known.pop(folder, None)
        kind = "key" if path.endswith(".key") else "certificate"
        self.portal.call(_FILES, f"{kind}_delete", _MODE, [_id(path)])

    def discard(self, file: CertificateFile) -> None:
        """Remove a file that was perhaps created."""
        self.remove(file.path)


def _id(path: str) -> str:
    """Return SOAP's name of a certificate file: SOAP adds the suffix itself."""
    return path.rpartition("/")[2].rpartition(".")[0]


def _path(folder: str, name: str, suffix: str) -> str:
    """Return the path of a listed file: its id may have the folder and the suffix, or not."""
    path = name if name.startswith("/") else f"{folder}/{name}"
    return path if path.endswith(suffix) else f"{path}{suffix}"


def _lacking(spec: Spec, made: tuple[Object, ...]) -> Iterator[Problem]:
    for problem_id, limit in SOAP_LIMITS.items():
        accepted = limit.acceptable and problem_id in spec.farm.accepted
        if accepted or not any(limit.concerns(one) for one in made):
            continue
        accept = f" (`accept: [{problem_id}]`)" if limit.acceptable else ""
        hint = "; or ".join(filter(None, (limit.fix + accept, "write `f5.api: rest`")))
        yield spec.problem(("f5", "api"), f"iControl SOAP lacks {limit.lacks}", hint, id=problem_id)


def _owned(one: Object) -> Object:
    """Return an object with only the properties that SOAP has."""
    properties: dict[str, Value] = {key: value for key, value in one.properties.items() if key in OWNED[one.kind]}
    if "profiles" in properties:
        profiles = mapping(properties["profiles"])
        properties["profiles"] = {path: side for path, side in profiles.items() if not path.endswith("_websocket")}
    if isinstance(members := properties.get("members"), Mapping):
        # A member has the address of its node.
        properties["members"] = {
            name: {key: value for key, value in mapping(each).items() if key != "address"}
            for name, each in members.items()
        }
    if isinstance(chain := properties.get("cert-key-chain"), Mapping):
        properties["cert-key-chain"] = {name: {"chain": "none", **mapping(each)} for name, each in chain.items()}
    return Object(one.kind, one.path, properties)
