"""The members of the web pool as nodes: names, addresses, ports, weights, states."""

from collections.abc import Mapping
from typing import Final

from ...generators.nginx.upstreams import ZONE_KB, ZONE_KB_PER_NODE
from ...readers.nginx.upstreams import Member
from ...readers.tree import Statement
from ..shared import numbered_name
from ..values import problem_of
from .source import Source

_TAKEN: Final = frozenset({"weight", "max_fails", "down", "drain", "backup", "slow_start", "max_conns"})
_IMPLIED: Final = {
    "route": "nlbgen sets the cookie's value of each node",
    "id": "nlbgen sets the cookie's value of each node",
}
_GIVEN_UP: Final = {
    "resolve": "nlbgen's NGINX resolves names when it starts or reloads",
    "service": "nlbgen's NGINX has no SRV records: write the ports of the nodes",
}
_OUT_FOR: Final = {"10s", "10", ""}
_PLAIN_PORT: Final = 80
_TLS_PORT: Final = 443


def take(source: Source) -> None:
    """Take the members of the web pool as nodes, and account for the words of every server line of the farm."""
    pool = source.node_pool
    members = [(one, host) for one in pool.members if (host := _host(source, one))]
    weighted = any("weight" in one.parameters for one, _ in members)
    seen: set[tuple[str, str]] = set()
    names: set[str] = set()
    for member, host in members:
        if member.key in seen:
            _again(source, member)
            continue
        seen.add(member.key)
        index = len(source.members)
        name = _name(source, member, host, index, names)
        names.add(name.lower())
        _node(source, member, host, index, name)
        _weight(source, member, f"nodes[{index}].weight", weighted=weighted)
        source.members = (*source.members, member)
    for further in source.roles.pools:
        for member in further.members:
            if further is not pool and not source.account.has(member.statement):
                source.account.implied(member.statement, "the same node in another pool")
            _words(source, member)
    _absent(source)
    _open(source)


def _host(source: Source, member: Member) -> str:
    """The address of a member without brackets; empty, and given up, if no spec can have it."""
    host = member.host.strip("[]")
    problem = problem_of("nodes[0].address", host)
    if problem:
        source.account.given_up(member.statement, f"{member.host}: {problem}")
    return "" if problem else host


def _again(source: Source, member: Member) -> None:
    if member.backup:
        source.account.implied(member.statement, "the same nodes again, used when all others are marked down")
    else:
        source.account.given_up(member.statement, f"{member.host}:{member.port} is already a node")


def _note(source: Source, member: Member) -> tuple[str, str]:
    """The name and the state of a node, which the comments of nlbgen's own file have."""
    location = member.statement.location
    text = source.comments.get((location.file, location.line), "") if source.made_by_nlbgen else ""
    name, _, state = text.partition(", ")
    return name, state


def _name(source: Source, member: Member, host: str, index: int, used: set[str]) -> str:
    """The name in the comment of nlbgen's own file, the first label of a host name, or a number."""
    own, _ = _note(source, member)
    label = "" if host.replace(".", "").isdigit() or ":" in host else host.partition(".")[0]
    for name in (own, label):
        if name and not problem_of("nodes[0].name", name) and name.lower() not in used:
            return name
    return numbered_name(index, used)


def _node(source: Source, member: Member, host: str, index: int, name: str) -> None:
    path, values, statement = f"nodes[{index}]", source.values, member.statement
    values.take(f"{path}.name", name, statement)
    values.take(f"{path}.address", host, statement)
    default = _TLS_PORT if values.get("frontend.tls.mode") in {"bridge", "passthrough"} else _PLAIN_PORT
    port = member.port or str(_PLAIN_PORT)
    if port != str(default):
        source.number(f"{path}.port", port, statement)
    state = _state(source, member)
    if state != "up":
        values.take(f"{path}.state", state, statement)


def _state(source: Source, member: Member) -> str:
    _, noted = _note(source, member)
    if source.roles.main.stream and source.values.get("balancer.maintenance.state") == "closed":
        source.account.implied(member.statement, "while the farm is closed, all nodes are down")
        return "up"
    if noted or source.made_by_nlbgen:
        return noted or "up"
    if "drain" in member.parameters:
        return "drain"
    if member.down:
        return "down"
    return "backup" if member.backup else "up"


def _weight(source: Source, member: Member, path: str, *, weighted: bool) -> None:
    weight = member.parameters.get("weight")
    if weight is not None:
        source.number(path, weight, member.statement)
    elif weighted:  # NGINX's default beside servers with a weight
        source.values.take(path, 1, member.statement)


def _words(source: Source, member: Member) -> None:
    """Account for each parameter of a server line."""
    account = source.account
    for name, value in member.parameters.items():
        if name in _TAKEN:
            continue
        if name == "fail_timeout":
            _fail_timeout(source, member, value)
        elif name in _IMPLIED:
            account.implied(member.statement, _IMPLIED[name])
        elif name in _GIVEN_UP:
            account.given_up(member.statement, f"{name}: {_GIVEN_UP[name]}")
        else:
            account.not_understood(member.statement, name)


def _fail_timeout(source: Source, member: Member, value: str) -> None:
    what = "a failed node gets no requests for 10s"
    if value in _OUT_FOR or source.made_by_nlbgen:
        source.account.implied(member.statement, what)
    else:
        source.account.given_up(member.statement, f"fail_timeout={value}: {what}")


def _absent(source: Source) -> None:
    """Note the nodes that nlbgen's own file does not list: a hash has no place for one that is down."""
    if source.made_by_nlbgen is None:
        return
    for line in source.node_pool.own("zone"):
        size = "".join(line.arguments[1:2]).removesuffix("k")
        known = (int(size) - ZONE_KB) // ZONE_KB_PER_NODE if size.isdecimal() else 0
        missing = known - len(source.members)
        if missing > 0:
            source.notes.append(f"{missing} of {known} nodes are `down`, and not in the file: add them to farm.yaml")


def _open(source: Source) -> None:
    """Note why the farm can have further nodes."""
    for pool in source.roles.pools:
        if pool.unknown:
            source.account.given_up(pool.statement, f"{pool.unknown}: add --node NAME=ADDRESS for each node")
            if pool.members:
                source.notes.append(f"{pool.statement.location}: there can be more nodes: {pool.unknown}")


def common(source: Source, name: str) -> tuple[str, tuple[Statement, ...]] | None:
    """The value that a parameter has for every node, with the lines; None if there is none, or nodes differ."""
    members = [one for one in source.members if not _is_spare(source, one)]
    found = [one for one in members if name in one.parameters]
    texts = {one.parameters[name] for one in found}
    statements = tuple(one.statement for one in found)
    if len(texts) == 1 and len(found) == len(members):
        return texts.pop(), statements
    source.account.given_up_all(statements, f"{name}: it is the same for all nodes in a spec, and differs here")
    return None


def _is_spare(source: Source, member: Member) -> bool:
    """Whether nlbgen's own file gives the line other parameters, because no node takes over from the last ones."""
    return source.made_by_nlbgen is not None and member.backup


def words_of(statement: Statement) -> Mapping[str, str]:
    """The `name=value` words of a statement."""
    return {name: value for name, _, value in (word.partition("=") for word in statement.arguments)}
