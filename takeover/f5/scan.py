"""What iRules and policies decide by: the host names and paths that they compare, and the pools that they select."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ...readers.f5.model import Model, Virtual
from ...readers.f5.objects import block_of, full_path, words_of
from ...readers.tree import Statement
from .outline import text_of

_COMPARED: Final = re.compile(
    r'HTTP::(?P<what>host|path|uri|header (?:values? )?"?Host"?)[\]\s]+'
    r'(?P<how>eq|equals|==|starts_with|ends_with|contains|matches_glob|matches)\s+[{"]?(?P<text>[^"}\s]+)',
    re.IGNORECASE,
)
_SWITCH: Final = re.compile(r"\bswitch\b.*\bHTTP::(?P<what>host|path|uri|header)\b", re.IGNORECASE)
_PATTERN: Final = re.compile(r'\}?\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>[^\s"{}\[\]$]+)) (?P<end>-|\{)')
_POOL: Final = re.compile(r"(?:^|[\s{;])pool (?P<name>/[\w./-]+|[\w.-]+)")
_BRANCH: Final = re.compile(r"(?:^|[\s}])(?:if|elseif|else|default|switch|when)\b")
_COMMANDS: Final = frozenset(("default", "else", "elseif", "if", "switch", "foreach", "when", "while", "catch", "set"))
_WHOLE: Final = frozenset(("eq", "equals", "=="))
_PARTS: Final = frozenset(("contains", "starts-with", "ends-with", "not"))
_LIVE: Final = re.compile(r"signalr|/hubs?\b|websocket", re.IGNORECASE)


@dataclass
class Clause:
    """One branch: what is compared, with the statements, and the pool that it selects, if any."""

    hosts: dict[str, Statement] = field(default_factory=dict)
    paths: list[tuple[str, Statement]] = field(default_factory=list)
    parts: dict[str, Statement] = field(default_factory=dict)
    """Texts that are compared with a part of the host."""
    prefix: bool = True
    """Whether the paths are prefixes."""
    pool: str = ""
    action: Statement | None = None

    @property
    def live(self) -> bool:
        """Whether it is about SignalR or WebSockets."""
        return any(_LIVE.search(path) for path, _ in self.paths)

    def add(self, what: str, text: str, statement: Statement, *, whole: bool = True) -> None:
        """Add a value that is compared with the host (`whole`, or a part of it) or the path."""
        if what.lower() in {"path", "uri"}:
            if text.startswith("/"):
                self.paths.append((text.removesuffix("*"), statement))
        elif not whole:
            self.parts.setdefault(text, statement)
        else:
            self.hosts.setdefault(re.sub(r":[0-9]+\Z", "", text), statement)


def clauses_of_rule(lines: Iterable[Statement]) -> Iterator[Clause]:
    """The branches of an iRule, in its order, as far as a reader without Tcl can follow them."""
    clause, subject, continued = Clause(), "", False
    for line in lines:
        text = text_of(line)
        switch, pattern = _SWITCH.search(text), _PATTERN.match(text)
        if "switch" in text.split():
            subject = switch["what"] if switch else ""
        if pattern and subject and pattern["bare"] not in _COMMANDS:
            if not continued:
                yield clause
                clause = Clause()
            clause.add(subject, pattern["quoted"] or pattern["bare"] or "", line)
            continued = pattern["end"] == "-"
        elif _BRANCH.search(text):
            yield clause
            clause, continued = Clause(), False
        for found in _COMPARED.finditer(text):
            clause.add(found["what"], found["text"], line, whole=found["how"].lower() in _WHOLE)
        if found_pool := _POOL.search(text):
            clause.pool, clause.action = full_path(found_pool["name"]), line
    yield clause


def policy_rules(model: Model, virtual: Virtual) -> Iterator[Statement]:
    """The rules of the policies of a virtual server."""
    for used in virtual.item.entries("policies"):
        policy = model.items.get(("ltm policy", full_path(used.name)))
        yield from policy.block("rules") if policy else ()


def clauses_of_policies(model: Model, virtual: Virtual) -> Iterator[Clause]:
    """The rules of the policies of a virtual server, as branches."""
    return map(clause_of, policy_rules(model, virtual))


def clause_of(rule: Statement) -> Clause:
    """What a rule of a policy compares, and the pool that it selects."""
    clause = Clause()
    for condition in block_of(rule, "conditions"):
        names = {word.text for one in condition.inside for word in one.words}
        host = "http-host" in names or {"ssl-extension", "server-name"} <= names
        what = "host" if host else "path" if "http-uri" in names else ""
        clause.prefix &= what != "path" or "starts-with" in names
        for one in block_of(condition, "values"):
            for word in one.words if what else ():
                clause.add(what, word.text, one, whole=not names & _PARTS)
    for action in block_of(rule, "actions"):
        for word in words_of(action, "pool")[:1]:
            clause.pool, clause.action = full_path(word.text), action
    return clause
