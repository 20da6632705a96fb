"""The listener of a haproxy.cfg that the lab's clients use, and the backend that serves them."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Final, NamedTuple

from ...core.errors import Location, Problem
from ...readers.haproxy.model import Bind, Model, Proxy, Server
from ...readers.tree import Statement, Word
from .haproxy_paths import Arrival, Asked, arrival
from .haproxy_words import internal, names_of
from .plan import HOST, UnmappableError, unmappable
from .requests import FIRST, OTHERS, Elsewhere, Request

_HOST_TEST: Final = re.compile(
    r"(?:req\.)?f?hdr(?:_dom|_beg|_end|_reg)?\(host\)|(?:req_ssl_sni|req\.ssl_sni|ssl_fc_sni)", re.IGNORECASE
)
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+", re.IGNORECASE)
_NOT_NAME: Final = re.compile(r"[:|()\[$*+?]")
_HELLO: Final = re.compile(r"if \{ req[._]ssl_hello_type 1 \}")
_TLS_PORTS: Final = frozenset(("443", "8443"))
_MOST_TRIED: Final = 100
"""Backends and names of one listener: a file may have thousands, and the first ones are the most likely ones."""
_MOST_NAMES: Final = 8
_NOT_CLIENTS: Final = ("/", "unix@", "abns@", "quic")
"""Addresses to which the lab's clients do not connect."""


class Choice(NamedTuple):
    """The listener to which the lab's clients connect, the backend that serves them, and their host name."""

    frontend: Proxy
    bind: Bind
    backend: Proxy
    host: str
    inner: Bind | None = None
    """The listener of `frontend` to which `bind` of the same file sends the clients, for example by SNI."""

    @property
    def passes_tls(self) -> bool:
        """Whether the clients' TLS reaches the nodes."""
        return _passes_tls(self.frontend, self.inner or self.bind, self.backend)

    @property
    def ends_tls(self) -> bool:
        """Whether HAProxy ends the clients' TLS."""
        return (self.inner or self.bind).get("ssl") is not None

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """TLS comes before others, then port 443, then most servers."""
        return self.ends_tls, _port(self.bind) == "443", len(self.backend.servers)

    def arrival(self, found: Model, request: Request) -> Arrival:
        """Where a request of the lab's clients arrives."""
        asked = Asked(request, self.host, self.ends_tls, self.passes_tls)
        return arrival(found, self.frontend, asked)


def chosen(found: Model, file: str, host: str | None) -> Choice:
    """Choose the listener, the first one of the best rank.

    Raises UnmappableError if none gets the requests of the lab's clients to a node. A listener without TLS is not
    chosen in place of one with TLS that does not: its results would say nothing about the listener that clients use.
    """
    choices: list[Choice] = []
    dead: list[Choice] = []
    for frontend in found.frontends:
        for bind in frontend.binds:
            if not bind.address.text.startswith(_NOT_CLIENTS) and not internal(found, bind):
                tried = [*islice(_tried_inside_and_out(found, frontend, bind, host), _MOST_TRIED)]
                reaching = next((one for one in tried if _reaches(found, one)), None)
                choices += [reaching] if reaching else []
                dead += [] if reaching else tried[:1]
    secure = [one for one in dead if one.rank[0]]
    if any(one.rank[0] for one in choices) or (choices and not secure):
        return max(choices, key=lambda one: one.rank)
    if dead:
        raise UnmappableError([_unreached(found, max(secure or dead, key=lambda one: one.rank))])
    reason = "no frontend with a bind line sends requests to a backend with servers"
    hint = "give a file that has the frontend and its servers"
    raise UnmappableError([unmappable(Location(file, 1, 1), "", reason, hint)])


def _reaches(found: Model, choice: Choice) -> bool:
    return choice.backend in choice.arrival(found, FIRST).backends


def _tried_inside_and_out(found: Model, frontend: Proxy, bind: Bind, host: str | None) -> Iterator[Choice]:
    """The backends of a listener, and those of the listeners behind it: first where most clients go."""
    default = frontend.last("default_backend")
    ends = [one.backend for one in found.targets(frontend) if one.statement is default]
    ways = [_tried(found, frontend, bind, host), _tried_inside(found, frontend, bind, host)]
    yield from chain(*(reversed(ways) if ends and _leads_inside(found, ends[0]) else ways))


def _tried_inside(found: Model, outer: Proxy, bind: Bind, host: str | None) -> Iterator[Choice]:
    """The choices of the listeners of the same file to which this one sends clients, by the clients' host names."""
    for target in found.targets(outer):
        reached = {_address(server) for server in target.backend.servers}
        inner = [(one, own) for one in found.frontends for own in one.binds if not names_of(own).isdisjoint(reached)]
        for choice in (one for frontend, own in inner for one in _tried(found, frontend, own, host)):
            asked = Asked(FIRST, choice.host, bind.get("ssl") is not None, _passes_tls(outer, bind, target.backend))
            if target.backend in arrival(found, outer, asked).backends:
                yield choice._replace(bind=bind, inner=choice.bind)


