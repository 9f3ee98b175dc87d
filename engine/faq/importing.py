"""Pairs that people bring along, from CSV and JSON Lines files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.csv_export import cell_text
from engine.db.repositories import Repositories
from engine.domain import Document, FaqPair, FaqStatus, Json, Page, new_id, utc_now
from engine.embedding.base import Embedder
from engine.embedding.remembering import RememberingEmbedder
from engine.errors import InputError
from engine.faq.dedupe import DuplicateIndex, put_aside
from engine.faq.review import MAX_ANSWER, MAX_QUESTION, problem_of
from engine.faq.versions import comparable
from engine.ingest import place_of
from engine.training.datasets.dataset_files import MAX_ROWS, read_rows

IMPORTED = "imported"
"""The origin of these pairs, and what they have for a model."""
NO_QUOTE = "Its quote was not found in the collection's documents, and was left out."

_HINT = "Each row needs a question and an answer; quote, document, page, heading and language may be there too."
_LONGEST_QUOTE = 20_000
_FIELDS = ("question", "answer", "quote", "document", "page", "heading", "language")


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import: new pairs to review, those put aside for a better one, and those that were there already."""

    new: tuple[FaqPair, ...]
    duplicates: tuple[FaqPair, ...]
    known: int


def import_pairs(path: Path, name: str, repositories: Repositories, embedder: Embedder) -> Imported:
    """Take the pairs of a file into the collection of this name, made if absent, all or none.

    They wait for review; those that are there already are skipped.
    A quote counts where the document that the row names is in the collection and says so; else the pair has none, and says
    that. Scores are 1: what a person brings is not measured.

    Raises:
        InputError: the file cannot be read, or a row has no question or answer, or one that is too long.
        EmbeddingError: the encoder failed.
    """
    read = _read(path)
    collection = repositories.collections.ensure(name)
    texts = _Documents(repositories, collection.id)
    rows = [_pair(row, collection.id, texts) for row in read]
    stored = repositories.faqs.list(collection.id)
    remembering = RememberingEmbedder(embedder, limit=len(rows) + len(stored) + 1)
    remembering.embed([pair.question for pair in rows])  # together, where the index asks for one at a time
    seen = {(pair.question, pair.answer) for pair in stored}
    index = DuplicateIndex(remembering, comparable(stored))
    kept: dict[str, FaqPair] = {}
    displaced: dict[str, str] = {}
    for pair in rows:
        if (pair.question, pair.answer) in seen:
            continue
        seen.add((pair.question, pair.answer))
        verdict = index.add(pair)
        kept[pair.id] = pair if verdict.duplicate_of is None else put_aside(pair, verdict.duplicate_of)
        displaced.update(dict.fromkeys(verdict.displaced, pair.id))
    repositories.extraction.store(collection.id, list(kept.values()), displaced=displaced)
    new = tuple(pair for pair in kept.values() if pair.duplicate_of is None)
    return Imported(new, tuple(pair for pair in kept.values() if pair.duplicate_of is not None), len(rows) - len(kept))


class _Documents:
    """The documents of a collection by name and identifier, with pages loaded when they are asked for."""

    def __init__(self, repositories: Repositories, collection_id: str) -> None:
        self._repositories = repositories
        documents = repositories.documents.list(collection_id)
        self._known = {name: document for document in documents for name in (document.name, document.id)}
        self._pages: tuple[str, Sequence[Page]] = ("", ())

    def proven(self, pair: FaqPair, page: int | None) -> FaqPair:
        """The pair with the place of its quote, or without its quote where no page of its document says so."""
        document = self._known.get(pair.document)
        for candidate in () if document is None else self._pages_of(document):
            place = place_of(candidate, pair.quote) if page in (None, candidate.number) else None
            if document is not None and place is not None:
                quote = candidate.text[place.start : place.end]
                placed = replace(pair, document_id=document.id, document=document.name, page=candidate.number)
                found = replace(placed, quote=quote, place=place)
                return replace(found, reason=problem_of(found))
        return replace(pair, quote="", reason=NO_QUOTE)

    def _pages_of(self, document: Document) -> Sequence[Page]:
        if self._pages[0] != document.id:
            self._pages = (document.id, self._repositories.documents.pages(document.id))
        return self._pages[1]


def _pair(row: Mapping[str, str], collection_id: str, texts: _Documents) -> FaqPair:
    page = int(row["page"]) if row["page"].isascii() and row["page"].isdigit() and len(row["page"]) < 9 else None
    pair = FaqPair(
        id=new_id(),
        collection_id=collection_id,
        question=row["question"],
        answer=row["answer"],
        quote=row["quote"][:_LONGEST_QUOTE],
        document_id=None,
        document=row["document"],
        page=None,
        heading=row["heading"],
        score=1.0,
        status=FaqStatus.PENDING,
        reason="",
        model=IMPORTED,
        created_at=utc_now(),
        language=row["language"],
        origin=IMPORTED,
    )
    return texts.proven(pair, page) if pair.quote else pair


def _read(path: Path) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for line, given in read_rows(path):
        row = {name: _field(given, name, path) for name in _FIELDS}
        for name, limit in (("question", MAX_QUESTION), ("answer", MAX_ANSWER)):
            if not 1 <= len(row[name]) <= limit:
                raise InputError(f"{path.name}, line {line}: the {name} must have 1 to {limit} characters", hint=_HINT)
        rows.append(row)
        if len(rows) > MAX_ROWS:
            raise InputError(f"{path.name} has more than {MAX_ROWS:,} rows", hint="Split it.")
    if not rows:
        raise InputError(f"{path.name} holds no pairs", hint=_HINT)
    return rows


def _field(row: Mapping[str, Json], name: str, path: Path) -> str:
    """A field as text, without the apostrophe that our own CSV files have before what looks like a formula."""
    value = row.get(name)
    text = "" if value is None or isinstance(value, dict | list) else str(value)
    return (cell_text(text) if path.suffix.lower() == ".csv" else text).strip()
