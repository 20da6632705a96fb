"""The listeners of the farm: addresses, port, TLS, HTTP/2, the redirect, the statistics."""

import re
from ipaddress import IPv4Address
from typing import Final, NamedTuple

from ...readers.nginx.scopes import Scope
from ...readers.tree import Statement
from ..shared import POST_QUANTUM, take_redirect
from .roles import is_secure, redirects_in
from .source import Source

_ADDRESS: Final = re.compile(
    r"(?:(?P<host>\*|\[[0-9A-Fa-f:.]+\]|[0-9.]+|[A-Za-z0-9_.-]*[A-Za-z][A-Za-z0-9_.-]*):)?(?P<port>[0-9]{1,5})\Z"
)
_HOST: Final = re.compile(r"(?P<host>\*|\[[0-9A-Fa-f:.]+\]|[0-9.]+\.[0-9]+)\Z")
_HTTP_PORT: Final = 80
_HTTPS_PORT: Final = 443
_EVERY_IPV4: Final = str(IPv4Address(0))
"""What NGINX listens on if a `listen` has only a port."""
_IMPLIED: Final = {
    "ssl": "NGINX ends TLS",
    "default_server": "requests for other names are refused",
    "default": "requests for other names are refused",
}
_TAKEN: Final = frozenset({"http2", "ipv6only=off", "ipv6only=on"})
_GIVEN_UP: Final = {
    "proxy_protocol": "clients connect directly, without the PROXY protocol",
    "quic": "HTTP/3 is not offered",
    "http3": "HTTP/3 is not offered",
    "spdy": "SPDY is obsolete: frontend.http2",
    "udp": "the farm is reached by TCP",
    "bind": "NGINX's own default is used",
    "deferred": "NGINX's own default is used",
    "reuseport": "NGINX's own default is used",
    "backlog": "NGINX's own default is used",
    "fastopen": "NGINX's own default is used",
    "rcvbuf": "NGINX's own default is used",
    "sndbuf": "NGINX's own default is used",
    "so_keepalive": "NGINX's own default is used",
    "accept_filter": "NGINX's own default is used",
    "setfib": "NGINX's own default is used",
    "multipath": "NGINX's own default is used",
}


class Listener(NamedTuple):
    """One address of a `listen`."""

    statement: Statement
    host: str
    """`*` for every address of both families, otherwise an address without brackets."""
    port: int
    tls: bool


def take(source: Source) -> None:
    """Take what the farm's server listens on, and how NGINX ends TLS."""
    main = source.roles.main
    found = listeners(source, main.scope)
    secure = [one for one in found if one.tls]
    own = secure or [one for one in found if one.port != _HTTP_PORT] or found
    mode = _mode(source, secure=is_secure(main.scope))
    source.values.take("frontend.tls.mode", mode)
    if own:
        port = own[0].port
        _address(source, [one for one in own if one.port == port])
        _port(source, own[0], mode)
        for other in found:
            if other not in own or other.port != port:
                _further(source, other)
    else:
        _without_listener(source)
    if is_secure(main.scope):
        _tls(source, main.scope)
    _redirect(source, found, mode)
    _statistics(source)


def _without_listener(source: Source) -> None:
    """NGINX listens on port 80 if a server has no `listen`."""
    if source.roles.main.scope.statement and not source.roles.main.scope.own("listen"):
        source.values.take("frontend.address", _EVERY_IPV4, source.roles.main.scope.statement)


def listeners(source: Source, scope: Scope) -> list[Listener]:
    """The addresses of a server."""
    found = []
    secure = scope.value("ssl") == "on"
    for statement in scope.own("listen"):
        address, *options = (*statement.arguments, "")[: max(1, len(statement.arguments))]
        match = _ADDRESS.match(address)
        host = match["host"] if match else None
        if match is None and (lone := _HOST.match(address)):
            host, port = lone["host"], _HTTP_PORT
        elif match:
            port = int(match["port"])
        else:
            source.account.given_up(statement, f"{address} is not an address with a port")
            continue
        host = (host or "*").strip("[]")
        if host == "::" and "ipv6only=off" in options:
            host = "*"
        elif host == "*":
            host = _EVERY_IPV4
        found.append(Listener(statement, host, port, secure or "ssl" in options))
        _options(source, statement, options)
    return found


def _options(source: Source, statement: Statement, options: list[str]) -> None:
    for option in options:
        name = option.partition("=")[0]
        if option in _TAKEN:
            continue
        if name in _IMPLIED:
            source.account.implied(statement, f"{name}: {_IMPLIED[name]}")
        elif name in _GIVEN_UP:
            source.account.given_up(statement, f"{name}: {_GIVEN_UP[name]}")
        else:
            source.account.not_understood(statement, option)


def _mode(source: Source, *, secure: bool) -> str:
    main = source.roles.main
    if main.stream:
        to_nodes = main.scope.value("proxy_ssl") == "on"
    elif main.pages is not None:
        to_nodes = main.pages.target.scheme == "https"
    else:
        to_nodes = bool(main.scope.effective("proxy_ssl_server_name"))
    if secure:
        return "bridge" if to_nodes else "terminate"
    if main.stream:
        return "passthrough"
    if to_nodes and main.pages:
        why = "https: nlbgen uses TLS to the nodes only if clients use TLS"
        source.account.given_up(main.pages.target.statement, why)
    return "none"


