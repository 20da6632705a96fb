"""Findings as SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/), which code hosts and editors show."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Final
from urllib.parse import quote

from ... import __version__
from ...core.errors import Location
from ...core.wording import json_text
from ...readers.tree import Unread
from ..findings import Report
from ..rule import Finding, Rule, Severity
from ..suppress import Ignored, fingerprints

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS: Final[dict[Severity, str]] = {"error": "error", "warning": "warning", "note": "note"}


def as_sarif(reports: Sequence[Report]) -> str:
    """One run with the results of all files."""
    used = {
        one.rule.id: one.rule
        for report in reports
        for one in (*report.findings, *(ignored.finding for ignored in report.ignored))
    }
    rules = [used[name] for name in sorted(used)]
    order = {rule.id: number for number, rule in enumerate(rules)}
    run = {
        "tool": {"driver": {"name": "nlbgen", "version": __version__, "rules": [_rule(rule) for rule in rules]}},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [_unread(part) for report in reports for part in report.unread],
            }
        ],
        "results": [result for report in reports for result in _results(report, order)],
    }
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}) + "\n"


def _results(report: Report, order: dict[str, int]) -> list[dict[str, object]]:
    reported = zip(report.findings, report.fingerprints, strict=True)
    hidden = [one.finding for one in report.ignored]
    ignored = zip(report.ignored, fingerprints(report.configuration, hidden), strict=True)
    return [
        *(_result(finding, mark, order) for finding, mark in reported),
        *({**_result(one.finding, mark, order), "suppressions": [_suppression(one)]} for one, mark in ignored),
    ]


def _rule(rule: Rule) -> dict[str, object]:
    link = {"helpUri": rule.source} if rule.source.startswith("https://") else {}
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.instead},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        **link,
    }


def _result(finding: Finding, mark: str, order: dict[str, int]) -> dict[str, object]:
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": order[finding.rule.id],
        "level": _LEVELS[finding.rule.severity],
        "message": {"text": f"{finding.message}. {finding.rule.instead}"},
        "locations": [_location(finding.location)],
        "partialFingerprints": {"nlbgenLine/v1": mark},
    }


def _suppression(ignored: Ignored) -> dict[str, object]:
    return {"kind": "inSource" if ignored.in_source else "external", "justification": ignored.reason}


def _unread(part: Unread) -> dict[str, object]:
    return {
        "level": "note",
        "message": {"text": f"not understood: {part.reason}"},
        "locations": [_location(part.location)],
    }


def _location(location: Location) -> dict[str, object]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(location.file)},
            "region": {"startLine": location.line, "startColumn": location.column},
        }
    }


def _uri(file: str) -> str:
    """A relative reference for a relative path, a file URI for an absolute one."""
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix(), safe="/")
