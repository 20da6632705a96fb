"""The rules of `nlbgen lint` on two configurations: which of them each one breaks."""

from typing import Final, Literal, NamedTuple

from ..lint.findings import Report, examine
from ..lint.rule import SEVERITIES, Finding, Rule
from ..lint.suppress import NO_EFFECT
from ..readers.tree import Configuration

Kind = Literal["new", "stays", "cured"]
KINDS: Final[dict[Kind, str]] = {
    "new": "only the rendered configuration breaks the rule",
    "stays": "both configurations break the rule",
    "cured": "only the configuration that runs today breaks the rule",
}
"""Every kind and its meaning, the most important one first."""


class RuleChange(NamedTuple):
    """A rule that at least one of the two configurations breaks, with the findings in each."""

    rule: Rule
    today: tuple[Finding, ...]
    then: tuple[Finding, ...]

    @property
    def kind(self) -> Kind:
        """What becomes of it."""
        if not self.today:
            return "new"
        return "stays" if self.then else "cured"


def rule_changes(today: Configuration, then: Configuration) -> tuple[RuleChange, ...]:
    """Compare the findings by rule: new rules first, in each kind the most severe one first.

    A finding that a comment ignores counts: the comment does not change what the balancer does.
    """
    before, after = _by_rule(examine("", today)), _by_rule(examine("", then))
    rules = {found[0].rule.id: found[0].rule for found in (*before.values(), *after.values())}
    changes = [RuleChange(rule, before.get(name, ()), after.get(name, ())) for name, rule in rules.items()]
    kinds = [*KINDS]
    return tuple(
        sorted(changes, key=lambda one: (kinds.index(one.kind), SEVERITIES.index(one.rule.severity), one.rule.id))
    )


def _by_rule(report: Report) -> dict[str, tuple[Finding, ...]]:
    found: dict[str, tuple[Finding, ...]] = {}
    every = [*report.findings, *(one.finding for one in report.ignored)]
    for finding in sorted(every, key=lambda one: one.sort_key):
        if finding.rule is not NO_EFFECT:
            found[finding.rule.id] = (*found.get(finding.rule.id, ()), finding)
    return found