def _address(source: Source, own: list[Listener]) -> None:
    hosts = list(dict.fromkeys(one.host for one in own))
    every = "*" in hosts or {_EVERY_IPV4, "::"} <= set(hosts)
    first = "*" if every else hosts[0]
    if not every:
        for other in own:
            if other.host != first:
                source.account.given_up(other.statement, "a farm listens on one address, or on every address")
    statements = [one.statement for one in own if every or one.host == first]
    source.values.take("frontend.address", first, *statements)


def _port(source: Source, own: Listener, mode: str) -> None:
    if own.port == (_HTTP_PORT if mode == "none" else _HTTPS_PORT):
        source.account.taken(own.statement, "frontend.port")
    else:
        source.values.take("frontend.port", own.port, own.statement)


def _further(source: Source, other: Listener) -> None:
    """A listener of the farm's server beside those that are taken."""
    if other.port == _HTTP_PORT and not other.tls and redirects_in(source.roles.main.scope):
        source.account.taken(other.statement, "frontend.redirect_http")
    else:
        why = f"port {other.port}: a farm has one port, and a redirect on port 80"
        source.account.given_up(other.statement, why)


def _tls(source: Source, scope: Scope) -> None:
    _certificate(source, scope)
    _http2(source, scope)
    _profile(source, scope)
    if source.roles.main.stream:
        return
    headers = [line for inner in (source.block, scope) for line in inner.effective("add_header")]
    found = [one for one in headers if one.arguments[:1] and one.arguments[0].lower() == "strict-transport-security"]
    source.values.take("frontend.tls.hsts", bool(found), *found)


def _certificate(source: Source, scope: Scope) -> None:
    for name, key in (("ssl_certificate", "certificate"), ("ssl_certificate_key", "key")):
        found = scope.effective(name)
        source.account.given_up_all(found[1:], "a farm has one certificate")
        if not found or not found[0].arguments:
            continue
        path = found[0].arguments[0]
        if path.startswith(("data:", "engine:", "store:")) or "$" in path:
            why = f"frontend.tls.{key} is the path of a file, without variables: it has its default"
            source.account.given_up(found[0], why)
            continue
        if not path.startswith("/"):
            path = f"/etc/nginx/{path}"
            source.notes.append(f"a relative path is below /etc/nginx in the Linux packages: verify frontend.tls.{key}")
        source.values.take(f"frontend.tls.{key}", path, found[0])


def _http2(source: Source, scope: Scope) -> None:
    directives = scope.effective("http2")
    lines = [one for one in scope.own("listen") if "http2" in one.arguments]
    if directives:
        source.values.take("frontend.http2", directives[-1].arguments[:1] == ("on",), directives[-1])
    else:
        source.values.take("frontend.http2", bool(lines), *lines)


def _profile(source: Source, scope: Scope) -> None:
    found = scope.effective("ssl_protocols")
    if found:
        versions = set(found[-1].arguments)
        profile = "modern" if versions == {"TLSv1.3"} else "intermediate"
        source.values.take("frontend.tls.profile", profile, found[-1])
        old = sorted(versions - {"TLSv1.2", "TLSv1.3"})
        if old:
            source.account.given_up(found[-1], f"{', '.join(old)}: insecure; nlbgen writes TLS 1.2 or later")
    curves = scope.effective("ssl_ecdh_curve")
    if curves and any(POST_QUANTUM in word for word in curves[-1].arguments):
        source.values.take("nginx.openssl", "3.5", curves[-1])


def _redirect(source: Source, found: list[Listener], mode: str) -> None:
    """Take whether port 80 redirects. A server of its own may do that, or the farm's with a condition."""
    statements: list[Statement] = []
    for scope in (source.roles.main.scope, *source.roles.redirects):
        main = scope is source.roles.main.scope
        listens = found if main else listeners(source, scope)
        on_http = [one.statement for one in listens if one.port == _HTTP_PORT and not one.tls]
        if not main and not scope.own("listen"):
            on_http = [scope.statement] if scope.statement else []
        redirects = redirects_in(scope)
        if on_http:
            statements += [*redirects, *([] if main else on_http)]
            statements += [scope.statement] if scope.statement and not main else []
        else:
            source.account.given_up_all(redirects, "redirects are from port 80 to https only")
    statements = list({one.location: one for one in statements}.values())
    take_redirect(source.account, source.values, statements, mode)


def _statistics(source: Source) -> None:
    for scope in source.roles.statistics:
        for at, one in enumerate(listeners(source, scope)):
            if at or "balancer.metrics_port" in source.values:
                source.account.given_up(one.statement, "the statistics are on one loopback address")
                continue
            source.values.take("balancer.metrics_port", one.port, one.statement)
            if one.host not in {"127.0.0.1", "::1"}:
                source.account.given_up(one.statement, f"{one.host}: the statistics are only on the loopback address")
