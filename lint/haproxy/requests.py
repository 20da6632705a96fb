"""What HAProxy changes in requests, and what it repeats."""

import re
from collections.abc import Iterator
from typing import Final

from ...readers.haproxy.model import Model, Proxy
from ...readers.tree import Statement
from ..rule import Found, Rule
from .affinity import has_affinity
from .base import (
    HAPROXY,
    MANUAL,
    MEASURED,
    PAGE,
    condition_of,
    each_backend,
    http_frontends,
    named,
    rules_of,
    several,
    web_backends,
    words_location,
)

_REPEATED: Final = frozenset(
    {"all-retryable-errors", "empty-response", "response-timeout", "junk-response", "0rtt-rejected"}
)
"""After these, and after a status, a node may have executed the request."""
_SAFE: Final = re.compile(r"METH_GET|method", re.IGNORECASE)
_REFUSES: Final = frozenset({"deny", "reject", "return", "redirect", "tarpit"})
_SMALLEST_BUFFER: Final = 24_576
_SIGN_IN: Final = re.compile(r"(?:authorization|www-authenticate)\b.*\b(?:ntlm|negotiate)", re.IGNORECASE)


def _repeats(statement: Statement) -> list[str]:
    return [word for word in statement.arguments if word in _REPEATED or word.isdecimal()]


def _retried_post(configuration: Model, backend: Proxy) -> Iterator[Found]:
    found = backend.last("retry-on")
    words = _repeats(found) if found else []
    if not found or not words:
        return
    limited = [
        statement
        for proxy in (backend, *configuration.sources(backend))
        for statement in proxy.all("http-request", "disable-l7-retry")
    ]
    if not limited:
        what = f"{named(backend)} also repeats a POST that a node may have executed"
        yield Found(words_location(found, words[0]), what)


def _no_redispatch(_configuration: Model, backend: Proxy) -> Iterator[Found]:
    """HAProxy changes the node at once with the interval 1, and since 2.6 also for clients without affinity."""
    option = backend.option("redispatch")
    if not several(backend) or (option and (option.arguments[1:2] == ("1",) or not has_affinity(backend))):
        return
    then = "uses another node" if option else "answers 503"
    what = f"for 2 to 3 s, {named(backend)} retries a node that refuses connections; then it {then}"
    yield Found(option.location if option else backend.location, what)


def _h2c(configuration: Model, frontend: Proxy) -> Iterator[Found]:
    if not any(
        _treats(frontend, statement, "upgrade") for statement in rules_of(configuration, frontend, "http-request")
    ):
        yield Found(frontend.location, f"{named(frontend)} passes the header `Upgrade: h2c` of clients to the nodes")


def _treats(frontend: Proxy, statement: Statement, header: str) -> bool:
    """Whether a rule removes, replaces or refuses a header."""
    action = statement.arguments[0] if statement.arguments else ""
    if action in {"del-header", "set-header", "replace-header"}:
        return _names(statement, header)
    when = condition_of(frontend, statement) if action in _REFUSES else None
    return when is not None and any(header in test.fetch.lower() for test in when.tests)


def _names(statement: Statement, header: str) -> bool:
    """Whether the first argument of a header rule is this header, as a name or as a pattern."""
    words = statement.arguments
    name = words[1].lower() if len(words) > 1 else ""
    method = words[words.index("-m") + 1] if "-m" in words[:-1] else "str"
    if method == "reg":
        try:
            return re.search(name, header, re.IGNORECASE) is not None
        except re.error:
            return header in name
    if method == "beg":
        return header.startswith(name)
    return name == header


