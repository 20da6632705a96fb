"""The blocks of an nginx.conf that belong to the farm: where clients connect, and the nodes that serve them."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ...core.errors import Location
from ...readers.nginx import roles as reader_roles
from ...readers.nginx.model import Model, Proxied, Target
from ...readers.nginx.scopes import Scope
from ...readers.nginx.upstreams import Member, Upstream
from ...readers.nginx.variables import DEFINING, Variables
from ...readers.tree import Statement

_DIRECT: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:/$]+)(?::(?P<port>[0-9]{1,5}))?\Z")
_LIVE: Final = re.compile(r"signalr|hubs?\b|websocket|(?<![a-z])wss?(?![a-z])", re.IGNORECASE)
_REFUSALS: Final = frozenset({"400", "403", "404", "410", "421", "444", "503"})
_PAGE: Final = "<h1>Maintenance</h1>"


class Pool(NamedTuple):
    """The nodes behind a `proxy_pass`: an upstream, or a host that the `proxy_pass` names."""

    name: str
    statement: Statement
    members: tuple[Member, ...]
    upstream: Upstream | None
    unknown: str
    """Why there can be members that the file does not show; empty if there are none."""

    @property
    def keys(self) -> frozenset[tuple[str, str]]:
        """The hosts and ports of the members."""
        return frozenset(one.key for one in self.members)

    def own(self, name: str) -> tuple[Statement, ...]:
        """The directives of this name in the upstream."""
        return self.upstream.own(name) if self.upstream else ()


@dataclass(frozen=True)
class Site:
    """One `server` with its pools."""

    scope: Scope
    stream: bool
    pages: Proxied | None
    """The block for all paths that no other block serves; None while the farm is closed."""
    live: tuple[Proxied, ...]
    """Blocks of their own for SignalR or WebSockets."""
    pools: tuple[Pool, ...]
    """The pool of the pages first, then that of the live connections, then others."""

    @property
    def members(self) -> frozenset[tuple[str, str]]:
        """The members of the first pool."""
        return self.pools[0].keys if self.pools else frozenset()


@dataclass(frozen=True)
class Roles:
    """The parts of a configuration."""

    main: Site
    web: Pool
    live: Pool | None
    further: tuple[Pool, ...]
    """Pools with the same nodes."""
    twins: tuple[Scope, ...]
    """Other servers that send requests to the same nodes."""
    redirects: tuple[Scope, ...]
    refusing: tuple[Scope, ...]
    """Servers that refuse requests for other names."""
    statistics: tuple[Scope, ...]
    others: tuple[Scope, ...]
    unused: tuple[Statement, ...]
    """Upstreams that are not the farm's."""

    @property
    def pools(self) -> tuple[Pool, ...]:
        """The pools with the farm's nodes, the web pool first."""
        return (self.web, *([self.live] if self.live else []), *self.further)


class Found(NamedTuple):
    """The model with what it does not hold: the parts of `stream`."""

    http: Model
    upstreams: Mapping[str, Upstream]
    variables: Variables
    streams: tuple[Scope, ...]


def streams_of(model: Model, unread: Collection[Location]) -> Found:
    """Add the upstreams and variables of the `stream` blocks."""
    blocks = tuple(one for one in model.main.inner if one.kind == "stream")
    inside = [inner for one in blocks for inner in one.inner]
    upstreams = {
        inner.path: Upstream.of(inner.statement, unread)
        for inner in inside
        if inner.kind == "upstream" and inner.statement is not None
    }
    defining = (one for one in inside if one.kind in DEFINING)
    return Found(model, upstreams, Variables.of(defining, model.stream_servers, unread), blocks)


def sites_of(found: Found, farm: str) -> list[Site]:
    """The servers that send requests to nodes."""
    return [*_http_sites(found, farm), *_stream_sites(found)]


