"""What must happen on the device: its state, the refusals, the changes to show, and the steps that make them.

The order of steps follows the references between objects: members and nodes that stand in the way go first, then
everything is made or changed in the order of creation, and what is left over goes last, in the opposite order.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ...core.errors import DeviceError
from ...core.plan import Change, Plan, Shown
from ...generators.f5.generator import member_node
from ...generators.f5.vocabulary import KINDS, Object, Value, mapping
from .compare import Difference, body, differences, member_body, properties, seen
from .domains import settled
from .rest.icontrol import Device, path_of, segment

_EXPANDED: Final = frozenset({"ltm pool", "ltm policy", "ltm virtual"})
_READ_EVERYWHERE: Final = frozenset({"ltm node"})
"""The address of a node is unique over all partitions of a device."""
Key = tuple[str, str]
"""An object's kind and path."""


class State(NamedTuple):
    """What is on the device, of the kinds that were asked for: each object in tmsh's words."""

    found: Mapping[Key, Mapping[str, Value]]
    addresses: Mapping[str, str]
    """Every node's address on the device, and the node's path."""

    def digest(self, keys: Iterable[Key]) -> str:
        """What tells this state from another one, as far as these objects go."""
        told = {" ".join(key): self.found.get(key) for key in sorted(keys)}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


class Step(NamedTuple):
    """One command of a transaction, and the object that it is about."""

    method: str
    path: str
    body: Mapping[str, Any] | None
    about: str


class Update(NamedTuple):
    """An object that is there and differs."""

    wanted: Object
    differs: tuple[Difference, ...]
    rebuild: bool
    """Whether it can only be removed and made again: a node's address cannot be changed."""


class Work(NamedTuple):
    """Everything that a push would do."""

    plan: Plan
    creates: tuple[Object, ...]
    updates: tuple[Update, ...]
    removes: tuple[Key, ...]
    leftovers: tuple[Key, ...]
    """Marked objects that the farm does not have any more, and that stay without `--prune`."""
    unchanged: tuple[Object, ...]
    refusals: tuple[DeviceError, ...]

    @property
    def keys(self) -> set[Key]:
        """The objects that it touches."""
        made = {(one.kind, one.path) for one in self.creates}
        return made | {(update.wanted.kind, update.wanted.path) for update in self.updates} | set(self.removes)


def read(device: Device, partition: str, kinds: Iterable[str]) -> State:
    """The device's objects of these kinds in the partition, and all of its nodes."""
    wanted = {*kinds, "ltm node"}
    asked = {str(kind): (path_of(kind), _query(kind, partition)) for kind in KINDS if kind in wanted}
    found: dict[Key, Mapping[str, Value]] = {}
    for kind, collection in device.get_all(asked).items():
        for item in items(collection):
            path = str(item.get("fullPath") or item.get("name"))
            found[kind, path] = seen(kind, _deepened(device, kind, item))
    nodes = {path: str(values["address"]) for (kind, path), values in found.items() if kind == "ltm node"}
    return State(*settled(found, nodes, partition, lambda _: _route_domains(device)))


def _route_domains(device: Device) -> dict[str, int]:
    """The default route domain of each partition; 0 for those that the user may not see."""
    answer = device.look(path_of("auth partition"), "the partitions")
    found = items(answer.data) if answer.status == 200 else []
    return {str(item["name"]): int(item.get("defaultRouteDomain", 0)) for item in found}


def _query(kind: str, partition: str) -> str:
    query = [] if kind in _READ_EVERYWHERE else [f"$filter=partition+eq+{partition}"]
    return "&".join([*query, *["expandSubcollections=true"] * (kind in _EXPANDED)])


def items(collection: Any) -> list[dict[str, Any]]:
    """The items of a collection; an empty one has no such key at all."""
    items = collection.get("items", []) if isinstance(collection, dict) else []
    return [item for item in items if isinstance(item, dict)]


