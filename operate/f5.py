"""F5 BIG-IP by iControl REST: the session and the state of a node's pool members.

The active unit of a device group is changed and saves its configuration; `--sync` synchronizes the others.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from ..core.errors import DeviceError
from ..generators.f5.objects import objects
from ..generators.f5.vocabulary import Object
from ..push.answers import mapping, readable
from ..push.f5.login import login
from ..push.f5.rest.icontrol import RestSession, path_of, segment
from ..push.f5.rest.push import save, synchronise
from ..push.f5.rest.read import full_path, items, unit
from ..push.f5.unit import on_version
from ..spec.load import Spec
from .contract import Balancer, Health, NodeStatus, Sessions, State, Wanted, status_of

_BODIES: Final[Mapping[Wanted, Mapping[str, str]]] = {
    "up": {"session": "user-enabled", "state": "user-up"},
    "drain": {"session": "user-disabled", "state": "user-up"},
    "down": {"session": "user-disabled", "state": "user-down"},
}
_PASSING: Final = frozenset({"up", "fqdn-up"})
_FORCED: Final = "user-down"
_DOWN: Final = "down"
"""The end of all states of a monitor that fails: `down`, `fqdn-down`, `node-down`, `address-down`, `irule-down`."""


class F5(Balancer):
    """One BIG-IP, connected."""

    vendor = "f5"

    def __init__(self, spec: Spec, device: RestSession, sync: str = "") -> None:
        self.name = device.login.name
        self._device: Final = device
        self._sync: Final = sync
        self._unit: Final = unit(device)
        self._farm: Final = on_version(spec, self._unit.version, lambda _text: None).farm
        made = objects(self._farm, self._farm.f5.version)
        self._pools: Final = [one for one in made if one.kind == "ltm pool"]

    def read(self) -> tuple[NodeStatus, ...]:
        """Return the nodes: the state of the checked pool, the connections of all pools."""
        members = {pool.path: self._members(pool) for pool in self._pools}
        counts = {pool.path: self._connections(pool) for pool in self._pools}
        return tuple(
            self._node(node.name, index, members, counts)
            for index, node in enumerate(self._farm.nodes)
            if self._path(self._web, index) in members[self._web.path]
        )

    @property
    def _web(self) -> Object:
        return next(pool for pool in self._pools if pool.name.endswith("_web"))

    def _node(
        self,
        name: str,
        index: int,
        members: Mapping[str, Mapping[str, Mapping[str, Any]]],
        counts: Mapping[str, Mapping[str, int]],
    ) -> NodeStatus:
        member = members[self._web.path][self._path(self._web, index)]
        found = {pool.name: counts[pool.path].get(self._path(pool, index)) for pool in self._pools}
        known = [count for count in found.values() if count is not None]
        live = [count for pool, count in found.items() if pool.endswith("_signalr") and count is not None]
        total = sum(known) if len(known) == len(found) else None
        state = str(member.get("state"))
        return NodeStatus(name, _state(member), _health(state), state, Sessions(total, sum(live) if live else None))

    def _path(self, pool: Object, index: int) -> str:
        """The full path of a node's member; members have the order of the nodes."""
        return list(_members_of(pool))[index]

    def _members(self, pool: Object) -> dict[str, Mapping[str, Any]]:
        what = f"ltm pool {pool.path}: members"
        found = items(self.name, what, self._device.get(f"{path_of('ltm pool', pool.path)}/members", what))
        return {full_path(self.name, what, item): item for item in found}

    def _connections(self, pool: Object) -> dict[str, int]:
        """Return the open connections of each member; a user who may not read statistics gets none."""
        what = f"ltm pool {pool.path}: statistics"
        answer = self._device.look(f"{path_of('ltm pool', pool.path)}/members/stats", what)
        if answer.status != 200:
            return {}
        with readable(self.name, what):
            return dict(_counted(mapping(mapping(answer.data, "the response").get("entries", {}), "entries")))

    def change(self, node: str, state: Wanted) -> None:
        """Change the node's member of every pool, read them back, save, and synchronize if requested."""
        if self._unit.state != "active":
            raise DeviceError(
                f"{self.name}: this unit is {self._unit.state}, but a change needs the active unit",
                "write the address of the active unit as f5.host, and use --sync GROUP to synchronize the others",
            )
        status_of(self, self.read(), node)
        index = next(number for number, one in enumerate(self._farm.nodes) if one.name == node)
        for pool in self._pools:
            member = self._path(pool, index)
            path = f"{path_of('ltm pool', pool.path)}/members/{segment(member)}"
            self._device.send("PATCH", path, _BODIES[state], f"{node} of {pool.path}", again=True)
        self._require(node, index, state)
        save(self._device)
        if self._sync:
            synchronise(self._device, self._sync)

    def _require(self, node: str, index: int, state: Wanted) -> None:
        """Raise DeviceError unless the node has the state in every pool."""
        for pool in self._pools:
            found = _state(self._members(pool)[self._path(pool, index)])
            if found != state:
                raise DeviceError(f"{self.name}: {node} is {found} in {pool.path} after the change to {state}")


def _members_of(pool: Object) -> Mapping[str, object]:
    members = pool.properties["members"]
    return members if isinstance(members, Mapping) else {}


def _counted(entries: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the path and the connections of each member in a statistics answer."""
    for url, entry in entries.items():
        values = mapping(mapping(mapping(entry, url).get("nestedStats"), "nestedStats").get("entries"), "entries")
        count = mapping(values.get("serverside.curConns", {}), "serverside.curConns").get("value")
        name = url.removesuffix("/stats").rpartition("/members/")[2].replace("~", "/")
        if isinstance(count, int):
            yield name, count


def _state(member: Mapping[str, Any]) -> State:
    if member.get("state") == _FORCED:
        return "down"
    return "drain" if str(member.get("session")) == "user-disabled" else "up"


def _health(state: str) -> Health:
    if state in _PASSING:
        return "passing"
    return "failing" if state.endswith(_DOWN) and state != _FORCED else "unchecked"


@contextmanager
def connected(spec: Spec, sync: str = "") -> Iterator[F5]:
    """Log in to the device of the spec; the token is deleted at the end."""
    with RestSession(login(spec)) as device:
        yield F5(spec, device, sync)
