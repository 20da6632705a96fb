"""The health checks, and how the nodes' certificates are verified."""

import re
from itertools import pairwise
from typing import Final

from ...readers.tree import Statement
from .nodes import common
from .source import Source

_DETAILS: Final = re.compile(r"(?P<path>.*)[?&]detailsKey=%\[env\([A-Z_a-z0-9]+\),url_enc\]\Z")
_METHOD: Final = re.compile(r"[A-Z]{3,7}\Z")


def take(source: Source) -> None:
    """Take the checks of the web pool."""
    paths = _paths(source)
    if len(paths) == 1:
        source.values.take("balancer.health.path", *paths[0])
    elif paths:
        statements = tuple(dict.fromkeys(statement for _, statement in paths))
        source.values.take("balancer.health.paths", [path for path, _ in paths], *statements)
    _expect(source)
    web = source.roles.web
    for keyword, key in (("rise", "rise"), ("fall", "fall")):
        if found := common(source, source.members, keyword):
            source.number(f"balancer.health.{key}", found[0], *found[1])
    if found := common(source, source.members, "inter"):
        source.duration("balancer.health.interval", found[0], *found[1])
    source.timeout(web, "check", "balancer.health.timeout")
    _tcp_checks(source)
    _verification(source)


def _paths(source: Source) -> list[tuple[str, Statement]]:
    """The paths that a check requests, each with its statement."""
    web = source.roles.web
    sends = [found for one in web.all("http-check", "send") if (found := _sent(source, one))]
    option = web.option("httpchk")
    if option is None:
        for _, statement in sends:
            source.account.given_up(statement, "without `option httpchk`, HAProxy does not send it")
        return []
    words = option.arguments[1:]
    path = next((word for word in words if word.startswith("/")), "")
    if words and _METHOD.match(words[0]) and words[0] != "GET":
        source.account.given_up(option, f"{words[0]}: the checks are GET requests")
    if sends:
        source.account.implied(option, "the checks are HTTP requests")
        return sends
    if path:
        return [(path, option)]
    source.account.given_up(option, "a check of / does not detect a stopped service: nlbgen uses balancer.health.path")
    return []


def _sent(source: Source, statement: Statement) -> tuple[str, Statement] | None:
    words = statement.arguments
    pairs = dict(pairwise(words[1:]))
    if pairs.get("meth", "GET") != "GET":
        source.account.given_up(statement, f"{pairs['meth']}: the checks are GET requests")
    if (formatted := pairs.get("uri-lf")) is not None:
        details = _DETAILS.match(formatted)
        if details is None:
            source.account.given_up(statement, "uri-lf: the path of a check is fixed")
            return None
        source.values.take("balancer.health.details_key.env", "NLBGEN_HEALTH_DETAILS_KEY", statement)
        return details["path"].replace("%%", "%"), statement
    if "uri" not in pairs:
        source.account.given_up(statement, "no path")
        return None
    return pairs["uri"], statement


def _expect(source: Source) -> None:
    for statement in source.roles.web.all("http-check", "expect"):
        words = statement.arguments[1:]
        if words[:1] == ("status",) and len(words) > 1 and words[1].isdecimal() and len(words[1]) == 3:
            source.number("balancer.health.expect", words[1], statement)
        else:
            source.account.given_up(statement, "a check expects one status: balancer.health.expect")


def _tcp_checks(source: Source) -> None:
    web = source.roles.web
    for name in ("tcp-check", "ssl-hello-chk", "ldap-check", "mysql-check", "smtpchk"):
        if option := web.option(name):
            source.account.given_up(
                option, "nlbgen checks by HTTP: TCP checks pass while the app pool of a node is stopped"
            )
    source.account.given_up_all(
        web.all("tcp-check"), "nlbgen checks by HTTP: TCP checks pass while the app pool of a node is stopped"
    )


def _verification(source: Source) -> None:
    """Take the CA, or that nodes are not verified. Under passthrough only a written CA counts."""
    mode, servers = source.values.get("frontend.tls.mode"), source.members
    checked = mode == "bridge" or (mode == "passthrough" and any(one.has("check-ssl") for one in servers))
    if not checked:
        _unused(source)
        return
    verify, file = common(source, servers, "verify"), common(source, servers, "ca-file")
    off = source.model.last_global("ssl-server-verify")
    if (verify and verify[0] == "none") or (verify is None and off and off.arguments == ("none",)):
        statements = verify[1] if verify else (off,) if off else ()
        if mode == "bridge":
            source.values.take("frontend.tls.verify_nodes", False, *statements)
        else:
            for statement in statements:
                source.account.implied(statement, "the checks do not verify certificates")
    elif file:
        source.values.take("frontend.tls.verify_nodes", file[0], *file[1])
    for statement in verify[1] if verify else ():
        source.account.implied(statement, "nodes are verified if frontend.tls.verify_nodes names a CA")


def _unused(source: Source) -> None:
    for keyword in ("ssl", "verify", "ca-file", "verifyhost", "check-ssl"):
        for server in source.roles.web.servers:
            if setting := server.settings.get(keyword):
                why = f"{keyword}: nlbgen uses TLS to the nodes only if clients use TLS"
                if source.values.get("frontend.tls.mode") == "terminate":
                    why = f"{keyword}: there is no TLS to the nodes"
                source.account.given_up(source.at(setting.word.location), why)
