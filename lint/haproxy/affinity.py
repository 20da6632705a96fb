"""Affinity: rules that look like it, and what SignalR Core needs."""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from ...readers.haproxy.model import Model, Proxy
from ...readers.tree import Statement
from ..rule import Found, Rule
from .base import (
    HAPROXY,
    MANUAL,
    PAGE,
    by_model,
    condition_of,
    each_backend,
    http_frontends,
    last_resort,
    named,
    selects_websockets,
    several,
    web_backends,
    websocket_backends,
)

_CLASSIC_PATH: Final = "/signalr"
_HASHES: Final = frozenset({"source", "uri", "url_param", "hdr", "hash", "rdp-cookie"})
_SAME_FOR_ALL: Final = ("hdr(host)", "hash req.hdr(host)", "hash hdr(host)", "hash req.fhdr(host)", "hash ssl_fc_sni")


def _cookie(backend: Proxy) -> Statement | None:
    """The `cookie NAME` of a backend that HAProxy itself sets, or rewrites."""
    found = backend.last("cookie")
    return found if found and len(found.words) > 1 else None


def _dynamic(cookie: Statement) -> bool:
    return "dynamic" in cookie.arguments


def _without_values(_configuration: Model, backend: Proxy) -> Iterator[Found]:
    cookie = _cookie(backend)
    if cookie and not _dynamic(cookie) and backend.servers:
        bare = [server for server in backend.servers if not (server.has("cookie") or server.has("backup"))]
        if bare:
            name = cookie.arguments[0]
            yield Found(bare[0].location, f"server `{bare[0].name}` has no value for the cookie `{name}`")
    if cookie is None:
        server = next((server for server in backend.servers if server.has("cookie")), None)
        if server:
            place = server.settings["cookie"].word.location
            yield Found(
                place, f"{named(backend)} has no `cookie NAME`, so the cookie values of its servers are not used"
            )


def _same_value(_configuration: Model, backend: Proxy) -> Iterator[Found]:
    values = Counter(value for server in backend.servers if (value := server.value("cookie")))
    for server in backend.servers:
        setting = server.settings.get("cookie")
        if setting and setting.value and values[setting.text] > 1:
            number = values[setting.text]
            yield Found(
                setting.value.location, f"{number} servers of {named(backend)} have the cookie value `{setting.text}`"
            )
            return


def _one_for_all(_configuration: Model, backend: Proxy) -> Iterator[Found]:
    balance = backend.last("balance")
    text = " ".join(balance.arguments).lower() if balance else ""
    if balance and text.startswith(_SAME_FOR_ALL):
        what = f"all requests with the same host name go to the same server of {named(backend)}"
        yield Found(balance.words[1].location, what)


def _absent(configuration: Model, backend: Proxy) -> Iterator[Found]:
    """A hash or a table of a cookie that neither HAProxy nor a rule of the file sets."""
    for statement in (*backend.all("balance"), *backend.all("stick")):
        for word in statement.words[1:]:
            name = _fetched_cookie(word.text)
            if name and not _is_set(configuration, name):
                yield Found(word.location, f"nothing in this file sets the cookie `{name}`")
    balance = backend.last("balance")
    if balance and balance.arguments[:1] == ("rdp-cookie",) and backend.is_http:
        yield Found(balance.location, "HTTP requests have no RDP cookie")


def _fetched_cookie(text: str) -> str:
    for begin in ("req.cook(", "cook(", "req.cookie(", "hdr(cookie", "req.hdr(cookie"):
        if text.lower().startswith(begin):
            name = text[text.index("(") + 1 :].partition(")")[0]
            return "" if begin.endswith("cookie") else name
    return ""


def _is_set(configuration: Model, name: str) -> bool:
    names, headers = _set_cookies(configuration)
    return name in names or any(name in text for text in headers)


