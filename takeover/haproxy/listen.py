"""The listeners of the farm: addresses, port, TLS, HTTP/2, the redirect, the statistics."""

import re
from ipaddress import IPv4Address
from itertools import pairwise
from typing import Final, NamedTuple

from ...readers.haproxy.model import Bind, Proxy
from ...readers.tree import Statement
from ..shared import POST_QUANTUM, take_redirect
from .source import Source, redirects_of

_ADDRESS: Final = re.compile(r"(?:ipv4@|ipv6@)?(?P<host>\*|\[?[0-9A-Fa-f:.]*?\]?):(?P<port>[0-9]{1,5})\Z")
_HTTP_PORT: Final = 80
_EVERY_IPV4: Final = str(IPv4Address(0))
"""What HAProxy's `*` listens on."""


class Listener(NamedTuple):
    """One address of a `bind` line."""

    bind: Bind
    host: str
    """`*`, `::` or an address, without brackets."""
    port: int

    @property
    def tls(self) -> bool:
        """Whether HAProxy ends TLS here."""
        return self.bind.get("ssl") is not None


def take(source: Source) -> None:
    """Take what the farm's frontend listens on, and how it ends TLS."""
    found = _listeners(source, source.roles.main)
    proxies = (source.roles.main, *source.roles.redirects, source.roles.statistics)
    for bind in (bind for proxy in proxies if proxy for bind in proxy.binds):
        _words(source, bind)
    secure = [one for one in found if one.tls]
    own = secure or [one for one in found if one.port != _HTTP_PORT] or found
    if not own:
        source.account.given_up(source.roles.main.section, "the address cannot be used in a spec: add --address")
        return
    mode = _mode(source, secure=bool(secure))
    source.values.take("frontend.tls.mode", mode)
    port = own[0].port
    _address(source, [one for one in own if one.port == port])
    _port(source, own[0], mode)
    for other in found:
        if other not in own or other.port != port:
            _further(source, other)
    if secure:
        _tls(source, secure[0].bind)
    _redirect(source, found, mode)
    _statistics(source)


def _listeners(source: Source, proxy: Proxy) -> list[Listener]:
    found = []
    for bind in proxy.binds:
        for text in bind.address.text.split(","):
            match = _ADDRESS.match(text)
            if match is None:
                source.account.given_up(bind.statement, f"{text} is not an address with one port")
                continue
            host = match["host"].strip("[]") or "*"
            found.append(Listener(bind, host, int(match["port"])))
    return found


def _mode(source: Source, *, secure: bool) -> str:
    to_nodes = any(server.has("ssl") for server in source.roles.web.servers)
    if secure:
        return "bridge" if to_nodes else "terminate"
    return "none" if source.roles.main.is_http else "passthrough"


def _address(source: Source, own: list[Listener]) -> None:
    statements = list(dict.fromkeys(one.bind.statement for one in own))
    hosts = list(dict.fromkeys(one.host for one in own))
    both = any(one.bind.get("v4v6") for one in own)
    every = both or {"*", "::"} <= set(hosts) or {_EVERY_IPV4, "::"} <= set(hosts)
    first = "*" if every else hosts[0].replace("*", _EVERY_IPV4)
    if not every:
        for other in own:
            if other.host != hosts[0]:
                source.account.given_up(other.bind.statement, "a farm listens on one address, or on every address")
        statements = [one.bind.statement for one in own if one.host == hosts[0]]
    source.values.take("frontend.address", first, *statements)


def _port(source: Source, own: Listener, mode: str) -> None:
    if own.port == (_HTTP_PORT if mode == "none" else 443):
        source.account.taken(own.bind.statement, "frontend.port")
    else:
        source.values.take("frontend.port", own.port, own.bind.statement)


def _further(source: Source, other: Listener) -> None:
    """A listener of the farm's frontend beside those that are taken."""
    if other.port == _HTTP_PORT and not other.tls and redirects_of(source.roles.main):
        source.account.taken(other.bind.statement, "frontend.redirect_http")
    else:
        why = f"port {other.port}: a farm has one port, and a redirect on port 80"
        source.account.given_up(other.bind.statement, why)


