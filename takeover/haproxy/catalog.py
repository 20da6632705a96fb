"""The directives of HAProxy that hold no value of a spec: what nlbgen writes instead, or why it does not."""

from typing import Final, NamedTuple

from ...generators.headers import SET_BY_BALANCER
from ...readers.haproxy.model import at_run_time
from ...readers.tree import Statement
from ..account import Account, Fate
from .source import UPGRADE


class _Known(NamedTuple):
    words: tuple[str, ...]
    fate: Fate
    detail: str


def _implied(detail: str, *directives: str) -> tuple[_Known, ...]:
    return tuple(_Known(tuple(one.split()), "implied", detail) for one in directives)


def _given_up(detail: str, *directives: str) -> tuple[_Known, ...]:
    return tuple(_Known(tuple(one.split()), "given up", detail) for one in directives)


_KNOWN: Final = (
    *_implied("a section of the configuration", "global", "defaults"),
    *_implied("nlbgen writes the paths and the user of the Linux package", "user", "group", "chroot", "daemon"),
    *_implied("nlbgen writes the paths and the user of the Linux package", "pidfile", "uid", "gid", "master-worker"),
    *_implied("HAProxy counts its threads itself", "nbthread", "nbproc", "cpu-map"),
    *_implied("the administrators' socket, which passes listeners at a reload", "stats socket", "stats timeout"),
    *_implied("logs of requests go to the system's log", "log", "option httplog", "option tcplog", "log-tag"),
    *_implied("logs of requests go to the system's log", "option dontlognull", "option logasap", "log-format"),
    *_implied("logs of requests go to the system's log", "option dontlog-normal", "option log-health-checks"),
    *_implied("HTTP, or TCP under passthrough", "mode"),
    *_implied("nlbgen retries on another node; only GET and HEAD are repeated", "retries", "option redispatch"),
    *_implied("nlbgen retries on another node; only GET and HEAD are repeated", "retry-on", "option abortonclose"),
    *_implied("X-Forwarded-For is set, and forged ones are removed", "option forwardfor"),
    *_implied("idle connections are kept", "option http-keep-alive"),
    *_given_up("idle connections to clients and nodes are kept", "option http-server-close", "option httpclose"),
    *_given_up("idle connections to clients and nodes are kept", "option forceclose", "option http-pretend-keepalive"),
    *_implied("idle connections are kept", "option prefer-last-server", "http-reuse", "option http-use-htx"),
    *_implied("nlbgen sets the limits for clients itself", "timeout client", "timeout http-request"),
    *_implied("nlbgen sets the limits for clients itself", "timeout http-keep-alive", "timeout client-fin"),
    *_implied("nlbgen sets the limits for clients itself", "timeout server-fin", "timeout tarpit", "timeout client-hs"),
    *_implied("a pool that is selected if all checks fail", "option allbackups"),
    *_implied("frontend.tls.profile decides the versions and ciphers", "ssl-default-bind-ciphers"),
    *_implied("frontend.tls.profile decides the versions and ciphers", "ssl-default-bind-ciphersuites"),
    *_implied("frontend.tls.profile decides the versions and ciphers", "ssl-default-bind-curves"),
    *_implied("frontend.tls.profile decides the versions and ciphers", "ssl-default-bind-options"),
    *_implied(
        "frontend.tls.profile decides the versions and ciphers", "tune.ssl.default-dh-param", "ssl-dh-param-file"
    ),
    *_implied("TLS to the nodes is 1.2 or later", "ssl-default-server-options"),
    *_implied("nlbgen sizes the buffers; see frontend.windows_sign_in", "tune.bufsize", "tune.maxrewrite"),
    *_implied("the statistics have a frontend of their own", "stats enable", "stats uri", "stats refresh"),
    *_implied("the statistics have a frontend of their own", "stats show-node", "stats show-legends"),
    *_implied("the statistics have a frontend of their own", "stats hide-version", "monitor-uri"),
    *_implied("names are resolved by the name servers of the machine", "resolvers", "nameserver", "parse-resolv-conf"),
    *_implied("names are resolved by the name servers of the machine", "resolve_retries", "timeout resolve"),
    *_implied(
        "names are resolved by the name servers of the machine", "timeout retry", "hold", "accepted_payload_size"
    ),
    *_implied("a source keeps its node with consistent hashing", "hash-type"),
    *_implied("the states of nodes are kept over a reload", "server-state-file", "load-server-state-from-file"),
    *_implied("the states of nodes are kept over a reload", "server-state-base"),
    *_given_up("statistics are only on the loopback address, without a password", "stats auth", "stats admin"),
    *_given_up("statistics are only on the loopback address, without a password", "stats realm", "stats http-request"),
    *_given_up("another statement has this value for the farm", "timeout", "maxconn", "balance", "default_backend"),
    *_given_up("another statement has this value for the farm", "use_backend"),
    *_given_up("HAProxy's own pages are sent", "errorfile", "errorfiles", "http-errors", "errorloc", "errorloc302"),
    *_given_up("responses are passed as the nodes send them", "compression", "http-response", "rspadd", "rspidel"),
    *_given_up("responses are passed as the nodes send them", "rspirep", "http-after-response"),
    *_given_up("no user list is used", "userlist"),
    *_given_up("sticky sessions are by cookie or source address; no table is shared", "peers", "peer"),
    *_given_up("sticky sessions are by cookie or source address; no table is shared", "stick-table", "stick"),
    *_given_up("mails about nodes are not sent; `nlbgen render monitoring` writes alerts", "mailers", "mailer"),
    *_given_up("mails about nodes are not sent; `nlbgen render monitoring` writes alerts", "email-alert"),
    *_given_up("nothing is cached", "cache", "http-request cache-use", "filter cache"),
    *_given_up("the Lua scripts are not taken over", "lua-load", "lua-load-per-thread", "lua-prepend-path"),
    *_given_up("frontend.tls names the paths of certificates", "ca-base", "crt-base", "key-base"),
    *_given_up("the limit of open files is in the systemd drop-in: balancer.limits.open_files", "ulimit-n"),
    *_given_up("HAProxy's own default is used", "option socket-stats", "option contstats", "option tcp-smart-accept"),
    *_given_up("HAProxy's own default is used", "option tcp-smart-connect", "option splice-auto", "option tcpka"),
    *_given_up("HAProxy's own default is used", "option clitcpka", "option srvtcpka", "spread-checks", "backlog"),
    *_given_up("HAProxy's own default is used", "option nolinger", "option http-no-delay", "maxsslconn", "fullconn"),
    *_given_up("farm.yaml has no key for it", "description", "node"),
)
_BY_NAME: Final = {known.words: known for known in _KNOWN}


