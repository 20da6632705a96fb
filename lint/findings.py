"""The findings about one configuration."""

from collections.abc import Iterable
from typing import NamedTuple

from ..readers.tree import Configuration, Unread
from .masking import without_secrets
from .registry import rules
from .rule import SEVERITIES, Finding, Severity
from .suppress import Ignored, by_baseline, by_comments, fingerprints


class Report(NamedTuple):
    """What was found in one configuration, in the order of the file; `file` is the one that was given."""

    file: str
    configuration: Configuration
    findings: tuple[Finding, ...]
    ignored: tuple[Ignored, ...] = ()

    @property
    def unread(self) -> tuple[Unread, ...]:
        """The parts that the reader did not understand, so that no rule knows them."""
        return self.configuration.unread

    @property
    def fingerprints(self) -> list[str]:
        """A fingerprint of each finding that is reported."""
        return fingerprints(self.configuration, self.findings)

    def source_line(self, finding: Finding) -> str:
        """The line of a finding without secrets and without the line's end; empty if the file has no such line."""
        lines = self.configuration.lines.get(finding.location.file, ())
        number = finding.location.line - 1
        return without_secrets(lines[number].rstrip()) if 0 <= number < len(lines) else ""

    def reaches(self, severity: Severity) -> bool:
        """Whether a finding is as severe as this, or more."""
        severe = SEVERITIES[: SEVERITIES.index(severity) + 1]
        return any(finding.rule.severity in severe for finding in self.findings)


def examine(
    file: str,
    configuration: Configuration,
    more: Iterable[Finding] = (),
    baseline: frozenset[str] = frozenset(),
    baseline_name: str = "",
) -> Report:
    """Apply all rules of the vendor; `more` are findings of other programs, which comments can ignore too."""
    own = [Finding(rule, *found) for rule in rules(configuration.vendor) for found in rule.check(configuration)]
    # Proxies can inherit the same line: it is one finding, not one for each of them.
    once = {(finding.rule.id, finding.location): finding for finding in reversed((*own, *more))}
    findings = sorted(once.values(), key=lambda finding: finding.sort_key)
    split = by_comments(configuration, findings)
    split = by_baseline(configuration, split, baseline, baseline_name)
    return Report(file, configuration, *split)
