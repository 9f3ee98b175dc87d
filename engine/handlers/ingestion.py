"""Bring the vector index of a collection up to date."""

from __future__ import annotations

from collections.abc import Mapping

from engine.domain import Json
from engine.handlers.parts import Parts
from engine.jobs import JobContext
from engine.observability.tracing import traced
from engine.requests import IngestionRequest


@traced("faq.ingestion", capture_input=False)
def ingest(parts: Parts, context: JobContext) -> Mapping[str, Json]:
    """Embed what the index lacks and drop what is stale, in batches.

    Raises:
        NotFoundError: the collection is gone.
        EmbeddingError, VectorStoreError, StorageError: the index could not be made; the collection is marked failed.
    """
    request = IngestionRequest.model_validate(context.job.payload)
    collection = parts.repositories.collections.by_name(request.collection)
    report = parts.index.sync(collection.id, progress=context.progress, cancel=context.cancel)
    return {"collection": request.collection, "added": report.added, "removed": report.removed, "entries": report.total}
