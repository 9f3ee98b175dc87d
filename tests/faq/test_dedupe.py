"""Near-duplicates."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain import FaqPair, FaqStatus, new_id, utc_now
from engine.embedding.base import Embedder, Vectors
from engine.embedding.registry import create_embedder
from engine.faq import wordings
from engine.faq.dedupe import NEAR, DuplicateIndex, Verdict, normal_question
from engine.faq.words import content_stems, names, numbers, stem, words


@pytest.fixture(scope="module")
def minilm(models_dir: Path) -> Embedder:
    return create_embedder("all-MiniLM-L6-v2", models_dir)


def same_question(left: str, right: str) -> bool:
    """Whether two questions that are near by embedding ask the same, as the index is to find it for many at once."""
    if numbers(left) != numbers(right) or set(map(stem, names(left))) != set(map(stem, names(right))):
        return False
    one, other = ([stem(word) for word in words(question)] for question in (left, right))
    if len(one) != len(other):
        return True
    telling = content_stems(left) ^ content_stems(right)
    differing = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    return not (0 < len(differing) <= 2 and any(a in telling and b in telling for a, b in differing))


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
    asking = faq(right)
    assert bool(DuplicateIndex(OneDirection(), [faq(left)]).same(asking)) is same
    assert same_question(left, right) is same


def test_questions_with_one_answer_are_two_where_a_name_or_a_telling_word_differs() -> None:
    markets = [faq(f"Where is the {name} market?", answer="On the quay.") for name in ("Spring", "Christmas", "winter")]
    index = DuplicateIndex(OneDirection(), [])
    assert [index.add(pair) for pair in markets] == [Verdict()] * 3
    assert index.add(faq("Where is the Spring market held?", 0.1, answer="Elsewhere.")).duplicate_of == markets[0].id


@pytest.mark.models
def test_paraphrases_are_found_by_meaning(minilm: Embedder) -> None:
    index = DuplicateIndex(minilm, [])
    first = faq("How long is the warranty period of the coffee machine?", 0.9, answer="Two years.")
    paraphrase = faq("How long does the warranty period of the coffee machine last?", 0.8, answer="For two years.")
    another = faq("How long is the warranty period of the Aquila?", 0.7, answer="Three years.")
    assert index.add(first) == Verdict()
    assert index.add(paraphrase) == Verdict(duplicate_of=first.id)
    assert index.add(another) == Verdict()


DIGITS = dict(zip("0123456789.", ["a", "all", "an", "and", "any", "are", "as", "at", "be", "but", "by"], strict=True))
"""Words that tell no questions apart."""


def at(turn: float) -> str:
    return " ".join(DIGITS[digit] for digit in f"{turn:g}")


def degrees(question: str) -> float:
    meant = {word: digit for digit, word in DIGITS.items()}
    return float("".join(meant[word] for word in question.split()))


class Angles(Embedder):
    """Directions in the plane: question at(17) points 17 degrees, so that being near is not transitive."""

    name = "angles"
    dimension = 2

    def __init__(self) -> None:
        self.asked: list[str] = []

    def _embed_batch(self, texts: list[str]) -> Vectors:
        self.asked += texts
        turns = [math.radians(degrees(text)) for text in texts]
        return np.array([[math.cos(turn), math.sin(turn)] for turn in turns], dtype=np.float32)


FAR = math.ceil(math.degrees(math.acos(NEAR)))
"""Degrees from which two questions of `Angles` are apart."""


def faq(question: str, score: float = 0.5, status: FaqStatus = FaqStatus.PENDING, answer: str = "yes", **more: str) -> FaqPair:
    values = {"collection_id": "c", "document_id": None, "document": "", "page": None, "heading": "", "quote": ""}
    blank = FaqPair(id=more.pop("id", new_id()), question=question, answer=answer, score=score, status=status, reason="",
                    model="", created_at=utc_now(), **values)  # fmt: skip
    return replace(blank, **more)


class Shelf:
    """Stored pairs, kept as a caller of the index keeps them."""

    def __init__(self, stored: Sequence[FaqPair] = ()) -> None:
        self.embedder = Angles()
        self.index = DuplicateIndex(self.embedder, stored)
        self.pairs = {pair.id: pair for pair in stored}

    def add(self, pair: FaqPair) -> Verdict:
        verdict = self.index.add(pair)
        for worse in verdict.displaced:
            self.pairs[worse] = replace(self.pairs[worse], status=FaqStatus.REJECTED, duplicate_of=pair.id)
        if verdict.duplicate_of is not None:
            pair = replace(pair, status=FaqStatus.REJECTED, duplicate_of=verdict.duplicate_of)
        self.pairs[pair.id] = pair
        return verdict

    def kept(self) -> list[FaqPair]:
        return [pair for pair in self.pairs.values() if pair.status is not FaqStatus.REJECTED]


def test_pairs_in_two_languages_are_no_duplicates_unless_they_are_worded_alike() -> None:
    shelf = Shelf()
    first = faq(at(0), language="en")
    assert shelf.add(first) == Verdict()
    assert shelf.add(faq(at(1), language="de")) == Verdict()
    assert shelf.add(faq(at(2), language="en")) == Verdict(duplicate_of=first.id)
    assert shelf.add(faq(at(1.5), language="")).duplicate_of is not None, "an imported pair may be in any language"
    assert shelf.add(faq(at(0), language="fr")) == Verdict(duplicate_of=first.id)


def test_a_worse_pair_links_to_the_better_one_and_a_better_one_displaces() -> None:
    shelf = Shelf()
    first, worse, better = faq(at(0), 0.5), faq(at(1), 0.4), faq(at(2), 0.9)
    assert shelf.add(first) == Verdict()
    assert shelf.add(worse) == Verdict(duplicate_of=first.id)
    assert shelf.add(better) == Verdict(displaced=(first.id,))
    assert shelf.index.best(worse.id) == shelf.index.best(first.id) == shelf.index.best(better.id) == better.id


def test_of_two_equally_good_ones_the_first_stays() -> None:
    shelf = Shelf()
    first = faq(at(0))
    shelf.add(first)
    assert shelf.add(faq(at(0))) == Verdict(duplicate_of=first.id)


def test_a_pair_between_two_that_it_beats_displaces_both() -> None:
    shelf = Shelf()
    left, right, middle = faq(at(0), 0.1), faq(at(40), 0.2), faq(at(20), 0.9)
    assert [shelf.add(pair) for pair in (left, right)] == [Verdict(), Verdict()]
    assert set(shelf.add(middle).displaced) == {left.id, right.id}


def test_approved_pairs_are_never_displaced() -> None:
    approved = faq(at(0), 0.1, FaqStatus.APPROVED)
    assert Shelf([approved]).add(faq(at(1), 1.0)) == Verdict(duplicate_of=approved.id)


def test_rejected_pairs_compare_with_nothing_but_their_links_hold() -> None:
    best = faq(at(90))
    refused = faq(at(0), status=FaqStatus.REJECTED, duplicate_of=best.id)
    shelf = Shelf([best, refused])
    assert shelf.add(faq(at(0))) == Verdict()
    assert shelf.add(faq(at(0), status=FaqStatus.REJECTED)) == Verdict()
    assert shelf.index.best(refused.id) == best.id


def test_links_in_a_circle_end() -> None:
    one, two = (faq(at(0), status=FaqStatus.REJECTED, id=a, duplicate_of=b) for a, b in ("ab", "ba"))
    assert DuplicateIndex(Angles(), [one, two]).best("a") in "ab"


def test_each_question_is_embedded_once() -> None:
    shelf = Shelf([faq(at(0)), faq(at(90))])
    for turn in range(600):
        shelf.add(faq(at(turn / 2), answer=f"answer {turn}"))
    assert len(shelf.embedder.asked) == 602
    assert shelf.add(faq(at(299.5), answer="another", score=0.1)).duplicate_of is not None


PAIRS = st.lists(
    st.builds(
        faq,
        st.integers(0, 359).map(at),
        st.sampled_from([0.1, 0.2, 0.5, 0.9]),
        st.sampled_from([FaqStatus.PENDING, FaqStatus.PENDING, FaqStatus.APPROVED, FaqStatus.REJECTED]),
    ),
    max_size=30,
)


@given(PAIRS)
def test_no_two_kept_pairs_are_duplicates_and_what_was_dropped_links_to_a_kept_one(pairs: list[FaqPair]) -> None:
    shelf = Shelf()
    for pair in pairs:
        shelf.add(pair)
    kept = shelf.kept()
    for one, other in combinations(kept, 2):
        apart = abs(degrees(one.question) - degrees(other.question)) % 360
        both_approved = one.status is other.status is FaqStatus.APPROVED
        assert both_approved or min(apart, 360 - apart) >= FAR - 1
        assert both_approved or one.question != other.question
    alive = {pair.id for pair in kept}
    linked = [pair for pair in shelf.pairs.values() if pair.duplicate_of is not None]
    assert all(shelf.index.best(pair.id) in alive for pair in linked)
    assert len(shelf.pairs) == len(pairs)
    dropped = {pair.id for pair in pairs if pair.status is not FaqStatus.REJECTED} - alive
    assert dropped == {pair.id for pair in linked}


class OneDirection(Embedder):
    """Takes all questions for near, so that only their words decide."""

    name = "one direction"
    dimension = 1

    def _embed_batch(self, texts: list[str]) -> Vectors:
        return np.ones((len(texts), 1), dtype=np.float32)


WORDS = "What is are the The price prices cost of plan plans Basic Pro pro C# iPad 3 three 12 a I me ?"
ASKED = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=6).map(" ".join)
ANSWERED = st.sampled_from(["yes", "Yes.", "no", "3 days", "three days"])


@given(st.lists(st.builds(faq, ASKED, answer=ANSWERED), max_size=25), st.lists(st.builds(faq, ASKED, answer=ANSWERED)))
def test_many_questions_are_compared_at_once_as_they_are_one_by_one(kept: list[FaqPair], asking: list[FaqPair]) -> None:
    index = DuplicateIndex(OneDirection(), kept)
    for pair in [*asking, *kept]:
        one_by_one = {
            other.id
            for other in kept
            if other.id != pair.id
            and (
                normal_question(other.question) == normal_question(pair.question)
                or same_question(other.question, pair.question)
            )
        }
        assert {other.id for other in index.same(pair)} == one_by_one


def test_the_best_of_those_that_ask_the_same_comes_first() -> None:
    pending, approved, better = faq(at(1), 0.5), faq(at(2), 0.1, FaqStatus.APPROVED), faq(at(3), 0.7)
    index = DuplicateIndex(Angles(), [pending, approved, better, faq(at(0), status=FaqStatus.REJECTED)])
    assert index.same(faq(at(2), 0.9)) == [approved, better, pending]
    assert index.same(pending) == [approved, better]


def test_each_wording_is_read_once_however_many_questions_are_of_its_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    plain = wordings.numbers
    monkeypatch.setattr(wordings, "numbers", lambda text: read.append(text) or plain(text))
    index = DuplicateIndex(OneDirection(), [])
    for number in range(200):
        index.add(faq(f"What does plan {number} cost?", answer=f"{number} euros"))
    assert len(read) == 200


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("When do you open?", "WHEN do you  open ?", True),
        ("What’s “free”?", "what's free", True),
        ("Ｗｈｅｎ do you open?", "When do you open?", True),
        ("What is C?", "What is C++?", False),
        ("What is C?", "What is C#?", False),
        ("What happens at 5 °C?", "What happens at -5 °C?", False),
        ("When is check\N{SOFT HYPHEN}in?", "When is checkin?", True),
        ("कब खुलता है?", "कब खुलती है?", False),
        ("???", "!!!", False),
    ],
)
def test_the_same_text_up_to_letters_and_punctuation(left: str, right: str, same: bool) -> None:
    assert (normal_question(left) == normal_question(right)) is same
