"""Questions by rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.faq.sentence_rules import sentence_questions


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("Orders placed before 14:00 are dispatched the same working day.", "When are orders placed before 14:00 dispatched?"),
        (
            "Standard delivery within Germany costs 4.90 EUR and is free above 50 EUR.",
            "How much does standard delivery within Germany cost?",
        ),
        ("You can return any unused item within 30 days of delivery.", "Within how many days can I return any unused item?"),
        ("The water tank holds 1.8 litres and can be removed.", "How many litres does the water tank hold?"),
        (
            "Customer records are deleted after ten years, as the tax code requires.",
            "After how many years are customer records deleted?",
        ),
        ("The library was founded in 1897.", "In which year was the library founded?"),
        ("The filter should be replaced every two months.", "How often should the filter be replaced?"),
        ("Standard shipping takes 3 to 5 working days.", "How long does standard shipping take?"),
        ("You must register the appliance before 1 March.", "When must I register the appliance?"),
        ("Our office is closed because the roof leaks.", "Why is your office closed?"),
        ("A Turing machine is a mathematical model of computation.", "What is a Turing machine?"),
        ("The warranty covers manufacturing defects.", "What does the warranty cover?"),
        ("Members may bring a guest.", "May members bring a guest?"),
        ("You are invoiced on 1 March.", "When am I invoiced?"),
        ("Your parcel is sent to you within two days.", "Within how many days is my parcel sent to me?"),
        ("Reports can cover at most 36 months.", "How many months can reports cover?"),
        (
            "The programming interface allows 600 requests per minute.",
            "How many requests does the programming interface allow?",
        ),
        ("The shuttle bus leaves every 40 minutes.", "How often does the shuttle bus leave?"),
        ("Breakfasts are served from 6.30 a.m. to 10 a.m. on weekdays.", "When are breakfasts served?"),
    ],
)
def test_a_sentence_is_turned_into_the_question_that_it_answers(sentence: str, question: str) -> None:
    assert next(sentence_questions(sentence)) == question


def test_a_reason_of_another_clause_is_not_asked_for() -> None:
    sentence = "The gas was found by Scheele, but Priestley is often named because his work came first."
    assert not any(question.startswith("Why") for question in sentence_questions(sentence))


def test_names_keep_their_capital(told: object) -> None:
    context = "The inventor Tesla was famous. Many know it."
    assert next(sentence_questions("Tesla coils are tested every two weeks.", context)) == "How often are Tesla coils tested?"
    assert next(sentence_questions("Tesla's coils are tested every week.", context)) == "How often are Tesla's coils tested?"


@pytest.mark.parametrize(
    "sentence",
    [
        "Press the button twice.",
        "If it rains, the market is moved to the hall.",
        "In 1943 the court was restored.",
        "Free returns are possible.",
        "Orders of 20 kettles count as wholesale and receive a discount.",
        "Guided tours take place in the workshop.",
        "The known trade may be related to the presence of merchants.",
        "Some visitors feel it is best to pay.",
        "People who smoke are asked to leave.",
        "",
        "?",
    ],
)
def test_what_no_rule_fits_is_left_to_the_model(sentence: str) -> None:
    assert list(sentence_questions(sentence)) == []


@given(st.text(max_size=200))
def test_any_text_gives_questions_or_nothing(sentence: str) -> None:
    for question in sentence_questions(sentence):
        assert question.endswith("?")
