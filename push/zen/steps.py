"""The steps of a push to the Zen family, each with its rollback.

zapi has no transactions. The rollback of a step reads the device first, because the answer to the step may have been
lost. Therefore it works whether or not the step was executed.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from ...core.errors import DeviceError
from ...generators.zen.calls import Call
from ..errors import NotSentError, OutcomeUnknownError, RefusedError
from .state import text
from .zapi import Zapi

_SERVES: Final = frozenset({"up", "critical", "problem", "maintenance"})
"""The states of a running farm; `critical` and `problem` describe its nodes."""


@dataclass
class Step:
    """One step; `what` is its name for the user."""

    what: str

    def run(self, zapi: Zapi) -> None:
        """Execute the step; raises DeviceError."""
        raise NotImplementedError

    def undo(self, zapi: Zapi) -> None:
        """Undo the step, if it was executed."""

    def hint(self, error: RefusedError) -> str | None:  # noqa: ARG002  # most steps have none of their own
        """Return a hint if the device refused this step; None if there is only the device's message."""
        return None


@dataclass
class Send(Step):
    """One call, and the calls that undo it."""

    call: Call
    back: tuple[Call, ...] = ()

    def run(self, zapi: Zapi) -> None:
        """Make the call."""
        zapi.call(self.call.method, self.call.path, self.call.body or None)

    def undo(self, zapi: Zapi) -> None:
        """Make the calls that undo the step. A missing object needs no removal."""
        for call in self.back:
            try:
                zapi.call(call.method, call.path, call.body or None)
            except RefusedError as error:
                if call.method != "DELETE" or error.status not in {400, 404}:
                    raise


@dataclass
class CreateFarm(Send):
    """A new farm; its rollback removes the complete farm."""

    farm: str = ""
    _made: bool = False

    def run(self, zapi: Zapi) -> None:
        """Create the farm."""
        super().run(zapi)
        self._made = True

    def undo(self, zapi: Zapi) -> None:
        """Remove the farm if it exists. Raises DeviceError if its content is perhaps from another push."""
        found = zapi.find(f"/farms/{self.farm}")
        if found is None:
            return
        if not self._made and (found.get("services") or found.get("backends")):
            message = f"{zapi.name}: the farm {self.farm} has content that this push did not create"
            raise DeviceError(message, "check it in the device's web interface")
        zapi.call("DELETE", f"/farms/{self.farm}")

    def hint(self, error: RefusedError) -> str | None:
        """Return a hint about the address: the device does not have it, or another service uses the port."""
        if error.status != 400:
            return None
        address, port = self.call.body["vip"], self.call.body["vport"]
        return (
            f"add the address {address} (up) in the network section of the device's web interface, or write one "
            f"of the device's addresses as frontend.address. No other service may use the port {port}. Then push "
            "again"
        )


@dataclass
class GiveCertificate(Send):
    """The step that assigns a certificate of the device to a farm."""

    def hint(self, error: RefusedError) -> str | None:
        """Return a hint about the certificate, which is missing on the device."""
        if error.status != 404:
            return None
        name = self.call.body["file"]
        return (
            "write the path of a PEM file (key, certificate, chain) as zen.certificate: the push then uploads it; "
            f"or upload the file as {name} in the device's web interface. Then push again"
        )


@dataclass
class Upload(Step):
    """The upload of a certificate with a new name, so that the certificate in use does not change."""

    name: str
    pem: bytes = field(repr=False)
    _made: bool = False

    def run(self, zapi: Zapi) -> None:
        """Upload it. An existing file with this name has the same content."""
        try:
            self._made = True
            zapi.upload(self.name, self.pem)
        except RefusedError as error:
            self._made = False
            if "exist" not in error.said:
                raise

    def undo(self, zapi: Zapi) -> None:
        """Remove it, if this push uploaded it."""
        if not self._made:
            return
        try:
            zapi.call("DELETE", f"/certificates/{self.name}")
        except RefusedError as error:
            if error.status != 404:
                raise


def node_ids(zapi: Zapi, farm: str, service: str, endpoint: str) -> list[int]:
    """Return the current numbers of the backends with this address and port.

    The numbers change when a backend is removed.
    """
    found = zapi.call("GET", f"/farms/{farm}")
    holder: dict[str, Any] = found
    if service:
        holder = next((one for one in found.get("services", ()) if one.get("id") == service), {})
    nodes = holder.get("backends") or []
    return [int(one["id"]) for one in nodes if f"{text(one.get('ip'))}:{text(one.get('port'))}" == endpoint]


