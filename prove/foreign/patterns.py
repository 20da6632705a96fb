"""Regular expressions of HAProxy and NGINX (PCRE), as far as Python has the same syntax."""

import re


def compiled(text: str, *, ignore_case: bool) -> "re.Pattern[str] | None":
    """Return the expression; None if Python does not understand it, so that nothing is known about its matches."""
    try:
        return re.compile(
            text.replace("(?<", "(?P<").replace("(?P<=", "(?<=").replace("(?P<!", "(?<!"),
            re.IGNORECASE if ignore_case else 0,
        )
    except re.error:
        return None
