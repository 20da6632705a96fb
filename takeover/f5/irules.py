"""The lines of the farm's iRules that hold no value of a spec."""

import re
from typing import Final

from ...generators.headers import SET_BY_BALANCER
from ...readers.tree import Statement
from .catalog import Known, note
from .choice import REDIRECT
from .hosts import clauses
from .outline import text_of
from .scan import clause_of, policy_rules
from .source import Source

_HEADER: Final = re.compile(
    r"HTTP::header (?:insert|replace|remove)(?: -\w+)* \"?(?P<name>[A-Za-z0-9_-]+)", re.IGNORECASE
)
_SET: Final = frozenset(name.lower() for name in SET_BY_BALANCER)
_REFUSED: Final = "nlbgen's iRule refuses other names (421) and large uploads (413), and no other requests"
_LOGS: Final = Known("given up", "the device logs nothing about requests")
_LINES: Final = tuple(
    (re.compile(pattern), known)
    for pattern, known in (
        (
            r"when (?:HTTP_REQUEST|HTTP_RESPONSE|CLIENT_ACCEPTED|RULE_INIT)\b",
            Known("implied", "nlbgen's own iRule has this event"),
        ),
        (
            r"(?:if|\} ?elseif|elseif|switch|default|\} ?else)\b",
            Known("implied", "the commands in this branch have their own results"),
        ),
        (r"(?:log|HSL::send)\b", _LOGS),
        (r"(?:set|unset) (?:static::)?debug\b", _LOGS),
        (r"(?:return|event disable.*)[;\s}]*$", Known("implied", "the end of a branch")),
        (r"persist\b", Known("given up", "balancer.affinity decides how a client stays on its node")),
        (r"(?:HTTP::respond \"?[45][0-9]{2}|reject|drop|discard)\b", Known("given up", _REFUSED)),
        (r"COMPRESS::", Known("given up", "responses are passed as the nodes send them")),
    )
)
"""The beginnings of commands that hold no value."""


def policies(source: Source) -> None:
    """Give the rules of the policies their fate: a rule without a pool stays open."""
    pools = {pool.item.path for pool in source.roles.pools}
    live = source.roles.live
    for rule in policy_rules(source.model, source.roles.main):
        clause = clause_of(rule)
        for statement in rule.walk() if clause.pool else ():
            if source.account.has(statement):
                continue
            if clause.pool not in pools:
                source.account.given_up(statement, f"pool {clause.pool}: not part of the farm")
            elif live and clause.pool == live.item.path and not clause.prefix:
                source.account.given_up(statement, "balancer.signalr.paths supports only prefixes")
            elif live and clause.pool == live.item.path:
                source.account.taken(statement, "balancer.signalr.paths")
            else:
                source.account.taken(statement, "nodes")


def close(source: Source) -> None:
    """Give the lines of iRules that are still open their fate; a line that no pattern knows stays open."""
    rules = dict.fromkeys(rule for virtual in source.roles.virtuals for rule in virtual.rules)
    redirecting = {rule for virtual in source.roles.redirects for rule in virtual.rules}
    _pools(source)
    for rule in rules:
        for line in source.lines(rule):
            if source.account.has(line):
                continue
            text = text_of(line)
            if REDIRECT.search(text) and rule in redirecting:
                source.account.taken(line, "frontend.redirect_http")
            elif REDIRECT.search(text):
                source.account.given_up(line, "nlbgen redirects only from port 80")
            elif found := _HEADER.search(text):
                _header(source, line, found["name"])
            elif known := next((known for pattern, known in _LINES if pattern.match(text)), None):
                note(source.account, line, known)


def _pools(source: Source) -> None:
    """Account for the lines that select a pool."""
    pools = {pool.item.path for pool in source.roles.pools}
    for clause in clauses(source):
        if clause.action is None or source.account.has(clause.action):
            continue
        if clause.pool in pools:
            source.account.taken(clause.action, "nodes")
        else:
            source.account.given_up(clause.action, f"pool {clause.pool}: not part of the farm")


def _header(source: Source, line: Statement, name: str) -> None:
    if name.lower() in _SET or name.lower().startswith("x-forwarded"):
        source.account.implied(line, "X-Forwarded-For, -Host, -Port and -Proto are set, and forged ones removed")
    else:
        source.account.given_up(line, f"{name}: the nodes get only the headers X-Forwarded-*")