def names_of(site: Site) -> list[str]:
    """The words by which a user can choose a server: its names, its addresses, its upstreams."""
    words = [one.arguments for one in site.scope.own("server_name")]
    words += [one.arguments[:1] for one in site.scope.own("listen")]
    names = [name for found in words for name in found if name != "_"]
    return [*names, *(pool.name for pool in site.pools)]


def roles_of(found: Found, farm: str, sites: Sequence[Site], chosen: Sequence[Site]) -> Roles:
    """The parts of the farm: the chosen server of nlbgen's own farm, otherwise the one with the most nodes."""
    main = max(chosen, key=lambda one: _rank(one, farm))
    web, *others = main.pools
    own = {one.name: one for one in _own(found, farm)}
    rest = [*own.values(), *(one for one in others if one.name not in own)]
    live = next((one for one in rest if one.name in own or any(_leads_to(to, one) for to in main.live)), None)
    same = [one for one in rest if one.name in own or (one.members and one.keys <= web.keys)]
    further = tuple(one for one in same if one is not live)
    names = {one.name for one in (web, *([live] if live else []), *further) if one.upstream}
    servers = [one for one in (*found.http.servers, *found.http.stream_servers) if one is not main.scope]
    twins = tuple(one.scope for one in sites if one is not main and one.members and one.members <= web.keys)
    rest_of = [one for one in servers if one not in twins]
    redirects = tuple(one for one in rest_of if redirects_in(one))
    plain = [one for one in rest_of if one not in redirects and not _proxies(one)]
    statistics = tuple(one for one in plain if any("stub_status" in inner.own_by_name for inner in one.walk()))
    refusing = tuple(one for one in plain if one not in statistics and _refuses(one))
    known = {*twins, *redirects, *refusing, *statistics}
    foreign = tuple(one for one in servers if one not in known)
    upstreams = found.upstreams if main.stream else found.http.upstreams
    mine = {id(one.statement) for name, one in upstreams.items() if name in names}
    every = (*found.upstreams.values(), *found.http.upstreams.values())
    unused = tuple(one.statement for one in every if id(one.statement) not in mine)
    return Roles(main, web, live, further, twins, redirects, refusing, statistics, foreign, unused)


def _rank(site: Site, farm: str) -> tuple[bool, bool, int, bool, bool]:
    own = bool(farm) and any(pool.name == f"{farm}_web" for pool in site.pools)
    return own, is_web(site), len(site.members), bool(site.live), is_secure(site.scope)


def is_web(site: Site) -> bool:
    """Whether clients of a site speak HTTP or HTTPS, as far as its ports show."""
    if not site.stream:
        return True
    words = [word for one in site.scope.own("listen") for word in one.arguments]
    return any(re.search(r"(^|:)443\Z", word) for word in words) or bool(site.scope.effective("ssl_preread"))


def is_secure(scope: Scope) -> bool:
    """Whether NGINX ends TLS in a server."""
    words = [word for one in scope.own("listen") for word in one.arguments[1:]]
    return "ssl" in words or scope.value("ssl") == "on"


def _proxies(scope: Scope) -> bool:
    return any("proxy_pass" in inner.own_by_name for inner in scope.walk())


def _http_sites(found: Found, farm: str) -> Iterator[Site]:
    known = reader_roles.roles(found.http).websockets
    named = {one.scope for one in known if one.scope.path.startswith("@")}
    for server in found.http.servers:
        proxied = found.http.of_server.get(server, ())
        if not proxied:
            if farm and is_closed(server) and (upstream := found.http.upstreams.get(f"{farm}_web")):
                yield Site(server, False, None, (), (_of_upstream(upstream),))
            continue
        pages = _pages(proxied)
        live = tuple(one for one in proxied if one is not pages and (one.scope in named or _is_live(one, farm)))
        ordered = (pages, *live, *proxied)
        pools = {pool.name: pool for one in ordered for pool in pools_of(one.target, found.http.upstreams)}
        yield Site(server, False, pages, live, tuple(pools.values()))


