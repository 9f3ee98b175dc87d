"""Questions that transform a statement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.faq.transformations import transformed_questions


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("Gustave Eiffel built the tower for the fair.", "Who built the tower for the fair?"),
        ("The glass lid is washed by hand.", "Which lid is washed by hand?"),
        ("The majority of the forest is contained within Brazil.", "What is contained within Brazil?"),
        ("An electrical fire began in the cabin, and spread quickly.", "What began in the cabin?"),
        ("In 1950, Noble appointed Robert Kintner to be president.", "When did Noble appoint Robert Kintner to be president?"),
        ("Antoine Lavoisier coined the name oxygen in 1777.", "When did Antoine Lavoisier coin the name oxygen?"),
        ("The name oxygen was coined on 5 May 1777, they say.", "When was the name oxygen coined?"),
        ("The findings were published in the journal Science.", "Where were the findings published?"),
        ("The old record was held by John Elway.", "Who was the old record held by?"),
        ("The measurement is difficult due to the low signal.", "Why is the measurement difficult?"),
        ("Renewed warfare ended the privileges of the town.", "What did renewed warfare end?"),
        ("Private schools are called independent schools.", "What are private schools called?"),
        ("Over 10% of Amsterdam's population died in 1623.", "What percentage of Amsterdam's population died in 1623?"),
        ("35,064 households (22.1%) were made up of individuals.", "How many households were made up of individuals?"),
        ("At least 8,000 of the 20,000 troops were Normans.", "How many of the 20,000 troops were Normans?"),
        ("The committee supplied the town with bread.", "What did the committee supply?"),
    ],
)
def test_a_part_is_left_out_and_asked_for(sentence: str, question: str) -> None:
    assert question in [form for forms in transformed_questions(sentence) for form in forms]


@pytest.mark.parametrize(
    "sentence",
    [
        "It was built in 1889.",
        "You can return an order within 30 days.",
        "This section is about returns.",
        "Of great impact were also the works of Cairo.",
        "Goldenson added to the confusion when, in October, he proposed a merger.",
        "Press and hold the button.",
        "A Norman named Oursel led a force into the valley.",
        "The committee headed by his assistant met in July 1961.",
    ],
)
def test_a_sentence_whose_subject_cannot_be_told_gives_none(sentence: str) -> None:
    assert not list(transformed_questions(sentence))


def test_what_leans_on_the_subject_is_not_asked_without_it() -> None:
    forms = [form for forms in transformed_questions("In 2007, the company announced its intention to sell.") for form in forms]
    assert "When did the company announce its intention to sell?" in forms
    assert not any(form.startswith("Who announced") for form in forms)


def test_the_time_of_something_else_is_not_asked_for() -> None:
    found = transformed_questions("The market replaced an older one built in 1808.")
    assert not any(form.startswith("When") for forms in found for form in forms)


@given(st.text(max_size=300), st.text(max_size=60))
def test_any_text_is_borne_and_gives_plain_questions(text: str, context: str) -> None:
    for forms in transformed_questions(text, context):
        assert forms
        assert all(form.endswith("?") and form[0].isupper() and "\n" not in form for form in forms)


_WORDS = (
    "The",
    "valve",
    "company",
    "built",
    "released",
    "opens",
    "a",
    "town",
    "in",
    "1999",
    "because",
    "by",
    "Mary",
    "was",
    "it",
)


@given(st.lists(st.sampled_from(_WORDS), min_size=3, max_size=14))
def test_no_telling_word_is_added(words: list[str]) -> None:
    asking = {"who", "what", "which", "when", "where", "why", "did", "does", "do", "by"}
    bases = {"build", "release", "releas", "open"}
    for forms in transformed_questions(" ".join(words) + "."):
        for form in forms:
            assert {word.lower() for word in form.rstrip("?").split()} <= {word.lower() for word in words} | asking | bases
