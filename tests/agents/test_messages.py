"""What kind of message it is, and what in it is the question."""

import pytest

from engine.agents.leads import LeadReader
from engine.agents.messages import Intent, declines, in_context, intent_of, is_follow_up, question_part

READER = LeadReader(("name", "email", "phone", "company"))


@pytest.mark.parametrize(
    ("message", "intent"),
    [
        ("Hello!", Intent.GREETING),
        ("hey there, how are you?", Intent.GREETING),
        ("thx", Intent.THANKS),
        ("No, thanks.", Intent.THANKS),
        ("great, thank you very much", Intent.THANKS),
        ("bye bye", Intent.GOODBYE),
        ("ok", Intent.AGREEMENT),
        ("I'd rather not say.", Intent.DECLINE),
        ("My name is Ana.", Intent.DETAILS),
        ("You can reach me at ana@x.es, thanks", Intent.DETAILS),
        ("I work at Acme Tools", Intent.DETAILS),
        ("I'm Ana and I need a piano", Intent.QUESTION),
        ("Hello, what does it cost?", Intent.QUESTION),
        ("I don't want to give my name, but when do you open?", Intent.QUESTION),
        ("hiking boots", Intent.QUESTION),
    ],
)
def test_intents(message: str, intent: Intent) -> None:
    assert intent_of(message, READER.read(message).found, asked=False) is intent


@pytest.mark.parametrize("message", ["no", "No thanks", "not now", "skip", "Later."])
def test_a_no_to_the_agents_question_declines(message: str) -> None:
    assert intent_of(message, (), asked=True) is Intent.DECLINE
    assert declines(message, asked=True)


@pytest.mark.parametrize("message", ["What do you need to know?", "Do you deliver?", "Nobody answers the phone"])
def test_questions_decline_nothing(message: str) -> None:
    assert not declines(message, asked=True)


@pytest.mark.parametrize(
    ("message", "question"),
    [
        ("Hi, I'm Ana. Do you ship to Spain?", "Do you ship to Spain?"),
        ("Sure, ana@x.es. Do you ship abroad?", "Do you ship abroad?"),
        ("Do you ship abroad? My number is +34 612 345 678", "Do you ship abroad?"),
        ("Do you ship abroad?", "Do you ship abroad?"),
    ],
)
def test_the_question_is_what_is_left_without_the_details(message: str, question: str) -> None:
    assert question_part(message, READER.read(message).found) == question


def test_follow_ups() -> None:
    assert all(
        map(is_follow_up, ["and on Sundays?", "What about children?", "is it free?", "on Mondays?", "how much are they?"])
    )
    assert not any(map(is_follow_up, ["When do you open?", "parking", "Do you sell pianos for children?"]))


@pytest.mark.parametrize(
    ("topic", "question", "whole"),
    [
        ("When do you open on weekdays?", "and on Sundays?", "When do you open on Sundays?"),
        ("When do you open?", "What about on Sundays?", "When do you open on Sundays?"),
        ("How much is a ticket for adults?", "for children?", "How much is a ticket for children?"),
        ("Do you sell pianos?", "is it expensive?", "Do you sell pianos? is it expensive?"),
        ("Do you sell pianos?", "what about organs?", "Do you sell pianos? what about organs?"),
    ],
)
def test_a_follow_up_is_put_into_its_context(topic: str, question: str, whole: str) -> None:
    assert in_context(question, topic) == whole
