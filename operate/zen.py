"""The Zen family by zapi: the maintenance of a node's backends, with the modes drain and cut.

The API shows that a backend is in maintenance, but not the mode: the state is then `out`. It shows no sessions.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from ..core.errors import DeviceError
from ..core.plan import Plan
from ..generators.zen.calls import location, maintenance
from ..generators.zen.objects import Backend, HttpFarm
from ..push.answers import listed, mapping, readable, text
from ..push.contract import Options
from ..push.zen.push import Zen as Device
from ..push.zen.push import connect
from ..spec.load import Spec
from .contract import Balancer, Health, NodeStatus, Wanted, status_of

_MAINTENANCE: Final = "maintenance"
_PASSING: Final = "up"
_FAILING: Final = "down"


class Zen(Balancer):
    """One appliance, connected."""

    vendor = "zen"

    def __init__(self, device: Device) -> None:
        self.name = device.name
        self._zapi: Final = device.zapi
        self._farm: Final = device.objects.main
        self._nodes: Final = {f"{one.ip}:{one.port}": one for one in self._farm.backends}

    def read(self) -> tuple[NodeStatus, ...]:
        """Return the nodes of the site's own farm."""
        found = {endpoint: status for endpoint, (_, status) in self._backends().items()}
        return tuple(
            NodeStatus(one.name, "out" if found[at] == _MAINTENANCE else "up", _health(found[at]), found[at])
            for at, one in self._nodes.items()
            if at in found
        )

    def change(self, node: str, state: Wanted) -> None:
        """Begin or end the maintenance of the node's backend, and read it back."""
        status_of(self, self.read(), node)
        endpoint, one = next((at, one) for at, one in self._nodes.items() if one.name == node)
        number, _ = self._backends()[endpoint]
        body = maintenance(Backend(one.name, one.ip, one.port, one.weight, one.backup, state))
        self._zapi.call("PUT", f"{location(self._farm)}/backends/{number}/maintenance", body)
        found = self.status(node)
        if not found.is_in(state):
            raise DeviceError(f"{self.name}: {node} is {found.check} after the change to {state}")

    def _backends(self) -> dict[str, tuple[int, str]]:
        """Return the id and the status of each backend by its endpoint."""
        answer = self._zapi.call("GET", f"/farms/{self._farm.name}")
        with readable(self.name, f"the farm {self._farm.name}"):
            return dict(_read(one) for one in listed(self._holder(answer).get("backends", []), "backends"))

    def _holder(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """The part of the answer with the backends: our service, or the L4xNAT farm itself."""
        if isinstance(self._farm, HttpFarm):
            name = self._farm.service
            services = [mapping(one, "services") for one in listed(answer.get("services", []), "services")]
            return next((one for one in services if one.get("id") == name), {})
        return answer if "backends" in answer else mapping(answer.get("params", {}), "params")


def _read(one: object) -> tuple[str, tuple[int, str]]:
    backend = mapping(one, "backends")
    endpoint = f"{backend.get('ip')}:{backend.get('port')}"
    return endpoint, (int(str(backend.get("id"))), text(backend.get("status"), "status"))


def _health(status: str) -> Health:
    return "passing" if status == _PASSING else "failing" if status == _FAILING else "unchecked"


class _Quiet:
    """The console of a connection that changes no configuration: it has nothing to print or to ask."""

    def say(self, text: str) -> None:
        """Print nothing."""

    def insist(self, text: str) -> None:
        """Print nothing."""

    def show(self, plan: Plan) -> None:
        """Print nothing."""

    def agree(self, question: str) -> bool:
        """Agree to nothing."""
        del question
        return False


@contextmanager
def connected(spec: Spec) -> Iterator[Zen]:
    """Connect to the appliance of the spec; the connection ends with the block."""
    with connect(spec, Options(), _Quiet()) as device:
        yield Zen(device)
