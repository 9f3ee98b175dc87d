"""Near-duplicates."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.domain import Chunk, FaqPair, FaqStatus
from engine.embedding.base import Embedder
from engine.embedding.fake import HashingEmbedder
from engine.embedding.registry import create_embedder
from engine.faq.curation import faq_pairs
from engine.faq.dedupe import drop_duplicates, same_question
from engine.faq.types import Candidate, Origin, ScoredPair, ScoreParts

Make = Callable[..., ScoredPair]


@pytest.fixture
def pair(chunk_of: Callable[..., Chunk]) -> Make:
    def make(question: str, score: float = 0.5, answer: str = "", status: FaqStatus = FaqStatus.PENDING) -> ScoredPair:
        answer = answer or f"Answer to {question}"
        candidate = Candidate(question, answer, answer, chunk_of(answer), Origin.MODEL, 0.5)
        return ScoredPair(candidate, score, ScoreParts(0, 0, 0, 0, 0), status, "no" if status is FaqStatus.REJECTED else "")

    return make


@pytest.fixture(scope="module")
def minilm(models_dir: Path) -> Embedder:
    return create_embedder("all-MiniLM-L6-v2", models_dir)


def questions(pairs: list[ScoredPair]) -> list[str]:
    return [pair.candidate.question for pair in pairs]


def test_the_same_question_in_other_letters_is_one_and_the_best_is_kept(pair: Make) -> None:
    pairs = [
        pair("when do you open?", 0.4),
        pair("When do you open?", 0.9),
        pair("Where are you?", 0.1),
        pair("WHEN do you open ?", 0.7),
    ]
    assert questions(drop_duplicates(pairs, embedder=HashingEmbedder())) == ["When do you open?", "Where are you?"]


def test_rejected_pairs_pass_and_compare_with_nothing(pair: Make) -> None:
    pairs = [pair("When do you open?", 0.9, status=FaqStatus.REJECTED), pair("When do you open?", 0.2)]
    assert drop_duplicates(pairs, embedder=HashingEmbedder()) == pairs


def test_stored_pairs_win_unless_they_were_rejected(pair: Make) -> None:
    new = pair("When do you open?", 1.0)
    [stored] = faq_pairs([pair("When do you open?", 0.1)], collection_id="c", document="d", model="m")
    embedder = HashingEmbedder()
    assert drop_duplicates([new], embedder=embedder, stored=[stored]) == []
    refused: FaqPair = replace(stored, status=FaqStatus.REJECTED)
    assert drop_duplicates([new], embedder=embedder, stored=[refused]) == [new]


def test_nothing_in_nothing_out() -> None:
    assert drop_duplicates([], embedder=HashingEmbedder()) == []


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("How much is plan Basic?", "How much is plan Pro?", False),
        ("What is the fee for 3 nights?", "What is the fee for 4 nights?", False),
        ("How often must the filter be cleaned?", "How often must the filter be replaced?", False),
        ("How long is the warranty period?", "How long does the warranty period last?", True),
        ("When does the shop open?", "When do the shops open?", True),
    ],
)
def test_one_telling_word_makes_another_question(left: str, right: str, same: bool) -> None:
    assert same_question((left, "one answer"), (right, "another")) is same
    assert same_question((left, "The same."), (right, "the same")) is True


@pytest.mark.models
def test_paraphrases_are_found_by_meaning(minilm: Embedder, pair: Make) -> None:
    kept = drop_duplicates(
        [
            pair("How long is the warranty period of the coffee machine?", 0.9),
            pair("How long does the warranty period of the coffee machine last?", 0.8),
            pair("How long is the warranty period of the Aquila?", 0.7),
            pair("Where can I buy descaler?", 0.6),
        ],
        embedder=minilm,
    )
    assert questions(kept) == [
        "How long is the warranty period of the coffee machine?",
        "How long is the warranty period of the Aquila?",
        "Where can I buy descaler?",
    ]