def _deepened(device: Device, kind: str, item: dict[str, Any]) -> dict[str, Any]:
    """A policy with the actions and conditions of its rules, which some versions do not expand."""
    if kind != "ltm policy":
        return item
    for rule in items(item.get("rulesReference")):
        for part in ("actions", "conditions"):
            reference = rule.get(f"{part}Reference")
            if isinstance(reference, dict) and reference.get("isSubcollection") and "items" not in reference:
                path = f"{path_of(kind, item['fullPath'])}/rules/{rule['name']}/{part}"
                rule[f"{part}Reference"] = device.get(path, f"{kind} {item['fullPath']}")
    return item


# Planning.


def marked(kind: str, values: Mapping[str, Value], mark: str) -> bool:
    """Whether an object carries the farm's mark: its description, or the first line of a rule."""
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
    """What turns the state into what is wanted; `absent` is what must not be there (a restored snapshot says so).

    A `tenant` is a partition of AS3, which can share no node with another one.
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
    refusals = (*_foreign(device, wanted, state, mark, adopt=adopt), *addresses)
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
    """Nodes and virtual servers that hold the address of one that is wanted under another name."""
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
        whose = str(found.get("description", "none"))
        owner = f"belongs to the farm {whose[7:]}" if whose.startswith("nlbgen:") else "was not made by nlbgen"
        yield DeviceError(
            f"{device}: {one.kind} {one.path} is there and {owner}",
            "take it over with --adopt, or give the farm or the node another name",
        )


def _addresses(
    device: str, wanted: Sequence[Object], state: State, removes: Sequence[Key], *, tenant: bool
) -> Iterator[DeviceError]:
    for one in wanted:
        address = str(one.properties.get("address"))
        holder = state.addresses.get(address) if one.kind == "ltm node" else None
        if holder and holder != one.path and ("ltm node", holder) not in removes:
            yield DeviceError(
                f"{device}: ltm node {one.path}: the address {address} belongs to the node {holder}",
                f"a device has one node for an address: {_way_to_share(one.path, holder, tenant=tenant)}",
            )


def _way_to_share(wanted: str, holder: str, *, tenant: bool) -> str:
    """How a farm gets at an address that another node has. A farm's nodes lie in its own partition."""
    _, partition, *folders, name = holder.split("/")
    if folders:
        return "remove that node, which lies in a folder that no spec can name"
    steps = ["take f5.api: rest"] * tenant
    if tenant or partition != wanted.split("/")[1]:
        steps.append(f"write f5.partition: {partition}, where that node is")
    steps.append(f"call the node {name} in the spec, and take it over with --adopt if it is not this farm's")
    return f"remove that node if nothing needs it; or {', '.join(steps)}"


def thinned(state: State, updates: Iterable[Update]) -> Iterator[str]:
    """Pools that would lose more than half of the members that take requests now."""
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


# What a reader sees.


def _created(device: str, creates: Sequence[Object]) -> Iterator[Change]:
    for one in creates:
        content = json.dumps(one.properties, sort_keys=True)
        number = len(one.properties)
        shown = Shown(f"new, {number} propert{'y' if number == 1 else 'ies'}", identity=_hash(content))
        yield Change(device, f"{one.kind} {one.path}", None, shown)


def _updated(device: str, updates: Sequence[Update]) -> Iterator[Change]:
    for update in updates:
        for each in update.differs:
            path = f"{update.wanted.kind} {update.wanted.path}: {each.path}"
            yield Change(device, path, _shown(each.old), _shown(each.new))


def _removed(device: str, removes: Sequence[Key]) -> Iterator[Change]:
    for kind, path in removes:
        yield Change(device, f"{kind} {path}", Shown("is not in the farm any more"), None)


def _shown(value: str | None) -> Shown | None:
    if value is None:
        return None
    plain = " ".join(value.split())
    return Shown(plain if len(plain) <= 120 else f"{plain[:117]}...", identity=_hash(value))


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


# Steps.


