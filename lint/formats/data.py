"""Findings as JSON, and as annotations of a GitHub workflow."""

from collections.abc import Sequence
from typing import Final

from ...core.annotations import Kind, annotation
from ...core.errors import Location
from ...core.wording import json_text
from ..findings import Report
from ..rule import Finding, Severity

_KINDS: Final[dict[Severity, Kind]] = {"error": "error", "warning": "warning", "note": "notice"}


def as_json(reports: Sequence[Report]) -> str:
    """A list of files, each with its findings, for programs."""
    data = [
        {
            "file": report.file,
            "vendor": report.configuration.vendor,
            "findings": [_data(finding) for finding in report.findings],
            "ignored": [{**_data(one.finding), "reason": one.reason} for one in report.ignored],
            "not_understood": [{**_place(part.location), "reason": part.reason} for part in report.unread],
        }
        for report in reports
    ]
    return json_text(data) + "\n"


def _place(location: Location) -> dict[str, object]:
    return {"file": location.file, "line": location.line, "column": location.column}


def _data(finding: Finding) -> dict[str, object]:
    rule = finding.rule
    return {
        "id": rule.id,
        "severity": rule.severity,
        **_place(finding.location),
        "message": finding.message,
        "why": rule.why,
        "instead": rule.instead,
        "scenario": rule.scenario,
        "source": rule.source,
    }


def as_github(reports: Sequence[Report]) -> str:
    """Workflow commands, which GitHub shows at the line of the file."""
    lines = [
        annotation(
            _KINDS[finding.rule.severity],
            finding.location,
            finding.rule.id,
            f"{finding.message}\nwhy: {finding.rule.why}\ninstead: {finding.rule.instead}",
        )
        for report in reports
        for finding in report.findings
    ]
    lines += [
        annotation("notice", part.location, "not understood", part.reason)
        for report in reports
        for part in report.unread
    ]
    return "".join(f"{line}\n" for line in lines)
