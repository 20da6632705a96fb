"""The reference of the rules in Markdown: docs/lint.md holds this text between two markers, and a test compares it."""

from collections.abc import Iterator
from typing import Final

from ..readers.tree import Vendor
from .registry import MODULES, rules
from .rule import Rule
from .suppress import NO_EFFECT
from .versions import MISSING_FIX

TITLES: Final[dict[Vendor, str]] = {"haproxy": "HAProxy", "nginx": "NGINX", "f5": "F5 BIG-IP"}


def as_markdown() -> str:
    """One part for each vendor: a table, then each rule with its reason and what to write."""
    parts = [line for vendor in MODULES if rules(vendor) for line in _part(TITLES[vendor], rules(vendor))]
    return "\n".join([*parts, *_part("All vendors", (NO_EFFECT, MISSING_FIX))]) + "\n"


def _part(title: str, listed: tuple[Rule, ...]) -> Iterator[str]:
    tested = any(rule.proof for rule in listed)
    more = (" Scenario of `nlbgen prove` |", "---|") if tested else ("", "")
    yield from (f"## {title}", "", f"| Id | Severity | Rule |{more[0]}", f"|---|---|---|{more[1]}")
    for rule in listed:
        scenario = f" {f'`{rule.scenario}`' if rule.proof else ''} |" if tested else ""
        yield f"| [`{rule.id}`](#{rule.id}) | {rule.severity} | {_cell(rule.title)} |{scenario}"
    yield ""
    for rule in listed:
        yield from (f"### {rule.id}", "", f"{_sentence(rule.why)}", "")
        yield from (f"Instead: {rule.instead}. ([source]({_link(rule.source)}))", "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _link(source: str) -> str:
    """The source as a link from docs/lint.md."""
    return source.removeprefix("docs/")
