"""Questions and answers that are kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.asked import AskedQuestions
from engine.config import Settings
from engine.db.repositories import ConversationRepository
from engine.db.session import Database
from engine.domain import Answer, Citation, Message, Timings, Usage

ANSWER = Answer(
    "25 days.", True, (Citation("a.pdf", 3, "25 days", 0.9),), "m", "a", Usage(3, 4), Timings(0.1, 0.2, 0.3), "trimmed"
)


@pytest.fixture
def conversations(settings: Settings) -> Iterator[ConversationRepository]:
    database = Database(settings.database)
    yield ConversationRepository(database)
    database.close()


def test_an_answer_comes_back_as_it_was(conversations: ConversationRepository) -> None:
    asked = AskedQuestions(conversations)
    asked.keep("How many?", "Handbook", ANSWER)
    found = asked.list("Handbook")
    assert [(exchange.question, exchange.answer) for exchange in found] == [("How many?", ANSWER)]


def test_the_newest_of_one_collection_oldest_first(conversations: ConversationRepository) -> None:
    asked = AskedQuestions(conversations)
    for number in range(5):
        asked.keep(f"question {number}", "Handbook", ANSWER)
        asked.keep("another", "Other", ANSWER)
    assert [exchange.question for exchange in asked.list("Handbook", limit=2)] == ["question 3", "question 4"]


def test_forgetting_leaves_other_collections(conversations: ConversationRepository) -> None:
    asked = AskedQuestions(conversations)
    asked.keep("one", "Handbook", ANSWER)
    asked.keep("two", "Other", ANSWER)
    assert asked.forget("Handbook") == 1
    assert asked.list("Handbook") == []
    assert len(asked.list("Other")) == 1


def test_an_exchange_that_was_cut_off_is_passed_over(conversations: ConversationRepository) -> None:
    asked = AskedQuestions(conversations)
    cut = conversations.start("ask", "cut off")
    conversations.append(cut.id, Message("user", "cut off"), {"collection": "Handbook"})
    damaged = conversations.start("ask", "damaged")
    conversations.append(damaged.id, Message("user", "damaged"), {"collection": "Handbook"})
    conversations.append(damaged.id, Message("assistant", "?"), {"citations": "none"})
    assert asked.list("Handbook") == []
