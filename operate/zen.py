"""The Zen family by zapi: the maintenance of a node's backends, with the modes drain and cut.

The API shows that a backend is in maintenance, but not the mode: the state is then `out`. Its statistics have the
established connections to each backend (`GET /stats/farms/FARM`, from the source of zapi v4.0).
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
from ..push.errors import OutcomeUnknownError, RefusedError
from ..push.zen.push import Zen as Device
from ..push.zen.push import connect
from ..spec.load import Spec
from .contract import Balancer, Health, NodeStatus, Sessions, State, Wanted, status_of

_MAINTENANCE: Final = "maintenance"
_PASSING: Final = "up"
_FAILING: Final = frozenset({"down", "fgDOWN"})
"""`fgDOWN` is the state in the status files of the device; zapi usually shows `down` for it."""


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
        sessions = self._sessions()
        return tuple(_node(one.name, found[at], sessions.get(at)) for at, one in self._nodes.items() if at in found)

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

    def _sessions(self) -> dict[str, int]:
        """Return the established connections by endpoint; none if the device does not show them to this user.

        The proxy's own connections are counted. A backend of several farms is counted for all of them together.
        """
        try:
            answer = self._zapi.call("GET", f"/stats/farms/{self._farm.name}")
        except (RefusedError, OutcomeUnknownError):  # no right to read it, or no such call
            return {}
        own = self._farm.service if isinstance(self._farm, HttpFarm) else None
        with readable(self.name, f"the statistics of the farm {self._farm.name}"):
            rows = [mapping(one, "backends") for one in listed(answer.get("backends", []), "backends")]
        return {
            f"{row.get('ip')}:{row.get('port')}": int(str(row["established"]))
            for row in rows
            if row.get("service", own) == own and str(row.get("established")).isdecimal()
        }

    def _holder(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """The part of the answer with the backends: our service, or the L4xNAT farm itself."""
        if isinstance(self._farm, HttpFarm):
            name = self._farm.service
            services = [mapping(one, "services") for one in listed(answer.get("services", []), "services")]
            return next((one for one in services if one.get("id") == name), {})
        return answer if "backends" in answer else mapping(answer.get("params", {}), "params")


def _node(name: str, status: str, connections: int | None) -> NodeStatus:
    state: State = "out" if status == _MAINTENANCE else "up"
    return NodeStatus(name, state, _health(status), status, Sessions(connections))


def _read(one: object) -> tuple[str, tuple[int, str]]:
    backend = mapping(one, "backends")
    endpoint = f"{backend.get('ip')}:{backend.get('port')}"
    return endpoint, (int(str(backend.get("id"))), text(backend.get("status"), "status"))


def _health(status: str) -> Health:
    return "passing" if status == _PASSING else "failing" if status in _FAILING else "unchecked"


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
