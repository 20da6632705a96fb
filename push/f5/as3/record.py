"""Restore AS3's record of a tenant from a snapshot.

The record contains paths of certificate files. If a certificate was renewed after the snapshot, its old file is
missing, and the record gets the path of the current file.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ....generators.f5.vocabulary import Object, mapping

_POINTERS: Final = {"Certificate": "certificate", "CA_Bundle": "bundle"}
"""For each class with a file: the property that contains its path."""


def renewed(record: Mapping[str, Any], then: Iterable[Object], kept: Iterable[Object]) -> dict[str, Any]:
    """Return the record in which the `kept` profiles have their current certificates instead of those of `then`."""
    before = {(one.kind, one.path): one for one in then}
    made: dict[str, dict[str, Any]] = {}
    for one in kept:
        made |= _replaced(before[one.kind, one.path], one)
    return {key: _with(value, made) for key, value in record.items()}


def _replaced(then: Object, now: Object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path of each replaced file, and the new declaration for it."""
    old, new = then.properties.get("ca-file", "none"), now.properties.get("ca-file", "none")
    if old != new:
        yield str(old), {"class": "CA_Bundle", "bundle": {"bigip": new}}
    chains = then.properties.get("cert-key-chain", {}), now.properties.get("cert-key-chain", {})
    if chains[0] != chains[1]:
        for was, each in zip(*(mapping(chain).values() for chain in chains), strict=False):
            yield str(was["cert"]), _certificate(each)


def _certificate(entry: Mapping[str, Any]) -> dict[str, Any]:
    made = {"class": "Certificate", "certificate": {"bigip": entry["cert"]}, "privateKey": {"bigip": entry["key"]}}
    if entry.get("chain", "none") != "none":
        made["chainCA"] = {"bigip": entry["chain"]}
    return made


def _with(part: object, made: Mapping[str, dict[str, Any]]) -> object:
    if not isinstance(part, Mapping):
        return part
    pointer = part.get(_POINTERS.get(str(part.get("class")), ""))
    named = pointer.get("bigip") if isinstance(pointer, Mapping) else None
    return (
        made[named]
        if isinstance(named, str) and named in made
        else {key: _with(value, made) for key, value in part.items()}
    )
