"""The keys of all nodes as a table and as JSON data."""

from collections.abc import Mapping, Sequence

from ..core.wording import legible
from .keys import Key

Inventory = Mapping[str, Sequence[Key]]


def text(inventory: Inventory) -> str:
    """A table with one line for each key of each node."""
    head = ("node", "key", "where", "fingerprint", "length", "what", "location")
    rows = [
        (node, key.name, key.section, str(key.shown), str(key.length), key.kind, _with_note(key))
        for node, keys in inventory.items()
        for key in keys
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows))
    return "".join(f"{legible(line.rstrip())}\n" for line in lines)


def _with_note(key: Key) -> str:
    return f"{key.location} ({key.note})" if key.note else str(key.location)


def data(inventory: Inventory) -> dict[str, object]:
    """The keys as JSON data."""
    return {node: [_as_data(key) for key in keys] for node, keys in inventory.items()}


def _as_data(key: Key) -> dict[str, object]:
    return {
        "key": key.name,
        "section": key.section,
        "fingerprint": key.shown.text,
        "length": key.length,
        "kind": key.kind,
        "place": str(key.location),
        "note": key.note or None,
    }
