"""The line of a problem with carets below the place."""

from typing import Final

import pytest

from nlbgen.core.excerpt import Excerpt

CASES: Final = {
    "a word": (
        Excerpt(14, "    mode: briged", 10, 6),
        (" 14 |     mode: briged", "    |           ^^^^^^"),
    ),
    "behind the end": (Excerpt(1, "abc", 3), (" 1 | abc", "   |    ^")),
    "an empty line": (Excerpt(9, "", 0), (" 9 |", "   | ^")),
    "wide characters and a tab": (Excerpt(3, "日本: x\ty", 6, 1), (" 3 | 日本: x    y", "   |            ^")),
    "an accent of its own": (Excerpt(1, "e\u0301 x", 3, 1), (" 1 | e\u0301 x", "   |   ^")),
    "an escape sequence": (Excerpt(1, "a\x1b[2Jb", 5, 1), (r" 1 | a\x1b[2Jb", "   |         ^")),
    "a mark over the end": (Excerpt(1, "ab", 1, 40), (" 1 | ab", "   |  ^")),
}


@pytest.mark.parametrize("case", CASES)
def test_excerpt_drawn_has_carets_below_the_mark(case: str) -> None:
    excerpt, expected = CASES[case]
    assert excerpt.drawn() == expected


@pytest.mark.parametrize("place", [0, 1, 20, 30, 150, 199, 200])
@pytest.mark.parametrize("length", [1, 3, 90])
def test_excerpt_drawn_long_line_fits_the_terminal_and_shows_the_mark(place: int, length: int) -> None:
    text = "".join(chr(0x4E00 + number) if number % 3 == 0 else chr(97 + number % 26) for number in range(200))
    line, carets = Excerpt(7, text, place, length).drawn(50)
    columns = [char for char in line for _ in range(2 if "\u4e00" <= char <= "\u9fff" else 1)]
    assert len(columns) <= 50
    assert len(carets) <= 51
    if place < len(text):
        assert columns[carets.index("^")] == text[place]


def test_excerpt_drawn_long_line_shows_text_on_both_sides_of_the_mark() -> None:
    line, carets = Excerpt(3, "a" * 90 + "XYZ" + "b" * 90, 90, 3).drawn(60)
    assert line.startswith(" 3 | ...aaaaa")
    assert line.endswith("bbbb...")
    assert line[carets.index("^") : carets.rindex("^") + 1] == "XYZ"
