"""NGINX's upstreams: one for each kind of request, with the nodes, their failures and the affinity."""

from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import accumulate, count, takewhile
from typing import Any, Final, NamedTuple
from zlib import crc32

from ...spec.units import Duration
from ..base import Job
from ..design import COOKIE, Member, Pool

OUT_FOR: Final = Duration.of("10s")
"""How long a node gets no requests after failed ones."""
SOCKETS_OUT_FOR: Final = Duration.of("5s")
"""How long a node gets no WebSockets after a failed check; then the next WebSocket's check tries it again."""
SOCKET_FAILS: Final = 1
"""Failed checks after which a node gets no WebSockets: a WebSocket that a hanging node gets would never fail."""
ZONE_KB, ZONE_KB_PER_NODE = 128, 4
"""Shared memory of an upstream: NGINX needs at least 32 kB, and less than 1 kB per server; a node is at most two."""

_ALGORITHMS: Final = {"least-connections": "least_conn;", "round-robin": "", "source": "hash $remote_addr consistent;"}
_HASH_VALUES: Final = 0x8000
"""How many values NGINX's hash of a key has."""
_HASH_DRAWS: Final = 20
"""How often NGINX hashes a key again for another node, before it takes the next one in turn."""
_FULL_SHARE: Final = 10
"""The share of a node in a hash, where a drained or backup node has 1."""


_FALLBACKS: Final = 4
"""How many other nodes share the clients of a node that is down, at most: each gets a quarter of them or more."""
_KEY_LENGTHS: Final = 16
"""The lengths of the numbers of keys that are tried."""
_PERCENT: Final = 10_000
"""The parts of `split_clients`, which has two decimals."""


class Owner(NamedTuple):
    """A node that a cookie can name: its value there, and the keys whose hash selects the node.

    While the node is down, each key leads to another node.
    """

    tag: str
    keys: Sequence[str]
    endpoint: str


def upstreams(job: Job) -> list[dict[str, Any]]:
    """The upstreams of the template: web, SignalR and WebSockets; under passthrough only the first one.

    Where a hash selects the node, NGINX allows no backup servers. There the upstream `any` follows.
    """
    design = job.design
    if design.passthrough:
        return [_upstream(job, design.web, "web", design.balancer.health.fall, OUT_FOR)]
    fall = design.balancer.health.fall
    sockets = design.signalr._replace(name=f"{job.farm.farm}_websocket")
    made = [
        _upstream(job, design.web, "web", fall, OUT_FOR),
        _upstream(job, design.signalr, "signalr", fall, OUT_FOR),
        _upstream(job, sockets, "websocket", SOCKET_FAILS, SOCKETS_OUT_FOR),
    ]
    if any(pool["rescued"] for pool in made):
        algorithm = "round-robin" if design.balancer.algorithm == "source" else design.balancer.algorithm
        last = Pool(f"{job.farm.farm}_any", algorithm, "none")
        spare = any(member.state == "backup" for member in design.members)
        made.append(_upstream(job, last, "any", fall if spare else 0, OUT_FOR))
    return made


def affinity(job: Job) -> dict[str, Any] | None:
    """Affinity by cookie without `sticky cookie`: the cookie's value of each node, and its share of new clients."""
    if job.has("affinity-cookie") or not _by_cookie(job):
        return None
    named = owners(job.design.members)
    keys = {owner.tag: owner.keys[0] for owner in named}
    taking = _taking(job.design.members)
    parts = range(len(named[0].keys))
    return {
        "cookie": COOKIE,
        "owners": named,
        "parts": _shared([str(part) for part in parts], [1 for _ in parts]) if len(parts) > 1 else [],
        "shares": _shared([keys[member.tag] for member in taking], [member.weight for member in taking]),
        "names_nodes": any(member.is_name for member in job.design.members),
        "secure": job.farm.balancer_tls,
    }


def _shared(values: Sequence[str], weights: Sequence[int]) -> list[tuple[str, str]]:
    """Return the share of each value for `split_clients`, by weight."""
    total = sum(weights)
    shares = [f"{max(1, _PERCENT * weight // total) / 100:.2f}%" for weight in weights[:-1]]
    return list(zip([*shares, "*"], values, strict=True))


def owners(members: Sequence[Member]) -> list[Owner]:
    """The nodes that a cookie can name, each with keys that NGINX's `hash` leads to it."""
    hashed = _hashed(members)
    ends = list(accumulate(_shares(hashed)))
    taking = _taking(hashed)
    spare = {index for index, member in enumerate(hashed) if member not in taking}
    number = min(_FALLBACKS, max(1, len(taking) - 1))
    return [
        Owner(member.tag, keys_of(member.tag, index, ends, spare, number), member.endpoint)
        for index, member in enumerate(hashed)
    ]


