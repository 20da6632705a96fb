"""Headers: the Host, the client's address, and headers that a location loses."""

from collections.abc import Iterator
from typing import Final

from ...readers.nginx.model import Model, Proxied
from ...readers.nginx.roles import Roles
from ...readers.nginx.scopes import Scope
from ...readers.nginx.units import size
from ...readers.tree import Statement
from ..rule import Found, Rule
from .base import (
    CORE,
    MEASURED,
    NGINX,
    PROXY,
    by_model,
    by_roles,
    each_server,
    place,
    start,
    title,
)

_HEADERS: Final = "https://nginx.org/en/docs/http/ngx_http_headers_module.html"
_FORGED: Final = ("$proxy_add_x_forwarded_for", "$http_x_forwarded_for")
_KERBEROS: Final = 65536
"""The limit of a Kerberos ticket in a request to IIS (MaxTokenSize 48000, in Base64)."""
_COOKIES: Final = 16384
"""Several cookies of a sign-in, of up to 4 kB each."""
_DEFAULT_PAGE: Final = 4096
_NAME_AND_VALUE: Final = 2


def _lost(_found: Model, roles: Roles) -> Iterator[Found]:
    """The request headers that the blocks around a location set, and the location does not."""
    for one in roles.pages:
        missing = [header for header in _hidden(one.scope, "proxy_set_header") if header.arguments[1] != ""]
        if missing:
            own = one.scope.effective("proxy_set_header")[0]
            names = ", ".join(header.arguments[0] for header in missing)
            lines = ", ".join(sorted({str(header.location.line) for header in missing}))
            yield Found(
                own.location, f"this block does not send {names}, which the block around it sets (line {lines})"
            )


def _hidden(scope: Scope, directive: str) -> list[Statement]:
    """The headers of outer blocks that the innermost block with this directive does not repeat."""
    levels = [one for one in scope.around() if directive in one.own_by_name]
    own = {header.arguments[0].lower() for header in levels[0].own(directive) if header.arguments} if levels else set()
    outer = [header for one in levels[1:2] for header in one.own(directive) if len(header.arguments) >= _NAME_AND_VALUE]
    return [header for header in outer if header.arguments[0].lower() not in own]


def _lost_answers(found: Model) -> Iterator[Found]:
    for location in found.locations:
        missing = _hidden(location, "add_header") if location.own("add_header") else []
        if missing:
            names = ", ".join(header.arguments[0] for header in missing)
            yield Found(
                location.own("add_header")[0].location,
                f"answers of {title(location)} do not have {names}, which the block around it adds",
            )


def _host(_found: Model, roles: Roles) -> Iterator[Found]:
    seen = set()
    for one in roles.pages:
        header = one.scope.header("Host")
        if header is not None and header.arguments[1] != "$proxy_host":
            continue
        where = header.words[2].location if header else one.target.statement.location
        if where not in seen:
            seen.add(where)
            yield Found(where, f"the nodes get `Host: {_proxy_host(one)}` instead of the farm's host name")


def _proxy_host(one: Proxied) -> str:
    hosts = [upstream.name for upstream in one.target.upstreams] + list(one.target.names)
    return hosts[0] if hosts else "$proxy_host"


def _forged(_found: Model, roles: Roles) -> Iterator[Found]:
    seen = set()
    for one in roles.pages:
        header = one.scope.header("X-Forwarded-For")
        trusted = one.scope.effective("real_ip_header") or one.scope.effective("set_real_ip_from")
        if trusted or (header is not None and header.arguments[1] not in _FORGED):
            continue
        where = header.words[2].location if header else one.target.statement.location
        if where not in seen:
            seen.add(where)
            what = "NGINX passes the header X-Forwarded-For of the client to the nodes"
            if header:
                what = f"`{header.arguments[1]}` keeps the addresses that the client sent in X-Forwarded-For"
            yield Found(where, what)


def _scheme(_found: Model, roles: Roles) -> Iterator[Found]:
    seen = set()
    for one in roles.pages:
        server = one.scope.enclosing("server")
        encrypted = server is not None and _terminates_tls(server)
        header = one.scope.header("X-Forwarded-Proto") or one.scope.header("Forwarded")
        if encrypted and header is None and one.target.scheme == "http" and one.target.statement.location not in seen:
            seen.add(one.target.statement.location)
            yield Found(one.target.statement.location, "NGINX does not tell the nodes that the client used https")


def _terminates_tls(server: Scope) -> bool:
    return any({"ssl", "quic"} & set(one.arguments[1:]) for one in server.own("listen")) or server.value("ssl") == "on"


def _request_buffers(server: Scope) -> Iterator[Found]:
    found = server.effective("large_client_header_buffers")
    largest = size(found[0].arguments[-1]) if found and found[0].arguments else 8192
    if largest is not None and largest < _KERBEROS:
        where = found[0].words[-1].location if found else start(server)
        yield Found(where, f"a request with a header line of more than {largest // 1024} kB gets 400")


def _answer_buffers(_found: Model, roles: Roles) -> Iterator[Found]:
    seen = set()
    for one in roles.pages:
        value = one.scope.value("proxy_buffer_size")
        largest = size(value) if value else _DEFAULT_PAGE
        where = place(one.scope, "proxy_buffer_size") if value else start(one.scope.enclosing("server") or one.scope)
        if largest is not None and largest < _COOKIES and where not in seen:
            seen.add(where)
            yield Found(where, f"if a node answers with more than {largest // 1024} kB of headers, the client gets 502")


