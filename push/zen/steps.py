"""The single steps of a push to the Zen family, each with its rollback.

zapi has no transaction. The rollback of a step looks at what the device has now, because the answer to the step may
have been lost: it works whether the step was done or not.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from ...core.errors import DeviceError
from ...generators.zen.calls import Call
from ..errors import NotSentError, OutcomeUnknownError, RefusedError
from .state import text
from .zapi import Zapi

_SERVES: Final = frozenset({"up", "critical", "problem", "maintenance"})
"""The states of a farm that runs; `critical` and `problem` are about its nodes."""


@dataclass
class Step:
    """One thing to do; `what` names it for people."""

    what: str

    def run(self, zapi: Zapi) -> None:
        """Do it; raises DeviceError."""
        raise NotImplementedError

    def undo(self, zapi: Zapi) -> None:
        """Take it back, if it was done."""

    def hint(self, error: RefusedError) -> str | None:  # noqa: ARG002  # most steps have none of their own
        """Return what to do where the device refused this step; None where only its own message is known."""
        return None


@dataclass
class Send(Step):
    """One call, and the calls that take it back."""

    call: Call
    back: tuple[Call, ...] = ()

    def run(self, zapi: Zapi) -> None:
        """Make the call."""
        zapi.call(self.call.method, self.call.path, self.call.body or None)

    def undo(self, zapi: Zapi) -> None:
        """Make the calls back; what is not there needs no removal."""
        for call in self.back:
            try:
                zapi.call(call.method, call.path, call.body or None)
            except RefusedError as error:
                if call.method != "DELETE" or error.status not in {400, 404}:
                    raise


@dataclass
class CreateFarm(Send):
    """A new farm; the rollback removes all of it."""

    farm: str = ""
    _made: bool = False

    def run(self, zapi: Zapi) -> None:
        """Make it."""
        super().run(zapi)
        self._made = True

    def undo(self, zapi: Zapi) -> None:
        """Remove the farm if it is there; one that this push cannot have made alone is left, with a DeviceError."""
        found = zapi.find(f"/farms/{self.farm}")
        if found is None:
            return
        if not self._made and (found.get("services") or found.get("backends")):
            message = f"{zapi.name}: the farm {self.farm} has content that this push did not create"
            raise DeviceError(message, "check it in the device's web interface")
        zapi.call("DELETE", f"/farms/{self.farm}")

    def hint(self, error: RefusedError) -> str | None:
        """The address: a farm is refused where the device has no such one, or something else listens there."""
        if error.status != 400:
            return None
        address, port = self.call.body["vip"], self.call.body["vport"]
        return (
            f"add the address {address}, up, in the network section of the device's web interface, or write one of its "
            f"addresses as frontend.address; no other service may use the port {port}; then push again"
        )


@dataclass
class GiveCertificate(Send):
    """A certificate of the device for a farm."""

    def hint(self, error: RefusedError) -> str | None:
        """The certificate itself, which the device does not have."""
        if error.status != 404:
            return None
        name = self.call.body["file"]
        return (
            "write the path of a PEM (key, certificate, chain) as zen.certificate, which the push uploads then; or "
            f"upload it as {name} in the device's web interface; then push again"
        )


@dataclass
class Upload(Step):
    """A certificate under a name of its own, so that the one in use stays as it is."""

    name: str
    pem: bytes = field(repr=False)
    _made: bool = False

    def run(self, zapi: Zapi) -> None:
        """Upload it; under this name there can only be the same certificate."""
        try:
            self._made = True
            zapi.upload(self.name, self.pem)
        except RefusedError as error:
            self._made = False
            if "exist" not in error.said:
                raise

    def undo(self, zapi: Zapi) -> None:
        """Remove it, if it was this push that brought it."""
        if not self._made:
            return
        try:
            zapi.call("DELETE", f"/certificates/{self.name}")
        except RefusedError as error:
            if error.status != 404:
                raise


def node_ids(zapi: Zapi, farm: str, service: str, endpoint: str) -> list[int]:
    """The numbers of the backends with this address and port, as they are now; they shift when one is removed."""
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
        """Where the farm's backends hang."""
        return f"/farms/{self.farm}" + (f"/services/{self.service}" if self.service else "") + "/backends"

    def ids(self, zapi: Zapi) -> list[int]:
        """The numbers of the backends with the endpoint."""
        return node_ids(zapi, self.farm, self.service, self.endpoint)

    def present(self, zapi: Zapi) -> list[int]:
        """As `ids`; raises DeviceError where there are none."""
        if ids := self.ids(zapi):
            return ids
        raise DeviceError(f"{zapi.name}: {self.endpoint} is no longer in the farm {self.farm}", "review the new plan")

    def only(self, zapi: Zapi) -> int:
        """The number of the backend, the first if there are more."""
        return self.present(zapi)[0]

    def last(self, zapi: Zapi) -> int:
        """The number of the last one with the endpoint."""
        return max(self.present(zapi))


@dataclass
class AddNode(NodeStep):
    """One more backend; `before` says how many with this endpoint there were."""

    body: dict[str, Any]
    before: int = 0

    def run(self, zapi: Zapi) -> None:
        """Add it, unless somebody did since the plan was made: some devices take the same backend twice."""
        if len(self.ids(zapi)) <= self.before:
            zapi.call("POST", self.location, self.body)

    def undo(self, zapi: Zapi) -> None:
        """Remove the last one, if there are more than before."""
        ids = self.ids(zapi)
        if len(ids) > self.before:
            zapi.call("DELETE", f"{self.location}/{max(ids)}")


@dataclass
class RemoveNode(NodeStep):
    """One backend less; `body` would bring it back."""

    body: dict[str, Any]
    before: int = 1

    def run(self, zapi: Zapi) -> None:
        """Remove the last one with the endpoint."""
        zapi.call("DELETE", f"{self.location}/{self.last(zapi)}")

    def undo(self, zapi: Zapi) -> None:
        """Add it again, if it is missing."""
        if len(self.ids(zapi)) < self.before:
            zapi.call("POST", self.location, self.body)


@dataclass
class ChangeNode(NodeStep):
    """Settings of a backend, and what they were."""

    body: dict[str, Any]
    old: dict[str, Any]

    def run(self, zapi: Zapi) -> None:
        """Set them."""
        zapi.call("PUT", f"{self.location}/{self.only(zapi)}", self.body)

    def undo(self, zapi: Zapi) -> None:
        """Set what was."""
        zapi.call("PUT", f"{self.location}/{self.only(zapi)}", self.old)


@dataclass
class Maintain(NodeStep):
    """A backend into maintenance, or out of it; the farm must run."""

    body: dict[str, Any]

    def run(self, zapi: Zapi) -> None:
        """Set the state."""
        zapi.call("PUT", f"{self.location}/{self.only(zapi)}/maintenance", self.body)


@dataclass
class Restart(Step):
    """The farm takes what was written; `existed` and `ran` say what it was before this push."""

    farm: str
    existed: bool
    ran: bool = True

    def run(self, zapi: Zapi) -> None:
        """Restart it, never start it; once more where the answer was lost, for a restart can be made twice."""
        answer = self._act(zapi, "restart")
        status = text((answer.get("params") or {}).get("status"))
        if status and status not in _SERVES:
            raise DeviceError(
                f"{zapi.name}: the farm {self.farm} is {status} after its restart",
                "check the farm in the device's web interface: its address must be up and its certificate readable",
            )

    def bring_back(self, zapi: Zapi) -> None:
        """With its old settings in place again: restart a farm that ran before, and stop one that did not."""
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
                raise  # it answered, and the answer does not get better
            return zapi.call(*call)
