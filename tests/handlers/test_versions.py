"""A changed document: what is kept of the old version, what is asked again, and what a person should look at."""

from __future__ import annotations

import io

import pytest

from engine.container import Engine
from engine.domain import DUPLICATE_REASON, FaqPair, FaqStatus, Job, JobState
from engine.errors import ConflictError
from engine.ingest import locate_quote

GONE = "The passage has changed or is gone."
ENTRIES = {
    "Hours": ("When does the shop open?", "The shop opens at nine."),
    "Returns": ("How long are returns free?", "Returns are free for 45 days."),
    "Repairs": ("What does a repair cost?", "A repair costs 29 euros."),
    "Parking": ("Where can guests park their cars?", "Guests park behind the hall."),
}


def text_of(entries: dict[str, tuple[str, str]]) -> str:
    return "\n".join(f"# {heading}\n\nQ: {question}\nA: {answer}\n" for heading, (question, answer) in entries.items())


def extract(engine: Engine, *texts: str, name: str = "faq.md") -> Job:
    job = engine.extract([(name, io.BytesIO(text.encode())) for text in texts], "shop")
    ended = engine.worker.run_one(job.id)
    assert ended is not None
    assert ended.state is JobState.SUCCEEDED, ended.error
    return ended


@pytest.fixture
def reviewed(engine: Engine) -> dict[str, FaqPair]:
    """The first version, each pair in another state of review; by heading."""
    extract(engine, text_of(ENTRIES))
    pairs = by_heading(engine)
    engine.review.approve([pairs["Hours"].id, pairs["Returns"].id])
    engine.review.edit(pairs["Repairs"].id, question="How much does a repair cost?")
    engine.review.reject([pairs["Parking"].id])
    return by_heading(engine)


def by_heading(engine: Engine) -> dict[str, FaqPair]:
    return {pair.heading: pair for pair in engine.faqs("shop")}


def test_unchanged_passages_are_not_asked_again_and_keep_their_review(engine: Engine, reviewed: dict[str, FaqPair]) -> None:
    added = {"Opening": ("Who opens the shop?", "Ada opens the shop.")}
    job = extract(engine, text_of(added | ENTRIES))
    assert (job.result["unchanged"], job.result["to_look_at"], job.result["pairs"]) == (4, 0, 1)
    assert "4 passages unchanged" in job.result["notice"]
    assert "0 pairs to look at" in job.result["notice"]
    (document,) = engine.repositories.documents.list()
    now = by_heading(engine)
    assert set(now) == set(reviewed) | {"Opening"}
    chunks = {chunk.id: chunk for chunk in engine.repositories.documents.chunks([document.id])}
    for heading, before in reviewed.items():
        after = now[heading]
        kept = ("id", "question", "answer", "quote", "status", "reason", "score", "created_at")
        assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
        assert after.document_id == document.id
        page = engine.repositories.documents.page(document.id, after.page)
        assert page.text[after.place.start : after.place.end] == after.quote
        assert after.quote in chunks[after.chunk_id].text
    assert len(list(engine.settings.documents_dir.iterdir())) == 1


def test_pairs_of_a_changed_passage_are_flagged_for_review(engine: Engine, reviewed: dict[str, FaqPair]) -> None:
    changed = ENTRIES | {"Returns": ("How long are returns free?", "Returns are free for 60 days.")}
    job = extract(engine, text_of(changed))
    assert (job.result["unchanged"], job.result["to_look_at"], job.result["pairs"]) == (3, 1, 1)
    old = engine.repositories.faqs.get(reviewed["Returns"].id)
    assert (old.status, old.reason) == (FaqStatus.PENDING, GONE), "what was approved is not silently kept or dropped"
    (new,) = (pair for pair in engine.faqs("shop", FaqStatus.PENDING) if pair.answer == "Returns are free for 60 days.")
    assert new.duplicate_of is None, "the pair of the old passage does not stand in the way of the new one"
    with pytest.raises(ConflictError):
        engine.review.approve([old.id])


def test_pairs_of_vanished_passages_are_rejected_or_flagged(engine: Engine, reviewed: dict[str, FaqPair]) -> None:
    job = extract(engine, text_of({"Parking": ENTRIES["Parking"]}))
    assert (job.result["unchanged"], job.result["to_look_at"]) == (1, 3)
    now = {pair.id: pair for pair in engine.faqs("shop")}
    status = {heading: (now[pair.id].status, now[pair.id].reason) for heading, pair in reviewed.items()}
    assert status == {
        "Hours": (FaqStatus.PENDING, GONE),
        "Returns": (FaqStatus.PENDING, GONE),
        "Repairs": (FaqStatus.REJECTED, GONE),
        "Parking": (FaqStatus.REJECTED, "Rejected in review."),
    }
    assert len(engine.repositories.documents.list()) == 1


@pytest.mark.parametrize("approved", [True, False])
def test_a_pair_that_lost_against_one_whose_passage_is_gone_waits_for_review_again(engine: Engine, approved: bool) -> None:
    other = {"Hours": ENTRIES["Hours"]}
    extract(engine, text_of({"Returns": ENTRIES["Returns"]}))
    (better,) = engine.faqs("shop")
    if approved:
        engine.review.approve([better.id])
    extract(engine, text_of({"Returns": ENTRIES["Returns"]} | {"Parking": ENTRIES["Parking"]}), name="more.md")
    (lost,) = (pair for pair in engine.faqs("shop") if pair.duplicate_of == better.id)
    assert lost.reason == DUPLICATE_REASON
    extract(engine, text_of(other))
    revived = engine.repositories.faqs.get(lost.id)
    assert (revived.status, revived.reason, revived.duplicate_of) == (FaqStatus.PENDING, "", None)
    assert engine.repositories.faqs.get(better.id).reason == GONE


