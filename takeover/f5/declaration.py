"""What only a declaration of AS3 has: its own keys beside the properties of a BIG-IP."""

from collections.abc import Iterator
from typing import Final

from ...readers.f5.model import Virtual
from ...readers.f5.objects import full_path
from ...readers.tree import Configuration, Statement
from . import catalog
from .source import Source

_ENABLED: Final = catalog.Known("implied", "nlbgen enables the object")
_DISABLED: Final = catalog.Known("given up", "nlbgen enables the object")
_ONE_NAME: Final = catalog.Known(
    "given up", "nlbgen treats a name as one node: add --node NAME=ADDRESS for each address"
)
_RESOLVED: Final = catalog.Known("implied", "the device resolves the name to one address")
_SAME: Final = catalog.Known("implied", "nlbgen writes the same line")
_USED: Final = catalog.Known("implied", "the objects that the virtual server uses")
_POLICY: Final = ("ltm", "policy")


def close(source: Source, told: Configuration) -> None:
    """Account for the keys of AS3 that are still open; those that the catalogue does not know stay open."""
    used = {path for virtual in source.roles.virtuals for path in _used(virtual)}
    for top in told.statements:
        in_policy = tuple(word.text for word in top.words[:2]) == _POLICY
        for statement in top.walk():
            known = _known(source, statement, in_policy=in_policy)
            if known is None and statement.name in used:
                known = _USED
            for one in statement.walk() if known and not source.account.has(statement) else ():
                if known and not source.account.has(one):
                    catalog.note(source.account, one, known)


def _known(source: Source, statement: Statement, *, in_policy: bool) -> catalog.Known | None:
    if statement.name == "enable":
        return _ENABLED if statement.arguments == ("true",) else _DISABLED
    if statement.name == "autoPopulate":
        return _ONE_NAME if statement.arguments == ("true",) else _RESOLVED
    if in_policy and statement.name in catalog.AS3_POLICY:
        return catalog.AS3_POLICY[statement.name]
    if (
        source.farm
        and statement.name == "pool"
        and statement.words[-1].text == f"{source.folder}/{source.farm}_unchecked"
    ):
        return _SAME
    return catalog.AS3_PROPERTIES.get(statement.name)


def _used(virtual: Virtual) -> Iterator[str]:
    yield from (*virtual.rules, *virtual.persistence)
    yield from (full_path(one.name) for one in virtual.item.entries("policies"))