def steps(todo: Work, state: State) -> list[Step]:
    """The commands of the transaction, in their order."""
    rebuilt = {update.wanted.path for update in todo.updates if update.rebuild}
    going = rebuilt | {path for kind, path in todo.removes if kind == "ltm node"}
    made: list[Step] = [*_members_out(todo, state, going)]
    made += [_delete("ltm node", path) for path in sorted(going)]
    # Nothing names a virtual server, and another one may need its destination.
    made += [_delete(kind, path) for kind, path in todo.removes if kind == "ltm virtual"]
    made += _forward(todo, state, going)
    made += [_delete(kind, path) for kind, path in todo.removes if kind not in {"ltm node", "ltm virtual"}]
    return made


def _members_out(todo: Work, state: State, going: set[str]) -> Iterator[Step]:
    """Members that go, or whose node goes (and which come back with the new one)."""
    doomed = {key for key in todo.removes if key[0] == "ltm pool"}
    for (kind, path), values in sorted(state.found.items()):
        if kind != "ltm pool" or (not going and (kind, path) not in todo.keys):
            continue
        new = _new_members(todo, path)
        for name in sorted(_names(values.get("members"))):
            gone = new is not None and name not in new and (kind, path) not in doomed
            if gone or member_node(name) in going:
                yield Step("DELETE", f"{path_of(kind, path)}/members/{segment(name)}", None, f"{kind} {path}: {name}")


def _new_members(todo: Work, path: str) -> set[str] | None:
    for update in todo.updates:
        if update.wanted.kind == "ltm pool" and update.wanted.path == path:
            return _names(update.wanted.properties.get("members"))
    return None


def _names(members: "Value | None") -> set[str]:
    return set(members) if isinstance(members, Mapping) else set()


def _forward(todo: Work, state: State, going: set[str]) -> Iterator[Step]:
    updates = {(update.wanted.kind, update.wanted.path): update for update in todo.updates}
    kept = {(one.kind, one.path): one for one in todo.unchanged}
    wanted = {
        **{(one.kind, one.path): one for one in todo.creates},
        **{key: u.wanted for key, u in updates.items()},
        **kept,
    }
    for key in sorted(wanted, key=lambda each: (KINDS.index(each[0]), each[1])):
        one = wanted[key]
        if key not in state.found or (key in updates and updates[key].rebuild):
            yield Step("POST", path_of(one.kind), body(one), f"{one.kind} {one.path}")
            continue
        yield from _changed(one, updates[key].differs if key in updates else ())
        if one.kind == "ltm pool":
            yield from _members_in(one, _names(state.found[key].get("members")), going, updates.get(key))


def _changed(one: Object, differs: Sequence[Difference]) -> Iterator[Step]:
    keys = sorted({each.key for each in differs if one.kind != "ltm pool" or each.key != "members"})
    if keys:
        yield Step("PATCH", path_of(one.kind, one.path), properties(one, keys), f"{one.kind} {one.path}")


def _members_in(one: Object, there: set[str], going: set[str], update: Update | None) -> Iterator[Step]:
    """Members that come, come back with a new node, or change; those that stay keep their connections."""
    members = mapping(one.properties["members"])
    pool = path_of(one.kind, one.path)
    touched = {each.path.split(" ")[1] for each in update.differs if each.key == "members"} if update else set()
    for name, listed in sorted(members.items()):
        member = mapping(listed)
        about = f"{one.kind} {one.path}: {name}"
        if name not in there or member_node(name) in going:
            yield Step("POST", f"{pool}/members", member_body(name, member), about)
        elif name in touched:
            fixed = {key: value for key, value in member.items() if key not in {"address", "fqdn"}}
            sent = {key: value for key, value in member_body(name, fixed).items() if key != "name"}
            yield Step("PATCH", f"{pool}/members/{segment(name)}", sent, about)


def _delete(kind: str, path: str) -> Step:
    return Step("DELETE", path_of(kind, path), None, f"{kind} {path}")
