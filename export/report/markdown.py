"""Our own Markdown (RUNBOOK.md, INSTALL.md) as HTML.

markdown-it-py reads it: CommonMark with tables, kept by the Executable Books project, typed, and without dependencies
but mdurl. HTML, links and images in the text stay text: nothing of a spec becomes an element or leads anywhere.
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
    """The text without the comment at its top; its first heading becomes one of `level`, the others follow."""
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
    """Items that begin with `[ ]` get a box to tick, and their words are its label."""
    from markdown_it.token import Token

    for before, token in pairwise(tokens):
        children = token.children or []
        boxed = before.type == "paragraph_open" and before.level and token.content.startswith(_BOX)
        if boxed and children and children[0].type == "text":
            children[0].content = children[0].content.removeprefix(_BOX)
            begin = Token("html_inline", "", 0, content='<label><input type="checkbox"> <span>')
            token.children = [begin, *children, Token("html_inline", "", 0, content="</span></label>")]
