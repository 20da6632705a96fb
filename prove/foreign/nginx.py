"""An nginx.conf in the lab: its listener for the lab's clients, its nodes, and the words that are mapped."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ...core.errors import Location
from ...readers.nginx.files import dumped
from ...readers.nginx.model import Model, model
from ...readers.nginx.reader import read
from ...readers.nginx.scopes import Scope
from ...readers.nginx.upstreams import Member
from ...readers.tree import Configuration, Statement
from ..lab.mapping import Mapped
from ..lab.processes import MAX_NODES
from .maps import IncludedFiles, Maps
from .nginx_choice import chosen, elsewhere
from .nginx_refused import refused
from .nginx_stream import Passed, stream_of
from .nginx_words import Mapping, direct, entry, listeners, reached_as, redirecting
from .plan import Affinity, ForeignNode, Key, Places, Plan, State, UnmappableError, unmappable
from .requests import requests_of

LONGEST_REST: Final = 5.0
"""Seconds: some limits of logins need minutes, and no scenario of the lab logs in so often."""
_RATE: Final = re.compile(r"([1-9][0-9]{0,6})r/([sm])")


class NginxFile:
    """An nginx.conf that was read, with the files that it includes, and can be mapped."""

    def __init__(self, file: Path, content: bytes, host: str | None = None, maps: Maps | None = None) -> None:
        """`host` is the name that the lab's clients request. Raises UnreadableError and UnmappableError."""
        self.files: tuple[Path, ...] = (file,)
        self.contents: tuple[str, ...] = (content.decode("utf-8", "surrogateescape"),)
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
        self._choice = chosen(self._model, self._of_stream(), str(file), host)
        self._members = _members(self._model)
        self._direct = [one for proxied in self._model.proxied if (one := direct(proxied, self._model)) is not None]
        self.plan = self._plan()
        if len(self.plan.nodes) > MAX_NODES:
            reason = f"the configuration has {len(self.plan.nodes)} nodes, but the lab starts at most {MAX_NODES}"
            raise UnmappableError([unmappable(self._choice.statement.location, "", reason)])
        self.spare_ports = len(listens)

    def mapped(self, places: Places) -> tuple[list[str], list[Mapped]]:
        """Return the text for the lab, with the included files in it, and everything that differs."""
        mapping = Mapping(self.files[0], self.contents[0], self._configuration, places, self._files)
        mapping.listeners(self._model, self._choice.server, redirects=self.plan.redirects)
        for member, key in self._members:
            mapping.member(member, key)
        for one in self._direct:
            mapping.direct(one)
        for statement, node in self._passed:
            mapping.passed(statement, node)
        mapping.directives(self._configuration)
        return [mapping.text()], mapping.rows()

    def _of_stream(self) -> Iterator[tuple[Scope, Passed]]:
        """The servers of `stream` that send connections to nodes, and not only to servers of the same file."""
        nodes = {statement for statement, key in self._passed if key is not None}
        for one in self._stream.passed:
            members = [member for upstream in one.upstreams for member in upstream.active]
            udp = any("udp" in listen.arguments for listen in one.server.own("listen"))
            reached = one.statement in nodes or any(member.statement in nodes for member in members)
            if reached and not udp and listeners(one.server):
                yield one.server, one

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

    def _plan(self) -> Plan:
        choice = self._choice
        server = choice.server
        secure = choice.tls in {"terminate", "bridge"}
        method = next((upstream.method for upstream in choice.upstreams if upstream.method), None)
        hashed = method is not None and (method.name == "ip_hash" or "$remote_addr" in "".join(method.arguments))
        affinity: Affinity = "source" if hashed else "none"
        names = [one.arguments[0] for scope in server.walk() for one in scope.own("proxy_ssl_name") if one.arguments]
        requests = requests_of(elsewhere(self._model, choice))
        return Plan(
            choice.host,
            choice.tls,
            self._nodes(),
            entry(server),
            redirects=secure and redirecting(self._model) is not None,
            affinity=affinity,
            source=hashed,
            names=tuple(
                name
                for name in (*(upstream.name for upstream in choice.upstreams), *names)
                if choice.to_tls and "$" not in name
            ),
            rest_seconds=_rest_seconds(self._configuration),
            post_path=requests.post_path,
            notes=requests.notes,
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
            reason = "a simulated node has either HTTP or HTTPS, but this upstream is used with both"
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
