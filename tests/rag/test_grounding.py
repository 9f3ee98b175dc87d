"""Citations cannot be invented, and answers are held against their quotes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.knowledge.passages import Passage
from engine.rag.grounding import NotOnPageError, cite, objection, supporters

PASSAGE = Passage("c1", "chunk", "d1", "guide.md", 3, "Parcels arrive within 5 days.\nReturns are free of charge.", (), 0.5)


@given(st.text(max_size=60))
def test_only_what_the_passage_says_can_be_cited(quote: str) -> None:
    try:
        citation = cite(PASSAGE, quote, 0.5)
    except NotOnPageError:
        return
    assert citation.quote in PASSAGE.text
    assert citation.quote


@given(st.integers(0, 50), st.integers(1, 20))
def test_every_slice_can_be_cited(start: int, length: int) -> None:
    quote = PASSAGE.text[start : start + length].strip()
    if quote:
        assert cite(PASSAGE, quote, 2.0).quote == quote


def test_a_citation_says_where_and_how_well() -> None:
    citation = cite(PASSAGE, "within 5 days", 1.7)
    assert (citation.document, citation.page, citation.score, citation.source_id) == ("guide.md", 3, 1.0, "c1")


def test_an_imported_pair_is_cited_by_its_answer() -> None:
    pair = replace(PASSAGE, kind="faq", document_id=None, page=None, text="", question="Q?", answer="Five days.")
    assert cite(pair, "Five days.", 0.9).quote == "Five days."


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Parcels arrive within 5 days.", ""),
        ("Within five days.", ""),
        ("Returns are free.", ""),
        ("Parcels arrive within 6 days.", "6 days"),
        ("Parcels arrive within 5 days in Paris.", "Paris"),
        ("Ships sail across wide oceans.", "words"),
        ("When do they?", "nothing"),
        ("", "nothing"),
        ("Quick shipping?", "nothing"),
    ],
)
def test_objections(answer: str, reason: str) -> None:
    found = objection(answer, [PASSAGE.text], "How quick is shipping?")
    assert reason in found
    assert bool(reason) == bool(found)


def test_supporters_are_as_few_as_needed() -> None:
    texts = ["Parcels arrive within 5 days.", "Returns are free of charge.", "Pianos have keys."]
    assert supporters("Returns are free and parcels arrive within 5 days.", texts) == [0, 1]
    assert supporters("", texts) == [0]
    assert supporters("anything", []) == []