def _forged_address(configuration: Model, frontend: Proxy) -> Iterator[Found]:
    rules = [*rules_of(configuration, frontend, "http-request")]
    if any(_treats(frontend, one, "x-forwarded-for") for one in rules):
        return
    proxies = (frontend, *(target.backend for target in configuration.targets(frontend)))
    option = next((found for proxy in proxies if (found := proxy.option("forwardfor"))), None)
    if option:
        what = "`option forwardfor` adds a second X-Forwarded-For header, and keeps the one that the client sent"
        if "if-none" in option.arguments:
            what = "`option forwardfor if-none` keeps the X-Forwarded-For header that the client sent"
        yield Found(option.location, what)
    else:
        yield Found(frontend.location, f"{named(frontend)} passes the header X-Forwarded-For of clients to the nodes")


def _no_scheme(configuration: Model, frontend: Proxy) -> Iterator[Found]:
    bind = next((bind for bind in frontend.binds if bind.get("ssl")), None)
    rules = [*rules_of(configuration, frontend, "http-request")]
    known = {
        (statement.arguments[1].lower() if len(statement.arguments) > 1 else "")
        for statement in rules
        if statement.arguments[:1] in {("set-header",), ("add-header",)}
    }
    added = (" ".join(one.arguments).partition(":")[0] for one in rules_of(configuration, frontend, "reqadd"))
    known.update(name.lower() for name in added)
    options = [one.backend.option("forwarded") for one in configuration.targets(frontend)]
    if bind and not known & {"x-forwarded-proto", "forwarded"} and not any(options):
        what = f"{named(frontend)} terminates TLS, and does not tell the nodes that the client used https"
        yield Found(bind.location, what)


def _changed_host(configuration: Model, frontend: Proxy) -> Iterator[Found]:
    for statement in rules_of(configuration, frontend, "http-request"):
        action, name = (*statement.arguments, "", "")[:2]
        at = 4 if action == "replace-header" else 3  # behind the pattern
        word = statement.words[at] if len(statement.words) > at else None
        if word is None or action not in {"set-header", "replace-header"} or name.lower() != "host":
            continue
        if not re.search(r"host|ssl_fc_sni", word.text, re.IGNORECASE):
            yield Found(word.location, f"the nodes get the Host `{word.text}` instead of the farm's host name")
    for statement in rules_of(configuration, frontend, "http-send-name-header"):
        if statement.arguments and statement.arguments[0].lower() == "host":
            yield Found(
                statement.location, "the nodes get the name of the server line as Host instead of the farm's host name"
            )


def _buffers(configuration: Model, frontend: Proxy) -> Iterator[Found]:
    statement = configuration.last_global("tune.bufsize")
    written = "".join(statement.arguments[:1]) if statement else ""
    size = int(written) if written.isdecimal() else 16_384
    if size < _SMALLEST_BUFFER and frontend is next(http_frontends(configuration), None):
        place = statement.location if statement else frontend.location
        yield Found(place, f"requests with more than {(size - 1024) // 1024} kB of headers get 400")


def _sign_in_over_http2(configuration: Model, frontend: Proxy) -> Iterator[Found]:
    proxies = (frontend, *(target.backend for target in configuration.targets(frontend)))
    evidence = any(
        _SIGN_IN.search(" ".join(one.arguments))
        for proxy in proxies
        for one in (*proxy.inherited, *proxy.section.inside)
        if one.name in {"acl", "http-request", "http-response", "use_backend"}
    )
    for bind in frontend.binds if evidence else ():
        setting = bind.get("alpn")
        if setting and "h2" in setting.text.split(","):
            what = f"{named(frontend)} offers HTTP/2, but its rules refer to Windows sign-ins (NTLM or Negotiate)"
            yield Found(setting.word.location, what)


