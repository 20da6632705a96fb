"""SVG and HTML from templates: every text is escaped, unless Python has made markup of it.

Configurations are text and escape by their vendor's rules; what a browser reads has rules of its own. Both come from
the same environment in everything else: nothing undefined, nothing that is none.
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
"""What XML or HTML cannot carry, or only as an error: control characters, lone surrogates, characters that are none."""
_UNSEEN: Final = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069]")
"""Characters that show nothing themselves and turn around, join or hide what stands beside them."""

_CODE: Final = re.compile("`([^`\n]+)`")


def _finalize(value: T) -> T:
    if value is None or isinstance(value, bool):
        raise templating.RenderFault(f"a template shows {value!r}")
    return value


@cache
def environment() -> "Environment":
    """The template environment for SVG and HTML."""
    return templating.environment().overlay(autoescape=True, finalize=_finalize)


def render(template: str, view: Mapping[str, Any]) -> Markup:
    """The template's markup with this view; what no browser may meet becomes U+FFFD."""
    return made(environment().get_template(template).render(view))


def made(markup: str) -> Markup:
    """What was escaped where it was made, as markup that templates leave alone."""
    return Markup(displayable(markup))  # noqa: S704  # the one place; its callers escape


def displayable(text: str) -> str:
    """The text with U+FFFD for each character that has no place in SVG and HTML, or could mislead a reader."""
    return _UNSEEN.sub("\ufffd", _UNSPEAKABLE.sub("\ufffd", text))


def sentence(text: str) -> Markup:
    """A message as messages are written: what stands between backticks is code."""
    return made(_CODE.sub(r"<code>\1</code>", html.escape(text)))


def digest_source(content: str) -> str:
    """How a content security policy names an inline style or script: `'sha256-...'` over what its element holds."""
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
