"""Where a frontend of a haproxy.cfg sends a request: the rules and the `use_backend` lines that apply.

A condition that only HAProxy can evaluate counts as possible: both ways are followed. What is left without a backend
surely never reaches a node. Source: configuration manual of HAProxy 2.6, sections 4.2 and 7.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, ip_network
from typing import Final, NamedTuple

from ...readers.haproxy.conditions import Comparison, Condition, Term, acls, condition
from ...readers.haproxy.model import Model, Proxy, Target, at_run_time
from ...readers.tree import Statement
from .patterns import compiled
from .requests import Request

_ENDING: Final = frozenset(("redirect", "deny", "return", "reject", "tarpit", "silent-drop", "use-service", "auth"))
"""Actions of `http-request` that answer or close, without a backend."""
_REWRITING: Final = (
    "set-path",
    "set-pathq",
    "set-uri",
    "replace-path",
    "replace-pathq",
    "replace-uri",
    "normalize-uri",
)
_OF_HEADER: Final = frozenset(("set-header", "replace-header"))
_OF_PATH: Final = ("path", "pathq", "url", "capture.req.uri")
_OF_HOST: Final = ("hdr(host)", "req.hdr(host)", "req.fhdr(host)")
_CONVERTERS: Final = frozenset(("", "lower", "field(1,:)", "field(1,:),lower", "lower,field(1,:)"))
"""Those that change no text of the lab's requests, or only its letters: the Host header of the lab has no port."""
_OF_SNI: Final = ("ssl_fc_sni", "req_ssl_sni", "req.ssl_sni")
_MATCHES: Final = ("beg", "end", "sub", "dir", "dom", "reg", "str", "len", "found", "bool", "int", "bin", "ip")

_CLIENTS: Final = IPv4Network("127.0.0.0/8")
"""The addresses of the lab's clients."""

Truth = bool | None
"""None: only HAProxy knows."""


class Asked(NamedTuple):
    """A request to one listener."""

    request: Request
    host: str
    secure: bool
    """Whether the listener ends TLS."""
    passed: bool
    """Whether the client's TLS goes through to the nodes."""


class Arrival(NamedTuple):
    """The backends that may get a request; without any, the statement that answers, or None if no backend is named."""

    backends: tuple[Proxy, ...]
    end: Statement | None


@lru_cache(maxsize=256)
def arrival(found: Model, frontend: Proxy, asked: Asked) -> Arrival:
    """Follow a request from a frontend to a backend with servers, and through the rules of that backend."""
    if ending := _ended(frontend, asked):
        return Arrival((), ending)
    rules = [*frontend.all("http-request")] if frontend.is_http else []
    if any(map(_rewrites, rules)):
        asked = asked._replace(request=asked.request._replace(path=""))
    if any(map(_renames, rules)):
        asked = asked._replace(host="")
    backends: list[Proxy] = []
    end: Statement | None = None
    for target in _reached(found, frontend, asked):
        ended = _ended(target.backend, asked) if target.backend is not frontend else None
        if ended is not None:
            end = end or ended
        elif not target.backend.servers:
            end = end or target.backend.section
        elif target.backend not in backends:
            backends.append(target.backend)
    return Arrival(tuple(backends), end)


def _reached(found: Model, frontend: Proxy, asked: Asked) -> Iterator[Target]:
    """The targets in the order of the lines, up to the first one that surely applies."""
    known = acls(frontend)
    targets = found.targets(frontend)
    for statement in frontend.all("use_backend"):
        truth = _applies(statement, known, asked)
        if truth is False:
            continue
        yield from (one for one in targets if one.statement is statement)
        if truth and not at_run_time(statement):
            return
    default = frontend.last("default_backend")
    yield from (one for one in targets if one.statement is default or one.statement is frontend.section)


def _ended(proxy: Proxy, asked: Asked) -> Statement | None:
    """The rule that surely answers a request, or closes its connection."""
    known = acls(proxy)
    rules = [one for one in proxy.all("http-request") if one.arguments[:1] and one.arguments[0] in _ENDING]
    rules += [*proxy.all("redirect")]
    for statement in rules if proxy.is_http else []:
        if _applies(statement, known, asked) and not _allowed_before(proxy, statement, known, asked):
            return statement
    return None


def _allowed_before(proxy: Proxy, statement: Statement, known: dict[str, tuple[Comparison, ...]], asked: Asked) -> bool:
    """Whether an `http-request allow` before a rule may end the rules."""
    for one in proxy.all("http-request"):
        if one is statement:
            return False
        if one.arguments[:1] == ("allow",) and _applies(one, known, asked) is not False:
            return True
    return False


def _rewrites(statement: Statement) -> bool:
    """Whether a rule changes the path."""
    return statement.arguments[:1] != () and statement.arguments[0] in _REWRITING


