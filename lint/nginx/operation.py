"""Operation: limits of connections, logs, and TLS."""

import re
from collections.abc import Iterator
from typing import Final

from ...readers.nginx.model import Model
from ...readers.nginx.roles import Roles
from ...readers.nginx.scopes import Scope
from ...readers.tree import Word
from ..rule import Found, Rule
from .base import MAIN, NGINX, PROXY, TLS, by_model, by_roles, each_server, names, place, start, word_location

_FEWEST: Final = 1024
_DEFAULT_CONNECTIONS: Final = 512
_LOG: Final = "https://nginx.org/en/docs/http/ngx_http_log_module.html"
_MOZILLA: Final = "https://wiki.mozilla.org/Security/Server_Side_TLS"
_SECRETS: Final = re.compile(
    r"\$\{?(http_authorization|http_cookie|cookie_\w+|request_body|arg_access_token|arg_connectiontoken)\b"
)
_URLS: Final = re.compile(r"\$\{?(?:request_uri|request|args|query_string|is_args\$args)\b")
_OLD: Final = frozenset(("SSLv2", "SSLv3", "TLSv1", "TLSv1.1"))
_WEAK: Final = re.compile(
    r"(?:^|:)(?!-|!)[^:]*(?:RC4|3DES|DES-CBC|MD5|NULL|EXP|CBC|CAMELLIA|SEED|IDEA|AES\d+-SHA(?:256|384)?(?=$|:)|(?<!H)ADH)"
)
"""Suites outside of Mozilla's intermediate profile, by OpenSSL's names."""
_GROUPS: Final = re.compile(r"(?:^|:)(?:ALL|DEFAULT|HIGH|MEDIUM|LOW|COMPLEMENTOFALL|kRSA|RSA|SSLv3|TLSv1)(?:[:+]|$)")


def _few_connections(found: Model) -> Iterator[Found]:
    for events in (scope for scope in found.main.inner if scope.kind == "events"):
        text = events.value("worker_connections")
        limit = int(text) if text and text.isascii() and text.isdigit() else _DEFAULT_CONNECTIONS
        if limit < _FEWEST and found.proxied:
            where = place(events, "worker_connections") if text else start(events)
            what = f"can hold at most {limit // 2} WebSockets (each needs two)"
            yield Found(where, f"a worker with {limit} connections {what}")


def _open_files(found: Model) -> Iterator[Found]:
    files = found.main.value("worker_rlimit_nofile")
    for events in (scope for scope in found.main.inner if scope.kind == "events"):
        connections = events.value("worker_connections")
        if files and connections and files.isdecimal() and connections.isdecimal() and int(files) < int(connections):
            where = place(found.main, "worker_rlimit_nofile")
            yield Found(where, f"a limit of {files} open files is too low for {connections} connections")


# Logs


def _secrets(found: Model) -> Iterator[Found]:
    for word in _format_words(found):
        for match in _SECRETS.finditer(word.text):
            yield Found(word.location, f"the log contains `${match[1]}`, which is or can be a credential")


def _format_words(found: Model) -> Iterator[Word]:
    for scope in found.http:
        for one in scope.own("log_format"):
            yield from one.words[2:]


def _tokens(found: Model, roles: Roles) -> Iterator[Found]:
    seen = set()
    formats = {one.arguments[0]: one for scope in found.http for one in scope.own("log_format") if one.arguments}
    for one in (*roles.signalr, *roles.websockets):
        logs = one.scope.effective("access_log")
        for log in logs:
            name = next((word for word in log.arguments[1:2] if "=" not in word), "combined")
            written = formats.get(name)
            text = " ".join(written.arguments[1:]) if written else "$request" if name in {"combined", "main"} else ""
            if log.arguments[:1] != ("off",) and _URLS.search(text) and log.location not in seen:
                seen.add(log.location)
                yield Found(
                    word_location(log),
                    f"the log format `{name}` writes the complete URLs of SignalR requests, with their tokens",
                )
        server = one.scope.enclosing("server")
        if not logs and server is not None and start(server) not in seen:
            seen.add(start(server))
            what = "NGINX's default log (`combined`) writes the complete URLs of SignalR requests, with their tokens"
            yield Found(start(server), what)


# TLS


def _encrypted(server: Scope) -> bool:
    return any({"ssl", "quic"} & set(one.arguments[1:]) for one in server.own("listen")) or server.value("ssl") == "on"


def _old_versions(server: Scope) -> Iterator[Found]:
    if _encrypted(server):
        for one in server.effective("ssl_protocols")[:1]:
            for word in one.words[1:]:
                if word.text in _OLD:
                    yield Found(word.location, f"clients can use `{word.text}`")
                    break
        if not server.effective("ssl_protocols"):
            yield Found(
                start(server),
                "there is no `ssl_protocols`: before NGINX 1.23.4, TLS 1.3 is off; before 1.27.3, TLS 1.0 is on",
            )


def _weak_ciphers(server: Scope) -> Iterator[Found]:
    if not _encrypted(server) or server.value("ssl_reject_handshake") == "on":
        return
    protocols = server.effective("ssl_protocols")
    if protocols and protocols[0].arguments == ("TLSv1.3",):
        return
    written = server.effective("ssl_ciphers")
    if not written:
        yield Found(
            start(server), "there is no `ssl_ciphers`: the default includes CBC, and RSA without forward secrecy"
        )
    elif weak := _WEAK.search(written[0].arguments[0]) or _GROUPS.search(written[0].arguments[0]):
        what = weak[0].strip(":")
        message = f"the list of ciphers contains `{what}`, which is not in Mozilla's intermediate profile"
        yield Found(word_location(written[0]), message)


