"""The order of a push's commands, the same for REST and SOAP.

The order follows the references between objects. First the push removes the members and nodes whose addresses are
needed. Then it removes virtual servers that are no longer part of the farm. Then it creates and changes objects in the
order of creation. Finally, it removes all other objects in the opposite order.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from ...generators.f5.generator import member_node
from ...generators.f5.vocabulary import KINDS, Object, Value, mapping
from .plan import Key, State, Update, Work

Verb = Literal["create", "change", "remove"]


class Command(NamedTuple):
    """One command of a transaction, for an object or for one `member` of a pool."""

    verb: Verb
    kind: str
    path: str
    wanted: Object | None = None
    """The wanted object; None if the command removes it."""
    keys: frozenset[str] = frozenset()
    """The properties that the command changes."""
    member: str = ""

    @property
    def about(self) -> str:
        """The name of the object, or of its member, in messages."""
        return f"{self.kind} {self.path}{f': {self.member}' if self.member else ''}"


def commands(todo: Work, state: State) -> list[Command]:
    """Return the commands of the plan, in their order."""
    rebuilt = {update.wanted.path for update in todo.updates if update.rebuild}
    going = rebuilt | {path for kind, path in todo.removes if kind == "ltm node"}
    return [
        *_members_out(todo, state, going),
        *(Command("remove", "ltm node", path) for path in sorted(going)),
        # No object refers to a virtual server, and another one may need its destination.
        *(Command("remove", kind, path) for kind, path in todo.removes if kind == "ltm virtual"),
        *_forward(todo, state, going),
        *_back_in(todo, state, rebuilt),
        *(Command("remove", kind, path) for kind, path in todo.removes if kind not in {"ltm node", "ltm virtual"}),
    ]


def _members_out(todo: Work, state: State, going: set[str]) -> Iterator[Command]:
    """Yield the removal of members that the farm does not have, and of members whose node is replaced or removed."""
    doomed = {path for kind, path in todo.removes if kind == "ltm pool"}
    updates = {update.wanted.path: update.wanted for update in todo.updates if update.wanted.kind == "ltm pool"}
    for (kind, path), values in sorted(state.found.items()):
        if kind != "ltm pool":
            continue
        there = _names(values.get("members"))
        gone = {name for name in there if member_node(name) in going}
        if path in updates and path not in doomed:
            gone |= there - _names(updates[path].properties.get("members"))
        yield from (Command("remove", kind, path, member=name) for name in sorted(gone))


def _forward(todo: Work, state: State, going: set[str]) -> Iterator[Command]:
    """Yield the commands that create or change objects, in the order of creation."""
    updates: dict[Key, Update] = {(update.wanted.kind, update.wanted.path): update for update in todo.updates}
    wanted = (*todo.creates, *(update.wanted for update in todo.updates), *todo.unchanged)
    for one in sorted(wanted, key=lambda each: (KINDS.index(each.kind), each.path)):
        update = updates.get((one.kind, one.path))
        if (one.kind, one.path) not in state.found or (update and update.rebuild):
            yield Command("create", one.kind, one.path, one, frozenset(one.properties))
            continue
        is_pool = one.kind == "ltm pool"
        keys = frozenset(each.key for each in update.differs) if update else frozenset()
        if keys - ({"members"} if is_pool else set()):
            yield Command("change", one.kind, one.path, one, keys - ({"members"} if is_pool else set()))
        if is_pool:
            yield from _members(one, _names(state.found[one.kind, one.path].get("members")), going, update)


def _members(one: Object, there: set[str], going: set[str], update: Update | None) -> Iterator[Command]:
    """Yield the commands for new and changed members, and for members with a new node; the others keep connections."""
    touched = {each.path.split(" ")[1] for each in update.differs if each.key == "members"} if update else set()
    for name in sorted(mapping(one.properties["members"])):
        if name not in there or member_node(name) in going:
            yield Command("create", one.kind, one.path, one, member=name)
        elif name in touched:
            yield Command("change", one.kind, one.path, one, member=name)


def _back_in(todo: Work, state: State, rebuilt: set[str]) -> Iterator[Command]:
    """Yield the members to add again to pools outside the plan, because their node is replaced."""
    planned = {one.path for one in (*todo.creates, *todo.unchanged) if one.kind == "ltm pool"}
    planned |= {path for kind, path in todo.keys if kind == "ltm pool"}
    for (kind, path), values in sorted(state.found.items()):
        if kind != "ltm pool" or path in planned:
            continue
        pool = Object(kind, path, {"members": _without_addresses(values.get("members"))})
        back = sorted(name for name in _names(pool.properties["members"]) if member_node(name) in rebuilt)
        yield from (Command("create", kind, path, pool, member=name) for name in back)


def _without_addresses(members: "Value | None") -> dict[str, Value]:
    """Return the members without `address` and `fqdn`: they get these from their new node."""
    return {
        name: {key: value for key, value in mapping(member).items() if key not in {"address", "fqdn"}}
        for name, member in (members.items() if isinstance(members, Mapping) else ())
    }


def _names(members: "Value | None") -> set[str]:
    return set(members) if isinstance(members, Mapping) else set()
