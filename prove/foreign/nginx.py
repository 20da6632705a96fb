"""An nginx.conf in the lab: its listener for the lab's clients, its nodes, and the words that are mapped."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from ...core.errors import Location, Problem
from ...readers.nginx.files import dumped
from ...readers.nginx.model import Model, Proxied, model
from ...readers.nginx.reader import read
from ...readers.nginx.scopes import Scope
from ...readers.nginx.upstreams import Member, Upstream
from ...readers.tree import Configuration, Statement
from ..lab.mapping import Mapped
from ..lab.processes import MAX_NODES
from .maps import IncludedFiles, Maps
from .nginx_refused import refused
from .nginx_stream import Passed, stream_of
from .nginx_words import Mapping, direct, listeners, reached_as, redirecting
from .plan import HOST, Affinity, ForeignNode, Key, Places, Plan, State, Tls, UnmappableError, unmappable

PATH: Final = "/odata/Jobs"
"""The path that the lab's clients request."""
LONGEST_REST: Final = 5.0
"""Seconds: some limits of logins need minutes, and no scenario of the lab logs in so often."""
_RATE: Final = re.compile(r"([1-9][0-9]{0,6})r/([sm])")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+", re.IGNORECASE)


class _Choice(NamedTuple):
    """The server to which the lab's clients connect, and its `proxy_pass` of most requests."""

    server: Scope
    by: Proxied | Passed

    @property
    def statement(self) -> Statement:
        """The `proxy_pass`."""
        return self.by.statement if isinstance(self.by, Passed) else self.by.target.statement

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The upstreams that it names."""
        return self.by.upstreams if isinstance(self.by, Passed) else self.by.target.upstreams

    @property
    def to_tls(self) -> bool:
        """Whether the nodes have TLS."""
        return self.by.to_tls if isinstance(self.by, Passed) else self.by.target.scheme == "https"

    @property
    def tls(self) -> Tls:
        """Where TLS ends."""
        if isinstance(self.by, Passed) and self.by.passes_tls:
            return "passthrough"
        return ("bridge" if self.to_tls else "terminate") if _is_tls(self.server) else "none"


class NginxFile:
    """An nginx.conf that was read, with the files that it includes, and can be mapped."""

    def __init__(self, file: Path, content: bytes, host: str | None = None, maps: Maps | None = None) -> None:
        """`host` is the name that the lab's clients request. Raises UnreadableError and UnmappableError."""
        self.file = file
        self.content = content.decode("utf-8", "surrogateescape")
        if next(dumped(str(file), content), None) is not None:
            reason = "the output of nginx -T has many files in one text"
            raise UnmappableError([unmappable(Location(str(file), 1, 1), "", reason, "give nginx.conf itself")])
        self._files = IncludedFiles(file.parent, maps or Maps())
        self._configuration = read(file, content, self._files)
        self._model = model(self._configuration)
        self._stream = stream_of(self._configuration, self._model)
        if problems := [*refused(self._configuration, self._model), *self._stream.problems]:
            raise UnmappableError(problems)
        servers = (*self._model.servers, *self._model.stream_servers)
        listens = {address for server in servers for _, address in listeners(server)}
        self._passed = [*self._stream.keyed(frozenset(name for one in listens for name in reached_as(one)))]
        self._choice = self._chosen()
        self._members = _members(self._model)
        self._direct = [one for proxied in self._model.proxied if (one := direct(proxied, self._model)) is not None]
        self.plan = self._plan(host)
        if len(self.plan.nodes) > MAX_NODES:
            reason = f"{len(self.plan.nodes)} nodes, and the lab starts at most {MAX_NODES}"
            raise UnmappableError([unmappable(self._choice.statement.location, "", reason)])
        self.spare_ports = len(listens)

    def mapped(self, places: Places) -> tuple[str, list[Mapped]]:
        """Return the text for the lab, with the included files in it, and everything that differs."""
        mapping = Mapping(self.file, self.content, self._configuration, places, self._files)
        mapping.listeners(self._model, self._choice.server, redirects=self.plan.redirects)
        for member, key in self._members:
            mapping.member(member, key)
        for one in self._direct:
            mapping.direct(one)
        for statement, node in self._passed:
            mapping.passed(statement, node)
        mapping.directives(self._configuration)
        return mapping.text(), mapping.rows()

    def _chosen(self) -> _Choice:
        """Choose the server: with TLS before others, then with most members, then the first one of `http`."""
        choices = [
            (_is_tls(choice.server) or choice.tls == "passthrough", members, -number, choice)
            for number, (choice, members) in enumerate([*_of_http(self._model), *self._of_stream()])
        ]
        if not choices:
            raise UnmappableError([self._without_choice()])
        return max(choices, key=lambda choice: choice[:3])[-1]

    def _without_choice(self) -> Problem:
        """Why no server can be chosen."""
        if self._model.proxied:
            location = self._model.proxied[0].target.statement.location
            reason = f"no location with a proxy_pass has the paths of Orchestrator, such as {PATH}"
            return unmappable(location, "proxy_pass", reason, "give the file of the Orchestrator farm")
        reason = "no server with a listen directive has a proxy_pass to a node"
        return unmappable(Location(str(self.file), 1, 1), "", reason, "give the complete nginx.conf")

    def _of_stream(self) -> Iterator[tuple[_Choice, int]]:
        """The servers of `stream` that send connections to nodes, and not only to servers of the same file."""
        nodes = {statement for statement, key in self._passed if key is not None}
        for one in self._stream.passed:
            members = [member for upstream in one.upstreams for member in upstream.active]
            udp = any("udp" in listen.arguments for listen in one.server.own("listen"))
            reached = one.statement in nodes or any(member.statement in nodes for member in members)
            if reached and not udp and listeners(one.server):
                yield _Choice(one.server, one), len(members)

    def _nodes(self) -> tuple[ForeignNode, ...]:
        choice = self._choice
        chosen = {member.statement: member for upstream in choice.upstreams for member in upstream.members}
        of_http = [(member.statement, key) for member, key in self._members]
        direct = [(one.proxied.target.statement, one.key) for one in self._direct]
        known = [(statement, key) for statement, key in (*of_http, *direct, *self._passed) if key is not None]
        nodes: dict[Key, ForeignNode] = {}
        for statement, key in sorted(known, key=lambda pair: pair[0] not in chosen and pair[0] is not choice.statement):
            member = chosen.get(statement)
            state: State = "up" if statement is choice.statement else "down"
            made = (state, 100) if member is None else (_state(member), _weight(member))
            nodes.setdefault(key, ForeignNode(key, f"node-{len(nodes) + 1}", *made))
        if not any(node.state == "up" for node in nodes.values()):
            reason = "no member gets requests in normal operation"
            raise UnmappableError([unmappable(choice.statement.location, "proxy_pass", reason)])
        return tuple(nodes.values())

    def _plan(self, host: str | None) -> Plan:
        choice = self._choice
        server = choice.server
        secure = choice.tls in {"terminate", "bridge"}
        method = next((upstream.method for upstream in choice.upstreams if upstream.method), None)
        hashed = method is not None and (method.name == "ip_hash" or "$remote_addr" in "".join(method.arguments))
        affinity: Affinity = "source" if hashed else "none"
        names = [one.arguments[0] for scope in server.walk() for one in scope.own("proxy_ssl_name") if one.arguments]
        named = choice.by.host if isinstance(choice.by, Passed) else _host(server)
        return Plan(
            host or named or HOST,
            choice.tls,
            self._nodes(),
            next(address for _, address in listeners(server)),
            redirects=secure and redirecting(self._model) is not None,
            affinity=affinity,
            source=hashed,
            names=tuple(
                name
                for name in (*(upstream.name for upstream in choice.upstreams), *names)
                if choice.to_tls and "$" not in name
            ),
            rest_seconds=_rest_seconds(self._configuration),
        )


