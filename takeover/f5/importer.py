"""From the configuration of a BIG-IP to the values of a spec."""

import re
from collections.abc import Iterator
from typing import Final

from ...core.errors import UnsupportedError
from ...generators.base import generator, render
from ...generators.f5.vocabulary import NAMED
from ...readers.f5 import as3, tmsh
from ...readers.f5.model import model
from ...readers.f5.objects import items
from ...readers.text import Source as Text
from ...readers.tree import Configuration, Statement
from ...spec.load import Spec
from ...spec.units import Version
from ..account import Account
from ..draft import MISSING, Draft, Members
from . import balancing, catalog, checks, declaration, hosts, irules, listen, nodes, tls
from .choice import choose, farm_of, roles_of
from .header import header_of
from .objects import objects_of
from .outline import outline, without_defaults
from .source import Source

_NOT_HELD: Final = ("the files of the certificates", "the order of the nodes", "balancer.timeouts")
"""What no configuration of a BIG-IP has, beside what no configuration has."""
_MOST_UNREAD: Final = 10
_IN_MEMBER: Final = 2
"""The words before the property of a member: `members`, and the member."""
Key = tuple[str, ...]


def take(configuration: Configuration, source: str, frontend: str = "") -> Draft:
    """Take over what the configuration has; `frontend` is the name of the virtual server.

    A declaration of AS3 is read as the objects that AS3 makes. Raises UsageError if no virtual server has a pool with
    members, or if several could be the farm's.
    """
    found = model(configuration)
    main = choose(found, source, frontend)
    used = (found.items.get(("ltm rule", path)) for path in main.rules)
    code = outline(configuration, {item.location for item in used if item})
    roles = roles_of(found, main, _rules(code))
    of_farm = {item.location for item in objects_of(found, roles)}
    told = outline(configuration, of_farm)
    rules, declared = _rules(told), as3.is_from_declaration(configuration)
    if declared:
        told = without_defaults(told)
    taken = Source(found, Account(told, by_location=declared), roles, header_of(configuration), rules)
    taken.of_farm = frozenset(of_farm)
    for part in (listen, hosts, tls):
        part.take(taken)
    balancing.take_maintenance(taken)
    for part in (nodes, checks, balancing):
        part.take(taken)
    balancing.take_all_failed(taken)
    _own(taken)

    def close(account: Account, spec: Spec) -> None:
        _close(taken, told, account, spec)
        if declared:
            declaration.close(taken, told)

    members = Members("pool member", tuple(one.statement for one in roles.web.members))
    notes = (*(() if declared else _unread(configuration)), *_notes(taken))
    return Draft(taken.account, taken.values, close, notes, members, (*MISSING, *_NOT_HELD))


def _rules(outlined: Configuration) -> dict[str, tuple[Statement, ...]]:
    """The commands of each iRule by its path; none for an iRule that is not the farm's."""
    return {item.path: item.statement.inside for item in items(outlined.statements) if item.kind == "ltm rule"}


def _unread(configuration: Configuration) -> Iterator[str]:
    """What the reader did not understand, such as an iRule whose braces do not match."""
    yield from (f"{one.location}: {one.reason}" for one in configuration.unread[:_MOST_UNREAD])
    if len(configuration.unread) > _MOST_UNREAD:
        yield f"{len(configuration.unread) - _MOST_UNREAD} more parts of the file are not understood"


def _own(source: Source) -> None:
    """Take what only nlbgen's own objects show."""
    if source.farm:
        source.values.take("farm", source.farm)
    accepted = [one for one in source.header.missing if one != "f5-vip"]
    if source.header.farm and Version(source.header.version).parts[:2] > generator("f5").newest.parts[:2]:
        accepted.append("f5-version")
    if accepted:
        source.values.take("accept", accepted)


def _close(source: Source, told: Configuration, account: Account, spec: Spec) -> None:
    """Account for the lines that nlbgen writes itself for this spec, and for those that the catalogue knows."""
    _other_objects(source, told)
    irules.policies(source)
    written = _written(spec)
    for top, statement, key in _keyed(told):
        if not account.has(statement) and key in written and top.location in source.of_farm:
            account.implied(statement, "nlbgen writes the same line")
    irules.close(source)
    _profiles(source)
    for _, statement, key in _keyed(told):
        if not account.has(statement):
            _known(account, statement, key)


