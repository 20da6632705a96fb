"""The model of a BIG-IP's configuration: virtual servers with their profiles, pools with members and monitors.

What a rule or an import asks:

- `Model.virtuals`: destination, pools (its own and those of its policies; those that its iRules name), profiles by
  kind, persistence, SNAT, iRules.
- `Model.pools`: members with their addresses, ports and states; monitors.
- `Model.effective(item, name)`: the value of a property after `defaults-from`, down to the built-in objects.

Clone pools and the pools of traffic that is only copied have no part in it. Every part has its `Item`, so that each
word keeps its location.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..tree import Configuration, Statement
from . import builtin
from .endpoints import Endpoint, endpoint
from .objects import Item, block_of, full_path, items, properties, words_of

_DEEPEST: Final = 32
"""The most parents of parents that are followed; a device has a few."""
_POOL_IN_RULE: Final = re.compile(r"\bpool\s+(/[\w./-]+|[\w.-]+)")
_TCL_COMMENT: Final = re.compile(r"^\s*#.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a pool. `address` is empty if only a host name or nothing is known of it."""

    statement: Statement
    endpoint: Endpoint
    address: str
    enabled: bool
    priority: int
    ratio: int


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool; `monitors` are the full paths of its monitors."""

    item: Item
    members: tuple[Member, ...]
    monitors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile of a virtual server. `item` is None if it is built in, or if the file does not have it."""

    path: str
    kind: str
    context: str
    statement: Statement
    item: Item | None


@dataclass(frozen=True, slots=True)
class Virtual:
    """A virtual server. `pools` are the full paths of its pool and of those of its policies.

    `rule_pools` are the other pools that its iRules name: a rule can use one as the last resort.
    """

    item: Item
    destination: Endpoint
    pools: tuple[str, ...]
    rule_pools: tuple[str, ...]
    profiles: tuple[Profile, ...]
    persistence: tuple[str, ...]
    rules: tuple[str, ...]
    snat: str
    enabled: bool

    def of_kind(self, kind: str) -> tuple[Profile, ...]:
        """The profiles of a kind, such as `tcp`."""
        return tuple(one for one in self.profiles if one.kind == f"ltm profile {kind}")


@dataclass(frozen=True, slots=True)
class Model:
    """All objects of a configuration, in the order of the file; paths are full (`/Common/NAME`)."""

    items: Mapping[tuple[str, str], Item]
    kinds: tuple[str, ...]
    virtuals: tuple[Virtual, ...]
    pools: Mapping[str, Pool]
    rules: Mapping[str, str] = field(default_factory=dict)
    """The code of each iRule, without its comments."""

    def of_kind(self, kind: str) -> tuple[Item, ...]:
        """The objects of a kind."""
        return tuple(item for (found, _), item in self.items.items() if found == kind)

    def named(self, begin: str, path: str) -> Item | None:
        """The object of this path whose kind begins like this (`ltm monitor`)."""
        found = (self.items.get((kind, path)) for kind in self.kinds if kind.startswith(begin))
        return next((item for item in found if item is not None), None)

    def effective(self, item: Item, name: str) -> str | None:
        """The value of a property, its own or inherited; None if a parent is not in the file and not built in."""
        for one in self.parents(item):
            if value := one.text(name):
                return value
        return self.beyond(item, name)

    def parents(self, item: Item) -> Iterator[Item]:
        """Yield an object and those from which it inherits, the nearest first: at most _DEEPEST, and each once.

        Parents can form a circle, and a long chain for each of many profiles would take quadratic time.
        """
        seen: set[str] = set()
        found: Item | None = item
        while found is not None and found.path not in seen and len(seen) < _DEEPEST:
            seen.add(found.path)
            yield found
            found = self.items.get((found.kind, _parent(found)))

    def beyond(self, item: Item, name: str) -> str | None:
        """The value of a property after the last parent in the file: a built-in one; None if it is not known."""
        *_, last = self.parents(item)
        path = _parent(last)
        return None if (last.kind, path) in self.items else self.built_in(last.kind, path, name)

    def built_in(self, kind: str, path: str, name: str) -> str | None:
        """The value of a property of a built-in object; an empty path is the one without a parent."""
        kinds = builtin.MONITORS if kind.startswith("ltm monitor") else builtin.KINDS
        if path and kinds.get(path) != kind:
            return None
        return builtin.EXCEPTIONS.get(path, {}).get(name) or builtin.VALUES.get(kind, {}).get(name)

    def value(self, profile: Profile, name: str) -> str | None:
        """The value of a property of a virtual server's profile."""
        if profile.item is not None:
            return self.effective(profile.item, name)
        return self.built_in(profile.kind, profile.path, name)


