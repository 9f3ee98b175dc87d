"""Review: what a person may decide, and what stays provable."""

from pathlib import Path

import pytest

from engine.db.repositories import Repositories
from engine.db.session import Database
from engine.domain import Document, FaqPair, FaqStatus, Page, new_id, utc_now
from engine.errors import ConflictError, InputError, NotFoundError
from engine.faq.review import FaqReview, unsupported_numbers

PAGE = "Parcels arrive within 3 days.\nReturns are free for 45 days."


@pytest.fixture
def repositories(tmp_path: Path) -> Repositories:
    repositories = Repositories.over(Database(tmp_path / "nexus.db"))
    repositories.documents.add(Document("d" * 64, "terms.md", "text/markdown", 9, 1, utc_now()), [Page(1, PAGE)], [])
    return repositories


def add_pair(repositories: Repositories, **changes: object) -> FaqPair:
    values: dict[str, object] = {
        "id": new_id(),
        "collection_id": repositories.collections.ensure("shop").id,
        "question": "How long are returns free?",
        "answer": "For 45 days.",
        "quote": "Returns are free for 45 days.",
        "document_id": "d" * 64,
        "document": "terms.md",
        "page": 1,
        "heading": "",
        "score": 0.9,
        "status": FaqStatus.PENDING,
        "reason": "",
        "model": "tiny",
        "created_at": utc_now(),
    }
    pair = FaqPair(**{**values, **changes})
    repositories.faqs.add([pair])
    return pair


def test_pairs_are_approved_rejected_and_reopened(repositories: Repositories) -> None:
    review, pair = FaqReview(repositories), add_pair(repositories)
    assert review.approve([pair.id]) == 1
    assert repositories.faqs.get(pair.id).status is FaqStatus.APPROVED
    assert review.reject([pair.id], "Outdated.") == 1
    assert (repositories.faqs.get(pair.id).status, repositories.faqs.get(pair.id).reason) == (FaqStatus.REJECTED, "Outdated.")
    assert review.reopen([pair.id]) == 1
    assert repositories.faqs.get(pair.id).status is FaqStatus.PENDING


def test_decisions_are_counted(repositories: Repositories) -> None:
    counted: list[tuple[str, int]] = []
    review = FaqReview(repositories, lambda status, count: counted.append((status, count)))
    pairs = [add_pair(repositories).id, add_pair(repositories).id]
    review.approve(pairs)
    review.reject(pairs[:1])
    assert counted == [("approved", 2), ("rejected", 1)]


def test_a_quote_that_is_not_on_its_page_cannot_be_approved(repositories: Repositories) -> None:
    review = FaqReview(repositories)
    good, bad = add_pair(repositories), add_pair(repositories, quote="Returns are free for 90 days.")
    elsewhere = add_pair(repositories, page=7)
    for wrong in (bad, elsewhere):
        with pytest.raises(ConflictError):
            review.approve([good.id, wrong.id])
    assert repositories.faqs.get(good.id).status is FaqStatus.PENDING


def test_an_edit_that_the_quote_supports_keeps_its_status(repositories: Repositories) -> None:
    review, pair = FaqReview(repositories), add_pair(repositories, status=FaqStatus.APPROVED)
    edited = review.edit(pair.id, question="For how long are returns free?", answer="Returns are free for 45 days.")
    assert (edited.status, edited.reason) == (FaqStatus.APPROVED, "")
    assert repositories.faqs.get(pair.id) == edited


def test_an_answer_that_the_quote_no_longer_supports_is_flagged(repositories: Repositories) -> None:
    review, pair = FaqReview(repositories), add_pair(repositories, status=FaqStatus.APPROVED)
    edited = review.edit(pair.id, answer="For 60 days.")
    assert edited.status is FaqStatus.PENDING
    assert "60" in edited.reason
    assert unsupported_numbers(edited) == ["60"]
    assert review.edit(pair.id, answer="For 45 days.").reason == ""


@pytest.mark.parametrize(
    "answer", ["Returns are impossible, we keep your money.", "Ask Doctor Grimm about 45 days.", "Buy bitcoin."]
)
def test_an_answer_that_says_something_else_waits_for_review_again(repositories: Repositories, answer: str) -> None:
    review, pair = FaqReview(repositories), add_pair(repositories, status=FaqStatus.APPROVED)
    edited = review.edit(pair.id, answer=answer)
    assert edited.status is FaqStatus.PENDING
    assert "does not prove" in edited.reason
    assert review.edit(pair.id, question="May I return it?").reason == edited.reason
    assert review.approve([pair.id]) == 1, "a person may decide otherwise"


def test_an_answer_with_a_number_that_its_quote_lacks_cannot_be_approved(repositories: Repositories) -> None:
    review, pair = FaqReview(repositories), add_pair(repositories)
    review.edit(pair.id, answer="For ninety days.")
    with pytest.raises(ConflictError, match="90") as refused:
        review.approve([pair.id])
    assert refused.value.hint
    assert repositories.faqs.get(pair.id).status is FaqStatus.PENDING


def test_a_new_quote_is_taken_from_the_page_verbatim(repositories: Repositories) -> None:
    review, pair = FaqReview(repositories), add_pair(repositories)
    assert (
        review.edit(pair.id, quote="Parcels  arrive\nwithin 3 days.", answer="3 days").quote == "Parcels arrive within 3 days."
    )
    with pytest.raises(InputError, match="not on page 1"):
        review.edit(pair.id, quote="Parcels arrive within 2 days.")


@pytest.mark.parametrize("change", [{"question": "  "}, {"answer": ""}, {"answer": "x" * 5000}])
def test_empty_and_endless_texts_are_refused(repositories: Repositories, change: dict[str, str]) -> None:
    pair = add_pair(repositories)
    with pytest.raises(InputError):
        FaqReview(repositories).edit(pair.id, **change)
    assert repositories.faqs.get(pair.id) == pair


def test_an_unknown_pair_is_not_found(repositories: Repositories) -> None:
    for call in (FaqReview(repositories).approve, FaqReview(repositories).reject):
        with pytest.raises(NotFoundError):
            call(["nothing"])
