"""The nodes, from the members of the farm's pools and the node objects."""

from collections.abc import Sequence
from math import gcd
from typing import Final

from ...generators.f5.pools import MOST_RATIO
from ...readers.f5.model import Member
from ...readers.f5.objects import Item, block_of, full_path, properties, words_of
from ...readers.tree import Statement
from ..shared import node_name
from ..values import problem_of
from .listen import portless
from .source import Source, all_of, number

_MOST_WEIGHT: Final = 256
_ENABLED: Final = frozenset(("user-enabled", "monitor-enabled", "up", "down", "user-up", "unchecked", "checking"))


def take(source: Source) -> None:
    """Take the members of the web pool as nodes, and account for those of further pools."""
    source.account.taken(source.roles.web.item.statement, "nodes")
    for virtual in source.roles.virtuals:
        source.taken(virtual.item, "pool", "nodes")
    members = [(one, host) for one in source.roles.web.members if (host := _host(source, one))]
    seen: set[tuple[str, int | None]] = set()
    names: set[str] = set()
    taken: list[Member] = []
    for member, host in members:
        key = (host.lower(), member.endpoint.port)
        if key in seen:
            source.account.given_up(member.statement, f"{host} is already a node")
            continue
        seen.add(key)
        name = node_name(source.account, member.statement, member.endpoint.host, len(taken), names)
        names.add(name.lower())
        _node(source, member, host, f"nodes[{len(taken)}]", name)
        taken.append(member)
    source.members = tuple(taken)
    _states(source)
    _weights(source)
    _limits(source)
    for pool in source.roles.pools[1:]:
        for statement in (one for member in pool.members for one in member.statement.walk()):
            source.account.implied(statement, "the same node in another pool")


def node_of(source: Source, member: Member) -> Item | None:
    """The node object of a member."""
    folder, _, name = full_path(member.statement.words[0].text).rpartition("/")
    # The name of a node with a route domain has it (`10.0.0.1%2`).
    stem = name.rpartition("." if name.count(":") > 1 else ":")[0] or name
    found = (source.model.items.get(("ltm node", f"{folder}/{one}")) for one in (stem, member.endpoint.host))
    return next((one for one in found if one), None)


def _host(source: Source, member: Member) -> str:
    """The address or the name of a node; empty, and the member is given up, if a spec cannot have it."""
    node = node_of(source, member)
    host = member.address or (node.text("address").partition("%")[0] if node else "")
    for statement in (member.statement, *all_of(node.statement if node else None)):
        host = host or "".join(word.text for word in words_of(_fqdn(statement), "name") if word.text != "none")
    if not host or (problem := problem_of("nodes[0].address", host)):
        why = f"{host}: {problem}" if host else "no address found: neither the pool member nor its node object has one"
        source.account.given_up(member.statement, why)
        return ""
    return host


def _fqdn(statement: Statement) -> Statement:
    return Statement(statement.words, block_of(statement, "fqdn"))


def _node(source: Source, member: Member, host: str, path: str, name: str) -> None:
    values, account, statement = source.values, source.account, member.statement
    values.take(f"{path}.name", name, statement)
    values.take(f"{path}.address", host, statement)
    default = 443 if values.get("frontend.tls.mode") in {"bridge", "passthrough"} else 80
    port = member.endpoint.port or values.get("frontend.port") or source.roles.main.destination.port or default
    if port != default:
        values.take(f"{path}.port", port, statement)
    if not member.endpoint.port:
        why = f"{portless(member.endpoint.port)}: nlbgen sends the node's requests to port {port}"
        account.given_up(statement, why)
    _domain(source, member.endpoint.route_domain, statement)
    for one in (statement, *all_of(node.statement if (node := node_of(source, member)) else None)):
        account.taken(one, f"{path}.address")
        for found in properties(one):
            _property(source, found.name, found.values[0].text if found.values else "", found.statement, path)


def _domain(source: Source, domain: str, statement: Statement) -> None:
    if domain not in {"", "0"}:
        source.account.given_up(
            statement, f"route domain {domain}: nlbgen uses the default route domain of f5.partition"
        )


def _property(source: Source, name: str, text: str, statement: Statement, path: str) -> None:
    """Account for a property of a member or of its node."""
    if name == "address":
        _domain(source, text.partition("%")[2], statement)
        source.account.taken(statement, f"{path}.address")
    elif name == "fqdn":
        source.account.taken(statement, f"{path}.address")
        for one in statement.inside:
            if one.name == "name" and one.arguments != ("none",):
                source.account.taken(one, f"{path}.address")
            elif one.arguments == ("enabled",):
                source.account.given_up(
                    one, "nlbgen treats a name as one node: add --node NAME=ADDRESS for each address"
                )
            else:
                source.account.implied(one, "the device resolves the name to one address")
    elif name in {"session", "state"} and text in _ENABLED:
        source.account.implied(statement, "the monitors set this state")


