"""Pairs that a document already has."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain import Chunk
from engine.faq.written import written_pairs

MakeChunk = Callable[..., Chunk]


def pairs(chunk: Chunk) -> list[tuple[str, str]]:
    return [(pair.question, pair.answer) for pair in written_pairs(chunk)]


def test_lines_marked_q_and_a(chunk_of: MakeChunk) -> None:
    text = "Q: Where are you?\nA: In Lisbon, near the river.\nOn the ground floor.\n\nQ2. Do you ship?\nA2. Yes, everywhere."
    assert pairs(chunk_of(text)) == [
        ("Where are you?", "In Lisbon, near the river.\nOn the ground floor."),
        ("Do you ship?", "Yes, everywhere."),
    ]


def test_question_heading_with_the_paragraph_below(chunk_of: MakeChunk) -> None:
    text = "How do I return an item?\nPack it. Send it back."
    assert pairs(chunk_of(text, "Help", "How do I return an item?")) == [("How do I return an item?", "Pack it. Send it back.")]


def test_questions_as_list_items_each_with_its_own_answer(chunk_of: MakeChunk) -> None:
    text = "1. Can I pay by card?\nYes.\n2. Is there a fee to pay?\nNo, there is none."
    assert pairs(chunk_of(text)) == [("Can I pay by card?", "Yes."), ("Is there a fee to pay?", "No, there is none.")]


@pytest.mark.parametrize(
    "row", ["question: Is it open?; answer: Yes, daily", "id: 7; Question: Is it open?; Answer: Yes, daily; tag: hours"]
)
def test_table_rows_with_question_and_answer_columns(chunk_of: MakeChunk, row: str) -> None:
    assert pairs(chunk_of(row)) == [("Is it open?", "Yes, daily")]


def test_an_answer_ends_at_the_next_heading(chunk_of: MakeChunk) -> None:
    text = "Q: Is it open?\nA: Yes.\nPrices\nTickets cost 5 EUR."
    assert pairs(chunk_of(text, "Prices")) == [("Is it open?", "Yes.")]


@pytest.mark.parametrize(
    "text", ["", "Q: Nobody answers?", "Really?\nYes.", "Why? Because. And how do we know?\nWe asked.", "A: no question"]
)
def test_what_is_no_pair_is_left_alone(chunk_of: MakeChunk, text: str) -> None:
    assert pairs(chunk_of(text)) == []


@given(st.text(alphabet=st.sampled_from("QA:?. \nab1;-"), max_size=120))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_answers_are_verbatim_whatever_the_text(chunk_of: MakeChunk, text: str) -> None:
    for pair in written_pairs(chunk_of(text)):
        assert pair.answer in text[pair.start : pair.end]
        assert pair.question in text


def test_question_and_answer_in_one_line(chunk_of: MakeChunk) -> None:
    text = "Q: Is it open? A: Yes, until 5.\nQ: What does it cost? A: 5 EUR."
    assert pairs(chunk_of(text)) == [("Is it open?", "Yes, until 5."), ("What does it cost?", "5 EUR.")]