@lru_cache(maxsize=2)
def _set_cookies(configuration: Model) -> tuple[frozenset[str], tuple[str, ...]]:
    """The names after `cookie`, and the text of each statement with `Set-Cookie`."""
    statements = [*configuration.configuration.walk()]
    names = frozenset(one.arguments[0] for one in statements if one.name == "cookie" and one.arguments)
    texts = (" ".join(one.arguments) for one in statements)
    return names, tuple(text for text in texts if "Set-Cookie" in text)


def has_affinity(backend: Proxy) -> bool:
    """Whether a client stays on its server: by a cookie, a table, or a hash."""
    balance = backend.last("balance")
    hashed = balance is not None and balance.arguments[:1] and balance.arguments[0].partition("(")[0] in _HASHES
    return bool(_cookie(backend) or [*backend.all("stick")] or hashed)


def _core(configuration: Model, backend: Proxy) -> Iterator[Found]:
    if backend.is_http and several(backend) and not has_affinity(backend) and not _is_classic(configuration):
        yield Found(backend.location, f"{named(backend)} has {_count(backend)} and no affinity")


def _count(backend: Proxy) -> str:
    return f"{len(backend.servers)} servers" if len(backend.servers) > 1 else "a template of servers"


@lru_cache(maxsize=2)
def _is_classic(configuration: Model) -> bool:
    """Whether the file itself names the path of classic SignalR, which needs no affinity."""
    for frontend in configuration.frontends:
        for statement in frontend.all("use_backend"):
            when = condition_of(frontend, statement)
            values = [value.rstrip("/").lower() for test in when.tests for value in test.values] if when else []
            if _CLASSIC_PATH in values:
                return True
    return False


def _two_pools(configuration: Model) -> Iterator[Found]:
    for frontend in http_frontends(configuration):
        targets = configuration.targets(frontend)
        usual = [one for one in targets if not last_resort(frontend, one)]
        sockets = [one for one in usual if _by_upgrade_alone(frontend, one.statement)]
        others = [one.backend for one in targets if one.statement.name == "default_backend"]
        for one in sockets:
            for other in others:
                if other.section is not one.backend.section and not _same_affinity(one.backend, other):
                    place = one.statement.words[1].location
                    what = f"WebSockets go to {named(one.backend)}, but their negotiation goes to {named(other)}"
                    yield Found(place, what)


def _by_upgrade_alone(frontend: Proxy, statement: Statement) -> bool:
    when = condition_of(frontend, statement)
    if when is None or not selects_websockets(frontend, statement):
        return False
    fetches = [test.fetch for test in when.tests]
    return bool(fetches) and not any(fetch.startswith(("path", "url", "capture.req.uri")) for fetch in fetches)


def _same_affinity(one: Proxy, other: Proxy) -> bool:
    """Whether a client is on the same node in both backends, or in neither."""
    if not (has_affinity(one) or has_affinity(other)):
        return True
    first, second = _cookie(one), _cookie(other)
    if first and second:
        return first.arguments[0] == second.arguments[0] and _values(one) == _values(other)
    return not (first or second) and _balance(one) == _balance(other) and has_affinity(one) and has_affinity(other)


def _values(backend: Proxy) -> dict[str, str | None]:
    return {server.address: server.value("cookie") for server in backend.servers}


def _balance(backend: Proxy) -> tuple[str, ...]:
    found = backend.last("balance")
    return found.arguments if found else ()


def _weak_cookie(configuration: Model, backend: Proxy) -> Iterator[Found]:
    cookie = _cookie(backend)
    if not cookie or "insert" not in cookie.arguments:  # the attributes are those of a cookie that HAProxy inserts
        return
    encrypted = any(bind.get("ssl") for one in configuration.sources(backend) for bind in one.binds)
    needed = [
        f"`{word}`"
        for word in ("secure", "httponly")
        if word not in cookie.arguments and (encrypted or word != "secure")
    ]
    if needed:
        yield Found(
            cookie.words[1].location, f"the cookie `{cookie.arguments[0]}` is set without {' and '.join(needed)}"
        )


