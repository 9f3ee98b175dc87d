"""Pairs that people bring along."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.db.repositories import Repositories
from engine.db.session import Database
from engine.domain import Document, FaqPair, FaqStatus, Page, utc_now
from engine.embedding.fake import HashingEmbedder
from engine.errors import InputError
from engine.faq.export import export_pairs
from engine.faq.importing import IMPORTED, NO_QUOTE, Imported, import_pairs
from engine.faq.versions import GONE, STANDS

PAGES = [Page(1, "Welcome."), Page(2, "Returns are  free\nfor 45 days.")]


@pytest.fixture
def repositories(tmp_path: Path) -> Repositories:
    repositories = Repositories.over(Database(tmp_path / "nexus.db"))
    shop = repositories.collections.ensure("shop")
    document = Document("d" * 64, "terms.md", "text/markdown", 9, 2, utc_now())
    repositories.documents.add(document, PAGES, [], collection_id=shop.id)
    return repositories


def bring(repositories: Repositories, folder: Path, *rows: dict[str, object]) -> Imported:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return import_pairs(path, "shop", repositories, HashingEmbedder())


def test_a_plain_pair_waits_for_review_without_a_document(repositories: Repositories, tmp_path: Path) -> None:
    [pair] = bring(repositories, tmp_path, {"question": " Do you ship? ", "answer": "Yes."}).new
    assert repositories.faqs.get(pair.id) == pair
    assert (pair.question, pair.status, pair.origin, pair.document_id) == ("Do you ship?", FaqStatus.PENDING, IMPORTED, None)


def test_a_quote_is_found_in_its_document(repositories: Repositories, tmp_path: Path) -> None:
    row = {"question": "How long?", "answer": "45 days.", "quote": "Returns are free for 45 days.", "document": "terms.md"}
    [pair] = bring(repositories, tmp_path, row).new
    assert (pair.document_id, pair.page, pair.quote, pair.reason) == ("d" * 64, 2, PAGES[1].text, "")
    assert pair.place is not None


@pytest.mark.parametrize("change", [{"quote": "Returns are free for 90 days."}, {"document": "other.md"}, {"page": 1}])
def test_a_quote_that_cannot_be_proven_is_left_out(
    repositories: Repositories, tmp_path: Path, change: dict[str, object]
) -> None:
    row = {"question": "How long?", "answer": "45 days.", "quote": "Returns are free for 45 days.", "document": "terms.md"}
    [pair] = bring(repositories, tmp_path, {**row, **change}).new
    assert (pair.quote, pair.document_id, pair.page, pair.reason) == ("", None, None, NO_QUOTE)


def test_an_answer_that_its_quote_does_not_hold_is_flagged(repositories: Repositories, tmp_path: Path) -> None:
    row = {"question": "How long?", "answer": "45 weeks.", "quote": "Returns are free for 45 days.", "document": "terms.md"}
    [pair] = bring(repositories, tmp_path, row).new
    assert "45 weeks" in pair.reason


def test_duplicates_are_put_aside_and_what_is_there_is_skipped(repositories: Repositories, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"question": "Do you ship?", "answer": "Yes."},
        {"question": "do you ship", "answer": "Sure."},
    ]
    first = bring(repositories, tmp_path, *rows)
    assert [pair.duplicate_of for pair in first.duplicates] == [first.new[0].id]
    again = bring(repositories, tmp_path, *rows)
    assert (again.new, again.duplicates, again.known) == ((), (), 2)


def test_a_better_pair_displaces_a_pending_one_and_never_an_approved_one(repositories: Repositories, tmp_path: Path) -> None:
    shop = repositories.collections.ensure("shop").id
    old = FaqPair("old", shop, "Do you ship?", "Y.", "", None, "", None, "", 0.3, FaqStatus.PENDING, "", "m", utc_now())
    approved = replace(old, id="kept", question="Is it free?", status=FaqStatus.APPROVED)
    repositories.faqs.add([old, approved])
    taken = bring(
        repositories, tmp_path, {"question": "Do you ship?", "answer": "Yes."}, {"question": "Is it free?", "answer": "No."}
    )
    assert (repositories.faqs.get("old").status, repositories.faqs.get("old").duplicate_of) == (
        FaqStatus.REJECTED,
        taken.new[0].id,
    )
    assert [pair.duplicate_of for pair in taken.duplicates] == ["kept"]


def test_pairs_of_passages_that_have_changed_are_compared_as_in_an_extraction(
    repositories: Repositories, tmp_path: Path
) -> None:
    shop = repositories.collections.ensure("shop").id
    gone = FaqPair("gone", shop, "Do you ship?", "Y.", "", None, "", None, "", 0.3, FaqStatus.PENDING, GONE, "m", utc_now())
    stands = replace(gone, id="stands", question="Is it free?", reason=STANDS)
    repositories.faqs.add([gone, stands])
    taken = bring(
        repositories, tmp_path, {"question": "Do you ship?", "answer": "Yes."}, {"question": "Is it free?", "answer": "No."}
    )
    assert [pair.question for pair in taken.new] == ["Do you ship?"], "nothing proves the pair that asked it"
    assert [pair.duplicate_of for pair in taken.duplicates] == ["stands"], "a person has decided on it"
    assert (repositories.faqs.get("gone"), repositories.faqs.get("stands")) == (gone, stands)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_what_was_exported_can_be_imported(repositories: Repositories, tmp_path: Path, kind: str) -> None:
    rows: list[dict[str, object]] = [{"question": "=Is it?", "answer": "+a\nb"}, {"question": "'-x?", "answer": "ü"}]
    pairs = bring(repositories, tmp_path, *rows).new
    export_pairs(pairs, tmp_path / f"out.{kind}", kind)
    taken = import_pairs(tmp_path / f"out.{kind}", "other", repositories, HashingEmbedder())
    assert [(pair.question, pair.answer) for pair in taken.new] == [(pair.question, pair.answer) for pair in pairs]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "question,answer\nq,\n", "line 2: the answer"),
        ("a.csv", "frage,antwort\nq,a\n", "question and answer are missing"),
        ("a.jsonl", '{"question": "q", "answer": "a"}\n{"question": 5}\n', "line 2: the answer"),
        ("a.jsonl", "not json", "line 1 is not JSON"),
        ("a.jsonl", "", "no pairs"),
        ("a.jsonl", '{"question": "q", "answer": "' + "x" * 5000 + '"}', "1 to 4000"),
    ],
)
def test_a_file_that_makes_no_sense_changes_nothing(
    repositories: Repositories, tmp_path: Path, name: str, text: str, says: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        import_pairs(path, "new", repositories, HashingEmbedder())
    assert [collection.name for collection in repositories.collections.list()] == ["shop"]
    assert repositories.faqs.list(repositories.collections.by_name("shop").id) == []
