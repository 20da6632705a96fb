"""Markdown: texts from outside as code, whatever they contain."""

import re


def code(text: str) -> str:
    """A text of one line as a code span.

    Source: CommonMark 0.31, "Code spans": a span ends at a run of as many backticks as it began with; one space on
    both sides is removed.

    >>> print(code("a`b"), code("`"))
    ``a`b`` `` ` ``
    """
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def cell(text: str) -> str:
    """A Markdown text for the cell of a table, where a vertical bar would end the cell, also inside of code."""
    return text.replace("|", "\\|")