def _parent(item: Item) -> str:
    """The path of the object from which an object inherits; empty if it inherits from none."""
    name = item.text("defaults-from")
    return full_path(name) if name not in {"", "none"} else ""


def model(configuration: Configuration) -> Model:
    """Build the model of what `readers.f5.reader` returned."""
    found = {(item.kind, item.path): item for item in items(configuration.statements)}
    by_path = {
        path: item for (kind, path), item in found.items() if kind.startswith(("ltm profile", "ltm persistence"))
    }
    nodes = {item.path: item.text("address") for (kind, _), item in found.items() if kind == "ltm node"}
    rules = {path: _code(item) for (kind, path), item in found.items() if kind == "ltm rule"}
    policies = {path: item for (kind, path), item in found.items() if kind == "ltm policy"}
    return Model(
        found,
        tuple(dict.fromkeys(kind for kind, _ in found)),
        tuple(_virtual(item, by_path, rules, policies) for (kind, _), item in found.items() if kind == "ltm virtual"),
        {path: _pool(item, nodes) for (kind, path), item in found.items() if kind == "ltm pool"},
        rules,
    )


def _code(item: Item) -> str:
    """The code of an iRule without comments."""
    return _TCL_COMMENT.sub("", item.statement.inside[0].words[0].text) if item.statement.inside else ""


def _pool(item: Item, nodes: Mapping[str, str]) -> Pool:
    members = tuple(_member(one, nodes) for one in item.entries("members"))
    words = [word.text for word in item.words("monitor")]
    names = [word for word in words if word not in {"and", "min", "of", "none", "default"} and not word.isdigit()]
    names += [word.text for word in item.listed("monitor")]
    return Pool(item, members, tuple(full_path(name) for name in names))


def _member(statement: Statement, nodes: Mapping[str, str]) -> Member:
    name = statement.words[0].text
    found = endpoint(name)
    folder = full_path(name).rpartition("/")[0]
    address = "".join(word.text for word in words_of(statement, "address")) or nodes.get(f"{folder}/{found.host}", "")
    if not address and found.is_address:
        address = found.host
    states = {word.text for key in ("session", "state") for word in words_of(statement, key)}
    return Member(
        statement,
        found,
        address.partition("%")[0],
        not states & {"user-disabled", "user-down"},
        _number(statement, "priority-group", 0),
        _number(statement, "ratio", 1),
    )


def _number(statement: Statement, name: str, otherwise: int) -> int:
    text = "".join(word.text for word in words_of(statement, name))
    return int(text) if text.isascii() and text.isdigit() else otherwise


def _virtual(
    item: Item, by_path: Mapping[str, Item], rules: Mapping[str, str], policies: Mapping[str, Item]
) -> Virtual:
    used_rules = tuple(full_path(word.text) for word in item.listed("rules"))
    names = dict.fromkeys(map(full_path, (*_pool_names(item), *_policy_pools(item, policies))))
    by_rule = dict.fromkeys(map(full_path, _rule_pools(used_rules, rules)))
    persistence = [*(one.name for one in item.entries("persist")), item.text("fallback-persistence")]
    translation = (one for one in item.statement.inside if one.name == "source-address-translation")
    snat = "".join(word.text for one in translation for word in words_of(one, "type"))
    return Virtual(
        item,
        endpoint(item.text("destination")),
        tuple(names),
        tuple(name for name in by_rule if name not in names),
        tuple(_profiles(item, by_path)),
        tuple(full_path(name) for name in persistence if name not in {"", "none"}),
        used_rules,
        snat or ("automap" if item.text("snat") == "automap" else ""),
        not any(one.name == "disabled" for one in properties(item.statement)),
    )


def _pool_names(item: Item) -> Iterator[str]:
    if (name := item.text("pool")) not in {"", "none"}:
        yield name


def _policy_pools(item: Item, policies: Mapping[str, Item]) -> Iterator[str]:
    """The pools to which the policies of a virtual server forward."""
    for used in item.entries("policies"):
        policy = policies.get(full_path(used.name))
        for rule in policy.block("rules") if policy else ():
            for action in block_of(rule, "actions"):
                for word in words_of(action, "pool")[:1]:
                    yield word.text


def _rule_pools(used: Iterable[str], rules: Mapping[str, str]) -> Iterator[str]:
    """The pools that iRules name; a name by a variable is not known."""
    for path in used:
        yield from _POOL_IN_RULE.findall(rules.get(path, ""))


def _profiles(item: Item, by_path: Mapping[str, Item]) -> Iterator[Profile]:
    for one in item.block("profiles"):
        for word in one.words if one.block is None else one.words[:1]:
            path = full_path(word.text)
            found = by_path.get(path)
            context = "".join(text.text for text in words_of(one, "context")) or "all"
            kind = found.kind if found else builtin.KINDS.get(path, "")
            yield Profile(path, kind, context, one, found)
