"""What a declaration of AS3 has beside the objects that `as3` makes of it, as statements with the names of the JSON."""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from ...core.errors import Location
from ..tree import Statement, Word
from .json_text import Member, Value

MODULE: Final = "as3"
"""The first word of objects that are no objects of a BIG-IP: tenants, applications, certificates."""


def text_of(value: Value) -> str:
    """A scalar as JSON writes it, without quotes."""
    return str(value.scalar).lower() if isinstance(value.scalar, bool) else str(value.scalar)


def whole(kind: str, path: str, location: Location, members: Iterable[Member]) -> Statement:
    """An object with all given members, such as `as3 Certificate /T/A/site`."""
    words = tuple(Word(word, location) for word in (MODULE, kind or "object", path))
    return Statement(words, tuple(_member(one) for one in members))


def completed(made: Statement, value: Value) -> Statement:
    """The object with a statement for each member of the JSON value that no word of it stands for."""
    seen = {word.location for one in made.walk() for word in one.words}
    return Statement(made.words, (*made.inside, *_missing(value.members or (), seen)))


def scalars(value: Value) -> Iterator[Member]:
    """The members that are no mapping."""
    return (one for one in value.members or () if one.value.members is None)


def _missing(members: Iterable[Member], seen: Collection[Location]) -> Iterator[Statement]:
    for one in members:
        if one.location in seen or one.value.location in seen:
            if not _is_pointer(one.value):
                yield from _missing_inside(one.value, seen)
        elif not any(location in seen for location in _locations(one.value)):
            yield _member(one)
        else:
            yield from _missing_inside(one.value, seen, one.name)


def _missing_inside(value: Value, seen: Collection[Location], name: str = "") -> Iterator[Statement]:
    yield from _missing(value.members or (), seen)
    for item in value.items or ():
        if item.members is not None and not (item.location in seen and _is_pointer(item)):
            yield from _missing(item.members, seen)
        elif name and item.members is None and item.location not in seen:
            yield Statement((Word(name, item.location), Word(text_of(item), item.location)))


def _is_pointer(value: Value) -> bool:
    """Whether a value names another object: its word has the location of the value."""
    return [one.name for one in value.members or ()] in (["use"], ["bigip"])


def _locations(value: Value) -> Iterator[Location]:
    yield value.location
    for one in value.members or ():
        yield one.location
        yield from _locations(one.value)
    for item in value.items or ():
        yield from _locations(item)


def _member(one: Member) -> Statement:
    return _statement(Word(one.name, one.location), one.value)


def _statement(name: Word, value: Value) -> Statement:
    if value.members is not None:
        return Statement((name,), tuple(map(_member, value.members)))
    if value.items is None:
        return Statement((name, Word(text_of(value), value.location)))
    if all(item.members is None and item.items is None for item in value.items):
        return Statement((name, *(Word(text_of(item), item.location) for item in value.items)))
    return Statement(
        (name,), tuple(_statement(Word(str(at), item.location), item) for at, item in enumerate(value.items))
    )
