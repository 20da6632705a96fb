"""The farm's names: in redirects, in conditions about the Host header, in the requests of health checks, as SNI."""

import re
from collections.abc import Iterator
from typing import Final

from ...readers.haproxy.conditions import Comparison, condition, read_comparison
from ...readers.tree import Statement
from ..values import problem_of
from .source import Source, names_in, redirects_of, selects_farm

_FETCH: Final = re.compile(
    r"(?:(?:req\.)?f?hdr(?P<match>_dom|_beg|_reg)?\(host\b|ssl_fc_sni|req[._]ssl_sni)", re.IGNORECASE
)
_PREFIX: Final = re.compile(r"https://(?P<host>[^/:%\[\]]+)(?::[0-9]+)?/?\Z")
_SNI: Final = re.compile(r"str\(([^)]+)\)\Z")
_ANY_PORT: Final = "(:[0-9]{1,5})?$"
Named = tuple[str, Statement]


def take(source: Source) -> None:
    """Take the first name as the host, and the others as aliases."""
    redirects, tested = [*_redirects(source)], [*_tested(source)]
    names: dict[str, list[Statement]] = {}
    for name, statement in (*redirects, *tested):
        names.setdefault(name, []).append(statement)
    others = [*_checks(source), *_sni(source)]
    if not names:
        for name, statement in others[:1]:
            names[name] = [statement]
    if not names:
        return
    host, *aliases = names
    source.values.take("frontend.host", host, *names[host])
    if aliases:
        source.values.take("frontend.aliases", [*aliases], *(one for name in aliases for one in names[name]))
    for name, statement in others:
        if name == host:
            source.account.implied(statement, f"requests to the nodes and checks have the host name {host}")
        else:
            source.account.given_up(
                statement, f"{name}: requests to the nodes and checks have the host name frontend.host"
            )


def _valid(name: str) -> bool:
    return not problem_of("frontend.host", name)


def _redirects(source: Source) -> Iterator[Named]:
    for proxy in (source.roles.main, *source.roles.redirects):
        for statement in redirects_of(proxy):
            for word in statement.arguments:
                found = _PREFIX.match(word)
                if found and _valid(found["host"]):
                    yield found["host"], statement


def _tested(source: Source) -> Iterator[Named]:
    """The names that the frontend compares the Host header with, except those of other pools."""
    main = source.roles.main
    foreign = _foreign(source)
    for statement in main.all("acl"):
        if len(statement.words) > 2 and statement.arguments[0] not in foreign:
            yield from ((name, statement) for name in _names(read_comparison(statement.words[2:])))
    for statement in (*main.all("use_backend"), *main.all("http-request")):
        if statement.name == "use_backend" and not selects_farm(source, statement):
            continue
        found = condition(statement, {})
        for test in found.tests if found else ():
            yield from ((name, statement) for name in _names(test))


def _foreign(source: Source) -> frozenset[str]:
    """The names of ACLs by which the frontend selects a pool that is not the farm's."""
    found: set[str] = set()
    for statement in source.roles.main.all("use_backend"):
        if not selects_farm(source, statement):
            found |= names_in(statement)
    return frozenset(found)


def _names(test: Comparison) -> Iterator[str]:
    match = _FETCH.match(test.fetch)
    if match is None:
        return
    for value in test.values:
        expression = test.method == "reg" or match["match"] == "_reg"
        name = _unescaped(value) if expression else re.sub(r":[0-9]+\Z", "", value)
        if _valid(name):
            yield name


def _unescaped(expression: str) -> str:
    """The text that an expression such as `^name\\.example$` matches; empty for other expressions."""
    inner = expression.removeprefix("^").removesuffix(_ANY_PORT).removesuffix("$")
    text = re.sub(r"\\(.)", r"\1", inner)
    return text if re.escape(text) == inner or text.replace(".", "\\.") == inner else ""


def _checks(source: Source) -> Iterator[Named]:
    for statement in source.roles.web.all("http-check", "send"):
        words = statement.arguments
        for at in range(len(words) - 2):
            if words[at] == "hdr" and words[at + 1].lower() == "host" and _valid(words[at + 2]):
                yield words[at + 2], statement
    if option := source.roles.web.option("httpchk"):
        found = re.search(r"[\r\n]host:\s*([^\s\\]+)", option.arguments[-1], re.IGNORECASE)
        if found and _valid(found[1]):
            yield found[1], option


def _sni(source: Source) -> Iterator[Named]:
    for server in source.roles.web.servers:
        sni = server.settings.get("sni")
        found = _SNI.match(sni.text) if sni else None
        if sni and found and _valid(found[1]):
            yield found[1], source.at(sni.word.location)