def _tls(source: Source, bind: Bind) -> None:
    values = source.values
    _certificate(source, bind)
    alpn = bind.get("alpn") or bind.get("npn")
    if alpn is not None:
        values.take("frontend.http2", "h2" in alpn.text.split(","), bind.statement)
    if (buffer := source.model.last_global("tune.bufsize")) and buffer.arguments:
        large = buffer.arguments[0].isdecimal() and int(buffer.arguments[0]) >= _LARGE_BUFFER
        if large:
            values.take("frontend.windows_sign_in", True, buffer)
    _profile(source, bind)
    values.take("frontend.tls.hsts", _hsts(source))


def _words(source: Source, bind: Bind) -> None:
    """Account for each word of a `bind` line after its address."""
    account = source.account
    for setting in bind.settings:
        name = setting.word.text
        if name == "verify" and setting.text == "none":
            account.implied(bind.statement, "clients need no certificate")
        elif name in _BIND_TLS:
            account.implied(bind.statement, f"{name}: frontend.tls.profile sets the TLS versions and ciphers")
        elif name in _BIND_IMPLIED:
            account.implied(bind.statement, f"{name}: {_BIND_IMPLIED[name]}")
        elif name in _BIND_GIVEN_UP:
            account.given_up(bind.statement, f"{name}: {_BIND_GIVEN_UP[name]}")
        elif name not in _BIND_TAKEN:
            account.not_understood(bind.statement, name)


_LARGE_BUFFER: Final = 65_536
_BIND_TAKEN: Final = frozenset(("ssl", "crt", "alpn", "npn", "v6only", "v4v6"))
_BIND_IMPLIED: Final = {
    **dict.fromkeys(("process", "thread", "shards"), "HAProxy counts its threads itself"),
    **dict.fromkeys(("name", "id", "label"), "nlbgen names its listeners itself"),
}
_BIND_GIVEN_UP: Final = {
    **dict.fromkeys(("ca-file", "crl-file", "verify"), "certificates of clients are not supported"),
    **dict.fromkeys(("accept-proxy", "accept-netscaler-cip"), "clients connect directly, without the PROXY protocol"),
    **dict.fromkeys(("crt-list", "ca-sign-file", "generate-certificates"), "a farm has one certificate"),
    **dict.fromkeys(("interface", "namespace", "transparent"), "farm.yaml has only the address of the listener"),
    **dict.fromkeys(("maxconn", "backlog", "nice"), "the limit is for the whole farm: balancer.limits.connections"),
    **dict.fromkeys(("tfo", "mss", "tcp-ut", "defer-accept", "proto"), "HAProxy's own default is used"),
    "expose-fd": "the socket of the administrators passes the listeners at a reload",
}
_BIND_TLS: Final = frozenset(
    (
        *("ciphers", "ciphersuites", "curves", "ecdhe", "ssl-min-ver", "ssl-max-ver", "no-sslv3", "no-tlsv10"),
        *("no-tlsv11", "no-tlsv12", "no-tlsv13", "no-tls-tickets", "force-tlsv12", "force-tlsv13", "strict-sni"),
        *("prefer-client-ciphers", "sigalgs", "tls-ticket-keys", "allow-0rtt"),
    )
)


def _certificate(source: Source, bind: Bind) -> None:
    found = [one.text for one in bind.settings if one.word.text == "crt"]
    if not found:
        source.account.given_up(bind.statement, "no certificate by `crt`: frontend.tls.certificate has its default")
        return
    for other in found[1:]:
        source.account.given_up(bind.statement, f"crt {other}: a farm has one certificate")
    path, key, statement = found[0], found[0], bind.statement
    if path.startswith("@"):
        stored = _stored(source, path)
        if stored is None:
            source.account.given_up(bind.statement, f"no crt-store has {path}")
            return
        statement, path, key = stored
        source.account.taken(bind.statement, "frontend.tls.certificate")
    elif (base := source.model.last_global("crt-base")) and not path.startswith("/"):
        path = key = f"{base.arguments[0].rstrip('/')}/{path}"
        source.account.taken(base, "frontend.tls.certificate")
    if not source.made_by_nlbgen and "$" in path:
        why = f"{path}: only HAProxy knows the environment variable: write frontend.tls.certificate"
        source.account.given_up(statement, why)
        return
    if path.endswith("/"):
        source.account.given_up(statement, f"{path} is a folder: frontend.tls.certificate needs one file")
        return
    if _key_is_beside(source):
        key = f"{path}.key"
    if source.values.take("frontend.tls.certificate", path, statement):
        source.values.take("frontend.tls.key", key, statement)


