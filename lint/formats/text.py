"""Findings as text, with the source line and a caret below the word."""

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

from ...core.excerpt import Excerpt
from ...core.wording import legible, plural
from ..findings import Report
from ..rule import SEVERITIES, Finding, Severity

_INDENT: Final = "    "
_LONGEST_WORD: Final = 1000
"""The most characters of a word that are marked."""


class Piece(NamedTuple):
    """One line of the text; terminals show each kind in its own colour."""

    kind: Severity | Literal["source", "detail", "unread"]
    text: str


def pieces(reports: Sequence[Report]) -> Iterator[Piece]:
    """Yield the lines of all findings, then those of the parts that were not understood."""
    for report in reports:
        for finding in report.findings:
            yield from _finding(report, finding)
    for report in reports:
        for part in report.unread:
            yield Piece("unread", legible(f"{part.location}: not understood: {part.reason}"))


def _finding(report: Report, finding: Finding) -> Iterator[Piece]:
    rule = finding.rule
    yield Piece(rule.severity, legible(f"{finding.location}: {rule.severity}: {finding.message} [{rule.id}]"))
    line = report.source_line(finding)
    if line:
        start = min(finding.location.column - 1, len(line))
        after = line[start : start + _LONGEST_WORD].split(None, 1)
        length = len(after[0]) if after else 1
        for drawn in Excerpt(finding.location.line, line, start, length).drawn():
            yield Piece("source", drawn)
    yield Piece("detail", f"{_INDENT}why: {legible(rule.why)}")
    yield Piece("detail", f"{_INDENT}instead: {legible(rule.instead)}")
    if rule.proof:
        yield Piece("detail", f"{_INDENT}to test nlbgen's own configuration for this: {rule.proof}")


def text(reports: Sequence[Report]) -> str:
    """All findings, for people."""
    return "".join(f"{piece.text}\n" for piece in pieces(reports))


def summary(reports: Sequence[Report]) -> str:
    """The numbers of findings, of ignored ones and of parts that were not understood, on one line."""
    kinds = [finding.rule.severity for report in reports for finding in report.findings]
    parts = [plural(number, severity) for severity in SEVERITIES if (number := kinds.count(severity))] or [
        "no findings"
    ]
    ignored = sum(len(report.ignored) for report in reports)
    unread = sum(len(report.unread) for report in reports)
    parts += [f"{plural(ignored, 'finding')} ignored"] * bool(ignored)
    parts += [f"{plural(unread, 'part')} not understood"] * bool(unread)
    name = reports[0].file if len(reports) == 1 else plural(len(reports), "file")
    return f"{legible(name)}: {', '.join(parts)}"
