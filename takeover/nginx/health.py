"""The health checks, and how the nodes' certificates are verified.

Open source NGINX has no active checks. `health_check` is a directive of NGINX Plus; `check` is one of Tengine and of
nginx_upstream_check_module.
"""

import re
from typing import Final

from ...generators.features import FEATURES
from ...generators.nginx.generator import CHECK_PATH
from ...readers.nginx.scopes import Scope
from ...readers.tree import Statement
from .nodes import common, words_of
from .source import Source

_OWN: Final = CHECK_PATH
_SEVERAL: Final = next(one.title for one in FEATURES if one.id == "health-paths")
_URL: Final = re.compile(r"https?://[^/]+(?P<path>/.*)\Z")
_REQUEST: Final = re.compile(r"(?P<method>[A-Z]+) (?P<path>/\S*)")
_PLUS: Final = {"interval": "interval", "fails": "fall", "passes": "rise"}
_TENGINE: Final = {"interval": "interval", "fall": "fall", "rise": "rise", "timeout": "timeout"}


def take(source: Source) -> None:
    """Take the checks of the web pool."""
    _failures(source)
    _own(source)
    for scope in source.roles.main.scope.walk():
        for statement in scope.own("health_check"):
            _plus(source, statement)
    for pool in source.roles.pools:
        for statement in pool.own("check"):
            _tengine(source, statement)
        for statement in pool.own("check_http_send"):
            _request(source, statement)
    _verification(source)
    written = source.values.tree().get("balancer", {}).get("health")
    if written and not source.roles.main.stream:
        source.lacking("active-health")


def _failures(source: Source) -> None:
    """Take `max_fails` as the number of failures that mark a node down."""
    found = common(source, "max_fails")
    if found is None:
        return
    text, statements = found
    if text != "0":
        source.number("balancer.health.fall", text, *statements)
    elif source.made_by_nlbgen:
        for statement in statements:
            source.account.implied(statement, "the only node is never marked down")
    else:
        source.account.given_up_all(statements, "max_fails=0: nlbgen marks a node down if another one can take over")


def _own(source: Source) -> None:
    """Take the path of the check before a WebSocket, in nlbgen's own file."""
    for scope in source.roles.main.scope.walk() if source.made_by_nlbgen else ():
        if scope.words == ("=", _OWN):
            for statement in scope.own("proxy_pass"):
                found = _URL.match("".join(statement.arguments[:1]))
                if _SEVERAL in source.lacks:
                    why = "the first of several paths: balancer.health.path and the Orchestrator version set the path"
                    source.account.given_up(statement, why)
                elif found:
                    source.values.take("balancer.health.path", found["path"], statement)


def _plus(source: Source, statement: Statement) -> None:
    words = words_of(statement)
    taken = [_parameter(source, statement, _PLUS[name], words[name]) for name in words if name in _PLUS]
    if path := words.get("uri"):
        taken.append(source.values.take("balancer.health.path", path, statement))
    for name in words:
        if name in {"match", "mandatory", "persistent", "jitter", "port", "type", "keepalive_time"}:
            source.account.given_up(statement, f"{name}: a check expects one status at the node's own port")
        elif name not in {*_PLUS, "uri"}:
            source.account.not_understood(statement, name)
    if not taken:
        source.account.given_up(
            statement, "a check of / does not detect a stopped service: nlbgen uses balancer.health.path"
        )


def _tengine(source: Source, statement: Statement) -> None:
    words = words_of(statement)
    for name, value in words.items():
        if name in _TENGINE:
            unit = "ms" if name in {"interval", "timeout"} else ""
            _parameter(source, statement, _TENGINE[name], f"{value}{unit}")
        elif name == "type" and value in {"tcp", "ssl_hello"}:
            source.account.given_up(
                statement,
                f"type={value}: this check passes while the app pool of the node is stopped; nlbgen checks by HTTP",
            )
        elif name == "type":
            source.account.implied(statement, "the checks are HTTP requests")
        elif name in {"default_down", "port"}:
            source.account.given_up(
                statement, f"{name}: checks use the node's own port; a node is up until its first check"
            )
        else:
            source.account.not_understood(statement, name)


def _parameter(source: Source, statement: Statement, key: str, value: str) -> bool:
    path = f"balancer.health.{key}"
    return (source.duration if key in {"interval", "timeout"} else source.number)(path, value, statement)


def _request(source: Source, statement: Statement) -> None:
    found = _REQUEST.match("".join(statement.arguments[:1]))
    if found is None:
        source.account.given_up(statement, "the check is no HTTP request with a path")
        return
    source.values.take("balancer.health.path", found["path"], statement)
    if found["method"] != "GET":
        source.account.given_up(statement, f"{found['method']}: the checks are GET requests")


def _verification(source: Source) -> None:
    """Take the CA, or that nodes are not verified: NGINX does not verify them by default."""
    scope = source.block
    switch, file = scope.effective("proxy_ssl_verify"), scope.effective("proxy_ssl_trusted_certificate")
    if source.values.get("frontend.tls.mode") != "bridge":
        _unused(source, scope)
        return
    if not (switch and switch[-1].arguments[:1] == ("on",)):
        source.values.take("frontend.tls.verify_nodes", False, *switch)
        source.account.given_up_all(file, "proxy_ssl_verify is off: NGINX does not use it")
        return
    source.account.taken(switch[-1], "frontend.tls.verify_nodes")
    if file and file[-1].arguments:
        path = file[-1].arguments[0]
        source.values.take(
            "frontend.tls.verify_nodes", path if path.startswith("/") else f"/etc/nginx/{path}", file[-1]
        )


def _unused(source: Source, scope: Scope) -> None:
    for name in ("proxy_ssl_verify", "proxy_ssl_trusted_certificate", "proxy_ssl_verify_depth", "proxy_ssl_crl"):
        source.account.given_up_all(scope.effective(name), "there is no TLS from NGINX to the nodes")
