"""Health checks, and what happens when a node is marked down."""

from collections.abc import Iterator
from typing import Final

from ...readers.haproxy.keywords import SERVER_VALUES
from ...readers.haproxy.model import Model, Proxy, Server, milliseconds
from ..rule import Found, Rule
from .base import (
    HAPROXY,
    MANUAL,
    MEASURED,
    PAGE,
    by_model,
    checked,
    each_backend,
    http_checks,
    last_resort,
    named,
    several,
    web_backends,
    web_frontends,
    websocket_backends,
)

_KEYWORDS: Final = SERVER_VALUES | {"check", "ssl", "backup", "disabled", "send-proxy", "stick"}
_SLOWEST: Final = 20_000.0


def _unchecked(_configuration: Model, backend: Proxy) -> Iterator[Found]:
    servers = [server for server in backend.servers if not (checked(server) or server.has("disabled"))]
    if servers and several(backend):
        first = servers[0]
        what = "`option httpchk` has no effect" if backend.option("httpchk") else "nothing checks the node"
        yield Found(first.location, f"server `{first.name}` of {named(backend)} has no `check`: {what}")


def _cookie_value(_configuration: Model, backend: Proxy) -> Iterator[Found]:
    for server in backend.servers:
        setting = server.settings.get("cookie")
        if setting and setting.value and setting.text in _KEYWORDS:
            what = f"`{setting.text}` is read as the cookie value of server `{server.name}`, not as the keyword"
            yield Found(setting.value.location, what)


def _tcp_only(configuration: Model, backend: Proxy) -> Iterator[Found]:
    server = next((server for server in backend.servers if checked(server)), None)
    if server and not http_checks(configuration, backend):
        yield Found(server.location, f"the checks of {named(backend)} only open a TCP connection")


def _sessions_kept(_configuration: Model, backend: Proxy) -> Iterator[Found]:
    for server in backend.servers:
        if checked(server) and server.value("on-marked-down") != "shutdown-sessions":
            what = f"server `{server.name}` of {named(backend)} keeps its WebSockets when it is marked down"
            yield Found(server.location, what)
            return


def _one_failure(configuration: Model, backend: Proxy) -> Iterator[Found]:
    for server in backend.servers:
        source = _state_source(configuration, server)
        fall = source.settings.get("fall") if source else None
        if server.value("on-marked-down") == "shutdown-sessions" and fall and fall.text == "1" and fall.value:
            yield Found(fall.value.location, f"one failed check closes all WebSockets of server `{server.name}`")
            return


def _state_source(configuration: Model, server: Server) -> Server | None:
    """The server whose checks decide: itself, or the one that it tracks."""
    tracked = server.value("track")
    if tracked is None:
        return server
    backend, _, name = tracked.rpartition("/")
    proxy = configuration.proxy(backend)
    return next((one for one in proxy.servers if one.name == name), None) if proxy else None


def _no_fallback(configuration: Model) -> Iterator[Found]:
    for frontend in web_frontends(configuration):
        targets = [target for target in configuration.targets(frontend) if target.backend.servers]
        if any(last_resort(frontend, target) for target in targets):
            continue
        for target in targets:
            backend = target.backend
            if http_checks(configuration, backend) and all(checked(server) for server in backend.servers):
                what = f"{named(backend)} answers only 503 while the health checks of all nodes fail"
                yield Found(backend.location, what)
                break


def _slow(_configuration: Model, backend: Proxy) -> Iterator[Found]:
    for server in backend.servers:
        if not server.has("check"):
            continue
        inter = milliseconds(server.value("inter") or "2s") or 2000.0
        fast = milliseconds(server.value("fastinter") or "") or inter
        timeout = backend.timeout("check")
        fall = int(server.value("fall") or 3) if (server.value("fall") or "3").isdecimal() else 3
        worst = inter + (fall - 1) * fast + (timeout.milliseconds if timeout else inter)
        if worst > _SLOWEST:
            found = server.settings.get("inter") or server.settings.get("fall")
            place = found.word.location if found else server.location
            yield Found(place, f"a node that hangs is marked down only after up to {worst / 1000:g} s")
            return


def _errors_mark_down(_configuration: Model, backend: Proxy) -> Iterator[Found]:
    for server in backend.servers:
        observe = server.settings.get("observe")
        action = server.settings.get("on-error")
        if observe and observe.text == "layer7" and (action.text if action else "fail-check") != "fastinter":
            what = f"is `{action.text}`" if action else "has its default `fail-check`"
            place = (action or observe).word.location
            yield Found(place, f"failed requests mark server `{server.name}` down, because `on-error` {what}")
            return


def _leastconn(configuration: Model, backend: Proxy) -> Iterator[Found]:
    balance = backend.last("balance")
    if not balance or balance.arguments[:1] != ("leastconn",) or not several(backend):
        return
    if not http_checks(configuration, backend):
        what = (
            f"`leastconn` without HTTP checks sends more requests of {named(backend)} to a broken node than to others"
        )
        yield Found(balance.location, what)