def is_closed(server: Scope) -> bool:
    """Whether each request gets the page of nlbgen's maintenance."""
    return any(_PAGE in word for one in server.inner for line in one.own("return") for word in line.arguments)


def _pages(proxied: tuple[Proxied, ...]) -> Proxied:
    """The block for all paths: `location /`, the server itself, or the first one that is not for live connections."""
    root = [one for one in proxied if one.scope.words == ("/",) or one.scope.kind == "server"]
    plain = [one for one in proxied if one.scope.kind == "location" and not _LIVE.search(one.scope.path)]
    return [*root, *plain, *proxied][0]


def _is_live(one: Proxied, farm: str) -> bool:
    """Whether a block beside that of the pages is for SignalR or WebSockets."""
    names = [line.arguments[0].lower() for line in one.scope.own("proxy_set_header") if line.arguments]
    own = bool(farm) and any(upstream.name == f"{farm}_signalr" for upstream in one.target.upstreams)
    return own or "upgrade" in names or bool(_LIVE.search(one.scope.path))


def _stream_sites(found: Found) -> Iterator[Site]:
    for server in found.http.stream_servers:
        for line in server.own("proxy_pass"):
            text = "".join(line.arguments[:1])
            values = found.variables.values(text)
            hosts = tuple(dict.fromkeys(values or ()))
            target = Target(
                line,
                "",
                tuple(found.upstreams[host] for host in hosts if host in found.upstreams),
                tuple(host for host in hosts if host and host not in found.upstreams),
                values is None,
            )
            pools = {pool.name: pool for pool in pools_of(target, found.upstreams)}
            yield Site(server, True, Proxied(server, target), (), tuple(pools.values()))


def pools_of(target: Target, upstreams: Mapping[str, Upstream]) -> Iterator[Pool]:
    """The pools of a target, those with the most members first; one without members if only a variable is known."""
    known = [_of_upstream(one) for one in target.upstreams if upstreams.get(one.name) is one]
    why = "a variable selects the nodes" if target.open else ""
    for pool in sorted(known, key=lambda one: -len(one.members)):
        yield pool._replace(unknown=pool.unknown or why)
    for name in target.names:
        member = _direct(target, name)
        yield Pool(name, target.statement, (member,) if member else (), None, why)
    if target.open or not (known or target.names):
        name = "".join(target.statement.arguments[:1])
        yield Pool(name, target.statement, (), None, why or "it names no node")


def _of_upstream(upstream: Upstream) -> Pool:
    return Pool(upstream.name, upstream.statement, upstream.members, upstream, upstream.open_reason)


def _direct(target: Target, name: str) -> Member | None:
    match = _DIRECT.match(name)
    if match is None:
        return None
    default = "443" if target.scheme == "https" else ""
    return Member(target.statement, match["host"], match["port"] or default, {})


def _leads_to(proxied: Proxied, pool: Pool) -> bool:
    if pool.upstream is None:
        return pool.statement is proxied.target.statement or pool.name in proxied.target.names
    return pool.upstream in proxied.target.upstreams


def _own(found: Found, farm: str) -> Iterator[Pool]:
    """The further pools of nlbgen's own file. While the farm is closed, no block names them."""
    for kind in ("signalr", "websocket", "any") if farm else ():
        if upstream := found.http.upstreams.get(f"{farm}_{kind}"):
            yield _of_upstream(upstream)


def redirects_in(scope: Scope) -> tuple[Statement, ...]:
    """The statements that redirect to https."""
    found = [line for inner in scope.walk() for name in ("return", "rewrite") for line in inner.own(name)]
    return tuple(one for one in found if any(word.startswith("https://") for word in one.arguments))


def _refuses(scope: Scope) -> bool:
    codes = {line.arguments[0] for inner in scope.walk() for line in inner.own("return") if line.arguments}
    return bool(codes & _REFUSALS) or scope.value("ssl_reject_handshake") == "on"
