"""Review: what a person may decide, and what stays provable."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import update

from engine.db.repositories import Repositories
from engine.db.repositories.faqs import KEPT_ACTIONS
from engine.db.session import Database
from engine.db.tables import FaqRow
from engine.domain import DUPLICATE_REASON, Chunk, Document, FaqPair, FaqStatus, Page, new_id, utc_now
from engine.embedding.fake import HashingEmbedder
from engine.errors import ConflictError, InputError, NotFoundError
from engine.faq.kept_questions import KeptQuestions
from engine.faq.review import FaqReview, unsupported_figures

PAGE = "Parcels arrive within 3 days.\nReturns are free for 45 days."


@pytest.fixture
def repositories(tmp_path: Path) -> Repositories:
    return stored(tmp_path)


def stored(folder: Path) -> Repositories:
    repositories = Repositories.over(Database(folder / "nexus.db"))
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


def changed_elsewhere(folder: Path, **values: float) -> None:
    """Give all pairs of a home other values, without a record to undo it."""
    with Database(folder / "nexus.db").write() as session:
        session.execute(update(FaqRow).values(**values))


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
    assert unsupported_figures(edited) == ["60 days"]
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
    with pytest.raises(ConflictError, match="ninety days") as refused:
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


def test_what_only_looks_different_is_supported(repositories: Repositories) -> None:
    review = FaqReview(repositories)
    page = Page(1, "Closed on 3 May 2024. Parcels weigh up to 1,000 g.")
    repositories.documents.add(Document("e" * 64, "more.md", "text/markdown", 9, 1, utc_now()), [page], [])
    pair = add_pair(repositories, document_id="e" * 64, quote=page.text, question="When and how heavy?")
    assert review.edit(pair.id, answer="May 3; 1000 grams.").reason == ""
    flagged = review.edit(pair.id, answer="June 3; 1000 kg.")
    assert flagged.reason == "The quote does not hold June 3, 1000 kg."
    with pytest.raises(ConflictError, match="1000 kg"):
        review.approve([pair.id])


def test_a_person_may_overrule_a_rejection_and_the_link_to_a_better_pair(repositories: Repositories) -> None:
    review, best = FaqReview(repositories), add_pair(repositories)
    linked = add_pair(repositories, status=FaqStatus.REJECTED, reason="It asks the same.", duplicate_of=best.id)
    review.approve([linked.id])
    overruled = repositories.faqs.get(linked.id)
    assert (overruled.status, overruled.reason, overruled.duplicate_of) == (FaqStatus.APPROVED, "", None)
    review.undo(linked.collection_id)
    assert repositories.faqs.get(linked.id) == linked


def test_a_reopened_pair_says_what_its_quote_does_not_hold(repositories: Repositories) -> None:
    review = FaqReview(repositories)
    pair = add_pair(repositories, status=FaqStatus.REJECTED, reason="Weak.", answer="For 60 days.")
    review.reopen([pair.id])
    assert "60 days" in repositories.faqs.get(pair.id).reason


def test_a_rejected_pair_that_is_edited_stays_rejected(repositories: Repositories) -> None:
    pair = add_pair(repositories, status=FaqStatus.REJECTED, reason="Weak.")
    edited = FaqReview(repositories).edit(pair.id, answer="For 60 days.")
    assert (edited.status, edited.reason, edited.answer) == (FaqStatus.REJECTED, "Weak.", "For 60 days.")


def test_a_new_quote_has_a_new_place(repositories: Repositories) -> None:
    pair = add_pair(repositories)
    edited = FaqReview(repositories).edit(pair.id, quote="arrive within 3 days", answer="3 days")
    assert edited.place is not None
    assert PAGE[edited.place.start : edited.place.end] == edited.quote
    assert repositories.faqs.get(pair.id) == edited


def test_a_new_quote_moves_a_pair_to_its_passage_and_undo_moves_it_back(repositories: Repositories) -> None:
    cut = PAGE.index("\n")
    document, page = Document("e" * 64, "more.md", "text/markdown", 9, 1, utc_now()), Page(1, PAGE)
    parts = [(0, cut), (cut + 1, len(PAGE))]
    chunks = [
        Chunk(f"c{at}", document.id, at, 1, start, end, PAGE[start:end], (f"Part {at}",))
        for at, (start, end) in enumerate(parts)
    ]
    repositories.documents.add(document, [page], chunks)
    review, pair = FaqReview(repositories), add_pair(repositories, document_id=document.id, chunk_id="c1")
    assert review.edit(pair.id, quote="Returns are free").chunk_id == "c1"
    review.edit(pair.id, quote="arrive within 3 days", answer="3 days")
    assert repositories.faqs.get(pair.id).chunk_id == "c0"
    review.undo(pair.collection_id)
    assert repositories.faqs.get(pair.id).chunk_id == "c1"


def test_undo_takes_back_whole_actions_the_newest_first(repositories: Repositories) -> None:
    review = FaqReview(repositories)
    pairs = [add_pair(repositories, question=f"Question {number}?") for number in range(3)]
    collection = pairs[0].collection_id
    review.approve([pair.id for pair in pairs])
    review.edit(pairs[0].id, question="Another?", answer="For 60 days.")
    review.reject([pairs[1].id], "No.")
    assert [str(review.undo(collection)) for _ in range(4)] == [
        "Undone: rejecting “Question 1?”.",
        "Undone: editing “Question 0?”.",
        "Undone: approving 3 pairs.",
        "None",
    ]
    assert list(repositories.faqs.list(collection)) == pairs


def test_an_action_that_was_refused_leaves_nothing_to_undo(repositories: Repositories) -> None:
    review = FaqReview(repositories)
    good, bad = add_pair(repositories), add_pair(repositories, answer="For 60 days.")
    with pytest.raises(ConflictError):
        review.approve([good.id, bad.id])
    with pytest.raises(InputError):
        review.edit(good.id, answer=" ")
    assert review.undo(good.collection_id) is None


def test_each_collection_has_its_own_history(repositories: Repositories) -> None:
    review = FaqReview(repositories)
    here, there = add_pair(repositories), add_pair(repositories, collection_id=repositories.collections.ensure("other").id)
    review.reject([here.id, there.id])
    undone = review.undo(here.collection_id)
    assert undone is not None
    assert undone.ids == (here.id,)
    assert repositories.faqs.get(there.id).status is FaqStatus.REJECTED


def test_undo_never_approves_what_is_not_provable_any_more(repositories: Repositories, tmp_path: Path) -> None:
    review, pair = FaqReview(repositories), add_pair(repositories)
    review.approve([pair.id])
    review.reject([pair.id])
    changed_elsewhere(tmp_path, page=9)
    undone = review.undo(pair.collection_id)
    assert undone is not None
    assert [(one.status, one.reason) for one in undone.pairs] == [(FaqStatus.PENDING, "The quote is not on its page.")]


def test_what_else_changed_since_is_not_undone(repositories: Repositories, tmp_path: Path) -> None:
    review, pair = FaqReview(repositories), add_pair(repositories)
    review.edit(pair.id, question="When?")
    changed_elsewhere(tmp_path, score=0.1)
    review.undo(pair.collection_id)
    restored = repositories.faqs.get(pair.id)
    assert (restored.question, restored.score) == (pair.question, 0.1)


@pytest.mark.parametrize("action", ["edit", "reopen"])
def test_a_pair_that_was_displaced_meanwhile_has_no_link_once_undo_approves_it_again(
    repositories: Repositories, action: str
) -> None:
    review, pair = FaqReview(repositories), add_pair(repositories)
    review.approve([pair.id])
    if action == "edit":
        review.edit(pair.id, answer="For 60 days.")
    else:
        review.reopen([pair.id])
    better = replace(pair, id=new_id(), score=1.0)
    repositories.extraction.store(pair.collection_id, [better], displaced={pair.id: better.id})
    assert repositories.faqs.get(pair.id).duplicate_of == better.id
    undone = review.undo(pair.collection_id)
    restored = repositories.faqs.get(pair.id)
    assert (restored.status, restored.reason, restored.duplicate_of) == (FaqStatus.APPROVED, "", None)
    assert undone is not None
    assert undone.pairs == (restored,)


def test_a_pair_that_is_gone_takes_its_history_along(repositories: Repositories) -> None:
    review, pair = FaqReview(repositories), add_pair(repositories)
    review.approve([pair.id])
    document = repositories.documents.get("d" * 64)
    repositories.documents.add(document, [Page(1, PAGE)], [], collection_id=pair.collection_id)
    repositories.collections.remove_document(pair.collection_id, "d" * 64)
    assert review.undo(pair.collection_id) is None


def test_pairs_that_lost_against_one_of_a_removed_document_wait_for_review_again(repositories: Repositories) -> None:
    document = Document("e" * 64, "more.md", "text/markdown", 9, 1, utc_now())
    better = add_pair(repositories)
    repositories.documents.add(document, [Page(1, PAGE)], [])
    lost = {"document_id": document.id, "status": FaqStatus.REJECTED, "duplicate_of": better.id}
    duplicate = add_pair(repositories, **lost, reason=DUPLICATE_REASON)
    decided = add_pair(repositories, **lost, reason="Rejected in review.")
    unlinked = add_pair(repositories, **{**lost, "duplicate_of": None}, reason=DUPLICATE_REASON)
    repositories.collections.remove_document(better.collection_id, "d" * 64)
    revived = replace(duplicate, status=FaqStatus.PENDING, reason="", duplicate_of=None)
    assert list(repositories.faqs.list(better.collection_id)) == [revived, decided, unlinked]


def test_only_the_newest_actions_are_remembered(repositories: Repositories) -> None:
    review, pair = FaqReview(repositories), add_pair(repositories)
    for number in range(KEPT_ACTIONS + 3):
        review.edit(pair.id, question=f"Question {number}?")
    undone = 0
    while review.undo(pair.collection_id):
        undone += 1
    assert undone == KEPT_ACTIONS


def test_thousands_of_pairs_are_one_action(repositories: Repositories) -> None:
    collection = repositories.collections.ensure("shop").id
    one = add_pair(repositories)
    pairs = [replace(one, id=f"p{number}") for number in range(1200)]
    repositories.faqs.add(pairs)
    review = FaqReview(repositories)
    assert review.approve([pair.id for pair in pairs]) == 1200
    assert repositories.faqs.count_by_status(collection)[FaqStatus.APPROVED] == 1200
    assert str(review.undo(collection)) == "Undone: approving 1,200 pairs."
    assert repositories.faqs.count_by_status(collection)[FaqStatus.APPROVED] == 0


class ReviewMachine(RuleBasedStateMachine):
    """Any actions, undone one after the other, lead back to the beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.repositories = stored(Path(self.folder.name))
        kept = KeptQuestions(self.repositories.faqs, HashingEmbedder)
        self.review = FaqReview(self.repositories, asks_the_same=kept.best_like)
        self.ids = [add_pair(self.repositories, id=name).id for name in "abc"]
        self.collection = self.repositories.collections.ensure("shop").id
        self.states = [self.now()]

    def now(self) -> list[FaqPair]:
        return list(self.repositories.faqs.list(self.collection))

    def note(self) -> None:
        if self.now() != self.states[-1]:
            self.states.append(self.now())

    @rule(ids=st.sets(st.sampled_from("abc"), min_size=1), action=st.sampled_from(["approve", "reject", "reopen"]))
    def decide(self, ids: set[str], action: str) -> None:
        with suppress(ConflictError):
            getattr(self.review, action)(sorted(ids))
        self.note()

    @rule(
        faq_id=st.sampled_from("abc"),
        answer=st.sampled_from(["For 45 days.", "For 60 days.", "45 kg", "3 days"]),
        quote=st.none() | st.just("Parcels arrive within 3 days."),
    )
    def edit(self, faq_id: str, answer: str, quote: str | None) -> None:
        self.review.edit(faq_id, answer=answer, quote=quote)
        self.note()

    @rule(faq_id=st.sampled_from("abc"), question=st.sampled_from(["How long are returns free?", "Who pays?"]))
    def ask(self, faq_id: str, question: str) -> None:
        self.review.edit(faq_id, question=question)
        self.note()

    @rule()
    def undo(self) -> None:
        undone = self.review.undo(self.collection)
        assert (undone is None) == (len(self.states) == 1)
        if undone is not None:
            self.states.pop()
        assert self.now() == self.states[-1]

    @invariant()
    def approved_pairs_are_proven(self) -> None:
        approved = [pair for pair in self.now() if pair.status is FaqStatus.APPROVED]
        assert all(pair.quote in PAGE and not unsupported_figures(pair) for pair in approved)

    def teardown(self) -> None:
        self.folder.cleanup()


TestReviewMachine = ReviewMachine.TestCase
TestReviewMachine.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
