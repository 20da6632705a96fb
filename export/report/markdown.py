"""The rendered Markdown files (RUNBOOK.md, INSTALL.md) as HTML.

The parser is markdown-it-py (CommonMark with tables): it is maintained and typed, and its only dependency is mdurl.
HTML, links and images are disabled, so that a text of the spec cannot become an element or a link.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from ..markup import made

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_COMMENT: Final = re.compile(r"\A<!--\n.*?\n-->\n", re.DOTALL)
_BOX: Final = "[ ] "


def rendered(text: str, *, level: int) -> Markup:
    """Return HTML without the comment at the top; headings of level 1 get `level`, deeper ones follow."""
    parser = _parser()
    tokens = parser.parse(_COMMENT.sub("", text))
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + level - 1)}"
    _tick_boxes(tokens)
    return made(parser.renderer.render(tokens, parser.options, {}))


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    return parser.disable(["image", "link", "autolink", "reference", "html_inline", "html_block"])


def _tick_boxes(tokens: Sequence["Token"]) -> None:
    """Turn list items that begin with `[ ]` into labelled checkboxes."""
    from markdown_it.token import Token

    for before, token in pairwise(tokens):
        children = token.children or []
        boxed = before.type == "paragraph_open" and before.level and token.content.startswith(_BOX)
        if boxed and children and children[0].type == "text":
            children[0].content = children[0].content.removeprefix(_BOX)
            begin = Token("html_inline", "", 0, content='<label><input type="checkbox"> <span>')
            token.children = [begin, *children, Token("html_inline", "", 0, content="</span></label>")]
