"""A comparison as text and as data."""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from ..core.errors import Location
from ..core.wording import all_of, legible, plural
from ..lint.rule import Finding
from ..takeover.account import Line
from .comparison import Comparison
from .rules import KINDS, Kind, RuleChange
from .values import Difference

_INDENT = "    "


class Piece(NamedTuple):
    """One line of the text; terminals show each kind in its own colour."""

    kind: Kind | Literal["value", "statement", "detail"]
    text: str


def pieces(found: Comparison) -> Iterator[Piece]:
    """Yield the lines: rules, then values, then the statements that the new configuration does not replace."""
    for change in found.rules:
        yield from _rule(change)
    for difference in found.differences:
        yield from _difference(difference)
    if found.not_compared:
        yield Piece("statement", legible(f"only the rules are compared: {found.not_compared}"))
    for line in found.lines:
        yield from _line(line)
    for part in found.unread:
        yield Piece("statement", legible(f"{part.location}: not understood: {part.reason}"))


def _rule(change: RuleChange) -> Iterator[Piece]:
    rule = change.rule
    yield Piece(change.kind, f"{change.kind}: {rule.id} ({rule.severity}): {legible(rule.title)}")
    yield from _findings("today", change.today)
    if not change.today:
        yield Piece("detail", f"{_INDENT}today: no finding")
    yield from _findings("then", change.then)
    if not change.then:
        yield Piece("detail", f"{_INDENT}then: no finding")
    yield Piece("detail", f"{_INDENT}why: {legible(rule.why)}")


def _findings(when: str, findings: Iterable[Finding]) -> Iterator[Piece]:
    for one in findings:
        yield Piece("detail", legible(f"{_INDENT}{when}: {one.location}: {one.message}"))


def _difference(one: Difference) -> Iterator[Piece]:
    yield Piece("value", legible(f"{one.name}: {one.today} -> {one.then}"))
    places = f"{', '.join(map(str, one.locations))}: " if one.locations else ""
    yield Piece("detail", legible(f"{_INDENT}{places}{one.meaning}"))


def _line(line: Line) -> Iterator[Piece]:
    yield Piece("statement", legible(f"{line.location}: {line.fate}: {line.text}"))
    if line.details:
        yield Piece("detail", legible(f"{_INDENT}{line.detail}"))


def text(found: Comparison) -> str:
    """The comparison for people."""
    return "".join(f"{piece.text}\n" for piece in pieces(found))


def summary(found: Comparison) -> str:
    """The numbers on one line."""
    kinds = [change.kind for change in found.rules]
    rules = [f"{kinds.count(kind)} {kind}" for kind in KINDS]
    parts = [f"rules: {all_of(rules)}"]
    if not found.not_compared:
        parts += [
            plural(len(found.differences), "value") + f" {'differs' if len(found.differences) == 1 else 'differ'}"
        ]
        parts += [f"{plural(len(found.lines), 'statement')} without a counterpart"]
    return f"{legible(found.file)} against {found.rendered}: {', '.join(parts)}"


def data(found: Comparison) -> dict[str, object]:
    """The comparison for programs."""
    return {
        "vendor": found.vendor,
        "file": found.file,
        "rendered": found.rendered,
        "rules": [_rule_data(change) for change in found.rules],
        "values": [
            {
                "name": one.name,
                "today": one.today,
                "then": one.then,
                "meaning": one.meaning,
                "locations": [_place(place) for place in one.locations],
            }
            for one in found.differences
        ],
        "statements": [
            {"fate": line.fate, "text": line.text, "details": [*line.details], **_place(line.location)}
            for line in found.lines
        ],
        "not_understood": [{**_place(part.location), "reason": part.reason} for part in found.unread],
        "notes": [*found.notes],
        "not_compared": found.not_compared,
    }


def _rule_data(change: RuleChange) -> dict[str, object]:
    return {
        "kind": change.kind,
        "id": change.rule.id,
        "severity": change.rule.severity,
        "title": change.rule.title,
        "why": change.rule.why,
        "today": [_finding_data(one) for one in change.today],
        "then": [_finding_data(one) for one in change.then],
    }


def _finding_data(one: Finding) -> dict[str, object]:
    return {**_place(one.location), "message": one.message}


def _place(location: Location) -> dict[str, object]:
    return {"file": location.file, "line": location.line, "column": location.column}
