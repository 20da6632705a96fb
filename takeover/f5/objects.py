"""The objects of a configuration that belong to the farm: its virtual servers, and all that they refer to."""

from collections.abc import Iterator

from ...readers.f5.model import Model, Pool, Virtual
from ...readers.f5.objects import Item, full_path
from .choice import Roles


def objects_of(model: Model, roles: Roles) -> list[Item]:
    """The objects of the farm, each once."""
    found = [*_of_virtuals(model, roles), *(one for pool in roles.pools for one in _of_pool(model, pool))]
    with_parents = [other for one in found for other in model.parents(one)]
    return list({(one.kind, one.path): one for one in with_parents}.values())


def _of_virtuals(model: Model, roles: Roles) -> Iterator[Item]:
    hosts = {virtual.destination.host for virtual in roles.virtuals}
    for item in model.of_kind("ltm virtual-address"):
        if item.path.rpartition("/")[2].partition("%")[0] in hosts:
            yield item
    for virtual in roles.virtuals:
        yield virtual.item
        yield from _named(model, virtual)


def _named(model: Model, virtual: Virtual) -> Iterator[Item]:
    for profile in virtual.profiles:
        if profile.item is not None:
            yield profile.item
            yield from _ciphers(model, profile.item)
    kinds = [("ltm persistence", path) for path in virtual.persistence]
    kinds += [("ltm rule", path) for path in virtual.rules]
    kinds += [("ltm policy", full_path(one.name)) for one in virtual.item.entries("policies")]
    kinds += [
        ("ltm snatpool", full_path(word.text))
        for one in virtual.item.block("source-address-translation")
        if one.name == "pool"
        for word in one.words[1:2]
    ]
    for kind, path in kinds:
        item = model.named(kind, path)
        if item is not None:
            yield item


def _ciphers(model: Model, item: Item) -> Iterator[Item]:
    group = model.items.get(("ltm cipher group", full_path(item.text("cipher-group") or "none")))
    if group is not None:
        yield group
        for one in group.block("allow"):
            rule = model.items.get(("ltm cipher rule", full_path(one.name)))
            if rule is not None:
                yield rule


def _of_pool(model: Model, pool: Pool) -> Iterator[Item]:
    yield pool.item
    for member in pool.members:
        name = full_path(member.statement.words[0].text)
        folder, _, last = name.rpartition("/")
        stem = last.rpartition("." if last.count(":") > 1 else ":")[0]
        for one in dict.fromkeys((stem, member.endpoint.host)):
            node = model.items.get(("ltm node", f"{folder}/{one}"))
            if node is not None:
                yield node
    for path in pool.monitors:
        monitor = model.named("ltm monitor", path)
        if monitor is not None:
            yield monitor
            profile = model.named("ltm profile server-ssl", full_path(monitor.text("ssl-profile") or "none"))
            if profile is not None:
                yield profile
