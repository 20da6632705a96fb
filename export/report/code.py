"""Configurations as highlighted lines, each with its reason."""

import html
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from markupsafe import Markup

from ...generators.base import all_generators
from ...generators.hosting import Syntax
from ..markup import made
from . import reasons as why

if TYPE_CHECKING:
    from pygments.lexer import Lexer

_CLASSES: Final = (
    ("Token.Comment.Preproc", "preproc"),
    ("Token.Comment", "comment"),
    ("Token.Keyword.Constant", "number"),
    ("Token.Keyword.Namespace", "section"),
    ("Token.Name.Namespace", "section"),
    ("Token.Keyword", "word"),
    ("Token.Name.Tag", "word"),
    ("Token.Name.Attribute", "word"),
    ("Token.Name.Variable", "variable"),
    ("Token.Literal.String", "string"),
    ("Token.Literal.Number", "number"),
)
"""Pygments' token types and the classes of the style sheet; the first match counts."""

_SHARED: Final = (
    Syntax(r"keepalived/.*\.conf", "haproxy", "comments"),
    Syntax(r".*\.service\.d/.*\.conf", "systemd", "comments"),
    Syntax(r".*\.json", "json"),
)
"""The syntaxes of files that several vendors have."""
_REASONS: Final = {
    "comments": why.commented,
    "objects": why.by_object,
    "directives": why.by_directive,
    "none": why.none,
}


class CodeLine(NamedTuple):
    """One line of a configuration, highlighted."""

    code: Markup
    reason: str


def highlighted(path: str, text: str) -> list[CodeLine]:
    """Return the lines of a file with their reasons; a file of an unknown type is plain text without reasons."""
    known = (*(syntax for vendor in all_generators() for syntax in vendor.syntaxes), *_SHARED)
    syntax = next((syntax for syntax in known if re.fullmatch(syntax.files, path)), Syntax("", ""))
    language, reasons = syntax.lexer, _REASONS[syntax.reasons]
    lines = text.removesuffix("\n").split("\n") if text else []
    codes = _codes(text, language) if language else [made(html.escape(line)) for line in lines]
    return [CodeLine(code, reason) for code, reason in zip(codes, reasons(lines), strict=True)]


def _codes(text: str, language: str) -> list[Markup]:
    """Return the lines of the text as markup."""
    lines: list[list[str]] = [[]]
    for kind, value in _lexer(language).get_tokens(text):
        css = _class(kind)
        for number, part in enumerate(value.split("\n")):
            if number:
                lines.append([])
            if part:
                escaped = html.escape(part)
                lines[-1].append(f'<span class="{css}">{escaped}</span>' if css else escaped)
    if not lines[-1]:  # the empty rest after the last line end
        lines.pop()
    return [made("".join(parts)) for parts in lines]


def _lexer(language: str) -> "Lexer":
    from pygments.lexers import get_lexer_by_name

    from .lexers import HaproxyLexer, PoundLexer, ScfLexer

    # Pygments must not change the text: no stripping, no added line end.
    options: dict[str, Any] = {"stripnl": False, "ensurenl": False}
    own = {"haproxy": HaproxyLexer, "pound": PoundLexer, "scf": ScfLexer}
    return own[language](**options) if language in own else get_lexer_by_name(language, **options)


def _class(kind: object) -> str:
    name = str(kind)
    return next((css for prefix, css in _CLASSES if name == prefix or name.startswith(f"{prefix}.")), "")


def words_of(lines: list[CodeLine]) -> Iterator[str]:
    """Yield the lines as plain text, for comparisons."""
    for line in lines:
        yield html.unescape(re.sub(r"<[^>]*>", "", line.code))