RULES: Final = (
    Rule(
        id="haproxy-cookie-without-values",
        vendors=HAPROXY,
        severity="warning",
        title="a cookie for affinity has a value for each server",
        why="without a value on the server line, HAProxy sets no cookie for that server: the next request of its "
        "clients can go to another node. HAProxy accepts this without a warning",
        instead="write `cookie NAME insert indirect nocache httponly secure` in the backend, and `cookie VALUE` on "
        "each server",
        source=f"{MANUAL}#4.2-cookie",
        check=each_backend(lambda found: found.backends, _without_values),
        scenario="signalr-core",
    ),
    Rule(
        id="haproxy-cookie-same-value",
        vendors=HAPROXY,
        severity="error",
        title="each server has its own cookie value",
        why="HAProxy sends every client with this cookie value to the first server that has it. The other servers "
        "get only the first requests of new clients",
        instead="write a different value for each server, for example its name",
        source=f"{MANUAL}#5.2-cookie",
        check=each_backend(lambda found: found.backends, _same_value),
        scenario="signalr-core",
    ),
    Rule(
        id="haproxy-hash-same-for-all",
        vendors=HAPROXY,
        severity="error",
        title="the hash differs between clients",
        why="the farm has one host name. Its hash is the same for all clients, so one node gets all requests",
        instead="write `balance leastconn` with a cookie, or `balance source`",
        source=f"{MANUAL}#4.2-balance",
        check=each_backend(web_backends, _one_for_all),
    ),
    Rule(
        id="haproxy-hash-absent",
        vendors=HAPROXY,
        severity="warning",
        title="affinity uses a cookie that requests have",
        why="if a request does not have the cookie, HAProxy chooses a node without affinity: the next request of the "
        "client can go to another node",
        instead="let HAProxy set the cookie (`cookie NAME insert indirect nocache httponly secure`), or hash `source`",
        source=f"{MANUAL}#4.2-balance",
        check=each_backend(web_backends, _absent),
        scenario="signalr-core",
    ),
    Rule(
        id="haproxy-signalr-core-affinity",
        vendors=HAPROXY,
        severity="note",
        title="ASP.NET Core SignalR needs affinity",
        why="Orchestrator 2020.10 and later use SignalR Core. Its negotiation and its connection must reach the "
        "same node, unless all clients skip the negotiation. Classic SignalR needs no affinity",
        instead="write `cookie NAME insert indirect nocache httponly secure`, and `cookie VALUE` on each server; or "
        "ignore the rule for a version before 2020.10",
        source="https://learn.microsoft.com/aspnet/core/signalr/scale",
        check=each_backend(websocket_backends, _core),
        scenario="signalr-core",
    ),
    Rule(
        id="haproxy-websocket-pool-affinity",
        vendors=HAPROXY,
        severity="warning",
        title="WebSockets and their negotiation have the same affinity",
        why="a client negotiates on one node. If its WebSocket goes to a second pool with another affinity, the "
        "node there does not know the connection, and answers 404",
        instead="send the paths of SignalR to the same pool as their WebSockets, or use one cookie with the same "
        "values in both",
        source=PAGE,
        check=by_model(_two_pools),
        scenario="signalr-core",
    ),
    Rule(
        id="haproxy-cookie-attributes",
        vendors=HAPROXY,
        severity="warning",
        title="the affinity cookie is `secure` and `httponly`",
        why="without `secure`, browsers also send the cookie over http; without `httponly`, scripts of the page can "
        "read it. Security scanners report both",
        instead="add what is missing to the line: `httponly`, and for clients that use https also `secure`",
        source=f"{MANUAL}#4.2-cookie",
        check=each_backend(lambda found: found.backends, _weak_cookie),
        scenario="browsers",
    ),
)