def _renames(statement: Statement) -> bool:
    """Whether a rule changes the Host header."""
    action, *rest = statement.arguments or ("",)
    return action in _OF_HEADER and [word.lower() for word in rest[:1]] == ["host"]


def _applies(statement: Statement, known: dict[str, tuple[Comparison, ...]], asked: Asked) -> Truth:
    """Whether the condition of a statement holds; True without one."""
    found = condition(statement, known)
    return True if found is None else _holds(found, asked)


def _holds(found: Condition, asked: Asked) -> Truth:
    truth = _any(_all(_term(term, asked) for term in terms) for terms in found.alternatives)
    return _negated(truth) if found.unless else truth


def _term(term: Term, asked: Asked) -> Truth:
    truth = _any(_comparison(one, asked) for one in term.tests) if term.tests else _predefined(term.name, asked)
    return _negated(truth) if term.negated else truth


def _predefined(name: str, asked: Asked) -> Truth:
    if name.startswith("METH_"):
        return name == f"METH_{asked.request.method}"
    return {"TRUE": True, "FALSE": False, "HTTP": True}.get(name)


def _any(values: Iterator[Truth]) -> Truth:
    known = [*values]
    return True if True in known else None if None in known else False


def _all(values: Iterator[Truth]) -> Truth:
    known = [*values]
    return False if False in known else None if None in known else True


def _negated(value: Truth) -> Truth:
    return None if value is None else not value


def _comparison(test: Comparison, asked: Asked) -> Truth:
    """Whether a test matches; None where the request does not say it."""
    fetch, method = _split(test)
    if fetch in {"always_true", "always_false"}:
        return fetch == "always_true"
    if fetch == "ssl_fc":
        return asked.secure
    if fetch in {"req_ssl_hello_type", "req.ssl_hello_type"}:
        return asked.passed and "1" in test.values
    if fetch == "src":
        return None if test.files else _any(_from_lab(value) for value in test.values)
    if test.files or (text := _text(fetch, asked)) is None:
        return None
    if method == "found":
        return text != ""
    text = text.lower() if test.fetch.endswith(",lower") else text
    if method == "reg":
        return _any(_regex(text, value, ignore_case=test.ignores_case) for value in test.values)
    compare = _COMPARISONS.get(method or "str")
    values = [one.lower() if test.ignores_case else one for one in test.values]
    text = text.lower() if test.ignores_case else text
    return None if compare is None or not values else _any(compare(text, value) for value in values)


def _from_lab(value: str) -> Truth:
    """Whether an address or a network has the clients of the lab."""
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        return None
    if not isinstance(network, IPv4Network) or not network.overlaps(_CLIENTS):
        return False
    return True if _CLIENTS.subnet_of(network) else None


def _split(test: Comparison) -> tuple[str, str]:
    """The fetch without a suffix such as `_beg`, and how it is compared."""
    fetch, _, converters = test.fetch.partition(",")
    name, bracket, argument = fetch.partition("(")
    head, _, suffix = name.rpartition("_")
    method = test.method
    if suffix in _MATCHES and head:
        name, method = head, method or suffix
    if converters not in _CONVERTERS:
        return "", method
    return name + bracket + argument, method


def _text(fetch: str, asked: Asked) -> str | None:
    """The text that a fetch returns for a request; empty if the request has none, None if it is not known."""
    lowered = fetch.lower().replace(" ", "")
    request = asked.request
    if lowered in _OF_PATH:
        return request.path or None
    if lowered in _OF_HOST:
        return asked.host or None
    if lowered in _OF_SNI:
        return (asked.host or None) if asked.secure or asked.passed else ""
    if lowered == "method":
        return request.method
    if lowered in {"hdr(upgrade)", "req.hdr(upgrade)"}:
        return "websocket" if request.upgrades else ""
    if lowered in {"hdr(connection)", "req.hdr(connection)"}:
        return "Upgrade" if request.upgrades else "keep-alive"
    return None


def _regex(text: str, value: str, *, ignore_case: bool) -> Truth:
    pattern = compiled(value, ignore_case=ignore_case)
    return None if pattern is None else bool(pattern.search(text))


def _parts(text: str, value: str, marks: str) -> bool:
    """Whether a text has a value between marks, as `dir` and `dom` compare."""
    plain = text
    for mark in marks:
        plain = plain.replace(mark, "/")
    value = value.strip(marks)
    for mark in marks:
        value = value.replace(mark, "/")
    return f"/{value}/" in f"/{plain}/"


_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "str": lambda text, value: text == value,
    "beg": lambda text, value: text.startswith(value),
    "end": lambda text, value: text.endswith(value),
    "sub": lambda text, value: value in text,
    "dir": lambda text, value: _parts(text, value, "/?"),
    "dom": lambda text, value: _parts(text, value, "/?.:"),
}
