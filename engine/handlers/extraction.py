"""Read files into a collection and extract FAQ pairs from them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engine.domain import Chunk, Collection, Document, FaqPair, FaqStatus, Json
from engine.embedding.remembering import RememberingEmbedder
from engine.errors import CancelledError, DocumentError, NexusError, NotFoundError
from engine.faq.curation import Curator, faq_pairs
from engine.faq.dedupe import drop_duplicates
from engine.faq.extraction import extract_pairs
from engine.faq.types import ScoredPair
from engine.handlers.parts import Parts
from engine.jobs import JobContext
from engine.observability.tracing import span, traced
from engine.requests import ExtractionRequest

READING_SHARE = 0.1
"""Part of the progress bar that reading the files takes; extraction takes up to `INDEXING_FROM`, then comes the index."""
INDEXING_FROM = 0.95


@dataclass(slots=True)
class _Tally:
    """What the job has made so far."""

    pending: int = 0
    rejected: int = 0
    duplicates: int = 0
    documents: list[str] = field(default_factory=list)


@traced("faq.upload", capture_input=False)
def extract(parts: Parts, context: JobContext) -> Mapping[str, Json]:
    """Read, chunk, extract, curate and store, chunk by chunk; then bring the index up to date.

    A second run (after a crash, or of the same file) goes through only those chunks that no run has finished.

    Raises:
        DocumentError: a file cannot be read; none of the files is then taken in.
        CancelledError: someone stopped the job; finished chunks are kept.
        NexusError: the model, the encoder or the disk failed; finished chunks are kept.
    """
    request = ExtractionRequest.model_validate(context.job.payload)
    collection = parts.repositories.collections.ensure(request.collection)
    documents = _read(parts, context, request, collection)
    tally = _Tally(documents=[document.name for document in documents])
    _extract_all(parts, context, request, collection, documents, tally)
    context.progress(INDEXING_FROM, "Indexing for search")
    parts.index.sync(
        collection.id,
        progress=lambda done, message: context.progress(INDEXING_FROM + (1 - INDEXING_FROM) * done, message),
        cancel=context.cancel,
    )
    for file in request.files:
        parts.uploads.discard(file)
    names: list[Json] = list(tally.documents)
    return {
        "collection": request.collection,
        "documents": names,
        "pairs": tally.pending,
        "rejected": tally.rejected,
        "duplicates": tally.duplicates,
        "notice": None if tally.pending else "There was nothing new to ask: no sentence states a fact that is not asked yet.",
    }


def _read(parts: Parts, context: JobContext, request: ExtractionRequest, collection: Collection) -> list[Document]:
    """Take the files in, all or none."""
    before = {document.id for document in parts.repositories.documents.list(collection.id)}
    documents: list[Document] = []
    try:
        for number, file in enumerate(request.files):
            context.progress(READING_SHARE * number / len(request.files), f"Reading {file.name}")
            with span("document.read", document=file.name):
                document = parts.documents.add(parts.uploads.path(file), collection.id, file.name)
            parts.metrics.document("ok", document.page_count)
            documents.append(document)
    except CancelledError:
        raise  # what is there stays: the job may go on
    except NexusError as exc:
        if not exc.retryable or context.job.attempts >= context.job.max_attempts:
            _undo(parts, context, request, collection, [document for document in documents if document.id not in before])
            parts.metrics.document(exc.code)
        if isinstance(exc, DocumentError) and len(request.files) > 1:
            hint = f"{exc.hint or ''} None of the {len(request.files)} files was added; leave this one out to add the others."
            raise DocumentError(exc.message, hint=hint.strip()) from exc
        raise
    return documents


def _undo(
    parts: Parts, context: JobContext, request: ExtractionRequest, collection: Collection, added: Sequence[Document]
) -> None:
    """Take back what this job took in, and the collection if the job made it and nothing else uses it."""
    for document in added:
        with contextlib.suppress(NotFoundError):
            parts.documents.remove(document.id, collection.id)
    for file in request.files:
        parts.uploads.discard(file)
    made_here = collection.created_at >= context.job.created_at
    if made_here and parts.repositories.collections.delete_if_unused(collection.id, job_id=context.job.id):
        parts.index.discard(collection.id)


def _extract_all(
    parts: Parts,
    context: JobContext,
    request: ExtractionRequest,
    collection: Collection,
    documents: Sequence[Document],
    tally: _Tally,
) -> None:
    finished = parts.repositories.faqs.extracted_chunks(collection.id)
    for number, document in enumerate(documents):
        wanted = _wanted(parts, context, request, collection, documents, len(documents) - number)
        if wanted is not None and wanted <= 0:
            continue
        chunks = list(parts.repositories.documents.chunks([document.id]))
        todo = [chunk for chunk in chunks if chunk.id not in finished]
        share = (INDEXING_FROM - READING_SHARE) / len(documents)
        work = _Extraction(parts, context, collection, document, chunks, tally, READING_SHARE + share * number, share)
        work.run(todo, request.model, wanted)


def _wanted(
    parts: Parts,
    context: JobContext,
    request: ExtractionRequest,
    collection: Collection,
    documents: Sequence[Document],
    left: int,
) -> int | None:
    """How many pairs the next of the `left` documents may give; None: as many as it has.

    What the job has made before an interruption counts. A document that gives less than its share leaves more to the others.
    """
    if request.max_pairs is None:
        return None
    own = {document.id for document in documents}
    since = context.job.created_at
    pairs = [
        pair for pair in parts.repositories.faqs.list(collection.id) if pair.document_id in own and pair.created_at >= since
    ]
    made = sum(1 for pair in pairs if pair.status is not FaqStatus.REJECTED)
    return math.ceil((request.max_pairs - made) / left)


class _Extraction:
    """The work on one document."""

    def __init__(
        self,
        parts: Parts,
        context: JobContext,
        collection: Collection,
        document: Document,
        chunks: Sequence[Chunk],
        tally: _Tally,
        progress_from: float,
        progress_share: float,
    ) -> None:
        self._parts = parts
        self._context = context
        self._collection = collection
        self._document = document
        self._tally = tally
        self._from = progress_from
        self._share = progress_share
        self._made = 0
        self._model_name = ""
        self._embedder = RememberingEmbedder(parts.embedder)
        pages = {page.number: page.text for page in parts.repositories.documents.pages(document.id)}
        self._curator = Curator(self._embedder, chunks, pages)

    def run(self, chunks: Sequence[Chunk], model_name: str | None, wanted: int | None) -> None:
        """Extract pairs from the chunks, storing those of each chunk at once.

        With a limit each chunk first gives its share, so that few pairs cover the whole document; what is then missing is
        taken from the best of the rest.
        """
        stored = list(self._parts.repositories.faqs.list(self._collection.id))
        share = None if wanted is None else math.ceil(wanted / max(1, len(chunks)))
        rest: list[ScoredPair] = []
        for done, (index, pairs) in enumerate(self._curated(chunks, model_name, wanted), start=1):
            if wanted is not None:
                pairs = _best(pairs)
                pairs, spare = pairs[:share], pairs[share:]
                rest += spare
            # With a limit only some sentences of a chunk are tried, so the chunk is not done with.
            finished = (self._collection.id, chunks[index].id) if wanted is None else None
            self._store(pairs, stored, wanted, finished)
            made = self._tally.pending
            message = f"{self._document.name}: passage {done} of {len(chunks)}, {made} {'pair' if made == 1 else 'pairs'}"
            self._context.progress(self._from + self._share * done / len(chunks), message)
        if rest:
            self._store(_best(rest), stored, wanted, None)

    def _curated(
        self, chunks: Sequence[Chunk], model_name: str | None, wanted: int | None
    ) -> Iterator[tuple[int, list[ScoredPair]]]:
        model = self._parts.model(model_name)
        self._model_name = model.name
        with span("faq.extract", document=self._document.name, chunks=len(chunks), model=model.name):
            for index, candidates in extract_pairs(chunks, model=model, max_pairs=wanted, cancel=self._context.cancel):
                yield index, self._curator.curate(candidates)

    def _store(
        self, pairs: Sequence[ScoredPair], stored: list[FaqPair], wanted: int | None, finished: tuple[str, str] | None
    ) -> None:
        """Store what is no duplicate and still wanted, in one transaction with the mark that the chunk is finished."""
        unique = drop_duplicates(pairs, embedder=self._embedder, stored=stored)
        self._tally.duplicates += len(pairs) - len(unique)
        room = len(unique) if wanted is None else max(0, wanted - self._made)
        kept = list(
            faq_pairs(unique[:room], collection_id=self._collection.id, document=self._document.name, model=self._model_name)
        )
        self._parts.repositories.faqs.add(kept, finished_chunk=finished)
        stored.extend(kept)
        self._count(kept)

    def _count(self, pairs: Sequence[FaqPair]) -> None:
        good: list[Json] = [pair.id for pair in pairs if pair.status is not FaqStatus.REJECTED]
        self._made += len(good)
        self._tally.pending += len(good)
        self._tally.rejected += len(pairs) - len(good)
        self._parts.metrics.faq_pairs("pending", len(good))
        self._parts.metrics.faq_pairs("rejected", len(pairs) - len(good))
        if good:
            self._context.emit({"pairs": good})


def _best(pairs: Sequence[ScoredPair]) -> list[ScoredPair]:
    """Those that were not rejected, best first."""
    return sorted((pair for pair in pairs if pair.status is not FaqStatus.REJECTED), key=lambda pair: -pair.score)
