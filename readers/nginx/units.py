"""Times and sizes in NGINX's syntax.

Source: https://nginx.org/en/docs/syntax.html.
"""

import re
from typing import Final

_TIME: Final = re.compile(r"(\d+)(ms|[smhdwMy]?)")
_SECONDS: Final = {
    "ms": 0.001,
    "": 1.0,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "M": 2592000.0,
    "y": 31536000.0,
}
_SIZE: Final = re.compile(r"(\d+)([kKmMgG]?)")
_BYTES: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def time(text: str) -> float | None:
    """A time in seconds (`1h 30m`, `60`, `500ms`); None if it is none."""
    parts = _TIME.findall(text)
    if not parts or "".join(map("".join, parts)) != text.replace(" ", ""):
        return None
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def size(text: str) -> int | None:
    """A size in bytes (`8k`); None if it is none."""
    found = _SIZE.fullmatch(text)
    return int(found[1]) * _BYTES[found[2].lower()] if found else None
