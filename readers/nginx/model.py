"""The model of a configuration of NGINX: blocks with what they inherit, upstreams with their members, and targets.

What a rule, an import or the lab asks:

- `Model.servers` and `Model.locations`: blocks as [`Scope`][nlbgen.readers.nginx.scopes.Scope]; `Scope.effective(name)`
  is what NGINX uses there, after inheritance.
- `Model.proxied`: each block with a `proxy_pass`, and its [`Target`][nlbgen.readers.nginx.model.Target].
- `Model.upstreams`: the members, and why there may be others than those that are written.
- `Model.variables`: the texts that a word with variables can be.

Every part has its `Statement`, so that each word keeps its location. The time is linear in the size of the file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ..tree import Configuration, Statement
from .scopes import Scope
from .upstreams import Upstream
from .variables import DEFINING, Variables

K = TypeVar("K", str, Scope)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a `proxy_pass` sends requests: upstreams of the file, or hosts that are named directly.

    `open` is true if a variable can have values that the file does not show. `names` are hosts without an upstream.
    """

    statement: Statement
    scheme: str
    upstreams: tuple[Upstream, ...]
    names: tuple[str, ...]
    open: bool


@dataclass(frozen=True, slots=True)
class Proxied:
    """A block of `http` with a `proxy_pass`, and its target."""

    scope: Scope
    target: Target


@dataclass(frozen=True, slots=True)
class Model:
    """The parts of a configuration; all in the order of the file, with included files where they are included.

    `http` is the file itself if it has no `http` block, as a file of /etc/nginx/conf.d.
    """

    main: Scope
    http: tuple[Scope, ...]
    servers: tuple[Scope, ...]
    locations: tuple[Scope, ...]
    upstreams: Mapping[str, Upstream]
    variables: Variables
    proxied: tuple[Proxied, ...]
    uses: Mapping[str, tuple[Proxied, ...]]
    """By the name of an upstream: the blocks that send requests to it."""
    of_server: Mapping[Scope, tuple[Proxied, ...]]
    """By `server`: its blocks with a `proxy_pass`."""
    stream_servers: tuple[Scope, ...]


def model(configuration: Configuration) -> Model:
    """Build the model of what `readers.nginx.reader` returned."""
    main = Scope(None, configuration.statements, None)
    http = tuple(scope for scope in main.inner if scope.kind == "http") or (main,)
    inside = [inner for scope in http for inner in scope.inner]
    servers = tuple(inner for inner in inside if inner.kind == "server")
    unread = {one.location for one in configuration.unread}
    upstreams = {
        inner.path: Upstream.of(inner.statement, unread)
        for inner in inside
        if inner.kind == "upstream" and inner.statement is not None
    }
    variables = Variables.of((one for one in inside if one.kind in DEFINING), servers, unread)
    scopes = [scope for server in servers for scope in server.walk()]
    proxied = tuple(
        Proxied(scope, _target(one, upstreams, variables)) for scope in scopes for one in scope.own("proxy_pass")
    )
    return Model(
        main,
        http,
        servers,
        tuple(scope for scope in scopes if scope.kind == "location"),
        upstreams,
        variables,
        proxied,
        _grouped((upstream.name, one) for one in proxied for upstream in one.target.upstreams),
        _grouped((server, one) for one in proxied if (server := one.scope.enclosing("server"))),
        tuple(inner for one in main.inner if one.kind == "stream" for inner in one.inner if inner.kind == "server"),
    )


def _grouped(pairs: Iterable[tuple[K, Proxied]]) -> dict[K, tuple[Proxied, ...]]:
    """The values of each key, in their order."""
    found: dict[K, list[Proxied]] = {}
    for key, one in pairs:
        found.setdefault(key, []).append(one)
    return {key: tuple(values) for key, values in found.items()}


def _target(statement: Statement, upstreams: Mapping[str, Upstream], variables: Variables) -> Target:
    """The target of a `proxy_pass`."""
    text = "".join(statement.arguments[:1])
    found = variables.values(text)
    hosts = dict.fromkeys(_host(value) for value in found or ())
    return Target(
        statement,
        text.partition("://")[0] if "://" in text else "",
        tuple(upstreams[host] for host in hosts if host in upstreams),
        tuple(host for host in hosts if host and host not in upstreams),
        found is None,
    )


def _host(url: str) -> str:
    """The host of a URL, or the path of a UNIX socket."""
    rest = url.partition("://")[2]
    return rest if rest.startswith("unix:") else rest.partition("/")[0]