def _body(_found: Model, roles: Roles) -> Iterator[Found]:
    seen = set()
    for one in roles.pages:
        value = one.scope.value("client_max_body_size")
        largest = size(value) if value else 1024**2
        where = place(one.scope, "client_max_body_size") if value else start(one.scope.enclosing("server") or one.scope)
        if largest is not None and 0 < largest < 30 * 1024**2 and where not in seen:
            seen.add(where)
            yield Found(where, f"uploads of more than {largest // 1024} kB get 413")


def _slow_headers(server: Scope) -> Iterator[Found]:
    if server.value("underscores_in_headers") == "on":
        yield Found(
            place(server, "underscores_in_headers"),
            "a client can send `X_Forwarded_For`, which IIS treats as `X-Forwarded-For`",
        )


RULES: Final = (
    Rule(
        id="nginx-headers-lost",
        vendors=NGINX,
        severity="error",
        title="a location sets the request headers that its server block sets",
        why="a block with a `proxy_set_header` inherits none from the outer blocks. Without Host, IIS answers for "
        "the wrong site; without Upgrade, WebSockets get 400",
        instead="write all `proxy_set_header` lines of the outer block in this block too, or remove those of this "
        "block",
        source=f"{PROXY}#proxy_set_header",
        check=by_roles(_lost),
    ),
    Rule(
        id="nginx-answer-headers-lost",
        vendors=NGINX,
        severity="warning",
        title="a location adds the response headers that its server block adds",
        why="a block with an `add_header` inherits none from the outer blocks, so Strict-Transport-Security and "
        "others are missing there",
        instead="write all `add_header` lines of the outer block in this block too",
        source=f"{_HEADERS}#add_header",
        check=by_model(_lost_answers),
    ),
    Rule(
        id="nginx-host",
        vendors=NGINX,
        severity="error",
        title="the nodes get the Host that the client requested",
        why="without `proxy_set_header Host $host`, NGINX sends the host name of `proxy_pass`, which is often the "
        "name of the upstream. IIS looks for a site of that name, and redirects contain it. Measured with the "
        "example of nginx.org's page about load balancing: the nodes get `Host: myapp1`",
        instead="write `proxy_set_header Host $host;`",
        source=MEASURED,
        check=by_roles(_host),
    ),
    Rule(
        id="nginx-forged-address",
        vendors=NGINX,
        severity="warning",
        title="a client cannot set X-Forwarded-For",
        why="the node treats the first address in X-Forwarded-For as the client's address. Audit logs and limits "
        "per address then use an address that the client chose. Measured: a forged address reaches the node",
        instead="write `proxy_set_header X-Forwarded-For $remote_addr;`; behind another proxy, write "
        "`set_real_ip_from` too",
        source=MEASURED,
        check=by_roles(_forged),
        scenario="forged-headers",
    ),
    Rule(
        id="nginx-forwarded-proto",
        vendors=NGINX,
        severity="warning",
        title="the nodes know that the client used https",
        why="NGINX terminates TLS. The node then builds links and redirects with http, and cookies without Secure",
        instead="write `proxy_set_header X-Forwarded-Proto https;`",
        source="https://learn.microsoft.com/aspnet/core/host-and-deploy/proxy-load-balancer",
        check=by_roles(_scheme),
    ),
    Rule(
        id="nginx-header-underscores",
        vendors=NGINX,
        severity="warning",
        title="headers with an underscore are removed",
        why="IIS gives `X_Forwarded_For` and `X-Forwarded-For` to programs under the same name, so a client can "
        "forge the address",
        instead="remove `underscores_in_headers on;`",
        source=f"{CORE}#underscores_in_headers",
        check=each_server(_slow_headers),
        scenario="forged-headers",
    ),
    Rule(
        id="nginx-request-buffers",
        vendors=NGINX,
        severity="note",
        title="buffers are large enough for Kerberos tickets",
        why="the ticket of a Windows sign-in has up to 64,000 characters in one header. With the default of 8 kB, "
        "users who are in many groups get 400",
        instead="write `large_client_header_buffers 2 80k;` if users sign in with Windows",
        source=f"{CORE}#large_client_header_buffers",
        check=each_server(_request_buffers),
        scenario="windows-sign-in",
    ),
    Rule(
        id="nginx-answer-buffers",
        vendors=NGINX,
        severity="warning",
        title="buffers are large enough for the cookies of a sign-in",
        why="the headers of an answer must fit into `proxy_buffer_size` (default: 4 or 8 kB). A sign-in sets several "
        "cookies of up to 4 kB, which do not fit: NGINX logs `upstream sent too big header`, and answers 502",
        instead="write `proxy_buffer_size 32k;`, `proxy_buffers 8 16k;` and `proxy_busy_buffers_size 32k;`",
        source=f"{PROXY}#proxy_buffer_size",
        check=by_roles(_answer_buffers),
        scenario="windows-sign-in",
    ),
    Rule(
        id="nginx-body-size",
        vendors=NGINX,
        severity="warning",
        title="packages can be uploaded",
        why=(
            "the default limit of NGINX is 1 MB, and the default limit of IIS is 30 MB. Packages of processes are "
            "larger than 1 MB"
        ),
        instead="write `client_max_body_size 300m;`",
        source=f"{CORE}#client_max_body_size",
        check=by_roles(_body),
        scenario="body",
    ),
)
