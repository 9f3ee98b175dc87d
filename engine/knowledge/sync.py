"""One synchronisation of a collection's search index with the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.cancellation import CancelToken
from engine.db.repositories import Repositories
from engine.db.repositories.search import SearchEntry
from engine.domain import Collection, CollectionStatus, FaqPair, FaqStatus
from engine.embedding.base import Embedder
from engine.errors import CancelledError
from engine.knowledge.passages import Source, key_of_chunk, key_of_faq, source_of_chunk, source_of_faq
from engine.vectorstore.base import Entry, VectorStore

Progress = Callable[[float, str], None]
"""Told how far the work is (0…1) and what it is doing."""

BATCH = 128
"""Texts embedded between two looks at the cancel token."""
SAVE_EVERY = 8
"""Batches after which the vectors are made durable: what an interrupted synchronisation may have to do again."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a synchronisation did: entries added and removed, entries there are now, and whether it began from scratch."""

    added: int
    removed: int
    total: int
    rebuilt: bool = False


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What belongs into the index, by key: the identifiers of chunks, and approved pairs."""

    chunks: Mapping[str, str]
    faqs: Mapping[str, FaqPair]

    @property
    def keys(self) -> list[str]:
        return [*self.chunks, *self.faqs]


class Synchronisation:
    """Compares what a collection's index holds with what it should hold, and makes up the difference."""

    def __init__(
        self,
        repositories: Repositories,
        collection: Collection,
        store: VectorStore,
        embedder: Embedder,
        *,
        progress: Progress,
        cancel: CancelToken,
    ) -> None:
        self._repositories = repositories
        self._collection = collection
        self._store = store
        self._embedder = embedder
        self._progress = progress
        self._cancel = cancel

    def run(self) -> SyncReport:
        """Do it.

        Raises:
            CancelledError: the token was set between two batches.
            VectorStoreError: what is stored cannot be used.
            EmbeddingError, StorageError: the encoder or the disk failed.
        """
        wanted = self._wanted()
        keys = set(wanted.keys)
        vectors, keywords = self._store.ids(), self._repositories.search.source_ids(self._collection.id)
        complete = vectors & keywords
        missing = [key for key in wanted.keys if key not in complete]
        stale = (vectors | keywords) - keys
        if missing:
            self._set_status(CollectionStatus.INDEXING)
        if stale:
            self._remove(sorted(stale))
        self._add(missing, wanted)
        self._set_status(CollectionStatus.READY if keys else CollectionStatus.EMPTY)
        return SyncReport(added=len(missing), removed=len(stale), total=len(keys))

    def _wanted(self) -> _Wanted:
        chunk_ids = self._repositories.documents.chunk_ids(self._collection.id)
        pairs = self._repositories.faqs.list(self._collection.id, FaqStatus.APPROVED)
        return _Wanted(
            chunks={key_of_chunk(chunk_id): chunk_id for chunk_id in sorted(chunk_ids)},
            faqs={key_of_faq(pair): pair for pair in pairs},
        )

    def _remove(self, keys: Sequence[str]) -> None:
        self._store.delete(keys)
        self._store.save()
        for start in range(0, len(keys), BATCH):
            self._repositories.search.change(self._collection.id, add=[], remove=keys[start : start + BATCH])

    def _add(self, keys: Sequence[str], wanted: _Wanted) -> None:
        for number, start in enumerate(range(0, len(keys), BATCH), start=1):
            self._check()
            self._progress(start / len(keys), f"Indexing {start} of {len(keys)} passages")
            self._add_batch(self._load(keys[start : start + BATCH], wanted))
            if number % SAVE_EVERY == 0:
                self._store.save()
        if keys:
            self._store.save()
        self._progress(1.0, f"{len(wanted.keys)} passages are indexed")

    def _load(self, keys: Sequence[str], wanted: _Wanted) -> list[Source]:
        """The texts behind keys. A chunk whose document was removed a moment ago is left out."""
        chunks = self._repositories.documents.chunks_by_id([wanted.chunks[key] for key in keys if key in wanted.chunks])
        pairs = [wanted.faqs[key] for key in keys if key in wanted.faqs]
        return [*map(source_of_chunk, chunks.values()), *map(source_of_faq, pairs)]

    def _add_batch(self, sources: Sequence[Source]) -> None:
        vectors = self._embedder.embed([source.text for source in sources])
        self._store.add([Entry(source.key, {"kind": source.kind}) for source in sources], vectors)
        entries = [SearchEntry(source.key, source.heading, source.body) for source in sources]
        self._repositories.search.change(self._collection.id, add=entries, remove=[])

    def _check(self) -> None:
        if self._cancel.cancelled:
            self._store.save()
            raise CancelledError("indexing was stopped", hint="What was indexed so far is kept; start it again to go on.")

    def _set_status(self, status: CollectionStatus) -> None:
        """Write the status only where it changes: most synchronisations find nothing to do and should not write."""
        if self._repositories.collections.get(self._collection.id).status is not status:
            self._repositories.collections.set_status(self._collection.id, status)
