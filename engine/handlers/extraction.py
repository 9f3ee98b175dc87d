"""Read files into a collection and extract FAQ pairs from them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence

from engine.domain import Chunk, Collection, Document, FaqStatus, Json
from engine.embedding.remembering import RememberingEmbedder
from engine.errors import CancelledError, DocumentError, NexusError, NotFoundError
from engine.faq.curation import Curator
from engine.faq.extraction import extract_pairs
from engine.faq.language import LANGUAGES, language_of
from engine.faq.translating import knows_language, translation_of
from engine.faq.types import ScoredPair
from engine.faq.versions import by_fingerprint
from engine.handlers.pages import PageTexts
from engine.handlers.pair_keeping import PairKeeper
from engine.handlers.parts import Parts
from engine.handlers.versions import NewVersion, take_over
from engine.ingest import PageCallback
from engine.jobs import JobContext
from engine.observability.tracing import span, traced
from engine.requests import ExtractionRequest

READING_SHARE = 0.03
"""Part of the progress bar that reading the files takes; extraction takes up to `INDEXING_FROM`, then comes the index."""
INDEXING_FROM = 0.97


@traced("faq.upload", capture_input=False)
def extract(parts: Parts, context: JobContext) -> Mapping[str, Json]:
    """Read, chunk, extract, curate and store, chunk by chunk; then bring the index up to date.

    A second run (after a crash, or of the same file) goes through only those chunks that no run has finished. A file of the
    name of a document that is in the collection is its new version: only what has changed is asked.

    Raises:
        DocumentError: a file cannot be read; none of the files is then taken in.
        CancelledError: someone stopped the job; finished chunks are kept.
        NexusError: the model, the encoder or the disk failed; finished chunks are kept.
    """
    request = ExtractionRequest.model_validate(context.job.payload)
    collection = parts.repositories.collections.ensure(request.collection)
    documents = _read(parts, context, request, collection)
    versions = take_over(parts, context, collection, request.files, documents)
    context.progress(READING_SHARE, "Loading the model")
    embedder = RememberingEmbedder(parts.embedder)
    keeper = PairKeeper(parts, context, collection, embedder)
    _extract_all(parts, context, request, collection, documents, keeper, embedder)
    keeper.tell()
    context.progress(INDEXING_FROM, "Indexing for search")
    parts.index.sync(
        collection.id,
        progress=lambda done, message: context.progress(INDEXING_FROM + (1 - INDEXING_FROM) * done, message),
        cancel=context.cancel,
    )
    for file in request.files:
        parts.uploads.discard(file)
    return _result(request, documents, versions, keeper)


def _result(
    request: ExtractionRequest, documents: Sequence[Document], versions: Sequence[NewVersion], keeper: PairKeeper
) -> Mapping[str, Json]:
    names: list[Json] = [document.name for document in documents]
    tally = keeper.tally
    notices = [str(version) for version in versions]
    notices += tally.notes
    if not tally.pending and not notices:
        notices.append("There was nothing new to ask: no sentence states a fact that is not asked yet.")
    notices += [f"{document.name}: {warning}" for document in documents for warning in document.warnings]
    return {
        "collection": request.collection,
        "documents": names,
        "pairs": len(tally.pending),
        "rejected": tally.rejected,
        "duplicates": tally.duplicates,
        "unchanged": sum(version.unchanged for version in versions),
        "changed": sum(version.changed for version in versions),
        "to_look_at": sum(version.flagged for version in versions),
        "per_minute": round(keeper.per_minute(), 1),
        "notice": "\n".join(notices) or None,
    }


def _read(parts: Parts, context: JobContext, request: ExtractionRequest, collection: Collection) -> list[Document]:
    """Take the files in, all or none."""
    before = {document.id for document in parts.repositories.documents.list(collection.id)}
    documents: list[Document] = []
    try:
        for number, file in enumerate(request.files):
            on_page = _page_progress(context, file.name, READING_SHARE * number / len(request.files), len(request.files))
            with span("document.read", document=file.name):
                document = parts.documents.add(parts.uploads.path(file), collection.id, file.name, on_page=on_page)
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


def _page_progress(context: JobContext, name: str, begun: float, files: int) -> PageCallback:
    """Reports each page of one of the files, and stops there if someone asked the job to."""
    context.progress(begun, f"Reading {name}")

    def tell(page: int, of: int | None) -> None:
        read = 0.0 if of is None else (page - 1) / of
        context.progress(
            begun + READING_SHARE * read / files, f"Reading {name}: page {page}" + ("" if of is None else f" of {of}")
        )

    return tell


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
    keeper: PairKeeper,
    embedder: RememberingEmbedder,
) -> None:
    for number, document in enumerate(documents):
        wanted = _wanted(parts, context, request, collection, documents, len(documents) - number)
        if wanted is not None and wanted <= 0:
            continue
        share = (INDEXING_FROM - READING_SHARE) / len(documents)
        begun = READING_SHARE + share * number
        work = _Extraction(parts, context, collection, document, keeper, embedder, begun, share, request.language)
        work.run(request.model, wanted)


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
        keeper: PairKeeper,
        embedder: RememberingEmbedder,
        progress_from: float,
        progress_share: float,
        chosen: str | None,
    ) -> None:
        self._parts = parts
        self._context = context
        self._document = document
        self._keeper = keeper
        self._from = progress_from
        self._share = progress_share
        self._made = 0
        self._model_name = ""
        self._asked = True
        self._pages = PageTexts(parts.repositories.documents, document)
        chunks = parts.repositories.documents.chunks([document.id])
        self._language = language_of(chunk.text for chunk in chunks)
        self._chosen = chosen
        self._translation = translation_of(self._language, chosen)
        # Asked for in another language, a passage is asked anew.
        self._mark = "" if self._translation is None else self._translation.target
        self._groups = _open_groups(chunks, parts.repositories.extraction.finished(collection.id, self._mark))
        languages = () if self._translation is None else (self._translation.source, self._translation.target)
        self._compares = embedder.knows(languages)
        self._curator = Curator(embedder, chunks, self._pages)

    def run(self, model_name: str | None, wanted: int | None) -> None:
        """Extract pairs from the chunks, storing those of each chunk at once. Of chunks that say the same, one is asked.

        With a limit each chunk first gives its share, so that few pairs cover the whole document; what is then missing is
        taken from the best of the rest.
        """
        chunks = [group[0] for group in self._groups]
        share = None if wanted is None else math.ceil(wanted / max(1, len(chunks)))
        rest: list[ScoredPair] = []
        for done, (index, pairs) in enumerate(self._curated(chunks, model_name, wanted), start=1):
            if share is None:
                self._keep(pairs, None, [chunk.id for chunk in self._groups[index]] if self._asked else ())
            else:
                # With a limit only some sentences of a chunk are tried, so the chunk is not done with.
                best = _best(pairs)
                rest += best[share:]
                self._keep([*best[:share], *(pair for pair in pairs if pair.status is FaqStatus.REJECTED)], wanted)
            self._report(done, len(chunks))
        if rest:
            self._keep(_best(rest), wanted)

    def _curated(
        self, chunks: Sequence[Chunk], model_name: str | None, wanted: int | None
    ) -> Iterator[tuple[int, list[ScoredPair]]]:
        model = self._parts.model(model_name)
        self._model_name = model.name
        self._asked = knows_language(model, self._language)
        if not self._asked:
            self._keeper.tally.notes.append(
                f"{self._document.name} is in a language ({self._language}) that {model.name} was not trained for: only the "
                "questions that it answers itself were taken. Extract again with another model for the rest."
            )
        elif chunks and self._translation is not None and not self._compares:
            name = LANGUAGES.get(self._mark, self._mark)
            self._keeper.tally.notes.append(
                f"The pairs of {self._document.name} are in {name}, which the encoder does not compare with the "
                "document's language: check that each answer says what its quote says."
            )
        with span("faq.extract", document=self._document.name, chunks=len(chunks), model=model.name):
            found = extract_pairs(
                chunks,
                model=model,
                max_pairs=wanted,
                language=self._language,
                output_language=self._chosen,
                cancel=self._context.cancel,
            )
            for index, candidates in found:
                yield index, self._curator.curate(candidates)

    def _keep(self, pairs: Sequence[ScoredPair], wanted: int | None, finished: Sequence[str] = ()) -> None:
        self._made += self._keeper.keep(
            pairs,
            self._document,
            self._pages,
            model=self._model_name,
            language=self._language,
            room=None if wanted is None else max(0, wanted - self._made),
            finished=finished,
            translated=self._mark,
        )

    def _report(self, done: int, of: int) -> None:
        made = len(self._keeper.tally.pending)
        pairs = f"{made} {'pair' if made == 1 else 'pairs'}, {self._keeper.per_minute():.0f} a minute"
        message = f"{self._document.name}: passage {done} of {of}, {pairs}"
        self._context.progress(self._from + self._share * done / of, message)


def _open_groups(chunks: Sequence[Chunk], finished: set[str]) -> list[Sequence[Chunk]]:
    """The chunks that are still to be asked, in reading order, those that say the same together."""
    return [group for group in by_fingerprint(chunks).values() if not any(chunk.id in finished for chunk in group)]


def _best(pairs: Sequence[ScoredPair]) -> list[ScoredPair]:
    """Those that were not rejected, best first."""
    return sorted((pair for pair in pairs if pair.status is not FaqStatus.REJECTED), key=lambda pair: -pair.score)