RULES: Final = (
    Rule(
        id="haproxy-no-check",
        vendors=HAPROXY,
        severity="error",
        title="every server has a health check",
        why="without health checks, HAProxy sends requests to a node that is down, and they fail. `option "
        "httpchk` has no effect without `check` on the server lines, and HAProxy does not warn",
        instead="write `check` on each server line, or `default-server check`",
        source=f"{MANUAL}#5.2-check",
        check=each_backend(web_backends, _unchecked),
        scenario="kill",
    ),
    Rule(
        id="haproxy-cookie-check",
        vendors=HAPROXY,
        severity="error",
        title="the value of a server's cookie is not a keyword",
        why="`cookie` takes the next word as its value. In `server a 10.0.0.1:80 cookie check`, the cookie's value "
        "is `check`, the node is not checked, and all servers written like this have the same cookie",
        instead="write a different value for each server: `cookie orch-1 check`",
        source=f"{MANUAL}#5.2-cookie",
        check=each_backend(lambda found: found.backends, _cookie_value),
    ),
    Rule(
        id="haproxy-tcp-check",
        vendors=HAPROXY,
        severity="warning",
        title="the checks read an HTTP status",
        why="a node with a stopped app pool still accepts connections: http.sys answers 503. A node that hangs or is "
        "drained also accepts connections. Measured: 600 of 2800 requests failed while the app pool of one of two "
        "nodes was stopped",
        instead="write `option httpchk`, `http-check send meth GET uri /api/status ver HTTP/1.1 hdr Host NAME` and "
        "`http-check expect status 200`",
        source=MEASURED,
        check=each_backend(web_backends, _tcp_only),
        scenario="pool-stopped",
    ),
    Rule(
        id="haproxy-websockets-kept",
        vendors=HAPROXY,
        severity="warning",
        title="WebSockets of a node that is marked down are closed",
        why="the robots stay connected to a node that hangs. Measured: none of 10 WebSockets was closed within 70 s, "
        "because the clients' pings keep them open; with `shutdown-sessions`, all were closed after 4 s",
        instead="write `default-server on-marked-down shutdown-sessions` in the backend that gets the WebSockets",
        source=f"{MANUAL}#5.2-on-marked-down",
        check=each_backend(websocket_backends, _sessions_kept),
        scenario="hang-robots",
    ),
    Rule(
        id="haproxy-one-failed-check",
        vendors=HAPROXY,
        severity="warning",
        title="one failed check does not close all WebSockets",
        why="with `fall 1`, a single slow answer of the health endpoint disconnects every robot of the node",
        instead="write `fall 2` or more",
        source=f"{MANUAL}#5.2-fall",
        check=each_backend(lambda found: found.backends, _one_failure),
        scenario="health-slow",
    ),
    Rule(
        id="haproxy-all-checks-fail",
        vendors=HAPROXY,
        severity="note",
        title="requests are served while all checks fail",
        why="the health endpoint reads the database. When the database is slow, the checks of all nodes fail at the "
        "same time, and HAProxy answers 503 to requests that the nodes could answer",
        instead="add a backend, for example `unchecked`, with the same servers without `check`, and in the frontend "
        "`use_backend unchecked if { nbsrv(BACKEND) eq 0 }`; BACKEND is the name of the backend with the checks",
        source=PAGE,
        check=by_model(_no_fallback),
        scenario="health-slow",
    ),
    Rule(
        id="haproxy-slow-detection",
        vendors=HAPROXY,
        severity="warning",
        title="a node that hangs is marked down within 20 s",
        why="until a node is marked down, the requests that HAProxy sends to it wait and then fail. The detection "
        "time is `inter` + (`fall` - 1) x `fastinter` + `timeout check`; without `timeout check`, a check "
        "may take as long as `inter`",
        instead="write `default-server inter 2s fastinter 500ms fall 2` and `timeout check 2s`",
        source=f"{MANUAL}#5.2-inter",
        check=each_backend(web_backends, _slow),
        scenario="hang",
    ),
    Rule(
        id="haproxy-errors-mark-down",
        vendors=HAPROXY,
        severity="error",
        title="failed requests do not mark a node down",
        why="with `observe layer7`, a failed request counts as a failed check. One client that requests a broken "
        "URL can mark all nodes down. Measured: after 40 such requests, all other requests got 503",
        instead="write `on-error fastinter`: the errors only trigger an early check",
        source=f"{MANUAL}#5.2-on-error",
        check=each_backend(lambda found: found.backends, _errors_mark_down),
        scenario="broken-url",
    ),
    Rule(
        id="haproxy-leastconn-broken-node",
        vendors=HAPROXY,
        severity="warning",
        title="`leastconn` is used with HTTP checks",
        why="a node that fails requests immediately has the fewest connections, so `leastconn` sends it more "
        "requests than the other nodes. Measured with a stopped app pool: 676 of 2800 requests failed with "
        "`leastconn`, 600 with `roundrobin`",
        instead="add HTTP checks (`option httpchk`), or write `balance roundrobin`",
        source=MEASURED,
        check=each_backend(web_backends, _leastconn),
        scenario="pool-stopped",
    ),
)