@dataclass
class NodeStep(Step):
    """A step on one backend."""

    farm: str
    service: str
    endpoint: str

    @property
    def location(self) -> str:
        """The path of the farm's backends."""
        return f"/farms/{self.farm}" + (f"/services/{self.service}" if self.service else "") + "/backends"

    def ids(self, zapi: Zapi) -> list[int]:
        """The numbers of the backends with the endpoint."""
        return node_ids(zapi, self.farm, self.service, self.endpoint)

    def present(self, zapi: Zapi) -> list[int]:
        """Return `ids`; raises DeviceError if there are none."""
        if ids := self.ids(zapi):
            return ids
        raise DeviceError(f"{zapi.name}: {self.endpoint} is no longer in the farm {self.farm}", "review the new plan")

    def only(self, zapi: Zapi) -> int:
        """Return the number of the first backend with the endpoint."""
        return self.present(zapi)[0]

    def last(self, zapi: Zapi) -> int:
        """Return the number of the last backend with the endpoint."""
        return max(self.present(zapi))


@dataclass
class AddNode(NodeStep):
    """A new backend; `before` is the number of backends with this endpoint before the push."""

    body: dict[str, Any]
    before: int = 0

    def run(self, zapi: Zapi) -> None:
        """Add it, unless another push has added it: some devices accept duplicates."""
        if len(self.ids(zapi)) <= self.before:
            zapi.call("POST", self.location, self.body)

    def undo(self, zapi: Zapi) -> None:
        """Remove the last backend with the endpoint, if there are more than before."""
        ids = self.ids(zapi)
        if len(ids) > self.before:
            zapi.call("DELETE", f"{self.location}/{max(ids)}")


@dataclass
class RemoveNode(NodeStep):
    """The removal of a backend; `body` adds it again."""

    body: dict[str, Any]
    before: int = 1

    def run(self, zapi: Zapi) -> None:
        """Remove the last backend with the endpoint."""
        zapi.call("DELETE", f"{self.location}/{self.last(zapi)}")

    def undo(self, zapi: Zapi) -> None:
        """Add it again, if it is missing."""
        if len(self.ids(zapi)) < self.before:
            zapi.call("POST", self.location, self.body)


@dataclass
class ChangeNode(NodeStep):
    """New settings of a backend, and the old ones."""

    body: dict[str, Any]
    old: dict[str, Any]

    def run(self, zapi: Zapi) -> None:
        """Write the new settings."""
        zapi.call("PUT", f"{self.location}/{self.only(zapi)}", self.body)

    def undo(self, zapi: Zapi) -> None:
        """Write the old settings."""
        zapi.call("PUT", f"{self.location}/{self.only(zapi)}", self.old)


@dataclass
class Maintain(NodeStep):
    """The begin or end of a backend's maintenance; the farm must be running."""

    body: dict[str, Any]

    def run(self, zapi: Zapi) -> None:
        """Set the state."""
        zapi.call("PUT", f"{self.location}/{self.only(zapi)}/maintenance", self.body)


@dataclass
class Restart(Step):
    """The restart that activates the changes; `existed` and `ran` describe the farm before this push."""

    farm: str
    existed: bool
    ran: bool = True

    def run(self, zapi: Zapi) -> None:
        """Restart the farm, and never start it. If the answer is lost, restart again: a second restart is harmless."""
        answer = self._act(zapi, "restart")
        status = text((answer.get("params") or {}).get("status"))
        if status and status not in _SERVES:
            raise DeviceError(
                f"{zapi.name}: the farm {self.farm} is {status} after its restart",
                "check the farm in the device's web interface: its address must be up and its certificate readable",
            )

    def bring_back(self, zapi: Zapi) -> None:
        """Restart a farm that ran before, now with its old settings; stop a farm that did not run."""
        if not self.existed:
            return
        if self.ran:
            self.run(zapi)
        else:
            self._act(zapi, "stop")

    def _act(self, zapi: Zapi, action: str) -> dict[str, Any]:
        call = ("PUT", f"/farms/{self.farm}/actions", {"action": action})
        try:
            return zapi.call(*call)
        except (NotSentError, OutcomeUnknownError) as error:
            if isinstance(error, OutcomeUnknownError) and error.status:
                raise  # the device answered; a second call would get the same answer
            return zapi.call(*call)