def _of_http(found: Model) -> Iterator[tuple[_Choice, int]]:
    """The servers of `http` that have a `proxy_pass`, each with its block of all paths, and the number of members."""
    for server in found.servers:
        blocks = [one for one in found.of_server.get(server, ()) if one.target.upstreams or one.target.names]
        blocks = [one for one in blocks if _has_path(one.scope)]
        if blocks and listeners(server):
            block = max(blocks, key=_is_general)
            yield _Choice(server, block), sum(len(upstream.active) for upstream in block.target.upstreams)


def _is_tls(server: Scope) -> bool:
    return any("ssl" in one.arguments for one in server.own("listen")) or server.value("ssl") == "on"


def _has_path(scope: Scope) -> bool:
    """Whether a block can have the requests of the lab's clients; an expression may."""
    location = scope.enclosing("location")
    if location is None or location.words[:1] in {("~",), ("~*",)}:
        return True
    if location.path.startswith("@"):
        return _is_reached(location)
    return PATH.startswith(location.path) and location.words[:1] != ("=",)


def _is_reached(named: Scope) -> bool:
    """Whether `try_files` or `error_page` of a block with these requests sends them to a named location."""
    server = named.enclosing("server")
    return server is not None and any(
        named.path in one.arguments and _has_path(scope)
        for scope in server.walk()
        if not ((location := scope.enclosing("location")) and location.path.startswith("@"))
        for one in (*scope.own("try_files"), *scope.own("error_page"))
    )


