"""The width of a text without its font: an upper bound for common fonts, so that no text leaves its box.

The reader's font is unknown. The advance widths here are those of DejaVu Sans, which has the widths of Verdana and is
wider than Arial, Helvetica, Segoe UI, Roboto and San Francisco.
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
"""The ratio of DejaVu Sans Bold to DejaVu Sans, an upper bound for common letters."""
ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"
_BREAKS: Final = " .,:-\\/_]"
"""A line may break after these characters."""


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the maximum width of a text in pixels, at a font size in pixels."""
    units = sum(_advance(char) for char in text)
    return units * size / 1000 * (_BOLD if bold else 1)


def _advance(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    wide = unicodedata.east_asian_width(char) in "WF"
    return 1100 if wide else _WIDTHS.get(char, _OTHER)


def fitted(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """Return the text, or the beginning that fits into `room` pixels with an ellipsis."""
    if width(text, size, bold=bold) <= room:
        return text
    return text[: _fitting(text, room - width(ELLIPSIS, size, bold=bold), size, bold=bold)].rstrip() + ELLIPSIS


def wrapped(text: str, room: float, size: float, *, most: int, bold: bool = False) -> list[str]:
    """Return at most `most` lines that fit into `room` pixels; the last line is cut if the text is longer."""
    lines = list[str]()
    while text and len(lines) < most - 1 and width(text, size, bold=bold) > room:
        fitting = max(1, _fitting(text, room, size, bold=bold))
        cut = max(text.rfind(char, 0, fitting) for char in _BREAKS) + 1
        # A break near the beginning would waste the line.
        cut = cut if cut > fitting // 3 else fitting
        lines.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    if text:
        lines.append(fitted(text, room, size, bold=bold))
    return lines


def _fitting(text: str, room: float, size: float, *, bold: bool) -> int:
    """Return how many characters of the text fit into `room` pixels."""
    used = 0.0
    for number, char in enumerate(text):
        used += width(char, size, bold=bold)
        if used > room:
            return number
    return len(text)
