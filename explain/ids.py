"""What an id, an exit code or a key of the spec means."""

import re
from typing import Final, NamedTuple

from ..core.errors import UsageError
from ..generators import matrix
from ..generators.base import all_generators, known_ids
from ..generators.features import FEATURES, Feature
from ..lint.registry import all_rules
from ..lint.rule import Rule
from ..lint.suppress import NO_EFFECT
from ..lint.versions import MISSING_FIX
from ..spec import reference
from ..spec.checks import RULES
from ..spec.rules.files import FILE_RULES
from ..spec.schema import nearest
from . import pages

_RULES_PAGE: Final = "rules.md"
_EXIT_CODE: Final = re.compile(r"(?:exit[ -]?(?:code[ -]?)?)?(\d{1,3})\Z", re.IGNORECASE)


class Explanation(NamedTuple):
    """A headline, and paragraphs."""

    title: str
    paragraphs: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole text."""
        return "\n\n".join((self.title, *self.paragraphs)) + "\n"


def ids() -> list[str]:
    """All ids that can be explained, in the order of the alphabet."""
    names = {*_rule_titles(), *pages.headings(_RULES_PAGE), *_lint_rules(), *known_ids()}
    return sorted({*names, *(feature.id for feature in FEATURES)})


def explained(what: str) -> Explanation:
    """The explanation of an id, an exit code or a key; raises UsageError for anything else."""
    for find in (_lint, _rule, _feature, _mentioned, _exit_code, _key):
        if found := find(what):
            return found
    near = nearest(what, [*ids(), *reference.key_paths()])
    meant = f" (did you mean {near}?)" if near else ""
    raise UsageError(
        f"{what} is not an id, exit code or key of nlbgen{meant}",
        "messages show ids in brackets; for a line of a rendered file, write FILE:LINE",
    )


def _lint_rules() -> dict[str, Rule]:
    return {rule.id: rule for rule in (*all_rules(), NO_EFFECT, MISSING_FIX)}


def _lint(what: str) -> Explanation | None:
    rule = _lint_rules().get(what)
    if rule is None:
        return None
    scenario = (f"To test nlbgen's own configuration for this: {rule.proof}",) if rule.proof else ()
    return Explanation(
        f"{rule.id}: {rule.title} ({rule.severity} of nlbgen lint)",
        (f"{rule.why[0].upper()}{rule.why[1:]}.", f"Instead: {rule.instead}.", *scenario, f"Source: {rule.source}"),
    )


def _rule_titles() -> dict[str, str]:
    titles = {rule.id: f"{rule.id}: {rule.summary} ({rule.severity} of nlbgen check)" for rule in RULES}
    files = {rule.id: f"{rule.id}: {rule.summary} ({rule.severity} about the nodes' files)" for rule in FILE_RULES}
    return {**files, **titles}


def _rule(what: str) -> Explanation | None:
    text = pages.section(_RULES_PAGE, what) if what in pages.headings(_RULES_PAGE) else None
    if text is None:
        return None
    accepted = next((rule for rule in RULES if rule.id == what and rule.can_be_accepted), None)
    more = (f"To accept it, write `accept: [{what}]` in the spec.",) if accepted else ()
    return Explanation(_rule_titles().get(what, what), (*filter(None, text.split("\n\n")), *more))


def _feature(what: str) -> Explanation | None:
    """A feature by its own id, or by the id that accepts a vendor's fallback."""
    for feature in FEATURES:
        if what == feature.id:
            return Explanation(f"{feature.id}: {feature.title}", tuple(_answers(feature)))
        for vendor in all_generators():
            if matrix.cell(vendor, feature).accept == what:
                title = f"{what}: {vendor.title} does not support '{feature.title}'"
                return Explanation(title, (*_answers(feature), f"To accept the fallback, write `accept: [{what}]`."))
    return None


def _answers(feature: Feature) -> list[str]:
    lines = []
    for vendor in all_generators():
        cell = matrix.cell(vendor, feature)
        accept = f" (accept as `{cell.accept}`)" if cell.accept else ""
        words = [cell.answer] if cell.answer != "fallback" else []  # its note has the word
        lines.append(f"{vendor.title}: {': '.join([*words, *filter(None, [cell.note])])}{accept}")
    return ["\n".join(lines)]


def _mentioned(what: str) -> Explanation | None:
    """An id without a section of its own: the rows and paragraphs of the page that name it."""
    if what not in known_ids():
        return None
    name = f"`{what}`"
    rows = [row.cells[-1] for row in pages.rows(_RULES_PAGE) if name in row.cells[0]]
    texts = [f"{text[0].upper()}{text[1:]}." for text in rows]
    texts += [text for text in pages.paragraphs(_RULES_PAGE) if name in text]
    return Explanation(what, (*texts, f"To accept it, write `accept: [{what}]` in the spec.")) if texts else None


def _exit_code(what: str) -> Explanation | None:
    found = _EXIT_CODE.match(what)
    rows = [row for row in pages.rows("index.md") if row.head[:2] == ("Code", "Meaning")]
    row = next((row for row in rows if found and row.cells[0] == found[1]), None)
    if row is None:
        return None
    todo = (f"What to do: {row.cells[2]}.",) if row.cells[2] else ()
    return Explanation(f"exit code {row.cells[0]}", (f"{row.cells[1][0].upper()}{row.cells[1][1:]}.", *todo))


def _key(what: str) -> Explanation | None:
    found = reference.key(what)
    if found is None:
        return None
    default = f"Default: {found.default}" if found.default else "No default."
    return Explanation(f"{what}: a key of the spec", (found.meaning, f"Value: {pages.plain(found.value)}", default))