def _rest_seconds(configuration: Configuration) -> float:
    """How long the slowest `limit_req` needs for its burst, at most LONGEST_REST: the lab's clients are one address."""
    rates: dict[str, float] = {}
    longest = 0.0
    directives = [*configuration.walk()]
    for words in (_parameters(one) for one in directives if one.name == "limit_req_zone"):
        if found := _RATE.fullmatch(words.get("rate", "")):
            rates[words.get("zone", "").partition(":")[0]] = int(found[1]) / (60 if found[2] == "m" else 1)
    for words in (_parameters(one) for one in directives if one.name == "limit_req"):
        if (rate := rates.get(words.get("zone", ""))) and (burst := words.get("burst", "0")).isdecimal():
            longest = max(longest, (int(burst) + 1) / rate)
    return min(longest, LONGEST_REST)


def _parameters(statement: Statement) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in statement.arguments)}


def _is_general(proxied: Proxied) -> bool:
    """Whether the block is that of all paths."""
    return proxied.scope.kind == "location" and proxied.scope.words == ("/",)


def _host(server: Scope) -> str | None:
    names = (name for one in server.own("server_name") for name in one.arguments)
    plain = (name.replace("*", "www", 1) if name.startswith("*.") else name.removeprefix(".") for name in names)
    return next((name.lower() for name in plain if _NAME.fullmatch(name)), None)


def _members(found: Model) -> list[tuple[Member, Key]]:
    """The node of each member: one for each host, except where an upstream has a host twice."""
    crowded: set[str] = set()
    for upstream in found.upstreams.values():
        hosts = Counter(member.host for member in upstream.members)
        crowded |= {host for host, count in hosts.items() if count > 1}
    keys = []
    for upstream in found.upstreams.values():
        schemes = {one.target.scheme for one in found.uses.get(upstream.name, ())}
        if len(schemes) > 1:
            reason = "a simulated node has either HTTP or HTTPS, and this upstream is used with both"
            raise UnmappableError([unmappable(upstream.statement.location, f"upstream {upstream.name}", reason)])
        for one in upstream.members:
            port = one.key[1] if one.host in crowded else ""
            keys.append((one, Key(one.host, port, "https" in schemes)))
    return keys


def _state(member: Member) -> State:
    return "down" if member.down else "backup" if member.backup else "up"


def _weight(member: Member) -> int:
    text = member.parameters.get("weight", "100")
    return min(max(int(text), 1), 256) if text.isdecimal() else 100
