"""How wide a text is, without a font: wide enough for every common one, so that nothing leaves its box.

A picture does not know the font it will meet. The advance widths here are those of DejaVu Sans, which has Verdana's
and is wider than Arial, Helvetica, Segoe UI, Roboto and San Francisco.
"""

import unicodedata
from typing import Final

_BY_WIDTH: Final = {
    280: "ijlIJ",
    320: " .,;:'|!/\\",
    400: '()[]frt-`"',
    500: "*_sz",
    600: "acekvxy?{}^~FLT0123456789$",
    640: "bdghnopquESYZ",
    690: "ABKPRVX",
    790: "CDGHNOQU",
    840: "w+<>=#&",
    1000: "mMW%@",
}
"""Advance widths in thousandths of the font size, each a little more than DejaVu's own."""
_WIDTHS: Final = {char: width for width, chars in _BY_WIDTH.items() for char in chars}
_OTHER: Final = 1000
_BOLD: Final = 1.13
"""DejaVu Sans Bold against DejaVu Sans, for the letters that grow most often."""
ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"
_BREAKS: Final = " .,:-\\/_]"
"""After these a name may go on in the next line."""


def width(text: str, size: float, *, bold: bool = False) -> float:
    """How many pixels a text takes at the most, at a font size in pixels."""
    units = sum(_advance(char) for char in text)
    return units * size / 1000 * (_BOLD if bold else 1)


def _advance(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    wide = unicodedata.east_asian_width(char) in "WF"
    return 1100 if wide else _WIDTHS.get(char, _OTHER)


def shortened(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """The text, or as much of its beginning as fits into `room` pixels with an ellipsis."""
    if width(text, size, bold=bold) <= room:
        return text
    return text[: _fitting(text, room - width(ELLIPSIS, size, bold=bold), size, bold=bold)].rstrip() + ELLIPSIS


def wrapped(text: str, room: float, size: float, *, most: int, bold: bool = False) -> list[str]:
    """The text in lines that fit into `room` pixels, at most so many; what is left of it is cut off the last one."""
    lines = list[str]()
    while text and len(lines) < most - 1 and width(text, size, bold=bold) > room:
        fitting = max(1, _fitting(text, room, size, bold=bold))
        cut = max(text.rfind(char, 0, fitting) for char in _BREAKS) + 1
        # A break near the beginning would waste the line.
        cut = cut if cut > fitting // 3 else fitting
        lines.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    if text:
        lines.append(shortened(text, room, size, bold=bold))
    return lines


def _fitting(text: str, room: float, size: float, *, bold: bool) -> int:
    """How many characters of the text fit."""
    used = 0.0
    for number, char in enumerate(text):
        used += width(char, size, bold=bold)
        if used > room:
            return number
    return len(text)
