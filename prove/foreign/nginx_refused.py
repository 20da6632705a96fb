"""The parts of an nginx.conf that cannot run in the lab, with the reason for each."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from ...core.errors import Problem
from ...readers.nginx.model import Model
from ...readers.tree import Configuration, Statement, Unread
from .maps import missing_hint
from .plan import unmappable

_DIRECTIVES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass"),
        "the simulated nodes have only HTTP/1.1",
    ),
    "mail": "the lab has no mail servers",
    "perl": "nlbgen does not run programs in a configuration",
    "perl_set": "nlbgen does not run programs in a configuration",
    "perl_modules": "nlbgen does not run programs in a configuration",
    "ssl_crl": "the lab has no revocation list",
    "ssl_engine": "the lab has no such device",
    "state": "the members are in a file of the live machine",
}
_PROGRAMS: Final = re.compile(r"\w+_by_lua(?:_block|_file)?|js_\w+")


def refused(configuration: Configuration, found: Model) -> Iterator[Problem]:
    """Yield what cannot run."""
    problems = [problem for one in configuration.walk() for problem in _directive(one)]
    yield from problems
    for upstream in found.upstreams.values():
        if upstream.open_reason:
            yield unmappable(upstream.statement.location, f"upstream {upstream.name}", upstream.open_reason)
        for member in upstream.members:
            if member.host.startswith("unix:"):
                reason = "the simulated nodes listen on TCP ports"
                yield unmappable(member.statement.words[1].location, member.host, reason)
    for proxied in found.proxied:
        if proxied.target.open or (proxied.target.names and "$" in proxied.target.statement.arguments[0]):
            reason = "a variable has the address of the node"
            yield unmappable(proxied.target.statement.location, "proxy_pass", reason)
    known = {problem.location for problem in problems}
    if is_site(configuration):
        known |= {one.location for one in configuration.statements if one.name in {"server", "upstream"}}
    for unread in configuration.unread:
        if unread.location not in known:
            yield _unread(unread)


def is_site(configuration: Configuration) -> bool:
    """Whether the file is one that an `http` block includes, such as a file of /etc/nginx/conf.d."""
    names = {one.name for one in configuration.statements}
    return not names & {"http", "stream", "events"} and not names.isdisjoint({"server", "upstream"})


def _unread(one: Unread) -> Problem:
    return unmappable(one.location, "", one.reason, missing_hint(one.reason))


def _directive(statement: Statement) -> Iterator[Problem]:
    if reason := _DIRECTIVES.get(statement.name):
        yield unmappable(statement.location, statement.name, reason)
    elif _PROGRAMS.fullmatch(statement.name):
        yield unmappable(statement.location, statement.name, "nlbgen does not run programs in a configuration")
    elif statement.name == "proxy_bind" and "transparent" in statement.arguments:
        yield unmappable(statement.location, "proxy_bind transparent", "it needs rights that the lab does not have")
    elif statement.name == "ssl_verify_client" and statement.arguments == ("on",):
        yield unmappable(statement.location, "ssl_verify_client", "the lab's clients have no certificates")
    elif statement.name == "listen" and re.search(r"\d+-\d+$", "".join(statement.arguments[:1])):
        yield unmappable(statement.location, "listen", "the lab maps single ports")
    elif statement.name == "listen" and "".join(statement.arguments[:1]).startswith("unix:"):
        yield unmappable(statement.location, "listen", "the lab maps ports of TCP")
