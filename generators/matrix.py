"""The vendor matrix: the support for each feature, and the ids that accept a fallback."""

from collections.abc import Collection
from typing import NamedTuple

from .base import Generator, all_generators
from .features import FEATURES, Feature, No, Since, Support


class Cell(NamedTuple):
    """One vendor's support for one feature."""

    answer: str
    """`yes`, `no`, `fallback`, or `since VERSION`."""
    note: str
    accept: str
    """The id that accepts the fallback; empty if there is none."""


def cell(vendor: Generator, feature: Feature) -> Cell:
    """The matrix cell for a vendor and a feature."""
    support: Support = vendor.support[feature.id]
    if isinstance(support, Since):
        accept = vendor.problem_id(feature.id) if support.before.fallback else ""
        before = f"before {support.version}, {_limits(support.before)}"
        return Cell(f"since {support.version}", support.note or before, accept)
    if isinstance(support, No):
        if support.fallback:
            return Cell("fallback", _limits(support), vendor.problem_id(feature.id))
        return Cell("no", support.reason, "")
    return Cell("yes", support.note, "")


def _limits(lacking: No) -> str:
    return f"{lacking.reason}. Fallback: {lacking.fallback}" if lacking.fallback else lacking.reason


def columns(names: Collection[str] = ()) -> list[Generator]:
    """The vendors with these names, without a name all of them; always in the order of the catalogue."""
    return [vendor for vendor in all_generators() if not names or vendor.name in names]


def as_data(names: Collection[str] = ()) -> dict[str, object]:
    """The matrix of these vendors as JSON data."""
    vendors = columns(names)
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


def as_markdown(names: Collection[str] = ()) -> str:
    """The matrix of these vendors as a Markdown table, with the reasons as notes below it."""
    notes: list[str] = []
    return f"{_table(notes, names)}\n" + "".join(f"{number}. {note}.\n" for number, note in enumerate(notes, 1))


def summary() -> str:
    """The matrix as a Markdown table of bare answers."""
    return _table(None)


def _table(notes: list[str] | None, names: Collection[str] = ()) -> str:
    """The table. With `notes`, each note is appended to this list, and its number to the answer."""
    vendors = columns(names)
    head = [f"{vendor.title} {vendor.oldest} to {vendor.newest}" for vendor in vendors]
    lines = [f"| Feature | {' | '.join(head)} |", f"|---|{'---|' * len(head)}"]
    for feature in FEATURES:
        found = [cell(vendor, feature) for vendor in vendors]
        where = [f"{vendor.title}, {feature.title}" for vendor in vendors]
        row = [one.answer if notes is None else _numbered(one, at, notes) for one, at in zip(found, where, strict=True)]
        lines.append(f"| {feature.title} | {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def _numbered(found: Cell, where: str, notes: list[str]) -> str:
    if not found.note:
        return found.answer
    older = "" if found.answer == "fallback" else " of earlier versions"
    accept = f". To accept the fallback{older}, add `{found.accept}` to the key `accept`" if found.accept else ""
    notes.append(f"{where}: {found.note}{accept}")
    return f"{found.answer} ({len(notes)})"


def as_text(names: Collection[str] = ()) -> str:
    """The matrix of these vendors for a terminal: first the columns, then the reasons."""
    vendors = columns(names)
    rows = [["", *(vendor.title for vendor in vendors)]]
    rows.append(["", *(f"{vendor.oldest} to {vendor.newest}" for vendor in vendors)])
    notes = []
    for feature in FEATURES:
        cells = [cell(vendor, feature) for vendor in vendors]
        rows.append([feature.title, *(found.answer for found in cells)])
        for vendor, found in zip(vendors, cells, strict=True):
            if found.note:
                accept = f"\n    accept: [{found.accept}]" if found.accept else ""
                notes.append(f"{vendor.title}, {feature.title}: {found.note}{accept}")
    return "\n".join([*_columns(rows), "", *notes]) + "\n"


def _columns(rows: list[list[str]]) -> list[str]:
    """Each row as a line, every column as wide as its longest text and two blanks."""
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    return ["".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
