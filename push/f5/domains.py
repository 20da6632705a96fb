"""Route domains: the suffix `%2` of an address on a BIG-IP.

A spec has no route domains: its addresses belong to the default route domain of `f5.partition`. A device omits that
domain in most answers and includes it in others (f5-cccl's pull request 196; the `source` of virtual servers, in issue
83 of F5's Terraform provider). An address without a domain belongs to the default domain of the object's own partition.
Two nodes with the same address in different domains are two machines.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ...generators.f5.vocabulary import Value

Found = Mapping[tuple[str, str], Mapping[str, Value]]
"""Objects in tmsh's words, by kind and path."""
_DOMAIN: Final = re.compile(r"%(\d+)")
_KEYS: Final = frozenset({"address", "destination", "source"})


def settled(
    found: Found, nodes: Mapping[str, str], partition: str, defaults: Callable[[Iterable[str]], Mapping[str, int]]
) -> tuple[Found, dict[str, str]]:
    """Return the objects with addresses as the partition writes them, and the node of each address.

    `nodes` has the path and the address of every node. `defaults` returns the default domains of partitions. It is not
    called if no address has a route domain and no other partition has nodes.
    """
    folders = {path.split("/")[1] for path in nodes} | {partition}
    telling = any("%" in text for values in found.values() for text in _texts(values))
    if folders == {partition} and not telling and not any("%" in address for address in nodes.values()):
        return found, {address: path for path, address in nodes.items()}
    known = defaults(sorted(folders))
    own = known.get(partition, 0)
    addresses = {_seen_from(own, address, known.get(path.split("/")[1], 0)): path for path, address in nodes.items()}
    return {key: _without(values, own) for key, values in found.items()}, addresses


def _texts(values: Mapping[str, Value]) -> Iterable[str]:
    for key, value in values.items():
        if key in _KEYS and isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _texts(value)


def _seen_from(own: int, address: str, default: int) -> str:
    """Return the address as a partition with the default domain `own` writes it."""
    plain, _, domain = address.partition("%")
    number = int(domain) if domain.isdecimal() else default
    return plain if number == own else f"{plain}%{number}"


def _without(values: Mapping[str, Value], own: int) -> dict[str, Value]:
    """Return the properties without the partition's own route domain."""
    made: dict[str, Value] = {}
    for key, value in values.items():
        if key in _KEYS and isinstance(value, str):
            made[key] = _DOMAIN.sub(lambda match: "" if int(match[1]) == own else match[0], value)
        else:
            made[key] = _without(value, own) if isinstance(value, Mapping) else value
    return made