RULES: Final = (
    Rule(
        id="haproxy-retried-post",
        vendors=HAPROXY,
        severity="error",
        title="a POST is never repeated after it was sent",
        why="the node may have executed the request before it failed: a job starts twice. Measured: 30 POSTs were "
        "executed twice when a node was killed",
        instead="write `http-request disable-l7-retry unless METH_GET` in the frontend",
        source=f"{MANUAL}#4.2-retry-on",
        check=each_backend(web_backends, _retried_post),
        scenario="posts",
    ),
    Rule(
        id="haproxy-redispatch",
        vendors=HAPROXY,
        severity="warning",
        title="a failed connection is retried immediately on another node",
        why="HAProxy retries the same node three times, with one second between the retries. Without `option "
        "redispatch`, it then answers 503. With it, a client with an affinity cookie gets another node only "
        "at the last retry. Measured: 65 of 2800 requests failed when one of two nodes was killed, and none "
        "with `option redispatch 1`",
        instead="write `option redispatch 1`",
        source=MEASURED,
        check=each_backend(web_backends, _no_redispatch),
        scenario="kill",
    ),
    Rule(
        id="haproxy-h2c-upgrade",
        vendors=HAPROXY,
        severity="warning",
        title="WebSocket is the only upgrade that a client may request",
        why="a node that accepts `Upgrade: h2c` gets further requests in a tunnel that HAProxy does not read: they "
        "bypass all rules of the frontend (request smuggling). Measured: the header reaches the node",
        instead="write `acl websocket req.hdr(Upgrade) -i websocket` and `http-request del-header Upgrade unless "
        "websocket`",
        source=MEASURED,
        check=each_backend(http_frontends, _h2c),
        scenario="h2c",
    ),
    Rule(
        id="haproxy-forged-address",
        vendors=HAPROXY,
        severity="warning",
        title="a client cannot set X-Forwarded-For",
        why="ASP.NET reads the client's address from X-Forwarded-For, and uses it in logs and address rules. "
        "Measured: a forged address reaches the node",
        instead="write `http-request del-header X-Forwarded-For` and `option forwardfor`; also remove the other "
        "X-Forwarded headers of clients with `http-request del-header`",
        source=MEASURED,
        check=each_backend(http_frontends, _forged_address),
        scenario="forged-headers",
    ),
    Rule(
        id="haproxy-forwarded-proto",
        vendors=HAPROXY,
        severity="warning",
        title="the nodes know that the client used https",
        why="Orchestrator uses the scheme (http or https) in links, redirects and cookies. If it assumes http, "
        "browsers are redirected in a loop, or cookies lack the attribute Secure",
        instead="write `http-request set-header X-Forwarded-Proto https if { ssl_fc }`",
        source=PAGE,
        check=each_backend(http_frontends, _no_scheme),
        scenario="browsers",
    ),
    Rule(
        id="haproxy-host-changed",
        vendors=HAPROXY,
        severity="warning",
        title="the nodes get the Host that the client requested",
        why="IIS selects the site by Host, and Orchestrator builds redirects and links from it: these links then "
        "contain a host name that clients do not know",
        instead="remove the line; for the health checks, set Host in `http-check send`",
        source=PAGE,
        check=each_backend(http_frontends, _changed_host),
        scenario="forged-headers",
    ),
    Rule(
        id="haproxy-small-buffers",
        vendors=HAPROXY,
        severity="note",
        title="buffers are large enough for the headers of sign-ins",
        why="a Kerberos ticket has up to 64,000 characters in the header, and six sign-in cookies have 21 kB. For "
        "responses that do not fit, HAProxy answers 502",
        instead="write `tune.bufsize 24576`; if users sign in with NTLM or Negotiate, `tune.bufsize 81920`",
        source=f"{PAGE}#large-headers",
        check=each_backend(http_frontends, _buffers),
        scenario="oversized-headers",
    ),
    Rule(
        id="haproxy-sign-in-http2",
        vendors=HAPROXY,
        severity="error",
        title="HTTP/2 is off for Windows sign-ins",
        why="NTLM and Negotiate authenticate a connection, not a request. Over HTTP/2, the parallel requests of one "
        "client use several connections to the node. Measured: 32 of 64 requests got 401",
        instead="write `alpn http/1.1`",
        source=f"{PAGE}#limits",
        check=each_backend(http_frontends, _sign_in_over_http2),
        scenario="windows-sign-in",
    ),
)
