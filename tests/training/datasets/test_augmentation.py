"""Other words for questions, questions in a conversation, and questions without an answer."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.embedding.base import Embedder
from engine.embedding.fake import HashingEmbedder
from engine.embedding.registry import create_embedder
from engine.training.datasets.augmentation import (
    FAR,
    LEAST_NEAR_QUERY,
    MARGIN,
    Fact,
    follow_ups,
    nearness_to,
    reworded,
    unanswerable,
)
from engine.training.datasets.examples import TrainingExample
from engine.training.datasets.off_topic import OFF_TOPIC
from engine.training.datasets.rewording import rewordings

NOT_FOUND = "The documents do not say."


def fact(question: str, answer: str, group: str = "", **more: object) -> Fact:
    return Fact(TrainingExample.from_pair(question, answer, group), is_english=True, **more)  # type: ignore[arg-type]


SHOP = [
    fact("How much does the Pro plan cost?", "It costs 20 euros a month.", "c1", document="d"),
    fact("What does the Basic plan cost?", "It costs 10 euros a month.", "c1", document="d"),
    fact("When does the shop open?", "At 8:30.", "c2", document="d"),
    fact("Can I return a parcel?", "Yes, within 30 days.", "c3", document="other"),
]


@pytest.mark.parametrize(
    ("question", "answer", "other"),
    [
        ("How much does the Pro plan cost?", "", "What does the Pro plan cost?"),
        ("What is the price of a ticket?", "", "How much does a ticket cost?"),
        ("Can I bring my dog?", "", "Is it possible to bring my dog?"),
        ("When does the shop open?", "At 8:30.", "At what time does the shop open?"),
        ("What is the minimum order?", "", "Please tell me the minimum order."),
        ("What is the minimum order?", "", "What's the minimum order?"),
        ("Why is it closed?", "", "why is it closed"),
    ],
)
def test_a_question_in_other_words(question: str, answer: str, other: str) -> None:
    assert other in rewordings(question, answer)


@pytest.mark.parametrize(
    ("question", "answer", "other"),
    [
        ("When does the new shop open?", "In May 2027.", "At what time does the new shop open?"),
        ("What is the shop known for?", "", "Please tell me the shop known for."),
        ("What is the weather like?", "", "Please tell me the weather like."),
        ("How do I know?", "", "In what way can I know?"),
    ],
)
def test_what_would_ask_for_something_else_is_not_made(question: str, answer: str, other: str) -> None:
    assert other not in rewordings(question, answer)


@given(st.text(max_size=60) | st.sampled_from([item.example.question for item in SHOP]))
def test_rewordings_are_other_texts_each_once(question: str) -> None:
    found = rewordings(question, "At 9:00.")
    assert len(set(found)) == len(found)
    assert question not in found
    assert all(text.strip() for text in found)


def test_wordings_that_were_there_come_first_and_answer_the_same() -> None:
    asked = fact("When does the shop open?", "At 8:30.", "c2", wordings=("When does the shop open each day?",))
    first, *others = [example for example in reworded([asked, SHOP[0]], 2, HashingEmbedder()) if example.group == "c2"]
    assert (first.question, first.kind) == ("When does the shop open each day?", "wording")
    assert [example.kind for example in others] == ["query"], "those of rules, after people's"
    assert {example.answer for example in (first, *others)} == {"At 8:30."}


def test_no_more_wordings_than_wanted() -> None:
    assert reworded(SHOP, 0, HashingEmbedder()) == []
    made = reworded(SHOP, 1, HashingEmbedder())
    assert len({example.answer for example in made}) == len(made) <= len(SHOP)


def test_another_facts_question_is_no_wording() -> None:
    taken = fact("What does the Pro plan cost?", "It cost 15 euros last year.", "c9")
    made = reworded([SHOP[0], taken], 5, HashingEmbedder())
    assert not any(example.question == taken.example.question for example in made)


@pytest.fixture(scope="module")
def embedder(models_dir: Path) -> Embedder:
    return create_embedder("all-MiniLM-L6-v2", models_dir)


def test_rough_forms_that_could_be_another_question_are_not_made() -> None:
    alike = [
        fact("When did the shop open?", "In 1987.", "c1"),
        fact("When does the shop open?", "At 8:30.", "c2"),
        fact("When does the old shop close?", "At 18:00.", "c3"),
    ]
    made = reworded(alike, 12, HashingEmbedder())
    asked = {example.question.lower().rstrip("?") for example in made if example.kind == "query"}
    assert not asked & {"when shop open", "when the shop open", "when open shop", "when did the store open"}
    by_answer = {example.answer: example.question for example in made if example.kind == "query"}
    assert by_answer.keys() >= {"At 18:00."}
    assert "year" in by_answer.get("In 1987.", "year")
    assert "time" in by_answer.get("At 8:30.", "time")


@pytest.mark.models
def test_rough_forms_are_near_to_their_question_and_far_from_others(embedder: Embedder) -> None:
    made = [example for example in reworded(SHOP, 10, embedder) if example.kind == "query"]
    questions = embedder.embed([item.example.question for item in SHOP])
    answers = [item.example.answer for item in SHOP]
    assert len(made) > 12
    for example, vector in zip(made, embedder.embed([example.question for example in made]), strict=True):
        cosines = (questions @ vector).tolist()
        own = cosines.pop(answers.index(example.answer))
        assert own >= LEAST_NEAR_QUERY
        assert own >= max(cosines) + MARGIN


def test_a_question_that_is_held_out_is_no_wording() -> None:
    held_out = "What does the Pro plan cost?"
    assert held_out in {example.question for example in reworded([SHOP[0]], 5, HashingEmbedder())}
    assert held_out not in {example.question for example in reworded([SHOP[0]], 5, HashingEmbedder(), others=[held_out])}


def test_what_is_nearer_to_another_fact_is_no_wording(embedder: Embedder) -> None:
    wrong = fact(
        "When does the shop open?", "At 8:30.", "c2", wordings=("Can I send a parcel back?", "When do you open the shop?")
    )
    made = [example.question for example in reworded([wrong, SHOP[3]], 5, embedder)]
    assert "Can I send a parcel back?" not in made
    assert "When do you open the shop?" in made


def test_other_languages_are_left_alone() -> None:
    asked = Fact(TrainingExample.from_pair("Was kostet es?", "Zehn Euro."), is_english=False)
    assert reworded([asked], 3, HashingEmbedder()) == []


def test_a_follow_up_comes_after_another_fact_of_its_document() -> None:
    made = follow_ups(SHOP, 1.0)
    assert len(made) == 3, "the other document has but one fact"
    answers = {item.example.question: item.example.answer for item in SHOP}
    for example in made:
        asked, answered, again = example.prompt
        assert (answered.role, answered.content) == ("assistant", answers[asked.content])
        assert asked.content != again.content == example.question
        assert example.answer == answers[example.question]
        assert example.kind == "follow-up"
    opening = next(example for example in made if example.question == "When does the shop open?")
    assert opening.group == "c2"


@given(st.integers(0, 60), st.floats(0.0, 1.0), st.randoms(use_true_random=False))
def test_follow_ups_do_not_depend_on_the_order(count: int, share: float, random: Random) -> None:
    facts = [fact(f"Question {number}?", f"Answer {number}.", f"c{number % 7}") for number in range(count)]
    shuffled = random.sample(facts, len(facts))
    made = follow_ups(facts, share)
    assert set(made) == set(follow_ups(shuffled, share))
    assert len(made) <= count
    assert (len(made) == count) if share == 1.0 and count != 1 else True


def test_what_the_material_may_answer_is_not_said_to_be_unanswerable(embedder: Embedder) -> None:
    material = ["The Sky bar has a view of the moon.", "Penicillin was discovered by Alexander Fleming in 1928."]
    near = nearness_to([*material, *(item.example.question for item in SHOP)], embedder)
    made = unanswerable([*OFF_TOPIC, "What does your plan cost?"], len(OFF_TOPIC) + 1, NOT_FOUND, near)
    asked = {example.question for example in made}
    assert not asked & {"Who discovered penicillin?", "How far away is the moon?", "What does your plan cost?"}
    assert len(asked) > len(OFF_TOPIC) / 2
    assert {(example.answer, example.kind) for example in made} == {(NOT_FOUND, "unanswerable")}


def test_the_number_of_unanswerable_questions() -> None:
    def far(questions: Sequence[str]) -> list[float]:
        return [0.0] * len(questions)

    assert len(unanswerable(OFF_TOPIC, 7, NOT_FOUND, far)) == 7
    assert unanswerable(OFF_TOPIC, 0, NOT_FOUND, far) == []
    assert unanswerable([], 7, NOT_FOUND, far) == []
    assert unanswerable(OFF_TOPIC, 7, NOT_FOUND, lambda questions: [FAR] * len(questions)) == []
    assert unanswerable(OFF_TOPIC, 7, NOT_FOUND, far) == unanswerable(OFF_TOPIC[::-1], 7, NOT_FOUND, far)
