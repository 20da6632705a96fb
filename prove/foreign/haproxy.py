"""A haproxy.cfg in the lab: its listener for the lab's clients, its nodes, and the words that are mapped."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ...readers.haproxy.model import Model, Proxy, Server, model
from ...readers.haproxy.reader import read_together
from ...readers.tree import Statement
from ..lab.mapping import Mapped
from ..lab.processes import MAX_NODES
from .haproxy_choice import Choice, chosen, elsewhere
from .haproxy_refused import refused
from .haproxy_words import Words, internal, names_of, peer_lines, plain_redirect, template_numbers
from .maps import Maps
from .plan import Affinity, ForeignNode, Key, Places, Plan, State, Tls, UnmappableError, unmappable
from .requests import requests_of

_PREFIX: Final = re.compile(r"(?:ipv4@|ipv6@|tcp4@|tcp6@|tcp@)")
_STATUS: Final = re.compile(r"[2-5][0-9]{2}")


class _Keyed(NamedTuple):
    """A server with its node, a template with its nodes; None for a listener of the same file."""

    server: Server
    keys: tuple[Key | None, ...]

    @property
    def nodes(self) -> Iterator[Key]:
        """The nodes."""
        return (key for key in self.keys if key is not None)


class HaproxyFile:
    """A haproxy.cfg, or several files that HAProxy reads as one configuration; they were read and can be mapped."""

    def __init__(self, files: Sequence[tuple[Path, bytes]], host: str | None = None, maps: Maps | None = None) -> None:
        """`host` is the name that the lab's clients request. Raises UnreadableError and UnmappableError."""
        self.files = tuple(file for file, _ in files)
        self._maps = maps or Maps()
        self.contents = tuple(content.decode("utf-8", "surrogateescape") for _, content in files)
        self._model = model(read_together(files))
        self._choice = chosen(self._model, str(self.files[0]), host)
        targets = tuple(target.backend for target in self._model.targets(self._choice.frontend))
        if problems := [*refused(self._model, targets, self._here)]:
            raise UnmappableError(problems)
        binds = [bind for proxy in self._model.frontends for bind in proxy.binds]
        listeners = {name for bind in binds for name in names_of(bind)}
        self._keys = _keys(self._model, listeners, passed=self._choice.passes_tls)
        self.plan = _plan(self._choice, self._keys, self._model)
        if len(self.plan.nodes) > MAX_NODES:
            reason = f"the configuration has {len(self.plan.nodes)} nodes, but the lab starts at most {MAX_NODES}"
            raise UnmappableError([unmappable(self._choice.backend.location, "", reason)])
        self.spare_ports = sum(len(bind.address.text.split(",")) for bind in binds) + len(peer_lines(self._model))

    def _here(self, name: str) -> Path:
        """The path on this machine of a file that the configuration names."""
        return self._maps.here(name, self.files[0].parent)

    def mapped(self, places: Places) -> tuple[list[str], list[Mapped]]:
        """Return the texts for the lab, and everything that differs from the live ones."""
        mapping = Words(dict(zip(map(str, self.files), self.contents, strict=True)), places)
        redirect = plain_redirect(self._model) if self.plan.redirects else None
        mapping.globals(self._model)
        for proxy in self._model.frontends:
            for bind in proxy.binds:
                clients = bind.statement is self._choice.bind.statement
                other = redirect is not None and bind.statement is redirect[1].statement
                port = places.frontend if clients else places.http if other else None
                mapping.listener(bind, port, inside=internal(self._model, bind))
        for server, keys in self._keys:
            mapping.server(server, keys)
        mapping.others(self._model, self._here)
        mapping.edits.end_lines()
        return mapping.edits.texts(), mapping.edits.rows


def _keys(found: Model, listeners: set[str], *, passed: bool) -> list[_Keyed]:
    """The node of each server, the nodes of each template; None for one that is a listener of the same file."""
    split = {server: _addresses(server) for proxy in found.backends for server in proxy.servers}
    crowded = set()
    for proxy in found.backends:
        hosts = Counter(host for server in proxy.servers for host, _ in split[server])
        crowded |= {host for host, count in hosts.items() if count > 1}
    keys: list[_Keyed] = []
    for server, addresses in split.items():
        own = server.address.removeprefix("unix@") in listeners and not server.template
        tls = server.has("ssl") or passed
        nodes = [Key(host, port if host in crowded else "", tls) for host, port in addresses]
        keys.append(_Keyed(server, (None,) if own else tuple(nodes)))
    return keys