def test_a_quote_that_still_stands_in_a_changed_passage_is_found_and_its_pair_flagged(engine: Engine) -> None:
    first = "# Hours\n\nQ: When does the shop open?\nA: The shop opens at nine.\n"
    extract(engine, first)
    (pair,) = engine.faqs("shop")
    engine.review.approve([pair.id])
    job = extract(engine, first.replace("# Hours", "# Opening hours of the shop"))
    assert job.result["to_look_at"] == 1
    after = engine.repositories.faqs.get(pair.id)
    assert (after.status, after.heading) == (FaqStatus.PENDING, "Opening hours of the shop")
    assert "still stands" in after.reason
    assert locate_quote(engine.repositories.documents.page(after.document_id, after.page).text, after.quote) is not None
    others = [other for other in engine.faqs("shop") if other.id != pair.id]
    assert all(other.duplicate_of == pair.id for other in others), "a pair that was reviewed is not displaced"
    engine.review.approve([pair.id])


def test_what_was_decided_on_an_old_version_cannot_be_undone_on_the_new_one(
    engine: Engine, reviewed: dict[str, FaqPair]
) -> None:
    added = {"Opening": ("Who opens the shop?", "Ada opens the shop.")}
    extract(engine, text_of(added | ENTRIES))
    before = engine.faqs("shop")
    assert engine.review.undo(engine.collection("shop").id) is None
    assert engine.faqs("shop") == before


def test_a_review_made_while_the_places_are_looked_for_is_kept(engine: Engine, reviewed: dict[str, FaqPair]) -> None:
    extraction = engine.repositories.extraction
    succeed, stored = extraction.succeed, []

    def after_a_review(*given: object, **named: object) -> object:
        if not stored:
            engine.review.reject([reviewed["Hours"].id], "Outdated.")
            engine.review.approve([reviewed["Repairs"].id])
            engine.review.edit(reviewed["Returns"].id, answer="For 45 days.", quote="free for 45 days")
        stored.append(given)
        return succeed(*given, **named)

    extraction.succeed = after_a_review  # type: ignore[method-assign]
    changed = ENTRIES | {"Hours": ("When does the shop open?", "The shop opens at ten.")}
    job = extract(engine, text_of(changed))
    assert (job.result["unchanged"], job.result["to_look_at"]) == (3, 0), "the only changed pair is rejected by now"
    (document,) = engine.repositories.documents.list()
    now = {heading: engine.repositories.faqs.get(pair.id) for heading, pair in reviewed.items()}
    assert {pair.document_id for pair in now.values()} == {document.id}
    assert {heading: (pair.status, pair.answer) for heading, pair in now.items()} == {
        "Hours": (FaqStatus.REJECTED, "The shop opens at nine."),
        "Returns": (FaqStatus.APPROVED, "For 45 days."),
        "Repairs": (FaqStatus.APPROVED, "A repair costs 29 euros."),
        "Parking": (FaqStatus.REJECTED, "Guests park behind the hall."),
    }
    page = engine.repositories.documents.page(document.id, now["Returns"].page)
    assert page.text[now["Returns"].place.start : now["Returns"].place.end] == "free for 45 days"


def test_files_of_one_job_are_no_versions_of_each_other(engine: Engine) -> None:
    parts = [text_of({heading: entry}) for heading, entry in ENTRIES.items()]
    job = extract(engine, *parts)
    assert job.result["pairs"] == 4
    assert engine.collection("shop").document_count == 4
    again = extract(engine, *parts)
    assert (again.result["pairs"], engine.collection("shop").document_count) == (0, 4)


def test_another_collection_keeps_the_old_version(engine: Engine, reviewed: dict[str, FaqPair]) -> None:
    other = engine.repositories.collections.ensure("other")
    (old,) = engine.repositories.documents.list()
    engine.repositories.documents.add(old, [], [], collection_id=other.id)
    extract(engine, text_of({"Parking": ENTRIES["Parking"]}))
    assert [document.id for document in engine.repositories.documents.list(other.id)] == [old.id]


def test_a_job_that_stops_half_way_through_a_new_version_goes_on(engine: Engine, reviewed: dict[str, FaqPair]) -> None:
    remove = engine.documents.remove

    def break_down(*_: object) -> None:
        for context in engine.worker._running.values():
            context.cancel.cancel()

    engine.documents.remove = break_down  # type: ignore[method-assign]
    job = engine.extract([("faq.md", io.BytesIO(text_of(ENTRIES | {"New": ("Who sweeps?", "Ada sweeps.")}).encode()))], "shop")
    assert engine.worker.run_one(job.id).state is JobState.ABORTED
    engine.documents.remove = remove  # type: ignore[method-assign]
    engine.jobs.resume(job.id)
    assert engine.worker.run_one(job.id).state is JobState.SUCCEEDED
    now = {pair.id: pair.status for pair in engine.faqs("shop")}
    assert {pair.id: pair.status for pair in reviewed.values()}.items() <= now.items()
    assert len(engine.repositories.documents.list()) == 1