def _tried(found: Model, frontend: Proxy, bind: Bind, host: str | None) -> Iterator[Choice]:
    """The backends of a listener, the most likely one first, each with the host names that may select it.

    Where a condition is not known, a name for which this backend surely comes first is better than another one.
    """
    for backend in _backends(found, frontend):
        names = [host] if host else [*_hosts(found, frontend, backend)]
        ones = [Choice(frontend, bind, backend, name) for name in names]
        yield from sorted(ones, key=lambda one: one.arrival(found, FIRST).backends[:1] != (backend,))


def _backends(found: Model, frontend: Proxy) -> Sequence[Proxy]:
    """The backends of a frontend that have nodes: that of all TLS clients, the default one, those with most servers."""
    targets = [target for target in found.targets(frontend) if target.backend.servers]
    first = [one.backend for one in targets if _HELLO.fullmatch(_condition(one.statement))]
    default = [one.backend for one in targets if one.statement.name in {"default_backend", "listen"}]
    rest = sorted((one.backend for one in targets), key=lambda backend: -len(backend.servers))
    known = dict.fromkeys((*first, *reversed(default), *rest))
    return [backend for backend in known if not _leads_inside(found, backend)]


def _condition(statement: Statement) -> str:
    return " ".join(statement.arguments[1:])


def _leads_inside(found: Model, backend: Proxy) -> bool:
    """Whether the servers of a backend are listeners of the same file."""
    listeners = {name for proxy in found.frontends for bind in proxy.binds for name in names_of(bind)}
    return all(_address(server) in listeners for server in backend.servers)


def _address(server: Server) -> str:
    return server.address.removeprefix("unix@")


def _hosts(found: Model, frontend: Proxy, backend: Proxy) -> Iterator[str]:
    """The names in the conditions of this backend, the first name that the frontend compares, any name, the others."""
    names = {acl.arguments[0]: name for acl in frontend.all("acl") if (name := _tested(acl.words[2:]))}
    for statement in (one.statement for one in found.targets(frontend) if one.backend is backend):
        words = statement.words[2:]
        if name := _tested(words) or next((names[one.text] for one in words if one.text in names), None):
            yield name
    first, *others = [*names.values()] or [HOST]
    yield from dict.fromkeys((first, HOST, *others[:_MOST_NAMES]))


def _tested(words: tuple[Word, ...]) -> str | None:
    """The first host name that follows a test of the Host header or of SNI."""
    texts = [word.text for word in words]
    start = next((number for number, text in enumerate(texts) if _HOST_TEST.match(text)), None)
    if start is None:
        return None
    return next(filter(None, map(_name, texts[start + 1 :])), None)


def _name(text: str) -> str | None:
    """A host name that is equal to a value, ends with it, or begins an expression."""
    plain = text.removeprefix("^").lstrip("(").removeprefix("?:").replace("\\.", ".")
    plain = _NOT_NAME.split(f"www{plain}" if plain.startswith(".") else plain)[0]
    return plain.lower() if _NAME.fullmatch(plain) else None


def _port(bind: Bind) -> str:
    return bind.address.text.split(",")[0].rpartition(":")[2]


def _passes_tls(frontend: Proxy, bind: Bind, backend: Proxy) -> bool:
    """Whether the clients' TLS reaches the nodes: the balancer has neither HTTP nor a certificate."""
    if frontend.is_http or bind.get("ssl"):
        return False
    words = {word.text for one in frontend.section.walk() for word in one.words}
    looks = any("ssl_sni" in word or "ssl_hello_type" in word for word in words)
    return looks or _port(bind) in _TLS_PORTS or backend.option("ssl-hello-chk") is not None


def elsewhere(found: Model, choice: Choice) -> Iterator[Elsewhere]:
    """The other requests of the lab's clients that other nodes get, or none."""
    own = {_address(server) for server in choice.backend.servers}
    for request in OTHERS:
        ended = choice.arrival(found, request)
        others = [one for one in ended.backends if not {_address(server) for server in one.servers} <= own]
        if not ended.backends:
            end = ended.end or choice.frontend.section
            yield Elsewhere(request, "", f"{' '.join((end.name, *end.arguments[:1]))} in line {end.location.line}")
        elif choice.backend not in ended.backends and others:
            yield Elsewhere(request, f"backend {others[0].name} (line {others[0].location.line})", "")


def _unreached(found: Model, choice: Choice) -> Problem:
    """Why the first request does not reach a node."""
    ended = choice.arrival(found, FIRST)
    listener = f"{choice.frontend.kind} {choice.frontend.name}"
    hint = "give the file of the Orchestrator farm, or another host name: --host NAME"
    if ended.end is not None and ended.end.name not in {"backend", "listen"}:
        what = " ".join((ended.end.name, *ended.end.arguments[:1]))
        reason = f"it answers {FIRST.path} for the host {choice.host} and clients of 127.0.0.0/8 in {listener}"
        return unmappable(ended.end.location, what, reason, hint)
    last = next(reversed([*found.targets(choice.frontend)])).statement
    known = f"backend {ended.end.arguments[0]} has no server" if ended.end else "no use_backend applies"
    reason = f"no backend with servers gets {FIRST.path} for the host {choice.host} in {listener}: {known}"
    return unmappable(last.location, last.name, reason, hint)
