"""Counts, lists and shortened texts, as messages write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlbgen.core.wording import one_of, plural, shortened


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "node", "0 nodes"),
        (1, "node", "1 node"),
        (2, "node", "2 nodes"),
        (1, "entry", "1 entry"),
        (2, "entry", "2 entries"),
        (2, "day", "2 days"),
        (2, "address", "2 addresses"),
        (2, "box", "2 boxes"),
        (2, "match", "2 matches"),
        (3, "open file", "3 open files"),
    ],
)
def test_plural_of_a_regular_noun(count: int, noun: str, text: str) -> None:
    assert plural(count, noun) == text


@pytest.mark.parametrize(("count", "text"), [(1, "1 index"), (2, "2 indices")])
def test_plural_of_an_irregular_noun_takes_the_given_form(count: int, text: str) -> None:
    assert plural(count, "index", "indices") == text


@given(st.text(), st.integers(0, 50))
def test_shortened_text_is_the_text_or_its_beginning_with_dots(text: str, length: int) -> None:
    short = shortened(text, length)
    assert short == text if len(text) <= length else short == text[:length] + "..."


@pytest.mark.parametrize(("names", "text"), [(("a",), "a"), (("a", "b"), "a or b"), (("a", "b", "c"), "a, b or c")])
def test_one_of_writes_a_choice(names: tuple[str, ...], text: str) -> None:
    assert one_of(names) == text
