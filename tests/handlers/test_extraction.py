"""The extraction job: what it stores, what it leaves behind when it fails, and how it goes on."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pymupdf
import pytest

from engine.container import Engine
from engine.domain import Completion, FaqStatus, Job, JobState
from engine.errors import ConflictError, InputError, ModelError, NotFoundError
from engine.handlers.extraction import READING_SHARE
from engine.ingest import locate_quote
from engine.jobs import worker
from engine.llm.base import Request
from engine.llm.fake import FakeChatModel

TERMS = """# Delivery

Parcels arrive within 3 working days. Express delivery costs 12 euros.

# Returns

You may return any kettle within 45 days. A refund takes 6 working days.

# Warranty

Every kettle has a warranty of 5 years. A repair costs 29 euros after that.
"""

WRITTEN = """# Questions

Q: When does the shop open?
A: The shop opens at nine.

Q: How long are returns free?
A: Returns are free for 45 days.

Q: What does a repair cost?
A: A repair costs 29 euros.
"""
"""Pairs that are taken over word for word, so that their number does not hang on a model or an encoder."""


TERMS_PAGE = "Delivery\n\nParcels arrive within 3 working days. Express delivery costs 12 euros."


def pdf_of(text: str, pages: int) -> bytes:
    document = pymupdf.open()
    for _ in range(pages):
        document.new_page().insert_text((72, 72), text)
    return document.tobytes()


def run(engine: Engine, job: Job) -> Job:
    ended = engine.worker.run_one(job.id)
    assert ended is not None
    return ended


def upload(name: str, text: str | bytes) -> tuple[str, io.BytesIO]:
    return name, io.BytesIO(text.encode() if isinstance(text, str) else text)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []


def test_pairs_are_stored_with_their_proof(engine: Engine) -> None:
    job = run(engine, engine.extract([upload("terms.md", TERMS), upload("faq.md", WRITTEN)], "shop"))
    assert job.state is JobState.SUCCEEDED, job.error
    pairs = [pair for pair in engine.faqs("shop") if pair.status is FaqStatus.PENDING]
    assert len(pairs) == job.result["pairs"] >= 3
    assert {"terms.md", "faq.md"} >= {pair.document for pair in pairs}
    for pair in pairs:
        page = engine.repositories.documents.page(pair.document_id, pair.page)
        assert locate_quote(page.text, pair.quote) is not None
        assert pair.place is not None
        assert page.text[pair.place.start : pair.place.end] == pair.quote
        assert set(pair.parts) >= {"relevance", "grounded", "form"}
        assert pair.language == "en"
    assert {pair.origin for pair in pairs if pair.document == "faq.md"} == {"written"}
    events = engine.jobs.events(job.id)
    told = [faq_id for event in events for faq_id in event["pairs"]]
    assert set(told) >= {pair.id for pair in pairs}
    assert len(told) == len(set(told))
    assert all(event["per_minute"] > 0 for event in events)
    assert files_in(engine.settings.home / "uploads") == []
    assert engine.collection("shop").status == "ready"


def test_the_same_file_twice_is_one_document_and_asks_nothing_again(engine: Engine) -> None:
    run(engine, engine.extract([upload("terms.md", TERMS)], "shop"))
    before = engine.faqs("shop")
    again = run(engine, engine.extract([upload("copy.md", TERMS)], "shop"))
    assert again.result["pairs"] == 0
    assert list(engine.faqs("shop")) == list(before)
    assert engine.collection("shop").document_count == 1


def test_a_limit_holds(engine: Engine) -> None:
    job = run(engine, engine.extract([upload("faq.md", WRITTEN)], "shop", max_pairs=2))
    assert job.result["pairs"] == 2
    assert len(engine.faqs("shop")) == 2
    again = run(engine, engine.extract([upload("faq.md", WRITTEN)], "shop", max_pairs=2))
    assert again.result["pairs"] == 1, "what is there is not counted again"
    assert len(engine.faqs("shop")) == 3
    rest = run(engine, engine.extract([upload("faq.md", WRITTEN)], "shop"))
    assert (rest.result["pairs"], len(engine.faqs("shop"))) == (0, 3)


def test_rejected_pairs_are_kept_with_a_limit(engine: Engine) -> None:
    """The echoing model words no good question, so that what it was asked is rejected, with the reason."""
    run(engine, engine.extract([upload("terms.md", TERMS)], "all"))
    run(engine, engine.extract([upload("terms.md", TERMS)], "some", max_pairs=50))
    rejected = {pair.question: pair.reason for pair in engine.faqs("all", FaqStatus.REJECTED)}
    assert rejected
    assert all(rejected.values())
    assert {pair.question: pair.reason for pair in engine.faqs("some", FaqStatus.REJECTED)} == rejected
    run(engine, engine.extract([upload("terms.md", TERMS)], "some", max_pairs=50))
    assert len(engine.faqs("some", FaqStatus.REJECTED)) == len(rejected), "a second run does not store them twice"


def test_a_duplicate_is_kept_as_rejected_and_linked_to_the_better_pair(engine: Engine) -> None:
    run(engine, engine.extract([upload("faq.md", WRITTEN)], "shop"))
    first = engine.faqs("shop")
    engine.review.approve([pair.id for pair in first])
    other = "# Questions\n\nQ: When does the shop open?\nA: The shop opens at nine sharp.\n"
    done = run(engine, engine.extract([upload("other.md", other)], "shop"))
    assert (done.result["pairs"], done.result["duplicates"]) == (0, 1)
    (duplicate,) = engine.faqs("shop", FaqStatus.REJECTED)
    (better,) = (pair for pair in first if pair.question == duplicate.question)
    assert duplicate.duplicate_of == better.id
    assert duplicate.reason == "It asks the same as a better pair."
    assert engine.repositories.faqs.get(better.id).status is FaqStatus.APPROVED


def test_a_better_pair_displaces_one_that_waits_and_no_pair_is_lost(engine: Engine) -> None:
    run(engine, engine.extract([upload("faq.md", WRITTEN)], "shop"))
    old = engine.faqs("shop")[0]
    engine.repositories.faqs.change([old.id], "edit", lambda pair: replace(pair, score=0.5))
    linked = replace(old, id="linked", status=FaqStatus.REJECTED, duplicate_of=old.id, quote="another")
    engine.repositories.faqs.add([linked])
    done = run(engine, engine.extract([upload("other.md", f"# Questions\n\nQ: {old.question}\nA: At ten.\n")], "shop"))
    assert done.result["pairs"] == 1
    now = {pair.id: pair for pair in engine.faqs("shop")}
    assert now[old.id].status is FaqStatus.REJECTED
    better = now[now[old.id].duplicate_of]
    assert (better.question, better.status, better.document) == (old.question, FaqStatus.PENDING, "other.md")
    assert now["linked"].duplicate_of == better.id


def test_pages_that_say_the_same_are_asked_once(engine: Engine) -> None:
    """A PDF with the same page many times over, as scanners and mail merges make them."""
    asked: list[int] = []

    class Counting(FakeChatModel):
        def generate_many(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
            asked.append(len(requests))
            return super().generate_many(requests)

    model = Counting(name="fake/echo")
    engine.made["models"] = type("Models", (), {"get": lambda self, name: model, "close": lambda self: None})()
    run(engine, engine.extract([upload("one.pdf", pdf_of(TERMS_PAGE, pages=1))], "one"))
    once = sum(asked)
    job = run(engine, engine.extract([upload("many.pdf", pdf_of(TERMS_PAGE, pages=60))], "many"))
    assert job.state is JobState.SUCCEEDED, job.error
    assert sum(asked) == 2 * once
    assert len(engine.faqs("many")) == len(engine.faqs("one"))
    collection = engine.collection("many").id
    assert engine.repositories.extraction.finished(collection) == engine.repositories.documents.chunk_ids(collection)


@pytest.mark.parametrize(
    ("name", "content"), [("broken.pdf", b"%PDF-1.7\nnothing more"), ("blank.txt", b"  \n "), ("x.docx", b"PK\x03\x04junk")]
)
def test_an_unreadable_file_leaves_nothing(engine: Engine, name: str, content: bytes) -> None:
    job = run(engine, engine.extract([upload("terms.md", TERMS), upload(name, content)], "shop"))
    assert job.state is JobState.FAILED
    assert job.error["code"] == "document_unreadable"
    assert job.error["hint"]
    assert list(engine.collections()) == []
    assert list(engine.repositories.documents.list()) == []
    assert files_in(engine.settings.home / "uploads") == []
    assert files_in(engine.settings.documents_dir) == []


def test_an_unreadable_file_does_not_harm_what_was_there(engine: Engine) -> None:
    run(engine, engine.extract([upload("terms.md", TERMS)], "shop"))
    before = list(engine.faqs("shop"))
    job = run(engine, engine.extract([upload("terms.md", TERMS), upload("broken.pdf", b"%PDF-")], "shop"))
    assert job.state is JobState.FAILED
    assert list(engine.faqs("shop")) == before
    assert engine.collection("shop").document_count == 1


def test_a_language_that_the_model_does_not_know_is_said_and_can_be_asked_later(engine: Engine) -> None:
    """What the document asks and answers itself is taken; the rest waits for a model that knows the language."""
    text = "Die Lieferung dauert drei Tage und ist teuer.\n\nFrage: Was kostet sie?\nAntwort: Sie kostet mit der Post 5."
    model = FakeChatModel(languages=("en", "fr"))
    engine.made["models"] = type("Models", (), {"get": lambda self, name: model, "close": lambda self: None})()
    job = run(engine, engine.extract([upload("lieferung.txt", text)], "shop"))
    assert job.state is JobState.SUCCEEDED, job.error
    assert "was not trained for" in str(job.result["notice"])
    assert model.requests == []
    assert [pair.origin for pair in engine.faqs("shop")] == ["written"]
    knowing = FakeChatModel(["Wie lange dauert die Lieferung und ist sie teuer?"])
    engine.made["models"] = type("Models", (), {"get": lambda self, name: knowing, "close": lambda self: None})()
    run(engine, engine.extract([upload("lieferung.txt", text)], "shop"))
    assert knowing.requests
    assert {pair.language for pair in engine.faqs("shop")} == {"de"}


class BreaksOnce(FakeChatModel):
    """Fails at the first call, works afterwards."""

    broken = False

    def generate_many(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        if not self.broken:
            self.broken = True
            raise ModelError("the model is gone")
        return super().generate_many(requests)


def test_a_job_that_failed_goes_on(engine: Engine) -> None:
    model = BreaksOnce(name="fake/echo")
    engine.made["models"] = type("Models", (), {"get": lambda self, name: model, "close": lambda self: None})()
    job = engine.extract([upload("terms.md", TERMS)], "shop")
    failed = run(engine, job)
    assert (failed.state, failed.error["message"]) == (JobState.FAILED, "the model is gone")
    assert len(files_in(engine.settings.home / "uploads")) == 1
    engine.jobs.resume(job.id)
    done = run(engine, job)
    assert done.state is JobState.SUCCEEDED
    assert len(engine.faqs("shop")) >= 3
    questions = [pair.question for pair in engine.faqs("shop")]
    assert len(questions) == len(set(questions))


def test_a_stopped_job_keeps_its_finished_passages(engine: Engine) -> None:
    job = engine.extract([upload("terms.md", TERMS)], "shop")
    stored = engine.repositories.extraction.store

    def store_then_cancel(*args: object, **kwargs: object) -> list[str]:
        displaced = stored(*args, **kwargs)
        for context in engine.worker._running.values():
            context.cancel.cancel()
        return displaced

    engine.repositories.extraction.store = store_then_cancel  # type: ignore[method-assign]
    stopped = run(engine, job)
    engine.repositories.extraction.store = stored  # type: ignore[method-assign]
    assert stopped.state is JobState.ABORTED
    kept = list(engine.faqs("shop"))
    assert len(engine.repositories.extraction.finished(engine.collection("shop").id)) == 1
    engine.jobs.resume(job.id)
    assert run(engine, job).state is JobState.SUCCEEDED
    assert list(engine.faqs("shop"))[: len(kept)] == kept


@pytest.mark.parametrize("collection", ["", "a/b", "x" * 81, "new\nline"])
def test_a_collection_name_is_checked_before_anything_is_stored(engine: Engine, collection: str) -> None:
    with pytest.raises(InputError):
        engine.extract([upload("terms.md", TERMS)], collection)
    assert files_in(engine.settings.home / "uploads") == []
    assert list(engine.jobs.list()) == []


def test_a_bad_upload_takes_the_good_ones_with_it(engine: Engine) -> None:
    with pytest.raises(InputError):
        engine.extract([upload("terms.md", TERMS), upload("empty.md", "")], "shop")
    assert files_in(engine.settings.home / "uploads") == []


def test_an_unknown_model_is_not_found(engine: Engine) -> None:
    with pytest.raises(NotFoundError):
        engine.extract([upload("terms.md", TERMS)], "shop", model="nothing")


def test_fine_tuning_needs_pairs(engine: Engine) -> None:
    engine.repositories.collections.ensure("empty")
    with pytest.raises(ConflictError):
        engine.finetune("tuned", collection="empty")
    with pytest.raises(InputError):
        engine.finetune("tuned")


def test_evaluating_rag_and_base_without_an_adapter(engine: Engine) -> None:
    run(engine, engine.extract([upload("faq.md", WRITTEN)], "shop"))
    job = run(engine, engine.evaluate(["base", "rag"], collection="shop", limit=2))
    assert job.state is JobState.SUCCEEDED, job.error
    assert [target["target"] for target in job.result["targets"]] == ["base", "rag"]
    assert job.result["examples"] == 2
    assert len(engine.repositories.evaluations.list()) == 1
    lines = (engine.settings.events_dir / f"evaluations-{job.id}.jsonl").read_text().splitlines()
    assert len(lines) == 4


@pytest.mark.parametrize("targets", [["nonsense"], []])
def test_an_unknown_target_is_refused(engine: Engine, targets: list[str]) -> None:
    run(engine, engine.extract([upload("terms.md", TERMS)], "shop"))
    with pytest.raises(InputError):
        engine.evaluate(targets, collection="shop")


def test_a_failed_upload_takes_back_only_what_it_made(engine: Engine) -> None:
    run(engine, engine.extract([upload("faq.md", WRITTEN)], "shop"))
    engine.create_agent("Ada", "shop")
    document = engine.repositories.documents.list()[0]
    engine.documents.remove(document.id, engine.collection("shop").id)
    assert run(engine, engine.extract([upload("broken.pdf", b"%PDF-")], "shop")).state is JobState.FAILED
    assert [agent.name for agent in engine.repositories.agents.list()] == ["Ada"]
    assert engine.collection("shop").document_count == 0


def test_a_failed_upload_leaves_the_collection_to_the_next_job(engine: Engine) -> None:
    bad = engine.extract([upload("broken.pdf", b"%PDF-")], "shop")
    good = engine.extract([upload("faq.md", WRITTEN)], "shop")
    assert run(engine, bad).error["code"] == "document_unreadable"
    assert [collection.name for collection in engine.collections()] == ["shop"]
    assert run(engine, good).state is JobState.SUCCEEDED


def test_a_job_that_is_stopped_while_it_reads_can_go_on(engine: Engine) -> None:
    job = engine.extract([upload("faq.md", WRITTEN), upload("terms.md", TERMS)], "shop")
    add = engine.documents.add

    def add_then_cancel(*args: object, **options: object) -> object:
        document = add(*args, **options)
        for context in engine.worker._running.values():
            context.cancel.cancel()
        return document

    engine.documents.add = add_then_cancel  # type: ignore[method-assign]
    assert run(engine, job).state is JobState.ABORTED
    engine.documents.add = add  # type: ignore[method-assign]
    engine.jobs.resume(job.id)
    done = run(engine, job)
    assert done.state is JobState.SUCCEEDED, done.error
    assert engine.collection("shop").document_count == 2


def test_a_job_can_be_stopped_between_two_pages(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "REPORT_EVERY_S", 0.0)
    job = engine.extract([upload("faq.md", WRITTEN), upload("terms.pdf", pdf_of(TERMS_PAGE, pages=20))], "shop")
    report = engine.jobs.report
    told: list[tuple[float, str]] = []

    def report_then_cancel(job_id: str, owner: str, fraction: float, message: str, left_s: float | None = None) -> None:
        told.append((fraction, message))
        report(job_id, owner, fraction, message, left_s)
        if "page 3" in message:
            for context in engine.worker._running.values():
                context.cancel.cancel()

    monkeypatch.setattr(engine.jobs, "report", report_then_cancel)
    assert run(engine, job).state is JobState.ABORTED
    assert [message for _, message in told][-3:] == [f"Reading terms.pdf: page {number} of 20" for number in (1, 2, 3)]
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert READING_SHARE / 2 < fractions[-1] < READING_SHARE
    assert [document.name for document in engine.repositories.documents.list()] == ["faq.md"]
    assert len(files_in(engine.settings.documents_dir)) == 1
    monkeypatch.undo()
    engine.jobs.resume(job.id)
    assert run(engine, job).state is JobState.SUCCEEDED


def test_a_document_that_is_added_again_is_read_afresh(engine: Engine) -> None:
    run(engine, engine.extract([upload("faq.md", WRITTEN)], "shop"))
    run(engine, engine.extract([upload("faq.md", WRITTEN)], "other"))
    document = engine.repositories.documents.list()[0]
    engine.documents.remove(document.id, engine.collection("shop").id)
    again = run(engine, engine.extract([upload("faq.md", WRITTEN)], "shop"))
    assert again.result["pairs"] == 3


def test_a_limit_is_shared_by_the_files_and_counts_this_job_alone(engine: Engine) -> None:
    second = WRITTEN.replace("shop", "museum").replace("45", "60").replace("29", "31").replace("returns", "tickets")
    files = [upload("one.md", WRITTEN), upload("two.md", second)]
    assert run(engine, engine.extract(files, "shop", max_pairs=2)).result["pairs"] == 2
    assert {pair.document for pair in engine.faqs("shop")} == {"one.md", "two.md"}
    files = [upload("one.md", WRITTEN), upload("two.md", second)]
    assert run(engine, engine.extract(files, "shop", max_pairs=2)).result["pairs"] == 2


def test_a_limit_does_not_count_what_another_job_made_while_this_one_waited(engine: Engine) -> None:
    second = WRITTEN.replace("shop", "museum").replace("45", "60").replace("29", "31").replace("returns", "tickets")
    first = engine.extract([upload("one.md", WRITTEN)], "shop", max_pairs=2)
    waiting = engine.extract([upload("two.md", second)], "shop", max_pairs=2)
    assert run(engine, first).result["pairs"] == 2
    assert run(engine, waiting).result["pairs"] >= 1


def test_a_dataset_of_a_refused_request_is_not_kept(engine: Engine, tmp_path: Path) -> None:
    dataset = tmp_path / "data.jsonl"
    dataset.write_text('{"question": "q?", "answer": "a"}\n')
    with pytest.raises(InputError):
        engine.finetune("bad/name", dataset=dataset)
    with pytest.raises(InputError):
        engine.evaluate(["nonsense"], dataset=dataset)
    assert files_in(engine.settings.home / "uploads") == []


def test_a_name_that_a_waiting_fine_tune_will_take_is_taken(engine: Engine, tmp_path: Path) -> None:
    dataset = tmp_path / "data.jsonl"
    dataset.write_text('{"question": "q?", "answer": "a"}\n')
    engine.finetune("tuned", dataset=dataset)
    with pytest.raises(ConflictError):
        engine.finetune(" tuned ", dataset=dataset)


def test_two_extractions_of_one_collection_run_in_turn(engine: Engine) -> None:
    first = engine.extract([upload("faq.md", WRITTEN)], "shop")
    engine.extract([upload("faq.md", WRITTEN)], "shop")
    elsewhere = engine.extract([upload("faq.md", WRITTEN)], "museum")
    assert engine.jobs.claim("host:1:x", ["extract"]).id == first.id
    assert engine.jobs.claim("host:2:x", ["extract"]).id == elsewhere.id
    assert engine.jobs.claim("host:3:x", ["extract"]) is None


def test_uploads_of_jobs_that_may_go_on_are_known(engine: Engine) -> None:
    waiting = engine.extract([upload("faq.md", WRITTEN)], "shop")
    done = engine.extract([upload("terms.md", TERMS)], "museum")
    run(engine, done)
    assert engine.jobs.staged_paths() == {waiting.payload["files"][0]["path"]}


def test_indexing_is_a_job_and_one_that_waits_is_enough(engine: Engine) -> None:
    run(engine, engine.extract([upload("faq.md", WRITTEN)], "shop"))
    engine.review.approve([pair.id for pair in engine.faqs("shop")])
    job = engine.ingest("shop")
    assert engine.ingest("shop").id == job.id
    done = run(engine, job)
    assert (done.state, done.result["added"]) == (JobState.SUCCEEDED, 3)
    assert engine.collection("shop").status == "ready"
    assert run(engine, engine.ingest("shop")).result["added"] == 0
