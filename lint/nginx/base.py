"""What the rules share: the model of a configuration, and NGINX's units."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ...core.errors import Location
from ...readers.nginx.model import Model, Proxied, model
from ...readers.nginx.roles import Roles, roles
from ...readers.nginx.scopes import Scope
from ...readers.nginx.upstreams import Upstream
from ...readers.tree import Configuration, Statement, Vendor
from ..rule import Found, of_last

NGINX: Final[tuple[Vendor, ...]] = ("nginx",)
PROXY: Final = "https://nginx.org/en/docs/http/ngx_http_proxy_module.html"
UPSTREAM: Final = "https://nginx.org/en/docs/http/ngx_http_upstream_module.html"
CORE: Final = "https://nginx.org/en/docs/http/ngx_http_core_module.html"
MAIN: Final = "https://nginx.org/en/docs/ngx_core_module.html"
TLS: Final = "https://nginx.org/en/docs/http/ngx_http_ssl_module.html"
MEASURED: Final = "docs/performance.md"
PAGE: Final = "docs/vendors/nginx.md"


@of_last
def _models(configuration: Configuration) -> tuple[Model, Roles]:
    found = model(configuration)
    return found, roles(found)


def by_model(check: Callable[[Model], Iterable[Found]]) -> Callable[[Configuration], Iterable[Found]]:
    """Make the check of a rule from a function about the model."""

    def run(configuration: Configuration) -> Iterable[Found]:
        found, _ = _models(configuration)
        return _certain(found, check(found))

    return run


def by_roles(check: Callable[[Model, Roles], Iterable[Found]]) -> Callable[[Configuration], Iterable[Found]]:
    """Make the check of a rule from a function about the model and the roles of its locations."""

    def run(configuration: Configuration) -> Iterable[Found]:
        found, known = _models(configuration)
        return _certain(found, check(found, known))

    return run


def _certain(found: Model, results: Iterable[Found]) -> Iterator[Found]:
    """Leave out what is only missing in a `server`, if the file has no `http` block: that block can have it."""
    is_part = found.main in found.http
    servers = {start(server) for server in found.servers} if is_part else set()
    return (one for one in results if one.location not in servers)


def each_server(check: Callable[[Scope], Iterable[Found]]) -> Callable[[Configuration], Iterable[Found]]:
    """The check of a rule that looks at one `server` with a `proxy_pass` after the other."""

    def run(found: Model) -> Iterator[Found]:
        proxying = {one.scope.enclosing("server") for one in found.proxied}
        for server in found.servers:
            if server in proxying:
                yield from check(server)

    return by_model(run)


def each_upstream(check: Callable[[Model, Upstream], Iterable[Found]]) -> Callable[[Configuration], Iterable[Found]]:
    """The check of a rule that looks at one `upstream` of a `proxy_pass` after the other."""

    def run(found: Model) -> Iterator[Found]:
        used = {one.name for proxied in found.proxied for one in proxied.target.upstreams}
        for name, upstream in found.upstreams.items():
            if name in used:
                yield from check(found, upstream)

    return by_model(run)


def place(scope: Scope, directive: str) -> Location:
    """The value of the directive that applies in a block; the block's own beginning if nothing applies."""
    found = scope.effective(directive)
    if found:
        return word_location(found[0])
    return start(scope)


def start(scope: Scope) -> Location:
    """Where a block begins."""
    return scope.location or Location("", 1, 1)


def word_location(statement: Statement) -> Location:
    """The first argument of a directive, or its name."""
    return statement.words[min(1, len(statement.words) - 1)].location


def several(upstream: Upstream) -> bool:
    """Whether there are two members or more, as far as the file shows."""
    return len(upstream.active) > 1


def seconds(length: float) -> str:
    """A time as a message shows it: `60 s`."""
    return f"{length:g} s"


def title(scope: Scope) -> str:
    """A block as a message names it: location `/signalr`, or this `server` block."""
    return f"location `{' '.join(scope.words)}`" if scope.kind == "location" else f"this `{scope.kind}` block"


def named(upstream: Upstream) -> str:
    """An upstream as a message names it: upstream `web`."""
    return f"upstream `{upstream.name}`"


def names(proxied: Proxied) -> str:
    """The targets of a `proxy_pass`, as a message names them."""
    return proxied.target.statement.arguments[0] if proxied.target.statement.arguments else "?"
