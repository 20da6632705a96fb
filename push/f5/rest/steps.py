"""The commands of a push as requests of iControl REST."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ....generators.f5.vocabulary import Object, mapping
from ..compare import body, member_body, properties
from ..order import Command
from .icontrol import path_of, segment

_METHODS: Final = {"create": "POST", "change": "PATCH", "remove": "DELETE"}


class Step(NamedTuple):
    """One request of a transaction."""

    method: str
    path: str
    body: Mapping[str, Any] | None
    about: str


def steps(commands: Iterable[Command]) -> list[Step]:
    """Return one request for each command."""
    return [Step(_METHODS[one.verb], _path(one), _body(one), one.about) for one in commands]


def _path(one: Command) -> str:
    if one.member:
        members = f"{path_of(one.kind, one.path)}/members"
        return members if one.verb == "create" else f"{members}/{segment(one.member)}"
    return path_of(one.kind) if one.verb == "create" else path_of(one.kind, one.path)


def _body(one: Command) -> Mapping[str, Any] | None:
    if one.wanted is None:
        return None
    if one.member:
        return _member_body(one.wanted, one.member, is_new=one.verb == "create")
    return body(one.wanted) if one.verb == "create" else properties(one.wanted, sorted(one.keys))


def _member_body(pool: Object, name: str, *, is_new: bool) -> Mapping[str, Any]:
    member = mapping(mapping(pool.properties["members"])[name])
    if is_new:
        return member_body(name, member)
    changeable = {key: value for key, value in member.items() if key not in {"address", "fqdn"}}
    return {key: value for key, value in member_body(name, changeable).items() if key != "name"}
