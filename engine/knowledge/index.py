"""The search index of each collection: vectors and keywords, derived from the database and brought up to date on demand."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from engine.cancellation import CancelToken
from engine.config import Settings
from engine.db.repositories import Repositories
from engine.domain import Collection, CollectionStatus, FaqStatus
from engine.embedding.base import Embedder, Vectors
from engine.errors import CancelledError, NexusError, VectorStoreError
from engine.knowledge.fusion import fuse
from engine.knowledge.passages import (
    Passage,
    PassageKind,
    id_of_key,
    key_of_faq,
    key_prefix,
    passage_of_chunk,
    passage_of_faq,
)
from engine.knowledge.sync import Progress, Synchronisation, SyncReport
from engine.knowledge.terms import content_words
from engine.observability.tracing import traced
from engine.vectorstore.base import VectorStore
from engine.vectorstore.registry import discard_store

OpenStore = Callable[[Path, int, str], VectorStore]
"""Opens a vector store: its folder, the vectors' length, the encoder's name. `FaissStore` is one."""

CANDIDATES = 20
"""Entries that each kind of search puts forward at least."""


class KnowledgeIndex:
    """Finds passages. The database is the truth; vectors and keywords can be made again from it at any time.

    Safe to call from any thread; several processes may work on the same home.
    """

    def __init__(
        self, repositories: Repositories, embedder: Callable[[], Embedder], open_store: OpenStore, settings: Settings
    ) -> None:
        """Nothing is opened yet.

        Args:
            repositories: where documents and pairs are.
            embedder: gives the sentence encoder when it is first needed.
            open_store: opens the vectors of a collection.
            settings: for the folder of the vectors.
        """
        self._repositories = repositories
        self._embedder = embedder
        self._open_store = open_store
        self._folder = settings.vectors_dir
        self._lock = threading.Lock()
        self._stores: dict[str, VectorStore] = {}
        self._syncing: dict[str, threading.Lock] = {}

    @traced("knowledge.sync")
    def sync(self, collection_id: str, *, progress: Progress | None = None, cancel: CancelToken | None = None) -> SyncReport:
        """Bring a collection's index up to date with its documents and approved pairs. Cheap when nothing has changed.

        Args:
            collection_id: the collection.
            progress: told of each batch.
            cancel: stops between two batches; what was embedded by then is kept.

        Raises:
            NotFoundError: there is no such collection.
            CancelledError: `cancel` was set.
            EmbeddingError, StorageError: the encoder or the disk failed. The collection's status is then `failed`; a
                cancellation leaves it as it was.
        """
        collection = self._repositories.collections.get(collection_id)
        with self._lock:
            alone = self._syncing.setdefault(collection_id, threading.Lock())
        with alone:
            try:
                return self._sync_or_rebuild(collection, progress or _ignore, cancel or CancelToken())
            except CancelledError:
                self._repositories.collections.set_status(collection_id, collection.status)
                raise
            except NexusError:
                self._repositories.collections.set_status(collection_id, CollectionStatus.FAILED)
                raise

    @traced("knowledge.search")
    def search(
        self, collection_id: str, question: str, limit: int, *, kind: PassageKind | None = None, synchronise: bool = True
    ) -> list[Passage]:
        """The passages that have most to do with a question, best first. What changed since the last search is indexed first.

        Meaning (cosine similarity of embeddings) and keywords (BM25) each rank the passages; the two are fused by rank.

        Args:
            collection_id: where to look.
            question: what is asked.
            limit: how many at most.
            kind: only chunks, or only approved pairs.
            synchronise: bring the index up to date first; False where `sync` has just been called.

        Raises:
            NotFoundError: there is no such collection.
            EmbeddingError, StorageError, VectorStoreError: the index could not be brought up to date or read.
        """
        if synchronise:
            self.sync(collection_id)
        embedder = self._embedder()
        vector = embedder.embed([question])[0]
        count = max(limit, CANDIDATES)
        hits = self._store(collection_id, embedder).search(vector, count, None if kind is None else {"kind": kind})
        scores = {hit.entry.id: hit.score for hit in hits}
        terms = content_words(question)
        by_keyword = self._repositories.search.match(collection_id, terms, count, key_prefix(kind))
        passages = self._load(collection_id, fuse([list(scores), by_keyword], limit), scores)
        return _scored(passages, vector, scores, embedder)

    def discard(self, collection_id: str) -> None:
        """Remove a collection's vectors from the disk, such as after the collection was deleted.

        Raises:
            StorageError: the disk refused.
        """
        self._drop(collection_id)
        discard_store(self._folder / collection_id)
        shutil.rmtree(self._folder / collection_id, ignore_errors=True)

    def close(self) -> None:
        """Give back the memory of all vectors."""
        for collection_id in list(self._stores):
            self._drop(collection_id)

    def _sync_or_rebuild(self, collection: Collection, progress: Progress, cancel: CancelToken) -> SyncReport:
        try:
            return self._sync(collection, progress, cancel)
        except VectorStoreError:
            # Damaged, or made by another encoder: everything can be embedded again.
            self.discard(collection.id)
            return replace(self._sync(collection, progress, cancel), rebuilt=True)

    def _sync(self, collection: Collection, progress: Progress, cancel: CancelToken) -> SyncReport:
        embedder = self._embedder()
        store = self._store(collection.id, embedder)
        return Synchronisation(self._repositories, collection, store, embedder, progress=progress, cancel=cancel).run()

    def _store(self, collection_id: str, embedder: Embedder) -> VectorStore:
        with self._lock:
            store = self._stores.get(collection_id)
            if store is None:
                store = self._open_store(self._folder / collection_id, embedder.dimension, embedder.name)
                self._stores[collection_id] = store
            return store

    def _drop(self, collection_id: str) -> None:
        with self._lock:
            store = self._stores.pop(collection_id, None)
        if store is not None:
            store.close()

    def _load(self, collection_id: str, keys: Sequence[str], scores: dict[str, float]) -> dict[str, Passage]:
        """The passages behind keys, in their order; what was removed or edited a moment ago is left out."""
        ids = {key: id_of_key(key) for key in keys}
        chunks = self._repositories.documents.chunks_by_id([ids[key] for key in keys if key.startswith(key_prefix("chunk"))])
        faq_ids = [ids[key] for key in keys if key.startswith(key_prefix("faq"))]
        pairs = self._repositories.faqs.list(collection_id, FaqStatus.APPROVED, faq_ids) if faq_ids else []
        found = {key_of_faq(pair): passage_of_faq(pair, scores.get(key_of_faq(pair), 0.0)) for pair in pairs}
        documents = {document.id: document.name for document in self._repositories.documents.list(collection_id)}
        for key in keys:
            chunk = chunks.get(ids[key])
            if chunk is not None and chunk.document_id in documents:
                found[key] = passage_of_chunk(chunk, documents[chunk.document_id], scores.get(key, 0.0))
        return {key: found[key] for key in keys if key in found}


def _scored(passages: dict[str, Passage], vector: Vectors, scores: dict[str, float], embedder: Embedder) -> list[Passage]:
    """Give passages that only keywords found their cosine similarity too."""
    unscored = [key for key in passages if key not in scores]
    vectors = embedder.embed([_text(passages[key]) for key in unscored])
    for key, similarity in zip(unscored, vectors @ vector, strict=True):
        passages[key] = replace(passages[key], score=float(similarity))
    return list(passages.values())


def _text(passage: Passage) -> str:
    if passage.kind == "faq":
        return f"{passage.question}\n{passage.answer}"
    return "\n".join(filter(None, [" > ".join(passage.heading_path), passage.text]))


def _ignore(fraction: float, message: str) -> None:
    """Progress that nobody watches."""
