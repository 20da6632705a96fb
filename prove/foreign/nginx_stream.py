"""The `stream` block of an nginx.conf: its servers, and where each of them sends connections."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ...core.errors import Problem
from ...readers.nginx.model import Model
from ...readers.nginx.scopes import Scope
from ...readers.nginx.upstreams import Member, Upstream
from ...readers.nginx.variables import DEFINING, Variables
from ...readers.tree import Configuration, Statement
from .plan import Key, unmappable

_ADDRESS: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]+):(?P<port>\d+)")
_TLS_PORTS: Final = ("443", "8443", "6443")
DEFAULT_TIMEOUTS: Final[Mapping[str, str]] = {"proxy_timeout": "10m", "proxy_connect_timeout": "60s"}
"""NGINX's documented defaults in `stream`."""


@dataclass(frozen=True)
class Passed:
    """A `server` of `stream` with its `proxy_pass`: the upstreams and the addresses that the word can be."""

    server: Scope
    statement: Statement
    upstreams: tuple[Upstream, ...]
    addresses: tuple[str, ...]
    host: str | None
    """The name in the `map` that selects the first upstream."""

    @property
    def passes_tls(self) -> bool:
        """Whether the clients' TLS reaches the node: NGINX has no certificate here, and the port or SNI shows TLS."""
        listens = [one for one in self.server.own("listen") if one.arguments]
        if any("ssl" in one.arguments for one in listens):
            return False
        ports = {one.arguments[0].rpartition(":")[2] for one in listens}
        return self.server.value("ssl_preread") == "on" or not ports.isdisjoint(_TLS_PORTS)

    @property
    def to_tls(self) -> bool:
        """Whether the nodes have TLS."""
        return self.passes_tls or self.server.value("proxy_ssl") == "on"


@dataclass(frozen=True)
class Stream:
    """What the `stream` blocks have."""

    servers: tuple[Scope, ...]
    upstreams: Mapping[str, Upstream]
    passed: tuple[Passed, ...]
    problems: tuple[Problem, ...]

    def keyed(self, inside: frozenset[str]) -> Iterator[tuple[Statement, Key | None]]:
        """Yield each statement with an address of a node: a member or a `proxy_pass`; None for one of `inside`."""
        crowded: set[str] = set()
        for upstream in self.upstreams.values():
            hosts = Counter(member.host for member in upstream.members)
            crowded |= {host for host, count in hosts.items() if count > 1}
        for one in self.passed:
            for member in (member for upstream in one.upstreams for member in upstream.members):
                yield member.statement, _key(one, member.statement.arguments[0], inside, crowded)
            for address in one.addresses:
                yield one.statement, _key(one, address, inside, crowded)


def _key(one: Passed, address: str, inside: frozenset[str], crowded: Collection[str]) -> Key | None:
    """The node at an address, one for each host that no upstream has twice; None for a listener of the same file."""
    found = _ADDRESS.fullmatch(address)
    if found is None or address in inside:
        return None
    return Key(found["host"].strip("[]"), found["port"] if found["host"] in crowded else "", one.to_tls)


def stream_of(configuration: Configuration, found: Model) -> Stream:
    """Read the `stream` blocks."""
    inside = [inner for one in found.main.inner if one.kind == "stream" for inner in one.inner]
    unread = {one.location for one in configuration.unread}
    upstreams = {
        scope.path: Upstream.of(scope.statement, unread)
        for scope in inside
        if scope.kind == "upstream" and scope.statement is not None
    }
    variables = Variables.of((one for one in inside if one.kind in DEFINING), found.stream_servers, unread)
    passed: list[Passed] = []
    problems: list[Problem] = []
    for server in found.stream_servers:
        for statement in server.own("proxy_pass"):
            one = _passed(server, statement, upstreams, variables)
            problems += _problems(statement, one)
            if one is not None:
                passed.append(one)
    problems += [
        unmappable(one.statement.location, f"upstream {one.name}", one.open_reason)
        for one in upstreams.values()
        if one.open_reason
    ]
    return Stream(found.stream_servers, upstreams, tuple(passed), tuple(problems))


def _passed(
    server: Scope, statement: Statement, upstreams: Mapping[str, Upstream], variables: Variables
) -> Passed | None:
    """The targets of a `proxy_pass`; None if a variable can be anything."""
    text = "".join(statement.arguments[:1])
    values = variables.values(text)
    if values is None:
        return None
    names = tuple(dict.fromkeys(value for value in values if value))
    known = tuple(upstreams[name] for name in names if name in upstreams)
    block = variables.block(text)
    host = None
    if block is not None and known:
        lines = [one for one in block.statement.inside if one.arguments == (known[0].name,)] if block.statement else []
        host = next((one.name.lower() for one in lines if "." in one.name and one.name[0] not in "~.*"), None)
    return Passed(server, statement, known, tuple(name for name in names if name not in upstreams), host)


def _problems(statement: Statement, one: Passed | None) -> Iterator[Problem]:
    """Refuse targets that the lab cannot map."""
    if one is None:
        yield unmappable(statement.location, "proxy_pass", "a variable has the address of the node")
        return
    written = "".join(statement.arguments[:1])
    for address in one.addresses:
        if _ADDRESS.fullmatch(address) is None:
            yield unmappable(statement.location, address, "the simulated nodes listen on TCP ports")
        elif address != written:
            yield unmappable(statement.location, address, "a map has the address of the node: make it an upstream")
    for member in (member for upstream in one.upstreams for member in upstream.members):
        if not _is_address(member):
            word = member.statement.words[1]
            yield unmappable(word.location, word.text, "the simulated nodes listen on TCP ports")


def _is_address(member: Member) -> bool:
    return _ADDRESS.fullmatch(member.statement.arguments[0]) is not None
