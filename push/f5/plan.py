"""Compare a device's state with the farm: changes, refusals, and the objects to create, change and remove."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ...core.errors import DeviceError
from ...core.plan import Change, Plan, Shown
from ...core.wording import legible, shortened
from ...generators.f5.vocabulary import KINDS, Object, Value
from .compare import Difference, differences, endpoint

Key = tuple[str, str]
"""An object's kind and path."""


class State(NamedTuple):
    """The objects on the device of the requested kinds, in tmsh's words."""

    found: Mapping[Key, Mapping[str, Value]]
    addresses: Mapping[str, str]
    """The path of each node on the device, by its address."""

    def digest(self, keys: Iterable[Key]) -> str:
        """Return a digest of these objects in this state."""
        told = {" ".join(key): self.found.get(key) for key in sorted(keys)}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


class Update(NamedTuple):
    """An object on the device that differs from the wanted one."""

    wanted: Object
    differs: tuple[Difference, ...]
    rebuild: bool
    """Whether the object must be removed and created again, because a node's address cannot be changed."""


class Work(NamedTuple):
    """All changes of a push."""

    plan: Plan
    creates: tuple[Object, ...]
    updates: tuple[Update, ...]
    removes: tuple[Key, ...]
    leftovers: tuple[Key, ...]
    """Objects with the farm's mark that are no longer part of the farm; they stay without `--prune`."""
    unchanged: tuple[Object, ...]
    refusals: tuple[DeviceError, ...]

    @property
    def keys(self) -> set[Key]:
        """The objects that the push creates, changes or removes."""
        made = {(one.kind, one.path) for one in self.creates}
        return made | {(update.wanted.kind, update.wanted.path) for update in self.updates} | set(self.removes)


def marked(kind: str, values: Mapping[str, Value], mark: str) -> bool:
    """Whether an object has the farm's mark: in its description, or in the first line of a rule."""
    if kind == "ltm rule":
        return str(values["definition"]).partition("\n")[0] == f"# {mark}"
    return values.get("description") == mark


def work(
    device: str,
    wanted: Sequence[Object],
    state: State,
    mark: str,
    *,
    adopt: bool,
    prune: bool,
    absent: frozenset[Key] = frozenset(),
    tenant: bool = False,
) -> Work:
    """Return the changes from the state to the wanted objects.

    `absent` are objects that must not exist (from a snapshot). A `tenant` is a partition of AS3, which cannot share a
    node with another partition.
    """
    creates = tuple(one for one in wanted if (one.kind, one.path) not in state.found)
    updates = tuple(_updates(wanted, state))
    differing = {(update.wanted.kind, update.wanted.path) for update in updates}
    unchanged = tuple(one for one in wanted if (key := (one.kind, one.path)) in state.found and key not in differing)
    leftovers = tuple(_leftovers(wanted, state, mark))
    blocking = _blocking(wanted, state)
    in_the_way = {key for key in leftovers if key in blocking}
    gone = {key for key in absent if key in state.found}
    removes = tuple(key for key in _backwards(state) if key in gone | in_the_way or (prune and key in leftovers))
    addresses = _addresses(device, wanted, state, removes, tenant=tenant)
    refusals = (
        *_foreign(device, wanted, state, mark, adopt=adopt),
        *addresses,
        *_destinations(device, wanted, state, removes),
    )
    changes = [*_created(device, creates), *_updated(device, updates), *_removed(device, removes)]
    looked_at = {(one.kind, one.path) for one in wanted} | set(leftovers)
    plan = Plan(changes, {device: state.digest(looked_at)}, (device,))
    left = tuple(key for key in leftovers if key not in removes)
    return Work(plan, creates, updates, removes, left, unchanged, refusals)


def _updates(wanted: Sequence[Object], state: State) -> Iterator[Update]:
    for one in wanted:
        found = state.found.get((one.kind, one.path))
        if found is not None and (differs := tuple(differences(one, found))):
            rebuild = one.kind == "ltm node" and any(each.key in {"address", "fqdn"} for each in differs)
            yield Update(one, differs, rebuild)


def _leftovers(wanted: Sequence[Object], state: State, mark: str) -> Iterator[Key]:
    keys = {(one.kind, one.path) for one in wanted}
    yield from (key for key, values in state.found.items() if key not in keys and marked(key[0], values, mark))


def _blocking(wanted: Sequence[Object], state: State) -> set[Key]:
    """Return the nodes and virtual servers that have the address of a wanted object with another name."""
    held = {("ltm node", path) for one in wanted if (path := state.addresses.get(str(one.properties.get("address"))))}
    destinations = {one.properties.get("destination") for one in wanted if one.kind == "ltm virtual"}
    return held | {key for key, values in state.found.items() if values.get("destination") in destinations}


def _backwards(state: State) -> list[Key]:
    return sorted(state.found, key=lambda key: (-KINDS.index(key[0]), key[1]))


