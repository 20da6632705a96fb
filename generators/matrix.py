"""The vendors side by side: which features each has, from which version on, and the ids to accept the rest by."""

from typing import NamedTuple

from .base import Generator, all_generators
from .features import FEATURES, Feature, No, Since, Support


class Cell(NamedTuple):
    """What one vendor says to one feature."""

    answer: str
    """`yes`, `no`, `fallback`, or `since VERSION`."""
    note: str
    accept: str
    """The id under which the lack can be accepted; empty where it cannot or need not be."""


def cell(vendor: Generator, feature: Feature) -> Cell:
    """The vendor's answer."""
    support: Support = vendor.support[feature.id]
    if isinstance(support, Since):
        accept = vendor.problem_id(feature.id) if support.before.fallback else ""
        before = f"before: {support.before.fallback}" if support.before.fallback else ""
        return Cell(f"since {support.version}", support.note or before, accept)
    if isinstance(support, No):
        if support.fallback:
            return Cell("fallback", f"{support.reason}; {support.fallback}", vendor.problem_id(feature.id))
        return Cell("no", support.reason, "")
    return Cell("yes", support.note, "")


def as_data() -> dict[str, object]:
    """The matrix for programs."""
    vendors = all_generators()
    return {
        "vendors": [
            {"name": vendor.name, "title": vendor.title, "oldest": str(vendor.oldest), "newest": str(vendor.newest)}
            for vendor in vendors
        ],
        "features": [
            {
                "id": feature.id,
                "title": feature.title,
                "support": {
                    vendor.name: {"answer": found.answer, "note": found.note, "accept": found.accept}
                    for vendor in vendors
                    for found in [cell(vendor, feature)]
                },
            }
            for feature in FEATURES
        ],
    }


def as_markdown() -> str:
    """The matrix as a Markdown table, with the reasons as notes below it."""
    vendors = all_generators()
    head = [f"{vendor.title} {vendor.oldest} to {vendor.newest}" for vendor in vendors]
    lines = [f"| Feature | {' | '.join(head)} |", f"|---|{'---|' * len(head)}"]
    notes: list[str] = []
    for feature in FEATURES:
        row = [_markdown_cell(cell(vendor, feature), notes) for vendor in vendors]
        lines.append(f"| {feature.title} | {' | '.join(row)} |")
    return "\n".join([*lines, "", *notes]) + "\n"


def _markdown_cell(found: Cell, notes: list[str]) -> str:
    if not found.note:
        return found.answer
    accept = f" (accept as `{found.accept}`)" if found.accept else ""
    notes.append(f"{len(notes) + 1}. {found.note}{accept}.")
    return f"{found.answer} ({len(notes)})"


def as_text() -> str:
    """The matrix for a terminal: columns first, reasons below."""
    vendors = all_generators()
    width = max(len(feature.title) for feature in FEATURES) + 2
    lines = [" " * width + "".join(f"{vendor.title:<16}" for vendor in vendors).rstrip()]
    lines.append(" " * width + "".join(f"{f'{vendor.oldest} to {vendor.newest}':<16}" for vendor in vendors).rstrip())
    notes = []
    for feature in FEATURES:
        cells = [cell(vendor, feature) for vendor in vendors]
        lines.append((f"{feature.title:<{width}}" + "".join(f"{found.answer:<16}" for found in cells)).rstrip())
        for vendor, found in zip(vendors, cells, strict=True):
            if found.note:
                accept = f"\n    accept: [{found.accept}]" if found.accept else ""
                notes.append(f"{vendor.title}, {feature.title}: {found.note}{accept}")
    return "\n".join([*lines, "", *notes]) + "\n"