def keys_of(
    tag: str, index: int, ends: Sequence[int], spare: AbstractSet[int] = frozenset(), number: int = 1
) -> list[str]:
    """Texts `TAG.NUMBER` that lead to the server with this index; `ends` is the sum of weights up to each.

    While this server is down, each of these keys leads to another server, and to the servers in `spare` only after all
    others. `number` keys need as many other servers that are not spare.
    """
    others = spare - {index}
    found: dict[int, str] = {}
    candidates = _candidates(tag, lengths=1 if number == 1 else _KEY_LENGTHS)
    while len(found) < number:
        key = next(candidates)
        if next(draws(key, ends)) != index:
            continue
        order = list(draws(key, ends))
        second = next((server for server in order if server != index), index)
        if _spares_last(order, len(ends), others) and second not in found and (second != index or len(ends) == 1):
            found[second] = key
    return list(found.values())


def _candidates(tag: str, lengths: int) -> Iterator[str]:
    """Texts `TAG.NUMBER`, with leading zeros for more lengths.

    CRC is linear: for texts of one length, the first draw determines the second one modulo a power of two. So with four
    servers, all texts of one length that lead to a server have the same second server.
    """
    return (f"{tag}.{text}" if lengths == 1 else f"{tag}.{text // lengths:0{text % lengths + 1}d}" for text in count())


def draws(key: str, ends: Sequence[int]) -> Iterator[int]:
    """Yield the servers that NGINX tries for a key, in this order.

    Source: ngx_http_upstream_hash_module.c, `hash` without `consistent`.
    """
    total = 0
    for draw in range(_HASH_DRAWS):
        total += crc32(f"{draw or ''}{key}".encode()) >> 16 & (_HASH_VALUES - 1)
        yield bisect(ends, total % ends[-1])


def _spares_last(order: Sequence[int], servers: int, spare: AbstractSet[int]) -> bool:
    """Whether the order has every other server before the first spare one."""
    before = list(takewhile(lambda server: server not in spare, order))
    return len(before) == len(order) or len(set(before)) == servers - len(spare)


def _by_cookie(job: Job) -> bool:
    return "cookie" in {job.design.web.affinity, job.design.signalr.affinity}


def _taking(members: Iterable[Member]) -> list[Member]:
    """The nodes that get new clients: the backups, if no node is up."""
    every = list(members)
    up = [member for member in every if member.state == "up"]
    return up or [member for member in every if member.state == "backup"]


def _hashed(members: Iterable[Member]) -> list[Member]:
    """The nodes of a hash by cookie: a drained node keeps the clients that it has, a backup node takes over."""
    return [member for member in members if member.state != "down"]


def _shares(hashed: Sequence[Member]) -> list[int]:
    """The weights in a hash: small ones for nodes that get no clients of a node that is down while another serves."""
    taking = _taking(hashed)
    full = min(_FULL_SHARE, _HASH_VALUES // len(hashed)) if len(taking) < len(hashed) else 1
    return [full if member in taking else 1 for member in hashed]


def _upstream(job: Job, pool: Pool, kind: str, fails: int, out_for: Duration) -> dict[str, Any]:
    members = job.design.members
    native = pool.affinity == "cookie" and job.has("affinity-cookie")
    mapped = pool.affinity == "cookie" and not native
    hashed = mapped or "source" in {pool.affinity, pool.algorithm}
    method = "hash $nlb_key;" if mapped else _ALGORITHMS["source" if hashed else pool.algorithm]
    fails = fails if _takes_over(members) else 0
    limits = f" max_fails={fails} fail_timeout={out_for}"
    if mapped:
        named = _hashed(members)
        servers = [_line(member, share, limits) for member, share in zip(named, _shares(named), strict=True)]
    else:
        servers = [_server(job, member, limits, sticky=native) for member in members]
    again = not hashed and fails and not any(member.state == "backup" for member in members)
    return {
        "kind": kind,
        "name": pool.name,
        "method": method,
        "sticky": native,
        "cookie": COOKIE,
        "secure": job.farm.balancer_tls,
        "servers": servers,
        "again": [_server(job, one, " backup max_fails=0", sticky=False) for one in _taking(members)] if again else [],
        "mapped": mapped,
        "spare": mapped and len(_taking(members)) < len(_hashed(members)),
        "rescued": hashed and fails > 0,
    }


def _server(job: Job, member: Member, limits: str, *, sticky: bool) -> dict[str, str]:
    if member.state == "drain":
        limits += " drain" if sticky else " down"
    elif member.state == "down":
        limits += " down"
    elif member.state == "backup":
        # No node takes over from the last ones: they must never be marked down.
        limits = " backup max_fails=0"
    return _line(member, member.weight // job.design.weight_unit, limits)


def _line(member: Member, share: int, parameters: str) -> dict[str, str]:
    shown = f" weight={share}" if share != 1 else ""
    name = member.name if member.state == "up" else f"{member.name}, {member.state}"
    return {"name": name, "line": f"server {member.endpoint}{shown}{parameters};"}


def _takes_over(members: Sequence[Member]) -> bool:
    """Whether another node can take over; if not, the only node must never be marked down."""
    return sum(member.state in {"up", "backup"} for member in members) > 1