def _foreign(device: str, wanted: Sequence[Object], state: State, mark: str, *, adopt: bool) -> Iterator[DeviceError]:
    for one in wanted:
        found = state.found.get((one.kind, one.path))
        if found is None or adopt or marked(one.kind, found, mark):
            continue
        whose = shortened(legible(str(found.get("description", "none"))), 100)
        owner = f"belongs to the farm {whose[7:]}" if whose.startswith("nlbgen:") else "was not made by nlbgen"
        yield DeviceError(
            f"{device}: {one.kind} {one.path} exists, but it {owner}",
            "if nothing else needs it, take it over with --adopt; otherwise give the farm or the node another name",
        )


def _addresses(
    device: str, wanted: Sequence[Object], state: State, removes: Sequence[Key], *, tenant: bool
) -> Iterator[DeviceError]:
    for one in wanted:
        address = str(one.properties.get("address"))
        holder = state.addresses.get(address) if one.kind == "ltm node" else None
        if holder and holder != one.path and ("ltm node", holder) not in removes:
            yield DeviceError(
                f"{device}: ltm node {one.path}: the address {address} belongs to the node {legible(holder)}",
                "a BIG-IP allows only one node for each address: "
                f"{_way_to_share(one.path, legible(holder), tenant=tenant)}",
            )


def _destinations(device: str, wanted: Sequence[Object], state: State, removes: Sequence[Key]) -> Iterator[DeviceError]:
    """Yield an error for each address and port that a virtual server of the partition has, if it stays as it is."""
    ours = {(one.kind, one.path) for one in wanted}
    held = {
        values.get("destination"): key[1]
        for key, values in state.found.items()
        if key[0] == "ltm virtual" and key not in removes and key not in ours
    }
    for one in wanted:
        holder = held.get(endpoint(str(one.properties["destination"]))) if one.kind == "ltm virtual" else None
        if holder:
            yield DeviceError(
                f"{device}: {one.kind} {one.path}: its address and port belong to the virtual server {legible(holder)}",
                "remove that virtual server if nothing needs it, or write another frontend.address or frontend.port",
            )


def _way_to_share(wanted: str, holder: str, *, tenant: bool) -> str:
    """Return the fix if another node has the address. A farm's nodes are in the farm's partition."""
    _, partition, *folders, name = holder.split("/")
    if folders:
        return "remove that node: it is in a subfolder, and f5.partition cannot name a subfolder"
    steps = ["write `f5.api: rest`"] * tenant
    if tenant or partition != wanted.split("/")[1]:
        steps.append(f"write `f5.partition: {partition}`, the partition of that node")
    steps.append(
        f"use the name {name} for the node in the spec, and take it over with --adopt if it is not this farm's"
    )
    return f"remove that node if nothing needs it; or {', '.join(steps)}"


def thinned(state: State, updates: Iterable[Update]) -> Iterator[str]:
    """Yield the pools in which more than half of the serving members would leave rotation."""
    for update in updates:
        if update.wanted.kind != "ltm pool":
            continue
        before = _serving(state.found[update.wanted.kind, update.wanted.path].get("members"))
        after = _serving(update.wanted.properties.get("members"))
        if len(before - after) * 2 > len(before):
            yield f"{update.wanted.path}: {len(before - after)} of {len(before)} members"


def _serving(members: "Value | None") -> set[str]:
    if not isinstance(members, Mapping):
        return set()
    return {
        name
        for name, member in members.items()
        if isinstance(member, Mapping) and member.get("session") != "user-disabled"
    }


# The plan for the user.


def _created(device: str, creates: Sequence[Object]) -> Iterator[Change]:
    for one in creates:
        content = json.dumps(one.properties, sort_keys=True)
        number = len(one.properties)
        shown = Shown(f"new, {number} propert{'y' if number == 1 else 'ies'}", identity=_hash(content))
        yield Change(device, f"{one.kind} {one.path}", None, shown)


def _updated(device: str, updates: Sequence[Update]) -> Iterator[Change]:
    for update in updates:
        for each in update.differs:
            path = legible(f"{update.wanted.kind} {update.wanted.path}: {each.path}")
            yield Change(device, path, _shown(each.old), _shown(each.new))


def _removed(device: str, removes: Sequence[Key]) -> Iterator[Change]:
    for kind, path in removes:
        yield Change(device, legible(f"{kind} {path}"), Shown("is no longer part of the farm"), None)


def _shown(value: str | None) -> Shown | None:
    if value is None:
        return None
    plain = " ".join(value.split())
    return Shown(plain if len(plain) <= 120 else f"{plain[:117]}...", identity=_hash(value))


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def counts(todo: Work) -> dict[str, dict[str, int]]:
    """Count the objects of each kind that are created, changed, removed, or unchanged."""
    columns = {
        "created": [one.kind for one in todo.creates],
        "changed": [update.wanted.kind for update in todo.updates],
        "removed": [kind for kind, _ in todo.removes],
        "unchanged": [one.kind for one in todo.unchanged],
    }
    kinds = [kind for kind in KINDS if any(kind in found for found in columns.values())]
    return {kind: {column: found.count(kind) for column, found in columns.items()} for kind in kinds}
