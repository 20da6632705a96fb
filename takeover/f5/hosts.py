"""The farm's names: in redirects, in what iRules and policies compare with Host, in monitors, as SNI."""

import re
from collections.abc import Iterator
from typing import Final

from ...readers.tree import Statement
from ..values import problem_of
from .outline import text_of
from .scan import Clause, clauses_of_policies, clauses_of_rule
from .source import Source

_TARGET: Final = re.compile(r"https://(?P<host>[A-Za-z0-9.-]+)(?=[:/\[\"])")
_SENT: Final = re.compile(r"\\r\\n\s*Host:\s*([^\s\\:\[]+)", re.IGNORECASE)
Named = tuple[str, Statement]


def take(source: Source) -> None:
    """Take the first name as the host, and the others as aliases."""
    checks, compared = [*_checks(source)], [*_compared(source)]
    others = [*checks, *_sni(source)]
    found = [*_redirects(source), *compared] or others[:1]
    names = _in_order(found, checks)
    if not names:
        return
    host, *aliases = names
    statements: dict[str, list[Statement]] = {}
    for name, statement in found:
        statements.setdefault(name.lower(), []).append(statement)
    source.values.take("frontend.host", host, *statements[host.lower()])
    if aliases:
        source.values.take("frontend.aliases", aliases, *(one for name in aliases for one in statements[name.lower()]))
    for name, statement in others:
        if name.lower() != host.lower():
            source.account.given_up(
                statement, f"{name}: requests to the nodes and checks have the host name frontend.host"
            )


def _in_order(found: list[Named], checks: list[Named]) -> list[str]:
    """The names, each once. A monitor has the upper and lower case of a name, which iRules compare in lower case."""
    written = {name.lower(): name for name, _ in reversed(checks)}
    names = list(dict.fromkeys(written.get(name.lower(), name) for name, _ in found))
    # In a file by nlbgen, the monitors have the host, and the iRule has all names.
    names.sort(key=lambda name: not (checks and name == checks[0][0]))
    return names


def _valid(name: str) -> bool:
    return not problem_of("frontend.host", name)


def _redirects(source: Source) -> Iterator[Named]:
    """The names to which port 80 redirects: other redirects of the farm's port can be to any site."""
    for rule in dict.fromkeys(rule for virtual in source.roles.redirects for rule in virtual.rules):
        for line in source.lines(rule):
            text = text_of(line)
            found = _TARGET.search(text) if "HTTP::re" in text else None
            if found and _valid(found["host"]):
                yield found["host"], line


def clauses(source: Source) -> Iterator[Clause]:
    """The branches of the policies and the iRules of the farm's virtual server."""
    yield from clauses_of_policies(source.model, source.roles.main)
    for rule in source.roles.main.rules:
        yield from clauses_of_rule(source.lines(rule))


def _compared(source: Source) -> Iterator[Named]:
    """The names that select a pool of the farm, or no pool."""
    pools = {pool.item.path for pool in source.roles.pools}
    for clause in clauses(source):
        for part, statement in clause.parts.items():
            source.account.given_up(statement, f"{part}: matches part of a name; nlbgen matches only complete names")
        for name, statement in clause.hosts.items():
            if clause.pool and clause.pool not in pools:
                source.account.given_up(statement, f"{name}: selects {clause.pool}, which is not part of the farm")
            elif _valid(name):
                yield name, statement


def _checks(source: Source) -> Iterator[Named]:
    for path in source.roles.web.monitors:
        item = source.model.named("ltm monitor", path)
        sent = source.find(item, "send") if item else None
        found = _SENT.search(sent.text) if sent else None
        if sent and sent.statement and found and _valid(found[1]):
            yield found[1], sent.statement


def _sni(source: Source) -> Iterator[Named]:
    for profile in (*source.roles.main.of_kind("client-ssl"), *source.roles.main.of_kind("server-ssl")):
        found = source.find(profile.item, "server-name") if profile.item else None
        if found and found.statement and found.text != "none" and _valid(found.text):
            yield found.text, found.statement