def _words(source: Source, member: Member) -> list[tuple[str, Statement]]:
    """The words of `session` and `state`, of the member and of its node."""
    node = node_of(source, member)
    return [
        (word.text, found.statement)
        for statement in (member.statement, *all_of(node.statement if node else None))
        for found in properties(statement)
        if found.name in {"session", "state"}
        for word in found.values
    ]


def _states(source: Source) -> None:
    """Take the states. If nlbgen's own farm has no node that is up, it is closed."""
    words = [_words(source, member) for member in source.members]
    found = [{word for word, _ in one} for one in words]
    if source.farm and found and all("user-down" in one for one in found):
        statements = [statement for one in words for word, statement in one if word not in _ENABLED]
        source.values.take("balancer.maintenance.state", "closed", *statements)
        return
    reserve = _reserve(source)
    for index, member in enumerate(source.members):
        state = "down" if "user-down" in found[index] else "drain" if "user-disabled" in found[index] else ""
        path = f"nodes[{index}].state"
        if state:
            source.values.take(path, state, *(one for word, one in words[index] if word not in _ENABLED))
        elif member in reserve:
            source.values.take(path, "backup", *_written(member, "priority-group"))


def _written(member: Member, name: str) -> list[Statement]:
    return [one.statement for one in properties(member.statement) if one.name == name]


def _reserve(source: Source) -> list[Member]:
    """The members that serve only if others cannot: those of a lower priority group, if there is a threshold."""
    item, members = source.roles.web.item, source.members
    least = number(item.text("min-active-members")) or 0
    groups = sorted({one.priority for one in members}, reverse=True)
    if not least or len(groups) < 2:
        for statement in (one for member in members for one in _written(member, "priority-group")):
            source.account.implied(statement, "priority groups are off, or all members have the same priority")
        source.implied(item, "min-active-members", "priority groups are off, or all members have the same priority")
        return []
    source.taken(item, "min-active-members", "nodes")
    if least > 1:
        why = f"backup nodes get requests if fewer than {least} others are up; in a spec, only if no other node is up"
        source.given_up(item, "min-active-members", why)
    for member in members:
        for statement in _written(member, "priority-group"):
            source.account.taken(statement, "nodes")
            if member.priority not in (groups[0], groups[1]):
                source.account.given_up(statement, "all backup nodes have the same priority")
    return [one for one in members if one.priority != groups[0]]


def _weights(source: Source) -> None:
    """Take the ratios, if the mode of the pool uses them."""
    mode = source.roles.web.item.text("load-balancing-mode")
    ratios = [_ratio(source, member) for member in source.members]
    used = mode.startswith(("ratio", "dynamic-ratio")) and len({ratio for ratio, _ in ratios}) > 1
    shares = _shares([ratio for ratio, _ in ratios]) if used else []
    for index, (_, statements) in enumerate(ratios):
        if used:
            source.values.take(f"nodes[{index}].weight", shares[index], *statements)
        else:
            for statement in statements:
                source.account.implied(statement, "all nodes have the same weight")


def _ratio(source: Source, member: Member) -> tuple[int, list[Statement]]:
    if source.roles.web.item.text("load-balancing-mode").endswith("-member"):
        return member.ratio, _written(member, "ratio")
    node = node_of(source, member)
    text = node.text("ratio") if node else ""
    return (number(text) or 1), [*all_of(source.property(node, "ratio") if node else None)]


def _shares(ratios: Sequence[int]) -> list[int]:
    """Weights that nlbgen renders as these ratios: larger ones if it divided them to stay below F5's limit."""
    if gcd(*ratios) == 1 or max(ratios) < MOST_RATIO:
        return [*ratios]
    for most in range(MOST_RATIO + 1, _MOST_WEIGHT + 1):
        choices = [[one for one in range(1, most + 1) if max(1, one * MOST_RATIO // most) == ratio] for ratio in ratios]
        if all(choices):
            found = [most if ratio == MOST_RATIO else one[0] for ratio, one in zip(ratios, choices, strict=True)]
            for index, one in enumerate(choices):
                for other in one if ratios[index] != MOST_RATIO else ():
                    tried = [*found[:index], other, *found[index + 1 :]]
                    if gcd(*tried) == 1:
                        return tried
    return [*ratios]


def _limits(source: Source) -> None:
    found = [
        (one.values[0].text, one.statement)
        for member in source.members
        for one in properties(member.statement)
        if one.name == "connection-limit" and one.values
    ]
    limits = {text for text, _ in found}
    statements = [one for _, one in found]
    if limits <= {"0"}:
        for statement in statements:
            source.account.implied(statement, "no limit")
    elif len(limits) == 1 and len(found) == len(source.members) and (limit := number(limits.pop())) is not None:
        source.values.take("balancer.limits.requests_per_node", limit, *statements)
        source.account.given_up_all(
            statements, "the limit also counts idle connections: nlbgen renders no limit for a BIG-IP"
        )
    else:
        source.account.given_up_all(statements, "the limit is the same for all nodes in a spec, and differs here")
