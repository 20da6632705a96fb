"""SVG and HTML from templates: every text is escaped, except markup that Python code has already escaped.

Configurations are quoted by their vendor's rules instead. Otherwise both use the same template environment: undefined
values and None are errors.
"""

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from markupsafe import Markup

from ..core import templating

if TYPE_CHECKING:
    from jinja2 import Environment

T = TypeVar("T")

_UNSPEAKABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]")
"""Characters that XML or HTML do not allow: control characters, lone surrogates, noncharacters."""
_UNSEEN: Final = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069]")
"""Invisible characters that reverse, join or hide the characters next to them."""

_CODE: Final = re.compile("`([^`\n]+)`")


def _finalize(value: T) -> T:
    if value is None or isinstance(value, bool):
        raise templating.RenderFault(f"a template shows {value!r}")
    return value


@cache
def environment() -> "Environment":
    """Return the template environment for SVG and HTML."""
    return templating.environment().overlay(autoescape=True, finalize=_finalize)


def render(template: str, view: Mapping[str, Any]) -> Markup:
    """Render a template with this view; forbidden characters become U+FFFD."""
    return made(environment().get_template(template).render(view))


def made(markup: str) -> Markup:
    """Mark a text as markup that templates do not escape again; the caller must have escaped it."""
    return Markup(displayable(markup))  # noqa: S704  # the only place; the callers escape


def displayable(text: str) -> str:
    """Replace each character that SVG and HTML do not allow, or that could mislead a reader, by U+FFFD."""
    return _UNSEEN.sub("\ufffd", _UNSPEAKABLE.sub("\ufffd", text))


def sentence(text: str) -> Markup:
    """Return a message as markup; text in backticks becomes a code element."""
    return made(_CODE.sub(r"<code>\1</code>", html.escape(text)))


def digest_source(content: str) -> str:
    """Return the source expression of a content security policy for an inline style or script: `'sha256-...'`."""
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
