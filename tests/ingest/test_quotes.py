"""Finding quotes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ingest import locate_quote

PAGE = "Delivery takes 3 to 5 days.\nReturns are free – within “45 days” of deliv-\nery. The office’s ﬁlter costs 4 euros."


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("takes 3 to 5 days.", "takes 3 to 5 days."),
        ("  takes 3 to\n5   days. ", "takes 3 to 5 days."),
        ("days. Returns are", "days.\nReturns are"),
        ("of delivery. The", "of deliv-\nery. The"),
        ('free - within "45 days"', "free – within “45 days”"),
        ("The office's filter costs", "The office’s ﬁlter costs"),
    ],
)
def test_found(quote: str, found: str) -> None:
    span = locate_quote(PAGE, quote)
    assert span is not None
    assert PAGE[slice(*span)] == found


@pytest.mark.parametrize("quote", ["", "  ", "takes 3 to 6 days", "delivery takes", "Delivery takes3", "\u00ad"])
def test_not_found(quote: str) -> None:
    assert locate_quote(PAGE, quote) is None


def test_exact_occurrence_comes_first() -> None:
    assert locate_quote("a  b then a b", "a b") == (10, 13)


@given(st.text(max_size=80), st.data())
def test_every_slice_of_a_page_is_found(page: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(page)))
    quote = page[start : data.draw(st.integers(start, len(page)))]
    span = locate_quote(page, quote)
    assert (span is None) == (not quote.strip())
    if span is not None:
        assert page[slice(*span)] == quote.strip()


@given(st.lists(st.text(st.sampled_from("abc."), min_size=1, max_size=5), min_size=1, max_size=8), st.data())
def test_white_space_does_not_matter(words: list[str], data: st.DataObject) -> None:
    space = st.sampled_from([" ", "\n", "  ", "\t", " \u00a0"])
    page = "".join(word + data.draw(space) for word in words)
    span = locate_quote(page, "".join(word + data.draw(space) for word in words))
    assert span is not None
    assert page[slice(*span)].split() == words
