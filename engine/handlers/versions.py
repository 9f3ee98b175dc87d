"""Taking the place of an old version: a file of the same name as a document of the collection is its new version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from engine.domain import Collection, Document, FaqPair
from engine.faq.versions import inherited, succession
from engine.handlers.pages import PageTexts
from engine.handlers.parts import Parts
from engine.ingest import safe_name
from engine.jobs import JobContext
from engine.observability.tracing import span
from engine.requests import StagedFile


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What became of an old version: passages that are as they were and those to be asked, and pairs to look at."""

    name: str
    unchanged: int
    changed: int
    flagged: int

    def __str__(self) -> str:
        """In words, for the job's result."""
        passages = "1 passage" if self.unchanged == 1 else f"{self.unchanged:,} passages"
        pairs = "1 pair" if self.flagged == 1 else f"{self.flagged:,} pairs"
        return f"{self.name} is a new version: {passages} unchanged, {self.changed:,} asked again, {pairs} to look at."


def take_over(
    parts: Parts, context: JobContext, collection: Collection, files: Sequence[StagedFile], documents: Sequence[Document]
) -> list[NewVersion]:
    """Let each document that is a new version take over the pairs of the old one, which then leaves the collection.

    The files of one job are never versions of each other. May be done again after a crash half-way.

    Args:
        parts: the engine.
        context: the job.
        collection: where the documents are.
        files: what the job was given, as it is still staged.
        documents: what the files have become, in the same order.
    """
    own = {document.id for document in documents}
    own |= {_digest(parts, file) for file in files}
    done = []
    for file, document in zip(files, documents, strict=True):
        name = safe_name(file.name)
        for old in parts.repositories.documents.list(collection.id):
            if old.name == name and old.id not in own:
                context.check()
                done.append(_replace(parts, collection, old, document))
    return done


def _replace(parts: Parts, collection: Collection, old: Document, document: Document) -> NewVersion:
    stored = parts.repositories
    with span("faq.new_version", document=document.name):
        chunks, old_chunks = stored.documents.chunks([document.id]), stored.documents.chunks([old.id])
        asked = stored.extraction.finished_by_language(collection.id)
        finished = {language: inherited(chunks, old_chunks, done) for language, done in asked.items()}
        place = PageTexts(stored.documents, document).place
        pairs = _pairs_of(parts, collection, old)
        flagged = 0
        while True:
            change = succession(document, chunks, old_chunks=old_chunks, pairs=pairs, place=place)
            # Finding the places takes its time: what was reviewed meanwhile is moved again, as it is now.
            left = stored.extraction.succeed(collection.id, change.pairs, finished, read=pairs, gone=change.gone)
            flagged += sum(faq_id not in left for faq_id in change.flagged)
            if not left:
                break
            pairs = [pair for pair in _pairs_of(parts, collection, old) if pair.id in left]
        parts.documents.remove(old.id, collection.id)
    return NewVersion(old.name, change.unchanged, change.changed, flagged)


def _pairs_of(parts: Parts, collection: Collection, document: Document) -> list[FaqPair]:
    return [pair for pair in parts.repositories.faqs.list(collection.id) if pair.document_id == document.id]


def _digest(parts: Parts, file: StagedFile) -> str:
    """The identifier that the file's document has: a job that goes on knows its own documents by it."""
    with parts.uploads.path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
