"""Review: an edited question that another pair asks already, and the pairs that were put aside for one that was changed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.db.repositories import Repositories
from engine.db.session import Database
from engine.domain import ASKED_TWICE, DUPLICATE_REASON, Document, FaqPair, FaqStatus, Page, new_id, utc_now
from engine.embedding.base import Embedder, Vectors
from engine.embedding.fake import HashingEmbedder
from engine.errors import EmbeddingError
from engine.faq.kept_questions import KeptQuestions
from engine.faq.review import FaqReview

Adding = Callable[..., FaqPair]


@pytest.fixture
def repositories(tmp_path: Path) -> Repositories:
    return Repositories.over(Database(tmp_path / "nexus.db"))


@pytest.fixture
def review(repositories: Repositories) -> FaqReview:
    return reviewing(repositories)


def reviewing(repositories: Repositories, make: Callable[[], Embedder] = HashingEmbedder) -> FaqReview:
    return FaqReview(repositories, asks_the_same=KeptQuestions(repositories.faqs, make).best_like)


@pytest.fixture
def add(repositories: Repositories) -> Adding:
    collection = repositories.collections.ensure("shop").id

    def added(question: str, **changes: object) -> FaqPair:
        values = {"document_id": None, "document": "", "page": None, "heading": "", "quote": "", "model": "", "reason": ""}
        pair = FaqPair(id=new_id(), collection_id=collection, question=question, answer="For 45 days.", score=0.9,
                       status=FaqStatus.PENDING, created_at=utc_now(), **values)  # fmt: skip
        pair = replace(pair, **changes)
        repositories.faqs.add([pair])
        return pair

    return added


def links(repositories: Repositories, pair: FaqPair) -> tuple[str, str, str | None]:
    now = repositories.faqs.get(pair.id)
    return now.status.value, now.reason, now.duplicate_of


@pytest.mark.parametrize("status", [FaqStatus.PENDING, FaqStatus.APPROVED])
def test_an_edited_question_that_another_pair_asks_waits_for_a_person(
    repositories: Repositories, review: FaqReview, add: Adding, status: FaqStatus
) -> None:
    other, pair = add("How long are returns free?"), add("Who pays?", status=status)
    edited = review.edit(pair.id, question="HOW long are returns free")
    assert (edited.status, edited.reason, edited.duplicate_of) == (FaqStatus.PENDING, ASKED_TWICE, other.id)
    assert repositories.faqs.get(pair.id) == edited
    review.undo(pair.collection_id)
    assert repositories.faqs.get(pair.id) == pair
    assert repositories.faqs.get(other.id) == other


def test_only_kept_pairs_of_the_collection_count_and_not_the_pair_itself(
    repositories: Repositories, review: FaqReview, add: Adding
) -> None:
    add("How long are returns free?", status=FaqStatus.REJECTED)
    add("How long are returns free?", collection_id=repositories.collections.ensure("other").id)
    pair = add("Are returns free?")
    assert review.edit(pair.id, question="How long are returns free?").duplicate_of is None
    assert review.edit(pair.id, question="How long are the returns free?").duplicate_of is None


def test_a_rejected_pair_that_is_edited_is_compared_with_nothing(review: FaqReview, add: Adding) -> None:
    add("How long are returns free?")
    pair = add("Who pays?", status=FaqStatus.REJECTED, reason="Weak.")
    edited = review.edit(pair.id, question="How long are returns free?")
    assert (edited.reason, edited.duplicate_of) == ("Weak.", None)


def test_the_remark_stays_until_the_question_is_another(repositories: Repositories, review: FaqReview, add: Adding) -> None:
    other, pair = add("How long are returns free?"), add("Who pays?")
    review.edit(pair.id, question="How long are returns free?")
    review.edit(pair.id, answer="For 60 days.")
    assert links(repositories, pair) == ("pending", ASKED_TWICE, other.id)
    review.undo(pair.collection_id)
    assert links(repositories, pair) == ("pending", ASKED_TWICE, other.id), "only the answer was taken back"
    review.edit(pair.id, question="Who pays for returns?")
    assert links(repositories, pair) == ("pending", "", None)


@pytest.mark.parametrize("action", ["approve", "reject", "reopen"])
def test_undoing_a_decision_on_such_a_pair_brings_link_and_remark_back(
    repositories: Repositories, review: FaqReview, add: Adding, action: str
) -> None:
    other, pair = add("How long are returns free?"), add("Who pays?")
    review.edit(pair.id, question="How long are returns free?")
    getattr(review, action)([pair.id])
    review.undo(pair.collection_id)
    assert links(repositories, pair) == ("pending", ASKED_TWICE, other.id)


def test_a_pair_that_was_displaced_meanwhile_keeps_its_link_when_an_edit_is_undone(
    repositories: Repositories, review: FaqReview, add: Adding
) -> None:
    add("How long are returns free?")
    pair = add("Who pays?")
    review.edit(pair.id, question="How long are returns free?")
    better = replace(pair, id=new_id(), score=1.0)
    repositories.extraction.store(pair.collection_id, [better], displaced={pair.id: better.id})
    review.undo(pair.collection_id)
    assert repositories.faqs.get(pair.id).question == "Who pays?"
    assert links(repositories, pair) == ("rejected", DUPLICATE_REASON, better.id)


@pytest.mark.parametrize("status", [FaqStatus.REJECTED, FaqStatus.PENDING])
def test_a_link_to_a_pair_that_is_gone_is_not_brought_back(
    repositories: Repositories, review: FaqReview, add: Adding, status: FaqStatus
) -> None:
    repositories.documents.add(Document("d" * 64, "a.md", "text/markdown", 9, 1, utc_now()), [Page(1, "a")], [])
    better = add("How long are returns free?", document_id="d" * 64)
    reason = DUPLICATE_REASON if status is FaqStatus.REJECTED else ASKED_TWICE
    pair = add("How long is it free?", status=status, reason=reason, duplicate_of=better.id)
    review.approve([pair.id])
    repositories.collections.remove_document(pair.collection_id, "d" * 64)
    review.undo(pair.collection_id)
    assert links(repositories, pair) == ("pending", "", None)


def test_the_remark_goes_with_the_other_pair(repositories: Repositories, review: FaqReview, add: Adding) -> None:
    other, pair = add("How long are returns free?"), add("Who pays?")
    review.edit(pair.id, question="How long are returns free?")
    reason = f"The quote does not hold 3. {ASKED_TWICE}"
    repositories.faqs.change([pair.id], "edit", lambda stored: replace(stored, reason=reason))
    repositories.extraction.succeed(pair.collection_id, [], {}, read=[], gone=[other.id])
    assert links(repositories, pair) == ("pending", "The quote does not hold 3.", None)


class Counting(HashingEmbedder):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def _embed_batch(self, texts: list[str]) -> Vectors:
        self.asked += texts
        return super()._embed_batch(texts)


def test_what_was_prepared_is_not_embedded_when_a_person_waits(repositories: Repositories, add: Adding) -> None:
    embedder = Counting()
    kept = KeptQuestions(repositories.faqs, lambda: embedder)
    kept.prepare([add(f"Who is number {at}?").question for at in range(3)])
    embedder.asked.clear()
    kept.best_like(add("Who pays?"))
    assert embedder.asked == ["Who pays?"]


def test_an_encoder_that_fails_fails_no_preparation(repositories: Repositories) -> None:
    KeptQuestions(repositories.faqs, Broken).prepare(["Who pays?"])


class Broken(HashingEmbedder):
    def _embed_batch(self, texts: list[str]) -> Vectors:
        raise EmbeddingError("the encoder is gone")


def test_without_an_encoder_the_texts_are_compared(repositories: Repositories, add: Adding) -> None:
    other, pair = add("How long are returns free?"), add("Who pays?")
    review = reviewing(repositories, Broken)
    assert review.edit(pair.id, question="Who pays the postage?").duplicate_of is None
    assert review.edit(pair.id, question="How long are returns free").duplicate_of == other.id


def test_the_search_for_the_same_question_runs_while_others_can_write(repositories: Repositories, add: Adding) -> None:
    pair = add("Who pays?")

    def writing(changed: FaqPair) -> None:
        add("Written meanwhile?")

    FaqReview(repositories, asks_the_same=writing).edit(pair.id, question="Who pays for returns?")
    assert len(repositories.faqs.list(pair.collection_id)) == 2


def test_what_was_put_aside_for_a_pair_can_be_found_and_reviewed_again(
    repositories: Repositories, review: FaqReview, add: Adding
) -> None:
    better, another = add("How long are returns free?"), add("Who pays?")
    lost = add("How long is it free?", status=FaqStatus.REJECTED, reason=DUPLICATE_REASON, duplicate_of=better.id)
    add("Free, how long?", status=FaqStatus.REJECTED, reason="Rejected in review.", duplicate_of=better.id)
    add("Is it free?", reason=ASKED_TWICE, duplicate_of=better.id)
    assert review.put_aside_for([better.id, another.id]) == [lost]
    review.reject([better.id])
    review.reopen([pair.id for pair in review.put_aside_for([better.id])])
    assert links(repositories, lost) == ("pending", "", None)
    assert review.put_aside_for([better.id]) == []
