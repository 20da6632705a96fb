"""Templates to text: one environment, nothing undefined, and a guard on the result.

Templates lay out; they hold loops and ifs, and no decisions.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jinja2 import Environment

# What no text file of ours may hold: control characters (line ends and tabs apart), and Unicode's line separators.
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


class RenderFault(Exception):  # noqa: N818  # not an error of the user: it ends in exit code 70
    """A template or a view is wrong."""


def _finalize(value: Any) -> Any:
    """Refuse what must not become text by accident: nothing, a flag, or a text of several lines."""
    if value is None or value is True or value is False:
        raise RenderFault(f"a template shows {value!r}")
    if isinstance(value, str) and ("\n" in value or "\r" in value):
        raise RenderFault(f"a template shows a text of several lines: {value!r}")
    return value


@cache
def environment() -> "Environment":
    """The one template environment: nothing undefined, nothing escaped for HTML, line ends as in the template."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("nlbgen", "templates"),
        undefined=StrictUndefined,
        finalize=_finalize,
        autoescape=False,  # noqa: S701  # configurations are no HTML; each vendor quotes by its own rules
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(template: str, view: Mapping[str, Any]) -> bytes:
    """The template's text with this view, as UTF-8; raises RenderFault where it holds what no text file may."""
    text = environment().get_template(template).render(view)
    if found := _FORBIDDEN.search(text):
        raise RenderFault(f"{template}: the result holds U+{ord(found[0]):04X}")
    return text.encode("utf-8")
