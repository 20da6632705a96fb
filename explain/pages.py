"""The pages of the documentation that are part of the package, as text for a terminal."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

_LINK: Final = re.compile(r"\[([^\]]*)\]\([^)\s]*\)")
_MARK: Final = re.compile(r"<!-- .*? -->\n?")
_CELL: Final = re.compile(r"(?<!\\)\|")


class Row(NamedTuple):
    """A row of a table, and the heading above the table; links are replaced by their texts."""

    heading: str
    head: tuple[str, ...]
    cells: tuple[str, ...]


@cache
def page(name: str) -> str:
    """The Markdown of a page below `docs/`."""
    return (files(__package__.partition(".")[0]) / "docs" / name).read_text(encoding="utf-8")


def section(name: str, heading: str) -> str | None:
    """The text below a heading of a page, up to the next heading, as plain paragraphs; None without the heading."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", page(name), re.MULTILINE | re.DOTALL)
    return plain(found[1]) if found else None


def headings(name: str) -> list[str]:
    """The headings of the third level: in rules.md, they are ids."""
    return re.findall(r"^### ([a-z0-9-]+)$", page(name), re.MULTILINE)


def plain(markdown: str) -> str:
    """The text without links and marks; each paragraph is one line, so that a terminal wraps it."""
    text = _LINK.sub(r"\1", _MARK.sub("", markdown)).strip()
    return "\n\n".join(map(_joined, re.split(r"\n\s*\n", text)))


def paragraphs(name: str) -> list[str]:
    """The paragraphs of a page that are neither tables nor code, each as one line."""
    prose = re.sub(r"^```.*?^```$", "", page(name), flags=re.MULTILINE | re.DOTALL)
    return [text for text in plain(prose).split("\n\n") if text and not text.startswith("|")]


def _joined(paragraph: str) -> str:
    """One line for each item of a list, each row of a table and each line of code; otherwise one line for all."""
    if paragraph.startswith(("```", "|", "    ")):
        return paragraph
    return re.sub(r"\n(?!\s*(?:[-*]|\d+\.) )\s*", " ", paragraph)


@cache
def rows(name: str) -> tuple[Row, ...]:
    """The rows of all tables of a page."""
    return tuple(_rows(page(name)))


def _rows(text: str) -> Iterator[Row]:
    heading = ""
    head: tuple[str, ...] = ()
    for line in text.split("\n"):
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not line.startswith("|"):
            head = ()
            continue
        cells = tuple(_LINK.sub(r"\1", cell).replace("\\|", "|").strip() for cell in _CELL.split(line)[1:-1])
        if not head:
            head = cells
        elif not set("".join(cells)) <= set("-: "):
            yield Row(heading, head, cells)
