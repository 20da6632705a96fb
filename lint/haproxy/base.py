"""What the rules share: the effective model of a configuration, and the roles of its backends."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final

from ...core.errors import Location
from ...readers.haproxy.conditions import Condition, acls, condition
from ...readers.haproxy.model import Model, Proxy, Server, Target, model
from ...readers.tree import Configuration, Statement, Vendor
from ..rule import Found, of_last

HAPROXY: Final[tuple[Vendor, ...]] = ("haproxy",)
MANUAL: Final = "https://docs.haproxy.org/3.0/configuration.html"
MEASURED: Final = "docs/performance.md"
PAGE: Final = "docs/vendors/haproxy.md"
WEB_PORTS: Final = frozenset({"80", "443", "8080", "8443"})
_WEBSOCKET_WORDS: Final = ("upgrade", "websocket", "signalr", "/hub", "/ws")

_model: Final = of_last(model)


def by_model(check: Callable[[Model], Iterable[Found]]) -> Callable[[Configuration], Iterable[Found]]:
    """Make the check of a rule from a function about the effective model."""
    return lambda configuration: check(_model(configuration))


# Roles


@lru_cache(maxsize=2)
def web_frontends(configuration: Model) -> tuple[Proxy, ...]:
    """The frontends that send requests of browsers and robots to servers: HTTP, or TCP on a port of HTTP."""
    return tuple(_web_frontends(configuration))


def _web_frontends(configuration: Model) -> Iterator[Proxy]:
    for frontend in configuration.frontends:
        if configuration.targets(frontend) and (frontend.is_http or _web_port(frontend)) and not _statistics(frontend):
            yield frontend


def http_frontends(configuration: Model) -> Iterator[Proxy]:
    """Those whose requests HAProxy reads."""
    return (frontend for frontend in web_frontends(configuration) if frontend.is_http)


def _web_port(frontend: Proxy) -> bool:
    return any(port(bind.address.text) in WEB_PORTS for bind in frontend.binds)


def _statistics(frontend: Proxy) -> bool:
    """Whether the frontend only shows HAProxy's own statistics."""
    uri = next((one for one in frontend.section.inside if one.arguments[:1] == ("uri",) and one.name == "stats"), None)
    return uri is not None and (uri.arguments[1:2] == ("/",) or "stat" in frontend.name.lower())


def port(address: str) -> str:
    """The port of an address as it is written; empty without one."""
    return address.rpartition(":")[2] if ":" in address else ""


@lru_cache(maxsize=2)
def web_backends(configuration: Model) -> tuple[Proxy, ...]:
    """The backends of those frontends, each once, in the order of the file; not those that only are the last resort."""
    used = {
        target.backend
        for frontend in web_frontends(configuration)
        for target in configuration.targets(frontend)
        if target.backend.servers and not last_resort(frontend, target)
    }
    return tuple(backend for backend in configuration.backends if backend in used)


def last_resort(frontend: Proxy, target: Target) -> bool:
    """Whether the target is used only while no server of another backend is up: `if { nbsrv(web) eq 0 }`."""
    when = condition_of(frontend, target.statement)
    return when is not None and any(test.fetch.startswith("nbsrv") for test in when.tests)


def condition_of(frontend: Proxy, statement: Statement) -> Condition | None:
    """The condition of a statement, with the ACLs of the frontend."""
    return condition(statement, acls(frontend))


@lru_cache(maxsize=2)
def websocket_backends(configuration: Model) -> tuple[Proxy, ...]:
    """The web backends that get WebSockets and long polls.

    Where a frontend selects a backend by the header Upgrade or by a path of SignalR, only that one gets them. A backend
    that is selected by other paths gets none.
    """
    found: list[Proxy] = []
    for frontend in web_frontends(configuration):
        targets = [one for one in configuration.targets(frontend) if one.backend.servers]
        usual = [one for one in targets if not last_resort(frontend, one)]
        selected = [one for one in usual if selects_websockets(frontend, one.statement)]
        any_path = [one for one in usual if not _selects_paths(frontend, one.statement)]
        found += [one.backend for one in selected or any_path or usual]
    used = set(found)
    return tuple(backend for backend in configuration.backends if backend in used)


