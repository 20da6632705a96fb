"""An nginx.conf in the lab: its listener for the lab's clients, its nodes, and the words that are mapped."""

import re
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

from ...core.errors import Location
from ...readers.nginx.files import dumped
from ...readers.nginx.model import Model, Proxied, model
from ...readers.nginx.reader import read
from ...readers.nginx.scopes import Scope
from ...readers.nginx.upstreams import Member
from ..lab.mapping import Mapped
from ..lab.processes import MAX_NODES
from .nginx_refused import refused
from .nginx_words import Mapping, direct, listeners, redirecting
from .plan import HOST, Affinity, ForeignNode, Key, Places, Plan, State, UnmappableError, unmappable

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+", re.IGNORECASE)


class _Choice(NamedTuple):
    """The server to which the lab's clients connect, and its block with the `proxy_pass` of most requests."""

    server: Scope
    proxied: Proxied


class NginxFile:
    """An nginx.conf that was read, with the files that it includes, and can be mapped."""

    def __init__(self, file: Path, content: bytes, host: str | None = None) -> None:
        """`host` is the name that the lab's clients request. Raises UnreadableError and UnmappableError."""
        self.file = file
        self.content = content.decode("utf-8", "surrogateescape")
        if next(dumped(str(file), content), None) is not None:
            reason = "the output of nginx -T has many files in one text"
            raise UnmappableError([unmappable(Location(str(file), 1, 1), "", reason, "give nginx.conf itself")])
        self._configuration = read(file, content)
        self._model = model(self._configuration)
        if problems := [*refused(self._configuration, self._model)]:
            raise UnmappableError(problems)
        self._choice = _chosen(self._model, str(file))
        self._members = _members(self._model)
        self._direct = [one for proxied in self._model.proxied if (one := direct(proxied, self._model)) is not None]
        self.plan = self._plan(host)
        if len(self.plan.nodes) > MAX_NODES:
            reason = f"{len(self.plan.nodes)} nodes, and the lab starts at most {MAX_NODES}"
            raise UnmappableError([unmappable(self._choice.proxied.target.statement.location, "", reason)])
        self.spare_ports = len({address for server in self._model.servers for _, address in listeners(server)})

    def mapped(self, places: Places) -> tuple[str, list[Mapped]]:
        """Return the text for the lab, with the included files in it, and everything that differs."""
        mapping = Mapping(self.file, self.content, self._configuration, places)
        mapping.listeners(self._model, self._choice.server, redirects=self.plan.redirects)
        for member, key in self._members:
            mapping.member(member, key)
        for one in self._direct:
            mapping.direct(one)
        mapping.directives(self._configuration)
        return mapping.text(), mapping.rows()

    def _plan(self, host: str | None) -> Plan:
        server, proxied = self._choice
        own = {upstream.name for upstream in proxied.target.upstreams}
        chosen = [one for upstream in proxied.target.upstreams for one in upstream.members]
        nodes: dict[Key, ForeignNode] = {}
        for member, key in sorted(self._members, key=lambda pair: pair[0] not in chosen):
            state = _state(member) if member in chosen else "down"
            nodes.setdefault(key, ForeignNode(key, f"node-{len(nodes) + 1}", state, _weight(member)))
        for one in self._direct:
            state = "up" if one.proxied is proxied else "down"
            nodes.setdefault(one.key, ForeignNode(one.key, f"node-{len(nodes) + 1}", state))
        if not any(node.state == "up" for node in nodes.values()):
            reason = "no member gets requests in normal operation"
            raise UnmappableError([unmappable(proxied.target.statement.location, "proxy_pass", reason)])
        secure = _is_tls(server)
        to_nodes = proxied.target.scheme == "https"
        method = next((upstream.method for upstream in proxied.target.upstreams if upstream.method), None)
        hashed = method is not None and (method.name == "ip_hash" or "$remote_addr" in "".join(method.arguments))
        affinity: Affinity = "source" if hashed else "none"
        names = [one.arguments[0] for scope in server.walk() for one in scope.own("proxy_ssl_name") if one.arguments]
        return Plan(
            host or _host(server) or HOST,
            ("bridge" if to_nodes else "terminate") if secure else "none",
            tuple(nodes.values()),
            next(address for _, address in listeners(server)),
            redirects=secure and redirecting(self._model) is not None,
            affinity=affinity,
            source=hashed,
            names=tuple(name for name in (*own, *names) if to_nodes and "$" not in name),
        )


def _is_tls(server: Scope) -> bool:
    return any("ssl" in one.arguments for one in server.own("listen")) or server.value("ssl") == "on"


def _chosen(found: Model, file: str) -> _Choice:
    """Choose the server: with TLS before others, then with most members, then the first one."""
    choices = []
    for number, server in enumerate(found.servers):
        blocks = [one for one in found.of_server.get(server, ()) if one.target.upstreams or one.target.names]
        if blocks and listeners(server):
            block = max(blocks, key=_is_general)
            members = sum(len(upstream.active) for upstream in block.target.upstreams)
            choices.append((_is_tls(server), members, -number, server, block))
    if not choices:
        reason = "no server of http with a listen directive has a proxy_pass"
        raise UnmappableError([unmappable(Location(file, 1, 1), "", reason, "give the complete nginx.conf")])
    *_, server, block = max(choices, key=lambda choice: choice[:3])
    return _Choice(server, block)


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
