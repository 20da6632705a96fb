"""Durations, sizes and versions, and the options of connection strings: values with the syntax of the spec."""

import re
from collections.abc import Iterable
from functools import total_ordering
from typing import Final

from ..core.wording import shown

_UNITS_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DURATION: Final = re.compile(r"(0|[1-9][0-9]{0,8})(ms|s|m|h|d)")
"""The syntax of a duration."""
_SIZES: Final = {
    "B": 1,
    "KB": 1024,
    "MB": 1024**2,
    "GB": 1024**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
SIZE: Final = re.compile(r"(0|[1-9][0-9]{0,8})(B|KB|MB|GB|KiB|MiB|GiB)")
"""The syntax of a size."""


class Duration(int):
    """A span of time in whole milliseconds; as text it has the largest unit that keeps it whole (`90s`, `2m`)."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str) -> "Duration":
        """The duration in `text`; raises ValueError for anything but a number with ms, s, m, h or d."""
        match = DURATION.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{shown(text)} is not a duration: write a number with its unit, such as 500ms, 5s, 2m, 1h"
            )
        return cls(int(match[1]) * _UNITS_MS[match[2]])

    @property
    def seconds(self) -> int:
        """Whole seconds, rounded up, for programs that know no smaller unit."""
        return -(-int(self) // 1000)

    def __str__(self) -> str:
        if not self:
            return "0s"
        for unit in ("d", "h", "m", "s"):
            if self % _UNITS_MS[unit] == 0:
                return f"{int(self) // _UNITS_MS[unit]}{unit}"
        return f"{int(self)}ms"


class Size(int):
    """An amount of bytes; KB, MB and GB are powers of 1024, as HAProxy, NGINX and IIS count them."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str) -> "Size":
        """The size in `text`; raises ValueError for anything but a number with B, KB, MB or GB."""
        match = SIZE.fullmatch(text)
        if match is None:
            raise ValueError(f"{shown(text)} is not a size: write a number with its unit, such as 512KB, 300MB, 2GB")
        return cls(int(match[1]) * _SIZES[match[2]])

    def __str__(self) -> str:
        for unit in ("GB", "MB", "KB"):
            if self and self % _SIZES[unit] == 0:
                return f"{int(self) // _SIZES[unit]}{unit}"
        return f"{int(self)}B"


@total_ordering
class Version:
    """A version that compares by number: 2019.10 comes after 2019.4, and 2.6 equals 2.6.0."""

    __slots__ = ("parts", "text")

    def __init__(self, text: str) -> None:
        if not re.fullmatch(r"[0-9]{1,5}(?:\.[0-9]{1,6}){0,3}", text):
            raise ValueError(f'{shown(text)} is not a version: write numbers separated by dots, for example "2.6"')
        numbers = [int(part) for part in text.split(".")]
        while numbers and numbers[-1] == 0:
            numbers.pop()
        self.text: Final = text
        self.parts: Final = tuple(numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.parts == other.parts

    def __lt__(self, other: "Version") -> bool:
        return self.parts < other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f'Version("{self.text}")'


class Options:
    """Options of a connection string: keywords and their values as text, in the order of the file."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs: Final = tuple(pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Options) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        return f"Options({self.pairs!r})"