def _unverified(found: Model) -> Iterator[Found]:
    seen = set()
    for one in found.proxied:
        if one.target.scheme == "https" and one.scope.value("proxy_ssl_verify") != "on":
            where = place(one.scope, "proxy_ssl_verify")
            where = where if one.scope.effective("proxy_ssl_verify") else one.target.statement.location
            server = start(one.scope.enclosing("server") or one.scope)
            if server not in seen:
                seen.add(server)
                yield Found(where, f"the certificates of the nodes in `{names(one)}` are not verified")


def _sign_in_over_http2(found: Model) -> Iterator[Found]:
    """`ntlm` in an upstream, or a header WWW-Authenticate that names it, together with HTTP/2 for clients."""
    for server in found.servers:
        proxied = found.of_server.get(server, ())
        sign_in = any(upstream.own("ntlm") for one in proxied for upstream in one.target.upstreams)
        sign_in = sign_in or any(
            re.search(r"ntlm|negotiate\b", " ".join(one.arguments), re.IGNORECASE)
            for scope in server.walk()
            for name in ("add_header", "proxy_pass_header")
            for one in scope.own(name)
        )
        for listen in server.own("listen") if sign_in else ():
            word = next((word for word in listen.words[2:] if word.text == "http2"), None)
            if word is not None or server.value("http2") == "on":
                where = word.location if word is not None else place(server, "http2")
                yield Found(
                    where, "clients use HTTP/2, but the configuration refers to Windows sign-ins (NTLM or Negotiate)"
                )
                break


RULES: Final = (
    Rule(
        id="nginx-few-connections",
        vendors=NGINX,
        severity="warning",
        title="there are enough connections for all robots",
        why="each WebSocket needs two connections of its worker: one to the client, one to the node. Above the "
        "limit, new connections fail (`worker_connections are not enough`)",
        instead="write `worker_connections` of at least 2 x (robots + browsers), because one worker may get all of "
        "them",
        source=f"{MAIN}#worker_connections",
        check=by_model(_few_connections),
        scenario="robots-kill",
    ),
    Rule(
        id="nginx-open-files",
        vendors=NGINX,
        severity="error",
        title="the limit of open files is high enough for a worker",
        why="each connection is an open file. At the limit, NGINX accepts no clients: `Too many open files`. "
        "`nginx -t` only warns",
        instead="write a `worker_rlimit_nofile` above `worker_connections`",
        source=f"{MAIN}#worker_rlimit_nofile",
        check=by_model(_open_files),
    ),
    Rule(
        id="nginx-secrets-in-log",
        vendors=NGINX,
        severity="error",
        title="logs contain no credentials",
        why="the log contains session cookies or tokens of users and robots. Anyone who reads the log can use them",
        instead="remove the variable from `log_format`",
        source=f"{_LOG}#log_format",
        check=by_model(_secrets),
        scenario="logged-tokens",
    ),
    Rule(
        id="nginx-tokens-in-log",
        vendors=NGINX,
        severity="warning",
        title="the tokens in URLs are masked in the log",
        why="browsers send `access_token` and the tokens of SignalR connections in the URL, because they cannot set "
        "headers for a WebSocket. Anyone who reads the log can act as that user",
        instead="write a map that truncates `$request_uri` at the token, and use it in `log_format`, as `nlbgen "
        "render nginx` does",
        source=f"{_LOG}#log_format",
        check=by_roles(_tokens),
        scenario="logged-tokens",
    ),
    Rule(
        id="nginx-tls-version",
        vendors=NGINX,
        severity="error",
        title="clients need TLS 1.2 or later",
        why="TLS 1.0 and 1.1 are insecure and deprecated (RFC 8996). Security audits reject them",
        instead="write `ssl_protocols TLSv1.2 TLSv1.3;`",
        source=f"{TLS}#ssl_protocols",
        check=each_server(_old_versions),
        scenario="tls-profile",
    ),
    Rule(
        id="nginx-tls-ciphers",
        vendors=NGINX,
        severity="warning",
        title="the ciphers are those of Mozilla's intermediate profile",
        why="cipher suites outside Mozilla's list have no forward secrecy, or use CBC, which has known attacks",
        instead="write `ssl_ciphers` with Mozilla's list, for example from `nlbgen render nginx`",
        source=_MOZILLA,
        check=each_server(_weak_ciphers),
        scenario="tls-profile",
    ),
    Rule(
        id="nginx-nodes-unverified",
        vendors=NGINX,
        severity="warning",
        title="the nodes' certificates are verified",
        why="without `proxy_ssl_verify on`, a machine that takes over a node's address gets the users' passwords and "
        "tokens",
        instead="write `proxy_ssl_verify on;`, `proxy_ssl_trusted_certificate FILE;` and `proxy_ssl_name NAME;`",
        source=f"{PROXY}#proxy_ssl_verify",
        check=by_model(_unverified),
    ),
    Rule(
        id="nginx-sign-in-http2",
        vendors=NGINX,
        severity="error",
        title="HTTP/2 is off for Windows sign-ins",
        why="NTLM and Negotiate authenticate a connection, not a request. Over HTTP/2, the parallel requests of one "
        "client use several connections to the node. Measured: 32 of 64 requests got 401",
        instead="remove `http2`",
        source="docs/vendors/nginx.md",
        check=by_model(_sign_in_over_http2),
        scenario="windows-sign-in",
    ),
)