def selects_websockets(frontend: Proxy, statement: Statement) -> bool:
    """Whether a statement's condition is about WebSockets or SignalR."""
    when = condition_of(frontend, statement)
    if when is None:
        return False
    texts = [term.name for terms in when.alternatives for term in terms]
    texts += [text for test in when.tests for text in (test.fetch, *test.values)]
    return any(word in text.lower() for text in texts for word in _WEBSOCKET_WORDS)


def _selects_paths(frontend: Proxy, statement: Statement) -> bool:
    """Whether a statement's condition is about the path."""
    when = condition_of(frontend, statement)
    return when is not None and any(test.fetch.startswith(("path", "url", "base")) for test in when.tests)


# Parts


def several(backend: Proxy) -> bool:
    """Whether the backend has two servers or more that serve at the same time or after each other."""
    return len(backend.servers) > 1 or any(server.template for server in backend.servers)


def checked(server: Server) -> bool:
    """Whether HAProxy knows the state of the server."""
    return server.has("check") or server.has("track") or server.has("agent-check")


def http_checks(configuration: Model, backend: Proxy) -> bool:
    """Whether the checks read an answer: HTTP, an expected text, a script, or those of the tracked backend."""
    waiting: list[Proxy | None] = [backend]
    seen = set(waiting)
    ends = 0
    while waiting:
        one = waiting.pop()
        if one is None:
            return False
        if _reads_answer(one):
            ends += 1
            continue
        names = _tracked(one)
        if not names:
            return False
        new = {configuration.proxy(name) for name in names} - seen
        waiting += new
        seen |= new
    return ends > 0  # HAProxy refuses backends that track each other in a circle


def _reads_answer(backend: Proxy) -> bool:
    """Whether the backend's own checks read an answer."""
    if any(backend.option(name) for name in ("httpchk", "external-check", "ldap-check", "mysql-check", "redis-check")):
        return True
    if any(statement.arguments[:1] == ("expect",) for statement in backend.all("tcp-check")):
        return True
    servers = [server for server in backend.servers if checked(server)]
    return any(server.has("healthcheck") or server.has("agent-check") for server in servers)


def _tracked(backend: Proxy) -> set[str]:
    """The names of other backends whose checks decide about the servers of this one."""
    tracked = [server.value("track") or "" for server in backend.servers if not server.has("check")]
    return {name.partition("/")[0] for name in tracked if "/" in name} - {backend.name}


def rules_of(configuration: Model, frontend: Proxy, *words: str) -> Iterator[Statement]:
    """The statements of a frontend and of its backends that begin with these words."""
    yield from frontend.all(*words)
    for target in configuration.targets(frontend):
        if target.backend.section is not frontend.section:
            yield from target.backend.all(*words)


def words_location(statement: Statement, text: str) -> Location:
    """The location of a word of a statement; that of the statement if it has no such word."""
    return next((word.location for word in statement.words if word.text == text), statement.location)


def named(proxy: Proxy) -> str:
    """A proxy as a message names it: backend `web`."""
    return f"{proxy.kind} `{proxy.name}`"


def seconds(length: float) -> str:
    """A length in milliseconds as a message shows it: `50 s`, `1.5 s`."""
    return f"{length / 1000:g} s"


def each_backend(
    backends: Callable[[Model], Iterable[Proxy]], check: Callable[[Model, Proxy], Iterable[Found]]
) -> Callable[[Configuration], Iterable[Found]]:
    """The check of a rule that looks at one backend (or frontend) after the other."""
    return by_model(lambda found: [one for proxy in backends(found) for one in check(found, proxy)])