def account_for(account: Account) -> None:
    """Give every open statement that the catalogue knows its fate."""
    for statement in list(account.open()):
        known = _found(statement)
        if known is None:
            continue
        if known.fate == "implied":
            account.implied(statement, known.detail)
        else:
            account.given_up(statement, known.detail)


_OLD_HEADERS: Final = {"reqadd": "add-header", "reqdel": "del-header", "reqidel": "del-header"}
_REMOVED: Final = ("x-", "upgrade", "proxy", "forwarded", "ms-aspnetcore", "connection")
_SET: Final = frozenset(name.lower() for name in SET_BY_BALANCER)


def _header(words: tuple[str, ...]) -> _Known | None:
    """The fate of a header for the nodes; `reqadd` and `reqdel` are of HAProxy 2.0 and earlier."""
    old = _OLD_HEADERS.get(words[0])
    if old and len(words) > 1:
        words = ("http-request", old, words[1].partition(":")[0])
    if words[:1] == ("http-request",) and words[1:2] in {("set-header",), ("add-header",)} and len(words) > 2:
        if words[2].lower() in _SET:
            return _Known((), "implied", "X-Forwarded-For, -Host, -Port and -Proto are set, and forged ones removed")
        return _Known((), "given up", f"{words[2]}: the nodes get only the headers X-Forwarded-*")
    if words[:2] == ("http-request", "del-header") and words[2:3] and words[2].lower().lstrip("^").startswith(_REMOVED):
        return _Known(
            (), "implied", "nlbgen removes forged headers, and the Upgrade header of each upgrade except WebSocket"
        )
    if words[:1] == ("acl",) and any(UPGRADE.match(word) for word in words[2:3]):
        return _Known((), "implied", "WebSocket is the only upgrade that is allowed")
    return None


def _found(statement: Statement) -> _Known | None:
    words = tuple(word.text for word in statement.words)
    if words[0] == "use_backend" and at_run_time(statement):
        why = "an expression selects the backend: only the pools that other lines name are taken over"
        return _Known((), "given up", why)
    if known := _header(words):
        return known
    words = words[1:] if words[:1] == ("no",) else words
    return _BY_NAME.get(words[:2]) or _BY_NAME.get(words[:1])
