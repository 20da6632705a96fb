"""The server of an nginx.conf that the lab's clients use, and the `proxy_pass` of most requests."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from ...core.errors import Location, Problem
from ...readers.nginx.model import Model, Proxied
from ...readers.nginx.scopes import Scope
from ...readers.nginx.upstreams import Upstream
from ...readers.tree import Statement
from .nginx_names import host_for, hosts, is_named
from .nginx_paths import Arrival, Paths
from .nginx_stream import Passed
from .nginx_words import entry, is_tls, listeners
from .plan import HOST, Tls, UnmappableError, unmappable
from .requests import FIRST, OTHERS, Elsewhere, Request

_OTHER_SERVER: Final = "give the file of the Orchestrator farm, or select another server by its name: --host NAME"


class Choice(NamedTuple):
    """The server to which the lab's clients connect, its `proxy_pass` of most requests, and the clients' host name."""

    server: Scope
    by: Proxied | Passed
    host: str

    @property
    def statement(self) -> Statement:
        """The `proxy_pass`."""
        return self.by.statement if isinstance(self.by, Passed) else self.by.target.statement

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The upstreams that it names."""
        return self.by.upstreams if isinstance(self.by, Passed) else self.by.target.upstreams

    @property
    def to_tls(self) -> bool:
        """Whether the nodes have TLS."""
        return self.by.to_tls if isinstance(self.by, Passed) else self.by.target.scheme == "https"

    @property
    def tls(self) -> Tls:
        """Where TLS ends."""
        if isinstance(self.by, Passed) and self.by.passes_tls:
            return "passthrough"
        return ("bridge" if self.to_tls else "terminate") if is_tls(self.server) else "none"

    @property
    def members(self) -> int:
        """How many members can get requests."""
        return sum(len(upstream.active) for upstream in self.upstreams)

    @property
    def has_tls(self) -> bool:
        """Whether the lab's clients use TLS."""
        return is_tls(self.server) or self.tls == "passthrough"


class _Dead(NamedTuple):
    """A server with a `proxy_pass` that the first request does not reach, and why."""

    server: Scope
    members: int
    problem: Problem
    intended: bool = True
    """Whether the server is there for the clients' host name; otherwise it only gets what no other server has."""


def chosen(found: Model, of_stream: Iterator[tuple[Scope, Passed]], file: str, host: str | None) -> Choice:
    """Choose the server: with TLS before others, then with most members, then the first one of `http`.

    Raises UnmappableError if none gets the requests of the lab's clients to a node. A server without TLS is not chosen
    in place of one with TLS that does not: its results would say nothing about the listener that clients use.
    """
    of_http = [*_of_http(found, host)]
    choices = [one for one in of_http if isinstance(one, Choice)]
    dead = [one for one in of_http if isinstance(one, _Dead)]
    choices += [Choice(server, passed, host or passed.host or HOST) for server, passed in of_stream]
    secure = [one for one in dead if one.intended and is_tls(one.server)]
    if any(one.has_tls for one in choices) or (choices and not secure):
        return max(choices, key=lambda one: (one.has_tls, one.members))
    if dead:
        raise UnmappableError([max(secure or dead, key=lambda one: one.members).problem])
    raise UnmappableError([_without_proxy(found, file, host)])


def _without_proxy(found: Model, file: str, host: str | None) -> Problem:
    """Why no server has a `proxy_pass` for the clients."""
    if host is not None and found.proxied:
        reason = f"NGINX selects no server with a proxy_pass for the host name {host}"
        return unmappable(found.proxied[0].target.statement.location, "server_name", reason, "give a name of the file")
    reason = "no server with a listen directive has a proxy_pass to a node"
    return unmappable(Location(file, 1, 1), "", reason, "give the complete nginx.conf")


def _of_http(found: Model, given: str | None) -> Iterator[Choice | _Dead]:
    """The servers of `http` that have a `proxy_pass`; with a `given` host name, those that NGINX selects for it."""
    for server in found.servers:
        blocks = _blocks(found, server)
        if not blocks or not listeners(server):
            continue
        host = host_for(found, server, entry(server), hosts(server) if given is None else (given,))
        if host is None:
            if given is None:
                yield _Dead(server, _members(blocks), _unnamed(server))
            continue
        arrival = Paths(server, blocks, host, is_tls(server)).arrival(FIRST)
        if arrival.blocks:
            yield Choice(server, max(arrival.blocks, key=_is_general), host)
        else:
            yield _Dead(server, _members(blocks), _unreached(arrival), given is None or is_named(server, given))


def _blocks(found: Model, server: Scope) -> tuple[Proxied, ...]:
    """The blocks of a server with a `proxy_pass` to a node."""
    return tuple(one for one in found.of_server.get(server, ()) if one.target.upstreams or one.target.names)


def _members(blocks: tuple[Proxied, ...]) -> int:
    return max(sum(len(upstream.active) for upstream in one.target.upstreams) for one in blocks)


def _is_general(proxied: Proxied) -> bool:
    """Whether the block is that of all paths."""
    return proxied.scope.kind == "location" and proxied.scope.words == ("/",)


def _title(scope: Scope) -> str:
    return " ".join((scope.kind, *scope.words))


def _location(scope: Scope) -> Location:
    return scope.location or Location("", 1, 1)


def _unnamed(server: Scope) -> Problem:
    reason = f"another server gets the requests to {entry(server)}, unless this server_name matches their host"
    return unmappable(_location(server), "server", reason, "give such a name: --host NAME")


def _unreached(arrival: Arrival, request: Request = FIRST) -> Problem:
    """Why a request does not reach a node."""
    what = _title(arrival.end)
    reason = f"no location with a proxy_pass has the paths of Orchestrator, such as {request.path}: {what} answers it"
    return unmappable(_location(arrival.end), what, f"{reason} ({arrival.why})", _OTHER_SERVER)


def elsewhere(found: Model, choice: Choice) -> Iterator[Elsewhere]:
    """The other requests of the lab's clients that other nodes get, or none."""
    if isinstance(choice.by, Passed):
        return
    paths = Paths(choice.server, _blocks(found, choice.server), choice.host, is_tls(choice.server))
    own = _nodes(choice.by)
    for request in OTHERS:
        arrival = paths.arrival(request)
        others = [one for one in arrival.blocks if not _nodes(one) <= own]
        if not arrival.blocks:
            yield Elsewhere(request, "", f"{_title(arrival.end)} in line {_location(arrival.end).line}")
        elif others and len(others) == len(arrival.blocks):
            statement = others[0].target.statement
            yield Elsewhere(
                request, f"{' '.join(w.text for w in statement.words)} (line {statement.location.line})", ""
            )


def _nodes(proxied: Proxied) -> set[str]:
    """The hosts of the nodes of a `proxy_pass`."""
    members = {member.host for upstream in proxied.target.upstreams for member in upstream.members}
    return members | set(proxied.target.names)