def _written(spec: Spec) -> set[Key]:
    try:
        rendered = render(generator("f5"), spec)
    except UnsupportedError:
        return set()
    found: set[Key] = set()
    for file in rendered:
        if file.main:
            read = tmsh.parse(Text("", file.content))
            whole = outline(Configuration("f5", read.statements), {one.location for one in read.statements})
            found = {key for _, _, key in _keyed(whole)}
    return found


def _keyed(configuration: Configuration) -> Iterator[tuple[Statement, Statement, Key]]:
    """Each object and statement with the words that lead to it. Names of entries count only for the entry itself."""
    kinds = {item.location: item.kind for item in items(configuration.statements)}
    for top in configuration.statements:
        kind = kinds.get(top.location, top.name)
        yield top, top, (kind, top.words[-1].text)
        for statement, key in _inside(top, (kind,), named=False):
            yield top, statement, key


def _inside(statement: Statement, above: Key, *, named: bool) -> Iterator[tuple[Statement, Key]]:
    for one in statement.inside:
        yield one, (*above, *(word.text for word in one.words))
        yield from _inside(one, (*above, "*" if named else one.name), named=one.name in NAMED)


def _other_objects(source: Source, told: Configuration) -> None:
    """Account for the objects that are not the farm's."""
    redis = f"{source.farm}_"
    marked = {item.location for item in items(told.statements) if farm_of(item) == source.farm or redis in item.path}
    for statement in told.statements:
        if statement.location in source.of_farm or (statement.block is None and len(statement.words) < 2):
            continue
        known = catalog.other(statement)
        if not source.farm and _is_used(source, statement):
            source.account.not_understood(statement, "the farm's iRules use it")
            continue
        if source.farm and statement.location in marked:
            known = catalog.Known("given up", "another key of the spec makes it: stores.redis.sentinel")
        catalog.note(source.account, statement, known)


def _is_used(source: Source, statement: Statement) -> bool:
    """Whether an iRule of the farm names a data group, a file, or an iRule with procedures."""
    words = [word.text for word in statement.words]
    name = words[-1].rpartition("/")[2]
    named = words[:2] in (["ltm", "data-group"], ["ltm", "rule"], ["ltm", "ifile"], ["sys", "ifile"])
    return named and any(
        re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", source.model.rules.get(rule, ""))
        for virtual in source.roles.virtuals
        for rule in virtual.rules
    )


def _profiles(source: Source) -> None:
    """Account for the profiles that the virtual servers name."""
    for virtual in source.roles.virtuals:
        for profile in virtual.profiles:
            known = catalog.head_of(profile.kind)
            if known and virtual in source.roles.redirects:
                known = catalog.Known("implied", "the virtual server of the redirect has F5's built-in profiles")
            if known is None:
                continue
            for statement in profile.statement.walk():
                if not source.account.has(statement):
                    catalog.note(source.account, statement, known)


def _known(account: Account, statement: Statement, key: Key) -> None:
    kind, *rest = key
    if [*rest[:1]] == ["profiles"] and len(rest) > 1:
        return  # a profile of a kind that is not known
    if statement.words[-1].text == "none" and len(statement.words) == 2:
        account.implied(statement, "no value")
        return
    if len(rest) == 1 and statement.words[0].text in kind.split():
        known = catalog.head_of(kind)
    else:
        member = kind == "ltm pool" and rest[0] == "members" and len(rest) > _IN_MEMBER
        known = catalog.property_of("member" if member else kind, rest[_IN_MEMBER if member else 0])
    if known is not None:
        catalog.note(account, statement, known)


def _notes(source: Source) -> list[str]:
    """What to know about the choice of the virtual server and about values that are guessed."""
    notes: list[str] = []
    if source.farm:
        return notes
    main = source.roles.main.item
    others = [one for one in source.model.virtuals if one not in source.roles.virtuals and one.pools]
    if others:
        names = ", ".join(f"{one.item.path} ({one.item.location})" for one in others[:10])
        rest = f" and {len(others) - 10} more" if len(others) > 10 else ""
        notes.append(f"the farm is {main.path}; not taken over: {names}{rest}")
    rest = f"remove {main.path} before you load the new objects, or give another --address"
    notes.append(f"a device refuses two virtual servers with one destination: {rest}")
    if not source.header.version:
        notes.append("the file does not contain the version of TMOS: verify f5.version")
    if listen.by_as3(source):
        notes.append(
            f"AS3 made {main.path}: when its objects are no longer in use, remove its declaration. AS3 then also "
            "removes the certificates"
        )
    return notes
