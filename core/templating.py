"""Rendering of templates: one environment, no undefined values, a check of the result.

Templates hold layout, loops and ifs, and no decisions.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from jinja2 import Environment

T = TypeVar("T")

# Forbidden in a rendered file: control characters except line ends and tabs, and Unicode's line separators.
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


class RenderFault(Exception):  # noqa: N818  # not an error of the user: it ends in exit code 70
    """A template or its view has a bug."""


def _finalize(value: T) -> T:
    """Refuse values that are never meant as text: None, booleans, and text of several lines."""
    if value is None or value is True or value is False:
        raise RenderFault(f"a template shows {value!r}")
    if isinstance(value, str) and ("\n" in value or "\r" in value):
        raise RenderFault(f"a template shows a text of several lines: {value!r}")
    return value


@cache
def environment() -> "Environment":
    """The template environment: no undefined values, no escapes for HTML, line ends as in the template."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from .compiled import CompiledTemplates

    return Environment(
        loader=PackageLoader("nlbgen", "templates"),
        bytecode_cache=CompiledTemplates(Path(__file__).parents[1] / "templates"),
        undefined=StrictUndefined,
        finalize=_finalize,
        autoescape=False,  # noqa: S701  # configurations are no HTML; each vendor quotes by its own rules
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(template: str, view: Mapping[str, Any]) -> bytes:
    """Render the template with this view as UTF-8; raises RenderFault where the result holds a forbidden character."""
    text = environment().get_template(template).render(view)
    if found := _FORBIDDEN.search(text):
        raise RenderFault(f"{template}: the result contains U+{ord(found[0]):04X}")
    return text.encode("utf-8")