def _addresses(server: Server) -> list[tuple[str, str]]:
    """Host and port of a server; those of each server of a template, which are different addresses of one name."""
    host, port = _split(server.address)
    return [(f"{host}#{number}", port) for number in template_numbers(server)] if server.template else [(host, port)]


def _split(address: str) -> tuple[str, str]:
    """Host and port; IPv6 with or without brackets."""
    host, _, port = _PREFIX.sub("", address).rpartition(":")
    if not host or (":" in host and not host.startswith("[") and not port.isdecimal()):
        return _PREFIX.sub("", address).strip("[]"), ""
    return host.strip("[]"), port


def _plan(choice: Choice, keys: list[_Keyed], found: Model) -> Plan:
    backend = choice.backend
    nodes: dict[Key, ForeignNode] = {}
    for server, key in ((one.server, key) for one in keys if one.server in backend.servers for key in one.nodes):
        nodes.setdefault(key, _node(server, key, len(nodes) + 1))
    secured = any(key.tls for key in nodes)
    for other in (key for one in keys for key in one.nodes):
        nodes.setdefault(other, ForeignNode(other, f"node-{len(nodes) + 1}", "down"))
    if not any(node.state == "up" for node in nodes.values()):
        reason = "no server of this backend gets requests in normal operation"
        raise UnmappableError([unmappable(backend.location, backend.name, reason, "give a file with enabled servers")])
    paths, status = _health(found)
    requests = requests_of(elsewhere(found, choice))
    return Plan(
        choice.host,
        _tls(choice, secured=secured),
        tuple(nodes.values()),
        choice.bind.address.text,
        redirects=plain_redirect(found) is not None and choice.ends_tls,
        affinity=_affinity(backend),
        source=bool((last := backend.last("balance")) and last.arguments[:1] == ("source",)),
        health_paths=paths,
        health_status=status,
        names=tuple(_names(found)),
        own_addresses=any(_counts_by_address(one) for one in found.configuration.walk()),
        post_path=requests.post_path,
        notes=requests.notes,
    )


def _counts_by_address(statement: Statement) -> bool:
    """Whether a rule counts the requests or connections of each client's address."""
    words = statement.arguments
    return "src" in words and any(word.startswith("track-sc") for word in words)


def _node(server: Server, key: Key, number: int) -> ForeignNode:
    weight = server.value("weight") or "100"
    share = int(weight) if weight.isdecimal() else 100
    state: State = "up"
    if server.has("disabled"):
        state = "down"
    elif server.has("backup"):
        state = "backup"
    elif share == 0:
        state = "drain"
    return ForeignNode(key, f"node-{number}", state, max(share, 1))


def _tls(choice: Choice, *, secured: bool) -> Tls:
    if choice.ends_tls:
        return "bridge" if secured else "terminate"
    return "passthrough" if choice.passes_tls else "none"


def _affinity(backend: Proxy) -> Affinity:
    cookie = backend.last("cookie")
    if cookie and any(server.value("cookie") for server in backend.servers):
        return "cookie"
    sticks = any("src" in one.arguments for one in backend.all("stick", "on"))
    return "source" if sticks else "none"


def _health(found: Model) -> tuple[tuple[str, ...], int]:
    """The paths that checks of any backend request, and the status that they expect."""
    paths: dict[str, None] = {}
    status = 200
    for backend in found.backends:
        check = backend.option("httpchk")
        if check is None:
            continue
        words = check.arguments[1:]
        paths |= dict.fromkeys(word for word in words if word.startswith("/"))
        for sent in backend.all("http-check", "send"):
            at = sent.arguments.index("uri") + 1 if "uri" in sent.arguments else len(sent.arguments)
            paths |= dict.fromkeys(sent.arguments[at : at + 1])
        for expect in backend.all("http-check", "expect"):
            if expect.arguments[1:2] == ("status",) and _STATUS.match("".join(expect.arguments[2:3])):
                status = int(expect.arguments[2][:3])
    return tuple(path.partition("?")[0] for path in paths), status


def _names(found: Model) -> Iterator[str]:
    """The names that the servers' certificates must have."""
    for backend in found.backends:
        for server in backend.servers:
            if name := server.value("verifyhost"):
                yield name
            if (sni := server.value("sni")) and (literal := re.fullmatch(r"str\(([^)]+)\)", sni)):
                yield literal[1]