def _stored(source: Source, name: str) -> tuple[Statement, str, str] | None:
    """The `load` line of a `crt-store` that a name means, with its certificate and key."""
    store, _, alias = name.removeprefix("@").partition("/")
    for section in source.model.configuration.statements:
        if section.name == "crt-store" and (section.arguments[:1] or ("",))[0] == store:
            for line in section.inside:
                words = line.arguments
                pairs = dict(zip(words[::2], words[1::2], strict=False))
                if line.name == "load" and alias in {pairs.get("alias"), pairs.get("crt")} and "crt" in pairs:
                    source.account.implied(section, "certificate and key are in a crt-store (HAProxy 3.0 or later)")
                    return line, pairs["crt"], pairs.get("key", pairs["crt"])
    return None


def _key_is_beside(source: Source) -> bool:
    """Whether nlbgen's own file has the comment about a key in a file of its own."""
    texts = (one.text for one in source.model.configuration.comments)
    return bool(source.made_by_nlbgen) and any(text.startswith(".key. INSTALL.md has the command") for text in texts)


def _profile(source: Source, bind: Bind) -> None:
    options = source.model.last_global("ssl-default-bind-options")
    least = bind.get("ssl-min-ver")
    words = options.arguments if options else ()
    oldest = least.text if least else dict(pairwise(words)).get("ssl-min-ver", "")
    statement = bind.statement if least else options
    if oldest and statement:
        profile = "modern" if oldest == "TLSv1.3" else "intermediate"
        source.values.take("frontend.tls.profile", profile, statement)
        if oldest in {"SSLv3", "TLSv1.0", "TLSv1.1"}:
            source.account.given_up(statement, f"{oldest} is insecure: nlbgen writes TLS 1.2 or later")
    curves = source.model.last_global("ssl-default-bind-curves")
    if curves and any(POST_QUANTUM in word for word in curves.arguments):
        source.values.take("haproxy.openssl", "3.5", curves)


def _hsts(source: Source) -> bool:
    proxies = (source.roles.main, *source.roles.pools)
    for proxy in proxies:
        for name in ("http-response", "http-after-response", "rspadd", "rspidel"):
            for statement in proxy.all(name):
                if any("strict-transport-security" in word.lower() for word in statement.arguments):
                    source.account.taken(statement, "frontend.tls.hsts")
                    return True
    return False


def _redirect(source: Source, found: list[Listener], mode: str) -> None:
    """Take whether port 80 redirects. A frontend of its own may do that, or the farm's with a condition."""
    statements: list[Statement] = []
    for proxy in (source.roles.main, *source.roles.redirects):
        redirects = redirects_of(proxy)
        listeners = found if proxy is source.roles.main else _listeners(source, proxy)
        on_http = [one.bind.statement for one in listeners if one.port == _HTTP_PORT and not one.tls]
        if on_http:
            statements += redirects
        else:
            source.account.given_up_all(redirects, "nlbgen redirects only from port 80")
        if proxy is not source.roles.main:
            statements += [proxy.section, *on_http] if on_http else []
            if not on_http:
                source.account.given_up(proxy.section, "nlbgen redirects only from port 80")
    take_redirect(source.account, source.values, statements, mode)


def _statistics(source: Source) -> None:
    proxy = source.roles.statistics
    if proxy is None:
        return
    source.account.implied(proxy.section, "statistics as a page and for Prometheus")
    for listener in _listeners(source, proxy):
        source.values.take("balancer.metrics_port", listener.port, listener.bind.statement)
        if listener.host != "127.0.0.1":
            source.account.given_up(
                listener.bind.statement, f"{listener.host}: the statistics are only on the loopback address"
            )
